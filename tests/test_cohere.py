"""Cohere's chat in both directions: word by word, and the laws that hold for whatever is said."""

import json

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

import invented_cohere as invented
from halves import PLAIN, events_of, exactly, keys, outcome_of, reply, stripped, texts, values, words
from quoth.dialects.cohere_chat import client, server
from quoth.dialects.cohere_chat._usage import parse_usage
from quoth.dialects.cohere_chat._words import FINISH_REASONS, NAME
from quoth.errors import (
    InputError,
    QuothError,
    RateLimitError,
    ResponseParseError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from quoth.events import PartData, ReasoningDelta, ResponseStart, TextDelta, ToolCallDelta, fold
from quoth.types import (
    Audio,
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Refusal,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from quoth.wire import ErrorInfo, Quirks, WireRequest

PLAN = {NAME: {":field": "tool_plan"}}
OWN = {NAME: {}}


def built(*messages, **fields):
    """The body of a request, and what had to be changed for it."""
    wire = client.build_request(ModelRequest(model="m", messages=messages, **fields), PLAIN)
    return json.loads(wire.body), wire.changes


def spelled(*parts, role="assistant"):
    """How one message is spelled."""
    return built(Message(role=role, parts=parts))[0]["messages"][0]


def read(body):
    return server.parse_request(WireRequest(path="/v2/chat", body=json.dumps(body).encode()))


def read_message(wire):
    """A message of a request, which building gives back exactly."""
    (message,) = read({"model": "m", "messages": [wire]}).messages
    assert exactly(built(message)[0]["messages"][0]) == exactly(wire)
    return message


def whole(answer):
    return stripped(client.parse_response(reply(answer), PLAIN))


# Requests.


def test_the_head_of_a_request():
    wire = client.build_request(ModelRequest(model="m", messages=(Message.user("Hi"),)), PLAIN)
    assert (wire.path, wire.method) == ("/v2/chat", "POST")
    assert dict(wire.headers) == {"content-type": "application/json", "accept": "application/json"}
    assert json.loads(wire.body) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    streamed = client.build_request(ModelRequest(model="m", messages=(), stream=True), PLAIN)
    assert (dict(streamed.headers)["accept"], json.loads(streamed.body)["stream"]) == ("text/event-stream", True)


MESSAGES = {
    "system": ({"role": "system", "content": "Be brief."}, Message.system("Be brief.")),
    "list": (
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        Message(role="user", parts=(Text(text="Hi"),), provider_data={NAME: {":form": "list"}}),
    ),
    "nothing": ({"role": "user", "content": ""}, Message(role="user", parts=())),
    "picture by address": (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}}]},
        Message.user(Image(url="https://x/y", detail="low")),
    ),
    "picture": (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}]},
        Message.user(Image(data=b"png", media_type="image/png")),
    ),
    "thought": (
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}]},
        Message.assistant(Reasoning(text="hm", provider_data=OWN), "Hi"),
    ),
    "plan and call": (
        {
            "role": "assistant",
            "tool_plan": "I will.",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        Message.assistant(Text(text="I will.", provider_data=PLAN), ToolCall(id="c", name="f", arguments="{}")),
    ),
    "citations": (
        {"role": "assistant", "content": "Hi", "citations": [{"start": 0}]},
        Message(role="assistant", parts=(Text(text="Hi"),), provider_data={NAME: {"citations": [{"start": 0}]}}),
    ),
    "result": (
        {"role": "tool", "tool_call_id": "c", "content": "2"},
        Message.tool("c", "2"),
    ),
    "result with a document": (
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": {"x": "1"}}}]},
        Message.tool(
            "c",
            Text(
                text="",
                provider_data={NAME: {"type": "document", "document": {"data": {"x": "1"}}, ":absent": ["text"]}},
            ),
        ),
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_message_on_the_wire_and_as_a_value(case):
    wire, message = MESSAGES[case]
    assert read_message(wire) == message


def test_an_odd_message_is_given_back_as_it_came():
    for wire in (
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "ghost", "content": "Hi", "x": 1},
        {"role": "assistant", "content": [], "tool_calls": [], "citations": [], "tool_plan": None},
        {"role": "assistant", "content": ["Hi", 1], "tool_calls": 3},
        {"role": "tool", "content": {"a": 1}},
        {"role": "user", "content": [{"type": "text", "text": 1}, {"type": "audio"}, {"text": "x"}]},
    ):
        read_message(wire)


def test_parameters_have_their_names_here():
    body, changes = built(
        max_tokens=9, temperature=0.5, top_p=0.25, stop=("a", "b"), seed=7, reasoning=512,
        output=OutputFormat(schema={"type": "object"}), extra={"k": 3, "safety_mode": "OFF", "documents": ["x"]},
    )  # fmt: skip
    assert body == {
        "model": "m", "messages": [], "max_tokens": 9, "temperature": 0.5, "p": 0.25, "stop_sequences": ["a", "b"],
        "seed": 7, "thinking": {"type": "enabled", "token_budget": 512},
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "k": 3, "safety_mode": "OFF", "documents": ["x"],
    }  # fmt: skip
    assert changes == ()
    assert built(extra={"p": 1}, top_p=0.5)[0]["p"] == 1


@pytest.mark.parametrize(
    ("said", "wire"),
    [("none", "disabled"), ("disabled", "disabled"), (0, "disabled"), ("enabled", "enabled")],
)
def test_reasoning_is_turned_on_or_off(said, wire):
    assert built(reasoning=said)[0]["thinking"] == {"type": wire}
    assert read({"model": "m", "messages": [], "thinking": {"type": wire}}).reasoning in ("none", "enabled")


def test_an_effort_is_refused_with_what_is_taken():
    with pytest.raises(UnsupportedParameterError, match="takes a number of tokens, 'enabled' or 'none'"):
        built(reasoning="low")


def test_a_form_without_a_schema_and_what_it_leaves_out():
    body, changes = built(output=OutputFormat(name="n", description="d", strict=False))
    assert body["response_format"] == {"type": "json_object"}
    assert len(changes) == 3
    assert built(output=OutputFormat(schema={}, strict=True))[1] == ()
    guide = {"type": "json_object", "schema": {"type": "object"}}
    request = read({"model": "m", "messages": [], "response_format": guide})
    assert request.output.schema == {"type": "object"}
    assert json.loads(client.build_request(request, PLAIN).body)["response_format"] == guide


ADD, SUB = Tool(name="add", description="d", parameters={"type": "object"}), Tool(name="sub")


def test_tools_and_their_choice():
    body, changes = built(tools=(ADD, SUB), tool_choice=ToolChoice(mode="required"))
    assert body["tools"][0] == {
        "type": "function",
        "function": {"name": "add", "description": "d", "parameters": {"type": "object"}},
    }
    assert (body["tool_choice"], changes) == ("REQUIRED", ())
    assert built(tools=(ADD,), tool_choice=ToolChoice(mode="none"))[0]["tool_choice"] == "NONE"
    body, changes = built(tools=(ADD,), tool_choice=ToolChoice(mode="auto"))
    assert "tool_choice" not in body
    assert changes == ("tool_choice='auto' left out: it is what this wire does without one",)


def test_one_tool_is_demanded_by_sending_no_other():
    body, changes = built(tools=(ADD, SUB), tool_choice=ToolChoice(mode="tool", name="sub"))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["sub"]
    assert (body["tool_choice"], len(changes)) == ("REQUIRED", 1)
    assert built(tools=(SUB,), tool_choice=ToolChoice(mode="tool", name="sub"))[1] == ()
    with pytest.raises(UnsupportedParameterError, match="'mul', which is none of the tools"):
        built(tools=(ADD,), tool_choice=ToolChoice(mode="tool", name="mul"))


def test_strict_holds_for_all_tools():
    strict = replace(ADD, strict=True)
    body, changes = built(tools=(strict,))
    assert (body["strict_tools"], changes) == (True, ())
    assert read(body).tools == (strict,)
    assert built(tools=(strict, SUB))[1] == ("strict of some tools sent as strict_tools, which holds for all of them",)
    body, changes = built(tools=(replace(ADD, strict=False),))
    assert "strict_tools" not in body
    assert changes[0].startswith("strict=False")
    assert read({"model": "m", "messages": [], "strict_tools": True}).extra == {"strict_tools": True}


def test_what_cannot_be_said_is_named_or_refused():
    _, changes = built(
        Message(role="user", name="n", parts=(Text(text="Hi"),)),
        Message.assistant(Reasoning(text="hm"), Refusal(text="No."), Text(text="", provider_data={"gemini": {"x": 1}})),
        Message.tool("c", "no", is_error=True),
    )
    assert [change.partition(":")[0].partition(" that")[0] for change in changes] == [
        "name of a message left out", "reasoning", "a refusal", "a part", "is_error of a tool result left out",
    ]  # fmt: skip
    assert spelled(Reasoning(text="hm"), Refusal(text="No.")) == {
        "role": "assistant",
        "content": [{"type": "text", "text": "No."}],
    }
    with pytest.raises(UnsupportedContentError, match="documents stand beside the messages"):
        built(Message.user(Document(data=b"x", media_type="text/plain")))
    with pytest.raises(UnsupportedContentError, match="takes text and pictures"):
        built(Message.user(Audio(data=b"x", media_type="audio/wav")))
    with pytest.raises(UnsupportedContentError, match="neither data nor a url"):
        built(Message.user(Image()))
    with pytest.raises(UnsupportedContentError, match="holds ToolResult parts"):
        built(Message(role="tool", parts=(Text(text="x"),)))
    with pytest.raises(UnsupportedParameterError, match=r"use models\.stream"):
        built(extra={"stream": True})
    with pytest.raises(UnsupportedParameterError, match="ignores tools"):
        client.build_request(ModelRequest(model="m", messages=(), tools=(ADD,)), Quirks(tools=False))


def test_results_each_have_a_message_of_their_own():
    results = (ToolResult(call_id="a", parts=(Text(text="1"),)), ToolResult(call_id="b", parts=()))
    body, _ = built(Message(role="tool", parts=results))
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
    ]


