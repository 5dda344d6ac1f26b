"""What a call cost: an exact integer with the rule that gave it, or unknown with the reason. Never a guess.

A row of prices is a list of rate sets. Each holds for one service tier, from a day on, in a weekly window, above
a number of input tokens. A call picks one set, and all of it is billed there:

1. the period and the window, by the time when the request started (UTC; the caller passes it: no clock here);
2. the tier and the speed that served it, as the answer names them; where it is silent, those that were asked for;
3. the size step, by ``Usage.total_input`` (cached tokens included), strictly above its threshold;
4. the place that served it, which may multiply the rates of tokens, and not those of events.

``Cost.basis`` says whose word that was: the answer's (``served``), the request's (``requested``), or nobody's where
the row has several prices and neither says which (``assumed``).

Sets are not mixed. A tier that states no rate for a bucket, or none above a size at which the list price changes,
has no such rate, and a count that meets no rate makes the whole cost unknown: the known part stays readable in
``Cost.explain()`` and ``Cost.known_usd``. What stands in for another rate is written in ``_plans.py`` and in the
data, with its source.

Ids are matched whole: the id itself, an alias that the data names, and both again without a trailing date. A
longer or shorter id is another model, and its price unknown. Rates are femto-dollars (1e-15 USD) a token: nine
decimals of US dollars per million tokens, so list prices, their halves and their tenths are whole numbers.

Whose prices hold, the highest first: the option ``price``, ``models.register_price``, the settings or QUOTH_PRICES
(``_overrides.py``), the built-in table (``_table.py``). What the provider itself states wins over all (``_stated.py``).
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Mapping
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from ..errors import clean
from ..types import EVENT_BUCKETS, TOKEN_BUCKETS, Cost, CostBasis, PriceRule, Usage

if TYPE_CHECKING:
    from ._bounds import Most, Shape
    from ._entries import Entry
    from ._overrides import Book
    from ._plans import Plan

__all__ = ["OwnPrice", "Prices", "own_price"]

_BUCKETS = (*TOKEN_BUCKETS, *EVENT_BUCKETS)
_COUNTS = attrgetter(*_BUCKETS)

_NO_USAGE = {
    "missing": "the provider reported no usage",
    "suspect": "the usage that the provider reported cannot be right",
}

_OPTION = "search_context_size"
"""The field of a usage object by which the fee for a request may differ (Perplexity)."""

_PLANS_KEPT = 4_096

_Asked: TypeAlias = tuple[tuple[str, str], ...]


class OwnPrice:
    """The option ``price`` of a call, checked. It is told from others by identity: make it once, use it often."""

    __slots__ = ("entry",)

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def __repr__(self) -> str:
        return f"OwnPrice({self.entry.sets!r})"


def own_price(name: str, fields: Mapping[str, Any]) -> OwnPrice:
    """Check the option ``price``: rates as an entry of QUOTH_PRICES states them, ``{"input": "2", "output": "10"}``.

    Raises ConfigurationError, naming the field.
    """
    from ._entries import SELF, parse_entry

    return OwnPrice(parse_entry(f"the option {name}", SELF, fields))


_Key: TypeAlias = tuple[
    str, str, "str | None", "str | None", "str | None", "str | None", "str | None", _Asked, "OwnPrice | None"
]
"""What ``Prices.cost`` is told of a call, but for its counts and its time."""


class Prices:
    """The price book: built-in rows, and above them the overrides of ``QUOTH_PRICES``, and what was registered.

    ``overrides`` is that variable's text: inline JSON where it starts with ``{``, else paths of ``.json`` or
    ``.toml`` files joined by ``os.pathsep`` (an entry of an earlier file wins). It is read at the first use.
    ``name`` is what complaints about it name. ``registered`` holds the entries that win over it.
    Safe to share between threads.
    """

    __slots__ = ("_books", "_loaded", "_lock", "_name", "_plans", "_registered", "_text")

    def __init__(
        self, overrides: str | None = None, name: str = "QUOTH_PRICES", registered: Book | None = None
    ) -> None:
        self._text = overrides or ""
        self._name = name
        self._registered = registered
        self._books: tuple[Book, ...] = ()
        self._loaded = False
        self._plans: dict[_Key, Plan] = {}
        self._lock = allocate_lock()

    def with_entries(self, given: Mapping[str, Mapping[str, Any]]) -> Prices:
        """These prices with entries over them, by ``provider/model``; raises ConfigurationError for one of no use."""
        from ._overrides import registered

        self.load()
        other = Prices(self._text, self._name)
        other._books, other._loaded = registered(self._books, given), True
        other._registered = other._books[0]
        return other

    def reloaded(self, overrides: str | None, name: str) -> Prices:
        """New prices from a text, with the entries of these over them."""
        return Prices(overrides, name, self._registered)

    def load(self) -> None:
        """Read the overrides now, so that a mistake in them shows before a call and not after it was paid.

        Raises ConfigurationError, once: it names the variable, the file, the entry, the field and what is expected.
        The good entries hold from then on; what a bad one was to price is unknown, for that reason.
        """
        if self._loaded:
            return
        from ._overrides import Book, read_overrides

        written = read_overrides(self._text.strip(), self._name)
        with self._lock:
            first, self._loaded = not self._loaded, True
            if first:
                self._books = (self._registered or Book(), written)
        complaint = written.complaint()
        if first and complaint is not None:
            raise complaint

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
        host: str | None = None,
        speed: str | None = None,
        asked: _Asked = (),
        price: OwnPrice | None = None,
    ) -> Cost:
        """Price a call: ``usage`` of the ``model`` that answered, in the price namespace ``provider``.

        ``at`` is when the request started (seconds since the epoch); ``tier``, ``region`` and ``speed`` are what the
        answer names; ``requested`` is the id to try where the answer's id has no row (the rule then says so), or
        where it names none; ``host`` is who was asked; ``asked`` are fields of the request that may change the price,
        (("service_tier", "flex"),). ``price`` wins over all rows.
        Raises ConfigurationError where the overrides cannot be used; call ``load`` first.
        """
        key = (provider, model, tier, requested, region, host, speed, asked, price)
        plan = self._plans.get(key) or self._plan(key)
        if usage.source != "provider" or not plan.periods:
            return _without_counts(plan, usage)
        if plan.per_request:
            return _per_request(plan, usage, at)
        priced = plan.only or plan.pick(at, usage.total_input)
        values, counts, femto = _COUNTS(usage), [], 0
        buckets = zip(_BUCKETS, values, priced.vector)  # noqa: B905  # of one length; strict= costs time
        for bucket, count, rate in compress(buckets, values):  # most are zero
            counts.append((bucket, count))
            if rate is None or type(count) is not int or count < 0:
                return _unpriced(plan, priced.rule, values, at)
            femto += count * rate
        if plan.kind != "local" and not priced.rule.rates:
            return _unpriced(plan, priced.rule, values, at)
        return Cost(
            femto=femto,
            kind=plan.kind,
            counts=tuple(counts),
            rule=priced.rule,
            basis=plan.basis,
            stale=at > plan.stale_after,
        )

    def rule(
        self,
        provider: str,
        model: str,
        *,
        at: float,
        tier: str | None = None,
        requested: str | None = None,
        region: str | None = None,
        host: str | None = None,
        usage: Usage | None = None,
        price: OwnPrice | None = None,
    ) -> PriceRule | None:
        """The rates that would price such a call (a small one without ``usage``), or None where nothing would."""
        key = (provider, model, tier, requested, region, host, None, (), price)
        plan = self._plans.get(key) or self._plan(key)
        return plan.pick(at, usage.total_input if usage else 0).rule if plan.periods else None

    def most(
        self, provider: str, model: str, shape: Shape, *, at: float, asked: _Asked = (), price: OwnPrice | None = None
    ) -> Most:
        """The most that a call of this shape can cost, wherever and however it is served; see ``_bounds.py``."""
        from ._bounds import most_of

        def plan(tier: str | None, region: str | None, host: str | None) -> Plan:
            key = (provider, model, tier, None, region, host, None, asked, price)
            return self._plans.get(key) or self._plan(key)

        return most_of(plan, dict(asked), shape, at)

    def _plan(self, key: _Key) -> Plan:
        self.load()
        plan = _resolve(self._books, key)
        if len(self._plans) >= _PLANS_KEPT:
            self._plans = {}
        self._plans[key] = plan
        return plan


def _without_counts(plan: Plan, usage: Usage) -> Cost:
    """The cost where nothing can be multiplied: no usage that can be trusted, or no row."""
    if plan.kind == "local":
        return Cost(femto=0, kind="local", rule=plan.pick(0.0, 0).rule, basis=plan.basis)
    if usage.source != "provider":
        return Cost(femto=None, kind="unknown", reason=_NO_USAGE[usage.source])
    return Cost(femto=None, kind="unknown", counts=_counted(_COUNTS(usage)), reason=plan.reason)


def _per_request(plan: Plan, usage: Usage, at: float) -> Cost:
    """The cost under a row that also has a fee for each request: one call is one, whatever its usage says of that."""
    priced = plan.pick(at, usage.total_input)
    values = (*_COUNTS(usage)[:-1], usage.requests or 1)
    rule, vector, missing = priced.rule, priced.vector, ""
    if priced.by_option:
        size = (usage.reported or {}).get(_OPTION)
        fee = priced.by_option.get(size) if isinstance(size, str) else None
        if fee is not None:
            vector = (*vector[:-1], fee)
            note = f"{_OPTION} {size}"
            rule = replace(rule, rates={**rule.rates, "requests": fee}, note=", ".join(filter(None, (rule.note, note))))
        elif vector[-1] is None:
            missing = f"each request also costs a fee that depends on {_OPTION}, which the answer does not state"
    femto = 0
    for count, rate in zip(values, vector, strict=True):
        if count:
            if rate is None or type(count) is not int or count < 0:
                return _unpriced(plan, rule, values, at, missing)
            femto += count * rate
    return Cost(
        femto=femto, kind=plan.kind, counts=_counted(values), rule=rule, basis=plan.basis, stale=at > plan.stale_after
    )


def _counted(values: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    return tuple([(bucket, count) for bucket, count in zip(_BUCKETS, values, strict=True) if count])


def _unpriced(plan: Plan, rule: PriceRule, values: tuple[int, ...], at: float, missing: str = "") -> Cost:
    """Why a count has no price: it cannot be, or the rule has no rate for it."""
    counts = _counted(values)
    absurd = [bucket for bucket, count in counts if type(count) is not int or count < 0]
    if absurd:  # Usage promises that these do not come; a wrong bill would be worse than none.
        return Cost(femto=None, kind="unknown", rule=rule, reason=f"the count of {', '.join(absurd)} cannot be right")
    without = [bucket for bucket, _ in counts if bucket not in rule.rates]
    reason = missing if missing and without == ["requests"] else ""
    if not reason:
        what = f"no rate for {', '.join(without)} in" if without else "no rates in"
        reason = f"{what} {rule.id} ({rule.condition})"
    stale = at > plan.stale_after
    return Cost(femto=None, kind="unknown", counts=counts, rule=rule, reason=reason, basis=plan.basis, stale=stale)


def _resolve(books: tuple[Book, ...], key: _Key) -> Plan:
    """The plan for all calls of which the same is known."""
    from ._entries import SELF
    from ._overrides import Book, find, over, row_of
    from ._plans import Facts, Plan, Row, free_plan, plan_of
    from ._table import table

    provider, model, tier, requested, region, host, speed, asked, price = key
    facts = Facts(tier=tier, speed=speed, region=region, host=host, asked=asked)
    own = f"{provider}/{model or requested or ''}"
    found: Row | str | None = None
    basis: CostBasis = "served"
    if price is None or price.entry.extends == SELF:
        found = find(books, f"{provider}/{model}") if model else None
        if found is None and requested:
            found, basis = find(books, f"{provider}/{requested}"), "requested"
        if price is not None and isinstance(found, Row):
            found = over(price.entry, found.id, found)
    else:
        found = row_of((Book(entries={own: price.entry}), *books), 0, own, ())
    if isinstance(found, Row):
        note = "as the requested model" if basis == "requested" and model else ""
        return plan_of(found, replace(facts, model=basis, note=note))
    name = clean(own, 200)
    free, billed = table().free.get(provider), table().billed.get(provider)
    if found is None and free is not None and not (billed and own.endswith(billed)):
        return free_plan(name, free)
    missing = f"no price for {name}; models.register_price or QUOTH_PRICES can give one"
    return Plan((), reason=found or missing)
