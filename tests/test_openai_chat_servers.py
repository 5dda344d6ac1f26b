"""Servers that speak Chat Completions in their own ways: what each was seen to do loses nothing of its answer.

The bytes are invented, after what the servers' documentation and the issues of their clients tell; each stream is read
whole and one byte at a time.
"""

import json

import pytest

from quoth import ModelsAPI, Settings
from quoth.dialects.openai_chat import client, server
from quoth.errors import (
    APIStatusError,
    BadRequestError,
    InternalServerError,
    OverloadedError,
    RateLimitError,
)
from quoth.events import fold
from quoth.testing import Reply, ScriptedTransport
from quoth.types import Message, ModelRequest, Reasoning, Text, ToolCall, Usage
from quoth.wire import REQUEST_ID_HEADERS, Quirks, WireReply, request_id
from streams import events_of

PLAIN = Quirks()
BY_FINISH = Quirks(stream_end="finish_reason")


def lines(*chunks, end="\n\n", done=True):
    """A body of these chunks: objects, or lines as they are."""
    said = [chunk if isinstance(chunk, str) else "data: " + json.dumps(chunk) for chunk in chunks]
    return "".join([line + end for line in [*said, *(["data: [DONE]"] if done else [])]]).encode()


def streamed(*chunks, quirks=PLAIN, **how):
    events, ended = events_of(client, lines(*chunks, **how), quirks)
    assert ended
    return fold(events)


def whole(choice, **fields):
    body = {"id": "c", "model": "m", "choices": [choice], **fields}
    return client.parse_response(WireReply(status=200, body=json.dumps(body).encode()), PLAIN)


def chunk(delta, finish=None, **fields):
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **fields}


END = chunk({}, "stop")


def sent_back(message):
    return json.loads(client.build_request(ModelRequest(model="m", messages=(message,)), PLAIN).body)["messages"][0]


def again(response):
    """An answer that was spelled and read again."""
    return client.parse_response(server.build_response(response), PLAIN)


# Framing.


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_keep_alive_comments_and_line_ends_of_any_kind(end):
    """OpenRouter, Cloudflare and many proxies send comments; some servers of the world still end lines as in 1990."""
    body = lines(": OPENROUTER PROCESSING", chunk({"content": "a"}), ":", "event: ping", chunk({"content": "b"}), END)
    assert fold(events_of(client, body.replace(b"\n\n", end.encode()))[0]).text == "ab"


def test_no_space_behind_data_and_a_done_that_trails_off():
    said = b'data:{"choices":[{"delta":{"content":"a"}}]}\n\n'
    body = said + b'data:{"choices":[{"finish_reason":"stop"}]}\n\ndata:[DONE] \n\n'
    response = fold(events_of(client, body)[0])
    assert (response.text, response.finish_reason) == ("a", "stop")


def test_a_finish_reason_without_done_ends_a_stream_where_the_row_says_so():
    """Gemini's compatible endpoint, Perplexity, Writer."""
    body = lines(chunk({"content": "a"}), END, done=False)
    assert events_of(client, body, BY_FINISH)[1]
    assert not events_of(client, body)[1]


# What is null, missing or of another type.


def test_nulls_wherever_they_may_stand():
    """vLLM, SGLang, Venice, LiteLLM: every field that there is, mostly as null."""
    nothing = dict.fromkeys(["role", "content", "tool_calls", "function_call", "refusal", "reasoning_content", "audio"])
    empty = {"id": None, "model": None, "created": None, "usage": None, "choices": None, "service_tier": None}
    last = {"index": None, "delta": None, "finish_reason": "stop", "logprobs": None, "stop_reason": None}
    response = streamed(
        empty,
        chunk({**nothing, "content": "a"}, usage=None, system_fingerprint=None),
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        chunk({**nothing, "content": "b"}),
        {**empty, "choices": [last]},
    )
    assert (response.text, response.finish_reason, response.provider_data) == ("ab", "stop", {})
    said = whole({"index": 0, "message": {**nothing, "content": "ab"}, "finish_reason": "stop"}, usage=None)
    assert (said.message, said.finish_reason) == (response.message, "stop")


