"""A streamed answer of the Messages wire: bytes in, events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..._framing import SSEEvent
from ...events import (
    PartData,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from ...types import Reasoning, Text, ToolCall
from ...wire import Quirks
from .._arguments import decoded_input
from .._errors import error_from
from .._kept import Wire, kept_fields
from .._streams import EventFeed, Framer, decode_event
from ._answers import ANSWER_FIELDS, answer_data, finish_reason, read_id
from ._blocks import opaque, read_answer_block, read_arguments, residue_of
from ._errors import parse_stream_error
from ._usage import merge_usage, parse_usage, served
from ._words import NAME

__all__ = ["MessagesStreamParser"]

DONE = b"[DONE]"
"""No word of this wire, but gateways append it."""

_EVENT_FIELDS = frozenset({"delta", "message", "type", "usage"})


class MessagesStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``.

    ``framer`` cuts the body into its events, where that is not one of server-sent events.
    """

    __slots__ = (
        "_answer",
        "_blocks",
        "_feed",
        "_next",
        "_started",
        "_stop",
        "_until_stop",
        "_usage",
        "ended",
    )

    def __init__(self, quirks: Quirks, framer: Framer | None = None) -> None:
        self.ended = False
        self._until_stop = quirks.stream_end == "done"
        self._feed = EventFeed(framer)
        self._started = False  # ResponseStart was given
        self._blocks: dict[object, _Block] = {}  # those under way, by the index that the wire gives them
        self._next = 0  # index of the next part
        self._answer: Wire = {}  # fields of the body that have no name here
        self._stop: str | None = None
        self._usage: object = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        events = [] if self.ended else self._feed.end(self._read)
        if self._finishes_here():
            self._finish(events)
        return events

    def _finishes_here(self) -> bool:
        """Whether the clean end of the body is the end of the answer."""
        return not (self.ended or self._until_stop or self._feed.cut) and bool(self._stop)

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        if self.ended or not frame.data or frame.data.startswith(DONE):
            return
        event = decode_event(frame.data)
        if event is None:
            return
        kind = event.get("type") or frame.event
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        if reader is not None:
            reader(self, event, events)
        elif event.get("error"):
            raise error_from(parse_stream_error(event))

    def _fail(self, event: Wire, _events: list[StreamEvent]) -> None:
        raise error_from(parse_stream_error(event))

    def _start_message(self, event: Wire, events: list[StreamEvent]) -> None:
        message = event.get("message")
        message = message if isinstance(message, dict) else {}
        self._say_who(message, events)
        self._usage = merge_usage(self._usage, message.get("usage"))
        self._note_stop(message)
        self._answer.update(kept_fields(message, ANSWER_FIELDS))

    def _say_who(self, message: Wire, events: list[StreamEvent]) -> None:
        if not self._started:
            self._started = True
            events.append(ResponseStart(id=read_id(message.get("id")), model=_text(message.get("model")) or None))

    def _note_stop(self, holder: Wire) -> None:
        if isinstance(stop := holder.get("stop_reason"), str):
            self._stop = stop

    def _change_message(self, event: Wire, _events: list[StreamEvent]) -> None:
        delta = event.get("delta")
        if isinstance(delta, dict):
            self._note_stop(delta)
            self._answer.update(kept_fields(delta, ANSWER_FIELDS))
        self._usage = merge_usage(self._usage, event.get("usage"))
        self._answer.update(kept_fields(event, _EVENT_FIELDS))

    def _stop_message(self, event: Wire, events: list[StreamEvent]) -> None:
        self._answer.update(kept_fields(event, _EVENT_FIELDS))  # Bedrock's metrics stand here
        self._finish(events)

    def _finish(self, events: list[StreamEvent]) -> None:
        for block in self._blocks.values():  # whose end was not said
            block.stop(events)
        self.ended = True
        self._say_who({}, events)
        ours, raw = finish_reason(self._stop)
        events.append(
            ResponseEnd(
                finish_reason=ours,
                finish_reason_raw=raw,
                usage=parse_usage(self._usage),
                **served(self._usage),
                provider_data=answer_data(self._answer),
            )
        )

    # Blocks.

    def _start_block(self, event: Wire, events: list[StreamEvent]) -> None:
        block = event.get("content_block")
        if not isinstance(block, dict):
            return
        self._say_who({}, events)
        if (before := self._blocks.pop(_place(event), None)) is not None:
            before.stop(events)
        self._blocks[_place(event)] = _Block(self._next, block, events)
        self._next += 1

    def _change_block(self, event: Wire, events: list[StreamEvent]) -> None:
        delta = event.get("delta")
        if not isinstance(delta, dict):
            return
        block = self._blocks.get(_place(event))
        if block is None:  # its beginning was not said
            begun = _BEGINNINGS.get(_text(delta.get("type")))
            if begun is None:
                return
            self._start_block({"index": event.get("index"), "content_block": begun}, events)
            block = self._blocks[_place(event)]
        block.add(delta, events)

    def _stop_block(self, event: Wire, events: list[StreamEvent]) -> None:
        if (block := self._blocks.pop(_place(event), None)) is not None:
            block.stop(events)

    _READERS: ClassVar[dict[str, Callable[[MessagesStreamParser, Wire, list[StreamEvent]], None]]] = {
        "message_start": _start_message,
        "content_block_start": _start_block,
        "content_block_delta": _change_block,
        "content_block_stop": _stop_block,
        "message_delta": _change_message,
        "message_stop": _stop_message,
        "error": _fail,
    }
    """What each event does; any other (``ping``) is skipped."""


