"""The conformance tool: it passes what is right, and it fails where anything is wrong.

The exchanges are invented here, one for each wire and form. What makes the tool fail is a dialect that was made wrong
on purpose, a recording that lacks something, or an error that is taken for another. The recorded traffic, which stands
outside of the repository, is run too: a sample of it always, all of it with ``--slow``.
"""

import ast
import json
import random
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

import invented_bedrock as bedrock
import invented_cohere as cohere
import invented_ollama as ollama
from quoth.errors import KINDS
from quoth.events import ResponseEnd
from quoth.testing.wire import main
from quoth.testing.wire._errors import reviewed_errors
from quoth.testing.wire._files import recordings
from quoth.testing.wire._mutation import mutate_file
from quoth.testing.wire._report import passed
from quoth.testing.wire._run import Halves, Plan, halves_of, run_file
from quoth.testing.wire._scope import IN_SCOPE
from quoth.testing.wire._streams import Cutting
from quoth.testing.wire._vectors import VECTOR_WIRES
from quoth.testing.wire._wires import WIRES
from quoth.testing.wire.readers import anthropic_messages, openai_chat
from recordings import WIRE, needs_recordings

ALL = frozenset(wire.name for wire in WIRES)
VECTORS = frozenset(wire.name for wire in VECTOR_WIRES)

# Invented exchanges.

CHAT = "https://api.openai.com/v1/chat/completions"
MESSAGES = "https://api.anthropic.com/v1/messages"
RESPONSES = "https://api.openai.com/v1/responses"
JSON = [["Content-Type", "application/json"]]
EVENTS = [["Content-Type", "text/event-stream"]]


def exchange(id_, url, asked, answered, *, status=200, headers=None, method="POST", **meta):
    """One line of a recording; ``answered`` is JSON, or the text of a stream or a page, or frames."""
    text = answered if isinstance(answered, str) else json.dumps(answered, default=lambda _: None)
    headers = headers or (EVENTS if isinstance(answered, str) else JSON)
    body = {"body_b64": b64encode(answered).decode()} if isinstance(answered, bytes) else {"body": text}
    return {
        "id": id_,
        "request": {"method": method, "url": url, "headers": JSON, "body": json.dumps(asked)},
        "response": {"status": status, "headers": headers, **body},
        "meta": {"provider": "openai", "api": "invented", **meta},
    }


def events(*values, named=False, done=True):
    """A stream of these events."""
    lines = [(f"event: {value['type']}\n" if named else "") + f"data: {json.dumps(value)}\n\n" for value in values]
    return "".join(lines) + ("data: [DONE]\n\n" if done else "")


HELLO = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hello"}]}
CHAT_USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 9,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def choice(text, index=0, **more):
    return {"index": index, "message": {"role": "assistant", "content": text, **more}, "finish_reason": "stop"}


def chunk(delta, finish=None, **more):
    told = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-2", "model": "gpt-6-luna", "created": 7, "choices": [told], **more}


CHAT_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "gpt-6-luna",
    "service_tier": "default",
    "choices": [choice("Hi", reasoning_content="hm", tool_calls=[CALL]), choice("Ho", 1)],
    "usage": CHAT_USAGE,
    "system_fingerprint": "fp_1",
}
CHAT_STREAM = events(
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "Grüße"}),
    chunk({"content": " you"}),
    chunk({"tool_calls": [{"index": 0, **CALL, "function": {"name": "add", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": '}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
    chunk({}, "tool_calls"),
    {**chunk({}), "choices": [], "usage": CHAT_USAGE},
)
ASKED_OF_CLAUDE = {
    "model": "claude-x",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "Hello"}],
    "stop_sequences": ["END"],
}
CLAUDE_USAGE = {
    "input_tokens": 3,
    "cache_read_input_tokens": 40,
    "cache_creation_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
    "output_tokens": 9,
    "service_tier": "standard",
    "inference_geo": "us",
}
CLAUDE_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": CLAUDE_USAGE,
}


def on_block(kind, index, **fields):
    return {"type": f"content_block_{kind}", "index": index, **fields}


CLAUDE_STREAM = events(
    {
        "type": "message_start",
        "message": {**CLAUDE_ANSWER, "id": "msg_2", "content": [], "stop_reason": None, "usage": CLAUDE_USAGE},
    },
    on_block("start", 0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
    on_block("delta", 0, delta={"type": "thinking_delta", "thinking": "hm"}),
    on_block("delta", 0, delta={"type": "signature_delta", "signature": "c2ln"}),
    on_block("stop", 0),
    on_block("start", 1, content_block={"type": "text", "text": ""}),
    {"type": "ping"},
    on_block("delta", 1, delta={"type": "text_delta", "text": "Hi "}),
    on_block("delta", 1, delta={"type": "text_delta", "text": "you"}),
    on_block("stop", 1),
    on_block("start", 2, content_block={"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}),
    on_block("delta", 2, delta={"type": "input_json_delta", "partial_json": '{"a": '}),
    on_block("delta", 2, delta={"type": "input_json_delta", "partial_json": "1}"}),
    on_block("stop", 2),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 11}},
    {"type": "message_stop"},
    named=True,
    done=False,
)
ASKED_RESPONSES = {"model": "gpt-6-luna", "input": "Hello", "max_output_tokens": 50}
ITEMS = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "c2ln",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hi you", "annotations": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "add",
        "arguments": '{"a": 1}',
        "status": "completed",
    },
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "model": "gpt-6-luna",
    "status": "completed",
    "output": ITEMS,
    "service_tier": "default",
    "temperature": 1.0,
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 21,
    },
}
RESPONSES_STREAM = events(
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**ITEMS[0], "summary": []}},
    {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "delta": "hm",
    },
    {"type": "response.output_item.done", "output_index": 0, "item": ITEMS[0]},
    {"type": "response.output_item.added", "output_index": 1, "item": {**ITEMS[1], "content": []}},
    {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "delta": "Hi ",
    },
    {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "delta": "you",
    },
    {"type": "response.output_item.done", "output_index": 1, "item": ITEMS[1]},
    {"type": "response.output_item.added", "output_index": 2, "item": {**ITEMS[2], "arguments": ""}},
    {
        "type": "response.function_call_arguments.delta",
        "item_id": "fc_1",
        "output_index": 2,
        "delta": '{"a": 1}',
    },
    {"type": "response.output_item.done", "output_index": 2, "item": ITEMS[2]},
    {"type": "response.completed", "response": RESPONSE},
    named=True,
    done=False,
)

