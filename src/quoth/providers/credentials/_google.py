"""Google: application default credentials are google-auth's (extra ``vertex``): files, gcloud, metadata, federation.

google-auth needs something that carries its requests. It is given the transport of the calls, and with it their
deadline, proxies and certificates. The package ``requests`` comes with the extra all the same: google-auth's module of
the metadata server imports it, and passes that server over in silence where it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

from msgspec import Struct

from ...errors import APIConnectionError, ConfigurationError, DeadlineExceededError, QuothError
from ...wire import HTTPRequest, WireReply
from ._protocols import Asked, HeaderCredentials
from ._shared import Once, Sealed, environment_state, none_found, words_of

__all__ = ["GoogleSource"]

VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT",
    "CLOUDSDK_CONFIG", "NO_GCE_CHECK", "APPDATA",
)  # fmt: skip
"""What google-auth makes its credentials from."""

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

NO_GOOGLE_AUTH = "for application default credentials pip install 'quoth[vertex]'"
NONE_FOUND = (
    "gcloud auth application-default login; or export GOOGLE_APPLICATION_CREDENTIALS=... with the path of a key file"
)
NO_REQUESTS = "; or, on a machine of Google's, pip install 'quoth[vertex]': its metadata server needs requests"
SECRET_FIELDS = ("token", "refresh_token", "client_secret")
"""Fields of google-auth's credentials that no error may show."""

LONGEST_REQUEST = 30.0
"""Seconds that one request to a token server may take; google-auth itself would wait for 120."""


class _Kept(Struct, frozen=True, gc=False):
    state: int
    """Of the variables that it was made from."""
    credentials: Sealed[Any]
    project: str | None


class GoogleSource:
    """Application default credentials, as gcloud and Google's own libraries find them."""

    __slots__ = ("_kept", "_once")

    def __init__(self) -> None:
        self._kept: _Kept | None = None
        self._once = Once[_Kept]()

    def find(self, asked: Asked, /) -> HeaderCredentials:
        """The token that is good now: a new one is fetched some minutes before the old one ends."""
        state = environment_state(VARIABLES)
        kept = _still_good(self._kept, state) or self._once.get(partial(self._renew, asked, state))
        lines: dict[str, str] = {}
        kept.credentials.open().apply(lines)
        token = {"authorization": lines.pop("authorization")}
        return HeaderCredentials(token, public=lines, parts={"project": kept.project} if kept.project else {})

    def _renew(self, asked: Asked, state: int) -> _Kept:
        kept = self._kept
        if _still_good(kept, state) is None:  # else another thread was just faster
            self._kept = None  # where it fails, the file may be mended before the next call
            self._kept = kept = _renewed(asked, state, kept)
        return cast("_Kept", kept)


def _still_good(kept: _Kept | None, state: int) -> _Kept | None:
    return kept if kept is not None and kept.state == state and kept.credentials.open().valid else None


def _renewed(asked: Asked, state: int, kept: _Kept | None) -> _Kept:
    """Credentials with a token that is good."""
    carried = _Carrier(asked)
    if kept is None or kept.state != state:
        kept = _found(asked, state, carried)
    credentials = kept.credentials.open()
    try:
        if not credentials.valid:
            credentials.refresh(carried)
    except Exception as error:  # noqa: BLE001  # what files, programs and servers may raise has no end
        raised = error
    else:
        return kept
    if credentials.token and credentials.token_state.name == "STALE":
        return kept  # it is good for some minutes yet, and the next call tries again
    raise _failure(raised, asked, carried, credentials)


def _found(asked: Asked, state: int, carried: _Carrier) -> _Kept:
    try:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
    except ImportError:
        raise none_found(asked.spec, "an access token", NO_GOOGLE_AUTH) from None
    request: Any = carried
    try:
        credentials, project = google.auth.default(scopes=[SCOPE], request=request)
    except Exception as error:  # noqa: BLE001  # files, programs and servers again
        raised = error
    else:
        return _Kept(state, Sealed(credentials), project)
    if isinstance(raised, DefaultCredentialsError):
        machine = NO_REQUESTS if find_spec("requests") is None else ""
        raise none_found(asked.spec, "an access token", f"{NONE_FOUND}{machine} ({words_of(raised)})")
    raise _failure(raised, asked, carried, None)


def _failure(error: Exception, asked: Asked, carried: _Carrier, credentials: Any) -> QuothError:
    name, failure = asked.spec.name, carried.failure
    if isinstance(failure, (DeadlineExceededError, ConfigurationError)):
        return failure
    what = f"{name}: Google's token server"
    if failure is not None:
        return APIConnectionError(f"{what} could not be asked: {failure}", provider=name, phase=failure.phase)
    words = words_of(error, [getattr(credentials, field, None) for field in SECRET_FIELDS])
    if getattr(error, "retryable", False):
        return APIConnectionError(f"{what} gives no token just now: {words}", provider=name)
    return ConfigurationError(f"{what} gives no token ({words}); next: {_next_step(credentials)}", provider=name)


def _next_step(credentials: Any) -> str:
    """What to do where the credentials were refused, by what they are."""
    if email := getattr(credentials, "service_account_email", None):
        return f"see whether the key of {email} is good, and whether this account may use Vertex AI"
    return "gcloud auth application-default login"


class _Carrier:
    """What google-auth sends its requests with: its ``transport.Request``, over the transport of the calls."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.failure: QuothError | None = None
        """What went wrong with the last request on its way."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        from google.auth import exceptions

        not_carried: Any = exceptions.TransportError
        lines = tuple([(name.lower(), value) for name, value in (headers or {}).items()])
        data = body.encode() if isinstance(body, str) else body or b""
        request = HTTPRequest(method=method, url=url, headers=lines, body=data)
        self.failure = None
        try:
            return _Answer(self._asked.carry(request, min(timeout or LONGEST_REQUEST, LONGEST_REQUEST)))
        except QuothError as error:
            self.failure = error.with_traceback(None)  # its frames hold the request, and so an assertion or a token
        raise not_carried(f"{self.failure}")


class _Answer:
    """What google-auth reads of a reply."""

    def __init__(self, reply: WireReply) -> None:
        self.status, self.data = reply.status, reply.body
        self.headers = dict(reply.headers)
