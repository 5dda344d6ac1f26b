"""The sans-IO connection: what it makes of any bytes, cut anywhere."""

from __future__ import annotations

import gzip
import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from quoth.errors import APIConnectionError, ConfigurationError, ProtocolError, TransportError
from quoth.transport._http1 import Caps, ResponseReader, build_request, decode_headers
from quoth.wire import HTTPRequest

CAPS = Caps(head=4096, body=1 << 16)
TEXT = b"The quick brown fox. " * 40
ZIPPED = gzip.compress(TEXT)


def with_length(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body), b"", body])


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, pieces)) + end


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


WHOLE = {
    "length": (with_length(b"ok"), 200, b"ok"),
    "empty": (with_length(b""), 200, b""),
    "chunked": (chunked(b"hello ", b"world"), 200, b"hello world"),
    "chunk extensions": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        200,
        b"abc",
    ),
    "trailers": (chunked(b"abc", end=b"0\r\nx-late: 1\r\n\r\n"), 200, b"abc"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
    "until the end": (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil eof", 200, b"until eof"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, b"body"),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + with_length(b"ok"),
        200,
        b"ok",
    ),
    "gzip": (with_length(ZIPPED, b"Content-Encoding: gzip"), 200, TEXT),
    "two gzip members": (with_length(ZIPPED + ZIPPED, b"Content-Encoding: x-gzip"), 200, TEXT + TEXT),
    "padded gzip": (with_length(ZIPPED + b"\0\0\0", b"Content-Encoding: gzip"), 200, TEXT),
    "deflate": (with_length(zlib.compress(TEXT), b"Content-Encoding: deflate"), 200, TEXT),
    "raw deflate": (with_length(zlib.compress(TEXT)[2:-4], b"Content-Encoding: deflate"), 200, TEXT),
    "empty gzip": (with_length(b"", b"Content-Encoding: gzip"), 200, b""),
    "gzip until the end": (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + ZIPPED, 200, TEXT),
    "error": (b"HTTP/1.1 429 Slow Down\r\nRetry-After:  7 \r\nContent-Length: 4\r\n\r\nwait", 429, b"wait"),
}

REFUSED = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokx",
    "chunks and length": chunked(b"hello").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1),
    "length and chunks": chunked(b"hello").replace(b"OK\r\n", b"OK\r\nContent-Length: 5\r\n", 1),
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another protocol": b"RTSP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
    "upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nfoo",
    "brotli": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok",
    "gzip as transfer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "control character": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "no gzip at all": with_length(b"not compressed", b"Content-Encoding: gzip"),
    "gzip cut short": with_length(ZIPPED[:-5], b"Content-Encoding: gzip"),
    "gzip and garbage": with_length(ZIPPED + b"evil", b"Content-Encoding: gzip"),
    "large head": b"HTTP/1.1 200 OK\r\n" + b"x-many: 1234567890\r\n" * 400 + b"Content-Length: 0\r\n\r\n",
    "large header": with_length(b"", b"x-large: " + b"y" * 20_000),
    "endless interim": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 500,
    "endless trailers": chunked(b"abc", end=b"0\r\n" + b"x-late: 1\r\n" * 2000),
    "large body": with_length(b"x" * (CAPS.body + 1)),
    "large chunks": chunked(*[b"x" * 1000] * 66),
    "bomb": with_length(gzip.compress(b"\0" * (10 << 20)), b"Content-Encoding: gzip"),
    "bomb of nothing": with_length(gzip.compress(b"") * 4000, b"Content-Encoding: gzip"),
}

CUT_SHORT = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nshort",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "head": b"HTTP/1.1 200 OK\r\nContent-Length: 4",
    "interim only": b"HTTP/1.1 100 Continue\r\n\r\n",
}


class Outcome:
    """What a client would have seen: compared as a whole."""

    def __init__(self, data: bytes, cuts: list[int], *, method: str = "POST") -> None:
        self.reader = ResponseReader(CAPS)
        self.reader.begin(method)
        self.body = b""
        self.error: TransportError | None = None
        edges = [0, *sorted(set(cuts)), len(data)]
        try:
            for start, stop in pairwise(edges):
                if start < stop:
                    self.reader.feed(data[start:stop])
                    self.body += self.reader.take()
            self.reader.eof()
        except TransportError as error:
            self.error = error

    @property
    def seen(self):
        reader = self.reader
        if self.error is not None:
            return type(self.error), self.error.phase, self.error.sent, self.error.billed
        return reader.status, decode_headers(reader.raw), self.body, reader.done


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_reply_is_read(name):
    data, status, body = WHOLE[name]
    outcome = Outcome(data, [])
    assert outcome.error is None
    assert (outcome.reader.status, outcome.body, outcome.reader.done) == (status, body, True)


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_careful_client_must_refuse_is_a_protocol_error(name):
    outcome = Outcome(REFUSED[name], [])
    assert isinstance(outcome.error, ProtocolError)
    assert (outcome.error.phase, outcome.error.sent, outcome.error.billed) == ("read", "yes", "maybe")


