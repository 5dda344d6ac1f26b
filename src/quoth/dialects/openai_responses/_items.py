"""Parts as items and entries of a content, and back: what both halves share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ... import _json
from ...errors import UnsupportedContentError
from ...types import Audio, Document, Image, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult
from .._kept import Wire, overlay, residue
from .._media import read_data_url, read_input_audio, write_data_url, write_input_audio
from ._words import BODY_ITEM, CALLS, ENDINGS, FIELD, FORM, ITEM, NAME, RESIDUES, RESULTS, THOUGHTS

__all__ = [
    "PARAGRAPH",
    "begin_item",
    "content_form",
    "exact",
    "is_item",
    "item_type",
    "message_item",
    "opaque_item",
    "read_arguments",
    "read_call",
    "read_content",
    "read_message_item",
    "read_output_item",
    "read_reasoning",
    "read_result",
    "residue_of",
    "write_content",
    "write_item",
]

residue_of = RESIDUES.of
exact = RESIDUES.exact

PARAGRAPH = "\n\n"
"""What stands between the texts of one thought, which the wire lists."""


# Writing what a message item holds.


def message_item(role: Role, parts: Sequence[Part], form: Any) -> Wire:
    """Spell a message. An assistant's names its type: OpenAI does without, llama.cpp's server does not."""
    kind: Wire = {"type": "message"} if role == "assistant" else {}
    return {**kind, "role": role, "content": write_content(parts, form, role)}


def write_content(parts: Sequence[Part], form: Any, role: Role) -> str | list[Wire]:
    """One plain text is a string, unless it came as a list; all else is a list."""
    if not parts:
        return [] if form == "list" else ""
    first = parts[0]
    if len(parts) == 1 and form != "list" and isinstance(first, Text) and _is_plain(first):
        return first.text
    return [_write_part(part, role) for part in parts]


def _is_plain(part: Part) -> bool:
    """Whether a part keeps nothing for its own entry."""
    return residue_of(part).keys() <= {ITEM}


def _write_part(part: Part, role: Role) -> Wire:
    writer = _PART_WRITERS.get(type(part))
    if writer is None:
        raise UnsupportedContentError(f"OpenAI Responses cannot carry {type(part).__name__} inside a content")
    wire = writer(part, role)
    return overlay(wire, residue_of(part)) if part.provider_data else wire


def _write_text(text: Text, role: Role) -> Wire:
    if role == "assistant":
        return {"type": "output_text", "text": text.text, "annotations": []}
    return {"type": "input_text", "text": text.text}


def _write_refusal(refusal: Refusal, _role: Role) -> Wire:
    return {"type": "refusal", "refusal": refusal.text}


def _write_image(image: Image, _role: Role) -> Wire:
    wire: Wire = {"type": "input_image"}
    if image.data is not None:
        wire["image_url"] = write_data_url(image.data, image.media_type, "Image")
    elif image.url is not None:
        wire["image_url"] = image.url
    elif "file_id" not in residue_of(image):  # our type has no name for an uploaded picture
        raise UnsupportedContentError("an Image holds neither data nor a url: give it one of them")
    if image.detail is not None:
        wire["detail"] = image.detail
    return wire


def _write_audio(audio: Audio, _role: Role) -> Wire:
    return write_input_audio(audio)


def _filename(media_type: str) -> str:
    """A name for bytes that have none: OpenAI refuses them without one, and tells what they are by its ending."""
    return f"document.{ENDINGS.get(media_type) or media_type.rpartition('/')[2]}"


def _write_document(document: Document, _role: Role) -> Wire:
    wire: Wire = {"type": "input_file"}
    if document.data is not None:
        wire["file_data"] = write_data_url(document.data, document.media_type, "Document")
        wire["filename"] = _filename(document.media_type or "")
    elif document.url is not None:
        wire["file_url"] = document.url
    elif document.file_id is not None:
        wire["file_id"] = document.file_id
    else:
        raise UnsupportedContentError("a Document holds neither data nor a url nor a file_id: give it one of them")
    if document.filename is not None:
        wire["filename"] = document.filename
    return wire


_PART_WRITERS: dict[type, Callable[[Any, Role], Wire]] = {
    Text: _write_text,
    Refusal: _write_refusal,
    Image: _write_image,
    Audio: _write_audio,
    Document: _write_document,
}


# Reading what a message item holds.


def read_content(content: Any, role: Role) -> tuple[Part, ...]:
    """The parts of a string or a list; nothing where it is neither."""
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    if isinstance(content, list) and {*map(type, content)} <= _OBJECT:
        return tuple([_read_part(entry, role) for entry in content])
    return ()


_OBJECT = {dict}


def content_form(spelled: Any, parts: Sequence[Part]) -> Wire:
    """The spelling of a content, where ``write_content`` would choose another."""
    if not isinstance(spelled, list) or len(parts) > 1:
        return {}
    plain = not parts or (isinstance(parts[0], Text) and _is_plain(parts[0]))
    return {FORM: "list"} if plain else {}


def _read_part(entry: Wire, role: Role) -> Part:
    """Read one entry of a content exactly; one of an unknown type is opaque."""
    kind = entry.get("type")
    reader = _PART_READERS.get(kind) if isinstance(kind, str) else None
    read = reader(entry) if reader else None
    read = Text(text="") if read is None else read
    return exact(read, entry, _write_part(read, role))


def _read_text(entry: Wire) -> Text | None:
    text = entry.get("text")
    return Text(text=text) if isinstance(text, str) else None


def _read_refusal(entry: Wire) -> Refusal | None:
    text = entry.get("refusal")
    return Refusal(text=text) if isinstance(text, str) else None


def _read_image(entry: Wire) -> Image | None:
    url, detail, file_id = entry.get("image_url"), entry.get("detail"), entry.get("file_id")
    detail = detail if isinstance(detail, str) else None
    if (inline := read_data_url(url)) is not None:
        return Image(data=inline[0], media_type=inline[1], detail=detail)
    if isinstance(url, str):
        return Image(url=url, detail=detail)
    return Image(detail=detail, provider_data={NAME: {"file_id": file_id}}) if isinstance(file_id, str) else None


def _read_document(entry: Wire) -> Document | None:
    name, url, file_id = entry.get("filename"), entry.get("file_url"), entry.get("file_id")
    filename = name if isinstance(name, str) else None
    if (inline := read_data_url(entry.get("file_data"))) is not None:
        return Document(data=inline[0], media_type=inline[1], filename=filename)
    if isinstance(url, str):
        return Document(url=url, filename=filename)
    return Document(file_id=file_id, filename=filename) if isinstance(file_id, str) else None


_PART_READERS: dict[str, Callable[[Wire], Part | None]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_audio": read_input_audio,
    "input_file": _read_document,
}


# Items that are one part.


def is_item(part: Part) -> bool:
    """Whether a part is an item by itself, and no entry of a message's content."""
    return isinstance(part, (Reasoning, ToolCall, ToolResult)) or residue_of(part).get(FIELD) == BODY_ITEM


