"""A ledger as a file for others: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from ...errors import ConfigurationError, InputError
from ._tables import COLUMNS, Kind

__all__ = ["FORMATS", "export_rows", "format_of"]

Rows: TypeAlias = Iterator[Mapping[str, Any]]

_CHUNK = 10_000

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a text begins that a spreadsheet takes for a formula, which may send what stands beside it anywhere (OWASP)."""
_NUMBER = r"-?[0-9]+(\.[0-9]+)?"


def format_of(path: str, named: str | None) -> str:
    """The format that is named, else the one that the path ends in. Raises InputError where it is none of ours."""
    found = named or _ENDINGS.get(os.path.splitext(path)[1].lower(), "")  # noqa: PTH122  # pathlib costs start-up time
    if found not in FORMATS:
        raise InputError(f"a ledger is exported as {', '.join(FORMATS)}, not as {found or path!r:.80}")
    return found


def export_rows(rows: Rows, path: str, kind: str) -> int:
    """Write rows to a file that is its owner's alone, all or nothing; say how many."""
    partial = f"{path}.{os.getpid()}.partial"
    with suppress(FileNotFoundError):
        os.unlink(partial)  # noqa: PTH108
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        count = FORMATS[kind](rows, partial)
        os.replace(partial, path)  # noqa: PTH105
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)  # noqa: PTH108
    return count


def _csv(rows: Rows, path: str) -> int:
    count = 0
    with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_as_text(row[name]) for name in COLUMNS])
            count += 1
    return count


def _as_text(value: Any) -> Any:
    """A value of a CSV, with an apostrophe before what a spreadsheet would take for a formula."""
    if not isinstance(value, str) or not value.startswith(_FORMULA) or re.fullmatch(_NUMBER, value):
        return value
    return f"'{value}"


def _json_lines(rows: Rows, path: str) -> int:
    """One object a row, with every column; those that hold JSON hold it as it is, not as text."""
    count = 0
    with open(path, "wb") as file:  # noqa: PTH123
        for row in rows:
            values = {name: _nested(row[name], kind) for name, kind in COLUMNS.items()}
            file.write(msgspec.json.encode(values) + b"\n")
            count += 1
    return count


def _nested(value: Any, kind: Kind) -> Any:
    return msgspec.Raw(value.encode()) if kind == "json" and value is not None else value


def _parquet(rows: Rows, path: str) -> int:
    """By pyarrow, else by duckdb: whichever is installed."""
    for write in (_by_pyarrow, _by_duckdb):
        with suppress(ImportError):
            return write(rows, path)
    raise ConfigurationError(
        "Parquet is written by pyarrow or duckdb, and neither is installed: pip install pyarrow; "
        "or export CSV or JSON Lines, which every tool reads"
    )


def _chunks(rows: Rows) -> Iterator[list[Mapping[str, Any]]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _by_pyarrow(rows: Rows, path: str) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"text": pa.string(), "json": pa.string(), "integer": pa.int64(), "real": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in _chunks(rows):
            writer.write_table(pa.Table.from_pylist([dict(row) for row in chunk], schema=schema))
            count += len(chunk)
    return count


def _by_duckdb(rows: Rows, path: str) -> int:
    import duckdb

    types = {"text": "VARCHAR", "json": "VARCHAR", "integer": "BIGINT", "real": "DOUBLE"}
    columns = ", ".join([f'"{name}" {types[kind]}' for name, kind in COLUMNS.items()])
    count = 0
    connection = duckdb.connect()
    try:
        connection.execute(f"CREATE TABLE calls ({columns})")
        insert = f"INSERT INTO calls VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # question marks
        for chunk in _chunks(rows):
            connection.executemany(insert, [[row[name] for name in COLUMNS] for row in chunk])
            count += len(chunk)
        quoted = path.replace("'", "''")
        connection.execute(f"COPY calls TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
    finally:
        connection.close()
    return count


FORMATS: dict[str, Callable[[Rows, str], int]] = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet}
"""What writes each format."""

_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
