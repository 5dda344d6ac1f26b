"""Bedrock's Converse: each word of its tables, and each thing that is renamed, moved, left out or refused."""

import json

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from halves import PLAIN, events_of, outcome_of, reply, values
from invented_bedrock import ANSWER, BEGUN, END, SOURCE, STREAM, THROTTLED, chunks, delta, frame, refusal, stop
from quoth._framing import build_aws_message
from quoth.dialects import load_client
from quoth.dialects._aws import CODES, KIND_WORDS, TYPES, WORDING
from quoth.dialects._errors import error_from
from quoth.dialects.bedrock_converse import client, server
from quoth.dialects.bedrock_converse._words import DOCUMENTS, FINISH_REASONS, IMAGES, SOUNDS, STOP_REASONS, VIDEOS
from quoth.dialects.bedrock_invoke import client as invoke_client, server as invoke_server
from quoth.dialects.server import load_server
from quoth.errors import (
    KINDS,
    APIStatusError,
    InputError,
    ProtocolError,
    RateLimitError,
    ResponseParseError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from quoth.events import PartAdded, ResponseEnd, ResponseStart, TextDelta, ToolCallDelta, fold
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
    Usage,
)
from quoth.wire import ErrorInfo, Quirks, WireReply, WireRequest

NAME = "bedrock_converse"
HI = Message.user("Hi")
CLAUDE = "us.anthropic.claude-sonnet-4-6"
POINT = {"cachePoint": {"type": "default"}}


def build(*messages, model="m", quirks=PLAIN, **fields):
    return client.build_request(ModelRequest(model=model, messages=messages or (HI,), **fields), quirks)


def sent(*messages, **fields):
    return json.loads(build(*messages, **fields).body)


def blocks(*parts, role="user"):
    """The blocks that a turn of these parts is spelled as, and what was changed."""
    wire = build(Message(role=role, parts=parts))
    return json.loads(wire.body)["messages"][0]["content"], wire.changes


def parsed(body, path="/model/m/converse"):
    return server.parse_request(
        WireRequest(path=path, body=body if isinstance(body, bytes) else json.dumps(body).encode())
    )


def whole(body):
    return replace(client.parse_response(reply(body), PLAIN), body=None)


def answer(*content, stop="end_turn", **fields):
    message = {"role": "assistant", "content": list(content)}
    return {"output": {"message": message}, "stopReason": stop, "usage": END["usage"], **fields}


def told(*frames, stop="end_turn", **end):
    """The events of a stream of these frames, with its beginning and its end."""
    last = frame("messageStop", {"stopReason": stop}), frame("metadata", {"usage": END["usage"], **end})
    return events_of(client, b"".join([BEGUN, *frames, *last]))


def kept(**data):
    return {NAME: data}


# Requests.


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        ("us.amazon.nova-micro-v1:0", "us.amazon.nova-micro-v1%3A0"),
        ("global.anthropic.claude-sonnet-5-5", "global.anthropic.claude-sonnet-5-5"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc",
        ),
        ("a b/../ü?#%", "a%20b%2F..%2F%C3%BC%3F%23%25"),
    ],
)
def test_a_model_is_one_segment_of_the_path_whatever_it_holds(model, segment):
    for streamed, verb in ((False, "converse"), (True, "converse-stream")):
        wire = build(model=model, stream=streamed)
        assert wire.path == f"/model/{segment}/{verb}"
        assert (server.parse_request(wire).model, server.parse_request(wire).stream) == (model, streamed)
    if "?" not in model:  # as some clients write it
        path = f"/base/model/{model}/converse?x=1"
        assert server.parse_request(WireRequest(path=path, body=build().body)).model == model


def test_a_stream_is_asked_for_by_the_path_and_the_header():
    assert ("accept", "application/vnd.amazon.eventstream") in build(stream=True).headers
    assert ("accept", "application/json") in build().headers
    wire = build(quirks=Quirks(stream_only=True))
    assert wire.path.endswith("/converse-stream")
    assert "streams only" in wire.changes[0]
    with pytest.raises(UnsupportedParameterError, match=r"models.stream"):
        build(extra={"stream": True})


def test_parameters_have_the_names_of_this_wire_and_extra_is_merged():
    body = sent(
        Message.system("Be brief."),
        HI,
        max_tokens=9,
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        tools=(Tool(name="f", description="d", parameters={"type": "object"}, strict=True),),
        tool_choice=ToolChoice(mode="required"),
        extra={
            "inferenceConfig": {"temperature": 1},
            "additionalModelRequestFields": {"top_k": 5},
            "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
            "serviceTier": {"type": "flex"},
        },
    )
    assert body == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 1, "topP": 0.9, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "f",
                        "description": "d",
                        "inputSchema": {"json": {"type": "object"}},
                        "strict": True,
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
        "additionalModelRequestFields": {"top_k": 5},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "serviceTier": {"type": "flex"},
    }


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(mode="auto"), {"auto": {}}),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="tool", name="f"), {"tool": {"name": "f"}}),
    ],
)
def test_a_tool_choice_is_translated(choice, wire):
    body = sent(tools=(Tool(name="f"),), tool_choice=choice)
    assert body["toolConfig"]["toolChoice"] == wire
    assert body["toolConfig"]["tools"] == [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]
    assert parsed(body).tool_choice == choice


