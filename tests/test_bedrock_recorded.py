"""Bedrock's wires against real traffic: what Bedrock and its clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. What an answer holds is read here
from the raw JSON, and its frames by the reader of the conformance tool, which shares no code with the framer.
"""

import json
from base64 import b64decode
from collections import Counter
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from halves import PLAIN, events_of, exactly
from quoth.dialects.bedrock_converse import client, server
from quoth.dialects.bedrock_invoke import client as invoke_client, server as invoke_server
from quoth.errors import ResponseParseError
from quoth.events import fold
from quoth.testing.wire.readers._frames import frames_of
from quoth.types import ToolCall
from quoth.wire import WireReply, WireRequest
from recordings import lines_of, needs_recordings

pytestmark = needs_recordings


def converse():
    return [each for name in ("bedrock-converse", "errors") for each in lines_of(name) if "/converse" in url(each)]


def claudes():
    found = [each for each in lines_of("bedrock-invoke") if "anthropic_version" in (each["request"].get("body") or "")]
    assert len(found) == 7
    return found


def url(exchange):
    return urlsplit(exchange["request"]["url"]).path


def body_of(exchange):
    said = exchange["response"]
    return b64decode(said["body_b64"]) if "body_b64" in said else said["body"].encode()


def streamed(exchange):
    return "body_b64" in exchange["response"]


def whole(exchange):
    return replace(client.parse_response(WireReply(status=200, body=body_of(exchange)), PLAIN), body=None)


def answers():
    found = lines_of("bedrock-converse")
    return [each for each in found if not streamed(each)], [each for each in found if streamed(each)]


# Requests.


def test_every_request_is_spelled_again_exactly():
    found = Counter()
    for exchange, half, reader in [*[(each, client, server) for each in converse()],
                                   *[(each, invoke_client, invoke_server) for each in claudes()]]:  # fmt: skip
        text = exchange["request"]["body"].encode()
        try:
            body = json.loads(text)
        except ValueError:
            found["no JSON"] += 1
            continue
        request = reader.parse_request(WireRequest(path=url(exchange), body=text))
        wire = half.build_request(request, PLAIN)
        assert exactly(json.loads(wire.body)) == exactly(body), exchange["id"]
        assert wire.changes == ()
        assert unquote(wire.path) == unquote(url(exchange))
        assert request.stream == ("stream" in url(exchange))
        found[type(request).__name__] += 1
        found["reasoning"] += request.reasoning is not None
        found["output"] += request.output is not None
        found["choice"] += request.tool_choice is not None
        found.update(type(part).__name__ for message in request.messages for part in message.parts)
    assert found == {
        "no JSON": 1, "ModelRequest": 168, "reasoning": 15, "output": 10, "choice": 31, "Text": 319, "ToolCall": 40,
        "ToolResult": 40, "Document": 14, "Reasoning": 6, "Image": 1,
    }, found  # fmt: skip


# Answers.


def test_every_whole_answer_says_what_its_body_says_and_is_spelled_again_word_for_word():
    for exchange in answers()[0]:
        body, response = json.loads(body_of(exchange)), whole(exchange)
        content = body["output"]["message"]["content"]
        said = [
            each["text"]
            for block in content
            for each in (block, *block.get("citationsContent", {}).get("content", ()))
            if "text" in each
        ]
        assert response.text == "".join(said)
        called = [block["toolUse"] for block in content if "toolUse" in block]
        asked = [each for each in called if each.get("type") != "server_tool_use"]
        assert [(call.id, call.name, call.parse_arguments()) for call in response.tool_calls] == [
            (each["toolUseId"], each["name"], each["input"]) for each in asked
        ]
        check_usage(response.usage, body["usage"])
        assert response.finish_reason_raw == body["stopReason"]
        assert exactly(json.loads(server.build_response(response).body)) == exactly(body)
        assert fold(events_of(client, b"".join(server.build_events(response, piece=5)))) == response


