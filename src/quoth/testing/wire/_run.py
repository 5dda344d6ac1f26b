"""One exchange through all its checks, and a folder of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from ...dialects import ClientDialect, load_client
from ...dialects.server import ServerDialect, load_server
from ...types import Response, ToolCall
from ._answers import expect, meet
from ._errors import ErrorReading
from ._files import Exchange, read_file
from ._reading import Difference, Reading
from ._requests import check_request
from ._rows import provider_of
from ._scope import missing, out_of_scope, wire_of
from ._server import Telling, check_server
from ._streams import Cutting, check_cuts
from ._vectors import VectorHalves, VectorWire, check_vectors, vector_halves
from ._wires import Wire

__all__ = ["ExchangeResult", "FileResult", "Halves", "Plan", "check_exchange", "halves_of", "run_file"]


class Halves(Struct, frozen=True):
    """The two halves of a dialect."""

    client: ClientDialect
    server: ServerDialect


def halves_of(name: str) -> Halves:
    """The halves of the dialect with this name."""
    return Halves(load_client(name), load_server(name))


class Plan(Struct, frozen=True, kw_only=True):
    """What is run: on which wires, how finely streams are cut, over which dialects."""

    wires: frozenset[str]
    cutting: Cutting | None
    """None: a stream is read in one piece only."""
    halves: Callable[[str], Halves] = halves_of
    vector_halves: Callable[[str], VectorHalves] = vector_halves
    keep: Callable[[Exchange], bool] | None = None
    """Which exchanges; None for all."""


class ExchangeResult(Struct, kw_only=True):
    """What came of one exchange."""

    id: str
    wire: str
    form: str
    differences: list[Difference] = []
    normalised: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    suspect: bool = False
    unreviewed: ErrorReading | None = None


class FileResult(Struct, kw_only=True):
    """What came of one file."""

    file: str
    results: list[ExchangeResult] = []
    skipped: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = []
    """What is wrong with the file itself."""


def check_exchange(exchange: Exchange, wire: Wire, halves: Halves, cutting: Cutting | None) -> ExchangeResult:
    """All checks of one exchange. Without ``cutting``, a stream is read in one piece only."""
    request = exchange.request
    if request is None:
        raise ValueError(f"{exchange.id} has no request, and so no wire")
    provider = provider_of(exchange, wire.name, halves.client)
    expected = expect(wire, exchange, by_finish=wire.by_finish(provider.wire.quirks))
    outcome = meet(expected, wire, provider, exchange.reply, exchange.provider)
    result = ExchangeResult(
        id=exchange.id,
        wire=wire.name,
        form=expected.form,
        differences=list(outcome.differences),
        unreviewed=outcome.unreviewed,
    )
    asked = check_request(
        request,
        exchange.reply,
        provider=provider,
        server=halves.server,
        known=wire.normalisations,
        versions=wire.versions,
    )
    if expected.form == "unreadable" and any(each.what == "refused" for each in asked.differences):
        asked.differences, asked.notes["a request that is none of this wire, nor is its reply"] = [], 1
    result.differences += asked.differences
    result.normalised = asked.normalised
    result.notes = asked.notes
    if expected.form == "unreadable":
        result.notes["a 200 that is no answer"] += 1
    if expected.streamed and expected.error is None and not expected.ended:
        result.notes["a stream that stops before its end"] += 1
    if expected.reading is not None and _odd_total(expected.reading):
        result.notes["a stated total that no convention gives"] += 1
    if outcome.response is not None:
        result.suspect = outcome.response.usage.source == "suspect"
        telling = Telling(
            spaced=_as_it_is if wire.arguments_are_text else _spaced,
            borders=wire.borders,
            no_reason=wire.no_reason,
            uncounted=wire.uncounted,
        )
        result.differences += check_server(provider, halves.server, outcome.response, telling)
    if expected.streamed and cutting is not None:
        result.differences += check_cuts(wire, provider, exchange.reply, cutting)
    return result


def _odd_total(reading: Reading) -> bool:
    """Whether the provider's own total is neither the sum of its parts nor that with what it says lies outside."""
    stated = (reading.reported or {}).get("total_tokens")
    return reading.total is not None and stated is not None and sum(reading.total) != stated


def _as_it_is(response: Response) -> Response:
    return response


def _spaced(response: Response) -> Response:
    """A Response whose arguments are spaced as a whole answer of a wire spaces them that holds them as objects."""
    parts = [_compact(part) if isinstance(part, ToolCall) else part for part in response.message.parts]
    return replace(response, message=replace(response.message, parts=tuple(parts)))


def _compact(call: ToolCall) -> ToolCall:
    try:
        value = json.loads(call.arguments or "{}")
    except ValueError:
        return call
    return replace(call, arguments=json.dumps(value, separators=(",", ":"), ensure_ascii=False))


# A file.


def run_file(path: Path, plan: Plan) -> FileResult:
    """All exchanges of a file that are in scope on the plan's wires."""
    found = FileResult(file=path.name)
    counts: Counter[str] = Counter()
    for exchange, wire in _in_scope(path, found):
        counts[wire.name] += 1
        if wire.name not in plan.wires:
            found.skipped[wire.name] += 1
        elif plan.keep is None or plan.keep(exchange):
            found.results.append(_check(exchange, wire, plan))
    found.complaints += missing(path.name, counts, plan.wires)
    return found


def _check(exchange: Exchange, wire: Wire | VectorWire, plan: Plan) -> ExchangeResult:
    try:
        if isinstance(wire, VectorWire):
            return _check_vectors(exchange, wire, plan.vector_halves(wire.name))
        return check_exchange(exchange, wire, plan.halves(wire.name), plan.cutting)
    except Exception as error:  # noqa: BLE001  # what breaks on one recording fails it, and the others still run
        broken = Difference(check="tool", what=f"broke on it: {type(error).__name__}: {error}")
        return ExchangeResult(id=exchange.id, wire=wire.name, form="broken", differences=[broken])


def _check_vectors(exchange: Exchange, wire: VectorWire, halves: VectorHalves) -> ExchangeResult:
    outcome = check_vectors(exchange, wire, halves)
    return ExchangeResult(
        id=exchange.id,
        wire=wire.name,
        form=outcome.form,
        differences=outcome.differences,
        normalised=outcome.normalised,
        notes=outcome.notes,
        suspect=outcome.suspect,
        unreviewed=outcome.unreviewed,
    )


def _in_scope(path: Path, found: FileResult) -> Iterator[tuple[Exchange, Wire | VectorWire]]:
    for exchange in read_file(path):
        if isinstance(exchange, str):
            found.complaints.append(exchange)
        elif (wire := wire_of(exchange)) is None:
            found.skipped[out_of_scope(exchange)] += 1
        else:
            yield exchange, wire
