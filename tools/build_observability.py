"""Write docs/dashboards: the dashboard for Grafana and the alerts for Prometheus, from the two tables of this program.

::

    python tools/build_observability.py            # write
    python tools/build_observability.py --check    # fail where a file is out of date

The dashboard is in Grafana's classic form, which 12 and 13 read; the types of ``@grafana/schema`` describe it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))  # this checkout's errors, whatever is installed

from quoth.errors import KINDS, BadRequestError, BudgetExceededError, InputError, OutputError, RunLimitError  # noqa: E402

OUTPUT = ROOT / "docs" / "dashboards"
DASHBOARD, ALERTS_FILE = OUTPUT / "overview.json", OUTPUT / "alerts.yml"

SCHEMA = 42
"""Of the dashboard: what @grafana/schema 13.2 names as its newest."""

OBJECTIVE = 0.99
"""The share of calls that should not fail for a reason that is not the caller's own."""

OWN_FAULT = "|".join([
    kind for kind, error in KINDS.items()
    if issubclass(error, (InputError, BadRequestError, OutputError, BudgetExceededError, RunLimitError))
])  # fmt: skip
"""Kinds of errors that say nothing about the provider: what was asked for could not be had, or was not allowed."""

# The dashboard.

JOB = 'job=~"$job"'
BY_PROVIDER = f'{JOB}, provider=~"$provider"'
BY_MODEL = f'{BY_PROVIDER}, model=~"$model"'
GEN_AI = f'{JOB}, gen_ai_request_model=~"$model"'
EACH_GEN_AI = "gen_ai_provider_name, gen_ai_request_model"
GEN_AI_LEGEND = "{{gen_ai_provider_name}}/{{gen_ai_request_model}}"


class Query(NamedTuple):
    """One expression of PromQL, and what its series are called."""

    expr: str
    legend: str


class Panel(NamedTuple):
    """One panel: what it shows, in Grafana's unit; ``wide`` in 24ths of the page."""

    title: str
    says: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    wide: int = 8
    stacked: bool = False
    top: float | None = None


class Row(NamedTuple):
    title: str
    panels: tuple[Panel, ...]


def rate(metric: str, select: str, by: str = "") -> str:
    """How much of a counter there is in a second."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{select}}}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """A part of a whole; 0 where there is nothing of the part."""
    return f"({part} or 0 * {whole}) / {whole}"


def quantile(share_below: float, metric: str, select: str, by: str = "") -> str:
    """Below what so large a share of a histogram's values lie."""
    grouped = f"{by}, le" if by else "le"
    return f"histogram_quantile({share_below}, {rate(f'{metric}_bucket', select, grouped)})"


def quantiles(metric: str, select: str) -> tuple[Query, ...]:
    return tuple([Query(quantile(each / 100, metric, select), f"p{each}") for each in (50, 95, 99)])


