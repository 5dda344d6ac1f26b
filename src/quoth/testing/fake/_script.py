"""What a FakeProvider is to answer: the script, in order, and the faults that chance throws in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ...embeddings import EmbeddingRequest, EmbeddingResponse
from ...errors import KINDS, APIStatusError, InputError, InputTypeError
from ...types import ModelRequest, Response
from ...wire import Headers

__all__ = ["AT_ONCE", "LOAD_FAULTS", "Answer", "Cut", "Fault", "Script", "as_fault", "failed", "filled"]

Cut: TypeAlias = Literal["close", "reset", "stall", "end", "malformed", "garbage", "error"]
"""How a reply is broken off.

``close``: the connection is closed, and the reply unfinished. ``reset``: the same with a TCP reset. ``stall``: nothing
more comes, until the client goes. ``end``: the body ends there, in good form, as if that were all. ``malformed``: what
follows is no HTTP chunk. ``garbage``: an event that is no JSON, then the end. ``error``: the provider's error, in the
words of the wire: an event of a stream, or the body of a reply that said 200.
"""

AT_ONCE: frozenset[str] = frozenset({"close", "reset", "stall"})
"""Cuts that come before the head of the reply, where nothing says after how much of the body."""


class Fault(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True, forbid_unknown_fields=True):
    """One reply of a FakeProvider, and what is wrong with it. What is left out is as the FakeProvider's own.

    ::

        Fault(status=429, retry_after=2)              # the provider's "no", in the words of the wire that was asked
        Fault(kind="context_length")                  # the same, by the kind of the error that it becomes
        Fault(cut="reset")                            # no reply at all
        Fault(answer="Hello", after_bytes=300)        # closed after 300 bytes of the body
        Fault(cut="error", after_events=2)            # a stream that ends with an error, after two events
        Fault(body=b"<html>Bad gateway", status=502)  # what no provider would say, but proxies do

    Raises InputError or InputTypeError for a value that cannot be meant.
    """

    answer: str | Response | None = None
    """The answer that is given, or would be but for the fault; None: what the FakeProvider says without a script."""
    vectors: EmbeddingResponse | None = None
    """The same, to who asks for vectors."""
    status: int | None = None
    """From 400 on an error; below it, and not 200, a reply without a body."""
    kind: str | None = None
    """The kind of the error (``rate_limit``, see ``quoth.errors``); None: what the status says by itself."""
    message: str | None = None
    code: str | None = None
    type: str | None = None
    retry_after: float | None = None
    """Seconds that an error asks to wait."""
    request_id: str | None = None
    headers: Headers = ()
    """Sent beside the reply's own, or in place of one of the same name."""
    body: bytes | None = None
    """Sent as it is, whatever was asked."""
    content_type: str | None = None
    usage: bool = True
    """False: the answer says nothing of tokens."""
    delay: float | None = None
    """Seconds before the head."""
    pace: float | None = None
    """Seconds between the pieces of the body."""
    piece: int | None = None
    """Characters of the text in one event of a stream."""
    chunk: int | None = None
    """Bytes of the body that are sent at once; None: an event, or all of a whole answer."""
    cut: Cut | None = None
    """How the reply is broken off; where only ``after_...`` is given, ``close``."""
    after_bytes: int | None = None
    """Bytes of the body that are sent before the cut."""
    after_events: int | None = None
    """Events of a stream that are sent before the cut; for a whole answer, all of it is one."""

    def __post_init__(self) -> None:
        for name in ("retry_after", "delay", "pace"):
            _check(name, getattr(self, name), (int, float), 0)
        for name, least in (("status", 200), ("piece", 1), ("chunk", 1), ("after_bytes", 0), ("after_events", 0)):
            _check(name, getattr(self, name), (int,), least)
        if self.status is not None and self.status > 999:
            raise InputError(f"a Fault's status has three digits, unlike {self.status}")
        if self.kind is not None and not issubclass(KINDS.get(self.kind, object), APIStatusError):
            raise InputError(f"a Fault's kind is one of a provider's errors such as 'rate_limit', not {self.kind!r}")
        body: object = self.body  # a Struct takes any value
        if body is not None and not isinstance(body, bytes):
            raise InputTypeError(f"a Fault's body is bytes, not {type(body).__name__}")

    @property
    def breaks_off(self) -> Cut | None:
        """How the reply is broken off, if it is."""
        untold = self.after_bytes is None and self.after_events is None
        return self.cut or (None if untold else "close")

    @property
    def silent(self) -> bool:
        """Whether the reply is broken off before its head."""
        return self.cut in AT_ONCE and self.after_bytes is None and self.after_events is None

    @property
    def refuses(self) -> bool:
        """Whether the reply is a provider's error, from its head on."""
        return self.cut != "error" and (self.kind is not None or (self.status or 0) >= 400)


