"""Bedrock's Converse: the two halves undo each other, cuts do not matter, and every named rule holds.

A request of any shape is spelled again exactly, so this wire has no normalisation there. What an answer of another
wire loses here is named where it is: an id, the name of its model, the time when it was made.
"""

import json

from hypothesis import given, strategies as st
from msgspec.structs import replace

from halves import PLAIN, events_of, exactly, keys, outcome_of, reply, texts, values, weighty, words
from invented_bedrock import BEGUN, END, frame
from quoth import _json
from quoth.dialects.bedrock_converse import client, server
from quoth.dialects.bedrock_converse._words import DOCUMENTS, FINISH_REASONS, IMAGES, VIDEOS
from quoth.errors import (
    APIStatusError,
    ResponseParseError,
)
from quoth.events import ResponseEnd, fold
from quoth.types import (
    Audio,
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Response,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from quoth.wire import WireRequest

NAME = "bedrock_converse"
PATH = "/model/m/converse"
POINT = {"cachePoint": {"type": "default"}}


# Driving the two halves.


def build(*messages, model="m", quirks=PLAIN, **fields):
    return client.build_request(ModelRequest(model=model, messages=messages, **fields), quirks)


def sent(*messages, **fields):
    return json.loads(build(*messages, **fields).body)


def parsed(body, path=PATH):
    return server.parse_request(WireRequest(path=path, body=json.dumps(body).encode()))


def again(body, path=PATH):
    """A body that was read and built."""
    return json.loads(client.build_request(parsed(body, path), PLAIN).body)


def whole(body):
    return replace(client.parse_response(reply(body), PLAIN), body=None)


def answer(*content, stop="end_turn", **fields):
    message = {"role": "assistant", "content": list(content)}
    return whole({"output": {"message": message}, "stopReason": stop, "usage": END["usage"], **fields})


def streamed(*frames, stop="end_turn", **end):
    last = frame("messageStop", {"stopReason": stop}), frame("metadata", {"usage": END["usage"], **end})
    return events_of(client, b"".join([BEGUN, *frames, *last]))


def kept(**data):
    return {NAME: data}


# Strategies.


def data(strategy):
    return strategy.map(lambda said: {NAME: said} if said else {})


objects = st.dictionaries(keys, values, max_size=2)
arguments = objects.map(lambda value: _json.encode(value).decode())
opaques = st.sampled_from([POINT, {"guardContent": {"text": {"text": "x"}}}, {"searchResult": {"title": "x"}}]).map(
    lambda block: Text(text="", provider_data={NAME: block})
)
cited = st.builds(
    lambda text, title: Text(
        text=text, provider_data=kept(**{":form": "cited", "citationsContent": {"citations": [{"title": title}]}})
    ),
    words,
    words,
)
plain = st.builds(Text, text=words.filter(str.strip))
images = st.builds(Image, data=st.binary(max_size=9), media_type=st.sampled_from([*IMAGES])) | st.builds(
    Image, url=words.map("s3://bucket/".__add__), media_type=st.just("image/png")
)
named = kept(**{":field": "name"})
documents = st.builds(
    Document,
    data=st.binary(max_size=9),
    media_type=st.sampled_from([*DOCUMENTS]),
    filename=words,
    provider_data=st.just(named),
) | st.builds(Document, data=st.binary(max_size=9), media_type=st.sampled_from([*VIDEOS]))
audios = st.builds(Audio, data=st.binary(max_size=9), media_type=st.sampled_from(["audio/mpeg", "audio/wav"]))
signatures = words.map(lambda text: {"reasoningContent": {"reasoningText": {"signature": text}}})
thoughts = st.builds(Reasoning, text=texts, provider_data=(st.just({}) | signatures).map(lambda said: {NAME: said}))
redacted = words.map(
    lambda text: Reasoning(
        text="", provider_data=kept(reasoningContent={"redactedContent": text, ":absent": ["reasoningText"]})
    )
)
calls = st.builds(ToolCall, id=words, name=words, arguments=arguments)
server_calls = st.builds(
    lambda name, said: Text(
        text="",
        provider_data=kept(toolUse={"toolUseId": "t", "name": name, "input": said, "type": "server_tool_use"}),
    ),
    words,
    objects,
)
results = st.builds(
    ToolResult,
    call_id=words,
    parts=st.lists(
        plain | images | documents | objects.map(lambda value: Text(
            text=_json.encode(value).decode(), provider_data=kept(**{":form": "json"}))),
        max_size=2,
    ).map(tuple),
    is_error=st.booleans(),
    provider_data=data(st.just({}) | st.just({"toolResult": {"vendor": 1}})),
)  # fmt: skip


def turns(role, parts, least=0):
    made = st.lists(parts, min_size=least, max_size=3).map(tuple)
    return st.builds(Message, role=st.just(role), parts=made, provider_data=data(st.just({}) | st.just({"vendor": 1})))


@st.composite
def conversations(draw):
    """Turns that alternate, as most models demand."""
    messages = []
    if system := draw(st.lists(plain | opaques, max_size=2)):
        messages.append(Message.system(*system))
    spoken = draw(st.lists(st.tuples(turns("user", plain | opaques | images | documents | audios) | turns(
        "tool", results, 1), turns("assistant", plain | thoughts | redacted | calls)), max_size=2))  # fmt: skip
    return (*messages, *[turn for pair in spoken for turn in pair])


tools = st.builds(
    Tool,
    name=words,
    description=st.none() | words,
    parameters=objects,
    strict=st.none() | st.booleans(),
) | st.sampled_from([
    Tool(name="nova_grounding", provider_data=kept(systemTool={"name": "nova_grounding"})),
    Tool(name="cachePoint", provider_data={NAME: POINT}),
])  # fmt: skip
choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "required"])) | st.builds(
    ToolChoice, mode=st.just("tool"), name=words
)
thinking = st.sampled_from([
    ("us.anthropic.claude-x", "high"), ("anthropic.claude-x", 1024), ("anthropic.claude-x", "none"),
    ("amazon.nova-2", "low"), ("amazon.nova-2", "none"), ("openai.gpt-oss", "medium"), ("m", None),
])  # fmt: skip


