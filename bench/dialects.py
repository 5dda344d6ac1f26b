"""What spelling and reading cost: every dialect beside ``json`` and ``msgspec.json`` on the same bytes.

::

    python bench/dialects.py [--rounds N] [--only DIALECT] [--json]

The payloads are invented here: a short chat, a conversation of 20 turns with a tool call in each, a stream of 1,000
pieces of text. They reach each wire through its own halves: the server's spells what the client's reads. What is
timed is CPU (user and system) of this process:

* build: a request as bytes; beside it, encoding the same body. The dialect makes that body first.
* parse: an answer's bytes to a Response; beside it, decoding the same bytes.
* stream: one event, fed alone as a network gives it, to our events, and all events in one chunk; beside it, decoding
  the JSON of the same events, which somebody else has framed.

The three take turns within a round; a ratio is the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import msgspec

from quoth._framing import AWSFramer, begins_aws_message
from quoth.dialects import CLIENTS, ClientDialect
from quoth.dialects.server import ServerDialect, load_server
from quoth.types import Message, ModelRequest, Reasoning, Response, Text, Tool, ToolCall, Usage
from quoth.wire import Quirks, WireReply

TURNS = 20
PIECES = 1_000
TARGET = 0.05
"""Seconds that one measurement takes, about."""

QUIRKS = Quirks()

# Payloads.

WEATHER = Tool(
    name="get_weather",
    description="The weather of a city on a day.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "day": {"type": "string", "enum": ["today", "tomorrow"]}},
        "required": ["city"],
    },
)
USAGE = Usage(input=1_200, cache_read=800, output=60, reasoning=20)


def short_request() -> ModelRequest:
    messages = (Message.system("Answer briefly."), Message.user("Which sea is the saltiest?"))
    return ModelRequest(model="model-1", messages=messages, max_tokens=200, temperature=0.0)


def conversation() -> ModelRequest:
    messages = [Message.system("You are a guide. Use the tools.")]
    for turn in range(TURNS):
        call = ToolCall(
            id=f"call_{turn:04}", name="get_weather", arguments=f'{{"city": "Town {turn}", "day": "today"}}'
        )
        messages += [
            Message.user(f"Question {turn}: is it worth a walk in Town {turn}, and what should one take along?"),
            Message.assistant(call),
            Message.tool(call, f'{{"sky": "clear", "degrees": {turn}, "wind": "from the north-west, moderate"}}'),
            Message.assistant(f"Yes: the sky over Town {turn} is clear. Take a coat for the wind from the north-west."),
        ]
    return ModelRequest(model="model-1", messages=tuple(messages), max_tokens=500, tools=(WEATHER,))


def answer(*parts: Text | Reasoning | ToolCall) -> Response:
    return Response(
        message=Message.assistant(*parts),
        finish_reason="tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop",
        model="model-1",
        id="answer-1",
        created=1_790_000_000,
        usage=USAGE,
    )


SHORT = answer(Text(text="The Dead Sea, strictly a lake; of the seas, the Red Sea."))
CALLING = answer(
    Reasoning(text="The user asks about three towns. I need the weather of each of them before I can say."),
    *[ToolCall(id=f"call_{at}", name="get_weather", arguments=f'{{"city": "Town {at}"}}') for at in range(3)],
)
LONG = answer(Text(text="".join([f"word{at:04}, " for at in range(PIECES)])))
PIECE = len(LONG.text) // PIECES


# Measuring.


class Case(NamedTuple):
    """Something that we do, and what ``json`` and msgspec do with the same bytes; all are ``per`` things at once."""

    dialect: str
    what: str
    size: int
    per: int
    ours: Callable[[], object]
    json: Callable[[], object]
    msgspec: Callable[[], object]


def cases_of(name: str) -> Iterator[Case]:
    client, server = CLIENTS[name](), load_server(name)
    for what, request in (("build, short chat", short_request()), (f"build, {TURNS} turns", conversation())):
        body = client.build_request(request, QUIRKS).body
        value = json.loads(body)
        yield Case(
            name, what, len(body), 1,
            partial(client.build_request, request, QUIRKS),
            partial(encode_plainly, value),
            partial(msgspec.json.encode, value),
        )  # fmt: skip
    for what, response in (("parse, short chat", SHORT), ("parse, 3 tool calls", CALLING)):
        reply = server.build_response(response)
        yield Case(
            name, what, len(reply.body), 1,
            partial(client.parse_response, WireReply(status=200, body=reply.body), QUIRKS),
            partial(json.loads, reply.body),
            partial(msgspec.json.decode, reply.body),
        )  # fmt: skip
    yield from stream_cases(name, client, server)


def encode_plainly(value: object) -> bytes:
    return json.dumps(value).encode()


def said_by(event: bytes) -> bytes:
    """What an event says: behind ``data:``, in a frame of AWS, or as a line."""
    if begins_aws_message(event):
        return b"".join([message.payload for message in AWSFramer().feed(event)])
    return event.rpartition(b"data: ")[2].strip()


def stream_cases(name: str, client: ClientDialect, server: ServerDialect) -> Iterator[Case]:
    events = list(server.build_events(LONG, piece=PIECE))
    size = sum(map(len, events)) // len(events)
    data = [said for event in events if (said := said_by(event)).startswith(b"{")]

    def read(chunks: list[bytes]) -> None:
        parser = client.stream_parser(QUIRKS)
        for chunk in chunks:
            parser.feed(chunk)
        parser.end()
        assert parser.ended

    def decode(decoder: Callable[[bytes], Any]) -> None:
        for each in data:
            decoder(each)

    for what, chunks in (("stream, an event", events), ("stream, in a burst", [b"".join(events)])):
        yield Case(
            name, what, size, len(events),
            partial(read, chunks), partial(decode, json.loads), partial(decode, msgspec.json.decode),
        )  # fmt: skip


def times_for(function: Callable[[], object]) -> int:
    """How often to call it, so that one measurement takes about ``TARGET`` seconds."""
    times, taken = 1, 0.0
    while taken < TARGET / 5:
        times *= 4
        taken = timed(function, times)
    return max(1, round(times * TARGET / taken))


def timed(function: Callable[[], object], times: int) -> float:
    began = process_time()
    for _ in range(times):
        function()
    return process_time() - began


class Figures(NamedTuple):
    """Medians: microseconds of each, and how many times theirs ours takes."""

    ours: float
    json: float
    msgspec: float
    over_json: float
    over_msgspec: float


def measured(case: Case, rounds: int) -> Figures:
    functions = (case.ours, case.json, case.msgspec)
    times = [times_for(function) for function in functions]
    taken: list[list[float]] = [[], [], []]
    for number in range(rounds):
        for at in ((number + step) % 3 for step in range(3)):
            taken[at].append(timed(functions[at], times[at]) / times[at] / case.per * 1e6)
    ours, plain, fast = taken
    return Figures(
        median(ours),
        median(plain),
        median(fast),
        median([mine / theirs for mine, theirs in zip(ours, plain, strict=True)]),
        median([mine / theirs for mine, theirs in zip(ours, fast, strict=True)]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=sorted(CLIENTS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = []
    if not options.json:
        print(f"Python {sys.version.split()[0]}, {options.rounds} rounds, CPU us each, medians")
        print(f"{'dialect':<20}{'':<22}{'bytes':>8}{'quoth':>9}{'json':>9}{'msgspec':>9}{'x json':>9}{'x msgspec':>11}")
    for name in [options.only] if options.only else sorted(CLIENTS):
        for case in cases_of(name):
            figures = measured(case, options.rounds)
            found.append({"dialect": name, "case": case.what, "bytes": case.size, **figures._asdict()})
            if not options.json:
                each = "".join([f"{value:>9.2f}" for value in figures[:4]])
                print(f"{name:<20}{case.what:<22}{case.size:>8,}{each}{figures.over_msgspec:>11.2f}", flush=True)
    if options.json:
        print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
