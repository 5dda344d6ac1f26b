"""A JSON Schema as a provider accepts it, and the way back for the values that come of it.

Nothing is dropped in silence: a keyword that the provider does not take is said in words, in the description of the
value it is about; what cannot be said at all stands in ``unsayable``, and then the schema is asked for in another way.
The way back, ``restored``, is led by the schema as it was: a null in place of what may be left out is left out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from .. import _json
from ._checking import TYPES, resolved
from ._forms import Schema
from ._rules import Rules

__all__ = ["WRAPPED", "Rewritten", "restored", "rewrite", "wrapped"]

WRAPPED = "value"
"""The one property of the object in which a value is wrapped."""


class Rewritten(Struct, frozen=True, kw_only=True, gc=False):
    """A schema for one provider."""

    schema: Schema
    wrapped: bool
    unsayable: tuple[str, ...]
    """What it cannot say of this schema; where this is not empty, it cannot be held to it."""
    changes: tuple[str, ...]
    """What was done, in words."""


def rewrite(schema: Mapping[str, Any], rules: Rules) -> Rewritten:
    """Bring a schema to what the rules allow."""
    rewriting = _Rewriting(schema, rules)
    wraps = rules.object_root and not _is_object(schema)
    whole = rewriting.whole(wraps=wraps)
    return Rewritten(
        schema=whole,
        wrapped=wraps,
        unsayable=tuple(dict.fromkeys([*rewriting.unsayable, *_too_large(whole, rules)])),
        changes=tuple(rewriting.told(wraps=wraps)),
    )


def wrapped(schema: Mapping[str, Any]) -> Schema:
    """A schema as the one property of an object."""
    definitions = schema.get("$defs")
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    outer: Schema = {"type": "object", "properties": {WRAPPED: inner}, "required": [WRAPPED]}
    return {**outer, "$defs": definitions} if definitions else outer


def _is_object(schema: Mapping[str, Any]) -> bool:
    root = resolved(schema["$ref"], schema) if "$ref" in schema else schema
    return isinstance(root, Mapping) and root.get("type") == "object"


class _Rewriting:
    """One schema being rewritten, and what there is to say of it."""

    def __init__(self, schema: Mapping[str, Any], rules: Rules) -> None:
        self._schema = schema
        self._rules = rules
        self._in_words: dict[str, None] = {}
        self._nullable = False
        self.unsayable: list[str] = []

    def whole(self, *, wraps: bool) -> Schema:
        """The schema with its root as the rules want it, and with the definitions that are still referred to."""
        schema = self._schema
        definitions = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
        root: Mapping[str, Any] = {key: value for key, value in schema.items() if key not in definitions}
        if "$ref" in root:  # the root itself stands there, not where it is
            root = {**resolved(root["$ref"], schema), **{key: root[key] for key in root if key != "$ref"}}
        if not self._rules.recursive and _is_recursive(schema):
            self.unsayable.append("a type that holds itself")
        node = self.node(wrapped(root) if wraps else root)
        for place, named in definitions.items():
            used = _used(place, node, named)
            if used:
                node[place] = {name: self.node(named[name]) for name in named if name in used}
        return node

    def told(self, *, wraps: bool) -> Iterator[str]:
        """What was done to the schema, in words."""
        if wraps:
            yield f"output asked for as {{'{WRAPPED}': ...}}: only an object can be asked for"
        if self._nullable:
            yield "fields of the output that may be left out asked for, or null"
        if self._in_words:
            yield f"of the output's schema said in words only: {', '.join(self._in_words)}"

    def node(self, given: Any) -> Schema:
        """One schema, and those within it."""
        if not isinstance(given, Mapping):  # true, or false
            given = {} if given is not False else {"not": {}}
        rules, words = self._rules, list[str]()
        node: Schema = {}
        source = self._simplified(given)
        for keyword, said in source.items():
            if keyword in _ANNOTATIONS:
                continue
            if keyword in rules.without or said not in rules.kept.get(keyword, (said,)):
                words += self._word(keyword, said)
            else:
                node[keyword] = self._within(keyword, said)
        if rules.bare_references and "$ref" in node:
            node = {"$ref": node["$ref"]} if not source.get("description") else {"anyOf": [{"$ref": node["$ref"]}]}
        if not _says_kind(node) and "enum" in node:
            node = {"type": _kinds_of(node["enum"]), **node}
        if rules.typed and not _says_kind(node):
            self.unsayable.append("a value of any type")
        self._object(node)
        description = " ".join([*([source["description"]] if source.get("description") else []), *_bracketed(words)])
        if "$ref" in node and rules.bare_references:
            return node
        return {**_titled(source), **({"description": description} if description else {}), **node}

    def _simplified(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """In keywords that more providers know, where they mean the same."""
        without, node = self._rules.without, dict(given)
        if "oneOf" in node and "oneOf" in without and "anyOf" not in node:
            node["anyOf"] = node.pop("oneOf")
        if "const" in node and "const" in without:
            node["enum"] = [node.pop("const")]
        if "allOf" in node and "allOf" in without and len(node["allOf"]) == 1:
            only = node.pop("allOf")[0]
            node = {**only, **node} if isinstance(only, Mapping) else node
        if "prefixItems" in node and "prefixItems" in without:
            self._in_words["prefixItems"] = None
            return _as_one_kind(node)
        if node.get("items") is False:  # maxItems says it too
            del node["items"]
        return node

    def _within(self, keyword: str, said: Any) -> Any:
        if keyword in _OF_NAMES and isinstance(said, Mapping):
            return {name: self.node(schema) for name, schema in said.items()}
        if keyword in _OF_MANY and isinstance(said, list):
            return [self.node(schema) for schema in said]
        if keyword in _OF_ONE and isinstance(said, Mapping):
            return self.node(said)
        return said

    def _word(self, keyword: str, said: Any) -> list[str]:
        """A keyword in words; none for one that says nothing of the value."""
        if keyword in _SILENT:
            return []
        if keyword in _STRUCTURAL:
            self.unsayable.append(keyword)
            return []
        self._in_words[keyword] = None
        text = said if isinstance(said, str) else _json.encode(said).decode()
        return [_WORDS.get(keyword, f"{keyword}: {{}}").format(text)]

    def _object(self, node: Schema) -> None:
        """Close an object, and require all that it has."""
        rules, kind = self._rules, node.get("type")
        if kind != "object" and not (isinstance(kind, list) and "object" in kind):
            return
        properties = node.get("properties")
        if rules.closed:
            if properties is None or node.get("additionalProperties", True) not in (True, False):
                self.unsayable.append("an object with free keys")
            else:
                node["additionalProperties"] = False
        if rules.all_required and properties:
            required = node.get("required", [])
            for name, schema in properties.items():
                if name not in required and not accepts_null(schema, self._schema):
                    properties[name] = {"anyOf": [schema, {"type": "null"}]}
                    self._nullable = True
            node["required"] = list(properties)


_ANNOTATIONS = ("title", "description")
_SILENT = frozenset({
    "default", "discriminator", "examples", "example", "$schema", "$id", "$comment", "deprecated", "readOnly",
    "writeOnly",
})  # fmt: skip
_STRUCTURAL = frozenset({"allOf", "if", "then", "else", "dependentSchemas"})
"""Keywords that words in a description cannot stand for."""
_OF_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_OF_MANY = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_OF_ONE = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"})
_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matching {}",
    "format": "in the format {}",
    "contentEncoding": "encoded as {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "uniqueItems": "no item twice",
}
"""Keywords in words, with their value; others are named as they are."""


def _bracketed(words: list[str]) -> list[str]:
    return [f"({'; '.join(words)})"] if words else []


def _titled(source: Mapping[str, Any]) -> Schema:
    return {"title": source["title"]} if isinstance(source.get("title"), str) else {}


def _says_kind(node: Mapping[str, Any]) -> bool:
    return any(keyword in node for keyword in ("type", "anyOf", "oneOf", "allOf", "$ref", "const"))


def _kinds_of(values: list[Any]) -> Any:
    """The types of the values of an enum."""
    kinds = [next(kind for kind, fits in TYPES.items() if fits(value)) for value in values]
    found = list(dict.fromkeys(kinds))
    return found[0] if len(found) == 1 else found


def _as_one_kind(node: Mapping[str, Any]) -> Schema:
    """A tuple as an array of all the kinds that stand in it, with their order in words."""
    places = [place for place in node["prefixItems"] if isinstance(place, Mapping)]
    kinds = {_json.encode(_bare(place)): _bare(place) for place in places}
    rest = {key: value for key, value in node.items() if key not in ("prefixItems", "items")}
    order = ", ".join([str(place.get("title") or place.get("type") or "value") for place in places])
    described = " ".join([*([node["description"]] if node.get("description") else []), f"(in this order: {order})"])
    items = next(iter(kinds.values()), {"type": "null"}) if len(kinds) < 2 else {"anyOf": list(kinds.values())}
    return {**rest, "description": described, "items": items}


def _bare(place: Mapping[str, Any]) -> Schema:
    return {key: value for key, value in place.items() if key not in ("title", "default")}


def accepts_null(schema: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether null is a value of a schema."""
    if not isinstance(schema, Mapping) or depth > 20:  # a circle of references
        return schema is True
    if "$ref" in schema:
        return accepts_null(resolved(schema["$ref"], root), root, depth + 1)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return any(accepts_null(each, root, depth + 1) for each in schema[keyword])
    if "enum" in schema:
        return None in schema["enum"]
    if "const" in schema:
        return schema["const"] is None
    kind = schema.get("type")
    return kind is None or kind == "null" or (isinstance(kind, list) and "null" in kind)


