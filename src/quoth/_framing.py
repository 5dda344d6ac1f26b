"""Bytes to frames: server-sent events and NDJSON. Pure and bounded; no I/O.

Every framer has one shape: ``feed(chunk)`` gives the frames that this chunk completed, ``end()`` those that
the end of the body completes. What they keep:

* Cuts do not matter. However a body is cut into chunks, its frames are the same.
* Time is linear in the bytes, also one byte a chunk: no byte is looked at again once its chunk was scanned.
* Memory is bounded by ``limit``, which is the most that one frame may hold while it grows (beside it stand only
  the lines of one chunk). For an event that is its name, its joined data and the line at hand, without line
  ends; for NDJSON the line at hand, with its CR. Comments and unknown fields are forgotten at the line's end.
* A frame above the limit is a ProtocolError. The frames before it are given first, and the error is raised by
  the next call: what follows an answer that is already whole cannot lose it.
* Bytes stay bytes. The JSON decoder wants them so, and invalid UTF-8 is not this room's business.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Literal, TypeAlias

from msgspec import Struct

from .errors import ProtocolError

__all__ = ["DEFAULT_LIMIT", "NDJSONFramer", "SSEEvent", "SSEFramer"]

DEFAULT_LIMIT = 16 * 1024 * 1024
"""The most bytes that one frame may hold: an image inside an event fits, an endless line does not."""

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
"""What a blank NDJSON line may consist of: JSON's whitespace, without the LF that ends it."""

_Stopped: TypeAlias = Literal["", "end", "limit"]


class SSEEvent(Struct, frozen=True, kw_only=True, gc=False):
    """One server-sent event. ``event`` is its name, empty where the stream gave none."""

    data: bytes
    event: str = ""


class SSEFramer:
    """Read server-sent events as the WHATWG HTML standard says (section 9.2), with one departure in ``end``.

    ``id`` and ``retry`` are read over: they serve reconnecting, and nobody resumes a paid answer by sending
    the request again. A CRLF cut in two is one line end, and an event is given at its CR.
    """

    __slots__ = ("_after_cr", "_at_start", "_data", "_limit", "_line", "_name", "_stopped")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()  # the unfinished line
        self._name = b""  # of the unfinished event
        self._data: bytes | bytearray | None = None  # joined; bytes as long as it is one line, as nearly always
        self._at_start = True  # no line was finished yet: the next may begin with a byte order mark
        self._after_cr = False  # an LF that comes next belongs to the line end that was seen
        self._stopped: _Stopped = ""

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """Give the events that this chunk completes.

        Raises:
            ProtocolError: an event is larger than the limit.
            ValueError: ``end`` was called before.
        """
        if self._stopped:
            raise _refusal(self._stopped, "event", self._limit)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        held = self._held()
        lines = chunk.splitlines()  # of bytes: at LF, CR and CRLF, and nowhere else
        if chunk.endswith((b"\n", b"\r")):
            rest = b""
            self._after_cr = chunk.endswith(b"\r")
        else:
            rest = lines.pop()
        if lines and self._line:
            lines[0] = b"".join((self._line, lines[0]))
            self._line.clear()
        if held + len(chunk) > self._limit:
            return self._read_within_limit(lines, rest)
        self._line += rest
        return self._read(lines)

    def end(self) -> list[SSEEvent]:
        """Give the event that the end of the body completes, if there is one.

        The standard discards an event without a blank line after it. Model providers do end their bodies without
        one, even without a line end after ``[DONE]``, so that the rule would lose the last piece of a paid
        answer. Whether the stream was whole is judged by its terminal event, not by its last newline; an event
        from here may have been cut, and only here.

        Raises:
            ProtocolError: an event was larger than the limit.
        """
        if self._stopped == "limit":
            raise _refusal(self._stopped, "event", self._limit)
        self._stopped = "end"
        line = bytes(self._line)
        self._line.clear()
        return self._read([line, b""])

    def _held(self) -> int:
        """The bytes of the event under way."""
        return len(self._line) + len(self._name) + (len(self._data) if self._data else 0)

    def _read(self, lines: list[bytes]) -> list[SSEEvent]:
        """Interpret finished lines: fields build the event under way, a blank line gives it."""
        events: list[SSEEvent] = []
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        name, data = self._name, self._data
        for line in lines:
            if not line:
                if data is not None:
                    events.append(SSEEvent(data=bytes(data), event=name.decode("utf-8", "replace") if name else ""))
                name, data = b"", None
                continue
            field, _, value = line.partition(b":")  # a comment is a field without a name
            if field == b"data":
                value = value.removeprefix(b" ")
                data = value if data is None else _joined(data, value)
            elif field == b"event":
                name = value.removeprefix(b" ")
        self._name, self._data = name, data
        return events

    def _read_within_limit(self, lines: list[bytes], rest: bytes) -> list[SSEEvent]:
        """As ``_read``, line by line, for a chunk with which the event under way may become too large."""
        events: list[SSEEvent] = []
        for line in lines:
            if self._held() + len(line) > self._limit:
                return self._stop(events)
            events += self._read([line])
        if self._held() + len(rest) > self._limit:
            return self._stop(events)
        self._line += rest
        return events

    def _stop(self, events: list[SSEEvent]) -> list[SSEEvent]:
        """Give the events before the one that is too large; raise where there are none."""
        self._stopped = "limit"
        self._line.clear()
        self._name, self._data = b"", None
        if not events:
            raise _refusal(self._stopped, "event", self._limit)
        return events


