"""The built-in table and where it comes from: what sources state is read as data, voted by rows, and never guessed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(TOOLS))

import build_prices as build  # noqa: E402
import price_report  # noqa: E402
import price_sources as sources  # noqa: E402
import price_vote as votes  # noqa: E402

from quoth._costs import _table  # noqa: E402

DATA = ROOT / "src" / "quoth" / "data" / "prices.txt"
TABLE = Path(os.environ.get("QUOTH_SHARED") or ROOT.parent / "shared") / "prices" / "table.json"
WHEELS = Path(os.environ.get("QUOTH_PRICE_WHEELS") or ROOT / "no wheels")
needs_wheels = pytest.mark.skipif(
    not WHEELS.is_dir(), reason="QUOTH_PRICE_WHEELS names no folder with the pinned wheels"
)

DAY = "2026-11-23"


def said(source="genai-prices", *, named=True, modes=None, windows=(), multipliers=None, tiers=None, **rates):
    text = {name: str(rate) for name, rate in rates.items()}
    period = sources.Dated("", text, tiers or {})
    return sources.Statement(source, named, (period,), modes or {}, windows, multipliers or {})


def voted(*stated, key="acme/m"):
    namespace, _, model = key.partition("/")
    return votes.row(namespace, model, list(stated), DAY)


# Reading genai-prices.


MODULE = """
providers: list[Provider] = [
    Provider(id='openai', name='OpenAI', models=[
        ModelInfo(id='gpt-x', match=ClauseOr(or_=[ClauseEquals(equals='gpt-x'), ClauseEquals(equals='gpt-x-latest'),
            ClauseRegex(regex='^gpt-x-\\\\d{4}$')]),
            prices=[
                ConditionalPrice(constraint=None, prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('8'))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 9)),
                    prices=ModelPrice(
                        input_mtok=TieredPrices(base=Decimal('1.50'), tiers=[Tier(start=1000, price=Decimal('3'))]),
                        output_mtok=Decimal('6'), cache_read_mtok=Decimal('0.08333333333333334'),
                        web_searches_kcount=Decimal('10'))),
                ConditionalPrice(constraint=TimeOfDateConstraint(
                    start_time=datetime.time(1, 0, tzinfo=datetime.timezone.utc),
                    end_time=datetime.time(4, 30, tzinfo=datetime.timezone.utc)),
                    prices=ModelPrice(input_mtok=Decimal('9'), output_mtok=Decimal('9'))),
            ],
            price_variants=[
                PriceVariant(when={'service_tier': 'flex'}, prices=ModelPrice(input_mtok=Decimal('1')),
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 1))),
                PriceVariant(when={'service_tier': 'flex'}, prices=ModelPrice(input_mtok=Decimal('5')),
                    constraint=None),
                PriceVariant(when={'processing': 'batch'}, prices=ModelPrice(input_mtok=Decimal('4')),
                    constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1))),
            ]),
        ModelInfo(id='by-the-hour', match=ClauseEquals(equals='by-the-hour'),
            prices=ModelPrice(audio_hours=Decimal('1'))),
    ]),
    Provider(id='somebody', name='Somebody', models=[]),
]
"""


@pytest.fixture
def genai(monkeypatch):
    monkeypatch.setattr(sources, "content", lambda package, wheel: MODULE)
    return sources.read_genai(Path("x"), DAY)


def test_genai_prices_is_read_as_data(genai):
    [model] = genai["openai"]  # what is billed by the hour has no price for tokens; who has no namespace is left out
    statement = model.statement
    first, now = statement.periods
    assert first == ("", {"input": "2", "output": "8"}, {})
    assert now.day == "2026-03-09"
    assert now.rates == {"input": "1.5", "output": "6", "web_search_per_1000": "10"}  # an artefact of a float is none
    assert now.tiers == {1000: {"input": "3"}}
    assert statement.windows == (("mon-sun", [["01:00", "04:30"]], {"input": "9", "output": "9"}),)
    assert statement.modes == {"flex": ({"input": "1"}, {})}  # the last that has begun


def test_a_clause_names_ids_and_matches_more(genai):
    [model] = genai["openai"]
    assert set(sources.named_by(model.match)) == {"gpt-x", "gpt-x-latest"}
    assert sources.matches(model.match, "GPT-X-2026")
    assert not sources.matches(model.match, "gpt-x-mini")


def test_no_code_of_a_source_is_run():
    with pytest.raises(ValueError, match="malformed"):
        sources._value(ast.parse("__import__('os').getcwd()", mode="eval").body)


def test_another_version_and_other_contents_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="pinned at"):
        sources.content("genai-prices", tmp_path / "genai_prices-0.1.0-py3-none-any.whl")
    import zipfile

    wheel = tmp_path / "genai_prices-0.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("genai_prices/data.py", MODULE)
    with pytest.raises(SystemExit, match="SHA-256"):
        sources.content("genai-prices", wheel)


# Reading litellm.


def litellm(namespace="openai", **model):
    stated = {
        name: Decimal(value) if isinstance(value, str) and name != "mode" else value for name, value in model.items()
    }
    return sources._litellm_statement(namespace, {"mode": "chat", **stated})


def test_litellm_is_read_by_the_grammar_of_its_keys():
    statement = litellm(
        input_cost_per_token="2e-6", output_cost_per_token="1e-5", input_cost_per_token_above_272k_tokens="4e-6",
        input_cost_per_token_above_272k_tokens_flex="2e-6", input_cost_per_token_flex="1e-6",
        cache_creation_input_token_cost_above_1hr="0.000004", cache_creation_input_token_cost="0",
        regional_processing_uplift_multiplier_eu="1.1", output_cost_per_second="1", input_cost_per_token_ultrafast="9",
    )  # fmt: skip
    [period] = statement.periods
    assert period.rates == {"input": "2", "output": "10", "cache_write_1h": "4"}  # its zero says that there is no price
    assert period.tiers == {272_000: {"input": "4"}}
    assert statement.modes == {"flex": ({"input": "1"}, {272_000: {"input": "2"}})}
    assert statement.multipliers == {"host:eu.api.openai.com": "1.1"}


def test_a_search_fee_that_varies_with_its_size_is_one_only_where_it_is_taken_for_each_request():
    fees = {"search_context_size_low": Decimal("0.005"), "search_context_size_medium": Decimal("0.008")}
    rates = {"input_cost_per_token": "1e-6", "search_context_cost_per_query": fees}
    assert litellm("openai", **rates).periods[0].rates == {"input": "1"}
    assert litellm("perplexity", **rates).periods[0].rates == {
        "input": "1", "request_low_per_1000": "5", "request_medium_per_1000": "8",
    }  # fmt: skip


def test_hours_that_are_cheaper_become_hours_that_are_dearer():
    off_peak = {
        "input_cost_per_token": Decimal("1e-6"),
        "windows": [
            {"hours_utc": ["00:00-01:00", "04:00-06:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
            {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
        ],
    }
    statement = litellm("deepseek", input_cost_per_token="2e-6", off_peak_pricing=off_peak)
    assert statement.periods[0].rates == {"input": "1"}
    assert statement.windows == (("mon-fri", [["01:00", "04:00"], ["06:00", "10:00"]], {"input": "2"}),)


@given(st.decimals(0, 10**6, places=12))
def test_a_rate_is_plain_and_exact_or_none(value):
    text = sources.exact(value)
    assert text is None or (Decimal(text) == value and "E" not in text)
    assert (text is None) == (value != value.quantize(Decimal("1e-9")))


# The vote.


def test_sources_that_hold_one_pair_fill_each_others_gaps():
    row = voted(said(input=1, output=2, cache_read="0.1"), said("litellm", input=1, output=2, cache_write="1.25"))
    assert row["price"] == {"input": "1", "output": "2", "cache_read": "0.1", "cache_write": "1.25"}
    assert (row["sources"], row["disagree"]) == (["genai-prices", "litellm"], {})


def test_who_holds_another_pair_joins_no_row_and_is_heard_beside_it():
    row = voted(said(input=1, output=2), said("litellm", input=1, output=3, cache_read="0.1"))
    assert row["price"] == {"input": "1", "output": "2"}
    assert (row["sources"], row["disagree"]) == (["genai-prices"], {"output": {"litellm": "3"}})
    assert "modes" not in voted(
        said(input=1, output=2), said("litellm", input=9, output=9, modes={"batch": ({"input": "1"}, {})})
    )


def test_holders_that_differ_in_another_field_are_both_heard():
    row = voted(said(input=1, output=2, cache_read="0.1"), said("litellm", input=1, output=2, cache_read="0.2"))
    assert (row["price"]["cache_read"], row["disagree"]) == ("0.1", {"cache_read": {"litellm": "0.2"}})


def test_a_verdict_turns_the_vote():
    key, (source, _) = next(iter(votes.VERDICTS.items()))
    row = voted(said(input=9, output=9), said(source, input=1, output=2), key=key)
    assert (row["price"]["input"], row["sources"]) == ("1", [source])


def test_a_rate_that_stands_in_anyway_is_left_out_unless_it_differs_somewhere():
    assert "reasoning" not in voted(said(input=1, output=2, reasoning=2))["price"]
    flex = {"flex": ({"input": "1", "output": "1", "reasoning": "2"}, {})}
    row = voted(said(input=1, output=2, reasoning=2, modes=flex))
    assert row["price"]["reasoning"] == row["modes"]["flex"]["reasoning"] == "2"


def test_steps_told_one_token_apart_are_one_step():
    one = said(input=1, output=2, tiers={199_999: {"input": "2", "output": "4"}})
    other = said("litellm", input=1, output=2, tiers={200_000: {"input": "2", "output": "4", "cache_read": "0.4"}})
    assert voted(one, other)["tiers"]["steps"] == [{"above": 199_999, "input": "2", "output": "4", "cache_read": "0.4"}]


def test_weekdays_come_from_who_states_them():
    peak = {"input": "2", "output": "4"}
    one = said(input=1, output=2, windows=(sources.Window("mon-sun", [["01:00", "04:00"]], peak),))
    other = said("litellm", input=1, output=2, windows=(sources.Window("mon-fri", [["01:00", "04:00"]], peak),))
    [window] = voted(one, other)["schedule"]
    assert (window["days"], window["utc"]) == ("mon-fri", [["01:00", "04:00"]])


@pytest.mark.parametrize(
    ("pattern", "id", "speaks"),
    [
        ("anthropic.claude-x", "us.anthropic.claude-x", True),
        ("anthropic.claude-x", "global.anthropic.claude-x", False),
        ("anthropic.claude-x", "us-gov.anthropic.claude-x", False),
        ("amazon.nova-lite", "us.amazon.nova-lite", True),
        ("amazon.nova-lite", "eu.amazon.nova-lite", False),
        ("openai.gpt-5.6", "us.openai.gpt-5.6", True),
    ],
)
def test_a_pattern_speaks_for_a_place_only_where_prices_are_alike(pattern, id, speaks):
    assert votes._same_place(pattern, id) is speaks


def test_rows_that_an_alias_or_the_undated_id_stands_for_are_folded(genai):
    model = genai["openai"][0]
    rows = votes.vote(genai, {("openai", "gpt-x-2026-01-01"): model.statement._replace(source="litellm")}, [], DAY)
    assert set(rows) == {"openai/gpt-x", "openai/gpt-x-latest", "openai/gpt-x-2026-01-01"}
    folded = votes.folded(rows, genai)
    assert {key: row["aliases"] for key, row in folded.items()} == {"openai/gpt-x": ["gpt-x-latest"]}


# What is held back.


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"input": "0"}, "zero"),
        ({"output": "0"}, "zero"),
        ({"cache_read": "3"}, "cached"),
        ({"output": "31"}, "30 times"),
        ({"output": None}, "no output"),
    ],
)
def test_what_is_more_likely_a_mistake_than_a_price_is_refused(changes, word):
    stated = {"input": "1", "output": "2"} | changes
    row = voted(said(**{name: rate for name, rate in stated.items() if rate is not None}))
    assert word in build.fault("acme/m", row)


def test_a_zero_that_is_meant_is_kept():
    key = next(iter(build.FREE_OF_CHARGE))
    assert build.fault(key, voted(said(input=0, output=0), key=key)) is None


@pytest.mark.parametrize(("now", "jumps"), [("1.5", 0), ("1.6", 1), ("0.5", 0), ("0.4", 1)])
def test_a_price_that_moved_by_more_than_half_stops_the_build(tmp_path, now, jumps):
    old = tmp_path / "old.txt"
    old.write_text(build.render({"acme/m": voted(said(input=1, output=2))}), encoding="utf-8")
    assert len(build.moved(old, build.render({"acme/m": voted(said(input=now, output=2))}))) == jumps
    assert build.moved(tmp_path / "none.txt", "") == []


def test_what_is_written_is_what_is_read():
    windows = (sources.Window("mon-fri", [["01:00", "04:00"]], {"input": "2", "output": "4"}),)
    one = said(
        input=1, output=2, web_search_per_1000=10, tiers={200: {"input": "2", "output": "4"}}, windows=windows,
        modes={"flex": ({"input": "0.5", "output": "1"}, {})}, multipliers={"inference_geo:us": "1.1"},
    )  # fmt: skip
    text = build.render({"acme/m": voted(one, said("litellm", input=1, output=3)), "acme/a": voted(one, key="acme/a")})
    table = _table._parse(text.encode())
    row = table.row("acme/m")
    assert (row.source, row.as_of, row.multipliers) == (
        "built-in table (genai-prices)",
        DAY,
        {"inference_geo:us": "1.1"},
    )
    assert row.disputed == ("output: litellm 3",)
    assert [(each.mode, each.window, each.above) for each in row.sets] == [
        ("standard", "", 0), ("standard", "", 200), ("standard", "peak mon-fri 01:00-04:00", 0), ("flex", "", 0),
    ]  # fmt: skip
    assert all(each.rates["web_search_per_1000"] == "10" for each in row.sets)
    assert table.ids() == ["acme/a", "acme/m"]


@given(
    st.lists(st.text(alphabet="abc/@.-", min_size=1, max_size=6), unique=True), st.text(alphabet="abc/@.-", max_size=6)
)
def test_every_row_and_nothing_else_is_found_by_halves(names, other):
    keys = [f"x/{name}" for name in names]
    row = voted(said(input=1, output=2))
    table = _table._parse(build.render(dict.fromkeys(keys, row)).encode())
    assert all(table.row(key).id == key for key in keys)
    assert (table.row(f"x/{other}") is None) == (other not in names)


def test_windows_line_ends_change_nothing():
    text = build.render({"acme/m": voted(said(input=1, output=2))})
    assert _table._parse(text.replace("\n", "\r\n").encode()) == _table._parse(text.encode())


# The committed table.


def test_every_line_of_the_table_is_in_its_place_and_understood():
    table = _table.table()
    lines = table.body.decode().splitlines()
    assert lines == sorted(lines)
    assert (table.as_of, set(table.sources)) == (build.AS_OF, set(sources.PINNED))
    for key in table.ids():
        assert table.row(key).sets, key
        assert are_exact(table.row(key)), key


def are_exact(row):
    texts = [rate for each in row.sets for rate in each.rates.values()]
    return all(build.EXACT.fullmatch(text) or text == "input" for text in texts)


@needs_wheels
def test_building_anew_gives_the_committed_file_byte_for_byte(tmp_path):
    target = tmp_path / "prices.txt"
    [genai], [litellm] = WHEELS.glob("genai_prices-*.whl"), WHEELS.glob("litellm-*.whl")
    compare = ["--compare", str(TABLE)] if TABLE.exists() else []
    command = [sys.executable, str(TOOLS / "build_prices.py"), str(genai), str(litellm), "--output", str(target)]
    done = subprocess.run([*command, *compare], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert target.read_bytes() == DATA.read_bytes()


# The report.


def model_row(**changes):
    model = {"provider": "acme", "id": "m", "kind": "chat", "price": {"input": "1", "output": "2"}}
    return {**model, **changes}


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (model_row(), 0),
        (model_row(price={"input": "1", "output": "2", "cache_read": "0.1"}), 0),  # who is not pinned says so
        (model_row(price={"input": "7", "output": "2"}), 1),
        (model_row(id="unheard-of"), 0),
    ],
)
def test_a_difference_without_a_class_fails(model, code, capsys):
    genai = {"acme": [sources.Model("m", {"is": "ClauseEquals", "equals": "m"}, said(input=1, output=2))]}
    rows = {"acme/m": voted(said(input=1, output=2))}
    assert price_report.report({"models": [model]}, rows, {}, genai, {}) == code
    assert ("UNCLASSIFIED" in capsys.readouterr().out) == bool(code)


def test_every_class_says_where_it_can_be_looked_up():
    assert all(each.source for each in price_report.CLASSES)
    assert len({each.name for each in price_report.CLASSES}) == len(price_report.CLASSES)