def test_the_invented_request_means_what_it_says():
    request = read(invented.ASKED)
    assert (request.top_p, request.stop, request.reasoning) == (0.5, ("END",), 512)
    assert request.tools == (Tool(name="add", parameters={"type": "object"}, strict=True),)
    assert request.tool_choice == ToolChoice(mode="required")
    assert request.extra == {key: invented.ASKED[key] for key in ("documents", "k", "safety_mode")}
    assert exactly(json.loads(client.build_request(request, PLAIN).body)) == exactly(invented.ASKED)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model": "m"}', b'{"model": "m", "messages": [1]}'])
def test_what_is_no_request_is_refused(body):
    with pytest.raises(InputError):
        server.parse_request(WireRequest(path="/v2/chat", body=body))


PARTS = st.fixed_dictionaries({}, optional={"type": st.sampled_from(["text", "thinking", "image_url"]) | words,
    "text": texts | values, "thinking": texts | values, "image_url": values | st.fixed_dictionaries({"url": texts}),
})  # fmt: skip
CALLS = st.fixed_dictionaries({}, optional={"id": texts | values, "type": st.just("function") | values,
    "function": values | st.fixed_dictionaries({}, optional={"name": texts, "arguments": texts | values})})  # fmt: skip
TURNS = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["system", "user", "assistant", "tool"]) | words,
    "content": texts | values | st.lists(PARTS, max_size=3), "tool_plan": texts | values,
    "tool_calls": values | st.lists(CALLS, max_size=2), "citations": values, "tool_call_id": texts | values,
})  # fmt: skip
NAMED = {
    "max_tokens": st.integers(), "p": st.floats(0, 1), "temperature": st.integers(0, 2), "seed": st.integers(0, 9),
    "stop_sequences": st.lists(texts, max_size=2), "stream": st.booleans(),
    "thinking": st.sampled_from([{"type": "disabled"}, {"type": "enabled"}, {"type": "enabled", "token_budget": 5}]),
    "tool_choice": st.sampled_from(["NONE", "REQUIRED"]), "strict_tools": st.booleans(),
    "tools": st.lists(st.fixed_dictionaries({}, optional={"type": st.just("function"), "function": values})),
    "response_format": st.fixed_dictionaries({"type": st.just("json_object") | words}, optional={"schema": values,
        "json_schema": values}),
}  # fmt: skip
ASKED = st.fixed_dictionaries(
    {"model": texts, "messages": st.lists(TURNS, max_size=3)},
    optional={**{name: value | values for name, value in NAMED.items()}, "k": values},
)


