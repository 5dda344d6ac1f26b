"""What bytes are, and where they come from: files, pictures of Pillow and numpy. Loaded when it is asked for.

The type of bytes is read from the bytes, because names lie and providers look too; only text, which has no mark, is
told by the name of its file.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

from .errors import InputError, InputTypeError

__all__ = ["as_media", "as_picture", "check_url", "read_file", "sniff"]

_MARKS = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"{\\rtf", "application/rtf"),
)
"""Where a mark stands, the mark, and what it says. The first that fits counts."""

_IN_RIFF = frozenset({b"WEBP", b"WAVE"})
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = (
    (b"word/", f"{_OFFICE}wordprocessingml.document"),
    (b"xl/", f"{_OFFICE}spreadsheetml.sheet"),
    (b"ppt/", f"{_OFFICE}presentationml.presentation"),
)
"""The folders of office documents, which are zip archives."""

_TEXTS = {
    ".csv": "text/csv",
    ".css": "text/css",
    ".htm": "text/html",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".py": "text/x-python",
    ".rtf": "application/rtf",
    ".tsv": "text/tab-separated-values",
    ".xml": "text/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""Of files that are text. All others that are text are ``text/plain``."""


def sniff(data: bytes) -> str | None:
    """The media type that bytes have by their own marks, or None."""
    for place, mark, media_type in _MARKS:
        if data.startswith(mark, place) and (mark not in _IN_RIFF or data.startswith(b"RIFF")):
            return media_type
    if data.startswith(b"PK\x03\x04"):
        return next((media_type for folder, media_type in _IN_ZIP if folder in data), "application/zip")
    return None


def read_file(path: str | os.PathLike[str], kind: str) -> tuple[bytes, str, str]:
    """The bytes of a file, their media type, and its name without folders. ``kind`` is what it is to be.

    Raises InputError, naming the file, where it cannot be read or is nothing of that kind.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib costs start-up time
            data = file.read()
    except OSError as error:
        raise InputError(f"{kind}.file: {name!r} cannot be read: {error.strerror or error}") from None
    media_type = sniff(data) or _of_text(name, data)
    return data, _fitting(kind, media_type, repr(name), data), os.path.basename(name)  # noqa: PTH119  # as above


def as_media(data: bytes, kind: str) -> str:
    """The media type of bytes that are to be of a kind. Raises InputError where they are not."""
    return _fitting(kind, sniff(data) or (_of_text("", data) if kind == "Document" else None), "these bytes", data)


def _of_text(name: str, data: bytes) -> str | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if b"\x00" in data:
        return None
    return _TEXTS.get(os.path.splitext(name)[1].lower(), "text/plain")  # noqa: PTH122  # as above


LONGEST_DATA_URL = 64 << 20
"""Characters of a ``data`` URL."""


def check_url(url: str, kind: str) -> str:
    """A URL that somebody else is to fetch. Raises InputError for a path, and for a ``data`` URL that has no bounds.

    A file of this machine is read where a program says so, and nowhere else: a URL may be of somebody who should not
    name files here, nor on the machine of a provider that reads ``file:``.
    """
    scheme = url.partition(":")[0].lower() if ":" in url else ""
    if len(scheme) < 2 or scheme == "file" or not (scheme.isascii() and scheme.isalnum()):
        raise InputError(
            f"{kind}: {url[:80]!r} is no URL to be fetched by a provider (https://...); "
            f"{kind}.file(path) reads a file of this machine"
        )
    if scheme == "data" and len(url) > LONGEST_DATA_URL:
        raise InputError(f"{kind}: a data URL of {len(url):,} characters is too long: give the bytes, {kind}(data=...)")
    return url


_KINDS = {"Image": "image/", "Audio": "audio/"}


def _fitting(kind: str, media_type: str | None, what: str, data: bytes) -> str:
    if not data:
        raise InputError(f"{kind}: {what} is empty" if what != "these bytes" else f"{kind}: there are no bytes")
    if media_type is None:
        raise InputError(f"{kind}: {what} is of no type that is known here: say it, {kind}(data=..., media_type=...)")
    wanted = _KINDS.get(kind)
    if wanted and not media_type.startswith(wanted):
        fits = next((other for other, start in _KINDS.items() if media_type.startswith(start)), "Document")
        raise InputError(f"{kind}: {what} is {media_type}: it is a {fits}")
    return media_type


# Pictures in memory.


def as_picture(value: Any) -> bytes:
    """A picture of Pillow, or a numpy array of bytes (rows, columns, and 1, 3 or 4 channels), as PNG.

    Raises InputTypeError for anything else.
    """
    if callable(getattr(value, "save", None)) and hasattr(value, "mode"):
        from io import BytesIO

        file = BytesIO()
        value.save(file, format="PNG")
        return file.getvalue()
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and callable(getattr(value, "tobytes", None)):
        return _png(value, shape)
    raise InputTypeError(
        f"Image.of takes bytes, a Path, a URL, a picture of Pillow or a numpy array, not {type(value).__name__}"
    )


_COLOURS = {1: 0, 3: 2, 4: 6}
"""PNG's colour types by the number of channels: grey, RGB, RGBA."""


def _png(array: Any, shape: tuple[int, ...]) -> bytes:
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or channels not in _COLOURS or str(array.dtype) != "uint8" or 0 in shape:
        raise InputTypeError(
            f"Image.of: an array is rows x columns (x 1, 3 or 4 channels) of uint8, not {shape} of {array.dtype}; "
            "floats from 0 to 1: (array * 255).astype('uint8')"
        )
    height, width = shape[:2]
    raw, step = array.tobytes(), width * channels
    rows = b"".join([b"\x00" + raw[start : start + step] for start in range(0, height * step, step)])
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join([_chunk(name, data) for name, data in pieces])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
