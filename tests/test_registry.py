"""The registry: lazy, one construction whoever races for it, nobody else held up, and nothing stale or endless."""

import gc
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from quoth._registry import SimpleModelRegistry
from quoth.errors import InputError, InputTypeError, NotBuiltError, UnknownModelError
from quoth.providers import ProviderTable
from quoth.providers._registry import ForkSafeLock

PATIENCE = 10.0
"""Seconds after which a test gives up on another thread: it is never waited for in a test that passes."""


class SlowTable(ProviderTable):
    """A table whose resolving of chosen ids waits until it may go on, and that counts what it resolves."""

    def __init__(self, *slow):
        super().__init__()
        self.register("mine", base_url="https://mine.example/v1")
        self.slow = set(slow)
        self.resolved = []
        self.inside, self.go_on = threading.Event(), threading.Event()

    def resolve(self, model):
        found = super().resolve(model)
        self.resolved.append(model)
        if model in self.slow:
            self.inside.set()
            assert self.go_on.wait(PATIENCE)
        return found


@pytest.fixture
def table():
    return SlowTable()


@pytest.fixture
def registry(table):
    return SimpleModelRegistry(table)


def waiting(registry, model):
    """How many threads wait for the construction of this model."""
    building = registry._building.get(model)
    return sum(
        any(value is building for value in frame.f_locals.values()) and frame.f_code.co_name == "wait"
        for frame in sys._current_frames().values()
    )


# One thread.


def test_it_starts_empty_and_builds_an_id_when_it_is_first_asked_for(registry, table):
    assert len(registry) == 0
    assert table.resolved == []
    provider = registry.get("mine/x")
    assert (provider.id, provider.model, provider.spec.name) == ("mine/x", "x", "mine")
    assert len(registry) == 1


def test_the_second_time_it_is_the_same_provider_and_nothing_is_resolved(registry, table):
    assert registry.get("mine/x") is registry.get("mine/x")
    assert table.resolved == ["mine/x"]


def test_each_spelling_of_an_id_means_the_same_model(registry):
    assert {registry.get(spelled).id for spelled in ("gpt-4", "openai/gpt-4", "OpenAI/gpt-4")} == {"openai/gpt-4"}


def test_after_clear_it_builds_anew(registry):
    before = registry.get("mine/x")
    registry.clear()
    assert len(registry) == 0
    assert registry.get("mine/x") is not before


@pytest.mark.parametrize("model", ["nobody/x", "unknown-model"])
def test_a_failure_is_not_remembered(registry, table, model):
    for _ in range(2):
        with pytest.raises(UnknownModelError):
            registry.get(model)
    assert len(registry) == 0
    table.register("nobody", base_url="https://nobody.example", model_prefixes=("unknown-",))
    assert registry.get(model).spec.name == "nobody"


def test_a_dialect_that_is_not_built_is_said_and_not_remembered(registry, table):
    table.register("odd", base_url="https://odd.example", dialect="smoke_signals")
    with pytest.raises(NotBuiltError, match=r"smoke_signals.*odd"):
        registry.get("odd/x")
    table.register("odd", base_url="https://odd.example")
    assert registry.get("odd/x").id == "odd/x"


@pytest.mark.parametrize("model", [None, 5, ["gpt-4"], {"id": "gpt-4"}, b"gpt-4"])
def test_what_is_no_id_is_refused_by_type(registry, model):
    with pytest.raises(InputTypeError, match=type(model).__name__):
        registry.get(model)


@pytest.mark.parametrize("model", ["", " ", "/x", "mine/", "gpt 4", "gpt-4\n"])
def test_what_is_no_id_is_refused_by_value(registry, model):
    with pytest.raises(InputError):
        registry.get(model)
    assert len(registry) == 0


def test_a_provider_registered_again_is_seen_by_the_next_call(registry, table):
    before = registry.get("mine/x")
    table.register("mine", base_url="https://other.example/v1")
    after = registry.get("mine/x")
    assert after.spec.base_url == "https://other.example/v1"
    assert before.spec.base_url == "https://mine.example/v1"
    assert registry.get("mine/x") is after


def test_a_new_owner_of_a_prefix_is_seen_by_the_next_call(registry, table):
    assert registry.get("gpt-4-tuned").spec.name == "openai"
    table.register("mine", base_url="https://mine.example/v1", model_prefixes=("gpt-4-t",))
    assert registry.get("gpt-4-tuned").spec.name == "mine"


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5))
def test_it_never_remembers_more_than_its_limit(asked, limit):
    registry = SimpleModelRegistry(SlowTable(), limit=limit)
    for number in asked:
        assert registry.get(f"mine/{number}").model == str(number)
        assert len(registry) <= limit
    assert len(registry) == min(limit, len(set(asked)))


