"""What happened: one record a call, the journal that takes it, the totals folded from it."""

from ._journal import Journal
from ._record import CallRecord
from ._usage import UsageReport, UsageTotals

__all__ = ["CallRecord", "Journal", "UsageReport", "UsageTotals"]
