"""What a call cost: an exact integer with the rule that gave it, or unknown with the reason. Never a guess.

A row of prices is a list of rate sets. Each holds for one service tier, from a day on, in a weekly window, above
a number of input tokens. A call picks one set, and all of it is billed there:

1. the period and the window, by the time when the request started (UTC; the caller passes it: no clock here);
2. the tier that served it (``Response.service_tier``), not the one that was asked for;
3. the size step, by ``Usage.total_input`` (cached tokens included), strictly above its threshold.

Sets are not mixed. A tier that states no rate for a bucket, or none above a size at which the list price changes,
has no such rate, and a count that meets no rate makes the whole cost unknown: the known part stays readable in
``Cost.explain()``. What stands in for another rate is written in ``_STAND_INS`` and in the data, with its source.

Ids are matched whole: the id itself, an alias that the data names, and both again without a trailing date. A
longer or shorter id is another model, and its price unknown. Rates are femto-dollars (1e-15 USD) a token: nine
decimals of US dollars per million tokens, so list prices, their halves and their tenths are whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import Any, TypeAlias

from msgspec import Struct

from .errors import ConfigurationError, clean
from .types import TOKEN_BUCKETS, Cost, PriceRule, Usage

__all__ = ["Prices"]

_BUCKETS = (*TOKEN_BUCKETS, "web_searches")
_COUNTS = attrgetter(*_BUCKETS)

_FIELDS = {
    **{bucket: bucket for bucket in TOKEN_BUCKETS if bucket != "cache_write_5m"},
    "cache_write": "cache_write_5m",
    "web_search_per_1000": "web_searches",
}
"""The fields of a row that price a bucket. A row may hold others, which count nothing here (``cache_write_12h``)."""

_FEES = {"web_searches": 1_000}
"""Buckets of events: their rates are stated per 1,000, which is this many times the tokens' per 1,000,000."""

_STAND_INS = {
    # Hidden reasoning is billed as output, by xAI to the tick (the tests hold its own bills beside ours), and no
    # row has a rate of its own for it.
    "reasoning": "output",
    # The plain input rate covers images wherever they are not priced apart (pydantic/genai-prices reads it so too).
    "input_image": "input",
}
"""Whose rate a bucket takes in a row that never states one for it. Audio and cache writes have none."""

_LIST_PRICE_TIERS = frozenset({"", "default", "standard", "auto", "on_demand"})
"""Served tiers that mean the list price: OpenAI and most others, Anthropic and Gemini, OpenAI, Groq and Vertex."""

_FEE_PER_REQUEST = "request_per_1000"
_NOT_THE_WHOLE = "each request also costs a fee that depends on its options, which is not priced yet"

_NO_USAGE = {
    "missing": "the provider reported no usage",
    "suspect": "the usage that the provider reported cannot be right",
}

_SNAPSHOT = r"(?:-20\d\d-[01]\d-[0-3]\d|[-@]20\d\d[01]\d[0-3]\d)$"
_DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_PLANS_KEPT = 4_096

_Key: TypeAlias = tuple[str, str, str | None, str | None, str | None]


# Prices, ready to use.

_Steps: TypeAlias = tuple[tuple[int, PriceRule], ...]
"""(threshold, rule), the highest first; the last one holds for every smaller request."""


class _Window(Struct, frozen=True, gc=False):
    """Minutes of the week (UTC) with rates of their own: on these weekdays (Monday is 0), of the day."""

    days: range
    minutes: frozenset[int]
    steps: _Steps

    def covers(self, at: float) -> bool:
        day, second = divmod(int(at), 86_400)
        return (day + 3) % 7 in self.days and second // 60 in self.minutes  # 1970-01-01 was a Thursday


class _Period(Struct, frozen=True, gc=False):
    start: float
    steps: _Steps
    windows: tuple[_Window, ...]


class _Plan(Struct, frozen=True, gc=False):
    """How to price one model in one tier: its periods, the newest first; none where ``reason`` says why not."""

    periods: tuple[_Period, ...]
    reason: str | None = None
    free: bool = False

    def rule(self, at: float, usage: Usage) -> PriceRule:
        period = self.periods[0]
        for period in self.periods:
            if at >= period.start:
                break
        steps = period.steps
        for window in period.windows:
            if window.covers(at):
                steps = window.steps
        if len(steps) == 1:
            return steps[0][1]
        return _step(steps, usage.total_input)


