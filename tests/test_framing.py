"""Framing: cuts do not matter, the standard is obeyed, and nothing grows above its limit.

The reference readers below are written line by line from the WHATWG HTML standard (section 9.2) and from the
NDJSON specification. They are slow and take whole bodies only; the framers must agree with them at every cut.
"""

import json
import os
import re
import tracemalloc
from collections.abc import Iterator
from itertools import chain, combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quoth._framing import DEFAULT_LIMIT, NDJSONFramer, SSEEvent, SSEFramer
from quoth.errors import ProtocolError

FRAMERS = [SSEFramer, NDJSONFramer]
LINE_ENDS = [b"\n", b"\r", b"\r\n"]
BOM = b"\xef\xbb\xbf"
UNLIMITED = 1 << 40


# Driving a framer, and the references.


def read(framer, chunks):
    """All frames of the chunks, and whether the framer refused to go on."""
    frames = []
    try:
        for chunk in chunks:
            frames += framer.feed(chunk)
        frames += framer.end()
    except ProtocolError:
        return frames, True
    return frames, False


def sse(*chunks):
    frames, refused = read(SSEFramer(), chunks)
    assert not refused
    return frames


def ndjson(*chunks):
    frames, refused = read(NDJSONFramer(), chunks)
    assert not refused
    return frames


def each_byte(body):
    return [body[at : at + 1] for at in range(len(body))]


def cut(body, places):
    return [body[start:stop] for start, stop in pairwise([0, *sorted(places), len(body)])]


def every_cut_in_three(body):
    """The body in up to three pieces, cut in every way; some pieces are empty."""
    places = range(len(body) + 1)
    return [cut(body, pair) for pair in chain(combinations(places, 2), zip(places, places, strict=True))]


def reference_sse(body, limit=UNLIMITED):
    """Section 9.2 of the standard, then the pending event, if it has data, as if a blank line had come."""
    name, data, events = b"", b"", []
    for number, whole_line in enumerate([*re.split(rb"\r\n|\n|\r", body), b""]):
        if len(name) + len(data[:-1]) + len(whole_line) > limit:
            return events, True
        line = whole_line.removeprefix(BOM) if number == 0 else whole_line
        if line == b"":
            if data:
                events.append(SSEEvent(data=data[:-1], event=name.decode("utf-8", "replace")))
            name, data = b"", b""
        elif line.startswith(b":"):
            continue
        else:
            field, value = line.split(b":", 1) if b":" in line else (line, b"")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data += value + b"\n"
            elif field == b"event":
                name = value
    return events, False


def reference_ndjson(body, limit=UNLIMITED):
    frames = []
    for line in body.split(b"\n"):
        if len(line) > limit:
            return frames, True
        if set(line) - set(b" \t\r"):
            frames.append(line[:-1] if line.endswith(b"\r") else line)
    return frames, False


REFERENCES = {SSEFramer: reference_sse, NDJSONFramer: reference_ndjson}


# Streams: arbitrary bytes, a soup of the grammar's pieces, and well-formed streams with all their variations.

TOKENS = [
    *(b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"data: ", b"event: ", b"\n", b"\r", b"\r\n", b"\n\n"),
    *(
        b"\r\r",
        b"\r\n\r\n",
        BOM,
        BOM[:2],
        b"x",
        b"{}",
        b"[DONE]",
        b"\x00",
        b"\xff",
        b"\t",
        b"\x0b\x0c\x1c",
        b"\xc2\x85",
    ),
]
line_ends = st.sampled_from(LINE_ENDS)
words = st.binary(max_size=12).map(lambda text: text.translate(None, b"\r\n"))
odd_lines = st.one_of(
    words.map(lambda word: b":" + word),
    words.map(lambda word: b"id: " + word),
    words.map(lambda word: b"unknown:" + word),
    st.sampled_from(
        [b"retry: 10", b"data", b"event", b"id", b"Data: x", b" data: x", b"datum: x", b"event:", b"data:"]
    ),
    words,
)
data_lines = st.tuples(st.sampled_from([b"data:", b"data: "]), words).map(b"".join)
name_lines = st.tuples(st.sampled_from([b"event:", b"event: "]), words).map(b"".join)


