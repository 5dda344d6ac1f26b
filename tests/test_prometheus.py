"""A real Prometheus scrapes a program that makes calls, and answers everything that the dashboard and the alerts ask.

Prometheus is Debian's (``apt-get install prometheus``), started on a free port of 127.0.0.1; without it this skips.
"""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from math import isnan

import pytest

from quoth import ModelsAPI, QuothError, RetryPolicy
from quoth.testing import FakeProvider, Fault
from servers import free_port
from test_dashboards import ALERTS, PAGE, TOOL, each_query

PATIENCE = 30.0
"""Seconds after which a test gives up on Prometheus; nothing waits so long unless it has failed."""

NOTHING_TO_SEE = {
    "Label sets that had no room A": "it takes 2,000 label sets of one metric",
}
"""Queries that have no data here, and why."""

CONFIG = {
    "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "500ms"},
    "rule_files": [str(TOOL["ALERTS_FILE"])],
}


def answer(request):
    """What the prompt asks for: a word, or a fault."""
    match request.messages[-1].text:
        case "refuse":
            return Fault(status=400)
        case "be busy":
            return Fault(status=429, retry_after=1)
        case "fail":
            return Fault(status=503)
        case "say no tokens":
            return Fault(answer="Hello", usage=False)
        case text:
            return Fault(answer=text)


def traffic(api: ModelsAPI):
    """One round of calls of every kind that the dashboard shows."""
    team = api.budget("5", name="team")
    for model, prompt, options in (
        ("openai/gpt-6-luna", "Hello", {}),
        ("openai/gpt-6-luna", "Hello", {"budget": team, "max_tokens": 9}),
        ("openai/gpt-6-luna", "say no tokens", {}),
        ("openai/gpt-6-luna", "refuse", {}),
        ("openai/nobody-knows-its-price", "Hello", {}),
        ("google/gemini-2.5-flash", "fail", {"fallback": ["openai/gpt-6-luna"]}),
        ("mistral/mistral-large-latest", "be busy", {"timeout": 0.5}),
    ):
        with suppress(QuothError):
            api(model, prompt, **options)
    api.stream("anthropic/claude-sonnet-5-5", "Hello").read()


class Prometheus:
    """The HTTP API of one that runs."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path, **query):
        given = urllib.parse.urlencode(query, doseq=True)
        with urllib.request.urlopen(f"{self.url}{path}?{given}", timeout=10) as reply:
            return json.load(reply)

    def ready(self):
        with suppress(OSError):
            return self.get("/api/v1/status/buildinfo")["status"] == "success"
        return False

    def scrapes(self):
        """The values of a counter that it has seen."""
        series = self.query('quoth_requests_total{provider="anthropic"}[1m]')
        return series[0]["values"] if series else []

    def query(self, expr):
        """The series of an expression, now. Fails with Prometheus's own words where it cannot be read."""
        try:
            return self.get("/api/v1/query", query=expr)["data"]["result"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{expr}: {error.read().decode()}")


@contextmanager
def running(folder, target):
    """A Prometheus that scrapes this target, until the block ends."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no prometheus (Debian: apt-get install prometheus)")
    scraped = {"job_name": "test", "static_configs": [{"targets": [target]}]}
    file = folder / "prometheus.yml"  # JSON is YAML
    file.write_text(json.dumps({**CONFIG, "scrape_configs": [scraped]}))
    port = free_port()
    words = [
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen([program, *words], stdout=log, stderr=log) as process:
        try:
            yield Prometheus(port)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """One that has seen some rounds of traffic."""

    def broken(record):
        raise ValueError("a hook that fails")

    with FakeProvider(answer) as fake:
        folder = tmp_path_factory.mktemp("prometheus")
        api = fake.models(retries=RetryPolicy(retries=1, backoff=0.01), ledger=folder / "usage.db")
        api.on_call(broken)
        server = api.serve_metrics(0, budgets=["team"])
        with running(folder, f"127.0.0.1:{server.port}") as found:
            until = time.monotonic() + PATIENCE
            while not found.ready() or len(found.scrapes()) < 8:
                assert time.monotonic() < until
                traffic(api)
                time.sleep(0.2)
            yield found
        server.close()


def substituted(expr):
    """An expression as Grafana sends it, where everything is selected."""
    names = ("$__rate_interval", "10s"), ("$__range", "30s"), ("$job", ".*"), ("$provider", ".*"), ("$model", ".*")
    for name, value in names:
        expr = expr.replace(name, value)
    return expr


@pytest.mark.parametrize(("panel", "query"), each_query(), ids=[name for name, _ in each_query()])
def test_each_query_of_the_dashboard_is_answered(prometheus, panel, query):
    series = prometheus.query(substituted(query["expr"]))
    assert bool(series) != (panel in NOTHING_TO_SEE)
    numbers = [float(each["value"][1]) for each in series]
    assert not [number for number in numbers if number < 0]
    assert not numbers or not all(map(isnan, numbers))


@pytest.mark.parametrize("name", ["job", "provider", "model"])
def test_the_variables_of_the_dashboard_have_values(prometheus, name):
    (one,) = [each for each in PAGE["templating"]["list"] if each["name"] == name]
    select, label = substituted(one["query"]["query"])[len("label_values(") : -1].rsplit(", ", 1)
    found = prometheus.get(f"/api/v1/label/{label}/values", **{"match[]": select})["data"]
    seen = {"job": "test", "provider": "mistral", "model": "claude-sonnet-5-5"}
    assert seen[name] in found


def test_each_alert_is_evaluated_and_says_what_it_should(prometheus):
    until = time.monotonic() + PATIENCE
    while not (alerts := prometheus.get("/api/v1/alerts")["data"]["alerts"]):
        assert time.monotonic() < until
        time.sleep(0.2)
    (group,) = prometheus.get("/api/v1/rules")["data"]["groups"]
    assert {rule["name"]: rule["lastError"] for rule in group["rules"] if "lastError" in rule} == {}
    assert [rule["name"] for rule in group["rules"]] == [*ALERTS]
    said = {each["annotations"]["summary"] for each in alerts}
    assert "The cost of calls to openai is unknown: no_price" in said, said
    assert not [each for each in said if "{{" in each or "<no value>" in each]