def test_no_tool_may_be_called_where_none_is_sent_and_else_it_is_refused():
    wire = build(tools=(Tool(name="f"),), tool_choice=ToolChoice(mode="none"))
    assert "toolConfig" not in json.loads(wire.body)
    assert wire.changes == ("tools left out for tool_choice='none': this wire has no such choice",)
    call = Message.assistant(ToolCall(id="t", name="f", arguments="{}"))
    with pytest.raises(UnsupportedParameterError, match="demands those that the conversation has used"):
        build(HI, call, Message.tool("t", "x"), tools=(Tool(name="f"),), tool_choice=ToolChoice(mode="none"))


def test_tools_of_amazons_own_and_points_of_a_cache_stand_among_the_tools():
    tools = (
        Tool(name="nova_grounding", provider_data=kept(systemTool={"name": "nova_grounding"})),
        Tool(name="cachePoint", provider_data=kept(**POINT)),
    )
    body = sent(tools=tools)
    assert body["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}, POINT]
    assert parsed(body).tools == tools


@pytest.mark.parametrize(
    ("model", "amount", "fields"),
    [
        (CLAUDE, "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (CLAUDE, 1024, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (CLAUDE, "none", {"thinking": {"type": "disabled"}}),
        ("us.amazon.nova-2-lite-v1:0", "low", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ("us.amazon.nova-2-lite-v1:0", "none", {"reasoningConfig": {"type": "disabled"}}),
        ("openai.gpt-oss-120b-1:0", "medium", {"reasoning_effort": "medium"}),
        ("openai.gpt-oss-120b-1:0", "none", {"reasoning_effort": "none"}),
        (f"arn:aws:bedrock:us-east-1:1:inference-profile/{CLAUDE}", 2048,
         {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    ],
)  # fmt: skip
def test_reasoning_is_said_in_the_words_of_the_models_maker(model, amount, fields):
    wire = build(model=model, reasoning=amount)
    assert json.loads(wire.body)["additionalModelRequestFields"] == fields
    assert server.parse_request(wire).reasoning == amount


@pytest.mark.parametrize(("model", "budget"), [(CLAUDE, 0), ("amazon.nova-2-lite-v1:0", 0), ("openai.gpt-oss", 0)])
def test_reasoning_of_no_tokens_is_none(model, budget):
    assert build(model=model, reasoning=budget).body == build(model=model, reasoning="none").body


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"seed": 1}, "no seed"),
        ({"output": OutputFormat()}, "give a schema"),
        ({"reasoning": "low"}, "how 'm' is told how much to think"),
        ({"model": "amazon.nova-2-lite-v1:0", "reasoning": 100}, "takes an effort"),
        ({"model": "openai.gpt-oss", "reasoning": 100}, "take an effort"),
        ({"model": CLAUDE, "reasoning": -1}, "not negative"),
        ({"tools": (Tool(name="f"),), "quirks": Quirks(tools=False)}, "ignores tools"),
    ],
)
def test_what_the_wire_cannot_be_asked_is_refused(fields, says):
    with pytest.raises(UnsupportedParameterError, match=says):
        build(**fields)


def test_the_form_of_an_answer_has_its_schema_as_a_text():
    output = OutputFormat(schema={"type": "object"}, name="n", description="d", strict=True)
    wire = build(output=output)
    assert json.loads(wire.body)["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n", "description": "d"}},
        }
    }
    assert server.parse_request(wire).output == replace(output, strict=None)
    assert "always holds" in build(output=replace(output, strict=False)).changes[0]
    spaced = json.loads(wire.body)
    spaced["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"] = '{ "type": "object" }'
    read = parsed(spaced)
    assert read.output.schema == {"type": "object"}
    assert json.loads(client.build_request(read, PLAIN).body) == spaced


# Turns.


def test_a_system_message_stands_beside_the_turns_and_one_from_the_middle_is_said_to_have_moved():
    wire = build(Message.system("a"), HI, Message.system("b"))
    assert json.loads(wire.body)["system"] == [{"text": "a"}, {"text": "b"}]
    assert wire.changes == ("a system message moved to the front: this wire has no other place for it",)
    with pytest.raises(UnsupportedContentError, match="is text"):
        build(Message.system(Image(data=b"", media_type="image/png")))
    among = {"messages": [{"role": "system", "content": [{"text": "x"}]}]}
    assert parsed(among).messages[0].role == "system"
    assert json.loads(client.build_request(parsed(among), PLAIN).body) == among


