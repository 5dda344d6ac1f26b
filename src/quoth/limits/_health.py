"""How it goes with whom, lately: the gate of a key, the breaker of a model, the retry budget of a host.

A ``Lane`` is where a call passes: one model of one provider at one host with one key. It holds the gate that a
provider's "wait so long" has closed for all callers of that key, and shares the breaker with the other keys and the
budget with the other models. What is kept of a key is its hash, salted by the interpreter; no key.

One lock guards a process's state; it is held for a few additions, never while anything waits, and the same thread
may take it again (a signal handler may make a call). A forked child begins anew: what it would inherit may be held
by a thread that it does not have. A call that nothing stands against takes the lock not at all.

Nothing that must be given back is handed out. A call can end without a word (a stream that is dropped is ended by
garbage collection, which may not wait for a lock): so the gate lets callers pass by the clock, and the breaker lends
its one trial for a time.
"""

from __future__ import annotations

from _thread import RLock
from math import inf
from os import getpid
from typing import Any, Literal, TypeAlias, TypeVar

from msgspec import Struct

from ..errors import CircuitOpenError, QuothError
from ._retry import STRETCH

__all__ = ["Breaker", "Budget", "Gate", "GateState", "Health", "Lane", "LaneState", "Ticket"]

Kept = TypeVar("Kept")

KEPT = 1_024
"""Lanes, breakers and budgets that are remembered, of each; the oldest are forgotten first."""


# The gate.

LONGEST_CLOSED = 120.0
"""Seconds for which a gate stays closed, whatever was asked: then one caller learns how it stands."""

PACE = 0.25
"""The part of the wait after which, behind it, twice as many callers pass as before."""
SHORTEST_PACE, LONGEST_PACE = 0.005, 1.0
"""Seconds."""
DOUBLINGS = 10
"""After so many the gate is open, unless it is known how many are too many."""
GROWTH = 1.25
"""How many more callers pass in a period than in the one before, where none of these was refused."""
BACK = 0.5
"""And how many fewer, where one was."""
FEW = 8
"""So few say nothing of how many may pass, and so few always do."""

GateState: TypeAlias = Literal["open", "closed", "narrow"]

Ticket: TypeAlias = tuple[int, float]
"""Which closing a caller waits for, and how long behind its end it may pass."""


class Gate:
    """Closed for a while, then a narrow way, then open: so that not all who waited run into the next refusal.

    Behind the wait one caller passes, then two, then four. Where that is refused again, it is known how many were too
    many: from then on about so many pass in the time that the provider asks to wait, a few more in each such period,
    fewer after each refusal. Once callers come more slowly than that, the gate is open.
    """

    __slots__ = (
        "_begin", "_closings", "_lock", "_pace", "_passed", "_period", "_placed", "_size", "_taken", "closed_until",
        "is_open",
    )  # fmt: skip

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._closings = 0
        self._size = inf
        """How many pass in this period; not known until some were refused on the narrow way."""
        self._begin = 0.0
        """When this period begins, behind ``closed_until``."""
        self._placed = self._passed = 0
        """How many have a place in this period, and how many have passed since the gate was closed last."""
        self._taken = 0
        """How many of these the provider has answered."""
        self._pace = self._period = 0.0
        self.closed_until = 0.0
        self.is_open = True

    def close(self, now: float, seconds: float) -> None:
        """Hold all callers for so long."""
        seconds = min(seconds, LONGEST_CLOSED)
        with self._lock:
            if self.is_open:
                self._size, self._period = inf, 0.0
                self._narrow()
            elif now >= self.closed_until:
                many = self._size * BACK if self._begin else max(self._passed * BACK, self._taken)
                self._size = max(many, FEW) if self._begin or many >= FEW else self._size
                self._narrow()
            self.closed_until = max(self.closed_until, now + seconds)  # who waits already keeps its place
            self._period = max(self._period, seconds)
            self._pace = min(max(seconds * PACE, SHORTEST_PACE), LONGEST_PACE)
            self.is_open = False

    def _narrow(self) -> None:
        self._closings += 1
        self._begin, self._placed, self._passed, self._taken = 0.0, 0, 0, 0

    def wait(self, now: float, ticket: Ticket | None, most: float = inf) -> tuple[Ticket | None, float]:
        """The caller's place, and the seconds until its turn; zero or less: it may pass.

        Where these are more than ``most``, for who cannot wait so long, it has no place: that is another's.
        """
        with self._lock:
            before = self._begin, self._size, self._placed
            if ticket is None or ticket[0] != self._closings:
                ticket = self._closings, self._place()
            wait = self.closed_until + ticket[1] - now
            if wait > most:
                self._begin, self._size, self._placed = before
                return None, wait
            if -wait > (self._period if self._size < inf else self._pace * DOUBLINGS):
                self.is_open = True
            self._passed += wait <= 0
            return ticket, 0.0 if self.is_open else wait

    def state(self, now: float) -> GateState:
        """How it stands. On the narrow way it stays, once the wait is over, until a caller has found it open."""
        return "open" if self.is_open else "closed" if now < self.closed_until else "narrow"

    def succeeded(self) -> None:
        """Count a caller who passed and was answered."""
        self._taken += 1

    def _place(self) -> float:
        """The next place, as seconds behind the end of the wait."""
        if self._placed + 1 > self._size:
            self._begin += self._period
            self._size = self._size * GROWTH + 1
            self._placed = 0
        self._placed += 1
        if self._begin:
            return self._begin + self._period * self._placed / self._size
        return self._pace * (self._placed.bit_length() - 1)


