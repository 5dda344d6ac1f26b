"""A choice of a streamed answer while it grows: deltas in, events out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...events import (
    PartData,
    ReasoningDelta,
    RefusalDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from ...types import FinishReason, Reasoning, Text
from .._errors import error_from
from .._kept import Wire, kept_fields, overlay
from .._openai_errors import parse_stream_error
from ._answers import CHOICE_FIELDS, MESSAGE_FIELDS, choice_data, finish_reason, join_pieces, split_message
from ._calls import FLAT_FIELDS, call_id, call_object, read_arguments
from ._messages import answer_entries
from ._parts import opaque, read_part, residue_of
from ._words import CALL_KINDS, FIELD, FORM, NAME, REASONING_FIELDS

__all__ = ["GrowingChoice"]

_CHOICE_FIELDS = CHOICE_FIELDS | {"logprobs"}
_DELTA_FIELDS = MESSAGE_FIELDS | set(REASONING_FIELDS)
_CALL_FIELDS = frozenset({"index", "id", "type"})


class GrowingChoice:
    """One choice: its message, how it ended, and what was said about it."""

    __slots__ = ("_data", "_logprobs", "_message", "_told", "finish", "usage")

    def __init__(self) -> None:
        self._message = _GrowingMessage()
        self._told = False  # a delta said something
        self._data: Wire = {}  # fields that have no name here
        self._logprobs: list[Any] = []
        self.finish: str | None = None
        self.usage: Any = None

    def read(self, choice: Wire, events: list[StreamEvent]) -> None:
        """Read what a chunk says of this choice; raise the provider's error where that is one."""
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta:
            self._told = True
            self._message.add(delta, events)
        elif isinstance(message := choice.get("message"), dict) and not self._told:
            self._message.add_whole(message, events)
        if (finish := choice.get("finish_reason")) is not None:
            self._note_finish(finish)
        if logprobs := choice.get("logprobs"):
            self._logprobs.append(logprobs)
        if usage := choice.get("usage"):
            self.usage = usage
        if not choice.keys() <= _CHOICE_FIELDS:
            if choice.get("error"):
                raise error_from(parse_stream_error(choice))
            self._data.update(kept_fields(choice, _CHOICE_FIELDS))

    def _note_finish(self, finish: object) -> None:
        if isinstance(finish, str) and (finish or self.finish is None):
            self.finish = finish

    def end(self, events: list[StreamEvent]) -> tuple[FinishReason, str | None, Wire, Wire]:
        """How the choice ended, raw too; what its message keeps, and what is kept of the choice."""
        back, facts = self._message.finish(events)
        if self._logprobs:
            self._data["logprobs"] = join_pieces("logprobs", self._logprobs)
        return *finish_reason(self.finish), back, choice_data(self._data, facts)


class _Call:
    """A tool call while it grows."""

    __slots__ = ("data", "id", "index", "name", "slot", "started")

    def __init__(self, index: int, slot: int | None) -> None:
        self.index = index
        self.slot = slot  # its place in ``tool_calls``, where the server says one
        self.id = self.name = ""
        self.data: Wire = {}
        self.started = False


