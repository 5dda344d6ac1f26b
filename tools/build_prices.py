"""Write ``src/quoth/data/prices.txt`` from pinned packages, and say how it differs from a model table.

    pip download --no-deps genai-prices==0.2.3 litellm==1.109.1
    python tools/build_prices.py genai_prices-*.whl litellm-*.whl [--compare TABLE] [--output FILE] [--accept-jumps]

``price_sources.py`` reads what each package states, ``price_vote.py`` makes rows of it, and this script holds back what
is more likely a mistake than a price, and writes the rest. What it adds or holds back stands in the tables below, each
with its reason. A list price that moved by more than half since the committed table stops the build, until somebody has
looked at it and says ``--accept-jumps``. TABLE is a ``costtable/1`` JSON file: ``price_report.py`` puts each difference
into a class, and one that is in none fails.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from price_report import report
from price_sources import PINNED, Model, Statement, read_genai, read_litellm
from price_vote import folded, vote

AS_OF = "2026-11-23"
"""The day on which the pinned versions were the newest."""

DATA = Path(__file__).resolve().parents[1] / "src" / "quoth" / "data"
EXACT = re.compile(r"\d{1,9}(\.\d{1,9})?")  # 9 decimals a million tokens are whole femto-dollars a token
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

_NOBODY_BILLS = "runs on a machine of yours: nobody bills its tokens"

FREE_NAMESPACES = {
    "local": "runs on this machine",
    **dict.fromkeys(("docker-model-runner", "lemonade", "llamacpp", "llamafile", "lmstudio", "ollama"), _NOBODY_BILLS),
}
"""Namespaces in which every model costs nothing, and why."""

BILLED = {"ollama": "-cloud"}
"""Beginnings of what is billed all the same, by namespace: Ollama's own cloud answers under ids that end so."""

FREE_OF_CHARGE = {
    "google/gemma-4-26b-a4b-it",  # litellm states zero; others list what OpenRouter takes for it
    "google/gemma-4-31b-it",
    "zai/glm-4.5-flash",  # on the vendor's list as free
    "zai/glm-4.7-flash",
}
"""Rows whose zero is meant. Any other zero usually says that nobody knew the price."""

WITHHELD = {
    # BerriAI/litellm#32117: a price per thousand tokens was entered as a price per token.
    "cohere/embed-multilingual-light-v3.0": "the only source states 1,000 times the price of its siblings",
    # pydantic/genai-prices#472 found no published price either.
    "cohere/command-a-plus-05-2026": "the only source states zero, and the vendor publishes no price",
    # These names have stood for six models at six prices, and were then retired: no source has all of them.
    "deepseek/deepseek-chat": "this name stood for several models, at prices that no source has all of",
    "deepseek/deepseek-reasoner": "this name stood for several models, at prices that no source has all of",
    **dict.fromkeys(
        ("deepseek/deepseek-chat-v3-0324", "deepseek/deepseek-r1", "deepseek/deepseek-r1-0528"),
        "the source lists the price of a name that stood for several models, from before its hours changed",
    ),
    # pydantic/genai-prices lists what OpenRouter takes for them; OpenAI gives the weights away and sells no such model.
    "openai/gpt-oss-120b": "OpenAI does not sell it: the price that a source lists is a gateway's",
    "openai/gpt-oss-20b": "OpenAI does not sell it: the price that a source lists is a gateway's",
    # Retired on 2026-05-15; what is sent to it since is said to be answered, and billed, as grok-build-0.1.
    "xai/grok-code-fast": "retired, and redirected to a model that costs more or less than the sources say",
    "xai/grok-code-fast-1": "retired, and redirected to a model that costs more or less than the sources say",
    "xai/grok-code-fast-1-0825": "retired, and redirected to a model that costs more or less than the sources say",
}
"""Ids that are not priced although a rule would find them a price, and why."""

FREE_CACHE_WRITES = "openai"
"""OpenAI bills cache writes apart from GPT-5.6 on; before, a written token cost what an input token cost."""

MOVING = {"openai/chat-latest"}
"""Ids whose model is not told, so that what holds for older models may not hold for them."""

NOT_RATES = {"above", "source", "tiers", "when"}

MOST_OUTPUT = 30
"""An output price is not so many times the input price: 1 to 12 are seen."""

HEADER = """\
# Built-in prices. Written by tools/build_prices.py: do not edit, build anew.
#
# A line that begins with @ says something of the table. Any other is a model, its columns parted by tabs: its id; the
# sources that agree on it; what others say instead; multipliers by place; and rate sets, parted by |, each
# mode;since;window;above;source;rates: the rates of a service tier (standard is the list price), from a day on (UTC;
# empty: from the beginning), in a weekly window (UTC; empty: at all other times), for requests of more than so many
# input tokens, and whose word that is where it is not the row's. Rates are US dollars per million tokens (fees: per
# 1,000 events, stated once a period); cache_write=input says that such a token costs what an input token costs.
"""


