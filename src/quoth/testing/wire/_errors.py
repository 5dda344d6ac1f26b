"""Errors: what a provider's "no" is taken for, beside what was decided by reading it.

``reviewed_errors.toml`` holds one row for each distinct error that was read: its signature (wire, provider, status,
type, code, and a phrase where these do not tell), the kind it must have, and why. The classifier had no part in it.
An error that no row knows is held to what its status alone allows, and is printed as unreviewed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from msgspec import Struct, convert

from ...errors import QuothError
from ...wire import ErrorInfo, Headers, WireReply, header
from ._reading import Difference
from .readers._events import Event, events_of
from .readers._json import object_in, objects_in, word

__all__ = [
    "ErrorReading",
    "ErrorWords",
    "Refusal",
    "Review",
    "check_error",
    "check_raised",
    "error_in",
    "read_error",
    "reviewed_errors",
]

BY_STATUS: Mapping[int, frozenset[str]] = {
    401: frozenset({"authentication"}),
    402: frozenset({"quota", "rate_limit"}),  # OpenRouter: what is in flight exceeds what is left
    403: frozenset({"permission_denied", "context_length", "quota", "content_blocked"}),  # Together: too long
    404: frozenset({"not_found", "model_not_found"}),
    408: frozenset({"server", "timeout"}),
    409: frozenset({"conflict"}),
    413: frozenset({"request_too_large", "context_length"}),
    424: frozenset({"server"}),
    429: frozenset({"rate_limit", "quota", "overloaded"}),
    498: frozenset({"rate_limit"}),
    503: frozenset({"overloaded", "server"}),
    504: frozenset({"server", "timeout"}),
    529: frozenset({"overloaded"}),
}
"""What a status may mean, where no code says more."""
STATED = frozenset({400, 405, 410, 415, 422})
"""What else from 400 to 499 is said of the client's fault; any other may be of no kind."""
BY_CODE: Mapping[str, str] = {
    "authentication_error": "authentication",
    "bio_policy": "content_blocked",
    "billing_error": "quota",
    "content_filter": "content_blocked",
    "content_policy_violation": "content_blocked",
    "context_length_exceeded": "context_length",
    "credit_balance_exhausted": "quota",
    "insufficient_quota": "quota",
    "invalid_api_key": "authentication",
    "misalignment_policy_violation": "content_blocked",
    "model_not_found": "model_not_found",  # OpenAI, with 403: the project has no access to it
    "overloaded_error": "overloaded",
    "permission_denied": "permission_denied",
    "permission_error": "permission_denied",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "request_too_large": "request_too_large",
    "server_is_overloaded": "overloaded",
    "slow_down": "rate_limit",
    "too_many_requests": "rate_limit",
    "unknown_model": "model_not_found",
    "unsupported_country_region_territory": "permission_denied",
}
"""What a code or a type says whatever the status is ("Codes -> kind"): it may then have this kind too."""
REQUEST_IDS = (
    "x-request-id", "request-id", "apim-request-id", "mistral-correlation-id", "x-amzn-requestid", "x-goog-request-id",
    "x-ds-trace-id", "x-debug-trace-id", "cf-ray",
)  # fmt: skip
"""The headers that name a request to who asks its provider: its own first, then that of the network before it."""
REDACTED = "[redacted]"
LONGEST = 1_900
"""Characters of a message from which on it may be cut."""
MOST_COMPLAINTS = 10
"""Of a validation, so many at the least must be told."""
CLIENTS_FAULT = frozenset({
    "bad_request", "context_length", "request_too_large", "content_blocked", "model_not_found", "not_found",
    "authentication", "rate_limit", "quota",
})  # fmt: skip
"""What another 4xx may mean: Google says 400 of a wrong key, Bedrock of a quota, Anthropic of an empty account."""
SERVERS_FAULT = frozenset({"server", "overloaded"})
NO_STATUS = CLIENTS_FAULT | SERVERS_FAULT | {"permission_denied", "conflict", "provider", "unreadable"}
"""What an error inside of a 200 may mean, where it names no status; mere words may be taken for no answer at all."""


ErrorWords: TypeAlias = Callable[[Mapping[str, Any]], tuple[Any, Any, Any]]
"""Gives type, code and parameter of the object of an error."""
Refusal: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


class ErrorReading(Struct, frozen=True, kw_only=True):
    """What an error says by itself."""

    status: int
    type: str | None
    code: str | None
    param: str | None
    messages: tuple[str, ...]
    """Its words; several where a validation complains of several things."""
    page: bool
    """Whether it is no JSON."""
    request_id: str | None
    retry_after: float | None
    said_status: int
    """The status that counts: that of the reply, or the one that the error of a 200 names (0 for none)."""


class Review(Struct, frozen=True, kw_only=True):
    """One row of the reviewed file."""

    wire: str
    provider: str
    status: int
    kinds: tuple[str, ...]
    row: str
    why: str
    type: str | None = None
    code: str | None = None
    phrase: str = ""

    def fits(self, wire: str, provider: str, error: ErrorReading) -> bool:
        """Whether this is the review of such an error."""
        said = (wire, provider, error.status, error.type, error.code)
        mine = (self.wire, self.provider, self.status, self.type, self.code)
        return said == mine and self.phrase in " ".join(error.messages)


