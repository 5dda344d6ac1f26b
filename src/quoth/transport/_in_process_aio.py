"""Carries requests to an app in this process; this half is for asyncio."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque

from ..errors import Phase
from ..wire import HTTPRequest, WireReply
from ._clock import Deadline
from ._in_process import App, AppCall, Item, ReplyUnderWay, head_of, piece_of

__all__ = ["AsyncInProcessExchange", "AsyncInProcessTransport"]


class _Inbox:
    """Where one call's items wait for a task of one event loop."""

    __slots__ = ("_items", "_loop", "_waiter")

    def __init__(self) -> None:
        self._loop: AbstractEventLoop = get_running_loop()
        self._items: deque[Item] = deque()
        self._waiter: Future[None] | None = None

    def deliver(self, item: Item) -> bool:
        """Called on any thread; True where the loop is closed, so that nobody waits any more."""
        try:
            self._loop.call_soon_threadsafe(self._add, item)
        except RuntimeError:
            return True
        return False

    def _add(self, item: Item) -> None:
        self._items.append(item)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self, deadline: Deadline, phase: Phase) -> Item:
        while True:
            remaining = deadline.require(phase, "yes")
            if self._items:
                return self._items.popleft()
            await self._wait(remaining)

    async def _wait(self, seconds: float) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None


class AsyncInProcessExchange(ReplyUnderWay):
    """One reply under way, for the event loop that opened it."""

    __slots__ = ("_inbox",)

    def __init__(self, call: AppCall, inbox: _Inbox, head: WireReply) -> None:
        super().__init__(call, inbox.deliver, head)
        self._inbox = inbox

    async def read(self, deadline: Deadline) -> bytes:
        """The next piece of the body; empty at its end and ever after."""
        known = self._known()
        if known is not None:
            return known
        try:
            return self._took(piece_of(await self._inbox.take(deadline, "read")))
        except Exception as error:
            self._failed(error)
            raise


class AsyncInProcessTransport:
    """Carries requests to ``app`` for asyncio; bound to no loop."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def open(self, request: HTTPRequest, deadline: Deadline) -> AsyncInProcessExchange:
        """Start the app and wait for its head.

        Raises ConfigurationError, as the app raised it, where the app cannot answer at all.
        """
        deadline.require("connect", "no")
        inbox = _Inbox()
        call = AppCall(self._app, request, inbox.deliver)
        try:
            call.start()
            return AsyncInProcessExchange(call, inbox, head_of(await inbox.take(deadline, "first_byte")))
        except BaseException:
            call.gone = True
            raise

    def close(self) -> None:
        """Nothing is idle here: a call's thread ends with the call."""
