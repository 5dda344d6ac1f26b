"""Chat Completions, read independently.

Usage: ``prompt_tokens`` includes what was cached, written to a cache, and audio; ``completion_tokens`` includes
reasoning, audio and images; ``total_tokens`` is their sum. Where it is larger by just the reasoning tokens (xAI) or
the audio tokens of the prompt (Mistral), these lie outside.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from .._reading import Call, Leaf, OneAnswer, Reading, any_number, counted, empty, leaves, whole_count
from ._events import Event, events_of
from ._json import last_said, object_in, objects_in, word
from ._openai_chat_leaves import MUTABLE
from ._usage import usage_fields

__all__ = ["MUTABLE", "end", "finished", "is_answer", "stream", "whole"]

FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos_token": "stop",  # Text Generation Inference
    "model_length": "length",  # Mistral
    "sensitive": "content_filter",  # Z.ai
}
REASONING = ("reasoning_content", "reasoning", "reasoning_text")
CALL_FIELDS = {"function": "arguments", "custom": "input"}

BODY = frozenset({"choices", "created", "id", "model", "object", "obfuscation", "p", "service_tier", "usage"})
CHOICE = frozenset({"delta", "finish_reason", "index", "message", "text", "usage"})
MESSAGE = frozenset({"content", "function_call", "refusal", "role", "tool_calls"})
PIECEWISE = ("text", "summary")
"""The fields of ``reasoning_details`` that a stream sends in pieces."""


def end(events: Iterable[Event], *, by_finish: bool) -> int | None:
    """Where a stream's answer is complete: with ``[DONE]``, or by its row once each choice has said why it ended."""
    finished: dict[int, bool] = {}
    for event in events:
        if not by_finish:
            if event.data.startswith("[DONE]"):
                return event.end
            continue
        for choice in objects_in(object_in(event.value).get("choices")):
            at = _index(choice)
            finished[at] = finished.get(at, False) or bool(choice.get("finish_reason"))
        if finished and all(finished.values()):
            return event.end
    return None


def finished(reading: Reading) -> bool:
    """Whether a stream said why it ended: then it is whole, whether or not a mark follows."""
    return bool(reading.answer.finish_raw)


