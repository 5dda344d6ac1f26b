"""Hooks: functions of the user's that are told of each call when it has ended, and cannot hurt it.

A record waits in a queue until it is told. A call that ends while its caller's code runs (answered, failed,
cancelled, a stream that is closed) is told at once, on the caller's thread. One that garbage collection ends only
joins the queue, for its finalizer may run in the middle of anything: it is told when the next call ends, or when
``models.usage()`` is read. No lock is held while a hook runs, and several threads may be inside one hook at a time.

What a hook raises is counted in ``failures``, and reported by one RuntimeWarning for each hook; where warnings are
errors, it is only counted. A call that a hook makes is recorded, and told to no hook: else it would have no end.

A watcher sees calls and runs from their beginning on (``models.trace`` sets one); what it is told of their end waits in
the same queue.
"""

from __future__ import annotations

from _thread import RLock, get_ident
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from os import getpid
from typing import Any, Protocol, TypeAlias

from ..errors import clean
from ..types import ToolCall
from ..wire import Headers
from ._record import CallRecord

__all__ = ["Hook", "HookHandle", "Hooks", "RunWatch", "Watch", "Watcher", "warn_once"]

Hook: TypeAlias = Callable[[CallRecord], Any]


class Watch(Protocol):
    """What a watcher keeps of one call under way. Nothing of it raises."""

    def within(self) -> AbstractContextManager[None]:
        """What surrounds the call's own code, wherever that runs: never the code of who consumes a stream."""
        ...

    def sending(self, url: str) -> Headers:
        """Say where a request goes now; give the headers that it takes along."""
        ...

    def tell(self, record: CallRecord, call: Any) -> None:
        """Say how the call ended, with its scope."""
        ...


class RunWatch(Protocol):
    """What a watcher keeps of one run under way. Nothing of it raises."""

    def tool(self, tool: Any, call: ToolCall, /) -> Any:
        """The tool as it is executed for this call."""
        ...

    def tell(self, error: BaseException | None, *, abandoned: bool, late: bool) -> None:
        """Say how the run ended; ``late`` where it ended before this moment."""
        ...


class Watcher(Protocol):
    """Who sees calls and runs begin. Nothing of it raises."""

    def origin(self) -> Any:
        """The place where a stream or a run is made, which may begin elsewhere."""
        ...

    def begin(self, call: Any) -> Watch | None:
        """A call begins; ``call`` is its scope."""
        ...

    def begin_run(self, run_id: str, origin: Any) -> RunWatch | None:
        """A run begins; its calls have this id as their parent."""
        ...


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
            warn_once(f"quoth: the hook {self!r} raised {words}")

    def __repr__(self) -> str:
        return f"<hook {getattr(self._hook, '__qualname__', type(self._hook).__name__)}>"


def _words(error: Exception) -> str:
    try:
        return clean(str(error), 300)
    except Exception:  # noqa: BLE001  # an error whose words are broken is one all the same
        return "(no words)"


def warn_once(message: str) -> None:
    """Warn of a first failure of what listens. Raises nothing."""
    from warnings import warn

    try:
        message = f"{message} The call is not affected; later failures are only counted"
        warn(message, RuntimeWarning, stacklevel=2)
    except Exception:  # noqa: BLE001  # where warnings are errors: it is counted, and the call must not suffer
        return


class Hooks:
    """The hooks of one ModelsAPI, and the records that wait to be told. ``dropped`` is called where one raised."""

    def __init__(self, dropped: Callable[[], None] = lambda: None) -> None:
        self.dropped = dropped
        self._lock = RLock()  # a finalizer may remove a hook in the middle of this
        self._handles: tuple[HookHandle, ...] = ()
        self.watcher: Watcher | None = None
        self._waiting: deque[Callable[[], object]] = deque()
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

    def watch(self, call: Any) -> Watch | None:
        """Let the watcher see that a call begins."""
        watcher = self.watcher
        return None if watcher is None or get_ident() in self._inside else watcher.begin(call)

    def watch_run(self, run_id: str, origin: Any) -> RunWatch | None:
        """Let the watcher see that a run begins."""
        watcher = self.watcher
        return None if watcher is None or get_ident() in self._inside else watcher.begin_run(run_id, origin)

    def append(self, telling: Callable[[], object]) -> None:
        """Let what is to be told wait. Never waits itself, and calls nothing."""
        self._drop_inherited()
        self._waiting.append(telling)

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
                telling = self._waiting.popleft()
            except IndexError:  # pragma: no cover  # another thread took the last one
                return
            telling()
