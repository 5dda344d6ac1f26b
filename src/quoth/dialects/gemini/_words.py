"""The words of this wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = [
    "BASE64",
    "CHOICES",
    "FIELD",
    "FINISH_REASONS",
    "FINISH_WORDS",
    "FORM",
    "MADE",
    "NAME",
    "OBJECT",
    "RESIDUES",
    "ROLES",
    "TURN",
]

NAME: str = "gemini"
RESIDUES = Residues(NAME)

FORM, FIELD, TURN, OBJECT, BASE64 = ":form", ":field", ":turn", ":object", ":base64"
"""Our own keys in ``provider_data``: no field of a wire begins with a colon."""

MADE = "gemini_"
"""How an id begins that was made here, because the wire gave none."""

ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "tool", "tool": "tool"}

FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    # Numbers, for callers who ask for them (``$alt=json;enum-encoding=int``). AI Studio and Vertex count alike up to
    # 5 (OTHER); of those above, these say the same to both (google.ai.generativelanguage.v1beta, aiplatform.v1).
    "1": "stop",
    "2": "length",
    "3": "content_filter",
    "4": "content_filter",
    "6": "content_filter",  # LANGUAGE, BLOCKLIST
    "7": "content_filter",  # BLOCKLIST, PROHIBITED_CONTENT
    "8": "content_filter",  # PROHIBITED_CONTENT, SPII
    "11": "content_filter",  # IMAGE_SAFETY
}
"""Any other word (``MALFORMED_FUNCTION_CALL``, ``OTHER``) becomes ``other``; the word itself is kept beside it."""

FINISH_WORDS: dict[FinishReason, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",  # the wire has no word of its own for it
    "content_filter": "SAFETY",
}
"""How the server half spells a finish reason that came over another wire."""

CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
"""The modes of a ToolChoice, and what this wire calls them; ``tool`` has the one name that is allowed beside it."""
