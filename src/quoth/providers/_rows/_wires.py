"""What several rows say in the same words of their further wires."""

from __future__ import annotations

from .._spec import EmbeddingEndpoint, Endpoint

__all__ = ["EMBEDDINGS", "RESPONSES", "VERSION"]

EMBEDDINGS = (EmbeddingEndpoint(dialect="openai_embeddings"),)
"""Embeddings in OpenAI's format under the same base URL as Chat Completions, as a source says."""

RESPONSES = Endpoint(dialect="openai_responses")
"""Responses under the same base URL as Chat Completions."""

VERSION = (("anthropic-version", "2023-06-01"),)
"""What everyone who speaks Anthropic Messages takes, and Anthropic demands."""
