"""A streamed answer of the Chat wire: bytes in, events out.

The first choice is told piece by piece; further ones are gathered, and given whole with the end of the answer.
"""

from __future__ import annotations

from typing import Any

from ..._framing import SSEEvent
from ...events import ResponseEnd, ResponseStart, StreamEvent, fold
from ...types import Candidate
from ...wire import Quirks
from .._errors import error_from
from .._kept import Wire, kept_fields
from .._openai_errors import parse_stream_error
from .._streams import EventFeed, decode_event
from ._answers import ANSWER_FIELDS, named, read_created, read_id, response_data, served
from ._growing import GrowingChoice
from ._usage import parse_usage
from ._words import DONE

__all__ = ["ChatStreamParser"]


class ChatStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``."""

    __slots__ = (
        "_answer",
        "_feed",
        "_first",
        "_groq_usage",
        "_known",
        "_others",
        "_spoken",
        "_started",
        "_tier",
        "_until_done",
        "_usage",
        "ended",
    )

    def __init__(self, quirks: Quirks) -> None:
        self.ended = False
        self._until_done = quirks.stream_end == "done"
        self._feed = EventFeed()
        self._started = False  # ResponseStart was given
        self._known = False  # and it named an id or a model
        self._first = GrowingChoice()
        self._spoken = False  # the first choice was seen
        self._others: dict[int, tuple[GrowingChoice, list[StreamEvent]]] = {}  # by index, with their events
        self._answer: Wire = {}  # fields of the body that have no name here
        self._usage: Any = None
        self._groq_usage: Any = None
        self._tier: str | None = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        events = [] if self.ended else self._feed.end(self._read)
        if self._finishes_here():
            self._finish_answer(events)
        return events

    def _finishes_here(self) -> bool:
        """Whether the clean end of the body is the end of the answer."""
        if self.ended or self._until_done or self._feed.cut:
            return False
        choices = [self._first] if self._spoken else []
        choices += [choice for choice, _ in self._others.values()]
        return bool(choices) and all(choice.finish for choice in choices)

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        data = frame.data
        if self.ended or not data:
            return
        if data.startswith(DONE):
            self._finish_answer(events)
        elif (chunk := decode_event(data)) is not None:
            if frame.event == "error" or chunk.get("error") or chunk.get("object") == "error":
                raise error_from(parse_stream_error(chunk))
            self._read_chunk(chunk, events)

    def _read_chunk(self, chunk: Wire, events: list[StreamEvent]) -> None:
        choices = chunk.get("choices")
        if not self._known:
            self._start(chunk, bool(choices), events)
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._read_choice(choice, events)
        if usage := chunk.get("usage"):
            self._usage = usage
        if (tier := chunk.get("service_tier")) and isinstance(tier, str):
            self._tier = tier
        if not chunk.keys() <= ANSWER_FIELDS:
            self._keep(chunk)

    def _start(self, chunk: Wire, speaks: bool, events: list[StreamEvent]) -> None:
        """Say who answers, as soon as it is known (Azure's first chunk names nobody), and before anything else."""
        id_, model = read_id(chunk.get("id")), chunk.get("model")
        self._known = bool(id_ or model)
        if self._known or (speaks and not self._started):
            self._started = True
            events.append(
                ResponseStart(
                    id=id_,
                    model=model if isinstance(model, str) and model else None,
                    created=read_created(chunk.get("created")),
                )
            )

    def _read_choice(self, choice: Wire, events: list[StreamEvent]) -> None:
        index = choice.get("index")
        if not index or not (place := _place(index)):
            self._spoken = True
            self._first.read(choice, events)
        else:
            if place not in self._others:
                self._others[place] = (GrowingChoice(), [])
            other, told = self._others[place]
            other.read(choice, told)

    def _keep(self, chunk: Wire) -> None:
        kept = kept_fields(chunk, ANSWER_FIELDS)
        groq = kept.get("x_groq")
        if isinstance(groq, dict) and groq.get("usage"):
            self._groq_usage = groq["usage"]
        self._answer.update(kept)

    def _finish_answer(self, events: list[StreamEvent]) -> None:
        self.ended = True
        first, places = self._first, sorted(self._others)
        if not self._spoken and places:  # a server that does not count from 0
            first, told = self._others[places.pop(0)]
            events += told
        ours, raw, back, kept = first.end(events)
        usage = self._usage or first.usage or self._groq_usage
        events.append(
            ResponseEnd(
                finish_reason=ours,
                finish_reason_raw=raw,
                usage=parse_usage(usage),
                **served(self._tier, usage),
                candidates=tuple([_candidate(*self._others[place]) for place in places]),
                message_data=named(back),
                provider_data=response_data(self._answer, kept),
            )
        )


def _candidate(choice: GrowingChoice, events: list[StreamEvent]) -> Candidate:
    ours, raw, back, kept = choice.end(events)
    events.append(ResponseEnd(finish_reason=ours, message_data=named(back)))
    return Candidate(message=fold(events).message, finish_reason=ours, finish_reason_raw=raw, provider_data=named(kept))


def _place(index: object) -> int:
    """The index of a choice: a number, also one that is written as a text; 0 for what cannot be one."""
    if isinstance(index, str) and index.isdecimal() and len(index) < 10:
        return int(index)
    return index if isinstance(index, int) else 0
