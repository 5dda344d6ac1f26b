"""Vectors and their counts, as all formats write them."""

from __future__ import annotations

from binascii import Error as Base64Error, a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ... import _json
from ...embeddings import EmbeddingRequest, EmbeddingResponse, Vector
from ...types import Usage
from ...wire import Headers, WireReply
from .._counts import whole_number
from .._kept import Wire
from .._replies import Replies

if TYPE_CHECKING:
    from . import EmbeddingClient

__all__ = [
    "JSON",
    "answer_of",
    "base64_of",
    "input_usage",
    "no_answer",
    "read_vector",
    "response_of",
    "whole_reply",
]

JSON: Headers = (("content-type", "application/json"),)

ELEMENTS = {"b": 1, "B": 1, "f": 4}
"""The bytes of one number, by the letter of ``struct``: signed and unsigned bytes, and floats, little end first."""


def read_vector(value: Any, element: str = "f") -> Vector | None:
    """A vector: a list of numbers, or a base64 text of them; None for what is none."""
    if isinstance(value, str):
        return _decoded(value, element)
    if not isinstance(value, list) or not value:
        return None
    kinds = set(map(type, value))
    if kinds == {float}:
        return tuple(value)
    return tuple(map(float, value)) if kinds <= {float, int} else None


def _decoded(text: str, element: str) -> Vector | None:
    try:
        data = a2b_base64(text, strict_mode=True)  # else what is none is passed over, and the vector another
    except (Base64Error, ValueError):
        return None
    count, rest = divmod(len(data), ELEMENTS[element])
    if rest or not count:
        return None
    numbers = unpack(f"<{count}{element}", data)
    return numbers if element == "f" else tuple(map(float, numbers))


def base64_of(vector: Vector, element: str = "f") -> str:
    """A vector as a base64 text, as far as ``element`` can say it."""
    numbers = vector if element == "f" else tuple(map(int, vector))
    return b2a_base64(pack(f"<{len(vector)}{element}", *numbers), newline=False).decode("ascii")


_REPLIES = Replies("the reply has no embeddings")
answer_of = _REPLIES.object_of
no_answer = _REPLIES.refused


def checked(vectors: Sequence[Vector | None], request: EmbeddingRequest, reply: WireReply) -> tuple[Vector, ...]:
    """The vectors, one a text. Raises ResponseParseError where one is missing, or which is whose cannot be told.

    A request whose inputs stand in ``extra`` (tokens, images) does not say how many there are.
    """
    read = [vector for vector in vectors if vector is not None]
    if len(read) != len(vectors):
        raise no_answer(reply, f"the vector at {vectors.index(None)} is none")
    if request.texts and len(read) != len(request.texts):
        raise no_answer(reply, f"it has {len(read)} vectors for {len(request.texts)} texts")
    return tuple(read)


def response_of(
    client: EmbeddingClient,
    reply: WireReply,
    request: EmbeddingRequest,
    vectors: Sequence[Vector | None],
    *,
    usage: Usage,
    kept: Wire,
    **named: Any,
) -> EmbeddingResponse:
    """An answer, its vectors checked. ``named`` are its id, and its model, where the wire has a word for these."""
    said = {name: value for name, value in named.items() if isinstance(value, str)}
    return EmbeddingResponse(
        vectors=checked(vectors, request, reply),
        model=said.get("model", "" if "model" in named else request.model),
        id=said.get("id") or None,
        usage=usage,
        provider_data={client.name: kept} if kept else {},
        body=reply.body,
    )


def input_usage(tokens: object, reported: Mapping[str, Any] | None, **others: object) -> Usage:
    """A usage of tokens that were read, ``others`` (cached ones, images, sound) among them, by bucket.

    ``missing`` where no count is stated; ``suspect`` where one cannot be, or says that nothing was read.
    """
    if tokens is None:
        return Usage(source="missing", reported=reported or None)
    total = whole_number(tokens)
    parts = {bucket: whole_number(count) for bucket, count in others.items() if count is not None}
    counts = {bucket: count for bucket, count in parts.items() if count is not None}
    plain = None if total is None or len(counts) < len(parts) else total - sum(counts.values())
    if plain is None or plain < 0 or not total:
        return Usage(source="suspect", reported=reported)
    return replace(Usage(input=plain, reported=reported), **counts)


def whole_reply(body: Wire) -> WireReply:
    """A reply that says this."""
    return WireReply(status=200, headers=JSON, body=_json.encode(body))
