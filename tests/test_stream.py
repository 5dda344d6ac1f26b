"""Streams: lazy, honest about their end, and let go of at once; the same for ``for`` and for ``async for``."""

import asyncio
import contextlib
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st

from quoth._flow import AsyncDriver, Driver, Read, Scope, Send
from quoth._stream import AsyncStream, Opened, Stream
from quoth.errors import APIConnectionError, ClosedError, InputError, RateLimitError, StreamInterruptedError
from quoth.events import ReasoningDelta, ResponseEnd, ResponseFold, ResponseStart, TextDelta
from quoth.testing import Reply, ScriptedTransport
from quoth.types import Reasoning, Text, Usage
from quoth.wire import HTTPRequest

PATIENCE = 10.0
"""Seconds after which a test gives up on another thread: it is never waited for in a test that passes."""

REQUEST = HTTPRequest(url="https://host/v1/chat")
END = ResponseEnd(finish_reason="stop", usage=Usage(input=1, output=2))


class Noted(Scope):
    """A scope that keeps how it was finished."""

    __slots__ = ("endings",)

    def __init__(self, timeout=600.0):
        super().__init__(timeout)
        self.endings = []

    def finish(self, ending, error):
        self.endings.append(ending)


def talk():
    """A flow as the service's: a chunk is thought (in brackets) or said; ``.`` ends the answer.

    Before the last event stands the whole response.
    """
    reply = yield Send(REQUEST, True)
    if reply.status != 200:
        raise RateLimitError("slow down", status=reply.status)
    yield Opened()
    folding = ResponseFold()
    yield told(folding, ResponseStart(id="r"))
    while chunk := (yield Read()):
        text = chunk.decode()
        if text == ".":
            end = told(folding, END)
            yield folding.response()
            yield end
        elif text.startswith("("):
            yield told(folding, ReasoningDelta(text=text[1:-1], index=0))
        else:
            yield told(folding, TextDelta(text=text.removeprefix("-"), index=1))
    if not folding.ended:
        raise StreamInterruptedError("cut", partial=folding.response())
    return folding.response()


def told(folding, event):
    folding.add(event)
    return event


class Blocked:
    """An AsyncStream for tests that are written for a Stream: each step is a turn of one loop."""

    def __init__(self, stream, runner):
        self.stream = stream
        self.run = runner.run

    def open(self):
        self.run(self.stream.open())
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.next_of(self.stream)

    def next_of(self, iterator):
        async def step():
            return await anext(iterator)

        try:
            return self.run(step())
        except StopAsyncIteration:
            raise StopIteration from None

    def events(self):
        events = aiter(self.stream.events())
        with contextlib.suppress(StopIteration):
            while True:
                yield self.next_of(events)

    def read(self):
        return self.run(self.stream.read())

    @property
    def response(self):
        return self.stream.response

    def close(self):
        self.stream.close()

    def __enter__(self):
        self.run(self.stream.__aenter__())
        return self

    def __exit__(self, *error):
        self.run(self.stream.__aexit__(*error))


class Stage:
    """Makes streams of one world, and keeps what came of them."""

    def __init__(self, world, runner):
        self.world = world
        self.runner = runner
        self.scopes = []

    def scope(self):
        self.scopes.append(Noted())
        return self.scopes[-1]

    def stream(self, script, flow=talk):
        if self.world == "blocking":
            return Stream(lambda: Driver(flow(), script, self.scope()))
        return Blocked(AsyncStream(lambda: AsyncDriver(flow(), script.aio, self.scope())), self.runner)

    @property
    def endings(self):
        return [scope.endings for scope in self.scopes]


@pytest.fixture(params=["blocking", "asyncio"])
def stage(request):
    with asyncio.Runner() as runner:
        yield Stage(request.param, runner)


def script_of(*chunks, status=200):
    return ScriptedTransport(Reply(status=status, body=chunks))


def closed(script):
    return [exchange.closed for exchange in script.exchanges]


STORY = (b"(hm)", b"Once ", b"-", b"upon", b".")


