"""Anthropic Messages: the two halves undo each other, cuts do not matter, and every named rule holds.

What the wire cannot tell apart is named once, in ``said`` and in the strategies: these are all the
normalisations there are.
"""

import json

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from halves import PLAIN, events_of, exactly, outcome_of, reply, scalars, stripped, texts, values, weighty, words
from quoth import _json
from quoth.dialects import load_client
from quoth.dialects._errors import STATUSES, error_from
from quoth.dialects.anthropic_messages import client, server
from quoth.dialects.anthropic_messages._errors import CODES, KIND_WORDS, TYPES, WORDING
from quoth.dialects.anthropic_messages._words import DEFAULT_MAX_TOKENS, FINISH_REASONS
from quoth.errors import (
    KINDS,
    APIStatusError,
    InputError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    ResponseParseError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from quoth.events import (
    PartData,
    ReasoningDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    fold,
)
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
from quoth.wire import ErrorInfo, Quirks, WireReply, WireRequest

NAME = "anthropic_messages"
BY_FINISH = Quirks(stream_end="finish_reason")


# Driving the two halves.


def build(*messages, quirks=PLAIN, max_tokens=9, **fields):
    request = ModelRequest(model="m", messages=messages, max_tokens=max_tokens, **fields)
    return client.build_request(request, quirks)


def sent(*messages, **fields):
    return json.loads(build(*messages, **fields).body)


def parsed(body):
    return server.parse_request(WireRequest(path="/v1/messages", body=json.dumps(body).encode()))


def again(body):
    """A body that was read and built."""
    return json.loads(client.build_request(parsed(body), PLAIN).body)


def answer(*blocks, stop="end_turn", **fields):
    body = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": list(blocks), **fields}
    return client.parse_response(reply({**body, "stop_reason": stop}), PLAIN)


def sse(*events):
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events
    )


def start(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, **fields):
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stop(index):
    return {"type": "content_block_stop", "index": index}


BEGUN = {
    "type": "message_start",
    "message": {"id": "m1", "model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}},
}
LAST = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
STOPPED = {"type": "message_stop"}


def streamed(*events):
    return run(sse(BEGUN, *events, LAST, STOPPED))


def run(body, sizes=(), quirks=PLAIN):
    return events_of(client, body, sizes, quirks)


def outcome(body, sizes=(), quirks=PLAIN):
    return outcome_of(client, body, sizes, quirks)


def said(body):
    """What a request body says. These are the normalisations of a request:

    null for a field that has a name of ours, ``"stream": false`` and an empty list of tools or stops say nothing;
    one stop string is a list of one; ``max_tokens`` must be there.
    """
    named = {"max_tokens", "stop_sequences", "stream", "system", "temperature", "tool_choice", "tools", "top_p"}
    meaning = {key: value for key, value in body.items() if key not in named or value is not None}
    meaning.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    if isinstance(meaning.get("stop_sequences"), str):
        meaning["stop_sequences"] = [meaning["stop_sequences"]]
    silent = {"stream": False, "tools": [], "stop_sequences": []}
    return {key: value for key, value in meaning.items() if key not in silent or exactly(value) != exactly(silent[key])}


# Strategies.

vendor = st.sampled_from(["cache_control", "vendor", "x"])
extras = st.dictionaries(vendor, values, max_size=2)
weighty_extras = st.dictionaries(vendor, weighty, max_size=2)
objects = st.dictionaries(texts, values, max_size=2)
arguments = objects.map(lambda value: _json.encode(value).decode())


def data(extras):
    return extras.map(lambda kept: {NAME: kept} if kept else {})


plain_texts = st.builds(Text, text=words)
kept_texts = st.builds(
    Text,
    text=texts,
    provider_data=st.dictionaries(vendor, values, min_size=1, max_size=2).map(lambda kept: {NAME: kept}),
)
opaque_parts = words.map(
    lambda ref: Text(text="", provider_data={NAME: {"type": "reference", "ids": [ref], ":absent": ["text"]}})
)
images = st.builds(Image, url=texts, provider_data=data(extras)) | st.builds(
    Image, data=st.binary(max_size=9), media_type=st.sampled_from(["image/png", "image/x"]), provider_data=data(extras)
)
documents = (
    st.builds(Document, url=texts, filename=st.none() | texts, provider_data=data(extras))
    | st.builds(Document, file_id=texts, filename=st.none() | texts)
    | st.builds(Document, data=st.binary(max_size=9), media_type=st.just("application/pdf"), provider_data=data(extras))
    | st.builds(Document, data=texts.map(str.encode), media_type=st.just("text/plain"), filename=st.none() | texts)
)
thoughts = st.builds(
    Reasoning,
    text=texts,
    provider_data=st.dictionaries(st.just("signature"), words, max_size=1).map(lambda kept: {NAME: kept}),
)
redacted = words.map(
    lambda secret: Reasoning(
        text="", provider_data={NAME: {"type": "redacted_thinking", "data": secret, ":absent": ["thinking"]}}
    )
)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=arguments, provider_data=data(weighty_extras))


def is_plain(parts):
    return len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].provider_data


@st.composite
def contents(draw, *kinds):
    """Parts of a content, and what tells its spelling."""
    parts = draw(st.lists(st.one_of(plain_texts, kept_texts, opaque_parts, *kinds), max_size=3))
    return tuple(parts), {":form": "list"} if (is_plain(parts) or not parts) and draw(st.booleans()) else {}


@st.composite
def results(draw):
    parts, form = draw(contents(images, documents))
    if not parts and not form and draw(st.booleans()):
        form = {":form": "string"}
    kept = {**draw(extras), **form}
    return ToolResult(
        call_id=draw(texts), parts=parts, is_error=draw(st.booleans()), provider_data={NAME: kept} if kept else {}
    )


@st.composite
def conversations(draw):
    messages = []
    if draw(st.booleans()):
        parts, form = draw(contents())
        messages.append(Message(role="system", parts=parts, provider_data={NAME: form} if form else {}))
    for role in draw(st.lists(st.sampled_from(["user", "assistant", "tool", "system"]), max_size=4)):
        kept = draw(extras)
        if role == "tool":
            parts = tuple(draw(st.lists(results(), min_size=1, max_size=2)))
            form = {":turn": "own"} if messages and messages[-1].role == "tool" else {}
        elif role == "assistant":
            parts, form = draw(contents(thoughts, redacted, calls))
        elif role == "user":
            parts, form = draw(contents(images, documents))
            if draw(st.booleans()):
                parts, form = (*parts, draw(results()), Text(text="t")), {}
        else:
            parts, form = draw(contents())
            form[":field"] = "messages"
        kept |= form
        messages.append(Message(role=role, parts=parts, provider_data={NAME: kept} if kept else {}))
    return tuple(messages)


