"""HOW IT IS SPELLED: one folder a wire, each a two-way codec of pure functions.

A dialect has no clock, no environment, no network and no state beside a stream's own: same input, same output.
``client.py`` builds what we send and reads what comes back; its mirror ``server.py`` reads requests and builds
answers, for the fake server, replay and a gateway, and is imported only there. The halves prove each other.

What every client half keeps:

* Read what is needed, tolerate the rest. An answer that was paid for is never lost to strictness.
* What our types do not model travels in ``provider_data[NAME]`` and is sent back as it came.
* Nothing that the caller asked for is dropped silently: it is sent, refused before sending, or named in ``changes``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..errors import NotBuiltError
from ..events import StreamEvent
from ..types import ModelRequest, Response
from ..wire import ErrorInfo, Quirks, WireReply, WireRequest

__all__ = ["CLIENTS", "ClientDialect", "StreamParser", "load_client"]


class StreamParser(Protocol):
    """Reads one streamed body: bytes in, events out. However the body is cut, the events are the same.

    An error that stands behind events of the same chunk waits: the events are given, and the next call of
    ``feed`` or ``end`` raises. So what came before an error is never lost with it.
    """

    @property
    def ended(self) -> bool:
        """Whether the answer is complete: ResponseEnd was given, once."""
        ...

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that this chunk completes.

        Raises:
            APIStatusError: the stream carries an error of the provider; its class, with status 200.
            ResponseParseError: an event is no JSON; ``body`` holds it.
            ProtocolError: an event is too large.
        """
        ...

    def end(self) -> list[StreamEvent]:
        """The events that the clean end of the body completes. Where ``ended`` is False after it, it was cut.

        Raises: as ``feed``, but an event that the end has cut in two is no error of its own.
        """
        ...


class ClientDialect(Protocol):
    """The client half of a dialect; a module can be one."""

    NAME: str

    def build_request(self, request: ModelRequest, quirks: Quirks) -> WireRequest:
        """Spell the request.

        Raises:
            UnsupportedContentError: the wire cannot carry a part.
            UnsupportedParameterError: the wire or this server cannot do what was asked.
        """
        ...

    def parse_response(self, reply: WireReply, quirks: Quirks) -> Response:
        """Read a whole answer.

        Raises:
            ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
        """
        ...

    def stream_parser(self, quirks: Quirks) -> StreamParser:
        """A fresh parser for one streamed answer."""
        ...

    def is_stream(self, begun: bytes, label: str) -> bool | None:
        """Whether a body that begins so is a stream; None as long as that cannot be told.

        What a body is, its first bytes say; ``label``, its content type, where they do not. Of events of a server
        (``data: ...``), ``_streams.is_events`` is this.
        """
        ...

    def parse_error(self, reply: WireReply) -> ErrorInfo:
        """Read a provider's "no". Never raises, whatever the bytes."""
        ...


def _anthropic_messages() -> ClientDialect:
    from .anthropic_messages import client

    return client


def _bedrock_converse() -> ClientDialect:
    from .bedrock_converse import client

    return client


def _bedrock_invoke() -> ClientDialect:
    from .bedrock_invoke import client

    return client


def _cohere_chat() -> ClientDialect:
    from .cohere_chat import client

    return client


def _gemini() -> ClientDialect:
    from .gemini import client

    return client


def _ollama_chat() -> ClientDialect:
    from .ollama_chat import client

    return client


def _openai_chat() -> ClientDialect:
    from .openai_chat import client

    return client


def _openai_responses() -> ClientDialect:
    from .openai_responses import client

    return client


CLIENTS: dict[str, Callable[[], ClientDialect]] = {
    "anthropic_messages": _anthropic_messages,
    "bedrock_converse": _bedrock_converse,
    "bedrock_invoke": _bedrock_invoke,
    "cohere_chat": _cohere_chat,
    "gemini": _gemini,
    "ollama_chat": _ollama_chat,
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
}
"""The client halves by name. A row imports its module when it is first asked for."""


def load_client(name: str, provider: str = "") -> ClientDialect:
    """Load the client half of the dialect ``name``; ``provider`` is whom the error names.

    Raises:
        NotBuiltError: there is no such dialect.
    """
    loader = CLIENTS.get(name)
    if loader is None:
        whose = f", which {provider} speaks" if provider else ""
        raise NotBuiltError(
            f"this version of quoth does not speak {name!r}{whose}; it speaks {', '.join(sorted(CLIENTS))}"
        )
    return loader()
