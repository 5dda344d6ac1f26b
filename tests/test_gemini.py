"""Gemini's generateContent: the two halves undo each other, cuts do not matter, and every named rule holds.

A request of any shape is spelled again exactly, so this wire has no normalisation there. What a stream cannot tell
apart is named once, in ``as_told``.
"""

import json

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from halves import PLAIN, events_of, exactly, outcome_of, reply, scalars, weighty, words
from quoth import _json
from quoth._costs import Prices
from quoth.dialects import load_client
from quoth.dialects._errors import STATUSES, error_from
from quoth.dialects.gemini import client, server
from quoth.dialects.gemini._array import ArrayFramer
from quoth.dialects.gemini._errors import CODES, KIND_WORDS, TYPES, WORDING
from quoth.dialects.gemini._words import FINISH_REASONS
from quoth.dialects.server import load_server
from quoth.errors import (
    KINDS,
    APIStatusError,
    ContentBlockedError,
    InputError,
    OverloadedError,
    ProtocolError,
    ResponseParseError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from quoth.events import PartAdded, ResponseEnd, ResponseStart, TextDelta, ToolCallDelta, ToolCallStart, fold
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

NAME = "gemini"
WHOLE, STREAMED = "/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent"


# Driving the two halves.


def build(*messages, quirks=PLAIN, **fields):
    return client.build_request(ModelRequest(model="m", messages=messages, **fields), quirks)


def sent(*messages, **fields):
    return json.loads(build(*messages, **fields).body)


def parsed(body, path=WHOLE):
    return server.parse_request(WireRequest(path=path, body=json.dumps(body).encode()))


def again(body):
    """A body that was read and built."""
    return json.loads(client.build_request(parsed(body), PLAIN).body)


def candidate(*parts, stop="STOP", **fields):
    return {"content": {"role": "model", "parts": list(parts)}, "finishReason": stop, **fields}


def whole(body):
    return replace(client.parse_response(reply(body), PLAIN), body=None)


def answer(*parts, stop="STOP", **fields):
    body = {"candidates": [candidate(*parts, stop=stop, **fields)], "modelVersion": "m", "responseId": "r1"}
    return whole(body)


def sse(*chunks):
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)


def chunk(*parts, **fields):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **fields}], "responseId": "r1"}


def run(body, sizes=()):
    return events_of(client, body, sizes)


def outcome(body, sizes=()):
    return outcome_of(client, body, sizes)


def as_told(response):
    """An answer as a stream tells it: without empty texts, and texts of one kind that stand side by side are one."""
    first = replace(response, message=_joined(response.message))
    return replace(first, candidates=tuple([replace(each, message=_joined(each.message)) for each in first.candidates]))


def _joined(message):
    parts = []
    for part in message.parts:
        kept = part.provider_data.get(NAME)
        if isinstance(part, (Text, Reasoning)):
            if not part.text and not kept:
                continue
            before = parts[-1] if parts else None
            alike = type(before) is type(part) and before.provider_data == part.provider_data
            if alike and "thoughtSignature" not in (kept or {}) and "executableCode" not in (kept or {}):
                parts[-1] = replace(before, text=before.text + part.text)
                continue
        parts.append(part)
    return replace(message, parts=tuple(parts))


# Strategies.

texts = st.text(max_size=12).filter(lambda text: not text.startswith(":"))  # such keys are ours
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
signed = st.fixed_dictionaries({"thoughtSignature": words})
vendor = st.sampled_from(["thoughtSignature", "mediaResolution", "vendor"])
extras = st.dictionaries(vendor, values, max_size=2)
objects = st.dictionaries(texts, values, max_size=2)
arguments = objects.map(lambda value: _json.encode(value).decode())
urls = words.map("https://a.example/".__add__)


def data(extras):
    return extras.map(lambda kept: {NAME: kept} if kept else {})


plain_texts = st.builds(Text, text=words)
kept_texts = st.builds(Text, text=texts, provider_data=data(signed))
codes = words.map(
    lambda code: Text(text="", provider_data={NAME: {"executableCode": {"code": code}, ":absent": ["text"]}})
)
images = st.builds(
    Image,
    data=st.binary(max_size=9),
    media_type=st.sampled_from(["image/png", "image/x"]),
    provider_data=data(extras),
) | st.builds(Image, url=urls, media_type=st.just("image/png"), provider_data=data(extras))
audios = st.builds(Audio, data=st.binary(max_size=9), media_type=st.just("audio/wav"), provider_data=data(extras))
documents = st.builds(
    Document,
    data=st.binary(max_size=9),
    media_type=st.sampled_from(["application/pdf", "video/mp4", "text/plain"]),
    provider_data=data(extras),
) | st.builds(Document, url=urls, media_type=st.none() | st.sampled_from(["application/pdf", "audio/mp3"]))
thoughts = st.builds(Reasoning, text=texts, provider_data=st.one_of(st.just({}), signed).map(lambda kept: {NAME: kept}))
ids = st.integers(0, 10**6).map("c{}".format)


@st.composite
def calls(draw, name=texts):
    return ToolCall(id=draw(ids), name=draw(name), arguments=draw(arguments), provider_data=draw(data(extras)))


@st.composite
def results(draw, call):
    """A result of a call, in each of its forms."""
    files = draw(st.lists(images | documents, max_size=1))
    if draw(st.booleans()):
        value = draw(objects.filter(lambda value: value and value.keys().isdisjoint({"output", "error"})))
        kept = {":form": "object", **draw(extras)}
        said, failed = [_json.encode(value).decode()], False
    else:
        said, failed, kept = draw(st.lists(texts, max_size=2)), draw(st.booleans()), draw(extras)
    parts = (*[Text(text=text) for text in said], *files)
    return ToolResult(call_id=call.id, parts=parts, is_error=failed, provider_data={NAME: kept} if kept else {})


@st.composite
def conversations(draw):
    messages = []
    if draw(st.booleans()):
        messages.append(Message.system(*draw(st.lists(plain_texts | kept_texts, max_size=2))))
    for role in draw(st.lists(st.sampled_from(["user", "assistant", "tools"]), max_size=4)):
        kept = draw(st.dictionaries(st.just("vendor"), values, max_size=1))
        about = {NAME: kept} if kept else {}
        if role == "user":
            kinds = st.one_of(plain_texts, kept_texts, codes, images, audios, documents)
            parts = draw(st.lists(kinds, max_size=3))
            messages.append(Message(role="user", parts=tuple(parts), provider_data=about))
        else:
            asked = draw(st.lists(calls(), min_size=1, max_size=2, unique_by=lambda call: call.id))
            asked = asked if role == "tools" else []
            spoken = draw(st.lists(st.one_of(plain_texts, kept_texts, codes, thoughts), max_size=2))
            messages.append(Message(role="assistant", parts=(*spoken, *asked), provider_data=about))
            if asked:
                answered = tuple([draw(results(call)) for call in asked])
                messages.append(Message(role="tool", parts=answered))
    return tuple(messages)


