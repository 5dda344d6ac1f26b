"""OpenAI Responses: the two halves undo each other, cuts do not matter, and every named rule holds.

What the wire cannot tell apart is named once, in ``said`` and in the strategies: these are all the
normalisations there are.
"""

import base64
import json
import math

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from halves import PLAIN, events_of, exactly, outcome_of, reply, scalars, stripped, texts, values, words
from quoth.dialects import load_client
from quoth.dialects.openai_responses import client, server
from quoth.dialects.openai_responses._words import REASONS
from quoth.dialects.server import load_server
from quoth.errors import (
    APIStatusError,
    BadRequestError,
    ContentBlockedError,
    InputError,
    InternalServerError,
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
from quoth.wire import Quirks, WireReply, WireRequest

NAME = "openai_responses"


# Driving the two halves.


def spelled(request, quirks=PLAIN):
    return json.loads(client.build_request(request, quirks).body)


def sent(*messages, quirks=PLAIN, **fields):
    return spelled(ModelRequest(model="m", messages=messages, **fields), quirks)


def items_of(*messages):
    return sent(*messages).get("input", [])


def parsed(body):
    return server.parse_request(WireRequest(path="/responses", body=json.dumps(body).encode()))


def asked(*items, **fields):
    return parsed({"model": "m", "input": [*items], **fields})


def whole(body):
    return client.parse_response(reply(body), PLAIN)


def answer(*items, status="completed", **fields):
    return {"id": "resp_1", "object": "response", "model": "m", "status": status, "output": [*items], **fields}


def sse(*events):
    return b"".join(
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events
    )


def streamed(*events, end=None):
    """The events of a stream of these ones, begun and ended as every one is."""
    begin = {"type": "response.created", "response": answer(status="in_progress")}
    return run(sse(begin, *events, {"type": "response.completed", "response": answer(**(end or {}))}))


def outcome(body, sizes=()):
    return outcome_of(client, body, sizes)


def run(body, sizes=()):
    return events_of(client, body, sizes)


NAMED = {"input", "instructions", "max_output_tokens", "stream", "temperature", "tool_choice", "tools", "top_p"}


def said(body):
    """What a request body says. These are the normalisations of a request:

    null for a field that has a name of ours, ``"stream": false`` and an empty list of tools or of input say nothing.
    """
    named = {*NAMED, "reasoning", "text"}
    meaning = {key: value for key, value in body.items() if key not in named or value is not None}
    silent = {"stream": False, "tools": [], "input": []}
    return {key: value for key, value in meaning.items() if key not in silent or exactly(value) != exactly(silent[key])}


# Strategies.

blobs = st.binary(max_size=12)
vendor = st.sampled_from(["prompt_cache_breakpoint", "vendor", "x"])
extras = st.dictionaries(vendor, values, max_size=2)


def data(kept):
    return kept.map(lambda fields: {NAME: fields} if fields else {})


# Items as servers and clients write them.

annotations = st.lists(st.fixed_dictionaries({"type": st.just("url_citation"), "url": words}), max_size=2)
logprobs = st.lists(st.fixed_dictionaries({"token": words, "logprob": st.floats(-9, 0)}), max_size=2)
output_texts = st.fixed_dictionaries(
    {"type": st.just("output_text"), "text": texts}, optional={"annotations": annotations, "logprobs": logprobs}
)
output_refusals = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": words})
output_others = st.fixed_dictionaries({"type": st.just("output_audio"), "data": words})
ids = words.map("id_".__add__)
statuses = st.sampled_from(["completed", "incomplete"])
output_messages = st.fixed_dictionaries(
    {
        "type": st.just("message"),
        "id": ids,
        "role": st.just("assistant"),
        "content": st.lists(output_texts | output_refusals | output_others, max_size=3),
    },
    optional={"status": statuses, "phase": st.sampled_from(["commentary", "final_answer"]), "x": values},
)


def entries(kind):
    return st.lists(st.fixed_dictionaries({"type": st.just(kind), "text": texts}), max_size=2)


reasoning_items = st.fixed_dictionaries(
    {"type": st.just("reasoning"), "id": ids, "summary": entries("summary_text")},
    optional={"encrypted_content": words | st.none(), "status": statuses | st.none(), "x": values},
) | st.fixed_dictionaries(
    {"type": st.just("reasoning"), "id": ids, "summary": st.just([]), "content": entries("reasoning_text")}
)
call_items = st.fixed_dictionaries(
    {"type": st.just("function_call"), "call_id": words, "name": words, "arguments": texts, "status": statuses},
    optional={"id": ids, "namespace": texts, "x": values},  # one of no more than our types know is filled in
) | st.fixed_dictionaries(
    {"type": st.just("custom_tool_call"), "id": ids, "call_id": words, "name": words, "input": texts}
)
searches = st.fixed_dictionaries(
    {"type": st.just("web_search_call"), "id": ids},
    optional={
        "status": st.sampled_from(["completed", "failed"]),
        "action": st.fixed_dictionaries({"type": st.sampled_from(["search", "open_page"]), "query": texts}),
    },
)
other_items = st.fixed_dictionaries({"type": st.sampled_from(["mcp_call", "compaction", "y"])}, optional={"x": values})
output_items = output_messages | reasoning_items | call_items | searches | other_items
outputs = st.lists(output_items, max_size=4, unique_by=lambda item: item.get("id", item.get("call_id", id(item))))

counts = st.integers(0, 10**6)


@st.composite
def usages(draw):
    """A usage object that adds up, and the totals that it stands for."""
    plain_in, cached, short, long = (draw(counts) for _ in range(4))
    plain_out, thought = draw(counts), draw(counts)
    read, written = plain_in + cached + short + long, plain_out + thought
    outside = draw(st.booleans())  # reasoning outside of the output
    reported = {
        "input_tokens": read,
        "output_tokens": written - (thought if outside else 0),
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": short + long},
        "output_tokens_details": {"reasoning_tokens": thought},
    }
    if long or draw(st.booleans()):
        lifetimes = {"ttl_30m_tokens": short, "ttl_12h_tokens": long}
        reported["input_tokens_details"]["cache_write_tokens_details"] = lifetimes
    if outside or draw(st.booleans()):
        reported["total_tokens"] = read + written
    return reported, read, written


@st.composite
def answers(draw):
    """The body of an answer, as a server of this wire writes it."""
    body = answer(*draw(outputs), created_at=draw(counts))
    status = draw(st.sampled_from(["completed", "incomplete", "queued", "in_progress", "cancelled"]))
    body["status"] = status
    if status == "incomplete":
        reason = draw(st.sampled_from([*REASONS, "steered"]) | words)
        body["incomplete_details"] = {"reason": reason} if draw(st.booleans()) else None
    body |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "usage": usages().map(lambda usage: usage[0]),
                "service_tier": words,
                "temperature": st.floats(0, 2),
                "tools": st.just([{"type": "function"}]),
                "tool_choice": st.sampled_from(["auto", "required"]),
                "parallel_tool_calls": st.booleans(),
                "store": st.booleans(),
                "metadata": st.just({"a": "b"}),
                "reasoning": st.just({"effort": "low"}) | words,
                "vendor": values,
            },
        )
    )
    return body


cuts = st.lists(st.integers(1, 60), max_size=6)


# The halves undo each other.


@given(answers())
def test_an_answer_that_was_built_reads_back_the_same(body):
    response = stripped(whole(body))
    assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response


@given(answers(), cuts, st.none() | st.integers(1, 5))
def test_a_stream_that_was_built_folds_to_the_same_answer_however_it_is_cut(body, sizes, piece):
    response = stripped(whole(body))
    assert fold(run(b"".join(server.build_events(response, piece=piece)), sizes)) == response


