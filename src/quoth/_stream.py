"""Stream and AsyncStream: an answer while it is being written.

Both are lazy: nothing is sent before ``open()``, entering, or the first piece. So an error of the request
comes before your own response begins. A stream that ends before its end raises StreamInterruptedError, whose
``partial`` holds what came; one that was closed, or has failed, raises ClosedError to who reads on, so that a
cut answer never looks like a whole one. Leaving a stream early, or dropping it, lets go of the connection.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeAlias, TypeVar

from ._flow import AsyncDriver, Driver
from .errors import ClosedError, InputError
from .events import StreamEvent, TextDelta
from .types import Response

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["AsyncEvents", "AsyncStream", "Opened", "Stream", "StreamOutput"]


class Opened:
    """What the flow of a stream gives first: the provider has said yes."""


StreamOutput: TypeAlias = StreamEvent | Opened | Response
"""What the flow of a stream gives: Opened, then events; the whole Response just before the last of them."""

Event = TypeVar("Event")
Driving = TypeVar("Driving", Driver[StreamOutput, Response], AsyncDriver[StreamOutput, Response])


class _Reading(Generic[Driving]):
    """What both streams share: the driver, made at the first use, and the response, once it is whole."""

    __slots__ = ("__weakref__", "_driver", "_opened", "_response", "_start", "_starting")

    def __init__(self, start: Callable[[], Driving]) -> None:
        self._start: Callable[[], Driving] = start
        self._starting = allocate_lock()
        self._driver: Driving | None = None
        self._opened = False
        self._response: Response | None = None

    def _started(self) -> Driving:
        with self._starting:
            if self._driver is None:
                self._driver = self._start()
            return self._driver

    def _note(self, output: StreamOutput | None) -> StreamEvent | None:
        """The event, if it is one; None at the end and for what is not the user's."""
        if isinstance(output, Response):
            self._response = output
        elif output is None and not self._is_whole():
            raise ClosedError("this stream was closed, or failed, before its end: its answer is not whole")
        return None if isinstance(output, (Opened, Response)) else output

    def _is_whole(self) -> bool:
        if self._response is None and self._driver is not None:
            self._response = self._driver.result
        return self._response is not None

    @property
    def response(self) -> Response:
        """The whole response, once the stream is at its end."""
        if self._response is not None:
            return self._response
        if self._driver is not None and self._driver.ended:
            raise ClosedError("this stream was closed, or failed, before its end: there is no whole response")
        raise InputError("the response is there at the end of the stream: iterate it, or call read()")

    def close(self) -> None:
        """Stop here, without waiting. The call is recorded as abandoned unless its answer was whole."""
        with self._starting:
            if self._driver is None:
                self._start = _closed
                return
        self._driver.close()
        self._driver.scope.closed()

    def __del__(self) -> None:
        if self._driver is not None:
            self._driver.close()


def _closed() -> NoReturn:
    raise ClosedError("this stream was closed before it was opened: nothing was sent; make a new one")


class Stream(_Reading[Driver[StreamOutput, Response]]):
    """The pieces of an answer as ``str``; ``events()`` for all that happens; ``response`` at the end."""

    __slots__ = ()

    def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        if not self._opened:
            self._note(self._started().advance())
            self._opened = True
        return self

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next piece of text."""
        while (event := self._next()) is not None:
            if isinstance(event, TextDelta) and event.text:
                return event.text
        raise StopIteration

    def events(self) -> Iterator[StreamEvent]:
        """What happens from here on, typed: text, reasoning, tool calls, the end."""
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> StreamEvent | None:
        self.open()
        driver = self._started()
        output = driver.advance()
        event = self._note(output)
        return self._note(driver.advance()) if event is None and output is not None else event

    def read(self) -> Response:
        """Read to the end and give the whole response."""
        while self._next() is not None:
            pass
        return self.response

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Reading[AsyncDriver[StreamOutput, Response]]):
    """As Stream, for ``async for`` and ``async with``. A class, not an async generator: leaving it is immediate."""

    __slots__ = ()

    async def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        if not self._opened:
            self._note(await self._started().advance())
            self._opened = True
        return self

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """The next piece of text."""
        while (event := await self._next()) is not None:
            if isinstance(event, TextDelta) and event.text:
                return event.text
        raise StopAsyncIteration

    def events(self) -> AsyncIterator[StreamEvent]:
        """What happens from here on, typed: text, reasoning, tool calls, the end."""
        return AsyncEvents(self._next)

    async def _next(self) -> StreamEvent | None:
        await self.open()
        driver = self._started()
        output = await driver.advance()
        event = self._note(output)
        return self._note(await driver.advance()) if event is None and output is not None else event

    async def read(self) -> Response:
        """Read to the end and give the whole response."""
        while await self._next() is not None:
            pass
        return self.response

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncEvents(Generic[Event]):
    """The events of a stream under asyncio; no async generator, whose clean-up would come late and elsewhere."""

    __slots__ = ("_next",)

    def __init__(self, advance: Callable[[], Awaitable[Event | None]]) -> None:
        self._next = advance

    def __aiter__(self) -> AsyncEvents[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event
