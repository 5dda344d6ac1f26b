"""What the server halves spell, clients with strict types take: any answer, made by hand or come over another wire.

The types below demand what the models of OpenAI's and Anthropic's SDKs (3.57, 2.13) demand, and no more: a field
without a default must be there, and a value of another type is refused.
"""

import json
from typing import Literal

import msgspec
import pytest
from hypothesis import example, given, strategies as st
from msgspec import Struct
from msgspec.structs import replace

from quoth.dialects import CLIENTS
from quoth.dialects.anthropic_messages import client as messages_client, server as messages_server
from quoth.dialects.openai_chat import client as chat_client, server as chat_server
from quoth.dialects.server import load_server
from quoth.events import fold
from quoth.types import Candidate, Message, Reasoning, Refusal, Response, Text, ToolCall, Usage
from quoth.wire import Quirks, WireReply

PLAIN = Quirks()

# Chat Completions.

Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class Function(Struct):
    name: str
    arguments: str


class Call(Struct):
    id: str
    function: Function
    type: Literal["function"]


class ChatMessage(Struct):
    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


class Choice(Struct):
    index: int
    message: ChatMessage
    finish_reason: Finish


class ChatUsage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(Struct):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    usage: ChatUsage | None = None


class CallDelta(Struct):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None


class Delta(Struct):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(Struct):
    index: int
    delta: Delta
    finish_reason: Finish | None


class Chunk(Struct):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | None = None


# Anthropic Messages.

Stop = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
]


class TextBlock(Struct, tag="text"):
    text: str
    citations: list[dict] | None = None


class ThinkingBlock(Struct, tag="thinking"):
    thinking: str
    signature: str


class RedactedBlock(Struct, tag="redacted_thinking"):
    data: str


class UseBlock(Struct, tag="tool_use"):
    id: str
    name: str
    input: dict


Block = TextBlock | ThinkingBlock | RedactedBlock | UseBlock


class MessagesUsage(Struct):
    input_tokens: int
    output_tokens: int
    service_tier: Literal["standard", "priority", "batch"] | None = None


class Answer(Struct):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Block]
    stop_reason: Stop | None
    stop_sequence: str | None
    usage: MessagesUsage


class MessageStart(Struct, tag="message_start"):
    message: Answer


class BlockStart(Struct, tag="content_block_start"):
    index: int
    content_block: Block


class TextPiece(Struct, tag="text_delta"):
    text: str


class ThinkingPiece(Struct, tag="thinking_delta"):
    thinking: str


class SignaturePiece(Struct, tag="signature_delta"):
    signature: str


class CitationPiece(Struct, tag="citations_delta"):
    citation: dict


class InputPiece(Struct, tag="input_json_delta"):
    partial_json: str


class BlockDelta(Struct, tag="content_block_delta"):
    index: int
    delta: TextPiece | ThinkingPiece | SignaturePiece | CitationPiece | InputPiece


class BlockStop(Struct, tag="content_block_stop"):
    index: int


class End(Struct):
    stop_reason: Stop | None
    stop_sequence: str | None


class EndUsage(Struct):
    output_tokens: int


class MessageDelta(Struct, tag="message_delta"):
    delta: End
    usage: EndUsage


class MessageStop(Struct, tag="message_stop"):
    pass


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop


def check_chat(response):
    msgspec.json.decode(chat_server.build_response(response).body, type=Completion)
    events = list(chat_server.build_events(response, piece=3))
    assert events.pop() == b"data: [DONE]\n\n"
    for event in events:
        msgspec.json.decode(event.removeprefix(b"data: "), type=Chunk)


def check_messages(response):
    msgspec.json.decode(messages_server.build_response(response).body, type=Answer)
    begun = {}
    for event in messages_server.build_events(response, piece=3):
        name, data = event.decode().removeprefix("event: ").split("\ndata: ")
        assert json.loads(data)["type"] == name
        read = msgspec.json.decode(data, type=Event)
        if isinstance(read, BlockStart):
            begun[read.index] = type(read.content_block)
        elif isinstance(read, (BlockDelta, BlockStop)):
            assert read.index in begun


# Answers that no wire has seen.

texts = st.text(max_size=8)
objects = st.dictionaries(texts, st.integers(-9, 9) | texts, max_size=2).map(msgspec.json.encode)
parts = st.lists(
    st.builds(Text, text=texts)
    | st.builds(Reasoning, text=texts)
    | st.builds(Refusal, text=texts)
    | st.builds(ToolCall, id=texts, name=texts, arguments=objects.map(bytes.decode) | texts),
    max_size=4,
)
counts = st.integers(0, 10**6)
finishes = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
neutral = st.builds(
    Response,
    message=parts.map(lambda found: Message.assistant(*found)),
    finish_reason=finishes,
    model=texts,
    usage=st.just(Usage(source="missing"))
    | st.just(Usage(source="suspect"))
    | st.builds(Usage, input=counts, cache_read=counts, cache_write_1h=counts, output=counts, reasoning=counts),
    candidates=st.lists(
        st.builds(Candidate, message=parts.map(lambda found: Message.assistant(*found)), finish_reason=finishes),
        max_size=2,
    ).map(tuple),
)


