"""A PostgreSQL server of the tests' own: made in a temporary folder, on a socket in it, gone with the session.

``initdb`` refuses root, so there the server runs as the user ``postgres``, whom Debian's package makes. Where there
is no server to be found, the tests that need one skip and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_SQL_TRUST = ("--auth=trust", "--username=quoth", "--encoding=UTF8", "--no-sync", "--no-locale")
_UNSAFE_AND_FAST = "-c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=16MB"
_names = count(1)


def programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: of the newest server that Debian installed, else of the path."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name)):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _user() -> dict[str, Any]:
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


def _run(*words: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=60, check=False, cwd="/", **_user()
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stdout} {done.stderr}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running server, without a database's name: ``postgresql://quoth@/{}?host=...``."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = programs() if hasattr(os, "getuid") else None
    if folder is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    home = Path(tempfile.mkdtemp(prefix="quoth-pg-", dir="/tmp"))  # a socket's path must be short
    data = home / "data"
    if os.getuid() == 0:
        shutil.chown(home, "postgres", "postgres")
    try:
        _run(folder / "initdb", "-D", data, *_SQL_TRUST)
        options = f"-c listen_addresses= -c unix_socket_directories={home} {_UNSAFE_AND_FAST}"
        _run(folder / "pg_ctl", "-D", data, "-w", "-l", home / "log", "-o", options, "start")
        with _watched(folder / "pg_ctl", data):
            yield f"postgresql://quoth@/{{}}?host={home}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _watched(pg_ctl: Path, data: Path) -> Iterator[None]:
    """Have the server stopped when this ends, also when the tests are killed: a shell waits for our end of a pipe."""
    script = 'cat; "$0" -D "$1" -m immediate stop; rm -rf "$1"'
    watcher = subprocess.Popen(
        ["sh", "-c", script, str(pg_ctl), str(data)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
        **_user(),
    )  # fmt: skip
    try:
        yield
    finally:
        watcher.communicate(timeout=60)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The URL of a fresh database."""
    import psycopg

    name = f"quoth_{next(_names)}"
    with psycopg.connect(postgres_server.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server.format(name)
