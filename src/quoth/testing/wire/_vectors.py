"""The second operation: embeddings. A recorded exchange on a format of ours, held to the same questions as an answer.

What was sent is read, built again and says the same; what came is read beside somebody who knows nothing of the formats
(``readers/embeddings.py``): every number of every vector, their order, counts, names, and of all that has no name
nothing lost and nothing invented; spelled anew by the server half, it reads back the same, and with every number as it
was. Errors are held to what was decided by reading them, as everywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from ...dialects.embeddings import FORMATS, EmbeddingClient, load_format
from ...dialects.embeddings.server import EmbeddingServer, load_server_format
from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...errors import InputError, QuothError
from ...providers import PROVIDERS, EmbeddingEndpoint, ProviderSpec
from ...providers._embedding import Embedder
from ...providers._provider import Provider
from ...providers._spec import Wire as Place
from ...providers._urls import is_own_host
from ...wire import HTTPRequest, WireReply, WireRequest
from ..fake._embeddings import format_of
from ._errors import ErrorReading, ErrorWords, check_error, check_raised, error_in, read_error
from ._files import Exchange
from ._reading import COUNTS, Difference, counted, leaves
from ._requests import ABSENT, TEXT, Normalisation, RequestCheck, check_request, wire_request
from .readers import gemini
from .readers._json import json_of
from .readers.embeddings import READERS, VectorReader, VectorReading

__all__ = [
    "VECTOR_WIRES",
    "VectorHalves",
    "VectorWire",
    "VectorsExpected",
    "check_vectors",
    "expect_vectors",
    "meet_vectors",
    "vector_halves",
    "vector_wire_of",
]


class VectorWire(Struct, frozen=True, kw_only=True):
    """One format: where it is spoken, and what it spells otherwise on purpose."""

    name: str
    path: str
    """How its paths end; ``{model}`` stands for one segment, or a part of it."""
    normalisations: tuple[Normalisation, ...] = ()

    error_header: str = ""
    """As in ``Wire``."""
    refusal: None = None
    """No body of a 200 refuses to embed."""

    @property
    def reader(self) -> VectorReader:
        return READERS[self.name]

    @property
    def error_words(self) -> ErrorWords | None:
        """Where the words of an error stand on the wire in whose words they are."""
        return gemini.error_words if FORMATS[self.name].errors == "gemini" else None


_ONE = (Normalisation(path="$.input", said=TEXT, built=[TEXT]),)
"""One text is a list of one."""

VECTOR_WIRES = (
    VectorWire(name="openai_embeddings", path="/embeddings", normalisations=_ONE),
    VectorWire(name="mistral_embeddings", path="/embeddings", normalisations=_ONE),
    VectorWire(name="voyage_embeddings", path="/embeddings", normalisations=_ONE),
    VectorWire(name="perplexity_embeddings", path="/embeddings", normalisations=_ONE),
    VectorWire(
        name="cohere_embed",
        path="/embed",
        normalisations=(Normalisation(path="$.embedding_types", said=ABSENT, built=["float"]),),
    ),
    VectorWire(name="ollama_embed", path="/api/embed", normalisations=_ONE),
    VectorWire(name="gemini_batch_embed", path="/models/{model}:batchEmbedContents"),
    VectorWire(name="gemini_embed", path="/models/{model}:embedContent"),
    VectorWire(name="vertex_predict", path="/models/{model}:predict"),
    VectorWire(name="titan_embed", path="/model/{model}/invoke"),
    VectorWire(name="nova_embed", path="/model/{model}/invoke"),
    VectorWire(name="bedrock_cohere_embed", path="/model/{model}/invoke"),
)
"""In the order of the table that is printed."""


def vector_wire_of(exchange: Exchange) -> VectorWire | None:
    """The format of an exchange, by its URL alone; None where it embeds nothing."""
    if exchange.request is None or exchange.request.method != "POST":
        return None
    name = format_of(exchange.path)
    if name == "openai_embeddings":  # the row of the host says whose spelling it is
        named = _named_by_row(exchange.request.url)
        name = named if named in READERS else name
    return next((wire for wire in VECTOR_WIRES if wire.name == name), None)


def _named_by_row(url: str) -> str | None:
    """The format that the first row of this host has at ``/embeddings``."""
    for row in PROVIDERS:
        for endpoint in row.embeddings or ():
            if load_format(endpoint.dialect).path.endswith("/embeddings") and is_own_host(row, url):
                return endpoint.dialect
    return None


class VectorHalves(Struct, frozen=True):
    """The two halves of a format."""

    client: EmbeddingClient
    server: EmbeddingServer


def vector_halves(name: str) -> VectorHalves:
    """The halves of the format with this name."""
    return VectorHalves(load_format(name), load_server_format(name))


class VectorsExpected(Struct, frozen=True, kw_only=True):
    """What a recorded reply must be taken for, read from its bytes. It is never a stream."""

    form: str
    reading: VectorReading | None = None
    error: ErrorReading | None = None
    ended: bool = True
    streamed: bool = False


class VectorOutcome(Struct, kw_only=True):
    """What came of one exchange."""

    form: str
    differences: list[Difference]
    unreviewed: ErrorReading | None = None
    normalised: Counter[str]
    notes: Counter[str]
    suspect: bool = False


class _Asked(Struct, frozen=True, kw_only=True):
    """Who was asked, as a call would have it, and for what."""

    embedder: Embedder
    request: EmbeddingRequest


class _Builder:
    """An embedder, for the check of requests: a model that only the path names stands in no body."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.model = embedder.model
        self.wire: Place = replace(embedder.wire, path="")

    def build(self, request: EmbeddingRequest) -> WireRequest:
        return self._embedder.build_batch(replace(request, model=request.model or self.model))


