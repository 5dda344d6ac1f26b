"""What every stream of server-sent events has in common: framing, and errors that wait their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from .. import _json
from .._framing import SSEEvent, SSEFramer
from ..errors import QuothError, ResponseParseError
from ..events import StreamEvent
from ._kept import Wire

__all__ = ["BODY_LIMIT", "EventFeed", "Framer", "decode_event", "in_pieces", "is_events"]

BODY_LIMIT = 2_000
"""The most bytes of an unreadable reply or event that its error keeps."""

Reader: TypeAlias = Callable[[SSEEvent, list[StreamEvent]], None]
"""Reads one frame and adds its events to the list."""


class Framer(Protocol):
    """What cuts a body into frames; see ``_framing``."""

    def feed(self, chunk: bytes) -> Iterable[SSEEvent]: ...

    def end(self) -> Iterable[SSEEvent]: ...


class EventFeed:
    """Cuts a body into frames for a reader; an error is held back until the events before it are out."""

    __slots__ = ("_error", "_framer", "cut")

    def __init__(self, framer: Framer | None = None) -> None:
        self._framer = framer or SSEFramer()
        self._error: QuothError | None = None
        self.cut = False
        """Whether the end of the body cut an event in two."""

    def feed(self, chunk: bytes, read: Reader) -> list[StreamEvent]:
        """The events that this chunk completes; raise what stood behind those of an earlier one."""
        events: list[StreamEvent] = []
        if self._error is not None:
            raise self._error
        try:
            for frame in self._framer.feed(chunk):
                read(frame, events)
        except QuothError as error:
            self._error = error
            if not events:
                raise
        return events

    def end(self, read: Reader) -> list[StreamEvent]:
        """The events that the end of the body completes. An event that it cuts in two is no error of its own."""
        events: list[StreamEvent] = []
        if self._error is not None:
            raise self._error
        try:
            for frame in self._framer.end():  # one at most, and an error in it stands before its events
                read(frame, events)
        except ResponseParseError:
            self.cut = True
        return events


_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How a stream of server-sent events begins, and nothing else that a provider sends."""

_LONGEST_FIELD = max(map(len, _EVENT_FIELDS))


def is_events(begun: bytes, label: str) -> bool | None:  # noqa: ARG001  # the bytes say it, whatever the label
    """Whether a body that begins so is a stream of server-sent events; None as long as too little of it is there."""
    if begun.startswith(_EVENT_FIELDS):
        return True
    return False if len(begun) >= _LONGEST_FIELD else None


def decode_event(data: bytes) -> Wire | None:
    """The JSON object of an event; None for JSON that is none.

    Raises:
        ResponseParseError: it is no JSON; ``body`` holds its beginning.
    """
    try:
        value = _json.decode(data)
    except ValueError as error:
        raise ResponseParseError(
            f"an event of the stream is no JSON ({error}); it begins in .body", status=200, body=data[:BODY_LIMIT]
        ) from None
    return value if isinstance(value, dict) else None


def in_pieces(text: str, size: int | None) -> list[str]:
    """The text in pieces of ``size`` characters, as a server would stream it; none for an empty one."""
    size = size or len(text) or 1
    return [text[start : start + size] for start in range(0, len(text), size)]
