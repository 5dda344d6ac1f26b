"""Chat Completions: the two halves undo each other, cuts do not matter, and every named rule holds.

What the wire cannot tell apart is named once, in ``said`` and in the strategies: these are all the
normalisations there are.
"""

import base64
import json
import math
import string

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from halves import PLAIN, events_of, exactly, outcome_of, reply, scalars, stripped, texts, values, weighty, words
from quoth.dialects import CLIENTS, load_client
from quoth.dialects._errors import STATUSES, error_from, retry_after, wait_headers
from quoth.dialects._openai_errors import CODES, KIND_WORDS, TYPES, WORDING
from quoth.dialects.openai_chat import client, server
from quoth.dialects.openai_chat._words import FINISH_REASONS
from quoth.dialects.server import SERVERS, load_server
from quoth.errors import (
    KINDS,
    APIStatusError,
    BadRequestError,
    ContentBlockedError,
    InputError,
    NotBuiltError,
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
    RefusalDelta,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    fold,
)
from quoth.types import (
    Audio,
    Candidate,
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

NO_USAGE = Quirks(stream_usage_option=False)
BY_FINISH = Quirks(stream_end="finish_reason")
ON_THE_WIRE = ["max_tokens", "max_completion_tokens"]


# Driving the two halves.


def built(request, quirks=PLAIN):
    return json.loads(client.build_request(request, quirks).body)


def sent(*messages, quirks=PLAIN, **fields):
    return built(ModelRequest(model="m", messages=messages, **fields), quirks)


def parsed(body):
    return server.parse_request(WireRequest(path="/chat/completions", body=json.dumps(body).encode()))


def answer(message, finish="stop", **fields):
    body = {"id": "c1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **fields}
    return client.parse_response(reply(body), PLAIN)


def sse(*chunks):
    return b"".join(b"data: " + (c if isinstance(c, bytes) else json.dumps(c).encode()) + b"\n\n" for c in chunks)


def delta(delta, finish=None, index=0, **fields):
    return {"id": "c1", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **fields}


def streamed(*deltas, finish="stop", quirks=PLAIN):
    return run(sse(*map(delta, deltas), delta({}, finish), b"[DONE]"), quirks=quirks)


def run(body, sizes=(), quirks=PLAIN):
    return events_of(client, body, sizes, quirks)


def outcome(body, sizes=(), quirks=PLAIN):
    return outcome_of(client, body, sizes, quirks)


def said(body):
    """What a request body says. These are the normalisations of a request:

    null for a field that has a name of ours, ``"stream": false`` and an empty list of tools or stops say nothing;
    one stop string is a list of one.
    """
    named = {*ON_THE_WIRE, "reasoning_effort", "response_format", "seed", "stop", "stream", "temperature"}
    named |= {"tool_choice", "tools", "top_p"}
    meaning = {key: value for key, value in body.items() if key not in named or value is not None}
    if isinstance(meaning.get("stop"), str):
        meaning["stop"] = [meaning["stop"]]
    silent = {"stream": False, "tools": [], "stop": []}
    return {key: value for key, value in meaning.items() if key not in silent or exactly(value) != exactly(silent[key])}


# Strategies.

blobs = st.binary(max_size=12)
vendor = st.sampled_from(["cache_control", "vendor", "x"])


def data(extras):
    return extras.map(lambda kept: {"openai_chat": kept} if kept else {})


extras = st.dictionaries(vendor, values, max_size=2)
weighty_extras = st.dictionaries(vendor, weighty, max_size=2)

plain_texts = st.builds(Text, text=words)
kept_texts = st.builds(Text, text=texts, provider_data=data(extras))
images = st.builds(
    Image, url=words.map("https://a.example/".__add__), detail=st.none() | words, provider_data=data(extras)
) | st.builds(Image, data=blobs, media_type=st.sampled_from(["image/png", "image/jpeg"]), detail=st.none() | words)
audios = st.builds(
    Audio, data=blobs, media_type=st.sampled_from(["audio/wav", "audio/mpeg", "audio/ogg"]), provider_data=data(extras)
)
documents = st.builds(
    Document, data=blobs, media_type=st.just("application/pdf"), filename=st.none() | texts, provider_data=data(extras)
) | st.builds(Document, file_id=texts, filename=st.none() | texts)
reasonings = st.builds(
    Reasoning,
    text=words,
    provider_data=st.sampled_from(["reasoning", "reasoning_content"]).map(lambda f: {"openai_chat": {":field": f}}),
)
thoughts = st.builds(
    Reasoning,
    text=texts,
    provider_data=st.booleans().map(
        lambda closed: {"openai_chat": {":field": "content", **({"closed": True} if closed else {})}}
    ),
)
refusals = st.builds(Refusal, text=words)
arguments = texts | st.just('{"a": 1}')
calls = st.builds(ToolCall, id=texts, name=texts, arguments=arguments, provider_data=data(weighty_extras)) | st.builds(
    ToolCall, id=texts, name=texts, arguments=arguments, provider_data=st.just({"openai_chat": {"type": "custom"}})
)
call_lists = st.lists(calls, max_size=3) | st.builds(
    ToolCall,
    id=st.just(""),
    name=words,
    arguments=arguments,
    provider_data=st.just({"openai_chat": {":field": "function_call"}}),
).map(lambda call: [call])


def is_plain(parts):
    return len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].provider_data


@st.composite
def contents(draw, *kinds):
    """Parts of a content, and what tells its spelling: one empty plain text is spelled as none."""
    parts = draw(st.lists(st.one_of(plain_texts, kept_texts, *kinds), max_size=3))
    parts = [] if parts == [Text(text="")] else parts
    return parts, {":form": "list"} if is_plain(parts) and draw(st.booleans()) else {}


@st.composite
def messages(draw):
    role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
    kept = draw(st.dictionaries(vendor, values, max_size=2))
    if role == "assistant":
        parts, form = draw(spoken())
    elif role == "tool":
        content, form = draw(contents(images, documents))
        parts = (ToolResult(call_id=draw(texts), parts=tuple(content)),)
    else:
        content, form = draw(contents(images, audios, documents))
        parts = tuple(content)
    if role == "system" and draw(st.booleans()):
        kept["role"] = "developer"
    kept |= form
    return Message(
        role=role, parts=parts, name=draw(st.none() | texts), provider_data={"openai_chat": kept} if kept else {}
    )


@st.composite
def spoken(draw):
    """The parts of an assistant's message, in the wire's order: reasoning, content, refusal, tool calls."""
    content, form = draw(contents(thoughts))
    beside = draw(st.lists(refusals, max_size=1)) + draw(call_lists)
    if not content and beside and draw(st.booleans()):
        form = {":form": "string"}
    return (*draw(st.lists(reasonings, max_size=1)), *content, *beside), form


functions = st.builds(
    Tool,
    name=texts,
    description=st.none() | texts,
    parameters=st.none() | st.dictionaries(texts, values, max_size=2),
    strict=st.none() | st.booleans(),
    provider_data=data(extras),
)
choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])) | st.builds(
    ToolChoice, mode=st.just("tool"), name=texts
)
outputs = st.builds(
    OutputFormat,
    schema=st.dictionaries(texts, values, max_size=2),
    name=st.none() | texts.filter(lambda name: name != "output"),
    description=st.none() | texts,
    strict=st.none() | st.booleans(),
    provider_data=data(extras),
) | st.builds(OutputFormat, provider_data=data(extras))
requests = st.builds(
    ModelRequest,
    model=texts,
    messages=st.lists(messages(), max_size=3).map(tuple),
    stream=st.booleans(),
    max_tokens=st.none() | st.integers(0, 2**40),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stop=st.lists(texts, max_size=2).map(tuple),
    seed=st.none() | st.integers(-(2**63), 2**63),
    tools=st.lists(functions, max_size=2).map(tuple),
    tool_choice=st.none() | choices,
    output=st.none() | outputs,
    reasoning=st.none() | texts,
    extra=st.dictionaries(st.sampled_from(["n", "user", "reasoning", "vendor_x"]), values, max_size=2),
)
row_quirks = st.builds(Quirks, max_tokens_field=st.sampled_from(ON_THE_WIRE), stream_usage_option=st.booleans())

counts = st.integers(0, 10**6)


@st.composite
def usages(draw):
    """A usage object that adds up, and the totals that it stands for."""
    plain_in, cached, written, heard = (draw(counts) for _ in range(4))
    plain_out, thought, sounded, drawn = (draw(counts) for _ in range(4))
    prompt, completion = plain_in + cached + written + heard, plain_out + thought + sounded + drawn
    outside = draw(st.booleans())  # reasoning outside of the completion, as xAI counts
    reported = {
        "prompt_tokens": prompt,
        "completion_tokens": completion - (thought if outside else 0),
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": heard},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": sounded, "image_tokens": drawn},
    }
    if outside or draw(st.booleans()):
        reported["total_tokens"] = prompt + completion
    return reported, prompt, completion


@st.composite
def answer_contents(draw):
    """Contents of an answer, and their spelling. Two texts or two thoughts in a row are one in a stream."""
    what = draw(st.sampled_from(["none", "string", "list", "typed"]))
    if what == "none":
        return (), {}
    if what == "typed":
        kinds = draw(st.lists(st.sampled_from(["text", "thought", "other"]), min_size=1, max_size=4))
        kept = st.builds(Text, text=texts, provider_data=data(weighty_extras))
        made = {"text": kept, "thought": thoughts, "other": opaque_parts}
        runs = [kind for at, kind in enumerate(kinds) if kind == "other" or at == 0 or kinds[at - 1] != kind]
        parts = tuple(draw(made[kind]) for kind in runs)
        return ((), {}) if is_plain(parts) else (parts, {})
    return (draw(plain_texts),), {":form": "list"} if what == "list" else {}


opaque_parts = words.map(
    lambda ref: Text(text="", provider_data={"openai_chat": {"type": "reference", "ids": [ref], ":absent": ["text"]}})
)


