"""The package httpx2 behind the seam, for those who need HTTP/2, SOCKS, or hooks of their own (extra ``httpx2``).

What it does not promise, because httpx2 does not:

- one deadline: each step may take what was left when it began, so a head that drips is not bounded;
- to send again, for free, a request that met a dead kept connection; ``sent`` is judged by the kind of error;
- a cap on heads; the cap on bodies counts a piece after it was unpacked;
- to notice bytes that come between two replies, to wake a reader whose reply another thread closes, an instant
  Ctrl-C in every phase, and a client that survives a fork.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from math import inf
from typing import Any

import httpx2

from ..errors import (
    APIConnectionError,
    APITimeoutError,
    ClosedError,
    ConfigurationError,
    Phase,
    ProtocolError,
    Sent,
    TransportError,
)
from ..wire import Headers, HTTPRequest
from ._clock import Deadline
from ._http1 import Caps
from ._url import split_url

__all__ = ["AsyncHTTPX2Transport", "HTTPX2Transport"]

_MEANINGS: tuple[tuple[type[Exception], type[TransportError], Phase, Sent], ...] = (
    (httpx2.ConnectTimeout, APITimeoutError, "connect", "no"),
    (httpx2.PoolTimeout, APITimeoutError, "connect", "no"),
    (httpx2.WriteTimeout, APITimeoutError, "send", "maybe"),
    (httpx2.ReadTimeout, APITimeoutError, "first_byte", "maybe"),
    (httpx2.ProxyError, APIConnectionError, "proxy", "no"),
    (httpx2.ConnectError, APIConnectionError, "connect", "no"),
    (httpx2.WriteError, APIConnectionError, "send", "maybe"),
    (httpx2.DecodingError, ProtocolError, "read", "yes"),
    (httpx2.TransportError, APIConnectionError, "first_byte", "maybe"),
)
"""httpx2's error, ours, and where it stands before the head has come; after that it is ``read`` and ``yes``."""

_UNSENDABLE = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL, UnicodeError)
_THEIRS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError)
_GOODBYES = ("Server disconnected", "peer closed connection")
"""How httpx2 words the end of a connection, which it calls a protocol error like any garbage."""


def _translate(error: Exception, host: str, deadline: Deadline, *, headed: bool = False) -> Exception:
    """Our error for one of httpx2's; without its text, which may quote what was sent."""
    if isinstance(error, httpx2.StreamError):
        return ClosedError("the reply was closed before its end")
    if isinstance(error, _UNSENDABLE):
        return ConfigurationError("httpx2 cannot send this request: its URL or a header holds what HTTP forbids")
    if isinstance(error, httpx2.RemoteProtocolError) and not str(error).startswith(_GOODBYES):
        return ProtocolError("the peer does not speak HTTP as httpx2 understands it", phase="read")
    ours, phase, sent = next(row[1:] for row in _MEANINGS if isinstance(error, row[0]))
    if headed:
        phase, sent = "read", "yes"
    elif phase == "connect":
        phase = _where_it_stopped(error)
    if ours is APITimeoutError:
        return deadline.exceeded(phase, sent)
    billed: Sent = "no" if sent == "no" else "maybe"
    retryable = False if phase == "tls" else None
    message = f"the call to {host} failed in phase {phase}: {type(error).__name__} of httpx2"
    return ours(message, phase=phase, sent=sent, billed=billed, retryable=retryable)


