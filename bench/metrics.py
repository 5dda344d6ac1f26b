"""What metrics cost: CPU and memory of folding a record and of telling them, beside the totals alone.

::

    python bench/metrics.py [records]

The cases of the fold take turns, in rounds; figures are medians, in microseconds a record, the journal's append
included. Telling is timed with few and with as many label sets as a metric keeps.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from statistics import median
from time import process_time

from scripted import Forgetful

from quoth import ModelsAPI, Settings, Usage
from quoth.instrumentation import CallRecord, Journal
from quoth.instrumentation.metrics._names import MOST_SERIES
from quoth.instrumentation.metrics._text import render
from quoth.types import Attempt, Cost

ROUNDS = 9
USAGE = Usage(input=1000, output=500)


def record_of(model: str = "gpt-6-luna", *, retried: bool = False, stream: bool = False) -> CallRecord:
    """An answered call of one attempt, or of two."""
    failed = Attempt(
        provider="openai", model=model, started=0.0, seconds=0.1, status=500, error_kind="server", followed_by="retry"
    )
    answered = Attempt(
        provider="openai", model=model, started=0.2, seconds=0.9, status=200, waited=0.1 if retried else 0.0
    )
    return CallRecord(
        id="x", operation="generate", provider="openai", model=model, served_model=model, outcome="answered",
        started_at=0.0, seconds=1.25, usage=USAGE, cost=Cost(femto=2_000_000_000_000), stream=stream,
        first_output_seconds=0.5 if stream else None, attempts=(failed, answered) if retried else (answered,),
    )  # fmt: skip


CASES = {
    "one attempt": record_of(),
    "a stream": record_of(stream=True),
    "a retry": record_of(retried=True),
}


def fold_us(record: CallRecord, records: int, *, measures: bool) -> float:
    journal = Journal(measures=measures)
    for _ in range(512):
        journal.append(record)
    return timed_us(lambda: journal.append(record), records)


def timed_us(function: Callable[[], object], times: int) -> float:
    begun = process_time()
    for _ in range(times):
        function()
    return (process_time() - begun) / times * 1e6


def call_us(calls: int, *, measures: bool) -> float:
    """A whole blocking call over a scripted transport."""
    api = ModelsAPI(Settings(transport=Forgetful(USAGE), api_keys={"openai": "none"}))
    if not measures:
        api._service.journal = Journal()  # noqa: SLF001  # what it was before there were metrics
    binding = api.bind("gpt-6-luna")
    for _ in range(300):
        binding("Hello")
    return timed_us(lambda: binding("Hello"), calls)


def filled(models: int) -> tuple[Journal, int]:
    """A journal that has counted calls of so many models, and the bytes that its metrics take."""
    journal = Journal(measures=True)
    gc.collect()
    tracemalloc.start()
    for number in range(models):
        journal.append(record_of(f"m{number}"))
    journal.metrics()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    plain = Journal()
    tracemalloc.start()
    for number in range(models):
        plain.append(record_of(f"m{number}"))
    plain.usage()
    gc.collect()
    totals, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return journal, taken - totals


def main() -> int:
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 256 * 100
    print(f"Python {sys.version.split()[0]}, {ROUNDS} rounds of {records} records, CPU us a record")
    print(f"{'append and fold':<22}{'totals':>9}{'and metrics':>13}{'more':>8}")
    for name, record in CASES.items():
        rounds = [
            (fold_us(record, records, measures=False), fold_us(record, records, measures=True)) for _ in range(ROUNDS)
        ]
        without, both = median(each[0] for each in rounds), median(each[1] for each in rounds)
        print(f"{name:<22}{without:>9.2f}{both:>13.2f}{both - without:>+8.2f}")
    calls = [(call_us(2_000, measures=False), call_us(2_000, measures=True)) for _ in range(ROUNDS)]
    without, both = median(each[0] for each in calls), median(each[1] for each in calls)
    print(f"{'a call (scripted)':<22}{without:>9.1f}{both:>13.1f}{both - without:>+8.1f}")
    for models in (10, MOST_SERIES):
        journal, taken = filled(models)
        sets = max(map(len, journal.metrics()[1].values()))
        spent = timed_us(lambda journal=journal: render(journal.metrics()[1]), 200 if models < 100 else 10) / 1000  # type: ignore[misc]
        text = render(journal.metrics()[1])
        print(
            f"{models:>5} models: {sets} label sets at most, told in {spent:.2f} ms CPU, {len(text) / 1e6:.2f} MB of "
            f"text, {taken / 1e6:.2f} MB of memory"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
