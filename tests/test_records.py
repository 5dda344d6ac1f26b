"""Records, totals, tags, tallies and hooks: whoever counts, however a call was made or ended, counts the same."""

import asyncio
import gc
import json
import os
import pickle
import random
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from quoth import Message, ModelsAPI, QuothError, Response, Settings, Usage
from quoth.dialects.openai_chat.server import build_error, build_events, build_response
from quoth.errors import APIConnectionError, ConfigurationError, InputError, InputTypeError
from quoth.instrumentation import CallRecord, Journal, Tally, UsageReport, UsageTotals, _usage
from quoth.testing import Reply, ScriptedTransport
from quoth.types import Cost
from quoth.wire import ErrorInfo
from tables import chat_table

PATIENCE = 30.0
"""Seconds after which a test gives up on another thread: it is never waited for in a test that passes."""

SSE = (("content-type", "text/event-stream"),)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def respond(request):
    """Do what the prompt says: ``verb number``; the number is the tokens that the answer bills."""
    body = json.loads(request.body)
    verb, number = body["messages"][-1]["content"].split()
    match verb:
        case "refuse":
            return Reply(status=429, body=build_error(ErrorInfo(kind="rate_limit", message="slow down")).body)
        case "lose":
            return APIConnectionError("reset", phase="first_byte", sent="yes")
        case "interrupt":
            return KeyboardInterrupt()
    usage = Usage(input=int(number), output=int(number) % 97)
    response = Response(message=Message.assistant("Hello"), finish_reason="stop", model=body["model"], usage=usage)
    if body.get("stream"):
        return Reply(headers=SSE, body=tuple(build_events(response)))
    return Reply(body=build_response(response).body)


class Waiting:
    """An asyncio transport over a script, where a request that says ``cancel`` is never answered."""

    def __init__(self, script):
        self._script = script

    async def open(self, request, deadline):
        if b"cancel " in request.body:
            await asyncio.Event().wait()
        return await self._script.aio.open(request, deadline)

    def close(self):
        pass


def api_of(**more):
    script = ScriptedTransport(respond)
    given = {"transport": script, "async_transport": Waiting(script), "api_keys": {"openai": "k"}, "retries": 0, **more}
    return ModelsAPI(Settings(**given), providers=chat_table())


def total_of(records):
    """The slow and obvious sums that matter most."""
    known = [each.cost.femto for each in records if each.cost is not None and each.cost.femto is not None]
    return {
        "calls": len(records),
        **{name: sum(each.outcome == name for each in records) for name in ENDINGS},
        "femto": sum(known),
        "unknown_costs": sum(each.cost is not None and each.cost.femto is None for each in records),
    }


def same(totals):
    return {name: getattr(totals, name) for name in ("calls", *ENDINGS, "femto", "unknown_costs")}


ENDINGS = ("answered", "failed", "cancelled", "abandoned")

# 10,000 calls.

MODELS = ("gpt-4", "gpt-4o", "openai/nobody-knows-its-price")
VERBS = ("answer", "answer", "answer", "refuse", "lose", "leave", "drop")


class Ledger:
    """What the test itself knows: answers, and which ending each call had."""

    def __init__(self):
        self.answers = []
        self.endings = Counter()

    def call(self, api, plan):
        """One blocking call."""
        model, verb, number, streamed = plan
        prompt = f"{verb} {number}"
        if verb in ("leave", "drop"):
            self.endings["abandoned"] += 1
            return _leave(api, model, prompt, verb)
        try:
            answer = api.stream(model, prompt).read() if streamed else api(model, prompt)
        except QuothError:
            self.endings["failed"] += 1
        except KeyboardInterrupt:
            self.endings["cancelled"] += 1
        else:
            self.answers.append(answer)
            self.endings["answered"] += 1
        return None

    async def acall(self, api, plan):
        """One call under asyncio."""
        model, verb, number, streamed = plan
        prompt = f"{verb} {number}"
        if verb in ("leave", "drop"):
            self.endings["abandoned"] += 1
            stream = api.aio.stream(model, prompt)
            await anext(stream)
            return
        try:
            answer = await (api.aio.stream(model, prompt).read() if streamed else api.aio(model, prompt))
        except QuothError:
            self.endings["failed"] += 1
        except asyncio.CancelledError:
            self.endings["cancelled"] += 1
        else:
            self.answers.append(answer)
            self.endings["answered"] += 1


