"""Which wire a call takes, and what is known to be refused there, before anything is sent.

The wire: what the call says; else, at a foreign base URL, what one may expect there: Chat Completions, unless the row
says otherwise; else the wire that the model demands; else the row's own. What is known comes from the row and the
catalog. Where they are silent nothing is said, and what a provider accepts is never forbidden but where
``check="strict"`` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from ..dialects import CLIENTS
from ..errors import CapabilityWarning, NotBuiltError, UnsupportedContentError, UnsupportedParameterError
from ..types import Audio, Document, Image, Message, ModelRequest, Text
from ._provider import Provider
from ._spec import CheckLevel, MediaLimits

__all__ = ["advise", "check_dialect", "choose_wire", "say"]

_CHAT, _RESPONSES = "openai_chat", "openai_responses"


def check_dialect(provider: Provider, dialect: str | None) -> None:
    """Raise UnsupportedParameterError or NotBuiltError where a provider cannot be spoken to so, naming how it can."""
    wanted = dialect or provider.spec.dialect
    if wanted in CLIENTS and wanted in provider.dialects:
        return
    name = provider.spec.name
    spoken = " or ".join([repr(wire) for wire in provider.dialects if wire in CLIENTS])
    ways = f"{name} can be spoken to by dialect={spoken}"
    if wanted in provider.dialects:
        raise NotBuiltError(f"this version of quoth does not speak {wanted!r}; {ways}", provider=name)
    raise UnsupportedParameterError(f"{name} does not speak {wanted!r}; {ways}", provider=name)


def choose_wire(
    provider: Provider, request: ModelRequest, asked: str | None, foreign: Callable[[], bool]
) -> tuple[Provider, str | None]:
    """The provider on the wire for this call; and what to say of it, where the caller could not expect it.

    ``foreign`` tells whether the call goes to a host that is none of the provider's own.
    """
    if asked is not None:
        check_dialect(provider, asked)
        return provider.speaking(asked), None
    usual, dialects, demanded = provider.spec.dialect, provider.dialects, provider.demanded
    common = provider.spec.foreign_dialect
    if common in dialects and (demanded or usual) != common and foreign():
        demanded = common
    dialect, change = demanded or usual, None
    if dialect == _CHAT and _RESPONSES in dialects and _reasons_with_tools(provider, request):
        dialect, change = _RESPONSES, "sent by Responses: function tools with a reasoning effort go there only"
    elif dialect == _RESPONSES and demanded is None and _CHAT in dialects and _needs_chat(provider, request):
        dialect, change = _CHAT, "sent by Chat Completions: Responses has no stop sequences and no seed"
    if dialect == usual:
        check_dialect(provider, None)
    return provider.speaking(dialect), change


def _reasons_with_tools(provider: Provider, request: ModelRequest) -> bool:
    prefixes = provider.spec.reasons_with_tools_on_responses
    thinks = request.reasoning not in (None, "none", 0)
    return bool(prefixes and request.tools and thinks and provider.model.lower().startswith(prefixes))


def _needs_chat(provider: Provider, request: ModelRequest) -> bool:
    """Whether Responses has no word for what was asked, and Chat has: the same models answer on both."""
    return bool(request.stop or request.seed is not None) and not _reasons_with_tools(provider, request)


# What is known to be refused.


def advise(provider: Provider, request: ModelRequest, level: CheckLevel) -> None:
    """Say what the row and the catalog know to be refused: a warning each, once; an error under ``strict``.

    Raises UnsupportedParameterError or UnsupportedContentError.
    """
    if level == "off" or not _is_to_look_at(provider, request):
        return
    for matter, finds in _MATTERS.items():
        words = finds(provider, request)
        if words is None or (matter == _RETIRED and level == "warn"):  # of that the registry warns
            continue
        say(provider, matter, words, level)


def say(provider: Provider, matter: str, words: str, level: CheckLevel) -> None:
    """Say what is known to be refused: an error under ``strict``, else a warning, once.

    Raises UnsupportedParameterError or UnsupportedContentError.
    """
    if level == "strict":
        error = UnsupportedContentError if matter == _CONTENT else UnsupportedParameterError
        raise error(f'{provider.id}: {words}; check="warn" sends it all the same', provider=provider.spec.name)
    _warn(provider.id, matter, words)


LEAST_LOOKED_AT = 100_000
"""Bytes of a body below which nobody counts what is in it."""


def advise_size(provider: Provider, request: ModelRequest, size: int, level: CheckLevel) -> None:
    """Say that a request of this size holds more than the provider documents that it takes, as ``advise`` does."""
    limits = provider.spec.limits
    if limits is None or level == "off" or size < LEAST_LOOKED_AT:
        return
    words = _too_much(limits, request, size)
    if words is None:
        return
    if level == "strict":
        raise UnsupportedContentError(
            f'{provider.id}: {words}; check="warn" sends it all the same', provider=provider.spec.name
        )
    _warn(provider.id, "size", words)


def _too_much(limits: MediaLimits, request: ModelRequest, size: int) -> str | None:
    if limits.request is not None and size > limits.request:
        return f"the request has {size:,} bytes, and the provider takes {limits.request:,}"
    for kind, most_bytes, most in (
        (Image, limits.image, limits.images),
        (Document, limits.document, limits.documents),
    ):
        parts = [part for message in request.messages for part in message.parts if isinstance(part, kind)]
        largest = max([len(part.data or b"") for part in parts], default=0)
        name = kind.__name__.lower()
        if most_bytes is not None and largest > most_bytes:
            return f"{name}s may have {most_bytes:,} bytes here, and one has {largest:,}"
        if most is not None and len(parts) > most:
            return f"a request may have {most} {name}s here, and this one has {len(parts)}"
    return None


def _is_to_look_at(provider: Provider, request: ModelRequest) -> bool:
    """Whether any of the matters may be one: mostly none may, and every call asks."""
    if request.tools or request.temperature is not None or request.max_tokens is not None or provider.retired:
        return True
    denied = provider.denied
    return bool(denied) and ("answers" in denied or any(not _is_text(message) for message in request.messages))


def _is_text(message: Message) -> bool:
    """Whether it is one text, as most are, and so nothing that a model could not read."""
    parts = message.parts
    return len(parts) == 1 and parts[0].__class__ is Text


def _retired(provider: Provider, request: ModelRequest) -> str | None:  # noqa: ARG001  # one form for all matters
    return "according to the catalog the model is retired" if provider.retired else None


def _answers(provider: Provider, request: ModelRequest) -> str | None:  # noqa: ARG001  # one form for all matters
    if "answers" in provider.denied:
        return f"the model embeds texts and answers none: models.embed({provider.id!r}, texts)"
    return None


def _tools(provider: Provider, request: ModelRequest) -> str | None:
    if request.tools and "tools" in provider.denied:
        return "according to the catalog the model takes no tools"
    return None


def _tools_on_chat(provider: Provider, request: ModelRequest) -> str | None:
    if provider.wire.dialect == _CHAT and _reasons_with_tools(provider, request):
        return "the model takes function tools with a reasoning effort on Responses only, and this is Chat Completions"
    return None


def _temperature(provider: Provider, request: ModelRequest) -> str | None:
    """OpenAI's documentation of its reasoning models: no temperature but 1, unless they do not reason."""
    known = provider.known
    if request.temperature in (None, 1) or not provider.spec.fixed_temperature or known is None:
        return None
    may_not_reason = "effort_none" in known.features and request.reasoning in (None, "none", 0)
    if "reasoning" not in known.features or may_not_reason:
        return None
    return f"according to the catalog the model reasons, and then it takes no temperature of {request.temperature:g}"


