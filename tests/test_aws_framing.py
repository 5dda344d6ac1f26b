"""The event stream of AWS: cuts do not matter, what is broken is refused, and nothing before it is lost.

The writer below spells headers of every type from AWS's description of the format; the reference reader is the one of
the conformance tool, which shares no code with the framer.
"""

import struct
import tracemalloc
import uuid
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given, strategies as st

from quoth._framing import DEFAULT_LIMIT, AWSFramer, AWSMessage, begins_aws_message, build_aws_message
from quoth.errors import ProtocolError
from quoth.testing.wire.readers._frames import frames_of, is_framed

SPELLED = {
    True: lambda value: b"\x00" if value else b"\x01",
    2: lambda value: struct.pack(">b", value),
    3: lambda value: struct.pack(">h", value),
    4: lambda value: struct.pack(">i", value),
    5: lambda value: struct.pack(">q", value),
    6: lambda value: struct.pack(">H", len(value)) + value,
    7: lambda value: struct.pack(">H", len(value.encode())) + value.encode(),
    8: lambda value: struct.pack(">q", value),
    9: lambda value: value,
}


def header(name, kind, value):
    spelled = SPELLED[kind](value)
    return bytes([len(name.encode())]) + name.encode() + (spelled if kind is True else bytes([kind]) + spelled)


def message(headers=b"", payload=b"", *, length=None, size=None, prelude=None, checksum=None):
    """One message; what is given stands in place of what is right."""
    sizes = struct.pack(">II", 16 + len(headers) + len(payload) if length is None else length,
                        len(headers) if size is None else size)  # fmt: skip
    body = sizes + struct.pack(">I", crc32(sizes) if prelude is None else prelude) + headers + payload
    return body + struct.pack(">I", crc32(body) if checksum is None else checksum)


def read(chunks, limit=DEFAULT_LIMIT):
    """All messages of the chunks, and what the framer refused to go on for."""
    framer, messages = AWSFramer(limit), []
    try:
        for chunk in chunks:
            messages += framer.feed(chunk)
        messages += framer.end()
    except ProtocolError as error:
        return messages, error.message
    return messages, None


def each_byte(body):
    return [body[at : at + 1] for at in range(len(body))]


names = st.text(min_size=1, max_size=6)
words = st.text(max_size=9)
typed = st.one_of(
    st.tuples(st.just(True), st.booleans()),
    st.tuples(st.just(2), st.integers(-(2**7), 2**7 - 1)),
    st.tuples(st.just(3), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just(4), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(5), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(6), st.binary(max_size=9)),
    st.tuples(st.just(7), words),
    st.tuples(st.just(8), st.integers(0, 2**41)),
    st.tuples(st.just(9), st.uuids().map(lambda value: value.bytes)),
)
sent = st.lists(st.tuples(st.dictionaries(names, typed, max_size=4), st.binary(max_size=20)), max_size=4)


def spelled(headers, payload):
    return message(b"".join([header(name, *value) for name, value in headers.items()]), payload)


def meant(headers, payload):
    return AWSMessage(headers={name: value for name, (_, value) in headers.items()}, payload=payload)


@given(sent, st.data())
def test_messages_with_headers_of_every_type_come_back_however_they_are_cut(messages, data):
    body = b"".join([spelled(*each) for each in messages])
    expected = [meant(*each) for each in messages]
    assert read([body]) == (expected, None)
    assert read(each_byte(body)) == (expected, None)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=4))
    assert read([body[a:b] for a, b in pairwise([0, *sorted(places), len(body)])]) == (expected, None)


@given(st.lists(st.tuples(st.dictionaries(names, words, max_size=3), st.binary(max_size=20)), max_size=3))
def test_what_is_built_is_read_again_and_by_the_reference_too(messages):
    body = b"".join([build_aws_message(*each) for each in messages])
    assert read([body])[0] == [AWSMessage(headers=headers, payload=payload) for headers, payload in messages]
    assert [(each.headers, each.payload) for each in frames_of(body)] == messages


def test_every_cut_in_three_gives_the_same_messages():
    body = build_aws_message({":event-type": "a"}, b"{}") + build_aws_message({}, b"")
    expected = read([body])
    for one in range(len(body)):
        for two in range(one, len(body)):
            assert read([body[:one], body[one:two], body[two:]]) == expected


