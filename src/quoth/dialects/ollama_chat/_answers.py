"""Answers of this wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

from typing import Any

from ...types import FinishReason, Message, Part, Reasoning, Response, Text, ToolCall
from .._kept import Wire, kept_fields
from .._times import read_time, write_time
from ._calls import made_id, read_answer_call
from ._messages import THOUGHT, read_images
from ._usage import parse_usage, reported_of
from ._words import COUNTS, FINISH_REASONS, FINISH_WORDS, RESIDUES

__all__ = [
    "ANSWER_FIELDS",
    "MESSAGE_FIELDS",
    "finish_reason",
    "finish_word",
    "kept_time",
    "read_answer",
    "spelled_time",
]

ANSWER_FIELDS = frozenset({"created_at", "done", "done_reason", "message", "model", *COUNTS})
MESSAGE_FIELDS = frozenset({"content", "images", "role", "thinking", "tool_calls"})
"""The fields that are read; all that stand beside them are kept, unless null or empty."""


def read_answer(answer: Wire, message: Wire, body: bytes) -> Response:
    """Read one whole answer."""
    model, said = answer.get("model"), answer.get("created_at")
    created = read_time(said)
    read = _read_message(message, created)
    calls = any(isinstance(part, ToolCall) for part in read.parts)
    ours, raw = finish_reason(answer.get("done_reason"), calls)
    return Response(
        message=read,
        finish_reason=ours,
        finish_reason_raw=raw,
        model=model if isinstance(model, str) else "",
        created=created,
        usage=parse_usage(reported_of(answer) or None),
        provider_data=RESIDUES.named({**kept_time(said, created), **kept_fields(answer, ANSWER_FIELDS)}),
        body=body,
    )


def _read_message(wire: Wire, created: int | None) -> Message:
    thoughts, text, calls = wire.get("thinking"), wire.get("content"), wire.get("tool_calls")
    parts: list[Part] = []
    if isinstance(thoughts, str) and thoughts:
        parts.append(Reasoning(text=thoughts, provider_data=THOUGHT))
    if isinstance(text, str) and text:
        parts.append(Text(text=text))
    parts += read_images(wire.get("images"))
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    parts += [read_answer_call(call, made_id(created, place)) for place, call in enumerate(found)]
    kept = kept_fields(wire, MESSAGE_FIELDS)
    return Message(role="assistant", parts=tuple(parts), provider_data=RESIDUES.named(kept))


# When it was made.


NO_TIME = "1970-01-01T00:00:00Z"
"""What stands for no time, where one must be said."""


def kept_time(said: Any, created: int | None) -> Wire:
    """When an answer was made, where that says more than the whole seconds that were read."""
    whole = said == NO_TIME or (created is not None and len(said) == len(NO_TIME))
    return {"created_at": said} if isinstance(said, str) and said and not whole else {}


def spelled_time(created: int | None) -> str:
    """As this wire writes a time."""
    return NO_TIME if created is None else write_time(created)


# How it ended.


def finish_reason(raw: object, calls: bool) -> tuple[FinishReason, str | None]:
    """Our word for a finish reason, and the raw one. With calls, ``stop`` waits for them."""
    if not isinstance(raw, str) or not raw:
        return "other", None
    ours = FINISH_REASONS.get(raw, "other")
    return "tool_calls" if calls and ours == "stop" else ours, raw


def finish_word(response: Response) -> str | None:
    """The raw finish reason, where it is one of this wire or none of ours; else this wire's word for ours, if any."""
    raw, ours = response.finish_reason_raw, response.finish_reason
    known = FINISH_REASONS.get(raw or "")
    if ours in ("other", known) or (known == "stop" and ours == "tool_calls"):
        return raw
    return FINISH_WORDS.get(ours)
