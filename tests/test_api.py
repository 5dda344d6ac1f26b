"""The user's words: what is passed reaches the request as it was meant, or is refused in words before it is sent."""

import asyncio
import collections
import copy
import json
import math
import re
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from quoth import (
    Audio,
    Document,
    EnvironmentKey,
    Image,
    Message,
    ModelBinding,
    ModelsAPI,
    QuothError,
    Response,
    Secret,
    Settings,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    models,
)
from quoth._options import CHECKS, CallOptions, check_options
from quoth._prompt import conversation
from quoth.dialects.openai_chat.server import build_response
from quoth.errors import (
    ConfigurationError,
    InputError,
    InputTypeError,
    NotBuiltError,
    UnknownModelError,
    UnsupportedParameterError,
)
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport
from quoth.types import ModelRequest, OutputFormat, RetryPolicy, ToolResult
from tables import chat_table

HELLO = Response(message=Message.assistant("Hello"), finish_reason="stop", model="gpt-4")
VERBS = ("batch", "map")


@pytest.fixture
def script(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return ScriptedTransport(lambda request: Reply(body=build_response(HELLO).body))


@pytest.fixture
def api(script):
    return api_of(script)


def api_of(script):
    settings = Settings(transport=script, async_transport=script.aio, api_keys={"openai": "k"})
    return ModelsAPI(settings, providers=chat_table())


def last_body(script):
    return json.loads(script.requests[-1].body)


# What is passed is what is sent.


def test_a_call_sends_the_model_and_the_prompt_and_gives_the_answer(api, script):
    answer = api("gpt-4", "Hi é")
    assert isinstance(answer, Response)
    assert str(answer) == "Hello"
    assert last_body(script) == {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi é"}]}
    assert script.requests[0].url == "https://api.openai.com/v1/chat/completions"


SPELLED = {
    "system": ("Be brief.", None),  # a message, see below
    "max_tokens": (7, {"max_completion_tokens": 7}),
    "temperature": (0, {"temperature": 0}),
    "top_p": (0.5, {"top_p": 0.5}),
    "stop": ("END", {"stop": ["END"]}),
    "seed": (-3, {"seed": -3}),
    "tools": ([Tool(name="f")], {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    "tool_choice": ("required", {"tool_choice": "required"}),
    "extra": ({"openai": {"store": False}}, {"store": False}),
}


@pytest.mark.parametrize("name", SPELLED)
def test_each_option_reaches_the_body(api, script, name):
    value, spelled = SPELLED[name]
    api("gpt-4", "Hi", **{name: value})
    body = last_body(script)
    if name == "system":
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    else:
        assert body == {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}], **spelled}


def test_headers_reach_the_request_in_lower_case_after_ours(api, script):
    api("gpt-4", "Hi", headers={"X-Trace": "a b"})
    assert script.requests[-1].headers[-1] == ("x-trace", "a b")
    assert dict(script.requests[-1].headers)["content-type"] == "application/json"


def test_every_option_was_tried_and_is_typed():
    assert (
        set(SPELLED)
        | {
            "timeout",
            "api_key",
            "base_url",
            "headers",
            "price",
            "tags",
            "dialect",
            "check",
            "reasoning",
            "retries",
            "fallback",
            "budget",
            "on_budget",
            "output",
            "repairs",
        }
        == set(CHECKS)
        == {*CallOptions.__annotations__, "output"}  # a parameter of its own: it says the type of the answer
    )


@pytest.mark.parametrize("name", CHECKS)
def test_an_option_that_is_none_is_not_given(api, script, name):
    api("gpt-4", "Hi", **{name: None})
    assert last_body(script) == {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}]}


def test_system_comes_before_the_conversation_and_beside_its_own(api, script):
    api("gpt-4", [Message.system("A"), Message.user("B")], system="S")
    assert [message["content"] for message in last_body(script)["messages"]] == ["S", "A", "B"]


