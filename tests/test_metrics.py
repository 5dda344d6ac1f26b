"""Metrics: the fold of records against a slow and obvious one, labels, bounds, text, and one sum with the ledger."""

from __future__ import annotations

import gc
import math
import re
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from functools import lru_cache
from itertools import count

import pytest
from hypothesis import example, given, strategies as st

from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth.dialects.openai_chat.server import build_events, build_response
from quoth.errors import KINDS, InputError, QuothError
from quoth.instrumentation import CallRecord, Journal
from quoth.instrumentation.metrics import METRICS
from quoth.instrumentation.metrics._fold import MetricsFold
from quoth.instrumentation.metrics._names import MOST_SERIES, PROVIDERS
from quoth.instrumentation.metrics._series import LONGEST_LABEL, label
from quoth.instrumentation.metrics._text import render
from quoth.providers import PROVIDERS as ROWS
from quoth.testing import Reply, ScriptedTransport
from quoth.types import TOKEN_BUCKETS, Attempt, Cost, PriceRule, RetryPolicy
from tables import chat_table

parser = pytest.importorskip("prometheus_client.parser")
openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")
import prometheus_client  # noqa: E402  # it is there

BY_NAME = {metric.name: metric for metric in METRICS}
AT_ONCE = RetryPolicy(retries=1, backoff=0)
SSE = (("content-type", "text/event-stream"),)


def record(**fields):
    known = {"id": "x", "operation": "generate", "provider": "openai", "model": "gpt-4", "outcome": "answered"}
    return CallRecord(**{**known, "started_at": 0.0, "seconds": 1.0, **fields})


def attempt(**fields):
    return Attempt(**{"provider": "openai", "model": "gpt-4", "started": 0.0, "seconds": 0.5, "status": 200, **fields})


def measured(*records):
    journal = Journal(measures=True)
    for each in records:
        journal.append(each)
    return journal.metrics()[1]


@lru_cache(maxsize=4)
def samples(text, parse=None):
    """All samples by name and labels, as prometheus_client reads them; no two may be the same."""
    found = {}
    for family in (parse or parser.text_string_to_metric_families)(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value(text, name, **labels):
    return samples(text).get((name, frozenset(labels.items())))


def total(text, name, **labels):
    """The sum of a metric over all label sets that have these labels."""
    return sum(
        number for (found, its), number in samples(text).items() if found == name and frozenset(labels.items()) <= its
    )


# The table.


def test_the_table_keeps_the_rules_of_names():
    assert len(BY_NAME) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"(gen_ai|quoth)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert all(re.fullmatch(r"[a-z_]+", name) and meaning for name, meaning in metric.labels.items())
        assert not {*metric.labels} & {"user", "key", "tag", "id", "host", "url", "le"}
        assert metric.help.endswith(".")


def test_every_provider_with_another_name_is_a_row():
    assert {*PROVIDERS} <= {row.name for row in ROWS}


def test_the_first_buckets_of_usage_are_those_of_what_was_read():
    usage = Usage(**{name: 10**place for place, name in enumerate(TOKEN_BUCKETS)})
    text = render(measured(record(usage=usage, cost=Cost(femto=0))))
    spent = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "gpt-4"}
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        assert value(text, "gen_ai_client_token_usage_sum", **spent, gen_ai_token_type=kind) == tokens


# The law: as a slow and obvious fold.

KNOWN = {("openai", "gpt-4")}
"""Of the models below, those that the catalog has."""