def test_a_chunk_without_choices_and_one_with_none():
    """Azure's filter results, llama.cpp's timings, the usage at the end."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    response = streamed(
        {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [{"index": 0}]},
        chunk({"content": "a"}),
        END,
        {"id": "c", "choices": [], "usage": usage},
        {"id": "c", "timings": {"predicted_ms": 1.5}},
    )
    assert (response.id, response.created, response.usage.input) == ("c", None, 3)
    assert response.provider_data["openai_chat"] == {
        "prompt_filter_results": [{"index": 0}],
        "timings": {"predicted_ms": 1.5},
    }


def test_an_id_that_changes_in_the_middle_is_the_first_one():
    response = streamed({**chunk({"content": "a"}), "id": "1"}, {**chunk({"content": "b"}), "id": "2"}, END)
    assert (response.id, response.text) == ("1", "ab")


def test_ids_and_times_that_are_numbers_of_another_kind():
    assert whole({"message": {"content": "a"}}, id=17, created=1_700_000_000.75).id == "17"
    response = streamed({**chunk({"content": "a"}), "id": 17, "created": 1_700_000_000.75}, END)
    assert (response.id, response.created) == ("17", 1_700_000_000)


def test_a_role_that_is_empty_or_comes_with_every_chunk():
    """MiniMax; Moonshot."""
    response = streamed(chunk({"role": "", "content": "a"}), chunk({"role": "assistant", "content": "b"}), END)
    assert response.message == Message.assistant("ab")


# Usage.


def test_usage_in_every_chunk_is_that_of_the_last_one():
    """Perplexity, xAI, vLLM with continuous_usage_stats."""
    counts = [{"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2, 3)]
    response = streamed(*[chunk({"content": "a"}, usage=usage) for usage in counts], END)
    assert response.usage == Usage(input=5, output=3, reported=counts[-1])


def test_usage_that_stands_in_the_choice():
    """Moonshot."""
    usage = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 9}
    last = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    response = streamed(chunk({"content": "a"}), {"id": "c", "choices": [last]})
    assert response.usage == Usage(input=10, cache_read=9, output=13, reported=usage)
    assert response.provider_data == {}
    assert whole({"message": {"content": "a"}, "usage": usage}).usage == response.usage


def test_usage_that_stands_in_x_groq_alone():
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "queue_time": 0.1}
    response = streamed(chunk({"content": "a"}, x_groq={"id": "r"}), {**END, "x_groq": {"id": "r", "usage": usage}})
    assert (response.usage.total_tokens, response.usage.reported) == (3, usage)


@pytest.mark.parametrize(
    ("details", "buckets"),
    [
        ({"prompt_token_details": {"cached_tokens": 4}}, {"input": 6, "cache_read": 4, "output": 5}),  # Writer
        ({"completion_token_details": {"reasoning_tokens": 4}}, {"input": 10, "reasoning": 4, "output": 1}),
        ({"reasoning_tokens": 3}, {"input": 10, "reasoning": 3, "output": 2}),  # Copilot
        ({"reasoning_tokens": 30}, {"input": 10, "output": 5}),  # Perplexity: beside the completion
        ({"prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3}, {"input": 3, "cache_read": 7, "output": 5}),
        ({"prompt_tokens_details": None, "num_cached_tokens": 2}, {"input": 8, "cache_read": 2, "output": 5}),
        ({"tokens_per_second": 31.5, "time_to_first_token": 0.2}, {"input": 10, "output": 5}),  # LM Studio
    ],
)
def test_counts_that_stand_elsewhere(details, buckets):
    reported = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **details}
    assert client.parse_usage(reported) == Usage(**buckets, reported=reported)


def test_how_it_was_served_where_only_the_usage_says_it():
    """Mistral; gateways to Claude."""
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "service_tier": "batch",
        "speed": "fast",
        "inference_geo": "eu",
    }
    response = whole({"message": {"content": "a"}}, usage=usage)
    assert (response.service_tier, response.speed, response.region) == ("batch", "fast", "eu")
    assert streamed(chunk({"content": "a"}), {**END, "usage": usage}).speed == "fast"


# Content.


@pytest.mark.parametrize(
    "content",
    [
        ["Hel", "lo"],
        [{"type": "text", "text": "Hel"}, {"type": "output_text", "text": "lo"}],
        [{"text": "Hello"}],
        {"type": "text", "text": "Hello"},
    ],
)
def test_a_content_that_is_no_string_is_read_for_its_text(content):
    assert whole({"message": {"content": content}}).text == "Hello"
    assert streamed(chunk({"content": content}), END).text == "Hello"


def test_thoughts_among_the_content():
    """Mistral as a list, others as a text; Databricks as a summary, piece by piece, with a signature at its end."""
    as_text = {"type": "thinking", "thinking": "hm", "signature": "s"}
    assert whole({"message": {"content": [as_text, {"type": "text", "text": "4"}]}}).reasoning == "hm"

    def summary(text, **fields):
        return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text, **fields}]}

    pieces = [chunk({"content": [each]}) for each in (summary("h"), summary("m"), summary("", signature="s"))]
    response = streamed(*pieces, chunk({"content": [{"type": "text", "text": "4"}]}), END)
    assert (response.reasoning, response.text) == ("hm", "4")
    content = [summary("hm", signature="s"), {"type": "text", "text": "4"}]
    assert response.message == whole({"message": {"content": content}}).message
    assert sent_back(response.message)["content"] == content


def test_reasoning_under_each_name():
    """DeepSeek and most; OpenRouter, Groq, Ollama, newer vLLM; Copilot."""
    for field in ("reasoning_content", "reasoning", "reasoning_text"):
        response = streamed(chunk({field: "h"}), chunk({field: "m"}), chunk({"content": "4"}), END)
        assert (response.reasoning, response.text) == ("hm", "4")
        assert sent_back(response.message) == {"role": "assistant", "content": "4", field: "hm"}
        assert whole({"message": {field: "hm", "content": "4"}}).message == response.message


def test_reasoning_that_is_an_object_goes_back_as_it_came():
    thought = {"content": "hm", "signature": "s"}
    one = whole({"message": {"reasoning": thought, "content": "4"}})
    two = streamed(
        chunk({"reasoning": {"content": "h"}}),
        chunk({"reasoning": {"content": "m", "signature": "s"}}),
        chunk({"content": "4"}),
        END,
    )
    assert one.message == two.message
    assert sent_back(one.message)["reasoning"] == thought


def test_a_message_that_stands_where_a_delta_belongs():
    """A server that answers whole inside of a stream; one that repeats all it said with each event."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call]}
    at_once = streamed({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    assert at_once.message == whole({"message": message}).message
    growing = [{"choices": [{"message": {"content": text}}]} for text in ("H", "Hi", "Hi!")]
    assert streamed(*growing, {"choices": [{"finish_reason": "stop"}]}).text == "Hi!"


def test_a_whole_answer_at_the_end_of_a_stream_repeats_it():
    """MiniMax: the last event is no chunk but the whole completion, and it alone counts."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    last = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    response = streamed(
        chunk({"role": "", "content": "H"}, usage={"total_tokens": 0}),
        chunk({"content": "i"}, usage={"total_tokens": 0}),
        {"id": "c", "object": "chat.completion", "choices": [last], "usage": usage},
    )
    assert (response.text, response.finish_reason, response.usage.total_tokens) == ("Hi", "stop", 7)


def test_a_message_beside_the_delta_is_the_same_once_more():
    """Perplexity."""
    both = [{"choices": [{"delta": {"content": p}, "message": {"content": t}}]} for p, t in (("H", "H"), ("i", "Hi"))]
    assert streamed(*both, {"choices": [{"delta": {}, "finish_reason": "stop"}]}).text == "Hi"


def test_spoken_answers_come_in_pieces():
    response = streamed(
        chunk({"role": "assistant", "audio": {"id": "a", "transcript": "He"}}),
        chunk({"audio": {"data": "AAAA", "transcript": "llo"}}),
        chunk({"audio": {"expires_at": 5}}),
        END,
    )
    kept = response.provider_data["openai_chat"]["choices"][0]["message"]["audio"]
    assert kept == {"id": "a", "data": "AAAA", "transcript": "Hello", "expires_at": 5}
    assert sent_back(response.message)["audio"] == {"id": "a"}


# Tool calls.

CALL = ToolCall(id="t", name="f", arguments='{"a":1}')


@pytest.mark.parametrize(
    "call",
    [
        {"id": "t", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},  # Text Generation Inference
        {"id": "t", "function": {"name": "f", "arguments": '{"a":1}', "description": None}},
        {"id": "t", "index": "0", "type": None, "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "t", "type": "", "function": {"name": "f", "arguments": '{"a":1}'}},
    ],
)
def test_a_call_is_read_however_it_is_written(call):
    for response in (
        whole({"message": {"content": None, "tool_calls": [call]}}),
        streamed(chunk({"tool_calls": [call]}), chunk({}, "tool_calls")),
    ):
        (read,) = response.tool_calls
        assert sent_back(response.message)["tool_calls"][0]["type"] == "function"
        assert (read.id, read.name, read.parse_arguments()) == ("t", "f", {"a": 1})


def test_a_call_whose_fields_stand_beside_its_id():
    """Oracle, and some that follow Cohere."""
    call = {"id": "t", "type": "FUNCTION", "name": "f", "arguments": '{"a":1}'}
    response = whole({"message": {"tool_calls": [call]}})
    pieces = [{**call, "index": 0, "arguments": '{"a"'}, {"index": 0, "name": None, "arguments": ":1}"}]
    in_pieces = streamed(*[chunk({"tool_calls": [piece]}) for piece in pieces], END)
    for read in (response, again(response), streamed(chunk({"tool_calls": [{**call, "index": 0}]}), END), in_pieces):
        assert read.tool_calls == (CALL,)


def test_ids_of_calls_that_are_numbers():
    call = {"id": 7, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for response in (whole({"message": {"tool_calls": [call]}}), streamed(chunk({"tool_calls": [call]}), END)):
        assert response.tool_calls[0].id == "7"


def test_a_list_of_calls_with_holes():
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert whole({"message": {"tool_calls": [None, call]}}).tool_calls == (CALL,)
    assert streamed(chunk({"tool_calls": [None, call]}), END).tool_calls == (CALL,)


@pytest.mark.parametrize(
    "pieces",
    [
        [{"index": 0, "id": "t", "function": {"name": "f"}}, {"index": 0, "function": {"arguments": '{"a":1}'}}],
        [{"index": "0", "id": "t", "function": {"name": "f"}}, {"index": "0", "function": {"arguments": '{"a":1}'}}],
        [{"id": "t", "function": {"name": "f"}}, {"function": {"arguments": '{"a":1}'}}],  # no index: Ollama
        [{"index": None, "id": "t", "function": {"name": "f"}}, {"index": None, "id": "t",
          "function": {"name": None, "arguments": '{"a":1}'}}],
        [{"index": 0, "id": "t", "function": {"name": "f", "arguments": None}},
         {"index": 0, "id": "other", "function": {"name": "", "arguments": '{"a":1}'}}],  # an id of its own each time
        [{"index": 0, "id": "t", "function": {"name": "f", "arguments": '{"a"'}},
         {"index": 0, "id": "t", "function": {"name": "f", "arguments": ":1}"}}],  # all said again with each piece
    ],
)  # fmt: skip
def test_pieces_of_one_call_find_each_other(pieces):
    response = streamed(*[chunk({"tool_calls": [piece]}) for piece in pieces], chunk({}, "tool_calls"))
    assert response.tool_calls == (CALL,)


def test_two_calls_that_are_both_numbered_0():
    """Gemini's compatible endpoint."""
    calls = [{"index": 0, "id": id_, "function": {"name": "f", "arguments": '{"a":1}'}} for id_ in "tu"]
    response = streamed(*[chunk({"tool_calls": [call]}) for call in calls], END)
    assert [call.id for call in response.tool_calls] == ["t", "u"]


def test_the_call_of_2023():
    response = streamed(
        chunk({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a":1}'}}),
        chunk({}, "function_call"),
    )
    assert (response.tool_calls[0].name, response.finish_reason) == ("f", "tool_calls")
    assert sent_back(response.message)["function_call"] == {"name": "f", "arguments": '{"a":1}'}


# Ends.


@pytest.mark.parametrize(
    ("raw", "ours"),
    [("eos_token", "stop"), ("model_length", "length"), ("sensitive", "content_filter"), ("network_error", "other")],
)
def test_words_for_the_end(raw, ours):
    """Text Generation Inference, Mistral, Z.ai."""
    response = whole({"message": {"content": "a"}, "finish_reason": raw})
    assert (response.finish_reason, response.finish_reason_raw) == (ours, raw)
    assert again(response).finish_reason_raw == raw


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"error": {"code": 502, "message": "Provider gone"}, "choices": [{"delta": {}}]}, InternalServerError),
        ({"choices": [{"delta": {"content": ""}, "finish_reason": "error",
                       "error": {"code": 429, "message": "Provider slow"}}]}, RateLimitError),  # OpenRouter
        ({"object": "error", "message": "Provider bad", "type": "BadRequestError", "code": 400}, BadRequestError),
        ('event: error\ndata: {"code": "InvalidParameter", "message": "Provider odd"}', APIStatusError),  # DashScope
        ({"error": "Provider overloaded", "type": "overloaded_error"}, OverloadedError),
    ],
)  # fmt: skip
def test_an_error_in_the_middle_of_a_stream_is_the_providers(line, kind):
    parser = client.stream_parser(PLAIN)
    events = parser.feed(lines(chunk({"content": "a"}), line))
    with pytest.raises(kind, match="Provider") as caught:
        parser.feed(b"")
    assert (fold(events).text, parser.ended, caught.value.status) == ("a", False, 200)


