"""Chat Completions against real traffic: what providers and their clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. The readers in this file
say by themselves, from the raw JSON, what an answer holds, and know nothing of the dialect.
"""

import json
from collections import Counter
from functools import cache

import pytest
from msgspec.structs import replace

from quoth.dialects.openai_chat import client, server
from quoth.errors import APIStatusError, BadRequestError, ContentBlockedError, QuothError, ResponseParseError
from quoth.events import ResponseEnd, fold
from quoth.wire import Quirks, WireReply, WireRequest
from recordings import is_stream, lines_of, needs_recordings

pytestmark = needs_recordings

PLAIN = Quirks()
BY_FINISH = Quirks(stream_end="finish_reason")

FILES = [
    "azure-openai", "bedrock-mantle", "cerebras", "copilot", "deepseek", "doubleword", "errors", "groq", "huggingface",
    "local-openai-compatible", "misc-openai-compatible", "mistral", "ollama", "openai-chat", "openrouter", "perplexity",
    "together", "venice", "vercel-gateway", "zai",
]  # fmt: skip
"""Every file with exchanges on this wire (Cohere's "chat" is a wire of its own)."""


@cache
def exchanges(name):
    """The exchanges of one file that are on this wire."""
    return [each for each in lines_of(name) if each["meta"]["api"] == "chat" and each["meta"]["provider"] != "cohere"]


def each(*names, streams=None, failed=False):
    """Exchanges of the named files (all of them without a name), by whether they stream, and failed."""
    for name in names or FILES:
        for exchange in exchanges(name):
            body = (exchange["response"].get("body") or "").encode()
            if (exchange["response"]["status"] >= 400) == failed and streams in (None, is_stream(body)):
                yield name, exchange, body


def whole(body):
    return client.parse_response(WireReply(status=200, body=body), PLAIN)


def stripped(response):
    return replace(response, body=None)


