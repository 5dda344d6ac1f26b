"""A reply as steps for a connection: bytes to send, seconds to wait, and how it is broken off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from ._script import Fault
from ._wires import Reply

__all__ = ["Ending", "Step", "steps"]

Ending: TypeAlias = Literal["close", "reset", "stall"]
Step: TypeAlias = bytes | float | Ending

ENDINGS: Mapping[str | None, Ending] = {"close": "close", "reset": "reset", "stall": "stall"}
"""Cuts that end the connection, or leave it hanging."""

BODILESS = frozenset({204, 304})
"""Statuses whose replies have no body, and say no length."""

GARBAGE = b'data: {"this is no JSON\n\n'
NO_CHUNK = b"no chunk\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def steps(reply: Reply, fault: Fault, *, keep_alive: bool = True, chunks: bool = True) -> Iterator[Step]:
    """What to do for a reply, in order.

    Without ``chunks``, as for HTTP/1.0, a body whose length is not known beforehand ends with the connection.
    """
    if fault.delay:
        yield fault.delay
    cut = fault.breaks_off
    if cut in ENDINGS and fault.silent:
        yield ENDINGS[cut]
        return
    sent = list(_sent(reply, fault))
    chunked = reply.streamed or cut in ("malformed", "garbage")
    lines = list(reply.headers)
    if not chunked and reply.status not in BODILESS:
        # A body that is closed or stalls before its end has said how long it was going to be.
        whole = sent if cut in (None, "end", "error") else reply.pieces
        lines.append(("content-length", str(sum(map(len, whole)))))
    elif chunked and chunks:
        lines.append(("transfer-encoding", "chunked"))
    keep_alive = keep_alive and (chunks or not chunked)
    lines.append(("connection", "keep-alive" if keep_alive else "close"))
    yield _head(reply.status, lines)
    framed = chunked and chunks
    for number, piece in enumerate(sent):
        if number and fault.pace:
            yield fault.pace
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece
    if cut in ENDINGS:
        yield ENDINGS[cut]
    elif cut == "malformed":
        yield NO_CHUNK
        yield "close"
    elif framed:
        yield LAST_CHUNK
    if not keep_alive:
        yield "close"


def _head(status: int, lines: Iterable[tuple[str, str]]) -> bytes:
    head = [f"HTTP/1.1 {status} ", *[f"{name}: {value}" for name, value in lines], "", ""]
    return "\r\n".join(head).encode("latin-1", "replace")


def _sent(reply: Reply, fault: Fault) -> Iterator[bytes]:
    """The pieces of the body that are sent, none of them empty."""
    cut = fault.breaks_off
    if cut == "error" and not reply.streamed:
        yield reply.error  # a 200 that is none
        return
    pieces = reply.pieces
    if cut is not None and fault.after_bytes is None:
        pieces = pieces[: fault.after_events or 0]
    if fault.chunk is not None:
        pieces = in_chunks(b"".join(pieces), fault.chunk)
    if fault.after_bytes is not None:
        pieces = list(_up_to(pieces, fault.after_bytes))
    yield from filter(None, pieces)
    if cut == "error":
        yield reply.error
    elif cut == "garbage":
        yield GARBAGE


def in_chunks(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def _up_to(pieces: Iterable[bytes], room: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:room]
        room -= len(piece)
        if room <= 0:
            return