GOOGLE = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:generateContent"
GOOGLE_STREAM = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
VERTEX = "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/publishers/google/models/gemini-x"
ASKED_OF_GEMINI = {
    "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    "generationConfig": {"maxOutputTokens": 9, "topK": 3},
}
GEMINI_USAGE = {
    "promptTokenCount": 9,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 17,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}, {"modality": "AUDIO", "tokenCount": 2}],
    "serviceTier": "standard",
}
THOUGHT = {"text": "hm", "thought": True}
ASKS = {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"}


def said(*parts, finish=None, **more):
    """A candidate of Gemini's."""
    return {
        "content": {"role": "model", "parts": [*parts]},
        "index": 0,
        **({"finishReason": finish} if finish else {}),
        **more,
    }


def google_chunk(*candidates, **more):
    return {"candidates": [*candidates], "modelVersion": "gemini-x", "responseId": "r1", **more}


GEMINI_ANSWER = google_chunk(
    said(THOUGHT, {"text": "Hi"}, ASKS, finish="STOP", avgLogprobs=-0.5),
    {**said({"text": "Ho"}, finish="MAX_TOKENS"), "index": 1},
    usageMetadata=GEMINI_USAGE,
    createTime="2026-05-27T16:53:45.443719Z",
)
GEMINI_CHUNKS = (
    google_chunk(said(THOUGHT), usageMetadata={"promptTokenCount": 9}),
    google_chunk(said({"text": "Grüße"})),
    google_chunk(said({"text": " you"}, ASKS)),
    google_chunk(
        said(finish="STOP", groundingMetadata={"webSearchQueries": ["q"], "groundingChunks": [{"web": {"uri": "u"}}]}),
        usageMetadata=GEMINI_USAGE,
    ),
)
GEMINI_STREAM = events(*GEMINI_CHUNKS, done=False)
ASKED_OF_BEDROCK = {"anthropic_version": "bedrock-2023-05-31", **ASKED_OF_CLAUDE}
del ASKED_OF_BEDROCK["model"]
INVOKE_STREAM = f"{bedrock.INVOKE}-with-response-stream"
CLAUDE_EVENTS = [json.loads(line[6:]) for line in CLAUDE_STREAM.splitlines() if line.startswith("data: ")]

ANSWERS = [
    exchange("chat", CHAT, {**HELLO, "stop": "END", "stream": False}, CHAT_ANSWER),
    exchange("chat-stream", CHAT, {**HELLO, "stream": True, "max_tokens": 5}, CHAT_STREAM),
    exchange("claude", MESSAGES, ASKED_OF_CLAUDE, CLAUDE_ANSWER, provider="anthropic"),
    exchange("claude-stream", MESSAGES, {**ASKED_OF_CLAUDE, "stream": True}, CLAUDE_STREAM, provider="anthropic"),
    exchange("responses", RESPONSES, ASKED_RESPONSES, RESPONSE),
    exchange("responses-stream", RESPONSES, {**ASKED_RESPONSES, "stream": True}, RESPONSES_STREAM),
    exchange("converse", bedrock.CONVERSE, bedrock.ASKED, bedrock.ANSWER),
    exchange("converse-stream", f"{bedrock.CONVERSE}-stream", bedrock.ASKED, bedrock.STREAM, headers=bedrock.FRAMES),
    exchange("invoke", bedrock.INVOKE, ASKED_OF_BEDROCK, CLAUDE_ANSWER),
    exchange("invoke-stream", INVOKE_STREAM, ASKED_OF_BEDROCK, bedrock.chunks(*CLAUDE_EVENTS), headers=bedrock.FRAMES),
    exchange("gemini", GOOGLE, ASKED_OF_GEMINI, GEMINI_ANSWER, provider="gemini"),
    exchange("gemini-stream", GOOGLE_STREAM, ASKED_OF_GEMINI, GEMINI_STREAM, provider="gemini"),
    exchange("cohere", cohere.URL, cohere.ASKED, cohere.ANSWER, provider="cohere"),
    exchange("cohere-stream", cohere.URL, {**cohere.ASKED, "stream": True}, cohere.STREAM, provider="cohere"),
    exchange("ollama", ollama.URL, ollama.ASKED, ollama.ANSWER, provider="ollama"),
    exchange("ollama-stream", ollama.URL, {**ollama.ASKED, "stream": True}, ollama.STREAM, headers=ollama.LINES),
]

WHOLE = ANSWERS[::2]

LIMITED = {"error": {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
ERRORS = [
    exchange("limited", CHAT, HELLO, LIMITED, status=429, headers=[["Retry-After", "3"], ["X-Request-Id", "r1"]]),
    exchange("page", CHAT, HELLO, "<html>gone</html>", status=502, headers=[["Content-Type", "text/html"]]),
    exchange(
        "overloaded",
        MESSAGES,
        {**ASKED_OF_CLAUDE, "stream": True},
        events(
            {"type": "message_start", "message": {**CLAUDE_ANSWER, "content": [], "stop_reason": None}},
            on_block("start", 0, content_block={"type": "text", "text": ""}),
            on_block("delta", 0, delta={"type": "text_delta", "text": "Hi"}),
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            named=True,
            done=False,
        ),
        provider="anthropic",
    ),
    exchange(
        "filtered",
        CHAT,
        HELLO,
        {"error": {"message": "filtered", "code": "content_filter", "status": 400}},
        provider="azure",
    ),
    exchange(
        "failed",
        RESPONSES,
        {**ASKED_RESPONSES, "stream": True},
        events(
            {
                "type": "response.failed",
                "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow down"}},
            },
            done=False,
        ),
    ),
    exchange("throttled", f"{bedrock.CONVERSE}-stream", bedrock.ASKED, bedrock.THROTTLED, headers=bedrock.FRAMES),
    exchange(
        "invoke-throttled",
        INVOKE_STREAM,
        ASKED_OF_BEDROCK,
        bedrock.chunks(*CLAUDE_EVENTS[:3]) + bedrock.refusal("throttlingException", "Too many requests"),
        headers=bedrock.FRAMES,
    ),
    exchange(
        "blocked",
        GOOGLE,
        ASKED_OF_GEMINI,
        {"promptFeedback": {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "no"}, "usageMetadata": GEMINI_USAGE},
        provider="vertex",
    ),
    exchange(
        "limited",
        GOOGLE,
        ASKED_OF_GEMINI,
        {
            "error": {
                "code": 429,
                "message": "slow down",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED"},
                    {
                        "@type": "type.googleapis.com/google.rpc.BadRequest",
                        "fieldViolations": [{"field": "contents"}],
                    },
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
                ],
            }
        },
        status=429,
        provider="gemini",
    ),
    exchange("cohere-refused", cohere.URL, {**cohere.ASKED, "stream": True}, cohere.REFUSED, provider="cohere"),
    exchange("ollama-refused", ollama.URL, {**ollama.ASKED, "stream": True}, ollama.REFUSED, headers=ollama.LINES),
]


