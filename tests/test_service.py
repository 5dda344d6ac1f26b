"""The life of a call: one record however it ended, no paid answer lost, and the same answer by each of four ways."""

import asyncio
import copy
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import sleep

import pytest
from hypothesis import example, given, settings, strategies as st

from quoth import Message, ModelsAPI, QuothError, Reasoning, Response, Settings, Text, ToolCall, Usage
from quoth.dialects import CLIENTS
from quoth.dialects.openai_chat import client
from quoth.dialects.openai_chat.server import build_error, build_events, build_response
from quoth.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DeadlineExceededError,
    InternalServerError,
    MissingKeyError,
    OverloadedError,
    ProtocolError,
    RateLimitError,
    ResponseParseError,
    StreamInterruptedError,
    UnsupportedParameterError,
)
from quoth.events import ResponseEnd, ResponseStart
from quoth.instrumentation import Journal
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport
from quoth.transport._router import Router
from quoth.wire import ErrorInfo, HTTPRequest, Quirks
from tables import chat_table
from ways import STREAMS, WAYS, async_whole, streamed, whole

PATIENCE = 10.0
"""Seconds after which a test gives up on another thread: it is never waited for in a test that passes."""

KEY = "sk-test-0123456789abcdefghij"
SSE = (("content-type", "text/event-stream; charset=utf-8"), ("x-request-id", "req_1"))
JSON = (("content-type", "application/json"), ("x-request-id", "req_1"))


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


class KeepingJournal(Journal):
    """A journal that also keeps the records themselves."""

    def __init__(self):
        super().__init__()
        self.records = []

    def append(self, record):
        self.records.append(record)
        super().append(record)


def api_of(script, *, keys=True, table=None, **more):
    """A ModelsAPI over a script, whose journal keeps its records. It tries once: see test_retries.py for more."""
    more = {"retries": 0, **more}
    more = {"api_keys": {"openai": KEY}, **more} if keys else more
    api = ModelsAPI(Settings(transport=script, async_transport=script.aio, **more), providers=table or chat_table())
    api._service.journal = KeepingJournal()
    return api


def records_of(api):
    return api._service.journal.records


HELLO = Response(
    message=Message.assistant("Hello"),
    finish_reason="stop",
    model="gpt-4-0613",
    id="chatcmpl-1",
    created=7,
    usage=Usage(input=1000, output=500),
)


def answering(response=HELLO, piece=2):
    """Answer each request as it asks: whole, or as a stream."""

    def answer(request):
        if json.loads(request.body).get("stream"):
            return Reply(headers=SSE, body=tuple(build_events(response, piece=piece)))
        return Reply(headers=JSON, body=build_response(response).body)

    return answer


def streaming(*tail, response=HELLO, drop=0):
    """A reply that streams an answer but for its last ``drop`` events, and then ``tail``."""
    events = list(build_events(response, piece=2))
    return Reply(headers=SSE, body=(*events[: len(events) - drop], *tail))


def error_event(message="no capacity", type="overloaded_error"):
    return b"data: " + json.dumps({"error": {"message": message, "type": type}}).encode() + b"\n\n"


# One answer, four ways.

WORDS = st.text(min_size=1, max_size=12)
IDS = st.text("abc123", min_size=1, max_size=6)
CALLS = st.lists(
    st.builds(ToolCall, id=IDS, name=IDS, arguments=st.sampled_from(['{"a": 1}', "{}", "{not json", ""])), max_size=3
).filter(lambda calls: len({call.id for call in calls}) == len(calls))


@st.composite
def responses(draw):
    """Answers that this wire can say whole and streamed alike: one text at most, its thoughts before it."""
    parts = [Reasoning(text=draw(WORDS))] if draw(st.booleans()) else []
    parts += [Text(text=draw(WORDS))] if draw(st.booleans()) else []
    parts += draw(CALLS)
    count = st.integers(0, 10**6)
    usage = draw(st.builds(Usage, input=count, cache_read=count, output=count, reasoning=count))
    return Response(
        message=Message(role="assistant", parts=tuple(parts)),
        finish_reason=draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"])),
        model=draw(st.sampled_from(["gpt-4", "gpt-4o-2024-08-06", "nobody-knows"])),
        id=draw(IDS),
        created=draw(st.integers(0, 2**31)),
        usage=usage,
        service_tier=draw(st.sampled_from([None, "default", "flex"])),
    )


def said(response):
    """All that takes part in equality, without the body, which a stream has none of."""
    names = set(Response.__struct_fields__) - {"call", "body"}
    return {name: getattr(response, name) for name in sorted(names)}


@settings(max_examples=60)
@given(responses(), st.none() | st.integers(1, 4))
@example(HELLO, 2)
def test_an_answer_is_the_same_by_each_way(response, piece):
    script = ScriptedTransport(answering(response, piece))
    api = api_of(script)
    answers = [said(way(api)) for way in WAYS.values()]
    assert answers[1:] == answers[:1] * 3
    assert answers[0]["message"].text == response.text
    assert [call.arguments for call in answers[0]["message"].parts if isinstance(call, ToolCall)] == [
        call.arguments for call in response.tool_calls
    ]
    assert answers[0]["usage"].total_tokens == response.usage.total_tokens
    assert len(records_of(api)) == 4
    costs = {record.cost for record in records_of(api) if record.cost.rule is None}
    assert len(costs) <= 1
    assert {record.cost.femto for record in records_of(api)} == {answers[0]["cost"].femto}