def _leave(api, model, prompt, verb):
    """Read one piece, and then close the stream, or drop it in a cycle that only garbage collection ends."""
    stream = api.stream(model, prompt)
    next(stream)
    if verb == "leave":
        stream.close()
    else:
        cycle = [stream]
        cycle.append(cycle)


def plans(seed, count, *more):
    chosen = random.Random(seed)
    return [
        (chosen.choice(MODELS), chosen.choice((*VERBS, *more)), chosen.randrange(1, 10**6), chosen.random() < 0.5)
        for _ in range(count)
    ]


THREADS, TASKS = 16, 40


def in_thread(api, number):
    ledger = Ledger()
    with api.tag(world="thread", worker=f"w{number}"), api.track() as tally:
        for plan in plans(number, 350, "interrupt"):
            ledger.call(api, plan)
    return ledger, tally


async def in_task(api, number):
    ledger = Ledger()
    with api.tag(world="task", worker=f"t{number}"), api.track() as tally:
        for plan in plans(1000 + number, 110, "cancel"):
            task = asyncio.create_task(ledger.acall(api, plan))
            if plan[1] == "cancel":
                await asyncio.sleep(0)
                task.cancel()
            await task
    return ledger, tally


async def in_tasks(api):
    return await asyncio.gather(*[in_task(api, number) for number in range(TASKS)])


def test_10_000_mixed_calls_leave_one_record_each_and_everyone_who_counts_agrees_to_the_femto_dollar():
    api, told = api_of(), []
    api.on_call(told.append)
    with api.track() as everything, ThreadPoolExecutor(THREADS + 1) as pool:
        tasks = pool.submit(api.carry(partial(asyncio.run, in_tasks(api))))
        ended = list(pool.map(api.carry(partial(in_thread, api)), range(THREADS))) + tasks.result(PATIENCE)
    gc.collect()
    report = api.usage()

    answers = [answer for ledger, _ in ended for answer in ledger.answers]
    endings = sum((ledger.endings for ledger, _ in ended), Counter())
    assert report.total.calls == 16 * 350 + 40 * 110 == 10_000
    assert all(count > 200 for count in endings.values())
    assert {name: getattr(report.total, name) for name in ENDINGS} == endings

    known = [answer.cost.femto for answer in answers if answer.cost.femto is not None]
    assert len(known) > 1_000
    assert len(answers) - len(known) > 500
    assert report.total.femto == sum(known)
    billed = sum(answer.usage.input_tokens for answer in answers)
    assert report.total.input_tokens == billed

    assert len(told) == len({record.id for record in told}) == 10_000
    assert same(report.total) == total_of(told) == same(everything.total)
    assert everything.usage() == report

    workers = report.tags["worker"]
    assert len(workers) == THREADS + TASKS
    for number, (ledger, tally) in enumerate(ended):
        name = f"w{number}" if number < THREADS else f"t{number - THREADS}"
        own = [record for record in told if record.tags["worker"] == name]
        assert same(tally.total) == total_of(own) == same(workers[name])
        assert {name: getattr(tally.total, name) for name in ledger.endings} == ledger.endings
    worlds = report.tags["world"]
    assert (worlds["thread"].calls, worlds["task"].calls) == (5_600, 4_400)
    assert worlds["thread"].femto + worlds["task"].femto == report.total.femto
    assert report.providers == {"openai": report.total}


# Tags.


def tags_of(api, make):
    """The tags of the one record that a call leaves."""
    told = []
    handle = api.on_call(told.append)
    make()
    api.usage()
    handle.remove()
    (record,) = told
    return dict(record.tags)


def test_tags_come_from_the_call_over_the_binding_over_the_context_over_the_settings():
    api = api_of(tags={"a": "settings", "b": "settings", "c": "settings", "d": "settings"})
    binding = api.bind("gpt-4", tags={"a": "binding", "b": "binding"})
    with api.tag(a="outer", b="outer", c="outer"), api.tag(c="inner"):
        assert tags_of(api, lambda: binding("answer 1", tags={"a": "call"})) == {
            "a": "call", "b": "binding", "c": "inner", "d": "settings",
        }  # fmt: skip
        assert tags_of(api, lambda: binding.bind(tags={"e": "1"}).stream("answer 1").read()) == {
            "a": "binding", "b": "binding", "c": "inner", "d": "settings", "e": "1",
        }  # fmt: skip
    assert tags_of(api, lambda: api("gpt-4", "answer 1")) == dict.fromkeys("abcd", "settings")