class RateSet(NamedTuple):
    """One line of a row: see the docstring of the generated file."""

    mode: str
    since: str
    window: str
    above: int
    source: str
    rates: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genai", type=Path, metavar="GENAI_WHEEL")
    parser.add_argument("litellm", type=Path, metavar="LITELLM_WHEEL")
    parser.add_argument("--compare", type=Path, metavar="TABLE")
    parser.add_argument("--output", type=Path, default=DATA / "prices.txt")
    parser.add_argument("--accept-jumps", action="store_true")
    given = parser.parse_args()
    genai, litellm = read_genai(given.genai, AS_OF), read_litellm(given.litellm)
    genai["vertex"] = genai["google"]  # its one provider speaks for both of Google's price lists
    rows, refused = usable_rows(genai, litellm)
    text = render(rows)
    jumps = moved(given.output, text)
    if jumps and not given.accept_jumps:
        sys.exit("\n".join(["build_prices: these moved by more than half (--accept-jumps):", *jumps]))
    given.output.write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(rows)} rows, {sum(len(row['aliases']) for row in rows.values())} aliases; {len(refused)} left out:")
    for why, keys in by_reason(refused).items():
        print(f"  {len(keys):4} {why}: {', '.join(keys[:6])}{' ...' if len(keys) > 6 else ''}")
    if given.compare:
        table = json.loads(given.compare.read_text(encoding="utf-8"))
        sys.exit(report(table, rows, refused, genai, litellm))


