"""softplus, sigmoid and silu of the Triton kernels against higher precision."""

import numpy as np
import pytest
import torch

triton = pytest.importorskip("triton")
tl = pytest.importorskip("triton.language")

from exactness import device_of  # noqa: E402
from genomamba_kernels import _triton_functions  # noqa: E402


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Largest error in units of eps: half is that of a correctly rounded result. PyTorch's own take 1.0 to 1.3.
FUNCTIONS = {
    "softplus": (lambda x: np.where(x > 20, x, np.log1p(np.exp(x))), 2.0),
    "softplus_slope": (lambda x: np.where(x > 20, 1, sigmoid(x)), 2.5),
    "sigmoid": (sigmoid, 2.5),
    "silu": (lambda x: x * sigmoid(x), 2.5),
}
# ex2.approx of NVIDIA's GPUs may be wrong by two units more.
APPROXIMATE = 2.0


@triton.jit
def apply_kernel(x_ptr, y_ptr, slope_ptr, NAME: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i)
    if NAME == "softplus":
        y = _triton_functions.softplus(x)
    elif NAME == "softplus_slope":
        y = _triton_functions.softplus_slope(x)
    elif NAME == "sigmoid":
        y = _triton_functions.sigmoid(x)
    elif NAME == "silu_rough":
        y = _triton_functions.silu_rough(x)
    else:
        y = _triton_functions.silu(x)
    tl.store(y_ptr + i, y)
    _, slope = _triton_functions.silu_and_slope(x)
    tl.store(slope_ptr + i, slope)


def apply(name, x):
    y, slope = torch.empty_like(x), torch.empty_like(x)
    apply_kernel[(x.numel() // 1024,)](x, y, slope, NAME=name, BLOCK=1024)
    return y.cpu().numpy(), slope.cpu().numpy()


@pytest.fixture
def make_numbers():
    def make(low, high, dtype):
        generator = torch.Generator().manual_seed(0)
        numbers = torch.rand(2**16, generator=generator, dtype=torch.float64) * (high - low) + low
        return numbers.to(dtype).to(device_of("triton"))

    return make


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_a_few_units_at_most(name, dtype, make_numbers):
    function, bound = FUNCTIONS[name]
    x = make_numbers(-80, 30, dtype)
    y, _ = apply(name, x)
    exact = function(x.cpu().numpy().astype(np.longdouble))
    error = np.abs(y / exact - 1).max() / torch.finfo(dtype).eps
    assert error <= (bound if x.device.type == "cpu" else bound + APPROXIMATE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_slope_of_silu(dtype, make_numbers):
    x = make_numbers(-20, 20, dtype)
    _, slope = apply("silu", x)
    wide = x.cpu().numpy().astype(np.longdouble)
    s = sigmoid(wide)
    # It crosses 0 near -1.28, where only the absolute error can be small.
    assert np.abs(slope - s * (1 + wide * (1 - s))).max() <= 4 * torch.finfo(dtype).eps


def test_rough_silu_is_enough_for_bfloat16(make_numbers):
    x = make_numbers(-80, 80, torch.float32)
    y, _ = apply("silu_rough", x)
    wide = x.cpu().numpy().astype(np.longdouble)
    assert np.abs(y / (wide * sigmoid(wide)) - 1).max() <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_limits_and_nan(name, dtype, make_numbers):
    x = make_numbers(0, 0, dtype)
    x[:5] = torch.tensor([torch.nan, torch.inf, 1e30, -torch.inf, -1e30], dtype=dtype)
    y, _ = apply(name, x)
    assert np.isnan(y[0])
    at_large = {"softplus": x, "silu": x}.get(name, torch.ones_like(x))
    assert y[1:3].tolist() == at_large[1:3].tolist()
    if name != "silu":
        assert y[3:5].tolist() == pytest.approx([0, 0], abs=1e-37)
    assert y[4] == pytest.approx(0, abs=1e-6)
