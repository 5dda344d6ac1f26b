"""HTTP/1.1 for asyncio: one Protocol a connection over the same reader, one absolute deadline.

Connections belong to the loop that made them, and the transport keeps them loop by loop; it may serve several
loops in several threads. What is idle is closed when its loop ends: ``asyncio.run`` closes the asynchronous
generators of its loop, and one of them is ours. A loop that was closed without that is noticed at the next use.

How it waits: a task sleeps on one future, which the protocol's callbacks settle when there is what the task
waits for: the head, then any piece of the body. A timer for the deadline stays armed from call to call and is
set anew only when it fires too early: with the usual long timeouts that is cheaper than one timer a call.

Back-pressure: with more than a quarter of a megabyte waiting for its reader a connection stops reading.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from math import inf
from typing import cast

from ..errors import APIConnectionError, ClosedError, Phase, Sent, TransportError
from ..wire import Headers, HTTPRequest
from ._aio_connect import hand_over, make_socket
from ._clock import Deadline, monotonic
from ._config import HTTPSettings
from ._connecting import PLANS_KEPT, RESEND_WITHIN, Limit, PeerGoneError, Plan, Planner, broken, check_reply
from ._fork import watch
from ._http1 import ResponseReader, build_request, decode_headers
from ._tls import TLSContexts

__all__ = ["AsyncHTTPTransport"]

_HIGH_WATER = 1 << 18


# Connections and their pool.


class _Link(asyncio.Protocol):
    """One connection: what asyncio calls, and what a task waits for."""

    __slots__ = (
        "_deadline",
        "_error",
        "_paused",
        "_plan",
        "_pool",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiter",
        "_wants_head",
        "_writing",
        "closed",
        "idle_since",
        "loop",
        "lost",
        "reader",
        "sock",
        "used",
    )

    def __init__(self, pool: _Pool, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._plan = plan
        self.loop = loop
        self.reader = ResponseReader(pool.settings.caps)
        self.sock: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._deadline: Deadline | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._wants_head = self._writing = self._paused = False
        self.closed = self.lost = self.used = False
        self.idle_since = 0.0

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        # So that _writing says whether anything is unsent. (Not 0: asyncio's TLS takes an empty buffer for full then.)
        self._transport.set_write_buffer_limits(high=1, low=0)

    def pause_writing(self) -> None:
        self._writing = True

    def resume_writing(self) -> None:
        self._writing = False

    def data_received(self, data: bytes) -> None:
        if self.closed or self._error is not None:
            return
        reader = self.reader
        try:
            reader.feed(data)
        except TransportError as error:
            self._fail(error)
            return
        if self._writing and reader.head:  # it answered before it had the whole body: never use it again
            reader.spoil()
        if reader.done or (reader.head if self._wants_head else reader.buffered):
            self._wake()
        if reader.buffered > _HIGH_WATER and not reader.done:
            self._pause()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)
        self._disarm()
        self._pool.forget(self)

    def _end(self, exc: Exception | None) -> None:
        if not self.lost and self._error is None:
            try:
                self.reader.eof()
            except TransportError as error:
                inside = exc is None and self.reader.got
                self._error = error if inside else broken(self._plan, exc, *self._where())
        self.lost = True
        self._wake()

    def _fail(self, error: TransportError) -> None:
        self._error = error
        self._wake()
        if self.reader.head and self.reader.buffered and self._transport is not None:
            self._transport.abort()  # the bytes before it were paid for: they come first
        else:
            self.close()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _pause(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self.lost:
            self._transport.resume_reading()

    # A task calls these.

    async def connect(self, deadline: Deadline, contexts: TLSContexts) -> None:
        settings = self._pool.settings
        limit = Limit(settings.connect_timeout, deadline, self._plan)
        self.sock = await make_socket(self._plan, limit, settings.caps)
        await hand_over(self.sock, self, self._plan, limit, contexts)

    async def request(self, method: str, data: bytes, deadline: Deadline) -> None:
        """Send a request and await the head of its reply. Raise PeerGoneError if the peer had left before it came."""
        reader = self.reader
        deadline.require("send", "no")
        started = monotonic()
        reader.begin(method)
        self._wants_head = True
        self._open_transport().write(data)
        try:
            while not reader.head:
                await self.wait(deadline)
        except APIConnectionError:
            if self.used and not reader.got and monotonic() - started < RESEND_WITHIN:
                raise PeerGoneError from None
            raise
        self._wants_head = False

    async def wait(self, deadline: Deadline) -> None:
        """Sleep until there is what the call needs; raise what went wrong, or that the deadline has passed."""
        if self._error is not None:
            raise self._error
        if self.closed or self.lost:
            raise self.reader.lost("closed")
        if deadline.remaining() <= 0:
            raise deadline.exceeded(*self._where())
        self._arm(deadline)
        if self._paused:
            self._resume()
        self._waiter = waiter = self.loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _arm(self, deadline: Deadline) -> None:
        self._deadline = deadline
        if deadline.at >= self._timer_at or deadline.at == inf:
            return
        self._disarm()
        self._timer_at = deadline.at
        self._timer = self.loop.call_later(deadline.remaining(), self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, inf

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, inf
        if self._waiter is None or self._deadline is None:
            return
        if self._deadline.remaining() > 0:
            self._arm(self._deadline)
        else:
            self._wake()

    def _where(self) -> tuple[Phase, Sent]:
        if self.reader.got:
            return "read", "yes"
        return "send" if self._writing else "first_byte", "maybe"

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None or self.closed:
            raise ClosedError("the connection was closed")
        return self._transport

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def well(self) -> bool:
        return not self.lost and not self.closed and self.reader.reusable

    def release(self) -> None:
        """Back to the pool, if the reply left the connection fit for another."""
        if not self.well:
            self.close()
            return
        if self._paused:
            self._resume()
        self.used = True
        self._pool.put_back(self)

    def close(self) -> None:
        """End the connection at once; in its own loop only."""
        if self.closed:
            return
        self.closed = True
        self._disarm()
        if self._transport is not None:
            self._transport.abort()
        elif self.sock is not None:
            self.sock.close()
        self._wake()
        self.reader.discard()
        self._pool.forget(self)

    def drop(self) -> None:
        """Close the descriptor and nothing else: the loop is closed, or a parent process's."""
        self.closed = self.lost = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.close()

    def settle(self) -> None:
        """Release or close, whichever the reply allows."""
        if self.reader.done:
            self.release()
        else:
            self.close()

    def settle_from_anywhere(self) -> None:
        """As settle, from another thread, from no loop, or by garbage collection."""
        try:
            self.loop.call_soon_threadsafe(self.settle)
        except RuntimeError:  # the loop is closed
            self.drop()