logprobs = st.fixed_dictionaries({"content": st.lists(st.fixed_dictionaries({"token": texts})), "refusal": st.none()})


@st.composite
def choices_of_answers(draw):
    """A message, how it ended, and what is kept of its choice."""
    content, form = draw(answer_contents())
    reasoning = draw(st.lists(reasonings, max_size=1))
    beside = draw(st.lists(refusals, max_size=1)) + draw(call_lists)
    if not content and beside and draw(st.booleans()):
        form = {":form": "string"}
    back = draw(weighty_extras)
    if reasoning and reasoning[0].provider_data["openai_chat"][":field"] == "reasoning_content" and draw(st.booleans()):
        back["reasoning"] = draw(words)  # sent twice
    if draw(st.booleans()):
        back["reasoning_details"] = draw(st.lists(values, min_size=1, max_size=2))
    facts = draw(st.dictionaries(st.sampled_from(["annotations", "citations"]), weighty, max_size=2))
    if draw(st.booleans()):
        facts["audio"] = {"id": draw(words), "data": "AAAA", "transcript": draw(texts)}
        back["audio"] = {"id": facts["audio"]["id"]}
    choice = draw(st.fixed_dictionaries({}, optional={"logprobs": logprobs, "native_finish_reason": weighty}))
    if facts:
        choice["message"] = facts
    raw = draw(st.none() | st.sampled_from([*FINISH_REASONS, "", "eos"]) | words)
    mine = {**form, **back}
    return Candidate(
        message=Message(
            role="assistant",
            parts=(*reasoning, *content, *beside),
            provider_data={"openai_chat": mine} if mine else {},
        ),
        finish_reason=FINISH_REASONS.get(raw, "other"),
        finish_reason_raw=raw,
        provider_data={"openai_chat": choice} if choice else {},
    )


@st.composite
def responses(draw):
    first, *others = draw(st.lists(choices_of_answers(), min_size=1, max_size=3))
    top = draw(st.dictionaries(st.sampled_from(["system_fingerprint", "provider", "x_groq"]), weighty, max_size=2))
    top.pop("x_groq", None) if isinstance(top.get("x_groq"), dict) else None
    choice = first.provider_data.get("openai_chat")
    kept = {**top, "choices": [choice]} if choice else top
    usage = draw(st.none() | usages().map(lambda usage: usage[0]))
    if usage is not None:
        usage |= draw(st.dictionaries(st.sampled_from(["inference_geo", "speed"]), words, max_size=2))
    return Response(
        message=first.message,
        finish_reason=first.finish_reason,
        finish_reason_raw=first.finish_reason_raw,
        model=draw(texts),
        id=draw(st.none() | words),
        created=draw(st.none() | st.integers(1, 2**53)),
        usage=client.parse_usage(usage),
        service_tier=draw(st.none() | words),
        region=(usage or {}).get("inference_geo"),
        speed=(usage or {}).get("speed"),
        candidates=tuple(others),
        provider_data={"openai_chat": kept} if kept else {},
    )


cuts = st.lists(st.integers(1, 60), max_size=6)


# The halves undo each other.


@given(requests, row_quirks)
def test_a_request_that_was_built_reads_back_the_same(request, quirks):
    expected = request
    if request.stream and quirks.stream_usage_option:
        expected = replace(request, extra={**request.extra, "stream_options": {"include_usage": True}})
    assert server.parse_request(client.build_request(request, quirks)) == expected


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
    body = b"".join(server.build_events(response))[: -len(b"data: [DONE]\n\n")]
    events = run(body[: max(len(body) - missing, 0)])
    assert not any(isinstance(event, ResponseEnd) for event in events)


PART_TYPES = ["text", "image_url", "input_audio", "file", "thinking", "refusal", "video"]


def spelled_in_pieces(*parts, piece=None):
    """The deltas of an answer, and the answer that they fold to."""
    body = b"".join(server.build_events(Response(message=Message.assistant(*parts), finish_reason="stop", model="m"),
                                        piece=piece))  # fmt: skip
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line and line != b"data: [DONE]"]
    return [chunk["choices"][0]["delta"] for chunk in chunks], fold(run(body))


def test_texts_are_streamed_in_pieces_of_the_size_asked_for():
    call = ToolCall(id="c", name="f", arguments="{  }")
    spoken, folded = spelled_in_pieces("Hello", call, piece=3)
    assert [each["content"] for each in spoken if each.get("content")] == ["Hel", "lo"]
    pieces = [each["tool_calls"][0]["function"]["arguments"] for each in spoken if "tool_calls" in each]
    assert pieces == ["", "{  ", "}"]
    assert folded.parts == (Text(text="Hello"), call)
    assert [each["content"] for each in spelled_in_pieces("Hello")[0] if each.get("content")] == ["Hello"]


def test_calls_without_ids_stay_apart_in_a_stream():
    calls = [ToolCall(id="", name="", arguments=text) for text in "ab"]
    assert spelled_in_pieces(*calls)[1].tool_calls == tuple(calls)


def test_a_thought_of_several_entries_is_not_said_several_times():
    entries = [{"type": "text", "text": text} for text in ("one ", "two")]
    whole = answer({"content": [{"type": "thinking", "thinking": entries}, {"type": "text", "text": "4"}]})
    assert whole.reasoning == "one two"
    assert spelled_in_pieces(*whole.parts, piece=1)[1].reasoning == "one two"


odd = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "poet"]) | values,
    "content": texts | st.lists(
        st.fixed_dictionaries({}, optional={
            "type": st.sampled_from(PART_TYPES) | values,
            "text": texts | values,
            "refusal": texts | values,
            "thinking": st.lists(st.fixed_dictionaries({"type": texts, "text": texts}), max_size=2) | values,
            "image_url": texts | values | st.fixed_dictionaries({}, optional={
                "url": texts | st.sampled_from(["data:image/png;base64,AAAA", "data:image/png;base64,A", "data:,x"]),
                "detail": texts | values,
                "x": values,
            }),
            "input_audio": values | st.fixed_dictionaries({}, optional={
                "data": st.sampled_from(["AAAA", "AA=="]) | values,
                "format": st.sampled_from(["wav", "mp3", "x-wav"]) | values,
            }),
            "file": values | st.fixed_dictionaries({}, optional={
                "file_id": values, "filename": values,
                "file_data": st.sampled_from(["data:application/pdf;base64,AAAA", "https://a.example/x.pdf"]) | values,
            }),
        }) | values,
        max_size=3,
    ) | values,
    "name": texts | values,
    "refusal": texts | values,
    "reasoning": texts | values,
    "reasoning_content": texts | values,
    "tool_call_id": texts | values,
    "audio": values,
    "function_call": values | st.fixed_dictionaries({}, optional={"name": values, "arguments": values}),
    "tool_calls": st.lists(
        values | st.fixed_dictionaries({}, optional={
            "id": texts | values,
            "index": st.integers(),
            "type": st.sampled_from(["function", "custom", "builtin_function"]) | values,
            "function": values | st.fixed_dictionaries({}, optional={"name": values, "arguments": values, "x": values}),
            "custom": values | st.fixed_dictionaries({}, optional={"name": values, "input": values}),
        }),
        max_size=2,
    ) | values,
    "vendor": values,
})  # fmt: skip


@given(odd)
def test_a_message_of_any_shape_is_spelled_again_as_it_was(wire):
    assert exactly(sent(server.parse_message(wire))["messages"]) == exactly([wire])


odd_choices = st.fixed_dictionaries({}, optional={
    "index": st.integers(-1, 3) | st.sampled_from(["0", "1", "x"]) | values,
    "delta": odd | values,
    "message": odd | values,
    "finish_reason": st.sampled_from([*FINISH_REASONS, ""]) | values,
    "usage": values,
    "logprobs": logprobs | values,
    "vendor": values,
})  # fmt: skip


CHOSEN = {"type": "function", "function": {"name": "f"}}
TOOL_CHOICES = ["auto", "any", CHOSEN, {**CHOSEN, "x": 1}, {**CHOSEN, "function": {"name": "f", "x": 1}}]


@given(
    st.fixed_dictionaries(
        {"model": texts, "messages": st.just([])},
        optional={
            **dict.fromkeys(ON_THE_WIRE, st.integers(0, 9) | values),
            **dict.fromkeys(["temperature", "top_p", "seed", "vendor_x"], scalars | values),
            "stop": texts | st.lists(texts, max_size=2) | values,
            "reasoning_effort": texts | values,
            "response_format": values
            | st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["json_object", "json_schema", "text"]) | values,
                    "json_schema": values
                    | st.fixed_dictionaries(
                        {},
                        optional={
                            "name": st.just("output") | values,
                            "description": values,
                            "schema": st.dictionaries(texts, values, max_size=2) | values,
                            "strict": values,
                            "x": values,
                        },
                    ),
                    "x": values,
                },
            ),
            "tool_choice": st.sampled_from(TOOL_CHOICES) | values,
            "tools": values
            | st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "type": st.sampled_from(["function", "custom"]) | values,
                        "function": values
                        | st.fixed_dictionaries(
                            {}, optional={"name": values, "description": values, "parameters": values, "strict": values}
                        ),
                        "custom": values,
                    },
                ),
                max_size=2,
            ),
        },
    )
)
def test_a_body_of_any_shape_is_spelled_again_as_it_was(body):
    newer = body.get("max_completion_tokens") is not None
    quirks = Quirks(max_tokens_field=ON_THE_WIRE[newer])
    assert exactly(said(built(parsed(body), quirks))) == exactly(said(body))


# Requests: what is renamed, added, refused.


