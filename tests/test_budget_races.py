"""What went wrong in other budgets, one test each, and what several processes do to one database at once.

The numbers are of issues of a proxy that keeps counters beside its ledger: each test is the shape of one of them. The
laws are in test_budget_laws.py, one call in test_budgets.py.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from postgres_server import postgres_server, postgres_url  # noqa: F401
from quoth._database import StorageError, open_database, place_of
from quoth.errors import BudgetExceededError, BudgetUnavailableError
from quoth.limits._accounts import Claim, List, Look, Reap, Release, Reserve, Reserved, Settle
from quoth.limits._sql_budgets import SQLBudgetStore
from quoth.limits._till import PATIENCE, StoreTill
from test_budgets import COST, LONG, amounts, api_of
from test_service import answering

SOURCE = Path(__file__).resolve().parents[1] / "src"
MINUTE = 60_000


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("QUOTH_PRICES", "QUOTH_LEDGER", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    """Where a fresh database is."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def shared(address):
    """Makes ModelsAPIs, each as another process would have it, all over one database."""
    made = []

    def make(*answers, **settings):
        api, script = api_of(*answers, ledger=address, **settings)
        made.append(api)
        return api, script

    yield make
    for api in made:
        api.close()


def store_at(address):
    return SQLBudgetStore(open_database(place_of(address, "test"), wait=5.0))


@contextmanager
def opened(address):
    database = open_database(place_of(address, "test"), wait=5.0)
    yield database
    database.close()


@contextmanager
def held_by_another(address):
    """Nobody else can write to the accounts meanwhile."""
    with opened(address) as database, database.transaction() as transaction:
        transaction.change("UPDATE budget_account SET refused = refused")
        yield


def _asked(address, operation):
    with opened(address) as database:
        return ask(SQLBudgetStore(database), operation)


def claim(amount, limit=1_000, name="team", **more):
    return (Claim(name=name, limit=limit, amount=amount, **more),)


def ask(store, operation):
    return store.carry_out([operation])[0]


# Let pass what should not be.


def test_concurrent_calls_of_many_instances_do_not_bypass_a_limit_together(shared):
    """#34732, #26672: each replica looked at its own copy of the counter; spend 99 under a limit of 30."""
    apis = [shared() for _ in range(4)]
    budgets = [api.budget("0.60", name="team", per="month") for api, _ in apis]

    def ask_until_refused(number):
        (api, _), budget, answers = apis[number % 4], budgets[number % 4], 0
        with suppress(BudgetExceededError):
            while True:
                with suppress(BudgetUnavailableError):  # a busy machine: nothing was sent
                    api("gpt-4", LONG, budget=budget, max_tokens=500)
                    answers += 1
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = sum(pool.map(ask_until_refused, range(8)))
    state = _settled(budgets[0], calls=answers)
    assert sum([len(script.requests) for _, script in apis]) == answers
    assert (state.spent, state.reserved, state.calls) == (answers * COST, 0, answers)
    assert 8 * COST <= state.spent <= state.limit


def test_the_first_calls_of_a_value_that_nobody_knows_yet_are_limited_too(shared):
    """#40095: the first requests of an unknown end user passed, for there was no row to look at."""
    apis = [shared() for _ in range(2)]
    gate = threading.Barrier(6)

    def ask_at_once(number):
        api, _ = apis[number % 2]
        users = api.budget("0.15", name="users", by="user", per="day")
        gate.wait(10)
        with suppress(BudgetExceededError, BudgetUnavailableError):
            return api("gpt-4", LONG, budget=users, max_tokens=500, tags={"user": "new"}).text
        return None

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask_at_once, range(6))).count("Hello")
    state = _settled(apis[0][0].budget("0.15", name="users", by="user", per="day")["new"], calls=answers)
    assert (state.spent, state.reserved) == (answers * COST, 0)
    assert 1 <= answers <= 2


def test_no_copy_of_a_counter_is_trusted_when_the_store_forgets_or_fails(shared, address):
    """#34238: after a miss in the cache each pod fell back to its own stale number."""
    (one, _), (other, script) = shared(), shared()
    budget = one.budget("0.20", name="team"), other.budget("0.20", name="team")
    other("gpt-4", LONG, budget=budget[1], max_tokens=500)
    assert _settled(budget[1], calls=1).spent == COST  # that is what the other one has seen
    one("gpt-4", LONG, budget=budget[0], max_tokens=500)
    one("gpt-4", LONG, budget=budget[0], max_tokens=500)
    assert _settled(budget[0], calls=3).spent == 3 * COST
    with pytest.raises(BudgetExceededError, match=r"\$0\.02 left"):
        other("gpt-4", LONG, budget=budget[1], max_tokens=500)
    assert len(script.requests) == 1


