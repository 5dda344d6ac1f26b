"""What the sources have in common: threads that want the same at once, and words for what cannot be had."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from copy import copy
from typing import Generic, TypeVar

from ...errors import DeadlineExceededError, MissingKeyError, QuothError
from .._registry import ForkSafeLock
from .._spec import ProviderSpec

__all__ = ["Once", "Sealed", "environment_state", "none_found", "words_of"]

Made = TypeVar("Made")

MOST_WORDS = 400
"""Characters that are told of another library's error."""


class Sealed(Generic[Made]):
    """An object of another library that holds secrets in plain fields. Only ``open()`` leads to it: a crash report that
    walks over attributes stops at a function."""

    __slots__ = ("open",)

    open: Callable[[], Made]

    def __init__(self, value: Made) -> None:
        self.open = lambda: value


class Once(Generic[Made]):
    """Of the threads that want the same at once, one gets it, and the others have what it got, or its error.

    The lock is held while it is got: who waits for it wants nothing else. So a metadata server is asked once, and where
    it is silent, fifty calls wait as long as one and not fifty times as long.
    """

    __slots__ = ("_error", "_got", "_lock", "_rounds")

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._rounds = 0
        self._got: Sealed[Made] | None = None
        self._error: QuothError | None = None

    def get(self, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, here or in the thread that was waited for. Raises what it raised there."""
        seen = self._rounds
        with self._lock:
            if self._rounds != seen:
                if self._got is not None:
                    return self._got.open()
                if self._error is not None and not isinstance(self._error, DeadlineExceededError):
                    raise copy(self._error)  # another call's timeout says nothing of this one
            self._got = self._error = None
            try:
                made = make()
                self._got = Sealed(made)
            except QuothError as error:
                self._error = copy(error)  # without the frames it came through
                raise
            finally:
                self._rounds += 1
            return made


def environment_state(variables: Iterable[str]) -> int:
    """A number that changes where one of these variables does: what was made from them is made anew then."""
    return hash(tuple([os.environ.get(name) for name in variables]))


def none_found(spec: ProviderSpec, what: str, ways: str) -> MissingKeyError:
    """The error of a provider for which there is neither a key nor what may stand in its place."""
    hint = f" ({spec.hint})" if spec.hint else ""
    key = f"export {spec.key_variables[0]}=...{hint}; or " if spec.key_variables else ""
    return MissingKeyError(f"{spec.name} needs {what}: {key}{ways}; or pass api_key=...", provider=spec.name)


def words_of(error: BaseException, secrets: Iterable[str | None] = ()) -> str:
    """What another library's error says, on one line and bounded, without what is known to be secret."""
    text = " ".join(str(error.args[0] if error.args else error).split())
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return f"{type(error).__name__}: {text[:MOST_WORDS]}"
