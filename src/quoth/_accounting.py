"""What an answer cost, and what the call knows of it: put on it when it has come. It outlives whatever fails here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ._call import CallScope
from .providers._spec import ProviderSpec
from .types import Cost, Response

if TYPE_CHECKING:
    from .embeddings import EmbeddingResponse

__all__ = ["account", "account_vectors", "priced_by"]


def account(response: Response, scope: CallScope) -> Response:
    """Price an answer and put on it what the call knows. The answer outlives whatever fails here."""
    provider = scope.target.provider
    if response.region is None and provider.spec.region_part is not None:
        response = replace(response, region=_region(provider.spec, scope.host))
    answer = replace(
        response,
        provider=provider.spec.name,
        model=response.model or provider.model,
        cost=_price(response, scope, tier=response.service_tier, region=response.region, speed=response.speed),
        call=scope.details(),
        reader=scope.reading,
    )
    scope.took(answer)
    return answer


def account_vectors(response: EmbeddingResponse, scope: CallScope) -> EmbeddingResponse:
    """Price the vectors of one request, and count them: a call may take several."""
    answer = replace(
        response,
        provider=scope.target.provider.spec.name,
        model=response.model or scope.target.provider.model,
        cost=_price(response, scope),
    )
    scope.count(answer.usage, answer.cost)
    scope.served_model = scope.without_secrets(answer.model)
    return answer


def _region(spec: ProviderSpec, host: str | None) -> str | None:
    """Where the host that answered stands, as its name says."""
    from .providers._urls import part_of_host

    return part_of_host(spec, (host or "").removeprefix("host:"), spec.region_part or "")


def _price(
    response: Response | EmbeddingResponse,
    scope: CallScope,
    *,
    tier: str | None = None,
    region: str | None = None,
    speed: str | None = None,
) -> Cost:
    """What the answer cost: what the provider states, else what our prices say. Whatever breaks, it is paid for."""
    provider = scope.target.provider
    spec, request = provider.spec, scope.target.request
    try:
        cost = scope.prices.cost(
            spec.prices,
            "" if spec.priced_as_asked else response.model,
            response.usage,
            at=scope.started_at,
            tier=tier,
            requested=provider.model,
            region=region,
            host=scope.host,
            speed=speed,
            asked=priced_by(request.extra) if request.extra else (),
            price=scope.target.price,
        )
    except Exception as error:  # noqa: BLE001  # whatever is wrong with our pricing, the answer is paid for
        cost = Cost(femto=None, kind="unknown", reason=f"pricing failed: {error}")
    if spec.reported_cost is None:
        return cost
    from ._costs._stated import with_stated

    try:
        return with_stated(cost, response, spec.reported_cost, spec.reported_cost_units)
    except Exception:  # noqa: BLE001  # what the provider stated cannot be read: ours stands
        return cost


_PRICED_BY = ("service_tier", "speed", "inference_geo")
"""Fields of a request that may change its price. They count where the answer does not say how it was served."""


def priced_by(extra: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Those of a request."""
    return tuple([(name, value) for name in _PRICED_BY if isinstance(value := extra.get(name), str)])
