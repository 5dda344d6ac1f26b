"""Which functions something calls, and how many bytecodes each runs. It loads nothing, so that imports can be counted.

A name is ``module.qualname``. Of a Python function there are the calls and the bytecodes, of a builtin the calls alone.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

__all__ = ["called"]


def called(function: Callable[[], object], *, bytecodes: bool = True) -> dict[str, list[int]]:
    """Run ``function`` (twice with ``bytecodes``) and count: ``{name: [calls, bytecodes]}``, or ``{name: [calls]}``.

    A generator or coroutine that goes on counts as called again.
    """
    counts: dict[str, list[int]] = {}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            counts.setdefault(_name(frame), [0, 0])[0] += 1
        elif event == "c_call" and argument is not sys.setprofile:
            module = getattr(argument, "__module__", None)
            name = f"{module}.{argument.__qualname__}" if module else argument.__qualname__
            counts.setdefault(name, [0])[0] += 1

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode" and (count := counts.get(_name(frame))) is not None:
            count[-1] += 1
        return trace

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    if bytecodes:
        sys.settrace(trace)
        try:
            function()
        finally:
            sys.settrace(None)
    counts.pop(_name_of(function), None)
    return counts


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _name_of(function: Callable[[], object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
