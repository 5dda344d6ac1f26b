"""Bills: a usage object in which the provider says itself what the call cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..._costs._stated import stated_amount
from ...dialects.openai_chat._usage import parse_usage as parse_chat_usage
from ...dialects.openai_responses._usage import parse_usage as parse_responses_usage
from ...providers._registry import PROVIDERS
from ...types import Cost, Usage
from ._tables import Table, plain
from ._verdicts import Verdict

__all__ = ["check_bill"]

NAMES = {"vercel-gateway": "vercel"}
"""Names of providers in such files that are not ours."""

REASONING_OUTSIDE = frozenset({"vercel"})
"""Who counts reasoning beside ``completion_tokens``, and not in them, whatever the total says: its bills show it."""

VENDORS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "x-ai": "xai",
    "z-ai": "zai",
    "perplexity": "perplexity",
    "deepseek": "deepseek",
    "mistralai": "mistral",
    "moonshotai": "moonshot",
    "minimax": "minimax",
    "cohere": "cohere",
}
"""Whose list price a gateway passes on, by the first part of the id."""

BY_THE_TOKEN = frozenset({"chat", "responses", "embeddings", "messages", "completions"})


class Bill(NamedTuple):
    """One stated amount and all that was reckoned beside it, the nearest guess last."""

    provider: str
    api: str
    request_model: str
    reported: Mapping[str, Any]
    stated: Decimal
    usage: Usage
    costs: tuple[Cost, ...]

    def number(self, path: str) -> Decimal | None:
        """A number of the usage object."""
        value: Any = self.reported
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return Decimal(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None


def check_bill(row: Mapping[str, Any], table: Table) -> Verdict:
    """Is the stated amount read to the last digit, and reckoned to the last digit?"""
    said: str = row["provider"]
    name, group = NAMES.get(said, said), f"stated by {said}"
    spec, reported = PROVIDERS.get(name), row["usage"]
    if spec is None or spec.reported_cost is None:
        return Verdict(row["id"], group, "failed", "UNREAD: the provider's row names no place of its cost", "")
    path, units = spec.reported_cost, spec.reported_cost_units
    truth = _truth(reported, path.removeprefix("usage."), units)
    for body in ({"usage": reported}, {"usage": _as_floats(reported)}):
        read = stated_amount(body, path, units)
        if truth is None and isinstance(read, str):
            return Verdict(
                row["id"], group, "excepted", "the amount of an account of the caller's own is not stated", read
            )
        if truth is None or read != truth:
            return Verdict(row["id"], group, "failed", "MISREAD", f"stated {truth}, read {read}")
    usage = _usage(name, reported)
    models = [model for model in (row.get("response_model"), row.get("request_model")) if model]
    costs = tuple(_costs(name, models, usage, table))
    bill = Bill(name, row["api"], row.get("request_model") or "", reported, truth or Decimal(0), usage, costs)
    ours = costs[0].explain() if costs else "no model"
    detail = f"{name}/{'/'.join(models[-1:])}: stated ${plain(bill.stated)}, ours {ours}"
    if costs and costs[0].usd == bill.stated:
        return Verdict(row["id"], group, "equal", "to the last digit, by the provider's own row", detail)
    for words, holds in EQUAL.items():
        if holds(bill):
            return Verdict(row["id"], group, "equal", words, detail)
    words = next((words for words, holds in EXCEPTIONS.items() if holds(bill)), "")
    return Verdict(row["id"], group, "excepted" if words else "failed", words or "UNCLASSIFIED", detail)


def _truth(reported: Mapping[str, Any], path: str, units: int) -> Decimal | None:
    """The amount by its text, read without the code that is tested; with what the other account pays, if any."""
    value: Any = reported
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, (int, Decimal)):
        return None
    amount = Decimal(value)
    if reported.get("is_byok") is True:
        upstream = (reported.get("cost_details") or {}).get("upstream_inference_cost")
        if upstream is None:
            return None
        amount += Decimal(upstream)
    return Decimal(plain(amount / units))


def _as_floats(value: Any) -> Any:
    """As a JSON decoder that knows no Decimal gives it."""
    if isinstance(value, Mapping):
        return {name: _as_floats(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value


def _usage(provider: str, reported: Mapping[str, Any]) -> Usage:
    """The buckets; a usage object names its own wire."""
    plain_numbers = _as_floats(reported)
    if "input_tokens" in reported:
        return parse_responses_usage(plain_numbers)
    thought = (reported.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    if provider in REASONING_OUTSIDE and thought:
        inside = {**plain_numbers, "completion_tokens": reported["completion_tokens"] + thought, "total_tokens": None}
        return replace(parse_chat_usage(inside), reported=plain_numbers)
    return parse_chat_usage(plain_numbers)


def _costs(provider: str, models: list[str], usage: Usage, table: Table) -> Iterator[Cost]:
    """What our prices say: by the provider's own row; by the list of the vendor that the id names; on other days."""
    if not models:
        return
    keys = [(provider, model) for model in models]
    for model in models:
        vendor, _, name = model.partition("/")
        if vendor in VENDORS:
            keys += [(VENDORS[vendor], spelled) for spelled in _spellings(name)]
    for at in (NOW, *OTHER_DAYS):
        for namespace, model in keys:
            cost = table.prices.cost(namespace, model, usage, at=at)
            if cost.rule is not None or (at, namespace, model) == (NOW, *keys[0]):
                yield cost


