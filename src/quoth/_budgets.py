"""Budget: how much may be spent, by whom, in which time; and the budgets of one ModelsAPI, wherever they are kept.

An anonymous budget lives as long as the object that it is, in this process. One with a name is kept in the ledger's
database, where one is configured, and shared by all processes that name it so; without one it lives in this process
too, and says so once.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast, get_args

from msgspec import Struct

from ._scope import Within, check_tags
from .errors import BudgetWarning, ConfigurationError, InputError, InputTypeError
from .limits._accounts import Account, Claim, List, Look, Per, Reap
from .limits._history import History
from .limits._process_budgets import ProcessStore, ProcessTill
from .limits._till import StoreTill, Till
from .transport._clock import time

if TYPE_CHECKING:
    from types import TracebackType

    from ._database import Place

__all__ = ["Budget", "BudgetState", "Budgets", "Estimating", "OnBudget", "nano_of", "usd_of"]

Estimating: TypeAlias = Literal["worst", "expected"]
"""What is reserved: the most that an attempt may cost, or twice what such attempts have cost so far."""
OnBudget: TypeAlias = Literal["raise", "cap"]

NANO = 10**9
MOST_USD = 10**9
"""The largest limit, in dollars: its nano-dollars and those of all that is spent beyond it fit into 64 bits."""
LONGEST_NAME = 200


def nano_of(name: str, value: Any) -> int:
    """Dollars, as decimal text, a Decimal or a whole number, in nano-dollars; raise where they are no amount."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise InputTypeError(f"{name} is dollars as a str or a Decimal, such as '5.00', not {type(value).__name__}")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise InputError(f"{name} is dollars such as '5.00', not {value!r:.80}") from None
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise InputError(f"{name} must be from 0 to {MOST_USD:,} dollars, not {value!s:.80}")
    nano = amount.scaleb(9)
    if nano != nano.to_integral_value():
        raise InputError(f"{name} has at most 9 decimals, unlike {value!s:.80}")
    return int(nano)


def usd_of(nano: int) -> Decimal:
    """Nano-dollars as an exact Decimal in dollars, at least to the cent."""
    whole, part = divmod(abs(nano), NANO)
    digits = f"{part:09}"
    return Decimal(f"{'-' if nano < 0 else ''}{whole}.{digits[:2]}{digits[2:].rstrip('0')}")


class BudgetState(Struct, frozen=True, kw_only=True, gc=False):
    """A budget in one window of time: exact dollars.

    ``spent`` is what its attempts have cost; ``reserved`` what those under way may cost at most. ``presumed`` is the
    part of ``spent`` that nobody stated: attempts that were sent and lost, processes that died. ``overrun`` is by how
    much answers have cost more than was reserved for them. ``calls`` counts attempts, ``refused`` those that were not
    sent, ``exceeded`` those that a soft budget let pass beyond its limit.
    """

    name: str | None
    value: str | None = None
    """The value of the tag that it is for, where there is one budget for each."""
    window: str | None = None
    """``2026-11-25``, ``2026-W48``, ``2026-11`` (UTC); None where it is one for all time."""
    limit: Decimal
    hard: bool
    spent: Decimal
    reserved: Decimal
    left: Decimal
    presumed: Decimal
    overrun: Decimal
    calls: int
    refused: int
    exceeded: int

    def __str__(self) -> str:
        which = ", ".join(filter(None, (self.value, self.window)))
        of = f" ({which})" if which else ""
        return f"{self.name or 'budget'}{of}: ${self.spent} of ${self.limit}, ${self.reserved} reserved"


def state_of(account: Account) -> BudgetState:
    """An account in dollars."""
    return BudgetState(
        name=account.name or None,
        value=account.value or None,
        window=account.window or None,
        limit=usd_of(account.limit),
        hard=account.hard,
        spent=usd_of(account.spent),
        reserved=usd_of(account.reserved),
        left=usd_of(account.limit - account.spent - account.reserved),
        presumed=usd_of(account.presumed),
        overrun=usd_of(account.overrun),
        calls=account.calls,
        refused=account.refused,
        exceeded=account.exceeded,
    )


