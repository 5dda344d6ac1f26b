"""The laws of money budgets, as ``quoth.limits._accounts`` states them: hypothesis tries to break them on each store.

The same machine drives the books of a process, SQLite and PostgreSQL. It keeps a model of its own, so simple that it
can be seen to be right: which holds are open, and what each has cost. After every operation the accounts must agree.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from postgres_server import postgres_server, postgres_url  # noqa: F401
from quoth._database import open_database, place_of
from quoth.limits._accounts import (
    Claim,
    Extend,
    List,
    Reap,
    Refused,
    Release,
    Reserve,
    Reserved,
    Settle,
    window,
)
from quoth.limits._process_budgets import ProcessStore
from quoth.limits._sql_budgets import SQLBudgetStore

MINUTE, DAY = 60_000, 86_400_000
BEGIN = 1_795_564_800_000  # 2026-11-25
LIMITS = {
    "org": (20_000, None, True),
    "team": (6_000, "day", True),
    "user": (4_000, "day", True),
    "soft": (1, "month", False),
}


class TimedSQLStore(SQLBudgetStore):
    """A store whose database's clock is in the hands of the test."""

    time = BEGIN

    def _now(self, transaction):
        super()._now(transaction)
        return self.time


def stores(kind, place):
    """What makes a store, and what sets its clock."""
    if kind == "process":
        clock = [BEGIN]
        store = ProcessStore(lambda: clock[0] / 1000)
        return store, lambda now: clock.__setitem__(0, now)
    store = TimedSQLStore(open_database(place, wait=5.0))
    return store, lambda now: setattr(store, "time", now)


