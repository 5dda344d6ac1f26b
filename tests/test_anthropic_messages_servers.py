"""Servers that speak Anthropic Messages in their own ways: what each was seen to do loses nothing of its answer.

The bytes are invented, after what the servers' documentation and the issues of their clients tell (DeepSeek, Moonshot,
MiniMax, Z.ai, Bedrock, Vertex, and gateways); each stream is read whole and one byte at a time.
"""

import json

import pytest

from quoth.dialects.anthropic_messages import client, server
from quoth.errors import APIStatusError, OverloadedError, RateLimitError, ResponseParseError
from quoth.events import fold
from quoth.types import Message, ModelRequest, Reasoning, Text, ToolCall, Usage
from quoth.wire import Quirks, WireReply
from streams import events_of

NAME = "anthropic_messages"
PLAIN = Quirks()


def lines(*events, named=True, end="\n\n"):
    said = []
    for event in events:
        if isinstance(event, str):
            said.append(event)
        else:
            said.append((f"event: {event['type']}\n" if named else "") + "data: " + json.dumps(event))
    return "".join([line + end for line in said]).encode()


def streamed(*events, **how):
    found, ended = events_of(client, lines(*events, **how))
    assert ended
    return fold(found)


def whole(**fields):
    body = {"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn", **fields}
    return client.parse_response(WireReply(status=200, body=json.dumps(body).encode()), PLAIN)


def begun(**fields):
    return {"type": "message_start", "message": {"id": "m", "model": "c", **fields}}


def block(index, **fields):
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index, **fields):
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stop(index):
    return {"type": "content_block_stop", "index": index}


def last(reason="end_turn", **fields):
    return {"type": "message_delta", "delta": {"stop_reason": reason}, **fields}


STOPPED = {"type": "message_stop"}
SAID = (block(0, type="text", text=""), delta(0, type="text_delta", text="Hi"), stop(0))


def sent_back(message):
    return json.loads(client.build_request(ModelRequest(model="m", messages=(message,)), PLAIN).body)["messages"][0]


def test_events_without_names_comments_and_line_ends_of_any_kind():
    events = (": keep-alive", begun(), '{"type": "ping"}', "event: ping", *SAID, last(), STOPPED)
    assert streamed(*[each for each in events if each != '{"type": "ping"}'], named=False).text == "Hi"
    for end in ("\r\n", "\r"):
        body = lines(begun(), {"type": "ping"}, *SAID, last(), STOPPED).replace(b"\n", end.encode())
        assert fold(events_of(client, body)[0]).text == "Hi"


def test_a_gateway_that_appends_done():
    assert streamed(begun(), *SAID, last(), STOPPED, "data: [DONE]").text == "Hi"


def test_nulls_wherever_they_may_stand():
    nothing = dict.fromkeys(["stop_sequence", "usage", "content", "container", "service_tier"])
    response = streamed(
        begun(**nothing, role=None),
        block(0, type="text", text=None, citations=None),
        delta(0, type="text_delta", text=None),
        delta(0, type="text_delta", text="Hi"),
        {"type": "content_block_delta", "index": 0, "delta": None},
        stop(0),
        {"type": "message_delta", "delta": None, "usage": None},
        last(usage=None, context_management=None),
        STOPPED,
    )
    assert (response.message, response.usage) == (Message.assistant("Hi"), Usage(source="missing"))
    assert response.provider_data == {}
    said = whole(content=[{"type": "text", "text": "Hi", "citations": None}, None], usage=None, stop_sequence=None)
    assert said.message == response.message


