"""Who is spoken to: one row a provider, the table of rows, and turning ids and keys into a signed request."""

from ._registry import PROVIDERS, ProviderTable, register_provider
from ._spec import EmbeddingEndpoint, Endpoint, ProviderSpec, Quirks

__all__ = ["PROVIDERS", "EmbeddingEndpoint", "Endpoint", "ProviderSpec", "ProviderTable", "Quirks", "register_provider"]