def test_building_an_id_anew_drops_no_other():
    table = SlowTable()
    registry = SimpleModelRegistry(table, limit=2)
    registry.get("mine/a")
    registry.get("mine/b")
    table.register("mine", base_url="https://other.example/v1")
    registry.get("mine/b")
    assert len(registry) == 2


# Many threads.


def race(registry, model, threads):
    """Ask for one id from many threads at once; what each got: a provider or an error."""
    together = threading.Barrier(threads)

    def ask(_):
        together.wait(PATIENCE)
        try:
            return registry.get(model)
        except Exception as error:  # noqa: BLE001  # is told
            return error

    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(ask, number) for number in range(threads)]
        if model in registry.table.slow:
            assert registry.table.inside.wait(PATIENCE)
            while waiting(registry, model) < threads - 1:
                pass
            registry.table.go_on.set()
        return [each.result(PATIENCE) for each in asked]


def test_32_threads_that_race_for_one_id_wait_for_one_construction():
    table = SlowTable("mine/x")
    providers = race(SimpleModelRegistry(table), "mine/x", 32)
    assert table.resolved == ["mine/x"]
    assert len(set(map(id, providers))) == 1
    assert providers[0].id == "mine/x"


class FailingTable(SlowTable):
    """Fails to resolve what it was told, once it may go on."""

    def resolve(self, model):
        found = super().resolve(model)
        if model in self.slow:
            raise UnknownModelError("not today")
        return found


def test_32_threads_that_race_for_a_construction_that_fails_all_see_its_error_and_the_next_tries_again():
    table = FailingTable("mine/x")
    registry = SimpleModelRegistry(table)
    outcomes = race(registry, "mine/x", 32)
    assert [type(outcome) for outcome in outcomes] == [UnknownModelError] * 32
    assert table.resolved == ["mine/x"]
    table.slow.clear()
    assert registry.get("mine/x").id == "mine/x"
    assert table.resolved == ["mine/x"] * 2


def test_each_thread_has_an_error_of_its_own():
    outcomes = race(SimpleModelRegistry(FailingTable("mine/x")), "mine/x", 8)
    assert len(set(map(id, outcomes))) == 8


def test_a_construction_holds_up_no_other_id_and_no_hit():
    table = SlowTable("mine/slow")
    registry = SimpleModelRegistry(table)
    ready = registry.get("mine/ready")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(registry.get, "mine/slow")
        assert table.inside.wait(PATIENCE)
        assert registry.get("mine/ready") is ready
        assert registry.get("mine/other").id == "mine/other"
        table.register("new", base_url="https://new.example")
        assert registry.get("new/x").id == "new/x"
        registry.clear()
        assert not slow.done()
        table.go_on.set()
        assert slow.result(PATIENCE).id == "mine/slow"


def test_hits_by_the_thousand_while_another_id_is_under_construction_all_find_their_provider():
    table = SlowTable("mine/slow")
    registry = SimpleModelRegistry(table)
    ready = registry.get("mine/ready")
    with ThreadPoolExecutor(9) as pool:
        slow = pool.submit(registry.get, "mine/slow")
        assert table.inside.wait(PATIENCE)
        hits = [pool.submit(lambda: [registry.get("mine/ready") for _ in range(1_000)]) for _ in range(8)]
        found = [provider for each in hits for provider in each.result(PATIENCE)]
        assert not slow.done()
        table.go_on.set()
    assert len(found) == 8_000
    assert all(provider is ready for provider in found)
    assert table.resolved == ["mine/ready", "mine/slow"]


def test_a_hit_takes_no_lock():
    registry = SimpleModelRegistry(SlowTable())
    ready = registry.get("mine/ready")
    with ThreadPoolExecutor(2) as pool, registry._lock, registry.table._lock:
        assert pool.submit(registry.get, "mine/ready").result(PATIENCE) is ready
        cold = pool.submit(registry.get, "mine/cold")  # whereas one that has to be built waits for the lock
        assert pool.submit(registry.get, "mine/ready").result(PATIENCE) is ready
        assert not cold.done()
    assert cold.result(PATIENCE).id == "mine/cold"


