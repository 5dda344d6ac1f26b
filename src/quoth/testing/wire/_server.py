"""The server half: an answer that was read is spelled anew, and reads back as the same.

*Kept raw* is what would let a server half give back the provider's own bytes without knowing what they say: the
``body`` of a Response, and the usage object that was reported. Both are taken out first, and take no part in the
comparison. (The ``reported`` of a usage whose numbers cannot be stays: there are no buckets in its stead.)

Everything is done twice: with ``provider_data``, when the whole Response must come back; and without any of it,
when all that has a name in our types must: text, thoughts, tool calls, counts, ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...dialects.server import ServerDialect
from ...errors import QuothError
from ...providers._provider import Provider
from ...types import Message, Part, Reasoning, Refusal, Response, Text, ToolCall, Usage
from ...wire import WireReply
from ._reading import Difference
from ._streams import feed

__all__ = ["Telling", "check_server", "named", "without_raw"]

PIECE = 7
"""Characters of a piece, of the streams that are built."""

STREAMED = (("content-type", "text/event-stream"),)


class Telling(Struct, frozen=True, kw_only=True):
    """What a wire cannot tell of an answer; see ``Wire``."""

    spaced: Callable[[Response], Response]
    """Gives an answer as a whole one tells it: as it is, or with arguments spaced as it spaces them."""
    borders: bool = True
    no_reason: str | None = None
    uncounted: frozenset[str] = frozenset()

    def streamed(self, response: Response) -> Response:
        """An answer as a stream tells it."""
        if self.no_reason and response.finish_reason_raw is None and response.finish_reason == "other":
            response = replace(response, finish_reason_raw=self.no_reason)
        return response if self.borders else _joined(response)

    def bare(self, response: Response) -> Response:
        """An answer without what only this wire says, and without what only that tells."""
        bare = without_data(response)
        return replace(bare, usage=replace(bare.usage, **dict.fromkeys(self.uncounted, 0)))


def check_server(provider: Provider, server: ServerDialect, response: Response, telling: Telling) -> list[Difference]:
    """Spell an answer whole and as a stream, with and without what only this wire says."""
    if not _is_unicode(response):  # a lone surrogate is no text, and what is sent in its place another
        return []
    stripped = without_raw(response)
    bare, spaced = telling.bare(stripped), telling.spaced
    differences = [
        *_round("whole", stripped, spaced, lambda: _whole(provider, server, stripped)),
        *_round("whole, bare", bare, lambda value: named(spaced(value)), lambda: _whole(provider, server, bare)),
        *_round("stream, bare", bare, _told(telling), lambda: _stream(provider, server, bare)),
    ]
    if not _says_error(stripped):  # a whole answer may say one beside its text; a stream ends with it
        differences += _round("stream", stripped, telling.streamed, lambda: _stream(provider, server, stripped))
    return differences


def _told(telling: Telling) -> Callable[[Response], dict[str, Any]]:
    return lambda response: named(telling.streamed(response))


def _is_unicode(response: Response) -> bool:
    try:
        msgspec.json.encode(without_raw(response), enc_hook=str)
    except UnicodeEncodeError:
        return False
    return True


def without_raw(response: Response) -> Response:
    """A Response without what was kept raw."""
    usage = response.usage
    if usage.source != "suspect":
        usage = replace(usage, reported=None)
    elif usage.reported is None:  # it was no object, and no wire says that again
        usage = Usage()
    return replace(response, body=None, usage=usage)


def without_data(response: Response) -> Response:
    """A Response without any ``provider_data``, and so without parts that say nothing in our types."""
    message = response.message
    parts = [replace(part, provider_data={}) for part in message.parts if _says_something(part)]
    bare = replace(message, parts=tuple(parts), provider_data={})
    return replace(response, message=bare, provider_data={}, candidates=())


def _says_something(part: Any) -> bool:
    return isinstance(part, ToolCall) or bool(getattr(part, "text", ""))


def named(response: Response) -> dict[str, Any]:
    """All that a Response says in fields that have a name, without the opaque."""
    message = response.message
    return {
        "text": _texts(message, Text),
        "reasoning": _texts(message, Reasoning),
        "refusal": _texts(message, Refusal),
        "calls": [(call.id, call.name, call.arguments) for call in response.tool_calls],
        "finish": (response.finish_reason, response.finish_reason_raw),
        "ids": (response.id, response.model, response.created),
        "served": (response.service_tier, response.region, response.speed),
        "usage": without_raw(response).usage,
    }


def _texts(message: Message, kind: type[Text | Reasoning | Refusal]) -> str:
    return "".join([part.text for part in message.parts if isinstance(part, kind)])


def _whole(provider: Provider, server: ServerDialect, response: Response) -> Response:
    return _read(provider, server.build_response(response))


def _stream(provider: Provider, server: ServerDialect, response: Response) -> Response:
    body = b"".join(server.build_events(response, piece=PIECE))
    return _read(provider, WireReply(status=200, headers=STREAMED, body=body))


def _read(provider: Provider, reply: WireReply) -> Response:
    result = feed(provider, reply, [reply.body])
    if result.error is not None:
        raise result.error
    return result.response


def _joined(response: Response) -> Response:
    """A Response in which neighbouring plain texts are one."""
    parts: list[Part] = []
    for part in response.message.parts:
        before = parts[-1] if parts else None
        if _is_plain(part) and _is_plain(before):
            parts[-1] = Text(text=f"{getattr(before, 'text', '')}{getattr(part, 'text', '')}")
        else:
            parts.append(part)
    return replace(response, message=replace(response.message, parts=tuple(parts)))


def _is_plain(part: Part | None) -> bool:
    return isinstance(part, Text) and not part.provider_data


def _says_error(response: Response) -> bool:
    """Whether an answer says of itself, or of its choice, that it failed."""
    kept = [holder for data in response.provider_data.values() for holder in (data, *(data.get("choices") or ()))]
    return any(holder.get("error") for holder in kept)


def _round(
    how: str, response: Response, expected: Callable[[Response], Any], travel: Callable[[], Response]
) -> Iterator[Difference]:
    """One way there and back."""
    check = f"server half, {how}"
    try:
        back = without_raw(travel())
    except QuothError as error:
        yield Difference(check=check, what="refused", expected="the same answer", found=f"{error.kind}: {error}")
        return
    one, other = expected(response), expected(back)
    if one != other:
        yield from _what_differs(check, one, other)


def _what_differs(check: str, one: Any, other: Any) -> Iterator[Difference]:
    if isinstance(one, dict):
        fields = list(one)
        get: Callable[[Any, str], Any] = dict.__getitem__
    else:
        fields = [name for name in one.__struct_fields__ if name not in ("call", "body")]
        get = getattr
    for field in fields:
        if get(one, field) != get(other, field):
            yield Difference(check=check, what=field, expected=get(one, field), found=get(other, field))
