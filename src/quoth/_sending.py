"""One try of one target: choose the wire, spell the request, address and admit it, send it, read the answer.

It ends where something of the answer would be shown: with a whole one, or with the first piece of a stream. Nothing
here is tried again: what goes wrong is raised, and ``_tries`` decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Never, TypeAlias

from msgspec.structs import replace

from ._call import CallScope, ModelCall
from ._flow import Call, Flow, Read, Send, Sleep, Step
from ._settings import Settings, is_offline, named
from ._stream import Opened, StreamOutput
from .errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    LocalRateLimitError,
    MissingKeyError,
    TransportError,
)
from .events import StreamEvent
from .providers._address import (
    Address,
    Given,
    find_address,
    host_of,
    is_foreign,
    is_loopback,
    key_name,
    url_in_force,
    wants_credentials,
)
from .providers._auth import Secret, read_key
from .providers._choosing import advise, advise_size, choose_wire
from .providers._provider import AnswerReader
from .providers._spec import ProviderSpec
from .types import ModelRequest
from .wire import HTTPRequest, WireReply, WireRequest

if TYPE_CHECKING:
    from ._output import Form
    from .limits._health import Lane, Ticket
    from .providers.credentials import Credentials

__all__ = ["OPENED", "FirstPiece", "first_piece", "read_on", "send", "told_of", "whole_answer"]

FirstPiece: TypeAlias = tuple[AnswerReader, list[StreamEvent], bytes]
"""The reader of a stream, the events up to its first piece, and the chunk that completed them."""

Proof: TypeAlias = Callable[[HTTPRequest, float], HTTPRequest]
"""Puts on a request what proves who calls, at this time in seconds since the epoch."""

OPENED = Opened()


def whole_answer(target: ModelCall, scope: CallScope) -> Flow[Never, AnswerReader]:
    target = _choose(target, scope)
    reply = yield from send(target, scope, _spell(target, scope, stream=False), stream=False)
    reader = scope.reader = _reader(target, reply, scope)
    reader.read(reply.body)
    return reader


def first_piece(target: ModelCall, scope: CallScope) -> Flow[StreamOutput, FirstPiece]:
    target = _choose(target, scope)
    reply = yield from send(target, scope, _spell(target, scope, stream=True), stream=True)
    if not scope.opened:
        scope.opened = True
        yield OPENED if scope.reading is None else Opened(scope.reading)
    reader = scope.reader = _reader(target, reply, scope)
    events, chunk = list[StreamEvent](), b""
    while not (reader.begun or reader.ended):
        events += reader.feed(b"")  # an error that stood behind the events of the last chunk
        chunk = yield from read_on(reader)
        events += reader.feed(chunk) if chunk else reader.end()
        if not chunk and not reader.ended:
            raise reader.interrupted()
    return reader, events, chunk


def read_on(reader: AnswerReader) -> Generator[Step, Any, bytes]:
    """The next bytes of a stream; a connection that breaks here has cut the answer short."""
    try:
        chunk: bytes = yield Read()
    except TransportError as error:
        reader.feed(b"")  # what the provider itself had said against the call comes first
        if isinstance(error, APIConnectionError):
            raise reader.interrupted(error) from None
        raise
    return chunk


def _choose(target: ModelCall, scope: CallScope) -> ModelCall:
    """The call on the wire that suits it. What is known to be refused there is said before it is sent."""
    spec = target.provider.spec

    def foreign() -> bool:
        return is_foreign(spec, target.given, told_of(spec, scope.settings), os.environ)

    provider, change = choose_wire(target.provider, target.request, target.dialect, foreign)
    scope.changes = (change,) if change else ()
    advise(provider, target.request, target.check)
    scope.reading = None
    return target if provider is target.provider else replace(target, provider=provider)


def _spell(call: ModelCall, scope: CallScope, *, stream: bool) -> WireRequest:
    """The request on the provider's wire. What is wrong with it, or with the prices, is said before it is sent."""
    scope.prices.load()
    request = call.request if call.output is None else _asked_for(call.output, call, scope)
    wire = call.provider.build(replace(request, stream=stream))
    scope.changes += wire.changes
    if call.provider.spec.limits is not None:
        advise_size(call.provider, call.request, len(wire.body), call.check)
    return wire


def _asked_for(form: Form, call: ModelCall, scope: CallScope) -> ModelRequest:
    """The request with the form of its answer as this target is asked for it."""
    from ._output import ask_for

    if call.request.output is None:  # middleware has taken it out
        return call.request
    asked = ask_for(form, call.provider, call.request)
    scope.reading = asked.reading
    scope.changes += asked.changes
    return asked.request


def _reader(target: ModelCall, reply: WireReply, scope: CallScope) -> AnswerReader:
    told = scope.reading.told() if scope.reading is not None else None
    return AnswerReader(target.provider, reply, told)