def test_a_system_text_that_says_nothing_is_left_out():
    wire = build(Message.system("", "a"), HI)
    assert json.loads(wire.body)["system"] == [{"text": "a"}]
    assert "says nothing" in wire.changes[0]
    assert "system" not in sent(Message.system(" "), HI)
    body = {"messages": [], "system": [{"text": ""}]}
    assert json.loads(client.build_request(parsed(body), PLAIN).body) == body


def test_turns_of_one_speaker_are_sent_as_one_and_results_with_what_the_user_says_after_them():
    call = Message.assistant(ToolCall(id="t1", name="f", arguments="{}"), ToolCall(id="t2", name="f", arguments="{}"))
    wire = build(HI, call, Message.tool("t1", "a"), Message.tool("t2", "b", is_error=True), Message.user("And?"))
    turns = json.loads(wire.body)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[2]["content"] == [
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "a"}]}},
        {"toolResult": {"toolUseId": "t2", "content": [{"text": "b"}], "status": "error"}},
        {"text": "And?"},
    ]
    assert wire.changes == ()
    wire = build(HI, Message.user("again"))
    assert len(json.loads(wire.body)["messages"]) == 1
    assert "turns of one speaker" in wire.changes[0]
    apart = {"messages": [{"role": "user", "content": [{"text": text}]} for text in "ab"]}
    assert json.loads(client.build_request(parsed(apart), PLAIN).body) == apart


@pytest.mark.parametrize(
    ("part", "left"),
    [
        (Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "s"}}), "reasoning that came over"),
        (Text(text="", provider_data={"gemini": {"executableCode": {}}}), "only another wire can carry"),
        (Text(text=" "), "a blank text left out"),
    ],
)
def test_what_the_wire_refuses_of_an_answer_is_left_out_and_said(part, left):
    content, changes = blocks(Text(text="Hi"), part, role="assistant")
    assert content == [{"text": "Hi"}]
    assert left in changes[0]


def test_a_turn_with_nothing_to_say_is_left_out():
    wire = build(HI, Message(role="assistant", parts=(Reasoning(text="hm"),)), Message.user("Well?"))
    assert [len(turn["content"]) for turn in json.loads(wire.body)["messages"]] == [2]
    assert "holds nothing that this wire can carry" in wire.changes[1]


def test_a_name_a_detail_and_a_refusal_are_said_to_have_changed():
    assert "name of a message" in build(replace(HI, name="Ann")).changes[0]
    assert "detail of an image" in blocks(Image(data=b"", media_type="image/png", detail="low"))[1][0]
    content, changes = blocks(Refusal(text="no"))
    assert content == [{"text": "no"}]
    assert "refusal" in changes[0]
    with pytest.raises(UnsupportedContentError, match=r"Message.tool\(call"):
        build(Message(role="tool", parts=(Text(text="x"),)))


# Blocks.

THOUGHT = kept(reasoningContent={"reasoningText": {"signature": "s"}})


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "Hi"}, Text(text="Hi")),
        ({"image": {"format": "png", "source": {"bytes": "cG5n"}}}, Image(data=b"png", media_type="image/png")),
        ({"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/k"}}}},
         Image(url="s3://b/k", media_type="image/jpeg")),
        ({"document": {"format": "pdf", "name": "a", "source": {"bytes": "cGRm"}}},
         Document(data=b"pdf", media_type="application/pdf", filename="a", provider_data=kept(**{":field": "name"}))),
        ({"document": {"name": "a", "source": {"text": "x"}}},
         Document(data=b"x", filename="a", provider_data=kept(**{":form": "text", ":field": "name"}))),
        ({"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}, Document(data=bytes(3), media_type="video/mp4")),
        ({"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://b/k"}}}},
         Document(url="s3://b/k", media_type="video/3gpp")),
        ({"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}}, Audio(data=bytes(3), media_type="audio/mpeg")),
        ({"audio": {"format": "wav", "source": {"s3Location": {"uri": "s3://b/k"}}}},
         Document(url="s3://b/k", media_type="audio/wav")),
        ({"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}, ToolCall(id="t", name="f",
                                                                                 arguments='{"a":1}')),
        ({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}, Reasoning(
            text="hm", provider_data=THOUGHT)),
        ({"reasoningContent": {"reasoningText": {"text": "hm"}}}, Reasoning(text="hm", provider_data=kept())),
        ({"reasoningContent": {"redactedContent": "x"}}, Reasoning(text="", provider_data=kept(
            reasoningContent={"redactedContent": "x", ":absent": ["reasoningText"]}))),
        (POINT, Text(text="", provider_data=kept(**POINT))),
        ({"citationsContent": {"content": [{"text": "a"}], "citations": [SOURCE]}}, Text(
            text="a", provider_data=kept(**{":form": "cited", "citationsContent": {"citations": [SOURCE]}}))),
        ({"toolUse": {"toolUseId": "t", "name": "f", "input": {}, "type": "server_tool_use"}}, Text(
            text="", provider_data=kept(toolUse={"toolUseId": "t", "name": "f", "input": {},
                                                 "type": "server_tool_use"}))),
        ({"image": {"format": "image/png", "source": {"bytes": "AAAA"}}}, Text(text="", provider_data=kept(
            image={"format": "image/png", "source": {"bytes": "AAAA"}}))),
    ],
)  # fmt: skip
def test_a_block_is_this_part_and_goes_back_as_it_came(block, part):
    request = parsed({"messages": [{"role": "assistant", "content": [block, {"text": "."}]}]})
    assert request.messages[0].parts[0] == part
    assert json.loads(client.build_request(request, PLAIN).body)["messages"][0]["content"][0] == block
    assert whole(answer(block)).parts == (part,)