@given(answers(), st.integers(0, 400))
def test_a_stream_that_is_cut_short_never_ends(body, missing):
    """However much of the tail is gone: what came before it gives no ResponseEnd and no error."""
    *events, last = server.build_events(stripped(whole(body)))
    events.append(last[: last.rindex(b"}")])
    cut = b"".join(events)
    assert not any(isinstance(event, ResponseEnd) for event in run(cut[: max(len(cut) - missing, 0)]))


@given(answers(), st.data())
def test_a_server_may_leave_out_most_events_that_are_no_deltas(body, choose):
    """What the last event alone says is told at the end, in its place; only entries of a content must begin."""
    response = stripped(whole(body))
    *events, last = server.build_events(response, piece=3)
    needed = (b"event: response.content_part.added\n", b".delta\n")
    kept = [event for event in events if any(word in event for word in needed) or choose.draw(st.booleans())]
    assert fold(run(b"".join([*kept, last]))) == response


@given(outputs, outputs)
def test_an_answer_in_a_conversation_is_spelled_as_the_very_items_that_came(first, second):
    user, tool = {"role": "user", "content": "go on"}, {"type": "function_call_output", "call_id": "c", "output": "4"}
    messages = (Message.user("go on"), whole(answer(*first)).message, Message.tool("c", "4"))
    wire = client.build_request(ModelRequest(model="m", messages=(*messages, whole(answer(*second)).message)), PLAIN)
    assert wire.changes == ()
    kind = next((item["type"] for item in first[::-1] if item.get("call_id") == "c"), "")
    if kind == "custom_tool_call":
        tool["type"] = "custom_tool_call_output"
    assert exactly(json.loads(wire.body)["input"]) == exactly([user, *first, tool, *second])


@given(answers())
def test_a_conversation_with_an_answer_reads_back_the_same(body):
    message = whole(body).message
    request = ModelRequest(model="m", messages=(Message.user("a"), message, Message.user("b")))
    again = server.parse_request(client.build_request(request, PLAIN))
    assert exactly(spelled(again)) == exactly(spelled(request))


# Requests made by hand.

plain_texts = st.builds(Text, text=words)
kept_texts = st.builds(Text, text=texts, provider_data=data(extras)).filter(
    lambda text: text.text or text.provider_data
)
images = st.builds(
    Image, url=words.map("https://a.example/".__add__), detail=st.none() | words, provider_data=data(extras)
) | st.builds(Image, data=blobs, media_type=st.sampled_from(["image/png", "image/jpeg"]), detail=st.none() | words)
audios = st.builds(
    Audio, data=blobs, media_type=st.sampled_from(["audio/wav", "audio/mpeg", "audio/ogg"]), provider_data=data(extras)
)
documents = (
    st.builds(Document, data=blobs, media_type=st.just("application/pdf"), filename=texts, provider_data=data(extras))
    | st.builds(Document, file_id=texts, filename=st.none() | texts)
    | st.builds(Document, url=words, filename=st.none() | texts)
)
calls = st.builds(ToolCall, id=words, name=texts, arguments=texts | st.just("{oops"), provider_data=data(extras))
refusals = st.builds(Refusal, text=words)


def is_plain(parts):
    return len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].provider_data


def form_of(draw, parts):
    return {":form": "list"} if is_plain(parts) and draw(st.booleans()) else {}


@st.composite
def conversations(draw):
    """Messages of which no two in a row are the assistant's: the wire has no border between them."""
    made = []
    for _ in range(draw(st.integers(0, 4))):
        roles = ["system", "user", "tool"] + ["assistant"] * (not made or made[-1].role != "assistant")
        role = draw(st.sampled_from(roles))
        if role == "tool":
            parts = tuple(draw(st.lists(plain_texts | kept_texts | images | documents, min_size=1, max_size=3)))
            form = form_of(draw, parts)
            result = ToolResult(call_id=draw(words), parts=parts, provider_data={NAME: form} if form else {})
            made.append(Message(role="tool", parts=(result,)))
        elif role == "assistant":
            content = draw(st.lists(plain_texts | refusals, max_size=2))
            parts = (*content, *draw(st.lists(calls, min_size=not content, max_size=2)))
            made.append(Message(role="assistant", parts=parts))
        else:
            parts = tuple(draw(st.lists(plain_texts | kept_texts | images | audios | documents, max_size=3)))
            kept = draw(extras) | form_of(draw, parts)
            if role == "system" and draw(st.booleans()):
                kept["role"] = "developer"
            made.append(Message(role=role, parts=parts, provider_data={NAME: kept} if kept else {}))
    return tuple(made)


tools = st.builds(
    Tool,
    name=texts,
    description=st.none() | texts,
    parameters=st.dictionaries(texts, values, max_size=2),  # the wire demands one
    strict=st.none() | st.just(True),  # off is what it is where nothing is said
    provider_data=data(extras),
)
choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])) | st.builds(
    ToolChoice, mode=st.just("tool"), name=texts
)
formats = st.builds(OutputFormat) | st.builds(
    OutputFormat,
    schema=st.dictionaries(texts, values, max_size=2),
    name=st.none() | words,
    description=st.none() | texts,
    strict=st.none() | st.booleans(),
    provider_data=data(extras),
)
requests = st.builds(
    ModelRequest,
    model=words,
    messages=conversations(),
    stream=st.booleans(),
    max_tokens=st.none() | st.integers(0, 2**40),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=st.none() | choices,
    output=st.none() | formats,
    reasoning=st.none() | words,
    extra=st.dictionaries(
        st.sampled_from(["previous_response_id", "conversation", "background", "store", "seed", "stop", "vendor_x"]),
        values,
        max_size=2,
    )
    | st.just({"text": {"verbosity": "low"}, "reasoning": {"summary": "auto"}}),
)


@given(requests)
def test_a_request_that_was_built_reads_back_the_same(request):
    assert server.parse_request(client.build_request(request, PLAIN)) == request


# Requests of any shape.

TYPES = [
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    "web_search_call", "item_reference",
]  # fmt: skip
odd_entries = st.fixed_dictionaries({}, optional={
    "type": st.sampled_from(["input_text", "output_text", "text", "refusal", "input_image", "input_audio", "input_file",
                             "summary_text", "reasoning_text", "video"]) | values,
    "text": texts | values,
    "refusal": texts | values,
    "annotations": values,
    "image_url": texts | values | st.sampled_from(["data:image/png;base64,AAAA", "data:image/png;base64,A", "data:,x"]),
    "detail": texts | values,
    "file_id": texts | values,
    "file_url": texts | values,
    "filename": texts | values,
    "file_data": values | st.sampled_from(["data:application/pdf;base64,AAAA", "AAAA"]),
    "input_audio": values | st.fixed_dictionaries({}, optional={
        "data": st.sampled_from(["AAAA", "AA=="]) | values,
        "format": st.sampled_from(["wav", "mp3", "x-wav"]) | values,
    }),
    "x": values,
})  # fmt: skip
odd_contents = texts | st.lists(odd_entries | values, max_size=3) | values
odd_items = st.fixed_dictionaries({}, optional={
    "type": st.sampled_from(TYPES) | values,
    "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "poet"]) | values,
    "content": odd_contents,
    "summary": odd_contents,
    "output": odd_contents,
    "id": st.sampled_from(["i", "j"]) | values,
    "call_id": st.sampled_from(["c", "d"]) | values,
    "name": texts | values,
    "arguments": texts | values,
    "input": texts | values,
    "status": texts | values,
    "action": values,
    "encrypted_content": texts | values,
    "x": values,
})  # fmt: skip


@given(st.lists(odd_items, min_size=1, max_size=4))
def test_items_of_any_shape_are_spelled_again_as_they_were(items):
    assert exactly(items_of(*asked(*items).messages)) == exactly(items)