def test_extra_goes_to_the_provider_that_it_names_by_any_of_its_names(script):
    api = api_of(script)
    api.register_provider("mine", base_url="http://localhost:1", aliases=("my",))
    extra = {"openai": {"a": 1}, "my": {"b": 2}, "mine": {"c": 3}}
    api("mine/x", "Hi", extra=extra)
    assert {"b": 2, "c": 3}.items() <= last_body(script).items()
    api("gpt-4", "Hi", extra=extra)
    assert last_body(script).keys() == {"model", "messages", "a"}


# Good and bad values of each option.

GOOD = {
    "output": [
        int,
        list[int],
        dict[str, bool],
        int | None,
        {"type": "object"},
        {},
        OutputFormat(),
        OutputFormat(schema={}),
    ],
    "repairs": [0, 1, 5],
    "system": ["x", "é\n"],
    "max_tokens": [1, 10**9],
    "temperature": [0, 2, 0.7, -0.0],
    "top_p": [0, 1, 0.5],
    "stop": ["x", ["x", "y"], ("x",), [], " "],
    "seed": [0, -1, 2**40],
    "tools": [[], [Tool(name="f")], ({"name": "f"},)],
    "tool_choice": ["auto", "none", "required", "my_tool", ToolChoice(mode="auto")],
    "reasoning": ["low", "none", "xhigh", 0, 1024],
    "dialect": ["chat", "openai_chat", "messages"],
    "check": ["warn", "strict", "off"],
    "timeout": [1, 0.001, 1e9],
    "api_key": ["k", " k\n", Secret("k"), EnvironmentKey("A_KEY"), lambda: "k"],
    "base_url": ["https://x.example", "http://localhost:1/"],
    "headers": [{}, {"x": ""}, {"X-A": "1"}],
    "extra": [{}, {"openai": {}}, {"google": {"a": [1]}}],
    "price": [{"input": "2"}, {"input": 0.5, "output": Decimal(1)}, {"multiplier": "0.9"}, {"extends": "openai/gpt-5"}],
    "tags": [{}, {"a": "b"}, {"x" * 64: "é" * 256}, {f"t{n}": "v" for n in range(32)}],
    "retries": [0, 5, RetryPolicy(), RetryPolicy(retries=0, backoff=0.1)],
    "fallback": [[], ["claude-sonnet-5-5"], ("gpt-4", "local/smollm2"), [ModelsAPI().bind("gpt-4")]],
    "budget": [ModelsAPI().budget("5"), [], (ModelsAPI().budget("5"), ModelsAPI().budget("1", per="day"))],
    "on_budget": ["raise", "cap"],
}
BAD = {
    "output": [5, "int", b"int", 1.5, [int], (int,), complex, object(), lambda: 1, {"type": object()}],
    "repairs": [-1, 1.5, "1", True, [1]],
    "system": [5, "", " \n", ["x"], b"x"],
    "max_tokens": [0, -1, 1.5, "5", True],
    "temperature": [-0.1, 2.1, math.nan, math.inf, -math.inf, "1", True, Decimal(1), 10**9],
    "top_p": [-0.1, 1.1, math.nan, "1", False],
    "stop": [5, "", [""], ["x", 5], ["x", ""], b"x", {"x": 1}],
    "seed": [1.0, "1", True, -(2**63) - 1],
    "tools": ["f", {"name": "f"}, [5], ["f"], [{}], [{"name": 5}], [{"name": "f", "code": 1}], [{"function": "f"}]],
    "tool_choice": [5, {"mode": "auto"}, ["auto"]],
    "reasoning": ["", " ", "a lot", "LOW", -1, 1.5, True, ["low"], b"low"],
    "dialect": [5, "", "smoke", "Chat", ["chat"], "gemini"],
    "check": [5, "", "loud", True, ["warn"]],
    "timeout": [0, -1, math.nan, math.inf, "5", True],
    "api_key": [5, "", " ", "a\nb", "é", Secret(""), Secret("é"), b"k", ["k"]],
    "base_url": [5, "", "x.example", "http://x.example"],
    "headers": [5, [("a", "b")], {"a": 5}, {5: "a"}, {"a b": "c"}, {"": "c"}, {"a": "b\r\nc: d"}, {"a": "é"},
                {"Host": "x"}, {"content-length": "1"}, {"Transfer-Encoding": "chunked"}, {"connection": "close"}],
    "extra": [5, [], {"openai": 5}, {"openai": None}, {"store": False}],
    "price": [5, "2", [], {}, {1: "2"}, {"inputs": "2"}, {"input": "x"}, {"input": -1}, {"input": math.nan},
              {"input": True}, {"multiplier": "-1"}, {"modes": 5}, {"tiers": [{"input": "2"}]}],
    "tags": [5, "a=b", ["a"], [("a", "b")], {"a": 1}, {1: "a"}, {"a": None}, {"": "a"}, {"a": ""}, {"a": "x\n"},
             {"x" * 65: "a"}, {"a": "x" * 257}, {f"t{n}": "v" for n in range(33)}, {"a": "\x1b[2J"}],
    "retries": [-1, 1.5, "2", True, [2], 10**9, RetryPolicy(retries=-1), RetryPolicy(retries=1.5),
                RetryPolicy(backoff=float("nan")), RetryPolicy(longest_wait="long")],
    "fallback": ["gpt-4", 5, [5], [None], {"gpt-4": 1}, ["gpt-4", b"x"]],
    "budget": ["5.00", 5, 5.0, ["5"], {"limit": "5"}, [None]],
    "on_budget": [5, "", "ignore", True],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in GOOD for value in GOOD[name]])
