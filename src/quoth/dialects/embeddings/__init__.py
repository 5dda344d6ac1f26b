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

from collections.abc import Callable, Mapping
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
    """A format by name: what loads its maker's client halves, and the dialect whose words its errors are in."""

    family: Callable[[], Mapping[str, EmbeddingClient]]
    errors: str = "openai_chat"


def _amazon() -> Mapping[str, EmbeddingClient]:
    from .amazon import AMAZON

    return AMAZON


def _cohere() -> Mapping[str, EmbeddingClient]:
    from .cohere import COHERE

    return COHERE


def _google() -> Mapping[str, EmbeddingClient]:
    from .google import GOOGLE

    return GOOGLE


def _ollama() -> Mapping[str, EmbeddingClient]:
    from .ollama import OLLAMA

    return OLLAMA


def _openai() -> Mapping[str, EmbeddingClient]:
    from .openai import OPENAI

    return OPENAI


FORMATS: dict[str, Format] = {
    "bedrock_cohere_embed": Format(family=_cohere, errors="bedrock_converse"),
    "cohere_embed": Format(family=_cohere),
    "gemini_batch_embed": Format(family=_google, errors="gemini"),
    "gemini_embed": Format(family=_google, errors="gemini"),
    "jina_embeddings": Format(family=_openai),
    "mistral_embeddings": Format(family=_openai),
    "nova_embed": Format(family=_amazon, errors="bedrock_converse"),
    "ollama_embed": Format(family=_ollama),
    "openai_embeddings": Format(family=_openai),
    "perplexity_embeddings": Format(family=_openai),
    "titan_embed": Format(family=_amazon, errors="bedrock_converse"),
    "vertex_predict": Format(family=_google, errors="gemini"),
    "voyage_embeddings": Format(family=_openai),
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
    return found.family()[name]
