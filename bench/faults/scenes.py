"""The faults that every client can be put to over a plain socket, and what is right under each: written once, for all.

Each scene belongs to an entry of ``tests/faults.py`` and says what its servers do, how the call is made, and which ends
are right: an answer (``answer``), an error (``error``), or either (``either``), where a whole answer must be the right
one. ``APART`` says why the other entries are not put to the peers.
"""

from __future__ import annotations

import functools
import gzip
import json
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
servers: Any = import_module("servers")
played: Any = import_module("faults")
"""tests/faults.py: the scripts of the same servers."""

KEY = "zq9-5e3f0b71c2d84a96-plain"
TIMEOUT = 3.0
GRACE = 3.0
"""Seconds beyond its timeout after which a call hangs."""
SLOW_NAME = 8.0
PROXY_PASSWORD = "pass-0123456789"

Script = Callable[[Any], object]
Scripts = Callable[[str], list[Script]]


@dataclass(frozen=True)
class Scene:
    """One fault, as it is put to a client; ``scripts`` makes the servers' part on a wire."""

    number: int
    name: str
    does: str
    expect: Literal["answer", "error", "either"]
    scripts: Scripts
    stream: bool = False
    text: str | None = "Hello"
    """What a right answer says; None where several readings are right."""
    calls: int = 1
    retries: int = 0
    where: str = "http://127.0.0.1:{port}"
    proxy: bool = False
    """The port is that of a proxy, which the environment names."""
    tls: bool = False
    two_addresses: bool = False
    """localhost has a dead address first."""
    key: str = KEY
    leave: bool = False
    """The stream is dropped after its first piece, and must give back its connection by itself."""
    clock_jumps: bool = False
    usage: bool = False
    """The server tells no usage, and a count of zero would be an invention."""
    pickle: bool = False
    """The error must come back from a pickle as it was."""
    memory: bool = False
    fork: bool = False
    """The process forks after a call, and the child makes one. Blocking calls alone."""
    injected: bytes = b""
    """What must stand in no head that a server reads."""


SCENES: list[Scene] = []


def scene(
    number: int, name: str, expect: Literal["answer", "error", "either"], does: str, **more: Any
) -> Callable[[Scripts], Scripts]:
    """Put a scene into the list; the function makes its scripts for a wire."""

    def keep(scripts: Scripts) -> Scripts:
        SCENES.append(Scene(number, name, does, expect, scripts, **more))
        return scripts

    return keep


def _head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])


def _whole(wire: str) -> bytes:
    return bytes(played.answer_of(wire))


def _events(wire: str, text: str = "Hello there", piece: int | None = 4) -> list[bytes]:
    return [each.replace(b"\r\n", b"\n") for each in played.events_of(wire, text, piece=piece)]


def _until_text(wire: str) -> list[bytes]:
    """The events up to the first that has text."""
    events = _events(wire)
    return events[: next(place for place, each in enumerate(events) if b"Hell" in each) + 1]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _cut(data: bytes, how: str) -> Script:
    def script(peer: Any) -> None:
        peer.read_request()
        peer.send(data)
        time.sleep(0.1)  # a reset overtakes what is still under way
        if how == "reset":
            peer.reset()

    return script


STREAM = _head(played.SSE, b"Transfer-Encoding: chunked")
OK = b"Content-Type: application/json"


@scene(1, "refused", "error", "nobody listens", where="http://127.0.0.1:{free}")
def _(wire: str) -> list[Script]:
    return [played.serving(_whole(wire))]


@scene(2, "close-before-head", "error", "closes before the head of its reply")
def _(_wire: str) -> list[Script]:
    return [servers.canned(b"")]


@scene(2, "reset-before-head", "error", "resets before the head of its reply")
def _(_wire: str) -> list[Script]:
    return [played.reset]


@scene(3, "idle-connection-closed", "answer", "closes a kept connection between two calls", calls=2)
def _(wire: str) -> list[Script]:
    return [played.reply(_whole(wire))]