def over_range(metric: str, select: str, by: str = "") -> str:
    """How much of a counter there was in the time that the page shows."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (increase({metric}{{{select}}}[$__range]))"


DURATION = "gen_ai_client_operation_duration_seconds"
FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds"
FAILED = f'{BY_MODEL}, outcome="failed"'
NOT_OWN = f'{FAILED}, error_kind!~"{OWN_FAULT}"'

ROWS = (
    Row(
        "Calls",
        (
            Panel("Calls", "Calls that ended, in a second.", "reqps",
                  (Query(rate("quoth_requests_total", BY_MODEL), ""),), "stat", 4),
            Panel("Failed", "The share of calls that ended in an error, whosever fault it was.", "percentunit",
                  (Query(share(rate("quoth_requests_total", FAILED), rate("quoth_requests_total", BY_MODEL)), ""),),
                  "stat", 4),
            Panel("Time of a call, p95", "With retries, fallbacks and waiting; of a stream, to its end.", "s",
                  (Query(quantile(0.95, DURATION, GEN_AI), ""),), "stat", 4),
            Panel("First chunk, p95", "From the beginning of a streamed call to its first piece.", "s",
                  (Query(quantile(0.95, FIRST_CHUNK, GEN_AI), ""),), "stat", 4),
            Panel("Cost an hour", "At the present pace, in US dollars. A cost that is unknown is not in it.",
                  "currencyUSD", (Query(f"3600 * {rate('quoth_cost_usd_total', BY_MODEL)}", ""),), "stat", 4),
            Panel("Cost of the time shown", "In US dollars. A cost that is unknown is not in it.", "currencyUSD",
                  (Query(over_range("quoth_cost_usd_total", BY_MODEL), ""),), "stat", 4),
            Panel("Calls by provider", "In a second.", "reqps",
                  (Query(rate("quoth_requests_total", BY_MODEL, "provider"), "{{provider}}"),), stacked=True),
            Panel("Calls by model", "In a second.", "reqps",
                  (Query(rate("quoth_requests_total", BY_MODEL, "provider, model"), "{{provider}}/{{model}}"),),
                  stacked=True),
            Panel("Calls by outcome", "In a second. Cancelled and abandoned calls may have cost something.", "reqps",
                  (Query(rate("quoth_requests_total", BY_MODEL, "outcome"), "{{outcome}}"),), stacked=True),
            Panel("Failed by provider", "The share of calls that failed for a reason that is not the caller's own, as "
                  "the alerts have it.", "percentunit",
                  (Query(share(rate("quoth_requests_total", NOT_OWN, "provider"),
                               rate("quoth_requests_total", BY_MODEL, "provider")), "{{provider}}"),), top=1),
            Panel("Failures by kind", "In a second; docs/errors.md says what each kind means.", "reqps",
                  (Query(rate("quoth_requests_total", FAILED, "error_kind"), "{{error_kind}}"),), stacked=True),
            Panel("Failed attempts by kind", "In a second, also of calls that were answered in the end.", "reqps",
                  (Query(rate("quoth_attempts_total", f'{BY_MODEL}, error_kind!=""', "error_kind"),
                         "{{error_kind}}"),), stacked=True),
            Panel("Time of a call", "With retries, fallbacks and waiting; of a stream, to its end.", "s",
                  quantiles(DURATION, GEN_AI)),
            Panel("Time of a call by model, p95", "As beside.", "s",
                  (Query(quantile(0.95, DURATION, GEN_AI, EACH_GEN_AI), GEN_AI_LEGEND),)),
            Panel("Time of a failed call by kind, p95", "How long it takes to learn that there is no answer.", "s",
                  (Query(quantile(0.95, DURATION, f'{GEN_AI}, error_type!=""', "error_type"), "{{error_type}}"),)),
        ),
    ),
    Row(
        "Streams",
        (
            Panel("Time to first chunk", "Of streamed calls, with retries and waiting before.", "s",
                  quantiles(FIRST_CHUNK, GEN_AI), wide=12),
            Panel("Time to first chunk by model, p95", "As beside.", "s",
                  (Query(quantile(0.95, FIRST_CHUNK, GEN_AI, EACH_GEN_AI), GEN_AI_LEGEND),), wide=12),
        ),
    ),
    Row(
        "Tokens and money",
        (
            Panel("Tokens by type", "In a second; every token stands in one type.", "short",
                  (Query(rate("quoth_tokens_total", BY_MODEL, "type"), "{{type}}"),), stacked=True),
            Panel("Tokens by model", "In a second, of all types.", "short",
                  (Query(rate("quoth_tokens_total", BY_MODEL, "provider, model"), "{{provider}}/{{model}}"),),
                  stacked=True),
            Panel("Tokens of a call, p95", "Read and written.", "short",
                  (Query(quantile(0.95, "gen_ai_client_token_usage", GEN_AI, "gen_ai_token_type"),
                         "{{gen_ai_token_type}}"),)),
            Panel("Cost an hour by model", "At the pace of the moment, in US dollars.", "currencyUSD",
                  (Query(f"3600 * {rate('quoth_cost_usd_total', BY_MODEL, 'provider, model')}",
                         "{{provider}}/{{model}}"),), stacked=True),
            Panel("Cost an hour by provider", "At the pace of the moment, in US dollars.", "currencyUSD",
                  (Query(f"3600 * {rate('quoth_cost_usd_total', BY_MODEL, 'provider')}", "{{provider}}"),),
                  stacked=True),
            Panel("Cost of the time shown, by model", "In US dollars.", "currencyUSD",
                  (Query(over_range("quoth_cost_usd_total", BY_MODEL, "provider, model"), "{{provider}}/{{model}}"),),
                  "bargauge"),
            Panel("Calls of unknown cost", "In the time shown, by reason: what they cost is in no sum on this page.",
                  "short", (Query(over_range("quoth_unpriced_requests_total", BY_PROVIDER, "provider, reason"),
                                  "{{provider}}: {{reason}}"),), "bargauge", 12),
            Panel("Calls of unknown usage", "In the time shown, by reason.", "short",
                  (Query(over_range("quoth_usage_missing_total", BY_PROVIDER, "provider, reason"),
                         "{{provider}}: {{reason}}"),), "bargauge", 12),
        ),
    ),
    Row(
        "Retries, limits, fallbacks",
        (
            Panel("Retries", "The share of attempts that were followed by another one of the same model.",
                  "percentunit", (Query(share(rate("quoth_retries_total", BY_PROVIDER, "provider"),
                                              rate("quoth_attempts_total", BY_MODEL, "provider")), "{{provider}}"),)),
            Panel("Retries by reason", "In a second.", "reqps",
                  (Query(rate("quoth_retries_total", BY_PROVIDER, "reason"), "{{reason}}"),), stacked=True),
            Panel("Failed and not tried again", "In a second, by why; docs/reliability.md says what each means.",
                  "reqps", (Query(rate("quoth_not_retried_total", BY_PROVIDER, "reason"), "{{reason}}"),),
                  stacked=True),
            Panel("Retry budget", "What is left of it, at the provider's worst host: at 0 nothing is tried again.",
                  "percentunit", (Query(f"min by (provider) (quoth_retry_budget_remaining_ratio{{{BY_PROVIDER}}})",
                                        "{{provider}}"),), top=1),
            Panel("Gates that hold back", "Closed: the provider has asked to wait. Narrow: few may pass.", "short",
                  (Query(f'sum by (provider, state) (quoth_gates{{{BY_PROVIDER}, state!="open"}})',
                         "{{provider}}: {{state}}"),), stacked=True),
            Panel("Open breakers", "1: the model has failed so often that it is left alone for a while.", "short",
                  (Query(f"max by (provider, model) (quoth_breaker_open{{{BY_MODEL}}})", "{{provider}}/{{model}}"),),
                  top=1),
            Panel("Waiting before an attempt, p95", "Of the attempts that waited: at a gate, or to back off.", "s",
                  (Query(quantile(0.95, "quoth_attempt_wait_seconds", BY_PROVIDER, "reason"), "{{reason}}"),), wide=12),
            Panel("Fallbacks", "In a second, by whose failure it was, and of which kind.", "reqps",
                  (Query(rate("quoth_fallbacks_total", BY_PROVIDER, "provider, reason"),
                         "{{provider}}: {{reason}}"),), wide=12, stacked=True),
        ),
    ),
    Row(
        "Budgets",
        (
            Panel("Spent and reserved", "The share of each budget's limit, in its present window.", "percentunit",
                  (Query(f"(max by (budget) (quoth_budget_spent_usd{{{JOB}}})"
                         f" + max by (budget) (quoth_budget_reserved_usd{{{JOB}}}))"
                         f" / max by (budget) (quoth_budget_limit_usd{{{JOB}}})", "{{budget}}"),), wide=12, top=1),
            Panel("Left", "Of each budget, in US dollars.", "currencyUSD",
                  (Query(f"max by (budget) (quoth_budget_limit_usd{{{JOB}}})"
                         f" - max by (budget) (quoth_budget_spent_usd{{{JOB}}})"
                         f" - max by (budget) (quoth_budget_reserved_usd{{{JOB}}})", "{{budget}}"),), wide=12),
        ),
    ),
    Row(
        "quoth itself",
        (
            Panel("Time of our own", "Of a whole call: what was neither an attempt nor waiting before one.", "s",
                  quantiles("quoth_overhead_seconds", JOB)),
            Panel("Telemetry that was dropped", "In the time shown: records, metrics, spans that nobody will see.",
                  "short", (Query(over_range("quoth_telemetry_dropped_total", JOB, "sink, reason"),
                                  "{{sink}}: {{reason}}"),), "bargauge", 6),
            Panel("Label sets that had no room", "In the time shown: counted as other, for a metric was full.", "short",
                  (Query(over_range("quoth_label_overflow_total", JOB, "metric"), "{{metric}}"),), "bargauge", 6),
            Panel("Processes by version", "Of quoth.", "short",
                  (Query(f"sum by (version) (quoth_build_info{{{JOB}}})", "{{version}}"),), "stat", 4),
        ),
    ),
)  # fmt: skip

STAT_HEIGHT, HEIGHT = 4, 8


def variable(name: str, label: str, query: str, every: str | None) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"qryType": 1, "query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        **({} if every is None else {"allValue": every}),
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


SOURCE = {"type": "prometheus", "uid": "${datasource}"}

VARIABLES = (
    {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1,
     "options": [], "multi": False, "includeAll": False},
    variable("job", "Job", "label_values(quoth_build_info, job)", ".*"),
    variable("provider", "Provider", f"label_values(quoth_requests_total{{{JOB}}}, provider)", ".*"),
    # No value for all: the models of the providers that are chosen, for gen_ai metrics have other names of providers.
    variable("model", "Model", f"label_values(quoth_requests_total{{{BY_PROVIDER}}}, model)", None),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """All of it, as Grafana imports it."""
    return {
        "uid": "quoth-overview",
        "title": "quoth: calls to language models",
        "description": "Calls, failures, time, tokens and money, as quoth's metrics tell them; docs/observability.md.",
        "tags": ["quoth", "llm"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [*VARIABLES]},
        "panels": [*_panels()],
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for row in ROWS:
        number += 1
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            number += 1
            if x + panel.wide > 24:
                x, y, height = 0, y + height, 0
            tall = STAT_HEIGHT if row.title == "Calls" and panel.kind == "stat" else HEIGHT
            yield _panel(panel, number, {"h": tall, "w": panel.wide, "x": x, "y": y})
            x, height = x + panel.wide, max(height, tall)
        y += height


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    custom, options = _look(panel)
    limits = {"min": 0, **({} if panel.top is None else {"max": panel.top})}
    field = {"unit": panel.unit, **limits, "color": {"mode": "palette-classic"}, "custom": custom}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "gridPos": place,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": field, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": query.expr,
                "legendFormat": query.legend or panel.title,
                "range": panel.kind != "bargauge",
                "instant": panel.kind == "bargauge",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _look(panel: Panel) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each kind of panel has of its own: of its fields, and of itself."""
    value = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "stat":
            return {}, {
                "reduceOptions": value, "graphMode": "area", "colorMode": "value", "textMode": "auto",
                "justifyMode": "auto", "orientation": "auto", "wideLayout": True, "showPercentChange": False,
                "percentChangeColorMode": "standard",
            }  # fmt: skip
        case "bargauge":
            return {}, {
                "reduceOptions": value, "displayMode": "gradient", "orientation": "horizontal", "showUnfilled": True,
                "valueMode": "color", "namePlacement": "auto", "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16,
                "maxVizHeight": 300, "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom",
                                                "calcs": []},
            }  # fmt: skip
    filled = {"fillOpacity": 30, "stacking": {"mode": "normal", "group": "A"}} if panel.stacked else {"fillOpacity": 5}
    return {"drawStyle": "line", "lineWidth": 1, "showPoints": "auto", "spanNulls": False, **filled}, {
        "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["mean", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


# The alerts.


class Alert(NamedTuple):
    """One alert: when it fires, what it says, and, for docs/observability.md, what to do."""

    name: str
    expr: str
    lasts: str
    severity: str
    says: str
    meaning: str
    do: str


def burning(short: str, long: str, factor: str, most: int) -> str:
    """Whether errors use up the budget so many times too fast, in a long window and still in a short one."""
    conditions = []
    for window in (long, short):
        bad = f'quoth_requests_total{{outcome="failed", error_kind!~"{OWN_FAULT}"}}[{window}]'
        conditions.append(
            f"sum by (job, provider) (rate({bad}))\n"
            f"  / sum by (job, provider) (rate(quoth_requests_total[{window}])) > {factor} * {BUDGET}"
        )
    calls = f"sum by (job, provider) (increase(quoth_requests_total[{long}])) >= {most}"
    return "\nand ".join([*conditions, calls])


BUDGET = f"{1 - OBJECTIVE:.2g}"


def new(metric: str, by: str, window: str) -> str:
    """What a counter has counted, also what it counted before it was seen for the first time, which increase misses."""
    return (
        f"sum by ({by}) (increase({metric}[{window}])) > 0\n"
        f"or sum by ({by}) ({metric} unless {metric} offset {window}) > 0"
    )


ALERTS = (
    Alert(
        "QuothErrorsFast",
        burning("5m", "1h", "14.4", 20),
        "2m",
        "page",
        "{{ $value | humanizePercentage }} of the calls to {{ $labels.provider }} fail",
        "Of the calls to a provider so many fail, for a reason that is not the caller's own, that the errors "
        f"which a month may have (1 of 100, an objective of {OBJECTIVE:.0%}) are used up in two days. Fewer than "
        "20 calls an hour say nothing.",
        "*Failures by kind* says of what: `authentication`, `permission_denied` and `quota` are for you to mend; "
        "`overloaded`, `server` and `rate_limit` the provider's: give the calls a `fallback=`; `connection` and "
        "`timeout` may be the network's.",
    ),
    Alert(
        "QuothErrorsSlow",
        burning("30m", "6h", "6", 20),
        "15m",
        "ticket",
        "{{ $value | humanizePercentage }} of the calls to {{ $labels.provider }} fail, for hours",
        "As above, but slower: the errors of a month in five days.",
        "As above.",
    ),
    Alert(
        "QuothKeyRefused",
        'sum by (job, provider, error_kind) (increase(quoth_attempts_total{error_kind=~"authentication|'
        'permission_denied|quota"}[15m])) > 0',
        "5m",
        "page",
        "{{ $labels.provider }} refuses the key, or its quota is used up: {{ $labels.error_kind }}",
        "A provider refuses the key, or what it may spend there is spent. It will not pass by itself, and is not "
        "retried.",
        "Look after the key (`models.providers()` names the variable that it comes from) or after the provider's bill.",
    ),
    Alert(
        "QuothFirstChunkSlow",
        "histogram_quantile(0.95, sum by (job, gen_ai_provider_name, gen_ai_request_model, le) (rate("
        f"{FIRST_CHUNK}_bucket[10m]))) > 10.24\nand sum by (job, gen_ai_provider_name, gen_ai_request_model) (increase("
        f"{FIRST_CHUNK}_count[10m])) >= 20",
        "10m",
        "ticket",
        "Streams of {{ $labels.gen_ai_request_model }} begin after {{ $value | humanizeDuration }} (p95)",
        "One stream in twenty of a model waits for more than 10.24 s for its first piece, retries included. Models "
        "that reason take long: set the limit to what yours need.",
        "*Waiting before an attempt, p95* and *Retries* tell our waiting from the provider's; ask a smaller model, "
        "less `reasoning=`, or set `timeout=` and `fallback=`.",
    ),
    Alert(
        "QuothRetriesMany",
        "sum by (job, provider) (rate(quoth_retries_total[15m]))\n"
        "  / sum by (job, provider) (rate(quoth_attempts_total[15m])) > 0.1\n"
        "and sum by (job, provider) (increase(quoth_attempts_total[15m])) >= 20",
        "10m",
        "ticket",
        "{{ $value | humanizePercentage }} of the attempts at {{ $labels.provider }} are tried again",
        "More than a tenth of the attempts fail and are repeated: callers wait longer, and some attempts are "
        "billed twice.",
        "*Retries by reason*: for `rate_limit` send less at once, or ask for a higher limit; else as for errors.",
    ),
    Alert(
        "QuothRetryBudgetSpent",
        "min by (job, provider) (quoth_retry_budget_remaining_ratio) < 0.1",
        "5m",
        "ticket",
        "The retry budget of {{ $labels.provider }} is nearly spent",
        "A host has failed so much that almost nothing is tried again there: errors reach the callers at once.",
        "It fills by itself with every answer. Find out why the provider fails; a `fallback=` still works.",
    ),
    Alert(
        "QuothBreakerOpen",
        "max by (job, provider, model) (quoth_breaker_open) == 1",
        "2m",
        "page",
        "{{ $labels.provider }}/{{ $labels.model }} has failed so often that it is left alone",
        "Half of the calls of the last 30 s or more have failed; calls now end at once in a `CircuitOpenError`, "
        "and one in a while tries how it stands.",
        "It closes by itself with the first answer. Until then use another model (`fallback=`); look at the provider's "
        "status page.",
    ),
    Alert(
        "QuothUnpricedCalls",
        new("quoth_unpriced_requests_total", "job, provider, reason", "1h"),
        "0m",
        "ticket",
        "The cost of calls to {{ $labels.provider }} is unknown: {{ $labels.reason }}",
        "Calls may have cost something that stands in no sum: not in the metrics, not in `models.usage()`, not in the "
        "ledger. Budgets count the most that they may have cost.",
        "`no_price`, `no_rate`: `models.register_price(...)`, or QUOTH_PRICES ([costs.md](costs.md)). `no_answer`, "
        "`lost_attempt`: calls were lost behind the request; compare with the provider's bill. `usage_missing`, "
        "`usage_suspect`: the provider states no number that can be trusted.",
    ),
    Alert(
        "QuothSpendFast",
        "sum by (job) (increase(quoth_cost_usd_total[1h]))\n"
        "  > 3 * sum by (job) (increase(quoth_cost_usd_total[1d])) / 24\n"
        "and sum by (job) (increase(quoth_cost_usd_total[1h])) > 5",
        "10m",
        "page",
        "{{ $labels.job }} has spent ${{ $value | humanize }} in the last hour, three times its usual pace",
        "The last hour cost more than three times an hour's mean of the last day, and more than $5: set that to "
        "what is little for you. It needs a day of history to mean anything.",
        "*Cost an hour by model* says on what; `models.usage().tags` and the ledger for whom. A "
        "[budget](budgets.md) stops it before it is spent.",
    ),
    Alert(
        "QuothBudgetNearlySpent",
        "(max by (job, budget) (quoth_budget_spent_usd) + max by (job, budget) (quoth_budget_reserved_usd))\n"
        "  / max by (job, budget) (quoth_budget_limit_usd) > 0.9",
        "5m",
        "ticket",
        "{{ $value | humanizePercentage }} of the budget {{ $labels.budget }} is spent or reserved",
        "More than nine tenths of a budget with a name are spent or reserved: soon calls are refused before they "
        "are sent.",
        "`models.budgets()` says how it stands; raise the limit, or let its window end.",
    ),
    Alert(
        "QuothTelemetryDropped",
        new("quoth_telemetry_dropped_total", "job, sink, reason", "1h"),
        "0m",
        "ticket",
        "{{ $labels.sink }} has dropped {{ $value | humanize }}: {{ $labels.reason }}",
        "Records, metrics or spans were lost. No call has suffered, but what you see is less than there was.",
        "`ledger`: its disk or database ([ledger.md](ledger.md)); `hook`: `handle.last_failure` has its words; "
        "`metrics`: the directory of snapshots; an exporter: its collector.",
    ),
    Alert(
        "QuothLabelOverflow",
        new("quoth_label_overflow_total", "job, metric", "1h"),
        "0m",
        "ticket",
        "{{ $labels.metric }} is full: further label sets are counted as other",
        "A metric has 2,000 label sets, and what is new is counted under `other`. Totals stay right.",
        "Something mints names of models or providers; `models.usage()` and the ledger have them all.",
    ),
)  # fmt: skip


def alerts() -> str:
    """The rules, as Prometheus reads them."""
    lines = [
        "# Written by tools/build_observability.py from the table there; docs/observability.md says what each means.",
        "groups:",
        "  - name: quoth",
        "    rules:",
    ]
    for alert in ALERTS:
        link = f"docs/observability.md#{alert.name.lower()}"
        lines += [
            f"      - alert: {alert.name}",
            "        expr: |",
            *[f"          {line}" for line in alert.expr.splitlines()],
            f"        for: {alert.lasts}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {json.dumps(alert.says)}",
            f"          description: {json.dumps(alert.meaning)}",
            f"          runbook: {link}",
        ]
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """Each file and the text that it should have."""
    return {DASHBOARD: json.dumps(dashboard(), indent=1) + "\n", ALERTS_FILE: alerts()}


def main(arguments: Sequence[str]) -> int:
    late = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in arguments:
        for path in late:
            print(f"{path.relative_to(ROOT)} is out of date: run python tools/build_observability.py")
        return len(late)
    for path in late:
        path.write_text(files()[path], "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
