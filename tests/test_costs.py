"""The costs room: exact sums, the right rates, and an unknown cost wherever a rate is not known."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, strategies as st

from quoth import _costs
from quoth._costs import Prices
from quoth._costs._plans import FIELDS
from quoth._costs._table import table
from quoth.errors import ConfigurationError
from quoth.types import EVENT_BUCKETS, TOKEN_BUCKETS, Cost, CostTotal, Usage

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("QUOTH_SHARED") or ROOT.parent / "shared")
TABLE, EXPECTATIONS = SHARED / "prices" / "table.json", SHARED / "prices" / "expectations.jsonl"
DATA_FILE = ROOT / "src" / "quoth" / "data" / "prices.txt"
BUILD = ROOT / "tools" / "build_prices.py"
needs_table = pytest.mark.skipif(not TABLE.exists(), reason="the table of ../shared is not there")
needs_expectations = pytest.mark.skipif(not EXPECTATIONS.exists(), reason="the expectations of ../shared are not there")

BUCKETS = (*TOKEN_BUCKETS, *EVENT_BUCKETS)
PRICES = Prices()
DATA = table()
ROWS = {key: DATA.row(key) for key in DATA.ids()}
ALIASES = DATA.aliases()


def epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


NOW = epoch("2026-11-23T12:00Z")  # a Monday, off-peak


def cost(key: str, *, at: float = NOW, tier: str | None = None, prices: Prices = PRICES, **counts: int) -> Cost:
    provider, _, model = key.partition("/")
    return prices.cost(provider, model, Usage(**counts), at=at, tier=tier)


def usd(amount: Cost) -> str | None:
    return None if amount.usd is None else f"{amount.usd:f}"


# What the providers' documents and real bills say.

CHAT = {"input": 200, "cache_read": 1000, "output": 200, "reasoning": 300}
RESPONSES = {"input": 2000, "cache_read": 2000, "cache_write_5m": 1000, "output": 700}
WRITES = {"cache_write_5m": 1000, "cache_write_1h": 2000}
MESSAGES = {"input": 2000, "cache_read": 10000, "output": 500, "web_searches": 2, **WRITES}
GEMINI = {"input": 350, "cache_read": 400, "input_audio": 300, "output": 200, "reasoning": 300}
CONVERSE = {"input": 100, "cache_read": 4000, "cache_write_1h": 1000, "output": 50}
CACHED = {"input": 200, "cache_read": 800, "output": 100}
BILLED = {"input": 9992, "cache_read": 128, "output": 1499, "reasoning": 2809}

EXAMPLES = {
    "OpenAI chat": ("openai/gpt-5", None, CHAT, "0.005375"),
    "OpenAI chat, served priority": ("openai/gpt-5", "priority", CHAT, "0.01075"),
    "OpenAI responses, served flex": ("openai/gpt-6-sol", "flex", RESPONSES, "0.00695"),
    "OpenAI responses": ("openai/gpt-6-sol", "default", RESPONSES, "0.0139"),
    "Anthropic, both cache lifetimes, two searches": ("anthropic/claude-sonnet-5-5", "standard", MESSAGES, "0.0405"),
    "Gemini, audio, thoughts and tool input": ("google/gemini-2.5-flash", None, GEMINI, "0.001667"),
    "Bedrock, regional": ("bedrock/us.anthropic.claude-sonnet-4-6", None, CONVERSE, "0.009075"),
    "Mistral": ("mistral/mistral-small-2603", None, CACHED, "0.000102"),
    "Groq": ("groq/openai/gpt-oss-120b", "on_demand", CACHED, "0.00015"),
    "xAI, by its own bill": ("xai/grok-4.3", "default", BILLED, "0.0232856"),
    "Cohere, billed units": ("cohere/command-a-03-2025", None, {"input": 100, "output": 50}, "0.00075"),
    "an embedding": ("openai/text-embedding-3-small", None, {"input": 1000}, "0.00002"),
    "a model that is free of charge": ("zai/glm-4.7-flash", None, {"input": 1000, "output": 10}, "0"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example_costs_what_its_document_says(name):
    key, tier, counts, expected = EXAMPLES[name]
    assert usd(cost(key, tier=tier, **counts)) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23T00:59:59.9Z", "0.0001218"),  # Monday
        ("2026-11-23T01:00Z", "0.0002436"),
        ("2026-11-23T03:59:59.9Z", "0.0002436"),
        ("2026-11-23T04:00Z", "0.0001218"),
        ("2026-11-23T06:00Z", "0.0002436"),
        ("2026-11-23T10:00Z", "0.0001218"),
        ("2026-11-27T09:59Z", "0.0002436"),  # Friday
        ("2026-11-28T02:00Z", "0.0001218"),  # Saturday
        ("2026-11-29T02:00Z", "0.0001218"),
        ("2026-11-23T09:30+08:00", "0.0002436"),  # 01:30 UTC
    ],
)
def test_a_weekly_window_holds_from_its_first_minute_to_before_its_last(moment, expected):
    amount = cost("deepseek/deepseek-flash", at=epoch(moment), input=400, cache_read=600, output=100)
    assert usd(amount) == expected
    assert ("peak" in amount.rule.condition) == (expected == "0.0002436")


def test_a_window_does_not_reach_into_periods_before_it():
    def million(moment: str) -> Cost:
        return cost("deepseek/deepseek-v4-flash", at=epoch(moment), input=1_000_000)

    assert usd(million("2026-07-01T02:00Z")) == "0.14"  # there was no peak price yet
    assert usd(million("2026-08-20T05:00Z")) == "0.22"
    unstated = million("2026-08-20T02:00Z")  # there was one, which the table does not hold
    assert unstated.femto is None
    assert "peak" in unstated.reason
    assert usd(million("2026-11-21T02:00Z")) == "0.15"  # a Saturday
    assert usd(million("2026-11-20T02:00Z")) == "0.3"


# Size, tier, time.


def test_a_size_step_begins_above_its_threshold_and_prices_the_whole_request():
    assert usd(cost("openai/gpt-6.1-sol", input=272_000, output=1000)) == "0.554"  # 2 and 10
    above = cost("openai/gpt-6.1-sol", input=272_001, output=1000)
    assert usd(above) == "1.103004"  # 4 and 15
    assert above.rule.condition == "standard, above 272,000 input tokens"


@pytest.mark.parametrize("bucket", ["cache_read", "cache_write_5m"])
def test_the_size_of_a_request_includes_its_cached_tokens_but_not_its_output(bucket):
    def condition(**counts: int) -> str:
        return cost("openai/gpt-6.1-sol", **counts).rule.condition

    assert condition(**{"input": 1, bucket: 271_999, "output": 500_000}) == "standard"
    assert condition(**{"input": 1, bucket: 272_000}) == "standard, above 272,000 input tokens"


def test_a_tier_without_a_long_price_has_none_where_the_list_price_has_a_step():
    assert cost("openai/gpt-5.4", tier="priority", input=272_000).femto is not None
    beyond = cost("openai/gpt-5.4", tier="priority", input=272_001)
    assert (beyond.femto, beyond.kind) == (None, "unknown")
    assert beyond.reason == "no rate for input in openai/gpt-5.4 (priority, above 272,000 input tokens)"


@pytest.mark.parametrize("tier", [None, "", "default", "standard", "auto", "on_demand", "ON_DEMAND", "Default"])
def test_these_served_tiers_mean_the_list_price(tier):
    assert usd(cost("openai/gpt-5", tier=tier, input=1_000_000)) == "1.25"


def test_a_tier_that_is_priced_as_another_costs_the_same():
    for key, row in ROWS.items():
        if any(stated.mode == "fast" for stated in row.sets):
            fast, priority = (cost(key, tier=tier, input=1000, output=1000) for tier in ("fast", "priority"))
            assert fast.femto == priority.femto is not None


@pytest.mark.parametrize("tier", ["scale", "ultra", "priority\n", "same_as"])
def test_a_tier_that_the_row_does_not_know_has_no_price(tier):
    amount = cost("openai/gpt-5", tier=tier, input=1)
    assert amount.femto is None
    assert "openai/gpt-5" in amount.reason
    assert tier.strip() in amount.reason
    assert cost("openai/gpt-5", tier=tier).reason.startswith("no rates in openai/gpt-5")  # and no zero for no tokens


@pytest.mark.parametrize(
    ("key", "before", "day", "after"),
    [
        ("openai/gpt-5.6-sol", "0.5", "2026-08-21", "0.4"),
        ("openai/o3", "1", "2025-06-10", "0.2"),
        ("google/gemini-4-argon", "0.2", "2026-12-01", "0.4"),
        ("google/gemini-3.8-flash", "0.075", "2027-01-01", "0.15"),
        ("mistral/mistral-large-4", "0.136", "2026-10-29", "0.07"),
    ],
)
def test_a_dated_price_begins_at_midnight_utc(key, before, day, after):
    midnight = epoch(f"{day}T00:00Z")
    assert usd(cost(key, at=midnight - 0.001, input=100_000)) == before
    assert usd(cost(key, at=midnight, input=100_000)) == after


def test_a_dated_price_has_the_size_steps_of_its_time():
    at = epoch("2026-08-01T00:00Z")
    assert usd(cost("openai/gpt-5.6-sol", at=at, input=1_000_000)) == "10"
    assert usd(cost("anthropic/claude-sonnet-4-6", at=epoch("2026-03-01T00:00Z"), input=1_000_000)) == "6"
    assert usd(cost("anthropic/claude-sonnet-4-6", input=1_000_000)) == "3"


def test_the_tiers_of_today_are_not_those_of_a_later_price():
    assert usd(cost("google/gemini-4-argon", tier="flex", input=1_000_000)) == "1"
    later = cost("google/gemini-4-argon", tier="flex", at=epoch("2026-12-01T00:00Z"), input=1_000_000)
    assert later.femto is None
    assert later.reason == "no rate for input in google/gemini-4-argon (flex, from 2026-12-01)"


def test_a_region_raises_the_rates_of_tokens_and_not_the_fees():
    usage = Usage(**MESSAGES)

    def amount(region: str | None) -> Cost:
        return PRICES.cost("anthropic", "claude-sonnet-5-5", usage, at=NOW, region=region)

    assert usd(amount("inference_geo:us")) == "0.04255"  # 0.02255 and 0.02
    assert "inference_geo:us x1.1" in amount("inference_geo:us").rule.condition
    assert amount("inference_geo:global") == amount(None)


# Which row.


@pytest.mark.parametrize(
    ("served", "row"),
    [
        ("openai/gpt-5-2025-08-07", "openai/gpt-5"),  # an alias of the data
        ("xai/grok-4.3-latest", "xai/grok-4.3"),
        ("openai/gpt-4.1-2025-04-14", "openai/gpt-4.1"),
        ("openai/gpt-5-20250807", "openai/gpt-5"),
        ("anthropic/claude-sonnet-5-5@20260901", "anthropic/claude-sonnet-5-5"),
        ("openai/gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),  # a row of its own
        ("anthropic/claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
    ],
)
def test_an_alias_and_a_dated_snapshot_find_their_row(served, row):
    assert cost(served, input=1).rule.id == row


@pytest.mark.parametrize(
    "served",
    [
        "anthropic/claude-sonnet-5-9", "anthropic/claude-sonnet", "anthropic/claude-sonnet-5-5-turbo", "openai/gpt-5-",
        "openai/GPT-5", "openai/gpt-5 ", "openai/gpt-5-2025-13-07x", "openai/gpt-5-2025-0807",
        "openai/gpt-5-1999-01-01", "openai/gpt-5-20250807-20250807", "openai/", "openai/-20250807", "/gpt-5",
        "openai/openai/gpt-5", "azure/gpt-5-", "groq/gpt-oss-120b", "openai/gpt-oss-999b",
    ],
)  # fmt: skip
def test_an_id_that_is_not_in_the_table_has_no_price(served):
    amount = cost(served, input=1, output=1)
    assert (amount.femto, amount.kind, amount.rule) == (None, "unknown", None)
    assert amount.reason == f"no price for {served}; models.register_price or QUOTH_PRICES can give one"


@given(st.sampled_from(sorted(ROWS)), st.text(min_size=1, max_size=12), st.booleans())
def test_a_longer_id_never_borrows_the_price_of_a_shorter_one(key, more, before):
    provider, _, model = key.partition("/")
    longer = more + model if before else model + more
    name = f"{provider}/{longer}"
    assume(name not in ROWS and name not in ALIASES)
    assume(not re.fullmatch(r"[-@]\d{8}|-\d{4}-\d\d-\d\d", more))
    assert PRICES.cost(provider, longer, Usage(input=1), at=NOW).femto is None


def test_the_requested_model_is_tried_last_and_the_rule_says_so():
    usage = Usage(input=1_000_000)
    amount = PRICES.cost("openai", "gpt-5-eu-deployment", usage, at=NOW, requested="gpt-5")
    assert (usd(amount), amount.rule.condition) == ("1.25", "standard, as the requested model")
    served = PRICES.cost("openai", "gpt-5-mini", usage, at=NOW, requested="gpt-5")
    assert (usd(served), served.rule.condition) == ("0.25", "standard")
    neither = PRICES.cost("openai", "no-such", usage, at=NOW, requested="nor-this")
    assert neither.reason == "no price for openai/no-such; models.register_price or QUOTH_PRICES can give one"


@pytest.mark.parametrize("key", DATA.withheld)
def test_a_price_that_is_not_to_be_trusted_is_withheld_with_its_reason(key):
    provider, _, model = key.partition("/")
    amount = PRICES.cost(provider, model, Usage(input=1), at=NOW, requested="gpt-4o")
    assert (amount.femto, amount.reason) == (None, f"{key}: {DATA.withheld[key]}")


def test_foreign_text_in_an_id_does_not_reach_the_reason_unclean():
    amount = PRICES.cost("openai", "x\x1b[31m\n" + "y" * 5000, Usage(input=1), at=NOW, tier="\x07" * 500)
    assert "\x1b" not in amount.reason
    assert len(amount.reason) < 400
    assert len(PRICES.cost("openai", "gpt-5", Usage(input=1), at=NOW, tier="z" * 5000).reason) < 400


# What is free, what is unknown.


@given(
    model=st.text(max_size=20),
    tier=st.none() | st.text(max_size=5),
    count=st.integers(0, 10**12),
    source=st.sampled_from(["provider", "missing", "suspect"]),
)
def test_what_runs_on_this_machine_costs_a_known_nothing(model, tier, count, source):
    usage = Usage(input=count, output=count, cache_write_1h=count, web_searches=count, source=source)
    amount = Prices().cost("local", model, usage, at=NOW, tier=tier)
    assert (amount.femto, amount.kind, amount.rule.source) == (0, "local", "runs on this machine")
    assert "runs on this machine" in amount.explain()
    assert bool(amount.counts) == (source == "provider" and count > 0)


@pytest.mark.parametrize(("source", "word"), [("missing", "no usage"), ("suspect", "cannot be right")])
def test_usage_that_cannot_be_trusted_has_no_price(source, word):
    amount = PRICES.cost("openai", "gpt-5", Usage(input=10, output=5, source=source), at=NOW)
    assert (amount.femto, amount.usd, amount.kind, amount.counts) == (None, None, "unknown", ())
    assert word in amount.reason


@pytest.mark.parametrize("count", [-1, 1.5, float("nan"), "7"])
def test_a_count_that_cannot_be_is_never_priced(count):
    amount = PRICES.cost("openai", "gpt-5", Usage(input=count, output=10), at=NOW)
    assert (amount.femto, amount.reason) == (None, "the count of input cannot be right")
    assert amount.explain()


def test_a_bucket_without_a_rate_is_named_and_the_known_part_stays_readable():
    amount = cost("openai/gpt-5", input=1_000_000, cache_write_1h=5, output_image=7)
    assert (amount.femto, amount.kind) == (None, "unknown")
    assert amount.reason == "no rate for cache_write_1h, output_image in openai/gpt-5 (standard)"
    assert [line.bucket for line in amount.lines] == ["input"]
    assert "known part: 1,000,000 input x $1.25/M [openai/gpt-5" in amount.explain()


def test_a_fee_for_each_request_leaves_the_cost_unknown_and_the_tokens_readable():
    fees = {"request_low_per_1000": "5", "request_medium_per_1000": 8, "request_high_per_1000": "12"}
    prices = Prices(json.dumps({"acme/sonar": {"input": "1", "output": "1", **fees}}))

    def amount(**usage) -> Cost:
        return prices.cost("acme", "sonar", Usage(input=10, output=10, **usage), at=NOW)

    unstated = amount()
    assert unstated.femto is None
    assert unstated.reason == (
        "each request also costs a fee that depends on search_context_size, which the answer does not state"
    )
    assert unstated.known_usd == Decimal("0.00002")
    assert unstated.unpriced == ("requests",)
    assert usd(amount(reported={"search_context_size": "low"})) == "0.00502"
    assert usd(amount(reported={"search_context_size": "high"}, requests=2)) == "0.02402"
    assert amount(reported={"search_context_size": ["low"]}).femto is None
    assert "search_context_size low" in amount(reported={"search_context_size": "low"}).rule.condition


def test_searches_are_priced_by_the_event_where_the_row_has_a_fee():
    amount = cost("google/gemini-2.5-flash", web_searches=3)
    assert [(line.bucket, line.count, line.femto) for line in amount.lines] == [("web_searches", 3, 105 * 10**12)]
    assert usd(cost("google/gemini-3-flash-preview", web_searches=1)) == "0.014"
    assert cost("google/gemini-3-flash-preview", at=epoch("2026-01-04T23:59Z"), web_searches=1).femto is None
    assert cost("xai/grok-4.3", web_searches=1).femto is None


@pytest.mark.parametrize(
    ("key", "tier", "bucket", "expected"),
    [
        ("openai/gpt-5", None, "reasoning", "10"),  # as output
        ("openai/gpt-5", "flex", "reasoning", "5"),
        ("openai/gpt-5", None, "input_image", "1.25"),  # as input
        ("google/gemini-embedding-2", None, "input_image", "0.45"),  # priced apart
        ("google/gemini-embedding-2", "batch", "input_image", "0.225"),
        ("openai/gpt-5", None, "cache_write_5m", "1.25"),  # before GPT-5.6 OpenAI wrote caches for free
        ("openai/gpt-5", "priority", "cache_write_5m", "2.5"),
        ("openai/gpt-6-sol", None, "cache_write_5m", "5"),  # above 272,000
        ("openai/chat-latest", None, "cache_write_5m", None),  # nobody says which model that is
        ("groq/openai/gpt-oss-120b", None, "cache_write_5m", None),
        ("vertex/claude-opus-5", None, "cache_write_5m", "6.25"),
        ("vertex/gemini-2.5-pro", None, "cache_write_5m", None),
        ("openai/gpt-4o", "batch", "cache_read", None),
        ("google/gemini-2.5-pro", None, "input_audio", None),
        ("google/gemini-2.5-flash", "flex", "input_audio", "0.5"),  # priced apart, in the tier too
        ("google/gemini-3.1-flash-lite-image", None, "output_image", "30"),
        ("google/gemini-3.5-flash", None, "cache_read_audio", None),
        ("openai/gpt-5", None, "output_audio", None),
    ],
)
def test_a_rate_stands_in_for_another_only_where_a_source_says_so(key, tier, bucket, expected):
    assert usd(cost(key, tier=tier, **{bucket: 1_000_000})) == expected


def test_every_bucket_is_priced_by_its_own_rate():
    fields = {name: str(number) for number, name in enumerate(FIELDS, start=1)}
    prices = Prices(json.dumps({"acme/m": fields}))
    for number, bucket in enumerate(FIELDS.values(), start=1):
        scale = 10**12 if bucket in EVENT_BUCKETS else 10**9
        fee = 0 if bucket == "requests" else len(FIELDS) * 10**12  # each call is one request
        assert cost("acme/m", prices=prices, **{bucket: 3}).femto == 3 * number * scale + fee
    assert set(FIELDS.values()) == set(BUCKETS)


# Laws.

COUNTS = st.fixed_dictionaries({}, optional={name: st.integers(0, 10**12) for name in BUCKETS})
CALLS = st.fixed_dictionaries(
    {
        "key": st.sampled_from(sorted(ROWS)) | st.sampled_from(["openai/no-such", "local/m", *DATA.withheld]),
        "at": st.floats(0, 4e9) | st.sampled_from([epoch(f"{day}T00:00Z") for day in ("2026-08-21", "2026-12-01")]),
        "tier": st.sampled_from([None, "default", "flex", "priority", "batch", "fast", "speed_fast", "scale"]),
    }
)


@given(CALLS, COUNTS)
def test_a_cost_is_the_exact_sum_of_its_lines_or_unknown_with_a_reason(call, counts):
    amount = cost(**call, **counts)
    explained = amount.explain()
    if amount.femto is None:
        assert (amount.kind, amount.usd) == ("unknown", None)
        assert amount.reason
        assert amount.reason in explained
        assert str(amount).startswith("unknown")
        return
    assert type(amount.femto) is int
    assert amount.femto >= 0
    assert amount.reason is None
    assert amount.femto == sum(line.femto for line in amount.lines)
    counted = {name: n for name, n in counts.items() if n}
    implied = {"requests": 1} if "requests" in amount.rule.rates and call["key"] != "local/m" else {}
    assert {line.bucket: line.count for line in amount.lines} == implied | counted
    terms = re.findall(r"([\d,]+) \w+ x \$([\d.]+)/(M|1k)", explained)
    addends = [int(n.replace(",", "")) * Decimal(rate) / (10**6 if per == "M" else 10**3) for n, rate, per in terms]
    assert sum(addends) == amount.usd == Decimal(amount.femto).scaleb(-15)


@given(CALLS, COUNTS, COUNTS)
def test_costs_add_up_over_calls_of_one_rule(call, one, other):
    both = {name: one.get(name, 0) + other.get(name, 0) for name in one | other}
    amounts = [cost(**call, **counts) for counts in (one, other, both)]
    assume(all(amount.rule == amounts[0].rule for amount in amounts))
    parts = [amount.femto for amount in amounts[:2]]
    assert amounts[2].femto == (None if None in parts else sum(parts))


@given(CALLS, COUNTS, st.sampled_from(BUCKETS), st.integers(1, 1000))
def test_one_more_token_never_makes_a_call_cheaper(call, counts, bucket, more):
    less, greater = cost(**call, **counts), cost(**call, **(counts | {bucket: counts.get(bucket, 0) + more}))
    assert less.femto is None or greater.femto is None or greater.femto >= less.femto


@given(st.sampled_from(sorted(ROWS)), COUNTS)
def test_a_cost_is_what_fractions_of_the_written_rates_say(key, counts):
    """Reckoned from the text of the row by rational numbers, without any of the engine's integers."""
    row = ROWS[key]
    amount = cost(key, **counts)
    assume(amount.femto is not None)
    [stated] = [
        each.rates
        for each in row.sets
        if (each.mode, each.above, each.since) == ("standard", amount.rule.above, amount.rule.since)
        and each.window.partition(" ")[0] == amount.rule.window
    ]
    total = Fraction(0)
    for bucket, count in amount.counts:
        field = next(field for field, priced in FIELDS.items() if priced == bucket)
        text = stated.get(field) or stated[{"reasoning": "output", "input_image": "input"}[bucket]]
        text = stated.get(text, text)
        total += Fraction(text) * count / (1_000 if bucket in EVENT_BUCKETS else 1_000_000)
    assert Fraction(amount.usd) == total


