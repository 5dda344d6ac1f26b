"""One call: what was asked, by which targets it may be answered, and its scope, from which its one record is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ._flow import Scope
from ._scope import Counter
from ._settings import Settings, policy_of, timeout_of
from .errors import SHORTEST_KEY, APIStatusError, QuothError, Sent
from .events import ResponseStart, StreamEvent
from .instrumentation._journal import Journal
from .instrumentation._record import CallRecord, Operation, new_call_id
from .providers._address import Given
from .providers._provider import AnswerReader, Provider
from .providers._spec import CheckLevel
from .types import Attempt, CallDetails, Cost, CostTotal, Ending, ModelRequest, Response, RetryPolicy, Usage
from .wire import Headers, WireReply, request_id

if TYPE_CHECKING:
    from ._budgets import Budget, OnBudget
    from ._costs import OwnPrice, Prices
    from ._output import Form, Reading
    from ._proving import Prover
    from .instrumentation._hooks import Hooks, Watch
    from .limits._health import Health, Lane
    from .limits._hold import Hold

__all__ = ["CallScope", "ModelCall"]


class ModelCall(Struct, frozen=True, kw_only=True, gc=False):
    """One call as the API hands it over, or a further target of one. Its repr shows no key and no header."""

    provider: Provider
    request: ModelRequest
    dialect: str | None = None
    """The wire that the caller asked for."""
    check: CheckLevel = "warn"
    given: Given = Given()
    headers: Headers = ()
    price: OwnPrice | None = None
    """The prices of this target, over all others."""
    retries: RetryPolicy | None = None
    """None: as the settings say."""
    output: Form | None = None
    """What the answer must be, where the caller asked for more than text."""
    budgets: tuple[Budget, ...] = ()
    """What may be spent; those of the call hold for its fallbacks too."""
    on_budget: OnBudget = "raise"
    fallback: tuple[ModelCall, ...] = ()
    """Who may answer in its place, in this order; only the fields above this one count in them."""
    repairs: int = 0
    """How often an answer that is not ``output`` is asked for again."""
    timeout: float | None = None
    tags: Mapping[str, str] = {}
    counters: tuple[Counter, ...] = ()
    """Who is told of its record, beside the journal."""
    parent: str | None = None
    """The id of the call that this one is made for."""
    operation: Operation = "generate"
    origin: Any = None
    """Where a stream was made, if anybody watches: it may begin elsewhere."""

    def __repr__(self) -> str:
        return f"ModelCall({self.provider.id!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("provider", self.provider.id)]


class CallScope(Scope):
    """One call's clock and facts, from which its one record is made."""

    __slots__ = (
        "_attempt_began",
        "_attempts",
        "_first_output",
        "_headers",
        "_holds",
        "_hooks",
        "_journal",
        "_listeners",
        "_reached",
        "_request_id",
        "_sent",
        "_status",
        "_trying",
        "answer",
        "call",
        "changes",
        "cost",
        "finish_reason",
        "health",
        "hold",
        "host",
        "id",
        "lane",
        "opened",
        "prices",
        "prover",
        "reader",
        "reading",
        "secrets",
        "served_model",
        "settings",
        "stream",
        "target",
        "trial",
        "usage",
        "waited",
        "watch",
    )  # fmt: skip

    def __init__(
        self,
        call: ModelCall,
        settings: Settings,
        journal: Journal,
        hooks: Hooks | None,
        *,
        prices: Prices,
        health: Health,
        prover: Callable[[], Prover],
        stream: bool,
    ) -> None:
        super().__init__(call.timeout if call.timeout is not None else timeout_of(settings))
        self.id = new_call_id()
        self.call = call
        self.target = call
        """Who is asked now: the call itself, or one of its fallbacks."""
        self.settings = settings
        self.prices = prices
        self.health = health
        self.prover = prover
        """Gives who finds the credentials of calls without a key."""
        self.stream = stream
        self.changes: tuple[str, ...] = ()
        self.usage: Usage | None = None
        self.cost: Cost | None = None
        self.answer: Response | None = None
        """The answer as it was priced last."""
        self.served_model: str | None = None
        self.finish_reason: str | None = None
        self.opened = False
        """Whether the user's stream was told that the provider has said yes."""
        self.reader: AnswerReader | None = None
        self.reading: Reading | None = None
        """How the answer of the present target becomes a value."""
        self.host: str | None = None
        self.secrets: Callable[[], tuple[str, ...]] = tuple
        """What no error may show, and no walk over attributes; the first tells the key, or credentials, from others."""
        self.lane: Lane | None = None
        self.trial = False
        """Whether this attempt is the one that tries an open breaker."""
        self.waited = 0.0
        """Seconds waited since the last attempt."""
        self.hold: Hold | None = None
        """What the present attempt holds in budgets, until it is known what it cost."""
        self._holds = 0
        self._journal = journal
        self._hooks = hooks
        self._listeners = hooks.listeners() if hooks is not None else ()
        self.watch: Watch | None = hooks.watch(self) if hooks is not None else None
        self._attempts: list[Attempt] = []
        self._trying = False
        self._attempt_began = 0.0
        self._first_output: float | None = None
        self._headers: Headers = ()
        self._request_id: str | None = None
        self._status: int | None = None
        self._sent: Sent = "no"
        self._reached: Sent = "no"
        """Whether any attempt that failed may have reached a provider."""

    def policy_of(self, target: ModelCall) -> RetryPolicy:
        """When this target is tried again."""
        return target.retries or self.call.retries or policy_of(self.settings) or RetryPolicy()

    # Attempts.

    def begin_attempt(self) -> None:
        """Say that the request goes out now."""
        self._attempt_began = self.elapsed()
        self._trying = True
        self._sent = "maybe"

    def approach(self, target: ModelCall) -> None:
        """Turn to a target: what was known of the attempt before is not of this one."""
        self.close_hold(self._sent)
        self.target = target
        self.reader = self.lane = self._request_id = self._status = None
        self._headers = ()
        self.trial = self._trying = False
        self._sent = "no"

    def replied(self, reply: WireReply) -> None:
        """Keep what the head of a reply says."""
        self._sent, self._status, self._headers = "yes", reply.status, reply.headers
        self._request_id = self.without_secrets(request_id(reply.headers))

    @property
    def tried(self) -> bool:
        """Whether the request of the present attempt went out."""
        return self._trying

    def attempt_seconds(self) -> float:
        """How long the present attempt has taken."""
        return self.elapsed() - self._attempt_began if self._trying else 0.0

    def end_attempt(
        self, error: BaseException | None = None, followed_by: str | None = None, *, answered: bool = False
    ) -> None:
        """Put the present attempt on the record."""
        provider, began = self.target.provider, self._attempt_began if self._trying else self.elapsed()
        if self._status is None and isinstance(error, QuothError):
            self._sent = error.sent
        if not answered:
            self._reached = _furthest(self._sent, self._reached)
        attempt = Attempt(
            provider=provider.spec.name,
            model=provider.model,
            started=began,
            seconds=self.elapsed() - began,
            waited=self.waited,
            status=self._status,
            error_kind=_kind(error),
            request_id=self._request_id,
            billed="no" if answered else self.billed_by(error),
            followed_by=followed_by,
        )
        self._attempts.append(attempt)
        self._trying, self.waited = False, 0.0
        if not answered:
            self.close_hold(attempt.billed)

    def billed_by(self, error: BaseException | None) -> Sent:
        """Whether the present attempt, which has no whole answer, may have cost something."""
        if self.call.operation == "list_models":
            return "no"
        begun = self.reader is not None and self.reader.begun
        if isinstance(error, APIStatusError) and not begun and error.partial is None:  # a refusal, and nothing else
            return error.billed
        sent = error.sent if self._status is None and isinstance(error, QuothError) else self._sent
        return "no" if sent == "no" else "maybe"

    def new_hold_id(self) -> str:
        """An id for what the present attempt holds: one that no other hold has."""
        self._holds += 1
        return f"{self.id}/{self._holds}"

    def without_secrets(self, said: str | None) -> str | None:
        """What a provider said, fit for the record: without the key that it echoes."""
        if said:
            for secret in self.secrets():
                if len(secret) >= SHORTEST_KEY:
                    said = said.replace(secret, "[redacted]")
        return said or None

    def close_hold(self, billed: Sent) -> None:
        """Give back what the attempt holds where it certainly cost nothing; else it is spent, whole.

        What was sent and lost may have been written to its end, and billed: nothing less is certain.
        """
        hold, self.hold = self.hold, None
        if hold is not None:
            if billed == "no":
                hold.release()
            else:
                hold.settle(None)

    def amend_attempt(self, **changes: Any) -> None:
        """Correct the last attempt: what follows a failure, or how an answer that had begun has ended."""
        if self._attempts:
            self._attempts[-1] = replace(self._attempts[-1], **changes)

    # The answer.

    def saw(self, event: StreamEvent) -> None:
        if self._first_output is None and not isinstance(event, ResponseStart):
            self._first_output = self.elapsed()

    def took(self, response: Response) -> None:
        """Count a priced answer. Middleware may ask more than once: all that it was given is paid."""
        self.count(response.usage, response.cost)
        self.served_model, self.finish_reason = self.without_secrets(response.model), response.finish_reason
        self.answer = response

    def count(self, usage: Usage, cost: Cost) -> None:
        """Put what an answer used and cost to what this call has used and cost already; its hold ends so."""
        hold, self.hold = self.hold, None
        if hold is not None:
            hold.settle(cost.nano)
        first = self.cost is None
        self.usage = usage if first or self.usage is None else self.usage + usage
        self.cost = cost if first or self.cost is None else _sum_of_costs(self.cost, cost)

    def given(self, response: Response) -> Response:
        """An answer that middleware gives in place of one that was asked for: with what this call has cost."""
        cost = self.cost or self._unanswered_cost() or Cost(femto=0, kind="cached")
        self.usage = self.usage or (Usage() if cost.kind == "cached" else None)
        self.cost = cost
        self.served_model, self.finish_reason = response.model or None, response.finish_reason
        usage = self.usage or Usage(source="missing")
        return replace(response, usage=usage, cost=cost, call=self.details())

    def details(self) -> CallDetails:
        return CallDetails(
            id=self.id,
            seconds=self.elapsed(),
            first_output_seconds=self._first_output,
            attempts=tuple(self._attempts),
            request_id=self._request_id,
            headers=self._headers,
            changes=self.changes,
        )

    # The end.

    def concerns(self, error: QuothError, target: ModelCall) -> None:
        """Say on an error of this target whom it is about, and take out the key that it was asked with."""
        for secret in self.secrets():
            error.redact(secret)
        error.provider = error.provider or target.provider.spec.name
        error.model = error.model or target.provider.model
        if error.partial is None and self.reader is not None:
            error.partial = self.reader.response()

    def settle_on(self, error: QuothError, target: ModelCall) -> None:
        """Say whose error the call ends with, where it was not the last to be asked."""
        self.target, self._status = target, error.status
        self.reader = None

    def finish(self, ending: Ending, error: BaseException | None) -> None:
        may_be_collected = ending == "abandoned"
        if self.cost is not None and ending == "abandoned":
            ending = "answered"  # the whole answer had come; only the connection's end was not waited for
        self._finish_attempt(error)
        if self.hold is not None:  # its answer had begun, and was not seen to its end
            self.close_hold(self.billed_by(error))
        if isinstance(error, QuothError):
            self._annotate(error)
        self.secrets, self.reader = tuple, None  # what an error leads to holds no key and no reply that echoes it
        self._tell(self._record(ending, error))
        if not may_be_collected:
            self.closed()

    def _finish_attempt(self, error: BaseException | None) -> None:
        if self._trying:
            self.end_attempt(error)
        elif self.cost is None and self._attempts and self._attempts[-1].error_kind is None:
            self.amend_attempt(error_kind=_kind(error), billed=self.billed_by(error))

    def _annotate(self, error: QuothError) -> None:
        """Say on an error whom it concerns, what was tried, and what of the answer had come."""
        self.concerns(error, self.target)
        error.attempts = error.attempts or tuple(self._attempts)
        if error.billed == "no" and self._unanswered_cost() is not None:
            error.billed = "maybe"
        if error.partial is not None:
            error.partial = replace(error.partial, cost=self._unanswered_cost() or error.partial.cost)

    def _tell(self, record: CallRecord) -> None:
        self._journal.append(record)
        for counter in self.call.counters:
            counter.append(record)
        if self._hooks is None:
            return
        for listener in self._listeners:
            self._hooks.append(partial(listener.tell, record))
        if self.watch is not None:
            self._hooks.append(partial(self.watch.tell, record, self))

    def closed(self) -> None:
        if self._hooks is not None:
            self._hooks.tell()

    def _record(self, ending: Ending, error: BaseException | None) -> CallRecord:
        provider = self.target.provider
        return CallRecord(
            id=self.id,
            operation=self.call.operation,
            parent=self.call.parent,
            tags={**self.settings.tags, **self.call.tags},
            provider=provider.spec.name,
            model=provider.model,
            served_model=self.served_model,
            stream=self.stream,
            outcome=ending,
            error_kind=_kind(error),
            status=self._status,
            finish_reason=self.finish_reason,
            sent=_furthest(self._sent, self._reached),
            usage=self.usage,
            cost=self.cost or self._unanswered_cost(),
            started_at=self.started_at,
            seconds=self.elapsed(),
            first_output_seconds=self._first_output,
            attempts=tuple(self._attempts),
            changes=self.changes,
        )

    def _unanswered_cost(self) -> Cost | None:
        """None where the call cost nothing for certain; an unknown cost where it may have."""
        if all(attempt.billed == "no" for attempt in self._attempts):
            return None
        return Cost(femto=None, kind="unknown", reason="the call ended before the provider stated its usage")


