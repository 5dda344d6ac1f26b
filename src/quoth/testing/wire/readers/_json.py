"""Looking into JSON whose form nobody promised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["json_of", "last_said", "object_in", "objects_in", "word"]


def json_of(text: str | bytes) -> Any:
    """The JSON of a text; None where it holds none."""
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return None


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def object_in(value: Any) -> dict[str, Any]:
    """An object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def word(value: Any) -> str | None:
    """A text that says something, or None."""
    return value if isinstance(value, str) and value else None


def last_said(holders: Sequence[Mapping[str, Any]], key: str) -> Any:
    """The last value of a field that says something."""
    return next((holder[key] for holder in reversed(holders) if holder.get(key)), None)
