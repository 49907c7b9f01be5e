"""What LLVM makes of the CPU kernels for processors with AVX-512, AVX2 and NEON, read from the assembly.

    python benchmarks/vectors.py

Any machine will do: the scan is compiled here, and its code made again for each processor. For each innermost loop
that does the work, a row gives the fused multiply-adds, those of them that fill a register, all instructions, and how
many of these touch the stack or call something.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from typing import NamedTuple
from unittest.mock import patch

import llvmlite.binding as llvm
import torch

from genomamba_kernels import selective_scan
from genomamba_kernels.scan.cpu_backward import scan_backward
from genomamba_kernels.scan.cpu_forward import scan_forward


class Processor(NamedTuple):
    """A processor to compile for."""

    triple: str
    cpu: str
    register: str
    """What stands in an instruction on a whole vector register of float32."""
    lanes: int
    """float32 numbers in a register."""


PROCESSORS = {
    "AVX-512": Processor("x86_64-unknown-linux-gnu", "skylake-avx512", "zmm", 16),
    "AVX2": Processor("x86_64-unknown-linux-gnu", "haswell", "ymm", 8),
    "NEON": Processor("aarch64-unknown-linux-gnu", "neoverse-n1", ".4s", 4),
}
WORKS = 0.5
"""A loop counts where it has this share of the multiply-adds of the largest."""
_LABEL = re.compile(r"^([.\w$]+):")
_JUMP = re.compile(r"^\t(?:j\w+|b|b\.\w+|cbn?z|tbn?z)\t(?:.*, )?([.\w$]+)$")
_FUSED = re.compile(r"^\t(?:vf\w*m(?:add|sub)\w*|fml[as])")
_STACK = re.compile(r"\(%rsp|\[(?:sp|x29)")
_CALL = re.compile(r"^\t(?:call|blr?\t)")


class Loop(NamedTuple):
    """Instructions of an innermost loop."""

    fused: int
    packed: int
    instructions: int
    stack: int
    calls: int


def main() -> None:
    """Print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    as_json = parser.parse_args().json
    if not as_json:
        print(f"{'kernel':<15}{'processor':<11}{'fused':>6}{'packed':>8}{'all':>6}{'stack':>7}{'calls':>7}")
    for kernel, ir in compile_scan().items():
        for name, processor in PROCESSORS.items():
            for loop in working_loops(assembly(ir, processor), processor.register):
                if as_json:
                    print(json.dumps({"kernel": kernel, "processor": name, **loop._asdict()}))
                else:
                    counts = f"{loop.fused:>6}{loop.packed:>8}{loop.instructions:>6}{loop.stack:>7}{loop.calls:>7}"
                    print(f"{kernel:<15}{name:<11}{counts}")


def compile_scan() -> dict[str, str]:
    """Return the LLVM code of both passes of the scan in float32, by kernel."""
    u = torch.ones(1, 2, 16, requires_grad=True)
    A, B = -torch.ones(16, 4), torch.ones(1, 2, 4)
    # Code that comes from the cache does not say how it was made.
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, GENOMAMBA_CACHE_DIR=folder):
        selective_scan(u, u, A, B, B, backend="cpu").sum().backward()  # type: ignore[no-untyped-call]
    kernels = (scan_forward, scan_backward)
    return {kernel.__name__: next(iter(kernel.inspect_llvm().values())) for kernel in kernels}


def assembly(ir: str, processor: Processor) -> str:
    """Make LLVM code into assembly for a processor."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    # Where numba counts references, outside of all loops, an x86 host has left an instruction of its own.
    module = llvm.parse_assembly(ir.replace("@llvm.x86.atomic.", "@x86_atomic_"))
    machine = llvm.Target.from_triple(processor.triple).create_target_machine(cpu=processor.cpu, opt=3, reloc="pic")
    module.triple, module.data_layout = processor.triple, str(machine.target_data)
    text: str = machine.emit_assembly(module)
    return text


def working_loops(text: str, register: str) -> list[Loop]:
    """Return the innermost loops that do the work, the largest first."""
    lines = text.splitlines()
    labels = {match[1]: i for i, line in enumerate(lines) if (match := _LABEL.match(line))}
    spans = []
    for end, line in enumerate(lines):
        match = _JUMP.match(line)
        if match and labels.get(match[1], end) < end:
            spans.append((labels[match[1]], end))
    inner = [(a, b) for a, b in spans if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in spans)]
    loops = sorted((_count(lines[a : b + 1], register) for a, b in inner), reverse=True)
    return [loop for loop in loops if loop.fused > WORKS * loops[0].fused]


def _count(lines: list[str], register: str) -> Loop:
    body = [line for line in lines if line.startswith("\t") and not line.startswith("\t.")]
    fused = [line for line in body if _FUSED.match(line)]
    return Loop(
        len(fused),
        sum(register in line for line in fused),
        len(body),
        sum(bool(_STACK.search(line)) for line in body),
        sum(bool(_CALL.match(line)) for line in body),
    )


if __name__ == "__main__":
    main()
