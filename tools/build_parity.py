"""Write docs/parity.toml: what each provider was seen to do, from recorded traffic and from the wires themselves.

::

    python tools/build_parity.py RECORDINGS            # write
    python tools/build_parity.py RECORDINGS --check    # fail where the file is out of date

A cell says the strongest of these that is so of one of the provider's wires, and by which wire, where that is not the
one that is spoken unless a call says otherwise:

* ``recorded 12``: twelve exchanges with the provider's own host hold it, and quoth reads both sides of each as the
  conformance run demands.
* ``spoken``: the wire has it. The client half sends it through this row and the server half reads it, or the server
  half answers with it and the client half reads that. Whether the provider's models do it, nobody has shown.
* ``no``: the row or its wires refuse it, or have no word for it.
* ``?``: none of its wires is built, or nothing was tried.

No cell is written by hand. ``docs/providers.md`` shows them (``tools/build_docs.py``).
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))  # this checkout's tables, whatever is installed

from msgspec import Struct  # noqa: E402  # the path comes first
from msgspec.structs import replace  # noqa: E402

from quoth.dialects import CLIENTS  # noqa: E402
from quoth.dialects.embeddings import load_format  # noqa: E402
from quoth.dialects.embeddings.server import load_server_format  # noqa: E402
from quoth.dialects.server import load_server  # noqa: E402
from quoth.embeddings import EmbeddingRequest, EmbeddingResponse  # noqa: E402
from quoth.errors import UnsupportedContentError, UnsupportedParameterError  # noqa: E402
from quoth.providers import PROVIDERS, EmbeddingEndpoint, ProviderSpec  # noqa: E402
from quoth.providers._embedding import Embedder  # noqa: E402
from quoth.providers._local import refusal_of  # noqa: E402
from quoth.providers._provider import AnswerReader, Provider  # noqa: E402
from quoth.providers._spec import SHORT_NAMES  # noqa: E402
from quoth.providers._urls import is_own_host  # noqa: E402
from quoth.testing.wire._answers import expect, meet  # noqa: E402
from quoth.testing.wire._files import Exchange, read_file, recordings  # noqa: E402
from quoth.testing.wire._requests import check_request  # noqa: E402
from quoth.testing.wire._rows import provider_of  # noqa: E402
from quoth.testing.wire._scope import wire_of  # noqa: E402
from quoth.testing.wire._vectors import VectorWire, check_vectors, vector_halves  # noqa: E402
from quoth.testing.wire._wires import Wire  # noqa: E402
from quoth.types import (  # noqa: E402
    Audio,
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    Part,
    Reasoning,
    Response,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from quoth.wire import WireReply, WireRequest  # noqa: E402

__all__ = ["CAPABILITIES", "EMBEDDINGS", "FILE", "cells", "counted", "spelled", "spoken"]

FILE = ROOT / "docs" / "parity.toml"
SHORT = {dialect: short for short, dialect in SHORT_NAMES.items()}

Counts: TypeAlias = Mapping[str, Mapping[str, Counter[str]]]
"""By row and capability, how many exchanges there are on each wire."""
Spoken: TypeAlias = Mapping[str, Mapping[str, Mapping[str, bool]]]
"""By row and capability, whether each wire that is built has it."""


# What an exchange holds, in our own words: the same question to a recorded one and to one of our own.


class Held(Struct, frozen=True):
    """One exchange: what was asked, what came, and whether it came as a stream."""

    request: ModelRequest
    response: Response
    streamed: bool

    def asked(self) -> Iterator[Part]:
        """All parts of the question, also those of tools' results."""
        for message in self.request.messages:
            for part in message.parts:
                yield part
                if isinstance(part, ToolResult):
                    yield from part.parts


def _calls_tools(held: Held) -> bool:
    return bool(held.request.tools and held.response.tool_calls)


def _keeps_a_form(held: Held) -> bool:
    return held.request.output is not None and held.request.output.schema is not None