def test_a_streamed_answer_equals_the_whole_one():
    api = api_of(ScriptedTransport(answering()))
    assert streamed(api) == whole(api)


def test_the_answer_says_who_gave_it_what_it_cost_and_how_it_went(ask):
    api = api_of(ScriptedTransport(answering()))
    answer = ask(api)
    assert (str(answer), answer.text) == ("Hello", "Hello")
    assert (answer.provider, answer.model, answer.id, answer.created) == ("openai", "gpt-4-0613", "chatcmpl-1", 7)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1000, 500)
    assert str(answer.cost) == "$0.06"
    assert answer.call.request_id == "req_1"
    assert dict(answer.call.headers)["x-request-id"] == "req_1"
    (attempt,) = answer.call.attempts
    assert (attempt.provider, attempt.model, attempt.status, attempt.error_kind) == ("openai", "gpt-4", 200, None)
    assert 0 <= attempt.started <= attempt.started + attempt.seconds <= answer.call.seconds


@pytest.mark.parametrize("text", ["", "é ü ß", "\U0001f600 \u202e x", "a\x00b", "line\nline"])
def test_text_in_any_script_passes_both_ways(ask, text):
    heard = []

    def echo(request):
        content = json.loads(request.body)["messages"][0]["content"]
        heard.append(content)
        return answering(Response(message=Message.assistant(content[1:]), finish_reason="stop", model="m"))(request)

    assert ask(api_of(ScriptedTransport(echo)), prompt="." + text).text == text
    assert heard == ["." + text]


def test_a_whole_answer_that_comes_as_a_stream_is_read_all_the_same():
    api = api_of(ScriptedTransport(streaming()))
    answer = whole(api)
    assert answer.text == "Hello"
    assert str(answer.cost) == "$0.06"
    (record,) = records_of(api)
    assert (record.outcome, record.stream) == ("answered", False)


def test_a_streamed_answer_that_comes_whole_is_read_all_the_same(ask_streamed):
    """Some compatible servers and gateways ignore ``stream``."""
    api = api_of(ScriptedTransport(Reply(headers=JSON, body=build_response(HELLO).body)))
    assert ask_streamed(api).text == "Hello"


LABELS = ("application/json", "text/event-stream", "Text/Event-Stream", "text/plain", "application/octet-stream", "")


def test_an_answer_is_read_whatever_its_label_says(ask):
    """The first byte tells them apart: no event begins with a brace. A paid answer depends on no header."""
    lost = []
    for label in LABELS:
        headers = (("content-type", label),) if label else ()
        for body in (build_response(HELLO).body, b"".join(build_events(HELLO))):
            try:
                assert ask(api_of(ScriptedTransport(Reply(headers=headers, body=body)))).text == "Hello"
            except QuothError:
                lost.append((label, body[:6]))
    assert lost == []


# One record, however the call ended.


def test_an_answered_call_leaves_one_record_with_all_that_is_known(ask):
    api = api_of(ScriptedTransport(answering()))
    answer = ask(api)
    (record,) = records_of(api)
    assert (record.operation, record.provider, record.model) == ("generate", "openai", "gpt-4")
    assert (record.served_model, record.stream) == ("gpt-4-0613", ask in STREAMS.values())
    assert (record.outcome, record.error_kind, record.status, record.sent) == ("answered", None, 200, "yes")
    assert (record.finish_reason, record.usage, record.cost) == ("stop", answer.usage, answer.cost)
    assert record.attempts == answer.call.attempts
    assert record.seconds >= answer.call.seconds
    assert (record.first_output_seconds is not None) == record.stream
    assert record.started_at > 1.7e9


def test_the_first_output_is_the_first_piece_and_not_the_beginning_of_the_answer():
    api = api_of(ScriptedTransport(streaming()))
    events = api.stream("gpt-4", "Hi").events()
    assert isinstance(next(events), ResponseStart)
    sleep(0.01)
    assert len(list(events)) > 2
    assert records_of(api)[0].first_output_seconds >= 0.01


def failing(answer, error):
    return pytest.param(answer, error, id=f"{error.__name__} {getattr(answer, 'status', '')}")


def refusal(status, message="no", **fields):
    body = json.dumps({"error": {"message": message, **fields}}).encode()
    return Reply(status=status, headers=(*JSON, ("retry-after", "2")), body=body)


REFUSALS = [
    failing(refusal(400), BadRequestError),
    failing(refusal(401), AuthenticationError),
    failing(refusal(429), RateLimitError),
    failing(refusal(500), InternalServerError),
    failing(refusal(529), OverloadedError),
    failing(refusal(302), APIStatusError),
    failing(Reply(status=502, body=b"<html><title>Bad gateway</title>"), InternalServerError),
]


