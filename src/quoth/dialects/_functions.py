"""Functions as tools, as most wires spell them: an object of the type ``function`` with the function in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import Tool
from ._kept import Residues, Wire, overlay

__all__ = ["read_functions", "read_stops", "write_function"]


def write_function(tool: Tool, residues: Residues) -> Wire:
    """Spell one of ``tools``, but for ``strict``, which each wire says elsewhere if at all."""
    function: Wire = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return overlay({"type": "function", "function": function}, residues.of(tool))


def read_functions(value: Any, residues: Residues) -> tuple[Tool, ...] | None:
    """Read ``tools`` exactly; None for what is no list of them, or an empty one."""
    return tuple([_read(wire, residues) for wire in _objects(value)]) or None


def _objects(value: Any) -> Sequence[Wire]:
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else ()


def _read(wire: Wire, residues: Residues) -> Tool:
    function = wire.get("function")
    function = function if isinstance(function, dict) else {}
    name, description, parameters = function.get("name"), function.get("description"), function.get("parameters")
    read = Tool(
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
    )
    return residues.exact(read, wire, write_function(read, residues))


def read_stops(value: Any) -> tuple[str, ...] | None:
    """A list of stop strings, where that is the only form; None for anything else, or an empty one."""
    return tuple(value) or None if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
