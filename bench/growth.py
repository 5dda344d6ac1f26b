"""How the CPU of a call grows with what it is given: sizes, chunks, concurrency, models, messages, tools, records.

::

    python bench/growth.py                  # measure (about 5 minutes), write bench/results/growth-<date>.json, draw
    python bench/growth.py --only answer    # the series whose name has the word, into the same file
    python bench/growth.py --fresh          # measure again what today's file has
    python bench/growth.py --draw           # docs/performance/*.svg and the table of docs/growth.md, of the newest file

What is measured is the CPU time (user and system) of the client process, in rounds that go through all series; the
figure is the median of the rounds. The server is a process of its own on loopback and answers over Chat Completions;
client and server share one core where the system allows it. Beside a call over a socket stands a bare one, which sends
the same bytes and decodes the same JSON. What needs no socket runs over a transport that answers from memory. A run
that was stopped goes on where it was: rounds that the file has are not measured again.

A slope is the exponent of the least-squares line through the logarithms of the last three points: 0 is constant, 1 is
linear. Beside it stands what one more of the unit costs between the last two points.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from plots import chart, short
from scripted import Forgetful

from quoth import Message, ModelsAPI, Settings
from quoth.instrumentation import CallRecord, Journal
from quoth.transport.http import HTTPSettings, Proxies
from quoth.types import Cost, Tool, ToolCall, Usage

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DOCS = HERE.parent / "docs"
BEGIN, END = "<!-- the table of bench/growth.py -->", "<!-- end of the table -->"

ROUNDS = 3
ENOUGH = 0.12
"""Seconds of CPU that one point takes at least, where one operation takes less."""

USAGE = Usage(input=1_000, output=500)

Operation: TypeAlias = Callable[[], object]


# The server: /answer/<characters>/v1/chat/completions, /chunks/<number>/v1/chat/completions.


@lru_cache(maxsize=64)
def reply_for(kind: str, size: int) -> bytes:
    if kind == "chunks":
        event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        piece = _event({**event, "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})
        last = _event({**event, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        return head + piece * size + last + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    message = {"role": "assistant", "content": "y" * size}
    answer = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }  # fmt: skip
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _event(value: dict[str, Any]) -> bytes:
    data = b"data: " + json.dumps(value).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


class Server(asyncio.Protocol):
    """Counts the bytes of a request's body and keeps none of them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.head = b""
        self.missing = -1
        self.reply = b""

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            head, end, rest = (self.head + data).partition(b"\r\n\r\n")
            if not end:
                self.head = head
                return
            _, kind, size, _ = head.split(b"/", 3)
            self.reply = reply_for(kind.decode(), int(size))
            self.missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            data = rest
        self.missing -= len(data)
        if self.missing == 0:
            self.head, self.missing = b"", -1
            self.transport.write(self.reply)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


# The clients.


def quoth_at(url: str) -> Any:
    """A binding to a model of that server."""
    http = HTTPSettings(proxies=Proxies(), max_connections=4_000)
    api = ModelsAPI(Settings(http=http, retries=0, api_keys={"mine": "none"}))
    api.register_provider("mine", base_url=url + "/v1")
    return api.bind("mine/m")


def quoth_scripted() -> ModelsAPI:
    transport = Forgetful(USAGE)
    return ModelsAPI(Settings(transport=transport, async_transport=transport.aio, api_keys={"openai": "none"}))


class Bare:
    """A socket and no more than the end of this server's replies asks for."""

    def __init__(self, url: str, prompt: str = "Hello") -> None:
        self.parts = urlsplit(url)
        self.prompt = prompt
        self.local = threading.local()

    def request(self) -> bytes:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": self.prompt}]}).encode()
        head = f"POST {self.parts.path}/v1/chat/completions HTTP/1.1\r\nhost: {self.parts.netloc}\r\n"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    def send(self) -> socket.socket:
        sock: socket.socket | None = getattr(self.local, "sock", None)
        if sock is None:
            sock = self.local.sock = socket.create_connection((self.parts.hostname, self.parts.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(self.request())
        return sock

    def call(self) -> Any:
        sock = self.send()
        pieces = [sock.recv(65536)]
        while b"\r\n\r\n" not in pieces[0]:
            pieces[0] += sock.recv(65536)
        head, _, body = pieces[0].partition(b"\r\n\r\n")
        left = int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0]) - len(body)
        pieces[0] = body
        while left > 0:
            pieces.append(sock.recv(65536))
            left -= len(pieces[-1])
        return json.loads(b"".join(pieces))

    def stream(self) -> int:
        sock, rest, count = self.send(), b"", 0
        while not rest.endswith(b"0\r\n\r\n"):
            *events, rest = (rest + sock.recv(65536)).split(b"\n\n")
            count += sum(1 for event in events if b"{" in event and json.loads(event[event.index(b"{") :]))
        return count


