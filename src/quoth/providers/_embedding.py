"""Where and how a provider embeds: its row's endpoint for a model, with the format that is spoken there.

A base URL that is none of the provider's own, or that a call gives, is taken for one of a server that speaks as OpenAI
does, where the row's endpoint has a root of its own: what else is served there nobody can know.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..dialects import CLIENTS, ClientDialect, load_client
from ..dialects.embeddings import FORMATS, EmbeddingClient, load_format
from ..embeddings import EmbeddingRequest, EmbeddingResponse
from ..errors import InputTypeError, QuothError, ResponseParseError, UnsupportedParameterError
from ..wire import WireReply, WireRequest
from ._choosing import say
from ._provider import Provider, is_error, told
from ._spec import CheckLevel, EmbeddingEndpoint, ProviderSpec

__all__ = ["Embedder", "advise_embedding", "embedder_of", "endpoint_of"]

_OPENAI_WIRES = ("openai_chat", "openai_responses")

_OPENAI = EmbeddingEndpoint(dialect="openai_embeddings")


class Embedder(Provider):
    """One model of one provider on the wire on which it embeds."""

    __slots__ = ("endpoint", "format")

    def __init__(self, provider: Provider, endpoint: EmbeddingEndpoint, format: EmbeddingClient | None = None) -> None:
        super().__init__(provider.spec, provider.model, provider.version)
        self.known, self.denied, self.retired = provider.known, provider.denied, provider.retired
        self.endpoint = endpoint
        self.format = format or load_format(endpoint.dialect)
        spec = provider.spec
        self.wire = spec.joined(endpoint.dialect, endpoint, self.format.path)
        if endpoint is _OPENAI:  # at the root of the wire that it speaks as OpenAI does
            spoken = spec.wire(next(wire for wire in _OPENAI_WIRES if wire in spec.dialects))
            self.wire = replace(spoken, dialect=endpoint.dialect, path=self.format.path, rewrite=None)

    @property
    def dialect(self) -> ClientDialect:
        """The dialect in whose words the format's errors are."""
        named = FORMATS[self.endpoint.dialect].errors
        return load_client(named if named in CLIENTS else "openai_chat")

    def build_batch(self, request: EmbeddingRequest) -> WireRequest:
        """The request on the provider's wire, not yet addressed.

        Raises UnsupportedParameterError, or InputTypeError for a value that JSON cannot say.
        """
        if self.endpoint.base64 and request.encoding is None:
            request = replace(request, encoding="base64")
        try:
            built = self.format.build_request(request)
        except QuothError:
            raise
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InputTypeError(f"the request holds a value that JSON cannot say: {error}") from None
        placed = replace(built, path=self.wire.path, query=(*built.query, *self.wire.query))
        if self.wire.rewrite is None:
            return placed
        from ._rewrites import WIRES

        return WIRES[self.wire.rewrite](placed)

    def parse_batch(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """The vectors of a successful reply.

        Raises ResponseParseError, with its bytes, where it has none; the provider's error, where it is one.
        """
        try:
            return self.format.parse_response(reply, request)
        except ResponseParseError:
            if not is_error(reply.body):
                raise
            error = self.error(reply)
            error.body = reply.body
            raise error from None
        except QuothError:
            raise
        except Exception as error:  # whatever our reading breaks on, the bytes were paid for
            raise ResponseParseError(
                f"{self.spec.name} answered in a form that cannot be read ({told(error)}); the bytes are in .body",
                body=reply.body,
            ) from error


def embedder_of(provider: Provider, *, elsewhere: bool = False) -> Embedder:
    """The provider where it embeds; ``elsewhere`` says that the call goes to a URL that is none of its row's.

    Raises UnsupportedParameterError where it embeds nowhere.
    """
    endpoint = endpoint_of(provider.spec, provider.model)
    if endpoint is None:
        raise UnsupportedParameterError(
            f"{provider.spec.name} has no embeddings; models.list(kind='embedding') names models that have",
            provider=provider.spec.name,
        )
    if elsewhere and endpoint.base_url is not None and _speaks_openai(provider.spec):
        endpoint = _OPENAI
    elif elsewhere and endpoint.base64:  # not every server that speaks as OpenAI does knows it
        endpoint = replace(endpoint, base64=False)
    return Embedder(provider, endpoint)


def endpoint_of(spec: ProviderSpec, model: str) -> EmbeddingEndpoint | None:
    """The row's endpoint for a model; OpenAI's, where the row is silent and speaks as OpenAI does."""
    if spec.embeddings is None:
        return None
    for endpoint in spec.embeddings:
        if not endpoint.models or any(part in model for part in endpoint.models):
            return endpoint
    return _OPENAI if not spec.embeddings and _speaks_openai(spec) else None


def _speaks_openai(spec: ProviderSpec) -> bool:
    return any(wire in spec.dialects for wire in _OPENAI_WIRES)


def advise_embedding(provider: Provider, request: EmbeddingRequest, level: CheckLevel) -> None:
    """Say what the catalog knows to be refused: a warning each, once; an error under ``strict``.

    Raises UnsupportedParameterError.
    """
    known = provider.known
    if level == "off" or known is None:
        return
    if known.kind != "embedding":
        words = f"according to the catalog it is a model of kind {known.kind!r}, not one that embeds"
        say(provider, "embedding", words, level)
    longest = known.dimensions
    if request.dimensions is not None and longest is not None and request.dimensions > longest:
        words = f"dimensions={request.dimensions:,} is above the {longest:,} that the catalog gives the model"
        say(provider, "dimensions", words, level)
    if provider.retired and level == "strict":  # else the registry warns of it
        say(provider, "retired", "according to the catalog the model is retired", level)
