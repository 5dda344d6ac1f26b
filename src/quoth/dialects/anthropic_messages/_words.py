"""The words of the Messages wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = [
    "CHOICES",
    "DEFAULT_MAX_TOKENS",
    "FIELD",
    "FINISH_REASONS",
    "FORM",
    "NAME",
    "NO_ID",
    "RESIDUES",
    "ROLES",
    "STOP_REASONS",
    "TURN",
]

NAME: str = "anthropic_messages"
RESIDUES = Residues(NAME)

NO_ID = "msg_none"
"""The id of an answer that has none: clients of this wire demand one. It is read as none."""

FORM, FIELD, TURN = ":form", ":field", ":turn"
"""Our own keys in ``provider_data``: no field of a wire begins with a colon."""

DEFAULT_MAX_TOKENS = 32_000
"""What is sent where the request has no ``max_tokens``, which this wire demands.

It is the lowest limit on output of any Claude since version 4 (Opus 4 and 4.1: 32,000; Sonnet 4 and the 4.5 family:
64,000; later ones: 128,000, by the catalog of 2026-11): a larger one would be refused by some, and a smaller one
would cut answers for nothing, as only what was written is billed.
"""

ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Any other word (``pause_turn``, ``compaction``) becomes ``other``; the word itself is kept beside it."""

STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
"""How the server half spells a finish reason that came over another wire."""

CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
"""The modes of a ToolChoice, and what this wire calls them."""
