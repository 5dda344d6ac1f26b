"""Calls to Ollama from end to end, over real sockets: whole, streamed, async, tools, refusals, its list and address."""

import json

import pytest

import invented_ollama as invented
from quoth import Image, Message, ModelsAPI, Reasoning, Response, Settings, Tool, ToolCall, Usage
from quoth.errors import (
    APIConnectionError,
    ConfigurationError,
    InternalServerError,
    ModelNotFoundError,
    StreamInterruptedError,
    UnsupportedParameterError,
)
from quoth.providers import PROVIDERS, ProviderTable
from quoth.providers._address import Given, find_address, is_foreign
from quoth.testing import FakeProvider, Fault, Reply, ScriptedTransport

MODEL = "ollama/qwen3:4b"
WIRE = "ollama_chat"
ANSWER = Response(
    message=Message.assistant(
        Reasoning(text="hm", provider_data={WIRE: {}}),
        "Hello",
        ToolCall(id="ollama_7_0", name="weather", arguments='{"city":"Paris"}'),
    ),
    finish_reason="tool_calls",
    finish_reason_raw="stop",
    model="qwen3:4b",
    created=7,
    usage=Usage(input=100, output=50),
)
ROW = PROVIDERS.get("ollama")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in (*ROW.key_variables, *ROW.base_url_variables, "QUOTH_PRICES", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_every_way_gives_the_same_answer_which_costs_nothing(ask):
    with FakeProvider(ANSWER, piece=2) as fake:
        extra = {"ollama": {"keep_alive": "5m", "options": {"num_ctx": 8192}}}
        answer = ask(
            fake.models(), model=MODEL, system="Be brief.", tools=[Tool(name="weather")], max_tokens=9,
            reasoning="enabled", extra=extra,
        )  # fmt: skip
        assert answer.message == ANSWER.message
        assert (answer.model, answer.provider, answer.finish_reason) == ("qwen3:4b", "ollama", "tool_calls")
        assert (answer.usage.input, answer.usage.output, answer.cost.usd) == (100, 50, 0)
        assert answer.cost.kind == "local"
        (request,) = fake.requests
    assert (request.path, request.wire) == ("/api/chat", WIRE)
    assert request.json["options"] == {"num_predict": 9, "num_ctx": 8192}
    assert (request.json["think"], request.json["keep_alive"]) == (True, "5m")
    assert request.request.messages == (Message.system("Be brief."), Message.user("Hi"))


def scripted(*replies, **settings):
    script = ScriptedTransport(*replies)
    return ModelsAPI(
        Settings(transport=script, async_transport=script.aio, retries=0, **settings), providers=ProviderTable()
    ), script


LABELS = ("application/x-ndjson", "application/json; charset=utf-8", "text/plain")


@pytest.mark.parametrize("label", LABELS)
def test_a_stream_and_a_whole_answer_are_told_apart_whatever_their_label(ask, label):
    """Also where a stream was asked for and one piece comes, in one line or laid out, and the other way round."""
    whole = json.dumps(invented.ANSWER, ensure_ascii=False)
    pretty = json.dumps(invented.ANSWER, indent=2)
    bodies = [whole, f"{whole}\n", pretty, f"{pretty}\n", invented.STREAM]
    headers = (("content-type", label),)
    cut = [Reply(body=tuple(text.encode()[at : at + 5] for at in range(0, len(text.encode()), 5)), headers=headers)
           for text in bodies]  # fmt: skip
    api, script = scripted(*cut)
    answers = [ask(api, model=MODEL) for _ in bodies]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].text == "Grüße you"
    assert script.requests[0].url == "http://localhost:11434/api/chat"


def test_a_stream_gives_its_pieces():
    with FakeProvider("Hello there", piece=4) as fake:
        stream = fake.models().stream(MODEL, "Hi")
        assert list(stream) == ["Hell", "o th", "ere"]
        assert stream.response.usage.total_tokens == 4


def test_a_conversation_with_a_tool_replays_exactly():
    with FakeProvider([ANSWER, "It rains."]) as fake:
        models = fake.models()
        first = models.stream(MODEL, ["Weather here?", Image(data=b"\x89PNG\r\n\x1a\n")]).read()
        question = Message.user("Weather here?", Image(data=b"\x89PNG\r\n\x1a\n"))
        models(MODEL, [question, first.message, Message.tool(first.tool_calls[0], "Rain")])
        assert fake.requests[1].json["messages"] == [
            {"role": "user", "content": "Weather here?", "images": [invented.PIXEL]},
            {
                "role": "assistant",
                "content": "Hello",
                "thinking": "hm",
                "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}],
            },
            {"role": "tool", "content": "Rain", "tool_name": "weather"},
        ]


def test_the_servers_no_is_its_class(ask):
    missing = json.dumps({"error": "model 'qwen3:4b' not found"}).encode()
    with FakeProvider(Fault(status=404, body=missing)) as fake, pytest.raises(ModelNotFoundError) as caught:
        ask(fake.models(retries=0), model=MODEL)
    assert (caught.value.message, caught.value.provider) == ("model 'qwen3:4b' not found", "ollama")
    with pytest.raises(UnsupportedParameterError, match="cannot be made to call"):
        ask(scripted()[0], model=MODEL, tools=[Tool(name="f")], tool_choice="required")