@given(ASKED)
def test_a_request_of_any_shape_is_spelled_again_as_it_was(body):
    request = read(body)
    if request.extra.get("stream"):  # which asks for a stream in a way that is not ours
        return
    said = {key: value for key, value in body.items() if value is not None or key not in NAMED or key == "strict_tools"}
    if said.get("stream") is False:
        del said["stream"]
    assert exactly(json.loads(client.build_request(request, PLAIN).body)) == exactly(said)


# Answers.


def test_the_invented_answer_whole_and_streamed():
    response = whole(invented.ANSWER)
    thought, text, plan, call = response.parts
    assert (thought, text, plan) == (
        Reasoning(text="hm", provider_data=OWN),
        Text(text="Grüße you"),
        Text(text="I will add.", provider_data=PLAN),
    )
    assert call == ToolCall(id="add_1", name="add", arguments='{"a": 1}')
    assert response.text == "Grüße youI will add."
    assert response.message.provider_data == {NAME: {"citations": [invented.CITATION]}}
    assert response.provider_data == {NAME: {"logprobs": invented.ANSWER["logprobs"]}}
    assert (response.id, response.model, response.created) == ("7e434751", "", None)
    assert (response.finish_reason, response.finish_reason_raw) == ("tool_calls", "TOOL_CALL")
    assert response.usage == Usage(input=67, output=37, reasoning=29, reported=invented.USAGE)
    assert fold(events_of(client, invented.STREAM.encode())) == response
    again = json.loads(server.build_response(response).body)
    assert again == invented.ANSWER
    (back,) = built(response.message)[0]["messages"]
    assert back == invented.ANSWER["message"]


