"""Bytes in JSON: base64, read only where it can be written again letter by letter."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Any

__all__ = ["read_base64", "write_base64"]


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