CHOSEN = {"type": "function", "name": "f"}
SCHEMA = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}


@given(
    st.fixed_dictionaries(
        {"model": words},
        optional={
            "input": texts | st.lists(odd_items, max_size=2),
            "instructions": texts | values,
            "max_output_tokens": st.integers(0, 9) | values,
            **dict.fromkeys(["temperature", "top_p", "stop", "seed", "vendor_x"], scalars | values),
            "stream": st.booleans() | st.none(),
            "tool_choice": st.sampled_from(["auto", CHOSEN, {**CHOSEN, "x": 1}, {"type": "mcp"}]) | values,
            "tools": values
            | st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "type": st.sampled_from(["function", "custom", "web_search"]) | values,
                        **dict.fromkeys(["name", "description", "parameters", "strict", "x"], values),
                    },
                ),
                max_size=2,
            ),
            "text": values
            | st.fixed_dictionaries(
                {},
                optional={
                    "verbosity": values,
                    "format": values
                    | st.sampled_from([SCHEMA, {**SCHEMA, "x": 1}, {**SCHEMA, "strict": "no"}, {"type": "json_object"}])
                    | st.fixed_dictionaries(
                        {"type": st.sampled_from(["text", "json_schema", "json_object"])},
                        optional=dict.fromkeys(["name", "schema", "description", "strict"], values),
                    ),
                },
            ),
            "reasoning": values
            | st.fixed_dictionaries({}, optional={"effort": texts | values, "summary": texts | values}),
        },
    )
)
def test_a_body_of_any_shape_is_spelled_again_as_it_was(body):
    assert exactly(said(spelled(parsed(body)))) == exactly(said(body))


# Requests: what is renamed, added, refused.


def test_a_request_goes_to_its_path_as_json_and_asks_for_what_it_reads():
    wire = client.build_request(ModelRequest(model="m", messages=(Message.user("hi"),)), PLAIN)
    assert (wire.method, wire.path, wire.query, wire.changes) == ("POST", "/responses", (), ())
    assert wire.headers == (("content-type", "application/json"), ("accept", "application/json"))
    asked_for = client.build_request(ModelRequest(model="m", messages=(), stream=True), PLAIN)
    assert asked_for.headers == (("content-type", "application/json"), ("accept", "text/event-stream"))
    assert json.loads(asked_for.body) == {"model": "m", "stream": True}
    assert json.loads(wire.body) == {"model": "m", "input": [{"role": "user", "content": "hi"}]}


def test_the_cap_is_renamed_and_said():
    wire = client.build_request(ModelRequest(model="m", messages=(), max_tokens=5), PLAIN)
    assert json.loads(wire.body) == {"model": "m", "max_output_tokens": 5}
    assert wire.changes == ("max_tokens sent as max_output_tokens",)


@pytest.mark.parametrize(
    ("asked_for", "says"),
    [
        ({"stop": ("END",)}, "no stop sequences"),
        ({"seed": 0}, "no seed"),
    ],
)
def test_what_the_wire_has_no_word_for_is_refused_before_it_is_sent(asked_for, says):
    with pytest.raises(UnsupportedParameterError, match=says):
        sent(**asked_for)


def test_a_number_of_tokens_for_reasoning_is_sent_as_a_word_and_that_is_said():
    wire = client.build_request(ModelRequest(model="m", messages=(), reasoning=1024), PLAIN)
    assert json.loads(wire.body) == {"model": "m", "reasoning": {"effort": "low"}}
    assert wire.changes == ("reasoning=1024 sent as 'low': this wire takes no number of tokens",)


def test_what_is_refused_by_name_can_be_sent_in_extra():
    assert sent(extra={"stop": ["END"], "seed": 1}) == {"model": "m", "stop": ["END"], "seed": 1}


def test_a_server_that_only_streams_is_asked_for_a_stream():
    wire = client.build_request(ModelRequest(model="m", messages=()), Quirks(stream_only=True))
    assert json.loads(wire.body)["stream"] is True
    assert wire.changes == ("sent as a stream: the server answers in streams only",)


def test_extra_stands_in_place_of_our_fields_but_does_not_turn_an_answer_into_a_stream():
    assert sent(temperature=0, extra={"temperature": 1, "store": False}) == {
        "model": "m",
        "temperature": 1,
        "store": False,
    }
    with pytest.raises(UnsupportedParameterError, match=r"models\.stream"):
        sent(extra={"stream": True})
    assert sent(stream=True, extra={"stream": False})["stream"] is True


def test_objects_in_extra_go_beside_our_own():
    body = sent(
        reasoning="low",
        output=OutputFormat(),
        extra={"reasoning": {"summary": "auto"}, "text": {"verbosity": "low"}, "metadata": {"a": "b"}},
    )
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert sent(reasoning="low", extra={"reasoning": {"effort": "high"}})["reasoning"] == {"effort": "high"}
    assert sent(reasoning="low", extra={"reasoning": None})["reasoning"] is None


@pytest.mark.parametrize("given_tools", [{"tools": (Tool(name="f"),)}, {"extra": {"tools": [{"type": "web_search"}]}}])
def test_tools_are_refused_where_the_server_would_ignore_them(given_tools):
    row = Quirks(tools=False, tools_hint="Use another model.")
    with pytest.raises(UnsupportedParameterError, match=r"^this server ignores tools silently\. Use another model\.$"):
        sent(quirks=row, **given_tools)
    assert sent(**given_tools)["tools"]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Message.user(Image(data=b"x")), r"Image data needs its media_type.*image/png"),
        (Message.user(Document(data=b"x")), r"Document data needs its media_type.*application/pdf"),
        (Message.user(Image()), r"neither data nor a url"),
        (Message.user(Document()), r"neither data nor a url nor a file_id"),
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
    assert json.loads(wire.body)["input"] == [{"type": "message", "role": "assistant", "content": "4"}] * 2
    assert wire.changes == ("reasoning that came over another wire left out: this one takes back only its own",)
    assert server.build_response(Response(message=message, finish_reason="stop", model="m")).body.count(b'"hm"') == 1


def test_a_part_that_only_another_wire_can_carry_is_left_out_and_said():
    search = Text(text="", provider_data={"anthropic_messages": {"type": "server_tool_use"}})
    wire = client.build_request(ModelRequest(model="m", messages=(Message.assistant(search, "4"),)), PLAIN)
    assert json.loads(wire.body)["input"] == [{"type": "message", "role": "assistant", "content": "4"}]
    assert wire.changes == ("a part that only another wire can carry left out",)


def test_a_message_of_nothing_but_what_is_left_out_is_no_item():
    thought = Message.assistant(Reasoning(text="hm"))
    assert items_of(Message.user("a"), thought, Message.user("b")) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_a_failed_tool_result_and_a_name_are_left_out_and_said():
    ann = Message(role="user", parts=(Text(text="hi"),), name="ann")
    request = ModelRequest(model="m", messages=(ann, Message.tool("c", "no", is_error=True)))
    wire = client.build_request(request, PLAIN)
    assert json.loads(wire.body)["input"] == [
        {"role": "user", "content": "hi"},
        {"type": "function_call_output", "call_id": "c", "output": "no"},
    ]
    assert wire.changes == (
        "name of a message left out: this wire has no field for it",
        "is_error of a tool result left out: this wire has no field for it",
    )


def test_parts_stay_in_their_order_whatever_items_they_are():
    result, call = ToolResult(call_id="a", parts=(Text(text="1"),)), ToolCall(id="b", name="f", arguments="{}")
    mixed = Message(role="user", parts=(Text(text="x"), result, Text(text="y"), Text(text="z"), call))
    assert items_of(mixed) == [
        {"role": "user", "content": "x"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"role": "user", "content": [{"type": "input_text", "text": "y"}, {"type": "input_text", "text": "z"}]},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
    ]