_SENT: tuple[Sent, ...] = ("no", "maybe", "yes")
"""The least certain first."""


def _furthest(one: Sent, other: Sent) -> Sent:
    return one if _SENT.index(one) >= _SENT.index(other) else other


def _kind(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return error.kind if isinstance(error, QuothError) else type(error).__name__


def _sum_of_costs(one: Cost, other: Cost) -> Cost:
    """Both together: with its lines, where one rule priced both, and to the last digit, where the provider stated both.

    Where one is unknown, so is the sum, and the lines are those of the part that is known.
    """
    rule = one.rule or other.rule
    alike = all(each.stated is None and each.rule in (None, rule) for each in (one, other))
    if one.femto is None or other.femto is None:
        unknown = one if one.femto is None else other
        return replace(unknown, rule=rule, counts=_sum_of_counts(one, other)) if alike else unknown
    femto = one.femto + other.femto
    if one.stated is not None and other.stated is not None and one.computed and other.computed:
        stated, computed = (CostTotal.of(one) + other).known_usd, _sum_of_costs(one.computed, other.computed)
        return replace(one, femto=femto, stated=f"{stated:f}", computed=computed)
    if not alike or one.rule is None or other.rule is None:
        return Cost(femto=femto, kind=one.kind)
    return replace(one, femto=femto, counts=_sum_of_counts(one, other), stale=one.stale or other.stale)


def _sum_of_counts(one: Cost, other: Cost) -> tuple[tuple[str, int], ...]:
    counts = dict(one.counts)
    for bucket, count in other.counts:
        counts[bucket] = counts.get(bucket, 0) + count
    return tuple(counts.items())