def _step(steps: _Steps, total_input: int) -> PriceRule:
    for above, rule in steps:
        if total_input > above:
            return rule
    return steps[-1][1]


class Prices:
    """The price book: built-in rows, and above them the overrides of ``QUOTH_PRICES``.

    ``overrides`` is that variable's text: inline JSON where it starts with ``{``, else paths of ``.json`` or
    ``.toml`` files joined by ``os.pathsep`` (an entry of an earlier file wins). It is read at the first use.
    ``name`` is what complaints about it name.
    Safe to share between threads.
    """

    __slots__ = ("_name", "_overrides", "_plans", "_text")

    def __init__(self, overrides: str | None = None, name: str = "QUOTH_PRICES") -> None:
        self._text = overrides or ""
        self._name = name
        self._overrides: dict[str, _Row] | None = None
        self._plans: dict[_Key, _Plan] = {}

    def load(self) -> None:
        """Read the overrides now, so that a mistake in them shows before a call and not after it was paid.

        Raises ConfigurationError: it names the variable, the file, the entry, the field and what is expected.
        """
        if self._overrides is None:
            self._overrides = _read_overrides(self._text.strip(), self._name)

    def cost(
        self,
        provider: str,
        model: str,
        usage: Usage,
        *,
        at: float,
        tier: str | None = None,
        requested: str | None = None,
        region: str | None = None,
    ) -> Cost:
        """Price a call: ``usage`` of the ``model`` that answered, in the price namespace ``provider``.

        ``at`` is when the request started (seconds since the epoch), ``tier`` the service tier that the answer
        names, ``requested`` the id to try where the answer's id has no row (the rule then says so), ``region``
        what the row may charge more for: ``inference_geo:us``, ``host:eu.api.openai.com``.
        Raises ConfigurationError where the overrides cannot be used; call ``load`` first.
        """
        key = (provider, model, tier, requested, region)
        plan = self._plans.get(key) or self._plan(key)
        if plan.free:
            return _free_cost(plan.rule(at, usage), usage)
        if usage.source != "provider":
            return Cost(femto=None, kind="unknown", reason=_NO_USAGE[usage.source])
        counts = _counts(usage)
        if not plan.periods:
            return Cost(femto=None, kind="unknown", counts=counts, reason=plan.reason)
        return _price(plan, plan.rule(at, usage), counts)

    def rule(
        self,
        provider: str,
        model: str,
        *,
        at: float,
        tier: str | None = None,
        requested: str | None = None,
        region: str | None = None,
        usage: Usage | None = None,
    ) -> PriceRule | None:
        """The rates that would price such a call (a small one without ``usage``), or None where nothing would."""
        key = (provider, model, tier, requested, region)
        plan = self._plans.get(key) or self._plan(key)
        return plan.rule(at, usage or Usage()) if plan.periods else None

    def _plan(self, key: _Key) -> _Plan:
        self.load()
        plan = _resolve(self._overrides or {}, key)
        if len(self._plans) >= _PLANS_KEPT:
            self._plans = {}
        self._plans[key] = plan
        return plan


def _counts(usage: Usage) -> tuple[tuple[str, int], ...]:
    return tuple([(bucket, count) for bucket, count in zip(_BUCKETS, _COUNTS(usage), strict=False) if count])


def _free_cost(rule: PriceRule, usage: Usage) -> Cost:
    """Nothing, whatever was counted, and also where nothing was."""
    counts = _counts(usage) if usage.source == "provider" else ()
    return Cost(femto=0, kind="local", counts=counts, rule=rule)


def _price(plan: _Plan, rule: PriceRule, counts: tuple[tuple[str, int], ...]) -> Cost:
    rates, femto = rule.rates, 0
    for bucket, count in counts:
        rate = rates.get(bucket)
        if rate is None or type(count) is not int or count < 0:
            return _unpriced(rule, counts)
        femto += count * rate
    if plan.reason or not rates:
        reason = plan.reason or f"no rates in {rule.id} ({rule.condition})"
        return Cost(femto=None, kind="unknown", counts=counts, rule=rule, reason=reason)
    return Cost(femto=femto, counts=counts, rule=rule)


def _unpriced(rule: PriceRule, counts: tuple[tuple[str, int], ...]) -> Cost:
    absurd = [bucket for bucket, count in counts if type(count) is not int or count < 0]
    if absurd:  # Usage promises that these do not come; a wrong bill would be worse than none.
        return Cost(femto=None, kind="unknown", rule=rule, reason=f"the count of {', '.join(absurd)} cannot be right")
    missing = ", ".join([bucket for bucket, _ in counts if bucket not in rule.rates])
    reason = f"no rate for {missing} in {rule.id} ({rule.condition})"
    return Cost(femto=None, kind="unknown", counts=counts, rule=rule, reason=reason)


