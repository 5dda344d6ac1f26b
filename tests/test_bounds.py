"""The most that a call may cost: what a body bounds, on every wire, and the dearest price that may apply to it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from quoth._costs import Prices
from quoth._costs._bounds import Most, Shape
from quoth.dialects import CLIENTS, load_client
from quoth.dialects._spending import IMAGE_TOKENS, MOST_IMAGE_TOKENS, OVERHEAD, TOOLS_TOKENS, spending_of
from quoth.types import Audio, Document, Image, Message, ModelRequest, Text, Tool, ToolResult, Usage
from quoth.wire import Quirks

WIRES = sorted(CLIENTS)
AT = 1_795_564_800.0


def read(dialect, *parts, **fields):
    """What is read in the body that a wire makes of a request."""
    request = ModelRequest(model="m", messages=(Message.user(*(parts or ("Hello",))),), **fields)
    body = load_client(dialect, "test").build_request(request, Quirks()).body
    return spending_of(body, request, dialect), body


# What a body bounds.


@pytest.mark.parametrize("dialect", WIRES)
def test_every_wire_says_how_long_an_answer_may_be_and_its_own_tools_cost_no_rounds(dialect):
    tools = (Tool(name="search_web", description="search", parameters={"type": "object"}),)
    spending, body = read(dialect, max_tokens=77, tools=tools)
    assert (spending.output, spending.answers, spending.rounds, spending.tools) == (77, 1, 1, "")
    assert spending.input == len(body) + OVERHEAD + TOOLS_TOKENS
    assert read(dialect, max_tokens=5)[0].input < len(body) + OVERHEAD


@pytest.mark.parametrize("dialect", WIRES)
def test_a_byte_is_at_least_a_token_whatever_is_written(dialect):
    for text in ("word " * 50, "\N{SNOWMAN}" * 50, "\x00\x01" * 50, '"\\' * 50):
        assert read(dialect, text, max_tokens=5)[0].input >= len(text.encode())


@pytest.mark.parametrize("dialect", WIRES)
def test_a_picture_counts_by_the_wire_and_its_bytes_do_not(dialect):
    picture = Image(data=b"\x89PNG" + bytes(60_000), media_type="image/png")
    for parts in ((picture,), (ToolResult(call_id="c", parts=(Text(text="Hi"), picture)),)):
        try:
            spending, body = read(dialect, "Hi", *parts, max_tokens=5)
        except Exception:  # noqa: BLE001  # a wire that cannot carry it there has nothing to bound
            continue
        assert len(body) > 80_000
        most = IMAGE_TOKENS.get(dialect, MOST_IMAGE_TOKENS)
        assert most < spending.input < most + 1_000
        assert "Image" in spending.media


def test_pages_and_what_stands_elsewhere_are_as_long_as_fits_into_the_model():
    pages = Document(data=b"%PDF-1.7 ...", media_type="application/pdf")
    assert read("anthropic_messages", pages, max_tokens=5)[0].input is None
    assert read("openai_responses", "Hi", extra={"previous_response_id": "r"})[0].input is None
    assert read("openai_chat", "Hi", extra={"messages": [{"role": "user", "content": []}]})[0].input is None
    text = Document(data=b"word " * 100, media_type="text/plain")
    assert read("anthropic_messages", text, max_tokens=5)[0].input >= 500


def test_sound_counts_by_its_bytes():
    sound = Audio(data=bytes(160_000), media_type="audio/wav")
    spending, _ = read("openai_chat", sound, max_tokens=5)
    assert 10_000 < spending.input < 11_000
    assert spending.media == {"Audio"}


@pytest.mark.parametrize(
    ("dialect", "extra", "expected"),
    [
        ("openai_chat", {"n": 4}, {"answers": 4}),
        ("openai_chat", {"max_completion_tokens": 900}, {"output": 900}),
        ("openai_chat", {"web_search_options": {}}, {"rounds": 2, "tools": "web_search_options"}),
        ("openai_chat", {"prediction": {"content": "abc"}}, {"beside": len('{"content":"abc"}')}),
        ("openai_responses", {"tools": [{"type": "web_search"}]}, {"rounds": None, "tools": "web_search"}),
        ("openai_responses", {"tools": [{"type": "web_search"}], "max_tool_calls": 3}, {"rounds": 4}),
        ("openai_responses", {"tools": [{"type": "file_search"}, {"type": "mcp"}]}, {"tools": "file_search, mcp"}),
        ("anthropic_messages", {"tools": [{"type": "web_search_20250305", "max_uses": 2}]}, {"rounds": 3}),
        ("anthropic_messages", {"tools": [{"type": "web_search_20250305"}]}, {"rounds": None}),
        ("anthropic_messages", {"tools": [{"type": "bash_20250124", "name": "bash"}]}, {"rounds": 1, "tools": ""}),
        ("gemini", {"tools": [{"googleSearch": {}}]}, {"rounds": None, "tools": "googleSearch"}),
        ("gemini", {"generationConfig": {"candidateCount": 3, "maxOutputTokens": 9}}, {"answers": 3, "output": 9}),
        ("gemini", {"cachedContent": "c"}, {"input": None}),
    ],
    ids=str,
)
def test_fields_of_the_wires_own_count_as_they_are_sent(dialect, extra, expected):
    spending, _ = read(dialect, extra=extra)
    assert {name: getattr(spending, name) for name in expected} == expected
    assert spending.extra


def test_caches_that_are_kept_for_longer_are_seen():
    spending, _ = read("openai_chat", extra={"prompt_cache_retention": "24h"})
    assert spending.caches == {"cache_write_12h"}
    assert spending_of(b'{"cache_control":{"ttl":"1h"}}', ModelRequest(model="m", messages=()), "x").caches == {
        "cache_write_1h"
    }


def test_a_body_that_is_no_json_bounds_nothing_but_its_length():
    spending = spending_of(b"--boundary", ModelRequest(model="m", messages=()), "x")
    assert (spending.output, spending.rounds, spending.input) == (None, 1, 10 + OVERHEAD)


# The dearest price.


def prices(**fields):
    return Prices(json.dumps({"mine/m": fields}))


def most(book, shape, **more):
    found = book.most("mine", "m", shape, at=AT, **more)
    assert isinstance(found, Most)
    return found


SMALL = Shape(input=100)


def test_the_bound_takes_what_is_read_as_written_to_a_cache_and_what_is_written_as_thought():
    book = prices(input="1", output="2", cache_write="1.25", reasoning="3")
    assert most(book, SMALL).femto(10) == (125 * 10**9 * 10**0 * 1) + 30 * 10**9


@pytest.mark.parametrize(
    ("asked", "dollars"),
    [((), 2), ((("service_tier", "auto"),), 2), ((("service_tier", "flex"),), 1), ((("service_tier", "priority"),), 2)],
    ids=str,
)
def test_the_tier_that_may_serve_is_the_dearest_of_those_that_may(asked, dollars):
    book = prices(input="1", output="1", modes={"flex": {"input": "0.5", "output": "0.5"},
                                                 "priority": {"input": "2", "output": "2"}})  # fmt: skip
    assert most(book, SMALL, asked=asked).femto(0) == 100 * dollars * 10**9


def test_a_tier_that_was_asked_for_and_has_no_price_has_no_bound():
    found = most(prices(input="1", output="1"), SMALL, asked=(("service_tier", "batch"),))
    assert "no rate for input, output" in found.reason


def test_every_size_step_that_may_be_reached_counts_and_no_other():
    book = prices(input="1", output="1", tiers=[{"above": 1000, "input": "2", "output": "4"}])
    assert most(book, Shape(input=1000)).femto(10) == 1010 * 10**9
    assert most(book, Shape(input=1001)).femto(10) == (2002 + 40) * 10**9
    cheaper = prices(input="2", output="4", tiers=[{"above": 1000, "input": "1", "output": "1"}])
    assert most(cheaper, Shape(input=2000)).femto(10) == (4000 + 40) * 10**9


def test_a_place_with_a_surcharge_counts():
    book = prices(input="1", output="1", multipliers={"inference_geo:us": "1.1", "host:eu.example.com": "1.2"})
    assert most(book, SMALL).femto(0) == 100 * 10**9 * 132 // 100


def test_fees_count_by_the_piece_and_a_count_without_a_rate_has_no_bound():
    book = prices(input="1", output="1", web_search_per_1000="10", request_high_per_1000="12", request_per_1000="5")
    assert most(book, Shape(input=0, web_searches=3)).femto(0) == (30 + 12) * 10**12
    assert "no rate for file_searches" in most(book, Shape(input=0, file_searches=1)).reason
    assert "no rate for input_audio" in most(book, Shape(input=1, read=frozenset({"input", "input_audio"}))).reason


def test_without_a_row_there_is_no_bound_and_what_runs_here_costs_nothing():
    found = Prices("").most("mine", "m", SMALL, at=AT)
    assert (found.lines, "no price for mine/m" in found.reason) == ((), True)
    assert Prices("").most("local", "smollm2", SMALL, at=AT).femto(10**6) == 0


@given(st.integers(0, 10**6), st.integers(0, 10**15))
def test_what_is_affordable_is_the_most_that_can_be_paid(input, femto):
    book = prices(input="1", output="3", tiers=[{"above": 1000, "input": "2", "output": "7"}])
    found = most(book, Shape(input=input))
    tokens = found.affordable(femto)
    if tokens >= 0:
        assert found.femto(tokens) <= femto
    assert found.femto(max(tokens + 1, 0)) > femto


ROWS = ["openai/gpt-6-sol", "openai/gpt-5", "anthropic/claude-sonnet-5-5", "google/gemini-3.8-flash", "xai/grok-4.5",
        "deepseek/deepseek-flash", "mistral/mistral-large-4", "groq/openai/gpt-oss-120b"]  # fmt: skip
COUNT = st.integers(0, 400_000)


@given(
    st.sampled_from(ROWS),
    st.builds(Usage, input=COUNT, cache_read=COUNT, cache_write_5m=COUNT, output=COUNT, reasoning=COUNT),
    st.sampled_from([None, "default", "priority", "flex"]),
    st.sampled_from([None, "inference_geo:us"]),
    st.floats(1.7e9, 1.9e9),
)
def test_no_bill_within_the_shape_is_above_the_bound(model, usage, tier, region, at):
    """Of the built-in table, at any moment: whatever tier and place serve, and however the tokens fall."""
    provider, _, name = model.partition("/")
    book = Prices("")
    bill = book.cost(provider, name, usage, at=at, tier=tier, region=region)
    bound = book.most(provider, name, Shape(input=usage.total_input), at=at)
    assert bound.lines
    if bill.femto is not None:
        assert bill.femto <= bound.femto(usage.total_output)
        assert Decimal(bill.femto) >= 0
