"""Keys: where they come from, how they are kept, and how they travel, which is as one header.

A key is a value, a function that is asked at each call, or an environment variable. A ``Secret`` shows its value to
nobody but who calls ``reveal()``: no repr, no format, no pickle, no encoder and no crash report that walks over
attributes. A key is revealed once, when the request of a call is signed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NoReturn, TypeAlias, cast

from msgspec import Struct

from ..errors import ConfigurationError, InputTypeError, MissingKeyError
from ..wire import Headers
from ._spec import Wire

__all__ = [
    "EnvironmentKey",
    "KeySource",
    "Secret",
    "as_source",
    "auth_headers",
    "check_key",
    "is_signed_token",
    "read_key",
]

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


class Secret:
    """A text that is not shown: ``Secret("sk-...")``. Only ``reveal()`` gives it.

    Two secrets are compared in constant time; a secret never equals a plain str. It copies as itself and cannot be
    pickled: a process that needs the key reads it at its own source.
    """

    __slots__ = ("reveal",)

    reveal: Callable[[], str]
    """Give the text. The one way to it."""

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise InputTypeError(f"a Secret holds a str, not {type(value).__name__}")
        object.__setattr__(self, "reveal", lambda: value)  # in a closure, for what walks over attributes shows them

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __repr__(self) -> str:
        return "Secret(...)"

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(self.reveal().encode("utf-8", "replace"), other.reveal().encode("utf-8", "replace"))

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled: read the key where it is needed")


class EnvironmentKey(Struct, frozen=True, gc=False):
    """The key that an environment variable holds at the time of each call: ``EnvironmentKey("TEAM_KEY")``."""

    name: str

    def __post_init__(self) -> None:
        given: object = self.name  # a Struct takes any value
        if not isinstance(given, str) or not re.fullmatch(_VARIABLE, given):  # it may be the key itself: not shown
            raise ConfigurationError("EnvironmentKey takes the name of a variable, such as EnvironmentKey('TEAM_KEY')")


KeySource: TypeAlias = str | Secret | EnvironmentKey | Callable[[], str | Secret]
"""What may be given for a key. A function is asked at each call: inline, or in a thread under asyncio."""


def as_source(value: object, name: str) -> KeySource:
    """The source as it is kept: a plain str becomes a Secret.

    Raises InputTypeError or ConfigurationError, naming ``name`` and not the value, where it can be no key.
    """
    if isinstance(value, (str, Secret)):
        return Secret(check_key(value if isinstance(value, str) else value.reveal(), name))
    if isinstance(value, EnvironmentKey):
        return value
    if callable(value):
        return cast("Callable[[], str | Secret]", value)
    raise InputTypeError(
        f"{name} must be a str, a Secret, an EnvironmentKey or a function that gives the key, "
        f"not {type(value).__name__}"
    )


def read_key(source: KeySource, name: str) -> str:
    """The key itself, read now, fit for a header.

    Raises ConfigurationError, naming ``name``, where there is none or it cannot stand in a header.
    """
    if isinstance(source, str):
        return check_key(source, name)
    if isinstance(source, EnvironmentKey):
        return _from_variable(source.name, name)
    if isinstance(source, Secret):
        return check_key(source.reveal(), name)
    return _asked(source, name)


def _from_variable(variable: str, name: str) -> str:
    text = os.environ.get(variable, "")
    if not text.strip():
        raise MissingKeyError(f"{name} is the environment variable {variable}, which is not set: export {variable}=...")
    return check_key(text, f"the environment variable {variable}")


def _asked(function: Callable[[], str | Secret], name: str) -> str:
    """The key that a function gives now. What it raises may hold the key: only its kind is told, and no cause."""
    called = getattr(function, "__qualname__", type(function).__name__)
    failure = ""
    given: object = None
    try:
        given = function()
    except Exception as error:  # noqa: BLE001  # whatever it raises, the call cannot go on without a key
        failure = type(error).__name__
    if failure:  # raised out here, so that the error of the function is not its context
        raise ConfigurationError(f"{name}: the function {called}, which gives the key, raised {failure}")
    if isinstance(given, (str, Secret)):
        return check_key(given if isinstance(given, str) else given.reveal(), f"{name} (given by {called})")
    close = getattr(given, "close", None)
    if hasattr(given, "__await__") and callable(close):
        close()  # else Python warns of a coroutine that nobody awaited
    raise ConfigurationError(
        f"{name}: the function {called} must give the key as a str, and gave a {type(given).__name__}"
    )


def check_key(key: str, source: str) -> str:
    """The key without surrounding white space; raise ConfigurationError where it cannot stand in a header."""
    key = key.strip()
    if not (key.isascii() and key.isprintable() and key):
        raise ConfigurationError(f"{source} holds no usable key: it is empty, or has a control or non-ASCII character")
    return key


def auth_headers(wire: Wire, api_key: str | None, *, token: bool = False) -> Headers:
    """The header that proves who calls; none where the call needs no key. A token travels as tokens do."""
    if token and api_key:
        return (("authorization", f"Bearer {api_key}"),)
    return ((wire.auth_header, wire.auth_prefix + api_key),) if api_key else ()


def is_signed_token(key: str) -> bool:
    """Whether this is a token in the form of RFC 7515 (three parts) or RFC 7516 (five), which no key has."""
    return re.fullmatch(r"eyJ[\w-]+(\.[\w-]*){2}((\.[\w-]*){2})?", key) is not None
