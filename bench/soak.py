"""Does it hold under load and faults: many calls against a provider that fails, and what is left of them.

::

    python bench/soak.py [--calls 100000] [--threads 32] [--in-flight 500] [--json results.json]

A FakeProvider in a process of its own answers; this process calls, blocking from many threads and under asyncio,
every fourth call a stream. What is told of each part:

- mixed: one request in twenty meets a fault (429, 5xx, an error inside a 200, cuts and resets at several places).
- outage, one model: every request is refused with 503. The breaker is what holds them back.
- outage, many models: the same, each call to a model of its own, so that only the retry budget holds them back.
- storm: the provider takes 50 requests in a quarter of a second, and refuses the others until then with 429.

Every call must end in an answer or a QuothError within its deadline, in an outage the provider must see at most 1.2
requests a call, and memory, descriptors, threads and tasks must return to where they began. Exits with 1 where one
of these does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from quoth import ModelsAPI, QuothError, Settings
from quoth.testing.fake import FakeProvider, Fault
from quoth.types import ModelRequest

DEADLINE = 30.0
"""Seconds that each call may take."""
SLACK = 0.5
"""Seconds by which a call may be late: the machine has other things to do."""
MOST_REQUESTS = 1.2
"""Requests a call in an outage."""
WINDOW, WINDOW_CALLS = 0.25, 50
"""What the provider of a storm takes: so many requests in so many seconds."""
MOST_GROWTH_MB = 8.0
"""Megabytes by which memory may have grown: what the allocator keeps, whatever the number of calls."""
MODEL = "openai/gpt-6-luna"

# The provider, in a process of its own.


def storm() -> Callable[[ModelRequest], object]:
    window = [0.0, 0.0]  # its beginning, the requests that it took

    def answer(_: ModelRequest) -> object:
        now = time.monotonic()
        if now - window[0] >= WINDOW:
            window[:] = [now, 0.0]
        window[1] += 1
        if window[1] <= WINDOW_CALLS:
            return "Hello"
        return Fault(status=429, retry_after=max(WINDOW - (now - window[0]), 0.001))

    return answer


PROVIDERS: dict[str, Callable[[], FakeProvider]] = {
    "mixed": lambda: FakeProvider("Hello", fault_rate=0.05, keep=0),
    "outage": lambda: FakeProvider(503, keep=0),
    "storm": lambda: FakeProvider(storm(), keep=0),
}


def serve(name: str) -> int:
    with PROVIDERS[name]() as fake:
        print(json.dumps({"url": fake.base_url("openai"), "key": fake.key}), flush=True)
        for _ in sys.stdin:  # one line is the question how many requests have come
            print(fake.received, flush=True)
    return 0


class Provider:
    """The other process: its address, and how many requests it has seen."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked, self._told = process.stdin, process.stdout
        told = json.loads(self._told.readline())
        self.url: str = told["url"]
        self.key: str = told["key"]

    def received(self) -> int:
        self._asked.write("\n")
        self._asked.flush()
        return int(self._told.readline())