@st.composite
def blocks(draw):
    lines = draw(st.lists(st.one_of(data_lines, data_lines, name_lines, odd_lines), max_size=5))
    return b"".join([line + draw(line_ends) for line in [*lines, b""]])


@st.composite
def structured_streams(draw):
    start = draw(st.sampled_from([b"", b"", BOM]))
    tail = draw(st.one_of(st.just(b""), data_lines, name_lines, odd_lines))
    return start + b"".join(draw(st.lists(blocks(), max_size=5))) + tail


streams = st.one_of(
    structured_streams(),
    st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join),
    st.binary(max_size=60),
)
cut_streams = streams.flatmap(
    lambda body: st.tuples(st.just(body), st.lists(st.integers(0, len(body)), max_size=8)),
)


# Laws of both framers.


@pytest.mark.parametrize("framer", FRAMERS)
@given(streams)
def test_a_whole_body_reads_as_the_reference_reads_it(framer, body):
    assert read(framer(), [body]) == REFERENCES[framer](body)


@pytest.mark.parametrize("framer", FRAMERS)
@given(cut_streams)
def test_cuts_do_not_change_the_frames(framer, case):
    body, places = case
    whole = read(framer(), [body])
    assert read(framer(), cut(body, places)) == whole
    assert read(framer(), each_byte(body)) == whole


@pytest.mark.parametrize("framer", FRAMERS)
@given(cut_streams, st.integers(0, 24))
def test_the_limit_stops_the_same_stream_at_the_same_frame_at_every_cut(framer, case, limit):
    body, places = case
    expected = REFERENCES[framer](body, limit)
    assert read(framer(limit), [body]) == expected
    assert read(framer(limit), cut(body, places)) == expected
    assert read(framer(limit), each_byte(body)) == expected


@pytest.mark.parametrize(
    ("framer", "body"),
    [
        (SSEFramer, BOM + b"data: a\r\n\r\nevent: n\rdata: b\r\r"),
        (SSEFramer, b"data: a\r\ndata\r\n\r\n: c\ndata: b\n\n\r\n\ndata:c"),
        (NDJSONFramer, b'\r\n{"a":\r1}\r\n\n \r\n{}\r'),
    ],
)
def test_every_cut_in_three_gives_the_same_frames(framer, body):
    expected = REFERENCES[framer](body)
    assert expected[0]
    for chunks in every_cut_in_three(body):
        assert read(framer(), chunks) == expected


@pytest.mark.parametrize("framer", FRAMERS)
@given(streams)
def test_frames_are_given_as_soon_as_their_line_end_is_there(framer, body):
    early, late = framer(), framer()
    given_by_byte = list(chain.from_iterable(early.feed(byte) for byte in each_byte(body)))
    assert given_by_byte == late.feed(body)


@given(streams)
def test_an_event_holds_exact_bytes(body):
    events, _ = read(SSEFramer(), each_byte(body))
    assert all(type(event.data) is bytes and type(event.event) is str for event in events)
    assert all(type(line) is bytes for line in read(NDJSONFramer(), each_byte(body))[0])


# Round trips.

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8)
payloads = st.lists(words, min_size=1, max_size=4).map(b"\n".join)
events_to_send = st.lists(st.builds(lambda name, data: SSEEvent(event=name, data=data), names, payloads), max_size=6)


def encode_sse(event, end):
    lines = [b"event: " + event.event.encode()] if event.event else []
    return end.join([*lines, *(b"data: " + line for line in event.data.split(b"\n")), b"", b""])


@given(events_to_send, line_ends, st.booleans())
def test_encoded_events_come_back(events, end, with_bom):
    body = b"".join([encode_sse(event, end) for event in events])
    assert sse(BOM * with_bom + body) == events
    assert sse(*each_byte(body)) == events


@given(events_to_send.filter(bool), line_ends)
def test_events_that_are_sent_with_their_blank_line_do_not_wait_for_the_end(events, end):
    framer = SSEFramer()
    assert [framer.feed(encode_sse(event, end)) for event in events] == [[event] for event in events]
    assert framer.end() == []


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=4,
)


@given(st.lists(json_values, max_size=6), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.booleans())
def test_json_lines_come_back(values, end, ended):
    body = end.join([json.dumps(value).encode() for value in values]) + end * ended
    assert [json.loads(line) for line in ndjson(*each_byte(body))] == values


