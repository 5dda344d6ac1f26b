"""What the body of a request says about how much it may use, whichever wire it is on: for whom money is limited.

The words of all wires stand in the tables below, for no two of them mean different things by the same field. They are
read in the body as it is sent, so that what a dialect fills in, and what ``extra`` adds, counts.

Tokens that are read are bounded by bytes: no tokenizer in use makes more than one token of a byte, and what a wire puts
around each message is longer than the tokens that it becomes. Only media are counted otherwise, and taken out of the
bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from .. import _json
from ..types import Audio, Document, Image, Message, ModelRequest, ToolResult

__all__ = ["Spending", "spending_of"]

IMAGE_TOKENS = {"anthropic_messages": 10_000}
"""The most tokens that a wire counts for one picture. Anthropic keeps 2,576 pixels of its longer side, and counts one
token for 28 x 28 pixels, before that one for 750 (platform.claude.com/docs/en/build-with-claude/vision): 8,848.
"""
MOST_IMAGE_TOKENS = 50_000
"""On every other wire. OpenAI's gpt-4o-mini counts 2,833, and 5,667 for each of at most 8 tiles (48,169); Gemini 258
for each tile of 768 x 768 pixels, of which so many would be a picture of 10,000 x 10,000.
"""
AUDIO_BYTES = 16
"""Bytes of sound for one token, at least: Gemini counts 32 tokens a second, the most known, and speech below 4 kbit/s
is no format that a provider takes."""
_TOOLS = frozenset({"functions", "tools", "toolConfig"})
TOOLS_TOKENS = 1_000
"""What a provider tells the model about tools in its own words: Anthropic documents up to 804 tokens (Opus 4.7)."""
OVERHEAD = 64

_OUTPUT = frozenset({
    "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens", "max_new_tokens",
    "num_predict",
})  # fmt: skip
"""How many tokens may be written."""
_ANSWERS = frozenset({"n", "best_of", "candidateCount"})
"""How many answers are asked for: each may have so many tokens."""
_NESTED = frozenset({"generationConfig", "inferenceConfig", "options"})
"""Objects that hold such fields."""
_ELSEWHERE = frozenset({"cachedContent", "conversation", "previous_response_id"})
"""Fields that add to the input what stands elsewhere."""
_CONVERSATION = frozenset({"contents", "input", "messages", "prompt", "system", "systemInstruction"})
"""Fields that hold what is read: one that ``extra`` has put there may name files and pictures that nobody here sees."""
_SEARCHES = frozenset({"plugins", "search_parameters", "web_search_options"})
"""Fields that have the provider search."""
_OWN_TOOLS = ("function", "custom", "bash_", "text_editor_", "computer_", "memory_")
"""Types of tools that the caller runs: the provider does no more than ask for them."""
_OWN_DECLARATIONS = frozenset({"functionDeclarations", "function_declarations", "toolSpec"})
_LONG_CACHES = {b'"1h"': "cache_write_1h", b"retention": "cache_write_12h", b'"12h"': "cache_write_12h"}
"""What in a body asks for a cache that is kept for longer, and the bucket of what is written to it."""


class Spending(Struct, frozen=True, kw_only=True, gc=False):
    """What a request may use: None is what its body does not bound."""

    input: int | None
    """Tokens that it may have read; None: as many as fit into the model."""
    output: int | None
    """Tokens of one answer."""
    answers: int = 1
    beside: int = 0
    """Tokens that are billed as written beside the answers."""
    rounds: int | None = 1
    """How often the provider may have the model read all of it; None: nobody knows."""
    tools: str = ""
    """What of the provider's own makes it do so more often."""
    media: frozenset[str] = frozenset()
    """Kinds of what is no text: ``Image``, ``Audio``, ``Document``."""
    caches: frozenset[str] = frozenset()
    extra: bool = False
    """Whether fields are asked for that nobody here knows: an answer in sound or pictures is one."""


