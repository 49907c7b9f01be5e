"""Laws of the selective scan: cuts, direction, batch and threads change no number."""

import pytest
import torch

from genomamba_kernels import selective_scan, selective_scan_step, set_num_threads
from genomamba_kernels.scan import cpu_plan

ALONG_LENGTH = ("u", "delta", "B", "C", "z")


def cut(inputs, start, end):
    return {name: tensor[:, start:end] if name in ALONG_LENGTH else tensor for name, tensor in inputs.items()}


def flip(results):
    return {name: tensor.flip(1) if name.removeprefix("grad ") in (*ALONG_LENGTH, "y") else tensor
            for name, tensor in results.items()}  # fmt: skip


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("place", range(5))
def test_any_cut_gives_the_same(backend, device, place, reverse, pick, make_scan):
    # At, before and after the edges of chunks.
    length, *sizes = pick(backend, (130, 17, 5), (18, 3, 2))
    place = pick(backend, (1, 63, 64, 100, 129), (1, 8, 15, 16, 17))[place]
    inputs = make_scan(2, length, *sizes, torch.float64)
    leaves = {name: tensor.to(device).requires_grad_() for name, tensor in inputs.items()}
    options = {"delta_softplus": True, "reverse": reverse, "backend": backend, "return_final_state": True}
    whole = selective_scan(**leaves, **options)
    pieces = [(0, place), (place, length)]
    state, ys = leaves["initial_state"], []
    for start, end in reversed(pieces) if reverse else pieces:
        y, state = selective_scan(**{**cut(leaves, start, end), "initial_state": state}, **options)
        ys.append(y)
    y = torch.cat(ys[::-1] if reverse else ys, dim=1)
    torch.testing.assert_close((y, state), whole, rtol=1e-10, atol=1e-10)

    weights = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(device)
    expected = torch.autograd.grad((whole[0] * weights).sum() + whole[1].sum(), list(leaves.values()))
    actual = torch.autograd.grad((y * weights).sum() + state.sum(), list(leaves.values()))
    for name, one, other in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=f"gradient of {name}")


def test_a_cut_between_chunks_gives_the_same_bits_in_float32(make_scan):
    inputs = make_scan(1, 192, 17, 5, torch.float32)
    whole, end = selective_scan(**inputs, delta_softplus=True, return_final_state=True)
    first, state = selective_scan(**cut(inputs, 0, 128), delta_softplus=True, return_final_state=True)
    rest = {**cut(inputs, 128, 192), "initial_state": state}
    second, state = selective_scan(**rest, delta_softplus=True, return_final_state=True)
    assert torch.equal(torch.cat([first, second], dim=1), whole)
    assert torch.equal(state, end)


def step_by_step(inputs, backend):
    state, ys = inputs["initial_state"], []
    for t in range(inputs["u"].shape[1]):
        u, delta, B, C, z = (inputs[name][:, t] for name in ALONG_LENGTH)
        rest = {name: inputs[name] for name in ("D", "delta_bias")}
        y, state = selective_scan_step(
            state, u, delta, inputs["A"], B, C, z=z, delta_softplus=True, backend=backend, **rest
        )
        ys.append(y)
    return torch.stack(ys, dim=1), state


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_step_by_step_is_the_whole(kernels, dtype, pick, make_scan):
    inputs = make_scan(2, *pick(kernels, (70, 17, 5), (5, 3, 2)), dtype)
    inputs = {name: tensor.to(pick.device(kernels)) for name, tensor in inputs.items()}
    y, state = selective_scan(**inputs, delta_softplus=True, backend=kernels, return_final_state=True)
    ys, end = step_by_step(inputs, kernels)
    assert (ys.dtype, end.dtype) == (y.dtype, state.dtype)
    # Within the last digits: a kernel that takes several positions may form their products in another order.
    torch.testing.assert_close(ys, y, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)
    torch.testing.assert_close(end, state, rtol=1e-5, atol=1e-5)


def test_step_by_step_has_the_same_gradients(backend, device, pick, make_scan):
    inputs = make_scan(2, *pick(backend, (6, 17, 5), (3, 2, 2)), torch.float64)
    leaves = {name: tensor.to(device).requires_grad_() for name, tensor in inputs.items()}
    whole, end = selective_scan(**leaves, delta_softplus=True, backend=backend, return_final_state=True)
    y, state = step_by_step(leaves, backend)
    torch.testing.assert_close((y, state), (whole, end), rtol=1e-12, atol=1e-12)
    expected = torch.autograd.grad(whole.square().sum() + end.square().sum(), list(leaves.values()))
    actual = torch.autograd.grad(y.square().sum() + state.square().sum(), list(leaves.values()))
    for name, one, other in zip(leaves, actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, msg=f"gradient of {name}")


