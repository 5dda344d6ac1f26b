"""Who calls, proved by credentials where there is no key: they are found in a step that may wait, and put on a request.

What each cloud's credentials are stands in ``providers/credentials``; here stands what a call gives them: a transport
with the call's deadline, and the time.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Mapping
from functools import partial

from msgspec.structs import replace

from .errors import APITimeoutError, ConfigurationError, DeadlineExceededError, QuothError
from .providers._spec import ProviderSpec
from .providers.credentials import Asked, Credentials, CredentialSource, Outgoing, make_source
from .transport import Deadline, Transport
from .transport._url import split_url
from .wire import HTTPRequest, WireReply

__all__ = ["Prover", "proved"]


class Prover:
    """The sources of credentials of one ModelsAPI, each made when a call first needs it."""

    def __init__(self, transport: Callable[[], Transport]) -> None:
        self._transport = transport
        self._lock = allocate_lock()
        self._sources: dict[str, CredentialSource] = {}

    def find(self, spec: ProviderSpec, deadline: Deadline) -> Credentials:
        """The credentials that a row's calls are proved by. May wait; raises what ``CredentialSource.find`` may."""
        name = spec.credentials or ""
        try:
            return self._source(name).find(Asked(spec=spec, carry=partial(self._carry, deadline)))
        except QuothError:
            raise
        except Exception as error:  # noqa: BLE001  # a source of the user's own: what it raises may hold a secret
            failure = type(error).__name__
        raise ConfigurationError(f"{spec.name}: the source of credentials {name!r} raised {failure}")

    def forget(self, spec: ProviderSpec) -> None:
        """Let go of what was found for a row, which the provider has refused: the next call looks anew."""
        with self._lock:
            self._sources.pop(spec.credentials or "", None)

    def _source(self, name: str) -> CredentialSource:
        source = self._sources.get(name)
        if source is None:
            made = make_source(name)
            with self._lock:
                source = self._sources.setdefault(name, made)
        return source

    def _carry(self, deadline: Deadline, request: HTTPRequest, seconds: float) -> WireReply:
        """One request of a source: whole, within its own limit and the call's."""
        limit = Deadline(min(seconds, deadline.remaining()))
        pieces = list[bytes]()
        try:
            exchange = self._transport().open(request, limit)
            try:
                while piece := exchange.read(limit):
                    pieces.append(piece)
            finally:
                exchange.close()
        except DeadlineExceededError as error:
            if deadline.remaining() <= 0:
                raise deadline.exceeded(error.phase, "no") from None
            raise APITimeoutError(f"there was no answer within {seconds:g} s", phase=error.phase) from None
        return WireReply(status=exchange.status, headers=exchange.headers, body=b"".join(pieces))


def proved(request: HTTPRequest, credentials: Credentials, parts: Mapping[str, str], at: float) -> HTTPRequest:
    """The request with the lines that prove who calls. What the caller's own headers say stands in their place."""
    origin, _ = split_url(request.url)
    failure = ""
    try:
        lines = credentials.headers(Outgoing(request=request, host=origin.authority, parts=parts, at=at))
    except QuothError:
        raise
    except Exception as error:  # noqa: BLE001  # so it is with credentials of the user
        lines, failure = (), type(error).__name__
    if failure:
        raise ConfigurationError(f"the credentials {type(credentials).__name__} raised {failure} at {request!r}")
    given = {name for name, _ in request.headers}
    return replace(request, headers=(*request.headers, *[line for line in lines if line[0] not in given]))
