"""OpenAI Responses, read independently.

Usage: ``input_tokens`` includes what was read from a cache and written to one; ``output_tokens`` includes reasoning,
unless ``total_tokens`` is larger by just that. Web searches are the completed calls among the items that searched.
A stream's last event holds the whole answer once more; where it leaves the items out, the events that ended each item
hold them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._reading import Call, Leaf, OneAnswer, Reading, any_number, counted, empty, leaves, whole_count
from ._events import Event, objects
from ._json import last_said, object_in, objects_in, word
from ._mutable import MutableLeaves
from ._usage import usage_fields

__all__ = ["MUTABLE", "end", "finished", "is_answer", "stream", "whole"]

FINAL = ("response.completed", "response.incomplete", "response.done", "response.cancelled")
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
PARAGRAPH = "\n\n"
"""Between the texts of one thought."""

BODY = frozenset({
    "created_at", "error", "id", "incomplete_details", "model", "object", "output", "output_text", "service_tier",
    "status", "usage",
})  # fmt: skip
NAMED = ("type", "text", "refusal")
TYPES = (("type", "output_text"), ("type", "refusal"))
"""What the entries of a message are called."""
TOLD_WHOLE: Leaf = ("status", "completed")
"""What an item is, with the end of the answer, that only its pieces tell."""
DEFAULTS: Mapping[str, Any] = {"parallel_tool_calls": True, "tool_choice": "auto"}
"""Echoes of a request that did not ask for anything."""


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:  # noqa: ARG001  # the last event says it anyway
    """Where a stream's answer is complete: with its last event."""
    for event in events:
        if (object_in(event.value).get("type") or event.name) in FINAL:
            return event.end
    return None


def finished(reading: Reading) -> bool:  # noqa: ARG001  # the Protocol's
    """Whether a stream without its last event is whole: never, for that event says how it ended."""
    return False


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer."""
    return isinstance(answer.get("output"), list) or answer.get("object") == "response" or "output_text" in answer


# Whole answers.


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    reading = _reading(answer, objects_in(answer.get("output")))
    reading.said = counted(leaves(answer))
    return reading


def stream(body: bytes) -> Reading:
    """What a stream says: its last event, with the items that it leaves out."""
    events = objects(body)
    final: dict[str, Any] = next((event for event in events if event.get("type") in FINAL), {})
    answer = {**_told_facts(events), "status": str(final.get("type")).rpartition(".")[2]}
    answer |= {key: value for key, value in object_in(final.get("response")).items() if not empty(value)}
    items = objects_in(answer.get("output")) or _told_items(events)
    first = next((str(event["type"]) for event in events if "reasoning_" in str(event.get("type"))), "")
    reading = _reading(answer, items, prefer="content" if "reasoning_text" in first else "summary" if first else "")
    if not final:
        reading = Reading(answer=_told(events))
    elif not items:  # nowhere said whole
        told = _told(events)
        reading.answer.text, reading.answer.reasoning, reading.answer.refusal = told.text, told.reasoning, told.refusal
    named = [("id", event["item_id"]) for event in events if event.get("item_id")]
    reading.said = any_number(counted([*leaves(events), *named, TOLD_WHOLE]) + reading.rest)
    return reading


def _told_facts(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Who answers, as the events before the last one say it."""
    answers = [object_in(event.get("response")) for event in events]
    return {name: last_said(answers, name) for name in ("id", "model", "created_at")}