def test_the_result_of_a_custom_tool_is_called_after_its_call():
    message = whole(answer({"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"})).message
    assert items_of(message, Message.tool(message.parts[0], "a.txt"))[1] == {
        "type": "custom_tool_call_output", "call_id": "c", "output": "a.txt",
    }  # fmt: skip


def test_what_a_user_writes_into_provider_data_is_put_over_what_we_build():
    cached = Text(text="long", provider_data={NAME: {"prompt_cache_breakpoint": {"mode": "explicit"}}})
    reference = Text(text="", provider_data={NAME: {":field": "item", "type": "item_reference", "id": "msg_1"}})
    assert items_of(Message.user(cached), Message.assistant(reference)) == [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}],
        },
        {"type": "item_reference", "id": "msg_1"},
    ]


def test_a_tool_without_parameters_takes_an_empty_object():
    """OpenAI refuses null there, and its schema demands the field."""
    assert sent(tools=(Tool(name="f"),))["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
    ]


def test_a_tool_is_strict_only_where_that_was_asked_for():
    """OpenAI makes it strict, and what is optional required, where nothing is said."""
    spoken = [sent(tools=(Tool(name="f", strict=strict),))["tools"][0]["strict"] for strict in (None, False, True)]
    assert spoken == [False, False, True]
    silent = {"type": "function", "name": "f", "parameters": {}}
    assert spelled(asked(tools=[silent, {**silent, "strict": False}]))["tools"] == [silent, {**silent, "strict": False}]


def test_a_chosen_tool_is_named_as_its_type_is():
    custom = Tool(name="sh", provider_data={NAME: {"type": "custom"}})
    hosted = Tool(name="search", provider_data={NAME: {"type": "web_search"}})
    for tool, chosen in (
        (Tool(name="f"), {"type": "function", "name": "f"}),
        (custom, {"type": "custom", "name": "sh"}),
        (hosted, {"type": "web_search"}),
    ):
        assert sent(tools=(tool,), tool_choice=ToolChoice(mode="tool", name=tool.name))["tool_choice"] == chosen


def test_a_file_without_a_name_gets_one_that_says_what_it_is():
    """OpenAI refuses bytes without one, and tells their type by its ending."""
    made = {"application/pdf": "document.pdf", "text/plain": "document.txt", "text/csv": "document.csv"}
    for media_type, name in made.items():
        (item,) = items_of(Message.user(Document(data=b"x", media_type=media_type)))
        assert item["content"][0]["filename"] == name


def test_an_output_format_has_a_name():
    assert sent(output=OutputFormat(schema={"type": "object"}))["text"] == {
        "format": {"type": "json_schema", "name": "output", "schema": {"type": "object"}}
    }


def test_what_has_no_place_without_a_schema_is_left_out_and_said():
    form = OutputFormat(name="n", strict=True)
    wire = client.build_request(ModelRequest(model="m", messages=(), output=form), PLAIN)
    assert json.loads(wire.body)["text"] == {"format": {"type": "json_object"}}
    assert wire.changes == tuple(
        f"{field} of the output's form left out: it has no place without a schema" for field in ("name", "strict")
    )


def test_a_stored_prompt_is_asked_without_model_and_input():
    body = {"prompt": {"id": "pmpt_1"}}
    assert spelled(parsed(body)) == body


# Messages: wire and value, side by side.

PNG = base64.b64encode(b"png").decode()
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ([USER], [Message.user("hi")]),
        (
            [{"role": "user", "content": [{"type": "input_text", "text": "hi"}], "type": "message"}],
            [
                Message(
                    role="user", parts=(Text(text="hi"),), provider_data={NAME: {":form": "list", "type": "message"}}
                )
            ],
        ),
        (
            [{"role": "developer", "content": "be brief"}],
            [Message(role="system", parts=(Text(text="be brief"),), provider_data={NAME: {"role": "developer"}})],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
                        {"type": "input_image", "image_url": "https://a.example/x.png"},
                        {"type": "input_image", "file_id": "file-1"},
                        {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
                        {"type": "input_file", "file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"},
                        {"type": "input_file", "file_id": "file-1"},
                        {"type": "input_file", "file_url": "https://a.example/x.pdf"},
                    ],
                }
            ],
            [
                Message.user(
                    Image(data=b"png", media_type="image/png", detail="low"),
                    Image(url="https://a.example/x.png"),
                    Image(provider_data={NAME: {"file_id": "file-1"}}),
                    Audio(data=b"png", media_type="audio/mpeg"),
                    Document(data=b"png", media_type="application/pdf", filename="a.pdf"),
                    Document(file_id="file-1"),
                    Document(url="https://a.example/x.pdf"),
                )
            ],
        ),
        (
            [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
                {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{not json"},
                {"type": "function_call_output", "call_id": "c", "output": "4"},
            ],
            [
                Message.assistant(
                    Reasoning(text="", provider_data={NAME: {"id": "rs_1", "encrypted_content": "gAAA"}}),
                    ToolCall(id="c", name="f", arguments="{not json", provider_data={NAME: {"id": "fc_1"}}),
                ),
                Message.tool("c", "4"),
            ],
        ),
        (
            [{"type": "message", "role": "assistant", "content": text} for text in ("a", "b")],
            [Message.assistant("a", Text(text="b", provider_data={NAME: {":item": {}}}))],
        ),
        (
            [{"type": "item_reference", "id": "msg_1"}],
            [
                Message.assistant(
                    Text(text="", provider_data={NAME: {"type": "item_reference", "id": "msg_1", ":field": "item"}})
                )
            ],
        ),
        ([{"type": "message", "role": "assistant", "content": ""}], [Message.assistant("")]),
    ],
)
def test_items_have_these_values(items, messages):
    assert asked(*items).messages == tuple(messages)
    assert items_of(*messages) == items


def test_instructions_and_an_input_of_one_text_stay_what_they_are():
    body = {"model": "m", "instructions": "be brief", "input": "hi"}
    request = parsed(body)
    assert [(message.role, message.text) for message in request.messages] == [("system", "be brief"), ("user", "hi")]
    assert spelled(request) == body
    longer = replace(request, messages=(*request.messages, Message.assistant("hello"), Message.user("bye")))
    assert spelled(longer) == {
        "model": "m",
        "instructions": "be brief",
        "input": [
            USER,
            {"type": "message", "role": "assistant", "content": "hello"},
            {"role": "user", "content": "bye"},
        ],
    }
    later = replace(request, messages=(Message.user("first"), *request.messages))
    assert [item["role"] for item in spelled(later)["input"]] == ["user", "system", "user"]


def test_hosted_tools_are_kept_under_the_name_of_their_type():
    hosted = {"type": "web_search", "search_context_size": "low"}
    request = asked(tools=[hosted, {"type": "function", "name": "f", "parameters": {}, "strict": True}])
    assert [tool.name for tool in request.tools] == ["web_search", "f"]
    assert request.tools[1] == Tool(name="f", parameters={}, strict=True)
    assert spelled(request)["tools"][0] == hosted
    assert request.tools[0] == Tool(name="web_search", provider_data={NAME: hosted})
    by_hand = Tool(
        name="sh", description="a shell", provider_data={NAME: {"type": "custom", "format": {"type": "text"}}}
    )
    assert sent(tools=(by_hand,))["tools"] == [
        {"type": "custom", "name": "sh", "description": "a shell", "format": {"type": "text"}}
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"input": []}', b'{"model": "m", "input": 1}',
                                  b'{"model": "m", "input": [1]}', b'{"model": 1, "input": "a"}'])  # fmt: skip
