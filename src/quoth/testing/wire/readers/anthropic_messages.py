"""Anthropic Messages, read independently.

Usage: ``input_tokens`` excludes what was read from a cache and written to one; ``output_tokens`` includes thinking.
Writes live five minutes but for those that ``cache_creation`` gives an hour. What a compaction cost stands in
``iterations`` alone and is added. In a stream counts are cumulative: a later one replaces.
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
    "refusal": "content_filter",
}

BODY = frozenset({"content", "id", "model", "role", "stop_reason", "type", "usage"})
NAMED = {
    "text": ("text", "type"),
    "thinking": ("thinking", "type"),
    "tool_use": ("id", "input", "name", "type"),
}
"""The blocks that are parts of ours, and the fields that the part is made of."""
INVALID = "INVALID_JSON"
"""Where Anthropic's clients put arguments that are no JSON."""
DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
}
"""Deltas that grow: the field of the delta, and that of the block."""


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:
    """Where a stream's answer is complete: with ``message_stop``, or by its row with the reason why it stopped."""
    for event in events:
        value = object_in(event.value)
        kind = value.get("type") or event.name
        stopped = kind == "message_delta" and object_in(value.get("delta")).get("stop_reason")
        if kind == "message_stop" or (by_finish and stopped):
            return event.end
    return None


