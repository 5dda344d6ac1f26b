"""The server half of Gemini's generateContent: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ... import _json
from ...errors import InputError
from ...types import Candidate, Message, ModelRequest, Part, Reasoning, Response, Text
from ...wire import ErrorInfo, Headers, WireReply, WireRequest
from .._errors import spelled_as, wait_headers
from .._kept import Wire, overlay, residue
from .._paths import unquoted
from .._requests import json_object
from .._streams import in_pieces
from .._times import write_time
from ._answers import CREATED, finish_word
from ._contents import read_contents, read_system
from ._errors import DETAILS, KIND_WORDS, parse_error
from ._parameters import read_parameters, write_parameters
from ._parts import residue_of, write_part
from ._spelling import BODY, camelled, with_marks
from ._usage import write_usage
from ._words import FORM, NAME, RESIDUES
from .client import COLLECTIONS

__all__ = ["build_array", "build_error", "build_events", "build_response", "build_stream_error", "parse_request"]


# Requests.


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request. What has no name in a ModelRequest stands in ``extra``, also a value of an odd type.

    Raises:
        InputError: the body is no JSON object, or has no contents, or nothing names a model.
    """
    body = json_object(request)
    model, stream = _target(request.path, body)
    rest, marks = camelled(body, BODY)
    messages = _messages(rest)
    read = ModelRequest(model=model, messages=messages, stream=stream, **read_parameters(rest))
    extra = with_marks(residue(rest, write_parameters(read, [])), marks)
    return msgspec.structs.replace(read, extra=extra)


def _target(path: str, body: Wire) -> tuple[str, bool]:
    """The model, and whether its answer is a stream: both stand in the path."""
    head, _, verb = path.partition("?")[0].rpartition(":")
    _, found, name = head.rpartition("/models/")
    if not found:
        collection = next((each for each in COLLECTIONS if f"/{each}" in head), None)
        name = head[head.rindex(f"/{collection}") + 1 :] if collection else head.removeprefix("models/")
    if not name and isinstance(body.get("model"), str):
        name = body["model"].removeprefix("models/")
    if not name:
        raise InputError("the request names no model: it stands in the path, /v1beta/models/MODEL:generateContent")
    return unquoted(name), verb == "streamGenerateContent"


def _messages(rest: Wire) -> tuple[Message, ...]:
    """The conversation, taken out of the body."""
    contents = rest.pop("contents", None)
    alone = isinstance(contents, dict)
    if alone:
        contents = [contents]
    if not isinstance(contents, list) or not all(isinstance(content, dict) for content in contents):
        raise InputError("the request has no contents: 'contents' must be a list of objects")
    system = read_system(rest.get("systemInstruction"))
    if system is not None:
        del rest["systemInstruction"]
    messages = read_contents(contents, form={FORM: "object"} if alone else {})
    return messages if system is None else (system, *messages)


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer. A field that the Response does not know (its id) is left out."""
    candidates = []
    for index, candidate in enumerate(_candidates(response)):
        parts = [write_part(part, []) for part in candidate.message.parts if not RESIDUES.foreign(part)]
        wire = _candidate(candidate, index, parts)
        if (finish := finish_word(candidate)) is not None:
            wire["finishReason"] = finish
        candidates.append(overlay(wire, residue_of(candidate)))
    body: Wire = {"candidates": candidates}
    if (usage := write_usage(response.usage, response.service_tier)) is not None:
        body["usageMetadata"] = usage
    return WireReply(status=200, headers=_JSON, body=_json.encode({**body, **_head(response), **_facts(response)}))


def _candidates(response: Response) -> list[Candidate]:
    """The answer and its further candidates, each with what is kept of it."""
    said = residue_of(response).get("candidates")
    kept = said if isinstance(said, list) and said else [{}]  # else a reader found no list there
    first = Candidate(
        message=response.message,
        finish_reason=response.finish_reason,
        finish_reason_raw=response.finish_reason_raw,
        provider_data={NAME: kept[0]},
    )
    return [first, *response.candidates]


def _candidate(candidate: Candidate, index: int, parts: list[Wire]) -> Wire:
    content = overlay({"role": "model", "parts": parts}, residue_of(candidate.message))
    return {"content": content, "index": index}


def _head(response: Response) -> Wire:
    known = response.created is not None and CREATED not in residue_of(response)
    created = write_time(response.created or 0) if known else None
    head = {CREATED: created, "modelVersion": response.model, "responseId": response.id}
    return {key: value for key, value in head.items() if value}


def _facts(response: Response) -> Wire:
    """The fields of the body that have no name in a Response."""
    return {key: value for key, value in residue_of(response).items() if key != "candidates"}


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of events; texts come in pieces of ``piece`` characters.

    Folding the stream gives the same Response, but for what no stream of this wire says: the border between two texts
    of one kind, and empty texts.
    """
    for chunk in _chunks(response, piece):
        yield b"data: " + _json.encode(chunk) + b"\r\n\r\n"


