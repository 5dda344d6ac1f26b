"""The pump: one process's queue of records, and the thread that carries them into the database.

A record joins a queue, and that is all that a call does. The thread gathers what comes within ``PAUSE`` seconds, or
``BATCH`` rows, into one transaction. What cannot be written stays in its hands for a few tries, then goes into the
spill, and from there into the database as soon as that takes rows again: in this process or in the next one. Where the
thread itself is stuck, the next call starts another that moves the queue into the spill. Only where neither takes
anything, and the queue is full, is a record lost; that is counted, as is everything else that goes wrong.

The connection lives in a local variable of the thread alone. A forked child has no such thread and leaves its frame as
it is: so it never closes what is its parent's.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread

from ..._database import Database, Place, StorageError, open_database
from .._record import CallRecord
from ._counts import Counts
from ._rows import row_of
from ._spill import Entry, Spill, place_beside
from ._tables import COLUMNS, PART

__all__ = ["Mark", "Pump"]

PAUSE = 0.1
"""Seconds for which a batch gathers."""
BATCH = 200
"""Rows of one transaction."""
MOST = 10_000
"""Records that may wait: more go into the spill."""
FULL = 2 * MOST
"""Records that wait at most, where the spill takes none."""
TRIES = 3
"""Failures in a row after which rows go into the spill."""
RETRY = 0.5
"""Seconds between two tries to write what was not taken."""

_NAMES = ", ".join([f'"{name}"' for name in COLUMNS])
_INSERT = f"INSERT INTO quoth_calls ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"  # noqa: S608  # our own names
_INSERT_PRICE = "INSERT INTO quoth_prices (id, rule) VALUES (?, ?) ON CONFLICT DO NOTHING"


class Mark:
    """Stands in the queue: whoever put it there is told when all that came before is written, or is not."""

    __slots__ = ("done", "landed", "stop")

    def __init__(self, *, stop: bool = False) -> None:
        self.stop = stop
        self.landed = False
        self.done = Event()


class Pump:
    """The queue and the thread of one process for one ledger."""

    def __init__(self, place: Place) -> None:
        self.counts = Counts()
        self.untold: deque[str] = deque()
        """What went wrong, in words, for whoever calls next."""
        self.running = False
        self._place = place
        self._queue: SimpleQueue[CallRecord | Entry | Mark] = SimpleQueue()
        self._hurry = Event()
        self._marks = 0
        """How many of what is in the queue are no records."""
        self._pending: list[Entry] = []
        self._spill = Spill(place_beside(place.target, is_file=place.engine == "sqlite"))
        self._owed = True
        """Whether there may be spilled rows to replay."""
        self._failures = 0
        self._prepared = False
        self._told: set[str] = set()
        self._starting = allocate_lock()
        self._spilling = allocate_lock()
        self._counting = RLock()  # a finalizer may lose a record in the middle of this

    # Called by whoever calls a model.

    def put(self, record: CallRecord) -> None:
        """Let a record wait to be written. Never waits, also when garbage collection calls it."""
        if self._queue.qsize() >= FULL:
            with self._counting:
                self.counts.lost += 1
            return
        self._queue.put(record)

    def ready(self) -> None:
        """See that somebody writes; say what went wrong. Not for garbage collection."""
        if not self.running:
            self._start()
        elif self._queue.qsize() >= MOST and self._spilling.acquire(blocking=False):
            self._begin(self._relieve, self._spilling.release)
        if self.untold:
            self.tell()

    def tell(self) -> None:
        """Say what went wrong: each kind once, as a RuntimeWarning."""
        with suppress(IndexError):  # another thread has said it
            while self.untold:
                _warn(self.untold.popleft())

    def mark(self, mark: Mark, timeout: float) -> bool:
        """Wait until all that was put before is written, or the time is over; say whether it is written."""
        self._put_mark(mark)
        self._hurry.set()
        if not self.running:
            self._start()
        if not self.running and not mark.done.is_set():  # the interpreter ends: no thread can be started any more
            self._put_mark(Mark(stop=True))
            self._run()
        return mark.done.wait(timeout) and mark.landed

    def _put_mark(self, mark: Mark) -> None:
        with self._counting:
            self._marks += 1
        self._queue.put(mark)

    def spill_rest(self) -> None:
        """Put all that still waits into the spill: the process ends, and the thread has not managed."""
        rest = self._waiting(FULL)
        if self._move([*self._pending, *rest]):
            if not self.running:
                self._pending.clear()
        else:
            for entry in rest:
                self._queue.put(entry)

    @property
    def waiting(self) -> int:
        """How many rows wait, as far as can be seen."""
        return max(len(self._pending) + self._queue.qsize() - self._marks, 0)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if not self.running:
                self.running = True
                self._begin(self._run, self._ended)
        finally:
            self._starting.release()

    def _begin(self, work: Callable[[], None], or_else: Callable[[], None]) -> None:
        try:
            Thread(target=work, name="quoth-ledger", daemon=True).start()
        except RuntimeError as error:
            or_else()
            self._note("thread", f"no thread to write with: {error}")

    def _ended(self) -> None:
        self.running = False

    # The thread.

    def _run(self) -> None:
        database = open_database(self._place)
        self._prepared = stop = False
        while not stop:
            marks: list[Mark] = []
            landed = False
            try:
                self._gather(marks)
                stop = any(mark.stop for mark in marks)
                landed = self._land(database, urgent=bool(marks))
            except Exception as error:  # noqa: BLE001  # a mistake of ours costs rows at most, and never the thread
                self._note("mistake", f"{type(error).__name__}: {error}")
                self._lose(self._pending)
            if stop:  # before anybody is told: who has closed a ledger may move its file
                with suppress(StorageError):
                    database.close()
                self.running = False
            for mark in marks:
                mark.landed = landed
                mark.done.set()

    def _gather(self, marks: list[Mark]) -> None:
        """Take what waits, up to a batch or a mark; wait for the first, and a while for more."""
        if len(self._pending) >= MOST:  # no more, until some are taken from here
            if self._hurry.wait(RETRY):
                self._hurry.clear()
            return
        with suppress(Empty):
            self._take(self._queue.get(timeout=RETRY if self._pending or self._owed else None), marks)
            if not marks and self._queue.qsize() < BATCH and self._hurry.wait(PAUSE):
                self._hurry.clear()
            most = MOST if self._failures else BATCH
            while len(self._pending) < most and not marks:
                self._take(self._queue.get_nowait(), marks)

    def _take(self, item: CallRecord | Entry | Mark, marks: list[Mark]) -> None:
        if isinstance(item, Mark):
            marks.append(item)
            with self._counting:
                self._marks -= 1
            self._hurry.clear()
        else:
            self._pending += self._entries([item])

    def _entries(self, items: Iterable[CallRecord | Entry]) -> list[Entry]:
        """The rows of records. One that can be none is counted as lost: the others must not wait for it."""
        entries: list[Entry] = []
        for item in items:
            try:
                entries.append(row_of(item) if isinstance(item, CallRecord) else item)
            except Exception as error:  # noqa: BLE001  # whatever is odd about one record
                self._note("record", f"a record that cannot be a row: {type(error).__name__}: {error}")
                self._lose([None])
        return entries

    def _land(self, database: Database, *, urgent: bool) -> bool:
        """Write what is pending, and replay what was spilled; say whether it all stands in the database."""
        for _ in range(2):
            try:
                self._write(database)
            except StorageError as error:
                if self._failed(error, database):
                    continue
                break
            return True
        if self._pending and (urgent or self._failures >= TRIES):
            self._move(self._pending)
        return not self._pending and not self._owed

    def _write(self, database: Database) -> None:
        if not self._pending and not self._owed:
            return
        if not self._prepared:
            database.prepare(PART)
            self._prepared = True
        if self._pending:
            self.counts.written += insert(database, self._pending)
            self._pending.clear()
        if self._owed:
            self._replay(database)
        self._failures = 0

    def _replay(self, database: Database) -> None:
        self._owed = False
        try:
            new, unreadable = self._spill.replay(partial(insert, database))
        except StorageError:
            self._owed = True
            raise
        except OSError as error:
            self._note("replay", f"spilled rows cannot be replayed: {error}")
            return
        self.counts.replayed += new
        if unreadable:
            self._note("unreadable", f"{unreadable} lines of a spill file cannot be read; they are kept beside it")
            self.counts.unreadable += unreadable

    def _failed(self, error: StorageError, database: Database) -> bool:
        """Say so, and do what can be done; True where it is to be tried again at once."""
        self._failures += 1
        self.counts.failures += 1
        self._note(error.kind, f"{error}; rows are kept, and written when it takes them again")
        if error.kind == "corrupt":
            aside = database.set_aside()
            if aside:
                self._note(aside, f"{self._place} is damaged: it is now {aside}, and a new ledger was begun")
            return True
        if error.kind == "refused":
            self._write_singly(database)
        elif error.kind != "busy":
            database.reset()
        return False

    def _write_singly(self, database: Database) -> None:
        """One row of these is not taken, whatever is done: it must not hold up the others."""
        for entry in tuple(self._pending):
            try:
                self.counts.written += insert(database, [entry])
            except StorageError as error:
                if error.kind != "refused":
                    return
                self._lose([entry])
            self._pending.remove(entry)
        self._failures = 0

    # The spill.

    def _relieve(self) -> None:
        """Move the queue into the spill: the thread that should empty it is stuck."""
        try:
            while self._queue.qsize() >= MOST // 2:
                entries = self._waiting(BATCH)
                if not self._move(entries):
                    for entry in entries:
                        self._queue.put(entry)
                    return
        finally:
            self._spilling.release()

    def _waiting(self, most: int) -> list[Entry]:
        """Take up to so many rows from the queue; marks go back to its end."""
        items: list[CallRecord | Entry] = []
        marks: list[Mark] = []
        with suppress(Empty):
            while len(items) < most:
                item = self._queue.get_nowait()
                if isinstance(item, Mark):
                    marks.append(item)
                else:
                    items.append(item)
        for mark in marks:
            self._queue.put(mark)
        return self._entries(items)

    def _move(self, entries: list[Entry]) -> bool:
        """Put rows into the spill. Where it takes none they stay where they are, as long as there is room."""
        if not entries:
            return True
        try:
            self._spill.append(entries)
        except OSError as error:
            self._note("spill", f"rows can be spilled to no file either: {error}")
            return False
        self.counts.spilled += len(entries)
        self._owed = True
        if entries is self._pending:
            self._pending.clear()
        return True

    # What went wrong.

    def _lose(self, entries: list[Entry] | list[None]) -> None:
        with self._counting:
            self.counts.lost += len(entries)
        if entries is self._pending:
            self._pending.clear()

    def _note(self, kind: str, words: str) -> None:
        """Have it said once for each kind."""
        if kind not in self._told:
            self._told.add(kind)
            self.untold.append(f"quoth: the ledger: {words}")


def insert(database: Database, entries: list[Entry]) -> int:
    """Write rows in one transaction; say how many were new. Raises StorageError, and then none is written."""
    prices = {price[0]: price for _, price in entries if price is not None}
    rows = [tuple(map(values.get, COLUMNS)) for values, _ in entries]
    with database.transaction() as transaction:
        if prices:
            transaction.each(_INSERT_PRICE, list(prices.values()))
        return transaction.each(_INSERT, rows)


def _warn(message: str) -> None:
    from warnings import warn

    with suppress(Exception):  # where warnings are errors: it is counted, and the call must not suffer
        warn(message, RuntimeWarning, stacklevel=2)
