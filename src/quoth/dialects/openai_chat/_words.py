"""The words of the Chat wire: each translation is a table."""

from __future__ import annotations

from ...types import FinishReason, Role
from .._kept import Residues

__all__ = [
    "ANSWER_ONLY",
    "CALL_KINDS",
    "DONE",
    "FIELD",
    "FINISH_REASONS",
    "FORM",
    "NAME",
    "NO_ID",
    "REASONING_FIELDS",
    "RESIDUES",
    "ROLES",
]

NAME: str = "openai_chat"
RESIDUES = Residues(NAME)

DONE = b"[DONE]"

NO_ID = "chatcmpl-none"
"""The id of an answer that has none: clients of this wire demand one. It is read as none."""

FORM, FIELD = ":form", ":field"
"""Our own keys in ``provider_data``: no field of a wire begins with a colon."""

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",  # the results of 2023
}

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos_token": "stop",  # Text Generation Inference
    "model_length": "length",  # Mistral: the context is full
    "sensitive": "content_filter",  # Z.ai
}
"""Any other word becomes ``other``; the word itself is kept beside it."""

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
"""Where servers put what the model thought: DeepSeek's name, used by most, that of OpenRouter and Groq, Copilot's."""

CALL_KINDS = {"function": "arguments", "custom": "input"}
"""Types of tool calls: the inner object has the type's name, and this field of it holds what the model wrote."""

ANSWER_ONLY = frozenset(
    {
        "annotations",
        "audio",  # sent back as its id alone
        "citations",
        "executed_tools",  # Groq
        "padding",  # Copilot: noise that hides lengths
        "parsed",
        "provider_metadata",  # Vercel
    }
)
"""Fields of an answer's message that are facts about it. The others are sent back with it, as every client that
appends the message to its list does: signatures, encrypted reasoning and the like come under ever new names."""
