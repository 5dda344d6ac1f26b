"""Ledger: every call of a program, kept in a database: written behind its back, read by whoever asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Self, TypedDict, Unpack

from msgspec.structs import replace

from ..._database import Place, StorageError, Transaction, open_database, place_of
from ...errors import InputError
from .._days import Day, moment
from .._record import CallRecord
from .._usage import UsageTotals
from ._check import LedgerCheck, check_rows
from ._counts import Counts
from ._export import export_rows, format_of
from ._pump import insert
from ._queries import Wanted, newest_rows, rows_of, totals_by
from ._rows import exact_femto, femto_columns, record_of
from ._spill import Spill, place_beside
from ._tables import PART
from ._writer import Writer

__all__ = ["Ledger", "Which"]

PATIENCE = 2.0
"""Seconds that a reader waits for what was recorded, and for others who hold the database."""


class Which(TypedDict, total=False):
    """Which calls are meant: those that began from ``since`` on and before ``until``, of whom, with which tags.

    A day is its first second (UTC). ``model`` is an id with its provider or without; ``user`` is the tag ``user``.
    """

    since: Day
    until: Day
    provider: str | None
    model: str | None
    user: str | None
    tags: Mapping[str, str]


class Ledger:
    """The ledger at one place. ``models.ledger`` is the one that is configured; ``Ledger.at`` opens any.

    What it cannot do now is a StorageError. Reading waits for what this process has recorded until then.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.writer = Writer(place)
        self._database = open_database(place, wait=PATIENCE, create=False)

    @classmethod
    def at(cls, where: str | os.PathLike[str]) -> Ledger:
        """The ledger at a path, ``sqlite:///path`` or ``postgresql://...``. Raises ConfigurationError."""
        return cls(place_of(os.fspath(where), "the ledger"))

    @property
    def exists(self) -> bool:
        """Whether there is a file; of a server it is not asked."""
        return self.place.engine != "sqlite" or os.path.exists(self.place.target)  # noqa: PTH110  # as elsewhere

    @property
    def counts(self) -> Counts:
        """What this process has written, spilled and lost."""
        return self.writer.counts

    def total(self, **which: Unpack[Which]) -> UsageTotals:
        """The exact sums over all these calls, corrections included."""
        return self._totals(None, which).get("", UsageTotals())

    def totals(self, by: str, **which: Unpack[Which]) -> dict[str, UsageTotals]:
        """The exact sums by ``day``, ``model``, ``served_model``, ``provider``, ``operation``, ``user``, ``tag:name``.

        Calls that have no such value are in none of them. Raises InputError for another word.
        """
        return self._totals(by, which)

    def _totals(self, by: str | None, which: Which) -> dict[str, UsageTotals]:
        wanted = _wanted(which)
        return totals_by(self._database, by, wanted) if self._readable() else {}

    def records(self, **which: Unpack[Which]) -> Iterator[CallRecord]:
        """These calls, by the time when they began. What a provider itself reported of its usage is not kept."""
        for row, rule in self._rows(which, "corrects IS NULL"):
            yield record_of(row, rule)

    def recent(self, count: int = 20, **which: Unpack[Which]) -> list[CallRecord]:
        """The last of these calls, the newest first."""
        wanted = _wanted(which)
        found = newest_rows(self._database, wanted, count) if self._readable() else []
        return [record_of(row, rule) for row, rule in found]

    def _rows(self, which: Which, *more: str) -> Iterator[tuple[dict[str, Any], str | None]]:
        wanted = _wanted(which)
        if self._readable():
            yield from rows_of(self._database, wanted, *more)

    def check(self, **which: Unpack[Which]) -> LedgerCheck:
        """Reckon every cost anew, from the counts of its row and the price that this names."""
        return check_rows(self._rows(which))

    def export(self, path: str | os.PathLike[str], *, format: str | None = None, **which: Unpack[Which]) -> int:
        """Write these rows to a ``.csv``, ``.jsonl`` or ``.parquet`` file, all or nothing; give their number.

        Parquet needs pyarrow or duckdb; without either it is a ConfigurationError.
        """
        target = os.fspath(path)
        kind = format_of(target, format)
        return export_rows((row for row, _ in self._rows(which)), target, kind)

    def correct(self, id: str, *, usd: Decimal | str | int, reason: str) -> str:
        """Say what a call has really cost: a further row that holds the difference; give its id.

        The row of the call stays as it is, and so does ``reason``, in ``cost_reason``. Sums have the new amount.
        """
        femto = _femto(usd)
        self._readable()
        with self._database.transaction() as transaction:
            return _correct(transaction, id, femto, reason)

    def delete(self, *, before: Day = None, user: str | None = None, tags: Mapping[str, str] | None = None) -> int:
        """Remove calls and their corrections: those that began before a day, of a user, with these tags; all that is
        given must hold. Gives the number of rows. What was spilled is replayed first, so that it goes too.
        """
        which = Which(until=before, user=user, tags=tags or {})
        where, values = _wanted(which).where(self.place.engine)
        if not values:
            raise InputError("delete needs to be told which: before=, user= or tags=")
        if not self._readable():
            return 0
        self.replay()
        with self._database.transaction() as transaction:
            doomed = f"SELECT id FROM quoth_calls WHERE {where}"  # noqa: S608  # our own words
            removed = transaction.change(f"DELETE FROM quoth_calls WHERE corrects IN ({doomed})", values)  # noqa: S608
            removed += transaction.change(f"DELETE FROM quoth_calls WHERE {where}", values)  # noqa: S608
        self._database.purge()
        return removed

    def replay(self) -> int:
        """Write what other processes, or this one, had to spill; give the number of rows that were new.

        The writer does it by itself when it begins. Raises StorageError where the database takes none.
        """
        database = open_database(self.place, wait=PATIENCE)
        spill = Spill(place_beside(self.place.target, is_file=self.place.engine == "sqlite"))
        if not spill.files():
            return 0
        database.prepare(PART)
        try:
            return spill.replay(partial(insert, database))[0]
        finally:
            database.close()

    def flush(self, timeout: float = PATIENCE) -> bool:
        """Wait until what this process has recorded is written; False where it is not, after so many seconds."""
        return self.writer.flush(timeout)

    def close(self) -> None:
        """Write what waits, and let go. It may be used again."""
        self.writer.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end(self) -> None:
        """Close for good."""
        self.writer.end()
        self._database.close()

    def _readable(self) -> bool:
        """Have what was recorded written; say whether there is anything to read."""
        self.writer.flush(PATIENCE)
        try:
            self._database.prepare(PART)
        except StorageError as error:
            if error.kind == "missing":
                return False
            raise
        return True

    def __repr__(self) -> str:
        return f"Ledger({str(self.place)!r})"


