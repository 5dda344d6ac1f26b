"""The words of the database: where it is, what is kept there, what fails, and what both engines can do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct

from ..errors import ConfigurationError

__all__ = [
    "WAIT",
    "Database",
    "Part",
    "Place",
    "Row",
    "Step",
    "StorageError",
    "StorageProblem",
    "Transaction",
    "place_of",
]

Row: TypeAlias = tuple[Any, ...]

StorageProblem: TypeAlias = Literal[
    "busy", "full", "readonly", "unreachable", "missing", "corrupt", "schema", "refused", "other"
]
"""Another holds it; no room; not to be written; not to be reached; not there; damaged; of a newer quoth; it will not
take this value; whatever else."""

WAIT = 0.25
"""Seconds that one statement waits for another process, where nobody says otherwise."""


class StorageError(Exception):
    """The database cannot do it now; ``kind`` says why. Its words hold no password."""

    def __init__(self, message: str, kind: StorageProblem = "other") -> None:
        super().__init__(message)
        self.kind: StorageProblem = kind


class Place(Struct, frozen=True, gc=False):
    """Where a database is: the absolute path of a SQLite file, or the URL of a PostgreSQL database."""

    engine: Literal["sqlite", "postgres"]
    target: str

    def __str__(self) -> str:
        """The path, or the URL without user, password and parameters."""
        if self.engine == "sqlite":
            return self.target
        from urllib.parse import urlsplit

        parts = urlsplit(self.target)
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def __repr__(self) -> str:
        return f"Place({str(self)!r})"


def place_of(text: str, name: str) -> Place:
    """Read a path, ``sqlite:///path`` (four slashes before an absolute one) or ``postgresql://...``.

    Raises ConfigurationError, naming ``name``, where it is none of these.
    """
    import os

    scheme, separator, rest = text.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        return Place("postgres", f"postgresql://{rest}")
    if separator and (scheme != "sqlite" or not rest.startswith("/")):
        raise ConfigurationError(
            f"{name}: {scheme}:// is no database of ours; give a path, sqlite:///path or postgresql://host/database"
        )
    path = rest[1:] if separator else text
    if not path.strip() or "\0" in path or path == ":memory:":
        raise ConfigurationError(f"{name} needs the path of a file, not {path!r:.80}")
    return Place("sqlite", os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111  # pathlib costs start-up time


class Step(Struct, frozen=True, kw_only=True):
    """The statements that bring a part from one version to the next, for each engine."""

    sqlite: tuple[str, ...]
    postgres: tuple[str, ...]


class Part(Struct, frozen=True, kw_only=True):
    """What one room keeps in the database. Its version is the number of its steps; a step that was released stays."""

    name: str
    steps: tuple[Step, ...]

    @property
    def version(self) -> int:
        return len(self.steps)


class Transaction(Protocol):
    """What can be done between beginning and commit."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and give all its rows."""
        ...

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement and say how many rows it changed."""
        ...

    def each(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each of these rows and say how many rows were changed in all."""
        ...


class Database(Protocol):
    """One connection to a place. Safe to share between threads and to carry over a fork."""

    place: Place

    def transaction(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Begin; commit where the block ends, roll back where it raises. Raises StorageError.

        With ``write`` it holds the database from its first moment on (SQLite: BEGIN IMMEDIATE).
        """
        ...

    def prepare(self, part: Part) -> None:
        """Bring a part to its present version, now and at each further connection: the file may be another then.

        Raises StorageError (``schema``) where a newer quoth wrote it.
        """
        ...

    def set_aside(self) -> str | None:
        """Give a damaged file another name, so that the next transaction makes a new one; say which name.

        None where there is nothing to set aside: it is sound, or another process has done it.
        """
        ...

    def purge(self) -> None:
        """Have what was deleted leave the files too, as far as that is ours to do."""
        ...

    def reset(self) -> None:
        """Let go of the connection; the next transaction opens another."""
        ...

    def close(self) -> None:
        """As ``reset``, for good manners at the end."""
        ...
