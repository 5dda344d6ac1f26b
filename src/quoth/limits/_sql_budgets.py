"""Budgets that are kept in a database, SQLite or PostgreSQL, and shared by all processes that know it.

One transaction loads the accounts and holds that its operations name, locked in the order of their keys, has the books
carry the operations out (``_accounts``), and writes what they changed. SQLite locks all at once (``BEGIN IMMEDIATE``),
PostgreSQL each row (``FOR UPDATE``). The order is always holds first, then accounts, each sorted: nobody waits for one
who waits for him. The time is the database's.

What a database must be told in its own words stands in one table, ``DATABASES``. A connection is any of DB-API 2.0 that
begins no transaction by itself (``autocommit``); errors are its driver's, and end the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from .. import _json
from ._accounts import (
    MOST_LISTED,
    Account,
    Books,
    BudgetStore,
    HoldRow,
    List,
    Operation,
    Outcome,
    Reap,
    claims_of,
    holds_of,
)

__all__ = ["DATABASES", "SCHEMA", "Connection", "Database", "SQLBudgetStore"]

SCHEMA: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS budget_account(
      key TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      value TEXT NOT NULL,
      window_name TEXT NOT NULL,
      limit_nusd BIGINT NOT NULL,
      hard INTEGER NOT NULL,
      spent_nusd BIGINT NOT NULL CHECK (spent_nusd >= 0),
      reserved_nusd BIGINT NOT NULL CHECK (reserved_nusd >= 0),
      presumed_nusd BIGINT NOT NULL CHECK (presumed_nusd >= 0),
      overrun_nusd BIGINT NOT NULL CHECK (overrun_nusd >= 0),
      calls BIGINT NOT NULL,
      refused BIGINT NOT NULL,
      exceeded BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS budget_hold(
      id TEXT PRIMARY KEY,
      state TEXT NOT NULL,
      parts TEXT NOT NULL,
      actual_nusd BIGINT,
      expires_ms BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS budget_hold_open ON budget_hold(expires_ms) WHERE state = 'open'",
    "CREATE INDEX IF NOT EXISTS budget_hold_closed ON budget_hold(expires_ms) WHERE state <> 'open'",
    "CREATE INDEX IF NOT EXISTS budget_account_name ON budget_account(name, value)",
)
"""In words that both databases understand. Amounts are nano-dollars; ``parts`` is JSON, ``[[account, amount], ...]``."""

KEPT_MS = 7 * 86_400_000
"""How long a closed hold is kept beyond its lease, so that whoever closes it again is told that it is closed."""

MOST_REAPED = 500
"""Holds beyond their lease that one transaction presumes spent."""


class Connection(Protocol):
    """What is used of a DB-API connection."""

    def cursor(self) -> Any: ...
    def close(self) -> None: ...


class Database(Struct, frozen=True, kw_only=True):
    """What one database must be told in its own words."""

    begin: tuple[str, ...]
    now: str
    """Gives milliseconds since the epoch."""
    mark: Literal["?", "%s"]
    """What stands for a parameter."""
    lock: str = ""
    """What locks the rows that are read."""
    skip: str = ""
    """What locks those that nobody else has locked."""


DATABASES: dict[str, Database] = {
    "sqlite": Database(
        begin=("BEGIN IMMEDIATE",),
        now="SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        mark="?",
    ),
    "postgresql": Database(
        begin=("BEGIN", "SET LOCAL lock_timeout = '200ms'", "SET LOCAL statement_timeout = '1s'"),
        now="SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        mark="%s",
        lock=" FOR UPDATE",
        skip=" FOR UPDATE SKIP LOCKED",
    ),
}

_ACCOUNT = (
    "key", "name", "value", "window_name", "limit_nusd", "hard", "spent_nusd", "reserved_nusd", "presumed_nusd",
    "overrun_nusd", "calls", "refused", "exceeded",
)  # fmt: skip
_HOLD = ("id", "state", "parts", "actual_nusd", "expires_ms")

_Row: TypeAlias = Sequence[Any]


class SQLBudgetStore(BudgetStore):
    """Carries operations out in a database. For one thread: the one behind a till."""

    def __init__(self, connect: Callable[[], Connection], database: Database) -> None:
        self._connect = connect
        self._database = database
        self._connection: Connection | None = None

    def carry_out(self, operations: Sequence[Operation]) -> list[Outcome]:
        connection = self._connection = self._connection or self._connect()
        cursor = connection.cursor()
        try:
            for statement in self._database.begin:
                cursor.execute(statement)
            outcomes = self._transact(cursor, operations)
            cursor.execute("COMMIT")
        except BaseException:
            self._roll_back(cursor)
            raise
        return outcomes

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _roll_back(self, cursor: Any) -> None:
        try:
            cursor.execute("ROLLBACK")
        except Exception:  # noqa: BLE001  # the connection is lost, and what it had begun with it: the next one is new
            self._connection = None

    def _transact(self, cursor: Any, operations: Sequence[Operation]) -> list[Outcome]:
        now = self._now(cursor)
        books = Books()
        ids = sorted(set(holds_of(operations)))
        for row in self._select(cursor, "budget_hold", _HOLD, "id", ids):
            books.holds[row[0]] = _read_hold(row)
        if any(isinstance(operation, Reap) for operation in operations):
            self._load_late(cursor, books, now)
        keys = {claim.key(now) for claim in claims_of(operations)}
        keys.update(key for hold in books.holds.values() for key, _ in hold.parts)
        for row in self._select(cursor, "budget_account", _ACCOUNT, "key", sorted(keys)):
            books.accounts[row[0]] = _read_account(row)
        self._create(cursor, books, operations, now)
        loaded = {*books.accounts}, {*books.holds}
        outcomes: list[Outcome] = []
        for operation in operations:
            if isinstance(operation, List):
                self._save(cursor, books, *loaded)
                loaded = {*books.accounts}, {*books.holds}
                outcomes.append(self._listed(cursor, operation))
            else:
                outcomes.append(books.carry_out(operation, now))
        self._save(cursor, books, *loaded)
        return outcomes

    def _now(self, cursor: Any) -> int:
        cursor.execute(self._database.now)
        return int(cursor.fetchone()[0])

    def _select(self, cursor: Any, table: str, columns: Sequence[str], key: str, keys: list[str]) -> Iterable[_Row]:
        """The rows under these keys, locked in their order."""
        if not keys:
            return ()
        marks = ", ".join([self._database.mark] * len(keys))
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM {table} WHERE {key} IN ({marks}) ORDER BY {key}{self._database.lock}",
            keys,
        )
        rows: list[_Row] = cursor.fetchall()
        return rows

    def _load_late(self, cursor: Any, books: Books, now: int) -> None:
        """The holds beyond their lease; and let go of those that were closed long ago."""
        mark = self._database.mark
        cursor.execute(
            f"SELECT {', '.join(_HOLD)} FROM budget_hold WHERE state = 'open' AND expires_ms <= {mark} "
            f"ORDER BY id LIMIT {MOST_REAPED}{self._database.skip}",
            (now,),
        )
        for row in cursor.fetchall():
            books.holds.setdefault(row[0], _read_hold(row))
        cursor.execute(f"DELETE FROM budget_hold WHERE state <> 'open' AND expires_ms < {mark}", (now - KEPT_MS,))

    def _create(self, cursor: Any, books: Books, operations: Sequence[Operation], now: int) -> None:
        """Make the accounts that are not there: empty, for two processes may come at once; then they are locked."""
        missing = {claim.key(now): claim for claim in claims_of(operations)}
        missing = {key: missing[key] for key in sorted(missing) if key not in books.accounts}
        if not missing:
            return
        marks = ", ".join([self._database.mark] * len(_ACCOUNT))
        rows = [
            (key, claim.name, claim.value, key.rpartition("\t")[2], claim.limit, int(claim.hard), *[0] * 7)
            for key, claim in missing.items()
        ]
        cursor.executemany(
            f"INSERT INTO budget_account({', '.join(_ACCOUNT)}) VALUES ({marks}) ON CONFLICT (key) DO NOTHING", rows
        )
        for row in self._select(cursor, "budget_account", _ACCOUNT, "key", [*missing]):
            books.accounts[row[0]] = _read_account(row)

    def _save(self, cursor: Any, books: Books, accounts: set[str], holds: set[str]) -> None:
        mark = self._database.mark
        changed = [_account_row(books.accounts[key]) for key in sorted(books.changed_accounts & accounts)]
        if changed:
            columns = ", ".join([f"{name} = {mark}" for name in _ACCOUNT[4:]])
            cursor.executemany(
                f"UPDATE budget_account SET {columns} WHERE key = {mark}", [(*row[4:], row[0]) for row in changed]
            )
        kept = [_hold_row(books.holds[id]) for id in sorted(books.changed_holds)]
        if new := [row for row in kept if row[0] not in holds]:
            marks = ", ".join([mark] * len(_HOLD))
            cursor.executemany(f"INSERT INTO budget_hold({', '.join(_HOLD)}) VALUES ({marks})", new)
        if old := [(*row[1:], row[0]) for row in kept if row[0] in holds]:
            columns = ", ".join([f"{name} = {mark}" for name in _HOLD[1:]])
            cursor.executemany(f"UPDATE budget_hold SET {columns} WHERE id = {mark}", old)
        books.changed_accounts.clear()
        books.changed_holds.clear()

    def _listed(self, cursor: Any, asked: List) -> tuple[Account, ...]:
        wanted = {"name": asked.name, "value": asked.value}
        stated = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join([f"{column} = {self._database.mark}" for column in stated])
        cursor.execute(
            f"SELECT {', '.join(_ACCOUNT)} FROM budget_account {'WHERE ' if where else ''}{where} "
            f"ORDER BY key LIMIT {MOST_LISTED}",
            list(stated.values()),
        )
        return tuple([_read_account(row) for row in cursor.fetchall()])


_PARTS = msgspec.json.Decoder(tuple[tuple[str, int], ...])


def _read_account(row: _Row) -> Account:
    _, name, value, window, limit, hard, spent, reserved, presumed, overrun, calls, refused, exceeded = row
    return Account(
        name=name,
        value=value,
        window=window,
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


def _read_hold(row: _Row) -> HoldRow:
    id, state, parts, actual, expires = row
    return HoldRow(id=id, state=state, parts=_PARTS.decode(parts), actual=actual, expires=expires)


def _hold_row(hold: HoldRow) -> tuple[Any, ...]:
    return hold.id, hold.state, _json.encode(hold.parts).decode(), hold.actual, hold.expires
