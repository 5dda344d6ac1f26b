"""Stream and AsyncStream: an answer while it is being written.

Both are lazy: nothing is sent before ``open()``, entering, or the first piece. So an error of the request
comes before your own response begins. A stream that ends before its end raises StreamInterruptedError, whose
``partial`` holds what came; leaving one early, or dropping it, lets go of the connection at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, NoReturn, Self, TypeAlias

from ._flow import AsyncDriver, Driver
from .errors import ClosedError, InputError
from .events import StreamEvent, TextDelta
from .types import Response

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["AsyncStream", "Opened", "Stream", "StreamOutput"]


class Opened:
    """What the flow of a stream gives first: the provider has said yes."""


StreamOutput: TypeAlias = StreamEvent | Opened


def _finished(driver: Driver[StreamOutput, Response] | AsyncDriver[StreamOutput, Response] | None) -> Response:
    if driver is not None and driver.result is not None:
        return driver.result
    if driver is not None and driver.ended:
        raise ClosedError("the stream ended before its end, so there is no whole response")
    raise InputError("the response is there at the end of the stream: iterate it, or call read()")


def _closed() -> NoReturn:
    raise ClosedError("this stream was closed before it was opened: nothing was sent; make a new one")


class Stream:
    """The pieces of an answer as ``str``; ``events()`` for all that happens; ``response`` at the end."""

    __slots__ = ("__weakref__", "_driver", "_opened", "_start")

    def __init__(self, start: Callable[[], Driver[StreamOutput, Response]]) -> None:
        self._start = start
        self._driver: Driver[StreamOutput, Response] | None = None
        self._opened = False

    def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        if not self._opened:
            self._driver = self._driver or self._start()
            self._driver.advance()
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
        event = self._driver.advance() if self._driver else None
        return None if event is None or isinstance(event, Opened) else event

    def read(self) -> Response:
        """Read to the end and give the whole response."""
        while self._next() is not None:
            pass
        return self.response

    @property
    def response(self) -> Response:
        """The whole response, once the stream is at its end."""
        return _finished(self._driver)

    def close(self) -> None:
        """Stop here. The call is recorded as abandoned unless it was at its end."""
        if self._driver is not None:
            self._driver.close()
        else:
            self._start = _closed

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._driver is not None:
            self._driver.close()


class AsyncStream:
    """As Stream, for ``async for`` and ``async with``. A class, not an async generator: leaving it is immediate."""

    __slots__ = ("__weakref__", "_driver", "_opened", "_start")

    def __init__(self, start: Callable[[], AsyncDriver[StreamOutput, Response]]) -> None:
        self._start = start
        self._driver: AsyncDriver[StreamOutput, Response] | None = None
        self._opened = False

    async def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        if not self._opened:
            self._driver = self._driver or self._start()
            await self._driver.advance()
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
        return _AsyncEvents(self._next)

    async def _next(self) -> StreamEvent | None:
        await self.open()
        event = await self._driver.advance() if self._driver else None
        return None if event is None or isinstance(event, Opened) else event

    async def read(self) -> Response:
        """Read to the end and give the whole response."""
        while await self._next() is not None:
            pass
        return self.response

    @property
    def response(self) -> Response:
        """The whole response, once the stream is at its end."""
        return _finished(self._driver)

    def close(self) -> None:
        """Stop here, without waiting. The call is recorded as abandoned unless it was at its end."""
        if self._driver is not None:
            self._driver.close()
        else:
            self._start = _closed

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._driver is not None:
            self._driver.close()


class _AsyncEvents:
    """The events of an AsyncStream; no async generator, whose clean-up would come late and elsewhere."""

    __slots__ = ("_next",)

    def __init__(self, advance: Callable[[], Awaitable[StreamEvent | None]]) -> None:
        self._next = advance

    def __aiter__(self) -> _AsyncEvents:
        return self

    async def __anext__(self) -> StreamEvent:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event
