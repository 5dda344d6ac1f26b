"""Times as Google writes them, ``2026-05-27T16:53:45.443719Z``, in whole seconds since 1970, and back."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["read_time", "write_time"]

_TIME = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z"
_DAY = 86_400


def read_time(value: Any) -> int | None:
    """The seconds of a time; None for what is none, or lies before 1970."""
    match = re.fullmatch(_TIME, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    return max(_days(year, month, day) * _DAY + hour * 3_600 + minute * 60 + second, 0) or None


def write_time(seconds: int | None) -> str | None:
    """Such a time without a fraction; None where none is known, or its year has no four digits."""
    if seconds is None or not 0 < seconds < _days(10_000, 1, 1) * _DAY:
        return None
    days, rest = divmod(seconds, _DAY)
    year = max([each for each in range(1970 + days // 366, 1971 + days // 365) if _days(each, 1, 1) <= days])
    month = max([each for each in range(1, 13) if _days(year, each, 1) <= days])
    day = days - _days(year, month, 1) + 1
    return f"{year}-{month:02}-{day:02}T{rest // 3_600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 began. Years are counted from March, so that the leap day ends one."""
    year -= month <= 2
    before = (153 * ((month + 9) % 12) + 2) // 5
    return 365 * year + year // 4 - year // 100 + year // 400 + before + day - 719_469
