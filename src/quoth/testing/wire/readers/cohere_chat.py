"""Cohere's Chat API v2, read independently.

Usage: what is billed counts (``billed_units``); ``tokens`` are raw counts beside it, of which reasoning is told apart
where the bill has room for it. The plan before tool calls is text, behind the contents of a whole answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._reading import Call, Leaf, OneAnswer, Reading, any_number, counted, empty, leaves, whole_count
from ._events import Event, objects
from ._json import object_in, objects_in, word
from ._mutable import MutableLeaves

__all__ = ["MUTABLE", "end", "finished", "is_answer", "stream", "whole"]

FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}

BODY = frozenset({"finish_reason", "id", "message", "usage"})
MESSAGE = frozenset({"content", "role", "tool_calls", "tool_plan"})
NAMED = {"text": ("text", "type"), "thinking": ("thinking", "type"), "plan": ("plan", "type")}
"""The contents that are parts of ours, and the fields that the part is made of; ``plan`` is our name for the plan."""
NO_ID = "00000000-0000-0000-0000-000000000000"


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:  # noqa: ARG001  # the Protocol's
    """Where a stream's answer is complete: with ``message-end``."""
    return next((event.end for event in events if object_in(event.value).get("type") == "message-end"), None)


def finished(reading: Reading) -> bool:  # noqa: ARG001  # the Protocol's
    """Whether a stream without ``message-end`` is whole: never."""
    return False


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer."""
    return isinstance(answer.get("message"), dict)


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    message = object_in(answer.get("message"))
    contents = objects_in(message.get("content"))
    if plan := word(message.get("tool_plan")):
        contents = [*contents, {"type": "plan", "plan": plan}]
    reading = _reading(answer, message, contents, objects_in(message.get("tool_calls")))
    reading.said = counted(leaves(answer))
    return reading


def stream(body: bytes) -> Reading:
    """What a stream says: its contents, plan and calls grown, in the order in which they began."""
    answer: dict[str, Any] = {}
    message: dict[str, Any] = {}
    contents: dict[str, dict[str, Any]] = {}
    calls: dict[str, dict[str, Any]] = {}
    citations: list[Any] = []
    for event in objects(body):
        kind, delta = event.get("type"), object_in(event.get("delta"))
        told = object_in(delta.get("message"))
        if plan := word(told.get("tool_plan")):
            begun = contents.setdefault("plan", {"type": "plan", "plan": ""})
            begun["plan"] += plan
        if kind == "message-start":
            answer["id"] = event.get("id")
            message |= told
        elif kind == "content-start":
            contents[repr(event.get("index"))] = {**object_in(told.get("content"))}
        elif kind == "content-delta":
            _grow(contents.setdefault(repr(event.get("index")), {}), object_in(told.get("content")))
        elif kind == "tool-call-start":
            call = object_in(told.get("tool_calls"))
            calls[repr(event.get("index"))] = {**call, "function": {**object_in(call.get("function"))}}
        elif kind == "tool-call-delta":
            piece = object_in(object_in(told.get("tool_calls")).get("function"))
            function = calls.setdefault(repr(event.get("index")), {"function": {}})["function"]
            function["arguments"] = (word(function.get("arguments")) or "") + (word(piece.get("arguments")) or "")
        elif kind == "citation-start":
            citations.append(told.get("citations"))
        elif kind == "message-end":
            answer |= delta
    reading = _reading(answer, {**message, "citations": citations}, list(contents.values()), list(calls.values()))
    reading.said = any_number(counted(leaves(objects(body))) + reading.rest)
    return reading


def _grow(content: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for field in ("text", "thinking"):
        if more := word(piece.get(field)):
            content.setdefault("type", field)
            content[field] = (word(content.get(field)) or "") + more


def _reading(
    answer: Mapping[str, Any],
    message: Mapping[str, Any],
    contents: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]],
) -> Reading:
    raw, id_ = word(answer.get("finish_reason")), word(answer.get("id"))
    thoughts = [word(each.get("thinking")) or "" for each in contents if each.get("type") == "thinking"]
    return Reading(
        answer=OneAnswer(
            text="".join([_text(each) for each in contents]),
            reasoning="".join(thoughts),
            calls=tuple([_call(call) for call in calls]),
            finish=FINISH.get(raw or "", "other"),
            finish_raw=raw,
        ),
        id=None if id_ == NO_ID else id_,
        rest=counted([*_rest(answer, BODY), *_rest(message, MESSAGE), *_parts_rest(contents, calls)]),
        **_usage(answer.get("usage")),
    )


def _text(content: Mapping[str, Any]) -> str:
    kind = content.get("type")
    return (word(content.get(kind)) or "") if kind in ("text", "plan") else ""


def _call(call: Mapping[str, Any]) -> Call:
    function = object_in(call.get("function"))
    return Call(
        id=word(call.get("id")) or "",
        name=word(function.get("name")) or "",
        arguments=word(function.get("arguments")) or "",
    )


def _rest(holder: Mapping[str, Any], known: frozenset[str]) -> Iterator[Leaf]:
    for key, value in holder.items():
        if key not in known and not empty(value):
            yield from leaves(value, key)


def _parts_rest(contents: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]) -> Iterator[Leaf]:
    for content in contents:
        named = NAMED.get(str(content.get("type")), ())
        for key, value in content.items():
            if key not in named:
                yield from leaves(value, key)
    for call in calls:
        if call.get("type", "function") != "function":
            yield "type", call["type"]
        beside = {key: value for key, value in call.items() if key not in ("id", "type", "function")}
        inner = object_in(call.get("function"))
        beside |= {key: value for key, value in inner.items() if key not in ("name", "arguments")}
        yield from leaves(beside)


# Usage.


def _usage(usage: Any) -> dict[str, Any]:
    """Source, buckets and totals, as fields of a Reading: of what is billed."""
    if usage is None or usage == {}:
        return {}
    if not isinstance(usage, dict):
        return {"source": "suspect"}
    billed = object_in(usage.get("billed_units"))
    if billed.get("input_tokens") is None and billed.get("output_tokens") is None:
        return {"reported": usage}
    read, written = whole_count(billed.get("input_tokens")), whole_count(billed.get("output_tokens"))
    if read is None or written is None:
        return {"reported": usage, "source": "suspect"}
    thought = whole_count(object_in(usage.get("tokens")).get("reasoning_tokens")) or 0
    if thought > written:
        thought = 0
    counts = {"input": read, "output": written - thought, "reasoning": thought}
    return {"reported": usage, "source": "provider", "counts": counts, "total": (read, written)}


# What a mutation leaves alone, and where it strikes.

MUTABLE = MutableLeaves(
    unread={"$.message.role": "an answer is the assistant's"},
    unread_in_streams={
        "message-start:$.delta.message.role": "an answer is the assistant's",
        "content-start:$.index": "a number, not a content",
        "content-start:$.type": "a content whose beginning was not said begins with its first piece",
        "content-delta:$.index": "a number, not a content",
        "citation-start:$.index": "a number, not a content",
    },
    unread_in_errors={},
    unit=r"(?!)",
    growing=tuple(
        f"{kind}:$"
        for kind in (
            "message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta",
            "citation-start", "message-end",
        )
    ),
    events=frozenset({
        "message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta",
        "citation-start", "message-end", "error",
    }),
    told=(
        "content-delta:$.delta.message.content.text",
        "content-delta:$.delta.message.content.thinking",
        "tool-plan-delta:$.delta.message.tool_plan",
    ),
)  # fmt: skip
