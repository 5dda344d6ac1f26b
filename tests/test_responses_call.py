"""One call on the Responses wire from end to end, over a scripted transport: whole, streamed, async, priced."""

import asyncio
import json

import pytest

from quoth import Message, ModelsAPI, Settings, Tool, Usage
from quoth.errors import InternalServerError, QuotaExceededError, StreamInterruptedError
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport

MODEL = "acme/gpt-6-sol"
HEADERS = (("x-request-id", "req_1"),)
SSE = (("content-type", "text/event-stream"), *HEADERS)
NAME = "openai_responses"

REPORTED = {
    "input_tokens": 5_000,
    "input_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 1_000},
    "output_tokens": 700,
    "output_tokens_details": {"reasoning_tokens": 300},
    "total_tokens": 5_700,
}
USAGE = Usage(input=2_000, cache_read=2_000, cache_write_5m=1_000, output=400, reasoning=300, reported=REPORTED)
ITEMS = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gAA",
    },
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "phase": "commentary",
        "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "weather",
        "arguments": '{"city":"Paris"}',
        "status": "completed",
    },
]
ANSWER = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_800_000_000,
    "status": "completed",
    "model": "gpt-6-sol",
    "output": ITEMS,
    "usage": REPORTED,
    "service_tier": "flex",
}


def event(kind, **fields):
    return (
        b"event: response."
        + kind.encode()
        + b"\ndata: "
        + json.dumps({"type": f"response.{kind}", **fields}).encode()
        + b"\n\n"
    )


def told(place, kind, *pieces, **fields):
    """An item as a stream tells it."""
    item = ITEMS[place]
    at = {"item_id": item["id"], "output_index": place}
    bare = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}
    yield event("output_item.added", output_index=place, item=item | bare.get(item["type"], {}))
    for piece in pieces:
        yield event(f"{kind}.delta", **at, delta=piece, **fields)
    yield event("output_item.done", output_index=place, item=item)


EVENTS = (
    event("created", response={**ANSWER, "status": "in_progress", "output": [], "usage": None}),
    *told(0, "reasoning_summary_text", "h", "m", summary_index=0),
    *told(1, ""),
    *told(2, "output_text", "Hel", "lo", content_index=0),
    *told(3, "function_call_arguments", '{"city"', ':"Paris"}'),
    event("completed", response=ANSWER),
)
WHOLE = Reply(body=json.dumps(ANSWER).encode(), headers=HEADERS)
STREAMED = Reply(body=EVENTS, headers=SSE)

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
    for name in ("ACME_API_KEY", "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def api_of(*replies):
    script = ScriptedTransport(*replies)
    table = ProviderTable()
    table.register(
        "acme",
        base_url="https://api.acme.example/v1",
        dialect=NAME,
        key_variables=("ACME_API_KEY",),
        price_namespace="openai",
    )
    settings = Settings(transport=script, async_transport=script.aio, api_keys={"acme": "k"})
    return ModelsAPI(settings, providers=table), script


def body_of(request):
    return json.loads(request.body)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_answer_at_the_same_price(way):
    reply, call = WAYS[way]
    api, script = api_of(reply)
    response = call(api, "Hi", system="Be brief.", max_tokens=900, tools=[Tool(name="weather")], tool_choice="required")
    assert str(response) == "Hello"
    assert (response.reasoning, response.tool_calls[0].parse_arguments()) == ("hm", {"city": "Paris"})
    assert (response.id, response.model, response.created) == ("resp_1", "gpt-6-sol", 1_800_000_000)
    assert (response.finish_reason, response.finish_reason_raw) == ("tool_calls", "completed")
    assert (response.provider, response.usage, response.call.request_id) == ("acme", USAGE, "req_1")
    assert (response.service_tier, str(response.cost)) == ("flex", "$0.00695")
    (request,) = script.requests
    assert request.url == "https://api.acme.example/v1/responses"
    assert dict(request.headers)["authorization"] == "Bearer k"
    body = body_of(request)
    assert body.pop("stream", False) is ("streamed" in way)
    assert body == {
        "model": "gpt-6-sol",
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_output_tokens": 900,
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ],
        "tool_choice": "required",
    }
    assert response.call.changes == ("max_tokens sent as max_output_tokens",)


def test_a_conversation_with_a_tool_replays_exactly():
    api, script = api_of(STREAMED, WHOLE)
    first = api.stream(MODEL, "Weather?").read()
    api(MODEL, [Message.user("Weather?"), first.message, Message.tool(first.tool_calls[0], "Rain")])
    assert body_of(script.requests[1])["input"] == [
        {"role": "user", "content": "Weather?"},
        *ITEMS,
        {"type": "function_call_output", "call_id": "c1", "output": "Rain"},
    ]


def test_a_stream_that_is_cut_is_no_answer():
    api, _ = api_of(Reply(body=(*EVENTS[:-1], b"data: [DONE]\n\n"), headers=SSE))
    with pytest.raises(StreamInterruptedError) as caught:
        api.stream(MODEL, "Hi").read()
    assert caught.value.partial.text == "Hello"


def test_the_providers_no_is_its_class_before_and_inside_an_answer():
    refusal = {"error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no money"}}
    broke = {**ANSWER, "status": "failed", "output": [], "error": {"code": "server_error", "message": "broke"}}
    api, _ = api_of(
        Reply(status=429, body=json.dumps(refusal).encode(), headers=HEADERS),
        Reply(body=json.dumps(broke).encode(), headers=HEADERS),
        Reply(body=(*EVENTS[:5], event("failed", response=broke)), headers=SSE),
    )
    with pytest.raises(QuotaExceededError, match="no money") as caught:
        api(MODEL, "Hi")
    assert caught.value.request_id == "req_1"
    with pytest.raises(InternalServerError, match="broke") as whole:
        api(MODEL, "Hi", retries=0)
    assert (whole.value.status, whole.value.request_id) == (200, "req_1")
    with pytest.raises(StreamInterruptedError, match="server: broke") as inside:
        api.stream(MODEL, "Hi").read()
    assert (inside.value.provider_code, inside.value.partial.reasoning) == ("server_error", "hm")
