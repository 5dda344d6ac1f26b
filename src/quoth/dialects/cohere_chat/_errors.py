"""Cohere's "no": ``{"message": "...", "error_type": "TOO_MANY_TOKENS"}``, where the type is often missing.

So the status decides mostly, by the meaning that Cohere gives it: 498 is a request or an answer with words of a deny
list, and 499 one that its client broke off (docs.cohere.com/reference/errors).
"""

from __future__ import annotations

from ... import _json
from ...wire import ErrorInfo, Headers, WireReply
from .._errors import ErrorTables, Words, spelled_as, wait_headers
from .._kept import Wire
from .._status_errors import read_error, read_stream_error, spelled_in_stream

__all__ = ["build_error", "parse_error", "parse_stream_error", "spell_stream_error"]

CODES: dict[str, str] = {
    "too_many_tokens": "context_length",
    # What a status says here and on no other wire.
    "status 498": "content_blocked",
    "status 499": "server",
    # What our own server half says where this wire has no word.
    "content_filter": "content_blocked",
    "model_not_found": "model_not_found",
    "quota_exceeded": "quota",
    "request_too_large": "request_too_large",
}
"""What an error's type, in lower case, says by itself."""

WORDING: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("too many tokens", ("bad_request",), "context_length"),
    ("api calls / month", ("rate_limit",), "quota"),  # a trial key's: a wait of minutes does not help
    ("model", ("not_found",), "model_not_found"),
)
"""A phrase, the kinds it may refine, and what it makes of them."""

_TABLES = ErrorTables(codes=CODES, types={}, wording=WORDING)

KIND_WORDS: dict[str, Words] = {
    "bad_request": (400, "", None),
    "context_length": (400, "TOO_MANY_TOKENS", None),
    "request_too_large": (413, "", None),
    "content_blocked": (400, "CONTENT_FILTER", None),
    "authentication": (401, "", None),
    "permission_denied": (403, "", None),
    "not_found": (404, "", None),
    "model_not_found": (404, "MODEL_NOT_FOUND", None),
    "conflict": (409, "", None),
    "rate_limit": (429, "", None),
    "quota": (402, "", None),
    "overloaded": (503, "", None),
    "server": (500, "", None),
}
"""Status and type with which the server half spells a kind; what is not here is spelled as ``server``."""


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
    """The end of a stream that says what broke it off."""
    said = spelled_in_stream(build_error(info))
    return {"finish_reason": "ERROR", "error": said.pop("message"), **said}


def _error(info: ErrorInfo, status: int, type_: str, code: str | None) -> WireReply:
    fields = {"message": info.message, "error_type": type_, "code": code, "param": info.param}
    headers = _JSON
    if info.request_id:
        headers += (("x-debug-trace-id", info.request_id),)
    body = {key: value for key, value in fields.items() if value}
    return WireReply(status=status, headers=headers + wait_headers(info.retry_after), body=_json.encode(body))


_JSON: Headers = (("content-type", "application/json"),)
