"""One suite for both shells over real sockets: the promises of the seam, and what is left behind after each.

Every test that takes ``shell`` runs twice. After each, sockets, threads and tasks must be back where they were.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import importlib.util
import math
import os
import pickle
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import servers
from quoth.errors import (
    APIConnectionError,
    APITimeoutError,
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    ProtocolError,
    TransportError,
)
from quoth.transport import Deadline
from quoth.transport._aio import AsyncHTTPTransport
from quoth.transport._blocking import HTTPTransport
from quoth.transport._config import HTTPSettings, Proxies, TLSSettings
from quoth.transport._connecting import Planner
from quoth.transport._http1 import Caps
from quoth.wire import HTTPRequest, header
from servers import RawServer, canned, echo, never

KEY = "sk-test-0123456789abcdef"
DIRECT = Proxies()
SLOW = 0.25
"""A timeout that is meant to pass."""


def request(url: str, body: bytes = b"hello", **changes) -> HTTPRequest:
    return HTTPRequest(url=url, body=body, headers=(("authorization", f"Bearer {KEY}"),), **changes)


class Blocking:
    name = "blocking"

    def __init__(self) -> None:
        self._transports: list[HTTPTransport] = []

    def transport(self, settings: HTTPSettings):
        transport = HTTPTransport(settings)
        self._transports.append(transport)
        return transport

    def open(self, transport, request, deadline):
        return transport.open(request, deadline)

    def read(self, exchange, deadline):
        return exchange.read(deadline)

    def settle(self) -> None:
        """Let what was begun elsewhere happen."""

    def together(self, *calls):
        """Run calls at the same time, each given the transport's own means to wait."""
        results: list[object] = [None] * len(calls)

        def run(index, call):
            try:
                results[index] = call()
            except TransportError as error:
                results[index] = error

        threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def whole_call(self, transport, request, timeout):
        def call():
            exchange = transport.open(request, Deadline(timeout))
            body = b"".join(iter(lambda: exchange.read(Deadline(timeout)), b""))
            return exchange.status, body

        return call

    def close(self) -> None:
        for transport in self._transports:
            transport.close()


class Aio:
    name = "asyncio"
    loop_factory = None

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=self.loop_factory)
        self._transports: list[AsyncHTTPTransport] = []

    def transport(self, settings: HTTPSettings):
        transport = AsyncHTTPTransport(settings)
        self._transports.append(transport)
        return transport

    def open(self, transport, request, deadline):
        return self._runner.run(transport.open(request, deadline))

    def read(self, exchange, deadline):
        return self._runner.run(exchange.read(deadline))

    def settle(self) -> None:
        self._runner.run(asyncio.sleep(0.01))

    def together(self, *calls):
        async def run():
            return await asyncio.gather(*[call() for call in calls], return_exceptions=True)

        return self._runner.run(run())

    def whole_call(self, transport, request, timeout):
        async def call():
            exchange = await transport.open(request, Deadline(timeout))
            body = b""
            while piece := await exchange.read(Deadline(timeout)):
                body += piece
            return exchange.status, body

        return call

    def close(self) -> None:
        tasks = asyncio.all_tasks(self._runner.get_loop())
        self._runner.close()
        assert not tasks


class UVLoop(Aio):
    name = "uvloop"

    @staticmethod
    def loop_factory():
        return importlib.import_module("uvloop").new_event_loop()


SHELLS = [
    Blocking,
    Aio,
    pytest.param(
        UVLoop, marks=pytest.mark.skipif(not importlib.util.find_spec("uvloop"), reason="uvloop is not installed")
    ),
]


class Client:
    """A transport and its shell, as one thing to call."""

    def __init__(self, shell, settings: HTTPSettings) -> None:
        self._shell = shell
        self.transport = shell.transport(settings)

    def open(self, request, timeout=10.0):
        return self._shell.open(self.transport, request, Deadline(timeout))

    def read(self, exchange, timeout=10.0):
        return self._shell.read(exchange, Deadline(timeout))

    def read_all(self, exchange, timeout=10.0):
        return b"".join(iter(lambda: self.read(exchange, timeout), b""))

    def call(self, request, timeout=10.0):
        exchange = self.open(request, timeout)
        return exchange.status, self.read_all(exchange, timeout)

    def together(self, *requests, timeout=10.0):
        return self._shell.together(*[self._shell.whole_call(self.transport, one, timeout) for one in requests])

    def settle(self):
        self._shell.settle()


def open_sockets() -> set[str]:
    if not Path("/proc/self/fd").exists():
        return set()
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.add(str(entry.readlink()))
    return {link for link in links if link.startswith("socket:")}


def own_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if not thread.name.startswith("quoth-dns")}


def assert_nothing_left(sockets: set[str], threads: set[str]) -> None:
    """Sockets and threads are back where they were, once servers in this process have seen their clients go."""
    for pause in (0.0, 0.0, 0.02, 0.1, 0.5, 2.0):
        if open_sockets() <= sockets and own_threads() <= threads:
            return
        time.sleep(pause)
        gc.collect()
    assert open_sockets() <= sockets
    assert own_threads() <= threads


@pytest.fixture(params=SHELLS, ids=lambda shell: shell.name)
def shell(request):
    sockets, threads = open_sockets(), own_threads()
    shell = request.param()
    yield shell
    shell.close()
    del shell
    assert_nothing_left(sockets, threads)


