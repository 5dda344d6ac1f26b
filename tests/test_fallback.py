"""Further models that answer where the first one fails: in order, under one deadline, each attempt on the record."""

import gc
import json
from contextlib import suppress
from time import monotonic
from types import FrameType, TracebackType

import pytest

from quoth import ModelsAPI, Settings
from quoth.dialects.anthropic_messages import server as anthropic
from quoth.errors import (
    APITimeoutError,
    BadRequestError,
    ConfigurationError,
    DeadlineExceededError,
    InputError,
    MissingKeyError,
    ModelNotFoundError,
    OverloadedError,
    QuothError,
    RateLimitError,
    StreamInterruptedError,
    UnknownModelError,
)
from quoth.limits import RetryPolicy
from quoth.testing import Reply
from quoth.types import Message, Response, Usage
from quoth.wire import HTTPRequest
from tables import chat_table
from test_retries import BUSY, QUICK, SILENT, Script, refusal
from test_service import HELLO, JSON, SSE, KeepingJournal, answering, error_event, records_of, streaming

OPENAI_KEY, ANTHROPIC_KEY = "sk-openai-0123456789abcdef", "sk-ant-0123456789abcdef"
CLAUDE = Response(
    message=Message.assistant("Bonjour"),
    finish_reason="stop",
    model="claude-sonnet-5-5",
    usage=Usage(input=100, output=50),
)


def by_provider(**answers):
    """Each provider has its own script; the last answer of each is given for ever."""

    def answer(request: HTTPRequest):
        waiting = answers["claude" if "anthropic" in request.url else "gpt"]
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return found(request) if callable(found) else found

    return answer


def claude(request):
    if json.loads(request.body).get("stream"):
        return Reply(headers=SSE, body=tuple(anthropic.build_events(CLAUDE, piece=2)))
    return Reply(headers=JSON, body=anthropic.build_response(CLAUDE).body)


def api_of(answer, **settings):
    script = Script(answer)
    keys = {"openai": OPENAI_KEY, "anthropic": ANTHROPIC_KEY}
    settings = {"retries": QUICK, "api_keys": keys, **settings}
    api = ModelsAPI(Settings(transport=script, async_transport=script.aio, **settings), providers=chat_table())
    api._service.journal = KeepingJournal()
    return api, script


def asked(script):
    return [json.loads(request.body)["model"] for request in script.requests]


def test_where_the_first_model_fails_the_next_one_answers_and_the_call_is_its(ask):
    api, script = api_of(by_provider(gpt=[BUSY], claude=[claude]))
    answer = ask(api, fallback=["claude-sonnet-5-5"])
    assert (answer.text, answer.provider, answer.model) == ("Bonjour", "anthropic", "claude-sonnet-5-5")
    assert answer.cost.femto is not None
    assert asked(script) == ["gpt-4"] * 3 + ["claude-sonnet-5-5"]
    (record,) = records_of(api)
    assert (record.provider, record.model, record.outcome, record.error_kind) == (
        "anthropic", "claude-sonnet-5-5", "answered", None,
    )  # fmt: skip
    assert [attempt.followed_by for attempt in record.attempts] == ["retry", "retry", "fallback", None]
    assert [attempt.provider for attempt in record.attempts] == ["openai"] * 3 + ["anthropic"]
    assert api.usage().models.keys() == {"anthropic/claude-sonnet-5-5"}


def test_each_model_is_asked_with_its_own_key_and_with_the_options_of_the_call(ask):
    api, script = api_of(by_provider(gpt=[refusal(404)], claude=[claude]))
    given = {"api_key": "sk-given-0123456789abcdef", "headers": {"x-team": "a"}, "extra": {"openai": {"store": False}}}
    ask(api, fallback=["claude-sonnet-5-5"], temperature=0.5, system="Be brief.", **given)
    first, second = script.requests
    assert "sk-given-0123456789abcdef" in dict(first.headers)["authorization"]
    assert dict(first.headers)["x-team"] == "a"
    assert ANTHROPIC_KEY in dict(second.headers).values()
    assert "x-team" not in dict(second.headers)
    assert "sk-given-0123456789abcdef" not in repr(second.headers) + repr(second.body)
    body = json.loads(second.body)
    assert (body["temperature"], "store" in body) == (0.5, False)
    assert "Be brief." in json.dumps(body["system"])


