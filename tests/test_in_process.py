"""The in-process transport, blocking and asyncio, over small apps that misbehave on purpose."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from quoth.errors import (
    APIConnectionError,
    ConfigurationError,
    DeadlineExceededError,
    ProtocolError,
    QuothError,
)
from quoth.transport import Deadline
from quoth.transport._in_process import InProcessTransport
from quoth.transport._in_process_aio import AsyncInProcessTransport
from quoth.wire import HTTPRequest, WireReply

SOURCES = Path(__file__).resolve().parents[1] / "src"
REQUEST = HTTPRequest(url="local://embedded/chat/completions", body=b"hello")
HEAD = WireReply(status=200, headers=(("content-type", "text/plain"),))
PATIENCE = 20.0
"""Seconds after which a test that waits for something gives up; nothing here takes a tenth of it."""


class Script:
    """Emits what it is given, in order; an exception in the list is raised, a function is called."""

    def __init__(self, *items):
        self.items = items
        self.requests = []

    def handle(self, request, emit):
        self.requests.append(request)
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            if callable(item):
                item()
            else:
                emit(item)


class Endless:
    """Emits until it is told to stop."""

    def __init__(self, *first, pause=0.001):
        self.first = first
        self.pause = pause
        self.stopped = threading.Event()

    def handle(self, request, emit):
        for item in self.first:
            emit(item)
        while not emit(b"more"):
            self.wait()
        self.stopped.set()

    def wait(self):
        if self.pause:
            threading.Event().wait(self.pause)


class Silent(Endless):
    """Emits ``first`` and then nothing, but asks whether its caller has gone."""

    def handle(self, request, emit):
        for item in self.first:
            emit(item)
        while not emit(b""):
            self.wait()
        self.stopped.set()


class Told:
    """What one caller saw: the head, the pieces, and what was raised where."""

    def __init__(self):
        self.status = self.headers = self.error = self.again = self.exchange = None
        self.pieces = []


def blocking(app, timeout=PATIENCE):
    told, deadline = Told(), Deadline(timeout)
    try:
        told.exchange = exchange = InProcessTransport(app).open(REQUEST, deadline)
        told.status, told.headers = exchange.status, exchange.headers
        while piece := exchange.read(deadline):
            told.pieces.append(piece)
    except QuothError as error:
        told.error = error
    if told.exchange is not None:
        try:
            told.again = told.exchange.read(deadline)
        except QuothError as error:
            told.again = error
    return told


def in_asyncio(app, timeout=PATIENCE):
    complaints = []

    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        told, deadline = Told(), Deadline(timeout)
        try:
            told.exchange = exchange = await AsyncInProcessTransport(app).open(REQUEST, deadline)
            told.status, told.headers = exchange.status, exchange.headers
            while piece := await exchange.read(deadline):
                told.pieces.append(piece)
        except QuothError as error:
            told.error = error
        if told.exchange is not None:
            try:
                told.again = await told.exchange.read(deadline)
            except QuothError as error:
                told.again = error
        return told

    told = asyncio.run(scenario())
    assert not complaints
    return told


@pytest.fixture(params=[blocking, in_asyncio])
def call(request):
    return request.param


# What is emitted is what is read.


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=12), st.binary(max_size=5))
def test_both_worlds_read_what_was_emitted_piece_by_piece_and_never_an_empty_piece(pieces, first):
    head = WireReply(status=207, headers=(("x-a", "1"), ("x-a", "2")), body=first)
    wanted = [piece for piece in [first, *pieces] if piece]
    for call in (blocking, in_asyncio):
        told = call(Script(head, *pieces))
        assert told.error is None
        assert (told.status, told.headers) == (207, (("x-a", "1"), ("x-a", "2")))
        assert told.pieces == wanted


def test_reading_past_the_end_gives_the_end_again(call):
    assert call(Script(HEAD, b"all")).again == b""


def test_the_app_gets_the_request_that_was_sent(call):
    app = Script(HEAD)
    call(app)
    assert app.requests == [REQUEST]


def test_a_piece_is_handed_on_before_the_next_one_exists():
    seen = threading.Event()
    missed = []
    app = Script(HEAD, b"one", lambda: seen.wait(PATIENCE) or missed.append("the first piece"), b"two")
    deadline = Deadline(PATIENCE * 2)
    exchange = InProcessTransport(app).open(REQUEST, deadline)
    assert exchange.read(deadline) == b"one"
    seen.set()
    assert exchange.read(deadline) == b"two"
    assert exchange.read(deadline) == b""
    assert not missed


def test_a_piece_is_handed_on_in_asyncio_before_the_next_one_exists():
    seen = threading.Event()
    missed = []
    app = Script(HEAD, b"one", lambda: seen.wait(PATIENCE) or missed.append("the first piece"), b"two")

    async def scenario():
        deadline = Deadline(PATIENCE * 2)
        exchange = await AsyncInProcessTransport(app).open(REQUEST, deadline)
        first = await exchange.read(deadline)
        seen.set()
        return first, await exchange.read(deadline), await exchange.read(deadline)

    assert asyncio.run(scenario()) == (b"one", b"two", b"")
    assert not missed


def test_an_app_is_not_held_up_by_a_caller_that_does_not_read():
    done = threading.Event()
    app = Script(HEAD, *[b"x"] * 1000, done.set)
    exchange = InProcessTransport(app).open(REQUEST, Deadline(PATIENCE))
    assert done.wait(PATIENCE)
    exchange.close()


def test_calls_run_at_the_same_time_in_threads_and_do_not_mix():
    together = threading.Barrier(8, timeout=PATIENCE)

    class Echo:
        def handle(self, request, emit):
            together.wait()  # breaks unless all eight are under way at once
            emit(HEAD)
            for _ in range(50):
                emit(request.body)

    transport = InProcessTransport(Echo())
    bodies = {}

    def ask(number):
        deadline = Deadline(PATIENCE)
        exchange = transport.open(HTTPRequest(url="local://x", body=b"%d," % number), deadline)
        bodies[number] = b"".join(iter(lambda: exchange.read(deadline), b""))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == {number: b"%d," % number * 50 for number in range(8)}


def test_two_tasks_of_one_loop_are_served_at_the_same_time():
    together = threading.Barrier(2, timeout=PATIENCE)
    app = Script(HEAD, b"a", together.wait, b"b")

    async def ask(transport):
        deadline = Deadline(PATIENCE)
        exchange = await transport.open(REQUEST, deadline)
        return await exchange.read(deadline) + await exchange.read(deadline) + await exchange.read(deadline)

    async def scenario():
        transport = AsyncInProcessTransport(app)
        return await asyncio.gather(ask(transport), ask(transport))

    assert asyncio.run(scenario()) == [b"ab", b"ab"]


def test_one_asyncio_transport_serves_several_loops():
    transport = AsyncInProcessTransport(Script(HEAD, b"a"))

    async def ask():
        deadline = Deadline(PATIENCE)
        return await (await transport.open(REQUEST, deadline)).read(deadline)

    assert [asyncio.run(ask()) for _ in range(3)] == [b"a"] * 3


# Failures are never swallowed and never look like an end.


@pytest.mark.parametrize("raised", [ValueError("no such thing"), SystemExit("bye"), StopIteration()])
@pytest.mark.parametrize(("before", "phase"), [((), "first_byte"), ((HEAD, b"part"), "read")])
def test_what_an_app_raises_becomes_a_connection_error_that_names_it(call, raised, before, phase):
    told = call(Script(*before, raised))
    assert isinstance(told.error, APIConnectionError)
    assert type(raised).__name__ in str(told.error)
    assert (told.error.phase, told.error.sent, told.error.retryable) == (phase, "yes", False)
    assert told.error.__cause__ is raised
    assert told.pieces == [b"part"] * bool(before)


@pytest.mark.parametrize("before", [(), (HEAD, b"part")])
def test_an_error_of_ours_reaches_the_caller_itself(call, before):
    error = ConfigurationError("install it")
    assert call(Script(*before, error)).error is error


def test_a_failed_body_fails_again_when_read_again(call):
    told = call(Script(HEAD, b"part", ValueError("broken")))
    assert isinstance(told.again, APIConnectionError)


@pytest.mark.parametrize("items", [(), (b"body",)])
def test_an_app_that_gives_no_head_breaks_the_protocol(call, items):
    assert isinstance(call(Script(*items)).error, ProtocolError)


def test_an_app_that_gives_two_heads_breaks_the_protocol(call):
    told = call(Script(HEAD, b"a", HEAD))
    assert isinstance(told.error, ProtocolError)
    assert isinstance(told.again, ProtocolError)


def test_a_thread_that_cannot_be_started_is_a_connection_error_and_nothing_was_sent():
    result = python("""
        import threading
        threading.stack_size(1 << 46)  # more than there is
        try:
            InProcessTransport(App()).open(REQUEST, Deadline(20))
        except APIConnectionError as error:
            print(error.phase, error.sent)
    """)
    assert result == "connect no"


# The deadline.


@pytest.mark.parametrize(("first", "phase"), [((), "first_byte"), ((HEAD, b"part"), "read")])
def test_a_deadline_ends_the_wait_in_its_phase_and_stops_the_app(call, first, phase):
    app = Silent(*first)
    told = call(app, timeout=0.1)
    assert isinstance(told.error, DeadlineExceededError)
    assert (told.error.phase, told.error.sent) == (phase, "yes")
    assert app.stopped.wait(PATIENCE)
    assert told.again is None or isinstance(told.again, DeadlineExceededError)


def test_a_deadline_ends_a_stream_that_never_pauses(call):
    app = Endless(HEAD, pause=0)
    told = call(app, timeout=0.05)
    assert isinstance(told.error, DeadlineExceededError)
    assert app.stopped.wait(PATIENCE)


def test_nothing_is_started_after_the_deadline(call):
    app = Script(HEAD)
    told = call(app, timeout=-1.0)
    assert isinstance(told.error, DeadlineExceededError)
    assert told.error.sent == "no"
    assert app.requests == []


def test_there_may_be_no_deadline(call):
    assert call(Script(HEAD, b"a"), timeout=math.inf).pieces == [b"a"]


def test_a_deadline_may_be_years_away(call):
    assert call(Script(HEAD, b"a"), timeout=1e15).pieces == [b"a"]


# Letting go.


def test_closing_stops_the_app_and_its_thread_ends():
    app = Endless(HEAD)
    exchange = InProcessTransport(app).open(REQUEST, Deadline(PATIENCE))
    exchange.close()
    exchange.close()
    assert app.stopped.wait(PATIENCE)
    exchange._call.thread.join(PATIENCE)
    assert not exchange._call.thread.is_alive()
    with pytest.raises(APIConnectionError, match="closed"):
        exchange.read(Deadline(PATIENCE))


def test_closing_after_the_end_changes_nothing():
    deadline = Deadline(PATIENCE)
    exchange = InProcessTransport(Script(HEAD)).open(REQUEST, deadline)
    assert exchange.read(deadline) == b""
    exchange.close()
    assert exchange.read(deadline) == b""


def test_closing_from_another_thread_wakes_a_reader_that_waits_for_ever():
    app = Silent(HEAD)
    exchange = InProcessTransport(app).open(REQUEST, Deadline(math.inf))
    raised = []

    def read():
        try:
            exchange.read(Deadline(math.inf))
        except APIConnectionError as error:
            raised.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(0.1)  # it waits by now, or will find the exchange closed: the outcome is the same
    exchange.close()
    reader.join(PATIENCE)
    assert [error.phase for error in raised] == ["read"]
    assert app.stopped.wait(PATIENCE)


def test_closing_from_another_thread_wakes_a_task_that_waits_for_ever():
    app = Silent(HEAD)

    async def scenario():
        exchange = await AsyncInProcessTransport(app).open(REQUEST, Deadline(math.inf))
        threading.Timer(0.1, exchange.close).start()
        with pytest.raises(APIConnectionError, match="closed"):
            await exchange.read(Deadline(math.inf))
        with pytest.raises(APIConnectionError, match="closed"):
            await exchange.read(Deadline(math.inf))

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))
    assert app.stopped.wait(PATIENCE)


def test_pieces_that_wait_in_a_closed_exchange_of_asyncio_are_not_read_any_more():
    async def scenario():
        emitted = threading.Event()
        app = Script(HEAD, b"a", b"b", emitted.set)
        exchange = await AsyncInProcessTransport(app).open(REQUEST, Deadline(PATIENCE))
        await asyncio.to_thread(emitted.wait, PATIENCE)
        exchange.close()
        with pytest.raises(APIConnectionError, match="closed"):
            await exchange.read(Deadline(PATIENCE))

    asyncio.run(scenario())


def test_an_abandoned_exchange_stops_its_app_when_it_is_collected():
    app = Endless(HEAD)
    exchange = InProcessTransport(app).open(REQUEST, Deadline(PATIENCE))
    exchange.read(Deadline(PATIENCE))
    del exchange
    gc.collect()
    assert app.stopped.wait(PATIENCE)


def test_an_abandoned_exchange_of_asyncio_stops_its_app_when_it_is_collected():
    app = Endless(HEAD)

    async def scenario():
        exchange = await AsyncInProcessTransport(app).open(REQUEST, Deadline(PATIENCE))
        await exchange.read(Deadline(PATIENCE))
        del exchange
        gc.collect()
        return await asyncio.to_thread(app.stopped.wait, PATIENCE)

    assert asyncio.run(scenario())


@pytest.mark.parametrize("first", [(), (HEAD,)])
def test_cancelling_a_task_stops_the_app(first):
    app = Silent(*first)

    async def ask():
        exchange = await AsyncInProcessTransport(app).open(REQUEST, Deadline(math.inf))
        try:
            await exchange.read(Deadline(math.inf))
        finally:
            exchange.close()

    async def scenario():
        task = asyncio.create_task(ask())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(app.stopped.wait, PATIENCE)

    assert asyncio.run(scenario())


def test_cancelling_does_not_wait_for_an_app_that_does_not_listen():
    release = threading.Event()
    app = Script(HEAD, lambda: release.wait(PATIENCE * 2))

    async def scenario():
        exchange = await AsyncInProcessTransport(app).open(REQUEST, Deadline(math.inf))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await exchange.read(Deadline(math.inf))
        exchange.close()
        return release.is_set()

    assert asyncio.run(scenario()) is False  # the caller was free while the app still stood still
    release.set()


def test_an_app_whose_event_loop_was_closed_is_stopped():
    app = Endless(HEAD)
    kept = []

    async def scenario():
        kept.append(await AsyncInProcessTransport(app).open(REQUEST, Deadline(PATIENCE)))

    asyncio.run(scenario())
    assert app.stopped.wait(PATIENCE)
    kept[0].close()  # must not raise


def test_closing_a_transport_leaves_calls_under_way_alone():
    transport = InProcessTransport(Script(HEAD, b"a"))
    deadline = Deadline(PATIENCE)
    exchange = transport.open(REQUEST, deadline)
    transport.close()
    assert exchange.read(deadline) == b"a"
    assert transport.open(REQUEST, deadline).status == 200


# The life of the process.

PROLOGUE = """
import math, os, signal, sys, threading, time
from quoth.errors import *
from quoth.transport import Deadline
from quoth.transport._in_process import InProcessTransport
from quoth.wire import HTTPRequest, WireReply

