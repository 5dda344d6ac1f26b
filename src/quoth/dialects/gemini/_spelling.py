"""Names in camelCase and in snake_case: Google's JSON takes both, so both are read, and each goes back as it came.

What is read is in camelCase; which names were not stands in what is kept, under ``:snake``, object by object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from .._kept import ABSENT, Wire

__all__ = ["BODY", "PART", "Shape", "camelled", "merged", "with_marks"]

Shape: TypeAlias = Mapping[str, "Shape"]
"""The fields of an object that hold objects with names of the wire's own, and theirs."""

PART: Shape = {"inlineData": {}, "fileData": {}, "functionCall": {}, "functionResponse": {}, "videoMetadata": {}}
BODY: Shape = {"generationConfig": {"thinkingConfig": {}}, "toolConfig": {"functionCallingConfig": {}}}

SNAKE = ":snake"

_SPELLED = (
    "allowedFunctionNames", "cachedContent", "candidateCount", "codeExecutionResult", "displayName", "executableCode",
    "fileData", "fileUri", "functionCall", "functionCallingConfig", "functionDeclarations", "functionResponse",
    "generationConfig", "includeThoughts", "inlineData", "maxOutputTokens", "mediaResolution", "mimeType",
    "parametersJsonSchema", "partialArgs", "responseJsonSchema", "responseMimeType", "responseSchema",
    "safetySettings", "stopSequences", "systemInstruction", "thinkingBudget", "thinkingConfig", "thinkingLevel",
    "thoughtSignature", "toolConfig", "topK", "topP", "videoMetadata", "willContinue",
)  # fmt: skip


def _snake(name: str) -> str:
    return "".join([f"_{letter.lower()}" if letter.isupper() else letter for letter in name])


_SNAKES = {name: _snake(name) for name in _SPELLED}
_CAMELS = {snake: name for name, snake in _SNAKES.items()}


def camelled(wire: Mapping[str, Any], shape: Shape) -> tuple[Wire, Wire]:
    """The object with its names in camelCase, and which ones were not."""
    read: Wire = {}
    marks: Wire = {}
    for key, value in wire.items():
        name = _CAMELS.get(key, key)
        if name != key and name in wire:  # both are there: the other one counts
            name = key
        if name != key:
            marks.setdefault(SNAKE, []).append(name)
        if name in shape and isinstance(value, dict):
            value, below = camelled(value, shape[name])  # noqa: PLW2901  # the same value, in other words
            if below:
                marks[name] = below
        read[name] = value
    return read, marks


def with_marks(rest: Wire, marks: Mapping[str, Any]) -> Wire:
    """What is kept of an object, with the marks of ``camelled`` in their places."""
    for key, mark in marks.items():
        mine = rest.get(key)
        if key == SNAKE:
            rest[key] = mark
        elif mine is None or isinstance(mine, dict):
            rest[key] = with_marks({**(mine or {})}, mark)
    return rest


def merged(built: Wire, rest: Mapping[str, Any], shape: Shape, *, nulls: bool = True) -> Wire:
    """Put ``rest`` over ``built`` object by object, and spell names as they came.

    Without ``nulls``, null takes no place of what was built: it says nothing.
    """
    for key, value in rest.items():
        mine = built.get(key)
        if key.startswith(":") or (value is None and mine is not None and not nulls):
            continue
        if isinstance(value, Mapping) and (key in shape or isinstance(mine, dict)):
            built[key] = merged({**mine} if isinstance(mine, dict) else {}, value, shape.get(key, {}), nulls=nulls)
        else:
            built[key] = value
    for key in rest.get(ABSENT, ()):
        built.pop(key, None)
    for name in rest.get(SNAKE, ()):
        if name in built and name in _SNAKES:
            built[_SNAKES[name]] = built.pop(name)
    return built