def test_the_events_of_a_stream():
    start, *events = events_of(client, invented.STREAM.encode())
    assert start == ResponseStart(id="7e434751")
    assert events[:3] == [
        ReasoningDelta(text="h", index=0),
        PartData(provider_data=OWN, index=0),
        ReasoningDelta(text="m", index=0),
    ]
    assert events[5:8] == [
        TextDelta(text="I will", index=2),
        PartData(provider_data=PLAN, index=2),
        TextDelta(text=" add.", index=2),
    ]
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ['{"a": ', "1}"]


@pytest.mark.parametrize("raw", [*FINISH_REASONS, "SOMETHING", None])
def test_a_finish_reason_has_its_word_and_keeps_its_own(raw):
    answer = {**invented.ANSWER, "finish_reason": raw}
    response = whole(answer)
    assert (response.finish_reason, response.finish_reason_raw) == (FINISH_REASONS.get(raw, "other"), raw)
    if raw is not None:
        assert json.loads(server.build_response(response).body)["finish_reason"] == raw


@pytest.mark.parametrize(
    ("ours", "raw", "word"),
    [("stop", "end_turn", "COMPLETE"), ("length", None, "MAX_TOKENS"), ("tool_calls", "tool_use", "TOOL_CALL"),
     ("content_filter", None, "ERROR")],
)  # fmt: skip
def test_a_finish_reason_of_another_wire_has_a_word_here(ours, raw, word):
    made = Response(message=Message.assistant("x"), finish_reason=ours, finish_reason_raw=raw, model="m")
    body = json.loads(server.build_response(made).body)
    assert (body["finish_reason"], body["id"]) == (word, "00000000-0000-0000-0000-000000000000")
    assert whole(body).id is None


def test_money_follows_what_is_billed():
    assert parse_usage(invented.USAGE).total_input == 67
    assert parse_usage({"billed_units": {"input_tokens": 5}}) == Usage(
        input=5, reported={"billed_units": {"input_tokens": 5}}
    )
    raw = {"tokens": {"input_tokens": 500, "output_tokens": 9}}
    assert parse_usage(raw) == Usage(source="missing", reported=raw)
    assert parse_usage({}) == parse_usage(None) == Usage(source="missing")
    assert parse_usage([1]) == Usage(source="suspect")
    floats = parse_usage({"billed_units": {"input_tokens": 5.0, "output_tokens": 2.0}})
    assert (floats.input, floats.output) == (5, 2)


def test_reasoning_is_a_part_of_what_is_billed_or_not_told_apart():
    def usage(thought):
        return parse_usage({"billed_units": {"output_tokens": 10}, "tokens": {"reasoning_tokens": thought}})

    assert (usage(4).output, usage(4).reasoning) == (6, 4)
    assert (usage(11).output, usage(11).reasoning) == (10, 0)
    assert (usage("x").output, usage("x").source) == (10, "provider")


