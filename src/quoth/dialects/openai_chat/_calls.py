"""Tool calls in the words of the Chat wire, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ... import _json
from ...types import ToolCall
from .._kept import Wire, overlay
from ._parts import exact, residue_of
from ._words import CALL_KINDS, FIELD, NAME

__all__ = [
    "FLAT_FIELDS",
    "call_id",
    "call_kind",
    "call_object",
    "read_answer_call",
    "read_arguments",
    "read_call",
    "read_function_call",
    "write_call",
]


FLAT_FIELDS = ("type", "name", "arguments")
"""What stands beside the id of a call that has no inner object."""


def write_call(call: ToolCall) -> Wire:
    """Spell one entry of ``tool_calls``."""
    data = residue_of(call)
    kind = call_kind(data)
    wire: Wire = {"id": call.id, "type": kind, kind: {"name": call.name, CALL_KINDS[kind]: call.arguments}}
    return overlay(wire, data) if data else wire


def read_call(call: Wire) -> ToolCall:
    """Read one entry of ``tool_calls`` exactly."""
    read = _read_typed_call(call)
    return exact(read, call, write_call(read))


def read_answer_call(call: Wire) -> ToolCall:
    """Read one entry of an answer's ``tool_calls``: nulls and ``index`` say nothing, defaults are filled in."""
    said = {key: value for key, value in call.items() if value is not None and key != "index"}
    if said.get("type") == "":
        del said["type"]
    if call_object(said, call_kind(said)) is said:  # it goes back in the form of all others
        own = {key: said.pop(key, "") for key in FLAT_FIELDS}
        said["function"] = {"name": own["name"], "arguments": own["arguments"]}
    read = _read_typed_call(said)
    exactly = exact(read, said, write_call(read), absent=False)
    return _with_plain_arguments(exactly)


def _with_plain_arguments(call: ToolCall) -> ToolCall:
    """A call whose arguments came as an object: they go back as text, as everybody takes them, streams too."""
    kind = call_kind(data := residue_of(call))
    inner = data.get(kind)
    if not isinstance(inner, dict) or CALL_KINDS[kind] not in inner:
        return call
    rest = {key: value for key, value in inner.items() if key != CALL_KINDS[kind]}
    kept = {key: value for key, value in data.items() if key != kind} | ({kind: rest} if rest else {})
    return replace(call, provider_data={NAME: kept} if kept else {})


def _read_typed_call(call: Wire) -> ToolCall:
    kind = call_kind(call)
    inner = call_object(call, kind)
    return ToolCall(
        id=call_id(call.get("id")),
        name=_text(inner.get("name")),
        arguments=read_arguments(inner.get(CALL_KINDS[kind])),
        provider_data={} if kind == "function" else {NAME: {"type": kind}},
    )


def call_kind(call: Mapping[str, Any]) -> str:
    """The type of a tool call, which is the name of its inner object; an unknown one is read as a function."""
    kind = call.get("type")
    return kind if isinstance(kind, str) and kind in CALL_KINDS else "function"


def call_object(call: Wire, kind: str) -> Wire:
    """The inner object of a tool call; servers were seen that write its fields beside the id."""
    inner = call.get(kind)
    return inner if isinstance(inner, dict) else call if "name" in call or "arguments" in call else {}


def call_id(value: Any) -> str:
    """The id of a tool call; servers were seen that number them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def read_arguments(arguments: Any) -> str:
    """Arguments as text; servers were seen that send the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _json.encode(arguments).decode("utf-8")


def read_function_call(call: Any) -> ToolCall | None:
    """The one call of 2023, before there were ``tool_calls``; an empty one is none."""
    if not isinstance(call, dict) or not call.get("name") or not isinstance(call["name"], str):
        return None
    arguments = read_arguments(call.get("arguments"))
    return ToolCall(id="", name=call["name"], arguments=arguments, provider_data={NAME: {FIELD: "function_call"}})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
