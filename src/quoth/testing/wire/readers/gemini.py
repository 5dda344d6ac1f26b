"""Gemini's generateContent, read independently.

Usage: ``promptTokenCount`` includes what was cached, and excludes what Google's own tools put in
(``toolUsePromptTokenCount``); ``candidatesTokenCount`` excludes thoughts. ``totalTokenCount`` is the sum of these
four. Modalities are named, or numbered for who asks so. Web searches are the different queries that are not empty;
before Gemini 3, one for an answer that has any.

In a stream counts are cumulative: a usage that has one replaces what was said before. Nothing marks its end: it is
whole once each candidate has said why it stopped, and one that comes as a JSON array when that is closed, too.
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64, a2b_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .._reading import Call, Leaf, OneAnswer, Reading, any_number, counted, empty, leaves, whole_count
from ._events import Event, events_of
from ._json import json_of, object_in, objects_in, word
from ._mutable import MutableLeaves
from ._usage import usage_fields

__all__ = ["MUTABLE", "end", "error_words", "finished", "is_answer", "refusal", "stream", "whole"]

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR",
        ),
        "content_filter",
    ),
    "1": "stop",
    "2": "length",
    **dict.fromkeys(("3", "4", "6", "7", "8", "11"), "content_filter"),
}  # fmt: skip
"""By name, and by the numbers that mean the same to AI Studio and Vertex."""
NOT_YET = ("FINISH_REASON_UNSPECIFIED", 0)

BODY: Mapping[str, type] = {"candidates": list, "modelVersion": str, "responseId": str, "usageMetadata": dict}
"""The fields of a body that have names in a Reading, and their types: another type has none."""
CANDIDATE = frozenset({"content", "finishReason", "index"})
COUNTS = (
    "promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)  # fmt: skip
TIERS = ("trafficType", "serviceTier")
AUDIO, IMAGE = ("AUDIO", 4), ("IMAGE", 2)
INVALID = "INVALID_JSON"
"""Where arguments stand that are no JSON object."""
GROWING = frozenset({
    "chosenCandidates", "topCandidates", "citationSources", "citations", "groundingChunks", "groundingSupports",
    "urlMetadata", "webSearchQueries",
})  # fmt: skip
"""Lists of a candidate of which a stream says the next entries, unless it says all of them anew."""


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:
    """Where a stream is complete: once each candidate has said why it stopped, or with the mark of a gateway.

    Without ``by_finish``, only such a mark counts.
    """
    finished_at: dict[Any, bool] = {}
    for event in events:
        if event.data.startswith("[DONE]") and finished_at:
            return event.end
        if not by_finish:
            continue
        for index, candidate in (each for chunk in _values(event) for each in _candidates(chunk)):
            finished_at[index] = finished_at.get(index, False) or _said_why(candidate)
        if (event.mark or event.data == "]") and finished_at and all(finished_at.values()):
            return event.end
    return None


def _said_why(candidate: Mapping[str, Any]) -> bool:
    return candidate.get("finishReason") not in (None, "", *NOT_YET)


def finished(reading: Reading) -> bool:  # noqa: ARG001  # the Protocol's
    """Whether a stream without its end is whole: never, for the reason why it stopped is its end."""
    return False


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer: also one that was counted and says nothing."""
    return "candidates" in answer or "usageMetadata" in answer


