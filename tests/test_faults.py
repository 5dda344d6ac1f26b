"""Every entry of the fault list, played for both shells; docs/faults.md is its table."""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faults import FAULTS, KEY, SHELLS, Stage, table
from test_transport import assert_nothing_left, open_sockets, own_threads

PAGE = Path(__file__).resolve().parents[1] / "docs" / "faults.md"
NEEDS_POSIX = {"fork", "fork-under-lock", "no-descriptors"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    trustme = pytest.importorskip("trustme", reason="trustme makes the certificates of the TLS tests")
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    past = datetime.now(UTC) - timedelta(days=1)
    for file, hosts, end in [
        ("server.pem", ("127.0.0.1", "two.example.test"), None),
        ("elsewhere.pem", ("elsewhere.test",), None),
        ("expired.pem", ("127.0.0.1",), past),
    ]:
        certificate = ca.issue_cert(*hosts, not_after=end)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / file))
    return folder


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("entry", FAULTS.values(), ids=lambda entry: f"{entry.number:02}-{entry.name}")
def test_a_fault_has_the_end_that_the_list_demands(entry, shell, authority, monkeypatch, caplog, recwarn):  # noqa: PLR0917
    if entry.name in NEEDS_POSIX and os.name != "posix":
        pytest.skip("fork and limits of descriptors as POSIX has them")
    monkeypatch.delenv("MINE_KEY", raising=False)
    caplog.set_level(logging.DEBUG)
    sockets, threads = open_sockets(), own_threads()
    stage = Stage(shell, authority, monkeypatch)
    try:
        entry.play(stage)
    finally:
        stage.close()
    assert stage.seen == set(entry.errors)
    said = [*stage.texts, caplog.text, *[str(warning.message) for warning in recwarn]]
    assert not [text for text in said if KEY in text]
    monkeypatch.undo()
    assert_nothing_left(sockets, threads)


def test_the_list_is_whole_and_the_page_shows_it():
    assert sorted(FAULTS) == list(range(1, 51))
    assert table() in PAGE.read_text(encoding="utf-8")
