"""What the tests of every dialect share: driving its two halves by bytes, and strategies for JSON."""

import json

from hypothesis import strategies as st
from msgspec.structs import replace

from quoth.errors import QuothError
from quoth.events import ResponseEnd
from quoth.wire import Quirks, WireReply

PLAIN = Quirks()


def reply(body, status=200, headers=()):
    """A reply with this body: bytes as they are, anything else as JSON."""
    return WireReply(
        status=status, headers=headers, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def stripped(response):
    """A whole answer as its stream would give it."""
    return replace(response, body=None)


def exactly(value):
    """JSON text: tells 1 from true and 1.0, as ``==`` does not."""
    return json.dumps(value, sort_keys=True)


def outcome_of(client, body, sizes=(), quirks=PLAIN):
    """The events of a body cut into chunks of these sizes, again and again, and the error that came after them.

    Whole without sizes. A stream that ends says so once, and last.
    """
    parser = client.stream_parser(quirks)
    events, start, turn = [], 0, 0
    try:
        while start < len(body):
            size = sizes[turn % len(sizes)] if sizes else len(body)
            events += parser.feed(body[start : start + size])
            start, turn = start + size, turn + 1
        events += parser.end()
    except QuothError as error:
        return events, error
    ends = [event for event in events if isinstance(event, ResponseEnd)]
    assert parser.ended == (len(ends) == 1)
    assert not ends or events[-1] is ends[0]
    return events, None


def events_of(client, body, sizes=(), quirks=PLAIN):
    """All events of such a body; raise the error that came."""
    events, error = outcome_of(client, body, sizes, quirks)
    if error is not None:
        raise error
    return events


texts = st.text(max_size=12)
keys = texts.filter(lambda key: not key.startswith(":"))  # such keys are ours, and never sent
words = st.text(min_size=1, max_size=12)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
weighty = values.filter(lambda value: bool(value) or value == 0)  # what an answer keeps: not null, not empty