def test_a_request_goes_to_its_path_as_json_and_asks_for_what_it_reads():
    wire = client.build_request(ModelRequest(model="m", messages=(Message.user("hi"),)), PLAIN)
    assert (wire.method, wire.path, wire.query, wire.changes) == ("POST", "/chat/completions", (), ())
    assert wire.headers == (("content-type", "application/json"), ("accept", "application/json"))
    asked = client.build_request(ModelRequest(model="m", messages=(), stream=True), PLAIN)
    assert asked.headers == (("content-type", "application/json"), ("accept", "text/event-stream"))
    assert json.loads(wire.body) == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_a_renamed_cap_is_named_in_the_changes():
    request = ModelRequest(model="m", messages=(), max_tokens=5)
    wire = client.build_request(request, Quirks(max_tokens_field="max_completion_tokens"))
    assert json.loads(wire.body) == {"model": "m", "messages": [], "max_completion_tokens": 5}
    assert wire.changes == ("max_tokens sent as max_completion_tokens",)
    assert built(request)["max_tokens"] == 5


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def test_the_form_of_an_answer_is_any_object_or_a_schema_with_a_name():
    assert sent(output=OutputFormat())["response_format"] == {"type": "json_object"}
    assert sent(output=OutputFormat(schema=SCHEMA))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": SCHEMA},
    }
    named = OutputFormat(schema=SCHEMA, name="n", description="d", strict=True)
    assert sent(output=named)["response_format"]["json_schema"] == {
        "name": "n", "description": "d", "schema": SCHEMA, "strict": True,
    }  # fmt: skip
    lost = ModelRequest(model="m", messages=(), output=OutputFormat(name="n", strict=True))
    wire = client.build_request(lost, PLAIN)
    assert json.loads(wire.body)["response_format"] == {"type": "json_object"}
    assert [change.split(" ")[0] for change in wire.changes] == ["name", "strict"]
    text = {"model": "m", "messages": [], "response_format": {"type": "text"}}
    assert (parsed(text).output, parsed(text).extra) == (None, {"response_format": {"type": "text"}})


@pytest.mark.parametrize(
    ("dial", "reasoning", "fields"),
    [
        ("reasoning_effort", "low", {"reasoning_effort": "low"}),
        ("reasoning", "low", {"reasoning": {"effort": "low"}}),
        ("reasoning", 2_000, {"reasoning": {"max_tokens": 2_000}}),
        ("thinking", "none", {"thinking": {"type": "disabled"}}),
        ("thinking", "high", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ("enable_thinking", "none", {"enable_thinking": False}),
        ("enable_thinking", 2_000, {"enable_thinking": True, "thinking_budget": 2_000}),
    ],
)
def test_each_server_has_its_own_dial_of_reasoning(dial, reasoning, fields):
    wire = client.build_request(ModelRequest(model="m", messages=(), reasoning=reasoning), Quirks(reasoning_dial=dial))
    assert json.loads(wire.body) == {"model": "m", "messages": [], **fields}
    moved = () if dial == "reasoning_effort" else (f"reasoning sent as {' and '.join(fields)}",)
    assert wire.changes == moved


@pytest.mark.parametrize(
    ("dial", "reasoning", "fields", "says"),
    [
        ("reasoning_effort", 0, {"reasoning_effort": "none"}, "reasoning=0 sent as 'none'"),
        ("reasoning_effort", 1_024, {"reasoning_effort": "low"}, "reasoning=1024 sent as 'low'"),
        ("reasoning_effort", 8_000, {"reasoning_effort": "medium"}, "reasoning=8000 sent as 'medium'"),
        ("reasoning_effort", 8_193, {"reasoning_effort": "high"}, "reasoning=8193 sent as 'high'"),
        ("thinking", 0, {"thinking": {"type": "disabled"}}, "reasoning=0 sent as 'none'"),
        (
            "thinking", 2_000, {"thinking": {"type": "enabled"}, "reasoning_effort": "medium"},
            "reasoning=2000 sent as 'medium'",
        ),
        ("enable_thinking", "low", {"enable_thinking": True, "thinking_budget": 1_024}, "'low' sent as 1024 tokens"),
        ("enable_thinking", "high", {"enable_thinking": True, "thinking_budget": 24_576}, "'high' sent as 24576"),
    ],
)  # fmt: skip
def test_a_dial_that_knows_only_the_other_form_is_turned_to_its_like_and_that_is_said(dial, reasoning, fields, says):
    wire = client.build_request(ModelRequest(model="m", messages=(), reasoning=reasoning), Quirks(reasoning_dial=dial))
    assert json.loads(wire.body) == {"model": "m", "messages": [], **fields}
    assert says in wire.changes[0]


def test_a_word_that_nobody_counts_is_refused_where_tokens_are_asked_for():
    with pytest.raises(UnsupportedParameterError, match=r"reasoning='ultra': .* known as one: minimal, low"):
        sent(reasoning="ultra", quirks=Quirks(reasoning_dial="enable_thinking"))


def test_a_dial_of_another_server_stays_in_extra():
    body = {"model": "m", "messages": [], "reasoning": {"effort": "low"}, "thinking": {"type": "disabled"}}
    assert (parsed(body).reasoning, built(parsed(body))) == (None, body)
    assert parsed({**body, "reasoning_effort": "low"}).reasoning == "low"


def test_both_caps_stay_beside_each_other_whatever_the_row_calls_them():
    body = {"model": "m", "messages": [], "max_tokens": 1, "max_completion_tokens": 2}
    assert [built(parsed(body), Quirks(max_tokens_field=name)) for name in ON_THE_WIRE] == [body, body]
    assert parsed({"model": "m", "messages": [], "max_tokens": None, "max_completion_tokens": 2}).max_tokens == 2


@pytest.mark.parametrize(
    ("extra", "quirks", "options"),
    [
        ({}, PLAIN, {"include_usage": True}),
        ({}, NO_USAGE, None),
        ({"stream_options": {"x": 1}}, PLAIN, {"x": 1}),
        ({"stream_options": None}, PLAIN, None),
    ],
)
def test_a_stream_asks_for_usage_unless_the_row_or_the_caller_says_otherwise(extra, quirks, options):
    body = sent(stream=True, extra=extra, quirks=quirks)
    assert body["stream"] is True
    assert body.get("stream_options") == options
    assert "stream_options" not in sent()


def test_a_server_that_only_streams_is_asked_for_a_stream():
    wire = client.build_request(ModelRequest(model="m", messages=()), Quirks(stream_only=True))
    assert json.loads(wire.body)["stream"] is True
    assert json.loads(wire.body)["stream_options"] == {"include_usage": True}
    assert wire.changes == ("sent as a stream: the server answers in streams only",)
    asked = client.build_request(ModelRequest(model="m", messages=(), stream=True), Quirks(stream_only=True))
    assert asked.changes == ()


def test_extra_stands_in_place_of_our_fields_but_does_not_turn_an_answer_into_a_stream():
    assert sent(temperature=0, extra={"temperature": 1, "top_k": 3}) == {
        "model": "m", "messages": [], "temperature": 1, "top_k": 3,
    }  # fmt: skip
    with pytest.raises(UnsupportedParameterError, match=r"models\.stream"):
        sent(extra={"stream": True})
    assert sent(stream=True, extra={"stream": False})["stream"] is True
    assert sent(extra={"stream": False})["stream"] is False


@pytest.mark.parametrize("asked", [{"tools": (Tool(name="f"),)}, {"extra": {"tools": [{"type": "web_search"}]}}])
def test_tools_are_refused_where_the_server_would_ignore_them(asked):
    row = Quirks(tools=False, tools_hint="Use another model.")
    with pytest.raises(UnsupportedParameterError, match=r"^this server ignores tools silently\. Use another model\.$"):
        sent(quirks=row, **asked)
    assert sent(**asked)["tools"]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Message.user(Document(url="https://a.example/x.pdf")), r"Document by its url.*bytes.*file_id"),
        (Message.user(Image(data=b"x")), r"Image data needs its media_type.*image/png"),
        (Message.user(Document(data=b"x")), r"Document data needs its media_type.*application/pdf"),
        (Message.user(Image()), r"neither data nor a url"),
        (Message.user(Audio(data=b"x", media_type="video/mp4")), r"video/mp4.*audio/wav"),
        (Message(role="tool", parts=(Text(text="4"),)), r"Message\.tool"),
        (Message(role="tool", parts=()), r"Message\.tool"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_and_says_what_to_do(message, says):
    with pytest.raises(UnsupportedContentError, match=says):
        sent(message)


def test_reasoning_of_another_wire_is_left_out_and_said():
    message = Message.assistant(Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "s"}}), "4")
    wire = client.build_request(ModelRequest(model="m", messages=(message, message)), PLAIN)
    assert json.loads(wire.body)["messages"] == [{"role": "assistant", "content": "4"}] * 2
    assert wire.changes == ("reasoning that came over another wire left out: this one has no common field for it",)
    assert server.build_response(Response(message=message, finish_reason="stop", model="m")).body.count(b'"hm"') == 1


def test_reasoning_of_another_wire_goes_where_the_row_takes_it_back():
    """DeepSeek and others refuse a tool call whose thoughts are missing."""
    message = Message.assistant(Reasoning(text="h"), Reasoning(text="m"), "4")
    asked = ModelRequest(model="m", messages=(message,))
    wire = client.build_request(asked, Quirks(reasoning_field="reasoning_content"))
    assert json.loads(wire.body)["messages"] == [{"role": "assistant", "content": "4", "reasoning_content": "hm"}]
    assert wire.changes == ("reasoning that came over another wire sent as reasoning_content",)
    own = answer({"content": "4", "reasoning": "hm"}).message
    kept = client.build_request(ModelRequest(model="m", messages=(own,)), Quirks(reasoning_field="reasoning_content"))
    assert (json.loads(kept.body)["messages"][0]["reasoning"], kept.changes) == ("hm", ())


def test_a_part_that_only_another_wire_can_carry_is_left_out_and_said():
    search = Text(text="", provider_data={"anthropic_messages": {"type": "server_tool_use"}})
    wire = client.build_request(ModelRequest(model="m", messages=(Message.assistant(search, "4"),)), PLAIN)
    assert json.loads(wire.body)["messages"] == [{"role": "assistant", "content": "4"}]
    assert wire.changes == ("a part that only another wire can carry left out",)


