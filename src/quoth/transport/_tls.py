"""TLS contexts: built late, once for each setting, and never under a shared lock.

On Linux one standard context serves every origin; it honours SSL_CERT_FILE and SSL_CERT_DIR. On macOS and
Windows the operating system judges certificates (truststore), with one context an origin, because truststore
holds its context's lock through a handshake step. There, too, SSL_CERT_FILE and a CA file of one's own come
first. Nothing switches verification off.
"""

from __future__ import annotations

import os
import sys
from threading import Lock
from typing import TYPE_CHECKING

from ..errors import APIConnectionError, ConfigurationError
from ._config import TLSSettings
from ._url import Origin

if TYPE_CHECKING:
    import ssl

__all__ = ["TLSContexts", "handshake_failed"]


_PLATFORM: str = sys.platform


class TLSContexts:
    """The contexts of one transport. Threads that race for the same one wait for a single construction (20 ms)."""

    __slots__ = ("_contexts", "_lock", "_settings")

    def __init__(self, settings: TLSSettings) -> None:
        self._settings = settings
        self.forget()

    def forget(self) -> None:
        """Start anew; for a forked child, whose locks may be held by threads that it does not have."""
        self._lock = Lock()
        self._contexts: dict[str, _Slot] = {}

    def get(self, origin: Origin) -> ssl.SSLContext:
        system = _judged_by_the_system(self._settings)
        key = str(origin) if system else ""
        with self._lock:
            slot = self._contexts.setdefault(key, _Slot())
        with slot.lock:
            if slot.context is None:
                slot.context = _build_system_context() if system else _build_context(self._settings.ca_file)
                _load_client_certificate(slot.context, self._settings)
            return slot.context


class _Slot:
    __slots__ = ("context", "lock")

    def __init__(self) -> None:
        self.lock = Lock()
        self.context: ssl.SSLContext | None = None


def _judged_by_the_system(settings: TLSSettings) -> bool:
    if _PLATFORM not in ("darwin", "win32"):
        return False
    return not (settings.ca_file or os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"))


def _build_context(ca_file: str | None) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ConfigurationError(f"the CA file {ca_file!r} cannot be read as PEM certificates") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _build_system_context() -> ssl.SSLContext:
    import ssl

    try:
        import truststore
    except ImportError:
        return _build_context(None)
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_client_certificate(context: ssl.SSLContext, settings: TLSSettings) -> None:
    if settings.client_certificate is None:
        return
    # A key that needs a password must not stop the program to ask for it on the terminal: answer with none.
    password = settings.client_key_password or ""
    loaded = False
    try:
        context.load_cert_chain(settings.client_certificate, settings.client_key, password)
        loaded = True
    except (OSError, ValueError):
        pass
    if not loaded:  # raised outside, so that no context of the error holds the password
        raise ConfigurationError(
            f"the client certificate {settings.client_certificate!r} or its key cannot be loaded:"
            " a wrong file, or a wrong password"
        )


def handshake_failed(origin: Origin, error: OSError) -> APIConnectionError:
    """What to raise for a failed handshake. Sending again does not help, unless the peer just hung up."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        reason = (
            f"its certificate is not trusted: {error.verify_message}"
            " (set SSL_CERT_FILE if your network has an authority of its own)"
        )
    else:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    retryable = not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return APIConnectionError(
        f"no TLS connection to {origin}: {reason}", phase="tls", sent="no", billed="no", retryable=retryable
    )