# The rules of the standard, each by its name.


def data_of(*chunks):
    return [event.data for event in sse(*chunks)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="a blank line ends an event"),
        pytest.param(b"data: a\r\rdata: b\r\r", [b"a", b"b"], id="lines end with CR"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="lines end with CRLF"),
        pytest.param(b"data: a\n\r\ndata: b\r\n\r", [b"a", b"b"], id="line ends may be mixed"),
        pytest.param(b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"], id="CRLF is one line end, not a blank line"),
        pytest.param(b"data: a\n\rdata: b\n\r", [b"a", b"b"], id="LF CR is two line ends"),
        pytest.param(
            b"data: a\x0bb\x0cc\x1cd\xc2\x85e\n\n", [b"a\x0bb\x0cc\x1cd\xc2\x85e"], id="nothing else ends a line"
        ),
        pytest.param(b"data: a\ndata: b\ndata: c\n\n", [b"a\nb\nc"], id="data lines are joined by LF"),
        pytest.param(b"data\ndata\n\n", [b"\n"], id="two empty data lines are one LF"),
        pytest.param(b"data: a\ndata:\n\n", [b"a\n"], id="an empty last data line counts"),
        pytest.param(b"data:\n\n", [b""], id="empty data is an event"),
        pytest.param(b"data\n\n", [b""], id="a field without colon has an empty value"),
        pytest.param(b"data:a\n\n", [b"a"], id="the space after the colon is optional"),
        pytest.param(b"data:  a \n\n", [b" a "], id="only one space is removed"),
        pytest.param(b"data:\ta\n\n", [b"\ta"], id="a tab is no space"),
        pytest.param(b"data: a: b\n\n", [b"a: b"], id="the first colon ends the name"),
        pytest.param(b": hello\n:\n:data: x\ndata: a\n: x\n\n", [b"a"], id="comments are skipped"),
        pytest.param(b"data: a\n:\ndata: b\n\n", [b"a\nb"], id="a comment does not end an event"),
        pytest.param(b"foo: x\ndata: a\nbar\n\n", [b"a"], id="unknown fields are skipped"),
        pytest.param(b"id: 1\nretry: 5\ndata: a\n\n", [b"a"], id="id and retry are read over"),
        pytest.param(b"DATA: x\n data: y\ndata : z\n\n", [], id="field names are exact"),
        pytest.param(b"\n\n\n\ndata: a\n\n\n\n", [b"a"], id="blank lines alone give nothing"),
        pytest.param(b"event: x\nid: 1\n\n", [], id="without data there is no event"),
        pytest.param(BOM + b"data: a\n\n", [b"a"], id="a byte order mark at the start is removed"),
        pytest.param(BOM + BOM + b"data: a\n\n", [], id="only one byte order mark is removed"),
        pytest.param(BOM + b"\n\ndata: a\n\n", [b"a"], id="a byte order mark may stand alone"),
        pytest.param(b"\n" + BOM + b"data: a\n\n", [], id="a byte order mark later is part of the field's name"),
        pytest.param(b"data: " + BOM + b"a\n\n", [BOM + b"a"], id="a byte order mark inside data stays"),
        pytest.param(b"data: \xff\xfe\xc3\n\n", [b"\xff\xfe\xc3"], id="data need not be UTF-8"),
        pytest.param(b"data: a\x00b\n\n", [b"a\x00b"], id="NUL is a byte like others"),
        pytest.param(b"", [], id="an empty body has no events"),
    ],
)
def test_rule_of_the_standard(body, expected):
    assert data_of(body) == expected
    assert data_of(*each_byte(body)) == expected


def test_the_event_name_is_the_last_one_before_the_blank_line():
    body = b"event: first\nevent:second\ndata: a\n\n"
    assert sse(body) == [SSEEvent(event="second", data=b"a")]


def test_a_blank_line_resets_the_event_name():
    assert sse(b"event: x\n\ndata: a\n\n") == [SSEEvent(data=b"a")]
    assert sse(b"event: x\ndata: a\n\ndata: b\n\n") == [SSEEvent(event="x", data=b"a"), SSEEvent(data=b"b")]


