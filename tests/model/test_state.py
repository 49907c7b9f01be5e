"""The state of a causal model is a value: cut, passed on, batched, saved, and refused by another model."""

import pytest
import torch

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.state import MambaState, fingerprint


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=8, num_layers=3, d_state=4)).double().eval()


def make_tokens(batch, length, seed=1):
    return torch.randint(7, 12, (batch, length), generator=torch.Generator().manual_seed(seed))


def start(model, batch=1):
    return MambaState.start(model.config, batch, dtype=torch.float64)


def read(model, tokens):
    with torch.no_grad():
        return model.advance(tokens, start(model, tokens.shape[0]))


@pytest.mark.parametrize("cuts", [[1], [2, 3], [64], [10, 11, 99]], ids=str)
def test_pieces_with_the_state_passed_on_give_the_whole(model, cuts):
    tokens = make_tokens(2, 100)
    whole, end = read(model, tokens)
    state, pieces = start(model, 2), []
    for piece in tokens.tensor_split(cuts, dim=1):
        hidden, state = model.advance(piece, state)
        pieces.append(hidden)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(whole, model.hidden(tokens), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close((state.conv, state.scan), (end.conv, end.scan), rtol=1e-10, atol=1e-10)
    assert state.position.tolist() == [100, 100]


def test_rows_are_selected_stacked_and_read_on(model):
    first, second = make_tokens(1, 20, seed=2), make_tokens(1, 33, seed=3)
    stacked = MambaState.stack([read(model, first)[1], read(model, second)[1]])
    assert stacked.batch == 2
    assert stacked.position.tolist() == [20, 33]
    chosen = stacked.select([1, 0, 1])
    suffixes = make_tokens(3, 7, seed=4)
    hidden, _ = model.advance(suffixes, chosen)
    for row, prefix in enumerate((second, first, second)):
        expected = model.hidden(torch.cat([prefix, suffixes[row : row + 1]], dim=1))[:, -7:]
        torch.testing.assert_close(hidden[row : row + 1], expected, rtol=1e-10, atol=1e-10)


def test_gradient_flows_through_the_state_until_it_is_cut(model):
    tokens = make_tokens(1, 30)
    whole = torch.autograd.grad(model.hidden(tokens)[:, 20:].sum(), model.embedding.weight)[0]
    for cut in (False, True):
        _, state = model.advance(tokens[:, :20], start(model))
        hidden, _ = model.advance(tokens[:, 20:], state.detach() if cut else state)
        gradient = torch.autograd.grad(hidden.sum(), model.embedding.weight)[0]
        assert torch.allclose(gradient, whole, rtol=1e-10, atol=1e-12) is not cut


def test_saved_state_goes_on_where_it_stopped(model, tmp_path):
    tokens = make_tokens(2, 40)
    whole, _ = read(model, tokens)
    _, state = read(model, tokens[:, :25])
    state.save(tmp_path / "prefix.safetensors", model)
    loaded = MambaState.load(tmp_path / "prefix.safetensors", model)
    assert loaded.position.tolist() == [25, 25]
    hidden, _ = model.advance(tokens[:, 25:], loaded)
    torch.testing.assert_close(hidden, whole[:, 25:], rtol=1e-10, atol=1e-10)


def test_state_of_another_model_is_refused(model, tmp_path):
    path = tmp_path / "prefix.safetensors"
    read(model, make_tokens(1, 5))[1].save(path, model)
    before = fingerprint(model)
    with torch.no_grad():
        model.norm_f.weight[3] += 1e-9
    with pytest.raises(RunError) as raised:
        MambaState.load(path, model)
    assert str(raised.value) == (
        f"{path}: made by the model {before[:12]}, but this one is {fingerprint(model)[:12]};"
        " a state is of use to the model that made it alone, read the sequence again"
    )


@pytest.mark.parametrize("content", [None, b"", b"no state"], ids=["absent", "empty", "other"])
def test_damaged_file_is_refused_in_one_line(model, tmp_path, content):
    path = tmp_path / "prefix.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match="damaged or unreadable"):
        MambaState.load(path, model)


@pytest.mark.parametrize("shape", [{"direction": "bidirectional"}, {"equivariant": True}], ids=str)
def test_model_that_reads_both_sides_has_no_state(shape):
    with pytest.raises(ConfigError, match="only a causal model of one strand has a state"):
        MambaState.start(ModelConfig(**shape))