tools = st.builds(
    Tool,
    name=texts,
    description=st.none() | texts,
    parameters=objects,
    strict=st.none() | st.booleans(),
    provider_data=data(extras),
)
choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])) | st.builds(
    ToolChoice, mode=st.just("tool"), name=texts
)
requests = st.builds(
    ModelRequest,
    model=texts,
    messages=conversations(),
    stream=st.booleans(),
    max_tokens=st.integers(0, 2**40),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(texts, max_size=2).map(tuple),
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=choices,
    output=st.none() | st.builds(OutputFormat, schema=objects, provider_data=data(extras)),
    reasoning=st.none() | st.sampled_from(["none", "low", "max"]) | st.integers(1, 2**30),
    extra=st.dictionaries(st.sampled_from(["top_k", "metadata", "vendor_x"]), values, max_size=2)
    | st.just({"tool_choice": {"disable_parallel_tool_use": True}})
    | st.just({"output_config": {"task_budget": {"total": 20_000}}}),
).map(
    lambda request: (
        replace(request, max_tokens=request.max_tokens + request.reasoning + 1)
        if isinstance(request.reasoning, int)
        else request
    )
)

counts = st.integers(0, 10**6)


@st.composite
def usages(draw):
    """A usage object that adds up, and the totals that it stands for."""
    plain, read, short, long, output = (draw(counts) for _ in range(5))
    reported = {"input_tokens": plain, "output_tokens": output, "cache_read_input_tokens": read}
    if draw(st.booleans()):
        reported["cache_creation"] = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    if draw(st.booleans()) or "cache_creation" not in reported:
        reported["cache_creation_input_tokens"] = short + long
    if draw(st.booleans()):
        reported["output_tokens_details"] = {"thinking_tokens": draw(st.integers(0, output))}
    if draw(st.booleans()):
        reported["server_tool_use"] = {"web_search_requests": draw(counts), "web_fetch_requests": 1}
    reported |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "service_tier": st.sampled_from(["standard", "priority", "batch"]),
                "speed": st.sampled_from(["standard", "fast"]),
                "inference_geo": st.sampled_from(["us", "global"]),
            },
        )
    )
    return reported, plain + read + short + long, output


@st.composite
def responses(draw):
    citations = st.lists(st.dictionaries(texts, values, min_size=1, max_size=2), min_size=1, max_size=2).map(
        lambda cited: {NAME: {"citations": cited}}
    )
    spoken = plain_texts | st.builds(Text, text=texts, provider_data=citations)
    parts = draw(st.lists(st.one_of(spoken, thoughts, redacted, calls, opaque_parts), max_size=4))
    usage = draw(st.none() | usages().map(lambda usage: usage[0]))
    kept = draw(st.dictionaries(st.sampled_from(["stop_sequence", "container", "vendor"]), weighty, max_size=2))
    raw = draw(st.none() | st.sampled_from([*FINISH_REASONS, "pause_turn", "compaction"]) | words)
    said = usage or {}
    return Response(
        message=Message(role="assistant", parts=tuple(parts)),
        finish_reason=FINISH_REASONS.get(raw, "other"),
        finish_reason_raw=raw,
        model=draw(texts),
        id=draw(st.none() | words),
        usage=client.parse_usage(usage),
        service_tier=said.get("service_tier"),
        region=said.get("inference_geo"),
        speed=said.get("speed"),
        provider_data={NAME: kept} if kept else {},
    )


cuts = st.lists(st.integers(1, 60), max_size=6)


# The halves undo each other.


@given(requests)
def test_a_request_that_was_built_reads_back_the_same(request):
    wire = client.build_request(request, PLAIN)
    assert server.parse_request(wire) == request
    assert wire.changes == ()


@given(responses())
def test_an_answer_that_was_built_reads_back_the_same(response):
    assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response


@given(responses(), cuts, st.none() | st.integers(1, 5), st.sampled_from([PLAIN, BY_FINISH]))
def test_a_stream_that_was_built_folds_to_the_same_answer_however_it_is_cut(response, sizes, piece, quirks):
    body = b"".join(server.build_events(response, piece=piece))
    assert fold(run(body, sizes, quirks)) == response


@given(responses(), st.integers(0, 400))
def test_a_stream_that_is_cut_short_never_ends(response, missing):
    """However much of the tail is gone: what came before it gives no ResponseEnd and no error."""
    body = b"".join(server.build_events(response))
    body = body[: body.rindex(b"event: message_stop") + len(b'event: message_stop\ndata: {"type"')]
    events = run(body[: max(len(body) - missing, 0)])
    assert not any(isinstance(event, ResponseEnd) for event in events)


sources = st.fixed_dictionaries({}, optional={
    "type": st.sampled_from(["base64", "text", "url", "file", "content"]) | values,
    "media_type": st.sampled_from(["image/png", "application/pdf", "text/plain", "text/html"]) | values,
    "data": st.sampled_from(["AAAA", "AA==", "AB==", "words"]) | values,
    "url": texts | values, "file_id": texts | values, "content": values,
})  # fmt: skip
BLOCKS = ["text", "image", "document", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "search_result"]
blocks = st.fixed_dictionaries({}, optional={
    "type": st.sampled_from(BLOCKS) | values,
    "text": texts | values, "thinking": texts | values, "signature": texts | values, "data": texts | values,
    "source": sources | values, "title": texts | values,
    "id": texts | values, "name": texts | values, "input": objects | values,
    "citations": values, "vendor": values,
})  # fmt: skip
result_blocks = st.fixed_dictionaries({"type": st.just("tool_result")}, optional={
    "tool_use_id": texts | values, "content": texts | st.lists(blocks, max_size=2) | values,
    "is_error": st.booleans() | values, "vendor": values,
})  # fmt: skip
odd = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["system", "user", "assistant", "poet"]) | values,
    "content": texts | st.lists(blocks | result_blocks | values, max_size=3) | values,
    "vendor": values,
})  # fmt: skip


@given(st.lists(odd | st.fixed_dictionaries({"role": st.just("user"), "content": st.lists(result_blocks)}), max_size=3))
def test_messages_of_any_shape_are_spelled_again_as_they_were(wires):
    assert exactly(again({"model": "m", "max_tokens": 1, "messages": wires})["messages"]) == exactly(wires)