# Laziness.


def test_a_stream_that_is_made_closed_or_dropped_sends_nothing_and_records_nothing(stage):
    script = script_of(*STORY)
    stage.stream(script)
    stage.stream(script).close()
    stage.stream(script).events()
    gc.collect()
    assert script.requests == []
    assert stage.endings == []


WAYS_IN = {
    "open": lambda stream: stream.open(),
    "enter": lambda stream: stream.__enter__(),
    "next": next,
    "events": lambda stream: next(stream.events()),
    "read": lambda stream: stream.read(),
}
LEFT_AFTER = {"open": "Once upon", "enter": "Once upon", "next": "upon", "events": "Once upon", "read": ""}


@pytest.mark.parametrize("way", WAYS_IN)
def test_each_way_in_sends_the_request_once(stage, way):
    script = script_of(*STORY)
    stream = stage.stream(script)
    WAYS_IN[way](stream)
    stream.open().open()
    assert len(script.requests) == 1
    assert "".join(stream) == LEFT_AFTER[way]


@pytest.mark.parametrize("way", WAYS_IN)
def test_the_providers_no_comes_before_the_first_piece_from_each_way_in(stage, way):
    script = script_of(b"slow down", status=429)
    stream = stage.stream(script)
    with pytest.raises(RateLimitError):
        WAYS_IN[way](stream)
    assert stage.endings == [["failed"]]
    assert closed(script) == [True]


def test_open_gives_the_stream_itself(stage):
    stream = stage.stream(script_of(*STORY))
    assert stream.open() is stream


def test_opening_reads_nothing_of_the_answer_yet(stage):
    script = script_of(APIConnectionError("too early"))
    stream = stage.stream(script).open()
    assert stage.endings == [[]]
    with pytest.raises(APIConnectionError, match="too early"):
        next(stream)


# Pieces, events, the response.


def test_the_pieces_are_the_text_without_empty_ones_and_thoughts(stage):
    stream = stage.stream(script_of(*STORY))
    assert list(stream) == ["Once ", "upon"]
    assert stream.response.text == "Once upon"
    assert stage.endings == [["answered"]]


@given(st.lists(st.text("ab(-. ", min_size=1, max_size=4).map(str.encode), max_size=8))
def test_whatever_comes_the_pieces_joined_are_the_text_of_the_response(chunks):
    chunks = tuple(chunk for chunk in chunks if chunk != b".")
    stream = Stream(lambda: Driver(talk(), script_of(*chunks, b"."), Noted()))
    pieces = list(stream)
    assert all(pieces)
    assert "".join(pieces) == stream.response.text


def test_events_are_all_that_happens_and_fold_to_the_response(stage):
    stream = stage.stream(script_of(*STORY))
    events = list(stream.events())
    assert events == [
        ResponseStart(id="r"),
        ReasoningDelta(text="hm", index=0),
        TextDelta(text="Once ", index=1),
        TextDelta(text="", index=1),
        TextDelta(text="upon", index=1),
        END,
    ]
    assert stream.response.parts == (Reasoning(text="hm"), Text(text="Once upon"))


def test_read_gives_the_whole_response_and_again(stage):
    stream = stage.stream(script_of(*STORY))
    response = stream.read()
    assert response.text == "Once upon"
    assert response.usage == END.usage
    assert stream.read() == stream.response == response


def test_pieces_events_and_read_take_turns_on_one_stream(stage):
    stream = stage.stream(script_of(b"a", b"b", b"c", b"d", b"."))
    assert next(stream) == "a"
    assert next(stream.events()) == TextDelta(text="b", index=1)
    assert next(stream) == "c"
    assert stream.read().text == "abcd"


def test_the_response_is_there_at_the_end_and_not_before(stage):
    stream = stage.stream(script_of(*STORY))
    for _ in range(2):
        with pytest.raises(InputError, match="end of the stream"):
            _ = stream.response
        next(stream)
    assert stream.read() is stream.response