def _spellings(name: str) -> list[str]:
    """A gateway writes ``claude-4.5-haiku-20251001`` or ``claude-haiku-4.5``; the vendor ``claude-haiku-4-5``."""
    undated = re.sub(r"-20\d{6}$", "", name)
    swapped = re.sub(r"^claude-(\d[\d.]*)-(\w+)$", r"claude-\2-\1", undated)
    return list(dict.fromkeys([name, undated, swapped, swapped.replace(".", "-")]))


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
OTHER_DAYS = tuple(
    (datetime(2024, 1, 2, 12, tzinfo=UTC) + timedelta(days=days)).timestamp() for days in range(0, 1_090, 7)
)
"""Such files tell no time: where the price of today does not agree, that of another week may have held."""


def _vendors_list(bill: Bill) -> bool:
    return any(cost.usd == bill.stated for cost in bill.costs if cost.rule and not cost.rule.since)


def _another_day(bill: Bill) -> bool:
    return any(cost.usd == bill.stated for cost in bill.costs)


EQUAL: dict[str, Callable[[Bill], bool]] = {
    "to the last digit, by the list of the vendor whose price the gateway passes on": _vendors_list,
    "to the last digit, at a price that held on another day": _another_day,
}


def _own_key(bill: Bill) -> bool:
    """The gateway bills its fee and the vendor the rest: their sum is ours, or the vendor's own part is."""
    return bill.reported.get("is_byok") is True


def _by_the_piece(bill: Bill) -> bool:
    return bill.api not in BY_THE_TOKEN


def _free_offer(bill: Bill) -> bool:
    return bill.request_model.endswith(":free") and not bill.stated


def _cannot_be(bill: Bill) -> bool:
    return bill.usage.source != "provider"


def _rounded(bill: Bill) -> bool:
    """Perplexity rounds what was read, what was written, the fee and their sum, each to 0.00001."""
    ours = bill.costs[0].usd if bill.costs else None
    if ours is None or not all(_near_by_part(bill)):
        return False
    return bill.stated % (2 * _HALF) == 0 and abs(bill.stated - ours) <= 3 * _HALF


def _fee_by_size(bill: Bill) -> bool:
    """What was read and written is ours, and the fee for the request is another than the one that TABLE states."""
    near = _near_by_part(bill)
    return near[:2] == [True, True] and "search_context_size" in bill.reported


def _near_by_part(bill: Bill) -> list[bool]:
    """Whether ours is within the rounding of each part that is stated: read, written, for the request."""
    parts = [bill.number(f"cost.{part}") for part in ("input_tokens_cost", "output_tokens_cost", "request_cost")]
    if None in parts or not bill.costs:
        return [False]
    ours = dict.fromkeys(("read", "written", "requests"), Decimal(0))
    for line in bill.costs[0].lines:
        ours["requests" if line.bucket == "requests" else "written" if line.bucket in _WRITTEN else "read"] += line.usd
    return [abs((part or 0) - amount) <= _HALF for part, amount in zip(parts, ours.values(), strict=True)]


_HALF = Decimal("0.000005")
_MILL = Decimal("0.001")
_WRITTEN = ("output", "reasoning", "output_audio", "output_image")


def _tool_fee(bill: Bill) -> bool:
    """More than the tokens, by an amount in half mills, where tool calls, searches or sources are counted."""
    counted = ("num_server_side_tools_used", "num_sources_used", "server_tool_use_details.web_search_requests")
    if not any(bill.number(path) for path in counted):
        return False
    return any(_in_half_mills(bill.stated - cost.known_usd) for cost in bill.costs)


def _in_half_mills(more: Decimal) -> bool:
    return more > 0 and more % (_MILL / 2) == 0


def _parts(bill: Bill) -> Decimal | None:
    """What the gateway says that the tokens cost, read and written."""
    read, written = _part(bill, "prompt", "input"), _part(bill, "completions", "output")
    return None if read is None or written is None else read + written