def test_a_hard_budget_fails_closed_and_says_so_within_its_patience(shared, address, tmp_path):
    """Fail-open by default: calls passed when neither cache nor database answered."""
    api, script = shared()
    budget = api.budget("5", name="team")
    api("gpt-4", "Hi", budget=budget, max_tokens=5)
    with held_by_another(address):
        began = time.monotonic()
        with pytest.raises(BudgetUnavailableError, match=r"does not answer.*hard.*not sent") as caught:
            api("gpt-4", "Hi", budget=budget, max_tokens=5)
        assert time.monotonic() - began < PATIENCE * 4
    assert (caught.value.kind, caught.value.retryable, caught.value.sent) == ("budget_unavailable", True, "no")
    assert len(script.requests) == 1
    for _ in range(50):  # the thread may rest for a moment before it tries again
        with suppress(BudgetUnavailableError):
            api("gpt-4", "Hi", budget=budget, max_tokens=5)
            break
    assert amounts(budget) == (2 * COST, 0)


def test_a_soft_budget_fails_open_counts_it_and_charges_it_later(shared, address):
    api, _ = shared()
    budget = api.budget("5", name="team", hard=False)
    api("gpt-4", "Hi", budget=budget, max_tokens=5)
    with held_by_another(address):
        assert api("gpt-4", "Hi", budget=budget, max_tokens=5).text == "Hello"
    assert api._service.budgets.unanswered == 1
    assert _settled(budget, calls=2).spent == 2 * COST


def test_a_connection_that_was_lost_is_made_anew_and_the_call_goes_on(shared, address):
    api, script = shared()
    budget = api.budget("5", name="team")
    api("gpt-4", "Hi", budget=budget, max_tokens=5)
    assert budget.spent == COST
    with opened(address) as database:
        if database.place.engine == "postgres":
            with database.transaction() as transaction:
                transaction.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            kept = COST
        else:
            for path in Path(address).parent.glob("ledger.db*"):
                path.unlink()
            kept = 0  # whoever removes the ledger begins anew
    api("gpt-4", "Hi", budget=budget, max_tokens=5)
    assert amounts(budget) == (kept + COST, 0)
    assert len(script.requests) == 2


def test_a_database_that_is_not_there_refuses_under_a_hard_budget(ask, tmp_path):
    (tmp_path / "file").write_text("no database, and longer than a header of one would be" * 9)
    api, script = api_of(ledger=str(tmp_path / "file"))
    with pytest.raises(BudgetUnavailableError, match="not a database"):
        ask(api, budget=api.budget("5", name="team"), max_tokens=5)
    assert script.requests == []
    api.close()


def _settled(budget, calls):
    """The state once so many calls are settled: what could not be written is tried again after a rest."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with suppress(BudgetUnavailableError):
            state = budget.state
            if state.calls >= calls:
                return state
        time.sleep(0.02)
    raise AssertionError("it was never settled")


def test_what_is_expected_is_asked_of_the_ledger_where_this_process_has_not_seen_enough(shared):
    (first, _), (second, script) = shared(), shared()
    for _ in range(20):
        first("gpt-4", "Hi", max_tokens=4000)
    assert first.flush()
    for limit, fits in (("0.13", True), ("0.11", False)):  # twice 0.06
        budget = second.budget(limit, name=f"team {limit}", estimate="expected")
        with suppress(BudgetExceededError):
            assert second("gpt-4", "Hi", budget=budget, max_tokens=4000).text == "Hello"
        assert (budget.spent == COST) is fits
    assert len(script.requests) == 1


# Refuse, or charge, what should not be.


def test_the_hold_of_a_process_that_died_counts_as_spent_and_no_longer_as_reserved(address):
    """#27639: leaked reservations, which nothing ever took away again."""
    store = store_at(address)
    assert ask(store, Reserve(hold="dead", claims=claim(300), lease=0)) == Reserved()
    assert ask(store, Reap()) == 1
    account = ask(store, Look(name="team"))
    assert (account.spent, account.reserved, account.presumed) == (300, 0, 300)
    assert ask(store, Settle(hold="dead", actual=100)) is True  # it was only slow
    assert ask(store, Settle(hold="dead", actual=100)) is False
    account = ask(store, Look(name="team"))
    assert (account.spent, account.reserved, account.presumed, account.calls) == (100, 0, 0, 1)
    store.close()


