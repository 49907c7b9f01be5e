"""The selective scan on CPUs: tensors in, tensors out, the work shared among threads."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genomamba_kernels._arrays import ceil_div, empty_like, flat
from genomamba_kernels._sequences import Sequences, most_chunks
from genomamba_kernels._simd import LANES
from genomamba_kernels._threads import parallel_for
from genomamba_kernels._turns import give_up, new_turns
from genomamba_kernels.scan import cpu_backward, cpu_forward
from genomamba_kernels.scan.arguments import ScanArguments, ScanGradients
from genomamba_kernels.scan.cpu_backward import BackwardArrays, scan_backward
from genomamba_kernels.scan.cpu_forward import ForwardArrays, Places, Shape, scan_forward
from genomamba_kernels.scan.cpu_plan import CHUNK, STATES, Columns, Integers, Plan, Work, make_columns, make_plan
from genomamba_kernels.scan.cpu_states import pack_parameters, unpack_gradients


def forward(a: ScanArguments, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the final state, and with `keep` what `backward` starts from: the states between chunks."""
    width, d_state, padded, blocks = _sizes(a)
    sequences = a.sequences()
    chunks = sequences.first_chunks(CHUNK)
    columns = make_columns(sequences, chunks)
    work = Work(CHUNK * width * padded, padded // STATES, cpu_forward.SLOT * a.A.element_size(), 0)
    plan = make_plan(columns, blocks, work)

    y = empty_like(a.u)
    final = a.A.new_empty(a.state_shape)
    borders = a.A.new_empty(borders_shape(a) if keep else (0,))
    if keep and a.cu_seqlens is not None:
        borders[chunks[-1] :].zero_()
    scratch_size = cpu_forward.forward_scratch(padded, _slots(plan))
    parameters, state, scratch = _workspace(a, len(columns.sequences), plan, scratch_size)
    tensors = _flat(a.u, a.delta, _or(a.z, a.u), a.B, a.C, _or(a.initial_state, final), y, final, borders)
    arrays = ForwardArrays._make([*tensors, parameters, state])
    shape = Shape(
        *(width, d_state, padded, plan.turn_chunks, plan.steps, a.reverse, a.delta_softplus, a.z is not None),
        *(a.initial_state is not None, keep),
    )
    places = _places(sequences, chunks, columns, plan)
    _run(plan, places, lambda task, worker: scan_forward(arrays, places, shape, scratch[worker], *task))
    return y, final, borders


def backward(a: ScanArguments, dy: Tensor, dfinal_state: Tensor | None, borders: Tensor) -> ScanGradients:
    """Return the gradients of the tensors of `a`, whose initial state is not looked at: it is in the borders."""
    width, d_state, padded, blocks = _sizes(a)
    sequences = a.sequences()
    chunks = sequences.first_chunks(CHUNK)
    columns = make_columns(sequences, chunks)
    item = a.A.element_size()
    work = Work(
        updates=4 * CHUNK * width * padded,
        groups=padded // STATES,
        unit_bytes=cpu_backward.GROUP * cpu_backward.SLOT * item,
        chunk_bytes=2 * padded * CHUNK * item,
    )
    plan = make_plan(columns, ceil_div(blocks, cpu_backward.GROUP), work)

    du, ddelta, dB, dC = (empty_like(x) for x in (a.u, a.delta, a.B, a.C))
    dz = a.u.new_empty(0) if a.z is None else empty_like(a.z)
    dA, dD, dbias = torch.empty_like(a.A), a.A.new_empty(width), a.A.new_empty(width)
    dinitial = a.A.new_empty(a.state_shape)
    dparameters = torch.zeros(len(columns.sequences), blocks, padded + 2, LANES, dtype=torch.float64)
    sums = plan.turn_chunks if plan.steps * (len(plan.edges) - 1) > 1 else 1
    scratch_size = cpu_backward.backward_scratch(padded, sums, cpu_backward.GROUP * _slots(plan))
    parameters, dstate, scratch = _workspace(a, len(columns.sequences), plan, scratch_size)
    dfinal = dinitial if dfinal_state is None else dfinal_state.contiguous()
    given = _flat(a.u, a.delta, _or(a.z, a.u), a.B, a.C, borders, dy, dfinal)
    found = _flat(du, ddelta, dz, dB, dC, dparameters, dinitial)
    arrays = BackwardArrays._make([*given, *found, parameters, dstate])
    shape = Shape(
        *(width, d_state, padded, plan.turn_chunks, plan.steps, a.reverse, a.delta_softplus, a.z is not None),
        *(dfinal_state is not None, True),
    )
    places = _places(sequences, chunks, columns, plan)
    _run(plan, places, lambda task, worker: scan_backward(arrays, places, shape, scratch[worker], *task))
    unpack_gradients(arrays.dparameters, len(columns.sequences), *_flat(dA, dD, dbias), width, d_state, padded)
    return ScanGradients(du, ddelta, dA, dB, dC, dD, dz, dbias, dinitial)


def borders_shape(a: ScanArguments) -> tuple[int, int, int, int]:
    """Return the shape of the states between chunks: (chunks, blocks, padded d_state, 16)."""
    _, _, padded, blocks = _sizes(a)
    return most_chunks(a.u.shape, a.cu_seqlens, CHUNK), blocks, padded, LANES


def _sizes(a: ScanArguments) -> tuple[int, int, int, int]:
    """Return d_inner, d_state, d_state padded to a multiple of four, and the blocks of 16 channels."""
    width, d_state = a.A.shape
    return width, d_state, ceil_div(d_state, STATES) * STATES, ceil_div(width, LANES)


def _flat(*tensors: Tensor) -> list[Any]:
    return [flat(tensor) for tensor in tensors]


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    """Return a tensor, or where there is none another that takes its place unread."""
    return other if tensor is None else tensor


def _workspace(a: ScanArguments, columns: int, plan: Plan, scratch_size: int) -> tuple[Any, Any, list[Any]]:
    """Return the packed parameters, memory for the states of the columns, and scratch for each thread."""
    width, d_state, padded, blocks = _sizes(a)
    first, second = blocks * (padded + 2) * LANES, columns * blocks * padded * LANES
    memory = flat(a.A.new_empty(first + second + plan.threads * scratch_size))
    parameters, state, scratch = memory[:first], memory[first : first + second], memory[first + second :]
    pack_parameters(
        *_flat(a.A, _or(a.D, a.A), _or(a.delta_bias, a.A)),
        *(a.D is not None, a.delta_bias is not None, parameters, width, d_state, padded),
    )
    return parameters, state, [scratch[i * scratch_size : (i + 1) * scratch_size] for i in range(plan.threads)]


def _places(sequences: Sequences, chunks: Integers, columns: Columns, plan: Plan) -> Places:
    turns = new_turns(len(columns.sequences) * (len(plan.edges) - 1) * plan.steps)
    return Places(sequences.borders, chunks, columns.chunks, columns.sequences, plan.edges, turns)


def _slots(plan: Plan) -> int:
    """Return for how many units and chunks rows are kept at once."""
    return 1 if plan.steps == 1 else plan.turn_chunks * int((plan.edges[1:] - plan.edges[:-1]).max())


def _run(plan: Plan, places: Places, take_turn: Callable[[tuple[int, int, int], int], None]) -> None:
    tasks = plan.tasks
    parallel_for(
        *(len(tasks), plan.threads, lambda index, worker: take_turn(tasks[index], worker)),
        on_error=lambda: give_up(places.turns),
    )
