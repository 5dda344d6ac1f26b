"""Writing a ledger: nothing that happens to it reaches a call, and what happened to a call reaches it once."""

from __future__ import annotations

import gc
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import warnings
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from postgres_server import postgres_server, postgres_url  # noqa: F401
from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth._database import Part, Step, open_database, place_of
from quoth.dialects.openai_chat.server import build_events, build_response
from quoth.errors import ConfigurationError, RateLimitError
from quoth.instrumentation import UsageTotals
from quoth.instrumentation.ledger import Counts, Ledger, _pump
from quoth.instrumentation.ledger._tables import PART
from quoth.testing import FakeProvider, Fault, Reply, ScriptedTransport
from tables import chat_table

CHILD = Path(__file__).with_name("ledger_child.py")
POSIX = pytest.mark.skipif(os.name != "posix", reason="forks, signals and limits of POSIX")
ANSWER = Response(
    message=Message.assistant("secret answer"), finish_reason="stop", model="gpt-4", usage=Usage(input=9, output=3)
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "QUOTH_PRICES", "QUOTH_LEDGER"):
        monkeypatch.delenv(name, raising=False)


def scripted(request):
    if json.loads(request.body).get("stream"):
        return Reply(headers=(("content-type", "text/event-stream"),), body=tuple(build_events(ANSWER)))
    return Reply(body=build_response(ANSWER).body)


def api_of(ledger, **more):
    settings = Settings(
        transport=ScriptedTransport(scripted), api_keys={"openai": "sk-secret-key"}, ledger=ledger, **more
    )
    return ModelsAPI(settings, providers=chat_table())


@contextmanager
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def locked(path):
    """Another process holds the database."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def files_of(path):
    return sorted(each.name for each in Path(path).parent.iterdir() if each.name.startswith(Path(path).name))


# Processes.


def answer_by_words(request):
    match request.messages[-1].text.split()[0]:
        case "refuse":
            return RateLimitError("slow down")
        case "cut":
            return Fault(answer="It was", cut="reset", after_bytes=400)
    return request.messages[-1].text


@contextmanager
def child(fake, ledger, *words):
    kept = {name: value for name, value in os.environ.items() if "KEY" not in name and "QUOTH" not in name}
    source = str(CHILD.parents[1] / "src")
    environment = {**kept, **fake.environment(), "QUOTH_LEDGER": str(ledger), "PYTHONPATH": source}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(CHILD), *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process):
    """What a child says in the end. It must end well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return json.loads(out.splitlines()[-1]) if out else None


@pytest.fixture(scope="module")
def fake():
    with FakeProvider(answer_by_words, keep=1) as fake:
        yield fake


def sum_of(totals):
    """Totals of processes, added."""
    tokens = {}
    for each in totals:
        for name, count in each["tokens"].items():
            tokens[name] = tokens.get(name, 0) + count
    names = [name for name in UsageTotals.__struct_fields__ if name != "tokens"]
    return UsageTotals(tokens=tokens, **{name: sum(each[name] for each in totals) for name in names})


def check_mixed(fake, ledger, calls):
    with (
        child(fake, ledger, "mixed", calls, 1) as one,
        child(fake, ledger, "mixed", calls, 2) as two,
        child(fake, ledger, "mixed", calls, 3) as three,
        child(fake, ledger, "mixed", calls, 4) as four,
    ):
        said = [told(each) for each in (one, two, three, four)]
    kept = Ledger.at(ledger)
    total = kept.total()
    assert total == sum_of([each["total"] for each in said])
    assert total.calls == 4 * calls
    assert total.femto == sum(each["answers"] for each in said)
    assert min(total.failed, total.abandoned, total.unknown_costs, total.femto) > 0
    by_process = kept.totals("tag:process")
    assert [by_process[str(seed)].femto for seed in (1, 2, 3, 4)] == [each["answers"] for each in said]
    found = kept.check()
    assert found.ok, found.disagreements
    assert found.rows == total.calls


def test_answers_totals_and_ledger_are_equal_over_mixed_calls_of_several_processes(fake, tmp_path):
    check_mixed(fake, tmp_path / "calls.db", 500)


def test_answers_totals_and_ledger_are_equal_in_postgres_too(fake, postgres_url):  # noqa: F811
    check_mixed(fake, postgres_url, 100)