@pytest.mark.parametrize(("answer", "error"), REFUSALS)
def test_a_providers_no_leaves_one_record_and_says_whom_it_concerns(ask, answer, error):
    script = ScriptedTransport(answer)
    api = api_of(script)
    with pytest.raises(error) as caught:
        ask(api)
    raised = caught.value
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.status, record.sent) == (
        "failed", raised.kind, answer.status, "yes",
    )  # fmt: skip
    assert (raised.provider, raised.model, raised.status) == ("openai", "gpt-4", answer.status)
    assert (record.usage, record.finish_reason) == (None, None)
    assert (record.cost is None) == (raised.billed == "no")
    (attempt,) = raised.attempts
    assert record.attempts == (attempt,)
    assert (attempt.status, attempt.error_kind) == (answer.status, raised.kind)
    assert script.exchanges[0].closed
    if answer.headers[-1][0] == "retry-after":
        assert (raised.retry_after, raised.request_id, attempt.request_id) == (2.0, "req_1", "req_1")


LOST = [
    APIConnectionError("refused", phase="connect", sent="no"),
    APIConnectionError("reset", phase="first_byte", sent="maybe", billed="maybe"),
    APITimeoutError("silent", phase="first_byte", sent="yes", billed="maybe"),
    DeadlineExceededError("passed", phase="dns", sent="no"),
    ProtocolError("garbage", phase="first_byte"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: f"{error.kind} {error.sent}")
def test_a_request_that_is_lost_leaves_one_record_and_an_unknown_cost_where_it_may_have_been_billed(ask, error):
    error = copy.copy(error)
    api = api_of(ScriptedTransport(error))
    with pytest.raises(type(error)) as caught:
        ask(api)
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.status) == ("failed", error.kind, None)
    assert record.sent == error.sent
    if error.billed == "no":
        assert record.cost is None
    else:
        assert record.cost.femto is None
        assert record.cost.reason
    assert [attempt.error_kind for attempt in caught.value.attempts] == [error.kind]
    assert (caught.value.provider, caught.value.model) == ("openai", "gpt-4")


@pytest.mark.parametrize("sent", ["maybe", "yes"])
def test_a_request_that_was_sent_and_then_lost_never_counts_as_free(ask, sent):
    """The seam promises ``phase`` and ``sent`` of every failure; of ``billed`` it says nothing."""
    api = api_of(ScriptedTransport(APIConnectionError("reset", phase="first_byte", sent=sent)))
    with pytest.raises(APIConnectionError):
        ask(api)
    (record,) = records_of(api)
    assert record.cost is not None
    assert api.usage().total.unknown_costs == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_call_leaves_one_record(ask, error):
    api = api_of(ScriptedTransport(error()))
    with pytest.raises(error):
        ask(api)
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.sent) == ("cancelled", error.__name__, "maybe")
    assert record.cost.femto is None
    assert len(record.attempts) == 1


UNREADABLE = [b"<html>", b"{", b"[]", b'{"choices": []}', b'{"error": null}']
PLAIN = [b"null", b'"hi"', b"upstream error", b"1"]


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_unreadable_answer_leaves_one_record_with_an_unknown_cost_and_keeps_its_bytes(body):
    for ask in (whole, async_whole):
        api = api_of(ScriptedTransport(Reply(body=body)))
        with pytest.raises(ResponseParseError) as caught:
            ask(api)
        (record,) = records_of(api)
        assert (record.outcome, record.error_kind, record.status) == ("failed", "unreadable", 200)
        assert record.cost.femto is None
        assert caught.value.body == body
        assert (caught.value.provider, caught.value.model) == ("openai", "gpt-4")


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_answer_that_is_no_stream_keeps_its_bytes_too(ask_streamed, body):
    with pytest.raises(ResponseParseError) as caught:
        ask_streamed(api_of(ScriptedTransport(Reply(headers=SSE, body=body))))
    assert caught.value.body == body


@pytest.mark.parametrize("body", PLAIN)
def test_plain_words_are_no_stream_that_was_cut_short(ask, body):
    """A proxy's own, say."""
    with pytest.raises(ResponseParseError) as caught:
        ask(api_of(ScriptedTransport(Reply(body=body))))
    assert caught.value.body == body


def test_an_empty_answer_says_so(ask):
    api = api_of(ScriptedTransport(Reply(body=b"")))
    with pytest.raises((ResponseParseError, StreamInterruptedError)):
        ask(api)
    assert [record.cost.femto for record in records_of(api)] == [None]


def test_a_missing_key_is_said_before_anything_is_sent_and_leaves_one_record(ask):
    script = ScriptedTransport(answering())
    api = api_of(script, keys=False)
    with pytest.raises(MissingKeyError, match="export OPENAI_API_KEY=") as caught:
        ask(api)
    assert script.requests == []
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.sent, record.status) == ("failed", "missing_key", "no", None)
    assert (record.cost, record.usage, record.attempts) == (None, None, ())
    assert (caught.value.provider, caught.value.model) == ("openai", "gpt-4")


def test_a_broken_price_override_is_said_before_anything_is_sent_and_leaves_one_record(ask, monkeypatch):
    monkeypatch.setenv("QUOTH_PRICES", '{"openai/gpt-4": {"input": "NaN"}}')
    script = ScriptedTransport(answering())
    api = api_of(script)
    with pytest.raises(ConfigurationError, match=r"QUOTH_PRICES.*openai/gpt-4.*input"):
        ask(api)
    assert script.requests == []
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.sent, record.cost) == ("failed", "configuration", "no", None)


