"""The table that bench/compare.py's rounds make: for a terminal, and for docs/performance.md between its marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN = "<!-- made by bench/compare.py --write: do not edit -->"
END = "<!-- end of what is made -->"

Results = dict[str, Any]

REFERENCE = {"anthropic": "quoth messages", "google-genai": "quoth gemini"}
"""Which quoth a peer is compared with, where it does not speak Chat Completions."""
HIDDEN = ("quoth messages", "quoth gemini")

TITLES = {
    "import": "import, ms over bare",
    "first answer": "start to first answer, ms over bare",
    "blocking": "blocking call, us",
    "8 threads": "8 threads, us",
    "32 threads": "32 threads, us",
    "64 threads": "64 threads, us",
    "asyncio 1": "asyncio, 1 in flight, us",
    "asyncio 50": "asyncio, 50 in flight, us",
    "asyncio 500": "asyncio, 500 in flight, us",
    "asyncio 1, 100 ms": "asyncio, 1 in flight, 100 ms, us",
    "asyncio 50, 100 ms": "asyncio, 50 in flight, 100 ms, us",
    "asyncio 500, 100 ms": "asyncio, 500 in flight, 100 ms, us",
    "burst": "1,000 chunks, burst, ms",
    "paced": "1,000 chunks, 1 a ms, ms",
    "asyncio burst": "asyncio: 1,000 chunks, burst, ms",
    "asyncio paced": "asyncio: 1,000 chunks, 1 a ms, ms",
    "TLS": "TLS, keep-alive, us",
    "TLS, new connection": "TLS, a connection a call, us",
}
WAITS = ("8 threads", "32 threads", "64 threads", "asyncio 1", "asyncio 50", "asyncio 500")
ADDED = ("asyncio 1, 100 ms", "asyncio 50, 100 ms", "asyncio 500, 100 ms")
FIRSTS = ("burst", "paced", "asyncio burst", "asyncio paced")


def clean(problem: str) -> str:
    """A failure in one short line, without addresses, ports and paths, which differ from run to run."""
    line = re.sub(r"0x[0-9a-f]+|127\.0\.0\.1:\d+|(?:/[\w.-]+){2,}|[<>|`*]", "_", " ".join(problem.split()))
    return line if len(line) <= 160 else line[:157] + "..."


def dump(results: Results) -> str:
    """JSON with a line for each case of a round: small, and a diff can be read."""
    text = json.dumps({**results, "rounds": None}, indent=1)
    rounds = []
    for each in results["rounds"]:
        cases = ",\n".join([f"  {json.dumps(case)}: {json.dumps(taken)}" for case, taken in each["cases"].items()])
        head = json.dumps({name: value for name, value in each.items() if name != "cases"})[:-1]
        rounds.append(f'{head}, "cases": {{\n{cases}}}}}')
    return text.replace('"rounds": null', '"rounds": [\n' + ",\n".join(rounds) + "\n ]") + "\n"


def newest(folder: Path) -> Path:
    found = sorted(folder.glob("compare-*.json"))
    if not found:
        raise SystemExit("there are no results yet: python bench/compare.py --write")
    return found[-1]


def series(results: Results, name: str, case: str, field: str) -> dict[int, float]:
    """A client's figure by round. What starting costs is what it takes beyond the bare interpreter of the round."""
    found: dict[int, float] = {}
    for number, each in enumerate(results["rounds"]):
        figures = each["cases"].get(case, {}).get(name)
        if figures is None:
            continue
        bare = each["cases"].get("bare", {}).get(name, {}) if case in ("import", "first answer") else {}
        found[number] = figures[field] - bare.get(field, 0.0)
    return found


def middle(results: Results, name: str, case: str, field: str) -> float | None:
    found = series(results, name, case, field)
    return median(found.values()) if found else None


def ratio(results: Results, name: str, other: str, case: str, field: str) -> float | None:
    """The median over the rounds of how many times the other's figure a client has."""
    own, theirs = series(results, name, case, field), series(results, other, case, field)
    found = [own[each] / theirs[each] for each in own if theirs.get(each, 0.0) > 0]
    return median(found) if found else None