@pytest.mark.slow
def test_answers_totals_and_ledger_are_equal_over_ten_thousand_calls(fake, tmp_path):
    check_mixed(fake, tmp_path / "calls.db", 2_500)


@POSIX
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_what_was_flushed_survives_kill_9_and_nothing_is_there_twice_or_half(fake, tmp_path, request, engine):
    ledger = tmp_path / "calls.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
    with child(fake, ledger, "steady", 0) as process:
        said = [json.loads(process.stdout.readline())["made"] for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = Ledger.at(ledger)
    assert said[-1] <= kept.total().calls <= said[-1] + 40
    assert kept.check().ok
    assert len({record.id for record in kept.records()}) == kept.total().calls


@POSIX
def test_spilled_rows_survive_kill_9_and_are_replayed_exactly_once_by_whoever_comes_next(fake, tmp_path):
    path = tmp_path / "calls.db"
    api = api_of(path)
    api("gpt-4", "first")
    api.close()
    assert Ledger.at(path).replay() == 0
    with locked(path), child(fake, path, "spill", 30) as process:
        assert json.loads(process.stdout.readline())["spilled"] == 30
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [name for name in files_of(path) if "-spill-" in name]
    with child(fake, path, "plain", 5) as one, child(fake, path, "plain", 5) as two:
        told(one), told(two)
    kept = Ledger.at(path)
    assert kept.total().calls == 41
    assert kept.check().ok
    assert not [name for name in files_of(path) if "-spill-" in name]
    assert kept.replay() == 0


@POSIX
def test_a_full_disk_costs_no_call_and_no_row_once_there_is_room_again(fake, tmp_path):
    path = tmp_path / "calls.db"
    with child(fake, path, "full", 150_000) as process:
        said = told(process)
    assert said["during"]["failures"] > 0
    assert not said["flushed"]
    assert said["after"], said
    assert said["counts"]["lost"] == 0
    assert Ledger.at(path).total().calls == 401
    assert not [name for name in files_of(path) if "-spill-" in name]


@POSIX
def test_forked_children_write_for_themselves_and_nothing_is_lost_or_there_twice(fake, tmp_path):
    path = tmp_path / "calls.db"
    with child(fake, path, "forks", 0) as process:
        told(process)
    kept = Ledger.at(path)
    assert {name: each.calls for name, each in kept.totals("tag:child").items()} == dict.fromkeys("0123", 10)
    assert kept.total().calls == 80
    assert kept.check().ok


def test_a_program_that_just_ends_has_written_all_and_one_without_a_ledger_loads_nothing_for_it(fake, tmp_path):
    path = tmp_path / "calls.db"
    with child(fake, path, "plain", 3) as process:
        assert "sqlite3" in told(process)["modules"]
    assert Ledger.at(path).total().calls == 3
    with child(fake, "", "plain", 1) as process:
        loaded = set(told(process)["modules"])
    assert not {name for name in loaded if name == "sqlite3" or "_database" in name or ".ledger" in name}


# In this process.


def test_a_call_that_garbage_collection_ends_is_in_the_ledger(tmp_path):
    api = api_of(tmp_path / "calls.db")
    stream = api.stream("gpt-4", "Hello")
    next(iter(stream))
    del stream
    gc.collect()
    assert [record.outcome for record in api.ledger.records()] == ["abandoned"]
    api.close()


def test_a_locked_file_delays_rows_and_no_call(tmp_path):
    path = tmp_path / "calls.db"
    api = api_of(path)
    api("gpt-4", "Hello")
    assert api.flush()
    with quiet(), locked(path):
        began = time.perf_counter()
        for _ in range(20):
            api("gpt-4", "Hello")
        assert time.perf_counter() - began < 5
        assert not api.flush(5.0)
        counts = api.ledger.counts
        assert (counts.written, counts.spilled, counts.lost) == (1, 20, 0)
    assert api.flush(10.0)
    counts = api.ledger.counts
    assert (counts.written, counts.replayed) == (1, 20)
    assert api.ledger.total() == api.usage().total
    api.close()
    assert files_of(path) == ["calls.db"]


def test_what_overflows_the_queue_is_spilled_and_comes_back_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_pump, "MOST", 40)
    monkeypatch.setattr(_pump, "FULL", 10_000)
    path = tmp_path / "calls.db"
    api = api_of(path)
    api("gpt-4", "Hello")
    api.flush()
    with quiet(), locked(path):
        for _ in range(300):
            api("gpt-4", "Hello")
        api.flush(5.0)
        assert api.ledger.counts.spilled >= 250
    assert api.flush(10.0)
    assert api.ledger.total() == api.usage().total
    assert api.ledger.total().calls == 301
    assert api.ledger.counts.lost == 0
    api.close()


