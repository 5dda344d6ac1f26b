"""What stands beside the conversation: ``inferenceConfig``, ``toolConfig``, ``outputConfig``, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ... import _json
from ...errors import UnsupportedParameterError
from ...types import Message, ModelRequest, OutputFormat, Tool, ToolCall, ToolChoice, ToolResult
from .._kept import Wire, overlay
from .._requests import number, object_in, stop_list, whole
from ._blocks import residue_of
from ._reasoning import read_reasoning, write_reasoning
from ._words import CHOICES, RESIDUES

__all__ = ["read_parameters", "write_parameters"]

ADDITIONAL = "additionalModelRequestFields"

SPEC = "toolSpec"

OWN_TOOLS = ("systemTool", "cachePoint")
"""Members of ``tools`` that are no functions: a tool of Amazon's own, and a point up to which a cache holds."""


# Writing.


def write_parameters(request: ModelRequest, changes: list[str]) -> Wire:
    """The fields of the body beside the conversation, as far as the request asks for any.

    Raises:
        UnsupportedParameterError: the wire has no word for what was asked.
    """
    if request.seed is not None:
        raise UnsupportedParameterError(
            "Bedrock has no seed: leave it out, or say it in the model's own words, as in "
            'extra={"bedrock": {"additionalModelRequestFields": {"seed": 1}}}'
        )
    config = {key: value for key, value in _config(request).items() if value is not None}
    body: Wire = {"inferenceConfig": config} if config else {}
    if tools := _write_tools(request, changes):
        body["toolConfig"] = tools
    if request.output is not None:
        body["outputConfig"] = {"textFormat": _write_output(request.output, changes)}
    if request.reasoning is not None:
        body[ADDITIONAL] = write_reasoning(request.model, request.reasoning)
    return body


def _config(request: ModelRequest) -> Wire:
    return {
        "maxTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": list(request.stop) or None,
    }


def _write_tools(request: ModelRequest, changes: list[str]) -> Wire:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return _without_tools(request, changes)
    wire: Wire = {}
    if request.tools:
        wire["tools"] = [_write_tool(tool) for tool in request.tools]
    if choice is not None:
        wire["toolChoice"] = {CHOICES[choice.mode]: {"name": choice.name} if choice.mode == "tool" else {}}
    return wire


def _without_tools(request: ModelRequest, changes: list[str]) -> Wire:
    """What ``tool_choice="none"`` is here, where no word forbids the tools that are there: none are."""
    if any(_uses_tools(message) for message in request.messages):
        raise UnsupportedParameterError(
            "tool_choice='none': Bedrock cannot forbid tools, and demands those that the conversation has used; "
            "leave the choice out, or ask in words"
        )
    changes.append("tools left out for tool_choice='none': this wire has no such choice")
    return {}


def _uses_tools(message: Message) -> bool:
    return any(isinstance(part, (ToolCall, ToolResult)) for part in message.parts)


def _write_tool(tool: Tool) -> Wire:
    data = residue_of(tool)
    if any(member in data for member in OWN_TOOLS):
        return overlay({}, data)
    wire: Wire = {"name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    wire["inputSchema"] = {"json": {"type": "object"} if tool.parameters is None else tool.parameters}
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return overlay({SPEC: wire}, data)


def _write_output(output: OutputFormat, changes: list[str]) -> Wire:
    """The form of an answer; its schema is a text here."""
    if output.schema is None:
        raise UnsupportedParameterError(
            "Bedrock has no form for just any JSON object: give a schema, or ask for JSON in words"
        )
    if output.strict is False:
        changes.append("strict=False of the output's form left out: this wire always holds an answer to its schema")
    schema: Wire = {"schema": _json.encode(output.schema).decode("utf-8")}
    if output.name is not None:
        schema["name"] = output.name
    if output.description is not None:
        schema["description"] = output.description
    return overlay({"type": "json_schema", "structure": {"jsonSchema": schema}}, residue_of(output))


# Reading.


def read_parameters(model: str, body: Wire) -> Wire:
    """What of a body has a name in a ModelRequest. What has not, or is of an odd type, is left in it."""
    config, tools = object_in(body, "inferenceConfig"), object_in(body, "toolConfig")
    read: Wire = {name: reader(config.get(key)) for key, (name, reader) in _CONFIG.items()}
    read["output"] = _read_output(object_in(body, "outputConfig").get("textFormat"))
    read["reasoning"] = read_reasoning(model, body.get(ADDITIONAL))
    read["tools"] = _read_tools(tools.get("tools"))
    read["tool_choice"] = _read_choice(tools.get("toolChoice"))
    return {name: value for name, value in read.items() if value is not None}


_CONFIG: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "maxTokens": ("max_tokens", whole),
    "temperature": ("temperature", number),
    "topP": ("top_p", number),
    "stopSequences": ("stop", stop_list),
}


def _read_output(wire: Any) -> OutputFormat | None:
    if not isinstance(wire, dict):
        return None
    form = object_in(object_in(wire, "structure"), "jsonSchema")
    try:
        schema = _json.decode(form["schema"].encode("utf-8")) if isinstance(form.get("schema"), str) else None
    except ValueError:
        schema = None
    if not isinstance(schema, dict):
        return None
    name, description = form.get("name"), form.get("description")
    read = OutputFormat(
        schema=schema,
        name=name if isinstance(name, str) else None,
        description=description if isinstance(description, str) else None,
    )
    return RESIDUES.exact(read, wire, _write_output(read, []))


def _read_choice(wire: Any) -> ToolChoice | None:
    if not isinstance(wire, dict) or len(wire) != 1:
        return None
    ((word, inner),) = wire.items()
    mode = _MODES.get(word)
    name = inner.get("name") if isinstance(inner, dict) and mode == "tool" else None
    if mode is None or not isinstance(inner, dict) or (mode == "tool" and not isinstance(name, str)):
        return None
    return msgspec.convert({"mode": mode, "name": name}, ToolChoice)


_MODES = {wire: ours for ours, wire in CHOICES.items()}


def _read_tools(value: Any) -> tuple[Tool, ...] | None:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return None
    tools = [_read_tool(entry) for entry in value]
    return None if None in tools else tuple([tool for tool in tools if tool is not None])


def _read_tool(wire: Wire) -> Tool | None:
    """Read one entry of ``tools``; None where it is none that we could spell again."""
    own = next((member for member in OWN_TOOLS if member in wire), None)
    if own is not None:
        name = wire[own].get("name") if isinstance(wire[own], dict) else None
        return RESIDUES.exact(Tool(name=name if isinstance(name, str) else own), wire, {})
    spec = wire.get(SPEC)
    if not isinstance(spec, dict):
        return None
    name, description, strict = spec.get("name"), spec.get("description"), spec.get("strict")
    parameters = object_in(spec, "inputSchema").get("json")
    read = Tool(
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        strict=strict if isinstance(strict, bool) else None,
    )
    return RESIDUES.exact(read, wire, _write_tool(read))