class Slow:
    """Observations, one by one, under all their labels, and sums over them."""

    def __init__(self):
        self.seen = defaultdict(list)
        self.answered = set(KNOWN)

    def note(self, name, amount=1, **labels):
        self.seen[name, frozenset((key, each) for key, each in labels.items() if each)].append(amount)

    def model(self, provider, name):
        return name if (provider, name) in self.answered else "other"

    def add(self, record):
        if record.operation == "list_models":
            return
        if record.outcome == "answered" or record.served_model:
            self.answered.add((record.provider, record.model))
        of = {"provider": record.provider, "model": self.model(record.provider, record.model)}
        kind = record.error_kind and (record.error_kind if record.error_kind in KINDS else "other")
        words = {
            "gen_ai_operation_name": {"generate": "chat", "embed": "embeddings"}[record.operation],
            "gen_ai_provider_name": {"google": "gcp.gemini"}.get(record.provider, record.provider),
            "gen_ai_request_model": of["model"],
        }
        self.note("quoth_requests_total", operation=record.operation, **of, outcome=record.outcome, error_kind=kind)
        self.note("gen_ai_client_operation_duration_seconds", record.seconds, **words, error_type=kind)
        if record.stream and record.first_output_seconds is not None:
            self.note("gen_ai_client_operation_time_to_first_chunk_seconds", record.first_output_seconds, **words)
        self.tried(record)
        if not record.stream:
            busy = 0.0
            for each in record.attempts:
                busy += each.seconds
                busy += each.waited
            self.note("quoth_overhead_seconds", max(record.seconds - busy, 0.0), operation=record.operation)
        self.spent(record, of, words)

    def tried(self, record):
        before = None
        for each in record.attempts:
            who = {"provider": each.provider}
            if each.error_kind is None and each.status:
                self.answered.add((each.provider, each.model))
            kind = each.error_kind and (each.error_kind if each.error_kind in KINDS else "other")
            self.note("quoth_attempts_total", **who, model=self.model(each.provider, each.model), error_kind=kind)
            if each.waited:
                reason = "retry" if before == "retry" else "gate"
                self.note("quoth_attempt_wait_seconds", each.waited, **who, reason=reason)
            before = each.followed_by
            if before == "retry":
                self.note("quoth_retries_total", **who, reason=kind)
            elif before == "fallback":
                self.note("quoth_fallbacks_total", **who, reason=kind)
            elif before:
                self.note("quoth_not_retried_total", **who, reason=before)

    def spent(self, record, of, words):
        usage, cost, who = record.usage, record.cost, {"provider": record.provider}
        if usage and usage.source == "provider":
            self.note("gen_ai_client_token_usage", usage.input_tokens, **words, gen_ai_token_type="input")
            if record.operation == "generate":
                self.note("gen_ai_client_token_usage", usage.output_tokens, **words, gen_ai_token_type="output")
            for bucket, tokens in usage.buckets():
                self.note("quoth_tokens_total", tokens, **of, type=bucket)
        elif cost:
            self.note("quoth_usage_missing_total", **who, reason=usage.source if usage else "no_answer")
        if cost and cost.femto is None:
            reason = "no_answer" if not usage else f"usage_{usage.source}" if usage.source != "provider" else ""
            self.note("quoth_unpriced_requests_total", **who, reason=reason or ("no_rate" if cost.rule else "no_price"))
        elif len(record.attempts) > 1 and any(each.billed != "no" for each in record.attempts):
            self.note("quoth_unpriced_requests_total", **who, reason="lost_attempt")
        if cost and cost.femto is not None:
            self.note("quoth_cost_usd_total", cost.femto, **of)

    def samples(self):
        found = {}
        for (name, labels), amounts in self.seen.items():
            metric, sum_of = BY_NAME[name], 0
            for amount in amounts:  # in their order: these are floats
                sum_of += amount
            if metric.kind == "counter":
                found[name, labels] = sum_of / metric.scale
                continue
            for bound in (*metric.buckets, math.inf):
                le = ("le", "+Inf" if bound == math.inf else str(float(bound)))
                found[f"{name}_bucket", labels | {le}] = sum(amount <= bound for amount in amounts)
            found[f"{name}_sum", labels], found[f"{name}_count", labels] = sum_of, len(amounts)
        return found


