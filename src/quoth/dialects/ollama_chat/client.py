"""The client half of Ollama's chat: build requests, read answers, streams and errors."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ... import _json
from ...errors import ResponseParseError
from ...events import fold
from ...types import ModelRequest, Response
from ...wire import Quirks, WireReply, WireRequest
from .._kept import Wire
from .._posts import HEADERS, ask_for_stream, require_tools
from .._replies import Replies
from ._answers import read_answer
from ._errors import parse_error
from ._messages import write_messages
from ._parameters import with_extra, write_parameters
from ._stream import OllamaStreamParser
from ._usage import parse_usage
from ._words import NAME

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/api/chat"

NDJSON = "application/x-ndjson"

STREAM_HEADERS = (("content-type", "application/json"), ("accept", NDJSON))

LONGEST_LINE = 64 * 1024
"""Bytes of a body without a line end from which on it is no stream: a line of one says a word or two."""


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. ``extra`` stands in place of our fields, but for ``stream``; its ``options`` beside ours.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: a tool is demanded, a number of tokens to think, tools for a server that ignores
            them, or a stream asked for in ``extra``.
    """
    changes: list[str] = []
    body: Wire = {"model": request.model, "messages": write_messages(request.messages, changes)}
    body = with_extra(body | write_parameters(request, changes), request.extra)
    require_tools(body, quirks)
    streamed = ask_for_stream(body, request, quirks, changes)
    if not streamed:
        body["stream"] = False  # it is true where nobody says so
    return WireRequest(
        path=PATH,
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(changes)),
    )


# Answers.


_REPLIES = Replies("the reply is no answer of Ollama's chat")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer, also one that came as the lines of a stream. Its cost is not known here.

    Raises:
        APIStatusError: a line of a stream carries an error of the server; its class, with status 200.
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _decoded(reply.body)
    if answer is None or (isinstance(answer, dict) and answer.get("done") is False):
        return _read_lines(reply)
    if not isinstance(answer, dict):
        raise _REPLIES.refused(reply, "its JSON is no object")
    message = answer.get("message")
    if isinstance(message, dict):
        return read_answer(answer, message, reply.body)
    error = answer.get("error")
    raise _REPLIES.refused(reply, f"it is an error: {parse_error(reply).message}" if error else "it has no message")


def _decoded(body: bytes) -> Any:
    try:
        return _json.decode(body)
    except ValueError:
        return None


def _read_lines(reply: WireReply) -> Response:
    parser = OllamaStreamParser()
    try:
        events = parser.feed(reply.body)
        events += parser.end()
    except ResponseParseError:
        raise _REPLIES.refused(reply, "it is no JSON") from None
    if not parser.ended:
        raise _REPLIES.refused(reply, "it stops before its last line" if events else "it is no JSON")
    return replace(fold(events), body=reply.body)


# Streams.


def is_stream(begun: bytes, label: str) -> bool | None:
    """Whether a body is a stream: by its label, or by a first line that is an object and not yet all of the answer.

    An object that is laid out over several lines is a whole answer, whatever its label.
    """
    if label.startswith(NDJSON):
        return begun[1:2] not in (b"\r", b"\n") if len(begun) > 1 else None
    line, found, _ = begun.partition(b"\n")
    if not found:
        return False if len(begun) > LONGEST_LINE else None
    first = _decoded(line)
    return isinstance(first, dict) and (first.get("done") is False or bool(first.get("error")))


def stream_parser(quirks: Quirks) -> OllamaStreamParser:  # noqa: ARG001  # as above: "done" ends every stream
    """A fresh parser for one streamed answer."""
    return OllamaStreamParser()
