"""Tags, tallies and budgets of a context: who asks, who counts, and what may be spent.

A context is this thread's or this task's, with the tasks started from it (``contextvars``); ``carry`` takes it into a
foreign thread, to which it does not pass by itself. It holds for every ModelsAPI alike.

A ``with`` form enters itself into the context and takes itself out again, wherever it stands there. It keeps no
token: one that is left in another order than it was entered, as generators do, takes nothing of others with it, and
one that is left in another context, as abandoned generators do, finds itself absent there and does nothing.
"""

from __future__ import annotations

from _contextvars import ContextVar  # what contextvars gives; the module around it costs start-up time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast

from msgspec import Struct

from .errors import ConfigurationError, InputTypeError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "Counter",
    "Surroundings",
    "Within",
    "carry",
    "check_tags",
    "is_async",
    "is_generator",
    "merge_tags",
    "surroundings",
    "together",
]

MOST_TAGS = 32
"""How many tags one call may have."""
LONGEST_NAME, LONGEST_VALUE = 64, 256
"""Characters."""

Arguments = ParamSpec("Arguments")
Given = TypeVar("Given")
Entered = TypeVar("Entered")


class Counter(Protocol):
    """Something that is told of each call that ends. It must neither wait nor raise."""

    def append(self, record: Any, /) -> None: ...


class Surroundings(Struct, frozen=True, gc=False):
    """What a call takes from where it is made: the tags, inner over outer, who counts it, and what it may spend."""

    entered: tuple[Within[Any], ...] = ()
    tags: Mapping[str, str] = {}
    counters: tuple[Counter, ...] = ()
    budgets: tuple[Any, ...] = ()
    """Each is a ``quoth.Budget``; all of them hold."""


_NOTHING = Surroundings()
_CURRENT: ContextVar[Surroundings] = ContextVar("quoth", default=_NOTHING)


def surroundings() -> Surroundings:
    """Those of the caller."""
    return _CURRENT.get()


class Within(Generic[Entered]):
    """Calls made inside have these tags, are told to this counter and count in this budget; ``with`` gives ``entered``.

    It may be entered again, also inside itself, and in several threads and tasks at once.
    """

    __slots__ = ("_budgets", "_counters", "_entered", "_tags")

    def __init__(
        self, entered: Entered, tags: Mapping[str, str], counter: Counter | None = None, budget: Any = None
    ) -> None:
        self._entered = entered
        self._tags = tags
        self._counters = () if counter is None else (counter,)
        self._budgets = () if budget is None else (budget,)

    def __enter__(self) -> Entered:
        _CURRENT.set(_surroundings_of((*_CURRENT.get().entered, self)))
        return self._entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        entered = list(_CURRENT.get().entered)
        for index in range(len(entered) - 1, -1, -1):
            if entered[index] is self:
                del entered[index]
                _CURRENT.set(_surroundings_of(tuple(entered)))
                return

    def add_to(self, outer: Surroundings) -> Surroundings:
        """The outer surroundings with those of this one over them, each counter and each budget once."""
        counters = tuple([counter for counter in self._counters if counter not in outer.counters])
        budgets = together(outer.budgets, self._budgets)
        return Surroundings((), merge_tags(outer.tags, self._tags), outer.counters + counters, budgets)


def _surroundings_of(entered: tuple[Within[Any], ...]) -> Surroundings:
    merged = _NOTHING
    for within in entered:
        merged = within.add_to(merged)
    return Surroundings(entered, merged.tags, merged.counters, merged.budgets) if entered else _NOTHING


def together(budgets: tuple[Any, ...], more: tuple[Any, ...]) -> tuple[Any, ...]:
    """Both, each budget once: nobody gets out of one by naming another."""
    return budgets + tuple([budget for budget in more if budget not in budgets]) if more else budgets


# Into a foreign thread.

_COROUTINE, _GENERATOR = 0x80, 0x20
_GENERATORS = _GENERATOR | 0x200
"""Flags of code: what a call of it gives (``inspect.CO_COROUTINE``, ``CO_GENERATOR``, ``CO_ASYNC_GENERATOR``)."""


def _flags(function: Any) -> int:
    """The flags of the code that runs when this is called; 0 where none is seen."""
    from functools import partial

    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return getattr(code, "co_flags", 0)


def is_async(function: Any) -> bool:
    """Whether a call of it gives a coroutine, as far as can be seen."""
    return bool(_flags(function) & _COROUTINE)


def is_generator(function: Any) -> bool:
    """Whether a call of it gives a generator, as far as can be seen."""
    return bool(_flags(function) & _GENERATOR)


def carry(function: Callable[Arguments, Given]) -> Callable[Arguments, Given]:
    """The function with the present tags and tallies: wherever it is called, it runs in them and in no others.

    Also for an ``async def``. Raises InputTypeError for a generator function: its body runs when somebody iterates.
    """
    given: object = function
    if not callable(given):
        raise InputTypeError(f"carry takes a function, not {type(given).__name__}")
    if _flags(function) & _GENERATORS:
        raise InputTypeError("carry takes no generator function: carry the function that iterates it")
    taken = surroundings()
    if is_async(function):
        return cast("Callable[Arguments, Given]", _carry_async(cast("Any", function), taken))

    def carried(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Given:
        token = _CURRENT.set(taken)
        try:
            return function(*args, **kwargs)
        finally:
            _CURRENT.reset(token)

    _name_after(carried, function)
    return carried


def _carry_async(
    function: Callable[Arguments, Coroutine[Any, Any, Given]], taken: Surroundings
) -> Callable[Arguments, Coroutine[Any, Any, Given]]:
    async def carried(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Given:
        token = _CURRENT.set(taken)
        try:
            return await function(*args, **kwargs)
        finally:
            with suppress(ValueError):  # garbage collection closes it in another context, which is not ours to change
                _CURRENT.reset(token)

    _name_after(carried, function)
    return carried


def _name_after(carried: Any, function: Any) -> None:
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(function, name):
            setattr(carried, name, getattr(function, name))


# Tags.


def check_tags(name: str, value: Any) -> dict[str, str]:
    """A copy of the tags. Raises InputTypeError or ConfigurationError, naming ``name``, where they are none."""
    if not isinstance(value, Mapping):
        raise InputTypeError(f"{name} must be a mapping of str to str, not {type(value).__name__}")
    tags: dict[str, str] = {}
    for key, text in value.items():
        if not isinstance(key, str) or not isinstance(text, str):
            wrong = key if not isinstance(key, str) else text
            raise InputTypeError(f"{name} must hold str only: {key!r:.80} has a {type(wrong).__name__}; use str(...)")
        _check_text(f"{name}: the name {key[:80]!r}", key, LONGEST_NAME)
        _check_text(f"{name}: the value of {key!r}", text, LONGEST_VALUE)
        tags[key] = text
    return merge_tags({}, tags, name)


def _check_text(what: str, text: str, longest: int) -> None:
    if not text or len(text) > longest or not text.isprintable():
        raise ConfigurationError(f"{what} must have 1 to {longest} printable characters (it has {len(text)})")


def merge_tags(tags: Mapping[str, str], over: Mapping[str, str], name: str = "tags") -> dict[str, str]:
    """Both, the second over the first. Raises ConfigurationError where they are too many for one call."""
    merged = {**tags, **over}
    if len(merged) > MOST_TAGS:
        raise ConfigurationError(f"{name}: a call has at most {MOST_TAGS} tags, not {len(merged)}")
    return merged
