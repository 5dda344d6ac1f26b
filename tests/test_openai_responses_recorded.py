"""OpenAI Responses against real traffic: what providers and their clients really sent loses nothing.

The recordings stand outside the repository; where they are absent, these tests skip. The readers in this file
say by themselves, from the raw JSON, what an answer holds, and know nothing of the dialect.
"""

import json
import re
from collections import Counter
from functools import cache

from msgspec.structs import replace

from quoth.dialects.openai_responses import client, server
from quoth.errors import APIStatusError, ResponseParseError
from quoth.events import ResponseEnd, ResponseFold, fold
from quoth.types import Message, ModelRequest, Reasoning
from quoth.wire import Quirks, WireReply, WireRequest
from recordings import is_stream, lines_of, needs_recordings

pytestmark = needs_recordings

PLAIN = Quirks()

FILES = {
    "azure-openai": 4,
    "bedrock-mantle": 12,
    "copilot": 4,
    "deepseek": 7,
    "errors": 21,
    "local-openai-compatible": 3,
    "misc-openai-compatible": 18,  # Codex
    "openai-responses": 240,
    "openrouter": 1,
    "xai": 55,
}
"""Every file with exchanges on this wire, and how many it has."""


@cache
def exchanges(name):
    """The exchanges of one file that are on this wire."""
    return [each for each in lines_of(name) if each["meta"]["api"] == "responses"]


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


def events_of(body, size=None):
    """All events of a stream cut into chunks of ``size`` bytes, and whether it was whole."""
    parser = client.stream_parser(PLAIN)
    size = size or len(body)
    events = [event for at in range(0, len(body), size) for event in parser.feed(body[at : at + size])]
    return events + parser.end(), parser.ended


def same(one, other):
    """Whether two values are the same JSON: tells 1 from true and 1.0, as ``==`` does not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_the_recordings_are_all_here():
    assert {name: len(exchanges(name)) for name in FILES} == FILES
    others = [
        exchange["id"]
        for name in ("cerebras", "groq", "mistral", "openai-aux", "openai-chat", "vercel-gateway", "zai")
        for exchange in lines_of(name)
        if exchange["meta"]["api"] == "responses"
    ]
    assert others == []


# Requests.

SAYS_NOTHING = [("stream", False), ("tools", [])]


def differences(body):
    """What building a parsed request gives differently, in words; nothing where it gives the same."""
    request = server.parse_request(WireRequest(path="/responses", body=json.dumps(body).encode()))
    wire = client.build_request(request, PLAIN)
    assert set(wire.changes) <= {"max_tokens sent as max_output_tokens"}
    built = json.loads(wire.body)
    for key in body.keys() | built.keys():
        said, again = body.get(key), built.get(key)
        if key in body and key in built and same(said, again):
            continue
        if key not in built and (key, said) in SAYS_NOTHING:
            yield f"{key}: {said}"
        else:
            yield f"LOST {key}: {said!r:.80} became {again!r:.80}"


def test_every_request_is_spelled_again_as_it_was():
    """All but one have a body, and what differs is what a default said."""
    total, found, without = 0, Counter(), []
    for _, exchange, _ in [*each(), *each(failed=True)]:
        if not exchange["request"].get("body"):
            without.append(exchange["id"])
            continue
        total += 1
        found.update(differences(json.loads(exchange["request"]["body"])))
    assert (total, without) == (364, ["351499565efe605d"])
    assert found == {"stream: False": 146, "tools: []": 3}


def spoken(item):
    """The texts of a message item, of its strings and text entries."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "".join([entry.get("text", "") for entry in content])