class Budget:
    """How much may be spent: what ``models.budget`` makes. Pass it as ``budget=``, or enter it: ``with budget:``.

    It may be entered again, also inside itself, and in several threads and tasks at once. ``budget["u1"]`` is the one
    of a single value, where there is one for each (``by=``).
    """

    __slots__ = (
        "_budgets", "_limit", "_till", "_within", "by", "estimate", "hard", "limit", "name", "per", "tags", "value",
    )  # fmt: skip

    def __init__(
        self,
        budgets: Budgets,
        *,
        name: str | None,
        limit: int,
        per: Per | None = None,
        by: str | None = None,
        tags: Mapping[str, str] = {},
        hard: bool = True,
        estimate: Estimating = "worst",
        value: str = "",
        till: Till | None = None,
    ) -> None:
        self._budgets = budgets
        self._limit = limit
        self._till = till or (budgets.new_till() if name is None else None)
        self.name = name
        self.limit = usd_of(limit)
        self.per: Per | None = per
        self.by = by
        self.tags = tags
        self.hard = hard
        self.estimate: Estimating = estimate
        self.value = value
        self._within: Within[Budget] = Within(self, {}, None, self)

    def __enter__(self) -> Self:
        self._within.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._within.__exit__(kind, error, traceback)

    def __getitem__(self, value: str) -> Budget:
        """The one of this value of the tag. Where it is entered or passed it counts every call, whatever its tags."""
        if self.by is None:
            raise InputTypeError(f"{self} is one budget for all, and has none for {value!r:.80}")
        check_tags("budget", {self.by: value})
        return Budget(
            self._budgets,
            name=self.name,
            limit=self._limit,
            per=self.per,
            hard=self.hard,
            tags=self.tags,
            estimate=self.estimate,
            value=value,
            till=self._till,
        )

    @property
    def spent(self) -> Decimal:
        """What calls have cost in the present window, in dollars; where nobody stated it, what was reserved."""
        return self.state.spent

    @property
    def reserved(self) -> Decimal:
        """What calls that are under way may cost at most, in dollars."""
        return self.state.reserved

    @property
    def left(self) -> Decimal:
        """What may still be reserved, in dollars."""
        return self.state.left

    @property
    def state(self) -> BudgetState:
        """All of it, at one moment. Raises BudgetUnavailableError where its database does not answer."""
        if self.by is not None:
            raise InputError(f"{self} is one budget for each {self.by}: ask for a value's own, budget['...'].left")
        found = self.till.ask(Look(name=self.name or "", value=self.value, per=self.per)).wait()
        if not isinstance(found, Account):
            found = Account(name=self.name or "", value=self.value, window="", limit=0, hard=self.hard)
        found.limit = self._limit
        return state_of(found)

    @property
    def till(self) -> Till:
        """Where its holds are made and settled."""
        return self._till or self._budgets.till_of(self.name or "")

    def concerns(self, tags: Mapping[str, str]) -> bool:
        """Whether it counts a call with these tags."""
        return all(tags.get(name) == value for name, value in self.tags.items())

    def claim(self, tags: Mapping[str, str], amount: int) -> Claim:
        """What it has to say of a hold. Raises ConfigurationError where the call does not say whose it is."""
        value = self.value
        if self.by is not None:
            value = tags.get(self.by, "")
            if not value:
                raise ConfigurationError(
                    f"{self} is one budget for each {self.by}, and this call has no tag {self.by!r}: give "
                    f"tags={{{self.by!r}: ...}}, or `with models.tag({self.by}=...)`"
                )
        return Claim(name=self.name or "", value=value, per=self.per, limit=self._limit, hard=self.hard, amount=amount)

    def amount(self, model: str, most: int) -> int:
        """What it reserves for an attempt that may cost this much."""
        amount = most if self.estimate == "worst" else self._budgets.history.expected(model, most)
        return min(amount, MOST_USD * NANO)  # only a soft one is asked for more, and its database could not hold it

    def knows(self, model: str) -> bool:
        """Whether it can say what an attempt of this model is expected to cost, as far as anybody can."""
        return self.estimate == "worst" or self._budgets.history.knows(model)

    def remember(self, model: str) -> None:
        """Ask the ledger what calls of this model have cost. May wait for it."""
        self._budgets.history.remember(model, *self._budgets.recorded(model))

    def learn(self, model: str, most: int, actual: int) -> None:
        """Note what an attempt has cost that might have cost ``most``."""
        self._budgets.history.learn(model, most, actual)

    def warn_exceeded(self, value: str) -> None:
        """Say, once for each value, that it is exceeded."""
        of = f" for {value!r}" if value else ""
        self._budgets.warn(
            f"{self.name or id(self)}\t{value}", f"{self}{of} exceeds its ${self.limit}; it is soft, so calls go on"
        )

    def unanswered(self) -> None:
        """Count a call that was let pass because the database did not answer and the budget is soft."""
        self._budgets.unanswered += 1

    def __str__(self) -> str:
        return f"the budget {self.name!r}" if self.name else f"the budget of ${self.limit}"

    def __repr__(self) -> str:
        more = "".join([
            f", {name}={value!r}"
            for name, value in (("per", self.per), ("by", self.by), ("tags", dict(self.tags)))
            if value
        ])  # fmt: skip
        return f"Budget({str(self.limit)!r}, name={self.name!r}{more}, hard={self.hard})"