def test_usage_of_another_wire_is_spelled_as_billed():
    usage = Usage(input=3, cache_read=4, output=5, reasoning=2)
    made = Response(message=Message.assistant("x"), finish_reason="stop", model="m", usage=usage)
    assert json.loads(server.build_response(made).body)["usage"] == {
        "billed_units": {"input_tokens": 7, "output_tokens": 7},
        "tokens": {"input_tokens": 7, "output_tokens": 7, "reasoning_tokens": 2},
        "cached_tokens": 4,
    }


NO_ANSWERS = {
    b"<html>": "no JSON",
    b"[]": "no object",
    b"{}": "no message",
    b'{"message": "model not found"}': "it is an error: model not found",
    b'{"text": "Hi", "generation_id": "g"}': "API v1: send to /v2/chat",
}


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_what_is_no_answer_says_why_and_keeps_its_bytes(body):
    with pytest.raises(ResponseParseError, match=NO_ANSWERS[body]) as caught:
        client.parse_response(reply(body), PLAIN)
    assert caught.value.body == body


def test_an_odd_answer_is_read_as_far_as_it_goes():
    response = whole({"id": 7, "message": {"content": ["Hi", {"type": "audio", "x": 1}, 3], "tool_calls": [{}, 1]}})
    assert (response.text, response.id, response.finish_reason) == ("Hi", None, "other")
    assert response.parts[1].provider_data[NAME]["x"] == 1
    assert response.tool_calls == (ToolCall(id="", name="", arguments=""),)
    assert whole({"message": {"content": "Hi"}}).text == "Hi"
    assert whole({"message": {}}).parts == ()


# Streams.


def test_a_stream_that_is_cut_has_no_end_and_one_behind_message_end_has():
    body = invented.STREAM.encode()
    end = body.index(b"\n\n", body.index(b'"message-end"'))
    for at in range(0, len(body), 7):
        parser = client.stream_parser(PLAIN)
        parser.feed(body[:at])
        parser.end()
        assert parser.ended == (at >= end)


def test_contents_whose_beginning_or_end_was_not_said():
    events = [invented.event("content-delta", {"content": {"thinking": "hm"}}, 0),
              invented.event("content-delta", {"content": {"text": "Hi"}}, 1),
              invented.event("content-start", {"content": {"type": "text", "text": ""}}, 2),
              invented.event("content-start", {"content": {"type": "table", "x": 1}}, 3),
              invented.event("content-start", {"content": {"type": "text", "text": "!", "y": 2}}, 4),
              invented.event("surprise", {"content": 1}),
              invented.event("tool-call-delta", {"tool_calls": {"function": {"arguments": "lost"}}}, 9),
              invented.event("message-end", finish_reason="COMPLETE", later=1)]  # fmt: skip
    body = invented.stream(*events).encode()
    response = fold(events_of(client, body))
    assert response == fold(events_of(client, body, [1]))
    thought, text, table, marked, empty = sorted(response.parts, key=lambda part: response.parts.index(part) == 2)
    assert (thought.text, text, empty) == ("hm", Text(text="Hi"), Text(text=""))
    assert table.provider_data == {NAME: {"type": "table", "x": 1, ":absent": ["text"]}}
    assert marked == Text(text="!", provider_data={NAME: {"y": 2}})
    assert response.provider_data == {NAME: {"later": 1}}


ERRORS = {
    'event: error\ndata: {"message": "slow", "status": 429}\n\n': ("rate_limit", "slow"),
    'data: {"error": {"message": "odd"}}\n\n': ("server", "odd"),
    'data: {"message": "too many tokens"}\n\n': ("server", "too many tokens"),
    'data: {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "broke"}}\n\n': ("server", "broke"),
    'data: {"error_type": "TOO_MANY_TOKENS", "message": "long"}\n\n': ("context_length", "long"),
}


@pytest.mark.parametrize("said", ERRORS)
def test_an_error_in_a_stream_comes_after_what_stood_before_it(said):
    begun = invented.stream(*invented.EVENTS[:3], done=False)
    events, error = outcome_of(client, (begun + said).encode())
    assert (error.kind, error.message) == ERRORS[said]
    assert isinstance(events[1], ReasoningDelta)


