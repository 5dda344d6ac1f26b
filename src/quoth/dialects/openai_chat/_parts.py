"""Entries of a content list in the words of the Chat wire, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ...errors import UnsupportedContentError
from ...types import Audio, Document, Image, Part, Reasoning, Refusal, Text
from .._kept import Wire, overlay
from .._media import (
    read_data_url,
    read_image_url,
    read_input_audio,
    write_data_url,
    write_image_url,
    write_input_audio,
)
from ._words import FIELD, NAME, RESIDUES

__all__ = ["ContentPart", "exact", "opaque", "read_part", "residue_of", "write_part"]

ContentPart: TypeAlias = Text | Image | Audio | Document | Reasoning | Refusal

residue_of = RESIDUES.of
exact = RESIDUES.exact


# Writing.


def write_part(part: Part) -> Wire:
    """Spell one entry of a content list."""
    writer = _PART_WRITERS.get(type(part))
    if writer is None:
        raise UnsupportedContentError(f"Chat Completions cannot carry a {type(part).__name__} inside a content")
    return overlay(writer(part), residue_of(part))


def _write_text(text: Text) -> Wire:
    return {"type": "text", "text": text.text}


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
    Image: write_image_url,
    Audio: write_input_audio,
    Document: _write_document,
    Reasoning: _write_thinking,
    Refusal: _write_refusal,
}


# Reading.


def read_part(part: Wire) -> ContentPart:
    """Read one entry of a content list; one of an unknown type is a text where it has one, else opaque."""
    kind = part.get("type")
    reader = _PART_READERS.get(kind) if isinstance(kind, str) else None
    read = (reader(part) if reader else None) or _read_text(part)
    return opaque(part) if read is None else exact(read, part, write_part(read))


def opaque(part: Wire) -> Text:
    """Keep an entry of a content list that has no name here: an empty Text that gives it back whole."""
    return exact(Text(text=""), part, _write_text(Text(text="")))


def _read_text(part: Wire) -> Text | None:
    text = part.get("text")
    return Text(text=text) if isinstance(text, str) else None


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
    return _read_thoughts(part.get("thinking"))


def _read_summary(part: Wire) -> Reasoning | None:  # Databricks
    return _read_thoughts(part.get("summary"))


def _read_thoughts(pieces: Any) -> Reasoning | None:
    if isinstance(pieces, str):
        pieces = [{"text": pieces}]
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
    "image_url": read_image_url,
    "input_audio": read_input_audio,
    "file": _read_document,
    "reasoning": _read_summary,
    "thinking": _read_thinking,
    "refusal": _read_refusal,
}
