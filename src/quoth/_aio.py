"""The verbs of the API for asyncio. Loaded when ``aio`` is first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

from ._options import CallOptions
from ._prompt import Prompt
from ._stream import AsyncStream
from .types import Response

if TYPE_CHECKING:
    from ._api import ModelBinding, ModelList, ModelsAPI
    from ._embedding import EmbedOptions
    from ._listing import ListOptions
    from .embeddings import EmbeddingResponse

__all__ = ["AsyncModelBinding", "AsyncModels"]


class AsyncModels:
    """The verbs of ModelsAPI for asyncio."""

    __slots__ = ("_api",)

    def __init__(self, api: ModelsAPI) -> None:
        self._api = api

    async def __call__(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
        """Ask a model and give its whole answer."""
        return await self._bound(model, options)(prompt)

    def stream(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> AsyncStream:
        """As a call, piece by piece: ``async for piece in models.aio.stream(...)``."""
        return self._bound(model, options).stream(prompt)

    async def embed(self, model: str, texts: str | Iterable[str], **options: Unpack[EmbedOptions]) -> EmbeddingResponse:
        """As ``models.embed``: texts into vectors, one each, in their order."""
        binding = self._api.bind(model)
        return await binding.service.aembed(*binding.embedding(texts, options))

    async def list(self, **options: Unpack[ListOptions]) -> ModelList:
        """As ``models.list``: with ``refresh=True`` the provider is asked without holding up the event loop."""
        return await self._api.list_async(options)

    def bind(self, model: str, **options: Unpack[CallOptions]) -> AsyncModelBinding:
        """Check a model and its options once, to be called many times."""
        return self._bound(model, options)

    def _bound(self, model: str, options: CallOptions) -> AsyncModelBinding:
        return self._api.bound(model, options).aio


class AsyncModelBinding:
    """A ModelBinding for asyncio."""

    __slots__ = ("binding",)

    def __init__(self, binding: ModelBinding) -> None:
        self.binding = binding

    @property
    def id(self) -> str:
        """The canonical id, ``provider/model``."""
        return self.binding.id

    def bind(self, **options: Unpack[CallOptions]) -> AsyncModelBinding:
        """A further binding: these options over the bound ones. This one stays as it is."""
        return self.binding.over(options).aio

    async def __call__(self, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
        """Ask, with these options over the bound ones for this call only."""
        binding = self.binding.over(options) if options else self.binding
        return await binding.service.agenerate(binding.prepare(prompt))

    def stream(self, prompt: Prompt, **options: Unpack[CallOptions]) -> AsyncStream:
        """As a call, piece by piece."""
        binding = self.binding.over(options) if options else self.binding
        return binding.service.astream(binding.prepare(prompt))

    async def embed(self, texts: str | Iterable[str], **options: Unpack[EmbedOptions]) -> EmbeddingResponse:
        """Turn texts into vectors, with these options over the bound ones, all of which must mean something there."""
        return await self.binding.service.aembed(*self.binding.embedding(texts, options))

    def __repr__(self) -> str:
        return f"{self.binding!r}.aio"
