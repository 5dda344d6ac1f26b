"""Which wire a path speaks, and how an answer is spelled on it: by the server halves, never here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from ...dialects import load_client
from ...dialects.server import ServerDialect, load_server
from ...types import Document, Message, ModelRequest, Part, Response, Text, ToolCall, ToolResult, Usage
from ...wire import ErrorInfo, Headers, WireReply
from ._script import Fault

__all__ = [
    "PATHS",
    "Reply",
    "bare_reply",
    "error_of",
    "id_header",
    "labelled",
    "server_of",
    "spell",
    "tokens",
    "wire_of",
]

PATHS: Mapping[str, str] = {
    "/chat/completions": "openai_chat",
    "/v1/chat": "openai_chat",  # Writer's
    "/messages": "anthropic_messages",
    "/responses": "openai_responses",
    "/converse": "bedrock_converse",
    "/converse-stream": "bedrock_converse",
    ":generateContent": "gemini",
    "/invoke": "bedrock_invoke",
    "/invoke-with-response-stream": "bedrock_invoke",
    ":streamGenerateContent": "gemini",
    "/v2/chat": "cohere_chat",
    "/api/chat": "ollama_chat",
}
"""How a path ends and the dialect that is spoken there. What stands before is any provider's base URL."""

USAGE_BY_REQUEST = frozenset({"openai_chat"})
"""Wires whose streams say what they used only to who asks with ``stream_options.include_usage``."""

CHARACTERS_A_TOKEN = 4
"""What a token is here, where no tokenizer is: enough to tell long from short, and the same every time."""

_STREAM_HEADERS: Headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))
_AWS_STREAM_HEADERS: Headers = (("content-type", "application/vnd.amazon.eventstream"),)

STREAM_HEADERS: Mapping[str, Headers] = {
    "bedrock_converse": _AWS_STREAM_HEADERS,
    "bedrock_invoke": _AWS_STREAM_HEADERS,
    "ollama_chat": (("content-type", "application/x-ndjson"),),
}
"""The headers of a stream, where its events are not those of a server."""


class Reply(Struct, frozen=True, kw_only=True, gc=False):
    """A reply in pieces: the events of a stream, or one whole body."""

    status: int
    headers: Headers
    pieces: list[bytes]
    streamed: bool = False
    error: bytes = b""
    """What the wire says of an error that comes after the head."""

    @classmethod
    def whole(cls, reply: WireReply) -> Reply:
        return cls(status=reply.status, headers=reply.headers, pieces=[reply.body])


def wire_of(path: str) -> str | None:
    """The dialect that is spoken at this path, or None."""
    path = path.rstrip("/")
    return next((name for end, name in PATHS.items() if path.endswith(end)), None)


@cache
def server_of(wire: str) -> ServerDialect:
    """The server half of a dialect, looked up once."""
    return load_server(wire)


def spell(wire: str, request: ModelRequest, fault: Fault, number: int) -> Reply:
    """The reply to a request, complete: what breaks it off comes later."""
    return labelled(_spelled(wire, request, fault, number), fault)


def _spelled(wire: str, request: ModelRequest, fault: Fault, number: int) -> Reply:
    server = server_of(wire)
    bare = bare_reply(fault)
    if bare is not None:
        return bare
    if fault.refuses:
        return Reply.whole(server.build_error(error_of(wire, fault)))
    response = ready(request, fault, number)
    named: Headers = ((id_header(wire), f"req_{number}"),)
    if not request.stream:
        reply = server.build_response(response)
        error = server.build_error(error_of(wire, fault)).body if fault.cut == "error" else b""
        return Reply(status=reply.status, headers=reply.headers + named, pieces=[reply.body], error=error)
    if wire in USAGE_BY_REQUEST and not _asks_for_usage(request):
        response = replace(response, usage=Usage(source="missing"))
    return Reply(
        status=200,
        headers=STREAM_HEADERS.get(wire, _STREAM_HEADERS) + named,
        pieces=list(server.build_events(response, piece=fault.piece)),
        streamed=True,
        error=server.build_stream_error(error_of(wire, fault)) if fault.cut == "error" else b"",
    )


def bare_reply(fault: Fault) -> Reply | None:
    """The reply that a fault spells out itself, body or status; None where the wire does."""
    if fault.body is None and (fault.status in (None, 200) or fault.refuses or fault.cut == "error"):
        return None
    kind = "text/html" if (fault.body or b"").lstrip()[:1] == b"<" else "application/json"
    return Reply(status=fault.status or 200, headers=(("content-type", kind),), pieces=[fault.body or b""])


def labelled(reply: Reply, fault: Fault) -> Reply:
    """The reply with the headers that the fault names, each in place of its own of that name."""
    own = tuple([(name.lower(), value) for name, value in fault.headers])
    if fault.content_type is not None:
        own += (("content-type", fault.content_type),)
    if not own:
        return reply
    named = {name for name, _ in own}
    return replace(reply, headers=(*[line for line in reply.headers if line[0] not in named], *own))


def _asks_for_usage(request: ModelRequest) -> bool:
    options = request.extra.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


# Errors.


def error_of(wire: str, fault: Fault) -> ErrorInfo:
    """The error that a fault asks for; its kind, where none is named, is what this wire reads in the status."""
    status = fault.status if fault.status is not None and fault.status >= 400 else None
    kind = fault.kind or (load_client(wire).parse_error(WireReply(status=status)).kind if status else "server")
    said = f"HTTP {status}" if status else kind
    return ErrorInfo(
        kind=kind,
        message=fault.message or f"FakeProvider was told to answer with {said}",
        status=status,
        code=fault.code,
        type=fault.type,
        request_id=fault.request_id,
        retry_after=fault.retry_after,
    )


@cache
def id_header(wire: str) -> str:
    """The header in which this wire names a request."""
    headers = server_of(wire).build_error(ErrorInfo(kind="server", message="", request_id="?")).headers
    return next((name for name, value in headers if value == "?"), "x-request-id")


# Answers.


def ready(request: ModelRequest, fault: Fault, number: int) -> Response:
    """The answer to a request, with what it leaves open filled in: its id, the model, what it used."""
    answer = fault.answer
    if answer is None:
        answer = _echo(request)
    if isinstance(answer, str):
        answer = Response(message=Message.assistant(answer), finish_reason="stop", model=request.model)
    fields: dict[str, object] = {}
    if answer.id is None:
        fields["id"] = f"fake-{number}"
    if answer.created is None:
        fields["created"] = number
    if not answer.model:
        fields["model"] = request.model
    if not fault.usage:
        fields["usage"] = Usage(source="missing")
    elif answer.usage.source == "missing":
        fields["usage"] = Usage(input=tokens(_read(request)), output=tokens(_texts(answer.parts)))
    return replace(answer, **fields) if fields else answer


def _echo(request: ModelRequest) -> str:
    """What the user said last."""
    return next((message.text for message in reversed(request.messages) if message.role == "user"), "")


def tokens(texts: Iterable[str]) -> int:
    """How many tokens these texts are taken for."""
    return -(-sum(map(len, texts)) // CHARACTERS_A_TOKEN)


def _read(request: ModelRequest) -> Iterator[str]:
    for message in request.messages:
        yield from _texts(message.parts)


def _texts(parts: Iterable[Part | Text | Document]) -> Iterator[str]:
    for part in parts:
        match part:
            case ToolCall():
                yield part.name
                yield part.arguments
            case ToolResult():
                yield from _texts(part.parts)
            case _:
                yield getattr(part, "text", "")