# Rows, and finding one.


class _RateSet(Struct, frozen=True, gc=False):
    """Rates as decimal text by field, and what they hold for; ``source`` where it is not the row's."""

    mode: str
    since: str
    window: str
    above: int
    source: str
    rates: Mapping[str, str]


class _Row(Struct, frozen=True, kw_only=True, gc=False):
    id: str
    sets: tuple[_RateSet, ...]
    source: str
    as_of: str | None = None
    multipliers: Mapping[str, str] = {}


class _Choice(Struct, frozen=True, kw_only=True, gc=False):
    """What chooses among the sets of a row before the call is known."""

    mode: str
    region: str
    note: str


def _resolve(overrides: Mapping[str, _Row], key: _Key) -> _Plan:
    from .data.prices import FREE_NAMESPACES

    provider, model, tier, requested, region = key
    found, note = _find(overrides, f"{provider}/{model}"), ""
    if found is None and requested:
        found, note = _find(overrides, f"{provider}/{requested}"), "as the requested model"
    if isinstance(found, _Row):
        return _plan_of(found, _Choice(mode=_mode(tier), region=region or "", note=note))
    name = clean(f"{provider}/{model}", 200)
    if found is None and provider in FREE_NAMESPACES:
        return _free(name, FREE_NAMESPACES[provider])
    return _Plan((), f"{name}: {found}" if found else f"no price for {name}; QUOTH_PRICES can give one")


def _mode(tier: str | None) -> str:
    tier = (tier or "").lower()
    return "standard" if tier in _LIST_PRICE_TIERS else clean(tier, 60)


def _find(overrides: Mapping[str, _Row], id: str) -> _Row | str | None:
    """The row of this id, or the reason why its price is withheld, or None."""
    from .data.prices import WITHHELD

    for name in _names(id):
        row = overrides.get(name) or _built_in(name)
        if row is not None:
            return row
        if name in WITHHELD:
            return WITHHELD[name]
    return None


def _names(id: str) -> Iterator[str]:
    """Under which names to look for an id, best first: itself, its alias, and both without a trailing date."""
    from .data.prices import ALIASES

    for name in dict.fromkeys((id, re.sub(_SNAPSHOT, "", id))):
        yield name
        if name in ALIASES:
            yield ALIASES[name]


def _built_in(id: str) -> _Row | None:
    from .data.prices import AS_OF, MULTIPLIERS, ROWS

    if id not in ROWS:
        return None
    agreeing, sets = ROWS[id]
    return _Row(
        id=id,
        source=f"built-in table ({agreeing})",
        as_of=AS_OF,
        multipliers=MULTIPLIERS.get(id, {}),
        sets=tuple(
            _RateSet(mode, since, window, above, f"built-in table ({source})" if source else "", _pairs(rates))
            for mode, since, window, above, source, rates in sets
        ),
    )


def _pairs(rates: str) -> dict[str, str]:
    """Read ``input=2 output=10``."""
    words = [word.partition("=") for word in rates.split()]
    return {field: rate for field, _, rate in words}


# From a row to a plan: text becomes integers, once.


def _plan_of(row: _Row, choice: _Choice) -> _Plan:
    days = sorted({stated.since for stated in row.sets}, reverse=True)
    per_request = any(_FEE_PER_REQUEST in stated.rates for stated in row.sets)
    periods = tuple([_period(row, choice, day) for day in days])
    return _Plan(periods, _NOT_THE_WHOLE if per_request else None)


def _free(id: str, why: str) -> _Plan:
    rule = PriceRule(id=id, rates=dict.fromkeys(_BUCKETS, 0), source=why, condition="free")
    return _Plan((_Period(float("-inf"), ((0, rule),), ()),), free=True)


def _period(row: _Row, choice: _Choice, since: str) -> _Period:
    windows = dict.fromkeys([stated.window for stated in row.sets if stated.since == since and stated.window])
    return _Period(
        start=_midnight(since),
        steps=_steps(row, choice, since, ""),
        windows=tuple([_window(text, _steps(row, choice, since, text)) for text in windows]),
    )


