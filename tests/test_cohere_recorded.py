"""Cohere's chat against real traffic: what it and its clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. What an answer holds is read here
from the raw JSON, by somebody who knows nothing of the dialect.
"""

import json
from collections import Counter

from halves import PLAIN, events_of, exactly, outcome_of, reply, stripped
from quoth.dialects.cohere_chat import client, server
from quoth.events import ResponseEnd, fold
from quoth.types import ModelRequest, Reasoning, ToolCall
from quoth.wire import WireReply, WireRequest
from recordings import is_stream, lines_of, needs_recordings

pytestmark = needs_recordings

FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def exchanges(name="cohere"):
    return [each for each in lines_of(name) if each["request"] and each["request"]["url"].endswith("/v2/chat")]


def body_of(exchange):
    return exchange["response"]["body"].encode()


def bodies(*, streamed):
    return [body for body in map(body_of, exchanges()) if is_stream(body) == streamed]


def whole(body):
    return stripped(client.parse_response(WireReply(status=200, body=body), PLAIN))


def events_in(body):
    lines = [line[5:] for line in body.decode().splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line.strip() != "[DONE]"]


def test_every_request_is_spelled_again_exactly_and_means_what_it_says():
    found = Counter()
    for exchange in [*exchanges(), *exchanges("errors")]:
        body = json.loads(exchange["request"]["body"])
        request = server.parse_request(WireRequest(path="/v2/chat", body=exchange["request"]["body"].encode()))
        wire = client.build_request(request, PLAIN)
        said = {key: value for key, value in body.items() if (key, value) != ("stream", False)}
        assert exactly(json.loads(wire.body)) == exactly(said), exchange["id"]
        assert wire.changes == ()
        assert [message.role for message in request.messages] == [message["role"] for message in body["messages"]]
        assert (request.max_tokens, request.temperature, request.top_p) == tuple(
            body.get(name) for name in ("max_tokens", "temperature", "p")
        )
        assert request.stream == bool(body.get("stream"))
        found.update(type(part).__name__ for message in request.messages for part in message.parts)
        found["tools"] += len(request.tools)
        found["strict"] += sum(tool.strict is True for tool in request.tools)
        found["schemas"] += request.output is not None
        found["choices"] += request.tool_choice is not None
        found["reasoning"] += request.reasoning is not None
    del found["Text"]
    assert found == {
        "ToolCall": 26, "ToolResult": 26, "Image": 2, "tools": 44, "strict": 1, "schemas": 3, "choices": 6,
        "reasoning": 1,
    }  # fmt: skip


def test_every_answer_says_what_its_body_says_is_spelled_again_and_can_be_sent_back():
    found = Counter()
    for body in bodies(streamed=False):
        answer = json.loads(body)
        response, message = whole(body), answer["message"]
        contents = message.get("content", [])
        texts = [each["text"] for each in contents if each["type"] == "text"]
        assert response.text == "".join(texts) + message.get("tool_plan", "")
        assert response.reasoning == "".join(each["thinking"] for each in contents if each["type"] == "thinking")
        assert [(call.id, call.name, call.arguments) for call in response.tool_calls] == [
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls", [])
        ]
        assert response.finish_reason == FINISH[answer["finish_reason"]]
        billed = answer["usage"]["billed_units"]
        assert (response.usage.input_tokens, response.usage.output_tokens) == (
            billed["input_tokens"], billed["output_tokens"],
        )  # fmt: skip
        assert response.usage.reasoning == answer["usage"]["tokens"].get("reasoning_tokens", 0)
        assert json.loads(server.build_response(response).body) == answer
        assert fold(events_of(client, b"".join(server.build_events(response, piece=5)), [17])) == response
        wire = client.build_request(ModelRequest(model="m", messages=(response.message,)), PLAIN)
        (back,) = json.loads(wire.body)["messages"]
        assert listed(back) == message
        found.update({"answers": 1, "plans": "tool_plan" in message, "citations": len(message.get("citations", ()))})
    assert found == {"answers": 48, "plans": 13, "citations": 22}


def listed(message):
    """A message whose content is a list, as answers have it."""
    content = message.get("content")
    return {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else message


def test_every_stream_says_what_its_events_say_and_is_spelled_again():
    found = Counter()
    for body in bodies(streamed=True):
        told = [(event["type"], event.get("delta", {}).get("message", {})) for event in events_in(body)]
        response = fold(events_of(client, body))
        contents = [message["content"] for kind, message in told if kind in ("content-start", "content-delta")]
        plans = "".join(message["tool_plan"] for kind, message in told if kind == "tool-plan-delta")
        assert sorted(response.text) == sorted("".join(each.get("text", "") for each in contents) + plans)
        assert response.reasoning == "".join(each.get("thinking", "") for each in contents)
        pieces = [message["tool_calls"]["function"]["arguments"] for kind, message in told if "tool-call" in kind
                  and "tool_calls" in message]  # fmt: skip
        assert "".join(call.arguments for call in response.tool_calls) == "".join(pieces)
        cited = [message["citations"] for kind, message in told if kind == "citation-start"]
        assert response.message.provider_data.get("cohere_chat", {}).get("citations", []) == cited
        assert events_of(client, body, [1]) == events_of(client, body)
        assert whole(server.build_response(response).body) == response
        assert fold(events_of(client, b"".join(server.build_events(response, piece=6)), [211])) == response
        found.update({"streams": 1, "citations": len(cited), "plans": bool(plans)})
        found.update(type(part).__name__ for part in response.parts if isinstance(part, (Reasoning, ToolCall)))
    assert found == {"streams": 17, "citations": 5, "plans": 5, "ToolCall": 7, "Reasoning": 3}


def test_every_stream_that_is_cut_before_its_end_was_cut():
    for body in bodies(streamed=True):
        end = body.index(b'"message-end"')
        for at in range(0, end, max(end // 12, 1)):
            events, error = outcome_of(client, body[:at])
            assert error is None
            assert not any(isinstance(event, ResponseEnd) for event in events)


def test_the_one_error_is_of_its_kind_and_is_spelled_again():
    (exchange,) = exchanges("errors")
    headers = tuple((name.lower(), value) for name, value in exchange["response"]["headers"])
    info = client.parse_error(reply(body_of(exchange), 400, headers))
    assert (info.kind, info.type, info.request_id) == (
        "context_length", "TOO_MANY_TOKENS", dict(headers)["x-debug-trace-id"],
    )  # fmt: skip
    again = client.parse_error(server.build_error(info))
    assert (again.kind, again.message, again.type) == (info.kind, info.message, info.type)


def test_the_only_exchange_of_the_old_version_is_no_answer_of_this_one():
    old = [each for each in lines_of("cohere") if each["request"]["url"].endswith("/v1/chat")]
    assert len(old) == 1
    assert "text" in json.loads(body_of(old[0]))
