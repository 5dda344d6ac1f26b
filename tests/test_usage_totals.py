"""Totals: exact sums of every record, read at any time, from any thread, also while garbage collection ends calls."""

import gc
import json
import os
import pickle
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, strategies as st

from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth.dialects.openai_chat.server import build_events, build_response
from quoth.instrumentation import CallRecord, Journal, UsageReport, UsageTotals
from quoth.instrumentation._record import new_call_id
from quoth.testing import Reply, ScriptedTransport
from quoth.types import TOKEN_BUCKETS, Cost
from tables import chat_table

PATIENCE = 10.0
"""Seconds after which a test gives up on another thread: it is never waited for in a test that passes."""

SSE = (("content-type", "text/event-stream"),)

COUNTS = st.integers(0, 10**12)
USAGES = st.none() | st.builds(
    Usage,
    source=st.sampled_from(["provider", "provider", "missing", "suspect"]),
    web_searches=st.integers(0, 5),
    **dict.fromkeys(TOKEN_BUCKETS, COUNTS),
)
COSTS = st.none() | st.builds(Cost, femto=st.none() | st.integers(0, 10**24))
RECORDS = st.builds(
    CallRecord,
    id=st.just("x"),
    operation=st.just("generate"),
    provider=st.sampled_from(["openai", "local"]),
    model=st.sampled_from(["a", "b/c"]),
    outcome=st.sampled_from(["answered", "failed", "cancelled", "abandoned"]),
    usage=USAGES,
    cost=COSTS,
    started_at=st.just(0.0),
    seconds=st.just(1.0),
)


def record(**fields):
    known = {"id": "x", "operation": "generate", "provider": "p", "model": "m", "outcome": "answered"}
    return CallRecord(**{**known, "started_at": 0.0, "seconds": 1.0, **fields})


def totals_of(records):
    """The slow and obvious sums."""
    counted = [each.usage for each in records if each.usage is not None and each.usage.source == "provider"]
    tokens = Counter()
    for usage in counted:
        tokens.update(dict(usage.buckets()))
    known = [each.cost.femto for each in records if each.cost is not None and each.cost.femto is not None]
    return UsageTotals(
        calls=len(records),
        **{
            name: sum(each.outcome == name for each in records)
            for name in ("answered", "failed", "cancelled", "abandoned")
        },
        tokens={bucket: count for bucket, count in tokens.items() if count},
        input_tokens=sum(usage.input_tokens for usage in counted),
        output_tokens=sum(usage.output_tokens for usage in counted),
        unknown_usage=sum(
            each.cost is not None and (each.usage is None or each.usage.source != "provider") for each in records
        ),
        femto=sum(known),
        unknown_costs=sum(each.cost is not None and each.cost.femto is None for each in records),
    )


def report_of(records):
    names = dict.fromkeys(f"{each.provider}/{each.model}" for each in records)
    by_model = {
        name: totals_of([each for each in records if f"{each.provider}/{each.model}" == name]) for name in names
    }
    return UsageReport(total=totals_of(records), models=by_model)


# Sums.


@given(st.lists(RECORDS, max_size=30), st.integers(1, 8), st.sets(st.integers(0, 30)))
def test_the_totals_are_the_sums_whatever_the_batch_and_whenever_they_are_read(records, batch, reads):
    journal = Journal(batch=batch)
    for number, each in enumerate(records):
        journal.append(each)
        if number in reads:
            assert journal.usage() == report_of(records[: number + 1])
    assert journal.usage() == journal.usage() == report_of(records)


@given(st.lists(RECORDS, max_size=20), st.randoms())
def test_the_order_of_the_calls_changes_no_sum(records, random):
    journals = Journal(), Journal()
    for each in records:
        journals[0].append(each)
    random.shuffle(records)
    for each in records:
        journals[1].append(each)
    assert journals[0].usage().total == journals[1].usage().total
    assert journals[0].usage().models == journals[1].usage().models


@given(st.lists(RECORDS, max_size=20))
def test_the_models_sum_to_the_total_and_tokens_to_their_totals(records):
    journal = Journal()
    for each in records:
        journal.append(each)
    report = journal.usage()
    for name in ("calls", "answered", "failed", "cancelled", "abandoned", "femto", "unknown_costs", "unknown_usage"):
        assert sum(getattr(totals, name) for totals in report.models.values()) == getattr(report.total, name)
    for totals in (report.total, *report.models.values()):
        assert sum(totals.tokens.values()) == totals.input_tokens + totals.output_tokens
        assert totals.answered + totals.failed + totals.cancelled + totals.abandoned == totals.calls
        assert totals.usd == Decimal(totals.femto).scaleb(-15)