def _told_items(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The items that events of their own ended, in the order of the output."""
    done = [event for event in events if event.get("type") == "response.output_item.done"]
    return [object_in(event.get("item")) for event in sorted(done, key=lambda event: event.get("output_index") or 0)]


def _told(events: Sequence[Mapping[str, Any]]) -> OneAnswer:
    """What the pieces of a stream say that did not come to its end."""
    return OneAnswer(
        text=_deltas(events, "response.output_text.delta"),
        refusal=_deltas(events, "response.refusal.delta"),
        reasoning=_deltas(events, "response.reasoning_summary_text.delta")
        or _deltas(events, "response.reasoning_text.delta"),
    )


def _deltas(events: Sequence[Mapping[str, Any]], kind: str) -> str:
    return "".join([str(event.get("delta") or "") for event in events if event.get("type") == kind])


def _reading(answer: Mapping[str, Any], items: Sequence[Mapping[str, Any]], prefer: str = "") -> Reading:
    entries = [entry for item in items if _kind(item) == "message" for entry in _content(item)]
    texts = "".join([entry["text"] for entry in entries if _is_text(entry)])
    beside = answer.get("reasoning")
    thoughts = [_thought(item, prefer)[0] for item in items if _kind(item) == "reasoning"]
    calls = tuple([_call(item) for item in items if _kind(item) in CALLS])
    finish, raw = _finish(answer, calls)
    return Reading(
        answer=OneAnswer(
            text=texts if items else word(answer.get("output_text")) or "",
            reasoning="".join(thoughts) + (beside if isinstance(beside, str) and beside.strip() else ""),
            refusal="".join([word(entry.get("refusal")) or "" for entry in entries if entry.get("type") == "refusal"]),
            calls=calls,
            finish=finish,
            finish_raw=raw,
        ),
        id=word(answer.get("id")),
        model=word(answer.get("model")) or "",
        created=_created(answer.get("created_at")),
        tier=word(answer.get("service_tier")),
        rest=counted([*_body_rest(answer), *(leaf for item in items for leaf in _item_rest(item, prefer))]),
        **_usage(answer.get("usage"), items),
    )


def _kind(item: Mapping[str, Any]) -> str:
    kind = item.get("type")
    return "message" if kind is None and "content" in item else str(kind)


def _content(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = item.get("content")
    return [{"type": "output_text", "text": content}] if isinstance(content, str) else objects_in(content)


def _is_text(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") in ("output_text", "input_text", "text") and isinstance(entry.get("text"), str)


def _thought(item: Mapping[str, Any], prefer: str) -> tuple[str, str]:
    """What a reasoning item says, and in which of its two lists: the thoughts where there are any, else the summary."""
    texts = {
        name: [text for entry in objects_in(item.get(name)) if (text := word(entry.get("text")))]
        for name in ("content", "summary")
    }
    name = prefer or ("content" if texts["content"] else "summary")
    return PARAGRAPH.join(texts[name]), name


def _call(item: Mapping[str, Any]) -> Call:
    arguments = item.get(CALLS[_kind(item)])
    return Call(
        id=word(item.get("call_id")) or word(item.get("id")) or "",
        name=word(item.get("name")) or "",
        arguments="" if arguments is None else arguments,
    )


def _finish(answer: Mapping[str, Any], calls: Sequence[Call]) -> tuple[str, str | None]:
    """Our word and the raw one: why an answer is incomplete, else its status."""
    status = word(answer.get("status"))
    if status == "incomplete":
        reason = word(object_in(answer.get("incomplete_details")).get("reason"))
        return (REASONS.get(reason, "other"), reason) if reason else ("other", status)
    if status not in (None, "completed"):
        return "other", status
    return ("tool_calls" if calls else "stop"), status


def _created(value: Any) -> int | None:
    """Whole seconds; xAI and others were seen to send fractions. Zero says nothing."""
    return whole_count(math.floor(value) if isinstance(value, float) and math.isfinite(value) else value) or None


# What must be kept.


def _body_rest(answer: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in answer.items():
        if key in BODY or empty(value) or (key in DEFAULTS and value == DEFAULTS[key]):
            continue
        if not (key == "reasoning" and isinstance(value, str) and value.strip()):
            yield from leaves(value, key)
    created = answer.get("created_at")
    if isinstance(created, float) and not created.is_integer():
        yield "created_at", created
    details = object_in(answer.get("incomplete_details"))
    if details and (answer.get("status") != "incomplete" or details.keys() != {"reason"}):
        yield from leaves(details)


def _item_rest(item: Mapping[str, Any], prefer: str) -> Iterator[Leaf]:
    """What an item has beside what its parts are made of; all of one that is no part of ours."""
    kind = _kind(item)
    if kind == "message" and _content(item):
        named: tuple[str, ...] = ("type", "role", "content")
        for entry in _content(item):
            known = _is_text(entry) or (entry.get("type") == "refusal" and isinstance(entry.get("refusal"), str))
            yield from (leaf for leaf in leaves(entry) if leaf not in TYPES and not (known and leaf[0] in NAMED))
    elif kind == "reasoning":
        named = ("type", _thought(item, prefer)[1])
    elif kind in CALLS:
        named = ("type", "call_id", "name", CALLS[kind])
    else:
        named = ()
    for key, value in item.items():
        if key not in named:
            yield from leaves(value, key)


# Usage.


def _usage(usage: Any, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a usage object says, and the searches among the items, which stand in none."""
    fields = usage_fields(usage, ("input_tokens", "output_tokens"), _buckets, _totals)
    counts: dict[str, int] = fields.get("counts", {})
    searches = sum([_is_search(item) for item in items]) or counts.get("web_searches", 0)
    return {**fields, "counts": {**counts, "web_searches": searches}}


def _is_search(item: Mapping[str, Any]) -> bool:
    """A web search is billed where it is complete and searched; opening a page is not."""
    action = object_in(item.get("action")).get("type", "search")
    return (
        item.get("type") == "web_search_call" and item.get("status", "completed") == "completed" and action == "search"
    )


def _numbers(usage: Mapping[str, Any]) -> dict[str, Any]:
    read, out = object_in(usage.get("input_tokens_details")), object_in(usage.get("output_tokens_details"))
    lifetimes = object_in(read.get("cache_write_tokens_details"))
    return {
        "read": usage.get("input_tokens"),
        "wrote": usage.get("output_tokens"),
        "total": usage.get("total_tokens"),
        "cached": read.get("cached_tokens"),
        "cache_write": read.get("cache_write_tokens"),
        "short": lifetimes.get("ttl_30m_tokens", lifetimes.get("ttl_30m")),
        "long": lifetimes.get("ttl_12h_tokens", lifetimes.get("ttl_12h")),
        "input_audio": read.get("audio_tokens"),
        "reasoning": out.get("reasoning_tokens"),
        "output_audio": out.get("audio_tokens"),
        "output_image": out.get("image_tokens"),
        "searches": object_in(usage.get("server_side_tool_usage_details")).get("web_search_calls"),
    }


def _buckets(usage: Mapping[str, Any]) -> dict[str, int] | None:
    """The disjoint buckets; None where a number cannot be, or the parts exceed their whole."""
    numbers = {name: whole_count(value) for name, value in _numbers(usage).items()}
    if None in numbers.values():
        return None
    count = {name: number or 0 for name, number in numbers.items()}
    read, wrote = _totals(usage)
    written = count["cache_write"] or count["short"] + count["long"]
    plain_input = read - count["cached"] - written - count["input_audio"]
    plain_output = wrote - count["reasoning"] - count["output_audio"] - count["output_image"]
    if plain_input < 0 or plain_output < 0 or count["short"] + count["long"] > written:
        return None
    return {
        "input": plain_input,
        "cache_read": count["cached"],
        "cache_write_5m": written - count["long"],
        "cache_write_1h": count["long"],
        "input_audio": count["input_audio"],
        "output": plain_output,
        "reasoning": count["reasoning"],
        "output_audio": count["output_audio"],
        "output_image": count["output_image"],
        "web_searches": count["searches"],
    }


def _totals(usage: Mapping[str, Any]) -> tuple[int, int]:
    numbers = {name: whole_count(value) or 0 for name, value in _numbers(usage).items()}
    read, wrote, thought = numbers["read"], numbers["wrote"], numbers["reasoning"]
    outside = thought and numbers["total"] == read + wrote + thought
    return read, wrote + (thought if outside else 0)


# What a mutation leaves alone, and where it strikes.

_UNREAD = {
    "$.object": "which kind of object: the request asked for it",
    "$.output_text": "repeats the items",
    "$.output[*].role": "an answer is the assistant's",
}
"""Paths of a whole answer that no client reads, and why."""

_NUMBER = "a number or an id that says where a piece belongs, not a content"

_OF_PIECES = {
    "obfuscation": "noise that hides lengths",
    "type": "a piece that was missed is told with its item",
}

_UNREAD_IN_STREAMS = {
    "response.completed:$.sequence_number": _NUMBER,
    "response.incomplete:$.sequence_number": _NUMBER,
    "response.completed:$.response.object": "which kind of object: the request asked for it",
    "response.incomplete:$.response.object": "which kind of object: the request asked for it",
    "response.completed:$.response.output[*].role": "an answer is the assistant's",
    "response.incomplete:$.response.output[*].role": "an answer is the assistant's",
    "response.output_item.done:$.output_index": _NUMBER,
    "response.output_item.done:$.type": "an item whose end was not said is told by its pieces",
    "response.output_item.done:$.sequence_number": _NUMBER,
    "response.output_item.done:$.item.role": "an answer is the assistant's",
    **{
        f"response.{name}.delta:$.{field}": _OF_PIECES.get(field, _NUMBER)
        for name in (
            "output_text",
            "refusal",
            "function_call_arguments",
            "custom_tool_call_input",
            "reasoning_summary_text",
            "reasoning_text",
        )
        for field in (
            "content_index",
            "item_id",
            "obfuscation",
            "output_index",
            "sequence_number",
            "summary_index",
            "type",
        )
    },
}

_UNREAD_IN_ERRORS = {
    "$.status": "the status says it",
}

_READ = frozenset({*FINAL, "error", "response.failed", "response.output_item.done"})
"""Events that say something. Those that begin a thing, end a part of it, or tell how far a server's tool is repeat
what its item, or the last event, says; there are ever new ones."""

_GROWING = (
    "response.output_text.delta:$",
    "response.refusal.delta:$",
    "response.function_call_arguments.delta:$",
    "response.custom_tool_call_input.delta:$",
    "response.reasoning_summary_text.delta:$",
    "response.reasoning_text.delta:$",
    "response.output_item.done:$",
)
"""Paths of which each event says a piece; of all others the last value counts."""

_UNIT = r"[a-z_.]+:\$\.response\.[^.\[]+"
"""A field that a later event replaces as a whole."""

_REPLACED = (
    ("response.output_item.done:$", "response.completed:$.response.output[*]"),
    ("response.output_item.done:$", "response.incomplete:$.response.output[*]"),
)
"""What is said of an item when it is done, the last event may say again."""

MUTABLE = MutableLeaves(
    unread=_UNREAD,
    unread_in_streams=_UNREAD_IN_STREAMS,
    unread_in_errors=_UNREAD_IN_ERRORS,
    growing=_GROWING,
    told=("response.output_text.delta:$.delta",),
    events=_READ | {path.removesuffix(":$") for path in _GROWING},
    unit=_UNIT,
    replaced=_REPLACED,
)
