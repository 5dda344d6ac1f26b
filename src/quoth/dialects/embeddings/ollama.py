"""Ollama's own ``/api/embed``: the client half. Source: docs.ollama.com/api/embed as of 2026-11."""

from __future__ import annotations

from ... import _json
from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...types import Usage
from ...wire import WireReply, WireRequest
from .._kept import Wire, kept_fields
from .._posts import HEADERS
from ._vectors import answer_of, input_usage, no_answer, read_vector, response_of

__all__ = ["OLLAMA", "OllamaFormat", "parse_usage"]

ANSWER_FIELDS = frozenset({"embeddings", "model", "prompt_eval_count"})


class OllamaFormat:
    """Texts in, a list of vectors out; times in nanoseconds stand beside."""

    name = "ollama_embed"
    path = "/api/embed"

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request; a field in ``extra`` (``keep_alive``, ``options``) stands in place of our own."""
        changes: list[str] = []
        body: Wire = {"model": request.model}
        if request.texts:
            body["input"] = list(request.texts)
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.truncate is not None:
            body["truncate"] = request.truncate
        if request.input_type is not None:
            changes.append(f"input_type {request.input_type!r} left out: this wire has no word for it")
        body |= request.extra
        return WireRequest(path=self.path, headers=HEADERS, body=_json.encode(body), changes=tuple(changes))

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vectors, or not one for each text; ``body`` holds its beginning.
        """
        answer = answer_of(reply)
        embeddings = answer.get("embeddings")
        if not isinstance(embeddings, list):
            raise no_answer(reply, "it has no embeddings")
        found = [read_vector(item) for item in embeddings]
        kept = kept_fields(answer, ANSWER_FIELDS)
        usage = parse_usage(answer)
        return response_of(self, reply, request, found, usage=usage, kept=kept, model=answer.get("model"))


def parse_usage(answer: Wire) -> Usage:
    """The tokens that it evaluated; missing where all of them stood in its cache."""
    count = answer.get("prompt_eval_count")
    return input_usage(count, None if count is None else {"prompt_eval_count": count})


OLLAMA = {"ollama_embed": OllamaFormat()}
"""By the name of its format."""