def test_a_price_override_of_the_settings_wins_over_the_environment(ask, monkeypatch):
    monkeypatch.setenv("QUOTH_PRICES", '{"openai/gpt-4": {"input": "100", "output": "100"}}')
    api = api_of(ScriptedTransport(answering()), prices='{"openai/gpt-4": {"input": "1", "output": "2"}}')
    assert str(ask(api).cost) == "$0.002"


def test_a_broken_price_override_of_the_settings_is_not_blamed_on_the_environment():
    api = api_of(ScriptedTransport(answering()), prices='{"openai/gpt-4": {"input": "NaN"}}')
    with pytest.raises(ConfigurationError) as caught:
        whole(api)
    assert "QUOTH_PRICES" not in str(caught.value)


def test_what_this_server_cannot_do_is_said_before_anything_is_sent(ask):
    table = ProviderTable()
    table.register("mine", base_url="http://localhost:1/v1", quirks=Quirks(tools=False, tools_hint="Use another."))
    script = ScriptedTransport(answering())
    api = api_of(script, table=table)
    with pytest.raises(UnsupportedParameterError, match="Use another"):
        ask(api, model="mine/m", tools=[{"name": "f"}])
    assert script.requests == []
    assert [record.error_kind for record in records_of(api)] == ["unsupported_parameter"]


def test_a_prompt_that_is_none_is_no_call_and_leaves_no_record(ask):
    script = ScriptedTransport(answering())
    api = api_of(script)
    for prompt in ("", [], 5):
        with pytest.raises(QuothError):
            ask(api, prompt=prompt)
    assert (script.requests, records_of(api)) == ([], [])


# Streams that end early.


def test_an_abandoned_stream_leaves_one_record_wherever_it_was_left():
    whole_length = len(list(api_of(ScriptedTransport(streaming())).stream("gpt-4", "Hi").events()))
    for taken in range(whole_length + 1):
        script = ScriptedTransport(streaming())
        api = api_of(script)
        stream = api.stream("gpt-4", "Hi").open()
        events = stream.events()
        seen = [next(events) for _ in range(taken)]
        del events
        assert records_of(api) == []
        stream.close()
        del stream
        gc.collect()
        (record,) = records_of(api)
        assert script.exchanges[0].closed
        if any(isinstance(event, ResponseEnd) for event in seen):
            assert (record.outcome, str(record.cost)) == ("answered", "$0.06")
        else:
            assert (record.outcome, record.usage, record.cost.femto) == ("abandoned", None, None)
        assert (record.status, record.sent, record.error_kind) == (200, "yes", None)
    assert whole_length >= 4


def test_a_stream_that_nobody_opened_leaves_no_record():
    script = ScriptedTransport(streaming())
    api = api_of(script)
    api.stream("gpt-4", "Hi").close()
    api.aio.stream("gpt-4", "Hi").close()
    gc.collect()
    assert (script.requests, records_of(api)) == ([], [])


