"""Triton's interpreter, made quick enough for a suite that runs hundreds of kernels in it."""

from types import SimpleNamespace
from typing import Any, cast

import triton.language as tl
from triton.runtime import interpreter


class _Nothing:
    """What a function restores that found the language replaced."""

    def restore(self) -> None:
        pass


class _Launch:
    """Both names of the language replaced from the beginning of a launch to its end."""

    now = False

    def __init__(self, replace: Any) -> None:
        self.scope = replace(SimpleNamespace(__globals__={"tl": tl, "core": tl.core}))
        _Launch.now = True

    def restore(self) -> None:
        _Launch.now = False
        self.scope.restore()


def patch_language_once_a_launch() -> None:
    """Let functions that a kernel calls find the language as the launch has replaced it.

    The interpreter replaces some hundred names of the language, and puts them back, for every call of a function in a
    kernel, which is half its time.
    """
    replace = interpreter._patch_lang
    cast(Any, interpreter)._patch_lang = lambda _: _Nothing() if _Launch.now else _Launch(replace)
