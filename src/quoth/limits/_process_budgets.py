"""Budgets that live in this process: their books are a dictionary, under one lock that is held for microseconds."""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Sequence
from os import getpid

from ._accounts import Books, BudgetStore, Operation, Outcome

__all__ = ["ProcessStore", "ProcessTill"]

MOST_ACCOUNTS = 100_000
"""Accounts that are kept; beyond it, those whose window is past make room."""


class ProcessStore(BudgetStore):
    """The books of one process. A forked child begins with what was spent, and with none of its parent's holds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._books = {getpid(): Books()}
        self._prune_at = MOST_ACCOUNTS

    def carry_out(self, operations: Sequence[Operation]) -> list[Outcome]:
        pid = getpid()
        books = self._books.get(pid) or self._inherit(pid)
        now = int(self._clock() * 1000)
        outcomes = [books.carry_out(operation, now) for operation in operations]
        if len(books.accounts) > self._prune_at:
            _drop_past_windows(books)
            self._prune_at = max(MOST_ACCOUNTS, 2 * len(books.accounts))
        for hold in books.changed_holds:  # nobody asks for one that is closed, but who closes it twice
            if books.holds[hold].state not in ("open", "presumed"):
                del books.holds[hold]
        books.changed_accounts.clear()
        books.changed_holds.clear()
        return outcomes

    def close(self) -> None:
        """There is nothing to let go of: what is spent is spent."""

    def _inherit(self, pid: int) -> Books:
        from msgspec.structs import replace

        inherited = next(iter(self._books.values())).accounts
        books = Books()
        books.accounts = {key: replace(account, reserved=0) for key, account in [*inherited.items()]}
        self._books = {pid: books}
        return books


def _drop_past_windows(books: Books) -> None:
    """Drop the accounts of all windows but the last of each budget, where nothing is reserved in them."""
    last: dict[tuple[str, str], str] = {}
    for account in books.accounts.values():
        owner = (account.name, account.value)
        last[owner] = max(account.window, last.get(owner, ""))
    books.accounts = {
        key: account
        for key, account in books.accounts.items()
        if account.reserved or account.window == last[account.name, account.value]
    }


class _Done:
    """An outcome that is there."""

    __slots__ = ("_outcome",)

    patience = 0.0

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def when_open(self, wake: Callable[[], None]) -> Callable[[], None] | None:  # noqa: ARG002  # it need not be woken
        return None

    def outcome(self) -> Outcome:
        return self._outcome

    wait = outcome


class ProcessTill:
    """Carries operations out at once. What garbage collection posts may have to wait for the next one."""

    waits = False

    def __init__(self, store: ProcessStore) -> None:
        self._store = store
        self._states = {getpid(): _State()}

    def ask(self, operation: Operation) -> _Done:
        """Carry it out, behind all that was posted."""
        state = self._state()
        with state.lock:
            outcome = self._store.carry_out([*_taken(state.posted), operation])[-1]
        return _Done(outcome)

    def post(self, operation: Operation) -> None:
        """Have it carried out. Never waits, and may be called by garbage collection in the middle of anything."""
        state = self._state()
        state.posted.append(operation)
        if state.lock.acquire(blocking=False):
            try:
                self._store.carry_out(_taken(state.posted))
            finally:
                state.lock.release()

    def close(self) -> None:
        """Nothing stays behind: what is posted is carried out at the latest before the next operation."""

    def _state(self) -> _State:
        pid = getpid()
        return self._states.get(pid) or self._states.setdefault(pid, _State())


class _State:
    """The lock of one process, and what waits to be carried out."""

    __slots__ = ("lock", "posted")

    def __init__(self) -> None:
        self.lock = allocate_lock()
        self.posted: deque[Operation] = deque()


def _taken(posted: deque[Operation]) -> list[Operation]:
    taken: list[Operation] = []
    while posted:
        taken.append(posted.popleft())  # only who holds the lock takes one
    return taken