REQUEST = HTTPRequest(url="local://x")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it

class App:
    pause = 0.001
    def handle(self, request, emit):
        emit(WireReply(status=200))
        while not emit(b"more"):
            time.sleep(self.pause)
        print("stopped")

class Silent:
    def handle(self, request, emit):
        emit(WireReply(status=200))
        while not emit(b""):
            time.sleep(0.001)
"""


def python(text, *, status=0):
    """Run a program in a fresh interpreter; give its output, where it ended well and wrote no error."""
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + textwrap.dedent(text)],
        env={**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONWARNINGS": "ignore:This process:DeprecationWarning"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (status, "")
    return done.stdout.strip()


def test_a_program_may_end_in_the_middle_of_a_stream():
    result = python("""
        deadline = Deadline(20)
        exchange = InProcessTransport(App()).open(REQUEST, deadline)
        print(exchange.read(deadline).decode())
    """)
    assert result == "more\nstopped"


def test_a_program_may_end_with_any_status_in_the_middle_of_a_stream():
    result = python(
        """
        exchange = InProcessTransport(App()).open(REQUEST, Deadline(20))
        sys.exit(3)
        """,
        status=3,
    )
    assert result == "stopped"


def test_no_call_begins_once_the_interpreter_is_ending():
    result = python("""
        import atexit
        def late():
            try:
                InProcessTransport(App()).open(REQUEST, Deadline(20))
            except APIConnectionError as error:
                print("refused", error.sent)
        atexit.register(late)  # runs after the hook that the first call registers
        InProcessTransport(App()).open(REQUEST, Deadline(20)).close()
    """)
    assert result.splitlines()[-1] == "refused no"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
def test_ctrl_c_interrupts_a_wait_that_has_no_end():
    result = python("""
        exchange = InProcessTransport(Silent()).open(REQUEST, Deadline(math.inf))
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            exchange.read(Deadline(math.inf))
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert result == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
def test_ctrl_c_interrupts_the_wait_for_the_head_and_stops_the_app():
    result = python("""
        stopped = threading.Event()
        class Headless:
            def handle(self, request, emit):
                while not emit(b""):
                    time.sleep(0.001)
                stopped.set()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            InProcessTransport(Headless()).open(REQUEST, Deadline(math.inf))
        except KeyboardInterrupt:
            print("interrupted", stopped.wait(20))
    """)
    assert result == "interrupted True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("ending", ["sys.exit(7)", "os._exit(7)"])
def test_a_forked_child_is_refused_its_parents_reply_and_may_end_either_way(ending):
    result = python(f"""
        exchange = InProcessTransport(Silent()).open(REQUEST, Deadline(math.inf))
        child = os.fork()
        if not child:
            try:
                exchange.read(Deadline(math.inf))
            except APIConnectionError:
                {ending}
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert result == "7"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_calls_of_its_own():
    result = python("""
        transport = InProcessTransport(Silent())
        exchange = transport.open(REQUEST, Deadline(math.inf))
        child = os.fork()
        if not child:
            os._exit(transport.open(REQUEST, Deadline(20)).status - 193)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert result == "7"


def test_the_blocking_half_does_not_import_asyncio():
    assert python("print('asyncio' in sys.modules)") == "False"


def test_the_wait_is_cut_into_slices_only_where_it_must_be():
    from quoth.transport import _in_process

    assert (_in_process.LONGEST_WAIT <= 0.1) == (sys.platform == "win32")