def write_item(part: Part, kinds: Mapping[str, str], changes: list[str]) -> Wire:
    """Spell an item; ``kinds`` says by the ids of calls which type of item each was."""
    match part:
        case Reasoning():
            return overlay(_write_reasoning(part), residue_of(part))
        case ToolCall():
            return overlay(_write_call(part), residue_of(part))
        case ToolResult():
            if part.is_error:
                changes.append("is_error of a tool result left out: this wire has no field for it")
            return overlay(_write_result(part, kinds), residue_of(part))
        case _:
            return {key: value for key, value in residue_of(part).items() if not key.startswith(":")}


def _write_reasoning(reasoning: Reasoning) -> Wire:
    wire: Wire = {"type": "reasoning", "summary": []}
    field = residue_of(reasoning).get(FIELD, "summary")
    if reasoning.text:
        wire[field] = [{"type": THOUGHTS.get(field, "summary_text"), "text": reasoning.text}]
    return wire


def _write_call(call: ToolCall) -> Wire:
    kind = item_type(residue_of(call))
    kind = kind if kind in CALLS else "function_call"
    return {"type": kind, "call_id": call.id, "name": call.name, CALLS[kind]: call.arguments}


def _write_result(result: ToolResult, kinds: Mapping[str, str]) -> Wire:
    kind = RESULTS.get(kinds.get(result.call_id, ""), "function_call_output")
    output = write_content(result.parts, residue_of(result).get(FORM), "tool")
    return {"type": kind, "call_id": result.call_id, "output": output}


