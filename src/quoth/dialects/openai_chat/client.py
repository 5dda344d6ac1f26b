"""The client half of Chat Completions: build requests, read answers, streams and errors."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ... import _json
from ...errors import APIStatusError, ResponseParseError
from ...types import ModelRequest, Response, Tool, ToolChoice
from ...wire import Quirks, WireReply, WireRequest
from .._errors import error_from
from .._kept import Wire, kept_fields, overlay
from .._openai_errors import parse_error
from .._posts import HEADERS, STREAM_HEADERS, ask_for_stream, require_tools
from .._replies import Replies
from .._streams import is_events as is_stream
from ._answers import ANSWER_FIELDS, read_choice, read_created, read_id, response_data, served, usage_of
from ._messages import write_messages
from ._parameters import write_output, write_reasoning
from ._parts import residue_of
from ._stream import ChatStreamParser
from ._usage import parse_usage
from ._words import NAME

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/chat/completions"


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. A field in ``extra`` stands in place of our own, but for ``stream``.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: tools for a server that ignores them, reasoning that its dial cannot say, or a
            stream asked for in ``extra``.
    """
    changes: list[str] = []
    messages = write_messages(request.messages, changes, spare_reasoning=quirks.reasoning_field)
    body: Wire = {"model": request.model, "messages": messages}
    _add_limits(body, request, quirks, changes)
    if request.tools:
        body["tools"] = [write_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(request.tool_choice)
    if request.output is not None:
        body["response_format"] = write_output(request.output, changes)
    if request.reasoning is not None:
        body |= write_reasoning(request.reasoning, quirks.reasoning_dial, changes)
    body |= request.extra
    require_tools(body, quirks)
    streamed = ask_for_stream(body, request, quirks, changes)
    if streamed and quirks.stream_usage_option:
        body.setdefault("stream_options", {"include_usage": True})
    return WireRequest(
        path=PATH,
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(changes)),
    )


def _add_limits(body: Wire, request: ModelRequest, quirks: Quirks, changes: list[str]) -> None:
    if request.max_tokens is not None:
        body[quirks.max_tokens_field] = request.max_tokens
        if quirks.max_tokens_field != "max_tokens":
            changes.append(f"max_tokens sent as {quirks.max_tokens_field}")
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed


def write_tool(tool: Tool) -> Wire:
    """Spell one entry of ``tools``."""
    function: Wire = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return overlay({"type": "function", "function": function}, residue_of(tool))


def write_tool_choice(choice: ToolChoice) -> Any:
    """Spell a tool choice."""
    return choice.mode if choice.mode != "tool" else {"type": "function", "function": {"name": choice.name}}


# Answers.


_REPLIES = Replies("the reply is no chat completion")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here.

    Raises:
        APIStatusError: the reply is the provider's "no" with a code or a type; its class, with status 200.
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _REPLIES.object_of(reply)
    choices = _choices(answer, reply)
    first, *others = [read_choice(choice) for choice in choices]
    usage = usage_of(answer, choices[0])
    return Response(
        message=first.message,
        finish_reason=first.finish_reason,
        finish_reason_raw=first.finish_reason_raw,
        model=_text(answer.get("model")),
        id=read_id(answer.get("id")),
        created=read_created(answer.get("created")),
        usage=parse_usage(usage),
        **served(answer.get("service_tier"), usage),
        candidates=tuple(others),
        provider_data=response_data(kept_fields(answer, ANSWER_FIELDS), residue_of(first)),
        body=reply.body,
    )


def _choices(answer: Wire, reply: WireReply) -> list[Wire]:
    """The choices, of which the first holds the answer."""
    choices = answer.get("choices")
    choices = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    if choices:
        message, finish = choices[0].get("message"), choices[0].get("finish_reason")
        if choices[0].get("error") and not message:
            raise _failed(choices[0], reply)
        # Azure leaves the message out where its filter took all of it.
        if isinstance(message, dict) or (message is None and isinstance(finish, str)):
            return choices
        raise _REPLIES.refused(reply, "its first choice has no message")
    if answer.get("error"):
        raise _failed(answer, reply)
    raise _REPLIES.refused(reply, "it has no choices")


def _failed(holder: Wire, reply: WireReply) -> APIStatusError | ResponseParseError:
    """The provider's "no" inside of a 200: of the answer, or of its first choice; none, where it is mere words."""
    info = parse_error(replace(reply, body=_json.encode(holder)))
    if info.kind == "provider" and info.code is None and info.type is None:
        return _REPLIES.refused(reply, f"it is an error: {info.message}")
    return error_from(info)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# Streams.


def stream_parser(quirks: Quirks) -> ChatStreamParser:
    """A fresh parser for one streamed answer."""
    return ChatStreamParser(quirks)
