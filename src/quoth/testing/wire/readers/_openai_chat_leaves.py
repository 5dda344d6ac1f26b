"""Chat Completions: what a mutation leaves alone, and where it strikes."""

from __future__ import annotations

from ._mutable import MutableLeaves

__all__ = ["MUTABLE"]

_UNREAD = {
    "$.object": "which kind of object: the request asked for it",
    "$.obfuscation": "noise that hides lengths",
    "$.choices[*].index": "choices stand in their order",
    "$.choices[*].delta": "an empty piece in a whole answer",
    "$.choices[*].message.role": "an answer is the assistant's",
    "$.choices[*].message.function_call": "an empty call beside an answer, of servers that know the field of 2023",
    "$.choices[*].message.tool_calls[*].index": "calls stand in their order",
}
"""Paths of a whole answer that no client reads, and why."""

_UNREAD_IN_STREAMS = {
    "$.object": "which kind of object: the request asked for it",
    "$.obfuscation": "noise that hides lengths",
    "$.p": "noise that hides lengths",
    "$.choices[*].index": "a number, not a content",
    "$.choices[*].message": "repeats the deltas",
    "$.choices[*].text": "repeats the delta",
    "$.choices[*].delta.role": "an answer is the assistant's",
    "$.choices[*].delta.tool_calls[*].index": "which call a piece belongs to: a number, not a content",
    "$.choices[*].delta.content[*].thinking[*].type": "a piece of a thought is a text",
}

_UNREAD_IN_ERRORS = {
    "$.id": "an id of the request, not of its answer",
    "$.object": "that it is an error: the status says so",
    "$.raw_status_code": "the status says it",
    "$.status": "the status says it",
    "$.user_id": "whose key it is",
    "$.detail[*].type": "which rule of the validation",
    "$.detail[*].input": "what the caller sent",
    "$.detail[*].loc": "where the caller's mistake is",
    "$.error.details": "repeats the message",
    "$.error.failed_generation": "what the model wrote",
    "$.error.innererror": "which filter: the code says that it was one",
    "$.error.metadata.previous_errors": "what other providers said before",
    "$.error.metadata.provider_name": "who was asked",
    "$.error.status": "the status that a 200 stands in for: the code says more",
    "$.error.status_code": "the status that a 200 stands in for: the code says more",
}

_FIRST = frozenset({"$.id", "$.model", "$.created"})
"""Paths that each chunk of a stream says anew: the first counts."""

_BEGINS = frozenset({
    "$.choices[*].delta.tool_calls[*].id",
    "$.choices[*].delta.tool_calls[*].function.name",
    "$.choices[*].delta.tool_calls[*].custom.name",
})  # fmt: skip
"""What the first piece of a call says; some servers say it with each."""

_GROWING = (
    "$.choices[*].delta.content",
    "$.choices[*].delta.reasoning",
    "$.choices[*].delta.reasoning_content",
    "$.choices[*].delta.reasoning_details[*].summary",
    "$.choices[*].delta.reasoning_details[*].text",
    "$.choices[*].delta.refusal",
    "$.choices[*].delta.tool_calls",
    "$.choices[*].delta.function_call",
    "$.choices[*].logprobs",
)
"""Paths of which each chunk says a piece; of all others the last value counts."""

_TOLD = ("$.choices[*].delta.content", "$.choices[*].delta.reasoning", "$.choices[*].delta.reasoning_content")
"""What is compared of a stream that does not come to its end."""

_UNIT = r"\$(\.choices\[\*\](\.delta)?)?\.[^.\[]+"
"""A field that a later chunk replaces as a whole."""

MUTABLE = MutableLeaves(
    unread=_UNREAD,
    unread_in_streams=_UNREAD_IN_STREAMS,
    unread_in_errors=_UNREAD_IN_ERRORS,
    first=_FIRST,
    begins=_BEGINS,
    growing=_GROWING,
    told=_TOLD,
    unit=_UNIT,
)
