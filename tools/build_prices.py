"""Write ``src/quoth/data/prices.py`` from a price table: ``python tools/build_prices.py TABLE [OUTPUT]``.

The table is a ``costtable/1`` JSON file. Its values are copied as they stand, as decimal text; what this script
adds or holds back stands in the tables below, each with its reason, and is reviewed with the generated file.
A value that it does not understand stops the build: a price is never guessed, rounded or dropped.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).resolve().parents[1] / "src" / "quoth" / "data" / "prices.py"
EXACT = re.compile(r"\d{1,9}(\.\d{1,9})?")  # 9 decimals a million tokens are whole femto-dollars a token
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

FREE_NAMESPACES = {"local": "runs on this machine"}
"""Namespaces in which every model costs nothing, and why."""

FREE_OF_CHARGE = {
    "google/gemma-4-26b-a4b-it",  # litellm and pi-ai agree; others list what OpenRouter takes for it
    "google/gemma-4-31b-it",
    "zai/glm-4.5-flash",  # litellm, llmgateway and models.dev agree
    "zai/glm-4.7-flash",
}
"""Rows whose zero is meant. Any other zero stops the build: it usually says that nobody knew the price."""

WITHHELD = {
    # 5 and 15 on OpenAI's list and in genai-prices' OpenRouter rows; gpt-4o costs 2.5 and 10.
    "openai/gpt-4o-2024-05-13": "this snapshot costs more than gpt-4o, and the table has no row for it",
    # BerriAI/litellm#32117: a price per thousand tokens was entered as a price per token.
    "cohere/embed-multilingual-light-v3.0": "the only source states 1,000 times the price of its siblings",
    # pydantic/genai-prices#472 found no published price either.
    "cohere/command-a-plus-05-2026": "the only source states zero, and the vendor publishes no price",
    "zai/glm-5.2-highspeed": "the only source states zero, which may mean that it did not know",
    "zai/glm-5.3-highspeed": "the only source states zero, which may mean that it did not know",
}
"""Ids that are not priced although a rule would find them a price, and why."""

FREE_CACHE_WRITES = "openai"
"""OpenAI bills cache writes apart from GPT-5.6 on; before, a written token cost what an input token cost."""

MOVING = {"openai/chat-latest"}
"""Ids whose model is not told, so that what holds for older models may not hold for them."""

HISTORY_NAMES = {"web_searches_kcount": "web_search_per_1000", "storage_searches_kcount": "file_search_per_1000"}
NOT_RATES = {"above", "same_as", "source", "tiers", "when"}
NOT_COUNTED = {"file_search_per_1000"}
"""Fees of events that a usage record does not count, so that they could price nothing."""

HEADER = '''"""Built-in prices, as of {as_of}. Written by tools/build_prices.py: do not edit, build anew.

