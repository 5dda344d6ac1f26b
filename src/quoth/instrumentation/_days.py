"""Days and moments as users say them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TypeAlias

from ..errors import InputError, InputTypeError

__all__ = ["Day", "moment"]

Day: TypeAlias = "str | date | datetime | float | None"


def moment(day: Day, name: str) -> float | None:
    """Seconds since the epoch; a day is its first second (UTC). Raises InputError, naming ``name``."""
    match day:
        case None:
            return None
        case datetime():
            return (day if day.tzinfo else day.replace(tzinfo=UTC)).timestamp()
        case date():
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        case str():
            try:
                return moment(datetime.fromisoformat(day), name)
            except ValueError:
                raise InputError(f"{name} is a day such as '2026-12-01', not {day!r:.80}") from None
        case int() | float() if not isinstance(day, bool):
            return float(day)
        case _:
            raise InputTypeError(f"{name} is a day, not {type(day).__name__}")