@pytest.mark.parametrize("content", [None, []])
def test_an_answer_without_content_is_one_where_it_says_why_it_stopped(content):
    """Refusals."""
    response = whole(content=content, stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"})
    assert (response.parts, response.finish_reason) == ((), "content_filter")
    assert response.provider_data[NAME]["stop_details"]["category"] == "bio"
    with pytest.raises(ResponseParseError, match="no content"):
        whole(content=None, stop_reason=None)


def test_a_content_that_is_a_string_is_its_text():
    assert whole(content="Hi").message == Message.assistant("Hi")


def test_counts_that_only_the_end_tells():
    """DeepSeek, Moonshot: zeros at first; MiniMax, vLLM: the input again at the end; Z.ai: zeros at the end."""
    full = {"input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 3}
    early = {**full, "output_tokens": 1}
    for first, end in (
        ({"input_tokens": 0, "output_tokens": 0}, full),
        (None, full),
        (early, full),
        (early, {"input_tokens": 0, "output_tokens": 5}),
        (full, None),
    ):
        response = streamed(begun(usage=first), *SAID, last(usage=end), STOPPED)
        assert response.usage == Usage(input=7, cache_read=3, output=5, reported=full)
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9}
    first = {**early, "cache_creation_input_tokens": 9, "cache_creation": split}
    none = {"output_tokens": 5, "cache_creation": dict.fromkeys(split, 0)}
    usage = streamed(begun(usage=first), *SAID, last(usage=none), STOPPED).usage
    assert (usage.cache_write_1h, usage.cache_write_5m, usage.output) == (9, 0, 5)


def test_what_bedrock_measures_stands_in_its_last_event():
    measured = {"inputTokenCount": 7, "firstByteLatency": 5}
    response = streamed(begun(), *SAID, last(), {**STOPPED, "amazon-bedrock-invocationMetrics": measured})
    assert response.provider_data[NAME] == {"amazon-bedrock-invocationMetrics": measured}


def test_thoughts_without_a_signature_go_back_as_they_came():
    """DeepSeek, Moonshot, MiniMax: their thoughts are not signed, or are with an empty text."""
    for signature in ({}, {"signature": ""}, {"signature": None}):
        response = streamed(
            begun(),
            block(0, type="thinking", thinking="", **signature),
            delta(0, type="thinking_delta", thinking="hm"),
            stop(0),
            block(1, type="text", text="4"),
            stop(1),
            last(),
            STOPPED,
        )
        assert response.parts == (Reasoning(text="hm", provider_data={NAME: {}}), Text(text="4"))
        assert sent_back(response.message)["content"][0] == {"type": "thinking", "thinking": "hm"}
        content = [{"type": "thinking", "thinking": "hm", **signature}, {"type": "text", "text": "4"}]
        assert whole(content=content).message == response.message


CALL = ToolCall(id="t", name="f", arguments='{"a":1}')


@pytest.mark.parametrize(
    "events",
    [
        (block(0, type="tool_use", id="t", name="f", input={"a": 1}), stop(0)),  # whole at its beginning
        (block(0, type="tool_use", id="t", name="f", input='{"a":1}'), stop(0)),
        (block(0, type="tool_use", id="t", name="f"), delta(0, type="input_json_delta", partial_json='{"a":1}')),
        (block(0, type="tool_use", id="t", name="f", input={}),
         delta(0, type="input_json_delta", partial_json={"a": 1}), stop(0)),
        (block(0, type="tool_use", id="t", name="f", input=None),
         delta(0, type="input_json_delta", partial_json='{"a"'), delta(0, type="input_json_delta", partial_json=":1}")),
    ],
)  # fmt: skip
def test_a_call_is_read_however_its_input_comes(events):
    response = streamed(begun(), *events, last("tool_use"), STOPPED)
    assert (response.tool_calls, response.finish_reason) == ((CALL,), "tool_calls")
    assert sent_back(response.message)["content"] == [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]


def test_an_input_that_is_a_text_is_its_json():
    response = whole(content=[{"type": "tool_use", "id": "t", "name": "f", "input": '{"a":1}'}])
    (call,) = response.tool_calls
    assert (call.arguments, call.parse_arguments()) == ('{"a":1}', {"a": 1})


def test_an_input_that_was_cut_stays_as_it_was_written():
    """max_tokens in the middle of a call."""
    response = streamed(
        begun(),
        block(0, type="tool_use", id="t", name="f", input={}),
        delta(0, type="input_json_delta", partial_json='{"a": "b'),
        last("max_tokens"),
        STOPPED,
    )
    assert (response.tool_calls[0].arguments, response.finish_reason) == ('{"a": "b', "length")
    wire = client.build_request(ModelRequest(model="m", messages=(response.message,)), PLAIN)
    assert json.loads(wire.body)["messages"][0]["content"][0]["input"] == {"INVALID_JSON": '{"a": "b'}
    assert any("no JSON object" in change for change in wire.changes)


def test_blocks_that_are_not_ended_or_begun_and_places_that_are_missing():
    no_place = [{key: value for key, value in each.items() if key != "index"} for each in SAID]
    assert streamed(begun(), *no_place, last(), STOPPED).text == "Hi"
    assert streamed(begun(), SAID[1], last(), STOPPED).text == "Hi"
    assert streamed(*SAID[:2], last(), STOPPED).text == "Hi"


def test_a_stop_reason_at_the_beginning_and_a_body_that_ends_there():
    """A server that answers at once; the row says whether a stream ends so."""
    events = (begun(stop_reason="end_turn"), *SAID)
    by_finish = events_of(client, lines(*events), Quirks(stream_end="finish_reason"))
    assert by_finish[1]
    assert not events_of(client, lines(*events))[1]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Provider full"}}, OverloadedError),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "Provider slow"}}, RateLimitError),
        ('data: {"error": {"code": "rate_limit_exceeded", "message": "Provider slow"}}', APIStatusError),
        ('event: error\ndata: {"error": {"message": "Provider odd"}}', APIStatusError),
        ('event: error\ndata: {"message": "Provider odd"}', APIStatusError),  # Vertex, a proxy's own words
    ],
)
def test_an_error_in_the_middle_of_a_stream_is_the_providers(line, kind):
    parser = client.stream_parser(PLAIN)
    events = parser.feed(lines(begun(), *SAID, line))
    with pytest.raises(kind, match="Provider") as caught:
        parser.feed(b"")
    assert (fold(events).text, parser.ended, caught.value.status) == ("Hi", False, 200)


def test_an_unknown_block_and_an_unknown_event_lose_nothing():
    unknown = {"type": "hologram", "data": {"x": 1}}
    response = streamed(begun(), block(0, **unknown), stop(0), {"type": "sparkle", "x": 1}, last(), STOPPED)
    assert sent_back(response.message)["content"] == [unknown]
    assert whole(content=[unknown]).message == response.message
    spelled = b"".join(server.build_events(response))
    assert fold(client.stream_parser(PLAIN).feed(spelled)).message == response.message


@pytest.mark.parametrize(
    ("given", "arguments", "back"),
    [(None, "{}", {}), ('{"a": 1}', '{"a": 1}', {"a": 1}), ([1], "[1]", {"INVALID_JSON": "[1]"})],
)
def test_an_input_that_is_no_object_goes_back_as_one_and_streams_the_same(given, arguments, back):
    block = {"type": "tool_use", "id": "t", "name": "f", "input": given}
    body = {"type": "message", "role": "assistant", "content": [block], "stop_reason": "tool_use"}
    response = client.parse_response(WireReply(status=200, body=json.dumps(body).encode()), PLAIN)
    assert response.tool_calls == (ToolCall(id="t", name="f", arguments=arguments),)
    sent = json.loads(client.build_request(ModelRequest(model="m", messages=(response.message,)), PLAIN).body)
    assert sent["messages"][0]["content"][0]["input"] == back
    assert fold(events_of(client, b"".join(server.build_events(response)))[0]).message == response.message
