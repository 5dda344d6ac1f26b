"""Which proxy a request goes through, by the rules that curl and Go share.

HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in lower case first. HTTP_PROXY in capitals is not believed
where REQUEST_METHOD is set: under CGI a client sets it with a ``Proxy:`` header (httpoxy, CVE-2016-5385).
Loopback addresses are never sent to a proxy that the environment names; nor, over plain http, to one on another
machine, whoever names it, for the key would travel readable. Messages name a proxy's host or the variable, never
its URL, which may hold a password.
"""

from __future__ import annotations

import os
import sys
from binascii import b2a_base64
from collections.abc import Mapping
from re import compile as compile_regex

from msgspec import Struct

from ..errors import ConfigurationError
from ._config import Proxies
from ._url import Origin, split_authority

__all__ = ["Proxy", "bypasses", "environment_proxies", "parse_proxy", "select_proxy"]

_PROXY_URL = compile_regex(r"(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(?:([^@/]*)@)?([^@/]+)/?")
_PERCENT = compile_regex(rb"%([0-9A-Fa-f]{2})")
_WITH_SYSTEM_PROXIES = ("darwin", "win32")


class Proxy(Struct, frozen=True, kw_only=True, gc=False):
    """An HTTP proxy. Its repr shows no credentials."""

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_proxy(url: str, source: str) -> Proxy:
    """Read a proxy's URL; ``source`` is the setting or variable that an error names."""
    match = _PROXY_URL.fullmatch(url.strip())
    if match is None:
        raise ConfigurationError(f"{source} holds no URL of a proxy; it should read http://host:port")
    scheme, user_information, authority = match.groups()
    if scheme is not None and scheme.lower() != "http":
        raise ConfigurationError(
            f"{source} names a proxy by {scheme.lower()}://, and this transport speaks to proxies by http:// only;"
            " the httpx2 transport carries the others"
        )
    host = _parse_host(authority, source)
    return Proxy(host=host.host, port=host.port, authorization=_basic(user_information) if user_information else None)


def _parse_host(authority: str, source: str) -> Origin:
    try:
        return split_authority("http", authority)
    except ConfigurationError:
        pass
    raise ConfigurationError(f"{source} holds no URL of a proxy; it should read http://host:port")


def _basic(user_information: str) -> str:
    name, _, password = user_information.partition(":")
    pair = _unquote(name) + b":" + _unquote(password)
    return "Basic " + b2a_base64(pair, newline=False).decode("ascii")


def _unquote(text: str) -> bytes:
    return _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), text.encode())


def environment_proxies(environment: Mapping[str, str]) -> tuple[Proxies, bool]:
    """The proxies that the environment names, and whether the system's own bypass list holds too."""
    system = _system_proxies() if sys.platform in _WITH_SYSTEM_PROXIES else {}
    cgi = "REQUEST_METHOD" in environment
    http = environment.get("http_proxy") or (None if cgi else environment.get("HTTP_PROXY"))
    proxies = Proxies(
        http=http or _variable(environment, "all_proxy") or system.get("http"),
        https=_variable(environment, "https_proxy") or _variable(environment, "all_proxy") or system.get("https"),
        bypass=tuple((_variable(environment, "no_proxy") or "").replace(",", " ").split()),
    )
    return proxies, bool(system)


def _variable(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name) or environment.get(name.upper()) or None


def _system_proxies() -> dict[str, str]:
    from urllib.request import getproxies

    return getproxies()


def select_proxy(origin: Origin, settings: Proxies | None) -> Proxy | None:
    """The proxy for an origin: as set, or as the environment (or system) says."""
    if settings is not None:
        return _pick(origin, settings, "the proxies setting")
    found, system_bypass = environment_proxies(os.environ)
    if _is_loopback(origin.host) or (system_bypass and _system_bypasses(origin.host)):
        return None
    return _pick(origin, found, f"{origin.scheme.upper()}_PROXY or ALL_PROXY")


def _pick(origin: Origin, proxies: Proxies, source: str) -> Proxy | None:
    url = proxies.https if origin.secure else proxies.http
    if not url or bypasses(origin, proxies.bypass):
        return None
    proxy = parse_proxy(url, source)
    readable = not origin.secure and _is_loopback(origin.host)
    return None if readable and not _is_loopback(proxy.host) else proxy


def _system_bypasses(host: str) -> bool:
    from urllib.request import proxy_bypass

    return bool(proxy_bypass(host))


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "::1") or host.endswith(".localhost"):
        return True
    return host.startswith("127.") and host.replace(".", "").isdecimal()


def bypasses(origin: Origin, entries: tuple[str, ...]) -> bool:
    """Whether an entry of NO_PROXY covers the origin."""
    return any(_entry_covers(entry.lower(), origin) for entry in entries)


def _entry_covers(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _network_covers(entry, origin.host)
    name, port = _split_port(entry)
    if port and port != str(origin.port):
        return False
    host = origin.host.removesuffix(".")
    suffix = name.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(suffix) and (host == suffix or host.endswith("." + suffix))


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, port.removeprefix(":")
    if entry.count(":") > 1:
        return entry, ""  # a bare IPv6 address
    name, _, port = entry.partition(":")
    return name, port


def _network_covers(entry: str, host: str) -> bool:
    from ipaddress import ip_address, ip_network  # 5 ms to import, and few lists hold a network

    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False  # a name, or an entry that is no network: nobody's
