"""The three streams of a command, and how each is written to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import TextIO

from msgspec import Struct

from ._terminal import Neutralizer, escape_json, neutralize

__all__ = ["Console", "Page", "UnwritableError"]


class UnwritableError(Exception):
    """Standard output takes no more: a full disk, a closed file."""


class Console(Struct, frozen=True, kw_only=True):
    """Where a command reads and writes. ``stdin`` is None where there is none."""

    stdin: TextIO | None
    stdout: TextIO
    stderr: TextIO

    @classmethod
    def of_process(cls) -> Console:
        """The streams of this process.

        A character that the output's encoding lacks is written as an escape, never an error. Input that is
        no text is an error, never a guess.
        """
        for stream, errors in (
            (sys.stdin, "strict"),
            (sys.stdout, "backslashreplace"),
            (sys.stderr, "backslashreplace"),
        ):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors=errors)
        return cls(stdin=sys.stdin, stdout=_open(sys.stdout), stderr=_open(sys.stderr))

    def piped(self) -> str:
        """What was piped in, without the newlines at its end; empty where a person sits at a terminal.

        Raises UnicodeDecodeError where it is no text.
        """
        if self.stdin is None or self.stdin.isatty():
            return ""
        return self.stdin.read().rstrip("\r\n")

    def write(self, text: str) -> None:
        """Write to standard output, now. Raises UnwritableError, or BrokenPipeError where nobody reads."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UnwritableError(error.strerror or str(error)) from None

    def write_json(self, text: str, *, raw: bool) -> None:
        """Write a line of JSON that is safe on a terminal (unless ``raw``) and in any encoding."""
        if self.stdout.isatty() and not raw:
            text = escape_json(text)
        if not _is_unicode(self.stdout):
            text = escape_json(text, ascii_only=True)
        self.write(text + "\n")

    def write_table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write rows whose cells stand in columns: each row one line, for names may come from outside.

        On a terminal each cell is neutralised by itself: a sequence that one leaves open hides nothing of the next.
        """
        shown = [[" ".join(self.plain(cell).split()) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        for row in shown:
            self.write("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]).rstrip() + "\n")

    def plain(self, text: str) -> str:
        """Foreign text for standard output: neutralised where that is a terminal."""
        return neutralize(text) if self.stdout.isatty() else text

    def page(self, *, raw: bool) -> Page:
        """For an answer: what is written to a terminal is neutralised, unless ``raw``; a pipe gets it all."""
        return Page(self.write, Neutralizer().feed if self.stdout.isatty() and not raw else str)

    def say(self, text: str) -> None:
        """Write a line to standard error, neutralised; where that takes no more there is nobody to tell."""
        _put(self.stderr, neutralize(text) + "\n")

    def newline(self) -> None:
        """Move the cursor to a fresh line."""
        _put(self.stdout if self.stdout.isatty() else self.stderr, "\n")

    def settle(self) -> None:
        """Drop what cannot be written, lest the interpreter complains of it on its way out."""
        for stream in (self.stdout, self.stderr):
            try:
                stream.flush()
            except OSError:
                void = _void()
                os.dup2(void, stream.fileno())
                os.close(void)


class Page:
    """An answer being written, piece by piece; its last line is ended once."""

    __slots__ = ("_filter", "_mid_line", "_write")

    def __init__(self, write: Callable[[str], None], filter_: Callable[[str], str]) -> None:
        self._write = write
        self._filter = filter_
        self._mid_line = False

    def write(self, piece: str) -> None:
        shown = self._filter(piece)
        if shown:
            self._write(shown)
            self._mid_line = not shown.endswith("\n")

    def end(self) -> None:
        if self._mid_line:
            self._write("\n")
            self._mid_line = False


def _open(stream: TextIO | None) -> TextIO:
    """The stream, or the void where the process was started without it."""
    return os.fdopen(_void(), "w", encoding="utf-8") if stream is None else stream


def _void() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def _put(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        pass


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
