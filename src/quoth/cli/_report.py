"""What is said about an answer or an error: the footer, and the object of ``--json``."""

from __future__ import annotations

from typing import Any

from .._json import encode
from ..errors import QuothError
from ..types import Cost, Response, Usage
from ._terminal import neutralize

__all__ = ["answer_json", "error_json", "footer"]

_ALWAYS = ("kind", "message", "retryable", "sent", "billed")
_WHERE_KNOWN = ("provider", "model", "status", "provider_code", "request_id", "retry_after", "phase")


def footer(response: Response) -> str:
    """One line: model, tokens, cost, seconds, and why the answer ended where it did not end by itself."""
    parts = [_model(response), _tokens(response.usage), _cost(response.cost), _seconds(response)]
    if response.finish_reason != "stop":
        parts.append(f"ended by: {response.finish_reason_raw or response.finish_reason}")
    return " ".join(" | ".join(map(neutralize, parts)).split())  # each by itself: none hides what follows


def _model(response: Response) -> str:
    return f"{response.provider}/{response.model}"


def _tokens(usage: Usage) -> str:
    if usage.total_tokens is None:
        return "tokens unknown"
    return f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens"


def _cost(cost: Cost) -> str:
    if cost.femto is None:
        return f"cost {cost}"
    return f"{cost} (local)" if cost.kind == "local" else str(cost)


def _seconds(response: Response) -> str:
    first = response.call.first_output_seconds
    total = f"{response.call.seconds:.1f} s"
    return total if first is None else f"{first:.1f} s to first text, {total} in all"


def answer_json(response: Response) -> str:
    """A whole answer as one line of JSON."""
    cost = response.cost
    return _line({
        "text": response.text,
        "refusal": response.refusal,
        "model": response.model,
        "provider": response.provider,
        "id": response.id,
        "finish_reason": response.finish_reason,
        "tool_calls": [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in response.tool_calls],
        "usage": _usage(response.usage),
        "cost": {"usd": None if cost.usd is None else f"{cost.usd:f}", "kind": cost.kind, "explain": cost.explain()},
        "seconds": response.call.seconds,
        "first_output_seconds": response.call.first_output_seconds,
    })  # fmt: skip


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "buckets": dict(usage.buckets()),
        "source": usage.source,
    }


def error_json(error: QuothError) -> str:
    """An error as one line of JSON; ``partial`` is the text that had come."""
    said = {name: getattr(error, name) for name in _ALWAYS}
    known = {name: getattr(error, name) for name in _WHERE_KNOWN if getattr(error, name) is not None}
    partial = {"partial": error.partial.text} if error.partial is not None else {}
    return _line({"error": {**said, **known, **partial}})


def _line(value: dict[str, Any]) -> str:
    return encode(value).decode()
