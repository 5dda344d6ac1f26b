"""Answers of this wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

from typing import Any

from ...types import FinishReason, Message, Part, Response, Text
from .._kept import Wire, kept_fields
from ._messages import PLANNED, read_answer_call, read_content
from ._usage import parse_usage
from ._words import FINISH_REASONS, FINISH_WORDS, NAME, NO_ID, PLAN, RESIDUES

__all__ = ["MESSAGE_FIELDS", "finish_reason", "finish_word", "read_answer", "read_id"]

ANSWER_FIELDS = frozenset({"finish_reason", "id", "message", "usage"})
MESSAGE_FIELDS = frozenset({"content", "role", "tool_calls", PLAN})
"""The fields that are read; all that stand beside them are kept, unless null or empty."""


def read_answer(answer: Wire, message: Wire, body: bytes) -> Response:
    """Read one whole answer."""
    ours, raw = finish_reason(answer.get("finish_reason"))
    return Response(
        message=_read_message(message),
        finish_reason=ours,
        finish_reason_raw=raw,
        model="",  # no answer of this wire names it
        id=read_id(answer.get("id")),
        usage=parse_usage(answer.get("usage")),
        provider_data=RESIDUES.named(kept_fields(answer, ANSWER_FIELDS)),
        body=body,
    )


def _read_message(wire: Wire) -> Message:
    parts: list[Part] = [*read_content(wire.get("content"))]
    if isinstance(plan := wire.get(PLAN), str) and plan:
        parts.append(Text(text=plan, provider_data={NAME: PLANNED}))
    if isinstance(calls := wire.get("tool_calls"), list):
        parts += [read_answer_call(call) for call in calls if isinstance(call, dict)]
    kept = kept_fields(wire, MESSAGE_FIELDS)
    return Message(role="assistant", parts=tuple(parts), provider_data=RESIDUES.named(kept))


def read_id(value: Any) -> str | None:
    return value if isinstance(value, str) and value and value != NO_ID else None


def finish_reason(raw: object) -> tuple[FinishReason, str | None]:
    """Our word for a finish reason, and the raw one."""
    return (FINISH_REASONS.get(raw, "other"), raw) if isinstance(raw, str) and raw else ("other", None)


def finish_word(response: Response) -> str:
    """The raw finish reason, where it is one of this wire or none of ours; else this wire's word for ours."""
    raw, ours = response.finish_reason_raw, response.finish_reason
    if raw and FINISH_REASONS.get(raw, "other") == ours:
        return raw
    return FINISH_WORDS.get(ours, "ERROR")
