"""What a compiled GPU kernel says of itself: registers, spills, and the instructions of its innermost loop."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import triton

NVIDIA_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
# Instructions that are worth a column of their own, by their names on NVIDIA's GPUs and on AMD's.
KINDS = {
    "exp": r"MUFU|v_(exp|log|rcp|rsq|sqrt)_",
    "mul": r"[FD]MUL|v_(pk_)?mul_f",
    "fma": r"[FD]FMA|v_(pk_)?(fma|fmac|mad|mac)_f",
    "add": r"[FD]H?ADD|v_(pk_)?(add|sub)_f",
    "shuffle": r"SHFL|v_(readlane|writelane|permlane)|ds_(b?permute|swizzle)",
    "load": r"LDG|(global|flat|buffer)_load|s_load",
    "store": r"STG|(global|flat|buffer)_store",
    "shared": r"LDS|STS|ds_(read|write|load|store)",
    "barrier": r"BAR|s_barrier",
    "spill": r"LDL|STL|scratch_",
}


@dataclass(frozen=True)
class Binary:
    """A compiled kernel."""

    registers: int
    """Registers of a thread, of 32 bits; on AMD vector registers."""
    spilled: int
    """Bytes of stack of a thread, NVIDIA; registers of both kinds that were spilled, AMD."""
    shared: int
    """Bytes of shared memory of a program."""
    loop: Counter[str]
    """Instructions of one turn of the largest innermost loop, by kind; `other` are the rest."""

    @property
    def instructions(self) -> int:
        """All instructions of the loop."""
        return self.loop.total()


def read_cubin(cubin: bytes) -> Binary:
    """Read a binary for NVIDIA's GPUs."""
    usage = dict(re.findall(r"(REG|STACK|SHARED|LOCAL):(\d+)", _disassemble(cubin, "-res-usage")))
    code = [
        (int(address, 16), text.strip())
        for address, text in re.findall(r"/\*([0-9a-f]{4,})\*/\s+([^;/]+);", _disassemble(cubin, "-sass"))
    ]
    index = {address: i for i, (address, _) in enumerate(code)}
    jumps = []
    for i, (_, text) in enumerate(code):
        target = re.search(r"\bBRA\b.*?0x([0-9a-f]+)", text)
        if target and int(target[1], 16) in index:
            jumps.append((index[int(target[1], 16)], i))
    names = [re.sub(r"^@!?U?P\w+\s+", "", text).split()[0] for _, text in code]
    # The code ends with a jump to itself, and is padded with instructions that do nothing.
    names = ["" if name.startswith("NOP") else name for name in names]
    spilled = int(usage["STACK"]) + int(usage["LOCAL"])
    return Binary(int(usage["REG"]), spilled, int(usage["SHARED"]), _largest_loop(names, jumps))


def read_amdgcn(text: str) -> Binary:
    """Read the assembly that a binary for AMD's GPUs is made from; it ends with the facts of the binary."""

    def fact(name: str) -> int:
        found = re.search(rf"\.{name}:\s*(\d+)", text)
        if found is None:
            raise ValueError(f"the assembly says nothing of {name}")
        return int(found[1])

    names: list[str] = []
    labels: dict[str, int] = {}
    jumps = []
    for line in text.splitlines():
        if label := re.match(r"(\.LBB\w+):", line):
            labels[label[1]] = len(names)
        elif instruction := re.match(r"\t([a-z]\w+)(.*)", line):
            target = re.search(r"\.LBB\w+", instruction[2]) if "branch" in instruction[1] else None
            # A label further down is not known yet, and begins no loop.
            if target is not None and target[0] in labels:
                jumps.append((labels[target[0]], len(names)))
            names.append(instruction[1])
    spilled = fact("vgpr_spill_count") + fact("sgpr_spill_count") + fact("private_segment_fixed_size")
    return Binary(fact("vgpr_count"), spilled, fact("group_segment_fixed_size"), _largest_loop(names, jumps))


def _disassemble(cubin: bytes, option: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        answer = subprocess.run(
            [NVIDIA_TOOLS / "cuobjdump", option, file.name], capture_output=True, text=True, check=True
        )
    return answer.stdout


def _largest_loop(names: list[str], jumps: list[tuple[int, int]]) -> Counter[str]:
    """Count the instructions by kind in the longest loop, from target to jump, that holds no other."""
    loops = [(start, end) for start, end in jumps if start < end]
    innermost = [
        (start, end)
        for start, end in loops
        if not any((start, end) != other and start <= other[0] and other[1] <= end for other in loops)
    ]
    start, end = max(innermost, key=lambda loop: loop[1] - loop[0], default=(0, -1))
    return Counter(_kind(name) for name in names[start : end + 1] if name)


def _kind(name: str) -> str:
    return next((kind for kind, pattern in KINDS.items() if re.match(pattern, name)), "other")
