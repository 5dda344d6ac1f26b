"""Streams read the slow way, with the place of each piece: events, lines, frames of AWS, entries of a JSON array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from ._frames import Frame, frames_of, is_framed
from ._json import json_of

__all__ = ["ARRAY", "Event", "events_of", "objects"]

ARRAY = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*\[[ \t\r\n]*\{")
"""How a stream begins that is one JSON array of objects."""

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")


class Event(Struct, frozen=True, kw_only=True):
    """One event: its name, its data, and where in the body its data begins and ends."""

    name: str
    data: str
    start: int
    end: int
    frame: Frame | None = None
    """What it came in, where that is more than lines."""
    mark: bytes = b"data: "
    """What stands before its data."""

    @property
    def value(self) -> Any:
        """Its JSON; None where it holds none."""
        return json_of(self.data)

    @property
    def kind(self) -> str:
        """Its type, which it says itself, or its frame does."""
        said = self.value.get("type") if isinstance(self.value, dict) else None
        return said if isinstance(said, str) else self.name if self.frame is not None else ""

    def saying(self, data: bytes) -> bytes:
        """What stands in its place where it says this instead."""
        if self.frame is not None:
            return self.frame.spelled(data)
        return self.mark + data


def events_of(body: bytes) -> Iterator[Event]:
    """The events of a body: of frames, or of an array, its entries; of one that begins as an object does, its lines."""
    if is_framed(body):
        return (
            Event(name=each.name, data=each.data, start=each.start, end=each.end, frame=each)
            for each in frames_of(body)
        )
    if ARRAY.match(body):
        return _entries_of(body)
    return _lines_of(body) if body.lstrip().startswith(b"{") else _sent_events_of(body)


def _lines_of(body: bytes) -> Iterator[Event]:
    """The lines of a body that are not blank, which only LF ends."""
    for line in re.finditer(rb"[^\n]+", body):
        text = line[0].removesuffix(b"\r")
        if text.strip():
            end = line.start() + len(text)
            yield Event(name="", data=text.decode("utf-8", "replace"), start=line.start(), end=end, mark=b"")


def _sent_events_of(body: bytes) -> Iterator[Event]:
    """By the HTML standard (section 9.2); the last one also without a blank line behind it."""
    name, data, start, end = "", list[str](), -1, 0
    at = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    while at <= len(body):
        line = _LINE.match(body, at)
        if line is None:
            break
        text = line[1].decode("utf-8", "replace")
        if not text:
            if data:
                yield Event(name=name, data="\n".join(data), start=start, end=end)
            name, data, start = "", [], -1
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
            start = line.start(1) if start < 0 else start
            end = at + len(line[1].rstrip())
        elif field == "event":
            name = value
        if line.end() == at:
            break
        at = line.end()
    if data:
        yield Event(name=name, data="\n".join(data), start=start, end=end)


def _entries_of(body: bytes) -> Iterator[Event]:
    text = body.decode("latin-1")  # a character a byte
    decoder = json.JSONDecoder(strict=False)
    at = text.index("[") + 1
    while (begun := re.compile(r"[^ \t\r\n,]").search(text, at)) is not None:
        start = begun.start()
        if begun[0] == "]":
            yield Event(name="", data="]", start=start, end=start + 1, mark=b"")
            return
        try:
            _, at = decoder.raw_decode(text, start)
        except ValueError:  # cut
            return
        yield Event(name="", data=body[start:at].decode("utf-8", "replace"), start=start, end=at, mark=b"")


def objects(body: bytes) -> list[Any]:
    """The JSON objects of a stream, in order; one that does not say its type has the name of its event for one."""
    found = [(event.name, value) for event in events_of(body) if isinstance(value := event.value, dict)]
    return [value if value.get("type") or not name else {**value, "type": name} for name, value in found]