# The breaker.

WINDOW = 30.0
"""Seconds over which failures are counted, in two halves."""
LEAST_CALLS = 20
"""Fewer calls in the window say nothing."""
WORST = 0.5
"""The part of them that may fail."""
FIRST_REST, LONGEST_REST = 5.0, 60.0
"""Seconds for which the breaker stays open; doubled with each trial that fails."""
TRIAL = 30.0
"""Seconds after which a trial that nobody has told the end of is taken for lost."""
PATIENCE = 10.0
"""Seconds that a call must have waited in vain for its deadline to speak against the provider."""

FAILURES = frozenset({"connection", "overloaded", "server", "timeout"})
"""Kinds that speak against the provider. A request that it refuses does not."""


class Breaker:
    """Open once half of the last calls failed; then one call at a time tries how it stands."""

    __slots__ = ("_calls", "_failed", "_lock", "_rest", "_trial_until", "_turn", "is_open", "open_until")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._calls, self._failed = [0, 0], [0, 0]
        """Of this half of the window, and of the one before."""
        self._turn = 0.0
        self._rest = FIRST_REST
        self._trial_until = 0.0
        self.is_open = False
        self.open_until = 0.0

    def admit(self, now: float) -> bool:
        """Let a call pass that is the trial of an open breaker: True. Raise CircuitOpenError where it may not."""
        with self._lock:
            if not self.is_open:
                return False
            until = max(self.open_until, self._trial_until)
            if now < until:
                raise CircuitOpenError(
                    "it failed too often just now, so this call was not sent; it is tried again in "
                    f"{until - now:.1f} s",
                    retry_after=until - now,
                )
            self._trial_until = now + TRIAL
            return True

    def succeeded(self, now: float, *, trial: bool) -> None:
        """Count a call that the provider took. Takes no lock: one that is lost between two threads changes no rate."""
        if now >= self._turn:
            self._turn_over(now)
        self._calls[0] += 1
        if trial:
            self._shut()

    def failed(self, now: float, *, trial: bool) -> None:
        """Count a call that failed; open where these are too many."""
        with self._lock:
            if now >= self._turn:
                self._turn_over(now)
            self._calls[0] += 1
            self._failed[0] += 1
            if trial:
                self._rest = min(self._rest * 2, LONGEST_REST)
                self._open(now)
            elif not self.is_open and sum(self._calls) >= LEAST_CALLS and self._rate() >= WORST:
                self._open(now)

    def lost(self) -> None:
        """The trial ended without an answer to the question: another may try at once."""
        self._trial_until = 0.0

    def _rate(self) -> float:
        return sum(self._failed) / sum(self._calls)

    def _open(self, now: float) -> None:
        self.is_open = True
        self.open_until = now + self._rest
        self._trial_until = 0.0

    def _shut(self) -> None:
        with self._lock:
            self.is_open = False
            self._rest = FIRST_REST
            self._calls, self._failed = [0, 0], [0, 0]

    def _turn_over(self, now: float) -> None:
        with self._lock:
            if now < self._turn:
                return
            stale = now >= self._turn + WINDOW / 2
            self._calls = [0, 0 if stale else self._calls[0]]
            self._failed = [0, 0 if stale else self._failed[0]]
            self._turn = now + WINDOW / 2


# The budget.

CAPACITY = 100.0
EARNED = 0.1
"""What a call that went well earns; a retry costs one."""
THROTTLED = 0.5
"""What a refusal for too many requests costs, where it does not say how long to wait: else the gate sees to it."""