@pytest.fixture
def client(shell) -> Client:
    return Client(shell, HTTPSettings(proxies=DIRECT))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    trustme = pytest.importorskip("trustme", reason="trustme makes the certificates of the TLS tests")
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert("127.0.0.1", "localhost", "api.example.test").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "server.pem")
    )
    ca.issue_cert("client.example.test").private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    ca.issue_cert("elsewhere.test").private_key_and_cert_chain_pem.write_to_path(str(folder / "elsewhere.pem"))
    return folder


def server_context(folder: Path, certificate: str = "server.pem") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / certificate)
    return context


@pytest.fixture
def secure(shell, authority) -> Client:
    return Client(shell, HTTPSettings(proxies=DIRECT, tls=TLSSettings(ca_file=str(authority / "ca.pem"))))


def assert_clean(error: BaseException) -> None:
    """No key in anything that the error carries, and it travels."""
    seen = error
    while seen is not None:
        assert KEY not in f"{seen!r} {seen} {seen.__dict__} {seen.args}"
        seen = seen.__cause__ or seen.__context__
    assert KEY.encode() not in pickle.dumps(error)
    assert pickle.loads(pickle.dumps(error)) == error


def failure(client: Client, url: str, timeout: float = 10.0, **changes) -> TransportError:
    """The error of a call that must fail; ``billed`` always follows from ``sent``."""
    with pytest.raises(TransportError) as caught:
        client.call(request(url, **changes), timeout)
    error = caught.value
    assert_clean(error)
    assert error.phase is not None
    assert error.billed == ("no" if error.sent == "no" else "maybe")
    return error


# Calls that go well.


def test_a_reply_comes_back_with_status_headers_and_body(client):
    with RawServer(echo) as server:
        exchange = client.open(request(server.url("/v1/x?y=1"), b"ping"))
        assert (exchange.status, header(exchange.headers, "content-length")) == (200, "4")
        assert (client.read(exchange), client.read(exchange), client.read(exchange)) == (b"ping", b"", b"")
        head, body = server.requests[0]
    assert head.startswith(b"POST /v1/x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % server.port)
    assert body == b"ping"


def test_calls_in_a_row_share_a_connection(client):
    with RawServer(echo) as server:
        for body in (b"one", b"", b"three" * 50_000, b"four"):
            assert client.call(request(server.url(), body)) == (200, body)
        assert len(server.connections) == 1


def test_one_connection_serves_all_paths_of_an_origin(client):
    with RawServer(echo) as server:
        client.call(request(server.url("/a")))
        client.call(request(server.url("/b?c")))
        assert len(server.connections) == 1


def test_pieces_of_a_body_come_as_they_are_sent(client):
    go = threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        go.wait(10)
        peer.send(b"6\r\nsecond\r\n0\r\nx-trailer: 1\r\n\r\n")

    with RawServer(script) as server:
        exchange = client.open(request(server.url()))
        assert client.read(exchange) == b"first"
        go.set()
        assert client.read_all(exchange) == b"second"


def test_the_head_comes_before_the_body(client):
    go = threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        go.wait(10)
        peer.send(b"ok")

    with RawServer(script) as server:
        exchange = client.open(request(server.url()))
        assert exchange.status == 200
        go.set()
        assert client.read_all(exchange) == b"ok"


def test_a_large_body_goes_out_and_comes_back(client):
    body = os.urandom(5 << 20)
    with RawServer(echo) as server:
        assert client.call(request(server.url(), body)) == (200, body)


def test_names_are_looked_up(client):
    with RawServer(echo) as server:
        assert client.call(request(server.url(host="localhost"))) == (200, b"hello")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_ipv6_literal_is_an_origin(client):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with RawServer(echo, family=socket.AF_INET6) as server:
        assert client.call(request(server.url(host="[::1]"))) == (200, b"hello")
        assert b"\r\nhost: [::1]:%d\r\n" % server.port in server.requests[0][0]


OPEN_ENDED = {
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end", b"until the end"),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "no length": (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
    "gzip": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"packed"), b"packed"),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok", b"ok"),
}


@pytest.mark.parametrize("name", OPEN_ENDED)
def test_what_a_closing_server_says_is_read_and_its_connection_not_kept(client, name):
    data, body = OPEN_ENDED[name]
    with RawServer(canned(data)) as server:
        assert client.call(request(server.url())) == (200, body)
        assert client.call(request(server.url())) == (200, body)
        assert len(server.connections) == 2


@pytest.mark.parametrize("name", OPEN_ENDED)
def test_the_same_under_tls(secure, authority, name):
    data, body = OPEN_ENDED[name]
    with RawServer(canned(data), tls=server_context(authority)) as server:
        assert secure.call(request(server.url())) == (200, body)


def test_calls_under_tls_share_a_connection(secure, authority):
    body = os.urandom(1 << 20)
    with RawServer(echo, tls=server_context(authority)) as server:
        for _ in range(3):
            assert secure.call(request(server.url(), body)) == (200, body)
        assert len(server.connections) == 1


def test_bytes_after_a_reply_do_not_reach_the_next(client):
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def script(peer):
        peer.read_request()
        peer.send(evil)
        peer.wait_until_closed()

    with RawServer(script) as server:
        assert client.call(request(server.url())) == (200, b"ok")
        assert client.call(request(server.url())) == (200, b"ok")
        assert len(server.connections) == 2


