"""Messages in the words of the Chat wire, and back: what both halves share.

Reading loses nothing (``_kept`` says how): only the typed part of a message is told apart by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from .._kept import FOREIGN, Wire, overlay
from ._calls import read_function_call, write_call
from ._parts import ContentPart, read_part, residue_of, write_part
from ._words import FIELD, FORM, NAME, REASONING_FIELDS, RESIDUES

__all__ = [
    "answer_entries",
    "content_form",
    "read_answer_parts",
    "read_content",
    "read_parts",
    "reasoning_field",
    "write_messages",
    "write_turn",
]


# Writing messages.


def write_messages(
    messages: Sequence[Message], changes: list[str], *, spare_reasoning: str | None = None
) -> list[Wire]:
    """Spell a conversation; ``changes`` takes what could not be said.

    ``spare_reasoning`` is the field for reasoning that came over another wire; None leaves it out, because
    providers refuse fields that they do not know.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    wires: list[Wire] = []
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        wires += [_write_result(message, result, changes) for result in results]
        if len(results) < len(message.parts) or not results:
            wires.append(write_turn(message, changes, spare_reasoning=spare_reasoning))
    return wires


def _write_result(message: Message, result: ToolResult, changes: list[str]) -> Wire:
    data = {**residue_of(message), **residue_of(result)}
    if result.is_error:
        changes.append("is_error of a tool result left out: this wire has no field for it")
    wire: Wire = {
        "role": "tool",
        "tool_call_id": result.call_id,
        "content": _write_content(result.parts, data.get(FORM), beside=False),
    }
    if message.name is not None:
        wire["name"] = message.name
    return overlay(wire, data)


def write_turn(message: Message, changes: list[str], *, spare_reasoning: str | None = None) -> Wire:
    """Spell one message without its tool results."""
    if message.role == "tool":
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    content: list[ContentPart] = []
    calls: list[ToolCall] = []
    texts: dict[str, str] = {}  # by the field of the message that they stand in
    for part in message.parts:
        if isinstance(part, ToolCall):
            calls.append(part)
        elif isinstance(part, (Reasoning, Refusal)) and (field := _field(part, spare_reasoning)) != "content":
            texts[field] = texts.get(field, "") + part.text
            if field == spare_reasoning and FIELD not in residue_of(part):
                changes.append(f"reasoning that came over another wire sent as {field}")
        elif RESIDUES.foreign(part):
            changes.append(FOREIGN)
        elif not isinstance(part, ToolResult):
            content.append(part)
    if texts.pop("", None) is not None:
        changes.append("reasoning that came over another wire left out: this one has no common field for it")
    data = residue_of(message)
    wire: Wire = {"role": message.role}
    wire["content"] = _write_content(content, data.get(FORM), beside=bool(calls) or "refusal" in texts)
    wire |= texts
    if message.name is not None:
        wire["name"] = message.name
    _write_calls(wire, calls)
    return overlay(wire, data) if data else wire


def _field(part: Reasoning | Refusal, spare_reasoning: str | None) -> str:
    """Where in the message a text stands; empty where there is no place for it."""
    default = "refusal" if isinstance(part, Refusal) else spare_reasoning or ""
    return str(residue_of(part).get(FIELD, default))


def _write_calls(wire: Wire, calls: list[ToolCall]) -> None:
    for call in calls:
        if residue_of(call).get(FIELD) == "function_call":
            wire["function_call"] = {"name": call.name, "arguments": call.arguments}
        else:
            wire.setdefault("tool_calls", []).append(write_call(call))


def _write_content(parts: Sequence[ContentPart], form: str | None, *, beside: bool) -> Any:
    """One plain text is a string, unless it came as a list; nothing is null ``beside`` something else.

    Some servers refuse null there and sent an empty string themselves (DashScope: "content field is a required
    field"), others the reverse: so what they sent is what they get back.
    """
    if not parts:
        return None if beside and form != "string" else ""
    first = parts[0]
    if len(parts) == 1 and form != "list" and isinstance(first, Text) and not residue_of(first):
        return first.text
    return [write_part(part) for part in parts]


# Reading messages.


def read_parts(message: Mapping[str, Any], read_one_call: Callable[[Wire], ToolCall]) -> tuple[list[Part], Wire]:
    """The typed parts of a message in their order on every wire: reasoning, content, refusal, tool calls.

    The second value is what the message must keep to be spelled again (its ``:form``).
    """
    parts: list[Part] = []
    if field := reasoning_field(message):
        parts.append(Reasoning(text=message[field], provider_data={NAME: {FIELD: field}}))
    spelled = message.get("content")
    content = read_content(spelled)
    parts += content
    beside = len(parts)
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append(Refusal(text=refusal))
    if isinstance(calls := message.get("tool_calls"), list):
        parts += [read_one_call(call) for call in calls if isinstance(call, dict)]
    if (call := read_function_call(message.get("function_call"))) is not None:
        parts.append(call)
    return parts, content_form(spelled, content, beside=len(parts) > beside)


def read_answer_parts(message: Mapping[str, Any], read_one_call: Callable[[Wire], ToolCall]) -> tuple[list[Part], Wire]:
    """As ``read_parts``, of an answer: a content that is an object, or a list with strings in it, has been paid for."""
    spelled = message.get("content")
    if spelled is None or isinstance(spelled, str):
        return read_parts(message, read_one_call)
    entries = answer_entries(spelled)
    parts, form = read_parts({**message, "content": entries}, read_one_call)
    texts = [part for part in parts if isinstance(part, Text) and not residue_of(part)]
    return parts, {FORM: "list"} if len(texts) == len(entries) > 1 else form


def answer_entries(content: Any) -> list[Wire]:
    """The entries of a content of an answer that is no string."""
    entries = content if isinstance(content, list) else [content]
    found = [{"type": "text", "text": entry} if isinstance(entry, str) else entry for entry in entries]
    return [entry for entry in found if isinstance(entry, dict)]


def reasoning_field(message: Mapping[str, Any]) -> str | None:
    """The field of the message that says what the model thought; the first, where servers send it twice."""
    for field in REASONING_FIELDS:
        if (text := message.get(field)) and isinstance(text, str):
            return field
    return None


def content_form(spelled: Any, content: Sequence[Part], *, beside: bool) -> Wire:
    """The spelling of a content, where ``_write_content`` would choose another."""
    if spelled == "":
        return {FORM: "string"} if beside else {}
    one = len(content) == 1 and isinstance(spelled, list) and isinstance(content[0], Text)
    return {FORM: "list"} if one and not residue_of(content[0]) else {}


def read_content(content: Any) -> tuple[ContentPart, ...]:
    """The parts of a string or a list; nothing where it is neither."""
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return tuple([read_part(part) for part in content])
    return ()
