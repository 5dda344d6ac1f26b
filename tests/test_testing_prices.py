"""``python -m quoth.testing.prices``: bills are read and reckoned to the last digit, and what differs has a class."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quoth._costs._stated import stated_amount
from quoth.testing import prices as kit
from quoth.testing.prices._bills import EXCEPTIONS
from quoth.testing.prices._snapshots import CLASSES, usage_of
from quoth.testing.prices._tables import read_table

SHARED = Path(os.environ.get("QUOTH_SHARED") or Path(__file__).resolve().parents[1].parent / "shared") / "prices"
FILE, THEIRS, OURS = SHARED / "expectations.jsonl", SHARED / "genai-prices-data.json", SHARED / "table.json"
needs_shared = pytest.mark.skipif(not FILE.exists(), reason="the expectations of ../shared are not there")


@pytest.fixture(scope="module")
def verdicts():
    return list(kit.check(kit.read_rows(FILE), read_table(json.loads(THEIRS.read_text("utf-8"), parse_float=Decimal))))


@needs_shared
def test_every_amount_is_equal_or_in_a_class(verdicts):
    assert [verdict for verdict in verdicts if verdict.outcome == "failed"] == []
    assert len(verdicts) > 1_500


@needs_shared
def test_nearly_all_bills_are_reckoned_to_the_last_digit(verdicts):
    bills = Counter(each.outcome for each in verdicts if each.group.startswith("stated"))
    assert bills["equal"] > 370
    assert bills["excepted"] < 50
    assert Counter(each.outcome for each in verdicts if each.group == "stated by vercel-gateway").keys() == {"equal"}


@needs_shared
def test_nearly_all_snapshots_are_reckoned_alike(verdicts):
    assert Counter(each.outcome for each in verdicts if each.group.startswith("genai"))["excepted"] < 20


@needs_shared
@pytest.mark.parametrize("table", [THEIRS, OURS])
def test_the_command_prints_the_classes_and_succeeds(table):
    command = [sys.executable, "-m", "quoth.testing.prices", str(FILE), str(table)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "stated by openrouter: " in done.stdout
    assert "to the last digit" in done.stdout


def bill(usage, *, provider="openrouter", model="openai/gpt-4o-mini", api="chat"):
    return {
        "kind": "provider-reported", "id": "x", "provider": provider, "request_model": model, "response_model": model,
        "api": api, "stream": False, "usage": usage,
    }  # fmt: skip


PARTS = {"upstream_inference_prompt_cost": 0.00003, "upstream_inference_completions_cost": 0.00002}
OURS_BY_PARTS = {"upstream_inference_prompt_cost": 0.000015, "upstream_inference_completions_cost": 0.000006}
TABLE = read_table({"models": [{"provider": "acme", "id": "m", "price": {"input": "1"}}]})
COUNTS = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def verdict(row, table=TABLE):
    [only] = kit.check([json.loads(json.dumps(row), parse_float=Decimal)], table)
    return only


@pytest.mark.parametrize(
    ("row", "outcome", "word"),
    [
        (bill(COUNTS | {"cost": 0.000021}), "equal", "own row"),
        (bill(COUNTS | {"cost": 0.000022}), "excepted", "no parts that tell"),
        (bill(COUNTS | {"cost": 0.000022, "cost_details": PARTS}), "failed", "UNCLASSIFIED"),
        (bill(COUNTS | {"cost": 0.00005, "cost_details": PARTS}), "excepted", "a host upstream"),
        (bill(COUNTS | {"cost": 0.01005, "cost_details": PARTS}), "failed", "UNCLASSIFIED"),
        (bill(COUNTS | {"cost": 0.010021, "cost_details": OURS_BY_PARTS}), "excepted", "does not count"),
        (bill(COUNTS | {"cost": 0.000021}, provider="groq"), "failed", "UNREAD"),
        (bill(COUNTS | {"cost": "much"}), "failed", "MISREAD"),
        (bill(COUNTS | {"cost": 0.3}, model="nobody/knows-this"), "excepted", "no row"),
        (bill(COUNTS | {"cost": 0.5}, api="images"), "excepted", "not billed by the token"),
        (bill({"prompt_tokens": 1, "completion_tokens": -1, "cost": 0.5}), "excepted", "cannot be"),
        (bill(COUNTS | {"cost": 0.0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.1}}), "excepted",
         "caller's own"),
        (bill(COUNTS | {"cost": 0.0, "is_byok": True}), "excepted", "is not stated"),
        ({"kind": "provider-reported", "id": "x"}, "failed", "KeyError"),
        (bill([]), "failed", "MISREAD"),
        (bill(COUNTS) | {"kind": "rumour"}, "failed", "rumour"),
        (bill(COUNTS | {"cost_in_usd_ticks": 1_500_000}, provider="xai", model="grok-4.3"), "equal", "own row"),
        (bill(COUNTS | {"cost_in_usd_ticks": 1_500_001}, provider="xai", model="grok-4.3"), "failed", "UNCLASSIFIED"),
        (bill(COUNTS | {"cost_in_usd_ticks": 101_500_000, "num_server_side_tools_used": 2}, provider="xai",
              model="grok-4.3"), "excepted", "a fee for tools"),
    ],
)  # fmt: skip
def test_a_bill_is_equal_in_a_class_or_fails(row, outcome, word):
    found = verdict(row)
    assert (found.outcome, word in found.name) == (outcome, True), found


def test_a_wrong_byte_of_the_report_is_not_excused():
    done = kit.main(["no such file"])
    assert done == 2


@pytest.mark.parametrize(
    ("expected", "outcome"), [("0.0002", "equal"), ("0.0003", "failed")]
)  # fmt: skip
def test_a_snapshot_is_held_to_its_amount(expected, outcome):
    row = {
        "kind": "genai-prices-snapshot", "id": "y", "model": "m-2", "price_at": "2025-11-06T12:00:00Z",
        "expectations": [
            {"provider_id": "p", "input_price": expected, "output_price": "0", "usage": {"input_tokens": 100}}
        ],
    }  # fmt: skip
    table = read_table([{"id": "p", "models": [
        {"id": "m", "match": {"or": [{"equals": "M"}, {"starts_with": "m-"}]}, "prices": {"input_mtok": Decimal(2)}},
    ]}])  # fmt: skip
    assert verdict(row, table).outcome == outcome


def test_their_conditions_become_ours():
    prices = [
        {"prices": {"input_mtok": {"base": Decimal(1), "tiers": [{"start": 1000, "price": Decimal(2)}]}}},
        {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": Decimal(3)}},
    ]
    table = read_table([{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": prices}]}])

    def amount(tokens, at):
        return table.prices.cost("snapshot.p", "m", usage_of({"input_tokens": tokens}), at=at).usd

    assert amount(1000, 0) == Decimal("0.001")
    assert amount(1001, 0) == Decimal("0.002002")
    assert amount(1000, 1_800_000_000) == Decimal("0.003")


@needs_shared
def test_a_float_that_a_decoder_gives_says_every_stated_amount_exactly():
    """So an amount survives a JSON reader that knows no Decimal: its shortest text is the one that was sent."""
    seen = 0
    for line in FILE.read_text("utf-8").splitlines():
        for kind in (float, Decimal):
            usage = json.loads(line, parse_float=kind).get("usage", {})
            cost = usage.get("cost")
            if cost is None:
                break
            path = "usage.cost.total_cost" if isinstance(cost, dict) else "usage.cost"
            text = json.loads(line, parse_float=str)["usage"]["cost"]
            text = text["total_cost"] if isinstance(text, dict) else text
            if not usage.get("is_byok"):
                assert stated_amount({"usage": usage}, path, 1) == Decimal(text)
                seen += 1
    assert seen > 600


@given(st.decimals(0, 1000, places=12))
def test_an_amount_of_fifteen_digits_is_read_exactly_through_a_float(amount):
    for value in (amount, float(amount)):
        assert stated_amount({"usage": {"cost": value}}, "usage.cost", 1) == amount


@given(st.integers(0, 10**15))
def test_a_tick_is_a_ten_thousand_millionth_of_a_dollar(ticks):
    read = stated_amount({"usage": {"cost_in_usd_ticks": ticks}}, "usage.cost_in_usd_ticks", 10**10)
    assert read == Decimal(ticks).scaleb(-10)


@pytest.mark.parametrize(
    "value", [None, "", "NaN", "abc", True, -1, -0.5, float("nan"), float("inf"), [], {}, "1e999", 1e30, "1e-999"]
)
def test_what_is_no_amount_is_none(value):
    assert stated_amount({"usage": {"cost": value}}, "usage.cost", 1) is None
    assert stated_amount({"usage": value}, "usage.cost", 1) is None
    assert stated_amount(value, "usage.cost", 1) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"cost": 0.25, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.25}}, Decimal("0.25")),
        ({"cost": 0.25, "is_byok": True, "cost_details": {"upstream_inference_cost": 5}}, Decimal("5.25")),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0000063}}, Decimal("0.0000063")),
        ({"cost": 0.1, "is_byok": None}, Decimal("0.1")),
    ],
)
def test_what_another_account_pays_is_added_where_it_pays_and_only_there(usage, expected):
    assert stated_amount({"usage": usage}, "usage.cost", 1) == expected


def test_a_fee_alone_is_not_the_cost_where_the_rest_is_not_stated():
    for details in ({}, {"cost_details": {}}, {"cost_details": {"upstream_inference_cost": None}}):
        words = stated_amount({"usage": {"cost": 0, "is_byok": True, **details}}, "usage.cost", 1)
        assert isinstance(words, str)
        assert "not stated" in words


def test_classes_have_names_of_their_own():
    assert len({*EXCEPTIONS, *CLASSES}) == len(EXCEPTIONS) + len(CLASSES)