@st.composite
def requests(draw):
    model, reasoning = draw(thinking)
    return ModelRequest(
        model=model,
        messages=draw(conversations()),
        stream=draw(st.booleans()),
        max_tokens=draw(st.none() | st.integers(0, 2**40)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        stop=tuple(draw(st.lists(texts, max_size=2))),
        tools=tuple(draw(st.lists(tools, max_size=2))),
        tool_choice=draw(st.none() | choices),
        output=draw(st.none() | st.builds(OutputFormat, schema=objects, name=st.none() | words)),
        reasoning=reasoning,
        extra=draw(st.dictionaries(st.sampled_from(["guardrailConfig", "requestMetadata", "vendor"]), values)),
    )


counts = st.integers(0, 10**6)


@st.composite
def usages(draw):
    """A usage object that adds up."""
    plain, output, read, short, long = (draw(counts) for _ in range(5))
    reported = {"inputTokens": plain, "outputTokens": output, "totalTokens": plain + output + read + short + long}
    reported |= {"cacheReadInputTokens": read, "cacheWriteInputTokens": short + long}
    reported["cacheDetails"] = [{"ttl": "5m", "inputTokens": short}, {"ttl": "1h", "inputTokens": long}]
    return reported


@st.composite
def responses(draw):
    kinds = plain | cited | thoughts | redacted | calls | server_calls | images | st.just(Text(text=""))
    raw = draw(st.sampled_from([*FINISH_REASONS, "malformed_tool_use"]))
    about = draw(st.fixed_dictionaries({}, optional={
        "metrics": st.just({"latencyMs": 5}), "trace": weighty, "additionalModelResponseFields": weighty}))  # fmt: skip
    said = draw(st.dictionaries(st.just("vendor"), weighty, max_size=1))
    return Response(
        message=Message(
            role="assistant",
            parts=tuple(draw(st.lists(kinds, max_size=4))),
            provider_data={NAME: said} if said else {},
        ),
        finish_reason=FINISH_REASONS.get(raw, "other"),
        finish_reason_raw=raw,
        model="",
        usage=client.parse_usage(draw(st.none() | usages())),
        service_tier=draw(st.none() | words),
        speed=draw(st.none() | words),
        provider_data={NAME: about} if about else {},
    )


cuts = st.lists(st.integers(1, 200), max_size=6)


# The halves undo each other.


@given(requests())
def test_a_request_that_was_built_reads_back_the_same(request):
    wire = client.build_request(request, PLAIN)
    assert wire.changes == ()
    assert server.parse_request(wire) == request


@given(responses())
def test_an_answer_that_was_built_reads_back_the_same(response):
    assert replace(client.parse_response(server.build_response(response), PLAIN), body=None) == response


@given(responses(), cuts, st.none() | st.integers(1, 5))
def test_a_stream_that_was_built_folds_to_the_same_answer_however_it_is_cut(response, sizes, piece):
    body = b"".join(server.build_events(response, piece=piece))
    assert fold(events_of(client, body, sizes)) == response


@given(responses(), st.integers(1, 300))
def test_a_stream_that_is_cut_short_never_ends(response, missing):
    body = b"".join(server.build_events(response))
    events = events_of(client, body[: max(len(body) - missing, 0)])
    assert not any(isinstance(event, ResponseEnd) for event in events)


sources = st.fixed_dictionaries({}, optional={
    "bytes": st.sampled_from(["AAAA", "AA==", "AB==", "-_"]) | values, "text": texts | values,
    "s3Location": values | st.fixed_dictionaries({"uri": st.sampled_from(["s3://b/k", "https://a.example"]) | values}),
})  # fmt: skip
files = st.fixed_dictionaries({}, optional={
    "format": st.sampled_from(["png", "pdf", "mp4", "mp3", "video/mp4"]) | values, "source": sources | values,
    "name": st.sampled_from(["a", "a.pdf"]) | values, "citations": values,
})  # fmt: skip
uses = st.fixed_dictionaries({}, optional={
    "toolUseId": texts | values, "name": texts | values, "input": objects | values,
    "type": st.just("server_tool_use") | values,
})  # fmt: skip
inner_blocks = st.fixed_dictionaries({}, optional={
    "text": texts | values, "json": values, "image": files | values, "document": files | values, "vendor": values,
})  # fmt: skip
result_objects = st.fixed_dictionaries({}, optional={
    "toolUseId": texts | values, "content": st.lists(inner_blocks, max_size=2) | values,
    "status": st.sampled_from(["success", "error"]) | values, "type": values,
})  # fmt: skip
blocks = st.fixed_dictionaries({}, optional={
    "text": texts | values, "toolUse": uses | values, "toolResult": result_objects | values,
    **dict.fromkeys(["image", "document", "video", "audio"], files | values),
    "reasoningContent": values | st.fixed_dictionaries({}, optional={
        "reasoningText": values | st.dictionaries(st.sampled_from(["text", "signature"]), texts | values),
        "redactedContent": values}),
    "citationsContent": values | st.fixed_dictionaries({}, optional={
        "content": values | st.lists(st.dictionaries(st.just("text"), texts | values), max_size=2),
        "citations": values}),
    "cachePoint": values, "vendor": values,
}) | inner_blocks  # fmt: skip
wire_turns = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["user", "assistant", "system", "poet"]) | values,
    "content": st.lists(blocks, max_size=3) | st.lists(st.fixed_dictionaries({"toolResult": result_objects}))
    | values,
    "vendor": values,
})  # fmt: skip