@contextmanager
def provider(name: str) -> Iterator[Provider]:
    command = [sys.executable, __file__, "--serve", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Provider(process)
        assert process.stdin is not None
        process.stdin.close()


# The calls.


class Tally:
    """How the calls of one part ended, and the longest of them."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.untyped: list[str] = []
        self.late = 0
        self.longest = 0.0
        self._lock = threading.Lock()

    def add(self, began: float, outcome: str, error: BaseException | None = None) -> None:
        seconds = time.monotonic() - began
        with self._lock:
            self.outcomes[outcome] += 1
            self.longest = max(self.longest, seconds)
            self.late += seconds > DEADLINE + SLACK
            if error is not None and not isinstance(error, QuothError):
                self.untyped.append(f"{type(error).__name__}: {error}"[:200])


def call(api: ModelsAPI, model: str, number: int, tally: Tally) -> None:
    began = time.monotonic()
    try:
        if number % 4:
            api(model, "Hi", timeout=DEADLINE)
        else:
            api.stream(model, "Hi", timeout=DEADLINE).read()
    except Exception as error:  # noqa: BLE001  # what is no QuothError is the finding
        tally.add(began, getattr(error, "kind", type(error).__name__), error)
    else:
        tally.add(began, "answered")


async def acall(api: ModelsAPI, model: str, number: int, tally: Tally) -> None:
    began = time.monotonic()
    try:
        if number % 4:
            await api.aio(model, "Hi", timeout=DEADLINE)
        else:
            await api.aio.stream(model, "Hi", timeout=DEADLINE).read()
    except Exception as error:  # noqa: BLE001  # what is no QuothError is the finding
        tally.add(began, getattr(error, "kind", type(error).__name__), error)
    else:
        tally.add(began, "answered")


Model = Callable[[int], str]


def blocking(api: ModelsAPI, model: Model, calls: int, at_once: int, tally: Tally) -> int:
    """Make the calls from so many threads; give the number of tasks that are left, which is none."""
    numbers = count()

    def work(_: int) -> None:
        while (number := next(numbers)) < calls:
            call(api, model(number), number, tally)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(work, range(at_once)))
    return 0


def under_asyncio(api: ModelsAPI, model: Model, calls: int, at_once: int, tally: Tally) -> int:
    """Make the calls with so many in flight; give the number of tasks that are left."""

    async def main() -> int:
        numbers = count()

        async def work() -> None:
            while (number := next(numbers)) < calls:
                await acall(api, model(number), number, tally)

        await asyncio.gather(*[work() for _ in range(at_once)])
        return len(asyncio.all_tasks()) - 1

    return asyncio.run(main())


# What is held.


def resources() -> dict[str, float]:
    """Memory in MB, descriptors and threads, as far as the system tells."""
    found: dict[str, float] = {"threads": threading.active_count()}
    if Path("/proc/self").exists():
        found["descriptors"] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # one call, no objects
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        found["memory_mb"] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return found


Drive = Callable[[ModelsAPI, Model, int, int, Tally], int]


def part(name: str, drive: Drive, model: Model, calls: int, at_once: int) -> dict[str, Any]:
    """Run one part and tell of it."""
    tally = Tally()
    with provider(name) as far:
        api = ModelsAPI(Settings(api_keys={"openai": far.key}, base_urls={"openai": far.url}))
        warm = min(calls, 2_000 if name == "mixed" else 200)
        drive(api, model, warm, at_once, Tally())
        api.close()
        gc.collect()
        before, seen = resources(), far.received()
        api._service._health = None  # noqa: SLF001  # the part begins with a budget that is whole
        began = time.monotonic()
        tasks = drive(api, model, calls, at_once, tally)
        seconds = time.monotonic() - began
        received = far.received() - seen
        unknown = api.usage().total.calls - warm - calls
        api.close()
        gc.collect()
        after = resources()
    return {
        "calls": calls,
        "seconds": round(seconds, 1),
        "calls_a_second": round(calls / seconds),
        "outcomes": dict(tally.outcomes.most_common()),
        "requests_a_call": round(received / calls, 4),
        "longest_s": round(tally.longest, 2),
        "late": tally.late,
        "untyped": tally.untyped[:5],
        "records_missing": -unknown,
        "tasks_left": tasks,
        "before": before,
        "after": after,
    }


def faults_of(name: str, told: dict[str, Any]) -> list[str]:
    """What does not hold."""
    before, after = told["before"], told["after"]
    checks = [
        (not told["untyped"], f"calls ended in what is no QuothError: {told['untyped']}"),
        (sum(told["outcomes"].values()) == told["calls"], "a call did not end"),
        (told["late"] == 0, f"{told['late']} calls were late"),
        (told["records_missing"] == 0, f"{told['records_missing']} records are missing"),
        (told["tasks_left"] == 0, f"{told['tasks_left']} tasks are left"),
        (after["threads"] <= before["threads"], "threads are left"),
        (after.get("descriptors", 0) <= before.get("descriptors", 0), "descriptors are left"),
        (after.get("memory_mb", 0) - before.get("memory_mb", 0) <= MOST_GROWTH_MB, "memory has grown"),
        ("outage" not in name or told["requests_a_call"] <= MOST_REQUESTS, "the provider was asked too often"),
        ("storm" not in name or told["outcomes"].get("answered", 0) >= 0.99 * told["calls"], "a storm was not held"),
    ]
    return [words for holds, words in checks if not holds]


def parts(calls: int, threads: int, in_flight: int) -> Iterator[tuple[str, dict[str, Any]]]:
    worlds: tuple[tuple[str, Drive, int], ...] = (
        (f"blocking, {threads} threads", blocking, threads),
        (f"asyncio, {in_flight} in flight", under_asyncio, in_flight),
    )
    few = max(calls // 20, 500)
    for world, drive, at_once in worlds:
        yield f"mixed, {world}", part("mixed", drive, lambda _: MODEL, calls, at_once)
        yield f"outage, one model, {world}", part("outage", drive, lambda _: MODEL, few, at_once)
        yield f"outage, many models, {world}", part("outage", drive, lambda n: f"{MODEL}-{n % 500}", few, at_once)
        yield f"storm, {world}", part("storm", drive, lambda _: MODEL, min(few, 2_000), at_once)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--in-flight", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", choices=PROVIDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve)
    told, broken = {}, 0
    for name, found in parts(options.calls, options.threads, options.in_flight):
        told[name] = found
        wrong = faults_of(name, found)
        broken += len(wrong)
        print(f"{name}: {found['calls']:,} calls in {found['seconds']} s, {found['requests_a_call']} requests a call")
        print(f"    {found['outcomes']}, the longest {found['longest_s']} s")
        print(f"    before {found['before']}, after {found['after']}")
        print("    holds" if not wrong else f"    DOES NOT HOLD: {'; '.join(wrong)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
