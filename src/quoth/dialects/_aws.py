"""What all wires of Amazon Bedrock share: events in the frames of AWS, and how it says no.

An error is named by a header of the reply (``x-amzn-errortype``), or by the ``__type`` of its body; in a stream, by a
header of the frame (``:exception-type``). The name decides where it says enough; else the status; wording only tells
one of Bedrock's many ValidationExceptions from another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .. import _json
from .._framing import AWSFramer, AWSMessage, SSEEvent, begins_aws_message, build_aws_message
from ..wire import ErrorInfo, Headers, WireReply, header
from ._errors import ErrorTables, classify, error_from, error_info, reply_detail, spelled_as, wait_headers, word
from ._kept import Wire

__all__ = [
    "CONTENT_TYPE",
    "JSON",
    "AWSEvents",
    "build_error",
    "build_event",
    "build_stream_error",
    "is_stream",
    "parse_error",
    "plain_event",
]

CONTENT_TYPE = "application/vnd.amazon.eventstream"
"""What a reply is called that is such a stream."""

JSON: Headers = (("content-type", "application/json"),)

# Streams.


def is_stream(begun: bytes, label: str) -> bool | None:
    """Whether a body that begins so is a stream: no brace, and its label says so, or the checksum of its head."""
    if not begun or begun.startswith(b"{"):
        return False if begun else None
    return True if label.startswith(CONTENT_TYPE) else begins_aws_message(begun)


def plain_event(message: AWSMessage) -> SSEEvent:
    """A message as an event: its type, and its payload."""
    return SSEEvent(event=message.word(":event-type"), data=message.payload)


class AWSEvents:
    """The frames of a stream as events for a reader; an exception among them is raised in its place."""

    __slots__ = ("_framer", "_unwrap")

    def __init__(self, unwrap: Callable[[AWSMessage], SSEEvent] = plain_event) -> None:
        self._framer = AWSFramer()
        self._unwrap = unwrap

    @property
    def cut(self) -> bool:
        """Whether the body ended inside of a frame."""
        return self._framer.cut

    def feed(self, chunk: bytes) -> Iterator[SSEEvent]:
        """The events that this chunk completes."""
        return self._events(self._framer.feed(chunk))

    def end(self) -> Iterator[SSEEvent]:
        """The events that the end of the body completes, which are none."""
        return self._events(self._framer.end())

    def _events(self, messages: list[AWSMessage]) -> Iterator[SSEEvent]:
        for message in messages:
            if message.word(":message-type") in _REFUSALS:
                raise error_from(_parse_exception(message))
            yield self._unwrap(message)


_REFUSALS = frozenset({"error", "exception"})
"""Types of messages that are no events."""


def build_event(kind: str, payload: bytes) -> bytes:
    """Spell one event of a stream."""
    return build_aws_message(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload
    )


# Errors.

CODES: dict[str, str] = {
    # Names of exceptions: who asks.
    "expiredtoken": "authentication",
    "expiredtokenexception": "authentication",
    "incompletesignature": "authentication",
    "incompletesignatureexception": "authentication",
    "invalidsignatureexception": "authentication",
    "missingauthenticationtoken": "authentication",
    "missingauthenticationtokenexception": "authentication",
    "unrecognizedclientexception": "authentication",
    # For now.
    "modelnotreadyexception": "overloaded",
    "serviceunavailableexception": "overloaded",
    "servicequotaexceededexception": "rate_limit",  # 400 all the same: "resubmit your request later"
    "throttlingexception": "rate_limit",
    "toomanyrequestsexception": "rate_limit",
    # The provider's fault.
    "internalfailure": "server",
    "internalservererror": "server",
    "internalserverexception": "server",
    "modelerrorexception": "server",
    "modelstreamerrorexception": "server",
    "modeltimeoutexception": "server",
    "conflictexception": "conflict",
    "requestentitytoolargeexception": "request_too_large",
    # Codes that our own server half says where AWS has no name.
    "content_filter": "content_blocked",
    "context_length_exceeded": "context_length",
    "model_not_found": "model_not_found",
    "quota_exceeded": "quota",
}
"""What a name or a code, in lower case, says by itself. In a stream names begin with a small letter."""

TYPES: dict[str, str] = {
    "accessdeniedexception": "permission_denied",
    "resourcenotfoundexception": "not_found",
    "unknownoperationexception": "not_found",
    "validationexception": "bad_request",
}
"""What a broad name says where the status says nothing: inside a stream, after a 200."""

WORDING: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("model identifier is invalid", ("bad_request",), "model_not_found"),
    ("input is too long", ("bad_request",), "context_length"),
    ("input tokens exceeded", ("bad_request",), "context_length"),
    ("prompt is too long", ("bad_request",), "context_length"),
    ("maximum context length", ("bad_request",), "context_length"),
    ("api key", ("permission_denied",), "authentication"),
    ("bearer token", ("permission_denied",), "authentication"),
    ("security token", ("permission_denied",), "authentication"),
    ("model", ("not_found",), "model_not_found"),  # "This model version has reached the end of its life."
)
"""A phrase, the kinds it may refine, and what it makes of them."""

KIND_WORDS: dict[str, tuple[int, str, str | None]] = {
    "bad_request": (400, "ValidationException", None),
    "context_length": (400, "ValidationException", "context_length_exceeded"),
    "request_too_large": (413, "RequestEntityTooLargeException", None),
    "content_blocked": (400, "ValidationException", "content_filter"),
    "authentication": (403, "UnrecognizedClientException", None),
    "permission_denied": (403, "AccessDeniedException", None),
    "not_found": (404, "ResourceNotFoundException", None),
    "model_not_found": (404, "ResourceNotFoundException", "model_not_found"),
    "conflict": (409, "ConflictException", None),
    "rate_limit": (429, "ThrottlingException", None),
    "quota": (400, "ServiceQuotaExceededException", "quota_exceeded"),
    "overloaded": (503, "ServiceUnavailableException", None),
    "server": (500, "InternalServerException", None),
}
"""Status, name and code with which the server half spells a kind; what is not here is spelled as ``server``."""

_TABLES = ErrorTables(codes=CODES, types=TYPES, wording=WORDING)

DAY = "per day"
"""What the message of a limit says that no short wait lifts: "Too many tokens per day, please wait ..."."""

NAMED = "x-amzn-errortype"
NAMESPACE = "http://internal.amazon.com/coral/com.amazon.bedrock/"


def parse_error(reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    _, detail, message = reply_detail(reply)
    inner = detail.get("Output")  # of AWS's own front: {"Output": {"__type": ...}, "Version": "1.0"}
    detail = inner if isinstance(inner, dict) else detail
    if isinstance(said := detail.get("Message"), str) and not detail.get("message"):
        message = said
    return _info(header(reply.headers, NAMED) or detail.get("__type"), detail, message, reply)


def _parse_exception(message: AWSMessage) -> ErrorInfo:
    """An exception that came inside a stream, after a 200; an ``error`` says all of it in its headers."""
    reply = WireReply(status=200, body=message.payload)
    _, detail, text = reply_detail(reply)
    name = message.word(":exception-type") or message.word(":error-code")
    text = message.word(":error-message") or text or "the stream carries an error without a message"
    return _info(name, detail, text, reply)


def _info(name: object, detail: Wire, message: str, reply: WireReply) -> ErrorInfo:
    type_, code = word(_bare(name)), word(detail.get("code"))
    kind = classify(_TABLES, reply.status, (code, type_), message)
    if kind == "rate_limit" and DAY in message.lower():
        kind = "quota"
    return error_info(kind, message, reply, code=code, type=type_)


def _bare(name: object) -> str:
    """The name of an exception, without where it is from: ``Name:http://...``, ``com.amazon...#Name``."""
    return re.split(r"[:,]", name)[0].rpartition("#")[2].strip() if isinstance(name, str) else ""


def build_error(info: ErrorInfo) -> WireReply:
    """Spell an error so that ``parse_error`` finds its kind again."""
    return spelled_as(info, KIND_WORDS, _error, parse_error)


def _error(info: ErrorInfo, status: int, name: str, code: str | None) -> WireReply:
    body: Wire = {"message": info.message} if code is None else {"message": info.message, "code": code}
    headers = (*JSON, (NAMED, f"{name}:{NAMESPACE}"))
    if info.request_id:
        headers += (("x-amzn-requestid", info.request_id),)
    return WireReply(status=status, headers=headers + wait_headers(info.retry_after), body=_json.encode(body))


def _parse_streamed(reply: WireReply) -> ErrorInfo:
    """What such an error says where its status says nothing."""
    return parse_error(WireReply(status=200, headers=reply.headers, body=reply.body))


def build_stream_error(info: ErrorInfo) -> bytes:
    """Spell an error that comes inside a stream, after a 200."""
    reply = spelled_as(info, KIND_WORDS, _error, _parse_streamed)
    name = _bare(header(reply.headers, NAMED))
    headers = {
        ":exception-type": name[:1].lower() + name[1:],
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return build_aws_message(headers, reply.body)
