"""Middleware: one function around every call, whichever way it is made."""

import re
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from quoth import Message, ModelsAPI, QuothError, Settings
from quoth.errors import InputTypeError, OverloadedError
from quoth.events import ResponseEnd, ResponseStart, fold
from quoth.middleware import Call, Sleep
from quoth.types import Response, Usage
from test_fallback import api_of, by_provider, claude
from test_retries import BUSY, SILENT
from test_service import HELLO, answering, records_of
from ways import STREAMS, WAYS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"


@pytest.fixture
def cache():
    """The example of the page."""
    (example,) = [
        code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "Cache" in code
    ]
    names = {}
    exec(example.partition("remove = ")[0], names)
    return names["ResponseCache"]()


def transparent(request, next):
    response = yield from next(request)
    return response


def test_what_passes_through_is_the_same_as_without(ask):
    api, script = api_of(answering())
    plain = ask(api)
    api.use(transparent)
    assert ask(api) == plain
    assert script.requests[0] == script.requests[1]
    first, second = records_of(api)
    assert (first.cost, first.usage, first.outcome, first.stream) == (
        second.cost,
        second.usage,
        "answered",
        second.stream,
    )
    assert (first.first_output_seconds is None) == (second.first_output_seconds is None)


def test_it_sees_the_request_and_the_response_of_every_way(ask):
    seen = []

    def watching(request, next):
        response = yield from next(request)
        seen.append((request.model, request.messages[-1].text, request.stream, response.text, str(response.cost)))
        return response

    api, _ = api_of(answering())
    api.use(watching)
    ask(api, prompt="Why?")
    assert seen == [("openai/gpt-4", "Why?", ask in STREAMS.values(), "Hello", "$0.06")]


def test_a_changed_request_is_what_is_sent(ask):
    def braver(request, next):
        return (yield from next(replace(request, temperature=0.9, messages=(*request.messages, Message.user("Now.")))))

    api, script = api_of(by_provider(gpt=[BUSY, answering()], claude=[claude]), retries=0)
    api.use(braver)
    ask(api, fallback=["claude-sonnet-5-5"])
    assert all(b"Now." in request.body for request in script.requests)
    assert b'"temperature":0.9' in script.requests[0].body.replace(b": ", b":")


def test_another_model_is_asked_with_its_own_key_and_none_of_the_first(ask):
    def elsewhere(request, next):
        return (yield from next(replace(request, model="anthropic/claude-sonnet-5-5")))

    api, script = api_of(by_provider(gpt=[answering()], claude=[claude]))
    api.use(elsewhere)
    answer = ask(api, api_key="sk-given-0123456789abcdef", headers={"x-team": "a"}, extra={"openai": {"store": True}})
    assert (answer.text, answer.provider) == ("Bonjour", "anthropic")
    (request,) = script.requests
    assert "sk-given" not in repr(request.headers)
    assert "x-team" not in dict(request.headers)
    assert b"store" not in request.body
    assert records_of(api)[0].provider == "anthropic"


def test_the_first_that_was_put_there_is_outermost_and_each_can_be_taken_out(ask):
    def marking(name):
        def mark(request, next):
            order.append(f"{name} asks")
            response = yield from next(request)
            order.append(f"{name} has")
            return response

        return mark

    order = []
    api, _ = api_of(answering())
    removes = [api.use(marking(name)) for name in "ab"]
    ask(api)
    assert order == ["a asks", "b asks", "b has", "a has"]
    removes[0]()
    removes[0]()
    order.clear()
    ask(api)
    assert order == ["b asks", "b has"]


# The cache of the page.


def test_a_hit_asks_nobody_and_costs_a_known_zero(ask, cache):
    api, script = api_of(answering())
    api.use(cache)
    first, again = ask(api), ask(api)
    assert len(script.requests) == 1
    assert (again.text, again.model, again.provider) == (first.text, first.model, first.provider)
    assert (str(first.cost), str(again.cost), again.cost.kind, again.cost.femto) == ("$0.06", "$0", "cached", 0)
    assert again.usage == Usage()
    assert (again.call.attempts, again.call.id != first.call.id) == ((), True)
    record = records_of(api)[1]
    assert (record.outcome, record.cost, record.usage, record.sent, record.attempts) == (
        "answered", again.cost, Usage(), "no", (),
    )  # fmt: skip
    total = api.usage().total
    assert (total.calls, total.answered, total.unknown_costs, total.unknown_usage) == (2, 2, 0, 0)
    assert (total.femto, total.input_tokens) == (first.cost.femto, 1000)