def _max_tokens(provider: Provider, request: ModelRequest) -> str | None:
    most = provider.known.max_output_tokens if provider.known else None
    if request.max_tokens is None or most is None or request.max_tokens <= most:
        return None
    return f"max_tokens={request.max_tokens:,} is above the {most:,} that the catalog gives the model"


_MEDIA = (("image", Image), ("audio", Audio))


def _content(provider: Provider, request: ModelRequest) -> str | None:
    unread = [(medium, kind) for medium, kind in _MEDIA if medium in provider.denied]
    if not unread:
        return None
    kinds = {part.__class__ for message in request.messages for part in message.parts}
    for medium, kind in unread:
        if kind in kinds:
            return f"according to the catalog the model reads no {medium}"
    return None


_RETIRED, _CONTENT = "retired", "content"

_MATTERS: dict[str, Callable[[Provider, ModelRequest], str | None]] = {
    _RETIRED: _retired,
    "answers": _answers,
    "tools": _tools,
    "tools on Chat": _tools_on_chat,
    "temperature": _temperature,
    "max_tokens": _max_tokens,
    _CONTENT: _content,
}
"""What is looked at: each gives the words of what will be refused, or None."""

_warned: dict[tuple[str, str], object] = {}
"""The models and matters of which this process was warned."""

_MOST_WARNED = 10_000
"""No program that makes up ids fills the memory with them."""


def _warn(id: str, matter: str, words: str) -> None:
    """Warn once in a process of each matter. Raises CapabilityWarning where the program makes it an error."""
    mine = object()
    if len(_warned) > _MOST_WARNED or _warned.setdefault((id, matter), mine) is not mine:
        return
    from warnings import warn

    from .._catalog import depth_of_caller

    try:
        warn(f"{id}: {words}; it is sent all the same", CapabilityWarning, stacklevel=depth_of_caller())
    except CapabilityWarning:
        del _warned[id, matter]  # it is an error here, and so each time
        raise
