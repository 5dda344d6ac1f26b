"""bench/soak.py in small: many calls against a provider that fails, and what is left of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[1] / "bench" / "soak.py"


@pytest.mark.slow
def test_a_soak_ends_with_every_call_accounted_for(tmp_path):
    results = tmp_path / "soak.json"
    done = subprocess.run(
        [sys.executable, SOAK, "--calls", "2000", "--in-flight", "200", "--json", results],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(results.read_text("utf-8"))
    assert len(told) == 8
    for part in told.values():
        assert sum(part["outcomes"].values()) == part["calls"]
        assert (part["untyped"], part["late"], part["tasks_left"], part["records_missing"]) == ([], 0, 0, 0)
