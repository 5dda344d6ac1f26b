"""ModelsAPI: ``models("gpt-6.1-sol", "Hello")``. The user's words become a ModelRequest; the service does the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeAlias, TypeVar, Unpack, overload

from ._binding import ModelBinding
from ._call import ModelCall
from ._options import CallOptions, RunOptions, check_options
from ._prompt import Prompt
from ._registry import SimpleModelRegistry
from ._scope import Within, carry, check_tags, is_async, is_generator, surroundings
from ._service import ModelService
from ._settings import Settings, SettingsOptions
from ._stream import Stream
from .errors import ConfigurationError, InputError, InputTypeError, UnknownModelError
from .providers._provider import Provider
from .providers._registry import PROVIDERS, ProviderTable
from .providers._spec import ProviderSpec
from .types import ModelRequest, Response

if TYPE_CHECKING:
    from decimal import Decimal

    from typing_extensions import TypeForm

    from ._aio import AsyncModels
    from ._budgets import Budget, BudgetState, Estimating
    from ._catalog import ModelInfo
    from ._chat import Chat, Trim
    from ._embedding import EmbedOptions
    from ._estimating import Estimate, Repricing
    from ._listing import Listing, ListOptions, ProviderInfo, Wanted
    from ._options import Schema
    from ._run import Run
    from .embeddings import EmbeddingResponse
    from .instrumentation import CallRecord, Hook, HookHandle, Tally, UsageReport
    from .instrumentation._days import Day
    from .instrumentation._logs import LogFormat
    from .instrumentation.ledger import Ledger
    from .instrumentation.metrics._bridge import MetricsCollector, Registry
    from .instrumentation.metrics._text import Format
    from .instrumentation.otel import TraceOptions, Tracing
    from .limits._accounts import Per
    from .metrics import MetricsServer
    from .middleware import Middleware

    # Within ModelsAPI `list` is a verb.
    ModelList: TypeAlias = list[ModelInfo]
    ProviderList: TypeAlias = list[ProviderInfo]
    Estimates: TypeAlias = list[Estimate]

__all__ = ["ModelsAPI"]

_PLANNED = frozenset({
    "batch", "map",
})  # fmt: skip
"""Verbs that the design promises and this version does not have."""


MOST_BINDINGS = 1_024
"""Models whose plain bindings are kept."""

Arguments = ParamSpec("Arguments")
Carried = TypeVar("Carried")
T = TypeVar("T")
"""What an answer is asked to be."""


class ModelsAPI:
    """Call any model: ``models(id, prompt, **options)``.

    One object serves all providers, threads and event loops. Make another for a program that needs its own
    settings, or its own table of providers. ``aio`` holds the same verbs for asyncio.
    """

    def __init__(self, settings: Settings | None = None, *, providers: ProviderTable | None = None) -> None:
        self._service = ModelService(settings or Settings(), SimpleModelRegistry(providers or PROVIDERS))
        self._bindings: dict[tuple[str, int], ModelBinding[Any]] = {}

    @overload
    def __call__(
        self, model: str, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Response[T]: ...
    @overload
    def __call__(
        self, model: str, prompt: Prompt, *, output: Schema | None = None, **options: Unpack[CallOptions]
    ) -> Response: ...
    def __call__(self, model: str, prompt: Prompt, **options: Any) -> Response[Any]:
        """Ask a model and give its whole answer.

        Args:
            model: ``provider/model``, or a bare id such as ``gpt-4`` whose provider is known.
            prompt: a str; a list of strings and parts (one turn); or a list of messages (a conversation).
            **options: see ``CallOptions``; and ``output``, the type of ``response.parsed``.

        Raises:
            InputError: what was passed cannot be used; nothing was sent.
            TransportError: the request or its reply was lost on the way.
            APIStatusError: the provider said no.
            ResponseParseError: the reply cannot be read; its bytes are in ``body``.
        """
        return self._bound(model, options)(prompt)

    @overload
    def stream(
        self, model: str, prompt: Prompt, *, output: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Stream[T]: ...
    @overload
    def stream(
        self, model: str, prompt: Prompt, *, output: Schema | None = None, **options: Unpack[CallOptions]
    ) -> Stream: ...
    def stream(self, model: str, prompt: Prompt, **options: Any) -> Stream[Any]:
        """As a call, piece by piece: ``for piece in models.stream(...)``. Nothing is sent before the first piece."""
        return self._bound(model, options).stream(prompt)

    @overload
    def bind(self, model: str, *, output: TypeForm[T], **options: Unpack[CallOptions]) -> ModelBinding[T]: ...
    @overload
    def bind(self, model: str, *, output: Schema | None = None, **options: Unpack[CallOptions]) -> ModelBinding: ...
    def bind(self, model: str, **options: Any) -> ModelBinding[Any]:
        """Check a model and its options once, to be called many times. Keys are read at each call."""
        return self.bound(model, options)

    def bound(self, model: str, options: Mapping[str, Any]) -> ModelBinding[Any]:
        """As ``bind``, of a dict: a plain key in it is hidden there, for its frame is on the way of every error."""
        return self._bound(model, options)

    def _bound(self, model: str, options: Any) -> ModelBinding[Any]:
        """The binding of a call; one without options is kept for the next."""
        if options:
            return ModelBinding(self._service, model, check_options(options))
        kept, version = self._bindings, self._service.registry.table.version
        try:
            binding = kept.get((model, version))
        except TypeError:  # not even hashable: the registry says so
            binding = None
        if binding is None:
            binding = ModelBinding(self._service, model, {})
            if len(kept) >= MOST_BINDINGS:
                kept.clear()
            kept[model, version] = binding
        return binding

    def run(self, model: str, prompt: Prompt, **options: Unpack[RunOptions]) -> Run:
        """Ask a model, execute the tools that it asks for, and ask again with what they gave, until it is done.

        ``run.response`` is the last answer, ``run.calls`` the tools that were executed, ``run.cost`` the sum of all
        rounds. Takes the options of a call; how far it may go stands in ``RunOptions``; see docs/tools.md.

        Raises what a call raises; RunLimitError at its limits. ``run`` of the error has what was done until then.
        """
        return self.bind(model).run_of(prompt, options)

    def chat(
        self,
        model: str,
        *,
        messages: Prompt | None = None,
        trim: Trim | None = None,
        **options: Unpack[RunOptions],
    ) -> Chat:
        """A run with a memory: ``chat = models.chat("gpt-6-sol", system="..."); chat("Hi"); chat("And?")``.

        Args:
            model: as of a call.
            messages: what was said before.
            trim: how many turns are sent at most, the latest; or a function of the messages that gives those to send.
            **options: those of a run, for each turn.
        """
        return self.bind(model).chat_of(options, messages, trim)

    def load_chat(
        self, saved: str | os.PathLike[str], *, trim: Trim | None = None, **options: Unpack[RunOptions]
    ) -> Chat:
        """A chat that was kept: from the file of ``chat.save(path)``, or from the text of ``chat.to_json()``.

        Its tools and other options are not in it: give them again. Raises InputError where it is no saved chat.
        """
        from ._chat import read_saved

        kept = read_saved(saved)
        if kept.system is not None:
            options.setdefault("system", kept.system)
        return self.bind(kept.model).chat_of(options, None, trim).restore(kept)

    def embed(self, model: str, texts: str | Iterable[str], **options: Unpack[EmbedOptions]) -> EmbeddingResponse:
        """Turn texts into vectors, one each, in their order: ``models.embed("text-embedding-3-small", ["a", "b"])``.

        As many requests as the provider's limits ask for, one after the other, are one call: with one record, and the
        sums of usage and cost. docs/embeddings.md says how each provider is asked.

        Args:
            model: ``provider/model``, or a bare id whose provider is known.
            texts: a str, or a list of str.
            **options: see ``EmbedOptions``.

        Raises:
            InputError: what was passed cannot be used; nothing was sent.
            QuothError: as a call; vectors that had come before are its ``embedded``.
        """
        return self._service.embed(*ModelBinding(self._service, model, {}).embedding(texts, options))

    @property
    def aio(self) -> AsyncModels:
        """The same verbs for asyncio: ``await models.aio(...)``, ``async for piece in models.aio.stream(...)``."""
        from ._aio import AsyncModels

        return AsyncModels(self)

    def list(self, **options: Unpack[ListOptions]) -> ModelList:
        """List what is known of the models of all providers, or of one; without the network, unless ``refresh``.

        By provider; within one those that are served before those that are retired, the newest first. The options
        are filters, see ``ListOptions``. ``refresh=True`` asks the provider named by ``provider=`` what it has now;
        ``await models.aio.list(...)`` is the same for asyncio.

        Raises:
            UnknownModelError: there is no such provider; names the nearest.
            InputError: no model has such a feature, kind, input or output; names those that there are.
            QuothError: with ``refresh``, whatever a call may raise.
        """
        listing, wanted, row = self._wanted(options)
        if row is None:
            return listing.models(wanted)
        return listing.served(row, self._service.list_models(self._asking(row)), wanted)

    async def list_async(self, options: ListOptions) -> ModelList:
        listing, wanted, row = self._wanted(options)
        if row is None:
            return listing.models(wanted)
        return listing.served(row, await self._service.alist_models(self._asking(row)), wanted)

    def _wanted(self, options: ListOptions) -> tuple[Listing, Wanted, ProviderSpec | None]:
        """What is asked for, and the provider to ask, if it is to be asked."""
        from ._listing import Wanted

        filters = {name: value for name, value in options.items() if name != "refresh"}
        unknown = [name for name in filters if name not in Wanted.__struct_fields__]
        if unknown:
            known = ", ".join((*Wanted.__struct_fields__, "refresh"))
            raise InputTypeError(f"models.list has no option {unknown[0]!r}; it has {known}")
        listing, wanted = self._listing(), Wanted(**filters)  # type: ignore[arg-type]  # a TypedDict's items are objects
        return listing, wanted, listing.row(wanted.provider) if options.get("refresh") else None

    def _asking(self, row: ProviderSpec) -> ModelCall:
        """The call that asks a provider which models it has."""
        around = surroundings()
        return ModelCall(
            provider=Provider(row, ""),
            request=ModelRequest(model="", messages=()),
            tags=around.tags,
            counters=around.counters,
            operation="list_models",
        )

    def info(self, model: str) -> ModelInfo:
        """Tell what is known of a model, under any id that a call accepts for it; without the network.

        Raises UnknownModelError, naming the nearest, where the catalog does not have it: it may exist all the same.
        """
        return self._listing().info(model)

    def providers(self) -> ProviderList:
        """Tell which providers there are, which variables each reads, and whether it has a key; without the network."""
        return self._listing().providers(os.environ)

    def _listing(self) -> Listing:
        from ._listing import Listing

        return Listing(self._service.registry.table, self._service.prices.rule, self._service.settings)

    def register_provider(self, provider: ProviderSpec | str, **fields: Any) -> ProviderSpec:
        """Add a provider, or replace the one of that name; see ``quoth.providers.ProviderSpec``.

        ``models.register_provider("mine", base_url="https://host/v1", key_variables=("MINE_KEY",))`` makes
        ``models("mine/any-model", ...)`` work over Chat Completions.
        """
        return self._service.registry.table.register(provider, **fields)

    def register_price(self, model: str, price: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        """State what a model costs you, for all calls of this object from now on; no deployment, no file.

        ``models.register_price("openai/gpt-6-sol", input="1.8", output="9")``: decimal text, in US dollars per million
        tokens. ``models.register_price("azure/*", extends="openai/*", multiplier="1.1")`` prices a provider's models.
        docs/costs.md has all the fields. It wins over the settings, QUOTH_PRICES and the built-in table; the option
        ``price`` of a call wins over it. A later one for the same model replaces it.

        Raises ConfigurationError, naming the field, where a value cannot be used; nothing is changed then.
        """
        try:
            row, name = self._service.registry.table.resolve(model)
            key = f"{row.prices}/{name}"
        except UnknownModelError:  # a provider may be registered later; without one, nothing can be meant
            if "/" not in model:
                raise
            key = model
        self._service.register_prices({key: {**(price or {}), **fields}})

    def estimate(
        self, model: str, prompt: Prompt, *, output_tokens: int | None = None, **options: Unpack[CallOptions]
    ) -> Estimate:
        """What a call would cost, expected and at worst, without making it: ``models.estimate("gpt-6-sol", "Hi")``.

        Takes what the call would take, and ``output_tokens``, how long its answer is expected to be. ``str`` of it says
        the amounts and how the tokens were counted; docs/costs.md says what each rests on. No key, and no network.
        """
        from ._estimating import estimate

        binding = self.bound(model, options)
        call = binding.prepare(prompt)
        return estimate(self._service.prices, call.provider, call.request, output_tokens, call.price)

    def compare(
        self,
        prompt: Prompt,
        models: Iterable[str],
        *,
        output_tokens: int | None = None,
        **options: Unpack[CallOptions],
    ) -> Estimates:
        """What the same call would cost with several models, the cheapest first: ``models.compare("Hi", ["a", "b"])``.

        By what is expected; those whose price is unknown come last.
        """
        from ._estimating import cheapest_first

        given = [self.estimate(model, prompt, output_tokens=output_tokens, **options) for model in models]
        return cheapest_first(given)

    def reprice(
        self,
        records: Iterable[CallRecord],
        *,
        as_of: Day = None,
        prices: str | Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Repricing:
        """What calls that were made cost by the prices of now: after a correction, or to ask what if.

        Args:
            records: of calls, as ``on_call`` gives them.
            as_of: the day whose prices hold (``"2026-12-01"``, a date, seconds since the epoch); without it each call's
                own time.
            prices: entries over all others, ``{"openai/gpt-6-sol": {"multiplier": "0.9"}}``; or a text as QUOTH_PRICES.

        A cost that the provider stated stays, and the computed one beside it is reckoned anew.
        Raises InputError for what is no day, ConfigurationError for prices that cannot be used.
        """
        from ._estimating import reprice

        table = self._service.registry.table

        def priced(provider: str) -> tuple[str, bool]:
            row = table.get(provider)
            return (row.prices, row.priced_as_asked) if row else (provider, False)

        return reprice(records, self._service.prices_with(prices), as_of, priced)

    def reload_prices(self) -> None:
        """Read the prices of the settings and of QUOTH_PRICES anew, as at the first use; registered ones stay.

        Raises ConfigurationError where they cannot be used; those that held before hold on then.
        """
        self._service.reload_prices()

    def configure(self, **settings: Unpack[SettingsOptions]) -> None:
        """Put settings over those of this object, all or none; see ``Settings`` for the names.

        Mappings are merged by name; None takes back a setting, or a name of a mapping, so that the environment and
        the defaults hold again. Bindings follow; a call under way keeps the settings that it began with.

        Raises InputError, naming the setting, where one cannot be used: nothing is changed then.
        """
        self._service.configure(settings)

    def usage(self) -> UsageReport:
        """What all calls so far used and cost: exact, by model, provider and tag, with the number of unknown costs."""
        self._service.tell()
        return self._service.journal.usage()

    def metrics(self, *, format: Format = "text", budgets: Collection[str] = ()) -> str:
        """The metrics of all calls so far, as Prometheus reads them; docs/observability.md lists them.

        They are always on. With QUOTH_METRICS_DIR, or the setting ``metrics_dir``, they are those of all processes
        that have the same folder.

        Args:
            format: ``text`` (version 0.0.4) or ``openmetrics``.
            budgets: names of budgets whose limit, spending and reserve are shown too.

        Raises InputError for another format, ConfigurationError where the folder cannot be used.
        """
        from .instrumentation.metrics._text import CONTENT_TYPES, render

        if format not in CONTENT_TYPES:
            raise InputError(f"metrics are told as {' or '.join(CONTENT_TYPES)}, not {format!r:.80}")
        return render(self._service.metrics(_names(budgets)), format)

    def serve_metrics(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        allow_remote: bool = False,
        budgets: Collection[str] = (),
    ) -> MetricsServer:
        """Answer GET /metrics on a thread of its own: ``server = models.serve_metrics(9464)``; ``server.close()``.

        Args:
            port: 0 takes one that is free: ``server.port``, ``server.url``.
            host: the address to listen on.
            allow_remote: must be True for an address that other machines reach: there is no password.
            budgets: as of ``metrics``.

        ``quoth.metrics`` has apps for a web server that is there already.
        Raises ConfigurationError where it cannot or should not listen there.
        """
        from .metrics import MetricsServer

        names = _names(budgets)

        def render(format: Format) -> str:
            return self.metrics(format=format, budgets=names)

        return MetricsServer(render, port, host, allow_remote=allow_remote)

    def register_metrics(self, registry: Registry | None = None, *, budgets: Collection[str] = ()) -> MetricsCollector:
        """Put the metrics into a registry of prometheus_client (the default one), beside those of the application.

        They are read when the registry is; ``.remove()`` takes them out. Raises ConfigurationError where
        prometheus_client is not installed (the extra ``prometheus``), ValueError where they are there already.
        """
        from .instrumentation.metrics._bridge import MetricsCollector

        names = _names(budgets)
        return MetricsCollector(lambda: self._service.metrics(names), registry)

    def trace(self, **options: Unpack[TraceOptions]) -> Tracing:
        """Make a span of OpenTelemetry of each call, run and tool that begins from now on; ``.remove()`` ends that.

        Args:
            **options: see ``TraceOptions``: providers of OpenTelemetry's (the global ones where none are given), and
                whether messages are shown (``capture``, no by default).

        Needs the extra ``otel``. A second ``trace`` takes the place of the first.
        Raises ConfigurationError where opentelemetry is not installed, InputError for an option of no use.
        """
        return self._service.trace(options)

    def track(self) -> Within[Tally]:
        """``with models.track() as tally:`` counts the calls made inside, of every ModelsAPI; ``tally.total.usd``.

        Inside is this context: this thread or task, the tasks started in it, and what ``carry`` takes elsewhere.
        """
        from .instrumentation._tally import Tally

        tally = Tally()
        return Within(tally, {}, tally)

    def tag(self, /, **tags: str) -> Within[None]:
        """``with models.tag(feature="search", user="u1"):`` puts tags on the calls made inside, as ``track`` counts."""
        return Within(None, check_tags("tag", tags))

    def budget(
        self,
        limit: str | Decimal | int,
        /,
        *,
        name: str | None = None,
        per: Per | None = None,
        by: str | None = None,
        tags: Mapping[str, str] | None = None,
        hard: bool = True,
        estimate: Estimating = "worst",
    ) -> Budget:
        """Make a budget: ``with models.budget("5.00"):``, or ``models.budget("500", name="team-a", per="month")``.

        No call is sent that may cost more than is left, whatever else is under way. Pass it as ``budget=`` to calls
        and bindings, or enter it for this context. docs/budgets.md says what is promised, and what is not.

        Args:
            limit: US dollars, as a str or a Decimal.
            name: under which all processes that share the ledger's database share it. Without a name, or without a
                ledger, it lives in this process.
            per: ``day``, ``week`` or ``month`` (UTC): the limit holds for each. None: for all time.
            by: a tag, each value of which has the limit to itself: ``by="user"``.
            tags: it counts only calls that have all these.
            hard: False: it lets calls pass, warns once, and counts.
            estimate: what is reserved for a call: ``worst``, the most that it may cost; ``expected``, twice what calls
                of its model have cost on average, in this process or by the ledger, which may be exceeded.

        Raises InputError or ConfigurationError for what can be no budget.
        """
        return self._service.budgets.make(limit, name, per=per, by=by, tags=tags, hard=hard, estimate=estimate)

    def budgets(self) -> tuple[BudgetState, ...]:
        """All budgets with a name that were used: of this process, and of the ledger's database, by whomever.

        In the order of name, value and window; those of windows that are past too. Raises BudgetUnavailableError.
        """
        return self._service.budgets.states()

    def carry(self, function: Callable[Arguments, Carried]) -> Callable[Arguments, Carried]:
        """The function with the present tags and tallies: ``pool.submit(models.carry(work), item)``.

        A context does not reach the threads of a pool by itself. Raises InputTypeError for a generator function.
        """
        return carry(function)

    def on_call(self, hook: Hook) -> HookHandle:
        """Tell a function of each call that begins from now on, by its CallRecord, when it has ended.

        It is called where the call ended, on the caller's thread, so it should be quick, and may be called by several
        threads at once. A call that garbage collection ended is told when the next one ends, or ``usage()`` is read.
        What it raises hurts no call: it is counted, and reported once, as a RuntimeWarning. ``.remove()`` ends it.
        """
        given: object = hook
        if not callable(given) or is_async(given):
            raise InputTypeError("on_call takes a plain function of one CallRecord; an async one would never run")
        return self._service.on_call(hook)

    def log_calls(self, *, format: LogFormat = "text", tags: Iterable[str] = ()) -> HookHandle:
        """Log one line for each call that begins from now on: at INFO, on the logger ``quoth``, when it has ended.

        ``models.log_calls(format="json", tags=["feature"])``. A line has no prompt, no answer and no key, and of the
        tags those that are named; docs/observability.md lists its fields, which the LogRecord has as attributes too.
        Where it is printed is for the application's own logging to say. A handler that fails hurts no call.
        ``.remove()`` ends it.
        """
        from .instrumentation._logs import call_logger

        return self._service.on_call(call_logger(format, tags))

    def use(self, middleware: Middleware) -> Callable[[], None]:
        """Put middleware around each call that begins from now on; see ``quoth.middleware``.

        What was put there first is outermost. Gives a function that takes it out again.
        """
        if not is_generator(middleware):
            raise InputTypeError(
                "use takes a generator function of a request and of what comes next: "
                "def middleware(request, next): return (yield from next(request))"
            )
        return self._service.use(middleware)

    @property
    def ledger(self) -> Ledger:
        """The ledger that is configured: its totals, its records, its check; see docs/ledger.md.

        Raises ConfigurationError where there is none, or it cannot be.
        """
        found = self._service.ledger
        if found is None:
            raise ConfigurationError(
                "no ledger is kept: models.configure(ledger='usage.db'), or export QUOTH_LEDGER=usage.db"
            )
        return found

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until every call that has ended stands in the ledger; False where one does not after so many seconds."""
        return self._service.flush(timeout)

    def close(self) -> None:
        """Let go of idle connections and of the ledger. The object stays usable: the next call opens anew."""
        self._service.tell()
        self._service.close()

    def __repr__(self) -> str:
        return f"ModelsAPI({self._service.settings!r})"

    if not TYPE_CHECKING:  # else type checkers would take every misspelt verb for one of ours

        def __getattr__(self, name: str) -> NoReturn:
            planned = "models.{} is not built yet in this version of quoth"
            message = planned if name in _PLANNED else "ModelsAPI has no attribute {!r}"
            raise AttributeError(message.format(name), name=name, obj=self)


def _names(budgets: Collection[str]) -> frozenset[str]:
    """The names of budgets; one name is one, not its letters."""
    return frozenset({budgets} if isinstance(budgets, str) else budgets)
