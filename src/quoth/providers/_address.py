"""Where a call goes and with which key: the two are chosen together, so that no key reaches a foreign host.

The base URL comes from the call, else the settings, else the provider's variables, else its row; the key from
the call, else the settings, else its variables. To the provider's own URL, the row's, any of these keys may go.
To another URL goes only a key of the same source: else whoever sets ``OPENAI_BASE_URL`` would be sent the key that
a program keeps, and whoever calls with a ``base_url`` the one in the environment. A server on this machine needs
no key, and may be sent one that a caller gave.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..errors import ConfigurationError, MissingKeyError
from ._auth import KeySource, check_key, read_key
from ._spec import ProviderSpec

__all__ = [
    "Address",
    "Given",
    "check_base_url",
    "check_key",
    "find_address",
    "first_set",
    "host_of",
    "is_loopback",
    "key_name",
]

_URL = (
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9a-f:.]+\]|\w[\w.-]*)(?P<port>:\d{1,5})?"
    r"(?P<path>/[\w.~!$&'()*+,;=:@%{}/-]*)?"
)
_SCHEMES = ("https", "http", "local")


class Given(Struct, frozen=True, kw_only=True, gc=False):
    """What one source says of an address: a call, or the settings. Its repr hides the key."""

    api_key: KeySource | None = None
    base_url: str | None = None

    def __repr__(self) -> str:
        return f"Given(api_key={'...' if self.api_key else None}, base_url={self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("base_url", self.base_url)]


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """A base URL and the key that may travel there (None: none is needed). Its repr hides the key."""

    base_url: str
    api_key: str | None

    def __repr__(self) -> str:
        return f"Address({self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("base_url", self.base_url)]


class _Found(Struct, frozen=True, gc=False):
    """A value and who gave it: ``rank`` orders the sources, the call first; ``source`` names it in errors."""

    value: str
    rank: int
    source: str

    def __repr__(self) -> str:
        return f"_Found({self.source})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("source", self.source)]


_CALL, _SETTINGS, _VARIABLE, _ROW = range(4)


def find_address(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> Address:
    """The address of one call. Raises MissingKeyError, with the line that sets the key, or ConfigurationError."""
    url = _find_url(spec, call, settings, environment)
    return Address(base_url=url.value, api_key=_permitted(spec, url, _find_key(spec, call, settings, environment)))


def _find_url(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> _Found:
    if call.base_url:
        return _Found(call.base_url, _CALL, "base_url")  # checked with the call's other options
    if settings.base_url:
        source = f"base_urls[{spec.name!r}] of the settings"
        return _Found(check_base_url(settings.base_url, source), _SETTINGS, source)
    if variable := first_set(spec.base_url_variables, environment):
        source = f"the environment variable {variable}"
        return _Found(check_base_url(environment[variable].strip(), source), _VARIABLE, source)
    return _Found(spec.base_url, _ROW, "")


def _find_key(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> _Found | None:
    if call.api_key:
        return _Found(read_key(call.api_key, "api_key"), _CALL, "api_key")
    if settings.api_key:
        source = key_name(spec)
        return _Found(read_key(settings.api_key, source), _SETTINGS, source)
    if variable := first_set(spec.key_variables, environment):
        source = f"the environment variable {variable}"
        return _Found(check_key(environment[variable], source), _VARIABLE, source)
    return None


def key_name(spec: ProviderSpec) -> str:
    """What errors call the key that the settings hold for a provider."""
    return f"api_keys[{spec.name!r}] of the settings"


def _permitted(spec: ProviderSpec, url: _Found, key: _Found | None) -> str | None:
    """The key that may go to this URL; None where none is needed. Raises MissingKeyError."""
    if key is not None and url.rank in (key.rank, _ROW):
        return key.value
    if is_loopback(url.value) or not spec.key_variables:
        return key.value if key is not None and key.rank < url.rank else None
    if key is not None and key.rank < url.rank:
        raise MissingKeyError(
            f"{spec.name}: {key.source} is not sent to {url.value}, which {url.source} names: give both together "
            "(base_url= beside api_key=), or neither",
            provider=spec.name,
        )
    if url.rank in (_VARIABLE, _ROW):
        raise _missing(spec)
    raise MissingKeyError(
        f"{spec.name}: the base URL {url.value} was given without a key; give its own with api_key=..., "
        f"because the key of {spec.name} is not sent to another host",
        provider=spec.name,
    )


def _missing(spec: ProviderSpec) -> MissingKeyError:
    hint = f" ({spec.hint})" if spec.hint else ""
    return MissingKeyError(
        f"{spec.name} needs a key: export {spec.key_variables[0]}=...{hint}; or pass api_key=...; "
        "or use the embedded model, which needs none: models('local/smollm2', ...)",
        provider=spec.name,
    )


def first_set(variables: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """The first of these variables that holds more than white space."""
    return next((name for name in variables if environment.get(name, "").strip()), None)


def check_base_url(url: str, source: str) -> str:
    """The URL in its plain form: scheme and host in lower case, no slash at its end.

    Raises ConfigurationError, naming ``source``, where it is none, or would send a key readable: plain ``http``
    is for servers on this machine.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    plain = f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/")
    match = re.fullmatch(_URL, plain)
    if match is None or match["scheme"] not in _SCHEMES or not 0 < int((match["port"] or ":1")[1:]) < 65536:
        raise ConfigurationError(
            f"{source} is no base URL{_shown(url)}; expected https://host[:port]/path, without user or query"
        )
    if match["scheme"] == "http" and not is_loopback(plain):
        raise ConfigurationError(f"{source} is plain http to another machine: {plain!r}; use https")
    return plain


def _shown(url: str) -> str:
    """A URL for an error; not where it may hold a password or a token."""
    return "" if any(mark in url for mark in "@?#") else f": {url[:200]!r}"


def host_of(url: str) -> str:
    """The host of a plain base URL, without its port."""
    match = re.fullmatch(_URL, url)
    return match["host"] if match else ""


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by name or number."""
    host = host_of(url)
    if host in ("localhost", "[::1]"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() and int(part) < 256 for part in parts)
