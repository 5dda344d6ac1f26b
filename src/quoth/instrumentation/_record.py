"""CallRecord: all that is kept of one call, however it ended. No content, no key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from ..errors import Sent
from ..types import Attempt, Cost, Ending, Usage

__all__ = ["CallRecord", "Operation", "new_call_id"]

SCHEMA = 1
"""The version of the record's fields; it goes up when one changes its meaning."""


Operation: TypeAlias = Literal["generate", "embed", "list_models"]
"""What a call was for. Asking for a list costs nothing and stands in no totals."""


class CallRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One logical call. Durations are in seconds, ``started_at`` in seconds since the epoch.

    ``cost`` is None where the call certainly cost nothing (it never reached the provider, or was refused);
    a cost whose ``femto`` is None is unknown.
    """

    id: str
    operation: Operation
    parent: str | None = None
    """The id of the call that this one was made for, if any."""
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Who asked, in the user's words: of the call, its binding, its context and the settings."""
    provider: str
    model: str
    """The id that was asked for, without the provider."""
    served_model: str | None = None
    stream: bool = False
    outcome: Ending
    error_kind: str | None = None
    status: int | None = None
    finish_reason: str | None = None
    sent: Sent = "no"
    usage: Usage | None = None
    cost: Cost | None = None
    started_at: float
    seconds: float
    first_output_seconds: float | None = None
    attempts: tuple[Attempt, ...] = ()
    changes: tuple[str, ...] = ()
    """What was moved or renamed in the request to fit the wire, in words; as on the response."""
    schema: int = SCHEMA


_numbers = count(1)
_prefixes: dict[int, str] = {}
"""By process id: a forked child draws its own."""


def new_call_id() -> str:
    """A call's id: unique over processes and machines; random once a process, then counted (a uuid costs more)."""
    pid = os.getpid()
    prefix = _prefixes.get(pid) or _prefixes.setdefault(pid, os.urandom(8).hex())
    return f"{prefix}-{next(_numbers):x}"
