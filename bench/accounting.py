"""What keeping accounts costs: a ledger beside a call, and how fast one is written and read.

::

    python bench/accounting.py [calls] [postgresql://...]

The calls go over a scripted transport. Rounds without and with take turns in one process; the figures are medians of
what a round with adds to the round before it, in microseconds of CPU a call: of the calling thread alone, and of the
whole process, where the ledger's thread has written all by the end of the round.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time

from scripted import Forgetful

from quoth import ModelsAPI, Settings, Usage
from quoth.instrumentation import CallRecord
from quoth.instrumentation.ledger import Ledger

ROUNDS = 9
ROWS = 20_000

SCRIPT = Forgetful(Usage(input=1000, cache_read=200, output=500))


def api_of(ledger: str | None) -> ModelsAPI:
    return ModelsAPI(Settings(transport=SCRIPT, api_keys={"openai": "none"}, ledger=ledger))


def round_of(api: ModelsAPI, calls: int) -> tuple[float, float]:
    """CPU of the calling thread, and of the process, in microseconds a call."""
    ask = api.bind("gpt-6-luna", tags={"feature": "search", "user": "u1"})
    ask("Hello")
    api.flush()
    whole, own = process_time(), thread_time()
    for _ in range(calls):
        ask("Hello")
    own = thread_time() - own
    api.flush(30.0)
    return own / calls * 1e6, (process_time() - whole) / calls * 1e6


def compare(name: str, without: ModelsAPI, with_it: ModelsAPI, calls: int) -> None:
    """Print what the second adds to the first."""
    bare, added, added_whole = [], [], []
    for _ in range(ROUNDS):
        own, whole = round_of(without, calls)
        own_with, whole_with = round_of(with_it, calls)
        bare.append(own)
        added.append(own_with - own)
        added_whole.append(whole_with - whole)
    print(f"{name:<28}{median(bare):>10.1f}{median(added):>+12.1f}{median(added_whole):>+14.1f}")


def per_second(rows: int, work: Callable[[], object]) -> str:
    begun = perf_counter()
    work()
    return f"{rows / (perf_counter() - begun):>12,.0f}"


def write_and_read(name: str, place: str, record: CallRecord) -> None:
    """Print how many rows a second one ledger takes, sums and checks."""
    ledger = Ledger.at(place)
    records = [_with_id(record, f"{name}-{number}") for number in range(ROWS)]

    def write() -> None:
        for number in range(0, ROWS, 5_000):  # the queue holds 10,000
            for each in records[number : number + 5_000]:
                ledger.writer.append(each)
            ledger.writer.ready()
            assert ledger.flush(60.0)

    written = per_second(ROWS, write)
    print(f"{name:<28}{written}{per_second(ROWS, ledger.total)}{per_second(ROWS, ledger.check)}")
    ledger.close()


def _with_id(record: CallRecord, id: str) -> CallRecord:
    return CallRecord(**{**{name: getattr(record, name) for name in record.__struct_fields__}, "id": id})


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as folder:
        bare = api_of(None)
        kept: list[CallRecord] = []
        bare.on_call(kept.append)
        bare("gpt-6-luna", "Hello", tags={"feature": "search", "user": "u1"})
        print(f"Python {sys.version.split()[0]}, {ROUNDS} rounds of {calls} calls, CPU us a call")
        print(f"{'':<28}{'bare call':>10}{'its thread':>12}{'the process':>14}")
        with_ledger = api_of(str(Path(folder) / "calls.db"))
        compare("a ledger in SQLite", api_of(None), with_ledger, calls)
        with_ledger.close()
        print(f"\n{'rows a second':<28}{'written':>12}{'summed':>12}{'checked':>12}")
        write_and_read("SQLite", str(Path(folder) / "rows.db"), kept[0])
        for place in sys.argv[2:]:
            write_and_read("PostgreSQL", place, kept[0])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
