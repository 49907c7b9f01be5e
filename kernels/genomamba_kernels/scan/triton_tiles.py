"""Rows of channels and tiles of states in Triton: how both passes load, store and walk them."""

# Types of tensors on the GPU are beyond mypy.
# mypy: ignore-errors
# Triton knows no unpacking into tuples, and compiles what follows a return.
# ruff: noqa: RUF005, RET505

import triton
import triton.language as tl

from genomamba_kernels._triton_functions import softplus


@triton.jit
def load_row(ptr, d, width, EVEN: tl.constexpr):
    """Load a row of channels: 0 past the last channel."""
    if EVEN:
        return tl.load(ptr + d)
    else:
        return tl.load(ptr + d, mask=d < width, other=0.0)


@triton.jit
def store_row(ptr, value, d, width, EVEN: tl.constexpr):
    """Store a row of channels."""
    if EVEN:
        tl.store(ptr + d, value.to(ptr.dtype.element_ty))
    else:
        tl.store(ptr + d, value.to(ptr.dtype.element_ty), mask=d < width)


# A tile has states first and channels last. Triton gives the last axis to the threads of a warp first, so that a thread
# holds states of one channel: their sum needs no other thread. That holds while nothing says that rows of a tile are
# aligned, else a thread would take four channels: `stride` equals D_INNER, but is a number that is not specialised on.
@triton.jit
def load_tiles(ptr, stride, d, width, EVEN: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    """Load (N, channels) as a tuple of tiles (TILE, channels)."""
    n = tl.arange(0, TILE)
    tiles = ()
    for i in tl.static_range(N // TILE):
        at = ptr + (n[:, None] + i * TILE) * stride + d[None, :]
        if EVEN:
            tile = tl.load(at)
        else:
            tile = tl.load(at, mask=(d < width)[None, :], other=0.0)
        tiles = tiles + (tile,)
    return tiles


@triton.jit
def zero_tiles(d, dtype: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    """Return zeros like what `load_tiles` loads."""
    tiles = ()
    for _ in tl.static_range(N // TILE):
        tiles = tiles + (tl.zeros((TILE, d.shape[0]), dtype),)
    return tiles


@triton.jit
def store_tiles(ptr, tiles, stride, d, width, EVEN: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    """Store what `load_tiles` loads."""
    n = tl.arange(0, TILE)
    for i in tl.static_range(N // TILE):
        at = ptr + (n[:, None] + i * TILE) * stride + d[None, :]
        if EVEN:
            tl.store(at, tiles[i])
        else:
            tl.store(at, tiles[i], mask=(d < width)[None, :])


@triton.jit
def load_parameter(ptr, d0, d, width, dtype: tl.constexpr, EVEN: tl.constexpr):
    """Load a vector over channels, zeros where it is not given."""
    if ptr is None:
        return tl.zeros(d.shape, dtype)
    else:
        return load_row(ptr + d0, d, width, EVEN)


@triton.jit
def step_size(delta, bias, SOFTPLUS: tl.constexpr):
    """Return delta of one position with its bias and softplus."""
    delta = delta.to(bias.dtype) + bias
    if SOFTPLUS:
        delta = softplus(delta)
    return delta


@triton.jit
def walk_tile(h, A, delta, x, b):
    """Return a tile of states after one position."""
    return tl.fma(tl.exp2(delta[None, :] * A), h, x[None, :] * b[:, None])
