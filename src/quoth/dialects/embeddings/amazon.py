"""Amazon's own models on Bedrock's InvokeModel: Titan text embeddings and Nova multimodal embeddings, a text a request.

Sources: Amazon's pages of the bodies of Titan Embeddings and of Nova's embeddings schema as of 2026-11, and recorded
exchanges.
"""

from __future__ import annotations

from ... import _json
from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...errors import UnsupportedParameterError
from ...types import Usage
from ...wire import WireReply, WireRequest
from .._kept import Wire, kept_fields
from .._posts import HEADERS
from ._amazon_usage import header_usage
from ._vectors import answer_of, input_usage, read_vector, response_of

__all__ = ["AMAZON", "PURPOSES", "NovaFormat", "TitanFormat"]

PATH = "/model/{model}/invoke"


def _only(request: EmbeddingRequest) -> str:
    if len(request.texts) > 1:
        raise UnsupportedParameterError(f"this wire takes one text a request, not {len(request.texts)}")
    return request.texts[0] if request.texts else ""


class TitanFormat:
    """Titan: ``inputText`` in, ``embedding`` out."""

    name = "titan_embed"
    path = PATH

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; a field in ``extra`` (``normalize``) stands in place of our own.

        Raises:
            UnsupportedParameterError: several texts, or ``truncate``, which it cannot.
        """
        changes: list[str] = []
        body: Wire = {"inputText": _only(request)}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.input_type is not None:
            changes.append(f"input_type {request.input_type!r} left out: this wire has no word for it")
        if request.truncate:
            raise UnsupportedParameterError("truncate: Titan refuses a text that is too long, and cuts none")
        body |= request.extra
        return WireRequest(path=PATH, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vector; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        by_type = answer.get("embeddingsByType")
        vector = read_vector(answer.get("embedding"))
        if vector is None and isinstance(by_type, dict):
            vector = read_vector(by_type.get("float") or by_type.get("binary"))
        usage = self.parse_usage(answer, reply)
        return response_of(self, reply, request, [vector], usage=usage, kept=kept_fields(answer, _TITAN_FIELDS))

    def parse_usage(self, answer: Wire, reply: WireReply) -> Usage:
        """The count in the body, else the one in the header."""
        count = answer.get("inputTextTokenCount")
        return header_usage(reply) if count is None else input_usage(count, {"inputTextTokenCount": count})


_TITAN_FIELDS = frozenset({"embedding", "embeddingsByType", "inputTextTokenCount"})

PURPOSES = {
    "query": "GENERIC_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Nova's words for what a text is for; one of them must be said."""

PRESUMED = "GENERIC_INDEX"


class NovaFormat:
    """Nova: parameters of one embedding in, a list of one out."""

    name = "nova_embed"
    path = PATH

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; a field in ``extra`` stands in place of our own.

        Raises:
            UnsupportedParameterError: several texts.
        """
        changes: list[str] = []
        purpose = PURPOSES.get(request.input_type or "")
        why = "" if purpose else ", because this wire wants one"
        purpose = purpose or PRESUMED
        changes.append(f"input_type sent as embeddingPurpose {purpose}{why}")
        # Left out, a text that is too long is refused: the schema calls the field required.
        text: Wire = {"value": _only(request), "truncationMode": "END" if request.truncate else "NONE"}
        if request.truncate is not None:
            changes.append(f"truncate sent as truncationMode {text['truncationMode']}")
        parameters: Wire = {"embeddingPurpose": purpose, "text": text}
        if request.dimensions is not None:
            parameters["embeddingDimension"] = request.dimensions
            changes.append("dimensions sent as embeddingDimension")
        own = request.extra.get("singleEmbeddingParams")
        if isinstance(own, dict):
            told = own.get("text")
            parameters |= {**own, "text": {**text, **told} if isinstance(told, dict) else text}
        body: Wire = {"taskType": "SINGLE_EMBEDDING", **request.extra, "singleEmbeddingParams": parameters}
        return WireRequest(path=PATH, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vector; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        entries = answer.get("embeddings")
        found = [
            read_vector(entry.get("embedding")) if isinstance(entry, dict) else None
            for entry in (entries if isinstance(entries, list) else ())
        ]
        kept = kept_fields(answer, frozenset({"embeddings"}))
        return response_of(self, reply, request, found or [None], usage=header_usage(reply), kept=kept)


AMAZON: dict[str, NovaFormat | TitanFormat] = {"nova_embed": NovaFormat(), "titan_embed": TitanFormat()}
"""Both by the names of their formats."""
