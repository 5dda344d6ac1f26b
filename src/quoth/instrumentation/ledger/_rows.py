"""A CallRecord as a row of the ledger, and back. What the provider itself reported of its usage is not kept.

Text is kept as far as a database can hold it: a lone surrogate becomes U+FFFD, NUL a space, and nobody's text is
longer than ``LONGEST``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from ...types import EVENT_BUCKETS, TOKEN_BUCKETS, Attempt, Cost, PriceRule, Usage
from .._record import CallRecord
from .._usage import sums_of
from ._tables import COLUMNS

__all__ = ["Price", "Values", "exact_femto", "femto_columns", "price_of", "record_of", "row_of"]

Values: TypeAlias = dict[str, Any]
"""The columns of one row by name; what is NULL may be left out."""
Price: TypeAlias = tuple[str, str]
"""The id of a price, and its rule as JSON."""

LONGEST = 2_000
"""Characters of one text."""

USER = "user"
"""The tag whose value is the column ``user_ref``, with an index: for whom to count, and whom to forget."""

MOST = 2**63 - 1

_BUCKETS = (*TOKEN_BUCKETS, *EVENT_BUCKETS)
_COUNTS = attrgetter(*_BUCKETS)
_ALL_COUNTS = tuple([name for name in Usage.__struct_fields__ if name not in ("source", "reported")])
_WITH_COLUMN = tuple([name for name in _ALL_COUNTS if name in COLUMNS])
_WITH_COLUMN_OF = attrgetter(*_WITH_COLUMN)
_WITHOUT_COLUMN = tuple([name for name in _ALL_COUNTS if name not in COLUMNS])
_OF_RECORD = (
    "id", "started_at", "seconds", "first_output_seconds", "operation", "parent", "provider", "model", "served_model",
    "outcome", "error_kind", "status", "finish_reason", "sent", "schema",
)  # fmt: skip
"""Columns that hold the record's field of that name as it is."""
_FIELDS = attrgetter(*_OF_RECORD)
_OF_COST = ("kind", "basis", "reason", "stale")
"""Fields of a cost that are columns behind ``cost_`` and ``computed_``."""


def row_of(record: CallRecord) -> tuple[Values, Price | None]:
    """The row of a record, and the price that it names, if any."""
    cost = record.cost
    sums = sums_of(record).counts if record.operation != "list_models" else {}
    values: Values = dict(zip(_OF_RECORD, map(_plain, _FIELDS(record)), strict=True))
    values |= {
        "day": _day(record.started_at),
        "stream": int(record.stream),
        "tags": _tags(record.tags),
        "user_ref": _plain(record.tags.get(USER)),
        "calls": sums.get("calls", 0),
        "unknown_usage": sums.get("unknown_usage", 0),
        "unknown_cost": sums.get("unknown_costs", 0),
        "attempts": _attempts(record.attempts),
        "tries": len(record.attempts),
        "changes": _json([_text(change) for change in record.changes]) if record.changes else None,
    }
    if record.usage is not None:
        values |= _usage_columns(record.usage)
    price = None
    if cost is not None:
        price = price_of((cost.computed or cost).rule)
        values |= _cost_columns(cost, record.usage, price)
        if cost.femto is not None and values["cost_nusd"] is None:
            values["unknown_cost"] = 1  # an amount that no column can hold is summed as unknown
    return values, price