def test_a_stream_that_breaks_off_is_no_answer(ask_streamed):
    faults = [Fault(answer="Hello there", cut=cut, after_events=2) for cut in ("close", "end", "error")]
    with FakeProvider(faults, piece=2) as fake:
        models = fake.models(retries=0)
        for _ in faults:
            with pytest.raises(StreamInterruptedError) as broken:
                ask_streamed(models, model=MODEL)
            assert broken.value.partial.text == "Hell"


def test_no_server_is_a_connection_that_says_where():
    api = ModelsAPI(Settings(base_urls={"ollama": "http://127.0.0.1:9"}, retries=0), providers=ProviderTable())
    with pytest.raises(APIConnectionError, match=r"127\.0\.0\.1:9"):
        api(MODEL, "Hi")
    api.close()


def test_the_models_that_it_has_are_listed():
    with FakeProvider(model_ids=["qwen3:4b", "llama3.2:latest"]) as fake:
        found = fake.models().list(provider="ollama", refresh=True)
    assert [model.id for model in found] == ["ollama/llama3.2:latest", "ollama/qwen3:4b"]
    tags = {"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "size": 1, "details": {"family": "qwen3"}}]}
    api, script = scripted(Reply(body=json.dumps(tags).encode()))
    assert [model.id for model in api.list(provider="ollama", refresh=True)] == ["ollama/qwen3:4b"]
    assert script.requests[0].url == "http://localhost:11434/api/tags"
    api, script = scripted(Reply(body=json.dumps(tags).encode()), base_urls={"ollama": "http://localhost:8000/v1"})
    api.list(provider="ollama", refresh=True)
    assert script.requests[0].url == "http://localhost:8000/api/tags"


# Where it is.

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
PLACES = [
    ({}, {}, "http://localhost:11434/api/chat"),
    ({"OLLAMA_HOST": "127.0.0.1"}, {}, "http://127.0.0.1:11434/api/chat"),
    ({"OLLAMA_HOST": "localhost:8000/v1"}, {}, "http://localhost:8000/api/chat"),
    ({"OLLAMA_BASE_URL": "http://localhost:8000/v1"}, {}, "http://localhost:8000/api/chat"),
    ({"OLLAMA_BASE_URL": "http://localhost:8000"}, {"dialect": "chat"}, f"http://localhost:8000{CHAT}"),
    ({"OLLAMA_HOST": "https://box.example"}, {"dialect": "responses"}, f"https://box.example{RESPONSES}"),
    ({}, {"base_url": "http://localhost:8000"}, "http://localhost:8000/api/chat"),
    ({}, {"base_url": "http://localhost:8000/v1"}, f"http://localhost:8000{CHAT}"),
    ({}, {"base_url": "https://box.example"}, "https://box.example/api/chat"),
    ({}, {"base_url": "https://box.example/v1"}, f"https://box.example{CHAT}"),
    ({}, {"base_url": "https://box.example/ollama"}, "https://box.example/ollama/api/chat"),
    ({}, {"dialect": "chat"}, f"http://localhost:11434{CHAT}"),
    ({}, {"base_url": "http://localhost:8000/v1", "dialect": "ollama_chat"}, "http://localhost:8000/api/chat"),
]  # fmt: skip


@pytest.mark.parametrize(("around", "options", "url"), PLACES)
def test_it_is_called_where_somebody_says_it_is(monkeypatch, around, options, url):
    for name, value in around.items():
        monkeypatch.setenv(name, value)
    api, script = scripted(Reply(status=500, body=b"{}"))
    with pytest.raises(InternalServerError):
        api(MODEL, "Hi", **options)
    assert script.requests[0].url == url


def test_a_base_url_of_the_settings_is_one_of_a_wire_too():
    for base, path in (("http://localhost:8000", "/api/chat"), ("http://localhost:8000/v1", "/chat/completions")):
        api, script = scripted(Reply(status=500, body=b"{}"), base_urls={"ollama": base})
        with pytest.raises(InternalServerError):
            api(MODEL, "Hi")
        assert script.requests[0].url == base + path


@pytest.mark.parametrize(
    ("value", "words"),
    [("192.168.1.5", "plain http to another machine: 'http://192.168.1.5:11434'; use https"),
     ("ftp://localhost", "OLLAMA_HOST is no base URL"), ("localhost:99999", "OLLAMA_HOST is no base URL"),
     ("a b", "OLLAMA_HOST is no base URL")],
)  # fmt: skip
def test_a_host_that_cannot_be_used_names_its_variable(value, words):
    with pytest.raises(ConfigurationError, match=words):
        find_address(ROW, Given(), Given(), {"OLLAMA_HOST": value})


def test_no_host_is_foreign_to_a_server_of_ones_own():
    for url, chat in (("https://box.example", False), ("https://box.example/v1", True), ("http://localhost/v1", True)):
        assert is_foreign(ROW, Given(base_url=url), Given(), {}) is chat


def test_a_key_is_sent_where_there_is_one():
    api, script = scripted(Reply(body=json.dumps(invented.ANSWER).encode()), api_keys={"ollama": "k"})
    api(MODEL, "Hi")
    assert ("authorization", "Bearer k") in script.requests[0].headers
    api, script = scripted(Reply(body=json.dumps(invented.ANSWER).encode()), api_keys={"ollama-cloud": "k"})
    api("ollama-cloud/gpt-oss:120b", "Hi", dialect="ollama_chat")
    assert script.requests[0].url == "https://ollama.com/api/chat"
