"""The words of this wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = ["CHOICES", "FIELD", "FINISH_REASONS", "FINISH_WORDS", "FORM", "NAME", "NO_ID", "PLAN", "RESIDUES", "ROLES"]

NAME: str = "cohere_chat"
RESIDUES = Residues(NAME)

NO_ID = "00000000-0000-0000-0000-000000000000"
"""The id of an answer that has none: clients of this wire demand one. It is read as none."""

FORM, FIELD = ":form", ":field"
"""Our own keys in ``provider_data``: no field of a wire begins with a colon."""

PLAN = "tool_plan"
"""The field of a message that says what the model is going to do with its tools."""

ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

FINISH_REASONS: dict[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "other",
    "TIMEOUT": "other",
}
"""Any other word becomes ``other``; the word itself is kept beside it."""

FINISH_WORDS: dict[FinishReason, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
}
"""How the server half spells a finish reason that came over another wire; what is not here is ``ERROR``."""

CHOICES = {"none": "NONE", "required": "REQUIRED", "tool": "REQUIRED"}
"""The modes of a ToolChoice; ``auto`` has no word, being what happens without one."""
