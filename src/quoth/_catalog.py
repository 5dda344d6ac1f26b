"""What is known of models without asking anybody: what they can do, when they retire, whose a bare id is.

The facts are data (``data/catalog.py``, generated) and loaded at first use. They advise and forbid nothing: an id
that stands nowhere here is sent all the same, and so is one whose provider has retired it, with one warning.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from .errors import ModelRetiredWarning
from .types import PriceRule

__all__ = [
    "KINDS",
    "Kind",
    "ModelInfo",
    "closest",
    "is_listed",
    "known_models",
    "model_info",
    "nearest",
    "owner",
    "vocabulary",
    "warn_of_retirement",
]

Kind: TypeAlias = Literal["chat", "embedding", "image", "video", "speech", "transcription"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_MAKERS = (
    "openai", "anthropic", "google", "mistral", "xai", "deepseek", "cohere", "zai", "moonshot", "minimax",
    "voyage", "local",
)  # fmt: skip
"""Who makes models: a bare id that stands in the catalog is theirs before it is a host's."""

_LISTERS = (frozenset({"litellm"}), frozenset({"models.dev", "llmgateway"}))
"""Sources that list for each model what it can do: one of each group, before their silence says something."""

_TOOL_WORDS = {"tools", "tool_choice"}

_DAY = len("2026-11-23")