def test_every_request_means_what_its_items_say():
    """Who said what, which calls and results there are, and in which order."""
    items = Counter()
    for _, exchange, _ in [*each(), *each(failed=True)]:
        body = json.loads(exchange["request"].get("body") or "{}")
        if not body:
            continue
        request = server.parse_request(WireRequest(path="/responses", body=exchange["request"]["body"].encode()))
        spelled = body.get("input", [])
        spelled = [{"role": "user", "content": spelled}] if isinstance(spelled, str) else spelled
        said = [("system", body["instructions"])] if "instructions" in body else []
        calls, results, opaque, thoughts = [], [], 0, 0
        for item in spelled:
            kind = item.get("type", "message")
            items[kind] += 1
            if kind == "message":
                role = {"developer": "system"}.get(item["role"], item["role"])
                said.append((role, spoken(item)))
            elif kind == "function_call":
                calls.append((item["call_id"], item["name"], item["arguments"]))
            elif kind == "function_call_output":
                results.append((item["call_id"], item["output"]))
            else:
                thoughts += kind == "reasoning"
                opaque += kind != "reasoning"
        parts = [part for message in request.messages for part in message.parts]
        mine = [(message.role, message.text) for message in request.messages if message.role != "tool"]
        assert joined(mine) == joined(said)
        named = [part for part in parts if type(part).__name__ == "ToolCall"]
        assert [(call.id, call.name, call.arguments) for call in named] == calls
        answered = [part for part in parts if type(part).__name__ == "ToolResult"]
        for result, (call_id, output) in zip(answered, results, strict=True):
            assert result.call_id == call_id
            if isinstance(output, str):
                assert "".join([part.text for part in result.parts]) == output
            else:
                assert len(result.parts) == len(output)
        assert sum(isinstance(part, Reasoning) for part in parts) == thoughts
        kept = [part.provider_data["openai_responses"] for part in parts if part.provider_data]
        assert sum(data.get(":field") == "item" for data in kept) == opaque
        assert request.model == body.get("model", "")
        assert request.max_tokens == body.get("max_output_tokens")
        assert request.temperature == body.get("temperature")
        assert request.reasoning == (body.get("reasoning") or {}).get("effort")
        form = (body.get("text") or {}).get("format") or {}
        assert (request.output and request.output.schema) == form.get("schema")
        assert [tool.name for tool in request.tools] == [
            tool.get("name", tool["type"]) for tool in body.get("tools") or []
        ]
    assert items["message"] > 400
    assert {kind: items[kind] for kind in ("reasoning", "function_call", "function_call_output")} == {
        "reasoning": 43,
        "function_call": 80,
        "function_call_output": 82,
    }


def joined(said):
    """What was said by whom, in a row; messages of nothing say nothing."""
    rows = []
    for role, text in said:
        if rows and rows[-1][0] == role:
            rows[-1] = (role, rows[-1][1] + text)
        elif text:
            rows.append((role, text))
    return rows


# Whole answers.


def check(response, answer):
    """Compare a response with an independent reading of the body that it was read from."""
    output = answer["output"]
    messages = [entry for item in output if item["type"] == "message" for entry in item["content"]]
    assert response.text == "".join([entry["text"] for entry in messages if entry["type"] == "output_text"])
    refusal = "".join([entry["refusal"] for entry in messages if entry["type"] == "refusal"])
    assert response.refusal == (refusal or None)
    calls = [item for item in output if item["type"] in ("function_call", "custom_tool_call")]
    assert [(call.id, call.name, call.arguments) for call in response.tool_calls] == [
        (item["call_id"], item["name"], item.get("arguments", item.get("input"))) for item in calls
    ]
    thoughts = [
        "\n\n".join([entry["text"] for entry in item.get("content") or item["summary"]])
        for item in output
        if item["type"] == "reasoning"
    ]
    beside = answer.get("reasoning")
    if isinstance(beside, str) and beside.strip():
        thoughts.append(beside)
    assert [part.text for part in response.parts if isinstance(part, Reasoning)] == thoughts
    status, details = answer["status"], answer.get("incomplete_details")
    assert response.finish_reason_raw == (details["reason"] if details else status)
    expected = {"incomplete": "length", "queued": "other"}.get(status, "tool_calls" if calls else "stop")
    assert response.finish_reason == expected
    made = answer["created_at"] or None  # 0 is no date: recorders put it in the place of one, and server halves too
    assert (response.id, response.model, response.created) == (answer["id"], answer["model"], made)
    assert response.service_tier == answer.get("service_tier")
    check_usage(response.usage, answer)
    kept = response.provider_data.get("openai_responses", {})
    for key, value in answer.items():
        if key not in READ and value not in (None, [], {}, ""):
            asked_for_nothing = (key, value) in DEFAULTS
            assert asked_for_nothing or key not in kept or same(kept[key], value)
            assert asked_for_nothing or key in kept or key == "incomplete_details" or value == beside


DEFAULTS = [("object", "response"), ("parallel_tool_calls", True), ("tool_choice", "auto")]
READ = {"id", "created_at", "model", "output", "service_tier", "status", "usage", "output_text"}


def check_usage(usage, answer):
    reported = answer.get("usage")
    assert usage.reported == reported
    calls = [item for item in answer["output"] if item["type"] == "web_search_call" and item["status"] == "completed"]
    searched = [item for item in calls if item.get("action", {"type": "search"})["type"] == "search"]  # once, all did
    assert usage.web_searches == len(searched)
    if reported is None:
        assert usage.source == "missing"
        return
    read, out = reported.get("input_tokens_details") or {}, reported.get("output_tokens_details") or {}
    assert usage.source == "provider"
    assert usage.input_tokens == reported["input_tokens"]
    assert usage.output_tokens == reported["output_tokens"]
    assert usage.total_tokens == reported["total_tokens"]
    assert usage.cache_read == read.get("cached_tokens", 0)
    assert usage.cache_write_5m + usage.cache_write_12h == read.get("cache_write_tokens", 0)
    assert usage.reasoning == out.get("reasoning_tokens", 0)


