"""HTTP over sockets, to set up: ``Settings(http=HTTPSettings(...))``, or a transport of your own from these."""

from ._aio import AsyncHTTPTransport
from ._blocking import HTTPTransport
from ._config import HTTPSettings, Proxies, TLSSettings
from ._http1 import Caps

__all__ = ["AsyncHTTPTransport", "Caps", "HTTPSettings", "HTTPTransport", "Proxies", "TLSSettings"]
