"""ScriptedTransport: answers from a script, in memory, behind the real seam.

::

    script = ScriptedTransport(Reply(body=b'{"choices": ...}'), Reply(status=429))
    models = ModelsAPI(Settings(transport=script, async_transport=script.aio, retries=0))

Each request takes the next reply; a function given instead is asked for each. ``requests`` holds what was sent.
Without ``retries=0`` a call tries again what passes, as it does in earnest, and takes a reply for each try.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from ..errors import APIConnectionError
from ..transport import Deadline
from ..wire import Headers, HTTPRequest

__all__ = ["Reply", "ScriptedTransport"]


class Reply(Struct, frozen=True, kw_only=True):
    """What one request is answered with.

    ``body`` comes as one chunk, or as the given tuple of chunks; an exception among them is raised when it is
    their turn, so a reply can be cut short.
    """

    status: int = 200
    headers: Headers = (("content-type", "application/json"),)
    body: bytes | tuple[bytes | BaseException, ...] = b""

    def __post_init__(self) -> None:
        body: object = self.body  # a Struct takes any value
        if isinstance(body, str):
            raise TypeError("a Reply's body is bytes, or a tuple of chunks, not str")


Answer: TypeAlias = Reply | BaseException
"""A reply, or what the transport raises in place of one."""


class _Exchange:
    """One scripted reply being read."""

    __slots__ = ("_chunks", "closed", "headers", "status")

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.headers = reply.headers
        chunks = (reply.body,) if isinstance(reply.body, bytes) else reply.body
        self._chunks = [chunk for chunk in chunks if chunk != b""]
        self.closed = False

    def take(self, deadline: Deadline) -> bytes:
        deadline.require("read", "yes")
        if self.closed:
            raise APIConnectionError("the scripted exchange was closed", phase="read", sent="yes")
        if not self._chunks:
            return b""
        chunk = self._chunks.pop(0)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed = True


class _BlockingExchange(_Exchange):
    def read(self, deadline: Deadline) -> bytes:
        return self.take(deadline)


class _AsyncExchange(_Exchange):
    async def read(self, deadline: Deadline) -> bytes:
        return self.take(deadline)


class ScriptedTransport:
    """A transport for blocking callers; ``aio`` is its asyncio twin on the same script."""

    def __init__(self, *answers: Answer | Callable[[HTTPRequest], Answer]) -> None:
        self.requests: list[HTTPRequest] = []
        self.exchanges: list[_Exchange] = []
        self.aio = _AsyncScripted(self)
        self._answers = list(answers)
        self._lock = allocate_lock()

    def open(self, request: HTTPRequest, deadline: Deadline) -> _BlockingExchange:
        exchange = _BlockingExchange(self.answer(request, deadline))
        self.exchanges.append(exchange)
        return exchange

    def close(self) -> None:
        """Nothing is held."""

    def answer(self, request: HTTPRequest, deadline: Deadline) -> Reply:
        """The next reply of the script; raise what stands there instead."""
        deadline.require("first_byte", "maybe")
        with self._lock:
            self.requests.append(request)
            answer = self._next()
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _next(self) -> Answer | Callable[[HTTPRequest], Answer]:
        if not self._answers:
            raise APIConnectionError(
                f"the script has no answer for request {len(self.requests)}",
                phase="connect",
                sent="no",
                retryable=False,
            )
        return self._answers[0] if callable(self._answers[0]) else self._answers.pop(0)


class _AsyncScripted:
    """The asyncio side of one script."""

    def __init__(self, script: ScriptedTransport) -> None:
        self._script = script

    async def open(self, request: HTTPRequest, deadline: Deadline) -> _AsyncExchange:
        exchange = _AsyncExchange(self._script.answer(request, deadline))
        self._script.exchanges.append(exchange)
        return exchange

    def close(self) -> None:
        """Nothing is held."""