@cache
def reviewed_errors() -> tuple[Review, ...]:
    """All rows of the reviewed file; those with a phrase first, for they say more."""
    text = files("quoth.testing.wire").joinpath("reviewed_errors.toml").read_text("utf-8")
    rows = convert(tomllib.loads(text)["error"], list[Review])
    return tuple(sorted(rows, key=lambda row: not row.phrase))


# Reading.


def error_in(body: bytes, *, streamed: bool, refusal: Refusal | None = None) -> Any:
    """The object of a 200 that carries an error or a refusal, or None; of a stream, what stands before its end."""
    if streamed:
        events = list(events_of(body))
        first = refusal(object_in(events[0].value)) if refusal and events else None
        return first or next((found for event in events if (found := _named_error(event)) is not None), None)
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if refusal and (refused := refusal(object_in(value))) is not None:
        return refused
    choices = objects_in(object_in(value).get("choices"))
    if choices and choices[0].get("error") and not choices[0].get("message"):
        return choices[0]
    if not isinstance(value, dict) or choices:
        return None
    failed = value.get("object") == "response" and value.get("status") == "failed"
    return value if value.get("error") or failed else None


def _named_error(event: Event) -> dict[str, Any] | None:
    """An event that is an error, by its name or by what it holds."""
    value = event.value
    if not isinstance(value, dict):
        return None
    return value if event.name == "error" and "type" not in value and not value.get("error") else _error_event(value)


def _error_event(event: dict[str, Any]) -> dict[str, Any] | None:
    """An event that is an error, or holds an answer that failed."""
    if event.get("error"):
        return event
    if event.get("object") == "error":
        return event
    choice = next((choice for choice in objects_in(event.get("choices")) if choice.get("error")), None)
    if choice is not None:  # a gateway's provider failed
        return choice
    if event.get("type") == "error":  # Responses: code and message beside the type of the event
        return {key: value for key, value in event.items() if key != "type"}
    answer, kind = object_in(event.get("response")), event.get("type")
    if kind == "response.failed":
        return answer or {"message": ""}
    return answer if kind == "response.completed" and answer.get("error") else None


def read_error(body: Any, reply: WireReply, words: ErrorWords | None = None, name_header: str = "") -> ErrorReading:
    """What an error says: ``body`` is its JSON, or None where it is none.

    ``words`` knows its fields, and ``name_header`` has its name, on AWS.
    """
    outer = object_in(body[0]) if isinstance(body, list) and body else object_in(body)
    detail = _detail(outer)
    named = [detail.get(name) for name in ("status", "status_code", "code")]
    status = next((value for value in named if isinstance(value, int) and 400 <= value < 600), 0)
    type_, code, param = (words or _words)(detail)
    return ErrorReading(
        status=reply.status,
        type=_short(type_ or _aws_name(reply.headers, detail, name_header)),
        code=_short(code),
        param=_short(param),
        messages=_messages(outer, detail) or (_page(reply) if not outer else "",),
        page=not outer,
        request_id=_request_id(reply.headers) or word(outer.get("request_id")),
        retry_after=_retry_after(reply.headers, detail),
        said_status=reply.status if reply.status >= 400 else status,
    )


