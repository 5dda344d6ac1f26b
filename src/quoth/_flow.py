"""The only place where a call waits.

A *flow* is a generator. It yields steps and is sent back their outcomes; anything else it yields is an
output, handed through to the caller; what it returns is the result. So the rules of a call are written once,
and only the two drivers here, ``Driver`` over a blocking transport and ``AsyncDriver`` over an asyncio one,
differ in how they wait. The rules that flows and drivers keep between them:

- What a step raised is thrown into the flow, KeyboardInterrupt and CancelledError included, so that it can
  say how far it came. ``GeneratorExit`` alone means that the caller went away.
- A generator that is being closed cannot yield any more. So nothing that must happen at the end of a call
  belongs to a flow: it belongs to the call's *scope*, which the driver finishes exactly once, however the
  call ended. Garbage collection may be what ends it: ``finish`` must neither block nor raise.
- No context variable and no current span is held across a ``yield``: the consumer's code runs there.
- Nested flows are joined by ``yield from`` only.
- An error of ours leaves a driver without cause and without the frames below it: those hold the signed request.
- The deadline is the call's, not the consumer's: time between two outputs is given back.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock  # what threading.Lock is; threading itself costs start-up time
from collections.abc import Callable, Generator
from contextlib import suppress
from math import inf
from time import sleep, time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, cast

from msgspec import Struct

from .errors import ClosedError, InputError, QuothError
from .transport import AsyncExchange, AsyncTransport, Deadline, Exchange, Transport
from .transport._clock import monotonic
from .types import Ending
from .wire import HTTPRequest, WireReply

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "AsyncDriver",
    "Call",
    "Driver",
    "Finish",
    "Flow",
    "Gate",
    "Read",
    "Scope",
    "Send",
    "Sleep",
    "Step",
    "Wait",
    "arun",
    "run",
]

Out = TypeVar("Out")
Result = TypeVar("Result")
Carried = TypeVar("Carried", Exchange, AsyncExchange)


class Step(Struct, frozen=True, gc=False):
    """What a flow may ask of its driver."""


class Send(Step, frozen=True, gc=False):
    """Send a request; the outcome is a WireReply.

    With ``stream`` the reply of a success (2xx) has no body yet: ``Read`` gives it. Any other comes whole.
    """

    request: HTTPRequest
    stream: bool = False


class Read(Step, frozen=True, gc=False):
    """The next bytes of the streamed reply; the outcome is empty at its proper end."""


class Finish(Step, frozen=True, gc=False):
    """Read what is left of a body whose answer is whole, so that its connection can be kept.

    Waits ``PATIENCE`` seconds at most and raises nothing that the transport says: the answer is there.
    """


PATIENCE = 0.25
"""Seconds to wait for the end of a body after the end of its answer."""


class Sleep(Step, frozen=True, gc=False):
    """Wait for so many seconds; raises at once where the deadline would pass before."""

    seconds: float


class Call(Step, frozen=True, gc=False):
    """Run a function that may wait for a disk or a tool: inline, or in a thread under asyncio."""

    function: Callable[[], Any]


class Gate(Protocol):
    """Something that is open or will open."""

    def when_open(self, wake: Callable[[], None], /) -> Callable[[], None] | None:
        """Give None if it is open; else keep ``wake``, to be called once from any thread when it opens.

        What is given then withdraws ``wake``, for a caller that waits no longer.
        """
        ...


class Wait(Step, frozen=True, gc=False):
    """Wait until a gate opens, at most until the deadline, which is an error; or for so many seconds, which is none."""

    gate: Gate
    most: float = inf


Flow: TypeAlias = Generator[Step | Out, Any, Result]


class Scope:
    """What outlives a flow: one call's deadline and clock, and the duty to finish it exactly once."""

    __slots__ = ("_begun", "_finished", "deadline", "started_at")

    def __init__(self, timeout: float) -> None:
        self.deadline = Deadline(timeout)
        self.started_at = time()
        """When the call began, in seconds since the epoch."""
        self._begun = monotonic()
        self._finished = False

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return monotonic() - self._begun

    def clock(self) -> float:
        """Now, in seconds since the epoch."""
        return time()

    def moment(self) -> float:
        """Now, on a clock that all calls of a process share; in seconds."""
        return monotonic()

    def end(self, ending: Ending, error: BaseException | None = None) -> None:
        """Finish the call unless it is finished."""
        if not self._finished:
            self._finished = True
            self.finish(ending, error)

    def finish(self, ending: Ending, error: BaseException | None) -> None:
        """Settle and record the call. Called once, possibly by garbage collection: must not block or raise."""
        raise NotImplementedError

    def closed(self) -> None:
        """Say that the user has closed the call: here, unlike in ``finish``, other code of the user's may run."""


