"""Versions of the parts of a database, and bringing them up to date."""

from __future__ import annotations

from typing import Literal

from ._seam import Database, Part, StorageError, Transaction

__all__ = ["Parts"]

VERSIONS = "CREATE TABLE IF NOT EXISTS quoth_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"


class Parts:
    """The parts of one database: each new connection brings them up to date, for the file may be another then."""

    def __init__(self) -> None:
        self.known: dict[str, Part] = {}

    def prepare(self, part: Part, database: Database) -> None:
        """Add one and see it prepared; where that fails it is as if nobody had asked."""
        before = self.known
        if before.get(part.name) != part:
            database.reset()  # the connection that comes next prepares it
            self.known = {**before, part.name: part}
        try:
            with database.transaction(write=False):
                return
        except StorageError:
            self.known = before
            raise

    def migrate(self, transaction: Transaction, engine: Literal["sqlite", "postgres"]) -> None:
        """Apply the steps that any of them lacks."""
        for part in self.known.values():
            _migrate(transaction, part, engine)


def _migrate(transaction: Transaction, part: Part, engine: Literal["sqlite", "postgres"]) -> None:
    """Apply the steps that a part lacks. The caller keeps every other process out."""
    transaction.change(VERSIONS)
    found = transaction.rows("SELECT version FROM quoth_schema WHERE part = ?", (part.name,))
    version = found[0][0] if found else 0
    if version > part.version:
        raise StorageError(
            f"a newer quoth wrote the {part.name} here (version {version}, and this one knows {part.version}): "
            "upgrade quoth",
            "schema",
        )
    if version == part.version:
        return
    for step in part.steps[version:]:
        for statement in getattr(step, engine):
            transaction.change(statement)
    written = "UPDATE quoth_schema SET version = ? WHERE part = ?"
    if not transaction.change(written, (part.version, part.name)):
        transaction.change("INSERT INTO quoth_schema (version, part) VALUES (?, ?)", (part.version, part.name))
