"""What ``from quoth import models`` does: it defines, and nothing else. Watched in fresh interpreters.

The child runs with ``-I -S``, and only quoth and msgspec can be found there: what this virtual environment adds
(``.pth`` files; typing_extensions, which msgspec imports where it is installed) is not quoth's doing. msgspec
comes first and unwatched, with all that it imports: it is other people's code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
MSGSPEC = Path(msgspec.__file__).resolve().parents[1]

IMPORT = "from quoth import models"

MOST_MODULES = 110
"""``import quoth`` loads fewer modules than this, those of the interpreter and of msgspec included."""

NEVER = (
    "asyncio", "ssl", "http", "httptools", "logging", "inspect", "dataclasses", "sqlite3", "urllib", "socket",
    "threading", "subprocess", "importlib.metadata", "json", "pathlib", "tempfile", "xllamacpp", "rich", "cyclopts",
    "typer", "typing_extensions", "quoth.cli", "quoth.testing", "quoth.providers._local",
    "quoth.dialects.openai_chat.server", "quoth.data.catalog", "quoth._costs._table", "botocore", "google", "requests",
    "quoth._proving", "quoth.providers.credentials",
)  # fmt: skip
"""Modules that ``import quoth`` does not load: each costs start-up time, or acts, or is of no use to most."""

WATCHER = """
import sys
_, paths, snippet = sys.argv
sys.path[:0] = paths.split("|")
sys.modules["typing_extensions"] = None  # as where it is not installed
import _thread, os, msgspec

CODE = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".zip")
seen = {"files": [], "environment": [], "threads": [], "sockets": []}

def audit(event, arguments):
    if event == "open" and not str(arguments[0]).endswith(CODE):
        seen["files"].append(str(arguments[0]))
    elif event.startswith("socket."):
        seen["sockets"].append(event)

def recorded(method):
    def call(self, *arguments):
        seen["environment"].append(f"{arguments} by {sys._getframe(1).f_globals.get('__name__')}")
        return method(self, *arguments)
    return call

class Environment(dict):
    pass

for name in ("__getitem__", "__contains__", "__iter__", "__len__", "get", "items", "keys", "values", "copy"):
    setattr(Environment, name, recorded(getattr(dict, name)))

def watched(start):
    def call(*arguments, **options):
        seen["threads"].append(str(arguments[0]))
        return start(*arguments, **options)
    return call

for name in ("start_new_thread", "start_new", "start_joinable_thread"):
    if hasattr(_thread, name):
        setattr(_thread, name, watched(getattr(_thread, name)))

os.environ = Environment(os.environ)  # os.getenv reads this too
threads = _thread._count()
sys.addaudithook(audit)
exec(snippet, {"__name__": "snippet"})
found = {name: list(things) for name, things in seen.items()}
found["modules"] = sorted(name for name, module in sys.modules.items() if module is not None)
found["threads"] += ["one is running"] * (_thread._count() - threads)
sys.stdout.write(msgspec.json.encode(found).decode())
"""


def watch(snippet: str) -> dict[str, list[str]]:
    """What a snippet does in a fresh interpreter: files, environment, threads, sockets; and all loaded modules."""
    result = python("-I", "-S", "-B", "-c", WATCHER, f"{SOURCE}|{MSGSPEC}", snippet)
    assert result.returncode == 0, result.stderr
    found: dict[str, list[str]] = json.loads(result.stdout)
    return found


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.fixture(scope="module")
def seen() -> dict[str, list[str]]:
    return watch(IMPORT)


@pytest.mark.parametrize("what", ["files", "environment", "threads", "sockets"])
def test_importing_does_nothing_but_define(seen: dict[str, list[str]], what: str):
    assert seen[what] == []


def _own(modules: list[str]) -> str:
    return "\nquoth loads of itself: " + " ".join(module for module in modules if module.startswith("quoth"))


def test_importing_loads_nothing_heavy_and_nothing_that_acts(seen: dict[str, list[str]]):
    assert sorted({*NEVER} & {*seen["modules"]}) == [], _own(seen["modules"])


def test_importing_loads_few_modules(seen: dict[str, list[str]]):
    assert "quoth" in seen["modules"]
    assert len(seen["modules"]) < MOST_MODULES, _own(seen["modules"])


@pytest.mark.parametrize(
    ("what", "snippet"),
    [
        ("files", "import os; open(os.devnull)"),
        ("files", "import os; os.open(os.devnull, os.O_RDONLY)"),
        ("environment", "import os; os.environ.get('HOME')"),
        ("environment", "import os; os.getenv('HOME')"),
        ("environment", "from os import environ; 'HOME' in environ"),
        ("environment", "import os; dict(os.environ)"),
        ("environment", "import os; {**os.environ}"),
        ("threads", "import _thread; _thread.start_new_thread(int, ())"),
        ("threads", "import threading; threading.Thread(target=int).start()"),
        ("sockets", "import socket; socket.socket().close()"),
        ("sockets", "import socket; socket.gethostname()"),
    ],
)
def test_the_watcher_sees_what_acts(what: str, snippet: str):
    assert watch(snippet)[what]


def test_the_watcher_sees_nothing_where_nothing_acts():
    found = watch("import os")
    del found["modules"]
    assert not any(found.values())


@pytest.mark.parametrize("module", ["ssl", "asyncio", "importlib.metadata", "quoth._costs._table"])
def test_the_watcher_sees_what_is_loaded(module: str):
    loaded = watch(f"import {module}")["modules"]
    assert module in loaded


def test_importing_is_silent_where_warnings_are_errors():
    result = python("-W", "error", "-X", "dev", "-c", IMPORT, PYTHONPATH=str(SOURCE))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_warning_while_importing_would_be_seen():
    result = python("-W", "error", "-X", "dev", "-c", "import warnings; warnings.warn('x')", PYTHONPATH=str(SOURCE))
    assert result.returncode != 0
    assert "UserWarning" in result.stderr


def _public_modules() -> list[str]:
    paths = [path.relative_to(SOURCE).with_suffix("").parts for path in sorted((SOURCE / "quoth").rglob("*.py"))]
    names = {".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in paths}
    return sorted(name for name in names if "._" not in name)


@pytest.mark.parametrize("module", _public_modules())
def test_a_public_module_can_be_imported_alone(module: str):
    result = python("-W", "error", "-c", f"import {module}", PYTHONPATH=str(SOURCE))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_public_modules_are_found():
    assert {"quoth", "quoth.types", "quoth.events", "quoth.errors", "quoth.wire"} <= {*_public_modules()}
    assert {"quoth.providers", "quoth.testing", "quoth.transport", "quoth.instrumentation"} <= {*_public_modules()}
