"""A stream as Google sends it without ``alt=sse``: one JSON array, of which each entry is a chunk."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._framing import DEFAULT_LIMIT, SSEEvent
from ...errors import ProtocolError

__all__ = ["ArrayFramer"]

_MARKS = rb'["\\{}\[\]]'
"""The bytes that tell where an entry ends: all that stands between them is read over at once."""

_QUOTE, _BACKSLASH = b'"\\'

_BETWEEN = b" \t\r\n,\xef\xbb\xbf"


class ArrayFramer:
    """Cut the entries out of a JSON array. It has the shape of every framer; see ``_framing``."""

    __slots__ = ("_begun", "_deep", "_entry", "_escaped", "_in_text", "_limit", "_too_large", "closed")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._entry = bytearray()  # the unfinished entry
        self._deep = 0  # how many objects and lists are open, the array itself among them
        self._in_text = False
        self._escaped = False  # the last byte was a backslash that counts
        self._too_large = False
        self.closed = False
        """Whether the array has come to its end."""

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """Give the entries that this chunk completes.

        Raises:
            ProtocolError: an entry is larger than the limit; the entries before it were given.
        """
        if self._too_large:
            raise self._refusal()
        frames: list[SSEEvent] = []
        begun = 0  # where in the chunk what is not given yet begins
        for place, mark in self._brackets(chunk):
            self._deep += 1 if mark in b"{[" else -1
            if self._deep == 0:
                self.closed = True
                self._entry.clear()
                return frames
            if self._deep == 1:
                if mark in b"}]":  # an entry ends here; else the array begins
                    frames.append(self._frame(chunk[begun : place + 1]))
                begun = place + 1
        self._entry += chunk[begun:]
        self._too_large = len(self._entry) > self._limit
        if self._too_large and not frames:
            raise self._refusal()
        return frames

    def _brackets(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        """Where brackets and braces stand that are not in a text, until the array is closed."""
        unread = 1 if self._escaped and chunk else 0
        self._escaped = self._escaped and not chunk
        for match in re.finditer(_MARKS, chunk):
            place, mark = match.start(), chunk[match.start()]
            if place < unread or self.closed:
                continue
            if mark == _QUOTE:
                self._in_text = not self._in_text
            elif not self._in_text:
                if mark != _BACKSLASH:
                    yield place, mark
            elif mark == _BACKSLASH:  # the byte behind it is read over
                unread = place + 2
                self._escaped = unread > len(chunk)

    def _refusal(self) -> ProtocolError:
        return ProtocolError(
            f"the provider's stream holds one entry of more than {self._limit:,} bytes, the most that is read",
            phase="read",
            sent="yes",
        )

    def _frame(self, rest: bytes) -> SSEEvent:
        data = (bytes(self._entry) + rest).lstrip(_BETWEEN)
        self._entry.clear()
        return SSEEvent(data=data)

    def end(self) -> list[SSEEvent]:
        """Give what is left of an entry that the end of the body has cut."""
        rest = bytes(self._entry).strip(_BETWEEN)
        self._entry.clear()
        return [SSEEvent(data=rest)] if rest and self._deep > 1 else []
