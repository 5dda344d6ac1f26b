"""What a wire says and our types do not: kept under the dialect's name, and put back when a value is spelled again.

Reading loses nothing, by construction: what was read is built again, and what the build does not give back is
kept as a *residue*, which building puts over its own. Keys that begin with a colon are ours and never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from ..types import Candidate, Message, OutputFormat, Part, Response, Text, Tool

__all__ = ["ABSENT", "FOREIGN", "Residues", "Wire", "kept_fields", "overlay", "residue"]

Wire: TypeAlias = dict[str, Any]
"""A JSON object."""

Kept = TypeVar("Kept", bound=Part | Message | Tool | OutputFormat)

ABSENT = ":absent"
"""Our own key: which fields were left out of an object that building puts in."""

FOREIGN = "a part that only another wire can carry left out"
"""What ``changes`` says of it."""


class Residues:
    """The residues of one dialect, by its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def of(self, value: Part | Message | Tool | OutputFormat | Response | Candidate) -> Mapping[str, Any]:
        """What the dialect keeps on a value."""
        kept: Mapping[str, Any] | None = value.provider_data.get(self.name)
        return kept or {}

    def foreign(self, part: Part) -> bool:
        """Whether a part is one that only another wire can carry: a text without words, kept in its own."""
        return isinstance(part, Text) and not part.text and bool(part.provider_data) and not self.of(part)

    def exact(self, read: Kept, original: Mapping[str, Any], built: Wire, *, absent: bool = True) -> Kept:
        """Add to ``read`` what building it does not give back."""
        rest = residue(original, built, absent=absent)
        if not rest:
            return read
        return msgspec.structs.replace(read, provider_data={self.name: {**self.of(read), **rest}})

    def named(self, data: Wire) -> Mapping[str, Any]:
        """Data under the dialect's name; nothing where there is none."""
        return {self.name: data} if data else {}


def residue(original: Mapping[str, Any], built: Mapping[str, Any], *, absent: bool = True) -> Wire:
    """What ``overlay`` must put over ``built`` to give ``original`` again; without ``absent``, additions only."""
    rest: Wire = {}
    for key, value in original.items():
        mine = built.get(key, rest)  # rest: a value that no field can be
        if mine is rest:
            if not key.startswith(":"):  # such keys are ours
                rest[key] = value
        elif mine != value or type(mine) is not type(value):  # false is 0 to Python, and not on a wire
            nested = isinstance(mine, dict) and isinstance(value, dict)
            below = residue(value, mine, absent=absent) if nested else value
            if below or not nested:
                rest[key] = below
    if absent and not built.keys() <= original.keys():
        rest[ABSENT] = [key for key in built if key not in original]
    return rest


def overlay(built: Wire, rest: Mapping[str, Any]) -> Wire:
    """Put ``rest`` over ``built``: objects are merged, and the keys that ``:absent`` lists taken out."""
    for key, value in rest.items():
        if key.startswith(":"):
            continue
        mine = built.get(key)
        if isinstance(mine, dict) and isinstance(value, Mapping):
            built[key] = overlay({**mine}, value)
        else:
            built[key] = value
    for key in rest.get(ABSENT, ()):
        built.pop(key, None)
    return built


def kept_fields(fields: Mapping[str, Any], known: frozenset[str]) -> Wire:
    """The fields that have no name here. ``false`` and 0 say something, null and what is empty do not."""
    if fields.keys() <= known:
        return {}
    return {
        key: value
        for key, value in fields.items()
        if key not in known and (value or value == 0) and not key.startswith(":")  # such keys are ours
    }
