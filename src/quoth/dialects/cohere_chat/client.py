"""The client half of Cohere's Chat API v2: build requests, read answers, streams and errors."""

from __future__ import annotations

from ... import _json
from ...errors import ResponseParseError
from ...types import ModelRequest, Response
from ...wire import Quirks, WireReply, WireRequest
from .._errors import request_id
from .._kept import Wire
from .._posts import HEADERS, STREAM_HEADERS, ask_for_stream, require_tools
from .._streams import BODY_LIMIT, is_events as is_stream
from ._answers import read_answer
from ._errors import parse_error
from ._messages import write_messages
from ._parameters import write_parameters
from ._stream import CohereStreamParser
from ._usage import parse_usage
from ._words import NAME

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/v2/chat"


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. A field in ``extra`` stands in place of our own, but for ``stream``.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: reasoning that is no number of tokens, a demanded tool that is none of the tools,
            tools for a server that ignores them, or a stream asked for in ``extra``.
    """
    changes: list[str] = []
    body: Wire = {"model": request.model, "messages": write_messages(request.messages, changes)}
    body |= write_parameters(request, changes)
    body |= request.extra
    require_tools(body, quirks)
    streamed = ask_for_stream(body, request, quirks, changes)
    return WireRequest(
        path=PATH,
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(changes)),
    )


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here, and it does not name its model.

    Raises:
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    try:
        answer = _json.decode(reply.body)
    except ValueError:
        raise _no_answer(reply, "it is no JSON") from None
    message = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(message, dict):
        raise _no_answer(reply, _why(answer, reply))
    return read_answer(answer, message, reply.body)


def _why(answer: object, reply: WireReply) -> str:
    if not isinstance(answer, dict):
        return "its JSON is no object"
    if isinstance(answer.get("text"), str):
        return "it is one of API v1: send to /v2/chat"
    if isinstance(answer.get("message"), str):
        return f"it is an error: {parse_error(reply).message}"
    return "it has no message"


def _no_answer(reply: WireReply, why: str) -> ResponseParseError:
    return ResponseParseError(
        f"the reply is no answer of Cohere's chat: {why}",
        status=reply.status,
        request_id=request_id(reply.headers),
        body=reply.body[:BODY_LIMIT],
    )


def stream_parser(quirks: Quirks) -> CohereStreamParser:  # noqa: ARG001  # as above: message-end ends every stream
    """A fresh parser for one streamed answer."""
    return CohereStreamParser()
