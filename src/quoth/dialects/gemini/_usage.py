"""The usage object of this wire as disjoint buckets, and back.

The convention: ``promptTokenCount`` includes what was read from a cache, and excludes what Google's own tools put
into the prompt (``toolUsePromptTokenCount``), which is billed as input. ``candidatesTokenCount`` excludes thoughts,
which are billed as output. The total is the sum of these four. The lists of modalities say what of a count was sound;
a missing one says that none was. Pictures that were read cost what text does; those that were made have their own
bucket, as has sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ...types import Usage
from .._counts import reported_or_spelled, whole_number, whole_numbers
from .._kept import Wire

__all__ = ["later_usage", "parse_usage", "served_tier", "with_searches", "write_usage"]

PROMPT, CANDIDATES, TOTAL = "promptTokenCount", "candidatesTokenCount", "totalTokenCount"
COUNTS = (PROMPT, CANDIDATES, "thoughtsTokenCount", "toolUsePromptTokenCount", "cachedContentTokenCount", TOTAL)

MODALITIES: dict[object, str] = {"AUDIO": "audio", "IMAGE": "image", 4: "audio", 2: "image"}
"""What has a bucket of its own, also by its number, which callers may ask for; all else counts as text."""

TIERS = ("trafficType", "serviceTier")
"""Where the usage says how the answer was served: Vertex's field, and AI Studio's."""


def parse_usage(reported: object) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is.

    ``missing`` where it has no count at all; ``suspect``, with empty buckets, where a number cannot be one (negative,
    fractional, no number), the parts exceed their whole, or the total is not their sum.
    """
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    if all(reported.get(name) is None for name in COUNTS):
        return Usage(source="missing", reported=reported or None)
    usage = _partition(reported)
    return usage or Usage(source="suspect", reported=reported)


def _partition(reported: Wire) -> Usage | None:
    """The buckets; None where a count cannot be."""
    counts = whole_numbers(map(reported.get, COUNTS))
    if counts is None:
        return None
    prompt, written, thoughts, tools, cached, total = counts
    heard = _modality(reported, "promptTokensDetails", "audio")
    heard_cached = _modality(reported, "cacheTokensDetails", "audio")
    heard_tools = _modality(reported, "toolUsePromptTokensDetails", "audio")
    spoken = _modality(reported, "candidatesTokensDetails", "audio")
    drawn = _modality(reported, "candidatesTokensDetails", "image")
    if heard is None or heard_cached is None or heard_tools is None or spoken is None or drawn is None:
        return None
    usage = Usage(
        input=prompt - cached - (heard - heard_cached) + tools - heard_tools,
        cache_read=cached - heard_cached,
        cache_read_audio=heard_cached,
        input_audio=heard - heard_cached + heard_tools,
        output=written - spoken - drawn,
        reasoning=thoughts,
        output_audio=spoken,
        output_image=drawn,
        reported=reported,
    )
    parts = (prompt - cached, tools - heard_tools, heard - heard_cached, usage.input, usage.cache_read, usage.output)
    whole = reported.get(TOTAL) is None or total == prompt + written + thoughts + tools
    return usage if whole and min(parts) >= 0 else None


def _modality(reported: Wire, name: str, modality: str) -> int | None:
    """The tokens of one modality in a list of them; None where one cannot be."""
    details = reported.get(name)
    found = 0
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict) and _known(entry.get("modality")) == modality:
            count = 0 if entry.get("tokenCount") is None else whole_number(entry["tokenCount"])
            if count is None:
                return None
            found += count
    return found


def _known(modality: object) -> str | None:
    return MODALITIES.get(modality) if isinstance(modality, (str, int)) else None


def later_usage(mine: object, later: object) -> object:
    """What a stream says of its usage, so far: it is cumulative, so a later one replaces it, unless it has no count."""
    if not isinstance(mine, dict) or not isinstance(later, dict):
        return later if later is not None else mine
    if any(later.get(name) is not None for name in COUNTS):
        return {**{name: mine[name] for name in TIERS if name in mine}, **later}
    return {**mine, **later}


def served_tier(reported: object) -> str | None:
    """How the answer was served, in Google's words."""
    said = [reported.get(name) for name in TIERS] if isinstance(reported, dict) else []
    return next((word for word in said if isinstance(word, str) and word), None)


def with_searches(usage: Usage, model: str, candidates: Iterable[Mapping[str, Any]]) -> Usage:
    """The usage with the web searches that its candidates name, counted as they are billed.

    Each different query counts since Gemini 3, and before it a prompt that was grounded, however many there were; empty
    ones do not count (Google's guide to grounding: "we ignore the empty web search queries when counting unique
    queries"). What a plan has for free is the account's business.
    """
    queries: set[str] = set()
    for candidate in candidates:
        grounding = candidate.get("groundingMetadata")
        said = grounding.get("webSearchQueries") if isinstance(grounding, Mapping) else None
        queries.update([query for query in said if isinstance(query, str) and query] if isinstance(said, list) else [])
    if not queries:
        return usage
    version = re.search(r"gemini-(\d{1,3})", model)
    by_prompt = version is not None and int(version[1]) < 3
    return replace(usage, web_searches=1 if by_prompt else len(queries))


def write_usage(usage: Usage, tier: str | None) -> Wire | None:
    """Spell a usage, with the tier in it: the object that was reported, where it was one of this wire; else None."""
    wire = reported_or_spelled(replace(usage, web_searches=0), parse_usage, _spelled)
    if tier is None or served_tier(wire) == tier:
        return wire
    return {**(wire or {}), TIERS[0] if tier.isupper() else TIERS[1]: tier}


def _spelled(usage: Usage) -> Wire:
    """The buckets in this wire's words; it has none for cache writes."""
    cached = usage.cache_read + usage.cache_read_audio
    written = usage.output + usage.output_audio + usage.output_image
    wire: Wire = {PROMPT: usage.total_input, CANDIDATES: written, TOTAL: usage.total_input + usage.total_output}
    if usage.reasoning:
        wire["thoughtsTokenCount"] = usage.reasoning
    if cached:
        wire["cachedContentTokenCount"] = cached
    heard = usage.input_audio + usage.cache_read_audio
    for name, whole, parts in (
        ("promptTokensDetails", usage.total_input, {"AUDIO": heard, "IMAGE": usage.input_image}),
        ("cacheTokensDetails", cached, {"AUDIO": usage.cache_read_audio}),
        ("candidatesTokensDetails", written, {"AUDIO": usage.output_audio, "IMAGE": usage.output_image}),
    ):
        counted = {"TEXT": whole - sum(parts.values()), **parts}
        if whole:
            wire[name] = [{"modality": kind, "tokenCount": count} for kind, count in counted.items() if count]
    return wire