@pytest.mark.parametrize("name", CUT_SHORT)
def test_a_reply_cut_short_is_an_error_and_never_a_short_answer(name):
    outcome = Outcome(CUT_SHORT[name], [])
    assert isinstance(outcome.error, APIConnectionError)
    assert (outcome.error.phase, outcome.error.sent) == ("read", "yes")


def test_a_connection_closed_before_any_byte_says_that_it_may_have_been_sent():
    assert Outcome(b"", []).seen == (APIConnectionError, "first_byte", "maybe", "maybe")


ALL = {**{f"whole: {name}": case[0] for name, case in WHOLE.items()}, **REFUSED, **CUT_SHORT}
# What is refused for its size is refused at a different byte under different cuts, but refused all the same.


@pytest.mark.parametrize("name", ALL)
def test_one_byte_at_a_time_gives_the_same_result(name):
    data = ALL[name]
    step = 1 if len(data) < 5000 else 97
    assert Outcome(data, list(range(1, len(data), step))).seen == Outcome(data, []).seen


@given(st.sampled_from(sorted(ALL)), st.lists(st.floats(0, 1), max_size=8))
def test_any_cut_gives_the_same_result(name, places):
    data = ALL[name]
    cuts = [int(place * len(data)) for place in places]
    assert Outcome(data, cuts).seen == Outcome(data, []).seen


header_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
header_name = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True).filter(
    lambda name: (
        name not in {"content-length", "transfer-encoding", "content-encoding", "connection", "upgrade", "trailer"}
    )
)


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    headers=st.lists(st.tuples(header_name, header_text), max_size=8),
    pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    shape=st.tuples(st.sampled_from(["length", "chunked", "end"]), st.booleans()),
    data=st.data(),
)
def test_what_a_server_says_comes_back_however_it_is_framed_packed_and_cut(status, headers, pieces, shape, data):
    framing, packed = shape
    body = b"".join(pieces)
    lines = [f"{name}: {value}".encode() for name, value in headers]
    if packed:
        pieces = [gzip.compress(piece) for piece in pieces]
        lines.append(b"content-encoding: gzip")
    if framing == "length":
        lines.append(b"content-length: %d" % sum(map(len, pieces)))
    if framing == "chunked":
        lines.append(b"transfer-encoding: chunked")
        pieces = [*map(chunk, pieces), b"0\r\n\r\n"]
    message = b"\r\n".join([b"HTTP/1.1 %d Reason" % status, *lines, b"", b""]) + b"".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(message)), max_size=8))
    outcome = Outcome(message, cuts)
    assert outcome.error is None
    assert (outcome.reader.status, outcome.body) == (status, body)
    assert decode_headers(outcome.reader.raw)[: len(headers)] == tuple(headers)


def mutate(data: bytes, rng: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place, kind = rng.randrange(len(broken)), rng.random()
        if kind < 0.5:
            broken[place] = rng.choice(b"\r\n:;0123456789abcdef\0 \xff")
        elif kind < 0.75:
            del broken[place : place + rng.randint(1, 5)]
        else:
            broken[place:place] = rng.choice(
                [b"\r\n", b"0\r\n\r\n", b"content-length: 9\r\n", b"f" * 16, b"transfer-encoding: chunked\r\n"]
            )
        if not broken:
            broken = bytearray(b"x")
    return bytes(broken)


def soak(runs: int, seed: int) -> None:
    rng = random.Random(seed)
    cases = [data for data in ALL.values() if len(data) < 3000]
    for _ in range(runs):
        data = mutate(rng.choice(cases), rng)
        cuts = [rng.randrange(len(data)) for _ in range(rng.randint(1, 6))]
        assert Outcome(data, cuts).seen == Outcome(data, []).seen, (data, cuts)


def test_broken_replies_end_in_a_transport_error_or_a_reply_whatever_the_cuts():
    soak(1_500, seed=7)


@pytest.mark.slow
def test_broken_replies_end_the_same_in_a_hundred_thousand_runs():
    soak(100_000, seed=20261123)


# One connection, many replies.


def test_replies_follow_one_another_on_one_connection():
    reader = ResponseReader(CAPS)
    for name in ("length", "chunked", "gzip", "no content", "interim", "trailers", "length"):
        data, status, body = WHOLE[name]
        reader.begin("POST")
        reader.feed(data)
        assert (reader.status, reader.take(), reader.done, reader.reusable) == (status, body, True, True)


@pytest.mark.parametrize("name", ["until the end", "HTTP/1.0"])
def test_a_connection_that_the_peer_closes_is_not_used_again(name):
    outcome = Outcome(WHOLE[name][0], [])
    assert outcome.reader.done
    assert not outcome.reader.reusable


@pytest.mark.parametrize("extra", [b"x", b"GARBAGE\r\n\r\n", with_length(b"evil")])
@pytest.mark.parametrize("separately", [True, False])
def test_bytes_after_a_reply_leave_it_whole_and_the_connection_unusable(extra, separately):
    reader = ResponseReader(CAPS)
    for data in [with_length(b"ok"), extra] if separately else [with_length(b"ok") + extra]:
        reader.feed(data)
    assert (reader.take(), reader.done, reader.reusable) == (b"ok", True, False)


@pytest.mark.parametrize("method", ["HEAD", "CONNECT"])
def test_replies_without_a_body_by_their_method_end_with_the_head(method):
    reader = ResponseReader(CAPS)
    reader.begin(method)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert (reader.done, reader.take(), reader.reusable) == (True, b"", False)


def test_a_body_comes_in_pieces_as_it_arrives():
    reader = ResponseReader(CAPS)
    reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab")
    assert (reader.head, reader.buffered, reader.take(), reader.buffered) == (True, 2, b"ab", 0)
    reader.feed(b"c\r\n0\r\n\r\n")
    assert (reader.done, reader.take()) == (True, b"c")


def test_a_flushed_gzip_stream_gives_each_piece_at_once():
    packer = zlib.compressobj(wbits=31)
    reader = ResponseReader(CAPS)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b"data: 1\n\n", b"data: 2\n\n"):
        reader.feed(chunk(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)))
        assert reader.take() == piece


