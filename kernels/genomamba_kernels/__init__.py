"""Kernels of state-space models, for CPUs and GPUs: the selective scan, the causal convolution, the mixer.

They know nothing of DNA and need torch and numba, and Triton on a GPU. `README.md` in the folder above gives the
symbols, the layout and the derivation of both passes.
"""

from genomamba_kernels._neighbours import Neighbours
from genomamba_kernels._threads import get_num_threads, set_num_threads
from genomamba_kernels.conv.op import causal_conv1d
from genomamba_kernels.conv.parts import tail_before
from genomamba_kernels.conv.step import causal_conv1d_step
from genomamba_kernels.mixer.arguments import MixerState, MixerWeights
from genomamba_kernels.mixer.op import fused_mixer
from genomamba_kernels.mixer.parts import mixer_part
from genomamba_kernels.mixer.step import mixer_step
from genomamba_kernels.scan.op import selective_scan
from genomamba_kernels.scan.parts import scan_part
from genomamba_kernels.scan.step import selective_scan_step

__all__ = [
    "MixerState",
    "MixerWeights",
    "Neighbours",
    "causal_conv1d",
    "causal_conv1d_step",
    "fused_mixer",
    "get_num_threads",
    "mixer_part",
    "mixer_step",
    "scan_part",
    "selective_scan",
    "selective_scan_step",
    "set_num_threads",
    "tail_before",
]