functions = st.builds(
    Tool,
    name=texts,
    description=st.none() | texts,
    parameters=st.none() | objects,
    provider_data=data(st.dictionaries(st.sampled_from(["behavior", "responseJsonSchema"]), values, max_size=1)),
)
own_tools = st.sampled_from(["googleSearch", "codeExecution", "google_search"]).flatmap(
    lambda name: objects.map(lambda value: Tool(name=name, provider_data={NAME: {name: value}}))
)
choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])) | st.builds(
    ToolChoice, mode=st.just("tool"), name=texts
)
outputs = (
    st.just(OutputFormat())
    | st.builds(OutputFormat, schema=objects)
    | st.builds(OutputFormat, schema=objects, provider_data=st.just({NAME: {":field": "responseSchema"}}))
)
requests = st.builds(
    ModelRequest,
    model=words,
    messages=conversations(),
    stream=st.booleans(),
    max_tokens=st.none() | st.integers(0, 2**40),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    seed=st.none() | st.integers(0, 2**31),
    stop=st.lists(texts, max_size=2).map(tuple),
    tools=st.lists(functions | own_tools, max_size=3).map(tuple),
    tool_choice=st.none() | choices,
    output=st.none() | outputs,
    reasoning=st.none() | st.sampled_from(["low", "high"]) | st.integers(-1, 10**5),
    extra=st.dictionaries(st.sampled_from(["safetySettings", "cachedContent", "labels", "vendor"]), values, max_size=2),
)

counts = st.integers(0, 10**6)


@st.composite
def usages(draw):
    """A usage object that adds up."""
    prompt, written, thinking, tools = (draw(counts) for _ in range(4))
    cached, heard = draw(st.integers(0, prompt)), 0
    reported = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "totalTokenCount": prompt + written + thinking + tools,
    }
    if draw(st.booleans()):
        heard = draw(st.integers(0, prompt - cached))
        reported["promptTokensDetails"] = [
            {"modality": draw(st.sampled_from(["AUDIO", 4])), "tokenCount": heard},
            {"modality": "TEXT", "tokenCount": prompt - heard},
        ]
    if draw(st.booleans()):
        drawn = draw(st.integers(0, written))
        reported["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": drawn}]
    others = {"cachedContentTokenCount": cached, "thoughtsTokenCount": thinking, "toolUsePromptTokenCount": tools}
    reported |= {name: count for name, count in others.items() if count or draw(st.booleans())}
    reported |= draw(
        st.fixed_dictionaries({}, optional={
            "trafficType": st.sampled_from(["ON_DEMAND", "ON_DEMAND_FLEX"]),
            "serviceTier": st.just("standard"),
        })
    )  # fmt: skip
    return reported


raws = st.sampled_from([*FINISH_REASONS, "OTHER", "MALFORMED_FUNCTION_CALL", "9", "12"])
groundings = st.builds(lambda queries: {"webSearchQueries": queries}, st.lists(words, min_size=1, max_size=3))
about_candidates = st.fixed_dictionaries({}, optional={
    "groundingMetadata": groundings, "safetyRatings": st.lists(objects, min_size=1, max_size=2),
    "avgLogprobs": st.floats(-9, 0), "vendor": weighty,
})  # fmt: skip


@st.composite
def candidates(draw):
    kinds = st.one_of(plain_texts, kept_texts, thoughts, calls(), codes, images, audios)
    parts = draw(st.lists(kinds, max_size=4))
    raw = draw(raws)
    ours = FINISH_REASONS.get(raw, "other")
    if ours == "stop" and any(isinstance(part, ToolCall) for part in parts):
        ours = "tool_calls"
    kept = draw(about_candidates)
    return Candidate(
        message=Message(role="assistant", parts=tuple(parts)),
        finish_reason=ours,
        finish_reason_raw=raw,
        provider_data={NAME: kept} if kept else {},
    )


@st.composite
def responses(draw):
    first, *others = draw(st.lists(candidates(), min_size=1, max_size=2))
    reported = draw(st.none() | usages())
    kept = draw(st.dictionaries(st.just("vendor"), weighty, max_size=1))
    created = draw(st.none() | st.integers(1, 2**35))
    if draw(st.booleans()):
        kept["createTime"], created = "2026-05-27T16:53:45.443719Z", 1_779_900_825
    if first.provider_data:
        kept["candidates"] = [first.provider_data[NAME]]
    model = draw(st.sampled_from(["gemini-2.5-flash", "gemini-3.8-flash", "nano"]))
    queries = {
        query
        for each in (first, *others)
        for query in each.provider_data.get(NAME, {}).get("groundingMetadata", {}).get("webSearchQueries", ())
    }
    searches = min(len(queries), 1) if model == "gemini-2.5-flash" else len(queries)
    reported = reported or None
    return Response(
        message=first.message,
        finish_reason=first.finish_reason,
        finish_reason_raw=first.finish_reason_raw,
        model=model,
        id=draw(st.none() | words),
        created=created,
        usage=replace(client.parse_usage(reported), web_searches=searches),
        service_tier=(reported or {}).get("trafficType") or (reported or {}).get("serviceTier"),
        candidates=tuple(others),
        provider_data={NAME: kept} if kept else {},
    )


cuts = st.lists(st.integers(1, 60), max_size=6)
streamers = st.sampled_from([server.build_events, server.build_array])


# The halves undo each other.


@given(requests)
def test_a_request_that_was_built_reads_back_the_same(request):
    wire = client.build_request(request, PLAIN)
    assert server.parse_request(wire) == request
    assert wire.changes == ()


@given(responses())
def test_an_answer_that_was_built_reads_back_the_same(response):
    assert replace(client.parse_response(server.build_response(response), PLAIN), body=None) == response


@given(responses(), cuts, st.none() | st.integers(1, 5), streamers)
def test_a_stream_that_was_built_folds_to_the_same_answer_however_it_is_cut(response, sizes, piece, spell):
    body = b"".join(spell(response, piece=piece))
    assert fold(run(body, sizes)) == as_told(response)


@given(responses(), streamers)
def test_a_stream_that_came_whole_is_read_as_the_same_answer(response, spell):
    """As a server that was asked for a whole answer may send it, and a proxy that gathers one."""
    body = b"".join(spell(response))
    if spell is server.build_array:
        assert replace(client.parse_response(reply(body), PLAIN), body=None) == as_told(response)
    assert fold(run(body)) == as_told(response)


@given(responses(), st.integers(1, 400), streamers)
def test_a_stream_that_is_cut_short_never_ends(response, missing, spell):
    """However much of the tail is gone: what came before it gives no ResponseEnd and no error."""
    body = b"".join(spell(response)).rstrip()
    body = body[: max(len(body) - missing, 0)]
    if spell is server.build_events:  # the line end behind a whole event says nothing
        body = body[: max(body.rfind(b"data: "), 0) + len(b'data: {"candidates":')]
    assert not any(isinstance(event, ResponseEnd) for event in run(body))


