"""How a request is carried: the seam.

A transport takes an HTTPRequest and a deadline and gives an Exchange: status, headers, then the body in
chunks. What goes wrong on the way is a TransportError (with ``phase`` and ``sent``); a URL, header, proxy or
certificate that cannot be used is a ConfigurationError before anything is sent; use after ``close`` is a
ClosedError. Beyond these only what the interpreter throws at it escapes (KeyboardInterrupt, CancelledError).
Everything that carries requests stands behind these four protocols;
nothing above them knows a socket.
"""

from __future__ import annotations

from typing import Protocol

from ..wire import Headers, HTTPRequest
from ._clock import Deadline

__all__ = ["AsyncExchange", "AsyncTransport", "Deadline", "Exchange", "Transport"]


class Exchange(Protocol):
    """One reply under way."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def read(self, deadline: Deadline, /) -> bytes:
        """The next piece of the body, as soon as there is one; empty at its proper end."""
        ...

    def close(self) -> None:
        """Let go: keep the connection if the reply was read to its end, else end it.

        Never blocks, may be called twice, from any thread, and by garbage collection.
        """
        ...


class Transport(Protocol):
    """Carries requests for blocking callers, many threads at once."""

    def open(self, request: HTTPRequest, deadline: Deadline, /) -> Exchange:
        """Send the request; return when the reply's head is there."""
        ...

    def close(self) -> None:
        """Let go of everything that is idle; calls under way may finish."""
        ...


class AsyncExchange(Protocol):
    """As Exchange; ``close`` does not wait here either."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    async def read(self, deadline: Deadline, /) -> bytes: ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """As Transport, for asyncio: bound to no loop, usable from several."""

    async def open(self, request: HTTPRequest, deadline: Deadline, /) -> AsyncExchange: ...

    def close(self) -> None: ...
