"""What can be set about HTTP over sockets; the defaults are meant to be left alone."""

from __future__ import annotations

from msgspec import Struct

from ._http1 import Caps

__all__ = ["HTTPSettings", "Proxies", "TLSSettings"]


class TLSSettings(Struct, frozen=True, kw_only=True, gc=False):
    """Whom to trust and who we are, in files of PEM. Verification has no switch."""

    ca_file: str | None = None
    """Authorities to trust instead of the system's."""
    client_certificate: str | None = None
    client_key: str | None = None
    client_key_password: str | None = None

    def __repr__(self) -> str:
        return f"TLSSettings(ca_file={self.ca_file!r}, client_certificate={self.client_certificate!r})"


class Proxies(Struct, frozen=True, kw_only=True, gc=False):
    """Which proxy carries what. Its repr shows no URL, for a URL may hold a password."""

    http: str | None = None
    https: str | None = None
    bypass: tuple[str, ...] = ()
    """As in NO_PROXY: hosts, domains with everything below them, addresses, networks; with a port or without."""

    def __repr__(self) -> str:
        return f"Proxies(http={self.http is not None}, https={self.https is not None}, bypass={self.bypass!r})"


class HTTPSettings(Struct, frozen=True, kw_only=True, gc=False):
    """How connections are made and kept. Times are in seconds."""

    caps: Caps = Caps()
    connect_timeout: float = 5.0
    """For making one connection: look-up, connect, proxy and TLS together."""
    max_idle_seconds: float = 60.0
    max_connections: int = 1000
    """To one origin, in one event loop or in all threads together; further calls wait for a free one."""
    proxies: Proxies | None = None
    """None: as the environment says (on macOS and Windows also the system's settings)."""
    tls: TLSSettings = TLSSettings()
