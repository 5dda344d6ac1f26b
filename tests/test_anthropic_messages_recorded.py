"""Anthropic Messages against real traffic: what Anthropic and its clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. The readers in this file
say by themselves, from the raw JSON, what an answer holds, and know nothing of the dialect.
"""

import json
import re
from collections import Counter

import pytest
from msgspec.structs import replace

from quoth.dialects.anthropic_messages import client, server
from quoth.errors import InputError, OverloadedError, QuothError, ResponseParseError
from quoth.events import ResponseEnd, fold
from quoth.types import Message, ModelRequest, Reasoning, Text
from quoth.wire import Quirks, WireReply, WireRequest
from recordings import is_stream, lines_of, needs_recordings

pytestmark = needs_recordings

PLAIN = Quirks()


def exchanges(name="anthropic-messages"):
    return [each for each in lines_of(name) if each["meta"]["api"] == "messages"]


def body_of(exchange):
    return (exchange["response"].get("body") or "").encode()


def answers():
    """Whole answers: of Anthropic itself, and of Claude on Bedrock in Anthropic's words."""
    found = [body_of(exchange) for exchange in exchanges()]
    return [body for body in found if not is_stream(body)] + [body_of(exchange) for exchange in on_bedrock()]


def on_bedrock():
    found = lines_of("bedrock-invoke")
    return [each for each in found if b'"type":"message"' in body_of(each) and b'"stop_reason"' in body_of(each)]


def streams():
    return [exchange for exchange in exchanges() if is_stream(body_of(exchange))]


def whole(body):
    return client.parse_response(WireReply(status=200, body=body), PLAIN)


def stripped(response):
    return replace(response, body=None)


