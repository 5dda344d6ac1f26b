"""A provider's "no" on the Chat wire, and on the many that resemble it: from structure, by tables.

The code decides, then the type, then the status. Wording only refines what structure leaves open (which 400 or
404 it is), and never tells a rate limit from a quota: providers say "quota" in both.
"""

from __future__ import annotations

from typing import Any

from ... import _json
from ...errors import clean
from ...wire import ErrorInfo, WireReply
from .._errors import request_id, retry_after
from ._words import Wire

__all__ = ["KIND_WORDS", "parse_error", "parse_stream_error"]

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
}
"""What a code or a type, in lower case, says by itself."""

STATUSES: dict[int, str] = {
    400: "bad_request",
    401: "authentication",
    402: "quota",
    403: "permission_denied",
    404: "not_found",
    405: "bad_request",
    408: "server",  # the provider's own time ran out: another try may succeed
    409: "conflict",
    410: "not_found",
    413: "request_too_large",
    415: "bad_request",
    422: "bad_request",
    424: "server",
    429: "rate_limit",
    498: "rate_limit",  # Groq: flex capacity
    503: "overloaded",
    529: "overloaded",
}
"""What a status says where no code does; other 5xx are ``server``, anything else ``provider``."""

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

KIND_WORDS: dict[str, tuple[int, str, str | None]] = {
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

WORD_LIMIT = 200
"""Characters of a code, a type or a parameter's name."""

TEXT_LIMIT = 500
"""Characters of a reply that has no message: an HTML page says little more in the rest."""


def parse_error(reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    try:
        body = _json.decode(reply.body)
    except ValueError:
        body = None
    detail, message = _detail(body)
    return _info(detail, message or _page_text(reply.body), reply)


def parse_stream_error(chunk: Wire) -> ErrorInfo:
    """Read an error that came inside a stream, after a 200."""
    detail, message = _detail(chunk)
    return _info(detail, message or "the stream carries an error without a message", WireReply(status=200))


def _info(detail: Wire, message: str, reply: WireReply) -> ErrorInfo:
    code = _word(detail.get("code"))
    kind = _word(detail.get("type") or detail.get("error_type"))
    words = [word.lower() for word in (_inner_code(detail), code, kind) if word]
    return ErrorInfo(
        kind=_kind(_status(detail, reply.status), words, message.lower()),
        message=clean(message) or f"HTTP {reply.status} without a message",
        status=reply.status,
        code=code,
        type=kind,
        param=_word(detail.get("param")),
        request_id=request_id(reply.headers),
        retry_after=retry_after(reply.headers),
    )


def _word(value: Any) -> str | None:
    """A code, a type or a parameter as a short text; None where there is none."""
    return str(value)[:WORD_LIMIT] if isinstance(value, (str, int)) and value != "" else None


def _kind(status: int, words: list[str], message: str) -> str:
    if status == 413:  # Groq calls it rate_limit_exceeded, but waiting makes no request smaller
        return STATUSES[413]
    for word in words:
        if word in CODES:
            return CODES[word]
    broad = next((TYPES[word] for word in words if word in TYPES), "provider")
    kind = STATUSES.get(status, "server" if status >= 500 else "provider") if status >= 400 else broad
    if kind == "not_found" and broad == "model_not_found":
        return broad
    return next((made for phrase, kinds, made in WORDING if kind in kinds and phrase in message), kind)


def _status(detail: Wire, status: int) -> int:
    """The status of the reply; where that is a success, the one that the error object names, if it does."""
    named = [status, detail.get("status"), detail.get("code")]
    return next((value for value in named if isinstance(value, int) and 400 <= value <= 599), status)


def _inner_code(detail: Wire) -> str | None:
    inner = detail.get("innererror")  # Azure
    return _word(inner.get("code")) if isinstance(inner, dict) else None


# Where the error object stands, and what it says.


def _detail(body: Any) -> tuple[Wire, str]:
    """The object that holds code and type, and the message."""
    if isinstance(body, list) and body:  # Google answers a stream's request with a list of one
        body = body[0]
    if not isinstance(body, dict):
        return {}, _text(body)
    for key in ("error", "detail", "errors"):
        found = body.get(key)
        if isinstance(found, dict):
            inner = found.get("error")
            inner = inner if isinstance(inner, dict) else found
            return inner, _message(inner)
        if isinstance(found, str) and found:  # Ollama, TGI, xAI, FastAPI
            return body, found
        if isinstance(found, list) and found:  # FastAPI's validation, Cloudflare
            return body, "; ".join([_item(item) for item in found[:10]])
    return body, _message(body)


def _message(detail: Wire) -> str:
    message = detail.get("message")
    message = message if isinstance(message, str) else _text(detail.get("msg"))
    metadata = detail.get("metadata")  # OpenRouter: what the provider behind it said
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f"{message}: {raw}" if isinstance(raw, str) and raw else message


def _item(item: Any) -> str:
    if not isinstance(item, dict):
        return _text(item)
    where = item.get("loc")
    path = ".".join([str(step) for step in where[:20]]) if isinstance(where, list) else ""
    return f"{path}: {_message(item)}" if path else _message(item)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _page_text(body: bytes) -> str:
    """What a reply that is no JSON says: a page's title, or its first characters."""
    text = body[: TEXT_LIMIT * 8].decode("utf-8", "replace")
    low = text.lower()
    start, end = low.find("<title>"), low.find("</title>")
    if 0 <= start < end:
        return text[start + len("<title>") : end].strip()
    return text[:TEXT_LIMIT].strip()