def _midnight(day: str) -> float:
    """The first second of a day (UTC); of no day, the beginning of time."""
    if not day:
        return float("-inf")
    from datetime import UTC, datetime

    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _window(text: str, steps: _Steps) -> _Window:
    """Read ``peak mon-fri 01:00-04:00 06:00-10:00``; an hour's end is the first minute after it."""
    _, days, *hours = text.split()
    first, last = days.split("-")
    spans = [range(*map(_minute, hour.split("-"))) for hour in hours]
    return _Window(range(_DAYS[first], _DAYS[last] + 1), frozenset().union(*spans), steps)


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _steps(row: _Row, choice: _Choice, since: str, window: str) -> _Steps:
    """The rules of one tier by size; a size at which the list price changes counts for every tier."""
    here = [stated for stated in row.sets if (stated.since, stated.window) == (since, window)]
    own = {stated.above: stated for stated in here if stated.mode == choice.mode}
    sizes = {stated.above for stated in here if stated.mode in {"standard", choice.mode}}
    return tuple(
        (above, _rule(row, choice, own.get(above) or _RateSet(choice.mode, since, window, above, "", {})))
        for above in sorted(sizes, reverse=True)
    )


def _rule(row: _Row, choice: _Choice, stated: _RateSet) -> PriceRule:
    factor = row.multipliers.get(choice.region, "1")
    conditions = [
        stated.mode,
        stated.window.partition(" ")[0],
        f"above {stated.above:,} input tokens" if stated.above else "",
        f"from {stated.since}" if stated.since else "",
        f"{choice.region} x{factor}" if factor != "1" else "",
        choice.note,
    ]
    return PriceRule(
        id=row.id,
        rates=_rates(stated.rates, frozenset().union(*[other.rates for other in row.sets]), factor),
        source=stated.source or row.source,
        as_of=row.as_of,
        condition=", ".join(filter(None, conditions)),
    )


def _rates(stated: Mapping[str, str], in_row: frozenset[str], factor: str) -> dict[str, int]:
    """Femto-dollars by bucket. ``in_row`` names the fields that any set of the row states."""
    rates = {}
    for field, bucket in _FIELDS.items():
        text = stated.get(field)
        if text in _FIELDS:  # ``cache_write=input``
            text = stated.get(text)
        rate = None if text is None else _scaled(bucket, _femto(text), factor)
        if rate is not None:
            rates[bucket] = rate
    for bucket, other in _STAND_INS.items():
        if bucket not in in_row and other in rates:
            rates[bucket] = rates[other]
    return rates


def _scaled(bucket: str, femto: int, factor: str) -> int | None:
    """A rate in its region; None where that is no whole number of femto-dollars. Fees do not vary."""
    if bucket in _FEES:
        return femto * _FEES[bucket]
    scaled, rest = divmod(femto * _femto(factor), 10**9)
    return None if rest else scaled


def _femto(text: str) -> int:
    """US dollars per million tokens, as decimal text, in femto-dollars a token; ValueError beyond 9 decimals."""
    whole, _, part = text.partition(".")
    if len(part) > 9:
        raise ValueError(f"more than 9 decimals: {text}")
    return int(whole + part.ljust(9, "0"))


# Overrides: the text of QUOTH_PRICES.

_EXPECTED_ENTRY = 'expected {"provider/model": {"input": "2", "output": "10"}}'
_EXPECTED_RATE = 'expected US dollars per million tokens such as "0.25", not negative, with at most 9 decimals'


class _Entry(Struct, frozen=True, kw_only=True, gc=False):
    """An override as it was written: ``where`` names the variable or the file."""

    where: str
    rates: Mapping[str, str]
    extends: str | None = None


def _read_overrides(text: str, name: str) -> dict[str, _Row]:
    entries: dict[str, _Entry] = {}
    for where, document in _documents(text, name):
        if not isinstance(document, dict):
            raise ConfigurationError(f"{where}: {_EXPECTED_ENTRY}, not {_shown(document)}")
        for key, fields in document.items():
            entry = _entry(where, key, fields)
            entries.setdefault(key, entry)
    return {key: _override(entries, key, ()) for key in entries}


def _documents(text: str, name: str) -> Iterator[tuple[str, Any]]:
    if text.startswith("{"):
        yield name, _parse(name, text, ".json")
    elif text:
        import os
        from pathlib import Path

        for file in filter(None, text.split(os.pathsep)):
            where, path = f"{name}, file {file}", Path(file)
            try:
                content = path.read_text(encoding="utf-8-sig")
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"{where}: cannot be read: {error}") from error
            yield where, _parse(where, content, path.suffix.lower())


