"""A SQLite file in WAL mode: readers and one writer at a time, of any number of processes.

Files are made for their owner alone (0600; SQLite gives ``-wal`` and ``-shm`` the mode of the file they belong to),
and so are folders that are made for them (0700). ``synchronous=NORMAL``: what was committed survives the end of the
process, however sudden; a power failure may take the last commits.
"""

from __future__ import annotations

import os
import sqlite3
from _thread import allocate_lock
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC, EROFS
from itertools import count
from typing import Any
from weakref import WeakSet

from ..errors import ConfigurationError
from ._files import hold, identity, is_at, is_foreign, make_folder
from ._schema import Parts
from ._seam import Part, Place, Row, StorageError, StorageProblem, Transaction

__all__ = ["SQLiteDatabase"]

OLDEST = (3, 37)
"""The first SQLite that keeps to the types of columns (STRICT), of November 2021."""

_PROBLEMS: dict[int, StorageProblem] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "unreachable",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CANTOPEN: "unreachable",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_CONSTRAINT: "refused",
    sqlite3.SQLITE_MISMATCH: "refused",
    sqlite3.SQLITE_TOOBIG: "refused",
}
"""By primary result code (https://sqlite.org/rescode.html)."""

_OF_SYSTEM: dict[int, StorageProblem] = {ENOSPC: "full", EDQUOT: "full", EROFS: "readonly"}
"""By errno, while folder and file are made."""


def _storage_error(error: Exception, place: Place) -> StorageError:
    if isinstance(error, OSError):
        return StorageError(f"{place}: {error.strerror}", _OF_SYSTEM.get(error.errno or 0, "unreachable"))
    code: int = getattr(error, "sqlite_errorcode", 0)
    return StorageError(f"{place}: {error}", _PROBLEMS.get(code & 0xFF, "other"))


class _Transaction:
    """A transaction on one connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def each(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        return self._connection.executemany(sql, rows).rowcount


class SQLiteDatabase:
    """One connection to one file."""

    def __init__(self, place: Place, wait: float, *, create: bool = True) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            oldest, found = ".".join(map(str, OLDEST)), sqlite3.sqlite_version
            raise ConfigurationError(f"{place} needs SQLite {oldest} or newer, and this Python has {found}")
        self.place = place
        self._wait = wait
        self._create = create
        self._connection: sqlite3.Connection | None = None
        self._parts = Parts()
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that is open: it may be removed, or replaced, behind our back."""
        self._lock = allocate_lock()
        _watch(self)

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self._let_go()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Generator[Transaction, None, None]:
        with self._lock:
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            except (sqlite3.Error, OSError) as error:
                raise _storage_error(error, self.place) from error
            try:
                yield _Transaction(connection)
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                _roll_back(connection)
                raise _storage_error(error, self.place) from error
            except OverflowError as error:
                _roll_back(connection)
                raise StorageError(f"{self.place}: {error}", "refused") from error
            except BaseException:
                _roll_back(connection)
                raise

    def prepare(self, part: Part) -> None:
        self._parts.prepare(part, self)

    def reset(self) -> None:
        with self._lock:
            self._let_go()

    close = reset

    def purge(self) -> None:
        with self._lock:
            try:
                self._open().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (sqlite3.Error, OSError) as error:
                raise _storage_error(error, self.place) from error

    def _let_go(self) -> None:
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file != identity(self.place.target):
            self._let_go()  # it would write on into a file that nobody will find
        if self._connection is None:
            self._make()
            connection = _connect(self.place.target, self._wait)
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._file = connection, identity(self.place.target)
        return self._connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._parts.known:
            connection.execute("BEGIN IMMEDIATE")
            self._parts.migrate(_Transaction(connection), "sqlite")
            connection.execute("COMMIT")

    def _make(self) -> None:
        path = self.place.target
        if any(is_foreign(path + suffix) for suffix in ("", "-wal", "-shm", "-journal")):
            raise StorageError(f"{path} is somebody else's, in a folder that everybody may write to", "unreachable")
        if os.path.exists(path):  # noqa: PTH110  # pathlib costs start-up time
            return
        if not self._create:
            raise StorageError(f"{path} is not there", "missing")
        make_folder(os.path.dirname(path))  # noqa: PTH120
        # Only where there is none: to close a descriptor of a database drops the locks that its connections hold.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    def set_aside(self) -> str | None:
        self.reset()
        path = self.place.target
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        try:
            hold(descriptor)  # who waited here finds another file in its place, and lets that one be
            if not is_at(descriptor, path) or _is_sound(path):
                return None
            number = next(number for number in count(1) if not os.path.lexists(f"{path}.corrupt-{number}"))
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    os.replace(path + suffix, f"{path}.corrupt-{number}{suffix}")  # noqa: PTH105
        finally:
            os.close(descriptor)
        return f"{path}.corrupt-{number}"

    # Around a fork.

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """What is open is the parent's: to close it here could end its log under it."""
        if self._connection is not None:
            _of_parents.append(self._connection)
        self._connection = self._file = None
        self._lock = allocate_lock()


_of_parents: list[sqlite3.Connection] = []
"""Connections that were open when this process was forked. They are kept, and never used or closed."""

_watched: WeakSet[SQLiteDatabase] = WeakSet()
_held: list[SQLiteDatabase] = []


def _watch(database: SQLiteDatabase) -> None:
    if not _watched:
        _register()
    _watched.add(database)


_registered: list[int] = []


def _register() -> None:
    """Have no fork happen inside SQLite: its own locks would stay shut in the child for ever. Once, for good."""
    if _registered or not hasattr(os, "register_at_fork"):
        return
    _registered.append(os.getpid())
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _before_fork() -> None:
    _held[:] = list(_watched)
    for database in _held:
        database.before_fork()


def _after_in_parent() -> None:
    for database in _held:
        database.after_fork_in_parent()
    _held.clear()


def _after_in_child() -> None:
    for database in {*_held, *_watched}:
        database.after_fork_in_child()
    _held.clear()


def _connect(path: str, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # what was deleted for privacy's sake is gone
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # it says so where SQLite has rolled back by itself
        connection.execute("ROLLBACK")


def _is_sound(path: str) -> bool:
    try:
        connection = sqlite3.connect(path, timeout=1)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        finally:
            connection.close()
    except sqlite3.Error as error:
        return _PROBLEMS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF) != "corrupt"
