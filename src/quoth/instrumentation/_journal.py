"""The journal: every call ends in one append here; totals are folded from it in batches, or when someone reads.

``append`` takes no lock that it would wait for, so a call may be finished by garbage collection in the middle
of anything, folding included: it then only joins the queue. A forked child counts its own calls, from none on:
what it inherits is its parent's, and may be half folded.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from os import getpid
from typing import TYPE_CHECKING

from ._record import CallRecord

if TYPE_CHECKING:
    from ._usage import UsageFold, UsageReport

__all__ = ["Journal"]


class Journal:
    """Takes records; gives the totals of all it took, in constant memory."""

    def __init__(self, batch: int = 256) -> None:
        self._batch = batch
        self._begin()

    def _begin(self) -> None:
        self._waiting: deque[CallRecord] = deque()
        self._folding = allocate_lock()
        self._fold: UsageFold | None = None
        """Made with the first batch: many programs end before."""
        self._pid = getpid()

    def append(self, record: CallRecord) -> None:
        """Take one record. Never waits."""
        if self._pid != getpid():
            self._begin()
        self._waiting.append(record)
        if len(self._waiting) >= self._batch and self._folding.acquire(blocking=False):
            try:
                self._drain()
            except ImportError:  # garbage collection ends this call while _usage is being loaded: the next one folds
                return
            finally:
                self._folding.release()

    def usage(self) -> UsageReport:
        """The totals of every record taken so far."""
        if self._pid != getpid():
            self._begin()
        with self._folding:
            return self._drain().report()

    def _drain(self) -> UsageFold:
        from ._usage import UsageFold

        self._fold = fold = self._fold or UsageFold()
        waiting, add = self._waiting, fold.add
        while waiting:
            try:
                record = waiting.popleft()
            except IndexError:  # pragma: no cover  # another thread took the last one
                break
            add(record)
        return fold
