"""Time the kernels beside the CUDA kernels of mamba-ssm and causal-conv1d, which are built from their sources here.

    python benchmarks/peers.py                       # the sources are fetched by pip
    python benchmarks/peers.py --sources folder      # the two source archives lie in a folder
    python benchmarks/peers.py --build-only --arch 9.0
    python benchmarks/peers.py --dry-run             # tiny sizes on the CPU, PyTorch in the peers' stead

It takes nvcc of the major version that PyTorch was built with, g++, ninja and einops, and about a minute on 16 cores:
the archives' own set-up would build ten architectures and complex numbers, too. Results are appended as JSON lines to
benchmarks/results/<GPU>/peers.jsonl.
"""

import argparse
import functools
import importlib
import os
import subprocess
import sys
import tarfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

if "--dry-run" in sys.argv:
    # Read when Triton is imported.
    os.environ["TRITON_INTERPRET"] = "1"

import torch
from device import device_seconds, scan_inputs, training_step
from gpu import PASSES, SHAPES, TINY_SHAPES
from record import show, write
from torch import Tensor

from genomamba_kernels import causal_conv1d, selective_scan

Record = dict[str, Any]
BUILD = Path(__file__).resolve().parents[1] / "build" / "peers"
VERSIONS = {"mamba_ssm": "2.3.2.post1", "causal_conv1d": "1.7.0"}
NVCC_FLAGS = [
    "-O3", "--use_fast_math", "--expt-relaxed-constexpr", "--expt-extended-lambda",
    *(f"-U__CUDA_NO_{kind}__" for kind in (
        "HALF_OPERATORS", "HALF_CONVERSIONS", "BFLOAT16_OPERATORS", "BFLOAT16_CONVERSIONS", "BFLOAT162_OPERATORS",
        "BFLOAT162_CONVERSIONS",
    )),
]  # fmt: skip
"""Those of the archives' set-up."""
SCAN_SOURCES = (
    "selective_scan.cpp", "selective_scan_fwd_bf16.cu", "selective_scan_fwd_fp32.cu", "selective_scan_bwd_bf16_real.cu",
    "selective_scan_bwd_fp32_real.cu",
)  # fmt: skip
CONV_SOURCES = ("causal_conv1d.cpp", "causal_conv1d_fwd.cu", "causal_conv1d_bwd.cu", "causal_conv1d_update.cu")
LEFT_OUT = """// What selective_scan.cpp names of the files that are not built.
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <c10/util/complex.h>
#include <torch/python.h>
#include <cuda_runtime.h>
#include "selective_scan.h"
template <typename input_t, typename weight_t> void selective_scan_fwd_cuda(SSMParamsBase &, cudaStream_t) {
    TORCH_CHECK(false, "not part of this build");
}
template <typename input_t, typename weight_t> void selective_scan_bwd_cuda(SSMParamsBwd &, cudaStream_t) {
    TORCH_CHECK(false, "not part of this build");
}
using complex_t = c10::complex<float>;
template void selective_scan_fwd_cuda<at::Half, float>(SSMParamsBase &, cudaStream_t);
template void selective_scan_fwd_cuda<at::Half, complex_t>(SSMParamsBase &, cudaStream_t);
template void selective_scan_bwd_cuda<at::Half, float>(SSMParamsBwd &, cudaStream_t);
template void selective_scan_bwd_cuda<at::Half, complex_t>(SSMParamsBwd &, cudaStream_t);
template void selective_scan_bwd_cuda<at::BFloat16, complex_t>(SSMParamsBwd &, cudaStream_t);
template void selective_scan_bwd_cuda<float, complex_t>(SSMParamsBwd &, cudaStream_t);
"""


class Peers:
    """The two functions, in the layout that is theirs: (batch, channels, length)."""

    scan: Callable[..., Tensor]
    convolve: Callable[..., Tensor]
    names: tuple[str, str]