def test_bytes_that_come_late_after_a_reply_do_not_reach_the_next(client):
    answered, sent = threading.Event(), threading.Event()

    def script(peer):
        peer.read_request()
        peer.reply()
        answered.wait(10)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        sent.set()
        peer.wait_until_closed()

    with RawServer(script, echo) as server:
        assert client.call(request(server.url()))[1] == b"ok"
        answered.set()
        sent.wait(10)
        client.settle()
        assert client.call(request(server.url())) == (200, b"hello")


# Early answers.


@pytest.mark.parametrize("goodbye", ["waits", "closes", "resets"])
def test_an_early_answer_to_a_large_body_is_the_answer(client, goodbye):
    over = threading.Event()

    def script(peer):
        peer.read_head()
        peer.reply(b"too large", 413)
        if goodbye == "waits":
            over.wait(10)  # and reads no more: a body that got through whole would leave a connection fit for use
        elif goodbye == "resets":
            time.sleep(0.02)  # a reset discards what has not arrived yet
            peer.reset()

    with RawServer(script) as server:
        for _ in range(3):
            assert client.call(request(server.url(), b"x" * (20 << 20))) == (413, b"too large")
        over.set()
        assert len(server.connections) == 3


def test_an_early_answer_under_tls_is_the_answer(secure, authority):
    def script(peer):
        peer.read_head()
        peer.reply(b"too large", 413)
        peer.wait_until_closed()

    with RawServer(script, tls=server_context(authority)) as server:
        assert secure.call(request(server.url(), b"x" * (20 << 20))) == (413, b"too large")


# Errors, by phase.


def test_a_refused_connection_was_not_sent(client):
    error = failure(client, f"http://127.0.0.1:{servers.free_port()}/")
    assert isinstance(error, APIConnectionError)
    assert isinstance(error, ConnectionError)
    assert (error.phase, error.sent, error.retryable) == ("connect", "no", True)


def test_a_name_that_nobody_knows_fails_in_the_look_up(client):
    error = failure(client, "http://no-such-host.invalid/")
    assert (error.phase, error.sent) == ("dns", "no")
    assert "no-such-host.invalid" in str(error)


def test_a_server_that_never_answers_exceeds_the_deadline_in_the_first_byte(client):
    with RawServer(never) as server:
        error = failure(client, server.url(), SLOW)
        assert server.goodbyes.acquire(timeout=10)
    assert isinstance(error, DeadlineExceededError)
    assert isinstance(error, TimeoutError)
    assert (error.phase, error.sent) == ("first_byte", "maybe")


def test_a_server_that_does_not_read_exceeds_the_deadline_in_the_sending(client):
    stop = threading.Event()
    with RawServer(lambda peer: stop.wait(10)) as server:
        error = failure(client, server.url(), 1.0, body=b"x" * (40 << 20))
        stop.set()
    assert isinstance(error, DeadlineExceededError)
    assert (error.phase, error.sent) == ("send", "maybe")


def drip(opening: bytes, drop: bytes) -> servers.Script:
    def script(peer):
        peer.read_request()
        peer.send(opening)
        while True:
            time.sleep(0.01)
            peer.send(drop)

    return script


@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"y"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\n: \n\r\n"),
    ],
    ids=["headers", "body", "chunks"],
)
def test_dripping_for_ever_exceeds_the_deadline(client, opening, drop):
    deadline = Deadline(SLOW)

    def drink(url):
        exchange = client._shell.open(client.transport, request(url), deadline)
        while client._shell.read(exchange, deadline):
            pass

    with RawServer(drip(opening, drop)) as server, pytest.raises(DeadlineExceededError) as caught:
        drink(server.url())
    assert (caught.value.phase, caught.value.sent) == ("read", "yes")


def test_the_deadline_of_a_read_may_be_another_than_that_of_the_opening(client):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        peer.wait_until_closed()

    with RawServer(script) as server:
        exchange = client.open(request(server.url()), timeout=0.1)
        assert client.read(exchange, timeout=math.inf) == b"o"
        time.sleep(0.15)
        with pytest.raises(DeadlineExceededError):
            client.read(exchange, timeout=SLOW)
        with pytest.raises(ClosedError):
            client.read(exchange)


def test_a_read_may_have_a_nearer_deadline_than_the_opening(client):
    with RawServer(streaming) as server:
        exchange = client.open(request(server.url()), timeout=600)
        assert client.read(exchange, timeout=600) == b"hello"
        with pytest.raises(DeadlineExceededError):
            client.read(exchange, timeout=SLOW)


def test_a_call_without_a_timeout_has_none(client):
    with RawServer(echo) as server:
        assert client.call(request(server.url()), math.inf) == (200, b"hello")


def test_a_deadline_that_has_passed_sends_nothing(client):
    with RawServer(echo) as server:
        client.call(request(server.url()))
        assert failure(client, server.url(), -1).sent == "no"
        assert len(server.requests) == 1


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: further ones hang in the handshake."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_black_hole_exceeds_the_connect_timeout(shell, black_hole):
    client = Client(shell, HTTPSettings(proxies=DIRECT, connect_timeout=SLOW))
    error = failure(client, f"http://127.0.0.1:{black_hole}/")
    assert isinstance(error, APITimeoutError)
    assert not isinstance(error, DeadlineExceededError)
    assert (error.phase, error.sent, error.retryable) == ("connect", "no", True)


