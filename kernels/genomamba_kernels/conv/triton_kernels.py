"""Forward and backward of the causal convolution in Triton: a program does some channels of one unit of positions.

A unit holds parts of one sequence or of many. Positions of a sequence are counted in the order of the walk,
s; rows with s < 0 come from the initial state. A program walks each part with the last rows in registers, so
that it reads a row once, and reads ROWS rows before it uses the first, so that enough reads are under way.
"""

# Types of tensors on the GPU are beyond mypy.
# mypy: ignore-errors
# Triton knows no unpacking into tuples.
# ruff: noqa: RUF005

import triton
import triton.language as tl

from genomamba_kernels._triton_functions import LOG2_E, sigmoid, silu, silu_rough

# Compiled once, whatever divides these.
_NUMBERS = ["length", "positions", "unit"]


@triton.jit(do_not_specialize=_NUMBERS)
def conv_forward(
    x_ptr,  # [position, WIDTH]
    weight_ptr,  # [WIDTH, D_CONV]
    bias_ptr,  # [WIDTH], or None
    initial_ptr,  # [sequence, D_CONV - 1, WIDTH], or None
    y_ptr,  # as x
    borders_ptr,  # [sequence + 1], or None for a batch of equal lengths
    units_ptr,  # [unit, 2], its first and last sequence, or None
    length,
    positions,
    unit,
    WIDTH: tl.constexpr,
    D_CONV: tl.constexpr,
    BLOCK_D: tl.constexpr,
    ROWS: tl.constexpr,
    GATED: tl.constexpr,
    REVERSE: tl.constexpr,
):
    """Convolve a block of channels of a unit."""
    STEP: tl.constexpr = -WIDTH if REVERSE else WIDTH
    index, d, inside = _place(WIDTH, BLOCK_D)
    taps, bias = _load_weights(weight_ptr, bias_ptr, d, inside, D_CONV)
    begin, end, first, last = _open_unit(index, unit, positions, length, borders_ptr, units_ptr)
    for sequence in range(first, last + 1):
        origin, s, rows, _ = _piece(sequence, begin, end, length, borders_ptr, REVERSE)
        offset = origin * WIDTH + s * STEP
        x_ptrs = x_ptr + offset + d
        y_ptrs = y_ptr + offset + d
        window = _history(x_ptrs, initial_ptr, sequence, s, d, inside, bias.dtype, WIDTH, D_CONV, REVERSE)
        for i in range(0, rows, ROWS):
            window = window + _load_rows(x_ptrs, i, rows, inside, bias.dtype, STEP, ROWS)
            for u in tl.static_range(ROWS):
                value = _convolve(taps, bias, window, u, D_CONV)
                if GATED:
                    value = silu_rough(value) if x_ptr.dtype.element_ty == tl.bfloat16 else silu(value)
                _store_row(y_ptrs, value, i, u, rows, inside, STEP)
            window = window[ROWS:]