def main() -> None:
    """Build the peers, check that they agree with us, and append one line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, help="folder of the source archives (default: fetched by pip)")
    parser.add_argument("--build", type=Path, default=BUILD, help="folder to build in (default: build/peers)")
    parser.add_argument("--arch", help="compute capability to build for, such as 9.0 (default: that of the GPU)")
    parser.add_argument("--build-only", action="store_true", help="stop after the build")
    parser.add_argument("--repeats", type=int, default=30, help="timed repeats of each case (default: 30)")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU; builds and writes nothing")
    options = parser.parse_args()
    options.device = "cpu" if options.dry_run else "cuda"
    if options.dry_run:
        options.repeats, peers = 1, stand_ins()
    else:
        if options.arch is None and not torch.cuda.is_available():
            sys.exit("no GPU is to be seen by PyTorch; --arch with --build-only builds for one")
        peers = build(options)
    if options.build_only:
        return
    for case, ours, theirs, inputs, record in (*scan_cases(peers, options), *convolution_cases(peers, options)):
        if wrong := disagreement(ours, theirs, inputs):
            sys.exit(f"{record['peer']} disagrees with us in {wrong} of {case}; nothing is timed")
        record |= compare(ours, theirs, inputs, record["passes"], options)
        if options.dry_run:
            show(case, record)
        else:
            write("peers", case, device=options.device, **record)
    return


def build(options: argparse.Namespace) -> Peers:
    """Build and import the peers for one architecture."""
    from torch.utils import cpp_extension

    capability = options.arch or "{}.{}".format(*torch.cuda.get_device_capability())
    os.environ["TORCH_CUDA_ARCH_LIST"] = capability
    folders = {name: fetch(name, options) for name in VERSIONS}
    sources = {
        "selective_scan_cuda": (folders["mamba_ssm"] / "csrc" / "selective_scan", SCAN_SOURCES),
        "causal_conv1d_cuda": (folders["causal_conv1d"] / "csrc", CONV_SOURCES),
    }
    (sources["selective_scan_cuda"][0] / "left_out.cpp").write_text(LEFT_OUT)
    for name, (folder, files) in sources.items():
        target = options.build / f"{name}-{capability}"
        target.mkdir(parents=True, exist_ok=True)
        more = ("left_out.cpp",) if name == "selective_scan_cuda" else ()
        # Under its name in sys.modules the archives' own Python code finds it.
        sys.modules[name] = cpp_extension.load(
            name, [str(folder / file) for file in (*files, *more)], extra_cflags=["-O3"],
            extra_cuda_cflags=NVCC_FLAGS, extra_include_paths=[str(folder)], build_directory=str(target),
            with_cuda=True, verbose=True,
        )  # fmt: skip
    # The package itself would import every model in it, and what they need.
    package = types.ModuleType("mamba_ssm")
    package.__path__ = [str(folders["mamba_ssm"] / "mamba_ssm")]
    sys.modules["mamba_ssm"] = package
    sys.path.insert(0, str(folders["causal_conv1d"]))
    peers = Peers()
    peers.scan = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    peers.convolve = importlib.import_module("causal_conv1d").causal_conv1d_fn
    peers.names = tuple(f"{name.replace('_', '-')} {version}" for name, version in VERSIONS.items())
    return peers


def fetch(name: str, options: argparse.Namespace) -> Path:
    """Return the unpacked sources of a peer."""
    version = VERSIONS[name]
    folder = options.build / f"{name}-{version}"
    if folder.is_dir():
        return folder
    options.build.mkdir(parents=True, exist_ok=True)
    archives = options.sources or options.build
    archive = archives / f"{name}-{version}.tar.gz"
    if not archive.exists():
        if options.sources:
            sys.exit(f"{archive}: there is no such file; without --sources it is fetched by pip")
        # pip asks the set-up for its metadata, which without these words looks for a GPU compiler.
        skip = {"MAMBA_SKIP_CUDA_BUILD": "TRUE", "CAUSAL_CONV1D_SKIP_CUDA_BUILD": "TRUE"}
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-binary", ":all:", "--no-deps", "--no-build-isolation",
             "--dest", str(archives), f"{name.replace('_', '-')}=={version}"],
            env=os.environ | skip, check=True,
        )  # fmt: skip
    with tarfile.open(archive) as tar:
        tar.extractall(options.build, filter="data")
    return folder


def stand_ins() -> Peers:
    """Return functions like the peers', in plain PyTorch."""

    def scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, **rest: Any) -> Tensor:
        u, delta, B, C = (x.transpose(1, 2) for x in (u, delta, B, C))
        rest["z"] = rest["z"].transpose(1, 2)
        return selective_scan(u, delta, A, B, C, **rest, backend="reference").transpose(1, 2)

    def convolve(x: Tensor, weight: Tensor, bias: Tensor, activation: str) -> Tensor:
        y = causal_conv1d(x.transpose(1, 2), weight, bias, activation=activation, backend="reference")
        return y.transpose(1, 2)

    peers = Peers()
    peers.scan, peers.convolve, peers.names = scan, convolve, ("PyTorch", "PyTorch")
    return peers


