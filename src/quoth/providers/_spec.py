"""ProviderSpec: everything that depends on who is spoken to, as one row of data."""

from __future__ import annotations

from msgspec import Struct

from ..wire import Headers, Quirks

__all__ = ["ProviderSpec", "Quirks"]


class ProviderSpec(Struct, frozen=True, kw_only=True, gc=False):
    """One provider. Adding one that speaks a known dialect is adding a row."""

    name: str
    """Canonical, lower case: the first part of ``provider/model``."""
    base_url: str
    """What a request's path is appended to; no slash at the end."""
    display_name: str = ""
    dialect: str = "openai_chat"
    aliases: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the key; the first that is set wins. None: no key is needed."""
    base_url_variables: tuple[str, ...] = ()
    """Environment variables that may replace ``base_url``; the first that is set wins."""
    auth_header: str = "authorization"
    auth_prefix: str = "Bearer "
    headers: Headers = ()
    """Always sent."""
    model_prefixes: tuple[str, ...] = ()
    """Beginnings of bare model ids that are this provider's own (``gpt-``)."""
    models_path: str | None = "/models"
    """Where it says which models it has, behind the base URL; None where nowhere."""
    default_model: str | None = None
    """What the command uses when it has this provider's key and no model was named."""
    quirks: Quirks = Quirks()
    price_namespace: str | None = None
    """The provider's name in the price table, where it differs from ``name``."""
    hint: str = ""
    """What to do when its key is missing, beside the ``export`` line."""

    @property
    def prices(self) -> str:
        """The provider's name in the price table."""
        return self.price_namespace or self.name
