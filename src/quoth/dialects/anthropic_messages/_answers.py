"""Answers of the Messages wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import FinishReason
from .._kept import Wire
from ._words import FINISH_REASONS, NO_ID, RESIDUES

__all__ = ["ANSWER_FIELDS", "answer_data", "finish_reason", "read_id"]

ANSWER_FIELDS = frozenset({"content", "id", "model", "role", "stop_reason", "type", "usage"})
"""The fields that are read, or repeat another; all that stand beside them are kept, unless null or empty."""


def finish_reason(raw: object) -> tuple[FinishReason, str | None]:
    """Our word for a stop reason, and the raw one."""
    return (FINISH_REASONS.get(raw, "other"), raw) if isinstance(raw, str) else ("other", None)


def read_id(value: object) -> str | None:
    """The id of an answer."""
    return value if isinstance(value, str) and value and value != NO_ID else None


def answer_data(kept: Wire) -> Mapping[str, Any]:
    """What a Response keeps: the fields of the body that have no name there."""
    return RESIDUES.named(kept)
