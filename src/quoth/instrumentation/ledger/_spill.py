"""The spill: rows that the database could not take, as JSON Lines in a file of this process, until they are replayed.

A line is one row, with its price. It is on the disk (fsync) before anybody relies on it. Rows have ids, and a table
takes an id once, so that replaying is harmless to repeat: what must not happen is that a line is lost. So a file that
is replayed is first renamed, then locked; who writes locks too, and looks whether the file is still under its name.
A line that is cut short (the process was killed while it wrote) is kept in a file beside it, and counted.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from ..._database._files import hold, is_at, is_foreign, make_folder
from ._rows import Price, Values

__all__ = ["Entry", "Spill", "place_beside"]

Entry = tuple[Values, Price | None]
"""One row and its price."""

_CHUNK = 200
_TAKEN = ".taken"


def place_beside(target: str, *, is_file: bool) -> str:
    """How the names of spill files begin: beside a database that is a file, else where programs keep their state."""
    if is_file:
        return f"{target}-spill-"
    from hashlib import sha256

    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")  # noqa: PTH111, PTH118
    return os.path.join(state, "quoth", f"ledger-{sha256(target.encode()).hexdigest()[:12]}-spill-")  # noqa: PTH118


class Spill:
    """The spill files of one ledger: this process writes one, and replays all that are there."""

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._path = f"{stem}{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        self._lock = allocate_lock()

    def append(self, entries: Iterable[Entry]) -> None:
        """Write rows to the disk. Raises OSError where it takes them not."""
        lines = [msgspec.json.encode({"row": _known(row), "price": price}) for row, price in entries]
        data = b"\n" + b"\n".join(lines) + b"\n"  # the first newline ends a line that was cut short
        with self._lock:
            descriptor = self._open()
            try:
                size = os.fstat(descriptor).st_size
                try:
                    _write(descriptor, data)
                    os.fsync(descriptor)
                except OSError:
                    os.ftruncate(descriptor, size)
                    if not size:
                        os.unlink(self._path)  # noqa: PTH108
                    raise
            finally:
                os.close(descriptor)
            if not size:
                _sync_folder(os.path.dirname(self._path))  # noqa: PTH120  # pathlib costs start-up time

    def _open(self) -> int:
        """The file, held: nobody has taken it away to replay it."""
        make_folder(os.path.dirname(self._path))  # noqa: PTH120
        while True:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            hold(descriptor)
            if is_at(descriptor, self._path):
                return descriptor
            os.close(descriptor)

    def files(self) -> list[str]:
        """The spill files that are there, of this process and of others, but not of other people."""
        folder, begin = os.path.split(self._stem)
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208
        except OSError:
            return []
        mine = [name for name in names if name.startswith(begin) and name.endswith((".jsonl", _TAKEN))]
        paths = [os.path.join(folder, name) for name in mine]  # noqa: PTH118
        return [path for path in paths if not is_foreign(path)]

    def replay(self, write: Callable[[list[Entry]], int]) -> tuple[int, int]:
        """Hand all rows to ``write``, then remove the files; say how many rows were new, and how many lines unreadable.

        What ``write`` raises ends it, and leaves the file to be replayed another time.
        """
        new = unreadable = 0
        for path in self.files():
            with suppress(FileNotFoundError):  # another process has just replayed it
                entries, bad, taken = self._take(path)
                for start in range(0, len(entries), _CHUNK):
                    new += write(entries[start : start + _CHUNK])
                if bad:
                    _keep_apart(taken, bad)
                    unreadable += len(bad)
                os.unlink(taken)  # noqa: PTH108
        return new, unreadable

    def _take(self, path: str) -> tuple[list[Entry], list[bytes], str]:
        taken = path
        if not path.endswith(_TAKEN):
            taken = f"{path}.{os.urandom(4).hex()}{_TAKEN}"
            os.rename(path, taken)  # noqa: PTH104
        entries, bad = [], []
        with open(taken, "rb") as file:  # noqa: PTH123
            hold(file.fileno())  # until who was writing has finished
            for line in file.read().split(b"\n"):
                if not line.strip():
                    continue
                entry = _entry_of(line)
                if entry is None:
                    bad.append(line)
                else:
                    entries.append(entry)
        return entries, bad, taken


def _known(row: Values) -> Values:
    return {name: value for name, value in row.items() if value is not None}


def _entry_of(line: bytes) -> Entry | None:
    try:
        found: Any = msgspec.json.decode(line)
        row, price = found["row"], found["price"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return None
    return row, (price[0], price[1]) if price else None


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _keep_apart(path: str, lines: list[bytes]) -> None:
    descriptor = os.open(f"{path}.unreadable", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _write(descriptor, b"\n".join(lines) + b"\n")
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    """Have the name of a new file survive a power failure too, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
