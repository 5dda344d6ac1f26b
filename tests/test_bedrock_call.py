"""Calls to Bedrock from end to end, over real sockets: each way to ask, each wire, prices, places, refusals, cuts."""

import json
from decimal import Decimal

import pytest
from msgspec.structs import replace

from invented_bedrock import ANSWER, STREAM, THROTTLED, refusal
from quoth import Message, ModelsAPI, Reasoning, Response, Settings, Text, Tool, ToolCall, Usage
from quoth.errors import (
    ConfigurationError,
    MissingKeyError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    StreamInterruptedError,
)
from quoth.providers import ProviderTable
from quoth.testing import FakeProvider, Fault, Reply, ScriptedTransport
from ways import STREAMS, WAYS

NAME = "bedrock_converse"
CLAUDE = "us.anthropic.claude-sonnet-4-6"
MODEL = f"bedrock/{CLAUDE}"
FRAMES = (("content-type", "application/vnd.amazon.eventstream"),)
JSON = (("content-type", "application/json"),)
VARIABLES = (
    "AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "QUOTH_PRICES", "QUOTH_OFFLINE",
)  # fmt: skip

SPOKEN = Message.assistant(
    Reasoning(text="hm", provider_data={NAME: {"reasoningContent": {"reasoningText": {"signature": "c2ln"}}}}),
    "Hello there",
    ToolCall(id="t1", name="weather", arguments='{"city":"Paris"}'),
)
USAGE = Usage(input=100, cache_read=4000, cache_write_1h=1000, output=50)
SAID = Response(
    message=SPOKEN,
    finish_reason="tool_calls",
    finish_reason_raw="tool_use",
    model="",
    usage=USAGE,
    service_tier="default",
)
OVER_INVOKE = Response(
    message=Message.assistant(
        Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "c2ln"}}), *SPOKEN.parts[1:]
    ),
    finish_reason="tool_calls",
    finish_reason_raw="tool_use",
    model="claude-sonnet-4-6",
    usage=USAGE,
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def scripted(*replies, region="us-east-1", monkeypatch=None, **settings):
    """An API with a region whose network is a script, and the script."""
    if monkeypatch is not None:
        monkeypatch.setenv("AWS_REGION", region)
    script = ScriptedTransport(*replies)
    keys = {"bedrock": "key"}
    told = Settings(transport=script, async_transport=script.aio, api_keys=keys, **settings)
    return ModelsAPI(told, providers=ProviderTable()), script


# Over sockets.


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_answer_at_the_same_price(way):
    tool = Tool(name="weather", parameters={"type": "object"})
    with FakeProvider(SAID, piece=3) as fake:
        response = WAYS[way](
            fake.models(), model=MODEL, system="Be brief.", tools=[tool], tool_choice="required", max_tokens=9
        )
        assert (response.message, response.finish_reason) == (SPOKEN, "tool_calls")
        assert (str(response), response.reasoning, response.provider, response.model) == (
            "Hello there", "hm", "bedrock", CLAUDE)  # fmt: skip
        assert str(response.cost) == "$0.009075"
        assert (response.service_tier, response.usage.total_tokens) == ("default", 5150)
        assert response.call.request_id == "req_1"
        (received,) = fake.requests
    assert received.wire == NAME
    assert received.path == f"/model/{CLAUDE}/converse{'-stream' * (way in STREAMS)}"
    assert received.request.messages == (Message.system("Be brief."), Message.user("Hi"))
    assert received.json["toolConfig"]["toolChoice"] == {"any": {}}
    assert dict(received.headers)["authorization"] == "[redacted]"


@pytest.mark.parametrize("way", WAYS)
def test_claude_answers_by_invoke_too_at_the_price_of_the_id_that_was_asked_for(way):
    with FakeProvider(OVER_INVOKE, piece=3) as fake:
        response = WAYS[way](fake.models(), model=MODEL, dialect="bedrock_invoke", max_tokens=9)
        assert (response.message, response.model) == (OVER_INVOKE.message, "claude-sonnet-4-6")
        assert str(response.cost) == "$0.009075"
        assert response.cost.rule.id == MODEL
        (received,) = fake.requests
    assert received.wire == "bedrock_invoke"
    assert received.path == f"/model/{CLAUDE}/invoke{'-with-response-stream' * (way in STREAMS)}"
    assert received.json["anthropic_version"] == "bedrock-2023-05-31"
    assert {"model", "stream"}.isdisjoint(received.json)


