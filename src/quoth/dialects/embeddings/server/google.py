"""Google's embeddings: the server halves."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ....embeddings import EmbeddingRequest, EmbeddingResponse, InputType
from ....errors import InputError
from ....types import Usage
from ....wire import WireReply, WireRequest
from ..._counts import reported_or_spelled
from ..._kept import Wire, overlay
from ..._requests import json_object
from .._vectors import whole_reply
from ..google import GOOGLE, MODALITIES, TASKS, GeminiFormat, parse_usage
from ._bodies import positive
from ._words import word_of

__all__ = ["GOOGLE_SERVERS", "GeminiServer", "PredictServer"]


class GeminiServer(Struct, frozen=True, kw_only=True):
    """The mirror of ``batchEmbedContents``, or of ``embedContent``."""

    format: GeminiFormat

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; what is said of all its texts and has no name stands in its ``extra``.

        Raises:
            InputError: the body holds no texts, or asks something else of one than of another.
        """
        body = json_object(request)
        requests: Any = [body] if self.format.single else body.get("requests")
        if not isinstance(requests, list) or not requests:
            raise InputError("the request holds no texts: 'requests' must be a list")
        read = [_one(each) for each in requests]
        texts, shared = [text for text, _ in read], read[0][1]
        if any(each != shared for _, each in read):
            raise InputError("the request asks something else of one text than of another")
        model = shared.pop("model", "")
        truncate = shared.get("autoTruncate") if self.format.may_truncate else None
        if isinstance(truncate, bool):
            del shared["autoTruncate"]
        return EmbeddingRequest(
            model=str(model).removeprefix("models/"),
            texts=tuple(texts),
            dimensions=positive(shared, "outputDimensionality"),
            input_type=word_of(shared, "taskType", TASKS),
            truncate=truncate if isinstance(truncate, bool) else None,
            extra=shared,
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:  # noqa: ARG002  # one form
        """Spell the answer."""
        entries = [{"values": list(vector)} for vector in response.vectors]
        body: Wire = {"embedding": entries[0]} if self.format.single else {"embeddings": entries}
        usage = reported_or_spelled(response.usage, parse_usage, _spelled)
        if usage is not None:
            body["usageMetadata"] = usage
        return whole_reply(overlay(body, response.provider_data.get(self.format.name) or {}))


def _one(request: Any) -> tuple[str, Wire]:
    """The text of one request, and the rest of it."""
    rest = {**request} if isinstance(request, dict) else {}
    content = rest.pop("content", None)
    parts = content.get("parts") if isinstance(content, dict) else None
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise InputError("each request holds one text: content.parts[0].text")
    return texts[0], rest


def _spelled(usage: Usage) -> Wire:
    counts = [("TEXT", usage.input), *[(name, getattr(usage, bucket)) for name, bucket in MODALITIES.items()]]
    details = [{"modality": name, "tokenCount": count} for name, count in counts if count]
    return {"promptTokenCount": usage.total_input, "promptTokensDetails": details}


class PredictServer:
    """The mirror of ``predict``."""

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; what is said of all its texts and has no name stands in its ``extra``.

        Raises:
            InputError: the body holds no texts, or asks something else of one than of another.
        """
        body = json_object(request)
        instances = body.pop("instances", None)
        if not isinstance(instances, list) or not all(_is_instance(each) for each in instances):
            raise InputError("the request holds no texts: each of 'instances' must have a content")
        tasks: set[InputType | None] = {word_of(each, "task_type", TASKS) for each in instances}
        if len(tasks) > 1 or any(each.keys() != {"content"} for each in instances):
            raise InputError("the request asks something else of one text than of another")
        parameters: Any = body.pop("parameters", None)
        parameters = {**parameters} if isinstance(parameters, dict) else {}
        dimensions, truncate = positive(parameters, "outputDimensionality"), parameters.get("autoTruncate")
        if isinstance(truncate, bool):
            del parameters["autoTruncate"]
        return EmbeddingRequest(
            model="",
            texts=tuple([each["content"] for each in instances]),
            dimensions=dimensions,
            input_type=next(iter(tasks), None),
            truncate=truncate if isinstance(truncate, bool) else None,
            extra={**body, "parameters": parameters} if parameters else body,
        )

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:  # noqa: ARG002  # one form
        """Spell the answer: each vector with its count, the first with what no other has."""
        kept: Wire = {**(response.provider_data.get("vertex_predict") or {})}
        statistics = kept.pop("statistics", None) or self._statistics(response)
        entries = [
            {"values": list(vector), **({"statistics": said} if said is not None else {})}
            for vector, said in zip(response.vectors, statistics, strict=True)
        ]
        return whole_reply(overlay({"predictions": [{"embeddings": entry} for entry in entries]}, kept))

    def _statistics(self, response: EmbeddingResponse) -> list[Wire | None]:
        count = len(response.vectors)
        if response.usage.source != "provider" or not count:
            return [None] * count
        each = response.usage.total_input // count
        first = response.usage.total_input - each * (count - 1)
        return [{"truncated": False, "token_count": number} for number in (first, *[each] * (count - 1))]


def _is_instance(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("content"), str)


GOOGLE_SERVERS: dict[str, GeminiServer | PredictServer] = {
    **{name: GeminiServer(format=each) for name, each in GOOGLE.items() if isinstance(each, GeminiFormat)},
    "vertex_predict": PredictServer(),
}
"""By the names of their formats."""
