"""Prices of your own, from the option to the table; whose word chose a rate; and what the provider itself states."""

from __future__ import annotations

import asyncio
import json
import os
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from quoth import ModelsAPI, Settings, Usage
from quoth._costs import Prices
from quoth.errors import ConfigurationError, StreamInterruptedError, UnknownModelError
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport

NOW = 1_795_000_000.0


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("QUOTH_PRICES", "QUOTH_OFFLINE", "QUOTH_TIMEOUT", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


COUNTS = {"prompt_tokens": 1_000_000, "completion_tokens": 0}


def answer(model="m", usage=COUNTS, **more):
    body = {
        "id": "1", "object": "chat.completion", "model": model, "usage": usage,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    }  # fmt: skip
    return Reply(body=json.dumps(body | more).encode())


def api_of(*replies, **more):
    script = ScriptedTransport(*replies)
    api = ModelsAPI(Settings(transport=script, async_transport=script.aio, **more), providers=ProviderTable())
    api.register_provider("mine", base_url="https://llm.example.com/v1", aliases=("my",))
    return api


def ask(api, model="mine/m", **options):
    return api(model, "Hi", api_key="k", dialect="openai_chat", **options).cost


def usd(cost):
    return None if cost.usd is None else f"{cost.usd:f}"


# Whose price holds.


def test_the_nearest_price_wins_and_each_says_where_it_comes_from(monkeypatch):
    api = api_of(*[answer("gpt-4o")] * 5)
    api.register_provider("openai", base_url="https://api.openai.com/v1")
    amounts = [ask(api, "openai/gpt-4o")]
    monkeypatch.setenv("QUOTH_PRICES", '{"openai/gpt-4o": {"input": "7", "output": "7"}}')
    api.reload_prices()
    amounts.append(ask(api, "openai/gpt-4o"))
    api.configure(prices='{"openai/gpt-4o": {"input": "8", "output": "8"}}')
    amounts.append(ask(api, "openai/gpt-4o"))
    api.register_price("openai/gpt-4o", input="9", output=9)
    amounts.append(ask(api, "openai/gpt-4o"))
    amounts.append(ask(api, "openai/gpt-4o", price={"input": "10", "output": 10}))
    assert list(map(usd, amounts)) == ["2.5", "7", "8", "9", "10"]
    assert [cost.kind for cost in amounts] == ["computed", *["override"] * 4]
    assert [cost.source.partition(" (")[0] for cost in amounts] == [
        "built-in table", "QUOTH_PRICES", "Settings.prices", "register_price", "the option price",
    ]  # fmt: skip


def test_a_price_may_be_given_under_any_name_of_its_provider_and_a_bare_id():
    api = api_of(answer(), answer("gpt-4o"))
    api.register_price("my/m", {"input": "3"})
    assert usd(ask(api)) == "3"
    api.register_price("gpt-4o", input="4")
    assert usd(ask(api, "openai/gpt-4o")) == "4"
    with pytest.raises(UnknownModelError):
        api.register_price("nobody-knows-this", input="4")


def test_a_price_may_be_there_before_its_provider_is():
    api = api_of(answer("x"))
    api.register_price("later/x", input="3")
    api.register_provider("later", base_url="https://llm.example.com/v1")
    assert usd(ask(api, "later/x")) == "3"


def test_a_later_price_replaces_an_earlier_one_and_the_others_stay():
    api = api_of(answer(), answer("n"))
    api.register_price("mine/m", input="3")
    api.register_price("mine/n", input="5")
    api.register_price("mine/m", input="4")
    assert [usd(ask(api)), usd(ask(api, "mine/n"))] == ["4", "5"]


def test_a_bad_price_is_refused_by_name_and_changes_nothing():
    api = api_of(answer())
    api.register_price("mine/m", input="3")
    for fields, words in [
        ({"inputs": "1"}, 'register_price: entry "mine/m", field "inputs": unknown; did you mean "input"?'),
        ({"input": "-1"}, 'entry "mine/m", field "input": expected US dollars'),
        ({"extends": "openai/gpt-55"}, 'field "extends": no row "openai/gpt-55"'),
        ({}, 'register_price: entry "mine/m": expected'),
    ]:
        with pytest.raises(ConfigurationError) as caught:
            api.register_price("mine/m", fields)
        assert words in str(caught.value)
    assert usd(ask(api)) == "3"


def test_a_call_under_way_keeps_the_prices_that_it_began_with():
    api = api_of()
    script = ScriptedTransport(lambda request: (api.register_price("mine/m", input="9"), answer())[1])
    api.configure(transport=script)
    api.register_price("mine/m", input="3")
    assert usd(ask(api)) == "3"
    assert usd(api._service.prices.cost("mine", "m", Usage(input=1_000_000), at=NOW)) == "9"


def test_an_entry_that_only_multiplies_is_a_discount_on_what_there_is():
    text = '{"openai/gpt-5": {"multiplier": "0.9"}, "mine/m": {"input": "2", "multiplier": 0.5}}'
    prices = Prices(text)

    def cost(provider, model, **counts):
        return prices.cost(provider, model, Usage(**counts), at=NOW)

    assert usd(cost("openai", "gpt-5", input=1_000_000, output=1_000_000)) == "10.125"
    assert usd(cost("openai", "gpt-5", web_searches=10)) == "0.09"  # fees too
    assert cost("openai", "gpt-5", input=1).rule.condition == "standard, x0.9"
    assert usd(cost("mine", "m", input=1_000_000)) == "1"
    again = prices.with_entries({"openai/gpt-5": {"multiplier": "0.5"}})  # on the discounted price
    assert usd(again.cost("openai", "gpt-5", Usage(input=1_000_000), at=NOW)) == "0.5625"


def test_a_multiplier_keeps_tiers_and_places():
    prices = Prices('{"anthropic/*": {"multiplier": "0.8"}}')
    usage = Usage(input=1_000_000)
    there = prices.cost("anthropic", "claude-sonnet-5-5", usage, at=NOW, region="us", tier="batch")
    assert usd(there) == "0.88"  # 1 x 1.1 x 0.8
    assert there.rule.multiplier == "0.88"


def test_an_entry_for_all_models_of_a_provider_is_scoped_to_it():
    prices = Prices('{"azure/*": {"extends": "openai/*", "multiplier": "1.1"}, "azure/gpt-5": {"input": "7"}}')

    def cost(key):
        provider, _, model = key.partition("/")
        return prices.cost(provider, model, Usage(input=1_000_000), at=NOW)

    assert usd(cost("azure/gpt-4.1")) == "2.2"
    assert usd(cost("azure/gpt-4.1-2025-04-14")) == "2.2"
    assert usd(cost("azure/gpt-5")) == "7"
    assert usd(cost("openai/gpt-4.1")) == "2"
    assert cost("azure/no-such").usd is None
    assert cost("azure/gpt-4.1").rule.id == "azure/gpt-4.1"
    assert "extends openai/gpt-4.1" in cost("azure/gpt-4.1").source


@pytest.mark.parametrize(
    "entry",
    ['{"mine/*": {"input": "1"}}', '{"mine/*": {"extends": "openai/gpt-5"}}', '{"mine/*": {"multiplier": "x"}}'],
)
def test_an_entry_for_all_models_takes_a_multiplier_and_nothing_else(entry):
    with pytest.raises(ConfigurationError, match=r'entry "mine/\*"'):
        Prices(entry).load()


def test_the_option_may_be_a_discount_on_what_would_hold():
    api = api_of(*[answer()] * 3)
    api.register_price("mine/m", input="3")
    assert usd(ask(api, price={"multiplier": "0.5"})) == "1.5"
    assert usd(ask(api, price={"extends": "openai/gpt-4.1", "multiplier": "0.5"})) == "1"
    bound = api.bind("mine/m", price={"input": "8"}, api_key="k")
    assert usd(bound("Hi").cost) == "8"


# What an entry may say.

FULL = {
    "mine/m": {
        "input": "1", "output": "2",
        "tiers": [{"above": 100, "input": "10", "output": "20"}],
        "modes": {"flex": {"input": "0.5", "tiers": [{"above": 100, "input": "5"}]}, "fast": {"same_as": "flex"}},
        "schedule": [{"name": "peak", "days": "mon-fri", "utc": [["01:00", "04:00"]], "price": {"input": "3"}}],
        "multipliers": {"inference_geo:us": "1.1"},
        "aliases": ["m-latest"],
        "history": [{"from": "2027-06-01", "input": "7"}],
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "0.0001"),
        ({"count": 101}, "0.00101"),
        ({"tier": "flex"}, "0.00005"),
        ({"tier": "flex", "count": 101}, "0.000505"),
        ({"tier": "fast"}, "0.00005"),
        ({"region": "us"}, "0.00011"),
        ({"at": 1_795_402_800.0}, "0.0003"),  # a Monday, 01:00 UTC
        ({"at": 1_850_000_000.0}, "0.0007"),
        ({"model": "m-latest"}, "0.0001"),
    ],
)
def test_an_entry_says_all_that_a_built_in_row_can(how, expected):
    prices = Prices(json.dumps(FULL))
    given = {"at": 1_795_446_000.0, "model": "m", "count": 100} | how
    usage = Usage(input=given.pop("count"))
    assert usd(prices.cost("mine", given.pop("model"), usage, **given)) == expected


