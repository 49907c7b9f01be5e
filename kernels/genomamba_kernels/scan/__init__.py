"""The selective scan: the specification, the CPU kernels, and the operator."""