def test_the_id_that_was_asked_for_says_the_price_also_when_it_is_reckoned_anew():
    """Anthropic's own name, which InvokeModel's answers have, stands for the region's price in the table."""
    records = []
    with FakeProvider(replace(OVER_INVOKE, model="claude-haiku-5-5")) as fake:
        api = fake.models()
        api.on_call(records.append)
        found = {}
        for place in ("global", "us"):
            model = f"bedrock/{place}.anthropic.claude-haiku-5-5"
            found[place] = api(model, "Hi", dialect="bedrock_invoke", max_tokens=9).cost
        assert found["us"].usd == found["global"].usd * Decimal("1.1")
        assert found["global"].rule.id == "bedrock/global.anthropic.claude-haiku-5-5"
        again = api.reprice(records)
        assert [cost.femto for cost in again.costs] == [cost.femto for cost in found.values()]


def test_a_conversation_with_a_tool_replays_exactly():
    with FakeProvider([SAID, "Rain."]) as fake:
        api = fake.models()
        first = api.stream(MODEL, "Weather?").read()
        assert api(MODEL, [Message.user("Weather?"), first.message, Message.tool("t1", "Rain")]).text == "Rain."
        turns = fake.requests[1].json["messages"]
    assert turns[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"text": "Hello there"},
        {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}},
    ]
    assert turns[2]["content"] == [{"toolResult": {"toolUseId": "t1", "content": [{"text": "Rain"}]}}]


def test_a_stream_is_told_piece_by_piece():
    with FakeProvider("Hello", piece=2) as fake:
        assert list(fake.models().stream(MODEL, "Hi")) == ["He", "ll", "o"]


@pytest.mark.parametrize("way", WAYS)
def test_the_providers_no_is_its_class(way):
    with FakeProvider(Fault(kind="rate_limit", retry_after=7)) as fake, pytest.raises(RateLimitError) as caught:
        WAYS[way](fake.models(retries=0), model=MODEL)
    error = caught.value
    assert (error.provider_code, error.status, error.retry_after) == ("ThrottlingException", 429, 7)


@pytest.mark.parametrize("wire", [NAME, "bedrock_invoke"])
@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "fault", [{"cut": "end"}, {"cut": "close"}, {"cut": "reset"}, {"cut": "error", "kind": "overloaded"}]
)
def test_a_stream_that_is_cut_is_no_answer_and_keeps_what_came(fault, way, wire):
    with FakeProvider(Fault(answer="Hello", after_events=3, **fault), piece=2) as fake:
        with pytest.raises(StreamInterruptedError) as caught:
            STREAMS[way](fake.models(retries=0), model=MODEL, dialect=wire, max_tokens=9)
        assert caught.value.partial.text in ("He", "Hell")
        if fault["cut"] == "error":
            assert caught.value.provider_code == "serviceUnavailableException"


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_in_the_smallest_chunks_is_the_same(way):
    with FakeProvider(SAID, piece=3, chunk=1) as fake:
        assert WAYS[way](fake.models(), model=MODEL).message == SPOKEN


# Where it goes.


def test_a_call_goes_to_the_region_with_the_id_as_one_segment(monkeypatch):
    answer = Reply(body=json.dumps(ANSWER).encode(), headers=JSON)
    arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc"
    api, script = scripted(*[answer] * 3, region="eu-west-1", monkeypatch=monkeypatch)
    for model in ("eu.amazon.nova-micro-v1:0", arn, "global.anthropic.claude-sonnet-5-5"):
        response = api(f"bedrock/{model}", "Hi")
        assert (response.model, response.region) == (model, "eu-west-1")
    base = "https://bedrock-runtime.eu-west-1.amazonaws.com/model"
    assert [request.url for request in script.requests] == [
        f"{base}/eu.amazon.nova-micro-v1%3A0/converse",
        f"{base}/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse",
        f"{base}/global.anthropic.claude-sonnet-5-5/converse",
    ]
    assert ("authorization", "Bearer key") in script.requests[0].headers


