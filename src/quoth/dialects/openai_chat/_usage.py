"""The usage object of the Chat wire as disjoint buckets, and back.

The convention: ``prompt_tokens`` includes cached, cache-written and audio tokens; ``completion_tokens`` includes
reasoning, audio, image and rejected prediction tokens. So the buckets of a Usage that a provider stands for sum
to exactly these two. Two departures are told by the provider's own ``total_tokens``, which then is larger than
``prompt + completion`` by just that count: xAI keeps reasoning outside of ``completion_tokens``, and Mistral
audio outside of ``prompt_tokens``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...types import Usage
from .._counts import reported_or_spelled, whole_number, whole_numbers
from .._kept import Wire

__all__ = ["parse_usage", "write_usage"]

_NO_DETAILS: Mapping[str, Any] = {}


def parse_usage(reported: object) -> Usage:
    """Sort a usage object into buckets; never raises, whatever it is.

    ``missing`` where it has neither ``prompt_tokens`` nor ``completion_tokens``; ``suspect``, with empty buckets,
    where a number cannot be one (negative, fractional, no number) or the parts exceed their whole.
    """
    if reported is None:
        return Usage(source="missing")
    if not isinstance(reported, dict):
        return Usage(source="suspect")
    if reported.get("prompt_tokens") is None and reported.get("completion_tokens") is None:
        return Usage(source="missing", reported=reported or None)
    counts = _counts(reported)
    usage = None if counts is None else _partition(reported, counts)
    return usage or Usage(source="suspect", reported=reported)


def _counts(usage: Wire) -> list[int] | None:
    """The counts that ``_partition`` takes, zero where there is none; None where one cannot be."""
    prompt = _details(usage, "prompt_tokens_details", "prompt_token_details")
    completion = _details(usage, "completion_tokens_details", "completion_token_details")
    tools = _details(usage, "server_tool_use_details")
    cached = prompt.get("cached_tokens")
    if cached is None:
        cached = next((usage[name] for name in _CACHED if usage.get(name) is not None), None)
    return whole_numbers(
        (
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            usage.get("total_tokens"),
            cached,
            prompt.get("cache_write_tokens"),
            prompt.get("audio_tokens"),
            _reasoning(usage, completion),
            completion.get("audio_tokens"),
            completion.get("image_tokens"),
            tools.get("web_search_requests"),  # OpenRouter
        )
    )


_CACHED = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",  # Moonshot
    "num_cached_tokens",  # Mistral, before it had details
)
"""Where the count of cached tokens stands, if not in the details."""


def _reasoning(usage: Wire, completion: Mapping[str, Any]) -> Any:
    """Reasoning tokens; Copilot counts them beside, and so does Perplexity, but outside of the completion."""
    if completion.get("reasoning_tokens") is not None:
        return completion["reasoning_tokens"]
    beside, written = whole_number(usage.get("reasoning_tokens")), whole_number(usage.get("completion_tokens"))
    return beside if beside and written and beside <= written else None


def _details(usage: Wire, name: str, other: str = "") -> Mapping[str, Any]:
    """What an object says of its counts; Writer has its name in the singular."""
    details = usage.get(name) or usage.get(other)
    return details if isinstance(details, dict) else _NO_DETAILS


def _partition(reported: Wire, counts: list[int]) -> Usage | None:
    """The buckets; None where the parts exceed their whole."""
    prompt, completion, total, cached, cache_write, input_audio, reasoning, output_audio, output_image, searches = (
        counts
    )
    outside = total - prompt - completion
    if outside > 0:
        if outside in (reasoning, reasoning + input_audio):
            completion += reasoning
        if outside in (input_audio, reasoning + input_audio) and outside != reasoning:
            prompt += input_audio
    plain_input = prompt - cached - cache_write - input_audio
    plain_output = completion - reasoning - output_audio - output_image
    if plain_input < 0 or plain_output < 0:
        return None
    return Usage(
        input=plain_input,
        cache_read=cached,
        cache_write_5m=cache_write,
        input_audio=input_audio,
        output=plain_output,
        reasoning=reasoning,
        output_audio=output_audio,
        output_image=output_image,
        web_searches=searches,
        reported=reported,
    )


def write_usage(usage: Usage) -> Wire | None:
    """Spell a usage: the object that was reported, where it was one of this wire; None where there is none."""
    return reported_or_spelled(usage, parse_usage, _spelled)


def _spelled(usage: Usage) -> Wire:
    """The buckets in this wire's words; it has none for the lifetimes of cache writes."""
    wire: Wire = {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.total_output,
        "total_tokens": usage.total_input + usage.total_output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read + usage.cache_read_audio,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h + usage.cache_write_12h,
            "audio_tokens": usage.input_audio,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.output_audio,
            "image_tokens": usage.output_image,
        },
    }
    if usage.web_searches:
        wire["server_tool_use_details"] = {"web_search_requests": usage.web_searches}
    return wire