def test_the_smallest_costs_are_not_lost_in_the_largest():
    journal = Journal()
    journal.append(record(cost=Cost(femto=5_000 * 10**15)))
    for _ in range(10_000):
        journal.append(record(cost=Cost(femto=1)))
    assert journal.usage().total.femto == 5_000 * 10**15 + 10_000
    assert journal.usage().total.usd == Decimal("5000.00000000001")


def test_before_the_first_call_everything_is_zero():
    report = Journal().usage()
    assert report == UsageReport(total=UsageTotals(), models={})
    assert report.total.usd == 0


def test_an_unknown_cost_is_counted_and_never_added_as_zero():
    journal = Journal()
    for cost in (Cost(femto=10**15), Cost(femto=None, kind="unknown"), None, Cost(femto=0, kind="local")):
        journal.append(record(cost=cost))
    total = journal.usage().total
    assert (total.calls, total.femto, total.unknown_costs) == (4, 10**15, 1)
    assert str(total) == "4 calls, 0 + 0 tokens, $1 + 1 unknown"


def test_a_report_reads_as_a_table_of_models_and_their_sum():
    journal = Journal()
    journal.append(record(model="a", usage=Usage(input=1200, output=30), cost=Cost(femto=10**12)))
    journal.append(record(model="b", outcome="failed"))
    assert str(journal.usage()).splitlines() == [
        "p/a: 1 calls, 1,200 + 30 tokens, $0.001",
        "p/b: 1 calls, 0 + 0 tokens, $0",
        "total: 2 calls, 1,200 + 30 tokens, $0.001",
    ]


def test_a_report_already_given_does_not_change():
    journal = Journal()
    journal.append(record(usage=Usage(input=1)))
    report = journal.usage()
    before = pickle.loads(pickle.dumps(report))
    journal.append(record(usage=Usage(input=1)))
    journal.usage()
    assert report == before


def test_a_record_is_plain_data_without_content():
    fields = set(CallRecord.__struct_fields__)
    assert fields.isdisjoint({"prompt", "messages", "text", "request", "response", "body", "headers", "api_key"})
    each = record(usage=Usage(input=1), cost=Cost(femto=1))
    assert pickle.loads(pickle.dumps(each)) == each
    assert msgspec.json.decode(msgspec.json.encode(each), type=CallRecord) == each
    assert each.schema == 1


def test_the_journal_keeps_no_record_that_it_has_counted():
    journal = Journal(batch=4)
    for _ in range(1_000):
        journal.append(record())
        assert len(journal._state().waiting) < 4
    journal.usage()
    assert not journal._state().waiting


# Through the API.

ANSWERS = st.builds(
    Response,
    message=st.just(Message.assistant("x")),
    finish_reason=st.just("stop"),
    model=st.sampled_from(["gpt-4", "gpt-4o", "nobody-knows"]),
    usage=st.builds(
        Usage, source=st.sampled_from(["provider", "missing"]), input=COUNTS, output=COUNTS, cache_read=COUNTS
    ),
)


@given(st.lists(ANSWERS, max_size=8), st.data())
def test_the_usage_report_is_the_exact_sum_of_the_answers(answers, data):
    def answer(request):
        response = answers[json.loads(request.body)["seed"]]
        if json.loads(request.body).get("stream"):
            return Reply(headers=SSE, body=tuple(build_events(response)))
        return Reply(body=build_response(response).body)

    api = ModelsAPI(Settings(transport=ScriptedTransport(answer), api_keys={"openai": "k"}), providers=chat_table())
    given_back = []
    for number, response in enumerate(answers):
        ask = api if data.draw(st.booleans()) else lambda *args, **kw: api.stream(*args, **kw).read()
        given_back.append(ask(response.model if response.model != "nobody-knows" else "gpt-9", "Hi", seed=number))
    total = api.usage().total
    costs = [response.cost.femto for response in given_back]
    assert total.femto == sum(cost for cost in costs if cost is not None)
    assert total.unknown_costs == costs.count(None)
    assert total.input_tokens == sum(response.usage.input_tokens or 0 for response in given_back)
    assert total.output_tokens == sum(response.usage.output_tokens or 0 for response in given_back)
    assert total.unknown_usage == sum(response.usage.total_tokens is None for response in given_back)
    assert total.calls == total.answered == len(answers)


# Threads, garbage collection, fork.


