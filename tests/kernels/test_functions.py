"""exp2, exp, softplus and sigmoid of the kernels against higher precision, and the vector operations."""

import numba
import numpy as np
import pytest
import torch

from genomamba_kernels import _functions
from genomamba_kernels._simd import full, load, store, sum_lanes

# Largest error in units of eps: half is that of a correctly rounded result.
FUNCTIONS = {
    "exp2": (lambda x: np.exp2(x), (-125, 127), 0.7),
    "exp2 near 0": (lambda x: np.exp2(x), (-1e-3, 1e-3), 0.55),
    "exp": (lambda x: np.exp(x), (-85, 88), 0.85),
    "softplus": (lambda x: np.where(x > 20, x, np.log1p(np.exp(x))), (-80, 30), 1.3),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), (-80, 80), 1.4),
    "silu": (lambda x: x / (1 + np.exp(-x)), (-80, 80), 1.4),
}


@numba.njit
def exp2(x, y):
    for i in range(0, x.size, 16):
        one = full(x, 1.0)
        store(y, i, _functions.exp2_products(load(x, i), one, one, one, one)[0])


@numba.njit
def exp(x, y):
    for i in range(0, x.size, 16):
        store(y, i, _functions.exp(load(x, i)))


@numba.njit
def softplus(x, y):
    for i in range(0, x.size, 16):
        store(y, i, _functions.softplus(load(x, i)))


@numba.njit
def sigmoid(x, y):
    for i in range(0, x.size, 16):
        store(y, i, _functions.sigmoid(load(x, i)))


@numba.njit
def silu(x, y):
    for i in range(0, x.size, 16):
        store(y, i, _functions.silu(load(x, i)))


@numba.njit
def copy(x, y):
    for i in range(0, x.size, 16):
        store(y, i, load(x, i))


@numba.njit
def sum_rows(x, y):
    store(y, 0, sum_lanes(x, 3, 20))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_near_half_a_unit(name, dtype):
    function, (low, high), bound = FUNCTIONS[name]
    x = np.random.default_rng(0).uniform(low, high, 2**16).astype(dtype)
    y = np.empty_like(x)
    globals()[name.split()[0]](x, y)
    exact = function(x.astype(np.longdouble))
    error = np.abs(y / exact - 1).max() / np.finfo(dtype).eps
    assert error <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_limits_and_nan(dtype):
    largest = np.finfo(dtype).maxexp
    x = np.zeros(16, dtype)
    x[:6] = [largest + 0.5, 1e30, -largest, -1e30, np.nan, 0]
    y = np.empty_like(x)
    exp2(x, y)
    assert y[:2].tolist() == [np.inf, np.inf]
    assert y[2:4].tolist() == [0, 0]
    assert np.isnan(y[4])
    assert y[5] == 1
    for function, at_large, at_small in ((softplus, 1e30, 0), (sigmoid, 1, 0), (silu, 1e30, 0)):
        function(x, y)
        assert y[1] == dtype(at_large)
        assert y[3] == pytest.approx(at_small, abs=1e-6)
        assert np.isnan(y[4])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_nan_is_passed_on_whatever_its_bits(dtype):
    bits = np.dtype(f"i{np.dtype(dtype).itemsize}")
    x = np.full(16, np.nan, dtype)
    # Without care, the last bits would be taken for an exponent.
    x.view(bits)[1:] |= np.arange(1, 16, dtype=bits)
    x.view(bits)[8:] |= np.iinfo(bits).min
    x.view(bits)[15] = -1
    y = np.empty_like(x)
    for function in (exp2, exp, softplus, sigmoid, silu):
        y[:] = 0
        function(x, y)
        assert np.isnan(y).all(), function.__name__


def test_bfloat16_rounds_to_nearest_even_as_pytorch_does():
    generator = torch.Generator().manual_seed(0)
    # Every pattern of the high half, with low halves below, at and above a tie.
    high = torch.arange(2**16, dtype=torch.int64) << 16
    low = torch.randint(0, 2**16, (2**16,), generator=generator)
    low[::3], low[1::3] = 0x8000, 0x7FFF
    x = (high + low).to(torch.uint32).view(torch.float32)
    halves = np.empty(2**16, np.uint16)
    copy(x.numpy(), halves)
    ours = torch.from_numpy(halves).view(torch.bfloat16)
    torch.testing.assert_close(ours, x.bfloat16(), rtol=0, atol=0, equal_nan=True)
    back = np.empty(2**16, np.float32)
    copy(halves, back)
    torch.testing.assert_close(torch.from_numpy(back), ours.float(), rtol=0, atol=0, equal_nan=True)


def test_sum_of_lanes_keeps_the_order_of_rows():
    x = np.arange(400, dtype=np.float32)
    y = np.empty(16, np.float32)
    sum_rows(x, y)
    assert y.tolist() == [x[3 + 20 * i : 19 + 20 * i].sum() for i in range(16)]
