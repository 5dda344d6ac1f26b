"""Answers of the Chat wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...types import Candidate, FinishReason, Message
from .._counts import usage_word, whole_number
from .._kept import Wire, kept_fields
from ._calls import read_answer_call
from ._messages import read_answer_parts, reasoning_field
from ._words import ANSWER_ONLY, FINISH_REASONS, NO_ID, REASONING_FIELDS, RESIDUES

__all__ = [
    "ANSWER_FIELDS",
    "CHOICE_FIELDS",
    "MESSAGE_FIELDS",
    "choice_data",
    "finish_reason",
    "join_pieces",
    "named",
    "read_choice",
    "read_created",
    "read_id",
    "response_data",
    "served",
    "split_message",
    "usage_of",
]

ANSWER_FIELDS = frozenset({
    "choices", "created", "id", "model", "object", "service_tier", "usage",
    "obfuscation", "p",  # noise that hides the lengths of chunks: OpenAI's, Mistral's
})  # fmt: skip
CHOICE_FIELDS = frozenset({"delta", "finish_reason", "index", "message", "text", "usage"})
MESSAGE_FIELDS = frozenset({"content", "function_call", "refusal", "role", "tool_calls"})
"""The fields that are read, or repeat another; all that stand beside them are kept, unless null or empty."""


named = RESIDUES.named


def finish_reason(raw: object) -> tuple[FinishReason, str | None]:
    """Our word for a finish reason, and the raw one."""
    return (FINISH_REASONS.get(raw, "other"), raw) if isinstance(raw, str) else ("other", None)


def read_id(value: object) -> str | None:
    """The id of an answer; some servers number theirs."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value and value != NO_ID else None


def read_created(value: object) -> int | None:
    """When an answer was made, in seconds; none, where it is said to be 1970."""
    return whole_number(value // 1 if isinstance(value, float) else value) or None


def usage_of(answer: Wire, choice: Wire) -> Any:
    """The usage object: of the answer, of its choice (Moonshot), or of what Groq adds."""
    groq = answer.get("x_groq")
    return answer.get("usage") or choice.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)


def served(tier: object, usage: object) -> Wire:
    """How the answer was served, in the provider's words: Mistral and gateways to Claude say it in the usage."""
    return {
        "service_tier": tier if isinstance(tier, str) and tier else usage_word(usage, "service_tier"),
        "region": usage_word(usage, "inference_geo"),
        "speed": usage_word(usage, "speed"),
    }


def read_choice(choice: Wire) -> Candidate:
    """Read one choice of a whole answer."""
    wire = choice.get("message")
    wire = wire if isinstance(wire, dict) else {}
    parts, form = read_answer_parts(wire, read_answer_call)
    fields = kept_fields(wire, MESSAGE_FIELDS)
    if fields:
        fields.pop(reasoning_field(wire) or "", None)
    back, facts = split_message(fields)
    ours, raw = finish_reason(choice.get("finish_reason"))
    return Candidate(
        message=Message(role="assistant", parts=tuple(parts), provider_data=named({**form, **back})),
        finish_reason=ours,
        finish_reason_raw=raw,
        provider_data=named(choice_data(kept_fields(choice, CHOICE_FIELDS), facts)),
    )


def split_message(fields: Wire) -> tuple[Wire, Wire]:
    """What goes back to the provider with the message, and what is a fact about this answer alone."""
    if not fields:
        return {}, {}
    back = {key: value for key, value in fields.items() if key not in ANSWER_ONLY}
    facts = {key: value for key, value in fields.items() if key in ANSWER_ONLY}
    audio = facts.get("audio")
    if isinstance(audio, dict) and audio.get("id"):
        back["audio"] = {"id": audio["id"]}  # how OpenAI takes its own sound back
    return back, facts


def choice_data(choice: Wire, facts: Wire) -> Wire:
    """What is kept of a choice, laid out as on the wire; ``facts`` are what its message says of this answer alone."""
    return {**choice, "message": facts} if facts else choice


