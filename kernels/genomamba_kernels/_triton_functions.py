"""softplus, sigmoid and silu for Triton kernels, as exact as PyTorch's, and the slopes that backward needs.

All take and return tensors of the dtype of the state, float32 or float64, and pass NaN through. In float32 they use
only `tl.exp2`, one instruction on every GPU: `tl.exp` rounds its product with log2(e), and `tl.log` loses the digits of
small results. In float64 they share the constants of `tl.exp2` with the decays: registers for them are few.
"""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
"""The kernels raise 2, not e, to powers: A is multiplied by this on the host."""
_LN_2 = tl.constexpr(0.6931471805599453)
# log2(e) rounded to float32, what is left, and the same in float64. Below the least exponent, results are rounded to 0.
_LOG2_E_32, _LOG2_E_32_REST, _LEAST_32 = (tl.constexpr(x) for x in (1.4426950216293335, 1.9259629911266175e-08, -87.0))
_LOG2_E_64, _LOG2_E_64_REST, _LEAST_64 = (tl.constexpr(x) for x in (1.4426950408889634, 2.0355273740931033e-17, -708.0))


@triton.jit
def exp_minus_abs(x):
    """Return exp(-|x|), between 0 and 1, and a small number where that is below the smallest normal one."""
    m = -tl.abs(x)
    # The product with log2(e) is not rounded: |x| = 80 would otherwise cost 40 roundings of the result.
    if x.dtype == tl.float64:
        m = tl.maximum(m, _LEAST_64, propagate_nan=tl.PropagateNan.ALL)
        high = m * _LOG2_E_64
        low = tl.fma(m, tl.full(m.shape, _LOG2_E_64, tl.float64), -high) + m * _LOG2_E_64_REST
    else:
        m = tl.maximum(m, _LEAST_32, propagate_nan=tl.PropagateNan.ALL)
        high = m * _LOG2_E_32
        low = tl.fma(m, _LOG2_E_32, -high) + m * _LOG2_E_32_REST
    power = tl.exp2(high)
    return power + power * (low * _LN_2)


@triton.jit
def _log1p(t):
    """Return log(1 + t) for t from 0 to 1, its relative error small however small t is."""
    if t.dtype == tl.float64:
        w = 1.0 + t
        return tl.log(w) + (t - (w - 1.0)) / w
    # t + t r(t - 1/2), r of least relative error (Remez): 0.25 eps.
    x = t - 0.5
    r = x * 0.005232690027468886 - 0.008574459809354694
    r = r * x + 0.011586477981266384
    r = r * x - 0.02022824688780671
    r = r * x + 0.03663385975875637
    r = r * x - 0.06771144685853803
    r = r * x + 0.13260908453753195
    r = r * x - 0.28852666536249344
    r = r * x - 0.18906978062444257
    return r * t + t


@triton.jit
def softplus(x):
    """Return log(1 + exp(x)); x itself above 20, as in PyTorch."""
    value = tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL) + _log1p(exp_minus_abs(x))
    if x.dtype == tl.float64:
        # In float32 the two agree.
        value = tl.where(x > 20.0, x, value)
    return value


@triton.jit
def softplus_slope(x):
    """Return the derivative of `softplus`."""
    return tl.where(x > 20.0, 1.0, sigmoid(x))


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    t = exp_minus_abs(x)
    return tl.where(x < 0.0, t, 1.0) / (1.0 + t)


@triton.jit
def silu(x):
    """Return x / (1 + exp(-x))."""
    return x * sigmoid(x)


@triton.jit
def silu_rough(x):
    """Return `silu` in float32 to about 1e-6, for results that are rounded to bfloat16: half the instructions."""
    return x / (1.0 + tl.exp2(x * -LOG2_E))


@triton.jit
def silu_and_slope(x):
    """Return `silu` and its derivative."""
    t = exp_minus_abs(x)
    r = 1.0 / (1.0 + t)
    # sigmoid(x), and 1 - sigmoid(x) without the rounding of the difference.
    s = tl.where(x < 0.0, t * r, r)
    rest = tl.where(x < 0.0, r, t * r)
    value = x * s
    return value, s + value * rest
