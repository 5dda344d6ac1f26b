"""The verbs of the API for asyncio. Loaded when ``aio`` is first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from ._options import CallOptions, RunOptions
from ._prompt import Prompt
from ._stream import AsyncStream
from .types import Parsed_co, Response

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ._api import ModelList, ModelsAPI
    from ._binding import ModelBinding
    from ._embedding import EmbedOptions
    from ._listing import ListOptions
    from ._options import Schema
    from ._run import Run
    from .embeddings import EmbeddingResponse

__all__ = ["AsyncModelBinding", "AsyncModels"]

T = TypeVar("T")
"""What an answer is asked to be."""


class AsyncModels:
    """The verbs of ModelsAPI for asyncio."""

    __slots__ = ("_api",)

    def __init__(self, api: ModelsAPI) -> None:
        self._api = api

    @overload
    async def __call__(
        self, model: str, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Response[T]: ...
    @overload
    async def __call__(
        self, model: str, prompt: Prompt, *, output: Schema | None = None, **options: Unpack[CallOptions]
    ) -> Response: ...
    async def __call__(self, model: str, prompt: Prompt, **options: Any) -> Response[Any]:
        """Ask a model and give its whole answer."""
        return await self._bound(model, options)(prompt)

    @overload
    def stream(
        self, model: str, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]
    ) -> AsyncStream[T]: ...
    @overload
    def stream(
        self, model: str, prompt: Prompt, *, output: Schema | None = None, **options: Unpack[CallOptions]
    ) -> AsyncStream: ...
    def stream(self, model: str, prompt: Prompt, **options: Any) -> AsyncStream[Any]:
        """As a call, piece by piece: ``async for piece in models.aio.stream(...)``."""
        return self._bound(model, options).stream(prompt)

    async def run(self, model: str, prompt: Prompt, **options: Unpack[RunOptions]) -> Run:
        """As ``models.run``: async tools run on the event loop, others in its threads."""
        return await self._bound(model, {}).run_of(prompt, options)

    async def embed(self, model: str, texts: str | Iterable[str], **options: Unpack[EmbedOptions]) -> EmbeddingResponse:
        """As ``models.embed``: texts into vectors, one each, in their order."""
        binding = self._api.bind(model)
        return await binding.service.aembed(*binding.embedding(texts, options))

    async def list(self, **options: Unpack[ListOptions]) -> ModelList:
        """As ``models.list``: with ``refresh=True`` the provider is asked without holding up the event loop."""
        return await self._api.list_async(options)

    @overload
    def bind(self, model: str, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> AsyncModelBinding[T]: ...
    @overload
    def bind(
        self, model: str, *, output: Schema | None = None, **options: Unpack[CallOptions]
    ) -> AsyncModelBinding: ...
    def bind(self, model: str, **options: Any) -> AsyncModelBinding[Any]:
        """Check a model and its options once, to be called many times."""
        return self._bound(model, options)

    def _bound(self, model: str, options: Mapping[str, Any]) -> AsyncModelBinding[Any]:
        return self._api.bound(model, options).aio


class AsyncModelBinding(Generic[Parsed_co]):
    """A ModelBinding for asyncio."""

    __slots__ = ("binding",)

    def __init__(self, binding: ModelBinding[Parsed_co]) -> None:
        self.binding = binding

    @property
    def id(self) -> str:
        """The canonical id, ``provider/model``."""
        return self.binding.id

    @overload
    def bind(self, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> AsyncModelBinding[T]: ...
    @overload
    def bind(self, *, output: Schema, **options: Unpack[CallOptions]) -> AsyncModelBinding: ...
    @overload
    def bind(self, **options: Unpack[CallOptions]) -> AsyncModelBinding[Parsed_co]: ...
    def bind(self, **options: Any) -> AsyncModelBinding[Any]:
        """A further binding: these options over the bound ones. This one stays as it is."""
        return self.binding.over(options).aio

    @overload
    async def __call__(self, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> Response[T]: ...
    @overload
    async def __call__(self, prompt: Prompt, *, output: Schema, **options: Unpack[CallOptions]) -> Response: ...
    @overload
    async def __call__(self, prompt: Prompt, **options: Unpack[CallOptions]) -> Response[Parsed_co]: ...
    async def __call__(self, prompt: Prompt, **options: Any) -> Response[Any]:
        """Ask, with these options over the bound ones for this call only."""
        binding = self.binding.over(options) if options else self.binding
        return await binding.service.agenerate(binding.prepare(prompt))

    @overload
    def stream(self, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> AsyncStream[T]: ...
    @overload
    def stream(self, prompt: Prompt, *, output: Schema, **options: Unpack[CallOptions]) -> AsyncStream: ...
    @overload
    def stream(self, prompt: Prompt, **options: Unpack[CallOptions]) -> AsyncStream[Parsed_co]: ...
    def stream(self, prompt: Prompt, **options: Any) -> AsyncStream[Any]:
        """As a call, piece by piece."""
        binding = self.binding.over(options) if options else self.binding
        return binding.service.astream(binding.prepare(prompt))

    async def run(self, prompt: Prompt, **options: Unpack[RunOptions]) -> Run:
        """As a call, with the tools that the model asks for executed."""
        return await self.run_of(prompt, options)

    async def run_of(self, prompt: Prompt, options: RunOptions) -> Run:
        """As ``run``, of a dict: a plain key in it is hidden there."""
        from ._running import arun, runner_of

        return await arun(runner_of(self.binding, prompt, options))

    async def embed(self, texts: str | Iterable[str], **options: Unpack[EmbedOptions]) -> EmbeddingResponse:
        """Turn texts into vectors, with these options over the bound ones, all of which must mean something there."""
        return await self.binding.service.aembed(*self.binding.embedding(texts, options))

    def __repr__(self) -> str:
        return f"{self.binding!r}.aio"