@pytest.mark.parametrize("place", ["a file as folder", "a folder as file", "an absent server"])
def test_where_nothing_takes_rows_calls_go_on_and_what_is_lost_is_counted_and_said_once(place, tmp_path, monkeypatch):
    monkeypatch.setattr(_pump, "FULL", 30)
    monkeypatch.setattr(_pump, "MOST", 20)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    ledger = {
        "a file as folder": str(tmp_path / "file" / "calls.db"),
        "a folder as file": str(tmp_path / "folder"),
        "an absent server": f"postgresql://u:hidden@/db?host={tmp_path}",
    }[place]
    if place == "an absent server":
        pytest.importorskip("psycopg")
    api = api_of(ledger)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = [api("gpt-4", "Hello") for _ in range(100)]
        api.flush(2.0)
        api.close()
    assert len(answers) == 100
    counts = api._service.ledger.counts
    assert counts.failures > 0
    assert counts.written == 0
    assert counts.spilled + counts.lost + counts.waiting == 100
    assert counts.lost > 0 or place == "a folder as file"  # beside a folder there is room for the spill
    said = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    assert 1 <= len(said) == len(set(said)) <= 4
    assert all("the ledger" in words and "hidden" not in words for words in said)


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path):
    path = tmp_path / "calls.db"
    path.write_bytes(b"this is no database " * 500)
    api = api_of(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api("gpt-4", "Hello")
        assert api.flush(5.0)
    assert any("calls.db.corrupt-1" in str(warning.message) for warning in caught)
    assert api.ledger.total().calls == 1
    assert (tmp_path / "calls.db.corrupt-1").read_bytes().startswith(b"this is no database")
    api.close()


def test_a_folder_that_vanishes_is_made_again(tmp_path):
    folder = tmp_path / "made"
    api = api_of(folder / "calls.db")
    with quiet():
        api("gpt-4", "Hello")
        assert api.flush()
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
        api("gpt-4", "Hello")
        assert api.flush(5.0)
    with closing(sqlite3.connect(folder / "calls.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM quoth_calls").fetchone() == (1,)
    api.close()


MOOD = "ALTER TABLE quoth_calls ADD COLUMN mood TEXT"
NEXT = Part(
    name="ledger",
    steps=(
        *PART.steps,
        Step(sqlite=(MOOD,), postgres=(MOOD,)),
    ),
)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_next_version_takes_over_and_this_one_leaves_its_tables_alone(engine, tmp_path, request, monkeypatch):
    where = str(tmp_path / "calls.db") if engine == "sqlite" else request.getfixturevalue("postgres_url")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    api = api_of(where)
    api("gpt-4", "Hello")
    api.close()
    database = open_database(place_of(where, "x"))
    database.prepare(NEXT)
    with database.transaction() as transaction:
        assert transaction.rows("SELECT calls, mood FROM quoth_calls") == [(1, None)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api("gpt-4", "Hello")
        assert not api.flush(5.0)
        api.close()
    assert ["upgrade quoth" in str(warning.message) for warning in caught] == [True]
    assert api._service.ledger.counts.spilled == 1
    monkeypatch.setattr(_pump, "PART", NEXT)  # as after the upgrade
    upgraded = api_of(where)
    upgraded("gpt-4", "Hello")
    assert upgraded.flush(5.0)
    upgraded.close()
    with database.transaction() as transaction:
        assert transaction.rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM quoth_calls") == [(3, 3)]
    database.close()


def test_neither_content_nor_key_is_kept_and_files_are_their_owners_alone(tmp_path):
    path = tmp_path / "made" / "calls.db"
    api = api_of(path)
    api("gpt-4", "Hello")
    api.flush()
    with quiet(), locked(path):
        api("gpt-4", "secret question", system="secret order")
        list(api.stream("gpt-4", "secret question"))
        api.flush(5.0)
        spilled = [name for name in files_of(path) if "-spill-" in name]
        assert spilled
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        kept = b"".join(each.read_bytes() for each in path.parent.iterdir())
    api.flush(5.0)
    kept += b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"gpt-4" in kept
    assert b"secret" not in kept
    if os.name == "posix":
        assert modes == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    api.close()


def test_a_spill_line_that_was_cut_is_kept_apart_and_the_others_come(tmp_path):
    path = tmp_path / "calls.db"
    api = api_of(path)
    with quiet():
        api("gpt-4", "Hello")
        api.flush()
        with locked(path):
            api("gpt-4", "Hello")
            api("gpt-4", "Hello")
            api.flush(5.0)
            [spill] = tmp_path.glob("*-spill-*")
            whole = spill.read_bytes()
            deep = b"\n" + b"[" * 200_000 + b"\n"
            (tmp_path / "calls.db-spill-1-other.jsonl").write_bytes(deep + whole[: len(whole) - 200])
        assert api.flush(10.0)
    assert api.ledger.total().calls == 3
    assert api.ledger.counts.unreadable == 2
    api.close()
    assert len([name for name in files_of(path) if name.endswith(".unreadable")]) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files to others")
def test_a_spill_of_somebody_else_in_a_folder_of_everybody_is_not_replayed(tmp_path):
    """Else who may write to the folder could put calls into the ledger."""
    path = tmp_path / "calls.db"
    api = api_of(path)
    with quiet():
        api("gpt-4", "Hello")
        api.flush()
        with locked(path):
            api("gpt-4", "Hello")
            api.flush(5.0)
            [spill] = tmp_path.glob("*-spill-*")
            foreign = tmp_path / "calls.db-spill-1-other.jsonl"
            foreign.write_bytes(spill.read_bytes().replace(b'"id":"', b'"id":"forged-'))
            os.chown(foreign, 12345, 12345)
            tmp_path.chmod(0o1777)
        assert api.flush(10.0)
    assert api.ledger.total().calls == 2
    assert foreign.exists()
    tmp_path.chmod(0o700)
    assert api.ledger.replay() == 1  # as before, where a folder is one's own
    api.close()


def test_configuring_another_ledger_closes_the_first(tmp_path, monkeypatch):
    api = api_of(tmp_path / "one.db")
    api("gpt-4", "Hello")
    api.configure(ledger=tmp_path / "two.db")
    api("gpt-4", "Hello")
    api("gpt-4", "Hello")
    api.configure(ledger=None)
    api("gpt-4", "Hello")
    with pytest.raises(ConfigurationError, match="QUOTH_LEDGER"):
        _ = api.ledger
    assert [Ledger.at(tmp_path / name).total().calls for name in ("one.db", "two.db")] == [1, 2]
    monkeypatch.setenv("QUOTH_LEDGER", f"sqlite:///{tmp_path}/three.db")
    other = api_of(None)
    other("gpt-4", "Hello")
    assert other.ledger.total().calls == 1
    other.close()


def test_a_ledger_that_cannot_be_is_said_before_anything_is_sent(monkeypatch):
    for wrong in ("mysql://host/db", "", 5):
        with pytest.raises(ConfigurationError, match="the setting ledger"):
            api_of(wrong)
    monkeypatch.setenv("QUOTH_LEDGER", "redis://host")
    api = api_of(None)
    with pytest.raises(ConfigurationError, match="QUOTH_LEDGER"):
        api("gpt-4", "Hello")
    assert api.usage().total.calls == 0


def test_a_ledger_that_nobody_wrote_is_empty_and_makes_no_file(tmp_path):
    api = api_of(tmp_path / "calls.db")
    assert api.ledger.total() == UsageTotals()
    assert list(api.ledger.records()) == []
    assert api.ledger.check().rows == api.ledger.delete(user="u1") == api.ledger.replay() == 0
    assert api.ledger.counts == Counts()
    assert api.flush()
    api.close()
    assert list(tmp_path.iterdir()) == []


def test_counts_are_plain_numbers():
    assert msgspec.to_builtins(Counts()) == dict.fromkeys(Counts.__struct_fields__, 0)