def written(folder, *lines, name="invented"):
    folder.mkdir(exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / f"{name}.jsonl").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return folder


def run(capsys, folder, *options, halves=halves_of):
    """Run the command: its exit code and what it printed."""
    code = main([str(folder), *options], halves=halves)
    return code, capsys.readouterr().out


# What is right passes.


def test_each_wire_and_form_passes_and_is_counted(tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, *ANSWERS, *ERRORS))
    assert code == 0, out
    rows = [line.split() for line in out.splitlines()[:3]]
    assert rows[0] == ["file", "in", "scope", "passed", "failed", "suspect", "left", "out"]
    count = str(len(ANSWERS) + len(ERRORS))
    assert rows[1] == ["invented.jsonl", count, count, "0", "0", "0"]
    assert rows[2] == ["all", count, count, "0", "0", "0"]
    for wire in sorted(ALL):
        assert f"{wire}, answer: 1 of 1 passed" in out
        assert f"{wire}, stream: 1 of 1 passed" in out
        assert f"{wire}, error in a 200: 1 of 1 passed" in out
    assert "openai_chat, error: 2 of 2 passed" in out


def test_what_a_dialect_spells_otherwise_on_purpose_is_counted_with_both_values(tmp_path, capsys):
    _, out = run(capsys, written(tmp_path, *ANSWERS[:2]))
    assert '    1  $.stop: "x" -> ["x"]' in out
    assert "    1  $.stream: false -> absent" in out
    assert "    1  $.max_tokens -> $.max_completion_tokens, the same value" in out
    assert '    1  $.stream_options: absent -> {"include_usage": true}' in out


@pytest.mark.parametrize(
    ("host", "effort", "spelled"),
    [
        ("openrouter.ai/api/v1", "low", '$.reasoning_effort: x -> $.reasoning: {"effort": x}'),
        ("api.deepseek.com", "none", '$.reasoning_effort: "none" -> $.thinking: {"type": "disabled"}'),
        ("api.deepseek.com", "high", '$.thinking: absent -> {"type": "enabled"} (beside $.reasoning_effort)'),
    ],
)
def test_what_says_how_much_to_think_is_spelled_as_the_row_wants_it(host, effort, spelled, tmp_path, capsys):
    line = exchange("dial", f"https://{host}/chat/completions", {**HELLO, "reasoning_effort": effort}, CHAT_ANSWER)
    code, out = run(capsys, written(tmp_path, line))
    assert code == 0, out
    assert f"    1  {spelled}\n" in out


def test_a_model_that_only_the_url_names_is_the_requests(tmp_path, capsys):
    """Azure's deployments."""
    url = "https://some.openai.azure.com/openai/deployments/luna%20one/chat/completions?api-version=2025-01-01"
    asked = {"messages": HELLO["messages"]}
    code, out = run(capsys, written(tmp_path, exchange("azure", url, asked, CHAT_ANSWER, provider="azure")))
    assert code == 0, out
    assert "    1  $.model: absent -> the model of the URL" in out


def test_another_version_of_google_and_an_array_for_events_are_the_same_question(tmp_path, capsys):
    asked = exchange("vertex", f"{VERTEX}:streamGenerateContent", ASKED_OF_GEMINI, json.dumps(GEMINI_CHUNKS))
    code, out = run(capsys, written(tmp_path, asked))
    assert code == 0, out
    assert "    1  the version in the path: /v1beta1 -> /v1\n" in out
    assert "    1  ?alt: absent -> sse" in out
    assert "gemini, stream: 1 of 1 passed" in out
    other = exchange("other", f"{VERTEX}:countTokens", ASKED_OF_GEMINI, {"totalTokens": 3}, api="count_tokens")
    code, out = run(capsys, written(tmp_path, other))
    assert "    1  count_tokens\n" in out


def test_what_is_out_of_scope_is_named_by_its_kind(tmp_path, capsys):
    lines = [
        exchange("e", "https://api.cohere.com/v2/rerank", {}, {"results": []}, api="rerank"),
        exchange("m", "https://api.openai.com/v1/models", {}, {"data": []}, method="GET", api="models"),
        {"id": "r", "response": {"status": 200, "body": "{}"}},
        exchange("b", f"{MESSAGES}/batches", {}, {}, api="batch"),
    ]
    code, out = run(capsys, written(tmp_path, *lines, ANSWERS[0]))
    assert code == 0
    for kind in ("rerank", "models (GET)", "a reply without its request", "batch"):
        assert f"    1  {kind}\n" in out


def test_a_wire_may_be_run_alone_and_a_file(tmp_path, capsys):
    folder = written(tmp_path, *ANSWERS)
    written(tmp_path, *ERRORS, name="more")
    code, out = run(capsys, folder, "--wire", "anthropic_messages", "--only", "invented")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:3]] == [["invented.jsonl", "2", "2"], ["all", "2", "2"]]
    assert "    2  openai_chat\n" in out


def test_json_says_the_same_to_programs(tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, *WHOLE, *ERRORS), "--json")
    found = json.loads(out)
    assert (code, found["passed"]) == (0, True)
    count = len(WHOLE) + len(ERRORS)
    assert [(each["file"], each["in_scope"], each["failed"]) for each in found["files"]] == [
        ("invented.jsonl", count, 0)
    ]


def test_it_runs_as_a_module_and_tells_misuse(tmp_path):
    folder = written(tmp_path / "some", ANSWERS[0])
    command = [sys.executable, "-m", "quoth.testing.wire"]
    good = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    nothing = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert nothing.returncode == 2
    assert "no recordings" in nothing.stderr


# What is wrong fails.


def wrong(wire, client=None, server=None):
    """The halves of all dialects, of which one was made wrong."""

    def halves(name):
        good = halves_of(name)
        if name != wire:
            return good
        parts = [
            SimpleNamespace(**{**vars(half), **(change(half) if change else {})})
            for half, change in ((good.client, client), (good.server, server))
        ]
        return Halves(*parts)

    return halves


