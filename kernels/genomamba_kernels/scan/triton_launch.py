"""The selective scan on GPUs by Triton: the functions of a backend."""

from genomamba_kernels.scan.triton_backward import backward
from genomamba_kernels.scan.triton_forward import forward
from genomamba_kernels.scan.triton_plan import borders_shape

__all__ = ["backward", "borders_shape", "forward"]
