"""bench/instructions.py: a path that grows is found, with what made it grow; and no path grew in Python calls."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"


def run(*arguments):
    done = subprocess.run(
        [sys.executable, BENCH / "instructions.py", *arguments],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def program():
    """The program as a module, and its neighbours importable while it loads."""
    path = sys.path[:]
    sys.path.insert(0, str(BENCH))
    try:
        spec = importlib.util.spec_from_file_location("instructions", BENCH / "instructions.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["instructions"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path[:] = path
        for name in ("instructions", "counted", "dialects", "scripted", "startup"):
            sys.modules.pop(name, None)


BEFORE = {"a.one": [1, 40], "a.two": [2, 60], "builtins.len": [3]}


def said(program, before, after, instructions=(100_000, 100_000)):
    """What ``compare`` prints for one path of these calls and instructions, and how many paths it found."""
    record = {
        "instructions": {program.fingerprint(): {"p": instructions[0]}},
        "calls": {program.minor(): {"p": before}},
    }
    return program.compare(record, {"p": instructions[1]}, {"p": after})


def test_what_did_not_grow_is_said_so(program, capsys):
    assert said(program, BEFORE, BEFORE, (100_000, 104_900)) == 0
    assert capsys.readouterr().out == "nothing grew by more than 5%\n"


def test_a_path_that_grew_is_named_with_the_functions_that_made_it(program, capsys):
    after = {"a.one": [1, 100], "a.two": [4, 120], "a.new": [2, 300], "builtins.len": [5]}
    assert said(program, BEFORE, after, (100_000, 108_000)) == 1
    assert capsys.readouterr().out == (
        "grew: p: 100,000 -> 108,000 instructions (+8.0%); new: a.new x2 (+300 bytecodes); "
        "longer: a.one (+60 bytecodes); more: a.two x2 (+60 bytecodes); more: builtins.len x2\n"
    )


def test_growth_without_other_calls_is_the_builtins(program, capsys):
    assert said(program, BEFORE, BEFORE, (100_000, 106_000)) == 1
    assert "(+6.0%); the same calls and bytecodes: the builtins have more to do" in capsys.readouterr().out


def test_more_python_calls_alone_are_growth_too(program, capsys):
    assert said(program, BEFORE, {**BEFORE, "a.new": [1, 5]}) == 1
    assert capsys.readouterr().out == "grew: p: 3 -> 4 Python calls (+33.3%); new: a.new x1 (+5 bytecodes)\n"


def test_a_path_that_shrank_is_no_failure_but_the_record_is_old(program, capsys):
    assert said(program, BEFORE, BEFORE, (100_000, 90_000)) == 0
    assert "less than in the record, which `--write` renews: p (-10.0%)\n" in capsys.readouterr().out


def test_another_build_has_nothing_to_compare_with(program, capsys):
    assert program.compare({"instructions": {}, "calls": {}}, {"p": 1.0}, {"p": BEFORE}) == 0
    told = capsys.readouterr().out
    assert "no record of this build (CPython " in told
    assert f"no record of the calls on Python {program.minor()}: `--write` makes one\n" in told
    assert "nothing grew" not in told


def test_a_function_that_calls_another_is_counted(program):
    def inner():
        return len([])

    def outer():
        inner()
        inner()

    found = {name.rpartition(".")[2]: count for name, count in program.called(outer).items()}
    assert found["inner"][0] == 2
    assert found["inner"][1] > 2
    assert found["len"] == [2]
    assert "outer" not in found


def test_no_path_calls_more_python_functions_than_the_record(program):
    """Deterministic, so it needs no valgrind: by more than 5 %, with the functions named."""
    known = program.read_record()["calls"].get(program.minor())
    if known is None:
        pytest.skip(f"bench/instructions.json has no calls on Python {program.minor()}")
    calls = {name: each for name, each in program.count_calls("", bytecodes=False).items() if "async" not in name}
    assert len(calls) > 30
    before, after = ({name: program.python_calls(each) for name, each in some.items()} for some in (known, calls))
    more = program.grown("Python calls", before, after, known, calls)
    advice = "\nIf it must be so: python bench/instructions.py --write"
    assert not more, "\n".join(map(str, more)) + advice


def test_the_record_is_written_as_it_is_read(program, tmp_path, monkeypatch):
    monkeypatch.setattr(program, "RECORD", tmp_path / "record.json")
    record = {"instructions": {"b": {"p": 5}}, "calls": {"3.11": {"p": {"a.b": [1, 2.5]}}}}
    program.write_record(record)
    assert program.read_record() == record
    assert '"p": {"a.b":[1,2.5]}\n' in (tmp_path / "record.json").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("valgrind"), reason="counts with valgrind")
def test_instructions_repeat():
    """Twice the same, to a part in a thousand."""
    told = [run("--only", "call by chat") for _ in range(2)]
    rows = [
        {line[:34].strip(): int(line[34:48].replace(",", "")) for line in out.splitlines()[1:] if line[34:48].strip()}
        for code, out in told
        if code == 0
    ]
    assert len(rows) == 2, told
    assert list(rows[0]) == ["call by Chat", "bound call by Chat"]
    for name, count in rows[0].items():
        assert rows[1][name] == pytest.approx(count, rel=1e-3)


def test_without_valgrind_it_says_what_is_missing_and_counts_the_calls(tmp_path):
    """Run where no program can be found."""
    done = subprocess.run(
        [sys.executable, BENCH / "instructions.py", "--only", "a price"],
        env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("valgrind is not installed (Debian: apt-get install valgrind;")
    assert "a price" in done.stdout