A row names the sources that agree on it, then holds rate sets ``(mode, since, window, above, source, rates)``:
the rates of a service tier (``standard`` is the list price), from a day on (UTC; empty: from the beginning), in
a weekly window (UTC; empty: at all other times), for requests of more than ``above`` input tokens, and whose
word that is where it is not the row's. Rates are US dollars per million tokens (fees: per 1,000 events);
``cache_write=input`` says that such a token costs what an input token costs.
"""

# fmt: off
from __future__ import annotations
'''


class RateSet(NamedTuple):
    """One line of a row: see the docstring of the generated file."""

    mode: str
    since: str
    window: str
    above: int
    source: str
    rates: str


def main(arguments: list[str]) -> None:
    if len(arguments) not in {1, 2}:
        sys.exit(__doc__)
    table = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    target = Path(arguments[1]) if len(arguments) == 2 else TARGET
    target.write_text(render(table), encoding="utf-8")


def render(table: Mapping[str, Any]) -> str:
    """The text of the generated module."""
    meta, models = table["meta"], {f"{model['provider']}/{model['id']}": model for model in table["models"]}
    require(meta["format"] == "costtable/1" and len(models) == len(table["models"]), "table", "its format", meta)
    rows = {
        key: (agreeing(model), tuple(rate_sets(key, model, meta["as_of"])))
        for key, model in models.items()
        if key not in WITHHELD
    }
    aliases = {f"{model['provider']}/{alias}": key for key, model in models.items() for alias in model["aliases"]}
    require(not aliases.keys() & models.keys(), "table", "aliases", sorted(aliases.keys() & models.keys()))
    multipliers = {key: model["multipliers"] for key, model in models.items() if "multipliers" in model}
    parts = [
        HEADER.format(as_of=meta["as_of"]),
        f'AS_OF = "{meta["as_of"]}"',
        mapping("SOURCES", "dict[str, str]", meta["inputs"]),
        mapping("FREE_NAMESPACES", "dict[str, str]", FREE_NAMESPACES),
        mapping("WITHHELD", "dict[str, str]", WITHHELD),
        mapping("ALIASES", "dict[str, str]", aliases),
        mapping("MULTIPLIERS", "dict[str, dict[str, str]]", multipliers),
        mapping("ROWS", "dict[str, tuple[str, tuple[tuple[str, str, str, int, str, str], ...]]]", rows),
    ]
    return "\n".join(parts)


def mapping(name: str, annotation: str, values: Mapping[str, Any]) -> str:
    """A dict as source text, one entry a line, in order of its keys."""
    lines = [f"    {quoted(key)}: {quoted(values[key])}," for key in sorted(values)]
    return "\n".join([f"{name}: {annotation} = {{", *lines, "}", ""])


def quoted(value: Any) -> str:
    """Source text with double quotes, for text, numbers, tuples and flat dicts."""
    if isinstance(value, tuple):
        return f"({', '.join(map(quoted, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False)


def rate_sets(key: str, model: Mapping[str, Any], as_of: str) -> Iterator[RateSet]:
    """All rate sets of a model: its dated periods, and within the present one its modes and windows."""
    check(key, model)
    history = model.get("history") or [{"when": None, **model["price"]}]
    days = [(entry["when"] or {"from": ""})["from"] for entry in history]
    present = max(day for day in days if day <= as_of)
    require(days == sorted(days) and days[0] == "" and all(map(DAY.fullmatch, days[1:])), key, "history", days)
    for day, entry in zip(days, history, strict=True):
        if day == present:
            agree(key, entry, model)
            yield from present_sets(key, model, day)
        else:
            yield from past_or_future_sets(key, model, day, entry)


def present_sets(key: str, model: Mapping[str, Any], since: str) -> Iterator[RateSet]:
    """Modes and weekly windows are known for the present period alone. Fees do not vary with them."""
    fees, modes = model.get("fees", {}), model.get("modes", {})
    listed = model["price"] | fees | {"tiers": model.get("tiers", {}).get("steps", [])}
    yield from sized(key, model, RateSet("standard", since, "", 0, "", ""), listed)
    for window in model.get("schedule", []):
        blank = RateSet("standard", since, window_text(window), 0, window["source"], "")
        yield from sized(key, model, blank, window["price"] | fees)
    for mode, stated in modes.items():
        entry = modes[stated["same_as"]] if "same_as" in stated else stated
        yield from sized(key, model, RateSet(mode, since, "", 0, entry.get("source", ""), ""), entry | fees)


def past_or_future_sets(key: str, model: Mapping[str, Any], since: str, entry: Mapping[str, Any]) -> Iterator[RateSet]:
    """A period other than the present: what genai-prices states for it, which is no mode and no window.

    A dated period before the present one may have had the windows of today at rates that the table does not
    hold (so deepseek-v4-flash had, from 2026-08-17: pydantic/genai-prices#581). A set without rates says so.
    """
    yield from sized(key, model, RateSet("standard", since, "", 0, "genai-prices", ""), entry)
    for window in model.get("schedule", []) if since else []:
        yield RateSet("standard", since, window_text(window | {"days": "mon-sun"}), 0, "unstated", "")


def sized(key: str, model: Mapping[str, Any], blank: RateSet, entry: Mapping[str, Any]) -> Iterator[RateSet]:
    """The rates of a small request, and those of each size step. Fees do not vary with the size."""
    fees = {name: entry[name] for name in entry if HISTORY_NAMES.get(name, name).endswith("_per_1000")}
    yield blank._replace(rates=rates_text(key, model, entry))
    for step in entry.get("tiers", []):
        yield blank._replace(above=step["above"], rates=rates_text(key, model, step | fees))


def rates_text(key: str, model: Mapping[str, Any], rates: Mapping[str, Any]) -> str:
    stated = {HISTORY_NAMES.get(name, name): value for name, value in rates.items() if name not in NOT_RATES}
    stated = {name: value for name, value in stated.items() if name not in NOT_COUNTED}
    exact(key, stated)
    if model["provider"] == FREE_CACHE_WRITES and "cache_write" not in model["price"] and key not in MOVING:
        stated["cache_write"] = "input"
    return " ".join(f"{name}={stated[name]}" for name in sorted(stated))


def exact(key: str, rates: Mapping[str, Any]) -> None:
    for name, value in rates.items():
        require(isinstance(value, str) and EXACT.fullmatch(value) is not None, key, name, value)


def window_text(window: Mapping[str, Any]) -> str:
    return " ".join([window["name"], window["days"], *("-".join(hours) for hours in window["utc"])])


def agreeing(model: Mapping[str, Any]) -> str:
    """The sources that hold this row and contradict none of its values."""
    against = {source for values in model.get("disagree", {}).values() for source in values}
    return ", ".join(source for source in model["sources"] if source not in against)


def check(key: str, model: Mapping[str, Any]) -> None:
    """Refuse units that are not ours, and values that are more likely a mistake than a price."""
    price, tiers = model["price"], model.get("tiers")
    require((model["currency"], model["unit"]) == ("USD", "per_1M_tokens"), key, "unit", model["unit"])
    may_be_zero = FREE_OF_CHARGE | WITHHELD.keys()
    require("input" in price and (price["input"] != "0" or key in may_be_zero), key, "input", price.get("input"))
    if model["kind"] != "embedding":
        require(
            "output" in price and (price["output"] != "0" or key in may_be_zero), key, "output", price.get("output")
        )
    exact(key, price)
    require(Decimal(price.get("cache_read", "0")) <= Decimal(price["input"]), key, "cache_read", price)
    if tiers:
        kind = (tiers["basis"], tiers["applies"])
        require(kind == ("total_input_tokens_incl_cache", "whole_request"), key, "tiers", kind)


def agree(key: str, entry: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """The dated entry of the present must say what the row says."""
    stated = {name: value for name, value in entry.items() if name not in NOT_RATES | HISTORY_NAMES.keys()}
    require(stated.items() <= model["price"].items(), key, "history", stated)
    steps = model.get("tiers", {}).get("steps", [])
    require("history" not in model or entry.get("tiers", []) == steps, key, "history's tiers", entry.get("tiers"))


def require(holds: bool, key: str, what: str, value: object) -> None:
    if not holds:
        sys.exit(f"build_prices: {key}: {what} cannot be used: {value!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
