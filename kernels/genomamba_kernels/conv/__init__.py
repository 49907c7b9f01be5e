"""The causal depthwise convolution: the specification, the CPU kernels, and the operator."""
