"""Before a call: what it is expected to cost, and a bound that its cost keeps. After it: what it would have cost."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from quoth import Image, Message, ModelsAPI, Response, Settings, Tool, Usage
from quoth.dialects.openai_chat.server import build_response
from quoth.errors import ConfigurationError, InputError
from quoth.instrumentation import CallRecord
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport
from quoth.types import Cost, CostTotal, PriceRule

OWN = {
    "mine/m": {"input": "2", "output": "10", "cache_write": "2.5",
               "tiers": [{"above": 1000, "input": "4", "output": "15"}]},
    "mine/dear": {"input": "20", "output": "100"},
    "mine/moved": {"input": "1", "output": "1", "history": [{"from": "2026-06-01", "input": "3", "output": "3"}]},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("QUOTH_PRICES", "QUOTH_OFFLINE", "TIKTOKEN_CACHE_DIR", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def api_of(*replies, **more):
    script = ScriptedTransport(*replies)
    options = {"prices": json.dumps(OWN), "transport": script, "async_transport": script.aio} | more
    api = ModelsAPI(Settings(**options), providers=ProviderTable())
    api.register_provider("mine", base_url="https://llm.example.com/v1")
    return api


API = api_of()


# Before.


def test_an_estimate_says_what_is_expected_what_is_the_most_and_how_it_was_counted():
    found = API.estimate("mine/m", "x" * 400, max_tokens=100)
    assert (found.input_tokens, found.most_input_tokens) == (104, 432)
    assert (found.output_tokens, found.most_output_tokens) == (100, 100)
    assert (found.expected.usd, found.expected.kind) == (Decimal("0.001208"), "estimate")
    assert (found.worst.usd, found.worst.kind) == (Decimal("0.00208"), "estimate")  # 432 at 2.5, written to a cache
    assert str(found) == (
        "mine/m: about $0.001208, at most $0.00208 (104 tokens in, 100 out; no tokenizer: 4 bytes of UTF-8 a token "
        "expected, one at most)"
    )


def test_a_large_request_is_bounded_in_its_own_size_step():
    found = API.estimate("mine/m", "x" * 4000, max_tokens=100)
    assert found.expected.tier == ">1000"
    assert found.worst.tier == ">1000"
    assert found.worst.usd == Decimal("0.017628")


def test_the_caller_may_know_how_long_the_answer_will_be():
    assert API.estimate("mine/m", "Hi", output_tokens=7, max_tokens=100).output_tokens == 7
    assert API.estimate("mine/m", "Hi", output_tokens=700, max_tokens=100).output_tokens == 100
    for wrong in (-1, 1.5, "5", True):
        with pytest.raises(InputError, match="output_tokens"):
            API.estimate("mine/m", "Hi", output_tokens=wrong)


def test_what_nobody_can_bound_is_unknown_with_a_reason():
    endless = API.estimate("mine/m", "Hi")
    assert endless.expected.usd is not None
    assert (endless.worst.usd, endless.most_output_tokens) == (None, None)
    assert "max_tokens" in endless.worst.reason
    picture = API.estimate("mine/m", ["What is it?", Image(url="https://host/cat.png")], max_tokens=5)
    assert picture.expected.usd is picture.worst.usd is None
    assert picture.expected.reason == "the provider alone knows how many tokens there are in: Image"
    nowhere = API.estimate("mine/unheard-of", "Hi", max_tokens=5)
    assert "no price for mine/unheard-of" in nowhere.expected.reason
    assert "no bound" in str(nowhere)


def test_the_catalogs_longest_answer_bounds_where_the_call_does_not():
    found = API.estimate("gpt-6-sol", "Hi")
    assert found.most_output_tokens == API.info("gpt-6-sol").max_output_tokens
    assert found.worst.usd > found.expected.usd


def test_an_estimate_takes_what_a_call_takes():
    plain = API.estimate("mine/m", "Hi", max_tokens=5)
    assert API.estimate("mine/m", "Hi", max_tokens=5, system="Be brief.").input_tokens > plain.input_tokens
    tool = Tool(name="weather", description="tells it", parameters={"type": "object"})
    assert API.estimate("mine/m", "Hi", max_tokens=5, tools=[tool]).input_tokens > plain.input_tokens
    own = API.estimate("mine/m", "Hi", max_tokens=5, price={"input": "1000", "output": "0"})
    assert own.expected.usd == Decimal(own.input_tokens) / 1000
    flex = API.estimate("openai/gpt-6-sol", "Hi", max_tokens=5, extra={"openai": {"service_tier": "flex"}})
    assert (flex.expected.mode, flex.expected.basis) == ("flex", "requested")
    assert API.estimate("local/smollm2", "Hi", max_tokens=5).worst.usd == 0


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1, max_size=200).filter(str.strip), st.integers(1, 5_000), st.data())
def test_no_call_within_its_bounds_costs_more_than_the_worst(text, most, data):
    found = API.estimate("mine/m", text, max_tokens=most)
    read = data.draw(st.integers(0, found.most_input_tokens))
    written = data.draw(st.integers(0, read))
    usage = Usage(input=read - written, cache_write_5m=written, output=data.draw(st.integers(0, most)))
    real = API._service.prices.cost("mine", "m", usage, at=0.0)
    if real.usd is not None:
        assert real.usd <= found.worst.usd
    assert found.expected.usd <= found.worst.usd


def test_models_are_compared_by_what_is_expected_and_the_unknown_come_last():
    found = API.compare("Hi", ["mine/dear", "mine/unheard-of", "mine/m"], max_tokens=50)
    assert [each.model for each in found] == ["mine/m", "mine/dear", "mine/unheard-of"]
    assert [each.output_tokens for each in API.compare("Hi", ["mine/m"], output_tokens=3)] == [3]


def test_an_installed_tokenizer_counts_where_it_has_its_words_at_hand(tmp_path, monkeypatch):
    package = tmp_path / "packages"
    package.mkdir()
    (package / "tiktoken.py").write_text(
        "class Encoding:\n"
        "    name = 'words'\n"
        "    def encode_ordinary(self, text):\n"
        "        return text.split()\n"
        "def encoding_for_model(model):\n"
        "    if model != 'm':\n"
        "        raise KeyError(model)\n"
        "    return Encoding()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(package)
    assert "no tokenizer" in API.estimate("mine/m", "one two three", max_tokens=5).counted  # it would fetch its words
    words = tmp_path / "words"
    words.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(words))
    assert "no tokenizer" in API.estimate("mine/m", "one two three", max_tokens=5).counted
    (words / "encoding").write_bytes(b"x")
    found = API.estimate("mine/m", "one two three", max_tokens=5)
    assert (found.counted, found.input_tokens) == ("counted by tiktoken words", 3 + 4)
    assert "no tokenizer" in API.estimate("mine/dear", "one two three", max_tokens=5).counted


# After.


def record(cost, *, model="m", usage=None, at=0.0, **fields):
    return CallRecord(
        id="1", operation="generate", provider="mine", model=model, served_model=model, outcome="answered",
        usage=usage or Usage(input=1_000_000), cost=cost, started_at=at, seconds=1.0, **fields,
    )  # fmt: skip


UNKNOWN = Cost(femto=None, kind="unknown", reason="no price")


def test_calls_are_reckoned_anew_by_the_prices_of_now():
    found = API.reprice(
        [record(UNKNOWN, model="dear"), record(None), record(Cost(femto=5), usage=Usage(source="missing"))]
    )
    assert [cost and cost.usd for cost in found.costs] == [Decimal(20), None, None]
    assert found.before == CostTotal(known_usd=Decimal("0.000000000000005"), calls=2, unknown_costs=1)
    assert found.after == CostTotal(known_usd=Decimal(20), calls=2, unknown_costs=1)
    assert str(found) == "$0.000000000000005 + 1 unknown -> $20 + 1 unknown over 2 calls"


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (None, 1), ("2026-06-01", 3), ("2026-05-31", 1), (date(2026, 6, 1), 3), (datetime(2026, 6, 1, tzinfo=UTC), 3),
        (datetime(2026, 6, 1, tzinfo=UTC).timestamp(), 3), ("2026-06-01T00:00+02:00", 1),
    ],
)  # fmt: skip
def test_the_prices_of_a_day_hold_where_one_is_named(as_of, expected):
    assert API.reprice([record(UNKNOWN, model="moved")], as_of=as_of).after.usd == expected


@pytest.mark.parametrize("as_of", ["soon", [], True, "2026-13-01"])
def test_what_is_no_day_is_refused(as_of):
    with pytest.raises(InputError, match="as_of"):
        API.reprice([], as_of=as_of)


def test_other_prices_may_be_asked_about_and_nothing_is_kept():
    records = [record(Cost(femto=0), model="dear")]
    assert API.reprice(records, prices={"mine/dear": {"multiplier": "0.9"}}).after.usd == 18
    assert API.reprice(records, prices='{"mine/dear": {"input": "7"}}').after.usd == 7
    assert API.reprice(records).after.usd == 20
    with pytest.raises(ConfigurationError, match="inputs"):
        API.reprice(records, prices={"mine/dear": {"inputs": "1"}})


def test_the_tier_the_place_and_the_stated_amount_of_a_call_stay():
    rule = PriceRule(id="x", rates={}, source="s", mode="flex", region="inference_geo:us host:eu.x")
    served = record(Cost(femto=1, rule=rule, basis="served"))
    api = api_of(prices=json.dumps({"mine/m": {
        "input": "2", "modes": {"flex": {"input": "1"}}, "multipliers": {"inference_geo:us": "1.1", "host:eu.x": "1.5"},
    }}))  # fmt: skip
    [cost] = api.reprice([served]).costs
    assert (cost.usd, cost.mode) == (Decimal("1.65"), "flex")
    stated = Cost(femto=3, kind="provider", stated="0.000000000000003", stated_in="usage.cost", computed=served.cost)
    [cost] = api.reprice([record(stated)]).costs
    assert (cost.usd, cost.computed.usd) == (Decimal("0.000000000000003"), Decimal("1.65"))


def test_the_records_of_a_hook_are_what_it_takes():
    answer = Response(
        message=Message.assistant("Hi"), finish_reason="stop", model="dear", usage=Usage(input=10, output=1)
    )
    api = api_of(Reply(body=build_response(answer).body))
    seen = []
    api.on_call(seen.append)
    response = api("mine/dear", "Hi", api_key="k")
    assert api.reprice(seen).costs == (response.cost,)
    assert (
        api.reprice(seen, prices={"mine/*": {"multiplier": "2"}}).after.usd == response.cost.usd
    )  # its entry is nearer
