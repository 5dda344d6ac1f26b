"""The command line of ``python -m quoth.testing.wire``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ._files import recordings
from ._mutation import mutate_file
from ._report import as_json, mutation_lines, mutation_passed, passed, report_lines
from ._run import Halves, Plan, halves_of, run_file
from ._streams import Cutting
from ._vectors import VECTOR_WIRES
from ._wires import WIRES

__all__ = ["main"]

FAILED, MISUSED = 1, 2

NAMES = [wire.name for wire in (*WIRES, *VECTOR_WIRES)]


def main(arguments: Sequence[str] | None = None, *, halves: Callable[[str], Halves] = halves_of) -> int:
    """Run the command and give its exit code: 0 all passed, 1 something did not, 2 there is nothing to run.

    ``halves`` gives a dialect by its name, for who wants to see the checks fail.
    """
    options = _parser().parse_args(arguments)
    files = _chosen(options.folder, options.only)
    if not files:
        sys.stderr.write(f"no recordings in {options.folder}: a folder of *.jsonl files is asked for\n")
        return MISUSED
    wires = frozenset(options.wire or NAMES)
    plan = Plan(wires=wires, cutting=Cutting(seed=options.seed), halves=halves)
    if options.mutate:
        mutations = [mutate_file(path, plan, options.seed) for path in files]
        _write(as_json([], mutations) if options.json else "\n".join(mutation_lines(mutations)))
        return 0 if mutation_passed(mutations) else FAILED
    found = [run_file(path, plan) for path in files]
    _write(as_json(found, []) if options.json else "\n".join(report_lines(found, options.failures)))
    return 0 if passed(found) else FAILED


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _chosen(folder: Path, only: Sequence[str]) -> list[Path]:
    names = {name.removesuffix(".jsonl") for name in only}
    return [path for path in recordings(folder) if not names or path.stem in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m quoth.testing.wire",
        description="Hold the dialects to recorded traffic: requests, answers, streams, errors, and both halves.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of recordings, one exchange a line")
    parser.add_argument("--only", action="append", default=[], metavar="FILE", help="this file of it; may be repeated")
    parser.add_argument("--wire", action="append", choices=NAMES, help="this wire alone")
    parser.add_argument("--failures", type=int, default=10, metavar="N", help="how many failures to tell (10)")
    parser.add_argument("--seed", type=int, default=0, help="chooses where long streams are cut, and the mutants (0)")
    parser.add_argument("--mutate", action="store_true", help="change recorded answers, and see whether it is noticed")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    return parser
