"""The words of the Responses wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = [
    "BODY_ITEM",
    "CALLS",
    "ENDINGS",
    "FIELD",
    "FORM",
    "INCOMPLETE",
    "ITEM",
    "NAME",
    "NO_ID",
    "REASONS",
    "RESIDUES",
    "RESULTS",
    "ROLES",
    "STATUSES",
    "THOUGHTS",
]

NAME: str = "openai_responses"
RESIDUES = Residues(NAME)

FORM, FIELD, ITEM = ":form", ":field", ":item"
"""Our own keys in ``provider_data``: no field of a wire begins with a colon."""

NO_ID = "resp_none"
"""The id of an answer that has none: clients of this wire demand one. It is read as none."""

BODY_ITEM = "item"
"""The ``:field`` of an empty text that keeps a whole item."""

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user"}
"""Who speaks in a message item, but for the assistant, whose items are joined to one message."""

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Items that are tool calls, and the field of each that holds what the model wrote."""

RESULTS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
"""What the result of each is called."""

THOUGHTS = {"summary": "summary_text", "content": "reasoning_text"}
"""The two lists of texts that a reasoning item has, and the type of their entries."""

ENDINGS = {
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/markdown": "md",
    "text/plain": "txt",
}
"""The endings of file names where a media type does not end alike."""

STATUSES: dict[str, FinishReason] = {"completed": "stop"}
"""How an answer ended. Any other word (``queued``, ``in_progress``, ``cancelled``) becomes ``other``, and is kept."""

REASONS: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Why an answer is ``incomplete``. Any other word (``max_messages``, ``steered``) becomes ``other``, and is kept."""

INCOMPLETE: dict[FinishReason, str] = {ours: raw for raw, ours in REASONS.items()}
"""How the server half spells a finish reason that came over another wire."""
