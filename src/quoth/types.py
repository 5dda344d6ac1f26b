"""The nouns everybody shares: messages and their parts, requests, responses, usage and cost.

All are frozen and keyword-only, so that fields can be added. None of them does I/O or knows a
provider by name. What a wire says that these do not model travels in ``provider_data`` (opaque,
by dialect, sent back unchanged) so that a conversation replays exactly.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias

import msgspec
import msgspec.structs
from msgspec import Struct

from . import _json
from ._money import (
    EVENT_BUCKETS,
    TOKEN_BUCKETS,
    Cost,
    CostBasis,
    CostKind,
    CostLine,
    CostTotal,
    PriceRule,
    Usage,
    UsageSource,
)
from .errors import InputError

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Parsed_co = TypeVar("Parsed_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    Parsed_co = TypeVar("Parsed_co", covariant=True)

__all__ = [
    "EVENT_BUCKETS",
    "TOKEN_BUCKETS",
    "Attempt",
    "Audio",
    "CallDetails",
    "Candidate",
    "Cost",
    "CostBasis",
    "CostKind",
    "CostLine",
    "CostTotal",
    "Document",
    "Ending",
    "FinishReason",
    "GrowingOutput",
    "Image",
    "Message",
    "ModelRequest",
    "OutputFormat",
    "OutputReader",
    "Part",
    "PriceRule",
    "Reasoning",
    "Refusal",
    "Response",
    "RetryPolicy",
    "Role",
    "Text",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "UsageSource",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "other"]
Ending: TypeAlias = Literal["answered", "failed", "cancelled", "abandoned"]
"""How a call ended."""
ProviderData: TypeAlias = Mapping[str, Any]
"""Opaque state of a wire, keyed by the dialect's name: ``{"openai_chat": {...}}``."""


# Parts: what a message is made of.


class Text(Struct, frozen=True, kw_only=True, gc=False, tag="text", repr_omit_defaults=True):
    """Words."""

    text: str
    provider_data: ProviderData = msgspec.field(default_factory=dict)


class Image(Struct, frozen=True, kw_only=True, gc=False, tag="image", repr_omit_defaults=True):
    """A picture: inline ``data`` with its ``media_type``, or a ``url`` the provider fetches itself.

    The media type of ``data`` is read from the bytes where it is not given. ``Image.file("cat.png")`` reads a file,
    ``Image.of(picture)`` takes what a program holds.
    """

    data: bytes | None = None
    url: str | None = None
    media_type: str | None = None
    detail: str | None = None
    provider_data: ProviderData = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _sniff(self)

    @classmethod
    def file(cls, path: str | os.PathLike[str], *, detail: str | None = None) -> Image:
        """Read a picture from a file. Raises InputError where it cannot be read or is none."""
        from ._media import read_file

        data, media_type, _ = read_file(path, "Image")
        return cls(data=data, media_type=media_type, detail=detail)

    @classmethod
    def of(cls, value: Any, *, detail: str | None = None) -> Image:
        """Take a picture as a program has it: bytes, a Path, an ``http`` or ``data`` URL, one of Pillow, a numpy array.

        A str is a URL and never a path: it may be of somebody who should not name files here. Raises InputError or
        InputTypeError, saying why, where it is none.
        """
        from ._media import as_media, as_picture, check_url

        if isinstance(value, str):
            return cls(url=check_url(value, "Image"), detail=detail)
        if isinstance(value, os.PathLike):
            return cls.file(value, detail=detail)
        data = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else as_picture(value)
        return cls(data=data, media_type=as_media(data, "Image"), detail=detail)


class Audio(Struct, frozen=True, kw_only=True, gc=False, tag="audio", repr_omit_defaults=True):
    """Sound: inline ``data`` with its ``media_type`` (``audio/wav``, ``audio/mpeg``)."""

    data: bytes
    media_type: str
    provider_data: ProviderData = msgspec.field(default_factory=dict)

    @classmethod
    def file(cls, path: str | os.PathLike[str]) -> Audio:
        """Read sound from a file. Raises InputError where it cannot be read or is none."""
        from ._media import read_file

        data, media_type, _ = read_file(path, "Audio")
        return cls(data=data, media_type=media_type)

    @classmethod
    def of(cls, data: bytes) -> Audio:
        """Take sound as bytes, with the media type that they say. Raises InputError where they are none."""
        from ._media import as_media

        return cls(data=data, media_type=as_media(data, "Audio"))


class Document(Struct, frozen=True, kw_only=True, gc=False, tag="document", repr_omit_defaults=True):
    """A file such as a PDF: inline ``data``, a ``url``, or the ``file_id`` of an uploaded one."""

    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    filename: str | None = None
    provider_data: ProviderData = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _sniff(self)

    @classmethod
    def file(cls, path: str | os.PathLike[str]) -> Document:
        """Read a document from a file, with its name. Raises InputError where it cannot be read."""
        from ._media import read_file

        data, media_type, filename = read_file(path, "Document")
        return cls(data=data, media_type=media_type, filename=filename)

    @classmethod
    def of(cls, data: bytes, *, filename: str | None = None) -> Document:
        """Take a document as bytes, with the media type that they say. Raises InputError where it is unknown."""
        from ._media import as_media

        return cls(data=data, media_type=as_media(data, "Document"), filename=filename)


