"""Ollama's own chat, read independently.

Usage: ``prompt_eval_count`` is the input, ``eval_count`` the output; they stand in the answer itself, and in the last
line of a stream. A time says something beside its seconds only where it has a fraction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .._reading import Call, Leaf, OneAnswer, Reading, any_number, counted, empty, leaves, whole_count
from ._events import Event, events_of
from ._json import object_in, objects_in, word
from ._mutable import MutableLeaves
from ._usage import usage_fields

__all__ = ["MUTABLE", "end", "finished", "is_answer", "stream", "whole"]

COUNTS = (
    "eval_count", "eval_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "total_duration",
)  # fmt: skip
BODY = frozenset({"created_at", "done", "done_reason", "message", "model", *COUNTS})
MESSAGE = frozenset({"content", "images", "role", "thinking", "tool_calls"})


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:  # noqa: ARG001  # the Protocol's
    """Where a stream's answer is complete: with the line that is done."""
    return next((event.end for event in events if object_in(event.value).get("done") is True), None)


def finished(reading: Reading) -> bool:  # noqa: ARG001  # the Protocol's
    """Whether a stream without such a line is whole: never."""
    return False


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer."""
    return isinstance(answer.get("message"), dict)


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    reading = _reading([answer])
    reading.said = counted(leaves(answer))
    return reading


def stream(body: bytes) -> Reading:
    """What a stream says: the pieces of its lines, and the end that the last one tells."""
    lines = [value for event in events_of(body) if isinstance(value := event.value, dict)]
    reading = _reading(lines)
    reading.said = any_number(counted(leaves(lines)))
    return reading


def _reading(lines: Sequence[Mapping[str, Any]]) -> Reading:
    messages = [object_in(line.get("message")) for line in lines]
    first = lines[0] if lines else {}
    created = _seconds(first.get("created_at"))
    found = [call for message in messages for call in objects_in(message.get("tool_calls"))]
    calls = tuple([_call(call, f"ollama_{created}_{place}") for place, call in enumerate(found)])
    merged = {key: value for line in lines for key, value in line.items() if value is not None}
    raw = word(merged.get("done_reason"))
    finish = raw if raw in ("stop", "length") else "other"
    return Reading(
        answer=OneAnswer(
            text=_joined(messages, "content"),
            reasoning=_joined(messages, "thinking"),
            calls=calls,
            finish="tool_calls" if calls and finish == "stop" else finish,
            finish_raw=raw,
        ),
        model=word(first.get("model")) or "",
        created=created,
        rest=counted([*_time_rest(first.get("created_at")), *_rest(merged), *_messages_rest(messages)]),
        **usage_fields(
            {name: merged[name] for name in COUNTS if name in merged},
            ("prompt_eval_count", "eval_count"),
            _buckets,
            _totals,
        ),
    )


def _joined(messages: Sequence[Mapping[str, Any]], field: str) -> str:
    return "".join([word(message.get(field)) or "" for message in messages])


def _call(call: Mapping[str, Any], made: str) -> Call:
    """A call; ``made`` is what one without an id is called, which is never sent."""
    function = object_in(call.get("function"))
    return Call(id=word(call.get("id")) or made, name=word(function.get("name")) or "", arguments=function["arguments"])


def _time(created: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(created)
    except (TypeError, ValueError):
        return None


def _seconds(created: Any) -> int | None:
    """When it was made; 1970 is no time."""
    time = _time(created)
    return None if time is None else int(time.timestamp() // 1) or None


def _time_rest(created: Any) -> Iterator[Leaf]:
    time = _time(created)
    if time is not None and time.microsecond:
        yield "created_at", created


def _rest(merged: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in merged.items():
        if key not in BODY and not empty(value):
            yield from leaves(value, key)


def _messages_rest(messages: Sequence[Mapping[str, Any]]) -> Iterator[Leaf]:
    for message in messages:
        yield from leaves({key: value for key, value in message.items() if key not in MESSAGE})
        for call in objects_in(message.get("tool_calls")):
            inner = object_in(call.get("function"))
            yield from leaves({key: value for key, value in call.items() if key not in ("id", "function")})
            known = ("arguments", "index", "name")
            yield from leaves({key: value for key, value in inner.items() if key not in known})


def _buckets(usage: Mapping[str, Any]) -> dict[str, int] | None:
    read, written = whole_count(usage.get("prompt_eval_count")), whole_count(usage.get("eval_count"))
    return None if read is None or written is None else {"input": read, "output": written}


def _totals(usage: Mapping[str, Any]) -> tuple[int, int]:
    return whole_count(usage.get("prompt_eval_count")) or 0, whole_count(usage.get("eval_count")) or 0


# What a mutation leaves alone, and where it strikes.

_UNREAD = {
    "$.message.role": "an answer is the assistant's",
    "$.message.tool_calls[*].function.index": "a number, not a call",
}

MUTABLE = MutableLeaves(
    unread=_UNREAD,
    unread_in_streams=_UNREAD,
    unread_in_errors={},
    unit=r"(?!)",
    growing=("$.message", "$.done"),
    told=("$.message.content", "$.message.thinking"),
    first=frozenset({"$.created_at", "$.model"}),
)