def test_a_binding_is_asked_with_its_own_options_and_what_the_call_was_asked(ask):
    api, script = api_of(by_provider(gpt=[refusal(404)], claude=[claude]))
    binding = api.bind("claude-sonnet-5-5", temperature=0.1, max_tokens=77, retries=0)
    ask(api, prompt="Why?", temperature=0.9, fallback=[binding, binding.aio])
    body = json.loads(script.requests[1].body)
    assert (body["temperature"], body["max_tokens"]) == (0.1, 77)
    assert "Why?" in json.dumps(body["messages"])


def test_a_binding_keeps_its_fallbacks(ask):
    api, _ = api_of(by_provider(gpt=[BUSY], claude=[claude]))
    bound = api.bind("gpt-4", fallback=["claude-sonnet-5-5"], retries=0)
    assert bound("Hi").text == bound.bind(temperature=0)("Hi").text == bound.stream("Hi").read().text == "Bonjour"


@pytest.mark.parametrize("failure", [refusal(400), refusal(413), refusal(400, code="content_filter"), refusal(409)])
def test_what_another_model_would_meet_too_is_said_at_once(ask, failure):
    api, script = api_of(by_provider(gpt=[failure], claude=[claude]))
    with pytest.raises(Exception) as caught:
        ask(api, fallback=["claude-sonnet-5-5"], retries=0)
    assert caught.value.status == failure.status
    assert asked(script) == ["gpt-4"]


def test_a_wrong_key_is_wrong_for_its_provider_and_not_for_another(ask):
    api, _ = api_of(by_provider(gpt=[refusal(401)], claude=[claude]))
    assert ask(api, fallback=["claude-sonnet-5-5"]).text == "Bonjour"
    api, script = api_of(by_provider(gpt=[refusal(401), answering()], claude=[claude]))
    with pytest.raises(Exception, match="no"):
        ask(api, fallback=["gpt-4o"])
    assert asked(script) == ["gpt-4"]


