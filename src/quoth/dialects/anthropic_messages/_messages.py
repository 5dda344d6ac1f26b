"""Conversations in the words of the Messages wire, and back: what stands beside the turns, and who speaks.

The first system messages are the body's ``system``. Tool results are a user's blocks here: our ``tool`` messages
become user turns, those in a row one turn, because all the results of one turn must stand in the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Message, Part, Reasoning, Role, Text, ToolResult
from .._kept import FOREIGN, Wire, overlay
from ._blocks import content_form, exact, opaque, read_content, residue_of, write_block, write_content
from ._words import FIELD, FORM, NAME, RESIDUES, ROLES, TURN

__all__ = ["read_messages", "read_system", "write_conversation", "write_turn"]


# Writing.


def write_conversation(messages: Sequence[Message], changes: list[str]) -> tuple[str | list[Wire] | None, list[Wire]]:
    """The body's ``system`` (None where there is none) and ``messages``; ``changes`` takes what could not be said.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    first = next((at for at, message in enumerate(messages) if not _leads(message)), len(messages))
    system = _write_system(messages[:first], changes) if first else None
    wires: list[Wire] = []
    joinable = False
    for message in messages[first:]:
        wire = write_turn(message, changes)
        results = message.role == "tool"
        if results and joinable and not residue_of(message).get(TURN):
            wires[-1] = _joined(wires[-1], wire)
        else:
            wires.append(wire)
        joinable = results and isinstance(wires[-1].get("content"), list)
    return system, wires


def _leads(message: Message) -> bool:
    """Whether a message at the front belongs into ``system``."""
    return message.role == "system" and residue_of(message).get(FIELD) != "messages"


def _write_system(messages: Sequence[Message], changes: list[str]) -> str | list[Wire]:
    parts = [part for message in messages for part in message.parts]
    if any(not isinstance(part, Text) for part in parts):
        raise UnsupportedContentError("the system prompt of Anthropic Messages is text: put other parts in a user turn")
    for message in messages:
        _note_name(message, changes)
    return write_content(parts, residue_of(messages[0]).get(FORM), changes)


def _note_name(message: Message, changes: list[str]) -> None:
    if message.name is not None:
        changes.append("name of a message left out: this wire has no field for it")


def _joined(turn: Wire, following: Wire) -> Wire:
    return {**turn, **following, "content": [*turn["content"], *following["content"]]}


def write_turn(message: Message, changes: list[str]) -> Wire:
    """Spell one message that stands among ``messages``."""
    _note_name(message, changes)
    data = residue_of(message)
    wire: Wire
    if message.role == "tool":
        wire = {"role": "user", "content": _write_results(message, changes)}
    else:
        if message.role == "system" and data.get(FIELD) != "messages":
            changes.append("a system message sent among the others, in its place: older models refuse it there")
        parts = _speakable(message, changes)
        wire = {"role": message.role, "content": write_content(parts, data.get(FORM), changes)}
    return overlay(wire, data) if data else wire


def _write_results(message: Message, changes: list[str]) -> list[Wire]:
    if not message.parts or not all(isinstance(part, ToolResult) for part in message.parts):
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    return [write_block(part, changes) for part in message.parts]


def _speakable(message: Message, changes: list[str]) -> list[Part]:
    """The parts without those that the wire refuses: what came over another wire, and empty texts of an answer."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Reasoning) and NAME not in part.provider_data:
            changes.append("reasoning that came over another wire left out: this one takes back only what it signed")
        elif RESIDUES.foreign(part):
            changes.append(FOREIGN)
        elif message.role == "assistant" and len(message.parts) > 1 and _is_empty(part):
            changes.append("an empty text left out: this wire refuses it")
        else:
            parts.append(part)
    return parts


def _is_empty(part: Part) -> bool:
    return isinstance(part, Text) and not part.text and not residue_of(part)


# Reading.


def read_system(spelled: Any) -> tuple[Message, ...] | None:
    """The body's ``system`` as a message at the front; None for a value that is not ours."""
    if isinstance(spelled, str) or (isinstance(spelled, list) and all(isinstance(block, dict) for block in spelled)):
        parts = tuple(
            [part if isinstance(part, Text) else opaque(write_block(part, [])) for part in read_content(spelled)]
        )
        form = content_form(spelled, parts)
        return (Message(role="system", parts=parts, provider_data={NAME: form} if form else {}),)
    return None


def read_messages(wires: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Read the messages of a request; building them gives the same objects again."""
    messages: list[Message] = []
    for wire in wires:
        after_results = bool(messages) and messages[-1].role == "tool"
        messages.append(_read_message(wire, after_results=after_results))
    return tuple(messages)


def _read_message(wire: Mapping[str, Any], *, after_results: bool) -> Message:
    spoken, spelled = wire.get("role"), wire.get("content")
    role: Role = ROLES.get(spoken, "user") if isinstance(spoken, str) else "user"
    parts = read_content(spelled)
    form: Wire
    if role == "user" and parts and all(isinstance(part, ToolResult) for part in parts):
        role, form = "tool", {TURN: "own"} if after_results else {}
    else:
        form = content_form(spelled, parts)
    if role == "system":
        form[FIELD] = "messages"
    draft = Message(role=role, parts=parts, provider_data={NAME: form} if form else {})
    return exact(draft, wire, write_turn(draft, []))