def build_array(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """The same stream as Google sends it without ``alt=sse``: one JSON array."""
    before = b"["
    for chunk in _chunks(response, piece):
        yield before + _json.encode(chunk)
        before = b"\n,\r\n"
    yield b"\n]\n"


def _chunks(response: Response, piece: int | None) -> Iterator[Wire]:
    usage = write_usage(response.usage, response.service_tier)
    head, facts = _head(response), _facts(response)
    candidates = _candidates(response)
    for index, candidate in enumerate(candidates):
        for part in candidate.message.parts:
            for wire in _pieces(part, piece):
                yield {"candidates": [_candidate(candidate, index, [wire])], **head, **facts}
                facts = {}
        last = _candidate(candidate, index, [])
        last["finishReason"] = finish_word(candidate) or "OTHER"
        chunk = {"candidates": [overlay(last, residue_of(candidate))], **head, **facts}
        if usage is not None and index == len(candidates) - 1:
            chunk["usageMetadata"] = usage
        yield chunk


def _pieces(part: Part, piece: int | None) -> Iterator[Wire]:
    """The parts of the wire that spell one; one that keeps anything beside its text is not cut."""
    if RESIDUES.foreign(part):
        return
    if residue_of(part) or not isinstance(part, (Text, Reasoning)):
        yield write_part(part, [])
        return
    for text in in_pieces(part.text, piece):
        yield write_part(msgspec.structs.replace(part, text=text), [])


# Errors.


def build_error(info: ErrorInfo) -> WireReply:
    """Spell an error so that ``parse_error`` finds its kind again."""
    return spelled_as(info, KIND_WORDS, _error, parse_error)


def build_stream_error(info: ErrorInfo) -> bytes:
    """Spell an error that comes inside a stream, after a 200."""
    return b"data: " + build_error(info).body + b"\r\n\r\n"


def _error(info: ErrorInfo, status: int, word: str, reason: str | None) -> WireReply:
    details: list[Wire] = []
    if reason is not None:
        details.append({"@type": f"{DETAILS}ErrorInfo", "reason": reason, "domain": "googleapis.com"})
    if info.param is not None:
        details.append({"@type": f"{DETAILS}BadRequest", "fieldViolations": [{"field": info.param}]})
    if info.retry_after is not None:
        details.append(
            {"@type": f"{DETAILS}RetryInfo", "retryDelay": f"{info.retry_after:.9f}".rstrip("0").rstrip(".") + "s"}
        )
    error: Wire = {"code": status, "message": info.message, "status": word}
    if details:
        error["details"] = details
    headers = _JSON
    if info.request_id:
        headers += (("x-request-id", info.request_id),)
    return WireReply(
        status=status, headers=headers + wait_headers(info.retry_after), body=_json.encode({"error": error})
    )


_JSON: Headers = (("content-type", "application/json; charset=UTF-8"),)