def test_the_region_and_the_key_are_asked_for_by_their_variables(monkeypatch):
    api = ModelsAPI(Settings(), providers=ProviderTable())
    with pytest.raises(ConfigurationError, match="export AWS_REGION="):
        api(MODEL, "Hi", api_key="k")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    with pytest.raises(MissingKeyError, match="export AWS_BEARER_TOKEN_BEDROCK="):
        api(MODEL, "Hi")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from the environment")
    api, script = scripted(Reply(body=STREAM, headers=FRAMES))
    assert api.stream(MODEL, "Hi").read().region == "us-west-2"
    assert script.requests[0].url.startswith("https://bedrock-runtime.us-west-2.amazonaws.com/model/")


def test_another_address_of_bedrock_speaks_its_wire_too(monkeypatch):
    """A private endpoint, a proxy of one's own, one for FIPS: AWS's own variable may name it."""
    answer = Reply(body=json.dumps(ANSWER).encode(), headers=JSON)
    api, script = scripted(answer, answer)
    vpc, fips = "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", "https://bedrock-runtime-fips.us-east-1"
    assert api(MODEL, "Hi", base_url=vpc, api_key="mine").region == "us-east-1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"{fips}.amazonaws.com")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "key")
    assert api(MODEL, "Hi").region == "us-east-1"
    assert [request.url for request in script.requests] == [
        f"{vpc}/model/{CLAUDE}/converse",
        f"{fips}.amazonaws.com/model/{CLAUDE}/converse",
    ]


def test_a_price_may_depend_on_the_region(monkeypatch):
    plain = {name: said for name, said in ANSWER.items() if name not in ("serviceTier", "performanceConfig")}
    answer = Reply(body=json.dumps(plain).encode(), headers=JSON)
    for region, expected in (("eu-west-1", "0.0000018"), ("us-east-1", "0.0000012")):
        api, _ = scripted(answer, region=region, monkeypatch=monkeypatch)
        rates = {"input": "0.4", "output": "0", "cache_read": "0", "cache_write": "0", "cache_write_1h": "0"}
        api.register_price("bedrock/mine", **rates, multipliers={"region:eu-west-1": "1.5"})
        cost = api("bedrock/mine", "Hi").cost
        assert f"{cost.usd:f}" == expected


def test_a_wire_that_answers_in_one_piece_is_read_though_a_stream_was_asked_for(monkeypatch):
    api, _ = scripted(Reply(body=json.dumps(ANSWER).encode(), headers=JSON), monkeypatch=monkeypatch)
    assert api.stream(MODEL, "Hi").read().text == "Hi you"
    api, _ = scripted(Reply(body=STREAM, headers=JSON), monkeypatch=monkeypatch)
    assert api(MODEL, "Hi").text == "Hi you"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (THROTTLED, StreamInterruptedError),
        (refusal("throttlingException", "slow down"), RateLimitError),
        (refusal("serviceUnavailableException", "busy"), OverloadedError),
        (b"", StreamInterruptedError),
        (STREAM[:5], StreamInterruptedError),
        (b"\xff" * 20, ProtocolError),
    ],
)
def test_what_a_stream_says_instead_of_an_answer_is_raised(monkeypatch, body, error):
    api, _ = scripted(Reply(body=body, headers=FRAMES), monkeypatch=monkeypatch, retries=0)
    with pytest.raises(error):
        api.stream(MODEL, "Hi").read()


def test_a_point_of_a_cache_is_a_part(monkeypatch):
    api, script = scripted(Reply(body=json.dumps(ANSWER).encode(), headers=JSON), monkeypatch=monkeypatch)
    point = Text(text="", provider_data={NAME: {"cachePoint": {"type": "default", "ttl": "1h"}}})
    api(MODEL, ["A long text.", point, "And now?"])
    assert json.loads(script.requests[0].body)["messages"][0]["content"] == [
        {"text": "A long text."},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "And now?"},
    ]
