"""What a call would cost, before it is made; and what calls would have cost, after they were.

Nobody knows how many tokens an answer will have, and few know how many a prompt has. So an estimate has two amounts:
the expected one, a guess, and the worst one, a bound that holds as long as what it says of itself does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from . import _json
from ._catalog import model_info
from ._costs import OwnPrice, Prices
from .errors import InputError
from .instrumentation import CallRecord
from .instrumentation._days import Day, moment
from .providers._provider import Provider
from .transport._clock import time
from .types import Cost, CostTotal, Message, ModelRequest, PriceRule, Text, Tool, ToolCall, ToolResult, Usage

__all__ = ["Estimate", "Repricing", "cheapest_first", "estimate", "reprice"]

EXPECTED_OUTPUT = 500
"""Tokens that an answer is expected to have where nobody says better: a guess, and no more."""

BYTES_A_TOKEN = 4
"""UTF-8 bytes of a token on average, in English; other scripts have fewer."""

MOST_OVERHEAD = 16
"""Tokens that a message, or a tool, has beside its text, at most: the wire's own words around it."""

EXPECTED_OVERHEAD = 4


class Estimate(Struct, frozen=True, kw_only=True, gc=False):
    """What a call would cost: ``expected`` by a guess of its tokens, ``worst`` by a bound, both of kind ``estimate``.

    ``counted`` says how the tokens were found. A cost is unknown where nobody can bound it (a picture, no limit for the
    answer), with the reason.
    """

    model: str
    input_tokens: int
    most_input_tokens: int | None
    output_tokens: int
    most_output_tokens: int | None
    counted: str
    expected: Cost
    worst: Cost

    def __str__(self) -> str:
        most = "no bound" if self.worst.usd is None else f"at most ${self.worst.usd:f}"
        return (
            f"{self.model}: {self.expected}, {most} "
            f"({self.input_tokens:,} tokens in, {self.output_tokens:,} out; {self.counted})"
        )


class _Count(Struct, frozen=True, gc=False):
    expected: int
    most: int | None
    words: str
    reason: str = ""


def estimate(
    prices: Prices, provider: Provider, request: ModelRequest, output_tokens: int | None, price: OwnPrice | None
) -> Estimate:
    """Estimate one call. ``output_tokens`` is how long the answer is expected to be, where the caller knows better."""
    given: object = output_tokens
    if given is not None and (type(given) is not int or given < 0):
        raise InputError(f"output_tokens is a number of tokens, not {given!r:.80}")
    count = _count(request)
    most_output = _most_output(provider, request)
    output = EXPECTED_OUTPUT if output_tokens is None else output_tokens
    output = output if most_output is None else min(output, most_output)
    asked = tuple([(name, value) for name in _ASKED if isinstance(value := request.extra.get(name), str)])

    def cost(usage: Usage) -> Cost:
        found = prices.cost(provider.spec.prices, provider.model, usage, at=time(), asked=asked, price=price)
        return replace(found, kind="estimate") if found.kind not in ("unknown", "local") else found

    expected = cost(Usage(input=count.expected, output=output))
    return Estimate(
        model=provider.id,
        input_tokens=count.expected,
        most_input_tokens=count.most,
        output_tokens=output,
        most_output_tokens=most_output,
        counted=count.words,
        expected=replace(expected, femto=None, kind="unknown", reason=count.reason) if count.reason else expected,
        worst=_worst(cost, expected, count, most_output),
    )


_ASKED = ("service_tier", "speed", "inference_geo")


def _worst(cost: Callable[[Usage], Cost], expected: Cost, count: _Count, most_output: int | None) -> Cost:
    """The dearest that the counts can be: all that is read written to a cache, all that is written by its top rate."""
    if expected.usd is None or expected.rule is None:
        return expected
    if count.most is None or most_output is None:
        reason = count.reason or "no max_tokens, and the catalog does not know how long an answer can be"
        return Cost(femto=None, kind="unknown", rule=expected.rule, reason=reason)
    rule = cost(Usage(input=count.most)).rule or expected.rule  # of the size step that so large a request falls into
    read, write = _dearest(rule, ("input", "cache_write_5m")), _dearest(rule, ("output", "reasoning"))
    return cost(replace(Usage(), **{read: count.most, write: most_output}))


def _dearest(rule: PriceRule, buckets: tuple[str, ...]) -> str:
    return max(buckets, key=lambda bucket: rule.rates.get(bucket, -1))


def _most_output(provider: Provider, request: ModelRequest) -> int | None:
    if request.max_tokens is not None:
        return request.max_tokens
    if "answers" in provider.denied:  # it embeds
        return 0
    known = model_info(provider.id)
    return known.max_output_tokens if known else None


# Counting tokens.

Encoder: TypeAlias = Callable[[str], int]