@pytest.mark.parametrize("tail", [(), (APIConnectionError("reset", phase="read", sent="yes"),)], ids=["end", "reset"])
def test_a_stream_cut_short_is_an_error_with_what_came_and_an_unknown_cost(ask_streamed, tail):
    script = ScriptedTransport(streaming(*tail, drop=2))
    api = api_of(script)
    with pytest.raises(StreamInterruptedError, match="not the whole answer") as caught:
        ask_streamed(api)
    error = caught.value
    assert error.partial.text == "Hello"
    assert error.partial.usage.total_tokens is None
    assert (error.provider, error.model, error.sent, error.billed) == ("openai", "gpt-4", "yes", "maybe")
    assert len(error.attempts) == 1
    (record,) = records_of(api)
    assert (record.outcome, record.error_kind, record.cost.femto) == ("failed", "stream_interrupted", None)
    assert script.exchanges[0].closed


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (error_event(), StreamInterruptedError),
        (DeadlineExceededError("passed", phase="read", sent="yes"), DeadlineExceededError),
        (b"data: {not json\n\n", ResponseParseError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_error_after_the_first_piece_keeps_the_pieces_and_the_partial_answer(tail, error):
    api, pieces = api_of(ScriptedTransport(streaming(tail, drop=3))), []
    with pytest.raises(error) as caught:
        pieces.extend(api.stream("gpt-4", "Hi"))
    assert "".join(pieces) == "Hello"
    if isinstance(caught.value, QuothError):
        assert caught.value.partial.text == "Hello"
        assert caught.value.model == "gpt-4"
    (record,) = records_of(api)
    assert record.outcome == ("cancelled" if error is KeyboardInterrupt else "failed")


def test_an_answer_that_failed_half_way_never_counts_as_free(ask_streamed):
    api = api_of(ScriptedTransport(streaming(error_event(), drop=3)))
    with pytest.raises(StreamInterruptedError, match="overloaded: no capacity") as caught:
        ask_streamed(api)
    (record,) = records_of(api)
    assert record.cost.femto is None
    assert caught.value.billed == "maybe"


def test_an_answer_that_failed_half_way_in_a_stream_read_whole_never_counts_as_free():
    """So it is with every server that answers in streams only."""
    api = api_of(ScriptedTransport(streaming(error_event(), drop=3)))
    with pytest.raises(OverloadedError) as caught:
        whole(api)
    assert records_of(api)[0].cost is not None
    assert caught.value.partial.text == "Hello"


def test_a_providers_own_error_is_not_hidden_by_the_reset_that_follows_it(ask_streamed):
    body = streaming(drop=3).body
    reset = APIConnectionError("reset", phase="read", sent="yes")
    api = api_of(ScriptedTransport(Reply(headers=SSE, body=(b"".join(body) + error_event(), reset))))
    with pytest.raises(StreamInterruptedError, match="overloaded: no capacity"):
        ask_streamed(api)


@settings(max_examples=40)
@given(st.data())
def test_how_a_stream_is_cut_changes_neither_pieces_nor_error_nor_partial(data):
    body = b"".join(streaming(drop=3).body) + data.draw(st.sampled_from([b"", error_event(), b"data: {x\n\n"]))
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    chunks = [body[start:stop] for start, stop in zip([0, *places], [*places, len(body)], strict=True)]

    def outcome(chunks):
        api, pieces = api_of(ScriptedTransport(Reply(headers=SSE, body=tuple(chunks)))), []
        with pytest.raises(QuothError) as caught:
            pieces.extend(api.stream("gpt-4", "Hi"))
        return "".join(pieces), type(caught.value), caught.value.partial.text

    assert outcome(chunks) == outcome([body])


AFTER_THE_END = [
    APIConnectionError("reset", phase="read", sent="yes"),
    APITimeoutError("silent", phase="read", sent="yes"),
    DeadlineExceededError("the peer keeps the connection open", phase="read", sent="yes"),
    ProtocolError("no last chunk", phase="read"),
]


@pytest.mark.parametrize("error", AFTER_THE_END, ids=lambda error: error.kind)
def test_what_happens_to_the_connection_after_the_end_costs_no_answer(ask_streamed, error):
    """``[DONE]`` is the end. Servers reset behind it, leave out the last chunk, or keep the line open."""
    assert ask_streamed(api_of(ScriptedTransport(streaming(error)))).text == "Hello"


def test_a_stream_closed_behind_its_last_event_has_its_response():
    stream = api_of(ScriptedTransport(streaming())).stream("gpt-4", "Hi")
    for event in stream.events():
        if isinstance(event, ResponseEnd):
            break
    stream.close()
    assert stream.response.text == "Hello"


# Cancellation under asyncio.


class Turning:
    """A script whose asyncio side gives the loop a turn before every outcome."""

    def __init__(self, *answers):
        self.script = ScriptedTransport(*answers)
        self.aio = self

    async def open(self, request, deadline):
        await asyncio.sleep(0)
        exchange = await self.script.aio.open(request, deadline)
        turn = exchange.read

        async def read(deadline):
            await asyncio.sleep(0)
            return await turn(deadline)

        return type("Turned", (), {"status": 200, "headers": exchange.headers, "read": staticmethod(read),
                                   "close": staticmethod(exchange.close)})()  # fmt: skip

    def close(self):
        pass


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("turns", range(14))
def test_a_task_cancelled_at_any_await_leaves_one_record_or_was_no_call(turns, stream):
    transport = Turning(answering(piece=3))
    api = api_of(transport)

    async def main():
        call = api.aio.stream("gpt-4", "Hi").read() if stream else api.aio("gpt-4", "Hi")
        task = asyncio.create_task(call)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    outcome = asyncio.run(main())
    records = records_of(api)
    if turns == 0:
        assert (records, transport.script.requests) == ([], [])
        return
    (record,) = records
    if isinstance(outcome, asyncio.CancelledError):
        assert record.outcome == "cancelled"
        assert record.cost is not None
    else:
        assert (outcome.text, record.outcome) == ("Hello", "answered")
    assert all(exchange.closed for exchange in transport.script.exchanges)


# A paid answer is never lost.


def wire_answer(**changes):
    answer = json.loads(build_response(HELLO).body)
    return {**answer, **changes}


def odd(name, **changes):
    return pytest.param(wire_answer(**changes), id=name)


MESSAGE = {"role": "assistant", "content": "Hello"}
ODD_ANSWERS = [
    odd("no usage", usage=None),
    odd("usage of another form", usage=[1, 2]),
    odd("usage as text", usage="lots"),
    odd("negative usage", usage={"prompt_tokens": -5, "completion_tokens": 1}),
    odd("half a token", usage={"prompt_tokens": 0.5, "completion_tokens": 1}),
    odd("details above their whole", usage={"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}),
    odd("details of another form", usage={"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": 7}),
    odd("absurd usage", usage={"prompt_tokens": 10**30, "completion_tokens": 1}),
    odd("no model", model=None),
    odd("model that is no text", model={"name": "gpt"}),
    odd("model nobody knows", model="totally-new"),
    odd("model with control characters", model="gpt\x1b[31m\n"),
    odd("no id", id=None),
    odd("id that is no text", id=17),
    odd("created as text", created="yesterday"),
    odd("tier that is no text", service_tier={"a": 1}),
    odd("tier nobody knows", service_tier="platinum"),
    odd("finish reason nobody knows", choices=[{"message": MESSAGE, "finish_reason": "ran away"}]),
    odd("finish reason that is no text", choices=[{"message": MESSAGE, "finish_reason": 5}]),
    odd("nothing but the message", choices=[{"message": MESSAGE}]),
    odd("unknown fields", choices=[{"message": {**MESSAGE, "mood": {"a": [1]}}, "x": 1}], y={"z": None}),
    odd("tool calls of another form", choices=[{"message": {**MESSAGE, "tool_calls": "none"}}]),
    odd("tool calls without names", choices=[{"message": {**MESSAGE, "tool_calls": [{}, {"function": None}]}}]),
    odd("reasoning of another form", choices=[{"message": {**MESSAGE, "reasoning_content": {"a": 1}}}]),
    odd("refusal of another form", choices=[{"message": {**MESSAGE, "refusal": ["no"]}}]),
    odd("an error beside the answer", error={"message": "a warning"}),
]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_odd_answer_is_read_and_its_cost_is_exact_or_unknown(ask, answer):
    """Also where it comes whole though a stream was asked for."""
    api = api_of(ScriptedTransport(Reply(body=json.dumps(answer).encode())))
    response = ask(api)
    assert response.text == "Hello"
    assert ask in STREAMS.values() or response.raw == answer
    assert response.cost.femto is not None or response.cost.reason
    (record,) = records_of(api)
    assert (record.outcome, record.cost) == ("answered", response.cost)
    total = api.usage().total
    assert (total.answered, total.unknown_costs) == (1, int(response.cost.femto is None))


@pytest.mark.parametrize("part", [
    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
    {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    {"type": "file", "file": {"file_id": "f"}},
], ids=lambda part: part["type"])  # fmt: skip
def test_an_answer_with_a_picture_that_comes_whole_to_a_stream_is_read(ask_streamed, part):
    message = {"role": "assistant", "content": [{"type": "text", "text": "Hello"}, part]}
    answer = wire_answer(choices=[{"message": message, "finish_reason": "stop"}])
    body = json.dumps(answer).encode()
    assert whole(api_of(ScriptedTransport(Reply(body=body)))).text == "Hello"
    assert ask_streamed(api_of(ScriptedTransport(Reply(body=body)))).text == "Hello"


@pytest.mark.parametrize("mangle", [
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body.replace(b'"created":7', b'"created":NaN'),
    lambda body: body.replace(b'"id":"chatcmpl-1"', b'"id":"\\ud800"'),
    lambda body: b"\r\n\r\n" + body + b"\n",
    lambda body: body.replace(b'"id":"chatcmpl-1"', b'"id":"a\xffb"'),
], ids=["byte order mark", "NaN", "lone surrogate", "white space", "bad UTF-8"])  # fmt: skip
def test_an_answer_that_is_no_strict_json_is_read(mangle):
    body = mangle(build_response(HELLO).body)
    answer = whole(api_of(ScriptedTransport(Reply(body=body))))
    assert (answer.text, str(answer.cost)) == ("Hello", "$0.06")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    ("usage",), ("usage", "prompt_tokens"), ("usage", "prompt_tokens_details"),
    ("usage", "completion_tokens_details", "reasoning_tokens"), ("model",), ("id",), ("created",), ("service_tier",),
    ("object",), ("choices", 0, "finish_reason"), ("choices", 0, "index"), ("choices", 0, "logprobs"),
    ("choices", 0, "message", "role"), ("choices", 0, "message", "refusal"), ("choices", 0, "message", "annotations"),
    ("choices", 0, "message", "tool_calls"), ("choices", 0, "message", "reasoning_content"),
    ("choices", 0, "message", "function_call"), ("choices", 0, "message", "audio"), ("x_groq",), ("error",),
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON_VALUES), max_size=3))
def test_whatever_stands_beside_the_text_the_text_arrives(changes):
    answer = wire_answer()
    for place, value in changes:
        inner = answer
        with suppress(TypeError, AttributeError):  # another change has put something else there
            for step in place[:-1]:
                inner = inner[step] if isinstance(inner, list) else inner.setdefault(step, {})
            inner[place[-1]] = value
    api = api_of(ScriptedTransport(Reply(body=json.dumps(answer).encode())))
    assert whole(api).text == "Hello"
    assert records_of(api)[0].outcome == "answered"
    assert api.usage().total.calls == 1


@given(
    st.sampled_from([200, 200, 200, 204, 302, 400, 404, 429, 500]),
    st.sampled_from([JSON, SSE, ()]),
    st.one_of(
        st.binary(max_size=40),
        JSON_VALUES.map(lambda value: json.dumps(value).encode()),
        JSON_VALUES.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n\n"),
        st.dictionaries(st.sampled_from(["error", "choices", "usage", "model", "detail"]), JSON_VALUES).map(
            lambda value: b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n\n"
        ),
        st.dictionaries(st.sampled_from(["error", "choices", "usage", "model", "detail"]), JSON_VALUES).map(
            lambda value: json.dumps(value).encode()
        ),
    ),
)
def test_whatever_bytes_come_a_call_answers_or_raises_our_error_and_leaves_one_record(status, headers, body):
    for ask in (whole, streamed):
        script = ScriptedTransport(Reply(status=status, headers=headers, body=body))
        api = api_of(script)
        try:
            outcome = ask(api)
        except QuothError as error:
            outcome = error
        expected = "answered" if isinstance(outcome, Response) else "failed"
        assert outcome.provider == "openai"
        assert [record.outcome for record in records_of(api)] == [expected]
        assert [exchange.closed for exchange in script.exchanges] == [True]
        assert "unknown" in str(api.usage()) or api.usage().total.femto >= 0


def test_pricing_that_breaks_costs_no_answer(ask):
    """Whatever goes wrong in it, the provider was paid."""
    api = api_of(ScriptedTransport(answering()))

    class Broken:
        def load(self):
            pass

        def cost(self, *args, **kwargs):
            raise ZeroDivisionError("in the price table")

    api._service._prices = Broken()
    answer = ask(api)
    assert answer.text == "Hello"
    assert answer.cost.femto is None
    assert "in the price table" in answer.cost.reason
    assert api.usage().total.unknown_costs == 1


class BrokenDialect:
    """A dialect with a mistake of ours in every place that reads an answer."""

    NAME = "broken"
    build_request = staticmethod(client.build_request)
    is_stream = staticmethod(client.is_stream)
    parse_error = staticmethod(client.parse_error)

    @staticmethod
    def parse_response(reply, quirks):
        raise ZeroDivisionError("our mistake")

    class Parser:
        ended = False

        def feed(self, chunk):
            if chunk == b"data: late\n\n":
                return []
            raise ZeroDivisionError("our mistake")

        def end(self):
            raise ZeroDivisionError("our mistake")

    def stream_parser(self, quirks):
        return self.Parser()


@pytest.mark.parametrize("body", [b'{"a": 1}', b"data: 1\n\n", b"data: late\n\n"], ids=["whole", "feed", "end"])
def test_a_mistake_of_ours_in_reading_costs_neither_bytes_nor_record(ask, monkeypatch, body):
    monkeypatch.setitem(CLIENTS, "broken", BrokenDialect)
    table = ProviderTable()
    table.register("mine", base_url="http://localhost:1", dialect="broken")
    api = api_of(ScriptedTransport(Reply(body=body)), table=table)
    with pytest.raises(ResponseParseError, match="ZeroDivisionError: our mistake") as caught:
        ask(api, model="mine/x")
    assert caught.value.body == (body if b"late" not in body else b"")
    (record,) = records_of(api)
    assert (record.error_kind, record.cost.femto) == ("unreadable", None)


# What is sent.


class Listening(ScriptedTransport):
    """A script that keeps the timeout of each call."""

    def answer(self, request, deadline):
        self.timeouts = [*getattr(self, "timeouts", ()), deadline.timeout]
        return super().answer(request, deadline)


def test_the_timeout_is_the_calls_else_the_settings_else_the_environments_else_the_default(ask, monkeypatch):
    script = Listening(answering())
    ask(api_of(script))
    monkeypatch.setenv("QUOTH_TIMEOUT", "50")
    ask(api_of(script))
    ask(api_of(script, timeout=40.0))
    ask(api_of(script, timeout=40.0), timeout=30)
    assert script.timeouts == [600.0, 50.0, 40.0, 30.0]


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_variable_that_is_none_is_named(ask, monkeypatch, text):
    monkeypatch.setenv("QUOTH_TIMEOUT", text)
    script = ScriptedTransport(answering())
    with pytest.raises(ConfigurationError, match="QUOTH_TIMEOUT"):
        ask(api_of(script))
    assert script.requests == []


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), "5", True])
def test_a_timeout_of_the_settings_that_is_none_is_named(timeout):
    script = ScriptedTransport(answering())
    with pytest.raises(ConfigurationError, match="timeout"):
        whole(api_of(script, timeout=timeout))
    assert script.requests == []


