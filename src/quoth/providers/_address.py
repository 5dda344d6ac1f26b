"""Where a call goes and with which key: the two are chosen together, so that no key reaches a foreign host.

The base URL comes from the call, else the settings, else the provider's variables, else its row; the key from
the call, else the settings, else its variables. A base URL given in a call takes no key from elsewhere: a key
in the environment belongs to the provider, not to whatever host a caller names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from ..errors import ConfigurationError, MissingKeyError
from ._spec import ProviderSpec

__all__ = ["Address", "Given", "check_base_url", "check_key", "find_address", "is_loopback"]

_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]]+)(?P<port>:\d{1,5})?(?P<path>/[^\s?#]*)?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEMES = ("https", "http", "local")


class Given(Struct, frozen=True, kw_only=True, gc=False):
    """What one source says of an address: a call, or the settings. Its repr hides the key."""

    api_key: str | None = None
    base_url: str | None = None

    def __repr__(self) -> str:
        return f"Given(api_key={'...' if self.api_key else None}, base_url={self.base_url!r})"


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """A base URL and the key that may travel there (None: none is needed). Its repr hides the key."""

    base_url: str
    api_key: str | None

    def __repr__(self) -> str:
        return f"Address({self.base_url!r})"


def find_address(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> Address:
    """The address of one call. Raises MissingKeyError with the line that sets the key."""
    base_url = call.base_url or settings.base_url or _first(spec.base_url_variables, environment)
    if base_url is None:
        base_url = spec.base_url
    elif not (call.base_url or settings.base_url):
        base_url = check_base_url(base_url, f"the environment variable {_name(spec.base_url_variables, environment)}")
    return Address(base_url=base_url, api_key=_find_key(spec, call, settings, environment))


def _find_key(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> str | None:
    if call.api_key:
        return call.api_key
    if call.base_url:
        _require_keyless(spec, call.base_url)
        return None
    if settings.api_key:
        return settings.api_key
    if settings.base_url:
        _require_keyless(spec, settings.base_url)
        return None
    key = _first(spec.key_variables, environment)
    if key is not None:
        return check_key(key, f"the environment variable {_name(spec.key_variables, environment)}")
    if spec.key_variables:
        raise _missing(spec)
    return None


def _require_keyless(spec: ProviderSpec, base_url: str) -> None:
    """A server on this machine needs no key; any other that was named without one is refused."""
    if spec.key_variables and not is_loopback(base_url):
        raise MissingKeyError(
            f"{spec.name}: the base URL {base_url} was given without a key; give its own with api_key=..., "
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


def _name(variables: tuple[str, ...], environment: Mapping[str, str]) -> str:
    return next(name for name in variables if environment.get(name))


def _first(variables: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    for name in variables:
        if value := environment.get(name):
            return value
    return None


def check_key(key: str, source: str) -> str:
    """The key without surrounding white space; raise ConfigurationError where it cannot stand in a header."""
    key = key.strip()
    if not key or _CONTROL.search(key) or not key.isascii():
        raise ConfigurationError(f"{source} holds no usable key: it is empty, or has a control or non-ASCII character")
    return key


def check_base_url(url: str, source: str) -> str:
    """The URL without a slash at its end; raise ConfigurationError, naming ``source``, where it is none.

    Plain ``http`` is for servers on this machine: a key would travel readable.
    """
    match = _URL.fullmatch(url)
    if match is None or match["scheme"] not in _SCHEMES or int((match["port"] or ":1")[1:]) not in range(1, 65536):
        raise ConfigurationError(
            f"{source} is no base URL: {_shown(url)!r}; expected https://host[:port]/path, without user or query"
        )
    if match["scheme"] == "http" and not is_loopback(url):
        raise ConfigurationError(f"{source} is plain http to another machine: {url!r}; use https")
    return url.rstrip("/")


def _shown(url: str) -> str:
    """A URL fit for an error: what may hold a password or a key is left out."""
    return re.sub(r"(?<=//)[^/@]*@|\?.*", "...", url)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by name or number."""
    match = _URL.match(url)
    host = match["host"] if match else ""
    return host in ("localhost", "[::1]") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))