@triton.jit(do_not_specialize=_NUMBERS)
def conv_backward(
    x_ptr,  # [position, WIDTH]
    weight_ptr,  # [WIDTH, D_CONV]
    bias_ptr,  # [WIDTH], or None
    initial_ptr,  # [sequence, D_CONV - 1, WIDTH], or None
    dy_ptr,  # as x
    dx_ptr,  # as x
    dinitial_ptr,  # as initial, or None
    shares_ptr,  # [unit, D_CONV + 1, WIDTH], what each unit adds to dweight, and in the last row to dbias
    borders_ptr,  # [sequence + 1], or None for a batch of equal lengths
    units_ptr,  # [unit, 2], its first and last sequence, or None
    length,
    positions,
    unit,
    WIDTH: tl.constexpr,
    D_CONV: tl.constexpr,
    BLOCK_D: tl.constexpr,
    ROWS: tl.constexpr,
    GATED: tl.constexpr,
    REVERSE: tl.constexpr,
):
    """Differentiate a block of channels of a unit."""
    PAST: tl.constexpr = D_CONV - 1
    STEP: tl.constexpr = -WIDTH if REVERSE else WIDTH
    ROUGH: tl.constexpr = x_ptr.dtype.element_ty == tl.bfloat16
    index, d, inside = _place(WIDTH, BLOCK_D)
    taps, bias = _load_weights(weight_ptr, bias_ptr, d, inside, D_CONV)
    sums = ()
    for _ in tl.static_range(D_CONV + 1):
        sums = sums + (tl.zeros_like(bias),)
    begin, end, first, last = _open_unit(index, unit, positions, length, borders_ptr, units_ptr)
    for sequence in range(first, last + 1):
        # The gradient of a row needs those of the PAST outputs after it, up to the end of the sequence.
        origin, s, rows, left = _piece(sequence, begin, end, length, borders_ptr, REVERSE)
        offset = origin * WIDTH + s * STEP
        x_ptrs = x_ptr + offset + d
        dy_ptrs = dy_ptr + offset + d
        window = _history(x_ptrs, initial_ptr, sequence, s, d, inside, bias.dtype, WIDTH, D_CONV, REVERSE)
        window = window + _load_rows(x_ptrs, 0, left, inside, bias.dtype, STEP, PAST)
        grads = _load_rows(dy_ptrs, 0, left, inside, bias.dtype, STEP, PAST)
        grads = _before_activation(grads, taps, bias, window, D_CONV, PAST, GATED, ROUGH)
        sums = _add_products(sums, grads, window, 0, rows, D_CONV, PAST)
        window = window[PAST:]
        if dinitial_ptr is not None:
            for i in tl.static_range(PAST):
                value = tl.zeros_like(bias)
                for j in tl.static_range(i + 1):
                    value = tl.fma(taps[i - j], grads[j], value)
                # The state is in the order of positions: against the walk for REVERSE.
                at = (sequence * PAST + (PAST - 1 - i if REVERSE else i)) * WIDTH
                tl.store(dinitial_ptr + at + d, value, mask=tl.where(s == 0, inside, False))
        dx_ptrs = dx_ptr + offset - PAST * STEP + d
        for i in range(PAST, rows + PAST, ROWS):
            window = window + _load_rows(x_ptrs, i, left, inside, bias.dtype, STEP, ROWS)
            new = _load_rows(dy_ptrs, i, left, inside, bias.dtype, STEP, ROWS)
            new = _before_activation(new, taps, bias, window, D_CONV, ROWS, GATED, ROUGH)
            sums = _add_products(sums, new, window, i, rows, D_CONV, ROWS)
            grads = grads + new
            for u in tl.static_range(ROWS):
                value = tl.zeros_like(bias)
                for j in tl.static_range(D_CONV):
                    value = tl.fma(taps[PAST - j], grads[u + j], value)
                _store_row(dx_ptrs, value, i, u, rows + PAST, inside, STEP)
            window = window[ROWS:]
            grads = grads[ROWS:]
    for j in tl.static_range(D_CONV + 1):
        tl.store(shares_ptr + (index * (D_CONV + 1) + j) * WIDTH + d, sums[j], mask=inside)


