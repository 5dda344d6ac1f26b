"""ModelService: what production needs around one call, written once, as flows.

The life of a call: resolve, check, address, admit, send, parse, price, record, output; again where a try failed in a
way that passes, and by the next target where it did not. Whatever happens in between, the call's scope
(``CallScope``) leaves exactly one CallRecord, and what a provider answered is never lost to something of ours: a
price that is unknown, or breaks, leaves the answer with an unknown cost.

A try ends where something of its answer would be shown: with the whole answer of a call, with the first piece of a
stream. Before, an error may lead to another try; behind it never.

Here stand what lasts from call to call, and the verbs. The flows of one call are in ``_answering``, that of texts as
vectors in ``_batching``; they put together who is asked and how often (``_tries``), one try (``_sending``), and what
the answer cost (``_accounting``).
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Never

from msgspec.structs import replace

from . import _flow
from ._call import CallScope, ModelCall
from ._flow import AsyncDriver, Driver, Flow, arun, run
from ._registry import SimpleModelRegistry
from ._settings import Settings, configured, ledger_place, metrics_folder, variable
from ._stream import AsyncStream, Stream, StreamOutput
from .errors import BudgetUnavailableError, ConfigurationError, InputError
from .instrumentation._journal import Journal
from .instrumentation._record import new_call_id
from .transport import AsyncTransport, Transport
from .types import Response

if TYPE_CHECKING:
    from types import ModuleType

    from ._budgets import Budgets
    from ._costs import Prices
    from ._database import Place
    from ._proving import Prover
    from .embeddings import EmbeddingRequest, EmbeddingResponse
    from .instrumentation._hooks import Hook, HookHandle, Hooks, RunWatch
    from .instrumentation.ledger import Ledger
    from .instrumentation.metrics._series import Series
    from .instrumentation.metrics._sharing import Sharing
    from .instrumentation.otel import Tracing
    from .limits._health import Health
    from .middleware import Middleware
    from .transport._router import AsyncRouter, Router

__all__ = ["ModelService"]


class ModelService:
    """Carries calls out: ``generate`` and ``stream`` blocking, ``agenerate`` and ``astream`` under asyncio."""

    def __init__(self, settings: Settings, registry: SimpleModelRegistry) -> None:
        self.settings = settings
        self.registry = registry
        self.journal = Journal(measures=True)
        self.hooks: Hooks | None = None
        """Made with the first hook, or to trace."""
        self._middleware: tuple[Middleware, ...] = ()
        """The first is the outermost."""
        self._changing = allocate_lock()
        """Guards what follows from the settings while they are replaced."""
        self._budgets: Budgets | None = None
        self._prices: Prices | None = None
        self._health: Health | None = None
        self._prover: Prover | None = None
        self._routers: tuple[Router, AsyncRouter] | None = None
        self._ledger: Ledger | None = None
        self._ledger_sought = False
        """Whether settings and environment were asked for one: once, by the first call."""
        self._sharing: Sharing | None = None
        self._sharing_sought = False
        """As of the ledger."""
        self._shared: dict[str, Sharing] = {}
        """By folder: what was written there is not to be counted twice."""

    @property
    def ledger(self) -> Ledger | None:
        """Where calls are recorded, if anywhere. Raises ConfigurationError where that cannot be."""
        if not self._ledger_sought:
            place = ledger_place(self.settings)
            with self._changing:
                if not self._ledger_sought:
                    if place is not None:
                        from .instrumentation.ledger import Ledger

                        self._ledger = Ledger(place)
                        self.journal.ledger = self._ledger.writer
                    self._ledger_sought = True
        return self._ledger

    @property
    def sharing(self) -> Sharing | None:
        """Where the metrics of several processes are joined, if anywhere."""
        if not self._sharing_sought:
            folder = metrics_folder(self.settings)
            with self._changing:
                if folder is not None:
                    from .instrumentation.metrics._sharing import Sharing

                    made = Sharing(folder, self._measured, self._not_shared)
                    self._sharing = self._shared.setdefault(folder, made)
                self._sharing_sought = True
        return self._sharing

    def _measured(self) -> tuple[Series, Series]:
        """The metrics of this process: what was counted, and how it stands now."""
        from .instrumentation.metrics._gauges import gauges
        from .transport._clock import monotonic

        metrics, counted = self.journal.metrics()
        if self._ledger is not None and (lost := self._ledger.counts.lost):
            counted.setdefault("quoth_telemetry_dropped_total", {})["ledger", "lost"] = [lost]
        lanes = self._health.states(monotonic()) if self._health is not None else ()
        return counted, gauges(lanes, metrics.model_label)

    def _not_shared(self, words: str, *, first: bool) -> None:
        """Count that metrics were not written where other processes would find them, and say so once."""
        self.journal.drop("metrics", "snapshot")
        if first:
            from warnings import warn

            with suppress(Exception):  # where warnings are errors: it is counted
                warn(f"quoth: metrics were not written to {words}; later failures are only counted", RuntimeWarning, 2)

    def metrics(self, budgets: Collection[str] = ()) -> Series:
        """All metrics; those of budgets by name only. Raises ConfigurationError where other processes' are not had."""
        self.tell()
        sharing = self.sharing
        if sharing is None:
            counted, gauges = self._measured()
            series = {**counted, **gauges}
        else:
            try:
                series = sharing.joined()
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"the metrics of {sharing.folder} cannot be read: {error}") from None
        return {**series, **self._money(budgets)} if budgets else series

    def _money(self, names: Collection[str]) -> Series:
        """The gauges of budgets, where their database answers."""
        from .instrumentation.metrics._gauges import budget_gauges
        from .limits._accounts import windows
        from .transport._clock import time

        try:
            states = self.budgets.states()
        except BudgetUnavailableError:
            self.journal.drop("metrics", "budgets")
            return {}
        return budget_gauges(states, names, windows(int(time() * 1000)))

    def _ledger_place(self) -> Place | None:
        ledger = self.ledger
        return ledger.place if ledger is not None else None

    def _recorded(self, model: str) -> tuple[int, int]:
        """How many calls of a model the ledger has, if there is one, and what they have cost, in nano-dollars."""
        ledger = self.ledger
        if ledger is None:
            return 0, 0
        from ._database import StorageError

        try:
            total = ledger.total(model=model)
        except StorageError:
            return 0, 0
        return total.answered, total.femto // 10**6

    def flush(self, timeout: float) -> bool:
        """Wait until what was recorded stands in the ledger, if there is one."""
        return self._ledger is None or self._ledger.flush(timeout)

    @property
    def health(self) -> Health:
        """How it goes with whom; made at first use."""
        health = self._health
        if health is None:
            from .limits._health import Health

            with self._changing:
                health = self._health = self._health or Health()
        return health

    @property
    def budgets(self) -> Budgets:
        """What may be spent; made at first use."""
        budgets = self._budgets
        if budgets is None:
            from ._budgets import Budgets

            with self._changing:
                budgets = self._budgets = self._budgets or Budgets(self._ledger_place, self._recorded)
        return budgets

    def _routed(self) -> tuple[Router, AsyncRouter]:
        """Who carries requests, blocking and under asyncio; made at first use."""
        routers = self._routers
        if routers is None:
            from .transport._router import AsyncRouter, Router

            over_network = dict.fromkeys(("http", "https"), self._network)
            over_async_network = dict.fromkeys(("http", "https"), self._async_network)
            made = (
                Router({"local": _embedded, **over_network}),
                AsyncRouter({"local": _async_embedded, **over_async_network}),
            )
            with self._changing:
                routers = self._routers = self._routers or made
        return routers

    @property
    def prices(self) -> Prices:
        """The price table with the overrides of the settings, else of the environment; made at first use."""
        prices = self._prices
        if prices is None:
            with self._changing:
                prices = self._prices = self._prices or _prices_of(self.settings)
        return prices

    def register_prices(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        """Put entries over the prices of settings, environment and table. A call under way keeps those it has."""
        while True:
            old = self.prices
            new = old.with_entries(given)  # it may read a file: not locked
            with self._changing:
                if self._prices is old:
                    self._prices = new
                    return

    def prices_with(self, own: str | Mapping[str, Mapping[str, Any]] | None) -> Prices:
        """The prices with entries over them; or with a text, as QUOTH_PRICES has it, in place of its own."""
        if own is None:
            return self.prices
        return self.prices.reloaded(own, "prices") if isinstance(own, str) else self.prices.with_entries(own)

    def reload_prices(self) -> None:
        """Read the prices of settings and environment anew; what was registered stays. All or nothing."""
        prices = _prices_of(self.settings, self.prices)
        prices.load()
        with self._changing:
            self._prices = prices

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Put changes over the settings, all or none. A call under way keeps those that it began with."""
        if changes.get("prices"):
            _prices_of(configured(self.settings, changes)).load()  # it reads a file: not locked
        with self._changing:
            self.settings = configured(self.settings, changes)
            if "prices" in changes and self._prices is not None:
                self._prices = _prices_of(self.settings, self._prices)
        if "ledger" in changes:
            self._leave_ledger()
        if "metrics_dir" in changes:
            with self._changing:
                sharing, self._sharing, self._sharing_sought = self._sharing, None, False
            if sharing is not None:
                sharing.end()
        if {"transport", "async_transport", "http"} & {*changes}:
            with self._changing:
                old, self._routers = self._routers, None
            for router in old or ():  # a call that was just choosing its transport puts it into an old one
                router.close()

    def _leave_ledger(self) -> None:
        """What was recorded goes where it was to go; what comes is recorded where the settings say now."""
        with self._changing:
            old, self._ledger, self._ledger_sought, self.journal.ledger = self._ledger, None, False, None
        if old is not None:
            old.end()

    def on_call(self, hook: Hook) -> HookHandle:
        """Tell a hook of each call that begins from now on."""
        return self._listening().add(hook)

    def trace(self, options: Mapping[str, Any]) -> Tracing:
        """Make spans and metrics of OpenTelemetry of what begins from now on."""
        from .instrumentation.otel import CAPTURE_VARIABLE, begin

        said = variable(CAPTURE_VARIABLE)
        if options.get("capture") is None and said is not None:
            options = {**options, "capture": said.upper()}
        return begin(self._listening(), options, lambda: self.journal.drop("otel", "failed"))

    def _listening(self) -> Hooks:
        from .instrumentation._hooks import Hooks

        with self._changing:
            self.hooks = self.hooks or Hooks(partial(self.journal.drop, "hook", "failed"))
        return self.hooks

    def origin(self) -> Any:
        """Where the caller is, as who watches would know it; None where nobody does."""
        return None if self.hooks is None or self.hooks.watcher is None else self.hooks.watcher.origin()

    def watch_run(self, run_id: str, origin: Any) -> RunWatch | None:
        """Let who watches see that a run begins."""
        return None if self.hooks is None else self.hooks.watch_run(run_id, origin)

    def use(self, middleware: Middleware) -> Callable[[], None]:
        """Put middleware around each call that begins from now on, inside of what is there; give what takes it out."""
        with self._changing:
            self._middleware = (*self._middleware, middleware)

        def remove() -> None:
            with self._changing:
                self._middleware = tuple([each for each in self._middleware if each is not middleware])

        return remove

    def tell(self) -> None:
        """Tell the hooks of calls that garbage collection ended."""
        if self.hooks is not None:
            self.hooks.tell()

    def close(self) -> None:
        """Let go of idle connections, of the embedded model's threads and of the ledger; the next call opens anew."""
        if self._budgets is not None:
            self._budgets.close()
        for router in self._routers or ():
            router.close()
        if self._ledger is not None:
            self._ledger.close()
        if self._sharing is not None:
            self._sharing.close()

    def new_id(self) -> str:
        """An id for what several calls are made for: their parent."""
        return new_call_id()

    def generate(self, call: ModelCall) -> Response:
        scope = self._scope(call, stream=False)
        return run(self._answer(call, scope), self._routed()[0], scope, _drivers(scope).Driver)

    async def agenerate(self, call: ModelCall) -> Response:
        scope = self._scope(call, stream=False)
        return await arun(self._answer(call, scope), self._routed()[1], scope, _drivers(scope).AsyncDriver)

    def stream(self, call: ModelCall) -> Stream:
        _refuse_repairs(call)
        call = self._placed(call)

        def start() -> Driver[StreamOutput, Response]:
            scope = self._scope(call, stream=True)
            driver: Driver[StreamOutput, Response] = _drivers(scope).Driver(
                self._answer(call, scope), self._routed()[0], scope
            )
            return driver

        return Stream(start)

    def astream(self, call: ModelCall) -> AsyncStream:
        _refuse_repairs(call)
        call = self._placed(call)

        def start() -> AsyncDriver[StreamOutput, Response]:
            scope = self._scope(call, stream=True)
            driver: AsyncDriver[StreamOutput, Response] = _drivers(scope).AsyncDriver(
                self._answer(call, scope), self._routed()[1], scope
            )
            return driver

        return AsyncStream(start)

    def list_models(self, call: ModelCall) -> tuple[str, ...]:
        """The ids that the provider says it has, over all its pages."""
        scope = self._scope(call, stream=False)
        return run(self._listing(call, scope), self._routed()[0], scope)

    async def alist_models(self, call: ModelCall) -> tuple[str, ...]:
        scope = self._scope(call, stream=False)
        return await arun(self._listing(call, scope), self._routed()[1], scope)

    def embed(self, call: ModelCall, request: EmbeddingRequest) -> EmbeddingResponse:
        scope = self._scope(call, stream=False)
        return run(self._embedding(call, request, scope), self._routed()[0], scope, _drivers(scope).Driver)

    async def aembed(self, call: ModelCall, request: EmbeddingRequest) -> EmbeddingResponse:
        scope = self._scope(call, stream=False)
        return await arun(self._embedding(call, request, scope), self._routed()[1], scope, _drivers(scope).AsyncDriver)

    # The flows. They are loaded by the first call.

    def _answer(self, call: ModelCall, scope: CallScope) -> Flow[StreamOutput, Response]:
        from ._answering import answer

        return answer(call, scope, self._middleware, self.registry)

    def _listing(self, call: ModelCall, scope: CallScope) -> Flow[Never, tuple[str, ...]]:
        from ._answering import list_models

        return list_models(call, scope)

    def _embedding(
        self, call: ModelCall, request: EmbeddingRequest, scope: CallScope
    ) -> Flow[Never, EmbeddingResponse]:
        from ._batching import embed

        return embed(call, request, scope)

    # What carries it.

    def _placed(self, call: ModelCall) -> ModelCall:
        origin = self.origin()
        return call if origin is None else replace(call, origin=origin)

    def _scope(self, call: ModelCall, *, stream: bool) -> CallScope:
        ledger = self._ledger if self._ledger_sought else self.ledger
        if ledger is not None:
            ledger.writer.ready()
        sharing = self._sharing if self._sharing_sought else self.sharing
        if sharing is not None:
            sharing.ready()
        return CallScope(
            call,
            self.settings,
            self.journal,
            self.hooks,
            prices=self.prices,
            health=self.health,
            prover=self._proving,
            stream=stream,
        )

    def _proving(self) -> Prover:
        """Who finds what proves a call for which there is no key; made at first use."""
        prover = self._prover
        if prover is None:
            from ._proving import Prover

            with self._changing:
                prover = self._prover = self._prover or Prover(lambda: self._routed()[0])
        return prover

    def _network(self) -> Transport:
        if self.settings.transport is not None:
            return self.settings.transport
        if self.settings.async_transport is not None:
            raise _half_given("async_transport", "transport")
        from .transport._blocking import HTTPTransport

        return HTTPTransport(self.settings.http)

    def _async_network(self) -> AsyncTransport:
        if self.settings.async_transport is not None:
            return self.settings.async_transport
        if self.settings.transport is not None:
            raise _half_given("transport", "async_transport")
        from .transport._aio import AsyncHTTPTransport

        return AsyncHTTPTransport(self.settings.http)


def _drivers(scope: CallScope) -> ModuleType:
    """Whose Driver and AsyncDriver drive the call: others, where somebody watches it."""
    if scope.watch is None:
        return _flow
    from . import _watched

    return _watched


def _prices_of(settings: Settings, old: Prices | None = None) -> Prices:
    """The prices of the settings, else of the environment, with what was registered in old ones."""
    from ._costs import Prices  # it and its table are loaded by the first call

    text, name = settings.prices, "Settings.prices"
    if not text:
        text, name = variable("QUOTH_PRICES"), "QUOTH_PRICES"
    return old.reloaded(text, name) if old else Prices(text, name)


def _embedded() -> Transport:
    from .providers._local import EmbeddedModel
    from .transport._in_process import InProcessTransport

    return InProcessTransport(EmbeddedModel())


def _async_embedded() -> AsyncTransport:
    from .providers._local import EmbeddedModel
    from .transport._in_process_aio import AsyncInProcessTransport

    return AsyncInProcessTransport(EmbeddedModel())


def _refuse_repairs(call: ModelCall) -> None:
    if call.repairs:
        raise InputError(
            "repairs and streams do not go together: what was shown of an answer cannot be taken back. Leave repairs "
            "out, repairs=0, or ask for the whole answer"
        )


def _half_given(given: str, missing: str) -> ConfigurationError:
    """Whoever gives a transport of their own for one world must not reach the network by the other unawares."""
    return ConfigurationError(
        f"the settings give {given}, but not {missing}, which this call needs: give both, Settings({missing}=...)"
    )