def test_opening_a_database_again_adds_nothing_whoever_does_it(address):
    """#28247: each of N pods added the spend of the ledger to the shared counter: N times the spend."""
    first = store_at(address)
    ask(first, Reserve(hold="a", claims=claim(300), lease=MINUTE))
    ask(first, Settle(hold="a", actual=200))
    for store in [store_at(address) for _ in range(3)]:
        assert ask(store, Look(name="team")).spent == 200
        store.close()
    first.close()


@pytest.mark.parametrize("kind", ["busy", "unreachable"])
def test_a_settlement_that_is_sent_again_after_a_time_out_counts_once(address, monkeypatch, kind):
    """#30460: increments that timed out and were sent again inflated the spend."""
    store, failing = store_at(address), [True]
    till = StoreTill(lambda: store, "the ledger")
    assert isinstance(till.ask(Reserve(hold="a", claims=claim(300), lease=MINUTE)).wait(), Reserved)
    real = store.carry_out

    def lost(operations):
        outcomes = real(operations)
        if failing.pop() if failing else False:
            raise StorageError("the answer was lost behind the commit", kind)
        return outcomes

    monkeypatch.setattr(store, "carry_out", lost)
    till.post(Settle(hold="a", actual=200))
    _until(lambda: not failing)
    account = _look(till)
    assert (account.spent, account.reserved, account.calls) == (200, 0, 1)
    till.close()


def test_an_operation_that_the_database_never_takes_holds_up_no_other(address):
    till = StoreTill(lambda: store_at(address), "the ledger")
    for hold in ("a", "b"):
        till.ask(Reserve(hold=hold, claims=claim(300), lease=MINUTE)).wait()
    till.post(Settle(hold="a", actual=2**70))
    till.post(Settle(hold="b", actual=200))
    _until(lambda: till.lost == 1)
    account = _look(till)
    assert (account.spent, account.reserved) == (200, 300)  # the other one is in its lease
    till.close()


def test_a_reservation_whose_answer_was_lost_is_given_back(address, monkeypatch):
    store, failing = store_at(address), [True]
    till = StoreTill(lambda: store, "the ledger")
    _look(till)
    real = store.carry_out

    def lost(operations):
        outcomes = real(operations)
        if any(isinstance(each, Reserve) for each in operations) and failing:
            failing.clear()
            raise StorageError("the answer was lost behind the commit", "busy")
        return outcomes

    monkeypatch.setattr(store, "carry_out", lost)
    with pytest.raises(BudgetUnavailableError):
        till.ask(Reserve(hold="a", claims=claim(300), lease=MINUTE)).wait()
    account = _look(till)
    assert (account.spent, account.reserved) == (0, 0)
    till.close()


def test_one_process_alone_does_not_count_anything_twice(shared):
    """#36926: phantom spend with a single process too."""
    api, _ = shared()
    budget = api.budget("5", name="team")
    for _ in range(20):
        api("gpt-4", "Hi", budget=budget, max_tokens=5)
    state = budget.state
    assert (state.spent, state.calls) == (20 * COST, 20)
    assert state.spent == api.usage().total.usd


def test_a_charge_is_not_lost_where_it_cannot_be_written_at_once(shared, address):
    """PR #30039: the charge was dropped when the reconciliation failed."""

    def answer(request):
        blocked.enter_context(held_by_another(address))  # from the moment that the request is under way
        return answering()(request)

    api, _ = shared(answer)
    budget = api.budget("5", name="team")
    budget.state  # noqa: B018  # so that it is open

    blocked = ExitStack()
    assert api("gpt-4", "Hi", budget=budget, max_tokens=5).text == "Hello"
    time.sleep(PATIENCE)  # it cannot be settled now
    blocked.close()
    assert _settled(budget, calls=1).spent == COST


def _look(till):
    """The account of the team: asked until the database answers."""
    for _ in range(100):
        with suppress(BudgetUnavailableError):
            return till.ask(Look(name="team")).wait()
    raise AssertionError("it never answered")


