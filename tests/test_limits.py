"""The rules of trying again, and what is remembered of whom it went badly with: laws over values, told the time."""

import gc
import heapq
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from quoth.errors import (
    KINDS,
    APIStatusError,
    BudgetExceededError,
    CircuitOpenError,
    LimitError,
    QuothError,
    RunLimitError,
)
from quoth.limits import RetryPolicy
from quoth.limits._health import (
    CAPACITY,
    DOUBLINGS,
    FIRST_REST,
    KEPT,
    LEAST_CALLS,
    LONGEST_CLOSED,
    LONGEST_REST,
    PATIENCE,
    TRIAL,
    WINDOW,
    Budget,
    Health,
)
from quoth.limits._retry import FALLS_BACK, STRETCH, Tries, falls_back, most_useful, next_wait

TIMES = st.floats(0, 1e6)
DRAWS = st.floats(0, 1)
POLICIES = st.builds(
    RetryPolicy,
    retries=st.integers(0, 6),
    retries_if_billed=st.integers(0, 6),
    backoff=st.floats(0, 10),
    longest_backoff=st.floats(0, 100),
    longest_wait=st.floats(0, 1000),
)
ERRORS = st.builds(
    lambda cls, hint, retryable: cls("x", retry_after=hint, retryable=retryable),
    st.sampled_from(sorted(KINDS.values(), key=lambda cls: cls.kind)),
    st.none() | st.floats(0, 2000),
    st.none() | st.booleans(),
)


DEFAULT = RetryPolicy()


def wait_of(error, policy=DEFAULT, tries=None, *, billed=False, remaining=600.0, draw=1.0):
    return next_wait(policy, tries or Tries(), error, billed=billed, remaining=remaining, draw=draw)


def failing(kind, **fields):
    return KINDS[kind]("x", **fields)


# How long to wait.


@given(POLICIES, ERRORS, st.booleans(), TIMES, DRAWS, st.builds(Tries, st.integers(0, 8), st.integers(0, 8)))
def test_a_wait_ends_before_the_deadline_and_is_at_least_what_was_asked(policy, error, billed, remaining, draw, tries):  # noqa: PLR0917
    wait = next_wait(policy, tries, error, billed=billed, remaining=remaining, draw=draw)
    if isinstance(wait, str):
        assert wait in ("kind", "retries", "billed", "hint", "deadline")
        return
    assert 0 <= wait < remaining
    assert tries.retries < policy.retries
    assert not billed or tries.after_billed < policy.retries_if_billed
    assert wait >= (error.retry_after or 0)
    assert (error.retry_after or 0) <= policy.longest_wait
    assert wait <= max(policy.longest_backoff, (error.retry_after or 0) * (1 + STRETCH))


@given(POLICIES, ERRORS, st.booleans(), TIMES, DRAWS)
def test_a_call_is_never_tried_more_often_than_its_policy_says(policy, error, billed, remaining, draw):
    tries, made = Tries(), 0
    while not isinstance(next_wait(policy, tries, error, billed=billed, remaining=remaining, draw=draw), str):
        made += 1
        tries.retries += 1
        tries.after_billed += billed
        assert made <= 6
    assert made <= (min(policy.retries, policy.retries_if_billed) if billed else policy.retries)


@pytest.mark.parametrize("kind", ["quota", "authentication", "permission_denied", "bad_request", "context_length",
                                  "content_blocked", "request_too_large", "not_found", "model_not_found", "deadline",
                                  "missing_key", "circuit_open", "local_rate_limit", "closed", "protocol"])  # fmt: skip
def test_what_waiting_does_not_mend_is_not_tried_again(kind):
    assert wait_of(failing(kind)) == "kind"


@pytest.mark.parametrize(
    ("kind", "most"), [("connection", 0.5), ("server", 0.5), ("rate_limit", 1.0), ("overloaded", 2.0)]
)
def test_the_first_wait_is_any_part_of_a_base_that_is_longer_where_the_provider_is_short_of_room(kind, most):
    assert wait_of(failing(kind), draw=0.0) == 0
    assert wait_of(failing(kind), draw=0.5) == most / 2
    assert wait_of(failing(kind), draw=1.0) == most