def expect_vectors(wire: VectorWire, exchange: Exchange) -> VectorsExpected:
    """Read a recorded reply independently."""
    reply = exchange.reply
    answer = json_of(reply.body)
    if exchange.failed:
        return VectorsExpected(form="error", error=read_error(answer, reply, wire.error_words))
    wrong = error_in(reply.body, streamed=False)
    if wrong is not None:
        return VectorsExpected(form="error in a 200", error=read_error(wrong, reply))
    if not isinstance(answer, dict) or not wire.reader.is_answer(answer):
        return VectorsExpected(form="unreadable")
    try:
        return VectorsExpected(form="embeddings", reading=wire.reader.read(answer, dict(reply.headers)))
    except (ValueError, TypeError, KeyError):  # a vector that is none
        return VectorsExpected(form="unreadable")


def meet_vectors(
    expected: VectorsExpected, wire: VectorWire, exchange: Exchange, reply: WireReply, halves: VectorHalves
) -> tuple[list[Difference], ErrorReading | None]:
    """Read a reply as a call does, and say what is not as expected; and an error that nobody has read yet."""
    asked = _asked(wire, exchange, halves)
    if expected.form == "error" and expected.error is not None:
        info = asked.embedder.dialect.parse_error(reply)
        return check_error(expected.error, wire.name, exchange.provider, info)
    try:
        response = asked.embedder.parse_batch(reply, asked.request)
    except QuothError as error:
        if expected.error is not None:
            return check_raised(expected.error, wire.name, exchange.provider, error)
        if expected.form == "unreadable" and error.kind == "unreadable":
            return [], None
        return [_differs("raised", None, f"{error.kind}: {error.message}")], None
    if expected.reading is None:
        return [_differs("raised", expected.form, None)], None
    return list(_compare(expected.reading, response, asked.embedder.model)), None


def _asked(wire: VectorWire, exchange: Exchange, halves: VectorHalves) -> _Asked:
    request = exchange.request or HTTPRequest(url="")
    body = json_of(request.body)
    named = body.get("model") if isinstance(body, dict) else None
    model = str(named or _model_of_path(wire.path, exchange.path))
    row = ProviderSpec(name="recorded", base_url=request.url)
    place = EmbeddingEndpoint(dialect=wire.name, path=wire.path)
    embedder = Embedder(Provider(row, model), place, halves.client)
    try:
        read = halves.server.parse_request(wire_request(request, exchange.path))
    except InputError:
        read = EmbeddingRequest(model=model, texts=())
    return _Asked(embedder=embedder, request=replace(read, model=model))


