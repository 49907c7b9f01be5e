"""The selective scan: worked by hand, and as exact as eager PyTorch in output, state and every gradient."""

import os

import numpy as np
import pytest
import torch

from genomamba_kernels import selective_scan, selective_scan_step

DTYPES = [torch.float32, torch.bfloat16, torch.float64]
# b, l, d, n: single, odd, across chunks of 64, blocks of 16 and 32 and groups of 64 channels.
CASES = [
    (1, 1, 1, 1),
    (2, 64, 32, 16),
    (3, 63, 5, 5),
    (1, 130, 33, 8),
    (1, 65, 17, 64),
    (2, 9, 145, 4),
    (1, 66, 3, 128),
    (2, 5, 16, 256),
]
# The interpreter takes milliseconds a position; chunks have 16 positions there.
SMALL_CASES = [(1, 1, 1, 1), (2, 17, 3, 5), (1, 33, 2, 8), (1, 5, 33, 16), (1, 6, 2, 64), (1, 3, 2, 128)]
MATRIX = [
    pytest.param(kernels, shape, id="{}-b{}-l{}-d{}-n{}".format(kernels, *shape))
    for kernels in ("cpu", "triton")
    for shape in (CASES if kernels == "cpu" or torch.cuda.is_available() else SMALL_CASES)
]
DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])


def test_state_halves_at_decay_one_half(backend, device):
    one, two = torch.ones(1, 2, 1, device=device), torch.full((1, 2, 1), 2.0, device=device)
    # Decay 1/2 at delta = 1: h = 2, then 2/2 + 2 = 3.
    A = torch.log(torch.tensor([[0.5]], device=device))
    y, h = selective_scan(two, one, A, one, one, backend=backend, return_final_state=True)
    assert y.flatten().tolist() == pytest.approx([2.0, 3.0])
    assert h.flatten().tolist() == pytest.approx([3.0])


def test_reverse_starts_at_the_right_end(backend, device):
    u = torch.tensor([[[1.0], [2.0], [4.0]]], device=device)
    one, A = torch.ones(1, 3, 1, device=device), torch.log(torch.tensor([[0.5]], device=device))
    state = torch.full((1, 1, 1), 8.0, device=device)
    # From the right: 8/2 + 4 = 8, 8/2 + 2 = 6, 6/2 + 1 = 4.
    y, h = selective_scan(
        u, one, A, one, one, initial_state=state, reverse=True, backend=backend, return_final_state=True
    )
    assert y.flatten().tolist() == pytest.approx([4.0, 6.0, 8.0])
    assert h.flatten().tolist() == pytest.approx([4.0])


def test_each_packed_sequence_starts_anew(backend, device):
    u = torch.tensor([[[1.0], [2.0], [4.0]]], device=device)
    one, A = torch.ones(1, 3, 1, device=device), torch.log(torch.tensor([[0.5]], device=device))
    options = {"cu_seqlens": torch.tensor([0, 2, 3]), "backend": backend, "return_final_state": True}
    # 1, 1/2 + 2 = 5/2, and 4 alone; from the right 2, 2/2 + 1 = 2, and 4 alone.
    y, h = selective_scan(u, one, A, one, one, **options)
    assert y.flatten().tolist() == pytest.approx([1.0, 2.5, 4.0])
    assert h.flatten().tolist() == pytest.approx([2.5, 4.0])
    y, h = selective_scan(u, one, A, one, one, reverse=True, **options)
    assert y.flatten().tolist() == pytest.approx([2.0, 2.0, 4.0])
    assert h.flatten().tolist() == pytest.approx([2.0, 4.0])


def test_one_step_by_hand(backend, device):
    def full(*shape, value):
        return torch.full(shape, value, device=device)

    # 8/2 + 2 * 3 = 10, and 5 times that; delta is taken as it is.
    y, h = selective_scan_step(
        full(1, 1, 1, value=8.0), full(1, 1, value=2.0), full(1, 1, value=1.0), torch.log(full(1, 1, value=0.5)),
        full(1, 1, value=3.0), full(1, 1, value=5.0), backend=backend,
    )  # fmt: skip
    assert (y.shape, h.shape) == ((1, 1), (1, 1, 1))
    assert (y.item(), h.item()) == (pytest.approx(50.0), pytest.approx(10.0))


