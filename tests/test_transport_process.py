"""The transport and its process: Ctrl-C, fork, threads, several loops, cancellation, and the end of it all."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

import servers
from quoth.errors import ClosedError
from quoth.transport import Deadline
from quoth.transport._aio import AsyncHTTPTransport
from quoth.transport._blocking import HTTPTransport
from quoth.transport._config import HTTPSettings, Proxies, TLSSettings
from quoth.wire import HTTPRequest
from servers import RawServer, echo, never

SOURCE = str(Path(__file__).resolve().parents[1] / "src")
DIRECT = HTTPSettings(proxies=Proxies())
FAR = 30.0
"""A deadline that no test waits for: one that does has failed."""

posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork as POSIX has them")


def post(url: str, body: bytes = b"hello") -> HTTPRequest:
    return HTTPRequest(url=url, body=body)


def call(transport, url: str, body: bytes = b"hello") -> bytes:
    exchange = transport.open(post(url, body), Deadline(FAR))
    return b"".join(iter(lambda: exchange.read(Deadline(FAR)), b""))


async def acall(transport, url: str, body: bytes = b"hello") -> bytes:
    exchange = await transport.open(post(url, body), Deadline(FAR))
    whole = b""
    while piece := await exchange.read(Deadline(FAR)):
        whole += piece
    return whole


# Ctrl-C, in every phase.


def stall(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
    peer.wait_until_closed()


def mute(peer):
    stop.wait(10)


stop = threading.Event()
HANGING = {
    "connect, as a proxy": (mute, "https", b""),
    "tls": (mute, "https", b""),
    "send": (mute, "http", b"x" * (40 << 20)),
    "first_byte": (never, "http", b""),
    "read": (stall, "http", b""),
    "dns": (mute, "http", b""),
}


@pytest.fixture
def interrupted():
    """Press Ctrl-C in a moment."""
    main = threading.main_thread().ident
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    yield
    timer.join()


def hang(name, monkeypatch, server) -> tuple[str, HTTPSettings, bytes]:
    _, scheme, body = HANGING[name]
    proxy = f"http://127.0.0.1:{server.port}" if "proxy" in name else None
    if name == "dns":
        monkeypatch.setattr(socket, "getaddrinfo", slow_getaddrinfo)
    host = "slow.example.test" if name == "dns" or proxy else "127.0.0.1"
    settings = HTTPSettings(proxies=Proxies(https=proxy), connect_timeout=FAR)
    return f"{scheme}://{host}:{server.port}/", settings, body


def slow_getaddrinfo(*args, flags=0, **kwargs):
    if not flags:
        stop.wait(10)
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


@posix
@pytest.mark.parametrize("name", HANGING)
def test_ctrl_c_ends_a_blocking_call_at_once(name, monkeypatch, interrupted):
    stop.clear()
    with RawServer(HANGING[name][0]) as server:
        url, settings, body = hang(name, monkeypatch, server)
        transport = HTTPTransport(settings)
        with pytest.raises(KeyboardInterrupt):
            call(transport, url, body)
        stop.set()
        transport.close()


@posix
@pytest.mark.parametrize("name", HANGING)
def test_ctrl_c_ends_an_asyncio_call_at_once(name, monkeypatch, interrupted):
    stop.clear()
    with RawServer(HANGING[name][0]) as server:
        url, settings, body = hang(name, monkeypatch, server)
        transport = AsyncHTTPTransport(settings)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(acall(transport, url, body))
        stop.set()


@posix
def test_ctrl_c_ends_the_wait_for_a_free_connection(interrupted):
    transport = HTTPTransport(HTTPSettings(proxies=Proxies(), max_connections=1))
    with RawServer(stall) as server:
        exchange = transport.open(post(server.url()), Deadline(FAR))
        with pytest.raises(KeyboardInterrupt):
            transport.open(post(server.url()), Deadline(FAR))
        exchange.close()


# Fork. In processes of their own: the servers' threads do not belong into one that forks.


def run(script: str, *arguments: str, timeout: float = 30.0) -> str:
    prelude = (
        "import asyncio, os, socket, sys, threading, time\n"
        "from quoth.errors import ClosedError\n"
        "from quoth.transport import Deadline\n"
        "from quoth.transport._aio import AsyncHTTPTransport\n"
        "from quoth.transport._blocking import HTTPTransport\n"
        "from quoth.transport._config import HTTPSettings, Proxies, TLSSettings\n"
        "from quoth.wire import HTTPRequest\n"
        "url = sys.argv[1]\n"
        "settings = HTTPSettings(proxies=Proxies(), tls=TLSSettings(ca_file=(sys.argv[2:] or [None])[0]))\n"
        "def call(transport, body=b'hello'):\n"
        "    exchange = transport.open(HTTPRequest(url=url, body=body), Deadline(20))\n"
        "    return b''.join(iter(lambda: exchange.read(Deadline(20)), b''))\n"
        "async def acall(transport, body=b'hello'):\n"
        "    exchange = await transport.open(HTTPRequest(url=url, body=body), Deadline(20))\n"
        "    return await exchange.read(Deadline(20))\n"
        "def in_child(work):\n"
        "    pid = os.fork()\n"
        "    if pid:\n"
        "        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "    try:\n"
        "        work()\n"
        "        os._exit(0)\n"
        "    except BaseException as error:\n"
        "        print(repr(error), file=sys.stderr)\n"
        "    os._exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", prelude + script, *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    trustme = pytest.importorskip("trustme", reason="trustme makes the certificates of the TLS tests")
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


FORK = """
transport = HTTPTransport(settings)
assert call(transport) == b'hello'
def child():
    assert call(transport, b'child') == b'child'
    transport.close()
