"""Threads take turns at a state: the part that comes later along a sequence waits for the one before it.

All that threads share is an array of counts. One hands out the tasks, in order, to whoever is free; each of the
others belongs to a state that is passed on, and tells how many turns have had it. A task may wait for those
before it alone, so that whoever is waited for is running, and the first of all waits for nobody.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

STRIDE = 8
"""Numbers from one count to the next: each has a cache line of its own."""
SPINS = 200
"""Looks at a count before the processor is offered to others."""


def new_turns(count: int) -> npt.NDArray[np.int64]:
    """Return the count of tasks and those of `count` states, all 0."""
    return np.zeros((count + 1) * STRIDE, np.int64)


@njit
def next_task(turns):  # type: ignore[no-untyped-def]
    """Return the number of the next task; no two callers get the same."""
    return _add_one(turns, 0)


@njit
def wait_for_turn(turns, state, turn):  # type: ignore[no-untyped-def]
    """Wait until `turn` turns have had a state."""
    spins = 0
    while _load(turns, (state + 1) * STRIDE) < turn:
        spins += 1
        if spins > SPINS:
            _yield_processor()


@njit
def end_turn(turns, state, turn):  # type: ignore[no-untyped-def]
    """Pass a state on to turn `turn + 1`, with all that was written before."""
    _store(turns, (state + 1) * STRIDE, turn + 1)


@intrinsic
def _add_one(typingctx: Any, array: Any, index: Any) -> Any:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), ir.IntType(64)(1), "acq_rel")

    return signature(types.int64, array, types.intp), lower


@intrinsic
def _load(typingctx: Any, array: Any, index: Any) -> Any:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return signature(types.int64, array, types.intp), lower


@intrinsic
def _store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()

    return signature(types.void, array, types.intp, types.int64), lower


@intrinsic
def _yield_processor(typingctx: Any) -> Any:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return signature(types.void), lower
