"""Tool calls in the words of this wire, and back."""

from __future__ import annotations

from typing import Any

from ... import _json
from ...types import ToolCall
from .._kept import Wire, overlay
from ._words import INVALID, MADE, RESIDUES

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
    function |= {"name": call.name, "arguments": _write_arguments(call.arguments, changes)}
    wire: Wire = {"function": function} if is_made(call.id) else {"id": call.id, "function": function}
    return overlay(wire, RESIDUES.of(call))


def _write_arguments(arguments: str, changes: list[str]) -> Wire:
    """Arguments as the object that the wire demands; what is none stands inside one."""
    try:
        value = _json.decode(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else {}
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    changes.append(f"arguments that are no JSON object sent inside of one, as its {INVALID}")
    return {INVALID: arguments}


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
    id_, name = wire.get("id"), inner.get("name")
    return ToolCall(
        id=id_ if isinstance(id_, str) and not is_made(id_) else made,
        name=name if isinstance(name, str) else "",
        arguments=_read_arguments(inner.get("arguments")),
    )


def _object(value: Any) -> Wire:
    return value if isinstance(value, dict) else {}


def _read_arguments(value: Any) -> str:
    """Arguments as the text of their JSON; those that were none stand in a field of their own."""
    if isinstance(value, str):  # some servers write the text itself
        return value
    if isinstance(value, dict) and value.keys() == {INVALID} and isinstance(value[INVALID], str):
        return str(value[INVALID])
    return "{}" if value is None else _json.encode(value).decode("utf-8")
