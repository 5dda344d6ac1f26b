"""HTTP/1.1 of one connection without a socket: bytes go in, replies come out.

llhttp (httptools) reads the grammar. What stands here is what it leaves to its user, and what a careful
client must refuse:

- a reply that says two things about its length, speaks another protocol, or upgrades unasked;
- a transfer coding or content coding that was not asked for;
- a head, a body or what it unpacks to beyond the caps; bytes that never become a body (endless trailers,
  chunk extensions, interim replies) count against the head's cap;
- a body that ends before its length, its last chunk or its compressed stream does.

Interim replies (100, 103) and trailers are dropped. Bytes after a reply leave it as it is, but the
connection is not used again: whoever sent them and we no longer agree where a reply begins.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from re import compile as compile_regex

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

from ..errors import APIConnectionError, ConfigurationError, Phase, ProtocolError, Sent
from ..wire import Headers, HTTPRequest

__all__ = ["Caps", "ResponseReader", "build_request", "decode_headers"]

_TOKEN = compile_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = compile_regex(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame the message or speak to the next hop: only the transport may set them."""

_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that state a length even for an empty body (RFC 9110, 8.6)."""


class Caps(Struct, frozen=True, kw_only=True, gc=False):
    """How much a reply may hold, in bytes."""

    head: int = 64 << 10
    body: int = 64 << 20
    """Of the body as it comes, and of what it unpacks to."""


# What goes out.


def build_request(request: HTTPRequest, prefix: str) -> bytes:
    """Spell a request; ``prefix`` is what follows the method: target, version, Host and the hop's own lines.

    Raise ConfigurationError, naming the header but never its value, for what cannot stand in a head.
    """
    lines = [_check_method(request.method), prefix]
    encoding_asked = False
    for name, value in request.headers:
        if not (value.isascii() and value.isprintable()):
            _check_value(name, value)
        if name == "accept-encoding":
            encoding_asked = True
        lines.append(f"{_check_name(name)}{value}\r\n")
    if not encoding_asked:
        lines.append("accept-encoding: gzip, deflate\r\n")
    if request.body or request.method in _WITH_LENGTH:
        lines.append(f"content-length: {len(request.body)}\r\n\r\n")
    else:
        lines.append("\r\n")
    return "".join(lines).encode("latin-1") + request.body


@lru_cache(maxsize=32)
def _check_method(method: str) -> str:
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise ConfigurationError(f"{method!r} is no HTTP method for a request")
    return method + " "


@lru_cache(maxsize=512)
def _check_name(name: str) -> str:
    """The header's name as it opens its line; a handful of names is all a process ever sends."""
    if not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot be the name of an HTTP header")
    if name.lower() in _OURS:
        raise ConfigurationError(f"the header {name!r} is set by the transport; leave it out")
    return name + ": "


def _check_value(name: str, value: str) -> None:
    if not _VALUE.fullmatch(value):
        raise ConfigurationError(
            f"the value of the header {name!r} holds a character that cannot stand in a header:"
            " a line break, another control character, or one outside Latin-1"
        )


# What comes in.


class _Inflater:
    """gzip or deflate, unpacked no further than there is room."""

    __slots__ = ("_member", "_opening", "touched")

    def __init__(self, coding: bytes) -> None:
        self._member = zlib.decompressobj(31)
        # "deflate" means zlib's format, and some servers send the raw one: the first two bytes tell.
        self._opening: bytes | None = b"" if coding == b"deflate" else None
        self.touched = False

    @property
    def whole(self) -> bool:
        return self._member.eof or not self.touched

    def feed(self, data: bytes, room: int) -> bytes:
        """What ``data`` unpacks to: at most ``room + 1`` bytes, so that the caller sees that it is too much."""
        self.touched = True
        if self._opening is not None:
            data = self._opening + data
            if len(data) < 2:
                self._opening = data
                return b""
            self._opening = None
            self._member = zlib.decompressobj(_deflate_window(data))
        return self._unpack(data, room + 1)

    def _unpack(self, data: bytes, limit: int) -> bytes:
        pieces: list[bytes] = []
        while data and limit > 0:
            if self._member.eof:  # a further gzip member, or the zeros that pad the last one
                data = data.lstrip(b"\0")
                if not data:
                    break
                self._member = zlib.decompressobj(31)
            piece = self._member.decompress(data, limit)
            limit -= len(piece)
            pieces.append(piece)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return b"".join(pieces)


