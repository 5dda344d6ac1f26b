"""A streamed answer of the Responses wire: bytes in, events out.

The last event holds the whole answer once more, so it has the last word: what it says beyond the pieces that came is
told then. Servers that leave its items out (Codex) have said them one by one; those that say them nowhere whole have
told their pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..._framing import SSEEvent
from ...events import (
    PartData,
    ReasoningDelta,
    RefusalDelta,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from ...types import Part, Reasoning, Refusal, Text, ToolCall
from .._errors import error_from
from .._kept import Wire
from .._openai_errors import parse_stream_error
from .._streams import EventFeed, decode_event
from ._answers import answer_facts, body_reasoning, created_at, failed, read_id, text_of
from ._items import PARAGRAPH, item_type, read_output_item
from ._words import CALLS, THOUGHTS

__all__ = ["ResponsesStreamParser"]

DONE = b"[DONE]"
"""No word of this wire, but gateways append it."""


class ResponsesStreamParser:
    """The state of one stream: who answers, and the items so far. See ``StreamParser``."""

    __slots__ = ("_feed", "_items", "_next", "_start", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._feed = EventFeed()
        self._start: ResponseStart | None = None
        self._items: list[_Item] = []
        self._next = 0  # index of the next part

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        return [] if self.ended else self._feed.end(self._read)

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
        elif event.get("error") and not str(kind).startswith("response."):
            self._fail(event, events)

    def _fail(self, event: Wire, _events: list[StreamEvent]) -> None:
        answer = event.get("response")
        told = {key: value for key, value in event.items() if key != "type"}  # that is the event's, not the error's
        raise error_from(parse_stream_error(answer if isinstance(answer, dict) else told))

    def _begin(self, event: Wire, events: list[StreamEvent]) -> None:
        answer = event.get("response")
        self._say_who(answer if isinstance(answer, dict) else {}, events)

    def _say_who(self, answer: Wire, events: list[StreamEvent]) -> None:
        """Say who answers, before anything else, and again where more or something else is said later."""
        before = self._start or ResponseStart()
        created = created_at(answer)
        start = ResponseStart(
            id=read_id(answer) or before.id,
            model=text_of(answer.get("model")) or before.model,
            created=before.created if created is None else created,
        )
        if self._start is None or start != before:
            self._start = start
            events.append(start)

    # Items.

    def _add_item(self, event: Wire, events: list[StreamEvent]) -> None:
        wire = event.get("item")
        if isinstance(wire, dict):
            self._new_item(wire, event.get("output_index"), events).begin(events)

    def _new_item(self, wire: Wire, place: object, events: list[StreamEvent]) -> _Item:
        if self._start is None:
            self._say_who({}, events)
        while isinstance(place, int) and len(self._items) < place < _MOST:  # those before it may be told at the end
            self._items.append(_Item({}, len(self._items), self._take_index))
        item = _Item(wire, place, self._take_index)
        self._items.append(item)
        return item

    def _take_index(self) -> int:
        self._next += 1
        return self._next - 1

    def _finish_item(self, event: Wire, events: list[StreamEvent]) -> None:
        wire = event.get("item")
        if isinstance(wire, dict):
            item = self._find(item_type(wire), wire.get("id"), event.get("output_index"))
            if item is None or item.whole:
                item = self._new_item(wire, event.get("output_index"), events)
            item.settle(wire, events)

    def _find(self, kind: str, id_: object, place: object) -> _Item | None:
        """The item of this type that an event speaks of: by its id, or (Copilot changes ids on the way) by its place.

        Where it names neither, it is the latest one.
        """
        if self._items:
            latest = self._items[-1]
            if latest.kind == kind and id_ is not None and latest.wire.get("id") == id_:  # nearly always
                return latest
        alike = [item for item in reversed(self._items) if item.kind == kind]
        if id_ is None and place is None:
            return alike[0] if alike else None
        named = next((item for item in alike if id_ is not None and item.wire.get("id") == id_), None)
        return named or next((item for item in alike if place is not None and item.place == place), None)

    def _spoken_of(self, event: Wire, kind: str, events: list[StreamEvent]) -> _Item:
        """The item that a delta goes on with; a new one, where its beginning was not said."""
        id_, place = event.get("item_id"), event.get("output_index")
        item = self._find(kind, id_, place)
        if item is None:
            wire = {"type": kind, "id": id_} if text_of(id_) else {"type": kind}
            item = self._new_item(wire, place, events)
        return item

    def _add_text(self, event: Wire, events: list[StreamEvent]) -> None:
        self._spoken_of(event, "message", events).say(Text, event, "text", events)

    def _add_refusal(self, event: Wire, events: list[StreamEvent]) -> None:
        self._spoken_of(event, "message", events).say(Refusal, event, "refusal", events)

    def _begin_content(self, event: Wire, events: list[StreamEvent]) -> None:
        part = event.get("part")
        if isinstance(part, dict) and part.get("type") != THOUGHTS["content"]:
            self._spoken_of(event, "message", events).slot(_position(event))

    def _finish_content(self, event: Wire, _events: list[StreamEvent]) -> None:
        item = self._find("message", event.get("item_id"), event.get("output_index"))
        if item is not None and isinstance(event.get("part"), dict):
            item.contents[_position(event)] = event["part"]

    def _add_summary(self, event: Wire, events: list[StreamEvent]) -> None:
        self._spoken_of(event, "reasoning", events).think("summary", event, events)

    def _add_thought(self, event: Wire, events: list[StreamEvent]) -> None:
        self._spoken_of(event, "reasoning", events).think("content", event, events)

    def _add_arguments(self, event: Wire, events: list[StreamEvent]) -> None:
        self._spoken_of(event, "function_call", events).argue(event, events)

    def _add_custom_input(self, event: Wire, events: list[StreamEvent]) -> None:
        self._spoken_of(event, "custom_tool_call", events).argue(event, events)

    # The end.

    def _complete(self, event: Wire, events: list[StreamEvent]) -> None:
        self._finish({"status": "completed"}, event, events)

    def _stop_early(self, event: Wire, events: list[StreamEvent]) -> None:
        self._finish({"status": "incomplete"}, event, events)

    def _cancel(self, event: Wire, events: list[StreamEvent]) -> None:
        self._finish({"status": "cancelled"}, event, events)

    def _finish(self, said: Wire, event: Wire, events: list[StreamEvent]) -> None:
        """Take the whole answer; ``said`` is what the event's type tells of it."""
        answer = event.get("response")
        answer = {**said, **answer} if isinstance(answer, dict) else said
        if failed(answer):
            raise error_from(parse_stream_error(answer))
        self._say_who(answer, events)
        output = answer.get("output")
        wires = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
        for item, wire in self._matched(wires, events):
            item.settle(wire, events)
        for item in self._items:
            if item.wire and not item.whole:
                item.settle(item.assembled(), events)
        parts = [part for item in self._items for part in item.parts]
        if (reasoning := body_reasoning(answer)) is not None:
            _Slot(self._take_index()).settle(reasoning, events)
            parts.append(reasoning)
        self.ended = True
        events.append(
            ResponseEnd(**answer_facts(answer, wires or [item.wire for item in self._items if item.wire], parts))
        )

    def _matched(self, wires: Sequence[Wire], events: list[StreamEvent]) -> list[tuple[_Item, Wire]]:
        """The items of the last event, each with the one that was told: by id, else by place, else by type."""
        left = [*self._items]
        found: dict[int, _Item] = {}
        for same in (_same_id, _same_place, _same_type):
            for place, wire in enumerate(wires):
                item = next((item for item in left if place not in found and same(item, wire, place)), None)
                if item is not None:
                    found[place] = item
                    left.remove(item)
        return [(found.get(place) or self._new_item(wire, place, events), wire) for place, wire in enumerate(wires)]

    _READERS: ClassVar[dict[str, Callable[[ResponsesStreamParser, Wire, list[StreamEvent]], None]]] = {
        "response.created": _begin,
        "response.queued": _begin,
        "response.in_progress": _begin,
        "response.output_item.added": _add_item,
        "response.output_item.done": _finish_item,
        "response.content_part.added": _begin_content,
        "response.content_part.done": _finish_content,
        "response.output_text.delta": _add_text,
        "response.output_text.done": _add_text,
        "response.refusal.delta": _add_refusal,
        "response.refusal.done": _add_refusal,
        "response.reasoning_summary_text.delta": _add_summary,
        "response.reasoning_text.delta": _add_thought,
        "response.reasoning.delta": _add_thought,  # OpenRouter's name
        "response.function_call_arguments.delta": _add_arguments,
        "response.function_call_arguments.done": _add_arguments,
        "response.custom_tool_call_input.delta": _add_custom_input,
        "response.custom_tool_call_input.done": _add_custom_input,
        "response.completed": _complete,
        "response.done": _complete,  # a name of gateways
        "response.incomplete": _stop_early,
        "response.cancelled": _cancel,
        "response.failed": _fail,
        "error": _fail,
    }
    """What each event does: those that are done may tell what no delta did. Any other is skipped: it repeats what its
    item says when that is done."""