@given(st.fixed_dictionaries({"model": texts, "messages": st.just([])}, optional={
    **dict.fromkeys(["temperature", "top_p", "top_k", "max_tokens", "vendor_x"], scalars | values),
    "system": texts | st.lists(blocks, max_size=2) | values,
    "stop_sequences": texts | st.lists(texts, max_size=2) | values,
    "stream": st.booleans(),
    "thinking": values | st.sampled_from([
        {"type": "disabled"}, {"type": "adaptive"}, {"type": "adaptive", "display": "omitted"},
        {"type": "enabled", "budget_tokens": 5}, {"type": "enabled", "budget_tokens": 31_000},
        {"type": "enabled", "budget_tokens": True}, {"type": "enabled", "budget_tokens": 0},
    ]),
    "output_config": values | st.fixed_dictionaries({}, optional={
        "effort": st.sampled_from(["low", "none"]) | values, "task_budget": values,
        "format": values | st.fixed_dictionaries({}, optional={
            "type": st.just("json_schema") | values, "schema": objects | values, "x": values,
        }),
    }),
    "tool_choice": values | st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["auto", "any", "tool", "none", "other"]) | values,
        "name": texts | values, "disable_parallel_tool_use": st.booleans() | values,
    }),
    "tools": values | st.lists(st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["custom", "web_search_20250305"]) | values, "name": texts | values,
        "description": values, "input_schema": objects | values, "strict": values, "cache_control": values,
    }), max_size=2),
}))  # fmt: skip
def test_a_body_of_any_shape_is_spelled_again_as_it_was(body):
    assert exactly(said(again(body))) == exactly(said(body))


# Requests.


def test_a_request_goes_to_its_path_as_json_and_asks_for_what_it_reads():
    wire = build(Message.user("Hi"))
    assert (wire.method, wire.path, wire.query) == ("POST", "/v1/messages", ())
    assert dict(wire.headers) == {"content-type": "application/json", "accept": "application/json"}
    assert dict(build(Message.user("Hi"), stream=True).headers)["accept"] == "text/event-stream"
    assert sent(Message.user("Hi")) == {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert sent(Message.user("Hi"), stream=True)["stream"] is True


def test_a_request_without_max_tokens_gets_a_default_that_is_said():
    wire = build(Message.user("Hi"), max_tokens=None)
    assert json.loads(wire.body)["max_tokens"] == DEFAULT_MAX_TOKENS == 32_000
    (change,) = wire.changes
    assert change.startswith("max_tokens=32000 sent")
    given_in_extra = build(Message.user("Hi"), max_tokens=None, extra={"max_tokens": 5})
    assert json.loads(given_in_extra.body)["max_tokens"] == 5
    assert given_in_extra.changes == ()


def test_parameters_have_the_names_of_this_wire_and_extra_stands_in_place_of_ours():
    body = sent(
        Message.user("Hi"), temperature=0.5, top_p=0.9, stop=("a", "b"), extra={"top_k": 3, "temperature": 1, "x": {}}
    )
    assert {key: body[key] for key in ("temperature", "top_p", "stop_sequences", "top_k", "x")} == {
        "temperature": 1,
        "top_p": 0.9,
        "stop_sequences": ["a", "b"],
        "top_k": 3,
        "x": {},
    }


def test_what_this_wire_has_no_word_for_is_refused_before_it_is_sent():
    with pytest.raises(UnsupportedParameterError, match="seed"):
        build(Message.user("Hi"), seed=1)
    with pytest.raises(UnsupportedParameterError, match=r"models\.stream"):
        build(Message.user("Hi"), extra={"stream": True})
    with pytest.raises(UnsupportedParameterError, match="use another"):
        build(Message.user("Hi"), tools=(Tool(name="f"),), quirks=Quirks(tools=False, tools_hint="use another"))


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def test_the_form_of_an_answer_is_a_schema_and_what_has_no_field_here_is_said():
    wire = build(Message.user("Hi"), output=OutputFormat(schema=SCHEMA, strict=True))
    assert json.loads(wire.body)["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert wire.changes == ()
    lax = build(Message.user("Hi"), output=OutputFormat(schema=SCHEMA, name="n", description="d", strict=False))
    assert json.loads(lax.body) == json.loads(wire.body)
    assert [change.split(" ")[0] for change in lax.changes] == ["name", "description", "strict=False"]
    with pytest.raises(UnsupportedParameterError, match="just any JSON object: give a schema"):
        build(Message.user("Hi"), output=OutputFormat())


@pytest.mark.parametrize(
    ("reasoning", "fields"),
    [
        ("none", {"thinking": {"type": "disabled"}}),
        (0, {"thinking": {"type": "disabled"}}),
        ("high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (2_000, {"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
    ],
)
def test_how_much_to_think_is_an_effort_or_a_budget(reasoning, fields):
    plain = sent(Message.user("Hi"), max_tokens=3_000)
    assert sent(Message.user("Hi"), max_tokens=3_000, reasoning=reasoning) == {**plain, **fields}


def test_a_budget_of_thoughts_leaves_room_for_the_answer():
    wire = build(Message.user("Hi"), max_tokens=None, reasoning=40_000)
    assert json.loads(wire.body)["max_tokens"] == 48_000
    assert "max_tokens=48000 sent" in wire.changes[0]
    assert sent(Message.user("Hi"), max_tokens=None, reasoning=31_999)["max_tokens"] == DEFAULT_MAX_TOKENS
    for most in (1_999, 2_000):
        with pytest.raises(UnsupportedParameterError, match=f"reasoning=2000 must be less than max_tokens={most}"):
            build(Message.user("Hi"), max_tokens=most, reasoning=2_000)
    with pytest.raises(UnsupportedParameterError, match="not negative"):
        build(Message.user("Hi"), reasoning=-1)


def test_form_effort_and_fields_of_the_callers_own_stand_beside_each_other():
    budget = {"task_budget": {"total": 20_000}}
    asked = {"output": OutputFormat(schema=SCHEMA), "reasoning": "low"}
    body = sent(Message.user("Hi"), extra={"output_config": budget}, **asked)
    form = {"type": "json_schema", "schema": SCHEMA}
    assert body["output_config"] == {"format": form, "effort": "low", **budget}
    request = parsed(body)
    assert (request.output, request.reasoning, request.extra) == (
        OutputFormat(schema=SCHEMA), "low", {"output_config": budget},
    )  # fmt: skip
    assert sent(Message.user("Hi"), extra={"output_config": {"effort": "max"}}, **asked)["output_config"] == {
        "format": form, "effort": "max",
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": {"type": "adaptive"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
        {"thinking": {"type": "enabled", "budget_tokens": 9}},  # above max_tokens: only with interleaved thinking
        {"output_config": {"effort": "low"}},
    ],
)
def test_a_dial_that_is_none_of_our_simple_forms_stays_as_it_is(fields):
    body = {"model": "m", "max_tokens": 9, "messages": [], **fields}
    request = parsed(body)
    assert (request.reasoning, request.extra) == (None, fields)
    assert again(body) == body


def test_a_server_that_only_streams_is_asked_for_a_stream():
    wire = build(Message.user("Hi"), quirks=Quirks(stream_only=True))
    assert json.loads(wire.body)["stream"] is True
    assert wire.changes == ("sent as a stream: the server answers in streams only",)


@pytest.mark.parametrize(
    ("messages", "system"),
    [
        ((Message.system("a"),), "a"),
        ((Message.system("a"), Message.system("b")), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        (
            (Message.system(Text(text="a", provider_data={NAME: {"cache_control": {"type": "ephemeral"}}})),),
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        ),
    ],
)
def test_system_messages_at_the_front_are_the_bodys_system(messages, system):
    wire = build(*messages, Message.user("Hi"))
    body = json.loads(wire.body)
    assert body["system"] == system
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert wire.changes == ()


def test_a_system_message_in_the_middle_stays_in_its_place_and_that_is_said():
    wire = build(Message.user("Hi"), Message.system("Be brief."))
    assert json.loads(wire.body)["messages"][1] == {"role": "system", "content": "Be brief."}
    assert "in its place" in wire.changes[0]


def test_tool_results_in_a_row_are_one_turn_of_the_user():
    wire = sent(
        Message.user("Go"),
        Message.assistant(ToolCall(id="a", name="f", arguments='{"x": 1}'), ToolCall(id="b", name="f", arguments="")),
        Message.tool("a", "1"),
        Message.tool("b", "no", is_error=True),
        Message.user("And?"),
    )
    assert wire["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": True},
            ],
        },
        {"role": "user", "content": "And?"},
    ]
    read = parsed(wire).messages
    assert [message.role for message in read] == ["user", "assistant", "tool", "user"]
    assert read[2].parts[1] == ToolResult(call_id="b", parts=(Text(text="no"),), is_error=True)


