"""Inputs of the kernels, their gradients by name, and the bar of exactness that all kernels are held to."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from genomamba_kernels import causal_conv1d, get_num_threads, selective_scan, set_num_threads

SEQUENCES = ("u", "delta", "B", "C", "z", "x")
Inputs = dict[str, Tensor]
DRAWS = 3
DECAYS = {"mixed": 1.0, "slow": 1e-3, "fast": 30.0}


@pytest.fixture(autouse=True)
def _poisoned_memory() -> Iterator[None]:
    """Fill whatever torch.empty returns with NaN: outputs, scratch, and states between chunks."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    count = get_num_threads()
    yield
    set_num_threads(count)


@pytest.fixture
def make_scan() -> Callable[..., Inputs]:
    """Random inputs of the scan with every optional one: sequences in a dtype, the others in the state's."""

    def make(
        batch: int, length: int, d_inner: int, d_state: int, dtype: torch.dtype, decay: str = "mixed", seed: int = 0
    ) -> Inputs:
        random = _random(seed)
        inputs = {
            "u": random(batch, length, d_inner),
            "delta": random(batch, length, d_inner) - 1,
            "A": -DECAYS[decay] * random(d_inner, d_state).abs(),
            "B": random(batch, length, d_state),
            "C": random(batch, length, d_state),
            "D": random(d_inner),
            "z": random(batch, length, d_inner),
            "delta_bias": random(d_inner),
            "initial_state": random(batch, d_inner, d_state),
        }
        return _cast(inputs, dtype)

    return make


@pytest.fixture
def make_conv() -> Callable[..., Inputs]:
    """Random inputs of the convolution with every optional one."""

    def make(batch: int, length: int, d_inner: int, d_conv: int, dtype: torch.dtype, seed: int = 0) -> Inputs:
        random = _random(seed)
        inputs = {
            "x": random(batch, length, d_inner),
            "weight": random(d_inner, d_conv),
            "bias": random(d_inner),
            "initial_state": random(batch, d_conv - 1, d_inner),
        }
        return _cast(inputs, dtype)

    return make


@pytest.fixture
def run_scan() -> Callable[..., Inputs]:
    """Output, final state and every gradient of the scan, by name."""

    def run(inputs: Inputs, **options: Any) -> Inputs:
        options = {"delta_softplus": True} | options
        return _run(selective_scan, inputs, options)

    return run


@pytest.fixture
def run_conv() -> Callable[..., Inputs]:
    """Output, final state and every gradient of the convolution, by name."""

    def run(inputs: Inputs, **options: Any) -> Inputs:
        return _run(causal_conv1d, inputs, options)

    return run


@pytest.fixture
def hold_to_eager() -> Callable[..., None]:
    """Check the errors of the CPU backend against twice those of eager PyTorch in the same dtype.

    Errors are the largest of a channel over three draws. One draw would be luck: along a sequence errors
    are of a piece, so that a channel has few of them. A tensor with few numbers a channel is taken whole.
    """

    def check(run: Callable[..., Inputs], make: Callable[[int], Inputs], **options: Any) -> None:
        errors: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        for seed in range(DRAWS):
            inputs = make(seed)
            doubles = {name: tensor.double() for name, tensor in inputs.items()}
            exact = run(doubles, backend="reference", **options)
            eager = run(inputs, backend="reference", **options)
            fast = run(inputs, backend="cpu", **options)
            assert fast.keys() == eager.keys() == exact.keys()
            for name, expected in exact.items():
                actual = fast[name]
                assert actual.dtype == eager[name].dtype, name
                assert actual.shape == expected.shape, name
                axes = _axes_of_a_channel(name, expected)
                error = (actual.double() - expected).abs().amax(axes)
                # float64 is its own reference: what it allows is some roundings of the largest number.
                roundings = 32 if actual.dtype == torch.float64 else 4
                rounding = roundings * torch.finfo(actual.dtype).eps * expected.abs().amax(axes)
                eager_error = (eager[name].double() - expected).abs().amax(axes)
                errors.setdefault(name, []).append((error, eager_error, rounding))
        for name, draws in errors.items():
            error, eager_error, rounding = (torch.stack(part).amax(0) for part in zip(*draws, strict=True))
            # A channel where eager was lucky is held to the median one.
            allowed = 2 * eager_error.clamp(min=eager_error.median()) + rounding
            worst = (error / allowed.clamp(min=1e-300)).max().item()
            assert (error <= allowed).all(), f"{name}: {worst:.2f} times the error allowed"

    return check


def _axes_of_a_channel(name: str, tensor: Tensor) -> tuple[int, ...]:
    """Axes of a tensor without that of the channels, or all of them where a channel has few numbers."""
    a_sequence = tensor.dim() == 3 and not name.endswith("state")
    by_channel = a_sequence and tensor.shape[0] * tensor.shape[1] >= 100
    return (0, 1) if by_channel else tuple(range(tensor.dim()))


def _random(seed: int) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def _cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return {name: tensor.to(dtype if name in SEQUENCES else wide) for name, tensor in inputs.items()}


def _run(function: Callable[..., Any], inputs: Inputs, options: dict[str, Any]) -> Inputs:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    y, final_state = function(**leaves, **options, return_final_state=True)
    random = _random(seed=1)
    seeds = [random(*tensor.shape).to(tensor.dtype) for tensor in (y, final_state)]
    torch.autograd.backward([y, final_state], seeds)
    results = {"y": y.detach(), "final state": final_state.detach()}
    for name, leaf in leaves.items():
        assert leaf.grad is not None, name
        results[f"grad {name}"] = leaf.grad
    return results
