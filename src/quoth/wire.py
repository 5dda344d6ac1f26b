"""The wire as values: what a dialect makes and reads. No sockets, no clock."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "ErrorInfo",
    "HTTPRequest",
    "Headers",
    "Quirks",
    "ReasoningDial",
    "StreamEnd",
    "WireReply",
    "WireRequest",
    "header",
    "request_id",
    "seconds_between",
]

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Header lines in order; names in lower case."""

StreamEnd: TypeAlias = Literal["done", "finish_reason"]
"""How a whole stream ends: with a ``[DONE]`` line, or with a finish reason and then a clean end."""

ReasoningDial: TypeAlias = Literal["reasoning_effort", "reasoning", "thinking", "enable_thinking"]
"""How a server of the Chat wire is told how much to think: the field of the body that is its dial."""


def header(headers: Headers, name: str) -> str | None:
    """The first value of the header with this lower-case name, or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def seconds_between(now: str, date: str) -> float | None:
    """The seconds from one date of HTTP to another; None where either is none, or the second lies before."""
    from email.utils import parsedate_to_datetime  # rarely needed, and much to import

    try:
        since, until = (each.replace(tzinfo=each.tzinfo or UTC) for each in map(parsedate_to_datetime, (now, date)))
        waited = (until - since).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return waited if waited >= 0 else None


REQUEST_ID_HEADERS = (
    "x-request-id",  # OpenAI, and most
    "request-id",  # Anthropic
    "apim-request-id",  # Azure
    "mistral-correlation-id",
    "x-amzn-requestid",
    "x-goog-request-id",
    "x-ds-trace-id",  # DeepSeek
    "x-debug-trace-id",  # Cohere
    "cf-ray",  # the one of the network before it, where the provider has none of its own
)
_REQUEST_ID_RANKS = {name: rank for rank, name in enumerate(REQUEST_ID_HEADERS)}


def request_id(headers: Headers) -> str | None:
    """The provider's id of the request, by the first of the headers that are known to hold one; or None."""
    best, found = len(_REQUEST_ID_RANKS), None
    for name, value in headers:
        rank = _REQUEST_ID_RANKS.get(name)
        if rank is not None and rank < best and value:
            best, found = rank, value
    return found


class WireRequest(Struct, frozen=True, kw_only=True, gc=False):
    """A request relative to a provider's base URL, before it is signed."""

    path: str
    body: bytes = b""
    method: str = "POST"
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = ()
    changes: tuple[str, ...] = ()
    """What was moved or renamed to fit this wire, in words."""


class HTTPRequest(Struct, frozen=True, kw_only=True, gc=False):
    """A request as it is sent: absolute URL, signed headers. Its repr shows neither headers nor body."""

    url: str
    headers: Headers = ()
    body: bytes = b""
    method: str = "POST"

    def __repr__(self) -> str:
        return f"HTTPRequest({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("method", self.method), ("url", self.url.partition("?")[0])]


class WireReply(Struct, frozen=True, kw_only=True, gc=False):
    """A whole reply, or the head of a streamed one (then ``body`` is empty)."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


class ErrorInfo(Struct, frozen=True, kw_only=True, gc=False):
    """What a dialect reads in a provider's "no": ``kind`` names a class of ``quoth.errors``."""

    kind: str
    message: str
    status: int | None = None
    code: str | None = None
    type: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    """Seconds to wait, in whatever form they were stated."""
    should_retry: bool | None = None
    """The provider's own word on whether to try again; None where it has none."""


class Quirks(Struct, frozen=True, kw_only=True, gc=False):
    """The small, named ways in which a provider departs from its dialect. One field, three rows that need it."""

    max_tokens_field: str = "max_tokens"
    """The body field that caps the output on the Chat wire."""
    reasoning_field: str | None = None
    """The field of a Chat message in which reasoning is sent back; None where no source names one."""
    reasoning_dial: ReasoningDial = "reasoning_effort"
    """What says on the Chat wire how much to think: ``reasoning_effort`` takes a word; ``reasoning`` an object with
    an effort or a number of tokens (OpenRouter); ``thinking`` turns it on or off beside the word (Z.ai, DeepSeek);
    ``enable_thinking`` does so beside a number of tokens (Qwen)."""
    stream_end: StreamEnd = "done"
    stream_usage_option: bool = True
    """Ask for usage in streams with ``stream_options.include_usage``."""
    stream_only: bool = False
    """The server answers in streams only; a whole call is a stream folded."""
    output_rules: str | None = None
    """What it accepts of a JSON Schema for its answer, as a row of ``_output/_rules.py``; None: as its dialect does."""
    tools: bool = True
    """False: tools are refused before anything is sent, because the server would ignore them silently."""
    tools_hint: str = ""
    """What to say beside the refusal of tools."""
