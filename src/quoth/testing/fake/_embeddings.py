"""Vectors from a FakeProvider: which path asks for them, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import shake_128
from struct import unpack

from msgspec.structs import replace

from ...dialects.embeddings import FORMATS
from ...dialects.embeddings.server import EmbeddingServer, load_server_format
from ...embeddings import EmbeddingRequest, EmbeddingResponse, Vector
from ...types import Usage
from ...wire import Headers
from ._script import Fault
from ._wires import Reply, bare_reply, error_of, id_header, labelled, server_of, tokens

__all__ = ["EMBEDDING_PATHS", "errors_of", "format_of", "format_server", "spell_vectors", "vector_of"]

EMBEDDING_PATHS: Mapping[str, str] = {
    r"/embeddings": "openai_embeddings",
    r"/v[12]/embed": "cohere_embed",
    r"/api/embed": "ollama_embed",
    r":batchEmbedContents": "gemini_batch_embed",
    r":embedContent": "gemini_embed",
    r":predict": "vertex_predict",
    r"/model/[^/]*titan-embed[^/]*/invoke": "titan_embed",
    r"/model/[^/]*multimodal-embeddings[^/]*/invoke": "nova_embed",
    r"/model/[^/]*cohere\.embed[^/]*/invoke": "bedrock_cohere_embed",
}
"""How a path ends, as a pattern, and the format that is spoken there."""

DIMENSIONS = 8
"""The length of a vector where none is asked for: enough to tell texts apart, and to read."""

MOST_DIMENSIONS = 1 << 16


def format_of(path: str) -> str | None:
    """The format that is spoken at this path, or None."""
    path = path.rstrip("/")
    return next((name for end, name in EMBEDDING_PATHS.items() if re.search(f"{end}$", path)), None)


def errors_of(name: str) -> str:
    """The dialect in whose words the errors of a format are."""
    return FORMATS[name].errors


@cache
def format_server(name: str) -> EmbeddingServer:
    """The server half of a format, looked up once."""
    return load_server_format(name)


def vector_of(text: str, dimensions: int = DIMENSIONS) -> Vector:
    """The vector of a text: always the same, of another text another; between -1 and 1, exact as a 32-bit float."""
    drawn = shake_128(text.encode("utf-8", "surrogatepass")).digest(2 * dimensions)
    return tuple([number / 32_768 for number in unpack(f"<{dimensions}h", drawn)])


def spell_vectors(name: str, request: EmbeddingRequest, fault: Fault, number: int) -> Reply:
    """The reply to a request, complete: what breaks it off comes later."""
    return labelled(_spelled(name, request, fault, number), fault)


def _spelled(name: str, request: EmbeddingRequest, fault: Fault, number: int) -> Reply:
    errors = errors_of(name)
    bare = bare_reply(fault)
    if bare is not None:
        return bare
    refusal = server_of(errors).build_error(error_of(errors, fault))
    if fault.refuses:
        return Reply.whole(refusal)
    reply = format_server(name).build_response(_ready(request, fault, number), request)
    named: Headers = ((id_header(errors), f"req_{number}"),)
    return Reply(status=reply.status, headers=reply.headers + named, pieces=[reply.body], error=refusal.body)


def _ready(request: EmbeddingRequest, fault: Fault, number: int) -> EmbeddingResponse:
    """The answer to a request, with what it leaves open filled in: its id, the model, what it used."""
    answer = fault.vectors
    if answer is None:
        dimensions = request.dimensions or _asked_elsewhere(request) or DIMENSIONS
        size = min(dimensions, MOST_DIMENSIONS)
        answer = EmbeddingResponse(vectors=tuple([vector_of(text, size) for text in request.texts]), model="")
    usage = answer.usage
    if not fault.usage:
        usage = Usage(source="missing")
    elif usage.source == "missing":
        usage = Usage(input=max(1, sum([tokens([text]) for text in request.texts])))
    return replace(answer, id=answer.id or f"fake-{number}", model=answer.model or request.model, usage=usage)


def _asked_elsewhere(request: EmbeddingRequest) -> int | None:
    """The length that others than OpenAI ask for at the path of OpenAI's format."""
    asked = request.extra.get("output_dimension")
    return asked if isinstance(asked, int) and asked > 0 else None
