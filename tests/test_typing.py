"""``tests/typing`` is how users annotate: mypy --strict finds no error there, and each expected one where it stands."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

WRONG = """
from quoth import models

models("gpt-4", "Hi", temprature=0)
models("gpt-4", "Hi")  # type: ignore[call-arg]
"""
"""An error, and an expected one that is none: what a failure of ``usage.py`` would look like."""


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    wrong = tmp_path_factory.mktemp("typing") / "wrong.py"
    wrong.write_text(WRONG, "utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "tests/typing", str(wrong)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert checked.returncode == 1, checked.stderr  # `wrong` is wrong
    return checked.stdout.replace("\\", "/").splitlines()


def test_users_code_is_typed_as_it_says(complaints: list[str]):
    found = [line for line in complaints if line.startswith("tests/typing/")]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("words", ['Unexpected keyword argument "temprature"', 'Unused "type: ignore" comment'])
def test_code_that_is_typed_otherwise_is_seen(complaints: list[str], words: str):
    assert [line for line in complaints if "wrong.py:" in line and words in line]
