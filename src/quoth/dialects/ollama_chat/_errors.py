"""Ollama's "no": ``{"error": "model 'x' not found"}``, whole, or as a line of a stream.

There is no code and no type, so the status decides; in a stream, where there is none, the server failed.
"""

from __future__ import annotations

from ... import _json
from ...wire import ErrorInfo, Headers, WireReply
from .._errors import ErrorTables, Words, spelled_as, wait_headers
from .._kept import Wire
from .._status_errors import read_error, read_stream_error, spelled_in_stream

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
    return read_error(_TABLES, reply)


def parse_stream_error(said: Wire) -> ErrorInfo:
    """Read an error that came inside a stream, after a 200."""
    return read_stream_error(_TABLES, said)


def build_error(info: ErrorInfo) -> WireReply:
    """Spell an error so that ``parse_error`` finds its kind again."""
    return spelled_as(info, KIND_WORDS, _error, parse_error)


def spell_stream_error(info: ErrorInfo) -> Wire:
    """The last line of a stream that an error broke off."""
    return spelled_in_stream(build_error(info))


def _error(info: ErrorInfo, status: int, type_: str, code: str | None) -> WireReply:
    beside = {"type": type_, "code": code, "param": info.param}
    headers = _JSON
    if info.request_id:
        headers += (("x-request-id", info.request_id),)
    body = {"error": info.message, **{key: value for key, value in beside.items() if value}}
    return WireReply(status=status, headers=headers + wait_headers(info.retry_after), body=_json.encode(body))


_JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
