"""One token through a mixer, for generation."""

from torch import Tensor

from genomamba_kernels.mixer.arguments import MixerState, MixerWeights
from genomamba_kernels.mixer.op import fused_mixer


def mixer_step(
    x: Tensor, weights: MixerWeights, state: MixerState | None = None, backend: str = "auto"
) -> tuple[Tensor, MixerState]:
    """Take one token of every sequence, and return its output and the state for the next one.

    Token by token it gives what `fused_mixer` gives of the whole sequence; the arguments are those.

    Parameters
    ----------
    x : (batch, d_model), float32, bfloat16 or float64
    state : MixerState, optional
        What the call before it, or `fused_mixer` over a prompt, returned. Zero where it is not given.

    Returns
    -------
    y : (batch, d_model), dtype of x, or under autocast its dtype
    state : MixerState
    """
    y, state = fused_mixer(x[:, None], weights, state, return_final_state=True, backend=backend)
    return y[:, 0], state