def test_a_failed_tool_result_is_sent_and_said():
    wire = client.build_request(ModelRequest(model="m", messages=(Message.tool("c", "no", is_error=True),)), PLAIN)
    assert json.loads(wire.body)["messages"] == [{"role": "tool", "tool_call_id": "c", "content": "no"}]
    assert wire.changes == ("is_error of a tool result left out: this wire has no field for it",)


def test_results_in_one_message_become_one_message_each_before_the_rest():
    results = tuple(ToolResult(call_id=name, parts=(Text(text=name),)) for name in "ab")
    spelled = sent(Message(role="user", parts=(*results, Text(text="so?"))))["messages"]
    assert spelled == [
        {"role": "tool", "tool_call_id": "a", "content": "a"},
        {"role": "tool", "tool_call_id": "b", "content": "b"},
        {"role": "user", "content": "so?"},
    ]


def test_what_a_user_writes_into_provider_data_is_put_over_what_we_build():
    cached = Text(text="long", provider_data={"openai_chat": {"cache_control": {"type": "ephemeral"}}})
    result = ToolResult(call_id="c", parts=(), provider_data={"openai_chat": {"cache_control": 1}})
    assert sent(Message.user(cached), Message(role="tool", parts=(result,)))["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "", "cache_control": 1},
    ]


# Messages: wire and value, side by side.

PNG = base64.b64encode(b"png").decode()


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({"role": "user", "content": "hi"}, Message.user("hi")),
        ({"role": "user", "content": "hi", "name": "ann"}, Message(role="user", parts=(Text(text="hi"),), name="ann")),
        (
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            Message(role="user", parts=(Text(text="hi"),), provider_data={"openai_chat": {":form": "list"}}),
        ),
        (
            {"role": "developer", "content": "be brief"},
            Message(
                role="system", parts=(Text(text="be brief"),), provider_data={"openai_chat": {"role": "developer"}}
            ),
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
                    {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
                    {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            },
            Message.user(
                Image(data=b"png", media_type="image/png", detail="low"),
                Image(url="https://a.example/x.png"),
                Audio(data=b"png", media_type="audio/mpeg"),
                Document(data=b"png", media_type="application/pdf", filename="a.pdf"),
                Document(file_id="file-1"),
            ),
        ),
        (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{not json"}}],
            },
            Message.assistant(ToolCall(id="c", name="f", arguments="{not json")),
        ),
        (
            {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
            Message.assistant(
                Reasoning(text="2+2", provider_data={"openai_chat": {":field": "reasoning_content"}}), "4"
            ),
        ),
        ({"role": "assistant", "content": None, "refusal": "no"}, Message.assistant(Refusal(text="no"))),
        ({"role": "tool", "tool_call_id": "c", "content": "4"}, Message.tool("c", "4")),
        (
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "v"}}]},
            Message.user(
                Text(
                    text="",
                    provider_data={
                        "openai_chat": {"type": "video_url", "video_url": {"url": "v"}, ":absent": ["text"]}
                    },
                )
            ),
        ),
    ],
)
def test_a_message_has_this_value(wire, message):
    assert server.parse_message(wire) == message
    assert sent(message)["messages"] == [wire]


def test_parts_that_stand_in_one_field_are_joined_there():
    thoughts = [Reasoning(text=text, provider_data={"openai_chat": {":field": "reasoning"}}) for text in "ab"]
    message = Message.assistant(*thoughts, Refusal(text="c"), Refusal(text="d"))
    assert sent(message)["messages"] == [{"role": "assistant", "content": None, "reasoning": "ab", "refusal": "cd"}]


def test_an_empty_name_of_a_file_is_sent():
    (spelled,) = sent(Message.user(Document(file_id="", filename="")))["messages"]
    assert spelled["content"] == [{"type": "file", "file": {"file_id": "", "filename": ""}}]


def test_a_tool_result_holds_texts_images_and_documents_and_keeps_the_rest():
    thought = {"type": "thinking", "thinking": []}
    content = [thought, {"type": "refusal", "refusal": "no"}, {"type": "text", "text": "4"}]
    wire = {"role": "tool", "tool_call_id": "c", "content": content}
    message = server.parse_message(wire)
    (result,) = message.parts
    assert [type(part) for part in result.parts] == [Text, Text, Text]
    assert [part.text for part in result.parts] == ["", "", "4"]
    assert sent(message)["messages"] == [wire]


def test_a_data_url_that_is_not_canonical_stays_a_url():
    png = "data:image/png;base64,"
    for url in (png + "!!", png + "AB", png + "AB==", "data:;base64,AAAA", "data:image/svg+xml,<svg/>"):
        message = server.parse_message({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})
        assert message == Message.user(Image(url=url))


def test_a_function_is_a_tool_and_what_is_none_keeps_its_type_for_a_name():
    tools = parsed({"model": "m", "messages": [], "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}},
        {"type": "web_search", "max_uses": 1},
    ]}).tools  # fmt: skip
    assert tools[0] == Tool(name="f", description="d", parameters={}, strict=True)
    assert tools[1].name == "web_search"


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
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_a_finish_reason_is_translated_and_kept(raw, ours):
    whole = answer({"content": "hi"}, raw)
    assert (whole.finish_reason, whole.finish_reason_raw) == (ours, raw)
    parts = fold(streamed({"content": "hi"}, finish=raw))
    assert (parts.finish_reason, parts.finish_reason_raw) == (ours, raw)


def test_an_answer_of_another_wire_ends_with_a_word_of_this_one():
    response = Response(message=Message.assistant("hi"), finish_reason="stop", finish_reason_raw="end_turn", model="m")
    assert json.loads(server.build_response(response).body)["choices"][0]["finish_reason"] == "stop"


def test_the_head_of_an_answer_is_read_and_its_body_kept():
    silent = {"refusal": None, "annotations": [], "audio": {}, "name": "", "role": "assistant"}
    choice = {"index": 0, "message": {"content": "hi", **silent}, "finish_reason": "stop", "logprobs": None}
    body = {"id": "c1", "object": "chat.completion", "model": "m-1", "created": 7, "service_tier": "flex"}
    body["choices"] = [choice]
    response = client.parse_response(reply(body), PLAIN)
    assert (response.id, response.model, response.created, response.service_tier) == ("c1", "m-1", 7, "flex")
    assert (response.text, response.provider_data, response.raw) == ("hi", {}, body)
    assert response.message == Message.assistant("hi")


def test_the_first_choice_is_the_message_and_the_others_are_candidates():
    notes = [{"type": "url_citation"}]
    other = {"index": 1, "message": {"content": "b", "x": 1, "annotations": notes}, "finish_reason": "length", "y": 2}
    first = {"index": 0, "message": {"content": "a"}, "logprobs": {"content": []}}
    response = client.parse_response(reply({"choices": [first, None, other]}), PLAIN)
    assert response.text == "a"
    assert response.provider_data["openai_chat"]["choices"] == [{"logprobs": {"content": []}}]
    (candidate,) = response.candidates
    assert candidate == Candidate(
        message=Message(role="assistant", parts=(Text(text="b"),), provider_data={"openai_chat": {"x": 1}}),
        finish_reason="length",
        finish_reason_raw="length",
        provider_data={"openai_chat": {"y": 2, "message": {"annotations": notes}}},
    )


def test_choices_of_a_stream_are_told_apart_and_given_whole_at_the_end():
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    body = sse(
        delta({"role": "assistant", "content": ""}),
        delta({"role": "assistant", "content": ""}, index=1),
        delta({"content": "no"}, index="2"),
        delta({"content": "ye"}),
        delta({"tool_calls": [call]}, "tool_calls", index=1, usage={"prompt_tokens": 1, "completion_tokens": 2}),
        delta({"content": "s"}),
        delta({"content": "pe"}, index=2),
        {
            "choices": [
                {"index": 2, "delta": {}, "finish_reason": "length", "x": 1},
                {"index": 0, "finish_reason": "stop"},
            ]
        },
        b"[DONE]",
    )
    events = run(body)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["ye", "s"]
    response = fold(events)
    assert (response.text, response.finish_reason, response.usage.output) == ("yes", "stop", 2)
    calling, cut = response.candidates
    assert (calling.message.parts, calling.finish_reason) == (
        (ToolCall(id="c", name="f", arguments="{}"),),
        "tool_calls",
    )
    assert (cut.text, cut.finish_reason_raw, cut.provider_data) == ("nope", "length", {"openai_chat": {"x": 1}})
    assert outcome(body, (1,)) == (events, None)


def test_a_stream_whose_choices_are_not_counted_from_0_has_a_message_all_the_same():
    response = fold(run(sse(delta({"content": "a"}, index=2), delta({"content": "b"}, "stop", index=1), b"[DONE]")))
    assert (response.text, response.finish_reason, [each.text for each in response.candidates]) == ("b", "stop", ["a"])


def test_facts_about_an_answer_stay_with_it_and_what_the_provider_needs_goes_back():
    audio = {"id": "a1", "data": "AAAA", "transcript": "hi", "expires_at": 1}
    notes = [{"type": "url_citation"}]
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    message = {"content": None, "annotations": notes, "audio": audio, "reasoning_details": details, "padding": "zz"}
    response = answer(message, citations=["u"], system_fingerprint="f")
    assert response.provider_data["openai_chat"] == {
        "citations": ["u"],
        "system_fingerprint": "f",
        "choices": [{"message": {"annotations": notes, "audio": audio, "padding": "zz"}}],
    }
    assert sent(response.message)["messages"] == [
        {"role": "assistant", "content": "", "reasoning_details": details, "audio": {"id": "a1"}}
    ]


