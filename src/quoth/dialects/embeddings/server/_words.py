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
    for ours in _OURS if isinstance(said, str) else ():
        if words.get(ours) == said:
            del body[name]
            return ours
    return None
