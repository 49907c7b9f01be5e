"""Triton kernels compiled ahead of time, for a kind of GPU that need not be here: exactly what users run."""

from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from genomamba_kernels._triton_launch import Launch, Target, recorded
from genomamba_kernels.scan import triton_launch
from genomamba_kernels.scan.arguments import ScanArguments

TYPES = {
    torch.float32: "fp32", torch.bfloat16: "bf16", torch.float64: "fp64", torch.int64: "i64", torch.int32: "i32",
}  # fmt: skip


def specialise(launch: Launch) -> tuple[dict[str, str], dict[str, Any], dict[tuple[int], Any]]:
    """Return the types of arguments, constants and what is known of the others, as Triton finds them at a launch."""
    types: dict[str, str] = {}
    constants: dict[str, Any] = {}
    known: dict[tuple[int], Any] = {}
    for i, parameter in enumerate(launch.kernel.params):
        name, value = parameter.name, launch.arguments[parameter.name]
        if isinstance(value, torch.Tensor):
            types[name] = "*" + TYPES[value.dtype]
            known[(i,)] = [["tt.divisibility", 16]]
        elif parameter.is_constexpr or value is None or (value == 1 and not parameter.do_not_specialize):
            types[name] = "constexpr"
            constants[name] = value
        else:
            types[name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0 and not parameter.do_not_specialize:
                known[(i,)] = [["tt.divisibility", 16]]
    return types, constants, known


def compile_launch(launch: Launch, target: Target, max_registers: int | None = None) -> Any:
    """Compile what a launcher would start on a GPU of a kind; `asm` of the result holds the binary."""
    types, constants, known = specialise(launch)
    source = ASTSource(fn=launch.kernel, signature=types, constexprs=constants, attrs=known)
    options, gpu = launch.options, GPUTarget("hip", f"gfx{target.arch:x}", 64)
    if target.backend == "cuda":
        options |= {} if max_registers is None else {"maxnreg": max_registers}
        gpu = GPUTarget("cuda", target.arch, 32)
    return triton.compile(source, target=gpu, options=options)


def compile_forward(target: Target) -> int:
    """Compile the kernels of a forward scan of bfloat16 and 16 states, and return how many there are."""
    sequences = [torch.empty(1, 2**17, size, dtype=torch.bfloat16, device="meta") for size in (512, 512, 16, 16)]
    u, delta, B, C = sequences
    A = u.new_empty(512, 16, dtype=torch.float32)
    with recorded(target) as launches:
        triton_launch.forward(ScanArguments(u, delta, A, B, C, None, None, None, None, None, True, False), keep=False)
    for launch in launches:
        compile_launch(launch, target)
    return len(launches)