assert in_child(child) == 0
assert call(transport, b'parent') == b'parent'
transport.close()
"""


@posix
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_child_neither_uses_nor_ends_its_parents_connection(authority, tls):
    with RawServer(echo, tls=server_context(authority) if tls else None) as server:
        run(FORK, server.url(), str(authority / "ca.pem"))
        assert [body for _, body in server.requests] == [b"hello", b"child", b"parent"]
        assert len(server.connections) == 2


FORK_UNDER_A_STREAM = """
transport = HTTPTransport(settings)
exchange = transport.open(HTTPRequest(url=url, body=b'stream'), Deadline(20))
assert exchange.read(Deadline(20)) == b'first'
def child():
    try:
        exchange.read(Deadline(20))
    except ClosedError:
        pass
    exchange.close()
    assert call(transport, b'child') == b'child'
assert in_child(child) == 0
assert exchange.read(Deadline(20)) == b'last'
transport.close()
"""


FORK_AND_CLOSE = """
if {blocking}:
    transport = HTTPTransport(settings)
    assert call(transport) == b'hello'
    close = transport.close
else:
    transport, runner = AsyncHTTPTransport(settings), asyncio.Runner()
    assert runner.run(acall(transport)) == b'hello'
    close = runner.close
go, done = os.pipe()
pid = os.fork()
if not pid:
    os.close(done)
    os.read(go, 1)
    os._exit(0)
close()
answer = call(HTTPTransport(settings))
os.close(done)
assert os.waitpid(pid, 0)[1] == 0
assert answer == b'gone', answer
"""


@posix
@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "asyncio"])
def test_a_child_does_not_hold_its_parents_connections_open(blocking):
    def leave(peer):
        peer.reply(peer.read_request())
        peer.wait_until_closed()
        gone.set()

    def tell(peer):
        peer.read_request()
        peer.reply(b"gone" if gone.wait(5) else b"still open")

    gone = threading.Event()
    with RawServer(leave, tell) as server:
        run(FORK_AND_CLOSE.format(blocking=blocking), server.url())


FORK_UNDER_A_LOCK = """
transport = HTTPTransport(settings)
assert call(transport) == b'hello'
pool = next(iter(transport._pools.values()))
held, done = threading.Event(), threading.Event()
def hold():
    with pool._changed:
        held.set()
        done.wait(20)
