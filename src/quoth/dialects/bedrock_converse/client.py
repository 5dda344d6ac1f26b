"""The client half of Converse: build requests, read answers, streams and errors."""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import UnsupportedParameterError
from ...types import Message, ModelRequest, Response
from ...wire import Quirks, WireReply, WireRequest
from .._aws import CONTENT_TYPE, is_stream, parse_error
from .._errors import error_from
from .._kept import Wire, kept_fields, overlay
from .._paths import quoted
from .._posts import HEADERS, require_tools
from .._replies import Replies
from ._answers import answer_data, finish_reason, kept_of_answer, kept_of_message, served
from ._blocks import read_answer_block
from ._files import Spelling
from ._parameters import write_parameters
from ._stream import ConverseStreamParser
from ._turns import write_conversation
from ._usage import parse_usage
from ._words import NAME, RESIDUES

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/model/{model}/converse"
"""Where a whole answer is asked for."""

WHOLE, STREAMED = "converse", "converse-stream"

STREAM_HEADERS = (("content-type", "application/json"), ("accept", CONTENT_TYPE))


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. ``extra`` is merged into the body: its fields stand in place of our own.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: a seed, just any JSON object as the form of the answer, reasoning of a model that is
            not known to take it, tools for a server that ignores them, or a stream asked for in ``extra``.
    """
    spelling = Spelling()
    system, messages = write_conversation(request.messages, spelling)
    body: Wire = {"messages": messages}
    if system is not None:
        body["system"] = system
    if "stream" in request.extra:
        raise UnsupportedParameterError("extra holds 'stream', which no body of this wire has: use models.stream(...)")
    body = overlay({**body, **write_parameters(request, spelling.changes)}, request.extra)
    require_tools({"tools": request.tools}, quirks)
    streamed = request.stream or quirks.stream_only
    if streamed and not request.stream:
        spelling.changes.append("sent as a stream: the server answers in streams only")
    return WireRequest(
        path=f"/model/{quoted(request.model)}/{STREAMED if streamed else WHOLE}",
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(spelling.changes)),
    )


# Answers.


_REPLIES = Replies("the reply is no answer of Converse")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here, nor is its model, which no answer of this wire names.

    Raises:
        APIStatusError: the reply is the provider's "no", though its status is a success.
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _REPLIES.object_of(reply)
    output, message, content = _content(answer, reply)
    ours, raw = finish_reason(answer.get("stopReason"))
    kept = kept_of_answer(answer)
    if beside := kept_fields(output, frozenset({"message"})):
        kept["output"] = beside
    return Response(
        message=Message(
            role="assistant",
            parts=tuple([read_answer_block(block) for block in content if isinstance(block, dict)]),
            provider_data=RESIDUES.named(kept_of_message(message)),
        ),
        finish_reason=ours,
        finish_reason_raw=raw,
        model="",
        usage=parse_usage(answer.get("usage")),
        **served(answer),
        provider_data=answer_data(kept),
        body=reply.body,
    )


def _content(answer: Wire, reply: WireReply) -> tuple[Wire, Wire, list[Any]]:
    """The output, its message and what that says; an answer that says why it stopped may say nothing else."""
    output = answer.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if content is None and isinstance(answer.get("stopReason"), str):
        content = []
    if isinstance(content, list):
        return output if isinstance(output, dict) else {}, message if isinstance(message, dict) else {}, content
    info = parse_error(reply)
    if info.code or info.type:
        raise error_from(info)
    raise _REPLIES.refused(reply, "it has no output")


# Streams.


def stream_parser(quirks: Quirks) -> ConverseStreamParser:
    """A fresh parser for one streamed answer."""
    return ConverseStreamParser(quirks)
