"""What bench/compare.py is made of: the server and its clients at work, and the document held to the raw rounds."""

import json
import platform
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import comparison  # noqa: E402
import loopback  # noqa: E402

RESULTS = sorted((BENCH / "results").glob("compare-*.json"))
STREAM = loopback.bare_request("a", loopback.STREAM_BODY)
REQUESTS = {
    loopback.bare_request("a"): loopback.WHOLE["chat"],
    STREAM: loopback.BURST["chat"],
    STREAM.replace(b'"stream":true', b'"stream":null'): loopback.WHOLE["chat"],
    b"POST /v1/messages?beta=true HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}": loopback.WHOLE["messages"],
    b"POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}": loopback.BURST[
        "gemini"
    ],
    b"POST /v1beta/models/m:generateContent HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}": loopback.WHOLE["gemini"],
}


class Written:
    """A transport that keeps what is written."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def is_closing(self):
        return False


@given(st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=6))
def test_requests_are_answered_in_order_however_they_are_cut(asked, cuts):
    server = loopback.Server("plain")
    server.connection_made(Written())
    data = b"".join(asked)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        if start < end:
            server.data_received(data[start:end])
    assert server.transport.data == b"".join(REQUESTS[each] for each in asked)
    assert server.buffer == b""


@pytest.fixture(scope="module")
def roots():
    server, roots = loopback.start_server()
    yield roots
    seconds, served = server.ask()
    assert served > 100
    assert seconds > 0
    server.close()


@pytest.mark.parametrize("name", ["floor", "quoth", "quoth bound", "quoth messages", "quoth gemini"])
def test_a_client_goes_through_the_cases(roots, name):
    worker = loopback.Worker(sys.executable, str(BENCH / "clients.py"), name, json.dumps(roots))
    for case in ("blocking", "8 threads", "asyncio 50", "asyncio 50, 100 ms", "burst", "asyncio burst"):
        figures = worker.ask(case, 0.01, seconds=30)
        assert "error" not in figures, figures
        assert figures["cpu"] > 0
        assert figures["p50"] <= figures["p99"]
    kept = worker.ask("memory", 0.2, 50, seconds=30)
    assert kept["calls"] == 50
    assert worker.ask("TLS", 0.01, seconds=30) == {"error": "KeyError: 'tls'"}
    worker.close()
    assert worker.process.returncode == 0


def made_up(**figures):
    """Results of two rounds, in which quoth took 10 and 40 and a peer what is said."""
    rounds = [
        {"load": 1.0, "seconds": 60, "cases": {"blocking": {"quoth": {"cpu": ours, "wall": ours, "server": 1.0}}}}
        for ours in (10.0, 40.0)
    ]
    for name, values in figures.items():
        for taken, value in zip(rounds, values, strict=False):
            taken["cases"]["blocking"][name] = {"cpu": value, "wall": value, "server": 1.0}
    names = ["floor", "quoth", "openai"]
    return {
        "date": "2026-11-25", "python": "3.11.7", "system": "Linux", "cpu": "a", "cores": 2, "one core": True,
        "clients": names, "cases": ["blocking"], "versions": {}, "installed": {}, "looks": {}, "failures": {},
        "memory": {}, "rounds": rounds, "finished": True,
    }  # fmt: skip


def test_a_ratio_is_that_of_the_same_round():
    results = made_up(openai=(20.0, 80.0))
    assert comparison.compared(results, "openai", "blocking") == "2.0x / 2.0x"
    assert comparison.compared(results, "quoth", "blocking") == "25 / 25"
    assert comparison.compared(results, "floor", "blocking") == "-"


def test_a_failure_is_told_and_what_it_left_is_counted():
    results = made_up(openai=(20.0,))
    results["failures"] = {"openai": {"blocking": ["Boom: at 0x7f00 | <b>"]}, "floor": {"blocking": ["a", "b"]}}
    assert comparison.failures(results) == [
        "openai, blocking (1 of 2 times): Boom: at _ _ _b_",
        "floor, blocking (every time): b",
    ]
    assert comparison.compared(results, "floor", "blocking") == "fails"
    assert comparison.compared(results, "openai", "blocking") == "2.0x / 2.0x"


def test_raw_rounds_read_back_as_they_were():
    results = made_up(openai=(20.0, 80.0))
    assert json.loads(comparison.dump(results)) == results


def test_the_document_is_written_between_its_marks_alone(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{comparison.BEGIN}\nold\n{comparison.END}\nafter\n", "utf-8")
    comparison.write_document(made_up(openai=(20.0, 80.0)), document)
    written = document.read_text("utf-8")
    assert written.startswith(f"before\n{comparison.BEGIN}\n")
    assert written.endswith(f"{comparison.END}\nafter\n")
    assert "old" not in written
    assert "| blocking call, us | - | 25 / 25 | 2.0x / 2.0x |" in written


@pytest.mark.skipif(not RESULTS, reason="no results have been kept yet")
def test_the_document_says_what_the_newest_raw_rounds_say():
    results = json.loads(RESULTS[-1].read_text("utf-8"))
    assert results["finished"]
    assert comparison.markdown(results) in comparison.DOCUMENT.read_text("utf-8")


@pytest.mark.skipif(not RESULTS, reason="no results have been kept yet")
def test_raw_rounds_name_no_machine_and_no_path():
    text = "".join([path.read_text("utf-8") for path in RESULTS])
    assert len(platform.node()) < 6 or platform.node() not in text
    assert not any(word in text for word in ("/home", "/root", "/work", "127.0.0.1", "site-packages", "C:\\"))
