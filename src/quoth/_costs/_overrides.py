"""Prices of your own: the books that hold them, from which text they come, and which row prices a model.

``_entries.py`` says what an entry may hold. What is wrong is said by variable (or file), entry and field; the other
entries hold all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ConfigurationError
from ._entries import EXPECTED_ENTRY, Entry, nearest, parse_entry, shown
from ._plans import RateSet, Row, exact_product
from ._table import names_of, table

__all__ = ["Book", "find", "over", "read_overrides", "registered", "row_of"]


class Book(Struct, frozen=True, kw_only=True):
    """Entries by ``provider/model``, and what was wrong with those that cannot be used."""

    entries: Mapping[str, Entry] = {}
    problems: Mapping[str, str] = {}

    def complaint(self) -> ConfigurationError | None:
        """All that is wrong, as one error."""
        said = list(self.problems.values())
        more = f"\n(and {len(said) - 10} more)" if len(said) > 10 else ""
        return ConfigurationError("\n".join(said[:10]) + more) if said else None


# Finding a row.


Books: TypeAlias = tuple[Book, ...]
"""An earlier one wins."""


def find(books: Books, id: str) -> Row | str | None:
    """The row of this id, or the reason why its price is withheld, or None."""
    for name in names_of(id):
        for place, book in enumerate(books):
            if name in book.entries:
                return row_of(books, place, name, ())
            if name in book.problems:
                return book.problems[name]
    return _find_by_provider(books, id)


def _find_by_provider(books: Books, id: str) -> Row | str | None:
    """Where no entry names the model: one that names its provider, over what holds below; else the built-in row."""
    provider, _, model = id.partition("/")
    key = f"{provider}/*"
    for place, book in enumerate(books):
        if key in book.problems:
            return book.problems[key]
        entry = book.entries.get(key)
        if entry is not None:
            other = (entry.extends or key).removesuffix("*")
            base = find(books[place + 1 :], f"{other}{model}")
            return over(entry, f"{provider}/{model}", base) if isinstance(base, Row) else base
    return _find_built_in(id)


def _find_built_in(id: str) -> Row | str | None:
    withheld = table().withheld
    for name in names_of(id):
        row = table().row(name)
        if row is not None:
            return row
        if name in withheld:
            return f"{name}: {withheld[name]}"
    return None


def row_of(books: Books, place: int, key: str, trail: tuple[str, ...]) -> Row | str:
    """The row of the entry of this key in one of the books, or what is wrong with what it extends."""
    entry = books[place].entries[key]
    if entry.extends is None:
        return Row(
            id=key,
            sets=entry.sets,
            source=entry.where,
            kind="override",
            multipliers=entry.multipliers,
            multiplier=entry.multiplier,
        )
    base = _extended(books, place, key, (*trail, key))
    return over(entry, key, base) if isinstance(base, Row) else base


def _extended(books: Books, place: int, key: str, trail: tuple[str, ...]) -> Row | str:
    """The row that an entry extends: another entry, else a built-in one; under its own name, what holds without it."""
    entry = books[place].entries[key]
    name = entry.extends or ""
    at = f"{entry.where}: entry {shown(key)}"
    if name in trail[:-1]:
        return f"{at}: extends itself: {' -> '.join((*trail, name))}"
    if name != key:
        for other, book in enumerate(books):
            if name in book.entries:
                return row_of(books, other, name, trail)
    found = find(books[place + 1 :], name) if name == key else _find_built_in(name)
    if isinstance(found, Row):
        return found
    entries = [each for book in books for each in book.entries]
    return f'{at}, field "extends": no row {shown(name)}{nearest(name, (*entries, *table().ids()))}'


def over(entry: Entry, key: str, base: Row) -> Row:
    """The rates of an entry laid over those of the row that it extends."""
    own = {place_of(stated): stated for stated in entry.sets if stated.rates}
    listed = own.get(_LISTED)
    inherited = {place_of(stated): _laid_over(stated, listed.rates if listed else {}) for stated in base.sets}
    inherited |= {place: stated for place, stated in own.items() if place != _LISTED}
    return Row(
        id=key,
        sets=tuple(inherited.values()),
        source=f"{entry.where}, extends {base.id}",
        kind="override",
        as_of=base.as_of,
        multipliers={**base.multipliers, **entry.multipliers},
        multiplier=exact_product(base.multiplier, entry.multiplier),
    )


_LISTED = ("standard", "", "", 0)


def place_of(stated: RateSet) -> tuple[str, str, str, int]:
    return stated.mode, stated.since, stated.window, stated.above


def _laid_over(inherited: RateSet, own: Mapping[str, str]) -> RateSet:
    """Replace list prices. What another tier, size or hour would now cost nobody has said: such rates go."""
    kept = {field: rate for field, rate in inherited.rates.items() if field not in own}
    listed = (inherited.mode, inherited.window, inherited.above) == ("standard", "", 0)
    rates = {**kept, **own} if listed else kept
    return RateSet(inherited.mode, inherited.since, inherited.window, inherited.above, "", rates)


# Reading a text: QUOTH_PRICES, Settings.prices.


def read_overrides(text: str, name: str) -> Book:
    """Read inline JSON where the text starts with ``{``, else paths joined by ``os.pathsep``; never raises."""
    entries: dict[str, Entry] = {}
    problems: dict[str, str] = {}
    for where, read in _documents(text, name):
        try:
            document = read()
        except ConfigurationError as error:
            problems[where] = error.message
            continue
        for key, fields in _entries(where, document, problems):
            if key in entries or key in problems:
                continue  # an entry of an earlier file wins
            try:
                entry = parse_entry(where, key, fields)
            except ConfigurationError as error:
                problems[key] = error.message
                continue
            entries[key] = entry
            for alias in entry.aliases:
                entries.setdefault(f"{key.partition('/')[0]}/{alias}", entry)
    return _checked(Book(entries=entries, problems=problems))


def _checked(book: Book) -> Book:
    """The book without the entries that extend nothing, or themselves."""
    problems = dict(book.problems)
    for key in book.entries:
        row = "" if key.endswith("/*") else row_of((book,), 0, key, ())
        if isinstance(row, str) and row:
            problems[key] = row
    good = {key: entry for key, entry in book.entries.items() if key not in problems}
    return Book(entries=good, problems=problems)


def _entries(where: str, document: Any, problems: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """The entries of a document by key, in either of its two forms."""
    if not isinstance(document, dict):
        problems[where] = f"{where}: {EXPECTED_ENTRY}, not {shown(document)}"
    elif isinstance(document.get("models"), list):
        for number, model in enumerate(document["models"]):
            if isinstance(model, dict) and isinstance(model.get("provider"), str) and isinstance(model.get("id"), str):
                yield f"{model['provider']}/{model['id']}", model
            else:
                at = f"{where}: models[{number}]"
                problems[at] = f'{at}: expected {{"provider": "openai", "id": "gpt-6-sol", "price": {{...}}}}'
    else:
        yield from document.items()


Reading: TypeAlias = Callable[[], Any]


def _documents(text: str, name: str) -> Iterator[tuple[str, Reading]]:
    from functools import partial

    if text.startswith("{"):
        yield name, partial(_parse, name, text, ".json")
    elif text:
        import os

        for file in filter(None, text.split(os.pathsep)):
            yield f"{name}, file {file}", partial(_read_file, f"{name}, file {file}", file)


def _read_file(where: str, file: str) -> Any:
    from pathlib import Path

    path = Path(file)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{where}: cannot be read: {error}") from error
    return _parse(where, content, path.suffix.lower())


def _parse(where: str, text: str, suffix: str) -> Any:
    """Decode JSON or TOML; numbers with a point become Decimal, so that none passes through a float."""
    try:
        if suffix == ".json":
            import json

            return json.loads(text, parse_float=Decimal, object_pairs_hook=_unique)
        if suffix == ".toml":
            import tomllib

            return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise ConfigurationError(f"{where}: not valid {suffix[1:].upper()}: {error}; {EXPECTED_ENTRY}") from error
    raise ConfigurationError(f"{where}: expected inline JSON, or paths that end in .json or .toml")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return fields


def registered(books: Books, given: Mapping[str, Mapping[str, Any]]) -> Books:
    """The books with entries that a verb gave in the first of them; raises ConfigurationError for one of no use."""
    entries = {key: parse_entry("register_price", key, given[key]) for key in given}
    first, *lower = books
    changed = (replace(first, entries={**first.entries, **entries}), *lower)
    for key in entries:
        row = "" if key.endswith("/*") else row_of(changed, 0, key, ())
        if isinstance(row, str) and row:
            raise ConfigurationError(row)
    return changed