def short(value: float | None, *, whole: bool = False) -> str:
    """Two digits, or as many as stand before the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if whole or abs(value) >= 9.95 else f"{value:.1f}"


def columns(results: Results) -> list[str]:
    return [each for each in results["clients"] if each not in HIDDEN]


def rows(results: Results) -> Iterator[tuple[str, list[str]]]:
    """Every row of the table: its title, and a cell for each client."""
    names = columns(results)

    def row(title: str, cell: Callable[[Results, str], str]) -> tuple[str, list[str]]:
        return title, [cell(results, name) for name in names]

    def of(case: str, cell: Callable[[Results, str, str], str]) -> Callable[[Results, str], str]:
        return lambda results, name: cell(results, name, case)

    cases = [case for case in results["cases"] if any(case in each["cases"] for each in results["rounds"])]
    yield row("packages", partial(installed, "packages", 1))
    yield row("MB installed", partial(installed, "bytes", 2**20))
    for case in cases:
        if case in TITLES:
            yield row(TITLES[case], of(case, compared))
        if case == "first answer":
            yield row("modules after the first answer", partial(looked, 0, 1))
            yield row("peak MB after the first answer", partial(looked, 1, 1024))
        if case in WAITS:
            yield row(f"{case}: p50 / p99 of a call, ms", of(case, percentiles))
        if case in ADDED:
            yield row(f"{case}: added p50 / p99, ms", of(case, percentiles))
        if case in FIRSTS:
            yield row(f"{case}: first piece after, ms", of(case, first_piece))
    if results["memory"]:
        yield row("memory over so many calls, MB", grown)


def installed(field: str, scale: int, results: Results, name: str) -> str:
    if name == "floor":
        return "0"
    found = results["installed"].get(name)
    return short(found[field] / scale, whole=scale == 1) if found else "-"


def compared(results: Results, name: str, case: str) -> str:
    """CPU / wall: of the floor and of quoth as they are, of the others as multiples of quoth's."""
    if not series(results, name, case, "cpu"):
        return "fails" if failed(results, name, case) else "-"
    if name in ("floor", "quoth"):
        return f"{short(middle(results, name, case, 'cpu'))} / {short(middle(results, name, case, 'wall'))}"
    other = REFERENCE.get(name, "quoth")
    cpu, wall = (ratio(results, name, other, case, field) for field in ("cpu", "wall"))
    return f"{short(cpu)}x / {short(wall)}x"


def percentiles(results: Results, name: str, case: str) -> str:
    low, high = (middle(results, name, case, field) for field in ("p50", "p99"))
    return "-" if low is None else f"{short(low)} / {short(high)}"


def first_piece(results: Results, name: str, case: str) -> str:
    return short(middle(results, name, case, "p50"))


def looked(index: int, scale: int, results: Results, name: str) -> str:
    seen = results["looks"].get(name, {}).get("first answer")
    return short(seen[index] / scale, whole=scale == 1) if seen and seen[index] else "-"


def grown(results: Results, name: str) -> str:
    figures = results["memory"].get(name)
    if figures is None or figures["before"] is None:
        return "fails" if failed(results, name, "memory") else "-"
    calls = figures["calls"]
    told = f"{calls // 1000}k" if calls >= 1000 else str(calls)
    return f"{figures['after'] - figures['before']:+.1f} in {told}"


def failed(results: Results, name: str, case: str) -> list[str]:
    found: list[str] = results["failures"].get(name, {}).get(case, [])
    return found


# The goals of the design: what, which figure, how it is said.

GOALS: list[tuple[str, str, str, float, str]] = [
    ("import, over bare", "import", "cpu", 25, "ms"),
    ("start to first answer, the interpreter included", "first answer", "cpu", 60, "ms"),
    ("one blocking call", "blocking", "cpu", 60, "us"),
    ("one asyncio call, 50 in flight", "asyncio 50", "cpu", 90, "us"),
    ("one asyncio call, 500 in flight", "asyncio 500", "cpu", 110, "us"),
    ("1,000 chunks in a burst", "burst", "cpu", 7, "ms"),
    ("1,000 chunks in a burst, asyncio", "asyncio burst", "cpu", 7, "ms"),
    ("64 threads, 99th percentile of a call", "64 threads", "p99", 12, "ms"),
]