def _deflate_window(opening: bytes) -> int:
    zlib_header = opening[0] & 15 == 8 and (opening[0] << 8 | opening[1]) % 31 == 0
    return 15 if zlib_header else -15


_CODINGS = {b"gzip": b"gzip", b"x-gzip": b"gzip", b"deflate": b"deflate"}


class ResponseReader:
    """The replies of one connection, one after the other; ``begin`` before each.

    ``feed`` and ``eof`` raise ProtocolError or APIConnectionError with the ``phase`` and ``sent`` given here;
    after that, and unless ``reusable`` says so at the end, the connection is of no further use.

    Attributes:
        got: a byte of this reply has come.
        head: status and headers are there.
        done: the whole reply is there.
        reusable: it is, and the connection may carry another.
        status, raw: the status, and the header lines as they came, their names in lower case.
        buffered: bytes of body that wait for ``take``.
    """

    __slots__ = (
        "_bodiless",
        "_bytes_without_body",
        "_caps",
        "_decoded",
        "_eof_ends_it",
        "_extra",
        "_inflater",
        "_interim",
        "_parser",
        "_phase",
        "_pieces",
        "_received",
        "_sent",
        "_trailers",
        "buffered",
        "done",
        "got",
        "head",
        "raw",
        "reusable",
        "status",
    )

    def __init__(self, caps: Caps, *, phase: Phase = "read", sent: Sent = "yes") -> None:
        self._caps = caps
        self._phase: Phase = phase
        self._sent: Sent = sent
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self, method: str = "") -> None:
        """Make ready for the reply to a request with this method."""
        self._bodiless = method in ("HEAD", "CONNECT")
        self.status = 0
        self.raw: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self.got = self.head = self.done = self.reusable = False
        self._eof_ends_it = self._extra = self._interim = False
        self.buffered = self._received = self._decoded = self._trailers = self._bytes_without_body = 0
        self._inflater: _Inflater | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer, never empty ones."""
        self.got = True
        if self.done:
            self.spoil()
        else:
            self._bytes_without_body += len(data)
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise self._error("the reply switches to another protocol, unasked") from None
        except HttpParserCallbackError as error:
            # What a callback of ours raised (a ProtocolError, or a KeyboardInterrupt that hit it) comes wrapped.
            raise (error.__context__ or self._error("the reply cannot be read")) from None
        except HttpParserError as error:
            if not self.done:
                raise self._error(f"the reply is no HTTP/1.1: {error}") from None
            self.spoil()
        if self._bytes_without_body > 2 * self._caps.head and not self.done:
            raise self._too_much_head()

    def eof(self) -> None:
        """Take the peer's goodbye."""
        if self.done:
            self.reusable = False
        elif self.head and self._eof_ends_it:
            self._finish(reusable=False)
        elif self.got:
            raise self.lost("closed by the peer inside the reply")
        else:
            raise self.lost("closed by the peer before the reply")

    @property
    def spoiled(self) -> bool:
        """Bytes came that belong to no reply, or the shell gave the connection up."""
        return self._extra

    def take(self) -> bytes:
        """The body as far as it came since the last time."""
        pieces = self._pieces
        self._pieces = []
        self.buffered = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def spoil(self) -> None:
        """Never use the connection again, however well the reply ends."""
        self._extra = True
        self.reusable = False

    def discard(self) -> None:
        """Let go of the parser (it and the reader hold each other) and of what nobody took."""
        self._pieces = []
        self._parser = _NO_PARSER

    def lost(self, how: str) -> APIConnectionError:
        """The error for a connection that is gone; the shell asks ``got`` to know what it may promise."""
        phase: Phase = self._phase if self.got or self._phase != "read" else "first_byte"
        sent: Sent = self._sent if self.got or self._sent != "yes" else "maybe"
        return APIConnectionError(
            f"the connection was {how}", phase=phase, sent=sent, billed="no" if sent == "no" else "maybe"
        )

    # llhttp calls these; it keeps what they raise and hands it to `feed`.

    def on_message_begin(self) -> None:
        if self.done:
            self.spoil()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head:
            self.raw.append((name.lower(), value))
            return
        self._trailers += len(name) + len(value) + 4  # dropped, but not without end
        if self._trailers > self._caps.head:
            raise self._too_much_head()

    def on_headers_complete(self) -> None:
        if self.done:
            return
        status = self._parser.get_status_code()
        self._check_head(status)
        if status < 200:
            self._interim = True
            self.raw = []
            return
        self.status = status
        self.head = True
        self._frame(dict(self.raw))
        if self._bodiless:
            self._finish(reusable=False)

    def on_body(self, data: bytes) -> None:
        if self.done:
            self.spoil()
            return
        self._bytes_without_body = 0
        self._received += len(data)
        if self._received > self._caps.body:
            raise self._too_much_body()
        if self._inflater is not None:
            data = self._inflate(self._inflater, data)
        if data:
            self._pieces.append(data)
            self.buffered += len(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.done:
            self._finish(reusable=self._parser.should_keep_alive())

    def _check_head(self, status: int) -> None:
        if self._bytes_without_body > self._caps.head and self._head_size() > self._caps.head:
            raise self._too_much_head()
        if status == 101:
            raise self._error("the reply switches to another protocol, unasked")
        if status < 100 or self._parser.get_http_version() not in ("1.1", "1.0"):
            raise self._error("the reply is no HTTP/1.1")

    def _head_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.raw)

    def _frame(self, headers: dict[bytes, bytes]) -> None:
        """Settle what ends the body and what it is packed in."""
        transfer = headers.get(b"transfer-encoding")
        if transfer is not None and transfer.strip().lower() != b"chunked":
            raise self._error(f"the reply has a transfer coding that was not asked for: {_shown(transfer)}")
        self._eof_ends_it = transfer is None and b"content-length" not in headers
        coding = headers.get(b"content-encoding", b"").strip().lower()
        if coding in _CODINGS:
            self._inflater = _Inflater(_CODINGS[coding])
        elif coding not in (b"", b"identity"):
            raise self._error(f"the reply has a content coding that was not asked for: {_shown(coding)}")

    def _inflate(self, inflater: _Inflater, data: bytes) -> bytes:
        try:
            data = inflater.feed(data, self._caps.body - self._decoded)
        except zlib.error:
            raise self._error("the compressed body is corrupt") from None
        self._decoded += len(data)
        if self._decoded > self._caps.body:
            raise self._too_much_body()
        return data

    def _finish(self, *, reusable: bool) -> None:
        if self._inflater is not None and not self._inflater.whole:
            raise self._error("the compressed body stops before its end")
        self.done = True
        self.reusable = reusable and not self._extra

    def _too_much_head(self) -> ProtocolError:
        return self._error(f"the reply's headers or framing are larger than the cap of {self._caps.head:,} bytes")

    def _too_much_body(self) -> ProtocolError:
        return self._error(f"the body is larger than the cap of {self._caps.body:,} bytes")

    def _error(self, message: str) -> ProtocolError:
        return ProtocolError(
            message, phase=self._phase, sent=self._sent, billed="no" if self._sent == "no" else "maybe"
        )


_NO_PARSER = HttpResponseParser(object())
"""Stands where a reader's parser was."""


def _shown(value: bytes) -> str:
    return repr(value[:40].decode("latin-1"))


def decode_headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    """Header lines as the seam gives them: text, and no space around values."""
    return tuple([(name.decode("latin-1"), value.strip().decode("latin-1")) for name, value in raw])