def _parse(where: str, text: str, suffix: str) -> Any:
    """Decode JSON or TOML; numbers with a point become Decimal, so that none passes through a float."""
    try:
        if suffix == ".json":
            import json

            return json.loads(text, parse_float=Decimal, object_pairs_hook=_unique)
        if suffix == ".toml":
            import tomllib

            return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise ConfigurationError(f"{where}: not valid {suffix[1:].upper()}: {error}; {_EXPECTED_ENTRY}") from error
    raise ConfigurationError(f"{where}: expected inline JSON, or paths that end in .json or .toml")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return fields


def _entry(where: str, key: str, fields: Any) -> _Entry:
    at = f"{where}: entry {_shown(key)}"
    provider, _, model = key.partition("/")
    if not provider or not model:
        raise ConfigurationError(f'{at}: expected a name such as "openai/gpt-6-sol"')
    if not isinstance(fields, dict) or not fields:
        raise ConfigurationError(f"{at}: {_EXPECTED_ENTRY}, not {_shown(fields)}")
    rates = {name: _rate(at, name, value) for name, value in fields.items() if name != "extends"}
    extends = fields.get("extends")
    if "extends" in fields and not isinstance(extends, str):
        raise ConfigurationError(f'{at}, field "extends": expected "provider/model", not {_shown(extends)}')
    return _Entry(where=where, rates=rates, extends=extends)


def _rate(at: str, name: str, value: Any) -> str:
    """The value as plain decimal text."""
    at = f"{at}, field {_shown(name)}"
    if name not in _FIELDS:
        raise ConfigurationError(f"{at}: unknown{_nearest(name, (*_FIELDS, 'extends'))}")
    if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool):
        text = _plain(value)
        if text is not None:
            return text
    raise ConfigurationError(f"{at}: {_EXPECTED_RATE}, not {_shown(value)}")


def _plain(value: str | int | Decimal) -> str | None:
    """Exact digits without an exponent, or None for what is no usable rate."""
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or number < 0 or not -9 <= number.adjusted() < 9:
        return "0" if number.is_zero() else None
    whole, _, part = f"{number.copy_abs():f}".partition(".")
    part = part.rstrip("0")
    return None if len(part) > 9 else f"{whole}.{part}" if part else whole


def _override(entries: Mapping[str, _Entry], key: str, trail: tuple[str, ...]) -> _Row:
    entry = entries[key]
    if entry.extends is None:
        return _Row(id=key, sets=(_RateSet("standard", "", "", 0, "", entry.rates),), source=entry.where)
    base = _extended(entries, key, entry, (*trail, key))
    return _Row(
        id=key,
        sets=tuple([_laid_over(stated, entry.rates) for stated in base.sets]),
        source=f"{entry.where}, extends {base.id}",
        as_of=base.as_of,
        multipliers=base.multipliers,
    )


def _extended(entries: Mapping[str, _Entry], key: str, entry: _Entry, trail: tuple[str, ...]) -> _Row:
    """The row that an entry extends: another entry, else a built-in one; under its own name, the built-in one."""
    name = entry.extends or ""
    if name in trail[:-1]:
        raise ConfigurationError(f"{entry.where}: entry {_shown(key)}: extends itself: {' -> '.join((*trail, name))}")
    if name in entries and name != key:
        return _override(entries, name, trail)
    found = _find({}, name)
    if isinstance(found, _Row):
        return found
    from .data.prices import ROWS

    hint = _nearest(name, (*entries, *ROWS))
    raise ConfigurationError(f'{entry.where}: entry {_shown(key)}, field "extends": no row {_shown(name)}{hint}')


def _laid_over(inherited: _RateSet, own: Mapping[str, str]) -> _RateSet:
    """Replace list prices. What another tier, size or hour would now cost nobody has said: such rates go."""
    kept = {field: rate for field, rate in inherited.rates.items() if field not in own}
    listed = (inherited.mode, inherited.window, inherited.above) == ("standard", "", 0)
    rates = {**kept, **own} if listed else kept
    return _RateSet(inherited.mode, inherited.since, inherited.window, inherited.above, "", rates)


def _nearest(word: str, words: Iterable[str]) -> str:
    from difflib import get_close_matches

    words = list(words)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {_shown(near[0])}?"
    return f"; expected one of {', '.join(words)}" if len(words) < 20 else ""


def _shown(value: Any) -> str:
    """A value as JSON would show it, shortened."""
    text = f'"{value}"' if isinstance(value, str) else str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
