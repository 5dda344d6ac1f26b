"""Where operations on budgets are handed in, and the thread behind it that alone speaks to a database.

A *till* takes an operation in two ways. ``ask`` hands one in and gives what will have its outcome: a gate, so that a
flow waits for it as a step (``Wait``) that keeps neither an event loop nor a thread busy, a quarter of a second at
most. ``post`` hands one in and is told nothing: so a call is settled, whatever ends it, garbage collection included.
Both keep one order, and neither waits for a disk.

The thread carries out together what has come in, in one transaction, which is how many callers of one process share
one commit; and it lets a settlement wait a moment, for the next reservation to take it along. What was posted and could
not be carried out is kept and tried again, always before what came after it.

A forked child has a thread, a connection and a queue of its own: what waits in its parent's is its parent's.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from os import getpid
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Protocol, TypeAlias

from .._database import StorageError
from ..errors import BudgetUnavailableError, ConfigurationError
from ._accounts import BudgetStore, Operation, Outcome, Reap, Release, Reserve

__all__ = ["PATIENCE", "Pending", "StoreTill", "Till"]

PATIENCE = 0.25
"""Seconds that a caller waits for a database."""

PATIENCE_TO_OPEN = 2.0
"""Seconds that a caller waits for the first answer of all: a file may have to be made, a server to be reached."""

LINGER = 0.001
"""Seconds that what was only posted waits for more, to be carried out with it."""

MOST_AT_ONCE = 100
"""Operations of one transaction."""

MOST_KEPT = 10_000
"""Operations that are kept while the database does not answer; beyond it the oldest are lost, and counted."""

FIRST_REST, LONGEST_REST = 0.05, 5.0
"""Seconds between two tries to carry out what is kept."""

REAP_EVERY = 200
"""Transactions after which holds beyond their lease are looked for."""

FLUSH = 2.0
"""Seconds that a program waits at its end for what was posted."""


class Pending(Protocol):
    """The outcome of an operation that was handed in: a gate that opens when it is there."""

    patience: float
    """Seconds that it is worth to wait for it."""

    def when_open(self, wake: Callable[[], None], /) -> Callable[[], None] | None:
        """As a ``Gate`` does."""
        ...

    def outcome(self) -> Outcome:
        """The outcome. Raises BudgetUnavailableError where there is none, or none yet: it will not be waited for."""
        ...

    def wait(self) -> Outcome:
        """The outcome, waited for here, outside of any flow."""
        ...


class Till(Protocol):
    """Where operations are handed in."""

    waits: bool
    """Whether an outcome may have to be waited for."""

    def ask(self, operation: Operation) -> Pending:
        """Hand it in, and be told the outcome."""
        ...

    def post(self, operation: Operation) -> None:
        """Hand it in. Never waits, and may be called by garbage collection in the middle of anything."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


_LOST = frozenset({"missing", "other", "unreachable"})
"""What a connection may say that had been lost, or whose file was replaced: the next one is another."""

_Job: TypeAlias = "tuple[Operation | None, _Answer | None]"
"""An operation and who waits for it; without an operation: stop."""


def _refuses(error: Exception) -> bool:
    """Whether the database will not take a value, now or ever."""
    return isinstance(error, StorageError) and error.kind == "refused"


class _Answer:
    """What the thread says to one who has asked."""

    __slots__ = ("_clerk", "_found", "_lock", "_operation", "_said", "_wake", "patience")

    def __init__(self, clerk: _Clerk, operation: Operation) -> None:
        self.patience = clerk.patience
        self._clerk = clerk
        self._operation = operation
        self._lock = allocate_lock()
        self._said = False
        self._found: Outcome | BaseException = None
        self._wake: Callable[[], None] | None = None

    def say(self, found: Outcome | BaseException) -> None:
        """Open the gate."""
        with self._lock:
            self._said, self._found, wake = True, found, self._wake
        if wake is not None:
            with suppress(RuntimeError):  # an event loop that was closed meanwhile
                wake()

    def when_open(self, wake: Callable[[], None]) -> Callable[[], None] | None:
        with self._lock:
            self._wake = None if self._said else wake
            return None if self._said else self._withdraw

    def _withdraw(self) -> None:
        with self._lock:
            self._wake = None

    def outcome(self) -> Outcome:
        found = self._found if self._said else TimeoutError(f"no answer within {self.patience:g} s")
        if isinstance(found, ConfigurationError):
            raise ConfigurationError(found.message)
        if isinstance(found, BaseException):
            if isinstance(self._operation, Reserve):  # it may have been made all the same, or be made yet
                self._clerk.jobs.put((Release(hold=self._operation.hold), None))
            raise BudgetUnavailableError(f"{self._clerk.name} does not answer: {type(found).__name__}: {found}")
        return found

    def wait(self) -> Outcome:
        opened = Event()
        withdraw = self.when_open(opened.set)
        if withdraw is not None:
            opened.wait(self.patience)
            withdraw()
        return self.outcome()


