"""One candidate of a stream while it grows: pieces in, events out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ... import _json
from ...events import PartAdded, PartData, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, ToolCallStart
from ...types import Audio, Candidate, Document, Image, Message, Part, Reasoning, Text, ToolCall
from .._kept import Wire
from ._answers import entries, finish_reason, kept_of_candidate, kept_of_content, where_made
from ._parts import made_id, opaque, read_part, residue_of
from ._words import NAME, RESIDUES

__all__ = ["GrowingCandidate"]

SIGNATURE = "thoughtSignature"

UNFINISHED = "FINISH_REASON_UNSPECIFIED"
"""What a chunk may say that is not the last one; as a number it is 0."""


_PLAIN: tuple[type, Mapping[str, Any]] = (Text, {})
"""A text that keeps nothing."""


class GrowingCandidate:
    """A candidate of a stream. A piece goes on with the text or the thought before it.

    A piece that is signed is a part of its own, also an empty one: Google takes signatures back only where they stood.
    """

    __slots__ = ("_call", "_calls", "_content", "_index", "_kept", "_next", "_open", "_place", "finish")

    def __init__(self, place: int) -> None:
        self._place = place
        self._next = 0  # index of the next part
        self._index = 0  # of the part under way
        self._open: tuple[type, Mapping[str, Any]] | None = None  # its kind, and what it keeps; None: it is closed
        self._calls = 0
        self._call: _GrowingCall | None = None
        self._content: Wire = {}  # fields of the content that have no name here
        self._kept: Wire = {}  # and of the candidate
        self.finish: object = None

    def read(self, candidate: Wire, answer_id: str | None, events: list[StreamEvent]) -> None:
        """Read what one chunk says of it."""
        content = candidate.get("content")
        for wire in entries(content):
            text = wire.get("text")
            if len(wire) == 1 and text and isinstance(text, str) and self._open == _PLAIN:  # nearly always
                events.append(TextDelta(text=text, index=self._index))
            else:
                self._add(wire, answer_id, events)
        if kept := kept_of_content(content):
            self._content.update(kept)
        if kept := kept_of_candidate(candidate):
            self._kept = _grown(self._kept, kept)
        if (finish := candidate.get("finishReason")) and finish != UNFINISHED:
            self.finish = finish

    def end(self, events: list[StreamEvent]) -> Candidate:
        """The finish, and what is kept. The parts of its message are told by the events."""
        self._end_call(events)
        ours, raw = finish_reason(self.finish, self._calls > 0)
        return Candidate(
            message=Message(role="assistant", parts=(), provider_data=RESIDUES.named(self._content)),
            finish_reason=ours,
            finish_reason_raw=raw,
            provider_data=RESIDUES.named(self._kept),
        )

    # Parts.

    def _add(self, wire: Wire, answer_id: str | None, events: list[StreamEvent]) -> None:
        inner = wire.get("functionCall")
        if isinstance(inner, dict) and self._goes_on(inner):
            self._grow_call(inner, wire, events)
            return
        self._end_call(events)
        part = read_part(wire, made_id(where_made(answer_id, self._place), self._calls))
        if isinstance(part, (Text, Reasoning)) and "text" in wire:
            self._add_text(part, events)
        elif isinstance(part, ToolCall) and isinstance(inner, dict):
            self._begin_call(part, inner, wire, events)
        elif isinstance(part, (Image, Audio, Document)):
            self._begin(part, events, PartAdded(part=part, index=self._next), {})
        else:  # no event is made for it: an empty text keeps it whole
            self._begin(None, events, TextDelta(text="", index=self._next), residue_of(opaque(wire)))

    def _add_text(self, part: Text | Reasoning, events: list[StreamEvent]) -> None:
        kept = residue_of(part)
        kind = type(part)
        signed = SIGNATURE in kept
        if self._open == (kind, kept) and not signed:
            if part.text:
                events.append(_delta(part, self._index))
        elif part.text or kept:
            self._begin(part, events, _delta(part, self._next), kept)
            self._open = None if signed else (kind, kept)

    def _begin(self, part: Part | None, events: list[StreamEvent], begun: StreamEvent, kept: Mapping[str, Any]) -> None:
        self._index = self._next
        self._next += 1
        self._open = None
        events.append(begun)
        if kept or isinstance(part, Reasoning):
            events.append(PartData(provider_data={NAME: kept}, index=self._index))

    # Calls. Mostly they come whole; Vertex can stream their arguments, each with its path.

    def _begin_call(self, call: ToolCall, inner: Wire, wire: Wire, events: list[StreamEvent]) -> None:
        self._calls += 1
        begins = inner.get("willContinue") is True or isinstance(inner.get("partialArgs"), list)
        if begins:
            inner = {key: value for key, value in inner.items() if key not in ("willContinue", "partialArgs")}
            begun = read_part({**wire, "functionCall": {"args": {}, **inner}}, call.id)
            call = begun if isinstance(begun, ToolCall) else call
        start = ToolCallStart(id=call.id, name=call.name, index=self._next)
        self._begin(call, events, start, residue_of(call))
        if begins:
            self._call = _GrowingCall(self._index, call)
            self._grow_call(wire["functionCall"], {}, events)
        else:
            events.append(ToolCallDelta(arguments=call.arguments, index=self._index))

    def _goes_on(self, inner: Wire) -> bool:
        return self._call is not None and not inner.get("name")

    def _grow_call(self, inner: Wire, wire: Wire, events: list[StreamEvent]) -> None:
        call = self._call
        if call is None:
            return
        pieces = inner.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                call.set(piece)
        if isinstance(inner.get("args"), dict):
            call.arguments.update(inner["args"])
        beside = {key: value for key, value in wire.items() if key != "functionCall"}
        if beside:
            call.kept = {**call.kept, **beside}
            events.append(PartData(provider_data={NAME: call.kept}, index=call.index))
        if inner.get("willContinue") is not True:
            self._end_call(events)

    def _end_call(self, events: list[StreamEvent]) -> None:
        call, self._call = self._call, None
        if call is not None:
            arguments = _json.encode(call.arguments).decode("utf-8")
            events.append(ToolCallDelta(arguments=arguments, index=call.index))


def _delta(part: Text | Reasoning, index: int) -> StreamEvent:
    kind = ReasoningDelta if isinstance(part, Reasoning) else TextDelta
    return kind(text=part.text, index=index)


class _GrowingCall:
    """A call whose arguments come in pieces: ``{"jsonPath": "$.city", "stringValue": "Par", "willContinue": true}``."""

    __slots__ = ("arguments", "index", "kept")

    def __init__(self, index: int, call: ToolCall) -> None:
        self.index = index
        self.arguments: dict[str, Any] = call.parse_arguments()
        self.kept = residue_of(call)

    def set(self, piece: Wire) -> None:
        """Put the value of a piece where its path says. Text goes on with text."""
        steps = _steps(piece.get("jsonPath"))
        value = next((piece[key] for key in _VALUES if key in piece), None)
        if not steps:
            return
        holder: Any = self.arguments
        for step, following in pairwise(steps):
            empty: Any = [] if isinstance(following, int) else {}
            held = _get(holder, step)
            if not isinstance(held, type(empty)):
                held = _put(holder, step, empty)
            holder = held
        before = _get(holder, steps[-1])
        _put(holder, steps[-1], before + value if isinstance(before, str) and isinstance(value, str) else value)


_VALUES = ("stringValue", "numberValue", "boolValue")
"""The fields of a piece that hold a value; another one (``nullValue``) holds none."""

_STEP = r"\.([^.\[\]]+)|\[(\d{1,9})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]"


def _steps(path: object) -> list[str | int]:
    """The steps of ``$.rooms[0].name``."""
    found = re.findall(_STEP, path) if isinstance(path, str) else []
    return [int(place) if place else name or single or double for name, place, single, double in found]


def _get(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict):
        return holder.get(str(step))
    return holder[step] if isinstance(step, int) and step < len(holder) else None


def _put(holder: Any, step: str | int, value: Any) -> Any:
    """Put a value into an object or a list; one behind the end of a list is its next."""
    if isinstance(holder, dict):
        holder[str(step)] = value
    elif isinstance(step, int) and step < len(holder):
        holder[step] = value
    else:
        holder.append(value)
    return value


def _grown(mine: Mapping[str, Any], later: Mapping[str, Any]) -> Wire:
    """What chunks say of a candidate, joined: objects field by field; a list grows, unless it comes anew."""
    grown = {**mine}
    for key, value in later.items():
        before = grown.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            grown[key] = _grown(before, value)
        elif isinstance(before, list) and isinstance(value, list) and key in _LISTS and value[: len(before)] != before:
            grown[key] = [*before, *value]
        elif value is not None:
            grown[key] = value
    return grown


_LISTS = frozenset({
    "chosenCandidates", "topCandidates", "citationSources", "citations", "groundingChunks", "groundingSupports",
    "urlMetadata", "webSearchQueries",
})  # fmt: skip
"""Lists of which each chunk has the next entries. Others (``safetyRatings``) hold for the whole answer so far."""