def test_a_call_whose_time_is_over_says_so(ask):
    api = api_of(ScriptedTransport(answering()))
    with pytest.raises(DeadlineExceededError) as caught:
        ask(api, timeout=1e-9)
    assert caught.value.provider == "openai"
    assert isinstance(caught.value, TimeoutError)


def test_offline_refuses_every_request_to_a_network(ask, monkeypatch):
    monkeypatch.setenv("QUOTH_OFFLINE", "1")
    script = ScriptedTransport(answering())
    api = api_of(script)
    with pytest.raises(ConfigurationError, match="QUOTH_OFFLINE"):
        ask(api)
    assert script.requests == []
    assert [record.sent for record in records_of(api)] == ["no"]


def test_offline_holds_from_the_moment_it_is_set(ask, monkeypatch):
    script = ScriptedTransport(answering())
    api = api_of(script)
    ask(api)
    monkeypatch.setenv("QUOTH_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match="QUOTH_OFFLINE"):
        ask(api)


def test_a_closed_api_opens_anew(ask):
    api = api_of(ScriptedTransport(answering()))
    ask(api)
    api.close()
    api.close()
    assert ask(api).text == "Hello"


@pytest.mark.parametrize("given", ["transport", "async_transport"])
def test_who_gives_a_transport_for_one_world_does_not_reach_the_network_by_the_other(given):
    script = ScriptedTransport(answering())
    transport = {"transport": script, "async_transport": script.aio}
    missing = (set(transport) - {given}).pop()
    api = ModelsAPI(Settings(api_keys={"openai": KEY}, **{given: transport[given]}), providers=chat_table())
    for name, ask in WAYS.items():
        if name.startswith("async") == (given == "async_transport"):
            assert ask(api).text == "Hello"
        else:
            with pytest.raises(ConfigurationError, match=f"not {missing}"):
                ask(api)
    assert len(script.requests) == 2


# What carries it.


class Carrier:
    """A transport that knows whether it was closed."""

    def __init__(self):
        self.closed = 0

    def open(self, request, deadline):
        return self

    def close(self):
        self.closed += 1


def test_a_carrier_is_made_when_its_scheme_is_first_asked_for_and_then_kept():
    made = []

    def make():
        made.append(Carrier())
        return made[-1]

    router = Router({"https": make, "local": make})
    assert made == []
    first = router.open(HTTPRequest(url="https://a.example"), None)
    assert router.open(HTTPRequest(url="https://b.example"), None) is first
    assert router.open(HTTPRequest(url="local://x"), None) is not first
    assert len(made) == 2
    router.close()
    router.close()
    assert [carrier.closed for carrier in made] == [1, 1]
    assert router.open(HTTPRequest(url="https://a.example"), None) is made[2]


def test_a_carrier_that_cannot_be_made_is_tried_again():
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) == 1:
            raise ConfigurationError("not now")
        return Carrier()

    router = Router({"https": make})
    with pytest.raises(ConfigurationError):
        router.carrier(HTTPRequest(url="https://x"))
    assert router.carrier(HTTPRequest(url="https://x")).closed == 0


