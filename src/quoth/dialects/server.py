"""The server halves by name, for who serves: fakes, replay, a gateway. A client never imports this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from .. import _json
from ..errors import NotBuiltError
from ..types import ModelRequest, Response
from ..wire import ErrorInfo, WireReply, WireRequest

__all__ = ["SERVERS", "ServerDialect", "build_models", "load_server"]


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

    def build_stream_error(self, info: ErrorInfo) -> bytes:
        """Spell a "no" that comes after the head, as the last event of a stream."""
        ...


def _anthropic_messages() -> ServerDialect:
    from .anthropic_messages import server

    return server


def _bedrock_converse() -> ServerDialect:
    from .bedrock_converse import server

    return server


def _bedrock_invoke() -> ServerDialect:
    from .bedrock_invoke import server

    return server


def _cohere_chat() -> ServerDialect:
    from .cohere_chat import server

    return server


def _gemini() -> ServerDialect:
    from .gemini import server

    return server


def _ollama_chat() -> ServerDialect:
    from .ollama_chat import server

    return server


def _openai_chat() -> ServerDialect:
    from .openai_chat import server

    return server


def _openai_responses() -> ServerDialect:
    from .openai_responses import server

    return server


SERVERS: dict[str, Callable[[], ServerDialect]] = {
    "anthropic_messages": _anthropic_messages,
    "bedrock_converse": _bedrock_converse,
    "bedrock_invoke": _bedrock_invoke,
    "cohere_chat": _cohere_chat,
    "gemini": _gemini,
    "ollama_chat": _ollama_chat,
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


def build_models(ids: Sequence[str]) -> WireReply:
    """Say which models there are, so that whoever asks in any spelling (see ``_models``) finds what it reads."""
    entries = [
        {
            "id": id_,
            "object": "model",
            "type": "model",
            "created": 0,
            "created_at": "1970-01-01T00:00:00Z",
            "owned_by": "",
            "display_name": id_,
        }
        for id_ in ids
    ]
    ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    named = [{"name": id_, "model": id_} for id_ in ids]  # Google, Cohere, Ollama
    body = {"object": "list", "data": entries, "models": named, "has_more": False, **ends}
    return WireReply(status=200, headers=(("content-type", "application/json"),), body=_json.encode(body))
