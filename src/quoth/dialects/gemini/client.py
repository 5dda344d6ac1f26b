"""The client half of Gemini's generateContent: build requests, read answers, streams and errors."""

from __future__ import annotations

from ... import _json
from ...errors import ResponseParseError
from ...events import fold
from ...types import ModelRequest, Response
from ...wire import Quirks, WireReply, WireRequest
from .._kept import Wire
from .._paths import quoted
from .._posts import HEADERS, STREAM_HEADERS, require_tools
from .._replies import Replies
from .._streams import is_events
from ._answers import blocked, is_blocked, listed, read_answer
from ._contents import write_contents
from ._errors import parse_error
from ._parameters import write_parameters
from ._spelling import BODY, merged
from ._stream import GeminiStreamParser
from ._usage import parse_usage
from ._words import NAME

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

VERSION = "/v1beta"
"""The version that has all of the wire; what is finished stands in ``/v1`` too."""

PATH = VERSION + "/models/{model}:generateContent"
"""Where a whole answer is asked for."""

COLLECTIONS = ("models/", "tunedModels/", "endpoints/")
"""How a model's whole name begins; a short one is among ``models``."""

WHOLE, STREAMED = ":generateContent", ":streamGenerateContent"
SSE = (("alt", "sse"),)
"""Without it a stream is one JSON array."""


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. ``extra`` is merged into the body: its fields stand in place of our own.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: tools for a server that ignores them.
    """
    changes: list[str] = []
    system, contents = write_contents(request.messages, changes)
    body: Wire = {"contents": contents}
    if system is not None:
        body["systemInstruction"] = system
    body = merged({**body, **write_parameters(request, changes)}, request.extra, BODY, nulls=False)
    require_tools(body, quirks)
    streamed = request.stream or quirks.stream_only
    if streamed and not request.stream:
        changes.append("sent as a stream: the server answers in streams only")
    return WireRequest(
        path=f"{VERSION}/{_resource(request.model)}{STREAMED if streamed else WHOLE}",
        query=SSE if streamed else (),
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(changes)),
    )


def _resource(model: str) -> str:
    """The name of a model in a path, whatever it holds."""
    name = quoted(model, r"[^\w.~@/-]|\.\.")
    return name if name.startswith(COLLECTIONS) else f"models/{name}"


# Answers.


_REPLIES = Replies("the reply is no answer of generateContent")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer, also one that came as the list of a stream's chunks. Its cost is not known here.

    Raises:
        ContentBlockedError: the prompt was refused, and there is no answer; ``partial`` holds the usage.
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _REPLIES.decoded(reply)
    if isinstance(answer, list) and answer:
        return _read_chunks(reply)
    if not isinstance(answer, dict):
        raise _REPLIES.refused(reply, "its JSON is no object")
    if not listed(answer.get("candidates")):
        _require_answer(answer, reply)
    return read_answer(answer, reply.body)


def _require_answer(answer: Wire, reply: WireReply) -> None:
    """Raise where a body without candidates is no answer: one that was counted is, though it says nothing."""
    if is_blocked(answer):
        raise blocked(answer, read_answer(answer, reply.body))
    if answer.get("error"):
        raise _REPLIES.refused(reply, f"it is an error: {parse_error(reply).message}")
    if "candidates" not in answer and "usageMetadata" not in answer:
        raise _REPLIES.refused(reply, "it has no candidates")


def _read_chunks(reply: WireReply) -> Response:
    from msgspec.structs import replace

    parser = GeminiStreamParser()
    try:
        events = [*parser.feed(reply.body), *parser.end()]
    except ResponseParseError as error:
        raise _REPLIES.refused(reply, error.message) from None
    if not parser.ended:
        raise _REPLIES.refused(reply, "it is a list of chunks, and none of them says why the answer stopped")
    return replace(fold(events), body=reply.body)


# Streams.


def is_stream(begun: bytes, label: str) -> bool | None:
    """Whether a body that begins so is a stream: events of a server, or an array of objects; a whole answer is one."""
    if not begun.startswith(b"["):
        return is_events(begun, label)
    inner = begun[1:].lstrip()
    return inner.startswith(b"{") if inner else None


def stream_parser(quirks: Quirks) -> GeminiStreamParser:  # noqa: ARG001  # as above: a finish reason ends every stream
    """A fresh parser for one streamed answer, of server-sent events or of a JSON array."""
    return GeminiStreamParser()
