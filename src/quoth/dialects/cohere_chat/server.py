"""The server half of Cohere's Chat API v2: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ... import _json
from ...errors import InputError
from ...types import ModelRequest, Part, Reasoning, Refusal, Response, Text, ToolCall
from ...wire import ErrorInfo, Headers, WireReply, WireRequest
from .._kept import Wire
from .._requests import read_body
from .._streams import in_pieces
from ._answers import finish_word
from ._errors import build_error, spell_stream_error
from ._messages import read_message, write_call, write_turn
from ._parameters import read_parameters
from ._parts import residue_of, write_part
from ._stream import TEXTS
from ._usage import write_usage
from ._words import FIELD, NO_ID, PLAN, RESIDUES

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
    read, extra = read_parameters(body)
    return ModelRequest(model=model, messages=tuple([read_message(wire) for wire in wires]), extra=extra, **read)


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer, so that clients with strict types take it. It says neither its model nor its time."""
    body: Wire = {
        "id": response.id or NO_ID,
        "finish_reason": finish_word(response),
        "message": write_turn(response.message, [], answer=True),
        **residue_of(response),
    }
    if (usage := write_usage(response.usage)) is not None:
        body["usage"] = usage
    return WireReply(status=200, headers=_JSON, body=_json.encode(body))


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of events, to ``[DONE]``; texts come in pieces of ``piece`` characters."""
    kept = {key: value for key, value in residue_of(response.message).items() if not key.startswith(":")}
    cited = kept.pop("citations", None)
    begun = {"role": "assistant", "content": [], PLAN: "", "tool_calls": [], "citations": [], **kept}
    yield _event("message-start", {"message": begun}, id=response.id or NO_ID)
    contents = calls = 0
    for part in response.parts:
        if RESIDUES.foreign(part):
            continue
        if isinstance(part, ToolCall):
            yield from _call_events(part, calls, piece)
            calls += 1
        elif isinstance(part, Text) and residue_of(part).get(FIELD) == PLAN:
            for text in in_pieces(part.text, piece):
                yield _event("tool-plan-delta", {"message": {PLAN: text}})
        else:
            yield from _content_events(part, contents, piece)
            contents += 1
    for number, citation in enumerate(cited if isinstance(cited, list) else [cited] if cited else []):
        yield _event("citation-start", {"message": {"citations": citation}}, index=number)
        yield _event("citation-end", index=number)
    end: Wire = {"finish_reason": finish_word(response), **residue_of(response)}
    if (usage := write_usage(response.usage)) is not None:
        end["usage"] = usage
    yield _event("message-end", end)
    yield b"data: [DONE]\n\n"


def _content_events(part: Part, index: int, piece: int | None) -> Iterator[bytes]:
    """A content from its start, which says all but its text, to its end."""
    whole = write_part(part)
    field = TEXTS.get(whole["type"]) if isinstance(part, (Text, Reasoning, Refusal)) else None
    if field is None or not isinstance(whole.get(field), str):
        yield _event("content-start", {"message": {"content": whole}}, index=index)
    else:
        yield _event("content-start", {"message": {"content": {**whole, field: ""}}}, index=index)
        for text in in_pieces(whole[field], piece):
            yield _event("content-delta", {"message": {"content": {field: text}}}, index=index)
    yield _event("content-end", index=index)


def _call_events(call: ToolCall, index: int, piece: int | None) -> Iterator[bytes]:
    begun = write_call(msgspec.structs.replace(call, arguments=""))
    yield _event("tool-call-start", {"message": {"tool_calls": begun}}, index=index)
    for text in in_pieces(call.arguments, piece):
        yield _event("tool-call-delta", {"message": {"tool_calls": {"function": {"arguments": text}}}}, index=index)
    yield _event("tool-call-end", index=index)


def _event(kind: str, delta: Wire | None = None, **beside: Any) -> bytes:
    event = {"type": kind, **beside} if delta is None else {"type": kind, **beside, "delta": delta}
    return b"event: " + kind.encode() + b"\ndata: " + _json.encode(event) + b"\n\n"


# Errors.


def build_stream_error(info: ErrorInfo) -> bytes:
    """Spell an error that comes inside a stream, after a 200, as the end of it."""
    return _event("message-end", spell_stream_error(info))


_JSON: Headers = (("content-type", "application/json"),)