def test_an_event_name_that_is_not_utf8_does_not_raise():
    assert sse(b"event: \xc3\xa9\xff\ndata: a\n\n") == [SSEEvent(event="\u00e9\ufffd", data=b"a")]


def test_a_crlf_cut_in_two_is_one_line_end():
    assert sse(b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n") == [SSEEvent(data=b"a\nb")]


def test_an_event_is_given_at_its_cr_and_the_lf_that_follows_gives_nothing():
    framer = SSEFramer()
    assert framer.feed(b"data: a\r\n\r") == [SSEEvent(data=b"a")]
    assert framer.feed(b"\ndata: b\n") == []
    assert framer.feed(b"\n") == [SSEEvent(data=b"b")]


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r", b"data: [DONE]\r\n"])
def test_the_end_gives_an_event_whose_blank_line_is_missing(tail):
    framer = SSEFramer()
    assert framer.feed(b"data: a\n\n" + tail) == [SSEEvent(data=b"a")]
    assert framer.end() == [SSEEvent(data=b"[DONE]")]


@pytest.mark.parametrize("tail", [b"", b"event: x", b"event: x\n", b": comment", b"dat", BOM[:2]])
def test_the_end_gives_nothing_where_no_data_is_pending(tail):
    framer = SSEFramer()
    framer.feed(tail)
    assert framer.end() == []


# The rules of NDJSON.


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"{}\n[]\n", [b"{}", b"[]"], id="lines end with LF"),
        pytest.param(b"{}\r\n[]\r\n", [b"{}", b"[]"], id="lines end with CRLF"),
        pytest.param(b'{"a":\r1}\n', [b'{"a":\r1}'], id="a lone CR is no line end"),
        pytest.param(b"{}\n\n\r\n \t\n[]\n", [b"{}", b"[]"], id="blank lines are skipped"),
        pytest.param(b" {} \n", [b" {} "], id="a line is left as it is"),
        pytest.param(b"\x0b\n\x0c\n", [b"\x0b", b"\x0c"], id="only the whitespace of JSON is blank"),
        pytest.param(b"{}\r\r\n", [b"{}\r"], id="one CR belongs to the line end"),
        pytest.param(b'"\xff"\n', [b'"\xff"'], id="a line need not be UTF-8"),
        pytest.param(b'"\x0b\x0c\x85"\n', [b'"\x0b\x0c\x85"'], id="nothing else ends a line"),
        pytest.param(b"{}\n[]", [b"{}", b"[]"], id="the last line needs no end"),
        pytest.param(b"{}\r", [b"{}"], id="a CRLF may be cut by the end"),
        pytest.param(b"", [], id="an empty body has no lines"),
    ],
)
def test_rule_of_ndjson(body, expected):
    assert ndjson(body) == expected
    assert ndjson(*each_byte(body)) == expected


def test_the_last_line_without_an_end_waits_for_the_end():
    framer = NDJSONFramer()
    assert framer.feed(b"{}\n[") == [b"{}"]
    assert framer.feed(b"]") == []
    assert framer.end() == [b"[]"]


# After the end.


@pytest.mark.parametrize("framer", FRAMERS)
def test_feeding_after_the_end_is_a_mistake_and_ending_twice_is_none(framer):
    ended = framer()
    ended.feed(b"data: a")
    assert len(ended.end()) == 1
    assert ended.end() == []
    with pytest.raises(ValueError, match="make a new one"):
        ended.feed(b"x")


# Bounds.

LARGE = {SSEFramer: b"data: %s\n\n", NDJSONFramer: b"%s\n"}
FRAME = {SSEFramer: "event", NDJSONFramer: "line"}


@pytest.mark.parametrize("framer", FRAMERS)
@pytest.mark.parametrize("step", [1, 7, 64, 10_000])
def test_a_frame_above_the_limit_raises_at_every_cut_and_one_at_the_limit_does_not(framer, step):
    line = LARGE[framer] % (b"x" * 994)
    limit = len(line.rstrip(b"\n"))
    for allowed, refused in [(limit, False), (limit - 1, True)]:
        chunks = [line[at : at + step] for at in range(0, len(line), step)]
        frames, raised = read(framer(allowed), chunks)
        assert (len(frames), raised) == (0 if refused else 1, refused)


