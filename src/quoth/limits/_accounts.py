"""Money budgets, as bookkeeping: what is spent and reserved, and the few operations that change it. Pure.

An *account* is one budget in one window of time (and, where there is one budget for each value of a tag, for one
value). A *hold* is money that one attempt may cost at most, set aside in all its accounts before the attempt is sent.
Amounts are integers of nano-dollars (1e-9 USD), rounded up.

The laws, which every store keeps at every commit (``tests/test_budget_laws.py`` tries to break them):

1. A hold is admitted in all its accounts or in none: ``spent + reserved + amount <= limit`` in each that is hard.
2. So ``spent + reserved <= limit + overrun``, where ``overrun`` is what answers have cost beyond their holds.
3. A hold is closed once: settled (``spent`` grows by what it cost), or released (it certainly cost nothing). Whatever
   comes later, of anybody, changes nothing; but what a store was asked for in vain, and made all the same when nobody
   waited any more, is released, and then charged with the claims that its settlement carries.
4. A hold that nobody closes until its lease has passed counts as spent whole, *presumed*: its process may have died
   behind the request. If its settlement comes all the same, the presumption is corrected by the difference, once.
5. A hold settles into the window in which it was reserved.

An operation is carried out whole or not at all, and a store carries out several in order, in one transaction if it
likes. ``now`` is the store's own clock, in milliseconds since the epoch: processes need not agree on the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias, get_args

from msgspec import Struct
from msgspec.structs import replace

__all__ = [
    "Account",
    "Books",
    "BudgetStore",
    "Claim",
    "Extend",
    "HoldRow",
    "List",
    "Look",
    "Operation",
    "Outcome",
    "Per",
    "Reap",
    "Refused",
    "Release",
    "Reserve",
    "Reserved",
    "Settle",
    "claims_of",
    "holds_of",
    "key_of",
    "keys_of",
    "window",
    "windows",
]

Per: TypeAlias = Literal["day", "week", "month"]

HoldState: TypeAlias = Literal["open", "presumed", "settled", "released"]

MOST_LISTED = 10_000
"""Accounts that a store lists at once."""


# What is asked of a store.


class Claim(Struct, frozen=True, kw_only=True, gc=False):
    """What one budget has to say of a hold: where it counts, how much, and up to which limit."""

    name: str
    value: str = ""
    """The value of the tag that this account is for; empty where the budget is one for all."""
    per: Per | None = None
    limit: int
    hard: bool = True
    amount: int

    def key(self, now: int) -> str:
        """The account in whose window this moment lies."""
        return key_of(self.name, self.value, window(self.per, now)[0])


class Reserve(Struct, frozen=True, kw_only=True, gc=False):
    """Set money aside, in all these accounts or in none. The outcome is Reserved or Refused."""

    hold: str
    claims: tuple[Claim, ...]
    lease: int
    """Milliseconds after which the hold counts as spent."""


class Settle(Struct, frozen=True, kw_only=True, gc=False):
    """Close a hold: what it cost, or None where nobody knows: then it counts whole. The outcome: whether it changed.

    With ``claims`` a hold that the store has never seen, or that was released, is charged to them: the store did not
    answer when it was to be reserved.
    """

    hold: str
    actual: int | None
    claims: tuple[Claim, ...] = ()


class Release(Struct, frozen=True, kw_only=True, gc=False):
    """Close a hold that certainly cost nothing. The outcome: whether it changed anything."""

    hold: str


class Extend(Struct, frozen=True, kw_only=True, gc=False):
    """Let a hold's lease begin anew. The outcome: whether the hold is still open."""

    hold: str
    lease: int


class Reap(Struct, frozen=True, kw_only=True, gc=False):
    """Presume spent what is open beyond its lease. The outcome: how many holds these were."""


class Look(Struct, frozen=True, kw_only=True, gc=False):
    """The account of a budget in the present window, as it is; None where nothing was ever reserved in it."""

    name: str
    value: str = ""
    per: Per | None = None

    def key(self, now: int) -> str:
        """The account in whose window this moment lies."""
        return key_of(self.name, self.value, window(self.per, now)[0])


class List(Struct, frozen=True, kw_only=True, gc=False):
    """The accounts of a budget, or of all, those of windows that are past too; in the order of their keys."""

    name: str | None = None


Operation: TypeAlias = Reserve | Settle | Release | Extend | Reap | Look | List


class Reserved(Struct, frozen=True, kw_only=True, gc=False):
    """The hold is open."""

    exceeded: tuple[int, ...] = ()
    """Which claims are of soft budgets that are exceeded now, by their place."""


class Refused(Struct, frozen=True, kw_only=True, gc=False):
    """Nothing was reserved, for one of the claims does not fit."""

    claim: int
    left: int
    """Nano-dollars that are left in its account."""
    most: int
    """The largest amount that would fit into every hard account: the least that is left in any."""
    window: str
    ends: int | None
    """Milliseconds until its window ends, if it does."""


