"""How the built rows differ from a model table (``costtable/1``): each difference in a class, by predicates.

A difference is one field of one row. Classes are tried in order; what none of them holds is unclassified, and fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from price_sources import Model, Statement, matches
from price_vote import SNAPSHOT, VERDICTS

Rows = Mapping[str, Mapping[str, Any]]

NAMES = {"web_searches_kcount": "web_search_per_1000", "storage_searches_kcount": "file_search_per_1000"}
NOT_PRICES = {"source", "when", "above", "name", "days", "utc", "tiers", "same_as", "price"}

LARGE = 0.05
"""A class of more than this part of the table's rows needs a source that can be looked up."""


class Difference(NamedTuple):
    """``theirs`` is what the model table has in a place of a row, ``ours`` what was built; None: nothing."""

    key: str
    place: str
    theirs: str | None
    ours: str | None


class Facts(NamedTuple):
    """What the predicates look at beside a difference."""

    model: Mapping[str, Any]
    row: Mapping[str, Any] | None
    refused: Mapping[str, str]
    stated: tuple[Statement, ...]


class Class(NamedTuple):
    """A kind of difference, why it is no fault of ours, and where that can be looked up."""

    name: str
    holds: Callable[[Difference, Facts], bool]
    source: str


def _not_pinned(difference: Difference, facts: Facts) -> bool:
    """No pinned package states this value for this id."""
    return difference.ours is None and difference.theirs not in _values(facts.stated, difference.place)


def _stated(difference: Difference, facts: Facts) -> bool:
    """A pinned package that holds the row's pair states our value, and the model table has none."""
    holders = [each for each in facts.stated if facts.row and each.source in facts.row["sources"]]
    return difference.theirs is None and difference.ours in _values(tuple(holders), difference.place)


def _of_another_price(difference: Difference, facts: Facts) -> bool:
    """The value stands only beside another (input, output) pair than the one that won."""
    held = facts.row["sources"] if facts.row else []
    others = tuple(each for each in facts.stated if each.source not in held)
    return difference.ours is None and difference.theirs in _values(others, difference.place)


def _values(stated: tuple[Statement, ...], place: str) -> set[str | None]:
    """All values that statements have for the last word of a place."""
    field = place.rsplit(".", maxsplit=1)[-1]
    sets = [rates for each in stated for period in each.periods for rates in (period.rates, *period.tiers.values())]
    sets += [rates for each in stated for small, large in each.modes.values() for rates in (small, *large.values())]
    sets += [window.rates for each in stated for window in each.windows]
    found: set[str | None] = {rates[field] for rates in sets if field in rates}
    found |= {each.multipliers[field] for each in stated if field in each.multipliers}
    return found


CLASSES = (
    Class(
        "the row rests on packages that are not pinned here",
        lambda difference, facts: difference.place == "row" and not facts.stated,
        "the row's `sources` in the model table: npm packages",
    ),
    Class(
        "withheld, or refused by a sanity rule",
        lambda difference, facts: difference.place == "row" and difference.key in facts.refused,
        "WITHHELD and fault() in tools/build_prices.py",
    ),
    Class(
        "priced under its alias or without its date",
        lambda difference, facts: difference.place == "row" and facts.row is not None,
        "the aliases of genai-prices 0.2.3, and SNAPSHOT in tools/price_vote.py",
    ),
    Class(
        "an embedding writes no tokens, so its output costs a known nothing",
        lambda difference, facts: (
            difference.place.endswith("output")
            and facts.model["kind"] == "embedding"
            and difference.ours in ("0", None)
        ),
        "facts of the wire: an embedding's usage has no output",
    ),
    Class(
        "a known verdict says who is right",
        lambda difference, _: difference.key in VERDICTS,
        "VERDICTS in tools/price_vote.py",
    ),
    Class(
        "the fee for a request by the size of the search context, which a usage object states",
        lambda difference, facts: facts.model["provider"] == "perplexity" and "request_" in difference.place,
        "litellm 1.109.1, search_context_cost_per_query; usage.search_context_size of recorded answers",
    ),
    Class(
        "a pinned package states it for this very price, and the model table left it out",
        _stated,
        "genai-prices 0.2.3 and litellm 1.109.1, under this id",
    ),
    Class(
        "it stands beside another price than the one that won, so that it may not join this row",
        _of_another_price,
        "the rule of the model table itself: other fields come only from sources holding that pair",
    ),
    Class(
        "only packages that are not pinned here state it",
        _not_pinned,
        "absent from genai-prices 0.2.3 and litellm 1.109.1 under this id",
    ),
)


