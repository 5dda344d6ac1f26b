"""The server half of Converse: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ... import _json
from ...errors import InputError
from ...types import ModelRequest, Part, Reasoning, Refusal, Response, Text, ToolCall
from ...wire import WireReply, WireRequest
from .._aws import JSON, build_error, build_event, build_stream_error
from .._finishing import finish_word
from .._kept import Wire, overlay, residue
from .._paths import target_of
from .._requests import json_object
from .._streams import in_pieces
from ._answers import FACTS, METRICS, NOT_MEASURED
from ._blocks import CALL, CITED, write_answer_block
from ._files import Spelling
from ._parameters import read_parameters, write_parameters
from ._turns import read_messages, read_system, write_conversation
from ._usage import write_usage
from ._words import FINISH_REASONS, RESIDUES, STOP_REASONS
from .client import STREAMED

__all__ = ["build_error", "build_events", "build_response", "build_stream_error", "parse_request"]


# Requests.


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request. What has no name in a ModelRequest stands in ``extra``, also a value of an odd type.

    Raises:
        InputError: the body is no JSON object, or has no messages, or nothing names a model.
    """
    body = json_object(request)
    model, verb = target_of(request.path)
    wires = body.pop("messages", None)
    if not isinstance(wires, list) or not all(isinstance(wire, dict) for wire in wires):
        raise InputError("the request has no messages: 'messages' must be a list of objects")
    system = read_system(body.get("system"))
    if system is not None and write_conversation([system], Spelling())[0] == body["system"]:
        del body["system"]
    else:
        system = None
    messages = read_messages(wires)
    read = ModelRequest(
        model=model,
        messages=messages if system is None else (system, *messages),
        stream=verb == STREAMED,
        **read_parameters(model, body),
    )
    return msgspec.structs.replace(read, extra=residue(body, write_parameters(read, [])))


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer, so that clients with strict types take it.

    Counts that nobody made are zeros, named as such. This wire has one answer, without an id or the name of its model.
    """
    facts = {**RESIDUES.of(response)}
    content = [write_answer_block(part) for part in _parts(response)]
    message = overlay({"role": "assistant", "content": content}, RESIDUES.of(response.message))
    body = {
        "output": {"message": message, **facts.pop("output", {})},
        "stopReason": finish_word(response, FINISH_REASONS, STOP_REASONS),
        **_end(response, facts),
    }
    return WireReply(status=200, headers=JSON, body=_json.encode(body))


def _parts(response: Response) -> list[Part]:
    """The parts that this wire can carry."""
    return [part for part in response.parts if not RESIDUES.foreign(part)]


def _end(response: Response, facts: Wire) -> Wire:
    """What an answer says beside its message: usage, metrics, how it was served, and what has no name here."""
    said = {name: getattr(response, name) for name in FACTS}
    named = {FACTS[name][0]: {FACTS[name][1]: word} for name, word in said.items() if word is not None}
    return {"usage": write_usage(response.usage), METRICS: NOT_MEASURED, **named, **facts}


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of events, to ``metadata``; texts come in pieces of ``piece`` characters.

    Folding the stream gives the same Response, but for what is beside the message in its ``output``.
    """
    yield _event("messageStart", overlay({"role": "assistant"}, RESIDUES.of(response.message)))
    for index, part in enumerate(_parts(response)):
        start, deltas = _block_events(part, piece)
        place = {"contentBlockIndex": index}
        if start is not None:
            yield _event("contentBlockStart", {**place, "start": start})
        for delta in deltas:
            yield _event("contentBlockDelta", {**place, "delta": delta})
        yield _event("contentBlockStop", place)
    facts = {**RESIDUES.of(response)}
    additional = {key: facts.pop(key) for key in (ADDITIONAL,) if key in facts}
    facts.pop("output", None)
    yield _event("messageStop", {"stopReason": finish_word(response, FINISH_REASONS, STOP_REASONS), **additional})
    yield _event("metadata", _end(response, facts))


ADDITIONAL = "additionalModelResponseFields"
"""What a stream says beside its stop reason, and not at its end."""


def _event(kind: str, event: Wire) -> bytes:
    return build_event(kind, _json.encode(event))


def _block_events(part: Part, piece: int | None) -> tuple[Wire | None, list[Wire]]:
    """How a block begins, where an event says it, and its deltas; one that is no part of this wire comes whole."""
    wire = write_answer_block(part)
    match part:
        case Text() | Refusal() if "text" in wire or CITED in wire:
            return None, _text_deltas(part.text, wire, piece)
        case Reasoning() if isinstance(wire.get("reasoningContent"), dict):
            return None, _thought_deltas(part, wire["reasoningContent"], piece)
        case ToolCall() if isinstance(wire.get(CALL), dict):
            start = {key: value for key, value in wire[CALL].items() if key != "input"}
            return {CALL: start}, [{CALL: {"input": text}} for text in in_pieces(part.arguments, piece)]
        case _:
            return _other_events(wire)


def _text_deltas(text: str, wire: Wire, piece: int | None) -> list[Wire]:
    inner = wire.get(CITED)
    citations = inner.get("citations") if isinstance(inner, dict) else None
    cited: list[Wire] = [{"citation": each} for each in citations] if isinstance(citations, list) else []
    said: list[Wire] = [{"text": each} for each in in_pieces(text, piece)]
    return said + cited or [{"text": ""}]


def _thought_deltas(part: Reasoning, wire: Wire, piece: int | None) -> list[Wire]:
    said: list[Wire] = [{"text": each} for each in in_pieces(part.text, piece)]
    text = wire.get("reasoningText")
    signature = text.get("signature") if isinstance(text, dict) else None
    signed: list[Wire] = [] if signature is None else [{"signature": signature}]
    others: list[Wire] = [{key: value} for key, value in wire.items() if key != "reasoningText"]
    return [{"reasoningContent": each} for each in (said + signed + others or [{"text": ""}])]


def _other_events(wire: Wire) -> tuple[Wire, list[Wire]]:
    """A server's tool call, its result, a picture: their heads first, and then what they hold."""
    for member, field in _HELD.items():
        inner = wire.get(member)
        if len(wire) == 1 and isinstance(inner, dict) and field in inner:
            held = inner[field]
            start = {member: {key: value for key, value in inner.items() if key != field}}
            delta = {"content": held, "input": {"input": _json.encode(held).decode()}}.get(field, {field: held})
            return start, [{member: delta}]
    return wire, []


_HELD = {"toolUse": "input", "toolResult": "content", "image": "source"}
"""What a delta says of a block, and not its beginning."""