# Reading items.


def item_type(item: Mapping[str, Any]) -> str:
    """The type of an item; a message need not name its own."""
    kind = item.get("type")
    if kind is None and "content" in item:
        return "message"
    return kind if isinstance(kind, str) else ""


def read_output_item(item: Wire, *, thought: str | None = None) -> list[Part]:
    """The parts of an item of an answer; ``thought`` is the list of a reasoning item that was already told."""
    kind = item_type(item)
    if kind == "message":
        parts, mark = read_message_item(item)
        return begin_item(parts, mark)
    if kind == "reasoning":
        return [read_reasoning(item, thought)]
    return [read_call(item)] if kind in CALLS else [opaque_item(item)]


def read_message_item(item: Wire) -> tuple[list[Part], Wire]:
    """The parts of an assistant's message item, and its fields beside them; one without parts is opaque."""
    spelled = item.get("content")
    parts = (Text(text=""),) if spelled == "" else read_content(spelled, "assistant")
    if not parts:
        return [opaque_item(item)], {}
    built = {"type": "message", "role": "assistant", "content": spelled}  # which the parts give back, each its own
    return [*parts], {**content_form(spelled, parts), **residue(item, built)}


def begin_item(parts: list[Part], mark: Wire) -> list[Part]:
    """Let a message item begin at the first of its parts."""
    first, *others = parts
    if is_item(first):
        return parts
    data = {NAME: {**residue_of(first), ITEM: mark}}
    return [replace(first, provider_data=data), *others]


def opaque_item(item: Wire) -> Text:
    """Keep an item that has no name here: an empty Text that gives it back whole."""
    kept = {key: value for key, value in item.items() if not key.startswith(":")}
    return Text(text="", provider_data={NAME: {**kept, FIELD: BODY_ITEM}})


def read_reasoning(item: Wire, field: str | None = None) -> Reasoning:
    """Read a reasoning item by one of its two lists: the thoughts themselves, where there are any, else the summary.

    The name alone says where it is from: without it, nobody would take it back.
    """
    texts = {name: _texts(item.get(name)) for name in THOUGHTS}
    field = field or ("content" if texts["content"] else "summary")
    data = {FIELD: "content"} if field == "content" else {}
    read = Reasoning(text=PARAGRAPH.join(texts[field]), provider_data={NAME: data})
    return exact(read, item, _write_reasoning(read))


def _texts(entries: Any) -> list[str]:
    if not isinstance(entries, list):
        return []
    texts = [entry.get("text") for entry in entries if isinstance(entry, dict)]
    return [text for text in texts if isinstance(text, str) and text]


def read_call(item: Wire) -> ToolCall:
    """Read a tool call; where it has no ``call_id``, its id serves."""
    kind = item_type(item)
    read = ToolCall(
        id=_text(item.get("call_id")) or _text(item.get("id")),
        name=_text(item.get("name")),
        arguments=read_arguments(item.get(CALLS[kind])),
        provider_data={} if kind == "function_call" else {NAME: {"type": kind}},
    )
    return exact(read, item, _write_call(read))


def read_arguments(arguments: Any) -> str:
    """Arguments as text; servers were seen on other wires that send the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _json.encode(arguments).decode("utf-8")


def read_result(item: Wire, kinds: Mapping[str, str]) -> ToolResult:
    """Read the result of a tool call; ``kinds`` as in ``write_item``."""
    spelled = item.get("output")
    content = read_content(spelled, "tool")
    parts = tuple([part if isinstance(part, (Text, Image, Document)) else _opaque_part(part) for part in content])
    form = content_form(spelled, parts)
    read = ToolResult(call_id=_text(item.get("call_id")), parts=parts, provider_data={NAME: form} if form else {})
    return exact(read, item, _write_result(read, kinds))


def _opaque_part(part: Part) -> Text:
    empty = Text(text="")
    return exact(empty, _write_part(part, "tool"), _write_text(empty, "tool"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