def _until(true):
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_is_long_past_is_let_go_of_and_nothing_else(address):
    old, year = 1_700_000_000_000, 366 * 86_400_000

    class Timed(SQLBudgetStore):
        time = old

        def _now(self, transaction):
            return self.time

    with opened(address) as database:
        store = Timed(database)
        kept = (*claim(10), *claim(10, name="monthly", per="month"), *claim(10, name="daily", per="day"))
        ask(store, Reserve(hold="old", claims=kept, lease=MINUTE))
        ask(store, Settle(hold="old", actual=7))
        ask(store, Reserve(hold="lost", claims=kept, lease=MINUTE))
        store.time = old + year
        ask(store, Reserve(hold="new", claims=kept, lease=MINUTE))
        assert ask(store, Reap()) == 1
        assert len(ask(store, List())) == 5
        store.time = old + 2 * year
        ask(store, Settle(hold="new", actual=7))
        ask(store, Reap())
        assert [(each.name, each.spent) for each in ask(store, List())] == [("daily", 7), ("monthly", 7), ("team", 24)]
        with database.transaction(write=False) as transaction:
            assert transaction.rows("SELECT id FROM budget_hold") == []


# The cancel path, and forks.


def test_a_task_that_is_cancelled_while_it_waits_for_the_database_leaves_no_hold(shared, address):
    api, script = shared()
    budget = api.budget("5", name="team")
    api("gpt-4", "Hi", budget=budget, max_tokens=5)

    async def main():
        with held_by_another(address):
            tasks = [asyncio.create_task(api.aio("gpt-4", "Hi", budget=budget, max_tokens=5)) for _ in range(5)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    _until(lambda: _look_at(budget).reserved == 0)
    assert budget.spent == COST
    assert len(script.requests) == 1


def _look_at(budget):
    for _ in range(100):
        with suppress(BudgetUnavailableError):
            return budget.state
    raise AssertionError("it never answered")


def test_an_event_loop_goes_on_while_calls_wait_for_the_database(shared, address):
    api, _ = shared()
    budget = api.budget("5", name="team")
    api("gpt-4", "Hi", budget=budget, max_tokens=5)

    async def main():
        with held_by_another(address):
            task = asyncio.create_task(api.aio("gpt-4", "Hi", budget=budget, max_tokens=5))
            turns = 0
            while not task.done():
                await asyncio.sleep(0.001)
                turns += 1
            assert isinstance(task.exception(), BudgetUnavailableError)
        return turns

    assert asyncio.run(main()) > 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_settles_nothing_of_its_parents_and_its_own_in_the_same_database(shared):
    api, _ = shared()
    budget = api.budget("5", name="team")
    stream = api.stream("gpt-4", "Hi", budget=budget, max_tokens=5)
    next(iter(stream))
    pid = os.fork()
    if pid == 0:
        status = 1
        with suppress(BaseException):
            api("gpt-4", "Hi", budget=budget, max_tokens=5)
            stream.close()  # of the parent
            state = budget.state
            status = 0 if (state.spent, state.calls) == (COST, 1) and state.reserved > 0 else 2
            api.close()
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    stream.read()
    assert amounts(budget) == (2 * COST, 0)


PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:3]
from test_budgets import api_of
api, _ = api_of(ledger=sys.argv[3])
api("gpt-4", "Hi", budget=api.budget("5", name="team"), max_tokens=5)
stream = api.stream("gpt-4", "Hi", budget=api.budget("5", name="team"), max_tokens=5)
next(iter(stream))
api.close()
last = api.stream("gpt-4", "Hi", max_tokens=5, budget=api.budget("5", name="other"))
pieces = iter(last)
next(pieces)
api.close()
list(pieces)  # it is settled when there is no thread any more
"""


def test_a_program_that_ends_has_settled_what_it_did_and_spends_what_it_left(address):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(SOURCE), str(Path(__file__).parent), address],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    account = _asked(address, Look(name="team"))
    held = account.presumed or account.reserved  # the stream: collected at the end, or in its lease
    assert account.spent + account.reserved == 60_000_000 + held > 60_000_000
    assert account.calls >= 1
    other = _asked(address, Look(name="other"))
    assert (other.spent, other.reserved, other.calls) == (60_000_000, 0, 1)


def test_a_long_stream_keeps_its_hold_and_a_lease_that_has_passed_is_begun_anew(shared, monkeypatch):
    monkeypatch.setattr("quoth._spending.LONGEST_LEASE", 0.2)
    api, _ = shared()
    budget = api.budget("5", name="team")
    stream = iter(api.stream("gpt-4", "Hi", budget=budget, max_tokens=5))
    next(stream)
    extended = budget.till._clerks[os.getpid()]
    till, seen = budget.till, []
    monkeypatch.setattr(type(till), "post", lambda self, operation: seen.append(type(operation).__name__))
    for _ in range(2):
        time.sleep(0.11)
        next(stream)
    assert seen == ["Extend", "Extend"]
    assert extended.lost == till.lost == 0


# Many processes, killed at random.

WORKER = """
import os, random, sys
sys.path.insert(0, sys.argv[1])
from quoth._database import open_database, place_of
from quoth.errors import BudgetUnavailableError
from quoth.limits._accounts import Claim, Reserve, Reserved, Settle
from quoth.limits._sql_budgets import SQLBudgetStore
from quoth.limits._till import StoreTill