def _same_id(item: _Item, wire: Wire, _place: int) -> bool:
    return any(wire.get(key) and item.wire.get(key) == wire[key] for key in ("id", "call_id"))


def _same_place(item: _Item, wire: Wire, place: int) -> bool:
    return item.place == place and (_same_type(item, wire, place) or not item.wire)


def _same_type(item: _Item, wire: Wire, _place: int) -> bool:
    return item.kind == item_type(wire)


class _Slot:
    """One part while it grows: what was told of it."""

    __slots__ = ("_data", "_told", "call", "index", "kind")

    def __init__(self, index: int) -> None:
        self.index = index
        self.kind: type[Part] | None = None
        self.call = ("", "")  # id and name, of a tool call
        self._told: list[str] = []
        self._data: Mapping[str, Any] = {}

    @property
    def told(self) -> str:
        return "".join(self._told)

    def _rest(self, text: str) -> str:
        """What of a whole text was not told; nothing where another was."""
        told = self.told
        return text[len(told) :] if text.startswith(told) else ""

    def piece(self, event: Wire, field: str) -> str:
        """What an event adds: its delta, or what is left of its whole text."""
        return text_of(event.get("delta")) or self._rest(text_of(event.get(field)) or "")

    def tell(self, kind: type[Part], piece: str, events: list[StreamEvent]) -> None:
        """Tell a piece of a part; one of another kind than before cannot be told."""
        self.kind = self.kind or kind
        if self.kind is kind:
            self._told.append(piece)
            events.append(_DELTAS[kind](piece, self.index))

    def start(self, id_: str, name: str, events: list[StreamEvent]) -> None:
        """Tell that a tool call begins, or that it is another than was told."""
        if self.kind is None or self.call != (id_, name):
            self.kind, self.call = ToolCall, (id_, name)
            events.append(ToolCallStart(id=id_, name=name, index=self.index))

    def settle(self, part: Part, events: list[StreamEvent]) -> None:
        """Tell what is left of a part."""
        if isinstance(part, ToolCall) and self.kind in (None, ToolCall):
            self.start(part.id, part.name, events)
        text = part.arguments if isinstance(part, ToolCall) else getattr(part, "text", "")
        rest = self._rest(text)
        if rest or not self._told:
            self.tell(type(part), rest, events)
        if part.provider_data != self._data:
            self._data = part.provider_data
            events.append(PartData(provider_data=self._data, index=self.index))


