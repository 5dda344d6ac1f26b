"""What a provider says that a call cost: read exactly, and put over our own reckoning, which stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..types import Cost, Response

if TYPE_CHECKING:
    from ..embeddings import EmbeddingResponse

__all__ = ["stated_amount", "with_stated"]

_MOST_DIGITS = 60
_PRECISE = Context(prec=4 * _MOST_DIGITS)
"""Reckons with stated amounts without rounding."""


def with_stated(computed: Cost, response: Response | EmbeddingResponse, path: str, units: int) -> Cost:
    """The cost of an answer whose provider states it under ``path`` (``usage.cost``), in ``units`` to a US dollar.

    The stated amount wins, whatever it is; where none can be read, the computed one stays, and says so if it is
    unknown.
    """
    reported = response.usage.reported
    body = {"usage": reported} if path.startswith("usage.") else _body(response)
    amount = stated_amount(body, path, units)
    if amount is None:
        return computed
    if isinstance(amount, str):
        return replace(computed, reason=amount) if computed.femto is None and computed.rule is None else computed
    return Cost(
        femto=int(_PRECISE.scaleb(amount, 15).to_integral_value()),
        kind="provider",
        basis="served",
        stated=f"{amount:f}",
        stated_in=path,
        computed=computed,
    )


def _body(response: Response | EmbeddingResponse) -> Any:
    """The answer as the provider wrote it; of a stream, what the wire kept of it."""
    if response.body is not None:
        return response.raw
    return {name: value for kept in response.provider_data.values() for name, value in kept.items()}


def stated_amount(body: Any, path: str, units: int) -> Decimal | str | None:
    """The amount in US dollars that a body states under a path; None where it states none, a str says why not.

    Where the provider used a key of yours for the model behind it (``is_byok``), its own amount is its fee alone, and
    ``cost_details.upstream_inference_cost`` is what the other account pays: the call cost both. Where it did not, that
    detail is a part of the amount, and is not added.
    """
    holder, _, name = path.rpartition(".")
    around = _at(body, holder)
    amount = _decimal(around.get(name)) if isinstance(around, Mapping) else None
    if amount is None or not isinstance(around, Mapping):
        return None
    if around.get("is_byok") is True:
        upstream = _decimal(_at(around, "cost_details.upstream_inference_cost"))
        if upstream is None:
            return "a key of yours was used upstream, and what that account pays is not stated"
        amount = _PRECISE.add(amount, upstream)
    return _plain(_PRECISE.divide(amount, Decimal(units)))


def _at(body: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _decimal(value: Any) -> Decimal | None:
    """A JSON number, by its decimal text: what a float is shown as is the shortest text that means it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 and -_MOST_DIGITS < number.adjusted() < 24 else None


def _plain(amount: Decimal) -> Decimal:
    text = f"{amount:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