def test_after_its_end_a_stream_stays_at_its_end(stage):
    stream = stage.stream(script_of(*STORY))
    stream.read()
    assert list(stream) == []
    assert list(stream.events()) == []
    assert stream.open() is stream


def test_an_answer_without_text_has_no_pieces(stage):
    stream = stage.stream(script_of(b"."))
    assert list(stream) == []
    assert stream.response.text == ""


# The end that is none.


def test_a_stream_cut_short_is_an_error_with_what_came(stage):
    stream, pieces = stage.stream(script_of(b"Once ", b"upon")), []
    with pytest.raises(StreamInterruptedError) as caught:
        pieces.extend(stream)
    assert caught.value.partial.text == "Once upon"
    assert stage.endings == [["failed"]]


def test_the_pieces_before_an_error_are_delivered(stage):
    stream, pieces = stage.stream(script_of(b"Once ", b"upon", APIConnectionError("reset"))), []
    with pytest.raises(APIConnectionError, match="reset"):
        pieces.extend(stream)
    assert pieces == ["Once ", "upon"]


def test_a_stream_that_failed_has_no_response(stage):
    stream = stage.stream(script_of(b"Once "))
    with pytest.raises(StreamInterruptedError):
        stream.read()
    with pytest.raises(ClosedError, match="no whole response"):
        _ = stream.response
    with pytest.raises(ClosedError):
        stream.read()


def test_a_stream_that_could_not_be_opened_does_not_open_the_second_time(stage):
    stream = stage.stream(script_of(b"slow down", status=429))
    with pytest.raises(RateLimitError):
        stream.open()
    with pytest.raises((RateLimitError, ClosedError)):
        stream.open()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=["Ctrl-C", "exit"])
def test_an_interrupted_read_cancels_the_call_and_lets_go_of_the_connection(stage, error):
    script = script_of(b"Once ", error)
    stream = stage.stream(script)
    assert next(stream) == "Once "
    with pytest.raises(type(error)):
        next(stream)
    assert stage.endings == [["cancelled"]]
    assert closed(script) == [True]


# Closing.


def test_closing_before_opening_means_that_it_never_opens(stage):
    script = script_of(*STORY)
    for way in WAYS_IN.values():
        stream = stage.stream(script)
        stream.close()
        stream.close()
        with pytest.raises(ClosedError, match="nothing was sent"):
            way(stream)
    assert script.requests == []
    assert stage.endings == []


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_closing_early_abandons_the_call_at_once_and_once(stage, pieces):
    script = script_of(*STORY)
    stream = stage.stream(script).open()
    for _ in range(pieces):
        next(stream)
    stream.close()
    assert stage.endings == [["abandoned"]]
    assert closed(script) == [True]
    stream.close()
    assert stage.endings == [["abandoned"]]
    with pytest.raises(ClosedError):
        _ = stream.response
    with pytest.raises(ClosedError):
        stream.read()


def test_a_consumer_whose_stream_was_closed_by_another_is_not_told_that_the_answer_is_whole(stage):
    stream = stage.stream(script_of(*STORY)).open()
    assert next(stream) == "Once "
    stream.close()  # another thread, a watchdog, an enclosing `with`
    with pytest.raises(ClosedError):
        next(stream)


def test_closing_at_the_end_keeps_the_response(stage):
    stream = stage.stream(script_of(*STORY))
    stream.read()
    stream.close()
    assert stream.response.text == "Once upon"
    assert stage.endings == [["answered"]]


def test_leaving_the_with_block_closes(stage):
    script = script_of(*STORY)
    with stage.stream(script) as stream:
        assert len(script.requests) == 1
        assert next(stream) == "Once "
    assert stage.endings == [["abandoned"]]
    assert closed(script) == [True]


def test_an_error_in_the_with_block_closes_and_goes_on(stage):
    script = script_of(*STORY)
    with pytest.raises(LookupError), stage.stream(script):
        raise LookupError
    assert stage.endings == [["abandoned"]]
    assert closed(script) == [True]


