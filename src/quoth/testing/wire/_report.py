"""What a run found, as a table for people and as one JSON object for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ._mutation import LEAST, MutationResult
from ._run import ExchangeResult, FileResult

__all__ = ["as_json", "mutation_lines", "mutation_passed", "passed", "report_lines"]


def failures(files: Iterable[FileResult]) -> Iterator[tuple[str, ExchangeResult]]:
    """The exchanges that failed, with their files."""
    return ((found.file, result) for found in files for result in found.results if result.differences)


def passed(files: Sequence[FileResult]) -> bool:
    """Whether all that is in scope passed, and all that must be in scope was."""
    return not any(found.complaints for found in files) and next(failures(files), None) is None


# The table.


def report_lines(files: Sequence[FileResult], most: int) -> Iterator[str]:
    """The whole report; ``most`` failures are told."""
    yield from _table(files)
    yield ""
    yield from _wire_lines(files)
    yield from _counted("left out, by kind", _sum(found.skipped for found in files))
    results = [result for found in files for result in found.results]
    yield from _counted("spelled otherwise on purpose", _sum(result.normalised for result in results))
    yield from _counted("not compared", _sum(result.notes for result in results))
    yield from _unreviewed(results)
    for found in files:
        yield from (f"{found.file}: {complaint}" for complaint in found.complaints)
    failed = list(failures(files))
    for file, result in failed[:most]:
        yield f"FAILED {file} {result.id} ({result.wire}, {result.form})"
        yield from (f"  {difference}" for difference in result.differences[:5])
    if len(failed) > most:
        yield f"... and {len(failed) - most} more"


def _table(files: Sequence[FileResult]) -> Iterator[str]:
    head = ("file", "in scope", "passed", "failed", "suspect", "left out")
    rows = [_row(found) for found in files]
    total = ("all", *[str(sum([int(row[column]) for row in rows])) for column in range(1, len(head))])
    widths = [max(len(row[column]) for row in (head, *rows, total)) for column in range(len(head))]
    for row in (head, *rows, total):
        first, *others = row
        yield "  ".join([first.ljust(widths[0]), *[cell.rjust(widths[at]) for at, cell in enumerate(others, 1)]])


def _row(found: FileResult) -> tuple[str, ...]:
    failed = sum([bool(result.differences) for result in found.results])
    counts = (
        len(found.results),
        len(found.results) - failed,
        failed,
        sum([result.suspect for result in found.results]),
        found.skipped.total(),
    )
    return (found.file, *[str(count) for count in counts])


def _wire_lines(files: Sequence[FileResult]) -> Iterator[str]:
    """By wire and form, how many there were and how many passed."""
    total, good = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for found in files:
        for result in found.results:
            total[result.wire, result.form] += 1
            good[result.wire, result.form] += not result.differences
    for (wire, form), count in sorted(total.items()):
        yield f"{wire}, {form}: {good[wire, form]} of {count} passed"


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    total = Counter[str]()
    for counter in counters:
        total += counter
    return total


def _counted(what: str, counter: Counter[str]) -> Iterator[str]:
    if counter:
        yield f"{what}:"
        yield from (f"  {count:>5}  {name}" for name, count in counter.most_common())


def _unreviewed(results: Sequence[ExchangeResult]) -> Iterator[str]:
    """The errors that no row of the reviewed file knows."""
    found = Counter[str]()
    for result in results:
        if (error := result.unreviewed) is not None:
            found[f"{result.wire} {error.status} type={error.type} code={error.code}: {error.messages[0][:80]}"] += 1
    yield from _counted("errors that nobody reviewed, held to their status alone", found)


# Mutation.


def mutation_passed(files: Sequence[MutationResult]) -> bool:
    """Whether enough mutants were noticed."""
    made, noticed = _sum(found.made for found in files), _sum(found.noticed for found in files)
    return all(noticed[wire] >= LEAST * count for wire, count in made.items())


def mutation_lines(files: Sequence[MutationResult]) -> Iterator[str]:
    """How many mutants were noticed, and those that were not."""
    made, noticed = _sum(found.made for found in files), _sum(found.noticed for found in files)
    for wire, count in sorted(made.items()):
        yield f"{wire}: {noticed[wire]} of {count} mutants noticed, {noticed[wire] / count:.2%}"
    survivors = [survivor for found in files for survivor in found.survivors]
    for each in survivors:
        yield f"SURVIVED {each.file} {each.id} ({each.wire}) {each.path}: {each.reason}"
    yield f"{noticed.total()} of {made.total()} mutants noticed; at least {LEAST:.0%} must be, on every wire"


# For programs.


def as_json(files: Sequence[FileResult], mutations: Sequence[MutationResult]) -> str:
    """All that was found, as one JSON object."""
    good = passed(files) and mutation_passed(mutations)
    value: dict[str, Any] = {"passed": good, "files": [_file_json(found) for found in files]}
    if mutations:
        value["mutations"] = [_mutation_json(found) for found in mutations]
    return json.dumps(value, ensure_ascii=False, default=str)


def _file_json(found: FileResult) -> dict[str, Any]:
    return {
        "file": found.file,
        "in_scope": len(found.results),
        "failed": sum([bool(result.differences) for result in found.results]),
        "left_out": found.skipped,
        "complaints": found.complaints,
        "failures": [
            {
                "id": result.id,
                "wire": result.wire,
                "form": result.form,
                "differences": [str(difference) for difference in result.differences],
            }
            for result in found.results
            if result.differences
        ],
    }


def _mutation_json(found: MutationResult) -> dict[str, Any]:
    survivors = [
        {"id": each.id, "wire": each.wire, "path": each.path, "reason": each.reason} for each in found.survivors
    ]
    return {"file": found.file, "made": found.made, "noticed": found.noticed, "survivors": survivors}