def _ending_of(error: BaseException) -> Ending:
    """An error is a failure; what interrupts a program (Ctrl-C, cancellation, exit) a cancellation."""
    if isinstance(error, GeneratorExit):  # a coroutine that nobody awaits any more
        return "abandoned"
    return "failed" if isinstance(error, Exception) else "cancelled"


_HOLD_REQUESTS = (__name__, "quoth._sending", "quoth._watched", "quoth.transport.")
"""How the names of modules begin whose frames hold a request as it is sent, and so the key."""
_LONGEST_CHAIN = 50
"""Errors that led one to another; a chain may be a circle."""


def _bare(error: BaseException) -> BaseException:
    """The error as it leaves the call, and as hooks meet it: without the frames that hold the request.

    Crash reporters show what frames hold. One of ours, and what interrupts a program (Ctrl-C, a cancellation), came
    through no others that matter; a bug, or what middleware raised, keeps those that do.
    """
    if isinstance(error, QuothError) or not isinstance(error, Exception):
        return _stripped(error)
    each: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if each is None:
            break
        each.__traceback__ = _without_requests(each.__traceback__)
        each = each.__cause__ or each.__context__
    return error


def _stripped(error: BaseException) -> BaseException:
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _without_requests(trace: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while trace is not None:
        if not str(trace.tb_frame.f_globals.get("__name__")).startswith(_HOLD_REQUESTS):
            kept.append(trace)
        trace = trace.tb_next
    for each in reversed(kept):
        trace = type(each)(trace, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return trace


class _Course(Generic[Out, Result, Carried]):
    """What both drivers share: one flow under way, its scope, its reply, and how it ends."""

    __slots__ = ("_busy", "_exchange", "_flow", "_paused_at", "ended", "result", "scope")

    def __init__(self, flow: Flow[Out, Result], scope: Scope) -> None:
        self._flow = flow
        self._exchange: Carried | None = None
        self._busy = allocate_lock()
        self._paused_at = 0.0
        self.scope = scope
        self.ended = False
        self.result: Result | None = None

    def _enter(self) -> None:
        if not self._busy.acquire(blocking=False):
            raise InputError("this stream is being read already: read it from one thread or task at a time")
        if self._paused_at:
            self.scope.deadline.extend(monotonic() - self._paused_at)

    def _pause(self, output: Out) -> Out:
        if output is None:
            raise TypeError("a flow gave None, which means its end")
        self._paused_at = monotonic()
        return output

    def _returned(self, stop: StopIteration) -> None:
        _stripped(stop)  # it is what a hook finds in sys.exc_info
        self.result = stop.value
        self._end("answered", None)

    def _raised(self, error: BaseException) -> None:
        self._end(_ending_of(error), error)

    def _end(self, ending: Ending, error: BaseException | None) -> None:
        self.ended = True
        self._release()
        self.scope.end(ending, error)

    def _release(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            try:  # noqa: SIM105  # suppress takes three calls
                exchange.close()
            except Exception:  # noqa: BLE001, S110  # it must not raise; if it does, neither answer nor record is lost
                pass

    def _require_open(self) -> None:
        if self.ended:
            raise ClosedError("the call was closed while it was under way")

    def _adopt(self, exchange: Carried) -> None:
        """Keep what the transport opened; a call that was closed meanwhile lets go of it at once."""
        self._exchange = exchange
        if self.ended:
            self._release()
            self._require_open()

    def close(self, ending: Ending = "abandoned") -> None:
        """End the flow where it stands; nothing happens where it has ended. Never waits."""
        if self.ended:
            return
        self.ended = True
        try:
            if self._busy.acquire(blocking=False):  # else it is under way: closing the exchange ends its read
                try:
                    self._flow.close()
                finally:
                    self._busy.release()
        finally:
            self._release()
            self.scope.end(ending)


class Driver(_Course[Out, Result, Exchange]):
    """Drives a flow over a blocking transport."""

    __slots__ = ("_transport",)

    def __init__(self, flow: Flow[Out, Result], transport: Transport, scope: Scope) -> None:
        super().__init__(flow, scope)
        self._transport = transport

    def advance(self) -> Out | None:
        """Go on to the next output and give it; None at the end, when ``result`` is there."""
        if self.ended:
            return None
        self._enter()
        try:
            self._require_open()
            return self._pause(self._drive())
        except StopIteration as stop:
            self._returned(stop)
            return None
        except BaseException as error:  # it is raised again, bare
            self._raised(_bare(error))
            raise
        finally:
            self._busy.release()

    def _drive(self) -> Out:
        flow = self._flow
        step = flow.send(None)
        while isinstance(step, Step):
            try:
                outcome = self._do(step)
            except BaseException as error:  # noqa: BLE001  # the flow decides, whatever was raised
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
        return step

    def _do(self, step: Step) -> Any:
        self._require_open()
        deadline = self.scope.deadline
        match step:
            case Read():
                exchange = self._exchange
                return exchange.read(deadline) if exchange else b""
            case Send():
                return self._send(step, deadline)
            case Finish():
                self._drain(Deadline(min(PATIENCE, deadline.remaining())))
            case Sleep():
                sleep(_permitted(step.seconds, deadline))
            case Call():
                return step.function()
            case Wait():
                _wait(step.gate, deadline, step.most)
            case _:
                raise TypeError(f"a flow asked for {step!r}, which no driver knows")
        return None

    def _send(self, step: Send, deadline: Deadline) -> WireReply:
        self._release()
        exchange = self._transport.open(step.request, deadline)
        self._adopt(exchange)
        status, headers = exchange.status, exchange.headers
        if step.stream and 200 <= status < 300:
            return WireReply(status=status, headers=headers)
        body = exchange.read(deadline)
        if body and (more := exchange.read(deadline)):
            pieces = [body]
            while more:
                pieces.append(more)
                more = exchange.read(deadline)
            body = b"".join(pieces)
        self._release()
        return WireReply(status=status, headers=headers, body=body)

    def _drain(self, patience: Deadline) -> None:
        exchange = self._exchange
        with suppress(Exception):  # whatever it is, the answer is there
            while exchange and exchange.read(patience):
                pass


class AsyncDriver(_Course[Out, Result, AsyncExchange]):
    """Drives a flow over an asyncio transport."""

    __slots__ = ("_transport",)

    def __init__(self, flow: Flow[Out, Result], transport: AsyncTransport, scope: Scope) -> None:
        super().__init__(flow, scope)
        self._transport = transport

    async def advance(self) -> Out | None:
        """Go on to the next output and give it; None at the end, when ``result`` is there."""
        if self.ended:
            return None
        self._enter()
        try:
            self._require_open()
            return self._pause(await self._drive())
        except _FlowReturned as returned:
            _stripped(returned)
            self._returned(returned.stop)
            return None
        except BaseException as error:  # it is raised again, bare
            self._raised(_bare(error))
            raise
        finally:
            self._busy.release()

    async def _drive(self) -> Out:
        flow = self._flow
        try:
            step = flow.send(None)
            while isinstance(step, Step):
                try:
                    outcome = await self._do(step)
                except BaseException as error:  # noqa: BLE001  # the flow decides, whatever was raised
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as stop:
            raise _FlowReturned(stop) from None
        return step

    async def _do(self, step: Step) -> Any:
        self._require_open()
        deadline = self.scope.deadline
        match step:
            case Read():
                exchange = self._exchange
                return await exchange.read(deadline) if exchange else b""
            case Send():
                return await self._send(step, deadline)
            case Finish():
                await self._drain(Deadline(min(PATIENCE, deadline.remaining())))
            case Sleep():
                await _async_sleep(_permitted(step.seconds, deadline))
            case Call():
                return await _in_thread(step.function)
            case Wait():
                await _async_wait(step.gate, deadline, step.most)
            case _:
                raise TypeError(f"a flow asked for {step!r}, which no driver knows")
        return None

    async def _send(self, step: Send, deadline: Deadline) -> WireReply:
        self._release()
        exchange = await self._transport.open(step.request, deadline)
        self._adopt(exchange)
        status, headers = exchange.status, exchange.headers
        if step.stream and 200 <= status < 300:
            return WireReply(status=status, headers=headers)
        body = await exchange.read(deadline)
        if body and (more := await exchange.read(deadline)):
            pieces = [body]
            while more:
                pieces.append(more)
                more = await exchange.read(deadline)
            body = b"".join(pieces)
        self._release()
        return WireReply(status=status, headers=headers, body=body)

    async def _drain(self, patience: Deadline) -> None:
        exchange = self._exchange
        with suppress(Exception):  # whatever it is, the answer is there
            while exchange and await exchange.read(patience):
                pass


class _FlowReturned(Exception):  # noqa: N818  # no error: StopIteration cannot leave a coroutine
    def __init__(self, stop: StopIteration) -> None:
        self.stop = stop


def run(flow: Flow[Any, Result], transport: Transport, scope: Scope, make: type[Driver[Any, Any]] = Driver) -> Result:
    """Drive a flow without outputs to its end and give its result."""
    driver = make(flow, transport, scope)
    while driver.advance() is not None:
        pass
    return cast("Result", driver.result)


async def arun(
    flow: Flow[Any, Result], transport: AsyncTransport, scope: Scope, make: type[AsyncDriver[Any, Any]] = AsyncDriver
) -> Result:
    """As ``run``, under asyncio."""
    driver = make(flow, transport, scope)
    while await driver.advance() is not None:
        pass
    return cast("Result", driver.result)


# Waiting.

_SLICE = 0.1 if sys.platform == "win32" else -1.0
"""Windows cannot interrupt a wait for a lock by Ctrl-C: there it is cut into slices, in seconds."""


def _permitted(seconds: float, deadline: Deadline) -> float:
    """The seconds to sleep; raises where the deadline comes first, for then there is no use in waiting."""
    if seconds > deadline.remaining():
        raise deadline.exceeded(None, "no")
    return max(seconds, 0.0)


class _Waiting:
    """One caller's wait for a gate: withdrawn however it ends."""

    __slots__ = ("_withdraw",)

    def __init__(self, withdraw: Callable[[], None]) -> None:
        self._withdraw = withdraw

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._withdraw()


def _wait(gate: Gate, deadline: Deadline, most: float) -> None:
    woken = allocate_lock()
    woken.acquire()
    withdraw = gate.when_open(woken.release)
    if withdraw is None:
        return
    until = monotonic() + most
    with _Waiting(withdraw):
        while not woken.acquire(timeout=_slice_of(deadline, until)):
            if deadline.remaining() <= 0:
                raise deadline.exceeded(None, "no")
            if monotonic() >= until:
                return


def _slice_of(deadline: Deadline, until: float) -> float:
    remaining = max(min(deadline.remaining(), until - monotonic(), 1e6), 0.0)  # a lock's timeout has a largest value
    return min(remaining, _SLICE) if _SLICE > 0 else remaining


async def _async_sleep(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


async def _in_thread(function: Callable[[], Any]) -> Any:
    import asyncio

    def guarded() -> Any:
        try:
            return function()
        except StopIteration as error:  # no future can carry it: its task would wait for ever
            raise RuntimeError("the function of a Call step raised StopIteration") from error

    return await asyncio.to_thread(guarded)


async def _async_wait(gate: Gate, deadline: Deadline, most: float) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    opened = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(opened.set)

    withdraw = gate.when_open(wake)
    if withdraw is None:
        return
    with _Waiting(withdraw):
        try:
            async with asyncio.timeout(min(deadline.remaining(), most, 1e6)):
                await opened.wait()
        except TimeoutError:
            if deadline.remaining() <= 0:
                raise deadline.exceeded(None, "no") from None
