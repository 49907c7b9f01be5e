"""The bar of exactness that kernels are held to: their errors beside those of eager PyTorch in the same dtype."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Inputs = dict[str, Tensor]
COPIES = 8
"""Copies of the inputs on which errors are measured, unless more are asked for."""
FEW = 64
"""Numbers of a channel, in a copy, below which it is not looked at alone."""


def device_of(backend: str) -> torch.device:
    """Where a backend runs: Triton on the GPU where there is one, and else in its interpreter on the CPU."""
    return torch.device("cuda" if backend == "triton" and torch.cuda.is_available() else "cpu")


def is_interpreted(backend: str) -> bool:
    """Say whether a backend runs in Triton's interpreter."""
    return backend == "triton" and device_of(backend).type == "cpu"


def make_random(seed: int) -> Callable[..., Tensor]:
    """Return a function that draws normal numbers of a shape, in float64."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


class Errors:
    """Errors of one result, ours and those of eager PyTorch, on copies of the same inputs.

    Rounding is luck: with one set of inputs a channel may hang on a few numbers that eager happens to round well. So
    the inputs of each copy are changed a little, which leaves values and their condition as they are, and rounds
    everything anew. The root mean square of all numbers of a channel, over the copies, may be twice eager's and one eps
    of the root mean square of the results. Eager's counts at least as much as that of the median channel, relative to
    the results: a channel of slow decays has one error for all its positions. One wrong position among a hundred adds a
    tenth of its error to the mean, and faults are a thousand times what is allowed.

    Where a channel has few numbers, as those of parameters and states have, luck remains. There it is the mean
    square over the channels, of the share of the allowed error that each takes, that may not pass one. In
    the interpreter, where there is time for one copy alone, the largest errors of a channel are compared, its own in
    that copy and eager's in all.
    """

    def __init__(self, axis: int) -> None:
        self.axis = axis
        """The axis of the channels."""
        self.eps = 0.0
        self.exact: list[Tensor] = []
        self.eager: list[Tensor] = []
        self.ours: list[Tensor] = []

    def worst(self) -> float:
        """Return the share of the error allowed that the worst channel takes, or all channels together."""
        measure = _root_mean_square if len(self.ours) == len(self.eager) else _largest
        ours, eager, size = (measure(self._by_channel(copies)) for copies in (self.ours, self.eager, self.exact))
        # GPUs round to 0 below the smallest normal number.
        size = size.clamp(min=torch.finfo(torch.float32).tiny)
        allowed = 2 * torch.maximum(eager, (eager / size).median() * size) + self.eps * size
        # What is not a number is as wrong as can be.
        shares = (ours / allowed).nan_to_num(nan=math.inf)
        few = self.exact[0].numel() < FEW * len(shares)
        return (_root_mean_square(shares[None]) if few else shares.max()).item()

    def _by_channel(self, copies: list[Tensor]) -> Tensor:
        return torch.stack(copies).movedim(self.axis + 1, 0).flatten(1)


def measure_errors(
    run: Callable[..., Inputs], inputs: Inputs, backend: str, copies: int = COPIES, **options: Any
) -> dict[str, Errors]:
    """Return the errors of each result of `run`, by name, against the reference in float64."""
    errors: dict[str, Errors] = {}
    for i in range(copies):
        copy = _change(inputs, seed=i)
        exact = run({name: tensor.double() for name, tensor in copy.items()}, backend="reference", **options)
        eager, dtypes = _eager_errors(run, copy, exact, device_of(backend), options)
        ours = run(copy, backend=backend, **options) if i == 0 or not is_interpreted(backend) else {}
        for name, expected in exact.items():
            one = errors.setdefault(name, Errors(_channel_axis(name, expected, inputs)))
            one.exact.append(expected)
            one.eager.append(eager[name])
            if ours:
                assert ours[name].shape == expected.shape, name
                assert ours[name].dtype == dtypes[name], name
                one.eps = torch.finfo(ours[name].dtype).eps
                one.ours.append(ours[name].double() - expected)
    return errors


def _channel_axis(name: str, result: Tensor, inputs: Inputs) -> int:
    if result.dim() < 3:
        return 0
    # States of the scan are (sequences, channels, states), those of the convolution (sequences, positions, channels).
    is_conv = "weight" in inputs or "conv" in name
    return 1 if name.endswith("state") and not is_conv else 2


def _change(inputs: Inputs, seed: int) -> Inputs:
    """Return inputs changed by a thousandth, or as much as their dtype can tell."""
    random = make_random(seed)
    changed = {}
    for name, tensor in inputs.items():
        factor = 1 + max(1e-3, torch.finfo(tensor.dtype).eps) * random(*tensor.shape)
        changed[name] = (tensor.double() * factor).to(tensor.dtype)
    return changed


def _eager_errors(
    run: Callable[..., Inputs], inputs: Inputs, exact: Inputs, device: torch.device, options: dict[str, Any]
) -> tuple[Inputs, dict[str, torch.dtype]]:
    """Return results of eager PyTorch minus the exact ones, in float64, and the dtypes that results have."""
    if all(tensor.dtype != torch.float64 for tensor in inputs.values()):
        eager = run(inputs, backend="reference", device=device, **options)
        errors = {name: tensor.double() - exact[name] for name, tensor in eager.items()}
        return errors, {name: tensor.dtype for name, tensor in eager.items()}
    # Nothing here is more exact than float64. Its errors are those of float32, scaled down; half as large again, since
    # what passes for exact has errors of its own.
    single = {name: tensor.float() for name, tensor in inputs.items()}
    rounded = run({name: tensor.double() for name, tensor in single.items()}, backend="reference", **options)
    eager = run(single, backend="reference", device=device, **options)
    scale = 1.5 * torch.finfo(torch.float64).eps / torch.finfo(torch.float32).eps
    errors = {name: scale * (tensor.double() - rounded[name]) for name, tensor in eager.items()}
    return errors, dict.fromkeys(errors, torch.float64)


def _root_mean_square(numbers: Tensor) -> Tensor:
    return numbers.square().mean(1).sqrt()


def _largest(numbers: Tensor) -> Tensor:
    return numbers.abs().amax(1)
