"""Streams: what they say, however they are cut; and that one that was cut short never claims to be whole.

Where an answer ends is exact. Where the row says ``done``, it is the last byte of the data of the wire's final event
(``[DONE]``, ``message_stop``, ``response.completed``); whatever follows, line ends too, is no part of it. Where the
row says ``finish_reason``, it is the last byte of the data of the event that gives one: a clean end anywhere behind
it is whole, and only the whole body must be. Before that byte no cut may give an ended answer; from it on each must
(``done``), with the same result.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from ...errors import QuothError
from ...events import StreamEvent
from ...providers._provider import AnswerReader, Provider
from ...types import Response
from ...wire import WireReply
from ._reading import Difference
from ._wires import Wire
from .readers._events import events_of
from .readers._frames import is_framed

__all__ = ["Cutting", "StreamResult", "check_cuts", "end_of", "feed", "with_line_ends"]


class Cutting(Struct, frozen=True, kw_only=True):
    """How much is cut: every place of a body up to ``every`` bytes, ``some`` seeded ones of a larger one."""

    every: int = 4096
    some: int = 200
    seed: int = 0

    def places(self, body: bytes) -> Iterable[int]:
        """Where to cut a body in two."""
        all_places = range(1, len(body))
        if len(body) <= self.every:
            return all_places
        chance = random.Random(f"{self.seed}:{len(body)}")  # noqa: S311  # places, not secrets
        return sorted(chance.sample(all_places, min(self.some, len(all_places))))


class StreamResult(Struct, frozen=True, kw_only=True):
    """What came of one way to feed a stream: its events, how it ended, and the error that ended it."""

    events: list[StreamEvent]
    ended: bool
    response: Response
    error: QuothError | None = None

    def same(self, other: StreamResult) -> bool:
        """Whether two ways to feed came to the same."""
        return self.events == other.events and self.ended == other.ended and _said(self.error) == _said(other.error)


def _said(error: QuothError | None) -> tuple[str, str] | None:
    return None if error is None else (error.kind, error.message)


def with_line_ends(body: bytes, ends: bytes) -> bytes:
    """The body with one kind of line end."""
    return re.sub(rb"\r\n|\r|\n", ends, body)


def end_of(wire: Wire, body: bytes, *, by_finish: bool) -> int | None:
    """How many bytes of a body must be there for the answer to be complete; None where it never is."""
    return wire.reader.end(events_of(body), by_finish=by_finish)


def feed(provider: Provider, reply: WireReply, chunks: Iterable[bytes]) -> StreamResult:
    """Feed chunks to the reader that calls use, and then the clean end. A body may turn out not to be a stream."""
    reader = AnswerReader(provider, reply)
    events: list[StreamEvent] = []
    error: QuothError | None = None
    try:
        for chunk in chunks:
            events += reader.feed(chunk)
        events += reader.end()
    except QuothError as raised:
        error = raised
    return StreamResult(events=events, ended=reader.ended, response=reader.response(), error=error)


# Cuts.


def check_cuts(wire: Wire, provider: Provider, reply: WireReply, cutting: Cutting) -> Iterator[Difference]:
    """Feed a stream in every way that it may come, and cut it short; stops at the first difference of a kind."""
    by_finish = wire.by_finish(provider.wire.quirks)
    result = feed(provider, reply, [reply.body])
    for how, body in _by_lines(reply.body, wire.line_ends):
        again = feed(provider, reply, _bytes_of(body))
        if not again.same(result):
            yield _differs(f"one byte a chunk{how}", _summary(result), _summary(again))
    body = reply.body
    end = end_of(wire, body, by_finish=by_finish)
    for place in cutting.places(body):
        again = feed(provider, reply, (body[:place], body[place:]))
        if not again.same(result):
            yield _differs(f"cut in two at {place}", _summary(result), _summary(again))
            return
        short = feed(provider, reply, (body[:place],))
        if complaint := _cut_short(short, result, place, end, by_finish=by_finish):
            yield _differs(f"cut short after {place} of {len(body)} bytes", complaint, _summary(short))
            return


def _by_lines(body: bytes, line_ends: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The body with each kind of line end, and what that is called; frames have none."""
    if is_framed(body):
        yield "", body
        return
    for ends in line_ends:
        yield f", lines ended by {ends!r}", with_line_ends(body, ends)


def _bytes_of(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 1] for at in range(len(body)))


def _cut_short(short: StreamResult, whole: StreamResult, place: int, end: int | None, *, by_finish: bool) -> str:
    """What a body cut short should have given, where it gave something else."""
    if end is None or place < end or whole.error is not None:
        return "no end" if short.ended else ""
    if by_finish:
        return ""
    return "" if short.ended and short.same(whole) else "the whole answer"


def _differs(what: str, expected: object, found: object) -> Difference:
    return Difference(check="cuts", what=what, expected=expected, found=found)


def _summary(result: StreamResult) -> str:
    error = f", {result.error.kind}: {result.error.message}" if result.error else ""
    return f"{len(result.events)} events, ended={result.ended}{error}, text {result.response.text[:60]!r}"
