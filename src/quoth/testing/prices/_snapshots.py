"""Snapshots: what genai-prices made of a usage under its own table, beside what we make of it under the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ...types import TOKEN_BUCKETS, Cost, Usage
from ._tables import SPACE, Table, plain
from ._verdicts import Verdict

__all__ = ["check_snapshot", "usage_of"]


class Difference(NamedTuple):
    """``theirs`` and ``ours`` are amounts, None where there is none; ``found`` is the model that their clauses find."""

    theirs: Decimal | None
    ours: Cost
    found: Mapping[str, Any] | None
    usage: Mapping[str, int]
    same_table: bool


def check_snapshot(row: Mapping[str, Any], table: Table) -> Iterator[Verdict]:
    """One verdict for each of the expectations of a row."""
    at = datetime.fromisoformat(row["price_at"]).timestamp()
    for expected in row["expectations"]:
        provider: str = expected["provider_id"]
        model: str = row["model"] or ""
        found = table.model(provider, model) if model else None
        namespace, known = (f"{SPACE}{found[0]}", found[1]["id"]) if found else (OURS.get(provider, provider), model)
        usage = usage_of(expected["usage"])
        ours = _UNKNOWN
        if found or not table.providers:
            ours = table.prices.cost(namespace, known, usage, at=at)
        theirs = _total(expected)
        difference = Difference(theirs, ours, found[1] if found else None, expected["usage"], bool(table.providers))
        group = f"genai-prices snapshot, {provider}"
        detail = f"{provider}/{model}: theirs {_shown(theirs)}, ours {ours.explain()}"
        name = next((each for each, holds in CLASSES.items() if holds(difference)), None)
        if theirs == ours.usd:
            yield Verdict(row["id"], group, "equal", "the same amount" if theirs is not None else "no price", detail)
        else:
            yield Verdict(row["id"], group, "excepted" if name else "failed", name or "UNCLASSIFIED", detail)


_UNKNOWN = Cost(femto=None, kind="unknown", reason="TABLE has no row for it")

OURS = {"aws": "bedrock", "x-ai": "xai", "voyageai": "voyage", "moonshotai": "moonshot", "zhipuai": "zhipu"}
"""Their names of providers that are not ours."""


def _total(expected: Mapping[str, Any]) -> Decimal | None:
    if "input_price" not in expected:
        return None
    parts = Decimal(expected["input_price"]) + Decimal(expected["output_price"])
    return Decimal(expected.get("total_price", parts))


def _shown(amount: Decimal | None) -> str:
    return "none" if amount is None else f"${plain(amount)}"


def usage_of(counts: Mapping[str, int]) -> Usage:
    """Their record, whose totals include their parts, as buckets. Pictures that were read are plain input to them."""
    get = counts.get
    cached_audio, searches = get("cache_audio_read_tokens", 0), get("web_searches", 0)
    audio, cached = get("input_audio_tokens", 0) - cached_audio, get("cache_read_tokens", 0) - cached_audio
    long = get("cache_write_1h_tokens", 0)
    written = get("cache_write_tokens", get("cache_write_5m_tokens", 0) + long) - long
    reasoning, drawn = get("output_reasoning_tokens", 0), get("output_image_tokens", 0)
    sounded = get("output_audio_tokens", 0)
    return Usage(
        input=get("input_tokens", 0) - audio - cached - cached_audio - written - long,
        cache_read=cached,
        cache_read_audio=cached_audio,
        cache_write_5m=written,
        cache_write_1h=long,
        input_audio=audio,
        output=get("output_tokens", 0) - reasoning - drawn - sounded,
        reasoning=reasoning,
        output_image=drawn,
        output_audio=sounded,
        web_searches=searches,
    )


def _another_table(difference: Difference) -> bool:
    return not difference.same_table


def _row_came_later(difference: Difference) -> bool:
    return difference.found is None and difference.theirs is not None


def _rate_came_later(difference: Difference) -> bool:
    """Their amount has a rate of a bucket that their row in TABLE does not state."""
    return difference.theirs is not None and difference.ours.femto is None and bool(difference.ours.unpriced)


def _they_gave_none(difference: Difference) -> bool:
    """Their snapshot has no price though their row matches: it was written before the row was."""
    return difference.theirs is None and difference.found is not None


def _no_rates(difference: Difference) -> bool:
    """Their row states no rate at all, which they take for nothing and we for unknown."""
    return difference.theirs == 0 and difference.found is not None and difference.ours.rule is None


def _cannot_be(difference: Difference) -> bool:
    """Their record has parts above their whole."""
    usage = usage_of(difference.usage)
    return any(getattr(usage, bucket) < 0 for bucket in TOKEN_BUCKETS)


CLASSES: dict[str, Callable[[Difference], bool]] = {
    "TABLE is not the table of the snapshot, and prices it otherwise, or not": _another_table,
    "theirs: TABLE has no row for the model (pydantic/genai-prices#679: rows come and go between its versions)": (
        _row_came_later
    ),
    "ours: a count without a rate makes the amount unknown, where theirs takes another rate, or a later one": (
        _rate_came_later
    ),
    "theirs: their row matches the id, and the snapshot has no price": _they_gave_none,
    "ours: a row without rates is unknown, and not nothing": _no_rates,
    "ours: parts above their whole are not priced": _cannot_be,
}
"""Whose doing a difference is, and why."""
