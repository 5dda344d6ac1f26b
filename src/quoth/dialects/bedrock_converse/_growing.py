"""One content block of a stream while it grows: deltas in, events out.

A text and a thought begin with their first delta; only what has a name (a tool call) is begun by an event of its own.
"""

from __future__ import annotations

from typing import Any

from ...events import PartAdded, PartData, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, ToolCallStart
from ...types import Text, ToolCall
from .._arguments import decoded_input, read_arguments
from .._kept import ABSENT, Wire
from ._blocks import CALL, CITED, read_answer_block, residue_of
from ._words import FORM, NAME

__all__ = ["GrowingBlock"]

THOUGHT, RESULT = "reasoningContent", "toolResult"

_KINDS = {"text": "text", "citation": "text", THOUGHT: "thought", CALL: "call", RESULT: "other", "image": "other"}
"""The kind of block that each delta is of."""


class GrowingBlock:
    """A block of a stream, which is the part at ``index``; without ``start`` its first delta tells what it is."""

    __slots__ = ("_block", "_cited", "_data", "_index", "_kind", "_pieces", "_spoken", "_worded")

    def __init__(self, index: int, start: Wire, events: list[StreamEvent]) -> None:
        self._index = index
        self._block: Wire = start
        self._pieces: list[str] = []  # of an input that only the end of the block makes whole
        self._cited: list[Any] = []
        self._spoken = self._worded = False
        self._data: Wire = {}
        self._kind = ""
        if start:
            self._begin(start, events)

    def _begin(self, start: Wire, events: list[StreamEvent]) -> None:
        part = read_answer_block({CALL: {"input": {}, **start[CALL]}}) if isinstance(start.get(CALL), dict) else None
        if not isinstance(part, ToolCall):
            self._kind = "other"
            return
        self._kind = "call"
        events.append(ToolCallStart(id=part.id, name=part.name, index=self._index))
        if kept := residue_of(part):
            events.append(PartData(provider_data={NAME: kept}, index=self._index))

    def takes(self, delta: Wire) -> bool:
        """Whether a delta is of this block: else another one begins, for nothing that was said may be lost."""
        kind = _kind(delta)
        return self._kind in ("", kind) or (self._kind == "other" and kind == "call")

    def add(self, delta: Wire, events: list[StreamEvent]) -> None:
        """Read one delta; of a kind that is not known, it is kept with its block."""
        if not self._kind:
            self._kind = _kind(delta)
            if self._kind == "call":  # whose beginning was not said
                self._kind, self._block = "other", {CALL: {}}
        match self._kind:
            case "text":
                self._say(delta, events)
            case "thought":
                self._think(delta[THOUGHT], events)
            case "call":
                if piece := _input(delta):
                    self._spoken = True
                    events.append(ToolCallDelta(arguments=piece, index=self._index))
            case _:
                self._keep(delta)

    def _say(self, delta: Wire, events: list[StreamEvent]) -> None:
        if isinstance(text := delta.get("text"), str):
            self._spoken = True
            events.append(TextDelta(text=text, index=self._index))
        if "citation" in delta:
            self._cited.append(delta["citation"])
            self._tell({FORM: "cited", CITED: {"citations": list(self._cited)}}, events)

    def _think(self, said: Any, events: list[StreamEvent]) -> None:
        first, self._spoken = not self._spoken, True
        rest = {**said} if isinstance(said, dict) else {}
        text = rest.pop("text", None)
        if first or (isinstance(text, str) and text):
            events.append(ReasoningDelta(text=text if isinstance(text, str) else "", index=self._index))
        self._worded = self._worded or isinstance(text, str)
        if first or rest or ABSENT in self._data.get(THOUGHT, ()):
            self._tell(self._signed(rest), events)

    def _signed(self, rest: Wire) -> Wire:
        """What a thought keeps, with more of it: a signature is text and grows; all else replaces."""
        inner = {**self._data.get(THOUGHT, {})}
        text = {**inner.get("reasoningText", {})}
        for key, value in rest.items():
            if key == "signature" and isinstance(value, str):
                text[key] = text.get(key, "") + value
            else:
                inner[key] = value
        if text:
            inner["reasoningText"] = text
        inner.pop(ABSENT, None)
        if inner and not text and not self._worded:  # a redacted one, which has no text
            inner[ABSENT] = ["reasoningText"]
        return {THOUGHT: inner} if inner else {}

    def _keep(self, delta: Wire) -> None:
        for member, said in delta.items():
            mine = self._block.get(member)
            if member == CALL:
                self._pieces.append(_input(delta))
            elif member == RESULT and isinstance(mine, dict) and isinstance(said, list):
                self._block = {**self._block, member: {**mine, "content": [*mine.get("content", ()), *said]}}
            elif isinstance(mine, dict) and isinstance(said, dict):
                self._block = {**self._block, member: {**mine, **said}}
            else:
                self._block = {**self._block, member: said}

    def _tell(self, data: Wire, events: list[StreamEvent]) -> None:
        """Let the part keep this, all of it, in place of what it kept before."""
        self._data = data
        events.append(PartData(provider_data={NAME: data}, index=self._index))

    def stop(self, events: list[StreamEvent]) -> None:
        """Give what only the end of the block tells."""
        if self._kind == "call" and not self._spoken:
            events.append(ToolCallDelta(arguments="{}", index=self._index))
        elif self._kind == "text" and not self._spoken:
            events.append(TextDelta(text="", index=self._index))
            if self._cited:
                self._tell({FORM: "cited", CITED: {"citations": self._cited, ABSENT: ["content"]}}, events)
        elif self._kind == "other":
            self._stop_other(events)

    def _stop_other(self, events: list[StreamEvent]) -> None:
        block = self._block
        if isinstance(mine := block.get(CALL), dict):
            block = {**block, CALL: {**mine, "input": decoded_input("".join(self._pieces) or "{}")}}
        part = read_answer_block(block)
        if isinstance(part, Text):
            events.append(TextDelta(text=part.text, index=self._index))
            events.append(PartData(provider_data=part.provider_data, index=self._index))
        else:
            events.append(PartAdded(part=part, index=self._index))


def _kind(delta: Wire) -> str:
    if "text" in delta:  # nearly always
        return "text"
    return next((kind for member, kind in _KINDS.items() if member in delta), "other")


def _input(delta: Wire) -> str:
    """A piece of a call's input: text, though some models may send what it says."""
    said = delta[CALL].get("input") if isinstance(delta.get(CALL), dict) else None
    return said if isinstance(said, str) else "" if said is None else read_arguments(said)