def test_no_field_of_a_provider_is_taken_for_one_of_ours():
    message = {"content": "hi", ":absent": ["content"], ":form": "list", "x": 1}
    for response in (answer(message), fold(streamed(message))):
        assert sent(response.message)["messages"] == [{"role": "assistant", "content": "hi", "x": 1}]
    asked = {"role": "user", "content": "hi", ":absent": ["role"], ":form": "list"}
    assert sent(server.parse_message(asked))["messages"] == [{"role": "user", "content": "hi"}]


def test_an_empty_content_beside_tool_calls_goes_back_as_it_came():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for content in ("", None):
        message = answer({"role": "assistant", "content": content, "tool_calls": [{**call, "index": 0}]}).message
        assert sent(message)["messages"] == [{"role": "assistant", "content": content, "tool_calls": [call]}]


def test_reasoning_sent_in_two_fields_is_one_part_and_goes_back_in_both():
    message = {"role": "assistant", "content": "4", "reasoning": "hm", "reasoning_content": "hm"}
    response = answer(message)
    assert (response.reasoning, response.text) == ("hm", "4")
    assert sent(response.message)["messages"] == [message]
    twice = fold(streamed({"reasoning": "h", "reasoning_content": "h"}, {"reasoning": "m", "reasoning_content": "m"},
                          {"content": "4"}))  # fmt: skip
    assert twice.message == response.message


def test_nulls_and_the_index_of_a_tool_call_say_nothing_in_an_answer():
    call = {"id": "c", "type": None, "index": 3, "x": None, "function": {"name": "f", "arguments": "{}"}}
    expected = (ToolCall(id="c", name="f", arguments="{}"),)
    assert answer({"tool_calls": [call]}).tool_calls == expected
    assert fold(streamed({"tool_calls": [call]})).tool_calls == expected


def test_arguments_that_are_an_object_become_text():
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    assert answer({"tool_calls": [call]}).tool_calls[0].arguments == '{"a":1}'
    assert fold(streamed({"tool_calls": [call]})).tool_calls[0].arguments == '{"a":1}'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"<html><title>502</title></html>", "no JSON"),
        (b"[]", "no object"),
        (b"{}", "no choices"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": null}', "no choices"),
        (b'{"choices": [{"index": 0}]}', "no message"),
        (b'{"choices": [{"message": 1, "finish_reason": "stop"}]}', "no message"),
        (b'{"error": {"message": "quota"}}', "it is an error: quota"),
        (b"x" * 5_000, "no JSON"),
    ],
)
def test_a_reply_that_is_no_answer_is_a_parse_error_with_its_bytes(body, why):
    with pytest.raises(ResponseParseError, match=why) as caught:
        client.parse_response(reply(body, headers=(("x-request-id", "r1"),)), PLAIN)
    assert (caught.value.body, caught.value.status, caught.value.request_id) == (body[:2_000], 200, "r1")


def test_an_error_in_the_place_of_a_whole_answer_is_the_providers():
    """Azure's filter was seen to answer 200 with the error of a 400."""
    error = {"message": "filtered", "code": "content_filter", "status": 400}
    for body in ({"error": error}, {"choices": [{"error": error, "message": None}]}):
        with pytest.raises(ContentBlockedError, match="filtered") as caught:
            client.parse_response(reply(body, headers=(("x-request-id", "r1"), ("retry-after", "2"))), PLAIN)
        found = caught.value
        assert (found.status, found.provider_code, found.request_id) == (200, "content_filter", "r1")
        assert found.retry_after == 2


def test_an_answer_without_a_message_is_one_where_it_says_why_it_finished():
    response = client.parse_response(reply({"choices": [{"finish_reason": "content_filter"}]}), PLAIN)
    assert (response.finish_reason, response.parts) == ("content_filter", ())


@given(
    values
    | st.fixed_dictionaries(
        {"choices": st.lists(odd_choices | values, max_size=3)},
        optional=dict.fromkeys(["id", "model", "created", "usage", "service_tier", "x_groq", "error"], values),
    )
)
def test_an_answer_of_any_shape_is_read_or_refused(body):
    try:
        response = client.parse_response(reply(body), PLAIN)
    except (APIStatusError, ResponseParseError):
        return
    assert isinstance(response, Response)
    sent(response.message)  # and can be sent back
    again = client.parse_response(server.build_response(response), PLAIN)
    assert stripped(again) == replace(stripped(response), usage=again.usage)


# Usage.

OPENAI = {"prompt_tokens": 1200, "completion_tokens": 500, "total_tokens": 1700,
          "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0},
          "completion_tokens_details": {"reasoning_tokens": 300, "rejected_prediction_tokens": 5}}  # fmt: skip


@pytest.mark.parametrize(
    ("reported", "buckets"),
    [
        pytest.param(OPENAI, {"input": 200, "cache_read": 1000, "output": 200, "reasoning": 300}, id="openai"),
        pytest.param(
            {"prompt_tokens": 18014, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_tokens": 18011}},
            {"input": 3, "cache_write_5m": 18011, "output": 1},
            id="cache-write",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4},
             "completion_tokens_details": {"audio_tokens": 5, "image_tokens": 3}},
            {"input": 6, "input_audio": 4, "output": 1, "output_audio": 5, "output_image": 3},
            id="audio-and-images",
        ),
        pytest.param(
            {"prompt_tokens": 10120, "completion_tokens": 1499, "total_tokens": 14428,
             "prompt_tokens_details": {"cached_tokens": 128}, "completion_tokens_details": {"reasoning_tokens": 2809}},
            {"input": 9992, "cache_read": 128, "output": 1499, "reasoning": 2809},
            id="xai-reasoning-outside",
        ),
        pytest.param(
            {"prompt_tokens": 12, "completion_tokens": 50, "total_tokens": 62,
             "completion_tokens_details": {"reasoning_tokens": 20}},
            {"input": 12, "output": 30, "reasoning": 20},
            id="reasoning-inside",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 201, "total_tokens": 585,
             "prompt_tokens_details": {"audio_tokens": 375}},
            {"input": 9, "input_audio": 375, "output": 201},
            id="mistral-audio-outside",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 20,
             "prompt_tokens_details": {"audio_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 5}},
            {"input": 5, "input_audio": 5, "output": 5, "reasoning": 5},
            id="both-outside",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 15,
             "prompt_tokens_details": {"audio_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 5}},
            {"input_audio": 5, "output": 5, "reasoning": 5},
            id="one-outside-is-reasoning",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 13,
             "prompt_tokens_details": {"audio_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}},
            {"input": 5, "input_audio": 3, "output": 3, "reasoning": 2},
            id="audio-outside-reasoning-inside",
        ),
        pytest.param(
            {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_cache_hit_tokens": 600,
             "prompt_cache_miss_tokens": 400},
            {"input": 400, "cache_read": 600, "output": 100},
            id="deepseek",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 1, "num_cached_tokens": 99},
            {"input": 1, "cache_read": 99, "output": 1},
            id="mistral-early",
        ),
        pytest.param({"prompt_tokens": 12.0, "completion_tokens": 3}, {"input": 12, "output": 3}, id="integral-float"),
        pytest.param({"prompt_tokens": 12}, {"input": 12}, id="no-completion"),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 1, "server_tool_use_details": {"web_search_requests": 2}},
            {"input": 1, "output": 1, "web_searches": 2},
            id="openrouter-searches",
        ),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": None,
             "completion_tokens_details": []},
            {"input": 1, "output": 1},
            id="no-details",
        ),
    ],
)  # fmt: skip
def test_usage_is_sorted_into_buckets(reported, buckets):
    assert client.parse_usage(reported) == Usage(**buckets, reported=reported)


@pytest.mark.parametrize("number", [-1, 1.5, True, "7", math.nan, math.inf, 1e300, 2**53 + 1, [], {}])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens", "total_tokens", "cached", "reasoning"])
def test_a_number_that_cannot_be_makes_the_usage_suspect(field, number):
    reported = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    if field == "cached":
        reported["prompt_tokens_details"] = {"cached_tokens": number}
    elif field == "reasoning":
        reported["completion_tokens_details"] = {"reasoning_tokens": number}
    else:
        reported[field] = number
    usage = client.parse_usage(reported)
    assert (usage.source, usage.total_input, usage.total_output, usage.total_tokens) == ("suspect", 0, 0, None)
    assert usage.reported is reported


@pytest.mark.parametrize("details", [{"cached_tokens": 11}, {"cached_tokens": 6, "audio_tokens": 5}])
def test_parts_above_their_whole_make_the_usage_suspect(details):
    assert client.parse_usage({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": details}) == Usage(
        source="suspect",
        reported={"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": details},
    )
    thought = {"prompt_tokens": 1, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}}
    assert client.parse_usage(thought).source == "suspect"


def test_usage_that_was_not_sent_is_missing_and_one_that_is_no_object_suspect():
    assert client.parse_usage(None) == client.parse_usage({}) == Usage(source="missing")
    assert client.parse_usage({"cost": 1}) == Usage(source="missing", reported={"cost": 1})
    assert client.parse_usage("12").source == client.parse_usage([1]).source == "suspect"


@given(usages())
def test_the_buckets_sum_to_the_totals_that_the_provider_said(usage):
    reported, prompt, completion = usage
    parsed_usage = client.parse_usage(reported)
    assert (parsed_usage.input_tokens, parsed_usage.output_tokens) == (prompt, completion)


numbers = st.integers(-3, 30) | scalars
usage_like = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(["prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"], numbers),
    "prompt_tokens_details": values | st.dictionaries(
        st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens"]), numbers),
    "completion_tokens_details": values | st.dictionaries(
        st.sampled_from(["reasoning_tokens", "audio_tokens", "image_tokens"]), numbers),
})  # fmt: skip


