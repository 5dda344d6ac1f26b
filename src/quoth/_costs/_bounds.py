"""The most that a call can cost, before it is sent: a bound over all that may choose its price.

What is not known yet is taken at its dearest:

- the *tier*: the one that was asked for, or the list price where a provider may serve that instead; where nothing was
  asked for, also ``priority``, which some accounts have as their default (OpenAI: ``service_tier`` left out is
  ``auto``, and a project may set what that means);
- the *size step*: every one that the tokens to be read may reach, for a smaller request may fall below a step;
- the *place*: a region or host that makes the rates dearer;
- the *bucket*: each token that is read may be written to a cache, each that is written may be thought.

The time is known: an attempt is priced by when its call began. What a bound cannot see is a price that changes under
way: a model id that its provider gives to a dearer model, a fee that no row has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from typing import TypeAlias

from msgspec import Struct

from ._plans import BUCKETS, Plan, Priced

__all__ = ["Most", "Shape", "most_of"]

PlanOf: TypeAlias = Callable[["str | None", "str | None", "str | None"], Plan]
"""The plan for a service tier, a region and a host."""

_LIST_PRICE = "default"
_DEFAULTS = frozenset({"priority"})
"""Tiers that an account may have where a request asks for none."""
_UNDECIDED = frozenset({"", "auto"})


class Shape(Struct, frozen=True, kw_only=True, gc=False):
    """What a request may use at most: tokens that are read and written, in which buckets, and events."""

    input: int
    read: frozenset[str] = frozenset({"input"})
    """Buckets that the input certainly may fall into: without a rate for one of them there is no bound."""
    may_read: frozenset[str] = frozenset({"cache_write_5m"})
    """Those that it may fall into where the row has a rate for them."""
    written: frozenset[str] = frozenset({"output", "reasoning"})
    web_searches: int = 0
    file_searches: int = 0


class Most(Struct, frozen=True, kw_only=True, gc=False):
    """The bound, as lines: ``(femto-dollars, femto-dollars for each token written)``; the dearest one holds.

    No lines, and a reason, where there is no bound.
    """

    lines: tuple[tuple[int, int], ...] = ()
    reason: str = ""

    def femto(self, output: int) -> int:
        """The most that the call costs with so many tokens written."""
        return max([fixed + rate * output for fixed, rate in self.lines])

    def affordable(self, femto: int) -> int:
        """How many tokens may be written for so much; negative where not even the request is paid by it."""
        return min([_tokens(femto - fixed, rate) for fixed, rate in self.lines])


_ENDLESS = 2**53


def _tokens(femto: int, rate: int) -> int:
    if femto < 0:
        return -1
    return femto // rate if rate else _ENDLESS


def most_of(plan_of: PlanOf, asked: Mapping[str, str], shape: Shape, at: float) -> Most:
    """The bound over every plan that may price the call."""
    plan = plan_of(None, None, None)
    if not plan.periods:
        return Most(reason=plan.reason or "there is no price")
    lines: set[tuple[int, int]] = set()
    tiers = _tiers(plan, asked)
    for tier, (region, host) in product(tiers, _places(plan)):
        for line in _lines(plan_of(tier, region, host), shape, at):
            if not isinstance(line, str):
                lines.add(line)
            elif tier == tiers[0]:
                return Most(reason=line)
    return Most(lines=tuple(sorted(lines)))


def _tiers(plan: Plan, asked: Mapping[str, str]) -> tuple[str | None, ...]:
    """What may serve it, first what was asked for: that must have a price, the others count where they have one."""
    tier = asked.get("service_tier", "").lower()
    if tier in _UNDECIDED:
        return (None, *sorted(plan.modes & _DEFAULTS))
    return (None, _LIST_PRICE)


def _places(plan: Plan) -> Iterator[tuple[str | None, str | None]]:
    hosts = [place for place in plan.places if place.startswith("host:")]
    regions = [place for place in plan.places if not place.startswith("host:")]
    return product((None, *regions), (None, *hosts))


def _lines(plan: Plan, shape: Shape, at: float) -> Iterator[tuple[int, int] | str]:
    """One line for each size step that the request may fall into; a text where one has no rate for it."""
    if plan.kind == "local":
        yield 0, 0
        return
    columns = _columns(shape.read, shape.may_read, shape.written)
    for above, priced in plan.steps_at(at):
        if above == 0 or shape.input > above:
            yield _line(priced, shape, columns)


_Columns: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Where in a vector of rates stand those that must be there, those of what is read, those of what is written."""


@lru_cache(maxsize=256)
def _columns(read: frozenset[str], may_read: frozenset[str], written: frozenset[str]) -> _Columns:
    needed = read | {"output"} if written else read
    return _at(needed), _at(read | may_read), _at(written)


def _at(buckets: frozenset[str]) -> tuple[int, ...]:
    return tuple(sorted([BUCKETS.index(bucket) for bucket in buckets]))


_WEB, _FILE, _REQUEST = (BUCKETS.index(event) for event in ("web_searches", "file_searches", "requests"))


def _line(priced: Priced, shape: Shape, columns: _Columns) -> tuple[int, int] | str:
    rates, (needed, read, written) = priced.vector, columns
    without = [column for column in needed if rates[column] is None]
    fixed = max([rates[column] or 0 for column in read]) * shape.input
    for column, count in ((_WEB, shape.web_searches), (_FILE, shape.file_searches)):
        if count:
            without += [column] if rates[column] is None else []
            fixed += (rates[column] or 0) * count
    if without:
        names = ", ".join([BUCKETS[column] for column in without])
        return f"no rate for {names} in {priced.rule.id} ({priced.rule.condition})"
    fixed += max([rates[_REQUEST] or 0, *priced.by_option.values()])
    return fixed, max([rates[column] or 0 for column in written], default=0)