@given(st.lists(wire_turns, max_size=3))
def test_messages_of_any_shape_are_spelled_again_as_they_were(spelled):
    assert exactly(again({"messages": spelled})) == exactly({"messages": spelled})


specs = st.fixed_dictionaries({}, optional={
    "toolSpec": values | st.fixed_dictionaries({}, optional={
        "name": texts | values, "description": values, "strict": values,
        "inputSchema": values | st.fixed_dictionaries({"json": objects | values})}),
    "systemTool": values | st.fixed_dictionaries({"name": texts | values}), "cachePoint": values, "vendor": values,
})  # fmt: skip
formats = st.fixed_dictionaries({}, optional={
    "type": values | st.just("json_schema"),
    "structure": values | st.fixed_dictionaries({"jsonSchema": values | st.fixed_dictionaries({}, optional={
        "schema": st.sampled_from(['{"type": "object"}', '{"type":"object"}', "[]", "{"]) | values,
        "name": texts | values, "description": values})}),
})  # fmt: skip
additional = st.fixed_dictionaries({}, optional={
    "thinking": values | st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["enabled", "disabled", "adaptive"]) | values,
        "budget_tokens": st.integers(-1, 2000) | values}),
    "output_config": values | st.fixed_dictionaries({"effort": st.sampled_from(["low", "none", ""]) | values}),
    "reasoningConfig": values | st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["enabled", "disabled"]) | values, "maxReasoningEffort": st.just("low") | values}),
    "reasoning_effort": st.sampled_from(["low", "none", ""]) | values, "vendor": values,
})  # fmt: skip
MODELS = ["/model/anthropic.claude-x/converse", "/model/amazon.nova-2/converse", "/model/openai.gpt/converse", PATH]