names = st.sampled_from(["inline_data", "inlineData", "fileData", "file_data", "functionCall", "function_call"])
blobs = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(["mimeType", "mime_type"], st.sampled_from(["image/png", "audio/wav", "video/mp4", ""]) | values),
    "data": st.sampled_from(["AAAA", "AA==", "AB==", "-_-_", "+/+/", "words"]) | values,
    **dict.fromkeys(["fileUri", "file_uri"], texts | values), "displayName": values,
})  # fmt: skip
call_objects = st.fixed_dictionaries({}, optional={
    "id": texts | st.just("gemini_x") | values, "name": texts | values, "args": objects | values,
    "willContinue": values, "partial_args": values,
})  # fmt: skip
result_objects = st.fixed_dictionaries({}, optional={
    "id": texts | values, "name": texts | values,
    "response": values | objects | st.dictionaries(
        st.sampled_from(["output", "error"]), texts | st.lists(texts, max_size=2) | values, max_size=1),
    "parts": values | st.lists(st.dictionaries(names, blobs, max_size=1) | st.just({"text": "x"}), max_size=2),
})  # fmt: skip
part_objects = st.fixed_dictionaries({}, optional={
    "text": texts | values, "thought": st.booleans() | values,
    **dict.fromkeys(["thoughtSignature", "thought_signature"], texts | values),
    **dict.fromkeys(["inline_data", "inlineData", "fileData", "file_data"], blobs | values),
    **dict.fromkeys(["functionCall", "function_call"], call_objects | values),
    **dict.fromkeys(["functionResponse", "function_response"], result_objects | values),
    "video_metadata": values, "executableCode": values, "vendor": values,
})  # fmt: skip
contents = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["user", "model", "function", "poet"]) | values,
    "parts": st.lists(part_objects, max_size=3) | part_objects | values,
    "vendor": values,
})  # fmt: skip
result_contents = st.fixed_dictionaries({
    "role": st.just("user"),
    "parts": st.lists(st.fixed_dictionaries({"functionResponse": result_objects}), min_size=1, max_size=2),
})  # fmt: skip


@given(st.lists(contents | result_contents, max_size=3) | contents)
def test_contents_of_any_shape_are_spelled_again_as_they_were(spelled):
    assert exactly(again({"contents": spelled})) == exactly({"contents": spelled})


configs = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(["temperature", "topP", "top_p", "topK", "seed", "maxOutputTokens", "max_output_tokens"],
                    st.integers(0, 9) | values),
    **dict.fromkeys(["responseSchema", "response_schema", "responseJsonSchema"], objects | values),
    "responseMimeType": st.sampled_from(["application/json", "text/x.enum"]) | values,
    "stopSequences": st.lists(texts, max_size=2) | values,
    **dict.fromkeys(["thinkingConfig", "thinking_config"], values | st.fixed_dictionaries({}, optional={
        **dict.fromkeys(["thinkingBudget", "thinking_budget"], st.integers(-1, 9) | values),
        "thinkingLevel": st.sampled_from(["low", "HIGH", "none", ""]) | values, "include_thoughts": values,
    })),
    "vendor": values,
})  # fmt: skip
tool_objects = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(["functionDeclarations", "function_declarations"], values | st.lists(
        st.fixed_dictionaries({}, optional={
            "name": texts | values, "description": values, "parameters": objects | values,
            "parametersJsonSchema": objects | values, "parameters_json_schema": objects | values, "response": values,
        }), max_size=2)),
    **dict.fromkeys(["googleSearch", "code_execution"], st.none() | objects | values),
})  # fmt: skip
choosing = st.fixed_dictionaries({}, optional={
    "mode": st.sampled_from(["AUTO", "any", "NONE", "VALIDATED", 1]) | values,
    **dict.fromkeys(["allowedFunctionNames", "allowed_function_names"], st.lists(texts, max_size=2) | values),
})  # fmt: skip


@given(st.fixed_dictionaries({"contents": st.just([])}, optional={
    **dict.fromkeys(["generationConfig", "generation_config"], configs | values),
    **dict.fromkeys(["systemInstruction", "system_instruction"], contents | values),
    "tools": values | st.lists(tool_objects | values, max_size=3),
    **dict.fromkeys(["toolConfig", "tool_config"], values | st.fixed_dictionaries({}, optional={
        **dict.fromkeys(["functionCallingConfig", "function_calling_config"], choosing | values), "vendor": values})),
    **dict.fromkeys(["safetySettings", "cached_content", "model", "vendor"], values),
}))  # fmt: skip
def test_a_body_of_any_shape_is_spelled_again_as_it_was(body):
    assert exactly(again(body)) == exactly(body)


# Requests.


def test_a_request_goes_to_its_models_path_and_asks_for_what_it_reads():
    wire = build(Message.user("Hi"))
    assert (wire.method, wire.path, wire.query) == ("POST", WHOLE, ())
    assert dict(wire.headers) == {"content-type": "application/json", "accept": "application/json"}
    assert json.loads(wire.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    wire = build(Message.user("Hi"), stream=True)
    assert (wire.path, wire.query) == (STREAMED, (("alt", "sse"),))
    assert dict(wire.headers)["accept"] == "text/event-stream"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3.8-flash", "/v1beta/models/gemini-3.8-flash"),
        ("models/gemini-3.8-flash", "/v1beta/models/gemini-3.8-flash"),
        ("tunedModels/x-1", "/v1beta/tunedModels/x-1"),
        ("a b?c#d:e", "/v1beta/models/a%20b%3Fc%23d%3Ae"),
        ("../../x", "/v1beta/models/%2E%2E/%2E%2E/x"),
    ],
)
def test_a_model_is_named_in_the_path_whatever_it_holds(model, path):
    wire = client.build_request(ModelRequest(model=model, messages=()), PLAIN)
    assert wire.path == f"{path}:generateContent"
    assert server.parse_request(wire).model == model.removeprefix("models/")


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        (WHOLE, "m", False),
        (STREAMED, "m", True),
        (f"{STREAMED}?alt=sse", "m", True),
        ("/v1/models/m:generateContent", "m", False),
        ("/models/m:generateContent", "m", False),
        ("/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent", "m", True),
        ("/v1/projects/p/locations/l/endpoints/7:generateContent", "endpoints/7", False),
    ],
)
def test_the_path_says_which_model_and_whether_it_is_a_stream(path, model, stream):
    request = parsed({"contents": []}, path)
    assert (request.model, request.stream) == (model, stream)


def test_a_model_in_the_body_is_read_where_the_path_has_none():
    assert parsed({"contents": [], "model": "models/m"}, "").model == "m"


def test_a_server_that_only_streams_is_asked_for_a_stream():
    wire = build(Message.user("Hi"), quirks=Quirks(stream_only=True))
    assert wire.path == STREAMED
    assert wire.changes == ("sent as a stream: the server answers in streams only",)


def test_parameters_have_the_names_of_this_wire_and_extra_is_merged():
    body = sent(
        Message.user("Hi"),
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        seed=1,
        stop=("a",),
        extra={"generationConfig": {"topK": 3, "temperature": 1}, "safetySettings": []},
    )
    assert body["generationConfig"] == {
        "maxOutputTokens": 9, "temperature": 1, "topP": 0.9, "seed": 1, "stopSequences": ["a"], "topK": 3,
    }  # fmt: skip
    assert body["safetySettings"] == []


def test_a_field_of_ours_outlives_a_null_that_a_request_came_with():
    request = parsed({"contents": [], "generationConfig": {"temperature": None}, "toolConfig": None})
    request = replace(request, temperature=0.5, tool_choice=ToolChoice(mode="auto"))
    body = json.loads(client.build_request(request, PLAIN).body)
    assert body["generationConfig"] == {"temperature": 0.5}
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}


