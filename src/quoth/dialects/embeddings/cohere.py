"""Cohere's embed: version 2 of its own API, and the body that Bedrock's InvokeModel takes for the same models.

Version 1 answers in the same forms. Sources: Cohere's reference of ``/v2/embed``, Amazon's of Cohere Embed 3 and 4,
both as of 2026-11, and recorded exchanges.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ... import _json
from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...types import Usage
from ...wire import WireReply, WireRequest
from .._kept import Wire, kept_fields
from .._posts import HEADERS
from ._amazon_usage import header_usage
from ._vectors import answer_of, input_usage, no_answer, read_vector, response_of

__all__ = ["COHERE", "INPUT_TYPES", "CohereFormat", "parse_usage"]

INPUT_TYPES = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
"""Its words for what a text is for; for ``similarity`` it has none."""

PRESUMED = "search_document"
"""What is sent where nothing was said: models since version 3 want to be told."""

ANSWER_FIELDS = frozenset({"embeddings", "id", "meta", "response_type", "texts"})


class CohereFormat(Struct, frozen=True, kw_only=True):
    """One of the two places where it is spoken."""

    name: str
    path: str
    hosted: bool = False
    """On Bedrock: the path names the model, a header the tokens, and no type of the vectors has to be asked for."""

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; a field in ``extra`` stands in place of our own."""
        changes: list[str] = []
        body: Wire = {} if self.hosted else {"model": request.model}
        if request.texts:
            body["texts"] = list(request.texts)
        body["input_type"] = _what_for(request, changes)
        if not self.hosted:
            body["embedding_types"] = ["float"]
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
            changes.append("dimensions sent as output_dimension")
        if request.truncate is not None:
            body["truncate"] = "END" if request.truncate else "NONE"
            changes.append(f"truncate sent as {body['truncate']}")
        body |= request.extra
        return WireRequest(path=self.path, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vectors, or not one for each text; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        found = [read_vector(item, element) for element, items in _rows(answer, reply) for item in items]
        usage = header_usage(reply) if self.hosted else parse_usage(answer.get("meta"))
        kept = kept_fields(answer, ANSWER_FIELDS)
        return response_of(self, reply, request, found, usage=usage, kept=kept, id=answer.get("id"))


def _what_for(request: EmbeddingRequest, changes: list[str]) -> str:
    if "input_type" in request.extra:
        return PRESUMED
    said = INPUT_TYPES.get(str(request.input_type))
    if said is None:
        changes.append(f"input_type sent as {PRESUMED!r}, because this wire wants one")
    elif said != request.input_type:
        changes.append(f"input_type sent as {said!r}")
    return said or PRESUMED


TYPES = {"float": "f", "base64": "f", "int8": "b", "uint8": "B", "binary": "b", "ubinary": "B"}
"""The types that vectors may come in, the one that is taken first where several were asked for."""


def _rows(answer: Wire, reply: WireReply) -> list[tuple[str, list[Any]]]:
    """The vectors as they stand: by type, or as a list where none was asked for."""
    embeddings = answer.get("embeddings")
    if isinstance(embeddings, list):
        return [("f", embeddings)]
    if isinstance(embeddings, dict):
        for name, element in TYPES.items():
            if isinstance(embeddings.get(name), list) and embeddings[name]:
                return [(element, embeddings[name])]
    raise no_answer(reply, "it has no embeddings")


def parse_usage(meta: object) -> Usage:
    """What is billed; never raises, whatever it is. Images that are billed by the piece are no tokens."""
    if not isinstance(meta, dict):
        return Usage(source="missing")
    billed = meta.get("billed_units")
    if not isinstance(billed, dict):
        return Usage(source="missing", reported=meta)
    text, image = billed.get("input_tokens"), billed.get("image_tokens")
    if not isinstance(text, (int, float)) or not isinstance(image, (int, float)):
        return input_usage(image if text is None else text, meta, input_image=image if text is None else None)
    return input_usage(text + image, meta, input_image=image)


COHERE: dict[str, CohereFormat] = {
    each.name: each
    for each in (
        CohereFormat(name="cohere_embed", path="/v2/embed"),
        CohereFormat(name="bedrock_cohere_embed", path="/model/{model}/invoke", hosted=True),
    )
}
"""Both by the names of their formats."""
