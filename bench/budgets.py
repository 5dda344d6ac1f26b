"""What a budget costs a call, and how many calls a second one database admits.

::

    python bench/budgets.py [postgresql://...]

First what a budget adds to a blocking call over a scripted transport: rounds without and with take turns in one
process; the figures are medians in microseconds a call, of CPU and of time. Then pairs of a reservation and a
settlement, over two accounts, of as many processes as stand in the first column, all on one row: for a second and a
half each.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from scripted import Forgetful

from quoth import ModelsAPI, Settings, Usage
from quoth._database import open_database, place_of
from quoth.errors import BudgetUnavailableError
from quoth.limits._accounts import Claim, Reserve, Reserved, Settle
from quoth.limits._sql_budgets import SQLBudgetStore
from quoth.limits._till import StoreTill

ROUNDS = 7
CALLS = 400
SECONDS = 1.5
PROCESSES = (1, 4, 16)

USAGE = Usage(input=20, output=5)


def api_of() -> ModelsAPI:
    return ModelsAPI(Settings(transport=Forgetful(USAGE), api_keys={"openai": "none"}))


# What a budget adds to a call.


def calls_a_second_by_kind(folder: str, server: str | None) -> None:
    plain = api_of()
    kinds: dict[str, Callable[[], Callable[[str], object]]] = {"no budget": lambda: plain.bind("gpt-6-luna")}
    for number in (1, 3):
        own = [plain.budget("1000000", per="month") for _ in range(number)]
        kinds[f"{number} of the process"] = lambda own=own: plain.bind("gpt-6-luna", budget=own)  # type: ignore[misc]
    for name, address in (("SQLite", str(Path(folder, "calls.db"))), ("PostgreSQL", server)):
        if address:
            api = api_of()
            api.configure(ledger=address)
            team = api.budget("1000000", name="team", per="month")
            kinds[f"1 in {name}, with the ledger"] = lambda api=api, team=team: api.bind("gpt-6-luna", budget=team)  # type: ignore[misc]
            kinds[f"the ledger in {name} alone"] = lambda api=api: api.bind("gpt-6-luna")  # type: ignore[misc]
    asks = {name: make() for name, make in kinds.items()}
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in asks}
    for ask in asks.values():
        ask("Hi")
    for _ in range(ROUNDS):
        for name, ask in asks.items():
            cpu, time = process_time(), perf_counter()
            for _ in range(CALLS):
                ask("Hi")
            figures[name].append(((process_time() - cpu) / CALLS * 1e6, (perf_counter() - time) / CALLS * 1e6))
    print(f"{'a call':34}{'CPU us':>9}{'time us':>9}")
    for name, found in figures.items():
        print(f"{name:34}{median([cpu for cpu, _ in found]):9.1f}{median([time for _, time in found]):9.1f}")


# How many a database admits.


def work(address: str, until: float, answer: multiprocessing.Queue[tuple[int, int, list[float]]]) -> None:
    till = StoreTill(lambda: SQLBudgetStore(open_database(place_of(address, "bench"), wait=0.2)), "the ledger")
    waits, refused, number = list[float](), 0, 0
    while perf_counter() < until:
        hold, number = f"{os.getpid()}/{number}", number + 1
        claims = (Claim(name="org", limit=10**17, amount=1000), Claim(name="team", limit=10**17, amount=1000))
        began = perf_counter()
        try:
            outcome = till.ask(Reserve(hold=hold, claims=claims, lease=60_000)).wait()
        except BudgetUnavailableError:
            refused += 1
            continue
        waits.append(perf_counter() - began)
        if isinstance(outcome, Reserved):
            till.post(Settle(hold=hold, actual=500))
    till.close()
    answer.put((len(waits), refused, waits))


def admitted(address: str, processes: int) -> str:
    answer: multiprocessing.Queue[tuple[int, int, list[float]]] = multiprocessing.Queue()
    began = perf_counter() + 0.05 * processes  # they begin together
    workers = [multiprocessing.Process(target=work, args=(address, began + SECONDS, answer)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    said = [answer.get() for _ in workers]
    for worker in workers:
        worker.join()
    waits = sorted([wait for _, _, each in said for wait in each])
    pairs, failed = sum([each[0] for each in said]), sum([each[1] for each in said])
    seconds = perf_counter() - began
    middle, late = waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3
    return f"{pairs / seconds:9,.0f}{middle:9.2f}{late:9.2f}{failed:8}"


def main() -> None:
    server = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        calls_a_second_by_kind(folder, server)
        print(f"\n{'processes':12}{'database':12}{'pairs/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
        for processes in PROCESSES:
            for name, address in (("SQLite", str(Path(folder, f"{processes}.db"))), ("PostgreSQL", server)):
                if address:
                    print(f"{processes:<12}{name:12}{admitted(address, processes)}")


if __name__ == "__main__":
    main()