def reading_otherwise(change):
    """A client half whose whole answers are changed."""

    def changed(client):
        return {"parse_response": lambda reply, quirks: change(client.parse_response(reply, quirks))}

    return changed


def with_part(response, index, **fields):
    parts = list(response.message.parts)
    parts[index] = replace(parts[index], **fields)
    return replace(response, message=replace(response.message, parts=tuple(parts)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda r: replace(r, id="other"), "id: expected"),
        (lambda r: replace(r, model="other"), "model: expected"),
        (lambda r: replace(r, created=8), "created: expected"),
        (lambda r: replace(r, service_tier=None), "service tier: expected"),
        (lambda r: replace(r, finish_reason="length"), "finish reason: expected"),
        (lambda r: replace(r, finish_reason_raw="end"), "raw finish reason: expected"),
        (lambda r: replace(r, usage=replace(r.usage, input=0)), "buckets: expected"),
        (lambda r: replace(r, usage=replace(r.usage, source="suspect")), "source of usage: expected"),
        (lambda r: replace(r, usage=replace(r.usage, reported={})), "reported usage: expected"),
        (lambda r: with_part(r, 0, text="else"), "reasoning: expected"),
        (lambda r: with_part(r, 1, text="Hi there"), "text: expected"),
        (lambda r: with_part(r, 2, id="else"), "tool calls: expected"),
        (lambda r: with_part(r, 2, arguments='{"a":1}'), "tool calls: expected"),
        (lambda r: with_part(r, 2, name="sub"), "tool calls: expected"),
        (lambda r: replace(r, candidates=()), "number of further candidates: expected 1"),
        (lambda r: replace(r, provider_data={}), "lost: expected"),
        (lambda r: replace(r, provider_data={"openai_chat": {"system_fingerprint": "fp_2"}}), "never said"),
    ],
)
def test_an_answer_that_is_read_otherwise_fails(change, what, tmp_path, capsys):
    halves = wrong("openai_chat", reading_otherwise(change))
    code, out = run(capsys, written(tmp_path, *WHOLE), halves=halves)
    assert code == 1
    assert "FAILED invented.jsonl chat (openai_chat, answer)" in out
    assert what in out


def changing_requests(change):
    """A server half that reads requests otherwise."""

    def changed(server):
        return {"parse_request": lambda request: change(server.parse_request(request))}

    return changed


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda r: replace(r, stop=()), "$.stop_sequences: expected ['END'], found absent"),
        (lambda r: replace(r, max_tokens=98), "$.max_tokens: expected 99, found 98"),
        (lambda r: replace(r, model="claude-y"), "$.model: expected 'claude-x'"),
        (lambda r: replace(r, messages=r.messages * 2), "$.messages: expected"),
        (lambda r: replace(r, extra={"top_k": 1}), "$.top_k: expected absent, found 1"),
    ],
)
def test_a_request_that_says_something_else_fails_at_the_path_of_it(change, path, tmp_path, capsys):
    halves = wrong("anthropic_messages", server=changing_requests(change))
    code, out = run(capsys, written(tmp_path, *WHOLE), halves=halves)
    assert code == 1
    assert "FAILED invented.jsonl claude (anthropic_messages, answer)" in out
    assert f"request: {path}" in out


def test_a_change_deep_in_a_request_has_a_deep_path(tmp_path, capsys):
    """No normalisation reaches into messages or schemas."""

    def change(request):
        (message,) = request.messages
        return replace(request, messages=(replace(message, name="me"),))

    code, out = run(
        capsys, written(tmp_path, ANSWERS[0]), halves=wrong("openai_chat", server=changing_requests(change))
    )
    assert code == 1
    assert "request: $.messages[0].name: expected absent, found 'me'" in out


class Parser:
    """A stream parser that passes on what a right one says."""

    def __init__(self, parser):
        self.parser = parser

    @property
    def ended(self):
        return self.parser.ended

    def feed(self, chunk):
        return self.parser.feed(chunk)

    def end(self):
        return self.parser.end()


class Deaf(Parser):
    """Loses what comes in small chunks."""

    def feed(self, chunk):
        return self.parser.feed(chunk.replace(b"hm", b"") if len(chunk) < 300 else chunk)


class Credulous(Parser):
    """Takes any clean end for the end of the answer."""

    def end(self):
        events_ = self.parser.end()
        return events_ if self.ended else [*events_, ResponseEnd(finish_reason="stop")]


class Strict(Parser):
    """Knows no line ends but LF."""

    def feed(self, chunk):
        return self.parser.feed(chunk.replace(b"\r", b" "))


def parsing_with(kind):
    def changed(client):
        return {"stream_parser": lambda quirks: kind(client.stream_parser(quirks))}

    return changed


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Deaf, "cuts: cut in two at"),
        (Credulous, "cuts: cut short after"),
        (Strict, "cuts: one byte a chunk, lines ended by b'\\r':"),
    ],
)
def test_a_stream_that_depends_on_how_it_comes_fails(kind, what, tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, ANSWERS[1]), halves=wrong("openai_chat", parsing_with(kind)))
    assert code == 1
    assert what in out


def without_last_event(line):
    cut = json.loads(json.dumps(line))
    body = cut["response"]["body"].rstrip("\n")
    cut["response"]["body"] = body[: body.rindex("data:")]
    return cut


def test_a_stream_that_says_why_it_ended_must_be_read_as_whole(tmp_path, capsys):
    """It lacks the mark that its row promises: calls would raise, so the row is wrong."""
    code, out = run(capsys, written(tmp_path, without_last_event(ANSWERS[1])))
    assert code == 1
    assert "stream: ended: expected True, found False" in out


@pytest.mark.parametrize("line", [3, 5])
def test_a_stream_that_stops_before_its_end_must_not_be_read_as_whole(line, tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, without_last_event(ANSWERS[line])))
    assert code == 0, out
    assert "    1  a stream that stops before its end" in out
    name = {3: "anthropic_messages", 5: "openai_responses"}[line]
    code, out = run(capsys, tmp_path, halves=wrong(name, parsing_with(Credulous)))
    assert code == 1
    assert "stream: ended: expected False, found True" in out


