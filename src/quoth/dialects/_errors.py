"""What all dialects share about a provider's "no": where it stands in a reply, which kind it is, the class it becomes.

A kind is read from structure, by tables: the code decides, then the type, then the status. Wording only refines
what structure leaves open (which 400 or 404 it is).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from .. import _json
from ..errors import KINDS, APIStatusError, clean
from ..wire import ErrorInfo, Headers, WireReply, header, request_id, seconds_between
from ._kept import Wire

__all__ = [
    "STATUSES",
    "ErrorTables",
    "classify",
    "error_detail",
    "error_from",
    "error_info",
    "google_words",
    "reply_detail",
    "request_id",
    "retry_after",
    "spelled_as",
    "status_named",
    "wait_headers",
    "word",
]

NOT_RETRYABLE = frozenset({501, 505})
"""Server errors that the next try meets again: not implemented, HTTP version not supported."""

OBEYING = frozenset({"provider", "conflict", "rate_limit", "server", "overloaded"})
"""Kinds where the provider's word decides whether to try again. No word of it mends a request, a key or a quota."""

WORD_LIMIT = 200
"""Characters of a code, a type or a parameter's name."""

TEXT_LIMIT = 500
"""Characters of a reply that has no message: an HTML page says little more in the rest."""


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
        retryable=_retryable(info),
    )


def _retryable(info: ErrorInfo) -> bool | None:
    """Whether to try again, in the provider's words; None where they leave it to the kind."""
    if info.should_retry is not None and (info.kind in OBEYING or not info.should_retry):
        return info.should_retry
    return False if info.status in NOT_RETRYABLE else None


def retry_after(headers: Headers) -> float | None:
    """Seconds that the headers ask to wait, or None. A date counts from the server's ``Date``: there is no clock."""
    exact = _seconds(header(headers, "retry-after-ms") or header(headers, "x-amz-retry-after"))
    stated = header(headers, "retry-after")
    rounded = _seconds(stated)
    if rounded is None and stated:
        rounded = seconds_between(header(headers, "date") or "", stated)
    # Azure was seen to send 0 ms beside 1 s: a zero says nothing where the other says something.
    return exact / 1_000 if exact is not None and (exact or not rounded) else rounded


def _seconds(text: str | None) -> float | None:
    """A number that can be waited for: negative, NaN, infinite and anything else is None."""
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


# What Google adds to an error: a list of objects, each with a type of its own (google.rpc.RetryInfo, QuotaFailure).


def _google_details(detail: Wire) -> list[Wire]:
    details = detail.get("details")
    return [each for each in details[:20] if isinstance(each, dict)] if isinstance(details, list) else []