# References.


def _references(node: Any) -> Iterator[str]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            if isinstance(each.get("$ref"), str):
                yield each["$ref"]
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _used(place: str, node: Any, definitions: Mapping[str, Any]) -> set[str]:
    """The definitions to which something leads, from here or from each other."""
    head, used, waiting = f"#/{place}/", set[str](), [node]
    while waiting:
        for reference in _references(waiting.pop()):
            name = reference.removeprefix(head).replace("~1", "/").replace("~0", "~")
            if reference.startswith(head) and name in definitions and name not in used:
                used.add(name)
                waiting.append(definitions[name])
    return used


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether some definition, or the whole, leads back to itself."""
    for place in ("$defs", "definitions"):
        definitions = schema.get(place, {})
        if any(name in _used(place, each, definitions) for name, each in definitions.items()):
            return True
    return any(reference == "#" for reference in _references(schema))


def _too_large(schema: Schema, rules: Rules) -> Iterator[str]:
    """What of a schema is above the provider's limits."""
    depth, properties, values = _measured(schema)
    for most, count, words in (
        (rules.most_depth, depth, "levels of objects"),
        (rules.most_properties, properties, "properties"),
        (rules.most_enum, values, "values of enums"),
    ):
        if most is not None and count > most:
            yield f"{count} {words}, which is more than {most}"


