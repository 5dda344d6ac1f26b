"""Stream and AsyncStream: an answer while it is being written.

Both are lazy: nothing is sent before ``open()``, entering, or the first piece. So an error of the request
comes before your own response begins. A stream that ends before its end raises StreamInterruptedError, whose
``partial`` holds what came; one that was closed, or has failed, raises ClosedError to who reads on, so that a
cut answer never looks like a whole one. Leaving a stream early, or dropping it, lets go of the connection.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeAlias, TypeVar

from ._flow import AsyncDriver, Driver
from .errors import ClosedError, InputError
from .events import StreamEvent, TextDelta
from .types import GrowingOutput, OutputReader, Parsed_co, Response

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["AsyncEvents", "AsyncPieces", "AsyncStream", "Opened", "Pieces", "Stream", "StreamOutput"]


class Opened:
    """What the flow of a stream gives first: the provider has said yes. With what an output type is read by."""

    __slots__ = ("reader",)

    def __init__(self, reader: OutputReader | None = None) -> None:
        self.reader = reader


StreamOutput: TypeAlias = StreamEvent | Opened | Response
"""What the flow of a stream gives: Opened, then events; the whole Response just before the last of them."""

Event = TypeVar("Event")
Driving = TypeVar("Driving", Driver[StreamOutput, Response], AsyncDriver[StreamOutput, Response])


class _Reading(Generic[Driving, Parsed_co]):
    """What both streams share: the driver, made at the first use, and the response, once it is whole."""

    __slots__ = ("__weakref__", "_driver", "_opened", "_reader", "_response", "_start", "_starting")

    def __init__(self, start: Callable[[], Driving]) -> None:
        self._start: Callable[[], Driving] = start
        self._starting = allocate_lock()
        self._driver: Driving | None = None
        self._opened = False
        self._reader: OutputReader | None = None
        self._response: Response[Parsed_co] | None = None

    def _started(self) -> Driving:
        with self._starting:
            if self._driver is None:
                self._driver = self._start()
            return self._driver

    def _note(self, output: StreamOutput | None) -> StreamEvent | None:
        """The event, if it is one; None at the end and for what is not the user's."""
        if isinstance(output, Response):
            self._response = output
        elif isinstance(output, Opened):
            self._reader = output.reader
        elif output is None and not self._is_whole():
            raise ClosedError("this stream was closed, or failed, before its end: its answer is not whole")
        return None if isinstance(output, (Opened, Response)) else output

    def _is_whole(self) -> bool:
        if self._response is None and self._driver is not None:
            self._response = self._driver.result
        return self._response is not None

    def _growing(self) -> GrowingOutput:
        if self._reader is None:
            raise InputError("what grows needs a type: models.stream(..., output=T). This stream is plain text")
        return self._reader.growing()

    @property
    def response(self) -> Response[Parsed_co]:
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

    def drop(self) -> None:
        """As close, where no code of the user's may run: hooks are told later."""
        driver = getattr(self, "_driver", None)  # a copy, which cannot be made whole, has none
        if driver is not None:
            driver.close()

    def __del__(self) -> None:
        self.drop()


def _closed() -> NoReturn:
    raise ClosedError("this stream was closed before it was opened: nothing was sent; make a new one")


