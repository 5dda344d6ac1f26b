"""What an answer says, read from its raw JSON by somebody who knows nothing of the dialects, and the comparison.

A *leaf* is a value in JSON that holds no others, with the name of the field that it stands in. What a reader
takes into a named field of ``Reading`` is compared there; every other leaf that says something must be kept in the
Response's ``provider_data``, and nothing may stand there that was not said.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field
from msgspec.structs import asdict

from ...types import Audio, Candidate, Document, Image, Message, Reasoning, Refusal, Response, Text, ToolCall, Usage

__all__ = [
    "COUNTS",
    "Call",
    "Difference",
    "Leaf",
    "OneAnswer",
    "Reading",
    "any_number",
    "compare",
    "counted",
    "differing_calls",
    "empty",
    "leaves",
    "same_json",
    "whole_count",
]

Leaf: TypeAlias = tuple[str, Any]
"""The name of a field, and the value that stands in it, or in a list in it."""

COUNTS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "cache_read_audio", "input_image",
    "output", "reasoning", "output_audio", "output_image", "web_searches",
)  # fmt: skip


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be."""

    check: str
    what: str
    expected: Any = None
    found: Any = None

    def __str__(self) -> str:
        return f"{self.check}: {self.what}: expected {_short(self.expected)}, found {_short(self.found)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:110]} ... {text[-45:]}"


class Call(Struct, frozen=True, kw_only=True):
    """A tool call: its arguments as text, or as the object that stands on the wire."""

    id: str
    name: str
    arguments: Any


class OneAnswer(Struct, kw_only=True):
    """What one candidate says."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    media: tuple[tuple[str | None, bytes | str | None], ...] = ()
    """Pictures, sounds and files that were made, each with its type: their bytes, or their address."""
    finish: str = "other"
    finish_raw: str | None = None


class Reading(Struct, kw_only=True):
    """What an answer says. ``rest`` are the leaves that must be kept; ``said`` all that may be."""

    answer: OneAnswer
    others: tuple[OneAnswer, ...] = ()
    id: str | None = None
    model: str = ""
    created: int | None = None
    tier: str | None = None
    region: str | None = None
    speed: str | None = None
    reported: Any = None
    """The usage object as it was sent, of a stream as it stands at the end."""
    source: str = "missing"
    counts: Mapping[str, int] = {}
    """The buckets, where ``source`` is ``provider``: the others have none."""
    total: tuple[int, int] | None = None
    """The provider's own total of input and output by the convention of the wire, where it states them."""
    rest: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    joined: Mapping[str, str | None] = {}
    """Texts among what is kept that a stream sends in pieces: by field, all of them together; None for sound."""


# Leaves.


def leaves(value: Any, key: str = "") -> Iterator[Leaf]:
    """All leaves of a JSON value. Null says nothing. A key that begins with a colon is a note of ours, unless it
    holds an object: then that is the wire's."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not name.startswith(":") or isinstance(item, Mapping):
                yield from leaves(item, name)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item, key)
    elif value is not None:
        yield key, value


def counted(found: Iterator[Leaf] | list[Leaf]) -> Counter[str]:
    """Leaves as texts that can be counted: 1, 1.0 and true are three things."""
    return Counter(f"{key}={value!r}" for key, value in found)


def any_number(said: Counter[str]) -> Counter[str]:
    """Leaves that a stream says again and again, and whose number says nothing."""
    return Counter(dict.fromkeys(said, sys.maxsize))


def empty(value: Any) -> bool:
    """Whether a field says nothing: null, or empty. Zero and false say something."""
    return value is None or value in ("", [], {})


def whole_count(value: Any) -> int | None:
    """A count of tokens; None for what cannot be one. Absent is zero."""
    if value is None:
        return 0
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    good = isinstance(whole, int) and not isinstance(whole, bool) and 0 <= whole <= 2**53
    return int(whole) if good else None


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, types included."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


# Comparing.


def compare(reading: Reading, response: Response, check: str) -> list[Difference]:
    """All that a Response says otherwise than the reading of the same bytes does."""
    pairs: list[tuple[str, Any, Any]] = [
        ("id", reading.id, response.id),
        ("model", reading.model, response.model),
        ("created", reading.created, response.created),
        ("service tier", reading.tier, response.service_tier),
        ("region", reading.region, response.region),
        ("speed", reading.speed, response.speed),
        *_usage_pairs(reading, response.usage),
    ]
    found = [_difference(check, what, said, ours) for what, said, ours in pairs if said != ours]
    found += _compare_answer(reading.answer, response, check, "")
    found += _compare_others(reading, response, check)
    return found + _compare_rest(reading, response, check)


def _difference(check: str, what: str, expected: Any, found: Any) -> Difference:
    return Difference(check=check, what=what, expected=expected, found=found)


def _usage_pairs(reading: Reading, usage: Usage) -> Iterator[tuple[str, Any, Any]]:
    ours = {name: getattr(usage, name) for name in COUNTS if getattr(usage, name)}
    yield "reported usage", _without_nulls(reading.reported), _without_nulls(usage.reported)
    yield "source of usage", reading.source, usage.source
    yield "buckets", {name: count for name, count in reading.counts.items() if count}, ours
    if reading.total is not None:
        yield "totals of input and output", reading.total, (usage.total_input, usage.total_output)


def _without_nulls(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A usage object without the fields that say nothing: a stream's later null takes nothing back."""
    return None if usage is None else {key: value for key, value in usage.items() if value is not None}


