"""Inputs of the kernels, their gradients by name, and the bar of exactness that all kernels are held to."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from genomamba_kernels import causal_conv1d, get_num_threads, selective_scan, set_num_threads

SEQUENCES = ("u", "delta", "B", "C", "z", "x")
Inputs = dict[str, Tensor]
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
def assert_as_exact_as_eager() -> Callable[[Inputs, Inputs, Inputs], None]:
    """Check an error, channel by channel, against twice that of eager PyTorch in the same dtype."""
    def check(fast: Inputs, eager: Inputs, exact: Inputs) -> None:
        assert fast.keys() == eager.keys() == exact.keys()
        for name, expected in exact.items():
            actual, key = fast[name], name.removeprefix("grad ")
            assert actual.dtype == eager[name].dtype, name
            assert actual.shape == expected.shape, name
            # The largest of few errors is luck: a tensor with few numbers a channel is taken whole.
            a_sequence = expected.dim() == 3 and not key.endswith("state")
            by_channel = a_sequence and expected.shape[0] * expected.shape[1] >= 100
            axes = (0, 1) if by_channel else tuple(range(expected.dim()))
            error = (actual.double() - expected).abs().amax(axes)
            # float64 is its own reference: what it allows is some roundings of the largest number.
            roundings = 32 if actual.dtype == torch.float64 else 2
            rounding = roundings * torch.finfo(actual.dtype).eps * expected.abs().amax(axes)
            allowed = 2 * (eager[name].double() - expected).abs().amax(axes) + rounding
            worst = (error / allowed.clamp(min=1e-300)).max().item()
            assert (error <= allowed).all(), f"{name}: {worst:.2f} times the error allowed"

    return check


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
