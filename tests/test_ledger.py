"""Reading a ledger: a row is its record, sums are exact, a check finds what was tampered with; on both engines."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from msgspec.structs import replace

from postgres_server import postgres_server, postgres_url  # noqa: F401
from quoth import ModelsAPI, Settings, Usage
from quoth._costs import Prices
from quoth.cli import run
from quoth.cli._console import Console
from quoth.cli._terminal import neutralize
from quoth.errors import ConfigurationError, InputError
from quoth.instrumentation import CallRecord, Journal
from quoth.instrumentation.ledger import Ledger, StorageError, _export
from quoth.instrumentation.ledger._rows import record_of, row_of
from quoth.instrumentation.ledger._spill import _entry_of
from quoth.instrumentation.ledger._tables import COLUMNS
from quoth.types import EVENT_BUCKETS, TOKEN_BUCKETS, Attempt, Cost, PriceRule

BUCKETS = (*TOKEN_BUCKETS, *EVENT_BUCKETS)
DAY = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
_ids = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request, tmp_path):
    return str(tmp_path / "calls.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def ledger(where):
    with Ledger.at(where) as ledger:
        yield ledger


def keep(ledger, *records):
    ledger.writer.ready()
    for record in records:
        ledger.writer.append(record)
    assert ledger.flush(10.0)


# Records.

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
some = st.none() | text
seconds = st.floats(0, 1e6)
moments = st.floats(0, 4e9)
amounts = st.integers(0, 2**70)
counts = st.dictionaries(st.sampled_from(BUCKETS), st.integers(1, 2**53), max_size=5)
usages = st.builds(
    lambda counts, source: Usage(**counts, source=source),
    counts,
    st.sampled_from(["provider", "provider", "missing", "suspect"]),
)
rules = st.builds(
    PriceRule,
    id=text,
    rates=st.dictionaries(st.sampled_from(BUCKETS), st.integers(0, 2**50), max_size=6),
    source=text,
    as_of=some,
    mode=text,
    above=st.integers(0, 2**40),
    disputed=st.lists(text, max_size=2).map(tuple),
)
reckoned = st.builds(
    Cost,
    femto=st.none() | amounts,
    kind=st.sampled_from(["computed", "override", "local", "unknown"]),
    counts=counts.map(lambda counts: tuple(counts.items())),
    rule=st.none() | rules,
    reason=some,
    basis=st.sampled_from([None, "served", "requested", "assumed"]),
    stale=st.booleans(),
)
stated = st.builds(
    Cost,
    femto=amounts,
    kind=st.just("provider"),
    basis=st.just("served"),
    stated=text,
    stated_in=text,
    computed=reckoned,
)
attempts = st.builds(
    Attempt, provider=text, model=text, started=seconds, seconds=seconds, waited=seconds,
    status=st.none() | st.integers(100, 599), error_kind=some, request_id=some,
    billed=st.sampled_from(["no", "maybe", "yes"]), followed_by=some,
)  # fmt: skip
records = st.builds(
    CallRecord,
    id=st.builds(lambda: f"c-{next(_ids)}"),
    operation=st.sampled_from(["generate", "list_models"]),
    parent=some,
    tags=st.dictionaries(text, text, max_size=3),
    provider=text,
    model=text,
    served_model=some,
    stream=st.booleans(),
    outcome=st.sampled_from(["answered", "failed", "cancelled", "abandoned"]),
    error_kind=some,
    status=st.none() | st.integers(100, 599),
    finish_reason=some,
    sent=st.sampled_from(["no", "maybe", "yes"]),
    usage=st.none() | usages,
    cost=st.none() | reckoned | stated,
    started_at=moments,
    seconds=seconds,
    first_output_seconds=st.none() | seconds,
    attempts=st.lists(attempts, max_size=3).map(tuple),
    changes=st.lists(text, max_size=2).map(tuple),
)


def test_every_field_has_its_place():
    """A field that is added to these is to be a column, in a further step of the schema, or a reason here."""
    assert set(CallRecord.__struct_fields__) <= {*COLUMNS, "usage", "cost"}
    assert set(Cost.__struct_fields__) == {
        "femto", "kind", "counts", "rule", "reason", "basis", "stale", "stated", "stated_in", "computed",
    }  # fmt: skip


@given(records)
def test_a_record_comes_back_from_its_row_and_from_its_line_in_the_spill(record):
    row, price = row_of(record)
    assert set(row) <= set(COLUMNS)
    rule = price[1] if price else None
    assert record_of(row, rule) == record
    line = msgspec.json.encode(
        {"row": {name: value for name, value in row.items() if value is not None}, "price": price}
    )
    spilled, spilled_price = _entry_of(line)
    assert record_of({**dict.fromkeys(COLUMNS), **spilled}, spilled_price[1] if spilled_price else None) == record


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, phases=[Phase.explicit, Phase.generate]
)
@given(made=st.lists(records, min_size=1, max_size=8))
def test_records_come_back_from_the_database_and_their_sums_are_those_of_the_journal(ledger, made):
    before = {record.id for record in ledger.records()}
    keep(ledger, *made)
    found = [record for record in ledger.records() if record.id not in before]
    assert found == sorted(made, key=lambda record: (record.started_at, record.id))
    journal = Journal()
    for record in ledger.records():
        journal.append(record)
    total = ledger.total()
    assert total == journal.usage().total
    # What stands beside a stated or unknown cost here is drawn at random: only derived columns can be checked.
    derived = {each.column for each in ledger.check().disagreements}
    assert derived <= {"cost_femto", "computed_femto", "cost_counts", "cost_stated"}


def hostile(**more):
    return CallRecord(
        id=f"h-{next(_ids)}", operation="generate", provider="p", model="m", outcome="answered", started_at=DAY,
        seconds=1.0, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"served_model": "a\0b\udc80c" * 2000},
        {"tags": {"user": "\udc80"}},
        {"attempts": (Attempt(provider="p", model="m", started=0.0, seconds=0.0, request_id="\0\udc80" * 3000),)},
        {"usage": Usage(input=2**80)},
        {"cost": Cost(femto=10**60)},
        {"first_output_seconds": float("nan")},
        {"changes": ("\udc80",)},
    ],
    ids=lambda more: next(iter(more)),
)
def test_whatever_a_record_holds_its_row_is_kept(ledger, more):
    record = replace(hostile(), started_at=DAY, **more)
    keep(ledger, record, hostile())
    assert ledger.counts.lost == 0
    assert ledger.total().calls == 2
    assert len(list(ledger.records())) == 2
    if "cost" in more:
        assert (ledger.total().femto, ledger.total().unknown_costs) == (0, 1)


# Sums.

PRICES = Prices()


def call(model="openai/gpt-6-luna", *, at=DAY, tags=None, outcome="answered", **usage):
    provider, _, name = model.partition("/")
    used = Usage(**usage) if usage else None
    return CallRecord(
        id=f"s-{next(_ids)}", operation="generate", provider=provider, model=name, outcome=outcome, started_at=at,
        seconds=0.5, usage=used, cost=None if used is None else PRICES.cost(provider, name, used, at=at),
        tags=tags or {}, attempts=(Attempt(provider=provider, model=name, started=0.0, seconds=0.5, status=200),),
    )  # fmt: skip


DAYS = [
    call(input=100, output=10, tags={"user": "u1", "feature": 'a "b"'}),
    call(input=7, cache_read=3, output=1, tags={"user": "u2"}, at=DAY + 86_400),
    call("anthropic/claude-haiku-5-5", input=3, output=1, reasoning=1, tags={"user": "u1"}),
    call("openai/no-such-model", input=5, output=5),
    call(outcome="failed", tags={"user": "u2"}),
    replace(call(), operation="list_models", model="", id="list"),
]


def test_totals_by_each_dimension_are_those_of_its_calls(ledger):
    keep(ledger, *DAYS)

    def totals_of(*records):
        journal = Journal()
        for record in records:
            journal.append(record)
        return journal.usage().total

    one, two, three, four, five, _ = DAYS
    assert ledger.total() == totals_of(*DAYS)
    assert ledger.totals("day") == {"2026-11-25": totals_of(one, three, four, five), "2026-11-26": totals_of(two)}
    assert ledger.totals("provider") == {"anthropic": totals_of(three), "openai": totals_of(one, two, four, five)}
    assert ledger.totals("user") == ledger.totals("tag:user")
    assert ledger.totals("user") == {"u1": totals_of(one, three), "u2": totals_of(two, five)}
    assert ledger.totals("tag:feature") == {'a "b"': totals_of(one)}
    assert ledger.totals("model")["openai/no-such-model"].unknown_costs == 1
    assert ledger.totals("model", user="u1", until="2026-11-26") == {
        "anthropic/claude-haiku-5-5": totals_of(three),
        "openai/gpt-6-luna": totals_of(one),
    }
    assert ledger.total(since=date(2026, 11, 26)) == totals_of(two)
    assert ledger.total(model="openai/gpt-6-luna") == ledger.total(model="gpt-6-luna") == totals_of(one, two, five)
    assert ledger.total(tags={"feature": 'a "b"'}) == totals_of(one)
    assert [record.id for record in ledger.recent(2)] == [two.id, max(one.id, three.id, four.id, five.id, "list")]


def test_views_have_the_same_sums_as_the_totals(ledger):
    keep(ledger, *DAYS)
    with ledger._database.transaction(write=False) as transaction:
        daily = transaction.rows(
            "SELECT day, SUM(calls), SUM(failed), SUM(cost_nusd) * 1000000 - SUM(cost_excess), SUM(unknown_costs) "
            "FROM quoth_daily GROUP BY day ORDER BY day"
        )
        users = transaction.rows(
            "SELECT value, SUM(calls) FROM quoth_daily_tags WHERE tag = 'user' GROUP BY 1 ORDER BY 1"
        )
        tries = transaction.rows(
            "SELECT COUNT(*), SUM(status), MIN(number) FROM quoth_attempts WHERE provider = 'openai'"
        )
    assert [tuple(map(str, row)) for row in daily] == [
        (day, *map(str, (each.calls, each.failed, each.femto, each.unknown_costs)))
        for day, each in ledger.totals("day").items()
    ]
    assert [(name, int(calls)) for name, calls in users] == [("u1", 2), ("u2", 2)]
    assert [tuple(map(int, row)) for row in tries] == [(5, 1000, 1)]


def test_amounts_above_64_bits_sum_exactly(ledger):
    dear = [replace(hostile(), cost=Cost(femto=5_000 * 10**15 + number)) for number in range(3)]
    keep(ledger, *dear)
    assert ledger.total().femto == 15_000 * 10**15 + 3
    assert ledger.total().usd == Decimal("15000.000000000000003")


def test_asking_for_what_there_is_not_says_what_there_is(ledger):
    keep(ledger, *DAYS)
    with pytest.raises(InputError, match="tag:name"):
        ledger.totals("colour")
    with pytest.raises(InputError, match="colour"):
        ledger.total(colour="red")
    with pytest.raises(InputError, match="since"):
        ledger.total(since="yesterday")


# Changing, by rows that are added.


def test_a_correction_is_a_row_that_holds_the_difference(ledger):
    known, unknown = DAYS[0], DAYS[3]
    keep(ledger, *DAYS)
    before = list(ledger.records())
    first = ledger.correct(known.id, usd="0.5", reason="the bill says so")
    ledger.correct(known.id, usd=Decimal("0.25"), reason="no, so")
    ledger.correct(unknown.id, usd="0.000000000000001", reason="found")
    total, plain = ledger.total(), Journal()
    for record in DAYS:
        plain.append(record)
    expected = plain.usage().total
    assert total.femto == expected.femto - known.cost.femto + 25 * 10**13 + 1
    assert (total.calls, total.unknown_costs) == (expected.calls, 0)
    assert ledger.totals("day")["2026-11-25"].femto == total.femto - DAYS[1].cost.femto
    assert list(ledger.records()) == before
    assert ledger.check().ok
    assert first == f"{known.id}.1"
    for wrong in (0.5, "much", "0.0000000000000001", None):
        with pytest.raises(InputError, match="exact amount"):
            ledger.correct(known.id, usd=wrong, reason="?")
    with pytest.raises(InputError, match="no call"):
        ledger.correct("nobody", usd="1", reason="?")


def test_deleting_a_user_leaves_no_trace_of_them_in_the_files(tmp_path):
    path = tmp_path / "calls.db"
    with Ledger.at(path) as ledger:
        keep(ledger, *[call(input=1, output=1, tags={"user": "somebody-known"}) for _ in range(50)], *DAYS)
        first = next(ledger.records(user="somebody-known"))
        ledger.correct(first.id, usd="1", reason="x")
        assert ledger.delete(user="somebody-known") == 51
        assert ledger.total().calls == 5
        assert ledger.delete(before="2026-11-26", tags={"user": "u1"}) == 2
        with pytest.raises(InputError, match="before="):
            ledger.delete()
        assert not any(b"somebody-known" in each.read_bytes() for each in tmp_path.iterdir())


# Checking.


def tamper(ledger, sql):
    with ledger._database.transaction() as transaction:
        assert transaction.change(sql) >= 1


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("UPDATE quoth_calls SET output = output + 1 WHERE id = '{id}'", "cost_femto"),
        ("UPDATE quoth_calls SET cost_femto = '1' WHERE id = '{id}'", "cost_femto"),
        ("UPDATE quoth_calls SET cost_nusd = cost_nusd + 1 WHERE id = '{id}'", "cost_nusd"),
        ("UPDATE quoth_calls SET day = '2026-01-01' WHERE id = '{id}'", "day"),
        ("UPDATE quoth_calls SET unknown_cost = 1 WHERE id = '{id}'", "unknown_cost"),
        ("UPDATE quoth_calls SET cost_femto = NULL WHERE id = '{id}'", "cost_femto"),
        ("UPDATE quoth_prices SET rule = replace(rule, '\"output\":', '\"output\":1')", "price_id"),
        ("UPDATE quoth_calls SET tags = 'nonsense' WHERE id = '{id}'", "id"),
    ],
)
def test_a_check_finds_the_row_that_was_tampered_with(ledger, sql, column):
    keep(ledger, *DAYS)
    found = ledger.check()
    assert found.ok
    assert (found.rows, found.recomputed, found.unpriced) == (6, 3, 3)
    tamper(ledger, sql.format(id=DAYS[0].id))
    found = ledger.check()
    assert not found.ok
    assert column in {each.column for each in found.disagreements if each.id == DAYS[0].id}
    assert str(DAYS[0].id) in str(found.disagreements[0]) or found.wrong > 1


def test_stated_costs_fees_and_local_calls_agree_with_themselves(tmp_path):
    stated = Cost(femto=7 * 10**11, kind="provider", stated="0.0007", stated_in="usage.cost", computed=DAYS[0].cost)

    def priced(id, provider, model, usage):
        return replace(DAYS[0], id=id, usage=usage, cost=PRICES.cost(provider, model, usage, at=DAY))

    fee = Usage(input=10, output=5, reported={"search_context_size": "low"})
    kept = [
        replace(DAYS[0], id="stated", cost=stated),
        priced("fee", "perplexity", "sonar", fee),
        priced("local", "local", "smollm2", Usage(input=9, output=9)),
        priced("search", "openai", "gpt-6-luna", Usage(input=9, web_searches=2)),
        replace(DAYS[0], id="summed", cost=Cost(femto=5)),
        replace(DAYS[0], id="half known", cost=replace(DAYS[0].cost, femto=None, kind="unknown", reason="one lost")),
        replace(DAYS[0], id="lost", usage=None, cost=Cost(femto=None, kind="unknown", reason="lost")),
    ]
    assert kept[1].cost.femto is not None
    with Ledger.at(tmp_path / "calls.db") as ledger:
        keep(ledger, *kept)
        found = ledger.check()
        assert found.ok, found.disagreements
        tamper(ledger, "UPDATE quoth_calls SET cost_stated = '0.0008' WHERE id = 'stated'")
        assert [each.id for each in ledger.check().disagreements] == ["stated"]


# Export.


def test_exports_hold_every_row_and_column_and_are_their_owners_alone(ledger, tmp_path):
    keep(ledger, *DAYS)
    ledger.correct(DAYS[0].id, usd="1", reason="x, y")
    assert ledger.export(tmp_path / "calls.csv") == ledger.export(tmp_path / "calls.jsonl") == 7
    with (tmp_path / "calls.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text("utf-8").splitlines()]
    assert all(list(each) == list(COLUMNS) for each in (*rows, *lines))
    assert sum(int(row["cost_nusd"] or 0) for row in rows) == sum(line["cost_nusd"] or 0 for line in lines)
    tags = {line["id"]: line["tags"] for line in lines}
    assert tags[DAYS[0].id] == DAYS[0].tags
    assert json.loads(next(row["tags"] for row in rows if row["id"] == DAYS[0].id)) == DAYS[0].tags
    assert {each.stat().st_mode & 0o77 for each in tmp_path.glob("calls.*l*") if each.suffix != ".db"} <= {0}
    assert ledger.export(tmp_path / "some.csv", user="u2") == 2
    with pytest.raises(InputError, match="csv, jsonl, parquet"):
        ledger.export(tmp_path / "calls.xlsx")
    assert not list(tmp_path.glob("*.partial"))


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("https://x/?"&A1)', "\uff1d1", "-"]


def test_a_csv_holds_nothing_that_a_spreadsheet_takes_for_a_formula(ledger, tmp_path):
    """Tags, names of models, ids of requests: all of them others may have chosen. Numbers stay numbers."""
    each = [
        replace(DAYS[0], id=f"{text}{at}", model=text, served_model=text, error_kind=text, finish_reason=text)
        for at, text in enumerate(FORMULAS)
    ]
    keep(ledger, *each)
    ledger.correct(each[0].id, usd="0", reason="=1")
    ledger.export(tmp_path / "calls.csv")
    ledger.export(tmp_path / "calls.jsonl")
    with (tmp_path / "calls.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(tuple("=+@\t\r\n\uff1d")), cell
            assert not cell.startswith("-") or float(cell) < 0, cell
    assert {row["model"].removeprefix("'") for row in rows} == {*FORMULAS}
    assert any(row["cost_femto"].startswith("-") for row in rows)
    assert {json.loads(line)["model"] for line in (tmp_path / "calls.jsonl").read_text("utf-8").splitlines()} == {
        *FORMULAS
    }


def test_a_nul_in_what_others_chose_breaks_no_ledger(ledger):
    record = replace(
        DAYS[0], id="nul", model="a\x00b", served_model="\x00", tags={"a\x00": "b\x00c"}, error_kind="\x00"
    )
    keep(ledger, record)
    assert ledger.total().calls == 1
    assert ledger.check().ok


@pytest.mark.parametrize("package", ["pyarrow", "duckdb"])
def test_parquet_holds_every_row(package, tmp_path):
    pytest.importorskip(package, reason=f"{package} is not installed")
    with Ledger.at(tmp_path / "calls.db") as ledger:
        keep(ledger, *DAYS)
        rows = (row for row, _ in ledger._rows({}))
        write = {"pyarrow": _export._by_pyarrow, "duckdb": _export._by_duckdb}[package]
        assert write(rows, str(tmp_path / "calls.parquet")) == len(DAYS)


def test_without_a_writer_of_parquet_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with Ledger.at(tmp_path / "calls.db") as ledger:
        keep(ledger, *DAYS)
        with pytest.raises(ConfigurationError, match="pip install pyarrow"):
            ledger.export(tmp_path / "calls.parquet")
    assert not list(tmp_path.glob("*parquet*"))


def test_pandas_reads_the_file_directly(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    with Ledger.at(tmp_path / "calls.db") as ledger:
        keep(ledger, *DAYS)
        with closing(sqlite3.connect(tmp_path / "calls.db")) as database:
            frame = pandas.read_sql("SELECT * FROM quoth_calls", database)
        assert frame["cost_nusd"].sum() * 10**6 - frame["cost_excess"].sum() == ledger.total().femto


# The command.


def command(*argv, **more):
    out, err = io.StringIO(), io.StringIO()
    console = Console(stdin=None, stdout=out, stderr=err)
    code = run(["ledger", *argv], ModelsAPI(Settings(**more)), console, {})
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def path(tmp_path):
    with Ledger.at(tmp_path / "calls.db") as ledger:
        keep(ledger, *DAYS)
    return str(tmp_path / "calls.db")


def test_the_command_shows_sums_checks_and_exports(path, tmp_path, monkeypatch):
    monkeypatch.setenv("QUOTH_LEDGER", path)
    code, out, _ = command("show", "--limit", "2")
    assert (code, len(out.splitlines())) == (0, 3)
    code, out, _ = command("show", "--json", "--user", "u1")
    assert {json.loads(line)["id"] for line in out.splitlines()} == {DAYS[0].id, DAYS[2].id}
    code, out, _ = command("totals", "--by", "day")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["2026-11-25", "4"],
        ["2026-11-26", "1"],
        ["total", "5"],
    ]
    code, out, _ = command("totals", "--by", "tag:user", "--json", "--since", "2026-11-26")
    assert json.loads(out) | {"tag:user": "u2", "calls": 1, "usd": f"{DAYS[1].cost.usd:f}"} == json.loads(out)
    assert command("check")[:2] == (0, "6 rows, 3 costs reckoned anew, 3 without a price: all agree\n")
    assert command("export", str(tmp_path / "calls.csv"), "--tag", "user=u1")[0] == 0
    assert len((tmp_path / "calls.csv").read_text().splitlines()) == 3
    assert command("replay")[0] == 0
    assert command("--help")[0] == 0


WICKED = "a\x1b]0;title\x07b\x9b2J\u202ec\nfake row  9,999\x1b]52;c;ZXZpbA"


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("verb", [("show",), ("totals", "--by", "model"), ("totals", "--by", "tag:user"), ("check",)])
@pytest.mark.parametrize("json_too", [False, True])
def test_what_others_chose_moves_nothing_on_a_terminal_and_forges_no_row(tmp_path, verb, json_too):
    path = str(tmp_path / "calls.db")
    with Ledger.at(path) as ledger:
        record = replace(DAYS[0], id="wicked", model=WICKED, served_model=WICKED, tags={"user": WICKED})
        keep(ledger, record, DAYS[1])
    if verb == ("check",):
        connection = sqlite3.connect(path)
        connection.execute("UPDATE quoth_calls SET price_source = ? WHERE id = 'wicked'", (WICKED,))
        connection.commit()
        connection.close()
    for stream in (Screen(), io.StringIO()):
        console = Console(stdin=None, stdout=stream, stderr=io.StringIO())
        words = ["ledger", *verb, "--ledger", path, *(["--json"] if json_too else [])]
        code = run(words, ModelsAPI(Settings()), console, {})
        shown = stream.getvalue()
        assert code == (1 if verb == ("check",) else 0)
        assert not any(line.startswith("fake") for line in shown.splitlines())
        if stream.isatty():
            assert neutralize(shown) == shown
            assert json_too or "$" in shown or verb == ("check",)  # the cell left open hides nothing of the next


def test_the_command_says_by_its_exit_code_that_a_row_disagrees(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE quoth_calls SET output = 11 WHERE id = ?", (DAYS[0].id,))
    connection.commit()
    connection.close()
    code, out, _ = command("check", "--ledger", path)
    assert code == 1
    assert f"{DAYS[0].id}: cost_femto is" in out
    code, out, _ = command("check", "--json", "--ledger", path)
    assert (code, json.loads(out)["wrong"]) == (1, 1)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("show",), 1, "export QUOTH_LEDGER"),
        (("show", "--ledger", "/nowhere/at/all.db"), 1, "no ledger at"),
        (("show", "--ledger", "mysql://x/y"), 1, "no database of ours"),
        (("export",), 2, "needs a FILE"),
        (("show", "file"), 2, "take none"),
        (("dance",), 2, "dance"),
        (("totals", "--tag", "x"), 2, "NAME=VALUE"),
        ((), 2, "quoth -- ledger"),
    ],
)
def test_what_the_command_cannot_do_it_says(argv, code, words, monkeypatch):
    monkeypatch.delenv("QUOTH_LEDGER", raising=False)
    found = command(*argv)
    assert found[0] == code
    assert words in found[2]


def test_a_ledger_that_is_no_database_is_said_in_one_line(tmp_path):
    (tmp_path / "calls.db").write_bytes(b"no database at all " * 300)
    code, _, err = command("totals", "--ledger", str(tmp_path / "calls.db"))
    assert (code, len(err.splitlines())) == (1, 1)
    with pytest.raises(StorageError):
        Ledger.at(tmp_path / "calls.db").total()