def _count(request: ModelRequest) -> _Count:
    texts = list(_texts(request))
    pieces = len(request.messages) + len(request.tools)
    foreign = sorted({kind for message in request.messages for kind in _foreign(message)})
    encode, words = _encoder(request.model)
    if encode is not None:
        exact = sum(map(encode, texts))
        expected, most = exact + EXPECTED_OVERHEAD * pieces, exact * 11 // 10 + MOST_OVERHEAD * (pieces + 1)
    else:
        size = sum([len(text.encode("utf-8", "replace")) for text in texts])
        expected, most = -(-size // BYTES_A_TOKEN) + EXPECTED_OVERHEAD * pieces, size + MOST_OVERHEAD * (pieces + 1)
        words = f"no tokenizer: {BYTES_A_TOKEN} bytes of UTF-8 a token expected, one at most"
    if foreign:
        reason = f"the provider alone knows how many tokens there are in: {', '.join(foreign)}"
        return _Count(expected, None, words, reason)
    return _Count(expected, most, words)


def _texts(request: ModelRequest) -> Iterator[str]:
    for message in request.messages:
        for part in message.parts:
            yield from _texts_of(part)
    for tool in request.tools:
        yield from _texts_of_tool(tool)
    if request.output is not None and request.output.schema is not None:
        yield _json.encode(request.output.schema).decode()


def _texts_of(part: object) -> Iterator[str]:
    match part:
        case ToolCall(name=name, arguments=arguments):
            yield from (name, arguments)
        case ToolResult(parts=parts):
            yield from [each.text for each in parts if isinstance(each, Text)]
        case _:
            text = getattr(part, "text", None)
            if isinstance(text, str):
                yield text


def _texts_of_tool(tool: Tool) -> Iterator[str]:
    yield tool.name
    yield tool.description or ""
    yield _json.encode(tool.parameters or {}).decode()


def _foreign(message: Message) -> Iterator[str]:
    """What in a message is no text, by its kind."""
    for part in message.parts:
        inner = part.parts if isinstance(part, ToolResult) else (part,)
        yield from [type(each).__name__ for each in inner if type(each).__name__ in ("Image", "Audio", "Document")]


def _encoder(model: str) -> tuple[Encoder | None, str]:
    """The tokenizer of a model, where it is installed and has its words at hand: it would fetch them otherwise."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", "")
    if not folder or not os.path.isdir(folder) or not os.listdir(folder):  # noqa: PTH112, PTH208  # as elsewhere
        return None, ""
    try:
        import tiktoken

        encoding = tiktoken.encoding_for_model(model)
    except (ImportError, KeyError):
        return None, ""
    return lambda text: len(encoding.encode_ordinary(text)), f"counted by tiktoken {encoding.name}"


# Several models, and calls that were made.


def cheapest_first(estimates: Iterable[Estimate]) -> list[Estimate]:
    """By what is expected, those that nobody can price last."""
    return sorted(estimates, key=lambda each: (each.expected.usd is None, each.expected.known_usd))


class Repricing(Struct, frozen=True, kw_only=True):
    """What calls would have cost: ``costs`` in the order of the records, None where a call certainly cost nothing."""

    costs: tuple[Cost | None, ...]
    before: CostTotal
    after: CostTotal

    def __str__(self) -> str:
        return f"{self.before} -> {self.after} over {self.after.calls} calls"


Priced: TypeAlias = Callable[[str], tuple[str, bool]]
"""The name of a provider in the price table, and whether the id that was asked for says the price."""


def reprice(records: Iterable[CallRecord], prices: Prices, as_of: Day, priced: Priced) -> Repricing:
    """Reckon calls anew, each as its provider is priced."""
    kept = list(records)
    at = moment(as_of, "as_of")
    costs = tuple([_again(record, prices, at, priced) for record in kept])
    return Repricing(
        costs=costs,
        before=_total([record.cost for record in kept]),
        after=_total(costs),
    )


def _total(costs: Iterable[Cost | None]) -> CostTotal:
    total = CostTotal()
    for cost in costs:
        if cost is not None:
            total += cost
    return total


def _again(record: CallRecord, prices: Prices, at: float | None, priced: Priced) -> Cost | None:
    old = record.cost
    if old is None or record.usage is None:
        return old
    reckoned = old.computed or old
    rule = reckoned.rule
    basis = reckoned.basis
    name, as_asked = priced(record.provider)
    new = prices.cost(
        name,
        "" if as_asked else record.served_model or "",
        record.usage,
        at=record.started_at if at is None else at,
        tier=rule.mode if rule and basis == "served" else None,
        asked=(("service_tier", rule.mode),) if rule and basis == "requested" else (),
        requested=record.model,
        region=_place(rule, host=False),
        host=_place(rule, host=True),
    )
    return replace(old, computed=new) if old.kind == "provider" else new


def _place(rule: PriceRule | None, *, host: bool) -> str | None:
    """Where a call was served, as far as it set its price."""
    places = [place for place in (rule.region.split() if rule else ()) if place.startswith("host:") == host]
    return places[0] if places else None