PROVIDER, MODEL = st.sampled_from(["openai", "google", "mine"]), st.sampled_from(["gpt-4", "gpt-44", "b/c"])
KIND = st.sampled_from([None, None, "rate_limit", "server", "KeyError", "CancelledError"])
SECONDS = st.floats(0, 1000) | st.sampled_from([0.01, 0.02, 655.36])
ATTEMPTS = st.builds(
    Attempt,
    provider=PROVIDER,
    model=MODEL,
    started=st.just(0.0),
    seconds=SECONDS,
    waited=st.just(0.0) | SECONDS,
    status=st.sampled_from([None, 200]),
    error_kind=KIND,
    billed=st.sampled_from(["no", "no", "maybe"]),
    followed_by=st.sampled_from([None, "retry", "fallback", "kind", "budget"]),
).map(lambda each: each if each.error_kind or each.followed_by in (None, "kind") else attempt(error_kind="server"))
COUNTS = st.integers(0, 10**12)
USAGES = st.none() | st.builds(
    Usage,
    source=st.sampled_from(["provider", "provider", "missing", "suspect"]),
    **dict.fromkeys(TOKEN_BUCKETS, COUNTS),
)
RULE = PriceRule(id="x", rates={}, source="x", as_of="2026-11-25")
COSTS = st.none() | st.builds(
    Cost, femto=st.none() | st.integers(0, 10**24), rule=st.sampled_from([None, RULE]), kind=st.just("computed")
)
RECORDS = st.builds(
    CallRecord,
    id=st.just("x"),
    operation=st.sampled_from(["generate", "generate", "embed", "list_models"]),
    provider=PROVIDER,
    model=MODEL,
    served_model=st.sampled_from([None, None, "served"]),
    outcome=st.sampled_from(["answered", "failed", "cancelled", "abandoned"]),
    error_kind=KIND,
    stream=st.booleans(),
    usage=USAGES,
    cost=COSTS,
    started_at=st.just(0.0),
    seconds=SECONDS,
    first_output_seconds=st.none() | SECONDS,
    attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
)


@given(st.lists(RECORDS, max_size=30), st.integers(1, 8), st.sets(st.integers(0, 30)))
def test_metrics_are_those_of_a_slow_fold_whatever_the_batch_and_whenever_they_are_read(records, batch, reads):
    journal, slow = Journal(batch=batch, measures=True), Slow()
    for number, each in enumerate(records):
        journal.append(each)
        slow.add(each)
        if number in reads:
            assert samples(render(journal.metrics()[1])) == slow.samples()
    series = journal.metrics()[1]
    assert samples(render(series)) == slow.samples()
    assert samples(render(series, "openmetrics"), openmetrics.text_string_to_metric_families) == slow.samples()


@given(st.lists(RECORDS, max_size=30))
def test_metrics_agree_with_the_totals(records):
    journal = Journal(measures=True)
    for each in records:
        journal.append(each)
    text, report = render(journal.metrics()[1]), journal.usage().total
    assert math.isclose(total(text, "quoth_cost_usd_total"), report.usd, rel_tol=1e-9)
    assert total(text, "quoth_requests_total") == report.calls
    for outcome in ("answered", "failed", "cancelled", "abandoned"):
        assert total(text, "quoth_requests_total", outcome=outcome) == getattr(report, outcome)
    assert total(text, "quoth_unpriced_requests_total") == report.unknown_costs
    assert total(text, "quoth_usage_missing_total") == report.unknown_usage
    for bucket in TOKEN_BUCKETS:
        assert total(text, "quoth_tokens_total", type=bucket) == report.tokens.get(bucket, 0)


# Labels.


@given(st.text(max_size=300))
@example('say "hi" \\ \n and \\n')
@example("\ud800\u202e\u2028 a\x00b")
@example("\\")
@example('"')
def test_any_text_comes_through_both_parsers_as_it_was_made_a_label(text):
    cleaned = label(text)
    assert cleaned.isprintable()
    assert 0 < len(cleaned) <= LONGEST_LABEL
    series = measured(record(provider=text, model=text))
    wanted = {"provider": cleaned, "model": cleaned, "operation": "generate", "outcome": "answered"}
    for kind, parse in (("text", None), ("openmetrics", openmetrics.text_string_to_metric_families)):
        told = render(series, kind)
        assert told.encode()
        assert samples(told, parse)["quoth_requests_total", frozenset(wanted.items())] == 1


def test_what_is_escaped_is_escaped_once():
    text = render(measured(record(model='say "hi"\\')))
    assert r'model="say \"hi\"\\"' in text


def test_a_model_has_its_name_once_it_has_answered_or_where_the_catalog_has_it():
    failed = {"outcome": "failed", "error_kind": "model_not_found"}
    journal = Journal(measures=True)
    for each in (
        record(model="gpt-44", **failed),
        record(**failed),
        record(model="mine"),
        record(model="mine", **failed),
    ):
        journal.append(each)
    text = render(journal.metrics()[1])
    calls = {model: total(text, "quoth_requests_total", model=model) for model in ("gpt-4", "mine", "other")}
    assert calls == {"gpt-4": 1, "mine": 2, "other": 1}
    assert "gpt-44" not in text


