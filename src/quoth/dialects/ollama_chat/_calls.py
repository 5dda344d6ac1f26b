"""Tool calls in the words of this wire, and back."""

from __future__ import annotations

from typing import Any

from ...types import ToolCall
from .._arguments import read_arguments, write_arguments
from .._kept import Wire, overlay
from ._words import MADE, RESIDUES

__all__ = ["is_made", "made_id", "read_answer_call", "read_call", "write_call"]


def made_id(where: object, place: int) -> str:
    """An id for a call that has none: ``where`` is its message, or the second in which its answer was made."""
    return f"{MADE}{where}_{place}"


def is_made(id_: str) -> bool:
    """Whether an id is one of ours, which is not sent."""
    return not id_ or id_.startswith(MADE)


def write_call(call: ToolCall, changes: list[str], *, place: int | None = None) -> Wire:
    """Spell one entry of ``tool_calls``; those of an answer say their ``place``."""
    function: Wire = {} if place is None else {"index": place}
    function |= {"name": call.name, "arguments": write_arguments(call.arguments, changes)}
    wire: Wire = {"function": function} if is_made(call.id) else {"id": call.id, "function": function}
    return overlay(wire, RESIDUES.of(call))


def read_call(wire: Wire, made: str) -> ToolCall:
    """Read one entry of ``tool_calls`` exactly; ``made`` is the id of one that has none."""
    read = _read_typed_call(wire, made)
    return RESIDUES.exact(read, wire, write_call(read, []))


def read_answer_call(wire: Wire, made: str) -> ToolCall:
    """Read one entry of an answer's ``tool_calls``: nulls and its index say nothing."""
    said = {key: value for key, value in wire.items() if value is not None}
    inner = said.get("function")
    if isinstance(inner, dict):
        said["function"] = {key: value for key, value in inner.items() if key != "index" and value is not None}
    read = _read_typed_call(said, made)
    built = write_call(read, [])
    if not isinstance(inner, dict) or not isinstance(inner.get("arguments"), dict):  # they go back as an object
        said["function"] = {**_object(said.get("function")), "arguments": built["function"]["arguments"]}
    return RESIDUES.exact(read, said, built, absent=False)


def _read_typed_call(wire: Wire, made: str) -> ToolCall:
    inner = _object(wire.get("function"))
    id_, name, arguments = wire.get("id"), inner.get("name"), inner.get("arguments")
    return ToolCall(
        id=id_ if isinstance(id_, str) and not is_made(id_) else made,
        name=name if isinstance(name, str) else "",
        arguments=arguments if isinstance(arguments, str) else read_arguments(arguments),  # some write the text itself
    )


def _object(value: Any) -> Wire:
    return value if isinstance(value, dict) else {}
