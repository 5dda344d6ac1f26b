"""Answers: what the reader that calls use makes of a body, beside an independent reading of the same bytes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ...providers._provider import Provider
from ...types import Response
from ...wire import WireReply
from ._errors import ErrorReading, check_error, check_raised, error_in, read_error
from ._files import Exchange
from ._reading import Difference, OneAnswer, Reading, compare
from ._streams import end_of, feed
from ._wires import Wire
from .readers._json import json_of

__all__ = ["Expected", "Outcome", "expect", "meet"]

Form = Literal["answer", "stream", "error", "error in a 200", "unreadable"]


class Expected(Struct, frozen=True, kw_only=True):
    """What a recorded reply must be taken for, read from its bytes."""

    form: Form
    reading: Reading | None = None
    """What it says; of a stream that ends in an error, what came before."""
    error: ErrorReading | None = None
    ended: bool = True
    streamed: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """What it was taken for."""

    response: Response | None = None
    differences: list[Difference] = []
    unreviewed: ErrorReading | None = None
    """An error that nobody has read yet."""


def expect(wire: Wire, exchange: Exchange, *, by_finish: bool) -> Expected:
    """Read a recorded reply independently."""
    reply, streamed = exchange.reply, wire.is_stream(exchange)
    if exchange.failed:
        return Expected(form="error", error=read_error(json_of(reply.body), reply, wire.error_words, wire.error_header))
    end = end_of(wire, reply.body, by_finish=False) if streamed else None
    wrong = error_in(reply.body[:end], streamed=streamed, refusal=wire.refusal)
    error = None if wrong is None else read_error(wrong, reply, wire.error_words, wire.error_header)
    if streamed:
        reading = wire.reader.stream(reply.body)
        ended = end_of(wire, reply.body, by_finish=by_finish) is not None or wire.reader.finished(reading)
        return Expected(
            form="stream" if error is None else "error in a 200",
            reading=reading,
            error=error,
            ended=ended and error is None,
            streamed=True,
        )
    if error is not None:
        return Expected(form="error in a 200", error=error)
    answer = json_of(reply.body)
    if not isinstance(answer, dict) or not wire.reader.is_answer(answer):
        return Expected(form="unreadable")
    return Expected(form="answer", reading=wire.reader.whole(answer))


def meet(expected: Expected, wire: Wire, provider: Provider, reply: WireReply, recorder: str) -> Outcome:
    """Read a reply as a call does, and say what is not as expected; ``recorder`` is whom its recording names."""
    if expected.form == "error" and expected.error is not None:
        info = provider.dialect.parse_error(reply)
        differences, unreviewed = check_error(expected.error, wire.name, recorder, info)
        return Outcome(differences=differences, unreviewed=unreviewed)
    result = feed(provider, reply, [reply.body])
    if expected.error is not None:
        differences, unreviewed = check_raised(expected.error, wire.name, recorder, result.error)
        if result.ended:
            differences.append(_differs(expected.form, "ended", False, True))
        return Outcome(differences=differences + _partial(expected, result.response), unreviewed=unreviewed)
    if expected.form == "unreadable":
        found = None if result.error is None else result.error.kind
        return Outcome(differences=[] if found == "unreadable" else [_differs("answer", "raised", "unreadable", found)])
    if result.error is not None:
        error = f"{result.error.kind}: {result.error.message}"
        return Outcome(differences=[_differs(expected.form, "raised", None, error)])
    if result.ended != expected.ended:
        return Outcome(differences=[_differs(expected.form, "ended", expected.ended, result.ended)])
    if not expected.ended:
        return Outcome(differences=_partial(expected, result.response))
    reading = expected.reading or Reading(answer=OneAnswer())
    return Outcome(response=result.response, differences=compare(reading, result.response, expected.form))


def _partial(expected: Expected, response: Response) -> list[Difference]:
    """What came before the error of a stream, or before it stopped."""
    if expected.reading is None:
        return []
    said = expected.reading.answer
    pairs = [("text", said.text, response.text), ("reasoning", said.reasoning, response.reasoning)]
    return [_differs(expected.form, f"{what} that came", one, other) for what, one, other in pairs if one != other]


def _differs(form: str, what: str, expected: object, found: object) -> Difference:
    return Difference(check=form, what=what, expected=expected, found=found)