def test_a_body_that_is_no_request_is_an_input_error(body):
    with pytest.raises(InputError):
        server.parse_request(WireRequest(path="/", body=body))


# Answers.

TEXT = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "hi", "annotations": []}]}  # fmt: skip
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}


@pytest.mark.parametrize(
    ("items", "fields", "ours", "raw"),
    [
        ([TEXT], {}, "stop", "completed"),
        ([TEXT, CALL], {}, "tool_calls", "completed"),
        ([CALL], {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length",
         "max_output_tokens"),
        ([], {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter",
         "content_filter"),
        ([TEXT], {"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "other", "steered"),
        ([TEXT], {"status": "incomplete", "incomplete_details": None}, "other", "incomplete"),
        ([], {"status": "queued"}, "other", "queued"),
        ([], {"status": "in_progress"}, "other", "in_progress"),
        ([], {"status": "cancelled"}, "other", "cancelled"),
        ([TEXT], {"status": None}, "stop", None),
        ([CALL], {"status": None}, "tool_calls", None),
    ],
)  # fmt: skip
def test_a_finish_reason_is_translated_and_kept(items, fields, ours, raw):
    response = whole(answer(*items, **fields))
    assert (response.finish_reason, response.finish_reason_raw) == (ours, raw)


def test_the_head_of_an_answer_is_read_and_its_body_kept():
    body = reply(answer(TEXT, created_at=1.9e9 + 0.5, service_tier="flex", store=False, instructions=None))
    response = client.parse_response(body, PLAIN)
    assert (response.id, response.model, response.created) == ("resp_1", "m", 1_900_000_000)
    assert (response.service_tier, response.text, response.body) == ("flex", "hi", body.body)
    assert response.provider_data == {NAME: {"store": False, "created_at": 1.9e9 + 0.5}}


def test_echoes_of_what_nobody_asked_say_nothing_and_are_filled_in():
    silent = whole(answer(TEXT, parallel_tool_calls=True, tool_choice="auto"))
    assert silent.provider_data == {}
    spoken = whole(answer(TEXT, parallel_tool_calls=False, tool_choice="required"))
    assert spoken.provider_data == {NAME: {"parallel_tool_calls": False, "tool_choice": "required"}}
    body = json.loads(server.build_response(silent).body)
    assert (body["parallel_tool_calls"], body["tool_choice"]) == (True, "auto")


def test_a_thought_is_told_by_what_was_thought_else_by_its_summary():
    summary = [{"type": "summary_text", "text": text} for text in ("one", "", "two")]
    content = [{"type": "reasoning_text", "text": "really"}]
    item = {"type": "reasoning", "id": "rs_1", "summary": summary}
    assert whole(answer(item)).reasoning == "one\n\ntwo"
    assert whole(answer({**item, "content": content})).reasoning == "really"
    assert items_of(whole(answer({**item, "content": content})).message) == [{**item, "content": content}]


def test_a_thought_beside_the_items_is_read_and_stays_there():
    response = whole(answer(TEXT, reasoning="hm"))
    assert (response.text, response.reasoning, response.provider_data) == ("hi", "hm", {})
    assert json.loads(server.build_response(response).body)["reasoning"] == "hm"
    wire = client.build_request(ModelRequest(model="m", messages=(response.message,)), PLAIN)
    assert json.loads(wire.body)["input"] == [TEXT]
    assert wire.changes == ("reasoning that stood beside the items left out: no item can carry it",)


def test_a_call_without_a_call_id_is_known_by_its_id():
    item = {"type": "function_call", "id": "fc_1", "name": "f", "arguments": {"a": 1}}
    (call,) = whole(answer(item)).tool_calls
    assert (call.id, call.name, call.arguments) == ("fc_1", "f", '{"a":1}')
    assert items_of(Message.assistant(call)) == [item]


def test_the_text_of_an_answer_without_items_is_read():
    assert whole({"model": "m", "output_text": "hi", "status": "completed"}).text == "hi"
    assert whole(answer(TEXT, output_text="hi")).text == "hi"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "it is no JSON"),
        ([1], "its JSON is no object"),
        ({"choices": []}, "it has no output"),
        ({"output": "hi"}, "it has no output"),
    ],
)
def test_a_reply_that_is_no_answer_is_a_parse_error_with_its_bytes(body, why):
    with pytest.raises(ResponseParseError, match=why) as caught:
        client.parse_response(reply(body, headers=(("x-request-id", "r"),)), PLAIN)
    assert (caught.value.body, caught.value.request_id) == (reply(body).body, "r")


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "broke"}}, InternalServerError, "broke"),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}, RateLimitError, "slow"),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "no"}}, BadRequestError, "no"),
        ({"status": "failed", "error": {"code": "bio_policy", "message": "no"}}, ContentBlockedError, "no"),
        ({"status": "failed", "error": None}, APIStatusError, "without a message"),
        ({"error": {"code": "vector_store_timeout", "message": "late"}}, InternalServerError, "late"),
        ({"error": "out of order"}, APIStatusError, "out of order"),
    ],
)
def test_an_answer_that_failed_is_the_providers_error_also_in_a_stream(fields, kind, says):
    body = answer(TEXT, **fields)
    with pytest.raises(kind, match=says) as caught:
        client.parse_response(reply(body, headers=(("x-request-id", "r"),)), PLAIN)
    assert (caught.value.status, caught.value.request_id) == (200, "r")
    for type_ in ("response.failed", "response.completed"):
        with pytest.raises(kind, match=says):
            run(sse({"type": type_, "response": body}))


def test_gateways_say_in_the_usage_how_an_answer_was_served():
    used = {"input_tokens": 1, "output_tokens": 1, "service_tier": "batch", "inference_geo": "us", "speed": "fast"}
    response = stripped(whole(answer(TEXT, usage=used, created_at=5)))
    assert (response.service_tier, response.region, response.speed) == ("batch", "us", "fast")
    assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response
    assert whole(answer(TEXT, usage=used, service_tier="flex")).service_tier == "flex"
    made = Response(message=Message.assistant("hi"), finish_reason="stop", model="m", usage=Usage(input=1),
                    service_tier="flex", region="eu", speed="fast")  # fmt: skip
    again = client.parse_response(server.build_response(made), PLAIN)
    assert (again.id, again.service_tier, again.region, again.speed) == (None, "flex", "eu", "fast")


def test_an_error_of_nothing_but_nulls_is_none():
    assert whole(answer(TEXT, error={"code": None, "message": None})).text == "hi"


@given(
    values
    | st.fixed_dictionaries(
        {"output": st.lists(odd_items | values, max_size=3)},
        optional=dict.fromkeys(
            [
                "error",
                "status",
                "usage",
                "created_at",
                "id",
                "model",
                "incomplete_details",
                "reasoning",
                "service_tier",
            ],
            values,
        ),
    )
)
def test_an_answer_of_any_shape_is_read_or_refused(body):
    try:
        response = client.parse_response(reply(body), PLAIN)
    except (ResponseParseError, APIStatusError):
        return
    assert isinstance(response, Response)
    kept = [item for item in body["output"] if isinstance(item, dict)]
    assert exactly(items_of(response.message)) == exactly(kept)  # and it can be sent back
    again = client.parse_response(server.build_response(response), PLAIN)
    assert [bare(part) for part in again.parts] == [bare(part) for part in response.parts]


# Answers of another wire, or made by hand.

by_hand = st.lists(
    st.builds(Text, text=words)
    | st.builds(Reasoning, text=words)
    | refusals
    | st.builds(ToolCall, id=words, name=words, arguments=texts),
    max_size=5,
)


def bare(part):
    return replace(part, provider_data={})


