"""A streamed answer of this wire: bytes in, events out.

The first candidate is told piece by piece; further ones are gathered, and given whole with the end of the answer. No
mark ends a stream: it is whole where each candidate has said why it stopped, and the body then ends cleanly.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from ..._framing import SSEEvent
from ...errors import ResponseParseError
from ...events import ResponseEnd, ResponseStart, StreamEvent, fold
from ...types import Candidate
from .._errors import error_from
from .._kept import Wire
from .._streams import EventFeed, decode_event
from .._times import read_time
from ._answers import (
    CREATED,
    answer_data,
    blocked,
    is_blocked,
    kept_of_answer,
    listed,
    read_answer,
    read_word,
)
from ._array import ArrayFramer
from ._errors import parse_stream_error
from ._growing import GrowingCandidate
from ._parts import residue_of
from ._usage import later_usage, parse_usage, served_tier, with_searches

__all__ = ["GeminiStreamParser"]

DONE = b"[DONE]"
"""No word of this wire, but gateways append it."""

_BLANK = b"\xef\xbb\xbf \t\r\n"


class GeminiStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``."""

    __slots__ = ("_answer", "_array", "_created", "_feed", "_first", "_id", "_model", "_others", "_usage", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._feed: EventFeed | None = None  # made when the first byte says which form the stream has
        self._array: ArrayFramer | None = None
        self._id: str | None = None
        self._model: str | None = None
        self._created: int | None = None
        self._first: GrowingCandidate | None = None
        self._others: dict[int, tuple[GrowingCandidate, list[StreamEvent]]] = {}  # by index, with their events
        self._answer: Wire = {}  # fields of the body that have no name here
        self._usage: object = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        if self.ended:
            return []
        feed = self._feed
        if feed is None:
            chunk = chunk.lstrip(_BLANK)
            if not chunk:
                return []
            if chunk.startswith(b"["):
                self._array = ArrayFramer()
            feed = self._feed = EventFeed(self._array)
        return feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        if self.ended or self._feed is None:
            return []
        events = self._feed.end(self._read)
        if self._finishes_here(self._feed):
            self._finish(events)
        return events

    def _finishes_here(self, feed: EventFeed) -> bool:
        """Whether the clean end of the body is the end of the answer."""
        if self.ended or feed.cut or (self._array is not None and not self._array.closed):
            return False
        candidates = [candidate for candidate, _ in self._others.values()]
        candidates += [self._first] if self._first else []
        return bool(candidates) and all(candidate.finish is not None for candidate in candidates)

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        if self.ended or not frame.data:
            return
        if frame.data.startswith(DONE):
            if self._first or self._others:
                self._finish(events)
            return
        for chunk in _objects(frame.data):
            if chunk.get("error"):
                raise error_from(parse_stream_error(chunk))
            self._read_chunk(chunk, events)

    def _read_chunk(self, chunk: Wire, events: list[StreamEvent]) -> None:
        if self._id is None or self._model is None:
            self._start(chunk, events)
        candidates = listed(chunk.get("candidates"))
        if is_blocked(chunk) and not (candidates or self._first or self._others):
            raise blocked(chunk, read_answer(chunk, None))
        for place, candidate in enumerate(candidates):
            self._read_candidate(candidate, place if len(candidates) > 1 else 0, events)
        self._usage = later_usage(self._usage, chunk.get("usageMetadata"))
        self._answer.update(kept_of_answer(chunk))

    def _start(self, chunk: Wire, events: list[StreamEvent]) -> None:
        """Say who answers, before anything else; and once more, where the rest of it is said late."""
        known = self._id, self._model
        self._id = self._id or read_word(chunk.get("responseId"))
        self._model = self._model or read_word(chunk.get("modelVersion"))
        if known != (self._id, self._model) or not (self._first or self._others):
            self._created = self._created or read_time(chunk.get(CREATED))
            events.append(ResponseStart(id=self._id, model=self._model, created=self._created))

    def _read_candidate(self, candidate: Wire, place: int, events: list[StreamEvent]) -> None:
        index = candidate.get("index")
        index = index if isinstance(index, int) else place
        if not index:
            self._first = self._first or GrowingCandidate(0)
            self._first.read(candidate, self._id, events)
        else:
            if index not in self._others:
                self._others[index] = (GrowingCandidate(index), [])
            other, told = self._others[index]
            other.read(candidate, self._id, told)

    def _finish(self, events: list[StreamEvent]) -> None:
        self.ended = True
        first, places = self._first or GrowingCandidate(0), sorted(self._others)
        if self._first is None and places:  # a server that does not count from 0
            first, told = self._others[places.pop(0)]
            events += told
        ended = first.end(events)
        others = [_whole(*self._others[place]) for place in places]
        kept = [residue_of(candidate) for candidate in (ended, *others)]
        usage = parse_usage(self._usage)
        events.append(
            ResponseEnd(
                finish_reason=ended.finish_reason,
                finish_reason_raw=ended.finish_reason_raw,
                usage=with_searches(usage, self._model or "", kept),
                service_tier=served_tier(self._usage),
                candidates=tuple(others),
                message_data=ended.message.provider_data,
                provider_data=answer_data(self._answer, kept[0]),
            )
        )


def _objects(data: bytes) -> Iterator[Wire]:
    """The chunk of an event; the chunks, where the blank lines between events were left out."""
    try:
        chunk = decode_event(data)
    except ResponseParseError:
        lines = data.split(b"\n")
        if len(lines) == 1:
            raise
        for line in lines:
            yield from _objects(line)
    else:
        if chunk is not None:
            yield chunk


def _whole(candidate: GrowingCandidate, events: list[StreamEvent]) -> Candidate:
    ended = candidate.end(events)
    return replace(ended, message=replace(ended.message, parts=fold(events).parts))
