"""Reading streams in tests: what a parser gives of a body, the same however that is cut."""

from quoth.wire import Quirks


def events_of(client, body, quirks=None):
    """The events of a stream, whole and one byte at a time, and whether it was whole."""
    found = []
    for size in (len(body), 1):
        parser = client.stream_parser(quirks or Quirks())
        events = [event for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
        found.append((events + parser.end(), parser.ended))
    assert found[0] == found[1]
    return found[0]
