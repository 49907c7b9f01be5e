"""The state of the convolution after a segment, its last inputs in each sequence, and the gradient that it brings back.

A sequence that has fewer positions in a segment than the convolution reaches back passes on a part of the state
before it. For `reverse` the last inputs of the walk are the first by position.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genomamba_kernels.mixer.segments import Integers, Segment


def next_conv_state(x_pd: Tensor, state: Tensor, segment: Segment, reverse: bool) -> Tensor:
    """Return the state after a segment, (sequences, d_conv - 1, d_inner), from the one before it.

    Parameters
    ----------
    x_pd : (positions, d_inner)
        Inputs of the convolution in the segment.
    """
    count, past, width = state.shape
    if segment.borders is None:
        x_sld = x_pd.view(count, -1, width)
        length = x_sld.shape[1]
        own = min(past, length)
        if reverse:
            return torch.cat([x_sld[:, :own].to(state.dtype), state[:, : past - own]], dim=1)
        return torch.cat([state[:, own:], x_sld[:, length - own :].to(state.dtype)], dim=1)
    positions, inside, older = _tails(segment.borders, past, reverse)
    result = x_pd[_index(positions.clip(0, len(x_pd) - 1), x_pd)].to(state.dtype)
    sequence, place, before = (_index(i, x_pd) for i in (*np.nonzero(~inside), older[~inside]))
    result[sequence, place] = state[sequence, before]
    return result


def add_conv_state_gradient(dx_pd: Tensor, dstate: Tensor, segment: Segment, reverse: bool) -> Tensor:
    """Add the gradient of the state after a segment to that of the inputs in it; return the rest.

    Returns
    -------
    (sequences, d_conv - 1, d_inner)
        Gradient of the state before the segment, without what the convolution itself gives.
    """
    count, past, width = dstate.shape
    rest = torch.zeros_like(dstate)
    if segment.borders is None:
        dx_sld = dx_pd.view(count, -1, width)
        length = dx_sld.shape[1]
        own = min(past, length)
        if reverse:
            dx_sld[:, :own] += dstate[:, :own]
            rest[:, : past - own] = dstate[:, own:]
        else:
            dx_sld[:, length - own :] += dstate[:, past - own :]
            rest[:, own:] = dstate[:, : past - own]
        return rest
    positions, inside, older = _tails(segment.borders, past, reverse)
    at, sequence, place = (_index(i, dx_pd) for i in (positions[inside], *np.nonzero(inside)))
    dx_pd[at] = (dx_pd[at] + dstate[sequence, place]).to(dx_pd.dtype)
    sequence, place, before = (_index(i, dx_pd) for i in (*np.nonzero(~inside), older[~inside]))
    rest[sequence, before] = dstate[sequence, place]
    return rest


def _tails(borders: Integers, past: int, reverse: bool) -> tuple[Integers, npt.NDArray[np.bool_], Integers]:
    """Find the inputs that make the next state, each (sequences, past).

    Returns
    -------
    positions : where they are in the segment.
    inside : whether that is inside the sequence; the others come from the state before.
    older : where they are in that state.
    """
    starts, ends, steps = borders[:-1, None], borders[1:, None], np.arange(past)
    if reverse:
        positions = starts + steps
        return positions, positions < ends, positions - ends
    positions = ends - past + steps
    return positions, positions >= starts, positions - starts + past


def _index(array: npt.NDArray[np.int64], beside: Tensor) -> Tensor:
    """Return indices as a tensor on the device of another."""
    return torch.from_numpy(array).to(beside.device)
