"""What stands between a call and whoever finds its credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from ...wire import Headers, HTTPRequest, WireReply
from .._auth import Secret, check_key
from .._spec import ProviderSpec

__all__ = ["Asked", "CredentialSource", "Credentials", "HeaderCredentials", "Outgoing"]


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """What a source is told: for whom credentials are wanted, and how it may ask the network for them."""

    spec: ProviderSpec
    carry: Callable[[HTTPRequest, float], WireReply]
    """Send a request, within so many seconds and what the call has left. It is the transport of the calls, with their
    proxies and certificates; raises TransportError."""


class Outgoing(Struct, frozen=True, kw_only=True, gc=False):
    """A request as it is about to be sent."""

    request: HTTPRequest
    host: str
    """The value that its Host header will have."""
    parts: Mapping[str, str]
    """What is known of the address: what the credentials need, and what the row leaves open."""
    at: float
    """Now, in seconds since the epoch."""


class Credentials(Protocol):
    """What a source has found. They show nothing of what they hold."""

    @property
    def parts(self) -> Mapping[str, str]:
        """What they know of the address: it counts where no variable says otherwise."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of the address without which they prove nothing."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What no error may show. The first tells these credentials from others."""
        ...

    def headers(self, outgoing: Outgoing, /) -> Headers:
        """The lines that prove who calls, names in lower case. Must not wait."""
        ...


class CredentialSource(Protocol):
    """Who finds credentials, and keeps them as long as they are good. Called from many threads at once."""

    def find(self, asked: Asked, /) -> Credentials:
        """Find them, or give those that are still good.

        Raises MissingKeyError where there are none, ConfigurationError where they are refused, and TransportError where
        that could not be asked; whatever else it raises is told by its kind alone.
        """
        ...


class HeaderCredentials:
    """Credentials that are header lines, the same for each request: a token, and what belongs to it.

    ``public`` are lines that may be shown. Raises ConfigurationError for a value that cannot stand in a header.
    """

    __slots__ = ("_lines", "_public", "parts")

    needs = ()

    def __init__(
        self,
        lines: Mapping[str, str],
        *,
        public: Mapping[str, str] | None = None,
        parts: Mapping[str, str] | None = None,
    ) -> None:
        self._lines = {name.lower(): Secret(check_key(value, f"the header {name}")) for name, value in lines.items()}
        self._public = tuple([(name.lower(), value) for name, value in (public or {}).items()])
        self.parts: Mapping[str, str] = dict(parts or {})

    def __repr__(self) -> str:
        return f"HeaderCredentials({', '.join(self._lines)})"

    def secrets(self) -> tuple[str, ...]:
        """The values, and a token without the word before it (``Bearer``)."""
        values = [line.reveal() for line in self._lines.values()]
        return tuple([value.rpartition(" ")[2] for value in values])

    def headers(self, outgoing: Outgoing, /) -> Headers:  # noqa: ARG002  # they are the same for each
        """The lines."""
        return (*[(name, line.reveal()) for name, line in self._lines.items()], *self._public)
