"""Bytes to frames: server-sent events, NDJSON, and the event stream of AWS. Pure and bounded; no I/O.

Every framer has one shape: ``feed(chunk)`` gives the frames that this chunk completed, ``end()`` those that
the end of the body completes. What they keep:

* Cuts do not matter. However a body is cut into chunks, its frames are the same.
* Time is linear in the bytes, also one byte a chunk: no byte is looked at again once its chunk was scanned.
* Memory is bounded by ``limit``, which is the most that one frame may hold while it grows (beside it stand only
  the lines of one chunk). For an event that is its name, its joined data and the line at hand, without line
  ends; for NDJSON the line at hand, with its CR. Comments and unknown fields are forgotten at the line's end.
* A frame above the limit is a ProtocolError. The frames before it are given first, and the error is raised by
  the next call: what follows an answer that is already whole cannot lose it.
* Bytes that cannot be a frame (a checksum of AWS that does not hold, lengths that cannot be) are treated alike.
* Bytes stay bytes. The JSON decoder wants them so, and invalid UTF-8 is not this room's business.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Mapping
from itertools import takewhile
from typing import Literal, TypeAlias

from msgspec import Struct

from .errors import ProtocolError

__all__ = [
    "DEFAULT_LIMIT",
    "AWSFramer",
    "AWSHeader",
    "AWSMessage",
    "NDJSONFramer",
    "SSEEvent",
    "SSEFramer",
    "begins_aws_message",
    "build_aws_message",
]

DEFAULT_LIMIT = 16 * 1024 * 1024
"""The most bytes that one frame may hold: an image inside an event fits, an endless line does not."""

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
"""What a blank NDJSON line may consist of: JSON's whitespace, without the LF that ends it."""

_Stopped: TypeAlias = Literal["", "end", "limit", "broken"]


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


# The event stream of AWS (application/vnd.amazon.eventstream). A message is a prelude of three numbers of four bytes,
# big-endian (its length, the length of its headers, the CRC-32 of these two), headers, a payload, and the CRC-32 of
# all before it. A header is the length of its name, the name, its type, and the value in the form of its type.

PRELUDE = 12
LEAST_MESSAGE = 16
"""Bytes of a message without headers and payload."""
MOST_HEADERS = 128 * 1024
"""Bytes that the headers of a message may take, as AWS's own clients have it."""

AWSHeader: TypeAlias = str | bytes | bool | int
"""A value of a header: a string; bytes, as of a UUID; a truth; a number, or a time in milliseconds."""