def send(target: ModelCall, scope: CallScope, wire: WireRequest, *, stream: bool) -> Generator[Step, Any, WireReply]:
    """Send it once, when it may pass; raise what the transport or the provider says against it."""
    request, proof = yield from _address(target, scope, wire)
    secrets = scope.secrets()
    key = secrets[0] if secrets else None
    lane = scope.lane = scope.health.lane(target.provider.id, scope.host or "", key)
    if not lane.clear:
        yield from _pass(target, lane, scope)
    if scope.call.budgets or target.budgets:
        shorter = yield from _afford(target, scope, wire, stream=stream)
        if shorter is not None:
            request, proof = shorter
    if proof is not None:  # as late as can be, for what proves it holds the time
        request = proof(request, scope.clock())
    scope.begin_attempt()
    reply: WireReply = yield Send(request, stream)
    scope.replied(reply)
    if 200 <= reply.status < 300:
        return reply
    error = target.provider.error(reply)
    if proof is not None and isinstance(error, AuthenticationError):
        scope.prover().forget(target.provider.spec)  # who logs in anew, or rotates a file, is believed at the next call
    raise error


def _pass(target: ModelCall, lane: Lane, scope: CallScope) -> Generator[Step, Any, None]:
    """Wait before a closed gate; ask an open breaker. Raise LimitError where the call may not be sent."""
    ticket: Ticket | None = None
    while True:
        most = min(scope.policy_of(target).longest_wait, scope.deadline.remaining())
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


def _afford(
    target: ModelCall, scope: CallScope, wire: WireRequest, *, stream: bool
) -> Generator[Step, Any, tuple[HTTPRequest, Proof | None] | None]:
    """Reserve what it may cost; give what is to be sent in its place, where only a shorter answer can be paid."""
    from ._spending import reserve

    chosen = scope.changes[: len(scope.changes) - len(wire.changes)]

    def spell(shorter: ModelCall) -> WireRequest:
        scope.changes = chosen
        return _spell(shorter, scope, stream=stream)

    try:
        capped = yield from reserve(target, scope, wire, spell)
    except BaseException:
        if scope.trial and scope.lane is not None:
            scope.lane.breaker.lost()
        raise
    return (yield from _address(target, scope, capped)) if capped is not None else None


def _address(
    call: ModelCall, scope: CallScope, wire: WireRequest
) -> Generator[Step, Any, tuple[HTTPRequest, Proof | None]]:
    provider, settings = call.provider, scope.settings
    own, given = call.given, told_of(provider.spec, settings)
    if callable(own.api_key):
        own = replace(own, api_key=(yield from _asked_for_key(own.api_key, "api_key")))
    elif own.api_key is None and callable(given.api_key):
        given = replace(given, api_key=(yield from _asked_for_key(given.api_key, key_name(provider.spec))))
    credentials: Credentials | None = None
    if wants_credentials(provider.spec, own, given, os.environ):
        credentials = yield from _credentials(provider.spec, given, scope)
    address = find_address(provider.spec, own, given, os.environ, provider.wire, credentials=credentials)
    if not address.base_url.startswith("local:"):
        _refuse_offline(settings)
    secrets = credentials.secrets() if credentials else (address.api_key,) if address.api_key else ()
    scope.secrets = lambda: secrets
    scope.host = f"host:{host_of(address.base_url)}"  # some hosts of one provider charge more than others
    return provider.address(wire, address, call.headers), _proof(credentials, address) if credentials else None


def _credentials(spec: ProviderSpec, given: Given, scope: CallScope) -> Generator[Step, Any, Credentials | None]:
    """What the row's source finds; None where it finds nothing, and a server on this machine needs nothing."""
    _refuse_offline(scope.settings)
    try:
        found: Credentials = yield Call(partial(scope.prover().find, spec, scope.deadline))
    except MissingKeyError:
        if not is_loopback(url_in_force(spec, given, os.environ)):
            raise
        return None
    return found


def _proof(credentials: Credentials, address: Address) -> Proof:
    from ._proving import proved

    return lambda request, at: proved(request, credentials, address.parts, at)


def told_of(spec: ProviderSpec, settings: Settings) -> Given:
    """What the settings say of a provider's address, under its name or an alias."""
    if not settings.api_keys and not settings.base_urls:
        return _NOTHING
    names = (spec.name, *spec.aliases)
    return Given(api_key=named(settings.api_keys, names), base_url=named(settings.base_urls, names))


_NOTHING = Given()


def _asked_for_key(function: Callable[[], str | Secret], name: str) -> Generator[Step, Any, Secret]:
    """The key that a function gives now: it may wait for a vault, so no event loop waits with it."""
    key: str = yield Call(partial(read_key, function, name))
    return Secret(key)


def _refuse_offline(settings: Settings) -> None:
    if is_offline(settings):
        said_by = "the setting offline" if settings.offline else "QUOTH_OFFLINE"
        raise ConfigurationError(
            f"{said_by} forbids the network: unset it, or use the embedded model, models('local/smollm2', ...)"
        )
