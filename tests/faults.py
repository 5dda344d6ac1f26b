"""The fault list: what a server, a network or a machine does wrong, and what must come of it.

Each entry plays its faults over real sockets through the public verbs of one shell, blocking or asyncio. ``Stage``
asks, and holds every call to what they all promise: one record with its attempts, no key in any text, no trial of a
breaker left open, no task left behind, and an end within the deadline. ``docs/faults.md`` is the table of these
entries; ``tests/test_faults.py`` plays them and holds the page to them.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import pickle
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from quoth import Message, ModelsAPI, Response, RetryPolicy, Settings, Usage
from quoth.cli._terminal import neutralize
from quoth.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    CircuitOpenError,
    ConfigurationError,
    ContentBlockedError,
    DeadlineExceededError,
    InternalServerError,
    OverloadedError,
    ProtocolError,
    QuotaExceededError,
    QuothError,
    RateLimitError,
    ResponseParseError,
    StreamInterruptedError,
)
from quoth.providers import ProviderTable
from quoth.testing import FakeProvider, Fault
from quoth.testing.fake._wires import server_of
from quoth.transport.http import HTTPSettings, Proxies, TLSSettings
from servers import RawServer, canned, free_port, never

KEY = "zq9-5e3f0b71c2d84a96-plain"
"""It looks like no key that anybody issues, so nothing but knowing it can take it out."""
WIRES = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
SHELLS = ("blocking", "asyncio")
TIMEOUT = 10.0
SHORT = 0.3
"""A timeout that is meant to pass."""
SLACK = 1.0
"""Seconds beyond its deadline that a call may take on a machine that is shared."""
QUICK = RetryPolicy(retries=2, backoff=0.001)
SSE = b"content-type: text/event-stream"
JSON = b"content-type: application/json"


def row_of(wire: str) -> str:
    """The name of the provider that speaks this wire."""
    return "my-" + wire.replace("_", "-")


@dataclass
class Entry:
    number: int
    name: str
    does: str
    errors: tuple[type[QuothError], ...]
    comes: str
    play: Callable[[Stage], object]
    apart: str = ""
    """What of the list does not apply, and why."""


FAULTS: dict[int, Entry] = {}


def fault(number, name, does, kinds, comes, apart=""):  # noqa: PLR0917  # the columns of a table
    """Put an entry into the table; the function plays it."""

    def keep(play):
        FAULTS[number] = Entry(number, name, does, kinds, comes, play, apart)
        return play

    return keep


_FORKS = ("-W", "ignore:This process:DeprecationWarning")
"""Python 3.12 and later warn of a fork beside threads, which is what is tried."""


@dataclass
class Stage:
    """One shell, what is asked by it, and what every call must leave as it was."""

    shell: str
    authority: Path
    monkeypatch: object
    seen: set[type[QuothError]] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    """All that was said: errors, records, warnings, logs."""
    apis: list[ModelsAPI] = field(default_factory=list)

    def api(self, url, *, key=KEY, **settings):
        table = ProviderTable()
        for wire in WIRES:
            table.register(row_of(wire), base_url=url, key_variables=("MINE_KEY",), dialect=wire)
        keys = {row_of(wire): key for wire in WIRES} if key else {}
        settings.setdefault("http", HTTPSettings(proxies=Proxies()))
        api = ModelsAPI(Settings(api_keys=keys, **settings), providers=table)
        self.apis.append(api)
        return api

    def ask(self, api, prompt="Hi", *, wire="openai_chat", stream=False, timeout=TIMEOUT, tries=1, **options):
        """The response, or the error of the list; whichever it is, the call has kept what all calls promise."""
        options = {"retries": 0, "timeout": timeout, "max_tokens": 5000, **options}
        model, records = f"{row_of(wire)}/m", []
        handle, begun = api.on_call(records.append), time.monotonic()
        try:
            outcome = self._asked(api, model, prompt, options, stream)
        except QuothError as error:
            outcome = error
        finally:
            handle.remove()
        assert time.monotonic() - begun < timeout + SLACK
        (record,) = records
        assert len(record.attempts) == tries, record.attempts
        self.texts.append(repr(record))
        if isinstance(outcome, QuothError):
            self._check_error(outcome, record)
        else:
            assert (record.outcome, record.error_kind) == ("answered", None)
            self.texts += [repr(outcome), outcome.text]
        assert not [
            breaker
            for state in api._service.health._states.values()
            for breaker in state.breakers.values()
            if breaker.is_open and breaker._trial_until
        ]
        return outcome

    def _asked(self, api, model, prompt, options, stream):
        if self.shell == "blocking":
            return api.stream(model, prompt, **options).read() if stream else api(model, prompt, **options)

        async def main():
            try:
                if stream:
                    return await api.aio.stream(model, prompt, **options).read()
                return await api.aio(model, prompt, **options)
            finally:
                assert asyncio.all_tasks() == {asyncio.current_task()}

        return asyncio.run(main())

    def _check_error(self, error, record):
        self.seen.add(type(error))
        assert (record.outcome, record.error_kind) == ("failed", error.kind)
        assert len(error.message) <= 2000
        assert error.__cause__ is error.__context__ is None
        assert pickle.loads(pickle.dumps(error)) == error
        self.texts += [str(error), repr(error), repr(vars(error)), pickle.dumps(error).decode("latin-1")]

    def fails(self, api, kind, *, tries=1, attributes=(), **options):
        """The error, which must be of just this class and say just this of itself."""
        error = self.ask(api, tries=tries, **options)
        assert type(error) is kind, repr(error)
        for name, value in dict(attributes).items():
            assert getattr(error, name) == value, (name, error)
        return error

    def answers(self, api, text="Hello", **options):
        response = self.ask(api, **options)
        assert isinstance(response, Response), repr(response)
        assert response.text == text
        return response

    @contextmanager
    def served(self, *scripts, **settings):
        """A raw server and an API that finds every wire there."""
        with RawServer(*scripts) as server:
            api = self.api(server.url("/v1"), **settings)
            yield api, server
            self.close()

    @contextmanager
    def faked(self, script=None, **settings):
        with FakeProvider(script) as fake:
            api = self.api(fake.url + "/v1", **settings)
            yield api, fake
            self.close()

    def close(self):
        while self.apis:
            self.apis.pop().close()

    def run(self, program, *arguments):
        """A program of its own, in this shell's words; it must end in silence, and soon."""
        words = {
            "blocking": "ask = lambda api, **more: api(MODEL, 'Hi', retries=0, **more)",
            "asyncio": "ask = lambda api, **more: asyncio.run(asked(api, more))",
        }[self.shell]
        done = subprocess.run(
            [sys.executable, *_FORKS, "-c", PROGRAM + words + "\n" + program, *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src"), "MINE_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        self.texts.append(done.stdout)
        return done.stdout


PROGRAM = """
import asyncio, os, sys, threading
from quoth import ModelsAPI, Settings, errors
from quoth.providers import ProviderTable
MODEL = 'mine/m'
table = ProviderTable()
table.register('mine', base_url=sys.argv[1], key_variables=('MINE_KEY',))
api = ModelsAPI(Settings(timeout=10), providers=table)
async def asked(api, more):
    return await api.aio(MODEL, 'Hi', retries=0, **more)
"""


# What servers send.


def answer_of(wire, text="Hello"):
    """A whole answer on a wire, as our own server half spells it; 4242 tokens came out."""
    return server_of(wire).build_response(_response(text)).body


def events_of(wire, text="Hello", piece=None):
    return list(server_of(wire).build_events(_response(text), piece=piece))


def _response(text):
    usage = Usage(input=1000, output=4242)
    return Response(message=Message.assistant(text), finish_reason="stop", model="m", id="r1", created=1, usage=usage)


def reply(body, *lines, status=200):
    """A reply to one request, then the end of the connection."""
    head = b"\r\n".join([b"HTTP/1.1 %d X" % status, *(lines or (JSON,)), b"Content-Length: %d" % len(body), b"", b""])
    return canned(head + body)


def chunked(pieces: Iterable[bytes], end=b"0\r\n\r\n", wait=0.0):
    """A stream of these pieces, each a chunk of its own."""

    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            time.sleep(wait)
        peer.send(end)

    return script


def serving(body, *lines):
    """Answer every request of a connection."""

    def script(peer):
        while True:
            peer.read_request()
            peer.reply(body, 200, *(lines or (JSON,)))

    return script


def reset(peer):
    peer.read_request()
    peer.reset()


def stalling(data):
    """Send this much, and then nothing more."""

    def script(peer):
        peer.read_request()
        peer.send(data)
        peer.wait_until_closed()

    return script


def dripping(head, drop):
    """Send a drop at a time, for ever."""

    def script(peer):
        peer.read_request()
        peer.send(head)
        while True:
            peer.send(drop)
            time.sleep(0.05)

    return script


STREAM_HEAD = b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\n\r\n"
CHAT = answer_of("openai_chat")
FIRST = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'


# Transport.


@fault(
    1, "refused", "nobody listens", (APIConnectionError,), "three tries, then the error: phase connect, nothing sent"
)
def refused(stage):
    api = stage.api(f"http://127.0.0.1:{free_port()}/v1")
    stage.fails(
        api,
        APIConnectionError,
        tries=3,
        retries=QUICK,
        attributes={"phase": "connect", "sent": "no", "billed": "no", "retryable": True},
    )


@fault(
    2,
    "reset-before-head",
    "resets or closes before the head of its reply",
    (APIConnectionError,),
    "one more try, which answers; else the error: it may have been sent",
)
def reset_before_head(stage):
    for script in (reset, canned(b"")):
        with stage.served(script) as (api, _):
            stage.fails(
                api,
                APIConnectionError,
                tries=2,
                retries=QUICK,
                attributes={"phase": "first_byte", "sent": "maybe", "billed": "maybe"},
            )
    with stage.served(reset, serving(CHAT)) as (api, _):
        stage.answers(api, tries=2, retries=QUICK)


@fault(
    3,
    "idle-connection-closed",
    "closes a kept connection between two calls",
    (),
    "the right answer, on a new connection; no retry stands on the record",
)
def idle_connection_closed(stage):
    with stage.served(reply(CHAT)) as (api, server):
        if stage.shell == "blocking":
            stage.answers(api)
            stage.answers(api)
        else:

            async def twice():
                return [await api.aio("my-openai-chat/m", "Hi", retries=0) for _ in range(2)]

            answers = asyncio.run(twice())
            assert [(answer.text, len(answer.call.attempts)) for answer in answers] == [("Hello", 1)] * 2
        assert len(server.connections) == 2


@fault(
    4,
    "cut-inside-body",
    "resets or closes inside the body, or sends less than its content-length",
    (APIConnectionError, ProtocolError, StreamInterruptedError),
    "the error, phase read, it may be billed; what came of a stream is in partial",
)
def cut_inside_body(stage):
    for cut in ("close", "reset"):
        for wire in WIRES:
            with stage.faked([Fault(answer="Hello", after_bytes=40, cut=cut)]) as (api, _):
                stage.fails(api, APIConnectionError, wire=wire, attributes={"phase": "read", "billed": "maybe"})
            with stage.faked([Fault(answer="Hello there", piece=5, after_events=5, cut=cut)]) as (api, _):
                error = stage.fails(api, StreamInterruptedError, wire=wire, stream=True)
                assert "Hello there".startswith(error.partial.text)
    with stage.served(
        canned(
            STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
            + b"%x\r\n%b\r\nno chunk\r\n" % (len(FIRST), FIRST)
        )
    ) as (api, _):
        error = stage.ask(api, stream=True)
        assert error.partial.text == "Hel"  # it came in one read with what is no HTTP, and was paid for


@fault(
    5,
    "drip",
    "drips a head, a body or comments of a stream for ever",
    (DeadlineExceededError,),
    "the error at the deadline; the connection is closed",
)
def drip(stage):
    for head, drop, stream in [
        (b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" ", False),
        (STREAM_HEAD, b": ping\n\n", True),
    ]:
        with stage.served(dripping(head, drop)) as (api, _):
            stage.fails(api, DeadlineExceededError, stream=stream, timeout=SHORT, attributes={"phase": "read"})


@fault(
    6,
    "stall-after-first-piece",
    "sends a piece of a stream and then nothing",
    (DeadlineExceededError,),
    "the error at the deadline, with what came in partial",
    apart="There is no idle time-out of its own: the call's one deadline holds.",
)
def stall_after_first_piece(stage):
    with stage.served(stalling(STREAM_HEAD + FIRST)) as (api, _):
        error = stage.fails(api, DeadlineExceededError, stream=True, timeout=SHORT, attributes={"billed": "maybe"})
        assert error.partial.text == "Hel"


@fault(
    7,
    "no-answer",
    "accepts and never answers; does not take the connection; all connections are busy",
    (APITimeoutError, DeadlineExceededError),
    "the error at its time, with the phase: first_byte, connect",
)
def no_answer(stage):
    with stage.served(never) as (api, server):
        stage.fails(api, DeadlineExceededError, timeout=SHORT, attributes={"phase": "first_byte", "sent": "maybe"})
        assert server.goodbyes.acquire(timeout=10)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        full = [socket.socket() for _ in range(4)]
        try:
            for sock in full:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            api = stage.api(
                f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
                http=HTTPSettings(proxies=Proxies(), connect_timeout=SHORT),
            )
            stage.fails(api, APITimeoutError, timeout=5, attributes={"phase": "connect", "sent": "no"})
        finally:
            for sock in full:
                sock.close()
    go = threading.Event()
    with stage.served(
        lambda peer: (peer.read_request(), go.wait(10)), http=HTTPSettings(proxies=Proxies(), max_connections=1)
    ) as (api, server):
        try:
            _pool_exhausted(stage, api, server)
        finally:
            go.set()


def _pool_exhausted(stage, api, server):
    if stage.shell == "blocking":
        busy = threading.Thread(target=lambda: _ignoring(lambda: api("my-openai-chat/m", "Hi", retries=0, timeout=1)))
        busy.start()
        while not server.requests:
            time.sleep(0.01)
        _refused_a_place(lambda: api("my-openai-chat/m", "Hi", retries=0, timeout=SHORT))
        busy.join()
        return

    async def main():
        busy = asyncio.create_task(api.aio("my-openai-chat/m", "Hi", retries=0, timeout=1))
        while not server.requests:  # noqa: ASYNC110  # the server is of another thread
            await asyncio.sleep(0.01)
        second = await asyncio.gather(
            api.aio("my-openai-chat/m", "Hi", retries=0, timeout=SHORT), return_exceptions=True
        )
        assert [(error.phase, error.sent) for error in second] == [("connect", "no")]
        await asyncio.gather(busy, return_exceptions=True)

    asyncio.run(main())


def _refused_a_place(call):
    with pytest.raises(DeadlineExceededError) as caught:
        call()
    assert (caught.value.phase, caught.value.sent) == ("connect", "no")


def _ignoring(call):
    with suppress(QuothError):
        call()


@fault(
    8,
    "name-not-found",
    "the name does not exist, its server fails, or is slow",
    (APIConnectionError, APITimeoutError),
    "the error, phase dns, nothing sent; a slow one ends in time",
)
def name_not_found(stage):
    real, go = socket.getaddrinfo, threading.Event()
    outcomes = {b"none.example.test": socket.EAI_NONAME, b"failed.example.test": socket.EAI_AGAIN}

    def getaddrinfo(host, *args, **kwargs):
        if kwargs.get("flags") or not str(host).count("example.test"):
            return real(host, *args, **kwargs)
        if host not in outcomes:
            go.wait(10)
        raise socket.gaierror(outcomes.get(host, socket.EAI_AGAIN), "no such name")

    stage.monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    told = {"phase": "dns", "sent": "no", "billed": "no"}
    for host in outcomes:
        stage.fails(stage.api(f"https://{host.decode()}/v1"), APIConnectionError, attributes=told)
    slow = stage.api("https://slow.example.test/v1", http=HTTPSettings(proxies=Proxies(), connect_timeout=SHORT))
    stage.fails(slow, APITimeoutError, attributes=told, timeout=5)
    go.set()


@fault(
    9,
    "tls",
    "an expired certificate, another host's, one that nobody signed; TLS 1.1; a handshake that hangs",
    (APIConnectionError, APITimeoutError),
    "one try, phase tls, nothing sent; the message names the cause",
)
def tls(stage):
    ours = HTTPSettings(
        proxies=Proxies(), connect_timeout=SHORT, tls=TLSSettings(ca_file=str(stage.authority / "ca.pem"))
    )
    direct = HTTPSettings(proxies=Proxies())
    stage.monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    for file, settings in [("expired.pem", ours), ("elsewhere.pem", ours), ("server.pem", direct)]:
        with RawServer(serving(CHAT), tls=_context(stage.authority / file)) as server:
            error = stage.fails(
                stage.api(server.url("/v1"), http=settings),
                APIConnectionError,
                retries=QUICK,
                attributes={"phase": "tls", "sent": "no", "retryable": False},
            )
            assert "certificate" in str(error)
            stage.close()
    old = _context(stage.authority / "server.pem")
    with warnings.catch_warnings(action="ignore"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with RawServer(serving(CHAT), tls=old) as server:
        stage.fails(
            stage.api(server.url("/v1"), http=ours), APIConnectionError, attributes={"phase": "tls", "sent": "no"}
        )
        stage.close()
    with RawServer(lambda peer: peer.wait_until_closed()) as server:
        api = stage.api(f"https://127.0.0.1:{server.port}/v1", http=ours)
        stage.fails(api, APITimeoutError, timeout=5, attributes={"phase": "tls", "sent": "no"})
        stage.close()


def _context(file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@fault(
    10,
    "proxy",
    "a proxy that wants credentials, answers a page, or is not there",
    (APIConnectionError, ProtocolError),
    "the error, phase proxy, nothing sent; the proxy's password stands in no text",
)
def proxy(stage):
    password = "pass-0123456789"
    for said in (b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 502 Bad\r\n\r\n<html>", b"<html>", b""):
        with RawServer(lambda peer, said=said: (peer.read_head(), peer.send(said))) as server:
            _by_proxy(stage, server.port, password)
    _by_proxy(stage, free_port(), password)


def _by_proxy(stage, port, password):
    url = f"http://user:{password}@127.0.0.1:{port}"
    api = stage.api("https://api.example.test/v1", http=HTTPSettings(proxies=Proxies(http=url, https=url)))
    try:
        error = stage.ask(api)
        assert isinstance(error, (APIConnectionError, ProtocolError)), repr(error)
        assert (error.phase, error.sent) == ("proxy", "no")
        assert password not in repr(vars(error)) + str(error)
    finally:
        stage.close()


@fault(
    11,
    "odd-http",
    "HTTP/1.0; 100 and 103 first; 204; chunks and a length at once",
    (ProtocolError, ResponseParseError),
    "the right answer after 100, 103 and over HTTP/1.0; a ResponseParseError for no content, a ProtocolError for two "
    "lengths",
)
def odd_http(stage):
    whole = b"\r\n" + JSON + b"\r\nContent-Length: %d\r\n\r\n" % len(CHAT) + CHAT
    for said in (
        b"HTTP/1.0 200 OK" + whole,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK" + whole,
    ):
        with stage.served(canned(said)) as (api, _):
            stage.answers(api)
    with stage.served(canned(b"HTTP/1.1 204 No Content\r\n\r\n")) as (api, _):
        stage.fails(api, ResponseParseError)
    both = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with stage.served(canned(both)) as (api, _):
        stage.fails(api, ProtocolError)


@fault(
    12,
    "headers",
    "a header of 200 kB, 10,000 headers; a line break in a key or in a header of the call",
    (ConfigurationError, ProtocolError),
    "a ProtocolError; what cannot stand in a head is refused before anything is sent",
)
def headers(stage):
    for lines in ([b"x-large: " + b"y" * 200_000], [b"x-many-%d: 1" % number for number in range(10_000)]):
        with stage.served(reply(CHAT, *lines)) as (api, _):
            stage.fails(api, ProtocolError)
    with stage.served(serving(CHAT)) as (api, server):
        for wrong in ({"api_key": KEY + "\r\nx-evil: 1"}, {"headers": {"x-own": "a\r\nx-evil: 1"}}):
            try:
                stage._asked(api, "my-openai-chat/m", "Hi", {"retries": 0, **wrong}, stream=False)
            except ConfigurationError as error:
                stage.seen.add(type(error))
                stage.texts += [str(error), repr(vars(error))]
            else:
                raise AssertionError("a header was injected")
        assert not server.requests


@fault(
    13,
    "redirect",
    "redirects to another path, another host, or plain http",
    (ProtocolError,),
    "one request, the error, which names the host: no key and no body goes there",
)
def redirect(stage):
    with RawServer(serving(CHAT)) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            for place in (b"/v2", b"http://localhost:%d/v1" % elsewhere.port, b"http://other.example.test/"):
                with stage.served(reply(b"", b"Location: " + place, status=status)) as (api, server):
                    error = stage.fails(api, ProtocolError, retries=QUICK, attributes={"status": status})
                    assert "redirect" in str(error)
                    assert len(server.requests) == 1
        assert not elsewhere.connections


@fault(14, "dead-address", "the first address of a name refuses, the second lives", (), "the right answer")
def dead_address(stage):
    real = socket.getaddrinfo
    trusted = TLSSettings(ca_file=str(stage.authority / "ca.pem"))
    with RawServer(serving(CHAT), tls=_context(stage.authority / "server.pem")) as server:

        def getaddrinfo(host, *args, **kwargs):
            if host != b"two.example.test":
                return real(host, *args, **kwargs)
            dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", free_port(), 0, 0))
            return [dead, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

        stage.monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        stage.answers(stage.api("https://two.example.test/v1", http=HTTPSettings(proxies=Proxies(), tls=trusted)))
        stage.close()


# Bodies.


@fault(
    15,
    "no-answer-in-body",
    "cut JSON, no JSON, an empty body, a page with 200, 502 or 429",
    (InternalServerError, RateLimitError, ResponseParseError),
    "a ResponseParseError with the bytes in body; an error status says by itself what it is",
)
def no_answer_in_body(stage):
    for wire in WIRES:
        whole = answer_of(wire)
        for body in (whole[: len(whole) // 2], b"{,}", b"", b"<html>login</html>"):
            with stage.served(reply(body)) as (api, _):
                assert stage.fails(api, ResponseParseError, wire=wire).body == body
        with stage.served(reply(b"<html>Bad gateway</html>", status=502)) as (api, _):
            stage.fails(api, InternalServerError, wire=wire, attributes={"status": 502})
        with stage.served(reply(b"slow down", b"content-type: text/plain", status=429)) as (api, _):
            stage.fails(api, RateLimitError, wire=wire, attributes={"status": 429})


@fault(
    16,
    "error-in-200",
    "an error in the body of a 200",
    (OverloadedError,),
    "the provider's error, as if its status had said it",
)
def error_in_200(stage):
    for wire in WIRES:
        with stage.faked([Fault(cut="error", kind="overloaded")]) as (api, _):
            stage.fails(api, OverloadedError, wire=wire)


@fault(
    17,
    "bomb",
    "a body that unpacks to more than the cap, in gzip; br, which was not asked for",
    (ProtocolError,),
    "the error near the cap of 64 MB",
    apart="zstd and br are never asked for, and refused.",
)
def bomb(stage):
    packed = gzip.compress(b"\0" * (65 << 20), 1)
    with stage.served(reply(packed, JSON, b"content-encoding: gzip")) as (api, _):
        stage.fails(api, ProtocolError, timeout=30)
    with stage.served(reply(b"x", JSON, b"content-encoding: br")) as (api, _):
        stage.fails(api, ProtocolError)


@fault(
    18,
    "large-error",
    "an error body of 10 MB",
    (BadRequestError,),
    "the error; its message has at most 2,000 characters",
)
def large_error(stage):
    body = b'{"error":{"message":"' + b"x" * 10_000_000 + b'"}}'
    with stage.served(reply(body, status=400)) as (api, _):
        assert len(str(stage.fails(api, BadRequestError))) < 2500


@fault(
    19,
    "odd-json",
    "a byte order mark, UTF-16, bytes that are no UTF-8, lone surrogates, 100,000 brackets, a huge "
    "number, a name twice",
    (ResponseParseError,),
    "the answer where it can be read, else the error with the bytes",
)
def odd_json(stage):
    for wire in WIRES:
        whole = answer_of(wire)
        readable = {
            b"\xef\xbb\xbf" + whole: "Hello",
            whole.decode().encode("utf-16"): None,
            whole.replace(b"Hello", b"\\ud800"): None,
            whole.replace(b"Hello", b"\xff"): None,
            whole[:-1] + b',"x":' + b"9" * 5000 + b"}": None,
            whole[:-1] + b',"x":1,"x":2}': "Hello",
        }
        for body, text in readable.items():
            with stage.served(reply(body)) as (api, _):
                outcome = stage.ask(api, wire=wire)
                assert isinstance(outcome, (Response, ResponseParseError)), outcome
                assert text is None or getattr(outcome, "text", outcome) == text, body
        for body in (b"[" * 100_000, b'{"a":' * 100_000):
            with stage.served(reply(body)) as (api, _):
                stage.fails(api, ResponseParseError, wire=wire)


@fault(
    20,
    "no-usage",
    "says nothing of tokens",
    (),
    "the answer; usage says that it is missing, the cost is unknown and never zero, and the totals count it",
)
def no_usage(stage):
    for wire in WIRES:
        for stream in (False, True):
            with stage.faked([Fault(answer="Hello", usage=False)]) as (api, _):
                answer = stage.answers(api, wire=wire, stream=stream)
                assert (answer.usage.source, answer.cost.femto) == ("missing", None)
                assert api.usage().total.unknown_usage == 1


@fault(
    21,
    "absurd-usage",
    "counts that are negative, NaN, infinite, 1e18, a fraction, a text, a boolean",
    (),
    "the answer; the cost is unknown and no absurd number is counted",
    apart="A budget that settles: tests/test_budgets.py.",
)
def absurd_usage(stage):
    for wire in WIRES:
        for count in (b"-5", b"NaN", b"Infinity", b"1e18", b"1.5", b'"many"', b"true"):
            with stage.served(reply(answer_of(wire).replace(b"4242", count))) as (api, _):
                answer = stage.answers(api, wire=wire)
                assert answer.cost.femto is None
                assert 0 <= answer.usage.output < 10**12, (wire, count)


@fault(
    22,
    "odd-answer",
    "an unknown finish reason; no choices; a gap in their numbers; arguments of a tool that are no JSON",
    (ResponseParseError,),
    "the answer, the odd reason as other, the arguments as they came; an error where there is no answer",
)
def odd_answer(stage):
    for wire, word in [("openai_chat", b'"stop"'), ("anthropic_messages", b'"end_turn"'), ("gemini", b'"STOP"')]:
        with stage.served(reply(answer_of(wire).replace(word, b'"zonked"'))) as (api, _):
            assert stage.answers(api, wire=wire).finish_reason == "other"
    for choices in (b"null", b"[]"):
        with stage.served(reply(b'{"choices":%b,"usage":{"prompt_tokens":1,"completion_tokens":1}}' % choices)) as (
            api,
            _,
        ):
            outcome = stage.ask(api)
            assert isinstance(outcome, ResponseParseError) or outcome.text == ""
    with stage.served(reply(CHAT.replace(b'"index":0', b'"index":7'))) as (api, _):
        stage.answers(api)
    call = b'"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{no"}}],"refusal"'
    with stage.served(reply(CHAT.replace(b'"refusal"', call))) as (api, _):
        assert stage.answers(api).tool_calls[0].arguments == "{no"


@fault(
    23,
    "blocked",
    "blocks the prompt inside a 200 (Gemini)",
    (ContentBlockedError,),
    "the error, with the reason of the provider",
    apart="Only Gemini says it so; the others refuse by status or by finish reason.",
)
def blocked(stage):
    body = b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}'
    with stage.served(reply(body)) as (api, _):
        assert "SAFETY" in repr(vars(stage.fails(api, ContentBlockedError, wire="gemini")))


# Streams.


@fault(
    24,
    "odd-events",
    "splits a stream at every byte; CR, LF and CRLF; comments, retry, ids; a byte order mark; no blank line at the end",
    (),
    "the answer of the stream that is not split",
)
def odd_events(stage):
    for wire in WIRES:
        whole = b"".join(events_of(wire, "Héllo")).replace(b"\r\n", b"\n")
        forms = (
            [whole[place : place + 1] for place in range(len(whole))],
            [whole.replace(b"\n", b"\r\n")],
            [whole.replace(b"\n", b"\r")],
            [b"\xef\xbb\xbf: hello\nretry: 5\nid: 1\n\n" + whole],
            [whole.replace(b"data: ", b"data:").rstrip(b"\n") + b"\n"],
        )
        for pieces in forms:
            with stage.served(chunked([b"".join(pieces)] if len(pieces) == 1 else pieces)) as (api, _):
                stage.answers(api, "Héllo", wire=wire, stream=True)


@fault(
    25,
    "split-characters",
    "splits a character between two chunks, a surrogate pair between two events",
    (),
    "the answer, whole",
)
def split_characters(stage):
    for wire in WIRES:
        whole = b"".join(events_of(wire, "Grüße 🙂"))
        cut = whole.index("🙂".encode()) + 2
        with stage.served(chunked([whole[:cut], whole[cut:]])) as (api, _):
            stage.answers(api, "Grüße 🙂", wire=wire, stream=True)
    halves = b"".join(FIRST.replace(b"Hel", half) for half in (b"\\\\ud83d", b"\\\\ude42")).replace(b"\\\\", b"\\")
    with stage.served(chunked([halves + b"data: [DONE]\n\n"])) as (api, _):
        outcome = stage.ask(api, stream=True)
        assert isinstance(outcome, Response)


@fault(26, "unknown-events", "sends events that nobody knows, and fields that nobody knows in others", (), "the answer")
def unknown_events(stage):
    news = b'event: brand_new\ndata: {"type":"brand_new","x":1}\n\n'
    for wire in WIRES:
        first, *rest = events_of(wire)
        odd = [first, news, *[each.replace(b'data: {"', b'data: {"brand_new":[1],"', 1) for each in rest]]
        with stage.served(chunked(odd)) as (api, _):
            stage.answers(api, wire=wire, stream=True)


@fault(
    27,
    "error-event",
    "an error as an event, before the first piece or after it",
    (OverloadedError, StreamInterruptedError),
    "before it, the provider's error, tried again; after it, the stream is interrupted and keeps what came",
)
def error_event(stage):
    for wire in WIRES:
        broken = Fault(answer="Hello there", piece=4, after_events=0, cut="error", kind="overloaded")
        with stage.faked([broken, broken, "Hello"]) as (api, _):
            stage.fails(api, OverloadedError, wire=wire, stream=True)
            stage.answers(api, wire=wire, stream=True, tries=2, retries=QUICK)
        later = Fault(answer="Hello there, all of you", piece=4, after_events=5, cut="error", kind="overloaded")
        with stage.faked([later]) as (api, _):
            error = stage.fails(api, StreamInterruptedError, wire=wire, stream=True, retries=QUICK)
            assert "Hello there, all of you".startswith(error.partial.text)
            assert error.partial.text


@fault(
    28,
    "no-terminator",
    "ends a stream in good form, but before its own end",
    (StreamInterruptedError,),
    "the error, with what came; [DONE] without a finish reason is an answer",
    apart="A finish reason without [DONE] is an answer only where the provider's row says that its streams end so.",
)
def no_terminator(stage):
    for wire in WIRES:
        events = events_of(wire, "Hello there", piece=4)
        with stage.served(chunked(events[:-2] if wire != "gemini" else events[:1])) as (api, _):
            error = stage.fails(api, StreamInterruptedError, wire=wire, stream=True)
            assert error.partial.text
            assert "Hello there".startswith(error.partial.text)
    with stage.served(chunked([FIRST])) as (api, _):
        assert stage.fails(api, StreamInterruptedError, stream=True).partial.text == "Hel"
    with stage.served(chunked([FIRST, b"data: [DONE]\n\n"])) as (api, _):
        assert stage.ask(api, stream=True).text == "Hel"


@fault(
    29,
    "after-the-end",
    "goes on behind the end of a stream",
    (),
    "the answer; what follows is not read",
    apart="Gemini's streams have no end but that of the body: an error there is read. "
    "A second message_start before the end is skipped, and the answer kept.",
)
def after_the_end(stage):
    events = events_of("anthropic_messages", "Hello there", piece=4)
    with stage.served(chunked([*events[:4], events[0], *events[4:]])) as (api, _):
        stage.answers(api, "Hello there", wire="anthropic_messages", stream=True)
    for wire in WIRES:
        late = b'data: {"error":{"message":"late"}}\n\n' if wire != "gemini" else b'data: {"late":1}\n\n'
        with stage.served(chunked([*events_of(wire), late], wait=0.001)) as (api, _):
            stage.answers(api, wire=wire, stream=True)


@fault(
    30,
    "large-event",
    "an event beyond the cap of 16 MB; 20,000 tiny events",
    (ProtocolError,),
    "the error near the cap; the answer of the tiny ones",
    apart="A million events take a minute: bench/ measures 1,000 in a burst.",
)
def large_event(stage):
    with stage.served(chunked([b"data: " + b"x" * (1 << 20), *[b"x" * (1 << 20)] * 17])) as (api, _):
        stage.fails(api, ProtocolError, stream=True, timeout=30)
    tiny = FIRST.replace(b"Hel", b"a") * 20_000
    with stage.served(chunked([tiny, b"data: [DONE]\n\n"])) as (api, _):
        assert stage.ask(api, stream=True, timeout=30).text == "a" * 20_000


def begin(stage, api, then):
    """Begin a stream, do something after its first piece, and give what was raised."""
    if stage.shell == "blocking":
        for piece in (stream := api.stream("my-openai-chat/m", "Hi", retries=0)):
            then(piece)
            break
        del stream
        gc.collect()
        return

    async def main():
        stream = api.aio.stream("my-openai-chat/m", "Hi", retries=0)
        async for piece in stream:
            then(piece)
            break
        del stream
        gc.collect()
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def _records_of(stage, api, work):
    records = []
    api.on_call(records.append)
    work()
    api.usage()
    stage.texts += map(repr, records)
    return records


@fault(
    31,
    "consumer-leaves",
    "nothing: the consumer breaks off, drops the stream, never reads it, or raises inside the loop",
    (),
    "the connection is closed; one record, abandoned; none where nothing was sent",
)
def consumer_leaves(stage):
    def fail(_):
        raise ZeroDivisionError

    leaves = (lambda api: begin(stage, api, len), lambda api: _raising(ZeroDivisionError, begin, stage, api, fail))
    for leave in leaves:
        with stage.served(stalling(STREAM_HEAD + FIRST)) as (api, server):
            records = _records_of(stage, api, lambda api=api, leave=leave: leave(api))
            gc.collect()
            api.usage()
            assert [record.outcome for record in records] == ["abandoned"]
            assert server.goodbyes.acquire(timeout=10)
    with stage.served(never) as (api, server):
        api.stream("my-openai-chat/m", "Hi")
        api.aio.stream("my-openai-chat/m", "Hi")
        assert not server.requests


def _raising(expected, work, *arguments):
    """Do what must be interrupted by just this."""
    with pytest.raises(expected):
        work(*arguments)


@fault(
    32,
    "interrupt",
    "nothing: Ctrl-C or SystemExit while a stream is read",
    (),
    "it passes through untouched; the connection is closed; one record, cancelled where it struck a read, abandoned "
    "where it struck the consumer",
)
def interrupt(stage):
    for kind in (KeyboardInterrupt, SystemExit):

        def strike(_, kind=kind):
            raise kind

        with stage.served(stalling(STREAM_HEAD + FIRST)) as (api, server):
            records = _records_of(
                stage, api, lambda api=api, strike=strike, kind=kind: _raising(kind, begin, stage, api, strike)
            )
            gc.collect()
            api.usage()
            assert [record.outcome for record in records] == ["abandoned"]
            assert server.goodbyes.acquire(timeout=10)
    if os.name == "posix":
        _press_ctrl_c(stage)


def _press_ctrl_c(stage):
    main = threading.main_thread().ident
    with stage.served(stalling(STREAM_HEAD + FIRST)) as (api, server):
        timer = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        options = {"retries": 0, "timeout": TIMEOUT}
        work = (KeyboardInterrupt, stage._asked, api, "my-openai-chat/m", "Hi", options, True)
        records = _records_of(stage, api, lambda: _raising(*work))
        timer.join()
        assert [record.outcome for record in records] == ["cancelled"]
        assert server.goodbyes.acquire(timeout=10)


@fault(
    33,
    "cancelled",
    "nothing: the task is cancelled at any of its turns, or its time-out passes; a thread's call has "
    "its deadline alone",
    (DeadlineExceededError,),
    "the cancellation passes through; one record, or none where nothing began",
)
def cancelled(stage):
    if stage.shell == "blocking":
        with stage.served(never) as (api, _):
            stage.fails(api, DeadlineExceededError, timeout=0.1)
        return
    stage.seen.add(DeadlineExceededError)
    for stream in (False, True):
        with stage.served(serving(CHAT)) as (api, _):
            records = []
            api.on_call(records.append)
            outcomes = [asyncio.run(_cancelled_after(api, turns, stream)) for turns in range(25)]
            assert len(records) in (24, 25)
            assert {record.outcome for record in records} <= {"cancelled", "answered"}
            assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    with stage.served(never) as (api, server):
        late = asyncio.wait_for
        records = _records_of(
            stage, api, lambda: _raising(TimeoutError, asyncio.run, late(api.aio("my-openai-chat/m", "Hi"), 0.1))
        )
        assert [record.outcome for record in records] == ["cancelled"]
        assert server.goodbyes.acquire(timeout=10)


async def _cancelled_after(api, turns, stream):
    call = api.aio.stream("my-openai-chat/m", "Hi").read() if stream else api.aio("my-openai-chat/m", "Hi")
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return outcome


@fault(
    34,
    "loops",
    "nothing: one API in two loops one after the other, a loop closed, a blocking call inside a running loop",
    (),
    "the right answer",
)
def loops(stage):
    with stage.served(serving(CHAT)) as (api, _):
        for _ in range(2):
            stage.answers(api)

        async def inside():
            return api("my-openai-chat/m", "Hi", retries=0).text

        assert asyncio.run(inside()) == "Hello"


# Policy.


@fault(
    35,
    "odd-waits",
    "asks to wait 0, -5, NaN, a day, until a date that is past",
    (RateLimitError,),
    "odd waits are none; a wait that is too long ends the call at once, with retry_after",
    apart="A server's own clock, milliseconds, RetryInfo: tests/test_retries.py.",
)
def odd_waits(stage):
    past = b"Wed, 21 Oct 2015 07:28:00 GMT"
    for value in (b"0", b"-5", b"NaN", past):
        with stage.served(reply(b"{}", b"retry-after: " + value, status=429), serving(CHAT)) as (api, _):
            stage.answers(api, tries=2, retries=QUICK)
    with stage.served(reply(b"{}", b"retry-after: 86400", status=429)) as (api, _):
        stage.fails(api, RateLimitError, retries=QUICK, attributes={"retry_after": 86400.0})


@fault(
    36,
    "quota",
    "a 429 for a quota; x-should-retry, both ways",
    (InternalServerError, QuotaExceededError),
    "one request for a quota; else the provider's word is obeyed",
)
def quota(stage):
    body = b'{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}'
    with stage.served(reply(body, JSON, b"x-should-retry: true", status=429)) as (api, server):
        stage.fails(api, QuotaExceededError, retries=QUICK)
        assert len(server.requests) == 1
    with stage.served(reply(b"{}", JSON, b"x-should-retry: false", status=500)) as (api, _):
        stage.fails(api, InternalServerError, retries=QUICK)
    with stage.served(reply(b"{}", JSON, b"x-should-retry: true", status=418), serving(CHAT)) as (api, _):
        stage.answers(api, tries=2, retries=QUICK)


@fault(
    37,
    "outage",
    "refuses everything with 503",
    (),
    "each call ends in an error; then the breaker is open, and nothing more is sent",
    apart="Here 60 calls; bench/soak.py has 5,000 from 32 threads and 500 tasks.",
)
def outage(stage):
    with stage.faked(503) as (api, fake):

        async def many():
            calls = [api.aio("my-openai-chat/m", "Hi", retries=QUICK) for _ in range(60)]
            return await asyncio.gather(*calls, return_exceptions=True)

        def all_of_them():
            if stage.shell == "asyncio":
                asyncio.run(many())
                return
            threads = [
                threading.Thread(target=_ignoring, args=(lambda: api("my-openai-chat/m", "Hi", retries=QUICK),))
                for _ in range(60)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        assert len(_records_of(stage, api, all_of_them)) == 60
        assert fake.received <= 60 * 3
        before = fake.received
        assert (
            len(_records_of(stage, api, lambda: [_ignoring(lambda: api("my-openai-chat/m", "Hi")) for _ in range(60)]))
            == 60
        )
        assert fake.received == before  # the breaker is open


@fault(
    38,
    "clock-jumps",
    "nothing: the wall clock jumps a day, forth and back",
    (DeadlineExceededError,),
    "the deadline holds, no duration is negative",
    apart="A machine that sleeps cannot be played.",
)
def clock_jumps(stage):
    real, jumps = time.time, iter(range(10**6))
    stage.monkeypatch.setattr(time, "time", lambda: real() + (86400 if next(jumps) % 2 else -86400))
    with stage.served(serving(CHAT)) as (api, _):
        assert 0 <= stage.answers(api).call.seconds < 5
    with stage.served(never) as (api, _):
        stage.fails(api, DeadlineExceededError, timeout=SHORT)


@fault(
    39,
    "no-time-to-wait",
    "fails where the deadline comes before the next try",
    (OverloadedError,),
    "the error at once, without a sleep",
)
def no_time_to_wait(stage):
    with stage.faked(Fault(kind="overloaded", retry_after=5)) as (api, _):
        begun = time.monotonic()
        error = stage.fails(api, OverloadedError, timeout=1, retries=2)
        assert time.monotonic() - begun < 1
        assert error.attempts[0].followed_by == "deadline"


@fault(
    40,
    "breaker",
    "fails until the breaker opens",
    (CircuitOpenError, InternalServerError),
    "nothing is sent while it is open; then one call tries",
)
def breaker(stage):
    with stage.faked([*[500] * 20, "Hello"]) as (api, fake):
        for _ in range(20):
            stage.fails(api, InternalServerError)
        assert stage.fails(api, CircuitOpenError, attributes={"sent": "no"}).retry_after > 0
        assert fake.received == 20
        (state,) = api._service.health._states.values()
        (one,) = state.breakers.values()
        one.open_until = 0.0  # as if its rest were over
        stage.answers(api)
        assert not one.is_open


@fault(
    41,
    "fallback",
    "the first model fails in each way, the second answers",
    (BadRequestError,),
    "the answer of the second; what it would meet too is raised",
    apart="A budget that ends in the middle of it: tests/test_budgets.py.",
)
def fallback(stage):
    following = {"fallback": ["my-gemini/m"], "timeout": 5}
    for first in (503, Fault(cut="reset"), Fault(cut="close"), Fault(body=b"<html>"), Fault(kind="quota"), 404):
        with stage.faked([first, "Hello"]) as (api, _):
            stage.answers(api, tries=2, **following)
    with stage.faked([400, "Hello"]) as (api, fake):
        stage.fails(api, BadRequestError, **following)
        assert fake.received == 1


# The process.


@fault(42, "fork", "nothing: the process forks after use", (), "the child answers over a connection of its own")
def fork(stage):
    with stage.served(serving(CHAT)) as (_, server):
        program = (
            "assert ask(api).text == 'Hello'\npid = os.fork()\nassert ask(api).text == 'Hello'\n"
            "if not pid: os._exit(0)\nassert os.waitpid(pid, 0)[1] == 0"
        )
        stage.run(program, server.url("/v1"))
        ports = [port for _, port in server.connections]
        assert len(set(ports)) == len(ports) >= 2


@fault(43, "fork-under-lock", "nothing: the process forks while a thread holds a lock of ours", (), "the child answers")
def fork_under_lock(stage):
    with stage.served(serving(CHAT)) as (_, server):
        program = (
            "assert ask(api).text == 'Hello'\nheld, go = threading.Event(), threading.Event()\n"
            "state, = api._service.health._states.values()\n"
            "def hold():\n    with state.lock:\n        held.set(); go.wait(20)\n"
            "thread = threading.Thread(target=hold); thread.start(); held.wait()\npid = os.fork()\n"
            "if not pid:\n    assert ask(api).text == 'Hello'\n    os._exit(0)\n"
            "assert os.waitpid(pid, 0)[1] == 0\ngo.set(); thread.join()"
        )
        stage.run(program, server.url("/v1"))


@fault(
    44,
    "shutdown",
    "nothing: the interpreter ends with a stream open",
    (),
    "it ends at once, and in silence",
    apart="A ledger that must be written to its end: tests/test_ledger_writer.py.",
)
def shutdown(stage):
    with stage.served(stalling(STREAM_HEAD + FIRST)) as (_, server):
        program = {
            "blocking": "stream = iter(api.stream(MODEL, 'Hi'))\nassert next(stream) == 'Hel'",
            "asyncio": "async def main():\n    global stream\n    stream = api.aio.stream(MODEL, 'Hi')\n"
            "    async for piece in stream:\n        assert piece == 'Hel'\n        break\nasyncio.run(main())",
        }[stage.shell]
        begun = time.monotonic()
        stage.run(program, server.url("/v1"))
        assert time.monotonic() - begun < 10


@fault(
    45,
    "no-descriptors",
    "nothing: the process has no descriptor left",
    (),
    "a connection error, phase connect, nothing sent; then it answers again",
    apart="A full disk, a locked ledger: tests/test_ledger_writer.py.",
)
def no_descriptors(stage):
    with stage.served(serving(CHAT)) as (_, server):
        call = {
            "blocking": "attempt = ask",
            "asyncio": "runner = asyncio.Runner(); runner.get_loop()\n"
            "attempt = lambda api, **more: runner.run(asked(api, more))",
        }[stage.shell]
        program = (
            call + "\nimport resource\nattempt(api)\napi.close()\nhard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard[1]))\n"
            "try: attempt(api)\nexcept errors.APIConnectionError as error: print(error.phase, error.sent)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, hard)\nassert attempt(api).text == 'Hello'\n"
            + ("runner.close()" if stage.shell == "asyncio" else "")
        )
        assert stage.run(program, server.url("/v1")) == "connect no\n"


@fault(
    46,
    "first-use-race",
    "nothing: 64 callers use an API for the first time at once",
    (),
    "each has its answer",
    apart="500 threads, and a free-threaded build: not by default, for their time.",
)
def first_use_race(stage):
    with stage.served(serving(CHAT)) as (api, _):
        answers = []
        if stage.shell == "asyncio":

            async def many():
                return await asyncio.gather(*[api.aio("my-openai-chat/m", "Hi") for _ in range(64)])

            answers += asyncio.run(many())
        else:
            ready = threading.Barrier(64)
            threads = [
                threading.Thread(target=lambda: (ready.wait(), answers.append(api("my-openai-chat/m", "Hi"))))
                for _ in range(64)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [answer.text for answer in answers] == ["Hello"] * 64
        assert api.usage().total.calls == 64


@fault(
    47,
    "key-rotated",
    "nothing: the key in the environment changes between two calls",
    (AuthenticationError,),
    "each call takes the key of its moment",
)
def key_rotated(stage):
    with stage.served(serving(CHAT)) as (_, server):
        api = stage.api(server.url("/v1"), key=None)
        for key in (KEY + "-one", KEY + "-two"):
            stage.monkeypatch.setenv("MINE_KEY", key)
            stage.answers(api)
            assert b"Bearer " + key.encode() in server.requests[-1][0]
    with stage.faked(401) as (api, fake):
        stage.fails(api, AuthenticationError, retries=QUICK)
        assert fake.received == 1


@fault(
    48,
    "recursion",
    "nothing: a hook, and a finalizer, call while a call ends",
    (),
    "each call answers, and has one record",
    apart="Signal handlers: tests/test_limits.py.",
)
def recursion(stage):
    with stage.served(serving(CHAT)) as (api, _):
        inner = []

        class Dropped:
            def __del__(self):
                inner.append(api("my-openai-chat/m", "Hi", retries=0).text)

        handle = api.on_call(lambda _: inner.append(api("my-openai-chat/m", "Hi", retries=0).text))
        stage.answers(api)
        handle.remove()
        Dropped()
        gc.collect()
        assert inner == ["Hello", "Hello"]
        assert api.usage().total.calls == 3


@fault(
    49,
    "pickle",
    "nothing: an answer and an error are pickled and copied",
    (AuthenticationError,),
    "they come back equal, without the key",
)
def pickled(stage):
    body = b'{"error":{"message":"the key %b is wrong"}}' % KEY.encode()
    with stage.served(reply(body, status=401)) as (api, _):
        error = stage.fails(api, AuthenticationError)
        assert deepcopy(error) == error
    for wire in WIRES:
        with stage.served(serving(answer_of(wire))) as (api, _):
            answer = stage.answers(api, wire=wire)
            assert pickle.loads(pickle.dumps(answer)) == deepcopy(answer) == answer
            stage.texts.append(pickle.dumps(answer).decode("latin-1"))


@fault(
    50,
    "malicious-text",
    "writes escape sequences and bidi overrides, in an answer and in an error",
    (BadRequestError,),
    "the answer as it is, made harmless by the command; an error's message holds none",
    apart="Cells of a ledger's export that a spreadsheet would run are not looked at here.",
)
def malicious_text(stage):
    evil = "a\x1b]52;c;Zm9v\x07b\u202ec"
    with stage.faked([evil, Fault(status=400, message=evil)]) as (api, _):
        assert neutralize(stage.answers(api, evil).text) == "abc"
        message = stage.fails(api, BadRequestError).message
        assert not any(sign in message for sign in "\x1b\x07\u202e")


# The page.


def table() -> str:
    """The rows of docs/faults.md."""
    lines = ["| | fault | what the other side does | what comes of it | errors |", "|---|---|---|---|---|"]
    for number, entry in sorted(FAULTS.items()):
        kinds = ", ".join([f"`{kind.__name__}` (`{kind.kind}`)" for kind in entry.errors]) or "none"
        comes = entry.comes + (f". *{entry.apart}*" if entry.apart else "")
        lines.append(f"| {number} | `{entry.name}` | {entry.does} | {comes} | {kinds} |")
    return "\n".join(lines) + "\n"