class AWSMessage(Struct, frozen=True, kw_only=True, gc=False):
    """One message: its headers by name, and its payload."""

    headers: Mapping[str, AWSHeader]
    payload: bytes

    def word(self, name: str) -> str:
        """A header that is a string; empty where there is none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


def begins_aws_message(begun: bytes) -> bool | None:
    """Whether bytes begin with the prelude of a message; None as long as too little of it is there."""
    if len(begun) < PRELUDE:
        return None
    return int.from_bytes(begun[8:PRELUDE]) == crc32(begun[:8])


class AWSFramer:
    """Read the messages of an event stream. What the end of the body cuts in two is dropped: it is no message."""

    __slots__ = ("_headers", "_held", "_limit", "_needed", "_spelled", "_stopped", "_why")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()  # the unfinished message
        self._needed = PRELUDE  # how many bytes must be held before anything can be read
        self._stopped: _Stopped = ""
        self._why = ""
        self._spelled = b""  # the headers of the last message, and what they say
        self._headers: Mapping[str, AWSHeader] = {}

    @property
    def cut(self) -> bool:
        """Whether a message has begun and did not come to its end."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[AWSMessage]:
        """Give the messages that this chunk completes.

        Raises:
            ProtocolError: a message is larger than the limit, or the bytes are none.
            ValueError: ``end`` was called before.
        """
        if self._stopped:
            raise self._refused()
        held = self._held
        if len(held) + len(chunk) < self._needed:
            held += chunk
            return []
        data = bytes(held) + chunk if held else chunk
        held.clear()
        messages: list[AWSMessage] = []
        start = 0
        while len(data) - start >= self._needed:
            try:
                if self._needed == PRELUDE:
                    self._needed = self._read_prelude(data[start : start + PRELUDE])
                    continue
                messages.append(self._read_message(data[start : start + self._needed]))
            except ValueError as error:
                return self._stop(str(error), messages)
            start += self._needed
            self._needed = PRELUDE
        held += data[start:]
        return messages

    def end(self) -> list[AWSMessage]:
        """Take the end of the body, which completes no message.

        Raises:
            ProtocolError: a message was larger than the limit, or the bytes were none.
        """
        if self._stopped not in ("", "end"):
            raise self._refused()
        self._stopped = "end"
        return []

    def _read_prelude(self, prelude: bytes) -> int:
        """The length of the message that begins so. Raises ValueError where that cannot be."""
        if not begins_aws_message(prelude):
            raise ValueError("the checksum of a message's prelude does not hold")
        length, headers = int.from_bytes(prelude[:4]), int.from_bytes(prelude[4:8])
        if length < LEAST_MESSAGE or headers > min(length - LEAST_MESSAGE, MOST_HEADERS):
            raise ValueError(f"a message of {length} bytes with headers of {headers} cannot be")
        if length > self._limit:
            raise ValueError("")
        return length

    def _read_message(self, message: bytes) -> AWSMessage:
        """A whole message, its prelude checked before. Raises ValueError."""
        if int.from_bytes(message[-4:]) != crc32(message[:-4]):
            raise ValueError("the checksum of a message does not hold")
        payload = PRELUDE + int.from_bytes(message[4:8])
        spelled = message[PRELUDE:payload]
        if spelled != self._spelled:  # mostly one event of a stream is headed as the one before it
            self._headers = _read_headers(spelled)
            self._spelled = spelled
        return AWSMessage(headers=self._headers, payload=message[payload:-4])

    def _stop(self, why: str, messages: list[AWSMessage]) -> list[AWSMessage]:
        """Give the messages before what is wrong; raise where there are none."""
        self._stopped, self._why = "broken" if why else "limit", why
        self._held.clear()
        if not messages:
            raise self._refused()
        return messages

    def _refused(self) -> Exception:
        if self._stopped != "broken":
            return _refusal(self._stopped, "message", self._limit)
        return ProtocolError(
            f"the provider's event stream is broken: {self._why}; what came before it was read. Call again, or without "
            "streaming",
            phase="read",
            sent="yes",
        )


_FLAGS = {0: True, 1: False}
_NUMBERS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""Types of headers that are numbers, and how many bytes they take; 8 is a time."""
_BYTES, _STRING, _UUID = 6, 7, 9


def _read_headers(headers: bytes) -> dict[str, AWSHeader]:
    found: dict[str, AWSHeader] = {}
    at = 0
    while at < len(headers):
        named = at + 1 + headers[at]
        name = headers[at + 1 : named].decode("utf-8", "replace")
        value, at = _read_value(headers, named)
        found[name] = value
    return found


def _read_value(headers: bytes, at: int) -> tuple[AWSHeader, int]:
    """The value whose type stands at this place, and the place behind it."""
    kind = headers[at] if at < len(headers) else -1
    at += 1
    if kind in _FLAGS:
        return _FLAGS[kind], at
    if kind in _NUMBERS:
        end = at + _NUMBERS[kind]
    elif kind in (_BYTES, _STRING):
        end = at + 2 + int.from_bytes(headers[at : at + 2])
        at += 2
    elif kind == _UUID:
        end = at + 16
    else:
        raise ValueError(f"a message has a header of the type {kind}, which there is not")
    if end > len(headers):
        raise ValueError("a header of a message is longer than all of them")
    value = headers[at:end]
    if kind in _NUMBERS:
        return int.from_bytes(value, signed=True), end
    return value.decode("utf-8", "replace") if kind == _STRING else value, end


def build_aws_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Spell a message whose headers are strings, as those of all that Bedrock sends are."""
    spelled = b"".join([_spelled(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()])
    prelude = (LEAST_MESSAGE + len(spelled) + len(payload)).to_bytes(4) + len(spelled).to_bytes(4)
    message = b"".join((prelude, crc32(prelude).to_bytes(4), spelled, payload))
    return message + crc32(message).to_bytes(4)


def _spelled(name: bytes, value: bytes) -> bytes:
    return b"".join((bytes([len(name)]), name, bytes([_STRING]), len(value).to_bytes(2), value))


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
