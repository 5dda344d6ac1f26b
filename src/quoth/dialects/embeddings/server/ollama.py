"""Ollama's own ``/api/embed``: the server half."""

from __future__ import annotations

from ....embeddings import EmbeddingRequest, EmbeddingResponse
from ....wire import WireReply, WireRequest
from ..._kept import Wire, overlay
from ..._requests import json_object
from .._vectors import whole_reply
from ._bodies import model_of, positive, take_texts

__all__ = ["OLLAMA_SERVERS", "OllamaServer"]


class OllamaServer:
    """The mirror of Ollama."""

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; ``keep_alive`` and others stand in its ``extra``.

        Raises:
            InputError: the body is no JSON object, or names no model.
        """
        body = json_object(request)
        model, truncate = model_of(body), body.get("truncate")
        if isinstance(truncate, bool):
            del body["truncate"]
        return EmbeddingRequest(
            model=model,
            texts=take_texts(body, "input"),
            dimensions=positive(body, "dimensions"),
            truncate=truncate if isinstance(truncate, bool) else None,
            extra=body,
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:  # noqa: ARG002  # one form
        """Spell the answer."""
        body: Wire = {"model": response.model, "embeddings": [list(vector) for vector in response.vectors]}
        usage = response.usage
        if usage.source == "provider":
            body["prompt_eval_count"] = usage.total_input
        elif usage.reported:
            body |= usage.reported
        return whole_reply(overlay(body, response.provider_data.get("ollama_embed") or {}))


OLLAMA_SERVERS = {"ollama_embed": OllamaServer()}
"""By the name of its format."""
