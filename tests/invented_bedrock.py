"""What Bedrock might have said, invented: answers, streams and errors of both of its wires, in the frames of AWS."""

import json
from base64 import b64encode

from quoth._framing import build_aws_message

RUNTIME = "https://bedrock-runtime.eu-west-1.amazonaws.com/model"
CONVERSE = f"{RUNTIME}/eu.amazon.nova-2-lite-v1%3A0/converse"
INVOKE = f"{RUNTIME}/eu.anthropic.claude-x-v1%3A0/invoke"

FRAMES = [["Content-Type", "application/vnd.amazon.eventstream"]]

ASKED = {
    "messages": [{"role": "user", "content": [{"text": "Hello"}, {"cachePoint": {"type": "default"}}]}],
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 9},
}
USAGE = {
    "inputTokens": 3,
    "cacheReadInputTokens": 40,
    "cacheWriteInputTokens": 7,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 2}],
    "outputTokens": 9,
    "totalTokens": 59,
}
END = {
    "usage": USAGE,
    "metrics": {"latencyMs": 12},
    "serviceTier": {"type": "flex"},
    "performanceConfig": {"latency": "optimized"},
}
SOURCE = {"title": "a", "location": {"web": {"url": "https://a.example", "domain": "a.example"}}}
ANSWER = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                {"reasoningContent": {"redactedContent": "aGlk"}},
                {"text": "Hi "},
                {"citationsContent": {"content": [{"text": "you"}], "citations": [SOURCE]}},
                {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    **END,
}


def frame(kind, event, **headers):
    """One event in its frame; ``headers`` in place of those that say so."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event", **headers}
    return build_aws_message(named, json.dumps(event).encode())


def refusal(name, message):
    """An exception in its frame."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return build_aws_message(headers, json.dumps({"message": message}).encode())


def delta(index, said):
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": said, "p": "abc"})


def stop(index):
    return frame("contentBlockStop", {"contentBlockIndex": index, "p": "a"})


BEGUN = frame("messageStart", {"role": "assistant", "p": "ab"})
STREAM = b"".join([
    BEGUN,
    delta(0, {"reasoningContent": {"text": "h"}}),
    delta(0, {"reasoningContent": {"text": "m"}}),
    delta(0, {"reasoningContent": {"signature": "c2ln"}}),
    stop(0),
    delta(1, {"reasoningContent": {"redactedContent": "aGlk"}}),
    stop(1),
    delta(2, {"text": "H"}),
    delta(2, {"text": "i "}),
    stop(2),
    delta(3, {"text": "you"}),
    delta(3, {"citation": SOURCE}),
    stop(3),
    frame("contentBlockStart", {"contentBlockIndex": 4, "start": {"toolUse": {"toolUseId": "t1", "name": "add"}}}),
    delta(4, {"toolUse": {"input": '{"a"'}}),
    delta(4, {"toolUse": {"input": ":1}"}}),
    stop(4),
    frame("messageStop", {"stopReason": "tool_use"}),
    frame("metadata", END),
])  # fmt: skip
"""The same answer, piece by piece."""

THROTTLED = BEGUN + delta(0, {"text": "Hi"}) + refusal("throttlingException", "Too many requests")


def chunks(*events):
    """Events of another wire, each in the frame of InvokeModel."""
    return b"".join([frame("chunk", {"bytes": b64encode(json.dumps(each).encode()).decode()}) for each in events])
