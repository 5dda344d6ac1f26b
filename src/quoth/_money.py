"""What was used and what it cost: token counts as a partition, exact amounts, and the rule between them.

Users import these from ``quoth.types``. Amounts are integers or Decimals, never floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "EVENT_BUCKETS",
    "TOKEN_BUCKETS",
    "Cost",
    "CostBasis",
    "CostKind",
    "CostLine",
    "CostTotal",
    "PriceRule",
    "Usage",
    "UsageSource",
]

UsageSource: TypeAlias = Literal["provider", "missing", "suspect"]


class Usage(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """Token counts as a partition: every token stands in exactly one bucket, so the parts sum to the totals.

    ``source`` says how far to trust them: ``provider`` (its own numbers), ``missing`` (it sent none),
    ``suspect`` (it sent numbers that cannot be: negative, fractional, or parts above their whole). Totals
    are None unless the source is ``provider``. ``reported`` is the provider's own usage object, untouched.

    Tokens written to a cache stand by the time that they are kept for: ``cache_write_5m`` is the default lifetime of
    a wire, whatever it is there. ``web_searches``, ``file_searches`` and ``requests`` count events that are billed by
    the piece; a call is one request also where ``requests`` is 0.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_12h: int = 0
    input_audio: int = 0
    cache_read_audio: int = 0
    input_image: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    web_searches: int = 0
    file_searches: int = 0
    requests: int = 0
    source: UsageSource = "provider"
    reported: Mapping[str, Any] | None = None

    @property
    def input_tokens(self) -> int | None:
        """All tokens read: plain, cached, written to a cache, audio, images."""
        return self.total_input if self.source == "provider" else None

    @property
    def output_tokens(self) -> int | None:
        """All tokens written: text, reasoning, audio, images."""
        return self.total_output if self.source == "provider" else None

    @property
    def total_tokens(self) -> int | None:
        return self.total_input + self.total_output if self.source == "provider" else None

    @property
    def total_input(self) -> int:
        """The sum of the input buckets as they stand, whatever the source."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.cache_write_12h
            + self.input_audio
            + self.cache_read_audio
            + self.input_image
        )

    @property
    def total_output(self) -> int:
        """The sum of the output buckets as they stand, whatever the source."""
        return self.output + self.reasoning + self.output_audio + self.output_image

    def __add__(self, other: object) -> Usage:
        """Both, bucket by bucket; what is ``missing`` or ``suspect`` in one is so in the sum. No ``reported``."""
        if not isinstance(other, Usage):
            return NotImplemented
        counts = {name: getattr(self, name) + getattr(other, name) for name in (*TOKEN_BUCKETS, *EVENT_BUCKETS)}
        return Usage(source=self.source if self.source != "provider" else other.source, **counts)

    def buckets(self) -> Iterator[tuple[str, int]]:
        """The counts that are not zero, by bucket name."""
        for name in TOKEN_BUCKETS:
            if count := getattr(self, name):
                yield name, count


TOKEN_BUCKETS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_12h",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
)
"""The names of the token buckets of ``Usage``, in the order in which costs list them."""

EVENT_BUCKETS = ("web_searches", "file_searches", "requests")
"""The names of what is billed by the piece: its rates are stated per 1,000, those of tokens per 1,000,000."""


class PriceRule(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """The rates that priced a call: femto-dollars (1e-15 USD) for one token, or one event, of each bucket.

    ``id`` is the row of the table, ``source`` who says so, ``as_of`` the day on which that was read. The other fields
    say what chose these rates within the row.
    """

    id: str
    rates: Mapping[str, int]
    source: str
    as_of: str | None = None
    mode: str = "standard"
    """The service tier: ``standard`` is the list price, beside ``batch``, ``flex``, ``priority`` and others."""
    above: int = 0
    """These rates hold for requests of more than so many input tokens."""
    since: str = ""
    """The first day (UTC) of these rates; empty where they hold from the beginning."""
    window: str = ""
    """The hours of the week, by the name that the provider gives them (``peak``)."""
    region: str = ""
    """What makes the rates others than listed, such as ``inference_geo:us``."""
    multiplier: str = "1"
    """By what the listed rates were multiplied to give these."""
    note: str = ""
    """What else is to be known of how this row was found."""
    disputed: tuple[str, ...] = ()
    """What other sources say instead, each as ``output: litellm 7.5``."""

    @property
    def condition(self) -> str:
        """What chose these rates, in words: ``standard``, a service tier, a size step, a day, a region."""
        conditions = (
            self.mode,
            self.window,
            f"above {self.above:,} input tokens" if self.above else "",
            f"from {self.since}" if self.since else "",
            f"{self.region} x{self.multiplier}".strip() if self.multiplier != "1" else "",
            self.note,
        )
        return ", ".join(filter(None, conditions))


class CostLine(Struct, frozen=True, kw_only=True, gc=False):
    """One addend of a cost: ``count`` tokens or events of ``bucket`` at ``rate`` femto-dollars each."""

    bucket: str
    count: int
    rate: int

    @property
    def femto(self) -> int:
        return self.count * self.rate

    @property
    def usd(self) -> Decimal:
        """The exact amount of this line in US dollars."""
        return _usd(self.femto)

    def __str__(self) -> str:
        per, unit = (1_000, "1k") if self.bucket in EVENT_BUCKETS else (1_000_000, "M")
        return f"{self.count:,} {self.bucket} x ${_usd(self.rate * per):f}/{unit}"


CostKind: TypeAlias = Literal["computed", "provider", "override", "local", "estimate", "cached", "unknown"]
"""Where an amount comes from: reckoned with built-in prices; stated by the provider; reckoned with prices of your own;
free because it ran on this machine; a guess; an answer that was kept, and cost nothing; nobody knows."""

CostBasis: TypeAlias = Literal["served", "requested", "assumed"]
"""Whose word chose the rates: the answer's; the request's, where the answer is silent; nobody's."""


