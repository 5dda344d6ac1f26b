"""The client half of OpenAI Responses: build requests, read answers, streams and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ... import _json
from ...errors import UnsupportedParameterError
from ...types import Message, ModelRequest, OutputFormat, Part, Response, Text, Tool, ToolChoice
from ...wire import Quirks, WireReply, WireRequest
from .._efforts import effort_of
from .._errors import error_from, request_id
from .._kept import Wire, overlay
from .._openai_errors import parse_error, parse_stream_error
from .._posts import HEADERS, STREAM_HEADERS, ask_for_stream, require_tools
from .._replies import Replies
from .._streams import is_events as is_stream
from ._answers import answer_facts, body_reasoning, created_at, failed, read_id, text_of
from ._input import write_input
from ._items import item_type, read_output_item, residue_of
from ._stream import ResponsesStreamParser
from ._usage import parse_usage
from ._words import NAME

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

PATH = "/responses"

OUTPUT_NAME = "output"
"""The name of a schema that has none: the wire demands one."""

_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {}}
"""The parameters of a function that has none: servers refuse null there.

Neither is ``strict`` left out: where nothing is said of it, OpenAI turns it on and rewrites the schema, so that what
was optional must be given (the echo of a recorded tool without it says ``true``). Nobody asked for that: it is off.
"""


# Requests.


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request. A field in ``extra`` stands in place of our own, but for ``stream``; objects are merged.

    Raises:
        UnsupportedContentError: the wire cannot carry a part.
        UnsupportedParameterError: stops or a seed, of which the wire knows nothing;
            tools for a server that ignores them, or a stream asked for in ``extra``.
    """
    changes: list[str] = []
    body: Wire = {"model": request.model} if request.model else {}  # a stored prompt names its own
    body |= write_input(request.messages, changes)
    _refuse_unknown(request)
    _add_parameters(body, request, changes)
    for key, value in request.extra.items():
        mine = body.get(key)
        body[key] = {**mine, **value} if isinstance(mine, dict) and _adds(key, value) else value
    require_tools(body, quirks)
    streamed = ask_for_stream(body, request, quirks, changes)
    return WireRequest(
        path=PATH,
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode(body),
        changes=tuple(dict.fromkeys(changes)),
    )


def _adds(key: str, value: object) -> bool:
    """Whether an object in ``extra`` goes beside our own: how to reason, which form a text has."""
    return key in ("reasoning", "text") and isinstance(value, Mapping)


def _refuse_unknown(request: ModelRequest) -> None:
    if request.stop:
        raise UnsupportedParameterError(
            "OpenAI Responses has no stop sequences: leave stop out, or ask on the Chat wire, which has them"
        )
    if request.seed is not None:
        raise UnsupportedParameterError("OpenAI Responses has no seed: leave it out; temperature=0 varies least")


def _add_parameters(body: Wire, request: ModelRequest, changes: list[str]) -> None:
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
        changes.append("max_tokens sent as max_output_tokens")
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.tools:
        body["tools"] = [write_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(request.tool_choice, request.tools)
    if request.output is not None:
        body["text"] = {"format": write_format(request.output, changes)}
    if request.reasoning is not None:
        effort = request.reasoning if isinstance(request.reasoning, str) else effort_of(request.reasoning, changes)
        body["reasoning"] = {"effort": effort}


def write_tool(tool: Tool) -> Wire:
    """Spell one entry of ``tools``. One of the server's own is its type, with the fields that it keeps."""
    rest = residue_of(tool)
    kind = item_type(rest) or "function"
    wire: Wire = {"type": kind}
    if kind in ("function", "custom"):
        wire["name"] = tool.name
        if tool.description is not None:
            wire["description"] = tool.description
    if kind == "function":
        wire["parameters"] = _ANY_OBJECT if tool.parameters is None else tool.parameters
        wire["strict"] = tool.strict or False
    return overlay(wire, rest)


def write_tool_choice(choice: ToolChoice, tools: Sequence[Tool] = ()) -> Any:
    """Spell a tool choice; the types of ``tools`` say how a tool is named."""
    if choice.mode != "tool":
        return choice.mode
    kinds = [residue_of(tool).get("type") for tool in tools if tool.name == choice.name]
    kind = next((kind for kind in kinds if isinstance(kind, str)), "function")
    return {"type": kind, "name": choice.name} if kind in ("function", "custom") else {"type": kind}


def write_format(output: OutputFormat, changes: list[str]) -> Wire:
    """Spell the form that an answer must have."""
    if output.schema is None:
        left = [field for field in ("name", "description", "strict") if getattr(output, field) is not None]
        changes += [f"{field} of the output's form left out: it has no place without a schema" for field in left]
        return overlay({"type": "json_object"}, residue_of(output))
    wire: Wire = {
        "type": "json_schema",
        "name": OUTPUT_NAME if output.name is None else output.name,
        "schema": output.schema,
    }
    if output.description is not None:
        wire["description"] = output.description
    if output.strict is not None:
        wire["strict"] = output.strict
    return overlay(wire, residue_of(output))


# Answers.


_REPLIES = Replies("the reply is no response")


def parse_response(reply: WireReply, quirks: Quirks) -> Response:  # noqa: ARG001  # the Protocol's; no row departs here
    """Read a whole answer. Its cost is not known here.

    Raises:
        APIStatusError: the answer failed at the provider; its class, with status 200.
        ResponseParseError: the reply is no answer; ``body`` holds its first 2,000 bytes.
    """
    answer = _REPLIES.object_of(reply)
    items = _items(answer, reply)
    parts: list[Part] = [part for item in items for part in read_output_item(item)]
    if not parts and (text := text_of(answer.get("output_text"))) is not None:
        parts.append(Text(text=text))
    if (reasoning := body_reasoning(answer)) is not None:
        parts.append(reasoning)
    return Response(
        message=Message(role="assistant", parts=tuple(parts)),
        model=text_of(answer.get("model")) or "",
        id=read_id(answer),
        created=created_at(answer),
        body=reply.body,
        **answer_facts(answer, items, parts),
    )


def _items(answer: Wire, reply: WireReply) -> list[Wire]:
    if failed(answer):
        info = parse_stream_error(answer)
        raise error_from(replace(info, request_id=request_id(reply.headers)))
    output = answer.get("output")
    if isinstance(output, list):
        return [item for item in output if isinstance(item, dict)]
    if text_of(answer.get("output_text")) or answer.get("object") == "response":
        return []
    raise _REPLIES.refused(reply, "it has no output")


# Streams.


def stream_parser(quirks: Quirks) -> ResponsesStreamParser:  # noqa: ARG001  # every stream ends by its last event
    """A fresh parser for one streamed answer."""
    return ResponsesStreamParser()
