"""``/embeddings`` as OpenAI has it, and as others spell it after OpenAI: the client halves.

What differs between them are words, which a ``OpenAIFormat`` holds. Sources: the API references of OpenAI, Mistral,
Voyage, Jina and Perplexity as of 2026-11, and recorded exchanges of all but Jina.
"""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = ["OPENAI", "OpenAIFormat", "parse_usage"]

ANSWER_FIELDS = frozenset({"data", "id", "model", "object", "usage"})

ELEMENTS = {"float": "f", "int8": "b", "uint8": "B", "binary": "b", "ubinary": "B"}
"""What a base64 text holds, by the ``output_dtype`` that was asked for (Voyage, Mistral)."""


class OpenAIFormat(Struct, frozen=True, kw_only=True):
    """One spelling of it."""

    name: str
    path: str = "/embeddings"
    dimensions: str = "dimensions"
    """The field that asks for the length of a vector."""
    input_type: str = ""
    """The field that says what a text is for; empty where there is none."""
    input_types: Mapping[str, str] = {}
    truncate: str = ""
    """The field that says whether what is too long is cut; empty where nothing is, ever."""
    encoding: str = "encoding_format"
    element: str = "f"
    """What a base64 text holds, unless another type was asked for."""

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; a field in ``extra`` stands in place of our own.

        Raises:
            UnsupportedParameterError: ``truncate``, for a server that cuts nothing.
        """
        changes: list[str] = []
        body: Wire = {"model": request.model}
        if request.texts:
            body["input"] = list(request.texts)
        if request.dimensions is not None:
            body[self.dimensions] = request.dimensions
            if self.dimensions != "dimensions":
                changes.append(f"dimensions sent as {self.dimensions}")
        if request.input_type is not None:
            self._say_what_for(body, request.input_type, changes)
        if request.truncate is not None:
            self._say_truncate(body, changes, truncate=request.truncate)
        if request.encoding is not None:
            body[self.encoding] = request.encoding
        body |= request.extra
        return WireRequest(path=self.path, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def _say_what_for(self, body: Wire, input_type: str, changes: list[str]) -> None:
        said = self.input_types.get(input_type)
        if said is None:
            changes.append(f"input_type {input_type!r} left out: this wire has no word for it")
            return
        body[self.input_type] = said
        if (self.input_type, said) != ("input_type", input_type):
            changes.append(f"input_type sent as {self.input_type} {said!r}")

    def _say_truncate(self, body: Wire, changes: list[str], *, truncate: bool) -> None:
        if self.truncate:
            body[self.truncate] = truncate
            if self.truncate != "truncate":
                changes.append(f"truncate sent as {self.truncate}")
        elif truncate:
            raise UnsupportedParameterError(
                "truncate: this server refuses a text that is too long, and cuts none: shorten it, or leave it out"
            )

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vectors, or not one for each text; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        data = answer.get("data")
        if not isinstance(data, list):
            raise no_answer(reply, "it has no data")
        element = ELEMENTS.get(str(request.extra.get("output_dtype")), self.element)
        found = [read_vector(_of(item), element) for item in _in_order(data)]
        usage, kept = parse_usage(answer.get("usage")), kept_fields(answer, ANSWER_FIELDS)
        named = {"model": answer.get("model"), "id": answer.get("id")}
        return response_of(self, reply, request, found, usage=usage, kept=kept, **named)


def _of(item: Any) -> Any:
    return item.get("embedding") if isinstance(item, dict) else None


def _in_order(data: list[Any]) -> list[Any]:
    """The items by their own index, where each has one of its own; else as they came."""
    indexes = [item.get("index") if isinstance(item, dict) else None for item in data]
    if indexes == [*range(len(data))] or sorted(map(_number, indexes)) != [*range(len(data))]:
        return data
    return [item for _, item in sorted(zip(map(_number, indexes), data, strict=True), key=lambda pair: pair[0])]


def _number(index: Any) -> int:
    number = whole_number(index)
    return -1 if number is None else number


def parse_usage(reported: object) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is. Voyage and Jina state a total alone."""
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    tokens = reported.get("prompt_tokens")
    tokens = reported.get("total_tokens") if tokens is None else tokens
    details = reported.get("prompt_tokens_details")
    return input_usage(tokens, reported, cache_read=details.get("cached_tokens") if isinstance(details, dict) else None)


OPENAI: dict[str, OpenAIFormat] = {
    each.name: each
    for each in (
        OpenAIFormat(name="openai_embeddings"),
        OpenAIFormat(name="mistral_embeddings", dimensions="output_dimension"),
        OpenAIFormat(
            name="voyage_embeddings",
            dimensions="output_dimension",
            input_type="input_type",
            input_types={"query": "query", "document": "document"},
            truncate="truncation",
        ),
        OpenAIFormat(
            name="jina_embeddings",
            input_type="task",
            input_types={
                "query": "retrieval.query",
                "document": "retrieval.passage",
                "classification": "classification",
                "clustering": "separation",
                "similarity": "text-matching",
            },
            truncate="truncate",
            encoding="embedding_type",
        ),
        # It knows base64_int8, which is its default, and base64_binary; both read as bytes.
        OpenAIFormat(name="perplexity_embeddings", path="/v1/embeddings", element="b"),
    )
}
"""The spellings by the names of their formats."""
