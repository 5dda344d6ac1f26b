"""Embeddings: what an answer of each format says, from its raw JSON, by the written convention of the format."""

from __future__ import annotations

import base64
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field

from .._reading import counted, leaves, whole_count
from ._json import object_in, objects_in, word
from ._mutable import MutableLeaves

__all__ = ["READERS", "VectorReader", "VectorReading"]

Vectors: TypeAlias = tuple[tuple[float, ...], ...]
Headers: TypeAlias = Mapping[str, str]
"""By their names in lower case."""


class VectorReading(Struct, kw_only=True):
    """What an answer says. ``rest`` are the leaves that must be kept, and no others may be."""

    vectors: Vectors
    id: str | None = None
    model: str | None = None
    """None where the format has no word for it."""
    reported: Any = None
    """The usage object as it was sent; where a header or a lone field says it, that by its name."""
    source: str = "missing"
    counts: Mapping[str, int] = {}
    rest: Counter[str] = field(default_factory=Counter)


class VectorReader(Struct, frozen=True, kw_only=True):
    """The reader of one format."""

    read: Callable[[Mapping[str, Any], Headers], VectorReading]
    is_answer: Callable[[Mapping[str, Any]], bool]
    MUTABLE: MutableLeaves


# Vectors.


def _numbers(value: Any, letter: str = "f") -> tuple[float, ...]:
    """A vector: its numbers, or the base64 of them, four bytes or one each."""
    if isinstance(value, str):
        data = base64.b64decode(value, validate=True)
        return tuple([float(number) for (number,) in struct.iter_unpack(f"<{letter}", data)])
    return tuple([float(number) for number in value])


def _by_index(data: Any) -> list[dict[str, Any]]:
    """The objects in the order of their own numbers, where these are 0, 1, 2 and so on."""
    items = objects_in(data)
    numbered = {item.get("index"): item for item in items}
    return [numbered[at] for at in range(len(items))] if {*numbered} == {*range(len(items))} else items


# Counts.


def _usage(tokens: Any, **parts: Any) -> dict[str, Any]:
    """Source and buckets of what was read. That texts had no token at all cannot be."""
    if tokens is None:
        return {}
    total = whole_count(tokens)
    said = {name: whole_count(count) for name, count in parts.items()}
    counts = {name: count for name, count in said.items() if count is not None}
    if not total or len(counts) < len(said) or sum(counts.values()) > total:
        return {"source": "suspect"}
    return {"source": "provider", "counts": {**counts, "input": total - sum(counts.values())}}


def _rest(answer: Mapping[str, Any], *named: str) -> Counter[str]:
    """The leaves of the fields that have no name in an EmbeddingResponse."""
    return counted(list(_leaves_beside(answer, named)))