def test_a_stream_has_the_tags_of_where_it_was_made_not_of_where_it_is_read():
    api = api_of()
    with api.tag(where="made"), api.track() as tally:
        stream = api.stream("gpt-4", "answer 1")
    with api.tag(where="read"):
        assert tags_of(api, stream.read) == {"where": "made"}
    assert tally.total.answered == 1


def test_a_record_does_not_change_with_the_mapping_that_was_given():
    api, tags, told = api_of(), {"a": "1"}, []
    api.on_call(told.append)
    binding = api.bind("gpt-4", tags=tags)
    tags["a"] = "2"
    binding("answer 1")
    told[0].tags["a"] = "3"
    binding("answer 1")
    assert told[1].tags == {"a": "1"}


@pytest.mark.parametrize(
    "bad", [{"a": 1}, {"": "x"}, {"a": ""}, {"a": "x" * 257}, {"a": "\n"}, {"b" * 65: "x"}], ids=repr
)
def test_a_bad_tag_is_refused_where_it_is_given(bad):
    with pytest.raises(InputError, match="tag"):
        api_of().tag(**bad)
    with pytest.raises(InputError, match="tags"):
        api_of(tags=bad)


def test_too_many_tags_are_refused_before_anything_is_sent_and_leave_the_context_as_it_was():
    api = api_of()
    half = {f"a{number}": "x" for number in range(20)}
    with api.tag(**half):
        with pytest.raises(ConfigurationError, match="at most 32 tags"), api.tag(**{f"b{n}": "x" for n in range(20)}):
            pass
        with pytest.raises(ConfigurationError, match="at most 32 tags"):
            api("gpt-4", "answer 1", tags={f"c{number}": "x" for number in range(20)})
        assert tags_of(api, lambda: api("gpt-4", "answer 1")) == half
    assert api.usage().total.calls == 1


NAMES = st.sampled_from(["a", "b", "c"])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["enter", "leave"]), NAMES, st.integers(0, 5)), max_size=14))
def test_scopes_may_be_left_in_any_order_and_each_takes_only_itself_out(steps):
    """As generators leave them. The tags are those of the scopes still open, later over earlier."""
    api, open_scopes = api_of(), []
    for what, name, number in steps:
        if what == "enter":
            scope = api.tag(**{name: str(number)})
            scope.__enter__()
            open_scopes.append((scope, name, str(number)))
        elif open_scopes:
            scope, _, _ = open_scopes.pop(number % len(open_scopes))
            scope.__exit__(None, None, None)
        assert tags_of(api, lambda: api("gpt-4", "answer 1")) == {key: value for _, key, value in open_scopes}
    for scope, _, _ in open_scopes:
        scope.__exit__(None, None, None)
    assert tags_of(api, lambda: api("gpt-4", "answer 1")) == {}


def test_a_generator_that_is_left_inside_a_tag_leaves_nothing_behind():
    api = api_of()

    def pieces(name):
        with api.tag(**{name: "x"}):
            yield from api.stream("gpt-4", "answer 1")

    one, other = pieces("one"), pieces("other")
    next(one), next(other)
    one.close()
    other.close()
    assert tags_of(api, lambda: api("gpt-4", "answer 1")) == {}


def test_an_async_generator_that_another_task_closes_disturbs_nobody():
    api = api_of()

    async def pieces():
        with api.tag(gone="x"):
            async for piece in api.aio.stream("gpt-4", "answer 1"):
                yield piece

    async def main():
        generator = pieces()
        await anext(generator)
        with api.tag(mine="y"):
            task = asyncio.get_running_loop().create_task(generator.aclose())
            await task
        return generator

    asyncio.run(main())
    assert tags_of(api, lambda: api("gpt-4", "answer 1")) == {}


def test_tasks_take_the_tags_of_where_they_were_started_and_keep_their_own():
    api, told = api_of(), []
    api.on_call(told.append)

    async def work(number):
        with api.tag(task=str(number)):
            await asyncio.sleep(0)
            await api.aio("gpt-4", f"answer {number}")

    async def main():
        with api.tag(feature="search"):
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(work(number))
        await api.aio("gpt-4", "answer 99")

    asyncio.run(main())
    assert sorted((record.usage.input, dict(record.tags)) for record in told if record.tags) == [
        (number, {"feature": "search", "task": str(number)}) for number in range(20)
    ]
    assert told[-1].tags == {}


