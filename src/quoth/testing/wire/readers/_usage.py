"""How far a usage object is to be trusted: the same question on every wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["usage_fields"]


def usage_fields(
    usage: Any,
    named: tuple[str, ...],
    buckets: Callable[[Mapping[str, Any]], dict[str, int] | None],
    totals: Callable[[Mapping[str, Any]], tuple[int, int]],
) -> dict[str, Any]:
    """Source, buckets and totals of a usage object, as fields of a Reading.

    ``named`` are its fields of which one must be there. ``buckets`` gives None where a number cannot be, or the
    parts exceed their whole: such a usage is suspect.
    """
    if usage is None or usage == {}:
        return {}
    if not isinstance(usage, dict):
        return {"source": "suspect"}
    if all(usage.get(name) is None for name in named):
        return {"reported": usage}
    counts = buckets(usage)
    if counts is None:
        return {"reported": usage, "source": "suspect"}
    return {"reported": usage, "source": "provider", "counts": counts, "total": totals(usage)}
