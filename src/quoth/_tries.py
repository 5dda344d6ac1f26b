"""Who is asked, how often and in which order, until one answers: the tries of a target, the targets of a call."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from ._call import CallScope, ModelCall
from ._flow import Flow, Sleep
from .errors import LimitError, QuothError
from .types import RetryPolicy

__all__ = ["Try", "ask"]

Tried = TypeVar("Tried")
Out = TypeVar("Out")
Try: TypeAlias = Callable[[ModelCall, CallScope], Flow[Out, Tried]]
"""One try of one target."""


def ask(call: ModelCall, scope: CallScope, once: Try[Out, Tried]) -> Flow[Out, Tried]:
    return _targets(call, scope, once) if call.fallback else _tries(call, scope, once)


def _targets(call: ModelCall, scope: CallScope, once: Try[Out, Tried]) -> Flow[Out, Tried]:
    """Try one target after the other, until one answers."""
    from .limits._retry import falls_back, most_useful

    failed: list[tuple[QuothError, ModelCall]] = []
    targets = (call, *call.fallback)
    for target, following in zip(targets, (*call.fallback, None), strict=True):
        try:
            return (yield from _tries(target, scope, once))
        except QuothError as error:
            failed.append((error.with_traceback(None), target))  # its frames hold this one
        same = following is not None and following.provider.spec.name == target.provider.spec.name
        if following is None or not falls_back(failed[-1][0], same_provider=same):
            break
        scope.amend_attempt(followed_by="fallback")
    raised = most_useful([error for error, _ in failed])
    scope.settle_on(raised, next(target for error, target in failed if error is raised))
    raise raised


def _tries(target: ModelCall, scope: CallScope, once: Try[Out, Tried]) -> Flow[Out, Tried]:
    """Try one target, again where its policy says so, until it answers."""
    again: Again | None = None
    while True:
        if again is not None or target is not scope.target:
            scope.approach(target)
        try:
            tried = yield from once(target, scope)
        except QuothError as error:
            again = again or Again(scope.policy_of(target))
            wait, failure = again.after(error, scope), error.with_traceback(None)  # its frames hold this one
        except BaseException:
            if scope.trial and scope.lane is not None:
                scope.lane.breaker.lost()
            raise
        else:
            scope.end_attempt(answered=True)
            if scope.lane is not None:
                scope.lane.succeeded(scope.moment(), trial=scope.trial)
            return tried
        if wait is None:
            raise failure
        yield Sleep(wait)
        scope.waited = wait


class Again:
    """What follows the failed tries of one target: told of each failure, it says how long to wait, or to stop."""

    __slots__ = ("_policy", "_tries")

    def __init__(self, policy: RetryPolicy) -> None:
        from .limits._retry import Tries

        self._policy = policy
        self._tries = Tries()

    def after(self, error: QuothError, scope: CallScope) -> float | None:
        """Seconds until the next try; None where there is none. Either stands on the record then."""
        from .limits._retry import next_wait

        lane, billed, draw = scope.lane, scope.billed_by(error) != "no", _draw()
        if lane is not None and scope.tried:
            lane.failed(error, scope.moment(), scope.attempt_seconds(), draw=draw, trial=scope.trial)
        remaining = scope.deadline.remaining()
        wait = next_wait(self._policy, self._tries, error, billed=billed, remaining=remaining, draw=draw)
        if isinstance(wait, float) and lane is not None and not lane.pays_for(error):
            wait = "budget"
        if scope.tried or scope.call.fallback or isinstance(error, LimitError):  # else nothing was tried at all
            scope.end_attempt(error, wait if isinstance(wait, str) else "retry")
        scope.concerns(error, scope.target)
        if isinstance(wait, str):
            return None
        self._tries.retries += 1
        self._tries.after_billed += billed
        return wait


def _draw() -> float:
    """A number from 0 up to 1, to spread waits. Importing ``random`` would open a file, and there may be none left."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)