@pytest.mark.parametrize("table", [IMAGES, DOCUMENTS, VIDEOS, SOUNDS], ids=["images", "documents", "videos", "sounds"])
def test_every_format_is_spelled_and_read_again(table):
    for media_type, form in table.items():
        kind = {"image": Image, "audio": Audio}.get(media_type.partition("/")[0], Document)
        (block,), _ = blocks(kind(data=b"x", media_type=media_type))
        (inner,) = block.values()
        assert inner["format"] == form
        (part,) = whole(answer(block)).parts
        assert (type(part), part.data, table[part.media_type]) == (kind, b"x", form)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Image(url="https://a.example/x.png", media_type="image/png"), "fetches no Image from the web"),
        (Image(data=b"x"), "needs its media_type"),
        (Image(data=b"x", media_type="image/tiff"), "it takes image/png"),
        (Image(media_type="image/png"), "neither data nor an address"),
        (Document(data=b"x"), "needs its media_type"),
        (Document(url="https://a.example/x.pdf"), "fetches no Document"),
        (Document(file_id="f1", media_type="application/pdf"), "neither data nor an address"),
        (Document(data=b"x", media_type="application/zip"), "it takes application/pdf"),
        (Audio(data=b"x", media_type="audio/midi"), "it takes audio/mpeg"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_and_says_what_to_do(part, says):
    with pytest.raises(UnsupportedContentError, match=says):
        blocks(part)


def test_a_data_url_is_sent_inline_and_text_of_another_kind_as_plain_text():
    assert blocks(Image(url="data:image/png;base64,cG5n"))[0] == [
        {"image": {"format": "png", "source": {"bytes": "cG5n"}}}
    ]
    (block,), changes = blocks(Document(data=b"{}", media_type="application/json"))
    assert block["document"]["format"] == "txt"
    assert "application/json sent as plain text" in changes[0]
    bucket = Document(url="s3://b/k", filename="a")
    assert blocks(bucket)[0] == [{"document": {"name": "a", "source": {"s3Location": {"uri": "s3://b/k"}}}}]


def test_documents_have_names_that_bedrock_takes_and_no_two_the_same():
    pdf = {"data": b"x", "media_type": "application/pdf"}
    names = ["report.pdf", "report", None, None, "a  b_c/(d)[e].v2.docx", "...", "x" * 300]
    wire = build(Message(role="user", parts=tuple([Document(filename=name, **pdf) for name in names])))
    found = [block["document"]["name"] for block in json.loads(wire.body)["messages"][0]["content"]]
    assert found == ["report", "report-2", "document", "document-2", "a b-c-(d)[e]-v2", "-", "x" * 200]
    assert len([change for change in wire.changes if "under the name" in change]) == 5
    twins = {"messages": [{"role": "user", "content": [{"document": {"format": "pdf", "name": "a.b", "source": {
        "bytes": "AAAA"}}}] * 2}]}  # fmt: skip
    assert json.loads(client.build_request(parsed(twins), PLAIN).body) == twins


@pytest.mark.parametrize(
    ("arguments", "spelled"), [("", {}), (" ", {}), ('{"a": 1}', {"a": 1}), ("[1]", {"INVALID_JSON": "[1]"})]
)
def test_arguments_are_an_object(arguments, spelled):
    (block,), changes = blocks(ToolCall(id="t", name="f", arguments=arguments))
    assert block["toolUse"]["input"] == spelled
    assert bool(changes) == ("INVALID_JSON" in spelled)


def test_a_result_may_hold_json_pictures_and_what_has_no_name_here():
    content = [
        {"json": {"a": [1]}},
        {"text": "x"},
        {"image": {"format": "png", "source": {"bytes": "cG5n"}}},
        {"searchResult": {"source": "s"}},
        {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
    ]
    body = {"messages": [{"role": "user", "content": [
        {"toolResult": {"toolUseId": "t", "content": content, "status": "success"}}]}]}  # fmt: skip
    (message,) = parsed(body).messages
    (result,) = message.parts
    assert (message.role, result.call_id, result.is_error) == ("tool", "t", False)
    assert [type(part) for part in result.parts] == [Text, Text, Image, Text, Document]
    assert result.parts[0].text == '{"a":[1]}'
    assert json.loads(client.build_request(parsed(body), PLAIN).body) == body
    changed = replace(result, parts=(replace(result.parts[0], text="no JSON any more"),))
    assert blocks(changed)[0][0]["toolResult"]["content"] == [{"text": "no JSON any more"}]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": 1}', b'{"messages": ["x"]}'])
def test_a_body_that_is_no_request_is_an_input_error(body):
    with pytest.raises(InputError):
        parsed(body)
    with pytest.raises(InputError):
        invoke_server.parse_request(WireRequest(path="/model/m/invoke", body=body))


def test_a_path_without_a_model_is_an_input_error():
    for path in ("/converse", "/model//converse", "/v1/x"):
        with pytest.raises(InputError, match="names no model"):
            parsed({"messages": []}, path)


# Answers.


def test_the_fields_of_an_answer_have_their_places():
    response = whole(ANSWER)
    assert (response.text, response.reasoning, response.finish_reason) == ("Hi you", "hm", "tool_calls")
    assert (response.finish_reason_raw, response.service_tier, response.speed) == ("tool_use", "flex", "optimized")
    assert response.tool_calls[0].parse_arguments() == {"a": 1}
    assert (response.model, response.id) == ("", None)
    assert response.usage == Usage(
        input=3, cache_read=40, cache_write_5m=5, cache_write_1h=2, output=9, reported=END["usage"]
    )
    assert response.usage.total_tokens == 59
    assert response.provider_data == kept(metrics={"latencyMs": 12})
    assert fold(events_of(client, STREAM)) == response


def test_a_message_appended_to_a_conversation_goes_back_block_by_block():
    for response in (whole(ANSWER), fold(events_of(client, STREAM))):
        body = sent(HI, response.message, Message.tool("t1", "2"))
        assert body["messages"][1] == ANSWER["output"]["message"]


@pytest.mark.parametrize(("raw", "ours"), [*FINISH_REASONS.items(), ("malformed_model_output", "other")])
def test_a_finish_reason_is_translated_and_kept(raw, ours):
    for response in (whole(answer({"text": "x"}, stop=raw)), fold(told(delta(0, {"text": "x"}), stop=raw))):
        assert (response.finish_reason, response.finish_reason_raw) == (ours, raw)


@pytest.mark.parametrize(("ours", "word"), [*STOP_REASONS.items(), ("other", None)])
def test_an_answer_of_another_wire_ends_with_a_word_of_this_one(ours, word):
    response = Response(message=Message.assistant("x"), finish_reason=ours, finish_reason_raw="STOP!", model="m")
    response = replace(response, finish_reason_raw=None) if ours == "other" else response
    assert json.loads(server.build_response(response).body)["stopReason"] == word
    assert fold(events_of(client, b"".join(server.build_events(response)))).finish_reason == ours


def test_facts_in_an_odd_form_are_kept_as_they_came():
    odd = {"serviceTier": {"type": "flex", "more": 1}, "performanceConfig": "fast"}
    response = whole(answer(**odd, metrics={"latencyMs": 0}))
    assert (response.service_tier, response.speed) == (None, None)
    assert response.provider_data == kept(**odd)


def test_what_clients_demand_is_there_and_read_as_absent():
    response = Response(message=Message.assistant(), finish_reason="stop", model="m")
    body = json.loads(server.build_response(response).body)
    assert body["usage"] == {
        "inputTokens": 0, "outputTokens": 0, "totalTokens": 0, "notCounted": ["inputTokens", "outputTokens",
                                                                            "totalTokens"]}  # fmt: skip
    assert body["metrics"] == {"latencyMs": 0}
    back = whole(body)
    assert (back.usage, back.provider_data) == (Usage(source="missing"), {})


@pytest.mark.parametrize(
    ("body", "error", "why"),
    [
        (b"<html>", ResponseParseError, "no JSON"),
        (b"[]", ResponseParseError, "no object"),
        (b"{}", ResponseParseError, "no output"),
        (b'{"message": "no"}', ResponseParseError, "no output"),
        (b'{"__type": "ThrottlingException", "message": "slow down"}', RateLimitError, "slow down"),
        (b'{"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}',
         APIStatusError, "UnknownOperation"),
    ],
)  # fmt: skip
def test_a_reply_that_is_no_answer_is_an_error_with_its_bytes(body, error, why):
    with pytest.raises(error, match=why) as caught:
        client.parse_response(reply(body), PLAIN)
    assert error is not ResponseParseError or caught.value.body == body


@pytest.mark.parametrize(
    ("reported", "buckets"),
    [
        ({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, {"input": 10, "output": 5}),
        ({"inputTokens": 14, "outputTokens": 5, "cacheWriteInputTokens": 1503, "totalTokens": 1522},
         {"input": 14, "cache_write_5m": 1503, "output": 5}),
        ({"inputTokens": 0, "outputTokens": 48, "cacheReadInputTokenCount": 27, "totalTokens": 75},
         {"cache_read": 27, "output": 48}),
        ({"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 10,
          "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "9h", "inputTokens": 1}]},
         {"input": 1, "output": 1, "cache_write_5m": 6, "cache_write_1h": 4}),
    ],
)  # fmt: skip
def test_usage_is_sorted_into_buckets(reported, buckets):
    assert dict(client.parse_usage(reported).buckets()) == buckets


@pytest.mark.parametrize(
    "change",
    [
        {"inputTokens": -1}, {"outputTokens": "5"}, {"totalTokens": 16}, {"totalTokens": True},
        {"cacheDetails": [{"ttl": "1h", "inputTokens": 1}]}, {"cacheDetails": [{"ttl": "5m", "inputTokens": -1}]},
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_makes_the_usage_suspect(change):
    usage = client.parse_usage({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, **change})
    assert (usage.source, dict(usage.buckets())) == ("suspect", {})


# Streams.


def test_a_call_without_arguments_has_empty_ones_and_deltas_without_a_beginning_are_kept():
    start = frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}})
    assert ToolCallDelta(arguments="{}", index=0) in told(start, stop(0), stop="tool_use")
    lost = fold(told(delta(0, {"toolUse": {"input": '{"a": 1}'}}), stop(0)))
    assert lost.parts == (Text(text="", provider_data=kept(toolUse={"input": {"a": 1}})),)


def test_that_a_call_is_one_is_noted_and_not_sent_back():
    """Claude's answers say it of each; in requests the type is not known (botocore 1.44.8: server_tool_use alone)."""
    call = {"toolUseId": "t", "name": "f", "type": "tool_use"}
    start = frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": call}})
    response = fold(told(start, delta(0, {"toolUse": {"input": "{}"}}), stop(0), stop="tool_use"))
    block = {"toolUse": {**call, "input": {}}}
    assert response.message == whole(answer(block)).message
    assert response.tool_calls == (ToolCall(id="t", name="f", arguments="{}", provider_data=kept(**{
        ":said": {"type": "tool_use"}})),)  # fmt: skip
    spelled = json.loads(server.build_response(response).body)
    assert spelled["output"]["message"]["content"] == [block]
    assert sent(HI, response.message)["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
    ]


def test_a_servers_tool_call_and_its_result_are_kept_whole():
    call = {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}
    result = {"toolUseId": "t", "status": "success", "type": "nova_grounding_result"}
    response = fold(
        told(
            frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": call}}),
            delta(0, {"toolUse": {"input": '{"query"'}}),
            delta(0, {"toolUse": {"input": ':"x"}'}}),
            stop(0),
            frame("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolResult": result}}),
            delta(1, {"toolResult": [{"text": "a"}]}),
            delta(1, {"toolResult": [{"text": "b"}]}),
            stop(1),
            delta(2, {"citation": SOURCE}),
            stop(2),
        )
    )
    same = [{"toolUse": {**call, "input": {"query": "x"}}},
            {"toolResult": {**result, "content": [{"text": "a"}, {"text": "b"}]}},
            {"citationsContent": {"citations": [SOURCE]}}]  # fmt: skip
    assert response.message == whole(answer(*same)).message
    assert (response.text, response.tool_calls) == ("", ())
    assert sent(HI, response.message)["messages"][1]["content"] == same


def test_a_picture_that_was_made_comes_whole():
    events = told(
        frame("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
        delta(0, {"image": {"source": {"bytes": "cG5n"}}}),
        stop(0),
    )
    assert PartAdded(part=Image(data=b"png", media_type="image/png"), index=0) in events


def test_a_delta_of_another_kind_begins_a_part_of_its_own():
    response = fold(told(delta(0, {"reasoningContent": {"text": "hm"}}), delta(0, {"text": "Hi"})))
    assert [type(part) for part in response.parts] == [Reasoning, Text]
    assert (response.reasoning, response.text) == ("hm", "Hi")
    odd = fold(told(delta(0, {"smell": "x"}), stop(0)))
    assert odd.parts == (Text(text="", provider_data=kept(smell="x")),)


def test_events_that_are_not_known_are_skipped_and_blocks_that_are_not_ended_end_with_the_message():
    events = told(
        frame("ping", {"x": 1}), delta(0, {"text": "Hi"}), frame("contentBlockStart", {"contentBlockIndex": 3})
    )
    assert events[:2] == [ResponseStart(), TextDelta(text="Hi", index=0)]
    assert isinstance(events[2], ResponseEnd)


def test_a_stream_ends_with_its_metadata_or_by_its_row_with_its_reason():
    body = BEGUN + delta(0, {"text": "Hi"}) + frame("messageStop", {"stopReason": "end_turn"})
    for quirks, ended in ((PLAIN, False), (Quirks(stream_end="finish_reason"), True)):
        parser = client.stream_parser(quirks)
        parser.feed(body)
        parser.end()
        assert parser.ended is ended
        cut = client.stream_parser(quirks)
        cut.feed(body + b"\x00")
        cut.end()
        assert not cut.ended
    metered_first = (
        BEGUN + frame("metadata", {"usage": END["usage"]}) + frame("messageStop", {"stopReason": "end_turn"})
    )
    assert fold(events_of(client, metered_first)).usage.total_tokens == 59


def test_an_exception_inside_a_stream_comes_after_what_came_before_it():
    events, error = outcome_of(client, THROTTLED)
    assert TextDelta(text="Hi", index=0) in events
    assert isinstance(error, RateLimitError)
    assert (error.status, error.provider_code, error.message) == (200, "throttlingException", "Too many requests")


def test_an_error_that_says_all_in_its_headers_is_read():
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "x"}
    _, error = outcome_of(client, build_aws_message(headers, b""))
    assert (error.kind, error.message) == ("server", "x")
    _, error = outcome_of(client, build_aws_message({":message-type": "exception"}, b""))
    assert error.message == "the stream carries an error without a message"


def test_a_broken_stream_loses_nothing_that_came_before_it_and_nothing_after_its_end_matters():
    events, error = outcome_of(client, BEGUN + delta(0, {"text": "Hi"}) + b"\xff" * 16)
    assert events == [ResponseStart(), TextDelta(text="Hi", index=0)]
    assert isinstance(error, ProtocolError)
    assert events_of(client, STREAM + b"\xff" * 16) == events_of(client, STREAM)


def test_an_event_that_is_no_json_is_a_parse_error():
    no = build_aws_message({":event-type": "messageStart", ":message-type": "event"}, b"{no")
    _, error = outcome_of(client, frame("ping", 1) + no)
    assert isinstance(error, ResponseParseError)
    assert error.body == b"{no"


@pytest.mark.parametrize(
    ("begun", "label", "told"),
    [
        (b"", "", None),
        (STREAM[:11], "", None),
        (STREAM[:12], "", True),
        (STREAM[:1], "application/vnd.amazon.eventstream", True),
        (b"{", "application/vnd.amazon.eventstream", False),
        (b"x" * 12, "application/json", False),
    ],
)
def test_what_a_body_is_its_first_bytes_and_its_label_say(begun, label, told):
    assert client.is_stream(begun, label) is told
    assert invoke_client.is_stream(begun, label) is told


# Errors.


def problem(status, name=None, message="no", **body):
    headers = (("x-amzn-errortype", name),) if name else ()
    return client.parse_error(reply({"message": message, **body}, status, headers))


COM = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        (problem(400, f"ValidationException{COM}"), "bad_request"),
        (problem(400, message="The provided model identifier is invalid."), "model_not_found"),
        (problem(400, message="Input is too long for requested model."), "context_length"),
        (problem(400, message="The model returned: Input Tokens Exceeded"), "context_length"),
        (problem(400, message="prompt is too long: 9 tokens > 8"), "context_length"),
        (problem(400, message="This model's maximum context length is 8"), "context_length"),
        (problem(400, f"ServiceQuotaExceededException{COM}"), "rate_limit"),
        (problem(400, __type="com.amazon.coral.service#SerializationException"), "bad_request"),
        (problem(403, f"AccessDeniedException{COM}"), "permission_denied"),
        (problem(403, message="Authentication failed: Please make sure your API Key is valid."), "authentication"),
        (problem(403, message="Bearer Token has expired"), "authentication"),
        (problem(403, message="The security token included in the request is invalid."), "authentication"),
        (problem(404, f"ResourceNotFoundException{COM}"), "not_found"),
        (problem(404, f"ResourceNotFoundException{COM}", "This model version has reached its end"), "model_not_found"),
        (problem(408, f"ModelTimeoutException{COM}"), "server"),
        (problem(413), "request_too_large"),
        (problem(424, f"ModelErrorException{COM}"), "server"),
        (problem(429, f"ThrottlingException{COM}"), "rate_limit"),
        (problem(429, f"ThrottlingException{COM}", "Too many tokens per day, please wait"), "quota"),
        (problem(429, f"ModelNotReadyException{COM}"), "overloaded"),
        (problem(429, __type="ThrottlingException"), "rate_limit"),
        (problem(500), "server"),
        (problem(503, f"ServiceUnavailableException{COM}"), "overloaded"),
        (client.parse_error(reply(b"<html><title>502 Bad Gateway</title>", 502)), "server"),
        *[(problem(403, name), kind) for name, kind in CODES.items()],
        *[(problem(200, name), kind) for name, kind in TYPES.items()],
    ],
)
def test_a_refusal_has_its_kind(info, kind):
    assert info.kind == kind