def machine_for(make):  # noqa: C901  # a class, told in one piece
    class Machine(RuleBasedStateMachine):
        """Operations in any order; ``self.open`` is the model."""

        holds = Bundle("holds")

        def __init__(self):
            super().__init__()
            self.store, self.set_clock = make()
            self.now, self.count = BEGIN, 0
            self.open = {}  # hold -> (claims with their keys, end of the lease)
            self.presumed = {}
            self.spent = {}  # key -> what was settled, or is presumed
            self.overrun = {}
            self.closed = 0

        def ask(self, *operations):
            return self.store.carry_out(operations)

        @rule(
            target=holds,
            names=st.lists(st.sampled_from([*LIMITS]), min_size=1, max_size=3),
            value=st.sampled_from(["u1", "u2"]),
            amount=st.integers(0, 6_000),
            lease=st.integers(1, 20),
        )
        def reserve(self, names, value, amount, lease):
            self.count += 1
            hold = f"h{self.count}"
            claims = tuple([
                Claim(name=name, value=value if name == "user" else "", per=per, limit=limit, hard=hard, amount=amount)
                for name in names
                for limit, per, hard in [LIMITS[name]]
            ])  # fmt: skip
            keys = {claim.key(self.now): claim for claim in claims}
            fits = all(not claim.hard or self.used(key) + amount <= claim.limit for key, claim in keys.items())
            (outcome,) = self.ask(Reserve(hold=hold, claims=claims, lease=lease * MINUTE))
            assert isinstance(outcome, Reserved if fits else Refused)
            if not fits:
                hard = [claim.limit - self.used(key) for key, claim in keys.items() if claim.hard]
                assert outcome.most == min(hard)
                return multiple()
            self.open[hold] = ([(key, amount) for key in keys], self.now + lease * MINUTE)
            return hold

        def used(self, key):
            reserved = sum(amount for parts, _ in self.open.values() for own, amount in parts if own == key)
            return reserved + self.spent.get(key, 0)

        @rule(hold=holds, actual=st.none() | st.integers(0, 8_000))
        def settle(self, hold, actual):
            (changed,) = self.ask(Settle(hold=hold, actual=actual))
            late = self.presumed.pop(hold, None)
            parts = late or self.open.pop(hold, ([], 0))[0]
            assert changed is bool(parts)
            for key, amount in parts:
                charged = amount if actual is None else actual
                self.spent[key] = self.spent.get(key, 0) + charged - (amount if late else 0)
                self.overrun[key] = self.overrun.get(key, 0) + max(charged - amount, 0)

        @rule(hold=holds)
        def release(self, hold):
            (changed,) = self.ask(Release(hold=hold))
            late = self.presumed.pop(hold, None)
            parts = late or self.open.pop(hold, ([], 0))[0]
            assert changed is bool(parts)
            for key, amount in parts:
                self.spent[key] = self.spent.get(key, 0) - (amount if late else 0)

        @rule(hold=holds, lease=st.integers(1, 20))
        def extend(self, hold, lease):
            (changed,) = self.ask(Extend(hold=hold, lease=lease * MINUTE))
            assert changed is (hold in self.open)
            if changed:
                self.open[hold] = (self.open[hold][0], self.now + lease * MINUTE)

        @rule(minutes=st.integers(1, 30) | st.just(24 * 60))
        def wait(self, minutes):
            self.now += minutes * MINUTE
            self.set_clock(self.now)

        @rule()
        def reap(self):
            late = [hold for hold, (_, end) in self.open.items() if end <= self.now]
            (count,) = self.ask(Reap())
            assert count == len(late)
            for hold in late:
                parts, _ = self.open.pop(hold)
                self.presumed[hold] = parts
                for key, amount in parts:
                    self.spent[key] = self.spent.get(key, 0) + amount

        @rule(first=consumes(holds), second=holds, actual=st.integers(0, 3_000))
        def several_in_one_transaction(self, first, second, actual):
            """Two settlements of the same hold and one of another: the same as one after the other."""
            known = {hold: hold in self.open or hold in self.presumed for hold in (first, second)}
            outcomes = self.ask(
                Settle(hold=first, actual=actual), Settle(hold=first, actual=7), Settle(hold=second, actual=actual)
            )
            assert outcomes == [known[first], False, known[second] and first != second]
            for hold in dict.fromkeys((first, second)):
                late = self.presumed.pop(hold, None)
                for key, amount in late or self.open.pop(hold, ([], 0))[0]:
                    self.spent[key] = self.spent.get(key, 0) + actual - (amount if late else 0)
                    self.overrun[key] = self.overrun.get(key, 0) + max(actual - amount, 0)

        @invariant()
        def the_accounts_agree_with_the_model_and_nothing_is_overspent(self):
            (accounts,) = self.ask(List())
            for account in accounts:
                parts = [part for held, _ in self.open.values() for part in held]
                assert account.reserved == sum(amount for key, amount in parts if key == account.key)
                assert account.spent == self.spent.get(account.key, 0)
                assert account.overrun == self.overrun.get(account.key, 0)
                assert min(account.spent, account.reserved, account.presumed, account.calls) >= 0
                if account.hard:
                    assert account.spent + account.reserved <= account.limit + account.overrun
            assert {*self.spent} <= {account.key for account in accounts}

        def teardown(self):
            self.store.close()

    return Machine


@pytest.mark.parametrize("kind", ["process", "sqlite", "postgres"])
def test_no_order_of_operations_breaks_the_laws(kind, tmp_path, request):
    count = iter(range(10**6))
    if kind == "postgres":
        place = place_of(request.getfixturevalue("postgres_url"), "test")
        cleaner = open_database(place)
        SQLBudgetStore(cleaner).carry_out([List()])

        def make():
            with cleaner.transaction() as transaction:
                transaction.change("DELETE FROM budget_account")
                transaction.change("DELETE FROM budget_hold")
            return stores(kind, place)
    else:

        def make():
            return stores(kind, place_of(str(tmp_path / f"{next(count)}.db"), "test"))

    examples = settings.default.max_examples if kind == "process" else settings.default.max_examples // 5
    run_state_machine_as_test(
        machine_for(make), settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )


@pytest.mark.parametrize("per", ["day", "week", "month"])
@given(now=st.integers(0, 4_000_000_000_000))
def test_windows_follow_each_other_without_a_gap_and_are_named_in_their_order(per, now):
    name, rest = window(per, now)
    assert rest > 0
    assert window(per, now + rest - 1) == (name, 1)
    following, length = window(per, now + rest)
    assert following > name
    assert DAY <= length <= 31 * DAY
    assert window(None, now) == ("", None)
