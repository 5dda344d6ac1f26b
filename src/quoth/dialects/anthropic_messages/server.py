"""The server half of Anthropic Messages: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ... import _json
from ...errors import InputError
from ...types import ModelRequest, Part, Reasoning, Refusal, Response, Text, Tool, ToolCall, ToolChoice
from ...wire import ErrorInfo, Headers, WireReply, WireRequest
from .._errors import spelled_as, wait_headers
from .._finishing import finish_word
from .._kept import Wire
from .._requests import Fields, flag, number, read_body, read_fields, stops, whole
from .._streams import in_pieces
from ._blocks import exact, residue_of, write_block
from ._errors import KIND_WORDS, parse_error
from ._messages import read_messages, read_system
from ._parameters import read_config
from ._usage import write_usage
from ._words import CHOICES, FINISH_REASONS, NO_ID, RESIDUES, STOP_REASONS
from .client import write_tool

__all__ = ["build_error", "build_events", "build_response", "build_stream_error", "parse_request"]


# Requests.


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request. What has no name in a ModelRequest stands in ``extra``, also a value of an odd type.

    Raises:
        InputError: the body is no JSON object, or has no model or no messages.
    """
    model, body = read_body(request)
    wires = body.pop("messages", None)
    if not isinstance(wires, list) or not all(isinstance(wire, dict) for wire in wires):
        raise InputError("the request has no messages: 'messages' must be a list of objects")
    system = read_system(body.get("system"))
    if system is not None or body.get("system") is None:
        body.pop("system", None)
    choice, beside = _tool_choice(body.pop("tool_choice", None))
    read = read_config(body)
    named, extra = read_fields(body, _FIELDS)
    if beside is not None:
        extra["tool_choice"] = beside
    messages = (*(system or ()), *read_messages(wires))
    return ModelRequest(model=model, messages=messages, tool_choice=choice, extra=extra, **read, **named)


def _tools(value: Any) -> tuple[Tool, ...] | None:
    if isinstance(value, list) and all(isinstance(tool, dict) for tool in value):
        return tuple([_tool(tool) for tool in value])
    return None


def _tool(wire: Wire) -> Tool:
    """Read one entry of ``tools``; one of the provider's own keeps its type beside its name."""
    name, description = wire.get("name"), wire.get("description")
    parameters, strict = wire.get("input_schema"), wire.get("strict")
    read = Tool(
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        strict=strict if isinstance(strict, bool) else None,
    )
    return exact(read, wire, write_tool(read))


_MODES = {wire: ours for ours, wire in CHOICES.items()}


def _tool_choice(value: Any) -> tuple[ToolChoice | None, Any]:
    """A choice of ours, and what stands beside it (all of it, where it is none of ours)."""
    mode = _MODES.get(str(value.get("type"))) if isinstance(value, dict) else None
    name = value.get("name") if mode == "tool" else None
    if mode is None or (mode == "tool" and not isinstance(name, str)):
        return None, value
    known = ("type", "name") if mode == "tool" else ("type",)
    beside = {key: field for key, field in value.items() if key not in known}
    return msgspec.convert({"mode": mode, "name": name}, ToolChoice), beside or None


