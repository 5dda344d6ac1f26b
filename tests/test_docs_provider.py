"""``docs/adding-a-provider.md``: its example runs, its lines are as many as it says, and it knows every field."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quoth.providers import ProviderSpec, Quirks

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "adding-a-provider.md").read_text("utf-8")

COUNTED = re.findall(r"(\d+) lines:\n\n```python\n(.*?)```", TEXT, re.DOTALL)


def run(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "ACME_API_KEY": ""}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_every_block_of_code_is_counted():
    assert len(COUNTED) == TEXT.count("```python") == 4


@pytest.mark.parametrize(("lines", "block"), COUNTED, ids=["register", "try", "row", "use"])
def test_a_block_has_as_many_lines_as_it_says(lines, block):
    assert len([line for line in block.splitlines() if line.strip()]) == int(lines)


def test_the_example_runs_from_its_beginning_to_its_end():
    done = run("\n".join(block for _, block in COUNTED) + "\nassert script.requests\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_said_of_a_registered_provider_holds():
    _, register = COUNTED[0]
    done = run(
        register + "before = models.bind('acme/any/thing:v2')\n"
        "assert before.id == 'acme/any/thing:v2'\n"
        "assert [model.id for model in models.list(provider='acme')] == ['acme/acme-large']\n"
        "acme = next(info for info in models.providers() if info.name == 'acme')\n"
        "assert (acme.has_key, acme.key_variables, acme.spoken) == (False, ('ACME_API_KEY',), True)\n"
        "try:\n    models.bind('acme-large')\n"
        "except LookupError as error:\n    assert 'acme/acme-large' in str(error)\n"
        "else:\n    raise AssertionError\n"
        "try:\n    models('acme/acme-large', 'Hi')\n"
        "except Exception as error:\n    assert 'export ACME_API_KEY=' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("field", [*ProviderSpec.__struct_fields__, *Quirks.__struct_fields__])
def test_every_field_of_a_row_stands_in_its_table(field):
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    assert f"`{field}`" in " ".join(rows)


@pytest.mark.parametrize("name", re.findall(r"`((?:src|tests|tools)/[\w/.-]*)`", TEXT))
def test_every_file_that_it_names_is_there(name):
    assert (ROOT / name).exists()
