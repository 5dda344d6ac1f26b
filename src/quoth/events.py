"""What a stream says, one event at a time, and folding the events into a Response.

Every wire's stream becomes these events. ``index`` is the position of a part in the answer's message:
deltas with one index build one part. The union is open: skip an event that you do not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .types import (
    Candidate,
    FinishReason,
    Message,
    Part,
    Reasoning,
    Refusal,
    Response,
    Text,
    ToolCall,
    Usage,
)

__all__ = [
    "PartAdded",
    "PartData",
    "ReasoningDelta",
    "RefusalDelta",
    "ResponseEnd",
    "ResponseFold",
    "ResponseStart",
    "StreamEvent",
    "TextDelta",
    "ToolCallDelta",
    "ToolCallStart",
    "fold",
    "unfold",
]


class ResponseStart(Struct, frozen=True, kw_only=True, gc=False):
    """The provider began to answer."""

    id: str | None = None
    model: str | None = None
    created: int | None = None


class TextDelta(Struct, frozen=True, kw_only=True, gc=False):
    """A piece of the answer's text."""

    text: str
    index: int = 0


class ReasoningDelta(Struct, frozen=True, kw_only=True, gc=False):
    """A piece of what the model thinks, as far as the provider shows it."""

    text: str
    index: int = 0


class RefusalDelta(Struct, frozen=True, kw_only=True, gc=False):
    """A piece of the model's own words for declining."""

    text: str
    index: int = 0


class ToolCallStart(Struct, frozen=True, kw_only=True, gc=False):
    """The model begins to ask for a tool."""

    id: str
    name: str
    index: int = 0


class ToolCallDelta(Struct, frozen=True, kw_only=True, gc=False):
    """A piece of a tool call's arguments: raw JSON text, in order."""

    arguments: str
    index: int = 0


class PartAdded(Struct, frozen=True, kw_only=True, gc=False):
    """A part that came in one piece: a picture, a sound."""

    part: Part
    index: int = 0


class PartData(Struct, frozen=True, kw_only=True, gc=False):
    """Opaque state for the part at ``index``, merged into its ``provider_data``."""

    provider_data: Mapping[str, Any]
    index: int = 0


class ResponseEnd(Struct, frozen=True, kw_only=True, gc=False):
    """The answer is complete. ``candidates`` are further answers, whole: only the first one is told piece by piece."""

    finish_reason: FinishReason
    finish_reason_raw: str | None = None
    usage: Usage = Usage(source="missing")
    service_tier: str | None = None
    region: str | None = None
    speed: str | None = None
    candidates: tuple[Candidate, ...] = ()
    message_data: Mapping[str, Any] = msgspec.field(default_factory=dict)
    provider_data: Mapping[str, Any] = msgspec.field(default_factory=dict)


StreamEvent: TypeAlias = (
    ResponseStart
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallStart
    | ToolCallDelta
    | PartAdded
    | PartData
    | ResponseEnd
)

_TEXTUAL: dict[type, type[Text | Reasoning | Refusal]] = {
    TextDelta: Text,
    ReasoningDelta: Reasoning,
    RefusalDelta: Refusal,
}


class _Growing:
    """One part while it grows."""

    __slots__ = ("data", "id", "kind", "name", "pieces", "whole")

    def __init__(self) -> None:
        self.whole: Part | None = None
        self.kind: type[Text | Reasoning | Refusal | ToolCall] | None = None
        self.pieces: list[str] = []
        self.id = self.name = ""
        self.data: dict[str, Any] = {}

    def part(self) -> Part:
        if self.whole is not None:
            return replace(self.whole, provider_data={**self.whole.provider_data, **self.data})
        text = "".join(self.pieces)
        if self.kind is ToolCall:
            return ToolCall(id=self.id, name=self.name, arguments=text, provider_data=dict(self.data))
        kind = self.kind or Text
        return kind(text=text, provider_data=dict(self.data))  # type: ignore[call-arg]  # the three textual parts


class ResponseFold:
    """Add the events of one stream in order; ``response()`` is the answer so far, ``ended`` whether it is whole."""

    __slots__ = ("_end", "_parts", "_start")

    def __init__(self) -> None:
        self._start = ResponseStart()
        self._end: ResponseEnd | None = None
        self._parts: dict[int, _Growing] = {}

    @property
    def ended(self) -> bool:
        return self._end is not None

    def add(self, event: StreamEvent) -> None:
        if isinstance(event, (TextDelta, ReasoningDelta, RefusalDelta)):
            self._part(event.index, _TEXTUAL[type(event)]).pieces.append(event.text)
        elif isinstance(event, ToolCallDelta):
            self._part(event.index, ToolCall).pieces.append(event.arguments)
        elif isinstance(event, ToolCallStart):
            part = self._part(event.index, ToolCall)
            part.id, part.name = event.id, event.name
        elif isinstance(event, PartAdded):
            self._part(event.index, None).whole = event.part
        elif isinstance(event, PartData):
            self._part(event.index, None).data.update(event.provider_data)
        elif isinstance(event, ResponseStart):
            self._start = event
        elif isinstance(event, ResponseEnd):
            self._end = event

    def _part(self, index: int, kind: type[Text | Reasoning | Refusal | ToolCall] | None) -> _Growing:
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = _Growing()
        part.kind = part.kind or kind
        return part

    def response(self) -> Response:
        end = self._end or ResponseEnd(finish_reason="other")
        parts = tuple([self._parts[index].part() for index in sorted(self._parts)])
        return Response(
            message=Message(role="assistant", parts=parts, provider_data=end.message_data),
            finish_reason=end.finish_reason,
            finish_reason_raw=end.finish_reason_raw,
            model=self._start.model or "",
            id=self._start.id,
            created=self._start.created,
            usage=end.usage,
            service_tier=end.service_tier,
            region=end.region,
            speed=end.speed,
            candidates=end.candidates,
            provider_data=end.provider_data,
        )


def fold(events: Iterable[StreamEvent]) -> Response:
    """Fold a whole stream into the Response that the same answer would have been in one piece."""
    folding = ResponseFold()
    for event in events:
        folding.add(event)
    return folding.response()


def unfold(response: Response) -> Iterator[StreamEvent]:
    """The events of a whole answer, each part in one piece: the inverse of ``fold``, but for cost and call."""
    yield ResponseStart(id=response.id, model=response.model or None, created=response.created)
    for index, part in enumerate(response.parts):
        match part:
            case Text():
                yield TextDelta(text=part.text, index=index)
            case Reasoning():
                yield ReasoningDelta(text=part.text, index=index)
            case Refusal():
                yield RefusalDelta(text=part.text, index=index)
            case ToolCall():
                yield ToolCallStart(id=part.id, name=part.name, index=index)
                yield ToolCallDelta(arguments=part.arguments, index=index)
            case _:
                yield PartAdded(part=part, index=index)
                continue
        if part.provider_data:
            yield PartData(provider_data=part.provider_data, index=index)
    yield ResponseEnd(
        finish_reason=response.finish_reason,
        finish_reason_raw=response.finish_reason_raw,
        usage=response.usage,
        service_tier=response.service_tier,
        region=response.region,
        speed=response.speed,
        candidates=response.candidates,
        message_data=response.message.provider_data,
        provider_data=response.provider_data,
    )