@given(by_hand, st.sampled_from(["length", "content_filter", "stop"]), st.none() | words, st.none() | st.integers(1, 3))
def test_an_answer_made_by_hand_is_spelled_with_all_that_a_client_demands(parts, finish, raw, piece):
    made = Response(message=Message.assistant(*parts), finish_reason=finish, finish_reason_raw=raw, model="m")
    body = json.loads(server.build_response(made).body)
    assert body == json.loads(server.build_response(made).body)  # always alike
    assert {"id", "created_at", "error", "incomplete_details", "instructions", "metadata", "model", "object", "output",
            "parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p", "usage"} <= body.keys()  # fmt: skip
    ids_made = [item["id"] for item in body["output"]]
    assert len({*ids_made}) == len(ids_made)
    for item in body["output"]:
        assert item["type"] in ("message", "reasoning", "function_call")
        assert item["type"] == "reasoning" or item["status"] == "completed"
        for entry in item.get("content", []) if item["type"] == "message" else []:
            assert entry["type"] == "refusal" or entry["annotations"] == []
    response = stripped(whole(body))
    assert [bare(part) for part in response.parts] == parts
    called = finish == "stop" and any(isinstance(part, ToolCall) for part in parts)
    assert response.finish_reason == ("tool_calls" if called else finish)
    events = b"".join(server.build_events(made, piece=piece))
    assert fold(run(events)) == response
    told = [json.loads(line[6:]) for line in events.splitlines() if line.startswith(b"data: ")]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))


def test_every_event_that_an_accumulator_needs_is_there_and_in_order():
    made = Message.assistant(Reasoning(text="hm"), "hi", ToolCall(id="c", name="f", arguments="{}"))
    events = server.build_events(Response(message=made, finish_reason="tool_calls", model="m", id="resp_1"))
    told = [json.loads(event.split(b"data: ")[1]) for event in events]
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    added = [event["item"] for event in told if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert [item["id"] for item in added] == [item["id"] for item in done] == ["rs_1_0", "msg_1_1", "fc_1_2"]
    assert (added[0]["summary"], added[1]["content"], added[2]["arguments"]) == ([], [], "")
    assert told[-1]["response"]["output"] == done
    assert {event["item_id"] for event in told if "item_id" in event} == {"rs_1_0", "msg_1_1", "fc_1_2"}


def test_an_answer_of_another_wire_ends_with_a_word_of_this_one():
    made = Response(message=Message.assistant("hi"), finish_reason="length", finish_reason_raw="max_tokens", model="m")
    assert json.loads(server.build_response(made).body)["incomplete_details"] == {"reason": "max_output_tokens"}
    *_, last = server.build_events(made)
    assert last.startswith(b"event: response.incomplete\n")


# Usage.


@pytest.mark.parametrize(
    ("reported", "buckets"),
    [
        pytest.param(
            {"input_tokens": 5000, "output_tokens": 700, "total_tokens": 5700,
             "input_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 1000},
             "output_tokens_details": {"reasoning_tokens": 300}},
            {"input": 2000, "cache_read": 2000, "cache_write_5m": 1000, "output": 400, "reasoning": 300},
            id="openai",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 1, "input_tokens_details": {
                "cache_write_tokens": 9, "cache_write_tokens_details": {"ttl_30m_tokens": 4, "ttl_12h_tokens": 5}}},
            {"input": 1, "cache_write_5m": 4, "cache_write_12h": 5, "output": 1},
            id="lifetimes",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 1, "input_tokens_details": {
                "cache_write_tokens_details": {"ttl_30m": 4, "ttl_12h": 5}}},
            {"input": 1, "cache_write_5m": 4, "cache_write_12h": 5, "output": 1},
            id="lifetimes-alone",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 5, "total_tokens": 35,
             "output_tokens_details": {"reasoning_tokens": 20}},
            {"input": 10, "output": 5, "reasoning": 20},
            id="reasoning-outside",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 25, "total_tokens": 35,
             "output_tokens_details": {"reasoning_tokens": 20}},
            {"input": 10, "output": 5, "reasoning": 20},
            id="reasoning-inside",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": None, "output_tokens_details": []},
            {"input": 10, "output": 5},
            id="no-details",
        ),
        pytest.param({"input_tokens": 12.0}, {"input": 12}, id="integral-float"),
        pytest.param(
            {"input_tokens": 1, "output_tokens": 1, "server_side_tool_usage_details": {"web_search_calls": 2}},
            {"input": 1, "output": 1, "web_searches": 2},
            id="xai-searches",
        ),
        pytest.param(
            {"input_tokens": 9, "output_tokens": 9, "input_tokens_details": {"audio_tokens": 4},
             "output_tokens_details": {"audio_tokens": 5, "image_tokens": 3}},
            {"input": 5, "input_audio": 4, "output": 1, "output_audio": 5, "output_image": 3},
            id="sound-and-pictures",
        ),
    ],
)  # fmt: skip
def test_usage_is_sorted_into_buckets(reported, buckets):
    assert client.parse_usage(reported) == Usage(**buckets, reported=reported)


@pytest.mark.parametrize("number", [-1, 1.5, True, "7", math.nan, math.inf, 1e300, 2**53 + 1, [], {}])
@pytest.mark.parametrize("field", ["input_tokens", "output_tokens", "total_tokens", "cached", "reasoning", "written"])
def test_a_number_that_cannot_be_makes_the_usage_suspect(field, number):
    reported = {"input_tokens": 10, "output_tokens": 10, "total_tokens": 20}
    details = {
        "cached": {"input_tokens_details": {"cached_tokens": number}},
        "reasoning": {"output_tokens_details": {"reasoning_tokens": number}},
        "written": {"input_tokens_details": {"cache_write_tokens_details": {"ttl_12h_tokens": number}}},
    }
    reported |= details.get(field, {field: number})
    usage = client.parse_usage(reported)
    assert (usage.source, usage.total_input, usage.total_output, usage.total_tokens) == ("suspect", 0, 0, None)
    assert usage.reported is reported


@pytest.mark.parametrize(
    "details",
    [
        {"cached_tokens": 11},
        {"cached_tokens": 6, "cache_write_tokens": 5},
        {"cache_write_tokens": 3, "cache_write_tokens_details": {"ttl_30m_tokens": 2, "ttl_12h_tokens": 2}},
    ],
)
def test_parts_above_their_whole_make_the_usage_suspect(details):
    reported = {"input_tokens": 10, "output_tokens": 1, "input_tokens_details": details}
    assert client.parse_usage(reported) == Usage(source="suspect", reported=reported)
    thought = {"input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 2}}
    assert client.parse_usage(thought).source == "suspect"


def test_usage_that_was_not_sent_is_missing_and_one_that_is_no_object_suspect():
    assert client.parse_usage(None) == client.parse_usage({}) == Usage(source="missing")
    assert client.parse_usage({"cost": 1}) == Usage(source="missing", reported={"cost": 1})
    assert client.parse_usage("12").source == client.parse_usage([1]).source == "suspect"


@given(usages())
def test_the_buckets_sum_to_the_totals_that_the_provider_said(usage):
    reported, read, written = usage
    parsed_usage = client.parse_usage(reported)
    assert (parsed_usage.input_tokens, parsed_usage.output_tokens) == (read, written)


numbers = st.integers(-3, 30) | scalars
usage_like = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(["input_tokens", "output_tokens", "total_tokens"], numbers),
    "input_tokens_details": values | st.dictionaries(
        st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens"]), numbers),
    "output_tokens_details": values | st.dictionaries(
        st.sampled_from(["reasoning_tokens", "audio_tokens", "image_tokens"]), numbers),
})  # fmt: skip


