"""Connections for blocking callers: a socket that never blocks by itself, and how one is made.

Look-up, happy eyeballs, the tunnel through a proxy and the TLS handshake each wait in a poll, an event or a
selector for the time that is left, so that a deadline or Ctrl-C ends them at once. On Windows, where waiting is
not interrupted by Ctrl-C, no wait is longer than a tenth of a second.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, TypeAlias

from ..errors import TransportError
from ._clock import monotonic
from ._config import HTTPSettings
from ._connecting import (
    STAGGER,
    Address,
    Limit,
    Plan,
    interleave,
    look_up,
    look_up_numeric,
    not_connected,
    not_looked_up,
    prepare_socket,
    read_tunnel_reply,
    tunnel_reader,
    tunnel_request,
)
from ._tls import TLSContexts, handshake_failed

if TYPE_CHECKING:
    import ssl

__all__ = ["LONGEST_WAIT", "Wire", "connect", "resolve"]

_CHUNK = 1 << 16
LONGEST_WAIT = 0.1 if sys.platform == "win32" else 3600.0
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)  # neither costs a descriptor
_IN_PROGRESS = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)


# Waiting.


class _Poll:
    """Waits for one socket in one system call."""

    __slots__ = ("_fd", "_poll", "_writing")

    def __init__(self, sock: socket.socket) -> None:
        self._fd = sock.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._writing = False

    def readable(self, seconds: float) -> bool:
        if self._writing:
            self._poll.modify(self._fd, select.POLLIN)
            self._writing = False
        return bool(self._poll.poll(min(seconds, LONGEST_WAIT) * 1000))

    def either(self, seconds: float) -> tuple[bool, bool]:
        """Wait until the socket can be read or written; say which."""
        if not self._writing:
            self._poll.modify(self._fd, select.POLLIN | select.POLLOUT)
            self._writing = True
        for _, events in self._poll.poll(min(seconds, LONGEST_WAIT) * 1000):
            return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)
        return False, False


class _Select:
    """The same for Windows, which has no poll (and where select has no limit on descriptors' numbers)."""

    __slots__ = ("_fd",)

    def __init__(self, sock: socket.socket) -> None:
        self._fd = sock.fileno()

    def readable(self, seconds: float) -> bool:
        return bool(select.select([self._fd], [], [], min(seconds, LONGEST_WAIT))[0])

    def either(self, seconds: float) -> tuple[bool, bool]:
        readable, writable, _ = select.select([self._fd], [self._fd], [], min(seconds, LONGEST_WAIT))
        return bool(readable), bool(writable)


_Readiness: TypeAlias = "_Poll | _Select"
_readiness: Callable[[socket.socket], _Readiness] = _Poll if hasattr(select, "poll") else _Select


class Wire:
    """A connected, non-blocking socket, plain or under TLS."""

    __slots__ = ("_again", "_poll", "_tls", "_write_again", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._tls: ssl.SSLSocket | None = None
        self._poll = _readiness(sock)
        self._again: tuple[type[OSError], ...] = (BlockingIOError,)
        self._write_again: tuple[type[OSError], ...] = ()

    def start_tls(self, context: ssl.SSLContext, host: str, limit: Limit) -> None:
        import ssl

        self._again = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
        self._write_again = (ssl.SSLWantWriteError,)
        self.sock = self._tls = context.wrap_socket(
            self.sock, server_hostname=host.removesuffix("."), do_handshake_on_connect=False
        )
        while True:
            try:
                return self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._poll.readable(limit.left("tls"))
            except ssl.SSLWantWriteError:
                self._poll.either(limit.left("tls"))

    def send(self, data: bytes | memoryview) -> int:
        """Hand over what the socket takes now; 0 when it takes nothing."""
        try:
            return self.sock.send(data)
        except self._again:
            return 0

    def receive(self, seconds: float) -> bytes | None:
        """What has come, after waiting for it if need be; empty at the end, None if nothing came in time."""
        buffered = self._tls is not None and self._tls.pending()
        if not buffered and not self._poll.readable(seconds):
            return None
        return self.receive_now(seconds)

    def receive_now(self, seconds: float = 0.0) -> bytes | None:
        try:
            return self.sock.recv(_CHUNK)
        except self._again as error:
            if isinstance(error, self._write_again):  # TLS must answer first, and the socket is full
                self._poll.either(seconds)
            return None

    def either(self, seconds: float) -> tuple[bool, bool]:
        return self._poll.either(seconds)

    def idle_and_well(self) -> bool:
        """Whether an idle connection can be used: it has nothing to say but goodbye, or (TLS) a new ticket."""
        if not self._poll.readable(0):
            return True
        return self._tls is not None and _silent(self)

    def interrupt(self) -> None:
        """Wake the thread that waits for this socket; not through ssl, whose state belongs to that thread."""
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()


def _silent(wire: Wire) -> bool:
    try:
        return wire.receive_now() is None
    except OSError:
        return False


# Connecting.


def resolve(plan: Plan, limit: Limit) -> Sequence[Address]:
    """The addresses of whom a plan connects to."""
    numeric = look_up_numeric(plan.host, plan.port)
    if numeric is not None:
        return numeric
    outcomes: deque[Sequence[Address] | OSError] = deque()
    ready = Event()

    def done(outcome: Sequence[Address] | OSError) -> None:
        outcomes.append(outcome)
        ready.set()

    look_up(plan.host, plan.port, done)
    while not ready.wait(min(limit.left("dns"), LONGEST_WAIT)):
        pass
    outcome = outcomes.pop()
    if isinstance(outcome, OSError):
        raise not_looked_up(plan, outcome)
    return outcome


class _Race:
    """Happy eyeballs (RFC 8305): the next address is tried after a failure or a moment; the first to connect wins."""

    __slots__ = ("_addresses", "_error", "_selector")

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = interleave(addresses)
        self._error: OSError = ConnectionRefusedError("no address")
        self._selector = _Selector()

    def run(self, plan: Plan, limit: Limit) -> socket.socket:
        winner = None
        try:
            winner = self._run(limit)
        finally:
            for key in list(self._selector.get_map().values()):
                if key.fileobj is not winner:
                    key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered
            self._selector.close()
        if winner is None:
            raise not_connected(plan, self._error)
        return winner

    def _run(self, limit: Limit) -> socket.socket | None:
        while self._addresses or self._selector.get_map():
            if self._addresses:
                self._start(self._addresses.popleft())
            again = monotonic() + STAGGER
            while self._selector.get_map():
                wait = min(limit.left("connect"), LONGEST_WAIT)
                if self._addresses:
                    wait = min(wait, again - monotonic())
                    if wait <= 0:
                        break
                failed = False
                for key, _ in self._selector.select(wait):
                    if self._connected(key.fileobj):  # type: ignore[arg-type]
                        return key.fileobj  # type: ignore[return-value]
                    failed = True
                if failed:
                    break
        return None

    def _start(self, address: Address) -> None:
        family, kind, protocol, _, where = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # a family that this system cannot speak, or no descriptor left
            self._error = error
            return
        sock.setblocking(False)
        code = sock.connect_ex(where)
        if code in _IN_PROGRESS:
            self._selector.register(sock, selectors.EVENT_WRITE)
        else:
            self._error = OSError(code, os.strerror(code))
            sock.close()

    def _connected(self, sock: socket.socket) -> bool:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            return True
        self._error = OSError(code, os.strerror(code))
        self._selector.unregister(sock)
        sock.close()
        return False


def connect(
    plan: Plan, limit: Limit, settings: HTTPSettings, contexts: TLSContexts, addresses: Sequence[Address] | None = None
) -> Wire:
    """A connection that a plan needs, ready for its request; to these addresses and no others, where they are given."""
    wire = Wire(_Race(resolve(plan, limit) if addresses is None else addresses).run(plan, limit))
    try:
        prepare_socket(wire.sock)
        if plan.tunnelled:
            _open_tunnel(wire, plan, limit, settings)
        if plan.origin.secure:
            _secure(wire, plan, limit, contexts)
    except BaseException:
        wire.close()
        raise
    return wire


def _secure(wire: Wire, plan: Plan, limit: Limit, contexts: TLSContexts) -> None:
    context = contexts.get(plan.origin)
    failure: OSError
    try:
        return wire.start_tls(context, plan.origin.host, limit)
    except TransportError:
        raise
    except OSError as error:
        failure = error
    raise handshake_failed(plan.origin, failure)


def _open_tunnel(wire: Wire, plan: Plan, limit: Limit, settings: HTTPSettings) -> None:
    reader = tunnel_reader(settings.caps)
    data = memoryview(tunnel_request(plan))
    failure: OSError
    try:
        while data:
            data = data[wire.send(data) :]
            if data:
                wire.either(limit.left("proxy"))
        while not reader.head:
            received = wire.receive(limit.left("proxy"))
            if received:
                reader.feed(received)
            elif received is not None:
                reader.eof()
    except TransportError:
        raise
    except OSError as error:
        failure = error
    else:
        return read_tunnel_reply(plan, reader)
    raise not_connected(plan, failure, "proxy")