def _reads(kind: type[Part]) -> Callable[[Held], bool]:
    return lambda held: any(isinstance(part, kind) for part in held.asked())


def _reads_documents(held: Held) -> bool:
    """A Document is anything that travels as a file: pictures, sound and video as files are none."""
    files = [part for part in held.asked() if isinstance(part, Document)]
    return any(not (file.media_type or "").startswith(("audio/", "image/", "video/")) for file in files)


def _hears_or_speaks(held: Held) -> bool:
    usage = held.response.usage
    files = [part for part in held.asked() if isinstance(part, Document)]
    return (
        any(isinstance(part, Audio) for part in (*held.asked(), *held.response.parts))
        or any((file.media_type or "").startswith("audio/") for file in files)
        or bool(usage.input_audio or usage.output_audio)
    )


def _reasons(held: Held) -> bool:
    thoughts = any(isinstance(part, Reasoning) for part in held.response.parts)
    return thoughts or bool(held.response.usage.reasoning)


def _uses_a_cache(held: Held) -> bool:
    usage = held.response.usage
    return bool(usage.cache_read or usage.cache_read_audio or usage.cache_write_5m or usage.cache_write_1h)


CAPABILITIES: Mapping[str, Callable[[Held], bool]] = {
    "stream": lambda held: held.streamed,
    "tools": _calls_tools,
    "structured output": _keeps_a_form,
    "images": _reads(Image),
    "documents": _reads_documents,
    "audio": _hears_or_speaks,
    "reasoning": _reasons,
    "cache": _uses_a_cache,
}


# Recorded traffic.


