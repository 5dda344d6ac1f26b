"""ModelService: what production needs around one call, written once, as flows.

The life of a call: resolve, check, address, send, parse, price, record, output. Whatever happens in between,
the call's scope (``_CallScope``) leaves exactly one CallRecord, and what a provider answered is never lost to
something of ours: a price that is unknown, or breaks, leaves the answer with an unknown cost.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Never

from msgspec import Struct
from msgspec.structs import replace

from ._flow import AsyncDriver, Call, Driver, Finish, Flow, Read, Scope, Send, Step, arun, run
from ._registry import SimpleModelRegistry
from ._scope import Counter
from ._settings import Settings, configured, is_offline, named, timeout_of, variable
from ._stream import AsyncStream, Opened, Stream, StreamOutput
from .errors import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    QuothError,
    Sent,
    TransportError,
)
from .events import ResponseStart, StreamEvent
from .instrumentation._journal import Journal
from .instrumentation._record import CallRecord, Operation, new_call_id
from .providers._address import Given, find_address, host_of, is_foreign, key_name
from .providers._auth import KeySource, Secret, read_key
from .providers._provider import AnswerReader, Provider
from .providers._spec import CheckLevel, ProviderSpec
from .transport import AsyncTransport, Transport
from .transport._router import AsyncRouter, Router
from .types import Attempt, CallDetails, Cost, Ending, ModelRequest, Response, Usage
from .wire import Headers, HTTPRequest, WireReply, WireRequest, request_id

if TYPE_CHECKING:
    from ._costs import OwnPrice, Prices
    from .instrumentation._hooks import Hook, HookHandle, Hooks

__all__ = ["ModelCall", "ModelService"]


class ModelCall(Struct, frozen=True, kw_only=True, gc=False):
    """One call as the API hands it over. Its repr shows no key and no header."""

    provider: Provider
    request: ModelRequest
    dialect: str | None = None
    """The wire that the caller asked for."""
    check: CheckLevel = "warn"
    given: Given = Given()
    headers: Headers = ()
    timeout: float | None = None
    price: OwnPrice | None = None
    """The prices of this call, over all others."""
    tags: Mapping[str, str] = {}
    counters: tuple[Counter, ...] = ()
    """Who is told of its record, beside the journal."""
    parent: str | None = None
    """The id of the call that this one is made for."""
    operation: Operation = "generate"

    def __repr__(self) -> str:
        return f"ModelCall({self.provider.id!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("provider", self.provider.id)]


class ModelService:
    """Carries calls out: ``generate`` and ``stream`` blocking, ``agenerate`` and ``astream`` under asyncio."""

    def __init__(self, settings: Settings, registry: SimpleModelRegistry) -> None:
        self.settings = settings
        self.registry = registry
        self.journal = Journal()
        self.hooks: Hooks | None = None
        """Made with the first hook."""
        self._changing = allocate_lock()
        """Guards what follows from the settings while they are replaced."""
        self._prices: Prices | None = None
        self._route()

    def _route(self) -> None:
        self._router = Router({"local": _embedded, **dict.fromkeys(("http", "https"), self._network)})
        self._async_router = AsyncRouter(
            {"local": _async_embedded, **dict.fromkeys(("http", "https"), self._async_network)}
        )

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
        if {"transport", "async_transport", "http"} & {*changes}:
            old = self._router, self._async_router
            self._route()  # new ones: a call that was just choosing its transport puts it into an old one
            for router in old:
                router.close()

    def on_call(self, hook: Hook) -> HookHandle:
        """Tell a hook of each call that begins from now on."""
        from .instrumentation._hooks import Hooks

        with self._changing:
            self.hooks = self.hooks or Hooks()
        return self.hooks.add(hook)

    def tell(self) -> None:
        """Tell the hooks of calls that garbage collection ended."""
        if self.hooks is not None:
            self.hooks.tell()

    def close(self) -> None:
        """Let go of idle connections and of the embedded model's threads; the next call opens anew."""
        self._router.close()
        self._async_router.close()

    def generate(self, call: ModelCall) -> Response:
        scope = self._scope(call, stream=False)
        return run(self._generate(call, scope), self._router, scope)

    async def agenerate(self, call: ModelCall) -> Response:
        scope = self._scope(call, stream=False)
        return await arun(self._generate(call, scope), self._async_router, scope)

    def stream(self, call: ModelCall) -> Stream:
        def start() -> Driver[StreamOutput, Response]:
            scope = self._scope(call, stream=True)
            return Driver(self._stream(call, scope), self._router, scope)

        return Stream(start)

    def astream(self, call: ModelCall) -> AsyncStream:
        def start() -> AsyncDriver[StreamOutput, Response]:
            scope = self._scope(call, stream=True)
            return AsyncDriver(self._stream(call, scope), self._async_router, scope)

        return AsyncStream(start)

    def list_models(self, call: ModelCall) -> tuple[str, ...]:
        """The ids that the provider says it has, over all its pages."""
        scope = self._scope(call, stream=False)
        return run(self._list_models(call, scope), self._router, scope)

    async def alist_models(self, call: ModelCall) -> tuple[str, ...]:
        scope = self._scope(call, stream=False)
        return await arun(self._list_models(call, scope), self._async_router, scope)

    # The flows.

    def _list_models(self, call: ModelCall, scope: _CallScope) -> Flow[Never, tuple[str, ...]]:
        ids: dict[str, None] = {}
        after: str | None = None
        for _ in range(MOST_PAGES):
            reply = yield from self._send(call, scope, call.provider.build_listing(after), stream=False)
            page = call.provider.parse_listing(reply)
            ids.update(dict.fromkeys(page.ids))
            after = page.after
            if after is None:
                break
        return tuple(ids)

    def _generate(self, call: ModelCall, scope: _CallScope) -> Flow[Never, Response]:
        call = self._choose(call, scope)
        reply = yield from self._send(call, scope, self._spell(call, scope, stream=False), stream=False)
        reader = scope.reader = AnswerReader(call.provider, reply)
        return self._account(reader.read(reply.body), scope)

    def _stream(self, call: ModelCall, scope: _CallScope) -> Flow[StreamOutput, Response]:
        call = self._choose(call, scope)
        reply = yield from self._send(call, scope, self._spell(call, scope, stream=True), stream=True)
        yield _OPENED
        reader = scope.reader = AnswerReader(call.provider, reply)
        response: Response | None = None
        while response is None:
            chunk = yield from _read(reader)
            events = reader.feed(chunk) if chunk else reader.end()
            if reader.ended:  # priced and given before its end is shown: who stops there has had it all
                response = self._account(reader.response(), scope)
                yield response
            for event in events:
                scope.saw(event)
                yield event
            if response is None and not chunk:
                raise reader.interrupted()
        yield Finish()
        return response

    def _choose(self, call: ModelCall, scope: _CallScope) -> ModelCall:
        """The call on the wire that suits it. What is known to be refused there is said before it is sent."""
        from .providers._choosing import advise, choose_wire

        spec = call.provider.spec

        def foreign() -> bool:
            return is_foreign(spec, call.given, _told_of(spec, scope.settings), os.environ)

        provider, change = choose_wire(call.provider, call.request, call.dialect, foreign)
        scope.changes = (change,) if change else ()
        advise(provider, call.request, call.check)
        return call if provider is call.provider else replace(call, provider=provider)

    def _spell(self, call: ModelCall, scope: _CallScope, *, stream: bool) -> WireRequest:
        """The request on the provider's wire. What is wrong with it, or with the prices, is said before it is sent."""
        scope.prices.load()
        wire = call.provider.build(replace(call.request, stream=stream))
        scope.changes += wire.changes
        return wire

    def _send(
        self, call: ModelCall, scope: _CallScope, wire: WireRequest, *, stream: bool
    ) -> Generator[Step, Any, WireReply]:
        """One attempt; raise what the transport or the provider says against it."""
        request = yield from self._address(call, scope, wire)
        scope.begin_attempt()
        try:
            reply: WireReply = yield Send(request, stream)
        except BaseException as error:
            scope.end_attempt(None, error)
            raise
        if 200 <= reply.status < 300:
            scope.end_attempt(reply, None)
            return reply
        refusal = call.provider.error(reply)
        scope.end_attempt(reply, refusal)
        raise refusal

    def _address(self, call: ModelCall, scope: _CallScope, wire: WireRequest) -> Generator[Step, Any, HTTPRequest]:
        provider, settings = call.provider, scope.settings
        own, given = call.given, _told_of(provider.spec, settings)
        if own.api_key:
            own = replace(own, api_key=(yield from _key_now(own.api_key, "api_key")))
        elif given.api_key:
            given = replace(given, api_key=(yield from _key_now(given.api_key, key_name(provider.spec))))
        address = find_address(provider.spec, own, given, os.environ, provider.wire)
        if not address.base_url.startswith("local:"):
            _refuse_offline(settings)
        scope.secret = address.api_key
        scope.host = f"host:{host_of(address.base_url)}"  # some hosts of one provider charge more than others
        return provider.address(wire, address, call.headers)

    def _account(self, response: Response, scope: _CallScope) -> Response:
        """Price an answer and put on it what the call knows. The answer outlives whatever fails here."""
        provider = scope.call.provider
        cost = self._price(response, scope)
        scope.usage, scope.cost = response.usage, cost
        scope.served_model, scope.finish_reason = response.model or None, response.finish_reason
        return replace(
            response,
            provider=provider.spec.name,
            model=response.model or provider.model,
            cost=cost,
            call=scope.details(),
        )

    def _price(self, response: Response, scope: _CallScope) -> Cost:
        """What the answer cost: what the provider states, else what our prices say. Whatever breaks, it is paid for."""
        provider = scope.call.provider
        spec, request = provider.spec, scope.call.request
        try:
            cost = scope.prices.cost(
                spec.prices,
                response.model,
                response.usage,
                at=scope.started_at,
                tier=response.service_tier,
                requested=provider.model,
                region=response.region,
                host=scope.host,
                speed=response.speed,
                asked=_asked(request.extra) if request.extra else (),
                price=scope.call.price,
            )
        except Exception as error:  # noqa: BLE001  # whatever is wrong with our pricing, the answer is paid for
            cost = Cost(femto=None, kind="unknown", reason=f"pricing failed: {error}")
        if spec.reported_cost is None:
            return cost
        from ._costs._stated import with_stated

        try:
            return with_stated(cost, response, spec.reported_cost, spec.reported_cost_units)
        except Exception:  # noqa: BLE001  # what the provider stated cannot be read: ours stands
            return cost

    # What carries it.

    def _scope(self, call: ModelCall, *, stream: bool) -> _CallScope:
        return _CallScope(call, self, stream=stream)

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


