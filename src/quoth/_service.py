"""ModelService: what production needs around one call, written once, as flows.

The life of a call: resolve, check, address, admit, send, parse, price, record, output; again where a try failed in a
way that passes, and by the next target where it did not. Whatever happens in between, the call's scope
(``CallScope``) leaves exactly one CallRecord, and what a provider answered is never lost to something of ours: a
price that is unknown, or breaks, leaves the answer with an unknown cost.

A try ends where something of its answer would be shown: with the whole answer of a call, with the first piece of a
stream. Before, an error may lead to another try; behind it never.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Never, TypeAlias, TypeVar

from msgspec.structs import replace

from ._call import Again, CallScope, ModelCall, priced_by
from ._flow import AsyncDriver, Call, Driver, Finish, Flow, Read, Send, Sleep, Step, arun, run
from ._registry import SimpleModelRegistry
from ._settings import Settings, configured, is_offline, named, policy_of, variable
from ._stream import AsyncStream, Opened, Stream, StreamOutput
from .errors import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    InputTypeError,
    LocalRateLimitError,
    QuothError,
    TransportError,
)
from .events import StreamEvent, unfold
from .instrumentation._journal import Journal
from .providers._address import Given, find_address, host_of, is_foreign, key_name
from .providers._auth import KeySource, Secret, read_key
from .providers._provider import AnswerReader
from .providers._spec import ProviderSpec
from .transport import AsyncTransport, Transport
from .types import Cost, ModelRequest, Response, RetryPolicy
from .wire import HTTPRequest, WireReply, WireRequest

if TYPE_CHECKING:
    from ._costs import Prices
    from .instrumentation._hooks import Hook, HookHandle, Hooks
    from .limits._health import Health, Lane, Ticket
    from .middleware import Middleware, Next
    from .transport._router import AsyncRouter, Router

__all__ = ["ModelService"]

Tried = TypeVar("Tried")
Out = TypeVar("Out")
Try: TypeAlias = Callable[[ModelCall, CallScope], Flow[Out, Tried]]
"""One try of one target."""
FirstPiece: TypeAlias = tuple[AnswerReader, list[StreamEvent], bytes]
"""The reader of a stream, the events up to its first piece, and the chunk that completed them."""


class ModelService:
    """Carries calls out: ``generate`` and ``stream`` blocking, ``agenerate`` and ``astream`` under asyncio."""

    def __init__(self, settings: Settings, registry: SimpleModelRegistry) -> None:
        self.settings = settings
        self.registry = registry
        self.journal = Journal()
        self.hooks: Hooks | None = None
        """Made with the first hook."""
        self._middleware: tuple[Middleware, ...] = ()
        """The first is the outermost."""
        self._changing = allocate_lock()
        """Guards what follows from the settings while they are replaced."""
        self._prices: Prices | None = None
        self._health: Health | None = None
        self._routers: tuple[Router, AsyncRouter] | None = None

    @property
    def health(self) -> Health:
        """How it goes with whom; made at first use."""
        health = self._health
        if health is None:
            from .limits._health import Health

            with self._changing:
                health = self._health = self._health or Health()
        return health

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
        if {"transport", "async_transport", "http"} & {*changes}:
            with self._changing:
                old, self._routers = self._routers, None
            for router in old or ():  # a call that was just choosing its transport puts it into an old one
                router.close()

    def on_call(self, hook: Hook) -> HookHandle:
        """Tell a hook of each call that begins from now on."""
        from .instrumentation._hooks import Hooks

        with self._changing:
            self.hooks = self.hooks or Hooks()
        return self.hooks.add(hook)

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
        """Let go of idle connections and of the embedded model's threads; the next call opens anew."""
        for router in self._routers or ():
            router.close()

    def generate(self, call: ModelCall) -> Response:
        scope = self._scope(call, stream=False)
        return run(self._answer(call, scope), self._routed()[0], scope)

    async def agenerate(self, call: ModelCall) -> Response:
        scope = self._scope(call, stream=False)
        return await arun(self._answer(call, scope), self._routed()[1], scope)

    def stream(self, call: ModelCall) -> Stream:
        def start() -> Driver[StreamOutput, Response]:
            scope = self._scope(call, stream=True)
            return Driver(self._answer(call, scope), self._routed()[0], scope)

        return Stream(start)

    def astream(self, call: ModelCall) -> AsyncStream:
        def start() -> AsyncDriver[StreamOutput, Response]:
            scope = self._scope(call, stream=True)
            return AsyncDriver(self._answer(call, scope), self._routed()[1], scope)

        return AsyncStream(start)

    def list_models(self, call: ModelCall) -> tuple[str, ...]:
        """The ids that the provider says it has, over all its pages."""
        scope = self._scope(call, stream=False)
        return run(self._list_models(call, scope), self._routed()[0], scope)

    async def alist_models(self, call: ModelCall) -> tuple[str, ...]:
        scope = self._scope(call, stream=False)
        return await arun(self._list_models(call, scope), self._routed()[1], scope)

    # The flows.

    def _list_models(self, call: ModelCall, scope: CallScope) -> Flow[Never, tuple[str, ...]]:
        ids: dict[str, None] = {}
        after: str | None = None
        for _ in range(MOST_PAGES):
            scope.approach(call)
            page, after = yield from self._tries(call, scope, partial(self._list_page, after))
            ids.update(dict.fromkeys(page))
            if after is None:
                break
        return tuple(ids)

    def _list_page(
        self, after: str | None, target: ModelCall, scope: CallScope
    ) -> Flow[Never, tuple[tuple[str, ...], str | None]]:
        """The ids of one page, and what the next one is asked for by."""
        reply = yield from self._send(target, scope, target.provider.build_listing(after), stream=False)
        page = target.provider.parse_listing(reply)
        return page.ids, page.after

    def _answer(self, call: ModelCall, scope: CallScope) -> Flow[StreamOutput, Response]:
        if self._middleware:
            return self._through_middleware(call, scope)
        return self._stream(call, scope) if scope.stream else self._generate(call, scope)

    def _generate(self, call: ModelCall, scope: CallScope) -> Flow[Never, Response]:
        reader = yield from self._ask(call, scope, self._whole_answer)
        return self._account(reader.response(), scope)

    def _stream(self, call: ModelCall, scope: CallScope) -> Flow[StreamOutput, Response]:
        begin: Flow[StreamOutput, FirstPiece] = self._ask(call, scope, self._first_piece)
        reader, events, chunk = yield from begin
        response: Response | None = None
        while True:
            if reader.ended:  # priced and given before its end is shown: who stops there has had it all
                response = self._account(reader.response(), scope)
                yield response
            for event in events:
                scope.saw(event)
                yield event
            if response is not None:
                break
            if not chunk:
                raise reader.interrupted()
            try:
                chunk = yield from _read(reader)
                events = reader.feed(chunk) if chunk else reader.end()
            except APIStatusError as error:
                raise reader.interrupted(error) from None
        yield Finish()
        return response

    # Around it.

    def _through_middleware(self, call: ModelCall, scope: CallScope) -> Flow[StreamOutput, Response]:
        def ask(request: ModelRequest) -> Flow[StreamOutput, Response]:
            changed = self._changed(call, request)
            return self._stream(changed, scope) if scope.stream else self._generate(changed, scope)

        ask_next: Next = ask
        for middleware in reversed(self._middleware):
            ask_next = _link(middleware, ask_next)
        response: object = yield from ask_next(replace(call.request, model=call.provider.id, stream=scope.stream))
        if not isinstance(response, Response):
            raise InputTypeError(f"middleware gave a {type(response).__name__} in place of a Response")
        if response is scope.answer:
            return response
        response = scope.given(response)
        if scope.stream:
            yield from _shown(response, scope)
        return response

    def _changed(self, call: ModelCall, request: ModelRequest) -> ModelCall:
        """The call as middleware would have it. Another model has not its key, address and fallbacks."""
        if request.model != call.provider.id:
            provider = self.registry.get(request.model)
            asked = replace(request, model=provider.model, extra={})
            return replace(call, provider=provider, request=asked, dialect=None, given=Given(), headers=(), fallback=())
        fallback = tuple(
            [replace(each, request=replace(each.request, messages=request.messages)) for each in call.fallback]
        )
        return replace(call, request=replace(request, model=call.provider.model), fallback=fallback)

    # Its tries.

    def _ask(self, call: ModelCall, scope: CallScope, once: Try[Out, Tried]) -> Flow[Out, Tried]:
        return self._targets(call, scope, once) if call.fallback else self._tries(call, scope, once)

    def _targets(self, call: ModelCall, scope: CallScope, once: Try[Out, Tried]) -> Flow[Out, Tried]:
        """Try one target after the other, until one answers."""
        from .limits._retry import falls_back, most_useful

        failed: list[tuple[QuothError, ModelCall]] = []
        targets = (call, *call.fallback)
        for target, following in zip(targets, (*call.fallback, None), strict=True):
            try:
                return (yield from self._tries(target, scope, once))
            except QuothError as error:
                failed.append((error.with_traceback(None), target))  # its frames hold this one
            same = following is not None and following.provider.spec.name == target.provider.spec.name
            if following is None or not falls_back(failed[-1][0], same_provider=same):
                break
            scope.amend_attempt(followed_by="fallback")
        raised = most_useful([error for error, _ in failed])
        scope.settle_on(raised, next(target for error, target in failed if error is raised))
        raise raised

    def _tries(self, target: ModelCall, scope: CallScope, once: Try[Out, Tried]) -> Flow[Out, Tried]:
        """Try one target, again where its policy says so, until it answers."""
        again: Again | None = None
        while True:
            if again is not None or target is not scope.target:
                scope.approach(target)
            try:
                tried = yield from once(target, scope)
            except QuothError as error:
                again = again or Again(_policy(target, scope))
                wait, failure = again.after(error, scope), error.with_traceback(None)  # its frames hold this one
            except BaseException:
                if scope.trial and scope.lane is not None:
                    scope.lane.breaker.lost()
                raise
            else:
                scope.end_attempt(answered=True)
                if scope.lane is not None:
                    scope.lane.succeeded(scope.moment(), trial=scope.trial)
                return tried
            if wait is None:
                raise failure
            yield Sleep(wait)
            scope.waited = wait

    # One try: until something of the answer would be shown.

    def _whole_answer(self, target: ModelCall, scope: CallScope) -> Flow[Never, AnswerReader]:
        target = self._choose(target, scope)
        reply = yield from self._send(target, scope, self._spell(target, scope, stream=False), stream=False)
        reader = scope.reader = AnswerReader(target.provider, reply)
        reader.read(reply.body)
        return reader

    def _first_piece(self, target: ModelCall, scope: CallScope) -> Flow[StreamOutput, FirstPiece]:
        target = self._choose(target, scope)
        reply = yield from self._send(target, scope, self._spell(target, scope, stream=True), stream=True)
        if not scope.opened:
            scope.opened = True
            yield _OPENED
        reader = scope.reader = AnswerReader(target.provider, reply)
        events, chunk = list[StreamEvent](), b""
        while not (reader.begun or reader.ended):
            events += reader.feed(b"")  # an error that stood behind the events of the last chunk
            chunk = yield from _read(reader)
            events += reader.feed(chunk) if chunk else reader.end()
            if not chunk and not reader.ended:
                raise reader.interrupted()
        return reader, events, chunk

    def _choose(self, target: ModelCall, scope: CallScope) -> ModelCall:
        """The call on the wire that suits it. What is known to be refused there is said before it is sent."""
        from .providers._choosing import advise, choose_wire

        spec = target.provider.spec

        def foreign() -> bool:
            return is_foreign(spec, target.given, _told_of(spec, scope.settings), os.environ)

        provider, change = choose_wire(target.provider, target.request, target.dialect, foreign)
        scope.changes = (change,) if change else ()
        advise(provider, target.request, target.check)
        return target if provider is target.provider else replace(target, provider=provider)

    def _spell(self, call: ModelCall, scope: CallScope, *, stream: bool) -> WireRequest:
        """The request on the provider's wire. What is wrong with it, or with the prices, is said before it is sent."""
        scope.prices.load()
        wire = call.provider.build(replace(call.request, stream=stream))
        scope.changes += wire.changes
        return wire

    def _send(
        self, target: ModelCall, scope: CallScope, wire: WireRequest, *, stream: bool
    ) -> Generator[Step, Any, WireReply]:
        """Send it once, when it may pass; raise what the transport or the provider says against it."""
        request = yield from self._address(target, scope, wire)
        lane = scope.lane = self.health.lane(target.provider.id, scope.host or "", scope.secret)
        if not lane.clear:
            yield from self._pass(target, lane, scope)
        scope.begin_attempt()
        reply: WireReply = yield Send(request, stream)
        scope.replied(reply)
        if 200 <= reply.status < 300:
            return reply
        raise target.provider.error(reply)

    def _pass(self, target: ModelCall, lane: Lane, scope: CallScope) -> Generator[Step, Any, None]:
        """Wait before a closed gate; ask an open breaker. Raise LimitError where the call may not be sent."""
        ticket: Ticket | None = None
        while True:
            most = min(_policy(target, scope).longest_wait, scope.deadline.remaining())
            ticket, wait = lane.gate.wait(scope.moment(), ticket, most)
            if wait <= 0:
                break
            if ticket is None:
                raise LocalRateLimitError(
                    f"{target.provider.id} has asked to wait, and this call cannot wait the {wait:.1f} s that are left "
                    "of it: it was not sent",
                    retry_after=wait,
                )
            yield Sleep(wait)
            scope.waited += wait
        scope.trial = lane.breaker.admit(scope.moment())

    def _address(self, call: ModelCall, scope: CallScope, wire: WireRequest) -> Generator[Step, Any, HTTPRequest]:
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

    def _account(self, response: Response, scope: CallScope) -> Response:
        """Price an answer and put on it what the call knows. The answer outlives whatever fails here."""
        provider = scope.target.provider
        answer = replace(
            response,
            provider=provider.spec.name,
            model=response.model or provider.model,
            cost=self._price(response, scope),
            call=scope.details(),
        )
        scope.took(answer)
        return answer

    def _price(self, response: Response, scope: CallScope) -> Cost:
        """What the answer cost: what the provider states, else what our prices say. Whatever breaks, it is paid for."""
        provider = scope.target.provider
        spec, request = provider.spec, scope.target.request
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
                asked=priced_by(request.extra) if request.extra else (),
                price=scope.target.price,
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

    def _scope(self, call: ModelCall, *, stream: bool) -> CallScope:
        return CallScope(call, self.settings, self.prices, self.journal, self.hooks, stream=stream)

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


def _link(middleware: Middleware, ask_next: Next) -> Next:
    return lambda request: middleware(request, ask_next)


def _shown(response: Response, scope: CallScope) -> Generator[StreamOutput, Any, None]:
    """Show a stream an answer that nobody has streamed; behind one that was streamed it only takes its place."""
    pieces = not scope.opened
    if pieces:
        scope.opened = True
        yield _OPENED
    yield response
    for event in unfold(response) if pieces else ():
        scope.saw(event)
        yield event


def _policy(target: ModelCall, scope: CallScope) -> RetryPolicy:
    return target.retries or scope.call.retries or policy_of(scope.settings) or RetryPolicy()


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