class Budget:
    """Pays for the retries of one host, so that they stay a tenth of its calls where much of it fails."""

    __slots__ = ("_lock", "tokens")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.tokens = CAPACITY

    def take(self) -> bool:
        """Whether there is enough for one retry, which is then paid."""
        with self._lock:
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True

    def earn(self) -> None:
        with self._lock:
            self.tokens = min(self.tokens + EARNED, CAPACITY)

    def throttled(self) -> None:
        with self._lock:
            self.tokens = max(self.tokens - THROTTLED, 0.0)


# Where a call passes.


class Lane:
    """The gate of one key, and what it shares with other keys and models. ``clear`` where nothing stands against it."""

    __slots__ = ("breaker", "budget", "gate")

    def __init__(self, gate: Gate, breaker: Breaker, budget: Budget) -> None:
        self.gate = gate
        self.breaker = breaker
        self.budget = budget

    @property
    def clear(self) -> bool:
        return self.gate.is_open and not self.breaker.is_open

    def pays_for(self, error: QuothError) -> bool:
        """Whether there may be a retry after this error; one that the gate lets pass in its turn is free."""
        return bool(error.kind == "rate_limit" and error.retry_after) or self.budget.take()

    def succeeded(self, now: float, *, trial: bool = False) -> None:
        """Note a call that the provider answered."""
        if not self.gate.is_open:
            self.gate.succeeded()
        self.breaker.succeeded(now, trial=trial)
        if self.budget.tokens < CAPACITY:
            self.budget.earn()

    def failed(self, error: QuothError, now: float, seconds: float, *, draw: float, trial: bool = False) -> None:
        """Note one that failed after so many seconds."""
        kind = error.kind
        if kind in FAILURES or (kind == "deadline" and seconds >= PATIENCE):
            self.breaker.failed(now, trial=trial)
        elif error.status is not None:
            self.breaker.succeeded(now, trial=trial)  # it answered, if only with a no
        elif trial:
            self.breaker.lost()
        if kind == "rate_limit" and error.retry_after:
            self.gate.close(now, error.retry_after * (1 + STRETCH * draw))
        elif kind == "rate_limit":
            self.budget.throttled()


class LaneState(Struct, frozen=True, kw_only=True, gc=False):
    """How it goes at one lane, at one moment."""

    model: str
    """Canonical: ``provider/model``, as it was asked for."""
    gate: GateState
    breaker_open: bool
    budget: float
    """What is left of the retry budget of its host, from 0 to 1."""


class _State:
    """What one process knows."""

    __slots__ = ("breakers", "budgets", "lanes", "lock")

    def __init__(self) -> None:
        self.lock = RLock()
        self.lanes: dict[tuple[str, str, int], Lane] = {}
        self.breakers: dict[tuple[str, str], Breaker] = {}
        self.budgets: dict[str, Budget] = {}

    def make(self, model: str, host: str, key: int) -> Lane:
        with self.lock:
            breaker = _kept(self.breakers, (model, host), Breaker(self.lock))
            budget = _kept(self.budgets, host, Budget(self.lock))
            return _kept(self.lanes, (model, host, key), Lane(Gate(self.lock), breaker, budget))


def _kept(known: dict[Any, Kept], key: Any, new: Kept) -> Kept:
    """What is known under the key, else the new one, for which the oldest makes room."""
    found = known.setdefault(key, new)
    if len(known) > KEPT:
        del known[next(iter(known))]
    return found


class Health:
    """Finds the lane of a call. A hit takes no lock."""

    __slots__ = ("_states",)

    def __init__(self) -> None:
        self._states = {getpid(): _State()}

    def lane(self, model: str, host: str, key: str | None) -> Lane:
        """Where calls of this canonical model id at this host with this key pass."""
        pid = getpid()
        state = self._states.get(pid) or self._states.setdefault(pid, _State())
        return state.lanes.get((model, host, hash(key))) or state.make(model, host, hash(key))

    def states(self, now: float) -> list[LaneState]:
        """How it goes at each lane of this process, ``now`` on the clock of the calls. Takes no lock."""
        state = self._states.get(getpid())
        return [
            LaneState(
                model=model,
                gate=lane.gate.state(now),
                breaker_open=lane.breaker.is_open,
                budget=lane.budget.tokens / CAPACITY,
            )
            for (model, _, _), lane in ([*state.lanes.items()] if state else ())
        ]
