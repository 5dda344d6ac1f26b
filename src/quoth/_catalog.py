"""What is known of models without asking anybody: whose a bare id is, and the nearest name to a wrong one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["closest", "nearest", "owner"]

_DIRECT = ("openai", "anthropic", "google", "mistral", "xai", "deepseek", "cohere", "zai", "moonshot", "minimax")
"""Who makes models: a bare id that stands in the price table is theirs before it is a host's."""


def owner(model: str) -> str | None:
    """The provider whose own model has exactly this id, or None."""
    from .data import prices

    ids = (f"{provider}/{model}" for provider in _DIRECT)
    return next((id_.partition("/")[0] for id_ in ids if id_ in prices.ROWS or id_ in prices.ALIASES), None)


def nearest(model: str, more: Iterable[str], providers: Collection[str]) -> list[str]:
    """Up to three known ids of these providers, as ``provider/model``, that look like this one; the nearest first.

    ``more`` holds ids that the price table does not know.
    """
    from .data import prices

    known: dict[str, str] = {}
    for id_ in (*more, *prices.ROWS):
        provider, _, name = id_.partition("/")
        if provider in providers:
            known[id_] = known[name] = id_
    found = [known[name] for name in closest(model, known, 6)]
    return list(dict.fromkeys(found))[:3]


def closest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known words that look most like this one, the nearest first."""
    from difflib import get_close_matches

    return get_close_matches(word.lower(), list(known), n=most, cutoff=0.6)