@given(neutral)
def test_an_answer_made_by_hand_is_taken_on_every_wire(response):
    check_chat(response)
    check_messages(response)


def counted(usage):
    """What the wires can say of a usage: they have no word for the lifetimes of what was cached, or one for each."""
    return (usage.source == "provider", usage.input_tokens, usage.output_tokens, usage.cache_read)


def as_input(call):
    """Arguments as Messages can say them: an object, or the text that is none. None at all are an empty object."""
    try:
        read = call.parse_arguments() if call.arguments.strip() else {}
    except ValueError:
        return call.arguments
    return read if isinstance(read, dict) else call.arguments


@given(neutral)
@example(Response(message=Message.assistant("a", "b"), finish_reason="stop", model="m"))
def test_an_answer_made_by_hand_says_the_same_when_it_is_read(response):
    """Texts, thoughts, calls, the end and the counts; what nobody counted is read as not counted."""
    for client, server in ((chat_client, chat_server), (messages_client, messages_server)):
        whole = client.parse_response(server.build_response(response), PLAIN)
        parser = client.stream_parser(PLAIN)
        streamed = fold(parser.feed(b"".join(server.build_events(response))))
        for read in (whole, streamed):
            refused = response.refusal or ""
            assert sorted(read.text + (read.refusal or "")) == sorted(response.text + refused)
            assert read.reasoning == response.reasoning
            assert [(call.id, call.name, as_input(call)) for call in read.tool_calls] == [
                (call.id, call.name, as_input(call)) for call in response.tool_calls
            ]
            assert (read.finish_reason, read.id, read.model) == (response.finish_reason, None, response.model)
            assert counted(read.usage) == counted(response.usage)
            assert read.created is None
    chat = chat_client.parse_response(chat_server.build_response(response), PLAIN)
    assert [call.arguments for call in chat.tool_calls] == [call.arguments for call in response.tool_calls]
    assert [each.text for each in chat.candidates] == [each.text for each in response.candidates]


# Answers of the other wire.

CLAUDE = {
    "id": "m1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "It ", "citations": [{"type": "char_location", "cited_text": "x"}]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "text", "text": "rains."},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ],
    "usage": {
        "input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3,
        "service_tier": "standard", "inference_geo": "us", "speed": "fast",
    },
}  # fmt: skip
GPT = {
    "id": "c1", "object": "chat.completion", "created": 7, "model": "gpt", "service_tier": "default",
    "choices": [
        {
            "index": 0, "finish_reason": "tool_calls", "logprobs": {"content": []},
            "message": {
                "role": "assistant", "content": [{"type": "text", "text": "It "}, {"type": "text", "text": "rains."}],
                "reasoning_content": "hm", "annotations": [{"type": "url_citation"}],
                "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
            },
        },
        {"index": 1, "finish_reason": "stop", "message": {"role": "assistant", "content": "Snow."}},
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}},
}  # fmt: skip


def read_by(client, body):
    return client.parse_response(WireReply(status=200, body=json.dumps(body).encode()), PLAIN)


def said(response):
    calls = [(call.id, call.name, call.parse_arguments()) for call in response.tool_calls]
    return response.text, response.reasoning, calls, response.finish_reason, response.usage.total_tokens


def test_an_answer_of_claude_is_taken_by_clients_of_chat_completions():
    response = read_by(messages_client, CLAUDE)
    check_chat(response)
    read = read_by(chat_client, json.loads(chat_server.build_response(response).body))
    assert said(read) == said(response)
    assert (read.id, read.service_tier, read.region, read.speed) == ("m1", "default", "us", "fast")


def test_an_answer_of_chat_completions_is_taken_by_clients_of_claude():
    response = read_by(chat_client, GPT)
    check_messages(response)
    read = read_by(messages_client, json.loads(messages_server.build_response(response).body))
    assert said(read) == said(response)
    assert (read.id, read.service_tier) == ("c1", "standard")


def test_an_answer_whose_texts_came_as_a_list_goes_back_as_a_list():
    response = read_by(chat_client, GPT)
    again = json.loads(chat_server.build_response(response).body)["choices"][0]["message"]["content"]
    assert again == GPT["choices"][0]["message"]["content"]
    streamed = b"".join(chat_server.build_events(response))
    assert fold(chat_client.stream_parser(PLAIN).feed(streamed)).text == "It rains."


@pytest.mark.parametrize("name", ["anthropic_messages", "openai_chat"])
def test_what_was_made_up_for_a_client_is_no_fact_of_the_answer(name):
    made = Response(message=Message.assistant("Hi"), finish_reason="stop", model="m", usage=Usage(source="missing"))
    read = CLIENTS[name]().parse_response(load_server(name).build_response(made), PLAIN)
    assert replace(read, body=None) == replace(made, finish_reason_raw=read.finish_reason_raw)