def test_a_published_table_is_read_as_it_stands():
    model = {
        "provider": "mine", "id": "m", "aliases": ["n"], "kind": "chat", "currency": "USD", "unit": "per_1M_tokens",
        "price": {"input": "1", "output": "2"}, "fees": {"web_search_per_1000": "10"}, "context_window": 5, "notes": [],
        "tiers": {"basis": "total_input_tokens_incl_cache", "applies": "whole_request",
                  "steps": [{"above": 100, "input": "4", "output": "5"}]},
        "modes": {"batch": {"input": "0.5", "source": "x"}}, "as_of": "2026-11-23", "sources": ["x"],
        "history": [{"when": None, "input": "9"}, {"when": {"from": "2026-01-01"}, "input": "1", "output": "2"},
                    {"when": {"from": "2027-01-01"}, "input": "3", "web_searches_kcount": "14"}],
    }  # fmt: skip
    prices = Prices(json.dumps({"meta": {}, "models": [model]}))

    def cost(at, **counts):
        return usd(prices.cost("mine", "n", Usage(**counts), at=at))

    assert [cost(at, input=100) for at in (1_700_000_000.0, NOW, 1_800_000_000.0)] == ["0.0009", "0.0001", "0.0003"]
    assert cost(NOW, input=101) == "0.000404"
    assert [cost(at, web_searches=1) for at in (NOW, 1_800_000_000.0)] == ["0.01", "0.014"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"currency": "EUR", "input": "1"}, 'field "currency": expected "USD", not "EUR"'),
        ({"unit": "per_1K_tokens", "input": "1"}, 'field "unit": expected "per_1M_tokens"'),
        ({"tiers": {"basis": "output"}, "input": "1"}, 'field "tiers": expected total_input_tokens_incl_cache'),
        ({"tiers": [{"above": "x"}], "input": "1"}, '"above" is a number of tokens'),
        ({"tiers": 5, "input": "1"}, 'field "tiers": expected a list of objects'),
        ({"modes": {"flex": {"inputs": "1"}}, "input": "1"}, 'modes.flex, field "inputs": unknown'),
        ({"modes": {"flex": {"same_as": "x"}}, "input": "1"}, "expected an object"),
        ({"schedule": [{"name": "x"}], "input": "1"}, '"days": "mon-fri"'),
        ({"schedule": [{"name": "x", "days": "someday", "utc": [["01:00", "02:00"]]}], "input": "1"}, "weekdays"),
        ({"schedule": [{"name": "x", "days": "mon", "utc": [["22:00", "02:00"]]}], "input": "1"}, "within one day"),
        ({"history": [{"from": "soon"}], "input": "1"}, '"from" is a day'),
        ({"multipliers": {"us": "-1"}, "input": "1"}, 'field "multipliers.us": expected a factor'),
        ({"aliases": "n", "input": "1"}, "a list of model ids"),
        ({"context_window": 5}, "states no rate"),
    ],
)
def test_what_an_entry_may_not_say_names_the_field(fields, words):
    with pytest.raises(ConfigurationError) as caught:
        Prices(json.dumps({"mine/m": fields})).load()
    assert words in str(caught.value)
    assert 'QUOTH_PRICES: entry "mine/m"' in str(caught.value)


