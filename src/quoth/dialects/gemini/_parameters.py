"""What stands beside the conversation: ``generationConfig``, ``tools`` and ``toolConfig``, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ...types import ModelRequest, OutputFormat, Tool, ToolChoice
from .._kept import Wire
from .._requests import number, object_in, stop_list, whole
from ._parts import residue_of
from ._spelling import camelled, merged, with_marks
from ._words import CHOICES, FIELD, NAME, OBJECT, RESIDUES

__all__ = ["read_parameters", "write_parameters", "write_tools"]

JSON = "application/json"

FUNCTIONS = "functionDeclarations"

SCHEMAS = ("responseJsonSchema", "responseSchema")
"""Where the schema of an answer stands: a JSON Schema, or one of OpenAPI's, which knows fewer words."""

PARAMETERS = ("parametersJsonSchema", "parameters")
"""The same of a function's parameters."""


# Writing.


def write_parameters(request: ModelRequest, changes: list[str]) -> Wire:
    """The fields of the body beside the conversation, as far as the request asks for any."""
    config: Wire = {}
    if request.max_tokens is not None:
        config["maxOutputTokens"] = request.max_tokens
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if request.seed is not None:
        config["seed"] = request.seed
    if request.stop:
        config["stopSequences"] = list(request.stop)
    if request.output is not None:
        config |= _write_output(request.output, changes)
    if request.reasoning is not None:
        config["thinkingConfig"] = _write_reasoning(request.reasoning, changes)
    body: Wire = {"generationConfig": config} if config else {}
    if request.tools:
        body["tools"] = write_tools(request.tools, changes)
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _write_choice(request.tool_choice)}
    return body


def _write_output(output: OutputFormat, changes: list[str]) -> Wire:
    left = [field for field in ("name", "description") if getattr(output, field) is not None]
    changes += [f"{field} of the output's form left out: this wire has no field for it" for field in left]
    if output.strict is False:
        changes.append("strict=False of the output's form left out: this wire always holds an answer to its schema")
    data = residue_of(output)
    wire: Wire = {"responseMimeType": JSON}
    if output.schema is not None:
        wire[data.get(FIELD, SCHEMAS[0])] = output.schema
    return wire


def _write_reasoning(reasoning: str | int, changes: list[str]) -> Wire:
    """A level, as models since version 3 take it, or a number of tokens."""
    if reasoning == "none":
        changes.append("reasoning='none' sent as a thinkingBudget of 0: this wire has no such level")
        return {"thinkingBudget": 0}
    return {"thinkingLevel" if isinstance(reasoning, str) else "thinkingBudget": reasoning}


def _write_choice(choice: ToolChoice) -> Wire:
    wire: Wire = {"mode": CHOICES[choice.mode]}
    if choice.mode == "tool":
        wire["allowedFunctionNames"] = [choice.name]
    return wire


def write_tools(tools: Sequence[Tool], changes: list[str]) -> list[Wire]:
    """Spell ``tools``: functions in a row stand in one object, each tool of Google's own in one of its own."""
    objects: list[tuple[Wire, Mapping[str, Any]]] = []  # and what stands beside the functions
    for tool in tools:
        data = residue_of(tool)
        if _is_own(tool, data):
            objects.append(({tool.name: data[tool.name]}, {}))
        elif objects and FUNCTIONS in objects[-1][0] and OBJECT not in data:
            objects[-1][0][FUNCTIONS].append(_write_function(tool, data, changes))
        else:
            objects.append(({FUNCTIONS: [_write_function(tool, data, changes)]}, data.get(OBJECT, {})))
    return [merged(wire, beside, {}) for wire, beside in objects]


def _is_own(tool: Tool, data: Mapping[str, Any]) -> bool:
    """Whether a tool is one of Google's own, which is no function: it keeps its object under its name."""
    return tool.name in data and tool.description is None and tool.parameters is None


