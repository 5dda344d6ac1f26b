"""TABLE in either of its two forms, as a price book of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ..._costs import Prices

__all__ = ["Table", "plain", "read_table"]

SPACE = "snapshot."
"""Before the names of the other library's providers, so that none of our rows is found under them."""

FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "output_reasoning_mtok": "reasoning",
    "requests_kcount": "request_per_1000",
    "web_searches_kcount": "web_search_per_1000",
    "storage_searches_kcount": "file_search_per_1000",
}


class Table(Struct, frozen=True, kw_only=True):
    """``prices`` is the book; ``providers`` the other library's table by its names, empty where TABLE is none."""

    prices: Prices
    providers: Mapping[str, Mapping[str, Any]] = {}

    def model(self, provider: str, model: str) -> tuple[str, Mapping[str, Any]] | None:
        """The model that their table finds for an id, with the provider that holds it: the first that matches."""
        holder = self.providers.get(provider, {})
        for each in holder.get("models", ()):
            if matches(each["match"], model.lower()):
                return provider, each
        for other in holder.get("fallback_model_providers") or ():
            found = self.model(other, model)
            if found is not None:
                return found
        return None


def read_table(table: Any) -> Table:
    """Read a list of providers, or a ``costtable/1`` object; raise ValueError where it is neither."""
    if isinstance(table, dict) and isinstance(table.get("models"), list):
        return Table(prices=_book(json.dumps(table, default=str)))
    if isinstance(table, list):
        entries = {
            f"{SPACE}{provider['id']}/{model['id']}": entry
            for provider in table
            for model in provider["models"]
            if (entry := _entry(model["prices"]))
        }
        return Table(prices=_book(json.dumps(entries)), providers={each["id"]: each for each in table})
    raise ValueError("TABLE is a list of providers, or an object with a list of models")


def _book(text: str) -> Prices:
    prices = Prices(text, "TABLE")
    prices.load()
    return prices


def _entry(stated: Any) -> dict[str, Any]:
    """An override of one model: list prices, size steps, prices from a day on, hours of the day."""
    conditional = stated if isinstance(stated, list) else [{"prices": stated}]
    entry: dict[str, Any] = {}
    for each in conditional:
        condition = each.get("constraint") or {}
        rates = _rates(each["prices"])
        if "start_date" in condition:
            entry.setdefault("history", []).append({"from": condition["start_date"], **rates})
        elif "start_time" in condition:
            hours = [condition["start_time"][:5], condition["end_time"][:5]]
            window = {"name": "hours", "days": "mon-sun", "utc": [hours], "tiers": rates.pop("tiers"), "price": rates}
            entry.setdefault("schedule", []).append(window)
        else:
            entry.update(rates)
    return entry if entry.keys() - {"tiers"} else {}


def _rates(prices: Mapping[str, Any]) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    steps: dict[int, dict[str, Any]] = {}
    for name, field in FIELDS.items():
        value = prices.get(name)
        if isinstance(value, Mapping):
            for step in value["tiers"]:
                _put(steps.setdefault(step["start"], {}), field, step["price"])
            value = value["base"]
        _put(rates, field, value)
    flat = {field: rate for field, rate in rates.items() if steps}
    return {**rates, "tiers": [{"above": above, **flat, **larger} for above, larger in sorted(steps.items())]}


def _put(rates: dict[str, Any], field: str, value: Any) -> None:
    """A rate by its text; what has more than nine decimals is an artefact of a float, and no price."""
    text = None if value is None else plain(Decimal(value))
    if text is not None and len(text.partition(".")[2]) <= 9:
        rates[field] = text


def plain(value: Decimal) -> str:
    """Decimal text without an exponent and without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def matches(clause: Mapping[str, Any], id: str) -> bool:
    """Whether a clause of their table holds an id, in lower case."""
    [(kind, value)] = clause.items()
    match kind:
        case "equals":
            return bool(id == value.lower())
        case "starts_with":
            return id.startswith(value.lower())
        case "ends_with":
            return id.endswith(value.lower())
        case "contains":
            return value.lower() in id
        case "regex":
            return re.search(value, id) is not None
        case "or":
            return any(_each(value, id))
        case "and":
            return all(_each(value, id))
        case _:
            raise ValueError(f"a clause of TABLE is {kind!r}")


def _each(clauses: list[Mapping[str, Any]], id: str) -> Iterator[bool]:
    return (matches(clause, id) for clause in clauses)