def _compare_answer(said: OneAnswer, ours: Response | Candidate, check: str, which: str) -> list[Difference]:
    message = ours.message
    pairs = (
        ("text", said.text, _texts(message, Text)),
        ("reasoning", said.reasoning, _texts(message, Reasoning)),
        ("refusal", said.refusal, _texts(message, Refusal)),
        ("media", said.media, tuple(_media(message))),
        ("finish reason", said.finish, ours.finish_reason),
        ("raw finish reason", said.finish_raw, ours.finish_reason_raw),
    )
    found = [_difference(check, f"{which}{what}", one, other) for what, one, other in pairs if one != other]
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if differing_calls(said.calls, calls):
        found.append(_difference(check, f"{which}tool calls", [asdict(call) for call in said.calls], calls))
    return found


def _texts(message: Message, kind: type[Text | Reasoning | Refusal]) -> str:
    return "".join([part.text for part in message.parts if isinstance(part, kind)])


def _media(message: Message) -> Iterator[tuple[str | None, bytes | str | None]]:
    for part in message.parts:
        if isinstance(part, (Image, Audio, Document)):
            url = None if isinstance(part, Audio) else part.url
            yield part.media_type, url if part.data is None else part.data


def differing_calls(said: tuple[Call, ...], ours: list[ToolCall]) -> bool:
    """Whether any call differs: text letter by letter, an object by what it says."""
    if len(said) != len(ours):
        return True
    return any(
        (one.id, one.name) != (other.id, other.name) or not _same_arguments(one.arguments, other.arguments)
        for one, other in zip(said, ours, strict=True)
    )


def _same_arguments(said: Any, ours: str) -> bool:
    if isinstance(said, str):
        return said == ours
    try:
        return same_json(said, json.loads(ours))
    except ValueError:
        return False


def _compare_others(reading: Reading, response: Response, check: str) -> list[Difference]:
    """Further candidates: their number, and what each says."""
    said, ours = reading.others, response.candidates
    if len(said) != len(ours):
        return [_difference(check, "number of further candidates", len(said), len(ours))]
    found: list[Difference] = []
    for number, (one, other) in enumerate(zip(said, ours, strict=True), 2):
        found += _compare_answer(one, other, check, f"candidate {number}: ")
    return found


def _compare_rest(reading: Reading, response: Response, check: str) -> list[Difference]:
    """What has no name in a Response: nothing is lost of it, and nothing invented."""
    ours = list(_kept(response))
    found = counted(ours)
    lost = reading.rest - found
    differences = [_difference(check, "lost", dict(lost), None)] if lost else []
    whole = counted([leaf for leaf in ours if leaf[0] not in reading.joined])
    if invented := whole - reading.said:
        differences.append(_difference(check, "kept, but never said", None, dict(invented)))
    for name, text in reading.joined.items():
        joined = "".join([value for key, value in ours if key == name and isinstance(value, str)])
        if text not in (None, joined):
            differences.append(_difference(check, f"{name} in pieces", text, joined))
    return differences


def _kept(response: Response) -> Iterator[Leaf]:
    """The leaves of everything that a Response keeps beside its named fields."""
    holders = [response.provider_data, response.message.provider_data]
    holders += [part.provider_data for part in response.message.parts]
    for candidate in response.candidates:
        holders += [candidate.provider_data, candidate.message.provider_data]
        holders += [part.provider_data for part in candidate.message.parts]
    for data in holders:
        for name in data:
            yield from leaves(data[name])