def test_every_whole_answer_says_what_its_body_says():
    count = Counter()
    for name, _, body in each(streams=False):
        check(whole(body), json.loads(body))
        count[name] += 1
    assert count == {
        "azure-openai": 3,
        "bedrock-mantle": 9,
        "copilot": 4,
        "deepseek": 4,
        "local-openai-compatible": 3,
        "openai-responses": 169,
        "openrouter": 1,
        "xai": 46,
    }


def test_web_searches_are_counted_where_they_searched():
    found = {exchange["id"]: searches for _, exchange, body in each() if (searches := read(body).usage.web_searches)}
    assert found == {
        "0a570816814e7a48": 1,  # DeepSeek, which opened three pages after it
        "1e05b05bcb574bee": 7,  # of nine calls
        "4e6570fc18ae0959": 1,
        "83fc6faa9f1a2e20": 2,  # xAI, whose usage says the same
        "877465c09bed6717": 1,
        "89b1d399817ac21c": 1,
        "8f8b1d04ab075c60": 1,
        "969863f3fed686f5": 1,
        "a7a6592a99850e81": 1,
        "bf28a6b2feb4f93f": 2,
        "c1d3011c0b9ef9e3": 6,
        "dbf2cc797b3d0440": 1,
        "e38e4782267a1409": 2,
    }


def read(body):
    return fold(events_of(body)[0]) if is_stream(body) else whole(body)


def test_every_answer_that_is_spelled_again_reads_back_the_same():
    count = 0
    for _, _, body in each():
        response = stripped(read(body))
        assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response
        spelled = b"".join(server.build_events(response, piece=5))
        assert fold(events_of(spelled, 17)[0]) == response
        count += 1
    assert count == 344


BESIDE = "reasoning that stood beside the items left out: no item can carry it"


def test_every_answer_is_sent_back_as_the_very_items_that_came():
    items, changes = Counter(), Counter()
    for name, exchange, body in each():
        answer = last_answer(body) if is_stream(body) else json.loads(body)
        message = read(body).message
        wire = client.build_request(ModelRequest(model="m", messages=(Message.user("x"), message)), PLAIN)
        first, *back = json.loads(wire.body)["input"]
        assert first == {"role": "user", "content": "x"}
        assert same(back, answer["output"]), exchange["id"]
        items.update([item["type"] for item in back])
        changes.update({(name, change): 1 for change in wire.changes})
    assert changes == {("local-openai-compatible", BESIDE): 1}
    assert items == {
        "message": 244,
        "reasoning": 185,
        "function_call": 108,
        "web_search_call": 32,
        "mcp_list_tools": 4,
        "tool_search_call": 3,
        "tool_search_output": 3,
        "code_interpreter_call": 1,
        "custom_tool_call": 1,
        "file_search_call": 1,
        "mcp_call": 1,
    }


# Streams.


def data_of(body):
    """The JSON of a stream, read line by line."""
    return [json.loads(line[5:]) for line in body.decode().splitlines() if line.startswith("data:")]


def last_answer(body):
    """The answer of the event that ends it. Codex leaves its items out: they are those that were done one by one."""
    items = []
    for event in data_of(body):
        if event["type"] == "response.output_item.done":
            items.append(event["item"])
        if event["type"] in ("response.completed", "response.incomplete"):
            answer = event["response"]
            return answer if answer["output"] else {**answer, "output": items}
    raise AssertionError("the stream has no end")


def test_every_stream_is_the_whole_answer_of_its_last_event():
    """Parts, data, usage and all, also where the pieces before it said otherwise."""
    count, without = 0, Counter()
    for name, exchange, body in each(streams=True):
        events, ended = events_of(body)
        assert ended
        answer = last_answer(body)
        response = fold(events)
        assert response == stripped(whole(json.dumps(answer).encode())), exchange["id"]
        check(response, answer)
        assert response.body is None
        without[name] += not data_of(body)[-1]["response"]["output"]
        count += 1
    assert count == 105
    assert +without == {"misc-openai-compatible": 18}


