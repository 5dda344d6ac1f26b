"""Messages in the words of the Chat wire, and back: what both halves share.

Reading loses nothing (``_kept`` says how): only the typed part of a message is told apart by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ... import _json
from ...errors import UnsupportedContentError
from ...types import (
    Audio,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from .._kept import FOREIGN, Residues, Wire, overlay
from .._media import read_data_url, read_input_audio, write_data_url, write_input_audio
from ._words import CALL_KINDS, FIELD, FORM, NAME, REASONING_FIELDS

__all__ = [
    "call_kind",
    "content_form",
    "exact",
    "opaque",
    "read_answer_call",
    "read_arguments",
    "read_call",
    "read_content",
    "read_part",
    "read_parts",
    "reasoning_field",
    "residue_of",
    "write_call",
    "write_messages",
    "write_part",
    "write_turn",
]

ContentPart: TypeAlias = Text | Image | Audio | Document | Reasoning | Refusal


RESIDUES = Residues(NAME)
residue_of = RESIDUES.of
exact = RESIDUES.exact


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


def write_call(call: ToolCall) -> Wire:
    """Spell one entry of ``tool_calls``."""
    data = residue_of(call)
    kind = call_kind(data)
    wire: Wire = {"id": call.id, "type": kind, kind: {"name": call.name, CALL_KINDS[kind]: call.arguments}}
    return overlay(wire, data) if data else wire


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


def write_part(part: Part) -> Wire:
    """Spell one entry of a content list."""
    writer = _PART_WRITERS.get(type(part))
    if writer is None:
        raise UnsupportedContentError(f"Chat Completions cannot carry a {type(part).__name__} inside a content")
    return overlay(writer(part), residue_of(part))


def _write_text(text: Text) -> Wire:
    return {"type": "text", "text": text.text}


def _write_image(image: Image) -> Wire:
    if image.data is not None:
        url = write_data_url(image.data, image.media_type, "Image")
    elif image.url is not None:
        url = image.url
    else:
        raise UnsupportedContentError("an Image holds neither data nor a url: give it one of them")
    inner = {"url": url} if image.detail is None else {"url": url, "detail": image.detail}
    return {"type": "image_url", "image_url": inner}


def _write_document(document: Document) -> Wire:
    file: Wire = {}
    if document.data is not None:
        file["file_data"] = write_data_url(document.data, document.media_type, "Document")
    elif document.file_id is not None:
        file["file_id"] = document.file_id
    else:
        raise UnsupportedContentError(
            "Chat Completions cannot carry a Document by its url: fetch it and pass the bytes "
            "(Document(data=..., media_type='application/pdf', filename=...)), or the file_id of an uploaded file"
        )
    if document.filename is not None:
        file["filename"] = document.filename
    return {"type": "file", "file": file}


def _write_thinking(reasoning: Reasoning) -> Wire:  # Mistral
    return {"type": "thinking", "thinking": [{"type": "text", "text": reasoning.text}]}


def _write_refusal(refusal: Refusal) -> Wire:
    return {"type": "refusal", "refusal": refusal.text}


_PART_WRITERS: dict[type, Callable[[Any], Wire]] = {
    Text: _write_text,
    Image: _write_image,
    Audio: write_input_audio,
    Document: _write_document,
    Reasoning: _write_thinking,
    Refusal: _write_refusal,
}


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
    calls = message.get("tool_calls")
    if isinstance(calls, list) and all(isinstance(call, dict) for call in calls):
        parts += [read_one_call(call) for call in calls]
    if (call := _read_function_call(message.get("function_call"))) is not None:
        parts.append(call)
    return parts, content_form(spelled, content, beside=len(parts) > beside)


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


def read_part(part: Wire) -> ContentPart:
    """Read one entry of a content list; one of an unknown type is opaque."""
    kind = part.get("type")
    reader = _PART_READERS.get(kind) if isinstance(kind, str) else None
    read = reader(part) if reader else None
    return opaque(part) if read is None else exact(read, part, write_part(read))


def opaque(part: Wire) -> Text:
    """Keep an entry of a content list that has no name here: an empty Text that gives it back whole."""
    return exact(Text(text=""), part, _write_text(Text(text="")))


def _read_text(part: Wire) -> Text | None:
    text = part.get("text")
    return Text(text=text) if isinstance(text, str) else None


def _read_image(part: Wire) -> Image | None:
    inner = part.get("image_url")
    url, detail = (inner.get("url"), inner.get("detail")) if isinstance(inner, dict) else (inner, None)
    if not isinstance(url, str):
        return None
    detail = detail if isinstance(detail, str) else None
    if (inline := read_data_url(url)) is not None:
        return Image(data=inline[0], media_type=inline[1], detail=detail)
    return Image(url=url, detail=detail)


def _read_document(part: Wire) -> Document | None:
    inner = part.get("file")
    if not isinstance(inner, dict):
        return None
    name, file_id = inner.get("filename"), inner.get("file_id")
    filename = name if isinstance(name, str) else None
    if (inline := read_data_url(inner.get("file_data"))) is not None:
        return Document(data=inline[0], media_type=inline[1], filename=filename)
    return Document(file_id=file_id, filename=filename) if isinstance(file_id, str) else None


def _read_thinking(part: Wire) -> Reasoning | None:  # Mistral
    pieces = part.get("thinking")
    if not isinstance(pieces, list):
        return None
    texts = [piece.get("text") for piece in pieces if isinstance(piece, dict)]
    text = "".join([text for text in texts if isinstance(text, str)])
    return Reasoning(text=text, provider_data={NAME: {FIELD: "content"}})


def _read_refusal(part: Wire) -> Refusal | None:
    text = part.get("refusal")
    return Refusal(text=text, provider_data={NAME: {FIELD: "content"}}) if isinstance(text, str) else None


_PART_READERS: dict[str, Callable[[Wire], ContentPart | None]] = {
    "text": _read_text,
    "image_url": _read_image,
    "input_audio": read_input_audio,
    "file": _read_document,
    "thinking": _read_thinking,
    "refusal": _read_refusal,
}


def read_call(call: Wire) -> ToolCall:
    """Read one entry of ``tool_calls`` exactly."""
    read = _read_typed_call(call)
    return exact(read, call, write_call(read))


def read_answer_call(call: Wire) -> ToolCall:
    """Read one entry of an answer's ``tool_calls``: nulls and ``index`` say nothing, defaults are filled in."""
    said = {key: value for key, value in call.items() if value is not None and key != "index"}
    read = _read_typed_call(said)
    return exact(read, said, write_call(read), absent=False)


def _read_typed_call(call: Wire) -> ToolCall:
    kind = call_kind(call)
    inner = call.get(kind)
    inner = inner if isinstance(inner, dict) else {}
    return ToolCall(
        id=_text(call.get("id")),
        name=_text(inner.get("name")),
        arguments=read_arguments(inner.get(CALL_KINDS[kind])),
        provider_data={} if kind == "function" else {NAME: {"type": kind}},
    )


def call_kind(call: Mapping[str, Any]) -> str:
    """The type of a tool call, which is the name of its inner object; an unknown one is read as a function."""
    kind = call.get("type")
    return kind if isinstance(kind, str) and kind in CALL_KINDS else "function"


def read_arguments(arguments: Any) -> str:
    """Arguments as text; servers were seen that send the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _json.encode(arguments).decode("utf-8")


def _read_function_call(call: Any) -> ToolCall | None:
    """The one call of 2023, before there were ``tool_calls``; an empty one is none."""
    if not isinstance(call, dict) or not call.get("name") or not isinstance(call["name"], str):
        return None
    arguments = read_arguments(call.get("arguments"))
    return ToolCall(id="", name=call["name"], arguments=arguments, provider_data={NAME: {FIELD: "function_call"}})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
