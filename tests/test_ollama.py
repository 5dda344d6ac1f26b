"""Ollama's chat in both directions: word by word, and the laws that hold for whatever is said."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

import invented_ollama as invented
from halves import PLAIN, events_of, exactly, keys, outcome_of, reply, stripped, texts, values, words
from quoth.dialects._times import read_time, write_time
from quoth.dialects.ollama_chat import client, server
from quoth.dialects.ollama_chat._usage import parse_usage
from quoth.dialects.ollama_chat._words import NAME
from quoth.errors import (
    InputError,
    InternalServerError,
    QuothError,
    RateLimitError,
    ResponseParseError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from quoth.events import ReasoningDelta, ResponseStart, TextDelta, ToolCallStart, fold
from quoth.types import (
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
    Usage,
)
from quoth.wire import ErrorInfo, Quirks, WireRequest

OWN = {NAME: {}}
NDJSON, JSON = "application/x-ndjson", "application/json; charset=utf-8"
PNG = b"\x89PNG\r\n\x1a\n"


def built(*messages, **fields):
    """The body of a request, and what had to be changed for it."""
    wire = client.build_request(ModelRequest(model="m", messages=messages, **fields), PLAIN)
    return json.loads(wire.body), wire.changes


def read(body):
    return server.parse_request(WireRequest(path="/api/chat", body=json.dumps(body).encode()))


def whole(answer):
    return stripped(client.parse_response(reply(answer), PLAIN))


# Requests.


def test_the_head_of_a_request_says_whether_it_asks_for_a_stream():
    wire = client.build_request(ModelRequest(model="m", messages=(Message.user("Hi"),)), PLAIN)
    assert (wire.path, wire.method) == ("/api/chat", "POST")
    assert json.loads(wire.body) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
    streamed = client.build_request(ModelRequest(model="m", messages=(), stream=True), PLAIN)
    assert (dict(streamed.headers)["accept"], json.loads(streamed.body)["stream"]) == (NDJSON, True)
    assert read({"model": "m", "messages": []}).stream  # Ollama's default
    with pytest.raises(UnsupportedParameterError, match=r"use models\.stream"):
        built(extra={"stream": True})


def test_parameters_are_options_and_extra_options_stand_beside_them():
    body, changes = built(
        max_tokens=9, temperature=0.5, top_p=0.25, stop=("a",), seed=7, reasoning="low",
        output=OutputFormat(schema={"type": "object"}),
        extra={"keep_alive": "5m", "options": {"num_ctx": 8192, "seed": 8}},
    )  # fmt: skip
    assert body == {
        "model": "m", "messages": [], "stream": False, "think": "low", "format": {"type": "object"}, "keep_alive": "5m",
        "options": {"num_predict": 9, "temperature": 0.5, "top_p": 0.25, "stop": ["a"], "seed": 8, "num_ctx": 8192},
    }  # fmt: skip
    assert changes == ()
    assert built(extra={"options": {"num_ctx": 1}})[0]["options"] == {"num_ctx": 1}
    assert built(extra={"options": None}, seed=7)[0]["options"] is None


@pytest.mark.parametrize(
    ("said", "wire"),
    [("none", False), ("disabled", False), (0, False), ("enabled", True), ("high", "high")],
)
def test_thinking_is_a_switch_or_a_level(said, wire):
    assert exactly(built(reasoning=said)[0]["think"]) == exactly(wire)
    again = read({"model": "m", "messages": [], "think": wire}).reasoning
    assert again == {False: "none", True: "enabled"}.get(wire, wire)


def test_a_number_of_tokens_to_think_is_refused_with_what_is_taken():
    with pytest.raises(UnsupportedParameterError, match="takes 'enabled', 'none', or a word"):
        built(reasoning=512)


def test_any_json_is_a_word_and_what_a_form_leaves_out_is_named():
    body, changes = built(output=OutputFormat(name="n", description="d", strict=False))
    assert (body["format"], len(changes)) == ("json", 3)
    assert read({"model": "m", "messages": [], "format": "json"}).output == OutputFormat()
    assert read({"model": "m", "messages": [], "format": ""}).extra == {"format": ""}


ADD = Tool(name="add", description="d", parameters={"type": "object"})


def test_tools_are_left_to_the_model_or_left_out_and_never_demanded():
    function = {"name": "add", "description": "d", "parameters": {"type": "object"}}
    assert built(tools=(ADD,))[0]["tools"] == [{"type": "function", "function": function}]
    body, changes = built(tools=(ADD,), tool_choice=ToolChoice(mode="auto"))
    assert (len(body["tools"]), len(changes)) == (1, 1)
    body, changes = built(tools=(ADD,), tool_choice=ToolChoice(mode="none"))
    assert "tools" not in body
    assert changes == ("tools left out, as tool_choice='none' asks: this wire has no word for it",)
    for choice in (ToolChoice(mode="required"), ToolChoice(mode="tool", name="add")):
        with pytest.raises(UnsupportedParameterError, match="cannot be made to call a tool"):
            built(tools=(ADD,), tool_choice=choice)
    assert built(tools=(replace(ADD, strict=True),))[1] == ("strict of a tool left out: this wire has no field for it",)
    with pytest.raises(UnsupportedParameterError, match="ignores tools"):
        client.build_request(ModelRequest(model="m", messages=(), tools=(ADD,)), Quirks(tools=False))


def test_a_content_is_one_text_with_pictures_beside_it():
    body, changes = built(Message.user("What is this?", Image(data=PNG), "Be brief."))
    assert body["messages"] == [{"role": "user", "content": "What is this?\nBe brief.", "images": ["iVBORw0KGgo="]}]
    assert changes == ("texts of a message joined by line ends: its content is one text on this wire",)
    assert built(Message.assistant("a", "b"))[0]["messages"][0]["content"] == "ab"
    inline = Image(url="data:image/png;base64,iVBORw0KGgo=")
    assert built(Message.user(inline))[0]["messages"][0]["images"] == ["iVBORw0KGgo="]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF", "image/webp"),
     (b"odd", None)],
)  # fmt: skip
def test_the_type_of_a_picture_is_told_by_its_first_bytes(data, kind):
    (message,) = read(json.loads(client.build_request(
        ModelRequest(model="m", messages=(Message.user(Image(data=data)),)), PLAIN).body)).messages  # fmt: skip
    assert message == Message.user(Image(data=data, media_type=kind))


def test_what_cannot_be_said_is_named_or_refused():
    _, changes = built(
        Message(role="user", name="n", parts=(Text(text="Hi"),)),
        Message.assistant(Reasoning(text="hm"), Refusal(text="No."), Text(text="", provider_data={"gemini": {"x": 1}})),
        Message.tool("c", "no", is_error=True),
    )
    assert [change.partition(":")[0].partition(" that")[0] for change in changes] == [
        "name of a message left out", "reasoning", "a refusal", "a part", "is_error of a tool result left out",
    ]  # fmt: skip
    with pytest.raises(UnsupportedContentError, match="cannot carry Document"):
        built(Message.user(Document(data=b"x", media_type="text/plain")))
    with pytest.raises(UnsupportedContentError, match="fetches no pictures"):
        built(Message.user(Image(url="https://x/y.png")))
    with pytest.raises(UnsupportedContentError, match="holds ToolResult parts"):
        built(Message(role="tool", parts=(Text(text="x"),)))


def test_a_call_and_its_result_with_ids_and_without():
    call, made = ToolCall(id="c1", name="add", arguments='{"a":1}'), ToolCall(id="ollama_7_0", name="sub", arguments="")
    body, changes = built(
        Message.assistant(call, made), Message.tool(call, "2"), Message.tool(made, "3"), Message.tool("gone", "4")
    )
    assert body["messages"] == [
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}},
            {"function": {"name": "sub", "arguments": {}}},
        ]},
        {"role": "tool", "content": "2", "tool_name": "add", "tool_call_id": "c1"},
        {"role": "tool", "content": "3", "tool_name": "sub"},
        {"role": "tool", "content": "4", "tool_call_id": "gone"},
    ]  # fmt: skip
    assert changes == ()


def test_arguments_that_are_no_object_stand_inside_one_and_come_back():
    body, changes = built(Message.assistant(ToolCall(id="c", name="f", arguments="[oops")))
    (wire,) = body["messages"][0]["tool_calls"]
    assert wire["function"]["arguments"] == {"INVALID_JSON": "[oops"}
    assert len(changes) == 1
    assert read(body).messages[0].parts[0].arguments == "[oops"


def test_results_find_the_calls_that_they_are_for():
    def call(name, **more):
        return {"function": {"name": name, "arguments": {}}, **more}

    def result(**more):
        return {"role": "tool", "content": "x", **more}

    request = read({"model": "m", "messages": [
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b"), call("a"), call("c", id="own")]},
        result(tool_name="b"), result(tool_name="a"), result(), result(tool_call_id="own"), result(tool_name="z"),
    ]})  # fmt: skip
    ids = [message.parts[0].call_id for message in request.messages[1:]]
    assert ids == ["ollama_0_1", "ollama_0_0", "ollama_0_2", "own", "ollama_result_5"]
    (back,) = (json.loads(client.build_request(request, PLAIN).body)["messages"][4:5],)
    assert back == [result(tool_call_id="own")]


def test_the_invented_request_means_what_it_says():
    request = read(invented.ASKED)
    assert (request.max_tokens, request.temperature, request.stop, request.reasoning) == (9, 0.5, ("END",), "low")
    assert request.output == OutputFormat(schema={"type": "object"})
    assert request.extra == {"keep_alive": "5m", "options": {"num_ctx": 8192}}
    _, user, assistant, tool = request.messages
    assert user.parts == (Text(text="What is this?"), Image(data=PNG, media_type="image/png"))
    assert assistant.parts[0] == Reasoning(text="hm", provider_data=OWN)
    assert (assistant.parts[1].id, tool.parts[0].call_id) == ("ollama_2_0", "ollama_2_0")
    assert exactly(json.loads(client.build_request(request, PLAIN).body)) == exactly(invented.ASKED)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model": "m"}', b'{"model": "m", "messages": [1]}'])
def test_what_is_no_request_is_refused(body):
    with pytest.raises(InputError):
        server.parse_request(WireRequest(path="/api/chat", body=body))


BASE64 = st.sampled_from(["iVBORw0KGgo=", "QQ==", "QR==", "?"])
CALLS = st.fixed_dictionaries({}, optional={"id": texts | values, "type": st.just("function"),
    "function": values | st.fixed_dictionaries({}, optional={"name": texts, "arguments": values, "index": values}),
})  # fmt: skip
TURNS = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["system", "user", "assistant", "tool"]) | words,
    "content": texts | values, "thinking": texts | values, "images": values | st.lists(BASE64, max_size=2),
    "tool_calls": values | st.lists(CALLS, max_size=2), "tool_name": texts | values, "tool_call_id": texts | values,
})  # fmt: skip
NAMED = {
    "format": st.sampled_from(["json", "", {"type": "object"}]), "think": st.booleans() | words,
    "tools": st.lists(st.fixed_dictionaries({}, optional={"type": st.just("function"), "function": values})),
}  # fmt: skip
OPTIONS = st.fixed_dictionaries({}, optional={"num_predict": values, "temperature": values, "stop": values
    | st.lists(texts), "seed": values, "top_p": values, "num_ctx": values})  # fmt: skip
ASKED = st.fixed_dictionaries(
    {"model": texts, "messages": st.lists(TURNS, max_size=3), "stream": st.booleans()},
    optional={**{name: value | values for name, value in NAMED.items()}, "options": OPTIONS | values, "x": values},
)


@given(ASKED)
def test_a_request_of_any_shape_is_spelled_again_as_it_was(body):
    said = {key: value for key, value in body.items() if value is not None or key not in NAMED}
    assert exactly(json.loads(client.build_request(read(body), PLAIN).body)) == exactly(said)


# Answers.


def test_the_invented_answer_whole_and_streamed():
    response = whole(invented.ANSWER)
    assert response.parts == (
        Reasoning(text="hm", provider_data=OWN),
        Text(text="Grüße you"),
        ToolCall(id="call_1", name="add", arguments='{"a":1}'),
        ToolCall(id="ollama_1785873547_1", name="add", arguments='{"b":[2.5,null]}'),
    )
    assert (response.model, response.created, response.id) == ("qwen3:4b", 1785873547, None)
    assert (response.finish_reason, response.finish_reason_raw) == ("tool_calls", "stop")
    assert response.usage == Usage(input=42, output=24, reported=invented.COUNTS)
    assert response.usage.reported["eval_duration"] == 318697665
    assert response.provider_data == {
        NAME: {"created_at": "2026-08-04T19:59:07.278934Z", "logprobs": invented.LOGPROBS}
    }
    assert fold(events_of(client, invented.STREAM.encode())) == response
    assert json.loads(server.build_response(response).body) == invented.ANSWER
    (back,) = built(response.message)[0]["messages"]
    assert back["thinking"] == "hm"
    assert ["id" in call for call in back["tool_calls"]] == [True, False]


def test_the_events_of_a_stream():
    events = events_of(client, invented.STREAM.encode())
    assert events[0] == ResponseStart(model="qwen3:4b", created=1785873547)
    assert [type(event) for event in events[1:7]] == [
        ReasoningDelta, type(events[2]), ReasoningDelta, TextDelta, TextDelta, ToolCallStart,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "ours"),
    [("stop", "stop"), ("length", "length"), ("load", "other"), ("unload", "other"), ("", "other"), (None, "other"),
     ("content_filter", "content_filter")],
)  # fmt: skip
def test_a_finish_reason_has_its_word_and_keeps_its_own(raw, ours):
    response = whole({"message": {"content": "x"}, "done": True, "done_reason": raw})
    assert (response.finish_reason, response.finish_reason_raw) == (ours, raw or None)
    assert json.loads(server.build_response(response).body).get("done_reason") == (raw or None)


def test_a_finish_reason_of_another_wire_has_a_word_here():
    for ours, raw, word in (("stop", "end_turn", "stop"), ("length", None, "length"), ("tool_calls", "x", "stop")):
        made = Response(message=Message.assistant("x"), finish_reason=ours, finish_reason_raw=raw, model="m")
        body = json.loads(server.build_response(made).body)
        assert (body["done_reason"], body["created_at"]) == (word, "1970-01-01T00:00:00Z")
        assert "eval_count" not in body


def test_counts_stand_in_the_answer_and_one_may_be_missing():
    assert parse_usage({"eval_count": 5}) == Usage(output=5, reported={"eval_count": 5})
    durations = {"total_duration": 7}
    assert parse_usage(durations) == Usage(source="missing", reported=durations)
    assert parse_usage(None) == parse_usage({}) == Usage(source="missing")
    assert whole({"message": {}, "eval_count": -1}).usage.source == "suspect"
    usage = Usage(input=3, cache_read=4, output=5, reasoning=2)
    made = Response(message=Message.assistant("x"), finish_reason="stop", model="m", usage=usage)
    body = json.loads(server.build_response(made).body)
    assert (body["prompt_eval_count"], body["eval_count"]) == (7, 7)


def test_an_odd_answer_is_read_as_far_as_it_goes():
    response = whole({"model": 7, "created_at": "soon", "message": {
        "content": None, "images": ["iVBORw0KGgo=", 1], "x": 1,
        "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}', "y": 2}}, 3, {"id": "c"}]}})  # fmt: skip
    image, odd, bare = response.parts
    assert image == Image(data=PNG, media_type="image/png")
    kept = {NAME: {"function": {"y": 2}}}
    assert odd == ToolCall(id="ollama_None_0", name="f", arguments='{"a": 1}', provider_data=kept)
    assert bare == ToolCall(id="c", name="", arguments="{}")
    assert (response.model, response.created) == ("", None)
    assert response.message.provider_data == {NAME: {"x": 1}}
    assert response.provider_data == {NAME: {"created_at": "soon"}}
    (call, _) = built(response.message)[0]["messages"][0]["tool_calls"]
    assert call == {"function": {"name": "f", "arguments": {"a": 1}, "y": 2}}


NO_ANSWERS = {
    b"<html>": "no JSON",
    b"[]": "no object",
    b"{}": "no message",
    b'{"response": "Hi", "done": true}': "no message",
    b'{"error": "model not found"}': "it is an error: model not found",
    b'{"message": {"content": "H"}, "done": false}': "stops before its last line",
    b'{"message": {"content": "H"}, "done": false}\n{"mess': "stops before its last line",
}


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_what_is_no_answer_says_why_and_keeps_its_bytes(body):
    with pytest.raises(ResponseParseError, match=NO_ANSWERS[body]) as caught:
        client.parse_response(reply(body), PLAIN)
    assert caught.value.body == body


def test_a_whole_answer_that_came_as_lines_is_read():
    """As from a server that was asked for one piece, or whose label says so."""
    response = client.parse_response(reply(invented.STREAM.encode()), PLAIN)
    assert stripped(response) == whole(invented.ANSWER)
    assert response.body == invented.STREAM.encode()
    with pytest.raises(InternalServerError, match="an error was encountered"):
        client.parse_response(reply(invented.REFUSED.encode()), PLAIN)


# What is a stream.

LINE = json.dumps(invented.VALUES[0]).encode()
DONE = json.dumps(invented.ANSWER).encode()
PRETTY = json.dumps(invented.ANSWER, indent=2).encode()
BODIES = [
    (NDJSON, b"", None), (NDJSON, b"{", None), (NDJSON, LINE[:9], True), (NDJSON, DONE, True),
    (NDJSON, PRETTY, False), (NDJSON, b"{\r\n", False),
    (JSON, b"", None), (JSON, LINE[:-3], None), (JSON, LINE, None), (JSON, LINE + b"\n", True),
    (JSON, DONE, None), (JSON, DONE + b"\n", False), (JSON, PRETTY[:20], False), ("", LINE + b"\r\n{", True),
    ("text/plain", b'{"error": "no"}\n', True), (JSON, b'{"a": "' + b"x" * 70_000, False), (JSON, b"<html>\n", False),
]  # fmt: skip


@pytest.mark.parametrize(("label", "begun", "told"), BODIES)
def test_the_first_line_tells_a_stream_from_a_whole_answer(label, begun, told):
    assert client.is_stream(begun, label) is told


def test_one_line_that_is_done_is_the_same_answer_either_way():
    for body in (DONE, DONE + b"\n", DONE + b"\r\n\r\n"):
        assert fold(events_of(client, body)) == whole(invented.ANSWER)
    assert whole(json.loads(PRETTY)) == whole(invented.ANSWER)


# Streams.


def test_a_stream_that_is_cut_has_no_end_and_one_behind_its_last_line_has():
    body = invented.STREAM.encode()
    for at in [*range(0, len(body) - 3, 7), len(body) - 2, len(body) - 1, len(body)]:
        events, error = outcome_of(client, body[:at])
        assert error is None
        assert (len(events) > 0 and type(events[-1]).__name__ == "ResponseEnd") == (at >= len(body) - 1)


def test_an_error_in_a_stream_comes_after_what_stood_before_it():
    events, error = outcome_of(client, invented.REFUSED.encode())
    assert (error.kind, error.message) == ("server", "an error was encountered while running the model")
    assert isinstance(events[-1], TextDelta)
    said = server.build_stream_error(ErrorInfo(kind="rate_limit", message="slow"))
    assert isinstance(outcome_of(client, said)[1], RateLimitError)


def test_a_line_that_is_no_json_is_unreadable_and_kept():
    _, error = outcome_of(client, b"{oops\n{}\n")
    assert isinstance(error, ResponseParseError)
    assert error.body == b"{oops"


def test_what_comes_late_or_unasked_is_kept():
    body = invented.stream(
        invented.line({"content": "a", "mood": 1}, later=1), invented.line({"images": [invented.PIXEL]}), 7,
        invented.line({"content": "b"}, later=2), invented.line({}, done=True, remote_host="x"), {"error": "too late"},
    )  # fmt: skip
    response = fold(events_of(client, body.encode()))
    assert response.parts == (Text(text="ab"), Image(data=PNG, media_type="image/png"))
    assert response.message.provider_data == {NAME: {"mood": 1}}
    kept = {"created_at": invented.HEAD["created_at"], "later": 2, "remote_host": "x"}
    assert response.provider_data == {NAME: kept}
    again = fold(events_of(client, b"".join(server.build_events(response, piece=1))))
    assert again == response


# Times.


@given(st.integers(1, 250_000_000_000), st.sampled_from(["", ".5", ".443719123"]))
def test_a_time_is_counted_as_the_calendar_counts(seconds, fraction):
    said = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    assert write_time(seconds) == f"{said}Z"
    assert read_time(f"{said}{fraction}Z") == seconds


def test_a_time_may_have_a_zone_and_what_is_none_is_none():
    assert read_time("2026-05-27T16:53:45.4+02:00") == read_time("2026-05-27T14:53:45Z")
    assert read_time("2026-05-27T16:53:45-00:30") == read_time("2026-05-27T17:23:45Z")
    for odd in (None, 7, "", "now", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-05-27 16:53:45"):
        assert read_time(odd) is None


# Laws.

CALL = st.builds(
    ToolCall, id=words.map(lambda word: f"c{word}"), name=texts,
    arguments=st.dictionaries(keys, values, max_size=2).map(lambda value: json.dumps(value, separators=(",", ":"),
        ensure_ascii=False)).filter(lambda text: text.isascii() and "e" not in text and "E" not in text),
)  # fmt: skip


def our_word(raw, calls):
    return "tool_calls" if calls and raw == "stop" else {"stop": "stop", "length": "length"}.get(raw, "other")


MADE = st.builds(
    lambda thought, text, calls, raw, created, counts, kept: Response(
        message=Message(
            role="assistant",
            parts=(
                *([Reasoning(text=thought, provider_data=OWN)] if thought else []),
                *([Text(text=text)] if text else []),
                *calls,
            ),
        ),
        finish_reason=our_word(raw, calls),
        finish_reason_raw=raw,
        model="m",
        created=created,
        usage=parse_usage(counts),
        provider_data={NAME: kept} if kept else {},
    ),
    texts, texts, st.lists(CALL, max_size=2), st.sampled_from(["stop", "length", "tide", None]),
    st.none() | st.integers(1, 10**10),
    st.none() | st.fixed_dictionaries({"eval_count": st.integers(0, 99)}, optional={"total_duration": st.integers(0)}),
    st.dictionaries(st.sampled_from(["logprobs", "remote_host", "x"]), st.lists(words, min_size=1), max_size=2),
)  # fmt: skip


@given(MADE, st.integers(1, 9), st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_an_answer_reads_back_the_same_whole_and_streamed_however_it_is_cut(made, piece, sizes):
    assert stripped(client.parse_response(server.build_response(made), PLAIN)) == made
    lines = list(server.build_events(made, piece=piece))
    assert fold(events_of(client, b"".join(lines), sizes)) == made
    short, error = outcome_of(client, b"".join(lines[:-1]), sizes)
    assert error is None
    assert all(type(event).__name__ != "ResponseEnd" for event in short)


ODD = st.fixed_dictionaries({"message": st.dictionaries(st.sampled_from(
    ["content", "thinking", "tool_calls", "images", "role", "x"]), values | st.lists(CALLS | BASE64, max_size=2),
    max_size=4)}, optional={"model": values, "created_at": values, "done_reason": values, "eval_count": values,
    "x": values})  # fmt: skip


@given(ODD)
def test_whatever_an_answer_holds_it_is_read_and_can_be_sent_back(answer):
    response = whole(answer)
    assert whole(json.loads(server.build_response(response).body)).parts == response.parts
    built(response.message)


LINES = st.fixed_dictionaries({}, optional={
    "message": values | st.dictionaries(st.sampled_from(["content", "thinking", "tool_calls", "images", "x"]),
        values | st.lists(CALLS | BASE64, max_size=2), max_size=3),
    "done": st.booleans() | values, "model": values, "created_at": values, "logprobs": values, "eval_count": values,
})  # fmt: skip


@given(st.lists(LINES | values, max_size=5), st.integers(1, 50))
def test_whatever_lines_come_the_cuts_do_not_matter_and_nothing_breaks(lines, size):
    body = "".join(json.dumps(each) + "\n" for each in lines).encode("utf-8", "surrogatepass")
    one, other = outcome_of(client, body), outcome_of(client, body, [size])
    assert one[0] == other[0]
    assert (one[1] is None) == (other[1] is None)
    assert one[1] is None or isinstance(one[1], QuothError)
    fold(one[0])