class Cost(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """What a call cost, exactly: ``femto`` is in femto-dollars (1e-15 USD), or None where it is unknown.

    Unknown is never zero: ``reason`` then says why, and ``known_usd`` what could be reckoned all the same. ``lines``
    and ``explain()`` are derived from the counts and the rule that priced them. ``sum(costs)`` is a ``CostTotal``.

    A cost that the provider states wins (``kind="provider"``): ``stated`` is its amount to the last digit, which
    ``usd`` gives and ``femto`` rounds, and ``computed`` is what our own reckoning says.
    """

    femto: int | None
    kind: CostKind = "computed"
    counts: tuple[tuple[str, int], ...] = ()
    rule: PriceRule | None = None
    reason: str | None = None
    basis: CostBasis | None = None
    stale: bool = False
    """The prices had been read more than 120 days before the call."""
    stated: str | None = None
    stated_in: str | None = None
    """Where in the answer the provider states its amount: ``usage.cost``."""
    computed: Cost | None = None

    @property
    def usd(self) -> Decimal | None:
        """The exact amount in US dollars, or None where it is unknown."""
        if self.stated is not None:
            return Decimal(self.stated)
        return None if self.femto is None else _usd(self.femto)

    @property
    def known_usd(self) -> Decimal:
        """The part of the amount that is known, in US dollars: all of it, unless the cost is unknown."""
        amount = self.usd
        return _usd(self.known_femto) if amount is None else amount

    @property
    def known_femto(self) -> int:
        """The part of the amount that is known, in femto-dollars."""
        return sum([line.femto for line in self.lines]) if self.femto is None else self.femto

    @property
    def nano(self) -> int | None:
        """The amount in nano-dollars (1e-9 USD), rounded up, as budgets count; None where it is unknown."""
        return None if self.femto is None else -(-self.femto // 10**6)

    @property
    def lines(self) -> tuple[CostLine, ...]:
        """One line a bucket; a bucket that has no rate has no line. Of a stated cost: the lines of the computed one."""
        if self.computed is not None:
            return self.computed.lines
        rates = self.rule.rates if self.rule else {}
        return tuple([CostLine(bucket=b, count=n, rate=rates[b]) for b, n in self.counts if b in rates])

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The buckets that were counted and have no rate."""
        if self.computed is not None:
            return self.computed.unpriced
        rates = self.rule.rates if self.rule else {}
        return tuple([bucket for bucket, _ in self.counts if bucket not in rates])

    @property
    def mode(self) -> str | None:
        """The service tier that priced it: ``standard``, ``flex``, ``priority``; None where no rule did."""
        return self.rule.mode if self.rule else None

    @property
    def tier(self) -> str | None:
        """The size step that priced it: ``>0``, or ``>272000`` where so many input tokens cost more."""
        return f">{self.rule.above}" if self.rule else None

    @property
    def source(self) -> str | None:
        """Who says so: the provider, a variable of yours, or the sources of the built-in table."""
        if self.kind == "provider":
            return f"the provider, in {self.stated_in}"
        return self.rule.source if self.rule else None

    @property
    def as_of(self) -> str | None:
        """The day on which the prices were read, where it is known."""
        return self.rule.as_of if self.rule else None

    @property
    def disputed(self) -> bool:
        """Whether sources of the built-in table disagree about this row; ``rule.disputed`` says how."""
        return bool(self.rule and self.rule.disputed)

    @property
    def difference(self) -> Decimal | None:
        """The stated amount less the computed one, in US dollars; None where one of them is not there."""
        stated, computed = self.usd, self.computed.usd if self.computed else None
        return None if stated is None or computed is None else _exact(_PRECISE.subtract(stated, computed))

    def explain(self) -> str:
        """The sum in words: each bucket, its count and rate, the rule and where it comes from."""
        if self.computed is not None:
            return f"{self}, as {self.source} states; computed: {self.computed.explain()}{self._differs()}"
        if self.rule is None:
            return str(self)
        terms = [str(line) for line in self.lines]
        amount = str(self)
        if self.femto is None:
            return f"{amount}; known part: {' + '.join(terms) or 'none'} {self._origin(self.rule)}"
        return f"{amount} = {' + '.join(terms) or '0 tokens'} {self._origin(self.rule)}"

    def _origin(self, rule: PriceRule) -> str:
        facts = (
            rule.id,
            rule.condition,
            f"{self.basis}, not served" if self.basis in ("requested", "assumed") else "",
            rule.source,
            rule.as_of or "",
            "stale" if self.stale else "",
            f"disputed: {'; '.join(rule.disputed)}" if rule.disputed else "",
        )
        return f"[{', '.join(filter(None, facts))}]"

    def _differs(self) -> str:
        less = self.difference
        return f"; difference {less:+f}" if less else ""

    def __str__(self) -> str:
        amount = self.usd
        if amount is None:
            return f"unknown ({self.reason})" if self.reason else "unknown"
        return f"about ${amount:f}" if self.kind == "estimate" else f"${amount:f}"

    def __add__(self, other: object) -> CostTotal:
        return CostTotal.of(self) + other

    def __radd__(self, other: object) -> CostTotal:
        return CostTotal.of(self) + other


class CostTotal(Struct, frozen=True, kw_only=True, gc=False):
    """An exact sum of costs, ``sum(costs)``: in any order the same, and an unknown is counted, never added as zero."""

    known_usd: Decimal = Decimal(0)
    """The sum of all that is known, in US dollars: a lower bound where something is unknown."""
    calls: int = 0
    unknown_costs: int = 0

    @classmethod
    def of(cls, cost: Cost) -> CostTotal:
        """The sum of one cost."""
        return cls(known_usd=cost.known_usd, calls=1, unknown_costs=int(cost.usd is None))

    @property
    def usd(self) -> Decimal | None:
        """The exact sum, or None where a cost in it is unknown."""
        return None if self.unknown_costs else self.known_usd

    def __add__(self, other: object) -> CostTotal:
        if isinstance(other, Cost):
            other = CostTotal.of(other)
        if isinstance(other, int) and other == 0:  # where sum() begins
            return self
        if not isinstance(other, CostTotal):
            return NotImplemented
        return CostTotal(
            known_usd=_exact(_PRECISE.add(self.known_usd, other.known_usd)),
            calls=self.calls + other.calls,
            unknown_costs=self.unknown_costs + other.unknown_costs,
        )

    __radd__ = __add__

    def __str__(self) -> str:
        more = f" + {self.unknown_costs} unknown" if self.unknown_costs else ""
        return f"${self.known_usd:f}{more}"


def _usd(femto: int) -> Decimal:
    """Femto-dollars as an exact Decimal without trailing zeros (but ``0``, and never an exponent)."""
    whole, part = divmod(abs(femto), 10**15)
    digits = f"{whole}.{part:015d}".rstrip("0").rstrip(".")
    return Decimal(f"-{digits}" if femto < 0 else digits)


_PRECISE = Context(prec=400)
"""Adds amounts without rounding: an amount has at most 300 digits."""


def _exact(amount: Decimal) -> Decimal:
    """An amount without an exponent and without zeros at its end."""
    text = f"{amount:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