def events_of(body, size=None):
    """All events of a stream cut into chunks of ``size`` bytes, and whether it was whole."""
    parser = client.stream_parser(PLAIN)
    size = size or len(body) or 1
    events = [event for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
    return events + parser.end(), parser.ended


# Requests.


def differences(body):
    """What building a parsed request gives differently, in words; nothing where it gives the same."""
    request = server.parse_request(WireRequest(path="/v1/messages", body=json.dumps(body).encode()))
    wire = client.build_request(request, PLAIN)
    built = json.loads(wire.body)
    assert wire.changes == ()
    for key in body.keys() | built.keys():
        said, again = body.get(key), built.get(key)
        if key in body and key in built and json.dumps(said, sort_keys=True) == json.dumps(again, sort_keys=True):
            continue
        if key not in built and said is None:
            yield "a null for a field that has a name"
        elif key not in built and (key, said) in [("stream", False), ("tools", [])]:
            yield f"{key}: {said}"
        else:
            yield f"LOST {key}: {said!r:.80} became {again!r:.80}"


def test_every_request_is_spelled_again_as_it_was():
    total, found, refused = 0, Counter(), []
    for exchange in [*exchanges(), *exchanges("errors")]:
        total += 1
        try:
            found.update(set(differences(json.loads(exchange["request"]["body"]))))
        except InputError:
            refused.append((exchange["id"], exchange["response"]["status"]))
    assert total == 315
    assert found == {"stream: False": 116}
    assert refused == [("7a4b996d24579fcd", 400)]  # a message that is a string: Anthropic refused it too


def test_every_request_to_bedrock_is_spelled_again_as_it_was_but_for_the_model_of_its_address():
    for exchange in on_bedrock():
        body = json.loads(exchange["request"]["body"])
        assert "model" not in body
        assert list(differences({**body, "model": "m"})) == []


# Whole answers.

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def check_usage(response, reported):
    usage = response.usage
    assert usage.reported == reported
    assert usage.source == "provider"
    cached = (reported.get("cache_read_input_tokens") or 0) + (reported.get("cache_creation_input_tokens") or 0)
    assert usage.total_input == reported["input_tokens"] + cached
    assert usage.total_output == reported["output_tokens"]
    assert usage.cache_read == (reported.get("cache_read_input_tokens") or 0)
    assert usage.cache_write_1h == ((reported.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0)
    assert usage.reasoning == (reported.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    assert usage.web_searches == ((reported.get("server_tool_use") or {}).get("web_search_requests") or 0)
    assert response.service_tier == reported.get("service_tier")


def check_blocks(response, blocks):
    """Text, thoughts and calls of a response are those of these blocks, in order, and no other is lost."""
    assert response.text == "".join([block["text"] for block in blocks if block["type"] == "text"])
    assert response.reasoning == "".join([block["thinking"] for block in blocks if block["type"] == "thinking"])
    assert [(call.id, call.name, call.parse_arguments()) for call in response.tool_calls] == [
        (block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
    ]
    assert len(response.parts) == len(blocks)


def test_every_whole_answer_says_what_its_body_says():
    count = 0
    for body in answers():
        answer = json.loads(body)
        count += 1
        response = whole(body)
        check_blocks(response, answer["content"])
        check_usage(response, answer["usage"])
        assert (response.finish_reason_raw, response.finish_reason) == (
            answer["stop_reason"],
            FINISH[answer["stop_reason"]],
        )
        assert (response.id, response.model) == (answer["id"], answer["model"])
        kept = response.provider_data.get("anthropic_messages", {})
        for field in ("stop_sequence", "container", "context_management", "stop_details"):
            assert kept.get(field) == answer.get(field)
        assert response.region == answer["usage"].get("inference_geo")
    assert count == 189


def said(block):
    """A block as it must go back: what is null or empty in one of ours says nothing."""
    if block["type"] not in ("text", "thinking", "tool_use"):
        return block
    return {key: value for key, value in block.items() if value not in (None, [], "")}


def test_every_answer_can_be_sent_back_block_by_block():
    blocks = Counter()
    for body in answers():
        came = json.loads(body)["content"]
        wire = client.build_request(ModelRequest(model="m", max_tokens=1, messages=(whole(body).message,)), PLAIN)
        (back,) = json.loads(wire.body)["messages"]
        content = back["content"]
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert [said(block) for block in content] == [said(block) for block in came]
        assert wire.changes == ()
        blocks.update(block["type"] for block in came)
    assert blocks["thinking"] == 24
    assert sum(blocks.values()) - sum(blocks[kind] for kind in ("text", "thinking", "tool_use")) == 42


def test_every_whole_answer_that_is_spelled_again_reads_back_the_same():
    for body in answers():
        response = stripped(whole(body))
        assert stripped(whole(server.build_response(response).body)) == response
        assert fold(events_of(b"".join(server.build_events(response, piece=5)), 17)[0]) == response


# Streams.


def events_said(body):
    """The JSON of a stream, read line by line."""
    for line in re.split(r"\r\n|\n|\r", body.decode()):
        if line.startswith("data:") and line != "data: [DONE]":
            yield json.loads(line[5:])


def grown(events):
    """The blocks of a stream, as its events say them."""
    blocks, inputs = {}, {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = {**event["content_block"]}
            inputs[event["index"]] = ""
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for kind in ("text", "thinking", "signature"):
                if delta["type"] == f"{kind}_delta":
                    block[kind] += delta[kind]
            if delta["type"] == "citations_delta":
                block["citations"] = [*(block["citations"] or ()), delta["citation"]]
            if delta["type"] == "input_json_delta":
                inputs[event["index"]] += delta["partial_json"]
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = json.loads(text)
    return list(blocks.values())


def test_every_stream_says_what_its_events_say():
    count = 0
    for exchange in streams():
        count += 1
        body = body_of(exchange)
        events = list(events_said(body))
        produced, ended = events_of(body)
        assert ended
        response = fold(produced)
        blocks = grown(events)
        check_blocks(response, blocks)
        start = events[0]["message"]
        (last,) = [event for event in events if event["type"] == "message_delta"]
        usage = {**start["usage"], **{key: value for key, value in last["usage"].items() if value is not None}}
        check_usage(response, usage)
        assert (response.id, response.model) == (start["id"], start["model"])
        raw = last["delta"]["stop_reason"]
        assert (response.finish_reason_raw, response.finish_reason) == (raw, FINISH[raw])
        wire = client.build_request(ModelRequest(model="m", max_tokens=1, messages=(response.message,)), PLAIN)
        (back,) = json.loads(wire.body)["messages"]
        content = back["content"]
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert [said(block) for block in content] == [said(block) for block in blocks if block.get("text") != ""]
    assert count == 96


def test_line_ends_do_not_matter():
    for exchange in streams():
        body = body_of(exchange)
        lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        expected = events_of(body)
        assert events_of(lines) == expected
        assert events_of(lines.replace(b"\n", b"\r"), 4096) == expected
        assert events_of(lines.replace(b"\n", b"\r\n"), 1021) == expected


def test_one_byte_at_a_time_gives_the_same_events():
    for exchange in streams():
        body = body_of(exchange)
        assert events_of(body, 1) == events_of(body)


def test_a_small_stream_cut_in_two_anywhere_gives_the_same_events():
    small = [body for body in map(body_of, streams()) if len(body) < 1_200]
    assert small
    for body in small:
        expected = events_of(body)[0]
        for at in range(1, len(body)):
            parser = client.stream_parser(PLAIN)
            assert parser.feed(body[:at]) + parser.feed(body[at:]) + parser.end() == expected


def test_every_stream_that_is_cut_before_its_end_was_cut():
    for exchange in streams():
        body = body_of(exchange)
        end = body.index(b"message_stop", body.index(b"message_delta"))
        for at in range(end - 1, -1, -max(end // 12, 1)):
            events, ended = events_of(body[:at])
            assert not ended
            assert not any(isinstance(event, ResponseEnd) for event in events)


def spaced(response):
    """A response with the arguments of its calls spaced as a whole answer spaces them, which says nothing of it."""
    parts = [
        replace(part, arguments=json.dumps(part.parse_arguments(), separators=(",", ":"), ensure_ascii=False))
        if part in response.tool_calls
        else part
        for part in response.parts
    ]
    return replace(response, message=replace(response.message, parts=tuple(parts)))


def test_every_stream_that_is_spelled_again_folds_to_the_same_answer():
    for exchange in streams():
        response = fold(events_of(body_of(exchange))[0])
        assert fold(events_of(b"".join(server.build_events(response, piece=6)), 211)[0]) == response
        assert stripped(whole(server.build_response(response).body)) == spaced(response)


def test_what_is_opaque_in_answers_is_a_text_without_words_and_redacted_thoughts_stay():
    opaque, redacted = Counter(), 0
    for response in [*map(whole, answers()), *[fold(events_of(body_of(each))[0]) for each in streams()]]:
        for part in response.parts:
            kind = part.provider_data.get("anthropic_messages", {}).get("type")
            if isinstance(part, Text) and kind:
                assert part.text == ""
                opaque[kind] += 1
            redacted += isinstance(part, Reasoning) and kind == "redacted_thinking"
    assert redacted == 2
    assert opaque == {
        "server_tool_use": 28,
        "web_search_tool_result": 18,
        "bash_code_execution_tool_result": 8,
        "tool_search_tool_result": 2,
        "advisor_tool_result": 1,
        "mcp_tool_result": 1,
    }


# Errors.


def test_a_stream_that_fails_raises_the_providers_error():
    (exchange,) = [each for each in exchanges("errors") if each["response"]["status"] == 200]
    with pytest.raises(OverloadedError, match="Overloaded") as caught:
        events_of(body_of(exchange))
    assert caught.value.status == 200


def test_every_error_has_its_kind():
    found = Counter()
    for exchange in exchanges("errors"):
        response, body = exchange["response"], body_of(exchange)
        if response["status"] < 400:
            continue
        headers = tuple((name.lower(), value) for name, value in response["headers"])
        info = client.parse_error(WireReply(status=response["status"], headers=headers, body=body))
        found[response["status"], info.kind] += 1
        answer = json.loads(body)
        assert (info.message, info.type) == (answer["error"]["message"], answer["error"]["type"])
        assert info.request_id == dict(headers).get("request-id", answer.get("request_id"))
        assert (info.retry_after is not None) == any(name == "retry-after" for name, _ in headers)
        again = client.parse_error(server.build_error(info))
        assert (again.kind, again.message, again.status) == (info.kind, info.message, info.status)
    assert found == {
        (400, "bad_request"): 10,
        (400, "context_length"): 1,
        (401, "authentication"): 9,
        (404, "model_not_found"): 3,
        (429, "rate_limit"): 11,
        (529, "overloaded"): 1,
    }


# Fixtures without a request, of many wires and some of them joined or trimmed by hand.


def test_a_fixture_is_read_or_refused_and_never_breaks_the_reader():
    found = Counter()
    for line in lines_of("zz-response-only-fixtures"):
        body = (line["response"].get("body") or "").encode()
        if is_stream(body):
            try:
                found["whole stream" if events_of(body)[1] else "no stream of this wire"] += 1
            except QuothError:
                found["error in a stream"] += 1
            continue
        try:
            response = stripped(whole(body))
        except ResponseParseError:
            found["no answer of this wire"] += 1
            continue
        found["answer"] += 1
        assert stripped(whole(server.build_response(response).body)) == response
        assert isinstance(response.message, Message)
    assert found == {
        "answer": 39,
        "no answer of this wire": 158,
        "whole stream": 2,
        "no stream of this wire": 22,
        "error in a stream": 1,
    }
