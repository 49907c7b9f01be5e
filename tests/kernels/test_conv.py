"""The causal convolution: worked by hand, as exact as eager PyTorch, and its laws."""

import pytest
import torch
import torch.nn.functional as F

from genomamba_kernels import causal_conv1d, set_num_threads
from genomamba_kernels.conv import cpu

BACKENDS = ["reference", "cpu"]
DTYPES = [torch.float32, torch.bfloat16, torch.float64]
# b, l, d, k: single, shorter than the kernel, odd, across a chunk of 64, a block of 16 and a segment of 1024.
CASES = [(1, 1, 1, 2), (2, 2, 17, 4), (3, 63, 5, 5), (1, 130, 33, 8), (2, 64, 32, 4), (1, 1025, 16, 3), (1, 1090, 3, 4)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_last_weight_meets_the_present(backend):
    x = torch.tensor([[[1.0], [2.0], [3.0]]])
    weight = torch.tensor([[100.0, 10.0, 1.0]])
    past = torch.tensor([[[4.0], [5.0]]])
    y, state = causal_conv1d(x, weight, initial_state=past, backend=backend, return_final_state=True)
    assert y.flatten().tolist() == [451.0, 512.0, 123.0]
    assert state.flatten().tolist() == [2.0, 3.0]
    y, state = causal_conv1d(x, weight, initial_state=past, backend=backend, return_final_state=True, reverse=True)
    assert y.flatten().tolist() == [321.0, 432.0, 543.0]
    assert state.flatten().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_agrees_with_the_convolution_of_pytorch(backend, make_conv):
    inputs = make_conv(2, 70, 17, 4, torch.float64)
    del inputs["initial_state"]
    y = causal_conv1d(**inputs, activation="silu", backend=backend)
    padded = F.pad(inputs["x"].transpose(1, 2), (3, 0))
    expected = F.silu(F.conv1d(padded, inputs["weight"][:, None], inputs["bias"], groups=17)).transpose(1, 2)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", CASES, ids=lambda s: "b{}-l{}-d{}-k{}".format(*s))
def test_cpu_is_as_exact_as_eager(shape, dtype, activation, reverse, make_conv, run_conv, hold_to_eager):
    options = {"activation": activation, "reverse": reverse}
    hold_to_eager(run_conv, lambda seed: make_conv(*shape, dtype, seed=seed), **options)


@pytest.mark.parametrize("left_out", ["bias", "initial_state", "bias initial_state"])
def test_each_option_may_be_left_out(left_out, make_conv, run_conv, hold_to_eager):
    def make(seed):
        inputs = make_conv(2, 70, 18, 4, torch.float32, seed=seed)
        return {name: tensor for name, tensor in inputs.items() if name not in left_out.split()}

    hold_to_eager(run_conv, make)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("place", [1, 2, 64, 69])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_cut_gives_the_same(backend, place, reverse, make_conv):
    inputs = make_conv(2, 70, 17, 4, torch.float64)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    options = {"activation": "silu", "reverse": reverse, "backend": backend, "return_final_state": True}
    whole = causal_conv1d(**leaves, **options)
    pieces = [(0, place), (place, 70)]
    state, ys = leaves["initial_state"], []
    for start, end in reversed(pieces) if reverse else pieces:
        y, state = causal_conv1d(**{**leaves, "x": leaves["x"][:, start:end], "initial_state": state}, **options)
        ys.append(y)
    y = torch.cat(ys[::-1] if reverse else ys, dim=1)
    torch.testing.assert_close((y, state), whole, rtol=1e-10, atol=1e-10)
    weights = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = torch.autograd.grad((whole[0] * weights).sum() + whole[1].sum(), list(leaves.values()))
    actual = torch.autograd.grad((y * weights).sum() + state.sum(), list(leaves.values()))
    for name, one, other in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=f"gradient of {name}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_reverse_is_flip_convolve_flip(backend, make_conv, run_conv):
    inputs = make_conv(2, 70, 17, 4, torch.float64)
    flipped = {name: t.flip(1) if name in ("x", "initial_state") else t for name, t in inputs.items()}
    y, state = causal_conv1d(**inputs, reverse=True, backend=backend, return_final_state=True)
    other, other_state = causal_conv1d(**flipped, backend=backend, return_final_state=True)
    torch.testing.assert_close((y, state), (other.flip(1), other_state.flip(1)), rtol=1e-12, atol=1e-12)


def test_threads_and_batch_change_no_bit(make_conv, run_conv, monkeypatch):
    monkeypatch.setattr(cpu, "SMALL", 0)
    inputs = make_conv(2, 1500, 50, 4, torch.float32)
    set_num_threads(1)
    expected = run_conv(inputs, activation="silu")
    for threads in (2, 5):
        set_num_threads(threads)
        actual = run_conv(inputs, activation="silu")
        for name, tensor in expected.items():
            assert torch.equal(actual[name], tensor), f"{name} on {threads} threads"
    alone = {name: tensor[1:] if name in ("x", "initial_state") else tensor for name, tensor in inputs.items()}
    assert torch.equal(causal_conv1d(**alone, activation="silu")[0], expected["y"][1])


def test_final_state_is_no_view_of_the_input(make_conv):
    inputs = make_conv(1, 8, 4, 4, torch.float32)
    _, state = causal_conv1d(**inputs, return_final_state=True)
    kept = state.clone()
    inputs["x"].zero_()
    assert torch.equal(state, kept)
