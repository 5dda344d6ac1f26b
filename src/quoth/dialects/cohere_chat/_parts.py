"""Entries of a content list in the words of this wire, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ...errors import UnsupportedContentError
from ...types import Image, Part, Reasoning, Refusal, Text
from .._kept import Wire, overlay
from .._media import read_image_url, write_image_url
from ._words import NAME, RESIDUES

__all__ = ["ContentPart", "opaque", "read_part", "residue_of", "write_part"]

ContentPart: TypeAlias = Text | Image | Reasoning

residue_of = RESIDUES.of


# Writing.


def write_part(part: Part) -> Wire:
    """Spell one entry of a content list.

    Raises:
        UnsupportedContentError: the part has no form on this wire.
    """
    writer = _WRITERS.get(type(part))
    if writer is None:
        kind = type(part).__name__
        raise UnsupportedContentError(f"Cohere's wire cannot carry {kind} in a message; {_INSTEAD.get(kind, _OTHERS)}")
    return overlay(writer(part), residue_of(part))


_INSTEAD = {
    "Document": "documents stand beside the messages there: extra={'cohere': {'documents': [{'data': {'text': ...}}]}}",
}
_OTHERS = "it takes text and pictures"


def _write_text(text: Text | Refusal) -> Wire:
    return {"type": "text", "text": text.text}


def _write_thought(reasoning: Reasoning) -> Wire:
    return {"type": "thinking", "thinking": reasoning.text}


_WRITERS: dict[type, Callable[[Any], Wire]] = {
    Text: _write_text,
    Refusal: _write_text,
    Reasoning: _write_thought,
    Image: write_image_url,
}


# Reading.


def read_part(wire: Wire) -> ContentPart:
    """Read one entry of a content list exactly; one of an unknown type is opaque."""
    kind = wire.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    read = reader(wire) if reader else None
    return opaque(wire) if read is None else RESIDUES.exact(read, wire, _WRITERS[type(read)](read))


def opaque(wire: Wire) -> Text:
    """Keep an entry of a content list that has no name here: an empty Text that gives it back whole."""
    return RESIDUES.exact(Text(text=""), wire, _write_text(Text(text="")))


def _read_text(wire: Wire) -> Text | None:
    text = wire.get("text")
    return Text(text=text) if isinstance(text, str) else None


def _read_thought(wire: Wire) -> Reasoning | None:
    thought = wire.get("thinking")
    return Reasoning(text=thought, provider_data={NAME: {}}) if isinstance(thought, str) else None


_READERS: dict[str, Callable[[Wire], ContentPart | None]] = {
    "text": _read_text,
    "thinking": _read_thought,
    "image_url": read_image_url,
}