def test_threads_that_race_for_the_first_carrier_share_one_and_the_others_are_closed():
    made, together = [], threading.Barrier(8)

    def make():
        carrier = Carrier()
        made.append(carrier)
        together.wait(PATIENCE)
        return carrier

    router = Router({"https": make})
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: router.carrier(HTTPRequest(url="https://x")), range(8)))
    assert len(set(map(id, got))) == 1
    assert sorted(carrier.closed for carrier in made) == [0] + [1] * 7
    assert got[0].closed == 0


# Many threads, mixed endings.


def mixed(request):
    """Answer by what the prompt asks for."""
    body = json.loads(request.body)
    match body["messages"][-1]["content"].split()[0]:
        case "answer" | "leave":
            return answering()(request)
        case "refuse":
            return Reply(status=429, body=build_error(ErrorInfo(kind="rate_limit", message="slow down")).body)
        case "lose":
            return APIConnectionError("refused", phase="connect", sent="no")
        case "garble":
            return Reply(headers=SSE, body=b"data: {\n\n") if body.get("stream") else Reply(body=b"<html>")
        case "interrupt":
            return KeyboardInterrupt()


def leave(api, prompt):
    stream = api.stream("gpt-4", prompt)
    next(stream)


HELLO_FEMTO = 60 * 10**12
ENDINGS = {
    "answer": ("answered", {"whole": whole, **STREAMS}),
    "refuse": ("failed", {"whole": whole, **STREAMS}),
    "lose": ("failed", {"whole": whole, **STREAMS}),
    "garble": ("failed", {"whole": whole, **STREAMS}),
    "interrupt": ("cancelled", {"whole": whole, "streamed": streamed}),
    "leave": ("abandoned", {"left": leave}),
}