@given(values | usage_like)
def test_no_usage_object_raises_or_gives_a_negative_count(reported):
    usage = client.parse_usage(reported)
    assert all(getattr(usage, name) >= 0 for name in Usage.__struct_fields__[:12])
    if usage.source == "provider":
        assert usage.total_input == (reported.get("input_tokens") or 0)
        assert usage.total_output - (reported.get("output_tokens") or 0) in {0, usage.reasoning}
    else:
        assert list(usage.buckets()) == []


def test_a_web_search_is_counted_where_it_is_complete_and_searched():
    def search(status, action):
        return {"type": "web_search_call", "id": "ws", "status": status, "action": action}

    searched = [
        search("completed", {"type": "search", "query": "q"}),
        search("completed", {"type": "open_page", "url": "u"}),
        search("failed", {"type": "search", "query": "q"}),
        {"type": "web_search_call", "id": "ws", "status": "completed"},  # once, every call was a search
    ]
    used = {"input_tokens": 1, "output_tokens": 1}
    assert whole(answer(*searched, usage=used)).usage.web_searches == 2
    assert whole(answer(*searched)).usage == Usage(source="missing", web_searches=2)


def test_usage_of_another_wire_is_spelled_in_our_words_with_the_same_totals():
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_12h=4, input_audio=5, output=6, reasoning=7,
                  web_searches=8)  # fmt: skip
    made = Response(message=Message.assistant("hi"), finish_reason="stop", model="m", usage=usage)
    again = client.parse_response(server.build_response(made), PLAIN).usage
    assert replace(again, reported=None) == usage
    assert json.loads(server.build_response(replace(made, usage=Usage(source="missing"))).body)["usage"] is None


# Streams.


def added(item, place=0):
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(item, place=0):
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def delta(kind, text, id_="msg_1", place=0, **fields):
    return {"type": f"response.{kind}.delta", "item_id": id_, "output_index": place, "delta": text, **fields}


def test_a_stream_gives_these_events():
    begun = {**TEXT, "status": "in_progress", "content": []}
    called = {**CALL, "status": "in_progress", "arguments": ""}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    events = streamed(
        added({**thought, "summary": []}),
        delta("reasoning_summary_text", "hm", "rs_1", summary_index=0),
        done(thought),
        added(begun, 1),
        delta("output_text", "h", place=1, content_index=0),
        delta("output_text", "i", place=1, content_index=0),
        done(TEXT, 1),
        added(called, 2),
        delta("function_call_arguments", "{", "fc_1", 2),
        delta("function_call_arguments", "}", "fc_1", 2),
        done(CALL, 2),
    )
    kept = {"id": "msg_1", "status": "completed", ":form": "list"}
    assert events == [
        ResponseStart(id="resp_1", model="m"),
        ReasoningDelta(text="hm", index=0),
        PartData(provider_data={NAME: {"id": "rs_1"}}, index=0),
        TextDelta(text="h", index=1),
        TextDelta(text="i", index=1),
        PartData(provider_data={NAME: {":item": kept}}, index=1),
        ToolCallStart(id="c", name="f", index=2),
        ToolCallDelta(arguments="{", index=2),
        ToolCallDelta(arguments="}", index=2),
        PartData(provider_data={NAME: {"id": "fc_1", "status": "completed"}}, index=2),
        ResponseEnd(finish_reason="tool_calls", finish_reason_raw="completed"),
    ]


def test_what_only_the_last_event_says_is_told_then():
    items = [TEXT, CALL, {"type": "mcp_call", "id": "mcp_1"}]
    end = {"type": "response.completed", "response": answer(*items)}
    response = fold(run(sse(end)))
    assert response == stripped(whole(answer(*items)))
    partly = fold(run(sse(added({**TEXT, "content": []}), delta("output_text", "h", content_index=0), end)))
    assert partly == response


def test_what_the_last_event_leaves_out_is_what_was_done_before():
    for output in ([], None):
        end = {"type": "response.completed", "response": {**answer(), "output": output}}
        response = fold(run(sse(added(TEXT), done(TEXT), done(CALL, 1), end)))
        assert response.parts == whole(answer(TEXT, CALL)).parts
        assert response.finish_reason == "tool_calls"


def test_pieces_alone_make_an_answer_where_no_event_holds_it_whole():
    part = {"type": "output_text", "text": "hi", "annotations": [{"type": "file_path"}]}
    events = streamed(
        delta("reasoning_text", "hm", "rs_1", content_index=0),
        delta("output_text", "hi", place=1, content_index=0),
        {"type": "response.content_part.done", "item_id": "msg_1", "output_index": 1, "content_index": 0, "part": part},
        delta("refusal", "no", place=1, content_index=1),
        added({**CALL, "arguments": "", "status": "in_progress"}, 2),
        delta("function_call_arguments", "{}", "fc_1", 2),
    )
    assert items_of(fold(events).message) == [
        {"type": "reasoning", "id": "rs_1", "content": [{"type": "reasoning_text", "text": "hm"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [part, {"type": "refusal", "refusal": "no"}],
        },
        CALL,
    ]


def test_a_piece_of_a_later_entry_is_kept_where_the_first_was_never_told():
    events = streamed(delta("output_text", "hi", place=1, content_index=1))
    assert fold(events).text == "hi"


def test_an_item_that_is_done_with_less_than_was_told_takes_nothing_back():
    said = [{"type": "output_text", "text": "hi", "annotations": []}]
    hollow = {**TEXT, "content": []}
    for end in ({}, {"output": [hollow]}):
        events = streamed(added(hollow), delta("output_text", "hi", content_index=0), done(hollow), end=end)
        assert fold(events).text == "hi"
        assert items_of(fold(events).message) == [{**TEXT, "content": said}]


def test_deltas_without_ids_and_places_go_on_with_the_latest_item():
    events = streamed(*[{"type": "response.output_text.delta", "delta": piece} for piece in "abc"])
    assert fold(events).text == "abc"
    assert [event.index for event in events if isinstance(event, TextDelta)] == [0, 0, 0]


def test_a_text_that_is_only_said_when_it_is_done_is_told():
    here = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = streamed(
        added({**TEXT, "content": []}),
        {"type": "response.output_text.done", **here, "text": "hi"},
        {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 1, "arguments": "{}"},
    )
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["hi"]
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ["{}"]


def test_places_that_are_all_the_same_do_not_mix_items_up():
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    text = {key: value for key, value in TEXT.items() if key != "id"}
    events = streamed(
        added({**thought, "summary": []}),
        added({**text, "content": []}),
        delta("output_text", "hi", None, content_index=0),
        delta("reasoning_summary_text", "hm", None, summary_index=0),
        done(thought),
        done(text),
        end={"output": [thought, text]},
    )
    assert fold(events) == stripped(whole(answer(thought, text)))


def test_ids_that_change_on_the_way_do_not_make_items_twice():
    """Copilot gives each event another id."""
    events = streamed(
        added({**TEXT, "id": "a", "content": []}),
        delta("output_text", "hi", "b", content_index=0),
        done({**TEXT, "id": "c"}),
        end={"output": [{**TEXT, "id": "d"}]},
    )
    assert fold(events).parts == whole(answer({**TEXT, "id": "d"})).parts


def test_who_answers_is_said_again_where_the_end_says_otherwise():
    begin = {"type": "response.created", "response": {**answer(), "model": "router"}}
    events = run(sse(begin, {"type": "response.completed", "response": answer(TEXT)}))
    assert [event.model for event in events if isinstance(event, ResponseStart)] == ["router", "m"]
    assert fold(events).model == "m"
    barely = run(sse(begin, {"type": "response.completed", "response": {"id": "resp_2"}}))
    assert (fold(barely).id, fold(barely).model) == ("resp_2", "router")


def test_texts_of_one_thought_are_told_apart():
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text} for text in "ab"]}
    events = streamed(
        added({**item, "summary": []}),
        *[delta("reasoning_summary_text", text, "rs_1", summary_index=at) for at, text in enumerate("ab")],
        done(item),
        end={"output": [item]},
    )
    assert fold(events) == stripped(whole(answer(item)))
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["a", "\n\nb"]


