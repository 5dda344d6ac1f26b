"""Pictures, documents, videos and sound as blocks of this wire, and back.

A file travels as its bytes, or lies in a bucket of S3; Bedrock fetches nothing from the web. A video is a ``Document``
with its media type; so is sound in a bucket, because an ``Audio`` holds bytes. Every document has a name, of few
characters, and no two of a request may have the same ("Messages can't contain duplicate document names").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ...errors import UnsupportedContentError
from ...types import Audio, Document, Image
from .._kept import Wire
from .._media import read_base64, read_data_url, write_base64
from ._words import DOCUMENTS, FIELD, FORM, IMAGES, RESIDUES, SOUNDS, VIDEOS

__all__ = ["FORMATS", "Spelling", "read_file", "write_file"]

BUCKET = "s3://"
UNNAMED = "document"
LONGEST_NAME = 200
TEXT = "text/plain"

FORMATS: Mapping[str, Mapping[str, str]] = {
    "image": IMAGES,
    "document": DOCUMENTS,
    "video": VIDEOS,
    "audio": SOUNDS,
}
"""The blocks that are files, and how each calls its media types."""


class Spelling:
    """What is noted while one request is spelled: what was changed in it, and the names of its documents."""

    __slots__ = ("changes", "names")

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.names: set[str] = set()


# Writing.


def write_file(part: Image | Audio | Document, spelling: Spelling) -> Wire:
    """Spell a file as its block.

    Raises:
        UnsupportedContentError: it has an address that Bedrock does not fetch, or a format that it does not know.
    """
    if isinstance(part, Image) and part.detail is not None:
        spelling.changes.append("detail of an image left out: this wire has no field for it")
    part = _inline(part)
    kind = _kind(part)
    wire: Wire = {}
    if (media_type := part.media_type) is not None:
        wire["format"] = _format(kind, media_type, part, spelling)
    elif kind != "document" or (part.data is not None and RESIDUES.of(part).get(FORM) != "text"):
        what = type(part).__name__
        raise UnsupportedContentError(f"this {what} needs its media_type to be sent, as in {what}(media_type=...)")
    if kind == "document" and isinstance(part, Document):
        wire["name"] = _name(part, spelling)
    return {kind: {**wire, "source": _source(part)}}


def _inline(part: Image | Audio | Document) -> Image | Audio | Document:
    """The same file, its bytes taken out of a data URL."""
    url = None if isinstance(part, Audio) else part.url
    inline = read_data_url(url)
    if inline is None:
        return part
    return replace(part, data=inline[0], url=None, media_type=inline[1])


def _kind(part: Image | Audio | Document) -> str:
    if isinstance(part, Image):
        return "image"
    family = (part.media_type or "").partition("/")[0]
    return family if family in ("audio", "video") else "audio" if isinstance(part, Audio) else "document"


def _format(kind: str, media_type: str, part: Image | Audio | Document, spelling: Spelling) -> str:
    form = FORMATS[kind].get(media_type)
    if form is not None:
        return form
    if kind == "document" and part.data is not None and _is_text(media_type):
        spelling.changes.append(f"a document of type {media_type} sent as plain text: this wire has no format for it")
        return DOCUMENTS[TEXT]
    known = ", ".join(FORMATS[kind])
    raise UnsupportedContentError(f"Bedrock takes no {kind} of type {media_type!r}: it takes {known}")


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type == "application/json"


def _source(part: Image | Audio | Document) -> Wire:
    if part.data is not None:
        if RESIDUES.of(part).get(FORM) == "text":
            return {"text": part.data.decode("utf-8", "replace")}
        return {"bytes": write_base64(part.data)}
    url = part.url
    if url is not None and url.startswith(BUCKET):
        return {"s3Location": {"uri": url}}
    what = type(part).__name__
    if url is not None:
        raise UnsupportedContentError(
            f"Bedrock fetches no {what} from the web: give its bytes, as in {what}(data=..., media_type=...), or an "
            f"address in a bucket ({BUCKET}...)"
        )
    raise UnsupportedContentError(f"this {what} holds neither data nor an address in a bucket: give it one of them")


def _name(document: Document, spelling: Spelling) -> str:
    """The name of a document: its own where it came over this wire, else one that Bedrock takes, and takes once."""
    own = document.filename
    if own is not None and RESIDUES.of(document).get(FIELD) == "name":
        spelling.names.add(own)
        return own
    name = first = _fit_name(own) if own is not None else UNNAMED
    number = 1
    while name in spelling.names:
        number += 1
        name = f"{first}-{number}"
    spelling.names.add(name)
    if own not in (None, name):
        spelling.changes.append(
            f"a document sent under the name {name!r}: this wire takes few characters, and no twins"
        )
    return name


def _fit_name(filename: str) -> str:
    """A file's name in the characters that Bedrock takes: letters, digits, single spaces, hyphens and brackets."""
    stem = re.sub(r"\.\w{1,5}$", "", filename) or filename
    plain = re.sub(r"[^A-Za-z0-9 ()\[\]-]+", "-", re.sub(r"\s+", " ", stem)).strip()
    return plain[:LONGEST_NAME] or UNNAMED


# Reading.

_TYPES = {
    kind: {form: media_type for media_type, form in reversed(list(table.items()))} for kind, table in FORMATS.items()
}


def read_file(kind: str, wire: Any) -> Image | Audio | Document | None:
    """Read the block of a file; None where it is in a form that has no name here."""
    source = wire.get("source") if isinstance(wire, dict) else None
    if not isinstance(source, dict):
        return None
    form = wire.get("format")
    media_type = _TYPES[kind].get(form) if isinstance(form, str) else None
    if media_type is None and (kind != "document" or form is not None):
        return None
    fields = _source_fields(source, media_type)
    if fields is None:
        return None
    if kind == "document":
        name = wire.get("name")
        named = {FIELD: "name"} if isinstance(name, str) else {}
        kept = {**fields.pop("kept", {}), **named}
        return Document(
            filename=name if isinstance(name, str) else None,
            media_type=media_type,
            provider_data=RESIDUES.named(kept),
            **fields,
        )
    if fields.pop("kept", None) is not None:
        return None
    if kind == "image":
        return Image(media_type=media_type, **fields)
    if kind == "audio" and "data" in fields and media_type is not None:
        return Audio(media_type=media_type, **fields)
    return Document(media_type=media_type, **fields)


def _source_fields(source: Wire, media_type: str | None) -> Wire | None:
    """The bytes of a file or its address; ``kept`` where a document came as a text."""
    location, text = source.get("s3Location"), source.get("text")
    if (data := read_base64(source.get("bytes"))) is not None:
        return {"data": data} if media_type is not None else None
    if isinstance(location, dict) and isinstance(uri := location.get("uri"), str) and uri.startswith(BUCKET):
        return {"url": uri}
    if isinstance(text, str):
        try:
            return {"data": text.encode("utf-8"), "kept": {FORM: "text"}}
        except UnicodeEncodeError:  # a lone surrogate
            return None
    return None