def counted(folder: Path) -> Counts:
    """How many recorded exchanges of each row hold each capability, of those that are read without a difference."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for exchange, wire in _in_scope(folder):
        if isinstance(wire, VectorWire):
            row, held = _embedding_row(exchange, wire), [EMBEDDINGS] if _embedded(exchange, wire) else []
        else:
            row, held = _row(exchange), _capabilities(exchange, wire)
        for name in held:
            if row is not None:
                found.setdefault(row.name, {}).setdefault(name, Counter())[wire.name] += 1
    return found


def _row(exchange: Exchange) -> ProviderSpec | None:
    found = PROVIDERS.of_url(exchange.request.url if exchange.request else "")
    return None if found is None else found[0]


def _capabilities(exchange: Exchange, wire: Wire) -> list[str]:
    held = None if exchange.failed else _held(exchange, wire)
    return [] if held is None else [name for name, holds in CAPABILITIES.items() if holds(held)]


def _in_scope(folder: Path) -> Iterator[tuple[Exchange, Wire | VectorWire]]:
    for path in recordings(folder):
        for exchange in read_file(path):
            if not isinstance(exchange, str) and (wire := wire_of(exchange)) is not None:
                yield exchange, wire


def _held(exchange: Exchange, wire: Wire) -> Held | None:
    """A recorded exchange as quoth reads it; None where the answer is none, or either side is read otherwise."""
    provider = provider_of(exchange, wire.name, CLIENTS[wire.name]())
    expected = expect(wire, exchange, by_finish=wire.by_finish(provider.wire.quirks))
    outcome = meet(expected, wire, provider, exchange.reply, exchange.provider)
    if exchange.request is None or outcome.response is None or outcome.differences:
        return None
    asked = check_request(
        exchange.request,
        exchange.reply,
        provider=provider,
        server=load_server(wire.name),
        known=wire.normalisations,
        versions=wire.versions,
    )
    if asked.request is None or asked.differences:
        return None
    return Held(asked.request, outcome.response, expected.streamed)


# Exchanges of our own: through each row, between the two halves of each of its wires.

MODEL = "some-model"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PLAIN = Message.user("Hello")
CALL = ToolCall(id="call_1", name="weather", arguments='{"city":"Paris"}')
USAGE = Usage(input=5, output=3)


def _asking(*parts: str | Part, **more: object) -> ModelRequest:
    return replace(ModelRequest(model=MODEL, messages=(Message.user(*parts),)), **more)


def _answering(*parts: str | Part, usage: Usage = USAGE) -> Response:
    finish = "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"
    return replace(
        Response(message=Message.assistant(*parts), finish_reason="stop", model=MODEL, id="answer_1", usage=usage),
        finish_reason=finish,
    )


class Trial(Struct, frozen=True):
    """One exchange of our own that holds a capability: what is asked, and what is answered."""

    request: ModelRequest
    response: Response = _answering("Hi")


TRIALS: Mapping[str, tuple[Trial, ...]] = {
    "stream": (Trial(_asking("Hello", stream=True)),),
    "tools": (Trial(_asking("Hello", tools=(Tool(name="weather", parameters=SCHEMA),)), _answering(CALL)),),
    "structured output": (Trial(_asking("Hello", output=OutputFormat(schema=SCHEMA, name="place"))),),
    "images": (Trial(_asking("What is this?", Image(data=b"\x89PNG", media_type="image/png"))),),
    "documents": (
        Trial(_asking("What is this?", Document(data=b"%PDF", media_type="application/pdf", filename="a.pdf"))),
    ),
    "audio": (Trial(_asking("What is this?", Audio(data=b"RIFF", media_type="audio/wav"))),),
    "reasoning": tuple(
        [
            Trial(_asking("Hello", reasoning=much), _answering("Hi", usage=replace(USAGE, reasoning=7)))
            for much in ("low", 2_048)
        ]
    ),
    "cache": (Trial(_asking("Hello"), _answering("Hi", usage=replace(USAGE, cache_read=7))),),
}
"""Each in one or several ways, of which a wire may have one."""

EMBEDDED = "local:"
"""How the base URL of the model in this process begins, which says itself what it cannot do."""

REFUSALS = (UnsupportedContentError, UnsupportedParameterError)
"""What says before anything is sent that a row or a wire cannot do it."""


def spoken() -> Spoken:
    """Whether each wire of each row that is built has each capability."""
    return {
        row.name: {**{name: _wires(row, name) for name in CAPABILITIES}, EMBEDDINGS: _formats(row)} for row in PROVIDERS
    }


def _wires(row: ProviderSpec, capability: str) -> dict[str, bool]:
    if row.embeds_only:
        return {row.dialect: False}
    built = [dialect for dialect in row.dialects if dialect in CLIENTS]
    return {dialect: any(_passes(row, dialect, capability, each) for each in TRIALS[capability]) for dialect in built}


def _passes(row: ProviderSpec, dialect: str, capability: str, trial: Trial) -> bool:
    """Whether a trial comes through: the other half reads what was asked, and this one what was answered."""
    provider, server = Provider(row, MODEL, dialect=dialect), load_server(dialect)
    try:
        sent = _with_model(provider.build(trial.request))
    except REFUSALS:
        return False
    if row.base_url.startswith(EMBEDDED) and refusal_of({**json.loads(sent.body), "stream": True}, MODEL) is not None:
        return False
    request = server.parse_request(sent)
    if request.stream:
        body = b"".join(server.build_events(trial.response, piece=3))
        reply = WireReply(status=200, headers=(("content-type", "text/event-stream"),), body=body)
    else:
        reply = server.build_response(trial.response)
    response = AnswerReader(provider, reply).read(reply.body)
    return CAPABILITIES[capability](Held(request, response, request.stream))


def _with_model(request: WireRequest) -> WireRequest:
    """The request as a server is given it: where a row's path alone names the model, with that in the body too."""
    body = json.loads(request.body)
    return request if "model" in body else replace(request, body=json.dumps({**body, "model": MODEL}).encode())


# Embeddings: an operation of its own, in formats of its own.

EMBEDDINGS = "embeddings"


def _formats(row: ProviderSpec) -> dict[str, bool]:
    """Whether each format comes through in which a row is known to embed; nothing, where nobody says that it does."""
    if row.embeddings is None:
        return {EMBEDDINGS: False}
    return {place.dialect: _embeds(row, place) for place in row.embeddings}


