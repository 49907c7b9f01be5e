"""Vectors of 16 lanes for numba kernels: a type, its arithmetic, and loads and stores.

A kernel written with them states its own vectorisation, so nothing depends on what an optimiser
recognises. LLVM splits 16 lanes into whatever registers the machine has. Arrays are one-dimensional
and contiguous, indices count elements, and bounds are not checked. An array of uint16 holds bfloat16.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import PrimitiveModel
from numba.core.extending import register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

LANES = 16
BIT_WIDTHS = {types.float32: 32, types.float64: 64}


class Vector(types.Type):
    """Sixteen float32 or sixteen float64."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Vector({element} x {LANES})")


@register_model(Vector)
class _VectorModel(PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, llvm_vector(fe_type.element))


def llvm_vector(element: Any) -> Any:
    """Return the LLVM type of a vector of float32 or float64."""
    return ir.VectorType(ir.FloatType() if element == types.float32 else ir.DoubleType(), LANES)


def llvm_integers(width: int) -> Any:
    """Return the LLVM type of 16 integers of a width in bits."""
    return ir.VectorType(ir.IntType(width), LANES)


def constant(vector: Any, value: float) -> Any:
    """Return an LLVM constant with one value in every lane."""
    return ir.Constant(vector, [value] * LANES)


def emit_fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Emit a * b + c, rounded once where the machine can."""
    kind = a.type
    suffix = "f32" if isinstance(kind.element, ir.FloatType) else "f64"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.v{LANES}{suffix}"
    )
    return builder.call(function, [a, b, c])


def emit_splat(builder: Any, scalar: Any) -> Any:
    """Emit a vector with a scalar in every lane."""
    kind = ir.VectorType(scalar.type, LANES)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(llvm_integers(32), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def _common(args: tuple[Any, ...]) -> Any:
    """Return the one vector type among the arguments, where all others are numbers."""
    vectors = {arg for arg in args if isinstance(arg, Vector)}
    numbers = all(isinstance(arg, Vector | types.Float | types.Integer) for arg in args)
    return vectors.pop() if len(vectors) == 1 and numbers else None


def _cast(context: Any, builder: Any, value: Any, kind: Any, vector: Vector) -> Any:
    if isinstance(kind, Vector):
        return value
    return emit_splat(builder, context.cast(builder, value, kind, vector.element))


class _Arithmetic(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        vector = _common(args)
        return None if vector is None else signature(vector, *args)


def _register(function: Any, emit: Callable[..., Any]) -> None:
    infer_global(function)(type(f"_Typing_{function.__name__}", (_Arithmetic,), {}))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = sig.return_type
        return emit(builder, *(_cast(context, builder, a, k, vector) for a, k in zip(args, sig.args, strict=True)))

    number = types.Number
    for left, right in ((Vector, Vector), (Vector, number), (number, Vector)):
        lower_builtin(function, left, right)(lower)


_register(operator.add, lambda builder, a, b: builder.fadd(a, b))
_register(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_register(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_register(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c; any of the three may be a number."""
    vector = _common((a, b, c))
    if vector is None:
        return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit_fma(builder, *(_cast(context, builder, x, k, vector) for x, k in zip(args, sig.args, strict=True)))

    return signature(vector, a, b, c), lower


@intrinsic
def larger_magnitude(typingctx: Any, a: Any, b: Any) -> Any:
    """Return the larger of |a| and b, not negative, in each lane, and NaN where either is."""
    if not isinstance(a, Vector) or a != b:
        return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        magnitude = _emit_magnitude(builder, a.element, args[0])
        # As integers, the bits of numbers without a sign have the order of the numbers, and those of NaN come last.
        integers = llvm_integers(BIT_WIDTHS[a.element])
        bits, others = (builder.bitcast(x, integers) for x in (magnitude, args[1]))
        return builder.select(builder.icmp_unsigned(">", bits, others), magnitude, args[1])

    return signature(a, a, b), lower


