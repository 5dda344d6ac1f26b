"""The journal: every call ends in one append here; totals and metrics are folded in batches, or when someone reads.

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
    from .metrics._fold import MetricsFold
    from .metrics._series import Series

__all__ = ["Journal"]


class _Ledger(Protocol):
    """What keeps records for good. It neither waits nor raises."""

    def append(self, record: CallRecord, /) -> None: ...


class _State:
    """What one process has taken: records that wait, and the totals of the others, folded under a lock."""

    __slots__ = ("drops", "fold", "folding", "metrics", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[CallRecord] = deque()
        self.folding = allocate_lock()
        self.fold: UsageFold | None = None
        """Made with the first batch: many programs end before."""
        self.metrics: MetricsFold | None = None
        self.drops: deque[tuple[str, str]] = deque()
        """Whose telemetry was dropped, and why."""

    def drain(self) -> UsageFold:
        """Fold what waits: into the totals, and where there are metrics into these too."""
        from ._usage import UsageFold

        self.fold = fold = self.fold or UsageFold()
        waiting, add, metrics = self.waiting, fold.add, self.metrics
        with suppress(IndexError):  # another thread took the last one
            while waiting:
                record = waiting.popleft()
                add(record)
                if metrics is not None:
                    metrics.add(record)
        if metrics is not None:
            with suppress(IndexError):
                while self.drops:
                    metrics.drop(*self.drops.popleft())
        return fold

    def measure(self) -> MetricsFold:
        """The metrics of what comes from now on."""
        from .metrics._fold import MetricsFold

        self.metrics = metrics = self.metrics or MetricsFold()
        return metrics

    def tell(self) -> None:
        """Say, once, that something could not be counted. Not with the lock held."""
        if self.metrics is None or self.metrics.untold is None:
            return
        words, self.metrics.untold = self.metrics.untold, None
        from warnings import warn

        with suppress(Exception):  # where warnings are errors: it is counted, and the call must not suffer
            warn(f"quoth: metrics: {words}; later ones are only counted", RuntimeWarning, stacklevel=3)


class Journal:
    """Takes records; gives the totals of all it took, and their metrics where it measures, in constant memory."""

    def __init__(self, batch: int = 256, *, measures: bool = False) -> None:
        self._batch = batch
        self._measures = measures
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
                self._drain(state)
            except ImportError:  # garbage collection ends this call while _usage is being loaded: the next one folds
                return
            finally:
                state.folding.release()
            state.tell()

    def _drain(self, state: _State) -> UsageFold:
        if self._measures:
            state.measure()
        return state.drain()

    def usage(self) -> UsageReport:
        """The totals of every record taken so far."""
        state = self._state()
        with state.folding:
            report = self._drain(state).report()
        state.tell()
        return report

    def metrics(self) -> tuple[MetricsFold, Series]:
        """The metrics of every record taken so far, and of how much telemetry was dropped; and their numbers now."""
        state = self._state()
        with state.folding:
            metrics = state.measure()
            state.drain()
            series = metrics.series()
        state.tell()
        return metrics, series

    def drop(self, sink: str, reason: str) -> None:
        """Count one thing that a sink of telemetry should have told or kept, and did not. Never waits."""
        self._state().drops.append((sink, reason))
