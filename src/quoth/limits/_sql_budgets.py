"""Budgets that are kept in a database, SQLite or PostgreSQL, and shared by all processes that know it.

One transaction loads the accounts and holds that its operations name, locked in the order of their keys, has the books
carry the operations out (``_accounts``), and writes what they changed. SQLite locks all at once (``BEGIN IMMEDIATE``),
PostgreSQL each row (``FOR UPDATE``). The order is always holds first, then accounts, each sorted: nobody waits for one
who waits for him. The time is the database's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec
from msgspec import Struct

from .. import _json
from .._database import Database, Part, Row, Step, StorageError, Transaction
from ._accounts import (
    MOST_LISTED,
    Account,
    Books,
    BudgetStore,
    HoldRow,
    List,
    Operation,
    Outcome,
    Per,
    Reap,
    claims_of,
    holds_of,
    keys_of,
    window,
)

__all__ = ["PART", "SQLBudgetStore"]

_TABLES = (
    """CREATE TABLE budget_account(
      key TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      value TEXT NOT NULL,
      window_name TEXT NOT NULL,
      limit_nusd {int} NOT NULL,
      hard {int} NOT NULL,
      spent_nusd {int} NOT NULL CHECK (spent_nusd >= 0),
      reserved_nusd {int} NOT NULL CHECK (reserved_nusd >= 0),
      presumed_nusd {int} NOT NULL CHECK (presumed_nusd >= 0),
      overrun_nusd {int} NOT NULL CHECK (overrun_nusd >= 0),
      calls {int} NOT NULL,
      refused {int} NOT NULL,
      exceeded {int} NOT NULL){strict}""",
    """CREATE TABLE budget_hold(
      id TEXT PRIMARY KEY,
      state TEXT NOT NULL,
      parts TEXT NOT NULL,
      actual_nusd {int},
      expires_ms {int} NOT NULL){strict}""",
    "CREATE INDEX budget_hold_open ON budget_hold(expires_ms) WHERE state = 'open'",
    "CREATE INDEX budget_hold_closed ON budget_hold(expires_ms) WHERE state <> 'open'",
    "CREATE INDEX budget_account_name ON budget_account(name, value)",
    "CREATE INDEX budget_account_window ON budget_account(window_name)",
)
"""Amounts are nano-dollars; ``parts`` is JSON, ``[[account, amount], ...]``."""

PART = Part(
    name="budgets",
    steps=(
        Step(
            sqlite=tuple([table.format(int="INTEGER", strict=" STRICT") for table in _TABLES]),
            postgres=tuple([table.format(int="BIGINT", strict="") for table in _TABLES]),
        ),
    ),
)

KEPT_MS, PRESUMED_MS = 3_600_000, 7 * 86_400_000
"""How long a hold is kept beyond its lease: one that is closed, for who looks; one that is presumed spent, for the late
word of what it cost. Who closes one that is not there any more changes nothing either.
"""

KEPT_WINDOWS_MS = 400 * 86_400_000
"""How long accounts are kept whose window is past."""

MOST_REAPED = 500
"""Holds beyond their lease that one transaction presumes spent."""


class _Words(Struct, frozen=True, kw_only=True):
    """What one engine must be told in its own words."""

    now: str
    """Gives milliseconds since the epoch."""
    lock: str = ""
    """What locks the rows that are read."""
    skip: str = ""
    """What locks those of them that nobody else has locked."""
    collate: str = ""
    """What makes it sort as Python does."""


_WORDS = {
    "sqlite": _Words(now="SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"),
    "postgres": _Words(
        now="SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        lock=" FOR UPDATE",
        skip=" FOR UPDATE SKIP LOCKED",
        collate=' COLLATE "C"',
    ),
}

_ACCOUNT = (
    "key", "name", "value", "window_name", "limit_nusd", "hard", "spent_nusd", "reserved_nusd", "presumed_nusd",
    "overrun_nusd", "calls", "refused", "exceeded",
)  # fmt: skip
_HOLD = ("id", "state", "parts", "actual_nusd", "expires_ms")


class SQLBudgetStore(BudgetStore):
    """Carries operations out in a database. For one thread: the one behind a till."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._words = _WORDS[database.place.engine]
        self._prepared = False

    def carry_out(self, operations: Sequence[Operation]) -> list[Outcome]:
        if not self._prepared:
            self._database.prepare(PART)
            self._prepared = True
        try:
            with self._database.transaction() as transaction:
                return self._transact(transaction, operations)
        except StorageError as error:
            self._prepared = error.kind in ("busy", "full")  # else it may be another database when it is there again
            raise

    def close(self) -> None:
        self._database.close()

    def _now(self, transaction: Transaction) -> int:
        return int(transaction.rows(self._words.now)[0][0])

    def _transact(self, transaction: Transaction, operations: Sequence[Operation]) -> list[Outcome]:
        now, books = self._now(transaction), Books()
        for row in self._select(transaction, "budget_hold", _HOLD, "id", set(holds_of(operations))):
            books.holds[row[0]] = _read_hold(row)
        if any(isinstance(operation, Reap) for operation in operations):
            self._load_late(transaction, books, now)
        keys = {*keys_of(operations, now), *[key for hold in books.holds.values() for key, _ in hold.parts]}
        self._load_accounts(transaction, books, keys)
        self._create(transaction, books, operations, now)
        known = {*books.holds}
        outcomes: list[Outcome] = []
        for operation in operations:
            if isinstance(operation, List):
                known = self._save(transaction, books, known)
                outcomes.append(self._listed(transaction, operation))
            else:
                outcomes.append(books.carry_out(operation, now))
        self._save(transaction, books, known)
        return outcomes

    def _select(
        self, transaction: Transaction, table: str, columns: Sequence[str], key: str, keys: set[str]
    ) -> Iterable[Row]:
        """The rows under these keys, locked in their order."""
        if not keys:
            return ()
        words, marks = self._words, ", ".join("?" * len(keys))
        return transaction.rows(
            f"SELECT {', '.join(columns)} FROM {table} WHERE {key} IN ({marks}) "  # noqa: S608  # names are our own
            f"ORDER BY {key}{words.collate}{words.lock}",
            sorted(keys),
        )

    def _load_accounts(self, transaction: Transaction, books: Books, keys: set[str]) -> None:
        for row in self._select(transaction, "budget_account", _ACCOUNT, "key", keys):
            books.accounts[row[0]] = _read_account(row)

    def _load_late(self, transaction: Transaction, books: Books, now: int) -> None:
        """Load the holds beyond their lease; let go of what was closed, and of windows that were past, long ago."""
        words = self._words
        late = transaction.rows(
            f"SELECT {', '.join(_HOLD)} FROM budget_hold WHERE state = 'open' AND expires_ms <= ? "  # noqa: S608  # as above
            f"ORDER BY id{words.collate} LIMIT {MOST_REAPED}{words.skip}",
            (now,),
        )
        for row in late:
            books.holds.setdefault(row[0], _read_hold(row))
        transaction.change(
            "DELETE FROM budget_hold "
            "WHERE state <> 'open' AND expires_ms < ? AND (state <> 'presumed' OR expires_ms < ?)",
            (now - KEPT_MS, now - PRESUMED_MS),
        )
        for per in get_args(Per):
            oldest = window(per, now - KEPT_WINDOWS_MS)[0]
            transaction.change(
                "DELETE FROM budget_account WHERE window_name < ? AND window_name > ? AND length(window_name) = ? "
                "AND reserved_nusd = 0",
                (oldest, "1", len(oldest)),
            )

    def _create(self, transaction: Transaction, books: Books, operations: Sequence[Operation], now: int) -> None:
        """Make the accounts that are not there, empty, for two processes may come at once; then they are locked."""
        claims = {claim.key(now): claim for claim in claims_of(operations)}
        missing = {key: claims[key] for key in sorted(claims) if key not in books.accounts}
        if not missing:
            return
        rows = [
            (key, claim.name, claim.value, key.rpartition("\t")[2], claim.limit, int(claim.hard), *[0] * 7)
            for key, claim in missing.items()
        ]
        transaction.each(f"{_INSERT_ACCOUNT} ON CONFLICT (key) DO NOTHING", rows)
        self._load_accounts(transaction, books, {*missing})

    @staticmethod
    def _save(transaction: Transaction, books: Books, known: set[str]) -> set[str]:
        """Write what has changed; give the holds that the database knows then."""
        accounts = [_account_row(books.accounts[key]) for key in sorted(books.changed_accounts)]
        if accounts:
            transaction.each(_UPDATE_ACCOUNT, [(*row[4:], row[0]) for row in accounts])
        holds = [_hold_row(books.holds[hold]) for hold in sorted(books.changed_holds)]
        if new := [row for row in holds if row[0] not in known]:
            transaction.each(_INSERT_HOLD, new)
        if old := [(*row[1:], row[0]) for row in holds if row[0] in known]:
            transaction.each(_UPDATE_HOLD, old)
        books.changed_accounts.clear()
        books.changed_holds.clear()
        return {*books.holds}

    @staticmethod
    def _listed(transaction: Transaction, asked: List) -> tuple[Account, ...]:
        where, values = ("WHERE name = ?", [asked.name]) if asked.name is not None else ("", [])
        rows = transaction.rows(
            f"SELECT {', '.join(_ACCOUNT)} FROM budget_account {where} ORDER BY key LIMIT {MOST_LISTED}",  # noqa: S608  # as above
            values,
        )
        return tuple([_read_account(row) for row in rows])


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table}({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # as above


def _update(table: str, columns: Sequence[str], key: str) -> str:
    return f"UPDATE {table} SET {', '.join([f'{name} = ?' for name in columns])} WHERE {key} = ?"  # noqa: S608  # as above


_INSERT_ACCOUNT, _UPDATE_ACCOUNT = _insert("budget_account", _ACCOUNT), _update("budget_account", _ACCOUNT[4:], "key")
_INSERT_HOLD, _UPDATE_HOLD = _insert("budget_hold", _HOLD), _update("budget_hold", _HOLD[1:], "id")

_PARTS = msgspec.json.Decoder(tuple[tuple[str, int], ...])


def _read_account(row: Row) -> Account:
    _, name, value, window_name, limit, hard, spent, reserved, presumed, overrun, calls, refused, exceeded = row
    return Account(
        name=name,
        value=value,
        window=window_name,
        limit=limit,
        hard=bool(hard),
        spent=spent,
        reserved=reserved,
        presumed=presumed,
        overrun=overrun,
        calls=calls,
        refused=refused,
        exceeded=exceeded,
    )


def _account_row(account: Account) -> tuple[Any, ...]:
    return (
        account.key,
        account.name,
        account.value,
        account.window,
        account.limit,
        int(account.hard),
        account.spent,
        account.reserved,
        account.presumed,
        account.overrun,
        account.calls,
        account.refused,
        account.exceeded,
    )


def _read_hold(row: Row) -> HoldRow:
    hold, state, parts, actual, expires = row
    return HoldRow(id=hold, state=state, parts=_PARTS.decode(parts), actual=actual, expires=expires)


def _hold_row(hold: HoldRow) -> tuple[Any, ...]:
    return hold.id, hold.state, _json.encode(hold.parts).decode(), hold.actual, hold.expires
