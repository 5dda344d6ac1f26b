"""Everything that can go wrong, as one tree.

::

    QuothError
     ├─ InputError (ValueError)                yours: nothing was sent
     │   ├─ InputTypeError (TypeError)           a value of the wrong type, an unknown option
     │   ├─ ConfigurationError                   a setting, a URL, a variable
     │   │   ├─ MissingKeyError                  no key; the message holds the export line
     │   │   └─ UnboundedCostError               a hard budget, and a cost that nobody can bound
     │   ├─ UnknownModelError (LookupError)      no such model or provider; names the nearest
     │   ├─ UnsupportedParameterError            this model or provider cannot do that
     │   └─ UnsupportedContentError              this wire cannot carry that part
     ├─ NotBuiltError (NotImplementedError)    ours: this version of quoth cannot do it yet
     ├─ LimitError                             ours to you: held back here, before it was sent
     │   ├─ BudgetExceededError                  it may cost more than is left of a budget
     │   ├─ BudgetUnavailableError               the database of a hard budget does not answer
     │   ├─ LocalRateLimitError                  the provider asked to wait for longer than this call may
     │   ├─ CircuitOpenError                     it failed so often just now that it is left alone for a while
     │   └─ RunLimitError                        a run has come to the end of its rounds, its time or its money
     ├─ TransportError                         nobody's: the request or its reply was lost; ``phase``, ``sent``
     │   ├─ APIConnectionError (ConnectionError)
     │   │   └─ StreamInterruptedError           a stream ended before its end; ``partial`` holds what came
     │   ├─ APITimeoutError (TimeoutError)
     │   │   └─ DeadlineExceededError            your ``timeout`` has passed
     │   └─ ProtocolError                        the peer does not speak HTTP, or too much of it
     ├─ APIStatusError                         theirs: the provider said no
     │   ├─ BadRequestError
     │   │   ├─ ContextLengthError
     │   │   ├─ RequestTooLargeError
     │   │   └─ ContentBlockedError
     │   ├─ AuthenticationError
     │   ├─ PermissionDeniedError
     │   ├─ NotFoundError
     │   │   └─ ModelNotFoundError
     │   ├─ ConflictError
     │   ├─ RateLimitError
     │   ├─ QuotaExceededError
     │   └─ InternalServerError
     │       └─ OverloadedError
     ├─ ResponseParseError                     unreadable: the reply is no answer; ``body`` holds its bytes
     ├─ OutputError                            the answer came, and is not what ``output=`` asked for; ``response``
     │   ├─ OutputRefusedError                   the model, or a filter, declined
     │   └─ OutputInvalidError                   no JSON, cut short, or of another shape; ``path`` says where
     └─ ClosedError                            the API, the stream or the transport is closed

Each class has one stable ``kind``, the label in records and metrics. Errors are plain data: they pickle and
copy, and hold no request, no header and no key. Their text is bounded, without control characters and
without anything that looks like a key. They carry no cause, and are raised anew where the call ends, so that no
traceback leads to a frame that holds a request. What to do about each kind stands in docs/errors.md. Three warnings
stand beside the tree: ``BudgetWarning``, ``ModelRetiredWarning`` and ``CapabilityWarning``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from .embeddings import EmbeddingResponse
    from .types import Attempt, Response

__all__ = [
    "KINDS",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "BudgetExceededError",
    "BudgetUnavailableError",
    "BudgetWarning",
    "CapabilityWarning",
    "CircuitOpenError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "ContentBlockedError",
    "ContextLengthError",
    "DeadlineExceededError",
    "InputError",
    "InputTypeError",
    "InternalServerError",
    "LimitError",
    "LocalRateLimitError",
    "MissingKeyError",
    "ModelNotFoundError",
    "ModelRetiredWarning",
    "NotBuiltError",
    "NotFoundError",
    "OutputError",
    "OutputInvalidError",
    "OutputRefusedError",
    "OverloadedError",
    "PermissionDeniedError",
    "Phase",
    "ProtocolError",
    "QuotaExceededError",
    "QuothError",
    "RateLimitError",
    "RequestTooLargeError",
    "ResponseParseError",
    "RunLimitError",
    "Sent",
    "StreamInterruptedError",
    "TransportError",
    "UnboundedCostError",
    "UnknownModelError",
    "UnsupportedContentError",
    "UnsupportedParameterError",
    "clean",
]

Sent: TypeAlias = Literal["no", "maybe", "yes"]
Phase: TypeAlias = Literal["dns", "connect", "tls", "proxy", "send", "first_byte", "read"]

SHORTEST_KEY = 12
"""No provider issues keys of fewer characters."""

TEXT_LIMIT = 2_000
"""The longest text an error carries, in characters."""

MOST_SHOWN = 8
"""How many attempts the text of an error tells: the last ones."""

# Patterns are text here and in the rooms below: ``re`` compiles and keeps them at first use, not at import.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
_ISSUED = r"(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|ghp|key)[-_]"
_KEYLIKE = (
    r"(?i:bearer\s+)[\w.~+/=-]{8,}"  # an authorization header's value
    rf"|\b{_ISSUED}[A-Za-z0-9][\w*-]{{10,}}"  # issued keys
    rf"|{_ISSUED}(?:(?:proj|ant|or|api\d\d|v1)-)*\w{{20,}}[\w*-]*"  # also behind an escape such as \\n or %3D
    r"|AIza[\w*-]{10,}|(?:AKIA|ASIA)[A-Za-z0-9*]{10,}|ya29\.[\w*-]{10,}"
    r"|eyJ[\w-]{10,}\.[\w.-]{10,}"  # a signed token
    r"|(?<=://)[^/\s:@\[\]]+:[^/\s@\[\]]+(?=@)"  # a user and a password in a URL
    r"|(?i:\b(?:x-)?(?:api[-_ ]?key|authorization|password|secret|token)(?: provided)?[\"']?\s*[:=]\s*[\"']?)"
    r"(?i:basic\s+)?[\w.~+/=-]{16,}"  # whatever is called one
)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Make foreign text fit to show: bounded, no control characters, nothing that looks like a key."""
    text = text[: limit * 2].encode("utf-8", "replace").decode()  # a lone surrogate could not be printed
    text = re.sub(_KEYLIKE, "[redacted]", re.sub(_CONTROL, " ", text))
    return text if len(text) <= limit else text[: limit - 3] + "..."


