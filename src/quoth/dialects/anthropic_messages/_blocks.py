"""Parts as content blocks of the Messages wire, and back: what both halves share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ...errors import UnsupportedContentError
from ...types import Document, Image, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from .._arguments import read_arguments as json_object, write_arguments
from .._kept import Wire, overlay
from .._media import read_base64, write_base64
from ._words import FORM, NAME, RESIDUES

__all__ = [
    "content_form",
    "exact",
    "opaque",
    "read_answer_block",
    "read_arguments",
    "read_block",
    "read_content",
    "residue_of",
    "write_block",
    "write_content",
]

residue_of = RESIDUES.of
exact = RESIDUES.exact


# Writing.


def write_content(parts: Sequence[Part], form: Any, changes: list[str]) -> str | list[Wire]:
    """One plain text is a string, unless it came as a list; all else is a list of blocks."""
    if not parts:
        return [] if form == "list" else ""
    first = parts[0]
    if len(parts) == 1 and form != "list" and isinstance(first, Text) and not residue_of(first):
        return first.text
    return [write_block(part, changes) for part in parts]


def write_block(part: Part, changes: list[str]) -> Wire:
    """Spell one block; ``changes`` takes what could not be said.

    Raises:
        UnsupportedContentError: the part has no form on this wire.
    """
    writer = _WRITERS.get(type(part))
    if writer is None:
        raise UnsupportedContentError(
            f"Anthropic Messages cannot carry {type(part).__name__}: it takes text, images, documents and tool results"
        )
    return overlay(writer(part, changes), residue_of(part))


def _write_text(text: Text, _changes: list[str]) -> Wire:
    return {"type": "text", "text": text.text}


def _write_image(image: Image, changes: list[str]) -> Wire:
    if image.detail is not None:
        changes.append("detail of an image left out: this wire has no field for it")
    if image.data is not None:
        if image.media_type is None:
            raise UnsupportedContentError(
                "Image data needs its media_type to be sent, as in Image(data=..., media_type='image/png')"
            )
        return {"type": "image", "source": _base64_source(image.data, image.media_type)}
    if image.url is not None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return _kept_source("image", image, "an Image holds neither data nor a url: give it one of them")


def _write_document(document: Document, changes: list[str]) -> Wire:
    title = {} if document.filename is None else {"title": document.filename}
    if document.data is not None:
        return {"type": "document", "source": _document_source(document, document.data, changes), **title}
    if document.url is not None:
        return {"type": "document", "source": {"type": "url", "url": document.url}, **title}
    if document.file_id is not None:
        return {"type": "document", "source": {"type": "file", "file_id": document.file_id}, **title}
    why = "a Document holds neither data nor a url nor a file_id: give it one of them"
    return {**_kept_source("document", document, why), **title}


def _document_source(document: Document, data: bytes, changes: list[str]) -> Wire:
    """Texts stand in the source as they are, under the one name the wire has for them; all else is base64."""
    media_type = document.media_type
    if media_type is None:
        raise UnsupportedContentError(
            "Document data needs its media_type to be sent, as in Document(data=..., media_type='application/pdf')"
        )
    if media_type.startswith("text/") or media_type == "application/json":
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return _base64_source(data, media_type)
        if media_type != "text/plain":
            changes.append(f"a document of type {media_type} sent as text/plain: this wire knows no other text")
        return {"type": "text", "media_type": "text/plain", "data": text}
    return _base64_source(data, media_type)


def _base64_source(data: bytes, media_type: str) -> Wire:
    return {"type": "base64", "media_type": media_type, "data": write_base64(data)}


def _kept_source(kind: str, part: Image | Document, why: str) -> Wire:
    """A block whose source our types do not model: it must stand in what the part keeps."""
    if "source" not in residue_of(part):
        raise UnsupportedContentError(why)
    return {"type": kind}


def _write_thinking(reasoning: Reasoning, _changes: list[str]) -> Wire:
    return {"type": "thinking", "thinking": reasoning.text}


def _write_refusal(refusal: Refusal, changes: list[str]) -> Wire:
    changes.append("a refusal that came over another wire sent as text: this one has no part for it")
    return {"type": "text", "text": refusal.text}


def _write_call(call: ToolCall, changes: list[str]) -> Wire:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": write_arguments(call.arguments, changes)}


def _write_result(result: ToolResult, changes: list[str]) -> Wire:
    wire: Wire = {"type": "tool_result", "tool_use_id": result.call_id}
    form = residue_of(result).get(FORM)
    if result.parts or form:
        wire["content"] = write_content(result.parts, form, changes)
    if result.is_error:
        wire["is_error"] = True
    return wire


_WRITERS: dict[type, Callable[[Any, list[str]], Wire]] = {
    Text: _write_text,
    Image: _write_image,
    Document: _write_document,
    Reasoning: _write_thinking,
    Refusal: _write_refusal,
    ToolCall: _write_call,
    ToolResult: _write_result,
}


# Reading.


def read_content(content: Any) -> tuple[Part, ...]:
    """The parts of a string or a list of blocks; nothing where it is neither."""
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    if isinstance(content, list) and all(isinstance(block, dict) for block in content):
        return tuple([read_block(block) for block in content])
    return ()


def content_form(spelled: Any, parts: Sequence[Part]) -> Wire:
    """The spelling of a content, where ``write_content`` would choose another."""
    if not isinstance(spelled, list) or len(parts) > 1:
        return {}
    plain = not parts or (isinstance(parts[0], Text) and not residue_of(parts[0]))
    return {FORM: "list"} if plain else {}


def read_block(block: Wire) -> Part:
    """Read one block exactly; one of an unknown type is opaque."""
    kind = block.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    read = reader(block) if reader else None
    return opaque(block) if read is None else exact(read, block, write_block(read, []))


def opaque(block: Wire) -> Text:
    """Keep a block that has no name here: an empty Text that gives it back whole."""
    empty = Text(text="")
    return exact(empty, block, _write_text(empty, []))


def read_answer_block(block: Wire) -> Part:
    """Read one block of an answer: in those that have a name here, what is null or empty says nothing."""
    core = _ANSWER_BLOCKS.get(str(block.get("type")))
    if core is None:
        return opaque(block)
    said = {key: value for key, value in block.items() if key in core or value or value == 0}
    text = said.get("text")
    if len(said) == 2 and said["type"] == "text" and isinstance(text, str):  # nearly always
        return Text(text=text)
    part = read_block(said)
    if isinstance(part, ToolCall) and "input" in (
        kept := residue_of(part)
    ):  # no object: it goes back as one all the same
        rest = {key: value for key, value in kept.items() if key != "input"}
        return replace(part, provider_data=RESIDUES.named(rest))
    return part


_ANSWER_BLOCKS: dict[str, frozenset[str]] = {
    "text": frozenset({"text", "type"}),
    "thinking": frozenset({"thinking", "type"}),
    "redacted_thinking": frozenset({"data", "type"}),
    "tool_use": frozenset({"id", "input", "name", "type"}),
}
"""The blocks of an answer that are parts, and the fields without which they would be others."""


def _read_text(block: Wire) -> Text | None:
    text = block.get("text")
    return Text(text=text) if isinstance(text, str) else None


def _read_image(block: Wire) -> Image | None:
    source = block.get("source")
    if not isinstance(source, dict):
        return None
    kind, media_type, url = source.get("type"), source.get("media_type"), source.get("url")
    data = read_base64(source.get("data"))
    if kind == "base64" and data is not None and isinstance(media_type, str):
        return Image(data=data, media_type=media_type)
    if kind == "url" and isinstance(url, str):
        return Image(url=url)
    return Image(provider_data={NAME: {"source": source}})


def _read_document(block: Wire) -> Document | None:
    source = block.get("source")
    if not isinstance(source, dict):
        return None
    title = block.get("title")
    filename = title if isinstance(title, str) else None
    reader = _SOURCES.get(str(source.get("type")))
    fields = reader(source) if reader else None
    return Document(filename=filename, **(fields or {"provider_data": {NAME: {"source": source}}}))


def _base64_fields(source: Wire) -> Wire | None:
    data, media_type = read_base64(source.get("data")), source.get("media_type")
    return {"data": data, "media_type": media_type} if data is not None and isinstance(media_type, str) else None


def _text_fields(source: Wire) -> Wire | None:
    text = source.get("data")
    try:
        return {"data": text.encode("utf-8"), "media_type": "text/plain"} if isinstance(text, str) else None
    except UnicodeEncodeError:  # a lone surrogate
        return None


def _url_fields(source: Wire) -> Wire | None:
    return {"url": source["url"]} if isinstance(source.get("url"), str) else None


def _file_fields(source: Wire) -> Wire | None:
    return {"file_id": source["file_id"]} if isinstance(source.get("file_id"), str) else None


_SOURCES: dict[str, Callable[[Wire], Wire | None]] = {
    "base64": _base64_fields,
    "text": _text_fields,
    "url": _url_fields,
    "file": _file_fields,
}


def _read_thinking(block: Wire) -> Reasoning | None:
    text = block.get("thinking")
    return Reasoning(text=text, provider_data={NAME: {}}) if isinstance(text, str) else None


def _read_redacted(_block: Wire) -> Reasoning:
    return Reasoning(text="", provider_data={NAME: {}})


def _read_call(block: Wire) -> ToolCall | None:
    id_, name = block.get("id"), block.get("name")
    if not isinstance(id_, str) or not isinstance(name, str):
        return None
    return ToolCall(id=id_, name=name, arguments=read_arguments(block.get("input")))


def read_arguments(value: Any) -> str:
    """An input as the text of its JSON; arguments that are no JSON stand in one of its own."""
    if isinstance(value, str):  # some servers write the text itself
        return value
    return json_object(value)


def _read_result(block: Wire) -> ToolResult | None:
    call_id, spelled = block.get("tool_use_id"), block.get("content")
    if not isinstance(call_id, str):
        return None
    content = read_content(spelled)
    parts = tuple([_result_part(part) for part in content])
    form: Mapping[str, Any] = {FORM: "string"} if spelled == "" else content_form(spelled, parts)
    return ToolResult(
        call_id=call_id,
        parts=parts,
        is_error=block.get("is_error") is True,
        provider_data={NAME: form} if form else {},
    )


def _result_part(part: Part) -> Text | Image | Document:
    return part if isinstance(part, (Text, Image, Document)) else opaque(write_block(part, []))


_READERS: dict[str, Callable[[Wire], Part | None]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_call,
    "tool_result": _read_result,
}