_DELTAS: dict[type[Part], Callable[[str, int], StreamEvent]] = {
    Text: lambda piece, index: TextDelta(text=piece, index=index),
    Reasoning: lambda piece, index: ReasoningDelta(text=piece, index=index),
    Refusal: lambda piece, index: RefusalDelta(text=piece, index=index),
    ToolCall: lambda piece, index: ToolCallDelta(arguments=piece, index=index),
}


class _Item:
    """An item while it grows. Its first part takes its place among the parts at once."""

    __slots__ = ("_slots", "_take_index", "_thought", "contents", "kind", "parts", "place", "whole", "wire")

    def __init__(self, wire: Wire, place: object, take_index: Callable[[], int]) -> None:
        self.wire = wire
        self.kind = item_type(wire)
        self.place = place  # where it stands in the output, as the server counts
        self.contents: dict[int, Wire] = {}  # entries of its content that are whole
        self.whole = False
        self.parts: list[Part] = []
        self._take_index = take_index
        self._slots = [_Slot(take_index())]
        self._thought: tuple[str, int] | None = None  # which list of thoughts is told, and where in it

    def begin(self, events: list[StreamEvent]) -> None:
        """Tell what the beginning of an item says."""
        if self.kind in CALLS and text_of(self.wire.get("name")):
            self._start_call(events)

    def _start_call(self, events: list[StreamEvent]) -> None:
        (call,) = read_output_item(self.wire)
        if isinstance(call, ToolCall):
            self._slots[0].start(call.id, call.name, events)

    def slot(self, position: int) -> _Slot:
        """The part at this position of the item; those up to it take their places among the parts."""
        while len(self._slots) <= position:
            self._slots.append(_Slot(self._take_index()))
        return self._slots[position]

    def say(self, kind: type[Part], event: Wire, field: str, events: list[StreamEvent]) -> None:
        """Tell a piece of an entry; the whole of it stands in ``field`` when it is done."""
        slot = self.slot(_position(event))
        if piece := slot.piece(event, field):
            slot.tell(kind, piece, events)

    def think(self, field: str, event: Wire, events: list[StreamEvent]) -> None:
        """Tell a piece of a thought, where it is of the list that came first; the other one is kept at the end."""
        position = event.get("summary_index" if field == "summary" else "content_index")
        position = position if isinstance(position, int) else 0
        piece = text_of(event.get("delta"))
        if piece is None or (self._thought is not None and self._thought[0] != field):
            return
        if self._thought is not None and self._thought[1] != position:
            piece = PARAGRAPH + piece
        self._thought = (field, position)
        self._slots[0].tell(Reasoning, piece, events)

    def argue(self, event: Wire, events: list[StreamEvent]) -> None:
        slot = self._slots[0]
        if piece := slot.piece(event, CALLS[self.kind]):
            if slot.kind is None:
                self._start_call(events)
            slot.tell(ToolCall, piece, events)

    def assembled(self) -> Wire:
        """The item as its pieces tell it, where no event gave it whole."""
        wire, kind, told = {**self.wire}, self.kind, self._slots[0].told
        if wire.get("status") == "in_progress":
            wire["status"] = "completed"
        if kind in CALLS:
            wire[CALLS[kind]] = told or wire.get(CALLS[kind]) or ""
        elif kind == "reasoning" and self._thought is not None:
            field = self._thought[0]
            wire[field] = [{"type": THOUGHTS[field], "text": told}]
        elif kind == "message" and (self.contents or any(slot.kind is not None for slot in self._slots)):
            wire.setdefault("role", "assistant")
            wire["content"] = [self.contents.get(at) or _entry(slot) for at, slot in enumerate(self._slots)]
        return wire

    def settle(self, wire: Wire, events: list[StreamEvent]) -> None:
        """Take the whole item, and tell what is left of its parts; what it leaves out of what was told stays."""
        if self.kind == "message" and not wire.get("content") and any(slot.told for slot in self._slots):
            wire = {**wire, "content": self.assembled()["content"]}
        self.wire, self.kind, self.whole = wire, item_type(wire), True
        self.parts = read_output_item(wire, thought=self._thought and self._thought[0])
        for position, part in enumerate(self.parts):
            self.slot(position).settle(part, events)


def _entry(slot: _Slot) -> Wire:
    """An entry of a content that only its pieces tell."""
    if slot.kind is Refusal:
        return {"type": "refusal", "refusal": slot.told}
    return {"type": "output_text", "text": slot.told, "annotations": []}


def _position(event: Wire) -> int:
    position = event.get("content_index")
    return position if isinstance(position, int) and 0 <= position < _MOST else 0


_MOST = 10_000
"""No answer has more items, and no item more entries; a server's number above it is none."""
