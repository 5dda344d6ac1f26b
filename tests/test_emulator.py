"""Our client against an emulator that others wrote, where Node is: several wires on one port, streams, tools, and the
faults that it injects. What it does otherwise than the providers whose wires it speaks stands here as what it does."""

import pytest

from emulator import emulator
from quoth import Message, ModelsAPI, Settings, Tool
from quoth.dialects import CLIENTS
from quoth.errors import APIConnectionError, InternalServerError, RateLimitError, ResponseParseError
from quoth.providers import ProviderTable
from sdks import CannotBeMadeError
from ways import STREAMS, WAYS

WIRES = {
    "chat": ("/v1", "openai_chat"),
    "responses": ("/v1", "openai_responses"),
    "messages": ("", "anthropic_messages"),
    "gemini": ("", "gemini"),
    "ollama": ("", "ollama_chat"),
    "cohere": ("", "cohere_chat"),
    "converse": ("", "bedrock_converse"),
}
"""The providers that the tests register: one emulator, and a wire for each, where quoth speaks it."""
SPOKEN = [name for name, (_, dialect) in WIRES.items() if dialect in CLIENTS]
every_wire = pytest.mark.parametrize("wire", SPOKEN)

TEXT = "It may — perhaps — rain. 🌧 And it may be dry, too."
COUNTED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CALL = {"id": "call_1", "name": "weather", "arguments": {"city": "Paris"}}
FIXTURES = [
    {"match": {"model": "text"}, "response": {"content": TEXT, "usage": COUNTED}},
    {"match": {"model": "tools", "hasToolResult": True}, "response": {"content": "It rains."}},
    {"match": {"model": "tools"}, "response": {"content": "Let me see.", "toolCalls": [CALL]}},
    {"match": {"model": "o3"}, "response": {"content": "Yes.", "reasoning": "Is it? It is."}},
    {"match": {"model": "slow"}, "response": {"error": {"message": "slow down", "type": "requests"}, "status": 429}},
    {"match": {"model": "cut"}, "response": {"content": "abcdefgh" * 20}, "truncateAfterChunks": 3, "chunkSize": 5},
]
TOOL = Tool(
    name="weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    try:
        with emulator(FIXTURES, tmp_path_factory.mktemp("emulator") / "fixtures.json") as url:
            yield url
    except CannotBeMadeError as error:
        pytest.skip(f"the emulator of npm cannot be installed: {error}")


def registered(url):
    """A ModelsAPI that knows the emulator as a provider for each wire."""
    keys = {f"emulated-{name}": "k" for name in SPOKEN}
    api = ModelsAPI(Settings(api_keys=keys, retries=0), providers=ProviderTable())
    for name in SPOKEN:
        path, dialect = WIRES[name]
        api.register_provider(f"emulated-{name}", base_url=f"{url}{path}", dialect=dialect, key_variables=("K",))
    return api


@pytest.fixture(scope="module")
def api(url):
    api = registered(url)
    yield api
    api.close()


def each_way(url):
    """Each way to call, with an API of its own: one that was told to wait does."""
    for way, ask in WAYS.items():
        api = registered(url)
        yield way, ask, api
        api.close()


UNCOUNTED = ("ollama",)
"""The wires on which it counts nothing, whatever the fixture says."""


@every_wire
def test_an_answer_is_understood_in_every_way_to_call(api, wire):
    for way, ask in WAYS.items():
        response = ask(api, "Hi", f"emulated-{wire}/text", max_tokens=50, temperature=0.5)
        assert response.text == TEXT, way
        assert response.finish_reason == "stop", way
        counts = (0, 0) if wire in UNCOUNTED else (10, 5)
        assert (response.usage.total_input, response.usage.total_output) == counts, way
        assert response.call.request_id is not None, way


@every_wire
def test_a_stream_comes_in_pieces(api, wire):
    pieces = list(api.stream(f"emulated-{wire}/text", "Hi"))
    assert "".join(pieces) == TEXT
    assert len(pieces) > 1


FOREIGN_WORDS = {"gemini": "other"}
"""It ends Gemini's answers with calls by ``FUNCTION_CALL``, which is no word of Google's."""
PLANNED = ("cohere",)
"""The wires on which it makes up a plan for the tools, in streams."""


@every_wire
def test_tools_go_round(api, wire):
    for way, ask in WAYS.items():
        question = Message.user("Weather?")
        first = ask(api, [question], f"emulated-{wire}/tools", tools=[TOOL])
        (call,) = first.tool_calls
        assert (call.name, call.parse_arguments()) == ("weather", {"city": "Paris"}), way
        assert first.text == "Let me see." or (wire in PLANNED and first.text.startswith("Let me see.")), way
        assert first.finish_reason in ("tool_calls", FOREIGN_WORDS.get(wire, "tool_calls")), way
        turns = [question, first.message, Message.tool(call, "Rain.")]
        assert ask(api, turns, f"emulated-{wire}/tools", tools=[TOOL]).text == "It rains.", way


UNTHOUGHT = ("cohere", "ollama")
"""The wires on which it tells no thoughts, or in a field that the provider does not have."""


@pytest.mark.parametrize("wire", [wire for wire in SPOKEN if wire not in UNTHOUGHT])
def test_thoughts_are_told_apart(api, wire):
    for way, ask in WAYS.items():
        response = ask(api, "Hi", f"emulated-{wire}/o3")
        assert (response.text, response.reasoning) == ("Yes.", "Is it? It is."), way


# Faults.


@every_wire
def test_a_refusal_is_an_error_of_its_kind(url, wire):
    for way, ask, api in each_way(url):
        with pytest.raises(RateLimitError, match="slow down") as caught:
            ask(api, "Hi", f"emulated-{wire}/slow")
        assert (caught.value.status, caught.value.retry_after) == (429, 1.0), way


CHAOS = {
    "drop": InternalServerError,
    "ratelimit": RateLimitError,
    "malformed": ResponseParseError,
    "disconnect": APIConnectionError,
}


@every_wire
@pytest.mark.parametrize("fault", CHAOS)
def test_a_fault_that_it_injects_is_what_it_is(url, wire, fault):
    for _, ask, api in each_way(url):
        with pytest.raises(CHAOS[fault]) as caught:
            ask(api, "Hi", f"emulated-{wire}/text", headers={f"x-aimock-chaos-{fault}": "1"})
        assert caught.value.retryable or fault == "malformed"


@every_wire
def test_a_stream_that_it_breaks_off_was_cut(api, wire):
    for way, ask in STREAMS.items():
        with pytest.raises(APIConnectionError) as caught:
            ask(api, "Hi", f"emulated-{wire}/cut")
        assert caught.value.partial is None or not caught.value.partial.text.endswith("abcdefgh" * 20), way
