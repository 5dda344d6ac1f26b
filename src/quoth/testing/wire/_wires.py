"""The wires that are in scope. A further one is a row here, a reader, and its counts in ``_scope``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from ...wire import Quirks
from ._errors import ErrorWords, Refusal
from ._files import Exchange
from ._reading import Reading
from ._requests import ABSENT, ANYTHING, TEXT, Normalisation
from .readers import (
    anthropic_messages,
    bedrock_converse,
    cohere_chat,
    gemini,
    ollama_chat,
    openai_chat,
    openai_responses,
)
from .readers._events import ARRAY, Event
from .readers._mutable import MutableLeaves

__all__ = ["WIRES", "Reader", "Wire", "wire_at", "wire_named"]


class Reader(Protocol):
    """Reads the answers of a wire independently; a module can be one."""

    MUTABLE: MutableLeaves

    def whole(self, answer: Mapping[str, Any]) -> Reading:
        """What a whole answer says."""
        ...

    def stream(self, body: bytes) -> Reading:
        """What a stream says."""
        ...

    def end(self, events: Iterable[Event], *, by_finish: bool) -> int | None:
        """How many bytes of a stream must be there for its answer to be complete; None where it never is."""
        ...

    def is_answer(self, answer: Mapping[str, Any]) -> bool:
        """Whether a JSON object is an answer of this wire at all."""
        ...

    def finished(self, reading: Reading) -> bool:
        """Whether a stream said why it ended, so that it must be read as whole even where its mark is missing."""
        ...


class Wire(Struct, frozen=True, kw_only=True):
    """One wire: where it is spoken, who reads it independently, and what its dialect spells otherwise on purpose."""

    name: str
    """Of the dialect."""
    path: str
    """A pattern of the paths of its URLs, where no row knows the host."""
    reader: Reader
    normalisations: tuple[Normalisation, ...] = ()
    arguments_are_text: bool = True
    """False: a whole answer holds arguments as an object, and does not tell how they were spaced."""
    error_header: str = ""
    """The header that has the name of an error."""
    borders: bool = True
    """False: a stream does not tell where one text ends and the next begins."""
    line_ends: tuple[bytes, ...] = (b"\n", b"\r", b"\r\n")
    """What may end the lines of a stream."""
    arrays: bool = False
    """Whether a stream may be one JSON array."""
    versions: bool = False
    """Whether the same is spoken under several versions, with which the paths begin."""
    ends_by_finish: bool = False
    """Whether every stream ends by saying why, whatever its row says."""
    no_reason: str | None = None
    """What a stream says that must say why it stopped, where nothing does."""
    uncounted: frozenset[str] = frozenset()
    """Counts of a usage that have no number here: they are told by what is kept."""
    error_words: ErrorWords | None = None
    """Type, code and parameter of the object of an error, where they do not stand in fields of these names."""
    refusal: Refusal | None = None
    """What the body of a 200 says that is no answer because it was refused, in the form of an error."""

    def is_stream(self, exchange: Exchange) -> bool:
        """Whether the body of a reply is a stream, as its first bytes say."""
        return exchange.streamed or (self.arrays and ARRAY.match(exchange.reply.body) is not None)

    def by_finish(self, quirks: Quirks) -> bool:
        """Whether a stream of this row is whole once it has said why it stopped."""
        return self.ends_by_finish or quirks.stream_end == "finish_reason"


def _nulls(*names: str) -> tuple[Normalisation, ...]:
    return tuple([Normalisation(path=f"$.{name}", said=None) for name in names])


_STREAM_FALSE = Normalisation(path="$.stream", said=False)
_NO_TOOLS = Normalisation(path="$.tools", said=[])


def _stops(name: str) -> tuple[Normalisation, ...]:
    """One stop string is a list of one, and none is none."""
    return (Normalisation(path=f"$.{name}", said=TEXT, built=[TEXT]), Normalisation(path=f"$.{name}", said=[]))


_EFFORT = "$.reasoning_effort"
_DIALS = (
    Normalisation(path="$.thinking", said=ABSENT, built={"type": "enabled"}, beside="reasoning_effort"),
    Normalisation(path=_EFFORT, said=ANYTHING, to="$.reasoning", there={"effort": ANYTHING}),
    Normalisation(path=_EFFORT, said="none", to="$.thinking", there={"type": "disabled"}),
    Normalisation(path=_EFFORT, said="none", to="$.enable_thinking", there=False),
)
"""What says how much to think is a field of another name and form with some rows."""

WIRES = (
    Wire(
        name="openai_chat",
        path=r".*/chat/completions",
        reader=openai_chat,
        normalisations=(
            _STREAM_FALSE,
            _NO_TOOLS,
            *_nulls(
                "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice",
                "stream", "response_format", "reasoning_effort",
            ),
            *_stops("stop"),
            Normalisation(path="$.max_tokens", said=ANYTHING, to="$.max_completion_tokens"),
            Normalisation(path="$.max_completion_tokens", said=ANYTHING, to="$.max_tokens"),
            Normalisation(path="$.stream_options", said=ABSENT, built={"include_usage": True}),
            Normalisation(path="$.seed", said=ANYTHING, to="$.random_seed"),
            *_DIALS,
        ),
        borders=False,
    ),
    Wire(
        name="openai_responses",
        path=r".*/responses",
        reader=openai_responses,
        normalisations=(
            _STREAM_FALSE,
            _NO_TOOLS,
            *_nulls(
                "instructions", "max_output_tokens", "reasoning", "temperature", "text", "tool_choice", "tools",
                "top_p", "stream", "input",
            ),
            Normalisation(path="$.input", said=[]),
        ),
    ),
    Wire(
        name="anthropic_messages",
        path=r".*/v1/messages",
        reader=anthropic_messages,
        normalisations=(
            _STREAM_FALSE,
            _NO_TOOLS,
            *_stops("stop_sequences"),
            *_nulls("temperature", "top_p", "stop_sequences", "system", "tools", "tool_choice", "stream"),
            *[Normalisation(path="$.max_tokens", said=said, built=32_000) for said in (ABSENT, None)],
        ),
        arguments_are_text=False,
    ),
    Wire(
        name="bedrock_converse",
        path=r"/model/.+/converse(-stream)?",
        reader=bedrock_converse,
        arguments_are_text=False,
        error_header="x-amzn-errortype",
    ),
    Wire(
        name="bedrock_invoke",
        path=r"/model/.*anthropic\.claude-(?!v\d|instant).*/invoke(-with-response-stream)?",
        reader=anthropic_messages,
        arguments_are_text=False,
        error_header="x-amzn-errortype",
    ),
    Wire(
        name="gemini",
        path=r".*/(models|tunedModels|endpoints)/[^/]+:(generateContent|streamGenerateContent)",
        reader=gemini,
        borders=False,
        arrays=True,
        versions=True,
        ends_by_finish=True,
        no_reason="OTHER",
        uncounted=frozenset({"web_searches"}),
        error_words=gemini.error_words,
        refusal=gemini.refusal,
    ),
    Wire(
        name="cohere_chat",
        path=r".*/v2/chat",
        reader=cohere_chat,
        normalisations=(
            _STREAM_FALSE,
            *_nulls(
                "max_tokens", "p", "response_format", "seed", "stop_sequences", "stream", "temperature", "thinking",
                "tool_choice", "tools",
            ),
        ),
    ),
    Wire(
        name="ollama_chat",
        path=r".*/api/chat",
        reader=ollama_chat,
        normalisations=(
            Normalisation(path="$.stream", said=ABSENT, built=True),
            Normalisation(path="$.stream", said=None, built=True),
            *_nulls("format", "think", "tools"),
        ),
        arguments_are_text=False,
        borders=False,
        line_ends=(b"\n", b"\r\n"),
    ),
)  # fmt: skip
"""In the order of the table that is printed."""


def wire_at(path: str) -> Wire | None:
    """The wire whose paths look like this, or None."""
    return next((wire for wire in WIRES if re.fullmatch(wire.path, path)), None)


def wire_named(name: str | None) -> Wire | None:
    """The wire of this dialect, or None where it is not in scope."""
    return next((wire for wire in WIRES if wire.name == name), None)
