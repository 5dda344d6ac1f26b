"""Counts as providers write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..types import Usage
from ._kept import Wire

__all__ = ["reported_or_spelled", "usage_word", "whole_number", "whole_numbers"]

LARGEST = 2**53
"""No count is larger: above it a JSON number is no exact integer everywhere, and no bill either."""


def whole_numbers(values: Iterable[object]) -> list[int] | None:
    """Counts, zero where a value is None; None where one can be no count."""
    counts: list[int] = []
    for value in values:
        if type(value) is int and 0 <= value <= LARGEST:  # as most are: without a call
            counts.append(value)
            continue
        count = 0 if value is None else whole_number(value)
        if count is None:
            return None
        counts.append(count)
    return counts


def whole_number(value: object) -> int | None:
    """A count: an integer from 0, also when written 12.0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= LARGEST else None  # a bool is an int, and no count


def reported_or_spelled(usage: Usage, parse: Callable[[object], Usage], spell: Callable[[Usage], Wire]) -> Wire | None:
    """A usage on a wire: the object that was reported, where that wire's ``parse`` reads the same out of it."""
    if usage.reported is not None and parse(dict(usage.reported)) == usage:
        return dict(usage.reported)
    return spell(usage) if usage.source == "provider" else None


def usage_word(reported: object, name: str) -> str | None:
    """A word that a usage object says beside its counts: a tier, a place, a speed."""
    said = reported.get(name) if isinstance(reported, dict) else None
    return said if isinstance(said, str) and said else None
