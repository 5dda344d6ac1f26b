"""Conversations in the words of this wire, and back: what stands beside the turns, who speaks, which result is whose.

System messages are ``systemInstruction``. Tool results are a user's parts here: our ``tool`` messages become user
turns, those in a row one turn, because all the results of one turn must stand in the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from .._kept import FOREIGN, Wire, overlay
from ._parts import made_id, opaque, read_part, residue_of, write_part
from ._words import FORM, NAME, RESIDUES, ROLES, TURN

__all__ = ["read_contents", "read_system", "write_contents"]


# Writing.


def write_contents(messages: Sequence[Message], changes: list[str]) -> tuple[Wire | None, list[Wire] | Wire]:
    """``systemInstruction`` (None where there is none) and ``contents``; ``changes`` takes what could not be said.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    system = [message for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"]
    if system and tuple(system) != tuple(messages[: len(system)]):
        changes.append("a system message moved to the front: this wire has no other place for it")
    names: dict[str, str] = {}
    wires: list[Wire] = []
    after_results = False
    for message in turns:
        wire = _write_turn(message, names, changes)
        names.update({part.id: part.name for part in message.parts if isinstance(part, ToolCall)})
        results = message.role == "tool"
        if results and after_results and not residue_of(message).get(TURN):
            wires[-1] = {**wires[-1], **wire, "parts": [*wires[-1]["parts"], *wire["parts"]]}
        else:
            wires.append(wire)
        after_results = results and isinstance(wires[-1].get("parts"), list)
    alone = len(turns) == 1 and residue_of(turns[0]).get(FORM) == "object"
    return _write_system(system, changes) if system else None, wires[0] if alone else wires


def _write_system(messages: Sequence[Message], changes: list[str]) -> Wire:
    parts = [part for message in messages for part in message.parts]
    if any(not isinstance(part, Text) for part in parts):
        raise UnsupportedContentError("the system prompt of Gemini is text: put other parts in a user turn")
    for message in messages:
        _note_name(message, changes)
    wire: Wire = {"parts": [write_part(part, changes) for part in parts if not RESIDUES.foreign(part)]}
    return overlay(wire, residue_of(messages[0]))


def _note_name(message: Message, changes: list[str]) -> None:
    if message.name is not None:
        changes.append("name of a message left out: this wire has no field for it")


def _write_turn(message: Message, names: Mapping[str, str], changes: list[str]) -> Wire:
    _note_name(message, changes)
    if message.role == "tool" and not (message.parts and all(isinstance(part, ToolResult) for part in message.parts)):
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    wire: Wire = {
        "role": "model" if message.role == "assistant" else "user",
        "parts": [write_part(part, changes, names) for part in _speakable(message, changes)],
    }
    return overlay(wire, residue_of(message))


def _speakable(message: Message, changes: list[str]) -> list[Part]:
    """The parts without what came over another wire and has no form here."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Reasoning) and NAME not in part.provider_data:
            changes.append("reasoning that came over another wire left out: this one takes back only its own")
        elif RESIDUES.foreign(part):
            changes.append(FOREIGN)
        else:
            parts.append(part)
    return parts


# Reading.


def read_system(spelled: Any) -> Message | None:
    """``systemInstruction`` as a message; None for a value that is not ours."""
    if not isinstance(spelled, dict):
        return None
    parts = [read_part(entry, "") for entry in _entries(spelled)]
    texts = tuple([part if isinstance(part, Text) else opaque(write_part(part, [])) for part in parts])
    draft = Message(role="system", parts=texts)
    return RESIDUES.exact(draft, spelled, _write_system((draft,), []))


def _entries(content: Mapping[str, Any]) -> list[Wire]:
    """The parts of a content: a list, or the one object that Google takes too; none where they are neither."""
    spelled = content.get("parts")
    if isinstance(spelled, dict):
        return [spelled]
    return spelled if isinstance(spelled, list) and all(isinstance(entry, dict) for entry in spelled) else []


def read_contents(wires: Sequence[Mapping[str, Any]], *, form: Wire) -> tuple[Message, ...]:
    """Read the contents of a request; building them gives the same again. ``form`` is kept by each."""
    messages: list[Message] = []
    calls = _Calls()
    for turn, wire in enumerate(wires):
        after_results = bool(messages) and messages[-1].role == "tool"
        messages.append(_read_content(wire, turn, calls, form, after_results=after_results))
    return tuple(messages)


class _Calls:
    """The calls of a conversation so far, and which of them wait for their results."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._waiting: list[ToolCall] = []

    def add(self, message: Message) -> None:
        made = [part for part in message.parts if isinstance(part, ToolCall)]
        self.names.update({call.id: call.name for call in made})
        self._waiting = made or self._waiting

    def answered(self, result: Wire) -> str | None:
        """The id of the call that a result is for: the first one of its name that has none yet, unless it says."""
        said, name = result.get("id"), result.get("name")
        for call in self._waiting:
            if call.id == said or (not said and call.name == name):
                self._waiting = [other for other in self._waiting if other is not call]
                return call.id
        return None


def _read_content(wire: Mapping[str, Any], turn: int, calls: _Calls, form: Wire, *, after_results: bool) -> Message:
    spoken = wire.get("role")
    role: Role = ROLES.get(spoken, "user") if isinstance(spoken, str) else "user"
    parts = tuple([_read_entry(entry, turn, place, calls) for place, entry in enumerate(_entries(wire))])
    kept = {**form}
    if role != "assistant":
        role = "tool" if parts and all(isinstance(part, ToolResult) for part in parts) else "user"
        if role == "tool" and after_results:
            kept[TURN] = "own"
    draft = Message(role=role, parts=parts, provider_data={NAME: kept} if kept else {})
    built = _write_turn(draft, calls.names, [])
    calls.add(draft)
    return RESIDUES.exact(draft, wire, built)


def _read_entry(entry: Wire, turn: int, place: int, calls: _Calls) -> Part:
    inner = entry.get("functionResponse", entry.get("function_response"))
    answered = calls.answered(inner) if isinstance(inner, dict) else None
    return read_part(entry, answered or made_id(turn, place), calls.names)