class QuothError(Exception):
    """The root. Every field is plain data; None (or its default) where it does not apply.

    Attributes:
        kind: the stable name of what happened; the label in records and metrics.
        provider, model: whom the call was for, where that is known.
        status: the HTTP status of the reply.
        provider_code: the provider's own code for the error, as it wrote it.
        request_id: the provider's id of the request: quote it to their support.
        retry_after: seconds that the provider asks to wait.
        retryable: whether the same call, sent again later, may succeed.
        sent: whether the request may have reached the provider: ``no``, ``maybe``, ``yes``.
        billed: whether it may have cost money: ``no``, ``maybe``, ``yes``.
        phase: where a transport failed: ``dns connect tls proxy send first_byte read``.
        attempts: what was tried, in order; where it was more than one thing, the text tells it too.
        partial: the answer as far as it came.
        embedded: the vectors that had come, of the first texts, where texts were embedded in several requests.
        body: the first bytes of a reply that could not be read.
        run: in a run or a chat, what was asked, answered and executed until then: a ``Run``.
    """

    kind: ClassVar[str] = "error"
    retryable: bool = False
    """Seen on a class: what holds where an instance says nothing else. So for ``sent`` and ``billed``."""
    sent: Sent = "no"
    billed: Sent = "no"

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        provider_code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        sent: Sent | None = None,
        billed: Sent | None = None,
        phase: Phase | None = None,
        attempts: tuple[Attempt, ...] = (),
        partial: Response | None = None,
        body: bytes | None = None,
    ) -> None:
        self.message = clean(message)
        super().__init__(self.message)
        self.provider = provider
        self.model = model
        self.status = status
        self.provider_code = provider_code
        self.request_id = request_id
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable
        if sent is not None:
            self.sent = sent
        if billed is not None:
            self.billed = billed
        self.phase: Phase | None = phase
        self.attempts = attempts
        self.partial = partial
        self.embedded: EmbeddingResponse | None = None
        self.body = body
        self.run: Any = None

    def redact(self, secret: str) -> None:
        """Remove a key that the provider has echoed; not what only stands in for one (``EMPTY``, ``ollama``)."""
        if len(secret) < SHORTEST_KEY:
            return
        for name in ("message", "provider_code", "request_id"):
            if text := getattr(self, name):
                setattr(self, name, text.replace(secret, "[redacted]"))
        self.args = (self.message,)
        if self.body:
            self.body = self.body.replace(secret.encode(), b"[redacted]")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))

    def __str__(self) -> str:
        if len(self.attempts) < 2:
            return self.message
        shown = "; ".join([f"{attempt}" for attempt in self.attempts[-MOST_SHOWN:]])
        return f"{self.message} ({len(self.attempts)} attempts: {clean(shown, TEXT_LIMIT // 2)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), self.message))


