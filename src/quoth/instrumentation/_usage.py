"""Usage totals: exact sums of what calls used and cost, by model; unknown costs are counted, never added as zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from ..types import Cost
from ._record import CallRecord

__all__ = ["UsageFold", "UsageReport", "UsageTotals"]


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
    """Calls that may have cost something and whose cost is unknown: ``usd`` is then a lower bound."""

    @property
    def usd(self) -> Decimal:
        """The exact sum of the known costs, in US dollars."""
        return Cost(femto=self.femto).usd or Decimal(0)

    def __str__(self) -> str:
        more = f" + {self.unknown_costs} unknown" if self.unknown_costs else ""
        return (
            f"{self.calls} calls, {self.input_tokens:,} + {self.output_tokens:,} tokens, {Cost(femto=self.femto)}{more}"
        )


class UsageReport(Struct, frozen=True, kw_only=True, gc=False):
    """The totals of all calls, and of each model under its canonical id."""

    total: UsageTotals
    models: Mapping[str, UsageTotals]

    def __str__(self) -> str:
        lines = [f"{name}: {totals}" for name, totals in self.models.items()]
        return "\n".join([*lines, f"total: {self.total}"])


class UsageFold:
    """Adds records one by one; its memory grows with the number of models, not of calls."""

    def __init__(self) -> None:
        self._models: dict[str, Counter[str]] = {}
        self._tokens: dict[str, Counter[str]] = {}

    def add(self, record: CallRecord) -> None:
        name = f"{record.provider}/{record.model}"
        counts = self._models.setdefault(name, Counter())
        counts["calls"] += 1
        counts[record.outcome] += 1
        cost = record.cost
        if cost is not None and cost.femto is not None:
            counts["femto"] += cost.femto
        elif cost is not None:
            counts["unknown_costs"] += 1
        self._add_usage(record, counts, self._tokens.setdefault(name, Counter()))

    def _add_usage(self, record: CallRecord, counts: Counter[str], tokens: Counter[str]) -> None:
        usage = record.usage
        if usage is None or usage.source != "provider":
            counts["unknown_usage"] += record.cost is not None
            return
        counts["input_tokens"] += usage.total_input
        counts["output_tokens"] += usage.total_output
        for bucket, number in usage.buckets():
            tokens[bucket] += number

    def report(self) -> UsageReport:
        all_counts: Counter[str] = Counter()
        all_tokens: Counter[str] = Counter()
        models: dict[str, UsageTotals] = {}
        for name, counts in self._models.items():
            tokens = self._tokens[name]
            models[name] = UsageTotals(tokens=dict(tokens), **counts)
            all_counts.update(counts)
            all_tokens.update(tokens)
        return UsageReport(total=UsageTotals(tokens=dict(all_tokens), **all_counts), models=models)