def test_a_bomb_is_stopped_near_the_cap():
    reader = ResponseReader(Caps(body=1 << 20))
    with pytest.raises(ProtocolError, match="cap of 1,048,576 bytes"):
        reader.feed(with_length(gzip.compress(b"\0" * (200 << 20), 9), b"Content-Encoding: gzip"))
    assert reader.buffered <= 1 << 20


def test_what_interrupts_a_callback_comes_through():
    class Interrupted(ResponseReader):
        def on_header(self, name, value):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Interrupted(CAPS).feed(with_length(b"ok"))


# What goes out.

PREFIX = "/v1/chat?x=1 HTTP/1.1\r\nhost: api.test\r\n"


def test_a_request_is_spelled_out():
    request = HTTPRequest(url="http://api.test/", headers=(("authorization", "Bearer k"), ("x-b", "é")), body=b"{}")
    assert build_request(request, PREFIX) == (
        b"POST /v1/chat?x=1 HTTP/1.1\r\nhost: api.test\r\nauthorization: Bearer k\r\nx-b: \xe9\r\n"
        b"accept-encoding: gzip, deflate\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_a_get_states_no_length_and_an_empty_post_does():
    assert b"content-length" not in build_request(HTTPRequest(url="", method="GET"), PREFIX)
    assert b"content-length: 0\r\n" in build_request(HTTPRequest(url=""), PREFIX)


def test_the_callers_word_on_encodings_wins():
    built = build_request(HTTPRequest(url="", headers=(("accept-encoding", "identity"),)), PREFIX)
    assert built.count(b"accept-encoding") == 1
    assert b"accept-encoding: identity\r\n" in built


@given(
    st.text(max_size=20),
    st.sampled_from(["\r", "\n", "\0", "\x7f", "\x1b", "\r\nx-evil: 1", "\u2028", "\u0416"]),
    st.text(max_size=20),
)
def test_a_value_that_could_start_another_header_is_refused_without_being_shown(before, bad, after):
    secret = f"sk-secret-{before}{bad}{after}"
    with pytest.raises(ConfigurationError, match="authorization") as caught:
        build_request(HTTPRequest(url="", headers=(("authorization", secret),)), PREFIX)
    assert "sk-secret" not in f"{caught.value!r} {caught.value.__dict__} {caught.value.__context__!r}"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "x\0", "Host", "content-length", "Connection"])
def test_a_name_that_is_none_or_belongs_to_the_transport_is_refused(name):
    with pytest.raises(ConfigurationError):
        build_request(HTTPRequest(url="", headers=((name, "v"),)), PREFIX)


@pytest.mark.parametrize("method", ["", "GET x", "GET\r\n", "CONNECT"])
def test_a_method_that_is_none_is_refused(method):
    with pytest.raises(ConfigurationError):
        build_request(HTTPRequest(url="", method=method), PREFIX)


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=4), st.binary(max_size=50))
def test_whatever_the_headers_one_request_goes_out_or_none(headers, body):
    try:
        built = build_request(HTTPRequest(url="", headers=tuple(headers), body=body), PREFIX)
    except ConfigurationError:
        return
    head, _, rest = built.partition(b"\r\n\r\n")
    assert rest == body
    lines = head.split(b"\r\n")
    assert len(lines) == 2 + len(headers) + 1 + ("accept-encoding" not in dict(headers))
    assert not any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines)
