"""The JSON codec: msgspec first; ``json.loads`` where it refuses what a paid answer may still hold.

msgspec is strict: it refuses NaN, a byte order mark, lone surrogates and huge numbers. A provider that
sends them has been paid all the same, so such bodies are read by the standard library, more tolerantly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["decode", "encode"]

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


def decode(body: bytes) -> Any:
    """Decode JSON to plain Python values; raise ``ValueError`` where no reader understands it."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_tolerantly(body)


def _decode_tolerantly(body: bytes) -> Any:
    import json

    try:
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def encode(value: Any) -> bytes:
    """Encode plain values as compact UTF-8 JSON; lone surrogates become U+FFFD rather than an error."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return _ENCODER.encode(_encodable(value))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value