def _retry_info(detail: Wire) -> float | None:
    """Seconds that Google asks to wait: in the body, as ``46s`` or ``0.5s``, and in no header."""
    for each in _google_details(detail):
        delay = each.get("retryDelay")
        if isinstance(delay, str) and (match := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", delay, re.ASCII)):
            return float(match[1])
    return None


def google_words(detail: Wire) -> list[str | None]:
    """The reasons that Google states, the most exact one first; ``quota_per_day`` for a limit that a wait cannot lift.

    Its text says "quota" of a limit per minute too: the id of the quota tells them apart.
    """
    details = _google_details(detail)
    violated = [each for entry in details if isinstance(found := entry.get("violations"), list) for each in found]
    ids = [str(each.get("quotaId")) for each in violated[:20] if isinstance(each, dict)]
    per_day = ["quota_per_day"] if any("PerDay" in each for each in ids) else []
    return [*per_day, *[word(each.get("reason")) for each in details], word(detail.get("status"))]


def _should_retry(headers: Headers) -> bool | None:
    """What OpenAI and Anthropic say outright."""
    return {"true": True, "false": False}.get((header(headers, "x-should-retry") or "").strip().lower())


def wait_headers(seconds: float | None) -> Headers:
    """The headers that ask to wait so many seconds, in both spellings."""
    if seconds is None:
        return ()
    milliseconds = math.ceil(seconds * 1_000)
    if (milliseconds - 1) / 1_000 >= seconds:  # 257.105 times 1,000 is a little more than 257,105
        milliseconds -= 1
    return (("retry-after-ms", str(milliseconds)), ("retry-after", str(-(-milliseconds // 1_000))))


# Which kind it is.


class ErrorTables(Struct, frozen=True, kw_only=True, gc=False):
    """The words of one wire."""

    codes: Mapping[str, str]
    """What a code or a type, in lower case, says by itself."""
    types: Mapping[str, str]
    """What a broad type says where the status says nothing: inside a stream, after a 200."""
    wording: Sequence[tuple[str, tuple[str, ...], str]]
    """A phrase, the kinds it may refine, and what it makes of them."""


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


def classify(tables: ErrorTables, status: int, words: Sequence[str | None], message: str) -> str:
    """The kind of an error: ``words`` are its codes and types, the most exact one first."""
    if status == 413:  # Groq calls it rate_limit_exceeded, but waiting makes no request smaller
        return "request_too_large"
    said = [spoken.lower() for spoken in words if spoken]
    for spoken in said:
        if spoken in tables.codes:
            return tables.codes[spoken]
    broad = next((tables.types[spoken] for spoken in said if spoken in tables.types), "provider")
    kind = STATUSES.get(status, "server" if status >= 500 else "provider") if status >= 400 else broad
    if kind == "not_found" and broad == "model_not_found":
        return broad
    message = message.lower()
    return next((made for phrase, kinds, made in tables.wording if kind in kinds and phrase in message), kind)


def error_info(
    kind: str,
    message: str,
    reply: WireReply,
    *,
    code: str | None,
    type: str | None,
    param: str | None = None,
    detail: Wire | None = None,
) -> ErrorInfo:
    """What was read, with what the reply's headers say, and what ``detail`` says of waiting; fit to show."""
    stated = retry_after(reply.headers)
    return ErrorInfo(
        kind=kind,
        message=clean(message) or f"HTTP {reply.status} without a message",
        status=reply.status,
        code=code,
        type=type,
        param=param,
        request_id=request_id(reply.headers),
        retry_after=stated if stated is not None or not detail else _retry_info(detail),
        should_retry=_should_retry(reply.headers),
    )


def word(value: Any) -> str | None:
    """A code, a type or a parameter as a short text; None where there is none."""
    return str(value)[:WORD_LIMIT] if isinstance(value, (str, int)) and value != "" else None


def status_named(detail: Wire, status: int) -> int:
    """The status of the reply; where that is a success, the one that the error object names, if it does."""
    named = [status, detail.get("status"), detail.get("code")]
    return next((value for value in named if isinstance(value, int) and 400 <= value <= 599), status)


# Where the error object stands, and what it says.


def reply_detail(reply: WireReply) -> tuple[Any, Wire, str]:
    """The decoded body (None where it is no JSON), the object that holds code and type, and the message."""
    try:
        body = _json.decode(reply.body)
    except ValueError:
        body = None
    detail, message = error_detail(body)
    return body, detail, message or _page_text(reply.body)


def error_detail(body: Any) -> tuple[Wire, str]:
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
            more = _message(body)  # Fastify and Spring name the status there, and say why beside it
            return body, f"{found}: {more}" if more and more != found else found
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


Words: TypeAlias = tuple[int, str, str | None]
"""How a wire says a kind: status, type, code."""


def spelled_as(
    info: ErrorInfo,
    words: Mapping[str, Words],
    spell: Callable[[ErrorInfo, int, str, str | None], WireReply],
    parse: Callable[[WireReply], ErrorInfo],
) -> WireReply:
    """Spell an error so that ``parse`` finds its kind again: in its own words where they say it, else in the wire's."""
    status, type_, code = words.get(info.kind, words["server"])
    own = info.status if info.status is not None and info.status >= 400 else status
    reply = spell(info, own, info.type or type_, info.code or code)
    if info.kind not in words or parse(reply).kind == info.kind:
        return reply
    return spell(info, status, type_, code)
