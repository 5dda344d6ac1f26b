"""After a fork, the child's transports let go of what belongs to the parent."""

from __future__ import annotations

import os
from functools import cache
from typing import Protocol
from weakref import WeakSet

__all__ = ["watch"]


class _Inheritor(Protocol):
    def after_fork_in_child(self) -> None: ...


_watched: WeakSet[_Inheritor] = WeakSet()


def watch(transport: _Inheritor) -> None:
    """Have ``after_fork_in_child`` called in every child, for as long as the transport lives."""
    _watched.add(transport)
    _register()


@cache
def _register() -> None:  # once: it cannot be undone
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_tell_all)


def _tell_all() -> None:
    for transport in list(_watched):
        transport.after_fork_in_child()