@given(CALLS, st.permutations(BUCKETS), COUNTS)
def test_the_order_in_which_costs_are_summed_changes_nothing(call, order, counts):
    amounts = [cost(**call, **{name: counts[name]}) for name in order if name in counts]
    assert sum(amounts, CostTotal()) == sum(reversed(amounts), CostTotal())


@pytest.mark.parametrize(
    ("key", "expected"),
    [("ollama/llama3.3", "0"), ("lmstudio/any", "0"), ("ollama/gpt-oss:120b-cloud", None), ("ollama-cloud/x", None)],
)
def test_what_nobody_bills_is_free_and_a_cloud_behind_it_is_not(key, expected):
    amount = cost(key, input=5)
    assert (usd(amount), amount.kind) == (expected, "unknown" if expected is None else "local")


@given(CALLS, COUNTS)
def test_the_rule_is_the_one_that_prices(call, counts):
    provider, _, model = call["key"].partition("/")
    rule = PRICES.rule(provider, model, at=call["at"], tier=call["tier"], usage=Usage(**counts))
    assert rule == cost(**call, **counts).rule


@pytest.mark.parametrize("key", ROWS)
def test_every_built_in_row_prices_a_simple_call(key):
    amount = cost(key, input=1000, output=0 if "embed" in key else 10)
    assert (amount.rule.id, amount.rule.as_of) == (key, DATA.as_of)
    assert amount.femto is not None or "fee" in amount.reason