def test_the_list_of_thoughts_that_comes_first_is_told_and_both_go_back():
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
    }
    pieces = {
        "short": delta("reasoning_summary_text", "short", "rs_1", summary_index=0),
        "long": delta("reasoning_text", "long", "rs_1", content_index=0),
    }
    for first, second in (("short", "long"), ("long", "short")):
        response = fold(streamed(added({**item, "summary": []}), pieces[first], pieces[second], done(item)))
        assert response.reasoning == first
        assert items_of(response.message) == [item]


def test_encrypted_state_is_that_of_the_last_event():
    def thought(state):
        return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": state}

    events = streamed(added(thought("a")), done(thought("b")), end={"output": [thought("c")]})
    assert items_of(fold(events).message) == [thought("c")]


def test_a_refusal_is_told_in_pieces():
    item = {**TEXT, "content": [{"type": "refusal", "refusal": "no way"}]}
    pieces = [delta("refusal", piece, content_index=0) for piece in ("no", " way")]
    events = streamed(added({**TEXT, "content": []}), *pieces, done(item), end={"output": [item]})
    assert [event.text for event in events if isinstance(event, RefusalDelta)] == ["no", " way"]
    assert fold(events) == stripped(whole(answer(item)))


def test_the_input_of_a_custom_tool_is_told_in_pieces():
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "sh", "input": "ls"}
    pieces = [delta("custom_tool_call_input", piece, "ctc_1") for piece in "ls"]
    events = streamed(added({**item, "input": ""}), *pieces, done(item), end={"output": [item]})
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ["l", "s"]
    assert fold(events) == stripped(whole(answer(item)))


@pytest.mark.parametrize(
    ("last", "finish", "raw"),
    [
        ({"type": "response.completed", "response": {"id": "r"}}, "stop", "completed"),
        ({"type": "response.done"}, "stop", "completed"),
        ({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}, "length",
         "max_output_tokens"),
        ({"type": "response.incomplete", "response": None}, "other", "incomplete"),
        ({"type": "response.cancelled", "response": {}}, "other", "cancelled"),
    ],
)  # fmt: skip
def test_the_last_event_says_by_its_type_what_its_answer_does_not(last, finish, raw):
    *_, end = run(sse(last, b"[DONE]"))
    assert (end.finish_reason, end.finish_reason_raw) == (finish, raw)


def test_done_is_no_end_of_this_wire_and_nothing_follows_the_end():
    assert not any(isinstance(event, ResponseEnd) for event in run(sse(added(TEXT), b"[DONE]")))
    end = {"type": "response.completed", "response": answer()}
    assert run(sse(end, delta("output_text", "late"), {"type": "error"})) == run(sse(end))


def test_the_name_of_an_event_serves_where_it_names_no_type():
    event = json.dumps({"response": answer(TEXT)}).encode()
    assert fold(run(b"event: response.completed\ndata: " + event + b"\n\n")).text == "hi"


def test_unknown_events_are_skipped():
    unknown = [
        {"type": "response.teleported", "error": {"message": "none of ours"}},
        {"type": "keepalive"},
        {"type": ["x"]},
        {},
    ]
    assert streamed(*unknown) == streamed()
    assert run(sse([1], "x", 1, None)) == []


@pytest.mark.parametrize(
    ("event", "kind", "says"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None}, RateLimitError, "slow"),
        ({"type": "error", "error": {"type": "server_error", "message": "broke"}}, InternalServerError, "broke"),
        ({"error": {"message": "broke", "code": 502}}, InternalServerError, "broke"),
        (
            {"type": "response.failed", "response": answer(status="failed", error={"code": "server_error"})},
            InternalServerError,
            "without a message",
        ),
    ],
)
def test_an_error_in_a_stream_comes_after_what_came_before_it(event, kind, says):
    body = sse(added(TEXT), delta("output_text", "h", content_index=0), event)
    events, error = outcome(body)
    assert fold(events).text == "h"
    assert isinstance(error, kind)
    assert error.status == 200
    assert says in error.message
    for sizes in ([1], [7, 3]):
        again, same = outcome(body, sizes)
        assert (again, type(same), same.message) == (events, type(error), error.message)


def test_an_unreadable_event_is_kept_in_its_error():
    with pytest.raises(ResponseParseError) as caught:
        run(sse(b"{oops"))
    assert caught.value.body == b"{oops"


def test_an_event_above_the_limit_is_a_protocol_error():
    parser = client.stream_parser(PLAIN)
    parser.feed(b"x" * 2**23)
    parser.feed(b"x" * 2**22)
    with pytest.raises(ProtocolError):
        parser.feed(b"x" * 2**23)


odd_events = values | st.fixed_dictionaries({}, optional={
    "type": st.sampled_from([f"response.{kind}" for kind in (
        "created", "output_item.added", "output_item.done", "content_part.done", "output_text.delta",
        "output_text.done", "refusal.delta", "reasoning_summary_text.delta", "reasoning_text.delta",
        "function_call_arguments.delta", "function_call_arguments.done", "custom_tool_call_input.delta")]) | values,
    "item": odd_items | values,
    "item_id": st.sampled_from(["i", "j"]) | values,
    "output_index": st.integers(0, 2) | values,
    "content_index": st.integers(-1, 2) | values,
    "summary_index": st.integers(0, 2) | values,
    "delta": texts | values,
    "text": texts | values,
    "part": odd_entries | values,
    "arguments": texts | values,
})  # fmt: skip


@given(
    st.lists(odd_events, max_size=6),
    st.fixed_dictionaries(
        {}, optional={"output": st.lists(odd_items, max_size=3) | values, "usage": values, "id": values}
    ),
    cuts,
)
def test_a_stream_of_any_shape_is_read_or_refused_and_cuts_do_not_matter(told, last, sizes):
    body = sse(*told, {"type": "response.completed", "response": last})
    events, error = outcome(body, sizes)
    assert error is None or isinstance(error, APIStatusError)
    assert events == outcome(body)[0]
    assert (error is None) == (bool(events) and isinstance(events[-1], ResponseEnd))
    sent(fold(events).message)


# Errors: their words are shared with Chat Completions, and tested there.


@given(st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()), st.integers(0, 999))
def test_no_reply_makes_parse_error_raise(body, status):
    assert client.parse_error(WireReply(status=status, body=body)).message


def test_an_error_of_xai_is_read():
    info = client.parse_error(reply({"code": "Client specified an invalid argument", "error": "no such model"}, 400))
    assert (info.kind, info.message, info.code) == (
        "bad_request",
        "no such model",
        "Client specified an invalid argument",
    )
    assert client.parse_error(server.build_error(info)).kind == "bad_request"


# The table of dialects.


def test_the_dialect_is_loaded_by_its_name():
    assert load_client(NAME) is client
    assert load_server(NAME) is server
    assert client.NAME == NAME


def test_an_item_that_thinks_and_sums_up_streams_as_it_is_read_whole():
    item = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "in short"}],
        "content": [{"type": "reasoning_text", "text": "at length"}],
    }
    response = whole(answer(item))
    assert response.reasoning == "at length"
    assert stripped(fold(run(b"".join(server.build_events(response, piece=3))))) == stripped(response)


def test_the_type_of_an_error_event_is_not_the_errors():
    failed = outcome(sse({"type": "error", "message": "boom", "code": None, "param": None}))[-1]
    assert isinstance(failed, APIStatusError)
    assert failed.provider_code is None


def test_an_answer_that_was_never_made_has_no_date():
    assert whole(answer(created_at=0)).created is None
