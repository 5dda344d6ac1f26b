"""SimpleModelRegistry: a model id becomes a live Provider. Lazy, cached, safe in threads, one lock.

The lock guards the two dictionaries only. It is never held while a provider is built: two threads that race
for the same id wait for one construction, other ids are not held up, and a hit takes no lock at all (a
dictionary's ``get`` is atomic). A failed construction is not cached: all who waited see its error, the next
caller tries again. What is built is looked up in the catalog then and there, so that a hit need not be.
"""

from __future__ import annotations

import os
from _thread import LockType, allocate_lock

from .providers._provider import Provider
from .providers._registry import ForkSafeLock, ProviderTable, check_id
from .transport._clock import today

__all__ = ["SimpleModelRegistry"]


class SimpleModelRegistry:
    """Live providers by the id as it was written. ``limit`` bounds how many ids are remembered."""

    def __init__(self, table: ProviderTable, limit: int = 1024) -> None:
        self.table = table
        self._limit = limit
        self._lock = ForkSafeLock()
        self._live: dict[str, Provider] = {}
        self._building: dict[str, _Building] = {}

    def get(self, model: str, *, quiet: bool = False) -> Provider:
        """The live provider for an id; raise UnknownModelError, InputError or NotBuiltError.

        Warns once where the model is retired, unless ``quiet``.
        """
        try:
            provider = self._live.get(model)
        except TypeError:  # not even hashable
            provider = None
        if provider is None or provider.version != self.table.version:
            check_id(model)
            provider = self._build(model)
        if provider.warns and not quiet:
            _warn_of_retirement(provider.id)  # it raises each time where the program makes warnings errors
            provider.warns = False
        return provider

    def clear(self) -> None:
        """Forget all that was built."""
        with self._lock:
            self._live.clear()

    def __len__(self) -> int:
        return len(self._live)

    def _build(self, model: str) -> Provider:
        while True:
            building, first = self._join(model)
            provider = self._construct(model, building) if first else building.wait()
            if provider is not None and provider.version == self.table.version:
                return provider  # else its builder was interrupted, or a row was replaced meanwhile

    def _join(self, model: str) -> tuple[_Building, bool]:
        with self._lock:
            building = self._building.get(model)
            if building is not None and building.pid == os.getpid():  # a fork takes no builder with it
                return building, False
            building = self._building[model] = _Building()
            return building, True

    def _construct(self, model: str, building: _Building) -> Provider:
        error: Exception | None = None
        built: Provider | None = None
        try:
            version = self.table.version  # read first: a row that is replaced from here on makes this provider stale
            spec, name = self.table.resolve(model)
            built = provider = _looked_up(Provider(spec, name, version))
        except Exception as raised:
            error = raised
            raise
        finally:
            self._publish(model, building, built)
            building.done(built, error)
        return provider

    def _publish(self, model: str, building: _Building, provider: Provider | None) -> None:
        with self._lock:
            if self._building.get(model) is building:
                del self._building[model]
            if provider is not None:
                while len(self._live) >= self._limit and model not in self._live:
                    del self._live[next(iter(self._live))]  # the oldest
                self._live[model] = provider


def _looked_up(provider: Provider) -> Provider:
    """The provider with what the catalog has of its model."""
    from ._catalog import model_info

    provider.learn(model_info(provider.id), today())
    return provider


def _warn_of_retirement(id: str) -> None:
    from ._catalog import warn_of_retirement

    warn_of_retirement(id, today())


class _Building:
    """One construction under way, and how it ends for those who wait."""

    __slots__ = ("_done", "_error", "_provider", "pid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._provider: Provider | None = None
        self._error: Exception | None = None
        self._done: LockType = allocate_lock()
        self._done.acquire()

    def done(self, provider: Provider | None, error: Exception | None) -> None:
        self._provider, self._error = provider, error
        self._done.release()

    def wait(self) -> Provider | None:
        """The provider; None where its builder was interrupted, so that the one who waits must build."""
        with self._done:
            if self._error is None:
                return self._provider
        from copy import copy

        raise copy(self._error)  # each thread its own: a shared one would gather all their tracebacks