def test_64_threads_of_mixed_endings_leave_one_record_a_call_and_exact_sums():
    script = ScriptedTransport(mixed)
    api = api_of(script)
    plan = [
        (name, outcome, partial(ask, api, prompt=f"{name} {number}"))
        for name, (outcome, ways) in ENDINGS.items()
        for ask in ways.values()
        for number in range(12)
    ]
    together = threading.Barrier(64)

    def work(thread):
        together.wait(PATIENCE)
        for _, _, call in plan[thread::64] * 2:
            with suppress(QuothError, KeyboardInterrupt):
                call()

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    gc.collect()
    records = records_of(api)
    assert len(records) == 2 * len(plan)
    assert len({record.id for record in records}) == len(records)
    expected = [outcome for _, outcome, _ in plan] * 2
    total = api.usage().total
    for outcome in ("answered", "failed", "cancelled", "abandoned"):
        assert getattr(total, outcome) == expected.count(outcome), outcome
        assert sum(record.outcome == outcome for record in records) == expected.count(outcome)
    assert total.calls == len(records)
    assert total.femto == expected.count("answered") * HELLO_FEMTO
    assert total.input_tokens == expected.count("answered") * 1000
    assert all(exchange.closed for exchange in script.exchanges)


def test_64_tasks_of_mixed_endings_leave_one_record_a_call_and_exact_sums():
    script = ScriptedTransport(mixed)
    api = api_of(script)
    names = ["answer", "refuse", "lose", "garble"]

    async def one(number):
        prompt = f"{names[number % 4]} {number}"
        with suppress(QuothError):
            if number % 8 < 4:
                return await api.aio("gpt-4", prompt)
            return await api.aio.stream("gpt-4", prompt).read()
        return None

    async def main():
        return await asyncio.gather(*[one(number) for number in range(64)])

    answers = [answer for answer in asyncio.run(main()) if answer is not None]
    total = api.usage().total
    assert (total.calls, total.answered, total.failed) == (64, len(answers), 48)
    assert total.femto == sum(answer.cost.femto for answer in answers) == 16 * HELLO_FEMTO
    assert all(exchange.closed for exchange in script.exchanges)
