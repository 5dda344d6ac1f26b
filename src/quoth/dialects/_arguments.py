"""Arguments of a tool call on wires where they are an object: text goes in, text comes out, and what is none survives.

Anthropic's guide to fine-grained tool streaming says how to send back what a model wrote that is no JSON: inside of an
object, under one name. So it goes on the other wires too.
"""

from __future__ import annotations

from typing import Any

from .. import _json
from ._kept import Wire

__all__ = ["INVALID", "decoded_input", "read_arguments", "write_arguments"]

INVALID = "INVALID_JSON"
"""The one field of an input that holds arguments which are no JSON object."""


def write_arguments(arguments: str, changes: list[str]) -> Wire:
    """Arguments as the object that the wire demands; what is none stands inside one."""
    value = _decoded(arguments) if arguments.strip() else {}
    if isinstance(value, dict):
        return value
    changes.append(f"arguments that are no JSON object sent inside of one, as its {INVALID}")
    return {INVALID: arguments}


def _decoded(text: str) -> Any:
    try:
        return _json.decode(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None


def read_arguments(value: Any) -> str:
    """An input as the text of its JSON; arguments that are no JSON stand in one of its own."""
    if isinstance(value, dict) and value.keys() == {INVALID} and isinstance(value[INVALID], str):
        return str(value[INVALID])
    return "{}" if value is None else _json.encode(value).decode("utf-8")


def decoded_input(text: str) -> Any:
    """The input that a stream said in pieces, of a call that no part of ours is."""
    try:
        return _json.decode(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return {INVALID: text}