def test_a_turn_of_results_that_stood_apart_stays_apart():
    turn = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}
    body = {"model": "m", "max_tokens": 1, "messages": [turn, turn]}
    assert again(body) == body


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Message.user(Audio(data=b"x", media_type="audio/wav")), "cannot carry Audio"),
        (Message.user(Image(data=b"x")), "media_type"),
        (Message.user(Document(data=b"x")), "media_type"),
        (Message.user(Image()), "neither data nor a url"),
        (Message.user(Document()), "neither data nor a url nor a file_id"),
        (Message.system(Image(url="u")), "is text"),
        (Message(role="tool", parts=(Text(text="x"),)), r"Message\.tool"),
        (Message(role="tool", parts=()), r"Message\.tool"),
        (Message.tool("a", Document()), "file_id"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_and_says_what_to_do(message, says):
    with pytest.raises(UnsupportedContentError, match=says):
        build(message)


FOREIGN = {"openai_chat": {":field": "reasoning_content"}}


@pytest.mark.parametrize(
    ("message", "content", "says"),
    [
        (Message.assistant(Reasoning(text="hm", provider_data=FOREIGN), "4"), "4", "only what it signed"),
        (Message.assistant(Refusal(text="no")), [{"type": "text", "text": "no"}], "refusal"),
        (Message.assistant("", "4"), "4", "empty text"),
        (Message.assistant(Text(text="", provider_data={"openai_chat": {"type": "x"}}), "4"), "4", "another wire"),
        (
            Message.assistant(ToolCall(id="a", name="f", arguments='{"x": ')),
            [{"type": "tool_use", "id": "a", "name": "f", "input": {"INVALID_JSON": '{"x": '}}],
            "no JSON object",
        ),
        (
            Message.assistant(ToolCall(id="a", name="f", arguments="[1]")),
            [{"type": "tool_use", "id": "a", "name": "f", "input": {"INVALID_JSON": "[1]"}}],
            "no JSON object",
        ),
        (
            Message.user(Image(url="u", detail="low")),
            [{"type": "image", "source": {"type": "url", "url": "u"}}],
            "detail",
        ),
        (
            Message.user(Document(data=b"# a", media_type="text/markdown")),
            [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# a"}}],
            "sent as text/plain",
        ),
        (Message(role="user", parts=(Text(text="x"),), name="Ann"), "x", "name"),
    ],
)
def test_what_was_moved_or_left_out_is_said(message, content, says):
    wire = build(message)
    assert json.loads(wire.body)["messages"][0]["content"] == content
    (change,) = wire.changes
    assert says in change


def test_a_text_that_is_no_utf8_is_sent_as_base64():
    (message,) = sent(Message.user(Document(data=b"\xff", media_type="text/plain")))["messages"]
    assert message["content"][0]["source"] == {"type": "base64", "media_type": "text/plain", "data": "/w=="}


def block_of(part, role="user"):
    (message,) = sent(Message(role=role, parts=(part, Text(text="."))))["messages"]
    return message["content"][0]


@pytest.mark.parametrize(
    ("wire", "part"),
    [
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
         Image(data=b"\0\0\0", media_type="image/png")),
        ({"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}},
         Image(url="https://a.example/x.png")),
        ({"type": "image", "source": {"type": "file", "file_id": "f1"}},
         Image(provider_data={NAME: {"source": {"type": "file", "file_id": "f1"}}})),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
          "title": "T", "context": "C", "citations": {"enabled": True}},
         Document(data=b"\0\0\0", media_type="application/pdf", filename="T",
                  provider_data={NAME: {"context": "C", "citations": {"enabled": True}}})),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
         Document(data=b"words", media_type="text/plain")),
        ({"type": "document", "source": {"type": "url", "url": "https://a.example/x.pdf"}},
         Document(url="https://a.example/x.pdf")),
        ({"type": "document", "source": {"type": "file", "file_id": "f1"}}, Document(file_id="f1")),
        ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}, "title": "T"},
         Document(filename="T", provider_data={
             NAME: {"source": {"type": "content", "content": [{"type": "text", "text": "a"}]}}})),
        ({"type": "thinking", "thinking": "hm", "signature": "s"},
         Reasoning(text="hm", provider_data={NAME: {"signature": "s"}})),
        ({"type": "thinking", "thinking": "hm"}, Reasoning(text="hm", provider_data={NAME: {}})),
        ({"type": "redacted_thinking", "data": "x"},
         Reasoning(text="", provider_data={
             NAME: {"type": "redacted_thinking", "data": "x", ":absent": ["thinking"]}})),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1, 2.5]}, "caller": {"type": "direct"}},
         ToolCall(id="a", name="f", arguments='{"x":[1,2.5]}', provider_data={NAME: {"caller": {"type": "direct"}}})),
        ({"type": "tool_result", "tool_use_id": "a"}, ToolResult(call_id="a", parts=())),
        ({"type": "tool_result", "tool_use_id": "a", "content": ""},
         ToolResult(call_id="a", parts=(), provider_data={NAME: {":form": "string"}})),
        ({"type": "tool_result", "tool_use_id": "a", "content": [
            {"type": "image", "source": {"type": "url", "url": "u"}},
            {"type": "document", "source": {"type": "file", "file_id": "f"}}], "is_error": True},
         ToolResult(call_id="a", parts=(Image(url="u"), Document(file_id="f")), is_error=True)),
        ({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
         Text(text="", provider_data={NAME: {
             "type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"},
             ":absent": ["text"]}})),
        ({"type": "text", "text": "x", "citations": [{"cited_text": "y"}], "cache_control": {"type": "ephemeral"}},
         Text(text="x", provider_data={
             NAME: {"citations": [{"cited_text": "y"}], "cache_control": {"type": "ephemeral"}}})),
    ],
)  # fmt: skip
def test_a_block_has_this_part(wire, part):
    body = {"model": "m", "messages": [{"role": "user", "content": [wire, {"type": "text", "text": "."}]}]}
    assert parsed(body).messages[0].parts[0] == part
    assert block_of(part) == wire