class BareAsync(asyncio.Protocol):
    """One connection for one call at a time."""

    def __init__(self) -> None:
        self.data = b""
        self.waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def call(self, request: bytes, size: int) -> Any:
        self.data = b""
        self.transport.write(request)
        while len(self.data) < size:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return json.loads(self.data.partition(b"\r\n\r\n")[2])


# Timing: CPU microseconds of one operation.


def timed(operation: Operation, warm: int = 1) -> float:
    for _ in range(warm):
        operation()
    begun, times = time.process_time(), 0
    while (spent := time.process_time() - begun) < ENOUGH or not times:
        operation()
        times += 1
    return spent / times * 1e6


def in_threads(call: Operation, threads: int) -> float:
    each = max(2_000 // threads, 4)
    gate = threading.Barrier(threads + 1)

    def work() -> None:
        call()
        gate.wait()
        gate.wait()
        for _ in range(each):
            call()
        gate.wait()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    begun = time.process_time()
    gate.wait()
    gate.wait()
    spent = time.process_time() - begun
    for worker in workers:
        worker.join()
    return spent / (each * threads) * 1e6


def in_flight(url: str, tasks: int, *, bare: bool) -> float:
    each = max(2_000 // tasks, 4)

    async def main() -> float:
        if bare:
            request, size = Bare(url).request(), len(reply_for("answer", 1_000))
            host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
            loop = asyncio.get_running_loop()
            made = [(await loop.create_connection(BareAsync, host, port))[1] for _ in range(tasks)]
            calls: list[Callable[[], Any]] = [partial(each.call, request, size) for each in made]
        else:
            made = []
            calls = [partial(quoth_at(url).aio, "Hello")] * tasks

        async def work(call: Callable[[], Any], times: int) -> None:
            for _ in range(times):
                await call()

        await asyncio.gather(*[work(call, 1) for call in calls])
        begun = time.process_time()
        await asyncio.gather(*[work(call, each) for call in calls])
        spent = time.process_time() - begun
        for each_made in made:
            each_made.transport.abort()
        return spent / (each * tasks) * 1e6

    return asyncio.run(main())


def in_processes(url: str, processes: int, *, bare: bool) -> float:
    """The mean over the processes, which call at the same time."""
    command = [sys.executable, __file__, "--call", "bare" if bare else "quoth", url]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for child in children:
        assert child.stdout
        child.stdout.readline()
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    told = [float(child.communicate(timeout=60)[0]) for child in children]
    return sum(told) / len(told)


def call_as_told(what: str, url: str) -> None:
    call = Bare(url).call if what == "bare" else partial(quoth_at(url), "Hello")
    call()
    print("ready", flush=True)
    sys.stdin.readline()
    print(timed(call))


# The series.


class Series(NamedTuple):
    """What grows, and the lines: each says the CPU microseconds of one operation at a value."""

    name: str
    title: str
    unit: str
    values: tuple[int, ...]
    lines: dict[str, Callable[[int], float]]
    operation: str = "a call"


BYTES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def over_sockets(server: str) -> Iterator[Series]:
    def at(kind: str, size: int) -> str:
        return f"{server}/{kind}/{size}"

    small = at("answer", 1_000)

    def prompt(size: int) -> float:
        binding, text = quoth_at(small), "x" * size
        return timed(lambda: binding(text))

    def read(size: int) -> float:
        binding = quoth_at(at("chunks", size))

        def stream() -> None:
            assert sum(1 for _ in binding.stream("Hello")) == size

        return timed(stream)

    yield Series("prompt", "A call, by the size of its prompt", "bytes", BYTES, {
        "quoth": prompt,
        "bare socket": lambda size: timed(Bare(small, "x" * size).call),
    })  # fmt: skip
    yield Series("answer", "A call, by the size of its answer", "bytes", BYTES, {
        "quoth": lambda size: timed(partial(quoth_at(at("answer", size)), "Hello")),
        "bare socket": lambda size: timed(Bare(at("answer", size)).call),
    })  # fmt: skip
    yield Series("chunks", "A stream, by its chunks (in a burst)", "chunks", (10, 100, 1_000, 10_000, 100_000), {
        "quoth": read,
        "bare socket": lambda size: timed(Bare(at("chunks", size)).stream),
    }, "a stream")  # fmt: skip
    yield Series("in-flight", "An asyncio call, by calls in flight", "calls in flight",
        (1, 10, 50, 100, 200, 500, 1_000, 2_000), {
        "quoth": lambda tasks: in_flight(small, tasks, bare=False),
        "bare asyncio socket": lambda tasks: in_flight(small, tasks, bare=True),
    })  # fmt: skip
    yield Series("threads", "A call, by threads that call", "threads", (1, 2, 4, 8, 16, 32, 64, 128, 256), {
        "quoth": lambda threads: in_threads(partial(quoth_at(small), "Hello"), threads),
        "bare socket": lambda threads: in_threads(Bare(small).call, threads),
    })  # fmt: skip
    yield Series("processes", "A call, by processes that call", "processes", (1, 2, 4, 8), {
        "quoth": lambda processes: in_processes(small, processes, bare=False),
        "bare socket": lambda processes: in_processes(small, processes, bare=True),
    })  # fmt: skip


def in_memory() -> Iterator[Series]:
    tens = (1, 10, 100, 1_000, 10_000)

    def models(count: int) -> float:
        api = quoth_scripted()
        turns = cycle([f"openai/model-{number}" for number in range(count)])

        def call() -> None:
            api(next(turns), "Hello")

        return timed(call, warm=min(count, 2_000))

    def priced(count: int) -> float:
        api = quoth_scripted()
        prices = {f"openai/own-{number}": {"input": "1", "output": "2"} for number in range(count)}
        api._service.register_prices(prices)  # noqa: SLF001  # at once: what one by one costs is a series of its own
        return timed(partial(api.bind("openai/gpt-6-luna"), "Hello"))

    def registering(count: int) -> float:
        api = quoth_scripted()
        api._service.register_prices(  # noqa: SLF001
            {f"openai/own-{number}": {"input": "1", "output": "2"} for number in range(count - 1)}
        )
        return timed(lambda: api.register_price("openai/last", input="1", output="2"))

    yield Series("models", "A call, by the models that take turns", "models", (*tens[:4], 2_000, 10_000),
        {"quoth": models})  # fmt: skip
    yield Series("prices", "With own prices for so many models", "prices", tens,
        {"a call": priced, "registering one more": registering}, "the operation")  # fmt: skip

    def messages(count: int) -> float:
        binding = quoth_scripted().bind("openai/gpt-6-luna")
        call = ToolCall(id="call_1", name="look", arguments='{"at": "it"}')
        turns = (Message.user("What is it?"), Message.assistant(call), Message.tool(call, "A sea."))
        said = [*[turns[number % 3] for number in range((count - 1) // 3 * 3)], Message.user("And that?")]
        return timed(lambda: binding(said))

    yield Series("messages", "A call, by the messages of its conversation", "messages", (1, 10, 31, 100, 301, 1_000),
        {"quoth": messages})  # fmt: skip

    def tools(count: int) -> float:
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        given = [Tool(name=f"tool_{number}", description="Look.", parameters=schema) for number in range(count)]
        binding = quoth_scripted().bind("openai/gpt-6-luna", tools=given)
        return timed(partial(binding, "Hello"))

    yield Series("tools", "A call, by its tools", "tools", (1, 5, 10, 20, 50, 100, 200), {"quoth": tools})
    hundred_thousand = (10, 100, 1_000, 10_000, 100_000)
    yield Series("records", "The journal, by the calls that it took", "records", hundred_thousand,
        {"appending one": partial(appending, 1), "reading the totals": partial(reading, 1)}, "the operation",
    )  # fmt: skip
    yield Series("series", "The journal, by models of its records", "models", hundred_thousand,
        {"appending one": partial(appending, 0), "reading the totals": partial(reading, 0)}, "the operation",
    )  # fmt: skip
    yield Series("tags", "A call, by its tags", "tags", (1, 2, 4, 8, 16, 32),
        {"quoth": lambda count: timed(partial(
            quoth_scripted().bind("openai/gpt-6-luna", tags={f"tag{n}": "v" for n in range(count)}), "Hello"))},
    )  # fmt: skip


def record_of(model: str) -> CallRecord:
    return CallRecord(
        id="x", operation="generate", provider="p", model=model, outcome="answered", started_at=0.0, seconds=1.0,
        usage=USAGE, cost=Cost(femto=1),
    )  # fmt: skip


def journal_of(models: int, count: int) -> tuple[Journal, list[CallRecord]]:
    """A journal that took so many records; of so many models, or each of another one (0)."""
    journal, records = Journal(), [record_of(f"m{number}") for number in range(models or count)]
    for number in range(count):
        journal.append(records[number % len(records)])
    return journal, records


def appending(models: int, count: int) -> float:
    journal, records = journal_of(models, count)
    some = [records[number % len(records)] for number in range(256)]

    def append() -> None:
        for record in some:
            journal.append(record)

    return timed(append) / 256


def reading(models: int, count: int) -> float:
    journal, _ = journal_of(models, count)
    return timed(journal.usage)


# Measuring, with what is there already.


def measure(path: Path, only: str, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"series": {}}
    found |= {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    with _server() as url:
        every = [each for each in (*over_sockets(url), *in_memory()) if only in each.name]
        for number in range(1, rounds + 1):
            for series in every:
                kept = found["series"].setdefault(series.name, {})
                for value in series.values:
                    for line, run in series.lines.items():
                        taken = kept.setdefault(line, {}).setdefault(str(value), [])
                        if len(taken) < number:
                            taken.append(float(f"{run(value):.4g}"))
                path.parent.mkdir(exist_ok=True)
                path.write_text(spelled(found), "utf-8")
                print(f"round {number}: {series.name}", flush=True)
    return found


def forget(path: Path, only: str) -> None:
    """Empty the series whose name has the word, so that they are measured again."""
    if path.exists():
        found = json.loads(path.read_text("utf-8"))
        found["series"] = {name: {} if only in name else by_line for name, by_line in found["series"].items()}
        path.write_text(spelled(found), "utf-8")


@contextlib.contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


def spelled(found: dict[str, Any]) -> str:
    """JSON with a line for each line of a plot."""
    rows = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join([f"{json.dumps(line)}: {json.dumps(row)}" for line, row in by.items()])
        + "\n}"
        for name, by in found["series"].items()
    ]
    about = json.dumps({key: value for key, value in found.items() if key != "series"})[1:-1]
    return f'{{{about},\n"series": {{\n' + ",\n".join(rows) + "\n}}\n"


# Showing.


class Slope(NamedTuple):
    """How a line grows at its end: the exponent over three points, and what one more costs over two, in us.

    ``more_us`` is None where the last two points differ by less than a tenth: that is noise.
    """

    exponent: float
    more_us: float | None


def medians(row: dict[str, list[float]]) -> list[tuple[float, float]]:
    return [(int(value), median(taken)) for value, taken in row.items()]


def slope(points: list[tuple[float, float]]) -> Slope:
    upper = points[-3:]
    xs, ys = [math.log(x) for x, _ in upper], [math.log(y) for _, y in upper]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    over = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    exponent = over / sum((x - x_mean) ** 2 for x in xs)
    (x1, y1), (x2, y2) = points[-2:]
    return Slope(exponent, (y2 - y1) / (x2 - x1) if abs(y2 - y1) > 0.1 * y1 else None)


def described() -> list[Series]:
    return [*over_sockets(""), *in_memory()]


def drawings(found: dict[str, Any]) -> dict[str, str]:
    """The plots by the names of their files."""
    return {
        f"{series.name}.svg": chart(
            series.title, series.unit, f"CPU of {series.operation}, us",
            {line: medians(row) for line, row in found["series"][series.name].items()},
        )
        for series in described()
        if series.name in found["series"]
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """The slopes, as Markdown."""
    lines = ["| | unit | from | to | at the first, us | at the last, us | exponent | one more costs |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for series in described():
        for line, row in found["series"].get(series.name, {}).items():
            points = medians(row)
            (first, least), (last, most) = points[0], points[-1]
            grows = slope(points)
            exponent = f"{grows.exponent:.2f}".replace("-0.00", "0.00")
            name = f"{series.name}, {line}"
            ends = f"{short(first)} | {short(last)} | {figure(least)} | {figure(most)}"
            lines.append(f"| {name} | {series.unit} | {ends} | {exponent} | {per_unit(grows.more_us)} |")
    return "\n".join(lines)


def figure(us: float) -> str:
    return f"{us:,.0f}" if us >= 100 else f"{us:.3g}"


def per_unit(us: float | None) -> str:
    if us is None:
        return "nothing"
    return f"{us:.2g} us" if abs(us) >= 1 else f"{float(f'{us * 1e3:.2g}'):g} ns"


def newest() -> Path:
    return max(RESULTS.glob("growth-*.json"))


def draw(found: dict[str, Any]) -> None:
    (DOCS / "performance").mkdir(exist_ok=True)
    for name, drawing in drawings(found).items():
        (DOCS / "performance" / name).write_text(drawing, "utf-8")
    page = DOCS / "growth.md"
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{rest.partition(END)[2]}", "utf-8")


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve())
    if sys.argv[1:2] == ["--call"]:
        call_as_told(*sys.argv[2:4])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="the series whose name has it")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--fresh", action="store_true", help="measure again what today's file has")
    parser.add_argument("--draw", action="store_true", help="measure nothing; draw the newest results")
    options = parser.parse_args()
    if options.draw:
        draw(json.loads(newest().read_text("utf-8")))
        return 0
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    path = RESULTS / f"growth-{time.strftime('%Y-%m-%d')}.json"
    if options.fresh:
        forget(path, options.only)
    found = measure(path, options.only, options.rounds)
    print(table(found))
    draw(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
