"""Forward of the selective scan in Triton: segments of the sequences are walked side by side.

Three passes: the state that each segment would end with if it began at zero, and the sum of its delta; from those, one
after the other, the states that segments begin with, since a segment decays what came before it by exp(A sum(delta));
and the outputs, walked again from there. The first two are left out where every sequence is one segment.
"""

import torch
import triton
from torch import Tensor

from genomamba_kernels._triton_launch import launch, target_of
from genomamba_kernels.scan.arguments import ScanArguments
from genomamba_kernels.scan.triton_chunks import Chunks, find_chunks
from genomamba_kernels.scan.triton_forward_kernels import combine_kernel, local_kernel, output_kernel
from genomamba_kernels.scan.triton_plan import ForwardPlan, borders_shape, chunk_size, forward_plan
from genomamba_kernels.scan.triton_prepare import Prepared, prepare, states_from_kernel, states_to_kernel

COMBINE_UNROLL = 16
"""Segments whose states are loaded together: as many reads are under way at a time."""


def forward(a: ScanArguments, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the final state, and with `keep` the states before each chunk, else something empty."""
    plan = forward_plan(a, target_of(a.u.device))
    size = chunk_size(a)
    sequences = a.sequences()
    segments = find_chunks(a, sequences, plan.segment)
    chunks = segments if plan.segment == size else find_chunks(a, sequences, size)
    p = prepare(a)
    states = None if a.initial_state is None else states_to_kernel(a.initial_state)
    if segments.most > 1:
        states = _combined_states(a, p, plan, segments, states)
    y = torch.empty_like(a.u)
    final = a.A.new_empty(sequences.count, *p.A2.shape)
    borders = a.A.new_empty(borders_shape(a) if keep else (0,))
    if keep:
        # With cu_seqlens, shapes tell no more than a bound on the number of chunks.
        borders[chunks.count :] = 0
    d_inner = a.u.shape[2]
    blocks = triton.cdiv(d_inner, plan.block_d)
    launch(
        output_kernel, (segments.count * blocks,), 1, work=p.A2.shape[0] * plan.block_d * plan.unroll,
        max_registers=plan.max_registers,
        u_ptr=a.u, delta_ptr=a.delta, z_ptr=a.z, y_ptr=y, B_ptr=p.B, C_ptr=p.C,
        A_ptr=p.A2, D_ptr=a.D, bias_ptr=a.delta_bias, states_ptr=states, final_ptr=final,
        borders_ptr=borders if keep else None,
        segments_ptr=segments.table, segment_firsts_ptr=segments.firsts, chunk_firsts_ptr=chunks.firsts,
        stride=d_inner, chunk=size, chunks_a_segment=plan.segment // size,
        D_INNER=d_inner, N=p.A2.shape[0], BLOCK_D=plan.block_d, TILE=plan.tile, UNROLL=plan.unroll,
        SOFTPLUS=a.delta_softplus, STEP=-1 if a.reverse else 1,
    )  # fmt: skip
    return y, states_from_kernel(final, a.A.shape[1]), borders


def _combined_states(
    a: ScanArguments, p: Prepared, plan: ForwardPlan, segments: Chunks, initial: Tensor | None
) -> Tensor:
    """Return the states that segments begin with: (segments, N, d_inner)."""
    padded, d_inner = p.A2.shape
    states = a.A.new_empty(segments.count, padded, d_inner)
    sums = a.A.new_empty(segments.count, d_inner)
    blocks = triton.cdiv(d_inner, plan.block_d)
    launch(
        local_kernel, (segments.count * blocks,), 1, work=padded * plan.block_d * plan.unroll,
        max_registers=plan.max_registers,
        u_ptr=a.u, delta_ptr=a.delta, B_ptr=p.B, A_ptr=p.A2, bias_ptr=a.delta_bias, states_ptr=states, sums_ptr=sums,
        segments_ptr=segments.table, segment_firsts_ptr=segments.firsts, stride=d_inner,
        D_INNER=d_inner, N=padded, BLOCK_D=plan.block_d, TILE=plan.tile, UNROLL=plan.unroll,
        SOFTPLUS=a.delta_softplus, STEP=-1 if a.reverse else 1,
    )  # fmt: skip
    blocks = triton.cdiv(d_inner, 32)
    launch(
        combine_kernel, ((len(segments.firsts) - 1) * padded * blocks,), 1,
        A_ptr=p.A2, states_ptr=states, sums_ptr=sums, initial_ptr=initial, firsts_ptr=segments.firsts,
        D_INNER=d_inner, N=padded, BLOCK_D=32, UNROLL=COMBINE_UNROLL,
    )  # fmt: skip
    return states