_, _, address, seed, calls, deadly = sys.argv
random.seed(int(seed))
till = StoreTill(lambda: SQLBudgetStore(open_database(place_of(address, "test"), wait=0.2)), "the ledger")
answered = spent = 0
for number in range(int(calls)):
    hold = f"{os.getpid()}/{number}"
    claims = [
        Claim(name="org", limit=10**12, amount=1000),
        Claim(name="team", limit=int(os.environ["LIMIT"]), amount=1000),
        Claim(name="users", value=f"u{number % 3}", per="day", limit=10**12, amount=1000),
    ]
    random.shuffle(claims)
    try:
        outcome = till.ask(Reserve(hold=hold, claims=tuple(claims), lease=600_000)).wait()
    except BudgetUnavailableError:
        continue
    if not isinstance(outcome, Reserved):
        continue
    if random.random() < float(deadly):
        os.kill(os.getpid(), 9)
    actual = random.randint(0, 1000)
    till.post(Settle(hold=hold, actual=actual))
    if random.random() < 0.1:
        till.post(Settle(hold=hold, actual=999))  # again: it changes nothing
    answered, spent = answered + 1, spent + actual
till.close()
print(answered, spent)
"""


def _work(address, processes, calls, deadly, limit):
    """Let processes work on one database, watched at every commit that can be seen; give what the living ones say."""
    watcher = open_database(place_of(address, "test"), wait=5.0)
    _asked(address, List())
    environment = {**os.environ, "LIMIT": str(limit)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(SOURCE), address, str(seed), str(calls), str(deadly)],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        for seed in range(processes)
    ]  # fmt: skip
    looks = 0
    while any(worker.poll() is None for worker in workers):
        with watcher.transaction(write=False) as transaction:
            broken = transaction.rows(
                "SELECT * FROM budget_account WHERE spent_nusd + reserved_nusd > limit_nusd OR overrun_nusd > 0"
            )
        assert broken == []
        looks += 1
        time.sleep(0.002)
    assert looks > 10
    said = [worker.communicate(timeout=60)[0] for worker in workers]
    watcher.close()
    alive = [tuple(map(int, words.split())) for words in said if words]
    return sum([answered for answered, _ in alive]), sum([spent for _, spent in alive]), len(said) - len(alive)


def _check_exactly(address, limit, *, spent_by_the_living, dead):
    with opened(address) as database, database.transaction(write=False) as transaction:
        accounts = {row[0]: row[1:] for row in transaction.rows(
            "SELECT name, SUM(spent_nusd), SUM(reserved_nusd) FROM budget_account GROUP BY name")}  # fmt: skip
        ((open_amount, settled),) = transaction.rows(
            "SELECT SUM(CASE WHEN state = 'open' THEN 1000 ELSE 0 END), SUM(actual_nusd) FROM budget_hold"
        )
    assert accounts["org"] == accounts["team"] == accounts["users"]
    spent, reserved = accounts["team"]
    assert spent + reserved <= limit
    assert spent == settled  # the sum of what every hold that was ever settled has cost
    assert reserved == open_amount  # what the dead ones hold, and nothing else
    assert dead or (spent, reserved) == (spent_by_the_living, 0)
    assert spent >= spent_by_the_living
    return reserved


@pytest.mark.parametrize("deadly", [0, 0.03])
def test_processes_that_are_killed_at_any_moment_break_no_law(address, deadly):
    limit = 60_000
    answered, spent, dead = _work(address, processes=3, calls=60, deadly=deadly, limit=limit)
    _check_exactly(address, limit, spent_by_the_living=spent, dead=dead)
    assert bool(dead) is bool(deadly)
    assert deadly or answered > 60


PROGRAMS = """
import random, sys
sys.path[:0] = sys.argv[1:3]
from quoth import Usage
from quoth.errors import BudgetExceededError, BudgetUnavailableError
from msgspec.structs import replace
from test_budgets import LONG, api_of
from test_service import HELLO, answering

