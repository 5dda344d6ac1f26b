"""Bedrock's Converse, read independently.

Usage: ``inputTokens`` excludes what was read from a cache and written to one; the total is the sum of all. Writes live
five minutes but for those that ``cacheDetails`` give an hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._reading import Call, Leaf, OneAnswer, Reading, any_number, counted, empty, leaves, whole_count
from ._events import Event, objects
from ._json import object_in, objects_in, word
from ._mutable import MutableLeaves
from ._usage import usage_fields

__all__ = ["MUTABLE", "end", "finished", "is_answer", "stream", "whole"]

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}
BODY = frozenset({"output", "stopReason", "usage", "serviceTier", "performanceConfig", "type"})
SERVERS = "server_tool_use"
PADDING = "p"
"""What only makes an event longer."""


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:
    """Where a stream's answer is complete: with ``metadata``, or by its row with the reason why it stopped."""
    for event in events:
        if event.name == "metadata" or (by_finish and event.name == "messageStop"):
            return event.end
    return None


def finished(reading: Reading) -> bool:  # noqa: ARG001  # the Protocol's
    """Whether a stream without ``metadata`` is whole: never, for it alone says what was used."""
    return False


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer."""
    message = object_in(object_in(answer.get("output")).get("message"))
    return isinstance(message.get("content"), list) or isinstance(answer.get("stopReason"), str)


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    message = object_in(object_in(answer.get("output")).get("message"))
    reading = _reading(answer, objects_in(message.get("content")))
    reading.said = counted(leaves(answer))
    return reading


def stream(body: bytes) -> Reading:
    """What a stream says: its blocks grown, and what its last events say of the answer."""
    answer: dict[str, Any] = {}
    blocks: dict[str, dict[str, Any]] = {}
    events = objects(body)
    for event in events:
        kind, index = event.get("type"), repr(event.get("contentBlockIndex"))
        if kind == "contentBlockStart":
            blocks[index] = {":start": object_in(event.get("start"))}
        elif kind == "contentBlockDelta":
            _grow(blocks.setdefault(index, {}), object_in(event.get("delta")))
        elif kind in ("messageStop", "metadata"):
            answer |= {key: value for key, value in event.items() if key != PADDING}
    reading = _reading(answer, [_block(grown) for grown in blocks.values()])
    reading.said = any_number(counted(leaves(events)) + reading.rest)
    return reading


def _grow(grown: dict[str, Any], delta: Mapping[str, Any]) -> None:
    thought = object_in(delta.get("reasoningContent"))
    grown["text"] = grown.get("text", "") + (word(delta.get("text")) or "")
    grown["input"] = grown.get("input", "") + (word(object_in(delta.get("toolUse")).get("input")) or "")
    grown["results"] = [*grown.get("results", ()), *objects_in(delta.get("toolResult"))]
    grown["citations"] = [*grown.get("citations", ()), *([delta["citation"]] if "citation" in delta else [])]
    if thought:
        said = grown.setdefault("thought", {})
        for key, value in thought.items():
            said[key] = said.get(key, "") + value


def _block(grown: Mapping[str, Any]) -> dict[str, Any]:
    """A grown block as a whole answer has it."""
    start = object_in(grown.get(":start"))
    if called := object_in(start.get("toolUse")):
        server = called.get("type") == SERVERS
        text = grown.get("input") or "{}"
        return {"toolUse": {**called, "input": json.loads(text) if server else text}}
    if result := object_in(start.get("toolResult")):
        return {"toolResult": {**result, "content": grown.get("results", [])}}
    if thought := object_in(grown.get("thought")):
        if "redactedContent" in thought:
            return {"reasoningContent": thought}
        return {"reasoningContent": {"reasoningText": thought}}
    if grown.get("citations"):
        content = [{"text": grown["text"]}] if grown.get("text") else []
        return {"citationsContent": {"content": content, "citations": grown["citations"]}}
    return {"text": grown.get("text", "")}


def _reading(answer: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> Reading:
    raw = answer.get("stopReason")
    return Reading(
        answer=OneAnswer(
            text="".join([_text(block) for block in blocks]),
            reasoning="".join([word(_thought(block).get("text")) or "" for block in blocks]),
            calls=tuple([_call(block["toolUse"]) for block in blocks if _is_call(block)]),
            finish=FINISH.get(raw, "other") if isinstance(raw, str) else "other",
            finish_raw=raw if isinstance(raw, str) else None,
        ),
        tier=word(object_in(answer.get("serviceTier")).get("type")),
        speed=word(object_in(answer.get("performanceConfig")).get("latency")),
        rest=counted([*_body_rest(answer), *_blocks_rest(blocks)]),
        **usage_fields(answer.get("usage"), ("inputTokens", "outputTokens"), _buckets, _totals),
    )


def _text(block: Mapping[str, Any]) -> str:
    """The words of a block: its text, or those that have sources."""
    cited = objects_in(object_in(block.get("citationsContent")).get("content"))
    return word(block.get("text")) or "".join([word(each.get("text")) or "" for each in cited])


def _thought(block: Mapping[str, Any]) -> dict[str, Any]:
    return object_in(object_in(block.get("reasoningContent")).get("reasoningText"))


def _is_call(block: Mapping[str, Any]) -> bool:
    """Whether a block asks the caller: not where the server asks itself."""
    return bool(object_in(block.get("toolUse"))) and object_in(block["toolUse"]).get("type") != SERVERS


def _call(called: Mapping[str, Any]) -> Call:
    given = called.get("input")
    return Call(
        id=word(called.get("toolUseId")) or "",
        name=word(called.get("name")) or "",
        arguments={} if given is None else given,
    )


def _body_rest(answer: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in answer.items():
        if key not in BODY and not empty(value):
            yield from leaves(value, key)


def _blocks_rest(blocks: Sequence[Mapping[str, Any]]) -> Iterator[Leaf]:
    for block in blocks:
        for member, said in block.items():
            if member == "text":
                continue
            if member == "toolUse" and _is_call(block):
                yield from leaves(
                    {key: each for key, each in said.items() if key not in ("toolUseId", "name", "input")}
                )
            elif member == "citationsContent":
                yield from leaves({key: each for key, each in said.items() if key != "content"})
            elif member == "reasoningContent":
                yield from leaves({key: each for key, each in said.items() if key != "reasoningText"})
                yield from leaves({key: each for key, each in _thought(block).items() if key != "text"})
            else:
                yield from leaves(said, member)


# Usage.


def _buckets(usage: Mapping[str, Any]) -> dict[str, int] | None:
    """The disjoint buckets; None where a number cannot be, or the numbers do not add up."""
    lived = {"5m": 0, "1h": 0}
    for each in objects_in(usage.get("cacheDetails")):
        count = whole_count(each.get("inputTokens"))
        if count is None:
            return None
        if each.get("ttl") in lived:
            lived[each["ttl"]] += count
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    counts = [whole_count(usage.get(name)) for name in names]
    if None in counts:
        return None
    plain, output, read, written = [count or 0 for count in counts]
    total = usage.get("totalTokens")
    if total is not None and whole_count(total) != plain + output + read + written:
        return None
    if sum(lived.values()) > written:
        return None
    return {
        "input": plain,
        "cache_read": read,
        "cache_write_5m": written - lived["1h"],
        "cache_write_1h": lived["1h"],
        "output": output,
    }


def _totals(usage: Mapping[str, Any]) -> tuple[int, int]:
    output = whole_count(usage.get("outputTokens")) or 0
    return (whole_count(usage.get("totalTokens")) or 0) - output, output


# What a mutation leaves alone, and where it strikes.

_UNREAD = {
    "$.output.message.role": "an answer is the assistant's",
}

_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")

_UNREAD_IN_STREAMS = {
    "messageStart:$.role": "an answer is the assistant's",
    "contentBlockStart:$.contentBlockIndex": "a number, not a content",
    "contentBlockDelta:$.contentBlockIndex": "a number, not a content",
    "contentBlockStop:$.contentBlockIndex": "a number, not a content",
    **{f"{kind}:$.{PADDING}": "it only makes the event longer" for kind in _EVENTS},
}

MUTABLE = MutableLeaves(
    unread=_UNREAD,
    unread_in_streams=_UNREAD_IN_STREAMS,
    unread_in_errors={},
    growing=("contentBlockStart:$", "contentBlockDelta:$", "contentBlockStop:$"),
    events=frozenset({*_EVENTS, "error"}),
    told=("contentBlockDelta:$.delta.text", "contentBlockDelta:$.delta.reasoningContent.text"),
    unit=r"[A-Za-z]+:\$\.[^.\[]+",
)
