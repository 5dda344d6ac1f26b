"""Ollama's "no": ``{"error": "model 'x' not found"}``, whole, or as a line of a stream.

There is no code and no type, so the status decides; in a stream, where there is none, the server failed.
"""

from __future__ import annotations

from ... import _json
from ...wire import ErrorInfo, Headers, WireReply
from .._errors import (
    ErrorTables,
    Words,
    classify,
    error_detail,
    error_info,
    reply_detail,
    spelled_as,
    status_named,
    wait_headers,
    word,
)
from .._kept import Wire

__all__ = ["build_error", "parse_error", "parse_stream_error", "spell_stream_error"]

CODES: dict[str, str] = {
    "content_filter": "content_blocked",
    "context_length_exceeded": "context_length",
    "model_not_found": "model_not_found",
    "quota_exceeded": "quota",
}
"""What our own server half says where this wire has no word."""

WORDING: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("context length", ("bad_request",), "context_length"),
    ("prompt too long", ("bad_request",), "context_length"),
    ("model", ("not_found",), "model_not_found"),  # "model 'x' not found, try pulling it first"
)
"""A phrase, the kinds it may refine, and what it makes of them."""

_TABLES = ErrorTables(codes=CODES, types={}, wording=WORDING)

KIND_WORDS: dict[str, Words] = {
    "bad_request": (400, "", None),
    "context_length": (400, "", "context_length_exceeded"),
    "request_too_large": (413, "", None),
    "content_blocked": (400, "", "content_filter"),
    "authentication": (401, "", None),
    "permission_denied": (403, "", None),
    "not_found": (404, "", None),
    "model_not_found": (404, "", "model_not_found"),
    "conflict": (409, "", None),
    "rate_limit": (429, "", None),
    "quota": (402, "", "quota_exceeded"),
    "overloaded": (503, "", None),
    "server": (500, "", None),
}
"""Status and code with which the server half spells a kind; what is not here is spelled as ``server``."""


def parse_error(reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    _, detail, message = reply_detail(reply)
    return _info(detail, message, reply, status_named(detail, reply.status))


def parse_stream_error(line: Wire) -> ErrorInfo:
    """Read an error that came inside a stream, after a 200."""
    detail, message = error_detail(line)
    message = message or "the stream carries an error without a message"
    return _info(detail, message, WireReply(status=200), status_named(detail, 0) or 500)


def _info(detail: Wire, message: str, reply: WireReply, status: int) -> ErrorInfo:
    code, type_ = word(detail.get("code")), word(detail.get("type") or detail.get("error_type"))
    kind = classify(_TABLES, status, (code, type_), message)
    return error_info(kind, message, reply, code=code, type=type_, param=word(detail.get("param")), detail=detail)


def build_error(info: ErrorInfo) -> WireReply:
    """Spell an error so that ``parse_error`` finds its kind again."""
    return spelled_as(info, KIND_WORDS, _error, parse_error)


def spell_stream_error(info: ErrorInfo) -> Wire:
    """The error as an object inside a stream: there the status, which says most here, is a field of it."""
    reply = build_error(info)
    return {**_json.decode(reply.body), "status": reply.status}


def _error(info: ErrorInfo, status: int, type_: str, code: str | None) -> WireReply:
    beside = {"type": type_, "code": code, "param": info.param}
    headers = _JSON
    if info.request_id:
        headers += (("x-request-id", info.request_id),)
    body = {"error": info.message, **{key: value for key, value in beside.items() if value}}
    return WireReply(status=status, headers=headers + wait_headers(info.retry_after), body=_json.encode(body))


_JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
