"""Names in a path: a model's id as it travels there, whatever it holds, and back."""

from __future__ import annotations

import re

from ..errors import InputError

__all__ = ["quoted", "target_of", "unquoted"]


def quoted(name: str, odd: str = r"[^\w.~@-]") -> str:
    """A name in which what ``odd`` matches is written in hexadecimal; by default, one segment of a path."""
    return re.sub(odd, _percent, name, flags=re.ASCII)


def _percent(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")])


def unquoted(name: str) -> str:
    """The name that was written so."""
    if "%" not in name:
        return name
    pieces = re.split(rb"%([0-9A-Fa-f]{2})", name.encode("utf-8", "surrogatepass"))
    plain = [bytes.fromhex(piece.decode()) if at % 2 else piece for at, piece in enumerate(pieces)]
    return b"".join(plain).decode("utf-8", "surrogatepass" if b"\xed" in b"".join(plain) else "replace")


def target_of(path: str) -> tuple[str, str]:
    """The model that a path of Bedrock names, and what is asked of it: ``/model/MODEL/converse``.

    Raises:
        InputError: it names none.
    """
    head, _, verb = path.partition("?")[0].rstrip("/").rpartition("/")
    name = head.partition("/model/")[2]
    if not name:
        raise InputError("the request names no model: it stands in the path, as in /model/MODEL/converse")
    return unquoted(name), verb