def in_time(function):
    """Run it in a thread that may hang without hanging the tests; whether it came to its end."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return not thread.is_alive()


def test_many_threads_append_and_read_and_nothing_is_lost_or_counted_twice():
    journal, together = Journal(batch=8), threading.Barrier(16)

    def work(number):
        together.wait(PATIENCE)
        seen = 0
        for step in range(300):
            journal.append(record(model=f"m{number % 4}", usage=Usage(input=1), cost=Cost(femto=7)))
            if step % 37 == 0:
                calls = journal.usage().total.calls
                assert calls >= seen
                seen = calls

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    report = journal.usage()
    assert (report.total.calls, report.total.input_tokens, report.total.femto) == (4800, 4800, 33600)
    assert {name: totals.calls for name, totals in report.models.items()} == {
        f"p/m{number}": 1200 for number in range(4)
    }


class Meddler:
    """A record that does something while it is being counted, as garbage collection may."""

    def __init__(self, action):
        self._record = record()
        self._action = action

    def __getattr__(self, name):
        if name == "usage":
            action, self._action = self._action, lambda: None
            action()
        return getattr(self._record, name)


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_a_call_that_ends_while_totals_are_counted_waits_for_nobody_and_is_counted(batch):
    journal = Journal(batch=batch)
    journal.append(Meddler(lambda: [journal.append(record()) for _ in range(5)]))
    assert in_time(journal.usage)
    assert journal.usage().total.calls == 6


@pytest.mark.parametrize("batch", [1, 256])
def test_a_stream_that_garbage_collection_ends_while_totals_are_counted_is_counted(batch):
    hello = Response(message=Message.assistant("Hello"), finish_reason="stop", model="gpt-4")
    script = ScriptedTransport(Reply(headers=SSE, body=tuple(build_events(hello))))
    api = ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=chat_table())
    journal = api._service.journal = Journal(batch=batch)
    cycle = [api.stream("gpt-4", "Hi").open()]
    cycle.append(cycle)

    def drop_and_collect():
        nonlocal cycle
        cycle = None
        gc.collect()

    assert in_time(lambda: journal.append(Meddler(drop_and_collect)))
    assert in_time(journal.usage)
    total = journal.usage().total
    assert (total.calls, total.abandoned) == (2, 1)
    assert script.exchanges[0].closed


def test_an_append_while_another_thread_counts_does_not_wait_for_it():
    journal, inside, go_on = Journal(batch=1), threading.Event(), threading.Event()

    def hold():
        inside.set()
        assert go_on.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(journal.append, Meddler(hold))
        assert inside.wait(PATIENCE)
        assert in_time(lambda: [journal.append(record()) for _ in range(10)])
        go_on.set()
        counting.result(PATIENCE)
    assert journal.usage().total.calls == 11


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
quiet_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def in_child(function):
    """What a forked child writes; nothing where the system had to end it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a child that waits for a thread it does not have is ended by the system
        os.write(writing, str(function()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@needs_fork
@quiet_fork
def test_a_child_forked_while_totals_are_counted_can_read_its_own():
    journal, inside, go_on = Journal(batch=1), threading.Event(), threading.Event()

    def hold():
        inside.set()
        go_on.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(journal.append, Meddler(hold))
        assert inside.wait(PATIENCE)
        said = in_child(lambda: journal.usage().total.calls)
        go_on.set()
    assert said


@needs_fork
@quiet_fork
def test_a_forked_child_counts_its_own_calls_from_none_on_and_its_parent_goes_on_counting():
    journal = Journal(batch=2)
    for _ in range(3):
        journal.append(record())

    def count_in_child():
        before = journal.usage().total.calls
        for _ in range(5):
            journal.append(record())
        return before, journal.usage().total.calls

    assert in_child(count_in_child) == "(0, 5)"
    assert in_child(lambda: (journal.append(record()), journal.usage().total.calls)) == "(None, 1)"
    journal.append(record())
    assert journal.usage().total.calls == 4


@needs_fork
@quiet_fork
def test_the_ids_of_calls_are_unique_over_threads_and_forks():
    with ThreadPoolExecutor(8) as pool:
        ids = [id_ for many in pool.map(lambda _: [new_call_id() for _ in range(500)], range(8)) for id_ in many]
    assert len(set(ids)) == len(ids)
    child = in_child(lambda: " ".join(new_call_id() for _ in range(50))).split()
    after = [new_call_id() for _ in range(50)]
    assert len(child) == 50
    assert len({*ids, *child, *after}) == len(ids) + 100
