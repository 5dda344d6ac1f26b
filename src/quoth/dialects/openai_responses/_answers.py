"""Answers of the Responses wire: what a whole one and a streamed one have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...types import FinishReason, Part, Reasoning, ToolCall
from .._counts import whole_number
from .._kept import Wire, kept_fields
from ._items import residue_of
from ._usage import count_searches, parse_usage
from ._words import FIELD, NAME, NO_ID, REASONS, RESIDUES, STATUSES

__all__ = ["ECHOES", "answer_facts", "body_reasoning", "created_at", "failed", "read_id", "text_of"]

ANSWER_FIELDS = frozenset({
    "created_at", "error", "id", "model", "output", "service_tier", "status", "usage",
    "output_text",  # the texts of the items once more
})  # fmt: skip
"""The fields that are read, or repeat another; all that stand beside them are kept, unless null or empty."""

ECHOES: dict[str, Any] = {"object": "response", "parallel_tool_calls": True, "tool_choice": "auto"}
"""What every answer must have, and what it says when nobody asked for anything: then it is not kept, and the server
half fills it in."""


def failed(answer: Wire) -> bool:
    """Whether an answer is an error. An error object that says nothing but nulls is none."""
    error = answer.get("error")
    said = any(value is not None for value in error.values()) if isinstance(error, dict) else bool(error)
    return said or answer.get("status") == "failed"


def answer_facts(answer: Wire, items: Sequence[Any], parts: Sequence[Part]) -> dict[str, Any]:
    """What the end of an answer says, by the names that a Response and a ResponseEnd have in common."""
    ours, raw = _finish_reason(answer, parts)
    usage = answer.get("usage")
    said = usage if isinstance(usage, dict) else {}
    return {
        "finish_reason": ours,
        "finish_reason_raw": raw,
        "usage": parse_usage(usage, count_searches(items)),
        "service_tier": text_of(answer.get("service_tier")) or text_of(said.get("service_tier")),
        "region": text_of(said.get("inference_geo")),  # these three, of gateways to Claude
        "speed": text_of(said.get("speed")),
        "provider_data": RESIDUES.named(_kept(answer, parts)),
    }


def _finish_reason(answer: Wire, parts: Sequence[Part]) -> tuple[FinishReason, str | None]:
    """Our word, and the raw one: the reason of an answer that is incomplete, else its status."""
    status = text_of(answer.get("status"))
    if status == "incomplete":
        details = answer.get("incomplete_details")
        reason = text_of(details.get("reason")) if isinstance(details, dict) else None
        return (REASONS.get(reason, "other"), reason) if reason else ("other", status)
    ours = STATUSES.get(status or "completed", "other")
    if ours == "stop" and ToolCall in map(type, parts):
        ours = "tool_calls"
    return ours, status


def _kept(answer: Wire, parts: Sequence[Part]) -> Wire:
    """The fields of the body that have no name in a Response."""
    kept = kept_fields(answer, ANSWER_FIELDS)
    for key, echo in ECHOES.items():
        if key in kept and kept[key] == echo:
            del kept[key]
    details = kept.get("incomplete_details")
    if answer.get("status") == "incomplete" and isinstance(details, dict) and details.keys() == {"reason"}:
        del kept["incomplete_details"]
    if "reasoning" in kept and any(_in_body(part) for part in parts):
        del kept["reasoning"]
    if (created := answer.get("created_at")) and created != created_at(answer):
        kept["created_at"] = created
    return kept


def body_reasoning(answer: Wire) -> Reasoning | None:
    """What the model thought, where a server says it beside the items (a field that else echoes the request)."""
    text = answer.get("reasoning")
    if not isinstance(text, str) or not text.strip():
        return None
    return Reasoning(text=text, provider_data={NAME: {FIELD: "body"}})


def _in_body(part: Part) -> bool:
    return isinstance(part, Reasoning) and residue_of(part).get(FIELD) == "body"


def read_id(answer: Mapping[str, Any]) -> str | None:
    """The id of an answer."""
    id_ = text_of(answer.get("id"))
    return None if id_ == NO_ID else id_


def created_at(answer: Mapping[str, Any]) -> int | None:
    """When the answer was begun, in whole seconds; zero says nothing."""
    value = answer.get("created_at")
    if isinstance(value, float) and math.isfinite(value):
        value = math.floor(value)
    return whole_number(value) or None


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
