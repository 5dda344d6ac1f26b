"""Amazon's own models on Bedrock's InvokeModel: the server halves."""

from __future__ import annotations

from typing import Any

from ....embeddings import EmbeddingRequest, EmbeddingResponse
from ....errors import InputError
from ....wire import WireReply, WireRequest
from ..._kept import Wire, overlay
from ..._requests import json_object
from .._vectors import whole_reply
from ..amazon import PURPOSES
from ._bodies import positive, take_texts
from ._counted import counted_in_header
from ._words import word_of

__all__ = ["AMAZON_SERVERS", "NovaServer", "TitanServer"]


class TitanServer:
    """The mirror of Titan."""

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; ``normalize`` and others stand in its ``extra``. The path names the model.

        Raises:
            InputError: the body is no JSON object.
        """
        body = json_object(request)
        return EmbeddingRequest(
            model="", texts=take_texts(body, "inputText"), dimensions=positive(body, "dimensions"), extra=body
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:  # noqa: ARG002  # one form
        """Spell the answer: the vector twice, as Titan does, and its count in the body and in a header."""
        vector = list(response.vectors[0]) if response.vectors else []
        body: Wire = {"embedding": vector, "embeddingsByType": {"float": vector}}
        usage = response.usage
        if usage.source == "provider":
            body["inputTextTokenCount"] = usage.total_input
        elif (said := (usage.reported or {}).get("inputTextTokenCount")) is not None:
            body["inputTextTokenCount"] = said
        return counted_in_header(whole_reply(overlay(body, response.provider_data.get("titan_embed") or {})), usage)


class NovaServer:
    """The mirror of Nova."""

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; what has no name in an EmbeddingRequest stands in its ``extra``. The path names the model.

        Raises:
            InputError: the body asks for no single embedding of a text.
        """
        body = json_object(request)
        parameters: Any = body.pop("singleEmbeddingParams", None)
        text: Any = parameters.get("text") if isinstance(parameters, dict) else None
        if not isinstance(text, dict):
            raise InputError("the request asks for no embedding of a text: singleEmbeddingParams.text is no object")
        parameters, text = {**parameters}, {**text}
        del parameters["text"]
        if body.get("taskType") == "SINGLE_EMBEDDING":
            del body["taskType"]
        texts = take_texts(text, "value")
        truncate = {"END": True, "NONE": False}.get(str(text.get("truncationMode")))
        if truncate is not None:
            del text["truncationMode"]
        dimensions = positive(parameters, "embeddingDimension")
        input_type = word_of(parameters, "embeddingPurpose", PURPOSES)
        if text:
            parameters["text"] = text
        extra = {**body, "singleEmbeddingParams": parameters} if parameters else body
        return EmbeddingRequest(
            model="", texts=texts, dimensions=dimensions, input_type=input_type, truncate=truncate, extra=extra
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:  # noqa: ARG002  # one form
        """Spell the answer, its count in a header."""
        entries = [{"embeddingType": "TEXT", "embedding": list(vector)} for vector in response.vectors]
        body = overlay({"embeddings": entries}, response.provider_data.get("nova_embed") or {})
        return counted_in_header(whole_reply(body), response.usage)


AMAZON_SERVERS: dict[str, NovaServer | TitanServer] = {"nova_embed": NovaServer(), "titan_embed": TitanServer()}
"""By the names of their formats."""