def refusal(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a body says that holds no candidate because its prompt was blocked, in the form of an error."""
    feedback = object_in(answer.get("promptFeedback"))
    if not feedback.get("blockReason") or objects_in(answer.get("candidates")):
        return None
    said = feedback.get("blockReasonMessage")
    return {"code": feedback["blockReason"], "message": said if isinstance(said, str) else ""}


def error_words(detail: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Type, code and parameter of an error: the status word, the reason, and the first field complained of.

    Of a blocked prompt, the reason of that.
    """
    info, bad = (_detail(detail, kind) for kind in ("ErrorInfo", "BadRequest"))
    field = next(iter(objects_in(bad.get("fieldViolations"))), {}).get("field")
    return detail.get("status"), info.get("reason") or word(detail.get("code")), field


def _detail(error: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The first detail of a type, by the end of its name."""
    details = objects_in(error.get("details"))
    return next((each for each in details if str(each.get("@type")).endswith(f"google.rpc.{kind}")), {})


# Whole answers.


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    candidates = objects_in(answer.get("candidates"))
    reading = _reading(answer, [(place, each) for place, each in enumerate(candidates)])
    reading.said = counted(leaves(answer))
    return reading


def _reading(answer: Mapping[str, Any], candidates: Sequence[tuple[int, Mapping[str, Any]]]) -> Reading:
    """A whole answer, or a stream that was grown to one; each candidate with the number that its calls are named by."""
    id_, model = word(answer.get("responseId")), word(answer.get("modelVersion")) or ""
    told = [_one(candidate, f"{id_ or 'answer'}{f'_{place}' if place else ''}") for place, candidate in candidates]
    first, *others = told or [OneAnswer()]
    usage = answer.get("usageMetadata")
    fields = usage_fields(usage, COUNTS, _buckets, _totals)
    searches = {"web_searches": _searches(model, [candidate for _, candidate in candidates])}
    fields["counts"] = fields.get("counts", {}) | searches
    tiers = [word(object_in(usage).get(name)) for name in TIERS]
    return Reading(
        answer=first,
        others=tuple(others),
        id=id_,
        model=model,
        created=_seconds(answer.get("createTime")),
        tier=next((tier for tier in tiers if tier), None),
        rest=counted(
            [*_body_rest(answer), *(leaf for _, candidate in candidates for leaf in _candidate_rest(candidate))]
        ),
        **fields,
    )


def _one(candidate: Mapping[str, Any], where: str) -> OneAnswer:
    parts = _parts(candidate)
    raw = candidate.get("finishReason")
    raw = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else word(raw)
    calls = tuple(
        [
            _call(part["functionCall"], f"gemini_{where}_{number}")
            for number, part in enumerate([part for part in parts if _kind(part) == "functionCall"])
        ]
    )
    finish = FINISH.get(raw, "other") if raw else "other"
    return OneAnswer(
        text="".join([part["text"] for part in parts if _kind(part) == "text"]),
        reasoning="".join([part["text"] for part in parts if _kind(part) == "thought"]),
        calls=calls,
        media=tuple([_file(part) for part in parts if _kind(part) in ("inlineData", "fileData")]),
        finish="tool_calls" if calls and finish == "stop" else finish,
        finish_raw=raw,
    )


def _parts(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    spelled = object_in(candidate.get("content")).get("parts")
    return objects_in([spelled] if isinstance(spelled, dict) else spelled)


def _kind(part: Mapping[str, Any]) -> str:
    """What a part is; empty for one that has no name of ours."""
    if "text" in part:
        spoken = isinstance(part["text"], str)
        return ("thought" if part.get("thought") is True else "text") if spoken else ""
    if isinstance(part.get("functionCall"), dict):
        return "functionCall"
    inline, file = object_in(part.get("inlineData")), object_in(part.get("fileData"))
    if word(inline.get("mimeType")) and _bytes(inline.get("data")) is not None:
        return "inlineData"
    return "fileData" if isinstance(file.get("fileUri"), str) else ""


def _call(wire: Mapping[str, Any], made: str) -> Call:
    """A call; one without an id has one that its place gives it."""
    own, args = word(wire.get("id")), wire.get("args")
    if isinstance(args, dict) and args.keys() == {INVALID} and isinstance(args[INVALID], str):
        args = args[INVALID]
    return Call(
        id=own if own and not own.startswith("gemini_") else made,
        name=word(wire.get("name")) or "",
        arguments={} if args is None else args,
    )


def _file(part: Mapping[str, Any]) -> tuple[str | None, bytes | str]:
    inline = object_in(part.get("inlineData"))
    if _kind(part) == "inlineData":
        return word(inline["mimeType"]), _bytes(inline["data"]) or b""
    return word(part["fileData"].get("mimeType")), part["fileData"]["fileUri"]


def _bytes(text: Any) -> bytes | None:
    """The bytes of base64, of either alphabet; None for what is none."""
    if not isinstance(text, str) or ({"-", "_"} & {*text} and {"+", "/"} & {*text}):
        return None
    try:
        return a2b_base64(text.replace("-", "+").replace("_", "/"), strict_mode=True)
    except (NotBase64, ValueError):
        return None


_SECONDS = r"(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
"""A time that holds no more than a number of seconds: only its fraction must be kept."""


def _seconds(written: Any) -> int | None:
    """A time such as ``2026-05-27T16:53:45.443719Z``, in whole seconds."""
    if not isinstance(written, str) or not written.endswith("Z"):
        return None
    try:
        return max(int(datetime.fromisoformat(written).timestamp()), 0) or None
    except ValueError:
        return None


def _searches(model: str, candidates: Sequence[Mapping[str, Any]]) -> int:
    said = [object_in(candidate.get("groundingMetadata")).get("webSearchQueries") for candidate in candidates]
    queries = {query for each in said if isinstance(each, list) for query in each if word(query)}
    version = re.search(r"gemini-(\d+)", model)
    return min(len(queries), 1) if version and int(version[1]) < 3 else len(queries)


# What must be kept.


def _body_rest(answer: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in answer.items():
        named = isinstance(value, BODY.get(key, ())) or (key == "createTime" and re.fullmatch(_SECONDS, str(value)))
        if not named and not empty(value):
            yield from leaves(value, key)


def _candidate_rest(candidate: Mapping[str, Any]) -> Iterator[Leaf]:
    for key, value in candidate.items():
        if key not in CANDIDATE and not empty(value):
            yield from leaves(value, key)
    for key, value in object_in(candidate.get("content")).items():
        if key != "parts" and not empty(value) and (key, value) != ("role", "model"):
            yield from leaves(value, key)
    for part in _parts(candidate):
        yield from leaves(_part_rest(part))


def _part_rest(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a part says beside what has a name: all, where it is no part of ours."""
    kind = _kind(part)
    named = {"thought": ("text", "thought")}.get(kind, (kind,))
    rest = {key: value for key, value in part.items() if key not in named}
    if kind == "functionCall":
        known = ("args", "id", "name")
        inner = {key: value for key, value in part["functionCall"].items() if key not in known}
        return {**rest, "functionCall": inner}
    return rest


# Usage.


def _modality(usage: Mapping[str, Any], details: str, modality: tuple[str, int]) -> Any:
    """The tokens of a modality, of which a list may have several entries; None where one cannot be."""
    entries = [each for each in objects_in(usage.get(details)) if each.get("modality") in modality]
    found = [whole_count(each.get("tokenCount")) for each in entries]
    return None if None in found else sum([count or 0 for count in found])


def _buckets(usage: Mapping[str, Any]) -> dict[str, int] | None:
    """The disjoint buckets; None where a number cannot be, the parts exceed their whole, or the total is no sum."""
    numbers = {name: whole_count(usage.get(name)) for name in COUNTS} | {
        "heard": _modality(usage, "promptTokensDetails", AUDIO),
        "heard again": _modality(usage, "cacheTokensDetails", AUDIO),
        "heard by tools": _modality(usage, "toolUsePromptTokensDetails", AUDIO),
        "spoken": _modality(usage, "candidatesTokensDetails", AUDIO),
        "drawn": _modality(usage, "candidatesTokensDetails", IMAGE),
    }
    if None in numbers.values():
        return None
    count = {name: number or 0 for name, number in numbers.items()}
    fresh_sound = count["heard"] - count["heard again"]
    fresh = count["promptTokenCount"] - count["cachedContentTokenCount"]
    by_tools = count["toolUsePromptTokenCount"] - count["heard by tools"]
    found = {
        "input": fresh - fresh_sound + by_tools,
        "cache_read": count["cachedContentTokenCount"] - count["heard again"],
        "cache_read_audio": count["heard again"],
        "input_audio": fresh_sound + count["heard by tools"],
        "output": count["candidatesTokenCount"] - count["spoken"] - count["drawn"],
        "reasoning": count["thoughtsTokenCount"],
        "output_audio": count["spoken"],
        "output_image": count["drawn"],
    }
    odd_total = usage.get("totalTokenCount") is not None and count["totalTokenCount"] != sum(_totals(usage))
    return None if odd_total or min(fresh, fresh_sound, by_tools, *found.values()) < 0 else found


def _totals(usage: Mapping[str, Any]) -> tuple[int, int]:
    prompt, written, _, thought, by_tools, _ = [whole_count(usage.get(name)) or 0 for name in COUNTS]
    return prompt + by_tools, written + thought


# Streams: the chunks are grown to one answer, which is read as a whole one is.


def stream(body: bytes) -> Reading:
    """What a stream says."""
    chunks = _chunks(body)
    grown: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    usage: Any = None
    for chunk in chunks:
        for index, candidate in _candidates(chunk):
            _grow(grown.setdefault(index, {":parts": []}), candidate)
        usage = _later(usage, chunk.get("usageMetadata"))
        answer |= {key: value for key, value in chunk.items() if not empty(value) and key != "usageMetadata"}
    answer |= _who(chunks)
    candidates = [(index, _closed(grown[index])) for index in sorted(grown)]
    reading = _reading({**answer, "usageMetadata": usage}, candidates)
    reading.said = any_number(counted(leaves(chunks)) + reading.rest)
    return reading


def _chunks(body: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream, up to the mark of a gateway."""
    found: list[dict[str, Any]] = []
    for event in events_of(body):
        if event.data.startswith("[DONE]") and found:
            break
        found += _values(event)
    return found


def _values(event: Event) -> list[dict[str, Any]]:
    """The chunks of an event: several, where the blank lines between events were left out."""
    value = event.value
    return objects_in([value] if value is not None else [*map(json_of, event.data.split("\n"))])


def _who(chunks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Who answers: the first that is said of each."""
    names = ("responseId", "modelVersion")
    return {name: next((said for chunk in chunks if (said := word(chunk.get(name)))), None) for name in names}


def _candidates(chunk: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The candidates of a chunk with their numbers: they name them, or their places do where there are several."""
    candidates = objects_in(chunk.get("candidates"))
    for place, candidate in enumerate(candidates):
        index = candidate.get("index")
        yield index if isinstance(index, int) else place if len(candidates) > 1 else 0, candidate


def _later(before: Any, usage: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(usage, dict):
        return before if usage is None else usage
    if all(usage.get(name) is None for name in COUNTS):
        return before | usage
    return {name: before[name] for name in TIERS if name in before} | usage


def _grow(candidate: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add what a chunk says of a candidate. Its parts are gathered aside."""
    for part in _parts(piece):
        _add_part(candidate[":parts"], part)
    if _said_why(piece):
        candidate["finishReason"] = piece["finishReason"]
    content = {key: value for key, value in object_in(piece.get("content")).items() if not empty(value)}
    candidate["content"] = candidate.get("content", {}) | content
    rest = {key: value for key, value in piece.items() if key not in CANDIDATE and not empty(value)}
    candidate |= _joined({key: candidate[key] for key in rest if key in candidate}, rest)


def _closed(candidate: dict[str, Any]) -> dict[str, Any]:
    parts = [{key: value for key, value in part.items() if key != ":open"} for part in candidate.pop(":parts")]
    return {**candidate, "content": {**candidate["content"], "parts": parts}}


def _joined(before: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Two objects field by field: what is said later counts, but for lists that grow."""
    joined = dict(before)
    for key, value in later.items():
        mine = before.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            joined[key] = _joined(mine, value)
        elif key in GROWING and isinstance(mine, list) and isinstance(value, list) and value[: len(mine)] != mine:
            joined[key] = mine + value
        elif value is not None:
            joined[key] = value
    return joined


def _add_part(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Add a part. A text goes on with the one before it, unless one is signed; a call, with the call under way."""
    last = parts[-1] if parts else {}
    call = object_in(part.get("functionCall"))
    if last.get(":open") and "functionCall" in part and not call.get("name"):
        last |= {key: value for key, value in part.items() if key != "functionCall"}
        _add_arguments(last, call)
        return
    last.pop(":open", None)
    if _kind(part) in ("text", "thought"):
        if not part["text"] and not _part_rest(part):
            return
        alike = _kind(last) == _kind(part) and _part_rest(last) == _part_rest(part)
        if alike and "thoughtSignature" not in part:
            last["text"] += part["text"]
            return
    if call.get("willContinue") is True or isinstance(call.get("partialArgs"), list):
        begun = {key: value for key, value in call.items() if key not in ("willContinue", "partialArgs")}
        part = {**part, "functionCall": {**begun, "args": {**object_in(begun.get("args"))}}}
        _add_arguments(part, {key: value for key, value in call.items() if key != "args"})
    parts.append({**part})


def _add_arguments(part: dict[str, Any], call: Mapping[str, Any]) -> None:
    """Put pieces of arguments where their paths say: ``{"jsonPath": "$.city", "stringValue": "Par"}``."""
    arguments = part["functionCall"]["args"]
    for piece in objects_in(call.get("partialArgs")):
        steps = re.findall(r"[^.\[\]'\"$]+", str(piece.get("jsonPath") or ""))
        values = [piece[name] for name in ("stringValue", "numberValue", "boolValue") if name in piece]
        if steps:
            _put(arguments, steps, values[0] if values else None)
    arguments |= object_in(call.get("args"))
    part[":open"] = call.get("willContinue") is True


def _put(holder: Any, steps: list[str], value: Any) -> None:
    key: Any = int(steps[0]) if isinstance(holder, list) else steps[0]
    if isinstance(holder, list):
        holder += [None] * (key + 1 - len(holder))
        before = holder[key]
    else:
        before = holder.get(key)
    if len(steps) == 1:
        holder[key] = before + value if isinstance(before, str) and isinstance(value, str) else value
        return
    kind = list if steps[1].isdecimal() else dict
    holder[key] = before if isinstance(before, kind) else kind()
    _put(holder[key], steps[1:], value)


# What a mutation leaves alone, and where it strikes.

_CANDIDATE = "$.candidates[*]"

MUTABLE = MutableLeaves(
    unread={f"{_CANDIDATE}.index": "a number: its place says it"},
    unread_in_streams={},
    unread_in_errors={"$.error.code": "the status says it"},
    growing=(f"{_CANDIDATE}.content.parts",),
    first=frozenset({"$.responseId", "$.modelVersion"}),
    unit=r"\$\.(usageMetadata|[^.\[]+)",
    told=(f"{_CANDIDATE}.content.parts[*].text",),
    refusals=("$.promptFeedback",),
)