@pytest.mark.parametrize("body", ["<html>busy</html>", "[]", "{}", '{"choices": []}'])
def test_a_200_that_is_no_answer_must_be_refused(body, tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, exchange("x", CHAT, HELLO, body, headers=JSON)))
    assert code == 0, out
    assert "    1  a 200 that is no answer" in out
    halves = wrong("openai_chat", lambda client: {"parse_response": lambda *_: constantly(CHAT_ANSWER)(None)})
    code, out = run(capsys, tmp_path, halves=halves)
    assert code == 1
    assert "answer: raised: expected 'unreadable', found None" in out


@pytest.mark.parametrize("error", ["no", {"message": "no"}, {"message": "no", "code": "odd"}, {"type": "odd"}])
@pytest.mark.parametrize("url", [CHAT, RESPONSES, MESSAGES, GOOGLE])
def test_an_error_of_a_200_that_nobody_knows_is_no_answer_and_keeps_its_code(url, error, tmp_path, capsys):
    asked = {CHAT: HELLO, RESPONSES: ASKED_RESPONSES, MESSAGES: ASKED_OF_CLAUDE, GOOGLE: ASKED_OF_GEMINI}[url]
    code, out = run(capsys, written(tmp_path, exchange("x", url, asked, {"error": error})))
    assert code == 0, out
    assert "errors that nobody reviewed" in out


def test_a_recording_on_which_the_tool_breaks_fails_alone(tmp_path, capsys):
    def changed(client):
        return {"parse_error": lambda reply: 1 / 0}

    code, out = run(capsys, written(tmp_path, *WHOLE, ERRORS[0]), halves=wrong("openai_chat", changed))
    assert code == 1
    assert "tool: broke on it: ZeroDivisionError" in out
    assert out.splitlines()[1].split()[1:4] == [str(len(WHOLE) + 1), str(len(WHOLE)), "1"]


@pytest.mark.parametrize(
    "change",
    [
        lambda response: replace(response, id="x"),
        lambda response: replace(response, usage=replace(response.usage, cache_read=0)),
        lambda response: with_part(response, 1, text="else"),
        lambda response: replace(response, provider_data={}),
    ],
)
@pytest.mark.parametrize("verb", ["build_response", "build_events"])
def test_a_server_half_that_loses_something_fails(change, verb, tmp_path, capsys):
    def changed(server):
        build = getattr(server, verb)
        return {verb: lambda response, **more: build(change(response), **more)}

    halves = wrong("openai_responses", server=changed)
    code, out = run(capsys, written(tmp_path, *WHOLE), halves=halves)
    assert code == 1
    assert f"server half, {'whole' if verb == 'build_response' else 'stream'}" in out


def test_a_server_half_that_gives_back_what_was_kept_raw_fails(tmp_path, capsys):
    """The body and the reported usage are taken out before it is asked."""

    def changed(server):
        build = server.build_response
        return {"build_response": lambda response: replace(build(response), body=response.body or b"{}")}

    code, out = run(capsys, written(tmp_path, ANSWERS[2]), halves=wrong("anthropic_messages", server=changed))
    assert code == 1
    assert "server half, whole: refused" in out


def taking_errors_for(**fields):
    def changed(client):
        return {"parse_error": lambda reply: replace(client.parse_error(reply), **fields)}

    return changed


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"kind": "quota"}, "kind of 429 requests rate_limit_exceeded: expected 'rate_limit', found 'quota'"),
        ({"status": 500}, "status: expected 429"),
        ({"code": None}, "code: expected 'rate_limit_exceeded'"),
        ({"request_id": None}, "request id: expected 'r1'"),
        ({"retry_after": None}, "retry after: expected 3.0"),
        ({"message": "slow"}, "message: expected"),
    ],
)
def test_an_error_that_is_taken_for_another_fails(fields, what, tmp_path, capsys):
    """The kind stands in the reviewed file: a quota would be allowed by the status alone."""
    code, out = run(capsys, written(tmp_path, *ERRORS), halves=wrong("openai_chat", taking_errors_for(**fields)))
    assert code == 1
    assert f"error: {what}" in out


def test_an_error_that_nobody_reviewed_is_named_and_held_to_its_status(tmp_path, capsys):
    odd = exchange("odd", CHAT, HELLO, {"error": {"message": "odd", "code": "odd"}}, status=503)
    code, out = run(capsys, written(tmp_path, odd))
    assert code == 0
    assert "    1  openai_chat 503 type=None code=odd: odd" in out
    code, out = run(capsys, tmp_path, halves=wrong("openai_chat", taking_errors_for(kind="bad_request")))
    assert code == 1
    assert "kind of 503 None odd: expected 'overloaded or server', found 'bad_request'" in out


def test_an_error_inside_of_a_200_that_is_read_as_an_answer_fails(tmp_path, capsys):
    def changed(client):
        return {"parse_response": lambda reply, quirks: client.parse_response(replace(reply, body=good), quirks)}

    good = json.dumps(CHAT_ANSWER).encode()
    code, out = run(capsys, written(tmp_path, ERRORS[3]), halves=wrong("openai_chat", changed))
    assert code == 1
    assert 'error: raised: expected "the provider\'s error", found None' in out


def test_a_usage_whose_parts_exceed_their_whole_is_suspect_and_to_believe_it_fails(tmp_path, capsys):
    """Numbers that cannot be are odd, and no fault; to believe them is one."""
    tampered = json.loads(json.dumps(ANSWERS[0]))
    answer = json.loads(tampered["response"]["body"])
    answer["usage"]["prompt_tokens"] = 3  # less than what was cached
    tampered["response"]["body"] = json.dumps(answer)
    code, out = run(capsys, written(tmp_path, tampered))
    assert code == 0
    assert out.splitlines()[1].split() == ["invented.jsonl", "1", "1", "0", "1", "0"]
    believing = reading_otherwise(lambda r: replace(r, usage=replace(r.usage, source="provider")))
    code, out = run(capsys, tmp_path, halves=wrong("openai_chat", believing))
    assert code == 1
    assert "source of usage: expected 'suspect', found 'provider'" in out


def test_a_known_file_with_fewer_in_scope_than_written_fails(tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, ANSWERS[0], name="groq"))
    assert code == 1
    assert "groq.jsonl: 1 exchanges in scope on openai_chat, where 90 must be" in out
    code, _ = run(capsys, tmp_path, "--wire", "openai_responses")
    assert code == 0


def test_a_line_that_is_no_exchange_fails(tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, ANSWERS[0], "{", '{"id": "x"}'))
    assert code == 1
    assert "line 2 is no exchange: JSONDecodeError" in out
    assert "line 3 is no exchange: KeyError" in out


