"""What follows a failed try: another one of the same model, after a wait, or of the next model, or nothing.

The rules, in the order in which they are asked (docs/reliability.md says them in words):

1. Only what may succeed later is tried again: ``error.retryable``, into which the provider's own word has gone.
   What was held back here is not: the wait for it would be the same again.
2. ``policy.retries`` tries more, of which ``policy.retries_if_billed`` may follow one that may have been billed.
3. A random part of a wait that doubles is waited ("full jitter"): at least what the provider asks for, and a little
   more than that, so that callers who were told the same do not come together. Where it asks for more than the policy
   or the call allows, the tries end at once.
4. What would end behind the deadline is not begun.
5. The host's retry budget pays for it.
"""

from __future__ import annotations

from msgspec import Struct

from ..errors import LimitError, QuothError
from ..types import RetryPolicy

__all__ = ["FALLS_BACK", "OTHER_PROVIDER", "Tries", "falls_back", "most_useful", "next_wait"]

STRETCH = 0.1
"""The most that is waited beyond what the provider asked, as a part of it."""

SLOWER = {"rate_limit": 2.0, "overloaded": 4.0}
"""How much longer than for other failures the first wait may be, by kind."""


class Tries(Struct, gc=False):
    """How often one model was tried again so far, and how often after what may have been billed."""

    retries: int = 0
    after_billed: int = 0


def next_wait(
    policy: RetryPolicy, tries: Tries, error: QuothError, *, billed: bool, remaining: float, draw: float
) -> float | str:
    """Seconds to wait before the next try of the same model; or, in a word, why there is none.

    ``remaining`` are the seconds that the call has left, ``draw`` is a random number from 0 to 1.
    """
    if isinstance(error, LimitError) or not _passes(error):
        return "kind"
    if tries.retries >= policy.retries:
        return "retries"
    if billed and tries.after_billed >= policy.retries_if_billed:
        return "billed"
    hint = error.retry_after
    wait = _wait(policy, tries.retries, error.kind, draw)
    if hint:
        wait = max(hint * (1 + STRETCH * draw), wait)
    if hint is not None and hint > policy.longest_wait:
        return "hint"
    return "deadline" if wait >= remaining else wait


def _passes(error: QuothError) -> bool:
    """Whether what is wrong may be over soon. Nothing of an answer was shown: a stream that was cut can begin anew."""
    empty = error.kind == "unreadable" and not (error.body or b"").strip()
    return error.retryable or empty or error.kind == "stream_interrupted"


def _wait(policy: RetryPolicy, retries: int, kind: str, draw: float) -> float:
    most = policy.backoff * SLOWER.get(kind, 1.0) * 2.0 ** min(retries, 60)
    return draw * min(most, policy.longest_backoff)


# The next model.

FALLS_BACK = frozenset({
    "authentication", "budget_exceeded", "circuit_open", "connection", "context_length", "local_rate_limit",
    "model_not_found", "not_found", "overloaded", "permission_denied", "protocol", "provider", "quota", "rate_limit",
    "server", "stream_interrupted", "timeout", "transport", "unreadable",
})  # fmt: skip
"""Kinds after which another model may answer. The others would meet it too, or are the caller's to mend."""

OTHER_PROVIDER = frozenset({"authentication"})
"""Those where only another provider helps: the same one has the same key."""


def falls_back(error: QuothError, *, same_provider: bool) -> bool:
    """Whether the next model is tried after this error."""
    return error.kind in FALLS_BACK and not (same_provider and error.kind in OTHER_PROVIDER)


def most_useful(errors: list[QuothError]) -> QuothError:
    """Of the errors of a failed chain, the one to raise: what must be mended before what passes, then the first."""
    return max(errors, key=_weight)


def _weight(error: QuothError) -> int:
    if isinstance(error, LimitError):
        return 0
    if error.kind == "deadline":
        return 1
    return 2 if error.retryable else 3
