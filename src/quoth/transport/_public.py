"""Fetching from an address that others wrote: over TLS, from the public internet only, within bounds.

Whoever can name an address can have a program ask what only that program can reach: its own machine, its network, the
credentials of its cloud. So:

- the name is looked up once, and the connection is made to the very addresses that were judged: a name that answers
  otherwise the second time (DNS rebinding) gains nothing, and however an address is spelled, the number is what counts;
- a name with one address that is not public is refused whole;
- each redirect is judged anew, and there are few;
- nothing of the environment counts, and nothing goes along: no proxy (which would look the name up itself), no cookie,
  no key, no referrer.

What is public is a table of ours, of IANA's registries of special-purpose addresses, because that of ``ipaddress``
changes with the version of Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from ..errors import InputError, TransportError
from ..wire import HTTPRequest
from ._blocking_connect import LONGEST_WAIT, Wire, connect, resolve
from ._clock import Deadline
from ._config import HTTPSettings, TLSSettings
from ._connecting import Address, Limit, Plan, broken
from ._http1 import Caps, ResponseReader, build_request
from ._tls import TLSContexts
from ._url import split_url

__all__ = ["Fetched", "afetch_public", "fetch_public", "is_public"]

Fetched: TypeAlias = tuple[bytes, str]
"""A body, and the URL that it came from after all redirects."""

MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_CONNECT_TIMEOUT = 5.0

_Network: TypeAlias = "IPv4Network | IPv6Network"


def _networks(text: str) -> tuple[_Network, ...]:
    return tuple([ip_network(each) for each in text.split()])


_NOT_PUBLIC = _networks(
    # https://www.iana.org/assignments/iana-ipv4-special-registry
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
    "224.0.0.0/4 "  # multicast
    "168.63.129.16/32 "  # Azure's own agent, for each of its machines
    # https://www.iana.org/assignments/iana-ipv6-special-registry, within what is global unicast
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
)
_GLOBAL = ip_network("2000::/3")
"""All that IANA has given out of IPv6. What lies outside is local, multicast, unspecified, or a form of IPv4."""
_MAPPED = _networks("::ffff:0:0/96 64:ff9b::/96")
"""IPv4 in IPv6: mapped, and as a NAT64 spells it (RFC 6052), which is how a network without IPv4 reaches it."""


def is_public(host: str) -> bool:
    """Whether an address, as getaddrinfo gives it, is one of the public internet."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if any(address in network for network in _MAPPED):
            address = IPv4Address(int(address) & 0xFFFFFFFF)
        elif address not in _GLOBAL:
            return False
    return not any(address in network for network in _NOT_PUBLIC)


Resolve: TypeAlias = Callable[[Plan, Limit], Sequence[Address]]


def fetch_public(
    url: str,
    *,
    timeout: float,
    most: int,
    allow: Callable[[str], bool] = is_public,
    look_up: Resolve = resolve,
    tls: TLSSettings | None = None,
) -> Fetched:
    """The body behind an https URL of the public internet, at most ``most`` bytes, within ``timeout`` seconds in all.

    ``allow`` judges each address, and ``look_up`` finds them: tests have their own. Raises InputError where it is
    refused or answered with anything but a 200, TransportError where it fails on the way.
    """
    deadline = Deadline(timeout)
    contexts = TLSContexts(tls or TLSSettings())
    left = MOST_REDIRECTS
    while True:
        plan, request = _planned(url)
        limit = Limit(_CONNECT_TIMEOUT, deadline, plan)
        addresses = look_up(plan, limit)
        if not addresses or not all(allow(str(address[4][0])) for address in addresses):
            raise InputError(f"{plan.origin} is not fetched: it is not, or not only, an address of the public internet")
        settings = HTTPSettings(caps=Caps(body=most))
        wire = connect(plan, limit, settings, contexts, addresses)
        try:
            location, body = _exchange(wire, plan, request, settings.caps, deadline)
        finally:
            wire.close()
        if location is None:
            return body, url
        if not left:
            raise InputError(f"{plan.origin} is not fetched: it redirects, after {MOST_REDIRECTS} redirects already")
        left -= 1
        url = _joined(url, location)


async def afetch_public(url: str, *, timeout: float, most: int) -> Fetched:  # noqa: ASYNC109  # as its twin
    """As ``fetch_public``, in a thread; one that is cancelled ends there by itself, within its timeout."""
    import asyncio

    return await asyncio.to_thread(fetch_public, url, timeout=timeout, most=most)


def _planned(url: str) -> tuple[Plan, bytes]:
    """The way to a URL and the request; nobody's proxy. Raises ConfigurationError or InputError."""
    origin, target = split_url(url)
    if not origin.secure:
        raise InputError(f"{origin} is not fetched over plain http: the URL must begin with https://")
    prefix = f"{target} HTTP/1.1\r\nhost: {origin.authority}\r\n"
    headers = (("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", "quoth"))
    data = build_request(HTTPRequest(method="GET", url=url, headers=headers), prefix)
    return Plan(origin=origin, proxy=None, prefix=prefix), data


def _exchange(wire: Wire, plan: Plan, request: bytes, caps: Caps, deadline: Deadline) -> tuple[str | None, bytes]:
    """Where the reply redirects to, or its body."""
    reader = ResponseReader(caps)
    reader.begin("GET")
    failure: OSError
    try:
        _send(wire, request, deadline)
        while not reader.head:
            _receive(wire, reader, deadline)
        location = _location(plan, reader)
        if location is not None:
            return location, b""
        pieces = []
        while not (reader.done and not reader.buffered):
            pieces.append(reader.take()) if reader.buffered else _receive(wire, reader, deadline)
        return None, b"".join(pieces)
    except TransportError:
        raise
    except OSError as error:
        failure = error
    raise broken(plan, failure, "read", "yes")


def _send(wire: Wire, data: bytes, deadline: Deadline) -> None:
    rest = memoryview(data)
    while rest:
        left = deadline.require("send", "maybe")
        rest = rest[wire.send(rest) :]
        if rest:
            wire.either(min(left, LONGEST_WAIT))


def _receive(wire: Wire, reader: ResponseReader, deadline: Deadline) -> None:
    data = wire.receive(deadline.require("read" if reader.got else "first_byte", "yes"))
    if data:
        reader.feed(data)
    elif data is not None:
        reader.eof()


def _location(plan: Plan, reader: ResponseReader) -> str | None:
    if reader.status in _REDIRECTS:
        found = next((value for name, value in reader.raw if name == b"location"), None)
        if found is not None:
            return found.decode("latin-1").strip()
    if reader.status != 200:
        raise InputError(f"{plan.origin} gave nothing: it answered with status {reader.status}")
    return None


def _joined(url: str, location: str) -> str:
    """The absolute URL that a redirect means, without its fragment."""
    from urllib.parse import urljoin

    try:
        return urljoin(url, re.sub(r"#.*", "", location))
    except ValueError:
        raise InputError("a redirect leads to an address that cannot be read") from None