@triton.jit
def _place(WIDTH: tl.constexpr, BLOCK_D: tl.constexpr):
    """Return the unit of a program, its channels, and which of them exist."""
    BLOCKS: tl.constexpr = (WIDTH + BLOCK_D - 1) // BLOCK_D
    program = tl.program_id(0)
    d = program % BLOCKS * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = tl.full((BLOCK_D,), True, tl.int1) if WIDTH % BLOCK_D == 0 else d < WIDTH
    return (program // BLOCKS).to(tl.int64), d, inside


@triton.jit
def _load_weights(weight_ptr, bias_ptr, d, inside, D_CONV: tl.constexpr):
    """Return the D_CONV weights of each channel, and its bias."""
    taps = ()
    for j in tl.static_range(D_CONV):
        taps = taps + (tl.load(weight_ptr + d * D_CONV + j, mask=inside, other=0.0),)
    if bias_ptr is None:
        bias = tl.zeros_like(taps[0])
    else:
        bias = tl.load(bias_ptr + d, mask=inside, other=0.0)
    return taps, bias


@triton.jit
def _open_unit(index, unit, positions, length, borders_ptr, units_ptr):
    """Return the first position of a unit, its end, and its first and last sequence."""
    begin = index * unit
    end = tl.minimum(begin + unit, positions)
    if borders_ptr is None:
        first, last = begin // length, (end - 1) // length
    else:
        first, last = tl.load(units_ptr + 2 * index), tl.load(units_ptr + 2 * index + 1)
    return begin, end, first, last


@triton.jit
def _piece(sequence, begin, end, length, borders_ptr, REVERSE: tl.constexpr):
    """Return the part of a sequence that lies in a unit.

    They are the position of the row s = 0, the first s and the rows of the part, and the rows from there to the
    end of the sequence.
    """
    if borders_ptr is None:
        low, high = sequence * length, (sequence + 1) * length
    else:
        low, high = tl.load(borders_ptr + sequence), tl.load(borders_ptr + sequence + 1)
    start, stop = tl.maximum(low, begin), tl.minimum(high, end)
    if REVERSE:
        origin, s, left = high - 1, high - stop, stop - low
    else:
        origin, s, left = low, start - low, high - start
    return origin, s, (stop - start).to(tl.int32), left


@triton.jit
def _history(
    x_ptrs, initial_ptr, sequence, s, d, inside, dtype: tl.constexpr,
    WIDTH: tl.constexpr, D_CONV: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """Return the D_CONV - 1 rows before the row s, which lies at `x_ptrs`."""
    rows = ()
    for i in tl.static_range(1 - D_CONV, 0):
        row = tl.load(
            x_ptrs + (-i * WIDTH if REVERSE else i * WIDTH), mask=tl.where(s + i >= 0, inside, False), other=0.0
        )
        row = row.to(dtype)
        if initial_ptr is not None:
            # The state is in the order of positions: against the walk for REVERSE.
            at = (sequence * (D_CONV - 1) + (-1 - s - i if REVERSE else s + i + D_CONV - 1)) * WIDTH
            older = tl.load(initial_ptr + at + d, mask=tl.where(s + i < 0, inside, False), other=0.0)
            row = tl.where(s + i < 0, older, row)
        rows = rows + (row,)
    return rows


# The interpreter takes no scalar & block for a mask: the scalar would have the dtype of what it compared.
@triton.jit
def _load_rows(ptrs, start, end, inside, dtype: tl.constexpr, STEP: tl.constexpr, ROWS: tl.constexpr):
    """Return ROWS rows from row `start` on, 0 from `end` on; row 0 lies at `ptrs`."""
    ptrs += tl.cast(start, tl.int64) * STEP
    rows = ()
    for u in tl.static_range(ROWS):
        row = tl.load(ptrs + u * STEP, mask=tl.where(start + u < end, inside, False), other=0.0)
        rows = rows + (row.to(dtype),)
    return rows


@triton.jit
def _store_row(ptrs, value, start, u: tl.constexpr, end, inside, STEP: tl.constexpr):
    """Store row start + u, if that is below `end`; row 0 lies at `ptrs`."""
    ptrs += tl.cast(start, tl.int64) * STEP
    tl.store(ptrs + u * STEP, value.to(ptrs.dtype.element_ty), mask=tl.where(start + u < end, inside, False))


@triton.jit
def _convolve(taps, bias, window, u: tl.constexpr, D_CONV: tl.constexpr):
    """Return the convolution of D_CONV rows of a window, from row u on."""
    value = bias
    for j in tl.static_range(D_CONV):
        value = tl.fma(taps[j], window[u + j], value)
    return value


@triton.jit
def _before_activation(
    grads, taps, bias, window, D_CONV: tl.constexpr, ROWS: tl.constexpr, GATED: tl.constexpr, ROUGH: tl.constexpr
):
    """Return the gradients before the activation of outputs that come from the rows of a window."""
    results = ()
    for u in tl.static_range(ROWS):
        grad = grads[u]
        if GATED:
            value = _convolve(taps, bias, window, u, D_CONV)
            gate = 1.0 / (1.0 + tl.exp2(value * -LOG2_E)) if ROUGH else sigmoid(value)
            grad = grad * tl.fma(value * gate, 1.0 - gate, gate)
        results = results + (grad,)
    return results


@triton.jit
def _add_products(sums, grads, window, start, end, D_CONV: tl.constexpr, ROWS: tl.constexpr):
    """Return the sums with what rows from `start` on add to the gradients of weights and bias: those below `end`."""
    own = ()
    for u in tl.static_range(ROWS):
        own = own + (tl.where(start + u < end, grads[u], 0.0),)
    totals = ()
    for j in tl.static_range(D_CONV + 1):
        # Added up on its own first: over many rows fewer digits are lost.
        share = tl.zeros_like(sums[0])
        for u in tl.static_range(ROWS):
            if j < D_CONV:
                share = tl.fma(own[u], window[u + j], share)
            else:
                share += own[u]
        totals = totals + (sums[j] + share,)
    return totals