def _wanted(which: Which) -> Wanted:
    known = {name: value for name, value in which.items() if name not in ("since", "until")}
    unknown = [name for name in known if name not in Wanted.__struct_fields__]
    if unknown:
        raise InputError(f"there is no {unknown[0]!r} to choose calls by: {', '.join(Wanted.__struct_fields__)}")
    wanted = Wanted(**known)  # type: ignore[arg-type]  # a TypedDict's items are objects
    return replace(wanted, since=moment(which.get("since"), "since"), until=moment(which.get("until"), "until"))


def _femto(usd: Decimal | str | int) -> int:
    given: object = usd
    try:
        if isinstance(given, (float, bool)):
            raise InvalidOperation
        amount = Decimal(usd).scaleb(15)
        if amount != (femto := int(amount)):
            raise InvalidOperation
    except (InvalidOperation, ValueError, TypeError, OverflowError):
        raise InputError(
            f"usd is an exact amount of US dollars, as a Decimal or a str such as '0.0125', not {usd!r:.80}"
        ) from None
    return femto


_KEPT_OF_CALL = (
    "day", "started_at", "operation", "provider", "model", "served_model", "outcome", "sent", "user_ref", "tags",
    "schema",
)  # fmt: skip
"""Columns that a correction has from the call that it corrects, so that it counts where the call does."""


def _correct(transaction: Transaction, id: str, femto: int, reason: str) -> str:
    names = ", ".join([f'"{name}"' for name in _KEPT_OF_CALL])
    found = transaction.rows(f"SELECT {names} FROM quoth_calls WHERE id = ? AND corrects IS NULL", (id,))  # noqa: S608
    if not found:
        raise InputError(f"there is no call {id!r:.80} in the ledger")
    [(number, nano, excess, unknown)] = transaction.rows(
        "SELECT COUNT(*), SUM(cost_nusd), SUM(cost_excess), SUM(unknown_cost) FROM quoth_calls "
        "WHERE id = ? OR corrects = ?",
        (id, id),
    )
    values = {
        "id": f"{id}.{number}",
        "corrects": id,
        **dict(zip(_KEPT_OF_CALL, found[0], strict=True)),
        **femto_columns(femto - exact_femto(nano, excess)),
        "calls": 0,
        "unknown_usage": 0,
        "unknown_cost": -int(unknown),
        "cost_kind": "correction",
        "cost_reason": reason[:2_000].replace("\0", " "),
    }
    columns = ", ".join([f'"{name}"' for name in values])
    marks = ", ".join("?" * len(values))
    transaction.change(f"INSERT INTO quoth_calls ({columns}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    return str(values["id"])