def test_the_lock_is_free_while_a_provider_is_built():
    table = SlowTable("mine/slow")
    registry = SimpleModelRegistry(table)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(registry.get, "mine/slow")
        assert table.inside.wait(PATIENCE)

        def take():
            with registry._lock:
                return True

        assert pool.submit(take).result(PATIENCE)
        table.go_on.set()
        assert slow.result(PATIENCE)


class InterruptedTable(SlowTable):
    """Ctrl-C comes while the first one is resolved."""

    def resolve(self, model):
        found = super().resolve(model)
        if model in self.slow:
            self.slow.clear()
            raise KeyboardInterrupt
        return found


def test_threads_that_wait_for_an_interrupted_construction_build_it_themselves_once():
    table = InterruptedTable("mine/x")
    registry = SimpleModelRegistry(table)

    def ask(_):
        try:
            return registry.get("mine/x")
        except KeyboardInterrupt as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        assert table.inside.wait(PATIENCE)
        while waiting(registry, "mine/x") < 7:
            pass
        table.go_on.set()
        outcomes = [each.result(PATIENCE) for each in asked]
    assert sum(isinstance(outcome, KeyboardInterrupt) for outcome in outcomes) == 1
    assert {outcome.id for outcome in outcomes if not isinstance(outcome, KeyboardInterrupt)} == {"mine/x"}
    assert len(registry) == 1


def test_a_provider_registered_again_during_a_construction_is_seen_by_whoever_asks_afterwards():
    table = SlowTable("mine/x")
    registry = SimpleModelRegistry(table)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(registry.get, "mine/x")
        assert table.inside.wait(PATIENCE)
        table.register("mine", base_url="https://other.example/v1")
        table.go_on.set()
        building.result(PATIENCE)
    assert registry.get("mine/x").spec.base_url == "https://other.example/v1"


def test_a_provider_registered_again_is_seen_by_who_then_joins_a_construction_under_way():
    table = SlowTable("mine/x")
    registry = SimpleModelRegistry(table)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(registry.get, "mine/x")
        assert table.inside.wait(PATIENCE)
        table.register("mine", base_url="https://other.example/v1")
        asked_afterwards = pool.submit(registry.get, "mine/x")
        while not (waiting(registry, "mine/x") or asked_afterwards.done() or len(table.resolved) > 1):
            pass
        table.go_on.set()
        assert asked_afterwards.result(PATIENCE).spec.base_url == "https://other.example/v1"


def test_many_threads_over_many_ids_and_registrations_end_with_the_last_row():
    table = SlowTable()
    registry = SimpleModelRegistry(table, limit=8)
    together = threading.Barrier(16)

    def work(number):
        together.wait(PATIENCE)
        for step in range(100):
            model = f"mine/{(number * 7 + step) % 12}"
            assert registry.get(model).id == model
            if step % 25 == 0:
                table.register("mine", base_url=f"https://mine.example/{number}/{step}")
            if step % 40 == 0:
                registry.clear()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    final = table.get("mine").base_url
    assert all(registry.get(f"mine/{number}").spec.base_url == final for number in range(12))
    assert len(registry) <= 8
    assert registry._building == {}


def test_nothing_of_a_failed_construction_is_kept():
    registry = SimpleModelRegistry(SlowTable())
    for number in range(100):
        with pytest.raises(UnknownModelError):
            registry.get(f"unknown-{number}")
    gc.collect()
    assert (len(registry), registry._building) == (0, {})


# Fork.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_construction_that_it_left_behind():
    table = SlowTable("mine/x")
    registry = SimpleModelRegistry(table)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(registry.get, "mine/x")
        assert table.inside.wait(PATIENCE)
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # a child that waits for a thread it does not have is ended by the system
            table.slow.clear()
            os._exit(0 if registry.get("mine/x").id == "mine/x" else 1)
        table.go_on.set()
        assert building.result(PATIENCE).id == "mine/x"
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_finds_locks_open_that_another_thread_held():
    table = SlowTable()
    registry = SimpleModelRegistry(table)
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with registry._lock, table._lock:
            held.set()
            assert let_go.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(PATIENCE)
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            table.register("new", base_url="https://new.example")
            os._exit(0 if registry.get("new/x").id == "new/x" else 1)
        let_go.set()
        holding.result(PATIENCE)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert table.get("new") is None


def test_the_lock_keeps_others_out_and_opens_after_an_error():
    lock, inside, seen = ForkSafeLock(), [], []

    def work(number):
        for _ in range(200):
            with suppress(ValueError), lock:
                inside.append(number)
                seen.append(len(inside))
                inside.pop()
                raise ValueError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert seen == [1] * 1_600
