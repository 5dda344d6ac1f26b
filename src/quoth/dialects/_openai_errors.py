"""A provider's "no" in OpenAI's words, on either of its wires and the many that resemble them: by tables.

The code decides, then the type, then the status. Wording only refines what structure leaves open (which 400 or
404 it is), and never tells a rate limit from a quota: providers say "quota" in both.
"""

from __future__ import annotations

from .. import _json
from ..wire import ErrorInfo, Headers, WireReply
from ._errors import (
    ErrorTables,
    Words,
    classify,
    error_detail,
    error_info,
    google_words,
    reply_detail,
    spelled_as,
    status_named,
    wait_headers,
    word,
)
from ._kept import Wire

__all__ = ["KIND_WORDS", "build_error", "parse_error", "parse_stream_error"]

CODES: dict[str, str] = {
    # Money, or a hard period: waiting does not help. OpenAI sends these with 429, others with 402 or 403.
    "insufficient_quota": "quota",
    "credit_balance_exhausted": "quota",
    "organization_spend_limit_exceeded": "quota",
    "organization_usage_limit_exceeded": "quota",
    "project_spend_limit_exceeded": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "exceeded_current_quota_error": "quota",  # Moonshot
    "insufficient_balance": "quota",
    "insufficient_credits": "quota",
    "arrearage": "quota",  # DashScope
    "quota_per_day": "quota",  # Google
    # For now.
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "rate_limit_reached_error": "rate_limit",  # Moonshot
    "ratelimitreached": "rate_limit",  # Azure
    "rate_limited": "rate_limit",  # Mistral
    "too_many_requests": "rate_limit",
    "slow_down": "rate_limit",
    "ramp_limit_exceeded": "rate_limit",
    # The conversation is too long.
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",  # llama.cpp
    "too_many_prompt_tokens": "context_length",  # Perplexity
    "request_too_large": "request_too_large",
    "request_body_too_large_after_decoding": "request_too_large",
    # A filter.
    "content_filter": "content_blocked",
    "content_policy_violation": "content_blocked",
    "responsibleaipolicyviolation": "content_blocked",  # Azure
    "image_content_policy_violation": "content_blocked",
    "bio_policy": "content_blocked",
    "misalignment_policy_violation": "content_blocked",
    "data_inspection_failed": "content_blocked",  # DashScope
    # The key.
    "invalid_api_key": "authentication",
    "api_key_invalid": "authentication",  # Google, with 400
    "unauthenticated": "authentication",
    "authentication_error": "authentication",
    "invalid_authentication_error": "authentication",  # Moonshot
    "unauthorized": "authentication",
    "permission_error": "permission_denied",
    "permission_denied": "permission_denied",
    "forbidden": "permission_denied",
    "unsupported_country_region_territory": "permission_denied",
    # The model.
    "model_not_found": "model_not_found",
    "deploymentnotfound": "model_not_found",  # Azure
    "unknown_model": "model_not_found",  # Mistral
    "invalid_model": "model_not_found",  # Mistral
    "modelnotfound": "model_not_found",
    # The server.
    "overloaded_error": "overloaded",
    "engine_overloaded_error": "overloaded",  # Moonshot, with 429
    "server_is_overloaded": "overloaded",
    "service_unavailable_error": "overloaded",
    "conflict_error": "conflict",
    "unavailable": "overloaded",  # Google
}
"""What a code or a type, in lower case, says by itself."""

TYPES: dict[str, str] = {
    "invalid_request_error": "bad_request",
    "badrequesterror": "bad_request",  # vLLM
    "bad request": "bad_request",
    "not_found_error": "model_not_found",
    "notfounderror": "model_not_found",  # vLLM
    "server_error": "server",
    "internal_server_error": "server",
    "internalservererror": "server",
    "api_error": "server",
    # What a response of the Responses wire failed with, as the official SDK lists it (openai 3.57).
    "data_residency_mismatch": "bad_request",
    "empty_image_file": "bad_request",
    "failed_to_download_image": "bad_request",
    "image_file_not_found": "bad_request",
    "image_file_too_large": "bad_request",
    "image_parse_error": "bad_request",
    "image_too_large": "bad_request",
    "image_too_small": "bad_request",
    "invalid_base64_image": "bad_request",
    "invalid_image": "bad_request",
    "invalid_image_format": "bad_request",
    "invalid_image_mode": "bad_request",
    "invalid_image_url": "bad_request",
    "invalid_prompt": "bad_request",
    "unsupported_image_media_type": "bad_request",
    "vector_store_timeout": "server",
}
"""What a broad type says where the status says nothing: inside a stream, after a 200."""

WORDING: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("context length", ("bad_request", "request_too_large"), "context_length"),
    ("context window", ("bad_request", "request_too_large"), "context_length"),
    ("prompt is too long", ("bad_request",), "context_length"),
    ("prompt too long", ("bad_request",), "context_length"),
    ("maximum number of tokens", ("bad_request",), "context_length"),
    ("not a valid model id", ("bad_request",), "model_not_found"),  # OpenRouter
    ("invalid model", ("bad_request",), "model_not_found"),
    ("model", ("not_found",), "model_not_found"),  # a 404 that speaks of a model
)
"""A phrase, the kinds it may refine, and what it makes of them."""

_TABLES = ErrorTables(codes=CODES, types=TYPES, wording=WORDING)

KIND_WORDS: dict[str, Words] = {
    "bad_request": (400, "invalid_request_error", None),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "request_too_large": (413, "invalid_request_error", "request_too_large"),
    "content_blocked": (400, "invalid_request_error", "content_filter"),
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "permission_denied": (403, "invalid_request_error", "permission_denied"),
    "not_found": (404, "invalid_request_error", None),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "conflict": (409, "conflict_error", None),
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "overloaded": (503, "overloaded_error", None),
    "server": (500, "server_error", None),
}
"""Status, type and code with which the server half spells a kind; what is not here is spelled as ``server``."""


def parse_error(reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    _, detail, message = reply_detail(reply)
    return _info(detail, message, reply)


def parse_stream_error(chunk: Wire) -> ErrorInfo:
    """Read an error that came inside a stream, after a 200."""
    detail, message = error_detail(chunk)
    return _info(detail, message or "the stream carries an error without a message", WireReply(status=200))


def _info(detail: Wire, message: str, reply: WireReply) -> ErrorInfo:
    code = word(detail.get("code"))
    type_ = word(detail.get("type") or detail.get("error_type"))
    words = (_inner_code(detail), *google_words(detail), code, type_)
    kind = classify(_TABLES, status_named(detail, reply.status), words, message)
    return error_info(kind, message, reply, code=code, type=type_, param=word(detail.get("param")), detail=detail)


def _inner_code(detail: Wire) -> str | None:
    inner = detail.get("innererror")  # Azure
    return word(inner.get("code")) if isinstance(inner, dict) else None


# Spelling, for the server halves.


def build_error(info: ErrorInfo) -> WireReply:
    """Spell an error so that ``parse_error`` finds its kind again."""
    return spelled_as(info, KIND_WORDS, _error, parse_error)


def _error(info: ErrorInfo, status: int, kind: str, code: str | None) -> WireReply:
    error = {"message": info.message, "type": kind, "param": info.param, "code": code}
    headers = _JSON
    if info.request_id:
        headers += (("x-request-id", info.request_id),)
    headers += wait_headers(info.retry_after)
    return WireReply(status=status, headers=headers, body=_json.encode({"error": error}))


_JSON: Headers = (("content-type", "application/json"),)
