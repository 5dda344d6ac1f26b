"""Reading the body of a request that embeds: what has a name, and the rest as it came."""

from __future__ import annotations

from typing import Any

from ....errors import InputError
from ..._kept import Wire

__all__ = ["model_of", "positive", "take_texts"]


def model_of(body: Wire) -> str:
    """Take the model out of a body. Raises InputError where it names none."""
    model = body.pop("model", None)
    if not isinstance(model, str):
        raise InputError("the request names no model: 'model' must be a string")
    return model


def take_texts(body: Wire, name: str) -> tuple[str, ...]:
    """Take the texts out of a body: one, or a list; none, and they stay, where it holds something else (tokens)."""
    value = body.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts) or not texts:
        return ()
    del body[name]
    return tuple(texts)


def positive(body: Wire, name: str) -> int | None:
    """Take a whole number from 1 out of a body; None where it has none, and an odd value stays."""
    value: Any = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        del body[name]
        return value
    return None
