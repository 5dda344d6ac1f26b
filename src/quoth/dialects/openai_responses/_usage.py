"""The usage object of the Responses wire as disjoint buckets, and back.

The convention: ``input_tokens`` includes what was read from a cache and what was written to one; ``output_tokens``
includes reasoning. So the buckets of a Usage that a provider stands for sum to exactly these two. One departure is
told by the provider's own ``total_tokens``, which then is larger by just that count: reasoning outside of the output,
as xAI counts on its other wire.

Cache writes live 30 minutes or 12 hours here (``cache_write_tokens_details``): the first is the default lifetime of
this wire, which is ``cache_write_5m`` of a Usage whatever it is called, the second one of its own. Web searches are
billed by the call and stand in no usage of OpenAI: they are the completed items that searched. xAI counts them in its
usage too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...types import Usage
from .._counts import reported_or_spelled, whole_numbers
from .._kept import Wire

__all__ = ["count_searches", "parse_usage", "write_usage"]

_NO_DETAILS: Mapping[str, Any] = {}


def parse_usage(reported: object, searches: int = 0) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is. ``searches`` are those among the items.

    ``missing`` where it has neither ``input_tokens`` nor ``output_tokens``; ``suspect``, with empty buckets, where a
    number cannot be one (negative, fractional, no number) or the parts exceed their whole.
    """
    if reported is None:
        return Usage(source="missing", web_searches=searches)
    if not isinstance(reported, dict):
        return Usage(source="suspect", web_searches=searches)
    if reported.get("input_tokens") is None and reported.get("output_tokens") is None:
        return Usage(source="missing", web_searches=searches, reported=reported or None)
    counts = _counts(reported)
    usage = None if counts is None else _partition(counts, searches, reported)
    return usage or Usage(source="suspect", web_searches=searches, reported=reported)


def _counts(usage: Wire) -> list[int] | None:
    """The counts that ``_partition`` takes, zero where there is none; None where one cannot be."""
    read = _details(usage, "input_tokens_details")
    written = _details(read, "cache_write_tokens_details")
    out = _details(usage, "output_tokens_details")
    tools = _details(usage, "server_side_tool_usage_details")  # xAI
    return whole_numbers(
        (
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            usage.get("total_tokens"),
            read.get("cached_tokens"),
            read.get("cache_write_tokens"),
            _lifetime(written, "ttl_30m"),
            _lifetime(written, "ttl_12h"),
            read.get("audio_tokens"),
            out.get("reasoning_tokens"),
            out.get("audio_tokens"),
            out.get("image_tokens"),
            tools.get("web_search_calls"),
        )
    )


def _details(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = holder.get(name)
    return details if isinstance(details, dict) else _NO_DETAILS


def _lifetime(written: Mapping[str, Any], name: str) -> Any:
    """OpenAI's SDK (3.57) names them ``ttl_30m_tokens`` and ``ttl_12h_tokens``; the bare name was documented too."""
    value = written.get(f"{name}_tokens")
    return written.get(name) if value is None else value


def _partition(counts: list[int], searches: int, reported: Wire) -> Usage | None:
    """The buckets; None where the parts exceed their whole."""
    read, out, total, cached, written, short, long, heard, thought, sounded, drawn, counted = counts
    if thought and total - read - out == thought:
        out += thought
    written = written or short + long
    plain_input = read - cached - written - heard
    plain_output = out - thought - sounded - drawn
    if plain_input < 0 or plain_output < 0 or short + long > written:
        return None
    return Usage(
        input=plain_input,
        cache_read=cached,
        cache_write_5m=written - long,
        cache_write_12h=long,
        input_audio=heard,
        output=plain_output,
        reasoning=thought,
        output_audio=sounded,
        output_image=drawn,
        web_searches=searches or counted,
        reported=reported,
    )


def count_searches(items: Iterable[Any]) -> int:
    """The web searches among the items of an answer: complete calls, and no opening of a page."""
    searches = 0
    for item in items:
        if isinstance(item, dict) and item.get("type") == "web_search_call":
            whole = item.get("status", "completed") == "completed"
            searches += whole and _details(item, "action").get("type", "search") == "search"
    return searches


def write_usage(usage: Usage, searches: int = 0) -> Wire | None:
    """Spell a usage: the object that was reported, where it was one of this wire; None where there is none.

    ``searches`` are those that the items of the answer say.
    """
    return reported_or_spelled(
        usage, lambda reported: parse_usage(reported, searches), lambda mine: _spelled(mine, searches)
    )


def _spelled(usage: Usage, searches: int) -> Wire:
    """The buckets in this wire's words; pictures that were read are plain tokens here."""
    short, long = usage.cache_write_5m, usage.cache_write_1h + usage.cache_write_12h
    read: Wire = {"cached_tokens": usage.cache_read + usage.cache_read_audio, "cache_write_tokens": short + long}
    if long:
        read["cache_write_tokens_details"] = {"ttl_30m_tokens": short, "ttl_12h_tokens": long}
    if usage.input_audio:
        read["audio_tokens"] = usage.input_audio
    out: Wire = {"reasoning_tokens": usage.reasoning}
    out |= {f"{kind}_tokens": n for kind, n in (("audio", usage.output_audio), ("image", usage.output_image)) if n}
    wire: Wire = {
        "input_tokens": usage.total_input,
        "input_tokens_details": read,
        "output_tokens": usage.total_output,
        "output_tokens_details": out,
        "total_tokens": usage.total_input + usage.total_output,
    }
    if usage.web_searches != searches:  # of no item: told as xAI tells it
        wire["server_side_tool_usage_details"] = {"web_search_calls": usage.web_searches}
    return wire