@pytest.mark.parametrize("framer", FRAMERS)
def test_the_error_says_what_is_too_large_how_large_and_what_to_do(framer):
    with pytest.raises(ProtocolError, match=rf"one {FRAME[framer]} of more than 1,000 bytes.*base URL") as caught:
        framer(1_000).feed(b"x" * 1_001)
    assert (caught.value.phase, caught.value.sent, caught.value.billed) == ("read", "yes", "maybe")


@pytest.mark.parametrize("framer", FRAMERS)
@pytest.mark.parametrize("ending", [b"\n\n", b""], ids=["ended", "unfinished"])
def test_frames_before_one_that_is_too_large_are_given_and_the_next_call_raises(framer, ending):
    small = LARGE[framer] % b"a"
    for last in ("feed", "end"):
        reader = framer(100)
        assert len(reader.feed(small * 3 + b"data: " + b"x" * 101 + ending + small)) == 3
        for _ in range(2):
            with pytest.raises(ProtocolError):
                reader.feed(small) if last == "feed" else reader.end()


@pytest.mark.parametrize("framer", FRAMERS)
def test_small_frames_are_read_in_chunks_larger_than_the_limit(framer):
    frames, refused = read(framer(100), [(LARGE[framer] % b"a") * 1_000])
    assert (len(frames), refused) == (1_000, False)


def test_name_data_and_line_count_together():
    stream = [b"event: %s\n" % (b"n" * 40), b"data: %s\n" % (b"d" * 40), b": %s\n" % (b"c" * 40)]
    assert read(SSEFramer(100), stream[:2]) == ([SSEEvent(event="n" * 40, data=b"d" * 40)], False)
    assert read(SSEFramer(100), stream) == ([], True)
    assert read(SSEFramer(122), stream)[1] is False
    assert read(SSEFramer(100), [stream[0], b"\n", *stream[1:]])[1] is False


def test_many_short_data_lines_are_bounded_by_what_they_join_to():
    lines = [b"data\n"] * 998  # they join to 997 line ends; the limit leaves no room for one more name of a field
    assert read(SSEFramer(1_001), lines) == ([SSEEvent(data=b"\n" * 997)], False)
    assert read(SSEFramer(1_001), [*lines, b"data: "]) == ([], True)