def goals(results: Results) -> Iterator[tuple[str, str, str, str, str]]:
    """Each goal: what, the goal, quoth, the floor, whether it is met here."""
    for title, case, field, goal, unit in GOALS:
        ours, floor = (middle(results, name, case, field) for name in ("quoth", "floor"))
        if ours is None:
            continue
        if case == "first answer":
            ours += middle(results, "quoth", "bare", field) or 0.0
            floor = floor and floor + (middle(results, "floor", "bare", field) or 0.0)
        least = "" if floor is None else f"{short(floor)} {unit}"
        yield title, f"under {goal:g} {unit}", f"{short(ours)} {unit}", least, _met(ours < goal)
    seen = results["looks"].get("quoth", {}).get("import")
    if seen:
        yield "modules after the import", "under 110", str(seen[0]), "", _met(seen[0] < 110)
    memory = results["memory"].get("quoth")
    if memory and memory["before"] is not None:
        growth = memory["after"] - memory["before"]
        yield "memory", "flat", f"{growth:+.1f} MB in {memory['calls']:,} calls", "", _met(growth < 1)


def _met(claim: bool) -> str:
    return "met" if claim else "**missed**"


def failures(results: Results) -> list[str]:
    """A line for each case that a client failed."""
    found = []
    for name, cases in results["failures"].items():
        for case, problems in cases.items():
            times = (
                "every time"
                if not series(results, name, case, "cpu")
                else f"{len(problems)} of {len(results['rounds'])} times"
            )
            found.append(f"{name}, {case} ({times}): {clean(problems[-1])}")
    return found


def facts(results: Results) -> list[str]:
    """What was measured, where, with what."""
    loads = [each["load"] for each in results["rounds"] if each["load"] is not None]
    load = f", load {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    took = sum(each["seconds"] for each in results["rounds"])
    core = "client and server on one core" if results["one core"] else "client and server on any core"
    versions = ", ".join([f"{name} {version}" for name, version in results["versions"].items() if " " not in name])
    served = [short(middle(results, name, "blocking", "server")) for name in ("floor", "quoth")]
    return [
        (
            f"{results['date']}, {results['cpu']}, {results['cores']} cores, {results['system']}, "
            f"Python {results['python']}{load}; {len(results['rounds'])} rounds in {took // 60} minutes, {core}."
        ),
        f"Versions: {versions}.",
        f"The server took {served[0]} us of CPU for a call of the floor and {served[1]} for one of quoth.",
    ]


def text(results: Results) -> str:
    """The table and all that belongs to it, for a terminal."""
    lines = [["", *columns(results)], *[[title, *cells] for title, cells in rows(results)]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join([title.ljust(widths[0]), *[cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]])
        for title, *cells in lines
    ]
    reached = [
        f"{what}: {ours} (goal {goal}{floor and f', floor {floor}'}): {met.strip('*')}"
        for what, goal, ours, floor, met in goals(results)
    ]
    problems = [f"failed: {each}" for each in failures(results)]
    return "\n".join([*facts(results), LEGEND, "", *shown, "", *reached, "", *problems])


LEGEND = (
    "CPU / wall. The floor (a bare socket and json) and quoth are as measured, the others multiples of quoth's: "
    "anthropic of quoth on Messages, google-genai of quoth on generateContent, the rest of quoth on Chat Completions."
)


def markdown(results: Results) -> str:
    """What stands between the marks of the document."""
    names = columns(results)
    lines = [
        BEGIN,
        *facts(results),
        f"{LEGEND} The raw rounds are `bench/results/compare-{results['date']}.json`.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *[f"| {title} | " + " | ".join(cells) + " |" for title, cells in rows(results)],
        "",
        "The goals of the design, in CPU of this machine; the floor says how fast the machine was:",
        "",
        "| | goal | quoth | floor | |",
        "|---|---|---|---|---|",
        *[f"| {' | '.join(goal)} |" for goal in goals(results)],
        "",
        "What failed, or did not end within its limit:" if failures(results) else "Nothing failed.",
        "",
        *[f"- {each}" for each in failures(results)],
        END,
    ]
    return "\n".join(lines)


def write_document(results: Results, document: Path = DOCUMENT) -> None:
    """Put the table between the marks."""
    written = document.read_text("utf-8")
    head, _, rest = written.partition(BEGIN)
    _, _, tail = rest.partition(END)
    document.write_text(head + markdown(results) + tail, "utf-8")
