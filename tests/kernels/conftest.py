"""Inputs of the kernels, their results by name on any backend, and the bar of exactness they are held to."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from genomamba_kernels import causal_conv1d, get_num_threads, selective_scan, set_num_threads
from genomamba_kernels._checks import HAS_TRITON

KERNELS = ("cpu", "triton")
BACKENDS = ("reference", *KERNELS)
SEQUENCES = ("u", "delta", "B", "C", "z", "x")
STATES = ("initial_state", "final state")
Inputs = dict[str, Tensor]
DRAWS = 3
DECAYS = {"mixed": 1.0, "slow": 1e-3, "fast": 30.0}


def device_of(backend: str) -> torch.device:
    """Where a backend runs: Triton on the GPU where there is one, and else in its interpreter on the CPU."""
    return torch.device("cuda" if backend == "triton" and torch.cuda.is_available() else "cpu")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn."""
    return _installed(request.param)


@pytest.fixture(params=KERNELS)
def kernels(request: pytest.FixtureRequest) -> str:
    """Each backend in turn but the reference."""
    return _installed(request.param)


@pytest.fixture
def device(backend: str) -> torch.device:
    """The device of `backend`."""
    return device_of(backend)


def _installed(backend: str) -> str:
    if backend == "triton" and not HAS_TRITON:
        pytest.skip("triton is not installed")
    return backend


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
    """Random inputs of the scan with every optional one: sequences in a dtype, the others in the state's.

    `sequences` is the number of initial states where it is not that of the batch: of sequences packed in one.
    """

    def make(
        batch: int,
        length: int,
        d_inner: int,
        d_state: int,
        dtype: torch.dtype,
        decay: str = "mixed",
        seed: int = 0,
        sequences: int | None = None,
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
            "initial_state": random(sequences or batch, d_inner, d_state),
        }
        return _cast(inputs, dtype)

    return make


@pytest.fixture
def make_conv() -> Callable[..., Inputs]:
    """Random inputs of the convolution with every optional one; `sequences` as in `make_scan`."""

    def make(
        batch: int,
        length: int,
        d_inner: int,
        d_conv: int,
        dtype: torch.dtype,
        seed: int = 0,
        sequences: int | None = None,
    ) -> Inputs:
        random = _random(seed)
        inputs = {
            "x": random(batch, length, d_inner),
            "weight": random(d_inner, d_conv),
            "bias": random(d_inner),
            "initial_state": random(sequences or batch, d_conv - 1, d_inner),
        }
        return _cast(inputs, dtype)

    return make


@pytest.fixture
def run_scan() -> Callable[..., Inputs]:
    """Output, final state and every gradient of the scan, by name, on the CPU.

    It takes inputs of any device to that of the backend. `seeds` are the gradients of output and final state,
    random ones where they are not given.
    """

    def run(inputs: Inputs, **options: Any) -> Inputs:
        return _run(selective_scan, inputs, **{"delta_softplus": True} | options)

    return run


@pytest.fixture
def run_conv() -> Callable[..., Inputs]:
    """Output, final state and every gradient of the convolution, by name, as in `run_scan`."""

    def run(inputs: Inputs, **options: Any) -> Inputs:
        return _run(causal_conv1d, inputs, **options)

    return run


@pytest.fixture
def run_one_by_one() -> Callable[..., Inputs]:
    """Results of sequences of some lengths run alone, put together as a packed run gives them.

    Call it with `run_scan` or `run_conv`, the packed inputs, and the lengths.
    """

    def run_each(run: Callable[..., Inputs], inputs: Inputs, lengths: list[int], **options: Any) -> Inputs:
        y, state = _seeds(inputs, len(lengths))
        parts = []
        for i, (start, end) in enumerate(itertools.pairwise(borders(lengths).tolist())):
            alone = {}
            for name, tensor in inputs.items():
                own = slice(start, end) if name in SEQUENCES else slice(i, i + 1)
                whole = name not in (*SEQUENCES, *STATES)
                alone[name] = tensor if whole else tensor[:, own] if name in SEQUENCES else tensor[own]
            parts.append(run(alone, seeds=(y[:, start:end], state[i : i + 1]), **options))
        together = {}
        for name in parts[0]:
            tensors = [part[name] for part in parts]
            kind = name.removeprefix("grad ")
            if kind in (*SEQUENCES, "y"):
                together[name] = torch.cat(tensors, dim=1)
            else:
                together[name] = torch.cat(tensors) if kind in STATES else torch.stack(tensors).sum(0)
        return together

    return run_each


def borders(lengths: list[int]) -> Tensor:
    """Return the `cu_seqlens` of sequences of some lengths."""
    return torch.tensor([0, *itertools.accumulate(lengths)])


@pytest.fixture
def cu_seqlens() -> Callable[[list[int]], Tensor]:
    """Borders of sequences of some lengths, packed end to end."""
    return borders


@pytest.fixture
def hold_to_eager() -> Callable[..., None]:
    """Check the errors of a backend against twice those of eager PyTorch in the same dtype.

    Errors are the largest of a channel over three draws. One draw would be luck: along a sequence errors
    are of a piece, so that a channel has few of them. A tensor with few numbers a channel is taken whole.
    """

    def check(run: Callable[..., Inputs], make: Callable[[int], Inputs], backend: str = "cpu", **options: Any) -> None:
        errors: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        for seed in range(DRAWS):
            inputs = make(seed)
            doubles = {name: tensor.double() for name, tensor in inputs.items()}
            exact = run(doubles, backend="reference", **options)
            eager = run(inputs, backend="reference", device=device_of(backend), **options)
            fast = run(inputs, backend=backend, **options)
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


def _seeds(inputs: Inputs, sequences: int | None) -> tuple[Tensor, Tensor]:
    """Random gradients of the output and of the final states."""
    random = _random(seed=1)
    sequence = next(tensor for name, tensor in inputs.items() if name in SEQUENCES)
    batch, _, width = sequence.shape
    state = inputs["A"].shape if "A" in inputs else (inputs["weight"].shape[1] - 1, width)
    return random(*sequence.shape), random(sequences or batch, *state)


def _run(
    function: Callable[..., Any],
    inputs: Inputs,
    backend: str = "cpu",
    device: torch.device | None = None,
    seeds: tuple[Tensor, Tensor] | None = None,
    **options: Any,
) -> Inputs:
    device = device or device_of(backend)
    leaves = {name: tensor.detach().to(device).clone().requires_grad_() for name, tensor in inputs.items()}
    outputs = function(**leaves, **options, backend=backend, return_final_state=True)
    seeds = seeds or _seeds(inputs, len(outputs[1]))
    torch.autograd.backward(outputs, [seed.to(y) for seed, y in zip(seeds, outputs, strict=True)])
    results = dict(zip(("y", "final state"), outputs, strict=True))
    for name, leaf in leaves.items():
        assert leaf.grad is not None, name
        results[f"grad {name}"] = leaf.grad
    return {name: tensor.detach().cpu() for name, tensor in results.items()}
