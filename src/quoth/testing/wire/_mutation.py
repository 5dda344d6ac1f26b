"""Mutation: do the checks notice? One leaf of a recorded answer is changed, and the original must be missed.

A *mutant* is a recorded reply in which one leaf that says something was made to say something else: a text longer, a
number larger by one, a truth its opposite. What is expected is still what the original said, so that whoever reads
the leaf must find a difference. In a stream the leaf is changed in one event: where each event says a piece, in any;
where each says all of it, in the one that counts.

A leaf that no client reads is left alone: the ``unread`` paths of its reader, each with its reason. A *survivor* is a
mutant that nobody noticed.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ...wire import WireReply
from ._answers import Expected, expect, meet
from ._errors import ErrorReading, read_error
from ._files import Exchange, read_file
from ._rows import provider_of
from ._run import Plan
from ._scope import wire_of
from ._vectors import VectorsExpected, VectorWire, expect_vectors, meet_vectors
from ._wires import Wire
from .readers._events import Event, events_of
from .readers._json import object_in
from .readers._mutable import MutableLeaves

__all__ = ["LEAST", "Mutant", "MutationResult", "Survivor", "mutants", "mutate_file"]

PER_RECORDING = 8
LEAST = 0.99
"""The share of mutants that must be noticed."""

NOT_READ = "says nothing here: another place says it, or none is asked to"
DEAF = "the independent reading changes, and the dialect's does not"

Steps = tuple[str | int, ...]


class Mutant(Struct, frozen=True, kw_only=True):
    """A reply with one leaf changed."""

    path: str
    reply: WireReply


class Survivor(Struct, frozen=True, kw_only=True):
    """A mutant that nobody noticed."""

    file: str
    id: str
    wire: str
    path: str
    reason: str


class MutationResult(Struct, kw_only=True):
    """What came of the mutants of one file."""

    file: str
    made: Counter[str] = field(default_factory=Counter)
    """By wire."""
    noticed: Counter[str] = field(default_factory=Counter)
    survivors: list[Survivor] = []


def mutate_file(path: Path, plan: Plan, seed: int, most: int = PER_RECORDING) -> MutationResult:
    """Mutate each exchange of a file that is in scope, ``most`` times, and see whether it is noticed."""
    found = MutationResult(file=path.name)
    for exchange in read_file(path):
        if isinstance(exchange, str) or (wire := wire_of(exchange)) is None or wire.name not in plan.wires:
            continue
        if plan.keep is not None and not plan.keep(exchange):
            continue
        chance = random.Random(f"{seed}:{exchange.id}")  # noqa: S311  # no secret
        if isinstance(wire, VectorWire):
            _mutate_vectors(exchange, wire, plan, found, chance=chance, most=most)
            continue
        _mutate(exchange, wire, plan, found, chance=chance, most=most)
    return found


def _mutate(
    exchange: Exchange, wire: Wire, plan: Plan, found: MutationResult, *, chance: random.Random, most: int
) -> None:
    provider = provider_of(exchange, wire.name, plan.halves(wire.name).client)
    by_finish = wire.by_finish(provider.wire.quirks)
    expected = expect(wire, exchange, by_finish=by_finish)
    for mutant in mutants(exchange, wire, expected, chance, most):
        found.made[wire.name] += 1
        if meet(expected, wire, provider, mutant.reply, exchange.provider).differences:
            found.noticed[wire.name] += 1
            continue
        reason = _reason(expected, expect(wire, replace(exchange, reply=mutant.reply), by_finish=by_finish))
        found.survivors.append(
            Survivor(file=exchange.file, id=exchange.id, wire=wire.name, path=mutant.path, reason=reason)
        )


def _mutate_vectors(
    exchange: Exchange, wire: VectorWire, plan: Plan, found: MutationResult, *, chance: random.Random, most: int
) -> None:
    halves, expected = plan.vector_halves(wire.name), expect_vectors(wire, exchange)
    for mutant in mutants(exchange, wire, expected, chance, most):
        found.made[wire.name] += 1
        if meet_vectors(expected, wire, exchange, mutant.reply, halves)[0]:
            found.noticed[wire.name] += 1
            continue
        again = expect_vectors(wire, replace(exchange, reply=mutant.reply))
        reason = NOT_READ if again == expected else DEAF
        found.survivors.append(
            Survivor(file=exchange.file, id=exchange.id, wire=wire.name, path=mutant.path, reason=reason)
        )


def _reason(expected: Expected, again: Expected) -> str:
    """Why nobody noticed: the leaf changes nothing that is compared, or the dialect is deaf to it."""
    for each in (expected, again):
        if each.reading is not None:
            each.reading.said = Counter()  # what may be kept is no part of what is said
    return NOT_READ if again == expected else DEAF


# Making mutants.


def mutants(
    exchange: Exchange,
    wire: Wire | VectorWire,
    expected: Expected | VectorsExpected,
    chance: random.Random,
    most: int,
) -> Iterator[Mutant]:
    """Some mutants of a recorded reply, by chance; of vectors, whose numbers are many, one of each path first."""
    if expected.form == "unreadable":  # nothing is read of it
        return
    body = exchange.reply.body
    made = list(_places(exchange.reply, wire, expected))
    chosen = chance.sample(made, min(most, len(made)))
    if isinstance(wire, VectorWire):
        first = list({place.path(): place for place in chance.sample(made, len(made))}.values())
        chosen = [*first, *[place for place in chosen if all(place is not other for other in first)]][:most]
    for place in chosen:
        event = place.event
        text = json.dumps(_changed(place.value, place.steps), ensure_ascii=False).encode("utf-8", "surrogatepass")
        new = text if event is None else body[: event.start] + event.saying(text) + body[event.end :]
        where = "" if event is None else f" at byte {event.start}"
        yield Mutant(path=place.path(index=True) + where, reply=replace(exchange.reply, body=new))


class Place(Struct, frozen=True, kw_only=True):
    """A leaf: the way to it, the JSON that it stands in, and the event that this is the data of."""

    steps: Steps
    value: Any
    event: Event | None = None

    def path(self, *, index: bool = False) -> str:
        """``$.choices[*].index``; with the type of its event before it, where that has one."""
        kind = self.event.kind if self.event is not None else None
        steps = [f"[{step if index else '*'}]" if isinstance(step, int) else f".{step}" for step in self.steps]
        return f"{kind}:$" + "".join(steps) if kind else "$" + "".join(steps)

    @property
    def numbers(self) -> str:
        """Which of the objects in lists it stands in: what they call their own index."""
        value, found = self.value, []
        for step in self.steps:
            value = value[step]
            if isinstance(step, int):
                found.append(object_in(value).get("index", step))
        return repr(found)

    @property
    def leaf(self) -> Any:
        """The leaf itself."""
        value = self.value
        for step in self.steps:
            value = value[step]
        return value


def _places(reply: WireReply, wire: Wire | VectorWire, expected: Expected | VectorsExpected) -> Iterator[Place]:
    """The leaves that count."""
    body, leaves = reply.body, wire.reader.MUTABLE
    if expected.error is not None:
        places = list(_all_places(body, leaves, streamed=expected.streamed))
        found = [place for place in places if _of_error(place, leaves, raised=expected.form == "error in a 200")]
        found = [place for place in found if _changes(place, reply, wire)]
        unread = leaves.unread_in_errors
    else:
        found = list(_all_places(body, leaves, streamed=expected.streamed))
        unread = leaves.unread_in_streams if expected.streamed else leaves.unread
    if not expected.ended and expected.error is None:  # of what did not come to its end, these are compared
        found = [place for place in found if any(_below(place.path(), path) for path in leaves.told)]
    read = [place for place in found if not any(_below(place.path().removeprefix("error:"), path) for path in unread)]
    yield from _that_count(read, leaves) if expected.streamed and expected.error is None else read


def _changes(place: Place, reply: WireReply, wire: Wire | VectorWire) -> bool:
    """Whether an error says something else with this leaf changed: each server has fields of its own beside."""

    def said(value: Any) -> ErrorReading:
        refused = wire.refusal(object_in(value)) if wire.refusal else None
        return read_error(refused or value, reply, wire.error_words, wire.error_header)

    return said(_changed(place.value, place.steps)) != said(place.value)


def _all_places(body: bytes, leaves: MutableLeaves, *, streamed: bool) -> Iterator[Place]:
    if not streamed:
        try:
            value = json.loads(body, strict=False)
        except ValueError:
            return
        yield from (Place(steps=steps, value=value) for steps in _leaves(value))
        return
    for event in events_of(body):
        value = event.value
        if isinstance(value, dict) and _is_read(value, event, leaves):
            yield from (Place(steps=steps, value=value, event=event) for steps in _leaves(value))


def _is_read(value: dict[str, Any], event: Event, leaves: MutableLeaves) -> bool:
    kind = value.get("type") or event.name
    return leaves.events is None or kind in leaves.events or bool(value.get("error"))


def _of_error(place: Place, leaves: MutableLeaves, *, raised: bool) -> bool:
    """Of what fails, only its error is mutated: of a stream, and of a choice. A call raises its code, or its type."""
    holder = object_in(place.value)
    inner = object_in(holder.get("error"))
    choice = ("choices", 0, "error")
    if raised and place.steps[-1] in ("type", "param") and (place.steps[-1] == "param" or inner.get("code")):
        return False
    if place.event is None and not raised:
        return True
    if any(_below(place.path(), path) for path in leaves.refusals):
        return True
    return place.steps[0] == "error" or place.steps[:3] == choice


def _that_count(places: list[Place], leaves: MutableLeaves) -> Iterator[Place]:
    """Of what a stream says again and again: each piece of what grows, the first or the last of all else."""
    paths = {place.path() for place in places}
    last: dict[str, int] = {}
    first: dict[str, int] = {}
    begun: dict[object, int] = {}
    for place in places:
        path, at = place.path(), place.event.start if place.event else 0
        unit = re.match(leaves.unit, path)
        last[unit[0] if unit else path] = at
        if place.leaf:
            first.setdefault(path, at)
            begun.setdefault((path, place.numbers), at)
    for place in places:
        path, at = place.path(), place.event.start if place.event else 0
        unit = re.match(leaves.unit, path)
        if path in leaves.begins:
            if begun.get((path, place.numbers)) == at:
                yield place
        elif any(_below(path, growing) for growing in leaves.growing):
            if not _said_again(path, paths, leaves):
                yield place
        elif path in leaves.first:
            if first.get(path) == at:
                yield place
        elif last[unit[0] if unit else path] == at and not _said_again(path, paths, leaves):
            yield place


def _said_again(path: str, paths: Collection[str], leaves: MutableLeaves) -> bool:
    """Whether a later event says the same field anew, so that this one does not count."""
    for before, after in leaves.replaced:
        if not _below(path, before):
            continue
        if after.endswith("[*]"):
            if any(_below(other, after) for other in paths):
                return True
        else:
            key = re.match(r"\.?[^.\[]*", path[len(before) :])
            if key and any(_below(other, after + key[0]) for other in paths):
                return True
    return False


def _leaves(value: Any, steps: Steps = ()) -> Iterator[Steps]:
    """The ways to all leaves; null says nothing."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*steps, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*steps, index))
    elif value is not None:
        yield steps


def _below(path: str, above: str) -> bool:
    """Whether a path is this one, or leads below it."""
    return path == above or path.startswith((f"{above}.", f"{above}["))


def _changed(value: Any, steps: Steps) -> Any:
    """A copy in which the leaf at the end of ``steps`` says something else."""
    if not steps:
        return _other(value)
    if isinstance(value, list):
        at = int(steps[0])
        return [*value[:at], _changed(value[at], steps[1:]), *value[at + 1 :]]
    return {**value, steps[0]: _changed(value[steps[0]], steps[1:])}


def _other(leaf: Any) -> Any:
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, str):
        return f"{leaf}~"
    return leaf + 1 if leaf < leaf + 1 else 0  # to NaN and what is very large, one more is none
