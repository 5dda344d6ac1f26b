"""Gemini's generateContent against real traffic: what Google and its clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. The readers in this file
say by themselves, from the raw JSON, what an answer holds, and know nothing of the dialect.
"""

import json
import re
from collections import Counter
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from quoth.dialects.gemini import client, server
from quoth.errors import ContentBlockedError, QuothError, ResponseParseError
from quoth.events import ResponseEnd, fold
from quoth.types import Image, Message, ModelRequest, Reasoning, Text
from quoth.wire import Quirks, WireReply, WireRequest
from recordings import is_stream, lines_of, needs_recordings

pytestmark = needs_recordings

PLAIN = Quirks()
APIS = ("generateContent", "streamGenerateContent")
FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "MODEL_ARMOR": "content_filter"}


def exchanges(*names):
    return [each for name in names for each in lines_of(name) if each["meta"]["api"] in APIS]


def answered():
    return exchanges("gemini", "vertex")


def body_of(exchange):
    return (exchange["response"].get("body") or "").encode()


def bodies():
    """Whole answers, but for one prompt that was blocked."""
    found = [body_of(exchange) for exchange in answered()]
    return [body for body in found if not is_stream(body) and b"blockReason" not in body]


def streams():
    return [body for body in map(body_of, answered()) if is_stream(body)]


def whole(body):
    return replace(client.parse_response(WireReply(status=200, body=body), PLAIN), body=None)


