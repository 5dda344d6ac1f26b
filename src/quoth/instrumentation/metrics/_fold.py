"""The fold of metrics: the journal adds each record here, in the same pass as it adds it to the totals.

Most records are like one that came before: what their numbers are is looked up once, and kept with the names
(provider, model, outcome) that they have in common. A model has its name as a label once it has answered, or where the
catalog has it; until then its calls count under ``other``, so that a misspelt name mints no series.

Nothing here can hurt a call: whatever goes wrong is counted, and said once.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Any

from ...errors import KINDS
from ...types import TOKEN_BUCKETS, Attempt, Cost, Usage
from .._record import CallRecord
from ._names import METRICS, MOST_SERIES, OPERATIONS, OTHER, PROVIDERS
from ._series import Labels, Numbers, Series, Store, label

__all__ = ["MetricsFold"]

_COUNTS = attrgetter(*TOKEN_BUCKETS)
_INPUTS = TOKEN_BUCKETS.index("output")
"""So many of the buckets are of what was read; those from here on of what was written."""

_ALL, _PLAIN = range(len(TOKEN_BUCKETS)), (0, _INPUTS)
"""Which buckets there are, and those that most calls have."""

_BOUNDS = {metric.name: metric.buckets for metric in METRICS}
_DURATION = "gen_ai_client_operation_duration_seconds"
_TOKEN_USAGE = "gen_ai_client_token_usage"  # noqa: S105  # a name
_FIRST = "gen_ai_client_operation_time_to_first_chunk_seconds"
_OVERHEAD = "quoth_overhead_seconds"
_WAIT = "quoth_attempt_wait_seconds"
_SECONDS, _TOKENS = _BOUNDS[_DURATION], _BOUNDS[_TOKEN_USAGE]
_OVERHEADS, _WAITS = _BOUNDS[_OVERHEAD], _BOUNDS[_WAIT]

_FOLLOWS = {"retry": "quoth_retries_total", "fallback": "quoth_fallbacks_total"}
"""What follows a failure, beside the reasons why nothing does."""
_NOT_RETRIED = "quoth_not_retried_total"

_MOST_KEPT = 2 * MOST_SERIES
"""Names that are remembered, and label sets whose numbers are at hand."""


class _Call:
    """The numbers of calls that have their names in common. Those of what not every call has are looked up late."""

    __slots__ = ("cost", "duration", "first", "labels", "nameless", "overhead", "requests", "tokens", "usage", "words")

    def __init__(self, requests: Numbers, duration: Numbers, labels: Labels, words: Labels) -> None:
        self.requests = requests
        self.duration = duration
        self.labels = labels
        """Provider and model, in our words."""
        self.nameless = labels[1] == OTHER
        self.words = words
        """Operation, provider and model, in those of the convention."""
        self.overhead: Numbers | None = None
        self.first: Numbers | None = None
        self.cost: Numbers | None = None
        self.usage: tuple[Numbers, Numbers] | None = None
        self.tokens: list[Numbers | None] = [None] * len(TOKEN_BUCKETS)


class MetricsFold:
    """Adds records one by one, under the journal's lock."""

    def __init__(self) -> None:
        self.untold: str | None = None
        """What went wrong for the first time, in words."""
        self._store = Store()
        self._calls: dict[tuple[str, str, str, str, str | None], _Call] = {}
        self._attempts: dict[tuple[str, str, str | None, int | None], Numbers] = {}
        self._events: dict[tuple[str, str, str], Numbers] = {}
        """By metric, provider and reason."""
        self._answered: set[tuple[str, str]] = set()
        self._failures = 0

    def add(self, record: CallRecord) -> None:
        """Count one record. Raises nothing."""
        try:
            if record.operation in OPERATIONS:
                self._add(record)
        except Exception as error:  # noqa: BLE001  # whatever is odd about a record, or wrong here: the call is paid for
            self._failures += 1
            self.drop("metrics", "fold")
            if self._failures == 1:
                self.untold = f"a record could not be counted: {type(error).__name__}: {str(error)[:200]}"

    def drop(self, sink: str, reason: str) -> None:
        """Count what a sink of telemetry did not tell or keep."""
        self._event("quoth_telemetry_dropped_total", sink, reason)

    def series(self) -> Series:
        """The numbers of all records so far."""
        return self._store.copy()

    def model_label(self, provider: str, model: str) -> str:
        """The name of a model, where it is one, else ``other``."""
        if (provider, model) not in self._answered:
            from ..._catalog import is_listed

            if not is_listed(f"{provider}/{model}"):
                return OTHER
        return label(model)

    def _add(self, record: CallRecord) -> None:
        key = (record.operation, record.provider, record.model, record.outcome, record.error_kind)
        call = self._calls.get(key)
        if call is None or (call.nameless and record.served_model is not None):
            call = self._call(key, answered=record.outcome == "answered" or record.served_model is not None)
        call.requests[0] += 1
        duration, seconds, attempts = call.duration, record.seconds, record.attempts
        duration[bisect_left(_SECONDS, seconds)] += 1
        duration[-1] += seconds
        if record.stream:
            if record.first_output_seconds is not None:
                first = call.first
                if first is None:
                    first, own = self._store.at(_FIRST, call.words)
                    call.first = first if own else None
                first[bisect_left(_SECONDS, record.first_output_seconds)] += 1
                first[-1] += record.first_output_seconds
            self._tries(attempts)
        else:
            own_time = max(seconds - self._tries(attempts), 0.0)
            overhead = call.overhead
            if overhead is None:
                overhead = call.overhead = self._store.at(_OVERHEAD, (record.operation,))[0]
            overhead[bisect_left(_OVERHEADS, own_time)] += 1
            overhead[-1] += own_time
        usage, cost = record.usage, record.cost
        if usage is not None and usage.source == "provider":
            self._used(call, record.operation, _COUNTS(usage))
        elif cost is not None:
            self._event("quoth_usage_missing_total", record.provider, usage.source if usage else "no_answer")
        if cost is not None and cost.femto is not None:
            total = call.cost
            if total is None:
                total, own = self._store.at("quoth_cost_usd_total", call.labels)
                call.cost = total if own else None
            total[0] += cost.femto
        elif cost is not None:
            self._event("quoth_unpriced_requests_total", record.provider, _unpriced(usage, cost))
            return
        if len(attempts) > 1 and any(attempt.billed != "no" for attempt in attempts):
            self._event("quoth_unpriced_requests_total", record.provider, "lost_attempt")

    def _learn(self, provider: str, model: str) -> None:
        """Note that a model has answered: from now on it has its name."""
        name = (provider, model)
        if name not in self._answered and len(self._answered) < _MOST_KEPT:
            self._answered.add(name)
            self._calls.clear()
            self._attempts.clear()

    def _used(self, call: _Call, operation: str, counts: tuple[int, ...]) -> None:
        read, written = counts[0], counts[_INPUTS]
        plain = read + written == sum(counts)  # as of most calls: nothing stands in the other buckets
        if not plain:
            read, written = sum(counts[:_INPUTS]), sum(counts[_INPUTS:])
        usage = call.usage
        if usage is None:
            inputs, own = self._store.at(_TOKEN_USAGE, (*call.words, "input"))
            outputs, both = self._store.at(_TOKEN_USAGE, (*call.words, "output")) if operation != "embed" else ([], own)
            usage = inputs, outputs
            call.usage = usage if own and both else None
        numbers, outputs = usage
        numbers[bisect_left(_TOKENS, read)] += 1
        numbers[-1] += read
        if outputs:
            outputs[bisect_left(_TOKENS, written)] += 1
            outputs[-1] += written
        for index in _PLAIN if plain else _ALL:
            count = counts[index]
            if count:
                tokens = call.tokens[index]
                if tokens is None:
                    tokens, own = self._store.at("quoth_tokens_total", (*call.labels, TOKEN_BUCKETS[index]))
                    call.tokens[index] = tokens if own else None
                tokens[0] += count

    # What was tried.

    def _tries(self, attempts: tuple[Attempt, ...]) -> float:
        """Count attempts; give the seconds that they and the waiting before them took."""
        busy = 0.0
        before: str | None = None
        for attempt in attempts:
            key = attempt.provider, attempt.model, attempt.error_kind, attempt.status
            numbers = self._attempts.get(key) or self._attempt(key)
            numbers[0] += 1
            busy += attempt.seconds
            if attempt.waited:
                busy += attempt.waited
                waits = self._at(_WAIT, attempt.provider, "retry" if before == "retry" else "gate")
                waits[bisect_left(_WAITS, attempt.waited)] += 1
                waits[-1] += attempt.waited
            before = attempt.followed_by
            if before is not None:
                metric = _FOLLOWS.get(before)
                self._event(metric or _NOT_RETRIED, attempt.provider, _kind(attempt.error_kind) if metric else before)
        return busy

    def _attempt(self, key: tuple[str, str, str | None, int | None]) -> Numbers:
        provider, model, kind, status = key
        if kind is None and status is not None:
            self._learn(provider, model)
        labels = label(provider), self.model_label(provider, model), _kind(kind)
        numbers, own = self._store.at("quoth_attempts_total", labels)
        if own:
            _keep(self._attempts, key, numbers)
        return numbers

    # Numbers by their names.

    def _call(self, key: tuple[str, str, str, str, str | None], *, answered: bool) -> _Call:
        operation, provider, model, outcome, error_kind = key
        if answered:
            self._learn(provider, model)
        labels = label(provider), self.model_label(provider, model)
        kind = _kind(error_kind)
        words = OPERATIONS[operation], PROVIDERS.get(labels[0], labels[0]), labels[1]
        requests, own = self._store.at("quoth_requests_total", (operation, *labels, outcome, kind))
        duration, too = self._store.at(_DURATION, (*words, kind))
        call = _Call(requests, duration, labels, words)
        if own and too:
            _keep(self._calls, key, call)
        return call

    def _at(self, metric: str, who: str, why: str) -> Numbers:
        """The numbers of a metric that has two labels: a provider, or a sink, and a reason."""
        numbers = self._events.get((metric, who, why))
        if numbers is None:
            numbers, own = self._store.at(metric, (label(who), label(why)))
            if own:
                _keep(self._events, (metric, who, why), numbers)
        return numbers

    def _event(self, metric: str, who: str, why: str) -> None:
        self._at(metric, who, why)[0] += 1


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Have at hand what was found; all of it is looked up anew now and then, which bounds it."""
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[key] = value


def _kind(kind: str | None) -> str:
    """The kind of an error as a label: those of quoth's errors are few, names of classes may be any."""
    return "" if kind is None else kind if kind in KINDS else OTHER


def _unpriced(usage: Usage | None, cost: Cost) -> str:
    """Why a cost is unknown, in a word."""
    if usage is None:
        return "no_answer"
    if usage.source != "provider":
        return f"usage_{usage.source}"
    return "no_price" if cost.rule is None else "no_rate"
