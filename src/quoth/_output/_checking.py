"""Hold a value to a JSON Schema that was given as such, keyword by keyword.

``CHECKS`` lists the keywords that are held to: types and their combination, names of objects, counts and ranges. The
others (``pattern``, ``format``, ``if`` and so on) are left to the provider: docs/structured-output.md says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["TYPES", "MisfitError", "check", "matches", "resolved"]


class MisfitError(ValueError):
    """A value is not what a form asks for; ``path`` says where: ``$.items[2].price``."""

    def __init__(self, words: str, path: str = "$") -> None:
        super().__init__(words)
        self.words = words
        self.path = path


Check: TypeAlias = Callable[[Any, Any, Mapping[str, Any], Mapping[str, Any], str], None]
"""The value, what the keyword says, the schema it stands in, the whole schema, and where the value is."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == value // 1,
    "null": lambda value: value is None,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def check(value: Any, schema: Any, root: Mapping[str, Any], path: str = "$") -> None:
    """Raise MisfitError where the value is not what the schema says."""
    if schema is False:
        raise MisfitError("nothing may stand here", path)
    if not isinstance(schema, Mapping):
        return
    for keyword, said in schema.items():
        checks = CHECKS.get(keyword)
        if checks is not None:
            checks(value, said, schema, root, path)


def matches(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether a value is what a schema says."""
    try:
        check(value, schema, root)
    except MisfitError:
        return False
    return True


def resolved(reference: Any, root: Mapping[str, Any]) -> Any:
    """What a reference within the schema leads to; an empty schema where it leads nowhere."""
    found: Any = root
    if not isinstance(reference, str) or not reference.startswith("#"):
        return {}
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return {} if found is None else found


def _reference(value: Any, said: Any, _: Any, root: Mapping[str, Any], path: str) -> None:
    check(value, resolved(said, root), root, path)


def _type(value: Any, said: Any, _: Any, __: Any, path: str) -> None:
    kinds = said if isinstance(said, list) else [said]
    if not any(TYPES[kind](value) for kind in kinds if kind in TYPES):
        raise MisfitError(f"expected {' or '.join(map(str, kinds))}, got {_kind(value)}", path)


def _kind(value: Any) -> str:
    return next((kind for kind, fits in TYPES.items() if kind != "integer" and fits(value)), type(value).__name__)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON is: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _enum(value: Any, said: Any, _: Any, __: Any, path: str) -> None:
    if not any(_same(value, each) for each in said):
        raise MisfitError(f"{value!r:.80} is none of {', '.join([repr(each) for each in said])[:200]}", path)


def _const(value: Any, said: Any, _: Any, __: Any, path: str) -> None:
    _enum(value, [said], None, None, path)


def _required(value: Any, said: Any, _: Any, __: Any, path: str) -> None:
    if isinstance(value, dict):
        for name in said:
            if name not in value:
                raise MisfitError(f"{name!r} is missing", path)


def _properties(value: Any, said: Any, _: Any, root: Mapping[str, Any], path: str) -> None:
    if isinstance(value, dict):
        for name, schema in said.items():
            if name in value:
                check(value[name], schema, root, f"{path}.{name}")


def _others(value: Any, said: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> None:
    if isinstance(value, dict) and "patternProperties" not in schema:
        for name in value:
            if name not in schema.get("properties", {}):
                if said is False:
                    raise MisfitError(f"there is no {name!r}", path)
                check(value[name], said, root, f"{path}.{name}")


def _items(value: Any, said: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> None:
    if isinstance(value, list):
        first = len(schema.get("prefixItems", ()))
        for index, item in enumerate(value[first:], first):
            check(item, said, root, f"{path}[{index}]")


def _first_items(value: Any, said: Any, _: Any, root: Mapping[str, Any], path: str) -> None:
    if isinstance(value, list):
        for index, (item, schema) in enumerate(zip(value, said, strict=False)):
            check(item, schema, root, f"{path}[{index}]")


def _any_of(value: Any, said: Any, _: Any, root: Mapping[str, Any], path: str) -> None:
    misfits: list[MisfitError] = []
    for schema in said:
        try:
            check(value, schema, root, path)
        except MisfitError as misfit:
            misfits.append(misfit)
        else:
            return
    if misfits:  # the one that came furthest
        raise max(misfits, key=lambda misfit: len(misfit.path))


def _one_of(value: Any, said: Any, schema: Any, root: Mapping[str, Any], path: str) -> None:
    _any_of(value, said, schema, root, path)
    if sum(matches(value, each, root) for each in said) > 1:
        raise MisfitError("fits more than one of the forms, and may fit one only", path)


def _all_of(value: Any, said: Any, _: Any, root: Mapping[str, Any], path: str) -> None:
    for schema in said:
        check(value, schema, root, path)


def _not(value: Any, said: Any, _: Any, root: Mapping[str, Any], path: str) -> None:
    if matches(value, said, root):
        raise MisfitError("is what it may not be", path)


def _bound(counts: type[list[Any] | str] | None, holds: Callable[[Any, Any], bool], words: str) -> Check:
    """A check of a number, or of how many there are in what ``counts`` says."""

    def check_bound(value: Any, said: Any, _: Any, __: Any, path: str) -> None:
        measured = len(value) if counts and isinstance(value, counts) else value
        if (isinstance(value, counts) if counts else _is_number(value)) and not holds(measured, said):
            raise MisfitError(f"{words} {said}, not {measured}", path)

    return check_bound


CHECKS: dict[str, Check] = {
    "$ref": _reference,
    "additionalProperties": _others,
    "allOf": _all_of,
    "anyOf": _any_of,
    "const": _const,
    "enum": _enum,
    "exclusiveMaximum": _bound(None, lambda value, said: value < said, "must be below"),
    "exclusiveMinimum": _bound(None, lambda value, said: value > said, "must be above"),
    "items": _items,
    "maxItems": _bound(list, lambda value, said: value <= said, "may have items: at most"),
    "maxLength": _bound(str, lambda value, said: value <= said, "may have characters: at most"),
    "maximum": _bound(None, lambda value, said: value <= said, "must be at most"),
    "minItems": _bound(list, lambda value, said: value >= said, "must have items: at least"),
    "minLength": _bound(str, lambda value, said: value >= said, "must have characters: at least"),
    "minimum": _bound(None, lambda value, said: value >= said, "must be at least"),
    "not": _not,
    "oneOf": _one_of,
    "prefixItems": _first_items,
    "properties": _properties,
    "required": _required,
    "type": _type,
}
"""The keywords that are held to, and what holds a value to each."""