def test_no_built_in_rate_loses_a_fraction_in_its_region():
    for key, row in ROWS.items():
        provider, _, model = key.partition("/")
        modes = {stated.mode for stated in row.sets}
        for region, factor in row.multipliers.items():
            for mode in modes:
                listed = PRICES.rule(provider, model, at=NOW, tier=mode).rates
                where = {"host" if region.startswith("host:") else "region": region}
                there = PRICES.rule(provider, model, at=NOW, tier=mode, **where).rates
                assert there.keys() == listed.keys()
                for bucket in TOKEN_BUCKETS:
                    assert there.get(bucket, 0) == listed.get(bucket, 0) * Decimal(factor)


# Overrides.

OWN = {"openai/gpt-6.1-sol": {"input": "1.5", "output": 7, "cache_read": 0.1}}


@pytest.mark.parametrize("text", [None, "", "  ", "{}", os.pathsep])
def test_no_override_is_none(text):
    assert cost("openai/gpt-5", prices=Prices(text), input=1) == cost("openai/gpt-5", input=1)


def test_space_around_inline_json_does_not_make_it_a_path():
    assert usd(cost("acme/m", prices=Prices('\n {"acme/m": {"input": "2"}} \n'), input=1_000_000)) == "2"


def test_an_override_wins_and_says_where_it_comes_from():
    amount = cost("openai/gpt-6.1-sol", prices=Prices(json.dumps(OWN)), input=1_000_000, output=1_000_000)
    assert (usd(amount), amount.rule.source, amount.rule.as_of) == ("8.5", "QUOTH_PRICES", None)
    assert usd(cost("openai/gpt-6-sol", prices=Prices(json.dumps(OWN)), input=100_000)) == "0.2"  # others stay built in