def test_a_refusal_keeps_its_words():
    headers = (("x-amzn-errortype", f"ThrottlingException{COM}"), ("x-amzn-requestid", "r1"))
    info = client.parse_error(reply({"Message": "Rate exceeded"}, 429, headers))
    assert (info.type, info.message, info.request_id) == ("ThrottlingException", "Rate exceeded", "r1")


kinds = st.sampled_from(sorted(KIND_WORDS))
infos = st.builds(
    ErrorInfo,
    kind=kinds,
    message=st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20),
    status=st.none() | st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]),
    code=st.none() | st.sampled_from([*CODES, "odd"]),
    type=st.none() | st.sampled_from([*CODES, *TYPES, "odd"]),
    request_id=st.none() | st.just("req_1"),
    retry_after=st.none() | st.sampled_from([0.5, 3.0]),
)


@given(infos)
def test_an_error_that_was_built_has_its_kind_again(info):
    for half, reader in ((server, client), (invoke_server, invoke_client)):
        said = reader.parse_error(half.build_error(info))
        assert (said.kind, said.message, said.request_id) == (info.kind, info.message, info.request_id)
        assert said.retry_after == info.retry_after
        assert isinstance(error_from(said), APIStatusError)


@given(infos)
def test_an_error_inside_a_stream_has_its_kind_too(info):
    _, error = outcome_of(client, BEGUN + server.build_stream_error(info))
    assert (error.kind, error.message) == (info.kind, info.message)