def _where_it_stopped(error: BaseException) -> Phase:
    """Tell look-up and TLS from connecting by the error underneath."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "dns"
        if isinstance(cause, ssl.SSLError):
            return "tls"
        cause = cause.__cause__ or cause.__context__
    return "connect"


def _build(client: httpx2.Client | httpx2.AsyncClient, request: HTTPRequest, deadline: Deadline) -> httpx2.Request:
    left = deadline.require("connect", "no")
    timeout = None if left == inf else left
    headers = list(request.headers)
    return client.build_request(request.method, request.url, headers=headers, content=request.body, timeout=timeout)


class _Reply:
    """What both kinds of exchange know of their reply."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._host = response.request.url.host
        self._closed = False
        self._left = Caps().body
        self.status = response.status_code
        self.headers: Headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())

    def check(self) -> None:
        if self._response.has_redirect_location:
            raise ProtocolError(
                f"{self._host} redirects (status {self.status}); redirects are not followed, because a key belongs to"
                " one host: set base_url to the right address",
                status=self.status,
                phase="read",
            )

    def _require(self, deadline: Deadline) -> None:
        if self._closed:
            raise ClosedError("the reply was closed before its end")
        deadline.require("read", "yes")

    def _count(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise ProtocolError("the body is larger than the cap", phase="read")
        return piece


class _Exchange(_Reply):
    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response)
        self._pieces: Iterator[bytes] = response.iter_bytes()

    def read(self, deadline: Deadline, /) -> bytes:
        self._require(deadline)
        try:
            return self._count(next(self._pieces, b""))
        except _THEIRS as error:
            failure = _translate(error, self._host, deadline, headed=True)
        raise failure

    def close(self) -> None:
        self._closed = self._closed or not self._response.is_closed
        self._response.close()

    def __del__(self) -> None:
        self.close()


class HTTPX2Transport:
    """An ``httpx2.Client`` as a Transport: one of your own, or one that is made here."""

    def __init__(self, client: httpx2.Client | None = None) -> None:
        self._client = client or httpx2.Client()

    def open(self, request: HTTPRequest, deadline: Deadline, /) -> _Exchange:
        if self._client.is_closed:
            raise ClosedError("the transport is closed")
        origin, _ = split_url(request.url)
        try:
            built = _build(self._client, request, deadline)
            exchange = _Exchange(self._client.send(built, stream=True, follow_redirects=False))
        except _THEIRS as error:
            failure = _translate(error, origin.host, deadline)
        else:
            exchange.check()
            return exchange
        raise failure

    def close(self) -> None:
        self._client.close()


class _AsyncExchange(_Reply):
    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response)
        self._loop = asyncio.get_running_loop()
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    async def read(self, deadline: Deadline, /) -> bytes:
        self._require(deadline)
        try:
            return self._count(await anext(self._pieces, b""))
        except _THEIRS as error:
            failure = _translate(error, self._host, deadline, headed=True)
        raise failure

    def close(self) -> None:
        if not self._response.is_closed and not self._closed:
            self._closed = True
            _run_soon(self._loop, self._response.aclose)

    def __del__(self) -> None:
        self.close()


class AsyncHTTPX2Transport:
    """An ``httpx2.AsyncClient`` as an AsyncTransport, in the one loop in which the client is used."""

    def __init__(self, client: httpx2.AsyncClient | None = None) -> None:
        self._client = client or httpx2.AsyncClient()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self, request: HTTPRequest, deadline: Deadline, /) -> _AsyncExchange:
        if self._client.is_closed:
            raise ClosedError("the transport is closed")
        self._loop = asyncio.get_running_loop()
        origin, _ = split_url(request.url)
        try:
            built = _build(self._client, request, deadline)
            exchange = _AsyncExchange(await self._client.send(built, stream=True, follow_redirects=False))
        except _THEIRS as error:
            failure = _translate(error, origin.host, deadline)
        else:
            exchange.check()
            return exchange
        raise failure

    def close(self) -> None:
        if self._loop is not None:
            _run_soon(self._loop, self._client.aclose)


_closing: set[asyncio.Task[None]] = set()
"""Tasks that nobody awaits are kept until they are done."""


def _run_soon(loop: asyncio.AbstractEventLoop, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    def run() -> None:
        task = loop.create_task(close())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    with suppress(RuntimeError):  # the loop is closed, and its sockets with it
        loop.call_soon_threadsafe(run)
