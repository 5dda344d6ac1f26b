"""Messages in the words of this wire, and back: what both halves share.

Reading loses nothing (``_kept`` says how): only the typed part of a message is told apart by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Image, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from .._kept import Wire, overlay
from .._media import read_base64, read_data_url, write_base64
from .._turns import is_said
from ._calls import is_made, made_id, read_call, write_call
from ._words import NAME, RESIDUES, ROLES

__all__ = ["THOUGHT", "read_images", "read_messages", "write_messages", "write_turn"]

THOUGHT: Mapping[str, Any] = {NAME: {}}
"""What a thought keeps: that it came over this wire, and so may go back."""

JOINTS = {"assistant": ""}
"""What stands between the texts of a message, by its role: nothing in an answer, else a line end."""

Names = dict[str, str]
"""The function that was called, by the id of the call."""


# Writing.


def write_messages(messages: Sequence[Message], changes: list[str]) -> list[Wire]:
    """Spell a conversation; ``changes`` takes what could not be said.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    names: Names = {}
    wires: list[Wire] = []
    for message in messages:
        wires += _write_message(message, names, changes)
        names |= {part.id: part.name for part in message.parts if isinstance(part, ToolCall)}
    return wires


def _write_message(message: Message, names: Names, changes: list[str]) -> list[Wire]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    wires = [_write_result(message, result, names, changes) for result in results]
    if len(results) < len(message.parts) or not results:
        wires.append(write_turn(message, changes))
    return wires


def _write_result(message: Message, result: ToolResult, names: Names, changes: list[str]) -> Wire:
    if result.is_error:
        changes.append("is_error of a tool result left out: this wire has no field for it")
    wire = _write_content("tool", result.parts, changes)
    if name := names.get(result.call_id):
        wire["tool_name"] = name
    if not is_made(result.call_id):
        wire["tool_call_id"] = result.call_id
    return overlay(wire, {**RESIDUES.of(message), **RESIDUES.of(result)})


def write_turn(message: Message, changes: list[str], *, answer: bool = False) -> Wire:
    """Spell one message without its tool results; an ``answer`` says the places of its calls, and every thought."""
    if message.role == "tool":
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    if message.name is not None:
        changes.append("name of a message left out: this wire has no field for it")
    parts = [part for part in message.parts if is_said(part, RESIDUES, changes, answer=answer)]
    thoughts = "".join([part.text for part in parts if isinstance(part, Reasoning)])
    calls = [part for part in parts if isinstance(part, ToolCall)]
    content = [part for part in parts if not isinstance(part, (Reasoning, ToolCall))]
    wire = _write_content(message.role, content, changes)
    if thoughts:
        wire["thinking"] = thoughts
    if calls:
        places = range(len(calls)) if answer else [None] * len(calls)
        wire["tool_calls"] = [write_call(call, changes, place=at) for call, at in zip(calls, places, strict=True)]
    data = RESIDUES.of(message)
    return overlay(wire, data) if data else wire


def _write_content(role: str, parts: Sequence[Part], changes: list[str]) -> Wire:
    """The texts as one, and the pictures beside it."""
    texts = [part.text for part in parts if isinstance(part, (Text, Refusal))]
    joint = JOINTS.get(role, "\n")
    if len(texts) > 1 and joint:
        changes.append("texts of a message joined by line ends: its content is one text on this wire")
    wire: Wire = {"role": role, "content": joint.join(texts)}
    if images := [_write_image(part) for part in parts if not isinstance(part, (Text, Refusal))]:
        wire["images"] = images
    return wire


def _write_image(part: Part) -> str:
    if not isinstance(part, Image):
        raise UnsupportedContentError(
            f"Ollama's wire cannot carry {type(part).__name__} in a message: it takes text and pictures"
        )
    data = part.data
    if data is None and (inline := read_data_url(part.url)) is not None:
        data = inline[0]
    if data is None:
        raise UnsupportedContentError("Ollama fetches no pictures: pass the bytes, as in Image(data=...)")
    return write_base64(data)


# Reading.


def read_messages(wires: Sequence[Wire]) -> tuple[Message, ...]:
    """Read a conversation; building it gives the same objects again. Results find the calls that they are for."""
    names: Names = {}
    waiting: list[ToolCall] = []
    messages = []
    for number, wire in enumerate(wires):
        message = _read_message(wire, number, waiting, names)
        messages.append(message)
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        waiting += calls
        names |= {call.id: call.name for call in calls}
    return tuple(messages)


def _read_message(wire: Wire, number: int, waiting: list[ToolCall], names: Names) -> Message:
    spoken = wire.get("role")
    role = ROLES.get(spoken, "user") if isinstance(spoken, str) else "user"
    text, images = wire.get("content"), read_images(wire.get("images"))
    content: list[Text | Image] = [Text(text=text)] if isinstance(text, str) and text else []
    content += images
    parts: list[Part]
    if role == "tool":
        parts = [ToolResult(call_id=_answered(wire, number, waiting), parts=tuple(content))]
    else:
        thoughts, calls = wire.get("thinking"), wire.get("tool_calls")
        parts = [Reasoning(text=thoughts, provider_data=THOUGHT)] if isinstance(thoughts, str) and thoughts else []
        found = calls if isinstance(calls, list) and all(isinstance(call, dict) for call in calls) else []
        parts += [*content, *[read_call(call, made_id(number, place)) for place, call in enumerate(found)]]
    draft = Message(role=role, parts=tuple(parts))
    return RESIDUES.exact(draft, wire, _write_message(draft, names, [])[0])


def _answered(wire: Wire, number: int, waiting: list[ToolCall]) -> str:
    """The id of the call that a result is for: by its id, else by the function's name, else the first that waits."""
    id_, name = wire.get("tool_call_id"), wire.get("tool_name")
    if isinstance(id_, str) and not is_made(id_):
        waiting[:] = [call for call in waiting if call.id != id_]
        return id_
    found = next((call for call in waiting if not name or call.name == name), None)
    if found is None:
        return made_id("result", number)
    waiting.remove(found)
    return found.id


def read_images(value: Any) -> list[Image]:
    """The pictures of a message; what is no base64 is none."""
    found = [read_base64(entry) for entry in value] if isinstance(value, list) else []
    return [Image(data=data, media_type=_media_type(data)) for data in found if data is not None]


SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
"""How the pictures begin that Ollama takes: their type stands nowhere else."""


def _media_type(data: bytes) -> str | None:
    return next((kind for begins, kind in SIGNATURES if data.startswith(begins)), None)
