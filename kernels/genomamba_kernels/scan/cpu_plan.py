"""How the scan is divided among threads: along the sequences, with states passed on from part to part.

Chunks of 64 positions are numbered through all sequences. A column is a run of whole sequences whose chunks
are walked in order; a turn is the next few chunks of a column. Threads take turns in order, whoever is free.
Where there are fewer columns than threads, several threads work at one: a turn then has several stages, blocks
of channels or groups of states, each with a state of its own, so that a thread begins its turn while another
is at the later stages of the one before.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genomamba_kernels._arrays import ceil_div
from genomamba_kernels._sequences import Sequences
from genomamba_kernels._threads import get_num_threads

CHUNK = 64
"""Positions staged at a time; the states between chunks are what backward starts from."""
STATES = 4
"""States of a channel held in registers at a time; d_state is padded to a multiple."""
COLUMNS = 64
"""Most columns; the gradients of parameters are summed in each column, then over them."""
SMALL = 200_000
"""State updates below which handing parts to other threads costs more than it saves."""
SMALLEST_TURN = 150_000
"""State updates of a turn, or more, where several threads take turns."""
TURNS = 16
"""Turns for each thread, so that none waits long for the last; times the threads that work together."""
KEPT_KIB = 512
"""Memory for what a turn keeps from part to part and from step to step: it should stay in the cache of a core."""

Integers = npt.NDArray[np.int64]


class Columns(NamedTuple):
    """Runs of sequences; they depend on the sequences alone, so that sums over a column do not know the threads."""

    chunks: Integers
    """(columns + 1,): column i walks chunks[i] to chunks[i + 1], exclusive."""
    sequences: Integers
    """(columns,): the first sequence of each column."""


class Work(NamedTuple):
    """What a kernel does."""

    units: int
    """Blocks or groups of channels, which share no state."""
    chained: bool
    """Whether the units of a chunk must be done in order, by one thread."""
    updates: int
    """State updates of a chunk, in all units."""
    groups: int
    """Groups of states, each of which may be walked alone."""
    unit_bytes: int
    """What a unit keeps from step to step, for each chunk."""
    chunk_bytes: int
    """What all units of a chunk share, where they are chained or the groups are walked alone."""


class Plan(NamedTuple):
    """Who does what: nothing here changes a number that is computed."""

    threads: int
    turn_chunks: int
    """Chunks of a turn."""
    edges: Integers
    """(parts + 1,): part i of a turn has the units edges[i] to edges[i + 1]."""
    steps: int
    """Steps of a part: 1, or where its states are walked in groups, one to begin, one for each group, one to end."""
    tasks: Integers
    """(tasks, 5), in the order in which they are handed out: turn, first and last column, first and last part
    (exclusive)."""


def make_columns(sequences: Sequences, first_chunks: Integers) -> Columns:
    """Divide sequences into runs of about as many chunks each, or one a sequence where they are few."""
    if sequences.count <= COLUMNS:
        return Columns(first_chunks, np.arange(sequences.count))
    place = first_chunks[:-1] * COLUMNS // first_chunks[-1]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    return Columns(np.append(first_chunks[first], first_chunks[-1]), first)


def make_plan(columns: Columns, work: Work) -> Plan:
    """Divide the chunks of columns among threads."""
    total, count = int(columns.chunks[-1]), len(columns.sequences)
    threads = 1 if total * work.updates < SMALL else get_num_threads()
    if threads == 1:
        return Plan(1, total, np.array([0, work.units]), 1, np.array([[0, 0, count, 0, 1]]))

    counts = np.diff(columns.chunks)
    # Threads that have to work at the longest column at once, lest the others wait for it.
    together = ceil_div(threads * int(counts.max()), total)
    parts = steps = 1
    if together > 1:
        parts = min(work.units, 2 * together)
        # Parts that are chained need others to go on with while they wait.
        enough = 2 * together if work.chained else together
        steps = 1 if parts >= enough else work.groups + 2
    turn_chunks = max(ceil_div(SMALLEST_TURN, work.updates), ceil_div(total, TURNS * threads))
    kept = work.chunk_bytes if steps > 1 or (work.chained and parts > 1) else 0
    kept += work.unit_bytes * ceil_div(work.units, parts) if steps > 1 else 0
    if kept > 0:
        turn_chunks = min(turn_chunks, max(1, KEPT_KIB * 1024 // kept))
    edges = np.arange(parts + 1) * work.units // parts
    return Plan(threads, turn_chunks, edges, steps, _order(counts, turn_chunks, 1 if work.chained else parts, parts))


def _order(counts: Integers, turn_chunks: int, tasks: int, parts: int) -> Integers:
    """Return the turns of all columns, each in some tasks: the first turn of each, then the second, and so on."""
    turns = -(-counts // turn_chunks)
    if turns.max() > 1:
        turn = np.concatenate([np.arange(n) for n in turns])
        column = np.repeat(np.arange(len(counts)), turns)
        order = np.lexsort((column, turn))
        turn, first, last = turn[order], column[order], column[order] + 1
    else:
        # Columns that are short are put together, as many as make up a turn.
        place = (np.cumsum(counts) - counts) // turn_chunks
        first = np.flatnonzero(np.diff(place, prepend=-1))
        turn, last = np.zeros_like(first), np.append(first[1:], len(counts))
    first_part = np.tile(np.arange(tasks), len(first))
    turn, first, last = (np.repeat(x, tasks) for x in (turn, first, last))
    return np.stack([turn, first, last, first_part, first_part + parts // tasks], axis=1)
