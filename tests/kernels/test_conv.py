"""The causal convolution: worked by hand, as exact as eager PyTorch, and its laws."""

import pytest
import torch
import torch.nn.functional as F

from genomamba_kernels import causal_conv1d, causal_conv1d_step, set_num_threads
from genomamba_kernels.conv import cpu

DTYPES = [torch.float32, torch.bfloat16, torch.float64]
# b, l, d, k: single, shorter than the kernel, odd, across a chunk of 64, a block of 16 and a segment of 1024.
CASES = [(1, 1, 1, 2), (2, 2, 17, 4), (3, 63, 5, 5), (1, 130, 33, 8), (2, 64, 32, 4), (1, 1025, 16, 3), (1, 1090, 3, 4),
         (1, 300, 130, 4)]  # fmt: skip
# The interpreter takes milliseconds a position; units have 8 positions in forward there, and 32 in backward.
SMALL_CASES = [(1, 1, 1, 2), (2, 2, 17, 4), (1, 35, 2, 5), (3, 11, 5, 8), (1, 5, 130, 4)]
MATRIX = [
    pytest.param(kernels, shape, id="{}-b{}-l{}-d{}-k{}".format(kernels, *shape))
    for kernels in ("cpu", "triton")
    for shape in (CASES if kernels == "cpu" or torch.cuda.is_available() else SMALL_CASES)
]
DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])


def test_last_weight_meets_the_present(backend, device):
    x = torch.tensor([[[1.0], [2.0], [3.0]]], device=device)
    weight = torch.tensor([[100.0, 10.0, 1.0]], device=device)
    options = {"initial_state": torch.tensor([[[4.0], [5.0]]], device=device), "backend": backend}
    y, state = causal_conv1d(x, weight, **options, return_final_state=True)
    assert y.flatten().tolist() == [451.0, 512.0, 123.0]
    assert state.flatten().tolist() == [2.0, 3.0]
    y, state = causal_conv1d(x, weight, **options, return_final_state=True, reverse=True)
    assert y.flatten().tolist() == [321.0, 432.0, 543.0]
    assert state.flatten().tolist() == [1.0, 2.0]


def test_packed_sequences_share_nothing(backend, device):
    x = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]], device=device)
    weight = torch.tensor([[100.0, 10.0, 1.0]], device=device)
    past = torch.tensor([[[5.0], [6.0]], [[7.0], [8.0]]], device=device)
    options = {"cu_seqlens": torch.tensor([0, 1, 4]), "backend": backend, "return_final_state": True}
    y, state = causal_conv1d(x, weight, initial_state=past, **options)
    assert y.flatten().tolist() == [561.0, 782.0, 823.0, 234.0]
    assert state.flatten().tolist() == [6.0, 1.0, 3.0, 4.0]
    y, state = causal_conv1d(x, weight, initial_state=past, **options, reverse=True)
    assert y.flatten().tolist() == [651.0, 432.0, 743.0, 874.0]
    assert state.flatten().tolist() == [1.0, 5.0, 2.0, 3.0]
    y, state = causal_conv1d(x, weight, **options)
    assert y.flatten().tolist() == [1.0, 2.0, 23.0, 234.0]
    assert state.flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


def test_agrees_with_the_convolution_of_pytorch(backend, pick, make_conv):
    length, width = pick(backend, (70, 17), (19, 3))
    inputs = make_conv(2, length, width, 4, torch.float64)
    del inputs["initial_state"]
    on_device = {name: tensor.to(pick.device(backend)) for name, tensor in inputs.items()}
    y = causal_conv1d(**on_device, activation="silu", backend=backend).cpu()
    padded = F.pad(inputs["x"].transpose(1, 2), (3, 0))
    expected = F.silu(F.conv1d(padded, inputs["weight"][:, None], inputs["bias"], groups=width)).transpose(1, 2)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@DIRECTIONS