def scan_cases(peers: Peers, options: argparse.Namespace) -> list[tuple[Any, ...]]:
    """Return name, our function, theirs, what makes the inputs, and what is known of each case of the scan."""
    ours = functools.partial(selective_scan, delta_softplus=True, backend="triton")
    theirs = functools.partial(peers.scan, delta_softplus=True)
    cases = []
    for shape in TINY_SHAPES if options.dry_run else SHAPES:
        for passes in PASSES:
            record = shape._asdict() | {"dtype": "bfloat16", "passes": passes, "peer": peers.names[0]}
            cases.append(("scan", ours, theirs, functools.partial(scan_inputs, shape, options.device), record))
    return cases


def convolution_cases(peers: Peers, options: argparse.Namespace) -> list[tuple[Any, ...]]:
    """Return the same for the convolution."""
    ours = functools.partial(causal_conv1d, activation="silu", backend="triton")
    theirs = functools.partial(peers.convolve, activation="silu")
    batch, length, d_inner, d_conv = (1, 5, 2, 4) if options.dry_run else (1, 1_048_576, 512, 4)

    def inputs() -> dict[str, Tensor]:
        torch.manual_seed(0)
        x = torch.randn(batch, length, d_inner, device=options.device, dtype=torch.bfloat16)
        # causal-conv1d takes weights of the dtype of x at full speed, we those of the state.
        weight, bias = (torch.randn(*size, device=options.device) for size in ((d_inner, d_conv), (d_inner,)))
        return {"x": x, "weight": weight, "bias": bias}

    sizes = {"batch": batch, "length": length, "d_inner": d_inner, "d_conv": d_conv, "dtype": "bfloat16"}
    return [
        ("convolution", ours, theirs, inputs, sizes | {"passes": passes, "peer": peers.names[1]}) for passes in PASSES
    ]


def theirs_of(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs in the layout of the peers."""
    return {name: x.transpose(1, 2).contiguous() if x.dim() == 3 else x for name, x in inputs.items()}


def disagreement(ours: Any, theirs: Any, make: Callable[[], dict[str, Tensor]]) -> str:
    """Return the name of the first result that is far from the peer's, or "": root mean squares, in bfloat16."""
    inputs = make()
    dy = torch.randn_like(inputs.get("u", inputs.get("x")))
    names = ("y", *inputs)
    mine = (ours(**inputs), *training_step(ours, inputs, dy)())
    other_inputs = theirs_of(inputs)
    other = (theirs(**other_inputs), *training_step(theirs, other_inputs, dy.transpose(1, 2).contiguous())())
    for name, x, y in zip(names, mine, other, strict=True):
        y = y.transpose(1, 2) if y.dim() == 3 else y
        error = (x.float() - y.float()).square().mean().sqrt() / y.float().square().mean().sqrt()
        # Not less than this also where a result is not a number.
        if not error < 0.02:
            return name
    return ""


def compare(
    ours: Any, theirs: Any, make: Callable[[], dict[str, Tensor]], passes: str, options: argparse.Namespace
) -> Record:
    """Time both on the same inputs, each in its own layout."""
    record: Record = {}
    inputs = make()
    dy = torch.randn_like(inputs.get("u", inputs.get("x")))
    for key, function in (("", ours), ("peer_", theirs)):
        if key:
            inputs, dy = theirs_of(inputs), dy.transpose(1, 2).contiguous()
        if passes == "forward":
            call = torch.no_grad()(functools.partial(function, **inputs))
        else:
            call = training_step(function, inputs, dy)
        spread = device_seconds(call, options.device, repeats=options.repeats)
        record |= {f"{key}{name}": value for name, value in spread.items()}
    return record | {"ratio": record["peer_p50_s"] / record["p50_s"]}


if __name__ == "__main__":
    main()