def test_waits_double_up_to_the_longest():
    policy = RetryPolicy(retries=12)
    waits = [wait_of(failing("server"), policy, Tries(n)) for n in range(9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]


def test_a_hint_is_stretched_so_that_callers_who_were_told_the_same_come_apart():
    waits = {wait_of(failing("rate_limit", retry_after=10.0), draw=draw) for draw in (0.0, 0.5, 1.0)}
    assert waits == {10.0, 10.5, 11.0}


def test_a_hint_that_is_too_long_ends_the_tries_at_once():
    assert wait_of(failing("rate_limit", retry_after=121.0)) == "hint"
    assert wait_of(failing("rate_limit", retry_after=30.0), remaining=20.0) == "deadline"
    assert wait_of(failing("rate_limit", retry_after=1.0), RetryPolicy(longest_wait=0)) == "hint"


def test_an_answer_of_nothing_at_all_is_asked_for_again_and_a_strange_one_is_not():
    assert wait_of(failing("unreadable", body=b" \r\n"), billed=True) == 0.5
    assert wait_of(failing("unreadable", body=b"<html>"), billed=True) == "kind"
    assert wait_of(failing("stream_interrupted"), billed=True) == 0.5


# Whose turn is next.


def test_every_kind_is_known_to_fall_back_or_not():
    assert set(KINDS) >= FALLS_BACK
    stay = {"bad_request", "request_too_large", "content_blocked", "conflict", "deadline", "closed", "not_built",
            "limit", "error", "budget_unavailable", "run_limit", "output", "output_invalid",
            "output_refused"}  # fmt: skip
    yours = {kind for kind, cls in KINDS.items() if issubclass(cls, ValueError)}
    assert set(KINDS) - FALLS_BACK == stay | yours


def test_a_wrong_key_is_wrong_for_all_models_of_its_provider():
    assert falls_back(failing("authentication"), same_provider=False)
    assert not falls_back(failing("authentication"), same_provider=True)
    assert falls_back(failing("quota"), same_provider=True)


@pytest.mark.parametrize(
    ("kinds", "raised"),
    [
        (["overloaded", "server"], 0),
        (["overloaded", "model_not_found"], 1),
        (["quota", "rate_limit"], 0),
        (["circuit_open", "overloaded"], 1),
        (["circuit_open", "local_rate_limit"], 0),
        (["rate_limit", "deadline"], 0),
        (["circuit_open", "missing_key", "timeout"], 1),
    ],
)
def test_the_error_that_is_raised_is_the_one_to_act_upon(kinds, raised):
    errors = [failing(kind) for kind in kinds]
    assert most_useful(errors) is errors[raised]


# The gate.


def lane(health=None, model="openai/gpt-4", host="h", key="k"):
    return (health or Health()).lane(model, host, key)


def limited(seconds):
    return failing("rate_limit", retry_after=seconds, status=429)


@given(st.floats(0.001, 1e4), DRAWS, st.integers(1, 300))
def test_after_a_limit_nobody_passes_before_its_end_and_then_twice_as_many_in_each_step(seconds, draw, callers):
    way = lane()
    way.failed(limited(seconds), 1000.0, 0.1, draw=draw)
    assert not way.clear
    waits = [way.gate.wait(1000.0, None)[1] for _ in range(callers)]
    least = min(seconds, LONGEST_CLOSED)
    assert waits[0] >= least - 1e-6
    assert waits == sorted(waits)
    steps = sorted({round(wait, 6) for wait in waits})
    for number, step in enumerate(steps[:-1]):
        assert sum(abs(wait - step) < 1e-5 for wait in waits) == 2**number
    assert waits[-1] <= least * (1 + STRETCH) + DOUBLINGS


def test_who_waits_keeps_its_place_while_the_gate_stays_closed():
    gate = lane().gate
    gate.close(0.0, 10.0)
    first, wait = gate.wait(0.0, None)
    second, later = gate.wait(0.0, None)
    assert (wait, later) == (10.0, 11.0)
    gate.close(1.0, 20.0)
    assert gate.wait(1.0, first) == (first, 20.0)
    assert gate.wait(1.0, second)[1] > 20.0


def test_who_wakes_and_finds_the_gate_closed_again_waits_again():
    gate = lane().gate
    gate.close(0.0, 10.0)
    scout, _ = gate.wait(0.0, None)
    held, wait = gate.wait(0.0, None)
    assert gate.wait(10.0, scout) == (scout, 0.0)
    gate.close(10.1, 10.0)
    _, again = gate.wait(wait, held)
    assert again > 0


def test_a_gate_that_stood_open_long_enough_is_forgotten():
    way = lane()
    way.gate.close(0.0, 1.0)
    assert not way.clear
    assert way.gate.wait(1.1 + DOUBLINGS * 0.25, None)[1] <= 0
    assert way.clear


def test_who_cannot_wait_for_its_turn_takes_nobodys_place():
    gate = lane().gate
    gate.close(0.0, 10.0)
    for _ in range(1_000):
        assert gate.wait(0.0, None, most=5.0) == (None, 10.0)
    assert gate.wait(0.0, None, most=20.0)[1] == 10.0
    assert gate.wait(0.0, None, most=20.0)[1] == 11.0


def run_against(gate, *, capacity, window, callers, latency):
    """Callers who all come at once to a server that takes so many in a window. How many requests, how many seconds."""
    taken, requests, now = {}, 0, 0.0
    waiting = [(0.0, number, None) for number in range(callers)]
    pending = list[tuple[float, int, float]]()  # replies under way: when, whose, the wait that they state (0: answered)
    heapq.heapify(waiting)
    while waiting or pending:
        if not waiting or (pending and pending[0][0] <= waiting[0][0]):
            now, number, stated = heapq.heappop(pending)
            if stated:
                gate.close(now, stated)
                heapq.heappush(waiting, (now + stated, number, None))
            elif not gate.is_open:
                gate.succeeded()
            continue
        now, number, ticket = heapq.heappop(waiting)
        ticket, wait = (None, 0.0) if gate.is_open else gate.wait(now, ticket)
        if wait > 0:
            heapq.heappush(waiting, (now + wait, number, ticket))
            continue
        requests += 1
        turn = int(now / window)
        taken[turn] = taken.get(turn, 0) + 1
        stated = max((turn + 1) * window - now, 0.001) if taken[turn] > capacity else 0.0
        heapq.heappush(pending, (now + latency, number, stated))
        assert requests < 100 * callers
    return requests, now


@given(st.integers(10, 100), st.floats(0.1, 60), st.integers(20, 400), st.floats(0.001, 0.2))
def test_many_callers_at_a_server_that_takes_few_are_let_through_at_its_pace(capacity, window, callers, part):
    """Without a gate all who are left would come in each window: callers / capacity / 2 refusals for each of them."""
    gate = lane().gate
    requests, seconds = run_against(gate, capacity=capacity, window=window, callers=callers, latency=part * window)
    assert requests - callers <= 4 * callers
    assert seconds <= window * (2 * callers / capacity + 3)


def test_an_absurd_wait_closes_the_gate_for_two_minutes():
    way = lane()
    way.failed(limited(1e9), 0.0, 0.1, draw=0.0)
    assert way.gate.wait(0.0, None)[1] == LONGEST_CLOSED


def test_a_limit_without_a_wait_closes_no_gate():
    way = lane()
    way.failed(failing("rate_limit", status=429), 0.0, 0.1, draw=0.5)
    way.failed(limited(0.0), 0.0, 0.1, draw=0.5)
    way.failed(failing("overloaded", retry_after=5.0, status=503), 0.0, 0.1, draw=0.5)
    assert way.clear


def test_a_gate_is_of_one_model_and_one_key():
    health = Health()
    lane(health).gate.close(0.0, 10.0)
    assert not lane(health).clear
    assert lane(health, model="openai/gpt-5").clear
    assert lane(health, key="another").clear
    assert lane(health, host="elsewhere").clear


# The breaker.


def break_(way, calls=LEAST_CALLS, now=0.0, kind="server"):
    for _ in range(calls):
        way.failed(failing(kind), now, 1.0, draw=0.5)


@pytest.mark.parametrize("kind", ["server", "overloaded", "timeout", "connection"])
def test_the_breaker_opens_where_half_of_the_last_calls_failed_and_says_for_how_long(kind):
    way = lane()
    break_(way, LEAST_CALLS - 1, kind=kind)
    assert way.clear
    break_(way, 1, kind=kind)
    assert not way.clear
    with pytest.raises(CircuitOpenError) as caught:
        way.breaker.admit(1.0)
    assert caught.value.retry_after == FIRST_REST - 1.0


@pytest.mark.parametrize("kind", sorted(kind for kind, cls in KINDS.items() if issubclass(cls, APIStatusError)
                                        and kind not in ("server", "overloaded")))  # fmt: skip
def test_a_providers_no_never_opens_the_breaker(kind):
    way = lane()
    for _ in range(10 * LEAST_CALLS):
        way.failed(failing(kind, status=400), 0.0, 1.0, draw=0.5)
    assert not way.breaker.is_open


def test_it_stays_shut_while_most_calls_succeed():
    way = lane()
    for _ in range(LEAST_CALLS):
        way.succeeded(0.0)
        way.succeeded(0.0)
    break_(way, 2 * LEAST_CALLS - 1)
    assert way.clear
    break_(way, 1)
    assert not way.clear


def test_failures_that_are_older_than_the_window_are_forgotten():
    way = lane()
    break_(way, LEAST_CALLS - 1, now=0.0)
    break_(way, 1, now=WINDOW + 1)
    assert way.clear


def test_a_deadline_speaks_against_the_provider_only_where_it_was_given_time():
    hasty, patient = lane(), lane()
    for _ in range(LEAST_CALLS):
        hasty.failed(failing("deadline"), 0.0, PATIENCE - 0.1, draw=0.5)
        patient.failed(failing("deadline"), 0.0, PATIENCE, draw=0.5)
    assert hasty.clear
    assert not patient.clear


def test_after_its_rest_one_trial_passes_and_the_others_are_refused():
    breaker = lane().breaker
    way = lane()
    break_(way)
    breaker = way.breaker
    assert breaker.admit(FIRST_REST) is True
    for _ in range(5):
        with pytest.raises(CircuitOpenError):
            breaker.admit(FIRST_REST + 1)
    way.succeeded(FIRST_REST + 2, trial=True)
    assert way.clear
    assert breaker.admit(FIRST_REST + 2) is False


def test_each_trial_that_fails_doubles_the_rest():
    way = lane()
    break_(way)
    now, rests = 0.0, []
    for _ in range(6):
        rests.append(way.breaker.open_until - now)
        now = way.breaker.open_until
        assert way.breaker.admit(now)
        way.failed(failing("connection"), now, 1.0, draw=0.5, trial=True)
    assert rests == [5.0, 10.0, 20.0, 40.0, LONGEST_REST, LONGEST_REST]


def test_a_trial_that_was_answered_with_a_no_shuts_it():
    way = lane()
    break_(way)
    way.breaker.admit(FIRST_REST)
    way.failed(failing("bad_request", status=400), FIRST_REST, 0.1, draw=0.5, trial=True)
    assert way.clear


def test_a_trial_that_ends_without_a_word_makes_room_for_another():
    way = lane()
    break_(way)
    assert way.breaker.admit(FIRST_REST)
    with pytest.raises(CircuitOpenError):
        way.breaker.admit(FIRST_REST + TRIAL - 0.1)
    assert way.breaker.admit(FIRST_REST + TRIAL)
    way.breaker.lost()
    assert way.breaker.admit(FIRST_REST + TRIAL + 0.1)


def test_what_still_comes_in_of_calls_from_before_changes_nothing():
    way = lane()
    break_(way)
    until = way.breaker.open_until
    way.failed(failing("server"), 1.0, 1.0, draw=0.5)
    way.succeeded(1.0)
    assert (way.breaker.is_open, way.breaker.open_until) == (True, until)


def test_of_200_threads_at_an_open_breaker_one_is_let_through():
    way = lane()
    break_(way)
    together, passed = threading.Barrier(64), []

    def come(_):
        together.wait(10)
        try:
            passed.append(way.breaker.admit(FIRST_REST))
        except CircuitOpenError:
            return

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(come, range(64)))
    assert passed == [True]


