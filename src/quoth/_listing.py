"""What ``models.list``, ``models.info`` and ``models.providers`` answer: the catalog, the rows and the prices, joined.

Nothing here uses the network or reads a key: of a key it says whether there is one, and where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Protocol, TypedDict

from msgspec import Struct
from msgspec.structs import replace

from ._catalog import Kind, ModelInfo, closest, known_models, model_info, nearest, vocabulary
from ._settings import Settings, named
from .dialects import CLIENTS
from .errors import ConfigurationError, InputError, InputTypeError, UnknownModelError
from .providers._address import Given, first_set, url_in_force
from .providers._registry import ProviderTable
from .providers._spec import ProviderSpec
from .transport._clock import time, today
from .types import PriceRule

__all__ = ["ListOptions", "Listing", "ProviderInfo", "Wanted"]


class ProviderInfo(Struct, frozen=True, kw_only=True, gc=False):
    """One provider: who it is, and whether it can be called from here."""

    name: str
    display_name: str
    aliases: tuple[str, ...]
    needs_key: bool
    has_key: bool
    """Whether the settings hold a key for it, or one of its variables does. The key itself is not looked at."""
    key_variables: tuple[str, ...]
    """The environment variables that are read, in this order; before them those of an access token."""
    key_variable: str | None
    """The one of them that is set and is used; None where none is, or the settings come before it."""
    base_url: str | None
    """Where a call goes that names no other URL; None where that cannot be said, and ``problem`` then says why."""
    base_url_variables: tuple[str, ...]
    base_url_variable: str | None
    dialect: str
    dialects: tuple[str, ...]
    """The wires that it can be asked for with ``dialect=``, the usual one first."""
    spoken: bool
    """Whether this version of quoth speaks its dialect."""
    default_model: str | None
    hint: str
    """What to do where its key is missing."""
    credentials: str | None = None
    """Whose credentials (``aws``, ``google``) prove a call for which there is no key; a call looks for them."""
    problem: str | None = None


class ListOptions(TypedDict, total=False):
    """What ``models.list`` takes: filters, all of which must hold, and ``refresh``."""

    provider: str | None
    """A provider's name or alias."""
    kind: Kind | None
    """``chat embedding image video speech transcription``."""
    input: str | Iterable[str] | None
    """What it must read (``"image"``), or several."""
    output: str | Iterable[str] | None
    """What it must make, or several."""
    feature: str | Iterable[str] | None
    """What it must be able to do (``"tools"``), or several."""
    priced: bool | None
    """Whether its price is known."""
    retired: bool | None
    """Whether a source says that it is not served any more."""
    refresh: bool
    """Ask the provider itself, over the network; what the catalog does not know of a model is then empty."""


class Wanted(Struct, frozen=True, kw_only=True, gc=False):
    """Which models are asked for. None leaves a question out; of several words all must hold."""

    provider: str | None = None
    kind: str | None = None
    input: str | Iterable[str] | None = None
    output: str | Iterable[str] | None = None
    feature: str | Iterable[str] | None = None
    priced: bool | None = None
    retired: bool | None = None


class RuleOf(Protocol):
    """What finds the rates of a small standard call at a time; ``Prices.rule``."""

    def __call__(self, provider: str, model: str, /, *, at: float) -> PriceRule | None: ...