def test_as_many_failures_are_told_as_asked(tmp_path, capsys):
    halves = wrong("openai_chat", reading_otherwise(lambda r: replace(r, id="x")))
    folder = written(tmp_path, *[{**ANSWERS[0], "id": f"n{number}"} for number in range(4)])
    _, out = run(capsys, folder, "--failures", "1", halves=halves)
    assert out.count("FAILED") == 1
    assert "... and 3 more" in out


def test_a_reader_knows_nothing_of_the_dialects():
    """Else the two would agree where both are wrong. What it imports of quoth stands beside it."""
    files = sorted(Path(openai_chat.__file__).parent.glob("*.py"))
    assert len(files) > len(WIRES)
    for file in [*files, Path(openai_chat.__file__).parents[1] / "_reading.py"]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level > 2:
                assert (node.level, node.module) == (3, "types"), file


def test_a_count_of_a_stream_is_the_later_one_but_for_a_zero(tmp_path, capsys):
    """Counts of the Messages wire are cumulative; some servers send zeros for what they said before."""
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    begun = {"type": "message_start", "message": {**CLAUDE_ANSWER, "content": [], "usage": CLAUDE_USAGE}}
    later = {"input_tokens": 0, "cache_read_input_tokens": 41, "output_tokens": 11}
    told = events(begun, {**end, "usage": later}, {"type": "message_stop"}, named=True, done=False)
    reading = anthropic_messages.stream(told.encode())
    assert (reading.counts["input"], reading.counts["cache_read"], reading.counts["output"]) == (3, 41, 11)
    code, out = run(capsys, written(tmp_path, exchange("x", MESSAGES, ASKED_OF_CLAUDE, told)))
    assert code == 0, out


# Mutation.


def test_mutants_are_noticed(tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, *ANSWERS, *ERRORS), "--mutate")
    assert code == 0, out
    assert "at least 99% must be, on every wire" in out
    assert out.count("mutants noticed,") == len(ALL)


def test_mutants_of_one_seed_are_the_same_and_of_another_are_others(tmp_path):
    (file,) = recordings(written(tmp_path, *ANSWERS))
    plan = Plan(wires=ALL, cutting=None, halves=wrong("openai_chat", reading_otherwise(constantly(CHAT_ANSWER))))
    first, again, other = (mutate_file(file, plan, seed) for seed in (1, 1, 2))
    assert first.survivors == again.survivors
    assert first.survivors != other.survivors


def constantly(answer):
    """A reader that says the same of every whole answer."""
    good = halves_of("openai_chat").client
    body = json.dumps(answer).encode()

    def change(response):
        from quoth.wire import Quirks, WireReply

        return good.parse_response(WireReply(status=200, body=body), Quirks())

    return change


def test_a_dialect_that_is_deaf_lets_mutants_survive_and_they_are_named(tmp_path, capsys):
    halves = wrong("openai_chat", reading_otherwise(constantly(CHAT_ANSWER)))
    code, out = run(capsys, written(tmp_path, *ANSWERS), "--mutate", halves=halves)
    assert code == 1
    assert "SURVIVED invented.jsonl chat (openai_chat) $." in out
    assert "the independent reading changes, and the dialect's does not" in out
    code, out = run(capsys, tmp_path, "--mutate", "--json", halves=halves)
    found = json.loads(out)
    assert (code, found["passed"]) == (1, False)
    assert all("$" in each["path"] for each in found["mutations"][0]["survivors"])


def test_what_a_mutation_leaves_alone_is_an_exact_path_with_its_reason():
    for wire in WIRES:
        leaves = wire.reader.MUTABLE
        for paths in (leaves.unread, leaves.unread_in_streams, leaves.unread_in_errors):
            for path, reason in paths.items():
                assert reason
                assert "*" not in path.replace("[*]", "")
                assert "$" in path


# The reviewed file.


def test_every_review_names_a_kind_of_ours_a_reason_and_one_signature():
    rows = reviewed_errors()
    signatures = [(row.wire, row.provider, row.status, row.type, row.code, row.phrase) for row in rows]
    assert len(set(signatures)) == len(rows)
    for row in rows:
        assert row.wire in ALL | VECTORS
        assert row.row
        assert row.why
        assert set(row.kinds) <= KINDS.keys()


def test_the_scope_names_wires_of_ours():
    assert {wire for counts in IN_SCOPE.values() for wire in counts} == ALL | VECTORS - {"ollama_embed"}


# The recorded traffic.


# What no recording of ours holds: each says something that the dialects read, and so must the independent readers.


def odd_chat(**message):
    return {**CHAT_ANSWER, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def finished_by(word):
    return {**CHAT_ANSWER, "choices": [{**choice("x"), "finish_reason": word}]}


def of_usage(**more):
    return {**CHAT_ANSWER, "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, **more}}


def calling(*pieces):
    return events(*[chunk({"tool_calls": [{"index": 0, **piece}]}) for piece in pieces], chunk({}, "tool_calls"))


ITEM = {
    "id": "ci_1",
    "type": "code_interpreter_call",
    "status": "completed",
    "code": "1",
    "container_id": "c",
    "outputs": [],
}
BEGUN = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 7}}
SAID = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hi"}
THOUGHTS = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "s"}],
    "content": [{"type": "reasoning_text", "text": "c"}],
}


def responded(*items, **more):
    return {"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": [*items], **more}


def done_with(*items, **more):
    return {"type": "response.completed", "response": responded(*items, **more)}


def without_types(stream):
    """The same events, whose types their names alone say."""
    lines = [line for line in stream.split("\n\n") if line]
    told = [json.loads(line.partition("data: ")[2]) for line in lines]
    return "".join([f"event: {each.pop('type')}\ndata: {json.dumps(each)}\n\n" for each in told])


