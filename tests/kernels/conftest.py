"""Inputs of the kernels, their results by name on any backend, and the bar of exactness they are held to."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from exactness import Inputs, device_of, is_interpreted, make_random, measure_errors
from genomamba_kernels import causal_conv1d, get_num_threads, selective_scan, set_num_threads
from genomamba_kernels._checks import HAS_TRITON

KERNELS = ("cpu", "triton")
BACKENDS = ("reference", *KERNELS)
SEQUENCES = ("u", "delta", "B", "C", "z", "x")
STATES = ("initial_state", "final state")
DECAYS = {"mixed": 1.0, "slow": 1e-3, "fast": 30.0}


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


class Pick:
    """What a test of a backend may take: the sizes that suit it, and its device."""

    def __call__(self, backend: str, large: Any, small: Any) -> Any:
        """Return `small` for the interpreter, which takes milliseconds a position, and else `large`."""
        return small if is_interpreted(backend) else large

    def device(self, backend: str) -> torch.device:
        """Return where a backend runs."""
        return device_of(backend)


@pytest.fixture
def pick() -> Pick:
    """Sizes and devices by backend."""
    return Pick()


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give sequences several chunks in the interpreter, too."""
    if HAS_TRITON and is_interpreted("triton"):
        from genomamba_kernels.scan import triton_plan

        monkeypatch.setattr(triton_plan, "SHORTEST_CHUNK", 16)


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
        random = make_random(seed)
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
        random = make_random(seed)
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

    Inputs of any device are taken to that of the backend. `seeds` are the gradients of output and final state, random
    ones where they are not given; `gradients` names the inputs that need one, all by default.
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
    """Check that errors of a backend are at most twice those of eager PyTorch in the same dtype, in every channel.

    It takes a function like `run_scan`, one that makes inputs from a seed, and a backend; see `Errors` for the bar.
    """

    def check(run: Callable[..., Inputs], make: Callable[[int], Inputs], backend: str = "cpu", **options: Any) -> None:
        for name, errors in measure_errors(run, make(0), backend, **options).items():
            worst = errors.worst()
            assert worst <= 1, f"{name}: {worst:.2f} times the error allowed"

    return check


def _cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return {name: tensor.to(dtype if name in SEQUENCES else wide) for name, tensor in inputs.items()}


def _seeds(inputs: Inputs, sequences: int | None) -> tuple[Tensor, Tensor]:
    """Random gradients of the output and of the final states, numbers that every dtype holds."""
    random = make_random(seed=1)
    sequence = next(tensor for name, tensor in inputs.items() if name in SEQUENCES)
    batch, _, width = sequence.shape
    state = inputs["A"].shape if "A" in inputs else (inputs["weight"].shape[1] - 1, width)
    seeds = random(*sequence.shape), random(sequences or batch, *state)
    return seeds[0].bfloat16().double(), seeds[1].bfloat16().double()


def _run(
    function: Callable[..., Any],
    inputs: Inputs,
    backend: str = "cpu",
    device: torch.device | None = None,
    seeds: tuple[Tensor, Tensor] | None = None,
    gradients: bool | list[str] = True,
    **options: Any,
) -> Inputs:
    device = device or device_of(backend)
    leaves = {name: tensor.detach().to(device).clone() for name, tensor in inputs.items()}
    wanted = (list(leaves) if gradients else []) if isinstance(gradients, bool) else gradients
    for name in wanted:
        leaves[name].requires_grad_()
    outputs = function(**leaves, **options, backend=backend, return_final_state=True)
    results = dict(zip(("y", "final state"), outputs, strict=True))
    if wanted:
        seeds = seeds or _seeds(inputs, len(outputs[1]))
        torch.autograd.backward(outputs, [seed.to(y) for seed, y in zip(seeds, outputs, strict=True)])
    for name in wanted:
        assert leaves[name].grad is not None, name
        results[f"grad {name}"] = leaves[name].grad
    return {name: tensor.detach().cpu() for name, tensor in results.items()}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in the quick suite, of what takes seconds in the interpreter, how exact the kernels are.

    What else Triton does is left to the thorough one, in float32. Walking backwards is left to the slow one, since
    `test_reverse_is_flip_scan_flip` holds it to the walk forwards, and so are the other dtypes.
    """
    if not is_interpreted("triton"):
        return
    for item in items:
        if item.path.parent == Path(__file__).parent and "triton" in item.name:
            words = {*re.split(r"[\[\]-]", item.name)}
            is_exactness = "as_exact_as_eager" in item.name
            if "backwards" in words or (not is_exactness and {"torch.float64", "torch.bfloat16"} & words):
                item.add_marker(pytest.mark.slow)
            elif not is_exactness:
                item.add_marker(pytest.mark.thorough)
