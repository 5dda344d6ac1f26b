"""Every metric, in one table: its name, kind, unit, labels and buckets, and what it means.

``gen_ai_*`` are the client metrics of OpenTelemetry's conventions for generative AI (metrics page of
semantic-conventions-genai, status Development), named as the official Prometheus exporter renders them: dots become
underscores, the unit stands at the end, that of a count in braces does not. Their labels hold the convention's words.
``quoth_*`` are ours, and speak of providers and models as ``models.usage()`` does. A label that does not apply is left
out: ``error_kind=""`` selects what went well.

Not here, because it is not known honestly: the time per output chunk (records count no chunks, and the reader's own
time lies between them), requests in flight (a call would have to be counted when it begins, on its way, and again from
inside garbage collection), and what is left of a provider's rate limit (its headers are not read).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["METRICS", "MOST_SERIES", "OPERATIONS", "OTHER", "PROVIDERS", "Kind", "Metric"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

OTHER = "other"
"""What stands for all values of a label that are not told apart."""

MOST_SERIES = 2_000
"""Label sets of one metric that are kept."""


class Metric(Struct, frozen=True, kw_only=True):
    """One metric: what it counts or measures, in which unit, under which labels (by name, with their meaning)."""

    name: str
    kind: Kind
    unit: str
    help: str
    labels: Mapping[str, str] = {}
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, in its unit; the last one, infinity, is not among them."""
    joined: Literal["sum", "max", "min"] = "sum"
    """What is shown of a gauge that several processes have."""
    scale: int = 1
    """What its numbers are divided by when they are shown."""


def _doubled(first: float, factor: float, count: int) -> tuple[float, ...]:
    return tuple([round(first * factor**power, 9) for power in range(count)])


_SECONDS = _doubled(0.01, 2, 17)
"""The convention's, 10 ms to 81.92 s, and three more: models that reason take longer."""
_TOKENS = _doubled(1, 4, 14)
"""The convention's, 1 to 67,108,864."""
_OVERHEAD = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
_WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)

OPERATIONS = {"generate": "chat", "embed": "embeddings"}
"""The convention's words for our operations; one that is not here (a list of models) is in no metric."""