def _sniff(part: Image | Document) -> None:
    """Fill in the media type of bytes, where they say it and the caller has not."""
    if part.data is not None and part.media_type is None:
        from ._media import sniff

        msgspec.structs.force_setattr(part, "media_type", sniff(part.data))


class Reasoning(Struct, frozen=True, kw_only=True, gc=False, tag="reasoning", repr_omit_defaults=True):
    """What the model thought, as far as the provider shows it."""

    text: str
    provider_data: ProviderData = msgspec.field(default_factory=dict)


class Refusal(Struct, frozen=True, kw_only=True, gc=False, tag="refusal", repr_omit_defaults=True):
    """The model's own words for declining."""

    text: str
    provider_data: ProviderData = msgspec.field(default_factory=dict)


class ToolCall(Struct, frozen=True, kw_only=True, gc=False, tag="tool_call", repr_omit_defaults=True):
    """The model asks for a tool. ``arguments`` is the raw JSON text as it came, valid or not."""

    id: str
    name: str
    arguments: str
    provider_data: ProviderData = msgspec.field(default_factory=dict)

    def parse_arguments(self) -> Any:
        """Decode ``arguments``; raise ``ValueError`` where the model wrote invalid JSON."""
        return _json.decode(self.arguments.encode("utf-8", "surrogatepass") or b"{}")


class ToolResult(Struct, frozen=True, kw_only=True, gc=False, tag="tool_result", repr_omit_defaults=True):
    """The answer of a tool, for the call with this id."""

    call_id: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False
    provider_data: ProviderData = msgspec.field(default_factory=dict)


Part: TypeAlias = Text | Image | Audio | Document | Reasoning | Refusal | ToolCall | ToolResult


class Message(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """One turn. Build it with ``Message.user("...")``, ``.system``, ``.assistant`` or ``.tool``."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    provider_data: ProviderData = msgspec.field(default_factory=dict)

    @classmethod
    def system(cls, *content: str | Part) -> Message:
        return cls(role="system", parts=_parts(content))

    @classmethod
    def user(cls, *content: str | Part) -> Message:
        return cls(role="user", parts=_parts(content))

    @classmethod
    def assistant(cls, *content: str | Part) -> Message:
        return cls(role="assistant", parts=_parts(content))

    @classmethod
    def tool(cls, call: ToolCall | str, *content: str | Text | Image | Document, is_error: bool = False) -> Message:
        """The result of one tool call; ``call`` is the ``ToolCall`` or its id."""
        call_id = call.id if isinstance(call, ToolCall) else call
        parts = tuple(Text(text=part) if isinstance(part, str) else part for part in content)
        return cls(role="tool", parts=(ToolResult(call_id=call_id, parts=parts, is_error=is_error),))

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])


def _parts(content: tuple[str | Part, ...]) -> tuple[Part, ...]:
    return tuple([Text(text=part) if isinstance(part, str) else part for part in content])


# The request.


class Tool(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """A function the model may ask for; ``parameters`` is a JSON Schema object."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    provider_data: ProviderData = msgspec.field(default_factory=dict)


class ToolChoice(Struct, frozen=True, kw_only=True, gc=False):
    """Whether the model may, must or must not call a tool; ``mode="tool"`` demands the one in ``name``."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


class OutputFormat(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """The form that an answer must have: JSON by ``schema``, a JSON Schema object; without one, any JSON object.

    ``strict`` says whether the provider must hold the answer to the schema; None leaves that to it.
    """

    schema: Mapping[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    provider_data: ProviderData = msgspec.field(default_factory=dict)


class ModelRequest(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """What is asked of a model, before any wire: ``model`` is the provider's own id.

    ``reasoning`` is how much the model may think: an effort in the wire's word (``low``), or a number of tokens.
    ``extra`` holds fields of the wire's body that have no name here; they are sent as they are.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    output: OutputFormat | None = None
    reasoning: str | int | None = None
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)


