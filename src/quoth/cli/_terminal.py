"""What a model writes, made harmless for a terminal.

Foreign text must not move the cursor, set a title, fill the clipboard (OSC 52), hide a link's target (OSC 8)
or reorder what is read. Removed are the C0 and C1 controls but newline and tab, whole escape sequences in
their 7-bit (ESC [) and 8-bit (U+009B) forms, bidi overrides and isolates, and the invisible tag characters.

The filter is a state machine over characters (ECMA-48, and the parser of the DEC VT500 series): how the text
is cut into pieces changes nothing, and nothing is held back for later. A sequence that never ends swallows at
most the rest of its line or LIMIT characters: without its ESC the rest is plain text, and an answer is worth more.
"""

from __future__ import annotations

import re

__all__ = ["LIMIT", "Neutralizer", "escape_json", "neutralize"]

LIMIT = 4_096
"""The longest escape sequence that is swallowed whole, in characters."""

_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_UNPRINTABLE_IN_ASCII = re.compile(r"[^\x00-\x7e]")

_TEXT, _ESCAPE, _CSI, _STRING = range(4)

_OPENS = {
    "\x1b": _ESCAPE,
    "\x9b": _CSI,
    "\x90": _STRING, "\x98": _STRING, "\x9d": _STRING, "\x9e": _STRING, "\x9f": _STRING,
}  # fmt: skip
"""The characters that begin a sequence: ESC, and as single C1 controls CSI, DCS, SOS, OSC, PM, APC."""

_AFTER_ESCAPE = {"[": _CSI, "]": _STRING, "P": _STRING, "X": _STRING, "^": _STRING, "_": _STRING}
"""What follows ESC to mean the same: CSI, OSC, DCS, SOS, PM, APC. Anything else is a short sequence."""

_STRING_ENDS = frozenset("\x07\x18\x1a\x9c")
"""BEL, CAN, SUB and the one-character ST. The two-character ST is ESC and a backslash: a sequence of its own."""


class Neutralizer:
    """One text's filter: give it the pieces in order, write what it gives."""

    __slots__ = ("_length", "_state")

    def __init__(self) -> None:
        self._state = _TEXT
        self._length = 0

    def feed(self, piece: str) -> str:
        """The harmless rest of the piece."""
        if self._state == _TEXT and not _UNWANTED.search(piece):
            return piece
        return "".join([char for char in piece if self._passes(char)])

    def _passes(self, char: str) -> bool:
        if self._state != _TEXT and self._swallows(char):
            return False
        if not _UNWANTED.match(char):
            return True
        self._state = _OPENS.get(char, _TEXT)
        self._length = 0
        return False

    def _swallows(self, char: str) -> bool:
        """Whether the character belongs to the sequence under way, which it may end."""
        self._length += 1
        following = self._following(char) if self._length <= LIMIT else None
        self._state = _TEXT if following is None else following
        return following is not None

    def _following(self, char: str) -> int | None:
        """The state after a character of a sequence; None where it is none of it."""
        if self._state == _STRING:
            return _after_in_string(char)
        if self._state == _ESCAPE and char in _AFTER_ESCAPE:
            return _AFTER_ESCAPE[char]
        if " " <= char <= "/" or (self._state == _CSI and "0" <= char <= "?"):
            return self._state  # parameters and intermediates
        return _TEXT if "0" <= char <= "~" else None


def _after_in_string(char: str) -> int | None:
    if char in _STRING_ENDS:
        return _TEXT
    return None if char in "\n\x1b" else _STRING


def neutralize(text: str) -> str:
    """A whole text without what a terminal would obey."""
    return Neutralizer().feed(text)


def escape_json(text: str, *, ascii_only: bool = False) -> str:
    """JSON text in which what a terminal would obey (or all that is not ASCII) stands as ``\\uXXXX``.

    The value is the same: outside its strings JSON has no such characters.
    """
    return (_UNPRINTABLE_IN_ASCII if ascii_only else _UNWANTED).sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join([f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)])