def test_an_error_in_place_of_a_message_is_the_providers_and_one_beside_it_is_kept():
    """OpenRouter: a choice may carry its error, with or without what came before it."""
    error = {"code": 502, "message": "Provider gone"}
    with pytest.raises(InternalServerError, match="Provider gone"):
        whole({"error": error, "message": None, "finish_reason": "error"})
    cut = whole({"error": error, "message": {"content": "half"}, "finish_reason": "error"})
    assert (cut.text, cut.finish_reason, cut.finish_reason_raw) == ("half", "other", "error")
    assert cut.provider_data["openai_chat"]["choices"] == [{"error": error}]


def test_fields_that_nobody_here_knows_are_kept_whole_and_streamed():
    """Perplexity's results, vLLM's stop_reason, Venice's parameters, SambaNova's times."""
    facts = {"search_results": [{"url": "u"}], "citations": ["u"], "venice_parameters": {"x": 1}}
    choice = {"index": 0, "stop_reason": 128_001, "matched_stop": 2}
    one = whole({**choice, "message": {"content": "a"}, "finish_reason": "stop"}, **facts)
    two = streamed(
        {**chunk({"content": "a"}), **facts}, {"choices": [{**choice, "delta": {}, "finish_reason": "stop"}]}
    )
    assert one.provider_data == two.provider_data == {
        "openai_chat": {**facts, "choices": [{"stop_reason": 128_001, "matched_stop": 2}]}
    }  # fmt: skip