def differences(model: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Difference]:
    key = f"{model['provider']}/{model['id']}"
    theirs, ours = dict(_places(model)), dict(_places(row))
    for place in sorted(theirs.keys() | ours.keys()):
        if theirs.get(place) != ours.get(place):
            yield Difference(key, place, theirs.get(place), ours.get(place))


def _places(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every rate of a row by its place: ``price.input``, ``modes.flex.above 272000.output``."""
    yield from _rates("price", row["price"])
    yield from _rates("fees", row.get("fees") or {})
    yield from _rates("multipliers", row.get("multipliers") or {})
    yield from _tiers("price", (row.get("tiers") or {}).get("steps", []))
    modes = row.get("modes") or {}
    for mode, entry in modes.items():
        stated = modes[entry["same_as"]] if "same_as" in entry else entry
        yield from _rates(f"modes.{mode}", stated)
        yield from _tiers(f"modes.{mode}", stated.get("tiers", []))
    for entry in row.get("history") or []:
        when = (entry["when"] or {"from": "the beginning"})["from"]
        yield from _rates(f"from {when}", entry)
        yield from _tiers(f"from {when}", entry.get("tiers", []))
    for window in row.get("schedule") or []:
        name = f"schedule.{window['days']} {window['utc']}"
        yield from _rates(name, window["price"])


def _rates(place: str, rates: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in rates.items():
        if field not in NOT_PRICES:
            yield f"{place}.{NAMES.get(field, field)}", value


def _tiers(place: str, steps: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for step in steps:
        yield from _rates(f"{place}.above {step['above']}", step)


def report(
    table: Mapping[str, Any],
    rows: Rows,
    refused: Mapping[str, str],
    genai: Mapping[str, list[Model]],
    litellm: Mapping[tuple[str, str], Statement],
) -> int:
    """Print the classes with their sizes; 1 where a difference is in none, or a large class has no source."""
    aliases = {f"{row['provider']}/{alias}": key for key, row in rows.items() for alias in row["aliases"]}
    found: dict[str, set[str]] = {}
    examples: dict[str, Difference] = {}
    unclassified: list[Difference] = []
    same = 0
    for model in table["models"]:
        key = f"{model['provider']}/{model['id']}"
        base = re.sub(SNAPSHOT, "", key)
        row = rows.get(key) or rows.get(aliases.get(key, "")) or rows.get(base) or rows.get(aliases.get(base, ""))
        facts = Facts(model, row, refused, _statements(genai, litellm, model["provider"], model["id"]))
        seen = [] if key in rows else [Difference(key, "row", "there", None)]
        seen += [] if row is None else differences(model, row)
        same += not seen
        for difference in seen:
            holding = next((each.name for each in CLASSES if each.holds(difference, facts)), None)
            if holding is None:
                unclassified.append(difference)
            else:
                found.setdefault(holding, set()).add(key)
                examples.setdefault(holding, difference)
    known = {f"{model['provider']}/{model['id']}" for model in table["models"]}
    print(f"\nagainst the model table: {same} of {len(known)} rows are the same in every field")
    for each in CLASSES:
        keys = found.get(each.name, set())
        if keys:
            part = len(keys) / len(known)
            print(f"  {len(keys):4} rows ({part:.1%}) {each.name}\n       source: {each.source}")
            print(f"       for example {' '.join(map(str, examples[each.name]))}")
    extra = rows.keys() - known
    print(
        f"  {len(extra):4} rows that the model table does not have: genai-prices 0.2.3 and litellm 1.109.1 state them"
    )
    for difference in unclassified:
        print(f"  UNCLASSIFIED {difference}")
    large = [each.name for each in CLASSES if len(found.get(each.name, ())) > LARGE * len(known) and not each.source]
    return 1 if unclassified or large else 0


def _statements(
    genai: Mapping[str, list[Model]], litellm: Mapping[tuple[str, str], Statement], namespace: str, id: str
) -> tuple[Statement, ...]:
    stated = [model.statement for model in genai.get(namespace, []) if model.id == id or matches(model.match, id)]
    own = litellm.get((namespace, id))
    return (*stated, own) if own is not None else tuple(stated)
