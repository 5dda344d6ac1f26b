"""One transport in front of several, chosen by the scheme of the URL; each is made at its first use."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from ..wire import HTTPRequest
from . import AsyncExchange, AsyncTransport, Deadline, Exchange, Transport

__all__ = ["AsyncRouter", "Router"]


class _Closable(Protocol):
    def close(self) -> None: ...


Carrier = TypeVar("Carrier", bound=_Closable)


class _Carriers(Generic[Carrier]):
    """The transports by scheme. ``makers`` may raise where a scheme cannot be carried."""

    def __init__(self, makers: Mapping[str, Callable[[], Carrier]]) -> None:
        self._makers = makers
        self._made: dict[str, Carrier] = {}
        self._lock = allocate_lock()

    def carrier(self, request: HTTPRequest) -> Carrier:
        scheme = request.url.partition("://")[0]
        made = self._made.get(scheme)
        return made if made is not None else self._make(scheme)

    def _make(self, scheme: str) -> Carrier:
        made = self._makers[scheme]()
        with self._lock:
            kept = self._made.setdefault(scheme, made)
        if kept is not made:  # another thread was faster
            made.close()
        return kept

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, {}
        for carrier in made.values():
            carrier.close()


class Router(_Carriers[Transport]):
    """For blocking callers."""

    def open(self, request: HTTPRequest, deadline: Deadline) -> Exchange:
        return self.carrier(request).open(request, deadline)


class AsyncRouter(_Carriers[AsyncTransport]):
    """For asyncio."""

    async def open(self, request: HTTPRequest, deadline: Deadline) -> AsyncExchange:
        return await self.carrier(request).open(request, deadline)
