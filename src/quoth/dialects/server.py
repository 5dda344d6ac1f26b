"""The server halves by name, for who serves: fakes, replay, a gateway. A client never imports this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from ..errors import NotBuiltError
from ..types import ModelRequest, Response
from ..wire import ErrorInfo, WireReply, WireRequest

__all__ = ["SERVERS", "ServerDialect", "load_server"]


class ServerDialect(Protocol):
    """The server half of a dialect; a module can be one. What it builds, the client half reads as the same."""

    def parse_request(self, request: WireRequest) -> ModelRequest:
        """Read a request; what has no name in a ModelRequest stands in its ``extra``.

        Raises:
            InputError: the body is none of this wire.
        """
        ...

    def build_response(self, response: Response) -> WireReply:
        """Spell a whole answer."""
        ...

    def build_events(self, response: Response, *, piece: int | None = None) -> Iterator[bytes]:
        """Spell an answer as a stream, event by event; texts come in pieces of ``piece`` characters."""
        ...

    def build_error(self, info: ErrorInfo) -> WireReply:
        """Spell a "no", so that ``parse_error`` finds its kind again."""
        ...


def _anthropic_messages() -> ServerDialect:
    from .anthropic_messages import server

    return server


def _openai_chat() -> ServerDialect:
    from .openai_chat import server

    return server


def _openai_responses() -> ServerDialect:
    from .openai_responses import server

    return server


SERVERS: dict[str, Callable[[], ServerDialect]] = {
    "anthropic_messages": _anthropic_messages,
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
}
"""By the names of the client halves."""


def load_server(name: str) -> ServerDialect:
    """Load the server half of the dialect ``name``.

    Raises:
        NotBuiltError: there is no such dialect.
    """
    loader = SERVERS.get(name)
    if loader is None:
        raise NotBuiltError(f"this version of quoth does not serve {name!r}; it serves {', '.join(sorted(SERVERS))}")
    return loader()