Outcome: TypeAlias = "Reserved | Refused | bool | int | Account | tuple[Account, ...] | None"


class BudgetStore(Protocol):
    """Where accounts and holds are kept: the one seam between budgets and a database.

    It may wait for a disk or a network; each operation is atomic over all its accounts, whoever else works on them.
    """

    def carry_out(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Carry out operations in this order and give their outcomes; raise where none of them was."""
        ...

    def close(self) -> None:
        """Let go of what is open; the next operation opens it anew."""
        ...


# Windows.


def window(per: Per | None, now: int) -> tuple[str, int | None]:
    """The window (UTC) in which a moment lies: its name, and the milliseconds until it ends."""
    if per is None:
        return "", None
    moment = datetime.fromtimestamp(now / 1000, UTC)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    name, end = _WINDOWS[per](day)
    return name, int(end.timestamp() * 1000) - now


def windows(now: int) -> set[str]:
    """The names of the windows in which a moment lies: of its day, its week and its month."""
    return {window(per, now)[0] for per in get_args(Per)}


def _day(day: datetime) -> tuple[str, datetime]:
    return f"{day:%Y-%m-%d}", day + timedelta(days=1)


def _week(day: datetime) -> tuple[str, datetime]:
    year, week, weekday = day.isocalendar()
    return f"{year}-W{week:02}", day + timedelta(days=8 - weekday)


def _month(day: datetime) -> tuple[str, datetime]:
    return f"{day:%Y-%m}", (day.replace(day=28) + timedelta(days=4)).replace(day=1)


_WINDOWS: dict[Per, Callable[[datetime], tuple[str, datetime]]] = {"day": _day, "week": _week, "month": _month}


def key_of(name: str, value: str, window: str) -> str:
    """The key of an account. No name holds a tab: it is not printable."""
    return f"{name}\t{value}\t{window}"


# The books.


class Account(Struct, kw_only=True, gc=False):
    """One budget in one window: nano-dollars, and counts."""

    name: str
    value: str
    window: str
    limit: int
    """As the last claim on it said."""
    hard: bool = True
    spent: int = 0
    reserved: int = 0
    presumed: int = 0
    """How much of ``spent`` nobody stated: attempts that were sent and lost, processes that died."""
    overrun: int = 0
    """By how much answers have cost more than was held for them."""
    calls: int = 0
    """Attempts that were settled."""
    refused: int = 0
    exceeded: int = 0
    """Attempts that were let pass beyond the limit of a soft budget."""

    @property
    def key(self) -> str:
        return key_of(self.name, self.value, self.window)

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.reserved


class HoldRow(Struct, kw_only=True, gc=False):
    """Money set aside: how much in which accounts, until when."""

    id: str
    state: HoldState = "open"
    parts: tuple[tuple[str, int], ...]
    """Accounts, by their keys, and the amount in each."""
    actual: int | None = None
    expires: int


class Books:
    """Accounts and holds: all there are of one process, or those that one transaction has loaded and locked."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.holds: dict[str, HoldRow] = {}
        self.changed_accounts: set[str] = set()
        self.changed_holds: set[str] = set()

    def carry_out(self, operation: Operation, now: int) -> Outcome:
        """Carry out one operation on the books as they are."""
        return _OPERATIONS[type(operation)](self, operation, now)

    def reserve(self, asked: Reserve, now: int) -> Outcome:
        if asked.hold in self.holds:  # a second time: it stands as it is
            return Reserved()
        accounts = [self._account(claim, now) for claim in asked.claims]
        needed: dict[str, int] = {}
        for account, claim in zip(accounts, asked.claims, strict=True):  # who names an account twice holds there once
            needed[account.key] = max(claim.amount, needed.get(account.key, 0))
        claimed = list(zip(accounts, asked.claims, strict=True))
        tight = [
            index
            for index, (account, claim) in enumerate(claimed)
            if claim.hard and needed[account.key] > _left(account, claim)
        ]
        if tight:
            return self._refuse(claimed, tight, now)
        for key, amount in needed.items():
            self.accounts[key].reserved += amount
        exceeded = tuple([index for index, (account, claim) in enumerate(claimed) if _left(account, claim) < 0])
        for index in exceeded:
            accounts[index].exceeded += 1
        self._keep(HoldRow(id=asked.hold, parts=tuple(needed.items()), expires=now + asked.lease))
        return Reserved(exceeded=exceeded)

    def _refuse(self, claimed: list[tuple[Account, Claim]], tight: list[int], now: int) -> Refused:
        for index in tight:
            claimed[index][0].refused += 1
        first = min(tight, key=lambda index: _left(*claimed[index]))
        account, claim = claimed[first]
        return Refused(
            claim=first,
            left=_left(account, claim),
            most=min([_left(*pair) for pair in claimed if pair[1].hard]),
            window=account.window,
            ends=window(claim.per, now)[1],
        )

    def settle(self, asked: Settle, now: int) -> Outcome:
        hold = self.holds.get(asked.hold)
        if hold is None or (hold.state == "released" and asked.claims):  # it was given up, and made all the same
            return bool(asked.claims) and self._charge(asked, now)
        if hold.state not in ("open", "presumed"):
            return False
        for key, amount in hold.parts:
            self._close(self._changed(key), hold.state, amount, asked.actual)
        hold.state, hold.actual = "settled", asked.actual
        self._keep(hold)
        return True

    @staticmethod
    def _close(account: Account, state: HoldState, amount: int, actual: int | None) -> None:
        """Put what an attempt cost in the place of what was held for it, or was presumed already."""
        if state == "open":
            account.reserved -= amount
        else:
            account.spent -= amount
            account.presumed -= amount
            account.calls -= 1
        account.spent += amount if actual is None else actual
        account.presumed += amount if actual is None else 0
        account.overrun += 0 if actual is None else max(actual - amount, 0)
        account.calls += 1

    def _charge(self, asked: Settle, now: int) -> bool:
        """Charge what was never reserved."""
        amounts = {self._account(claim, now).key: claim.amount for claim in asked.claims}
        for key, amount in amounts.items():
            account = self.accounts[key]
            account.reserved += amount
            self._close(account, "open", amount, asked.actual)
            account.overrun += amount if asked.actual is None else min(amount, asked.actual)  # all of it is
        self._keep(
            HoldRow(id=asked.hold, state="settled", parts=tuple(amounts.items()), actual=asked.actual, expires=now)
        )
        return True

    def release(self, asked: Release, now: int) -> Outcome:  # noqa: ARG002  # one form for all operations
        hold = self.holds.get(asked.hold)
        if hold is None or hold.state not in ("open", "presumed"):
            return False
        for key, amount in hold.parts:
            account = self._changed(key)
            if hold.state == "open":
                account.reserved -= amount
            else:
                account.spent -= amount
                account.presumed -= amount
                account.calls -= 1
        hold.state = "released"
        self._keep(hold)
        return True

    def extend(self, asked: Extend, now: int) -> Outcome:
        hold = self.holds.get(asked.hold)
        if hold is None or hold.state != "open":
            return False
        hold.expires = now + asked.lease
        self._keep(hold)
        return True

    def reap(self, asked: Reap, now: int) -> Outcome:  # noqa: ARG002  # as above
        late = [hold for hold in self.holds.values() if hold.state == "open" and hold.expires <= now]
        for hold in late:
            for key, amount in hold.parts:
                self._close(self._changed(key), "open", amount, None)
            hold.state = "presumed"
            self._keep(hold)
        return len(late)

    def look(self, asked: Look, now: int) -> Outcome:
        account = self.accounts.get(asked.key(now))
        return replace(account) if account else None  # the books go on changing

    def list(self, asked: List, now: int) -> Outcome:  # noqa: ARG002  # as above
        found = [replace(account) for account in self.accounts.values() if asked.name in (None, account.name)]
        return tuple(sorted(found, key=lambda account: account.key)[:MOST_LISTED])

    def _account(self, claim: Claim, now: int) -> Account:
        key = claim.key(now)
        account = self.accounts.get(key)
        if account is None:
            name = window(claim.per, now)[0]
            account = Account(name=claim.name, value=claim.value, window=name, limit=claim.limit, hard=claim.hard)
            self.accounts[key] = account
        account.limit, account.hard = claim.limit, claim.hard
        self.changed_accounts.add(key)
        return account

    def _changed(self, key: str) -> Account:
        self.changed_accounts.add(key)
        return self.accounts[key]

    def _keep(self, hold: HoldRow) -> None:
        self.holds[hold.id] = hold
        self.changed_holds.add(hold.id)


def _left(account: Account, claim: Claim) -> int:
    """What is left by the claim's own limit."""
    return claim.limit - account.spent - account.reserved


_OPERATIONS: dict[type, Callable[[Books, Any, int], Outcome]] = {
    Reserve: Books.reserve,
    Settle: Books.settle,
    Release: Books.release,
    Extend: Books.extend,
    Reap: Books.reap,
    Look: Books.look,
    List: Books.list,
}


def holds_of(operations: Sequence[Operation]) -> Iterator[str]:
    """The ids of the holds that operations name."""
    for operation in operations:
        if isinstance(operation, (Reserve, Settle, Release, Extend)):
            yield operation.hold


def keys_of(operations: Sequence[Operation], now: int) -> Iterator[str]:
    """The accounts that operations claim or look at."""
    for operation in operations:
        if isinstance(operation, (Reserve, Settle)):
            for claim in operation.claims:
                yield claim.key(now)
        elif isinstance(operation, Look):
            yield operation.key(now)


def claims_of(operations: Sequence[Operation]) -> Iterator[Claim]:
    """The claims that operations make."""
    for operation in operations:
        if isinstance(operation, (Reserve, Settle)):
            yield from operation.claims
