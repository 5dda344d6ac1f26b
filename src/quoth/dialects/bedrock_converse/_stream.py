"""A streamed answer of this wire: bytes in, events out.

Its last event is ``metadata``, with the usage, behind ``messageStop``, which says why the answer stopped. A stream
that ends before it was cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ..._framing import SSEEvent
from ...events import ResponseEnd, ResponseStart, StreamEvent
from ...wire import Quirks
from .._aws import AWSEvents
from .._kept import Wire
from .._streams import EventFeed, decode_event
from ._answers import answer_data, finish_reason, kept_of_answer, kept_of_message, served
from ._growing import GrowingBlock
from ._usage import parse_usage
from ._words import RESIDUES

__all__ = ["ConverseStreamParser"]


class ConverseStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``."""

    __slots__ = (
        "_answer",
        "_blocks",
        "_feed",
        "_frames",
        "_message",
        "_metered",
        "_next",
        "_started",
        "_stop",
        "_stopped",
        "_until_metadata",
        "ended",
    )

    def __init__(self, quirks: Quirks) -> None:
        self.ended = False
        self._until_metadata = quirks.stream_end == "done"
        self._frames = AWSEvents()
        self._feed = EventFeed(self._frames)
        self._started = False  # ResponseStart was given
        self._blocks: dict[object, GrowingBlock] = {}  # those under way, by the index that the wire gives them
        self._next = 0  # index of the next part
        self._message: Wire = {}  # fields of the message that have no name here
        self._answer: Wire = {}  # what the last events say of the answer
        self._stop: object = None
        self._stopped = self._metered = False

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        events = [] if self.ended else self._feed.end(self._read)
        if self._stopped and not (self.ended or self._until_metadata or self._frames.cut):
            self._finish(events)
        return events

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        reader = None if self.ended else self._READERS.get(frame.event)
        event = decode_event(frame.data) if reader is not None else None
        if reader is not None and event is not None:
            self._say_who(events)
            reader(self, event, events)

    def _say_who(self, events: list[StreamEvent]) -> None:
        if not self._started:
            self._started = True
            events.append(ResponseStart())  # no event of this wire names an answer, or its model

    def _start_message(self, event: Wire, _events: list[StreamEvent]) -> None:
        self._message.update(kept_of_message(_plain(event)))

    def _stop_message(self, event: Wire, events: list[StreamEvent]) -> None:
        self._stopped = True
        self._stop = event.get("stopReason")
        self._answer.update(_plain(event))
        if self._metered:
            self._finish(events)

    def _end_answer(self, event: Wire, events: list[StreamEvent]) -> None:
        self._metered = True
        self._answer.update(_plain(event))
        if self._stopped:
            self._finish(events)

    def _finish(self, events: list[StreamEvent]) -> None:
        for block in self._blocks.values():  # whose end was not said
            block.stop(events)
        self.ended = True
        ours, raw = finish_reason(self._stop)
        events.append(
            ResponseEnd(
                finish_reason=ours,
                finish_reason_raw=raw,
                usage=parse_usage(self._answer.get("usage")),
                **served(self._answer),
                message_data=RESIDUES.named(self._message),
                provider_data=answer_data(kept_of_answer(self._answer)),
            )
        )

    # Blocks.

    def _start_block(self, event: Wire, events: list[StreamEvent]) -> None:
        start = event.get("start")
        self._stop_block(event, events)
        if isinstance(start, dict) and start:  # else its first delta begins it
            self._add_block(event, GrowingBlock(self._next, start, events))

    def _add_block(self, event: Wire, block: GrowingBlock) -> None:
        self._blocks[_place(event)] = block
        self._next += 1

    def _change_block(self, event: Wire, events: list[StreamEvent]) -> None:
        delta = event.get("delta")
        if not isinstance(delta, dict) or not delta:
            return
        block = self._blocks.get(_place(event))
        if block is None or not block.takes(delta):
            self._stop_block(event, events)
            block = GrowingBlock(self._next, {}, events)
            self._add_block(event, block)
        block.add(delta, events)

    def _stop_block(self, event: Wire, events: list[StreamEvent]) -> None:
        if (block := self._blocks.pop(_place(event), None)) is not None:
            block.stop(events)

    _READERS: ClassVar[dict[str, Callable[[ConverseStreamParser, Wire, list[StreamEvent]], None]]] = {
        "messageStart": _start_message,
        "contentBlockStart": _start_block,
        "contentBlockDelta": _change_block,
        "contentBlockStop": _stop_block,
        "messageStop": _stop_message,
        "metadata": _end_answer,
    }
    """What each event does; any other is skipped."""


def _plain(event: Wire) -> Wire:
    """An event without ``p``, which only makes it longer, so that its size does not tell what it says."""
    return {key: value for key, value in event.items() if key != "p"}


def _place(event: Wire) -> object:
    index = event.get("contentBlockIndex")
    return index if isinstance(index, (int, str)) else None
