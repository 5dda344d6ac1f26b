"""Prove the prices on other people's bills: ``python -m quoth.testing.prices FILE TABLE``.

FILE holds one JSON object a line. A line of the kind ``provider-reported`` is a usage object in which the provider
says itself what the call cost; one of the kind ``genai-prices-snapshot`` is a usage, and what another library made of
it. TABLE is that library's own table (a list of providers), or a ``costtable/1`` file.

Of a bill two things are asked: is the stated amount read to the last digit; and does the built-in table, with TABLE's
rows over it, reckon the same amount from the counts. Of a snapshot one: does our engine reckon the same under their own
table, given as overrides. What differs must fall into a class, which is a predicate over the difference and not a list
of ids; what falls into none is printed, and the exit code is 1. A stated amount that is misread is never excused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from ._bills import check_bill
from ._snapshots import check_snapshot
from ._tables import Table, read_table
from ._verdicts import Verdict, summary

__all__ = ["check", "main", "read_rows"]


def main(arguments: list[str]) -> int:
    """Check a file against a table, print the report, and give the exit code."""
    if len(arguments) != 2:
        sys.stdout.write(f"{__doc__}\n")
        return 2
    rows = read_rows(Path(arguments[0]))
    table = read_table(json.loads(Path(arguments[1]).read_text(encoding="utf-8"), parse_float=Decimal))
    verdicts = list(check(rows, table))
    sys.stdout.write(f"{summary(verdicts)}\n")
    return int(not verdicts or any(verdict.outcome == "failed" for verdict in verdicts))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; numbers with a point as Decimals, by their text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_float=Decimal) for line in lines if line.strip()]


def check(rows: Iterable[Mapping[str, Any]], table: Table) -> Iterable[Verdict]:
    """A verdict on each amount of each row; a row that cannot be checked fails by itself."""
    for row in rows:
        try:
            yield from _verdicts_on(row, table)
        except Exception as error:  # noqa: BLE001  # one odd row must not hide what the others say
            yield Verdict(str(row.get("id")), "rows of another form", "failed", type(error).__name__, str(error)[:200])


def _verdicts_on(row: Mapping[str, Any], table: Table) -> Iterable[Verdict]:
    match row["kind"]:
        case "provider-reported":
            return [check_bill(row, table)]
        case "genai-prices-snapshot":
            return list(check_snapshot(row, table))
        case kind:
            return [Verdict(str(row.get("id")), "rows of another form", "failed", f"kind {kind!r}", "")]