def test_a_with_block_read_to_the_end_is_answered(stage):
    with stage.stream(script_of(*STORY)) as stream:
        assert "".join(stream) == "Once upon"
    assert stage.endings == [["answered"]]
    assert stream.response.text == "Once upon"


def test_dropping_a_stream_lets_go_at_once(stage):
    script = script_of(*STORY)
    stream = stage.stream(script)
    for _ in stream:
        break
    del stream
    assert closed(script) == [True]
    assert stage.endings == [["abandoned"]]


def test_dropping_the_events_of_a_stream_lets_go_at_once(stage):
    script = script_of(*STORY)
    events = stage.stream(script).events()
    next(events)
    del events
    assert closed(script) == [True]
    assert stage.endings == [["abandoned"]]


def test_a_stream_in_a_cycle_is_let_go_of_by_garbage_collection(stage):
    script = script_of(*STORY)

    class Holder:
        pass

    gc.disable()
    try:
        holder = Holder()
        holder.stream = stage.stream(script).open()
        holder.self = holder
        del holder
        assert closed(script) == [False]
        gc.collect()
    finally:
        gc.enable()
    assert closed(script) == [True]
    assert stage.endings == [["abandoned"]]


def test_a_cycle_through_the_flow_itself_is_let_go_of_too(stage):
    """Collection may end the flow before the stream that owns it."""
    script, seen = script_of(*STORY), []

    def flow(holder):
        try:
            yield from talk()
        finally:
            seen.append(len(holder))

    holder = []
    holder.append(stage.stream(script, lambda holder=holder: flow(holder)).open())
    del holder
    gc.collect()
    assert seen == [1]
    assert closed(script) == [True]
    assert stage.endings == [["abandoned"]]


# Threads and tasks.


class Gated(ScriptedTransport):
    """A script whose reads wait until they may; closing the reply wakes its reader."""

    def __init__(self, *answers):
        super().__init__(*answers)
        self.reached, self.go_on = threading.Event(), threading.Event()

    def open(self, request, deadline):
        exchange = super().open(request, deadline)
        return GatedExchange(exchange, self)


class GatedExchange:
    def __init__(self, exchange, gate):
        self.exchange, self.gate = exchange, gate
        self.status, self.headers = exchange.status, exchange.headers

    def read(self, deadline):
        self.gate.reached.set()
        assert self.gate.go_on.wait(PATIENCE)
        return self.exchange.read(deadline)

    def close(self):
        self.exchange.close()
        self.gate.go_on.set()


@pytest.fixture
def reading():
    """A stream that another thread is reading: the stage, the script, the stream and that thread's first piece."""
    stage, script = Stage("blocking", None), Gated(Reply(body=STORY))
    stream = stage.stream(script)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, stream)
        assert script.reached.wait(PATIENCE)
        yield stage, script, stream, first
        script.go_on.set()


def test_a_second_thread_on_one_stream_is_refused_in_words_and_the_first_reads_on(reading):
    stage, script, stream, first = reading
    for use in (next, Stream.read, lambda stream: next(stream.events())):
        with pytest.raises(InputError, match="one thread or task at a time"):
            use(stream)
    script.go_on.set()
    assert first.result(PATIENCE) == "Once "
    assert list(stream) == ["upon"]
    assert stage.endings == [["answered"]]


def test_closing_from_another_thread_ends_the_read_with_an_error_and_the_call_once(reading):
    stage, script, stream, first = reading
    stream.close()
    with pytest.raises(APIConnectionError):
        first.result(PATIENCE)
    assert stage.endings == [["abandoned"]]
    assert closed(script) == [True]


def test_two_threads_that_open_one_stream_send_one_request():
    script, scopes = ScriptedTransport(Reply(body=STORY), Reply(body=STORY)), []
    inside, second = threading.Event(), threading.Event()

    def start():
        if inside.is_set():
            second.set()
        inside.set()
        second.wait(0.5)
        scopes.append(Noted())
        return Driver(talk(), script, scopes[-1])

    stream = Stream(start)

    def open_it():
        with contextlib.suppress(InputError):
            stream.open()

    with ThreadPoolExecutor(2) as pool:
        opening = [pool.submit(open_it)]
        assert inside.wait(PATIENCE)
        opening.append(pool.submit(open_it))
        for each in opening:
            each.result(PATIENCE)
    assert len(script.requests) == 1
    stream.close()
    assert [scope.endings for scope in scopes] == [["abandoned"]]