@pytest.mark.parametrize(
    ("gpt", "claude_says", "error"),
    [
        (BUSY, refusal(500, type="api_error"), OverloadedError),
        (BUSY, refusal(404, type="not_found_error"), ModelNotFoundError),
        (refusal(429), refusal(400, type="invalid_request_error"), BadRequestError),
        (refusal(429), DeadlineExceededError("passed", phase="connect", sent="no"), RateLimitError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_failed_chain_raises_the_most_useful_error_and_tells_each_attempt(ask, gpt, claude_says, error):
    if error is ModelNotFoundError:
        claude_says = Reply(
            status=404, headers=JSON, body=b'{"error": {"type": "not_found_error", "message": "model: x"}}'
        )
    api, _ = api_of(by_provider(gpt=[gpt], claude=[claude_says]))
    with pytest.raises(error) as caught:
        ask(api, fallback=["claude-sonnet-5-5"], retries=0)
    assert [attempt.provider for attempt in caught.value.attempts] == ["openai", "anthropic"]
    assert "2 attempts: openai/gpt-4: " in str(caught.value)
    assert "; anthropic/claude-sonnet-5-5: " in str(caught.value)
    (record,) = records_of(api)
    assert (record.provider, record.error_kind, record.status) == (
        caught.value.provider, caught.value.kind, caught.value.status,
    )  # fmt: skip
    assert record.attempts == caught.value.attempts
    assert ANTHROPIC_KEY not in str(caught.value) + repr(vars(caught.value))


def test_an_error_that_echoes_a_key_loses_it_though_another_model_was_asked_after():
    api, _ = api_of(by_provider(gpt=[refusal(429, code=OPENAI_KEY)], claude=[refusal(529)]), retries=0)
    with pytest.raises(RateLimitError) as caught:
        api("gpt-4", "Hi", fallback=["claude-sonnet-5-5"])
    assert OPENAI_KEY not in str(caught.value) + repr(vars(caught.value))


def test_a_fallback_without_a_key_does_not_hide_why_it_was_asked(ask, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    api, script = api_of(by_provider(gpt=[BUSY], claude=[claude]), api_keys={"openai": OPENAI_KEY})
    with pytest.raises(MissingKeyError, match="ANTHROPIC_API_KEY") as caught:
        ask(api, fallback=["claude-sonnet-5-5"], retries=0)
    assert [attempt.error_kind for attempt in caught.value.attempts] == ["overloaded", "missing_key"]
    assert asked(script) == ["gpt-4"]


def test_all_targets_share_one_deadline():
    api, _ = api_of(by_provider(gpt=[refusal(429, ("retry-after", "3"))], claude=[claude]))
    began = monotonic()
    assert api("gpt-4", "Hi", fallback=["claude-sonnet-5-5"], timeout=2).text == "Bonjour"
    assert monotonic() - began < 2
    (record,) = records_of(api)
    assert [attempt.followed_by for attempt in record.attempts] == ["fallback", None]


def test_what_the_first_model_may_have_cost_is_not_forgotten(ask):
    api, _ = api_of(by_provider(gpt=[SILENT], claude=[claude]))
    ask(api, fallback=["claude-sonnet-5-5"], retries=0)
    total = api.usage().total
    assert (total.answered, total.unknown_costs) == (1, 1)
    assert total.femto > 0


def test_a_stream_falls_back_before_its_first_piece_and_never_after(ask_streamed):
    api, _ = api_of(by_provider(gpt=[Reply(headers=SSE, body=(error_event(),))], claude=[claude]))
    assert ask_streamed(api, fallback=["claude-sonnet-5-5"]).text == "Bonjour"
    api, script = api_of(
        by_provider(gpt=[streaming(APITimeoutError("x", phase="read", sent="yes"), drop=2)], claude=[claude])
    )
    with pytest.raises((StreamInterruptedError, APITimeoutError)) as caught:
        ask_streamed(api, fallback=["claude-sonnet-5-5"])
    assert caught.value.partial.text == "Hello"
    assert asked(script) == ["gpt-4"]


def test_a_gate_that_is_closed_for_one_model_is_open_for_the_next(ask):
    api, script = api_of(by_provider(gpt=[refusal(429, ("retry-after", "60"))], claude=[claude]))
    for _ in range(2):
        assert (
            ask(api, fallback=["claude-sonnet-5-5"], timeout=5, retries=RetryPolicy(longest_wait=1)).text == "Bonjour"
        )
    assert asked(script) == ["gpt-4", "claude-sonnet-5-5", "claude-sonnet-5-5"]
    assert [attempt.error_kind for attempt in records_of(api)[1].attempts] == ["local_rate_limit", None]


def test_a_fallback_that_cannot_be_is_said_when_it_is_bound():
    api, script = api_of(answering())
    with pytest.raises(UnknownModelError):
        api.bind("gpt-4", fallback=["nobody/knows"])
    with pytest.raises(InputError, match="the same ModelsAPI"):
        api.bind("gpt-4", fallback=[ModelsAPI().bind("gpt-4")])
    with pytest.raises((InputError, ConfigurationError), match="fallback"):
        api("gpt-4", "Hi", fallback="claude-sonnet-5-5")
    assert script.requests == []


def test_the_first_model_that_answers_is_the_last_one_asked(ask):
    api, script = api_of(answering(HELLO))
    assert ask(api, fallback=["claude-sonnet-5-5"]).text == "Hello"
    assert len(script.requests) == 1


@pytest.mark.parametrize("fallback", [[], ["claude-sonnet-5-5"]], ids=["one model", "two"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_failed_call_leaves_nothing_to_the_garbage_collector(fallback, streamed):
    """An error that holds the frames that hold it would keep the request until a collection."""
    api, _ = api_of(by_provider(gpt=[BUSY], claude=[refusal(500)]))

    def fail():
        with suppress(QuothError):
            _ = (
                api.stream("gpt-4", "Hi", fallback=fallback).read()
                if streamed
                else api("gpt-4", "Hi", fallback=fallback)
            )

    fail()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(3):
            fail()
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, (QuothError, FrameType, TracebackType))]
        assert left == []  # not of all that there is: threads of tests before this one may leave something too
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