def test_a_bad_entry_loses_no_good_one_and_all_bad_ones_are_named(tmp_path):
    bad, good = tmp_path / "bad.json", tmp_path / "good.toml"
    bad.write_text('{"mine/a": {"input": "x"}, "mine/b": {"input": "2"}, "mine/c": 5}', encoding="utf-8")
    good.write_text('["mine/d"]\ninput = 3\n', encoding="utf-8")
    prices = Prices(os.pathsep.join([str(bad), str(tmp_path / "none.json"), str(good)]))
    with pytest.raises(ConfigurationError) as caught:
        prices.load()
    said = str(caught.value)
    assert 'entry "mine/a", field "input"' in said
    assert 'entry "mine/c"' in said
    assert "none.json: cannot be read" in said

    def cost(model):
        return prices.cost("mine", model, Usage(input=1_000_000), at=NOW)

    assert [usd(cost(model)) for model in "abcd"] == [None, "2", None, "3"]
    assert 'entry "mine/a", field "input"' in cost("a").reason
    prices.load()  # once


def test_a_bad_variable_is_said_at_the_first_call_before_anything_is_sent(monkeypatch):
    monkeypatch.setenv("QUOTH_PRICES", '{"mine/m": {"input": "x"}, "mine/n": {"input": "2"}}')
    api = api_of(answer("n"), answer())
    with pytest.raises(ConfigurationError, match='QUOTH_PRICES: entry "mine/m", field "input"'):
        ask(api, "mine/n")
    assert usd(ask(api, "mine/n")) == "2"
    unknown = ask(api)
    assert unknown.usd is None
    assert 'entry "mine/m", field "input"' in unknown.reason