def _measured(schema: Schema) -> tuple[int, int, int]:
    """How deep objects stand in each other, and how many properties and values of enums there are."""
    deepest = properties = values = 0
    waiting: list[tuple[Any, int]] = [(schema, 0)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, list):
            waiting += [(inner, depth) for inner in each]
        elif isinstance(each, Mapping):
            if isinstance(each.get("properties"), Mapping):
                depth += 1
                properties += len(each["properties"])
                deepest = max(deepest, depth)
            values += len(each["enum"]) if isinstance(each.get("enum"), list) else 0
            waiting += [(inner, depth) for inner in each.values()]
    return deepest, properties, values


# The way back.


def restored(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    """A value as the schema has it: without the nulls that stand for what was left out, with whole numbers whole."""
    if not isinstance(schema, Mapping):
        return value
    if "$ref" in schema:
        return restored(value, resolved(schema["$ref"], root), root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return restored(value, _branch(value, schema[keyword], root), root)
    if isinstance(value, dict):
        return _restored_object(value, schema, root)
    if isinstance(value, list):
        first, rest = schema.get("prefixItems", ()), schema.get("items")
        return [restored(each, first[index] if index < len(first) else rest, root) for index, each in enumerate(value)]
    if isinstance(value, float) and schema.get("type") == "integer" and value.is_integer():
        return int(value)
    return value


def _restored_object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    rest = schema.get("additionalProperties")
    return {
        name: restored(each, properties.get(name, rest), root)
        for name, each in value.items()
        if each is not None or name in required or name not in properties or accepts_null(properties[name], root)
    }


def _branch(value: Any, schemas: list[Any], root: Mapping[str, Any]) -> Any:
    """The first of several schemas that may be that of the value: by its type, and of objects by their tags."""
    return next((schema for schema in schemas if _may_be(value, schema, root)), None)


def _may_be(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if "$ref" in schema:
        return _may_be(value, resolved(schema["$ref"], root), root)
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if kind is not None and not any(TYPES[each](value) for each in kinds if each in TYPES):
        return False
    if not isinstance(value, dict):
        return True
    properties = schema.get("properties", {})
    tags = {name: each for name, each in properties.items() if isinstance(each, Mapping)}
    return all(name in value for name in schema.get("required", ())) and not any(
        (("enum" in tag and value[name] not in tag["enum"]) or ("const" in tag and value[name] != tag["const"]))
        for name, tag in tags.items()
        if name in value and value[name] is not None
    )
