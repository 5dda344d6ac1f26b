"""Usage totals: exact sums of what calls used and cost, by model; unknown costs are counted, never added as zero."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from ..types import Cost
from ._record import CallRecord

__all__ = ["UsageFold", "UsageReport", "UsageTotals", "sums_of"]


class UsageTotals(Struct, frozen=True, kw_only=True, gc=False):
    """Sums over calls. ``tokens`` is by bucket of ``Usage``; ``femto`` in femto-dollars (1e-15 USD)."""

    calls: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    abandoned: int = 0
    tokens: Mapping[str, int] = msgspec.field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    unknown_usage: int = 0
    """Calls that may have used tokens and whose numbers are missing or suspect."""
    femto: int = 0
    unknown_costs: int = 0
    """Calls that may have cost something that is unknown, an attempt before their answer included: ``usd`` is then a
    lower bound.
    """

    @property
    def usd(self) -> Decimal:
        """The exact sum of the known costs, in US dollars."""
        return Cost(femto=self.femto).usd or Decimal(0)

    def __str__(self) -> str:
        more = f" + {self.unknown_costs} unknown" if self.unknown_costs else ""
        return (
            f"{self.calls} calls, {self.input_tokens:,} + {self.output_tokens:,} tokens, {Cost(femto=self.femto)}{more}"
        )


OTHER = "other"
"""What stands for all models of a provider, or values of a tag, beyond the number that is kept apart."""

MOST_MODELS = 2_000
"""Models of all providers that are summed apart."""
MOST_TAG_NAMES = 64
MOST_TAG_VALUES = 1_000
"""Values of one tag that are summed apart."""


class UsageReport(Struct, frozen=True, kw_only=True, gc=False):
    """The totals of all calls; of each model under its canonical id; of each tag by its name and value.

    A call counts under each of its tags; a call without a tag is under none of its values. Past a bound, which keeps
    memory constant, further models are summed as ``provider/other`` and further values of a tag as ``other``;
    ``overflow`` counts how often that happened, and the totals stay exact.
    """

    total: UsageTotals
    models: Mapping[str, UsageTotals]
    tags: Mapping[str, Mapping[str, UsageTotals]] = msgspec.field(default_factory=dict)
    overflow: int = 0

    @property
    def providers(self) -> dict[str, UsageTotals]:
        """The totals of each provider."""
        sums: dict[str, _Sums] = {}
        for name, totals in self.models.items():
            sums.setdefault(name.partition("/")[0], _Sums()).take(totals)
        return {name: each.totals() for name, each in sums.items()}

    def __str__(self) -> str:
        lines = [f"{name}: {totals}" for name, totals in self.models.items()]
        tags = [f"{name}={value}: {totals}" for name, by in self.tags.items() for value, totals in by.items()]
        return "\n".join([*lines, *tags, f"total: {self.total}"])


class _Sums:
    """Running sums of some calls."""

    __slots__ = ("counts", "tokens")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.tokens: dict[str, int] = {}

    def add(self, record: CallRecord) -> None:
        """Put one call to them."""
        counts, cost, usage = self.counts, record.cost, record.usage
        counts["calls"] = counts.get("calls", 0) + 1
        counts[record.outcome] = counts.get(record.outcome, 0) + 1
        if cost is not None and cost.femto is not None:
            counts["femto"] = counts.get("femto", 0) + cost.femto
        if (cost is not None and cost.femto is None) or _lost_attempts(record):
            counts["unknown_costs"] = counts.get("unknown_costs", 0) + 1
        if usage is not None and usage.source == "provider":
            counts["input_tokens"] = counts.get("input_tokens", 0) + usage.total_input
            counts["output_tokens"] = counts.get("output_tokens", 0) + usage.total_output
            tokens = self.tokens
            for bucket, count in usage.buckets():
                tokens[bucket] = tokens.get(bucket, 0) + count
        elif cost is not None:
            counts["unknown_usage"] = counts.get("unknown_usage", 0) + 1

    def join(self, other: _Sums) -> None:
        _add(self.counts, other.counts)
        _add(self.tokens, other.tokens)

    def take(self, totals: UsageTotals) -> None:
        _add(self.counts, {name: getattr(totals, name) for name in _COUNTS})
        _add(self.tokens, totals.tokens)

    def totals(self) -> UsageTotals:
        return UsageTotals(tokens=dict(self.tokens), **self.counts)


_COUNTS = tuple(name for name in UsageTotals.__struct_fields__ if name != "tokens")


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        sums[name] = sums.get(name, 0) + count


def sums_of(record: CallRecord) -> _Sums:
    """What one call adds."""
    sums = _Sums()
    sums.add(record)
    return sums


def _lost_attempts(record: CallRecord) -> bool:
    """Whether a call that has an answer may also have paid for attempts that have none."""
    return len(record.attempts) > 1 and any(attempt.billed != "no" for attempt in record.attempts)


class UsageFold:
    """Adds records one by one; its memory is bounded, however many calls, models and tags there are."""

    def __init__(self) -> None:
        self._models: dict[str, _Sums] = {}
        self._tags: dict[str, dict[str, _Sums]] = {}
        self._overflow = 0

    def add(self, record: CallRecord) -> None:
        if record.operation == "list_models":
            return
        other = f"{record.provider}/{OTHER}"
        sums = self._place(self._models, f"{record.provider}/{record.model}", MOST_MODELS, other)
        if not record.tags:
            sums.add(record)
            return
        added = sums_of(record)
        sums.join(added)
        for name, value in record.tags.items():
            values = self._tags.get(name)
            if values is None:
                if len(self._tags) >= MOST_TAG_NAMES:
                    self._overflow += 1
                    continue
                values = self._tags[name] = {}
            self._place(values, value, MOST_TAG_VALUES, OTHER).join(added)

    def _place(self, sums: dict[str, _Sums], key: str, most: int, other: str) -> _Sums:
        """Where the sums of this key are kept: its own place, else the common one."""
        found = sums.get(key)
        if found is None and len(sums) >= most:
            self._overflow += 1
            key = other
            found = sums.get(key)
        if found is None:
            found = sums[key] = _Sums()
        return found

    def report(self) -> UsageReport:
        total = _Sums()
        for each in self._models.values():
            total.join(each)
        return UsageReport(
            total=total.totals(),
            models={name: each.totals() for name, each in self._models.items()},
            tags={name: {value: each.totals() for value, each in by.items()} for name, by in self._tags.items()},
            overflow=self._overflow,
        )
