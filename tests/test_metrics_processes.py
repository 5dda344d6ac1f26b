"""Metrics of several processes in one folder: real ones, that end, are killed, fork, and add up at the same time."""

from __future__ import annotations

import math
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from metrics_child import api_in, calls_of, make
from quoth.errors import ConfigurationError
from quoth.instrumentation.metrics import _sharing

CHILD = Path(__file__).with_name("metrics_child.py")
PATIENCE = 20.0
"""Seconds after which a test gives up on another process."""
COST = "0.03006"

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
pytestmark = pytest.mark.filterwarnings("ignore:openai/gpt-4 was retired")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "metrics"


@pytest.fixture
def start(folder):
    started = []

    def begin(calls):
        process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), str(calls)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def answer(process, line=None):
    if line:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    return process.stdout.readline().strip()


def end(process):
    process.stdin.close()
    assert process.wait(PATIENCE) == 0


def usd(text):
    lines = [line for line in text.splitlines() if line.startswith("quoth_cost_usd_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def eventually(found, wanted):
    until = time.monotonic() + PATIENCE
    while found() != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert found() == wanted


def members(folder):
    return sorted(path.name for path in folder.glob("quoth-*"))


def test_processes_that_have_ended_are_counted_once(folder, start):
    children = [start(calls) for calls in (1, 2, 3)]
    assert {answer(each) for each in children} == {"made"}
    for each in children:
        end(each)
    api = api_in(folder)
    for _ in range(3):
        text = api.metrics()
        assert calls_of(text) == 6
        assert math.isclose(usd(text), 6 * float(COST), rel_tol=1e-9)
    assert "quoth_gates" not in text, "a gauge of the dead"
    make(api, 1)
    assert calls_of(api.metrics()) == calls_of(api_in(folder).metrics()) == 7
    assert len({name.partition(".")[0] for name in members(folder)}) == 2, "the files of the dead are there still"


def test_processes_that_live_are_seen_with_their_gauges(folder, start):
    child, api = start(2), api_in(folder)
    assert answer(child) == "made"
    eventually(lambda: calls_of(api.metrics()), 2)
    assert 'quoth_gates{provider="openai",state="open"} 1\n' in api.metrics()
    make(api, 3)
    assert 'quoth_gates{provider="openai",state="open"} 2\n' in api.metrics()
    assert answer(child, "metrics") == "5"
    end(child)
    assert 'quoth_gates{provider="openai",state="open"} 1\n' in api.metrics()
    assert calls_of(api.metrics()) == 5


def test_of_a_process_that_is_killed_only_what_it_had_not_written_is_lost(folder, start):
    child, api = start(4), api_in(folder)
    assert answer(child) == "made"
    eventually(lambda: calls_of(api.metrics()), 4)
    for _ in range(3):
        assert answer(child, "call") == "called"
    child.kill()
    child.wait()
    counted = calls_of(api.metrics())
    assert 4 <= counted <= 7
    assert calls_of(api.metrics()) == calls_of(api_in(folder).metrics()) == counted


@needs_fork
def test_a_forked_child_counts_its_own(folder):
    api = api_in(folder)
    make(api, 3)
    api.metrics()  # what it has counted is written
    pid = os.fork()
    if not pid:
        make(api, 2)
        os._exit(10 * calls_of(api.metrics()) + calls_of(api_in(folder).metrics()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 55
    assert calls_of(api.metrics()) == 5
    assert api.usage().total.calls == 3
    api.close()


@pytest.mark.parametrize("method", ["spawn", *(["fork"] if hasattr(os, "fork") else [])])
def test_children_of_multiprocessing_write_at_their_end(folder, method):
    api = api_in(folder)
    make(api, 1)
    context = multiprocessing.get_context(method)
    children = [context.Process(target=work, args=(folder, 2)) for _ in range(2)]
    for each in children:
        each.start()
    for each in children:
        each.join(PATIENCE)
        assert each.exitcode == 0
    assert calls_of(api.metrics()) == 5


def work(folder, calls):
    """In a child of multiprocessing."""
    warnings.simplefilter("ignore")
    make(api_in(folder), calls)


@pytest.mark.slow
def test_whoever_adds_up_while_others_die_counts_each_once(folder, start):
    readers = [start(0) for _ in range(3)]
    for each in readers:
        assert answer(each) == "made"
    made = 0
    with ThreadPoolExecutor(3) as pool:
        for calls in (1, 2, 3, 4):
            children = [start(calls) for _ in range(3)]
            for each in children:
                assert answer(each) == "made"
            made += 3 * calls
            asked = [pool.submit(lambda each: [answer(each, "metrics") for _ in range(20)], each) for each in readers]
            for each in children:
                end(each)
            seen = [int(number) for each in asked for number in each.result()]
            assert max(seen) <= made
            assert {answer(each, "metrics") for each in readers} == {str(made)}


@posix
def test_the_folder_and_its_files_are_their_owners_alone(folder):
    api = api_in(folder)
    make(api, 1)
    api.metrics()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = list(folder.iterdir())
    assert {path.suffix for path in found} == {".lock", ".json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}


@posix
def test_a_folder_that_others_may_write_to_is_refused_and_no_call_suffers(folder):
    folder.mkdir()
    folder.chmod(0o777)
    api = api_in(folder)
    make(api, 1)
    with pytest.raises(ConfigurationError, match="others may write"):
        api.metrics()
    with pytest.warns(RuntimeWarning, match="metrics were not written to .*others may write"):
        api.close()
    make(api, 1)
    api.close()  # it was said
    api.configure(metrics_dir=None)
    assert calls_of(api.metrics()) == 2
    assert 'quoth_telemetry_dropped_total{sink="metrics",reason="snapshot"} 2' in api.metrics()


def test_a_file_that_cannot_be_read_is_no_number(folder, start):
    child, api = start(1), api_in(folder)
    assert answer(child) == "made"
    eventually(lambda: calls_of(api.metrics()), 1)
    (folder / "folded.json").write_text("{not json")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        api.metrics()


def test_what_is_cut_short_between_adding_and_removing_is_counted_once(folder, start, monkeypatch):
    child = start(2)
    assert answer(child) == "made"
    end(child)
    api = api_in(folder)

    def broken(path):
        raise OSError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(_sharing.os, "unlink", broken)
        with pytest.raises(ConfigurationError, match="killed here"):
            api.metrics()
    assert (folder / "folded.json").exists()
    assert calls_of(api.metrics()) == calls_of(api.metrics()) == 2


@posix
def test_a_process_whose_descriptors_were_closed_is_not_counted_twice(folder):
    api, other = api_in(folder), api_in(folder)
    make(api, 2)
    assert calls_of(api.metrics()) == 2
    os.close(api._service.sharing._member()._descriptor)
    assert calls_of(other.metrics()) == 2, "it is taken for dead"
    make(api, 1)
    assert calls_of(api.metrics()) == calls_of(other.metrics()) == calls_of(api.metrics()) == 3


def test_two_apis_of_one_process_are_added_up(folder):
    one, two = api_in(folder), api_in(folder)
    make(one, 1)
    make(two, 2)
    two.close()
    assert calls_of(one.metrics()) == calls_of(two.metrics()) == 3


def test_a_folder_that_is_left_and_taken_again_counts_nothing_twice(folder, tmp_path):
    api = api_in(folder)
    make(api, 2)
    assert calls_of(api.metrics()) == 2
    api.configure(metrics_dir=None)
    assert calls_of(api_in(folder).metrics()) == 2
    make(api, 1)
    assert calls_of(api.metrics()) == 3
    api.configure(metrics_dir=folder)
    make(api, 1)
    assert calls_of(api.metrics()) == calls_of(api_in(folder).metrics()) == 4


def test_closing_again_and_again_leaves_one_thread_and_one_member(folder):
    api, threads = api_in(folder), threading.active_count()
    for _ in range(20):
        api.close()
        make(api, 1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, [api] * 20, [1] * 20))
    assert threading.active_count() == threads + 1
    api.close()
    assert threading.active_count() == threads
    assert len(members(folder)) == 2
    assert calls_of(api.metrics()) == 40


def test_the_variable_names_the_folder_too(folder, monkeypatch):
    api = api_in(folder)
    api.configure(metrics_dir=None)
    monkeypatch.setenv("QUOTH_METRICS_DIR", str(folder))
    make(api, 1)
    api.close()
    assert calls_of(api_in(folder).metrics()) == 1


def test_exact_numbers_survive_the_files(folder):
    api = api_in(folder)
    make(api, 1)
    api.close()
    kept = msgspec.json.decode(next(folder.glob("quoth-*.json")).read_bytes(), type=_sharing._Kept)
    ((_, (femto,)),) = kept.counted["quoth_cost_usd_total"]
    assert femto == api.usage().total.femto
    assert isinstance(femto, int)
