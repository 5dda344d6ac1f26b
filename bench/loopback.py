"""A provider on 127.0.0.1, in a process of its own, that is cheaper than any client: one piece for every bench.

It knows three wires by their paths (Chat Completions, Messages, generateContent), answers each with bytes that were
made beforehand, and reads no more of a request than where it ends and whether it wants a stream. A stream has 1,000
pieces of text, each an event in an HTTP chunk of its own. Its ports are its manners, ``MANNERS``; what it used is
told on demand. The bare clients at the end are the floor: a socket, and just enough to find the end of an answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

MANNERS = ("plain", "slow", "paced", "tls", "closing")
"""At once; after 100 ms; a chunk of a stream each millisecond; over TLS; over TLS, closing after each answer."""

LATENCY = 0.1
PACE = 0.001
PIECES = 1000

KEY = "sk-bench-0123456789abcdef0123456789abcdef"
MODELS = {"chat": "gpt-6-luna", "messages": "claude-haiku-5-5", "gemini": "gemini-3.8-flash"}
PROMPT = "Tell me what the sea does to the harbour wall in winter, in five sentences that a child of ten would like."
TEXT = ("The sea leans on the wall and the wall leans back. " * 12)[:-1]
SAID = [f"w{number:03} " for number in range(PIECES)]
"""The pieces of a stream: all different, for LiteLLM takes a piece that comes again and again for a broken model."""

HEADERS = {
    "authorization": f"Bearer {KEY}",
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "bench/1",
}
_ASKED = {"model": MODELS["chat"], "messages": [{"role": "user", "content": PROMPT}]}
BODY = json.dumps(_ASKED, separators=(",", ":")).encode()
STREAM_BODY = json.dumps({**_ASKED, "stream": True}, separators=(",", ":")).encode()
PATH = "/v1/chat/completions"


# What is said.


def _usage() -> dict[str, Any]:
    spent = {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return {
        "prompt_tokens": 30, "completion_tokens": 150, "total_tokens": 180,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}, "completion_tokens_details": spent,
    }  # fmt: skip


def _chat() -> tuple[Any, list[str]]:
    named = {"created": 1_790_000_000, "model": MODELS["chat"], "service_tier": "default", "system_fingerprint": "fp_1"}
    head = {"id": "chatcmpl-0123456789abcdef", "object": "chat.completion", **named}
    message: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "object": "chat.completion.chunk", "choices": [choice], "usage": None}

    events = [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        *[chunk({"content": text}) for text in SAID],
    ]
    events += [chunk({}, "stop"), {**chunk({}), "choices": [], "usage": _usage()}]
    whole = {**head, "choices": [choice], "usage": _usage()}
    return whole, [*[f"data: {json.dumps(each)}" for each in events], "data: [DONE]"]


def _messages() -> tuple[Any, list[str]]:
    usage = {"input_tokens": 30, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 150}
    head = {"id": "msg_0123456789abcdef", "type": "message", "role": "assistant", "model": MODELS["messages"]}
    whole = {**head, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None}
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    stopped = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in SAID],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stopped, "usage": {"output_tokens": 150}},
        {"type": "message_stop"},
    ]
    return {**whole, "usage": usage}, [f"event: {each['type']}\ndata: {json.dumps(each)}" for each in events]


def _gemini() -> tuple[Any, list[str]]:
    usage = {"promptTokenCount": 30, "candidatesTokenCount": 150, "totalTokenCount": 180}
    tail = {"usageMetadata": usage, "modelVersion": MODELS["gemini"], "responseId": "r0123456789abcdef"}

    def answer(text: str, **more: str) -> dict[str, Any]:
        content = {"parts": [{"text": text}], "role": "model"}
        return {"candidates": [{"content": content, **more, "index": 0}], **tail}

    events = [*[answer(text) for text in SAID[:-1]], answer(SAID[-1], finishReason="STOP")]
    return answer(TEXT, finishReason="STOP"), [f"data: {json.dumps(each)}" for each in events]


def _whole(body: Any, *, closing: bool = False) -> bytes:
    data = json.dumps(body).encode()
    close = b"Connection: close\r\n" if closing else b""
    return (
        b"HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
        b"x-request-id: req_0123456789\r\nx-ratelimit-remaining-requests: 9999\r\nServer: bench\r\n"
        b"%bContent-Length: %d\r\n\r\n%b" % (close, len(data), data)
    )


def _pieces(events: list[str]) -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    written = [(event + "\n\n").encode() for event in events]
    return [head, *[b"%x\r\n%b\r\n" % (len(each), each) for each in written], b"0\r\n\r\n"]


WIRES = {"chat": _chat(), "messages": _messages(), "gemini": _gemini()}
WHOLE = {wire: _whole(body) for wire, (body, _) in WIRES.items()}
CLOSING = {wire: _whole(body, closing=True) for wire, (body, _) in WIRES.items()}
STREAMED = {wire: _pieces(events) for wire, (_, events) in WIRES.items()}
BURST = {wire: b"".join(pieces) for wire, pieces in STREAMED.items()}


# The server.


def wire_of(path: bytes) -> str:
    """Which wire a path belongs to."""
    if b"enerateContent" in path:
        return "gemini"
    return "messages" if b"/messages" in path else "chat"


class Server(asyncio.Protocol):
    """One connection."""

    served = 0

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            at = data.find(b"ontent-Length: ", 0, end)
            if at < 0:
                at = data.find(b"ontent-length: ", 0, end)
            line = data.find(b"\r\n", at)
            whole = end + 4 + (int(data[at + 15 : line]) if at >= 0 else 0)
            if len(data) < whole:
                break
            path = data[5 : data.find(b" ", 5)]
            at = data.find(b'"stream":', end, whole)
            asked = at > 0 and data[at + 9 : at + 12].lstrip().startswith(b"t")
            self.answer(wire_of(path), streamed=asked or b":streamG" in path)
            data = data[whole:]
        self.buffer = data

    def answer(self, wire: str, *, streamed: bool) -> None:
        Server.served += 1
        if self.manner == "closing":
            self.transport.write(CLOSING[wire])
            self.transport.close()
        elif self.manner == "slow":
            asyncio.get_running_loop().call_later(LATENCY, self.write, WHOLE[wire])
        elif streamed and self.manner == "paced":
            self.step(iter(STREAMED[wire]), asyncio.get_running_loop().time())
        else:
            self.transport.write(BURST[wire] if streamed else WHOLE[wire])

    def step(self, pieces: Iterator[bytes], due: float) -> None:
        for piece in pieces:
            self.write(piece)
            asyncio.get_running_loop().call_at(due + PACE, self.step, pieces, due + PACE)
            return

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


async def serve(certificate: str | None) -> None:
    """Say where it listens, by manner; then answer, and tell its CPU seconds and requests for every line on stdin."""
    loop = asyncio.get_running_loop()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    ports: dict[str, int] = {}
    for manner in MANNERS:
        secure = manner in ("tls", "closing")
        if secure and context is None:
            continue
        make: Callable[[], Server] = lambda manner=manner: Server(manner)  # type: ignore[misc]  # noqa: E731
        listening = await loop.create_server(make, "127.0.0.1", 0, backlog=1024, ssl=context if secure else None)
        ports[manner] = listening.sockets[0].getsockname()[1]
    tell(
        {
            each: f"{'https' if each in ('tls', 'closing') else 'http'}://127.0.0.1:{port}"
            for each, port in ports.items()
        }
    )

    def listen() -> None:
        for _ in sys.stdin:
            tell([time.process_time(), Server.served])
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    await asyncio.Event().wait()


def tell(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


# Programs that are asked in lines of JSON, and answer in them.


class Worker:
    """A child process, asked by one line and answering with one."""

    def __init__(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if environment is not None else None,
            text=True,
            env=None if environment is None else dict(environment),
        )
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.put(line)
        self.lines.put("")

    def read(self, seconds: float = 600.0) -> Any:
        """The next answer. Raise TimeoutError after so many seconds, EOFError when the child has ended."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer in {seconds:.0f} s") from None
        if not line:
            raise EOFError(f"the process ended with status {self.process.wait(10)}")
        return json.loads(line)

    def ask(self, *question: Any, seconds: float = 600.0) -> Any:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise EOFError(f"the process ended with status {self.process.wait(10)}") from None
        return self.read(seconds)

    def close(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(2)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait(10)
        self.reader.join(2)


def start_server(certificate: str = "") -> tuple[Worker, dict[str, str]]:
    """The server in a process of its own, and the URL of each of its manners."""
    server = Worker(sys.executable, __file__, certificate)
    return server, server.read(60)


def make_certificates(folder: str) -> tuple[str, str] | None:
    """Files of an authority and of a certificate for 127.0.0.1, or None where trustme is not installed."""
    if find_spec("trustme") is None:
        return None
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
    return f"{folder}/ca.pem", f"{folder}/server.pem"


def share_one_core() -> bool:
    """Keep this process and its children on one core, so that no figure holds a wake-up across cores."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return True


# The floor.


def bare_request(host: str, body: bytes = BODY) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in HEADERS.items()])
    return f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def bare_body(data: bytes) -> bytes | None:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    start = head.index(b"Content-Length: ") + 16
    return body if len(body) >= int(head[start:].split(b"\r\n", 1)[0]) else None


class Bare:
    """Blocking; one socket a thread."""

    def __init__(self, url: str, authority: str | None = None) -> None:
        self.parts = urlsplit(url)
        self.context = ssl.create_default_context(cafile=authority) if self.parts.scheme == "https" else None
        self.local = threading.local()

    def send(self, body: bytes) -> socket.socket:
        sock: socket.socket | None = getattr(self.local, "sock", None)
        if sock is None:
            sock = socket.create_connection((self.parts.hostname, self.parts.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_hostname=self.parts.hostname)
            self.local.sock = sock
        sock.sendall(bare_request(self.parts.netloc, body))
        return sock

    def call(self) -> Any:
        sock = self.send(BODY)
        data = sock.recv(65536)
        while (whole := bare_body(data)) is None:
            data += sock.recv(65536)
        if b"Connection: close" in data:
            sock.close()
            self.local.sock = None
        return json.loads(whole)

    def stream(self) -> Iterator[bytes]:
        sock = self.send(STREAM_BODY)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data = sock.recv(65536)
            yield data


class BareAsync:
    """Under asyncio; as many connections as calls in flight."""

    class Connection(asyncio.Protocol):
        def __init__(self) -> None:
            self.data = b""
            self.waiter: asyncio.Future[None] | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            self.data += data
            if self.waiter is not None and not self.waiter.done():
                self.waiter.set_result(None)

        async def more(self) -> None:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter

    def __init__(self, url: str, authority: str | None = None) -> None:
        self.parts = urlsplit(url)
        self.context = ssl.create_default_context(cafile=authority) if self.parts.scheme == "https" else None
        self.idle: list[Any] = []

    async def send(self, body: bytes) -> Any:
        if self.idle:
            connection = self.idle.pop()
        else:
            host, port = self.parts.hostname or "", self.parts.port or 0
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(self.Connection, host, port, ssl=self.context)
        connection.data = b""
        connection.transport.write(bare_request(self.parts.netloc, body))
        return connection

    async def call(self) -> Any:
        connection = await self.send(BODY)
        while (whole := bare_body(connection.data)) is None:
            await connection.more()
        self.idle.append(connection)
        return json.loads(whole)

    async def stream(self) -> AsyncIterator[bytes]:
        connection = await self.send(STREAM_BODY)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            if not connection.data:
                await connection.more()
            data, connection.data = connection.data, b""
            yield data
        self.idle.append(connection)

    async def close(self) -> None:
        for connection in self.idle:
            connection.transport.abort()


def events_in(piece: bytes, rest: bytes) -> tuple[list[Any], bytes]:
    """The decoded events that end in a piece of a stream of Chat Completions, and what is left of it."""
    *events, rest = (rest + piece).split(b"\n\n")
    found = [event[event.index(b"{") :] for event in events if not event.endswith(b"[DONE]")]
    return [json.loads(each) for each in found], rest


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] or None))
