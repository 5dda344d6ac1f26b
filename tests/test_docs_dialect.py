"""``docs/adding-a-dialect.md``: its dialect is written to files and runs, its laws hold, and its tables are true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from quoth.dialects import CLIENTS
from quoth.dialects.server import SERVERS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "adding-a-dialect.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
FILES = {re.match(r"# (\S+)", block)[1]: block for block in BLOCKS if block.startswith("# ")}
SCRIPT = "\n".join([block for block in BLOCKS if not block.startswith("# ")])


def test_the_dialect_of_the_page_runs_from_its_beginning_to_its_end(tmp_path):
    assert sorted(FILES) == ["pidgin/client.py", "pidgin/server.py"]
    (tmp_path / "pidgin").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "run.py").write_text(f"{SCRIPT}\nassert len(script.requests) == 3\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(tmp_path / "run.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", sorted({*re.findall(r"`((?:src|tests|bench)/[\w/.-]+\.py)`", TEXT)}))
def test_every_file_that_it_names_is_there(name):
    assert (ROOT / name).exists()


def test_every_file_of_its_table_is_there_and_says_nothing_else():
    table = TEXT.split("| file beside the folders |")[1].split("\n\n")[0]
    names = re.findall(r"`(_\w+\.py)`", table)
    assert len(names) == 12
    assert all((ROOT / "src/quoth/dialects" / name).exists() for name in names)


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_every_dialect_has_the_functions_that_it_names(name):
    """Those that stand in the lists of both halves."""
    client, server = CLIENTS[name](), SERVERS[name]()
    ours, theirs = TEXT.split("## The client half")[1].split("## The server half")
    for function in re.findall(r"^- `(\w+)[`(]", ours, re.MULTILINE):
        assert hasattr(client, function)
    for function in re.findall(r"`((?:parse|build)_\w+)`", theirs.split("## Pidgin")[0]):
        assert callable(getattr(server, function))