class Budgets:
    """The budgets of one ModelsAPI: who makes them, and where each is kept."""

    def __init__(self, place: Callable[[], Place | None], recorded: Callable[[str], tuple[int, int]]) -> None:
        self._place = place
        """Where the ledger is, if anywhere."""
        self.recorded = recorded
        """How many calls of a model stand there, and what they have cost, in nano-dollars."""
        self._process = self.new_till()
        self._shared: dict[str, StoreTill] = {}
        self._lock = allocate_lock()
        self._warned: set[str] = set()
        self.history = History()
        self.unanswered = 0
        """Calls that soft budgets let pass because their database did not answer; they are counted when it does."""

    def make(self, limit: Any, name: str | None, **fields: Any) -> Budget:
        """Check what ``models.budget`` was given, and make it."""
        amount = nano_of("the limit of a budget", limit)
        if name is not None:
            _check_name(name)
        for field, check in _CHECKS.items():
            if fields.get(field) is not None:
                check(fields[field])
        tags = check_tags("tags of a budget", fields.pop("tags") or {})
        return Budget(self, name=name, limit=amount, tags=tags, **fields)

    @staticmethod
    def new_till() -> ProcessTill:
        """A till of its own, in this process."""
        return ProcessTill(ProcessStore(time))

    def till_of(self, name: str) -> Till:
        """Where the holds of a budget of this name are made and settled."""
        shared = self._shared_till()
        if shared is None:
            self.warn(
                name,
                f"the budget {name!r} lives in this process only, and ends with it: set QUOTH_LEDGER to a file or "
                "database that keeps it, or leave out its name",
            )
        return shared or self._process

    def states(self) -> tuple[BudgetState, ...]:
        """All that have a name: of this process, and of the database, whoever uses them."""
        shared = self._shared_till()
        found: list[Account] = []
        for till in (self._process, shared):
            if till is not None:
                till.post(Reap())
                found += cast("tuple[Account, ...]", till.ask(List()).wait())
        return tuple([state_of(account) for account in found])

    def warn(self, matter: str, words: str) -> None:
        """Warn once of each matter."""
        with self._lock:
            if matter in self._warned or len(self._warned) > _MOST_WARNED:
                return
            self._warned.add(matter)
        from warnings import warn

        from ._catalog import depth_of_caller

        warn(words, BudgetWarning, stacklevel=depth_of_caller())

    def close(self) -> None:
        """Have settled what waits, and let go of the database; the next call opens it anew."""
        for till in self._shared.values():
            till.close()

    def _shared_till(self) -> Till | None:
        place = self._place()
        if place is None:
            return None
        key = f"{place.engine}:{place.target}"
        till = self._shared.get(key)
        if till is None:
            from ._database import open_database
            from .limits._sql_budgets import SQLBudgetStore

            with self._lock:
                till = self._shared.setdefault(
                    key, StoreTill(lambda: SQLBudgetStore(open_database(place, wait=WAIT)), f"the ledger {place}")
                )
        return till


WAIT = 0.2
"""Seconds that the database waits for another process: less than a caller does."""

_MOST_WARNED = 10_000


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise InputTypeError(f"the name of a budget is a str, not {type(name).__name__}")
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"the name of a budget has 1 to {LONGEST_NAME} printable characters, unlike {name!r:.80}")


def _one_of(name: str, words: tuple[str, ...]) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if value not in words:
            raise InputError(f"{name} of a budget is one of {', '.join(words)}, not {value!r:.80}")

    return check


def _check_by(by: Any) -> None:
    check_tags("by", {by: "value"})


def _check_hard(hard: Any) -> None:
    if not isinstance(hard, bool):
        raise InputTypeError(f"hard of a budget is True or False, not {hard!r:.80}")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "per": _one_of("per", get_args(Per)),
    "by": _check_by,
    "hard": _check_hard,
    "estimate": _one_of("estimate", get_args(Estimating)),
}