def _rebuild(cls: type[QuothError], message: str, state: dict[str, Any]) -> QuothError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


# Yours: nothing was sent.


class InputError(QuothError, ValueError):
    """What was passed in cannot be used: an empty prompt, a value out of range."""

    kind = "invalid_input"


class InputTypeError(InputError, TypeError):
    """A value of the wrong type, a mixture of messages and parts, or an option that does not exist."""

    kind = "invalid_type"


class ConfigurationError(InputError):
    """A setting, a URL or an environment variable cannot be used; the message names it."""

    kind = "configuration"


class MissingKeyError(ConfigurationError):
    """The provider needs a key and none was found; the message holds the line that sets it."""

    kind = "missing_key"


class UnboundedCostError(ConfigurationError):
    """Under a hard budget, a call whose cost nobody can bound; the message says what is missing, and how to give it."""

    kind = "unbounded_cost"


class UnknownModelError(InputError, LookupError):
    """No provider is known for this model id; the message names the nearest ids."""

    kind = "unknown_model"


class UnsupportedParameterError(InputError):
    """This model, provider or wire cannot do what was asked; nothing was dropped silently."""

    kind = "unsupported_parameter"


class UnsupportedContentError(InputError):
    """This wire cannot carry a part of the message."""

    kind = "unsupported_content"


class NotBuiltError(QuothError, NotImplementedError):
    """This version of quoth cannot do it yet."""

    kind = "not_built"


class LimitError(QuothError):
    """A call that was held back here, before anything of it was sent; ``retry_after`` says for how long."""

    kind = "limit"
    retryable = True


class BudgetExceededError(LimitError):
    """The call may cost more than is left of a budget: it was not sent. ``retry_after``: until its window ends."""

    kind = "budget_exceeded"
    retryable = False


class BudgetUnavailableError(LimitError):
    """What keeps a hard budget did not answer in time, so the call was not sent."""

    kind = "budget_unavailable"


class LocalRateLimitError(LimitError):
    """The provider has asked this key to wait, and for longer than this call may: it was not sent."""

    kind = "local_rate_limit"


class CircuitOpenError(LimitError):
    """The model has failed so often in the last seconds that it is left alone for a while: it was not sent."""

    kind = "circuit_open"


class RunLimitError(LimitError):
    """A run has come to the end of its rounds, its time or its money; what it did until then is in ``run``."""

    kind = "run_limit"
    retryable = False


class ClosedError(QuothError):
    """The API, the stream or the transport was closed before this call."""

    kind = "closed"


# Nobody's: lost on the way.


class TransportError(QuothError):
    """The request or its reply was lost. ``phase`` says where, ``sent`` whether the provider may have seen it."""

    kind = "transport"
    retryable = True


class APIConnectionError(TransportError, ConnectionError):
    """The connection could not be made, or broke."""

    kind = "connection"


class StreamInterruptedError(APIConnectionError):
    """A stream stopped before its end: what came is in ``partial``, and it is not the whole answer."""

    kind = "stream_interrupted"
    retryable = False
    sent = "yes"
    billed = "maybe"


