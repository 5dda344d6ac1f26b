"""Which leaves of a recorded reply a mutation may change: those that say something, where they say it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

__all__ = ["MutableLeaves"]


class MutableLeaves(Struct, frozen=True, kw_only=True):
    """What a wire says of its leaves. A path stands for what is below it too; of a stream it begins with the event."""

    unread: Mapping[str, str]
    """Paths of a whole answer that no client reads, and why."""
    unread_in_streams: Mapping[str, str]
    unread_in_errors: Mapping[str, str]
    unit: str
    """A pattern of the paths of the fields that a later event of a stream replaces as a whole."""
    growing: tuple[str, ...]
    """Paths of which each event of a stream says a piece; of all others the last value counts, or the first."""
    events: frozenset[str] | None = None
    """The events of a stream that say something, where they have types; None for all."""
    told: tuple[str, ...]
    """Paths of what is compared of a stream that does not come to its end."""
    first: frozenset[str] = frozenset()
    """Paths that each event of a stream says anew, of which the first counts."""
    begins: frozenset[str] = frozenset()
    """Paths of what grows that only its first piece says, even where later ones repeat it."""
    refusals: tuple[str, ...] = ()
    """Paths of what a body says that is no answer because it was refused."""
    replaced: tuple[tuple[str, str], ...] = ()
    """Pairs of paths: what a stream says below the first one, a later event may say again below the second."""