@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("kernels", "shape"), MATRIX, indirect=["kernels"])
def test_kernels_are_as_exact_as_eager(kernels, shape, dtype, activation, reverse, make_conv, run_conv, hold_to_eager):
    options = {"activation": activation, "reverse": reverse}
    hold_to_eager(run_conv, lambda seed: make_conv(*shape, dtype, seed=seed), kernels, **options)


@DIRECTIONS
def test_one_tap_is_the_last_of_two(kernels, reverse, make_conv, run_conv):
    inputs = make_conv(2, 9, 17, 1, torch.float32)
    two = inputs | {"weight": F.pad(inputs["weight"], (1, 0)), "initial_state": torch.ones(2, 1, 17)}
    options = {"activation": "silu", "reverse": reverse, "backend": kernels}
    seeds = torch.ones(2, 9, 17), torch.zeros(2, 1, 17)
    expected = run_conv(two, seeds=seeds, **options)
    expected["grad weight"] = expected["grad weight"][:, 1:]
    actual = run_conv(inputs, seeds=(seeds[0], torch.zeros(2, 0, 17)), **options)
    for name in ("y", "grad x", "grad weight", "grad bias"):
        torch.testing.assert_close(actual[name], expected[name], msg=name)
    assert actual["final state"].shape == actual["grad initial_state"].shape == (2, 0, 17)


@pytest.mark.parametrize("left_out", ["bias", "initial_state", "bias initial_state"])
@pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])
def test_each_option_may_be_left_out(
    kernels, packed, left_out, pick, make_conv, run_conv, hold_to_eager, cu_seqlens
):  # fmt: skip
    lengths = pick(kernels, [66, 1, 3], [9, 1, 3])
    options = {"cu_seqlens": cu_seqlens(lengths)} if packed else {}

    def make(seed):
        inputs = make_conv(1, sum(lengths), 18, 4, torch.float32, seed, len(lengths) if packed else None)
        return {name: tensor for name, tensor in inputs.items() if name not in left_out.split()}

    hold_to_eager(run_conv, make, kernels, **options)


@DIRECTIONS
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_packed_sequences_are_as_exact(kernels, dtype, reverse, pick, make_conv, run_conv, hold_to_eager, cu_seqlens):
    # Shorter than the reach of the kernel, and across edges of chunks, segments and units.
    lengths = pick(kernels, [1, 64, 3, 65, 2, 1000, 1, 1, 20], [1, 16, 3, 33, 2, 1])

    def make(seed):
        return make_conv(1, sum(lengths), pick(kernels, 18, 3), 5, dtype, seed, len(lengths))

    options = {"activation": "silu", "reverse": reverse, "cu_seqlens": cu_seqlens(lengths)}
    hold_to_eager(run_conv, make, kernels, **options)


@DIRECTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_packed_is_one_by_one(kernels, dtype, reverse, pick, make_conv, run_conv, run_one_by_one, cu_seqlens):
    lengths = pick(kernels, [2, 1000, 64, 1, 1, 1030, 5], [2, 17, 1, 34])
    inputs = make_conv(1, sum(lengths), pick(kernels, 18, 3), 4, dtype, sequences=len(lengths))
    options = {"activation": "silu", "reverse": reverse, "backend": kernels}
    packed = run_conv(inputs, cu_seqlens=cu_seqlens(lengths), **options)
    alone = run_one_by_one(run_conv, inputs, lengths, **options)
    for name, tensor in packed.items():
        if name in ("grad weight", "grad bias"):
            torch.testing.assert_close(tensor, alone[name], rtol=1e-5, atol=1e-4, msg=name)
        elif kernels == "cpu":
            assert torch.equal(tensor, alone[name]), name
        else:
            torch.testing.assert_close(tensor, alone[name], msg=name)


