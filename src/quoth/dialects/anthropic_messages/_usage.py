"""The usage object of the Messages wire as disjoint buckets, and back.

The convention: ``input_tokens`` excludes what was read from a cache and what was written to one; ``output_tokens``
includes thinking. So a call read ``input_tokens + cache_read_input_tokens + cache_creation_input_tokens``, and the
buckets of a Usage that a provider stands for sum to that and to ``output_tokens``. ``cache_creation`` splits the
writes by lifetime; what it does not account for (all of it, where it is absent or was seen to be zeros) lives five
minutes, which is the default. The tokens of a compaction are billed and stand in ``iterations`` alone ("not included
in the top-level usage fields", says the SDK): they are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...types import Usage
from .._counts import reported_or_spelled, usage_word, whole_number, whole_numbers
from .._kept import Wire

__all__ = ["merge_usage", "parse_usage", "served", "write_usage"]

_FIELDS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")

_LIFETIMES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")

_NOTHING: Mapping[str, Any] = {}

MADE = "not_counted"
"""The counts that the server half had to make up, because clients demand them: they are read as absent."""


def parse_usage(reported: object) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is.

    ``missing`` where it has neither ``input_tokens`` nor ``output_tokens``; ``suspect``, with empty buckets, where a
    number cannot be one (negative, fractional, no number) or the parts exceed their whole.
    """
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    if isinstance(made := reported.get(MADE), list):
        return parse_usage({key: value for key, value in reported.items() if key != MADE and key not in made} or None)
    if reported.get("input_tokens") is None and reported.get("output_tokens") is None:
        return Usage(source="missing", reported=reported or None)
    usage = _partition(reported)
    return usage or Usage(source="suspect", reported=reported)


def _partition(reported: Wire) -> Usage | None:
    """The buckets; None where a count cannot be."""
    sums = [0, 0, 0, 0, 0]  # input, cache read, written for 5 minutes, for an hour, output
    for counted in (reported, *_compactions(reported)):
        counts = _counts(counted)
        if counts is None:
            return None
        sums = [sum_ + count for sum_, count in zip(sums, counts, strict=True)]
    thinking = _count(_object(reported, "output_tokens_details").get("thinking_tokens"))
    searches = _count(_object(reported, "server_tool_use").get("web_search_requests"))
    if thinking is None or searches is None or thinking > sums[4]:
        return None
    return Usage(
        input=sums[0],
        cache_read=sums[1],
        cache_write_5m=sums[2],
        cache_write_1h=sums[3],
        output=sums[4] - thinking,
        reasoning=thinking,
        web_searches=searches,
        reported=reported,
    )


def _compactions(reported: Wire) -> Iterator[Wire]:
    iterations = reported.get("iterations")
    for each in iterations if isinstance(iterations, list) else ():
        if isinstance(each, dict) and each.get("type") == "compaction":
            yield each


def _counts(counted: Wire) -> list[int] | None:
    """Input, cache read, written for 5 minutes, for an hour, output; None where one cannot be."""
    split = _object(counted, "cache_creation")
    counts = whole_numbers((*map(counted.get, _FIELDS), *map(split.get, _LIFETIMES)))
    if counts is None:
        return None
    plain, read, written, output, short, long = counts
    if counted.get("cache_creation_input_tokens") is None:
        written = short + long
    if short + long > written:
        return None
    return [plain, read, written - long, long, output]


def _object(holder: Wire, name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else _NOTHING


def _count(value: object) -> int | None:
    return 0 if value is None else whole_number(value)


def merge_usage(mine: object, later: object) -> object:
    """What a stream says of its usage, so far: counts are cumulative, so a later one replaces, and is never added.

    A later zero takes nothing away: some servers that resemble Anthropic's send it for what they said before.
    """
    if not isinstance(mine, dict) or not isinstance(later, dict):
        return later or (mine if mine is not None else later)
    return {**mine, **{key: merge_usage(mine.get(key), value) for key, value in later.items()}}


def served(reported: object) -> Wire:
    """How the answer was served, in the provider's words."""
    return {
        "service_tier": usage_word(reported, "service_tier"),
        "region": usage_word(reported, "inference_geo"),
        "speed": usage_word(reported, "speed"),
    }


def write_usage(usage: Usage) -> Wire:
    """Spell a usage: the object that was reported, where it was one of this wire, with every count that clients demand.

    What was not counted is a zero, and named as such.
    """
    wire = reported_or_spelled(usage, parse_usage, _spelled) or {}
    missing = [count for count in ("input_tokens", "output_tokens") if wire.get(count) is None]
    return {**wire, **dict.fromkeys(missing, 0), MADE: missing} if missing else wire


def _spelled(usage: Usage) -> Wire:
    """The buckets in this wire's words; it has none for sound and pictures, which are plain tokens here."""
    wire: Wire = {
        "input_tokens": usage.input + usage.input_audio + usage.input_image,
        "cache_read_input_tokens": usage.cache_read + usage.cache_read_audio,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h + usage.cache_write_12h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h + usage.cache_write_12h,
        },
        "output_tokens": usage.total_output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }
    if usage.web_searches:
        wire["server_tool_use"] = {"web_search_requests": usage.web_searches}
    return wire
