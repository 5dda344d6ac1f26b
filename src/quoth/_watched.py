"""The drivers of a call that somebody watches: its own code runs within what the watcher puts around it.

That surrounds one step from output to output, and nothing else: whoever consumes a stream is never within it.
"""

from __future__ import annotations

from typing import TypeVar, cast

from msgspec.structs import replace

from . import _flow
from ._call import CallScope
from ._flow import Flow, Send
from .instrumentation._hooks import Watch
from .transport import AsyncTransport, Deadline, Transport
from .wire import WireReply

__all__ = ["AsyncDriver", "Driver"]

Out = TypeVar("Out")
Result = TypeVar("Result")


def _told(step: Send, watch: Watch) -> Send:
    """The request as it goes out, with what the watcher sends along."""
    own = step.request.headers
    given = {name for name, _ in own}  # the caller's word stands in place of ours
    headers = tuple([line for line in watch.sending(step.request.url) if line[0] not in given])
    return step if not headers else replace(step, request=replace(step.request, headers=own + headers))


class Driver(_flow.Driver[Out, Result]):
    """A driver whose call is watched."""

    __slots__ = ("_watch",)

    def __init__(self, flow: Flow[Out, Result], transport: Transport, scope: CallScope) -> None:
        super().__init__(flow, transport, scope)
        self._watch = cast("Watch", scope.watch)

    def _drive(self) -> Out:
        with self._watch.within():
            return super()._drive()

    def _send(self, step: Send, deadline: Deadline) -> WireReply:
        return super()._send(_told(step, self._watch), deadline)


class AsyncDriver(_flow.AsyncDriver[Out, Result]):
    """An asyncio driver whose call is watched."""

    __slots__ = ("_watch",)

    def __init__(self, flow: Flow[Out, Result], transport: AsyncTransport, scope: CallScope) -> None:
        super().__init__(flow, transport, scope)
        self._watch = cast("Watch", scope.watch)

    async def _drive(self) -> Out:
        with self._watch.within():
            return await super()._drive()

    async def _send(self, step: Send, deadline: Deadline) -> WireReply:
        return await super()._send(_told(step, self._watch), deadline)