@DIRECTIONS
def test_a_batch_is_a_packing_of_equal_lengths(kernels, reverse, pick, make_conv, run_conv, cu_seqlens):
    batch, length = pick(kernels, (1500, 2), (20, 2))
    inputs = make_conv(batch, length, 18, 4, torch.float32)
    options = {"activation": "silu", "reverse": reverse, "backend": kernels}
    packed = inputs | {"x": inputs["x"].reshape(1, batch * length, 18)}
    seeds = tuple(torch.ones(1).expand(shape) for shape in ((batch, length, 18), (batch, 3, 18)))
    expected = run_conv(inputs, seeds=seeds, **options)
    seeds = (seeds[0].reshape(packed["x"].shape), seeds[1])
    actual = run_conv(packed, seeds=seeds, cu_seqlens=cu_seqlens([length] * batch), **options)
    for name, tensor in expected.items():
        if kernels == "cpu":
            assert torch.equal(actual[name].view_as(tensor), tensor), name
        else:
            torch.testing.assert_close(actual[name].view_as(tensor), tensor, msg=name)


@DIRECTIONS
@pytest.mark.parametrize("place", ["first", "second", "edge", "last"])
def test_any_cut_gives_the_same(backend, device, place, reverse, pick, make_conv):
    length, edge = pick(backend, (70, 64), (19, 8))
    place = {"first": 1, "second": 2, "edge": edge, "last": length - 1}[place]
    inputs = make_conv(2, length, 5, 4, torch.float64)
    leaves = {name: tensor.to(device).requires_grad_() for name, tensor in inputs.items()}
    options = {"activation": "silu", "reverse": reverse, "backend": backend, "return_final_state": True}
    whole = causal_conv1d(**leaves, **options)
    pieces = [(0, place), (place, length)]
    state, ys = leaves["initial_state"], []
    for start, end in reversed(pieces) if reverse else pieces:
        y, state = causal_conv1d(**{**leaves, "x": leaves["x"][:, start:end], "initial_state": state}, **options)
        ys.append(y)
    y = torch.cat(ys[::-1] if reverse else ys, dim=1)
    torch.testing.assert_close((y, state), whole, rtol=1e-10, atol=1e-10)
    weights = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(device)
    expected = torch.autograd.grad((whole[0] * weights).sum() + whole[1].sum(), list(leaves.values()))
    actual = torch.autograd.grad((y * weights).sum() + state.sum(), list(leaves.values()))
    for name, one, other in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=f"gradient of {name}")


def test_reverse_is_flip_convolve_flip(backend, device, pick, make_conv):
    length, width = pick(backend, (70, 17), (19, 3))
    inputs = {name: t.to(device) for name, t in make_conv(2, length, width, 4, torch.float64).items()}
    flipped = {name: t.flip(1) if name in ("x", "initial_state") else t for name, t in inputs.items()}
    y, state = causal_conv1d(**inputs, reverse=True, backend=backend, return_final_state=True)
    other, other_state = causal_conv1d(**flipped, backend=backend, return_final_state=True)
    torch.testing.assert_close((y, state), (other.flip(1), other_state.flip(1)), rtol=1e-12, atol=1e-12)


def step_by_step(inputs, backend):
    state, ys = inputs["initial_state"], []
    for t in range(inputs["x"].shape[1]):
        y, state = causal_conv1d_step(state, inputs["x"][:, t], inputs["weight"], inputs["bias"], "silu", backend)
        ys.append(y)
    return torch.stack(ys, dim=1), state


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("d_conv", [1, 2, 4])
def test_step_by_step_is_the_whole(kernels, d_conv, dtype, pick, make_conv):
    inputs = {name: t.to(pick.device(kernels)) for name, t in make_conv(2, 6, 17, d_conv, dtype).items()}
    whole, end = causal_conv1d(**inputs, activation="silu", backend=kernels, return_final_state=True)
    y, state = step_by_step(inputs, kernels)
    assert (y.dtype, state.dtype) == (whole.dtype, end.dtype)
    assert torch.equal(y, whole)
    assert torch.equal(state, end)


