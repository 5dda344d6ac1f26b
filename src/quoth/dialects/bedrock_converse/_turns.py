"""Conversations in the words of this wire, and back: what stands beside the turns, and who speaks.

System messages are the body's ``system``. Tool results are a user's blocks here: our ``tool`` messages become turns of
the user. Turns of one speaker in a row are sent as one, because most models demand that the speakers alternate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Message, Part, Reasoning, Role, Text, ToolResult
from .._kept import FOREIGN, Wire, overlay
from ._blocks import opaque, read_block, residue_of, write_block
from ._files import Spelling
from ._words import FIELD, NAME, RESIDUES, ROLES, TURN

__all__ = ["read_messages", "read_system", "write_conversation"]


# Writing.


def write_conversation(messages: Sequence[Message], spelling: Spelling) -> tuple[list[Wire] | None, list[Wire]]:
    """The body's ``system`` (None where there is none) and ``messages``.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    system = [message for message in messages if _leads(message)]
    turns = [message for message in messages if not _leads(message)]
    if system and tuple(system) != tuple(messages[: len(system)]):
        spelling.changes.append("a system message moved to the front: this wire has no other place for it")
    wires: list[Wire] = []
    before: Message | None = None
    for message in turns:
        wire = _write_turn(message, spelling)
        if message.parts and wire.get("content") == []:
            spelling.changes.append("a turn left out: it holds nothing that this wire can carry")
        elif before is not None and _goes_on(message, wire, wires[-1]):
            if "tool" not in (before.role, message.role):
                spelling.changes.append(
                    "turns of one speaker in a row sent as one: most models demand that they alternate"
                )
            wires[-1] = {**wires[-1], **wire, "content": [*wires[-1]["content"], *wire["content"]]}
            before = message
        else:
            wires.append(wire)
            before = message
    return _write_system(system, spelling) or None, wires


def _leads(message: Message) -> bool:
    """Whether a message belongs into ``system``."""
    return message.role == "system" and residue_of(message).get(FIELD) != "messages"


def _goes_on(message: Message, wire: Wire, turn: Wire) -> bool:
    """Whether a message is more of the turn before it."""
    contents = (wire.get("content"), turn.get("content"))
    same = wire.get("role") == turn.get("role") and all(isinstance(content, list) for content in contents)
    return same and not residue_of(message).get(TURN)


def _write_system(messages: Sequence[Message], spelling: Spelling) -> list[Wire]:
    parts = [part for message in messages for part in message.parts]
    if any(not isinstance(part, Text) for part in parts):
        raise UnsupportedContentError("the system prompt of Bedrock is text: put other parts in a user turn")
    for message in messages:
        _note_name(message, spelling)
    said = [part for part in parts if not (RESIDUES.foreign(part) or _is_blank(part))]
    if len(said) < len(parts):
        spelling.changes.append("a text that says nothing left out of the system prompt: this wire refuses it")
    return [write_block(part, spelling) for part in said]


def _note_name(message: Message, spelling: Spelling) -> None:
    if message.name is not None:
        spelling.changes.append("name of a message left out: this wire has no field for it")


def _write_turn(message: Message, spelling: Spelling) -> Wire:
    """Spell one message that stands among ``messages``."""
    _note_name(message, spelling)
    if message.role == "tool" and not (message.parts and all(isinstance(part, ToolResult) for part in message.parts)):
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    wire: Wire = {
        "role": message.role if message.role in ROLES else "user",
        "content": [write_block(part, spelling) for part in _speakable(message, spelling)],
    }
    return overlay(wire, residue_of(message))


def _speakable(message: Message, spelling: Spelling) -> list[Part]:
    """The parts without those that the wire refuses: what came over another wire, and blank texts of an answer."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Reasoning) and NAME not in part.provider_data:
            spelling.changes.append(
                "reasoning that came over another wire left out: this one takes back only what it signed"
            )
        elif RESIDUES.foreign(part):
            spelling.changes.append(FOREIGN)
        elif message.role == "assistant" and len(message.parts) > 1 and _is_blank(part):
            spelling.changes.append("a blank text left out: this wire refuses it")
        else:
            parts.append(part)
    return parts


def _is_blank(part: Part) -> bool:
    return isinstance(part, Text) and not part.text.strip() and not residue_of(part)


# Reading.


def read_system(spelled: Any) -> Message | None:
    """The body's ``system`` as a message at the front; None for a value that is not ours, or says nothing."""
    if not isinstance(spelled, list) or not spelled or not all(isinstance(block, dict) for block in spelled):
        return None
    parts = [read_block(block) for block in spelled]
    texts = tuple(
        [part if isinstance(part, Text) else opaque(block) for part, block in zip(parts, spelled, strict=True)]
    )
    return Message(role="system", parts=texts)


def read_messages(wires: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Read the messages of a request; building them gives the same objects again."""
    messages: list[Message] = []
    spoken: object = None
    for wire in wires:
        messages.append(_read_message(wire, again=wire.get("role") == spoken))
        spoken = wire.get("role")
    return tuple(messages)


def _read_message(wire: Mapping[str, Any], *, again: bool) -> Message:
    spoken, content = wire.get("role"), wire.get("content")
    role: Role = ROLES.get(spoken, "user") if isinstance(spoken, str) else "user"
    blocks = content if isinstance(content, list) and all(isinstance(block, dict) for block in content) else []
    parts = tuple([read_block(block) for block in blocks])
    if role == "user" and parts and all(isinstance(part, ToolResult) for part in parts):
        role = "tool"
    kept: Wire = {FIELD: "messages"} if role == "system" else {}
    if again:
        kept[TURN] = "own"
    draft = Message(role=role, parts=parts, provider_data=RESIDUES.named(kept))
    return RESIDUES.exact(draft, wire, _write_turn(draft, Spelling()))
