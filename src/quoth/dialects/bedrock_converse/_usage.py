"""The usage object of this wire as disjoint buckets, and back.

The convention: ``inputTokens`` excludes what was read from a cache and what was written to one, ``outputTokens``
includes reasoning, and ``totalTokens`` is the sum of all four (so it is in every recorded answer with a cache).
``cacheDetails`` split the writes by lifetime; what they do not account for lives five minutes, which is the default.
Some answers name the counts of the cache twice, the second time with ``Count`` at the end; they agree.
"""

from __future__ import annotations

from typing import Any

from ...types import Usage
from .._counts import reported_or_spelled, whole_number
from .._kept import Wire

__all__ = ["parse_usage", "write_usage"]

INPUT, OUTPUT, TOTAL = "inputTokens", "outputTokens", "totalTokens"
READ, WRITTEN = "cacheReadInputTokens", "cacheWriteInputTokens"
TWICE = {READ: "cacheReadInputTokenCount", WRITTEN: "cacheWriteInputTokenCount"}
DETAILS = "cacheDetails"

LIFETIMES = ("5m", "1h")

MADE = "notCounted"
"""The counts that the server half had to make up, because clients demand them: they are read as absent."""


def parse_usage(reported: object) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is.

    ``missing`` where it has neither ``inputTokens`` nor ``outputTokens``; ``suspect``, with empty buckets, where a
    number cannot be one (negative, fractional, no number), the parts exceed their whole, or the total is not the sum.
    """
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    if isinstance(made := reported.get(MADE), list):
        return parse_usage({key: value for key, value in reported.items() if key != MADE and key not in made} or None)
    if reported.get(INPUT) is None and reported.get(OUTPUT) is None:
        return Usage(source="missing", reported=reported or None)
    return _partition(reported) or Usage(source="suspect", reported=reported)


def _partition(reported: Wire) -> Usage | None:
    """The buckets; None where a count cannot be."""
    counts = [_count(reported, name) for name in (INPUT, OUTPUT, READ, WRITTEN)]
    plain, output, read, written = counts
    short, long = (_lived(reported.get(DETAILS), lifetime) for lifetime in LIFETIMES)
    if plain is None or output is None or read is None or written is None or short is None or long is None:
        return None
    total = reported.get(TOTAL)
    whole = total is None or whole_number(total) == plain + output + read + written
    if not whole or short + long > written:
        return None
    return Usage(
        input=plain,
        cache_read=read,
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=output,
        reported=reported,
    )


def _count(reported: Wire, name: str) -> int | None:
    value = reported.get(name)
    if value is None:
        value = reported.get(TWICE.get(name, ""))
    return 0 if value is None else whole_number(value)


def _lived(details: Any, lifetime: str) -> int | None:
    """The tokens that were written for so long; None where a count cannot be."""
    found = 0
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict) and entry.get("ttl") == lifetime:
            count = _count(entry, INPUT)
            if count is None:
                return None
            found += count
    return found


def write_usage(usage: Usage) -> Wire:
    """Spell a usage: the object that was reported, where it was one of this wire, with every count that clients demand.

    What was not counted is a zero, and named as such.
    """
    wire = reported_or_spelled(usage, parse_usage, _spelled) or {}
    missing = [count for count in (INPUT, OUTPUT, TOTAL) if wire.get(count) is None]
    return {**wire, **dict.fromkeys(missing, 0), MADE: missing} if missing else wire


def _spelled(usage: Usage) -> Wire:
    """The buckets in this wire's words; it has none for sound and pictures, which are plain tokens here."""
    long = usage.cache_write_1h + usage.cache_write_12h
    read, written = usage.cache_read + usage.cache_read_audio, usage.cache_write_5m + long
    plain = usage.total_input - read - written
    wire: Wire = {INPUT: plain, OUTPUT: usage.total_output, TOTAL: usage.total_input + usage.total_output}
    if read or written:
        wire |= {READ: read, WRITTEN: written}
    if long:
        lived = {"5m": usage.cache_write_5m, "1h": long}
        wire[DETAILS] = [{"ttl": lifetime, INPUT: count} for lifetime, count in lived.items() if count]
    return wire