def _write_function(tool: Tool, data: Mapping[str, Any], changes: list[str]) -> Wire:
    wire: Wire = {"name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    if tool.parameters is not None:
        wire[data.get(FIELD, PARAMETERS[0])] = tool.parameters
    if tool.strict is not None:
        changes.append("strict of a tool left out: this wire has no field for it")
    return merged(wire, data, {})


# Reading.


def read_parameters(body: Wire) -> Wire:
    """What of a body (in camelCase) has a name in a ModelRequest. What has not, or is of an odd type, is left in it."""
    config, choosing = object_in(body, "generationConfig"), object_in(body, "toolConfig")
    read: Wire = {name: reader(config.get(key)) for key, (name, reader) in _CONFIG.items()}
    read["output"] = _read_output(config)
    read["reasoning"] = _read_reasoning(object_in(config, "thinkingConfig"))
    read["tools"] = _read_tools(body.get("tools"))
    read["tool_choice"] = _read_choice(object_in(choosing, "functionCallingConfig"))
    return {name: value for name, value in read.items() if value is not None}


_CONFIG: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "maxOutputTokens": ("max_tokens", whole),
    "seed": ("seed", whole),
    "stopSequences": ("stop", stop_list),
    "temperature": ("temperature", number),
    "topP": ("top_p", number),
}


def _read_output(config: Wire) -> OutputFormat | None:
    if config.get("responseMimeType") != JSON:
        return None
    field = next((name for name in SCHEMAS if isinstance(config.get(name), dict)), None)
    kept: Wire = {} if field in (None, SCHEMAS[0]) else {NAME: {FIELD: field}}
    return OutputFormat(schema=config[field] if field else None, provider_data=kept)


def _read_reasoning(thinking: Wire) -> str | int | None:
    level = thinking.get("thinkingLevel")
    if isinstance(level, str) and level and level.lower() != "none":
        return level.lower()  # Google's SDK writes HIGH, its documentation high
    return whole(thinking.get("thinkingBudget"))


_MODES = {"AUTO": "auto", "NONE": "none", "ANY": "required"}


def _read_choice(calling: Wire) -> ToolChoice | None:
    spelled, names = calling.get("mode"), calling.get("allowedFunctionNames")
    mode = _MODES.get(spelled.upper()) if isinstance(spelled, str) else None
    if mode == "required" and isinstance(names, list) and len(names) == 1 and isinstance(names[0], str):
        return ToolChoice(mode="tool", name=names[0])
    return None if mode is None else msgspec.convert({"mode": mode}, ToolChoice)


def _read_tools(value: Any) -> tuple[Tool, ...] | None:
    """The tools of all objects; None where one of them holds none that could carry it."""
    if not isinstance(value, list):
        return None
    tools: list[Tool] = []
    after_functions = False
    for wire in value:
        found = _read_object(wire, begins=after_functions) if isinstance(wire, dict) else []
        if not found:
            return None
        tools += found
        after_functions = not _is_own(tools[-1], residue_of(tools[-1]))
    return tuple(tools)


def _read_object(wire: Wire, *, begins: bool) -> list[Tool]:
    """The tools of one object. What is null beside functions goes with the first one."""
    camel, marks = camelled(wire, {})
    functions = camel.pop(FUNCTIONS, None)
    if functions is None:
        return [Tool(name=key, provider_data={NAME: {key: value}}) for key, value in camel.items()]
    if not isinstance(functions, list) or not all(isinstance(entry, dict) for entry in functions):
        return []
    tools = [_read_function(entry) for entry in functions]
    beside = with_marks({key: value for key, value in camel.items() if value is None}, marks)
    if tools and (beside or begins):
        data = {**residue_of(tools[0]), OBJECT: beside}
        tools[0] = msgspec.structs.replace(tools[0], provider_data={NAME: data})
    own = [Tool(name=key, provider_data={NAME: {key: said}}) for key, said in camel.items() if said is not None]
    return [*tools, *own]


def _read_function(wire: Wire) -> Tool:
    camel, marks = camelled(wire, {})
    name, description = camel.get("name"), camel.get("description")
    field = next((key for key in PARAMETERS if isinstance(camel.get(key), dict)), PARAMETERS[0])
    parameters = camel.get(field)
    read = Tool(
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        provider_data={} if field == PARAMETERS[0] else {NAME: {FIELD: field}},
    )
    read = RESIDUES.exact(read, camel, _write_function(read, residue_of(read), []))
    return (
        msgspec.structs.replace(read, provider_data={NAME: with_marks({**residue_of(read)}, marks)}) if marks else read
    )