def _model_of_path(path: str, said: str) -> str:
    before, named, after = path.partition("{model}")
    found = re.search(rf"{re.escape(before)}([^/]+){re.escape(after)}$", said) if named else None
    return unquote(found[1]) if found else ""


def _compare(reading: VectorReading, response: EmbeddingResponse, model: str) -> Iterator[Difference]:
    """All that an answer is taken for otherwise than the reading of the same bytes says."""
    usage = response.usage
    ours = {name: getattr(usage, name) for name in COUNTS if getattr(usage, name)}
    kept = counted([leaf for data in response.provider_data.values() for leaf in leaves(data)])
    said = {name: count for name, count in reading.counts.items() if count}
    pairs: list[tuple[str, Any, Any]] = [
        ("number of vectors", len(reading.vectors), len(response)),
        ("id", reading.id, response.id),
        ("model", model if reading.model is None else reading.model, response.model),
        ("reported usage", reading.reported, usage.reported),
        ("source of usage", reading.source, usage.source),
        ("buckets", said, ours),
        ("kept beside", reading.rest, kept),
    ]
    yield from (_differs(what, one, other) for what, one, other in pairs if one != other)
    for at, (one, other) in enumerate(zip(reading.vectors, response.vectors, strict=False)):
        if one != other:
            yield _differs(f"vector {at}", one, other)


def check_vectors(exchange: Exchange, wire: VectorWire, halves: VectorHalves) -> VectorOutcome:
    """All checks of one exchange."""
    if exchange.request is None:
        raise ValueError(f"{exchange.id} has no request, and so no format")
    expected = expect_vectors(wire, exchange)
    differences, unreviewed = meet_vectors(expected, wire, exchange, exchange.reply, halves)
    asked = _asked(wire, exchange, halves)
    said = _check_request(wire, exchange.request, exchange.reply, asked.embedder, halves)
    outcome = VectorOutcome(
        form=expected.form,
        differences=[*differences, *said.differences],
        unreviewed=unreviewed,
        normalised=said.normalised,
        notes=said.notes,
    )
    if expected.form == "unreadable":
        outcome.notes["a 200 that is no answer"] += 1
    if expected.reading is not None and not differences:
        response = asked.embedder.parse_batch(exchange.reply, asked.request)
        outcome.suspect = response.usage.source == "suspect"
        outcome.differences += _check_server(asked, halves.server, response)
    return outcome


def _check_request(
    wire: VectorWire, request: HTTPRequest, reply: WireReply, embedder: Embedder, halves: VectorHalves
) -> RequestCheck:
    return check_request(request, reply, provider=_Builder(embedder), server=halves.server, known=wire.normalisations)


# The server half.


def _check_server(asked: _Asked, server: EmbeddingServer, response: EmbeddingResponse) -> Iterator[Difference]:
    """Spell the vectors anew, with and without what only this wire says; and as base64, where they came so."""
    whole = _without_raw(response)
    bare = replace(whole, provider_data={})
    for how, said in (("whole", whole), ("bare", bare)):
        try:
            back = asked.embedder.parse_batch(server.build_response(said, asked.request), asked.request)
        except QuothError as error:
            yield Difference(check=f"server half, {how}", what="refused", found=f"{error.kind}: {error}")
            continue
        yield from _what_differs(f"server half, {how}", said, _without_raw(back), bare=how == "bare")


def _without_raw(response: EmbeddingResponse) -> EmbeddingResponse:
    usage = response.usage
    return replace(response, body=None, usage=usage if usage.source == "suspect" else replace(usage, reported=None))


def _what_differs(check: str, one: EmbeddingResponse, other: EmbeddingResponse, *, bare: bool) -> Iterator[Difference]:
    for name in one.__struct_fields__:
        if name in ("call", "body") or (bare and name == "provider_data"):
            continue
        if getattr(one, name) != getattr(other, name):
            yield Difference(check=check, what=name, expected=getattr(one, name), found=getattr(other, name))


def _differs(what: str, expected: object, found: object) -> Difference:
    return Difference(check="embeddings", what=what, expected=expected, found=found)