def test_thinking_parts_and_texts_stay_apart():
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    response = whole({"message": {"content": [thought, {"type": "text", "text": "4"}]}})
    assert [type(part) for part in response.parts] == [Reasoning, Text]


# Headers.

MODEL = "openai/m"
LIMITS = (("x-ratelimit-remaining-requests", "59"), ("x-ratelimit-reset-tokens", "6m0s"))


@pytest.mark.parametrize("name", REQUEST_ID_HEADERS)
def test_the_id_of_a_request_is_found_under_each_name_and_the_limits_stand_in_the_headers(name):
    """On an answer whole and streamed, and on an error."""
    answer = {"id": "c", "model": "m", "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
    headers = (*LIMITS, (name, "r1"))
    script = ScriptedTransport(
        Reply(body=json.dumps(answer).encode(), headers=headers),
        Reply(body=lines(chunk({"content": "a"}), END), headers=(*headers, ("content-type", "text/event-stream"))),
        Reply(status=400, body=b'{"error": {"message": "no"}}', headers=headers),
    )
    api = ModelsAPI(Settings(transport=script))
    elsewhere = {"base_url": "https://mine.example/v1", "api_key": "k"}
    for response in (api(MODEL, "Hi", **elsewhere), api.stream(MODEL, "Hi", **elsewhere).read()):
        assert response.call.request_id == "r1"
        assert set(headers) <= set(response.call.headers)
    with pytest.raises(BadRequestError) as caught:
        api(MODEL, "Hi", **elsewhere)
    assert caught.value.request_id == "r1"


def test_the_name_of_the_provider_comes_before_that_of_the_network():
    assert request_id((("cf-ray", "n1"), ("x-request-id", "r1"))) == "r1"
    assert request_id((("x-request-id", ""), ("cf-ray", "n1"))) == "n1"
    assert request_id(()) is None


# What no recording of ours holds.


def test_arguments_that_come_as_an_object_go_back_as_text_and_stream_as_one_piece():
    """Ollama's and other servers' habit; what everybody takes is a text."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    response = whole({"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"})
    assert response.tool_calls == (ToolCall(id="c", name="f", arguments='{"a":1}'),)
    assert sent_back(response.message)["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    again = fold(events_of(client, b"".join(server.build_events(response)))[0])
    assert again.tool_calls == response.tool_calls


def test_the_type_of_a_custom_call_is_that_of_its_first_piece():
    first = {"index": 0, "id": "c", "type": "custom_v2", "custom": {"name": "code", "input": "a"}}
    response = streamed(
        chunk({"tool_calls": [first]}), chunk({"tool_calls": [{"index": 0, "custom": {"input": "b"}}]}), END
    )
    (call,) = response.tool_calls
    assert call.arguments == "ab"
    assert call.provider_data == {"openai_chat": {"type": "custom_v2"}}


def test_a_reference_inside_of_a_streamed_thought_is_kept_among_its_texts():
    """Mistral's thoughts may cite: the entries are one list again, as of a whole answer."""

    def thought(*entries):
        return chunk({"content": [{"type": "thinking", "thinking": list(entries)}]})

    def text(said):
        return {"type": "text", "text": said}

    reference = {"type": "reference", "reference_ids": [1]}
    response = streamed(thought(text("a")), thought(text("b")), thought(reference), thought(text("c")), END)
    entries = [text("ab"), reference, text("c")]
    content = [{"type": "thinking", "thinking": entries}]
    assert response.reasoning == "abc"
    assert sent_back(response.message)["content"] == content
    assert whole({"index": 0, "message": {"content": content}, "finish_reason": "stop"}).message == response.message


def test_a_choice_that_is_none_hides_no_answer():
    body = {"choices": [None, {"index": 0, "message": {"content": "paid"}, "finish_reason": "stop"}]}
    assert client.parse_response(WireReply(status=200, body=json.dumps(body).encode()), PLAIN).text == "paid"


@pytest.mark.parametrize(
    ("headers", "detail", "seconds"),
    [
        ([("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), ("date", "Wed, 21 Oct 2015 07:27:30 GMT")], {}, 30),
        ([("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], {}, None),
        ([("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), ("date", "Wed, 21 Oct 2015 07:29:00 GMT")], {}, None),
        ([("retry-after", "soon"), ("date", "Wed, 21 Oct 2015 07:29:00 GMT")], {}, None),
        ([], {"details": [{"@type": "RetryInfo", "retryDelay": "46.5s"}]}, 46.5),
        ([("retry-after", "2")], {"details": [{"@type": "RetryInfo", "retryDelay": "46s"}]}, 2),
        ([], {"details": [None, {"retryDelay": "-1s"}, {"retryDelay": 5}, {"retryDelay": "s"}]}, None),
        ([], {"details": "x"}, None),
        ([("x-amz-retry-after", "1500")], {}, 1.5),
    ],
)
def test_a_wait_is_read_wherever_it_is_told(headers, detail, seconds):
    """A date counts from the server's own; Gemini's OpenAI endpoint tells it in the body, as a list of one."""
    body = json.dumps([{"error": {"code": 429, "message": "slow", **detail}}]).encode()
    info = client.parse_error(WireReply(status=429, headers=tuple(headers), body=body))
    assert (info.kind, info.message, info.retry_after) == ("rate_limit", "slow", seconds)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"statusCode": 401, "error": "Unauthorized", "message": "the key is old"}, "Unauthorized: the key is old"),
        ({"error": "model not found", "message": "model not found"}, "model not found"),
        ({"error": "no such model", "path": "/"}, "no such model"),
    ],
)  # fmt: skip
def test_the_name_of_a_status_hides_no_message(body, message):
    assert client.parse_error(WireReply(status=401, body=json.dumps(body).encode())).message == message