@pytest.mark.parametrize("spelled", ["GPT-4", "gpt-4 "])
def test_another_spelling_of_a_known_model_mints_no_series(spelled):
    text = render(measured(record(model=spelled, outcome="failed", error_kind="model_not_found")))
    assert total(text, "quoth_requests_total", model="other") == 1


def test_names_of_foreign_exceptions_are_no_labels():
    text = render(measured(*[record(outcome="failed", error_kind=f"Error{number}") for number in range(50)]))
    assert total(text, "quoth_requests_total", error_kind="other") == 50
    assert "Error4" not in text


# Bounds.


def test_a_metric_keeps_so_many_label_sets_and_counts_what_is_beyond():
    journal, calls = Journal(measures=True), 2_500
    for number in range(calls):
        journal.append(record(model=f"m{number}", usage=Usage(input=1), cost=Cost(femto=10**15)))
    journal.append(record(model="m0", cost=Cost(femto=10**15)))
    series = journal.metrics()[1]
    assert max(map(len, series.values())) <= MOST_SERIES
    text = render(series)
    assert total(text, "quoth_requests_total") == calls + 1
    assert total(text, "quoth_requests_total", model="m0") == 2
    beyond = total(text, "quoth_requests_total", model="other")
    assert beyond == total(text, "quoth_label_overflow_total", metric="quoth_requests_total") == calls - 1_800
    assert total(text, "quoth_cost_usd_total") == calls + 1 == journal.usage().total.usd


def test_however_many_providers_there_are_a_metric_stays_bounded():
    journal, calls = Journal(measures=True), 3_000
    for number in range(calls):
        journal.append(record(provider=f"p{number}", model=f"m{number}", cost=Cost(femto=None), usage=None))
    series = journal.metrics()[1]
    assert max(map(len, series.values())) <= MOST_SERIES
    text = render(series)
    for name in ("quoth_requests_total", "quoth_unpriced_requests_total", "quoth_usage_missing_total"):
        assert total(text, name) == calls
        assert total(text, name, provider="other") > 0


def test_misspelt_names_take_no_memory():
    fold = MetricsFold()
    for number in range(20_000):
        fold.add(record(model=f"typo{number}", outcome="failed", error_kind="not_found"))
    assert sum(map(len, fold.series().values())) < 10
    assert len(fold._calls) <= 2 * MOST_SERIES


# Nothing of this hurts a call.


def test_a_record_that_cannot_be_counted_is_counted_as_that_and_said_once():
    journal = Journal(batch=2, measures=True)
    with pytest.warns(RuntimeWarning, match="metrics: a record could not be counted: TypeError") as said:  # noqa: PT031  # one of six
        for seconds in (1.0, "soon", "later", 1.0, 1.0, 1.0):
            journal.append(record(seconds=seconds))
    assert len(said) == 1
    assert journal.usage().total.calls == 6
    text = render(journal.metrics()[1])
    assert total(text, "quoth_telemetry_dropped_total", sink="metrics", reason="fold") == 2
    assert total(text, "quoth_overhead_seconds_count") == 4


def test_a_broken_fold_loses_no_answer(monkeypatch):
    def broken(self, record):
        raise RuntimeError("broken")

    monkeypatch.setattr(MetricsFold, "_add", broken)
    api = api_of([HELLO] * 300)
    for _ in range(300):  # warnings are errors here
        assert api("gpt-4", "Hi").text == "Hello"
    assert api.usage().total.answered == 300
    assert total(api.metrics(), "quoth_telemetry_dropped_total", sink="metrics", reason="fold") == 300


def test_calls_that_garbage_collection_ends_while_metrics_are_read_are_counted():
    journal, numbers = Journal(batch=1, measures=True), count()

    class Ended:
        def __init__(self):
            self.own = self

        def __del__(self):
            next(numbers)
            journal.append(record())

    for _ in range(200):
        Ended()
        journal.metrics()
    gc.collect()
    assert total(render(journal.metrics()[1]), "quoth_requests_total") == next(numbers) == 200


def test_threads_lose_nothing():
    journal = Journal(batch=3, measures=True)

    def work():
        for _ in range(500):
            journal.append(record(cost=Cost(femto=1)))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    while any(each.is_alive() for each in workers):
        render(journal.metrics()[1])
    assert total(render(journal.metrics()[1]), "quoth_requests_total") == 2_000


# The verb, over real calls.

