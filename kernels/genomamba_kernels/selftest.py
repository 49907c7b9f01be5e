"""Does a backend give the right numbers on this machine? A small case, whose answer is stored, in seconds.

A weighted sum over each output and gradient is compared with the one that the reference gave in float64. Inputs are
made by a formula, so that they are the same everywhere.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genomamba_kernels._checks import state_dtype
from genomamba_kernels.conv.op import causal_conv1d
from genomamba_kernels.scan.op import selective_scan

BATCH, LENGTH, D_INNER, D_STATE, D_CONV = 2, 150, 20, 5, 4
"""Across the edges of chunks and of blocks of channels."""
SEQUENCES = frozenset({"u", "delta", "B", "C", "z", "x"})
TOLERANCES = {torch.float64: 1e-11, torch.float32: 2e-6, torch.bfloat16: 1e-2}
"""Of the error of a weighted sum, relative to the product of the norms of weights and values."""
EXPECTED: dict[str, tuple[float, float]] = {
    "selective_scan forwards y": (2.2397121040906587, 37.552738569501074),
    "selective_scan forwards final_state": (0.5610826181671642, 7.850104080218914),
    "selective_scan forwards gradient of u": (1.3131015113394007, 24.964021629681962),
    "selective_scan forwards gradient of delta": (-0.4150948563134107, 10.055410486921923),
    "selective_scan forwards gradient of A": (44.89391208317787, 43.83847433803097),
    "selective_scan forwards gradient of B": (1.827339424364212, 10.374903587844223),
    "selective_scan forwards gradient of C": (166.22535728313898, 24.712160710532423),
    "selective_scan forwards gradient of D": (-1.1790230753432946, 1.6858206494919337),
    "selective_scan forwards gradient of z": (11.41588782197271, 40.84689352330872),
    "selective_scan forwards gradient of delta_bias": (0.3493871087928855, 6.362607893602265),
    "selective_scan forwards gradient of initial_state": (-1.1693307501927093, 2.4335732426494214),
    "selective_scan backwards y": (6.673937661224633, 39.92495152694076),
    "selective_scan backwards final_state": (-2.9292977156667916, 8.260154718581273),
    "selective_scan backwards gradient of u": (-3.938040068513842, 25.060109006605618),
    "selective_scan backwards gradient of delta": (-3.3958902368536963, 10.17548465213877),
    "selective_scan backwards gradient of A": (-5.884975414897317, 23.380459710489486),
    "selective_scan backwards gradient of B": (-2.064596340061532, 10.266461865038037),
    "selective_scan backwards gradient of C": (185.81038726184914, 24.99543751517929),
    "selective_scan backwards gradient of D": (-1.1790230753432946, 1.6858206494919337),
    "selective_scan backwards gradient of z": (12.223476851807936, 43.60061681757909),
    "selective_scan backwards gradient of delta_bias": (-7.8717359651901795, 5.145719980860664),
    "selective_scan backwards gradient of initial_state": (-1.0332450985346138, 2.724657403214959),
    "causal_conv1d forwards y": (-0.5873935647555424, 76.67837938297019),
    "causal_conv1d forwards final_state": (0.7777417459437412, 7.7616811491271935),
    "causal_conv1d forwards gradient of x": (-630.9230898920539, 50.86525933816947),
    "causal_conv1d forwards gradient of weight": (2.770441399735226, 14.688677708488076),
    "causal_conv1d forwards gradient of bias": (6.70625306257608, 12.311258079620583),
    "causal_conv1d forwards gradient of initial_state": (12.6337721531803, 4.840111725247168),
    "causal_conv1d backwards y": (-0.7851685198419824, 76.60996420177479),
    "causal_conv1d backwards final_state": (-0.7650943316365314, 7.758541180520236),
    "causal_conv1d backwards gradient of x": (625.8516383564781, 50.45420597604608),
    "causal_conv1d backwards gradient of weight": (-3.423226197413944, 10.658514960388098),
    "causal_conv1d backwards gradient of bias": (-1.704038551345921, 12.097113430592728),
    "causal_conv1d backwards gradient of initial_state": (3.597529845726985, 5.28269058500683),
}
"""Weighted sum and norm of each result, by the reference in float64."""


class Result(NamedTuple):
    """How far one tensor lies from what is stored."""

    name: str
    error: float
    """Relative to the norm; NaN where the tensor holds NaN."""
    tolerance: float

    @property
    def is_right(self) -> bool:
        """Whether the error is within the tolerance; NaN never is."""
        return self.error <= self.tolerance


def check(backend: str, device: torch.device | str, dtype: torch.dtype) -> list[Result]:
    """Run scan and convolution, forward and backward, in both directions, and compare with what is stored.

    Parameters
    ----------
    backend : str
        As for `genomamba_kernels.selective_scan`.
    device : torch.device or str
        Where to run.
    dtype : torch.dtype
        float32, bfloat16 or float64.
    """
    results = []
    for name, tensor in outcomes(backend, torch.device(device), dtype).items():
        expected, norm = EXPECTED[name]
        weights = _wave(tensor.numel(), 0.9)
        error = abs((weights * tensor.double().cpu().flatten()).sum().item() - expected)
        results.append(Result(name, error / (norm * weights.norm().item()), TOLERANCES[dtype]))
    return results


def outcomes(backend: str, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return every output and every gradient, by name."""
    scan = {
        "u": _values(1.1, BATCH, LENGTH, D_INNER),
        "delta": _values(1.3, BATCH, LENGTH, D_INNER) - 1,
        "A": -_values(0.7, D_INNER, D_STATE).abs() - 0.01,
        "B": _values(1.7, BATCH, LENGTH, D_STATE),
        "C": _values(1.9, BATCH, LENGTH, D_STATE),
        "D": _values(2.1, D_INNER),
        "z": _values(2.3, BATCH, LENGTH, D_INNER),
        "delta_bias": _values(2.6, D_INNER),
        "initial_state": _values(2.9, BATCH, D_INNER, D_STATE),
    }
    conv = {
        "x": _values(1.2, BATCH, LENGTH, D_INNER),
        "weight": _values(1.4, D_INNER, D_CONV),
        "bias": _values(1.6, D_INNER),
        "initial_state": _values(1.8, BATCH, D_CONV - 1, D_INNER),
    }
    found: dict[str, Tensor] = {}
    cases: list[tuple[Any, dict[str, Tensor], dict[str, Any]]] = [
        (selective_scan, scan, {"delta_softplus": True}),
        (causal_conv1d, conv, {"activation": "silu"}),
    ]
    for function, inputs, options in cases:
        for reverse in (False, True):
            leaves = {
                # A value that bfloat16 holds is the same number in every dtype.
                name: value.bfloat16().to(device, dtype if name in SEQUENCES else state_dtype(dtype)).requires_grad_()
                for name, value in inputs.items()
            }
            y, state = function(**leaves, **options, return_final_state=True, reverse=reverse, backend=backend)
            torch.autograd.backward([y, state], [_values(0.3, *y.shape).to(y), _values(0.4, *state.shape).to(state)])
            direction = "backwards" if reverse else "forwards"
            found |= {
                f"{function.__name__} {direction} {name}": tensor.detach()
                for name, tensor in {"y": y, "final_state": state}.items()
            }
            for name, leaf in leaves.items():
                assert leaf.grad is not None
                found[f"{function.__name__} {direction} gradient of {name}"] = leaf.grad
    return found


def _values(step: float, *shape: int) -> Tensor:
    return _wave(math.prod(shape), step).view(shape)


def _wave(count: int, step: float) -> Tensor:
    """Return numbers between -1 and 1 that do not repeat, by a formula."""
    return torch.sin(torch.arange(1, count + 1, dtype=torch.float64) * step)
