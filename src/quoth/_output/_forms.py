"""A type, or a JSON Schema, as what an answer is asked for by and read with: a schema, and a decoder."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from .. import _json
from ..errors import InputError, InputTypeError
from ..types import OutputFormat
from ._checking import MisfitError, check

if TYPE_CHECKING:
    from ._rewriting import Rewritten

__all__ = ["Form", "Schema", "form_of"]

Schema = dict[str, Any]

MOST_FORMS = 256
"""Types that are remembered."""


class Form:
    """What ``output=`` was given, as a schema and a decoder. Made once for a type, used by many calls."""

    __slots__ = ("decode", "exact", "given", "name", "rewritten", "schema")

    def __init__(
        self,
        given: Any,
        schema: Schema,
        decode: Callable[[Any], Any],
        *,
        name: str = "",
        exact: OutputFormat | None = None,
    ) -> None:
        self.given = given
        self.schema = schema
        self.decode = decode
        """Give the value for plain JSON, or raise MisfitError."""
        self.name = _fit_name(name or str(schema.get("title", "")))
        self.exact = exact
        """Where an OutputFormat was given: it is sent as it stands."""
        self.rewritten: dict[str, Rewritten] = {}
        """The schema as providers accept it, by the name of their rules."""

    @property
    def format(self) -> OutputFormat:
        """What a request asks for, before it is known of whom."""
        return self.exact or OutputFormat(schema=self.schema, name=self.name)

    def __repr__(self) -> str:
        return shown(self.given)


def shown(given: Any) -> str:
    """A type as a message names it."""
    if isinstance(given, (Mapping, OutputFormat)):
        return "the schema"
    return given.__name__ if isinstance(given, type) and not get_args(given) else str(given)


def _fit_name(name: str) -> str:
    """As all providers take one: OpenAI's pattern is the narrowest."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "output"


def form_of(given: Any) -> Form:
    """The form of a type, of a JSON Schema as a dict, or of an OutputFormat.

    Raises InputTypeError for what is none, and where no schema can be made of it.
    """
    if isinstance(given, OutputFormat):
        return _of_schema(given, given.schema or {"type": "object"}, given)
    if isinstance(given, Mapping):
        return _of_schema(given, given, None)
    if given is None or isinstance(given, (str, bytes, int, float, list, tuple, set)):
        raise InputTypeError(
            f"output is a type such as a dataclass or list[int], or a JSON Schema as a dict, not {given!r:.80}"
        )
    try:
        return _of_type(given)
    except TypeError as error:
        if isinstance(error, InputError):
            raise
        return _made_of(given)  # it has no hash, so it is not remembered


@lru_cache(MOST_FORMS)
def _of_type(given: Any) -> Form:
    return _made_of(given)


def _made_of(given: Any) -> Form:
    if any(map(_is_pydantic, _within(given))):
        return _of_pydantic(given)
    try:
        (root,), components = msgspec.json.schema_components((given,), ref_template="#/$defs/{name}")
    except Exception as error:  # noqa: BLE001  # a type can be wrong in many ways: hints that do not resolve, clashes
        raise _no_schema(given, error) from None
    schema: Schema = {**root, "$defs": components} if components else dict(root)
    _add_names(schema, given)
    name = getattr(given, "__name__", "") if isinstance(given, type) and not get_args(given) else ""
    return Form(given, schema, _msgspec_decoder(given), name=name)


def _no_schema(given: Any, error: Exception) -> InputTypeError:
    first = str(error).strip().splitlines()
    return InputTypeError(
        f"output: no JSON Schema can be made of {shown(given)} ({type(error).__name__}: {first[-1] if first else ''})"
    )


# Types that msgspec knows.


def _msgspec_decoder(given: Any) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        try:
            return msgspec.convert(value, given, str_keys=True)
        except msgspec.ValidationError as error:
            words, _, path = str(error).partition(" - at `")
            raise MisfitError(words, path.rstrip("`") or "$") from None
        except Exception as error:  # noqa: BLE001  # the type's own __post_init__ may raise anything
            raise MisfitError(f"{type(error).__name__}: {error}") from None

    return decode


def _add_names(schema: Schema, given: Any) -> None:
    """Say in the schemas of named tuples, which are arrays, what each place is."""
    from msgspec import inspect

    definitions = schema.get("$defs", {})
    if not any("prefixItems" in each for each in definitions.values()):
        return
    for node in _nodes(inspect.type_info(given)):
        if isinstance(node, inspect.NamedTupleType):
            places = definitions.get(node.cls.__name__, {}).get("prefixItems", [])
            for place, field in zip(places, node.fields, strict=False):
                place.setdefault("title", field.name)


def _nodes(info: Any) -> Iterator[Any]:
    """All nodes of msgspec's description of a type; it may hold itself."""
    waiting, seen = [info], set[int]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting += node
        elif isinstance(node, msgspec.Struct) and id(node) not in seen:
            seen.add(id(node))
            waiting += [getattr(node, name) for name in node.__struct_fields__]
            yield node


# Models of pydantic. It is imported only where a type is one of its own.


def _within(given: Any) -> Iterator[Any]:
    """A type, its arguments, and the types of its fields as far as a model of pydantic may be among them."""
    waiting, seen = [given], list[Any]()
    while waiting:
        each = waiting.pop()
        if any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        waiting += get_args(each)
        if isinstance(each, type) and "pydantic" in sys.modules:
            with suppress(Exception):  # hints that do not resolve: msgspec says so in its own words
                waiting += get_type_hints(each).values()


def _is_pydantic(given: Any) -> bool:
    return isinstance(given, type) and hasattr(given, "__pydantic_validator__")


def _of_pydantic(given: Any) -> Form:
    from pydantic import TypeAdapter, ValidationError

    try:
        adapter: Any = TypeAdapter(given)
        schema = adapter.json_schema()
    except Exception as error:  # noqa: BLE001  # a model in a Struct, or a type that no JSON can be
        raise _no_schema(given, error) from None

    def decode(value: Any) -> Any:
        try:
            return adapter.validate_json(_json.encode(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise MisfitError(first["msg"], _path(first["loc"])) from None
        except Exception as error:  # noqa: BLE001  # a validator of the model may raise anything
            raise MisfitError(f"{type(error).__name__}: {error}") from None

    name = given.__name__ if _is_pydantic(given) else ""
    return Form(given, schema, decode, name=name)


def _path(steps: tuple[int | str, ...]) -> str:
    return "$" + "".join([f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps])


# Schemas as they are.


def _of_schema(given: Any, schema: Mapping[str, Any], exact: OutputFormat | None) -> Form:
    from copy import deepcopy

    own: Schema = dict(deepcopy(schema))
    try:
        _json.encode(own)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputTypeError(f"output: a JSON Schema is plain JSON ({error})") from None

    def decode(value: Any) -> Any:
        check(value, own, own)
        return value

    return Form(given, own, decode, name=exact.name or "" if exact else "", exact=exact)
