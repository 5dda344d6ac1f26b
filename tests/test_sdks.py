"""Other people's clients: what the official SDKs of OpenAI and Anthropic understand of FakeProvider, and what it
understands of them. They run in an environment of their own, which tests/sdks.py makes once."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import said
import sdks
from quoth import ToolCall, errors
from quoth.dialects import load_client
from quoth.testing import FakeProvider, Fault
from quoth.types import Refusal, ToolResult
from quoth.wire import Quirks

CHAT, RESPONSES, MESSAGES = WIRES = ("openai_chat", "openai_responses", "anthropic_messages")
WAYS = ("whole", "stream", "chunks", "async", "async stream")
STREAMED = ("stream", "chunks", "async stream")

every_wire = pytest.mark.parametrize("wire", WIRES)
every_way = pytest.mark.parametrize("way", WAYS)

# What is scripted, by the name of the model that is asked.

ANSWERS = {
    **said.ANSWERS,
    "refusal": said.said(Refusal(text="I would rather not.")),
    "filtered": said.said("Once there", finish="content_filter"),
    "form": said.said('{"name":"Ann","age":30}'),
}
KINDS = {
    "bad_request": ("BadRequestError", "BadRequestError"),
    "context_length": ("BadRequestError", "BadRequestError"),
    "content_blocked": ("BadRequestError", "BadRequestError"),
    "authentication": ("AuthenticationError", "AuthenticationError"),
    "permission_denied": ("PermissionDeniedError", "PermissionDeniedError"),
    "not_found": ("NotFoundError", "NotFoundError"),
    "model_not_found": ("NotFoundError", "NotFoundError"),
    "conflict": ("ConflictError", "ConflictError"),
    "request_too_large": ("APIStatusError", "ContentTooLargeError"),
    "rate_limit": ("RateLimitError", "RateLimitError"),
    "quota": ("RateLimitError", "PaymentRequiredError"),
    "overloaded": ("InternalServerError", "OverloadedError"),
    "server": ("InternalServerError", "InternalServerError"),
}
"""Each kind of ours, and the classes that OpenAI's SDK and Anthropic's make of it."""

FAULTS = {kind: Fault(kind=kind, message="no", request_id="req_x", retry_after=2) for kind in KINDS}
INSIDE = {
    f"inside {kind}": Fault(cut="error", after_events=6, kind=kind, message="no", answer="abcdefgh", piece=1)
    for kind in ("overloaded", "rate_limit", "server")
}
CUT = {"cut": Fault(after_events=6, answer="abcdefgh", piece=1)}
SCRIPT = {**ANSWERS, **FAULTS, **INSIDE, **CUT}

# What is asked.

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA, "strict": True}
PICTURE = "iVBORw0KGgo="
HI = [{"role": "user", "content": "Hi"}]
PLAIN = {CHAT: {"messages": HI}, RESPONSES: {"input": "Hi"}, MESSAGES: {"messages": HI, "max_tokens": 99}}
TOOLS = {
    CHAT: [{"type": "function", "function": FUNCTION}],
    RESPONSES: [{"type": "function", **FUNCTION}],
    MESSAGES: [{"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}],
}
ARGUMENTS = '{"city": "Paris"}'
RICH = {
    CHAT: {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "Rain."},
        ],
        "tools": TOOLS[CHAT],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "reasoning_effort": "low",
        "metadata": {"user": "u1"},
        "logit_bias": {"50256": -100},
        "service_tier": "flex",
        "store": False,
        "extra_body": {"of_tomorrow": {"a": [1, None, "x"]}},
    },
    RESPONSES: {
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Look:"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "low"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "function_call", "call_id": "t1", "name": "weather", "arguments": ARGUMENTS},
            {"type": "function_call_output", "call_id": "t1", "output": "Rain."},
        ],
        "tools": [*TOOLS[RESPONSES], {"type": "web_search"}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_output_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "low"},
        "metadata": {"user": "u1"},
        "store": False,
        "extra_body": {"of_tomorrow": {"a": [1, None, "x"]}},
    },
    MESSAGES: {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Rain.", "is_error": False}],
            },
        ],
        "tools": [*TOOLS[MESSAGES], {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "thinking": {"type": "disabled"},
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
        "extra_body": {"of_tomorrow": {"a": [1, None, "x"]}},
    },
}


def options_of(wire, name):
    if name == "rich":
        return RICH[wire]
    more = {"tools": TOOLS[wire]} if name in ("tools", "call") else {}
    return PLAIN[wire] | more | ({"form": True} if name == "form" else {})


LOOPED = {wire: {"tools": TOOLS[wire]} for wire in WIRES}
LOOPED[MESSAGES]["max_tokens"] = 99


def surroundings():
    """The environment without proxies, and without what the SDKs would read of it."""
    theirs = re.compile("openai|anthropic|.*_proxy$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not theirs.match(name)}


class Heard:
    """What the SDKs understood, and what FakeProvider was sent."""

    def __init__(self, told, requests):
        self.versions, self.models, self.loops = told["versions"], told["models"], told["loops"]
        self.calls = told["heard"]
        self.requests = requests

    def __call__(self, wire, name, way):
        return self.calls[f"{wire} {name}"][way]


@pytest.fixture(scope="module")
def heard():
    try:
        python = sdks.sdk_python()
    except sdks.CannotBeMadeError as error:
        pytest.skip(f"the environment of the official SDKs cannot be made: {error}")
    again = iter([Fault(status=429, retry_after=0.01), "at last"] * 2)
    with FakeProvider(
        lambda request: next(again) if request.model == "again" else SCRIPT[request.model],
        piece=3,
        model_ids=("m-1", "m-2"),
    ) as fake:
        calls = [{"wire": wire, "name": name, "options": options_of(wire, name)} for wire in WIRES for name in SCRIPT]
        task = {"openai": fake.base_url("openai"), "anthropic": fake.base_url("anthropic"), "key": fake.key}
        program = Path(__file__).with_name("sdk_clients.py")
        done = subprocess.run(
            [python, str(program)],
            input=json.dumps({**task, "calls": calls, "tools": LOOPED}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
            env={**surroundings(), "PYTHONUTF8": "1"},
        )
        assert done.returncode == 0, done.stderr
        return Heard(json.loads(done.stdout), fake.requests)


def test_the_sdks_are_those_that_are_pinned(heard):
    pins = sdks.pinned()
    assert heard.versions == {name: pins[name] for name in heard.versions}


FINISH = {
    CHAT: {"stop": "stop", "tool_calls": "tool_calls", "length": "length", "content_filter": "content_filter"},
    RESPONSES: {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
    },
    MESSAGES: {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"},
}


RAISED = {
    (CHAT, "length"): "LengthFinishReasonError",
    (CHAT, "content_filter"): "ContentFilterFinishReasonError",
    (RESPONSES, "length"): "RuntimeError",  # it knows "response.completed" only
    (RESPONSES, "content_filter"): "RuntimeError",
}
"""What the streaming helpers of OpenAI's SDK raise for answers that are not complete, as they do for OpenAI's own."""


@every_wire
@every_way
@pytest.mark.parametrize("name", ANSWERS)
def test_what_was_scripted_is_what_an_sdk_understood(heard, wire, way, name):
    answer, told = ANSWERS[name], heard(wire, name, way)
    if way in ("stream", "async stream") and (wire, answer.finish_reason) in RAISED:
        assert told["raised"] == RAISED[wire, answer.finish_reason]
        return
    assert "raised" not in told, told
    refusal = answer.refusal if wire != MESSAGES else None  # that wire has no place of its own for one
    text = answer.text if refusal or not answer.refusal else answer.refusal
    expected = {
        "text": text or None,
        "refusal": refusal,
        "reasoning": answer.reasoning or None,
        "finish": FINISH[wire][answer.finish_reason],
        "model": name,
    }
    assert {key: told[key] for key in expected if key in told} == {k: v for k, v in expected.items() if k in told}
    assert {"text", "finish"} <= told.keys()
    if "calls" in told:
        calls = [[call.id, call.name, call.parse_arguments()] for call in answer.tool_calls]
        assert [[id_, called, json.loads(arguments)] for id_, called, arguments in told["calls"]] == calls
    if way in STREAMED:
        assert told["events"] > len(text or "") / 3
    if "in order" in told:
        assert told["in order"]


@every_wire
@every_way
def test_structured_output_is_parsed_by_the_sdks_own_helpers(heard, wire, way):
    told = heard(wire, "form", way)
    if "parsed" in told and way != "chunks":
        assert told["parsed"] == {"name": "Ann", "age": 30}
    else:
        assert way == "chunks"


SPELLED = {
    CHAT: {
        "prompt_tokens": 42,
        "completion_tokens": 12,
        "total_tokens": 54,
        "prompt_tokens_details": {"cached_tokens": 12},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
    RESPONSES: {
        "input_tokens": 42,
        "output_tokens": 12,
        "total_tokens": 54,
        "input_tokens_details": {"cached_tokens": 12},
        "output_tokens_details": {"reasoning_tokens": 5},
    },
    MESSAGES: {"input_tokens": 30, "cache_read_input_tokens": 12, "output_tokens": 12},
}


@every_wire
@every_way
def test_usage_is_understood_as_the_wire_counts_it(heard, wire, way):
    told = heard(wire, "reasoning", way)
    if "usage" not in told:
        assert (wire, way) == (MESSAGES, "chunks")
        return
    expected = SPELLED[wire]
    assert {key: _only(told["usage"][key], expected[key]) for key in expected} == expected


def _only(found, expected):
    return {key: found[key] for key in expected} if isinstance(expected, dict) else found


@every_wire
@pytest.mark.parametrize("way", ["whole", "async"])
def test_an_answer_carries_the_id_of_its_request(heard, wire, way):
    told = heard(wire, "text", way)
    assert told["request_id"].startswith("req_")
    assert told["id"].startswith("fake-")


@every_wire
@every_way
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_sdks_own_class_for_it(heard, wire, way, kind):
    told = heard(wire, kind, way)
    named = KINDS[kind][wire == MESSAGES]
    assert named in told["kinds"], told
    assert (told["request_id"], told["retry_after"]) == ("req_x", "2")
    assert "no" in told["message"]


@every_wire
@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("name", INSIDE)
def test_an_error_inside_a_stream_is_an_error_of_the_sdk(heard, wire, way, name):
    told = heard(wire, name, way)
    assert "APIError" in told["kinds"], told
    assert "no" in told["message"]


@every_wire
@pytest.mark.parametrize("way", ["whole", "async"])
def test_a_body_that_is_cut_is_a_lost_connection(heard, wire, way):
    told = heard(wire, "cut", way)
    if told.get("text") != "abcdefgh":  # all of a whole answer is one event
        assert "APIConnectionError" in told["kinds"]


def test_an_sdk_lists_models_and_waits_as_it_is_told(heard):
    assert heard.models == {
        "openai": ["m-1", "m-2"],
        "anthropic": ["m-1", "m-2"],
        "openai again": "at last",
        "anthropic again": "at last",
    }


@every_wire
def test_tools_go_round(heard, wire):
    """The SDK sends back what it was answered, in its own types, with the results; it is read as what was scripted."""
    assert heard.loops[wire] == "It rains in both."
    *_, last = [each.request for each in heard.requests if each.wire == wire and each.request.model == "loop"]
    calls = [part for message in last.messages for part in message.parts if isinstance(part, ToolCall)]
    results = [part for message in last.messages for part in message.parts if isinstance(part, ToolResult)]
    scripted = ANSWERS["tools"].tool_calls
    assert [(call.id, call.name, call.parse_arguments()) for call in calls] == [
        (call.id, call.name, call.parse_arguments()) for call in scripted
    ]
    assert [(result.call_id, result.parts[0].text) for result in results] == [(call.id, "Rain.") for call in scripted]


# What they sent.


def quirks_of(body):
    capped = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    return Quirks(max_tokens_field=capped, stream_usage_option="stream_options" in body)


@every_wire
def test_what_an_sdk_sends_is_read_without_loss(heard, wire):
    """What was read, built again, is the body that came: each field, and nothing more. ``stream`` may say no."""
    asked = [received for received in heard.requests if received.wire == wire]
    assert len(asked) >= len(SCRIPT) * len(WAYS)
    for received in asked:
        body = received.json
        built = load_client(wire).build_request(received.request, quirks_of(body))
        assert json.loads(built.body) == {
            key: value for key, value in body.items() if (key, value) != ("stream", False)
        }


@every_wire
def test_what_an_sdk_sends_has_its_meaning(heard, wire):
    rich = next(each.request for each in heard.requests if each.wire == wire and each.request.model == "rich")
    assert rich.messages[0].role == "system"
    assert rich.messages[0].text == "Be brief."
    assert rich.max_tokens == 50
    assert rich.tools[0].name == "weather"
    assert rich.tools[0].parameters == SCHEMA
    assert rich.extra["of_tomorrow"] == {"a": [1, None, "x"]}
    assert rich.tool_choice.mode == ("required" if wire == RESPONSES else "tool")
    assert [part.data for message in rich.messages for part in message.parts if hasattr(part, "media_type")]
    (result,) = [part for message in rich.messages for part in message.parts if isinstance(part, ToolResult)]
    assert (result.call_id, result.parts[0].text) == ("t1", "Rain.")
    (call,) = [part for message in rich.messages for part in message.parts if isinstance(part, ToolCall)]
    assert (call.id, call.name, call.parse_arguments()) == ("t1", "weather", {"city": "Paris"})


def test_no_key_is_kept_of_what_they_sent(heard):
    assert all("fake-key" not in str(received.headers) for received in heard.requests)
    assert {dict(each.headers).get("authorization") for each in heard.requests} <= {"[redacted]", None}


def test_each_kind_of_a_providers_error_is_tried():
    kinds = {kind for kind, cls in errors.KINDS.items() if issubclass(cls, errors.APIStatusError)}
    assert kinds - {"provider"} == {*KINDS}