def test_prices_are_reloaded_all_or_none(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text('{"mine/m": {"input": "2"}}', encoding="utf-8")
    api = api_of(*[answer()] * 4, prices=str(path))
    api.register_price("mine/n", input="1")
    assert usd(ask(api)) == "2"
    path.write_text('{"mine/m": {"input": "3"}}', encoding="utf-8")
    assert usd(ask(api)) == "2"
    api.reload_prices()
    assert usd(ask(api)) == "3"
    path.write_text('{"mine/m": {"input": "x"}}', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"prices\.json"):
        api.reload_prices()
    assert usd(ask(api)) == "3"
    assert usd(api._service.prices.cost("mine", "n", Usage(input=1_000_000), at=NOW)) == "1"


@settings(deadline=None, max_examples=50)
@given(rate=st.decimals(0, 1000, places=6), factor=st.decimals(0, 2, places=2), count=st.integers(0, 10**9))
def test_a_multiplied_rate_is_exact_or_there_is_none(rate, factor, count):
    prices = Prices(json.dumps({"mine/m": {"input": f"{rate:f}", "output": "1", "multiplier": f"{factor:f}"}}))
    assert prices.cost("mine", "m", Usage(input=count), at=NOW).usd == rate * factor * count / 1_000_000


# Whose word chose the rate.


@pytest.mark.parametrize(
    ("said", "expected", "basis"),
    [
        ({"tier": "flex"}, "1", "served"),
        ({"tier": "default"}, "2", "served"),
        ({"tier": "default", "asked": (("service_tier", "flex"),)}, "2", "served"),
        ({"asked": (("service_tier", "flex"),)}, "1", "requested"),
        ({"asked": (("service_tier", "default"),)}, "2", "requested"),
        ({"asked": (("service_tier", "auto"),)}, "2", "assumed"),
        ({}, "2", "assumed"),
        ({"asked": (("service_tier", "turbo"),)}, None, "requested"),
        ({"tier": "ON_DEMAND_PRIORITY"}, "4", "served"),
    ],
)
def test_the_answer_is_believed_first_then_the_request_and_the_cost_says_which(said, expected, basis):
    cost = Prices().cost("openai", "gpt-6-sol", Usage(input=100_000, output=80_000), at=NOW, host="host:x", **said)
    assert (usd(cost), cost.basis) == (None if expected is None else f"{Decimal(expected) / 2:f}", basis)


def test_a_row_with_one_price_leaves_nothing_to_assume():
    cost = Prices('{"mine/m": {"input": "1"}}').cost("mine", "m", Usage(input=1), at=NOW)
    assert cost.basis == "served"
    assert (
        Prices('{"mine/m": {"input": "1"}}').cost("mine", "", Usage(input=1), at=NOW, requested="m").basis
        == "requested"
    )


@pytest.mark.parametrize(
    ("said", "factor", "basis"),
    [
        ({"region": "us"}, "1.1", "served"),
        ({"region": "global", "asked": (("inference_geo", "us"),)}, "1", "served"),
        ({"asked": (("inference_geo", "us"),)}, "1.1", "requested"),
        ({}, "1", "assumed"),
    ],
)
def test_a_place_is_believed_in_the_same_order(said, factor, basis):
    cost = Prices().cost("anthropic", "claude-sonnet-5-5", Usage(input=1), at=NOW, tier="standard", **said)
    assert (cost.rule.multiplier, cost.basis) == (factor, basis)


def test_speed_is_a_price_of_its_own():
    usage = Usage(input=1_000_000)
    fast = Prices().cost("anthropic", "claude-opus-4-8", usage, at=NOW, tier="standard", speed="fast")
    assert (usd(fast), fast.mode) == ("10", "speed_fast")
    assert usd(Prices().cost("anthropic", "claude-opus-4-8", usage, at=NOW, speed="standard")) == "5"
    said = {"tier": "standard", "region": "global"}
    asked = Prices().cost("anthropic", "claude-opus-4-8", usage, at=NOW, asked=(("speed", "fast"),), **said)
    assert (usd(asked), asked.basis) == ("10", "requested")
    assert Prices().cost("anthropic", "claude-opus-4-8", usage, at=NOW, tier="batch", speed="fast").usd is None


def test_what_was_asked_for_reaches_the_price_where_the_answer_is_silent():
    api = api_of(answer("gpt-6-sol"), answer("gpt-6-sol", service_tier="default"))
    extra = {"openai": {"service_tier": "flex"}}
    costs = [ask(api, "openai/gpt-6-sol", extra=extra) for _ in range(2)]
    assert [(usd(cost), cost.mode, cost.basis) for cost in costs] == [
        ("2", "flex", "requested"), ("4", "standard", "served"),
    ]  # fmt: skip


def test_a_moving_name_gives_an_estimate_and_old_prices_are_stale():
    prices = Prices()
    moving = prices.cost("mistral", "mistral-small-latest", Usage(input=1_000_000), at=NOW)
    assert (moving.kind, str(moving)) == ("estimate", "about $0.15")
    fresh, old = (prices.cost("openai", "gpt-5", Usage(input=1), at=NOW + days * 86_400) for days in (0, 200))
    assert (fresh.stale, old.stale) == (False, True)
    assert "stale" in old.explain()
    assert prices.cost("mistral", "mistral-large-latest", Usage(input=1), at=NOW).disputed


# What the provider states.


STATED = {**COUNTS, "completion_tokens": 10, "is_byok": False, "cost": 0.0004970133333333333}


def test_a_stated_cost_wins_and_the_computed_one_stands_beside_it():
    api = api_of(answer("openai/gpt-4o-mini", STATED))
    cost = ask(api, "openrouter/openai/gpt-4o-mini")
    assert (cost.usd, cost.kind, cost.basis) == (Decimal("0.0004970133333333333"), "provider", "served")
    assert cost.source == "the provider, in usage.cost"
    assert cost.computed.usd == Decimal("0.150006")
    assert cost.difference == Decimal("0.0004970133333333333") - Decimal("0.150006")
    assert cost.explain().startswith(
        "$0.0004970133333333333, as the provider, in usage.cost states; computed: $0.150006 ="
    )


@pytest.mark.parametrize(
    ("usage", "kind", "expected"),
    [
        ({**COUNTS, "cost": 0}, "provider", "0"),
        ({**COUNTS, "cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}}, "provider", "0.5"),
        ({**COUNTS, "cost": 0.1, "is_byok": True, "cost_details": {}}, "computed", "0.15"),
        ({**COUNTS, "cost": None}, "computed", "0.15"),
        ({**COUNTS, "cost": "a lot"}, "computed", "0.15"),
        ({**COUNTS, "cost": -1}, "computed", "0.15"),
        (COUNTS, "computed", "0.15"),
        ({"prompt_tokens": -5, "completion_tokens": 1, "cost": 0.25}, "provider", "0.25"),  # whatever was counted
    ],
)
def test_what_is_stated_is_read_and_what_is_none_is_not(usage, kind, expected):
    cost = ask(api_of(answer("openai/gpt-4o-mini", usage)), "openrouter/openai/gpt-4o-mini")
    assert (cost.kind, usd(cost)) == (kind, expected)


def test_a_stated_cost_is_known_where_the_model_has_no_price():
    usage = {**COUNTS, "cost": 0.25}
    cost = ask(api_of(answer("nobody/knows", usage)), "openrouter/nobody/knows")
    assert (usd(cost), cost.computed.usd, cost.difference) == ("0.25", None, None)
    assert "computed: unknown (no price for openrouter/nobody/knows" in cost.explain()


def test_ticks_are_dollars_and_streams_and_totals_say_the_same():
    usage = {**COUNTS, "cost_in_usd_ticks": 232_856_000}
    api = api_of(answer("grok-4.3", usage), answer("grok-4.3", usage))
    with api.track() as tally:
        cost = ask(api, "xai/grok-4.3")

        async def again():
            return (await api.aio("xai/grok-4.3", "Hi", api_key="k", dialect="openai_chat")).cost

        assert asyncio.run(again()) == cost
    assert usd(cost) == "0.0232856"
    assert tally.total.usd == sum([cost, cost]).usd == Decimal("0.0465712")


def test_a_provider_of_your_own_may_state_its_cost_too():
    api = api_of(answer(usage={**COUNTS, "price": {"cents": 25}}))
    api.register_provider(
        "mine", base_url="https://x.example/v1", reported_cost="usage.price.cents", reported_cost_units=100
    )
    assert usd(ask(api)) == "0.25"


def test_a_cost_beside_the_usage_is_found_in_the_body():
    api = api_of(answer(cost={"usd": 0.125}))
    api.register_provider("mine", base_url="https://x.example/v1", reported_cost="cost.usd")
    assert usd(ask(api)) == "0.125"


def test_a_stream_that_is_cut_has_an_unknown_cost_and_so_has_what_came_of_it():
    first = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}
    api = api_of(
        Reply(
            body=(b"data: " + json.dumps(first).encode() + b"\n\n",), headers=(("content-type", "text/event-stream"),)
        )
    )
    api.register_price("mine/m", input="2", output="3")
    with api.track() as tally, pytest.raises(StreamInterruptedError) as caught:
        api.stream("mine/m", "Hi", api_key="k").read()
    assert caught.value.partial.text == "Hel"
    assert caught.value.partial.cost.usd is None
    assert caught.value.partial.cost.reason == "the call ended before the provider stated its usage"
    assert (tally.total.usd, tally.total.unknown_costs) == (0, 1)
