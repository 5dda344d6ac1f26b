"""Trying again, by all four ways to ask: what is tried again, how often, after which wait, and what is recorded."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic

import pytest

from quoth import ModelsAPI, QuothError, Settings
from quoth.dialects.openai_chat.server import build_response
from quoth.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    CircuitOpenError,
    DeadlineExceededError,
    InternalServerError,
    LocalRateLimitError,
    OverloadedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ResponseParseError,
    StreamInterruptedError,
)
from quoth.limits import RetryPolicy
from quoth.testing import Reply, ScriptedTransport
from servers import RawServer
from tables import chat_table
from test_service import HELLO, JSON, SSE, KeepingJournal, answering, error_event, records_of, streaming
from ways import WAYS

QUICK = RetryPolicy(backoff=0.001)
KEY = "sk-test-0123456789abcdefghij"


def api_of(*answers, **settings):
    """Answers in turn; one that is called answers as it is asked."""
    script = Script(*answers)
    settings = {"retries": QUICK, **settings}
    api = ModelsAPI(
        Settings(transport=script, async_transport=script.aio, api_keys={"openai": KEY, "anthropic": KEY}, **settings),
        providers=chat_table(),
    )
    api._service.journal = KeepingJournal()
    return api, script


class Script(ScriptedTransport):
    """A script whose functions are asked once each, and the last one for all that follows."""

    def _next(self):
        if len(self._answers) > 1 or not callable(self._answers[0]):
            return self._answers.pop(0)
        return self._answers[0]


def refusal(status, *headers, **error):
    return Reply(
        status=status, headers=(*JSON, *headers), body=json.dumps({"error": {"message": "no", **error}}).encode()
    )


BUSY = refusal(529)
SLOW = refusal(429)
BROKEN = refusal(500)
REFUSED = APIConnectionError("refused", phase="connect", sent="no")
RESET = APIConnectionError("reset", phase="first_byte", sent="maybe", billed="maybe")
SILENT = APITimeoutError("silent", phase="first_byte", sent="yes", billed="maybe")

# What is tried again.


@pytest.mark.parametrize("failure", [BUSY, SLOW, BROKEN, refusal(409), refusal(408), REFUSED, RESET, SILENT,
                                     Reply(status=502, body=b"<html>Bad gateway"), Reply(headers=SSE, body=b""),
                                     Reply(body=b" \n")], ids=repr)  # fmt: skip
def test_what_passes_is_tried_again_and_its_answer_is_the_calls(ask, failure):
    api, script = api_of(failure, answering())
    answer = ask(api)
    assert answer.text == "Hello"
    assert str(answer.cost) == "$0.06"
    assert len(script.requests) == 2
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.status, record.sent) == ("answered", None, 200, "yes")
    first, second = record.attempts
    assert first.error_kind
    assert (first.followed_by, first.waited) == ("retry", 0)
    assert (second.error_kind, second.status, second.followed_by) == (None, 200, None)
    assert 0 <= second.waited <= 0.01
    assert answer.call.attempts == record.attempts
    assert second.started >= first.started + first.seconds


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (refusal(401), AuthenticationError),
        (refusal(429, code="insufficient_quota"), QuotaExceededError),
        (refusal(501), InternalServerError),
        (ProtocolError("garbage", phase="first_byte"), ProtocolError),
        (APIConnectionError("no certificate", phase="tls", sent="no", retryable=False), APIConnectionError),
        (DeadlineExceededError("passed", phase="connect", sent="no"), DeadlineExceededError),
        (Reply(body=b"<html>"), ResponseParseError),
        (Reply(body=b'{"choices": ['), ResponseParseError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_does_not_pass_is_sent_once(ask, failure, error):
    api, script = api_of(failure, answering())
    with pytest.raises(error) as caught:
        ask(api)
    assert len(script.requests) == 1
    (attempt,) = caught.value.attempts
    assert attempt.followed_by == "kind"


def test_the_providers_word_wins_over_the_kind_but_mends_no_request_and_no_key(ask):
    for answer, sent in [
        (refusal(429, ("x-should-retry", "false")), 1),
        (refusal(500, ("x-should-retry", "false")), 1),
        (refusal(418, ("x-should-retry", "true")), 2),
        (refusal(501, ("x-should-retry", "true")), 2),
        (refusal(401, ("x-should-retry", "true")), 1),
        (refusal(400, ("x-should-retry", "true")), 1),
        (refusal(429, ("x-should-retry", "true"), code="insufficient_quota"), 1),
        (refusal(429, ("x-should-retry", "maybe")), 2),
    ]:
        api, script = api_of(answer, answering())
        with suppress(QuothError):
            ask(api)
        assert len(script.requests) == sent, answer


# How often.


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_retries_is_how_often_it_is_tried_after_the_first_time(ask, retries):
    api, script = api_of(lambda _: BUSY)
    with pytest.raises(OverloadedError) as caught:
        ask(api, retries=RetryPolicy(retries=retries, backoff=0.001))
    assert len(script.requests) == len(caught.value.attempts) == retries + 1
    assert [attempt.followed_by for attempt in caught.value.attempts] == ["retry"] * retries + ["retries"]
    assert records_of(api)[0].attempts == caught.value.attempts
    assert f"{retries + 1} attempts" in str(caught.value) or not retries


def test_the_default_is_two_retries_and_a_number_of_the_settings_stands_in_its_place(ask):
    for settings, sent in [({}, 3), ({"retries": 0}, 1), ({"retries": RetryPolicy(retries=1, backoff=0)}, 2)]:
        api, script = api_of(lambda _: refusal(429, ("retry-after-ms", "1")), **{"retries": None, **settings})
        with pytest.raises(RateLimitError):
            ask(api, timeout=30)
        assert len(script.requests) == sent


def test_no_retries_is_said_by_a_zero(ask):
    api, script = api_of(lambda _: BUSY)
    with pytest.raises(OverloadedError):
        ask(api, retries=0)
    assert len(script.requests) == 1


@pytest.mark.parametrize("failure", [RESET, SILENT, BROKEN], ids=lambda failure: type(failure).__name__)
def test_after_what_may_have_been_billed_it_is_tried_once_more_and_not_twice(ask, failure):
    api, script = api_of(lambda _: failure)
    with pytest.raises(QuothError) as caught:
        ask(api)
    assert len(script.requests) == 2
    assert [attempt.followed_by for attempt in caught.value.attempts] == ["retry", "billed"]
    assert [attempt.billed for attempt in caught.value.attempts] == ["maybe", "maybe"]
    api, script = api_of(lambda _: failure)
    with pytest.raises(QuothError):
        ask(api, retries=RetryPolicy(retries_if_billed=0, backoff=0.001))
    assert len(script.requests) == 1


def test_an_answer_after_an_attempt_that_may_have_been_billed_is_a_lower_bound_of_what_the_call_cost(ask):
    api, _ = api_of(SILENT, answering())
    assert str(ask(api).cost) == "$0.06"
    total = api.usage().total
    assert (total.calls, total.answered, total.unknown_costs, total.femto) == (1, 1, 1, 60 * 10**12)
    api, _ = api_of(BUSY, answering())
    ask(api)
    assert api.usage().total.unknown_costs == 0


# How long is waited.


def test_what_the_provider_asks_is_waited_in_whatever_form_it_asks(ask):
    google = {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.05s"}]}
    for answer in [
        refusal(429, ("retry-after-ms", "50")),
        refusal(529, ("retry-after", "0.05")),
        refusal(429, ("x-amz-retry-after", "50")),
        refusal(429, **google),
    ]:
        api, _ = api_of(answer, answering())
        attempt = ask(api).call.attempts[1]
        assert 0.05 <= attempt.waited < 0.5, answer


def test_a_date_is_counted_from_the_servers_own_clock(ask):
    date = (("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:49:38 GMT"))
    api, _ = api_of(refusal(429, *date), answering())
    assert 1.0 <= ask(api).call.attempts[1].waited < 2.0


@pytest.mark.parametrize("stated", ["86400", "121"])
def test_a_wait_that_is_too_long_raises_at_once_and_says_how_long(ask, stated):
    api, script = api_of(refusal(429, ("retry-after", stated)), answering())
    began = monotonic()
    with pytest.raises(RateLimitError) as caught:
        ask(api)
    assert monotonic() - began < 5
    assert caught.value.retry_after == float(stated)
    assert caught.value.attempts[0].followed_by == "hint"
    assert len(script.requests) == 1


@pytest.mark.parametrize("stated", ["-5", "nan", "inf", "1e400", "soon", "5, 10", "Sun, 06 Nov 1994 08:49:37 GMT", ""])
def test_a_wait_that_is_none_is_no_wait(ask, stated):
    api, script = api_of(refusal(429, ("retry-after", stated)), answering())
    assert ask(api).text == "Hello"
    assert len(script.requests) == 2


def test_nobody_sleeps_where_the_deadline_comes_first(ask):
    api, script = api_of(refusal(429, ("retry-after", "30")), answering())
    began = monotonic()
    with pytest.raises(RateLimitError) as caught:
        ask(api, timeout=5)
    assert monotonic() - began < 4
    assert caught.value.attempts[0].followed_by == "deadline"
    assert len(script.requests) == 1


# Streams.


def test_an_error_before_the_first_piece_is_tried_again(ask_streamed):
    start = streaming().body[0]
    for body in ((error_event(),), (start + error_event(),), (start, error_event())):
        api, script = api_of(Reply(headers=SSE, body=body), answering())
        assert ask_streamed(api).text == "Hello"
        assert len(script.requests) == 2


def test_a_stream_that_is_cut_before_its_first_piece_begins_anew_and_looks_like_one(ask_streamed):
    start = streaming().body[0]
    api, script = api_of(Reply(headers=SSE, body=(start, RESET)), answering())
    assert ask_streamed(api).text == "Hello"
    assert len(script.requests) == 2
    api, _ = api_of(Reply(headers=SSE, body=(start, RESET)), answering())
    kinds = [type(event).__name__ for event in api.stream("gpt-4", "Hi").events()]
    assert kinds.count("ResponseStart") == 1


@pytest.mark.parametrize("tail", [(), (RESET,), (error_event(),)], ids=["end", "reset", "error event"])
def test_after_the_first_piece_nothing_is_tried_again(ask_streamed, tail):
    api, script = api_of(streaming(*tail, drop=3), answering())
    with pytest.raises(StreamInterruptedError) as caught:
        ask_streamed(api)
    assert len(script.requests) == 1
    assert caught.value.partial.text == "Hello"
    assert (caught.value.sent, caught.value.billed) == ("yes", "maybe")
    (record,) = records_of(api)
    assert record.attempts == caught.value.attempts
    assert (record.attempts[0].error_kind, record.attempts[0].billed) == ("stream_interrupted", "maybe")


def test_the_opening_of_a_stream_is_not_held_up_by_its_first_piece():
    waiting = threading.Event()

    def slowly(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        waiting.wait(10)
        for event in streaming().body:
            peer.send(b"%x\r\n%b\r\n" % (len(event), event))
        peer.send(b"0\r\n\r\n")

    with RawServer(slowly) as server:
        api = ModelsAPI(Settings(api_keys={"openai": KEY}), providers=chat_table())
        stream = api.stream("openai/gpt-4", "Hi", base_url=server.url("/v1"), api_key=KEY).open()
        waiting.set()
        assert stream.read().text == "Hello"
        api.close()


def test_a_200_that_carries_an_error_is_that_error_and_tried_again(ask):
    body = json.dumps({"error": {"message": "no room", "type": "overloaded_error"}}).encode()
    api, script = api_of(Reply(headers=JSON, body=body), answering())
    assert ask(api).text == "Hello"
    assert len(script.requests) == 2


# The gate, the budget, the breaker.


def test_after_a_limit_with_a_wait_all_callers_of_that_key_wait(ask):
    api, script = api_of(refusal(429, ("retry-after-ms", "300")), answering())
    began = monotonic()
    with pytest.raises(RateLimitError):
        ask(api, retries=0)
    answer = ask(api, retries=0)
    assert monotonic() - began >= 0.3
    (attempt,) = answer.call.attempts
    assert 0.1 < attempt.waited < 0.6
    assert len(script.requests) == 2


def test_a_caller_who_cannot_wait_so_long_is_told_at_once_and_sends_nothing(ask):
    api, script = api_of(refusal(429, ("retry-after", "60")), answering())
    with pytest.raises(RateLimitError):
        ask(api, retries=0)
    with pytest.raises(LocalRateLimitError, match="gpt-4 has asked to wait") as caught:
        ask(api, timeout=5)
    assert 50 < caught.value.retry_after < 70
    assert (caught.value.sent, caught.value.billed, caught.value.model) == ("no", "no", "gpt-4")
    assert len(script.requests) == 1
    record = records_of(api)[-1]
    assert (record.error_kind, record.sent, record.cost) == ("local_rate_limit", "no", None)
    assert [attempt.error_kind for attempt in record.attempts] == ["local_rate_limit"]
    with pytest.raises(LocalRateLimitError):
        ask(api, retries=RetryPolicy(longest_wait=1))
    assert ask(api, model="gpt-4o").text == "Hello"
    assert ask(api, api_key="sk-another-0123456789abcdef").text == "Hello"


def test_a_storm_of_limits_is_held_by_the_gate_and_every_call_is_answered():
    """A server that takes 20 calls in a fifth of a second, and 64 threads that come at once."""
    allowed, lock, refused = [20], threading.Lock(), []
    refilled = [monotonic()]

    def limited(request):
        with lock:
            if monotonic() - refilled[0] > 0.2:
                allowed[0], refilled[0] = 20, monotonic()
            if allowed[0] > 0:
                allowed[0] -= 1
                return answering()(request)
            refused.append(1)
            return refusal(429, ("retry-after-ms", "200"))

    api, script = api_of(limited, retries=RetryPolicy(retries=6))
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: api("gpt-4", "Hi", timeout=30).text, range(128)))
    assert answers == ["Hello"] * 128
    assert len(script.requests) == 128 + len(refused)


def test_a_total_outage_costs_little_more_than_a_request_a_call():
    api, script = api_of(lambda _: BUSY, retries=RetryPolicy(backoff=0.0))
    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(lambda number: outcome_of(api, model=f"openai/gpt-4-{number}"), range(1000)))
    assert set(outcomes) == {"overloaded"}
    assert len(script.requests) <= 1.1 * 1000 + 1
    stopped = [record.attempts[-1].followed_by for record in records_of(api)]
    assert set(stopped) <= {"retries", "budget"}
    assert stopped.count("budget") > 900


def outcome_of(api, **options):
    try:
        return api(options.pop("model", "gpt-4"), "Hi", **options).text
    except QuothError as error:
        return error.kind


def test_a_model_that_only_fails_is_left_alone_and_tried_again_by_one_call(ask):
    api, script = api_of(lambda _: BUSY)
    for _ in range(20):
        with pytest.raises(OverloadedError):
            ask(api, retries=0)
    with pytest.raises(CircuitOpenError, match="failed too often") as caught:
        ask(api)
    assert len(script.requests) == 20
    assert 0 < caught.value.retry_after <= 5
    assert (caught.value.provider, caught.value.model, caught.value.sent) == ("openai", "gpt-4", "no")
    assert records_of(api)[-1].attempts[-1].error_kind == "circuit_open"
    (state,) = api._service.health._states.values()
    (lane,) = state.lanes.values()
    lane.breaker.open_until = 0.0
    script._answers = [answering()]
    assert ask(api).text == "Hello"
    assert lane.clear


def test_a_trial_that_is_cancelled_lets_another_try_at_once():
    api, script = api_of(lambda _: BUSY)
    for _ in range(20):
        outcome_of(api, retries=0)
    (state,) = api._service.health._states.values()
    (lane,) = state.lanes.values()
    lane.breaker.open_until = 0.0
    script._answers = [KeyboardInterrupt(), answering()]
    with pytest.raises(KeyboardInterrupt):
        api("gpt-4", "Hi")
    assert api("gpt-4", "Hi").text == "Hello"


def test_a_wait_between_tries_can_be_cancelled_and_is_on_the_record():
    api, _ = api_of(refusal(429, ("retry-after", "60")), answering())

    async def main():
        task = asyncio.create_task(api.aio("gpt-4", "Hi"))
        await asyncio.sleep(0.05)
        task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    assert isinstance(asyncio.run(main()), asyncio.CancelledError)
    (record,) = records_of(api)
    assert (record.outcome, record.cost) == ("cancelled", None)
    assert [attempt.followed_by for attempt in record.attempts] == ["retry"]


# Over real sockets.


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_server_that_resets_and_then_answers_is_asked_twice(way):
    def reset(peer):
        peer.read_request()
        peer.reset()

    def answer(peer):
        peer.read_request()
        peer.reply(build_response(HELLO).body, 200, b"content-type: application/json")

    with RawServer(reset, answer) as server:
        api = ModelsAPI(Settings(retries=QUICK), providers=chat_table())
        assert way(api, model="openai/gpt-4", base_url=server.url("/v1"), api_key=KEY).text == "Hello"
        assert len(server.requests) == 2
        api.close()


def test_a_server_that_is_not_there_is_tried_three_times_within_the_deadline():
    with RawServer(lambda peer: None) as server:
        url = server.url("/v1")
    api = ModelsAPI(Settings(retries=QUICK), providers=chat_table())
    with pytest.raises(APIConnectionError) as caught:
        api("openai/gpt-4", "Hi", base_url=url, api_key=KEY)
    assert [attempt.error_kind for attempt in caught.value.attempts] == ["connection"] * 3
    assert {attempt.billed for attempt in caught.value.attempts} == {"no"}
