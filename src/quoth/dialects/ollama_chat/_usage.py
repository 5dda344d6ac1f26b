"""The counts of this wire as disjoint buckets, and back.

The convention: ``prompt_eval_count`` is the input and ``eval_count`` the output, thoughts included; nothing tells what
was read from a cache. They stand in the answer itself. A prompt that was wholly cached may have no count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import Usage
from .._counts import reported_or_spelled, whole_number
from .._kept import Wire
from ._words import COUNTS

__all__ = ["parse_usage", "reported_of", "write_usage"]


def reported_of(answer: Mapping[str, Any]) -> Wire:
    """The counts and durations of an answer."""
    return {name: answer[name] for name in COUNTS if answer.get(name) is not None}


def parse_usage(reported: object) -> Usage:
    """Sort the counts into buckets; never raises, whatever they are.

    ``missing`` where neither of the two is there; ``suspect``, with empty buckets, where one cannot be a count.
    """
    if not isinstance(reported, dict):
        return Usage(source="missing" if reported is None else "suspect")
    said = [reported.get("prompt_eval_count"), reported.get("eval_count")]
    if said == [None, None]:
        return Usage(source="missing", reported=reported or None)
    read, written = (0 if count is None else whole_number(count) for count in said)
    if read is None or written is None:
        return Usage(source="suspect", reported=reported)
    return Usage(input=read, output=written, reported=reported)


def write_usage(usage: Usage) -> Wire:
    """Spell a usage as fields of an answer: what was reported, where it was by this wire; none where there is none."""
    return reported_or_spelled(usage, parse_usage, _spelled) or {}


def _spelled(usage: Usage) -> Wire:
    return {"prompt_eval_count": usage.total_input, "eval_count": usage.total_output}
