"""Prices of your own: what an entry may say, in JSON, TOML or Python, and how it becomes a row.

An entry is keyed ``provider/model``; ``provider/*`` holds for all models of a provider that have no entry. It states
rates as decimal text or numbers, in US dollars per million tokens (fees: per 1,000 events), and may say more:

    extends      another row, whose rates hold where this entry states none
    multiplier   what every rate is multiplied by, for a discount or a surcharge
    tiers        rates of larger requests: [{"above": 272000, "input": "4"}]
    modes        rates of service tiers: {"flex": {"input": "1"}}
    schedule     rates of hours of the week (UTC): [{"name": "peak", "days": "mon-fri", "utc": [["01:00", "04:00"]],
                 "price": {"input": "4"}}]
    history      rates from a day on: [{"from": "2026-12-01", "input": "4"}]
    multipliers  by place: {"inference_geo:us": "1.1"}
    aliases      further names of the model

A file may also hold ``{"models": [{"provider": ..., "id": ..., "price": {...}}]}``, as price tables are published.
What is wrong is said by variable (or file), entry and field; the other entries hold all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from msgspec import Struct

from ..errors import ConfigurationError
from ._plans import FIELDS, OPTIONS, RateSet, window_of

__all__ = ["EXPECTED_ENTRY", "SELF", "Entry", "nearest", "parse_entry", "shown"]

EXPECTED_ENTRY = 'expected {"provider/model": {"input": "2", "output": "10"}}'
EXPECTED_RATE = 'expected US dollars per million tokens such as "0.25", not negative, with at most 9 decimals'
_EXPECTED_FACTOR = 'expected a factor such as "0.9", not negative, with at most 9 decimals'

_RATES = (*FIELDS, *[f"request_{size}_per_1000" for size in OPTIONS])
_DESCRIBING = frozenset({
    "agreement", "as_of", "capabilities", "context_window", "deprecation_date", "disagree", "id", "kind",
    "max_input_tokens", "max_output_tokens", "modalities", "name", "notes", "older_witnesses", "provider", "released",
    "source", "sources",
})  # fmt: skip
"""Fields of a published table that describe a model and price nothing."""

_FIXED = {"currency": "USD", "unit": "per_1M_tokens"}


SELF = "this/model"
"""What the option ``price`` of a call extends where it names no row: whatever prices the call without it."""


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """An override as it was written: ``where`` names the variable, the file or the verb that gave it."""

    where: str
    sets: tuple[RateSet, ...]
    extends: str | None = None
    multiplier: str = "1"
    multipliers: Mapping[str, str] = {}
    aliases: tuple[str, ...] = ()


def parse_entry(where: str, key: str, fields: Any) -> Entry:
    """Read one entry; raise ConfigurationError, naming it and the field, where it cannot be used."""
    at = f"{where}: entry {shown(key)}"
    provider, _, model = key.partition("/")
    if not provider or not model:
        raise ConfigurationError(f'{at}: expected a name such as "openai/gpt-6-sol"')
    if not isinstance(fields, Mapping) or not fields:
        raise ConfigurationError(f"{at}: {EXPECTED_ENTRY}, not {shown(fields)}")
    structure = {name: read(at, name, fields[name]) for name, read in _STRUCTURE.items() if name in fields}
    listed: dict[str, str] = {}
    for name, value in fields.items():
        if name in _FIXED and value != _FIXED[name]:
            raise ConfigurationError(f"{at}, field {shown(name)}: expected {shown(_FIXED[name])}, not {shown(value)}")
        if name not in _STRUCTURE and name not in _DESCRIBING and name not in _FIXED:
            listed[name] = _rate(at, name, value)
    listed = {**structure.get("price", {}), **structure.get("fees", {}), **listed}
    if not listed and not structure.keys() & {"extends", "multiplier", "modes", "history", "multipliers"}:
        raise ConfigurationError(f"{at}: states no rate; {EXPECTED_ENTRY}")
    extends: str | None = structure.get("extends")
    if extends is None and not listed and "history" not in structure:
        extends = key  # a discount alone is one on the price that there is
    if key.endswith("/*") and (listed or not (extends or key).endswith("/*")):
        raise ConfigurationError(
            f'{at}: holds for many models: it takes "multiplier", and "extends" such as "openai/*"'
        )
    return Entry(
        where=where,
        sets=tuple(_sets(listed, structure, str(fields.get("as_of", "")))),
        extends=extends,
        multiplier=structure.get("multiplier", "1"),
        multipliers=structure.get("multipliers", {}),
        aliases=structure.get("aliases", ()),
    )


def _sets(listed: Mapping[str, str], structure: Mapping[str, Any], as_of: str) -> Iterator[RateSet]:
    """All rate sets of an entry. What is listed is of the period that ``as_of`` falls in, else of the first one.

    Fees do not vary with the size, the tier or the hour.
    """
    history: tuple[_Dated, ...] = structure.get("history", ())
    since = max((dated.day for dated in history if dated.day <= as_of), default="")
    fees = _fees(listed)
    yield from _sized(RateSet("standard", since, "", 0, "", listed), structure.get("tiers", ()), fees)
    for dated in history:
        if dated.day != since:
            yield from _sized(RateSet("standard", dated.day, "", 0, "", dated.rates), dated.tiers, _fees(dated.rates))
    for mode, rates, tiers in structure.get("modes", ()):
        yield from _sized(RateSet(mode, since, "", 0, "", {**rates, **fees}), tiers, fees)
    for window, rates, tiers in structure.get("schedule", ()):
        yield from _sized(RateSet("standard", since, window, 0, "", {**rates, **fees}), tiers, fees)


def _fees(rates: Mapping[str, str]) -> dict[str, str]:
    return {name: rate for name, rate in rates.items() if name.endswith("_per_1000")}


def _sized(small: RateSet, tiers: tuple[_Tier, ...], fees: Mapping[str, str]) -> Iterator[RateSet]:
    yield small
    for above, larger in tiers:
        yield RateSet(small.mode, small.since, small.window, above, "", {**larger, **fees})


_Tier: TypeAlias = tuple[int, Mapping[str, str]]


class _Dated(Struct, frozen=True, gc=False):
    day: str
    rates: Mapping[str, str]
    tiers: tuple[_Tier, ...]


# The fields of an entry.


def _rate(at: str, name: str, value: Any) -> str:
    """The value as plain decimal text."""
    at = f"{at}, field {shown(name)}"
    if name not in _RATES:
        raise ConfigurationError(f"{at}: unknown{nearest(name, (*_RATES, *_STRUCTURE))}")
    return _decimal(at, value, EXPECTED_RATE)


def _decimal(at: str, value: Any, expected: str) -> str:
    if isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool):
        text = _plain(value)
        if text is not None:
            return text
    raise ConfigurationError(f"{at}: {expected}, not {shown(value)}")


def _plain(value: str | float | Decimal) -> str | None:
    """Exact digits without an exponent, or None for what is no usable rate. A float means what it is shown as."""
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or number < 0 or not -9 <= number.adjusted() < 9:
        return "0" if number.is_zero() else None
    whole, _, part = f"{number.copy_abs():f}".partition(".")
    part = part.rstrip("0")
    return None if len(part) > 9 else f"{whole}.{part}" if part else whole


def _object(at: str, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{at}, field {shown(name)}: expected an object, not {shown(value)}")
    return value


def _objects(at: str, name: str, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, Mapping) for each in value):
        raise ConfigurationError(f"{at}, field {shown(name)}: expected a list of objects, not {shown(value)}")
    return list(value)


_NOT_RATES = frozenset({"above", "days", "from", "name", "price", "same_as", "source", "tiers", "utc", "when"})
_KCOUNT = {"web_searches_kcount": "web_search_per_1000", "storage_searches_kcount": "file_search_per_1000"}
_NOT_COUNTED = frozenset({"input_video_mtok"})
"""Published rates of what no usage counts apart."""


def _read_rates(at: str, name: str, value: Any) -> dict[str, str]:
    fields = {_KCOUNT.get(field, field): rate for field, rate in _object(at, name, value).items()}
    stated = [field for field in fields if field not in _NOT_RATES | _NOT_COUNTED]
    return {field: _rate(f"{at}, {name}", field, fields[field]) for field in stated}


def _read_tiers(at: str, name: str, value: Any) -> tuple[_Tier, ...]:
    """Steps: ``[{"above": 272000, "input": "4"}]``, or a published table's object that holds them as ``steps``."""
    if isinstance(value, Mapping):
        kind = (value.get("basis", _BASIS), value.get("applies", _APPLIES))
        if kind != (_BASIS, _APPLIES):
            raise ConfigurationError(f"{at}, field {shown(name)}: expected {_BASIS} and {_APPLIES}, not {kind}")
        value = value.get("steps")
    steps = []
    for step in _objects(at, name, value):
        above = step.get("above")
        if not isinstance(above, int) or isinstance(above, bool) or above < 1:
            raise ConfigurationError(f'{at}, field {shown(name)}: "above" is a number of tokens, not {shown(above)}')
        steps.append((above, _read_rates(at, name, step)))
    return tuple(steps)