def test_base64_that_is_not_canonical_is_sent_again_letter_by_letter():
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AB=="}}
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [block]}]}
    assert again(body) == body


def test_a_tool_has_a_schema_and_one_of_the_providers_own_goes_as_it_came():
    (tool,) = sent(Message.user("Hi"), tools=(Tool(name="f"),))["tools"]
    assert tool == {"name": "f", "input_schema": {"type": "object"}}
    (tool,) = sent(
        Message.user("Hi"),
        tools=(Tool(name="f", description="d", parameters={"type": "object", "properties": {}}, strict=True),),
    )["tools"]
    assert tool == {
        "name": "f",
        "description": "d",
        "input_schema": {"type": "object", "properties": {}},
        "strict": True,
    }
    own = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    body = {"model": "m", "max_tokens": 1, "messages": [], "tools": [own]}
    assert again(body) == body
    assert parsed(body).tools[0].name == "web_search"


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(mode="auto"), {"type": "auto"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="none"), {"type": "none"}),
        (ToolChoice(mode="tool", name="f"), {"type": "tool", "name": "f"}),
    ],
)
def test_a_tool_choice_is_translated_and_what_stands_beside_it_kept(choice, wire):
    assert sent(Message.user("Hi"), tool_choice=choice)["tool_choice"] == wire
    one_at_a_time = {**wire, "disable_parallel_tool_use": True}
    read = parsed({"model": "m", "messages": [], "tool_choice": one_at_a_time})
    assert (read.tool_choice, read.extra) == (choice, {"tool_choice": {"disable_parallel_tool_use": True}})
    assert sent(Message.user("Hi"), tool_choice=choice, extra=dict(read.extra))["tool_choice"] == one_at_a_time


def test_a_tool_choice_in_extra_that_names_its_type_stands_in_place_of_ours():
    body = sent(Message.user("Hi"), tool_choice=ToolChoice(mode="auto"), extra={"tool_choice": {"type": "any"}})
    assert body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages": []}', b'{"model": "m"}', b'{"model": "m", "messages": [1]}']
)
def test_a_body_that_is_no_request_is_an_input_error(body):
    with pytest.raises(InputError):
        server.parse_request(WireRequest(path="/", body=body))


# Answers.


@pytest.mark.parametrize(
    ("raw", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "other"),
        ("compaction", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_a_stop_reason_is_translated_and_kept(raw, ours):
    response = answer({"type": "text", "text": "x"}, stop=raw)
    assert (response.finish_reason, response.finish_reason_raw) == (ours, raw)


def test_an_answer_of_another_wire_ends_with_a_word_of_this_one():
    for ours, word in [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]:
        response = Response(message=Message.assistant("x"), finish_reason=ours, finish_reason_raw="STOP", model="m")
        assert json.loads(server.build_response(response).body)["stop_reason"] == word


def test_the_fields_of_an_answer_have_their_places():
    response = answer(
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Hi", "citations": None},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        usage={"input_tokens": 1, "output_tokens": 2, "service_tier": "priority", "inference_geo": "us"},
        stop_sequence="END",
        container={"id": "c"},
        stop_details=None,
    )
    assert (response.id, response.model, response.text, response.reasoning) == ("m1", "m", "Hi", "hm")
    assert response.tool_calls == (ToolCall(id="t", name="f", arguments="{}"),)
    assert (response.service_tier, response.region, response.speed) == ("priority", "us", None)
    assert response.provider_data == {NAME: {"stop_sequence": "END", "container": {"id": "c"}}}
    assert response.parts[0].provider_data == {NAME: {"signature": "s"}}
    assert response.parts[1] == Text(text="Hi")
    assert response.raw["stop_sequence"] == "END"


def test_a_message_appended_to_a_conversation_goes_back_with_all_that_the_provider_needs():
    came = [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "server_tool_use", "id": "s", "name": "code", "input": {}},
        {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "", "content": []}},
        {"type": "text", "text": "Hi"},
        {"type": "compaction", "content": None},
    ]
    (back,) = sent(answer(*came).message)["messages"]
    assert back == {"role": "assistant", "content": came}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"[]", "no object"),
        (b"{}", "no content"),
        (b'{"type": "error", "error": {"message": "boom"}}', "boom"),
        (b'{"type": "completion", "content": []}', "no content"),
        (b'{"content": "x"}', "no content"),
    ],
)
def test_a_reply_that_is_no_answer_is_a_parse_error_with_its_bytes(body, why):
    with pytest.raises(ResponseParseError, match=why) as caught:
        client.parse_response(reply(body, headers=(("request-id", "r1"),)), PLAIN)
    assert (caught.value.body, caught.value.request_id) == (body, "r1")