class Turning(ScriptedTransport):
    """A script whose asyncio side gives the loop a turn before every outcome."""

    def __init__(self, *answers):
        super().__init__(*answers)
        script, plain = self, self.aio

        class Aio:
            async def open(self, request, deadline):
                await asyncio.sleep(0)
                return TurningExchange(await plain.open(request, deadline))

        script.aio = Aio()


class TurningExchange:
    def __init__(self, exchange):
        self.exchange = exchange
        self.status, self.headers = exchange.status, exchange.headers

    async def read(self, deadline):
        await asyncio.sleep(0)
        return await self.exchange.read(deadline)

    def close(self):
        self.exchange.close()


def turning_stream(stage, script):
    return AsyncStream(lambda: AsyncDriver(talk(), script.aio, stage.scope()))


def test_a_second_task_on_one_stream_is_refused_in_words_and_the_first_reads_on():
    stage, script = Stage("asyncio", None), Turning(Reply(body=STORY))

    async def main():
        stream = turning_stream(stage, script)
        opening = asyncio.create_task(stream.open())
        await asyncio.sleep(0)
        with pytest.raises(InputError, match="one thread or task at a time"):
            await stream.open()
        await opening
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(InputError, match="one thread or task at a time"):
            await anext(stream)
        return await reading, [piece async for piece in stream]

    assert asyncio.run(main()) == ("Once ", ["upon"])
    assert len(script.requests) == 1
    assert stage.endings == [["answered"]]


@pytest.mark.parametrize("turns", range(10))
def test_a_task_cancelled_at_any_await_of_a_stream_leaves_nothing_open(turns):
    stage, script = Stage("asyncio", None), Turning(Reply(body=STORY))

    async def main():
        stream = turning_stream(stage, script)
        task = asyncio.create_task(stream.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    outcome = asyncio.run(main())
    if turns == 0:
        assert (script.requests, stage.endings) == ([], [])
    elif isinstance(outcome, asyncio.CancelledError):
        assert stage.endings == [["cancelled"]]
    else:
        assert (outcome.text, stage.endings) == ("Once upon", [["answered"]])
    assert all(closed(script))


def test_closing_an_async_stream_from_another_task_ends_the_read_and_the_call_once():
    stage, script = Stage("asyncio", None), Turning(Reply(body=STORY))

    async def main():
        stream = await turning_stream(stage, script).open()
        await anext(stream)
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        stream.close()
        with pytest.raises(APIConnectionError):
            await reading

    asyncio.run(main())
    assert stage.endings == [["abandoned"]]
    assert closed(script) == [True]


def test_an_async_stream_that_is_left_by_break_is_let_go_of_before_the_loop_turns():
    stage, script = Stage("asyncio", None), Turning(Reply(body=STORY))

    async def main():
        async for _ in turning_stream(stage, script):
            break
        return closed(script)

    assert asyncio.run(main()) == [True]
    assert stage.endings == [["abandoned"]]


def test_an_async_stream_that_outlives_its_loop_is_let_go_of_when_it_is_dropped():
    stage, script, kept = Stage("asyncio", None), Turning(Reply(body=STORY)), []

    async def main():
        kept.append(await turning_stream(stage, script).open())

    asyncio.run(main())
    assert closed(script) == [False]
    kept.clear()
    assert closed(script) == [True]
    assert stage.endings == [["abandoned"]]


def test_the_async_with_block_opens_and_closes():
    stage, script = Stage("asyncio", None), Turning(Reply(body=STORY))

    async def main():
        async with turning_stream(stage, script) as stream:
            assert len(script.requests) == 1
            return [event async for event in stream.events()][-1]

    assert asyncio.run(main()) == END
    assert stage.endings == [["answered"]]
