"""One token through the causal convolution, for generation."""

from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.conv.op import causal_conv1d


def causal_conv1d_step(
    state: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Take one token of every sequence, and return its output and the state for the next one.

    Token by token it gives, bit for bit, what `causal_conv1d` gives of the whole sequence. Nothing is changed in
    place, and it is differentiable in every tensor argument.

    Parameters
    ----------
    state : (batch, d_conv - 1, d_inner), floating
        The inputs before x, the oldest first: the final state of `causal_conv1d` over a prompt, or zeros.
    x : (batch, d_inner), float32, bfloat16 or float64
    weight : (d_inner, d_conv), floating
    bias : (d_inner,), floating, optional
    activation : {None, "silu"}
    backend : {"auto", "cpu", "triton", "reference"}

    Returns
    -------
    y : (batch, d_inner), dtype of x
    state : (batch, d_conv - 1, d_inner), float32 or float64

    Raises
    ------
    ValueError
        Where a shape, dtype or device disagrees with that of x; the message gives both.
    NotImplementedError
        Where the backend cannot run; the message names the way out.
    """
    _checks.check_conv_step(state, x, weight, bias)
    _checks.check_activation(activation, "causal_conv1d_step")
    chosen = _checks.resolve_backend("causal_conv1d_step", backend, x.device)
    y, after = causal_conv1d(x[:, None], weight, bias, activation, state, return_final_state=True, backend=chosen)
    return y[:, 0], after
