"""Calls to Gemini from end to end, over real sockets: whole, streamed, async, tools, prices, refusals, the list."""

import asyncio
import json
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from quoth import Image, Message, ModelsAPI, Reasoning, Response, Settings, Text, Tool, ToolCall, Usage
from quoth.dialects.gemini.server import build_array, build_error, build_events, build_response, parse_request
from quoth.errors import (
    ContentBlockedError,
    InternalServerError,
    QuotaExceededError,
    RateLimitError,
    ResponseParseError,
    StreamInterruptedError,
)
from quoth.providers import PROVIDERS, ProviderTable
from quoth.providers._provider import AnswerReader, Provider
from quoth.testing import FakeProvider, Fault, Reply, ScriptedTransport
from quoth.wire import ErrorInfo, WireReply, WireRequest
from servers import RawServer

MODEL = "gemini-2.5-flash"
NAME = "gemini"

REPORTED = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 200,
    "thoughtsTokenCount": 300,
    "toolUsePromptTokenCount": 50,
    "totalTokenCount": 1550,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 300}],
    "serviceTier": "standard",
}
USAGE = Usage(input=350, cache_read=400, input_audio=300, output=200, reasoning=300, reported=REPORTED)
ANSWER = Response(
    message=Message.assistant(
        Reasoning(text="hm", provider_data={NAME: {}}),
        "Hello",
        ToolCall(
            id="gemini_r1_0",
            name="weather",
            arguments='{"city":"Paris"}',
            provider_data={NAME: {"thoughtSignature": "s"}},
        ),
        Image(data=b"png", media_type="image/png"),
    ),
    finish_reason="tool_calls",
    finish_reason_raw="STOP",
    model=MODEL,
    id="r1",
    usage=USAGE,
    service_tier="standard",
)
JSON, SSE = b"Content-Type: application/json", b"Content-Type: text/event-stream"
WHOLE = (200, build_response(ANSWER).body, JSON)
STREAMED = (200, b"".join(build_events(ANSWER, piece=3)), SSE)
ARRAY = (200, b"".join(build_array(ANSWER, piece=3)), JSON)


async def _awaited(api, *args, **more):
    return await api.aio(*args, **more)


async def _streamed(api, *args, **more):
    return await api.aio.stream(*args, **more).read()


