"""One conversation with Cohere, in invented bytes: what is asked, the answer whole and streamed, and a "no"."""

import json

URL = "https://api.cohere.com/v2/chat"

CALL = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
CITATION = {
    "start": 0,
    "end": 5,
    "text": "Grüße",
    "sources": [{"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "Grüße you"}}],
    "type": "TEXT_CONTENT",
    "content_index": 1,
}
ASKED = {
    "model": "command-a-plus-05-2026",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "tool_plan": "I will add.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "add_1", "content": [{"type": "text", "text": "2"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
    "strict_tools": True,
    "tool_choice": "REQUIRED",
    "documents": [{"id": "doc:0", "data": {"text": "Grüße you"}}],
    "safety_mode": "STRICT",
    "thinking": {"type": "enabled", "token_budget": 512},
    "stop_sequences": ["END"],
    "p": 0.5,
    "k": 3,
}
USAGE = {
    "billed_units": {"input_tokens": 67, "output_tokens": 66},
    "tokens": {"input_tokens": 510, "output_tokens": 99, "reasoning_tokens": 29},
    "cached_tokens": 144,
}
ANSWER = {
    "id": "7e434751",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Grüße you"}],
        "tool_plan": "I will add.",
        "tool_calls": [CALL],
        "citations": [CITATION],
    },
    "finish_reason": "TOOL_CALL",
    "usage": USAGE,
    "logprobs": [{"text": "Gr", "token_ids": [1], "logprobs": [-0.5]}],
}


def event(kind, message=None, index=None, **delta):
    """One event of a stream, as a value."""
    if message is not None:
        delta["message"] = message
    return {"type": kind, **({} if index is None else {"index": index}), **({"delta": delta} if delta else {})}


BEGUN = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
EVENTS = [
    {**event("message-start", BEGUN), "id": "7e434751"},
    event("content-start", {"content": {"type": "thinking", "thinking": ""}}, 0),
    event("content-delta", {"content": {"thinking": "h"}}, 0),
    event("content-delta", {"content": {"thinking": "m"}}, 0),
    event("content-end", index=0),
    event("content-start", {"content": {"type": "text", "text": ""}}, 1),
    {**event("content-delta", {"content": {"text": "Grüße"}}, 1), "logprobs": ANSWER["logprobs"][0]},
    event("citation-start", {"citations": CITATION}, 0),
    event("citation-end", index=0),
    event("content-delta", {"content": {"text": " you"}}, 1),
    event("content-end", index=1),
    event("tool-plan-delta", {"tool_plan": "I will"}),
    event("tool-plan-delta", {"tool_plan": " add."}),
    event("tool-call-start", {"tool_calls": {**CALL, "function": {"name": "add", "arguments": ""}}}, 0),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"a": '}}}, 0),
    event("tool-call-delta", {"tool_calls": {"function": {"arguments": "1}"}}}, 0),
    event("tool-call-end", index=0),
    event("message-end", finish_reason="TOOL_CALL", usage=USAGE),
]


def stream(*events, done=True):
    """These events as the bytes of a stream."""
    sent = "".join(f"event: {each['type']}\ndata: {json.dumps(each, ensure_ascii=False)}\n\n" for each in events)
    return sent + ("data: [DONE]\n\n" if done else "")


STREAM = stream(*EVENTS)
REFUSED = stream(*EVENTS[:7], done=False) + 'event: error\ndata: {"message": "slow down", "status": 429}\n\n'
"""A stream that ends in an error."""
