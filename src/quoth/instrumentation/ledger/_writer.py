"""The writer: what a service tells its records to. It has a pump for each process, and empties it at the end.

``append`` takes no lock and starts nothing, so that garbage collection may end a call in the middle of anything.
``ready`` is called where a call begins: it starts the thread, and says what went wrong, once, as a RuntimeWarning.

A forked child begins with a pump of its own: what waits in the other is its parent's to write. ``atexit`` empties it,
and in children of multiprocessing, which end without that, a finalizer of theirs.
"""

from __future__ import annotations

import atexit
import sys
from os import getpid

from msgspec.structs import replace

from ..._database import Place
from .._record import CallRecord
from ._counts import Counts
from ._pump import Mark, Pump

__all__ = ["AT_EXIT", "Writer"]

AT_EXIT = 2.0
"""Seconds that the end of the process may be held up."""


class Writer:
    """Carries records into one ledger, in every process that has it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._pumps: dict[int, Pump] = {}
        self._registered: set[int] = set()

    def _pump(self) -> Pump:
        pid = getpid()
        return self._pumps.get(pid) or self._pumps.setdefault(pid, Pump(self._place))

    def append(self, record: CallRecord) -> None:
        """Take one record. Never waits."""
        (self._pumps.get(getpid()) or self._pump()).put(record)

    def ready(self) -> None:
        """See that this process has somebody who writes."""
        pid = getpid()
        if pid not in self._registered:
            self._register(pid)
        (self._pumps.get(pid) or self._pump()).ready()

    def _register(self, pid: int) -> None:
        if not self._registered:  # a forked child inherits it
            atexit.register(self.close)
        self._registered.add(pid)
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:
            multiprocessing.Finalize(None, self.close, exitpriority=0)

    @property
    def counts(self) -> Counts:
        """What this process has done."""
        pump = self._pumps.get(getpid())
        return replace(pump.counts, waiting=pump.waiting) if pump else Counts()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was recorded stands in the database; False where it does not, after so many seconds."""
        pump = self._pumps.get(getpid())
        if pump is None or not (pump.waiting or pump.running):
            return True
        landed = pump.mark(Mark(), timeout)
        pump.tell()
        return landed

    def close(self, timeout: float = AT_EXIT) -> bool:
        """Write all and let go; what is not written in time goes into the spill. The next record begins anew."""
        pump = self._pumps.get(getpid())
        if pump is None or not (pump.waiting or pump.running):
            return True
        landed = pump.mark(Mark(stop=True), timeout)
        if not landed:
            pump.spill_rest()
        pump.tell()
        return landed

    def end(self) -> None:
        """Close for good."""
        self.close()
        atexit.unregister(self.close)
