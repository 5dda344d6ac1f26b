"""Questions to a ledger, as SQL that both engines understand; what differs stands in ``_TAG_OF``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from ..._database import Database, Row, Transaction
from ...errors import InputError
from .._usage import UsageTotals
from ._rows import exact_femto
from ._tables import COLUMNS, COUNTED

__all__ = ["DIMENSIONS", "Wanted", "newest_rows", "rows_of", "totals_by"]

DIMENSIONS = {
    "day": "day",
    "model": "provider || '/' || model",
    "served_model": "served_model",
    "provider": "provider",
    "operation": "operation",
    "user": "user_ref",
}
"""What totals can be asked by, beside ``tag:name``."""

_TAG = "tag:"
_TAG_OF = {
    "sqlite": "(SELECT value FROM json_each(quoth_calls.tags) WHERE key = ?)",
    "postgres": "(tags::jsonb ->> ?::text)",
}

_TOKENS = tuple([name for name in UsageTotals.__struct_fields__ if name in ("input_tokens", "output_tokens")])
_BUCKETS = tuple(list(COLUMNS)[list(COLUMNS).index("input") : list(COLUMNS).index("web_searches")])
_ENDINGS = ("answered", "failed", "cancelled", "abandoned")

_PAGE = 500


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows: from a moment on and before another (seconds since the epoch), and of whom."""

    since: float | None = None
    until: float | None = None
    provider: str | None = None
    model: str | None = None
    """Its id with the provider or without."""
    user: str | None = None
    tags: Mapping[str, str] = {}

    def where(self, engine: str, *more: str) -> tuple[str, list[Any]]:
        """The condition, and its parameters."""
        conditions, values = list(more), list[Any]()
        for condition, value in (
            ("started_at >= ?", self.since),
            ("started_at < ?", self.until),
            ("provider = ?", self.provider),
            ("user_ref = ?", self.user),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        if self.model is not None:
            conditions.append("(model = ? OR provider || '/' || model = ?)")
            values += [self.model, self.model]
        for name, text in self.tags.items():
            conditions.append(f"{_TAG_OF[engine]} = ?")
            values += [name, text]
        return " AND ".join(conditions) or "1 = 1", values


def totals_by(database: Database, by: str | None, wanted: Wanted) -> dict[str, UsageTotals]:
    """The totals by the values of a dimension, in their order; under ``""`` where none is asked for.

    Rows that have no such value are in none. Raises InputError for a dimension that there is not.
    """
    engine = database.place.engine
    group, parameters = _dimension(by, engine)
    where, values = wanted.where(engine, COUNTED)
    sums = [
        "SUM(calls)",
        *[f"COUNT(*) FILTER (WHERE outcome = '{ending}' AND calls = 1)" for ending in _ENDINGS],
        "SUM(unknown_usage)", "SUM(unknown_cost)", "SUM(cost_nusd)", "SUM(cost_excess)",
        *[f"SUM({name})" for name in _TOKENS],
        *[f"SUM({name}) FILTER (WHERE usage_source = 'provider')" for name in _BUCKETS],
    ]  # fmt: skip
    sql = f"SELECT {group}, {', '.join(sums)} FROM quoth_calls WHERE {where} GROUP BY 1 ORDER BY 1"  # noqa: S608  # our own words; what users say are parameters
    with database.transaction(write=False) as transaction:
        found = transaction.rows(sql, [*parameters, *values])
    return {row[0]: _totals(row[1:]) for row in found if row[0] is not None}


def _dimension(by: str | None, engine: str) -> tuple[str, list[str]]:
    if by is None:
        return "''", []
    if by.startswith(_TAG) and len(by) > len(_TAG):
        return _TAG_OF[engine], [by.removeprefix(_TAG)]
    if by not in DIMENSIONS:
        known = ", ".join([*DIMENSIONS, "tag:name"])
        raise InputError(f"totals are not kept by {by!r:.80}: there are {known}")
    return DIMENSIONS[by], []


def _totals(row: Row) -> UsageTotals:
    numbers = [int(value or 0) for value in row]
    calls, answered, failed, cancelled, abandoned, unknown_usage, unknown_costs, nano, excess = numbers[:9]
    input_tokens, output_tokens, *buckets = numbers[9:]
    return UsageTotals(
        calls=calls,
        answered=answered,
        failed=failed,
        cancelled=cancelled,
        abandoned=abandoned,
        tokens={name: count for name, count in zip(_BUCKETS, buckets, strict=True) if count},
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        unknown_usage=unknown_usage,
        femto=exact_femto(nano, excess),
        unknown_costs=unknown_costs,
    )


_SELECT = (
    "SELECT "  # noqa: S608  # our own names
    + ", ".join([f'quoth_calls."{name}"' for name in COLUMNS])
    + ", quoth_prices.rule FROM quoth_calls LEFT JOIN quoth_prices ON quoth_prices.id = quoth_calls.price_id "
)


def rows_of(database: Database, wanted: Wanted, *more: str) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The rows by name, in order of time, each with the rule of its price as JSON; read by the page.

    No transaction is open between two pages: a long reading holds up nobody.
    """
    last: tuple[Any, Any] | None = None
    while True:
        with database.transaction(write=False) as transaction:
            page = _page(transaction, database.place.engine, wanted, more, last)
        for row in page:
            yield _named(row)
        if len(page) < _PAGE:
            return
        last = (page[-1][_STARTED], page[-1][0])


_STARTED = list(COLUMNS).index("started_at")


def _named(row: Row) -> tuple[dict[str, Any], str | None]:
    return dict(zip(COLUMNS, row, strict=False)), row[-1]


def newest_rows(database: Database, wanted: Wanted, count: int) -> list[tuple[dict[str, Any], str | None]]:
    """The last rows of calls, the newest first."""
    where, values = wanted.where(database.place.engine, "corrects IS NULL")
    with database.transaction(write=False) as transaction:
        order = "ORDER BY started_at DESC, quoth_calls.id DESC LIMIT ?"
        return [_named(row) for row in transaction.rows(f"{_SELECT} WHERE {where} {order}", [*values, count])]


def _page(
    transaction: Transaction, engine: str, wanted: Wanted, more: tuple[str, ...], last: tuple[Any, Any] | None
) -> list[Row]:
    where, values = wanted.where(engine, *more)
    if last is not None:
        where += " AND (started_at, quoth_calls.id) > (?, ?)"
        values += last
    return transaction.rows(f"{_SELECT} WHERE {where} ORDER BY started_at, quoth_calls.id LIMIT {_PAGE}", values)