@pytest.mark.parametrize("fill", WAYS.values(), ids=WAYS)
def test_what_one_way_has_asked_every_other_way_hits(ask, fill, cache):
    api, script = api_of(answering())
    api.use(cache)
    assert fill(api).text == ask(api).text == "Hello"
    assert len(script.requests) == 1
    ask(api, prompt="Another")
    assert len(script.requests) == 2


def test_a_hit_is_shown_to_a_stream_as_its_pieces(cache):
    api, _ = api_of(answering())
    api.use(cache)
    api("gpt-4", "Hi")
    stream = api.stream("gpt-4", "Hi").open()
    events = list(stream.events())
    assert isinstance(events[0], ResponseStart)
    assert isinstance(events[-1], ResponseEnd)
    assert fold(events).text == "Hello" == stream.response.text
    assert stream.response.cost.kind == "cached"
    assert "".join(api.stream("gpt-4", "Hi")) == "Hello"


def test_an_error_is_not_kept(ask, cache):
    api, script = api_of(by_provider(gpt=[BUSY, answering()], claude=[claude]), retries=0)
    api.use(cache)
    with pytest.raises(OverloadedError):
        ask(api)
    assert ask(api).text == "Hello"
    assert len(script.requests) == 2


# Whatever else it does.


def test_a_changed_response_is_the_calls_and_costs_what_it_cost(ask):
    def shouting(request, next):
        response = yield from next(request)
        return replace(response, message=Message.assistant(response.text.upper()))

    api, _ = api_of(answering())
    api.use(shouting)
    answer = ask(api)
    assert (answer.text, str(answer.cost), answer.usage.input) == ("HELLO", "$0.06", 1000)
    assert str(records_of(api)[0].cost) == "$0.06"


def test_all_answers_that_it_asked_for_are_paid():
    def twice(request, next):
        yield from next(request)
        return (yield from next(request))

    api, script = api_of(answering())
    api.use(twice)
    api("gpt-4", "Hi")
    (record,) = records_of(api)
    assert (str(record.cost), record.usage.input, len(record.attempts), len(script.requests)) == ("$0.12", 2000, 2, 2)


def test_it_may_answer_an_error_and_what_that_may_have_cost_stays_unknown(ask):
    def patient(request, next):
        try:
            return (yield from next(request))
        except QuothError as error:
            return Response(message=Message.assistant(error.kind), finish_reason="stop", model="mine")

    for failure, femto in ((BUSY, 0), (SILENT, None)):
        api, _ = api_of(by_provider(gpt=[failure], claude=[claude]), retries=0)
        api.use(patient)
        answer = ask(api)
        assert answer.text in ("overloaded", "timeout")
        assert answer.cost.femto == femto
        assert records_of(api)[0].outcome == "answered"


def test_what_it_raises_ends_the_call_and_stands_on_the_record(ask):
    def broken(request, next):
        yield from next(request)
        raise ZeroDivisionError("mine")

    api, _ = api_of(answering())
    api.use(broken)
    with pytest.raises(ZeroDivisionError, match="mine"):
        ask(api)
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, str(record.cost)) == ("failed", "ZeroDivisionError", "$0.06")


def test_its_steps_wait_in_both_worlds(ask):
    def waiting(request, next):
        found = yield Call(lambda: "from a disk")
        yield Sleep(0.01)
        response = yield from next(request)
        return replace(response, message=Message.assistant(found))

    api, _ = api_of(answering())
    api.use(waiting)
    began = time.monotonic()
    assert ask(api).text == "from a disk"
    assert time.monotonic() - began >= 0.01


def test_what_is_no_response_is_said_in_words(ask):
    def nothing(request, next):
        yield from next(request)

    api, _ = api_of(answering())
    api.use(nothing)
    with pytest.raises(InputTypeError, match="NoneType in place of a Response"):
        ask(api)


@pytest.mark.parametrize("wrong", [5, None, "x", lambda request, following: following(request), print])
def test_what_is_no_generator_function_is_refused(wrong):
    with pytest.raises(InputTypeError, match="yield from next"):
        ModelsAPI(Settings()).use(wrong)


def test_an_abandoned_stream_ends_what_is_around_it():
    ended = []

    def watching(request, next):
        try:
            return (yield from next(request))
        finally:
            ended.append(True)

    api, script = api_of(answering(HELLO))
    api.use(watching)
    stream = api.stream("gpt-4", "Hi")
    next(stream)
    stream.close()
    assert ended == [True]
    assert [record.outcome for record in records_of(api)] == ["abandoned"]
    assert script.exchanges[0].closed