def spending_of(body: bytes, request: ModelRequest, dialect: str) -> Spending:
    """Read a body that is about to be sent for this request."""
    fields = _fields(body)
    counts = list(_whole_numbers(fields))
    tools, rounds = _rounds(fields)
    media = list(_media(request.messages))
    told_of_tools = 0 if _TOOLS.isdisjoint(fields) else TOOLS_TOKENS
    elsewhere = (
        not _ELSEWHERE.isdisjoint(fields) or not _CONVERSATION.isdisjoint(request.extra) or any(map(_is_endless, media))
    )
    return Spending(
        input=None if elsewhere else told_of_tools + _input(body, request, media, dialect),
        output=max([value for name, value in counts if name in _OUTPUT], default=None),
        answers=max([value for name, value in counts if name in _ANSWERS], default=1),
        beside=len(fields.get("prediction", b"")),
        rounds=rounds,
        tools=tools,
        media=frozenset([type(part).__name__ for part in media]),
        caches=frozenset([bucket for word, bucket in _LONG_CACHES.items() if word in body]),
        extra=bool(request.extra),
    )


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _fields(body: bytes) -> dict[str, bytes]:
    """The fields of a body, each not yet read."""
    try:
        return {name: bytes(raw) for name, raw in _FIELDS.decode(body).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _whole_numbers(fields: Mapping[str, bytes]) -> Iterator[tuple[str, int]]:
    for name, raw in fields.items():
        if name in _OUTPUT or name in _ANSWERS:
            value = _json.decode(raw)
            if type(value) is int and value > 0:
                yield name, value
        elif name in _NESTED and raw.startswith(b"{"):
            yield from _whole_numbers(_fields(raw))


# What is read.


def _input(body: bytes, request: ModelRequest, media: list[Any], dialect: str) -> int:
    tokens = len(body) + OVERHEAD
    for part in media:
        data = part.data
        if isinstance(part, Document) and (part.media_type or "").startswith("text/"):
            continue  # as text: its bytes are among the others
        if data and b64encode(data[:48]).rstrip(b"=") in body:
            tokens -= 4 * -(-len(data) // 3)
        tokens += _AT_MOST[type(part)](part, dialect)
    return max(tokens, OVERHEAD + len(request.messages))


def _image(part: Any, dialect: str) -> int:  # noqa: ARG001  # one form for both
    return IMAGE_TOKENS.get(dialect, MOST_IMAGE_TOKENS)


def _audio(part: Any, dialect: str) -> int:  # noqa: ARG001  # as above
    return OVERHEAD + len(part.data) // AUDIO_BYTES


_AT_MOST: dict[Any, Callable[[Any, str], int]] = {Image: _image, Audio: _audio}


def _is_endless(part: Any) -> bool:
    """Whether nobody but the provider knows how much is in it: pages of a file, a file elsewhere."""
    return isinstance(part, Document) and (part.data is None or not (part.media_type or "").startswith("text/"))


def _media(messages: tuple[Message, ...]) -> Iterator[Any]:
    for message in messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            yield from [each for each in inner if isinstance(each, (Image, Audio, Document))]


# What the provider does by itself.


def _rounds(fields: Mapping[str, bytes]) -> tuple[str, int | None]:
    """The tools that the provider runs, and how often it may have the model read all of it because of them."""
    names: list[str] = [name for name in sorted(_SEARCHES) if name in fields]
    uses: list[int | None] = [1 if name == "web_search_options" else None for name in names]
    for tool in _tools(fields):
        kind = str(tool.get("type") or "")
        plain = not kind and (_OWN_DECLARATIONS & tool.keys() or "name" in tool or "input_schema" in tool)
        if plain or kind.startswith(_OWN_TOOLS):
            continue
        most = tool.get("max_uses")
        names.append(kind or ", ".join(map(str, tool)))
        uses.append(most if type(most) is int and most > 0 else None)
    if not names:
        return "", 1
    calls = _json.decode(fields["max_tool_calls"]) if "max_tool_calls" in fields else None
    if type(calls) is int and calls >= 0:
        uses = [calls]
    return ", ".join(names), None if None in uses else 1 + sum([use or 0 for use in uses])


def _tools(fields: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    tools = _json.decode(fields["tools"]) if "tools" in fields else []
    for tool in tools if isinstance(tools, list) else []:
        if isinstance(tool, dict):
            yield tool
