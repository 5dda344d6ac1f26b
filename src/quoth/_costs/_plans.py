"""From a row of prices to a plan: text becomes integers once, and a call then only picks among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from ..errors import clean
from ..types import EVENT_BUCKETS, TOKEN_BUCKETS, CostBasis, CostKind, PriceRule

__all__ = [
    "BUCKETS",
    "FIELDS",
    "OPTIONS",
    "Facts",
    "Period",
    "Plan",
    "Priced",
    "RateSet",
    "Row",
    "exact_product",
    "femto_of",
    "free_plan",
    "plan_of",
    "window_of",
]

BUCKETS = (*TOKEN_BUCKETS, *EVENT_BUCKETS)

OPTIONS = ("low", "medium", "high")
"""Sizes of search context, by which a fee for each request may differ (Perplexity)."""

FIELDS = {
    **{bucket: bucket for bucket in TOKEN_BUCKETS if bucket != "cache_write_5m"},
    "cache_write": "cache_write_5m",
    "web_search_per_1000": "web_searches",
    "file_search_per_1000": "file_searches",
    "request_per_1000": "requests",
}
"""The fields of a row that price a bucket. ``request_low_per_1000`` and its like price it for one of ``OPTIONS``."""

_PER_1000 = 1_000
"""Fees are stated per 1,000 events: this many times the tokens' per 1,000,000."""

_STAND_INS = {
    # Hidden reasoning is billed as output, by xAI to the tick (the tests hold its own bills beside ours), and few
    # rows have a rate of its own for it.
    "reasoning": "output",
    # The plain input rate covers images wherever they are not priced apart (pydantic/genai-prices reads it so too).
    "input_image": "input",
}
"""Whose rate a bucket takes in a row that never states one for it. Audio and cache writes have none."""

_LIST_PRICE_TIERS = frozenset({"", "default", "standard", "auto", "on_demand", "standard_only"})
"""Tiers that mean the list price: OpenAI and most others, Anthropic and Gemini, OpenAI, Groq and Vertex, Anthropic."""

_SAME_TIERS = {"on_demand_priority": "priority", "on_demand_flex": "flex"}
"""Vertex's words for what its price list calls otherwise."""

_UNDECIDED = frozenset({"", "auto"})
"""What a request may ask for and leave to the provider."""

_DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_DAY = 86_400
_STALE_AFTER = 120 * _DAY


# Plans.


class Priced(Struct, frozen=True, gc=False):
    """A rule, ready to multiply: ``vector`` holds a rate for each of ``BUCKETS``, None where there is none."""

    rule: PriceRule
    vector: tuple[int | None, ...]
    by_option: Mapping[str, int]
    """The fee for one request, where it depends on an option of the request."""

    @property
    def per_request(self) -> bool:
        return self.vector[-1] is not None or bool(self.by_option)


Steps: TypeAlias = tuple[tuple[int, Priced], ...]
"""(threshold, rates), the highest first; the last one holds for every smaller request."""


class Window(Struct, frozen=True, gc=False):
    """Minutes of the week (UTC) with rates of their own: on these weekdays (Monday is 0), of the day."""

    days: range
    minutes: frozenset[int]
    steps: Steps

    def covers(self, at: float) -> bool:
        day, second = divmod(int(at), _DAY)
        return (day + 3) % 7 in self.days and second // 60 in self.minutes  # 1970-01-01 was a Thursday


class Period(Struct, frozen=True, gc=False):
    """Rates from a moment on."""

    start: float
    steps: Steps
    windows: tuple[Window, ...]


class Plan(Struct, frozen=True, gc=False):
    """How to price one model as it was served: its periods, the newest first; none where ``reason`` says why not."""

    periods: tuple[Period, ...]
    kind: CostKind = "computed"
    basis: CostBasis | None = None
    reason: str | None = None
    stale_after: float = float("inf")
    only: Priced | None = None
    """The one rule there is, where nothing of a call chooses among several."""
    per_request: bool = False
    modes: frozenset[str] = frozenset()
    """The service tiers that the row prices."""
    places: tuple[str, ...] = ()
    """The places whose rates are others than listed."""

    def pick(self, at: float, total_input: int) -> Priced:
        steps = self.steps_at(at)
        for above, priced in steps:
            if total_input > above:
                return priced
        return steps[-1][1]

    def steps_at(self, at: float) -> Steps:
        """The rates that hold at a moment, by size."""
        period = self.periods[0]
        for period in self.periods:
            if at >= period.start:
                break
        steps = period.steps
        for window in period.windows:
            if window.covers(at):
                steps = window.steps
        return steps


# Rows.


class RateSet(Struct, frozen=True, gc=False):
    """Rates as decimal text by field, and what they hold for; ``source`` where it is not the row's."""

    mode: str
    since: str
    window: str
    above: int
    source: str
    rates: Mapping[str, str]


