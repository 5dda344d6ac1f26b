"""The words of this wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = [
    "CHOICES",
    "DOCUMENTS",
    "FIELD",
    "FINISH_REASONS",
    "FORM",
    "IMAGES",
    "NAME",
    "RESIDUES",
    "ROLES",
    "SAID",
    "SOUNDS",
    "STOP_REASONS",
    "TURN",
    "VIDEOS",
]

NAME: str = "bedrock_converse"
RESIDUES = Residues(NAME)

FORM, FIELD, TURN, SAID = ":form", ":field", ":turn", ":said"
"""Our own keys in ``provider_data``: no field of a wire begins with a colon."""

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}
"""Any other word (``malformed_tool_use``) becomes ``other``; the word itself is kept beside it."""

STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
"""How the server half spells a finish reason that came over another wire."""

CHOICES = {"auto": "auto", "required": "any", "tool": "tool"}
"""The modes of a ToolChoice, and what this wire calls them; for ``none`` it has no word."""

IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}

DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}

VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/mpg": "mpg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}

SOUNDS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "mp4",
    "audio/ogg": "ogg",
    "audio/x-matroska": "mka",
    "audio/x-aac": "x-aac",
    "audio/m4a": "m4a",
    "audio/pcm": "pcm",
    "audio/webm": "webm",
}
"""Media types, and what this wire calls their formats (botocore 1.44.8, service model of bedrock-runtime)."""