def test_a_black_hole_exceeds_a_nearer_deadline(shell, black_hole):
    client = Client(shell, HTTPSettings(proxies=DIRECT, connect_timeout=60))
    error = failure(client, f"http://127.0.0.1:{black_hole}/", SLOW)
    assert isinstance(error, DeadlineExceededError)
    assert (error.phase, error.sent) == ("connect", "no")


def test_a_server_that_resets_at_once_may_have_seen_the_request(client):
    def script(peer):
        peer.read_request()
        peer.reset()

    with RawServer(script) as server:
        error = failure(client, server.url())
        assert len(server.connections) == 1
    assert isinstance(error, APIConnectionError)
    assert (error.phase, error.sent) == ("first_byte", "maybe")


def test_a_server_that_closes_at_once_may_have_seen_the_request(client):
    with RawServer(lambda peer: peer.read_request()) as server:
        error = failure(client, server.url())
    assert (type(error), error.phase, error.sent) == (APIConnectionError, "first_byte", "maybe")


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_a_server_that_leaves_inside_a_large_request_may_have_seen_it(client, goodbye):
    def script(peer):
        peer.read_head()
        if goodbye == "reset":
            peer.reset()

    with RawServer(script) as server:
        error = failure(client, server.url(), body=b"x" * (20 << 20))
    assert (type(error), error.phase, error.sent) == (APIConnectionError, "send", "maybe")


