"""Versions of the parts of a database, and bringing them up to date."""

from __future__ import annotations

from typing import Literal

from ._seam import Part, StorageError, Transaction

__all__ = ["migrate"]

VERSIONS = "CREATE TABLE IF NOT EXISTS quoth_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"


def migrate(transaction: Transaction, part: Part, engine: Literal["sqlite", "postgres"]) -> None:
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