@given(values | usage_like)
def test_no_usage_object_raises_or_gives_a_negative_count(reported):
    usage = client.parse_usage(reported)
    assert all(getattr(usage, name) >= 0 for name in Usage.__struct_fields__[:12])
    if usage.source == "provider":
        said_prompt, said_completion = reported.get("prompt_tokens") or 0, reported.get("completion_tokens") or 0
        assert usage.total_input - said_prompt in {0, usage.input_audio}
        assert usage.total_output - said_completion in {0, usage.reasoning}
    else:
        assert list(usage.buckets()) == []


def test_groq_usage_is_read_where_there_is_no_other():
    own = {"prompt_tokens": 1, "completion_tokens": 2}
    groq = {"x_groq": {"id": "r", "usage": {"prompt_tokens": 5, "completion_tokens": 6}}}
    assert answer({"content": "a"}, **groq).usage.total_tokens == 11
    assert answer({"content": "a"}, usage=own, **groq).usage.total_tokens == 3
    body = sse(delta({"content": "a"}, "stop", **groq), b"[DONE]")
    assert fold(run(body)).usage.total_tokens == 11
    body = sse(delta({"content": "a"}, "stop", **groq), delta({}, x_groq={"id": "r"}, usage=own), b"[DONE]")
    assert fold(run(body)).usage.total_tokens == 3


def test_usage_of_another_wire_is_spelled_in_our_words_with_the_same_totals():
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5, reasoning=6, web_searches=1,
                  reported={"input_tokens": 1})  # fmt: skip
    response = Response(message=Message.assistant("hi"), finish_reason="stop", model="m", usage=usage)
    read = client.parse_response(server.build_response(response), PLAIN).usage
    assert (read.input_tokens, read.output_tokens, read.web_searches) == (10, 11, 1)
    assert (read.cache_read, read.cache_write_5m, read.reasoning) == (2, 7, 6)


# Streams.


def test_a_stream_gives_these_events():
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    body = sse(
        delta({"role": "assistant", "content": ""}, created=5),
        delta({"reasoning": "hm"}),
        delta({"content": "H"}),
        delta({"content": "i"}),
        delta({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f"}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        delta({"refusal": "no"}),
        delta({}, "tool_calls", service_tier="flex"),
        {"choices": [], "usage": usage},
        b"[DONE]",
    )
    assert run(body) == [
        ResponseStart(id="c1", model="m", created=5),
        ReasoningDelta(text="hm", index=0),
        PartData(provider_data={"openai_chat": {":field": "reasoning"}}, index=0),
        TextDelta(text="H", index=1),
        TextDelta(text="i", index=1),
        ToolCallStart(id="t", name="f", index=2),
        ToolCallDelta(arguments="{}", index=2),
        RefusalDelta(text="no", index=3),
        ResponseEnd(
            finish_reason="tool_calls",
            finish_reason_raw="tool_calls",
            usage=Usage(input=1, output=2, reported=usage),
            service_tier="flex",
        ),
    ]


def test_who_answers_is_said_once_it_is_known():
    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": [1]}
    assert run(sse(azure, delta({"content": "a"})))[:2] == [ResponseStart(id="c1", model="m"), TextDelta(text="a")]
    nobody = {"choices": [{"delta": {"content": "a"}}]}
    events = run(sse(nobody, nobody, delta({"content": "b"}, id="c2"), delta({"content": "c"}, id="c3")))
    assert [event.id for event in events if isinstance(event, ResponseStart)] == [None, "c2"]
    assert isinstance(events[0], ResponseStart)


def test_unknown_chunks_are_skipped():
    nothing = [b"[1]", b'"x"', b"null", {"type": "ping"}, {"choices": 1}, {"choices": [1, None]}, {"choices": [{}]}]
    odd_deltas = [None, {"content": 5}, {"tool_calls": [1]}, {"tool_calls": {}}, {"function_call": 1}, {"refusal": 1}]
    body = sse(
        *nothing,
        delta({"content": "yes"}),
        *[delta(each) for each in odd_deltas],
        delta({}, "stop"),
        b"[DONE]",
    )
    response = fold(run(body))
    assert (response.finish_reason, response.parts) == ("stop", (Text(text="yes"),))


def test_the_last_usage_wins_wherever_it_stands():
    one, two = ({"prompt_tokens": 1, "completion_tokens": n} for n in (1, 2))
    body = sse(delta({"content": "a"}, usage=one), delta({}, "stop", usage=two), delta({}, usage=None), b"[DONE]")
    assert fold(run(body)).usage == Usage(input=1, output=2, reported=two)
    assert fold(run(sse(delta({}, "stop"), b"[DONE]"))).usage == Usage(source="missing")


def test_the_last_finish_reason_wins_and_an_empty_one_is_none_beside_another():
    body = sse(delta({"content": "a"}, ""), delta({}, "length"), delta({}, ""), delta({}, None), b"[DONE]")
    assert fold(run(body)).finish_reason_raw == "length"


def test_a_stream_ends_at_done_where_the_row_says_so():
    whole = sse(delta({"content": "a"}, "stop"))
    parser = client.stream_parser(PLAIN)
    parser.feed(whole)
    assert (parser.end(), parser.ended) == ([], False)
    parser = client.stream_parser(PLAIN)
    (end,) = parser.feed(whole + sse(b"[DONE]"))[2:]
    assert isinstance(end, ResponseEnd)
    assert parser.ended
    assert parser.feed(sse(delta({"content": "more"}))) == parser.end() == []
    assert parser.feed(b"x" * 2**25) == []  # too much for an event, but the answer is whole
    together = run(whole + sse(b"[DONE]", delta({"content": "more"}), b"{", {"error": "late"}, b"[DONE]"))
    assert fold(together).text == "a"
    late = client.stream_parser(PLAIN)
    assert not late.feed(b"data: [DONE]")
    assert [type(event) for event in late.end()] == [ResponseEnd]


def test_a_stream_ends_with_its_body_where_the_row_says_so_and_it_finished():
    parser = client.stream_parser(BY_FINISH)
    assert len(parser.feed(sse(delta({"content": "a"}), delta({}, "stop")))) == 2
    assert not parser.ended
    assert [type(event) for event in parser.end()] == [ResponseEnd]
    assert parser.ended
    assert parser.end() == []
    for cut in (sse(delta({"content": "a"})), sse(delta({"content": "a"}, "")), b""):
        parser = client.stream_parser(BY_FINISH)
        parser.feed(cut)
        assert not any(isinstance(event, ResponseEnd) for event in parser.end())
        assert not parser.ended


@pytest.mark.parametrize("quirks", [PLAIN, BY_FINISH])
def test_an_event_that_the_end_cuts_in_two_is_no_error_of_its_own(quirks):
    parser = client.stream_parser(quirks)
    assert len(parser.feed(sse(delta({"content": "a"}, "stop")) + b'data: {"choices": [{"del')) == 2
    assert parser.end() == []
    assert not parser.ended


def tool(index=None, id=None, name=None, arguments=None, **fields):
    piece = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}, **fields}
    piece["function"] = {key: value for key, value in piece["function"].items() if value is not None}
    return {"tool_calls": [{key: value for key, value in piece.items() if value is not None}]}


OLD_CALL = [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([tool(0, "a", "f", ""), tool(0, arguments="{"), tool(0, arguments="}")], ["a f {}"]),
        ([tool(0, "a", "f", "1"), tool(1, "b", "g", "2"), tool(0, arguments="3")], ["a f 13", "b g 2"]),
        # id and name repeat, change, or come late
        ([tool(0, "a", "f", "1"), tool(0, "a", "f", "2")], ["a f 12"]),
        ([tool(0, "a", "f", "1"), tool(0, "z", None, "2"), tool(0, "a", "f", "3")], ["a f 123"]),
        ([tool(0, None, "f"), tool(0, "a"), tool(0, arguments="1")], ["a f 1"]),
        ([tool(0, arguments="1"), tool(0, "a", "f", "2")], ["a f 12"]),
        ([tool(0, None, "f", "1"), tool(0, "a", None, "2")], ["a f 12"]),
        ([tool(0, None, "f", "1")], [" f 1"]),
        ([tool(0, None, "f")], [" f "]),
        # no index
        ([tool(None, "a", "f", "1"), tool(arguments="2")], ["a f 12"]),
        ([tool(None, "a", "f", "1"), tool(None, "b", "g", "2"), tool(None, "a", None, "3")], ["a f 13", "b g 2"]),
        ([tool(None, None, "f", "1"), tool(None, None, "g", "2")], [" f 1", " g 2"]),
        # every index 0
        ([tool(0, "a", "f", "1"), tool(0, "b", "f", "2"), tool(0, None, None, "3")], ["a f 1", "b f 23"]),
        # as in 2023
        (OLD_CALL, [" f {}"]),
        ([{"function_call": {"name": "", "arguments": "{}"}}], []),
        # nothing but an id
        ([{"tool_calls": [{"index": 0, "id": "a", "function": None}]}], ["a  "]),
    ],
)
def test_pieces_of_tool_calls_find_each_other(deltas, expected):
    response = fold(streamed(*deltas, finish="tool_calls"))
    assert [f"{call.id} {call.name} {call.arguments}" for call in response.tool_calls] == expected


def test_a_tool_call_starts_once_and_before_its_arguments_where_the_server_names_it_in_time():
    events = streamed(tool(0, None, "f"), tool(0, "a"), tool(0, arguments="1"), tool(0, "a", "f", "2"))
    assert [event for event in events if isinstance(event, (ToolCallStart, ToolCallDelta))] == [
        ToolCallStart(id="a", name="f"),
        ToolCallDelta(arguments="1"),
        ToolCallDelta(arguments="2"),
    ]
    late = streamed(tool(0, None, "f", "1"), tool(0, "a"))
    assert [event for event in late if isinstance(event, (ToolCallStart, ToolCallDelta))] == [
        ToolCallStart(id="", name="f"),
        ToolCallDelta(arguments="1"),
        ToolCallStart(id="a", name="f"),
    ]