def _leaves_beside(answer: Mapping[str, Any], named: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in answer.items():
        if name not in named and value not in (None, "", [], {}):
            yield from leaves(value, name)


# The formats.


def _openai(letter: str) -> Callable[[Mapping[str, Any], Headers], VectorReading]:
    def read(answer: Mapping[str, Any], _headers: Headers) -> VectorReading:
        usage = answer.get("usage")
        counts: dict[str, Any] = {}
        if isinstance(usage, dict):
            tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
            counts = _usage(tokens, cache_read=object_in(usage.get("prompt_tokens_details")).get("cached_tokens"))
        return VectorReading(
            vectors=tuple([_numbers(item.get("embedding"), letter) for item in _by_index(answer.get("data"))]),
            id=word(answer.get("id")),
            model=str(answer.get("model") or ""),
            reported=usage,
            rest=_rest(answer, "data", "id", "model", "object", "usage"),
            **counts,
        )

    return read


def _cohere(answer: Mapping[str, Any], headers: Headers) -> VectorReading:
    """Its own API states what is billed; Bedrock, where it stands under the same form, the tokens in a header."""
    rows = answer["embeddings"]
    if isinstance(rows, dict):
        rows = rows.get("float") or next(iter(rows.values()))
    billed = object_in(object_in(answer.get("meta")).get("billed_units"))
    text, image = billed.get("input_tokens"), billed.get("image_tokens")
    if not billed:
        counts = _usage(_counted_in_header(headers))
    elif text is None:
        counts = _usage(image, input_image=image) if image is not None else {}
    else:
        counts = _usage(text + (image or 0), input_image=image)
    reported = answer.get("meta") or _reported(_HEADER, _counted_in_header(headers))
    return VectorReading(
        vectors=tuple([_numbers(row) for row in rows]),
        id=word(answer.get("id")),
        reported=reported,
        rest=_rest(answer, "embeddings", "id", "meta", "response_type", "texts"),
        **counts,
    )


_HEADER = "x-amzn-bedrock-input-token-count"


def _counted_in_header(headers: Headers) -> Any:
    said = headers.get(_HEADER)
    return None if said is None else int(said)


def _reported(name: str, value: Any) -> dict[str, Any] | None:
    return None if value is None else {name: value}


def _titan(answer: Mapping[str, Any], _headers: Headers) -> VectorReading:
    return VectorReading(
        vectors=(_numbers(answer["embedding"]),),
        reported=_reported("inputTextTokenCount", answer.get("inputTextTokenCount")),
        rest=_rest(answer, "embedding", "embeddingsByType", "inputTextTokenCount"),
        **_usage(answer.get("inputTextTokenCount")),
    )


def _nova(answer: Mapping[str, Any], headers: Headers) -> VectorReading:
    return VectorReading(
        vectors=tuple([_numbers(entry["embedding"]) for entry in answer["embeddings"]]),
        reported=_reported(_HEADER, _counted_in_header(headers)),
        rest=_rest(answer, "embeddings"),
        **_usage(_counted_in_header(headers)),
    )


def _gemini(answer: Mapping[str, Any], _headers: Headers) -> VectorReading:
    entries = answer["embeddings"] if "embeddings" in answer else [answer["embedding"]]
    usage = object_in(answer.get("usageMetadata"))
    details = objects_in(usage.get("promptTokensDetails") or usage.get("promptTokenDetails"))
    by = {entry.get("modality"): entry.get("tokenCount") for entry in details}
    return VectorReading(
        vectors=tuple([_numbers(entry["values"]) for entry in entries]),
        reported=answer.get("usageMetadata"),
        rest=_rest(answer, "embedding", "embeddings", "usageMetadata"),
        **_usage(usage.get("promptTokenCount"), input_audio=by.get("AUDIO"), input_image=by.get("IMAGE")),
    )


def _predict(answer: Mapping[str, Any], _headers: Headers) -> VectorReading:
    entries = [each["embeddings"] for each in answer["predictions"]]
    statistics = [object_in(entry.get("statistics")) for entry in entries]
    told = [each.get("token_count") for each in statistics]
    counts = [count for count in told if isinstance(count, (int, float))]
    return VectorReading(
        vectors=tuple([_numbers(entry["values"]) for entry in entries]),
        reported={"token_count": told} if None not in told else None,
        rest=_rest(answer, "predictions") + counted(list(leaves(statistics))),
        **(_usage(sum(counts)) if len(counts) == len(told) else {}),
    )


def _ollama(answer: Mapping[str, Any], _headers: Headers) -> VectorReading:
    return VectorReading(
        vectors=tuple([_numbers(row) for row in answer["embeddings"]]),
        model=str(answer.get("model") or ""),
        reported=_reported("prompt_eval_count", answer.get("prompt_eval_count")),
        rest=_rest(answer, "embeddings", "model", "prompt_eval_count"),
        **_usage(answer.get("prompt_eval_count")),
    )


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda answer: any(isinstance(answer.get(name), (list, dict)) for name in names)


_UNREAD_IN_ERRORS = {
    "$.id": "an id of the request, not of its answer",
    "$.object": "that it is an error: the status says so",
    "$.raw_status_code": "the status says it",
    "$.error.status": "the status says it, and the code",
}


_UNREAD_IN_GOOGLES = {"$.error.code": "the status says it"}


def _mutable(in_errors: Mapping[str, str] = _UNREAD_IN_ERRORS, /, **unread: str) -> MutableLeaves:
    return MutableLeaves(
        unread={f"$.{path.replace('__', '[*].')}": why for path, why in unread.items()},
        unread_in_streams={},
        unread_in_errors=in_errors,
        unit=r"\$",
        growing=(),
        told=(),
    )


_OPENAI_LEAVES = _mutable(
    object="which kind of object: the request asked for it",
    data__object="which kind of object: the request asked for it",
    data__index="a number that is none of the order: they stand in their order",
)
_COHERE_LEAVES = _mutable(
    response_type="the form of the embeddings says it",
    texts="what was sent, in lower case",
)
_GOOGLE_LEAVES = _mutable(_UNREAD_IN_GOOGLES)
_AMAZON_LEAVES = _mutable(
    embeddingsByType="the same vector once more",
    embeddings__embeddingType="the request asked for it",
)

READERS: dict[str, VectorReader] = {
    "bedrock_cohere_embed": VectorReader(read=_cohere, is_answer=_has("embeddings"), MUTABLE=_COHERE_LEAVES),
    "cohere_embed": VectorReader(read=_cohere, is_answer=_has("embeddings"), MUTABLE=_COHERE_LEAVES),
    "gemini_batch_embed": VectorReader(read=_gemini, is_answer=_has("embeddings"), MUTABLE=_GOOGLE_LEAVES),
    "gemini_embed": VectorReader(read=_gemini, is_answer=_has("embedding"), MUTABLE=_GOOGLE_LEAVES),
    "mistral_embeddings": VectorReader(read=_openai("f"), is_answer=_has("data"), MUTABLE=_OPENAI_LEAVES),
    "nova_embed": VectorReader(read=_nova, is_answer=_has("embeddings"), MUTABLE=_AMAZON_LEAVES),
    "ollama_embed": VectorReader(read=_ollama, is_answer=_has("embeddings"), MUTABLE=_mutable()),
    "openai_embeddings": VectorReader(read=_openai("f"), is_answer=_has("data"), MUTABLE=_OPENAI_LEAVES),
    "perplexity_embeddings": VectorReader(read=_openai("b"), is_answer=_has("data"), MUTABLE=_OPENAI_LEAVES),
    "titan_embed": VectorReader(read=_titan, is_answer=_has("embedding"), MUTABLE=_AMAZON_LEAVES),
    "vertex_predict": VectorReader(read=_predict, is_answer=_has("predictions"), MUTABLE=_GOOGLE_LEAVES),
    "voyage_embeddings": VectorReader(read=_openai("f"), is_answer=_has("data"), MUTABLE=_OPENAI_LEAVES),
}
"""By the names of the formats."""
