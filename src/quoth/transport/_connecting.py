"""What both shells share in making a connection: the plan for a URL, the time limit, look-ups, CONNECT."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, TypeAlias

from msgspec import Struct

from ..errors import APIConnectionError, APITimeoutError, Phase, ProtocolError, Sent
from ._clock import Deadline, monotonic
from ._config import HTTPSettings
from ._http1 import Caps, ResponseReader
from ._proxy import Proxy, select_proxy
from ._url import Origin, split_url

__all__ = [
    "PLANS_KEPT",
    "RESEND_WITHIN",
    "STAGGER",
    "Address",
    "Limit",
    "PeerGoneError",
    "Plan",
    "Planner",
    "broken",
    "check_reply",
    "interleave",
    "look_up",
    "look_up_numeric",
    "not_connected",
    "not_looked_up",
    "prepare_socket",
    "read_tunnel_reply",
    "tunnel_reader",
    "tunnel_request",
]

STAGGER = 0.25
"""Seconds after which the next address is tried beside one that has not answered (RFC 8305, 5)."""

RESEND_WITHIN = 1.0
"""Seconds within which a kept connection must break, unanswered, to count as one that was already closed.

A peer that closed it while it was idle tells within one round trip. One that breaks later had time to work on
the request, which may have cost money: that is an error, and for the policy above to judge.
"""

PLANS_KEPT = 512
"""URLs whose way is remembered; beyond that, remembering begins anew."""

Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
"""As getaddrinfo gives it: family, type, protocol, canonical name, address."""


class PeerGoneError(Exception):
    """Between the functions of a shell, never outside: a kept connection was closed before it took this request."""


# Where a request goes.


class Plan(Struct, frozen=True, kw_only=True, gc=False):
    """How requests for one URL travel. Its repr shows neither the query nor the proxy's credentials."""

    origin: Origin
    proxy: Proxy | None
    prefix: str
    """Of the request head, after the method."""

    def __repr__(self) -> str:
        return f"Plan({self.key})"

    @property
    def key(self) -> str:
        """What connections are shared by."""
        return f"{self.origin.scheme}://{self.origin} by {self.proxy}"

    @property
    def host(self) -> str:
        return self.proxy.host if self.proxy else self.origin.host

    @property
    def port(self) -> int:
        return self.proxy.port if self.proxy else self.origin.port

    @property
    def tunnelled(self) -> bool:
        return self.proxy is not None and self.origin.secure

    @property
    def where(self) -> str:
        return f"the proxy {self.proxy}" if self.proxy else str(self.origin)

    def phase(self, phase: Phase) -> Phase:
        """Whatever fails on the way to a proxy fails in phase ``proxy``."""
        return "proxy" if self.proxy else phase


class Planner:
    """URLs and the plans made for them, once each. The environment is read when an origin is first met."""

    __slots__ = ("_plans", "_settings")

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self._plans: dict[str, Plan] = {}

    def plan(self, url: str) -> Plan:
        found = self._plans.get(url)
        if found is None:
            if len(self._plans) >= PLANS_KEPT:
                self._plans = {}
            found = self._plans[url] = self._make(url)
        return found

    def _make(self, url: str) -> Plan:
        origin, target = split_url(url)
        proxy = self._proxy_for(origin)
        lines = [f"{target} HTTP/1.1", f"host: {origin.authority}"]
        if proxy is not None and not origin.secure:
            lines[0] = f"http://{origin.authority}{lines[0]}"
            lines += _authorization(proxy)
        return Plan(origin=origin, proxy=proxy, prefix="\r\n".join(lines) + "\r\n")

    def _proxy_for(self, origin: Origin) -> Proxy | None:
        for plan in list(self._plans.values()):  # one origin keeps one route, though the environment may change
            if plan.origin == origin:
                return plan.proxy
        return select_proxy(origin, self._settings.proxies)


def _authorization(proxy: Proxy) -> list[str]:
    return [f"proxy-authorization: {proxy.authorization}"] if proxy.authorization else []


# How long it may take.


class Limit:
    """The time for making one connection: ``connect_timeout``, within the call's deadline."""

    __slots__ = ("_at", "_deadline", "_plan", "_seconds")

    def __init__(self, seconds: float, deadline: Deadline, plan: Plan) -> None:
        self._seconds = seconds
        self._at = monotonic() + seconds
        self._deadline = deadline
        self._plan = plan

    def left(self, phase: Phase) -> float:
        """Seconds left, more than none; raise DeadlineExceededError or APITimeoutError, naming the phase."""
        left = min(self._deadline.remaining(), self._at - monotonic())
        if left <= 0:
            raise self.passed(phase)
        return left

    def passed(self, phase: Phase) -> APITimeoutError:
        """What to raise when the time is over: the deadline's word, if it is the nearer one."""
        phase = phase if phase == "tls" else self._plan.phase(phase)
        if self._deadline.at <= self._at:
            return self._deadline.exceeded(phase, "no")
        return APITimeoutError(
            f"no connection to {self._plan.where} within {self._seconds:g} s: it stopped in phase {phase}",
            phase=phase,
            sent="no",
            billed="no",
        )


