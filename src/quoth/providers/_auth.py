"""How a key travels: as one header, spelled by the provider's row."""

from __future__ import annotations

from ..wire import Headers
from ._spec import ProviderSpec

__all__ = ["auth_headers"]


def auth_headers(spec: ProviderSpec, api_key: str | None) -> Headers:
    """The header that proves who calls; none where the call needs no key."""
    return ((spec.auth_header, spec.auth_prefix + api_key),) if api_key else ()
