"""Tally: the totals of some calls only, readable while they are made and after."""

from __future__ import annotations

from ._journal import Journal
from ._record import CallRecord
from ._usage import UsageReport, UsageTotals

__all__ = ["Tally"]


class Tally:
    """What ``with models.track() as tally`` counts: every call made inside, once it has ended, however it ended."""

    __slots__ = ("_journal",)

    def __init__(self) -> None:
        self._journal = Journal()

    def append(self, record: CallRecord) -> None:
        """Take one record. Never waits."""
        self._journal.append(record)

    @property
    def total(self) -> UsageTotals:
        """The exact sums so far: ``tally.total.usd``, ``.calls``, ``.unknown_costs``."""
        return self.usage().total

    def usage(self) -> UsageReport:
        """The sums so far, also by model, provider and tag."""
        return self._journal.usage()

    def __str__(self) -> str:
        return str(self.total)

    def __repr__(self) -> str:
        return f"Tally({self})"