# Look-ups. getaddrinfo can be neither bounded nor interrupted, so a thread waits for it; the thread is a
# daemon and not one of asyncio's pool, whose end `asyncio.run` awaits.


def look_up_numeric(host: str, port: int) -> Sequence[Address] | None:
    """The address of a literal, without asking anyone; None for a name."""
    with suppress(OSError):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return None


def look_up(host: str, port: int, done: Callable[[Sequence[Address] | OSError], object]) -> None:
    """Look a name up in a thread of its own and hand the addresses, or the error, to ``done`` there."""

    def work() -> None:
        outcome: Sequence[Address] | OSError
        try:
            outcome = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        except OSError as error:
            outcome = error
        done(outcome)

    try:
        Thread(target=work, name="quoth-dns", daemon=True).start()
    except RuntimeError:  # no thread to be had: an answer without a bound is better than none
        work()


def interleave(addresses: Iterable[Address]) -> deque[Address]:
    """Addresses in the order to try them: the resolver's first family, then the families in turn (RFC 8305, 4)."""
    families: dict[int, deque[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], deque()).append(address)
    order: deque[Address] = deque()
    while families:
        for family in list(families):
            order.append(families[family].popleft())
            if not families[family]:
                del families[family]
    return order


_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
"""A model may think for minutes without a byte, and gateways forget silent connections after four to six."""


def prepare_socket(sock: socket.socket) -> None:
    """Set what a connected socket should have; a system that lacks an option is none the worse."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# Proxies.


def tunnel_request(plan: Plan) -> bytes:
    """The CONNECT that asks the proxy for a tunnel to the origin."""
    target = str(plan.origin)
    lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}"]
    if plan.proxy is not None:
        lines += _authorization(plan.proxy)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def tunnel_reader(caps: Caps) -> ResponseReader:
    """What reads the proxy's reply to CONNECT."""
    reader = ResponseReader(caps, phase="proxy", sent="no")
    reader.begin("CONNECT")
    return reader


def read_tunnel_reply(plan: Plan, reader: ResponseReader) -> None:
    """Raise unless the proxy has opened the tunnel. The reply's text is the proxy's, and stays out of the error."""
    if 200 <= reader.status < 300 and not reader.spoiled:
        return
    raise _refused(plan, reader.status)


def _refused(plan: Plan, status: int) -> APIConnectionError:
    hint = ": it wants other credentials" if status == 407 else ""
    return APIConnectionError(
        f"the proxy {plan.proxy} did not carry the request for {plan.origin} (status {status}){hint}",
        status=status,
        phase="proxy",
        sent="no",
        billed="no",
        retryable=status >= 500,
    )


# What is wrong with a reply before anyone reads it.


def check_reply(plan: Plan, reader: ResponseReader) -> None:
    """Raise for a redirect, which is never followed, and for a proxy that speaks in the origin's stead."""
    status = reader.status
    if status == 407 and plan.proxy is not None and not plan.tunnelled:
        raise _refused(plan, status)
    if 300 <= status < 400 and status != 304:
        location = next((value for name, value in reader.raw if name == b"location"), None)
        if location is not None:
            raise ProtocolError(
                f"{plan.origin} redirects to {_redirect_host(plan, location)} (status {status}); redirects are not"
                " followed, because a key belongs to one host: set base_url to the right address",
                status=status,
                phase="read",
            )


def _redirect_host(plan: Plan, location: bytes) -> str:
    text = location.decode("latin-1").strip()
    if text.startswith("//"):
        text = f"{plan.origin.scheme}:{text}"
    elif "://" not in text.partition("?")[0]:
        return f"another path of {plan.origin}"
    try:
        origin, _ = split_url(text.partition("#")[0])
    except ValueError:  # ConfigurationError: an address that nobody could follow
        return "an address that cannot be read"
    return f"{origin.scheme}://{origin.authority}"


# Errors.


def not_looked_up(plan: Plan, error: OSError) -> APIConnectionError:
    return APIConnectionError(
        f"the name {plan.host!r} cannot be looked up: {_reason(error)}",
        phase=plan.phase("dns"),
        sent="no",
        billed="no",
    )


def not_connected(plan: Plan, error: OSError, phase: Phase = "connect") -> APIConnectionError:
    return APIConnectionError(
        f"no connection to {plan.where}: {_reason(error)}", phase=plan.phase(phase), sent="no", billed="no"
    )


def broken(plan: Plan, error: BaseException | None, phase: Phase, sent: Sent) -> APIConnectionError:
    """A connection that broke with a request on it."""
    reason = _reason(error) if isinstance(error, OSError) else "closed"
    return APIConnectionError(
        f"the connection to {plan.origin} broke in phase {phase}: {reason}",
        phase=phase,
        sent=sent,
        billed="no" if sent == "no" else "maybe",
    )


def _reason(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", None) or type(error).__name__