@given(st.sampled_from(MODELS), st.fixed_dictionaries({"messages": st.just([])}, optional={
    "system": values | st.lists(blocks, max_size=2),
    "inferenceConfig": values | st.dictionaries(
        st.sampled_from(["maxTokens", "temperature", "topP", "stopSequences", "vendor"]),
        st.integers(0, 9) | st.lists(texts, max_size=2) | values),
    "toolConfig": values | st.fixed_dictionaries({}, optional={
        "tools": values | st.lists(specs | values, max_size=2),
        "toolChoice": values | st.dictionaries(st.sampled_from(["auto", "any", "tool", "none"]),
            values | st.fixed_dictionaries({"name": texts | values}), max_size=2)}),
    "outputConfig": values | st.fixed_dictionaries({"textFormat": formats | values}),
    "additionalModelRequestFields": additional | values,
    "guardrailConfig": values, "vendor": values,
}))  # fmt: skip
def test_a_body_of_any_shape_is_spelled_again_as_it_was(path, body):
    assert exactly(again(body, path)) == exactly(body)


odd_answers = st.fixed_dictionaries({}, optional={
    "output": values | st.fixed_dictionaries({"message": values | wire_turns}),
    "stopReason": st.sampled_from(["end_turn", "odd"]) | values,
    "usage": values | st.dictionaries(st.sampled_from(["inputTokens", "totalTokens", "cacheDetails"]), values),
    "serviceTier": values | st.dictionaries(st.just("type"), values), "message": values, "metrics": values,
})  # fmt: skip


@given(odd_answers)
def test_an_answer_of_any_shape_is_read_or_refused(body):
    try:
        response = whole(body)
    except (ResponseParseError, APIStatusError):
        return
    back = replace(client.parse_response(server.build_response(response), PLAIN), body=None)
    assert (back.text, back.tool_calls) == (response.text, response.tool_calls)
    assert dict(back.usage.buckets()) == dict(response.usage.buckets())
    if response.usage.reported:  # what was no object, or held nothing but null, is lost
        assert back.usage.source == response.usage.source


odd_events = st.tuples(
    st.sampled_from(["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop",
                     "metadata", "ping"]),
    values | st.fixed_dictionaries({}, optional={
        "contentBlockIndex": st.integers(0, 2) | values, "start": blocks | values, "stopReason": texts | values,
        "delta": values | st.fixed_dictionaries({}, optional={
            "text": texts | values, "citation": values, "toolUse": values | st.dictionaries(st.just("input"), texts),
            "reasoningContent": values | st.dictionaries(
                st.sampled_from(["text", "signature", "redactedContent"]), texts | values),
            "toolResult": values | st.lists(st.dictionaries(st.just("text"), texts), max_size=2),
            "image": values, "vendor": values}),
        "usage": values, "p": texts}),
)  # fmt: skip


@given(st.lists(odd_events, max_size=5), cuts)
def test_events_of_any_shape_are_read_or_refused_and_cuts_change_nothing(events, sizes):
    body = b"".join([frame(*event) for event in events])
    found, error = outcome_of(client, body, sizes)
    expected, refused = outcome_of(client, body)
    assert (found, type(error)) == (expected, type(refused))
    fold(found)