_BASIS, _APPLIES = "total_input_tokens_incl_cache", "whole_request"


def _read_modes(at: str, name: str, value: Any) -> tuple[tuple[str, Mapping[str, str], tuple[_Tier, ...]], ...]:
    modes = _object(at, name, value)
    read = []
    for mode in modes:
        stated = _object(at, f"{name}.{mode}", modes[mode])
        if "same_as" in stated:
            stated = _object(at, f"{name}.{stated['same_as']}", modes.get(str(stated["same_as"])))
        rates = _read_rates(at, f"{name}.{mode}", stated)
        read.append((str(mode).lower(), rates, _read_tiers(at, f"{name}.{mode}", stated.get("tiers", ()))))
    return tuple(read)


def _read_schedule(at: str, name: str, value: Any) -> tuple[tuple[str, Mapping[str, str], tuple[_Tier, ...]], ...]:
    windows = []
    for window in _objects(at, name, value):
        try:
            hours = ["-".join(span) for span in window["utc"]]
            text = " ".join([re.sub(r"\W", "_", str(window["name"])), str(window["days"]).lower(), *hours])
            window_of(text, ())
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f'{at}, field {shown(name)}: expected {{"name": "peak", "days": "mon-fri", "utc": '
                f'[["01:00", "04:00"]], "price": {{...}}}}: {error}'
            ) from None
        stated = window.get("price", {})
        windows.append((text, _read_rates(at, name, stated), _read_tiers(at, name, window.get("tiers", ()))))
    return tuple(windows)