@given(st.binary(max_size=200) | values, st.integers(100, 599), st.text(max_size=9))
def test_nothing_breaks_the_reader_of_errors(body, status, name):
    body = body if isinstance(body, bytes) else json.dumps({"message": body, "__type": body, "Output": body}).encode()
    said = client.parse_error(WireReply(status=status, headers=(("x-amzn-errortype", name),), body=body))
    assert said.kind in KINDS
    assert said.message


def test_every_kind_in_the_tables_exists():
    made = {*CODES.values(), *TYPES.values(), *[kind for _, _, kind in WORDING], *KIND_WORDS}
    assert made <= KINDS.keys()


def test_the_halves_are_found_by_name():
    assert (load_client(NAME), load_server(NAME)) == (client, server)
    assert (load_client("bedrock_invoke"), load_server("bedrock_invoke")) == (invoke_client, invoke_server)


# InvokeModel.


CLAUDES = Response(
    message=Message.assistant(
        Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "s"}}),
        "Hello",
        ToolCall(id="t", name="f", arguments='{"a":1}'),
    ),
    finish_reason="tool_calls",
    finish_reason_raw="tool_use",
    model="claude-x",
    id="msg_bdrk_1",
    usage=Usage(input=3, cache_write_1h=2, output=4),
)


def test_invoke_carries_what_anthropic_messages_spells():
    request = ModelRequest(model="eu.anthropic.claude-x:0", messages=(Message.system("s"), HI), max_tokens=9)
    wire = invoke_client.build_request(request, PLAIN)
    assert wire.path == "/model/eu.anthropic.claude-x%3A0/invoke"
    assert json.loads(wire.body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "s",
    }
    assert invoke_server.parse_request(wire) == request
    streamed = replace(request, stream=True, extra={"anthropic_beta": ["x"]})
    wire = invoke_client.build_request(streamed, PLAIN)
    assert wire.path.endswith("/invoke-with-response-stream")
    assert "stream" not in json.loads(wire.body)
    assert invoke_server.parse_request(wire) == streamed
    other = WireRequest(path="/model/m/invoke", body=b'{"anthropic_version": "x", "max_tokens": 1, "messages": []}')
    assert invoke_server.parse_request(other).extra == {"anthropic_version": "x"}


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_invoke_answers_and_streams_come_back(size):
    def bare(response):
        return replace(response, body=None, usage=replace(response.usage, reported=None))

    assert bare(invoke_client.parse_response(invoke_server.build_response(CLAUDES), PLAIN)) == CLAUDES
    body = b"".join(invoke_server.build_events(CLAUDES, piece=2))
    assert bare(fold(events_of(invoke_client, body, (size,)))) == CLAUDES
    cut = invoke_client.stream_parser(PLAIN)
    cut.feed(body[:-1])
    assert (cut.end(), cut.ended) == ([], False)


def test_frames_of_invoke_that_hold_no_event_are_skipped_or_refused():
    odd = frame("initial-response", {"x": 1}) + frame("chunk", {"bytes": 1}) + frame("chunk", [])
    body = odd + b"".join(invoke_server.build_events(CLAUDES))
    assert fold(events_of(invoke_client, body)).text == "Hello"
    begun = chunks({"type": "message_start", "message": {"model": "claude-x"}})
    for bad, kind in ((frame("chunk", {"bytes": "?"}), ResponseParseError), (refusal("throttlingException", "x"),
                                                                            RateLimitError)):  # fmt: skip
        events, error = outcome_of(invoke_client, begun + bad)
        assert events == [ResponseStart(model="claude-x")]
        assert isinstance(error, kind)
    broken = chunks({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    assert outcome_of(invoke_client, begun + broken)[1].kind == "overloaded"