def test_step_by_step_has_the_same_gradients(backend, device, make_conv):
    inputs = {name: t.to(device).requires_grad_() for name, t in make_conv(2, 6, 17, 4, torch.float64).items()}
    whole, end = causal_conv1d(**inputs, activation="silu", backend=backend, return_final_state=True)
    y, state = step_by_step(inputs, backend)
    expected = torch.autograd.grad(whole.square().sum() + end.square().sum(), list(inputs.values()))
    actual = torch.autograd.grad(y.square().sum() + state.square().sum(), list(inputs.values()))
    for name, one, other in zip(inputs, actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=f"gradient of {name}")


STEP_MESSAGES = [
    ({"x": (2, 1, 3)}, "x has shape (2, 1, 3), expected (b d)"),
    ({"x": (0, 3)}, "x has shape (0, 3), expected (b d) without a 0"),
    ({"weight": (4, 4)}, "weight has shape (4, 4), expected (d k) with d=3 as in x"),
    ({"weight": (3, 0)}, "weight has shape (3, 0), expected (d k) with k of 1 or more"),
    ({"bias": (1,)}, "bias has shape (1,), expected (d) with d=3 as in x"),
    ({"state": (2, 4, 3)}, "state has shape (2, 4, 3), expected (b k-1 d) with k-1=3 as in x and weight"),
    ({"state": (1, 3, 3)}, "state has shape (1, 3, 3), expected (b k-1 d) with b=2 as in x and weight"),
    ({"activation": "relu"}, "activation is 'relu', expected None or 'silu'"),
    ({"backend": "gpu"}, "backend is 'gpu', expected one of 'auto', 'cpu', 'triton', 'reference'"),
]


@pytest.mark.parametrize(("changes", "message"), STEP_MESSAGES, ids=[message for _, message in STEP_MESSAGES])
def test_step_says_what_it_expects(changes, message):
    arguments = {"state": (2, 3, 3), "x": (2, 3), "weight": (3, 4), **changes}
    arguments = {name: torch.ones(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    with pytest.raises(ValueError, match="causal_conv1d_step: ") as error:
        causal_conv1d_step(**arguments)
    assert str(error.value) == f"causal_conv1d_step: {message}"


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


def test_several_segments_of_a_call_change_no_bit(make_conv, run_conv, monkeypatch):
    inputs = make_conv(1, 20_500, 3, 4, torch.float32)
    expected = run_conv(inputs, activation="silu")
    monkeypatch.setattr(cpu, "SMALL", 0)
    for name, tensor in run_conv(inputs, activation="silu").items():
        assert torch.equal(tensor, expected[name]), name


def test_sums_over_many_positions_lose_no_digits(kernels, pick):
    if pick(kernels, False, True):
        pytest.skip("takes hours in the interpreter")
    device = pick.device(kernels)
    x = torch.full((1, 2**20, 16), 0.1, device=device)
    weight, bias = torch.ones(16, 2, device=device).requires_grad_(), torch.zeros(16, device=device).requires_grad_()
    y = causal_conv1d(x, weight, bias, backend=kernels)
    y.backward(torch.full_like(y, 0.3))
    product = x[0, 0, 0].double() * torch.tensor(0.3).double()
    torch.testing.assert_close(weight.grad[:, 1], (2**20 * product).float().expand(16), rtol=3e-7, atol=0)
    torch.testing.assert_close(bias.grad, torch.full((16,), 2**20 * 0.3, device=device), rtol=3e-7, atol=0)


def test_final_state_is_no_view_of_the_input(make_conv):
    inputs = make_conv(1, 8, 4, 4, torch.float32)
    _, state = causal_conv1d(**inputs, return_final_state=True)
    kept = state.clone()
    inputs["x"].zero_()
    assert torch.equal(state, kept)
