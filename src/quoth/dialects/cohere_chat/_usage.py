"""The usage object of this wire as disjoint buckets, and back.

The convention: what is billed is ``billed_units``, and its two counts are the totals of input and output. ``tokens``
are what the model really read and wrote, with Cohere's own preamble and marks, and never money; ``cached_tokens`` are
a part of those. Reasoning is counted among ``tokens`` alone, but what was billed includes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import Usage
from .._counts import reported_or_spelled, whole_number
from .._kept import Wire

__all__ = ["parse_usage", "write_usage"]


def parse_usage(reported: object) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is.

    ``missing`` where it does not say what is billed; ``suspect``, with empty buckets, where one of the two counts
    cannot be one (negative, fractional, no number).
    """
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    billed = _object(reported, "billed_units")
    if billed.get("input_tokens") is None and billed.get("output_tokens") is None:
        return Usage(source="missing", reported=reported or None)
    read, written = _count(billed.get("input_tokens")), _count(billed.get("output_tokens"))
    if read is None or written is None:
        return Usage(source="suspect", reported=reported)
    reasoning = whole_number(_object(reported, "tokens").get("reasoning_tokens")) or 0
    if reasoning > written:  # counted otherwise than the bill: what is billed stays whole
        reasoning = 0
    return Usage(input=read, output=written - reasoning, reasoning=reasoning, reported=reported)


def _count(value: object) -> int | None:
    return 0 if value is None else whole_number(value)


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def write_usage(usage: Usage) -> Wire | None:
    """Spell a usage: the object that was reported, where it was one of this wire; None where there is none."""
    return reported_or_spelled(usage, parse_usage, _spelled)


def _spelled(usage: Usage) -> Wire:
    """The totals as billed and as raw counts, which is all that another wire says of them."""
    counts = {"input_tokens": usage.total_input, "output_tokens": usage.total_output}
    tokens = {**counts, "reasoning_tokens": usage.reasoning} if usage.reasoning else counts
    wire: Wire = {"billed_units": counts, "tokens": tokens}
    cached = usage.cache_read + usage.cache_read_audio
    return {**wire, "cached_tokens": cached} if cached else wire
