"""Shapes, dtypes and devices of the arguments: every message of the package is written here."""

import importlib.util
import os

import torch
from torch import Tensor
from torch.autograd import forward_ad

BACKENDS = ("auto", "cpu", "triton", "reference")
HAS_TRITON = importlib.util.find_spec("triton") is not None
FLOATING = (torch.float32, torch.bfloat16, torch.float64)
LARGEST_STATE = 256


def check_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    cu_seqlens: Tensor | None,
) -> None:
    """Raise ValueError where the arguments of `selective_scan` disagree with each other."""
    where = "selective_scan"
    sizes = _check_scan_sizes(where, "bl", u, delta, A, B, C, D, z, delta_bias)
    sequences = _check_packing(where, "u", sizes, cu_seqlens)
    _check_shape(where, "initial_state", initial_state, sequences + "dn", sizes, "u")
    named = {"delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z, "delta_bias": delta_bias}
    _check_kind(where, "u", u, named | {"initial_state": initial_state})


def check_scan_step(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
) -> None:
    """Raise ValueError where the arguments of `selective_scan_step` disagree with each other."""
    where = "selective_scan_step"
    sizes = _check_scan_sizes(where, "b", u, delta, A, B, C, D, z, delta_bias)
    _check_shape(where, "state", state, "bdn", sizes, "u")
    named = {"delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z, "delta_bias": delta_bias}
    _check_kind(where, "u", u, named | {"state": state})


def _check_scan_sizes(
    where: str,
    positions: str,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
) -> dict[str, int]:
    """Check all shapes but that of the state, and return the sizes by axis; `positions` are the axes before d or n."""
    if u.dim() != len(positions) + 1:
        raise ValueError(f"{where}: u has shape {_shape(u)}, expected ({' '.join(positions)} d)")
    if A.dim() != 2:
        raise ValueError(f"{where}: A has shape {_shape(A)}, expected (d n)")
    sizes = dict(zip(positions + "d", u.shape, strict=True)) | {"n": A.shape[1]}
    _check_sizes(where, "u", sizes, positions + "d")
    _check_shape(where, "A", A, "dn", sizes, "u")
    _check_state_size(where, sizes["n"])
    _check_shape(where, "delta", delta, positions + "d", sizes, "u")
    _check_shape(where, "B", B, positions + "n", sizes, "u")
    _check_shape(where, "C", C, positions + "n", sizes, "u")
    _check_shape(where, "D", D, "d", sizes, "u")
    _check_shape(where, "z", z, positions + "d", sizes, "u")
    _check_shape(where, "delta_bias", delta_bias, "d", sizes, "u")
    return sizes


def check_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, initial_state: Tensor | None, cu_seqlens: Tensor | None
) -> None:
    """Raise ValueError where the arguments of `causal_conv1d` disagree with each other."""
    where = "causal_conv1d"
    sizes = _check_conv_weights(where, x, "bld", weight, bias)
    sequences = _check_packing(where, "x", sizes, cu_seqlens)
    _check_shape(where, "initial_state", initial_state, (sequences, "k-1", "d"), sizes, "x and weight")
    _check_kind(where, "x", x, {"weight": weight, "bias": bias, "initial_state": initial_state})


def check_conv_step(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Raise ValueError where the arguments of `causal_conv1d_step` disagree with each other."""
    where = "causal_conv1d_step"
    sizes = _check_conv_weights(where, x, "bd", weight, bias)
    _check_shape(where, "state", state, ("b", "k-1", "d"), sizes, "x and weight")
    _check_kind(where, "x", x, {"weight": weight, "bias": bias, "state": state})


def _check_conv_weights(where: str, x: Tensor, axes: str, weight: Tensor, bias: Tensor | None) -> dict[str, int]:
    """Check x against weight and bias, and return the sizes by axis."""
    if x.dim() != len(axes):
        raise ValueError(f"{where}: x has shape {_shape(x)}, expected ({' '.join(axes)})")
    if weight.dim() != 2:
        raise ValueError(f"{where}: weight has shape {_shape(weight)}, expected (d k)")
    sizes = dict(zip(axes, x.shape, strict=True)) | {"k": weight.shape[1], "k-1": weight.shape[1] - 1}
    _check_sizes(where, "x", sizes, axes)
    if sizes["k"] < 1:
        raise ValueError(f"{where}: weight has shape {_shape(weight)}, expected (d k) with k of 1 or more")
    _check_shape(where, "weight", weight, "dk", sizes, "x")
    _check_shape(where, "bias", bias, "d", sizes, "x")
    return sizes


def check_mixer(x: Tensor, others: dict[str, Tensor | None], cu_seqlens: Tensor | None, segment: int | None) -> None:
    """Raise ValueError where the arguments of `fused_mixer` disagree; `others` are weights and states by name."""
    where = "fused_mixer"
    sizes: dict[str, int] = {}
    for name, axes in {"x": "blm", "A": "dn", "conv_weight": "dk", "dt_proj": "dr"}.items():
        tensor = x if name == "x" else others[name]
        if tensor is None or tensor.dim() != len(axes):
            shape = None if tensor is None else _shape(tensor)
            raise ValueError(f"{where}: {name} has shape {shape}, expected ({' '.join(axes)})")
        sizes = dict(zip(axes, tensor.shape, strict=True)) | sizes
        _check_sizes(where, name, sizes, axes)
    _check_state_size(where, sizes["n"])
    sizes |= {"2d": 2 * sizes["d"], "k-1": sizes["k"] - 1, "r+2n": sizes["r"] + 2 * sizes["n"]}
    for name, axes_and_source in _MIXER.items():
        _check_shape(where, name, others[name], axes_and_source[0], sizes, axes_and_source[1])
    sequences = _check_packing(where, "x", sizes, cu_seqlens)
    for name, axes_of_state in {"conv": ("k-1", "d"), "scan": ("d", "n")}.items():
        state = f"initial_state.{name}"
        _check_shape(where, state, others[state], (sequences, *axes_of_state), sizes, "x and the weights")
    _check_kind(where, "x", x, others)
    if segment is not None and segment < 1:
        raise ValueError(f"{where}: segment is {segment}, expected 1 or more positions")


_MIXER: dict[str, tuple[str | tuple[str, ...], str]] = {
    "in_proj": (("2d", "m"), "A and x"),
    "conv_weight": ("dk", "A"),
    "x_proj": (("r+2n", "d"), "dt_proj and A"),
    "dt_proj": ("dr", "A"),
    "out_proj": ("md", "x and A"),
    "conv_bias": ("d", "A"),
    "dt_bias": ("d", "A"),
    "D": ("d", "A"),
}
"""Axes of the mixer's weights, and the arguments whose sizes they must have."""


def check_activation(activation: str | None, where: str = "causal_conv1d") -> None:
    """Raise ValueError for any activation but None and "silu"."""
    if activation not in (None, "silu"):
        raise ValueError(f"{where}: activation is {activation!r}, expected None or 'silu'")


def resolve_backend(where: str, backend: str, device: torch.device) -> str:
    """Return the backend to run: the one asked for, or for "auto" the one of the device."""
    if backend not in BACKENDS:
        names = ", ".join(repr(name) for name in BACKENDS)
        raise ValueError(f"{where}: backend is {backend!r}, expected one of {names}")
    if backend == "reference":
        return backend
    if backend == "auto":
        if device.type not in ("cpu", "cuda"):
            raise NotImplementedError(
                f"{where}: no kernel runs on {device}; move the tensors to a CPU or a GPU, or pass backend='reference'"
            )
        backend = "triton" if device.type == "cuda" else "cpu"
    if backend == "cpu" and device.type != "cpu":
        raise NotImplementedError(
            f"{where}: backend 'cpu' does not run on {device}; move the tensors to the CPU, or pass backend='auto'"
        )
    if backend == "triton":
        _check_triton(where, device)
    return backend


def resolve_kernels(where: str, backend: str, device: torch.device) -> str:
    """Do what `resolve_backend` does, for what is made of kernels alone."""
    chosen = resolve_backend(where, backend, device)
    if chosen == "reference":
        raise NotImplementedError(f"{where}: backend 'reference' knows no parts; pass backend='auto'")
    return chosen


def _check_triton(where: str, device: torch.device) -> None:
    if not HAS_TRITON:
        raise NotImplementedError(
            f"{where}: backend 'triton' needs the package triton: pip install 'genomamba[triton]'"
        )
    if device.type == "cuda" or (device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"):
        return
    raise NotImplementedError(
        f"{where}: backend 'triton' does not run on {device}; move the tensors to a GPU, pass backend='auto',"
        " or set TRITON_INTERPRET=1 before the start to run its interpreter, slowly, on the CPU"
    )


def check_tangents(where: str, *tensors: Tensor | None) -> None:
    """Raise NotImplementedError for forward-mode differentiation: PyTorch would drop the tangents, and say nothing."""
    if torch.compiler.is_compiling():
        return
    if any(x is not None and forward_ad.unpack_dual(x).tangent is not None for x in tensors):
        raise NotImplementedError(
            f"{where}: kernels know no forward-mode differentiation; differentiate backwards, or pass"
            " backend='reference'"
        )


def _check_packing(where: str, first: str, sizes: dict[str, int], cu_seqlens: Tensor | None) -> str:
    """Check all of `cu_seqlens` but its values, and return the axis of the states: batch, or sequences ("s")."""
    if cu_seqlens is None:
        return "b"
    if not isinstance(cu_seqlens, Tensor):
        raise ValueError(f"{where}: cu_seqlens is a {type(cu_seqlens).__name__}, expected a tensor of int32 or int64")
    if cu_seqlens.dim() != 1 or cu_seqlens.shape[0] < 2:
        raise ValueError(f"{where}: cu_seqlens has shape {_shape(cu_seqlens)}, expected (s+1) with s of 1 or more")
    if cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"{where}: cu_seqlens is {cu_seqlens.dtype}, expected int32 or int64")
    if sizes["b"] != 1:
        raise ValueError(f"{where}: {first} has a batch of {sizes['b']}, expected 1 with cu_seqlens")
    sizes["s"] = cu_seqlens.shape[0] - 1
    return "s"


def _check_state_size(where: str, d_state: int) -> None:
    if not 1 <= d_state <= LARGEST_STATE:
        raise ValueError(f"{where}: A has d_state {d_state}, expected 1 to {LARGEST_STATE}")


def _check_sizes(where: str, name: str, sizes: dict[str, int], axes: str) -> None:
    for axis in axes:
        if sizes[axis] < 1:
            shape = tuple(sizes[letter] for letter in axes)
            raise ValueError(f"{where}: {name} has shape {shape}, expected ({' '.join(axes)}) without a 0")


def _check_shape(
    where: str,
    name: str,
    tensor: Tensor | None,
    axes: str | tuple[str, ...],
    sizes: dict[str, int],
    source: str,
) -> None:
    if tensor is None:
        return
    if tensor.dim() != len(axes):
        raise ValueError(f"{where}: {name} has shape {_shape(tensor)}, expected ({' '.join(axes)})")
    for axis, size in zip(axes, tensor.shape, strict=True):
        if size != sizes[axis]:
            raise ValueError(
                f"{where}: {name} has shape {_shape(tensor)}, expected ({' '.join(axes)})"
                f" with {axis}={sizes[axis]} as in {_source(axis, source)}"
            )


def _source(axis: str, source: str) -> str:
    return {"n": "A", "s": "cu_seqlens"}.get(axis, source)


def _check_kind(where: str, first: str, tensor: Tensor, others: dict[str, Tensor | None]) -> None:
    for name, other in {first: tensor, **others}.items():
        if other is None:
            continue
        if other.dtype not in FLOATING:
            raise ValueError(f"{where}: {name} is {other.dtype}, expected float32, bfloat16 or float64")
        if (other.dtype == torch.float64) != (tensor.dtype == torch.float64):
            raise ValueError(
                f"{where}: {name} is {other.dtype} but {first} is {tensor.dtype};"
                " float64 does not mix with others, convert one of them"
            )
        if other.device != tensor.device:
            raise ValueError(f"{where}: {name} is on {other.device} but {first} is on {tensor.device}")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the state for inputs of a dtype: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32