def usable_rows(
    genai: Mapping[str, list[Model]], litellm: Mapping[tuple[str, str], Statement]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The voted rows that can be used, and why the others cannot."""
    voted = vote(genai, litellm, catalogued(), AS_OF)
    refused = {key: why for key, row in voted.items() if (why := fault(key, row)) is not None}
    return folded({key: row for key, row in voted.items() if key not in refused}, genai), refused


def catalogued() -> set[tuple[str, str]]:
    """The ids that the catalog knows, read as data."""
    tree = ast.parse((DATA / "catalog.py").read_text(encoding="utf-8"))
    [rows] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ROWS" and node.value is not None
    ]
    pairs = (key.partition("/") for key in ast.literal_eval(rows))
    return {(namespace, model) for namespace, _, model in pairs}


def by_reason(refused: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for key, why in sorted(refused.items()):
        reasons.setdefault(why, []).append(key)
    return reasons


def fault(key: str, model: Mapping[str, Any]) -> str | None:
    """What is more likely a mistake than a price; None where nothing is."""
    price = {field: Decimal(rate) for field, rate in model["price"].items()}
    if key in WITHHELD:
        return "withheld"
    if "output" not in price:
        return "no output price"
    if not price["input"] and key not in FREE_OF_CHARGE:
        return "an input price of zero"
    if model["kind"] != "embedding" and not price["output"] and key not in FREE_OF_CHARGE:
        return "an output price of zero"
    if price.get("cache_read", Decimal(0)) > price["input"]:
        return "a cached token costs more than a plain one"
    if price["output"] > MOST_OUTPUT * price["input"] and price["input"]:
        return f"an output price above {MOST_OUTPUT} times the input price"
    if any(mark in key for mark in ("\t", "\n", " ")):
        return "an id with white space"
    return None


def moved(path: Path, text: str) -> list[str]:
    """The list prices that moved by more than half since the table at a path."""
    old = list_prices(path.read_text(encoding="utf-8")) if path.exists() else {}
    new = list_prices(text)
    return [
        f"{key}: {field} {was} -> {new[key][field]}"
        for key, rates in old.items()
        for field, was in rates.items()
        if key in new and field in new[key] and not was / 2 <= new[key][field] <= was * 3 / 2
    ]


def list_prices(text: str) -> dict[str, dict[str, Decimal]]:
    prices: dict[str, dict[str, Decimal]] = {}
    for line in text.splitlines():
        if line[0] not in "#@":
            key, *_, sets = line.split("\t")
            listed = [each for each in sets.split("|") if each.startswith("standard;")][-1].split(";")[-1].split()
            rates: dict[str, str] = dict(rate.split("=") for rate in listed)
            prices[key] = {field: Decimal(rates[field]) for field in ("input", "output") if field in rates}
    return prices


def render(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the table: what it says of itself, the aliases, the rows, each part in order."""
    aliases = {f"{row['provider']}/{alias}": key for key, row in rows.items() for alias in row["aliases"]}
    require(not aliases.keys() & rows.keys(), "table", "aliases", sorted(aliases.keys() & rows.keys()))
    sections: dict[str, Mapping[str, str]] = {
        "as_of": {AS_OF: ""},
        "source": {package: version for package, (version, _) in PINNED.items()},
        "free": FREE_NAMESPACES,
        "billed": BILLED,
        "withheld": WITHHELD,
        "moving": {key: "a name that is given to another model now and then" for key in rows if is_moving(key)},
        "alias": aliases,
    }
    said = [("@" + name, key, each[key]) for name, each in sections.items() for key in sorted(each)]
    lines = [(key, *row_text(rows[key], tuple(rate_sets(key, rows[key])))) for key in sorted(rows)]
    return HEADER + "".join(["\t".join(line) + "\n" for line in (*said, *lines)])


def is_moving(key: str) -> bool:
    return key.endswith("-latest")


def row_text(model: Mapping[str, Any], sets: tuple[RateSet, ...]) -> tuple[str, str, str, str]:
    """A row's columns behind its id."""
    multipliers = " ".join(f"{place}={factor}" for place, factor in sorted(model.get("multipliers", {}).items()))
    columns = (", ".join(model["sources"]), disputes(model), multipliers, "|".join(map(set_text, sets)))
    for column in columns:
        require("\t" not in column and "\n" not in column, model["id"], "its text", column)
    return columns


def disputes(model: Mapping[str, Any]) -> str:
    """What other sources say instead: ``output: litellm 7.5; cache_read: litellm 0.1``."""
    stated = model.get("disagree", {})
    return "; ".join(
        f"{field}: {', '.join(f'{source} {value}' for source, value in sorted(stated[field].items()))}"
        for field in sorted(stated)
    )


def set_text(stated: RateSet) -> str:
    above = str(stated.above) if stated.above else ""
    parts = (stated.mode, stated.since, stated.window, above, stated.source.replace(";", ","), stated.rates)
    require(not any(mark in part for part in parts for mark in ";|\t\n"), "a rate set", "its text", parts)
    return ";".join(parts)


def rate_sets(key: str, model: Mapping[str, Any]) -> Iterator[RateSet]:
    """All rate sets of a model: its dated periods, and within the present one its modes and windows."""
    history = model.get("history") or [{"when": None}]
    days = [(entry["when"] or {"from": ""})["from"] for entry in history]
    present = max(day for day in days if day <= AS_OF)
    require(days == sorted(days) and days[0] == "" and all(map(DAY.fullmatch, days[1:])), key, "history", days)
    for day, entry in zip(days, history, strict=True):
        if day == present:
            yield from present_sets(key, model, day)
        else:
            yield from past_or_future_sets(key, model, day, entry)


def present_sets(key: str, model: Mapping[str, Any], since: str) -> Iterator[RateSet]:
    """Modes and weekly windows are known for the present period alone. Fees are those of the list, for all of them."""
    listed = model["price"] | model["fees"] | {"tiers": model.get("tiers", {}).get("steps", [])}
    yield from sized(key, model, RateSet("standard", since, "", 0, "", ""), listed)
    for window in model.get("schedule", []):
        blank = RateSet("standard", since, window_text(window), 0, window["source"], "")
        yield from sized(key, model, blank, window["price"])
    for mode, entry in sorted(model.get("modes", {}).items()):
        yield from sized(key, model, RateSet(mode, since, "", 0, entry["source"], ""), entry)


def past_or_future_sets(key: str, model: Mapping[str, Any], since: str, entry: Mapping[str, Any]) -> Iterator[RateSet]:
    """A period other than the present: what genai-prices states for it, which is no mode and no window.

    A dated period before the present one may have had the windows of today at rates that the table does not
    hold (so deepseek-v4-flash had, from 2026-08-17: pydantic/genai-prices#581). A set without rates says so.
    """
    yield from sized(key, model, RateSet("standard", since, "", 0, "genai-prices", ""), entry)
    for window in model.get("schedule", []) if since else []:
        yield RateSet("standard", since, window_text(window | {"days": "mon-sun"}), 0, "unstated", "")


def sized(key: str, model: Mapping[str, Any], blank: RateSet, entry: Mapping[str, Any]) -> Iterator[RateSet]:
    """The rates of a small request, and those of each size step."""
    yield blank._replace(rates=rates_text(key, model, entry))
    for step in entry.get("tiers", []):
        yield blank._replace(above=step["above"], rates=rates_text(key, model, step))


def rates_text(key: str, model: Mapping[str, Any], rates: Mapping[str, Any]) -> str:
    stated = {name: value for name, value in rates.items() if name not in NOT_RATES}
    exact(key, stated)
    if model["provider"] == FREE_CACHE_WRITES and "cache_write" not in model["price"] and key not in MOVING:
        stated["cache_write"] = "input"
    return " ".join(f"{name}={stated[name]}" for name in sorted(stated))


def exact(key: str, rates: Mapping[str, Any]) -> None:
    for name, value in rates.items():
        require(isinstance(value, str) and EXACT.fullmatch(value) is not None, key, name, value)


def window_text(window: Mapping[str, Any]) -> str:
    return " ".join([window["name"], window["days"], *("-".join(hours) for hours in window["utc"])])


def require(holds: bool, key: str, what: str, value: object) -> None:
    if not holds:
        sys.exit(f"build_prices: {key}: {what} cannot be used: {value!r}")


if __name__ == "__main__":
    main()
