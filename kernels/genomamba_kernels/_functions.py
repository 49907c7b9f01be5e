"""exp2, exp, softplus and sigmoid of vectors of 16 lanes, by polynomials, the same on every machine.

The largest relative errors, measured over all exponents, stand in kernels/README.md.
"""

import math
from typing import Any

from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from genomamba_kernels._simd import BIT_WIDTHS, Vector, constant, emit_all_below, emit_fma, llvm_integers

# 2^f = 1 + f q(f) on [-1/2, 1/2], q interpolated at Chebyshev nodes. The 1 is exact, so that the error
# vanishes with f: a decay near 1 raised to the power of a million tokens does not drift.
EXP2 = {
    types.float32: [
        0.6931471880262288,
        0.24022650760568126,
        0.05550357114219078,
        0.009618082557277852,
        0.0013390863364671234,
        0.0001545316294512069,
    ],
    types.float64: [
        0.6931471805599453,
        0.24022650695910072,
        0.055504108664821625,
        0.00961812910762848,
        0.001333355814640647,
        0.00015403530393370734,
        1.5252733841556773e-05,
        1.3215486808705563e-06,
        1.0178057087733941e-07,
        7.0548973041554995e-09,
        4.4558179083360645e-10,
        2.5729324177362305e-11,
    ],
}

# log(1 + t) = t + t r(t - 1/2) on [0, 1], r interpolated at Chebyshev nodes.
LOG1P = {
    types.float32: [
        -0.1890697800867573,
        -0.28852710137197934,
        0.13260901577718714,
        -0.06768818965399573,
        0.03663523416633938,
        -0.020563182432163537,
        0.011577685182382747,
        -0.006788016951938559,
        0.005250270678070283,
        -0.00317605701843196,
    ],
    types.float64: [
        -0.1890697837836712,
        -0.2885270990993239,
        0.13260975375420375,
        -0.06768864331096429,
        0.036611854523044426,
        -0.020548811919120714,
        0.011833792115498273,
        -0.006945394974985513,
        0.004136178969492579,
        -0.0024918411947988627,
        0.0015153851053375097,
        -0.0009288574279277324,
        0.0005730446084677868,
        -0.00035482048783102383,
        0.00022119170895766566,
        -0.0001421000228999903,
        8.933303406819272e-05,
        -4.4828443252232565e-05,
        2.8278083585626545e-05,
        -3.8362374451601246e-05,
        2.4437973948580947e-05,
    ],
}

MANTISSA_BITS = {types.float32: 23, types.float64: 52}
LARGEST_EXPONENT = {types.float32: 127, types.float64: 1023}
# log2(e), rounded to the dtype, and what the rounding left.
LOG2_E = {
    types.float32: (1.4426950216293335, 1.9259629911266175e-08),
    types.float64: (1.4426950408889634, 2.0355273740931033e-17),
}


