"""From what the sources state to rows: a vote by whole rows, with what others say instead beside each.

The pair (input, output) decides: who holds the pair that wins may state the other fields, who does not may not, so
that no row is put together from two prices. Where two sources differ, genai-prices wins, for its prices are reviewed
one by one, unless ``VERDICTS`` says who is right, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from price_sources import Dated, Model, Rates, Statement, Tiers, matches, named_by

VERDICTS = {
    "mistral/mistral-large-latest": ("litellm", "the alias moved to Large 3 with 2512; the other row is from before"),
    "openai/gpt-4o-2024-05-13": ("litellm", "OpenAI's list has 5 and 15 for this snapshot"),
}
"""Who is right where the sources differ, where that is known."""


def vote(
    genai: Mapping[str, list[Model]],
    litellm: Mapping[tuple[str, str], Statement],
    catalog: Iterable[tuple[str, str]],
    as_of: str,
) -> dict[str, dict[str, Any]]:
    """All rows by ``namespace/id``: for each id that a source, or the catalog, names in full and a source prices."""
    rows: dict[str, dict[str, Any]] = {}
    for namespace, model in ids(genai, litellm, catalog):
        said = (_of_genai(genai.get(namespace, []), namespace, model), litellm.get((namespace, model)))
        stated = [statement for statement in said if statement is not None]
        if stated:
            rows[f"{namespace}/{model}"] = row(namespace, model, stated, as_of)
    return rows


def ids(
    genai: Mapping[str, list[Model]],
    litellm: Mapping[tuple[str, str], Statement],
    catalog: Iterable[tuple[str, str]],
) -> Iterator[tuple[str, str]]:
    """The ids that a source or the catalog names in full."""
    named = {(namespace, name) for namespace, models in genai.items() for model in models for name in _names(model)}
    yield from sorted(named | {*litellm} | {*catalog})


def _names(model: Model) -> set[str]:
    return {model.id, *named_by(model.match)} if "*" not in model.id else set()


def _of_genai(models: list[Model], namespace: str, id: str) -> Statement | None:
    """What genai-prices says of an id: under its name, else by the first pattern that holds it."""
    for model in models:
        if id in _names(model):
            return model.statement
    for model in models:
        if matches(model.match, id) and (namespace != "bedrock" or _same_place(model.id, id)):
            return model.statement._replace(named=False)
    return None


def _same_place(pattern: str, id: str) -> bool:
    """Whether a Bedrock row may speak for an id: its patterns leave out the place, which changes most prices.

    AWS bills Claude in a region alike in all regions, and 1.1 times the global price (BerriAI/litellm#42679).
    """
    ours, theirs = _place(id), _place(pattern)
    if "us-gov" in (ours, theirs) or "global" in (ours, theirs):
        return ours == theirs
    return ours == theirs or "anthropic.claude" in id or {ours, theirs} == {"", "us"}


def _place(id: str) -> str:
    head, _, tail = id.partition(".")
    return head if tail and head in PLACES else ""


PLACES = frozenset({"us", "eu", "apac", "jp", "au", "ca", "global", "us-gov", "sa", "mx"})


PRICING = ("price", "fees", "tiers", "modes", "history", "schedule", "multipliers")


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows price all calls alike."""
    return all(_without_source(one.get(name)) == _without_source(other.get(name)) for name in PRICING)


def _without_source(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_source(each) for name, each in value.items() if name != "source"}
    return [_without_source(each) for each in value] if isinstance(value, list) else value


def folded(rows: dict[str, dict[str, Any]], genai: Mapping[str, list[Model]]) -> dict[str, dict[str, Any]]:
    """The rows without those that an alias, or the id without its date, stands for; aliases on those that stay."""
    kept = dict(rows)
    for key, each in rows.items():
        base = re.sub(SNAPSHOT, "", key)
        if base != key and base in rows and alike(rows[base], each):
            del kept[key]
    for namespace, models in genai.items():
        for model in models:
            main = f"{namespace}/{model.id}"
            for name in sorted(_names(model) - {model.id}):
                key = f"{namespace}/{name}"
                moves = name.endswith("-latest") and name != f"{model.id}-latest"
                if not moves and key in kept and main in kept and alike(kept[main], kept[key]):
                    del kept[key]
                    kept[main]["aliases"].append(name)
    for key in [key for key in kept if key.endswith("-latest")]:  # the latest of one model, not of a family
        first = kept.get(key.removesuffix("-latest"))
        if first is not None and alike(first, kept[key]):
            first["aliases"].append(key.partition("/")[2])
            del kept[key]
    return kept


SNAPSHOT = r"(?:-20\d\d-[01]\d-[0-3]\d|[-@]20\d\d[01]\d[0-3]\d)$"
"""The date at the end of an id that pricing takes off where the id has no row."""


def row(namespace: str, id: str, stated: list[Statement], as_of: str) -> dict[str, Any]:
    """The row of one id, from what each source says of it."""
    if id.startswith("gemini"):
        stated = [_without(each, NOT_A_PRICE.get(namespace, ())) for each in stated]
    kind = _kind(id, stated)
    stated = [_as_embedding(each) if kind == "embedding" else each for each in stated]
    now = {statement.source: statement.at(as_of) for statement in stated}
    winner = _winner(f"{namespace}/{id}", stated)
    pair = _pair(now[winner.source].rates)
    holders = [winner, *[each for each in stated if each is not winner and _pair(now[each.source].rates) == pair]]
    price, disagree = _merged([now[each.source].rates for each in holders], [each.source for each in holders])
    for each in stated:
        if each not in holders:
            for field, value in now[each.source].rates.items():
                if price.get(field) not in (None, value):
                    disagree.setdefault(field, {})[each.source] = value
    if "request_low_per_1000" in price:
        price.pop("request_per_1000", None)  # it is the highest of those by size
    model: dict[str, Any] = {
        "provider": namespace, "id": id, "kind": kind, "currency": "USD", "unit": "per_1M_tokens",
        "price": {name: rate for name, rate in price.items() if not name.endswith("_per_1000")},
        "fees": {name: rate for name, rate in price.items() if name.endswith("_per_1000")},
        "sources": [each.source for each in holders], "disagree": disagree, "aliases": [],
            }  # fmt: skip
    _add_tiers(model, holders, now)
    _add_modes(model, holders)
    _add_times(model, holders)
    _drop_repetitions(model)
    places = [dict(each.multipliers) for each in holders if each.multipliers]
    if places:
        model["multipliers"] = places[0]
    return model


_GEMINI = ("cache_write", "cache_write_1h")
NOT_A_PRICE = {"google": _GEMINI, "vertex": _GEMINI}
"""Gemini takes storage by the hour for a cache that was asked for; what sources list as a write is a part of that."""


def _without(statement: Statement, fields: tuple[str, ...]) -> Statement:
    def less(rates: Rates, tiers: Tiers) -> tuple[Rates, Tiers]:
        return _less(rates, fields), {above: _less(step, fields) for above, step in tiers.items()}

    return statement._replace(
        periods=tuple([Dated(day, *less(rates, tiers)) for day, rates, tiers in statement.periods]),
        modes={mode: less(rates, tiers) for mode, (rates, tiers) in statement.modes.items()},
    )


def _less(rates: Rates, fields: tuple[str, ...]) -> Rates:
    return {field: rate for field, rate in rates.items() if field not in fields}


def _as_embedding(statement: Statement) -> Statement:
    """An embedding writes no tokens: what its output costs is known, and nothing."""
    return statement._replace(
        periods=tuple([each._replace(rates={**each.rates, "output": "0"}) for each in statement.periods])
    )


def _winner(key: str, stated: list[Statement]) -> Statement:
    verdict = VERDICTS.get(key)
    return next((each for each in stated if verdict is not None and each.source == verdict[0]), stated[0])


def _pair(rates: Rates) -> tuple[str | None, str | None]:
    return rates.get("input"), rates.get("output")


def _merged(stated: list[Rates], sources: list[str]) -> tuple[Rates, dict[str, dict[str, str]]]:
    """The fields of several holders: the first that states one; where another states another value, it disagrees."""
    merged: Rates = {}
    disagree: dict[str, dict[str, str]] = {}
    for rates, source in zip(stated, sources, strict=True):
        for field, value in rates.items():
            if merged.setdefault(field, value) != value:
                disagree.setdefault(field, {})[source] = value
    return merged, disagree


def _kind(id: str, stated: list[Statement]) -> str:
    kinds = {each.kind for each in stated if each.source == "litellm"}
    writes = any(each.periods[-1].rates.get("output", "0") != "0" for each in stated)
    return "embedding" if "embedding" in kinds or (not writes and "embed" in id) else "chat"


def _add_tiers(model: dict[str, Any], holders: list[Statement], now: Mapping[str, Dated]) -> None:
    stated = [each for each in holders if now[each.source].tiers]
    if stated:
        steps = _steps([now[each.source].tiers for each in stated])
        model["tiers"] = {"basis": BASIS, "applies": "whole_request", "steps": steps}
    if len(stated) == 1 and len(holders) > 1:
        model["disagree"]["tiers"] = {each.source: "none" for each in holders if each not in stated}


BASIS = "total_input_tokens_incl_cache"


def _steps(stated: list[Tiers]) -> list[dict[str, Any]]:
    """Steps as the first holder states them; fields that it lacks from another that has this step too."""
    first, others = stated[0], stated[1:]
    steps = []
    for above, rates in first.items():
        filled = dict(rates)
        for other in others:
            same = other.get(above) or other.get(above + 1)  # 199,999 and 200,000 are one step, told differently
            if same is not None and _pair(same) == _pair(rates):
                filled = {**same, **filled}
        steps.append({"above": above, **filled})
    return steps


def _add_modes(model: dict[str, Any], holders: list[Statement]) -> None:
    modes: dict[str, dict[str, Any]] = {}
    for each in holders:
        for mode, (rates, tiers) in each.modes.items():
            if not rates:
                continue
            entry = modes.get(mode)
            if entry is None:
                modes[mode] = {**rates, "source": each.source}
                if tiers:
                    modes[mode]["tiers"] = _steps([tiers])
            elif _pair(entry) == _pair(rates):
                modes[mode] = {**rates, **entry}
                if tiers and "tiers" in entry:
                    known = {step["above"]: {f: r for f, r in step.items() if f != "above"} for step in entry["tiers"]}
                    modes[mode]["tiers"] = _steps([known, tiers])
    if modes:
        model["modes"] = modes


def _add_times(model: dict[str, Any], holders: list[Statement]) -> None:
    """The dated prices and the weekly windows of the winner; the weekdays of who states them."""
    winner = holders[0]
    if len(winner.periods) > 1:
        model["history"] = [
            {"when": {"from": day} if day else None, **rates, "tiers": _steps([tiers])}
            for day, rates, tiers in winner.periods
        ]
    windows = winner.windows
    if windows:
        days = next((w.days for each in holders for w in each.windows if w.days != "mon-sun"), "mon-sun")
        model["schedule"] = [
            {"name": "peak", "days": days, "utc": window.hours, "price": window.rates, "source": _sources(holders)}
            for window in windows
        ]


def _drop_repetitions(model: dict[str, Any]) -> None:
    """Leave out a rate that is another's in every set of the row: it stands in for it anyway."""
    sets = [model["price"], *model.get("tiers", {}).get("steps", []), *model.get("modes", {}).values()]
    sets += [step for mode in model.get("modes", {}).values() for step in mode.get("tiers", [])]
    sets += list(model.get("history", [])) + [window["price"] for window in model.get("schedule", [])]
    sets += [step for entry in model.get("history", []) for step in entry["tiers"]]
    for field, other in (("reasoning", "output"), ("input_image", "input")):
        if all(each.get(field, each.get(other)) == each.get(other) for each in sets):
            for each in sets:
                each.pop(field, None)
            model["disagree"].pop(field, None)


def _sources(holders: list[Statement]) -> str:
    return ", ".join(each.source for each in holders if each.windows)
