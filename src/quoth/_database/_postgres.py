"""A PostgreSQL database, over psycopg 3 (extra ``postgres``): what many machines share."""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from ..errors import ConfigurationError
from ._schema import Parts
from ._seam import Part, Place, Row, StorageError, StorageProblem, Transaction

__all__ = ["PostgresDatabase"]

CONNECT_SECONDS = 5
"""How long a connection may take to be made."""

_MIGRATING = 0x71756F7468
"""The advisory lock of who migrates: the bytes of "quoth"."""

_PROBLEMS: dict[str, StorageProblem] = {
    "55P03": "busy",
    "40001": "busy",
    "40P01": "busy",
    "57014": "busy",
    "53": "full",
    "25006": "readonly",
    "42501": "readonly",
    "08": "unreachable",
    "57P": "unreachable",
    "28": "unreachable",
    "3D000": "missing",
    "XX001": "corrupt",
    "22": "refused",
    "23": "refused",
}
"""By SQLSTATE, or how it begins (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


def _storage_error(error: Exception, place: Place) -> StorageError:
    state: str = getattr(error, "sqlstate", None) or "08"  # without a state the server was not reached
    known: list[StorageProblem] = [_PROBLEMS[key] for key in (state, state[:3], state[:2]) if key in _PROBLEMS]
    words = " ".join(str(error).split())[:300]
    return StorageError(f"{place}: {words}", known[0] if known else "other")


class _Transaction:
    """A transaction on one cursor."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        self._cursor.execute(_spelled(sql), parameters)
        found: list[Row] = self._cursor.fetchall()
        return found

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        self._cursor.execute(_spelled(sql), parameters)
        return int(self._cursor.rowcount)

    def each(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        self._cursor.executemany(_spelled(sql), rows)
        return int(self._cursor.rowcount)


@cache
def _spelled(sql: str) -> str:
    """With psycopg's marks for parameters. Our statements hold no question mark of their own."""
    return sql.replace("%", "%%").replace("?", "%s")


_of_parents: list[Any] = []
"""Connections that were open when this process was forked. They are kept, and never used or closed."""


class PostgresDatabase:
    """One connection to one PostgreSQL database."""

    def __init__(self, place: Place, wait: float) -> None:
        try:
            import psycopg
        except ImportError:
            raise ConfigurationError(
                f"{place} needs psycopg, which is not installed: pip install 'quoth[postgres]'"
            ) from None
        self._psycopg = psycopg
        self.place = place
        self._wait = wait
        self._connection: Any = None
        self._parts = Parts()
        self._pid = os.getpid()
        self._lock = allocate_lock()

    def __del__(self) -> None:
        if getattr(self, "_pid", None) == os.getpid():
            self._let_go()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Generator[Transaction, None, None]:
        self._leave_to_parent()
        with self._lock:
            try:
                cursor = self._open().cursor()
            except (self._psycopg.Error, OSError) as error:
                raise _storage_error(error, self.place) from error
            try:
                if not write:
                    cursor.execute("SET TRANSACTION READ ONLY")
                yield _Transaction(cursor)
                self._connection.commit()
            except self._psycopg.Error as error:
                self._roll_back()
                raise _storage_error(error, self.place) from error
            except BaseException:
                self._roll_back()
                raise

    def prepare(self, part: Part) -> None:
        self._parts.prepare(part, self)

    def set_aside(self) -> str | None:
        return None

    def reset(self) -> None:
        self._leave_to_parent()
        with self._lock:
            self._let_go()

    close = reset

    def purge(self) -> None:
        """Vacuuming is the server's."""

    def _open(self) -> Any:
        if self._connection is None or self._connection.closed:
            wait = int(self._wait * 1000)
            connection = self._psycopg.connect(
                self.place.target, connect_timeout=CONNECT_SECONDS, application_name="quoth"
            )
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (str(wait),))
            connection.commit()
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _migrate(self, connection: Any) -> None:
        if not self._parts.known:
            return
        transaction = _Transaction(connection.cursor())
        transaction.rows("SELECT pg_advisory_xact_lock(?)", (_MIGRATING,))
        self._parts.migrate(transaction, "postgres")
        connection.commit()

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except self._psycopg.Error:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(self._psycopg.Error):
                connection.close()

    def _leave_to_parent(self) -> None:
        """After a fork: what is open is the parent's, and to close it here would end its session."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            _of_parents.append(self._connection)
            self._connection = None
            self._lock = allocate_lock()