def _emit_polynomial(builder: Any, coefficients: list[float], x: Any) -> Any:
    value = constant(x.type, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = emit_fma(builder, value, x, constant(x.type, coefficient))
    return value


def _emit_clamp(builder: Any, x: Any, low: float, high: float) -> Any:
    """Emit x within limits; NaN passes."""
    lowest, highest = constant(x.type, low), constant(x.type, high)
    x = builder.select(builder.fcmp_ordered("<", x, lowest), lowest, x)
    return builder.select(builder.fcmp_ordered(">", x, highest), highest, x)


def _emit_scaled_power(builder: Any, element: Any, shifted: Any, f: Any) -> Any:
    """Emit 2^(n + f) where the last bits of `shifted` are the integer n."""
    power = emit_fma(builder, _emit_polynomial(builder, EXP2[element], f), f, constant(f.type, 1.0))
    return _emit_scale(builder, element, shifted, power)


def _emit_scale(builder: Any, element: Any, shifted: Any, power: Any) -> Any:
    """Emit 2^n times a number, where the last bits of `shifted` are the integer n."""
    integers = llvm_integers(BIT_WIDTHS[element])
    exponent = builder.shl(builder.bitcast(shifted, integers), constant(integers, MANTISSA_BITS[element]))
    return builder.bitcast(builder.add(builder.bitcast(power, integers), exponent), power.type)


def _magic(element: Any) -> float:
    """Return the number that, added to x, leaves the nearest integer in the last bits."""
    return 1.5 * 2.0 ** MANTISSA_BITS[element]


def _emit_exp2_products(builder: Any, element: Any, a: Any, others: Any, checked: bool) -> Any:
    """Emit 2^(a b) for several b, the product not rounded, in step: each waits for its own last result alone.

    Where `checked`, 0 below the smallest normal number, infinity past the largest, and NaN for NaN.
    """
    kind = a.type
    magic = constant(kind, _magic(element))
    shifted = [emit_fma(builder, a, b, magic) for b in others]
    ns = [builder.fsub(value, magic) for value in shifted]
    fs = [emit_fma(builder, a, b, builder.fneg(n)) for b, n in zip(others, ns, strict=True)]
    powers = [constant(kind, EXP2[element][-1])] * len(others)
    for coefficient in [*reversed(EXP2[element][:-1]), 1.0]:
        term = constant(kind, coefficient)
        powers = [emit_fma(builder, power, f, term) for power, f in zip(powers, fs, strict=True)]
    results = [_emit_scale(builder, element, *pair) for pair in zip(shifted, powers, strict=True)]
    if not checked:
        return results
    largest = LARGEST_EXPONENT[element]
    below, above = constant(kind, 1 - largest), constant(kind, largest)
    for i, n in enumerate(ns):
        result = builder.select(builder.fcmp_ordered("<", n, below), constant(kind, 0.0), results[i])
        # Infinity where n is above, NaN where it is NaN.
        beyond = builder.fmul(n, constant(kind, math.inf))
        results[i] = builder.select(builder.fcmp_unordered(">", n, above), beyond, result)
    return results


def _emit_exp(builder: Any, element: Any, x: Any) -> Any:
    largest = LARGEST_EXPONENT[element]
    x = _emit_clamp(builder, x, -(largest - 1.1) * math.log(2), (largest + 0.4) * math.log(2))
    magic = constant(x.type, _magic(element))
    high, low = (constant(x.type, value) for value in LOG2_E[element])
    shifted = emit_fma(builder, x, high, magic)
    n = builder.fsub(shifted, magic)
    f = emit_fma(builder, x, low, emit_fma(builder, x, high, builder.fneg(n)))
    # The bits of a NaN may hold an integer, too, and adding that to an exponent can make it a number.
    return builder.select(builder.fcmp_unordered("uno", x, x), x, _emit_scaled_power(builder, element, shifted, f))


def _emit_sigmoid(builder: Any, element: Any, x: Any) -> Any:
    one = constant(x.type, 1.0)
    return builder.fdiv(one, builder.fadd(one, _emit_exp(builder, element, builder.fneg(x))))


def _emit_silu(builder: Any, element: Any, x: Any) -> Any:
    one = constant(x.type, 1.0)
    return builder.fdiv(x, builder.fadd(one, _emit_exp(builder, element, builder.fneg(x))))


def _emit_softplus(builder: Any, element: Any, x: Any) -> Any:
    """Emit max(x, 0) + log1p(exp(-|x|)), and x above 20, as PyTorch does."""
    zero = constant(x.type, 0.0)
    positive = builder.fcmp_ordered(">", x, zero)
    magnitude = builder.select(positive, builder.fneg(x), x)
    t = _emit_exp(builder, element, magnitude)
    centred = builder.fsub(t, constant(x.type, 0.5))
    base = builder.select(positive, x, zero)
    value = emit_fma(builder, t, _emit_polynomial(builder, LOG1P[element], centred), t)
    value = builder.fadd(base, value)
    return builder.select(builder.fcmp_ordered(">", x, constant(x.type, 20.0)), x, value)


def _emit_softplus_slope(builder: Any, element: Any, x: Any) -> Any:
    slope = _emit_sigmoid(builder, element, x)
    above = builder.fcmp_ordered(">", x, constant(x.type, 20.0))
    return builder.select(above, constant(x.type, 1.0), slope)


def _unary(emit: Any) -> Any:
    def function(typingctx: Any, x: Any) -> Any:
        if not isinstance(x, Vector):
            return None

        def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return emit(builder, x.element, args[0])

        return signature(x, x), lower

    return intrinsic(function)


def _products(checked: bool) -> Any:
    def function(typingctx: Any, a: Any, b0: Any, b1: Any, b2: Any, b3: Any) -> Any:
        if not isinstance(a, Vector) or {b0, b1, b2, b3} != {a}:
            return None
        kind = types.UniTuple(a, 4)  # type: ignore[attr-defined]

        def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            results = _emit_exp2_products(builder, a.element, args[0], args[1:], checked)
            return context.make_tuple(builder, kind, results)

        return kind(a, a, a, a, a), lower

    return intrinsic(function)


@intrinsic
def product_is_small(typingctx: Any, a: Any, b: Any) -> Any:
    """Say whether |a b| is so small, in every lane, that `small_exp2_products` may take it."""
    if not isinstance(a, Vector) or a != b:
        return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        limit = constant(args[0].type, LARGEST_EXPONENT[a.element] - 2)
        return emit_all_below(builder, a.element, builder.fmul(*args), limit)

    return types.boolean(a, a), lower


# Of a and four b: 2^(a b) for any, and without a look at the range where `product_is_small`. Their bits agree.
exp2_products = _products(checked=True)
small_exp2_products = _products(checked=False)
exp = _unary(_emit_exp)
sigmoid = _unary(_emit_sigmoid)
silu = _unary(_emit_silu)
softplus = _unary(_emit_softplus)
softplus_slope = _unary(_emit_softplus_slope)
