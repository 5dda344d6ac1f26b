"""The metrics of several processes in one folder: each keeps its own numbers there, and whoever is asked adds them up.

A *member* is one process with one ModelsAPI. It has two files: its numbers, replaced whole about once a second where
they have changed, and when the process ends; and a lock that it holds as long as it lives, which the system takes from
it however it dies. The numbers of the dead are added into one file, ``folded.json``, which names those it holds before
their files are removed: so each is counted once, whatever is cut short in between. Gauges of the dead are dropped. Who
adds up, or becomes a member, holds ``folder.lock``.

What a process that is killed had not written yet is lost: that of its last second.

A forked child becomes a member of its own. One that finds its lock gone (somebody has closed all descriptors, as
daemons do) was taken for dead: it becomes a new one, for what it has counted since.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Protocol, TypeAlias

import msgspec
from msgspec import Struct

from ..._database._files import is_at, make_folder
from ._gauges import join_gauges
from ._series import Labels, Numbers, Series, Store

__all__ = ["Sharing"]

PAUSE = 1.0
"""Seconds between two looks whether there is something new to write."""
AT_EXIT = 2.0
"""Seconds that the end of a process waits for the thread."""
PATIENCE = 2.0
"""Seconds to wait for another process that holds the folder."""
_STEP = 0.01

_FOLDED = "folded"
_OWN = "quoth-"

Entries: TypeAlias = dict[str, list[tuple[Labels, Numbers]]]
Collect: TypeAlias = Callable[[], tuple[Series, Series]]
"""Gives the counted numbers of this process, and its gauges."""


class Failed(Protocol):
    """Told, in words, what could not be written; and whether that is the first time."""

    def __call__(self, words: str, *, first: bool) -> None: ...


class _Kept(Struct, kw_only=True):
    """What a file holds. ``members``: whose numbers ``folded.json`` holds already."""

    schema: int = 1
    counted: Entries
    gauges: Entries = {}
    members: tuple[str, ...] = ()


class Sharing:
    """Takes part in one folder, in every process that has it."""

    def __init__(self, folder: str, collect: Collect, failed: Failed) -> None:
        self.folder = folder
        self._collect = collect
        self._failed = failed
        self._members: dict[int, _Member] = {}
        self._ready: set[int] = set()
        """Processes that have somebody who writes."""
        self._leaving: set[int] = set()
        """Those whose end is waited for."""

    def ready(self) -> None:
        """See that this process has somebody who writes. Called where a call begins."""
        pid = os.getpid()
        if pid not in self._ready:
            self._begin(pid)

    def _begin(self, pid: int) -> None:
        if pid not in self._leaving:
            import atexit

            if not self._leaving:  # a forked child inherits it
                atexit.register(self.close)
            self._leaving.add(pid)
            multiprocessing = sys.modules.get("multiprocessing.util")
            if multiprocessing is not None:
                multiprocessing.Finalize(None, self.close, exitpriority=0)
        self._ready.add(pid)
        with suppress(RuntimeError):  # no thread can be started any more: it is written at the end
            self._member().start()

    def _member(self) -> _Member:
        pid = os.getpid()
        member = self._members.get(pid)
        if member is None:
            inherited = [each for owner, each in [*self._members.items()] if owner != pid]
            member = self._members.setdefault(pid, _Member(self.folder, self._collect, self._failed))
            for each in inherited:
                each.let_go()
        return member

    def joined(self) -> Series:
        """The numbers and gauges of all processes. Raises OSError where the folder cannot be used."""
        return self._member().joined()

    def close(self) -> None:
        """Write what is new, and end the thread; the next call begins anew. Raises nothing."""
        pid = os.getpid()
        if pid in self._ready:
            self._ready.discard(pid)
            self._member().stop()

    def end(self) -> None:
        """Close: this process is no member any more, until something is written again."""
        self.close()
        member = self._members.get(os.getpid())
        if member is not None:
            member.let_go()


class _Member:
    """One process with its files."""

    def __init__(self, folder: str, collect: Collect, failed: Failed) -> None:
        self._folder = folder
        self._collect = collect
        self._failed = failed
        self._using = allocate_lock()
        """Guards what is below; a thread that holds it may wait for the folder."""
        self._name = ""
        self._descriptor = -1
        self._base: Series = {}
        """What a former member of this process has written: it is not counted again."""
        self._written: tuple[Series, Series] = ({}, {})
        self._starting = allocate_lock()
        self._thread: Thread | None = None
        self._stop = Event()
        self._said = False
        """Whether it was said that something could not be written."""

    # The thread.

    def start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._stop = Event()
                thread = Thread(target=self._run, args=(self._stop,), name="quoth-metrics", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self, stop: Event) -> None:
        while not stop.wait(PAUSE):
            self._write_or_say()

    def stop(self) -> None:
        with self._starting:
            self._stop.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(AT_EXIT)
        self._write_or_say()

    def _write_or_say(self) -> None:
        try:
            with self._using:
                self._write()
        except Exception as error:  # noqa: BLE001  # a full disk, a mistake of ours: no call may suffer from it
            first, self._said = not self._said, True
            self._failed(f"{self._folder}: {type(error).__name__}: {error}", first=first)

    # Files.

    def _path(self, name: str, ending: str) -> str:
        return os.path.join(self._folder, f"{name}.{ending}")  # noqa: PTH118  # pathlib costs start-up time

    def _write(self) -> Series:
        """Write the numbers of this process where they are new; give them, as they are to be added to others'."""
        counted, gauges = self._collect()
        if not self._name or not self._is_member():
            self._join()
        if (counted, gauges) != self._written:
            own = _without(counted, self._base)
            self._replace(self._name, _Kept(counted=_entries(own), gauges=_entries(gauges)))
            self._written = counted, gauges
        return _without(counted, self._base)

    def _is_member(self) -> bool:
        try:
            return is_at(self._descriptor, self._path(self._name, "lock"))
        except OSError:
            return False

    def _join(self) -> None:
        """Become a member: with a lock that is held, before anybody else sees it."""
        make_folder(self._folder)
        _refuse_shared(self._folder)
        self._base, self._written = self._written[0], ({}, {})
        name = f"{_OWN}{os.getpid()}-{os.urandom(4).hex()}"
        with self._held():
            self._fold()
            descriptor = os.open(self._path(name, "lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if not _hold(descriptor):
                os.close(descriptor)
                raise OSError(f"{self._path(name, 'lock')} cannot be locked")
        self._name, self._descriptor = name, descriptor

    def let_go(self) -> None:
        """Close the lock: it is a forked child's parent's, or this is no member any more."""
        if self._name and self._is_member():
            os.close(self._descriptor)
        self._name = ""

    @contextmanager
    def _held(self) -> Generator[None, None, None]:
        """Hold the folder. Raises TimeoutError where another process does for long."""
        descriptor = os.open(self._path("folder", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            for _ in range(int(PATIENCE / _STEP)):
                if _hold(descriptor):
                    break
                Event().wait(_STEP)
            else:
                raise TimeoutError(f"{self._folder} is held by another process")
            yield
        finally:
            _release(descriptor)

    def _replace(self, name: str, kept: _Kept) -> None:
        path, new = self._path(name, "json"), self._path(name, "new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(msgspec.json.encode(kept))
        for _ in range(10):
            with suppress(PermissionError):  # on Windows, while another process reads what is there
                os.replace(new, path)  # noqa: PTH105
                return
            Event().wait(_STEP)
        os.replace(new, path)  # noqa: PTH105

    def _read(self, name: str) -> _Kept:
        """What stands in a file; nothing, where there is none. Raises ValueError for what cannot be read."""
        try:
            with open(self._path(name, "json"), "rb") as file:  # noqa: PTH123
                return msgspec.json.decode(file.read(), type=_Kept)
        except FileNotFoundError:
            return _Kept(counted={})

    def _others(self) -> list[str]:
        """The names of all members but this one, living and dead."""
        names = {name.rpartition(".")[0] for name in os.listdir(self._folder) if name.startswith(_OWN)}  # noqa: PTH208
        return sorted(names - {self._name})

    def _fold(self) -> list[str]:
        """Add the numbers of the dead into ``folded.json``, and remove their files; give the names of the living."""
        others = self._others()
        living = [name for name in others if self._lives(name)]
        dead = [name for name in others if name not in living]
        if dead:
            folded = self._read(_FOLDED)
            store = Store()
            store.join(_series(folded.counted))
            for name in dead:
                if name not in folded.members:
                    store.join(_series(self._read(name).counted))
            self._replace(_FOLDED, _Kept(counted=_entries(store.series), members=tuple(dead)))
            for name in dead:
                for ending in ("new", "json", "lock"):
                    with suppress(FileNotFoundError):
                        os.unlink(self._path(name, ending))  # noqa: PTH108
        return living

    def _lives(self, name: str) -> bool:
        """Whether somebody holds a member's lock."""
        try:
            descriptor = os.open(self._path(name, "lock"), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _hold(descriptor)
        finally:
            _release(descriptor)

    def joined(self) -> Series:
        """All of it, as it stands now."""
        with self._using:
            own = self._write()
            store, gauges = Store(), {name: {**known} for name, known in self._written[1].items()}
            with self._held():
                living = [self._read(name) for name in self._fold()]
                folded = self._read(_FOLDED)
        store.join(_series(folded.counted))
        for kept in living:
            store.join(_series(kept.counted))
            join_gauges(gauges, _series(kept.gauges))
        store.join(own)
        return {**store.series, **gauges}


def _entries(series: Series) -> Entries:
    return {name: [*known.items()] for name, known in series.items()}


def _series(entries: Entries) -> Series:
    return {name: {tuple(labels): numbers for labels, numbers in known} for name, known in entries.items()}


def _without(series: Series, base: Series) -> Series:
    """The numbers less those of a base. A ledger that was replaced has lost less than the one before: not below 0."""
    if not base:
        return series
    nothing: dict[Labels, Numbers] = {}
    return {
        name: {
            labels: [max(number - less, 0) for number, less in zip(numbers, base[name][labels], strict=True)]
            if labels in base.get(name, nothing)
            else numbers
            for labels, numbers in known.items()
        }
        for name, known in series.items()
    }


def _refuse_shared(folder: str) -> None:
    """Raise PermissionError where others could write into the folder: their numbers would be taken for ours."""
    found = os.stat(folder)  # noqa: PTH116
    if os.name == "posix" and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise PermissionError(f"others may write to {folder} too: name a folder in it that is not there yet")


def _hold(descriptor: int) -> bool:
    """Lock a file until it is closed; False where somebody else has. Waits for nobody."""
    try:
        if sys.platform == "win32":
            from msvcrt import LK_NBLCK, locking

            locking(descriptor, LK_NBLCK, 1)
        else:
            from fcntl import LOCK_EX, LOCK_NB, flock

            flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    return True


def _release(descriptor: int) -> None:
    """Unlock a file and close it. Unlocked it is for a child too that was forked meanwhile, and has it open."""
    if sys.platform != "win32":
        from fcntl import LOCK_UN, flock

        flock(descriptor, LOCK_UN)
    os.close(descriptor)
