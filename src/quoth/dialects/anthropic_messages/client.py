"""The client half of Anthropic Messages: build requests, read answers, streams and errors."""

from __future__ import annotations

from collections.abc import Mapping

from ... import _json
from ...errors import UnsupportedParameterError
from ...types import Message, ModelRequest, Response, Tool, ToolChoice
from ...wire import Quirks, WireReply, WireRequest
from .._errors import error_from
from .._kept import Wire, kept_fields, overlay
from .._posts import HEADERS, STREAM_HEADERS, ask_for_stream, require_tools
from .._replies import Replies
from .._streams import Framer, is_events as is_stream
from ._answers import ANSWER_FIELDS, answer_data, finish_reason, read_id
from ._blocks import read_answer_block, residue_of
from ._errors import parse_error
from ._messages import write_conversation
from ._parameters import add_config, check_budget, choose_max_tokens
from ._stream import MessagesStreamParser
from ._usage import parse_usage, served
from ._words import CHOICES, NAME

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/v1/messages"


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. A field in ``extra`` stands in place of our own, but for ``stream``.

    In ``tool_choice`` and ``output_config`` its fields stand beside ours.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: a seed, just any JSON object as the form of the answer, thoughts longer than the
            answer may be, tools for a server that ignores them, or a stream asked for in ``extra``.
    """
    changes: list[str] = []
    system, messages = write_conversation(request.messages, changes)
    body: Wire = {"model": request.model, "max_tokens": request.max_tokens, "messages": messages}
    if system is not None:
        body["system"] = system
    _add_parameters(body, request)
    add_config(body, request, changes)
    extra = request.extra
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(request.tool_choice, extra.get("tool_choice"))
        extra = {key: value for key, value in extra.items() if key != "tool_choice" or not _adds(value)}
    if "output_config" in body and isinstance(more := extra.get("output_config"), Mapping):
        extra = {**extra, "output_config": {**body["output_config"], **more}}
    body |= extra
    choose_max_tokens(body, changes)
    require_tools(body, quirks)
    streamed = ask_for_stream(body, request, quirks, changes)
    return WireRequest(
        path=PATH,
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(changes)),
    )


def _add_parameters(body: Wire, request: ModelRequest) -> None:
    check_budget(request)
    if request.seed is not None:
        raise UnsupportedParameterError("Anthropic Messages has no seed: leave it out; temperature=0 varies least")
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.tools:
        body["tools"] = [write_tool(tool) for tool in request.tools]


def write_tool(tool: Tool) -> Wire:
    """Spell one entry of ``tools``. The wire demands a schema: without parameters it is that of any object."""
    wire: Wire = {"name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    wire["input_schema"] = {"type": "object"} if tool.parameters is None else tool.parameters
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return overlay(wire, residue_of(tool))


def write_tool_choice(choice: ToolChoice, more: object = None) -> Wire:
    """Spell a tool choice; ``more`` are fields beside it (``disable_parallel_tool_use``) or one that replaces it."""
    wire: Wire = {"type": CHOICES[choice.mode]}
    if choice.mode == "tool":
        wire["name"] = choice.name
    return {**wire, **more} if isinstance(more, Mapping) and _adds(more) else wire


def _adds(choice: object) -> bool:
    """Whether a ``tool_choice`` in ``extra`` goes beside our own: it names no type of its own."""
    return isinstance(choice, Mapping) and "type" not in choice


# Answers.


_REPLIES = Replies("the reply is no message")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here.

    Raises:
        APIStatusError: the reply is the provider's "no" with a code or a type; its class, with status 200.
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _REPLIES.object_of(reply)
    content = _content(answer, reply)
    usage = answer.get("usage")
    ours, raw = finish_reason(answer.get("stop_reason"))
    return Response(
        message=Message(role="assistant", parts=tuple([read_answer_block(block) for block in content])),
        finish_reason=ours,
        finish_reason_raw=raw,
        model=_text(answer.get("model")),
        id=read_id(answer.get("id")),
        usage=parse_usage(usage),
        **served(usage),
        provider_data=answer_data(kept_fields(answer, ANSWER_FIELDS)),
        body=reply.body,
    )


def _content(answer: Wire, reply: WireReply) -> list[Wire]:
    content = answer.get("content")
    if content is None and isinstance(answer.get("stop_reason"), str):
        content = []
    if isinstance(content, str) and answer.get("role"):
        content = [{"type": "text", "text": content}]
    if isinstance(content, list) and (answer.get("type") or "message") == "message":
        return [block for block in content if isinstance(block, dict)]
    if answer.get("error"):
        info = parse_error(reply)
        mere_words = info.kind == "provider" and info.code is None and info.type is None
        raise _REPLIES.refused(reply, f"it is an error: {info.message}") if mere_words else error_from(info)
    raise _REPLIES.refused(reply, "it has no content")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# Streams.


def stream_parser(quirks: Quirks, framer: Framer | None = None) -> MessagesStreamParser:
    """A fresh parser for one streamed answer; ``framer`` where its events do not come as server-sent ones."""
    return MessagesStreamParser(quirks, framer)
