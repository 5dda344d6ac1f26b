"""Calls to Cohere from end to end, over real sockets: whole, streamed, async, tools, prices, refusals, the list."""

import json

import pytest

import invented_cohere as invented
from quoth import Message, ModelsAPI, Response, Settings, Tool, ToolCall, Usage
from quoth.errors import (
    ContextLengthError,
    MissingKeyError,
    RateLimitError,
    ResponseParseError,
    StreamInterruptedError,
)
from quoth.providers import PROVIDERS, ProviderTable
from quoth.providers._address import Given, find_address, is_foreign
from quoth.testing import FakeProvider, Fault, Reply, ScriptedTransport

MODEL = "command-a-03-2025"
WIRE = "cohere_chat"
ANSWER = Response(
    message=Message.assistant("Hello", ToolCall(id="c1", name="weather", arguments='{"city":"Paris"}')),
    finish_reason="tool_calls",
    model="",
    usage=Usage(input=100, output=50),
)
CITED = Response(
    message=Message(
        role="assistant", parts=Message.assistant("Hi").parts, provider_data={WIRE: {"citations": [invented.CITATION]}}
    ),
    finish_reason="stop",
    model="",
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    row = PROVIDERS.get("cohere")
    for name in (*row.key_variables, *row.base_url_variables, "QUOTH_PRICES", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_every_way_gives_the_same_answer_at_the_price_of_what_is_billed(ask):
    with FakeProvider(ANSWER, piece=2) as fake:
        tool = Tool(name="weather", parameters={"type": "object"}, strict=True)
        extra = {"cohere": {"documents": ["Paris is wet."]}}
        answer = ask(fake.models(), model=MODEL, system="Be brief.", tools=[tool], max_tokens=9, extra=extra)
        assert answer.message == ANSWER.message
        assert (answer.provider, answer.finish_reason) == ("cohere", "tool_calls")
        assert (answer.usage.input, answer.usage.output) == (100, 50)
        assert str(answer.cost) == "$0.00075"
        (request,) = fake.requests
    assert (request.path, request.wire) == ("/v2/chat", WIRE)
    assert request.json["documents"] == ["Paris is wet."]
    assert request.json["strict_tools"] is True
    assert (request.request.model, request.request.max_tokens) == (MODEL, 9)
    assert request.request.messages == (Message.system("Be brief."), Message.user("Hi"))


def scripted(*replies):
    script = ScriptedTransport(*replies)
    settings = Settings(transport=script, async_transport=script.aio, api_keys={"cohere": "k"}, retries=0)
    return ModelsAPI(settings, providers=ProviderTable()), script


def test_raw_tokens_stand_beside_what_is_billed(ask):
    """What was billed is priced; the larger counts, and what came from the cache, are there to be looked at."""
    events = Reply(body=invented.STREAM.encode(), headers=(("content-type", "text/event-stream"),))
    for reply in (Reply(body=json.dumps(invented.ANSWER).encode()), events):
        api, script = scripted(reply)
        answer = ask(api, model="command-a-03-2025")
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (67, 66)
        assert answer.usage.reported["tokens"]["input_tokens"] == 510
        assert answer.usage.reported["cached_tokens"] == 144
        assert str(answer.cost) == "$0.0008275"  # 67 at $2.50 and 66 at $10 a million
        assert script.requests[0].url == "https://api.cohere.com/v2/chat"


def test_a_conversation_goes_back_as_it_came_citations_and_all():
    with FakeProvider([CITED, ANSWER]) as fake:
        models = fake.models()
        first = models.stream(MODEL, "Hi").read()
        models(MODEL, [Message.user("Hi"), first.message, Message.user("More")])
        sent = fake.requests[1].json["messages"]
    assert sent[1] == {"role": "assistant", "content": "Hi", "citations": [invented.CITATION]}


def test_tools_are_run_and_the_results_sent():
    def weather(city: str) -> str:
        """Say how it is."""
        return f"Rain in {city}"

    with FakeProvider([ANSWER, "It rains."]) as fake:
        models = fake.models()
        asked = models(MODEL, "Weather?", tools=[Tool(name="weather")])
        result = weather(**asked.tool_calls[0].parse_arguments())
        told = models(MODEL, [Message.user("Weather?"), asked.message, Message.tool(asked.tool_calls[0], result)])
        assert told.text == "It rains."
        assert fake.requests[1].json["messages"][2] == {
            "role": "tool", "tool_call_id": "c1", "content": "Rain in Paris",
        }  # fmt: skip


def test_the_providers_no_is_its_class(ask):
    faults = [Fault(kind="context_length", request_id="r1"), Fault(kind="rate_limit", retry_after=7)]
    with FakeProvider(faults) as fake:
        models = fake.models(retries=0)
        with pytest.raises(ContextLengthError) as long:
            ask(models, model=MODEL)
        assert (long.value.provider_code, long.value.request_id) == ("TOO_MANY_TOKENS", "r1")
        with pytest.raises(RateLimitError) as limited:
            ask(models, model=MODEL)
        assert (limited.value.retry_after, limited.value.provider) == (7, "cohere")


def test_a_stream_that_breaks_off_is_no_answer(ask_streamed):
    faults = [Fault(answer="Hello there", cut=cut, after_events=4) for cut in ("close", "end", "error")]
    with FakeProvider(faults, piece=2) as fake:
        models = fake.models(retries=0)
        for _ in faults:
            with pytest.raises(StreamInterruptedError) as broken:
                ask_streamed(models, model=MODEL)
            assert broken.value.partial.text == "Hell"


def test_a_server_may_answer_in_one_piece_or_in_streams_as_it_likes(ask):
    with FakeProvider([Fault(answer="Hello", content_type="text/plain")] * 2, chunk=1) as fake:
        assert ask(fake.models(), model=MODEL).text == "Hello"
    api, _ = scripted(Reply(body=invented.STREAM.encode()), Reply(body=json.dumps(invented.ANSWER).encode()))
    whole, streamed = (ask(api, model=MODEL) for _ in range(2))
    assert whole == streamed


def test_an_answer_of_the_old_version_says_so():
    api, _ = scripted(Reply(body=b'{"text": "Hi", "generation_id": "g"}'))
    with pytest.raises(ResponseParseError, match="API v1"):
        api(MODEL, "Hi")


def test_the_compatible_endpoint_is_there_on_request():
    api, script = scripted(Reply(body=b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'))
    assert api(MODEL, "Hi", dialect="chat").text == "Hi"
    assert script.requests[0].url == "https://api.cohere.ai/compatibility/v1/chat/completions"
    api, script = scripted(Reply(body=(b"data: [DONE]\n\n",)))
    api.stream(MODEL, "Hi", dialect="chat").read()
    assert "stream_options" not in json.loads(script.requests[0].body)


@pytest.mark.parametrize(
    ("url", "chat"),
    [("https://deploy.example", False), ("https://api.cohere.ai/compatibility/v1", True),
     ("https://proxy.example/compatibility/v1", True), ("https://proxy.example/v1", True),
     ("https://api.cohere.com/other", False)],
)  # fmt: skip
def test_a_base_url_tells_by_its_path_which_wire_is_meant(url, chat):
    assert is_foreign(PROVIDERS.get("cohere"), Given(base_url=url), Given(), {}) is chat


def test_the_key_and_the_base_url_come_from_coheres_own_variables():
    row = PROVIDERS.get("cohere")
    around = {"CO_API_KEY": "k", "CO_API_URL": "https://deploy.example/"}
    address = find_address(row, Given(), Given(), around)
    assert (address.base_url, address.api_key) == ("https://deploy.example", "k")
    with pytest.raises(MissingKeyError, match="export CO_API_KEY="):
        find_address(row, Given(), Given(), {})


def test_the_models_that_cohere_has_are_listed():
    page = {"models": [{"name": "command-a-03-2025"}, {"name": "new-1"}], "next_page_token": ""}
    api, script = scripted(Reply(body=json.dumps(page).encode()))
    known, unheard = api.list(provider="cohere", refresh=True)
    assert (known.id, unheard.id) == ("cohere/command-a-03-2025", "cohere/new-1")
    assert known.price is not None
    assert script.requests[0].url == "https://api.cohere.com/v1/models"
