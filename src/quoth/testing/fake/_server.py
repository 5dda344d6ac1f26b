"""A small HTTP/1.1 server on one thread: requests are read by llhttp, replies are steps that a connection plays.

No task is made for a connection or a request: a reply that waits is a timer. Everything is bounded: how many
connections there are, what a head and a body may hold, how many requests may wait on one connection, and what is
written to a client that does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser
from msgspec import Struct

from ...wire import Headers
from ._play import Step

__all__ = ["Limits", "Message", "Server"]

BACKLOG = 1_024
"""Connections that the system holds while the thread is busy: a burst of clients must not be refused."""

JOINED = 64 << 10
"""Bytes that are written at once, at most, beyond the piece that passes it."""

LINGER = 2.0
"""Seconds that a client has to read why it was refused, and to go."""

PATIENCE = 10.0
"""Seconds after which a thread that does not start or end is an error."""


class Limits(Struct, frozen=True, kw_only=True, gc=False):
    """How much a client may ask of the server."""

    head: int = 64 << 10
    body: int = 32 << 20
    connections: int = 4_096
    waiting: int = 16
    """Requests on one connection that wait for those before them."""


class Message(Struct, frozen=True, kw_only=True, gc=False):
    """A request as it came, whole."""

    method: str
    target: str
    headers: Headers
    body: bytes
    connection: int
    keep_alive: bool
    chunks: bool
    """Whether the client reads chunks, as HTTP/1.1 does."""


Respond = Callable[[Message], Iterator[Step]]


class _TooMuchError(Exception):
    """A request beyond the limits, and the status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Server:
    """Serves ``respond`` on loopback from ``start`` to ``close``; ``respond`` is called on the server's thread."""

    def __init__(self, respond: Respond, limits: Limits, port: int = 0) -> None:
        self.respond = respond
        self.limits = limits
        self.connections: set[_Connection] = set()
        self.accepted = 0
        self._socket = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"quoth-fake-{self.port}", daemon=True)

    def start(self) -> None:
        """Listen. Raises RuntimeError where the system gives no thread."""
        try:
            self._thread.start()
        except RuntimeError:
            self._socket.close()
            raise
        if not self._ready.wait(PATIENCE) or self._failure is not None:
            self._socket.close()
            raise RuntimeError("the server does not start") from self._failure

    def close(self) -> None:
        """End every connection and the thread. Not to be called on the server's own thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # nobody stands above a thread: who starts the server raises it
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Connection(self, self._loop), sock=self._socket, backlog=BACKLOG
        )
        self._ready.set()
        await self._stopping.wait()
        server.close()
        while self.connections:
            for connection in list(self.connections):
                connection.abort()
            await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    """One client: its requests, one reply at a time."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._waiting: deque[Message] = deque()
        self._steps: Iterator[Step] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._full = self._deaf = False
        self._begin_request()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type: a stream's, always
        self._transport = transport
        self._parser = HttpRequestParser(self)
        self._server.accepted += 1
        self._number = self._server.accepted
        if len(self._server.connections) >= self._server.limits.connections:
            self.abort()
        else:
            self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        self._server.connections.discard(self)
        self._deaf = True
        self._steps = None
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._parser = _NO_PARSER  # the parser and this hold each other

    def abort(self) -> None:
        self._transport.abort()

    # What comes in. llhttp calls the methods on_...

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._without_progress += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as error:
            self._refuse(getattr(error.__context__, "status", 400))
        except (HttpParserError, HttpParserUpgrade):
            self._refuse(400)
        else:
            if self._without_progress > 2 * self._server.limits.head:  # a line or a chunk's extension without end
                self._refuse(431)
            elif self._steps is None and self._waiting:
                self._reply(self._waiting.popleft())

    def eof_received(self) -> None:
        """A client that has said all it has to say is taken to have gone."""

    def _begin_request(self) -> None:
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._head_size = self._body_size = self._without_progress = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))
        self._grow_head(len(name) + len(value) + 4)

    def _grow_head(self, more: int) -> None:
        self._head_size += more
        if self._head_size > self._server.limits.head:
            raise _TooMuchError(431)

    def on_headers_complete(self) -> None:
        self._without_progress = 0
        if any(name == "expect" and value.lower() == "100-continue" for name, value in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._without_progress = 0
        self._body_size += len(data)
        if self._body_size > self._server.limits.body:
            raise _TooMuchError(413)
        self._body.append(data)

    def on_message_complete(self) -> None:
        if len(self._waiting) >= self._server.limits.waiting:
            raise _TooMuchError(429)
        message = Message(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target.decode("latin-1"),
            headers=tuple(self._headers),
            body=b"".join(self._body),
            connection=self._number,
            keep_alive=self._parser.should_keep_alive(),
            chunks=self._parser.get_http_version() != "1.0",
        )
        self._begin_request()
        self._waiting.append(message)

    # What goes out.

    def _reply(self, message: Message) -> None:
        self._steps = self._server.respond(message)
        self._play()

    def _refuse(self, status: int) -> None:
        """Say why nothing more is read. What still comes is dropped: closing at once would reset the reply away."""
        self._deaf = True
        if self._steps is not None:  # the client reads another reply
            self.abort()
            return
        self._transport.write(b"HTTP/1.1 %d \r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self._transport.write_eof()
        self._timer = self._loop.call_later(LINGER, self.abort)

    def _play(self) -> None:
        """Go on with the reply until it waits, ends, or the client reads no more."""
        self._timer = None
        while not self._full and self._goes_on():
            pass

    def _goes_on(self) -> bool:
        """Write what is to be written at once; False where the reply waits, or there is none any more."""
        joined: list[bytes] = []
        size = 0
        for step in self._steps or ():
            if not isinstance(step, bytes):
                self._transport.write(b"".join(joined))
                self._wait_or_end(step)
                return False
            joined.append(step)
            size += len(step)
            if size >= JOINED:
                self._transport.write(b"".join(joined))
                return True
        self._transport.write(b"".join(joined))
        self._steps = self._server.respond(self._waiting.popleft()) if self._waiting else None
        return self._steps is not None

    def _wait_or_end(self, step: float | str) -> None:
        if isinstance(step, str):
            self._break_off(step)
        else:
            self._timer = self._loop.call_later(step, self._play)

    def _break_off(self, ending: str) -> None:
        self._deaf = True
        self._waiting.clear()
        if ending == "close":
            self._steps = None
            self._transport.close()
        elif ending == "reset":
            self._steps = None
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.abort()
        else:
            self._steps = iter(())
            self._full = True  # nothing more, until the client goes

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._timer is None:
            self._play()


_NO_PARSER = HttpRequestParser(object())
"""Stands where the parser of a connection was."""
