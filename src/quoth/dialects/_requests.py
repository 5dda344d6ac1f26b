"""Reading the body of a request, for the server halves: each field that has a name, and the rest as it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .. import _json
from ..errors import InputError
from ..wire import WireRequest
from ._kept import Wire

__all__ = [
    "Fields",
    "flag",
    "json_object",
    "number",
    "object_in",
    "read_body",
    "read_fields",
    "stop_list",
    "stops",
    "whole",
]

Fields: TypeAlias = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""The fields of a body that a ModelRequest names, and how each is read: None for a value that is not ours."""


def json_object(request: WireRequest) -> Wire:
    """The JSON object that a body is. Raises InputError where it is none."""
    try:
        body = _json.decode(request.body)
    except ValueError:
        raise InputError("the request's body is no JSON") from None
    if not isinstance(body, dict):
        raise InputError("the request's body is no JSON object")
    return body


def read_body(request: WireRequest, *, instead: str = "") -> tuple[str, Wire]:
    """The model that a body names, and the body without it; "" where the field ``instead`` says more than a model.

    Raises:
        InputError: the body is no JSON object, or names no model.
    """
    body = json_object(request)
    model = body.pop("model", "" if body.get(instead) else None)
    if not isinstance(model, str):
        raise InputError("the request names no model: 'model' must be a string")
    return model, body


def read_fields(body: Wire, fields: Fields) -> tuple[Wire, Wire]:
    """What has a name in a ModelRequest, and what goes to its ``extra``, also a value of an odd type."""
    read: Wire = {}
    extra: Wire = {}
    for key, value in body.items():
        name, reader = fields.get(key, ("", _unnamed))
        typed = reader(value)
        if typed is not None:
            read[name] = typed
        elif value is not None or not name:
            extra[key] = value
    return read, extra


def _unnamed(_value: Any) -> None:
    return None


def flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def stops(value: Any) -> tuple[str, ...] | None:
    """One stop string or a list of them."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def stop_list(value: Any) -> tuple[str, ...] | None:
    """A list of stop strings, on wires where one alone is no list."""
    return None if isinstance(value, str) else stops(value)


def object_in(holder: Mapping[str, Any], name: str) -> Wire:
    """The object in a field; an empty one where there is none."""
    found = holder.get(name)
    return found if isinstance(found, dict) else {}
