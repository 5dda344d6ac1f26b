"""Server-sent events and lines of JSON, read the slow way: line by line, with the place of each in the body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

__all__ = ["Event", "events_of", "objects"]

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")


class Event(Struct, frozen=True, kw_only=True):
    """One event: its name, its data, and where in the body its data ends."""

    name: str
    data: str
    start: int
    end: int
    mark: bytes = b"data: "
    """What stands before its data."""

    @property
    def value(self) -> Any:
        """Its JSON; None where it holds none."""
        try:
            return json.loads(self.data, strict=False)
        except ValueError:
            return None


def events_of(body: bytes) -> Iterator[Event]:
    """The events of a body; of one that begins as an object does, its lines."""
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


def objects(body: bytes) -> list[Any]:
    """The JSON objects of a stream, in order; one that does not say its type has the name of its event for one."""
    found = [(event.name, value) for event in events_of(body) if isinstance(value := event.value, dict)]
    return [value if value.get("type") or not name else {**value, "type": name} for name, value in found]
