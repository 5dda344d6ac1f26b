"""What all dialects share about a provider's "no": the class it becomes, and the headers that travel with it."""

from __future__ import annotations

from ..errors import KINDS, APIStatusError
from ..wire import ErrorInfo, Headers, header

__all__ = ["error_from", "request_id", "retry_after"]

REQUEST_ID_HEADERS = ("x-request-id", "request-id")

NOT_RETRYABLE = frozenset({501, 505})
"""Server errors that the next try meets again: not implemented, HTTP version not supported."""


def error_from(info: ErrorInfo) -> APIStatusError:
    """Make the error that ``info.kind`` names; an APIStatusError where it names none of the provider's kinds."""
    named = KINDS.get(info.kind)
    cls = named if named is not None and issubclass(named, APIStatusError) else APIStatusError
    return cls(
        info.message,
        status=info.status,
        provider_code=info.code or info.type,
        request_id=info.request_id,
        retry_after=info.retry_after,
        retryable=False if info.status in NOT_RETRYABLE else None,
    )


def request_id(headers: Headers) -> str | None:
    """The provider's id of the request, or None."""
    for name in REQUEST_ID_HEADERS:
        if value := header(headers, name):
            return value
    return None


def retry_after(headers: Headers) -> float | None:
    """Seconds that the provider asks to wait, or None: also where it gives a date, for there is no clock here."""
    exact = _seconds(header(headers, "retry-after-ms"))
    rounded = _seconds(header(headers, "retry-after"))
    # Azure was seen to send 0 ms beside 1 s: a zero says nothing where the other says something.
    return exact / 1_000 if exact is not None and (exact or not rounded) else rounded


def _seconds(text: str | None) -> float | None:
    """A number that can be waited for: negative, NaN, infinite and anything else is None."""
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
