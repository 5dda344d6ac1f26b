"""HTTP over sockets, to set up: ``Settings(http=HTTPSettings(...))``, or a transport of your own from these."""

from __future__ import annotations

from typing import Any

from ._aio import AsyncHTTPTransport
from ._blocking import HTTPTransport
from ._config import HTTPSettings, Proxies, TLSSettings
from ._http1 import Caps

__all__ = ["AsyncHTTPTransport", "Caps", "HTTPSettings", "HTTPTransport", "Proxies", "TLSSettings"]


def __getattr__(name: str) -> Any:
    """``HTTPX2Transport`` and ``AsyncHTTPX2Transport``, where the extra ``httpx2`` is installed."""
    if name not in ("AsyncHTTPX2Transport", "HTTPX2Transport"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _httpx2

    return getattr(_httpx2, name)
