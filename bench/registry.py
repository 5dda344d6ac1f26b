"""What the registry costs: ``python bench/registry.py [--rounds N] [--json]``.

Hits: wall time of a loop of ``registry.get`` over its number, in 1, 8 and 64 threads; with one interpreter lock the
threads share one core, so what is shown is the time of one hit among all, beside that of a plain ``dict.get`` in the
same loop.

Held up: hits on a ready model in one thread, while another thread builds another model for 50 ms (a table whose
resolving sleeps). Beside it the same hits while nothing is built, which shows what the machine itself does to a thread
in 50 ms, and over a registry that holds one lock during construction and takes it for each hit, as one might write it
first. "Over 5 ms" counts hits of all rounds.

Cold: the first request for an id. Figures are medians of the rounds, where nothing else is said.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns, sleep
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from quoth._registry import SimpleModelRegistry
from quoth.providers import ProviderSpec, ProviderTable
from quoth.providers._provider import Provider

THREADS = (1, 8, 64)
HITS = 400_000
COLD = 1_000
CONSTRUCTION = 0.05


class SlowTable(ProviderTable):
    """Takes its time over one id."""

    def resolve(self, model: str) -> tuple[ProviderSpec, str]:
        found = super().resolve(model)
        if model.endswith("slow"):
            sleep(CONSTRUCTION)
        return found


def new_registry(limit: int = 4_096) -> SimpleModelRegistry:
    table = SlowTable()
    table.register("mine", base_url="https://mine.example/v1")
    return SimpleModelRegistry(table, limit)


def per_call(get: Callable[[str], Any], threads: int) -> float:
    """Nanoseconds of one call among all those that ``threads`` threads make."""
    each = HITS // threads
    together = threading.Barrier(threads + 1)

    def work() -> None:
        together.wait()
        for _ in range(each):
            get("mine/ready")
        together.wait()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    together.wait()
    began = perf_counter_ns()
    together.wait()
    took = perf_counter_ns() - began
    for worker in workers:
        worker.join()
    return took / (each * threads)


class HeldRegistry:
    """A registry that holds its one lock while it builds, and takes it for each hit."""

    def __init__(self, table: ProviderTable) -> None:
        self.table = table
        self._lock = threading.Lock()
        self._live: dict[str, Provider] = {}

    def get(self, model: str) -> Provider:
        with self._lock:
            if model not in self._live:
                self._live[model] = Provider(*self.table.resolve(model))
            return self._live[model]


def hits_while(get: Callable[[str], object], action: Callable[[], object]) -> list[float]:
    """Milliseconds of each hit on a ready model while an action is under way in another thread."""
    get("mine/ready")
    over, times = threading.Event(), list[float]()
    together = threading.Barrier(2)

    def act() -> None:
        together.wait()
        action()
        over.set()

    actor = threading.Thread(target=act)
    actor.start()
    together.wait()
    while not over.is_set():
        began = perf_counter()
        get("mine/ready")
        times.append((perf_counter() - began) * 1e3)
    actor.join()
    return times


def during_construction() -> list[float]:
    registry = new_registry()
    return hits_while(registry.get, lambda: registry.get("mine/slow"))


def during_nothing() -> list[float]:
    return hits_while(new_registry().get, lambda: sleep(CONSTRUCTION))


def during_construction_under_a_lock() -> list[float]:
    registry = HeldRegistry(new_registry().table)
    return hits_while(registry.get, lambda: registry.get("mine/slow"))


def cold_misses() -> float:
    """Microseconds of the first request for an id."""
    registry = new_registry()
    registry.get("mine/first")
    began = perf_counter_ns()
    for number in range(COLD):
        registry.get(f"mine/{number}")
    return (perf_counter_ns() - began) / COLD / 1e3


def one_construction(threads: int) -> int:
    """How many constructions so many threads cause that race for one new id."""
    registry = new_registry()
    together = threading.Barrier(threads)
    found = []

    def work() -> None:
        together.wait()
        found.append(registry.get("mine/slow"))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len({id(provider) for provider in found})


HELD_UP = (during_construction, during_nothing, during_construction_under_a_lock)


def measure(rounds: int) -> dict[str, Any]:
    registry = new_registry()
    registry.get("mine/ready")
    plain = {"mine/ready": object()}
    return {
        "python": platform.python_version(),
        "rounds": rounds,
        "hit_ns": {n: median(per_call(registry.get, n) for _ in range(rounds)) for n in THREADS},
        "dict_get_ns": {n: median(per_call(plain.get, n) for _ in range(rounds)) for n in THREADS},
        "held_up": {case.__name__: summary([case() for _ in range(2 * rounds)]) for case in HELD_UP},
        "cold_us": median(cold_misses() for _ in range(rounds)),
        "constructions_by_32_threads": one_construction(32),
    }


def summary(rounds: list[list[float]]) -> dict[str, float]:
    return {
        "fewest_hits": min(map(len, rounds)),
        "mean_us": median(1e3 * sum(times) / len(times) for times in rounds),
        "worst_ms_calmest": min(map(max, rounds)),
        "worst_ms_median": median(map(max, rounds)),
        "worst_ms": max(map(max, rounds)),
        "over_5_ms": sum(each > 5 for times in rounds for each in times),
    }


def show(found: dict[str, Any]) -> None:
    print(f"Python {found['python']}, {found['rounds']} rounds")
    print("\n| threads | a hit, ns | dict.get, ns |\n|---|---|---|")
    for threads in THREADS:
        print(f"| {threads} | {found['hit_ns'][threads]:.0f} | {found['dict_get_ns'][threads]:.0f} |")
    print("\n| hits in 50 ms | fewest | mean, us | worst of the calmest round, ms | of a round | of all | over 5 ms |")
    print("|---|---|---|---|---|---|---|")
    for name, row in found["held_up"].items():
        worst = (
            f"{row['worst_ms_calmest']:.2f} | {row['worst_ms_median']:.2f} | {row['worst_ms']:.2f} | {row['over_5_ms']}"
        )
        print(f"| {name.replace('_', ' ')} | {row['fewest_hits']:,} | {row['mean_us']:.2f} | {worst} |")
    constructions = found["constructions_by_32_threads"]
    print(f"\ncold miss: {found['cold_us']:.1f} us; constructions by 32 threads that race: {constructions}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
