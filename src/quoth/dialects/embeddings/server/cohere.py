"""Cohere's embed: the server halves."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ....embeddings import EmbeddingRequest, EmbeddingResponse
from ....types import Usage
from ....wire import WireReply, WireRequest
from ..._counts import reported_or_spelled
from ..._kept import Wire, overlay
from ..._requests import json_object
from .._vectors import whole_reply
from ..cohere import COHERE, INPUT_TYPES, CohereFormat, parse_usage
from ._bodies import model_of, positive, take_texts
from ._counted import counted_in_header
from ._words import word_of

__all__ = ["COHERE_SERVERS", "CohereServer"]

TRUNCATES = {"END": True, "NONE": False}


class CohereServer(Struct, frozen=True, kw_only=True):
    """The mirror of one of the two places where it is spoken."""

    format: CohereFormat

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; what has no name in an EmbeddingRequest, images too, stands in its ``extra``.

        Raises:
            InputError: the body is no JSON object, or names no model where the path does not.
        """
        body = json_object(request)
        model = "" if self.format.hosted else model_of(body)
        if body.get("embedding_types") == ["float"] and not self.format.hosted:
            del body["embedding_types"]
        truncate = TRUNCATES.get(str(body.get("truncate")))
        if truncate is not None:
            del body["truncate"]
        return EmbeddingRequest(
            model=model,
            texts=take_texts(body, "texts"),
            dimensions=positive(body, "output_dimension"),
            input_type=word_of(body, "input_type", INPUT_TYPES),
            truncate=truncate,
            extra=body,
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:
        """Spell the answer to a request, its vectors by type."""
        types: Any = request.extra.get("embedding_types")
        name = str(types[0]) if isinstance(types, list) and types else "float"
        whole = name in ("int8", "uint8", "binary", "ubinary")
        rows = [list(map(int, vector)) if whole else list(vector) for vector in response.vectors]
        body: Wire = {"id": response.id} if response.id is not None else {}
        body |= {"embeddings": {name: rows}, "response_type": "embeddings_by_type", "texts": list(request.texts)}
        if self.format.hosted:
            return counted_in_header(whole_reply(self._over(body, response)), response.usage)
        meta = reported_or_spelled(response.usage, parse_usage, _spelled)
        if meta is not None:
            body["meta"] = meta
        return whole_reply(self._over(body, response))

    def _over(self, body: Wire, response: EmbeddingResponse) -> Wire:
        return overlay(body, response.provider_data.get(self.format.name) or {})


def _spelled(usage: Usage) -> Wire:
    text = usage.total_input - usage.input_image
    return {"billed_units": {"input_tokens": text, "image_tokens": usage.input_image}}


COHERE_SERVERS = {name: CohereServer(format=each) for name, each in COHERE.items()}
"""By the names of their formats."""
