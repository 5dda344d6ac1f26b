"""What counting costs: CPU of one blocking call over a scripted transport, bare and with what surrounds it.

::

    python bench/records.py [calls]

Each case takes turns with the others, in rounds; the figures are medians, in microseconds a call. The lines below
them time the parts alone: one append to the journal with its share of the folding, and entering a scope.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from time import process_time

from scripted import Forgetful

from quoth import ModelsAPI, Settings, Usage
from quoth.instrumentation import CallRecord, Journal
from quoth.types import Cost

ROUNDS = 7

USAGE = Usage(input=1000, output=500)


CASES = ("bare", "2 tags of the call", "2 tags of the context", "a tally", "a hook", "all of them")


def surrounded(api: ModelsAPI, case: str, stack: ExitStack) -> dict[str, dict[str, str]]:
    """Enter what a case has around its calls; give the options of each."""
    everything = case == "all of them"
    if everything or case == "2 tags of the context":
        stack.enter_context(api.tag(feature="search", user="u1"))
    if everything or case == "a tally":
        stack.enter_context(api.track())
    if everything or case == "a hook":
        stack.callback(api.on_call(lambda _: None).remove)
    return {"tags": {"team": "a", "job": "b"}} if everything or case == "2 tags of the call" else {}


def calls_us(case: str, calls: int) -> float:
    api = ModelsAPI(Settings(transport=Forgetful(USAGE), api_keys={"openai": "none"}))
    with ExitStack() as stack:
        binding = api.bind("gpt-6-luna", **surrounded(api, case, stack))  # type: ignore[call-overload]  # one option of many
        binding("Hello")
        return timed_us(lambda: binding("Hello"), calls)


def timed_us(function: Callable[[], object], times: int) -> float:
    begun = process_time()
    for _ in range(times):
        function()
    return (process_time() - begun) / times * 1e6


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    taken: dict[str, list[float]] = {case: [] for case in CASES}
    for number in range(ROUNDS):
        for case in (*CASES[number % len(CASES) :], *CASES[: number % len(CASES)]):
            taken[case].append(calls_us(case, calls))
    bare = median(taken["bare"])
    print(f"Python {sys.version.split()[0]}, {ROUNDS} rounds of {calls} calls, CPU us a call")
    for case, figures in taken.items():
        print(f"{case:<26}{median(figures):>8.1f}{median(figures) - bare:>+8.1f}")
    api, journal = ModelsAPI(Settings()), Journal()
    record = CallRecord(
        id="x", operation="generate", provider="p", model="m", outcome="answered", started_at=0.0, seconds=1.0,
        usage=Usage(input=1, output=1), cost=Cost(femto=1), tags={"feature": "search", "user": "u1"},
    )  # fmt: skip

    def enter() -> None:
        with api.tag(feature="search", user="u1"):
            pass

    print(f"{'append and fold':<26}{timed_us(lambda: journal.append(record), 50_000):>8.2f}")
    print(f"{'with models.tag(...)':<26}{timed_us(enter, 50_000):>8.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
