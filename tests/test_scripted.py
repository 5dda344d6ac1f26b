"""ScriptedTransport: behind the real seam, in the order of the script, alike in both worlds."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st

from quoth import ModelsAPI, Settings
from quoth.errors import APIConnectionError, DeadlineExceededError, RateLimitError, TransportError
from quoth.testing import Reply, ScriptedTransport
from quoth.transport import Deadline
from quoth.wire import HTTPRequest
from tables import chat_table

REQUEST = HTTPRequest(url="https://host/v1")
NEVER = Deadline(float("inf"))


class Blocking:
    """One script through its blocking side."""

    def open(self, script, deadline=NEVER):
        return script.open(REQUEST, deadline)

    def read(self, exchange, deadline=NEVER):
        return exchange.read(deadline)


class Asyncio:
    """The same through its asyncio side."""

    def open(self, script, deadline=NEVER):
        return asyncio.run(script.aio.open(REQUEST, deadline))

    def read(self, exchange, deadline=NEVER):
        return asyncio.run(exchange.read(deadline))


@pytest.fixture(params=[Blocking(), Asyncio()], ids=["blocking", "asyncio"])
def side(request):
    return request.param


def read_all(side, exchange):
    pieces = []
    while piece := side.read(exchange):
        pieces.append(piece)
    return pieces


def test_each_request_takes_the_next_reply_and_is_kept(side):
    script = ScriptedTransport(Reply(status=201, headers=(("a", "b"),), body=b"one"), Reply(body=b"two"))
    first, second = side.open(script), side.open(script)
    assert (first.status, first.headers, read_all(side, first)) == (201, (("a", "b"),), [b"one"])
    assert (second.status, read_all(side, second)) == (200, [b"two"])
    assert script.requests == [REQUEST, REQUEST]
    assert script.exchanges == [first, second]


def test_both_sides_take_from_one_script():
    script = ScriptedTransport(Reply(body=b"one"), Reply(body=b"two"))
    assert read_all(Blocking(), Blocking().open(script)) == [b"one"]
    assert read_all(Asyncio(), Asyncio().open(script)) == [b"two"]
    assert len(script.requests) == len(script.exchanges) == 2


def test_a_function_is_asked_for_each_request(side):
    script = ScriptedTransport(lambda request: Reply(body=request.url.encode()))
    for _ in range(3):
        assert read_all(side, side.open(script)) == [b"https://host/v1"]


def test_a_function_may_raise_or_give_an_error(side):
    def fail(request):
        raise APIConnectionError("raised")

    with pytest.raises(APIConnectionError, match="raised"):
        side.open(ScriptedTransport(fail))
    with pytest.raises(APIConnectionError, match="given"):
        side.open(ScriptedTransport(lambda request: APIConnectionError("given")))


def test_a_script_that_is_over_is_a_transport_error_that_says_so(side):
    script = ScriptedTransport(Reply())
    side.open(script)
    with pytest.raises(APIConnectionError, match="no answer for request 2") as caught:
        side.open(script)
    assert (caught.value.phase, caught.value.sent) == ("connect", "no")
    assert len(script.requests) == 2
    assert len(script.exchanges) == 1


@given(st.lists(st.binary(max_size=3), max_size=6))
def test_the_chunks_come_one_by_one_and_then_nothing_for_ever(chunks):
    for side in (Blocking(), Asyncio()):
        exchange = side.open(ScriptedTransport(Reply(body=tuple(chunks))))
        assert read_all(side, exchange) == [chunk for chunk in chunks if chunk]
        assert [side.read(exchange), side.read(exchange)] == [b"", b""]


def test_an_error_among_the_chunks_is_raised_in_its_turn(side):
    exchange = side.open(ScriptedTransport(Reply(body=(b"a", KeyboardInterrupt(), b"b"))))
    assert side.read(exchange) == b"a"
    with pytest.raises(KeyboardInterrupt):
        side.read(exchange)
    assert side.read(exchange) == b"b"


def test_a_closed_exchange_can_be_closed_again_and_not_be_read(side):
    exchange = side.open(ScriptedTransport(Reply(body=b"a")))
    assert not exchange.closed
    exchange.close()
    exchange.close()
    assert exchange.closed
    with pytest.raises(TransportError, match="closed") as caught:
        side.read(exchange)
    assert (caught.value.phase, caught.value.sent) == ("read", "yes")


def test_a_deadline_that_has_passed_is_kept_in_each_phase(side):
    script = ScriptedTransport(Reply(body=b"a"))
    with pytest.raises(DeadlineExceededError) as caught:
        side.open(script, Deadline(-1.0))
    assert caught.value.phase == "first_byte"
    exchange = side.open(script)
    with pytest.raises(DeadlineExceededError) as caught:
        side.read(exchange, Deadline(-1.0))
    assert caught.value.phase == "read"
    assert side.read(exchange) == b"a"


def test_closing_the_transport_closes_nothing_that_is_under_way(side):
    script = ScriptedTransport(Reply(body=b"a"), Reply(body=b"b"))
    exchange = side.open(script)
    script.close()
    script.aio.close()
    assert read_all(side, exchange) == [b"a"]
    assert read_all(side, side.open(script)) == [b"b"]


def test_many_threads_take_each_reply_once():
    script = ScriptedTransport(*[Reply(body=str(number).encode()) for number in range(200)])
    together = threading.Barrier(8)

    def work(_):
        together.wait(10)
        return [read_all(Blocking(), Blocking().open(script))[0] for _ in range(25)]

    with ThreadPoolExecutor(8) as pool:
        taken = [body for many in pool.map(work, range(8)) for body in many]
    assert sorted(map(int, taken)) == list(range(200))
    assert len(script.requests) == len(script.exchanges) == 200


# As its docstring shows it.


def test_the_example_of_the_docstring_works():
    script = ScriptedTransport(
        Reply(body=b'{"choices": [{"message": {"role": "assistant", "content": "Hello"}}]}'), Reply(status=429)
    )
    settings = Settings(transport=script, async_transport=script.aio, api_keys={"openai": "k"}, retries=0)
    models = ModelsAPI(settings, providers=chat_table())
    assert models("gpt-4", "Hi").text == "Hello"
    with pytest.raises(RateLimitError):
        models("gpt-4", "Hi")


def test_a_scripts_headers_are_found_however_they_are_written():
    stream = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\ndata: [DONE]\n\n'
    script = ScriptedTransport(Reply(headers=(("Content-Type", "text/event-stream"),), body=stream))
    models = ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=chat_table())
    assert models("gpt-4", "Hi").text == "Hello"


def test_a_body_that_is_text_is_refused_where_it_is_written():
    with pytest.raises(TypeError, match="bytes"):
        ScriptedTransport(Reply(body='{"choices": []}')).open(REQUEST, NEVER)
