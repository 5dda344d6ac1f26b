"""The client half of Cohere's Chat API v2: build requests, read answers, streams and errors."""

from __future__ import annotations

from ... import _json
from ...types import ModelRequest, Response
from ...wire import Quirks, WireReply, WireRequest
from .._kept import Wire
from .._posts import HEADERS, STREAM_HEADERS, ask_for_stream, require_tools
from .._replies import Replies
from .._streams import is_events as is_stream
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


_REPLIES = Replies("the reply is no answer of Cohere's chat")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here, and it does not name its model.

    Raises:
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _REPLIES.object_of(reply)
    message = answer.get("message")
    if not isinstance(message, dict):
        raise _REPLIES.refused(reply, _why(answer, reply))
    return read_answer(answer, message, reply.body)


def _why(answer: Wire, reply: WireReply) -> str:
    if isinstance(answer.get("text"), str):
        return "it is one of API v1: send to /v2/chat"
    if isinstance(answer.get("message"), str):
        return f"it is an error: {parse_error(reply).message}"
    return "it has no message"


def stream_parser(quirks: Quirks) -> CohereStreamParser:  # noqa: ARG001  # as above: message-end ends every stream
    """A fresh parser for one streamed answer."""
    return CohereStreamParser()
