"""The server half of Ollama's chat: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator

from ... import _json
from ...errors import InputError
from ...types import Image, Message, ModelRequest, Part, Reasoning, Refusal, Response, Text, ToolCall
from ...wire import ErrorInfo, Headers, WireReply, WireRequest
from .._kept import Wire
from .._requests import read_body
from .._streams import in_pieces
from ._answers import finish_word, spelled_time
from ._calls import write_call
from ._errors import build_error, spell_stream_error
from ._messages import read_messages, write_turn
from ._parameters import read_parameters
from ._usage import write_usage
from ._words import RESIDUES

__all__ = ["build_error", "build_events", "build_response", "build_stream_error", "parse_request"]


# Requests.


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request, which asks for a stream unless it says otherwise. What has no name here stands in ``extra``.

    Raises:
        InputError: the body is no JSON object, or has no model, or messages that are none.
    """
    model, body = read_body(request)
    wires = body.pop("messages", None)
    if not isinstance(wires, list) or not all(isinstance(wire, dict) for wire in wires):
        raise InputError("the request has no messages: 'messages' must be a list of objects")
    stream = body.pop("stream", True) is not False
    read, extra = read_parameters(body)
    return ModelRequest(model=model, messages=read_messages(wires), stream=stream, extra=extra, **read)


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer, so that clients with strict types take it; one without a time is of 1970."""
    message = write_turn(response.message, [], answer=True)
    body = {**_head(response), "message": message, **_end(response)}
    return WireReply(status=200, headers=_JSON, body=_json.encode(body))


def _head(response: Response) -> Wire:
    """The fields that an answer and each of its lines begin with."""
    kept = RESIDUES.of(response).get("created_at")
    return {"model": response.model, "created_at": kept or spelled_time(response.created)}


def _end(response: Response) -> Wire:
    """What is said when the answer is done."""
    facts = {key: value for key, value in RESIDUES.of(response).items() if key != "created_at"}
    finish = finish_word(response)
    reason = {} if finish is None else {"done_reason": finish}
    return {"done": True, **reason, **write_usage(response.usage), **facts}


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as lines; texts come in pieces of ``piece`` characters.

    Folding the stream gives the same Response, but for what no answer of this wire says: the border between two texts
    of one kind.
    """
    head = _head(response)
    calls = 0
    for part in response.parts:
        for fields in _pieces(part, calls, piece):
            yield _line({**head, "message": {"role": "assistant", "content": "", **fields}, "done": False})
        calls += isinstance(part, ToolCall)
    kept = Message(role="assistant", parts=(), provider_data=response.message.provider_data)
    yield _line({**head, "message": write_turn(kept, []), **_end(response)})


def _pieces(part: Part, calls: int, piece: int | None) -> Iterator[Wire]:
    """The fields of the messages that spell a part."""
    if RESIDUES.foreign(part):
        return
    match part:
        case Text() | Refusal():
            yield from ({"content": text} for text in in_pieces(part.text, piece))
        case Reasoning():
            yield from ({"thinking": text} for text in in_pieces(part.text, piece))
        case ToolCall():
            yield {"tool_calls": [write_call(part, [], place=calls)]}
        case Image():
            shown = write_turn(Message(role="assistant", parts=(part,)), [])
            yield {"images": shown["images"]}
        case _:  # no answer of any wire holds it
            return


def _line(value: Wire) -> bytes:
    return _json.encode(value) + b"\n"


# Errors.


def build_stream_error(info: ErrorInfo) -> bytes:
    """Spell an error that comes inside a stream, after a 200, as its last line."""
    return _json.encode(spell_stream_error(info)) + b"\n"


_JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
