"""The journal: every call ends in one append here; totals are folded from it in batches, or when someone reads.

``append`` takes no lock that it would wait for, so a call may be finished by garbage collection in the middle
of anything, folding included: it then only joins the queue. A forked child counts its own calls, from none on:
what it inherits is its parent's, and may be half folded.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from contextlib import suppress
from os import getpid
from typing import TYPE_CHECKING, Protocol

from ._record import CallRecord

if TYPE_CHECKING:
    from ._usage import UsageFold, UsageReport

__all__ = ["Journal"]


class _Ledger(Protocol):
    """What keeps records for good. It neither waits nor raises."""

    def append(self, record: CallRecord, /) -> None: ...


class _State:
    """What one process has taken: records that wait, and the totals of the others, folded under a lock."""

    __slots__ = ("fold", "folding", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[CallRecord] = deque()
        self.folding = allocate_lock()
        self.fold: UsageFold | None = None
        """Made with the first batch: many programs end before."""

    def drain(self) -> UsageFold:
        from ._usage import UsageFold

        self.fold = fold = self.fold or UsageFold()
        waiting, add = self.waiting, fold.add
        with suppress(IndexError):  # another thread took the last one
            while waiting:
                add(waiting.popleft())
        return fold


class Journal:
    """Takes records; gives the totals of all it took, in constant memory."""

    def __init__(self, batch: int = 256) -> None:
        self._batch = batch
        self.ledger: _Ledger | None = None
        """Who keeps every record, if anybody does."""
        self._states = {getpid(): _State()}

    def _state(self) -> _State:
        pid = getpid()
        return self._states.get(pid) or self._states.setdefault(pid, _State())

    def append(self, record: CallRecord) -> None:
        """Take one record. Never waits."""
        if self.ledger is not None:
            self.ledger.append(record)
        state = self._state()
        state.waiting.append(record)
        if len(state.waiting) >= self._batch and state.folding.acquire(blocking=False):
            try:
                state.drain()
            except ImportError:  # garbage collection ends this call while _usage is being loaded: the next one folds
                return
            finally:
                state.folding.release()

    def usage(self) -> UsageReport:
        """The totals of every record taken so far."""
        state = self._state()
        with state.folding:
            return state.drain().report()
