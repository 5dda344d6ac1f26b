"""The database under ledger and budgets: opening, parts and their versions, transactions, forks, on both engines."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from postgres_server import postgres_server, postgres_url  # noqa: F401
from quoth._database import Part, Step, StorageError, open_database, place_of
from quoth.errors import ConfigurationError


def step(*statements):
    return Step(sqlite=statements, postgres=statements)


ONE = Part(name="trial", steps=(step("CREATE TABLE trial (id TEXT PRIMARY KEY, n INTEGER)"),))
ADDED = "ALTER TABLE trial ADD COLUMN note TEXT"
TWO = Part(name="trial", steps=(*ONE.steps, step(ADDED, "CREATE VIEW v AS SELECT 1 AS x")))


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return place_of(str(tmp_path / "made" / "for" / "it.db"), "test")
    return place_of(request.getfixturevalue("postgres_url"), "test")


@pytest.fixture
def database(place):
    database = open_database(place)
    yield database
    database.close()


def rows(database, sql):
    with database.transaction(write=False) as transaction:
        return transaction.rows(sql)


def test_a_part_is_made_once_and_brought_up_to_date_later_with_its_rows(database):
    database.prepare(ONE)
    database.prepare(ONE)
    with database.transaction() as transaction:
        assert transaction.change("INSERT INTO trial (id, n) VALUES (?, ?)", ("a", 1)) == 1
    database.prepare(TWO)
    assert rows(database, "SELECT id, n, note FROM trial") == [("a", 1, None)]
    assert rows(database, "SELECT part, version FROM quoth_schema") == [("trial", 2)]


def test_what_a_newer_quoth_wrote_is_refused_and_left_alone(database):
    database.prepare(TWO)
    with pytest.raises(StorageError, match="upgrade quoth") as caught:
        database.prepare(ONE)
    assert caught.value.kind == "schema"
    assert rows(database, "SELECT version FROM quoth_schema") == [(2,)]


def test_a_step_that_fails_leaves_nothing_behind(database):
    broken = Part(name="trial", steps=(*ONE.steps, step(ADDED, "CREATE NONSENSE")))
    with pytest.raises(StorageError):
        database.prepare(broken)
    database.prepare(TWO)
    assert rows(database, "SELECT id, n, note FROM trial") == []


def test_a_transaction_is_all_or_nothing_and_ids_are_kept_once(database):
    database.prepare(ONE)
    insert = "INSERT INTO trial (id, n) VALUES (?, ?) ON CONFLICT DO NOTHING"
    with pytest.raises(StorageError), database.transaction() as transaction:  # noqa: PT012  # what came before it goes too
        transaction.each(insert, [("a", 1), ("b", 2)])
        transaction.change("INSERT INTO nowhere VALUES (1)")
    assert rows(database, "SELECT count(*) FROM trial") == [(0,)]
    with database.transaction() as transaction:
        assert transaction.each(insert, [("a", 1), ("b", 2), ("a", 3)]) == 2


def test_many_threads_share_one_connection_and_lose_nothing(database):
    database.prepare(ONE)

    def write(thread):
        for number in range(20):
            with database.transaction() as transaction:
                transaction.change("INSERT INTO trial (id, n) VALUES (?, ?)", (f"{thread}-{number}", number))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(database, "SELECT count(*) FROM trial") == [(80,)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_its_own_connection_while_a_thread_of_the_parent_writes(database):
    database.prepare(ONE)
    done = threading.Event()

    def write():
        number = 0
        while not done.is_set():
            with database.transaction() as transaction:
                transaction.change("INSERT INTO trial (id, n) VALUES (?, ?)", (f"p{number}", number))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    children = []
    for number in range(5):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for _ in range(40):  # the parent's thread may hold it a while
                    try:
                        with database.transaction() as transaction:
                            transaction.change("INSERT INTO trial (id, n) VALUES (?, ?)", (f"c{number}", number))
                        code = 0
                        break
                    except StorageError as error:
                        if error.kind != "busy":
                            raise
            finally:
                os._exit(code)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    done.set()
    writer.join()
    assert codes == [0] * 5
    assert rows(database, "SELECT count(*) FROM trial WHERE id LIKE 'c%'") == [(5,)]


def test_files_and_folders_are_their_owners_alone(tmp_path):
    database = open_database(place_of(str(tmp_path / "made" / "it.db"), "test"))
    database.prepare(ONE)
    files = sorted((tmp_path / "made").iterdir())
    assert [file.name for file in files] == ["it.db", "it.db-shm", "it.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    database.close()


def test_a_umask_of_zero_opens_nothing_to_others(tmp_path):
    mask = os.umask(0)
    try:
        test_files_and_folders_are_their_owners_alone(tmp_path)
    finally:
        os.umask(mask)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("planted", ["file", "link", "log"])
def test_what_somebody_else_put_into_a_folder_of_everybody_is_not_written_to(tmp_path, planted):
    shared, path = tmp_path / "shared", tmp_path / "shared" / "it.db"
    shared.mkdir()
    shared.chmod(0o1777)
    if planted == "link":
        path.symlink_to(tmp_path / "victim.db")
    else:
        (path if planted == "file" else shared / "it.db-wal").touch(0o666)
    os.chown(path if planted != "log" else shared / "it.db-wal", 12345, 12345, follow_symlinks=False)
    database = open_database(place_of(str(path), "test"))
    with pytest.raises(StorageError, match="somebody else's"):
        database.prepare(ONE)
    assert not (tmp_path / "victim.db").exists()
    assert planted == "log" or not path.exists() or not path.stat().st_size
    shared.chmod(0o700)  # a folder of one's own: the owners of files say little, in containers above all
    if planted == "file":
        database.prepare(ONE)
    database.close()


def test_a_file_that_is_removed_or_replaced_is_not_written_on(tmp_path):
    path = tmp_path / "it.db"
    database = open_database(place_of(str(path), "test"))
    database.prepare(ONE)
    for file in tmp_path.iterdir():
        file.unlink()
    database.prepare(ONE)
    with database.transaction() as transaction:
        transaction.change("INSERT INTO trial (id, n) VALUES ('a', 1)")
    database.close()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT id FROM trial").fetchall() == [("a",)]


def test_a_damaged_file_is_set_aside_once_and_a_sound_one_never(tmp_path):
    path = tmp_path / "it.db"
    database = open_database(place_of(str(path), "test"))
    database.prepare(ONE)
    assert database.set_aside() is None
    database.close()
    path.write_bytes(b"no database at all, " * 200)
    databases = [open_database(place_of(str(path), "test")) for _ in range(2)]
    assert [each.set_aside() for each in databases] == [f"{path}.corrupt-1", None]
    databases[0].prepare(ONE)
    assert rows(databases[0], "SELECT count(*) FROM trial") == [(0,)]
    assert (tmp_path / "it.db.corrupt-1").read_bytes().startswith(b"no database")


def test_each_failure_has_its_kind(tmp_path):
    def kind(path, **options):
        database = open_database(place_of(str(path), "test"), wait=0, **options)
        with pytest.raises(StorageError) as caught:
            database.prepare(ONE)
        return caught.value.kind

    (tmp_path / "file").write_text("x")
    (tmp_path / "garbage.db").write_bytes(b"no database at all, " * 200)
    locked = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    locked.execute("CREATE TABLE t (x)")
    assert kind(tmp_path / "file" / "it.db") == "unreachable"
    assert kind(tmp_path) == "unreachable"
    assert kind(tmp_path / "garbage.db") == "corrupt"
    assert kind(tmp_path / "locked.db") == "busy"
    assert kind(tmp_path / "none.db", create=False) == "missing"


def test_a_number_that_does_not_fit_is_refused_and_the_connection_lives(database):
    database.prepare(ONE)
    for value in (2**70, 2**62):
        try:
            with database.transaction() as transaction:
                transaction.change("INSERT INTO trial (id, n) VALUES (?, ?)", (str(value), value))
        except StorageError as error:
            assert error.kind == "refused"  # noqa: PT017
    with database.transaction() as transaction:
        assert transaction.change("INSERT INTO trial (id, n) VALUES ('a', 1)") == 1


@pytest.mark.parametrize("text", ["", " ", ":memory:", "mysql://host/x", "sqlite://x", "a\0b"])
def test_what_is_no_place_is_refused_by_name(text):
    with pytest.raises(ConfigurationError, match="QUOTH_LEDGER"):
        place_of(text, "QUOTH_LEDGER")


def test_places_are_absolute_and_show_no_password(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place_of("it.db", "x").target == place_of("sqlite:///it.db", "x").target == str(tmp_path / "it.db")
    assert place_of(f"sqlite:///{tmp_path}/it.db", "x").target == str(tmp_path / "it.db")
    url = "postgres://me:hidden@db.example:5432/usage?password=hidden"
    assert str(place_of(url, "x")) == "postgresql://db.example:5432/usage"
    assert "hidden" not in repr(place_of(url, "x"))


def test_without_psycopg_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from quoth._database import open_database, place_of\n"
        "open_database(place_of('postgresql://u:hidden@h/d', 'x'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install 'quoth[postgres]'" in done.stderr
    assert "hidden" not in done.stderr.rpartition("ConfigurationError")[2]