@pytest.mark.parametrize(
    ("reasoning", "config", "changes"),
    [
        ("low", {"thinkingLevel": "low"}, 0),
        (1024, {"thinkingBudget": 1024}, 0),
        (0, {"thinkingBudget": 0}, 0),
        ("none", {"thinkingBudget": 0}, 1),
    ],
)
def test_reasoning_is_a_level_or_a_number_of_tokens(reasoning, config, changes):
    wire = build(Message.user("Hi"), reasoning=reasoning)
    assert json.loads(wire.body)["generationConfig"]["thinkingConfig"] == config
    assert len(wire.changes) == changes


def test_a_level_is_read_in_lower_case_and_thoughts_that_are_asked_for_stand_in_extra():
    body = {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}}
    request = parsed(body)
    assert request.reasoning == "high"
    assert again(body) == body
    shown = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    config = sent(Message.user("Hi"), reasoning="low", extra=shown)["generationConfig"]
    assert config["thinkingConfig"] == {"thinkingLevel": "low", "includeThoughts": True}


SCHEMA = {"type": "object", "properties": {"x": {"type": "number"}}}


def test_the_form_of_an_answer_is_a_json_schema_or_just_json():
    json_only = sent(Message.user("Hi"), output=OutputFormat())["generationConfig"]
    assert json_only == {"responseMimeType": "application/json"}
    wire = build(Message.user("Hi"), output=OutputFormat(schema=SCHEMA, name="n", description="d", strict=False))
    assert json.loads(wire.body)["generationConfig"] == {**json_only, "responseJsonSchema": SCHEMA}
    assert [change.partition(" of ")[0] for change in wire.changes] == ["name", "description", "strict=False"]
    old = {"contents": [], "generationConfig": {**json_only, "responseSchema": SCHEMA}}
    assert parsed(old).output.schema == SCHEMA
    enum = {"contents": [], "generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": SCHEMA}}
    assert parsed(enum).output is None


def test_functions_stand_together_and_googles_own_tools_each_in_an_object():
    search = Tool(name="googleSearch", provider_data={NAME: {"googleSearch": {}}})
    f, g = Tool(name="f", description="d", parameters=SCHEMA, strict=True), Tool(name="g")
    wire = build(Message.user("Hi"), tools=(f, g, search))
    assert json.loads(wire.body)["tools"] == [
        {"functionDeclarations": [
            {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}, {"name": "g"}]},
        {"googleSearch": {}},
    ]  # fmt: skip
    assert wire.changes == ("strict of a tool left out: this wire has no field for it",)


def test_tools_in_odd_objects_are_seen_and_go_back_as_they_came():
    body = {"contents": [], "tools": [
        {"codeExecution": None, "function_declarations": [{"name": "a", "parameters": SCHEMA}]},
        {"functionDeclarations": [{"name": "b"}], "googleSearch": {}},
    ]}  # fmt: skip
    assert [tool.name for tool in parsed(body).tools] == ["a", "b", "googleSearch"]
    assert parsed(body).tools[0].parameters == SCHEMA
    assert again(body) == body


