"""Write the generated parts of the pages: what stands between their marks comes from the tables.

::

    python tools/build_docs.py            # write
    python tools/build_docs.py --check    # fail where the page is out of date
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]  # this checkout's tables, whatever is installed

from build_observability import ALERTS  # noqa: E402  # the path comes first

from quoth._settings import SHARED_VARIABLES, VARIABLES  # noqa: E402  # the path comes first
from quoth.dialects.embeddings import load_format  # noqa: E402
from quoth.instrumentation._logs import FIELDS  # noqa: E402
from quoth.instrumentation.metrics import METRICS  # noqa: E402
from quoth.instrumentation.otel._semconv import MEANINGS  # noqa: E402
from quoth.providers import PROVIDERS, ProviderSpec  # noqa: E402
from quoth.providers._registry import ROWS  # noqa: E402
from quoth.providers._rows import clouds, gateways, hosts, makers, servers  # noqa: E402
from quoth.providers._spec import SHORT_NAMES  # noqa: E402

DOCS = ROOT / "docs"
GROUPS = {
    "first": ROWS,
    "makers": makers.MAKERS,
    "clouds": clouds.CLOUDS,
    "gateways": gateways.GATEWAYS,
    "hosts": hosts.HOSTS,
    "servers": servers.SERVERS,
}
"""The tables of docs/providers.md."""

SURE = {"recorded": "recorded", "two_sources": "two sources", "one_source": "**one source**", None: ""}
WIRES = {dialect: short for short, dialect in SHORT_NAMES.items()}


def attributes() -> str:
    """What spans say."""
    rows = [(", ".join([f"`{name}`" for name in names.split(", ")]), meaning) for names, meaning in MEANINGS.items()]
    return _table(("attribute", "meaning"), rows)


def variables() -> str:
    """The variables that quoth itself reads."""
    return _table(("variable", "meaning"), [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()])


def shared() -> str:
    """The variables that other programs read too."""
    return _table(("variable", "meaning"), [(f"`{name}`", meaning) for name, meaning in SHARED_VARIABLES.items()])


def providers(rows: Sequence[ProviderSpec]) -> str:
    """Everything that one has to know of each row to call it."""
    head = ("provider", "wires", "base URL", "key", "URL and its parts", "rests on", "notes")
    return _table(head, [_provider(row) for row in rows])


def _provider(row: ProviderSpec) -> tuple[str, ...]:
    aliases = f" ({_names(row.aliases)})" if row.aliases else ""
    spoken = [] if row.embeds_only else [WIRES.get(dialect, dialect) for dialect in row.dialects]
    wires = ", ".join([*spoken, *(["embeddings"] if row.embeddings else [])])
    parts = [f"{{{name}}}: {_names(of)}" for name, of in row.parts]
    url = "; ".join([*([_names(row.base_url_variables)] if row.base_url_variables else []), *parts])
    key = _names((*row.token_variables, *row.key_variables))
    key += ", optional" if row.key_optional and row.key_variables else ""
    key += f", or {row.credentials} credentials" if row.credentials else ""
    roots = [f"{WIRES.get(end.dialect, end.dialect)}: `{end.base_url}`" for end in row.endpoints if end.base_url]
    prefixes = [f"bare ids: {_names(row.model_prefixes)}"] if row.model_prefixes else []
    notes = " ".join(f"{note.rstrip('.')}." for note in (row.note, *prefixes) if note)
    return (
        f"`{row.name}`{aliases}",
        wires,
        ", ".join([f"`{row.base_url}`", *roots]),
        key,
        url or "none",
        SURE[row.confidence],
        notes,
    )


def parity() -> str:
    """What each provider was seen to do; ``tools/build_parity.py`` writes what this shows."""
    table: dict[str, dict[str, str]] = tomllib.loads((DOCS / "parity.toml").read_text("utf-8"))
    head = ("provider", *next(iter(table.values())))
    return _table(head, [(f"`{row}`", *own.values()) for row, own in table.items()])


def embeddings() -> str:
    """Who embeds, over which format, and how much one request may hold."""
    head = ("provider", "models", "format", "path", "texts a request", "tokens a request")
    rows = [
        (
            f"`{row.name}`",
            ", ".join([f"`{part}`" for part in endpoint.models]),
            f"`{endpoint.dialect}`",
            f"`{endpoint.path or load_format(endpoint.dialect).path}`",
            f"{endpoint.most_texts:,}",
            f"{endpoint.most_tokens:,}" if endpoint.most_tokens else "",
        )
        for row in PROVIDERS
        for endpoint in row.embeddings or ()
    ]
    return _table(head, rows)


def metrics() -> str:
    """What is measured."""
    head = ("metric", "kind", "unit", "labels", "what it is")
    return _table(
        head, [(f"`{one.name}`", one.kind, one.unit, _names((*one.labels,)), _linked(one.help)) for one in METRICS]
    )


def labels() -> str:
    """The labels of metrics: what each may be, and where; one row for each of its meanings."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in METRICS:
        for label, meaning in one.labels.items():
            found.setdefault((label, meaning), []).append(one.name)
    names = [label for label, _ in found]
    rows = sorted(found.items(), key=lambda row: names.index(row[0][0]))
    head = ("label", "values", "of")
    return _table(head, [(f"`{label}`", _linked(text), _names((*of,))) for (label, text), of in rows])


def buckets() -> str:
    """The buckets of histograms."""
    head = ("metric", "unit", "buckets")
    return _table(
        head,
        [
            (f"`{one.name}`", one.unit, ", ".join([f"{bound:,.5f}".rstrip("0").rstrip(".") for bound in one.buckets]))
            for one in METRICS
            if one.buckets
        ],
    )


def fields() -> str:
    """The fields of a line of the log."""
    return _table(("field", "what it is"), [(f"`{name}`", meaning) for name, meaning in FIELDS.items()])


def alerts() -> str:
    """What each alert means, and what to do."""
    return "\n\n".join(
        [f"### {one.name}\n({one.severity}) {one.meaning}\n\n**What to do.** {one.do}" for one in ALERTS]
    )


def _linked(text: str) -> str:
    """Pages that a text names, as links."""
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def filled(text: str, parts: Mapping[str, str]) -> str:
    """The text with each part between its marks. Raises ValueError where a mark is missing."""
    for name, part in parts.items():
        begin, end = f"<!-- {name}: written by tools/build_docs.py -->", f"<!-- end of {name} -->"
        found = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", text, flags=re.DOTALL)
        if len(found) != 1:
            raise ValueError(f"the page must have the marks of {name} once, and has them {len(found)} times")
        text = text.replace(found[0], f"{begin}\n{part}\n{end}")
    return text


def pages() -> dict[Path, str]:
    """Each page and the text that it should have."""
    parts = {
        DOCS / "configuration.md": {"variables": variables(), "shared": shared()},
        DOCS / "embeddings.md": {"embeddings": embeddings()},
        DOCS / "observability.md": {
            "metrics": metrics(),
            "labels": labels(),
            "buckets": buckets(),
            "fields": fields(),
            "alerts": alerts(),
            "attributes": attributes(),
        },
        DOCS / "providers.md": {**{name: providers(rows) for name, rows in GROUPS.items()}, "parity": parity()},
    }
    return {page: filled(page.read_text("utf-8"), own) for page, own in parts.items()}


def main() -> int:
    late = [path for path, text in pages().items() if path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in late:
            print(f"{path.relative_to(ROOT)} is out of date: run python tools/build_docs.py")
        return len(late)
    for path, text in pages().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
