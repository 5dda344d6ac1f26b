"""What a request, a record and an answer say, as attributes of a span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeAlias
from urllib.parse import urlsplit

from ...types import Attempt, ModelRequest, Response, Usage
from .._record import CallRecord
from . import _semconv as names

__all__ = ["Attributes", "Value", "asked", "attempt_events", "ended", "plain", "server", "split_usage"]

Value: TypeAlias = str | bool | int | float | list[str]
Attributes: TypeAlias = dict[str, Value]

LONGEST = 256
"""Characters of a word that a provider or a user chose."""

EXTRA = {
    "top_k": names.REQUEST_TOP_K,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
    "n": names.REQUEST_CHOICES,
    "previous_response_id": names.REQUEST_PREVIOUS_RESPONSE,
}
"""Fields of ``extra`` that the convention has a name for."""


def plain(text: str) -> str:
    """A word that every exporter can encode, of bounded length."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def asked(request: ModelRequest, *, stream: bool, structured: bool) -> Attributes:
    """What is known of a request before it is sent."""
    attributes: Attributes = {}
    for name, value in (
        (names.REQUEST_MAX_TOKENS, request.max_tokens),
        (names.REQUEST_TEMPERATURE, request.temperature),
        (names.REQUEST_TOP_P, request.top_p),
        (names.REQUEST_SEED, request.seed),
    ):
        if value is not None:
            attributes[name] = value
    if stream:
        attributes[names.REQUEST_STREAM] = True
    if request.stop:
        attributes[names.REQUEST_STOP] = [plain(each) for each in request.stop]
    if request.reasoning is not None:
        attributes[names.REQUEST_REASONING] = plain(str(request.reasoning))
    if structured:
        attributes[names.OUTPUT_TYPE] = "json"
    for field, name in EXTRA.items() if request.extra else ():
        value = request.extra.get(field)
        if isinstance(value, str):
            attributes[name] = plain(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            attributes[name] = value
    return attributes


def ended(record: CallRecord, answer: Response | None) -> Attributes:
    """What is known of a call when it has ended."""
    attributes: Attributes = {names.OUTCOME: record.outcome}
    if record.outcome == "failed" and record.error_kind is not None:
        attributes[names.ERROR_TYPE] = record.error_kind
    if record.served_model is not None:
        attributes[names.RESPONSE_MODEL] = plain(record.served_model)
    if record.stream and record.first_output_seconds is not None:
        attributes[names.RESPONSE_FIRST_CHUNK] = record.first_output_seconds
    if answer is not None:
        if answer.id is not None:
            attributes[names.RESPONSE_ID] = plain(answer.id)
        reasons = [answer.finish_reason, *[each.finish_reason for each in answer.candidates]]
        attributes[names.RESPONSE_FINISH_REASONS] = [names.FINISH_REASONS.get(each, each) for each in reasons]
    if record.usage is not None and record.usage.source == "provider":
        attributes.update(split_usage(record.usage))
    if record.cost is not None:
        attributes[names.COST_KIND] = record.cost.kind
        usd = record.cost.usd
        if usd is not None:
            attributes[names.COST_USD] = float(usd)
    for tag, value in record.tags.items():
        attributes[f"{names.TAG}{tag}"] = value
    if "conversation_id" in record.tags:
        attributes[names.CONVERSATION] = record.tags["conversation_id"]
    return attributes


def split_usage(usage: Usage) -> Attributes:
    """The totals, which include what was cached; and the parts that there are."""
    audio, cached_audio = usage.input_audio + usage.cache_read_audio, usage.cache_read_audio
    cached = usage.cache_read + cached_audio
    counts = {
        names.CACHE_READ_TOKENS: cached,
        names.CACHE_WRITE_TOKENS: usage.cache_write_5m + usage.cache_write_1h + usage.cache_write_12h,
        names.REASONING_TOKENS: usage.reasoning,
    }
    if audio or usage.input_image or usage.output_audio or usage.output_image:
        counts |= {
            names.TEXT_INPUT_TOKENS: usage.total_input - audio - usage.input_image,
            names.IMAGE_INPUT_TOKENS: usage.input_image,
            names.AUDIO_INPUT_TOKENS: audio,
            names.TEXT_OUTPUT_TOKENS: usage.total_output - usage.output_audio - usage.output_image,
            names.IMAGE_OUTPUT_TOKENS: usage.output_image,
            names.AUDIO_OUTPUT_TOKENS: usage.output_audio,
            names.TEXT_CACHE_READ_TOKENS: cached - cached_audio,
            names.AUDIO_CACHE_READ_TOKENS: cached_audio,
        }
    totals: Attributes = {names.INPUT_TOKENS: usage.total_input, names.OUTPUT_TOKENS: usage.total_output}
    return totals | {name: count for name, count in counts.items() if count}


def server(url: str) -> Attributes:
    """Where a request went; nothing for the embedded model."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return {}
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {names.SERVER_ADDRESS: parts.hostname, names.SERVER_PORT: port}


def attempt_events(
    attempts: tuple[Attempt, ...], convention: Mapping[str, str]
) -> Iterator[tuple[str, float, Attributes]]:
    """The name, the second after the call's begin, and the attributes of each failure that something followed.

    ``convention`` has the convention's names of providers, by ours.
    """
    for number, (attempt, following) in enumerate(pairwise(attempts), 1):
        attributes: Attributes = {
            names.ATTEMPT: number,
            names.PROVIDER: convention.get(attempt.provider, attempt.provider),
            names.REQUEST_MODEL: plain(attempt.model),
            names.WAITED: following.waited,
        }
        if attempt.error_kind is not None:
            attributes[names.ERROR_TYPE] = attempt.error_kind
        if attempt.status is not None:
            attributes[names.STATUS] = attempt.status
        name = names.FALLBACK if attempt.followed_by == "fallback" else names.RETRY
        yield name, attempt.started + attempt.seconds, attributes
