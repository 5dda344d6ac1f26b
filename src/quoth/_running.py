"""Who drives a run: blocking, under asyncio, or piece by piece. The rules are those of ``_run.rounds``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ._call import ModelCall
from ._executing import Toolbox, ToolRun, aexecute, execute
from ._options import hide_key
from ._prompt import Prompt, conversation
from ._run import Ask, Execute, Limits, Progress, Run, by_name, limits_of, rounds
from ._service import ModelService
from ._stream import AsyncPieces, AsyncStream, Pieces, Stream
from .errors import ClosedError, InputError, QuothError
from .events import StreamEvent
from .providers._provider import Provider
from .types import Message, Response, Tool

__all__ = [
    "AsyncRunStream", "Bound", "Prepare", "RunEvent", "RunStream", "Runner", "arun", "make_runner", "run", "runner_of",
]  # fmt: skip

Prepare: TypeAlias = Callable[[tuple[Message, ...]], ModelCall]
"""The call that asks this."""


class Bound(Protocol):
    """A model with its options: a ModelBinding."""

    @property
    def id(self) -> str: ...
    @property
    def service(self) -> ModelService: ...
    @property
    def system(self) -> str | None: ...
    @property
    def tools(self) -> tuple[Tool, ...]: ...
    @property
    def provider(self) -> Provider: ...
    def prepare(self, prompt: Prompt) -> ModelCall: ...
    def over(self, options: Mapping[str, Any]) -> Bound: ...
    def to(self, model: str) -> Bound: ...


class Turn(Protocol):
    """Who is told how a streamed run goes."""

    def begin(self) -> None: ...
    def ended(self, done: Run, /) -> Any: ...
    def left(self, error: BaseException | None, done: Run | None = None, *, sent: bool = False) -> None: ...


RunEvent: TypeAlias = StreamEvent | ToolRun
"""What the stream of a run says: the events of its answers, and each tool that was executed."""


class Runner(Struct, frozen=True, kw_only=True, gc=False):
    """One run to be driven: what it asks, how, and of whom."""

    service: ModelService
    prepare: Prepare
    box: Toolbox
    limits: Limits
    messages: tuple[Message, ...]
    """The conversation that it begins with."""
    sent: tuple[Message, ...] | None = None
    """What of it is sent, where that is less."""
    origin: Any = None
    """Where it was made, if anybody watches: its stream may be read elsewhere."""

    def rounds(self) -> _Rounds:
        return _Rounds(self, self.service.new_id())


class _Rounds:
    """The rounds of one run under way: what is to be done now, and what came of it."""

    __slots__ = ("_flow", "_progress", "_runner", "_watch", "box", "run", "work")

    def __init__(self, runner: Runner, id_: str) -> None:
        self._runner = runner
        self._watch = watch = runner.service.watch_run(id_, runner.origin)
        self.box = runner.box if watch is None else replace(runner.box, around=watch.tool)
        begun = runner.messages if runner.sent is None else runner.sent
        self._progress = Progress(id_, begun, runner.limits)
        self._flow = rounds(self._progress, runner.box.tools)
        self.run: Run | None = None
        """What came of it, at its end."""
        self.work: Ask | Execute | None = next(self._flow)

    def call(self, ask: Ask) -> ModelCall:
        """The call that an Ask asks for, as one of this run."""
        call = replace(self._runner.prepare(ask.messages), parent=self._progress.id)
        if not ask.first:
            call = _unforced(call)
        if ask.seconds is not None:
            timeout = max(ask.seconds, 0.001)
            call = replace(call, timeout=timeout if call.timeout is None else min(call.timeout, timeout))
        return call

    def done(self, outcome: Response | list[ToolRun]) -> None:
        """Go on with what came of it."""
        try:
            self.work = self._flow.send(outcome)
        except StopIteration as stop:
            self.work, self.run = None, self._whole(stop.value)
            self._tell(None)
        except QuothError as error:
            raise self._failed(error) from None

    def failed(self, error: BaseException) -> BaseException:
        """The error that the run ends with."""
        try:
            self._flow.throw(error)
        except QuothError as raised:
            return self._failed(raised)
        except BaseException as raised:  # noqa: BLE001  # who drives it raises it
            self._tell(raised, collected=isinstance(raised, GeneratorExit))
            return raised
        return error

    def left(self, *, collected: bool) -> None:
        """Say that nobody goes on with it."""
        self._tell(None, abandoned=True, collected=collected)

    def _tell(self, error: BaseException | None, *, abandoned: bool = False, collected: bool = False) -> None:
        """Say to who watches how it ended; where garbage collection ends it, later."""
        watch, hooks = self._watch, self._runner.service.hooks
        if watch is not None and hooks is not None:
            abandoned = abandoned or isinstance(error, GeneratorExit)
            hooks.append(partial(watch.tell, error, abandoned=abandoned, late=collected))
            if not collected:
                hooks.tell()

    def _failed(self, error: QuothError) -> QuothError:
        self.work = None
        self._tell(error)
        error.run = self._whole(error.run)
        return error.with_traceback(None)

    def so_far(self) -> Run:
        """What was done until now."""
        return self._whole(self._progress.run())

    def _whole(self, run: Run) -> Run:
        """The run with all that was said before it, sent or not."""
        runner = self._runner
        if runner.sent is None:
            return run
        return replace(run, messages=runner.messages + run.messages[len(runner.sent) :])


def runner_of(binding: Bound, prompt: Prompt, options: Mapping[str, Any]) -> Runner:
    """The run of a prompt, with these options over the bound ones. Raises InputError where one cannot be used."""
    hide_key(options)
    limits, rest = limits_of(options)
    return make_runner(binding.over(rest) if rest else binding, limits, conversation(prompt))


def make_runner(
    binding: Bound, limits: Limits, messages: tuple[Message, ...], sent: tuple[Message, ...] | None = None
) -> Runner:
    """The run that begins with these messages, of which ``sent`` are sent."""
    box = Toolbox(tools=by_name(binding.tools), approve=limits.approve, timeout=limits.tool_timeout)
    return Runner(
        service=binding.service,
        prepare=binding.prepare,
        box=box,
        limits=limits,
        messages=messages,
        sent=sent,
        origin=binding.service.origin(),
    )


def _unforced(call: ModelCall) -> ModelCall:
    """The call without a demand for a tool: it was met in the first round, and would be made for ever."""
    choice = call.request.tool_choice
    if choice is None or choice.mode not in ("required", "tool"):
        return call
    fallback = tuple([_unforced(each) for each in call.fallback])
    return replace(call, request=replace(call.request, tool_choice=None), fallback=fallback)


def run(runner: Runner) -> Run:
    """Run to the end, blocking."""
    course = runner.rounds()
    while course.work is not None:
        try:
            if isinstance(course.work, Ask):
                outcome: Any = runner.service.generate(course.call(course.work))
            else:
                outcome = execute(course.box, course.work.calls, course.work.number, course.work.seconds)
        except BaseException as error:  # noqa: BLE001  # it is raised again, with what was done until then
            raise course.failed(error) from None
        course.done(outcome)
    return _end(course)


async def arun(runner: Runner) -> Run:
    """As ``run``, under asyncio."""
    course = runner.rounds()
    while course.work is not None:
        try:
            if isinstance(course.work, Ask):
                outcome: Any = await runner.service.agenerate(course.call(course.work))
            else:
                outcome = await aexecute(course.box, course.work.calls, course.work.number, course.work.seconds)
        except BaseException as error:  # noqa: BLE001  # it is raised again, with what was done until then
            raise course.failed(error) from None
        course.done(outcome)
    return _end(course)


def _end(course: _Rounds) -> Run:
    if course.run is None:
        raise ClosedError("this run has failed, or was closed, before its end")
    return course.run


Reading = TypeVar("Reading", Stream, AsyncStream)


class _RunReading(Generic[Reading]):
    """What both streams of a run share: its rounds, and the answer that is being read."""

    __slots__ = ("_closed", "_executed", "_rounds", "_runner", "_stream", "_turn")

    def __init__(self, runner: Runner, turn: Turn) -> None:
        self._runner = runner
        self._turn = turn
        self._rounds: _Rounds | None = None
        self._stream: Reading | None = None
        self._executed: list[ToolRun] = []
        self._closed = False

    def _course(self) -> _Rounds:
        if self._closed:
            raise ClosedError("this stream was closed, or failed, before its end: its answer is not whole")
        if self._rounds is None:
            self._turn.begin()
            self._rounds = self._runner.rounds()
        return self._rounds

    def _done(self, course: _Rounds, outcome: Response | list[ToolRun]) -> None:
        self._stream = None
        course.done(outcome)
        if course.run is not None:
            self._turn.ended(course.run)

    def _fail(self, course: _Rounds, error: BaseException) -> BaseException:
        self._closed = True
        if self._stream is not None:
            _let_go(self._stream, collected=isinstance(error, GeneratorExit))
        raised = course.failed(error)
        self._turn.left(raised, course.so_far(), sent=self._stream is not None)
        return raised

    @property
    def run(self) -> Run:
        """The whole run, once the stream is at its end."""
        if self._rounds is not None and self._rounds.run is not None:
            return self._rounds.run
        if self._closed:
            raise ClosedError("this stream was closed, or failed, before its end: there is no whole run")
        raise InputError("the run is there at the end of the stream: iterate it, or call read()")

    @property
    def response(self) -> Response:
        """The last answer, once the stream is at its end."""
        return self.run.response

    def close(self) -> None:
        """Stop here, without waiting. The call under way is recorded as abandoned unless its answer was whole."""
        self._leave(collected=False)

    def __del__(self) -> None:
        self._leave(collected=True)

    def _leave(self, *, collected: bool) -> None:
        course, stream = self._rounds, self._stream
        if self._closed or (course is not None and course.run is not None):
            return
        self._closed = True
        if stream is not None:
            _let_go(stream, collected=collected)
        if course is not None:
            self._turn.left(None, course.so_far(), sent=stream is not None)
            course.left(collected=collected)


def _let_go(stream: Stream | AsyncStream, *, collected: bool) -> None:
    """Close it; where garbage collection does, hooks are told later."""
    if collected:
        stream.drop()
    else:
        stream.close()


class RunStream(_RunReading[Stream], Pieces[RunEvent]):
    """The pieces of a run's answers as ``str``; ``events()`` for all that happens; ``run`` at the end."""

    __slots__ = ()

    def _next(self) -> RunEvent | None:
        course = self._course()
        while course.work is not None or self._executed:
            if self._executed:
                return self._executed.pop(0)
            try:
                event = self._go_on(course)
            except BaseException as error:  # noqa: BLE001  # it is raised again, with what was done until then
                raise self._fail(course, error) from None
            if event is not None:
                return event
        return None

    def _go_on(self, course: _Rounds) -> RunEvent | None:
        work, box = course.work, course.box
        if isinstance(work, Execute):
            self._executed = execute(box, work.calls, work.number, work.seconds)
            self._done(course, list(self._executed))
        elif isinstance(work, Ask):
            if self._stream is None:
                self._stream = self._runner.service.stream(course.call(work))
            event = next(self._stream.events(), None)
            if event is not None:
                return event
            self._done(course, self._stream.response)
        return None

    def open(self) -> Self:
        """Send the first request now and wait until the provider says yes; raise what it says instead."""
        course = self._course()
        if self._stream is None and isinstance(course.work, Ask):
            self._stream = self._runner.service.stream(course.call(course.work))
            try:
                self._stream.open()
            except BaseException as error:  # noqa: BLE001  # it is raised again, with what was done until then
                raise self._fail(course, error) from None
        return self

    def read(self) -> Run:
        """Read to the end and give the whole run."""
        while self._next() is not None:
            pass
        return self.run