def test_numbers_of_an_override_are_read_exactly_and_never_as_floats():
    fields = (
        '"input": 0.1, "output": 1e-3, "cache_read": 0.000000001, "cache_write": "0.30000000000", "reasoning": 0e-9999'
    )
    rule = Prices(f'{{"acme/m": {{{fields}}}}}').rule("acme", "m", at=NOW)
    stated = {"input": 10**8, "output": 10**6, "cache_read": 1, "cache_write_5m": 3 * 10**8, "reasoning": 0}
    assert rule.rates == stated | {"input_image": 10**8}


def test_an_override_inherits_nothing_by_itself():
    prices = Prices(json.dumps(OWN))
    assert cost("openai/gpt-6.1-sol", prices=prices, cache_write_5m=1).femto is None
    assert cost("openai/gpt-6.1-sol", prices=prices, tier="flex", input=1).femto is None
    assert usd(cost("openai/gpt-6.1-sol", prices=prices, input=1_000_000)) == "1.5"  # no size step either
    assert PRICES.rule("openai", "gpt-6.1-sol", at=NOW).rates["cache_write_5m"] == 2_500_000_000


def test_an_override_that_extends_a_row_inherits_what_it_does_not_state():
    prices = Prices('{"openai/mine": {"extends": "openai/gpt-6.1-sol", "input": "1"}}')

    def mine(**call) -> str | None:
        return usd(cost("openai/mine", prices=prices, **call))

    assert mine(input=100_000, output=100_000) == "1.1"
    assert mine(tier="flex", output=100_000) == "0.5"
    assert mine(cache_read=272_001) == "0.0544002"
    # What the new list price means for a tier or a long request, nobody has said.
    assert mine(tier="flex", input=1) is None
    assert mine(input=272_001) is None
    rule = prices.rule("openai", "mine", at=NOW)
    assert rule.id == "openai/mine"
    assert rule.source.startswith("QUOTH_PRICES, extends openai/gpt-6.1-sol")
    assert rule.as_of == DATA.as_of


