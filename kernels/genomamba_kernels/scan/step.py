"""One token through the selective scan, for generation."""

from torch import Tensor

from genomamba_kernels import _checks
from genomamba_kernels.scan.op import selective_scan


def selective_scan_step(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Take one token of every sequence, and return its output and the state for the next one.

    Token by token it gives what `selective_scan` gives of the whole sequence. Nothing is changed in place, and it is
    differentiable in every tensor argument.

    Parameters
    ----------
    state : (batch, d_inner, d_state), floating
        The state before this token: the final state of `selective_scan` over a prompt, or zeros.
    u, delta : (batch, d_inner), float32, bfloat16 or float64
    A : (d_inner, d_state), floating
    B, C : (batch, d_state), floating
    D, delta_bias : (d_inner,), floating, optional
    z : (batch, d_inner), floating, optional
    delta_softplus : bool
        As for `selective_scan`.
    backend : {"auto", "cpu", "triton", "reference"}

    Returns
    -------
    y : (batch, d_inner), dtype of u
    state : (batch, d_inner, d_state), float32 or float64

    Raises
    ------
    ValueError
        Where a shape, dtype or device disagrees with that of u; the message gives both.
    NotImplementedError
        Where the backend cannot run; the message names the way out.
    """
    _checks.check_scan_step(state, u, delta, A, B, C, D, z, delta_bias)
    chosen = _checks.resolve_backend("selective_scan_step", backend, u.device)
    y, after = selective_scan(
        u[:, None],
        delta[:, None],
        A,
        B[:, None],
        C[:, None],
        D,
        None if z is None else z[:, None],
        delta_bias,
        delta_softplus,
        state,
        return_final_state=True,
        backend=chosen,
    )
    return y[:, 0], after
