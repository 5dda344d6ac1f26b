"""What the Chat wire spells in ways of its own: the form of an answer, and how much the model may think.

The form is ``response_format``. The dial of reasoning is a word, ``reasoning_effort``, in the wire itself; servers
that resemble it have others, which their rows name: each is a function of the table ``DIALS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import UnsupportedParameterError
from ...types import OutputFormat
from ...wire import ReasoningDial
from .._efforts import TOKENS, effort_of, tokens_of
from .._kept import Wire, overlay
from ._words import RESIDUES

__all__ = ["read_effort", "read_output", "write_output", "write_reasoning"]

DEFAULT_NAME = "output"
"""The name of a schema that has none: the wire demands one."""


# The form of an answer.


def write_output(output: OutputFormat, changes: list[str]) -> Wire:
    """Spell ``response_format``."""
    if output.schema is not None:
        inner: Wire = {"name": DEFAULT_NAME if output.name is None else output.name}
        if output.description is not None:
            inner["description"] = output.description
        inner["schema"] = output.schema
        if output.strict is not None:
            inner["strict"] = output.strict
        return overlay({"type": "json_schema", "json_schema": inner}, RESIDUES.of(output))
    left = [field for field in ("name", "description", "strict") if getattr(output, field) is not None]
    changes += [f"{field} of the output's form left out: it has no place without a schema" for field in left]
    return overlay({"type": "json_object"}, RESIDUES.of(output))


def read_output(value: Any) -> OutputFormat | None:
    """Read ``response_format``; None for one that is none of our forms."""
    if not isinstance(value, dict):
        return None
    read = OutputFormat() if value.get("type") == "json_object" else None
    inner = value.get("json_schema")
    if value.get("type") == "json_schema" and isinstance(inner, dict) and isinstance(inner.get("schema"), dict):
        name, description, strict = inner.get("name"), inner.get("description"), inner.get("strict")
        read = OutputFormat(
            schema=inner["schema"],
            name=name if isinstance(name, str) and name != DEFAULT_NAME else None,
            description=description if isinstance(description, str) else None,
            strict=strict if isinstance(strict, bool) else None,
        )
    return None if read is None else RESIDUES.exact(read, value, write_output(read, []))


# The dial of reasoning.


def write_reasoning(reasoning: str | int, dial: ReasoningDial, changes: list[str]) -> Wire:
    """The fields of the body that turn the dial; ``changes`` says where they are not the wire's own.

    Raises:
        UnsupportedParameterError: this server's dial takes tokens, and nobody says how many the word is.
    """
    fields = DIALS[dial](reasoning, changes)
    if dial != "reasoning_effort":
        changes.append(f"reasoning sent as {' and '.join(fields)}")
    return fields


def _word(reasoning: str | int, changes: list[str]) -> str:
    return reasoning if isinstance(reasoning, str) else effort_of(reasoning, changes)


def _as_effort(reasoning: str | int, changes: list[str]) -> Wire:
    return {"reasoning_effort": _word(reasoning, changes)}


def _as_object(reasoning: str | int, _: list[str]) -> Wire:
    return {"reasoning": {"effort" if isinstance(reasoning, str) else "max_tokens": reasoning}}


def _as_switch_and_effort(reasoning: str | int, changes: list[str]) -> Wire:
    word = _word(reasoning, changes)
    return {"thinking": {"type": "disabled"}} if word == "none" else {
        "thinking": {"type": "enabled"}, "reasoning_effort": word
    }  # fmt: skip


def _as_switch_and_tokens(reasoning: str | int, changes: list[str]) -> Wire:
    if reasoning in ("none", 0):
        return {"enable_thinking": False}
    tokens = tokens_of(reasoning, changes) if isinstance(reasoning, str) else reasoning
    if tokens is None:
        raise UnsupportedParameterError(
            f"reasoning={reasoning!r}: this server takes a number of tokens, and words that are known as one: "
            f"{', '.join(TOKENS)}, or 'none'"
        )
    return {"enable_thinking": True, "thinking_budget": tokens}


DIALS: Mapping[ReasoningDial, Callable[[str | int, list[str]], Wire]] = {
    "reasoning_effort": _as_effort,
    "reasoning": _as_object,
    "thinking": _as_switch_and_effort,
    "enable_thinking": _as_switch_and_tokens,
}
"""Each gives the fields of the body for an effort or a number of tokens."""


def read_effort(value: Any) -> str | None:
    """The wire's own dial; what other servers call it stays in ``extra``."""
    return value if isinstance(value, str) else None
