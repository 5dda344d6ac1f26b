"""Words of a wire back into ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ....embeddings import InputType
from ..._kept import Wire

__all__ = ["word_of"]

_OURS: tuple[InputType, ...] = get_args(InputType)


def word_of(body: Wire, name: str, words: Mapping[str, str]) -> InputType | None:
    """Take out of a body what its texts are for, where its word is one of ``words``, which are by ours."""
    said = body.get(name)
    found = next((ours for ours in _OURS if words.get(ours) == said), None) if isinstance(said, str) else None
    if found is not None:
        del body[name]
    return found