def test_what_a_streamed_call_keeps_is_what_a_whole_one_keeps():
    signature = {"google": {"thought_signature": "s"}}
    call = {
        "id": "a",
        "type": "custom",
        "custom": {"name": "f", "input": "1+1", "x": 1, "y": 2},
        "extra_content": signature,
    }
    whole = answer({"content": None, "tool_calls": [call]}, "tool_calls")
    pieces = streamed(
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "x": 1}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "1+", "y": 2}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "1"}, "extra_content": signature}]},
        finish="tool_calls",
    )
    assert fold(pieces).message == whole.message
    assert sent(whole.message)["messages"][0]["tool_calls"] == [call]
    late = streamed({"tool_calls": [{"index": 0, "id": "a", "x": 1}]}, finish="tool_calls")
    assert fold(late).tool_calls[0].provider_data == {"openai_chat": {"x": 1}}


def test_typed_contents_of_a_stream_go_on_with_the_part_of_their_kind():
    def thought(text, **fields):
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}] if text else [], **fields}

    response = fold(streamed(
        {"content": ""}, {"content": [thought("2 ")]}, {"content": [thought("+ 2", closed=True)]},
        {"content": [thought("", closed=True), {"type": "text", "text": "4"}]}, {"content": "!"},
        {"content": [{"type": "reference", "ids": [1]}, {"type": "reference", "ids": [2]}, "x"]}, {"content": "?"},
    ))  # fmt: skip
    reference = {"type": "reference", ":absent": ["text"]}
    assert response.parts == (
        Reasoning(text="2 + 2", provider_data={"openai_chat": {":field": "content", "closed": True}}),
        Text(text="4!"),
        Text(text="", provider_data={"openai_chat": {**reference, "ids": [1]}}),
        Text(text="", provider_data={"openai_chat": {**reference, "ids": [2]}}),
        Text(text="x?"),
    )
    assert sent(response.message)["messages"][0]["content"][2] == {"type": "reference", "ids": [1]}
    alone = fold(streamed({"content": [{"type": "text", "text": "4"}]}))
    assert alone.message == answer({"content": [{"type": "text", "text": "4"}]}).message
    assert alone.message.provider_data == {"openai_chat": {":form": "list"}}


def test_fields_without_a_name_are_joined_to_what_a_whole_answer_holds():
    def thought(text=None, index=0, **fields):
        entry = {"type": "reasoning.text", "index": index, "format": None, **fields}
        return {"reasoning_details": [entry if text is None else {**entry, "text": text}]}

    token = [{"token": t} for t in "ab"]
    chunks = [
        delta(thought("one ", signature="")), delta(thought("two")), delta(thought(signature="s", format="f")),
        delta(thought("three", 1)),
        delta({"annotations": [1], "channel": "x"}), delta({"annotations": [2], "channel": "y"}),
        delta({"audio": {"id": "a", "data": "QQ=="}}), delta({"audio": {"data": "Qg==", "transcript": "h"}}),
        delta({"audio": {"transcript": "i", "expires_at": 3}}),
        {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": token[:1], "refusal": None}}]},
        {"choices": [{"index": 0, "delta": {}, "logprobs": {"content": token[1:], "refusal": None}, "native": 0}]},
        delta({}, "stop", citations=["u"], obfuscation="zz"), delta({}, citations=["u", "v"]),
    ]  # fmt: skip
    response = fold(run(sse(*chunks, b"[DONE]")))
    assert response.message.provider_data["openai_chat"] == {
        "reasoning_details": [
            {"type": "reasoning.text", "index": 0, "format": "f", "signature": "s", "text": "one two"},
            {"type": "reasoning.text", "index": 1, "format": None, "text": "three"},
        ],
        "channel": "y",
        "audio": {"id": "a"},
    }
    audio = {"id": "a", "data": base64.b64encode(b"AB").decode(), "transcript": "hi", "expires_at": 3}
    assert response.provider_data["openai_chat"] == {
        "citations": ["u", "v"],
        "choices": [
            {
                "logprobs": {"content": token, "refusal": None},
                "native": 0,
                "message": {"annotations": [1, 2], "audio": audio},
            }
        ],
    }


def test_details_of_reasoning_are_sent_back_as_whole_entries():
    """A chunk goes on with the last entry where type, index and id allow; entries of one chunk are apart."""

    def text(said, index=0, **fields):
        return {"type": "reasoning.text", "text": said, "index": index, **fields}

    secret = {"type": "reasoning.encrypted", "data": "x", "index": 0}
    summary = {"type": "reasoning.summary", "summary": "s", "index": 0}
    chunks = [
        [text("a"), text("b", id="1")],
        [text("c", signature="s", format="f")],
        [text("", signature="", format=None)],
        [text("d", id="2")],
        [secret], [secret],
        [summary], [summary],
        [7], [text("e")], [text("f", index=1)],
    ]  # fmt: skip
    response = fold(streamed(*({"reasoning_details": each} for each in chunks)))
    assert response.message.provider_data["openai_chat"]["reasoning_details"] == [
        text("a"),
        text("bc", id="1", signature="s", format="f"),
        text("d", id="2"),
        secret,
        secret,
        {**summary, "summary": "ss"},
        7,
        text("e"),
        text("f", index=1),
    ]


def test_log_probabilities_are_joined_and_null_takes_none_away():
    first, second = {"content": [1], "refusal": None}, {"content": None, "refusal": [2]}
    chunks = [{"choices": [{"delta": {}, "logprobs": each}]} for each in (first, None, second)]
    (choice,) = fold(run(sse(*chunks, b"[DONE]"))).provider_data["openai_chat"]["choices"]
    assert choice == {"logprobs": {"content": [1], "refusal": [2]}}


def test_an_error_in_a_stream_is_the_providers_with_status_200():
    body = sse({"error": {"message": "slow down", "code": "rate_limit_exceeded", "type": "tokens"}})
    with pytest.raises(RateLimitError, match=r"^slow down$") as caught:
        client.stream_parser(PLAIN).feed(body)
    assert (caught.value.status, caught.value.provider_code) == (200, "rate_limit_exceeded")
    with pytest.raises(APIStatusError, match=r"^oh no$"):
        client.stream_parser(PLAIN).feed(sse({"error": "oh no"}))
    with pytest.raises(OverloadedError):
        client.stream_parser(PLAIN).feed(sse({"error": {"code": 503, "message": "x"}, "choices": [{"delta": {}}]}))


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (b'{"error": {"message": "no", "type": "invalid_request_error"}}', BadRequestError),
        (b'{"choices": [', ResponseParseError),
    ],
)
def test_what_came_before_an_error_is_given_first_and_the_error_stays(last, error):
    body = sse(delta({"content": "a"}), delta({"content": "b"}), last, delta({"content": "c"}), b"[DONE]")
    parser = client.stream_parser(PLAIN)
    assert [event.text for event in parser.feed(body)[1:]] == ["a", "b"]
    for again in (lambda: parser.feed(b""), parser.end, lambda: parser.feed(body)):
        with pytest.raises(error):
            again()
    assert not parser.ended


@given(cuts, st.booleans())
def test_events_and_error_are_the_same_however_a_failing_stream_is_cut(sizes, unreadable):
    last = b"{" if unreadable else b'{"error": "no"}'
    body = sse(delta({"content": "a"}), delta({"content": "é"}), last, b"[DONE]")
    events, error = outcome(body, sizes)
    expected, same = outcome(body)
    assert (events, type(error), str(error)) == (expected, type(same), str(same))
    assert len(expected) == 3


def test_an_unreadable_event_is_kept_in_its_error():
    with pytest.raises(ResponseParseError) as caught:
        client.stream_parser(PLAIN).feed(b"data: " + b"x" * 5_000 + b"\n\n")
    assert caught.value.body == b"x" * 2_000


def test_an_event_above_the_limit_is_a_protocol_error():
    parser = client.stream_parser(PLAIN)
    assert parser.feed(b"data: " + b"x" * 2**23) == []
    with pytest.raises(ProtocolError):
        parser.feed(b"x" * 2**23)
    with pytest.raises(ProtocolError):
        parser.end()


@given(
    st.lists(
        values | st.fixed_dictionaries({"choices": st.lists(odd_choices, max_size=3)}, optional={"usage": values}),
        max_size=4,
    ),
    cuts,
)
def test_a_stream_of_any_shape_is_read_or_refused_and_cuts_do_not_matter(chunks, sizes):
    body = sse(*chunks, b"[DONE]")
    events, error = outcome(body, sizes)
    assert error is None or isinstance(error, APIStatusError)
    assert events == outcome(body)[0]
    assert (error is None) == (bool(events) and isinstance(events[-1], ResponseEnd))
    response = fold(events)
    for message in (response.message, *[each.message for each in response.candidates]):
        sent(message)


# Errors.


@given(st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()), st.integers(0, 999))
@example(b"\xff\xfe<title>", 502)
@example(b'{"error":' * 400 + b"1" + b"}" * 400, 500)
@example(b'[[{"error": []}]]', 400)
def test_no_reply_makes_parse_error_raise(body, status):
    info = client.parse_error(WireReply(status=status, body=body))
    assert info.kind in KINDS
    assert info.message
    assert isinstance(error_from(info), APIStatusError)


error_objects = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ["message", "type", "code", "param", "status", "error", "detail", "metadata", "innererror", "msg", "loc"],
    values | st.sampled_from([*CODES, *TYPES]),
))  # fmt: skip


@given(
    error_objects
    | st.fixed_dictionaries({"error": error_objects})
    | st.fixed_dictionaries({"detail": st.lists(error_objects)})
)
def test_no_error_object_makes_parse_error_raise(body):
    for status in (200, 400, 404, 500):
        assert client.parse_error(reply(body, status)).kind in KINDS
    assert isinstance(outcome(sse({"error": body}))[1], APIStatusError) == bool(body)


def error(message="m", **fields):
    return {"error": {"message": message, **fields}}