class RetryPolicy(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """When a model is tried again, and how long is waited before: see docs/reliability.md. Times are in seconds.

    ``retries`` are further tries of one model after the first, ``retries_if_billed`` those of them that may follow a
    try which may already have cost something. Before the n-th retry a random time is waited, of at most ``backoff``
    doubled n - 1 times (twice that after a rate limit, four times where the provider is overloaded), and never more
    than ``longest_backoff``. Where the provider says how long to wait, that is waited, unless it is more than
    ``longest_wait``. All of it happens within the call's one ``timeout``.
    """

    retries: int = 2
    retries_if_billed: int = 1
    backoff: float = 0.5
    longest_backoff: float = 20.0
    longest_wait: float = 120.0


# The answer.


class Attempt(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """One try of one model: when it started after the call did, how long it took, how it ended, what followed.

    ``waited`` are the seconds that were waited before it: to back off, or because the provider had asked to.
    ``seconds`` go until its answer or its failure; of a stream, until the first piece. ``billed`` says whether it may
    have cost something that no answer states: ``maybe`` where it was sent and then lost.
    """

    provider: str
    model: str
    started: float
    seconds: float
    waited: float = 0.0
    status: int | None = None
    error_kind: str | None = None
    request_id: str | None = None
    billed: Literal["no", "maybe", "yes"] = "no"
    followed_by: str | None = None
    """What came after a failure: ``retry``, ``fallback``, or why it was not tried again; see docs/reliability.md."""

    def __str__(self) -> str:
        waited = f"waited {self.waited:.2g} s, " if self.waited else ""
        status = f" {self.status}" if self.status and self.error_kind else ""
        return f"{self.provider}/{self.model}: {waited}{self.error_kind or 'answered'}{status}"


class CallDetails(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """What differs from run to run: durations in seconds, attempts, the provider's request id and headers.

    ``id`` is that of the call's record.
    """

    id: str = ""
    seconds: float = 0.0
    first_output_seconds: float | None = None
    attempts: tuple[Attempt, ...] = ()
    request_id: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    changes: tuple[str, ...] = ()
    """What was moved or renamed in the request to fit the wire, in words."""


class Candidate(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """A further answer to the same request, where several were asked for."""

    message: Message
    finish_reason: FinishReason
    finish_reason_raw: str | None = None
    provider_data: ProviderData = msgspec.field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of this answer."""
        return self.message.text


class GrowingOutput(Protocol):
    """Such an answer while it comes, piece by piece: what is whole of it so far."""

    def feed(self, text: str, /) -> bool:
        """Take a piece; say whether more is worth showing."""
        ...

    def value(self) -> list[Any]:
        """The JSON that is whole; an empty list where nothing is."""
        ...

    def typed(self) -> list[Any]:
        """The same as the type that was asked for; an empty list where it is none yet."""
        ...


class OutputReader(Protocol):
    """What knows how the answer to a call with ``output=`` becomes a value."""

    def parse(self, response: Response, /) -> Any: ...
    def growing(self) -> GrowingOutput: ...


class Response(Struct, Generic[Parsed_co], frozen=True, kw_only=True, gc=False, eq=False, repr_omit_defaults=True):
    """The one result of every way to call. ``str(response)`` is the text; with ``output=T`` it is a ``Response[T]``.

    ``message`` can be appended to a conversation as it is. ``model`` is the model that answered, as the
    provider names it; ``service_tier``, ``region`` and ``speed`` say, in its words, how it was served, None where it
    is silent. ``candidates`` are further answers, where several were asked for. ``call`` (timings, attempts, headers),
    ``body`` and ``reader`` take no part in ``==``: an answer that was streamed equals the same answer in one piece.
    """

    message: Message
    finish_reason: FinishReason
    model: str
    provider: str = ""
    id: str | None = None
    finish_reason_raw: str | None = None
    usage: Usage = Usage(source="missing")
    cost: Cost = Cost(femto=None, kind="unknown", reason="not priced yet")
    service_tier: str | None = None
    region: str | None = None
    speed: str | None = None
    created: int | None = None
    candidates: tuple[Candidate, ...] = ()
    provider_data: ProviderData = msgspec.field(default_factory=dict)
    body: bytes | None = None
    """The body as it came, where the answer came whole; None for a stream."""
    call: CallDetails = CallDetails()
    reader: OutputReader | None = None
    """What ``parsed`` reads it by, where it was asked for with ``output=``."""

    @property
    def text(self) -> str:
        """The text of the answer; empty where there is none (a tool call, a refusal)."""
        return self.message.text

    @property
    def parsed(self) -> Parsed_co:
        """The answer as the type that was asked for with ``output=T``; made anew at each access.

        Raises:
            OutputRefusedError: the model or a filter declined.
            OutputInvalidError: it is no JSON, was cut short, or does not fit the type; the error says where.
            InputError: the call had no ``output=``.
        """
        if self.reader is None:
            raise InputError("parsed needs a type: models(..., output=T). This answer is plain text, in .text")
        parsed: Parsed_co = self.reader.parse(self)
        return parsed

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.message.parts

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple([part for part in self.message.parts if isinstance(part, ToolCall)])

    @property
    def reasoning(self) -> str:
        """What the model thought, joined; empty where the provider shows nothing."""
        return "".join([part.text for part in self.message.parts if isinstance(part, Reasoning)])

    @property
    def refusal(self) -> str | None:
        """The model's refusal in its own words, or None."""
        return "".join([part.text for part in self.message.parts if isinstance(part, Refusal)]) or None

    @property
    def raw(self) -> Any:
        """The provider's own JSON, decoded anew at each access; None for a stream."""
        return None if self.body is None else _json.decode(self.body)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        return (
            f"Response({text!r}, model={self.model!r}, provider={self.provider!r}, "
            f"finish_reason={self.finish_reason!r}, tokens={self.usage.total_tokens}, cost={str(self.cost)!r})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    def __ne__(self, other: object) -> bool:  # Struct has its own, by identity where eq=False
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # it holds mappings


_COMPARED = tuple(name for name in Response.__struct_fields__ if name not in ("call", "body", "reader"))
