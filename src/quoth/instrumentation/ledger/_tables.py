"""The tables of the ledger: one wide row a call, the prices that they name, and views that sum.

One table and not two: a call and its attempts are one fact, written at once and kept once by one key; most calls have
one attempt; and one flat table is what people export, and read elsewhere. The attempts are a JSON column, which the
view ``quoth_attempts`` takes apart.

Rows are never changed: a correction is a further row that ``corrects`` another, and holds the difference. So sums
over all rows are right. NULL is unknown or absent, and never 0.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..._database import Part, Step

__all__ = ["COLUMNS", "COUNTED", "PART", "Kind"]

Kind: TypeAlias = Literal["text", "integer", "real", "json"]

_BUCKETS_1 = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_12h", "input_audio", "cache_read_audio",
    "input_image", "output", "reasoning", "output_audio", "output_image", "web_searches", "file_searches", "requests",
)  # fmt: skip
"""The counts of ``Usage`` that have a column of their own since version 1; ``usage_more`` takes any other."""

COLUMNS: dict[str, Kind] = {
    "id": "text",
    "corrects": "text",
    "day": "text",
    "started_at": "real",
    "seconds": "real",
    "first_output_seconds": "real",
    "operation": "text",
    "parent": "text",
    "provider": "text",
    "model": "text",
    "served_model": "text",
    "stream": "integer",
    "outcome": "text",
    "error_kind": "text",
    "status": "integer",
    "finish_reason": "text",
    "sent": "text",
    "user_ref": "text",
    "tags": "json",
    "calls": "integer",
    "unknown_usage": "integer",
    "unknown_cost": "integer",
    "usage_source": "text",
    **dict.fromkeys(_BUCKETS_1, "integer"),
    "usage_more": "json",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "cost_femto": "text",
    "cost_nusd": "integer",
    "cost_excess": "integer",
    "cost_kind": "text",
    "cost_basis": "text",
    "cost_reason": "text",
    "cost_stale": "integer",
    "cost_counts": "json",
    "cost_stated": "text",
    "cost_stated_in": "text",
    "computed_femto": "text",
    "computed_kind": "text",
    "computed_basis": "text",
    "computed_reason": "text",
    "computed_stale": "integer",
    "price_id": "text",
    "price_rule": "text",
    "price_source": "text",
    "price_date": "text",
    "attempts": "json",
    "tries": "integer",
    "changes": "json",
    "schema": "integer",
}
"""What each column holds, in the order of the table; docs/ledger.md says what each means."""

_REQUIRED = frozenset({
    "day", "started_at", "operation", "provider", "model", "outcome", "tags", "calls", "unknown_usage", "unknown_cost",
    "schema",
})  # fmt: skip

_TYPES = {
    "sqlite": {"text": "TEXT", "integer": "INTEGER", "real": "REAL", "json": "TEXT"},
    "postgres": {"text": "TEXT", "integer": "BIGINT", "real": "DOUBLE PRECISION", "json": "TEXT"},
}


def _calls(engine: Literal["sqlite", "postgres"]) -> str:
    types = _TYPES[engine]
    lines = [
        f'"{name}" {types[kind]}{" PRIMARY KEY" if name == "id" else " NOT NULL" if name in _REQUIRED else ""}'
        for name, kind in COLUMNS.items()
    ]
    return f"CREATE TABLE quoth_calls ({', '.join(lines)}){' STRICT' if engine == 'sqlite' else ''}"


_PRICES = "CREATE TABLE quoth_prices (id TEXT PRIMARY KEY, rule TEXT NOT NULL)"

_INDEXES = (
    "CREATE INDEX quoth_calls_day ON quoth_calls (day, provider, model)",
    "CREATE INDEX quoth_calls_started ON quoth_calls (started_at, id)",
    "CREATE INDEX quoth_calls_user ON quoth_calls (user_ref, day) WHERE user_ref IS NOT NULL",
    "CREATE INDEX quoth_calls_corrects ON quoth_calls (corrects) WHERE corrects IS NOT NULL",
)

_SUMS = """
    SUM(calls) AS calls,
    COUNT(*) FILTER (WHERE outcome = 'answered' AND calls = 1) AS answered,
    COUNT(*) FILTER (WHERE outcome = 'failed' AND calls = 1) AS failed,
    COUNT(*) FILTER (WHERE outcome = 'cancelled' AND calls = 1) AS cancelled,
    COUNT(*) FILTER (WHERE outcome = 'abandoned' AND calls = 1) AS abandoned,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens,
    SUM(cache_read) AS cache_read,
    SUM(reasoning) AS reasoning,
    SUM(unknown_usage) AS unknown_usage,
    SUM(cost_nusd) AS cost_nusd,
    SUM(cost_excess) AS cost_excess,
    SUM(unknown_cost) AS unknown_costs
"""
"""Exact to the femto-dollar: ``cost_nusd * 1000000 - cost_excess``."""

COUNTED = "(calls = 1 OR corrects IS NOT NULL)"
"""Not a request for a list of models: it costs nothing, and stands in no totals."""

_DAILY = (
    f"CREATE VIEW quoth_daily AS SELECT day, provider, model, {_SUMS} "  # noqa: S608  # our own words, here and below
    f"FROM quoth_calls WHERE {COUNTED} GROUP BY day, provider, model"
)

_DAILY_TAGS = (
    "CREATE VIEW quoth_daily_tags AS SELECT day, tag.key AS tag, tag.value AS value, {sums} "  # noqa: S608
    f"FROM quoth_calls, {{each}} WHERE {COUNTED} GROUP BY day, tag.key, tag.value"
)

_ATTEMPT_FIELDS = {
    "provider": "text",
    "model": "text",
    "started": "real",
    "seconds": "real",
    "waited": "real",
    "status": "integer",
    "error_kind": "text",
    "request_id": "text",
    "billed": "text",
    "followed_by": "text",
}

_ATTEMPTS = {
    "sqlite": (
        "CREATE VIEW quoth_attempts AS SELECT quoth_calls.id AS call_id, day, attempt.key + 1 AS number, "  # noqa: S608
        + ", ".join([f"attempt.value ->> '$.{name}' AS {name}" for name in _ATTEMPT_FIELDS])
        + " FROM quoth_calls, json_each(quoth_calls.attempts) AS attempt"
    ),
    "postgres": (
        "CREATE VIEW quoth_attempts AS SELECT quoth_calls.id AS call_id, day, attempt.number, "  # noqa: S608
        + ", ".join(
            [
                f"(attempt.value ->> '{name}')::{_TYPES['postgres'][kind]} AS {name}"
                for name, kind in _ATTEMPT_FIELDS.items()
            ]
        )
        + " FROM quoth_calls, jsonb_array_elements(quoth_calls.attempts::jsonb) WITH ORDINALITY "
        "AS attempt (value, number)"
    ),
}

PART = Part(
    name="ledger",
    steps=(
        Step(
            sqlite=(
                _calls("sqlite"),
                _PRICES + " STRICT",
                *_INDEXES,
                _DAILY,
                _DAILY_TAGS.format(sums=_SUMS, each="json_each(quoth_calls.tags) AS tag"),
                _ATTEMPTS["sqlite"],
            ),
            postgres=(
                _calls("postgres"),
                _PRICES,
                *_INDEXES,
                _DAILY,
                _DAILY_TAGS.format(sums=_SUMS, each="jsonb_each_text(quoth_calls.tags::jsonb) AS tag"),
                _ATTEMPTS["postgres"],
            ),
        ),
    ),
)
"""A step that was released is never edited: what is new is a further step, and its columns may be NULL."""