def _told_of(spec: ProviderSpec, settings: Settings) -> Given:
    """What the settings say of a provider's address, under its name or an alias."""
    if not settings.api_keys and not settings.base_urls:
        return _NOTHING
    names = (spec.name, *spec.aliases)
    return Given(api_key=named(settings.api_keys, names), base_url=named(settings.base_urls, names))


_NOTHING = Given()


_PRICED_BY = ("service_tier", "speed", "inference_geo")
"""Fields of a request that may change its price. They count where the answer does not say how it was served."""


def _asked(extra: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name in _PRICED_BY if isinstance(value := extra.get(name), str)])


_OPENED = Opened()

MOST_PAGES = 100
"""No list of models goes on for longer, whatever its server says."""


def _prices_of(settings: Settings, old: Prices | None = None) -> Prices:
    """The prices of the settings, else of the environment, with what was registered in old ones."""
    from ._costs import Prices  # it and its table are loaded by the first call

    text, name = settings.prices, "Settings.prices"
    if not text:
        text, name = variable("QUOTH_PRICES"), "QUOTH_PRICES"
    return old.reloaded(text, name) if old else Prices(text, name)


def _key_now(source: KeySource, name: str) -> Generator[Step, Any, KeySource]:
    """A source that need not be asked any more: a function may wait for a vault, so no event loop waits with it."""
    if not callable(source):
        return source
    key: str = yield Call(partial(read_key, source, name))
    return Secret(key)