_BEGINNINGS: dict[str, Wire] = {
    "text_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": ""},
}


def _place(event: Wire) -> object:
    index = event.get("index")
    return index if isinstance(index, (int, str)) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class _Block:
    """A content block while it grows: which part it is, and what the part keeps."""

    __slots__ = ("_block", "_data", "_index", "_pieces", "_spoken", "_typed")

    def __init__(self, index: int, block: Wire, events: list[StreamEvent]) -> None:
        self._index = index
        self._block = block
        self._pieces: dict[str, list[str]] = {}  # by field, what is whole at the end of the block only
        self._spoken = False  # a delta of the part was given
        part = read_answer_block({**block, **_EMPTY.get(_text(block.get("type")), {})})
        self._typed: type | None = type(part)
        """The kind of the part; None where an empty text keeps the block."""
        if isinstance(part, ToolCall):
            events.append(ToolCallStart(id=part.id, name=part.name, index=index))
        elif isinstance(part, Reasoning):
            self._think(_text(block.get("thinking")), events)
        elif block.get("type") == "text":
            if text := _text(block.get("text")):
                self._say(text, events)
        else:
            self._typed, part = None, opaque(block)
            self._say("", events)
        self._data: Mapping[str, Any] = residue_of(part)
        if self._data or isinstance(part, Reasoning):
            self._keep({}, events)

    def add(self, delta: Wire, events: list[StreamEvent]) -> None:
        """Read one delta; one that does not fit the block, or is unknown, is kept with it."""
        kind = delta.get("type")
        if kind == "text_delta" and self._typed is Text:
            self._say(_text(delta.get("text")), events)
        elif kind == "thinking_delta" and self._typed is Reasoning:
            self._think(_text(delta.get("thinking")), events)
        elif kind == "input_json_delta" and self._typed is ToolCall:
            if piece := delta.get("partial_json"):
                self._spoken = True
                events.append(ToolCallDelta(arguments=read_arguments(piece), index=self._index))
        elif kind == "citations_delta":
            if delta.get("citation") is not None:
                self._keep({"citations": [*(self._data.get("citations") or ()), delta["citation"]]}, events)
        elif isinstance(kind, str) and kind in _GROWING:
            said, field = _GROWING[kind]
            if piece := _text(delta.get(said)):
                self._pieces.setdefault(field, []).append(piece)
        else:  # signature_delta, compaction_delta: as the SDK does, they replace what was there
            kept = {key: value for key, value in delta.items() if key != "type" and value not in (None, "")}
            if kept:
                self._keep(kept, events)

    def _say(self, text: str, events: list[StreamEvent]) -> None:
        self._spoken = True
        events.append(TextDelta(text=text, index=self._index))

    def _think(self, text: str, events: list[StreamEvent]) -> None:
        self._spoken = True
        events.append(ReasoningDelta(text=text, index=self._index))

    def _keep(self, data: Wire, events: list[StreamEvent]) -> None:
        """Let the part keep more; all of it is given, for it replaces what was given before."""
        self._block = {**self._block, **data}
        self._data = {**self._data, **data} if self._typed else residue_of(opaque(self._block))
        events.append(PartData(provider_data={NAME: self._data}, index=self._index))

    def stop(self, events: list[StreamEvent]) -> None:
        """Give what only the end of the block tells."""
        if self._pieces:
            texts = {field: "".join(pieces) for field, pieces in self._pieces.items()}
            self._keep(
                {field: decoded_input(text) if field == "input" else text for field, text in texts.items()}, events
            )
        if self._typed is ToolCall and not self._spoken:
            events.append(ToolCallDelta(arguments=read_arguments(self._block.get("input")), index=self._index))
        elif not self._spoken:
            self._say("", events)


_GROWING = {
    "input_json_delta": ("partial_json", "input"),
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
}
"""Deltas of blocks that are no part of ours: the field of the delta that goes on with a field of the block."""

_EMPTY: dict[str, Wire] = {
    "text": {"text": ""},
    "thinking": {"thinking": ""},
    "tool_use": {"input": {}},
}
"""What deltas will say: it takes no part in what the part keeps."""