def test_a_server_that_ignores_tools_is_not_sent_any():
    with pytest.raises(UnsupportedParameterError, match="use another"):
        build(Message.user("Hi"), tools=(Tool(name="f"),), quirks=Quirks(tools=False, tools_hint="use another"))


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="tool", name="f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_a_tool_choice_is_translated(choice, wire):
    body = sent(Message.user("Hi"), tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": wire}
    assert parsed(body).tool_choice == choice


def test_a_choice_among_several_is_a_demand_and_its_names_are_kept():
    body = {
        "contents": [],
        "toolConfig": {"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["a", "b"]}},
    }
    assert parsed(body).tool_choice == ToolChoice(mode="required")
    assert again(body) == body


def test_system_messages_are_the_instruction_and_one_from_the_middle_is_said_to_have_moved():
    wire = build(Message.system("a"), Message.user("Hi"), Message.system("b"))
    body = json.loads(wire.body)
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert len(body["contents"]) == 1
    assert "moved to the front" in wire.changes[0]
    assert build(Message.system("a"), Message.system("b"), Message.user("Hi")).changes == ()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (Message.user(Image(data=b"x")), "media_type"),
        (Message.user(Document(data=b"x")), "media_type"),
        (Message.user(Image()), "neither data nor an address"),
        (Message.system(Image(url="u")), "is text"),
        (Message(role="tool", parts=(Text(text="x"),)), r"Message\.tool"),
        (Message(role="tool", parts=()), r"Message\.tool"),
        (Message.tool("a", "x"), "'a' follows no such call"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_and_says_what_to_do(message, says):
    with pytest.raises(UnsupportedContentError, match=says):
        build(message)


FOREIGN = {"openai_chat": {":field": "reasoning_content"}}


@pytest.mark.parametrize(
    ("message", "parts", "says"),
    [
        (Message.assistant(Reasoning(text="hm", provider_data=FOREIGN), "4"), [{"text": "4"}], "only its own"),
        (Message.assistant(Refusal(text="no")), [{"text": "no"}], "refusal"),
        (
            Message.assistant(Text(text="", provider_data={"openai_chat": {"type": "x"}}), "4"),
            [{"text": "4"}],
            "another wire",
        ),
        (
            Message.assistant(ToolCall(id="a", name="f", arguments='{"x": ')),
            [{"functionCall": {"id": "a", "name": "f", "args": {"INVALID_JSON": '{"x": '}}}],
            "no JSON object",
        ),
        (
            Message.user(Image(url="u", media_type="image/png", detail="low")),
            [{"fileData": {"mimeType": "image/png", "fileUri": "u"}}],
            "detail",
        ),
        (
            Message.user(Document(file_id="files/x", filename="x.pdf")),
            [{"fileData": {"fileUri": "files/x"}}],
            "filename",
        ),
        (Message(role="user", parts=(Text(text="x"),), name="Ann"), [{"text": "x"}], "name"),
    ],
)
def test_what_was_moved_or_left_out_is_said(message, parts, says):
    wire = build(message)
    assert json.loads(wire.body)["contents"][0]["parts"] == parts
    (change,) = wire.changes
    assert says in change


def test_a_data_url_is_sent_inline():
    (content,) = sent(Message.user(Image(url="data:image/png;base64,AAAA")))["contents"]
    assert content["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]


def test_arguments_that_are_empty_are_an_empty_object():
    (content,) = sent(Message.assistant(ToolCall(id="a", name="f", arguments="")))["contents"]
    assert content["parts"][0]["functionCall"]["args"] == {}


@pytest.mark.parametrize(
    ("wire", "part"),
    [
        ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, Image(data=b"\0\0\0", media_type="image/png")),
        ({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}, Audio(data=b"\0\0\0", media_type="audio/wav")),
        ({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"fps": 2.0}},
         Document(data=b"\0\0\0", media_type="video/mp4", provider_data={NAME: {"videoMetadata": {"fps": 2.0}}})),
        ({"inlineData": {"mimeType": "image/png", "data": "_-__"}},
         Image(data=b"\xff\xef\xff", media_type="image/png", provider_data={NAME: {":base64": "url"}})),
        ({"inline_data": {"mime_type": "image/png", "data": "AAAA"}},
         Image(data=b"\0\0\0", media_type="image/png",
               provider_data={NAME: {":snake": ["inlineData"], "inlineData": {":snake": ["mimeType"]}}})),
        ({"fileData": {"fileUri": "gs://a/b.pdf", "mimeType": "application/pdf"}},
         Document(url="gs://a/b.pdf", media_type="application/pdf")),
        ({"fileData": {"fileUri": "u", "mimeType": "image/jpeg"}}, Image(url="u", media_type="image/jpeg")),
        ({"fileData": {"fileUri": "https://youtu.be/x"}}, Document(url="https://youtu.be/x")),
        ({"text": "hm", "thought": True}, Reasoning(text="hm", provider_data={NAME: {}})),
        ({"text": "hm", "thought": False}, Text(text="hm", provider_data={NAME: {"thought": False}})),
        ({"text": "", "thoughtSignature": "s"}, Text(text="", provider_data={NAME: {"thoughtSignature": "s"}})),
        ({"functionCall": {"id": "a", "name": "f", "args": {"x": [1, 2.5]}}, "thoughtSignature": "s"},
         ToolCall(id="a", name="f", arguments='{"x":[1,2.5]}', provider_data={NAME: {"thoughtSignature": "s"}})),
        ({"functionCall": {"name": "f"}},
         ToolCall(id="gemini_0_0", name="f", arguments="{}",
                  provider_data={NAME: {"functionCall": {":absent": ["args"]}}})),
        ({"executableCode": {"language": "PYTHON", "code": "1"}},
         Text(text="", provider_data={
             NAME: {"executableCode": {"language": "PYTHON", "code": "1"}, ":absent": ["text"]}})),
    ],
)  # fmt: skip
def test_a_part_has_this_type(wire, part):
    body = {"contents": [{"role": "model", "parts": [wire]}]}
    assert parsed(body).messages[0].parts == (part,)
    assert again(body) == body


@pytest.mark.parametrize(
    ("response", "parts", "is_error"),
    [
        ({"output": "Rain"}, ("Rain",), False),
        ({"error": "no such city"}, ("no such city",), True),
        ({"output": ["a", "b"]}, ("a", "b"), False),
        ({"error": []}, (), True),
        ({}, (), False),
        ({"degrees": 21, "sky": "blue"}, ('{"degrees":21,"sky":"blue"}',), False),
        ({"output": {"x": 1}}, ('{"output":{"x":1}}',), False),
        ({"output": '{"x":1}'}, ('{"x":1}',), False),
    ],
)
def test_a_result_is_an_object(response, parts, is_error):
    call = {"functionCall": {"id": "a", "name": "f", "args": {}}}
    told = {"functionResponse": {"id": "a", "name": "f", "response": response}}
    body = {"contents": [{"role": "model", "parts": [call]}, {"role": "user", "parts": [told]}]}
    message = parsed(body).messages[1]
    (result,) = message.parts
    assert message.role == "tool"
    assert (tuple(part.text for part in result.parts), result.is_error) == (parts, is_error)
    assert again(body) == body


def test_a_result_may_hold_pictures():
    call = ToolCall(id="a", name="f", arguments="{}")
    image = Image(data=b"\0\0\0", media_type="image/png")
    _, turn = sent(Message.assistant(call), Message.tool(call, "see", image))["contents"]
    assert turn["parts"] == [
        {"functionResponse": {"id": "a", "name": "f", "response": {"output": "see"},
                              "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}
    ]  # fmt: skip


def test_tool_results_in_a_row_are_one_turn_of_the_user_and_those_that_stood_apart_stay_apart():
    calls = [ToolCall(id=id_, name=f"f_{id_}", arguments="{}") for id_ in ("a", "b")]
    body = sent(Message.assistant(*calls), Message.tool("a", "1"), Message.tool("b", "2"))
    assert [content["role"] for content in body["contents"]] == ["model", "user"]
    assert [part["functionResponse"]["name"] for part in body["contents"][1]["parts"]] == ["f_a", "f_b"]
    first, second = ({"role": "user", "parts": [part]} for part in body["contents"][1]["parts"])
    apart = {"contents": [body["contents"][0], first, second]}
    assert again(apart) == apart


def test_results_without_an_id_are_for_the_first_waiting_call_of_their_name():
    call = {"functionCall": {"name": "f", "args": {}}}
    other = {"functionCall": {"name": "g", "args": {}}}
    told = [{"functionResponse": {"name": name, "response": {"output": name}}} for name in ("g", "f", "f", "h")]
    body = {"contents": [{"role": "model", "parts": [call, other, call]}, {"role": "user", "parts": told}]}
    asked, answered = parsed(body).messages
    ids = [part.id for part in asked.parts]
    assert len(set(ids)) == 3
    assert [part.call_id for part in answered.parts] == [ids[1], ids[0], ids[2], "gemini_1_3"]
    assert again(body) == body


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"contents": "x"}', b'{"contents": [1]}', b'{"contents": null}']
)
def test_a_body_that_is_no_request_is_an_input_error(body):
    with pytest.raises(InputError):
        server.parse_request(WireRequest(path=WHOLE, body=body))
    with pytest.raises(InputError, match="names no model"):
        server.parse_request(WireRequest(path="/v1beta/x", body=b'{"contents": []}'))


# Answers.


@pytest.mark.parametrize(("raw", "ours"), [*FINISH_REASONS.items(), ("OTHER", "other"), ("SOMETHING_NEW", "other")])
def test_a_finish_reason_is_translated_and_kept(raw, ours):
    response = answer({"text": "x"}, stop=raw)
    assert (response.finish_reason, response.finish_reason_raw) == (ours, raw)


def test_a_finish_reason_may_be_a_number_and_stop_beside_calls_waits_for_them():
    assert answer({"text": "x"}, stop=2).finish_reason == "length"
    assert answer({"text": "x"}, stop=2).finish_reason_raw == "2"
    called = answer({"functionCall": {"name": "f", "args": {}}})
    assert (called.finish_reason, called.finish_reason_raw) == ("tool_calls", "STOP")
    assert json.loads(server.build_response(answer({"text": "x"}, stop=2)).body)["candidates"][0]["finishReason"] == 2


@pytest.mark.parametrize(
    ("ours", "word"), [("stop", "STOP"), ("length", "MAX_TOKENS"), ("tool_calls", "STOP"), ("content_filter", "SAFETY")]
)
def test_an_answer_of_another_wire_ends_with_a_word_of_this_one(ours, word):
    response = Response(message=Message.assistant("x"), finish_reason=ours, finish_reason_raw="foreign", model="m")
    assert json.loads(server.build_response(response).body)["candidates"][0]["finishReason"] == word


def test_the_fields_of_an_answer_have_their_places():
    response = whole({
        "candidates": [candidate({"text": "Hi"}, index=0, avgLogprobs=-0.5, safetyRatings=[{"probability": "LOW"}],
                                 citationMetadata={"citations": [{"uri": "u"}]},
                                 logprobsResult={"chosenCandidates": [1]}),
                       candidate({"text": "Ho"}, stop="MAX_TOKENS", index=1, tokenCount=3)],
        "modelVersion": "gemini-3.8-flash", "responseId": "r1", "createTime": "2026-05-27T16:53:45.443719Z",
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"},
        "promptFeedback": {"safetyRatings": []},
    })  # fmt: skip
    assert (response.text, response.model, response.id) == ("Hi", "gemini-3.8-flash", "r1")
    assert (response.created, response.service_tier) == (1_779_900_825, "ON_DEMAND_PRIORITY")
    assert response.provider_data[NAME]["candidates"] == [
        {"avgLogprobs": -0.5, "safetyRatings": [{"probability": "LOW"}],
         "citationMetadata": {"citations": [{"uri": "u"}]}, "logprobsResult": {"chosenCandidates": [1]}}
    ]  # fmt: skip
    (other,) = response.candidates
    assert (other.text, other.finish_reason, other.provider_data) == ("Ho", "length", {NAME: {"tokenCount": 3}})


def test_pictures_of_an_answer_are_images_also_in_a_stream():
    wire = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "s"}
    image = Image(data=b"\0\0\0", media_type="image/png", provider_data={NAME: {"thoughtSignature": "s"}})
    assert answer({"text": "see"}, wire).parts == (Text(text="see"), image)
    events = run(sse(chunk({"text": "see"}), chunk(wire, finishReason="STOP")))
    assert PartAdded(part=image, index=1) in events
    assert fold(events).parts == (Text(text="see"), image)


def test_ids_that_were_made_differ_say_so_and_are_not_sent_back():
    call = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "s"}
    response = answer({"text": "a"}, call, call)
    assert [each.id for each in response.tool_calls] == ["gemini_r1_0", "gemini_r1_1"]
    streamed = fold(run(sse(chunk({"text": "a"}), chunk(call), chunk(call, finishReason="STOP"))))
    assert streamed.tool_calls == response.tool_calls
    further = whole({"candidates": [candidate(call), candidate(call)], "responseId": "r1"})
    assert further.candidates[0].message.parts[0].id == "gemini_r1_1_0"
    results = [Message.tool(each, "ok") for each in response.tool_calls]
    contents = sent(Message.user("Hi"), response.message, *results)["contents"]
    assert contents[1]["parts"] == [{"text": "a"}, call, call]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "ok"}}}] * 2


