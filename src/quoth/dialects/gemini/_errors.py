"""Google's "no": the reason in its details decides, then the status word, then the HTTP status.

Per-minute limits speak of quota too, so nothing is read from that word: what is used up for the day stands in the id of
the limit (``...PerDay...``), and a model that a plan does not have at all has a limit of 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...wire import ErrorInfo, WireReply
from .._errors import ErrorTables, classify, error_detail, error_info, reply_detail, status_named, word
from .._kept import Wire

__all__ = ["BLOCKED", "DETAILS", "KIND_WORDS", "parse_error", "parse_stream_error"]

CODES: dict[str, str] = {
    # Reasons (google.rpc.ErrorInfo): the key.
    "access_token_expired": "authentication",
    "api_key_expired": "authentication",
    "api_key_invalid": "authentication",
    "credentials_missing": "authentication",
    # What it may do.
    "api_key_service_blocked": "permission_denied",
    "consumer_suspended": "permission_denied",
    "iam_permission_denied": "permission_denied",
    "service_disabled": "permission_denied",
    # Money.
    "billing_disabled": "quota",
    "rate_limit_exceeded": "rate_limit",
    # What our own server half says where this wire has no word.
    "context_length_exceeded": "context_length",
    "content_filter": "content_blocked",
    "model_not_found": "model_not_found",
    "quota_exceeded": "quota",
    "request_too_large": "request_too_large",
    # Status words (google.rpc.Code).
    "aborted": "conflict",
    "already_exists": "conflict",
    "permission_denied": "permission_denied",
    "resource_exhausted": "rate_limit",
    "unauthenticated": "authentication",
    "unavailable": "overloaded",
}
"""What a reason or a status word, in lower case, says by itself."""

TYPES: dict[str, str] = {
    "data_loss": "server",
    "deadline_exceeded": "server",
    "failed_precondition": "bad_request",
    "internal": "server",
    "invalid_argument": "bad_request",
    "not_found": "not_found",
    "out_of_range": "bad_request",
    "unimplemented": "server",
    "unknown": "server",
}
"""What a broad word says where the status says nothing: inside a stream, after a 200."""

WORDING: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("exceeds the maximum number of tokens", ("bad_request",), "context_length"),
    ("user location is not supported", ("bad_request",), "permission_denied"),
    ("api key not valid", ("bad_request",), "authentication"),
    ("api key expired", ("bad_request",), "authentication"),
    ("payload size exceeds", ("bad_request",), "request_too_large"),
    ("model", ("not_found",), "model_not_found"),  # "models/x is not found", "Publisher Model ... was not found"
)
"""A phrase, the kinds it may refine, and what it makes of them."""

KIND_WORDS: dict[str, tuple[int, str, str | None]] = {
    "bad_request": (400, "INVALID_ARGUMENT", None),
    "context_length": (400, "INVALID_ARGUMENT", "CONTEXT_LENGTH_EXCEEDED"),
    "request_too_large": (413, "INVALID_ARGUMENT", "REQUEST_TOO_LARGE"),
    "content_blocked": (400, "INVALID_ARGUMENT", "CONTENT_FILTER"),
    "authentication": (400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
    "permission_denied": (403, "PERMISSION_DENIED", None),
    "not_found": (404, "NOT_FOUND", None),
    "model_not_found": (404, "NOT_FOUND", "MODEL_NOT_FOUND"),
    "conflict": (409, "ABORTED", None),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", None),
    "quota": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
    "overloaded": (503, "UNAVAILABLE", None),
    "server": (500, "INTERNAL", None),
}
"""Status, word and reason with which the server half spells a kind; what is not here is spelled as ``server``."""

BLOCKED = "content_blocked"
"""The kind of a prompt that was refused with a 200: the answer then has a ``blockReason`` and no candidate."""

DETAILS = "type.googleapis.com/google.rpc."

_TABLES = ErrorTables(codes=CODES, types=TYPES, wording=WORDING)


def parse_error(reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    _, detail, message = reply_detail(reply)
    return _info(detail, message, reply)


def parse_stream_error(chunk: Wire) -> ErrorInfo:
    """Read an error that came inside a stream, after a 200."""
    detail, message = error_detail(chunk)
    return _info(detail, message or "the stream carries an error without a message", WireReply(status=200))


def _info(detail: Wire, message: str, reply: WireReply) -> ErrorInfo:
    reason = next((found for said in _details(detail, "ErrorInfo") if (found := word(said.get("reason")))), None)
    type_ = word(detail.get("status"))
    reason = reason or (detail["code"] if isinstance(detail.get("code"), str) else None)  # of who resembles Google
    kind = classify(_TABLES, status_named(detail, reply.status), (reason, type_), message)
    if kind == "rate_limit" and (_used_up(detail) or re.search(r"limit: 0(?![.\d])", message)):
        kind = "quota"
    return error_info(kind, message, reply, code=reason, type=type_, param=_field(detail), detail=detail)


def _details(detail: Wire, kind: str) -> Iterator[Wire]:
    """The details of one type."""
    details = detail.get("details")
    for said in details if isinstance(details, list) else ():
        if isinstance(said, dict) and said.get("@type") == DETAILS + kind:
            yield said


def _used_up(detail: Wire) -> bool:
    """Whether a limit of the day is used up: waiting a little does not help."""
    violations = [said.get("violations") for said in _details(detail, "QuotaFailure")]
    limits = [limit for found in violations if isinstance(found, list) for limit in found if isinstance(limit, dict)]
    return any("perday" in str(limit.get("quotaId")).lower() for limit in limits)


def _field(detail: Wire) -> str | None:
    """The field of the request that is complained about."""
    violations = next((said.get("fieldViolations") for said in _details(detail, "BadRequest")), None)
    first: Any = violations[0] if isinstance(violations, list) and violations else None
    return word(first.get("field")) if isinstance(first, dict) else None
