"""What was said, as the convention's JSON: bounded in size, the latest kept; bytes are named, never shown.

Schemas: gen-ai-input-messages.json, gen-ai-output-messages.json, gen-ai-system-instructions.json and
gen-ai-tool-definitions.json of https://github.com/open-telemetry/semantic-conventions-genai.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from ...types import (
    Audio,
    Document,
    Image,
    Message,
    ModelRequest,
    Part,
    Reasoning,
    Refusal,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from . import _semconv as names

__all__ = ["Content", "as_plain", "as_text", "bounded_json", "content_of"]

MOST = 65_536
"""Characters that one attribute holds of what was said, without the JSON around it."""
OVERHEAD = 64
"""Characters that each part counts beside its own."""

Content: TypeAlias = dict[str, list[Any]]
"""Attributes that are yet to be encoded."""


class _Room:
    """How much may still be said in one attribute."""

    def __init__(self) -> None:
        self.left = MOST
        self.cut = False

    def text(self, text: str) -> str:
        """The text, or its beginning with a mark."""
        room, self.left = self.left, max(0, self.left - len(text) - OVERHEAD)
        if len(text) <= room:
            return text
        self.cut = True
        return f"{text[:room]}… [cut, of {len(text)} characters]"

    def json(self, value: Any) -> Any:
        """The value where it has room, else the beginning of its JSON."""
        text = as_text(value)
        said = self.text(text)
        return value if said == text else said


def as_text(value: Any) -> str:
    """JSON, in characters that every exporter can encode; what JSON does not know as its ``str``."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_told)
    except (TypeError, ValueError, RecursionError):  # keys that JSON does not know, a value within itself
        text = json.dumps(f"[left out: {type(value).__name__}]")
    return text.encode("utf-8", "replace").decode()


def _told(value: Any) -> Any:
    """What JSON does not know: bytes are named, never shown."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[left out: {len(value):,} bytes]"
    if isinstance(value, (Image, Audio, Document, Text)):
        return _part(value, _Room())
    return str(value)


def as_plain(value: Any) -> Any:
    """The same as values of JSON and nothing else."""
    return json.loads(as_text(value))


def bounded_json(value: Any) -> str:
    """Arguments or the result of a tool."""
    return _Room().text(value if isinstance(value, str) else as_text(value)).encode("utf-8", "replace").decode()


def content_of(request: ModelRequest, answer: Response | None) -> tuple[Content, bool]:
    """What was asked and answered, by attribute; and whether any of it was cut."""
    rooms: list[_Room] = []

    def room() -> _Room:
        rooms.append(_Room())
        return rooms[-1]

    system = [part for message in request.messages if message.role == "system" for part in message.parts]
    said = [message for message in request.messages if message.role != "system"]
    content: Content = {
        names.SYSTEM_INSTRUCTIONS: _parts(system, room()),
        names.INPUT_MESSAGES: _messages(said, room()),
        names.TOOL_DEFINITIONS: _tools(request.tools, room()),
    }
    if answer is not None:
        spoken = [(answer.message, answer.finish_reason), *[(e.message, e.finish_reason) for e in answer.candidates]]
        within = room()
        content[names.OUTPUT_MESSAGES] = [
            {**_message(message, within), "finish_reason": names.FINISH_REASONS.get(reason, reason)}
            for message, reason in spoken
        ]
    return {name: value for name, value in content.items() if value}, any(each.cut for each in rooms)


def _messages(messages: list[Message], room: _Room) -> list[Any]:
    """From the latest back, as long as there is room; in their order."""
    told: list[Any] = []
    for message in reversed(messages):
        if room.left <= 0:
            room.cut = True
            break
        told.append(_message(message, room))
    return told[::-1]


def _message(message: Message, room: _Room) -> dict[str, Any]:
    told = {"role": message.role, "parts": _parts(message.parts, room)}
    return told if message.name is None else {**told, "name": message.name}


def _parts(parts: Iterable[Part], room: _Room) -> list[Any]:
    told: list[Any] = []
    for part in parts:
        if room.left <= 0:
            room.cut = True
            break
        told.append(_part(part, room))
    return told


def _part(part: Part, room: _Room) -> dict[str, Any]:
    match part:
        case Text() | Refusal():
            return {"type": "text", "content": room.text(part.text)}
        case Reasoning():
            return {"type": "reasoning", "content": room.text(part.text)}
        case ToolCall():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": _arguments(part, room)}
        case ToolResult():
            texts = [each.text for each in part.parts if isinstance(each, Text)]
            plain = len(texts) == len(part.parts)
            response: Any = room.text("".join(texts)) if plain else _parts(part.parts, room)
            return {"type": "tool_call_response", "id": part.call_id, "response": response}
        case Image():
            return _media("image", part.media_type, part.data, part.url, room)
        case Audio():
            return _media("audio", part.media_type, part.data, None, room)
        case Document(file_id=str(file_id)):
            return {"type": "file", "modality": "document", "mime_type": part.media_type, "file_id": file_id}
        case Document():
            return _media("document", part.media_type, part.data, part.url, room)


def _arguments(call: ToolCall, room: _Room) -> Any:
    said = room.text(call.arguments)
    try:
        return call.parse_arguments() if said == call.arguments else said
    except ValueError:
        return said


def _media(modality: str, media_type: str | None, data: bytes | None, url: str | None, room: _Room) -> dict[str, Any]:
    if url is not None and not url.startswith("data:"):
        return {"type": "uri", "modality": modality, "mime_type": media_type, "uri": room.text(url)}
    size = f"{len(data):,} bytes" if data is not None else f"{len(url or ''):,} characters"
    room.text("")
    return {"type": "blob", "modality": modality, "mime_type": media_type, "content": f"[left out: {size}]"}


def _tools(tools: Iterable[Tool], room: _Room) -> list[Any]:
    told: list[Any] = []
    for tool in tools:
        if room.left <= 0:
            room.cut = True
            break
        definition = {"type": "function", "name": tool.name, "description": room.text(tool.description or "")}
        told.append(definition if tool.parameters is None else {**definition, "parameters": room.json(tool.parameters)})
    return told
