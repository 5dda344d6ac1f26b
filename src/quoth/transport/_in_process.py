"""Carries requests to an app in this process; this half is for blocking callers.

An app answers an HTTPRequest by calling ``emit``: first with a WireReply, the head, then with the pieces of
the body. It runs on a thread of its own, one a call, so that the caller only ever waits for a queue:
Ctrl-C, cancellation and the deadline reach the caller at once, whatever the app is doing. The app is asked
to stop by what ``emit`` returns: True once the caller has gone.

Nothing slows an app down whose caller reads slowly: what it emits waits in memory, bounded by what one
answer can hold. Threads are daemons, so none can keep a program alive; but native code under way while the
interpreter is taken down crashes it, so at exit every app under way is told to stop and waited for.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol, TypeAlias

from ..errors import APIConnectionError, Phase, ProtocolError, QuothError
from ..wire import HTTPRequest, WireReply
from ._clock import Deadline, monotonic

__all__ = ["App", "Emit", "InProcessExchange", "InProcessTransport", "ReplyUnderWay"]

Emit: TypeAlias = Callable[[WireReply | bytes], bool]
"""Give the head or the next piece of the body; True says that the caller has gone: stop."""

Item: TypeAlias = WireReply | bytes | BaseException | None
"""What reaches the caller: the head, a piece, why the app failed, or None at the proper end."""

LONGEST_WAIT = 0.1 if sys.platform == "win32" else 3600.0
"""Seconds of one wait for the queue: on Windows a wait cannot be interrupted, so Ctrl-C is seen between two."""

EXIT_PATIENCE = 10.0
"""Seconds that the end of the interpreter waits for apps to stop. One that emits stops within a piece."""

_numbers = count(1)


class _Running:
    """The calls under way in this process, to be stopped before the interpreter goes."""

    __slots__ = ("_calls", "_ending", "_watching")

    def __init__(self) -> None:
        self._calls: set[AppCall] = set()
        self._watching = self._ending = False

    def watch(self) -> None:
        """Prepare for the end of the interpreter; raise RuntimeError where that has begun."""
        if self._ending:
            raise RuntimeError("the interpreter is ending")
        if not self._watching:
            self._watching = True
            atexit.register(self.stop)

    def add(self, call: AppCall) -> None:
        self.watch()
        self._calls.add(call)

    def discard(self, call: AppCall) -> None:
        self._calls.discard(call)

    def stop(self) -> None:
        """Tell every app to stop and wait for it. In a forked child none of these threads is alive."""
        self._ending = True
        calls = list(self._calls)
        for call in calls:
            call.gone = True
        until = monotonic() + EXIT_PATIENCE
        for call in calls:
            call.thread.join(max(0.0, until - monotonic()))


_running = _Running()


class App(Protocol):
    """Answers requests in this process, many threads at once."""

    def handle(self, request: HTTPRequest, emit: Emit, /) -> None:
        """Emit a WireReply and then the body's pieces; return at the proper end, raise to break off.

        A body inside the WireReply is its first piece. Empty pieces are not handed on: an app may emit
        ``b""`` to ask whether the caller has gone.
        """
        ...


class AppCall:
    """One call of an app, on a thread of its own. ``deliver`` takes its items there, and says True to stop."""

    __slots__ = ("_app", "_deliver", "_request", "gone", "pid", "thread")

    def __init__(self, app: App, request: HTTPRequest, deliver: Callable[[Item], bool]) -> None:
        self._app = app
        self._request = request
        self._deliver = deliver
        self.gone = False
        """Set from any thread once nobody waits for the answer."""
        self.pid = os.getpid()
        self.thread = threading.Thread(target=self._run, name=f"quoth-local-{next(_numbers)}", daemon=True)

    def start(self) -> None:
        """Start the thread; raise APIConnectionError where the system or an ending interpreter gives none."""
        try:
            _running.watch()
            self.thread.start()
        except RuntimeError as error:
            raise APIConnectionError(
                f"no thread could be started for the embedded model: {error}", phase="connect"
            ) from error

    def _run(self) -> None:
        outcome: BaseException | None = None
        try:
            _running.add(self)
            self._app.handle(self._request, self._emit)
        except BaseException as error:  # noqa: BLE001 - nobody stands above a thread: the caller gets it, whatever it is
            outcome = error
        if not self.gone:
            self._deliver(outcome)
        _running.discard(self)

    def _emit(self, item: WireReply | bytes) -> bool:
        if isinstance(item, WireReply):
            self._give(item)
            item = item.body
        if item:
            self._give(item)
        return self.gone

    def _give(self, item: Item) -> None:
        if not self.gone and self._deliver(item):
            self.gone = True

    def check_process(self) -> None:
        """Raise where this process was forked off since: the thread has stayed behind."""
        if os.getpid() != self.pid:
            raise APIConnectionError(
                "this reply belongs to the process that asked for it, not to its forked child",
                phase="read",
                sent="yes",
                retryable=False,
            )


def head_of(item: Item) -> WireReply:
    """The reply's head, which must be what an app emits first."""
    if isinstance(item, WireReply):
        return item
    if isinstance(item, BaseException):
        raise _failure(item, "first_byte")
    raise ProtocolError("the embedded model gave no head before its body", phase="first_byte")


