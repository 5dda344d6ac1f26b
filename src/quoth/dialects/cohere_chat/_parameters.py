"""What stands beside the conversation: limits, tools, the form of an answer, how much the model may think; and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ...errors import UnsupportedParameterError
from ...types import ModelRequest, OutputFormat, Tool, ToolChoice
from .._functions import read_functions, read_stops, write_function
from .._kept import Wire, overlay
from .._requests import Fields, flag, number, read_fields, whole
from ._words import CHOICES, FIELD, NAME, RESIDUES

__all__ = ["read_parameters", "write_parameters"]

SCHEMAS = ("json_schema", "schema")
"""Where the schema of an answer stands: as the reference has it, and as guides and older versions do."""


# Writing.


def write_parameters(request: ModelRequest, changes: list[str]) -> Wire:
    """The fields of the body beside the conversation, as far as the request asks for any.

    Raises:
        UnsupportedParameterError: a tool is demanded that is none of the tools, or reasoning that is no number.
    """
    body: Wire = {}
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["p"] = request.top_p
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed
    tools = request.tools
    if request.tool_choice is not None:
        tools = _choose(body, request.tool_choice, tools, changes)
    if tools:
        _add_tools(body, tools, changes)
    if request.output is not None:
        body["response_format"] = _write_output(request.output, changes)
    if request.reasoning is not None:
        body["thinking"] = _write_reasoning(request.reasoning)
    return body


def _choose(body: Wire, choice: ToolChoice, tools: Sequence[Tool], changes: list[str]) -> tuple[Tool, ...]:
    """Spell the choice, and give the tools that are sent: a single one is demanded by sending no other."""
    if choice.mode == "auto":
        changes.append("tool_choice='auto' left out: it is what this wire does without one")
        return tuple(tools)
    body["tool_choice"] = CHOICES[choice.mode]
    if choice.mode != "tool":
        return tuple(tools)
    chosen = tuple([tool for tool in tools if tool.name == choice.name])
    if not chosen:
        raise UnsupportedParameterError(f"tool_choice demands {choice.name!r}, which is none of the tools")
    if len(tools) > 1:
        changes.append(f"only the tool {choice.name} sent: this wire demands one tool by sending no other")
    return chosen


def _add_tools(body: Wire, tools: Sequence[Tool], changes: list[str]) -> None:
    body["tools"] = [write_function(tool, RESIDUES) for tool in tools]
    strict = [tool.strict for tool in tools]
    if True in strict:
        body["strict_tools"] = True
        if not all(strict):
            changes.append("strict of some tools sent as strict_tools, which holds for all of them")
    elif False in strict:
        changes.append("strict=False of a tool left out: it is what this wire does without strict_tools")


def _write_output(output: OutputFormat, changes: list[str]) -> Wire:
    left = [field for field in ("name", "description") if getattr(output, field) is not None]
    changes += [f"{field} of the output's form left out: this wire has no field for it" for field in left]
    if output.strict is False:
        changes.append("strict=False of the output's form left out: this wire always holds an answer to its schema")
    data = RESIDUES.of(output)
    wire: Wire = {"type": "json_object"}
    if output.schema is not None:
        wire[data.get(FIELD, SCHEMAS[0])] = output.schema
    return overlay(wire, data)


def _write_reasoning(reasoning: str | int) -> Wire:
    """A budget in tokens, or whether at all: the wire has no efforts."""
    if reasoning in _OFF:
        return {"type": "disabled"}
    if reasoning == "enabled":
        return {"type": reasoning}
    if isinstance(reasoning, str) or reasoning < 0:
        raise UnsupportedParameterError(
            f"reasoning={reasoning!r}: Cohere takes a number of tokens, 'enabled' or 'none', not an effort"
        )
    return {"type": "enabled", "token_budget": reasoning}


_OFF = ("none", "disabled", 0)


# Reading.


def read_parameters(body: Wire) -> tuple[Wire, Wire]:
    """What of a body has a name in a ModelRequest, and what goes to its ``extra``."""
    read, extra = read_fields(body, _FIELDS)
    if extra.get("strict_tools") is True and read.get("tools"):
        del extra["strict_tools"]
        read["tools"] = tuple([replace(tool, strict=True) for tool in read["tools"]])
    return read, extra


def _tools(value: Any) -> tuple[Tool, ...] | None:
    return read_functions(value, RESIDUES)


def _choice(value: Any) -> ToolChoice | None:
    return _CHOICES_SPELLED.get(value) if isinstance(value, str) else None


_CHOICES_SPELLED = {"NONE": ToolChoice(mode="none"), "REQUIRED": ToolChoice(mode="required")}


def _output(value: Any) -> OutputFormat | None:
    if not isinstance(value, dict) or value.get("type") != "json_object":
        return None
    field = next((name for name in SCHEMAS if isinstance(value.get(name), dict)), SCHEMAS[0])
    schema = value.get(field)
    read = OutputFormat(
        schema=schema if isinstance(schema, dict) else None,
        provider_data={} if field == SCHEMAS[0] else {NAME: {FIELD: field}},
    )
    return RESIDUES.exact(read, value, _write_output(read, []))


def _reasoning(value: Any) -> str | int | None:
    if value == {"type": "disabled"}:
        return "none"
    if value == {"type": "enabled"}:
        return "enabled"
    budget = whole(value.get("token_budget")) if isinstance(value, dict) else None
    return budget if budget and budget > 0 and value == {"type": "enabled", "token_budget": budget} else None


_FIELDS: Fields = {
    "max_tokens": ("max_tokens", whole),
    "p": ("top_p", number),
    "response_format": ("output", _output),
    "seed": ("seed", whole),
    "stop_sequences": ("stop", read_stops),
    "stream": ("stream", flag),
    "temperature": ("temperature", number),
    "thinking": ("reasoning", _reasoning),
    "tool_choice": ("tool_choice", _choice),
    "tools": ("tools", _tools),
}