thread = threading.Thread(target=hold)
thread.start()
held.wait(20)
code = in_child(lambda: call(transport))
done.set()
thread.join()
assert code == 0
transport.close()
"""


@posix
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python warns of any fork beside a thread")
def test_a_child_does_not_wait_for_a_lock_that_its_parent_held():
    with RawServer(echo) as server:
        run(FORK_UNDER_A_LOCK, server.url())


FORK_BETWEEN_LOOPS = """
transport = AsyncHTTPTransport(settings)
runner = asyncio.Runner()
assert runner.run(acall(transport)) == b'hello'
def child():
    assert asyncio.run(acall(transport, b'child')) == b'child'
assert in_child(child) == 0
assert runner.run(acall(transport, b'parent')) == b'parent'
runner.close()
"""


@posix
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_child_with_a_loop_of_its_own_leaves_its_parents_alone(authority, tls):
    with RawServer(echo, tls=server_context(authority) if tls else None) as server:
        run(FORK_BETWEEN_LOOPS, server.url(), str(authority / "ca.pem"))
        assert [body for _, body in server.requests] == [b"hello", b"child", b"parent"]
        assert len(server.connections) == 2


FORK_INSIDE_A_LOOP = """
async def main():
    transport = AsyncHTTPTransport(settings)
    exchange = await transport.open(HTTPRequest(url=url, body=b'stream'), Deadline(20))
    assert await exchange.read(Deadline(20)) == b'first'
    def child():
        exchange.close()
        transport.close()
        call(HTTPTransport(settings))
    assert in_child(child) == 0
    assert await exchange.read(Deadline(20)) == b'last'
asyncio.run(main())
"""


@posix
@pytest.mark.parametrize("script", [FORK_UNDER_A_STREAM, FORK_INSIDE_A_LOOP], ids=["blocking", "asyncio"])
def test_a_child_does_not_disturb_a_stream_of_its_parent(script):
    def stream(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")
        child_called.wait(20)
        peer.send(b"last")
        peer.wait_until_closed()

    def child_calls(peer):
        peer.reply(peer.read_request())
        peer.wait_until_closed()
        child_called.set()

    child_called = threading.Event()
    with RawServer(stream, child_calls) as server:
        run(script, server.url())


SPAWN = """
import multiprocessing
transport = HTTPTransport(settings)
assert call(transport) == b'hello'
transport.close()
"""


def test_a_new_interpreter_starts_afresh():
    with RawServer(echo) as server:
        for _ in range(2):
            run(SPAWN, server.url())
        assert len(server.connections) == 2


NO_DESCRIPTORS = """
import resource
transport = {transport}(settings)
def attempt():
    return {attempt}
assert attempt() == b'hello'
{first}
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
try:
    attempt_more()
except ConnectionError as error:
    assert (error.phase, error.sent) == ('connect', 'no'), error
