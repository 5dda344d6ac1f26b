"""What an attempt may cost is reserved in every budget that it counts in, before it is sent; or it is not sent.

The most that it may cost is found in three steps: what the request as it is sent may use (``dialects/_spending``), what
the catalog knows where it does not say, and the dearest price that may apply (``_costs/_bounds``). A hard budget takes
no less; a soft one counts what it is told.

How the hold ends is the scope's (``CallScope``): settled by the cost of the answer, released where nothing was billed
for certain, and else spent whole, for what was sent and lost may have been written to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ._accounting import priced_by
from ._budgets import Budget, usd_of
from ._call import CallScope, ModelCall
from ._costs._bounds import Most, Shape
from ._flow import Call, Step, Wait
from ._scope import together
from .dialects._spending import Spending, spending_of
from .errors import BudgetExceededError, BudgetUnavailableError, UnboundedCostError
from .limits._accounts import Claim, Refused, Reserve, Reserved
from .limits._hold import Hold
from .limits._till import Till
from .wire import WireRequest

if TYPE_CHECKING:
    from ._catalog import ModelInfo

__all__ = ["reserve"]

Spell = Callable[[ModelCall], WireRequest]

FEMTO_A_NANO = 10**6

GRACE, LONGEST_LEASE = 60.0, 3_600.0
"""Seconds for which a hold outlives the time that its call has left; and the most in all."""

LEAST_CAP = 16
"""Tokens: shorter answers are of no use, and OpenAI refuses to be asked for them."""
MOST_CAPS = 3
"""How often an answer is made shorter, while others spend what was left."""


class _Bound(Struct, frozen=True, kw_only=True, gc=False):
    """The most that an attempt may cost: in nano-dollars, or not known, for a reason."""

    amount: int
    most: Most
    spending: Spending
    output: int
    """Tokens that may be written."""
    reason: str = ""


def reserve(
    target: ModelCall, scope: CallScope, wire: WireRequest, spell: Spell
) -> Generator[Step, Any, WireRequest | None]:
    """Reserve for one attempt. What is given is to be sent in place of ``wire``: its answer is shorter (``cap``).

    Raises BudgetExceededError, BudgetUnavailableError and UnboundedCostError: then nothing is reserved.
    """
    tags = {**scope.settings.tags, **scope.call.tags}
    named = together(scope.call.budgets, target.budgets)
    budgets = tuple([budget for budget in named if budget.concerns(tags)])
    capped: WireRequest | None = None
    for _ in range(1 + MOST_CAPS if budgets else 0):
        bound = _bound_of(target, scope, capped or wire)
        if bound.reason:
            _refuse_unbounded(budgets, bound, target)
        refused = yield from _hold(budgets, bound, tags, target, scope)
        if refused is None:
            return capped
        budget, outcome = refused
        tokens = _affordable(bound, outcome, target, scope)
        if tokens is None:
            raise _exceeded(budget, bound, outcome)
        before = scope.changes
        target = replace(target, request=replace(target.request, max_tokens=tokens))
        capped = spell(target)
        if _bound_of(target, scope, capped).amount > outcome.most:  # a field of ``extra`` says otherwise
            scope.changes = before
            raise _exceeded(budget, bound, outcome)
        scope.changes += (f"max_tokens={tokens} sent: no more can be paid from what is left of {budget}",)
    if capped is not None:
        raise BudgetExceededError(
            f"{target.provider.id}: others spend what is left as fast as this call is cut to it: it was not sent; call "
            "again, or raise the limit"
        )
    return None


def _hold(
    budgets: tuple[Budget, ...], bound: _Bound, tags: Mapping[str, str], target: ModelCall, scope: CallScope
) -> Generator[Step, Any, tuple[Budget, Refused] | None]:
    """Reserve in all of them, or give the one that refuses, and why."""
    model = target.provider.id
    unknown = [budget for budget in budgets if not budget.knows(model)]
    if unknown:
        yield Call(partial(unknown[0].remember, model))
    lease = min(scope.deadline.remaining() + GRACE, LONGEST_LEASE)
    learn = partial(budgets[0].learn, model)
    hold = scope.hold = Hold(scope.new_hold_id(), bound.amount, lease, scope.moment(), learn)
    try:
        for till, group in _by_till(budgets).items():
            claims = tuple([budget.claim(tags, budget.amount(model, bound.amount)) for budget in group])
            outcome = yield from _ask(till, hold, claims)
            match outcome:
                case Refused():
                    _release(scope)
                    return group[outcome.claim], outcome
                case Reserved():
                    _warn_of([group[index] for index in outcome.exceeded], claims, outcome)
                case _:
                    group[0].unanswered()
    except BaseException:
        _release(scope)
        raise
    return None


def _ask(till: Till, hold: Hold, claims: tuple[Claim, ...]) -> Generator[Step, Any, Refused | Reserved | None]:
    """The outcome; None where none came and all are soft: then what the attempt costs is counted later."""
    pending = till.ask(Reserve(hold=hold.id, claims=claims, lease=hold.lease))
    hold.add(till)
    if till.waits:
        yield Wait(pending, pending.patience)
    try:
        outcome: Any = pending.outcome()
    except BudgetUnavailableError as error:
        if any(claim.hard for claim in claims):
            raise BudgetUnavailableError(f"{error.message}; a budget there is hard: this call was not sent") from None
        hold.count_later(claims)
        return None
    return outcome  # type: ignore[no-any-return]  # of a Reserve


def _by_till(budgets: tuple[Budget, ...]) -> dict[Till, list[Budget]]:
    """The budgets by where they are kept; what needs no waiting first."""
    groups: dict[Till, list[Budget]] = {}
    for budget in budgets:
        groups.setdefault(budget.till, []).append(budget)
    return dict(sorted(groups.items(), key=lambda group: group[0].waits))


def _release(scope: CallScope) -> None:
    hold, scope.hold = scope.hold, None
    if hold is not None:
        hold.release()


def _warn_of(exceeded: list[Budget], claims: tuple[Claim, ...], outcome: Reserved) -> None:
    for budget, index in zip(exceeded, outcome.exceeded, strict=True):
        budget.warn_exceeded(claims[index].value)


# The bound.


def _bound_of(target: ModelCall, scope: CallScope, wire: WireRequest) -> _Bound:
    provider, request, known = target.provider, target.request, target.provider.known
    spending = spending_of(wire.body, request, provider.wire.dialect)
    window = (known.context_window or known.max_input_tokens) if known else None
    output = 0
    if scope.call.operation == "generate":
        one = spending.output or ((known.max_output_tokens or window) if known else None)
        if one is None:
            return _unbounded(
                spending, "no max_tokens is given, and the catalog does not know how long an answer can be"
            )
        output = one * spending.answers + spending.beside
    read = _tokens_read(spending, window)
    if isinstance(read, str):
        return _unbounded(spending, read)
    most = scope.prices.most(
        provider.spec.prices,
        provider.model,
        _shape(spending, read, output, known),
        at=scope.started_at,
        asked=priced_by(request.extra) if request.extra else (),
        price=target.price,
    )
    if most.reason:
        return _unbounded(spending, most.reason)
    return _Bound(amount=-(-most.femto(output) // FEMTO_A_NANO), most=most, spending=spending, output=output)


def _unbounded(spending: Spending, reason: str) -> _Bound:
    return _Bound(amount=0, most=Most(), spending=spending, output=0, reason=reason)


def _tokens_read(spending: Spending, window: int | None) -> int | str:
    """How many tokens may be read; or why nobody knows."""
    if spending.rounds is None:
        return f"nobody says how often the provider uses {spending.tools}: give each tool max_uses, or max_tool_calls"
    if spending.input is not None and spending.rounds == 1:
        return spending.input
    if window is None:
        what = spending.tools or ", ".join(sorted(spending.media)) or "what the provider keeps"
        return f"nobody knows how many tokens are read because of {what}: the catalog does not know the model's window"
    return window * spending.rounds


_BUCKETS = {"Audio": frozenset({"input_audio"}), "Image": frozenset({"input_image"}), "Document": frozenset[str]()}
"""The buckets that what is no text certainly falls into."""
_MEDIA = frozenset({"input_audio", "cache_read_audio", "input_image"})


def _shape(spending: Spending, read: int, output: int, known: ModelInfo | None) -> Shape:
    certain = frozenset({"input"}).union(*[_BUCKETS[kind] for kind in spending.media])
    written = frozenset({"output", "reasoning"}) if output else frozenset[str]()
    if output and (spending.extra or (known and not _MADE.isdisjoint(known.outputs))):
        written |= {"output_audio", "output_image"}
    uses, tools = (spending.rounds or 1) - 1, spending.tools.lower()
    return Shape(
        input=read,
        read=certain,
        may_read=spending.caches | {"cache_write_5m"} | (_MEDIA if spending.media else frozenset()),
        written=written,
        web_searches=uses if "search" in tools.replace("file_search", "") else 0,
        file_searches=uses if "file_search" in tools else 0,
    )


_MADE = frozenset({"audio", "image"})


# Where it does not fit.


def _affordable(bound: _Bound, refused: Refused, target: ModelCall, scope: CallScope) -> int | None:
    """The longest answer that can be paid, where the call may be cut to it, and it is worth sending."""
    if scope.call.on_budget != "cap" or not bound.output or refused.most <= 0:
        return None
    affordable = bound.most.affordable(refused.most * FEMTO_A_NANO) - bound.spending.beside
    tokens = affordable // bound.spending.answers
    thoughts = target.request.reasoning if isinstance(target.request.reasoning, int) else 0
    return tokens if tokens >= LEAST_CAP + thoughts and tokens * bound.spending.answers < bound.output else None


def _exceeded(budget: Budget, bound: _Bound, refused: Refused) -> BudgetExceededError:
    of = f" of {refused.window}" if refused.window else ""
    less = f'give a smaller max_tokens (now {bound.output:,}), on_budget="cap", ' if bound.output else ""
    return BudgetExceededError(
        f"{budget}{of} has ${usd_of(max(refused.left, 0))} left of ${budget.limit}, and this attempt may cost up to "
        f"${usd_of(bound.amount)}: it was not sent; {less}or raise the limit",
        retry_after=None if refused.ends is None else refused.ends / 1000,
    )


def _refuse_unbounded(budgets: tuple[Budget, ...], bound: _Bound, target: ModelCall) -> None:
    hard = [budget for budget in budgets if budget.hard]
    if hard:
        raise UnboundedCostError(
            f"{target.provider.id}: {bound.reason}. Under a hard budget ({hard[0]}) nothing is sent whose cost "
            "nobody can bound; a soft one (hard=False) counts what it can"
        )
