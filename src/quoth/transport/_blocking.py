"""HTTP/1.1 for blocking callers: sockets and ssl, a pool shared by all threads, one absolute deadline.

How it waits: every socket is non-blocking, and the only places where a thread sleeps are a poll on the socket,
an event (look-ups) and a condition (a full pool). All three take the time that is left and are interrupted by
Ctrl-C; on Windows, where they are not, they sleep a tenth of a second at a time.

Who owns a connection: the pool while it is idle, else the exchange (or ``open``) that took it. An exchange is
closed under its own lock, which a reading thread holds; who closes it meanwhile shuts the socket down, which
wakes the reader, and the reader closes it. So no file descriptor is closed under a thread that waits on it.

Fork: a child must neither use nor end what belongs to its parent. After a fork the child closes its copies of
the descriptors (which sends nothing) and starts with empty pools and new locks.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Condition, Lock, RLock
from weakref import WeakSet

from ..errors import APIConnectionError, ClosedError, Phase, Sent, TransportError
from ..wire import Headers, HTTPRequest
from ._blocking_connect import LONGEST_WAIT, Wire, connect
from ._clock import Deadline, monotonic
from ._config import HTTPSettings
from ._connecting import PLANS_KEPT, RESEND_WITHIN, Limit, PeerGoneError, Plan, Planner, broken, check_reply
from ._fork import watch
from ._http1 import ResponseReader, build_request, decode_headers
from ._tls import TLSContexts

__all__ = ["HTTPTransport"]

_SLICE = 1 << 18
_UNSENT = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


# Connections and their pool.


class _Connection:
    __slots__ = (
        "__weakref__",
        "_failure",
        "_plan",
        "_pool",
        "_taken",
        "_whole",
        "closed",
        "idle_since",
        "reader",
        "used",
        "wire",
    )

    def __init__(self, pool: _Pool, plan: Plan) -> None:
        self.wire: Wire | None = None
        self.closed = False
        self._pool = pool
        self._plan = plan
        self._taken = self._whole = False  # what the system took of the request: a byte, all of it
        self._failure: TransportError | None = None  # what followed bytes of the body that nobody has taken yet
        self.reader = ResponseReader(pool.settings.caps)
        self.used = False
        self.idle_since = 0.0

    def connect(self, deadline: Deadline, contexts: TLSContexts) -> None:
        settings = self._pool.settings
        limit = Limit(settings.connect_timeout, deadline, self._plan)
        self.wire = connect(self._plan, limit, settings, contexts)

    def request(self, method: str, data: bytes, deadline: Deadline) -> None:
        """Send a request and read the head of its reply. Raise PeerGoneError if the peer had left before it came."""
        reader = self.reader
        reader.begin(method)
        self._taken = self._whole = False
        started = monotonic()
        failure: OSError | None
        try:
            self._send(data, deadline)
            while not reader.head:
                self._receive(deadline)
        except APIConnectionError:
            if reader.got:
                raise
            failure = None
        except TransportError:
            raise
        except OSError as error:
            failure = error
        else:
            return
        if self.used and not reader.got and monotonic() - started < RESEND_WITHIN:
            raise PeerGoneError
        raise broken(self._plan, failure, self._phase(), self._sent())

    def _send(self, data: bytes, deadline: Deadline) -> None:
        wire = self._open_wire()
        deadline.require("send", "no")
        try:
            taken = wire.send(data)
        except _UNSENT:  # it has closed; what it may have said before is still to be read
            self.reader.spoil()
            return
        self._taken = taken > 0
        self._whole = taken == len(data)
        if not self._whole:
            self._send_rest(wire, memoryview(data)[taken:], deadline)

    def _send_rest(self, wire: Wire, data: memoryview, deadline: Deadline) -> None:
        """Send a large body, and listen meanwhile: a 413 or a 401 may come long before its end."""
        while data and not self.reader.head:
            readable, writable = wire.either(deadline.require("send", self._sent()))
            if readable:
                received = wire.receive_now()
                if received is not None:
                    self._take(received)
            elif writable:
                try:
                    taken = wire.send(data[:_SLICE])
                except _UNSENT:
                    break
                self._taken = self._taken or taken > 0
                data = data[taken:]
        self._whole = not data
        if data:  # answered or gone before it had the whole body: never use it again
            self.reader.spoil()

    def receive(self, deadline: Deadline) -> None:
        """Wait for the next bytes of the reply's body and read them."""
        if self._failure is not None:
            raise self._failure
        failure: OSError
        try:
            return self._receive(deadline)
        except TransportError:
            raise
        except OSError as error:
            failure = error
        raise broken(self._plan, failure, "read", "yes")

    def _receive(self, deadline: Deadline) -> None:
        wire = self._open_wire()
        phase, sent = self._phase(), self._sent()
        while True:
            data = wire.receive(deadline.require(phase, sent))
            if data is not None:
                return self._take(data)

    def _take(self, data: bytes) -> None:
        if not data:
            self.reader.eof()
            return
        try:
            self.reader.feed(data)
        except TransportError as error:
            if not (self.reader.head and self.reader.buffered):
                raise
            self._failure = error  # the bytes before it were paid for: they come first

    def _phase(self) -> Phase:
        if self.reader.got:
            return "read"
        return "first_byte" if self._whole else "send"

    def _sent(self) -> Sent:
        if self.reader.got:
            return "yes"
        return "maybe" if self._taken else "no"

    def _open_wire(self) -> Wire:
        if self.wire is None or self.closed:
            raise ClosedError("the connection was closed")
        return self.wire

    def idle_and_well(self) -> bool:
        return self.wire is not None and self.wire.idle_and_well()

    def interrupt(self) -> None:
        if self.wire is not None and not self.closed:
            self.wire.interrupt()

    def release(self) -> None:
        """Back to the pool, if the reply left the connection fit for another."""
        if self.reader.reusable and not self.closed:
            self.used = True
            self._pool.put_back(self)
        else:
            self.close()

    def close(self) -> None:
        self.drop()
        self.reader.discard()
        self._pool.forget(self)

    def drop(self) -> None:
        """Close the descriptor and nothing else; all that a forked child may do."""
        self.closed = True
        if self.wire is not None:
            self.wire.close()

    def __del__(self) -> None:
        self.drop()