HELLO = Response(
    message=Message.assistant("Hello"), finish_reason="stop", model="gpt-4", usage=Usage(input=1000, output=500)
)
BUSY = Reply(status=429, body=b'{"error": {"message": "slow down"}}')
DOWN = Reply(status=500, body=b'{"error": {"message": "down"}}')
WRONG = Reply(status=400, body=b'{"error": {"message": "no"}}')


def api_of(replies, **options):
    """Whose provider says these, one after the other, in the form that each request asks for."""
    waiting = iter(replies)

    def answer(request):
        reply = next(waiting)
        if isinstance(reply, Reply):
            return reply
        if b'"stream":true' in request.body.replace(b" ", b""):
            return Reply(headers=SSE, body=b"".join(build_events(reply)))
        return Reply(body=build_response(reply).body)

    transport = ScriptedTransport(answer)
    return ModelsAPI(
        Settings(transport=transport, api_keys={"openai": "sk-" + "x" * 20, "mine": "none"}, **options),
        providers=chat_table(),
    )


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in ("QUOTH_METRICS_DIR", "QUOTH_LEDGER", "QUOTH_PRICES", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def mixed_calls(api):
    """Answers, streams, failures, retries, a fallback, an unknown price."""
    assert api("gpt-4", "Hi").text == "Hello"
    assert "".join(api.stream("gpt-4", "Hi")) == "Hello"
    assert api("gpt-4", "Hi", retries=AT_ONCE).text == "Hello"  # after a 500
    with pytest.raises(QuothError):
        api("gpt-4", "Hi", retries=0)
    assert api("gpt-4", "Hi", retries=0, fallback=["openai/gpt-4o"]).text == "Hello"  # after a 500
    with api.stream("gpt-4", "Hi") as stream:  # abandoned
        next(iter(stream))
    assert api("openai/of-no-price", "Hi").cost.usd is None


MIXED = (
    HELLO, HELLO, DOWN, HELLO, WRONG, DOWN, HELLO, HELLO,
    Response(message=Message.assistant("Hello"), finish_reason="stop", model="of-no-price", usage=Usage(input=7)),
)  # fmt: skip
"""What they are answered with."""


def test_answers_ledger_totals_and_metrics_have_one_sum(tmp_path):
    api = api_of([*MIXED, *MIXED], ledger=str(tmp_path / "usage.db"))
    mixed_calls(api)
    mixed_calls(api)
    assert api.flush()
    text, report, kept = api.metrics(), api.usage().total, api.ledger.total()
    assert report.femto == kept.femto > 0
    assert math.isclose(total(text, "quoth_cost_usd_total"), report.usd, rel_tol=1e-9)
    assert total(text, "quoth_requests_total") == report.calls == kept.calls == 14
    assert total(text, "quoth_unpriced_requests_total") == report.unknown_costs == kept.unknown_costs > 0
    assert total(text, "quoth_retries_total", reason="server") == 2
    assert total(text, "quoth_fallbacks_total", provider="openai", reason="server") == 2
    assert total(text, "quoth_not_retried_total", reason="kind") == 2
    assert total(text, "gen_ai_client_operation_time_to_first_chunk_seconds_count") == 4
    tokens = total(text, "quoth_tokens_total")
    assert tokens == report.input_tokens + report.output_tokens == kept.input_tokens + kept.output_tokens
    assert "sk-x" not in text
    api.close()


def test_both_formats_say_the_same_and_end_as_they_must():
    api = api_of(MIXED)
    mixed_calls(api)
    text, other = api.metrics(), api.metrics(format="openmetrics")
    assert samples(text) == samples(other, openmetrics.text_string_to_metric_families)
    assert text.endswith("\n")
    assert other.endswith("\n# EOF\n")
    with pytest.raises(InputError, match="text or openmetrics"):
        api.metrics(format="json")


def test_a_new_api_tells_its_version_and_no_calls():
    text = ModelsAPI(Settings()).metrics()
    assert [name for name, _ in samples(text)] == ["quoth_build_info"]


def test_metrics_that_nobody_asks_for_load_nothing_by_a_call():
    code = (
        "import sys\nfrom quoth import ModelsAPI, Settings\nfrom quoth.testing import Reply, ScriptedTransport\n"
        "transport = ScriptedTransport(lambda request: Reply(status=400, body=b'{}'))\n"
        "api = ModelsAPI(Settings(transport=transport, api_keys={'openai': 'none'}))\n"
        "try:\n    api('openai/gpt-6-luna', 'Hi')\nexcept Exception as error:\n    assert error.status == 400\n"
        "assert not [name for name in sys.modules if 'metrics' in name or name == 'prometheus_client'], sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Gauges.


def test_gates_breakers_and_retry_budgets_are_those_of_now():
    asked = Reply(status=429, headers=(("retry-after", "30"),), body=BUSY.body)
    api = api_of([HELLO, asked, *[DOWN] * 30])
    api("gpt-4", "Hi")
    text = api.metrics()
    assert value(text, "quoth_gates", provider="openai", state="open") == 1
    assert value(text, "quoth_breaker_open", provider="openai", model="gpt-4") == 0
    assert value(text, "quoth_retry_budget_remaining_ratio", provider="openai") == 1
    with pytest.raises(QuothError):
        api("gpt-4", "Hi", retries=0)
    for _ in range(25):
        with pytest.raises(QuothError):
            api("openai/gpt-4o", "Hi", retries=AT_ONCE)
    text = api.metrics()
    assert value(text, "quoth_gates", provider="openai", state="closed") == 1
    assert value(text, "quoth_breaker_open", provider="openai", model="gpt-4o") == 1
    assert 0 < value(text, "quoth_retry_budget_remaining_ratio", provider="openai") < 1


def test_a_model_that_never_answered_has_no_gauge_of_its_own():
    api = api_of([WRONG])
    with pytest.raises(QuothError):
        api("openai/typo", "Hi")
    assert value(api.metrics(), "quoth_breaker_open", provider="openai", model="other") == 0


def test_budgets_are_shown_by_name_and_without_the_values_of_their_tags():
    api = api_of([HELLO] * 3)
    each = api.budget("5", name="users", by="user", per="month")
    team = api.budget("7.5", name="team")
    with pytest.warns(match="lives in this process only"):  # noqa: PT031  # whichever is first
        for user in ("ann", "bob", "bob"):
            api("gpt-4", "Hi", max_tokens=500, budget=[each, team], tags={"user": user})
    assert "quoth_budget" not in api.metrics()
    text = api.metrics(budgets=["users", "team", "nobody's"])
    assert "ann" not in text
    assert value(text, "quoth_budget_limit_usd", budget="users") == 10
    assert value(text, "quoth_budget_limit_usd", budget="team") == 7.5
    assert value(text, "quoth_budget_reserved_usd", budget="team") == 0
    spent = value(text, "quoth_budget_spent_usd", budget="users")
    assert spent == value(text, "quoth_budget_spent_usd", budget="team") > 0
    assert math.isclose(spent, total(text, "quoth_cost_usd_total"), rel_tol=1e-9)
    assert value(api.metrics(budgets="team"), "quoth_budget_limit_usd", budget="team") == 7.5


def test_what_hooks_raise_is_counted_also_when_they_are_gone():
    api = api_of([HELLO] * 3)
    handle = api.on_call(lambda record: 1 / 0)
    for _ in range(3):  # warnings are errors here
        api("gpt-4", "Hi")
    handle.remove()
    assert value(api.metrics(), "quoth_telemetry_dropped_total", sink="hook", reason="failed") == 3


def test_an_exporter_may_say_what_it_dropped():
    api = api_of([])
    api._service.journal.drop("otel", "queue_full")
    assert value(api.metrics(), "quoth_telemetry_dropped_total", sink="otel", reason="queue_full") == 1


# Others who read it.


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian's package prometheus) is not installed")
def test_promtool_finds_nothing_to_complain_of():
    api = api_of(MIXED)
    mixed_calls(api)
    api._service.journal.drop("otel", "queue_full")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=api.metrics(), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_registry_of_prometheus_client_has_the_same_samples():
    api, registry = api_of([*MIXED, HELLO]), prometheus_client.CollectorRegistry()
    own = prometheus_client.Counter("own", "The application's.", registry=registry)
    own.inc()
    collector = api.register_metrics(registry)
    mixed_calls(api)

    def told():
        found = samples(prometheus_client.generate_latest(registry).decode())
        return {key: number for key, number in found.items() if not key[0].startswith("own_")}

    assert told() == samples(api.metrics())
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        api.register_metrics(registry)
    collector.remove()
    assert told() == {}


def test_a_registry_without_prometheus_client_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(QuothError, match=re.escape("pip install 'quoth[prometheus]'")):
        api_of([]).register_metrics()