def test_a_message_appended_to_a_conversation_goes_back_part_by_part():
    parts = [
        {"text": "hm", "thought": True},
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s1"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "s2"},
        {"text": "", "thoughtSignature": "s3"},
    ]
    for response in (answer(*parts), fold(run(sse(*[chunk(part) for part in parts], chunk(finishReason="STOP"))))):
        wire = build(Message.user("Hi"), response.message)
        assert json.loads(wire.body)["contents"][1] == {"role": "model", "parts": parts}
        assert wire.changes == ()


def test_a_prompt_that_was_blocked_is_an_error_that_keeps_its_usage():
    body = {
        "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"},
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
        "modelVersion": "m",
    }
    for read in (lambda: whole(body), lambda: run(sse(body)), lambda: whole([body])):
        with pytest.raises(ContentBlockedError, match=r"blocked \(SAFETY\): no") as caught:
            read()
        error = caught.value
        assert (error.status, error.provider_code, error.partial.usage.input) == (200, "SAFETY", 7)


def test_an_answer_without_a_candidate_that_was_counted_is_an_answer():
    response = whole({"usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}, "modelVersion": "m"})
    assert (response.text, response.finish_reason, response.usage.input) == ("", "other", 7)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "no JSON"),
        (b'"x"', "no object"),
        (b"[]", "no object"),
        (b"{}", "no candidates"),
        (b'{"error": {"message": "no"}}', "it is an error: no"),
        (b'[{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}]', "none of them says why"),
        (b'[{"candidates": ', "no JSON"),
    ],
)
def test_a_reply_that_is_no_answer_is_a_parse_error_with_its_bytes(body, why):
    with pytest.raises(ResponseParseError, match=why) as caught:
        client.parse_response(reply(body), PLAIN)
    assert caught.value.body == body


odd_answers = st.fixed_dictionaries({}, optional={
    "candidates": values | st.lists(values | st.fixed_dictionaries({}, optional={
        "content": values | contents, "finishReason": st.sampled_from(["STOP", 1]) | values, "index": values,
        "groundingMetadata": values | st.dictionaries(st.just("webSearchQueries"), values),
    }), max_size=2),
    "usageMetadata": values | st.dictionaries(
        st.sampled_from(["promptTokenCount", "totalTokenCount", "promptTokensDetails", "trafficType"]),
        values | st.lists(st.dictionaries(st.sampled_from(["modality", "tokenCount"]), values), max_size=2)),
    "promptFeedback": values | st.dictionaries(st.just("blockReason"), values),
    "modelVersion": texts | values, "responseId": texts | values, "createTime": texts | values, "error": values,
})  # fmt: skip


@given(odd_answers)
def test_an_answer_of_any_shape_is_read_or_refused(body):
    try:
        response = whole(body)
    except (ResponseParseError, ContentBlockedError):
        return
    again = replace(client.parse_response(server.build_response(response), PLAIN), body=None)
    assert (again.text, again.tool_calls, again.usage) == (response.text, response.tool_calls, response.usage)


@given(st.lists(odd_answers | values, max_size=3), cuts)
def test_chunks_of_any_shape_are_read_or_refused_and_cuts_change_nothing(chunks, sizes):
    body = sse(*chunks)
    events, error = outcome(body, sizes)
    expected, refused = outcome(body)
    assert (events, type(error)) == (expected, type(refused))


# Streams.


def test_pieces_of_a_text_are_one_and_a_signed_piece_is_a_part_of_its_own():
    events = run(
        sse(
            chunk({"text": "h", "thought": True}),
            chunk({"text": "m", "thought": True}, {"text": "Hel"}),
            chunk({"text": "lo"}),
            chunk({"text": "", "thoughtSignature": "s"}),
            chunk({"text": "!"}, {"text": ""}, finishReason="STOP"),
        )
    )
    assert fold(events).parts == (
        Reasoning(text="hm", provider_data={NAME: {}}),
        Text(text="Hello"),
        Text(text="", provider_data={NAME: {"thoughtSignature": "s"}}),
        Text(text="!"),
    )
    assert events[0] == ResponseStart(id="r1")
    assert TextDelta(text="lo", index=1) in events


def test_arguments_in_pieces_are_put_where_their_paths_say():
    def call(**inner):
        return chunk({"functionCall": inner})

    events = run(
        sse(
            chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "s"}),
            call(partialArgs=[{"jsonPath": "$.city", "stringValue": "Par", "willContinue": True}], willContinue=True),
            call(partialArgs=[{"jsonPath": "$.city", "stringValue": "is"}], willContinue=True),
            call(
                partialArgs=[
                    {"jsonPath": "$.days[0].at", "numberValue": 3},
                    {"jsonPath": "$.days[9].at", "boolValue": False},
                    {"jsonPath": "$['a b']", "nullValue": "NULL_VALUE"},
                ],
                willContinue=True,
            ),
            call(),
            chunk({"functionCall": {"name": "g", "args": {}}}, finishReason="STOP"),
        )
    )
    first, second = fold(events).tool_calls
    expected = {"city": "Paris", "days": [{"at": 3}, {"at": False}], "a b": None}
    assert (first.name, first.parse_arguments()) == ("f", expected)
    assert first.provider_data == {NAME: {"thoughtSignature": "s"}}
    assert second.name == "g"
    assert [event.name for event in events if isinstance(event, ToolCallStart)] == ["f", "g"]
    assert len([event for event in events if isinstance(event, ToolCallDelta)]) == 2


