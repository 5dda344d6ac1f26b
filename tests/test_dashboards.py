"""The dashboard and the alerts speak of what quoth can emit, and of nothing else; and alerts fire when they should.

What a name may be comes from the one table of metrics. promtool and Prometheus itself (Debian: ``apt-get install
prometheus``) read the same files; where they are missing, their tests skip.
"""

import json
import re
import runpy
import shutil
import subprocess
from collections import deque
from pathlib import Path

import pytest

from quoth.errors import KINDS
from quoth.instrumentation.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
TOOL = runpy.run_path(str(ROOT / "tools" / "build_observability.py"))
PAGE = json.loads(TOOL["DASHBOARD"].read_text("utf-8"))
ALERTS = {alert.name: alert for alert in TOOL["ALERTS"]}
PANELS = [panel for panel in PAGE["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_program_writes():
    for path, text in TOOL["files"]().items():
        assert path.read_text("utf-8") == text, f"{path.name} is out of date: run python tools/build_observability.py"


# What may be said.

TARGET = {"job": "Prometheus puts it on what it scrapes", "instance": "as job"}


def emitted():
    """Each name of a series that the table can emit, with its labels and their meanings."""
    found = {}
    for metric in METRICS:
        labels = {**metric.labels, **TARGET}
        if metric.kind == "histogram":
            found |= {f"{metric.name}_sum": labels, f"{metric.name}_count": labels}
            found[f"{metric.name}_bucket"] = {**labels, "le": ""}
        else:
            found[metric.name] = labels
    return found


EMITTED = emitted()

TOKEN = re.compile(
    r'\s*("(?:\\.|[^"\\])*"|\[[$\w]+\]|[A-Za-z_][\w]*|[\d.]+[a-z]?|=~|!~|!=|==|>=|<=|[-+*/><=,(){}])'
)  # fmt: skip
FUNCTIONS = {"sum", "min", "max", "rate", "increase", "histogram_quantile"}
WORDS = {"and", "or", "unless"}


def read(expr):
    """Every selector of an expression, as (name, matchers, labels that are asked of it), and what it is grouped by."""
    tokens, at = deque(), 0
    while at < len(expr.rstrip()):
        found = TOKEN.match(expr, at)
        assert found, f"cannot read {expr[at:]!r}"
        tokens.append(found[1])
        at = found.end()
    groups = set()
    return [*selectors(tokens, groups)], groups


def selectors(tokens, groups):
    """Those up to the closing parenthesis. ``by`` stands before the parenthesis that it groups."""
    wanted = set()
    while tokens and (token := tokens.popleft()) != ")":
        if token == "(":
            yield from [(name, matchers, asked | wanted) for name, matchers, asked in selectors(tokens, groups)]
            wanted = set()
        elif token == "by":
            wanted = set(until(tokens, "(", ")"))
            groups |= wanted
        elif token == "offset":
            tokens.popleft()
        elif re.match(r"[a-zA-Z_]", token) and token not in WORDS:
            if token in FUNCTIONS:
                assert tokens[0] in ("(", "by"), token
            else:
                yield token, [*matchers_of(tokens)], set()


def until(tokens, opening, closing):
    assert tokens.popleft() == opening
    while (token := tokens.popleft()) != closing:
        if token != ",":
            yield token


def matchers_of(tokens):
    if tokens and tokens[0] == "{":
        words = [*until(tokens, "{", "}")]
        assert len(words) % 3 == 0, words
        for label, sign, text in zip(words[::3], words[1::3], words[2::3], strict=True):
            yield label, sign, json.loads(text)


def complaints(expr, *templates):
    """What is wrong with the names in an expression, and in the texts that show its labels."""
    found, groups = read(expr)
    wrong = [] if found else ["selects nothing"]
    for name, matchers, asked in found:
        labels = EMITTED.get(name)
        if labels is None:
            wrong.append(f"no metric {name}")
            continue
        wrong += [f"{name} has no label {label}" for label in ({each[0] for each in matchers} | asked) - {*labels}]
        wrong += [
            f"{name} has no {label} {value}"
            for label, _, text in matchers
            if not text.startswith("$") and label in labels
            for value in text.split("|")
            if value and value not in KINDS and f"`{value}`" not in labels[label]
        ]
    shown = {each for template in templates for each in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", template)}
    return wrong + [f"shows {label}, and is not grouped by it" for label in sorted(shown - groups)]


def each_query():
    return [(f"{panel['title']} {query['refId']}", query) for panel in PANELS for query in panel["targets"]]


@pytest.mark.parametrize(("panel", "query"), each_query(), ids=[name for name, _ in each_query()])
def test_a_panel_asks_only_for_what_can_be_emitted(panel, query):
    assert complaints(query["expr"], query["legendFormat"]) == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_only_for_what_can_be_emitted(name):
    assert complaints(ALERTS[name].expr, ALERTS[name].says) == []


@pytest.mark.parametrize("one", [each for each in PAGE["templating"]["list"] if each["type"] == "query"],
                         ids=lambda one: one["name"])  # fmt: skip
def test_a_variable_asks_only_for_what_can_be_emitted(one):
    expr, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"]).groups()
    assert complaints(f"sum by ({label}) ({expr})") == []


@pytest.mark.parametrize(("expr", "legend", "words"), [
    ("quoth_request_total", "", "no metric quoth_request_total"),
    ('rate(quoth_requests_total{modell="x"}[5m])', "", "no label modell"),
    ("sum by (model) (rate(quoth_retries_total[5m]))", "", "no label model"),
    ("sum by (provider) (quoth_gates) / sum by (model) (quoth_gates)", "", "no label model"),
    ("histogram_quantile(0.5, sum by (le) (rate(quoth_overhead_seconds_sum[5m])))", "", "no label le"),
    ("sum(quoth_overhead_seconds)", "", "no metric quoth_overhead_seconds"),
    ('quoth_requests_total{outcome="ok"}', "", "no outcome ok"),
    ('quoth_requests_total{error_kind!~"rate_limit|ratelimit"}', "", "no error_kind ratelimit"),
    ("sum by (provider) (quoth_gates)", "{{state}}", "shows state"),
    ("quoth_gates unless quoth_gate offset 1h", "", "no metric quoth_gate"),
    ("3600 * 2", "", "selects nothing"),
])  # fmt: skip
def test_what_cannot_be_emitted_is_found(expr, legend, words):
    assert words in "; ".join(complaints(expr, legend))


def test_every_metric_of_the_table_is_on_the_page():
    used = {name for _, query in each_query() for name, _, _ in read(query["expr"])[0]}
    missing = [each.name for each in METRICS if not used & {each.name, f"{each.name}_bucket"}]
    assert missing == []


def test_the_page_has_no_two_panels_in_one_place_and_ids_are_its_own():
    ids = [panel["id"] for panel in PAGE["panels"]]
    assert len(ids) == len({*ids})
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PAGE["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len({*cells})
    assert max(x for x, _ in cells) == 23


def test_what_to_do_about_an_alert_names_panels_that_there_are():
    named = {title for alert in ALERTS.values() for title in re.findall(r"\*([^*]+)\*", alert.do)}
    assert named
    assert named <= {panel["title"] for panel in PANELS}


# Alerts fire when they should, and only then.

# A series has one sample a minute: ``0+2x90`` is 0, then 2 more in each of 90 minutes.
CALLS = 'quoth_requests_total{job="a", provider="p", model="m", operation="generate", outcome="%s"%s}'
ANSWERED, FAILED = CALLS % ("answered", ""), CALLS % ("failed", ', error_kind="overloaded"')
OWN = CALLS % ("failed", ', error_kind="context_length"')
CHUNK = 'job="a", gen_ai_provider_name="p", gen_ai_request_model="m"'
FIRST = f"gen_ai_client_operation_time_to_first_chunk_seconds_%s{{{CHUNK}%s}}"
ATTEMPTS = 'quoth_attempts_total{job="a", provider="p", model="m"}'
REFUSED = 'quoth_attempts_total{job="a", provider="p", model="m", error_kind="%s"}'
RETRIES = 'quoth_retries_total{job="a", provider="p", reason="rate_limit"}'
UNPRICED = 'quoth_unpriced_requests_total{job="a", provider="p", reason="no_price"}'
COST = 'quoth_cost_usd_total{job="a", provider="p", model="m"}'
DROPPED = 'quoth_telemetry_dropped_total{job="a", sink="ledger", reason="lost"}'
OVERFLOW = 'quoth_label_overflow_total{job="a", metric="quoth_requests_total"}'
LEFT = 'quoth_retry_budget_remaining_ratio{job="a", provider="p"}'
BREAKER = 'quoth_breaker_open{job="a", provider="p", model="m"}'


def buckets(*counts):
    """Streams a minute that began within 10.24 s, 20.48 s, and at all."""
    bounds = zip(("10.24", "20.48", "+Inf"), counts, strict=True)
    all_of_them = {FIRST % ("bucket", f', le="{bound}"'): f"0+{count}x60" for bound, count in bounds}
    return {**all_of_them, FIRST % ("count", ""): f"0+{counts[-1]}x60"}


def budget(spent, reserved):
    values = {"limit": 100, "spent": spent, "reserved": reserved}
    return {f'quoth_budget_{name}_usd{{job="a", budget="b"}}': f"{value}x30" for name, value in values.items()}


CASES = {
    # alert: (minute, series for which it fires then, its labels; several sets of series for which it does not)
    "QuothErrorsFast": (90, {ANSWERED: "0+8x100", FAILED: "0+2x100"}, {"provider": "p"}, [
        {ANSWERED: "0+90x100", FAILED: "0+10x100"},                         # one in ten: slow
        {ANSWERED: "0+8x100", OWN: "0+8x100"},                              # the caller's own
        {ANSWERED: "0+8x60 480+10x60", FAILED: "0+4x60 240x60"},            # it is over since half an hour
        {ANSWERED: "0x100", FAILED: "0+0.1x100"},                           # nobody calls
    ]),
    "QuothErrorsSlow": (400, {ANSWERED: "0+92x400", FAILED: "0+8x400"}, {"provider": "p"}, [
        {ANSWERED: "0+96x400", FAILED: "0+4x400"},
        {ANSWERED: "0+92x400", OWN: "0+8x400"},
    ]),
    "QuothKeyRefused": (20, {REFUSED % "authentication": "0+1x30"}, {"provider": "p", "error_kind": "authentication"}, [
        {REFUSED % "authentication": "5x30", REFUSED % "rate_limit": "0+1x30"},
    ]),
    "QuothFirstChunkSlow": (40, buckets(50, 60, 60), {"gen_ai_provider_name": "p", "gen_ai_request_model": "m"}, [
        buckets(60, 60, 60),
        {name: "0+0.1x60" if "10.24" not in name else "0x60" for name in buckets(0, 0, 0)},    # too few to say
    ]),
    "QuothRetriesMany": (40, {RETRIES: "0+2x60", ATTEMPTS: "0+10x60"}, {"provider": "p"}, [
        {RETRIES: "0+1x60", ATTEMPTS: "0+20x60"},
        {RETRIES: "0+0.3x60", ATTEMPTS: "0+1x60"},
    ]),
    "QuothRetryBudgetSpent": (10, {LEFT: "0.05x30"}, {"provider": "p"}, [{LEFT: "0.5x30"}]),
    "QuothBreakerOpen": (5, {BREAKER: "1x10"}, {"provider": "p", "model": "m"}, [
        {BREAKER: "0x10"},
        {BREAKER: "0x4 1x5"},                                               # a minute ago
    ]),
    "QuothUnpricedCalls": (70, {UNPRICED: "0x60 1x20"}, {"provider": "p", "reason": "no_price"}, [
        {UNPRICED: "7x200"},                                                # long ago
        {ANSWERED: "0+9x100"},
    ]),
    "QuothSpendFast": (1500, {COST: "0+0.01x1440 15+1x60"}, {}, [
        {COST: "0+1x1500"},
        {COST: "0+0.001x1440 1.44+0.05x60"},                                # three dollars are little
    ]),
    "QuothBudgetNearlySpent": (10, budget(80, 15), {"budget": "b"}, [budget(80, 5)]),
    "QuothTelemetryDropped": (70, {DROPPED: "0x60 2x20"}, {"sink": "ledger", "reason": "lost"}, [{DROPPED: "2x200"}]),
    "QuothLabelOverflow": (70, {OVERFLOW: "0x60 2x20"}, {"metric": "quoth_requests_total"}, [{OVERFLOW: "2x200"}]),
}  # fmt: skip

BORN = {
    "QuothUnpricedCalls": {UNPRICED: "_x60 1x20"},
    "QuothTelemetryDropped": {DROPPED: "_x60 1x20"},
    "QuothLabelOverflow": {OVERFLOW: "_x60 1x20"},
}
"""A counter that is 1 when it is first seen: ``increase`` alone would never tell."""


def promtool(*words):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool (Debian: apt-get install prometheus)")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


def test_every_alert_has_its_cases():
    assert [*CASES] == [*ALERTS]


def test_promtool_accepts_the_alerts():
    done = promtool("check", "rules", TOOL["ALERTS_FILE"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def case(name, minute, series, labels):
    """One unit test of promtool's: which labels the alert fires with, then; None: it does not fire."""
    firing = {"alertname": name, "alertstate": "firing", "job": "a", "severity": ALERTS[name].severity}
    said = "ALERTS{" + ", ".join(f'{label}="{value}"' for label, value in {**firing, **(labels or {})}.items()) + "}"
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in series.items()],
        "promql_expr_test": [{
            "expr": f'ALERTS{{alertname="{name}", alertstate="firing"}}',
            "eval_time": f"{minute}m",
            "exp_samples": [] if labels is None else [{"labels": said, "value": 1}],
        }],
    }  # fmt: skip


def test_each_alert_fires_for_what_it_is_there_for_and_for_nothing_like_it(tmp_path):
    tests = []
    for name, (minute, series, labels, quiet) in CASES.items():
        tests += [(minute, case(name, minute, series, labels)), *[(minute, case(name, minute, q, None)) for q in quiet]]
    tests += [(70, case(name, 70, series, CASES[name][2])) for name, series in BORN.items()]
    files = []
    for often, chosen in {
        "1m": [one for at, one in tests if at <= 90],
        "5m": [one for at, one in tests if at > 90],
    }.items():
        files.append(tmp_path / f"every-{often}.yml")
        given = {"rule_files": [str(TOOL["ALERTS_FILE"])], "evaluation_interval": often, "tests": chosen}
        files[-1].write_text(json.dumps(given))  # JSON is YAML
    done = promtool("test", "rules", *files)
    assert done.returncode == 0, done.stdout + done.stderr
