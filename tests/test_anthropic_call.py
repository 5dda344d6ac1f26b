"""One call to Claude from end to end, over a scripted transport: whole, streamed, async, with tools, priced."""

import asyncio
import json

import pytest

from quoth import Message, ModelsAPI, Reasoning, Response, Settings, Text, Tool, ToolCall, Usage
from quoth.dialects.anthropic_messages.server import build_events, build_response
from quoth.errors import RateLimitError, StreamInterruptedError
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport

MODEL = "claude-sonnet-5-5"
SSE = (("content-type", "text/event-stream"), ("request-id", "req_1"))
NAME = "anthropic_messages"

REPORTED = {
    "input_tokens": 2_000,
    "cache_read_input_tokens": 10_000,
    "cache_creation_input_tokens": 3_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
    "output_tokens": 500,
    "output_tokens_details": {"thinking_tokens": 300},
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "standard",
}
USAGE = Usage(
    input=2_000,
    cache_read=10_000,
    cache_write_5m=1_000,
    cache_write_1h=2_000,
    output=200,
    reasoning=300,
    web_searches=2,
    reported=REPORTED,
)
ANSWER = Response(
    message=Message.assistant(
        Reasoning(text="hm", provider_data={NAME: {"signature": "s"}}),
        Text(text="", provider_data={NAME: {"type": "server_tool_use", "id": "s", ":absent": ["text"]}}),
        "Hello",
        ToolCall(id="t1", name="weather", arguments='{"city":"Paris"}'),
    ),
    finish_reason="tool_calls",
    finish_reason_raw="tool_use",
    model=MODEL,
    id="msg_1",
    usage=USAGE,
    service_tier="standard",
)
WHOLE = Reply(body=build_response(ANSWER).body, headers=(("request-id", "req_1"),))
STREAMED = Reply(body=tuple(build_events(ANSWER, piece=3)), headers=SSE)

WAYS = {
    "whole": (WHOLE, lambda api, *args, **more: api(MODEL, *args, **more)),
    "streamed": (STREAMED, lambda api, *args, **more: api.stream(MODEL, *args, **more).read()),
    "async whole": (WHOLE, lambda api, *args, **more: asyncio.run(_awaited(api, *args, **more))),
    "async streamed": (STREAMED, lambda api, *args, **more: asyncio.run(_streamed(api, *args, **more))),
}


async def _awaited(api, *args, **more):
    return await api.aio(MODEL, *args, **more)


async def _streamed(api, *args, **more):
    return await api.aio.stream(MODEL, *args, **more).read()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def api_of(*replies):
    script = ScriptedTransport(*replies)
    settings = Settings(transport=script, async_transport=script.aio, api_keys={"anthropic": "k"})
    return ModelsAPI(settings, providers=ProviderTable()), script


def body_of(request):
    return json.loads(request.body)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_answer_at_the_same_price(way):
    reply, call = WAYS[way]
    api, script = api_of(reply)
    response = call(api, "Hi", system="Be brief.", tools=[Tool(name="weather")], tool_choice="required")
    assert response.message == ANSWER.message
    assert str(response) == "Hello"
    assert (response.reasoning, response.tool_calls[0].parse_arguments()) == ("hm", {"city": "Paris"})
    assert (response.provider, response.usage, response.call.request_id) == ("anthropic", USAGE, "req_1")
    assert str(response.cost) == "$0.0405"
    (request,) = script.requests
    assert request.url == "https://api.anthropic.com/v1/messages"
    headers = dict(request.headers)
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("k", "2023-06-01")
    assert "authorization" not in headers
    body = body_of(request)
    assert body.pop("stream", False) is ("streamed" in way)
    assert body == {
        "model": MODEL,
        "max_tokens": 32_000,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    }
    (change,) = response.call.changes
    assert "max_tokens=32000" in change


def test_a_conversation_with_a_tool_replays_exactly():
    api, script = api_of(STREAMED, WHOLE)
    first = api.stream(MODEL, "Weather?", max_tokens=9).read()
    api(MODEL, [Message.user("Weather?"), first.message, Message.tool("t1", "Rain")], max_tokens=9)
    assert body_of(script.requests[1])["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "server_tool_use", "id": "s"},
                {"type": "text", "text": "Hello"},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Rain"}]},
    ]


def served(**fields):
    """The same answer with more said in its usage."""
    body = json.loads(WHOLE.body)
    body["usage"] |= fields
    return Reply(body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"inference_geo": "us"}, "$0.04255"),  # a tenth more on tokens, not on searches
        ({"inference_geo": "global"}, "$0.0405"),
        ({"inference_geo": "not_available"}, "$0.0405"),
    ],
)
def test_where_it_was_served_sets_the_price(fields, cost):
    api, _ = api_of(served(**fields))
    response = api(MODEL, "Hi")
    assert str(response.cost) == cost
    assert response.region == fields["inference_geo"]


def test_a_tier_without_a_rate_leaves_the_price_unknown():
    api, _ = api_of(served(speed="fast"))
    response = api(MODEL, "Hi")
    assert (response.speed, response.service_tier) == ("fast", "standard")
    assert response.cost.femto is None


def test_a_fast_answer_costs_what_fast_ones_cost():
    counts = {"input_tokens": 1_000_000, "output_tokens": 0}
    body = {
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [],
        "stop_reason": "end_turn",
    }
    usages = ({**counts, "speed": "fast"}, {**counts, "speed": "standard"})
    api, _ = api_of(*[Reply(body=json.dumps({**body, "usage": usage}).encode()) for usage in usages])
    assert [str(api("claude-opus-4-8", "Hi").cost) for _ in usages] == ["$10", "$5"]


def test_a_stream_that_is_cut_is_no_answer():
    cut = Reply(body=STREAMED.body[:-1], headers=SSE)
    api, _ = api_of(cut)
    with pytest.raises(StreamInterruptedError) as caught:
        api.stream(MODEL, "Hi").read()
    assert caught.value.partial.text == "Hello"


def test_the_providers_no_is_its_class_before_and_inside_a_stream():
    refusal = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}, "request_id": "req_2"}
    failing = (
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    )
    api, _ = api_of(Reply(status=429, body=json.dumps(refusal).encode(), headers=(("retry-after", "7"),)))
    with pytest.raises(RateLimitError, match="slow") as caught:
        api(MODEL, "Hi", retries=0)
    assert (caught.value.retry_after, caught.value.request_id) == (7.0, "req_2")
    api, _ = api_of(Reply(body=(*STREAMED.body[:4], failing), headers=SSE))  # another: the gate of the first is closed
    with pytest.raises(StreamInterruptedError, match="overloaded: Overloaded") as failed:
        api.stream(MODEL, "Hi", timeout=600).read()
    assert (failed.value.provider_code, failed.value.partial.reasoning) == ("overloaded_error", "hm")