def piece_of(item: Item) -> bytes:
    """A piece of the body, or empty for its proper end."""
    if item is None:
        return b""
    if isinstance(item, bytes):
        return item
    if isinstance(item, BaseException):
        raise _failure(item, "read")
    raise ProtocolError("the embedded model gave a second head", phase="read")


def _failure(error: BaseException, phase: Phase) -> QuothError:
    """What an app raised, as the caller gets it: an error of ours as it is, any other named."""
    if isinstance(error, QuothError):
        return error
    failure = APIConnectionError(
        f"the embedded model failed: {type(error).__name__}: {error}", phase=phase, sent="yes", retryable=False
    )
    failure.__cause__ = error
    return failure


def closed() -> APIConnectionError:
    """What a reader gets whose exchange was closed before the end of the body."""
    return APIConnectionError(
        "the reply was closed before its end", phase="read", sent="yes", billed="maybe", retryable=False
    )


class _Mailbox:
    """Where one call's items wait for a blocking reader."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: SimpleQueue[Item] = SimpleQueue()

    def deliver(self, item: Item) -> bool:
        self._queue.put(item)
        return False

    def take(self, deadline: Deadline, phase: Phase) -> Item:
        while True:
            wait = min(deadline.require(phase, "yes"), LONGEST_WAIT)
            try:
                return self._queue.get(timeout=wait)
            except Empty:
                continue


class ReplyUnderWay:
    """What both exchanges share: closing one, or losing it to garbage collection, stops the app."""

    __slots__ = ("_call", "_deliver", "_end", "headers", "status")

    def __init__(self, call: AppCall, deliver: Callable[[Item], bool], head: WireReply) -> None:
        self._call = call
        self._deliver = deliver
        self._end: tuple[BaseException | None] | None = None
        self.status = head.status
        self.headers = head.headers

    def _known(self) -> bytes | None:
        """How the body ended, if it has: empty, or the error again. None where there is more to wait for."""
        if self._end is not None:
            return piece_of(self._end[0])
        if self._call.gone:
            raise closed()
        return None

    def _took(self, piece: bytes) -> bytes:
        if not piece:
            self._end = (None,)
        return piece

    def _failed(self, error: Exception) -> None:
        self._end = (error,)
        self._call.gone = True

    def close(self) -> None:
        """Stop the app, if it still runs, and wake who waits for it. May be called from any thread."""
        self._call.gone = True
        if self._end is None:
            self._deliver(closed())

    def __del__(self) -> None:
        self._call.gone = True


class InProcessExchange(ReplyUnderWay):
    """One reply under way, for blocking readers."""

    __slots__ = ("_mailbox",)

    def __init__(self, call: AppCall, mailbox: _Mailbox, head: WireReply) -> None:
        super().__init__(call, mailbox.deliver, head)
        self._mailbox = mailbox

    def read(self, deadline: Deadline) -> bytes:
        """The next piece of the body; empty at its end and ever after."""
        known = self._known()
        if known is not None:
            return known
        self._call.check_process()
        try:
            return self._took(piece_of(self._mailbox.take(deadline, "read")))
        except Exception as error:
            self._failed(error)
            raise


class InProcessTransport:
    """Carries requests to ``app`` for blocking callers."""

    def __init__(self, app: App) -> None:
        self._app = app

    def open(self, request: HTTPRequest, deadline: Deadline) -> InProcessExchange:
        """Start the app and wait for its head.

        Raises ConfigurationError, as the app raised it, where the app cannot answer at all.
        """
        deadline.require("connect", "no")
        mailbox = _Mailbox()
        call = AppCall(self._app, request, mailbox.deliver)
        try:
            call.start()
            return InProcessExchange(call, mailbox, head_of(mailbox.take(deadline, "first_byte")))
        except BaseException:
            call.gone = True
            raise

    def close(self) -> None:
        """Nothing is idle here: a call's thread ends with the call."""