# The budget.


class BudgetMachine(RuleBasedStateMachine):
    """However calls end, retries stay within what was there plus a tenth of what went well."""

    def __init__(self):
        super().__init__()
        self.budget = Budget(threading.RLock())
        self.paid = self.earned = 0

    @rule()
    def retry(self):
        before = self.budget.tokens
        assert self.budget.take() == (before >= 1)
        self.paid += before >= 1

    @rule()
    def succeed(self):
        self.budget.earn()
        self.earned += 1

    @rule()
    def be_refused(self):
        self.budget.throttled()

    @precondition(lambda self: self.budget.tokens > 50)
    @rule()
    def drain(self):
        for _ in range(50):
            self.retry()

    @invariant()
    def bounded(self):
        assert 0 <= self.budget.tokens <= CAPACITY
        assert self.paid <= CAPACITY + self.earned * 0.1 + 1e-6


TestBudget = BudgetMachine.TestCase


def test_a_budget_is_shared_by_the_models_of_a_host_and_by_no_other():
    health = Health()
    assert lane(health).budget is lane(health, model="openai/gpt-5", key="other").budget
    assert lane(health).budget is not lane(health, host="elsewhere").budget
    assert lane(health).breaker is lane(health, key="other").breaker


# What is kept.


def test_what_is_remembered_is_bounded_and_holds_no_key():
    health = Health()
    for number in range(2 * KEPT):
        lane(health, model=f"m/{number}", host=f"h{number}", key=f"sk-secret-{number:020}")
    (state,) = health._states.values()
    assert len(state.lanes) == len(state.breakers) == len(state.budgets) == KEPT
    assert lane(health, model=f"m/{2 * KEPT - 1}", host=f"h{2 * KEPT - 1}", key=f"sk-secret-{2 * KEPT - 1:020}") in (
        state.lanes.values()
    )
    assert "sk-secret" not in repr(list(state.lanes)) + repr(list(state.breakers)) + repr(list(state.budgets))


def test_a_signal_or_a_finalizer_may_come_in_between():
    """The same thread may take the lock again: what is interrupted there must not wait for itself."""
    way = lane()

    class Late:
        def __del__(self):
            way.failed(limited(1.0), 0.0, 0.1, draw=0.5)
            way.budget.take()

    with way.gate._lock:
        late = Late()
        del late
        gc.collect()
    assert not way.clear


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_begins_anew_though_a_thread_of_its_parent_held_the_lock():
    health = Health()
    way = lane(health)
    way.gate.close(0.0, 60.0)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with way.gate._lock:
            holding.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    child = os.fork()
    if child == 0:
        fresh = lane(health)
        fresh.failed(limited(1.0), 0.0, 0.1, draw=0.5)
        os._exit(0 if not fresh.clear and fresh is not way else 1)
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0


def test_held_back_calls_say_that_nothing_was_sent():
    final = (BudgetExceededError, RunLimitError)
    for cls in (LimitError, *LimitError.__subclasses__()):
        assert (cls.sent, cls.billed, cls.retryable) == ("no", "no", cls not in final)
        assert issubclass(cls, QuothError)
    assert replace(RetryPolicy(), retries=0) == RetryPolicy(retries=0)