@scene(4, "body-closed", "error", "closes inside the body")
def _(wire: str) -> list[Script]:
    whole = _whole(wire)
    return [_cut(_head(OK, b"Content-Length: %d" % len(whole)) + whole[:40], "close")]


@scene(4, "body-reset", "error", "resets inside the body")
def _(wire: str) -> list[Script]:
    whole = _whole(wire)
    return [_cut(_head(OK, b"Content-Length: %d" % len(whole)) + whole[:40], "reset")]


@scene(4, "stream-closed", "error", "closes inside an event of a stream", stream=True)
def _(wire: str) -> list[Script]:
    sent = _until_text(wire)
    return [_cut(STREAM + _chunk(b"".join(sent)) + _chunk(_events(wire)[len(sent)][:20]), "close")]


@scene(4, "stream-reset", "error", "resets between two events of a stream", stream=True)
def _(wire: str) -> list[Script]:
    return [_cut(STREAM + _chunk(b"".join(_until_text(wire))), "reset")]


@scene(4, "stream-garbage", "error", "sends what is no chunk inside a stream", stream=True)
def _(wire: str) -> list[Script]:
    return [_cut(STREAM + _chunk(b"".join(_until_text(wire))) + b"no chunk\r\n", "close")]


@scene(5, "drip-head", "error", "drips a head for ever")
def _(_wire: str) -> list[Script]:
    return [played.dripping(b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n")]


@scene(5, "drip-body", "error", "drips a body for ever")
def _(_wire: str) -> list[Script]:
    return [played.dripping(_head(OK, b"Content-Length: 9999"), b" ")]


@scene(5, "drip-comments", "error", "drips comments of a stream for ever", stream=True)
def _(_wire: str) -> list[Script]:
    return [played.dripping(_head(played.SSE), b": ping\n\n")]


@scene(6, "stall", "error", "sends a piece of a stream and then nothing", stream=True)
def _(wire: str) -> list[Script]:
    return [played.stalling(STREAM + _chunk(b"".join(_until_text(wire))))]


@scene(7, "never-answers", "error", "takes the request and never answers")
def _(_wire: str) -> list[Script]:
    return [servers.never]


@scene(7, "not-taken", "error", "does not take the connection", where="http://127.0.0.1:{full}")
def _(_wire: str) -> list[Script]:
    return [servers.never]


@scene(8, "name-missing", "error", "the name does not exist", where="https://none.example.test")
def _(wire: str) -> list[Script]:
    return [played.serving(_whole(wire))]


@scene(8, "name-slow", "error", "the name's server answers after 8 s", where="https://slow.example.test")
def _(wire: str) -> list[Script]:
    return [played.serving(_whole(wire))]


@scene(9, "tls-unknown-signer", "error", "a certificate that nobody signed", where="https://127.0.0.1:{port}", tls=True)
def _(wire: str) -> list[Script]:
    return [played.serving(_whole(wire))]


@scene(9, "tls-hangs", "error", "a handshake that hangs", where="https://127.0.0.1:{port}")
def _(_wire: str) -> list[Script]:
    return [lambda peer: peer.wait_until_closed()]


def _proxy(said: bytes) -> Scripts:
    return lambda _: [lambda peer: (peer.read_head(), peer.send(said))]


scene(10, "proxy-407", "error", "a proxy that wants other credentials", where="https://api.example.test", proxy=True)(
    _proxy(b"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n")
)
scene(10, "proxy-page", "error", "a proxy that answers a page", where="https://api.example.test", proxy=True)(
    _proxy(b"<html>login</html>")
)


def _said(make: Callable[[bytes], bytes]) -> Scripts:
    """Say what is made of a whole answer, and close."""
    return lambda wire: [servers.canned(make(_whole(wire)))]


def _rest(whole: bytes) -> bytes:
    return b"\r\n" + OK + b"\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole


scene(11, "http-1.0", "answer", "answers by HTTP/1.0")(_said(lambda whole: b"HTTP/1.0 200 OK" + _rest(whole)))
scene(11, "interim-heads", "answer", "sends 100 and 103 first")(
    _said(lambda w: b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK" + _rest(w))
)
scene(11, "no-content", "error", "answers 204")(_said(lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"))
scene(11, "two-lengths", "either", "sends chunks and another length at once")(
    _said(lambda w: _head(OK, b"Transfer-Encoding: chunked", b"Content-Length: 5") + _chunk(w) + b"0\r\n\r\n")
)


def _reply(make: Callable[[bytes], bytes], *lines: bytes, status: int = 200) -> Scripts:
    """Reply with what is made of a whole answer."""
    return lambda wire: [played.reply(make(_whole(wire)), *(lines or (OK,)), status=status)]


def _as_it_is(whole: bytes) -> bytes:
    return whole


scene(12, "large-header", "either", "a header of 200 kB")(_reply(_as_it_is, OK, b"x-large: " + b"y" * 200_000))
scene(12, "many-headers", "either", "10,000 headers")(
    _reply(_as_it_is, OK, *[b"x-many-%d: 1" % number for number in range(10_000)])
)
scene(
    12, "line-break-in-key", "error", "nothing: the key holds a line break and a header",
    key=KEY + "\r\nx-evil: 1", injected=b"x-evil",
)(_reply(_as_it_is))  # fmt: skip
scene(13, "redirect", "either", "redirects (307) to another host, which answers")(lambda _: [_redirect])


def _redirect(peer: Any) -> None:
    peer.read_request()
    path = peer.server.requests[-1][0].split(b" ")[1]
    peer.reply(b"", 307, b"Location: http://localhost:%d%b" % (peer.server.elsewhere, path))
    peer.wait_until_closed()


scene(
    14, "dead-address", "answer", "the first address refuses, the second lives", where="http://localhost:{port}",
    two_addresses=True,
)(_reply(_as_it_is))  # fmt: skip


# Bodies.

scene(15, "cut-json", "error", "half of the JSON, as a whole body")(_reply(lambda whole: whole[: len(whole) // 2]))
scene(15, "no-json", "error", "`{,}`")(_reply(lambda _: b"{,}"))
scene(15, "empty", "error", "an empty body")(_reply(lambda _: b""))
scene(15, "page-200", "error", "a page of HTML, with 200")(
    _reply(lambda _: b"<html>login</html>", b"Content-Type: text/html")
)
scene(15, "page-502", "error", "a page of HTML, with 502")(
    _reply(lambda _: b"<html>Bad gateway</html>", b"Content-Type: text/html", status=502)
)
scene(15, "text-429", "error", "a plain text, with 429")(
    _reply(lambda _: b"slow down", b"Content-Type: text/plain", status=429)
)

ERRORS = {
    "openai_chat": {"error": {"message": "Overloaded", "type": "server_error", "code": "overloaded"}},
    "anthropic_messages": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    "gemini": {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}},
}


def _error_of(wire: str) -> bytes:
    return json.dumps(ERRORS[wire]).encode()


@scene(16, "error-in-200", "error", "an error of its wire in the body of a 200")
def _(wire: str) -> list[Script]:
    return [played.reply(_error_of(wire))]


@functools.cache
def _packed(wire: str) -> bytes:
    whole = _whole(wire)
    return gzip.compress(whole[:-1] + b" " * (200 << 20) + whole[-1:], 6)


@scene(17, "bomb", "either", "200 kB of gzip that unpack to 200 MB", memory=True)
def _(wire: str) -> list[Script]:
    return [played.reply(_packed(wire), OK, b"Content-Encoding: gzip")]


@scene(18, "large-error", "error", "an error body of 10 MB")
def _(_wire: str) -> list[Script]:
    return [played.reply(b'{"error":{"message":"' + b"x" * 10_000_000 + b'"}}', OK, status=400)]


scene(19, "byte-order-mark", "either", "a byte order mark before the JSON")(_reply(lambda w: b"\xef\xbb\xbf" + w))
scene(19, "utf-16", "either", "JSON in UTF-16")(_reply(lambda whole: whole.decode().encode("utf-16")))
scene(19, "no-utf-8", "either", "a byte that is no UTF-8 in the text", text=None)(
    _reply(lambda whole: whole.replace(b"Hello", b"\xff"))
)
scene(19, "lone-surrogate", "either", "half a surrogate pair in the text", text=None)(
    _reply(lambda whole: whole.replace(b"Hello", b"\\ud800"))
)
scene(19, "deep-brackets", "error", "100,000 brackets")(_reply(lambda _: b"[" * 100_000))
scene(19, "huge-number", "either", "an unknown number of 5,000 digits")(
    _reply(lambda whole: whole.rstrip()[:-1] + b',"x":' + b"9" * 5000 + b"}")
)
scene(19, "name-twice", "answer", "an unknown name twice")(_reply(lambda w: w.rstrip()[:-1] + b',"x":1,"x":2}'))


def _without_usage(data: Any) -> Any:
    """Without the counts, wherever they stand."""
    if isinstance(data, dict):
        return {name: _without_usage(each) for name, each in data.items() if name not in ("usage", "usageMetadata")}
    return [_without_usage(each) for each in data] if isinstance(data, list) else data


@scene(20, "no-usage", "answer", "says nothing of tokens", usage=True)
def _(wire: str) -> list[Script]:
    return [played.reply(json.dumps(_without_usage(json.loads(_whole(wire)))).encode())]


scene(21, "usage-negative", "answer", "counts -5 tokens")(_reply(lambda whole: whole.replace(b"4242", b"-5")))
scene(21, "usage-nan", "answer", "counts NaN tokens")(_reply(lambda whole: whole.replace(b"4242", b"NaN")))
scene(21, "usage-text", "answer", 'counts "many" tokens')(_reply(lambda whole: whole.replace(b"4242", b'"many"')))
FINISH = {"openai_chat": b'"stop"', "anthropic_messages": b'"end_turn"', "gemini": b'"STOP"'}


@scene(22, "odd-finish", "answer", "an unknown finish reason")
def _(wire: str) -> list[Script]:
    return [played.reply(_whole(wire).replace(FINISH[wire], b'"zonked"'))]


# Streams.


def _streamed(make: Callable[[list[bytes]], list[bytes]]) -> Scripts:
    """A stream of what is made of the events, each in a chunk of its own."""
    return lambda wire: [played.chunked(make(_events(wire)))]


def _joined(make: Callable[[bytes], bytes]) -> Scripts:
    return _streamed(lambda events: [make(b"".join(events))])


THERE: dict[str, Any] = {"stream": True, "text": "Hello there"}
scene(24, "every-byte", "answer", "splits a stream at every byte", **THERE)(
    _streamed(lambda events: [bytes([each]) for each in b"".join(events)])
)
scene(24, "crlf", "answer", "ends lines by CR LF", **THERE)(_joined(lambda data: data.replace(b"\n", b"\r\n")))
scene(24, "cr", "answer", "ends lines by CR", **THERE)(_joined(lambda data: data.replace(b"\n", b"\r")))
scene(24, "preamble", "answer", "begins with a byte order mark, a comment, retry and id", **THERE)(
    _joined(lambda data: b"\xef\xbb\xbf: hello\nretry: 5\nid: 1\n\n" + data)
)
scene(24, "no-space", "answer", "puts no space behind `data:`", **THERE)(
    _joined(lambda data: data.replace(b"data: ", b"data:"))
)
scene(24, "no-last-line", "either", "ends without the last blank line", **THERE)(
    _joined(lambda data: data.rstrip(b"\n") + b"\n")
)


@scene(25, "split-character", "answer", "splits a character between two chunks", stream=True, text="Grüße 🙂")
def _(wire: str) -> list[Script]:
    data = b"".join(_events(wire, "Grüße 🙂", piece=None))
    cut = data.index("🙂".encode()) + 2
    return [played.chunked([data[:cut], data[cut:]], wait=0.05)]


NEWS = b'event: brand_new\ndata: {"type":"brand_new","x":1}\n\n'
scene(26, "unknown-event", "answer", "sends an event that nobody knows", **THERE)(
    _streamed(lambda events: [events[0], NEWS, *events[1:]])
)
scene(26, "unknown-field", "answer", "sends fields that nobody knows", **THERE)(
    _streamed(lambda events: [each.replace(b'data: {"', b'data: {"brand_new":[1],"', 1) for each in events])
)


def _error_event(wire: str) -> bytes:
    return (b"event: error\n" if wire == "anthropic_messages" else b"") + b"data: " + _error_of(wire) + b"\n\n"


@scene(27, "error-first", "error", "an error as the first event", stream=True)
def _(wire: str) -> list[Script]:
    return [played.chunked([_error_event(wire)])]


@scene(27, "error-later", "error", "an error as an event after text", stream=True)
def _(wire: str) -> list[Script]:
    return [played.chunked([*_until_text(wire), _error_event(wire)])]


@scene(28, "no-end", "error", "ends a stream in good form after its first text", stream=True)
def _(wire: str) -> list[Script]:
    return [played.chunked(_until_text(wire))]


@scene(20, "no-usage-stream", "answer", "says nothing of tokens in a stream", usage=True, **THERE)
def _(wire: str) -> list[Script]:
    return [played.chunked([_less(each) for each in _events(wire)])]


def _less(event: bytes) -> bytes:
    """An event without its counts."""
    lines = event.split(b"\n")
    return b"\n".join(
        b"data: " + json.dumps(_without_usage(json.loads(line[6:]))).encode() if line.startswith(b"data: {") else line
        for line in lines
    )


scene(29, "after-the-end", "answer", "goes on behind the end of a stream", **THERE)(
    _streamed(lambda events: [*events, b'data: {"late":1}\n\n'])
)


@scene(30, "large-event", "either", "a piece of text of 18 MB in one event", stream=True, text="a" * (18 << 20))
def _(wire: str) -> list[Script]:
    return [played.chunked(_events(wire, "a" * (18 << 20), piece=None))]


@scene(30, "tiny-events", "answer", "2,000 events of one character at once", stream=True, text="a" * 2000)
def _(wire: str) -> list[Script]:
    return [played.chunked([b"".join(_events(wire, "a" * 2000, piece=1))])]


@scene(
    31, "dropped", "answer", "nothing: the consumer drops a stream after a piece", stream=True, leave=True, text=None
)
def _(wire: str) -> list[Script]:
    return [played.stalling(STREAM + _chunk(b"".join(_until_text(wire))))]


# Policy and process.


def _waits(value: bytes) -> Scripts:
    """Refuse once with this retry-after, then answer."""
    return lambda wire: [
        played.reply(_error_of(wire), OK, b"Retry-After: " + value, status=429),
        played.serving(_whole(wire)),
    ]


scene(35, "wait-negative", "either", "429, and asks to wait -5 s", retries=2)(_waits(b"-5"))
scene(35, "wait-nan", "either", "429, and asks to wait NaN s", retries=2)(_waits(b"NaN"))
scene(35, "wait-past", "either", "429, and asks to wait until 2015", retries=2)(
    _waits(b"Wed, 21 Oct 2015 07:28:00 GMT")
)
scene(35, "wait-day", "error", "429, and asks to wait a day", retries=2)(
    lambda wire: [played.reply(_error_of(wire), OK, b"Retry-After: 86400", status=429)]
)
QUOTA = {
    "openai_chat": {"error": {"message": "no", "type": "insufficient_quota", "code": "insufficient_quota"}},
    "anthropic_messages": {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "no",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
    },
    "gemini": {
        "error": {
            "code": 429,
            "message": "no",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
                }
            ],
        }
    },
}


@scene(36, "quota", "error", "429 for a quota that is used up", retries=2)
def _(wire: str) -> list[Script]:
    return [played.reply(json.dumps(QUOTA[wire]).encode(), OK, status=429)]


scene(38, "clock-jumps", "answer", "nothing: the wall clock jumps a day, forth and back", clock_jumps=True)(
    _reply(_as_it_is)
)


@scene(39, "no-time-to-wait", "either", "503, and asks to wait 5 s, of a call that has 3", retries=2)
def _(wire: str) -> list[Script]:
    refusal = played.reply(_error_of(wire), OK, b"Retry-After: 5", status=503)
    return [refusal, played.serving(_whole(wire))]


scene(42, "fork", "answer", "nothing: the process forks after a call, and the child calls too", fork=True)(
    lambda wire: [played.serving(_whole(wire))]
)


@scene(49, "pickle", "error", "401; the error is pickled", pickle=True)
def _(_wire: str) -> list[Script]:
    return [played.reply(b'{"error":{"message":"no such key","type":"authentication_error"}}', OK, status=401)]


APART = {
    23: "Only Gemini's wire blocks a prompt so.",
    32: "Where a signal strikes, the client's code or the driver's, is chance.",
    33: "It is of asyncio alone.",
    34: "Whether a client may be used in several loops is said by each for itself.",
    37: "Breakers and retry budgets are ours.",
    40: "As 37.",
    41: "Fallback between models is not of all clients.",
    43: "It needs to hold a lock of ours.",
    44: "What a client does at the end of an interpreter is not told by facts of a call.",
    45: "What a client loads at its first fault cannot be loaded without a descriptor.",
    46: "Each other client is made by its user, not at its first use.",
    47: "Each other client takes its key once, and says so.",
    48: "Hooks at the end of a call are ours.",
    50: "It is about our command.",
}
"""The entries of ``tests/faults.py`` that no scene plays, and why."""


@dataclass
class Stage:
    """The servers of one scene, while it is played."""

    job: dict[str, Any]
    server: Any
    elsewhere: Any
    scene: Scene

    def facts(self) -> dict[str, Any]:
        """What the servers saw."""
        heads = [head for head, _ in self.server.requests]
        told: dict[str, Any] = {"requests": len(heads), "connections": len(self.server.connections)}
        if self.scene.injected and any(self.scene.injected in head.lower() for head in heads):
            told["injected"] = True
        if self.elsewhere.requests:
            told["elsewhere"] = {
                "key": any(KEY.encode() in head for head, _ in self.elsewhere.requests),
                "prompt": any(b"Say hello." in body for _, body in self.elsewhere.requests),
            }
        return told


@contextmanager
def staged(one: Scene, wire: str, shell: str) -> Iterator[Stage]:
    """Start the servers of a scene and make the job for a driver."""
    with ExitStack() as stack:
        elsewhere = stack.enter_context(servers.RawServer(played.serving(_whole(wire))))
        context = _nobodys_certificate() if one.tls else None
        server = stack.enter_context(servers.RawServer(*one.scripts(wire), tls=context))
        server.elsewhere = elsewhere.port
        ports = {"port": server.port, "free": servers.free_port()}
        if "{full}" in one.where:
            ports["full"] = _full_port(stack)
        proxy = f"http://user:{PROXY_PASSWORD}@127.0.0.1:{server.port}"
        yield Stage(
            {
                "scene": one.name,
                "wire": wire,
                "shell": shell,
                "url": one.where.format(**ports),
                "key": one.key,
                "secrets": [KEY, PROXY_PASSWORD],
                "timeout": TIMEOUT,
                "retries": one.retries,
                "stream": one.stream,
                "calls": one.calls,
                "pause": 0.2 if one.calls > 1 else 0,
                "leave": one.leave,
                "fork": one.fork,
                "clock_jumps": one.clock_jumps,
                "slow": SLOW_NAME,
                "settle": SLOW_NAME + 1 if "slow" in one.where else 0,
                "dead_port": servers.free_port() if one.two_addresses else None,
                "environment": dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), proxy) if one.proxy else {},
            },
            server,
            elsewhere,
            one,
        )


def _full_port(stack: ExitStack) -> int:
    """A port whose queue of connections is full."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return int(listener.getsockname()[1])


@functools.cache
def _nobodys_certificate() -> ssl.SSLContext:
    trustme: Any = import_module("trustme")
    certificate = trustme.CA().issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
        context.load_cert_chain(file)
    return context
