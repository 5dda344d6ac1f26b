"""Checking a ledger: every cost is reckoned anew, from the row's own counts and the price that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from ...types import Cost
from .._record import CallRecord
from ._rows import record_of, row_of

__all__ = ["Disagreement", "LedgerCheck", "check_rows"]

MOST_KEPT = 1_000
"""Disagreements that are kept one by one."""

_DERIVED = (
    "day", "user_ref", "calls", "unknown_usage", "unknown_cost", "input_tokens", "output_tokens", "cost_nusd",
    "cost_excess", "cost_counts", "price_rule", "price_source", "price_date", "tries",
)  # fmt: skip
"""Columns that follow from others."""

_PRECISE = Context(prec=400)
_MOST_DIGITS = 100

_ROUNDED = 1_000
"""Femto-dollars by which a stated amount may differ: of several answers each was rounded by itself."""


class Disagreement(Struct, frozen=True, kw_only=True):
    """A column that does not hold what follows from the rest of its row."""

    id: str
    column: str
    stored: Any
    expected: Any

    def __str__(self) -> str:
        return f"{self.id}: {self.column} is {self.stored}, and should be {self.expected}"


class LedgerCheck(Struct, frozen=True, kw_only=True):
    """What a check found. ``unpriced`` rows have a cost that follows from no price: unknown, or none at all."""

    rows: int = 0
    recomputed: int = 0
    unpriced: int = 0
    wrong: int = 0
    disagreements: tuple[Disagreement, ...] = ()
    """The first of them."""

    @property
    def ok(self) -> bool:
        """Whether every row agrees with itself."""
        return not self.wrong

    def __str__(self) -> str:
        verdict = "all agree" if self.ok else f"{self.wrong} disagree"
        return (
            f"{self.rows:,} rows, {self.recomputed:,} costs reckoned anew, {self.unpriced:,} without a price: {verdict}"
        )


def check_rows(rows: Iterable[tuple[Mapping[str, Any], str | None]]) -> LedgerCheck:
    """Check rows, each with the JSON of its price."""
    count = recomputed = wrong = 0
    kept: list[Disagreement] = []
    for row, rule in rows:
        count += 1
        found = list(_row(row, rule))
        recomputed += row["price_id"] is not None
        wrong += bool(found)
        kept += found[: MOST_KEPT - len(kept)]
    return LedgerCheck(
        rows=count, recomputed=recomputed, unpriced=count - recomputed, wrong=wrong, disagreements=tuple(kept)
    )


def _row(row: Mapping[str, Any], rule: str | None) -> Iterator[Disagreement]:
    def complaint(column: str, expected: object) -> Disagreement:
        return Disagreement(id=str(row["id"]), column=column, stored=row[column], expected=expected)

    if row["corrects"] is not None:
        return
    try:
        record = record_of(row, rule)
        derived, price = row_of(record)
    except Exception as error:  # noqa: BLE001  # whatever somebody has written there
        yield complaint("id", f"a row that can be read ({type(error).__name__}: {error})")
        return
    yield from [complaint(name, derived.get(name)) for name in _DERIVED if derived.get(name) != row[name]]
    if (price[0] if price else None) != row["price_id"]:
        yield complaint("price_id", price[0] if price else "a price that is there")
    if record.cost is not None:
        yield from [complaint(column, expected) for column, expected in _amounts(record, record.cost)]


def _amounts(record: CallRecord, cost: Cost) -> Iterator[tuple[str, str | None]]:
    """The columns of amounts that do not follow from counts and rates, and what does."""
    reckoned = cost.computed or cost
    column = "computed_femto" if cost.computed else "cost_femto"
    if reckoned.kind == "unknown":  # of several answers one may be priced: its lines are a part that is known
        if reckoned.femto is not None:
            yield column, None
    elif reckoned.rule is not None:
        expected = _reckoned_anew(reckoned)
        if expected != reckoned.femto:
            yield column, None if expected is None else str(expected)
        yield from [("cost_counts", None) for bucket, count in reckoned.counts if _differs(record, bucket, count)][:1]
    if cost.stated is not None:
        stated = _stated(cost.stated)
        if stated is None:
            yield "cost_stated", "an amount of US dollars"
        elif cost.femto is None or abs(stated - cost.femto) > _ROUNDED:
            yield "cost_femto", str(stated)


def _stated(text: str) -> int | None:
    """A stated amount in femto-dollars, rounded as when it was recorded; None where the text is none."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        return None
    return int(_PRECISE.scaleb(amount, 15).to_integral_value())


def _reckoned_anew(cost: Cost) -> int | None:
    """What the counts cost by the rule; None where a bucket has no rate. What runs on this machine is free."""
    if cost.rule is None or (cost.unpriced and cost.kind != "local") or (cost.femto is None and not cost.counts):
        return None
    return sum([line.femto for line in cost.lines])


def _differs(record: CallRecord, bucket: str, count: int) -> bool:
    """Whether a cost was reckoned from another count than the usage has; an answer that says none is one request."""
    used = getattr(record.usage, bucket, 0) if record.usage is not None else 0
    return bool(count != used and (used or bucket != "requests"))