_FIELDS: Fields = {
    "max_tokens": ("max_tokens", whole),
    "stop_sequences": ("stop", stops),
    "stream": ("stream", flag),
    "temperature": ("temperature", number),
    "tools": ("tools", _tools),
    "top_p": ("top_p", number),
}


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer, so that clients with strict types take it.

    An answer without an id has one that the client half reads as none; counts that nobody made are zeros, named as
    such. This wire has one answer: further candidates are left out.
    """
    body = {
        **_head(response),
        "content": [_answer_block(part) for part in _parts(response)],
        "stop_reason": finish_word(response, FINISH_REASONS, STOP_REASONS),
        "stop_sequence": None,
        **residue_of(response),
        "usage": _usage(response),
    }
    return WireReply(status=200, headers=_JSON, body=_json.encode(body))


def _head(response: Response) -> Wire:
    return {
        "id": NO_ID if response.id is None else response.id,
        "type": "message",
        "role": "assistant",
        "model": response.model,
    }


def _parts(response: Response) -> list[Part]:
    """The parts that this wire can carry."""
    return [part for part in response.parts if not RESIDUES.foreign(part)]


def _answer_block(part: Part) -> Wire:
    """Spell one block of an answer; a thought that nobody signed has an empty signature, for clients demand one."""
    wire = write_block(part, [])
    return {**wire, "signature": ""} if wire.get("type") == "thinking" and "signature" not in wire else wire


def _usage(response: Response) -> Wire:
    """The usage, with what it says beside counts: tier, place and speed."""
    tier = response.service_tier
    said = {
        "service_tier": tier if tier is None else _TIERS.get(tier, tier),
        "inference_geo": response.region,
        "speed": response.speed,
    }
    return {**write_usage(response.usage), **{key: word for key, word in said.items() if word is not None}}


_TIERS = {"default": "standard"}
"""What this wire calls a tier of another one."""


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of events, to ``message_stop``; texts come in pieces of ``piece`` characters.

    Folding the stream gives the same Response, but for further candidates.
    """
    usage = _usage(response)
    begun = {key: value for key, value in usage.items() if not key.startswith("output_tokens")}
    message = {**_head(response), "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event({"type": "message_start", "message": {**message, "usage": {**begun, "output_tokens": 0}}})
    for index, part in enumerate(_parts(response)):
        begin, deltas = _block_events(part, piece)
        yield _event({"type": "content_block_start", "index": index, "content_block": begin})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    delta = {
        "stop_reason": finish_word(response, FINISH_REASONS, STOP_REASONS),
        "stop_sequence": None,
        **residue_of(response),
    }
    counted = {key: value for key, value in usage.items() if key.startswith("output_tokens")}
    yield _event({"type": "message_delta", "delta": delta, "usage": counted})
    yield _event({"type": "message_stop"})


def _event(event: Wire) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + _json.encode(event) + b"\n\n"


def _block_events(part: Part, piece: int | None) -> tuple[Wire, Iterator[Wire]]:
    """How a block begins, and its deltas; one that is no part of this wire comes whole."""
    wire = _answer_block(part)
    deltas: list[Wire] = []
    match wire.get("type"), part:
        case "text", Text() | Refusal():  # in a refusal, which the stop reason tells, the text is no other
            begin = {**wire, "text": ""}
            deltas = [{"type": "text_delta", "text": text} for text in in_pieces(part.text, piece)]
            citations = begin.pop("citations", None)
            deltas += [{"type": "citations_delta", "citation": each} for each in _listed(citations)]
        case "thinking", Reasoning():
            begin = {**wire, "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": text} for text in in_pieces(part.text, piece)]
            if signature := wire.get("signature"):
                deltas.append({"type": "signature_delta", "signature": signature})
        case "tool_use", ToolCall():
            begin = {**wire, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in in_pieces(part.arguments, piece)]
        case _:
            begin = wire
    return begin, iter(deltas)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# Errors.


def build_error(info: ErrorInfo) -> WireReply:
    """Spell an error so that ``parse_error`` finds its kind again."""
    return spelled_as(info, KIND_WORDS, _error, parse_error)


def build_stream_error(info: ErrorInfo) -> bytes:
    """Spell an error that comes inside a stream, after a 200."""
    return b"event: error\ndata: " + build_error(info).body + b"\n\n"


def _error(info: ErrorInfo, status: int, type_: str, code: str | None) -> WireReply:
    error: Wire = {"type": type_, "message": info.message}
    if code is not None:
        error["details"] = {"error_code": code}
    body: Wire = {"type": "error", "error": error}
    headers = _JSON
    if info.request_id:
        headers += (("request-id", info.request_id),)
        body["request_id"] = info.request_id
    return WireReply(status=status, headers=headers + wait_headers(info.retry_after), body=_json.encode(body))


_JSON: Headers = (("content-type", "application/json"),)
