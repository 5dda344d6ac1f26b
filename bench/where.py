"""Where the time of one call goes, room by room: CPU of a call over loopback, sampled while it runs.

    python bench/where.py [seconds] [blocking|asyncio|stream]

A timer of the process's own CPU time (``ITIMER_PROF``, every millisecond) looks at the innermost frame and adds its
time to the room whose code it is; what a frame of a foreign module takes counts for the room that called it. So the
figures hold what caches and branches cost in the place where they cost it, which timing a piece in a loop of its own
hides. The sum is the process's CPU for a call. POSIX only.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Any

from clients import QuothBound
from loopback import share_one_core, start_server

HOUSE = str(Path(__file__).resolve().parents[1] / "src" / "quoth") + "/"

ROOMS = {
    "transport/": "transport, the system's calls among it",
    "dialects/": "dialect: building and reading",
    "_json": "dialect: building and reading",
    "providers/_address": "address and key",
    "providers/_auth": "address and key",
    "_settings": "address and key",
    "providers/": "provider: reader, choice of the wire",
    "events": "provider: reader, choice of the wire",
    "_costs/": "price",
    "_accounting": "price",
    "types": "usage, cost, parts",
    "_money": "usage, cost, parts",
    "instrumentation/": "record, totals, metrics",
    "_flow": "driver",
    "_stream": "driver",
    "limits/": "limits",
    "_api": "API: options, prompt, binding",
    "_binding": "API: options, prompt, binding",
    "_prompt": "API: options, prompt, binding",
    "_scope": "API: options, prompt, binding",
    "_registry": "API: options, prompt, binding",
    "_aio": "API: options, prompt, binding",
    "": "service: scope, tries, sending",
}
"""By the beginning of the path below src/quoth, the first that fits."""

BENCH = "the benchmark, the event loop"
MILLISECOND = 0.001


def room_of(frame: FrameType | None) -> str:
    """Whose code a frame, or the nearest of quoth's that led to it, is."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(HOUSE):
            return next(room for begin, room in ROOMS.items() if path.startswith(HOUSE + begin))
        frame = frame.f_back
    return BENCH


def blocking(client: QuothBound, seconds: float) -> int:
    calls, end = 0, process_time() + seconds
    while process_time() < end:
        client.call()
        calls += 1
    return calls


def streamed(client: QuothBound, seconds: float) -> int:
    calls, end = 0, process_time() + seconds
    while process_time() < end:
        calls += sum(1 for _ in client.stream())
    return calls


def of_asyncio(client: QuothBound, seconds: float) -> int:
    async def one(end: float) -> int:
        calls = 0
        while process_time() < end:
            await client.acall()
            calls += 1
        return calls

    async def main() -> int:
        end = process_time() + seconds
        return sum(await asyncio.gather(*[one(end) for _ in range(50)]))

    return asyncio.run(main())


WAYS: dict[str, tuple[str, Callable[[QuothBound, float], int]]] = {
    "blocking": ("a blocking call", blocking),
    "asyncio": ("a call under asyncio, 50 in flight", of_asyncio),
    "stream": ("a piece of a stream", streamed),
}


def main() -> int:
    if not hasattr(signal, "setitimer"):
        print("this needs setitimer, which POSIX systems have")
        return 2
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    words, run = WAYS[sys.argv[2] if len(sys.argv) > 2 else "blocking"]
    server, roots = start_server()
    share_one_core()
    client: Any = QuothBound(roots["plain"])
    run(client, min(1.0, seconds))
    seen: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda _, frame: seen.update([room_of(frame)]))
    begun = process_time()
    signal.setitimer(signal.ITIMER_PROF, MILLISECOND, MILLISECOND)
    calls = run(client, seconds)
    signal.setitimer(signal.ITIMER_PROF, 0)
    each = (process_time() - begun) / calls * 1e6
    server.close()
    print(f"Python {sys.version.split()[0]}, {words}: {each:.0f} us of CPU, by {seen.total()} samples of {calls:,}\n")
    for room, count in seen.most_common():
        share = count / seen.total()
        print(f"{room:<42}{share * each:>8.1f} us{share:>7.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