def test_further_candidates_come_whole_with_the_end():
    def both(index, text, **fields):
        return {"index": index, "content": {"parts": [{"text": text}]}, **fields}

    body = sse(
        {"candidates": [both(0, "a"), both(1, "x")]},
        {"candidates": [both(1, "y", finishReason="MAX_TOKENS", avgLogprobs=-1.0)]},
        {"candidates": [both(0, "b", finishReason="STOP")]},
    )
    response = fold(run(body))
    assert response.text == "ab"
    (other,) = response.candidates
    assert (other.text, other.finish_reason, other.provider_data) == ("xy", "length", {NAME: {"avgLogprobs": -1.0}})
    assert not any(isinstance(event, ResponseEnd) for event in run(body[: body.rindex(b"data: ")]))


def test_what_chunks_say_of_a_candidate_grows():
    def said(**fields):
        return chunk(groundingMetadata=fields.pop("grounding", {}), **fields)

    events = run(
        sse(
            said(logprobsResult={"chosenCandidates": [1]}, safetyRatings=[1]),
            said(grounding={"webSearchQueries": ["a"]}, logprobsResult={"chosenCandidates": [2]}, safetyRatings=[2]),
            said(grounding={"webSearchQueries": ["a", "b"], "groundingChunks": [3]}, finishReason="STOP"),
            said(),
        )
    )
    response = fold(events)
    assert response.provider_data[NAME]["candidates"] == [
        {
            "logprobsResult": {"chosenCandidates": [1, 2]},
            "safetyRatings": [2],
            "groundingMetadata": {"webSearchQueries": ["a", "b"], "groundingChunks": [3]},
        }
    ]
    assert response.usage.web_searches == 2


def test_usage_is_cumulative_and_a_chunk_without_counts_takes_none_away():
    counted = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    events = run(
        sse(
            {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}},
            {**chunk({"text": "b"}, finishReason="STOP"), "usageMetadata": counted},
            {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        )
    )
    response = fold(events)
    assert (response.usage.input, response.usage.output, response.service_tier) == (3, 2, "ON_DEMAND")


def test_an_error_inside_a_stream_comes_after_what_came_before_it():
    body = sse(chunk({"text": "a"}), {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})
    for stream in (body, b"[" + b",".join(line[6:] for line in body.split(b"\r\n\r\n") if line) + b"]"):
        events, error = outcome(stream)
        assert [event.text for event in events if isinstance(event, TextDelta)] == ["a"]
        assert (type(error), error.status, str(error)) == (OverloadedError, 200, "busy")


def test_a_stream_of_a_gateway_ends_with_its_mark():
    assert fold(run(sse(chunk({"text": "a"})) + b"data: [DONE]\n\n")).finish_reason == "other"


def test_chunks_whose_blank_lines_were_left_out_are_read():
    lines = sse(chunk({"text": "a"}), chunk({"text": "b"}, finishReason="STOP")).replace(b"\r\n\r\n", b"\n")
    assert fold(run(lines)).text == "ab"


def test_a_chunk_that_is_no_json_is_a_parse_error():
    with pytest.raises(ResponseParseError):
        run(b"data: {\n\ndata: {}\n\n")


@given(st.lists(objects, max_size=4), cuts, st.sampled_from([",", " ,\r\n", ",\n\n  "]))
def test_the_entries_of_an_array_are_cut_out_of_it(entries, sizes, between):
    framer = ArrayFramer()
    body = ("[" + between.join(json.dumps(entry, indent=1) for entry in entries) + "\n]\n\n").encode()
    frames, at = [], 0
    for size in [*sizes * len(body), len(body)]:
        frames += framer.feed(body[at : at + size])
        at += size
    assert [json.loads(frame.data) for frame in frames] == entries
    assert framer.closed
    assert framer.end() == []


def test_an_entry_that_is_too_large_is_refused_after_those_before_it():
    framer = ArrayFramer(limit=10)
    (frame,) = framer.feed(b'[{"a": 1}, {"b": "' + b"x" * 20)
    assert frame.data == b'{"a": 1}'
    with pytest.raises(ProtocolError, match="10 bytes"):
        framer.feed(b"x")
    with pytest.raises(ProtocolError):
        ArrayFramer(limit=10).feed(b'[{"b": "' + b"x" * 20)


# Usage.

EXAMPLE = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 200,
    "thoughtsTokenCount": 300,
    "toolUsePromptTokenCount": 50,
    "totalTokenCount": 1550,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 300}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 400}],
}


def test_the_example_costs_what_the_price_list_says():
    usage = client.parse_usage(EXAMPLE)
    assert dict(usage.buckets()) == {
        "input": 350, "cache_read": 400, "input_audio": 300, "output": 200, "reasoning": 300,
    }  # fmt: skip
    assert usage.total_tokens == 1550
    assert str(Prices().cost("google", "gemini-2.5-flash", usage, at=1_790_000_000)) == "$0.001667"


@pytest.mark.parametrize(
    ("reported", "buckets"),
    [
        ({"promptTokenCount": 5}, {"input": 5}),
        ({"promptTokenCount": 5, "candidatesTokenCount": None, "totalTokenCount": 5.0}, {"input": 5}),
        (
            {"promptTokenCount": 9, "cachedContentTokenCount": 6, "totalTokenCount": 9,
             "promptTokensDetails": [{"modality": 4, "tokenCount": 5}, {"modality": 1, "tokenCount": 4}],
             "cacheTokensDetails": [{"modality": 4, "tokenCount": 4}]},
            {"input": 2, "cache_read": 2, "input_audio": 1, "cache_read_audio": 4},
        ),
        (
            {"candidatesTokenCount": 9, "totalTokenCount": 9, "candidatesTokensDetails": [
                {"modality": "IMAGE", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 3}]},
            {"output": 2, "output_image": 4, "output_audio": 3},
        ),
        (
            {"promptTokenCount": 9, "totalTokenCount": 9, "promptTokensDetails": [
                {"modality": "IMAGE", "tokenCount": 8}, {"modality": "DOCUMENT"}, 7]},
            {"input": 9},
        ),
        (
            {"toolUsePromptTokenCount": 9, "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}]},
            {"input": 5, "input_audio": 4},
        ),
    ],
)  # fmt: skip
def test_usage_is_sorted_into_buckets(reported, buckets):
    usage = client.parse_usage(reported)
    assert (usage.source, dict(usage.buckets()), usage.reported) == ("provider", buckets, reported)


@pytest.mark.parametrize(
    "change",
    [
        {"promptTokenCount": -1},
        {"thoughtsTokenCount": 1.5},
        {"candidatesTokenCount": "many"},
        {"totalTokenCount": 1549},
        {"cachedContentTokenCount": 1001},
        {"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 401}]},
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1001}]},
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -1}]},
        {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 201}]},
        {"toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 51}]},
    ],
)
def test_a_number_that_cannot_be_makes_the_usage_suspect(change):
    usage = client.parse_usage({**EXAMPLE, **change})
    assert (usage.source, list(usage.buckets()), usage.total_tokens) == ("suspect", [], None)


