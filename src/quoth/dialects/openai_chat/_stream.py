"""A streamed answer of the Chat wire: bytes in, events out."""

from __future__ import annotations

from typing import Any

from ..._framing import SSEEvent
from ...events import (
    PartData,
    ReasoningDelta,
    RefusalDelta,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from ...types import Reasoning, Text
from ...wire import Quirks
from .._counts import whole_number
from .._errors import error_from
from .._kept import Wire, kept_fields, overlay
from .._openai_errors import parse_stream_error
from .._streams import EventFeed, decode_event
from ._answers import (
    ANSWER_FIELDS,
    CHOICE_FIELDS,
    MESSAGE_FIELDS,
    finish_reason,
    join_pieces,
    named,
    response_data,
    split_message,
)
from ._messages import opaque, read_arguments, read_part, residue_of
from ._usage import parse_usage
from ._words import CALL_KINDS, DONE, FIELD, FORM, NAME, REASONING_FIELDS

__all__ = ["ChatStreamParser"]

_CHOICE_FIELDS = CHOICE_FIELDS | {"logprobs"}
_DELTA_FIELDS = MESSAGE_FIELDS | set(REASONING_FIELDS)
_CALL_FIELDS = frozenset({"index", "id", "type"})


class ChatStreamParser:
    """The state of one stream: what was said about the whole answer. See ``StreamParser``."""

    __slots__ = (
        "_answer",
        "_choice",
        "_feed",
        "_finish",
        "_groq_usage",
        "_known",
        "_logprobs",
        "_message",
        "_started",
        "_tier",
        "_until_done",
        "_usage",
        "ended",
    )

    def __init__(self, quirks: Quirks) -> None:
        self.ended = False
        self._until_done = quirks.stream_end == "done"
        self._feed = EventFeed()
        self._started = False  # ResponseStart was given
        self._known = False  # and it named an id or a model
        self._message = _GrowingMessage()
        self._answer: Wire = {}  # fields of the body that have no name here
        self._choice: Wire = {}  # and of the choice
        self._logprobs: list[Any] = []
        self._finish: str | None = None
        self._usage: Any = None
        self._groq_usage: Any = None
        self._tier: str | None = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Give the events that this chunk completes."""
        return [] if self.ended else self._feed.feed(chunk, self._read)

    def end(self) -> list[StreamEvent]:
        """Give the events that the end of the body completes."""
        events = [] if self.ended else self._feed.end(self._read)
        if self._finishes_here():
            self._finish_answer(events)
        return events

    def _finishes_here(self) -> bool:
        """Whether the clean end of the body is the end of the answer."""
        return not (self.ended or self._until_done or self._feed.cut) and bool(self._finish)

    def _read(self, frame: SSEEvent, events: list[StreamEvent]) -> None:
        data = frame.data
        if self.ended or not data:
            return
        if data.startswith(DONE):
            self._finish_answer(events)
        elif (chunk := decode_event(data)) is not None:
            self._read_chunk(chunk, events)

    def _read_chunk(self, chunk: Wire, events: list[StreamEvent]) -> None:
        if chunk.get("error"):
            raise error_from(parse_stream_error(chunk))
        choices = chunk.get("choices")
        if not self._known:
            self._start(chunk, bool(choices), events)
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict) and not choice.get("index"):
                    self._read_choice(choice, events)
        if usage := chunk.get("usage"):
            self._usage = usage
        if (tier := chunk.get("service_tier")) and isinstance(tier, str):
            self._tier = tier
        if not chunk.keys() <= ANSWER_FIELDS:
            self._keep(chunk)

    def _start(self, chunk: Wire, speaks: bool, events: list[StreamEvent]) -> None:
        """Say who answers, as soon as it is known (Azure's first chunk names nobody), and before anything else."""
        id_, model = chunk.get("id"), chunk.get("model")
        self._known = bool(id_ or model)
        if self._known or (speaks and not self._started):
            self._started = True
            events.append(
                ResponseStart(
                    id=id_ if isinstance(id_, str) and id_ else None,
                    model=model if isinstance(model, str) and model else None,
                    created=whole_number(chunk.get("created")),
                )
            )

    def _read_choice(self, choice: Wire, events: list[StreamEvent]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._message.add(delta, events)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and (finish or self._finish is None):
            self._finish = finish
        if logprobs := choice.get("logprobs"):
            self._logprobs.append(logprobs)
        if not choice.keys() <= _CHOICE_FIELDS:
            self._choice.update(kept_fields(choice, _CHOICE_FIELDS))

    def _keep(self, chunk: Wire) -> None:
        kept = kept_fields(chunk, ANSWER_FIELDS)
        groq = kept.get("x_groq")
        if isinstance(groq, dict) and groq.get("usage"):
            self._groq_usage = groq["usage"]
        self._answer.update(kept)

    def _finish_answer(self, events: list[StreamEvent]) -> None:
        self.ended = True
        back, facts = self._message.finish(events)
        if self._logprobs:
            self._choice["logprobs"] = join_pieces("logprobs", self._logprobs)
        ours, raw = finish_reason(self._finish)
        events.append(
            ResponseEnd(
                finish_reason=ours,
                finish_reason_raw=raw,
                usage=parse_usage(self._usage or self._groq_usage),
                service_tier=self._tier,
                message_data=named(back),
                provider_data=response_data(self._answer, self._choice, facts),
            )
        )


class _Call:
    """A tool call while it grows."""

    __slots__ = ("data", "id", "index", "name", "slot", "started")

    def __init__(self, index: int, slot: object) -> None:
        self.index = index
        self.slot = slot  # its place in ``tool_calls``, where the server says one
        self.id = self.name = ""
        self.data: Wire = {}
        self.started = False


class _GrowingMessage:
    """The message of a stream while it grows: deltas in, events out.

    A part begins where its field is first seen: reasoning, content, refusal, each call. The typed contents of
    Mistral are read in order: a piece goes on with the content part before it, if that is of its kind.
    """

    __slots__ = ("_calls", "_content", "_contents", "_data", "_empty", "_fields", "_next", "_places", "_plain")

    def __init__(self) -> None:
        self._next = 0  # index of the next part
        self._places: dict[str, int] = {}  # field of the message: index of the part that it fills
        self._content = ""  # kind of the content part under way
        self._contents = 0  # how many there are
        self._plain = False  # content came as a string
        self._empty = False  # as an empty string
        self._calls: list[_Call] = []
        self._data: dict[int, Wire] = {}  # what parts keep, by index
        self._fields: dict[str, list[Any]] = {}  # pieces of fields that have no name here

    def add(self, delta: Wire, events: list[StreamEvent]) -> None:
        """Read one delta."""
        content = delta.get("content")
        if len(delta) == 1 and content and isinstance(content, str):  # nearly always
            self._add_text(content, events)
            return
        for field in REASONING_FIELDS:
            if (text := delta.get(field)) and isinstance(text, str):
                self._add_reasoning(field, text, events)
        if content is not None:
            self._add_content(content, events)
        if (refusal := delta.get("refusal")) and isinstance(refusal, str):
            events.append(RefusalDelta(text=refusal, index=self._place("refusal")))
        if isinstance(calls := delta.get("tool_calls"), list):
            for call in calls:
                if isinstance(call, dict):
                    self._add_call(call, events)
        if isinstance(call := delta.get("function_call"), dict):
            self._add_function_call(call, events)
        if not delta.keys() <= _DELTA_FIELDS:
            for key, value in kept_fields(delta, _DELTA_FIELDS).items():
                self._fields.setdefault(key, []).append(value)

    def finish(self, events: list[StreamEvent]) -> tuple[Wire, Wire]:
        """What the message keeps, and the facts about this answer alone."""
        for call in self._calls:
            if not call.started:
                self._start_call(call, events)
        back, facts = split_message({key: join_pieces(key, pieces) for key, pieces in self._fields.items()})
        return {**self._form(), **back}, facts

    def _form(self) -> Wire:
        """How the content was spelled, where that is not how it would be: as ``_messages`` says it of whole ones."""
        if self._contents == 0:
            beside = self._calls or not self._places.keys().isdisjoint(("refusal", "function_call"))
            return {FORM: "string"} if self._empty and beside else {}
        alone = self._contents == 1 and self._content == "text" and not self._plain
        return {FORM: "list"} if alone and not self._data.get(self._places["content"]) else {}

    def _place(self, field: str) -> int:
        """The index of the part that this field fills; a new one, where it fills none yet."""
        index = self._places.get(field)
        if index is None:
            index = self._places[field] = self._next
            self._next += 1
        return index

    def _keep(self, index: int, data: Wire, events: list[StreamEvent]) -> None:
        """Let the part at ``index`` keep more; all of it is given, for it replaces what was given before."""
        mine = self._data.get(index, {})
        merged = {**mine, **data}
        if merged != mine:
            self._data[index] = merged
            events.append(PartData(provider_data={NAME: merged}, index=index))

    # Texts.

    def _add_reasoning(self, field: str, text: str, events: list[StreamEvent]) -> None:
        if field not in self._places and any(other in self._places for other in REASONING_FIELDS):
            self._fields.setdefault(field, []).append(text)  # the same thoughts a second time
            return
        index = self._place(field)
        events.append(ReasoningDelta(text=text, index=index))
        if index not in self._data:
            self._keep(index, {FIELD: field}, events)

    def _add_content(self, content: Any, events: list[StreamEvent]) -> None:
        if isinstance(content, str):
            if content:
                self._add_text(content, events)
            else:
                self._empty = True
        elif isinstance(content, list):
            for piece in content:
                if isinstance(piece, dict):
                    self._add_piece(piece, events)

    def _add_text(self, text: str, events: list[StreamEvent]) -> None:
        self._plain = True
        index = self._places["content"] if self._content == "text" else self._content_place("text")
        events.append(TextDelta(text=text, index=index))

    def _content_place(self, kind: str) -> int:
        """The index of the content part under way, if it is of this kind; else of a new one."""
        if kind != self._content:
            self._content = kind
            self._contents += 1
            self._places.pop("content", None)
        return self._place("content")

    def _add_piece(self, piece: Wire, events: list[StreamEvent]) -> None:
        part = read_part(piece)
        if isinstance(part, Reasoning):
            index = self._content_place("thinking")
            events.append(ReasoningDelta(text=part.text, index=index))
        elif isinstance(part, Text) and isinstance(piece.get("text"), str) and piece.get("type") == "text":
            index = self._content_place("text")
            events.append(TextDelta(text=part.text, index=index))
        else:  # no event is made for it: an empty text keeps it whole
            part = opaque(piece)
            self._content = ""
            index = self._content_place("other")
            events.append(TextDelta(text="", index=index))
            self._keep(index, {**residue_of(part)}, events)
            return
        self._keep(index, {key: value for key, value in residue_of(part).items() if key != "thinking"}, events)

    # Tool calls.

    def _add_call(self, piece: Wire, events: list[StreamEvent]) -> None:
        kind = next((kind for kind in CALL_KINDS if isinstance(piece.get(kind), dict)), "")
        inner: Wire = piece[kind] if kind else {}
        id_, name = _text(piece.get("id")), _text(inner.get("name"))
        call = self._find_call(piece.get("index"), id_, name)
        if call is None:
            call = _Call(self._next, piece.get("index"))
            self._next += 1
            self._calls.append(call)
        late = call.started and bool((id_ and not call.id) or (name and not call.name))
        call.id, call.name = call.id or id_, call.name or name
        arguments = read_arguments(inner.get(CALL_KINDS.get(kind, "")))
        if late or (not call.started and (arguments or (call.id and call.name))):
            self._start_call(call, events)
        if arguments:
            events.append(ToolCallDelta(arguments=arguments, index=call.index))
        self._keep_of_call(call, piece, kind)
        if call.started:
            self._keep(call.index, call.data, events)

    def _find_call(self, slot: object, id_: str, name: str) -> _Call | None:
        """The call that a piece goes on with, or None where it begins one.

        The index decides. Where there is none (some servers), the id does, or that a name begins a call. A new
        id with a name at a known index is a new call: Gemini's compatible endpoint numbers each call 0.
        """
        if isinstance(slot, int):
            call = next((call for call in reversed(self._calls) if call.slot == slot), None)
            return None if call and id_ and name and call.id not in ("", id_) else call
        if id_:
            return next((call for call in reversed(self._calls) if call.id == id_), None)
        return self._calls[-1] if self._calls and not name else None

    def _start_call(self, call: _Call, events: list[StreamEvent]) -> None:
        call.started = True
        events.append(ToolCallStart(id=call.id, name=call.name, index=call.index))
        self._keep(call.index, call.data, events)

    def _keep_of_call(self, call: _Call, piece: Wire, kind: str) -> None:
        """What a call keeps beside id, name and arguments: a type that is not function, signatures."""
        data = {key: value for key, value in piece.items() if value is not None and key not in (kind, *_CALL_FIELDS)}
        said = piece.get("type") or kind
        if said and said != "function":
            data["type"] = said
        inner = piece[kind] if kind else {}
        if not inner.keys() <= {"name", CALL_KINDS.get(kind, "")}:
            data[kind] = {key: value for key, value in inner.items() if key not in ("name", CALL_KINDS[kind])}
        if data:
            overlay(call.data, data)

    def _add_function_call(self, piece: Wire, events: list[StreamEvent]) -> None:
        """The one call of 2023: its name comes first, and it has no id."""
        if "function_call" not in self._places:
            if not (name := _text(piece.get("name"))):
                return
            index = self._place("function_call")
            events.append(ToolCallStart(id="", name=name, index=index))
            self._keep(index, {FIELD: "function_call"}, events)
        if arguments := read_arguments(piece.get("arguments")):
            events.append(ToolCallDelta(arguments=arguments, index=self._places["function_call"]))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