class _Pool:
    """The connections to one origin. Taking an idle one takes no lock; only making one does."""

    __slots__ = ("_changed", "_idle", "_live", "_waiting", "closed", "settings")

    def __init__(self, settings: HTTPSettings) -> None:
        self.settings = settings
        self._idle: deque[_Connection] = deque()
        self._live: WeakSet[_Connection] = WeakSet()
        # Re-entrant, for garbage collection may close a connection while this thread holds it.
        self._changed = Condition(RLock())
        self._waiting = 0
        self.closed = False

    def take_idle(self) -> _Connection | None:
        """The connection used last, if it is still well."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            young = monotonic() - connection.idle_since < self.settings.max_idle_seconds
            if young and connection.idle_and_well():
                return connection
            connection.close()

    def take(self, plan: Plan, deadline: Deadline, *, fresh: bool) -> _Connection:
        """A connection, idle or still to be connected; wait while as many as allowed are busy."""
        with self._changed:
            self._waiting += 1  # before looking, so that whoever frees a place after that wakes this thread
            try:
                while (connection := self._take_now(plan, fresh=fresh)) is None:
                    self._changed.wait(min(deadline.require("connect", "no"), LONGEST_WAIT))
            except BaseException:
                self._changed.notify()  # the word may have come to this thread as it gave up
                raise
            finally:
                self._waiting -= 1
        return connection

    def _take_now(self, plan: Plan, *, fresh: bool) -> _Connection | None:
        connection = None if fresh else self.take_idle()
        if connection is not None:
            return connection
        if len(self._live) >= self.settings.max_connections:
            self._close_oldest()  # an idle one makes room; there is one only where a fresh one is wanted
        if len(self._live) >= self.settings.max_connections:
            return None
        connection = _Connection(self, plan)
        self._live.add(connection)
        return connection

    def put_back(self, connection: _Connection) -> None:
        connection.idle_since = monotonic()
        self._idle.append(connection)
        if self.closed:
            self.close()
        else:
            self._close_expired(connection.idle_since - self.settings.max_idle_seconds)
        if self._waiting:
            self._wake_one()

    def _close_expired(self, since: float) -> None:
        with suppress(IndexError):  # other threads take and put back meanwhile
            while self._idle[0].idle_since < since:
                self._close_oldest()

    def _close_oldest(self) -> None:
        with suppress(IndexError):
            self._idle.popleft().close()

    def forget(self, connection: _Connection) -> None:
        self._live.discard(connection)
        if self._waiting:
            self._wake_one()

    def _wake_one(self) -> None:
        with self._changed:
            self._changed.notify()

    @property
    def used(self) -> bool:
        return bool(self._live)

    def close(self) -> None:
        """Close what is idle; what is busy closes when it comes back."""
        self.closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def drop(self) -> None:
        """In a forked child: close the descriptors of all connections; no old lock is touched."""
        self._changed = Condition(RLock())
        self._waiting = 0
        self._idle.clear()
        for connection in list(self._live):
            connection.drop()


# What the seam sees.


class _Exchange:
    """One reply under way. See Exchange."""

    __slots__ = ("_closed", "_connection", "_finished", "_headers", "_lock", "_raw", "status")

    def __init__(self, connection: _Connection) -> None:
        self._connection: _Connection | None = connection
        self.status = connection.reader.status
        self._raw = connection.reader.raw
        self._headers: Headers | None = None
        self._lock = Lock()
        self._closed = False
        self._finished = False

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = decode_headers(self._raw)
        return self._headers

    def read(self, deadline: Deadline, /) -> bytes:
        if self._finished:
            return b""
        try:
            with self._lock:
                return self._read(deadline)
        except TransportError:
            if self._closed:  # by another thread; what followed is no news
                raise ClosedError("the reply was closed while it was read") from None
            raise
        finally:
            if self._closed:
                self.close()

    def _read(self, deadline: Deadline) -> bytes:
        connection = self._connection
        if connection is None or self._closed:
            raise ClosedError("the reply was closed before its end")
        reader = connection.reader
        try:
            while not (reader.buffered or reader.done):
                connection.receive(deadline)
        except BaseException:
            self._let_go()
            raise
        piece = reader.take()
        if reader.done:
            self._let_go()
        return piece

    def close(self) -> None:
        self._closed = True
        connection = self._connection
        if connection is None:
            return
        if self._lock.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._lock.release()
        else:
            connection.interrupt()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._finished = connection.reader.done
        if self._finished:
            connection.release()
        else:
            connection.close()

    def __del__(self) -> None:
        self.close()


class HTTPTransport:
    """HTTP/1.1 over sockets for blocking callers; see Transport. Safe to share between threads, and over a fork."""

    def __init__(self, settings: HTTPSettings | None = None) -> None:
        self._settings = settings or HTTPSettings()
        self._contexts = TLSContexts(self._settings.tls)
        self._planner = Planner(self._settings)
        self._pools: dict[str, _Pool] = {}
        self._routes: dict[str, tuple[Plan, _Pool]] = {}
        self._closed = False
        watch(self)

    def open(self, request: HTTPRequest, deadline: Deadline, /) -> _Exchange:
        """Send the request and return when the reply's head is there; raise TransportError or ConfigurationError."""
        if self._closed:
            raise ClosedError("the transport is closed")
        plan, pool = self._routes.get(request.url) or self._route(request.url)
        data = build_request(request, plan.prefix)
        connection = pool.take_idle()
        if connection is not None:
            try:
                return self._exchange(connection, plan, request.method, data, deadline)
            except PeerGoneError:
                pass  # nobody saw it: send it again, once, on a connection of its own
            return self._open_fresh(plan, pool, request.method, data, deadline, fresh=True)
        return self._open_fresh(plan, pool, request.method, data, deadline, fresh=False)

    def _open_fresh(
        self, plan: Plan, pool: _Pool, method: str, data: bytes, deadline: Deadline, *, fresh: bool
    ) -> _Exchange:
        try:
            return self._exchange(pool.take(plan, deadline, fresh=fresh), plan, method, data, deadline)
        except PeerGoneError:  # it waited for a free connection, and that one was lost
            pass
        return self._exchange(pool.take(plan, deadline, fresh=True), plan, method, data, deadline)

    def _exchange(self, connection: _Connection, plan: Plan, method: str, data: bytes, deadline: Deadline) -> _Exchange:
        try:
            if connection.wire is None:
                connection.connect(deadline, self._contexts)
            connection.request(method, data, deadline)
            check_reply(plan, connection.reader)
            return _Exchange(connection)
        except BaseException:
            connection.close()
            raise

    def _route(self, url: str) -> tuple[Plan, _Pool]:
        plan = self._planner.plan(url)
        pool = self._pools.setdefault(plan.key, _Pool(self._settings))
        if len(self._routes) >= PLANS_KEPT:
            self._routes = {}
            self._pools = {key: pool for key, pool in self._pools.items() if pool.used}
        self._routes[url] = route = (plan, pool)
        return route

    def close(self) -> None:
        """Close what is idle. Calls under way may finish; further ones raise ClosedError."""
        self._closed = True
        for pool in list(self._pools.values()):
            pool.close()

    def after_fork_in_child(self) -> None:
        for pool in self._pools.values():
            pool.drop()
        self._pools, self._routes = {}, {}
        self._contexts.forget()
