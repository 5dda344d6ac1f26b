"""Connections for asyncio: look-up, happy eyeballs, the tunnel through a proxy and TLS, bounded, cancellable."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, TypeVar

from ..errors import Phase, TransportError
from ._connecting import (
    STAGGER,
    Address,
    Limit,
    Plan,
    interleave,
    look_up,
    look_up_numeric,
    not_connected,
    not_looked_up,
    prepare_socket,
    read_tunnel_reply,
    tunnel_reader,
    tunnel_request,
)
from ._http1 import Caps
from ._tls import TLSContexts, handshake_failed

if TYPE_CHECKING:
    import ssl

__all__ = ["hand_over", "make_socket"]

_T = TypeVar("_T")
_CHUNK = 1 << 16


async def _within(limit: Limit, phase: Phase, step: Callable[[], Awaitable[_T]]) -> _T:
    """Run one step of making a connection; raise what the limit says when its time is over."""
    left = limit.left(phase)
    bound = asyncio.timeout(None if left == inf else left)
    try:
        async with bound:
            return await step()
    except TimeoutError:
        if not bound.expired():
            raise
    raise limit.passed(phase)


async def _resolve(plan: Plan) -> Sequence[Address]:
    numeric = look_up_numeric(plan.host, plan.port)
    if numeric is not None:
        return numeric
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Address] | OSError] = loop.create_future()

    def settle(outcome: Sequence[Address] | OSError) -> None:
        if not answer.done():
            answer.set_result(outcome)

    def done(outcome: Sequence[Address] | OSError) -> None:
        with suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(settle, outcome)

    look_up(plan.host, plan.port, done)
    outcome = await answer
    if isinstance(outcome, OSError):
        raise not_looked_up(plan, outcome)
    return outcome


async def _race(addresses: Sequence[Address], plan: Plan) -> socket.socket:
    """Happy eyeballs (RFC 8305): the next address is tried after a failure or a moment; the first to connect wins."""
    left = interleave(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    error: OSError = ConnectionRefusedError("no address")
    try:
        while left or running:
            if left:
                running.add(asyncio.create_task(_try(left.popleft())))
            done, running = await asyncio.wait(
                running, timeout=STAGGER if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                failure = task.exception()
                if failure is None:
                    running |= done - {task}  # others that connected in the same turn are closed below
                    return task.result()
                if isinstance(failure, OSError):
                    error = failure
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_loser)
    raise not_connected(plan, error)


async def _try(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_loser(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect_socket(addresses: Sequence[Address], plan: Plan) -> socket.socket:
    if len(addresses) > 1:
        return await _race(addresses, plan)
    try:
        return await _try(addresses[0])
    except OSError as error:
        failure = error
    raise not_connected(plan, failure)


async def _open_tunnel(sock: socket.socket, plan: Plan, caps: Caps) -> None:
    loop = asyncio.get_running_loop()
    reader = tunnel_reader(caps)
    try:
        await loop.sock_sendall(sock, tunnel_request(plan))
        while not reader.head:
            data = await loop.sock_recv(sock, _CHUNK)
            if data:
                reader.feed(data)
            else:
                reader.eof()
    except TransportError:
        raise
    except OSError as error:
        failure = error
    else:
        return read_tunnel_reply(plan, reader)
    raise not_connected(plan, failure, "proxy")


async def make_socket(plan: Plan, limit: Limit, caps: Caps) -> socket.socket:
    """A socket to the origin, through the proxy if there is one; not under TLS yet."""
    addresses = await _within(limit, "dns", lambda: _resolve(plan))
    sock = await _within(limit, "connect", lambda: _connect_socket(addresses, plan))
    try:
        prepare_socket(sock)
        if plan.tunnelled:
            await _within(limit, "proxy", lambda: _open_tunnel(sock, plan, caps))
    except BaseException:
        sock.close()
        raise
    return sock


async def hand_over(
    sock: socket.socket, protocol: asyncio.Protocol, plan: Plan, limit: Limit, contexts: TLSContexts
) -> None:
    """Give the connected socket to the loop, under TLS where the origin has it. The caller closes it at a failure."""
    context = contexts.get(plan.origin) if plan.origin.secure else None
    await _within(limit, "tls" if context else "connect", lambda: _create(sock, protocol, plan, context))


async def _create(sock: socket.socket, protocol: asyncio.Protocol, plan: Plan, context: ssl.SSLContext | None) -> None:
    name = plan.origin.host.removesuffix(".") if context else None
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: protocol, sock=sock, ssl=context, server_hostname=name
        )
    except OSError as error:
        failure = error
    else:
        return
    raise handshake_failed(plan.origin, failure) if context else not_connected(plan, failure)