else:
    raise AssertionError('a connection without a descriptor')
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
assert attempt() == b'hello'
{last}
"""


@posix
@pytest.mark.parametrize("shell", ["blocking", "asyncio"])
def test_running_out_of_descriptors_is_a_failure_to_connect(shell):
    words = {
        "blocking": {
            "transport": "HTTPTransport",
            "attempt": "call(transport)",
            "first": "def attempt_more():\n    call(HTTPTransport(settings))",
            "last": "transport.close()",
        },
        "asyncio": {
            "transport": "runner = asyncio.Runner()\ntransport = AsyncHTTPTransport",
            "attempt": "runner.run(acall(transport))",
            "first": "def attempt_more():\n    runner.run(acall(AsyncHTTPTransport(settings)))",
            "last": "runner.close()",
        },
    }[shell]
    with RawServer(echo) as server:
        run(NO_DESCRIPTORS.format(**words), server.url())


PLAIN = """
import sys
import quoth
before = set(sys.modules)
from quoth.transport import Deadline
from quoth.transport._blocking import HTTPTransport
from quoth.wire import HTTPRequest
exchange = HTTPTransport().open(HTTPRequest(url=sys.argv[1], body=b'hello'), Deadline(20))
assert exchange.read(Deadline(20)) == b'hello'
print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))
"""


def test_a_plain_blocking_call_loads_neither_ssl_nor_asyncio_nor_urllib():
    with RawServer(echo) as server:
        done = subprocess.run(
            [sys.executable, "-c", PLAIN, server.url()],
            env={**os.environ, "PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            check=True,
        )
    loaded = set(done.stdout.split())
    assert "httptools" in loaded
    assert not loaded & {"asyncio", "ssl", "urllib", "http", "logging", "dataclasses", "inspect", "json", "ipaddress"}


# The end of the interpreter.

ENDS = {
    "idle": "transport = HTTPTransport(settings)\ncall(transport)\n",
    "idle, asyncio": "transport = AsyncHTTPTransport(settings)\nasyncio.run(acall(transport))\n",
    "open": "exchange = HTTPTransport(settings).open(HTTPRequest(url=url), Deadline(20))\n",
    "open, asyncio": (
        "async def main():\n"
        "    global exchange\n"
        "    transport = AsyncHTTPTransport(settings)\n"
        "    exchange = await transport.open(HTTPRequest(url=url), Deadline(20))\n"
        "asyncio.run(main())\n"
    ),
    "waiting in a thread": (
        "transport = HTTPTransport(settings)\n"
        "threading.Thread(target=call, args=(transport,), daemon=True).start()\n"
        "time.sleep(0.3)\n"
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_interpreter_ends_in_silence(name):
    script = echo if "idle" in name else (never if "thread" in name else stall)
    with RawServer(script) as server:
        run(ENDS[name], server.url())


HANGING_LOOK_UP = """
real = socket.getaddrinfo
def getaddrinfo(*args, flags=0, **kwargs):
    if flags:
        raise socket.gaierror
    time.sleep(60)
socket.getaddrinfo = getaddrinfo
url = 'http://slow.example.test/'
try:
    {call}
except TimeoutError as error:
    assert error.phase == 'dns', error
