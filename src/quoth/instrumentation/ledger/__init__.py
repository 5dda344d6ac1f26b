"""The ledger: a database with one row for every call; see docs/ledger.md.

``models.configure(ledger="usage.db")`` or ``QUOTH_LEDGER`` begins one, ``models.ledger`` reads it. Nothing here is
loaded before.
"""

from ..._database import StorageError
from ._check import Disagreement, LedgerCheck
from ._counts import Counts
from ._ledger import Ledger, Which

__all__ = ["Counts", "Disagreement", "Ledger", "LedgerCheck", "StorageError", "Which"]
