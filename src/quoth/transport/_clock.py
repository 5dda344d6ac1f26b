"""The one absolute deadline of a call; and which day it is, for those who must know that."""

from __future__ import annotations

from datetime import UTC, date, datetime
from time import monotonic, time

from ..errors import DeadlineExceededError, Phase, Sent

__all__ = ["Deadline", "monotonic", "time", "today"]


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


class Deadline:
    """A point in monotonic time; ``math.inf`` for none. ``extend`` gives back time that the consumer took."""

    __slots__ = ("at", "timeout")

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.at = monotonic() + timeout

    def extend(self, seconds: float) -> None:
        self.at += seconds

    def remaining(self) -> float:
        """Seconds left; zero or negative once it has passed."""
        return self.at - monotonic()

    def require(self, phase: Phase, sent: Sent) -> float:
        """Seconds left; raise DeadlineExceededError, naming the phase, where none are."""
        remaining = self.at - monotonic()
        if remaining <= 0:
            raise self.exceeded(phase, sent)
        return remaining

    def exceeded(self, phase: Phase | None, sent: Sent) -> DeadlineExceededError:
        """The error to raise when the time has run out in this phase; None: while waiting for ourselves."""
        where = f"in phase {phase}" if phase else "while waiting"
        return DeadlineExceededError(
            f"the call's timeout of {self.timeout:g} s passed {where}; raise timeout= or ask for less",
            phase=phase,
            sent=sent,
            billed="no" if sent == "no" else "maybe",
        )
