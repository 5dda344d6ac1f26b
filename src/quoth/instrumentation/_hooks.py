"""Hooks: functions of the user's that are told of each call when it has ended, and cannot hurt it.

A record waits in a queue until it is told. A call that ends while its caller's code runs (answered, failed,
cancelled, a stream that is closed) is told at once, on the caller's thread. One that garbage collection ends only
joins the queue, for its finalizer may run in the middle of anything: it is told when the next call ends, or when
``models.usage()`` is read. No lock is held while a hook runs, and several threads may be inside one hook at a time.

What a hook raises is counted in ``failures``, and reported by one RuntimeWarning for each hook; where warnings are
errors, it is only counted. A call that a hook makes is recorded, and told to no hook: else it would have no end.
"""

from __future__ import annotations

from _thread import RLock, get_ident
from collections import deque
from collections.abc import Callable
from os import getpid
from typing import Any, TypeAlias

from ..errors import clean
from ._record import CallRecord

__all__ = ["Hook", "HookHandle", "Hooks"]

Hook: TypeAlias = Callable[[CallRecord], Any]


class HookHandle:
    """One registered hook: ``remove()`` ends it; ``failures`` counts what it raised, ``last_failure`` says it."""

    __slots__ = ("_hook", "_hooks", "active", "failures", "last_failure")

    def __init__(self, hook: Hook, hooks: Hooks) -> None:
        self._hook = hook
        self._hooks = hooks
        self.active = True
        self.failures = 0
        self.last_failure: str | None = None

    def remove(self) -> None:
        """Tell it of nothing more. May be called twice."""
        self.active = False
        self._hooks.discard(self)

    def tell(self, record: CallRecord) -> None:
        """Call the hook, unless it was removed; keep what it raises from the caller."""
        if not self.active:
            return
        try:
            self._hook(record)
        except Exception as error:  # noqa: BLE001  # a hook raises what it likes, and the call has been paid for
            self._failed(f"{type(error).__name__}: {_words(error)}")

    def _failed(self, words: str) -> None:
        self.failures += 1
        self._hooks.dropped()
        self.last_failure = words
        if self.failures == 1:
            _warn(f"quoth: the hook {self!r} raised {words} The call is not affected; later failures are only counted")

    def __repr__(self) -> str:
        return f"<hook {getattr(self._hook, '__qualname__', type(self._hook).__name__)}>"


def _words(error: Exception) -> str:
    try:
        return clean(str(error), 300)
    except Exception:  # noqa: BLE001  # an error whose words are broken is one all the same
        return "(no words)"


def _warn(message: str) -> None:
    from warnings import warn

    try:
        warn(message, RuntimeWarning, stacklevel=2)
    except Exception:  # noqa: BLE001  # where warnings are errors: it is counted, and the call must not suffer
        return


class Hooks:
    """The hooks of one ModelsAPI, and the records that wait to be told. ``dropped`` is called where one raised."""

    def __init__(self, dropped: Callable[[], None] = lambda: None) -> None:
        self.dropped = dropped
        self._lock = RLock()  # a finalizer may remove a hook in the middle of this
        self._handles: tuple[HookHandle, ...] = ()
        self._waiting: deque[tuple[CallRecord, tuple[HookHandle, ...]]] = deque()
        self._inside: set[int] = set()
        self._pid: int | None = None
        """Whose records wait; None before the first."""

    def add(self, hook: Hook) -> HookHandle:
        handle = HookHandle(hook, self)
        with self._lock:
            self._handles = (*self._handles, handle)
        return handle

    def discard(self, handle: HookHandle) -> None:
        with self._lock:
            self._handles = tuple([kept for kept in self._handles if kept is not handle])

    def listeners(self) -> tuple[HookHandle, ...]:
        """Who will be told of a call that begins now; nobody, where a hook makes it."""
        handles = self._handles
        return () if handles and get_ident() in self._inside else handles

    def append(self, record: CallRecord, listeners: tuple[HookHandle, ...]) -> None:
        """Let a record wait to be told. Never waits itself, and calls nothing."""
        self._drop_inherited()
        self._waiting.append((record, listeners))

    def tell(self) -> None:
        """Tell what waits. Never to be called by garbage collection, nor with a lock held."""
        if not self._waiting:
            return
        self._drop_inherited()
        thread = get_ident()
        if thread in self._inside:
            return
        self._inside.add(thread)
        try:
            self._drain()
        finally:
            self._inside.discard(thread)

    def _drop_inherited(self) -> None:
        """What waits in a forked child is its parent's to tell."""
        pid = getpid()
        if self._pid != pid:
            self._pid = pid
            self._waiting.clear()

    def _drain(self) -> None:
        while self._waiting:
            try:
                record, listeners = self._waiting.popleft()
            except IndexError:  # pragma: no cover  # another thread took the last one
                return
            for handle in listeners:
                handle.tell(record)