def test_skip_bias_softplus_and_gate_by_hand(backend, device):
    one = torch.ones(1, 1, 1, device=device)
    # softplus(log(e - 1)) = 1, with half of it from the bias; silu(log 3) = 3/4 log 3; (1 + 5) of that.
    half = torch.log(torch.expm1(one[0, 0])) / 2
    y = selective_scan(
        one, half.view(1, 1, 1), -one[0], one, one, D=5 * one[0, 0], z=torch.log(3 * one), delta_bias=half,
        delta_softplus=True, backend=backend,
    )  # fmt: skip
    assert y.item() == pytest.approx(6 * 0.75 * torch.log(torch.tensor(3.0)).item())


def test_gradients_of_two_steps_by_hand(backend, device):
    u = torch.tensor([[[3.0], [5.0]]], device=device, requires_grad=True)
    A = torch.log(torch.tensor([[0.5]], device=device)).requires_grad_()
    one = torch.ones(1, 2, 1, device=device)
    y = selective_scan(u, one, A, one, one, backend=backend)
    # y = 3, then 3 e^A + 5: the sum grows by 1 + 1/2 with u_0, by 1 with u_1, by 3 e^A with A.
    y.sum().backward()
    assert u.grad.flatten().tolist() == pytest.approx([1.5, 1.0])
    assert A.grad.item() == pytest.approx(1.5)


@DIRECTIONS
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("kernels", "shape"), MATRIX, indirect=["kernels"])
def test_kernels_are_as_exact_as_eager(kernels, shape, dtype, reverse, make_scan, run_scan, hold_to_eager):
    hold_to_eager(run_scan, lambda seed: make_scan(*shape, dtype, seed=seed), kernels, reverse=reverse)