def test_an_error_in_the_place_of_a_whole_answer_is_the_providers():
    for word, kind in (("overloaded_error", "overloaded"), ("odd_error", "provider")):
        body = b'{"type": "error", "error": {"type": "%s", "message": "boom"}}' % word.encode()
        with pytest.raises(APIStatusError, match="boom") as caught:
            client.parse_response(reply(body, headers=(("request-id", "r1"),)), PLAIN)
        assert (caught.value.kind, caught.value.status, caught.value.request_id) == (kind, 200, "r1")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("message") | values,
            "content": st.lists(blocks | values, max_size=3) | values,
            "id": values,
            "model": values,
            "stop_reason": values,
            "usage": values,
            "container": values,
        },
    )
)
def test_an_answer_of_any_shape_is_read_or_refused(body):
    try:
        response = client.parse_response(reply(body), PLAIN)
    except ResponseParseError:
        return
    sent(response.message)
    assert stripped(client.parse_response(server.build_response(response), PLAIN)).parts == response.parts


# Usage.


@pytest.mark.parametrize(
    ("reported", "buckets"),
    [
        ({"input_tokens": 3, "output_tokens": 5}, {"input": 3, "output": 5}),
        ({"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 7},
         {"input": 3, "cache_read": 7, "output": 5}),
        ({"input_tokens": 3, "output_tokens": 5, "cache_creation_input_tokens": 7},
         {"input": 3, "cache_write_5m": 7, "output": 5}),
        ({"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 7,
          "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}},
         {"cache_write_5m": 3, "cache_write_1h": 4}),
        ({"input_tokens": 0, "output_tokens": 0,
          "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}},
         {"cache_write_5m": 3, "cache_write_1h": 4}),
        ({"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 7,
          "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}},
         {"cache_write_5m": 7}),
        ({"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
         {"input": 1, "output": 5, "reasoning": 4}),
        ({"input_tokens": 1, "output_tokens": None, "cache_read_input_tokens": None, "server_tool_use": None},
         {"input": 1}),
        ({"input_tokens": 1, "output_tokens": 2, "iterations": [
            {"type": "compaction", "input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 30},
            {"type": "message", "input_tokens": 1, "output_tokens": 2}]},
         {"input": 11, "cache_read": 30, "output": 22}),
    ],
)  # fmt: skip
def test_usage_is_sorted_into_buckets(reported, buckets):
    usage = client.parse_usage(reported)
    assert dict(usage.buckets()) == buckets
    assert (usage.source, usage.reported) == ("provider", reported)


def test_searches_are_counted_and_fetches_are_free():
    reported = {
        "input_tokens": 1,
        "output_tokens": 1,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3},
    }
    assert client.parse_usage(reported).web_searches == 2


@pytest.mark.parametrize(
    "change",
    [
        {"input_tokens": -1},
        {"output_tokens": 1.5},
        {"cache_read_input_tokens": "7"},
        {"cache_creation_input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 2}},
        {"cache_creation": {"ephemeral_5m_input_tokens": -1}},
        {"output_tokens_details": {"thinking_tokens": 99}},
        {"server_tool_use": {"web_search_requests": -1}},
        {"iterations": [{"type": "compaction", "input_tokens": -5}]},
    ],
)
def test_a_number_that_cannot_be_makes_the_usage_suspect(change):
    usage = client.parse_usage({"input_tokens": 3, "output_tokens": 5, **change})
    assert usage.source == "suspect"
    assert usage.total_tokens is None
    assert list(usage.buckets()) == []


def test_usage_that_was_not_sent_is_missing_and_one_that_is_no_object_suspect():
    assert client.parse_usage(None) == Usage(source="missing")
    assert client.parse_usage({"speed": "fast"}).source == "missing"
    assert client.parse_usage([1]).source == "suspect"


@given(usages())
def test_the_buckets_sum_to_the_totals_that_the_provider_said(usage):
    reported, total_input, total_output = usage
    if "cache_creation" not in reported and "cache_creation_input_tokens" not in reported:
        return
    read = client.parse_usage(reported)
    assert (read.input_tokens, read.output_tokens) == (total_input, total_output)


COUNTED = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]


@given(
    values
    | st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(COUNTED, st.integers(-5, 50) | values),
            "cache_creation": values | st.dictionaries(st.just("ephemeral_1h_input_tokens"), st.integers(-5, 50)),
            "output_tokens_details": values | st.dictionaries(st.just("thinking_tokens"), st.integers(-5, 50)),
            "iterations": values
            | st.lists(st.fixed_dictionaries({"type": st.just("compaction")}, optional={"input_tokens": values})),
        },
    )
)
def test_no_usage_object_raises_or_gives_a_negative_count(reported):
    usage = client.parse_usage(reported)
    assert all(count > 0 for _, count in usage.buckets())
    assert usage.web_searches >= 0


def test_usage_of_another_wire_is_spelled_in_our_words_with_the_same_totals():
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, input_audio=5, output=6, reasoning=7)
    response = Response(message=Message.assistant("x"), finish_reason="stop", model="m", usage=usage)
    read = client.parse_response(server.build_response(response), PLAIN).usage
    assert (read.input_tokens, read.output_tokens) == (15, 13)
    assert (read.cache_write_1h, read.reasoning) == (4, 7)


def test_an_answer_says_how_it_was_served_in_the_words_of_the_provider():
    counts = {"input_tokens": 1, "output_tokens": 1}
    fast = answer(usage={**counts, "speed": "fast", "service_tier": "standard", "inference_geo": "us"})
    assert (fast.service_tier, fast.region, fast.speed) == ("standard", "us", "fast")
    silent = answer(usage={**counts, "speed": None, "service_tier": "", "inference_geo": 5})
    assert (silent.service_tier, silent.region, silent.speed) == (None, None, None)


# Streams.


def test_a_stream_gives_these_events():
    events = streamed(
        {"type": "ping"},
        start(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="s"),
        stop(0),
        start(1, type="text", text=""),
        delta(1, type="text_delta", text="He"),
        {"type": "new_event", "x": 1},
        delta(1, type="text_delta", text="llo"),
        delta(1, type="citations_delta", citation={"cited_text": "a"}),
        delta(1, type="citations_delta", citation={"cited_text": "b"}),
        stop(1),
        start(2, type="tool_use", id="t", name="f", input={}, caller={"type": "direct"}),
        delta(2, type="input_json_delta", partial_json=""),
        delta(2, type="input_json_delta", partial_json='{"a":'),
        delta(2, type="input_json_delta", partial_json="1}"),
        stop(2),
    )
    reported = {"input_tokens": 7, "output_tokens": 5}
    assert events == [
        ResponseStart(id="m1", model="m"),
        ReasoningDelta(text="", index=0),
        PartData(provider_data={NAME: {}}, index=0),
        ReasoningDelta(text="hm", index=0),
        PartData(provider_data={NAME: {"signature": "s"}}, index=0),
        TextDelta(text="He", index=1),
        TextDelta(text="llo", index=1),
        PartData(provider_data={NAME: {"citations": [{"cited_text": "a"}]}}, index=1),
        PartData(provider_data={NAME: {"citations": [{"cited_text": "a"}, {"cited_text": "b"}]}}, index=1),
        ToolCallStart(id="t", name="f", index=2),
        PartData(provider_data={NAME: {"caller": {"type": "direct"}}}, index=2),
        ToolCallDelta(arguments='{"a":', index=2),
        ToolCallDelta(arguments="1}", index=2),
        ResponseEnd(
            finish_reason="stop",
            finish_reason_raw="end_turn",
            usage=Usage(input=7, output=5, reported=reported),
        ),
    ]


def test_counts_are_cumulative_and_the_last_one_wins():
    begun = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "cache_read_input_tokens": 3}}}
    last = {**LAST, "usage": {"output_tokens": 9, "input_tokens": 70, "cache_read_input_tokens": None}}
    usage = fold(run(sse(begun, LAST, last, STOPPED))).usage
    assert (usage.input, usage.cache_read, usage.output) == (70, 3, 9)