class _GrowingMessage:
    """The message of a choice while it grows: deltas in, events out.

    A part begins where its field is first seen: reasoning, content, refusal, each call. The typed contents of
    Mistral are read in order: a piece goes on with the content part before it, if that is of its kind.
    """

    __slots__ = (
        "_calls",
        "_content",
        "_contents",
        "_data",
        "_empty",
        "_fields",
        "_next",
        "_places",
        "_plain",
        "_thought",
        "_whole",
    )

    def __init__(self) -> None:
        self._next = 0  # index of the next part
        self._places: dict[str, int] = {}  # field of the message: index of the part that it fills
        self._content = ""  # kind of the content part under way
        self._contents = 0  # how many there are
        self._plain = False  # content came as a string
        self._thought: tuple[int, Any] = (-1, [])  # the thought under way in a content: its index, its entries
        self._empty = False  # as an empty string
        self._calls: list[_Call] = []
        self._data: dict[int, Wire] = {}  # what parts keep, by index
        self._fields: dict[str, list[Any]] = {}  # pieces of fields that have no name here
        self._whole = ""  # the content, where messages stand in place of deltas

    def add(self, delta: Wire, events: list[StreamEvent]) -> None:
        """Read one delta."""
        content = delta.get("content")
        if len(delta) == 1 and content and isinstance(content, str):  # nearly always
            self._add_text(content, events)
            return
        for field in REASONING_FIELDS:
            if text := delta.get(field):
                self._add_reasoning(field, text, events)
        if content is not None:
            self._add_content(content, events)
        if (refusal := delta.get("refusal")) and isinstance(refusal, str):
            events.append(RefusalDelta(text=refusal, index=self._place("refusal")))
        if isinstance(calls := delta.get("tool_calls"), list):
            for call in calls:
                if isinstance(call, dict):
                    self._add_call(call, events)
        if isinstance(call := delta.get("function_call"), dict):
            self._add_function_call(call, events)
        if not delta.keys() <= _DELTA_FIELDS:
            for key, value in kept_fields(delta, _DELTA_FIELDS).items():
                self._fields.setdefault(key, []).append(value)

    def add_whole(self, message: Wire, events: list[StreamEvent]) -> None:
        """Read a message that stands in place of a delta: all of it, or what it says beyond the one before."""
        content = message.get("content")
        if self._whole and isinstance(content, str):
            said, self._whole = self._whole, content
            message = {"content": content.removeprefix(said)}
        elif isinstance(content, str):
            self._whole = content
        self.add(message, events)

    def finish(self, events: list[StreamEvent]) -> tuple[Wire, Wire]:
        """What the message keeps, and the facts about this answer alone."""
        for call in self._calls:
            if not call.started:
                self._start_call(call, events)
        back, facts = split_message({key: join_pieces(key, pieces) for key, pieces in self._fields.items()})
        return {**self._form(), **back}, facts

    def _form(self) -> Wire:
        """How the content was spelled, where that is not how it would be: as ``_messages`` says it of whole ones."""
        if self._contents == 0:
            beside = self._calls or not self._places.keys().isdisjoint(("refusal", "function_call"))
            return {FORM: "string"} if self._empty and beside else {}
        alone = self._contents == 1 and self._content == "text" and not self._plain
        return {FORM: "list"} if alone and not self._data.get(self._places["content"]) else {}

    def _place(self, field: str) -> int:
        """The index of the part that this field fills; a new one, where it fills none yet."""
        index = self._places.get(field)
        if index is None:
            index = self._places[field] = self._next
            self._next += 1
        return index

    def _keep(self, index: int, data: Wire, events: list[StreamEvent]) -> None:
        """Let the part at ``index`` keep more; all of it is given, for it replaces what was given before."""
        mine = self._data.get(index, {})
        merged = {**mine, **data}
        if merged != mine:
            self._data[index] = merged
            events.append(PartData(provider_data={NAME: merged}, index=index))

    # Texts.

    def _add_reasoning(self, field: str, text: Any, events: list[StreamEvent]) -> None:
        second = field not in self._places and any(other in self._places for other in REASONING_FIELDS)
        if second or not isinstance(text, str):  # the same thoughts a second time, or an object
            self._fields.setdefault(field, []).append(text)
            return
        index = self._place(field)
        events.append(ReasoningDelta(text=text, index=index))
        if index not in self._data:
            self._keep(index, {FIELD: field}, events)

    def _add_content(self, content: Any, events: list[StreamEvent]) -> None:
        if isinstance(content, str):
            if content:
                self._add_text(content, events)
            else:
                self._empty = True
        else:
            for piece in answer_entries(content):
                self._add_piece(piece, events)

    def _add_text(self, text: str, events: list[StreamEvent]) -> None:
        self._plain = True
        index = self._places["content"] if self._content == "text" else self._content_place("text")
        events.append(TextDelta(text=text, index=index))

    def _content_place(self, kind: str) -> int:
        """The index of the content part under way, if it is of this kind; else of a new one."""
        if kind != self._content:
            self._content = kind
            self._contents += 1
            self._places.pop("content", None)
        return self._place("content")

    def _add_piece(self, piece: Wire, events: list[StreamEvent]) -> None:
        part = read_part(piece)
        if isinstance(part, Reasoning):
            index = self._content_place("thinking")
            events.append(ReasoningDelta(text=part.text, index=index))
        elif isinstance(part, Text) and isinstance(piece.get("text"), str):
            index = self._content_place("text")
            events.append(TextDelta(text=part.text, index=index))
        else:  # no event is made for it: an empty text keeps it whole
            part = opaque(piece)
            self._content = ""
            index = self._content_place("other")
            events.append(TextDelta(text="", index=index))
            self._keep(index, {**residue_of(part)}, events)
            return
        kept = {**residue_of(part)}
        if "summary" in kept:
            kept["summary"] = _grown(self._data.get(index, {}).get("summary"), kept["summary"])
        if isinstance(part, Reasoning) and "summary" not in kept:
            self._note_thought(index, piece, kept)
        self._keep(index, kept, events)

    def _note_thought(self, index: int, piece: Wire, kept: Wire) -> None:
        """Remember the entries of a thought; where any is no plain text (a reference), ``kept`` takes all of them."""
        kept.pop("thinking", None)
        place, entries = self._thought
        entries = _grown(entries if place == index else [], piece.get("thinking"))
        self._thought = (index, entries)
        if isinstance(entries, list) and not all(_is_text(entry) and len(entry) == 2 for entry in entries):
            kept["thinking"] = entries

    # Tool calls.

    def _add_call(self, piece: Wire, events: list[StreamEvent]) -> None:
        kind = next((kind for kind in CALL_KINDS if isinstance(piece.get(kind), dict)), "")
        inner = piece[kind] if kind else call_object(piece, kind)
        id_, name = call_id(piece.get("id")), _text(inner.get("name"))
        slot = _slot(piece.get("index"))
        call = self._find_call(slot, id_, name)
        if call is None:
            call = _Call(self._next, slot)
            self._next += 1
            self._calls.append(call)
        late = call.started and bool((id_ and not call.id) or (name and not call.name))
        call.id, call.name = call.id or id_, call.name or name
        arguments = read_arguments(inner.get(CALL_KINDS.get(kind, "arguments")))
        if late or (not call.started and (arguments or (call.id and call.name))):
            self._start_call(call, events)
        if arguments:
            events.append(ToolCallDelta(arguments=arguments, index=call.index))
        self._keep_of_call(call, piece, kind)
        if call.started:
            self._keep(call.index, call.data, events)

    def _find_call(self, slot: int | None, id_: str, name: str) -> _Call | None:
        """The call that a piece goes on with, or None where it begins one.

        The index decides. Where there is none (some servers), the id does, or that a name begins a call. A new
        id with a name at a known index is a new call: Gemini's compatible endpoint numbers each call 0.
        """
        if slot is not None:
            call = next((call for call in reversed(self._calls) if call.slot == slot), None)
            return None if call and id_ and name and call.id not in ("", id_) else call
        if id_:
            return next((call for call in reversed(self._calls) if call.id == id_), None)
        return self._calls[-1] if self._calls and not name else None

    def _start_call(self, call: _Call, events: list[StreamEvent]) -> None:
        call.started = True
        events.append(ToolCallStart(id=call.id, name=call.name, index=call.index))
        self._keep(call.index, call.data, events)

    def _keep_of_call(self, call: _Call, piece: Wire, kind: str) -> None:
        """What a call keeps beside id, name and arguments: a type that is not function, signatures."""
        flat = not kind and call_object(piece, kind) is piece
        known = (kind, *_CALL_FIELDS, *(FLAT_FIELDS if flat else ()))
        data = {key: value for key, value in piece.items() if value is not None and key not in known}
        said = kind if flat else piece.get("type") or call.data.get("type") or kind
        if said and said != "function":
            data["type"] = said
        inner = piece[kind] if kind else {}
        if not inner.keys() <= {"name", CALL_KINDS.get(kind, "")}:
            data[kind] = {key: value for key, value in inner.items() if key not in ("name", CALL_KINDS[kind])}
        if data:
            overlay(call.data, data)

    def _add_function_call(self, piece: Wire, events: list[StreamEvent]) -> None:
        """The one call of 2023: its name comes first, and it has no id."""
        if "function_call" not in self._places:
            if not (name := _text(piece.get("name"))):
                return
            index = self._place("function_call")
            events.append(ToolCallStart(id="", name=name, index=index))
            self._keep(index, {FIELD: "function_call"}, events)
        if arguments := read_arguments(piece.get("arguments")):
            events.append(ToolCallDelta(arguments=arguments, index=self._places["function_call"]))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _slot(index: object) -> int | None:
    """The place of a call in ``tool_calls``: a number, also one that is written as a text."""
    if isinstance(index, str) and index.isdecimal() and len(index) < 10:
        return int(index)
    return index if isinstance(index, int) else None


def _grown(entries: Any, following: Any) -> Any:
    """The summary of a thought with its next piece: a piece that is one entry goes on with the last one."""
    if not isinstance(entries, list) or not isinstance(following, list):
        return following
    last, *more = [*entries[-1:], *following] or [None]
    if len(more) == 1 and _is_text(last) and _is_text(more[0]) and last.get("type") == more[0].get("type"):
        return [*entries[:-1], {**last, **more[0], "text": f"{last['text']}{more[0]['text']}"}]
    return [*entries, *following]


def _is_text(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("text"), str)