def _embeds(row: ProviderSpec, place: EmbeddingEndpoint) -> bool:
    """Whether a text that is sent through this row is read by the other half, and its vector by this one."""
    embedder = Embedder(Provider(row, MODEL), place)
    server = load_server_format(place.dialect)
    asked = server.parse_request(embedder.build_batch(EmbeddingRequest(model=MODEL, texts=("Hello",))))
    answer = EmbeddingResponse(vectors=((0.5, -0.25),), model=MODEL)
    told = embedder.parse_batch(server.build_response(answer, asked), asked)
    return (asked.texts, told.vectors) == (("Hello",), answer.vectors)


def _embedded(exchange: Exchange, wire: VectorWire) -> bool:
    """Whether a recorded exchange has vectors that are read without a difference."""
    outcome = check_vectors(exchange, wire, vector_halves(wire.name))
    return outcome.form == EMBEDDINGS and not outcome.differences


def _embedding_row(exchange: Exchange, wire: VectorWire) -> ProviderSpec | None:
    """The row at whose URL a format is spoken, or that of the host, where its rows have other paths."""
    url = exchange.request.url.partition("?")[0] if exchange.request else ""
    of_host = [row for row in PROVIDERS if is_own_host(row, url)]
    known = [(row, place) for row in of_host for place in row.embeddings or () if place.dialect == wire.name]
    exact = [row for row, place in known if re.fullmatch(_url_pattern(row, place), url)]
    return next(iter([*exact, *[row for row, _ in known], *of_host]), None)


def _url_pattern(row: ProviderSpec, place: EmbeddingEndpoint) -> str:
    where = row.joined(place.dialect, place, load_format(place.dialect).path)
    return "[^/]+".join([re.escape(part) for part in re.split(r"{\w+}", where.base_url + where.path)])


# Cells.


def cells(recorded: Counts, found: Spoken) -> dict[str, dict[str, str]]:
    """The table, by row and capability. A capability that nothing tries is unproven."""
    table: dict[str, dict[str, str]] = {}
    for row in PROVIDERS:
        seen = recorded.get(row.name, {})
        table[row.name] = {
            name: _cell(row, seen.get(name, Counter()), wires) for name, wires in found[row.name].items()
        }
    return table


def _cell(row: ProviderSpec, seen: Counter[str], wires: Mapping[str, bool]) -> str:
    if seen:
        return f"recorded {seen.total()}{_by(row, seen)}"
    having = [wire for wire, has in wires.items() if has]
    if having:
        return f"spoken{_by(row, having)}"
    return "no" if wires else "?"


def _by(row: ProviderSpec, wires: Iterable[str]) -> str:
    """By which wires, where the one that is spoken unless a call says otherwise is none of them."""
    names = sorted({*wires} & {*row.dialects})
    return "" if not names or row.dialect in names else f" by {' and '.join([SHORT.get(name, name) for name in names])}"


def spelled(table: Mapping[str, Mapping[str, str]]) -> str:
    """The file: one provider a line."""
    head = "# Written by tools/build_parity.py, which says what the words mean. Not to be edited."
    lines = [f"{_key(row)} = {{ {', '.join([f'{_key(name)} = {json.dumps(cell)}' for name, cell in own.items()])} }}"
             for row, own in table.items()]  # fmt: skip
    return "\n".join([head, *lines, ""])


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)


def main() -> int:
    arguments = [each for each in sys.argv[1:] if each != "--check"]
    if len(arguments) != 1 or not recordings(Path(arguments[0])):
        print("a folder of recordings is asked for: python tools/build_parity.py RECORDINGS [--check]")
        return 2
    text = spelled(cells(counted(Path(arguments[0])), spoken()))
    if "--check" in sys.argv[1:]:
        late = not FILE.exists() or FILE.read_text("utf-8") != text
        print(f"{FILE.relative_to(ROOT)} is {'out of date' if late else 'up to date'}")
        return int(late)
    FILE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