def part_streamed(*events):
    (part,) = fold(streamed(*events)).parts
    return part


SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search"}


@pytest.mark.parametrize(
    ("events", "block"),
    [
        ((start(0, **SEARCH, input={}), delta(0, type="input_json_delta", partial_json='{"q": 1}'), stop(0)),
         {**SEARCH, "input": {"q": 1}}),
        ((start(0, **SEARCH, input={}), delta(0, type="input_json_delta", partial_json='{"q"'), stop(0)),
         {**SEARCH, "input": {"INVALID_JSON": '{"q"'}}),
        ((start(0, **SEARCH, input={"q": 2}), stop(0)), {**SEARCH, "input": {"q": 2}}),
        ((start(0, **SEARCH, input={}),), {**SEARCH, "input": {}}),
        ((start(0, **SEARCH, input={}), delta(0, type="input_json_delta", partial_json="{}")), {**SEARCH, "input": {}}),
        ((start(0, **SEARCH, input={}), delta(0, type="input_json_delta", partial_json='{"q": 1}')),
         {**SEARCH, "input": {"q": 1}}),
        ((start(0, type="redacted_thinking", data="x"), stop(0)), {"type": "redacted_thinking", "data": "x"}),
        ((start(0, type="compaction", content=None), delta(0, type="compaction_delta", content="sum",
          encrypted_content="e"), stop(0)), {"type": "compaction", "content": "sum", "encrypted_content": "e"}),
        ((start(0, type="novel", text=""), delta(0, type="text_delta", text="a"), delta(0, type="text_delta", text="b"),
          stop(0)), {"type": "novel", "text": "ab"}),
        ((start(0, type="thinking", thinking="h", signature="s"), stop(0)),
         {"type": "thinking", "thinking": "h", "signature": "s"}),
        ((start(0, type="tool_use", id="t", name="f", input={"a": 1}), stop(0)),
         {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}),
        ((delta(0, type="thinking_delta", thinking="h"),), {"type": "thinking", "thinking": "h"}),
    ],
)  # fmt: skip
def test_a_block_that_was_streamed_goes_back_whole(events, block):
    part = part_streamed(*events)
    assert block_of(part, "assistant") == block


def test_an_empty_text_block_is_a_part_as_in_a_whole_answer():
    assert part_streamed(start(0, type="text", text=""), stop(0)) == Text(text="")
    assert part_streamed(start(0, type="text", text="a"), delta(0, type="text_delta", text="b")) == Text(text="ab")
    assert part_streamed(delta(0, type="text_delta", text="b")) == Text(text="b")


def test_facts_about_the_answer_come_from_its_beginning_and_its_end():
    begun = {"type": "message_start", "message": {**BEGUN["message"], "container": {"id": "c1"}, "provider": "P"}}
    last = {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END", "container": {"id": "c2"}},
        "context_management": {"applied_edits": []},
        "usage": {"output_tokens": 2, "service_tier": "batch", "inference_geo": "us"},
    }
    response = fold(run(sse(begun, last, STOPPED)))
    assert (response.service_tier, response.region) == ("batch", "us")
    assert response.provider_data[NAME] == {
        "container": {"id": "c2"},
        "provider": "P",
        "stop_sequence": "END",
        "context_management": {"applied_edits": []},
    }


def test_a_stream_ends_at_message_stop_and_what_follows_is_not_read():
    body = sse(BEGUN, LAST, STOPPED)
    assert run(body + b"data: [DONE]\n\ndata: {broken\n\n") == run(body)
    assert not any(isinstance(event, ResponseEnd) for event in run(sse(BEGUN, LAST)))
    assert not any(isinstance(event, ResponseEnd) for event in run(sse(BEGUN, LAST) + b"data: [DONE]\n\n"))
    assert isinstance(run(sse(BEGUN, LAST), quirks=BY_FINISH)[-1], ResponseEnd)
    assert not any(isinstance(event, ResponseEnd) for event in run(sse(BEGUN), quirks=BY_FINISH))
    assert not any(isinstance(e, ResponseEnd) for e in run(sse(BEGUN, LAST) + b'data: {"ty', quirks=BY_FINISH))


ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r9"}


@given(cuts)
def test_what_came_before_an_error_is_given_first_and_the_error_is_the_providers(sizes):
    body = sse(BEGUN, delta(0, type="text_delta", text="a"), ERROR, LAST, STOPPED)
    events, error = outcome(body, sizes)
    assert events == [ResponseStart(id="m1", model="m"), TextDelta(text="a", index=0)]
    assert isinstance(error, OverloadedError)
    assert (error.status, error.message, error.request_id) == (200, "Overloaded", "r9")


def test_an_unreadable_event_is_kept_in_its_error():
    events, error = outcome(sse(BEGUN) + b"data: {oops\n\n")
    assert isinstance(error, ResponseParseError)
    assert error.body == b"{oops"
    assert len(events) == 1


def test_an_event_above_the_limit_is_a_protocol_error():
    assert isinstance(outcome(b"data: " + b"x" * (16 * 1024 * 1024 + 1))[1], ProtocolError)