class _Pool:
    """The connections of one loop to one origin."""

    __slots__ = ("_idle", "_waiters", "closed", "live", "settings")

    def __init__(self, settings: HTTPSettings) -> None:
        self.settings = settings
        self._idle: deque[_Link] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.live: set[_Link] = set()
        self.closed = False

    def take_idle(self) -> _Link | None:
        """The connection used last, if it is still well."""
        while self._idle:
            link = self._idle.pop()
            if link.well and self._is_young(link):
                return link
            link.close()
        return None

    def _is_young(self, link: _Link) -> bool:
        return monotonic() - link.idle_since < self.settings.max_idle_seconds

    async def take(self, plan: Plan, deadline: Deadline, *, fresh: bool) -> _Link:
        """A connection, idle or still to be connected; wait while as many as allowed are busy."""
        while True:
            link = self.take_idle()
            if link is not None and not fresh:
                return link
            if link is not None and len(self.live) >= self.settings.max_connections:
                link.close()  # make room for a new one
            elif link is not None:
                self._idle.append(link)
            if len(self.live) < self.settings.max_connections:
                link = _Link(self, plan, asyncio.get_running_loop())
                self.live.add(link)
                return link
            await self._wait(deadline)

    async def _wait(self, deadline: Deadline) -> None:
        seconds = deadline.require("connect", "no")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._wake_one()  # the place that was offered goes to the next
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise deadline.exceeded("connect", "no") from None
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def put_back(self, link: _Link) -> None:
        link.idle_since = monotonic()
        if self.closed:
            link.close()
            return
        idle = self._idle
        idle.append(link)
        while idle and not (idle[0].well and self._is_young(idle[0])):
            idle.popleft().close()
        if self._waiters:
            self._wake_one()

    def forget(self, link: _Link) -> None:
        self.live.discard(link)
        if self._waiters:
            self._wake_one()

    def close(self) -> None:
        """Close what is idle; what is busy closes when it comes back."""
        self.closed = True
        while self._idle:
            self._idle.pop().close()

    def end(self) -> None:
        """Close everything: the loop ends."""
        self.close()
        for link in list(self.live):
            link.close()

    def drop(self) -> None:
        for link in list(self.live):
            link.drop()


class _Home:
    """What the transport has in one loop."""

    __slots__ = ("_settings", "_watch", "pools", "routes")

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self.pools: dict[str, _Pool] = {}
        self.routes: dict[str, tuple[Plan, _Pool]] = {}

    async def watch_the_loop(self, forget: Callable[[], object]) -> None:
        """Have ``end`` called when the loop ends, or when nobody holds the transport any more."""
        self._watch = self._until_the_end(forget)
        await anext(self._watch)

    async def _until_the_end(self, forget: Callable[[], object]) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            for pool in self.pools.values():
                pool.end()
            forget()

    def route(self, url: str, plan: Plan) -> tuple[Plan, _Pool]:
        pool = self.pools.setdefault(plan.key, _Pool(self._settings))
        if len(self.routes) >= PLANS_KEPT:
            self.routes.clear()
            self.pools = {key: pool for key, pool in self.pools.items() if pool.live}
        self.routes[url] = route = (plan, pool)
        return route

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()

    def drop(self) -> None:
        for pool in self.pools.values():
            pool.drop()