def _read_history(at: str, name: str, value: Any) -> tuple[_Dated, ...]:
    dated = []
    for entry in _objects(at, name, value):
        when = entry.get("when")
        day = entry.get("from", when.get("from", "") if isinstance(when, Mapping) else "")
        if not isinstance(day, str) or (day and not _is_day(day)):
            raise ConfigurationError(f'{at}, field {shown(name)}: "from" is a day such as 2026-12-01, not {shown(day)}')
        dated.append(_Dated(day, _read_rates(at, name, entry), _read_tiers(at, name, entry.get("tiers", ()))))
    return tuple(dated)


def _is_day(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _read_extends(at: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f'{at}, field {shown(name)}: expected "provider/model", not {shown(value)}')
    return value


def _read_factor(at: str, name: str, value: Any) -> str:
    return _decimal(f"{at}, field {shown(name)}", value, _EXPECTED_FACTOR)


def _read_factors(at: str, name: str, value: Any) -> dict[str, str]:
    return {
        str(place): _read_factor(at, f"{name}.{place}", factor) for place, factor in _object(at, name, value).items()
    }


def _read_aliases(at: str, name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(alias, str) for alias in value):
        raise ConfigurationError(f"{at}, field {shown(name)}: expected a list of model ids, not {shown(value)}")
    return tuple(value)


_STRUCTURE: dict[str, Callable[[str, str, Any], Any]] = {
    "extends": _read_extends,
    "multiplier": _read_factor,
    "price": _read_rates,
    "fees": _read_rates,
    "tiers": _read_tiers,
    "modes": _read_modes,
    "schedule": _read_schedule,
    "history": _read_history,
    "multipliers": _read_factors,
    "aliases": _read_aliases,
}
"""The fields of an entry that are no rate, and what reads each."""


# Words.


def nearest(word: str, words: Iterable[str]) -> str:
    from difflib import get_close_matches

    words = list(words)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {shown(near[0])}?"
    return f"; expected one of {', '.join(words)}" if len(words) < 40 else ""


def shown(value: Any) -> str:
    """A value as JSON would show it, shortened."""
    text = f'"{value}"' if isinstance(value, str) else str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
