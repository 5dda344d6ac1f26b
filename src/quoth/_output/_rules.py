"""What each provider accepts of a JSON Schema, as a table.

A row of ``RULES`` is named by ``Quirks.output_rules`` of a provider's wire, else it is the one of its dialect. Sources,
read on 2026-11-25: OpenAI, "Structured Outputs: supported schemas"; Anthropic, "Structured outputs: JSON Schema
limitations"; Google, ``GenerationConfig.responseJsonSchema``; Cohere, "Parameter types in Structured Outputs (JSON)";
xAI, "Structured Outputs: JSON Schema support"; Groq, "Structured Outputs: best-effort mode"; DeepSeek, "JSON output";
and what the recorded traffic of each shows. Where a source is silent the narrower reading stands. Not confirmed by any
recording: the keywords of xAI and of Cohere, and which of Z.ai, Qwen and Moonshot take a JSON object as a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["RULES", "Rules", "Way"]

Way: TypeAlias = Literal["schema", "loose", "object", "tool", "words"]
"""How a form is asked for: by the provider's own form of an answer, held to the schema (``schema``), or not held to it
(``loose``); by its form for any JSON object, with the schema in words (``object``); by a tool that must be called
(``tool``); in words alone (``words``)."""


class Rules(Struct, frozen=True, kw_only=True, gc=False):
    """What one provider accepts. The defaults are those of a server that takes every schema."""

    ways: tuple[Way, ...] = ("schema", "words")
    """How it can be asked, the best first; what cannot be asked for in one way is in the next."""
    named: bool = True
    """The wire has a place for the form's name."""
    strict: bool | None = None
    """What is said of strictness with ``schema``."""
    object_root: bool = False
    """The whole must be an object, and no union: what is none is wrapped."""
    all_required: bool = False
    """Every property must be required: those that may be left out may be null instead."""
    closed: bool = False
    """Every object says ``additionalProperties: false``, so free keys cannot be said."""
    typed: bool = False
    """Every value has a type: any value at all cannot be said."""
    recursive: bool = True
    bare_references: bool = False
    """Nothing may stand beside a ``$ref``."""
    without: frozenset[str] = frozenset()
    """Keywords that it refuses or ignores: they are said in words."""
    kept: Mapping[str, tuple[Any, ...]] = {}
    """Of a keyword the only values that it takes."""
    most_depth: int | None = None
    most_properties: int | None = None
    most_enum: int | None = None
    by_catalog: bool = False
    """Not all its models can, and the catalog says reliably which."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNSAID = _words(
    "default discriminator examples example $schema $id $comment deprecated readOnly writeOnly contentEncoding "
    "contentMediaType"
)
"""Keywords that no provider holds an answer to, and some refuse."""

_COMPOSED = _words(
    "allOf not oneOf if then else dependentRequired dependentSchemas patternProperties propertyNames "
    "unevaluatedItems unevaluatedProperties minProperties maxProperties contains minContains maxContains"
)

_NUMBERS = _words("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf")
_LENGTHS = _words("minLength maxLength")
_COUNTS = _words("minItems maxItems uniqueItems")

_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")

_OPENAI = Rules(
    ways=("schema", "loose", "words"),
    strict=True,
    object_root=True,
    all_required=True,
    closed=True,
    typed=True,
    bare_references=True,
    without=_UNSAID | _COMPOSED | _LENGTHS | _words("uniqueItems prefixItems"),
    kept={"format": _FORMATS},
    most_depth=10,
    most_properties=5_000,
    most_enum=1_000,
)

_WIDE = Rules(without=_UNSAID | _words("uniqueItems"), kept={"format": _FORMATS})

RULES: dict[str, Rules] = {
    # By dialect.
    "openai_responses": _OPENAI,
    "openai_chat": _OPENAI,  # compatible servers are built for what OpenAI's own clients send
    "anthropic_messages": Rules(
        named=False,
        ways=("schema", "tool", "words"),
        object_root=True,
        closed=True,
        typed=True,
        recursive=False,
        bare_references=True,
        without=_UNSAID | _COMPOSED | _NUMBERS | _LENGTHS | _COUNTS | _words("prefixItems pattern"),
        kept={"format": (*_FORMATS, "uri"), "minItems": (0, 1)},
    ),
    "gemini": Rules(
        named=False,
        ways=("schema", "object"),
        typed=True,
        recursive=False,  # "unrolled to a limited degree", and never in what is required
        bare_references=True,
        without=_UNSAID
        | _COMPOSED
        | _LENGTHS
        | _words("const pattern exclusiveMinimum exclusiveMaximum multipleOf uniqueItems"),
        kept={"format": ("date-time", "date", "time", "duration")},
    ),
    "cohere_chat": Rules(
        named=False,
        ways=("schema", "words"),
        object_root=True,
        closed=True,
        typed=True,
        bare_references=True,
        without=_UNSAID | _COMPOSED | _NUMBERS | _LENGTHS | _COUNTS | _words("prefixItems const"),
        kept={"format": ("date-time", "uuid", "date", "time")},
    ),
    "bedrock_converse": Rules(ways=("tool", "words"), object_root=True),
    "bedrock_invoke": Rules(ways=("tool", "words"), object_root=True),
    # By rows.
    "openai": replace(_OPENAI, by_catalog=True),
    "bounded": replace(_OPENAI, without=_OPENAI.without | _words("minItems maxItems")),  # xAI
    "best_effort": replace(_OPENAI, strict=None),  # Groq: strict holds on few of its models, and the others refuse it
    "grammar": _WIDE,  # servers that compile the schema themselves: llama.cpp, Ollama, vLLM
    "json_object": Rules(ways=("object", "words"), object_root=True),  # DeepSeek, Z.ai, Qwen, Moonshot
    "words": Rules(ways=("words",), object_root=True),
}
