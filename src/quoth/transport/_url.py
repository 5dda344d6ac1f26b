"""An absolute http or https URL, taken apart and checked; nothing of it is repaired silently."""

from __future__ import annotations

import socket
from re import IGNORECASE, compile as compile_regex

from msgspec import Struct

from ..errors import ConfigurationError

__all__ = ["Origin", "split_url"]

_URL = compile_regex(r"(https?)://([^/?#\\]*)((?:[/?][!-~]*)?)", IGNORECASE)
_AUTHORITY = compile_regex(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_LABEL = compile_regex(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORTS = {"http": 80, "https": 443}


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """Whom to talk to. Its text names the host and nothing secret."""

    scheme: str
    host: str
    """A name in ASCII, an IPv4 address, or an IPv6 address without brackets."""
    port: int

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """As the Host header spells it: without the scheme's own port."""
        return self.bracketed if self.port == _PORTS[self.scheme] else f"{self.bracketed}:{self.port}"

    def __str__(self) -> str:
        return f"{self.bracketed}:{self.port}"


def split_url(url: str) -> tuple[Origin, str]:
    """The origin of a URL, and its request target (path and query).

    Raise ConfigurationError for anything but an absolute http or https URL in ASCII (a host may be
    international), without user information and without a fragment. The message shows no path and no query.
    """
    match = _URL.fullmatch(url)
    if match is None or "#" in match[3]:
        raise ConfigurationError(
            f"not a URL to send to: {_public_part(url)!r}; it must be http:// or https://,"
            " with every space and special character percent-encoded, and without a fragment"
        )
    target = match[3] or "/"
    return split_authority(match[1].lower(), match[2]), target if target[0] == "/" else "/" + target


def split_authority(scheme: str, authority: str) -> Origin:
    """The origin that ``host[:port]`` names."""
    if "@" in authority:
        raise ConfigurationError(
            f"the URL of {authority.rpartition('@')[2]!r} holds a user name or password; pass a key instead"
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ConfigurationError(f"{authority!r} is no host of a URL")
    port = int(match[3]) if match[3] else _PORTS[scheme]
    if not 0 < port < 65536:
        raise ConfigurationError(f"{authority!r} names no port between 1 and 65535")
    host = _check_ipv6(match[1]) if match[1] else _check_name(match[2])
    return Origin(scheme=scheme, host=host, port=port)


def _check_ipv6(host: str) -> str:
    try:
        packed = socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        raise ConfigurationError(f"[{host}] is no IPv6 address") from None
    return socket.inet_ntop(socket.AF_INET6, packed)


def _check_name(host: str) -> str:
    name = host.lower() if host.isascii() else _to_idna(host)
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ConfigurationError(f"{host!r} is no host name")
    return name


def _to_idna(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ConfigurationError(f"{host!r} is no host name") from None


def _public_part(url: str) -> str:
    """As much of a bad URL as may be shown: no query, no user information."""
    shown = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = shown.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"[:200]