def events_of(body, size=None):
    """All events of a stream cut into chunks of ``size`` bytes, and whether it was whole."""
    parser = client.stream_parser(PLAIN)
    size = size or len(body) or 1
    events = [event for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
    return events + parser.end(), parser.ended


def chunks_of(body):
    """The JSON of a stream, read line by line."""
    for line in re.split(r"\r\n|\n|\r", body.decode()):
        if line.startswith("data:"):
            yield json.loads(line[5:])


def exactly(value):
    return json.dumps(value, sort_keys=True)


# Requests.


def test_every_request_is_spelled_again_exactly():
    total = models = 0
    for exchange in exchanges("gemini", "vertex", "errors"):
        total += 1
        url = urlsplit(exchange["request"]["url"])
        body = json.loads(exchange["request"]["body"])
        request = server.parse_request(
            WireRequest(path=url.path, query=(("alt", "sse"),), body=exchange["request"]["body"].encode())
        )
        wire = client.build_request(request, PLAIN)
        assert exactly(json.loads(wire.body)) == exactly(body), exchange["id"]
        assert wire.changes == ()
        assert wire.path.rpartition("/")[2] == url.path.rpartition("/")[2]
        assert wire.query == ((("alt", "sse"),) if url.query else ())
        models += request.model in exchange["request"]["url"]
    assert (total, models) == (343, 343)


def test_requests_mean_what_they_say():
    """What has a name in a ModelRequest, read by itself."""
    found = Counter()
    for exchange in answered():
        body = json.loads(exchange["request"]["body"])
        path = urlsplit(exchange["request"]["url"]).path
        request = server.parse_request(WireRequest(path=path, body=exchange["request"]["body"].encode()))
        config = body.get("generationConfig") or {}
        for ours, theirs in (("max_tokens", "maxOutputTokens"), ("temperature", "temperature"), ("seed", "seed")):
            assert getattr(request, ours) == config.get(theirs)
        assert list(request.stop) == config.get("stopSequences", [])
        schema = config.get("responseJsonSchema") or config.get("responseSchema")
        assert (request.output.schema if request.output else None) == schema
        declared = [
            entry["name"]
            for tool in body.get("tools") or ()
            for entry in tool.get("functionDeclarations") or tool.get("function_declarations") or ()
        ]
        assert [tool.name for tool in request.tools if tool.parameters is not None] == declared
        roles = [message.role for message in request.messages if message.role != "system"]
        spoken = [{"user": "user", "model": "assistant"}[content["role"]] for content in body["contents"]]
        assert ["user" if role == "tool" else role for role in roles] == spoken
        found["system"] += any(message.role == "system" for message in request.messages)
        found["results"] += roles.count("tool")
        found["reasoning"] += request.reasoning is not None
        found["choices"] += request.tool_choice is not None
        found["output"] += request.output is not None
        found.update(type(part).__name__ for message in request.messages for part in message.parts)
    assert found == {
        "system": 86, "results": 109, "reasoning": 39, "choices": 13, "output": 39, "Text": 506, "ToolCall": 113,
        "ToolResult": 113, "Document": 32, "Image": 7, "Audio": 3,
    }  # fmt: skip


def test_every_result_is_for_a_call_before_it():
    count = 0
    for exchange in answered():
        path = urlsplit(exchange["request"]["url"]).path
        request = server.parse_request(WireRequest(path=path, body=exchange["request"]["body"].encode()))
        calls = set()
        for message in request.messages:
            for part in message.parts:
                name = type(part).__name__
                if name == "ToolCall":
                    assert part.id not in calls
                    calls.add(part.id)
                elif name == "ToolResult":
                    assert part.call_id in calls
                    count += 1
    assert count == 113


# What an answer says, read by itself.


def check_usage(response, reported):
    usage = response.usage
    assert usage.reported == reported
    if "promptTokenCount" not in reported:
        assert usage.source == "missing"
        return
    assert usage.source == "provider"

    def of(name):
        return reported.get(name, 0)

    def heard(name):
        return sum(entry["tokenCount"] for entry in of(name) or () if entry["modality"] == "AUDIO")

    cached = of("cachedContentTokenCount")
    assert usage.total_input == of("promptTokenCount") + of("toolUsePromptTokenCount")
    assert usage.total_output == of("candidatesTokenCount") + of("thoughtsTokenCount")
    assert usage.total_tokens == of("totalTokenCount")
    assert usage.reasoning == of("thoughtsTokenCount")
    assert usage.cache_read + usage.cache_read_audio == cached
    assert usage.cache_read_audio == heard("cacheTokensDetails")
    assert usage.input_audio == heard("promptTokensDetails") - heard("cacheTokensDetails")
    assert response.service_tier == reported.get("trafficType", reported.get("serviceTier"))


def check_parts(message, parts):
    """Texts, thoughts and calls of a message are those of these parts, in order."""
    spoken = [part for part in parts if "text" in part and not part.get("thought")]
    assert message.text == "".join([part["text"] for part in spoken])
    thoughts = [part.text for part in message.parts if isinstance(part, Reasoning)]
    assert "".join(thoughts) == "".join([part["text"] for part in parts if part.get("thought")])
    said = [part["functionCall"] for part in parts if "functionCall" in part]
    calls = calls_of(message)
    assert [(call.name, call.parse_arguments()) for call in calls] == [(each["name"], each["args"]) for each in said]
    for call, each in zip(calls, said, strict=True):
        assert call.id == each["id"] if "id" in each else call.id.startswith("gemini_")


def calls_of(message):
    return [part for part in message.parts if type(part).__name__ == "ToolCall"]


def searches(model, candidates):
    """Different queries that are not empty; before Gemini 3, whether there is any."""
    queries = [each.get("groundingMetadata", {}).get("webSearchQueries", ()) for each in candidates]
    found = {query for said in queries for query in said if query}
    return min(len(found), 1) if model.startswith("gemini-2") else len(found)


def said(value):
    """An answer without what is null or empty, or says that a model spoke; and without the place of its candidates."""
    if isinstance(value, dict):
        kept = {key: said(each) for key, each in value.items() if key != "index"}
        return {key: each for key, each in kept.items() if each not in (None, {}, [], "", {"role": "model"})}
    return [said(each) for each in value] if isinstance(value, list) else value


def test_every_whole_answer_says_what_its_body_says():
    count = several = 0
    for body in bodies():
        answer = json.loads(body)
        count += 1
        response = whole(body)
        first, *others = answer["candidates"]
        check_parts(response.message, first.get("content", {}).get("parts", []))
        check_usage(response, answer["usageMetadata"])
        finish = FINISH[first["finishReason"]]
        called = finish == "stop" and response.tool_calls
        assert response.finish_reason == ("tool_calls" if called else finish)
        assert response.finish_reason_raw == first["finishReason"]
        assert (response.id, response.model) == (answer["responseId"], answer["modelVersion"])
        assert (response.created is None) == ("createTime" not in answer)
        assert response.usage.web_searches == searches(answer["modelVersion"], answer["candidates"])
        for candidate, other in zip(response.candidates, others, strict=True):
            several += 1
            check_parts(candidate.message, other["content"]["parts"])
            assert candidate.finish_reason_raw == other["finishReason"]
    assert (count, several) == (232, 1)


def test_every_whole_answer_is_spelled_again_word_for_word():
    for body in bodies():
        again = json.loads(server.build_response(whole(body)).body)
        assert exactly(said(again)) == exactly(said(json.loads(body)))


def test_every_whole_answer_that_is_spelled_again_reads_back_the_same():
    for body in bodies():
        response = whole(body)
        assert whole(server.build_response(response).body) == response
        streamed = fold(events_of(b"".join(server.build_events(response, piece=5)), 17)[0])
        assert streamed == response


def test_every_answer_can_be_sent_back_part_by_part():
    kinds = Counter()
    for body in bodies():
        came = json.loads(body)["candidates"][0].get("content", {}).get("parts", [])
        wire = client.build_request(ModelRequest(model="m", messages=(whole(body).message,)), PLAIN)
        (back,) = json.loads(wire.body)["contents"]
        assert back == {"role": "model", "parts": came}
        assert wire.changes == ()
        kinds.update(key for part in came for key in part)
    assert kinds["thoughtSignature"] == 86
    assert (kinds["executableCode"], kinds["codeExecutionResult"]) == (16, 16)


def test_a_prompt_that_was_blocked_is_the_providers_no():
    (body,) = [body for body in map(body_of, answered()) if b"blockReason" in body]
    with pytest.raises(ContentBlockedError, match="MODEL_ARMOR") as caught:
        whole(body)
    partial = caught.value.partial
    assert (caught.value.status, partial.model, partial.service_tier) == (200, "gemini-2.5-flash", "ON_DEMAND")


# Streams.


def test_every_stream_says_what_its_chunks_say():
    count = 0
    for body in streams():
        count += 1
        chunks = list(chunks_of(body))
        produced, ended = events_of(body)
        assert ended
        response = fold(produced)
        candidates = [candidate for chunk in chunks for candidate in chunk.get("candidates", ())]
        parts = [part for each in candidates for part in each.get("content", {}).get("parts", ())]
        check_parts(response.message, parts)
        counted = [chunk["usageMetadata"] for chunk in chunks if "promptTokenCount" in chunk.get("usageMetadata", {})]
        check_usage(response, counted[-1])
        assert (response.id, response.model) == (chunks[0]["responseId"], chunks[0]["modelVersion"])
        assert response.finish_reason_raw == [each["finishReason"] for each in candidates if "finishReason" in each][-1]
        grounded = [each for each in candidates if each.get("groundingMetadata")]
        assert response.usage.web_searches == searches(response.model, grounded)
        wire = client.build_request(ModelRequest(model="m", messages=(response.message,)), PLAIN)
        (back,) = json.loads(wire.body)["contents"]
        assert exactly(joined(back["parts"])) == exactly(joined(parts))
    assert count == 90


def joined(parts):
    """Parts with their plain texts and thoughts joined: a stream cuts them anywhere."""
    found = []
    for part in parts:
        plain = part.keys() <= {"text", "thought"}
        if plain and not part["text"]:
            continue
        if plain and found and found[-1].keys() == part.keys():
            found[-1] = {**found[-1], "text": found[-1]["text"] + part["text"]}
        else:
            found.append(part)
    return found


def test_nothing_of_a_stream_is_lost():
    """Each field of a candidate that stands beside its content is kept: the last word, or the whole list."""
    fields = Counter()
    for body in streams():
        response = fold(events_of(body)[0])
        candidates = [candidate for chunk in chunks_of(body) for candidate in chunk.get("candidates", ())]
        kept = response.provider_data.get("gemini", {}).get("candidates", [{}])[0]
        for candidate in candidates:
            for key, value in candidate.items():
                if key not in ("content", "finishReason", "index") and value:
                    fields[key] += 1
                    assert key in kept
        last = {key: value for each in candidates for key, value in each.items() if value}
        assert all(kept[key] == last[key] for key in kept)
    assert fields == {"groundingMetadata": 8, "finishMessage": 13}


def test_one_byte_at_a_time_and_any_line_end_give_the_same_events():
    for body in streams():
        expected = events_of(body)
        assert events_of(body, 1) == expected
        lines = body.replace(b"\r\n", b"\n")
        assert events_of(lines, 4096) == expected
        assert events_of(lines.replace(b"\n", b"\r"), 1021) == expected


def test_the_same_chunks_as_one_json_array_give_the_same_answer():
    """As Google sends them without ``alt=sse``."""
    for body in streams():
        array = ("[" + ",\r\n".join(json.dumps(chunk, indent=2) for chunk in chunks_of(body)) + "\n]\n").encode()
        expected = events_of(body)
        assert events_of(array) == expected
        assert events_of(array, 1) == expected
        assert whole(array) == fold(expected[0])
        assert not events_of(array.rstrip()[:-1])[1]


def test_every_stream_that_is_cut_before_its_end_was_cut():
    for body in streams():
        end = body.index(b'"finishReason"')
        for at in range(end - 1, -1, -max(end // 12, 1)):
            events, ended = events_of(body[:at])
            assert not ended
            assert not any(isinstance(event, ResponseEnd) for event in events)


def test_every_stream_that_is_spelled_again_folds_to_the_same_answer():
    for body in streams():
        response = fold(events_of(body)[0])
        for spell in (server.build_events, server.build_array):
            assert fold(events_of(b"".join(spell(response, piece=6)), 211)[0]) == response
        assert whole(server.build_response(response).body) == response


# Errors.


def test_every_error_has_its_kind():
    found = Counter()
    for exchange in exchanges("errors"):
        response, body = exchange["response"], body_of(exchange)
        info = client.parse_error(WireReply(status=response["status"], body=body))
        found[response["status"], info.kind] += 1
        error = json.loads(body)["error"]
        assert (info.message, info.type) == (error["message"].replace("\n", "\n"), error["status"])
        waits = [detail["retryDelay"] for detail in error.get("details", ()) if "retryDelay" in detail]
        assert ([] if info.retry_after is None else [f"{info.retry_after:.0f}s"]) == waits
        again = client.parse_error(server.build_error(info))
        assert (again.kind, again.message, again.status) == (info.kind, info.message, info.status)
        assert again.retry_after == info.retry_after
    assert found == {
        (400, "bad_request"): 1,
        (404, "model_not_found"): 4,
        (429, "rate_limit"): 13,
        (500, "server"): 1,
        (503, "overloaded"): 1,
    }


# Fixtures without a request, of many wires and some of them joined or trimmed by hand.


def test_a_fixture_is_read_or_refused_and_never_breaks_the_reader():
    found = Counter()
    for line in lines_of("zz-response-only-fixtures"):
        body = (line["response"].get("body") or "").encode()
        if is_stream(body):
            try:
                found["whole stream" if events_of(body)[1] else "no stream of this wire"] += 1
            except QuothError:
                found["error in a stream"] += 1
            continue
        try:
            response = whole(body)
        except ResponseParseError:
            found["no answer of this wire"] += 1
            continue
        found["answer"] += 1
        assert whole(server.build_response(response).body) == response
        assert isinstance(response.message, Message)
    assert found == {
        "answer": 6,
        "no answer of this wire": 191,
        "whole stream": 6,
        "no stream of this wire": 18,
        "error in a stream": 1,
    }


def test_what_is_opaque_in_answers_is_a_text_without_words():
    opaque = Counter()
    for response in [*map(whole, bodies()), *[fold(events_of(body)[0]) for body in streams()]]:
        for part in response.parts:
            kept = part.provider_data.get("gemini", {})
            if isinstance(part, Text) and ":absent" in kept:
                assert part.text == ""
                opaque.update(key for key in kept if key not in (":absent", "thoughtSignature"))
            assert not isinstance(part, Image)
    assert opaque == {"executableCode": 33, "codeExecutionResult": 32, "toolCall": 2, "toolResponse": 2}
