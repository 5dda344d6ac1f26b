"""Gauges: what is not counted but read from what lives, when metrics are asked for. All of it comes as plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Protocol

from ..._version import __version__
from ._names import METRICS
from ._series import Numbers, Series, label

__all__ = ["budget_gauges", "gauges", "join_gauges"]

_JOINED = {metric.name: metric.joined for metric in METRICS}


class LaneState(Protocol):
    """How it goes at one lane: a model with its gate, breaker and retry budget."""

    @property
    def model(self) -> str: ...
    @property
    def gate(self) -> str: ...
    @property
    def breaker_open(self) -> bool: ...
    @property
    def budget(self) -> float: ...


def gauges(lanes: Iterable[LaneState], model_label: Callable[[str, str], str]) -> Series:
    """The state of gates, breakers and retry budgets; of several under the same labels the sum, or the worst."""
    found: Series = {"quoth_build_info": {(__version__,): [1]}}
    for lane in lanes:
        provider, _, model = lane.model.partition("/")
        name = label(provider)
        join_gauges(
            found,
            {
                "quoth_retry_budget_remaining_ratio": {(name,): [lane.budget]},
                "quoth_gates": {(name, lane.gate): [1]},
                "quoth_breaker_open": {(name, model_label(provider, model)): [int(lane.breaker_open)]},
            },
        )
    return found


def join_gauges(series: Series, more: Mapping[str, Mapping[tuple[str, ...], Numbers]]) -> None:
    """Put the gauges of another process, or lane, to these."""
    for name, known in more.items():
        joined = _JOINED.get(name)
        own = series.setdefault(name, {})
        for labels, (number,) in known.items():
            there = own.get(labels)
            if there is None:
                own[labels] = [number]
            elif joined == "sum":
                there[0] += number
            else:
                there[0] = max(there[0], number) if joined == "max" else min(there[0], number)


class BudgetState(Protocol):
    """A budget in one window of time, in dollars."""

    @property
    def name(self) -> str | None: ...
    @property
    def value(self) -> str | None: ...
    @property
    def window(self) -> str | None: ...
    @property
    def limit(self) -> Decimal: ...
    @property
    def spent(self) -> Decimal: ...
    @property
    def reserved(self) -> Decimal: ...


def budget_gauges(states: Iterable[BudgetState], names: Collection[str], windows: Collection[str]) -> Series:
    """The budgets of these names. ``windows`` are those of now: what was spent in others is past.

    Where there is one budget for each value of a tag, all of them together: a value is no label, for it may be a user.
    """
    last: dict[tuple[str, str], BudgetState] = {}
    for state in states:
        if state.name is not None and state.name in names:
            owner = state.name, state.value or ""
            last[owner] = max(last.get(owner, state), state, key=lambda each: each.window or "")
    sums: dict[str, list[Decimal]] = {}
    for (name, _), state in last.items():
        spent = state.spent if state.window is None or state.window in windows else Decimal(0)
        amounts = sums.setdefault(name, [Decimal(0)] * 3)
        sums[name] = [one + more for one, more in zip(amounts, (state.limit, spent, state.reserved), strict=True)]
    return {
        f"quoth_budget_{what}_usd": {(label(name),): [float(amounts[index])] for name, amounts in sums.items()}
        for index, what in enumerate(("limit", "spent", "reserved"))
        if sums
    }
