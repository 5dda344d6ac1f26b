"""What is in scope, and through which row: by the URL alone, never by an id.

The counts say how many exchanges of each known file are in scope on each wire. A known file with fewer than that
fails the run, so that nothing leaves the scope unseen; a file that is not known just runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ._files import Exchange
from ._rows import wire_of_row
from ._vectors import VectorWire, vector_wire_of
from ._wires import Wire, wire_at, wire_named

__all__ = ["IN_SCOPE", "missing", "out_of_scope", "wire_of"]

IN_SCOPE: Mapping[str, Mapping[str, int]] = {
    "anthropic-messages.jsonl": {"anthropic_messages": 279},
    "azure-openai.jsonl": {"openai_chat": 71, "openai_responses": 4, "openai_embeddings": 4},
    "bedrock-converse.jsonl": {"bedrock_converse": 140},
    "bedrock-invoke.jsonl": {"bedrock_invoke": 7, "titan_embed": 6, "nova_embed": 7, "bedrock_cohere_embed": 11},
    "bedrock-mantle.jsonl": {"openai_chat": 1, "openai_responses": 12},
    "cerebras.jsonl": {"openai_chat": 7},
    "cohere.jsonl": {"cohere_chat": 65, "cohere_embed": 13},
    "copilot.jsonl": {"openai_chat": 25, "openai_responses": 4},
    "deepseek.jsonl": {"openai_chat": 83, "openai_responses": 7},
    "doubleword.jsonl": {"openai_chat": 24, "openai_embeddings": 6},
    "errors.jsonl": {
        "openai_chat": 69, "openai_responses": 20, "anthropic_messages": 36, "bedrock_converse": 22, "cohere_chat": 1,
        "gemini": 20, "openai_embeddings": 8, "cohere_embed": 2, "mistral_embeddings": 2, "gemini_batch_embed": 1,
        "voyage_embeddings": 1,
    },
    "gemini-aux.jsonl": {"gemini_batch_embed": 10},
    "gemini.jsonl": {"gemini": 240},
    "groq.jsonl": {"openai_chat": 90},
    "huggingface.jsonl": {"openai_chat": 16},
    "local-openai-compatible.jsonl": {"openai_chat": 46, "openai_responses": 3, "openai_embeddings": 2},
    "misc-openai-compatible.jsonl": {"openai_chat": 13, "openai_responses": 18, "voyage_embeddings": 3},
    "mistral.jsonl": {"openai_chat": 107, "mistral_embeddings": 3},
    "ollama.jsonl": {"openai_chat": 21, "ollama_chat": 28},
    "openai-chat.jsonl": {"openai_chat": 260},
    "openai-embeddings.jsonl": {"openai_embeddings": 29},
    "openai-responses.jsonl": {"openai_responses": 240},
    "openrouter.jsonl": {"openai_chat": 125, "openai_responses": 1, "openai_embeddings": 3},
    "perplexity.jsonl": {"openai_chat": 23, "perplexity_embeddings": 2},
    "together.jsonl": {"openai_chat": 4},
    "venice.jsonl": {"openai_chat": 27, "openai_embeddings": 3},
    "vercel-gateway.jsonl": {"openai_chat": 54},
    "vertex.jsonl": {"gemini": 83, "gemini_embed": 1, "vertex_predict": 3},
    "xai.jsonl": {"openai_responses": 55},
    "zai.jsonl": {"openai_chat": 13},
}  # fmt: skip
"""By file and wire."""

OLD: Mapping[str, str] = {"/v1/chat": "chat of Cohere's API v1"}
"""Paths of what is not spoken any more, where no row knows the host's."""


def wire_of(exchange: Exchange) -> Wire | VectorWire | None:
    """The wire of an exchange, or None where it is out of scope."""
    if exchange.request is None or exchange.request.method != "POST":
        return None
    return wire_at(exchange.path) or wire_named(wire_of_row(exchange.request.url)) or vector_wire_of(exchange)


def out_of_scope(exchange: Exchange) -> str:
    """What an exchange without a wire of ours is, for the list of what was left out."""
    if exchange.request is None:
        return "a reply without its request"
    kind = OLD.get(exchange.path) or exchange.kind or exchange.path
    return kind if exchange.request.method == "POST" else f"{kind} ({exchange.request.method})"


def missing(file: str, found: Mapping[str, int], wires: Collection[str]) -> list[str]:
    """How many exchanges a known file has too few, by wire, in words."""
    return [
        f"{found.get(wire, 0)} exchanges in scope on {wire}, where {count} must be"
        for wire, count in IN_SCOPE.get(file, {}).items()
        if wire in wires and found.get(wire, 0) < count
    ]