def _read(reader: AnswerReader) -> Generator[Step, Any, bytes]:
    """The next bytes of a stream; a connection that breaks here has cut the answer short."""
    try:
        chunk: bytes = yield Read()
    except TransportError as error:
        reader.feed(b"")  # what the provider itself had said against the call comes first
        if isinstance(error, APIConnectionError):
            raise reader.interrupted(error) from None
        raise
    return chunk


class _CallScope(Scope):
    """One call's clock and facts, from which its one record is made."""

    __slots__ = (
        "_attempt_began", "_attempts", "_first_output", "_headers", "_hooks", "_journal", "_listeners", "_request_id",
        "_sent", "_status", "call", "changes", "cost", "finish_reason", "host", "id", "prices", "reader", "secret",
        "served_model", "settings", "stream", "usage",
    )  # fmt: skip

    def __init__(self, call: ModelCall, service: ModelService, *, stream: bool) -> None:
        settings = service.settings
        super().__init__(call.timeout if call.timeout is not None else timeout_of(settings))
        self.id = new_call_id()
        self.call = call
        self.settings = settings
        self.prices = service.prices
        self.stream = stream
        self.changes: tuple[str, ...] = ()
        self.usage: Usage | None = None
        self.cost: Cost | None = None
        self.served_model: str | None = None
        self.finish_reason: str | None = None
        self.reader: AnswerReader | None = None
        self.host: str | None = None
        self.secret: str | None = None
        self._journal = service.journal
        self._hooks = hooks = service.hooks
        self._listeners = hooks.listeners() if hooks is not None else ()
        self._attempts: list[Attempt] = []
        self._attempt_began = 0.0
        self._first_output: float | None = None
        self._headers: Headers = ()
        self._request_id: str | None = None
        self._status: int | None = None
        self._sent: Sent = "no"

    def begin_attempt(self) -> None:
        self._attempt_began = self.elapsed()
        self._sent = "maybe"

    def end_attempt(self, reply: WireReply | None, error: BaseException | None) -> None:
        if reply is not None:
            self._sent, self._status, self._headers = "yes", reply.status, reply.headers
            self._request_id = request_id(reply.headers)
        elif isinstance(error, QuothError):
            self._sent = error.sent
        attempt = Attempt(
            provider=self.call.provider.spec.name,
            model=self.call.provider.model,
            started=self._attempt_began,
            seconds=self.elapsed() - self._attempt_began,
            status=self._status,
            error_kind=_kind(error),
            request_id=self._request_id,
        )
        self._attempts.append(attempt)

    def saw(self, event: StreamEvent) -> None:
        if self._first_output is None and not isinstance(event, ResponseStart):
            self._first_output = self.elapsed()

    def details(self) -> CallDetails:
        return CallDetails(
            id=self.id,
            seconds=self.elapsed(),
            first_output_seconds=self._first_output,
            attempts=tuple(self._attempts),
            request_id=self._request_id,
            headers=self._headers,
            changes=self.changes,
        )

    def finish(self, ending: Ending, error: BaseException | None) -> None:
        may_be_collected = ending == "abandoned"
        if self.cost is not None and ending == "abandoned":
            ending = "answered"  # the whole answer had come; only the connection's end was not waited for
        if isinstance(error, QuothError):
            self._annotate(error)
        self._tell(self._record(ending, error))
        if not may_be_collected:
            self.closed()

    def _tell(self, record: CallRecord) -> None:
        self._journal.append(record)
        for counter in self.call.counters:
            counter.append(record)
        if self._hooks is not None and self._listeners:
            self._hooks.append(record, self._listeners)

    def closed(self) -> None:
        if self._hooks is not None:
            self._hooks.tell()

    def _annotate(self, error: QuothError) -> None:
        """Say on an error whom it concerns, what was tried, and what of the answer had come."""
        if self.secret:
            error.redact(self.secret)
        error.provider = error.provider or self.call.provider.spec.name
        error.model = error.model or self.call.provider.model
        error.attempts = error.attempts or tuple(self._attempts)
        if error.billed == "no" and self._may_be_billed(error):
            error.billed = "maybe"
        if error.partial is None and self.reader is not None:
            error.partial = self.reader.response()
        if error.partial is not None:
            error.partial = replace(error.partial, cost=self._unanswered_cost(error) or error.partial.cost)

    def _record(self, ending: Ending, error: BaseException | None) -> CallRecord:
        provider = self.call.provider
        return CallRecord(
            id=self.id,
            operation=self.call.operation,
            parent=self.call.parent,
            tags={**self.settings.tags, **self.call.tags},
            provider=provider.spec.name,
            model=provider.model,
            served_model=self.served_model,
            stream=self.stream,
            outcome=ending,
            error_kind=_kind(error),
            status=self._status,
            finish_reason=self.finish_reason,
            sent=self._sent,
            usage=self.usage,
            cost=self.cost or self._unanswered_cost(error),
            started_at=self.started_at,
            seconds=self.elapsed(),
            first_output_seconds=self._first_output,
            attempts=tuple(self._attempts),
            changes=self.changes,
        )

    def _unanswered_cost(self, error: BaseException | None) -> Cost | None:
        """None where the call cost nothing for certain; an unknown cost where it may have."""
        if not self._may_be_billed(error):
            return None
        return Cost(femto=None, kind="unknown", reason="the call ended before the provider stated its usage")

    def _may_be_billed(self, error: BaseException | None) -> bool:
        """Whether a call without a whole answer may have cost something: unless it was refused, what was sent may."""
        if self.call.operation == "list_models":
            return False
        if isinstance(error, APIStatusError) and self.reader is None:
            return error.billed != "no"
        return self._sent != "no"


def _kind(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return error.kind if isinstance(error, QuothError) else type(error).__name__


def _embedded() -> Transport:
    from .providers._local import EmbeddedModel
    from .transport._in_process import InProcessTransport

    return InProcessTransport(EmbeddedModel())


def _async_embedded() -> AsyncTransport:
    from .providers._local import EmbeddedModel
    from .transport._in_process_aio import AsyncInProcessTransport

    return AsyncInProcessTransport(EmbeddedModel())


def _refuse_offline(settings: Settings) -> None:
    if is_offline(settings):
        said_by = "the setting offline" if settings.offline else "QUOTH_OFFLINE"
        raise ConfigurationError(
            f"{said_by} forbids the network: unset it, or use the embedded model, models('local/smollm2', ...)"
        )


def _half_given(given: str, missing: str) -> ConfigurationError:
    """Whoever gives a transport of their own for one world must not reach the network by the other unawares."""
    return ConfigurationError(
        f"the settings give {given}, but not {missing}, which this call needs: give both, Settings({missing}=...)"
    )
