"""AWS: the credential chain is botocore's (extra ``bedrock``): profiles, environment, SSO, containers, instance roles.

Its session is kept, and with it what it caches and refreshes. A variable that changes makes a new one, so that another
profile, or a key that was rotated in the environment, counts from the next call on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from ...errors import APIConnectionError, ConfigurationError, QuothError
from ._protocols import Asked
from ._shared import Once, Sealed, environment_state, none_found, words_of
from ._sigv4 import AWSCredentials

__all__ = ["AWSSource"]

Got = TypeVar("Got")

VARIABLES = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_DISABLED",
)  # fmt: skip
"""What botocore makes its credentials from."""

SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")

NO_BOTOCORE = "for AWS credentials (profiles, SSO, roles) pip install 'quoth[bedrock]'"
NONE_FOUND = "AWS credentials: aws configure, aws sso login, or export AWS_PROFILE=..."

NEXT_STEPS = (
    ("SSO", "aws sso login{profile}"),
    ("TokenRetrieval", "aws sso login{profile}"),
    ("Login", "aws login{profile}"),
    ("ProfileNotFound", "export AWS_PROFILE=... with one of {profiles}"),
    ("PartialCredentials", "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither"),
    ("ConfigParse", "mend that file, or name another with AWS_CONFIG_FILE"),
)
"""Words in the names of botocore's errors, and what to do about each."""
ANY_STEP = "aws sts get-caller-identity{profile}, which uses the same"

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 15.0
"""Seconds that botocore waits for STS or SSO at each try. It knows no deadline of a call's, and would wait for 60."""

MANDATORY = 10 * 60
"""Seconds before their end from which botocore uses credentials no longer."""


class _Kept(Struct, frozen=True, gc=False):
    state: int
    """Of the variables that it was made from."""
    session: Sealed[Any]
    credentials: Sealed[Any]
    region: str | None


class AWSSource:
    """Credentials as the AWS command would find them."""

    __slots__ = ("_kept", "_once")

    def __init__(self) -> None:
        self._kept: _Kept | None = None
        self._once = Once[tuple[_Kept, Any]]()

    def find(self, asked: Asked, /) -> AWSCredentials:
        """Those that are good now: botocore refreshes what expires."""
        state = environment_state(VARIABLES)
        kept = _still_good(self._kept, state)
        try:
            if kept is None:
                kept, now = self._once.get(partial(self._renew, asked, state))
            else:
                now = _now(asked, kept)
        except QuothError:
            self._kept = None  # the files may be mended before the next call, and a session reads them once
            raise
        return AWSCredentials(
            now.access_key, now.secret_key, now.token, service=asked.spec.credentials_service, region=kept.region
        )

    def _renew(self, asked: Asked, state: int) -> tuple[_Kept, Any]:
        """A session, and its credentials as they are now, which are fetched where they have to be."""
        kept = self._kept
        if kept is None or kept.state != state:  # else another thread was just faster, or they end soon
            kept = self._kept = _open(asked, state)
        return kept, _now(asked, kept)


def _still_good(kept: _Kept | None, state: int) -> _Kept | None:
    """What is kept, unless it was made from other variables, or botocore would let a call wait for new credentials."""
    if kept is None or kept.state != state:
        return None
    refresh_needed = getattr(kept.credentials.open(), "refresh_needed", None)
    return None if refresh_needed is not None and refresh_needed(MANDATORY) else kept


def _now(asked: Asked, kept: _Kept) -> Any:
    return _guarded(kept.credentials.open().get_frozen_credentials, asked, kept.session.open())


def _open(asked: Asked, state: int) -> _Kept:
    try:
        from botocore.config import Config
        from botocore.session import Session
    except ImportError:
        raise none_found(asked.spec, "a key or AWS credentials", NO_BOTOCORE) from None
    session = Session()
    session.set_default_client_config(Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT))
    credentials = _guarded(session.get_credentials, asked, session)
    if credentials is None:
        raise none_found(asked.spec, "a key or AWS credentials", NONE_FOUND)
    region = _guarded(partial(session.get_config_variable, "region"), asked, session)
    return _Kept(state, Sealed(session), Sealed(credentials), region)


def _guarded(function: Callable[[], Got], asked: Asked, session: Any) -> Got:
    """What botocore gives. What it raises becomes ours: its errors lead to what they were made from."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001  # what a chain of files, programs and servers may raise has no end
        raised = error
    raise _failure(raised, asked, session)


def _failure(error: Exception, asked: Asked, session: Any) -> QuothError:
    from botocore import exceptions

    name = asked.spec.name
    words = words_of(error, [os.environ.get(variable) for variable in SECRET_VARIABLES])
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
        return APIConnectionError(f"{name}: the AWS credentials could not be fetched: {words}", provider=name)
    step = next((step for word, step in NEXT_STEPS if word in type(error).__name__), ANY_STEP)
    return ConfigurationError(
        f"{name}: the AWS credentials cannot be used ({words}); next: {_filled(step, session)}", provider=name
    )


def _filled(step: str, session: Any) -> str:
    profile = session.profile
    profiles = ", ".join(session.available_profiles) if "{profiles}" in step else ""
    return step.format(profile=f" --profile {profile}" if profile else "", profiles=profiles or "your profiles")
