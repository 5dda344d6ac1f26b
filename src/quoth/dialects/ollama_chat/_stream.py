"""A streamed answer of this wire, one JSON object a line: bytes in, events out.

Each line says a piece of the message, and the last one, which is ``done``, how the answer ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._framing import NDJSONFramer, SSEEvent
from ...events import (
    PartAdded,
    PartData,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from .._errors import error_from
from .._kept import Wire, kept_fields
from .._streams import EventFeed, decode_event
from .._times import read_time
from ._answers import ANSWER_FIELDS, MESSAGE_FIELDS, finish_reason, kept_time
from ._calls import made_id, read_answer_call
from ._errors import parse_stream_error
from ._messages import THOUGHT, read_images
from ._usage import parse_usage, reported_of
from ._words import NAME, RESIDUES

__all__ = ["OllamaStreamParser"]


class _Lines:
    """Lines in the shape of events, which is what every reader of a stream takes."""

    __slots__ = ("_framer",)

    def __init__(self) -> None:
        self._framer = NDJSONFramer()

    def feed(self, chunk: bytes) -> Iterable[SSEEvent]:
        return [SSEEvent(data=line) for line in self._framer.feed(chunk)]

    def end(self) -> Iterable[SSEEvent]:
        return [SSEEvent(data=line) for line in self._framer.end()]


class OllamaStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``."""

    __slots__ = (
        "_answer", "_calls", "_created", "_feed", "_logprobs", "_message", "_next", "_places", "_reported", "_started",
        "ended",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ended = False
        self._feed = EventFeed(_Lines())
        self._started = False  # ResponseStart was given
        self._created: int | None = None
        self._next = 0  # index of the next part
        self._places: dict[str, int] = {}  # field of the message: index of the part that it fills
        self._calls = 0  # how many there are
        self._message: Wire = {}  # fields of the message that have no name here
        self._answer: Wire = {}  # and of the answer
        self._reported: Wire = {}
        self._logprobs: list[Any] = []

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        return [] if self.ended else self._feed.end(self._read)

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        line = None if self.ended else decode_event(frame.data)
        if line is None:
            return
        if line.get("error"):
            raise error_from(parse_stream_error(line))
        if not self._started:
            self._start(line, events)
        message = line.get("message")
        if isinstance(message, dict):
            self._add(message, events)
        self._reported |= reported_of(line)
        if not line.keys() <= ANSWER_FIELDS:
            self._keep(line)
        if line.get("done") is True:
            self._finish(line, events)

    def _start(self, line: Wire, events: list[StreamEvent]) -> None:
        self._started = True
        model, said = line.get("model"), line.get("created_at")
        self._created = created = read_time(said)
        self._answer |= kept_time(said, created)
        events.append(ResponseStart(model=model if isinstance(model, str) and model else None, created=created))

    def _add(self, message: Wire, events: list[StreamEvent]) -> None:
        thoughts, text, calls = message.get("thinking"), message.get("content"), message.get("tool_calls")
        if isinstance(thoughts, str) and thoughts:
            self._add_thought(thoughts, events)
        if isinstance(text, str) and text:
            events.append(TextDelta(text=text, index=self._place("content")))
        images = read_images(message.get("images"))
        events += [PartAdded(part=image, index=self._new_place()) for image in images]
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._add_call(call, events)
        if not message.keys() <= MESSAGE_FIELDS:
            self._message |= kept_fields(message, MESSAGE_FIELDS)

    def _place(self, field: str) -> int:
        """The index of the part that this field fills; a new one, where it fills none yet."""
        if field not in self._places:
            self._places[field] = self._new_place()
        return self._places[field]

    def _new_place(self) -> int:
        self._next += 1
        return self._next - 1

    def _add_thought(self, text: str, events: list[StreamEvent]) -> None:
        begins = "thinking" not in self._places
        index = self._place("thinking")
        events.append(ReasoningDelta(text=text, index=index))
        if begins:
            events.append(PartData(provider_data=THOUGHT, index=index))

    def _add_call(self, wire: Wire, events: list[StreamEvent]) -> None:
        call = read_answer_call(wire, made_id(self._created, self._calls))
        self._calls += 1
        index = self._new_place()
        events.append(ToolCallStart(id=call.id, name=call.name, index=index))
        if kept := RESIDUES.of(call):
            events.append(PartData(provider_data={NAME: kept}, index=index))
        events.append(ToolCallDelta(arguments=call.arguments, index=index))

    def _keep(self, line: Wire) -> None:
        kept = kept_fields(line, ANSWER_FIELDS)
        logprobs = kept.pop("logprobs", None)
        if isinstance(logprobs, list):
            self._logprobs += logprobs
        self._answer |= kept

    def _finish(self, line: Wire, events: list[StreamEvent]) -> None:
        self.ended = True
        ours, raw = finish_reason(line.get("done_reason"), self._calls > 0)
        if self._logprobs:
            self._answer["logprobs"] = self._logprobs
        events.append(
            ResponseEnd(
                finish_reason=ours,
                finish_reason_raw=raw,
                usage=parse_usage(self._reported or None),
                message_data=RESIDUES.named(self._message),
                provider_data=RESIDUES.named(self._answer),
            )
        )
