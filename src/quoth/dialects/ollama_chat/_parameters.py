"""What stands beside the conversation: ``options``, tools, the form of an answer, thinking; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedParameterError
from ...types import ModelRequest, OutputFormat, Tool
from .._functions import read_functions, read_stops, write_function
from .._kept import Wire
from .._requests import Fields, number, read_fields, whole
from ._words import RESIDUES

__all__ = ["read_parameters", "with_extra", "write_parameters"]


# Writing.


def write_parameters(request: ModelRequest, changes: list[str]) -> Wire:
    """The fields of the body beside the conversation, as far as the request asks for any.

    Raises:
        UnsupportedParameterError: a tool is demanded, or a number of tokens to think.
    """
    limits = {
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "seed": request.seed,
    }
    options = {name: value for name, value in limits.items() if value is not None}
    body: Wire = {"options": options} if options else {}
    if request.tools and _may_call(request, changes):
        body["tools"] = [write_function(tool, RESIDUES) for tool in request.tools]
        if any(tool.strict is not None for tool in request.tools):
            changes.append("strict of a tool left out: this wire has no field for it")
    if request.output is not None:
        body["format"] = _write_output(request.output, changes)
    if request.reasoning is not None:
        body["think"] = _write_reasoning(request.reasoning)
    return body


def _may_call(request: ModelRequest, changes: list[str]) -> bool:
    """Whether tools are sent: this wire has no word for a choice, and none can be demanded."""
    mode = "auto" if request.tool_choice is None else request.tool_choice.mode
    if mode == "none":
        changes.append("tools left out, as tool_choice='none' asks: this wire has no word for it")
    elif mode != "auto":
        raise UnsupportedParameterError(
            f"tool_choice={mode!r}: Ollama cannot be made to call a tool; leave it to the model, or ask in words"
        )
    elif request.tool_choice is not None:
        changes.append("tool_choice='auto' left out: it is what this wire does without one")
    return mode == "auto"


def _write_output(output: OutputFormat, changes: list[str]) -> Any:
    """The schema itself, or the word for any JSON."""
    left = [field for field in ("name", "description") if getattr(output, field) is not None]
    changes += [f"{field} of the output's form left out: this wire has no field for it" for field in left]
    if output.strict is False:
        changes.append("strict=False of the output's form left out: this wire always holds an answer to its schema")
    return "json" if output.schema is None else output.schema


SWITCHES: Mapping[str | int, bool] = {"none": False, "disabled": False, 0: False, "enabled": True}
"""What turns thinking on or off; models with levels take words such as ``low`` instead."""


def _write_reasoning(reasoning: str | int) -> str | bool:
    if reasoning in SWITCHES:
        return SWITCHES[reasoning]
    if isinstance(reasoning, str):
        return reasoning
    raise UnsupportedParameterError(
        f"reasoning={reasoning}: Ollama takes 'enabled', 'none', or a word such as 'low', not a number of tokens"
    )


def with_extra(body: Wire, extra: Mapping[str, Any]) -> Wire:
    """The body with ``extra`` over it, and the options of both as one."""
    mine, more = body.get("options"), extra.get("options")
    merged = {**body, **extra}
    if mine and isinstance(more, Mapping):
        merged["options"] = {**mine, **more}
    return merged


# Reading.


def read_parameters(body: Wire) -> tuple[Wire, Wire]:
    """What of a body has a name in a ModelRequest, and what goes to its ``extra``."""
    read, extra = read_fields(body, _FIELDS)
    options = extra.get("options")
    if isinstance(options, dict) and options:
        named, rest = read_fields(options, _OPTIONS)
        kept = {**rest, **{name: None for name, value in options.items() if value is None}}
        del extra["options"]
        read |= named
        extra |= {"options": kept} if kept else {}
    return read, extra


def _positive(value: Any) -> int | None:
    """A count; -1 and -2 mean "endless" and "all of the context" here."""
    count = whole(value)
    return count if count is not None and count >= 0 else None


def _tools(value: Any) -> tuple[Tool, ...] | None:
    return read_functions(value, RESIDUES)


def _output(value: Any) -> OutputFormat | None:
    if value == "json":
        return OutputFormat()
    return OutputFormat(schema=value) if isinstance(value, dict) else None


def _reasoning(value: Any) -> str | None:
    if isinstance(value, bool):
        return "enabled" if value else "none"
    return value if isinstance(value, str) and value and value not in SWITCHES else None


_OPTIONS: Fields = {
    "num_predict": ("max_tokens", _positive),
    "seed": ("seed", whole),
    "stop": ("stop", read_stops),
    "temperature": ("temperature", number),
    "top_p": ("top_p", number),
}

_FIELDS: Fields = {
    "format": ("output", _output),
    "think": ("reasoning", _reasoning),
    "tools": ("tools", _tools),
}
