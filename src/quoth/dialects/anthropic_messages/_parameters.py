"""What the Messages wire spells in ways of its own: the form of an answer, and how much the model may think.

Both stand in ``output_config``: the form as its ``format``, an effort as its ``effort`` beside adaptive thinking, which
Claude has since version 4.6. A number of tokens is the budget of ``thinking``, as older ones take it; it must be below
``max_tokens``, which it is a part of (Anthropic's SDK, 2.13).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedParameterError
from ...types import ModelRequest, OutputFormat
from .._kept import Wire, overlay
from ._words import DEFAULT_MAX_TOKENS, RESIDUES

__all__ = ["add_config", "check_budget", "choose_max_tokens", "read_config"]

ANSWER_ROOM = 8_000
"""Tokens of an answer beside a large budget of thoughts, where the request does not say how long it may be."""


# Writing.


def add_config(body: Wire, request: ModelRequest, changes: list[str]) -> None:
    """Add the form of the answer and the dial of reasoning.

    Raises:
        UnsupportedParameterError: any JSON object is asked for, or thinking of less than nothing.
    """
    config: Wire = {}
    if request.output is not None:
        config["format"] = _write_output(request.output, changes)
    match request.reasoning:
        case None:
            pass
        case "none" | 0:
            body["thinking"] = {"type": "disabled"}
        case str() as effort:
            body["thinking"] = {"type": "adaptive"}
            config["effort"] = effort
        case tokens:
            if tokens < 0:
                raise UnsupportedParameterError(f"reasoning={tokens}: a number of tokens is not negative")
            body["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    if config:
        body["output_config"] = config


def _write_output(output: OutputFormat, changes: list[str]) -> Wire:
    if output.schema is None:
        raise UnsupportedParameterError(
            "Anthropic Messages has no form for just any JSON object: give a schema, or ask for JSON in words"
        )
    left = [field for field in ("name", "description") if getattr(output, field) is not None]
    changes += [f"{field} of the output's form left out: this wire has no field for it" for field in left]
    if output.strict is False:
        changes.append("strict=False of the output's form left out: this wire always holds an answer to its schema")
    return overlay({"type": "json_schema", "schema": output.schema}, RESIDUES.of(output))


def check_budget(request: ModelRequest) -> None:
    """Raise UnsupportedParameterError where the answer may be no longer than the thoughts before it."""
    most, budget = request.max_tokens, request.reasoning
    if most is not None and isinstance(budget, int) and budget and budget >= most:
        raise UnsupportedParameterError(
            f"reasoning={budget} must be less than max_tokens={most}, which counts the thoughts too on this wire"
        )


def choose_max_tokens(body: Wire, changes: list[str]) -> None:
    """Fill in ``max_tokens``, which this wire demands, where the request has none: above its budget of thoughts."""
    if body["max_tokens"] is None:
        budget = _budget(body.get("thinking"))
        most = DEFAULT_MAX_TOKENS if budget < DEFAULT_MAX_TOKENS else budget + ANSWER_ROOM
        body["max_tokens"] = most
        changes.append(f"max_tokens={most} sent, because this wire demands one: give your own to change it")


def _budget(thinking: Any) -> int:
    tokens = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else 0


# Reading.


def read_config(body: Wire) -> Wire:
    """Take the exact simple forms out of a body: ``output`` and ``reasoning``, where they can be spelled again."""
    read: Wire = {}
    said = body.get("output_config")
    config = {**said} if isinstance(said, dict) else {}
    output = _read_output(config.get("format"))
    if output is not None:
        read["output"] = output
        del config["format"]
    reasoning = _read_reasoning(body, config)
    if reasoning is not None:
        read["reasoning"] = reasoning
        del body["thinking"]
        if isinstance(reasoning, str) and reasoning != "none":
            del config["effort"]
    if isinstance(said, dict) and len(config) < len(said):
        del body["output_config"]
        if config:
            body["output_config"] = config
    return read


def _read_output(value: Any) -> OutputFormat | None:
    if not isinstance(value, dict) or value.get("type") != "json_schema" or not isinstance(value.get("schema"), dict):
        return None
    read = OutputFormat(schema=value["schema"])
    return RESIDUES.exact(read, value, _write_output(read, []))


def _read_reasoning(body: Wire, config: Wire) -> str | int | None:
    thinking, effort, most = body.get("thinking"), config.get("effort"), body.get("max_tokens")
    if thinking == {"type": "disabled"}:
        return "none"
    if thinking == {"type": "adaptive"} and isinstance(effort, str) and effort != "none":
        return effort
    budget = _budget(thinking)
    plain = thinking == {"type": "enabled", "budget_tokens": budget}
    fits = isinstance(most, int) and not isinstance(most, bool) and most > budget > 0
    return budget if plain and fits else None