ODD = {
    CHAT: [
        *[finished_by(word) for word in ("eos_token", "model_length", "sensitive", "abort")],
        of_usage(cached_tokens=4),
        of_usage(reasoning_tokens=3),
        of_usage(reasoning_tokens=3_000),
        of_usage(completion_token_details={"reasoning_tokens": 3}, prompt_token_details={"cached_tokens": 2}),
        {**CHAT_ANSWER, "usage": "none"},
        odd_chat(content="x", reasoning_text="hm", reasoning_opaque="zz"),
        odd_chat(content=None, audio={"id": "audio_1", "data": "AAAA", "transcript": "hi", "expires_at": 9}),
        odd_chat(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        odd_chat(content="", tool_calls=[{**CALL, "function": {"name": "f", "arguments": {"a": 1}}}]),
        odd_chat(content="half a \ud83d"),
        {**CHAT_ANSWER, "error": {"message": "too late"}},
        {**CHAT_ANSWER, "choices": [None, choice("x")]},
        events(chunk({"content": "\ud83d"}), chunk({"content": "\ude00"}), chunk({}, "stop")),
        events(chunk({"content": "a"}), chunk({}, "stop")) + events(chunk({"content": "no part of it"}), done=False),
        events(chunk({"reasoning_text": "a"}), chunk({"reasoning_text": "b", "content": None}), chunk({}, "stop")),
        calling({"id": "c", "function": {"name": "f", "arguments": {"a": [1, 2]}}}),
        events(chunk({"content": "a"}), done=False) + 'event: error\ndata: {"message": "boom"}\n\n',
    ],
    RESPONSES: [
        responded(status="failed", error=None),
        responded(THOUGHTS),
        responded(created_at=0),
        events(BEGUN, SAID, {"type": "response.completed", "response": {"id": "resp_1"}}, done=False),
        events(BEGUN, SAID, {"type": "response.cancelled"}, done=False),
        events(BEGUN, {"type": "response.failed"}, done=False),
        without_types(events(BEGUN, SAID, done_with(), done=False)),
        events(BEGUN, {"type": "error", "message": "boom", "code": None}, done=False),
        events(BEGUN, done_with(), {"type": "error", "message": "late"}, done=False),
    ],
    MESSAGES: [
        *[
            {**CLAUDE_ANSWER, "content": [{"type": "tool_use", "id": "t", "name": "f", "input": given}]}
            for given in (None, "{}", [1], {"INVALID_JSON": "{"})
        ],
        {**CLAUDE_ANSWER, "usage": {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 3}}},
    ],
    GOOGLE: [
        *[google_chunk(said({"text": "x"}, finish=word)) for word in ("SPII", "1", 3, 0, "LATER", None, True)],
        *[google_chunk(said(part, finish="STOP")) for part in (
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}, "thoughtSignature": "s"},
            {"inlineData": {"mimeType": "audio/wav", "data": "_-__"}},
            {"inlineData": {"mimeType": "image/png", "data": "no base64"}},
            {"fileData": {"fileUri": "gs://b/f.pdf", "mimeType": "application/pdf"}},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"functionCall": {"name": "f", "id": "own"}},
            {"functionCall": {"name": 3, "args": [1]}},
            {"functionCall": "none"},
            {"text": 3, "thought": True},
            {"text": "", "thoughtSignature": "s"},
            {"text": "a", "thought": False},
            {"text": "half \ud83d"},
        )],
        google_chunk({**said(finish="STOP"), "content": {"role": "poet", "parts": {"text": "alone"}, "more": 1}}),
        google_chunk(said({"text": "x"}, finish="STOP"), usageMetadata="none"),
        google_chunk(said({"text": "x"}, finish="STOP"), usageMetadata={"trafficType": "ON_DEMAND"}),
        *[google_chunk(said({"text": "x"}, finish="STOP"), usageMetadata={**GEMINI_USAGE, **more}) for more in (
            {"totalTokenCount": 16}, {"promptTokenCount": 3}, {"thoughtsTokenCount": -1}, {"candidatesTokenCount": 5.0},
            {"toolUsePromptTokenCount": 6, "totalTokenCount": 23},
            {"candidatesTokensDetails": [{"modality": 2, "tokenCount": 3}, {"modality": "AUDIO", "tokenCount": 2}]},
            {"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
        )],
        *[google_chunk(said({"text": "x"}, finish="STOP"), createTime=time) for time in (
            "2026-05-27T16:53:45Z", "now", 7,
        )],
        *[
            {**google_chunk(said(
                {"text": "x"}, finish="STOP", groundingMetadata={"webSearchQueries": ["a", "a", "", "b"]}
            )), "modelVersion": model}
            for model in ("gemini-2.5-flash", "gemini-3.8-flash")
        ],
        {"usageMetadata": GEMINI_USAGE},
        {"candidates": []},
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"promptFeedback": {"safetyRatings": [{"category": "c"}]}, **google_chunk(said({"text": "x"}, finish="STOP"))},
    ],
    GOOGLE_STREAM: [
        json.dumps(GEMINI_CHUNKS),
        json.dumps(GEMINI_CHUNKS, indent=1),
        json.dumps(GEMINI_CHUNKS)[:-1],
        events(*GEMINI_CHUNKS),
        events(*GEMINI_CHUNKS[:-1], done=False),
        events(*GEMINI_CHUNKS[:-1], done=True),
        GEMINI_STREAM.replace("\n\n", "\n"),
        events(google_chunk(said({"text": "x"})), {"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}),
        json.dumps([{"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}]),
        events({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "m"}}, done=False),
        events(  # the numbers of two candidates, which come in turns
            google_chunk(said({"text": "a"}), {**said({"text": "b"}), "index": 1}),
            google_chunk({**said({"text": "c"}, ASKS, finish="STOP"), "index": 1}),
            google_chunk(said({"text": "d"}, finish="STOP")),
            done=False,
        ),
        events(  # each signed piece is a part of its own
            google_chunk(said({"text": "a", "thoughtSignature": "s"}, {"text": "b", "thoughtSignature": "s"})),
            google_chunk(said({"text": "", "thoughtSignature": "t"}, {"text": ""}, finish="STOP")),
            done=False,
        ),
        events(  # lists that grow, one that comes anew, and one that is replaced
            *[
                google_chunk(said(
                    {"text": "a"},
                    groundingMetadata={"groundingChunks": [{"web": {"uri": uri}}], "webSearchQueries": [*queries]},
                    safetyRatings=[{"category": "c", "probability": uri}],
                ))
                for uri, queries in (("u", "a"), ("v", "ab"))
            ],
            google_chunk(said(finish="STOP")),
            done=False,
        ),
        events(  # Vertex can stream arguments
            google_chunk(said({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "s"})),
            google_chunk(said({"functionCall": {
                "partialArgs": [{"jsonPath": "$.city", "stringValue": "Par", "willContinue": True}],
                "willContinue": True,
            }})),
            google_chunk(said({"functionCall": {
                "partialArgs": [
                    {"jsonPath": "$.city", "stringValue": "is"},
                    {"jsonPath": "$.rooms[0].beds", "numberValue": 2},
                    {"jsonPath": "$.rooms[0].sea", "boolValue": True},
                ],
                "willContinue": True,
            }})),
            google_chunk(said({"functionCall": {}})),
            google_chunk(said({"text": "a"}, ASKS, finish="STOP")),
            done=False,
        ),
        events(  # who answers is said late, and what was used early
            {"usageMetadata": {"trafficType": "ON_DEMAND"}},
            {"candidates": [said({"text": "x"})], "usageMetadata": {"promptTokenCount": 3}, "responseId": "r1"},
            google_chunk(said(finish="STOP"), usageMetadata={"trafficType": None}),
            done=False,
        ),
        events(
            google_chunk(said({"text": "x"}, finish="FINISH_REASON_UNSPECIFIED")), google_chunk(said(finish="STOP"))
        ),
    ],
}  # fmt: skip
ASKED_OF = {
    CHAT: HELLO,
    RESPONSES: {"model": "m", "input": "x"},
    MESSAGES: ASKED_OF_CLAUDE,
    GOOGLE: ASKED_OF_GEMINI,
    GOOGLE_STREAM: ASKED_OF_GEMINI,
}


@pytest.mark.parametrize(("url", "answered"), [(url, each) for url, answers in ODD.items() for each in answers])
def test_what_a_dialect_reads_the_independent_reader_reads(url, answered, tmp_path, capsys):
    code, out = run(capsys, written(tmp_path, exchange("odd", url, ASKED_OF[url], answered)))
    assert code == 0, out


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (403, {"code": "model_not_found", "type": "invalid_request_error"}, "model_not_found"),
        (401, {"type": "insufficient_quota", "code": None}, "quota"),
        (451, {}, "provider"),
    ],
)
def test_an_error_that_nobody_reviewed_may_be_what_its_code_says(status, said, kind, tmp_path, capsys):
    """OpenAI says 403 of a model that a project has no access to."""
    line = exchange("no", CHAT, HELLO, {"error": {"message": "no", **said}}, status=status)
    assert run(capsys, written(tmp_path, line))[0] == 0
    other = "conflict" if kind == "provider" else "overloaded"
    code, out = run(capsys, written(tmp_path, line), halves=wrong("openai_chat", taking_errors_for(kind=other)))
    assert code == 1
    assert "kind of" in out


@pytest.mark.parametrize("done", [True, False])
def test_where_nobody_knows_the_host_a_stream_ends_as_it_does(done, tmp_path, capsys):
    stream = events(chunk({"content": "a"}), chunk({}, "stop"), done=done)
    code, out = run(capsys, written(tmp_path, exchange("x", "https://llm.example/v1/chat/completions", HELLO, stream)))
    assert code == 0, out


def test_a_slash_at_the_end_of_a_url_is_the_same_path(tmp_path, capsys):
    assert run(capsys, written(tmp_path, exchange("x", f"{CHAT}/", HELLO, CHAT_ANSWER)))[0] == 0


def test_what_is_none_of_a_wire_in_both_directions_is_counted(tmp_path, capsys):
    asked, answered = {"model": "m", "input": "x"}, {"object": "list", "data": []}
    code, out = run(capsys, written(tmp_path, exchange("x", CHAT, asked, answered)))
    assert code == 0
    assert "1  a request that is none of this wire, nor is its reply" in out


def test_a_claude_that_was_not_told_how_long_to_answer_is_told(tmp_path, capsys):
    asked = {key: value for key, value in ASKED_OF_CLAUDE.items() if key != "max_tokens"}
    code, out = run(capsys, written(tmp_path, exchange("x", MESSAGES, asked, CLAUDE_ANSWER)))
    assert code == 0
    assert "$.max_tokens: absent -> 32000" in out


REPEATED = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
UNREAD = [
    exchange("page", CHAT, HELLO, {"object": "list", "data": [1, 2, 3]}),
    exchange("cut", CHAT, HELLO, events(chunk({"content": "a"}), done=False)),
    exchange("again", CHAT, HELLO, calling(REPEATED, REPEATED, {**REPEATED, "id": "d"})),
    exchange("nan", CHAT, HELLO, {**CHAT_ANSWER, "x": [float("nan"), float("inf"), 1e300]}),
    exchange("no", CHAT, HELLO, {"error": {"message": "no", "code": 7, "more": {"a": 1}}, "trace": "x"}, status=400),
    exchange(
        "in a choice", CHAT, HELLO, {**CHAT_ANSWER, "choices": [{"error": {"message": "no", "type": "t", "code": 502}}]}
    ),
    exchange(
        "new events",
        RESPONSES,
        ASKED_OF[RESPONSES],
        events(
            BEGUN,
            {"type": "response.code_interpreter_call_code.delta", "item_id": "ci_1", "output_index": 0, "delta": "1"},
            {"type": "response.never.heard.of", "a": {"b": 1}},
            {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
            done_with(),
            done=False,
        ),
    ),
    exchange("failed", RESPONSES, ASKED_OF[RESPONSES], responded(status="failed", error={"message": "m", "code": "c"})),
]


@pytest.mark.parametrize("line", UNREAD, ids=lambda line: line["id"])
def test_no_leaf_is_changed_that_says_nothing(line, tmp_path, capsys):
    """What nobody reads is left alone: of what is no answer, of what came before a cut, beside an error."""
    for seed in "012":
        code, out = run(capsys, written(tmp_path, line), "--mutate", "--seed", seed)
        assert code == 0, out
        assert "SURVIVED" not in out


@needs_recordings
def test_a_sample_of_the_recorded_traffic_conforms():
    """One exchange in twelve, the same ones each time; streams are cut in a few places."""
    plan = Plan(
        wires=ALL,
        cutting=Cutting(every=0, some=3),
        keep=lambda each: random.Random(each.id).random() < 1 / 12,
    )
    files = [run_file(path, plan) for path in recordings(WIRE)]
    assert sum(len(found.results) for found in files) > 100
    assert passed(files), [
        (found.file, each.id, [str(difference) for difference in each.differences], found.complaints)
        for found in files
        for each in found.results
        if each.differences
    ]


@needs_recordings
@pytest.mark.slow
def test_all_of_the_recorded_traffic_conforms_and_its_mutants_are_noticed(capsys):
    code, out = run(capsys, WIRE)
    assert code == 0, out
    code, out = run(capsys, WIRE, "--mutate")
    assert code == 0, out
