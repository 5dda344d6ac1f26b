"""Ollama's chat against real traffic: what it and its clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. What an answer holds is read here
from the raw JSON, by somebody who knows nothing of the dialect.
"""

import json
from collections import Counter
from datetime import datetime

from halves import PLAIN, events_of, exactly, outcome_of, stripped
from quoth.dialects.ollama_chat import client, server
from quoth.events import ResponseEnd, fold
from quoth.types import ModelRequest, ToolCall, ToolResult
from quoth.wire import WireReply, WireRequest
from recordings import lines_of, needs_recordings

pytestmark = needs_recordings

COUNTS = ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration")


def exchanges():
    return [each for each in lines_of("ollama") if each["meta"]["api"] == "ollama-chat"]


def asked(exchange):
    return server.parse_request(WireRequest(path="/api/chat", body=exchange["request"]["body"].encode()))


def label_of(exchange):
    return next(value for name, value in exchange["response"]["headers"] if name.lower() == "content-type")


def lines_in(exchange):
    return [json.loads(line) for line in exchange["response"]["body"].splitlines()]


def test_every_request_is_spelled_again_exactly_and_means_what_it_says():
    found = Counter()
    for exchange in exchanges():
        body, request = json.loads(exchange["request"]["body"]), asked(exchange)
        wire = client.build_request(request, PLAIN)
        assert exactly(json.loads(wire.body)) == exactly(body), exchange["id"]
        assert wire.changes == ()
        assert request.max_tokens == (body.get("options") or {}).get("num_predict")
        assert request.reasoning == {True: "enabled", False: "none", None: None}[body.get("think")]
        assert request.stream is body["stream"]
        calls = [part.id for message in request.messages for part in message.parts if isinstance(part, ToolCall)]
        results = [part.call_id for message in request.messages for part in message.parts
                   if isinstance(part, ToolResult)]  # fmt: skip
        assert len({*calls}) == len(calls)
        assert {*results} <= {*calls}
        found.update({"calls": len(calls), "results": len(results), "tools": len(request.tools)})
        found["schemas"] += bool(request.output and request.output.schema)
    assert found == {"calls": 7, "results": 7, "tools": 14, "schemas": 3}


def test_every_answer_says_what_its_lines_say_is_spelled_again_and_can_be_sent_back():
    found = Counter()
    for exchange in exchanges():
        body, lines = exchange["response"]["body"].encode(), lines_in(exchange)
        streamed = exchange["meta"]["stream"]
        response = fold(events_of(client, body)) if streamed else stripped(
            client.parse_response(WireReply(status=200, body=body), PLAIN))  # fmt: skip
        messages, last = [line["message"] for line in lines], lines[-1]
        assert response.text == "".join(message["content"] for message in messages)
        assert response.reasoning == "".join(message.get("thinking", "") for message in messages)
        calls = [call for message in messages for call in message.get("tool_calls", ())]
        assert [(call.id, call.name, call.parse_arguments()) for call in response.tool_calls] == [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
        ]
        word = "tool_calls" if calls else last["done_reason"]
        assert (response.finish_reason, response.finish_reason_raw) == (word, last["done_reason"])
        assert response.model == last["model"]
        assert (response.created or 0) == int(datetime.fromisoformat(lines[0]["created_at"]).timestamp())
        assert response.usage.reported == {name: last[name] for name in COUNTS if name in last}
        assert response.usage.input_tokens == last.get("prompt_eval_count", 0)
        assert response.usage.output_tokens == last["eval_count"]
        again = server.build_response(response)
        assert stripped(client.parse_response(again, PLAIN)) == response
        assert fold(events_of(client, b"".join(server.build_events(response, piece=6)), [211])) == response
        assert events_of(client, body, [1]) == events_of(client, body) == events_of(client, body, [7, 1, 300])
        if not streamed:
            assert json.loads(again.body) == last
            assert fold(events_of(client, body)) == response  # one line is a stream of one
        wire = client.build_request(ModelRequest(model="m", messages=(response.message,)), PLAIN)
        (back,) = json.loads(wire.body)["messages"]
        assert (back["content"], back.get("thinking", "")) == (response.text, response.reasoning)
        found.update({"streams" if streamed else "answers": 1, "calls": len(calls)})
    assert found == {"answers": 19, "streams": 9, "calls": 6}


def test_the_label_and_the_first_line_tell_what_each_body_is():
    for exchange in exchanges():
        body, streamed = exchange["response"]["body"].encode(), exchange["meta"]["stream"]
        assert client.is_stream(body, label_of(exchange)) is (True if streamed else None)
        assert client.is_stream(body, "application/json") is (True if streamed else None)
        pretty = json.dumps(lines_in(exchange)[-1], indent=1).encode()
        assert client.is_stream(pretty, label_of(exchange)) is False


def test_every_stream_that_is_cut_before_its_end_was_cut():
    for exchange in exchanges():
        if exchange["meta"]["stream"]:
            body = exchange["response"]["body"].encode()
            for at in range(0, len(body) - 1, max(len(body) // 12, 1)):
                events, error = outcome_of(client, body[:at])
                assert error is None
                assert not any(isinstance(event, ResponseEnd) for event in events)
