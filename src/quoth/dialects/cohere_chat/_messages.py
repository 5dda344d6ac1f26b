"""Messages in the words of this wire, and back: what both halves share.

Reading loses nothing (``_kept`` says how): only the typed part of a message is told apart by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Image, Message, Part, Text, ToolCall, ToolResult
from .._kept import Wire, overlay
from .._turns import is_said
from ._parts import ContentPart, opaque, read_part, residue_of, write_part
from ._words import FIELD, FORM, NAME, PLAN, RESIDUES, ROLES

__all__ = ["PLANNED", "read_answer_call", "read_content", "read_message", "write_messages", "write_turn"]

PLANNED: Wire = {FIELD: PLAN}
"""What a text keeps that is the plan before tool calls."""


# Writing.


def write_messages(messages: Sequence[Message], changes: list[str]) -> list[Wire]:
    """Spell a conversation; ``changes`` takes what could not be said.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    wires: list[Wire] = []
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        wires += [_write_result(message, result, changes) for result in results]
        if len(results) < len(message.parts) or not results:
            wires.append(write_turn(message, changes))
    return wires


def _write_result(message: Message, result: ToolResult, changes: list[str]) -> Wire:
    data = {**residue_of(message), **residue_of(result)}
    if result.is_error:
        changes.append("is_error of a tool result left out: this wire has no field for it")
    content = _write_content(result.parts, data.get(FORM))
    return overlay({"role": "tool", "tool_call_id": result.call_id, "content": content}, data)


def write_turn(message: Message, changes: list[str], *, answer: bool = False) -> Wire:
    """Spell one message without its tool results; that of an ``answer`` with a list of contents, as clients know it."""
    if message.role == "tool":
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    if message.name is not None:
        changes.append("name of a message left out: this wire has no field for it")
    spoken = [part for part in message.parts if is_said(part, RESIDUES, changes, answer=answer)]
    calls = [write_call(part) for part in spoken if isinstance(part, ToolCall)]
    plan = "".join([part.text for part in spoken if isinstance(part, Text) and _is_plan(part)])
    content = [part for part in spoken if not isinstance(part, ToolCall) and not _is_plan(part)]
    data = residue_of(message)
    wire: Wire = {"role": message.role}
    if content or not (calls or plan or answer):
        wire["content"] = _write_content(content, "list" if answer else data.get(FORM))
    if plan:
        wire[PLAN] = plan
    if calls:
        wire["tool_calls"] = calls
    return overlay(wire, data) if data else wire


def _is_plan(part: Part) -> bool:
    return isinstance(part, Text) and residue_of(part).get(FIELD) == PLAN


def _write_content(parts: Sequence[Part], form: object) -> Any:
    """One plain text is a string, unless it came as a list."""
    if not parts and form != "list":
        return ""
    if len(parts) == 1 and form != "list" and isinstance(parts[0], Text) and not residue_of(parts[0]):
        return parts[0].text
    return [write_part(part) for part in parts]


def write_call(call: ToolCall) -> Wire:
    """Spell one entry of ``tool_calls``."""
    function = {"name": call.name, "arguments": call.arguments}
    return overlay({"id": call.id, "type": "function", "function": function}, residue_of(call))


# Reading.


def read_message(wire: Mapping[str, Any]) -> Message:
    """Read one message of a request; building it gives the same object again."""
    spoken, spelled = wire.get("role"), wire.get("content")
    role = ROLES.get(spoken, "user") if isinstance(spoken, str) else "user"
    content = _read_exact_content(spelled)
    listed = isinstance(spelled, list) and len(content) == 1 and isinstance(content[0], Text)
    form = {FORM: "list"} if listed and not residue_of(content[0]) else {}
    parts: list[Part]
    if role == "tool":
        call_id = wire.get("tool_call_id")
        said = [part if isinstance(part, (Text, Image)) else opaque(write_part(part)) for part in content]
        parts = [ToolResult(call_id=call_id if isinstance(call_id, str) else "", parts=tuple(said))]
    else:
        parts = [*content, *_read_plan(wire), *[read_call(call) for call in _objects(wire.get("tool_calls"))]]
    draft = Message(role=role, parts=tuple(parts), provider_data=RESIDUES.named(form))
    return RESIDUES.exact(draft, wire, write_messages((draft,), [])[0])


def _read_exact_content(spelled: Any) -> tuple[ContentPart, ...]:
    """The parts of a string or a list; nothing where it is neither, or holds anything but objects."""
    if isinstance(spelled, str):
        return (Text(text=spelled),) if spelled else ()
    plain = isinstance(spelled, list) and all(isinstance(entry, dict) for entry in spelled)
    return read_content(spelled) if plain else ()


def read_content(spelled: Any) -> tuple[ContentPart, ...]:
    """The parts of a content of an answer, whatever it is: texts alone count too."""
    if isinstance(spelled, str):
        return (Text(text=spelled),) if spelled else ()
    entries = spelled if isinstance(spelled, list) else [spelled]
    found = [{"type": "text", "text": entry} if isinstance(entry, str) else entry for entry in entries]
    return tuple([read_part(entry) for entry in found if isinstance(entry, dict)])


def _read_plan(wire: Mapping[str, Any]) -> list[Part]:
    plan = wire.get(PLAN)
    return [Text(text=plan, provider_data={NAME: PLANNED})] if isinstance(plan, str) and plan else []


def _objects(value: Any) -> list[Wire]:
    """The objects of a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def read_call(wire: Wire) -> ToolCall:
    """Read one entry of ``tool_calls`` exactly."""
    read = _read_typed_call(wire)
    return RESIDUES.exact(read, wire, write_call(read))


def read_answer_call(wire: Wire) -> ToolCall:
    """Read one entry of an answer's ``tool_calls``: nulls say nothing, and defaults are filled in."""
    said = {key: value for key, value in wire.items() if value is not None}
    read = _read_typed_call(said)
    return RESIDUES.exact(read, said, write_call(read), absent=False)


def _read_typed_call(wire: Wire) -> ToolCall:
    inner = wire.get("function")
    inner = inner if isinstance(inner, dict) else {}
    id_, name, arguments = wire.get("id"), inner.get("name"), inner.get("arguments")
    return ToolCall(
        id=id_ if isinstance(id_, str) else "",
        name=name if isinstance(name, str) else "",
        arguments=arguments if isinstance(arguments, str) else "",
    )