# Carrying a context into a foreign thread.


def test_a_context_does_not_reach_the_threads_of_a_pool_and_carry_takes_it_there():
    api = api_of()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()

        def tags():
            return tags_of(api, lambda: api("gpt-4", "answer 1"))

        with api.tag(feature="search"), api.track() as tally:
            assert pool.submit(tags).result() == {}
            assert pool.submit(api.carry(tags)).result() == {"feature": "search"}
        assert pool.submit(tags).result() == {}
    assert tally.total.calls == 1


def test_what_is_carried_has_the_carried_tags_only_and_leaves_the_threads_own_as_they_were():
    api = api_of()
    with api.tag(a="1"):
        carried = api.carry(lambda: tags_of(api, lambda: api("gpt-4", "answer 1")))
    with api.tag(b="2"):
        assert carried() == {"a": "1"}
        assert tags_of(api, lambda: api("gpt-4", "answer 1")) == {"b": "2"}


def test_an_async_function_is_carried_too():
    api, told = api_of(), []
    api.on_call(told.append)

    async def work(number):
        await asyncio.sleep(0)
        return (await api.aio("gpt-4", f"answer {number}")).text

    with api.tag(feature="search"):
        carried = api.carry(work)

    async def main():
        return await asyncio.gather(carried(1), api.carry(work)(2), carried(3))

    assert asyncio.run(main()) == ["Hello"] * 3
    assert {record.usage.input: dict(record.tags) for record in told} == {
        1: {"feature": "search"}, 2: {}, 3: {"feature": "search"},
    }  # fmt: skip


def test_what_is_carried_gives_raises_and_is_named_as_the_function():
    api = api_of()

    def work(one, *, two):
        """Say both."""
        if one is None:
            raise ZeroDivisionError
        return one, two

    carried = api.carry(work)
    assert carried(1, two=2) == (1, 2)
    assert (carried.__name__, carried.__doc__) == ("work", "Say both.")
    with pytest.raises(ZeroDivisionError):
        carried(None, two=2)


def test_what_carry_cannot_keep_is_refused():
    def pieces():
        yield 1

    async def apieces():
        yield 1

    for wrong in (pieces, apieces, partial(pieces), 5, None):
        with pytest.raises(InputTypeError, match="carry"):
            api_of().carry(wrong)


# Tallies.


def test_a_tally_can_be_read_during_and_after_and_counts_only_what_was_made_inside():
    api = api_of()
    api("gpt-4", "answer 5")
    with api.track() as tally:
        assert tally.total == UsageTotals()
        answer = api("gpt-4", "answer 7")
        assert (tally.total.calls, tally.total.femto, tally.total.usd) == (1, answer.cost.femto, answer.cost.usd)
        with api.track() as inner:
            api("gpt-4o", "answer 9")
        with suppress(QuothError):
            api("gpt-4", "refuse 1")
    api("gpt-4", "answer 5")
    assert (inner.total.calls, tally.total.calls, api.usage().total.calls) == (1, 3, 5)
    assert list(tally.usage().models) == ["openai/gpt-4", "openai/gpt-4o"]
    assert str(tally) == str(tally.total)
    assert repr(tally) == f"Tally({tally.total})"


def test_a_tally_counts_the_calls_of_every_api_and_each_call_once():
    one, other = api_of(), api_of()
    scope = one.track()
    with scope as tally, scope as again:
        assert again is tally
        one("gpt-4", "answer 1")
        other("gpt-4", "answer 1")
    assert tally.total.calls == 2
    assert one.usage().total.calls == other.usage().total.calls == 1


def test_a_tally_takes_no_call_twice_from_many_threads():
    api = api_of()
    with api.track() as tally, ThreadPoolExecutor(16) as pool:
        work = api.carry(lambda number: api("gpt-4", f"answer {number}"))
        answers = list(pool.map(work, range(1, 801)))
    assert tally.total.calls == 800
    assert tally.total.femto == sum(answer.cost.femto for answer in answers)


# Totals by tag, in constant memory.


