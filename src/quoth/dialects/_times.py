"""Times as providers write them (``2026-05-27T16:53:45.443719Z``), and back: whole seconds since 1970."""

from __future__ import annotations

import re

__all__ = ["read_time", "write_time"]

_TIME = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))"


def read_time(value: object) -> int | None:
    """The seconds of a time; None for what is none, and for 1970 itself, which stands for no time."""
    match = re.fullmatch(_TIME, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    ahead = int(f"{match[7]}1") * (int(match[8]) * 3_600 + int(match[9]) * 60) if match[7] else 0
    return max(_days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - ahead, 0) or None


def write_time(seconds: int) -> str:
    """A time of whole seconds, in UTC."""
    days, second = divmod(seconds, 86_400)
    year = 1970 + days // 366  # never too late
    while _days(year + 1, 1, 1) <= days:
        year += 1
    month = max(month for month in range(1, 13) if _days(year, month, 1) <= days)
    day = days - _days(year, month, 1) + 1
    return f"{year:04}-{month:02}-{day:02}T{second // 3_600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 began. Years are counted from March, so that the leap day ends one."""
    year -= month <= 2
    before = (153 * ((month + 9) % 12) + 2) // 5
    return 365 * year + year // 4 - year // 100 + year // 400 + before + day - 719_469