BROKEN = {
    "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nshort",
    "cut chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "cut head": b"HTTP/1.1 200 OK\r\nContent-Le",
}
REFUSED = {
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokx",
    "length and chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a megabyte of headers": b"HTTP/1.1 200 OK\r\n" + b"x-filler: 0123456789abcdef\r\n" * 40_000 + b"\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nx-long: " + b"y" * (1 << 20),
    "upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "corrupt gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_reply_cut_short_is_an_error(client, name):
    with RawServer(canned(BROKEN[name])) as server:
        error = failure(client, server.url())
        assert len(server.requests) == 1
    assert (type(error), error.phase, error.sent) == (APIConnectionError, "read", "yes")


@pytest.mark.parametrize("name", REFUSED)
def test_a_reply_that_must_be_refused_is_an_error(client, name):
    with RawServer(canned(REFUSED[name])) as server:
        error = failure(client, server.url())
        assert len(server.requests) == 1
    assert (type(error), error.phase, error.sent, error.retryable) == (ProtocolError, "read", "yes", False)


def test_a_bomb_is_stopped_at_the_cap(shell):
    client = Client(shell, HTTPSettings(proxies=DIRECT, caps=Caps(body=1 << 20)))
    bomb = gzip.compress(b"\0" * (50 << 20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with RawServer(canned(head + bomb)) as server:
        assert isinstance(failure(client, server.url()), ProtocolError)


def test_a_reset_inside_the_body_was_sent(client):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nshort")
        go.wait(10)
        peer.reset()

    go = threading.Event()
    with RawServer(script) as server:
        exchange = client.open(request(server.url()))
        assert client.read(exchange) == b"short"
        go.set()
        with pytest.raises(APIConnectionError) as caught:
            client.read(exchange)
        assert_clean(caught.value)
    assert (caught.value.phase, caught.value.sent) == ("read", "yes")


REDIRECTS = {
    b"https://other.test/v1?key=hidden": "https://other.test ",
    b"//other.test:8443/v1": "http://other.test:8443",
    b"/v2/chat": "another path of 127.0.0.1",
    b"ht tp:/\xff": "another path",
    b"https://user:hidden@other.test/": "an address that cannot be read",
}


@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_is_an_error_that_names_the_host(client, location):
    reply = b"HTTP/1.1 307 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
    with RawServer(canned(reply)) as server:
        error = failure(client, server.url())
        assert len(server.requests) == 1
    assert isinstance(error, ProtocolError)
    assert REDIRECTS[location] in str(error)
    assert "hidden" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 308])
def test_no_redirect_is_followed(client, status):
    with RawServer(canned(b"HTTP/1.1 %d Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n" % status)) as server:
        assert failure(client, server.url()).status == status
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [300, 304, 399])
def test_a_three_hundred_without_a_location_is_a_reply(client, status):
    with RawServer(canned(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as server:
        assert client.call(request(server.url())) == (status, b"")


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_an_error_of_the_server_is_a_reply(client, status):
    with RawServer(canned(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status)) as server:
        assert client.call(request(server.url())) == (status, b"no")


# What is wrong before anything is sent.

BAD_URLS = [
    "",
    "127.0.0.1:80/",
    "ftp://host/",
    "file:///etc/passwd",
    "http://",
    "http:///path",
    "http://ho st/",
    "http://host/a b",
    "http://host/\r\nx: y",
    "http://host/ä",
    "http://host:0/",
    "http://host:65536/",
    "http://host:x/",
    "http://user:hidden@host/",
    "http://hidden@host/",
    "http://[::1/",
    "http://[1.2.3.4]/",
    "http://[fe80::1%eth0]/",
    "http://a..b/",
    "http://-host/",
    "http://" + "a" * 64 + "/",
    "http://host/#fragment",
    "http://host\\evil/",
    "http://\ud800/",
]


def test_a_url_that_cannot_be_used_is_refused(client):
    for url in BAD_URLS:
        with pytest.raises(ConfigurationError) as caught:
            client.open(request(url))
        assert "hidden" not in str(caught.value), url
        assert KEY not in str(caught.value), url


def test_a_header_that_cannot_be_sent_is_refused_before_anything_is(client):
    with RawServer(echo) as server:
        bad = HTTPRequest(url=server.url(), headers=(("authorization", f"Bearer {KEY}\r\nx-evil: 1"),))
        with pytest.raises(ConfigurationError, match="authorization") as caught:
            client.open(bad)
        assert_clean(caught.value)
        assert not server.connections


def test_an_international_name_is_spelled_in_ascii(client):
    error = failure(client, "http://bücher.invalid/")
    assert "xn--bcher-kva.invalid" in str(error)


# Kept connections.


def test_a_connection_that_died_while_idle_is_noticed(client):
    def once(peer):
        peer.read_request()
        peer.reply()
        closing.set()

    closing = threading.Event()
    with RawServer(once, echo) as server:
        assert client.call(request(server.url()))[1] == b"ok"
        closing.wait(10)
        time.sleep(0.05)
        assert client.call(request(server.url())) == (200, b"hello")
        assert len(server.requests) == 2


def leave(peer, goodbye):
    """Answer one request; read the next in part only, and end the connection."""
    peer.read_request()
    peer.reply()
    peer.sock.recv(1)
    if goodbye == "reset":
        peer.reset()


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_a_request_that_met_a_closing_connection_is_sent_again_once(client, goodbye):
    with RawServer(lambda peer: leave(peer, goodbye), echo) as server:
        assert client.call(request(server.url()))[1] == b"ok"
        assert client.call(request(server.url(), b"again")) == (200, b"again")
        assert len(server.connections) == 2


def test_the_second_sending_is_the_last(client):
    with RawServer(lambda peer: leave(peer, "reset"), lambda peer: (peer.read_request(), peer.reset())) as server:
        client.call(request(server.url()))
        error = failure(client, server.url())
        assert len(server.connections) == 2
    assert (error.phase, error.sent) == ("first_byte", "maybe")


def test_a_request_that_was_worked_on_is_not_sent_again(client):
    def work(peer):
        peer.read_request()
        peer.reply()
        peer.read_request()
        time.sleep(1.2)

    with RawServer(work, echo) as server:
        client.call(request(server.url()))
        error = failure(client, server.url())
        assert len(server.connections) == 1
    assert (error.phase, error.sent) == ("first_byte", "maybe")


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_a_kept_connection_that_answers_and_breaks_is_not_sent_again(client, goodbye):
    def script(peer):
        peer.read_request()
        peer.reply()
        peer.read_request()
        peer.send(b"HTTP/1.1 200")
        time.sleep(0.05)
        if goodbye == "reset":
            peer.reset()

    with RawServer(script, echo) as server:
        client.call(request(server.url()))
        assert failure(client, server.url()).sent == "yes"
        assert len(server.connections) == 1


def test_a_server_that_closes_after_every_few_replies_costs_no_call(client):
    def few(peer):
        for _ in range(1 + len(peer.server.connections) % 3):
            peer.reply(peer.read_request())

    with RawServer(few) as server:
        for turn in range(10):
            bodies = [b"%d-%d" % (turn, number) for number in range(8)]
            results = client.together(*[request(server.url(), body) for body in bodies])
            assert results == [(200, body) for body in bodies]


def test_an_old_connection_is_not_used(shell):
    client = Client(shell, HTTPSettings(proxies=DIRECT, max_idle_seconds=0.05))
    with RawServer(echo) as server:
        client.call(request(server.url()))
        time.sleep(0.1)
        client.call(request(server.url()))
        assert len(server.connections) == 2


def test_no_more_connections_than_allowed(shell):
    client = Client(shell, HTTPSettings(proxies=DIRECT, max_connections=3))
    with RawServer(echo) as server:
        bodies = [b"%d" % number for number in range(20)]
        results = client.together(*[request(server.url(), body) for body in bodies])
        assert results == [(200, body) for body in bodies]
        assert len(server.connections) <= 3


def test_waiting_for_a_free_connection_is_bounded(shell):
    client = Client(shell, HTTPSettings(proxies=DIRECT, max_connections=1))
    with RawServer(streaming) as server:
        exchange = client.open(request(server.url()))
        error = failure(client, server.url(), SLOW)
        assert client.read(exchange) == b"hello"
        exchange.close()
    assert isinstance(error, DeadlineExceededError)
    assert (error.phase, error.sent) == ("connect", "no")


def test_a_place_in_the_pool_is_free_again_after_a_failure(shell):
    client = Client(shell, HTTPSettings(proxies=DIRECT, max_connections=1))
    with RawServer(canned(b"garbage\r\n"), never, canned(b""), echo) as server:
        for _ in range(3):
            failure(client, server.url(), SLOW)
        assert client.call(request(server.url())) == (200, b"hello")


def test_many_calls_at_once_each_get_their_own_reply(client):
    bodies = [b"%d" % number * 100 for number in range(60)]
    with RawServer(echo) as server:
        results = client.together(*[request(server.url(), body) for body in bodies])
    assert results == [(200, body) for body in bodies]


# Letting go.


def streaming(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    peer.wait_until_closed()


@pytest.mark.parametrize("how", ["close", "forget", "close twice"])
def test_a_stream_that_is_let_go_ends_its_connection(client, how):
    with RawServer(streaming, echo) as server:
        exchange = client.open(request(server.url()))
        assert client.read(exchange) == b"hello"
        if how != "forget":
            exchange.close()
        if how == "close twice":
            exchange.close()
        if how == "forget":
            del exchange
        client.settle()
        assert server.goodbyes.acquire(timeout=10)
        assert client.call(request(server.url())) == (200, b"hello")


def test_a_closed_stream_cannot_be_read(client):
    with RawServer(streaming) as server:
        exchange = client.open(request(server.url()))
        exchange.close()
        with pytest.raises(ClosedError):
            client.read(exchange)


def test_closing_a_reply_that_is_all_there_keeps_its_connection(client):
    with RawServer(echo) as server:
        client.open(request(server.url())).close()
        client.settle()
        client.call(request(server.url()))
        assert len(server.connections) == 1


def test_a_stream_may_be_closed_by_another_thread(client):
    with RawServer(streaming) as server:
        exchange = client.open(request(server.url()))
        assert client.read(exchange) == b"hello"
        timer = threading.Timer(0.1, exchange.close)
        timer.start()
        with pytest.raises(ClosedError):
            client.read(exchange, timeout=math.inf)
        timer.join()
        assert server.goodbyes.acquire(timeout=10)


def test_a_closed_transport_opens_nothing_and_lets_calls_finish(client):
    go = threading.Event()

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi")
        go.wait(10)
        peer.send(b"ne")
        peer.wait_until_closed()

    with RawServer(script) as server:
        exchange = client.open(request(server.url()))
        client.transport.close()
        client.transport.close()
        go.set()
        assert client.read_all(exchange) == b"fine"
        client.settle()
        assert server.goodbyes.acquire(timeout=10)
        with pytest.raises(ClosedError):
            client.open(request(server.url()))


def test_the_body_before_what_is_no_http_is_given_though_both_come_in_one_read(client):
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npaid!\r\nno chunk\r\n"
    with RawServer(stalled(data)) as server:
        exchange = client.open(request(server.url()))
        assert client.read(exchange) == b"paid!"
        with pytest.raises(ProtocolError):
            client.read(exchange)
        client.settle()
        assert server.goodbyes.acquire(timeout=10)


def stalled(data):
    def script(peer):
        peer.read_request()
        peer.send(data)
        peer.wait_until_closed()

    return script


def test_closing_the_transport_closes_what_is_idle(client):
    def script(peer):
        peer.read_request()
        peer.reply()
        peer.wait_until_closed()

    with RawServer(script) as server:
        client.call(request(server.url()))
        client.transport.close()
        client.settle()
        assert server.goodbyes.acquire(timeout=10)


def test_a_slow_reader_holds_the_sender_back(client):
    sent = []

    def flood(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (48 << 20))
        for _ in range(48):
            peer.send(b"x" * (1 << 20))
            sent.append(1)

    with RawServer(flood) as server:
        exchange = client.open(request(server.url()))
        first = client.read(exchange)
        for _ in range(20):
            client.settle()
            time.sleep(0.01)
        assert len(sent) < 40  # what fits into the system's buffers and ours, not the whole
        assert len(first) + len(client.read_all(exchange)) == 48 << 20


# TLS.


def test_a_certificate_that_nobody_signed_is_refused_and_not_tried_again(client, authority):
    with RawServer(echo, tls=server_context(authority)) as server:
        error = failure(client, server.url())
    assert (error.phase, error.sent, error.retryable) == ("tls", "no", False)
    assert "not trusted" in str(error)


def test_a_certificate_of_another_host_is_refused(secure, authority):
    with RawServer(echo, tls=server_context(authority, "elsewhere.pem")) as server:
        error = failure(secure, server.url())
    assert (error.phase, error.sent, error.retryable) == ("tls", "no", False)


@pytest.mark.parametrize("variable", ["PYTHONHTTPSVERIFY", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_no_variable_switches_verification_off(shell, authority, monkeypatch, variable):
    monkeypatch.setenv(variable, "0" if variable == "PYTHONHTTPSVERIFY" else "")
    client = Client(shell, HTTPSettings(proxies=DIRECT))
    with RawServer(echo, tls=server_context(authority)) as server:
        assert failure(client, server.url()).phase == "tls"


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="OpenSSL reads the variable on Linux")
def test_ssl_cert_file_adds_an_authority(shell, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    client = Client(shell, HTTPSettings(proxies=DIRECT))
    with RawServer(echo, tls=server_context(authority)) as server:
        assert client.call(request(server.url())) == (200, b"hello")


def test_a_client_certificate_is_shown(shell, authority):
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority / "ca.pem")
    tls = TLSSettings(ca_file=str(authority / "ca.pem"), client_certificate=str(authority / "client.pem"))
    with RawServer(echo, tls=context) as server:
        client = Client(shell, HTTPSettings(proxies=DIRECT, tls=tls))
        assert client.call(request(server.url())) == (200, b"hello")
        without = Client(shell, HTTPSettings(proxies=DIRECT, tls=TLSSettings(ca_file=str(authority / "ca.pem"))))
        error = failure(without, server.url())
        assert error.phase in ("tls", "send", "first_byte")  # under TLS 1.3 the server speaks up after the handshake


@pytest.mark.parametrize(
    "tls",
    [
        TLSSettings(ca_file="/no/such/file.pem"),
        TLSSettings(client_certificate="/no/such/file.pem", client_key_password="hidden"),
        TLSSettings(client_certificate=__file__, client_key_password="hidden"),
    ],
)
def test_tls_files_that_cannot_be_read_are_a_configuration_error(shell, authority, tls):
    client = Client(shell, HTTPSettings(proxies=DIRECT, tls=tls))
    with RawServer(echo, tls=server_context(authority)) as server, pytest.raises(ConfigurationError) as caught:
        client.open(request(server.url()))
    assert "hidden" not in f"{caught.value}{caught.value.__context__}{tls!r}"


def test_a_handshake_that_hangs_is_bounded(shell, authority):
    tls = TLSSettings(ca_file=str(authority / "ca.pem"))
    client = Client(shell, HTTPSettings(proxies=DIRECT, connect_timeout=SLOW, tls=tls))
    with RawServer(lambda peer: peer.wait_until_closed()) as server:
        error = failure(client, f"https://127.0.0.1:{server.port}/")
        assert server.goodbyes.acquire(timeout=10)
    assert isinstance(error, APITimeoutError)
    assert (error.phase, error.sent) == ("tls", "no")


@pytest.mark.parametrize("script", [lambda peer: None, lambda peer: peer.send(b"HTTP/1.1 400 Bad\r\n\r\n")])
def test_what_is_no_tls_fails_in_the_handshake(secure, script):
    with RawServer(script) as server:
        error = failure(secure, f"https://127.0.0.1:{server.port}/")
    assert (error.phase, error.sent) == ("tls", "no")


def test_a_body_cut_short_under_tls_is_an_error(secure, authority):
    for data in BROKEN.values():
        with RawServer(canned(data), tls=server_context(authority)) as server:
            error = failure(secure, server.url())
        assert (error.phase, error.sent) == ("read", "yes")


# Proxies.

PROXY_PASSWORD = "pass-0123456789"


def proxied(shell, port: int, authority: Path | None = None, **changes) -> Client:
    url = f"http://user:{PROXY_PASSWORD}@127.0.0.1:{port}"
    tls = TLSSettings(ca_file=str(authority / "ca.pem")) if authority else TLSSettings()
    return Client(shell, HTTPSettings(proxies=Proxies(http=url, https=url), tls=tls, **changes))


def test_a_secure_request_goes_through_a_tunnel(shell, authority):
    with RawServer(echo, tls=server_context(authority)) as origin, RawServer(servers.tunnel(origin.port)) as proxy:
        client = proxied(shell, proxy.port, authority)
        for body in (b"one", b"two"):
            assert client.call(request("https://api.example.test/v1", body)) == (200, body)
        client.transport.close()
        client.settle()
        (head, _), *more = proxy.requests
    assert not more
    assert head.startswith(b"CONNECT api.example.test:443 HTTP/1.1\r\nhost: api.example.test:443\r\n")
    assert b"\r\nproxy-authorization: Basic dXNlcjpwYXNzLTAxMjM0NTY3ODk=" in head
    assert KEY.encode() not in head
    assert b"proxy-authorization" not in origin.requests[0][0]


def test_a_plain_request_is_given_to_the_proxy_whole(shell):
    with RawServer(echo) as proxy:
        client = proxied(shell, proxy.port)
        assert client.call(request("http://api.example.test/v1?x")) == (200, b"hello")
        head = proxy.requests[0][0]
    assert head.startswith(b"POST http://api.example.test/v1?x HTTP/1.1\r\nhost: api.example.test\r\n")
    assert b"\r\nproxy-authorization: Basic " in head


def test_the_plan_for_a_url_does_not_show_what_is_secret_in_it():
    plan = Planner(HTTPSettings(proxies=Proxies(http="http://user:hidden@proxy:1"))).plan("http://a.test/?key=hidden")
    assert "hidden" in plan.prefix
    assert "hidden" not in f"{plan!r}"
    assert "Basic" not in f"{plan!r}"


def proxy_failure(client, url, timeout=10.0):
    error = failure(client, url, timeout)
    assert PROXY_PASSWORD not in str(error)
    assert "dXNlcjpwYXNz" not in str(error)
    assert (error.phase, error.sent) == ("proxy", "no")
    return error


@pytest.mark.parametrize("url", ["https://api.example.test/", "http://api.example.test/"])
def test_a_proxy_that_wants_other_credentials_says_so(shell, url):
    reply = b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 6\r\n\r\n<html>"

    def script(peer):
        peer.read_head()
        peer.send(reply)

    with RawServer(script) as proxy:
        error = proxy_failure(proxied(shell, proxy.port), url)
    assert (error.status, error.retryable) == (407, False)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\n\r\nunasked bytes",
        b"<html>not http</html>\r\n\r\n",
        b"HTTP/1.1 200",
        b"",
    ],
)
def test_a_tunnel_that_does_not_open_fails_in_the_proxy(shell, reply):
    def script(peer):
        peer.read_head()
        peer.send(reply)

    with RawServer(script) as proxy:
        proxy_failure(proxied(shell, proxy.port), "https://api.example.test/")


def test_a_proxy_that_is_not_there_fails_in_the_proxy(shell):
    error = proxy_failure(proxied(shell, servers.free_port()), "https://api.example.test/")
    assert "the proxy 127.0.0.1" in str(error)


def test_a_proxy_that_hangs_is_bounded(shell):
    with RawServer(never) as proxy:
        proxy_failure(proxied(shell, proxy.port, connect_timeout=SLOW), "https://api.example.test/")


def test_the_environment_names_the_proxy(shell, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    client = Client(shell, HTTPSettings())
    with RawServer(echo) as proxy, RawServer(echo) as direct:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert client.call(request("http://api.example.test/")) == (200, b"hello")
        assert client.call(request(direct.url())) == (200, b"hello")  # loopback needs no proxy
        assert (len(proxy.requests), len(direct.requests)) == (1, 1)


# Happy eyeballs. The resolver's list is what the test says: there is no other way to have a dead address first.


def dead_and_live(port: int, dead: int) -> list:
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    return [(*kind, ("127.0.0.1", dead)), (*kind, ("127.0.0.1", port))]


def test_a_silent_address_does_not_hold_up_a_living_one(shell, black_hole, monkeypatch):
    real = socket.getaddrinfo
    with RawServer(echo) as server:

        def getaddrinfo(host, *args, **kwargs):
            if host in ("two.example.test", b"two.example.test"):
                if kwargs.get("flags"):
                    raise socket.gaierror
                return dead_and_live(server.port, black_hole)
            return real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        client = Client(shell, HTTPSettings(proxies=DIRECT))
        assert client.call(request("http://two.example.test/"), timeout=5) == (200, b"hello")


def test_a_refusing_address_does_not_stop_a_living_one(shell, monkeypatch):
    real = socket.getaddrinfo
    refusing = servers.free_port()
    with RawServer(echo) as server:

        def getaddrinfo(host, *args, **kwargs):
            if host == b"two.example.test":
                return dead_and_live(server.port, refusing)
            return real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        client = Client(shell, HTTPSettings(proxies=DIRECT))
        assert client.call(request("http://two.example.test/")) == (200, b"hello")


def test_a_look_up_that_hangs_is_bounded(shell, monkeypatch):
    real = socket.getaddrinfo
    go = threading.Event()

    def getaddrinfo(host, *args, **kwargs):
        if host == b"slow.example.test":
            go.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    client = Client(shell, HTTPSettings(proxies=DIRECT, connect_timeout=SLOW))
    error = failure(client, "http://slow.example.test/")
    go.set()
    assert isinstance(error, APITimeoutError)
    assert (error.phase, error.sent) == ("dns", "no")


# Real servers.


@pytest.fixture(scope="module", params=["plain", "tls"])
def real_tls(request, authority):
    return authority / "server.pem" if request.param == "tls" else None


@pytest.fixture(scope="module", params=["http.server", "uvicorn", "nginx"])
def real_server(request, real_tls, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    context = server_context(real_tls.parent) if real_tls else None
    with ExitStack() as stack:
        if request.param == "http.server":
            yield stack.enter_context(servers.standard_server(context))
            return
        pytest.importorskip("uvicorn", reason="uvicorn is not installed")
        if request.param == "uvicorn":
            yield stack.enter_context(servers.uvicorn_server(folder, real_tls))
            return
        if servers.nginx_program() is None:
            pytest.skip("nginx is not installed")
        upstream = stack.enter_context(servers.uvicorn_server(folder))
        yield stack.enter_context(servers.nginx_server(folder, upstream, real_tls))


def test_a_real_server_echoes(real_server, secure):
    for body in (b"", b"{}", os.urandom(900_000)):
        assert secure.call(request(real_server + "/echo", body)) == (200, body)


def test_a_real_server_streams(real_server, secure):
    body = b"0123456789" * 1000
    for _ in range(2):
        assert secure.call(request(real_server + "/stream", body)) == (200, body)


def test_a_real_server_refuses(real_server, secure):
    assert secure.call(request(real_server + "/status/418", b"teapot")) == (418, b"teapot")


def test_a_real_server_serves_many_at_once(real_server, secure):
    bodies = [b"%d" % number * 50 for number in range(40)]
    assert secure.together(*[request(real_server + "/echo", body) for body in bodies]) == [
        (200, body) for body in bodies
    ]


@pytest.fixture(scope="module")
def nginx(real_tls, tmp_path_factory):
    if servers.nginx_program() is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    with servers.standard_server() as upstream, servers.nginx_server(folder, upstream, real_tls) as url:
        yield url


def test_nginx_refuses_a_large_body_early(nginx, secure):
    for _ in range(5):
        status, body = secure.call(request(nginx + "/echo", b"x" * (20 << 20)))
        assert status == 413
        assert b"413" in body


def test_nginx_packs_closes_redirects_and_says_nothing(nginx, secure):
    status, body = secure.call(request(nginx + "/static/page.txt", b"", method="GET"))
    assert (status, body) == (200, b"a page " * 2000)
    assert secure.call(request(nginx + "/close"))[1] == b"closed"
    assert secure.call(request(nginx + "/early")) == (204, b"")
    assert "https://other.test" in str(failure(secure, nginx + "/move"))