def record(**fields):
    known = {"id": "x", "operation": "generate", "provider": "p", "model": "m", "outcome": "answered"}
    return CallRecord(**{**known, "started_at": 0.0, "seconds": 1.0, **fields})


def test_values_beyond_the_bound_are_summed_as_other_and_counted_and_no_sum_is_lost(monkeypatch):
    monkeypatch.setattr(_usage, "MOST_TAG_VALUES", 3)
    monkeypatch.setattr(_usage, "MOST_TAG_NAMES", 2)
    monkeypatch.setattr(_usage, "MOST_MODELS", 4)
    journal = Journal()
    for number in range(10):
        tags = {"user": f"u{number}", "feature": "x", "third": "y"}
        journal.append(record(model=f"m{number}", tags=tags, cost=Cost(femto=1)))
    report = journal.usage()
    assert {name: totals.femto for name, totals in report.tags["user"].items()} == {
        "u0": 1, "u1": 1, "u2": 1, "other": 7,
    }  # fmt: skip
    assert set(report.tags) == {"user", "feature"}
    assert report.models["p/other"].calls == 6
    assert report.overflow == 7 + 10 + 6
    assert report.total.femto == report.providers["p"].femto == report.tags["feature"]["x"].femto == 10


def test_a_million_users_do_not_fill_the_memory():
    journal = Journal()
    for number in range(5_000):
        journal.append(record(tags={"user": str(number)}))
    by_user = journal.usage().tags["user"]
    assert len(by_user) == _usage.MOST_TAG_VALUES + 1
    assert sum(totals.calls for totals in by_user.values()) == 5_000


def test_a_report_shows_models_tags_and_the_total():
    journal = Journal()
    journal.append(record(tags={"user": "u1"}, cost=Cost(femto=10**12)))
    assert str(journal.usage()).splitlines() == [
        "p/m: 1 calls, 0 + 0 tokens, $0.001",
        "user=u1: 1 calls, 0 + 0 tokens, $0.001",
        "total: 1 calls, 0 + 0 tokens, $0.001",
    ]


def test_a_record_with_tags_and_a_parent_is_plain_data():
    each = record(tags={"a": "b"}, parent="y")
    assert pickle.loads(pickle.dumps(each)) == each
    assert (record().tags, record().parent) == ({}, None)


def test_a_reports_names_are_those_that_instrumentation_lists():
    from quoth import instrumentation

    for name in instrumentation.__all__:
        assert getattr(instrumentation, name) is not None
    assert instrumentation.UsageReport is UsageReport
    assert instrumentation.Tally is Tally
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = instrumentation.nothing_such


# Hooks.


def test_a_hook_is_told_of_each_call_when_it_has_ended_on_the_callers_thread():
    api, told = api_of(), []
    api.on_call(lambda each: told.append((each.outcome, threading.get_ident())))
    here = threading.get_ident()
    api("gpt-4", "answer 1")
    assert told == [("answered", here)]
    with pytest.raises(QuothError):
        api("gpt-4", "refuse 1")
    assert told[1:] == [("failed", here)]
    with pytest.raises(KeyboardInterrupt):
        api("gpt-4", "interrupt 1")
    assert told[2:] == [("cancelled", here)]
    with api.stream("gpt-4", "answer 1") as stream:
        next(stream)
    assert told[3:] == [("abandoned", here)]


def test_a_hook_is_not_called_by_garbage_collection_but_when_the_next_call_ends_or_usage_is_read():
    api, told = api_of(), []
    api.on_call(lambda each: told.append(each.usage is None))
    for tell in (api.usage, api.close, lambda: api("gpt-4", "answer 1")):
        stream = api.stream("gpt-4", "answer 1")
        next(stream)
        del stream
        gc.collect()
        assert told == []
        tell()
        assert told[0] is True
        told.clear()


@pytest.mark.parametrize("error", [ValueError("secret sk-0123456789abcdefghijkl"), AssertionError(), StopIteration()])
def test_a_hook_that_fails_hurts_no_call_and_no_other_hook_and_is_reported_once(error):
    api, told = api_of(), []

    def failing(each):
        raise error

    handle = api.on_call(failing)
    api.on_call(told.append)
    with pytest.warns(RuntimeWarning, match=f"failing.* raised {type(error).__name__}") as caught:
        answers = [api("gpt-4", "answer 1"), api("gpt-4", "answer 1"), asyncio.run(_ask(api))]
    assert len(caught) == 1
    assert [answer.text for answer in answers] == ["Hello"] * 3
    assert "sk-0123" not in str(caught[0].message)
    assert (handle.failures, len(told)) == (3, 3)
    assert handle.last_failure.startswith(type(error).__name__)