def test_what_a_stream_tells_before_its_last_event_is_what_its_deltas_say():
    """Text, refusal, thoughts and arguments come with their own events, not at the end."""
    kinds = {
        "response.output_text.delta": "text",
        "response.refusal.delta": "refusal",
        "response.function_call_arguments.delta": "arguments",
        "response.custom_tool_call_input.delta": "arguments",
        "response.reasoning_summary_text.delta": "reasoning",
        "response.reasoning_text.delta": "reasoning",
    }
    seen = Counter()
    for _, _, body in each(streams=True):
        said = Counter()
        for event in data_of(body):
            if event["type"] in kinds:
                said[kinds[event["type"]]] += len(event["delta"])
        folding = ResponseFold()
        for event in events_of(b"\n\n".join(blocks_before_the_last(body)[0]) + b"\n\n")[0]:
            assert not isinstance(event, ResponseEnd)
            folding.add(event)
        response = folding.response()
        assert len(response.text) == said["text"]
        assert len(response.refusal or "") == said["refusal"]
        assert len(response.reasoning.replace("\n\n", "")) <= said["reasoning"] <= len(response.reasoning)
        assert sum(len(call.arguments) for call in response.tool_calls) == said["arguments"]
        seen.update(+said)
    assert set(seen) == {"text", "refusal", "arguments", "reasoning"}


def blocks_before_the_last(body):
    """The events of a stream, and apart from them the one that ends it (what follows it is of no account)."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    ends = [
        at for at, block in enumerate(blocks) if b'"response.completed"' in block or b'"response.incomplete"' in block
    ]
    return blocks[: ends[0]], blocks[ends[0]]


def test_a_stream_that_is_cut_anywhere_before_its_end_never_ends():
    """At every event, and inside of the last one: what came gives no ResponseEnd and no error."""
    cuts = 0
    for _, _, body in each(streams=True):
        parser = client.stream_parser(PLAIN)
        blocks, last = blocks_before_the_last(body)
        for block in blocks:
            assert not any(isinstance(event, ResponseEnd) for event in parser.feed(block + b"\n\n"))
            cuts += 1
        assert parser.feed(last[: last.rindex(b"}")]) == []
        assert parser.end() == []
        assert not parser.ended
    assert cuts > 2000


def test_line_ends_do_not_matter():
    for _, _, body in each(streams=True):
        lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        expected = events_of(body)
        assert events_of(lines) == expected
        assert events_of(lines.replace(b"\n", b"\r"), 4096) == expected
        assert events_of(lines.replace(b"\n", b"\r\n"), 1021) == expected


def test_one_byte_at_a_time_gives_the_same_events():
    for _, _, body in each(streams=True):
        assert events_of(body, 1) == events_of(body)


# Errors.


def said(body):
    """The message of an error, as the body says it, but for what looks like a key."""
    answer = json.loads(body)
    message = answer["detail"] if "detail" in answer else answer["error"]["message"]
    return re.sub(r"sk-[-*\w]+", "[redacted]", message)


def test_every_error_has_its_kind():
    found = Counter()
    for _, exchange, body in each("errors", failed=True):
        response = exchange["response"]
        headers = tuple((name.lower(), value) for name, value in response["headers"])
        info = client.parse_error(WireReply(status=response["status"], headers=headers, body=body))
        found[response["status"], info.kind] += 1
        assert info.message == said(body)
        again = client.parse_error(server.build_error(info))
        assert (again.kind, again.message, again.status) == (info.kind, info.message, info.status)
    assert found == {
        (400, "bad_request"): 8,
        (400, "model_not_found"): 5,
        (401, "authentication"): 5,
        (429, "quota"): 1,
        (500, "server"): 2,
    }


# Fixtures without a request, of many wires and some of them joined or trimmed by hand.


def test_a_fixture_is_read_or_refused_and_never_breaks_the_reader():
    """Some hold the events of a stream without its framing, one a line."""
    found = Counter()
    for exchange in lines_of("zz-response-only-fixtures"):
        body = (exchange["response"].get("body") or "").encode()
        if body.startswith(b'{"') and b'"type":"response.created"' in body.partition(b"\n")[0]:
            body = b"".join([b"data: " + line + b"\n\n" for line in body.splitlines()])
        try:
            events, ended = events_of(body) if is_stream(body) else ([], False)
            response = fold(events) if is_stream(body) else stripped(whole(body))
        except (APIStatusError, ResponseParseError) as error:
            found[type(error).__name__] += 1
            continue
        if is_stream(body) and not ended:
            found["no stream of this wire"] += 1
            continue
        found["stream" if is_stream(body) else "answer"] += 1
        answer = last_answer(body) if is_stream(body) else json.loads(body)
        check(response, answer)
        assert response == stripped(whole(json.dumps(answer).encode())), exchange["id"]
        check_again(response)
    assert found == {
        "answer": 54,
        "stream": 27,
        "RateLimitError": 1,  # inside a stream
        "ResponseParseError": 124,
        "no stream of this wire": 16,
    }


def check_again(response):
    assert stripped(client.parse_response(server.build_response(response), PLAIN)) == response
    assert fold(events_of(b"".join(server.build_events(response)))[0]) == response
