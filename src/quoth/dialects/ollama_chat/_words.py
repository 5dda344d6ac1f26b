"""The words of this wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = ["COUNTS", "FINISH_REASONS", "FINISH_WORDS", "MADE", "NAME", "RESIDUES", "ROLES"]

NAME: str = "ollama_chat"
RESIDUES = Residues(NAME)

MADE = "ollama_"
"""How the ids begin that we give to calls without one. They are not sent."""

ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",  # no word of Ollama's; our own server half says it
}
"""Any other word becomes ``other``; the word itself is kept beside it. A ``stop`` beside calls waits for them."""

FINISH_WORDS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "stop",
    "content_filter": "content_filter",
}
"""How the server half spells a finish reason that came over another wire; of ``other`` it says nothing."""

COUNTS = (
    "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration",
)  # fmt: skip
"""What an answer says of its usage. Durations are in nanoseconds."""
