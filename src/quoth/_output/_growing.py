"""JSON that comes in pieces: what of it is whole so far. Every character is looked at once; nothing is guessed.

A number is whole when something stands behind it, a text when its quote is closed, and an object or a list is shown as
soon as it is open. Where the text is no JSON, what was whole before stays, and nothing more comes.
"""

from __future__ import annotations

import re
from typing import Any

from .. import _json

__all__ = ["Growing"]

DEEPEST = 200
"""Levels that are followed."""

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\]*')
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*")


def _end(run: re.Pattern[str], text: str, position: int) -> int:
    """Where a run that may be empty ends."""
    found = run.match(text, position)
    return found.end() if found else position


class Growing:
    """Feed it the pieces in order; ``value()`` is what is whole. All before the character ``skips`` is skipped."""

    __slots__ = ("_broken", "_closed", "_escaped", "_keys", "_pieces", "_place", "_root", "_skips", "_stack", "whole")

    def __init__(self, *, skips: str = "") -> None:
        self._skips = skips
        self._root: list[Any] = []
        """Holds the value, once it has begun."""
        self._stack: list[dict[str, Any] | list[Any]] = []
        """The open objects and lists, the outermost first."""
        self._keys: list[str | None] = []
        """For each of them the key that its next value has, or its open one."""
        self._place = "value"
        """What comes next: ``value``, ``first`` (a value or the end), ``key``, ``colon``, ``comma``."""
        self._pieces: list[str] | None = None
        """The text or the scalar that is being read; a text begins with its quote."""
        self._escaped = False
        self._broken = False
        self._closed = False
        self.whole = 0
        """How many values were completed or opened."""

    @property
    def ended(self) -> bool:
        """Whether the whole value is there."""
        return self._closed

    def value(self) -> list[Any]:
        """The value as far as it is whole, in a list that is empty where nothing is. What is open is copied."""
        if not self._root:
            return []
        copies = [each.copy() for each in self._stack]
        for outer, key, inner in zip(copies, self._keys, copies[1:], strict=False):
            if isinstance(outer, list):
                outer[-1] = inner
            elif key is not None:
                outer[key] = inner
        return [copies[0]] if copies else self._root[:]

    def feed(self, text: str) -> None:
        """Take the next piece."""
        position = 0
        if self._skips:
            position = text.find(self._skips)
            if position < 0:
                return
            self._skips = ""
        while position < len(text) and not self._broken and not self._closed:
            if self._pieces is None:
                position = _end(_SPACE, text, position)
                if position < len(text):
                    position = self._begin(text, position)
            elif self._pieces[0] == '"':
                position = self._text(self._pieces, text, position)
            else:
                position = self._scalar(self._pieces, text, position)

    def _text(self, pieces: list[str], text: str, position: int) -> int:
        if self._escaped:
            pieces.append(text[position])
            self._escaped = False
            return position + 1
        end = _end(_PLAIN, text, position)
        pieces.append(text[position:end])
        if end == len(text):
            return end
        pieces.append(text[end])
        if text[end] == "\\":
            self._escaped = True
        else:
            self._complete("".join(pieces))
        return end + 1

    def _scalar(self, pieces: list[str], text: str, position: int) -> int:
        end = _end(_SCALAR, text, position)
        pieces.append(text[position:end])
        if end < len(text):
            self._complete("".join(pieces))
        return end

    def _complete(self, raw: str) -> None:
        """A text or a scalar is whole."""
        self._pieces = None
        try:
            value = _json.decode(raw.encode("utf-8", "surrogatepass"))
        except ValueError:
            self._broken = True
            return
        if self._place == "key" and isinstance(value, str):
            self._keys[-1], self._place = value, "colon"
        elif self._place == "key":
            self._broken = True
        else:
            self._put(value)
            self._behind()

    def _put(self, value: Any) -> None:
        self.whole += 1
        if not self._stack:
            self._root = [value]
        elif isinstance(self._stack[-1], list):
            self._stack[-1].append(value)
        else:
            self._stack[-1][str(self._keys[-1])] = value

    def _behind(self) -> None:
        """What comes behind a value."""
        if self._stack:
            self._place = "comma"
        else:
            self._closed = True

    def _begin(self, text: str, position: int) -> int:
        """One character of the structure, or the first of a text or a scalar."""
        character, place = text[position], self._place
        if character in "{[" and place in ("value", "first"):
            self._open({} if character == "{" else [])
        elif character in "}]" and place in ("comma", "first", "key"):
            self._close(character)
        elif character == "," and place == "comma":
            self._place = "key" if isinstance(self._stack[-1], dict) else "value"
        elif character == ":" and place == "colon":
            self._place = "value"
        elif (character == '"' and place in ("value", "first", "key")) or (
            place in ("value", "first") and _SCALAR.fullmatch(character)
        ):
            self._pieces = [character]
        else:
            self._broken = True
        return position + 1

    def _open(self, container: dict[str, Any] | list[Any]) -> None:
        self._put(container)
        self._stack.append(container)
        self._keys.append(None)
        self._place = "key" if isinstance(container, dict) else "first"
        self._broken = len(self._stack) > DEEPEST

    def _close(self, character: str) -> None:
        if (character == "}") != isinstance(self._stack[-1], dict):
            self._broken = True
            return
        self._stack.pop()
        self._keys.pop()
        self.whole += 1
        self._behind()
