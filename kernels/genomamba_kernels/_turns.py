"""Threads take turns at a state: the part that comes later along a sequence waits for the one before it.

A kernel counts, for each state that is passed on, how many parts have had it. Parts are handed out in
order, so that whoever is waited for is already running, and the first of all waits for nobody.
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
    """Return counts of 0, and one more in front that tells, where it is not 0, that the work was given up."""
    return np.zeros((count + 1) * STRIDE, np.int64)


def give_up(turns: npt.NDArray[np.int64]) -> None:
    """Let everybody go who waits for a turn."""
    turns[0] = 1


@njit
def wait_for_turn(turns, index, turn):  # type: ignore[no-untyped-def]
    """Wait until `turn` parts have had their turn; False where the work was given up."""
    spins = 0
    while _load(turns, (index + 1) * STRIDE) < turn:
        if _load(turns, 0) != 0:
            return False
        spins += 1
        if spins > SPINS:
            _yield_processor()
    return True


@njit
def end_turn(turns, index, turn):  # type: ignore[no-untyped-def]
    """Let part `turn + 1` begin, with all that this part has written."""
    _store(turns, (index + 1) * STRIDE, turn + 1)


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
