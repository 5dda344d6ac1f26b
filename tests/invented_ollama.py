"""One conversation with Ollama, in invented bytes: what is asked, the answer whole and streamed, and a "no"."""

import json

URL = "http://localhost:11434/api/chat"
LINES = [["Content-Type", "application/x-ndjson"]]

PIXEL = "iVBORw0KGgo="
ASKED = {
    "model": "qwen3:4b",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is this?", "images": [PIXEL]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "2", "tool_name": "add"},
    ],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
    "format": {"type": "object"},
    "options": {"num_predict": 9, "temperature": 0.5, "stop": ["END"], "num_ctx": 8192},
    "think": "low",
    "keep_alive": "5m",
    "stream": False,
}
COUNTS = {
    "total_duration": 2530305000,
    "load_duration": 3494667,
    "prompt_eval_count": 42,
    "prompt_eval_duration": 149512000,
    "eval_count": 24,
    "eval_duration": 318697665,
}
CALLS = [
    {"id": "call_1", "function": {"index": 0, "name": "add", "arguments": {"a": 1}}},
    {"function": {"index": 1, "name": "add", "arguments": {"b": [2.5, None]}}},
]
HEAD = {"model": "qwen3:4b", "created_at": "2026-08-04T19:59:07.278934Z"}
LOGPROBS = [{"token": "Gr", "logprob": -0.5}, {"token": "üße", "logprob": -1.5}]
ANSWER = {
    **HEAD,
    "message": {"role": "assistant", "content": "Grüße you", "thinking": "hm", "tool_calls": CALLS},
    "done": True,
    "done_reason": "stop",
    **COUNTS,
    "logprobs": LOGPROBS,
}


def line(message, *, done=False, **more):
    """One line of a stream, as a value."""
    return {**HEAD, "message": {"role": "assistant", "content": "", **message}, "done": done, **more}


VALUES = [
    line({"thinking": "h"}),
    line({"thinking": "m"}),
    line({"content": "Grüße"}, logprobs=LOGPROBS[:1]),
    line({"content": " you"}, logprobs=LOGPROBS[1:]),
    line({"tool_calls": CALLS[:1]}),
    line({"tool_calls": CALLS[1:]}),
    line({}, done=True, done_reason="stop", **COUNTS),
]


def stream(*values):
    """These lines as the text of a stream."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


STREAM = stream(*VALUES)
REFUSED = stream(*VALUES[:3], {"error": "an error was encountered while running the model"})
"""A stream that ends in an error."""
