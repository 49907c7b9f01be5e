"""Streams give the numbers of one pass, for any cut, on disk or in memory, and leave nothing behind."""

import pytest
import torch
import torch.nn.functional as F

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.streaming import stream

KINDS = {
    "causal": {},
    "bidirectional": {"direction": "bidirectional"},
    "untied": {"direction": "bidirectional", "tie_directions": False},
    "multiplied": {"direction": "bidirectional", "merge": "multiply"},
    "equivariant": {"direction": "bidirectional", "equivariant": True},
    "equivariant causal": {"equivariant": True},
}


def make_model(kind, dtype=torch.float64):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=8, num_layers=3, d_state=4, **KINDS[kind])).to(dtype).eval()


def make_tokens(length, batch=1):
    return torch.randint(7, 12, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spilled", [False, True], ids=["memory", "disk"])
@pytest.mark.parametrize("chunk", [1, 7, 64, 150, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_one_pass(kind, chunk, spilled, tmp_path):
    model, tokens = make_model(kind), make_tokens(30 if chunk == 1 else 150, batch=2)
    pieces = list(stream(model, tokens, chunk=chunk, spill=tmp_path if spilled else None))
    assert [piece.shape[1] for piece in pieces[:-1]] == [chunk] * (len(pieces) - 1)
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens).detach(), rtol=1e-10, atol=1e-10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["causal", "bidirectional"])
def test_float32_streams_agree_within_rounding(kind):
    model, tokens = make_model(kind, torch.float32), make_tokens(300)
    whole = model(tokens).detach()
    streamed = torch.cat(list(stream(model, tokens, chunk=37)), dim=1)
    assert (streamed - whole).abs().max() <= 1e-5 * whole.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_is_that_of_one_pass(kind):
    model, tokens = make_model(kind), make_tokens(70)
    whole = model.hidden(tokens).detach()
    if model.config.equivariant:
        other = model.hidden(model.complement[tokens.flip(1)]).detach().flip(1)
        whole = torch.cat([whole, other], dim=-1)
    streamed = torch.cat(list(stream(model, tokens, output="hidden", chunk=16)), dim=1)
    torch.testing.assert_close(streamed, whole, rtol=1e-10, atol=1e-10)


def test_log_likelihood_is_that_of_each_base_given_those_before_it():
    model, tokens = make_model("causal"), make_tokens(50, batch=2)
    streamed = torch.cat(list(stream(model, tokens, output="log_likelihood", chunk=9)), dim=1)
    dna = get_alphabet("dna")
    for t in range(50):
        prefix = torch.cat([torch.full((2, 1), dna.bos), tokens[:, :t]], dim=1)
        expected = F.log_softmax(model(prefix)[:, -1], dim=-1).gather(1, tokens[:, t : t + 1])[:, 0]
        for row in range(2):
            if dna.is_target_token[tokens[row, t]]:
                assert streamed[row, t].item() == pytest.approx(expected[row].item(), rel=1e-9)
            else:
                assert streamed[row, t].isnan()


def test_uint8_tokens_are_taken():
    model, tokens = make_model("causal"), make_tokens(40)
    for output in ("logits", "log_likelihood"):
        expected = torch.cat(list(stream(model, tokens, output=output)), dim=1)
        actual = torch.cat(list(stream(model, tokens.to(torch.uint8), output=output)), dim=1)
        assert torch.equal(actual.nan_to_num(), expected.nan_to_num())


@pytest.mark.parametrize("cuts", [[], [1], [20, 21, 63]], ids=str)
@pytest.mark.parametrize(
    ("kind", "output"),
    [("causal", "logits"), ("causal", "hidden"), ("causal", "log_likelihood"), ("equivariant", "logits")],
)
def test_tokens_may_come_in_pieces(kind, output, cuts):
    model, tokens = make_model(kind), make_tokens(70, batch=2)
    pieces = (piece for piece in tokens.tensor_split(cuts, dim=1))
    parts = list(stream(model, pieces, output=output, chunk=16))
    assert max(part.shape[1] for part in parts) <= 16
    expected = torch.cat(list(stream(model, tokens, output=output)), dim=1)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, rtol=1e-10, atol=1e-10, equal_nan=True)


def test_a_piece_is_asked_for_when_the_one_before_it_is_done():
    taken = []

    def pieces():
        for piece in make_tokens(40).split(10, dim=1):
            taken.append(piece)
            yield piece

    for done, _ in enumerate(stream(make_model("causal"), pieces(), output="log_likelihood"), 1):
        assert len(taken) == done


@pytest.mark.parametrize("output", ["logits", "hidden"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_piece_holds_on_to_the_graph(kind, output):
    assert not any(piece.requires_grad for piece in stream(make_model(kind), make_tokens(20), output=output, chunk=8))


def test_gradients_stay_on_for_the_caller():
    model = make_model("bidirectional")
    for _ in stream(model, make_tokens(20), chunk=5):
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("kind", ["bidirectional", "equivariant", "equivariant causal"])
def test_likelihood_of_a_model_that_sees_the_base_is_refused(kind):
    with pytest.raises(ConfigError, match="log_likelihood needs a causal model"):
        stream(make_model(kind), make_tokens(5), output="log_likelihood")


def test_chunk_below_one_is_refused():
    with pytest.raises(ConfigError, match="chunk is 0; it must be 1 or more"):
        stream(make_model("causal"), make_tokens(5), chunk=0)


def test_folder_that_cannot_hold_the_streams_is_named(tmp_path):
    with pytest.raises(RunError, match="absent: cannot hold the residual streams"):
        next(stream(make_model("bidirectional"), make_tokens(5), spill=tmp_path / "absent"))


def test_an_abandoned_stream_leaves_nothing_on_disk(tmp_path):
    pieces = stream(make_model("bidirectional"), make_tokens(50), chunk=10, spill=tmp_path)
    next(pieces)
    assert list(tmp_path.iterdir())
    pieces.close()
    assert list(tmp_path.iterdir()) == []
