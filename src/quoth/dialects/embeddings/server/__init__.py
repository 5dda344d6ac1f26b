"""The server halves of the embedding formats: they read requests and give vectors. A client never imports this."""

from __future__ import annotations

from typing import Protocol

from ....embeddings import EmbeddingRequest, EmbeddingResponse
from ....errors import NotBuiltError
from ....wire import WireReply, WireRequest

__all__ = ["EmbeddingServer", "load_server_format"]


class EmbeddingServer(Protocol):
    """The server half of a format. What it builds, the client half reads as the same."""

    def parse_request(self, request: WireRequest) -> EmbeddingRequest:
        """Read a request; what has no name in an EmbeddingRequest stands in its ``extra``.

        Where the path names the model and nothing else does, ``model`` is empty.

        Raises:
            InputError: the body is none of this format.
        """
        ...

    def build_response(self, response: EmbeddingResponse, request: EmbeddingRequest) -> WireReply:
        """Spell the answer to a request, in the encoding that it asked for."""
        ...


def load_server_format(name: str) -> EmbeddingServer:
    """Load the server half of the format ``name``.

    Raises:
        NotBuiltError: there is no such format.
    """
    from . import amazon, cohere, google, ollama, openai

    servers: dict[str, EmbeddingServer] = {
        **openai.OPENAI_SERVERS,
        **cohere.COHERE_SERVERS,
        **google.GOOGLE_SERVERS,
        **amazon.AMAZON_SERVERS,
        **ollama.OLLAMA_SERVERS,
    }
    if name not in servers:
        raise NotBuiltError(f"this version of quoth does not serve {name!r}; it serves {', '.join(sorted(servers))}")
    return servers[name]
