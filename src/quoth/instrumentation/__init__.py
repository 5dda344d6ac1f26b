"""What happened: one record a call, the journal that takes it, the totals folded from it, hooks that are told.

The names are loaded when they are asked for: a call needs the record and the journal only.
"""

from typing import TYPE_CHECKING, Any

from ._journal import Journal
from ._record import CallRecord

if TYPE_CHECKING:
    from ._hooks import Hook, HookHandle
    from ._tally import Tally
    from ._usage import UsageReport, UsageTotals

__all__ = ["CallRecord", "Hook", "HookHandle", "Journal", "Tally", "UsageReport", "UsageTotals"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _hooks, _tally, _usage

    home = next(module for module in (_hooks, _tally, _usage) if name in module.__all__)
    return getattr(home, name)
