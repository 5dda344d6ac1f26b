"""Laws of every wire's counts: a partition that sums to the provider's totals, or refused and never priced."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from quoth._costs import Prices
from quoth.dialects import CLIENTS
from quoth.dialects.anthropic_messages._usage import parse_usage as parse_messages
from quoth.dialects.bedrock_converse._usage import parse_usage as parse_converse
from quoth.dialects.cohere_chat._usage import parse_usage as parse_cohere
from quoth.dialects.gemini._usage import parse_usage as parse_gemini
from quoth.dialects.ollama_chat._usage import parse_usage as parse_ollama
from quoth.dialects.openai_chat._usage import parse_usage as parse_chat
from quoth.dialects.openai_responses._usage import parse_usage as parse_responses
from quoth.types import EVENT_BUCKETS, TOKEN_BUCKETS, Usage

PARSE = {
    "openai_chat": parse_chat,
    "openai_responses": parse_responses,
    "anthropic_messages": parse_messages,
    "bedrock_converse": parse_converse,
    "bedrock_invoke": parse_messages,
    "cohere_chat": parse_cohere,
    "gemini": parse_gemini,
    "ollama_chat": parse_ollama,
}

FIELDS = {
    "openai_chat": [
        "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details.cached_tokens",
        "prompt_tokens_details.cache_write_tokens", "prompt_tokens_details.audio_tokens",
        "completion_tokens_details.reasoning_tokens", "completion_tokens_details.audio_tokens",
        "completion_tokens_details.image_tokens", "server_tool_use_details.web_search_requests",
    ],
    "openai_responses": [
        "input_tokens", "output_tokens", "total_tokens", "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_write_tokens", "output_tokens_details.reasoning_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
    ],
    "anthropic_messages": [
        "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens",
        "output_tokens_details.thinking_tokens", "server_tool_use.web_search_requests",
    ],
    "bedrock_converse": [
        "inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens",
        "cacheReadInputTokenCount", "cacheWriteInputTokenCount",
    ],
    "cohere_chat": ["billed_units.input_tokens", "billed_units.output_tokens", "tokens.reasoning_tokens"],
    "ollama_chat": ["prompt_eval_count", "eval_count"],
    "gemini": [
        "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount",
        "cachedContentTokenCount", "totalTokenCount",
    ],
}  # fmt: skip
FIELDS["bedrock_invoke"] = FIELDS["anthropic_messages"]
"""The counts that each wire's convention reads, by path."""


def test_every_wire_is_held_to_the_laws():
    assert PARSE.keys() == FIELDS.keys() == CLIENTS.keys()


def nested(counts):
    """Paths and values as the object that a wire has."""
    built = {}
    for path, value in counts.items():
        *outer, name = path.split(".")
        holder = built
        for each in outer:
            holder = holder.setdefault(each, {})
        holder[name] = value
    return built


SANE = st.integers(0, 2_000)
ABSURD = st.sampled_from([-1, -0.5, 1.5, float("nan"), float("inf"), "7", True, [1], {"a": 1}, 2**53 + 2, 10**30])


def objects(wire, values):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS[wire], values))


@pytest.mark.parametrize("wire", FIELDS)
@given(data=st.data())
def test_counts_are_disjoint_and_sum_to_the_providers_totals_or_are_refused(wire, data):
    counts = data.draw(objects(wire, SANE))
    reported = nested(counts)
    usage = PARSE[wire](reported)
    values = [getattr(usage, bucket) for bucket in (*TOKEN_BUCKETS, *EVENT_BUCKETS)]
    assert all(type(value) is int and value >= 0 for value in values)
    if usage.source != "provider":
        assert not any(values[: len(TOKEN_BUCKETS)])
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (None, None, None)
        return
    assert usage.reported == reported
    assert usage.input_tokens in totals(wire, counts)[0]
    assert usage.output_tokens in totals(wire, counts)[1]
    assert usage.input_tokens + usage.output_tokens == usage.total_tokens == sum(count for _, count in usage.buckets())


def totals(wire, counts):
    """What was read and written in all, by each convention: two where the total may tell that a part lies outside."""

    def get(path):
        return counts.get(path, 0)

    if wire == "gemini":
        written = {get("candidatesTokenCount") + get("thoughtsTokenCount")}
        return {get("promptTokenCount") + get("toolUsePromptTokenCount")}, written
    if wire == "bedrock_converse":
        read, written = (
            get(f"cache{what}InputTokens")
            if f"cache{what}InputTokens" in counts
            else get(f"cache{what}InputTokenCount")
            for what in ("Read", "Write")
        )
        return {get("inputTokens") + read + written}, {get("outputTokens")}
    if wire in ("cohere_chat", "ollama_chat"):
        read, written = FIELDS[wire][:2]
        return {get(read)}, {get(written)}
    if wire in ("anthropic_messages", "bedrock_invoke"):
        created = (
            get("cache_creation_input_tokens")
            if "cache_creation_input_tokens" in counts
            else (get("cache_creation.ephemeral_5m_input_tokens") + get("cache_creation.ephemeral_1h_input_tokens"))
        )
        return {get("input_tokens") + get("cache_read_input_tokens") + created}, {get("output_tokens")}
    read, written = ("prompt", "completion") if wire == "openai_chat" else ("input", "output")
    heard, thought = get(f"{read}_tokens_details.audio_tokens"), get(f"{written}_tokens_details.reasoning_tokens")
    total_read, total_written = get(f"{read}_tokens"), get(f"{written}_tokens")
    return {total_read, total_read + heard}, {total_written, total_written + thought}


@pytest.mark.parametrize("wire", FIELDS)
@given(data=st.data())
def test_a_number_that_cannot_be_is_refused_and_never_priced(wire, data):
    counts = data.draw(objects(wire, SANE))
    for path in data.draw(st.lists(st.sampled_from(FIELDS[wire]), min_size=1, max_size=2)):
        counts[path] = data.draw(ABSURD)
    usage = PARSE[wire](nested(counts))
    values = [getattr(usage, bucket) for bucket in (*TOKEN_BUCKETS, *EVENT_BUCKETS)]
    assert all(type(value) is int and value >= 0 for value in values)
    cost = Prices().cost("openai", "gpt-5", usage, at=0.0)
    if usage.source != "provider":
        assert cost.usd is None
        assert cost.reason


@pytest.mark.parametrize("wire", FIELDS)
@pytest.mark.parametrize("absurd", [-1, 1.5, float("nan"), "7", True, 10**30])
def test_an_absurd_total_is_suspect(wire, absurd):
    for path in FIELDS[wire][:2]:
        usage = PARSE[wire](nested({FIELDS[wire][0]: 10, FIELDS[wire][1]: 5, path: absurd}))
        assert usage.source == "suspect"
        assert usage.reported is not None


@pytest.mark.parametrize("wire", FIELDS)
@given(
    reported=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["prompt_tokens", "input_tokens", "output_tokens", "completion_tokens", "iterations"]),
                inner,
            )
        ),
        max_leaves=6,
    )
)
def test_whatever_is_reported_nothing_is_raised(wire, reported):
    usage = PARSE[wire](reported)
    assert isinstance(usage, Usage)
    assert json.dumps(usage.reported, allow_nan=True) is not None
