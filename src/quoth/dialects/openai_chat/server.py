"""The server half of Chat Completions: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ... import _json
from ...errors import InputError
from ...types import (
    Candidate,
    Document,
    Image,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Refusal,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from ...wire import Headers, WireReply, WireRequest
from .._kept import Wire, overlay
from .._openai_errors import build_error
from .._requests import Fields, flag, number, read_body, read_fields, stops, whole
from .._streams import in_pieces
from ._calls import call_kind, read_call, write_call
from ._messages import content_form, read_content, read_parts, write_messages, write_turn
from ._parameters import read_effort, read_output
from ._parts import exact, opaque, residue_of, write_part
from ._usage import write_usage
from ._words import CALL_KINDS, DONE, FIELD, FINISH_REASONS, FORM, NAME, NO_ID, REASONING_FIELDS, RESIDUES, ROLES
from .client import write_tool

__all__ = ["build_error", "build_events", "build_response", "parse_message", "parse_request"]

CAPS = ("max_tokens", "max_completion_tokens")
"""Both names of the cap on the output; a request that has both keeps them in ``extra``."""


# Requests.


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request. What has no name in a ModelRequest stands in ``extra``, also a value of an odd type.

    Raises:
        InputError: the body is no JSON object, or has no model or no messages.
    """
    model, body = read_body(request)
    messages = _messages(body.pop("messages", None))
    read, extra = read_fields(body, _FIELDS)
    if all(body.get(cap) is not None for cap in CAPS):
        read.pop("max_tokens", None)
        extra |= {cap: body[cap] for cap in CAPS}
    return ModelRequest(model=model, messages=messages, extra=extra, **read)


def _tools(value: Any) -> tuple[Tool, ...] | None:
    if isinstance(value, list) and all(isinstance(tool, dict) for tool in value):
        return tuple([_tool(tool) for tool in value])
    return None


def _tool(wire: Wire) -> Tool:
    """Read one entry of ``tools``; one that is no function has its type for a name."""
    function = wire.get("function")
    function = function if isinstance(function, dict) else {}
    name, description = function.get("name", wire.get("type")), function.get("description")
    parameters, strict = function.get("parameters"), function.get("strict")
    read = Tool(
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        strict=strict if isinstance(strict, bool) else None,
    )
    return exact(read, wire, write_tool(read))


def _tool_choice(value: Any) -> ToolChoice | None:
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    if isinstance(value, dict) and value.keys() == {"type", "function"} and value["type"] == "function":
        function = value["function"]
        if isinstance(function, dict) and function.keys() == {"name"} and isinstance(function["name"], str):
            return ToolChoice(mode="tool", name=function["name"])
    return None


_FIELDS: Fields = {
    "max_completion_tokens": ("max_tokens", whole),
    "max_tokens": ("max_tokens", whole),
    "reasoning_effort": ("reasoning", read_effort),
    "response_format": ("output", read_output),
    "seed": ("seed", whole),
    "stop": ("stop", stops),
    "stream": ("stream", flag),
    "temperature": ("temperature", number),
    "tool_choice": ("tool_choice", _tool_choice),
    "tools": ("tools", _tools),
    "top_p": ("top_p", number),
}


def _messages(wires: Any) -> tuple[Message, ...]:
    if not isinstance(wires, list) or not all(isinstance(wire, dict) for wire in wires):
        raise InputError("the request has no messages: 'messages' must be a list of objects")
    return tuple([parse_message(wire) for wire in wires])


def parse_message(wire: Mapping[str, Any]) -> Message:
    """Read one message of a request; building it gives the same object again."""
    spoken, name = wire.get("role"), wire.get("name")
    role = ROLES.get(spoken, "user") if isinstance(spoken, str) else "user"
    parts: list[Part]
    if role == "tool":
        parts, form = _tool_result(wire)
    else:
        parts, form = read_parts(wire, read_call)
    draft = Message(
        role=role,
        parts=tuple(parts),
        name=name if isinstance(name, str) else None,
        provider_data={NAME: form} if form else {},
    )
    return exact(draft, wire, write_messages((draft,), [])[0])