def test_usage_that_was_not_sent_is_missing_and_one_that_is_no_object_suspect():
    assert client.parse_usage(None) == Usage(source="missing")
    assert client.parse_usage({}) == Usage(source="missing")
    assert client.parse_usage({"trafficType": "ON_DEMAND"}).source == "missing"
    assert client.parse_usage([1]).source == "suspect"


@pytest.mark.parametrize(
    ("model", "searches"), [("gemini-2.5-flash", 1), ("gemini-3.8-flash", 2), ("gemini-4-argon", 2), ("", 2)]
)
def test_searches_count_as_they_are_billed(model, searches):
    """By grounded prompt before Gemini 3, by different query since."""
    grounded = candidate({"text": "x"}, groundingMetadata={"webSearchQueries": ["a", "b", "a", ""]})
    response = whole({"candidates": [grounded], "modelVersion": model})
    assert response.usage.web_searches == searches


@given(usages())
def test_usage_of_another_wire_is_spelled_in_words_that_mean_the_same(reported):
    foreign = replace(client.parse_usage(reported), reported={"prompt_tokens": 1}, web_searches=0)
    response = Response(message=Message.assistant("x"), finish_reason="stop", model="m", usage=foreign)
    usage = client.parse_response(server.build_response(response), PLAIN).usage
    assert dict(usage.buckets()) == dict(foreign.buckets())


# Errors.


def problem(status, word=None, message="no", *details, code=None):
    error = {"code": code or status, "message": message, "status": word, "details": list(details)}
    return client.parse_error(reply({"error": error}, status=status))


def detail(kind, **fields):
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


def limits(*ids):
    return detail("QuotaFailure", violations=[{"quotaId": id_} for id_ in ids])


PER_DAY, PER_MINUTE = "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "GenerateContentInputTokensPerModelPerMinute"


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        (problem(400, "INVALID_ARGUMENT"), "bad_request"),
        (problem(400, "INVALID_ARGUMENT", "no", detail("ErrorInfo", reason="API_KEY_INVALID")), "authentication"),
        (problem(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), "authentication"),
        (problem(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed."),
         "context_length"),
        (problem(400, "FAILED_PRECONDITION"), "bad_request"),
        (problem(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), "permission_denied"),
        (problem(401, "UNAUTHENTICATED"), "authentication"),
        (problem(402), "quota"),
        (problem(403, "PERMISSION_DENIED"), "permission_denied"),
        (problem(404, "NOT_FOUND", "models/x is not found for API version v1beta"), "model_not_found"),
        (problem(404, "NOT_FOUND", "File x not found"), "not_found"),
        (problem(409, "ABORTED"), "conflict"),
        (problem(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"), "rate_limit"),
        (problem(429, "RESOURCE_EXHAUSTED", "no", limits(PER_MINUTE)), "rate_limit"),
        (problem(429, "RESOURCE_EXHAUSTED", "no", limits(PER_MINUTE, PER_DAY)), "quota"),
        (problem(429, "RESOURCE_EXHAUSTED", "free_tier_requests, limit: 0\nPlease retry"), "quota"),
        (problem(429, "RESOURCE_EXHAUSTED", "limit: 0.5"), "rate_limit"),
        (problem(499, "CANCELLED"), "provider"),
        (problem(500, "INTERNAL"), "server"),
        (problem(503, "UNAVAILABLE"), "overloaded"),
        (problem(504, "DEADLINE_EXCEEDED"), "server"),
        (client.parse_error(reply([{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}], 403)),
         "permission_denied"),
        (client.parse_error(reply(b"<html><title>502 Bad Gateway</title>", 502)), "server"),
        (client.parse_error(reply(b"", 413)), "request_too_large"),
        (client.parse_error(reply({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}})),
         "rate_limit"),
        (client.parse_error(reply({"error": {"message": "no", "status": "INTERNAL"}})), "server"),
    ],
)  # fmt: skip
def test_a_refusal_has_its_kind(info, kind):
    assert info.kind == kind


@pytest.mark.parametrize(
    ("wait", "seconds"), [("46s", 46.0), ("0.5s", 0.5), ("-1s", None), ("46", None), (46, None), ("9" * 20 + "s", None)]
)
def test_how_long_to_wait_stands_in_the_details(wait, seconds):
    info = problem(429, "RESOURCE_EXHAUSTED", "no", detail("RetryInfo", retryDelay=wait))
    assert info.retry_after == seconds


def test_a_refusal_keeps_its_words():
    info = problem(
        400,
        "INVALID_ARGUMENT",
        "no",
        detail("ErrorInfo", reason="API_KEY_INVALID"),
        detail("BadRequest", fieldViolations=[{"field": "contents[0]"}]),
    )
    assert (info.code, info.type, info.param) == ("API_KEY_INVALID", "INVALID_ARGUMENT", "contents[0]")


kinds = st.sampled_from(sorted(KIND_WORDS))
infos = st.builds(
    ErrorInfo,
    kind=kinds,
    message=st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20),
    status=st.none() | st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503, 529]),
    code=st.none() | st.sampled_from([*[code.upper() for code in CODES], "ODD"]),
    type=st.none() | st.sampled_from([*[word.upper() for word in TYPES], "ODD"]),
    param=st.none() | words,
    request_id=st.none() | st.sampled_from(["req_1"]),
    retry_after=st.none() | st.sampled_from([0.5, 3.0, 46.0]),
)


@given(infos)
def test_an_error_that_was_built_has_its_kind_again(info):
    said = client.parse_error(server.build_error(info))
    assert said.kind == info.kind
    assert (said.message, said.request_id, said.retry_after) == (info.message, info.request_id, info.retry_after)
    assert isinstance(error_from(said), APIStatusError)


@given(infos)
def test_an_error_inside_a_stream_has_its_kind_too(info):
    events, error = outcome(sse(chunk({"text": "a"})) + server.build_stream_error(info))
    assert events
    assert (error.kind, error.message, error.retry_after) == (info.kind, info.message, info.retry_after)


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_bytes_break_the_reader_of_errors(body, status):
    assert client.parse_error(WireReply(status=status, body=body)).kind in KINDS


@given(values, st.integers(200, 599))
def test_no_json_breaks_the_reader_of_errors(value, status):
    for body in (value, {"error": value}, {"error": {"details": value}}, {"error": {"details": [value]}}):
        assert client.parse_error(reply(body, status)).kind in KINDS


def test_every_kind_in_the_tables_exists():
    made = {*CODES.values(), *STATUSES.values(), *TYPES.values(), *[kind for _, _, kind in WORDING], *KIND_WORDS}
    assert made <= KINDS.keys()


def test_the_halves_are_found_by_name():
    assert load_client(NAME) is client
    assert load_server(NAME) is server