def test_an_override_may_extend_the_built_in_row_of_its_own_name_or_another_override():
    text = (
        '{"openai/gpt-5": {"extends": "openai/gpt-5", "output": "9"}, "acme/a": {"extends": "openai/gpt-5-2025-08-07"}}'
    )
    prices = Prices(text)
    assert usd(cost("openai/gpt-5", prices=prices, input=1_000_000, output=1_000_000)) == "10.25"
    chain = Prices('{"a/c": {"extends": "a/b"}, "a/b": {"extends": "openai/gpt-5", "input": "3"}}')
    assert usd(cost("a/c", prices=chain, input=1_000_000, output=1_000_000)) == "13"


def test_an_override_inherits_the_multipliers_and_a_rate_that_they_would_split_is_unknown():
    prices = Prices('{"acme/m": {"extends": "anthropic/claude-opus-5", "input": "0.000000001"}}')

    def there(**counts: int) -> int | None:
        return prices.cost("acme", "m", Usage(**counts), at=NOW, region="inference_geo:us").femto

    assert there(output=10) == 275 * 10**9
    assert there(input=1) is None
    assert cost("acme/m", prices=prices, input=1).femto == 1


def test_an_override_of_a_model_holds_for_its_snapshots_and_one_of_a_snapshot_for_that_alone():
    prices = Prices(
        '{"openai/gpt-5": {"input": "7"}, "openai/gpt-4.1-2025-04-14": {"input": "8"}, "local/m": {"input": "9"}}'
    )
    assert usd(cost("openai/gpt-5-2025-08-07", prices=prices, input=1_000_000)) == "7"
    assert usd(cost("openai/gpt-4.1-2025-04-14", prices=prices, input=1_000_000)) == "8"
    assert usd(cost("openai/gpt-4.1", prices=prices, input=1_000_000)) == "2"
    assert usd(cost("local/m", prices=prices, input=1_000_000)) == "9"
    assert usd(cost("local/n", prices=prices, input=1_000_000)) == "0"


