"""Answers of this wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import APIStatusError
from ...types import Candidate, FinishReason, Message, Part, Response, ToolCall
from ...wire import ErrorInfo
from .._errors import error_from
from .._kept import Wire, kept_fields
from .._times import read_time, write_time
from ._errors import BLOCKED
from ._parts import made_id, read_part, residue_of
from ._usage import parse_usage, served_tier, with_searches
from ._words import FINISH_REASONS, FINISH_WORDS, RESIDUES

__all__ = [
    "ANSWER_FIELDS",
    "CREATED",
    "answer_data",
    "blocked",
    "entries",
    "finish_reason",
    "finish_word",
    "is_blocked",
    "kept_of_answer",
    "kept_of_candidate",
    "kept_of_content",
    "listed",
    "read_answer",
    "read_word",
    "where_made",
]

_TYPES: Mapping[str, type] = {"candidates": list, "modelVersion": str, "responseId": str, "usageMetadata": dict}
ANSWER_FIELDS = frozenset(_TYPES)
CREATED = "createTime"
_WHOLE_SECONDS = len("2026-05-27T16:53:45Z")
CANDIDATE_FIELDS = frozenset({"content", "finishReason", "index"})
"""The fields that are read; all that stand beside them are kept, unless null or empty."""


def read_answer(answer: Wire, body: bytes | None) -> Response:
    """Read one whole answer; one without a candidate has said nothing."""
    id_, model = read_word(answer.get("responseId")), read_word(answer.get("modelVersion")) or ""
    found = [_read_candidate(candidate, id_, place) for place, candidate in enumerate(listed(answer.get("candidates")))]
    first, *others = found or [Candidate(message=Message(role="assistant", parts=()), finish_reason="other")]
    reported = answer.get("usageMetadata")
    return Response(
        message=first.message,
        finish_reason=first.finish_reason,
        finish_reason_raw=first.finish_reason_raw,
        model=model,
        id=id_,
        created=read_time(answer.get(CREATED)),
        usage=with_searches(parse_usage(reported), model, [residue_of(candidate) for candidate in found]),
        service_tier=served_tier(reported),
        candidates=tuple(others),
        provider_data=answer_data(kept_of_answer(answer), residue_of(first)),
        body=body,
    )


def listed(value: Any) -> list[Wire]:
    """The objects of a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def read_word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def kept_of_answer(answer: Wire) -> Wire:
    """The fields of a body that have no name in a Response, and those that are of an odd type or say more than it."""
    kept = kept_fields(answer, ANSWER_FIELDS)
    if len(str(kept.get(CREATED))) == _WHOLE_SECONDS and write_time(read_time(kept[CREATED]) or 0) == kept[CREATED]:
        del kept[CREATED]
    for name, type_ in _TYPES.items():
        if (said := answer.get(name)) is not None and not isinstance(said, type_):
            kept[name] = said
    return kept


def answer_data(kept: Wire, first: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Response keeps, laid out as on the wire: ``candidates[0]`` holds what was left of the first candidate."""
    return RESIDUES.named({**kept, "candidates": [first]} if first else kept)


# Candidates.


def _read_candidate(candidate: Wire, answer_id: str | None, place: int) -> Candidate:
    content = candidate.get("content")
    parts: list[Part] = []
    calls = 0
    for wire in entries(content):
        part = read_part(wire, made_id(where_made(answer_id, place), calls))
        calls += isinstance(part, ToolCall)
        parts.append(part)
    ours, raw = finish_reason(candidate.get("finishReason"), calls > 0)
    return Candidate(
        message=Message(role="assistant", parts=tuple(parts), provider_data=RESIDUES.named(kept_of_content(content))),
        finish_reason=ours,
        finish_reason_raw=raw,
        provider_data=RESIDUES.named(kept_of_candidate(candidate)),
    )


def where_made(answer_id: str | None, place: int) -> str:
    """What tells the calls of a candidate from all others, for the ids of those that have none."""
    return f"{answer_id or 'answer'}{f'_{place}' if place else ''}"


def entries(content: object) -> list[Wire]:
    """The parts of a content of an answer; what is no object is kept with the candidate."""
    spelled = content.get("parts") if isinstance(content, dict) else None
    return [spelled] if isinstance(spelled, dict) else listed(spelled)


def kept_of_content(content: object) -> Wire:
    """What a message keeps of its content: it goes back with it. That a model spoke says nothing."""
    if not isinstance(content, dict):
        return {}
    kept = kept_fields(content, _CONTENT_FIELDS)
    role = content.get("role")
    return {**kept, "role": role} if role and role != "model" else kept


_CONTENT_FIELDS = frozenset({"parts", "role"})


def kept_of_candidate(candidate: Wire) -> Wire:
    """What a candidate keeps, also of fields that are of an odd type."""
    kept = kept_fields(candidate, CANDIDATE_FIELDS)
    content, finish = candidate.get("content"), candidate.get("finishReason")
    if _is_odd(content):
        kept["content"] = content
    if finish is not None and (isinstance(finish, bool) or not isinstance(finish, (str, int))):
        kept["finishReason"] = finish
    return kept


def _is_odd(content: object) -> bool:
    """Whether a content holds something that is no object where a part should be."""
    spelled = content.get("parts") if isinstance(content, dict) else content
    if not spelled or (isinstance(spelled, dict) and spelled is not content):
        return False
    return not isinstance(spelled, list) or not all(isinstance(entry, dict) for entry in spelled)


def finish_reason(raw: object, calls: bool) -> tuple[FinishReason, str | None]:
    """Our word for a finish reason, and the raw one, also where it is a number. With calls, STOP waits for them."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str) or not raw:
        return "other", None
    ours = FINISH_REASONS.get(raw, "other")
    return "tool_calls" if calls and ours == "stop" else ours, raw


def finish_word(candidate: Candidate) -> str | int | None:
    """The raw finish reason, where it is one of this wire or none of ours; else this wire's word for ours, if any."""
    raw, ours = candidate.finish_reason_raw, candidate.finish_reason
    known = FINISH_REASONS.get(raw or "")
    if raw and (ours in ("other", known) or (known == "stop" and ours == "tool_calls")):
        return int(raw) if raw.isdecimal() and len(raw) < 10 else raw
    return FINISH_WORDS.get(ours)


# Prompts that were refused.


def is_blocked(answer: Wire) -> bool:
    """Whether an answer says that its prompt was refused: then it has no candidate."""
    feedback = answer.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def blocked(answer: Wire, partial: Response) -> APIStatusError:
    """The error of such an answer; ``partial`` has its usage, and what else it says."""
    feedback = answer["promptFeedback"]
    reason = str(feedback["blockReason"])[:200]
    why = read_word(feedback.get("blockReasonMessage"))
    info = ErrorInfo(
        kind=BLOCKED,
        message=f"the prompt was blocked ({reason})" + (f": {why}" if why else ""),
        status=200,
        code=reason,
    )
    error = error_from(info)
    error.partial = partial
    return error
