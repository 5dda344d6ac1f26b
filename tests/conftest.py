"""What all tests share: the switch for the slow ones, and the ways to ask."""

from __future__ import annotations

import signal
import sys

import pytest
from hypothesis import settings

from ways import STREAMS, WAYS

# A deadline would be a time asserted on a shared machine. Few examples keep the suite short; --slow looks further.
settings.register_profile("quoth", deadline=None, max_examples=50)
settings.register_profile("slow", settings.get_profile("quoth"), max_examples=400)
settings.load_profile("quoth")


def _stay_at_home(event, arguments):
    """No test may reach another machine, whatever it is told to call."""
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
        if not (host in ("localhost", "::1", "") or str(host).startswith("127.")):
            raise PermissionError(f"a test tried to connect to {host}")


sys.addaudithook(_stay_at_home)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a shell's background job; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run soaks and comparisons too")


def pytest_configure(config):
    if config.getoption("--slow"):  # before a law takes its settings, as it is collected
        settings.load_profile("slow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def ask(request):
    """One of the four ways to ask."""
    return request.param


@pytest.fixture(params=STREAMS.values(), ids=STREAMS)
def ask_streamed(request):
    """One of those that stream."""
    return request.param