EVENTS = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping"]
DELTAS = ["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta", "compaction_delta"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(EVENTS)},
            optional={
                "message": values | st.fixed_dictionaries({}, optional={"id": values, "usage": values}),
                "index": st.integers(0, 2) | values,
                "content_block": blocks | values,
                "delta": values
                | st.fixed_dictionaries(
                    {"type": st.sampled_from(DELTAS)},
                    optional=dict.fromkeys(
                        ["text", "thinking", "signature", "partial_json", "citation"], texts | values
                    ),
                ),
                "usage": values,
            },
        ),
        max_size=5,
    ),
    cuts,
)
def test_a_stream_of_any_shape_is_read_and_cuts_do_not_matter(events, sizes):
    body = sse(*events, STOPPED)
    produced = run(body, sizes)
    assert produced == run(body)
    assert isinstance(produced[-1], ResponseEnd)
    sent(fold(produced).message)


# Errors.


@given(st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()), st.integers(0, 999))
def test_no_reply_makes_parse_error_raise(body, status):
    info = client.parse_error(WireReply(status=status, body=body))
    assert info.kind in KINDS
    assert info.message
    assert isinstance(error_from(info), APIStatusError)


error_objects = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ["message", "type", "details", "code", "error", "request_id", "status"],
    values
    | st.sampled_from([*CODES, *TYPES])
    | st.fixed_dictionaries({"error_code": values | st.sampled_from([*CODES])}),
))  # fmt: skip


@given(error_objects | st.fixed_dictionaries({"type": st.just("error"), "error": error_objects}))
def test_no_error_object_makes_parse_error_raise(body):
    for status in (200, 400, 404, 500):
        assert client.parse_error(reply(body, status)).kind in KINDS


def refused(type_, message="m", **fields):
    return {"type": "error", "error": {"type": type_, "message": message, **fields}}


LOW_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
TOO_MUCH = "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, refused("invalid_request_error"), "bad_request"),
        (400, refused("invalid_request_error", "prompt is too long: 3 tokens > 2 maximum"), "context_length"),
        (400, refused("invalid_request_error", TOO_MUCH), "context_length"),
        (400, refused("invalid_request_error", LOW_CREDIT), "quota"),
        (400, refused("invalid_request_error", "You have reached your specified API usage limits."), "quota"),
        (400, refused("invalid_request_error", "Output blocked by content filtering policy"), "content_blocked"),
        (401, refused("authentication_error"), "authentication"),
        (402, refused("billing_error"), "quota"),
        (403, refused("permission_error"), "permission_denied"),
        (404, refused("not_found_error", "model: claude-x"), "model_not_found"),
        (404, refused("not_found_error", "Not Found"), "not_found"),
        (409, refused("conflict_error"), "conflict"),
        (413, refused("request_too_large"), "request_too_large"),
        (413, b"<html><title>413 Too Large</title>", "request_too_large"),
        (429, refused("rate_limit_error"), "rate_limit"),
        (429, refused("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "quota"),
        (429, refused("rate_limit_error", details={"error_code": "ramp_limit_exceeded"}), "rate_limit"),
        (429, refused("rate_limit_error", details={"error_code": "one_of_tomorrow"}), "rate_limit"),
        (500, refused("api_error"), "server"),
        (504, refused("timeout_error"), "server"),
        (529, refused("overloaded_error"), "overloaded"),
        (529, b"", "overloaded"),
        (503, b"upstream", "overloaded"),
        (418, b"{}", "provider"),
        (400, {"message": "The model is not ready"}, "bad_request"),
    ],
)
def test_an_error_has_this_kind(status, body, kind):
    info = client.parse_error(reply(body, status))
    assert (info.kind, info.status) == (kind, status)
    assert isinstance(error_from(info), KINDS[kind])


def test_every_word_of_the_error_tables_says_its_kind():
    for word, kind in CODES.items():
        assert client.parse_error(reply(refused(word), 400)).kind == kind
        assert client.parse_error(reply(refused("x", details={"error_code": word}), 400)).kind == kind
    for status, kind in STATUSES.items():
        assert client.parse_error(reply(b"", status)).kind == kind
    for word, kind in TYPES.items():
        assert client.parse_error(reply(refused(word), 200)).kind == kind
    assert {kind for _, _, kind in WORDING} <= KINDS.keys()


def test_code_request_and_wait_are_read():
    body = {**refused("rate_limit_error", details={"error_code": "ramp_limit_exceeded"}), "request_id": "req_body"}
    info = client.parse_error(reply(body, 429, (("retry-after", "12"),)))
    assert info == ErrorInfo(
        kind="rate_limit",
        message="m",
        status=429,
        code="ramp_limit_exceeded",
        type="rate_limit_error",
        request_id="req_body",
        retry_after=12.0,
    )
    assert client.parse_error(reply(body, 429, (("request-id", "req_head"),))).request_id == "req_head"
    assert client.parse_error(reply({**body, "request_id": None}, 429)).request_id is None
    error = error_from(info)
    assert isinstance(error, RateLimitError)
    assert (error.provider_code, error.retry_after) == ("ramp_limit_exceeded", 12.0)


def says_no_kind(text):
    """Whether a message has none of the phrases that refine a kind."""
    return len(text) > 0 and text.isprintable() and not any(phrase in text.lower() for phrase, _, _ in WORDING)


@given(
    st.builds(
        ErrorInfo,
        kind=st.sampled_from([*KIND_WORDS]),
        message=words.map(str.strip).filter(says_no_kind),
        status=st.none() | st.sampled_from([200, 400, 404, 429, 500]),
        type=st.none() | words | st.sampled_from([*CODES, *TYPES]),
        code=st.none() | words | st.sampled_from([*CODES]),
        request_id=st.none() | st.just("r1"),
        retry_after=st.none() | st.integers(0, 10**6).map(lambda n: n / 1_000),
    )
)
def test_an_error_that_was_built_reads_back_as_the_same_kind(info):
    read = client.parse_error(server.build_error(info))
    assert (read.kind, read.request_id, read.retry_after) == (info.kind, info.request_id, info.retry_after)


def test_an_error_of_no_provider_is_spelled_as_the_servers():
    built = server.build_error(ErrorInfo(kind="deadline", message="late"))
    assert (built.status, json.loads(built.body)["error"]["type"]) == (500, "api_error")


def test_the_dialect_is_loaded_by_its_name():
    assert load_client(NAME) is client
    assert client.NAME == NAME