@pytest.mark.parametrize("decay", ["slow", "fast"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_slow_and_fast_decays_are_as_exact(kernels, decay, dtype, pick, make_scan, run_scan, hold_to_eager):
    shape = pick(kernels, (2, 150, 20, 6), (1, 20, 2, 6))
    hold_to_eager(run_scan, lambda seed: make_scan(*shape, dtype, decay, seed), kernels, copies=16)


@DIRECTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_packed_sequences_are_as_exact(kernels, dtype, reverse, pick, make_scan, run_scan, hold_to_eager, cu_seqlens):
    lengths = pick(kernels, [1, 64, 3, 65, 20], [1, 17, 2])
    sizes = pick(kernels, (18, 5), (3, 5))

    def make(seed):
        return make_scan(1, sum(lengths), *sizes, dtype, seed=seed, sequences=len(lengths))

    hold_to_eager(run_scan, make, kernels, reverse=reverse, cu_seqlens=cu_seqlens(lengths))


@pytest.mark.parametrize("left_out", ["D", "z", "delta_bias", "initial_state", "D z delta_bias initial_state"])
def test_each_option_may_be_left_out(kernels, left_out, pick, make_scan, run_scan, hold_to_eager):
    shape = pick(kernels, (2, 70, 18, 5), (1, 18, 3, 3))

    def make(seed):
        inputs = make_scan(*shape, torch.float32, seed=seed)
        return {name: tensor for name, tensor in inputs.items() if name not in left_out.split()}

    hold_to_eager(run_scan, make, kernels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_delta_without_softplus(kernels, dtype, pick, make_scan, run_scan, hold_to_eager):
    shape = pick(kernels, (2, 70, 18, 5), (1, 18, 3, 3))

    def make(seed):
        inputs = make_scan(*shape, dtype, seed=seed)
        return inputs | {name: inputs[name].abs() for name in ("delta", "delta_bias")}

    hold_to_eager(run_scan, make, kernels, delta_softplus=False)


def test_large_delta_passes_softplus_unchanged(kernels, pick, make_scan, run_scan, hold_to_eager):
    shape = pick(kernels, (2, 70, 18, 5), (1, 18, 3, 3))

    def make(seed):
        inputs = make_scan(*shape, torch.float32, seed=seed)
        return inputs | {"delta": torch.linspace(-40, 60, inputs["u"].numel()).view_as(inputs["u"])}

    hold_to_eager(run_scan, make, kernels)


def test_bfloat16_is_rounded_once(kernels, pick, make_scan, run_scan):
    inputs = make_scan(*pick(kernels, (2, 130, 33, 8), (1, 18, 3, 4)), torch.bfloat16)
    rounded = run_scan(inputs, backend=kernels)
    exact = run_scan({name: tensor.float() for name, tensor in inputs.items()}, backend=kernels)
    # Half a unit in the last place, or a whole one in the interpreter, which cuts bits off; and some of float32.
    half = pick(kernels, 2**-8, 2**-7) + 2**-14
    for name, tensor in exact.items():
        tolerance = half if rounded[name].dtype == torch.bfloat16 else 1e-4
        torch.testing.assert_close(rounded[name].float(), tensor, rtol=tolerance, atol=1e-5, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_same_call_gives_the_same_bits(kernels, dtype, pick, make_scan, run_scan):
    inputs = make_scan(*pick(kernels, (3, 700, 150, 16), (1, 17, 3, 2)), dtype)
    first, second = (run_scan(inputs, backend=kernels) for _ in range(2))
    for name, tensor in first.items():
        assert torch.equal(second[name], tensor), name


def test_without_gradients_the_bits_are_the_same(kernels, pick, make_scan, run_scan):
    inputs = make_scan(*pick(kernels, (2, 130, 33, 8), (1, 18, 3, 4)), torch.float32)
    expected = run_scan(inputs, backend=kernels)
    for name, tensor in run_scan(inputs, backend=kernels, gradients=False).items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FC00001, -1], ids=hex)
@pytest.mark.parametrize("name", ["u", "delta", "z"])
def test_nan_is_passed_on_and_stays_in_its_channel(backend, device, name, bits, make_scan):
    inputs = {name: tensor.to(device) for name, tensor in make_scan(1, 5, 20, 4, torch.float32).items()}
    inputs[name].view(torch.int32)[0, 2, 18] = bits
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    y = selective_scan(**leaves, delta_softplus=True, backend=backend)
    du, dA, dC = (grad.cpu().isnan() for grad in torch.autograd.grad(y.sum(), [leaves[x] for x in ("u", "A", "C")]))
    expected = torch.zeros(5, 20, dtype=torch.bool)
    expected[2 : 3 if name == "z" else 5, 18] = True
    assert torch.equal(y[0].isnan().cpu(), expected)
    # Backward takes the NaN of delta and z to the positions before it.
    expected[:, 18] = torch.tensor([name != "u"] * 3 + [False] * 2)
    assert torch.equal(du[0], expected)
    assert dA[18].all()
    assert not dA[:18].any()
    assert torch.equal(dC[0].all(1), torch.tensor([False, False, True, name != "z", name != "z"]))


@pytest.mark.slow
def test_a_million_positions_do_not_drift(kernels, pick):
    if pick(kernels, False, True):
        pytest.skip("takes hours in the interpreter")
    # A channel of each memory, decays of 1 - 2^-8 to 1 - 2^-20 a step, fed with ones.
    length = 2**20
    A = torch.log1p(-(2.0 ** -torch.arange(8.0, 21.0, dtype=torch.float64)))[:, None].float()
    u = torch.ones(1, length, len(A))
    one = torch.ones(1, length, 1)
    device = "cuda" if kernels == "triton" else "cpu"
    y = selective_scan(*(x.to(device) for x in (u, u, A, one, one)), backend=kernels)[0].double().cpu()
    steps = torch.arange(1, length + 1, dtype=torch.float64)[:, None]
    exact = torch.expm1(A.double().T * steps) / torch.expm1(A.double().T)
    # The loop of eager PyTorch: the decay, the product and the sum are rounded.
    decay, h = torch.exp(A[:, 0]).numpy(), np.zeros(len(A), np.float32)
    eager = np.empty((length, len(A)))
    for t in range(length):
        h = decay * h + np.float32(1)
        eager[t] = h
    error = (y / exact - 1).abs().amax(0)
    allowed = 2 * (torch.from_numpy(eager) / exact - 1).abs().amax(0) + 1e-6
    assert (error <= allowed).all()


@pytest.mark.slow
def test_more_than_two_to_the_31_numbers():
    require_memory(gibibytes=12)
    # Two channel blocks over many rows; u serves as delta too, and the end is compared with a short scan.
    length, d_inner = 2**26 + 70, 32
    assert length * d_inner > 2**31
    u = torch.zeros(1, length, d_inner, dtype=torch.bfloat16)
    u[:, -70:] = torch.rand(1, 70, d_inner)
    maps = torch.ones(1, length, 1, dtype=torch.bfloat16)
    A = -torch.rand(d_inner, 1)
    y, state = selective_scan(u, u, A, maps, maps, return_final_state=True)
    tail = [x[:, -70:].contiguous() for x in (u, maps)]
    expected, end = selective_scan(tail[0], tail[0], A, tail[1], tail[1], return_final_state=True)
    assert torch.equal(y[:, -70:], expected)
    assert torch.equal(state, end)
    assert not y[:, :-70].any()


def require_memory(gibibytes):
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        pytest.skip("this system does not say how much memory is free")
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < gibibytes * 2**30:
        pytest.skip(f"needs {gibibytes} GiB of free memory")
