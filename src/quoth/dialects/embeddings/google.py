"""Google's embeddings: many texts a request at the Gemini API, one at Vertex, and Vertex' older ``predict``.

Sources: the references of ``batchEmbedContents`` and ``embedContent``, of Vertex' text embeddings API, as of 2026-11,
and recorded exchanges.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ... import _json
from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...errors import UnsupportedParameterError
from ...types import Usage
from ...wire import WireReply, WireRequest
from .._counts import whole_number
from .._kept import Wire, kept_fields
from .._posts import HEADERS
from ._vectors import answer_of, input_usage, no_answer, read_vector, response_of

__all__ = ["GOOGLE", "TASKS", "GeminiFormat", "PredictFormat", "parse_usage"]

TASKS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}
"""Its words for what a text is for; it has more, which ``extra`` can say."""

MODALITIES = {"AUDIO": "input_audio", "IMAGE": "input_image"}
"""The buckets of what is no text."""


class GeminiFormat(Struct, frozen=True, kw_only=True):
    """``batchEmbedContents``, or ``embedContent`` for one text."""

    name: str
    path: str
    single: bool = False
    may_truncate: bool = False
    """Whether there is a word for cutting what is too long, or for not doing so."""

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; the fields in ``extra`` are put into that of each text.

        Raises:
            UnsupportedParameterError: several texts where one is taken, or ``truncate`` where there is no word for it.
        """
        changes: list[str] = []
        shared = self._shared(request, changes)
        if self.single:
            if len(request.texts) > 1:
                raise UnsupportedParameterError(f"this wire takes one text a request, not {len(request.texts)}")
            body: Wire = {**_content(request.texts[0] if request.texts else ""), **shared}
        else:
            model = f"models/{request.model}"
            body = {"requests": [{"model": model, **_content(text), **shared} for text in request.texts]}
        return WireRequest(path=self.path, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def _shared(self, request: EmbeddingRequest, changes: list[str]) -> Wire:
        """What is said of each text alike."""
        shared: Wire = {}
        if request.input_type is not None:
            shared["taskType"] = TASKS[request.input_type]
            changes.append(f"input_type sent as taskType {shared['taskType']}")
        if request.dimensions is not None:
            shared["outputDimensionality"] = request.dimensions
            changes.append("dimensions sent as outputDimensionality")
        if request.truncate is not None:
            if not self.may_truncate:
                raise UnsupportedParameterError("truncate: the Gemini API has no word for it: leave it out")
            shared["autoTruncate"] = request.truncate
            changes.append("truncate sent as autoTruncate")
        return {**shared, **request.extra}

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vectors, or not one for each text; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        entries = [answer.get("embedding")] if self.single else answer.get("embeddings")
        if not isinstance(entries, list):
            raise no_answer(reply, "it has no embeddings")
        found = [read_vector(_values(entry)) for entry in entries]
        usage = parse_usage(answer.get("usageMetadata"))
        return response_of(self, reply, request, found, usage=usage, kept=kept_fields(answer, _GEMINI_FIELDS))


_GEMINI_FIELDS = frozenset({"embedding", "embeddings", "usageMetadata"})


def _content(text: str) -> Wire:
    return {"content": {"parts": [{"text": text}]}}


def _values(entry: Any) -> Any:
    return entry.get("values") if isinstance(entry, dict) else None


def parse_usage(reported: object) -> Usage:
    """Sort the metadata into buckets; never raises, whatever it is. ``gemini-embedding-001`` states none."""
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    details = reported.get("promptTokensDetails") or reported.get("promptTokenDetails")  # at Vertex, and at Gemini
    others: dict[str, object] = {}
    for each in details if isinstance(details, list) else ():
        bucket = MODALITIES.get(str(each.get("modality"))) if isinstance(each, dict) else None
        if bucket is not None:
            others[bucket] = each.get("tokenCount")
    return input_usage(reported.get("promptTokenCount"), reported, **others)


class PredictFormat:
    """``predict``: instances in, predictions out, each with its own count of tokens."""

    name = "vertex_predict"
    path = "/models/{model}:predict"

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; ``extra`` is put over the body, its ``parameters`` over ours."""
        changes: list[str] = []
        task: Wire = {}
        if request.input_type is not None:
            task = {"task_type": TASKS[request.input_type]}
            changes.append(f"input_type sent as task_type {task['task_type']}")
        parameters: Wire = {}
        if request.dimensions is not None:
            parameters["outputDimensionality"] = request.dimensions
            changes.append("dimensions sent as outputDimensionality")
        if request.truncate is not None:
            parameters["autoTruncate"] = request.truncate
            changes.append("truncate sent as autoTruncate")
        own = request.extra.get("parameters")
        parameters |= own if isinstance(own, dict) else {}
        body: Wire = {"instances": [{"content": text, **task} for text in request.texts], **request.extra}
        if parameters:
            body["parameters"] = parameters
        return WireRequest(path=self.path, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request. Whether a text was cut stands in ``provider_data``.

        Raises:
            ResponseParseError: the reply holds no vectors, or not one for each text; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        predictions = answer.get("predictions")
        if not isinstance(predictions, list):
            raise no_answer(reply, "it has no predictions")
        entries = [each.get("embeddings") if isinstance(each, dict) else None for each in predictions]
        statistics = [entry.get("statistics") if isinstance(entry, dict) else None for entry in entries]
        found = [read_vector(_values(entry)) for entry in entries]
        kept = kept_fields(answer, frozenset({"predictions"}))
        if any(statistics):
            kept["statistics"] = statistics
        return response_of(self, reply, request, found, usage=self.parse_usage(statistics), kept=kept)

    def parse_usage(self, statistics: list[Any]) -> Usage:
        """The sum of the counts; missing where one of them is."""
        said = [each.get("token_count") if isinstance(each, dict) else None for each in statistics]
        counts = [whole_number(count) for count in said if count is not None]
        read = [count for count in counts if count is not None]
        if len(counts) < len(said) or not said:
            return Usage(source="missing")
        return input_usage(sum(read) if len(read) == len(counts) else -1, {"token_count": said})


GOOGLE: dict[str, GeminiFormat | PredictFormat] = {
    "gemini_batch_embed": GeminiFormat(name="gemini_batch_embed", path="/v1beta/models/{model}:batchEmbedContents"),
    "gemini_embed": GeminiFormat(
        name="gemini_embed",
        path="/v1beta/models/{model}:embedContent",
        single=True,
        may_truncate=True,
    ),
    "vertex_predict": PredictFormat(),
}
"""All by the names of their formats."""