def emit_all_below(builder: Any, element: Any, value: Any, limits: Any) -> Any:
    """Emit whether |value| is below the limit in every lane; NaN is not."""
    below = builder.fcmp_ordered("<", _emit_magnitude(builder, element, value), limits)
    bits = ir.IntType(LANES)
    return builder.icmp_unsigned("==", builder.bitcast(below, bits), bits(2**LANES - 1))


def _emit_magnitude(builder: Any, element: Any, value: Any) -> Any:
    suffix = "f32" if element == types.float32 else "f64"
    kind = ir.FunctionType(value.type, [value.type])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fabs.v{LANES}{suffix}")
    return builder.call(function, [value])


def _element(array: Any) -> Any:
    """Return the float type an array holds: uint16 stands for bfloat16, computed in float32."""
    return types.float32 if array.dtype == types.uint16 else array.dtype


def _pointer(context: Any, builder: Any, array: Any, value: Any, index: Any, kind: Any) -> Any:
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _emit_load(context: Any, builder: Any, array: Any, value: Any, index: Any) -> Any:
    if array.dtype == types.uint16:
        pointer = _pointer(context, builder, array, value, index, llvm_integers(16))
        return _from_bfloat16(builder, builder.load(pointer, align=2))
    pointer = _pointer(context, builder, array, value, index, llvm_vector(array.dtype))
    return builder.load(pointer, align=BIT_WIDTHS[array.dtype] // 8)


def _emit_store(context: Any, builder: Any, array: Any, value: Any, index: Any, vector: Any) -> None:
    if array.dtype == types.uint16:
        pointer = _pointer(context, builder, array, value, index, llvm_integers(16))
        builder.store(_to_bfloat16(builder, vector), pointer, align=2)
    else:
        pointer = _pointer(context, builder, array, value, index, llvm_vector(array.dtype))
        builder.store(vector, pointer, align=BIT_WIDTHS[array.dtype] // 8)


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Return the vector of array[index : index + 16]."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _emit_load(context, builder, array, *args)

    return signature(Vector(_element(array)), array, types.intp), lower


@intrinsic
def store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write a vector to array[index : index + 16]; bfloat16 is rounded to nearest, ties to even."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _emit_store(context, builder, array, *args)
        return context.get_dummy_value()

    return signature(types.void, array, types.intp, vector), lower


@intrinsic
def accumulate(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Add a vector to array[index : index + 16], an array of float64."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = llvm_vector(types.float64)
        pointer = _pointer(context, builder, array, args[0], args[1], wide)
        value = args[2] if vector.element == types.float64 else builder.fpext(args[2], wide)
        builder.store(builder.fadd(builder.load(pointer, align=8), value), pointer, align=8)
        return context.get_dummy_value()

    return signature(types.void, array, types.intp, vector), lower


@intrinsic
def broadcast(typingctx: Any, array: Any, index: Any) -> Any:
    """Return the vector with array[index] in every lane."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1], llvm_vector(array.dtype).element)
        return emit_splat(builder, builder.load(pointer))

    return signature(Vector(array.dtype), array, types.intp), lower


@intrinsic
def full(typingctx: Any, array: Any, value: Any) -> Any:
    """Return the vector, of the dtype of an array, with a number in every lane."""
    vector = Vector(_element(array))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _cast(context, builder, args[1], value, vector)

    return signature(vector, array, value), lower


@intrinsic
def load_one(typingctx: Any, array: Any, index: Any) -> Any:
    """Return array[index] as float32 or float64."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        value = builder.load(builder.gep(data, [args[1]]))
        if array.dtype == types.uint16:
            wide = builder.shl(builder.zext(value, ir.IntType(32)), ir.IntType(32)(16))
            value = builder.bitcast(wide, ir.FloatType())
        return value

    return signature(_element(array), array, types.intp), lower


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of array[index], which need not lie inside the array."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte = ir.IntType(8)
        pointer = _pointer(context, builder, array, args[0], args[1], byte)
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # Read, keep from the second level on, data: rows a power of two apart would drive each other from the first.
        builder.call(function, [pointer, flag(0), flag(2), flag(1)])
        return context.get_dummy_value()

    return signature(types.void, array, types.intp), lower


@intrinsic
def store_one(typingctx: Any, array: Any, index: Any, number: Any) -> Any:
    """Write a float32 or float64 to array[index]; bfloat16 is rounded to nearest, ties to even."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = context.cast(builder, args[2], number, _element(array))
        if array.dtype == types.uint16:
            value = builder.extract_element(_to_bfloat16(builder, emit_splat(builder, value)), ir.IntType(32)(0))
        data = context.make_array(array)(context, builder, args[0]).data
        builder.store(value, builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return signature(types.void, array, types.intp, number), lower


@intrinsic
def sum_lanes(typingctx: Any, array: Any, index: Any, stride: Any) -> Any:
    """Return the vector whose lane i is the sum of the 16 numbers from array[index + stride i] on."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = [
            _emit_load(context, builder, array, args[0], position) for position in _positions(builder, args[1], args[2])
        ]
        # Fold halves of two rows into one: four rounds leave one row, its lanes in the order of the rows.
        for half in (8, 4, 2, 1):
            low = [LANES * (lane // half % 2) + lane // (2 * half) * 2 * half + lane % half for lane in range(LANES)]
            high = [source + half for source in low]
            rows = [_fold(builder, rows[i], rows[i + half], low, high) for i in range(half)]
        return rows[0]

    return signature(Vector(array.dtype), array, types.intp, types.intp), lower


def _fold(builder: Any, a: Any, b: Any, low: list[int], high: list[int]) -> Any:
    return builder.fadd(_shuffle(builder, a, b, low), _shuffle(builder, a, b, high))


@intrinsic
def transpose(typingctx: Any, source: Any, i: Any, stride: Any, target: Any, j: Any, target_stride: Any) -> Any:
    """Write the 16 by 16 numbers source[i + stride row + column] to target[j + target_stride column + row]."""
    vector = Vector(_element(source))
    if vector != Vector(_element(target)):
        return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = [
            _emit_load(context, builder, source, args[0], position)
            for position in _positions(builder, args[1], args[2])
        ]
        # Exchange the quarters off the diagonal of blocks of 16, 8, 4 and 2.
        for half in (8, 4, 2, 1):
            high = [lane & half for lane in range(LANES)]
            first = [LANES + lane - half if high[lane] else lane for lane in range(LANES)]
            second = [LANES + lane if high[lane] else lane + half for lane in range(LANES)]
            for row in range(LANES):
                if not row & half:
                    pair = rows[row], rows[row + half]
                    rows[row], rows[row + half] = (_shuffle(builder, *pair, lanes) for lanes in (first, second))
        for row, position in zip(rows, _positions(builder, args[4], args[5]), strict=True):
            _emit_store(context, builder, target, args[3], position, row)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), lower


def _positions(builder: Any, start: Any, stride: Any) -> list[Any]:
    """Emit start, start + stride, and so on, one for each lane."""
    positions = [start]
    for _ in range(LANES - 1):
        positions.append(builder.add(positions[-1], stride))
    return positions


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(llvm_integers(32), lanes))


def _from_bfloat16(builder: Any, halves: Any) -> Any:
    wide = builder.zext(halves, llvm_integers(32))
    return builder.bitcast(builder.shl(wide, constant(llvm_integers(32), 16)), llvm_vector(types.float32))


def _to_bfloat16(builder: Any, value: Any) -> Any:
    integers = llvm_integers(32)
    bits = builder.bitcast(value, integers)
    odd = builder.and_(builder.lshr(bits, constant(integers, 16)), constant(integers, 1))
    rounded = builder.add(bits, builder.add(odd, constant(integers, 0x7FFF)))
    nan = builder.fcmp_unordered("uno", value, value)
    rounded = builder.select(nan, constant(integers, 0x7FC00000), rounded)
    return builder.trunc(builder.lshr(rounded, constant(integers, 16)), llvm_integers(16))