class StoreTill:
    """The till of a store that may have to be waited for."""

    waits = True

    def __init__(self, store: Callable[[], BudgetStore], name: str) -> None:
        self._store = store
        self._name = name
        self._clerks: dict[int, _Clerk] = {}

    def ask(self, operation: Operation) -> Pending:
        clerk = self._clerk()
        answer = _Answer(clerk, operation)
        clerk.jobs.put((operation, answer))
        clerk.ensure_at_work()
        return answer

    def post(self, operation: Operation) -> None:
        clerk = self._clerks.get(getpid())
        if clerk is not None:  # else it is of a hold that a forked child has inherited: its parent closes it
            clerk.jobs.put((operation, None))

    def close(self) -> None:
        """Carry out what waits, two seconds at most, and end the thread; the next question starts another."""
        clerk = self._clerks.get(getpid())
        if clerk is not None:
            clerk.stop()

    @property
    def lost(self) -> int:
        """Operations that this process could not carry out and has given up: their holds count as spent in time."""
        clerk = self._clerks.get(getpid())
        return clerk.lost if clerk else 0

    def _clerk(self) -> _Clerk:
        pid = getpid()
        return self._clerks.get(pid) or self._clerks.setdefault(pid, _Clerk(self._store, self._name))


class _Clerk:
    """The thread of one process that carries operations out, and the queue before it."""

    def __init__(self, store: Callable[[], BudgetStore], name: str) -> None:
        self.name = name
        self.jobs: SimpleQueue[_Job] = SimpleQueue()  # its put may be called in the middle of itself
        self.lost = 0
        self.patience = PATIENCE_TO_OPEN
        self._open = store
        self._store: BudgetStore | None = None
        self._starting = allocate_lock()
        self._leaving = False
        """Whether the end of the program is waited for."""
        self._thread: Thread | None = None
        self._kept: list[Operation] = []
        self._rest = FIRST_REST
        self._rounds = 0

    def ensure_at_work(self) -> None:
        """Start the thread where there is none."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._work, name="quoth budgets", daemon=True)
                self._thread.start()
                if not self._leaving:
                    import atexit

                    self._leaving = True
                    atexit.register(self._leave, getpid())

    def stop(self) -> None:
        """Carry out what waits, and end the thread."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self.jobs.put((None, None))
            thread.join(FLUSH)

    def _leave(self, pid: int) -> None:
        """The program ends: carry out what waits, also what was posted when there was no thread any more."""
        if pid != getpid():  # a forked child has this from its parent, who does it
            return
        self.stop()
        if not self.jobs.empty():
            self.jobs.put((None, None))
            self._work()

    def _work(self) -> None:
        go_on = True
        while go_on:
            jobs = self._take()
            go_on = all(operation is not None for operation, _ in jobs)
            asked = [(operation, answer) for operation, answer in jobs if operation is not None]
            if asked or self._kept:
                self._carry_out(asked)
        if self._store is not None:
            self._store.close()

    def _take(self) -> list[_Job]:
        """What has come in; nothing, where it is time to try again what is kept."""
        jobs: list[_Job] = []
        try:
            jobs.append(self.jobs.get(timeout=self._rest if self._kept else None))
            while jobs[-1][1] is None and jobs[-1][0] is not None and len(jobs) < MOST_AT_ONCE:
                jobs.append(self.jobs.get(timeout=LINGER))
            while jobs[-1][0] is not None and len(jobs) < MOST_AT_ONCE:
                jobs.append(self.jobs.get_nowait())
        except Empty:
            pass
        return jobs

    def _carry_out(self, jobs: list[tuple[Operation, _Answer | None]]) -> None:
        kept, self._kept = self._kept, []
        self._rounds += 1
        reaped = (Reap(),) if self._rounds % REAP_EVERY == 1 else ()
        operations = [*reaped, *kept, *[operation for operation, _ in jobs]]
        try:
            outcomes = self._carried_out(operations)
            self.patience = PATIENCE
        except Exception as error:  # noqa: BLE001  # whatever a driver raises: who asked is told, and the rest is kept
            self.patience = PATIENCE
            posted = [*kept, *[operation for operation, answer in jobs if answer is None]]
            self._keep(self._without_refused(posted) if _refuses(error) else posted)
            for _, answer in jobs:
                if answer is not None:
                    answer.say(error)
            return
        self._rest = FIRST_REST
        for (_, answer), outcome in zip(jobs, outcomes[len(outcomes) - len(jobs) :], strict=True):
            if answer is not None:
                answer.say(outcome)

    def _carried_out(self, operations: list[Operation]) -> list[Outcome]:
        """In transactions of a bounded size. One that is carried out a second time changes nothing."""
        self._store = store = self._store or self._open()
        outcomes: list[Outcome] = []
        for start in range(0, len(operations), MOST_AT_ONCE):
            part = operations[start : start + MOST_AT_ONCE]
            try:
                outcomes += store.carry_out(part)
            except StorageError as error:
                if error.kind not in _LOST:
                    raise
                outcomes += store.carry_out(part)  # over a new connection, which may be all that was wrong
        return outcomes

    def _without_refused(self, operations: list[Operation]) -> list[Operation]:
        """Carry out each by itself, so that one which the database never takes does not hold up all others."""
        left: list[Operation] = []
        for operation in operations:
            try:
                self._carried_out([operation])
            except Exception as error:  # noqa: BLE001  # whatever a driver raises, as above
                if not _refuses(error):
                    left.append(operation)
                else:
                    self.lost += 1
        return left

    def _keep(self, operations: list[Operation]) -> None:
        self._rest = min(self._rest * 2, LONGEST_REST)
        self.lost += max(len(operations) - MOST_KEPT, 0)
        self._kept = operations[-MOST_KEPT:]
