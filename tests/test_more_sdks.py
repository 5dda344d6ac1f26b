"""Further clients of other people: the SDKs of Google, Ollama, Cohere and AWS against FakeProvider. They run in the
environment of tests/sdks.py, one process each for all that it does, where quoth serves their wire."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import sdks
from quoth import ToolCall
from quoth.dialects import load_client
from quoth.dialects.server import SERVERS
from quoth.testing import FakeProvider, Fault
from quoth.types import Image, ToolResult
from quoth.wire import Quirks
from said import ANSWERS

WIRES = {"google": "gemini", "ollama": "ollama_chat", "cohere": "cohere_chat", "aws": "bedrock_converse"}
"""The wire that each SDK speaks."""


# What is scripted, by the name of the model that is asked; the answers are those of ``said``.

RAISED = {
    "google": {
        "bad_request": ("ClientError", "INVALID_ARGUMENT"),
        "authentication": ("ClientError", "INVALID_ARGUMENT"),
        "permission_denied": ("ClientError", "PERMISSION_DENIED"),
        "model_not_found": ("ClientError", "NOT_FOUND"),
        "rate_limit": ("ClientError", "RESOURCE_EXHAUSTED"),
        "quota": ("ClientError", "RESOURCE_EXHAUSTED"),
        "server": ("ServerError", "INTERNAL"),
        "overloaded": ("ServerError", "UNAVAILABLE"),
    },
    "ollama": {
        "bad_request": ("ResponseError", "400"),
        "authentication": ("ResponseError", "401"),
        "permission_denied": ("ResponseError", "403"),
        "model_not_found": ("ResponseError", "404"),
        "rate_limit": ("ResponseError", "429"),
        "quota": ("ResponseError", "4"),
        "server": ("ResponseError", "500"),
        "overloaded": ("ResponseError", "503"),
    },
    "cohere": {
        "bad_request": ("BadRequestError", "400"),
        "authentication": ("UnauthorizedError", "401"),
        "permission_denied": ("ForbiddenError", "403"),
        "model_not_found": ("NotFoundError", "404"),
        "rate_limit": ("TooManyRequestsError", "429"),
        "quota": ("ApiError", "4"),
        "server": ("InternalServerError", "500"),
        "overloaded": ("ServiceUnavailableError", "503"),
    },
    "aws": {
        "bad_request": ("ValidationException", "ValidationException"),
        "authentication": ("ClientError", "UnrecognizedClientException"),
        "permission_denied": ("AccessDeniedException", "AccessDeniedException"),
        "model_not_found": ("ResourceNotFoundException", "ResourceNotFoundException"),
        "rate_limit": ("ThrottlingException", "ThrottlingException"),
        "quota": ("ServiceQuotaExceededException", "ServiceQuotaExceededException"),
        "server": ("InternalServerException", "InternalServerException"),
        "overloaded": ("ServiceUnavailableException", "ServiceUnavailableException"),
    },
}
"""The class that an SDK makes of each kind, and a word that it says with it."""
KINDS = tuple(RAISED["google"])
FAULTS = {kind: Fault(kind=kind, message="no") for kind in KINDS}
INSIDE = {"inside": Fault(cut="error", after_events=3, kind="overloaded", message="no", answer="abcdefgh", piece=1)}
CUT = {"cut": Fault(after_events=3, answer="abcdefgh", piece=1)}
SCRIPT = {**ANSWERS, **FAULTS, **INSIDE, **CUT}


# What is asked.

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}
PICTURE = b"\x89PNG\r\n"
ENCODED, BYTES = "iVBORw0K", {"hex": PICTURE.hex()}
ASKED_TOOLS = {
    "google": {"tools": [{"function_declarations": [{**FUNCTION, "parameters_json_schema": SCHEMA}]}]},
    "ollama": {"tools": [{"type": "function", "function": FUNCTION}]},
    "cohere": {"tools": [{"type": "function", "function": FUNCTION}]},
    "aws": {
        "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]},
    },
}
del ASKED_TOOLS["google"]["tools"][0]["function_declarations"][0]["parameters"]
ASKED_TOOLS["google"] = {"config": ASKED_TOOLS["google"]}
HI = [{"role": "user", "content": "Hi"}]
PLAIN = {
    "google": {"contents": "Hi"},
    "ollama": {"messages": HI},
    "cohere": {"messages": HI},
    "aws": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
}
RICH = {
    "google": {
        "contents": [
            {"role": "user", "parts": [{"text": "Look:"}, {"inline_data": {"data": BYTES, "mime_type": "image/png"}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True, "thought_signature": {"hex": "736967"}},
                    {"function_call": {"name": "weather", "args": {"city": "Paris"}}},
                ],
            },
            {
                "role": "user",
                "parts": [{"function_response": {"name": "weather", "response": {"output": "Rain."}}}],
            },
        ],
        "config": {
            **ASKED_TOOLS["google"]["config"],
            "system_instruction": "Be brief.",
            "max_output_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 5,
            "seed": 7,
            "stop_sequences": ["END"],
            "thinking_config": {"thinking_budget": 100, "include_thoughts": True},
            "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
            "response_mime_type": "application/json",
            "response_schema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
            "labels": None,
        },
    },
    "ollama": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look:", "images": [ENCODED]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Paris"}}}],
            },
            {"role": "tool", "tool_name": "weather", "content": "Rain."},
        ],
        **ASKED_TOOLS["ollama"],
        "options": {"num_predict": 50, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": 7, "stop": ["END"]},
        "think": True,
        "format": SCHEMA,
        "keep_alive": "5m",
    },
    "cohere": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ENCODED}"}},
                ],
            },
            {
                "role": "assistant",
                "tool_plan": "hm",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "Rain."},
        ],
        **ASKED_TOOLS["cohere"],
        "tool_choice": "REQUIRED",
        "max_tokens": 50,
        "temperature": 0.5,
        "p": 0.9,
        "k": 5,
        "seed": 7,
        "stop_sequences": ["END"],
        "response_format": {"type": "json_object", "json_schema": SCHEMA},
        "safety_mode": "OFF",
    },
    "aws": {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Look:"}, {"image": {"format": "png", "source": {"bytes": BYTES}}}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}},
                ],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "Rain."}], "status": "success"}}],
            },
        ],
        "toolConfig": {**ASKED_TOOLS["aws"]["toolConfig"], "toolChoice": {"tool": {"name": "weather"}}},
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"top_k": 5},
        "requestMetadata": {"user": "u1"},
    },
}
LISTED = {"google": ["m-1", "m-2"]}
"""What an SDK lists that asks where the models are listed."""


def options_of(sdk, name):
    if name == "rich":
        return RICH[sdk]
    return PLAIN[sdk] | (ASKED_TOOLS[sdk] if name in ("tools", "call") else {})


class Heard:
    """What one SDK understood, and what FakeProvider was sent by it."""

    def __init__(self, sdk, told, requests):
        self.sdk, self.wire = sdk, WIRES[sdk]
        self.version, self.loop, self.models = told["version"], told["loop"], told["models"]
        self.calls, self.requests = told["heard"], requests

    def ways(self, name):
        """What came of asking a model, by each way to call."""
        return self.calls[name].items()

    def sent(self, name):
        return [each.request for each in self.requests if each.request and each.request.model == name]


def surroundings():
    """The environment without proxies, and without what the SDKs would read of it."""
    theirs = re.compile("google|gemini|ollama|cohere|co_|aws|.*_proxy$", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not theirs.match(name)}


@pytest.fixture(scope="module", params=[sdk for sdk, wire in WIRES.items() if wire in SERVERS])
def heard(request):
    sdk = request.param
    try:
        python = sdks.sdk_python()
    except sdks.CannotBeMadeError as error:
        pytest.skip(f"the environment of the official SDKs cannot be made: {error}")
    with FakeProvider(lambda asked: SCRIPT[asked.model], piece=3, model_ids=("m-1", "m-2")) as fake:
        asked = {name: options_of(sdk, name) for name in SCRIPT}
        done = subprocess.run(
            [python, str(Path(__file__).with_name("more_sdk_clients.py")), sdk],
            input=json.dumps({"url": fake.url, "key": fake.key, "names": [*SCRIPT], "asked": asked}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
            env={**surroundings(), "PYTHONUTF8": "1"},
        )
        assert done.returncode == 0, done.stderr
        return Heard(sdk, json.loads(done.stdout), fake.requests)


def test_the_sdk_is_the_one_that_is_pinned(heard):
    pins = sdks.pinned()
    package = {"google": "google-genai", "aws": "botocore"}.get(heard.sdk, heard.sdk)
    assert heard.version == pins[package]


FINISH = {
    "google": {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"},
    "ollama": {"stop": "stop", "tool_calls": "stop", "length": "length"},
    "cohere": {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS"},
    "aws": {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"},
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_was_scripted_is_what_an_sdk_understood(heard, name):
    answer = ANSWERS[name]
    for way, told in heard.ways(name):
        assert "raised" not in told, (way, told)
        assert told["text"] == (answer.text or None), way
        assert told["finish"] == FINISH[heard.sdk][answer.finish_reason], way
        assert told["calls"] == [[call.name, call.parse_arguments()] for call in answer.tool_calls], way
        assert told.get("reasoning", "") == answer.reasoning, way
        assert told.get("model", name) == name, way
        assert told.get("ids", [call.id for call in answer.tool_calls]) == [call.id for call in answer.tool_calls], way
        if "stream" in way:
            assert told["events"] > len(answer.text) / 3, way


USAGE = {
    "google": {
        "prompt_token_count": 42,
        "cached_content_token_count": 12,
        "candidates_token_count": 7,
        "thoughts_token_count": 5,
        "total_token_count": 54,
    },
    "ollama": {"prompt_eval_count": 42, "eval_count": 12},
    "cohere": {"tokens": {"input_tokens": 42, "output_tokens": 12}},
    "aws": {"inputTokens": 30, "cacheReadInputTokens": 12, "outputTokens": 12, "totalTokens": 54},
}


def test_usage_is_understood_as_the_wire_counts_it(heard):
    for way, told in heard.ways("reasoning"):
        expected = USAGE[heard.sdk]
        assert {key: _only(told["usage"][key], expected[key]) for key in expected} == expected, way


def _only(found, expected):
    return {key: found[key] for key in expected} if isinstance(expected, dict) else found


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_sdks_own_class_for_it(heard, kind):
    named, word = RAISED[heard.sdk][kind]
    for way, told in heard.ways(kind):
        assert named in told["kinds"], (way, told)
        assert "no" in told["words"], way
        assert word in " ".join(map(str, told.values())), way


@pytest.mark.parametrize("name", ["inside", "cut"])
def test_a_stream_that_does_not_come_to_its_end_is_no_answer_to_the_sdk(heard, name):
    for way, told in heard.ways(name):
        if "stream" in way:
            assert "raised" in told or told["finish"] is None, (way, told)
        elif "raised" not in told:  # all of a whole answer is one event
            assert told["text"] == "abcdefgh", way


def test_models_are_listed(heard):
    if heard.models is not None:
        assert heard.models == LISTED[heard.sdk]


def test_tools_go_round(heard):
    """The SDK sends back what it was answered, in its own types, with the results; it is read as what was scripted."""
    assert heard.loop == "It rains in both."
    last = heard.sent("loop")[-1]
    calls = [part for message in last.messages for part in message.parts if isinstance(part, ToolCall)]
    results = [part for message in last.messages for part in message.parts if isinstance(part, ToolResult)]
    assert [(call.name, call.parse_arguments()) for call in calls] == [
        (call.name, call.parse_arguments()) for call in ANSWERS["tools"].tool_calls
    ]
    assert [(result.call_id, _words(result)) for result in results] == [(call.id, "Rain.") for call in calls]


def _words(result):
    return "".join([part.text for part in result.parts])


# What they sent.


def test_what_an_sdk_sends_is_read_without_loss(heard):
    """What was read, built again, is the body that came: each field, and nothing more. ``stream`` may say no."""
    asked = [received for received in heard.requests if received.request is not None]
    assert len(asked) >= len(SCRIPT) * 2
    for received in asked:
        built = load_client(heard.wire).build_request(received.request, Quirks())
        bodies = json.loads(built.body), received.json
        one, other = ({key: said for key, said in body.items() if (key, said) != ("stream", False)} for body in bodies)
        assert one == other


def test_what_an_sdk_sends_has_its_meaning(heard):
    rich = heard.sent("rich")[0]
    assert rich.messages[0].role == "system"
    assert rich.messages[0].text == "Be brief."
    assert (rich.max_tokens, rich.temperature, rich.top_p, rich.stop) == (50, 0.5, 0.9, ("END",))
    assert (rich.tools[0].name, rich.tools[0].parameters) == ("weather", SCHEMA)
    assert [part.data for message in rich.messages for part in message.parts if isinstance(part, Image)] == [PICTURE]
    (result,) = [part for message in rich.messages for part in message.parts if isinstance(part, ToolResult)]
    (call,) = [part for message in rich.messages for part in message.parts if isinstance(part, ToolCall)]
    assert (call.name, call.parse_arguments()) == ("weather", {"city": "Paris"})
    assert (result.call_id, _words(result)) == (call.id, "Rain.")


def test_no_key_is_kept_of_what_they_sent(heard):
    assert all("fake-key" not in str(received.headers) for received in heard.requests)
