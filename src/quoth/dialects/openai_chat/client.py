"""The client half of Chat Completions: build requests, read answers, streams and errors."""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import ResponseParseError
from ...types import Message, ModelRequest, Response, Tool, ToolChoice
from ...wire import Quirks, WireReply, WireRequest
from .._counts import whole_number
from .._errors import request_id
from .._kept import Wire, kept_fields, overlay
from .._openai_errors import parse_error
from .._posts import HEADERS, STREAM_HEADERS, ask_for_stream, require_tools
from .._streams import BODY_LIMIT
from ._answers import (
    ANSWER_FIELDS,
    CHOICE_FIELDS,
    MESSAGE_FIELDS,
    finish_reason,
    named,
    response_data,
    split_message,
)
from ._messages import read_answer_call, read_parts, reasoning_field, residue_of, write_messages
from ._stream import ChatStreamParser
from ._usage import parse_usage
from ._words import NAME

__all__ = ["NAME", "build_request", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/chat/completions"


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. A field in ``extra`` stands in place of our own, but for ``stream``.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: tools for a server that ignores them, or a stream asked for in ``extra``.
    """
    changes: list[str] = []
    body: Wire = {"model": request.model, "messages": write_messages(request.messages, changes)}
    _add_limits(body, request, quirks, changes)
    if request.tools:
        body["tools"] = [write_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(request.tool_choice)
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


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here.

    Raises:
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    try:
        answer = _json.decode(reply.body)
    except ValueError:
        raise _no_answer(reply, "it is no JSON") from None
    choice, others = _choices(answer, reply)
    message, facts = _read_message(choice.get("message") or {})
    ours, raw = finish_reason(choice.get("finish_reason"))
    kept = kept_fields(answer, ANSWER_FIELDS)
    tier, groq = answer.get("service_tier"), kept.get("x_groq")
    usage = answer.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
    return Response(
        message=message,
        finish_reason=ours,
        finish_reason_raw=raw,
        model=_text(answer.get("model")) or "",
        id=_text(answer.get("id")),
        created=whole_number(answer.get("created")),
        usage=parse_usage(usage),
        service_tier=_text(tier),
        provider_data=response_data(kept, kept_fields(choice, CHOICE_FIELDS), facts, others),
        body=reply.body,
    )


def _choices(answer: Any, reply: WireReply) -> tuple[Wire, list[Any]]:
    """The choice that holds the answer, and the others."""
    if not isinstance(answer, dict):
        raise _no_answer(reply, "its JSON is no object")
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        first, others = choices[0], choices[1:]
        message = first.get("message")
        # Azure leaves the message out where its filter took all of it.
        if isinstance(message, dict) or (message is None and isinstance(first.get("finish_reason"), str)):
            return first, others
        raise _no_answer(reply, "its first choice has no message")
    if answer.get("error"):
        raise _no_answer(reply, f"it is an error: {parse_error(reply).message}")
    raise _no_answer(reply, "it has no choices")


def _no_answer(reply: WireReply, why: str) -> ResponseParseError:
    return ResponseParseError(
        f"the reply is no chat completion: {why}",
        status=reply.status,
        request_id=request_id(reply.headers),
        body=reply.body[:BODY_LIMIT],
    )


def _read_message(wire: Wire) -> tuple[Message, Wire]:
    """The message, and what its object says about this answer alone."""
    parts, form = read_parts(wire, read_answer_call)
    fields = kept_fields(wire, MESSAGE_FIELDS)
    if fields:
        fields.pop(reasoning_field(wire) or "", None)
    back, facts = split_message(fields)
    return Message(role="assistant", parts=tuple(parts), provider_data=named({**form, **back})), facts


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


# Streams.


def stream_parser(quirks: Quirks) -> ChatStreamParser:
    """A fresh parser for one streamed answer."""
    return ChatStreamParser(quirks)