_, _, _, address, seed, calls = sys.argv
random.seed(int(seed))


def answer(request):
    usage = Usage(input=random.randint(1, 900), output=random.randint(1, 300))
    return answering(replace(HELLO, usage=usage))(request)


api, script = api_of(answer, ledger=address)
team = api.budget("1.50", name="team", per="month")
users = api.budget("0.60", name="users", by="user", per="day")
for number in range(int(calls)):
    try:
        api("gpt-4", LONG, budget=[team, users], max_tokens=random.randint(300, 400), tags={"user": f"u{number % 3}"})
    except (BudgetExceededError, BudgetUnavailableError):
        pass
assert api.flush(30)
total = api.usage().total
api.close()
print(len(script.requests), total.answered, total.femto)
"""


@pytest.mark.parametrize(("programs", "calls"), [(3, 30), pytest.param(16, 200, marks=pytest.mark.slow)])
def test_what_programs_were_told_what_the_ledger_has_and_what_budgets_say_agree_to_the_last_digit(
    address, programs, calls
):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAMS, str(SOURCE), str(Path(__file__).parent), address, str(seed), str(calls)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for seed in range(programs)
    ]  # fmt: skip
    said = [program.communicate(timeout=240) for program in running]
    assert [errors for _, errors in said if errors] == []
    sent, answered, femto = (
        sum(column) for column in zip(*[map(int, words.split()) for words, _ in said], strict=True)
    )
    assert sent == answered > 0
    api, _ = api_of(ledger=address)
    states = api.budgets()
    team = [state for state in states if state.name == "team"]
    users = [state for state in states if state.name == "users"]
    assert api.ledger.total().femto == femto
    assert api.ledger.total().answered == answered
    assert sum([state.spent for state in team]) == sum([state.spent for state in users]) == Decimal(femto).scaleb(-15)
    assert sum([state.calls for state in team]) == answered
    assert all(state.spent <= state.limit and state.reserved == state.overrun == 0 for state in states)
    assert sum([state.spent for state in team]) > Decimal("1.40")
    api.close()


@pytest.mark.slow
@pytest.mark.parametrize("deadly", [0, 0.002])
def test_sixteen_processes_that_are_killed_at_any_moment_break_no_law(address, deadly):
    limit = 1_000_000
    answered, spent, dead = _work(address, processes=16, calls=500, deadly=deadly, limit=limit)
    reserved = _check_exactly(address, limit, spent_by_the_living=spent, dead=dead)
    assert answered > 1_000
    if dead:
        with opened(address) as database, database.transaction() as transaction:
            transaction.change("UPDATE budget_hold SET expires_ms = 1 WHERE state = 'open'")
        assert _asked(address, Reap()) == reserved // 1000
        account = _asked(address, Look(name="team"))
        assert (account.reserved, account.presumed) == (0, reserved)
        assert account.spent <= limit


def test_answers_totals_and_ledger_and_budget_agree_exactly(shared):
    api, _ = shared()
    budget = api.budget("5", name="team")
    answers = [api("gpt-4", "Hi", budget=budget, max_tokens=5) for _ in range(7)]
    total = sum([answer.cost for answer in answers], start=0)
    assert budget.spent == total.usd == api.usage().total.usd == 7 * COST
    assert api.flush()
    assert api.ledger.total().usd == budget.spent


def test_a_hold_that_was_made_when_nobody_waited_any_more_is_charged_all_the_same(address):
    """A soft budget's call goes on without an answer: its reservation may be made late, and is given up."""
    claims = claim(100, hard=False)
    assert isinstance(_asked(address, Reserve(hold="late", claims=claims, lease=60_000)), Reserved)
    assert _asked(address, Release(hold="late"))
    assert _asked(address, Settle(hold="late", actual=40, claims=claims))
    assert not _asked(address, Settle(hold="late", actual=40, claims=claims))
    assert not _asked(address, Settle(hold="late", actual=40))
    state = _asked(address, Look(name="team"))
    assert (state.spent, state.reserved, state.calls) == (40, 0, 1)