class AsyncRunStream(_RunReading[AsyncStream], AsyncPieces[RunEvent]):
    """As RunStream, for ``async for`` and ``async with``."""

    __slots__ = ()

    async def _next(self) -> RunEvent | None:
        course = self._course()
        while course.work is not None or self._executed:
            if self._executed:
                return self._executed.pop(0)
            try:
                event = await self._go_on(course)
            except BaseException as error:  # noqa: BLE001  # it is raised again, with what was done until then
                raise self._fail(course, error) from None
            if event is not None:
                return event
        return None

    async def _go_on(self, course: _Rounds) -> RunEvent | None:
        work, box = course.work, course.box
        if isinstance(work, Execute):
            self._executed = await aexecute(box, work.calls, work.number, work.seconds)
            self._done(course, list(self._executed))
        elif isinstance(work, Ask):
            if self._stream is None:
                self._stream = self._runner.service.astream(course.call(work))
            try:
                return await anext(self._stream.events())
            except StopAsyncIteration:
                self._done(course, self._stream.response)
        return None

    async def open(self) -> Self:
        """Send the first request now and wait until the provider says yes; raise what it says instead."""
        course = self._course()
        if self._stream is None and isinstance(course.work, Ask):
            self._stream = self._runner.service.astream(course.call(course.work))
            try:
                await self._stream.open()
            except BaseException as error:  # noqa: BLE001  # it is raised again, with what was done until then
                raise self._fail(course, error) from None
        return self

    async def read(self) -> Run:
        """Read to the end and give the whole run."""
        while await self._next() is not None:
            pass
        return self.run
