"""A provider's "no" on the Messages wire: ``details.error_code`` decides, then the type, then the status.

Anthropic's SDK (2.12) says to branch on the codes, which are stable, and not on messages. Old refusals have no code,
though, and say only in words which 400 they are.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ...wire import ErrorInfo, WireReply
from .._errors import ErrorTables, classify, error_detail, error_info, reply_detail, status_named, word
from .._kept import Wire

__all__ = ["KIND_WORDS", "parse_error", "parse_stream_error"]

CODES: dict[str, str] = {
    # Codes: money, or a hard period.
    "contract_spend_limit_reached": "quota",
    "enforced_spend_limit_reached": "quota",
    "linked_organization_billing_unavailable": "quota",
    "linked_organization_spend_limit_reached": "quota",
    # For now.
    "ramp_limit_exceeded": "rate_limit",
    # The account.
    "organization_on_hold": "permission_denied",
    "organization_type_not_supported": "permission_denied",
    "request_body_too_large_after_decoding": "request_too_large",
    # What gateways to this wire say in OpenAI's words, and our own server half where this wire has none.
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",  # llama.cpp's server
    "content_filter": "content_blocked",
    "model_not_found": "model_not_found",
    # Types.
    "authentication_error": "authentication",
    "billing_error": "quota",
    "conflict_error": "conflict",
    "overloaded_error": "overloaded",
    "permission_error": "permission_denied",
    "rate_limit_error": "rate_limit",
    "request_too_large": "request_too_large",
    "timeout_error": "server",  # the provider's own time ran out: another try may succeed
}
"""What a code or a type, in lower case, says by itself."""

TYPES: dict[str, str] = {
    "invalid_request_error": "bad_request",
    "not_found_error": "not_found",
    "api_error": "server",
}
"""What a broad type says where the status says nothing: inside a stream, after a 200."""

WORDING: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("prompt is too long", ("bad_request",), "context_length"),
    ("exceed context limit", ("bad_request",), "context_length"),  # "input length and `max_tokens` exceed ..."
    ("context window", ("bad_request",), "context_length"),
    ("credit balance is too low", ("bad_request",), "quota"),
    ("usage limits", ("bad_request",), "quota"),  # "You have reached your specified API usage limits"
    ("content filtering policy", ("bad_request",), "content_blocked"),
    ("model", ("not_found",), "model_not_found"),  # "model: claude-x"
)
"""A phrase, the kinds it may refine, and what it makes of them."""

KIND_WORDS: dict[str, tuple[int, str, str | None]] = {
    "bad_request": (400, "invalid_request_error", None),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "request_too_large": (413, "request_too_large", None),
    "content_blocked": (400, "invalid_request_error", "content_filter"),
    "authentication": (401, "authentication_error", None),
    "permission_denied": (403, "permission_error", None),
    "not_found": (404, "not_found_error", None),
    "model_not_found": (404, "not_found_error", "model_not_found"),
    "conflict": (409, "conflict_error", None),
    "rate_limit": (429, "rate_limit_error", None),
    "quota": (402, "billing_error", None),
    "overloaded": (529, "overloaded_error", None),
    "server": (500, "api_error", None),
}
"""Status, type and code with which the server half spells a kind; what is not here is spelled as ``server``."""

_TABLES = ErrorTables(codes=CODES, types=TYPES, wording=WORDING)


def parse_error(reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    body, detail, message = reply_detail(reply)
    return _info(body, detail, message, reply)


def parse_stream_error(event: Wire) -> ErrorInfo:
    """Read an error that came inside a stream, after a 200."""
    detail, message = error_detail(event)
    message = message or "the stream carries an error without a message"
    return _info(event, detail, message, WireReply(status=200))


def _info(body: Any, detail: Wire, message: str, reply: WireReply) -> ErrorInfo:
    details, type_ = detail.get("details"), word(detail.get("type"))
    code = word(details.get("error_code")) if isinstance(details, dict) else None
    code = code or word(detail.get("code"))
    kind = classify(_TABLES, status_named(detail, reply.status), (code, type_), message)
    info = error_info(kind, message, reply, code=code, type=type_, param=word(detail.get("param")), detail=detail)
    named = body.get("request_id") if isinstance(body, dict) else None
    if info.request_id is None and isinstance(named, str) and named:
        return replace(info, request_id=word(named))
    return info