def _check(name: str, value: object, types: tuple[type, ...], least: int) -> None:
    if value is None:
        return
    if not isinstance(value, types) or isinstance(value, bool):
        raise InputTypeError(f"a Fault's {name} is a number, not {type(value).__name__}")
    if not least <= value < math.inf:  # type: ignore[operator]  # the types above are numbers
        raise InputError(f"a Fault's {name} is {least} or more, not {value}")


Answer: TypeAlias = str | Response | EmbeddingResponse | Fault | int | APIStatusError | Callable[[ModelRequest], object]
"""What one request is answered with: a text, a Response, vectors, a status, an error, a fault, or what a function makes
of the request that was read (any of the others); where vectors were asked for, that is an EmbeddingRequest."""

LOAD_FAULTS: tuple[Fault, ...] = (
    Fault(status=429, retry_after=0.01),
    Fault(kind="overloaded"),
    Fault(status=500),
    Fault(status=502, body=b"<html><title>502 Bad Gateway</title></html>", content_type="text/html"),
    Fault(cut="close"),
    Fault(cut="reset"),
    Fault(after_bytes=40),
    Fault(after_bytes=60, cut="reset"),
    Fault(after_events=1, cut="end"),
    Fault(after_events=1, cut="error", kind="overloaded"),
    Fault(after_events=1, cut="malformed"),
)
"""What ``fault_rate`` chooses from, unless told otherwise: none of them waits."""


class Script:
    """Gives the answer of each request in turn. Not for several threads."""

    def __init__(self, answers: Answer | Iterable[Answer], rate: float, faults: Sequence[Fault], seed: int) -> None:
        if not 0 <= rate <= 1:
            raise InputError(f"fault_rate is a share from 0 to 1, not {rate}")
        if rate and not faults:
            raise InputError("with a fault_rate there must be faults to choose from")
        self._answers = _endless(answers)
        self._rate, self._faults = rate, tuple(faults)
        self._chance = random.Random(seed)  # noqa: S311  # which faults come is no secret, and must repeat
        self._given = 0

    def next(self) -> Answer:
        """The next answer; what a random fault replaces is not used up."""
        if self._rate and self._chance.random() < self._rate:
            return self._chance.choice(self._faults)
        try:
            answer = next(self._answers)
        except StopIteration:
            return failed(f"the script of this FakeProvider has run out: it had {self._given} answers")
        self._given += 1
        return answer


def _endless(answers: Answer | Iterable[Answer]) -> Iterator[Answer]:
    """The answers in order; one that stands alone is given to every request."""
    if isinstance(answers, Iterable) and not isinstance(answers, (str, EmbeddingResponse)):
        return iter(answers)
    if not callable(answers):
        as_fault(answers)  # said now rather than to the first client
    return repeat(answers)


def failed(message: str) -> Fault:
    """The reply where a script cannot answer: no client should try again."""
    return Fault(status=501, kind="server", message=message, headers=(("x-should-retry", "false"),))


def as_fault(answer: object, request: ModelRequest | EmbeddingRequest | None = None) -> Fault:
    """Bring any answer into the one form; a function is asked.

    Raises InputTypeError for what is no answer, and what the function raises.
    """
    if callable(answer) and request is not None:
        answer = answer(request)
    match answer:
        case Fault():
            return answer
        case str() | Response():
            return Fault(answer=answer)
        case EmbeddingResponse():
            return Fault(vectors=answer)
        case int() if not isinstance(answer, bool):
            return Fault(status=answer)
        case APIStatusError():
            return Fault(
                kind=answer.kind if answer.kind != "provider" else None,
                status=answer.status or (None if answer.kind != "provider" else 500),
                message=answer.message,
                code=answer.provider_code,
                retry_after=answer.retry_after,
                request_id=answer.request_id,
            )
        case _:
            pass
    raise InputTypeError(
        f"a FakeProvider cannot answer with {type(answer).__name__}: give a str, a Response, a status, a Fault, "
        "an APIStatusError, or a function of the ModelRequest that gives one"
    )


def filled(fault: Fault, defaults: Fault) -> Fault:
    """The fault, with what it leaves out as the FakeProvider has it."""
    if fault is defaults:
        return fault
    names = ("delay", "pace", "piece", "chunk")
    missing = {name: value for name in names if (value := getattr(defaults, name)) is not None}
    wanted = {name: value for name, value in missing.items() if getattr(fault, name) is None}
    return replace(fault, **wanted) if wanted else fault