def response_data(answer: Wire, choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Response keeps, laid out as on the wire: ``choices[0]`` holds what was left of the first choice."""
    return named({**answer, "choices": [choice]} if choice else answer)


# The pieces of a stream, joined to what a whole answer would have held.


def join_pieces(field: str, pieces: list[Any]) -> Any:
    """Join what came for one field that has no name here: lists are joined, of anything else the last one holds."""
    if len(pieces) == 1:
        return pieces[0]
    joiner = _JOINERS.get(field)
    if joiner is not None and (joined := joiner(pieces)) is not None:
        return joined
    if all(isinstance(piece, list) for piece in pieces):
        return [item for piece in pieces for item in piece]
    return pieces[-1]


def _join_thoughts(pieces: list[Any]) -> str | Wire | None:
    """Texts; where the field holds an object, those of each of its fields."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if not all(isinstance(piece, dict) for piece in pieces):
        return None
    joined: Wire = {}
    for key, value in _items(pieces):
        mine = joined.get(key)
        joined[key] = mine + value if isinstance(mine, str) and isinstance(value, str) else value
    return joined


def _join_logprobs(pieces: list[Any]) -> Wire | None:
    """``{"content": [...], "refusal": null}``: the lists grow."""
    if not all(isinstance(piece, dict) for piece in pieces):
        return None
    joined: Wire = {}
    for key, value in _items(pieces):
        mine = joined.get(key)
        joined[key] = mine + value if isinstance(mine, list) and isinstance(value, list) else value or mine
    return joined


def _join_audio(pieces: list[Any]) -> Wire | None:
    """Spoken answers: id once, base64 and transcript in pieces."""
    if not all(isinstance(piece, dict) for piece in pieces):
        return None
    joined = {key: value for key, value in _items(pieces) if value is not None}
    for key, join in (("data", _join_base64), ("transcript", "".join)):
        texts = [piece[key] for piece in pieces if isinstance(piece.get(key), str)]
        if texts:
            joined[key] = join(texts)
    return joined


def _items(pieces: Iterable[Wire]) -> Iterable[tuple[str, Any]]:
    return (item for piece in pieces for item in piece.items())


def _join_base64(texts: list[str]) -> str:
    if any(text.endswith("=") for text in texts[:-1]):  # each piece was encoded by itself
        try:
            return b2a_base64(b"".join([a2b_base64(text) for text in texts]), newline=False).decode("ascii")
        except ValueError:
            pass
    return "".join(texts)


def _join_details(pieces: list[Any]) -> list[Any] | None:
    """``reasoning_details`` of OpenRouter and those that follow it: a chunk may go on with the last entry.

    They must be sent back as one list of whole entries, with the signature that comes last.
    """
    if not all(isinstance(piece, list) for piece in pieces):
        return None
    joined: list[Any] = []
    for piece in pieces:
        for position, entry in enumerate(piece):
            if position == 0 and joined and _goes_on(joined[-1], entry):
                joined[-1] = _grown(joined[-1], entry)
            else:
                joined.append(entry)
    return joined


def _goes_on(entry: Any, following: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(following, dict):
        return False
    same = all(entry.get(key) == following.get(key) for key in ("type", "index"))
    same_id = entry.get("id") is None or following.get("id") in (None, entry["id"])
    return same and same_id and entry.get("type") in ("reasoning.text", "reasoning.summary")


def _grown(entry: Wire, following: Wire) -> Wire:
    grown = {**entry, **{key: value for key, value in following.items() if value not in (None, "")}}
    for key in ("text", "summary"):
        if isinstance(entry.get(key), str) and isinstance(following.get(key), str):
            grown[key] = entry[key] + following[key]
    return grown


_JOINERS: dict[str, Callable[[list[Any]], Any]] = {
    **dict.fromkeys(REASONING_FIELDS, _join_thoughts),  # the second one, where a server sends both
    "audio": _join_audio,
    "logprobs": _join_logprobs,
    "reasoning_details": _join_details,
}
