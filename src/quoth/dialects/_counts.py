"""Counts as providers write them."""

from __future__ import annotations

__all__ = ["whole_number"]

LARGEST = 2**53
"""No count is larger: above it a JSON number is no exact integer everywhere, and no bill either."""


def whole_number(value: object) -> int | None:
    """A count: an integer from 0, also when written 12.0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None