def _words(detail: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    code = object_in(detail.get("details")).get("error_code") or detail.get("code")
    return detail.get("type") or detail.get("error_type"), code, detail.get("param")


def _aws_name(headers: Headers, detail: Mapping[str, Any], name_header: str) -> str:
    """The name of an exception of AWS, without where it is from."""
    said = (header(headers, name_header) if name_header else None) or word(detail.get("__type")) or ""
    return said.split(":")[0].split("#")[-1]


def _detail(outer: dict[str, Any]) -> dict[str, Any]:
    """The object that holds type and code: inside of ``error`` or ``detail``, or the body itself."""
    for key in ("error", "detail"):
        inner = outer.get(key)
        if isinstance(inner, dict):
            return object_in(inner.get("error")) or inner
    return outer


def _messages(outer: Mapping[str, Any], detail: Mapping[str, Any]) -> tuple[str, ...]:
    plain = [detail.get("message"), outer.get("error"), outer.get("detail"), detail.get("msg"), detail.get("Message")]
    if said := next((text for text in plain if isinstance(text, str)), ""):
        behind = word(object_in(detail.get("metadata")).get("raw"))  # OpenRouter: what its provider said
        return (said, behind) if behind else (said,)
    several = [*objects_in(outer.get("detail")), *objects_in(outer.get("errors"))]  # FastAPI, Cloudflare
    complaints = [word(item.get("msg")) or word(item.get("message")) for item in several]
    return tuple([complaint for complaint in complaints if complaint])


def _page(reply: WireReply) -> str:
    return reply.body.decode("utf-8", "replace")


def _short(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and value != "" else None


def _request_id(headers: Headers) -> str | None:
    return next((value for name in REQUEST_IDS if (value := header(headers, name))), None)


def _retry_after(headers: Headers, detail: Mapping[str, Any]) -> float | None:
    """Seconds to wait: milliseconds say it more exactly, but for a zero beside a whole second (Azure).

    A date counts from the server's own. Google says it in the body, as ``"46s"``.
    """
    exact = _seconds(header(headers, "retry-after-ms") or header(headers, "x-amz-retry-after"))
    stated = header(headers, "retry-after")
    rounded = _seconds(stated)
    rounded = _seconds_until(stated, header(headers, "date")) if rounded is None else rounded
    if exact is not None and (exact or not rounded):
        return exact / 1000
    delays = [str(each.get("retryDelay") or "") for each in objects_in(detail.get("details"))]
    told = [delay for text in delays if text.endswith("s") and (delay := _seconds(text[:-1])) is not None]
    return rounded if rounded is not None else next(iter(told), None)


def _seconds_until(date: str | None, now: str | None) -> float | None:
    try:
        waited = (parsedate_to_datetime(date or "") - parsedate_to_datetime(now or "")).total_seconds()
    except (TypeError, ValueError):  # no dates, or one of them without a zone
        return None
    return waited if waited >= 0 else None


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


# Judging.


def check_error(
    said: ErrorReading, wire: str, provider: str, info: ErrorInfo
) -> tuple[list[Difference], ErrorReading | None]:
    """A reply with a status from 400 on; the second value is the reading of one that nobody reviewed."""
    pairs = [
        ("status", said.status, info.status),
        ("type", said.type, info.type),
        ("code", said.code, info.code),
        ("param", said.param, info.param),
        ("request id", said.request_id, info.request_id),
        ("retry after", said.retry_after, info.retry_after),
    ]
    found = [_differs(what, one, other) for what, one, other in pairs if one != other]
    return found + _judge(said, wire, provider, info.kind, info.message), _unread(said, wire, provider)


def check_raised(
    said: ErrorReading, wire: str, provider: str, error: QuothError | None
) -> tuple[list[Difference], ErrorReading | None]:
    """The error that a call raises for a 200 which carries one. The service adds the request id of the headers."""
    unread = _unread(said, wire, provider)
    if error is None:
        return [_differs("raised", "the provider's error", None)], unread
    pairs = [
        ("status", said.status, error.status),
        ("code", said.code or said.type, error.provider_code),
    ]
    found = [_differs(what, one, other) for what, one, other in pairs if one != other]
    if error.request_id not in (None, said.request_id):
        found.append(_differs("request id", said.request_id, error.request_id))
    return found + _judge(said, wire, provider, error.kind, error.message), unread


def _judge(said: ErrorReading, wire: str, provider: str, kind: str, message: str) -> list[Difference]:
    """The kind, and that the provider's own words are there (cut, and without what does not print)."""
    found = []
    kinds, _ = _kinds(wire, provider, said)
    if kind not in kinds:
        found.append(_differs(f"kind of {said.status} {said.type} {said.code}", " or ".join(sorted(kinds)), kind))
    if not _same_words(said.messages, message, page=said.page):
        found.append(_differs("message", said.messages, message))
    return found


def _same_words(said: tuple[str, ...], found: str, *, page: bool) -> bool:
    """Whether a message says the same: letter by letter, but for white space. A page may be quoted in part."""
    texts, found = [" ".join(text.split()) for text in said], " ".join(found.split())
    if page:
        return found in texts[0] or not texts[0]
    if len(texts) > 1:
        return all(re.search(f"{re.escape(text)}(;|: |$)", found) for text in texts[:MOST_COMPLAINTS])
    pattern = re.escape(found).replace(re.escape(REDACTED), r"\S+")  # what looks like a key is taken out
    if len(found) >= LONGEST:
        return texts[0].startswith(found[: LONGEST - 10])
    return re.fullmatch(pattern, _printable(texts[0])) is not None or not texts[0] or found.endswith(f": {texts[0]}")


def _printable(text: str) -> str:
    return " ".join("".join([each if each.isprintable() else " " for each in text]).split())


def _unread(said: ErrorReading, wire: str, provider: str) -> ErrorReading | None:
    return None if _kinds(wire, provider, said)[1] else said


def _kinds(wire: str, provider: str, said: ErrorReading) -> tuple[frozenset[str], bool]:
    """The kinds that an error may have, and whether somebody read it."""
    review = next((row for row in reviewed_errors() if row.fits(wire, provider, said)), None)
    if review is not None:
        return frozenset(review.kinds), True
    status = said.said_status
    coded = {kind for word in (said.code, said.type) if (kind := BY_CODE.get((word or "").lower()))}
    if status in BY_STATUS:
        return BY_STATUS[status] | coded, False
    if status >= 500:
        return SERVERS_FAULT | coded, False
    if status in STATED:
        return CLIENTS_FAULT | coded, False
    return (CLIENTS_FAULT | {"provider"} | coded if status >= 400 else NO_STATUS), False


def _differs(what: str, expected: object, found: object) -> Difference:
    return Difference(check="error", what=what, expected=expected, found=found)