class Listing:
    """The models and providers of one table, with the prices and settings of one ModelsAPI."""

    __slots__ = ("_rule", "_settings", "_table")

    def __init__(self, table: ProviderTable, rule: RuleOf, settings: Settings) -> None:
        self._table = table
        self._rule = rule
        self._settings = settings

    def models(self, wanted: Wanted) -> list[ModelInfo]:
        """The models asked for: by provider; within one those that are served first, the newest at the top."""
        rows = self._rows(wanted.provider)
        return self._chosen([self._priced(row, model) for row in rows for model in _models_of(row)], wanted)

    def served(self, row: ProviderSpec, ids: Iterable[str], wanted: Wanted) -> list[ModelInfo]:
        """Of the ids that a provider says it has those asked for, with what the catalog knows of them."""
        return self._chosen([self._priced(row, _known_as(row, id_)) for id_ in ids], wanted)

    def row(self, provider: str | None) -> ProviderSpec:
        """The one provider that is to be asked. Raises InputError where none is named."""
        if provider is None:
            raise InputError("models.list(refresh=True) asks one provider: name it with provider=...")
        return self._rows(provider)[0]

    def _chosen(self, found: list[ModelInfo], wanted: Wanted) -> list[ModelInfo]:
        day = today()
        words = {
            "kind": _words("kind", wanted.kind),
            "inputs": _words("inputs", wanted.input),
            "outputs": _words("outputs", wanted.output),
            "features": _words("features", wanted.feature),
        }
        return sorted(
            (model for model in found if _has(model, words) and _fits(model, wanted, day)),
            key=lambda model: (model.provider, model.is_retired(day), _age(model), model.model),
        )

    def info(self, model: str) -> ModelInfo:
        """What is known of one id, as it may be called. Raises UnknownModelError where nothing is."""
        row, name = self._table.resolve(model)
        found = model_info(f"{row.name}/{name}")
        if found is None:
            found = next((own for own in _models_of(row) if own.model == name), None)
        if found is None:
            raise self._unknown(row, name)
        return self._priced(row, found)

    def providers(self, environment: Mapping[str, str]) -> list[ProviderInfo]:
        """Every provider of the table, by name."""
        return sorted((self._provider(row, environment) for row in self._table), key=lambda info: info.name)

    def _rows(self, provider: str | None) -> list[ProviderSpec]:
        if provider is None:
            return list(self._table)
        if not isinstance(provider, str):
            raise InputTypeError(f"provider is a name such as 'openai', not {type(provider).__name__}")
        row = self._table.get(provider)
        if row is None:
            near = closest(provider, self._names())
            meant = f"did you mean {near[0]!r}?" if near else "models.providers() lists those that there are"
            raise UnknownModelError(f"no provider is called {provider!r}: {meant}")
        return [row]

    def _names(self) -> list[str]:
        return [name for row in self._table for name in (row.name, *row.aliases)]

    def _priced(self, row: ProviderSpec, model: ModelInfo) -> ModelInfo:
        return replace(model, price=self._rule(row.prices, model.model, at=time()))

    def _unknown(self, row: ProviderSpec, name: str) -> UnknownModelError:
        near = nearest(name, [model.id for model in _models_of(row)], {row.name})
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return UnknownModelError(
            f"the catalog does not know {row.name}/{name}, which may be called all the same{meant}",
            provider=row.name,
            model=name,
        )

    def _provider(self, row: ProviderSpec, environment: Mapping[str, str]) -> ProviderInfo:
        names = (row.name, *row.aliases)
        told = named(self._settings.api_keys, names) is not None
        key_variable = None if told else first_set((*row.token_variables, *row.key_variables), environment)
        own_url = named(self._settings.base_urls, names)
        url_variable = None if own_url else first_set(row.base_url_variables, environment)
        base_url: str | None = None
        problem: str | None = None
        try:
            base_url = url_in_force(row, Given(base_url=own_url), environment)
        except ConfigurationError as error:
            problem = error.message
        return ProviderInfo(
            name=row.name,
            display_name=row.display_name or row.name,
            aliases=row.aliases,
            needs_key=bool(row.key_variables) and not row.key_optional,
            has_key=told or key_variable is not None,
            key_variables=row.key_variables,
            key_variable=key_variable,
            base_url=base_url,
            base_url_variables=row.base_url_variables,
            base_url_variable=url_variable,
            dialect=row.dialect,
            dialects=row.dialects,
            spoken=row.dialect in CLIENTS,
            default_model=row.default_model,
            hint=row.hint,
            credentials=row.credentials,
            problem=problem,
        )


def _models_of(row: ProviderSpec) -> Iterator[ModelInfo]:
    """What the catalog has of a provider; and its default model, though it has nothing else."""
    own = f"{row.name}/{row.default_model}" if row.default_model else ""
    for model in known_models(row.name):
        yield model
        if own in (model.id, *model.aliases):
            own = ""
    if own:
        yield ModelInfo(
            id=own,
            provider=row.name,
            model=row.default_model or "",
            dialect=row.dialect,
            sources=("the provider's row",),
        )


def _known_as(row: ProviderSpec, id: str) -> ModelInfo:
    """What is known of an id as the provider writes it; a snapshot has the facts of its family."""
    name = f"{row.name}/{id}"
    info = model_info(name)
    if info is None:
        return ModelInfo(id=name, provider=row.name, model=id, dialect=row.dialect, sources=("the provider itself",))
    return info if info.model == id else replace(info, id=name, model=id, aliases=())


def _has(model: ModelInfo, words: Mapping[str, frozenset[str]]) -> bool:
    held: dict[str, set[str]] = {
        "kind": {model.kind},
        "inputs": {*model.inputs},
        "outputs": {*model.outputs},
        "features": {*model.features},
    }
    return all(asked <= held[column] for column, asked in words.items())


def _fits(model: ModelInfo, wanted: Wanted, day: date) -> bool:
    if wanted.priced is not None and (model.price is not None) != wanted.priced:
        return False
    return wanted.retired is None or model.is_retired(day) == wanted.retired


def _age(model: ModelInfo) -> int:
    """The newest is the smallest; what has no date comes last."""
    return -model.released.toordinal() if model.released else 0


def _words(column: str, asked: str | Iterable[str] | None) -> frozenset[str]:
    """The words of a filter, each of which some model must have. Raises InputError where none has."""
    words = _listed(column, asked)
    known = vocabulary(column)
    for word in words:
        if word not in known:
            raise InputError(f"no model has {word!r} among its {column}; known: {', '.join(sorted(known))}")
    return words


def _listed(column: str, asked: Any) -> frozenset[str]:
    if asked is None:
        return frozenset()
    if isinstance(asked, str):
        return frozenset((asked,))
    words = list(asked) if isinstance(asked, Iterable) else [asked]
    wrong = [type(word).__name__ for word in words if not isinstance(word, str)]
    if wrong:
        raise InputTypeError(f"{column} are asked for by a str, or several, not {wrong[0]}")
    return frozenset(words)
