"""The mixer against the paper's formulas, written out position by position, and against itself, recomputed."""

import pytest
import torch
import torch.nn.functional as F

from genomamba.config import ModelConfig
from genomamba.model import LanguageModel
from genomamba.model.mixer import BidirectionalMixer, Mixer


def written_out(mixer, x_lm):
    """One sequence through the mixer, in the order of figure 3 and algorithm 2 of the Mamba paper."""
    d_inner, d_state, taps = mixer.D.numel(), mixer.d_state, mixer.conv1d.weight.shape[-1]
    x_ld, z_ld = (x_lm @ mixer.in_proj.weight.T).split(d_inner, dim=1)
    padded = torch.cat([x_ld.new_zeros(taps - 1, d_inner), x_ld])
    h_dn, rows = x_ld.new_zeros(d_inner, d_state), []
    for t in range(len(x_lm)):
        window = padded[t : t + taps]
        u_d = F.silu((window * mixer.conv1d.weight[:, 0].T).sum(0) + mixer.conv1d.bias)
        low, B_n, C_n = (mixer.x_proj.weight @ u_d).split([mixer.dt_rank, d_state, d_state])
        delta_d = torch.log1p(torch.exp(mixer.dt_proj.weight @ low + mixer.dt_proj.bias))
        A_dn = -torch.exp(mixer.A_log)
        h_dn = torch.exp(delta_d[:, None] * A_dn) * h_dn + (delta_d * u_d)[:, None] * B_n
        rows.append((h_dn @ C_n + mixer.D * u_d) * F.silu(z_ld[t]))
    return torch.stack(rows) @ mixer.out_proj.weight.T


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_mixer_is_what_the_paper_writes(reverse):
    torch.manual_seed(0)
    mixer = Mixer(ModelConfig(d_model=6, d_state=3, dt_rank=2), reverse=reverse).double()
    # Away from the initial values, where A_log and D could be mistaken for others.
    for parameter in mixer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    x_blm = torch.randn(2, 11, 6, dtype=torch.float64)
    with torch.no_grad():
        found = mixer(x_blm)
        for row, x_lm in zip(found, x_blm, strict=True):
            expected = written_out(mixer, x_lm.flip(0)).flip(0) if reverse else written_out(mixer, x_lm)
            torch.testing.assert_close(row, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("direction", "tied"),
    [("causal", True), ("bidirectional", True), ("bidirectional", False)],
    ids=["causal", "tied", "untied"],
)
def test_recomputing_gives_the_same(direction, tied):
    torch.manual_seed(0)
    config = ModelConfig(d_model=6, d_state=3, num_layers=2, direction=direction, tie_directions=tied)
    model, tokens = LanguageModel(config).double(), torch.randint(7, 11, (2, 70))
    ordinary = loss_and_gradients(model, tokens)
    model.set_recompute(True)
    for one, other in zip(loss_and_gradients(model, tokens), ordinary, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    # In training precision: no farther from the exact numbers than without, but for luck.
    errors = []
    model.float()
    for recompute in (False, True):
        model.set_recompute(recompute)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = loss_and_gradients(model, tokens)
        errors.append([torch.norm(one - exact) for one, exact in zip(rounded, ordinary, strict=True)])
    for name, error, recomputed in zip(["loss", *dict(model.named_parameters())], *errors, strict=True):
        assert recomputed <= 2 * error + 1e-4, name


def test_recomputing_keeps_one_copy_of_the_input_for_both_directions():
    torch.manual_seed(0)
    mixer = BidirectionalMixer(ModelConfig(d_model=6, d_state=3, direction="bidirectional"))
    mixer.mamba_fwd.recompute = mixer.mamba_rev.recompute = True
    kept = {}

    def pack(tensor):
        if 300 in tensor.shape:
            kept[tensor.untyped_storage().data_ptr()] = tensor.shape, tensor.dtype
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        mixer(torch.randn(1, 300, 6, requires_grad=True))
    assert list(kept.values()) == [((1, 300, 6), torch.bfloat16)]


def loss_and_gradients(model, tokens):
    """A loss, and the gradient of every weight."""
    loss = model(tokens).double().square().mean()
    return loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))