class Pieces(Generic[Event]):
    """Events one after the other, as the user's loop takes them: as pieces of text, typed, within ``with``."""

    __slots__ = ()

    def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop here, without waiting."""
        raise NotImplementedError

    def _next(self) -> Event | None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next piece of text."""
        while (event := self._next()) is not None:
            if isinstance(event, TextDelta) and event.text:
                return event.text
        raise StopIteration

    def events(self) -> Iterator[Event]:
        """What happens from here on, typed: text, reasoning, tool calls, the end; in a run the tools executed, too."""
        while (event := self._next()) is not None:
            yield event

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Stream(_Reading[Driver[StreamOutput, Response], Parsed_co], Pieces[StreamEvent]):
    """The pieces of an answer as ``str``; ``events()`` for all that happens; ``response`` at the end.

    With ``output=T`` it is a ``Stream[T]``: ``objects()`` and ``partial()`` give what is whole of the value so far.
    """

    __slots__ = ()

    def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        if not self._opened:
            self._note(self._started().advance())
            self._opened = True
        return self

    def objects(self) -> Iterator[Parsed_co]:
        """The value while it grows, each time as the type of ``output=T``: a list with more items, a field more.

        It is shown as soon as all that the type requires is whole, and then the more rarely the larger it is. Nothing
        is guessed: a text is there when it has ended. The whole one is ``response.parsed``, at the end.
        """
        return self._grown(typed=True)

    def partial(self) -> Iterator[Any]:
        """The value while it grows, as plain JSON that holds the fields that are whole so far. Not to be changed."""
        return self._grown(typed=False)

    def _grown(self, *, typed: bool) -> Iterator[Any]:
        self.open()
        growing = self._growing()
        while (event := self._next()) is not None:
            yield from _shown(growing, event, typed=typed)

    def _next(self) -> StreamEvent | None:
        self.open()
        driver = self._started()
        output = driver.advance()
        event = self._note(output)
        return self._note(driver.advance()) if event is None and output is not None else event

    def read(self) -> Response[Parsed_co]:
        """Read to the end and give the whole response."""
        while self._next() is not None:
            pass
        return self.response


class AsyncPieces(Generic[Event]):
    """As Pieces, for ``async for`` and ``async with``."""

    __slots__ = ()

    async def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop here, without waiting."""
        raise NotImplementedError

    async def _next(self) -> Event | None:
        raise NotImplementedError

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """The next piece of text."""
        while (event := await self._next()) is not None:
            if isinstance(event, TextDelta) and event.text:
                return event.text
        raise StopAsyncIteration

    def events(self) -> AsyncIterator[Event]:
        """What happens from here on, typed: text, reasoning, tool calls, the end."""
        return AsyncEvents(self._next)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Reading[AsyncDriver[StreamOutput, Response], Parsed_co], AsyncPieces[StreamEvent]):
    """As Stream, for ``async for`` and ``async with``. A class, not an async generator: leaving it is immediate."""

    __slots__ = ()

    async def open(self) -> Self:
        """Send the request now and wait until the provider says yes; raise what it says instead."""
        if not self._opened:
            self._note(await self._started().advance())
            self._opened = True
        return self

    def objects(self) -> AsyncIterator[Parsed_co]:
        """The value while it grows, each time as the type of ``output=T``; see ``Stream.objects``."""
        return _AsyncGrown(self, typed=True)

    def partial(self) -> AsyncIterator[Any]:
        """The value while it grows, as plain JSON that holds the fields that are whole so far. Not to be changed."""
        return _AsyncGrown(self, typed=False)

    async def _next(self) -> StreamEvent | None:
        await self.open()
        driver = self._started()
        output = await driver.advance()
        event = self._note(output)
        return self._note(await driver.advance()) if event is None and output is not None else event

    async def read(self) -> Response[Parsed_co]:
        """Read to the end and give the whole response."""
        while await self._next() is not None:
            pass
        return self.response


def _shown(growing: GrowingOutput, event: StreamEvent, *, typed: bool) -> list[Any]:
    """What an event makes worth showing of a value that grows: one value, or none."""
    if not isinstance(event, TextDelta) or not growing.feed(event.text):
        return []
    return growing.typed() if typed else growing.value()


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


class _AsyncGrown:
    """The value of an AsyncStream while it grows; no async generator, as above."""

    __slots__ = ("_growing", "_stream", "_typed")

    def __init__(self, stream: AsyncStream[Any], *, typed: bool) -> None:
        self._stream = stream
        self._typed = typed
        self._growing: GrowingOutput | None = None

    def __aiter__(self) -> _AsyncGrown:
        return self

    async def __anext__(self) -> Any:
        if self._growing is None:
            await self._stream.open()
            self._growing = self._stream._growing()  # noqa: SLF001  # the other half of one class
        while (event := await self._stream._next()) is not None:  # noqa: SLF001  # as above
            for value in _shown(self._growing, event, typed=self._typed):
                return value
        raise StopAsyncIteration