async def _ask(api):
    return await api.aio("gpt-4", "answer 1")


def test_a_hook_that_fails_hurts_no_call_where_warnings_are_errors():
    api = api_of()
    handle = api.on_call(lambda each: 1 / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert api("gpt-4", "answer 1").text == "Hello"
    assert handle.failures == 1


def test_a_hook_that_is_removed_is_told_nothing_more_even_of_what_waits():
    api, told = api_of(), []
    handle = api.on_call(told.append)
    stream = api.stream("gpt-4", "answer 1")
    next(stream)
    del stream
    handle.remove()
    handle.remove()
    api("gpt-4", "answer 1")
    api.usage()
    assert told == []


def test_a_call_that_a_hook_makes_is_recorded_and_told_to_nobody():
    api, told = api_of(), []

    def hook(each):
        told.append(each)
        api("gpt-4", "answer 1")
        api.usage()

    api.on_call(hook)
    api("gpt-4", "answer 1")
    assert len(told) == 1
    assert api.usage().total.calls == 2
    api("gpt-4", "answer 1")
    assert len(told) == 2


def test_a_hook_may_remove_itself_and_add_another():
    api, told = api_of(), []

    def hook(each):
        handle.remove()
        api.on_call(told.append)

    handle = api.on_call(hook)
    for _ in range(3):
        api("gpt-4", "answer 1")
    assert len(told) == 2


def test_an_async_hook_or_none_is_refused():
    async def hook(each):
        pass

    for wrong in (hook, partial(hook), None, 5):
        with pytest.raises(InputTypeError, match="on_call"):
            api_of().on_call(wrong)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_does_not_tell_what_waited_in_its_parent():
    api, told = api_of(), []
    api.on_call(told.append)
    stream = api.stream("gpt-4", "answer 1")
    next(stream)
    del stream
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        api.usage()
        before = len(told)
        api("gpt-4", "answer 1")
        os.write(writing, f"{before} {len(told)}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "0 1"
    os.waitpid(child, 0)
    api.usage()
    assert len(told) == 1


@pytest.mark.parametrize("verb", ["answer", "refuse", "lose"])
def test_a_record_holds_no_prompt_no_answer_and_no_key(verb):
    """Whatever a hook writes of it: its repr, its pickle, its JSON, and the totals."""
    script = ScriptedTransport(respond)
    settings = Settings(transport=script, api_keys={"openai": "sk-secret-0123456789"}, retries=0)
    api = ModelsAPI(settings, providers=chat_table())
    records = []
    api.on_call(records.append)
    for ask in (api, lambda *args, **options: api.stream(*args, **options).read()):
        with suppress(QuothError):
            ask("gpt-6-luna", f"{verb} 7340033", system="the system line")
    assert len(records) == len(script.requests) == 2
    shown = "".join([repr(each) + repr(pickle.dumps(each)) + repr(msgspec.json.encode(each)) for each in records])
    shown += repr(api.usage()) + str(api.usage())
    for text in (f"{verb} 7340033", "the system line", "Hello", "sk-secret"):
        assert text not in shown


@pytest.mark.parametrize("stream", [False, True])
def test_a_record_holds_no_key_that_the_provider_echoes(stream):
    key = "a-key-of-no-known-form-0123456789"
    said = Response(message=Message.assistant("Hello"), finish_reason="stop", model=f"gpt {key}", usage=Usage(input=1))
    body = tuple(build_events(said)) if stream else build_response(said).body
    script = ScriptedTransport(Reply(headers=(*(SSE if stream else ()), ("x-request-id", f"req {key}")), body=body))
    api = ModelsAPI(Settings(transport=script, api_keys={"openai": key}), providers=chat_table())
    records = []
    api.on_call(records.append)
    list(api.stream("gpt-4", "Hi")) if stream else api("gpt-4", "Hi")
    assert key.encode() not in msgspec.json.encode(records)
    assert (records[0].served_model, records[0].attempts[0].request_id) == ("gpt [redacted]", "req [redacted]")