def check_usage(usage, reported):
    """What was read from a cache and written to one lies outside of the input, and inside of the total."""
    read, written = (reported.get(f"cache{what}InputTokens", 0) for what in ("Read", "Write"))
    assert usage.source == "provider"
    assert (usage.input, usage.cache_read) == (reported["inputTokens"], read)
    assert usage.cache_write_5m + usage.cache_write_1h == written
    assert usage.total_tokens == reported["totalTokens"]
    assert reported["totalTokens"] == reported["inputTokens"] + read + written + reported["outputTokens"]


def test_every_stream_says_what_its_frames_say_and_is_the_same_at_every_cut():
    found = Counter()
    for exchange in answers()[1]:
        body = body_of(exchange)
        said = [json.loads(frame.data) for frame in frames_of(body)]
        response = fold(events_of(client, body))
        deltas = [event["delta"] for event in said if "delta" in event]
        assert response.text == "".join([delta.get("text", "") for delta in deltas])
        thoughts = [delta["reasoningContent"].get("text", "") for delta in deltas if "reasoningContent" in delta]
        assert response.reasoning == "".join(thoughts)
        check_usage(response.usage, next(event["usage"] for event in said if "usage" in event))
        for size in (1, 2, 3, 1000):
            assert fold(events_of(client, body, (size,))) == response
        assert fold(events_of(client, b"".join(server.build_events(response, piece=5)))) == response
        found.update(type(part).__name__ for part in response.parts)
        found["calls"] += sum(isinstance(part, ToolCall) for part in response.parts)
    assert found == {"Text": 23, "Reasoning": 4, "ToolCall": 4, "calls": 4}, found


def test_every_cut_in_two_of_a_stream_gives_the_same_events():
    body = min([body_of(exchange) for exchange in answers()[1]], key=len)
    events = events_of(client, body)
    for at in range(len(body)):
        assert events_of(client, body, (at or 1, len(body))) == events


def test_claude_by_invoke_says_what_its_frames_hold():
    for exchange in claudes():
        body = body_of(exchange)
        if not streamed(exchange):
            response = replace(invoke_client.parse_response(WireReply(status=200, body=body), PLAIN), body=None)
            assert response.text == "".join([block["text"] for block in json.loads(body)["content"]])
            counted = json.loads(body)["usage"]["output_tokens"]
        else:
            said = [json.loads(frame.data) for frame in frames_of(body)]
            response = fold(events_of(invoke_client, body))
            assert response == fold(events_of(invoke_client, body, (1,)))
            assert response.text == "".join([event["delta"].get("text", "") for event in said if "delta" in event])
            counted = said[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"]
        assert response.usage.total_output == counted
        assert fold(events_of(invoke_client, b"".join(invoke_server.build_events(response, piece=5)))) == response


# Errors.


def test_every_refusal_has_its_kind_and_keeps_it():
    found = Counter()
    for exchange in converse():
        said = exchange["response"]
        if said["status"] < 400:
            continue
        headers = tuple([(name.lower(), value) for name, value in said["headers"]])
        info = client.parse_error(WireReply(status=said["status"], headers=headers, body=body_of(exchange)))
        found[info.status, info.kind] += 1
        back = client.parse_error(server.build_error(info))
        assert (back.kind, back.message, back.status) == (info.kind, info.message, info.status)
    assert found == {
        (400, "bad_request"): 5, (400, "context_length"): 1, (400, "model_not_found"): 1, (403, "authentication"): 1,
        (404, "model_not_found"): 1, (429, "rate_limit"): 7, (500, "server"): 6,
    }, found  # fmt: skip


def test_a_fixture_of_another_wire_is_no_answer_of_this_one():
    found = Counter()
    for line in lines_of("zz-response-only-fixtures"):
        try:
            client.parse_response(WireReply(status=200, body=(line["response"].get("body") or "").encode()), PLAIN)
            found["answer"] += 1
        except ResponseParseError:
            found["none"] += 1
    assert found["none"] > 200
