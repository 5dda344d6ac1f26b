"""The flows of a call: from what was asked to the answer, whole, streamed or through middleware."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Never

from msgspec.structs import replace

from ._accounting import account
from ._call import CallScope, ModelCall
from ._flow import Finish, Flow
from ._registry import SimpleModelRegistry
from ._sending import OPENED, FirstPiece, first_piece, read_on, send, whole_answer
from ._stream import Opened, StreamOutput
from ._tries import ask
from .errors import APIStatusError, InputTypeError, QuothError
from .events import unfold
from .providers._address import Given
from .types import ModelRequest, Response

if TYPE_CHECKING:
    from .middleware import Middleware, Next

__all__ = ["answer", "list_models"]

MOST_PAGES = 100
"""No list of models goes on for longer, whatever its server says."""


def list_models(call: ModelCall, scope: CallScope) -> Flow[Never, tuple[str, ...]]:
    """The ids that a provider says it has, over all its pages."""
    ids: dict[str, None] = {}
    after: str | None = None
    for _ in range(MOST_PAGES):
        scope.approach(call)
        page, after = yield from ask(call, scope, partial(_list_page, after))
        ids.update(dict.fromkeys(page))
        if after is None:
            break
    return tuple(ids)


def _list_page(
    after: str | None, target: ModelCall, scope: CallScope
) -> Flow[Never, tuple[tuple[str, ...], str | None]]:
    """The ids of one page, and what the next one is asked for by."""
    reply = yield from send(target, scope, target.provider.build_listing(after), stream=False)
    page = target.provider.parse_listing(reply)
    return page.ids, page.after


def answer(
    call: ModelCall, scope: CallScope, middleware: tuple[Middleware, ...], registry: SimpleModelRegistry
) -> Flow[StreamOutput, Response]:
    """The flow of a call, through the middleware around it, and again where the answer has not the form asked for."""
    return (_repaired if call.repairs else _answered)(call, scope, middleware, registry)


def _repaired(
    call: ModelCall, scope: CallScope, middleware: tuple[Middleware, ...], registry: SimpleModelRegistry
) -> Flow[StreamOutput, Response]:
    """Ask again where the answer is not what was asked for, with what is wrong with it. All of it is one call."""
    from ._output import repaired_request

    response = yield from _answered(call, scope, middleware, registry)
    for _ in range(call.repairs):
        request = repaired_request(call.request, response)
        if request is None:
            break
        call = _asking(call, request)
        try:
            response = yield from _answered(call, scope, middleware, registry)
        except QuothError as error:
            if error.partial is None:  # that answer was paid for
                error.partial = response
            raise
    return replace(response, usage=scope.usage or response.usage, cost=scope.cost or response.cost)


def _answered(
    call: ModelCall, scope: CallScope, middleware: tuple[Middleware, ...], registry: SimpleModelRegistry
) -> Flow[StreamOutput, Response]:
    if middleware:
        return _through_middleware(call, scope, middleware, registry)
    return _stream(call, scope) if scope.stream else _generate(call, scope)


def _generate(call: ModelCall, scope: CallScope) -> Flow[Never, Response]:
    reader = yield from ask(call, scope, whole_answer)
    return account(reader.response(), scope)


def _stream(call: ModelCall, scope: CallScope) -> Flow[StreamOutput, Response]:
    begin: Flow[StreamOutput, FirstPiece] = ask(call, scope, first_piece)
    reader, events, chunk = yield from begin
    response: Response | None = None
    while True:
        if reader.ended:  # priced and given before its end is shown: who stops there has had it all
            response = account(reader.response(), scope)
            yield response
        for event in events:
            scope.saw(event)
            yield event
        if response is not None:
            break
        if not chunk:
            raise reader.interrupted()
        try:
            chunk = yield from read_on(reader)
            events = reader.feed(chunk) if chunk else reader.end()
        except APIStatusError as error:
            raise reader.interrupted(error) from None
        if scope.hold is not None:
            scope.hold.keep(scope.moment())
    yield Finish()
    return response


def _through_middleware(
    call: ModelCall, scope: CallScope, around: tuple[Middleware, ...], registry: SimpleModelRegistry
) -> Flow[StreamOutput, Response]:
    def ask(request: ModelRequest) -> Flow[StreamOutput, Response]:
        changed = _changed(call, request, registry)
        return _stream(changed, scope) if scope.stream else _generate(changed, scope)

    ask_next: Next = ask
    for middleware in reversed(around):
        ask_next = _link(middleware, ask_next)
    response: object = yield from ask_next(replace(call.request, model=call.provider.id, stream=scope.stream))
    if not isinstance(response, Response):
        raise InputTypeError(f"middleware gave a {type(response).__name__} in place of a Response")
    if response is scope.answer:
        return response
    response = _readable(call, scope.given(response))
    if scope.stream:
        yield from _shown(response, scope)
    return response


def _changed(call: ModelCall, request: ModelRequest, registry: SimpleModelRegistry) -> ModelCall:
    """The call as middleware would have it. Another model has not its key, address and fallbacks."""
    if request.model != call.provider.id:
        provider = registry.get(request.model)
        asked = replace(request, model=provider.model, extra={})
        return replace(call, provider=provider, request=asked, dialect=None, given=Given(), headers=(), fallback=())
    return _asking(call, replace(request, model=call.provider.model))


def _asking(call: ModelCall, request: ModelRequest) -> ModelCall:
    """The call with another request; its fallbacks are asked the same, in their own way."""
    fallback = tuple(
        [replace(each, request=replace(each.request, messages=request.messages)) for each in call.fallback]
    )
    return replace(call, request=request, fallback=fallback)


def _readable(call: ModelCall, response: Response) -> Response:
    """An answer that middleware made: it is read as one that was asked for in words."""
    if call.output is None or response.reader is not None:
        return response
    from ._output import Reading

    return replace(response, reader=Reading(call.output, "words"))


def _link(middleware: Middleware, ask_next: Next) -> Next:
    return lambda request: middleware(request, ask_next)


def _shown(response: Response, scope: CallScope) -> Generator[StreamOutput, Any, None]:
    """Show a stream an answer that nobody has streamed; behind one that was streamed it only takes its place."""
    pieces = not scope.opened
    if pieces:
        scope.opened = True
        yield OPENED if response.reader is None else Opened(response.reader)
    yield response
    for event in unfold(response) if pieces else ():
        scope.saw(event)
        yield event
