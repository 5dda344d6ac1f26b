"""Bytes in JSON: base64 and data URLs, read only where they can be written again letter by letter."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Any

from ..errors import UnsupportedContentError
from ..types import Audio, Image
from ._kept import Wire

__all__ = [
    "read_base64",
    "read_data_url",
    "read_image_url",
    "read_input_audio",
    "write_base64",
    "write_data_url",
    "write_image_url",
    "write_input_audio",
]


def write_base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def read_base64(text: Any) -> bytes | None:
    """Decode base64 in its one canonical spelling; None for everything else."""
    if not isinstance(text, str):
        return None
    try:
        data = a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return data if write_base64(data) == text else None


def write_data_url(data: bytes, media_type: str | None, what: str) -> str:
    if media_type is None:
        raise UnsupportedContentError(
            f"{what} data needs its media_type to be sent, as in {what}(data=..., media_type="
            f"{'image/png' if what == 'Image' else 'application/pdf'!r})"
        )
    return f"data:{media_type};base64,{write_base64(data)}"


def read_data_url(url: Any) -> tuple[bytes, str] | None:
    """Bytes and media type of a data URL that building gives back letter by letter, or None."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    media_type, found, payload = url[5:].partition(";base64,")
    data = read_base64(payload) if found and media_type else None
    return None if data is None else (data, media_type)


# Pictures, as OpenAI's Chat and those that follow it spell them.


def write_image_url(image: Image) -> Wire:
    if image.data is not None:
        url = write_data_url(image.data, image.media_type, "Image")
    elif image.url is not None:
        url = image.url
    else:
        raise UnsupportedContentError("an Image holds neither data nor a url: give it one of them")
    inner = {"url": url} if image.detail is None else {"url": url, "detail": image.detail}
    return {"type": "image_url", "image_url": inner}


def read_image_url(part: Wire) -> Image | None:
    inner = part.get("image_url")
    url, detail = (inner.get("url"), inner.get("detail")) if isinstance(inner, dict) else (inner, None)
    if not isinstance(url, str):
        return None
    detail = detail if isinstance(detail, str) else None
    if (inline := read_data_url(url)) is not None:
        return Image(data=inline[0], media_type=inline[1], detail=detail)
    return Image(url=url, detail=detail)


# Sound, as both wires of OpenAI spell it.

AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def write_input_audio(audio: Audio) -> Wire:
    kind, _, subtype = audio.media_type.partition("/")
    if kind != "audio" or not subtype:
        raise UnsupportedContentError(
            f"this wire cannot carry Audio of type {audio.media_type!r}: it takes audio/wav and audio/mpeg"
        )
    form = AUDIO_FORMATS.get(audio.media_type, subtype)  # what else a server takes is its business
    return {"type": "input_audio", "input_audio": {"data": write_base64(audio.data), "format": form}}


def read_input_audio(part: Wire) -> Audio | None:
    inner = part.get("input_audio")
    if not isinstance(inner, dict):
        return None
    data, form = read_base64(inner.get("data")), inner.get("format")
    if data is None or not isinstance(form, str) or not form:
        return None
    return Audio(data=data, media_type=AUDIO_TYPES.get(form, f"audio/{form}"))