class Row(Struct, frozen=True, kw_only=True, gc=False):
    """One model's prices. ``kind`` says whose they are, ``multiplier`` applies to all of them."""

    id: str
    sets: tuple[RateSet, ...]
    source: str
    kind: CostKind = "computed"
    as_of: str | None = None
    multipliers: Mapping[str, str] = {}
    multiplier: str = "1"
    disputed: tuple[str, ...] = ()


class Facts(Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a call beside its counts: ``tier``, ``speed``, ``region`` as the answer names them, the
    ``host`` that gave it, and what the request ``asked`` for, by the wire's field; ``model`` is whose word the id is.
    """

    model: CostBasis = "served"
    tier: str | None = None
    speed: str | None = None
    region: str | None = None
    host: str | None = None
    asked: tuple[tuple[str, str], ...] = ()
    note: str = ""


class _Choice(Struct, frozen=True, gc=False):
    """What chooses among the sets of a row before the call is known."""

    mode: str
    region: str
    factor: str
    note: str


def plan_of(row: Row, facts: Facts) -> Plan:
    """The plan of a row for calls of which these facts are known."""
    mode, mode_basis = _mode(row, facts)
    region, factor, region_basis = _region(row, facts)
    choice = _Choice(mode, region, factor, facts.note)
    days = sorted({stated.since for stated in row.sets}, reverse=True)
    periods = tuple([_period(row, choice, day) for day in days])
    priced = [each for period in periods for each in _all_of(period)]
    return Plan(
        periods,
        kind=row.kind,
        basis=_weakest(facts.model, mode_basis, region_basis),
        stale_after=_midnight(row.as_of) + _STALE_AFTER if row.as_of else float("inf"),
        only=priced[0] if len(priced) == 1 else None,
        per_request=any(each.per_request for each in priced),
        modes=frozenset([stated.mode for stated in row.sets]),
        places=tuple(row.multipliers),
    )


def free_plan(id: str, why: str) -> Plan:
    """Every count costs nothing."""
    rule = PriceRule(id=id, rates=dict.fromkeys(BUCKETS, 0), source=why, mode="free")
    priced = Priced(rule, (0,) * len(BUCKETS), {})
    return Plan((Period(float("-inf"), ((0, priced),), ()),), kind="local", basis="served", only=priced)


def _all_of(period: Period) -> list[Priced]:
    return [priced for steps in (period.steps, *[w.steps for w in period.windows]) for _, priced in steps]


def _weakest(*bases: CostBasis) -> CostBasis:
    if "assumed" in bases:
        return "assumed"
    return "requested" if "requested" in bases else "served"


def _mode(row: Row, facts: Facts) -> tuple[str, CostBasis]:
    """The service tier that prices: the served one; where the answer is silent, the one that was asked for."""
    asked = dict(facts.asked)
    tier, speed = (facts.tier or "").lower(), (facts.speed or "").lower()
    basis: CostBasis = "served"
    if not tier:
        tier = asked.get("service_tier", "").lower()
        basis = "requested" if tier not in _UNDECIDED else _if_it_matters(row)
    if not speed and tier in _LIST_PRICE_TIERS:
        speed = asked.get("speed", "").lower()
        basis = "requested" if speed not in _LIST_PRICE_TIERS else basis
    modes = [] if tier in _LIST_PRICE_TIERS else [_SAME_TIERS.get(tier, tier)]
    modes += [] if speed in _LIST_PRICE_TIERS else [f"speed_{speed}"]
    return clean(" ".join(dict.fromkeys(modes)), 60) or "standard", basis


def _if_it_matters(row: Row) -> CostBasis:
    """A tier that nobody names is assumed, unless the row has one price for all."""
    return "assumed" if any(stated.mode != "standard" for stated in row.sets) else "served"


def _region(row: Row, facts: Facts) -> tuple[str, str, CostBasis]:
    """What multiplies the listed rates where this call was made: its name, the factor, and whose word it is."""
    served = (facts.region or "").lower()
    asked = dict(facts.asked).get("inference_geo", "").lower()
    names, factor = list[str](), "1"
    basis: CostBasis = "served"
    for key, value in row.multipliers.items():
        kind, _, place = key.partition(":")
        if kind == "host":
            holds = facts.host in (key, place)
        else:
            holds = (served or asked) in (key, place)
            basis = "served" if served else "requested" if asked else "assumed"
        if holds:
            names.append(key)
            factor = exact_product(factor, value)
    return " ".join(names), factor, basis


def exact_product(one: str, other: str) -> str:
    """The product of two decimals, as plain text."""
    (whole, scale), (factor, more) = _scaled(one), _scaled(other)
    digits = str(whole * factor).rjust(scale + more + 1, "0")
    cut = len(digits) - scale - more
    return f"{digits[:cut]}.{digits[cut:]}".rstrip("0").rstrip(".")


def _scaled(text: str) -> tuple[int, int]:
    """A decimal as an integer and its number of decimals."""
    whole, _, part = text.partition(".")
    return int(whole + part), len(part)


def _period(row: Row, choice: _Choice, since: str) -> Period:
    windows = dict.fromkeys([stated.window for stated in row.sets if stated.since == since and stated.window])
    return Period(
        start=_midnight(since),
        steps=_steps(row, choice, since, ""),
        windows=tuple([window_of(text, _steps(row, choice, since, text)) for text in windows]),
    )


def _midnight(day: str) -> float:
    """The first second of a day (UTC); of no day, the beginning of time."""
    if not day:
        return float("-inf")
    from datetime import UTC, datetime

    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def window_of(text: str, steps: Steps) -> Window:
    """Read ``peak mon-fri 01:00-04:00 06:00-10:00``; an hour's end is the first minute after it.

    Raises ValueError where it cannot be read.
    """
    _, days, *hours = text.split()
    first, _, last = days.partition("-")
    if first not in _DAYS or (last or first) not in _DAYS or not hours:
        raise ValueError(f"expected weekdays such as mon-fri, and hours: {text}")
    spans = [_span(hour) for hour in hours]
    return Window(range(_DAYS[first], _DAYS[last or first] + 1), frozenset().union(*spans), steps)


def _span(hours: str) -> range:
    if not re.fullmatch(r"\d\d:\d\d-\d\d:\d\d", hours):
        raise ValueError(f"expected hours such as 01:00-04:00: {hours}")
    begin, end = map(_minute, hours.split("-"))
    if not 0 <= begin < (end or 1440) <= 1440:
        raise ValueError(f"expected hours within one day (UTC): {hours}")
    return range(begin, end or 1440)


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _steps(row: Row, choice: _Choice, since: str, window: str) -> Steps:
    """The rules of one tier by size; a size at which the list price changes counts for every tier."""
    here = [stated for stated in row.sets if (stated.since, stated.window) == (since, window)]
    own = {stated.above: stated for stated in here if stated.mode == choice.mode}
    sizes = {stated.above for stated in here if stated.mode in {"standard", choice.mode}}
    return tuple(
        (above, _priced(row, choice, own.get(above) or RateSet(choice.mode, since, window, above, "", {})))
        for above in sorted(sizes | {0}, reverse=True)
    )


def _priced(row: Row, choice: _Choice, stated: RateSet) -> Priced:
    in_row = frozenset().union(*[other.rates for other in row.sets])
    rates = _rates(stated.rates, in_row, row.multiplier, choice.factor)
    rule = PriceRule(
        id=row.id,
        rates=rates,
        source=stated.source or row.source,
        as_of=row.as_of,
        mode=stated.mode,
        above=stated.above,
        since=stated.since,
        window=stated.window.partition(" ")[0],
        region=choice.region,
        multiplier=exact_product(row.multiplier, choice.factor),
        note=choice.note,
        disputed=row.disputed,
    )
    fees = {size: stated.rates[f"request_{size}_per_1000"] for size in OPTIONS if _option_field(size) in stated.rates}
    by_option = {size: fee for size, text in fees.items() if (fee := _fee(text, row.multiplier)) is not None}
    return Priced(rule, tuple([rates.get(bucket) for bucket in BUCKETS]), by_option)


def _option_field(size: str) -> str:
    return f"request_{size}_per_1000"


def _rates(stated: Mapping[str, str], in_row: frozenset[str], multiplier: str, factor: str) -> dict[str, int]:
    """Femto-dollars by bucket. ``in_row`` names the fields that any set of the row states."""
    rates = {}
    for field, bucket in FIELDS.items():
        text = stated.get(field)
        if text in FIELDS:  # ``cache_write=input``
            text = stated.get(text)
        if text is None:
            continue
        if bucket in EVENT_BUCKETS:
            rate = _fee(text, multiplier)
        else:
            rate = _whole(exact_product(exact_product(text, multiplier), factor))
        if rate is not None:
            rates[bucket] = rate
    for bucket, other in _STAND_INS.items():
        if bucket not in in_row and other in rates:
            rates[bucket] = rates[other]
    return {bucket: rates[bucket] for bucket in BUCKETS if bucket in rates}


def _fee(text: str, multiplier: str) -> int | None:
    """Femto-dollars for one event. Fees do not vary with the region."""
    rate = _whole(exact_product(text, multiplier))
    return None if rate is None else rate * _PER_1000


def _whole(text: str) -> int | None:
    """A rate in femto-dollars; None where that is no whole number of them."""
    digits, scale = _scaled(text)
    if scale <= 9:
        return int(digits * 10 ** (9 - scale))
    whole, rest = divmod(digits, 10 ** (scale - 9))
    return None if rest else whole


def femto_of(text: str) -> int:
    """US dollars per million tokens, as decimal text, in femto-dollars a token; ValueError beyond 9 decimals."""
    rate = _whole(text)
    if rate is None:
        raise ValueError(f"more than 9 decimals: {text}")
    return rate