# What the seam sees.


class _Exchange:
    """One reply under way. See AsyncExchange."""

    __slots__ = ("_finished", "_headers", "_link", "_raw", "status")

    def __init__(self, link: _Link) -> None:
        self._link: _Link | None = link
        self.status = link.reader.status
        self._raw = link.reader.raw
        self._headers: Headers | None = None
        self._finished = False

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = decode_headers(self._raw)
        return self._headers

    async def read(self, deadline: Deadline, /) -> bytes:
        link = self._link
        if link is None:
            if self._finished:
                return b""
            raise ClosedError("the reply was closed before its end")
        reader = link.reader
        try:
            while not (reader.buffered or reader.done):
                await link.wait(deadline)
        except BaseException as error:
            link.close()
            if self._link is None and isinstance(error, TransportError):
                raise ClosedError("the reply was closed while it was read") from None
            self._link = None
            raise
        piece = reader.take()
        if reader.done:
            self._link, self._finished = None, True
            link.release()
        return piece

    def close(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if _running_loop() is link.loop:
            link.settle()
        else:
            link.settle_from_anywhere()

    def __del__(self) -> None:
        link, self._link = self._link, None
        if link is not None:  # collection may strike inside the loop's own code: let it come to its senses first
            link.settle_from_anywhere()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncHTTPTransport:
    """HTTP/1.1 over sockets for asyncio; see AsyncTransport. One may serve several loops in several threads."""

    def __init__(self, settings: HTTPSettings | None = None) -> None:
        self._settings = settings or HTTPSettings()
        self._contexts = TLSContexts(self._settings.tls)
        self._planner = Planner(self._settings)
        self._homes: dict[asyncio.AbstractEventLoop, _Home] = {}
        self._closed = False
        watch(self)

    async def open(self, request: HTTPRequest, deadline: Deadline, /) -> _Exchange:
        """Send the request and return when the reply's head is there; raise TransportError or ConfigurationError."""
        if self._closed:
            raise ClosedError("the transport is closed")
        loop = asyncio.get_running_loop()
        home = self._homes.get(loop) or await self._settle_in(loop)
        plan, pool = home.routes.get(request.url) or home.route(request.url, self._planner.plan(request.url))
        data = build_request(request, plan.prefix)
        link = pool.take_idle() or await pool.take(plan, deadline, fresh=False)
        try:
            return await self._exchange(link, plan, request.method, data, deadline)
        except PeerGoneError:
            pass  # nobody saw it: send it again, once, on a connection of its own
        link = await pool.take(plan, deadline, fresh=True)
        return await self._exchange(link, plan, request.method, data, deadline)

    async def _exchange(self, link: _Link, plan: Plan, method: str, data: bytes, deadline: Deadline) -> _Exchange:
        try:
            if not link.connected:
                await link.connect(deadline, self._contexts)
            await link.request(method, data, deadline)
            check_reply(plan, link.reader)
            return _Exchange(link)
        except BaseException:
            link.close()
            raise

    async def _settle_in(self, loop: asyncio.AbstractEventLoop) -> _Home:
        for other in list(self._homes):
            if other.is_closed():
                self._leave(other)
        home = self._homes[loop] = _Home(self._settings)
        await home.watch_the_loop(lambda: self._homes.pop(loop, None))
        return home

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        home = self._homes.pop(loop, None)
        if home is not None:
            home.drop()

    def close(self) -> None:
        """Close what is idle, in every loop. Calls under way may finish; further ones raise ClosedError."""
        self._closed = True
        here = _running_loop()
        for loop, home in list(self._homes.items()):
            if loop is here:
                home.close()
            else:
                self._close_elsewhere(loop, home)

    def _close_elsewhere(self, loop: asyncio.AbstractEventLoop, home: _Home) -> None:
        try:
            loop.call_soon_threadsafe(home.close)
        except RuntimeError:  # that loop is closed
            self._leave(loop)

    def after_fork_in_child(self) -> None:
        for home in self._homes.values():
            home.drop()
        _left_to_the_parent.append(self._homes)
        self._homes = {}
        self._contexts.forget()


_left_to_the_parent: list[dict[asyncio.AbstractEventLoop, _Home]] = []
"""In a forked child: what it inherited. It is kept, for ending it would reach into the parent's event loop, whose
epoll set the two share."""
