"""The frames of AWS's event stream, read the slow way, each with its place in the body, and spelled again.

A frame is its length, the length of its headers and a checksum of both, four bytes each; the headers; the payload; and
a checksum of all. Bedrock's InvokeModel puts one JSON event into a frame as ``{"bytes": "<base64>"}``.
"""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from zlib import crc32

from msgspec import Struct

__all__ = ["Frame", "frames_of", "is_framed"]

HEAD = struct.Struct(">III")
STRING = 7


class Frame(Struct, frozen=True, kw_only=True):
    """One frame: its headers that are texts, what it says, and where it stands."""

    headers: dict[str, str]
    head: bytes
    """The headers as they came."""
    payload: bytes
    start: int
    end: int

    @property
    def name(self) -> str:
        """The type of its event; ``error`` for an exception; empty where an event of another wire is wrapped in it."""
        if self.headers.get(":message-type") != "event":
            return "error"
        kind = self.headers.get(":event-type", "")
        return "" if self.wraps else kind

    @property
    def wraps(self) -> bool:
        """Whether it holds an event of another wire."""
        return self.headers.get(":event-type") == "chunk"

    @property
    def data(self) -> str:
        """The JSON that it says; of an exception with its name, as the body of an error has it."""
        if self.name == "error":
            said = json.loads(self.payload or b"{}")
            return json.dumps({**said, "__type": self.headers.get(":exception-type", "")})
        payload = b64decode(json.loads(self.payload)["bytes"]) if self.wraps else self.payload
        return payload.decode("utf-8", "replace")

    def spelled(self, data: bytes) -> bytes:
        """The frame that says this instead."""
        payload = json.dumps({"bytes": b64encode(data).decode()}).encode() if self.wraps else data
        sizes = struct.pack(">II", HEAD.size + len(self.head) + len(payload) + 4, len(self.head))
        frame = sizes + struct.pack(">I", crc32(sizes)) + self.head + payload
        return frame + struct.pack(">I", crc32(frame))


def is_framed(body: bytes) -> bool:
    """Whether a body begins with a frame, as the checksum of its first bytes says."""
    return len(body) >= HEAD.size and crc32(body[:8]) == HEAD.unpack_from(body)[2]


def frames_of(body: bytes) -> Iterator[Frame]:
    """The frames of a body, up to one that is cut or whose checksum does not hold."""
    at = 0
    while is_framed(body[at : at + HEAD.size]):
        length, size, _ = HEAD.unpack_from(body, at)
        frame = body[at : at + length]
        if len(frame) < length or crc32(frame[:-4]) != struct.unpack(">I", frame[-4:])[0]:
            return
        head, payload = frame[HEAD.size : HEAD.size + size], frame[HEAD.size + size : -4]
        yield Frame(headers=_texts(head), head=head, payload=payload, start=at, end=at + length)
        at += length


def _texts(head: bytes) -> dict[str, str]:
    """The headers, as long as they are texts: all that Bedrock sends are."""
    found: dict[str, str] = {}
    at = 0
    while at < len(head):
        after = at + 1 + head[at]
        name, kind = head[at + 1 : after].decode(), head[after]
        if kind != STRING:
            return found
        (size,) = struct.unpack_from(">H", head, after + 1)
        at = after + 3 + size
        found[name] = head[after + 3 : at].decode()
    return found