def test_overrides_are_read_from_json_and_toml_files_and_the_first_wins(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.toml"
    first.write_text('\ufeff{"acme/a": {"input": "1"}}', encoding="utf-8")
    second.write_text('["acme/a"]\ninput = "2"\n["acme/b"]\ninput = 0.3\noutput = 4\n', encoding="utf-8")
    prices = Prices(os.pathsep.join([str(first), "", str(second)]))
    assert usd(cost("acme/a", prices=prices, input=1_000_000)) == "1"
    amount = cost("acme/b", prices=prices, input=1_000_000, output=1_000_000)
    assert (usd(amount), amount.rule.source) == ("4.3", f"QUOTH_PRICES, file {second}")


def test_overrides_are_read_at_the_first_use_and_not_before(tmp_path):
    path = tmp_path / "later.json"
    prices = Prices(str(path))
    path.write_text('{"acme/a": {"input": "1"}}', encoding="utf-8")
    prices.load()
    path.unlink()
    assert usd(cost("acme/a", prices=prices, input=1_000_000)) == "1"


RATE = 'expected US dollars per million tokens such as "0.25", not negative, with at most 9 decimals'
ENTRY = 'expected {"provider/model": {"input": "2", "output": "10"}}'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("true", "True"), ("null", "None"), ("NaN", "nan"), ("Infinity", "inf"), ("-1", "-1"), ("-0.5", "-0.5"),
        ('"-2"', '"-2"'), ('"abc"', '"abc"'), ('""', '""'), ('"NaN"', '"NaN"'), ('"$2"', '"$2"'), ("[]", "[]"),
        ('"0.1234567891"', '"0.1234567891"'), ("0.1234567891", "0.1234567891"), ("1e-10", "1E-10"),
        ("1000000000", "1000000000"), ("1e-999999999", "1E-999999999"), ('"1e999999999"', '"1e999999999"'),
        ('{"a": 1}', "{'a': 1}"), ('"sNaN"', '"sNaN"'),
    ],
)  # fmt: skip
def test_a_bad_rate_names_the_variable_the_entry_the_field_and_what_is_expected(value, shown):
    text = f'{{"acme/m": {{"input": {value}}}}}'
    prices = Prices(text)
    expected = f'QUOTH_PRICES: entry "acme/m", field "input": {RATE}, not {shown}'
    for use in (prices.load, lambda: cost("openai/gpt-5", prices=Prices(text), input=1)):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert str(caught.value) == expected
    amount = cost(
        "acme/m", prices=prices, input=1
    )  # it is said once; from then on its model has no price, and says why
    assert (amount.usd, amount.reason) == (None, expected)
    assert usd(cost("openai/gpt-5", prices=prices, input=1_000_000)) == "1.25"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"acme/m": {"inputs": "1"}}', 'QUOTH_PRICES: entry "acme/m", field "inputs": unknown; did you mean "input"?'),
        ('{"acme/m": {"cache_write_5m": "1"}}', 'field "cache_write_5m": unknown; did you mean "cache_write"?'),
        ('{"acme/m": {"zzz": "1"}}', 'field "zzz": unknown; expected one of input, cache_read, '),
        ('{"acme/m": {}}', f'QUOTH_PRICES: entry "acme/m": {ENTRY}, not {{}}'),
        ('{"acme/m": "2"}', f'QUOTH_PRICES: entry "acme/m": {ENTRY}, not "2"'),
        ('{"gpt-5": {"input": "1"}}', 'entry "gpt-5": expected a name such as "openai/gpt-6-sol"'),
        ('{"/m": {"input": "1"}}', 'entry "/m": expected a name such as'),
        ('{"acme/": {"input": "1"}}', 'entry "acme/": expected a name such as'),
        ('{"acme/m": {"extends": 5}}', 'entry "acme/m", field "extends": expected "provider/model", not 5'),
        (
            '{"acme/m": {"extends": "openai/gpt-55"}}',
            'field "extends": no row "openai/gpt-55"; did you mean "openai/gpt-5',
        ),
        ('{"acme/m": {"extends": "deepseek/deepseek-chat"}}', 'no row "deepseek/deepseek-chat"'),
        ('{"a/b": {"extends": "a/c"}, "a/c": {"extends": "a/b"}}', "extends itself: a/b -> a/c -> a/b"),
        ('{"acme/m": {"input": "1"}, "acme/m": {"input": "2"}}', "'acme/m' stands there twice"),
        ('{"acme/m": {"input": "1", "input": "2"}}', "'input' stands there twice"),
        ("{", "QUOTH_PRICES: not valid JSON: "),
        ('{"a/b": {"input": ' + "1" * 5000 + "}}", "QUOTH_PRICES: not valid JSON: "),
        ('{"a":' * 100_000, "QUOTH_PRICES: not valid JSON: "),
        ("no-such-file.json", "QUOTH_PRICES, file no-such-file.json: cannot be read: "),
        ("[]", "QUOTH_PRICES, file []: cannot be read: "),
    ],
)
def test_a_bad_override_says_what_is_wrong(text, message):
    with pytest.raises(ConfigurationError) as caught:
        Prices(text).load()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", "[1]", f"{ENTRY}, not [1]"),
        ("p.json", '{"acme/m": {"input": "x"}}', f'entry "acme/m", field "input": {RATE}, not "x"'),
        ("p.toml", '["acme/m"]\ninput = nan\n', f'entry "acme/m", field "input": {RATE}, not NaN'),
        ("p.toml", '["acme/m"]\ninput = 2026-01-01\n', 'field "input": expected US dollars'),
        ("p.toml", "[acme/m]\ninput = 1\n", "not valid TOML: "),
        ("p.yaml", "acme/m: 1", "expected inline JSON, or paths that end in .json or .toml"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        Prices(str(path)).load()
    assert str(caught.value).startswith(f"QUOTH_PRICES, file {path}: ")
    assert message in str(caught.value)


# State.


def test_threads_that_race_for_the_first_price_agree():
    prices = Prices(json.dumps(OWN))
    keys = ["openai/gpt-6.1-sol", "openai/gpt-5", "anthropic/claude-opus-5", "local/m", "openai/nope"] * 40
    with ThreadPoolExecutor(16) as pool:
        amounts = list(pool.map(lambda key: cost(key, prices=prices, input=12345), keys))
    assert amounts == [cost(key, prices=Prices(json.dumps(OWN)), input=12345) for key in keys]


def test_the_memory_for_ids_is_bounded():
    prices = Prices()
    for number in range(_costs._PLANS_KEPT + 100):
        cost(f"openai/made-up-{number}", prices=prices, input=1)
    assert len(prices._plans) <= _costs._PLANS_KEPT


def test_importing_the_room_loads_no_table_and_no_parser():
    code = (
        "import sys; before = set(sys.modules); import quoth._costs; new = set(sys.modules) - before; "
        "print(sorted(new & {'quoth._costs._table', 'json', 'tomllib', 'difflib', 'pathlib', 'dataclasses'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The built-in table and where it comes from.
