"""Write ``src/quoth/data/catalog.py``: ``python tools/build_catalog.py MODELS PRICES [OUTPUT]``.

MODELS is a ``quoth-models/1`` JSON file (facts joined from packages, each with its source), PRICES the
``costtable/1`` file that ``build_prices.py`` reads. The two must know the same priced ids and aliases. Values are
copied as they stand; what this script adds, renames or leaves out stands in the tables below, each with its
reason, and is reviewed with the generated file. What it does not understand stops the build.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "src" / "quoth" / "data" / "catalog.py"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
WORD = re.compile(r"[a-z][a-z0-9_]*")

KINDS = {
    "chat": "chat",
    # litellm's word for a model that answers on /v1/responses only: it talks like any other.
    "responses": "chat",
    "embedding": "embedding",
    "image_generation": "image",
    "video_generation": "video",
    "audio_speech": "speech",
    "audio_transcription": "transcription",
}
ADDED_FEATURES = {"responses": ("responses_only",)}
"""What a source's kind says beside the kind."""

LIMITS = {
    "context_window": "context",
    "max_input_tokens": "input",
    "max_output_tokens": "output",
    "embedding_dimensions": "dimensions",
    "prompt_cache_min_tokens": "cache_min",
}

SOURCE_NAMES = {"table.json": "price table", "id": "the id itself"}
"""Sources whose name in the facts says nothing outside of them."""

OWN: dict[str, tuple[str, ...]] = {
    "local/smollm2": (
        "chat", "context=4096", "text", "text", "system_messages", "openai_chat", "", "", "", "", "", "quoth",
    ),
}  # fmt: skip
"""Rows that no source has: what quoth brings itself. The context is the one that it gives the model."""

COLUMNS = (
    "kind", "limits", "inputs", "outputs", "features", "dialect", "released", "deprecated", "retires",
    "replacement", "inferred", "sources",
)  # fmt: skip

HEADER = '''"""What is known of models, as of {as_of}. Written by tools/build_catalog.py: do not edit, build anew.

``COLUMNS`` names what stands in a row. Everything is text, empty where no source says anything. Limits are tokens
(``dimensions``: the length of a vector). A date is followed by its source; ``deprecated`` is a date, or ``yes`` where
a source says that and no more. ``inferred`` is ``yes`` where the modalities were concluded from the features. A
replacement stands only where a source states one. ``DISAGREEMENTS`` holds the dates that other sources give than the
row's, ``LEFT_OUT`` the ids of the facts that are no rows, and why.
"""

# fmt: off
from __future__ import annotations
'''


def main(arguments: list[str]) -> None:
    if len(arguments) not in {2, 3}:
        sys.exit(__doc__)
    facts, prices = (json.loads(Path(path).read_text(encoding="utf-8")) for path in arguments[:2])
    target = Path(arguments[2]) if len(arguments) == 3 else TARGET
    target.write_text(render(facts, prices), encoding="utf-8")


def render(facts: Mapping[str, Any], prices: Mapping[str, Any]) -> str:
    """The text of the generated module."""
    meta = facts["meta"]
    require((meta["format"], prices["meta"]["format"]) == ("quoth-models/1", "costtable/1"), "input", "format", meta)
    models = {key_of(model): model for model in facts["models"]}
    require(len(models) == len(facts["models"]), "models", "ids", "an id stands there twice")
    agree(models, {key_of(model): model for model in prices["models"]})
    rows = OWN | {key: row_of(key, model) for key, model in models.items() if served(model)}
    aliases = {f"{model['provider']}/{alias}": key for key, model in models.items() for alias in model["aliases"]}
    require(not aliases.keys() & rows.keys(), "models", "aliases", sorted(aliases.keys() & rows.keys()))
    left_out = dict.fromkeys(models.keys() - rows.keys(), "its source keeps the id and says that it is not served")
    disagreements = {key_of(each): other_values(each, models) for each in facts["disagreements"]}
    parts = [
        HEADER.format(as_of=meta["as_of"]),
        f'AS_OF = "{meta["as_of"]}"',
        f"SOURCES: tuple[str, ...] = {quoted(tuple(source_name(source) for source in meta['inputs']))}",
        "",
        mapping("LEFT_OUT", "dict[str, str]", left_out),
        mapping("DISAGREEMENTS", "dict[str, str]", disagreements),
        mapping("ALIASES", "dict[str, str]", aliases),
        f"COLUMNS = {quoted(COLUMNS)}",
        "",
        mapping("ROWS", "dict[str, tuple[str, ...]]", rows),
    ]
    return "\n".join(parts)


