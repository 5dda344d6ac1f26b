"""The database that ledger and budgets share: a SQLite file, or PostgreSQL; its opening, its schema, its transactions.

``place_of`` reads where it is, ``open_database`` gives a ``Database``: one connection, used by one thread at a time
(others wait for its lock), opened at the first transaction, again after a failure, and anew in a forked child. Each
room that keeps tables there owns a ``Part``: its name and the SQL that brings it from one version to the next.
``Database.prepare(part)`` applies what is missing, in one transaction, with every other process kept out.

SQL is written once, with ``?`` for parameters, where both engines understand it. What fails is a ``StorageError`` of
a kind that says what to do: ``busy`` and ``unreachable`` pass, ``full`` and ``readonly`` may, ``corrupt`` does not.
"""

from __future__ import annotations

from ._seam import WAIT, Database, Part, Place, Row, Step, StorageError, Transaction, place_of

__all__ = ["Database", "Part", "Place", "Row", "Step", "StorageError", "Transaction", "open_database", "place_of"]


def open_database(place: Place, *, wait: float = WAIT, create: bool = True) -> Database:
    """A database that connects at its first transaction. ``wait``: seconds for which a statement waits for others.

    Without ``create`` a file that is not there is a StorageError (``missing``). Raises ConfigurationError where
    PostgreSQL is asked for and psycopg is not installed.
    """
    if place.engine == "sqlite":
        from ._sqlite import SQLiteDatabase

        return SQLiteDatabase(place, wait, create=create)
    from ._postgres import PostgresDatabase

    return PostgresDatabase(place, wait)
