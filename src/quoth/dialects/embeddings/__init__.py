"""The operation ``embed``: how each wire asks for vectors and gives them; two-way codecs of pure functions.

One module a maker of wires, its mirror of the same name under ``server``. A *format* is what is spoken at one path:
makers share most of it, so a format is an object that holds the words in which it departs. What every format keeps is
what every dialect keeps (see the package above), and:

* There are as many vectors as texts, in their order, whatever order they came in. Fewer or more are no answer: which
  vector is whose could not be told.
* Zero tokens for texts are no count, and a usage that says so is ``suspect``: it must not become a price of nothing.
* What a wire has no word for is refused before it is sent where it would change a vector (``truncate``), and named in
  ``changes`` where the vector is the same without it (``input_type``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...errors import NotBuiltError
from ...wire import WireReply, WireRequest

__all__ = ["FORMATS", "EmbeddingClient", "Format", "load_format"]


class EmbeddingClient(Protocol):
    """The client half of a format."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str:
        """Where it is behind a base URL, unless a row says otherwise."""
        ...

    def build_request(self, request: EmbeddingRequest) -> WireRequest:
        """Spell the request.

        Raises:
            UnsupportedParameterError: the wire cannot do what was asked.
        """
        ...

    def parse_response(self, reply: WireReply, request: EmbeddingRequest) -> EmbeddingResponse:
        """Read the answer to this request.

        Raises:
            ResponseParseError: the reply holds no vectors, or not one for each text; ``body`` holds its beginning.
        """
        ...


class Format(Struct, frozen=True, kw_only=True):
    """A format by name: what loads its client half, and the dialect whose words its errors are in."""

    load: Callable[[], EmbeddingClient]
    errors: str = "openai_chat"


def _openai(name: str) -> Callable[[], EmbeddingClient]:
    def load() -> EmbeddingClient:
        from .openai import OPENAI

        return OPENAI[name]

    return load


def _cohere(name: str) -> Callable[[], EmbeddingClient]:
    def load() -> EmbeddingClient:
        from .cohere import COHERE

        return COHERE[name]

    return load


def _google(name: str) -> Callable[[], EmbeddingClient]:
    def load() -> EmbeddingClient:
        from .google import GOOGLE

        return GOOGLE[name]

    return load


def _amazon(name: str) -> Callable[[], EmbeddingClient]:
    def load() -> EmbeddingClient:
        from .amazon import AMAZON

        return AMAZON[name]

    return load


def _ollama() -> EmbeddingClient:
    from .ollama import OLLAMA

    return OLLAMA


FORMATS: dict[str, Format] = {
    "bedrock_cohere_embed": Format(load=_cohere("bedrock_cohere_embed")),
    "cohere_embed": Format(load=_cohere("cohere_embed")),
    "gemini_batch_embed": Format(load=_google("gemini_batch_embed"), errors="gemini"),
    "gemini_embed": Format(load=_google("gemini_embed"), errors="gemini"),
    "jina_embeddings": Format(load=_openai("jina_embeddings")),
    "mistral_embeddings": Format(load=_openai("mistral_embeddings")),
    "nova_embed": Format(load=_amazon("nova_embed")),
    "ollama_embed": Format(load=_ollama),
    "openai_embeddings": Format(load=_openai("openai_embeddings")),
    "perplexity_embeddings": Format(load=_openai("perplexity_embeddings")),
    "titan_embed": Format(load=_amazon("titan_embed")),
    "vertex_predict": Format(load=_google("vertex_predict"), errors="gemini"),
    "voyage_embeddings": Format(load=_openai("voyage_embeddings")),
}
"""The formats by name. A call imports the module of its own when it is first asked for."""


def load_format(name: str) -> EmbeddingClient:
    """Load the client half of the format ``name``.

    Raises:
        NotBuiltError: there is no such format.
    """
    found = FORMATS.get(name)
    if found is None:
        raise NotBuiltError(f"this version of quoth does not embed over {name!r}; it does over {', '.join(FORMATS)}")
    return found.load()