def finished(reading: Reading) -> bool:  # noqa: ARG001  # the Protocol's
    """Whether a stream without ``message_stop`` is whole: never, for all who speak this wire send it."""
    return False


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer."""
    content = answer.get("content")
    empty_but_stopped = content is None and isinstance(answer.get("stop_reason"), str)
    spoken = isinstance(content, str) and bool(answer.get("role"))
    known = (answer.get("type") or "message") == "message"
    return known and (isinstance(content, list) or empty_but_stopped or spoken)


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    content = answer.get("content")
    spoken = [{"type": "text", "text": content}] if isinstance(content, str) else objects_in(content)
    reading = _reading(answer, spoken)
    reading.said = counted(leaves(answer))
    return reading


def stream(body: bytes) -> Reading:
    """What a stream says: its blocks grown, and the message with what changed at its end."""
    message: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[str, dict[str, Any]] = {}
    grown: list[dict[str, Any]] = []
    for event in objects(body):
        kind = event.get("type")
        if kind == "message_start":
            message |= object_in(event.get("message"))
            usage |= _said(message.get("usage"))
        elif kind == "message_delta":
            message |= _said(object_in(event.get("delta")))
            message |= _said({key: value for key, value in event.items() if key not in ("type", "delta", "usage")})
            usage = _counted_on(usage, _said(event.get("usage")))
        elif kind == "content_block_start":
            block = {**object_in(event.get("content_block"))}
            blocks[repr(event.get("index"))] = block
            grown.append(block)
        elif kind == "content_block_delta":
            index, delta = repr(event.get("index")), object_in(event.get("delta"))
            begun = {"text_delta": "text", "thinking_delta": "thinking"}.get(str(delta.get("type")))
            if index not in blocks and begun:  # its beginning was not said
                blocks[index] = {"type": begun}
                grown.append(blocks[index])
            if index in blocks:
                _grow(blocks[index], delta)
    for block in grown:
        if isinstance(block.get(":json"), str):
            block["input"] = block.pop(":json")
    reading = _reading({**message, "usage": usage or None}, grown)
    reading.said = any_number(counted(leaves(objects(body))) + reading.rest)
    return reading


def _said(fields: Any) -> dict[str, Any]:
    return {key: value for key, value in object_in(fields).items() if value is not None}


def _counted_on(counts: dict[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """A usage with what is said of it later: counts only grow, so a later zero is none."""
    merged = dict(counts)
    for key, value in later.items():
        mine = counts.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            merged[key] = _counted_on(mine, _said(value))
        elif not (value == 0 and mine):
            merged[key] = value
    return merged


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    kind = str(delta.get("type"))
    if kind == "input_json_delta":
        if piece := word(delta.get("partial_json")):
            block[":json"] = block.get(":json", "") + piece
    elif kind in DELTAS:
        source, field = DELTAS[kind]
        block[field] = (word(block.get(field)) or "") + (word(delta.get(source)) or "")
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
    else:
        block |= {key: value for key, value in delta.items() if key != "type" and not empty(value)}


def _reading(answer: Mapping[str, Any], blocks: Sequence[dict[str, Any]]) -> Reading:
    raw, usage = answer.get("stop_reason"), answer.get("usage")
    return Reading(
        answer=OneAnswer(
            text="".join([word(block.get("text")) or "" for block in blocks if _kind(block) == "text"]),
            reasoning="".join([word(block.get("thinking")) or "" for block in blocks if _kind(block) == "thinking"]),
            calls=tuple([_call(block) for block in blocks if _kind(block) == "tool_use"]),
            finish=FINISH.get(raw, "other") if isinstance(raw, str) else "other",
            finish_raw=raw if isinstance(raw, str) else None,
        ),
        id=word(answer.get("id")),
        model=word(answer.get("model")) or "",
        tier=word(object_in(usage).get("service_tier")),
        region=word(object_in(usage).get("inference_geo")),
        speed=word(object_in(usage).get("speed")),
        rest=counted([*_body_rest(answer), *_blocks_rest(blocks)]),
        **usage_fields(usage, ("input_tokens", "output_tokens"), _buckets, _totals),
    )


def _kind(block: Mapping[str, Any]) -> str:
    """The type of a block; a call that names neither itself nor its tool is none."""
    kind = str(block.get("type"))
    called = isinstance(block.get("id"), str) and isinstance(block.get("name"), str)
    return "" if kind == "tool_use" and not called else kind


def _call(block: Mapping[str, Any]) -> Call:
    """A call: of a stream its arguments as they were written, of a whole answer the object."""
    given = block.get("input")
    if isinstance(given, dict) and given.keys() == {INVALID} and isinstance(given[INVALID], str):
        given = given[INVALID]
    return Call(
        id=word(block.get("id")) or "", name=word(block.get("name")) or "", arguments={} if given is None else given
    )


def _body_rest(answer: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in answer.items():
        if key not in BODY and not empty(value):
            yield from leaves(value, key)


def _blocks_rest(blocks: Sequence[Mapping[str, Any]]) -> Iterator[Leaf]:
    for block in blocks:
        named = NAMED.get(_kind(block))
        for key, value in block.items():
            if named is None:
                yield from leaves(_input(value) if key == "input" else value, key)
            elif key not in named and not empty(value):
                yield from leaves(value, key)


def _input(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {INVALID: value}


# Usage.


def _counted(usage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [usage, *(each for each in objects_in(usage.get("iterations")) if each.get("type") == "compaction")]


def _buckets(usage: Mapping[str, Any]) -> dict[str, int] | None:
    """The disjoint buckets; None where a number cannot be, or the parts exceed their whole."""
    sums = {"input": 0, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0, "output": 0}
    for each in _counted(usage):
        found = _one_of_usage(each)
        if found is None:
            return None
        sums = {name: count + found[name] for name, count in sums.items()}
    thinking = whole_count(object_in(usage.get("output_tokens_details")).get("thinking_tokens"))
    searches = whole_count(object_in(usage.get("server_tool_use")).get("web_search_requests"))
    if thinking is None or searches is None or thinking > sums["output"]:
        return None
    return {**sums, "output": sums["output"] - thinking, "reasoning": thinking, "web_searches": searches}


def _one_of_usage(usage: Mapping[str, Any]) -> dict[str, int] | None:
    split = object_in(usage.get("cache_creation"))
    numbers = {
        "input": whole_count(usage.get("input_tokens")),
        "cache_read": whole_count(usage.get("cache_read_input_tokens")),
        "written": whole_count(usage.get("cache_creation_input_tokens")),
        "short": whole_count(split.get("ephemeral_5m_input_tokens")),
        "long": whole_count(split.get("ephemeral_1h_input_tokens")),
        "output": whole_count(usage.get("output_tokens")),
    }
    if None in numbers.values():
        return None
    count = {name: number or 0 for name, number in numbers.items()}
    if usage.get("cache_creation_input_tokens") is None:
        count["written"] = count["short"] + count["long"]
    if count["short"] + count["long"] > count["written"]:
        return None
    return {
        "input": count["input"],
        "cache_read": count["cache_read"],
        "cache_write_5m": count["written"] - count["long"],
        "cache_write_1h": count["long"],
        "output": count["output"],
    }


def _totals(usage: Mapping[str, Any]) -> tuple[int, int]:
    parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    read = sum([whole_count(each.get(part)) or 0 for each in _counted(usage) for part in parts])
    for each in _counted(usage):
        if each.get("cache_creation_input_tokens") is None:
            read += sum([whole_count(count) or 0 for count in object_in(each.get("cache_creation")).values()])
    return read, sum([whole_count(each.get("output_tokens")) or 0 for each in _counted(usage)])


# What a mutation leaves alone, and where it strikes.

_UNREAD = {
    "$.role": "an answer is the assistant's",
}
"""Paths of a whole answer that no client reads, and why."""

_UNREAD_IN_STREAMS = {
    "message_start:$.message.role": "an answer is the assistant's",
    "message_start:$.message.type": "the event says it",
    "message_start:$.type": "an answer that does not say who gives it is read all the same",
    "content_block_start:$.content_block.signature": "its delta replaces it",
    "content_block_start:$.index": "a number, not a content",
    "content_block_start:$.type": "a text whose beginning was not said begins with its first piece",
    "content_block_delta:$.delta.type": "what a delta of an unknown type holds is kept with its block",
    "content_block_delta:$.delta.estimated_tokens": "a guess: the usage says it",
    "content_block_delta:$.index": "a number, not a content",
    "content_block_stop:$.index": "the block that is under way ends",
    "content_block_stop:$.type": "a block that is not ended ends with the message",
}

_UNREAD_IN_ERRORS = {
    "$.type": "that it is an error: the status says so",
    "$.request_id": "the header says it first",
}

_GROWING = ("content_block_start:$", "content_block_delta:$", "content_block_stop:$")
"""Paths of which each event says a piece; of all others the last value counts."""

_UNIT = r"[a-z_]+:\$(\.message|\.delta)?(\.usage)?\.[^.\[]+"
"""A field that a later event replaces as a whole."""

_REPLACED = (
    ("message_start:$.message.usage", "message_delta:$.usage"),
    ("message_start:$.message", "message_delta:$.delta"),
)
"""What the beginning says of the message, its end may say again."""

MUTABLE = MutableLeaves(
    unread=_UNREAD,
    unread_in_streams=_UNREAD_IN_STREAMS,
    unread_in_errors=_UNREAD_IN_ERRORS,
    growing=_GROWING,
    events=frozenset(
        {
            "content_block_delta",
            "content_block_start",
            "content_block_stop",
            "error",
            "message_delta",
            "message_start",
            "message_stop",
        }
    ),
    told=("content_block_delta:$.delta.text", "content_block_delta:$.delta.thinking"),
    unit=_UNIT,
    replaced=_REPLACED,
)