WAYS = {
    "whole": (WHOLE, lambda api, *args, **more: api(*args, **more)),
    "streamed": (STREAMED, lambda api, *args, **more: api.stream(*args, **more).read()),
    "streamed as an array": (ARRAY, lambda api, *args, **more: api.stream(*args, **more).read()),
    "async whole": (WHOLE, lambda api, *args, **more: asyncio.run(_awaited(api, *args, **more))),
    "async streamed": (STREAMED, lambda api, *args, **more: asyncio.run(_streamed(api, *args, **more))),
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "QUOTH_PRICES", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def served(*replies):
    """An API that calls a server of our own, which answers in this order, and what it was asked."""

    def script(peer):
        while True:
            peer.read_request()
            status, body, *lines = replies[len(peer.server.requests) - 1]
            peer.reply(body, status, *lines)

    with RawServer(script) as server:
        settings = Settings(base_urls={"google": server.url("")}, api_keys={"google": "k"})
        api = ModelsAPI(settings, providers=ProviderTable())
        try:
            yield api, server.requests
        finally:
            api.close()


def reading():
    """The reader of an answer that is called JSON, whatever it is."""
    return AnswerReader(
        Provider(PROVIDERS.get("google"), MODEL), WireReply(status=200, headers=(("content-type", "application/json"),))
    )


def test_an_array_is_told_piece_by_piece_while_it_comes():
    reader, body = reading(), ARRAY[1]
    told = [len(reader.feed(body[at : at + 1])) for at in range(len(body))]
    assert reader.end() != []
    assert told.index(1) < len(told) / 4
    assert sum(1 for each in told if each) > 4
    assert replace(reader.response(), provider="") == ANSWER


def test_an_array_that_is_cut_short_was_cut_and_what_came_is_kept():
    with pytest.raises(StreamInterruptedError) as caught:
        reading().read(ARRAY[1].rstrip()[:-1])
    assert caught.value.partial.text == "Hello"


def test_an_error_may_come_as_the_one_entry_of_an_array():
    error = {"error": {"code": 500, "message": "broke", "status": "INTERNAL"}}
    with pytest.raises(InternalServerError, match="broke"):
        reading().read(json.dumps([error]).encode())


@pytest.mark.parametrize("body", [b"[", b"[]", b"[1, 2]", b'["{"]', b" [ \n"])
def test_an_array_of_anything_else_is_no_answer_and_keeps_its_bytes(body):
    with pytest.raises(ResponseParseError) as caught:
        reading().read(body)
    assert caught.value.body.strip() == body.strip()


def read(request):
    """What our server was asked: the head's first line, its headers, and the request that its half reads."""
    head, body = request
    line, *headers = head.decode().split("\r\n")
    path, _, query = line.split(" ")[1].partition("?")
    named = {name.lower(): value for name, _, value in (each.partition(": ") for each in headers)}
    return line, named, parse_request(WireRequest(path=path, query=tuple(query.partition("=")[::2]), body=body))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_answer_at_the_same_price(way):
    reply, call = WAYS[way]
    with served(reply) as (api, requests):
        tool = Tool(name="weather", parameters={"type": "object"})
        response = call(api, MODEL, "Hi", system="Be brief.", tools=[tool], tool_choice="required", max_tokens=9)
        assert response.message == ANSWER.message
        assert (str(response), response.reasoning, response.provider) == ("Hello", "hm", "google")
        assert response.tool_calls[0].parse_arguments() == {"city": "Paris"}
        assert (response.usage, response.service_tier, response.finish_reason) == (USAGE, "standard", "tool_calls")
        assert str(response.cost) == "$0.001667"
        (request,) = requests
    line, headers, asked = read(request)
    stream = "streamed" in way
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert line == f"POST /v1beta/models/{MODEL}:{verb} HTTP/1.1"
    assert headers["x-goog-api-key"] == "k"
    assert "authorization" not in headers
    assert (asked.model, asked.stream, asked.max_tokens) == (MODEL, stream, 9)
    assert asked.messages == (Message.system("Be brief."), Message.user("Hi"))
    assert [tool.name for tool in asked.tools] == ["weather"]
    assert asked.tool_choice.mode == "required"


def test_a_newer_model_streams_piece_by_piece_and_has_a_price():
    reply = json.loads(json.dumps(REPORTED))
    del reply["promptTokensDetails"]  # its row has no rate for sound
    body = b"".join(
        b"data: "
        + json.dumps({"candidates": [each], "usageMetadata": reply, "modelVersion": "gemini-3.8-flash"}).encode()
        + b"\r\n\r\n"
        for each in (
            {"content": {"parts": [{"text": "Hel"}]}},
            {"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"},
        )
    )
    with served((200, body, SSE)) as (api, _):
        stream = api.stream("gemini-3.8-flash", "Hi")
        assert list(stream) == ["Hel", "lo"]
        assert stream.response.cost.femto
        assert (stream.response.usage.total_tokens, stream.response.model) == (1550, "gemini-3.8-flash")


def test_a_conversation_with_a_tool_replays_exactly():
    with served(STREAMED, WHOLE) as (api, requests):
        first = api.stream(MODEL, "Weather?").read()
        call = first.tool_calls[0]
        api(MODEL, [Message.user("Weather?"), first.message, Message.tool(call, "Rain")])
        _, body = requests[1]
    assert json.loads(body)["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"text": "Hello"},
                {"functionCall": {"name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "s"},
                {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "Rain"}}}]},
    ]


def test_a_conversation_of_another_wire_goes_on_here():
    foreign = Message.assistant(
        Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "s"}}),
        Text(text="", provider_data={"anthropic_messages": {"type": "server_tool_use"}}),
        ToolCall(id="toolu_1", name="f", arguments="{}"),
    )
    with served(WHOLE) as (api, requests):
        response = api(MODEL, [Message.user("Hi"), foreign, Message.tool("toolu_1", "no such city", is_error=True)])
        assert len(response.call.changes) == 2
        _, body = requests[0]
    assert json.loads(body)["contents"][1:] == [
        {"role": "model", "parts": [{"functionCall": {"id": "toolu_1", "name": "f", "args": {}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "toolu_1", "name": "f", "response": {"error": "no such city"}}}],
        },
    ]


def test_extra_is_merged_into_the_body():
    with served(WHOLE) as (api, requests):
        extra = {"google": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}, "cachedContent": "c"}}
        api(MODEL, "Hi", temperature=0, extra=extra)
        body = json.loads(requests[0][1])
    assert body["generationConfig"] == {"temperature": 0, "thinkingConfig": {"includeThoughts": True}}
    assert body["cachedContent"] == "c"


def refusal(*details, **fields):
    error = {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}
    return 429, json.dumps({"error": {**error, **fields, "details": list(details)}}).encode(), JSON


WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s"}
DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}


def test_the_providers_no_is_its_class_and_says_how_long_to_wait():
    blocked = 200, json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": REPORTED}).encode(), JSON
    with served(refusal(WAIT)) as (api, _):
        with pytest.raises(RateLimitError) as limited:
            api(MODEL, "Hi", retries=0)
        assert (limited.value.retry_after, limited.value.provider_code) == (46.0, "RESOURCE_EXHAUSTED")
    with served(refusal(WAIT, DAY), blocked) as (api, _):
        with pytest.raises(QuotaExceededError):
            api.stream(MODEL, "Hi").read()
        with pytest.raises(ContentBlockedError, match="SAFETY") as refused:
            api(MODEL, "Hi")
        assert (refused.value.partial.usage, refused.value.billed) == (USAGE, "maybe")


def test_a_stream_that_is_cut_is_no_answer_and_one_that_fails_says_so():
    cut = STREAMED[1][: STREAMED[1].index(b'"finishReason"') - 200]
    broken = build_error(ErrorInfo(kind="overloaded", message="busy"))
    failing = cut[: cut.rindex(b"data: ")] + b"data: " + broken.body + b"\r\n\r\n"
    with served((200, cut, SSE), (200, failing, SSE)) as (api, _):
        with pytest.raises(StreamInterruptedError) as caught:
            api.stream(MODEL, "Hi").read()
        assert caught.value.partial.reasoning == "hm"
        with pytest.raises(Exception, match="busy") as failed:
            api.stream(MODEL, "Hi").read()
        assert (failed.value.kind, failed.value.partial.reasoning) == ("stream_interrupted", "hm")


@pytest.mark.parametrize(
    "ask", [lambda api, **more: api.list(**more), lambda api, **more: asyncio.run(api.aio.list(**more))]
)
def test_the_models_that_google_has_are_listed(ask):
    first = {"models": [{"name": "models/gemini-3.8-flash", "inputTokenLimit": 1}], "nextPageToken": "t="}
    pages = [(200, json.dumps(page).encode(), JSON) for page in (first, {"models": [{"name": "models/new-1"}]})]
    with served(*pages) as (api, requests):
        known, unheard = ask(api, provider="google", refresh=True)
        lines = [head.split(b"\r\n")[0] for head, _ in requests]
    assert (known.id, unheard.id) == ("google/gemini-3.8-flash", "google/new-1")
    assert lines == [b"GET /v1beta/models HTTP/1.1", b"GET /v1beta/models?pageToken=t%3D HTTP/1.1"]


def test_vertex_is_called_where_its_row_says_with_a_token(monkeypatch):
    for name, value in (("PROJECT", "p"), ("LOCATION", "europe-west4")):
        monkeypatch.setenv(f"GOOGLE_CLOUD_{name}", value)
    script = ScriptedTransport(Reply(body=WHOLE[1]), Reply(body=(STREAMED[1],)))
    settings = Settings(transport=script, async_transport=script.aio, api_keys={"vertex": "token"})
    api = ModelsAPI(settings, providers=ProviderTable())
    assert api("vertex/gemini-2.5-flash", "Hi").text == "Hello"
    assert api.stream("vertex/gemini-2.5-flash", "Hi").read().text == "Hello"
    base = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"
    model = f"{base}/publishers/google/models/gemini-2.5-flash"
    assert [request.url for request in script.requests] == [
        f"{model}:generateContent",
        f"{model}:streamGenerateContent?alt=sse",
    ]
    assert ("authorization", "Bearer token") in script.requests[0].headers


def test_a_model_with_a_whole_name_keeps_it():
    script = ScriptedTransport(Reply(body=WHOLE[1]))
    api = ModelsAPI(Settings(transport=script, async_transport=script.aio, api_keys={"google": "k"}))
    api("google/tunedModels/mine-1", "Hi")
    assert script.requests[0].url.endswith("/v1beta/tunedModels/mine-1:generateContent")


def test_the_fake_provider_speaks_this_wire():
    with FakeProvider([ANSWER, ANSWER, Fault(kind="rate_limit", retry_after=7)]) as fake:
        api = fake.models(retries=0)
        assert api(MODEL, "Hi").message == ANSWER.message
        assert api.stream(MODEL, "Hi").read().message == ANSWER.message
        with pytest.raises(RateLimitError) as limited:
            api(MODEL, "Hi")
        assert limited.value.retry_after == 7
        assert [each.wire for each in fake.requests] == [NAME] * 3
