"""The flow of ``embed``: texts in batches, one after the other, and their answers as one.

How many texts and tokens one request may have, the row says. Nobody counts tokens here: one is taken for two bytes of
UTF-8, and usual text has more of them in each. A text that is too long by itself goes alone: the provider may know to
cut it.

The batches of a call go one after the other, so that one deadline, one gate and one record hold for all of them; who
wants more at once makes several calls. Where one fails for good, those that were answered are not lost: the error has
them as ``embedded``, and the record what they cost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Never

from msgspec.structs import replace

from ._accounting import account_vectors
from ._call import CallScope, ModelCall
from ._flow import Flow
from ._sending import send, told_of
from ._tries import ask
from .embeddings import EmbeddingRequest, EmbeddingResponse
from .errors import QuothError
from .providers._address import chat_root, is_foreign
from .providers._embedding import Embedder, advise_embedding, embedder_of
from .types import Cost, Usage

__all__ = ["batches", "embed"]

BYTES_A_TOKEN = 2


def embed(call: ModelCall, request: EmbeddingRequest, scope: CallScope) -> Flow[Never, EmbeddingResponse]:
    """The vectors of all texts, in their order."""
    spec, given = call.provider.spec, call.given
    foreign = is_foreign(spec, given, told_of(spec, scope.settings), os.environ)
    untold = given.base_url is not None and chat_root(spec) is None  # else the root that was given tells the wire
    embedder = embedder_of(call.provider, elsewhere=foreign or untold)
    advise_embedding(embedder, request, call.check)
    target, endpoint = replace(call, provider=embedder), embedder.endpoint
    answers: list[EmbeddingResponse] = []
    try:
        for start, end in batches(request.texts, endpoint.most_texts, endpoint.most_tokens):
            batch = replace(request, texts=request.texts[start:end])
            scope.approach(target)
            answer = yield from ask(target, scope, partial(_one_batch, embedder, batch))
            answers.append(account_vectors(answer, scope))
    except QuothError as error:
        if answers:
            error.embedded, error.billed = _as_one(answers, target, scope), "yes"
        raise
    if not answers:
        scope.count(Usage(), Cost(femto=0))
    return _as_one(answers, target, scope)


def _one_batch(
    embedder: Embedder, batch: EmbeddingRequest, target: ModelCall, scope: CallScope
) -> Flow[Never, EmbeddingResponse]:
    """One try of one request."""
    scope.prices.load()
    wire = embedder.build_batch(batch)
    scope.changes = wire.changes
    reply = yield from send(target, scope, wire, stream=False)
    return embedder.parse_batch(reply, batch)


def _as_one(answers: Sequence[EmbeddingResponse], target: ModelCall, scope: CallScope) -> EmbeddingResponse:
    """The answers of all batches as that of the call."""
    whole = (
        answers[0]
        if len(answers) == 1
        else EmbeddingResponse(
            vectors=tuple([vector for answer in answers for vector in answer.vectors]),
            model=answers[0].model if answers else target.provider.model,
            provider=target.provider.spec.name,
            provider_data=_all_kept(answers),
        )
    )
    return replace(
        whole,
        usage=scope.usage or Usage(source="missing"),
        cost=scope.cost or whole.cost,
        call=scope.details(),
    )


def _all_kept(answers: Sequence[EmbeddingResponse]) -> dict[str, Any]:
    """What the answers say beside their vectors, as one: lists one after the other, of all else the last word."""
    whole: dict[str, dict[str, Any]] = {}
    for answer in answers:
        for name, kept in answer.provider_data.items():
            mine = whole.setdefault(name, {})
            for key, value in kept.items():
                both = isinstance(value, list) and isinstance(mine.get(key), list)
                mine[key] = [*mine[key], *value] if both else value
    return whole


def batches(texts: Sequence[str], most_texts: int, most_tokens: int | None) -> Iterator[tuple[int, int]]:
    """Where each batch begins and ends: as many texts as one request may have, and as many tokens."""
    start = tokens = 0
    for index, text in enumerate(texts):
        more = _tokens(text) if most_tokens is not None else 0
        full = index - start >= most_texts or (most_tokens is not None and tokens + more > most_tokens)
        if full and index > start:
            yield start, index
            start, tokens = index, 0
        tokens += more
    if start < len(texts):
        yield start, len(texts)


def _tokens(text: str) -> int:
    """More tokens than a usual text of this length has."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return size // BYTES_A_TOKEN + 1