def _day(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "1970-01-01"


def _text(value: str) -> str:
    if value.isascii() and len(value) <= LONGEST and "\0" not in value:
        return value
    return value[:LONGEST].replace("\0", " ").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(value: Any) -> Any:
    """A text, a number or None as a column can hold it."""
    if type(value) is str:
        return _text(value)
    return None if type(value) is int and not -MOST <= value <= MOST else value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _tags(tags: Mapping[str, str]) -> str:
    try:
        text = _json(tags)
    except UnicodeEncodeError:
        return _json({_text(name): _text(value) for name, value in tags.items()})
    return text


def _attempts(attempts: tuple[Attempt, ...]) -> str:
    try:
        text = _json(attempts)
    except UnicodeEncodeError:
        text = _NUL
    if len(text) <= LONGEST and _NUL not in text:
        return text
    return _json([{name: _plain(getattr(each, name)) for name in Attempt.__struct_fields__} for each in attempts])


_NUL = "\\u0000"
"""NUL as JSON has it, which PostgreSQL does not read."""


def _usage_columns(usage: Usage) -> Values:
    counts = _WITH_COLUMN_OF(usage)
    known = usage.source == "provider"
    if not known or max(counts) > MOST or min(counts) < -MOST:  # of a usage that is missing or suspect 0 is no count
        counts = tuple([_plain(count) if known or count else None for count in counts])
    more = {name: count for name in _WITHOUT_COLUMN if (count := getattr(usage, name))}
    return {
        **dict(zip(_WITH_COLUMN, counts, strict=True)),
        "usage_source": usage.source,
        "usage_more": _json(more) if more else None,
        "input_tokens": _plain(usage.input_tokens),
        "output_tokens": _plain(usage.output_tokens),
    }


def _cost_columns(cost: Cost, usage: Usage | None, price: Price | None) -> Values:
    reckoned = cost.computed or cost
    rule = reckoned.rule
    values = femto_columns(cost.femto)
    values |= {
        "cost_kind": cost.kind,
        "cost_basis": cost.basis,
        "cost_reason": _plain(cost.reason),
        "cost_stale": int(cost.stale),
        "cost_counts": None if reckoned.counts == _counts_of(usage) else _json(reckoned.counts),
        "cost_stated": _plain(cost.stated),
        "cost_stated_in": _plain(cost.stated_in),
        "price_id": price[0] if price else None,
        "price_rule": _text(rule.id) if rule else None,
        "price_source": _text(rule.source) if rule else None,
        "price_date": rule.as_of if rule else None,
    }
    if cost.computed is not None:
        values |= {
            "computed_femto": None if reckoned.femto is None else str(reckoned.femto),
            "computed_kind": reckoned.kind,
            "computed_basis": reckoned.basis,
            "computed_reason": _plain(reckoned.reason),
            "computed_stale": int(reckoned.stale),
        }
    return values


def femto_columns(femto: int | None) -> Values:
    """An amount as text, as nano-dollars rounded up, and what the rounding added in femto-dollars."""
    if femto is None:
        return {"cost_femto": None, "cost_nusd": None, "cost_excess": None}
    nano = -(-femto // 10**6)
    fits = abs(nano) <= MOST
    return {
        "cost_femto": str(femto),
        "cost_nusd": nano if fits else None,
        "cost_excess": nano * 10**6 - femto if fits else None,
    }


def exact_femto(nano: Any, excess: Any) -> int:
    """The exact sum of amounts, from the sums of the two columns; nothing sums to 0."""
    return int(nano or 0) * 10**6 - int(excess or 0)


def _counts_of(usage: Usage | None) -> tuple[tuple[str, int], ...]:
    """The counts that a cost is reckoned from, where nothing else is billed."""
    if usage is None:
        return ()
    return tuple([(name, count) for name, count in zip(_BUCKETS, _COUNTS(usage), strict=True) if count])


_KEPT = 1_000
_prices: dict[int, tuple[PriceRule, Price]] = {}
"""By identity of the rule, which lives with it here: calls share the rules of the price table."""


def price_of(rule: PriceRule | None) -> Price | None:
    """The rule as JSON under an id that follows from it: the same rates are kept once."""
    if rule is None:
        return None
    found = _prices.get(id(rule))
    if found is None:
        text = _json(rule)
        found = rule, (hashlib.sha256(text.encode()).hexdigest()[:24], text)
        if len(_prices) >= _KEPT:
            _prices.clear()
        _prices[id(rule)] = found
    return found[1]


# And back.


def record_of(values: Mapping[str, Any], rule: str | None) -> CallRecord:
    """The record of a row, and of the JSON of the price that it names."""
    fields: dict[str, Any] = {name: values.get(name) for name in _OF_RECORD}
    return CallRecord(
        **fields,
        tags=msgspec.json.decode(values["tags"]),
        stream=bool(values.get("stream")),
        usage=_usage_of(values),
        cost=_cost_of(values, rule),
        attempts=tuple(msgspec.json.decode(values.get("attempts") or "[]", type=list[Attempt])),
        changes=tuple(msgspec.json.decode(values.get("changes") or "[]")),
    )


def _usage_of(values: Mapping[str, Any]) -> Usage | None:
    source = values.get("usage_source")
    if source is None:
        return None
    counts: dict[str, Any] = {name: values.get(name) or 0 for name in _WITH_COLUMN}
    more = msgspec.json.decode(values.get("usage_more") or "{}")
    return Usage(source=source, **counts, **{name: more[name] for name in _WITHOUT_COLUMN if name in more})


def _cost_of(values: Mapping[str, Any], rule: str | None) -> Cost | None:
    kind = values.get("cost_kind")
    if kind is None:
        return None
    kept = values.get("cost_counts")
    counts: tuple[tuple[str, int], ...] = (
        _counts_of(_usage_of(values)) if kept is None else msgspec.json.decode(kept, type=tuple[tuple[str, int], ...])
    )
    reckoning: dict[str, Any] = {"counts": counts, "rule": msgspec.json.decode(rule, type=PriceRule) if rule else None}
    computed = None
    if values.get("computed_kind") is not None:
        computed, reckoning = Cost(**_cost_fields(values, "computed_"), **reckoning), {}
    return Cost(
        **_cost_fields(values, "cost_"),
        **reckoning,
        stated=values.get("cost_stated"),
        stated_in=values.get("cost_stated_in"),
        computed=computed,
    )


def _cost_fields(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    femto = values.get(f"{prefix}femto")
    fields = {name: values.get(prefix + name) for name in _OF_COST}
    return {**fields, "femto": None if femto is None else int(femto), "stale": bool(fields["stale"])}