"""


@pytest.mark.parametrize(
    "words",
    [
        "HTTPTransport(settings).open(HTTPRequest(url=url), Deadline(0.2))",
        "asyncio.run(AsyncHTTPTransport(settings).open(HTTPRequest(url=url), Deadline(0.2)))",
    ],
    ids=["blocking", "asyncio"],
)
def test_a_look_up_that_hangs_does_not_hold_up_the_end(words):
    run(HANGING_LOOK_UP.format(call=words), "unused")


# Loops and threads.


def test_a_transport_serves_loop_after_loop():
    transport = AsyncHTTPTransport(DIRECT)
    with RawServer(echo) as server:
        for number in range(3):
            assert asyncio.run(acall(transport, server.url(), b"%d" % number)) == b"%d" % number
        assert len(server.connections) == 3
        assert not transport._homes


def test_a_transport_serves_loops_in_several_threads():
    transport = AsyncHTTPTransport(DIRECT)
    results = []

    async def many(url):
        return await asyncio.gather(*[acall(transport, url, b"%d" % number) for number in range(20)])

    with RawServer(echo) as server:
        threads = [threading.Thread(target=lambda: results.append(asyncio.run(many(server.url())))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [[b"%d" % number for number in range(20)]] * 4
    assert not transport._homes


def test_a_loop_that_was_just_closed_is_noticed_and_its_sockets_freed():
    transport = AsyncHTTPTransport(DIRECT)

    def leave(peer):
        peer.reply(peer.read_request())
        peer.wait_until_closed()

    with RawServer(leave) as server:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(acall(transport, server.url()))
        loop.close()
        assert asyncio.run(acall(transport, server.url())) == b"hello"
        assert server.goodbyes.acquire(timeout=10)
        assert not transport._homes
        del loop
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # asyncio's, of the loop that was closed so
            gc.collect()


def test_a_transport_that_nobody_holds_closes_its_connections():
    async def main(server):
        transport = AsyncHTTPTransport(DIRECT)
        await acall(transport, server.url())
        del transport
        gc.collect()
        while not server.goodbyes.acquire(blocking=False):  # noqa: ASYNC110  # a thread's semaphore
            await asyncio.sleep(0.01)

    def leave(peer):
        peer.reply(peer.read_request())
        peer.wait_until_closed()

    with RawServer(leave) as server:
        asyncio.run(main(server))


def test_a_blocking_call_inside_a_running_loop_works():
    async def main(url):
        return call(HTTPTransport(DIRECT), url)

    with RawServer(echo) as server:
        assert asyncio.run(main(server.url())) == b"hello"


def test_threads_share_a_blocking_transport():
    transport = HTTPTransport(DIRECT)
    failures = []

    def work(url, name):
        for number in range(25):
            body = b"%d-%d" % (name, number)
            if call(transport, url, body) != body:
                failures.append(body)

    with RawServer(echo) as server:
        threads = [threading.Thread(target=work, args=(server.url(), name)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.connections) <= 16
        transport.close()
    assert not failures


# Cancellation, at every turn of the loop.


async def cancelled_after(turns: int, transport, url: str) -> bool:
    """Begin a call and cancel it after so many turns of the loop; say whether it was still under way."""
    task = asyncio.create_task(acall(transport, url, b"x" * 100_000))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("route", ["plain", "tls", "tunnel"])
def test_cancelling_at_any_turn_leaves_nothing_behind(authority, route, kept):
    async def main(url, settings):
        transport = AsyncHTTPTransport(settings)
        under_way = []
        for turns in range(40):
            if kept:
                assert await acall(transport, url) == b"hello"
            under_way.append(await cancelled_after(turns, transport, url))
            assert await acall(transport, url, b"after") == b"after"
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert all(len(pool.live) <= 2 for home in transport._homes.values() for pool in home.pools.values())
        return under_way

    tls = None if route == "plain" else server_context(authority)
    with RawServer(echo, tls=tls) as server, RawServer(servers.tunnel(server.port)) as proxy:
        proxies = Proxies(https=f"http://127.0.0.1:{proxy.port}") if route == "tunnel" else Proxies()
        tls = TLSSettings(ca_file=str(authority / "ca.pem"))
        settings = HTTPSettings(proxies=proxies, tls=tls, max_idle_seconds=60 if kept else -1)
        under_way = asyncio.run(main(server.url(), settings))
    assert under_way[0]
    assert sum(under_way) > 3


def test_a_timeout_around_a_call_is_the_callers_own():
    async def main(url):
        transport = AsyncHTTPTransport(DIRECT)
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await acall(transport, url)
        assert type(caught.value) is TimeoutError
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with RawServer(never) as server:
        asyncio.run(main(server.url()))
        assert server.goodbyes.acquire(timeout=10)


def test_a_task_that_reads_is_told_when_another_closes():
    async def main(url):
        transport = AsyncHTTPTransport(DIRECT)
        exchange = await transport.open(post(url), Deadline(FAR))
        assert await exchange.read(Deadline(FAR)) == b"ok"
        asyncio.get_running_loop().call_later(0.05, exchange.close)
        with pytest.raises(ClosedError):
            await exchange.read(Deadline(FAR))

    with RawServer(stall) as server:
        asyncio.run(main(server.url()))
        assert server.goodbyes.acquire(timeout=10)