@pytest.mark.parametrize("framer", FRAMERS)
def test_the_limit_is_16_mebibytes_unless_another_is_given(framer):
    chunk = b"x" * (1 << 20)
    reader = framer()
    for _ in range(DEFAULT_LIMIT // len(chunk)):
        reader.feed(chunk)
    assert DEFAULT_LIMIT == 16 * 1024 * 1024
    with pytest.raises(ProtocolError):
        reader.feed(b"x")


def peak_memory(run):
    """The most bytes that Python allocated during the call, above what there was."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("framer", "line"),
    [
        (SSEFramer, b": keep-alive\n\n"),
        (SSEFramer, b": keep-alive\n"),
        (SSEFramer, b": " + b"c" * 900 + b"\n"),
        (SSEFramer, b"id: 12345\n"),
        (SSEFramer, b"unknown: x\n"),
        (SSEFramer, b"event: name\n"),
        (SSEFramer, b"event: name\r\n\r\n"),
        (NDJSONFramer, b"\n"),
        (NDJSONFramer, b"  \r\n"),
    ],
)
def test_endless_lines_that_carry_nothing_keep_nothing(framer, line):
    reader = framer(20_000)
    reader.feed(b"data: started\n" if framer is SSEFramer else b"")
    block = line * max(1, 1_000 // len(line))

    def endless():
        for _ in range(1_000):
            assert len(reader.feed(block)) <= 1

    assert peak_memory(endless) < 60_000


@pytest.mark.parametrize("framer", FRAMERS)
@pytest.mark.parametrize("piece", [b"x", b":", b"\r:", b"data\n", b"data:a\n", b"data: ab\n", b"event: x\ndata:\n"])
def test_memory_stays_near_the_limit_until_the_frame_is_refused(framer, piece):
    limit = 100_000
    block = piece * (1_000 // len(piece))

    def fill():
        reader = framer(limit)
        try:
            for _ in range(400):
                reader.feed(block)
        except ProtocolError:
            return

    assert peak_memory(fill) < 3 * limit


@pytest.mark.parametrize(
    ("framer", "body", "step", "frame"),
    [
        pytest.param(SSEFramer, b"data:%s\n\n", 16, b"x" * 15_000_000, id="one large event"),
        pytest.param(SSEFramer, b"data:%s\r\r", 1, b"x" * 300_000, id="an event byte by byte"),
        pytest.param(SSEFramer, b"data%s\n\n", 64, b"\n" * 500_000, id="one event of many lines"),
        pytest.param(NDJSONFramer, b"%s\n", 16, b"x" * 15_000_000, id="one large line"),
        pytest.param(NDJSONFramer, b"%s\r\n", 1, b"x" * 300_000, id="a line byte by byte"),
    ],
)
def test_large_frames_in_small_chunks_are_read(framer, body, step, frame):
    """No clock here: were all bytes scanned or copied again at each chunk, this would take minutes, not a second."""
    body %= frame.replace(b"\n", b"\ndata")
    frames, refused = read(framer(), (body[at : at + step] for at in range(0, len(body), step)))
    assert (len(frames), refused) == (1, False)
    assert (frames[0].data if framer is SSEFramer else frames[0]) == frame


# Recorded traffic.

SHARED = Path(os.environ.get("QUOTH_SHARED") or Path(__file__).resolve().parents[1].parent / "shared")
needs_recordings = pytest.mark.skipif(not (SHARED / "wire").is_dir(), reason="no recorded traffic beside the checkout")


def recorded_bodies() -> Iterator[tuple[str, str, bytes]]:
    """(id, content type, body) of every recorded reply with a text body."""
    for path in sorted((SHARED / "wire").glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                reply = record.get("response") or {}
                headers = {name.lower(): value for name, value in reply.get("headers") or []}
                if isinstance(body := reply.get("body"), str):
                    yield record["id"], headers.get("content-type", ""), body.encode()


@pytest.fixture(scope="module")
def recorded_sse():
    return [
        (name, body)
        for name, content_type, body in recorded_bodies()
        if content_type.startswith("text/event-stream") or body.startswith((b"data:", b"event:"))
    ]


@pytest.fixture(scope="module")
def recorded_ndjson():
    return [(name, body) for name, content_type, body in recorded_bodies() if "ndjson" in content_type]


@needs_recordings
def test_recorded_streams_read_as_the_reference_reads_them_with_every_line_end(recorded_sse):
    assert len(recorded_sse) > 600
    for name, body in recorded_sse:
        expected, _ = reference_sse(body)
        assert expected or body.startswith(b"{"), name  # some errors come as plain JSON, whatever their type says
        assert sse(body) == expected, name
        for end in LINE_ENDS:
            assert sse(re.sub(rb"\r\n|\n|\r", end, body)) == expected, (name, end)


@needs_recordings
def test_recorded_streams_read_the_same_one_byte_a_chunk(recorded_sse):
    for name, body in recorded_sse[::7]:
        for end in LINE_ENDS:
            variant = re.sub(rb"\r\n|\n|\r", end, body[:6_000])
            assert sse(*each_byte(variant)) == sse(variant), (name, end)


@needs_recordings
def test_recorded_streams_hold_json_or_a_closing_word(recorded_sse):
    """Frames that were cut or joined wrongly would not decode; a few recordings are broken on purpose."""
    broken = {name for name, body in recorded_sse if not all(is_json_or_word(event.data) for event in sse(body))}
    assert len(broken) < len(recorded_sse) // 100, broken


def is_json_or_word(data):
    try:
        json.loads(data)
    except ValueError:
        return data in (b"[DONE]", b"")
    return True


@needs_recordings
def test_recorded_json_lines_read_the_same_at_every_cut(recorded_ndjson):
    assert len(recorded_ndjson) > 5
    for name, body in recorded_ndjson:
        whole = ndjson(body)
        assert whole == reference_ndjson(body)[0], name
        assert ndjson(*each_byte(body)) == whole, name
        assert ndjson(body.replace(b"\n", b"\r\n")) == whole, name
        assert all(isinstance(json.loads(line), dict) for line in whole), name
