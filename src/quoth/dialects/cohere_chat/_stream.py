"""A streamed answer of this wire: bytes in, events out.

A content, the plan, a call and a citation each begin with an event of their own, and grow by others. ``message-end``
ends the answer; the ``[DONE]`` behind it says nothing more.
"""

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
from .._errors import error_from
from .._kept import Wire, kept_fields
from .._streams import EventFeed, decode_event
from ._answers import MESSAGE_FIELDS, finish_reason, read_id
from ._errors import parse_stream_error
from ._messages import PLANNED, read_answer_call
from ._parts import opaque, read_part, residue_of
from ._usage import parse_usage
from ._words import NAME, PLAN, RESIDUES

__all__ = ["CohereStreamParser"]

DONE = b"[DONE]"

TEXTS = {"text": "text", "thinking": "thinking"}
"""The types of contents that grow, each with the field that holds its text."""

_END_FIELDS = frozenset({"delta", "id", "index", "type"})
_DELTA_FIELDS = frozenset({"finish_reason", "message", "usage"})


class _Block:
    """A content while it grows."""

    __slots__ = ("index", "kind", "told")

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.told = False  # an event was given for it


class CohereStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``."""

    __slots__ = (
        "_blocks", "_calls", "_citations", "_feed", "_logprobs", "_message", "_next", "_plan", "_started", "ended",
    )  # fmt: skip

    def __init__(self) -> None:
        self.ended = False
        self._feed = EventFeed()
        self._started = False  # ResponseStart was given
        self._next = 0  # index of the next part
        self._blocks: dict[int | str | None, _Block] = {}  # by the wire's index
        self._calls: dict[int | str | None, int] = {}  # the part of each call, by the wire's index
        self._plan: int | None = None  # the part of the plan
        self._citations: list[Any] = []
        self._message: Wire = {}  # fields of the message that have no name here
        self._logprobs: list[Any] = []

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        return [] if self.ended else self._feed.end(self._read)

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        if self.ended or not frame.data or frame.data.startswith(DONE):
            return
        if (event := decode_event(frame.data)) is None:
            return
        kind = event.get("type") or frame.event
        if _is_error(kind, event):
            said = _object(event.get("delta"))
            raise error_from(parse_stream_error(said if said.get("error") else event))
        reader = self._readers.get(kind) if isinstance(kind, str) else None
        if reader is None:  # ends of contents, calls and citations too: nothing is said with them
            return
        if not self._started:
            self._started = True
            events.append(ResponseStart(id=read_id(event.get("id"))))
        delta = _object(event.get("delta"))
        reader(self, event, delta, _object(delta.get("message")), events)

    # What each event says: the event itself, its delta, and the message in that.

    def _begin(self, _event: Wire, _delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        self._add_plan(_event, _delta, message, events)
        self._message.update(kept_fields(message, MESSAGE_FIELDS))

    def _begin_content(self, event: Wire, _delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        content = _object(message.get("content"))
        part = read_part(content)
        kind = content.get("type")
        block = self._block(event, kind if isinstance(kind, str) and kind in TEXTS else "")
        if not block.kind:  # no event is made for it: an empty text keeps it whole
            self._tell(block, "", {**residue_of(opaque(content))}, events)
        elif (text := content.get(TEXTS[block.kind])) or residue_of(part):
            self._tell(block, text if isinstance(text, str) else "", {**residue_of(part)}, events)

    def _add_content(self, event: Wire, _delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        content = _object(message.get("content"))
        block = self._blocks.get(_slot(event))
        if block is None:  # its beginning was not said
            block = self._block(event, next((kind for kind, field in TEXTS.items() if field in content), ""))
        text = content.get(TEXTS.get(block.kind, ""))
        if isinstance(text, str) and text:
            self._tell(block, text, {}, events)
        if isinstance(logprobs := event.get("logprobs"), (dict, list)):
            self._logprobs += logprobs if isinstance(logprobs, list) else [logprobs]

    def _end_content(self, event: Wire, _delta: Wire, _message: Wire, events: list[StreamEvent]) -> None:
        block = self._blocks.get(_slot(event))
        if block is not None and not block.told:  # a content of nothing is one all the same
            self._tell(block, "", {}, events)

    def _block(self, event: Wire, kind: str) -> _Block:
        block = self._blocks[_slot(event)] = _Block(kind, self._new_place())
        return block

    def _new_place(self) -> int:
        self._next += 1
        return self._next - 1

    def _tell(self, block: _Block, text: str, data: Wire, events: list[StreamEvent]) -> None:
        """Give a piece of a content, and what it keeps: of a thought at least that it came over this wire."""
        delta = ReasoningDelta if block.kind == "thinking" else TextDelta
        events.append(delta(text=text, index=block.index))
        if data or (block.kind == "thinking" and not block.told):
            events.append(PartData(provider_data={NAME: data}, index=block.index))
        block.told = True

    def _add_plan(self, _event: Wire, _delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        plan = message.get(PLAN)
        if not isinstance(plan, str) or not plan:
            return
        begins = self._plan is None
        if self._plan is None:
            self._plan = self._new_place()
        events.append(TextDelta(text=plan, index=self._plan))
        if begins:
            events.append(PartData(provider_data={NAME: PLANNED}, index=self._plan))

    def _begin_call(self, event: Wire, _delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        call = read_answer_call(_object(message.get("tool_calls")))
        index = self._calls[_slot(event)] = self._new_place()
        events.append(ToolCallStart(id=call.id, name=call.name, index=index))
        if kept := residue_of(call):
            events.append(PartData(provider_data={NAME: kept}, index=index))
        if call.arguments:
            events.append(ToolCallDelta(arguments=call.arguments, index=index))

    def _add_call(self, event: Wire, _delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        call = read_answer_call(_object(message.get("tool_calls")))
        index = self._calls.get(_slot(event))
        if index is not None and call.arguments:
            events.append(ToolCallDelta(arguments=call.arguments, index=index))

    def _cite(self, _event: Wire, _delta: Wire, message: Wire, _events: list[StreamEvent]) -> None:
        citations = message.get("citations")
        self._citations += citations if isinstance(citations, list) else [citations] if citations else []

    def _finish(self, event: Wire, delta: Wire, message: Wire, events: list[StreamEvent]) -> None:
        for block in self._blocks.values():
            if not block.told:
                self._tell(block, "", {}, events)
        self.ended = True
        ours, raw = finish_reason(delta.get("finish_reason"))
        self._message.update(kept_fields(message, MESSAGE_FIELDS))
        if self._citations:
            self._message["citations"] = self._citations
        answer = {**kept_fields(delta, _DELTA_FIELDS), **kept_fields(event, _END_FIELDS)}
        if self._logprobs:
            answer["logprobs"] = self._logprobs
        events.append(
            ResponseEnd(
                finish_reason=ours,
                finish_reason_raw=raw,
                usage=parse_usage(delta.get("usage")),
                message_data=RESIDUES.named(self._message),
                provider_data=RESIDUES.named(answer),
            )
        )

    _readers: ClassVar[Mapping[str, Callable[..., None]]] = {
        "message-start": _begin,
        "content-start": _begin_content,
        "content-delta": _add_content,
        "content-end": _end_content,
        "tool-plan-delta": _add_plan,
        "tool-call-start": _begin_call,
        "tool-call-delta": _add_call,
        "citation-start": _cite,
        "message-end": _finish,
    }
    """What is read of each event; one that is not here is skipped."""


def _is_error(kind: object, event: Wire) -> bool:
    """Whether an event is the provider's "no": named so, or in the form of one, or an end that says what broke off."""
    delta = _object(event.get("delta"))
    wordy = not kind and isinstance(event.get("message"), str)
    return bool(kind == "error" or event.get("error") or delta.get("error") or wordy)


def _slot(event: Wire) -> int | str | None:
    """The wire's number of a content or a call."""
    index = event.get("index")
    return index if isinstance(index, (int, str)) else None


def _object(value: Any) -> Wire:
    """An object; of a list its first entry, for what comes one at a time."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else {}
