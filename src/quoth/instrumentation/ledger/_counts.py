"""What a ledger's writer has done, in numbers."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Counts"]


class Counts(Struct, kw_only=True):
    """Of this process, since its first record: numbers of rows, but for ``failures``, which are tries to write."""

    waiting: int = 0
    """Recorded, and neither written nor spilled yet."""
    written: int = 0
    """New in the database."""
    spilled: int = 0
    """Put into a file beside it, because it took none."""
    replayed: int = 0
    """New in the database, from such files: of this process or of others."""
    lost: int = 0
    """Neither in the database nor in a file: 0, unless both were full or could not be written."""
    unreadable: int = 0
    """Lines of such files that were cut short, and are kept beside them."""
    failures: int = 0
