"""Credentials that are not one key: who finds them, and how a request proves by them who calls.

A row names its *source* (``credentials="aws"``). Where no key is given, the source is asked, in a step that may wait
for a file or a network. What it finds are *credentials*: they may know a part of the address (a region, a project), and
give each request, just before it is sent, the header lines that prove who calls. A source is made once in a ModelsAPI,
and keeps what it found as long as that is good; it is imported when a call first needs it.

A source of one's own, for a gateway that wants signed requests, is a class with ``find``::

    class Signer:
        def find(self, asked):
            return HeaderCredentials({"x-team": "search", "x-proof": proof()})

    register_credentials("ours", Signer)
    models.register_provider("gate", base_url="https://gate.example/v1", credentials="ours")
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import ConfigurationError, InputTypeError
from ._protocols import Asked, Credentials, CredentialSource, HeaderCredentials, Outgoing

__all__ = [
    "Asked",
    "CredentialSource",
    "Credentials",
    "HeaderCredentials",
    "Outgoing",
    "make_source",
    "register_credentials",
]


def _aws() -> CredentialSource:
    from ._aws import AWSSource

    return AWSSource()


def _google() -> CredentialSource:
    from ._google import GoogleSource

    return GoogleSource()


_SOURCES: dict[str, Callable[[], CredentialSource]] = {"aws": _aws, "google": _google}
"""What makes a source, by the name that rows have for it."""


def make_source(name: str) -> CredentialSource:
    """A new source. Raises ConfigurationError where none has this name."""
    make = _SOURCES.get(name)
    if make is None:
        raise ConfigurationError(
            f"no source of credentials is called {name!r}: there are {', '.join(sorted(_SOURCES))}; "
            "add one with quoth.providers.credentials.register_credentials(...)"
        )
    return make()


def register_credentials(name: str, make: Callable[[], CredentialSource]) -> None:
    """Add a source for rows to name, for the whole program, or replace the one of that name.

    ``make`` gives a new one: mostly it is the class. Raises InputTypeError where it cannot be called.
    """
    if not callable(make):
        raise InputTypeError(f"register_credentials takes what makes a source, not a {type(make).__name__}")
    _SOURCES[name] = make
