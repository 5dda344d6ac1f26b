"""One line a call, on the logger ``quoth`` of the standard library: a hook, as any other that is told of records.

It shows what the record holds, and so no prompt, no answer, no header and no key, at no level. Texts of others (a
model's name, a request's id) lose their control characters and what looks like a key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec

from ..errors import InputError, InputTypeError, clean
from ._record import CallRecord

__all__ = ["FIELDS", "LogFormat", "call_logger"]

LogFormat: TypeAlias = Literal["text", "json"]

LONGEST = 256
"""Characters of a text that are shown."""

FIELDS: dict[str, str] = {
    "call": "the call's id, as `response.call.id` and the ledger have it",
    "parent": "the id of what the call was made for: a run, a repair",
    "operation": "`generate`, `embed` or `list_models`",
    "provider": "who was asked, or was asked last",
    "model": "the id that it was asked for; none of `list_models`",
    "served_model": "the id that the answer states",
    "outcome": "`answered`, `failed`, `cancelled` or `abandoned`",
    "error_kind": "the kind of the error ([errors.md](errors.md))",
    "status": "of the last reply",
    "finish_reason": "why the answer ended",
    "input_tokens": "all tokens read, cached ones included; none where the provider stated none",
    "output_tokens": "all tokens written, reasoning included",
    "cost_usd": "what the answer cost, exact, in US dollars, as text; none where it is unknown, `0` where nothing was "
    "billed for certain",
    "cost_kind": "`computed`, `provider`, `override`, `local`, `cached`, `unknown`; `none` where nothing was billed",
    "seconds": "from the beginning to the end, retries and waiting included",
    "first_output_seconds": "until the first output of a stream",
    "attempts": "how many there were, of all models",
    "retries": "how many of them were followed by another one of the same model",
    "request_id": "the provider's id of the last request: quote it to their support",
}
"""What a line says, in this order, and what it means. ``extra`` has the names with ``quoth_`` before them."""


def call_logger(form: LogFormat, tags: Iterable[str]) -> Callable[[CallRecord], None]:
    """A hook that logs records at INFO. Raises InputError for a form or tags that there cannot be."""
    if form not in ("text", "json"):
        raise InputError(f"format is 'text' or 'json', not {form!r:.80}")
    shown_tags = () if isinstance(tags, str) else tuple(tags)
    if isinstance(tags, str) or not all(isinstance(name, str) for name in shown_tags):
        raise InputTypeError('tags are the names of the tags to show: tags=["feature"]')
    logger = logging.getLogger("quoth")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # where the application has set up no logging, nothing is printed
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)

    def log_call(record: CallRecord) -> None:
        if logger.isEnabledFor(logging.INFO):
            fields = _fields(record)
            shown = {name: _shown(record.tags[name]) for name in shown_tags if name in record.tags}
            extra = {f"quoth_{name}": value for name, value in fields.items()}
            line = _as_json(fields, shown) if form == "json" else _as_text(fields, shown)
            logger.info("%s", line, extra={**extra, "quoth_tags": shown})

    return log_call


def _fields(record: CallRecord) -> dict[str, Any]:
    usage, cost, attempts = record.usage, record.cost, record.attempts
    usd = None if cost is None else cost.usd
    return {
        "call": record.id,
        "parent": _shown(record.parent),
        "operation": record.operation,
        "provider": _shown(record.provider),
        "model": _shown(record.model or None),
        "served_model": _shown(record.served_model),
        "outcome": record.outcome,
        "error_kind": _shown(record.error_kind),
        "status": record.status,
        "finish_reason": _shown(record.finish_reason),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "cost_usd": "0" if cost is None else None if usd is None else f"{usd:f}",
        "cost_kind": "none" if cost is None else cost.kind,
        "seconds": round(record.seconds, 6),
        "first_output_seconds": None if record.first_output_seconds is None else round(record.first_output_seconds, 6),
        "attempts": len(attempts),
        "retries": sum([attempt.followed_by == "retry" for attempt in attempts]),
        "request_id": _shown(attempts[-1].request_id) if attempts else None,
    }


@lru_cache(1_024)
def _shown(text: str | None) -> str | None:
    """Text of others, on one line. Most are the same from call to call."""
    return None if text is None else " ".join(clean(text, LONGEST).split())


def _as_text(fields: Mapping[str, Any], tags: Mapping[str, Any]) -> str:
    """``name=value``, what is None left out; a value that has more in it than a word is a JSON string."""
    named = {**fields, **{f"tag.{name}": value for name, value in tags.items()}}
    return " ".join([f"{_word(name)}={_word(value)}" for name, value in named.items() if value is not None])


def _word(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and " " not in text and '"' not in text and "=" not in text:
        return text
    return msgspec.json.encode(text).decode()


def _as_json(fields: Mapping[str, Any], tags: Mapping[str, Any]) -> str:
    return msgspec.json.encode({**fields, "tags": tags} if tags else fields).decode()