PROVIDERS = {
    "aws-anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure-anthropic": "azure.ai.inference",
    "azure-deployments": "azure.ai.openai",
    "azure-foundry": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock-mantle": "aws.bedrock",
    "codestral": "mistral_ai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshot-cn": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "vertex-anthropic": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""The convention's names of providers, where they are not ours."""

_OPERATION = {"operation": "`generate` or `embed`"}
_PROVIDER = {"provider": "its row's name, as in `models.usage()`"}
_MODEL = {"model": "the id that was asked for, where the catalog has it or it has answered; else `other`"}
_ERROR_KIND = {
    "error_kind": "the kind of the error, as in docs/errors.md; left out where there is none; `other` for what is not "
    "an error of quoth's (a cancellation, Ctrl-C)"
}
_GEN_AI = {
    "gen_ai_operation_name": "`chat` or `embeddings`",
    "gen_ai_provider_name": "the convention's name of the provider, else its row's",
    "gen_ai_request_model": _MODEL["model"],
}


METRICS: tuple[Metric, ...] = (
    Metric(
        name="gen_ai_client_operation_duration_seconds",
        kind="histogram",
        unit="seconds",
        help="Time that a call took, with its retries and fallbacks; of a stream, until its end, the reader's own time "
        "included.",
        labels={**_GEN_AI, "error_type": _ERROR_KIND["error_kind"]},
        buckets=_SECONDS,
    ),
    Metric(
        name="gen_ai_client_token_usage",
        kind="histogram",
        unit="tokens",
        help="Tokens of a call whose provider stated them: billed ones, those from and for a cache included.",
        labels={**_GEN_AI, "gen_ai_token_type": "`input` or `output`"},
        buckets=_TOKENS,
    ),
    Metric(
        name="gen_ai_client_operation_time_to_first_chunk_seconds",
        kind="histogram",
        unit="seconds",
        help="Time from the beginning of a streamed call to its first piece, retries and waiting included.",
        labels=_GEN_AI,
        buckets=_SECONDS,
    ),
    Metric(
        name="quoth_requests_total",
        kind="counter",
        unit="calls",
        help="Calls that have ended, each once, whatever was tried for it; as calls in models.usage().",
        labels={
            **_OPERATION,
            **_PROVIDER,
            **_MODEL,
            "outcome": "`answered`, `failed`, `cancelled` or `abandoned`",
            **_ERROR_KIND,
        },
    ),
    Metric(
        name="quoth_attempts_total",
        kind="counter",
        unit="attempts",
        help="Attempts of calls, each under the model that it asked; also those that a gate or a breaker held back.",
        labels={**_PROVIDER, **_MODEL, **_ERROR_KIND},
    ),
    Metric(
        name="quoth_retries_total",
        kind="counter",
        unit="retries",
        help="Attempts that failed and were followed by another one of the same model.",
        labels={**_PROVIDER, "reason": "the kind of the error"},
    ),
    Metric(
        name="quoth_not_retried_total",
        kind="counter",
        unit="attempts",
        help="Attempts that failed and were not followed by another one of the same model, nor by a fallback.",
        labels={
            **_PROVIDER,
            "reason": "why: `kind`, `retries`, `billed`, `hint`, `deadline` or `budget`, as docs/reliability.md says",
        },
    ),
    Metric(
        name="quoth_fallbacks_total",
        kind="counter",
        unit="fallbacks",
        help="How often the next model was asked, because the one before had failed.",
        labels={"provider": "whose failure it was", "reason": "the kind of the error"},
    ),
    Metric(
        name="quoth_tokens_total",
        kind="counter",
        unit="tokens",
        help="Tokens that providers stated, each in one bucket, as in models.usage().",
        labels={
            **_PROVIDER,
            **_MODEL,
            "type": "the bucket of `Usage`: `input`, `cache_read`, `cache_write_5m`, `cache_write_1h`, "
            "`cache_write_12h`, `input_audio`, `cache_read_audio`, `input_image`, `output`, `reasoning`, "
            "`output_audio`, `output_image`",
        },
    ),
    Metric(
        name="quoth_cost_usd_total",
        kind="counter",
        unit="usd",
        help="What calls have cost, in US dollars, where that is known: within 1e-9 of models.usage() and the ledger.",
        labels={**_PROVIDER, **_MODEL},
        scale=10**15,
    ),
    Metric(
        name="quoth_unpriced_requests_total",
        kind="counter",
        unit="calls",
        help="Calls that may have cost something that is not known, or not all; unknown_costs in models.usage().",
        labels={
            **_PROVIDER,
            "reason": "`no_price` (no row for the model), `no_rate` (its row has none for something that was counted), "
            "`usage_missing`, `usage_suspect`, `no_answer` (it was lost on the way), `lost_attempt` (its answer is "
            "priced, an attempt before may have been billed too)",
        },
    ),
    Metric(
        name="quoth_usage_missing_total",
        kind="counter",
        unit="calls",
        help="Calls that may have used tokens and have no number that can be trusted; unknown_usage in models.usage().",
        labels={
            **_PROVIDER,
            "reason": "`missing` (the answer states none), `suspect` (it states what cannot be), `no_answer`",
        },
    ),
    Metric(
        name="quoth_overhead_seconds",
        kind="histogram",
        unit="seconds",
        help="Time of a whole (not streamed) call that was neither an attempt nor waiting before one: quoth's own "
        "work, middleware, credentials, the database of a budget.",
        labels=_OPERATION,
        buckets=_OVERHEAD,
    ),
    Metric(
        name="quoth_attempt_wait_seconds",
        kind="histogram",
        unit="seconds",
        help="Time waited before an attempt, of those that waited.",
        labels={**_PROVIDER, "reason": "`gate` (the provider had asked to wait) or `retry` (to back off, and gates)"},
        buckets=_WAITS,
    ),
    Metric(
        name="quoth_retry_budget_remaining_ratio",
        kind="gauge",
        unit="ratio",
        help="How much of the retry budget is left, from 0 to 1: of the provider's worst host.",
        labels=_PROVIDER,
        joined="min",
    ),
    Metric(
        name="quoth_gates",
        kind="gauge",
        unit="gates",
        help="Gates, one for each model, host and key that was called, by their state now.",
        labels={
            **_PROVIDER,
            "state": "`open`, `closed` (the provider has asked to wait), `narrow` (few may pass, or nobody has come "
            "since)",
        },
    ),
    Metric(
        name="quoth_breaker_open",
        kind="gauge",
        unit="1",
        help="1 where the breaker of the model is open, at any of its hosts; 0 where it is closed.",
        labels={**_PROVIDER, **_MODEL},
        joined="max",
    ),
    Metric(
        name="quoth_budget_limit_usd",
        kind="gauge",
        unit="usd",
        help="The limit of a budget, in US dollars; the sum over the values of its tag that were used in this window.",
        labels={"budget": "its name; only budgets that were asked for are shown"},
        joined="max",
    ),
    Metric(
        name="quoth_budget_spent_usd",
        kind="gauge",
        unit="usd",
        help="What was spent of a budget in its present window, in US dollars.",
        labels={"budget": "its name"},
        joined="max",
    ),
    Metric(
        name="quoth_budget_reserved_usd",
        kind="gauge",
        unit="usd",
        help="What is reserved in a budget now, in US dollars.",
        labels={"budget": "its name"},
        joined="max",
    ),
    Metric(
        name="quoth_telemetry_dropped_total",
        kind="counter",
        unit="events",
        help="What should have been told or kept and was not: no call suffers from it.",
        labels={
            "sink": "`ledger`, `hook`, `metrics`, or an exporter's name",
            "reason": "`lost` (a record, neither in the ledger nor in its spill), `failed` (a hook raised), `fold` (a "
            "record that could not be counted), `snapshot` (a file of QUOTH_METRICS_DIR that could not be used), "
            "`budgets` (their database did not answer), or an exporter's own",
        },
    ),
    Metric(
        name="quoth_label_overflow_total",
        kind="counter",
        unit="events",
        help="How often something was counted under other labels, because a metric had 2,000 label sets already.",
        labels={"metric": "whose"},
    ),
    Metric(
        name="quoth_build_info",
        kind="gauge",
        unit="1",
        help="1, for the version of quoth.",
        labels={"version": "of quoth"},
        joined="max",
    ),
)
"""All of them, in the order in which they are shown."""
