"""What one attempt holds in the budgets that it counts in, and how that ends: once, and never waiting."""

from __future__ import annotations

from collections.abc import Callable
from os import getpid

from ._accounts import Claim, Extend, Release, Settle
from ._till import Till

__all__ = ["Hold"]


class Hold:
    """Money set aside for one attempt. Whatever ends the attempt closes it; garbage collection may be what does."""

    __slots__ = ("_kept_until", "_lease", "_parts", "_pid", "amount", "id", "learn")

    def __init__(self, id: str, amount: int, lease: float, moment: float, learn: Callable[[int, int], None]) -> None:
        self.id = id
        self.learn = learn
        """Told what an attempt might have cost, and what it did."""
        self.amount = amount
        """Nano-dollars that the attempt may cost at most; 0 where nobody knows."""
        self._lease = lease
        self._kept_until = moment + lease / 2
        self._parts: list[tuple[Till, tuple[Claim, ...]]] = []
        self._pid = getpid()

    @property
    def lease(self) -> int:
        """Milliseconds for which it is kept without a word."""
        return int(self._lease * 1000)

    def add(self, till: Till) -> None:
        """Note where it is about to be made."""
        self._parts.append((till, ()))

    def count_later(self, claims: tuple[Claim, ...]) -> None:
        """Note that the last till did not answer: what the attempt costs is charged there when it does again."""
        till, _ = self._parts.pop()
        self._parts.append((till, claims))

    def settle(self, actual: int | None) -> None:
        """Close it: what the attempt cost, in nano-dollars, or None where nobody knows: then it counts whole."""
        if actual is not None:
            self.learn(self.amount, actual)
        for till, claims in self._taken():
            till.post(Settle(hold=self.id, actual=actual, claims=claims))

    def release(self) -> None:
        """Close it: the attempt certainly cost nothing."""
        for till, _ in self._taken():
            till.post(Release(hold=self.id))

    def keep(self, moment: float) -> None:
        """Say that the attempt is under way; once half of the lease has passed, it begins anew."""
        if moment >= self._kept_until:
            self._kept_until = moment + self._lease / 2
            for till, _ in self._parts:
                till.post(Extend(hold=self.id, lease=self.lease))

    def _taken(self) -> list[tuple[Till, tuple[Claim, ...]]]:
        """Where it is; nowhere, once it is closed, nor in a forked child: it is its parent's."""
        parts, self._parts = self._parts, []
        return parts if self._pid == getpid() else []