def _tool_result(wire: Mapping[str, Any]) -> tuple[list[Part], Wire]:
    call_id, spelled = wire.get("tool_call_id"), wire.get("content")
    content = read_content(spelled)
    parts = tuple([part if isinstance(part, (Text, Image, Document)) else opaque(write_part(part)) for part in content])
    result = ToolResult(call_id=call_id if isinstance(call_id, str) else "", parts=parts)
    return [result], content_form(spelled, content, beside=False)


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer, so that clients with strict types take it.

    An answer without an id has one that the client half reads as none, and one without a time is of 1970. Several
    texts are joined, unless they came as a list. Region and speed stand in the usage: without one they are not said.
    """
    body = {
        **_head(response, "chat.completion"),
        "choices": [_whole_choice(choice, index) for index, choice in enumerate(_choices(response))],
        **_facts(response),
    }
    if (usage := _usage(response)) is not None:
        body["usage"] = usage
    return WireReply(status=200, headers=_JSON, body=_json.encode(body))


def _choices(response: Response) -> list[Candidate]:
    """The answer and its further candidates, each with what is kept of its choice."""
    kept = residue_of(response).get("choices") or [{}]
    first = Candidate(
        message=response.message,
        finish_reason=response.finish_reason,
        finish_reason_raw=response.finish_reason_raw,
        provider_data={NAME: kept[0]},
    )
    return [first, *response.candidates]


def _whole_choice(choice: Candidate, index: int) -> Wire:
    message = write_turn(_joined(choice.message), [], spare_reasoning=REASONING_FIELDS[0])
    message.setdefault("refusal", None)
    wire: Wire = {"index": index, "message": message, "finish_reason": _finish_word(choice), "logprobs": None}
    return overlay(wire, residue_of(choice))


def _joined(message: Message) -> Message:
    """The message with its texts as one, where nothing says that they came apart: most clients take a string only."""
    content = [part for part in message.parts if _spelled_in(part) == "content" and not RESIDUES.foreign(part)]
    plain = all(isinstance(part, Text) and not residue_of(part) for part in content)
    if len(content) < 2 or not plain or residue_of(message).get(FORM) == "list":
        return message
    rest = [part for part in message.parts if part not in content]
    before = [part for part in rest if isinstance(part, Reasoning)]
    after = [part for part in rest if not isinstance(part, Reasoning)]
    return msgspec.structs.replace(message, parts=(*before, Text(text=message.text), *after))


def _head(response: Response, kind: str) -> Wire:
    """The fields that an answer and each of its chunks begin with."""
    return {
        "id": NO_ID if response.id is None else response.id,
        "object": kind,
        "created": response.created or 0,
        "model": response.model,
    }


def _facts(response: Response) -> Wire:
    """The fields of the body that have no name in a Response, and its tier."""
    facts = {key: value for key, value in residue_of(response).items() if key != "choices"}
    tier = response.service_tier
    return facts if tier is None else {**facts, "service_tier": _TIERS.get(tier, tier) if _foreign(response) else tier}


_TIERS = {"standard": "default"}
"""What this wire calls a tier of another one."""


def _foreign(response: Response) -> bool:
    """Whether the answer came over another wire, as its usage shows."""
    reported = response.usage.reported
    return reported is not None and write_usage(response.usage) != reported


def _usage(response: Response) -> Wire | None:
    """The usage; gateways say in it too where and how fast a Claude answered."""
    usage = write_usage(response.usage)
    said = {"inference_geo": response.region, "speed": response.speed}
    return None if usage is None else {**usage, **{key: word for key, word in said.items() if word is not None}}


def _finish_word(choice: Candidate) -> str | None:
    """The raw finish reason, where it is one of this wire or none of ours; else our word, which is this wire's."""
    raw, ours = choice.finish_reason_raw, choice.finish_reason
    if ours == "other" or (raw is not None and FINISH_REASONS.get(raw) == ours):
        return raw
    return ours


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of events, to ``[DONE]``; texts come in pieces of ``piece`` characters.

    Folding the stream gives the same Response, but for what no stream of this wire says: the border between two
    texts of one kind, and content parts that are neither text nor thought (they fold to an empty text that keeps
    them).
    """
    head = _head(response, "chat.completion.chunk")
    facts = _facts(response)
    for index, choice in enumerate(_choices(response)):
        kept = {**residue_of(choice)}
        for delta in _deltas(_joined(choice.message), kept.pop("message", {}), piece):
            yield _event({**head, **facts, "choices": [_streamed(index, delta)]})
            facts = {}
        yield _event({**head, "choices": [{**_streamed(index, {}, _finish_word(choice)), **kept}]})
    if (usage := _usage(response)) is not None:
        yield _event({**head, "choices": [], "usage": usage})
    yield b"data: " + DONE + b"\n\n"


def _event(chunk: Wire) -> bytes:
    return b"data: " + _json.encode(chunk) + b"\n\n"


def _streamed(index: int, delta: Wire, finish: str | None = None) -> Wire:
    return {"index": index, "delta": delta, "finish_reason": finish}


def _deltas(message: Message, facts: Mapping[str, Any], piece: int | None) -> Iterator[Wire]:
    """The message as deltas: who speaks, then part by part, then what no event is made of."""
    data = residue_of(message)
    parts = [part for part in message.parts if not RESIDUES.foreign(part)]
    content = [part for part in parts if _spelled_in(part) == "content"]
    typed = len(content) > 1 or data.get(FORM) == "list" or any(residue_of(part) for part in content)
    yield {"role": "assistant", "content": "" if content or data.get(FORM) == "string" else None}
    calls = 0
    for part in parts:
        field = _spelled_in(part)
        if field == "tool_calls" and isinstance(part, ToolCall):
            yield from _call_deltas(part, calls, piece)
            calls += 1
        elif field == "function_call" and isinstance(part, ToolCall):
            yield {field: {"name": part.name, "arguments": ""}}
            yield from ({field: {"arguments": text}} for text in in_pieces(part.arguments, piece))
        elif field == "content" and (typed or not isinstance(part, Text)):
            yield from ({"content": [wire]} for wire in _typed_pieces(part, piece))
        elif isinstance(part, (Text, Reasoning, Refusal)):
            yield from ({field: text} for text in in_pieces(part.text, piece))
    kept = {key: value for key, value in data.items() if not key.startswith(":")}
    if kept or facts:  # last: a second reasoning field must not come before the first
        yield overlay(kept, facts)


def _spelled_in(part: Part) -> str:
    """The field of the message that a part is spelled in."""
    default = _FIELDS_OF_PARTS.get(type(part), "content")
    return str(residue_of(part).get(FIELD, default))


_FIELDS_OF_PARTS: dict[type, str] = {
    Reasoning: REASONING_FIELDS[0],
    Refusal: "refusal",
    ToolCall: "tool_calls",
}


def _typed_pieces(part: Part, piece: int | None) -> Iterator[Wire]:
    """The entries of a content list that spell a part; one that keeps anything beside its text is not cut."""
    keeps = any(not key.startswith(":") for key in residue_of(part))
    if keeps or not isinstance(part, (Text, Reasoning)):
        yield write_part(part)
        return
    for text in in_pieces(part.text, piece) or [""]:
        yield write_part(msgspec.structs.replace(part, text=text))


def _call_deltas(call: ToolCall, index: int, piece: int | None) -> Iterator[Wire]:
    begun = write_call(msgspec.structs.replace(call, arguments=""))
    yield {"tool_calls": [{"index": index, **begun}]}
    kind = call_kind(begun)
    for text in in_pieces(call.arguments, piece):
        yield {"tool_calls": [{"index": index, kind: {CALL_KINDS[kind]: text}}]}


_JSON: Headers = (("content-type", "application/json"),)
