"""``quoth ledger``: what every call cost, from the database in which they are recorded."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .. import ModelsAPI
from .._json import encode
from ..errors import QuothError
from ..instrumentation import CallRecord, UsageTotals
from ..instrumentation.ledger import Ledger, StorageError, Which
from ._arguments import UsageError, ledger_parser
from ._console import Console

__all__ = ["use_ledger"]

_SHOW_HEAD = ("began (UTC)", "model", "outcome", "input", "output", "cost", "seconds", "id")
_TOTALS_HEAD = ("", "calls", "failed", "input", "output", "cost", "unknown costs")


def use_ledger(words: Sequence[str], models: ModelsAPI, console: Console) -> int:
    """Carry out ``quoth ledger VERB`` and give the exit code."""
    parser = ledger_parser(tuple(_VERBS))
    said = parser.parse_args(list(words[1:]))
    if said.help:
        console.write(parser.format_help())
        return 0
    if said.verb is None:
        raise UsageError(f"quoth ledger needs one of {', '.join(_VERBS)} (as a prompt it is written quoth -- ledger)")
    if (said.file is None) == (said.verb == "export"):
        raise UsageError("quoth ledger export needs a FILE, and the other verbs take none")
    which = _which(said)
    try:
        if said.ledger is not None:
            models.configure(ledger=said.ledger)
        ledger = models.ledger
        if not ledger.exists:
            console.say(f"quoth: there is no ledger at {ledger.place} yet")
            return 1
        return _VERBS[said.verb](ledger, which, said, console)
    except (QuothError, StorageError, OSError) as error:
        console.say(f"quoth: {error}")
        return 1


def _which(said: Namespace) -> Which:
    tags = {}
    for each in said.tag:
        name, separator, value = each.partition("=")
        if not separator:
            raise UsageError(f"--tag is written NAME=VALUE, not {each!r}")
        tags[name] = value
    return Which(
        since=said.since, until=said.until, provider=said.provider, model=said.model, user=said.user, tags=tags
    )


def _show(ledger: Ledger, which: Which, said: Namespace, console: Console) -> int:
    records = ledger.recent(said.limit, **which)
    if said.json:
        for record in records:
            console.write_json(encode(record).decode(), raw=False)
    else:
        console.write_table([_SHOW_HEAD, *map(_call, records)])
    return 0


def _call(record: CallRecord) -> tuple[str, ...]:
    usage = record.usage
    return (
        f"{datetime.fromtimestamp(record.started_at, UTC):%Y-%m-%d %H:%M:%S}",
        f"{record.provider}/{record.model}",
        record.error_kind or record.outcome,
        _count(usage.input_tokens if usage else None),
        _count(usage.output_tokens if usage else None),
        "-" if record.cost is None else str(record.cost),
        f"{record.seconds:.2f}",
        record.id,
    )


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _totals(ledger: Ledger, which: Which, said: Namespace, console: Console) -> int:
    totals = ledger.totals(said.by, **which)
    if said.json:
        for name, each in totals.items():
            line = {said.by: name, **_numbers(each)}
            console.write_json(encode(line).decode(), raw=False)
        return 0
    rows = [_sums(name, each) for name, each in totals.items()]
    console.write_table([(said.by, *_TOTALS_HEAD[1:]), *rows, _sums("total", ledger.total(**which))])
    return 0


def _numbers(totals: UsageTotals) -> dict[str, Any]:
    numbers = {name: getattr(totals, name) for name in totals.__struct_fields__ if name != "femto"}
    return {**numbers, "usd": f"{totals.usd:f}"}


def _sums(name: str, totals: UsageTotals) -> tuple[str, ...]:
    counts = (totals.calls, totals.failed, totals.input_tokens, totals.output_tokens)
    return (name, *map(_count, counts), _dollars(totals.usd), _count(totals.unknown_costs))


def _dollars(usd: Decimal) -> str:
    return f"${usd:f}"


def _check(ledger: Ledger, which: Which, said: Namespace, console: Console) -> int:
    found = ledger.check(**which)
    if said.json:
        console.write_json(encode(found).decode(), raw=False)
    else:
        for each in found.disagreements:
            console.write(" ".join(console.plain(str(each)).split()) + "\n")
        console.write(f"{found}\n")
    return 0 if found.ok else 1


def _export(ledger: Ledger, which: Which, said: Namespace, console: Console) -> int:
    count = ledger.export(said.file, **which)
    console.say(f"{count:,} rows written to {said.file}")
    return 0


def _replay(ledger: Ledger, _which: Which, _said: Namespace, console: Console) -> int:
    console.say(f"{ledger.replay():,} rows that had been spilled are new in {ledger.place}")
    return 0


_VERBS: dict[str, Callable[[Ledger, Which, Namespace, Console], int]] = {
    "show": _show,
    "totals": _totals,
    "check": _check,
    "export": _export,
    "replay": _replay,
}