def test_reverse_is_flip_scan_flip(backend, device, pick, make_scan, run_scan):
    inputs = {n: t.to(device) for n, t in make_scan(2, *pick(backend, (75, 18, 5), (34, 3, 2)), torch.float64).items()}
    backwards = run_scan(inputs, reverse=True, backend=backend)
    # The gradient that comes in is drawn by position, so it is flipped as well.
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    flipped = {name: tensor.flip(1) if name in ALONG_LENGTH else tensor for name, tensor in leaves.items()}
    y, state = selective_scan(**flipped, delta_softplus=True, return_final_state=True, backend=backend)
    y = y.flip(1)
    torch.testing.assert_close(
        (y.cpu(), state.cpu()), (backwards["y"], backwards["final state"]), rtol=1e-12, atol=1e-12
    )
    generator = torch.Generator().manual_seed(1)
    random = (torch.randn(x.shape, generator=generator, dtype=torch.float64) for x in (y, state))
    seeds = [one.bfloat16().double().to(device) for one in random]
    torch.autograd.backward([y, state], seeds)
    for name, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad.cpu(), backwards[f"grad {name}"], rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_row_does_not_depend_on_its_batch(dtype, make_scan, run_scan):
    shared = ("A", "D", "delta_bias")
    inputs = make_scan(3, 130, 80, 8, dtype)
    together = run_scan(inputs)
    leaves = {name: t.clone().requires_grad_() for name, t in inputs.items()}
    generator = torch.Generator().manual_seed(1)
    dy, dh = (
        torch.randn(inputs[name].shape, generator=generator, dtype=torch.float64).bfloat16()
        for name in ("u", "initial_state")
    )
    dy, dh = dy.to(dtype), dh.float()
    for row in range(3):
        alone = {name: t if name in shared else t[row : row + 1] for name, t in leaves.items()}
        y, state = selective_scan(**alone, delta_softplus=True, return_final_state=True)
        torch.autograd.backward([y, state], [dy[row : row + 1], dh[row : row + 1]])
        assert torch.equal(y[0], together["y"][row])
        assert torch.equal(state[0], together["final state"][row])
    for name, leaf in leaves.items():
        if name not in shared:
            assert torch.equal(leaf.grad, together[f"grad {name}"]), name


def test_a_row_of_triton_does_not_depend_on_its_batch(pick, make_scan, run_scan):
    # Where the chunks lie follows the work of the whole batch, so all but the last digits are the same.
    pytest.importorskip("triton")
    shared = ("A", "D", "delta_bias")
    inputs = make_scan(3, *pick("triton", (3000, 80, 8), (34, 3, 2)), torch.float64)
    together = run_scan(inputs, backend="triton", gradients=False)
    for row in range(3):
        alone = {name: t if name in shared else t[row : row + 1] for name, t in inputs.items()}
        for name, tensor in run_scan(alone, backend="triton", gradients=False).items():
            torch.testing.assert_close(tensor[0], together[name][row], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_threads_change_no_bit(dtype, make_scan, run_scan, monkeypatch):
    monkeypatch.setattr(cpu_plan, "SMALL", 0)
    inputs = make_scan(2, 200, 150, 5, dtype)
    set_num_threads(1)
    expected = run_scan(inputs)
    for threads in (2, 3, 7):
        set_num_threads(threads)
        actual = run_scan(inputs)
        for name, tensor in expected.items():
            assert torch.equal(actual[name], tensor), f"{name} on {threads} threads"


def test_threads_that_share_a_block_of_channels_change_no_bit(make_scan, run_scan, monkeypatch):
    # They walk its states in groups, for long enough that they are at it together.
    monkeypatch.setattr(cpu_plan, "SMALLEST_TURN", 0)
    inputs = make_scan(1, 400_000, 16, 8, torch.float32)
    set_num_threads(1)
    expected = run_scan(inputs)
    for threads in (2, 7):
        set_num_threads(threads)
        actual = run_scan(inputs)
        for name, tensor in expected.items():
            assert torch.equal(actual[name], tensor), f"{name} on {threads} threads"


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_size_of_a_turn_changes_no_bit(reverse, make_scan, run_scan, monkeypatch):
    inputs = make_scan(2, 300, 70, 5, torch.float32)
    expected = run_scan(inputs, reverse=reverse)
    # Less than one chunk: every chunk is a turn of its own.
    monkeypatch.setattr(cpu_plan, "KEPT_KIB", 0)
    monkeypatch.setattr(cpu_plan, "SMALLEST_TURN", 0)
    actual = run_scan(inputs, reverse=reverse)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


def test_outputs_are_causal(backend, device, pick, make_scan):
    length, *sizes = pick(backend, (100, 17, 5), (25, 3, 2))
    place = pick(backend, 70, 18)
    inputs = {name: tensor.to(device) for name, tensor in make_scan(1, length, *sizes, torch.float32).items()}
    y = selective_scan(**inputs, delta_softplus=True, backend=backend)
    for name in ALONG_LENGTH:
        changed = {**inputs, name: inputs[name].clone()}
        changed[name][:, place] += 1
        other = selective_scan(**changed, delta_softplus=True, backend=backend)
        assert torch.equal(other[:, :place], y[:, :place]), name
        assert not torch.equal(other[:, place], y[:, place]), name
