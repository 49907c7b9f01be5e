"""The causal depthwise convolution in plain PyTorch: the specification of the kernels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from genomamba_kernels._checks import state_dtype
from genomamba_kernels._sequences import find_sequences


def conv_reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    initial_state: Tensor | None = None,
    reverse: bool = False,
    cu_seqlens: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return y_t = f(bias + sum over j of weight[:, k-1-j] x_{t-j}) and the inputs the next piece needs.

    The arguments are those of `genomamba_kernels.causal_conv1d`; autograd differentiates through it.

    Returns
    -------
    y : (batch, length, d_inner), dtype of x
        Accumulated in float32, or in float64 where x is float64.
    state : (batch, d_conv - 1, d_inner), float32 or float64
        The last d_conv - 1 inputs in the order of positions, or the first ones for `reverse`.
    """
    if cu_seqlens is not None:
        pieces = []
        for i, (start, end) in enumerate(find_sequences("causal_conv1d", x.shape, cu_seqlens).pieces()):
            past = None if initial_state is None else initial_state[i : i + 1]
            pieces.append(conv_reference(x[:, start:end], weight, bias, activation, past, reverse))
        return torch.cat([y for y, _ in pieces], dim=1), torch.cat([past for _, past in pieces])

    dtype = state_dtype(x.dtype)
    batch, length, d_inner = x.shape
    d_conv = weight.shape[1]
    taps_dk = weight.to(dtype)
    if initial_state is None:
        past = x.new_zeros(batch, d_conv - 1, d_inner, dtype=dtype)
    else:
        past = initial_state.to(dtype)

    if reverse:
        # The future plays the part of the past, so the weights meet the positions in opposite order.
        padded = torch.cat([x.to(dtype), past], dim=1)
        taps_dk = taps_dk.flip(1)
        state = padded[:, : d_conv - 1]
    else:
        padded = torch.cat([past, x.to(dtype)], dim=1)
        state = padded[:, length:]
    y = sum((taps_dk[:, j] * padded[:, j : j + length] for j in range(d_conv)), torch.zeros((), dtype=dtype))
    if bias is not None:
        y = y + bias.to(dtype)
    if activation == "silu":
        y = F.silu(y)
    return y.to(x.dtype), state