class ModelInfo(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """What is known of one model. None, and an empty tuple, mean that no source says.

    It advises: what a provider accepts is the provider's word. ``docs/design.md`` says where the facts come from.
    """

    id: str
    """Canonical: ``provider/model``."""
    provider: str
    model: str
    """The id as the provider takes it."""
    aliases: tuple[str, ...] = ()
    """Other ids of the same model, as ``provider/model``."""
    kind: Kind = "chat"
    context_window: int | None = None
    """Tokens of a prompt and its answer together, as most providers count."""
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    dimensions: int | None = None
    """Length of an embedding."""
    cache_min_tokens: int | None = None
    """The shortest prompt that the provider caches, in tokens."""
    inputs: tuple[str, ...] = ()
    """What it reads: ``text image audio video pdf``."""
    outputs: tuple[str, ...] = ()
    """What it makes: ``text embedding audio image video``."""
    inferred: bool = False
    """Whether inputs and outputs were concluded from the features, and are stated nowhere."""
    features: tuple[str, ...] = ()
    """What it can do: ``tools structured_output reasoning prompt_cache`` and others."""
    dialect: str | None = None
    """The wire that the model is best spoken to on; the provider's row says which one this version uses."""
    released: date | None = None
    released_source: str | None = None
    deprecated: bool = False
    """Whether a source says that the provider will retire it, or has."""
    deprecated_since: date | None = None
    retires: date | None = None
    """The day from which it is not served, according to ``retires_source``; it may lie in the past."""
    retires_source: str | None = None
    replacement: str | None = None
    """What to use in its place, only where a source states it."""
    price: PriceRule | None = None
    """What a small standard call costs now; None where that is unknown. ``price_of`` reads it."""
    sources: tuple[str, ...] = ()

    def price_of(self, bucket: str) -> float | None:
        """US dollars per million tokens of a bucket (``input``, ``output``, ``cache_read``), to show and compare.

        A float, not for bookkeeping: what a call costs stands exactly in its ``cost``.
        """
        rate = self.price.rates.get(bucket) if self.price else None
        return None if rate is None else rate / 10**9

    def denied(self) -> frozenset[str]:
        """What the catalog says that it cannot do or read: of ``tools structured_output image audio`` those that its
        sources would state; ``answers`` where it embeds texts.

        A medium is denied where a source states what the model reads; what it can do where litellm and one more list
        that, and it is not among it (of tools neither a tool nor a choice of one). Silence denies nothing.
        """
        told = {source.partition(" ")[0] for source in self.sources}
        listed = all(told & group for group in _LISTERS)
        tools = {"tools"} if listed and not _TOOL_WORDS & {*self.features} else set[str]()
        if listed and "structured_output" not in self.features:
            tools.add("structured_output")
        answers = {"answers"} if self.kind == "embedding" else set[str]()
        media = {"image", "audio"} - {*self.inputs} if self.inputs and not self.inferred else set()
        return frozenset(answers | tools | media)

    def is_retired(self, day: date) -> bool:
        """Whether a source says that it is not served any more on this day."""
        return self.retires is not None and self.retires <= day


def known_models(provider: str) -> Iterator[ModelInfo]:
    """All models of this provider that the catalog has."""
    from .data import catalog

    head = f"{provider}/"
    return (_info(key, row) for key, row in catalog.ROWS.items() if key.startswith(head))


def model_info(id: str) -> ModelInfo | None:
    """What is known of ``provider/model``, in any case, or under an alias; None where nothing is."""
    from .data import catalog

    key = _find(id)
    return _info(key, catalog.ROWS[key]) if key else None


def is_listed(id: str) -> bool:
    """Whether the catalog has ``provider/model``, or an alias, spelled exactly so."""
    from .data import catalog

    return id in catalog.ROWS or id in catalog.ALIASES


_folded: dict[str, str] = {}
"""Every id and alias in lower case, and its row; filled when an id is not found as it was written."""


def vocabulary(column: str) -> frozenset[str]:
    """All words that stand in a column: ``kind``, ``inputs``, ``outputs`` or ``features``."""
    from .data import catalog

    place = catalog.COLUMNS.index(column)
    return frozenset(word for text in {row[place] for row in catalog.ROWS.values()} for word in text.split())


def _find(id: str) -> str | None:
    """The key of the row that this canonical id, or alias of one, means, in any case."""
    from .data import catalog

    if id in catalog.ROWS:
        return id
    if not _folded:
        _folded.update({**{key.lower(): key for key in catalog.ROWS}, **catalog.ALIASES})
    return _folded.get(id.lower())


def _info(key: str, row: tuple[str, ...]) -> ModelInfo:
    from .data import catalog

    provider, _, model = key.partition("/")
    fields = dict(zip(catalog.COLUMNS, row, strict=True))
    limits = {name: int(number) for name, _, number in (each.partition("=") for each in fields["limits"].split())}
    released, retires = fields["released"], fields["retires"]
    return ModelInfo(
        id=key,
        provider=provider,
        model=model,
        aliases=tuple([alias for alias, of in catalog.ALIASES.items() if of == key]),
        kind=_kind(fields["kind"]),
        context_window=limits.get("context"),
        max_input_tokens=limits.get("input"),
        max_output_tokens=limits.get("output"),
        dimensions=limits.get("dimensions"),
        cache_min_tokens=limits.get("cache_min"),
        inputs=tuple(fields["inputs"].split()),
        outputs=tuple(fields["outputs"].split()),
        inferred=fields["inferred"] == "yes",
        features=tuple(fields["features"].split()),
        dialect=fields["dialect"] or None,
        released=_day(released),
        released_source=released[_DAY + 1 :] or None,
        deprecated=bool(fields["deprecated"]),
        deprecated_since=_day(fields["deprecated"]),
        retires=_day(retires),
        retires_source=retires[_DAY + 1 :] or None,
        replacement=fields["replacement"] or None,
        sources=tuple(fields["sources"].split(", ")),
    )


def _kind(word: str) -> Kind:
    return next(kind for kind in KINDS if kind == word)


def _day(text: str) -> date | None:
    """The day that a text begins with; None for one that says none."""
    return date.fromisoformat(text[:_DAY]) if len(text) >= _DAY else None


# Retirement.

_HEARSAY = ("llmgateway",)
"""Sources that stand alone with some dates, and are no vendor's: ``models.info`` shows them, no warning cries them."""

_warned: dict[str, object] = {}
"""The canonical ids of which this process was warned. No more than the catalog has."""


def warn_of_retirement(id: str, today: date) -> None:
    """Warn, once in a process, where the provider has retired this model or said when it will.

    Raises ModelRetiredWarning where the program turns warnings into errors.
    """
    info = model_info(id)
    mine = object()
    if info is None or info.retires is None or info.id.lower() != id.lower():  # an alias may live longer
        return
    if (info.retires_source or "").startswith(_HEARSAY):
        return
    if _warned.setdefault(info.id, mine) is not mine:
        return
    from warnings import warn

    try:
        warn(_retirement(id, info, today), ModelRetiredWarning, stacklevel=depth_of_caller())
    except ModelRetiredWarning:
        del _warned[info.id]  # it is an error here, and so each time
        raise


def _retirement(id: str, info: ModelInfo, today: date) -> str:
    instead = f"; its replacement is {info.replacement}" if info.replacement else ""
    if info.is_retired(today):
        return (
            f"{id} was retired on {info.retires}, according to the package {info.retires_source}{instead}; "
            "it is asked for all the same"
        )
    return f"{id} is deprecated and retires on {info.retires}, according to the package {info.retires_source}{instead}"


def depth_of_caller() -> int:
    """The ``stacklevel`` that names the line outside of quoth from which ``warn_of_retirement`` was reached."""
    depth = 1
    frame = sys._getframe(1)  # noqa: SLF001  # `warnings` counts the same frames
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}.".startswith("quoth."):
        frame = frame.f_back
        depth += 1
    return depth


# Names.


def owner(model: str) -> str | None:
    """The provider whose own model has exactly this id, or None."""
    return next((maker for maker in _MAKERS if _find(f"{maker}/{model}")), None)


def nearest(model: str, more: Iterable[str], providers: Collection[str]) -> list[str]:
    """Up to three known ids of these providers, as ``provider/model``, that look like this one; the nearest first.

    ``more`` holds ids that the catalog does not know.
    """
    from .data import catalog

    known: dict[str, str] = {}
    for id_ in (*more, *catalog.ROWS):
        provider, _, name = id_.partition("/")
        if provider in providers:
            known[id_.lower()] = id_
            known.setdefault(name.lower(), id_)  # the maker's own, which stand before those of its hosts
    found = [known[name] for name in closest(model, known, 6)]
    return list(dict.fromkeys(found))[:3]


def closest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known words that look most like this one, the nearest first."""
    from difflib import get_close_matches

    return get_close_matches(word.lower(), list(known), n=most, cutoff=0.6)
