"""What one call costs the client in CPU, by transport, beside a bare socket that promises nothing.

    python bench/transport.py [--rounds 7] [--calls 2000] [--only blocking,async50] [--json results.json]

The server of ``bench/loopback.py`` answers every request with the same chat completion, and one for a stream with 1,000
chunks in one burst. Each transport runs in a process of its own; the rounds are interleaved, and the figure is
the median over the rounds of the client's own CPU time (user and system) for one call, the reply decoded. Client
and server share one core where the system allows it, so that no figure holds a wake-up across cores. What is not
installed is named and left out. Ratios are to the bare socket of the same run: compare those, not microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loopback import (
    BODY,
    HEADERS,
    PATH,
    PIECES,
    STREAM_BODY,
    Bare,
    BareAsync,
    Worker,
    events_in,
    make_certificates,
    share_one_core,
    start_server,
    tell,
)

SOURCE = Path(__file__).resolve().parents[1] / "src"

# Scenario: unit, what one run does. Goals are multiples of the bare socket (DESIGN.md, section 7).
SCENARIOS = {
    "blocking": ("us a call", 1.8),
    "threads64": ("us a call", 1.7),
    "tls": ("us a call", None),
    "stream": ("ms a 1,000 chunks", 1.1),
    "async50": ("us a call", 1.6),
    "async500": ("us a call", 2.1),
    "asynctls50": ("us a call", None),
    "asyncstream": ("ms a 1,000 chunks", 1.1),
}

# What every transport's user does with the reply.


def read_events(pieces: Iterator[bytes]) -> int:
    count, rest = 0, b""
    for piece in pieces:
        events, rest = events_in(piece, rest)
        count += len(events)
    return count


async def aread_events(pieces: AsyncIterator[bytes]) -> int:
    count, rest = 0, b""
    async for piece in pieces:
        events, rest = events_in(piece, rest)
        count += len(events)
    return count


# The transports: blocking. One object may be used by many threads.


class Quoth:
    def __init__(self, url: str, authority: str | None) -> None:
        from quoth.transport import Deadline
        from quoth.transport._blocking import HTTPTransport
        from quoth.transport._config import HTTPSettings, Proxies, TLSSettings
        from quoth.wire import HTTPRequest

        self.deadline = Deadline
        self.request = HTTPRequest
        self.transport = HTTPTransport(HTTPSettings(proxies=Proxies(), tls=TLSSettings(ca_file=authority)))
        self.url = url

    def open(self, body: bytes) -> tuple[Any, Any]:
        deadline = self.deadline(600.0)
        request = self.request(url=self.url + PATH, headers=tuple(HEADERS.items()), body=body)
        return self.transport.open(request, deadline), deadline

    def call(self) -> Any:
        exchange, deadline = self.open(BODY)
        assert exchange.status == 200
        assert exchange.headers
        body = exchange.read(deadline)
        while piece := exchange.read(deadline):
            body += piece
        return json.loads(body)

    def stream(self) -> Iterator[bytes]:
        exchange, deadline = self.open(STREAM_BODY)
        while piece := exchange.read(deadline):
            yield piece


class HttpClient:
    def __init__(self, url: str, authority: str | None) -> None:
        import http.client

        self.library = http.client
        self.parts = urlsplit(url)
        self.context = ssl.create_default_context(cafile=authority) if self.parts.scheme == "https" else None
        self.local = threading.local()

    def connection(self) -> Any:
        connection = getattr(self.local, "connection", None)
        if connection is None:
            host, port = self.parts.hostname, self.parts.port
            assert host
            connection = self.local.connection = (
                self.library.HTTPSConnection(host, port, timeout=600, context=self.context)
                if self.context
                else self.library.HTTPConnection(host, port, timeout=600)
            )
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def call(self) -> Any:
        connection = self.connection()
        connection.request("POST", PATH, BODY, HEADERS)
        return json.loads(connection.getresponse().read())

    def stream(self) -> Iterator[bytes]:
        connection = self.connection()
        connection.request("POST", PATH, STREAM_BODY, HEADERS)
        response = connection.getresponse()
        while piece := response.read1(65536):
            yield piece


class Httpx2:
    def __init__(self, url: str, authority: str | None) -> None:
        import httpx2

        verify = ssl.create_default_context(cafile=authority)
        limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
        self.client = httpx2.Client(base_url=url, verify=verify, timeout=600, limits=limits, trust_env=False)

    def call(self) -> Any:
        return json.loads(self.client.post(PATH, content=BODY, headers=HEADERS).content)

    def stream(self) -> Iterator[bytes]:
        with self.client.stream("POST", PATH, content=STREAM_BODY, headers=HEADERS) as response:
            yield from response.iter_bytes()


# The transports: asyncio.


class QuothAsync:
    def __init__(self, url: str, authority: str | None) -> None:
        from quoth.transport import Deadline
        from quoth.transport._aio import AsyncHTTPTransport
        from quoth.transport._config import HTTPSettings, Proxies, TLSSettings
        from quoth.wire import HTTPRequest

        self.deadline = Deadline
        self.request = HTTPRequest
        self.transport = AsyncHTTPTransport(HTTPSettings(proxies=Proxies(), tls=TLSSettings(ca_file=authority)))
        self.url = url

    async def open(self, body: bytes) -> tuple[Any, Any]:
        deadline = self.deadline(600.0)
        request = self.request(url=self.url + PATH, headers=tuple(HEADERS.items()), body=body)
        return await self.transport.open(request, deadline), deadline

    async def call(self) -> Any:
        exchange, deadline = await self.open(BODY)
        assert exchange.status == 200
        assert exchange.headers
        body = await exchange.read(deadline)
        while piece := await exchange.read(deadline):
            body += piece
        return json.loads(body)

    async def stream(self) -> AsyncIterator[bytes]:
        exchange, deadline = await self.open(STREAM_BODY)
        while piece := await exchange.read(deadline):
            yield piece

    async def close(self) -> None:
        self.transport.close()


class Httpx2Async:
    def __init__(self, url: str, authority: str | None) -> None:
        import httpx2

        verify = ssl.create_default_context(cafile=authority)
        limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
        self.client = httpx2.AsyncClient(base_url=url, verify=verify, timeout=600, limits=limits, trust_env=False)

    async def call(self) -> Any:
        response = await self.client.post(PATH, content=BODY, headers=HEADERS)
        return json.loads(response.content)

    async def stream(self) -> AsyncIterator[bytes]:
        async with self.client.stream("POST", PATH, content=STREAM_BODY, headers=HEADERS) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def close(self) -> None:
        await self.client.aclose()


class Aiohttp:
    def __init__(self, url: str, authority: str | None) -> None:
        import aiohttp

        context = ssl.create_default_context(cafile=authority)
        connector = aiohttp.TCPConnector(limit=1000, ssl=context)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=600))
        self.url = url

    async def call(self) -> Any:
        async with self.session.post(self.url + PATH, data=BODY, headers=HEADERS) as response:
            return json.loads(await response.read())

    async def stream(self) -> AsyncIterator[bytes]:
        async with self.session.post(self.url + PATH, data=STREAM_BODY, headers=HEADERS) as response:
            async for piece in response.content.iter_any():
                yield piece

    async def close(self) -> None:
        await self.session.close()


BLOCKING: dict[str, Callable[[str, str | None], Any]] = {
    "bare socket": Bare,
    "quoth": Quoth,
    "http.client": HttpClient,
    "httpx2": Httpx2,
}
ASYNC: dict[str, Callable[[str, str | None], Any]] = {
    "bare socket": BareAsync,
    "quoth": QuothAsync,
    "aiohttp": Aiohttp,
    "httpx2": Httpx2Async,
}
NEEDS = {"httpx2": "httpx2", "aiohttp": "aiohttp"}


# A worker: one transport in one process, told by lines what to run.


def run_blocking(client: Any, calls: int) -> float:
    client.call()
    started = time.process_time()
    for _ in range(calls):
        client.call()
    return (time.process_time() - started) / calls * 1e6


def run_threads(client: Any, calls: int) -> float:
    each = max(calls // 64, 1)
    ready = threading.Barrier(65)

    def work() -> None:
        client.call()
        ready.wait()
        ready.wait()
        for _ in range(each):
            client.call()
        ready.wait()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(64)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.process_time()
    ready.wait()
    ready.wait()
    return (time.process_time() - started) / (each * 64) * 1e6


def run_stream(client: Any, calls: int) -> float:
    read_events(client.stream())
    streams = max(calls // 200, 1)
    started = time.process_time()
    for _ in range(streams):
        assert read_events(client.stream()) == PIECES + 3
    return (time.process_time() - started) / streams * 1e3


def run_async(make: Callable[[], Any], calls: int, at_once: int) -> float:
    async def main() -> float:
        client = make()
        await asyncio.gather(*[client.call() for _ in range(at_once)])
        each = max(calls // at_once, 2)

        async def work() -> None:
            for _ in range(each):
                await client.call()

        started = time.process_time()
        await asyncio.gather(*[work() for _ in range(at_once)])
        spent = time.process_time() - started
        await client.close()
        return spent / (each * at_once) * 1e6

    return asyncio.run(main())


def run_async_stream(make: Callable[[], Any], calls: int) -> float:
    async def main() -> float:
        client = make()
        await aread_events(client.stream())
        streams = max(calls // 200, 1)
        started = time.process_time()
        for _ in range(streams):
            assert await aread_events(client.stream()) == PIECES + 3
        spent = time.process_time() - started
        await client.close()
        return spent / streams * 1e3

    return asyncio.run(main())


def work(name: str, plain: str, secure: str, authority: str) -> None:
    made: dict[str, Any] = {}

    def client(url: str) -> Any:
        if url not in made:
            made[url] = BLOCKING[name](url, authority)
        return made[url]

    runs: dict[str, Callable[[int], float]] = {
        "blocking": lambda calls: run_blocking(client(plain), calls),
        "threads64": lambda calls: run_threads(client(plain), calls),
        "tls": lambda calls: run_blocking(client(secure), calls),
        "stream": lambda calls: run_stream(client(plain), calls),
        "async50": lambda calls: run_async(lambda: ASYNC[name](plain, authority), calls, 50),
        "async500": lambda calls: run_async(lambda: ASYNC[name](plain, authority), calls, 500),
        "asynctls50": lambda calls: run_async(lambda: ASYNC[name](secure, authority), calls, 50),
        "asyncstream": lambda calls: run_async_stream(lambda: ASYNC[name](plain, authority), calls),
    }
    for line in sys.stdin:
        scenario, calls = json.loads(line)
        tell(runs[scenario](calls))
    os._exit(0)


# The comparison.


def takes_part(name: str, scenario: str) -> bool:
    return name in (ASYNC if scenario.startswith("async") else BLOCKING)


def measure(names: list[str], scenarios: list[str], rounds: int, calls: int) -> dict[str, dict[str, list[float]]]:
    figures: dict[str, dict[str, list[float]]] = {scenario: {} for scenario in scenarios}
    with tempfile.TemporaryDirectory() as folder:
        authority, certificate = make_certificates(folder) or ("", "")
        server, roots = start_server(certificate)
        addresses = [roots["plain"], roots.get("tls", ""), authority]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        command = (sys.executable, __file__, "--work")
        workers = {name: Worker(*command, name, *addresses, environment=environment) for name in names}
        for _ in range(rounds):
            for scenario in scenarios:
                for name, worker in workers.items():
                    if takes_part(name, scenario):
                        figures[scenario].setdefault(name, []).append(worker.ask(scenario, calls))
        for worker in [*workers.values(), server]:
            worker.close()
    return figures


def show(figures: dict[str, dict[str, list[float]]]) -> None:
    for scenario, by_name in figures.items():
        unit, goal = SCENARIOS[scenario]
        bare = statistics.median(by_name["bare socket"])
        print(f"\n{scenario}, {unit}" + (f" (goal for quoth: {goal} x)" if goal else ""))
        for name, values in by_name.items():
            median = statistics.median(values)
            print(f"  {name:12} {median:9.1f}  {median / bare:6.2f} x   from {min(values):.1f} to {max(values):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2000, help="in each run")
    parser.add_argument("--only", default="", help="scenarios, with commas: " + ",".join(SCENARIOS))
    parser.add_argument("--peers", default="", help="transports, with commas, beside the bare socket")
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args()
    share_one_core()
    names: list[str] = []
    missing: list[str] = []
    for name in dict.fromkeys([*BLOCKING, *ASYNC]):
        if arguments.peers and name not in ("bare socket", *arguments.peers.split(",")):
            continue
        (missing if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None else names).append(name)
    scenarios = arguments.only.split(",") if arguments.only else list(SCENARIOS)
    if importlib.util.find_spec("trustme") is None:
        scenarios = [scenario for scenario in scenarios if "tls" not in scenario]
        missing.append("trustme (so no TLS)")
    figures = measure(names, scenarios, arguments.rounds, arguments.calls)
    show(figures)
    if missing:
        print("\nnot installed, so left out:", ", ".join(missing))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:6])
    else:
        main()