def test_our_own_errors_in_a_stream_have_their_kind():
    said = server.build_stream_error(ErrorInfo(kind="rate_limit", message="slow"))
    _, error = outcome_of(client, said)
    assert isinstance(error, RateLimitError)


def test_an_event_that_is_no_json_is_unreadable_and_kept():
    _, error = outcome_of(client, b"data: {oops\n\ndata: x\n\n")
    assert isinstance(error, ResponseParseError)
    assert error.body == b"{oops"


# Laws.

COUNTS = st.none() | st.builds(
    lambda read, written, thought: {
        "billed_units": {"input_tokens": read, "output_tokens": written},
        "tokens": {"input_tokens": read + 9, "reasoning_tokens": thought},
    },
    st.integers(0, 99), st.integers(0, 99), st.integers(0, 150),
)  # fmt: skip
CONTENTS = st.lists(
    st.builds(Text, text=texts)
    | st.builds(Reasoning, text=texts, provider_data=st.just(OWN))
    | st.builds(Text, text=texts, provider_data=st.just({NAME: {"x": 1}})),
    max_size=3,
)
MADE = st.builds(
    lambda contents, plan, calls, raw, id_, usage, cited, kept: Response(
        message=Message(
            role="assistant",
            parts=(*contents, *([Text(text=plan, provider_data=PLAN)] if plan else []), *calls),
            provider_data={NAME: {"citations": cited}} if cited else {},
        ),
        finish_reason=FINISH_REASONS.get(raw, "other"),
        finish_reason_raw=raw,
        model="",
        id=id_,
        usage=parse_usage(usage),
        provider_data={NAME: kept} if kept else {},
    ),
    CONTENTS, texts, st.lists(st.builds(ToolCall, id=words, name=texts, arguments=texts), max_size=2),
    st.sampled_from([*FINISH_REASONS, "TIDE"]), st.none() | words, COUNTS,
    st.lists(st.fixed_dictionaries({"start": st.integers(0, 9), "text": texts}), max_size=2),
    st.dictionaries(keys.filter(lambda key: key not in ("delta", "error", "message", "usage", "type", "id", "index",
        "finish_reason", "status")), words, max_size=2),
)  # fmt: skip


@given(MADE, st.integers(1, 9), st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_an_answer_reads_back_the_same_whole_and_streamed_however_it_is_cut(made, piece, sizes):
    assert stripped(client.parse_response(server.build_response(made), PLAIN)) == made
    body = b"".join(server.build_events(made, piece=piece))
    assert fold(events_of(client, body, sizes)) == made
    short, error = outcome_of(client, body[: body.index(b"event: message-end")], sizes)
    assert error is None
    assert [event for event in short if isinstance(event, ResponseStart)] == [ResponseStart(id=made.id)]


ODD = st.fixed_dictionaries({"message": st.dictionaries(st.sampled_from(
    ["content", "tool_plan", "tool_calls", "citations", "role", "x"]), values | st.lists(PARTS | CALLS, max_size=2),
    max_size=4)}, optional={"id": values, "finish_reason": values, "usage": values, "x": values})  # fmt: skip


@given(ODD)
def test_whatever_an_answer_holds_it_is_read_and_can_be_sent_back(answer):
    response = whole(answer)
    assert whole(json.loads(server.build_response(response).body)).parts == response.parts
    built(response.message)


KINDS = ["message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
         "tool-call-delta", "tool-call-end", "citation-start", "message-end", "odd", None, 3]  # fmt: skip
EVENTS = st.fixed_dictionaries({"type": st.sampled_from(KINDS)}, optional={
    "index": st.integers(0, 2) | values, "id": values,
    "delta": values | st.fixed_dictionaries({"message": st.dictionaries(st.sampled_from(
        ["content", "tool_plan", "tool_calls", "citations", "x"]), values | PARTS | CALLS, max_size=3)}),
})  # fmt: skip


@given(st.lists(EVENTS, max_size=6), st.integers(1, 50))
def test_whatever_events_come_the_cuts_do_not_matter_and_nothing_breaks(events, size):
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in events).encode("utf-8", "surrogatepass")
    one, other = outcome_of(client, body), outcome_of(client, body, [size])
    assert one[0] == other[0]
    assert (one[1] is None) == (other[1] is None)
    assert one[1] is None or isinstance(one[1], QuothError)
    fold(one[0])
