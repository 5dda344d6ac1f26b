"""ModelBinding: a model and its options, checked and prepared once; each call makes a ModelCall of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from msgspec.structs import replace

from ._call import ModelCall
from ._options import CallOptions, RunOptions, check_options, over
from ._prompt import Prompt, conversation
from ._scope import merge_tags, surroundings, together
from ._service import ModelService
from ._stream import Stream
from .errors import ConfigurationError, InputError, InputTypeError
from .providers._address import Given
from .providers._provider import Provider
from .providers._registry import ProviderTable
from .providers._spec import ProviderSpec
from .types import Message, ModelRequest, Parsed_co, Response, Tool

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ._aio import AsyncModelBinding
    from ._chat import Chat, Trim
    from ._costs import OwnPrice
    from ._embedding import EmbedOptions
    from ._options import Schema
    from ._output import Form
    from ._run import Run
    from .embeddings import EmbeddingRequest, EmbeddingResponse

__all__ = ["ModelBinding"]

T = TypeVar("T")

_REQUEST = frozenset({"max_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice", "reasoning"})
"""The options that are fields of a ModelRequest under their own name."""
_CALL = frozenset({
    "check", "dialect", "headers", "on_budget", "output", "repairs", "retries", "tags", "timeout",
})  # fmt: skip
"""Those of a ModelCall."""


class ModelBinding(Generic[Parsed_co]):
    """A model and its options, checked and prepared once: ``fast = models.bind("gpt-6-luna", temperature=0)``."""

    __slots__ = (
        "_call", "_fallback", "_model", "_options", "_output", "_quiet", "_system", "_template", "service",
    )  # fmt: skip

    def __init__(self, service: ModelService, model: str, options: Mapping[str, Any]) -> None:
        self._quiet = options.get("check") == "off"
        provider = service.registry.get(model, quiet=self._quiet)
        if "dialect" in options:
            from .providers._choosing import check_dialect

            check_dialect(provider, options["dialect"])
        self.service = service
        self._model = model
        self._options = options
        self._system: str | None = options.get("system")
        self._output: Form | None = options.get("output")
        if options.get("repairs") and self._output is None:
            raise InputError("repairs needs output: an answer in words alone cannot be wrong")
        self._fallback = _fallbacks(service, options)
        self._template = ModelRequest(
            model=provider.model,
            messages=(),
            output=self._output.format if self._output is not None else None,
            extra=_extra_for(provider.spec, options.get("extra", {}), service.registry.table),
            **{name: value for name, value in options.items() if name in _REQUEST},
        )
        self._call = ModelCall(
            provider=provider,
            request=self._template,
            given=Given(api_key=options.get("api_key"), base_url=options.get("base_url")),
            budgets=options.get("budget", ()),
            price=_own_price(options["price"]) if "price" in options else None,
            **{name: value for name, value in options.items() if name in _CALL},
        )

    @property
    def id(self) -> str:
        """The canonical id, ``provider/model``."""
        return self.service.registry.get(self._model, quiet=True).id

    @property
    def aio(self) -> AsyncModelBinding[Parsed_co]:
        """The same verbs for asyncio."""
        from ._aio import AsyncModelBinding

        return AsyncModelBinding(self)

    @overload
    def __call__(self, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> Response[T]: ...
    @overload
    def __call__(self, prompt: Prompt, *, output: Schema, **options: Unpack[CallOptions]) -> Response: ...
    @overload
    def __call__(self, prompt: Prompt, **options: Unpack[CallOptions]) -> Response[Parsed_co]: ...
    def __call__(self, prompt: Prompt, **options: Any) -> Response[Any]:
        """Ask, with these options over the bound ones for this call only."""
        binding = self.over(options) if options else self
        return self.service.generate(binding.prepare(prompt))

    @overload
    def stream(self, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> Stream[T]: ...
    @overload
    def stream(self, prompt: Prompt, *, output: Schema, **options: Unpack[CallOptions]) -> Stream: ...
    @overload
    def stream(self, prompt: Prompt, **options: Unpack[CallOptions]) -> Stream[Parsed_co]: ...
    def stream(self, prompt: Prompt, **options: Any) -> Stream[Any]:
        """As a call, piece by piece."""
        binding = self.over(options) if options else self
        return self.service.stream(binding.prepare(prompt))

    def embed(self, texts: str | Iterable[str], **options: Unpack[EmbedOptions]) -> EmbeddingResponse:
        """Turn texts into vectors, with these options over the bound ones, all of which must mean something there."""
        return self.service.embed(*self.embedding(texts, options))

    @property
    def system(self) -> str | None:
        """What the model is told before the conversation."""
        return self._system

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model may ask for."""
        tools: tuple[Tool, ...] = self._options.get("tools", ())
        return tools

    @property
    def provider(self) -> Provider:
        """Who is asked."""
        return self.service.registry.get(self._model, quiet=True)

    def run(self, prompt: Prompt, **options: Unpack[RunOptions]) -> Run:
        """As a call, with the tools that the model asks for executed; see ``ModelsAPI.run``."""
        return self.run_of(prompt, options)

    def run_of(self, prompt: Prompt, options: RunOptions) -> Run:
        """As ``run``, of a dict: a plain key in it is hidden there, for its frame is on the way of every error."""
        from ._running import run, runner_of

        return run(runner_of(self, prompt, options))

    def chat(self, *, messages: Prompt | None = None, trim: Trim | None = None, **options: Unpack[RunOptions]) -> Chat:
        """A run with a memory; see ``ModelsAPI.chat``."""
        return self.chat_of(options, messages, trim)

    def chat_of(self, options: RunOptions, messages: Prompt | None, trim: Trim | None) -> Chat:
        """As ``chat``, of a dict; see ``run_of``."""
        from ._chat import Chat

        return Chat(self, options, messages=messages, trim=trim)

    def to(self, model: str) -> ModelBinding:
        """The options for another model, without what belongs to this one alone."""
        shared = {name: value for name, value in self._options.items() if name not in _OF_ONE_PROVIDER}
        return ModelBinding(self.service, model, shared)

    @overload
    def bind(self, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> ModelBinding[T]: ...
    @overload
    def bind(self, *, output: Schema, **options: Unpack[CallOptions]) -> ModelBinding: ...
    @overload
    def bind(self, **options: Unpack[CallOptions]) -> ModelBinding[Parsed_co]: ...
    def bind(self, **options: Any) -> ModelBinding[Any]:
        """A further binding: these options over the bound ones. This one stays as it is."""
        return self.over(options)

    def over(self, options: Mapping[str, Any]) -> ModelBinding[Any]:
        return ModelBinding(self.service, self._model, over(self._options, check_options(options)))

    def prepare(self, prompt: Prompt) -> ModelCall:
        """The call as the service takes it."""
        return self._asking(conversation(prompt, self._system))

    def embedding(self, texts: str | Iterable[str], options: EmbedOptions) -> tuple[ModelCall, EmbeddingRequest]:
        """The call that embeds, as the service takes it, and what it asks for."""
        from ._embedding import check_bound, checked, embedding

        own, of_call = checked(options)
        binding = ModelBinding(self.service, self._model, over(check_bound(self._options), of_call))
        return embedding(binding._asking(()), texts, own)

    def _asking(self, messages: tuple[Message, ...]) -> ModelCall:
        call = replace(
            self._call,
            provider=self.service.registry.get(self._model, quiet=self._quiet),
            request=replace(self._template, messages=messages),
        )
        around = surroundings()
        if around.entered:
            call = replace(
                call,
                budgets=together(around.budgets, call.budgets),
                tags=merge_tags(around.tags, call.tags),
                counters=around.counters,
            )
        if self._fallback:
            call = replace(call, fallback=tuple([each.target(messages, self._output) for each in self._fallback]))
        return call

    def target(self, messages: tuple[Message, ...], output: Form | None) -> ModelCall:
        """This binding as the fallback of another call: it is asked what that one was asked."""
        wanted = output.format if output is not None else None
        return replace(
            self._call,
            provider=self.service.registry.get(self._model, quiet=self._quiet),
            request=replace(self._template, messages=messages, output=wanted),
            output=output,
        )

    def __repr__(self) -> str:
        hidden = ("api_key", "headers")
        shown = [f"{name}={'...' if name in hidden else repr(value)}" for name, value in self._options.items()]
        return f"ModelBinding({', '.join([repr(self._model), *shown])})"


_OF_ONE_PROVIDER = frozenset({"api_key", "base_url", "dialect", "fallback", "headers", "price"})
"""Options that a fallback given by its id does not share: a key goes to nobody else."""


def _fallbacks(service: ModelService, options: Mapping[str, Any]) -> tuple[ModelBinding, ...]:
    """The bindings that answer where the bound model fails."""
    shared = {name: value for name, value in options.items() if name not in _OF_ONE_PROVIDER}
    return tuple([_as_fallback(service, each, shared) for each in options.get("fallback", ())])


def _as_fallback(
    service: ModelService, given: str | ModelBinding | AsyncModelBinding, shared: Mapping[str, Any]
) -> ModelBinding:
    if isinstance(given, str):
        return ModelBinding(service, given, shared)
    binding = getattr(given, "binding", given)  # of its aio
    if not isinstance(binding, ModelBinding) or binding.service is not service:
        raise InputTypeError("each of fallback is a model id, or a binding of the same ModelsAPI")
    return binding


def _own_price(fields: Mapping[str, Any]) -> OwnPrice:
    from ._costs import own_price

    return own_price("price", fields)


def _extra_for(spec: ProviderSpec, extra: Mapping[str, Mapping[str, Any]], table: ProviderTable) -> Mapping[str, Any]:
    """The fields of ``extra`` that are meant for this provider, under its name or an alias."""
    fields: dict[str, Any] = {}
    for name, own in extra.items():
        row = table.get(name)
        if row is None:
            raise ConfigurationError(
                f"extra is keyed by provider, and {name!r} is none: extra={{{spec.name!r}: {{...}}}}"
            )
        if row.name == spec.name:
            fields.update(own)
    return fields