class APITimeoutError(TransportError, TimeoutError):
    """The peer took too long in ``phase``."""

    kind = "timeout"


class DeadlineExceededError(APITimeoutError):
    """The call's own ``timeout`` has passed."""

    kind = "deadline"
    retryable = False


class ProtocolError(TransportError):
    """The peer's bytes are no HTTP reply, or exceed a cap."""

    kind = "protocol"
    retryable = False
    sent = "yes"
    billed = "maybe"


# Theirs: the provider said no.


class APIStatusError(QuothError):
    """The provider answered with an error."""

    kind = "provider"
    sent = "yes"


class BadRequestError(APIStatusError):
    """The provider cannot use the request as it is."""

    kind = "bad_request"


class ContextLengthError(BadRequestError):
    """The conversation is longer than the model's context window."""

    kind = "context_length"


class RequestTooLargeError(BadRequestError):
    """The request has more bytes than the provider takes."""

    kind = "request_too_large"


class ContentBlockedError(BadRequestError):
    """The provider's filter refused the content."""

    kind = "content_blocked"


class AuthenticationError(APIStatusError):
    """The key is wrong, expired or missing."""

    kind = "authentication"


class PermissionDeniedError(APIStatusError):
    """The key is right, but may not do this."""

    kind = "permission_denied"


class NotFoundError(APIStatusError):
    """There is nothing at this address."""

    kind = "not_found"


class ModelNotFoundError(NotFoundError):
    """The provider has no such model, or not for this key."""

    kind = "model_not_found"


class ConflictError(APIStatusError):
    """The resource is locked or has changed."""

    kind = "conflict"
    retryable = True


class RateLimitError(APIStatusError):
    """Too many requests or tokens for now; ``retry_after`` says how long, where the provider does."""

    kind = "rate_limit"
    retryable = True


class QuotaExceededError(APIStatusError):
    """The money or the period's allowance is used up: waiting a little will not help."""

    kind = "quota"


class InternalServerError(APIStatusError):
    """The provider failed."""

    kind = "server"
    retryable = True
    billed: Sent = "maybe"


class OverloadedError(InternalServerError):
    """The provider has no capacity just now."""

    kind = "overloaded"
    billed = "no"


# Unreadable.


class ResponseParseError(QuothError):
    """The reply came, and is no answer that this wire allows; ``body`` holds its first bytes."""

    kind = "unreadable"
    sent = "yes"
    billed = "maybe"


# The answer came, and is not what was asked for.


class OutputError(QuothError):
    """An answer was asked for with ``output=``, and is no such value. ``response`` holds it: it was paid for."""

    kind = "output"
    sent = "yes"
    billed = "yes"

    def __init__(self, message: str, *, response: Response | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.response = response


class OutputRefusedError(OutputError):
    """The model declined in its own words, or a filter of the provider took the answer away."""

    kind = "output_refused"


class OutputInvalidError(OutputError):
    """The answer is no JSON, was cut short, or has another shape; ``path`` says where: ``$.items[2].price``."""

    kind = "output_invalid"

    def __init__(
        self, message: str, *, response: Response | None = None, path: str | None = None, **fields: Any
    ) -> None:
        super().__init__(message, response=response, **fields)
        self.path = path


class BudgetWarning(UserWarning):
    """A soft budget is exceeded, or a budget cannot do what its name promises. Shown once for each in a process."""


class ModelRetiredWarning(FutureWarning):
    """A source says that this model was retired, or when it will be; it is asked for all the same.

    Shown once for each model in a process; silenced, or made an error, by the usual filters of ``warnings``.
    """


class CapabilityWarning(UserWarning):
    """According to the catalog the model will refuse, or ignore, something that was asked; it is sent all the same.

    Shown once for each model and matter in a process; ``check="strict"`` refuses the call instead, ``check="off"`` says
    nothing.
    """


def _tree(cls: type[QuothError]) -> list[type[QuothError]]:
    return [cls, *(below for child in cls.__subclasses__() for below in _tree(child))]


KINDS: dict[str, type[QuothError]] = {cls.kind: cls for cls in _tree(QuothError)}
"""Every kind and its class."""
