"""The one way in which this package starts a Triton kernel.

Inside `recorded` nothing is started: launchers run as always, on tensors of the device "meta", and what they would have
started is listed. So `benchmarks/compiled.py` compiles ahead of time, for any GPU and on none, exactly what users run.
A launcher has nothing to register. It calls `launch`, and allocates all memory on the device of its arguments.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch


class Launch(NamedTuple):
    """A kernel, and what it is started with."""

    kernel: Any
    """The function under `triton.jit`."""
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    """Tensors, numbers, None, and those that the kernel calls constexpr."""
    num_warps: int
    max_registers: int | None
    """Limit on the registers of a thread; NVIDIA only."""
    work: int
    """State updates, or outputs, of one turn of the innermost loop of a program; 0 where none is worth counting."""

    @property
    def options(self) -> dict[str, Any]:
        """Options of the compiler."""
        # Without the word, whether multiplications and additions are fused depends on the version of Triton.
        options = {"num_warps": self.num_warps, "enable_fp_fusion": True}
        return options if self.max_registers is None else options | {"maxnreg": self.max_registers}


class Target(NamedTuple):
    """The kind of GPU that kernels are planned for."""

    backend: str
    """ "cuda" or "hip"."""
    arch: int
    """Compute capability, such as 90; for "hip" the digits of gfx in base 16, such as 0x942."""


_recorder: contextvars.ContextVar[tuple[Target, list[Launch]] | None] = contextvars.ContextVar("recorder", default=None)


def launch(
    kernel: Any,
    grid: tuple[int, ...],
    num_warps: int,
    *,
    max_registers: int | None = None,
    work: int = 0,
    **arguments: Any,
) -> None:
    """Start a kernel on the device of its arguments, or list it."""
    it = Launch(kernel, grid, arguments, num_warps, max_registers, work)
    recorder = _recorder.get()
    if recorder is not None:
        recorder[1].append(it)
        return
    device = next(x.device for x in arguments.values() if isinstance(x, torch.Tensor))
    # Triton starts kernels on the current device, wherever the tensors are.
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[grid](**arguments, **it.options)


@contextlib.contextmanager
def recorded(target: Target) -> Iterator[list[Launch]]:
    """List what would be started on a GPU of a kind, and start nothing."""
    launches: list[Launch] = []
    token = _recorder.set((target, launches))
    try:
        yield launches
    finally:
        _recorder.reset(token)


def target_of(device: torch.device) -> Target:
    """Return the kind of a GPU; for the interpreter, on the CPU, one of many."""
    recorder = _recorder.get()
    if recorder is not None:
        return recorder[0]
    if device.type != "cuda":
        return Target("cuda", 80)
    if torch.version.hip is not None:
        name = torch.cuda.get_device_properties(device).gcnArchName
        return Target("hip", int(name.split(":")[0].removeprefix("gfx"), 16))
    major, minor = torch.cuda.get_device_capability(device)
    return Target("cuda", 10 * major + minor)
