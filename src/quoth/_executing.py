"""Executing what a model asked for: approved one by one, then all at once, each within its time.

What goes wrong with a tool is the model's to know and not the caller's: an exception, an unknown name, arguments that
do not fit, a no of who approves, all become results that say so. Only what interrupts a program goes through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from . import _json
from ._tools import ArgumentsError, Executable
from .errors import InputTypeError, clean
from .transport._clock import monotonic
from .types import Document, Image, Text, Tool, ToolCall, ToolResult

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["Approve", "ToolRun", "Toolbox", "aexecute", "execute"]

Approve: TypeAlias = Callable[[ToolCall], bool | str | Awaitable[bool | str]]
"""Asked before a tool is executed: True; False; or a no in words, which the model is told."""

MOST_AT_ONCE = 16
"""Tools of one round that are executed at the same time."""


class ToolRun(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """One tool call of a run and what came of it. ``error`` says what went wrong, as the model was told; else None."""

    call: ToolCall
    result: ToolResult
    error: str | None = None
    seconds: float = 0.0
    round: int = 1


class Toolbox(Struct, frozen=True, kw_only=True, gc=False):
    """The tools of a run, by name, and how they are executed."""

    tools: Mapping[str, Tool]
    approve: Approve | None = None
    timeout: float | None = None
    """Seconds for each call of a tool that has no time limit of its own."""
    around: Callable[[Executable, ToolCall], Executable] | None = None
    """Gives the tool that is executed in place of one, for who watches."""


class _Job(Struct, frozen=True, kw_only=True, gc=False):
    """A call that may be executed."""

    call: ToolCall
    tool: Executable
    arguments: Any
    seconds: float | None
    """The most that it may take."""


class _Refused(Exception):  # noqa: N818  # no error: what the model is told in place of a result
    """Why a call is not executed."""


def _job(box: Toolbox, call: ToolCall, remaining: float | None) -> _Job:
    """The call as it will be executed; raise what speaks against it, in words for the model."""
    tool = box.tools.get(call.name)
    if not isinstance(tool, Executable):
        raise _Refused(f"there is no tool {call.name!r}; there are {', '.join(sorted(box.tools)) or 'none'}")
    try:
        arguments = call.parse_arguments()
    except ValueError as error:
        raise _Refused(f"the arguments are no JSON ({error})") from None
    if box.around is not None:
        tool = box.around(tool, call)
    limits = [seconds for seconds in (tool.timeout or box.timeout, remaining) if seconds is not None]
    return _Job(call=call, tool=tool, arguments=arguments, seconds=min(limits, default=None))


def _heed(answer: object) -> None:
    """What who approves has said; raise a no."""
    if answer is True:
        return
    raise _Refused(answer if isinstance(answer, str) and answer else "the user has not allowed this call")


# Results.


def _ended(call: ToolCall, number: int, began: float, value: Any = None, error: BaseException | None = None) -> ToolRun:
    """What a call came to."""
    said = None if error is None else _said_of(error)
    try:
        parts = result_parts(value) if said is None else (Text(text=said),)
    except Exception as unusable:  # noqa: BLE001  # a value that cannot be told is the tool's mistake
        said = f"the tool gave a {type(value).__name__} that cannot be told ({type(unusable).__name__})"
        parts = (Text(text=said),)
    return ToolRun(
        call=call,
        result=ToolResult(call_id=call.id, parts=parts, is_error=said is not None),
        error=said,
        seconds=monotonic() - began,
        round=number,
    )


def _said_of(error: BaseException) -> str:
    if isinstance(error, (_Refused, ArgumentsError)):
        return clean(str(error))
    if isinstance(error, TimeoutError) and not error.args:
        return "the tool took too long and was given up"
    return clean(f"{type(error).__name__}: {error}")


def result_parts(value: Any) -> tuple[Text | Image | Document, ...]:
    """What a tool gave, as the parts of its result: texts and media as they are, else as JSON, or as its ``str``."""
    if isinstance(value, _PARTS):
        return (value,)
    if isinstance(value, (list, tuple)) and any(isinstance(each, _PARTS) for each in value):
        return tuple([each if isinstance(each, _PARTS) else Text(text=_as_text(each)) for each in value])
    return (Text(text=_as_text(value)),)


_PARTS = (Text, Image, Document)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump_json", None)  # pydantic's
    if callable(dump):
        return str(dump())
    try:
        return _json.encode(value).decode()
    except (TypeError, ValueError, OverflowError):
        return str(value)


# Blocking.


def execute(box: Toolbox, calls: tuple[ToolCall, ...], number: int, remaining: float | None) -> list[ToolRun]:
    """Execute the calls of a round and give what came of each, in their order.

    One that may take as long as it likes runs where the caller is; several, those with a time limit, and async ones run
    in threads of their own. A thread cannot be stopped: one that takes too long goes on, and its result is dropped.
    """
    done: dict[int, ToolRun] = {}
    jobs: dict[int, _Job] = {}
    for index, call in enumerate(calls):
        began = monotonic()
        try:
            job = _job(box, call, remaining)
            if box.approve is not None:
                _heed(_plain(box.approve(call)))
            jobs[index] = job
        except _Refused as error:
            done[index] = _ended(call, number, began, error=error)
    if len(jobs) == 1 and (job := next(iter(jobs.values()))).seconds is None and not job.tool.is_async:
        done[next(iter(jobs))] = _inline(job, number)
    else:
        for batch in _batches(list(jobs)):
            done |= _in_threads({index: jobs[index] for index in batch}, number)
    return [done[index] for index in range(len(calls))]


def _batches(indices: list[int]) -> list[list[int]]:
    return [indices[start : start + MOST_AT_ONCE] for start in range(0, len(indices), MOST_AT_ONCE)]


def _plain(answer: Any) -> Any:
    """The answer of an approval. Raises InputTypeError for one that must be awaited, which nobody here can."""
    close = getattr(answer, "close", None)
    if hasattr(answer, "__await__"):
        if callable(close):
            close()
        raise InputTypeError("approve is async: use models.aio.run, or give a plain function")
    return answer


def _inline(job: _Job, number: int) -> ToolRun:
    began = monotonic()
    try:
        return _ended(job.call, number, began, _complete(job.tool.call(job.arguments)))
    except Exception as error:  # noqa: BLE001  # the model is told
        return _ended(job.call, number, began, error=error)


def _complete(value: Any) -> Any:
    """The value; what must be awaited, on an event loop of its own."""
    if not hasattr(value, "__await__"):
        return value
    import asyncio

    async def awaited() -> Any:
        return await value

    return asyncio.run(awaited())


def _in_threads(jobs: Mapping[int, _Job], number: int) -> dict[int, ToolRun]:
    from queue import Empty, SimpleQueue
    from threading import Thread

    ended: SimpleQueue[tuple[int, ToolRun]] = SimpleQueue()
    began = monotonic()
    for index, job in jobs.items():
        context = copy_context()  # tags, tallies and budgets hold in a tool that calls models
        Thread(target=context.run, args=(_in_thread, index, job, number, ended), daemon=True).start()
    done: dict[int, ToolRun] = {}
    while len(done) < len(jobs):
        waiting = {index: job for index, job in jobs.items() if index not in done}
        limits = [job.seconds for job in waiting.values() if job.seconds is not None]
        wait = max(0.0, began + min(limits) - monotonic()) if limits else None
        try:
            index, outcome = ended.get(timeout=wait)
            done.setdefault(index, outcome)
        except Empty:
            for index, job in waiting.items():
                if job.seconds is not None and monotonic() - began >= job.seconds:
                    done[index] = _ended(job.call, number, began, error=TimeoutError())
    return done


def _in_thread(index: int, job: _Job, number: int, ended: SimpleQueue[tuple[int, ToolRun]]) -> None:
    began = monotonic()
    try:
        outcome = _ended(job.call, number, began, _complete(job.tool.call(job.arguments)))
    except BaseException as error:  # noqa: BLE001  # whoever waits for this thread must be told
        outcome = _ended(job.call, number, began, error=error)
    ended.put((index, outcome))


# Under asyncio.


async def aexecute(box: Toolbox, calls: tuple[ToolCall, ...], number: int, remaining: float | None) -> list[ToolRun]:
    """As ``execute``: async tools on the loop, others in its threads."""
    import asyncio

    gate = asyncio.Semaphore(MOST_AT_ONCE)
    done: dict[int, ToolRun] = {}
    tasks: dict[int, asyncio.Task[ToolRun]] = {}
    try:
        for index, call in enumerate(calls):
            began = monotonic()
            try:
                job = _job(box, call, remaining)
                if box.approve is not None:
                    answer: Any = box.approve(call)
                    _heed(await answer if hasattr(answer, "__await__") else answer)
            except _Refused as error:
                done[index] = _ended(call, number, began, error=error)
            else:
                tasks[index] = asyncio.create_task(_awaited(job, number, gate))
        for index, task in tasks.items():
            done[index] = await task
    finally:
        for task in tasks.values():
            task.cancel()
    return [done[index] for index in range(len(calls))]


async def _awaited(job: _Job, number: int, gate: Any) -> ToolRun:
    import asyncio

    began = monotonic()
    try:
        async with gate, asyncio.timeout(job.seconds):
            if job.tool.is_async:
                value = job.tool.call(job.arguments)
            else:
                value = await _in_daemon(partial(job.tool.call, job.arguments))
            if hasattr(value, "__await__"):
                value = await value
            return _ended(job.call, number, began, value)
    except Exception as error:  # noqa: BLE001  # the model is told
        return _ended(job.call, number, began, error=error)


async def _in_daemon(function: Callable[[], Any]) -> Any:
    """What a function gives, run in a thread that nobody waits for: those of the loop are waited for at its end."""
    import asyncio
    from threading import Thread

    loop = asyncio.get_running_loop()
    given: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if given.done():  # given up meanwhile
            return
        if error is None:
            given.set_result(value)
        else:
            given.set_exception(error)

    def work() -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = function()
        except StopIteration as raised:  # no future can carry it
            error = RuntimeError(f"StopIteration: {raised}")
        except BaseException as raised:  # noqa: BLE001  # whoever waits for this thread must be told
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    Thread(target=copy_context().run, args=(work,), daemon=True).start()
    return await given