def test_a_good_value_is_taken(name, value):
    assert name in check_options({name: value})


def without_address(value):
    """The same in each process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]], ids=without_address)
def test_a_bad_value_is_refused_by_name_before_anything_is_sent(api, script, name, value):
    with pytest.raises(InputError, match=name) as caught:
        api("gpt-4", "Hi", **{name: value})
    assert isinstance(caught.value, ValueError)
    assert script.requests == []
    with pytest.raises(InputError, match=name):
        api.bind("gpt-4", **{name: value})


def test_every_option_has_good_and_bad_values():
    assert set(GOOD) == set(BAD) == set(CHECKS)


@given(st.sampled_from(sorted(CHECKS)), st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats() | st.text(max_size=4) | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3), max_leaves=4,
))  # fmt: skip
def test_any_value_is_taken_or_refused_with_an_input_error(name, value):
    refusal = name
    try:
        check_options({name: value})
    except (InputError, NotBuiltError) as error:
        refusal = str(error)
    assert name in refusal


@pytest.mark.parametrize("name", ["temperature", "timeout"])
def test_a_number_that_no_float_can_hold_is_refused_in_words(name):
    with pytest.raises(InputError, match=name):
        check_options({name: 10**400})


def test_extra_for_a_provider_whose_name_is_no_text_is_refused_in_words(api):
    with pytest.raises(InputError, match="extra"):
        api.bind("gpt-4", extra={5: {}})


def test_extra_for_a_provider_that_nobody_knows_is_refused_by_name(api):
    with pytest.raises(ConfigurationError, match=r"'opnai' is none"):
        api.bind("gpt-4", extra={"opnai": {"store": False}})


@pytest.mark.parametrize(
    "options", [{"extra": {"openai": {"x": object()}}}, {"tools": [{"name": "f", "parameters": {"x": object()}}]}]
)
def test_a_value_that_json_cannot_say_is_refused_in_words(api, options):
    with pytest.raises(QuothError):
        api("gpt-4", "Hi", **options)


# Tools.


@pytest.mark.parametrize(
    "tool",
    [
        Tool(name="f", description="d", parameters={"type": "object"}, strict=True),
        {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "function",
         "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}},
    ],
    ids=["Tool", "bare", "Responses", "Chat"],
)  # fmt: skip
def test_a_tool_in_each_form_is_the_same_on_the_wire(api, script, tool):
    api("gpt-4", "Hi", tools=[tool])
    assert last_body(script)["tools"] == [
        {"type": "function",
         "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}}
    ]  # fmt: skip


def test_a_tool_choice_may_name_a_tool(api, script):
    for choice in ("f", ToolChoice(mode="tool", name="f")):
        api("gpt-4", "Hi", tools=[Tool(name="f")], tool_choice=choice)
        assert last_body(script)["tool_choice"] == {"type": "function", "function": {"name": "f"}}


def test_a_function_is_sent_as_the_tool_that_it_is(api, script):
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return city

    api("gpt-4", "Hi", tools=[get_weather])
    assert last_body(script)["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Tell the weather.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
            },
        }
    ]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}},
        {"type": "web_search", "name": "f"},
    ],
)
def test_nothing_of_a_tool_is_dropped_silently(api, script, tool):
    try:
        api("gpt-4", "Hi", tools=[tool])
    except InputError:
        return
    assert last_body(script)["tools"] == [tool]


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [{"name": ""}]},
        {"tools": [{"name": "f", "parameters": "object"}]},
        {"tools": [{"name": "f", "description": 5}]},
        {"tools": [{"name": "f", 5: 1, "x": 2}]},
        {"tool_choice": ""},
        {"tool_choice": ToolChoice(mode="tool")},
    ],
    ids=repr,
)
def test_a_tool_that_no_provider_can_use_is_refused(options):
    with pytest.raises(InputError):
        check_options(options)


# Options and verbs that are none, or not yet.


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("temprature", "temperature"), ("max_token", "max_tokens"), ("toolchoice", "tool_choice"), ("key", "api_key")],
)
def test_a_misspelt_option_is_answered_with_the_nearest(api, wrong, meant):
    with pytest.raises(InputTypeError, match=f"no option '{wrong}': did you mean '{meant}'") as caught:
        api("gpt-4", "Hi", **{wrong: 1})
    assert isinstance(caught.value, TypeError)
    assert "extra={" in str(caught.value)


def test_an_option_like_no_other_is_answered_with_all_of_them(api):
    with pytest.raises(InputTypeError) as caught:
        api("gpt-4", "Hi", zzz=1)
    assert all(name in str(caught.value) for name in CHECKS)


def test_stream_as_an_option_is_answered_with_the_verb(api):
    with pytest.raises(InputError, match=r"\.stream\("):
        api("gpt-4", "Hi", stream=True)


def test_stream_in_extra_is_answered_with_the_verb(api, script):
    with pytest.raises(UnsupportedParameterError, match=r"models\.stream\("):
        api("gpt-4", "Hi", extra={"openai": {"stream": True}})
    assert script.requests == []


@pytest.mark.parametrize("name", VERBS)
def test_a_planned_verb_is_absent_and_says_why(name):
    assert not hasattr(models, name)
    with pytest.raises(AttributeError, match=f"models.{name} is not built yet"):
        getattr(models, name)


def test_a_verb_that_nobody_plans_is_absent():
    with pytest.raises(AttributeError, match="no attribute 'chatt'"):
        _ = models.chatt
    assert copy.copy(models)._service is models._service


# Prompts.

PICTURE = Image(url="https://x.example/cat.png")
CALL = ToolCall(id="1", name="f", arguments="{}")
ONE_TURN = {
    "text": ("Hi", (Text(text="Hi"),)),
    "a part": (PICTURE, (PICTURE,)),
    "list of texts": (["a", "b"], (Text(text="a"), Text(text="b"))),
    "tuple": (("a", PICTURE), (Text(text="a"), PICTURE)),
    "text and parts": (
        ["What is this?", PICTURE, Text(text="?")],
        (Text(text="What is this?"), PICTURE, Text(text="?")),
    ),
    "an empty text beside a part": (["", PICTURE], (Text(text=""), PICTURE)),
}


@pytest.mark.parametrize("name", ONE_TURN)
def test_strings_and_parts_are_one_turn_of_the_user(name):
    prompt, parts = ONE_TURN[name]
    assert conversation(prompt) == (Message(role="user", parts=parts),)


def test_messages_are_a_conversation_as_they_are():
    messages = (Message.user("2+2?"), Message.assistant("4"), Message.user("times 3?"))
    assert conversation(list(messages)) == conversation(messages) == messages
    assert conversation(messages[0]) == messages[:1]
    assert conversation(messages, "S") == (Message.system("S"), *messages)


OPENAI_STYLE = [
    {"role": "system", "content": "S"},
    {"role": "developer", "content": "D"},
    {"role": "user", "content": [{"type": "text", "text": "a"},
                                 {"type": "image_url", "image_url": {"url": "https://x.example/cat.png"}}]},
    {"role": "assistant", "content": None,
     "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "4"},
    {"role": "user", "content": "thanks", "name": "ann"},
]  # fmt: skip


def test_dicts_in_openais_form_are_read_and_sent_as_they_are(api, script):
    api("gpt-6-luna", OPENAI_STYLE)
    assert last_body(script)["messages"] == OPENAI_STYLE
    roles = [message.role for message in conversation(OPENAI_STYLE)]
    assert roles == ["system", "system", "user", "assistant", "tool", "user"]
    assert conversation(OPENAI_STYLE)[2].parts == (Text(text="a"), PICTURE)
    assert conversation(OPENAI_STYLE)[3].parts == (CALL,)


def test_dicts_and_messages_together_are_a_conversation():
    mixed = [
        Message.user("a"),
        {"role": "assistant", "content": "b"},
        collections.OrderedDict(role="user", content="c"),
    ]
    assert [message.text for message in conversation(mixed)] == ["a", "b", "c"]


def test_an_answers_message_goes_back_into_the_conversation(api, script):
    first = Message.user("Hi")
    answer = api("gpt-4", [first])
    api("gpt-4", [first, answer.message, Message.user("and?")])
    assert [message["content"] for message in last_body(script)["messages"]] == ["Hi", "Hello", "and?"]


@pytest.mark.parametrize(
    "prompt",
    [["a", Message.user("b")], [Message.user("b"), PICTURE], ["a", {"role": "user", "content": "b"}],
     [{"role": "user", "content": "b"}, Text(text="a")]],
    ids=["text first", "message first", "dict", "dict first"],
)  # fmt: skip
def test_a_mixture_of_messages_and_parts_is_a_type_error_that_says_both_ways_out(prompt):
    with pytest.raises(TypeError, match="mixes messages") as caught:
        conversation(prompt)
    assert "one turn" in str(caught.value)
    assert "conversation" in str(caught.value)


@pytest.mark.parametrize("prompt", ["", " \n\t", [], (), [""], ["", " "]], ids=repr)
def test_an_empty_prompt_is_refused(prompt):
    with pytest.raises(InputError, match="empty"):
        conversation(prompt)


@pytest.mark.parametrize("prompt", [Text(text=""), [Text(text=" ")], ["", Text(text="")]], ids=repr)
def test_a_prompt_is_as_empty_in_one_form_as_in_another(prompt):
    with pytest.raises(InputError, match="empty"):
        conversation(prompt)


@pytest.mark.parametrize(
    "prompt",
    [None, 5, 1.5, {"role": "user", "content": "x"}, {"a"}, iter(["a"]), object(), ["a", 5], [5], [None], [["a"]],
     [Message.user("a"), 5], Message, ["a", Response]],
    ids=lambda prompt: type(prompt).__name__,
)  # fmt: skip
def test_what_is_no_prompt_is_refused_by_its_type(prompt):
    with pytest.raises(InputTypeError, match="a prompt is a str, a part, a Message, or a list of them, not"):
        conversation(prompt)


def test_what_is_often_passed_by_mistake_has_an_answer_of_its_own(api):
    with pytest.raises(InputTypeError, match=r"\.message into the conversation"):
        api("gpt-4", HELLO)
    with pytest.raises(InputTypeError, match=r"\.message into the conversation"):
        api("gpt-4", [Message.user("a"), HELLO])
    with pytest.raises(InputTypeError, match="wrap a picture"):
        api("gpt-4", b"x")
    for message in ({"content": "x"}, {"role": 5, "content": "x"}, {}):
        with pytest.raises(InputError, match="needs a role"):
            api("gpt-4", [message])


def test_a_misspelt_role_is_refused():
    with pytest.raises(InputError, match="assitant"):
        conversation([{"role": "assitant", "content": "x"}])


def test_a_dict_with_a_key_that_is_no_text_is_refused_in_words():
    with pytest.raises(InputError):
        conversation([{"role": "user", "content": "x", 5: 1}])


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["role", "content", "name", "tool_calls", "tool_call_id", "refusal", "x", "function_call"])
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "developer", "function"])


@given(ROLES, st.dictionaries(FIELDS, JSON_LIKE, max_size=4))
def test_any_dict_with_a_role_is_a_message_of_that_role_or_refused_and_nothing_of_it_is_lost(role, fields):
    script = ScriptedTransport(lambda request: Reply(body=build_response(HELLO).body))
    wire = {"content": "x", **fields, "role": role}
    try:
        api_of(script)("gpt-4", [wire])
    except QuothError:
        assert script.requests == []
    else:
        assert last_body(script)["messages"] == [wire]


@given(st.lists(st.one_of(
    st.text(max_size=3), st.just(PICTURE), st.just(CALL), st.just(Message.user("m")), st.just({"role": "user"}),
    st.none(), st.integers(), st.just(Audio(data=b"", media_type="audio/wav")), st.just(Document(file_id="f")),
    st.just(ToolResult(call_id="1", parts=())),
), max_size=4))  # fmt: skip
def test_any_list_is_one_turn_or_a_conversation_or_refused(items):
    try:
        messages = conversation(items)
    except InputError:
        return
    if len(messages) == 1 and not isinstance(items[0], (Message, dict)):
        assert len(messages[0].parts) == len(items)
    else:
        assert len(messages) == len(items)
    assert all(isinstance(message, Message) for message in messages)


# Bindings.


def test_a_binding_gives_what_a_direct_call_gives(api, script):
    direct, bound = api("gpt-4", "Hi", temperature=0), api.bind("gpt-4", temperature=0)("Hi")
    assert direct == bound
    assert type(direct) is type(bound)
    assert script.requests[0].body == script.requests[1].body


def test_options_of_a_call_win_over_the_bound_ones_for_this_call_only(api, script):
    binding = api.bind("gpt-4", temperature=0, max_tokens=5, system="A")
    before = repr(binding)
    sent = []
    for options in ({}, {"temperature": 1, "system": "B"}, {}):
        binding("Hi", **options)
        sent.append(last_body(script))
    assert sent[0] == sent[2]
    assert [body["temperature"] for body in sent] == [0, 1, 0]
    assert [body["messages"][0]["content"] for body in sent] == ["A", "B", "A"]
    assert all(body["max_completion_tokens"] == 5 for body in sent)
    assert repr(binding) == before


OPTIONS = st.fixed_dictionaries({}, optional={
    "temperature": st.sampled_from([None, 0, 0.5, 1]),
    "max_tokens": st.sampled_from([None, 1, 2]),
    "stop": st.sampled_from([None, "a", ["b"]]),
    "system": st.sampled_from([None, "A", "B"]),
    "extra": st.sampled_from([None, {"openai": {"a": 1}}, {"openai": {"b": 1}}]),
})  # fmt: skip


@given(OPTIONS, OPTIONS, OPTIONS)
def test_binding_in_steps_is_binding_at_once_with_the_later_option_winning(first, second, third):
    api = api_of(ScriptedTransport())
    steps = api.bind("gpt-4", **first).bind(**second).bind(**third).prepare("Hi")
    given_values = [{key: value for key, value in each.items() if value is not None} for each in (first, second, third)]
    at_once = api.bind("gpt-4", **{**given_values[0], **given_values[1], **given_values[2]}).prepare("Hi")
    assert steps.request == at_once.request
    assert isinstance(steps.request, ModelRequest)


def test_a_further_binding_leaves_the_first_as_it_is(api, script):
    first = api.bind("gpt-4", temperature=0)
    second = first.bind(temperature=1, seed=5)
    first("Hi")
    assert last_body(script)["temperature"] == 0
    assert "seed" not in last_body(script)
    second("Hi")
    assert (last_body(script)["temperature"], last_body(script)["seed"]) == (1, 5)


def test_an_unknown_model_or_a_bad_option_is_refused_when_it_is_bound(api):
    with pytest.raises(UnknownModelError):
        api.bind("nobody-knows")
    with pytest.raises(InputError):
        api.bind("gpt-4", temperature=9)
    with pytest.raises(InputTypeError):
        api.bind("gpt-4").bind(temprature=1)


def test_binding_needs_no_key_and_sends_nothing():
    script = ScriptedTransport()
    binding = ModelsAPI(Settings(transport=script), providers=chat_table()).bind("gpt-4")
    assert binding.id == "openai/gpt-4"
    assert script.requests == []


def test_a_binding_shows_its_model_and_options(api):
    assert repr(api.bind("gpt-4", temperature=0, stop="x")) == "ModelBinding('gpt-4', temperature=0, stop=('x',))"
    assert repr(api.bind("gpt-4").aio) == "ModelBinding('gpt-4').aio"
    assert isinstance(api.bind("gpt-4"), ModelBinding)


def test_a_binding_follows_a_provider_that_is_registered_again(api, script):
    binding = api.bind("gpt-4")
    api.register_provider("openai", base_url="https://gateway.example/v9")
    binding("Hi", api_key="k")
    assert script.requests[-1].url == "https://gateway.example/v9/chat/completions"


def test_a_binding_does_not_change_with_the_callers_dict(api, script):
    extra = {"openai": {"store": False}}
    binding = api.bind("gpt-4", extra=extra)
    extra["openai"]["store"] = True
    binding("Hi", temperature=0)
    assert last_body(script)["store"] is False


def test_one_binding_serves_many_calls_of_both_worlds(api, script):
    binding = api.bind("gpt-4")

    async def main():
        return await asyncio.gather(*[binding.aio(f"a{number}") for number in range(20)])

    answers = [binding(f"b{number}") for number in range(20)] + asyncio.run(main())
    assert {answer.text for answer in answers} == {"Hello"}
    assert len({json.loads(request.body)["messages"][0]["content"] for request in script.requests}) == 40


# The async twins.


def test_the_async_words_send_what_the_blocking_ones_send(api, script):
    options = {"temperature": 0, "system": "S", "extra": {"openai": {"a": 1}}}

    async def main():
        await api.aio("gpt-4", "Hi", **options)
        await api.aio.bind("gpt-4", **options)("Hi")
        await api.bind("gpt-4").aio("Hi", **options)

    api("gpt-4", "Hi", **options)
    asyncio.run(main())
    assert len({(request.url, request.headers, request.body) for request in script.requests}) == 1
    assert len(script.requests) == 4


@pytest.mark.parametrize("word", ["bind", "id"])
def test_an_async_binding_has_the_words_of_a_binding(api, word):
    assert hasattr(api.bind("gpt-4").aio, word)


def test_bad_input_is_refused_by_the_async_words_too(api, script):
    async def main():
        for call in (api.aio("gpt-4", ""), api.aio("gpt-4", "Hi", zzz=1), api.aio("nobody-knows", "Hi")):
            with pytest.raises(InputError):
                await call
        for start in (lambda: api.aio.stream("gpt-4", ""), lambda: api.aio.bind("gpt-4", zzz=1)):
            with pytest.raises(InputError):
                start()

    asyncio.run(main())
    assert script.requests == []


def test_a_transport_without_its_async_twin_is_named():
    script = ScriptedTransport()
    api = ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=chat_table())

    async def main():
        await api.aio("gpt-4", "Hi")

    with pytest.raises(QuothError, match="async_transport"):
        asyncio.run(main())


# Several APIs.


def test_two_apis_share_nothing_but_the_table_they_are_given(script):
    table = ProviderTable()
    one, other = (ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=table) for _ in range(2))
    one.register_provider("mine", base_url="http://localhost:1")
    other("mine/x", "Hi")
    assert (one.usage().total.calls, other.usage().total.calls) == (0, 1)
    with pytest.raises(UnknownModelError):
        api_of(script).bind("mine/x")


def test_the_repr_of_an_api_is_its_settings():
    assert repr(ModelsAPI(Settings(timeout=5.0))) == f"ModelsAPI({Settings(timeout=5.0)!r})"