def is_answer(answer: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an answer: it has a choice with a message, or that says why there is none."""
    choices = objects_in(answer.get("choices"))
    return bool(choices) and (
        isinstance(choices[0].get("message"), dict)
        or (choices[0].get("message") is None and isinstance(choices[0].get("finish_reason"), str))
    )


# Whole answers.


def whole(answer: Mapping[str, Any]) -> Reading:
    """What a whole answer says."""
    choices = objects_in(answer.get("choices"))
    first = choices[0] if choices else {}
    rest = list(_rest(answer, BODY))
    usage = answer.get("usage") or first.get("usage") or _groq(answer.get("x_groq"))
    return Reading(
        answer=_one(first),
        others=tuple([_one(choice) for choice in choices[1:]]),
        id=_id(answer),
        model=word(answer.get("model")) or "",
        created=_created(answer),
        **_served(answer.get("service_tier"), usage),
        rest=counted([*rest, *(leaf for choice in choices for leaf in _choice_rest(choice))]),
        said=counted([*leaves(answer), *(leaf for choice in choices for leaf in _sound_id(choice.get("message")))]),
        **usage_fields(usage or None, ("prompt_tokens", "completion_tokens"), _buckets, _totals),
    )


def _one(choice: Mapping[str, Any]) -> OneAnswer:
    message = choice.get("message") or {}
    field = _reasoning_field(message)
    thought, text, refusal = _content(message.get("content"))
    raw = choice.get("finish_reason")
    return OneAnswer(
        text=text,
        reasoning=(message[field] if field else "") + thought,
        refusal=refusal + (word(message.get("refusal")) or ""),
        calls=tuple(_calls(message)),
        finish=FINISH.get(raw, "other") if isinstance(raw, str) else "other",
        finish_raw=raw if isinstance(raw, str) else None,
    )


def _entries(content: Any) -> list[dict[str, Any]]:
    """The entries of a content: of a list, or one that stands alone; a bare text is one too."""
    found = content if isinstance(content, list) else [content]
    return objects_in([{"type": "text", "text": entry} if isinstance(entry, str) else entry for entry in found])


def _spelled_out(content: Any) -> list[dict[str, Any]]:
    """The entries of a content that is more than a text."""
    return objects_in(content if isinstance(content, list) else [content])


def _content(content: Any) -> tuple[str, str, str]:
    """What a content thinks, says and refuses."""
    thought = text = refusal = ""
    for entry in _entries(content):
        match entry.get("type"):
            case "thinking" | "reasoning" as kind:
                pieces = entry.get("summary" if kind == "reasoning" else "thinking")
                thought += "".join([word(piece.get("text")) or "" for piece in objects_in(pieces)])
            case "refusal":
                refusal += word(entry.get("refusal")) or ""
            case _:
                text += word(entry.get("text")) or ""
    return thought, text, refusal


def _calls(message: Mapping[str, Any]) -> Iterator[Call]:
    for wire in objects_in(message.get("tool_calls")):
        kind, inner = _inner(wire)
        yield Call(
            id=_id(wire) or "",
            name=word(inner.get("name")) or "",
            arguments=_arguments(inner.get(CALL_FIELDS[kind])),
        )
    old = message.get("function_call")
    if isinstance(old, dict) and word(old.get("name")):
        yield Call(id="", name=old["name"], arguments=_arguments(old.get("arguments")))


def _inner(call: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The type of a call, and the object that holds its name and arguments; some stand beside the id."""
    held = [kind for kind in CALL_FIELDS if isinstance(call.get(kind), dict)]
    kind = "custom" if call.get("type") == "custom" or held == ["custom"] else "function"
    inner = call.get(kind)
    return kind, inner if isinstance(inner, dict) else call


def _arguments(arguments: Any) -> Any:
    return "" if arguments is None else arguments


# What must be kept.


def _rest(fields: Mapping[str, Any], named: Iterable[str]) -> Iterator[Leaf]:
    for key, value in fields.items():
        if key not in named and not empty(value):
            yield from leaves(value, key)


def _choice_rest(choice: Mapping[str, Any]) -> Iterator[Leaf]:
    yield from _rest(choice, CHOICE)
    message = choice.get("message") or {}
    yield from _message_rest(message)


def _message_rest(message: Mapping[str, Any]) -> Iterator[Leaf]:
    yield from _sound_id(message)
    yield from _rest(message, MESSAGE | {_reasoning_field(message)})
    for part in _spelled_out(message.get("content")):
        yield from _part_rest(part)
    for call in objects_in(message.get("tool_calls")):
        yield from _call_rest(call)


def _sound_id(message: Any) -> Iterator[Leaf]:
    """The id of a spoken answer, once more: it is a fact about the answer, and what goes back to OpenAI."""
    id_ = object_in(object_in(message).get("audio")).get("id")
    if id_:
        yield "id", id_


def _part_rest(part: Mapping[str, Any]) -> Iterator[Leaf]:
    """What an entry of a content has beside its words; all of one that has none."""
    kind = part.get("type")
    words = {"thinking": "thinking", "reasoning": "summary", "refusal": "refusal"}.get(str(kind), "text")
    if isinstance(part.get(words), (str, list)):
        named = {words, "type"} if kind in ("text", "thinking", "refusal") else {words}
        if kind == "reasoning":
            yield from (leaf for leaf in leaves(part[words]) if leaf[0] not in ("text", "type"))
            named |= {"type"}
    else:
        named = set()
    for key, value in part.items():
        if key not in named:
            yield from leaves(value, key)


def _call_rest(call: Mapping[str, Any]) -> Iterator[Leaf]:
    """What a call has beside id, name and arguments."""
    kind, inner = _inner(call)
    flat = inner is call
    for key, value in call.items():
        if key == kind and not flat:
            yield from leaves({k: v for k, v in inner.items() if k not in ("name", CALL_FIELDS[kind])})
        elif flat and key in ("name", CALL_FIELDS[kind]):
            continue
        elif key not in ("id", "index", "type") or (key == "type" and value not in ("function", "")):
            yield from leaves(value, key)


# Usage.


def _buckets(usage: Mapping[str, Any]) -> dict[str, int] | None:
    """The disjoint buckets; None where a number cannot be, or the parts exceed their whole."""
    numbers = {name: whole_count(value) for name, value in _numbers(usage).items()}
    if None in numbers.values():
        return None
    count = {name: number or 0 for name, number in numbers.items()}
    read, wrote = _totals(usage)
    plain_input = read - count["cached"] - count["cache_write"] - count["input_audio"]
    plain_output = wrote - count["reasoning"] - count["output_audio"] - count["output_image"]
    if plain_input < 0 or plain_output < 0:
        return None
    return {
        "input": plain_input,
        "cache_read": count["cached"],
        "cache_write_5m": count["cache_write"],
        "input_audio": count["input_audio"],
        "output": plain_output,
        "reasoning": count["reasoning"],
        "output_audio": count["output_audio"],
        "output_image": count["output_image"],
        "web_searches": count["searches"],
    }


def _numbers(usage: Mapping[str, Any]) -> dict[str, Any]:
    prompt = object_in(usage.get("prompt_tokens_details") or usage.get("prompt_token_details"))  # Writer
    completion = object_in(usage.get("completion_tokens_details") or usage.get("completion_token_details"))
    cached = [prompt.get("cached_tokens")]  # then DeepSeek, Moonshot, Mistral
    cached += [usage.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")]
    return {
        "prompt": usage.get("prompt_tokens"),
        "completion": usage.get("completion_tokens"),
        "total": usage.get("total_tokens"),
        "cached": next((value for value in cached if value is not None), None),
        "cache_write": prompt.get("cache_write_tokens"),
        "input_audio": prompt.get("audio_tokens"),
        "reasoning": _reasoned(usage, completion),
        "output_audio": completion.get("audio_tokens"),
        "output_image": completion.get("image_tokens"),
        "searches": object_in(usage.get("server_tool_use_details")).get("web_search_requests"),
    }


def _reasoned(usage: Mapping[str, Any], completion: Mapping[str, Any]) -> Any:
    """Reasoning tokens; a count beside the details (Copilot) is a part of the completion where it fits into it.

    Perplexity's does not where it researches: it bills these apart, and its completion is without them.
    """
    said, beside = completion.get("reasoning_tokens"), whole_count(usage.get("reasoning_tokens"))
    if said is None and beside and beside <= (whole_count(usage.get("completion_tokens")) or 0):
        return beside
    return said


def _totals(usage: Mapping[str, Any]) -> tuple[int, int]:
    """All that was read and written: as stated, or with what ``total_tokens`` says lies outside."""
    numbers = {name: whole_count(value) or 0 for name, value in _numbers(usage).items()}
    read, wrote, total = numbers["prompt"], numbers["completion"], numbers["total"]
    reasoning, audio = numbers["reasoning"], numbers["input_audio"]
    if total <= read + wrote:
        return read, wrote
    for more_read, more_written in ((0, reasoning), (audio, 0), (audio, reasoning)):
        if total == read + more_read + wrote + more_written:
            return read + more_read, wrote + more_written
    return read, wrote


# Streams.


def stream(body: bytes) -> Reading:
    """What a stream says: what the deltas of each choice say, one after the other."""
    chunks = [chunk for chunk in _chunks(body) if not chunk.get("error")]
    choices: dict[int, list[dict[str, Any]]] = {}
    for chunk in chunks:
        for choice in objects_in(chunk.get("choices")):
            choices.setdefault(_index(choice), []).append(choice)
    order = sorted(choices, key=lambda index: (index != 0, index))
    grown = [_grown(choices[index]) for index in order] or [_grown([])]
    first, *others = [answer for answer, _ in grown]
    said = [choice for index in order[:1] for choice in choices[index]]
    groq = [{"usage": _groq(chunk.get("x_groq"))} for chunk in chunks]
    usage = last_said(chunks, "usage") or last_said(said, "usage") or last_said(groq, "usage")
    named: dict[str, Any] = next((chunk for chunk in chunks if chunk.get("id") or chunk.get("model")), {})
    rest = _chunk_rest(chunks)
    for index, (_, message) in zip(order, grown, strict=False):
        rest += _of_choice_rest(choices[index], message)
    return Reading(
        answer=first,
        others=tuple(others),
        id=_id(named),
        model=word(named.get("model")) or "",
        created=_created(named),
        **_served(last_said(chunks, "service_tier"), usage),
        rest=rest,
        said=any_number(counted(leaves(chunks)) + rest),
        joined=grown[0][1].joined(),
        **usage_fields(usage or None, ("prompt_tokens", "completion_tokens"), _buckets, _totals),
    )


def _chunks(body: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a stream up to its mark; what follows it is no part of the answer."""
    for event in events_of(body):
        if event.data.startswith("[DONE]"):
            return
        if isinstance(value := event.value, dict):
            yield value


def _grown(choices: Sequence[Mapping[str, Any]]) -> tuple[OneAnswer, _Growing]:
    """One choice of a stream, grown."""
    message = _Growing()
    told = False
    for choice in choices:
        delta, whole_ = object_in(choice.get("delta")), object_in(choice.get("message"))
        told = told or bool(delta)
        message.add(delta if delta or told else message.beyond(whole_))
    reasons = [choice["finish_reason"] for choice in choices if isinstance(choice.get("finish_reason"), str)]
    raw = next((reason for reason in reversed(reasons) if reason), reasons[0] if reasons else None)
    answer = OneAnswer(
        text=message.text,
        reasoning=message.reasoning,
        refusal=message.refusal,
        calls=message.calls(),
        finish=FINISH.get(raw, "other") if raw else "other",
        finish_raw=raw,
    )
    return answer, message


def _chunk_rest(chunks: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """A field that has no name here: its last value, as each says all of it."""
    last = {key: value for chunk in chunks for key, value in chunk.items() if key not in BODY and not empty(value)}
    return counted(leaves(last))


def _of_choice_rest(choices: Sequence[Mapping[str, Any]], message: _Growing) -> Counter[str]:
    """As much of a choice; the lists of logprobs grow."""
    named = CHOICE | {"logprobs"}
    last = {key: value for choice in choices for key, value in choice.items() if key not in named and not empty(value)}
    logprobs = [leaf for choice in choices for leaf in leaves(object_in(choice.get("logprobs")))]
    return counted([*leaves(last), *logprobs, *message.rest()])


class _GrowingCall(Struct, kw_only=True):
    """A tool call of a stream."""

    index: Any
    id: str = ""
    name: str = ""
    pieces: list[Any] = []
    rest: dict[str, Any] = {}


class _Growing:
    """The message of a stream."""

    def __init__(self) -> None:
        self.text = self.reasoning = self.refusal = ""
        self._field = ""  # where reasoning stands, once it was seen
        self._calls: list[_GrowingCall] = []
        self._old: dict[str, str] = {}  # the one call of 2023
        self._fields: dict[str, list[Any]] = {}
        self._parts: list[Leaf] = []

    def add(self, delta: Mapping[str, Any]) -> None:
        read = self._add_reasoning(delta)
        thought, text, refusal = _content(delta.get("content"))
        self.reasoning += thought
        self.text += text
        self.refusal += refusal + (word(delta.get("refusal")) or "")
        for part in _spelled_out(delta.get("content")):
            self._parts += [leaf for leaf in _part_rest(part) if leaf not in self._parts]
        for piece in objects_in(delta.get("tool_calls")):
            self._add_call(piece)
        old = object_in(delta.get("function_call"))
        self._old["name"] = self._old.get("name") or word(old.get("name")) or ""
        self._old["arguments"] = self._old.get("arguments", "") + (word(old.get("arguments")) or "")
        for key, value in delta.items():
            if key not in MESSAGE and key not in read and not empty(value):
                self._fields.setdefault(key, []).append(value)

    def beyond(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What a message says that stands in place of a delta, and repeats what came before it."""
        content = message.get("content")
        if not self.text or not isinstance(content, str):
            return dict(message)
        return {"content": content.removeprefix(self.text)}

    def _add_reasoning(self, delta: Mapping[str, Any]) -> tuple[str, ...]:
        """Read the field that reasoning came in first; where a server says it twice, the other one is kept."""
        said = [field for field in REASONING if word(delta.get(field))]
        self._field = self._field or (said[0] if said else "")
        if self._field in said:
            self.reasoning += delta[self._field]
        return (self._field,)

    def _add_call(self, piece: Mapping[str, Any]) -> None:
        kind, inner = _inner(piece)
        id_, name = _id(piece) or "", word(inner.get("name")) or ""
        call = self._goes_on_with(piece.get("index"), id_, name)
        if call is None:
            call = _GrowingCall(index=piece.get("index"))
            self._calls.append(call)
        call.id, call.name = call.id or id_, call.name or name
        call.pieces.append(inner.get(CALL_FIELDS[kind]))
        call.rest.update(_call_rest(piece))

    def _goes_on_with(self, index: Any, id_: str, name: str) -> _GrowingCall | None:
        """The index says which call a piece belongs to; a new id and a name begin one, also at an index in use."""
        if index is not None:
            same = [call for call in self._calls if call.index == index]
            other = same and id_ and name and same[-1].id not in ("", id_)
            return same[-1] if same and not other else None
        if id_:
            return next((call for call in reversed(self._calls) if call.id == id_), None)
        return self._calls[-1] if self._calls and not name else None

    def calls(self) -> tuple[Call, ...]:
        made = [Call(id=call.id, name=call.name, arguments=_joined(call.pieces)) for call in self._calls]
        if self._old.get("name"):
            made.append(Call(id="", name=self._old["name"], arguments=self._old["arguments"]))
        return tuple(made)

    def rest(self) -> Iterator[Leaf]:
        """What the message keeps: of lists all entries, of anything else the last value."""
        for key, values in self._fields.items():
            if key in REASONING:
                yield key, "".join([word(value) or "" for value in values])
            elif key == "reasoning_details":
                yield from (leaf for leaf in leaves(values[0][:1]) if leaf[0] not in (*PIECEWISE, "signature"))
            elif key == "audio":
                yield from _audio_rest(values)
            elif all(isinstance(value, list) for value in values):
                yield from (leaf for value in values for leaf in leaves(value, key))
            else:
                yield from leaves(values[-1], key)
        yield from self._parts
        for call in self._calls:
            yield from call.rest.items()

    def joined(self) -> dict[str, str | None]:
        """The texts of reasoning details, which are sent back with their signature."""
        details = [entry for value in self._fields.get("reasoning_details", []) for entry in objects_in(value)]
        texts = {
            field: "".join([word(entry.get(field)) or "" for entry in details]) for field in (*PIECEWISE, "signature")
        }
        joined: dict[str, str | None] = {field: text for field, text in texts.items() if text}
        return {**joined, "data": None} if "audio" in self._fields else joined


def _audio_rest(values: Sequence[Any]) -> Iterator[Leaf]:
    """A spoken answer: its id twice, as in a whole one; its transcript joined. Its sound is joined as bytes."""
    last = {key: value for piece in values for key, value in object_in(piece).items() if value is not None}
    last["transcript"] = "".join([object_in(piece).get("transcript") or "" for piece in values])
    if last.get("id"):
        yield "id", last["id"]
    yield from leaves({key: value for key, value in last.items() if key != "data" and not empty(value)})


def _joined(pieces: Sequence[Any]) -> Any:
    """The pieces as one text; an object that came in one piece as it is."""
    said = [piece for piece in pieces if piece not in (None, "")]
    if len(said) == 1:
        return said[0]
    return "".join([piece if isinstance(piece, str) else json.dumps(piece, separators=(",", ":")) for piece in said])


# Fields.


def _reasoning_field(message: Mapping[str, Any]) -> str:
    return next((field for field in REASONING if word(message.get(field))), "")


def _index(choice: Mapping[str, Any]) -> int:
    """Which choice it is: a number, also one that is written as a text."""
    index = choice.get("index")
    return int(index) if isinstance(index, int) or (isinstance(index, str) and index.isdecimal()) else 0


def _id(answer: Mapping[str, Any]) -> str | None:
    """The id of an answer; some servers number theirs."""
    id_ = answer.get("id")
    return str(id_) if isinstance(id_, int) and not isinstance(id_, bool) else word(id_)


def _created(answer: Mapping[str, Any]) -> int | None:
    """When it was made, in whole seconds; zero says nothing."""
    created = answer.get("created")
    return (
        whole_count(math.floor(created) if isinstance(created, float) and math.isfinite(created) else created) or None
    )


def _served(tier: Any, usage: Any) -> dict[str, Any]:
    """How it was served: some say it in the usage."""
    said = object_in(usage)
    return {
        "tier": word(tier) or word(said.get("service_tier")),
        "region": word(said.get("inference_geo")),
        "speed": word(said.get("speed")),
    }


def _groq(x_groq: Any) -> Any:
    return object_in(x_groq).get("usage")
