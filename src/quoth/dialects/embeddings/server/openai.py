"""``/embeddings`` as OpenAI has it, and as others spell it after OpenAI: the server halves."""

from __future__ import annotations

from msgspec import Struct

from ....embeddings import EmbeddingRequest, EmbeddingResponse, InputType
from ....types import Usage
from ....wire import WireReply, WireRequest
from ..._counts import reported_or_spelled
from ..._kept import Wire, overlay
from ..._requests import json_object
from .._vectors import base64_of, whole_reply
from ..openai import ELEMENTS, OPENAI, OpenAIFormat, parse_usage
from ._bodies import model_of, positive, take_texts
from ._words import word_of

__all__ = ["OPENAI_SERVERS", "OpenAIServer"]


class OpenAIServer(Struct, frozen=True, kw_only=True):
    """The mirror of one spelling."""

    format: OpenAIFormat

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; what has no name in an EmbeddingRequest, tokens too, stands in its ``extra``.

        Raises:
            InputError: the body is no JSON object, or names no model.
        """
        body, spelling = json_object(request), self.format
        model, texts = model_of(body), take_texts(body, "input")
        input_type: InputType | None = word_of(body, spelling.input_type, spelling.input_types)
        truncate = body.get(spelling.truncate) if spelling.truncate else None
        if isinstance(truncate, bool):
            del body[spelling.truncate]
        encoding = body.get(spelling.encoding)
        if encoding in ("float", "base64"):
            del body[spelling.encoding]
        return EmbeddingRequest(
            model=model,
            texts=texts,
            dimensions=positive(body, spelling.dimensions),
            input_type=input_type,
            truncate=truncate if isinstance(truncate, bool) else None,
            encoding=encoding if encoding in ("float", "base64") else None,
            extra=body,
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:
        """Spell the answer to a request: numbers, or base64 where that was asked for."""
        spelling = self.format
        element = ELEMENTS.get(str(request.extra.get("output_dtype")), spelling.element)
        coded = request.encoding == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64_of(vector, element) if coded else list(vector),
            }
            for index, vector in enumerate(response.vectors)
        ]
        body: Wire = {"object": "list", "data": data, "model": response.model}
        if response.id is not None:
            body["id"] = response.id
        usage = reported_or_spelled(response.usage, parse_usage, _spelled)
        if usage is not None:
            body["usage"] = usage
        return whole_reply(overlay(body, response.provider_data.get(spelling.name) or {}))


def _spelled(usage: Usage) -> Wire:
    total = usage.total_input
    spelled: Wire = {"prompt_tokens": total, "total_tokens": total}
    if usage.cache_read:
        spelled["prompt_tokens_details"] = {"cached_tokens": usage.cache_read}
    return spelled


OPENAI_SERVERS = {name: OpenAIServer(format=spelling) for name, spelling in OPENAI.items()}
"""By the names of their formats."""