def key_of(model: Mapping[str, Any]) -> str:
    return f"{model['provider']}/{model['id']}"


def served(model: Mapping[str, Any]) -> bool:
    return not model.get("not_served", False)


def agree(models: Mapping[str, Mapping[str, Any]], prices: Mapping[str, Mapping[str, Any]]) -> None:
    """The facts must call priced what the price table prices, and know the same aliases and context windows."""
    priced = {key for key, model in models.items() if model["priced"]}
    require(priced == prices.keys(), "models", "priced", sorted(priced ^ prices.keys()))
    for key, row in prices.items():
        for field in ("aliases", "context_window"):
            require(row[field] == models[key][field], key, field, row[field])


def row_of(key: str, model: Mapping[str, Any]) -> tuple[str, ...]:
    """One row, column by column."""
    kind = model["kind"]
    require(kind in KINDS, key, "kind", kind)
    row = {
        "kind": KINDS[kind],
        "limits": " ".join(
            f"{ours}={limit(key, model, theirs)}" for theirs, ours in LIMITS.items() if model.get(theirs)
        ),
        "inputs": words(key, model["modalities_in"]),
        "outputs": words(key, model["modalities_out"]),
        "features": words(key, sorted({*model["features"], *ADDED_FEATURES.get(kind, ())})),
        "dialect": model["default_dialect"] or "",
        "released": dated(key, model["released"], model["released_source"]),
        "deprecated": deprecated(key, model["deprecated"]),
        "retires": dated(key, model["retires"], model["retires_source"]),
        "replacement": model["replacement"] or "",
        "inferred": "yes" if model["modalities_inferred"] else "",
        "sources": ", ".join(map(source_name, model["sources"])),
    }
    return tuple(row[column] for column in COLUMNS)


def limit(key: str, model: Mapping[str, Any], field: str) -> int:
    value = model[field]
    require(type(value) in (int, float) and value == int(value) and 0 < value < 10**8, key, field, value)
    return int(value)


def words(key: str, values: Iterable[str]) -> str:
    for value in values:
        require(WORD.fullmatch(value) is not None, key, "a word", value)
    return " ".join(values)


def dated(key: str, day: str | None, source: str | None) -> str:
    if day is None:
        return ""
    require(DAY.fullmatch(day) is not None and bool(source), key, "a date and its source", (day, source))
    return f"{day} {source_name(source or '')}"


def deprecated(key: str, value: object) -> str:
    if value is None or value is True:
        return "yes" if value else ""
    require(isinstance(value, str) and DAY.fullmatch(value) is not None, key, "deprecated", value)
    return str(value)


def source_name(source: str) -> str:
    return SOURCE_NAMES.get(source, source.replace("table.json", "price table"))


def other_values(disagreement: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> str:
    """The values that the row does not have, each with its source."""
    field, chosen = disagreement["field"], models[key_of(disagreement)][disagreement["field"]]
    others = [f"{value['date']} ({value['source']})" for value in disagreement["values"] if value["date"] != chosen]
    require(bool(others), key_of(disagreement), "disagreement", disagreement)
    return f"{field}: {', '.join(others)}"


def mapping(name: str, annotation: str, values: Mapping[str, Any]) -> str:
    """A dict as source text, one entry a line, in order of its keys."""
    lines = [f"    {quoted(key)}: {quoted(values[key])}," for key in sorted(values)]
    return "\n".join([f"{name}: {annotation} = {{", *lines, "}", ""])


def quoted(value: Any) -> str:
    """Source text with double quotes, for text and tuples of text."""
    if isinstance(value, tuple):
        return f"({', '.join(map(quoted, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False)


def require(holds: bool, key: str, what: str, value: object) -> None:
    if not holds:
        sys.exit(f"build_catalog: {key}: {what} cannot be used: {value!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
