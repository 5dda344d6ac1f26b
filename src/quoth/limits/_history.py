"""What calls have cost, as a part of what they might have: for who would rather reserve what is likely."""

from __future__ import annotations

__all__ = ["History"]

LEAST = 20
"""Attempts of a model before anything is concluded from them."""
MARGIN = 2
"""How many times the average is reserved."""
FORGET = 1_000
"""Attempts after which what was learned before counts half."""
MOST_MODELS = 2_000


class History:
    """By model: how many attempts were settled, what they might have cost, what they did, in nano-dollars.

    Threads may lose a count to each other, which changes no average.
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int, int]] = {}
        self._means: dict[str, int | None] = {}
        """What a call has cost on average before this process, where that is recorded."""

    def knows(self, model: str) -> bool:
        """Whether enough was learned of a model here, or it was asked for elsewhere."""
        return self._sums.get(model, (0, 0, 0))[0] >= LEAST or model in self._means

    def remember(self, model: str, calls: int, actual: int) -> None:
        """Note what calls of a model have cost before."""
        if len(self._means) < MOST_MODELS:
            self._means[model] = -(-actual // calls) if calls >= LEAST else None

    def learn(self, model: str, most: int, actual: int) -> None:
        """Note an attempt that was settled."""
        calls, mosts, actuals = self._sums.get(model, (0, 0, 0))
        if calls >= FORGET:
            calls, mosts, actuals = calls // 2, mosts // 2, actuals // 2
        if calls or len(self._sums) < MOST_MODELS:
            self._sums[model] = calls + 1, mosts + most, actuals + actual

    def expected(self, model: str, most: int) -> int:
        """Twice what such an attempt has cost on average; the most, while too few are known, and never more."""
        calls, mosts, actuals = self._sums.get(model, (0, 0, 0))
        if calls >= LEAST and mosts:
            return min(most, -(-most * actuals * MARGIN // mosts))
        mean = self._means.get(model)
        return most if mean is None else min(most, MARGIN * mean)