INNER = {"code": "ResponsibleAIPolicyViolation"}
VALIDATION = {"detail": [{"loc": ["body", "messages", 0], "msg": "too short"}, {"msg": "b"}, "c"]}
RAW = error("Provider returned error", metadata={"raw": "the context length is 5"})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        # OpenAI's object: the code decides, then the type, then the status
        (401, error(type="invalid_request_error", code="invalid_api_key"), "authentication: m"),
        (429, error(type="insufficient_quota", code="project_spend_limit_exceeded"), "quota: m"),
        (429, error(type="insufficient_quota", code="something_new"), "quota: m"),
        (429, error("quota of tokens", type="tokens", code="rate_limit_exceeded"), "rate_limit: quota of tokens"),
        (400, error(code="content_filter", status=400, innererror=INNER), "content_blocked: m"),
        (400, error(code="400", innererror=INNER), "content_blocked: m"),
        (404, error(code="DeploymentNotFound"), "model_not_found: m"),
        (400, error(code="context_length_exceeded"), "context_length: m"),
        (413, error(code="rate_limit_exceeded"), "request_too_large: m"),
        (402, error("Insufficient Balance", code="invalid_request_error"), "quota: Insufficient Balance"),
        (529, error(), "overloaded: m"),
        (498, error(), "rate_limit: m"),
        # vLLM, Mistral: flat
        (400, {"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "bad_request: m"),
        (404, {"object": "error", "message": "m", "type": "NotFoundError", "code": 404}, "model_not_found: m"),
        (400, {"object": "error", "message": "m", "type": "invalid_model", "code": "1500"}, "model_not_found: m"),
        (409, {"message": "m"}, "conflict: m"),
        (418, {"message": "m"}, "provider: m"),
        (505, {"message": "m"}, "server: m"),
        # FastAPI
        (422, VALIDATION, "bad_request: body.messages.0: too short; b; c"),
        (403, {"detail": "no"}, "permission_denied: no"),
        (500, {"detail": {"error": {"message": "m", "code": "x"}}}, "server: m"),
        (500, {"detail": {"msg": "m"}}, "server: m"),
        (422, {"detail": list("abcdefghijklm")}, "bad_request: a; b; c; d; e; f; g; h; i; j"),
        # strings: Ollama, Venice, xAI, TGI
        (404, {"error": "model 'x' not found"}, "model_not_found: model 'x' not found"),
        (404, {"error": "no such page"}, "not_found: no such page"),
        (503, {"code": "Service unavailable", "error": "at capacity"}, "overloaded: at capacity"),
        (400, {"error": "m", "error_type": "overloaded_error"}, "overloaded: m"),
        # OpenRouter
        (400, RAW, "context_length: Provider returned error: the context length is 5"),
        (400, error("x is not a valid model ID", code=400), "model_not_found: x is not a valid model ID"),
        # Google's list, Cloudflare's
        (400, [error(code=400)], "bad_request: m"),
        (400, {"errors": [{"code": 7, "message": "m"}]}, "bad_request: m"),
        # no JSON
        (408, b"upstream request timeout", "server: upstream request timeout"),
        (502, b"<html><head><TITLE> Bad gateway </TITLE></head></html>", "server: Bad gateway"),
        (502, b"x" * 5_000, "server: " + "x" * 500),
        (502, b"", "server: HTTP 502 without a message"),
        (502, b'"down"', "server: down"),
        (502, {"x": 1}, 'server: {"x": 1}'),
        # after a 200
        (200, error(code=502), "server: m"),
        (200, error(status=429), "rate_limit: m"),
        (200, error(type="server_error"), "server: m"),
        (200, error(type="server_error", code=400), "bad_request: m"),
        (200, error(), "provider: m"),
    ],
)
def test_an_error_has_this_kind_and_message(status, body, expected):
    info = client.parse_error(reply(body, status))
    assert f"{info.kind}: {info.message}" == expected
    assert info.status == status


@pytest.mark.parametrize(
    ("fields", "code", "kind"),
    [
        ({}, None, None),
        ({"code": None, "type": None}, None, None),
        ({"code": "", "type": ""}, None, None),
        ({"code": 404, "type": "t"}, "404", "t"),
        ({"code": {}, "type": []}, None, None),
        ({"code": "c" * 999, "type": "t" * 999}, "c" * 200, "t" * 200),
    ],
)
def test_code_and_type_are_kept_as_short_texts(fields, code, kind):
    info = client.parse_error(reply(error(**fields), 400))
    assert (info.code, info.type) == (code, kind)


def test_a_message_is_fit_to_show():
    shown = client.parse_error(reply(error("bad key sk-" + "a" * 20 + "\x1b[31m" + "x" * 5_000), 401)).message
    assert "sk-a" not in shown
    assert "\x1b" not in shown
    assert len(shown) == 2_000


def test_every_word_of_the_error_tables_says_its_kind():
    for word, kind in CODES.items():
        assert client.parse_error(reply({"error": {"message": "m", "code": word.upper()}}, 400)).kind == kind
        assert client.parse_error(reply({"error": {"message": "m", "type": word, "code": "new"}}, 500)).kind == kind
    for status, kind in STATUSES.items():
        assert client.parse_error(reply({}, status)).kind == kind
    for word, kind in TYPES.items():
        assert client.parse_error(reply({"error": {"message": "m", "type": word}}, 200)).kind == kind
    for phrase, kinds, made in WORDING:
        for kind in kinds:
            found = client.parse_error(reply({"error": {"message": f"The {phrase.upper()}"}}, KIND_WORDS[kind][0])).kind
            assert found == made or kind == "request_too_large"
    kinds = {*CODES.values(), *STATUSES.values(), *TYPES.values(), *(made for _, _, made in WORDING)}
    assert all(issubclass(KINDS[kind], APIStatusError) for kind in kinds | {"provider"})


def test_an_error_names_its_parameter_and_request():
    body = {"error": {"message": "m", "type": "t", "param": "messages[0]", "code": None}}
    info = client.parse_error(reply(body, 400, (("request-id", "r2"), ("retry-after", "2"))))
    assert (info.param, info.type, info.code, info.request_id, info.retry_after) == (
        "messages[0]",
        "t",
        None,
        "r2",
        2.0,
    )
    first = client.parse_error(reply(body, 400, (("request-id", "r2"), ("x-request-id", "r1"))))
    assert first.request_id == "r1"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "20000", "retry-after": "20"}, 20.0),
        ({"retry-after-ms": "150", "retry-after": "1"}, 0.15),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "0"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "1, 2"}, None),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3.0),
        ({"retry-after": ""}, None),
    ],
)
def test_the_wait_that_a_provider_asks_for_is_read_defensively(headers, seconds):
    assert retry_after(tuple(headers.items())) == seconds


def test_an_error_becomes_the_class_of_its_kind():
    for kind, cls in KINDS.items():
        error = error_from(
            ErrorInfo(kind=kind, message="m", status=400, code="c", type="t", request_id="r", retry_after=1.5)
        )
        assert type(error) is (cls if issubclass(cls, APIStatusError) else APIStatusError)
        assert (error.message, error.status, error.provider_code, error.request_id, error.retry_after) == (
            "m",
            400,
            "c",
            "r",
            1.5,
        )
        assert error.retryable is type(error).retryable
    assert type(error_from(ErrorInfo(kind="new", message="m"))) is APIStatusError
    assert error_from(ErrorInfo(kind="server", message="m", type="t")).provider_code == "t"
    assert [error_from(ErrorInfo(kind="server", message="m", status=s)).retryable for s in (500, 501, 505)] == [
        True,
        False,
        False,
    ]


@given(
    st.builds(
        ErrorInfo,
        kind=st.sampled_from(sorted(KIND_WORDS)),
        message=st.text(string.digits, min_size=1, max_size=9),
        status=st.none() | st.integers(100, 599),
        code=st.none() | st.sampled_from(sorted(CODES)) | words,
        type=st.none() | st.sampled_from(sorted(TYPES)) | words,
        param=st.none() | words,
        request_id=st.none() | words,
        retry_after=st.none() | st.floats(0, 1_000),
    )
)
def test_an_error_that_was_built_reads_back_as_the_same_kind(info):
    read = client.parse_error(server.build_error(info))
    assert (read.kind, read.message, read.param, read.request_id) == (
        info.kind,
        info.message,
        info.param,
        info.request_id,
    )
    assert (read.retry_after is None) == (info.retry_after is None)
    assert info.retry_after is None or 0 <= read.retry_after - info.retry_after <= 1
    assert server.build_error(info).status >= 400
    again = client.parse_error(server.build_error(read))
    assert replace(again, retry_after=None) == replace(read, retry_after=None)


def test_an_error_of_no_provider_is_spelled_as_the_servers():
    for kind in {*KINDS} - {*KIND_WORDS} - {"provider"}:
        assert server.build_error(ErrorInfo(kind=kind, message="m")).status == 500
    assert server.build_error(ErrorInfo(kind="provider", message="m", status=418)).status == 418


# The table of dialects.


def test_a_dialect_is_loaded_by_name_and_an_unknown_one_names_those_there_are():
    assert load_client("openai_chat") is client
    assert load_server("openai_chat") is server
    assert client.NAME == "openai_chat"
    with pytest.raises(NotBuiltError, match=r"'telepathy', which acme speaks; it speaks .*openai_chat"):
        load_client("telepathy", "acme")
    with pytest.raises(NotBuiltError, match=r"'telepathy'; it"):
        load_client("telepathy")
    with pytest.raises(NotBuiltError, match=r"serve 'telepathy'; it serves .*openai_chat"):
        load_server("telepathy")
    assert SERVERS.keys() == CLIENTS.keys()


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.5, 1.0, 257.105, 3600.0])
def test_a_wait_is_spelled_exactly_to_the_millisecond(seconds):
    """257.105 times 1,000 is 257105.00000000003: rounding it up would ask to wait a millisecond more."""
    assert retry_after(wait_headers(seconds)) == seconds
