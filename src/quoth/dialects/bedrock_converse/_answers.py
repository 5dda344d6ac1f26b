"""Answers of this wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import FinishReason
from .._kept import Wire, kept_fields
from ._words import FINISH_REASONS, RESIDUES

__all__ = [
    "FACTS",
    "METRICS",
    "NOT_MEASURED",
    "answer_data",
    "finish_reason",
    "kept_of_answer",
    "kept_of_message",
    "served",
]

FACTS = {"service_tier": ("serviceTier", "type"), "speed": ("performanceConfig", "latency")}
"""How an answer was served: the object that says it, and its one field."""

METRICS = "metrics"
NOT_MEASURED = {"latencyMs": 0}
"""The metrics of an answer that has none: clients of this wire demand them. They are read as none."""

_READ = frozenset({"output", "stopReason", "usage"})
"""The fields of an answer, and of the last events of a stream, that are read."""

_MESSAGE = frozenset({"content", "role"})


def finish_reason(raw: object) -> tuple[FinishReason, str | None]:
    """Our word for a stop reason, and the raw one."""
    return (FINISH_REASONS.get(raw, "other"), raw) if isinstance(raw, str) else ("other", None)


def served(fields: Mapping[str, Any]) -> Wire:
    """How the answer was served, in Bedrock's words."""
    return {name: _said(fields.get(holder), field) for name, (holder, field) in FACTS.items()}


def _said(holder: object, field: str) -> str | None:
    """The one word of such an object; None where it holds anything else."""
    said = holder.get(field) if isinstance(holder, dict) and len(holder) == 1 else None
    return said if isinstance(said, str) and said else None


def kept_of_answer(fields: Mapping[str, Any]) -> Wire:
    """The fields of an answer, or of an event that ends one, that have no name in a Response."""
    kept = kept_fields(fields, _READ)
    for holder, field in FACTS.values():
        if _said(kept.get(holder), field):
            del kept[holder]
    if kept.get(METRICS) == NOT_MEASURED:
        del kept[METRICS]
    return kept


def kept_of_message(message: Mapping[str, Any]) -> Wire:
    """What a message keeps beside its content: it goes back with it. That the model spoke says nothing."""
    return kept_fields(message, _MESSAGE)


def answer_data(kept: Wire) -> Mapping[str, Any]:
    """What a Response keeps, laid out as on the wire."""
    return RESIDUES.named(kept)
