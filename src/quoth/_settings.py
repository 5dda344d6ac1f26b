"""Settings, and every environment variable in one table.

What a call says wins over the settings of its ModelsAPI, these over the environment, that over defaults.
The environment is read when a call needs it, never on import.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from .errors import ConfigurationError
from .transport import AsyncTransport, Transport

if TYPE_CHECKING:
    from .transport._config import HTTPSettings

__all__ = ["DEFAULT_TIMEOUT", "VARIABLES", "Settings", "flag", "named", "timeout_of", "variable"]

DEFAULT_TIMEOUT = 600.0
"""Seconds for one call, retries included, where nobody says otherwise; the official SDKs' default too."""

VARIABLES: dict[str, str] = {
    "QUOTH_MODEL": "the model that the command uses when none is named",
    "QUOTH_TIMEOUT": "seconds that one call may take in all (600)",
    "QUOTH_OFFLINE": "1: refuse everything that would use the network; the embedded model still answers",
    "QUOTH_PRICES": "your own prices: inline JSON, or a path (or several) to JSON or TOML files",
    "QUOTH_LOCAL_GGUF": "a path to other weights for the embedded model, in GGUF form",
    "QUOTH_LOCAL_THREADS": "threads that the embedded model computes with (1)",
}
"""The variables that quoth reads, besides the keys and base URLs of the providers' rows."""


class Settings(Struct, frozen=True, kw_only=True):
    """What one ModelsAPI was told; what is None falls to the environment, then to the default.

    ``api_keys`` and ``base_urls`` are by provider name. ``transport`` and ``async_transport`` carry every
    request to a network in place of quoth's own. Its repr shows no key.
    """

    timeout: float | None = None
    api_keys: Mapping[str, str] = msgspec.field(default_factory=dict)
    base_urls: Mapping[str, str] = msgspec.field(default_factory=dict)
    prices: str | None = None
    transport: Transport | None = None
    async_transport: AsyncTransport | None = None
    http: HTTPSettings | None = None
    """Of quoth's own transports: proxies, certificates, caps; see ``quoth.transport.http``."""

    def __repr__(self) -> str:
        shown = ", ".join([f"{name}={value}" for name, value in self.__rich_repr__()])
        return f"Settings({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        named = [("api_keys", sorted(self.api_keys)), ("base_urls", dict(self.base_urls))]
        return [("timeout", self.timeout), *named]


def named(values: Mapping[str, str], names: Iterable[str]) -> str | None:
    """The value under the first of these names that a mapping has, in any case: settings may name as ids do."""
    if not values:
        return None
    lowered = {name.lower(): value for name, value in values.items()}
    return next((lowered[name] for name in names if name in lowered), None)


def variable(name: str) -> str | None:
    """The variable's value without white space around it, or None where it is unset or empty."""
    return os.environ.get(name, "").strip() or None


def flag(name: str) -> bool:
    """Whether the variable says yes; raise ConfigurationError where it says neither yes nor no."""
    value = (variable(name) or "0").lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise ConfigurationError(f"the environment variable {name} is {value!r}; expected 1 or 0")


def timeout_of(settings: Settings) -> float:
    """The seconds that a call may take where it says nothing itself."""
    if settings.timeout is not None:
        return settings.timeout
    text = variable("QUOTH_TIMEOUT")
    if text is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"the environment variable QUOTH_TIMEOUT is {text!r}; expected seconds above 0")
    return seconds