def events_of(body, size=None, quirks=PLAIN):
    """All events of a stream cut into chunks of ``size`` bytes, and whether it was whole."""
    parser = client.stream_parser(quirks)
    size = size or len(body)
    events = [event for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
    return events + parser.end(), parser.ended


def quirks_of(body):
    """The row's facts that a request shows: how it calls the cap, and whether it asks for usage in streams."""
    newer = body.get("max_completion_tokens") is not None
    return Quirks(
        max_tokens_field="max_completion_tokens" if newer else "max_tokens",
        stream_usage_option="stream_options" in body,
    )


# Requests.

SAYS_NOTHING = [("stream", False), ("tools", [])]
NAMED = (
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "response_format",
    "tools",
    "tool_choice",
    "stream",
)


def differences(body):
    """What building a parsed request gives differently, in words; nothing where it gives the same."""
    request = server.parse_request(WireRequest(path="/chat/completions", body=json.dumps(body).encode()))
    built = json.loads(client.build_request(request, quirks_of(body)).body)
    for key in body.keys() | built.keys():
        said, again = body.get(key), built.get(key)
        if key in body and key in built and json.dumps(said, sort_keys=True) == json.dumps(again, sort_keys=True):
            continue
        if key in NAMED and key not in built and said is None:
            yield "a null for a field that has a name"
        elif key == "stop" and again == [said]:
            yield "one stop string"
        elif key not in built and (key, said) in SAYS_NOTHING:
            yield f"{key}: {said}"
        else:
            yield f"LOST {key}: {said!r:.80} became {again!r:.80}"


def test_every_request_is_spelled_again_as_it_was():
    """All but one have a body of valid JSON, and what differs is what ``null`` or a default said."""
    total, found, invalid = 0, Counter(), []
    for _, exchange, _ in [*each(), *each(failed=True)]:
        try:
            body = json.loads(exchange["request"]["body"])
        except ValueError:
            invalid.append(exchange["id"])
            continue
        total += 1
        found.update(set(differences(body)))
    assert invalid == ["cfdcf4bf24f0304f"]  # a control character in a string
    assert total == 1078
    assert found == {
        "stream: False": 386,
        "a null for a field that has a name": 8,
        "one stop string": 4,
        "tools: []": 2,
    }


def test_every_request_to_openai_is_spelled_again_as_it_was():
    found = Counter()
    for _, exchange, _ in [*each("openai-chat"), *each("openai-chat", failed=True)]:
        found.update(set(differences(json.loads(exchange["request"]["body"]))))
    assert len(exchanges("openai-chat")) == 260
    assert found == {"stream: False": 92}


# Whole answers.


def texts_of(content):
    """The text of a content, as the body says it."""
    if isinstance(content, list):
        return "".join([part["text"] for part in content if part["type"] == "text"])
    return content or ""


FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def test_every_whole_answer_says_what_its_body_says():
    count = 0
    for _, _, body in each(streams=False):
        answer = json.loads(body)
        if "choices" not in answer:
            continue
        count += 1
        response, choice = whole(body), answer["choices"][0]
        message = choice.get("message") or {}
        assert response.text == texts_of(message.get("content"))
        assert (response.finish_reason_raw, response.finish_reason) == (
            choice["finish_reason"],
            FINISH.get(choice["finish_reason"], "other"),
        )
        assert (response.id, response.model) == (answer["id"] or None, answer["model"])
        assert [(call.id, call.name) for call in response.tool_calls if call.id] == [
            (call["id"], call[call.get("type", "function")]["name"]) for call in message.get("tool_calls") or []
        ]
        thoughts = message.get("reasoning_content") or message.get("reasoning")
        assert not thoughts or response.reasoning == thoughts
        assert response.service_tier == (answer.get("service_tier") or answer["usage"].get("service_tier"))
        check_candidates(response, answer["choices"])
        check_usage(response.usage, answer["usage"])
    assert count == 710


def check_candidates(response, choices):
    """Each further choice is a candidate with the text, the calls and the end of its own."""
    assert [(each.text, each.finish_reason_raw) for each in response.candidates] == [
        (texts_of(choice["message"].get("content")), choice["finish_reason"]) for choice in choices[1:]
    ]


def check_usage(usage, reported):
    assert usage.reported == reported
    if usage.source == "provider":
        assert usage.total_tokens == reported["total_tokens"]
        outside = (usage.total_input - reported["prompt_tokens"], usage.total_output - reported["completion_tokens"])
        assert outside in {(0, 0), (usage.input_audio, 0), (0, usage.reasoning)}


def test_usage_is_suspect_only_where_its_parts_exceed_their_whole():
    suspects, outside = Counter(), []
    for name, exchange, body in each():
        try:
            usage = whole(body).usage if not is_stream(body) else fold(events_of(body)[0]).usage
        except QuothError:
            continue
        suspects[name] += usage.source == "suspect"
        if usage.source == "provider" and usage.total_input != usage.reported["prompt_tokens"]:
            outside.append(exchange["id"])
    assert +suspects == {
        "azure-openai": 11,  # Grok: cached above prompt
        "doubleword": 2,  # reasoning above completion
        "openrouter": 1,  # cached and cache writes count the same tokens
        "vercel-gateway": 14,  # Gemini: reasoning above completion, and the total leaves it out
    }
    assert outside == ["0009f98802a08491"]  # Mistral: audio outside of the prompt, as the total says


def test_what_answers_nothing_is_refused():
    refused = []
    for name, exchange, body in each(streams=False):
        try:
            whole(body)
        except ContentBlockedError as error:
            refused.append((name, exchange["id"], "filtered" in error.message))
    assert refused == [("errors", "a73ab9f819ab1abf", True)]


def test_every_whole_answer_that_is_spelled_again_reads_back_the_same():
    count = several = 0
    for _, exchange, body in each(streams=False):
        if exchange["id"] == "a73ab9f819ab1abf":
            continue
        response = stripped(whole(body))
        assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response
        assert fold(events_of(b"".join(server.build_events(response, piece=5)), 17)[0]) == response
        several += bool(response.candidates)
        count += 1
    assert (count, several) == (710, 12)


def test_every_answer_can_be_sent_back():
    """A message appended to a conversation is spelled with the text, calls and reasoning that came."""
    from quoth.types import ModelRequest

    for _, exchange, body in each(streams=False):
        if exchange["id"] == "a73ab9f819ab1abf":
            continue
        came = json.loads(body)["choices"][0].get("message") or {}
        wire = client.build_request(ModelRequest(model="m", messages=(whole(body).message,)), PLAIN)
        (back,) = json.loads(wire.body)["messages"]
        assert wire.changes == ()
        assert back["content"] == came.get("content") or not (back["content"] or came.get("content"))
        for field in ("reasoning", "reasoning_content", "reasoning_details", "refusal"):
            assert back.get(field) == came.get(field) or not (back.get(field) or came.get(field))
        for mine, theirs in zip(back.get("tool_calls", []), came.get("tool_calls") or [], strict=True):
            said = {key: value for key, value in theirs.items() if key != "index"}
            said["function"] = {"arguments": "", **said["function"]} if "function" in said else None
            assert {key: value for key, value in mine.items() if value} == {
                key: value for key, value in {"type": "function", **said}.items() if value
            }


# Streams.

FAILING = {
    "eba423becefb7fe3": "Tool call validation failed",
    "009fa8e7d5d9ceac": "Tool choice is required",
    "0f3a95b30e8e582f": "Token limit reached",
}
WITHOUT_DONE = {"misc-openai-compatible": 2, "perplexity": 3}


def stream_events(body, size=None):
    """The events of a whole stream, by whichever end its server has."""
    events, ended = events_of(body, size)
    if not ended:
        events, ended = events_of(body, size, BY_FINISH)
    assert ended
    return events


def chunks_of(body):
    """The JSON of a stream, read line by line."""
    for line in body.decode().splitlines():
        if line.startswith("data:") and line != "data: [DONE]":
            yield json.loads(line[5:])


def test_every_stream_says_what_its_chunks_say():
    count = several = 0
    for name, exchange, body in each(streams=True):
        if exchange["id"] in FAILING:
            continue
        count += 1
        response = fold(stream_events(body))
        several += check_streamed_candidates(response, list(chunks_of(body)))
        chunks = list(chunks_of(body))
        choices = [choice for chunk in chunks for choice in chunk["choices"] if not choice.get("index")]
        deltas = [choice.get("delta") or {} for choice in choices]
        assert response.text == "".join([texts_of(delta.get("content")) for delta in deltas])
        for field in ("reasoning", "reasoning_content"):
            thoughts = "".join([delta.get(field) or "" for delta in deltas])
            assert not thoughts or response.reasoning == thoughts, name
        pieces = [call for delta in deltas for call in delta.get("tool_calls") or []]
        assert "".join([call.arguments for call in response.tool_calls]) == "".join(
            [(piece.get("function") or {}).get("arguments") or "" for piece in pieces]
        )
        assert [call.id for call in response.tool_calls] == list(
            dict.fromkeys([piece["id"] for piece in pieces if piece.get("id")])
        )
        reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
        assert response.finish_reason_raw == (reasons[-1] if reasons else None), exchange["id"]
        assert response.model == next(chunk["model"] for chunk in chunks if chunk["model"])
        said = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        assert (response.usage.source == "missing") == (not said)
        if said:
            check_usage(response.usage, said[-1])
    assert (count, several) == (300, 7)


def check_streamed_candidates(response, chunks):
    """Each further choice of a stream is a candidate; whether there are any."""
    others = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice.get("index"):
                text, finish = others.get(choice["index"], ("", None))
                said = texts_of((choice.get("delta") or {}).get("content"))
                others[choice["index"]] = (text + said, choice.get("finish_reason") or finish)
    assert [(each.text, each.finish_reason_raw) for each in response.candidates] == [
        others[at] for at in sorted(others)
    ]
    return bool(others)


def test_a_stream_without_done_was_cut_unless_the_row_says_that_it_ends_by_its_finish_reason():
    cut = Counter(name for name, e, body in each(streams=True) if e["id"] not in FAILING and not events_of(body)[1])
    assert cut == WITHOUT_DONE
    for name in WITHOUT_DONE:
        for _, _, body in each(name, streams=True):
            assert events_of(body, quirks=BY_FINISH)[1]


def test_line_ends_do_not_matter():
    for _, exchange, body in each(streams=True):
        if exchange["id"] in FAILING:
            continue
        lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        expected = stream_events(body)
        assert stream_events(lines) == expected
        assert stream_events(lines.replace(b"\n", b"\r"), 4096) == expected
        assert stream_events(lines.replace(b"\n", b"\r\n"), 1021) == expected


def test_one_byte_at_a_time_gives_the_same_events():
    for _, exchange, body in each(streams=True):
        if exchange["id"] not in FAILING:
            assert stream_events(body, 1) == stream_events(body)


def test_every_stream_that_is_spelled_again_folds_to_the_same_answer():
    for _, exchange, body in each(streams=True):
        if exchange["id"] in FAILING:
            continue
        response = fold(stream_events(body))
        assert fold(events_of(b"".join(server.build_events(response, piece=6)), 211)[0]) == response
        assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response


def test_a_stream_that_fails_gives_what_came_and_then_the_providers_error():
    seen = {}
    for _, exchange, body in each("errors", streams=True):
        parser = client.stream_parser(PLAIN)
        events = parser.feed(body)
        with pytest.raises(BadRequestError) as caught:
            parser.end()
        assert fold(events).reasoning
        assert not any(isinstance(event, ResponseEnd) for event in events)
        assert caught.value.status == 200
        seen[exchange["id"]] = caught.value.message
    assert seen.keys() == FAILING.keys()
    assert all(seen[key].startswith(start) for key, start in FAILING.items())


# Errors.


def said(body):
    """The message of an error, as the body says it."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body.decode().strip()
    if "detail" in answer:  # Mistral's validation
        return "; ".join([".".join(map(str, each["loc"])) + ": " + each["msg"] for each in answer["detail"]])
    found = answer.get("error", answer)
    return found if isinstance(found, str) else found["message"]


def test_every_error_has_its_kind():
    found = Counter()
    for _, exchange, body in each("errors", failed=True):
        response = exchange["response"]
        headers = tuple((name.lower(), value) for name, value in response["headers"])
        info = client.parse_error(WireReply(status=response["status"], headers=headers, body=body))
        found[response["status"], info.kind] += 1
        assert info.message == said(body)
        assert (info.retry_after is not None) == any(name == "retry-after" for name, _ in headers)
        again = client.parse_error(server.build_error(info))
        assert (again.kind, again.message, again.status) == (info.kind, info.message, info.status)
    assert found == {
        (400, "bad_request"): 17,
        (400, "context_length"): 3,
        (400, "model_not_found"): 2,
        (401, "authentication"): 6,
        (403, "permission_denied"): 1,
        (404, "model_not_found"): 8,
        (408, "server"): 1,
        (413, "request_too_large"): 1,
        (422, "bad_request"): 1,
        (429, "rate_limit"): 19,
        (500, "server"): 5,
        (503, "overloaded"): 1,
    }


# Fixtures without a request, of many wires and some of them joined or trimmed by hand.


def test_a_fixture_is_read_or_refused_and_never_breaks_the_reader():
    found = Counter()
    for exchange in lines_of("zz-response-only-fixtures"):
        body = (exchange["response"].get("body") or "").encode()
        if is_stream(body):
            try:
                found["whole stream" if events_of(body)[1] else "no stream of this wire"] += 1
            except APIStatusError:
                found["error in a stream"] += 1
            continue
        try:
            response = stripped(whole(body))
        except ResponseParseError:
            found["no answer of this wire"] += 1
            continue
        found["answer"] += 1
        if response.usage.source != "missing":
            check_usage(response.usage, json.loads(body)["usage"])
        assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response
    assert found == {
        "answer": 36,
        "no answer of this wire": 161,
        "whole stream": 8,
        "no stream of this wire": 16,
        "error in a stream": 1,
    }
