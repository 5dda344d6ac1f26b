"""``models.embed``: texts and their options become a call and an EmbeddingRequest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, get_args

from msgspec.structs import replace

from ._call import ModelCall
from ._options import CHECKS, Check, check_options, whole_number, wrong
from .embeddings import EmbeddingRequest, InputType
from .errors import InputError, InputTypeError
from .providers._auth import KeySource
from .providers._spec import CheckLevel
from .types import RetryPolicy

if TYPE_CHECKING:
    from ._budgets import Budget

__all__ = ["EMBED_CHECKS", "EmbedOptions", "check_bound", "checked", "embedding", "texts_of"]


class EmbedOptions(TypedDict, total=False):
    """What ``models.embed(...)`` and its async twin take by keyword; those of a call mean the same there.

    There is no ``fallback``: vectors of different models do not compare.
    """

    dimensions: int
    """The length of a vector, for models that can shorten theirs."""
    input_type: InputType
    """What the texts are embedded for: ``query``, ``document``, ``classification``, ``clustering``, ``similarity``."""
    truncate: bool
    """Whether a text that is too long is cut, or refused; without it as the provider has it."""
    timeout: float
    """Seconds for the whole call, however many requests it takes."""
    check: CheckLevel
    api_key: KeySource
    base_url: str
    headers: Mapping[str, str]
    extra: Mapping[str, Mapping[str, Any]]
    price: Mapping[str, Any]
    retries: int | RetryPolicy
    """How often each request is tried again."""
    tags: Mapping[str, str]
    budget: Budget | Sequence[Budget]
    """What may be spent; each request reserves for itself. See docs/budgets.md."""


_OF_CALLS = ("api_key", "base_url", "budget", "check", "extra", "headers", "price", "retries", "tags", "timeout")
"""Options of a call that mean the same here."""

WORDS = get_args(InputType)


def _input_type(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong(name, f"one of {', '.join(WORDS)}", value)
    if value not in WORDS:
        known = ", ".join(WORDS)
        raise InputError(f"{name} is one of {known}, not {value[:80]!r}; a provider's own word goes into extra")
    return value


def _truncate(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong(name, "True or False", value)
    return value


def _no_fallback(name: str, _value: Any) -> NoReturn:
    raise InputTypeError(
        f"embed has no {name}: vectors of different models do not compare, so that no model can stand in for another"
    )


EMBED_CHECKS: dict[str, Check] = {
    "dimensions": whole_number(1),
    "input_type": _input_type,
    "truncate": _truncate,
    **{name: CHECKS[name] for name in _OF_CALLS},
    "fallback": _no_fallback,
}
"""Every option there is, and what checks it."""


def check_bound(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a binding's options are to embed. Raises InputTypeError for one that means nothing there."""
    idle = [name for name in options if name not in _OF_CALLS]
    if "fallback" in idle:
        _no_fallback("fallback", None)
    if idle:
        raise InputTypeError(f"the binding has {', '.join(idle)}, which means nothing to embed: bind without it")
    return dict(options)


def texts_of(given: Any) -> tuple[str, ...]:
    """The texts to embed: a str alone, or any ordered lot of them.

    Raises InputTypeError for what holds no texts in an order, InputError for an empty text, which no provider embeds.
    """
    if isinstance(given, str):
        given = (given,)
    elif isinstance(given, (bytes, bytearray, Mapping, AbstractSet)) or not isinstance(given, Iterable):
        raise wrong("texts", "a str or a list of str", given)
    texts = tuple(given)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise wrong(f"texts[{index}]", "a str", text)
        if not text:
            raise InputError(f"texts[{index}] is empty: there is nothing to embed, and providers refuse all beside it")
    return texts


def checked(options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options as an EmbeddingRequest holds them, and those that are a call's."""
    given = check_options(options, EMBED_CHECKS)
    return (
        {name: value for name, value in given.items() if name not in _OF_CALLS},
        {name: value for name, value in given.items() if name in _OF_CALLS},
    )


def embedding(call: ModelCall, texts: Any, own: Mapping[str, Any]) -> tuple[ModelCall, EmbeddingRequest]:
    """The call as the service takes it, and what it asks for."""
    request = EmbeddingRequest(model=call.provider.model, texts=texts_of(texts), extra=call.request.extra, **own)
    return replace(call, operation="embed"), request
