"""Recorded conversations: the later turn that we send is the one that was recorded.

Where two recorded exchanges of one test are a conversation (the second begins with the first's messages and an
assistant's turn), its first answer is given by a FakeProvider through the public verb, and the turn after it is sent
with ``response.message`` in place of what the recorded client had made of that answer. What is sent then must say what
was recorded: every text, call, signature, encrypted state. What other clients had made of an
answer stands in ``THEIRS``.
"""

import base64
import json
import re

import pytest
from msgspec.structs import replace

from quoth.dialects import load_client
from quoth.dialects.server import load_server
from quoth.errors import QuothError
from quoth.events import fold
from quoth.providers._registry import PROVIDERS
from quoth.testing import FakeProvider
from quoth.types import ToolCall, ToolResult
from quoth.wire import Quirks, WireReply, WireRequest
from recordings import is_stream, lines_of, needs_recordings

FILES = [
    "anthropic-messages", "bedrock-mantle", "cerebras", "copilot", "deepseek", "gemini", "groq", "huggingface",
    "misc-openai-compatible", "mistral", "ollama", "openai-chat", "openai-responses", "openrouter", "perplexity",
    "venice", "vercel-gateway", "vertex", "xai", "zai",
]  # fmt: skip
WIRES = {
    "/chat/completions": "openai_chat",
    "/responses": "openai_responses",
    "/messages": "anthropic_messages",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
}
TURNS = {"openai_chat": "messages", "openai_responses": "input", "anthropic_messages": "messages", "gemini": "contents"}
LEAST = {"openai_chat": 104, "openai_responses": 28, "anthropic_messages": 6, "gemini": 5}
"""How many conversations of each wire are found."""

SIGNS = frozenset({"signature", "thoughtSignature", "thought_signature", "encrypted_content", "data"})
"""Fields whose values the provider must have back letter by letter."""


def body_of(part):
    return base64.b64decode(part["body_b64"]) if part.get("body_b64") else part["body"].encode()


def read(exchange):
    """The wire, the request and the answer of an exchange; None where it is none of these wires, or no answer."""
    if not exchange.get("request") or exchange["response"]["status"] != 200:
        return None
    url = exchange["request"]["url"].split("?")[0]
    wire = next((wire for end, wire in WIRES.items() if url.endswith(end)), None)
    if wire is None:
        return None
    path = re.sub(r"^https?://[^/]+", "", url)
    try:
        request = load_server(wire).parse_request(WireRequest(path=path, body=body_of(exchange["request"])))
        answer, client = body_of(exchange["response"]), load_client(wire)
        if is_stream(answer):
            parser = client.stream_parser(Quirks())
            response = fold(parser.feed(answer) + parser.end())
        else:
            response = client.parse_response(WireReply(status=200, body=answer), Quirks())
    except QuothError:
        return None
    return wire, request, response


def conversations():
    """Pairs of exchanges: the row, the wire, the first request, its answer, the request after it and its body."""
    for name in FILES:
        exchanges = [(each, found) for each in lines_of(name) if (found := read(each))]
        for later, (wire, request, _) in exchanges:
            for earlier, (_, before, answer) in exchanges:
                known = len(before.messages)
                if (
                    later["source"].rpartition("#")[0] == earlier["source"].rpartition("#")[0]
                    and known < len(request.messages)
                    and request.messages[known].role == "assistant"
                    and request.messages[:known] == before.messages
                ):
                    row = PROVIDERS.of_url(later["request"]["url"])
                    yield (
                        later["id"],
                        row and row[0],
                        wire,
                        before,
                        answer,
                        request,
                        json.loads(body_of(later["request"])),
                    )
                    break


def answered(messages, known, message):
    """The conversation with this answer in its place; results go to the calls of it, whatever their ids are."""
    calls = [part.id for part in messages[known].parts if isinstance(part, ToolCall)]
    ids = dict(zip(calls, [part.id for part in message.parts if isinstance(part, ToolCall)], strict=False))

    def renamed(part):
        return replace(part, call_id=ids.get(part.call_id, part.call_id)) if isinstance(part, ToolResult) else part

    rest = [replace(each, parts=tuple(map(renamed, each.parts))) for each in messages[known + 1 :]]
    return [*messages[:known], message, *rest]


def said(value):
    """All that a turn says, in order: texts, names, arguments as values, signs of the provider; no wire's own words."""
    found = {"texts": [], "calls": [], "signs": []}
    collect(value, found)
    found["texts"] = re.sub(r"\s+", "", "".join(found["texts"]))
    return found


def collect(value, found):
    if isinstance(value, list):
        for each in value:
            collect(each, found)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("content"), str):
        found["texts"].append(value["content"])
    if isinstance(value.get("text"), str) and not value.get("thought"):
        found["texts"].append(value["text"])
    for name in ("arguments", "input", "args"):
        if name in value and isinstance(value.get("name"), str):
            arguments = value[name]
            found["calls"].append((value["name"], as_value(arguments)))
    found["signs"] += [
        each.replace("-", "+").replace("_", "/")
        for name, each in value.items()
        if name in SIGNS and isinstance(each, str)
    ]
    for each in value.values():
        collect(each, found)


def as_value(arguments):
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


THEIRS = {
    "9ea096b024e43403": "left out what the provider's own search was asked",
    "a7294cfee8839de0": "left out the text of the reasoning",
    "e279df854210686f": "had put the reasoning into the text, in tags",
    "cbc956da8240fc52": "as above",
    "420aba89a6817229": "as above",
    "69c4a654456cdd92": "left out an empty field of the call",
    "d41418e30ef0ffe3": "wrote the arguments in the text with other quotes",
    "57a48caadca91360": "sent a call of its own tool back as text",
    "e3f51efb1795686f": "took the state of the item, not of the completed response: one secret, encrypted twice",
    "7003726f177ef36e": "as above",
    "a9179bb1f2742d69": "left out the text of the reasoning",
    "60850aca94fd7131": "left out the text of the reasoning",
}
"""What the clients of the recordings had made of an answer, where that is not what it said."""


@needs_recordings
@pytest.mark.filterwarnings("ignore::quoth.errors.CapabilityWarning")
def test_later_turns_are_sent_as_they_were_recorded():
    checked, wrong = {}, set()
    for id_, row, wire, before, answer, after, recorded in conversations():
        if row is None or wire not in row.dialects:
            continue
        known = len(before.messages)
        with FakeProvider([answer, "done"]) as fake:
            bound = fake.models(retries=0).bind(f"{row.name}/{before.model}", dialect=wire, check="off")
            first = bound(list(before.messages), tools=list(before.tools) or None)
            bound(answered(after.messages, known, first.message), tools=list(after.tools) or None)
            sent = fake.requests[1].json[TURNS[wire]]
        ours, theirs = said(sent), said(recorded[TURNS[wire]])
        checked[wire] = checked.get(wire, 0) + 1
        kept = all(sign in ours["signs"] for sign in theirs["signs"])
        if not kept or (ours["calls"], ours["texts"]) != (theirs["calls"], theirs["texts"]):
            wrong.add(id_)
    assert {wire: count >= LEAST[wire] for wire, count in checked.items()} == dict.fromkeys(LEAST, True), checked
    assert wrong == {*THEIRS}