def test_a_message_is_given_with_its_last_byte_and_what_the_end_cuts_is_none():
    body = build_aws_message({":event-type": "a"}, b"{}")
    framer = AWSFramer()
    assert framer.feed(body[:-1]) == []
    assert framer.cut
    assert len(framer.feed(body[-1:] + body[:-1])) == 1
    assert framer.end() == []
    assert framer.cut
    with pytest.raises(ValueError, match="body ended"):
        framer.feed(b"")


GOOD = build_aws_message({":event-type": "a"}, b"payload")


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_a_byte_that_is_another_is_noticed_wherever_it_stands(at):
    """No message that was sent is lost by it, and none that was not sent comes out."""
    bad = GOOD[:at] + bytes([GOOD[at] ^ 0x40]) + GOOD[at + 1 :]
    for chunks in ([GOOD + bad + GOOD], each_byte(GOOD + bad + GOOD)):
        messages, why = read(chunks)
        assert messages == read([GOOD])[0]
        assert "checksum" in why


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (message(length=15), "of 15 bytes with headers of 0 cannot be"),
        (message(length=0), "of 0 bytes"),
        (message(b"\x01a\x00", size=4), "with headers of 4 cannot be"),
        (message(size=0xFFFFFFFF), "headers of 4294967295"),
        (message(length=200_000, size=150_000), "headers of 150000"),
        (message(prelude=1), "prelude does not hold"),
        (message(checksum=1), "checksum of a message"),
        (message(b"\x01a\x0a"), "of the type 10"),
        (message(b"\x01a"), "of the type -1"),
        (message(b"\x09a"), "of the type -1"),
        (message(b"\x01a\x07\x00\x05abc"), "longer than all of them"),
        (message(b"\x01a\x07\x00"), "longer than all of them"),
        (message(b"\x01a\x05\x00"), "longer than all of them"),
        (message(b"\x01a\x09abc"), "longer than all of them"),
        (b"data: {}\n\ndata: {}\n\n", "prelude does not hold"),
    ],
)
def test_what_cannot_be_a_message_is_refused_and_loses_nothing_before_it(bad, why):
    framer = AWSFramer()
    assert len(framer.feed(GOOD + bad)) == 1
    for again in (lambda: framer.feed(b""), framer.end, lambda: framer.feed(GOOD)):
        with pytest.raises(ProtocolError, match=why) as caught:
            again()
    assert (caught.value.phase, caught.value.sent) == ("read", "yes")
    with pytest.raises(ProtocolError, match=why):
        AWSFramer().feed(bad)


def test_a_message_above_the_limit_is_refused_by_its_first_bytes():
    body = build_aws_message({}, bytes(100))
    assert read([body], limit=len(body))[1] is None
    messages, why = read([GOOD, body[:12]], limit=len(body) - 1)
    assert len(messages) == 1
    assert "more than 115 bytes" in why


def test_memory_stays_near_the_limit_and_large_messages_in_small_chunks_are_read():
    body = build_aws_message({":event-type": "a"}, bytes(1 << 20))
    tracemalloc.start()
    messages, why = read([body[at : at + 512] for at in range(0, len(body), 512)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(messages), why) == (1, None)
    assert peak < 8 << 20


@given(st.binary(max_size=40), st.lists(st.integers(1, 9), max_size=4))
def test_any_bytes_are_read_or_refused_and_cuts_change_nothing(body, sizes):
    whole = read([body])
    chunks, at = [], 0
    for size in (*sizes, len(body)):
        chunks.append(body[at : at + size])
        at += size
    assert read(chunks) == whole


@pytest.mark.parametrize(
    ("begun", "told"),
    [
        (b"", None),
        (GOOD[:11], None),
        (GOOD[:12], True),
        (GOOD, True),
        (b'{"output": {}}', False),
        (b"data: {}...", None),
    ],
)
def test_the_first_bytes_say_whether_it_is_an_event_stream(begun, told):
    assert begins_aws_message(begun) is told
    assert is_framed(begun) is (told is True)


def test_a_header_that_is_no_word_is_none():
    (read_,) = read([message(header("a", 4, 7) + header("b", 9, uuid.UUID(int=1).bytes) + header("c", True, False))])[0]
    assert (read_.word("a"), read_.word("b"), read_.word("none")) == ("", "", "")
    assert read_.headers == {"a": 7, "b": bytes(15) + b"\x01", "c": False}
