"""How the answer to a call with an output type becomes a value, or the error that says why it is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from .. import _json
from ..errors import InputError, OutputInvalidError, OutputRefusedError
from ..events import PartData, ResponseEnd, StreamEvent, TextDelta, ToolCallDelta, ToolCallStart
from ..types import Part, Response, Text, ToolCall
from ._checking import MisfitError
from ._forms import Form, form_of, shown
from ._growing import Growing
from ._rewriting import WRAPPED, restored

if TYPE_CHECKING:
    from ._rules import Way

__all__ = ["TOOL", "GrowingAnswer", "Reading", "ToolAsText"]

TOOL = "answer"
"""The name of the tool by which an answer is asked for."""

MOST_STARTS = 32
"""How many places of a text are tried as the beginning of JSON."""


class Reading:
    """How the answer of one provider is to be read: by which form, and in what it was asked for.

    It pickles with its type by reference. Where that leads nowhere, the answer is there all the same, and only
    ``parsed`` says so.
    """

    __slots__ = ("_form", "_kept", "way", "wrapped")

    def __init__(self, form: Form | None, way: Way, *, wrapped: bool = False, kept: bytes = b"") -> None:
        self._form = form
        self._kept = kept
        self.way: Way = way
        """How it was asked for."""
        self.wrapped = wrapped
        """Whether the value stands in an object made for it."""

    def __repr__(self) -> str:
        return f"Reading({self._form!r}, {self.way!r})"

    @property
    def form(self) -> Form:
        """The form. Raises InputError where it was pickled, and its type cannot be found here."""
        if self._form is None:
            self._form = form_of(_unkept(self._kept))
        return self._form

    def __reduce__(self) -> tuple[Any, ...]:
        kept = self._kept if self._form is None else _kept(self._form.given)
        return _again, (kept, self.way, self.wrapped)

    def __copy__(self) -> Reading:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Reading:
        return self

    def told(self) -> ToolAsText | None:
        """What tells the answer as text, where it comes as the call of a tool."""
        return ToolAsText() if self.way == "tool" else None

    # The whole answer.

    def parse(self, response: Response) -> Any:
        """The value of a whole answer. Raises OutputRefusedError, OutputInvalidError."""
        if response.refusal or response.finish_reason == "content_filter":
            said = response.refusal or f"finish reason {response.finish_reason_raw or response.finish_reason}"
            raise OutputRefusedError(
                f"{_who(response)} declined to answer as {shown(self.form.given)}: {said}",
                response=response,
                provider=response.provider or None,
                model=response.model or None,
            )
        try:
            return self.value(response.text)
        except MisfitError as misfit:
            raise OutputInvalidError(
                f"{_who(response)} did not answer as {shown(self.form.given)}: {_why(misfit, response)}",
                response=response,
                path=misfit.path,
                provider=response.provider or None,
                model=response.model or None,
            ) from None

    def value(self, text: str) -> Any:
        """The value that a text says. Raises MisfitError."""
        if not text.strip():
            raise MisfitError("it has no text")
        try:
            return self.form.decode(self.unwrapped(self._json(text)))
        except RecursionError:
            raise MisfitError("it is nested too deeply") from None

    def growing(self) -> GrowingAnswer:
        """A fresh reader of an answer that comes piece by piece."""
        return GrowingAnswer(self)

    def unwrapped(self, value: Any) -> Any:
        """A JSON value as the form has it."""
        if self.wrapped:
            if not isinstance(value, dict) or WRAPPED not in value:
                raise MisfitError(f"expected an object with {WRAPPED!r}")
            value = value[WRAPPED]
        return restored(value, self.form.schema, self.form.schema)

    def _json(self, text: str) -> Any:
        try:
            return _json.decode(text.encode("utf-8", "surrogatepass"))
        except ValueError as error:
            found = _within(text) if self.way in ("words", "tool") else []
            if found:
                return found[0]
            raise MisfitError(f"it is no JSON ({error})") from None


class GrowingAnswer:
    """An answer while it comes: told of each piece of its text, it gives what is whole of it so far."""

    __slots__ = ("_growing", "_reading", "_shown")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._growing = Growing(skips="{" if reading.way in ("words", "tool") else "")
        self._shown = 0

    def feed(self, text: str) -> bool:
        """Take a piece; say whether so much more is whole that it is worth showing.

        More is asked for the larger it is: showing takes as long as the value is large, and all of it together shall
        take no longer than in proportion to the whole.
        """
        self._growing.feed(text)
        whole = self._growing.whole
        if whole - self._shown < max(1, whole // 16) and not (self._growing.ended and whole > self._shown):
            return False
        self._shown = whole
        return True

    def value(self) -> list[Any]:
        """What is whole so far, as plain JSON; nothing where that is nothing yet. Not to be changed."""
        try:
            return [self._reading.unwrapped(value) for value in self._growing.value()]
        except (MisfitError, RecursionError):  # the wrapper has only begun
            return []

    def typed(self) -> list[Any]:
        """The same as the type that was asked for; nothing where it is not one yet."""
        try:
            return [self._reading.form.decode(value) for value in self.value()]
        except MisfitError:
            return []


def _who(response: Response) -> str:
    return f"{response.provider}/{response.model}" if response.provider else response.model or "the model"


def _why(misfit: MisfitError, response: Response) -> str:
    if response.tool_calls and not response.text:
        return f"it called a tool instead ({', '.join([call.name for call in response.tool_calls])})"
    cut = (
        "; the answer was cut at its most tokens, give it more max_tokens" if response.finish_reason == "length" else ""
    )
    return f"{misfit.words} - at {misfit.path}{cut}"


def _within(text: str) -> list[Any]:
    """The JSON that stands in a text between other words, if there is any: in a code fence, else from a bracket on."""
    for fenced in re.findall(r"```(?:json)?[ \t]*\n(.*?)```", text, re.DOTALL | re.IGNORECASE):
        try:
            return [_json.decode(fenced.encode("utf-8", "surrogatepass"))]
        except ValueError:
            continue
    from json import JSONDecoder

    decoder = JSONDecoder(strict=False)
    for _, start in zip(range(MOST_STARTS), re.finditer(r"[{\[]", text), strict=False):
        try:
            return [decoder.raw_decode(text, start.start())[0]]
        except (ValueError, RecursionError):
            continue
    return []


# Pickling.


def _again(kept: bytes, way: Way, wrapped: bool) -> Reading:
    return Reading(None, way, wrapped=wrapped, kept=kept)


def _kept(given: Any) -> bytes:
    """A type by reference, pickled by itself: that it cannot be must not keep an answer from being pickled."""
    import io
    import pickle

    import msgspec

    class Pickler(pickle.Pickler):
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, msgspec.Meta):  # it cannot do it itself
                fields = {name: said for name in _META if (said := getattr(value, name)) is not None}
                return _meta, (fields,)
            return NotImplemented

    file = io.BytesIO()
    try:
        Pickler(file).dump(given)
    except Exception:  # noqa: BLE001  # a type made in a function, a hook of the user's: whatever it is, the answer matters
        return b""
    return file.getvalue()


_META = (
    "gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz", "title", "description",
    "examples", "extra_json_schema", "extra",
)  # fmt: skip


def _meta(fields: dict[str, Any]) -> Any:
    import msgspec

    return msgspec.Meta(**fields)


def _unkept(kept: bytes) -> Any:
    import pickle

    try:
        return pickle.loads(kept)  # noqa: S301  # it came within a pickle that was just loaded
    except Exception as error:  # noqa: BLE001  # its module is not here, or it has none
        raise InputError(
            "the type of this answer was pickled by reference, and that leads nowhere here "
            f"({type(error).__name__}): its words are in .text"
        ) from None


# An answer that came by a tool, told as the text that it is.


class ToolAsText:
    """The events and the answer of a call that was asked for its answer by a tool: the arguments are the text."""

    __slots__ = ("_indices",)

    def __init__(self) -> None:
        self._indices = set[int]()

    def events(self, events: list[StreamEvent]) -> list[StreamEvent]:
        return [told for event in events for told in self._told(event)]

    def _told(self, event: StreamEvent) -> list[StreamEvent]:
        match event:
            case ToolCallStart(name=name, index=index) if name == TOOL:
                self._indices.add(index)
                return []
            case ToolCallDelta(arguments=arguments, index=index) if index in self._indices:
                return [TextDelta(text=arguments, index=index)]
            case PartData(index=index) if index in self._indices:
                return []  # it belongs to a call that nobody sees
            case ResponseEnd(finish_reason="tool_calls") if self._indices:
                return [replace(event, finish_reason="stop")]
            case _:
                return [event]

    def response(self, response: Response) -> Response:
        parts = tuple([_part(part) for part in response.parts])
        if parts == response.parts:
            return response
        finish = "stop" if response.finish_reason == "tool_calls" else response.finish_reason
        return replace(response, message=replace(response.message, parts=parts), finish_reason=finish)


def _part(part: Part) -> Part:
    return Text(text=part.arguments) if isinstance(part, ToolCall) and part.name == TOOL else part