def _joined(data: bytes | bytearray, value: bytes) -> bytearray:
    """One more line of data: grown in place, so that many short lines cost neither time nor memory."""
    grown = data if isinstance(data, bytearray) else bytearray(data)
    grown += b"\n"
    grown += value
    return grown


class NDJSONFramer:
    """Read JSON lines: each frame is one line without its LF or CRLF; blank lines are skipped.

    A lone CR is no line end here: JSON allows it between tokens.
    """

    __slots__ = ("_limit", "_line", "_stopped")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._stopped: _Stopped = ""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the lines that this chunk completes.

        Raises:
            ProtocolError: a line is larger than the limit.
            ValueError: ``end`` was called before.
        """
        if self._stopped:
            raise _refusal(self._stopped, "line", self._limit)
        held = len(self._line)
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and held:
            lines[0] = b"".join((self._line, lines[0]))
            self._line.clear()
        if held + len(chunk) > self._limit:
            return self._read_within_limit(lines, rest)
        self._line += rest
        return _not_blank(lines)

    def end(self) -> list[bytes]:
        """Give the last line, if the body ended without a line end after it; it may have been cut.

        Raises:
            ProtocolError: a line was larger than the limit.
        """
        if self._stopped == "limit":
            raise _refusal(self._stopped, "line", self._limit)
        self._stopped = "end"
        line = bytes(self._line)
        self._line.clear()
        return _not_blank([line])

    def _read_within_limit(self, lines: list[bytes], rest: bytes) -> list[bytes]:
        """Give the lines before one that is too large; raise where there are none."""
        within = list(takewhile(lambda line: len(line) <= self._limit, lines))
        frames = _not_blank(within)
        if len(within) == len(lines) and len(self._line) + len(rest) <= self._limit:
            self._line += rest
            return frames
        self._stopped = "limit"
        self._line.clear()
        if not frames:
            raise _refusal(self._stopped, "line", self._limit)
        return frames


def _not_blank(lines: list[bytes]) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in lines if line.strip(_BLANK)]


def _refusal(stopped: _Stopped, frame: str, limit: int) -> Exception:
    """What to raise from a framer that has stopped."""
    if stopped == "end":
        return ValueError("this framer was told that its body ended; make a new one for the next body")
    return ProtocolError(
        f"the provider's stream holds one {frame} of more than {limit:,} bytes, the most that is read; "
        "check that the base URL answers with this kind of stream, or call without streaming",
        phase="read",
        sent="yes",
    )