def _part(bill: Bill, *names: str) -> Decimal | None:
    found = [bill.number(f"cost_details.upstream_inference_{name}_cost") for name in names]
    return next((part for part in found if part is not None), None)


def _fee_without_a_name(bill: Bill) -> bool:
    """Its parts by token are ours, and the whole is more by a fee in half mills (a search by the model's own means)."""
    parts = _parts(bill)
    if parts is None or not _in_half_mills(bill.stated - parts):
        return False
    return any(cost.known_usd == parts for cost in bill.costs)


def _upstream_of_its_own_price(bill: Bill) -> bool:
    """A gateway had another host answer: its two parts are the whole, each at a price of whole millionths a token.

    What was read from a cache, or written to one, is some usual share of the price of what was read.
    """
    usage = bill.usage
    read, written = _part(bill, "prompt", "input"), _part(bill, "completions", "output")
    if read is None or written is None or read + written != bill.stated or not usage.total_input:
        return False
    cached, kept = usage.cache_read, usage.cache_write_5m
    shares, premiums = (_SHARES if cached else _NONE), (_PREMIUMS if kept else _NONE)
    weights = [(less, more) for less in shares for more in premiums]
    plain_input = usage.total_input - cached - kept
    fits = [_is_price(read, plain_input + less * cached + more * kept) for less, more in weights]
    return any(fits) and _is_price(written, Decimal(usage.total_output))


_NONE = (Decimal(0),)
_SHARES = tuple(map(Decimal, ("0.1", "0.2", "0.25", "0.5", "0.75", "1", "0")))
_PREMIUMS = tuple(map(Decimal, ("1.25", "1", "2", "0")))


def _is_price(part: Decimal, tokens: Decimal) -> bool:
    """Whether a part is so many tokens at a price of at most six decimals per million."""
    if not tokens:
        return not part
    rate = part * 10**6 / tokens
    return rate == rate.quantize(Decimal("0.000001"))


def _no_parts(bill: Bill) -> bool:
    """A gateway's price is another than ours, and nothing in the answer tells which: the amount is all it states."""
    return "/" in bill.request_model and _parts(bill) is None and any(cost.femto for cost in bill.costs)


def _parts_of_its_own(bill: Bill) -> bool:
    """Perplexity's deep research bills citations, reasoning and searches, each by a part of its own."""
    cost = bill.reported.get("cost")
    known = {"input_tokens_cost", "output_tokens_cost", "request_cost", "total_cost", "input_cost"}
    more = [value for name, value in cost.items() if name not in known] if isinstance(cost, Mapping) else []
    return any(isinstance(value, (int, Decimal)) and value > 0 for value in more)


def _written_to_a_cache_beside(bill: Bill) -> bool:
    """A gateway counts what was written to a cache in a field that this wire does not have."""
    return bool(bill.number("cache_creation_input_tokens"))


def _fee_inside(bill: Bill) -> bool:
    """The written part holds a fee in mills beside our price for it (Perplexity's for the request, which it rounds)."""
    if _parts(bill) != bill.stated:
        return False
    more = [bill.stated - cost.known_usd for cost in bill.costs]
    return any(each > _MILL / 2 and abs(each - each.quantize(_MILL)) <= _HALF for each in more)


def _no_row(bill: Bill) -> bool:
    return not any(cost.rule for cost in bill.costs)


def _no_rate(bill: Bill) -> bool:
    return all(cost.femto is None for cost in bill.costs)


EXCEPTIONS: dict[str, Callable[[Bill], bool]] = {
    "an account of the caller's own was billed upstream, at its own price": _own_key,
    "not billed by the token (a picture, a film, sound, a ranking): nothing to reckon": _by_the_piece,
    "a free offer of the gateway": _free_offer,
    "the counts cannot be (parts above their whole), so that they are not priced": _cannot_be,
    "the provider rounds each part, and ours are within its rounding": _rounded,
    "a fee for the request by the size of its search, where TABLE states one for all": _fee_by_size,
    "a fee for tools or searches beside the tokens, which the table does not have": _tool_fee,
    "a fee beside the tokens that the answer does not count": _fee_without_a_name,
    "a fee inside the part of the written tokens": _fee_inside,
    "a host upstream that asks another price, which its parts state": _upstream_of_its_own_price,
    "citations, reasoning and searches that the provider bills by parts of their own": _parts_of_its_own,
    "cache writes in a field that the wire does not have": _written_to_a_cache_beside,
    "no row for the model: unknown, which is said": _no_row,
    "a bucket without a rate: unknown, which is said": _no_rate,
    "another price of a gateway than the list's, and no parts that tell which": _no_parts,
}
"""Why a stated amount is not the one that we reckon. Tried in order; each looks at amounts and counts, at no id."""
