"""The provider that an exchange was recorded from, as a call to it would have it: found by the URL alone."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from ...dialects import ClientDialect
from ...providers import PROVIDERS, ProviderSpec
from ...providers._provider import Provider
from ...wire import Quirks, StreamEnd
from ._files import Exchange

__all__ = ["provider_of", "wire_of_row"]


class _Recorded(Provider):
    """A provider whose dialect is given, so that the checks can be shown a wrong one."""

    __slots__ = ("_client",)

    def __init__(self, spec: ProviderSpec, model: str, wire: str, client: ClientDialect) -> None:
        super().__init__(spec, model, dialect=wire)
        self._client = client

    @property
    def dialect(self) -> ClientDialect:
        return self._client


def wire_of_row(url: str) -> str | None:
    """The dialect that a row says is spoken at this URL; None where it is nobody's, or where the URL names the model.

    Such a URL says what stands in no body, and the server halves read bodies.
    """
    found = PROVIDERS.of_url(url)
    return found[1] if found and "{model}" not in found[0].wire(found[1]).path else None


def provider_of(exchange: Exchange, wire: str, client: ClientDialect) -> Provider:
    """The row of the URL, on this wire; one without departures where the URL is nobody's."""
    url = exchange.request.url if exchange.request else ""
    found = PROVIDERS.of_url(url)
    if found is None or wire not in found[0].dialects:
        # Nobody knows how streams end there: as this one does, so that it may be cut too.
        ends: StreamEnd = "done" if b"[DONE]" in exchange.reply.body else "finish_reason"
        quirks = Quirks(stream_end=ends if wire == "openai_chat" else "done")
        row = ProviderSpec(name=exchange.provider or "recorded", base_url=url, dialect=wire, quirks=quirks)
    else:
        row = found[0]
    provider = _Recorded(row, "", wire, client)
    provider.model = _model(exchange) or _model_of_url(provider.wire.path, url)
    return provider


def _model(exchange: Exchange) -> str:
    try:
        body = json.loads(exchange.request.body if exchange.request else b"")
    except ValueError:
        return ""
    return str(body.get("model") or "") if isinstance(body, dict) else ""


def _model_of_url(path: str, url: str) -> str:
    """The model that a URL names, where the row's path has a place for it (Azure's deployments)."""
    before, named, after = path.partition("{model}")
    pattern = rf"{re.escape(before)}([^/]+){re.escape(after)}(\?|$)"
    found = re.search(pattern, url) if named else None
    return unquote(found[1]) if found else ""
