"""Flows: one text, two drivers, one outcome; and the scope is finished exactly once, however a call ends."""

import asyncio
import contextlib
import contextvars
import gc
import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st

from quoth import _flow
from quoth._flow import AsyncDriver, Call, Driver, Finish, Read, Scope, Send, Sleep, Step, Wait, arun, run
from quoth.errors import APIConnectionError, APITimeoutError, DeadlineExceededError, InputError, ProtocolError
from quoth.testing import Reply, ScriptedTransport
from quoth.wire import HTTPRequest, WireReply

PATIENCE = 10.0
"""Seconds after which a test gives up on another thread: it is never waited for in a test that passes."""

REQUEST = HTTPRequest(url="https://host/v1/chat")


class Noted(Scope):
    """A scope that keeps how it was finished."""

    __slots__ = ("endings",)

    def __init__(self, timeout=600.0):
        super().__init__(timeout)
        self.endings = []

    def finish(self, ending, error):
        self.endings.append((ending, error))


# The two worlds: each drives a flow to its end and gives its outputs and its result.


def blocking(flow, script, scope):
    driver, outputs = Driver(flow, script, scope), []
    while (output := driver.advance()) is not None:
        outputs.append(output)
    return outputs, driver.result


def under_asyncio(flow, script, scope):
    async def main():
        driver, outputs = AsyncDriver(flow, script.aio, scope), []
        while (output := await driver.advance()) is not None:
            outputs.append(output)
        return outputs, driver.result

    return asyncio.run(main())


@pytest.fixture(params=[blocking, under_asyncio], ids=["blocking", "asyncio"])
def drive(request):
    return request.param


def closed(script):
    return [exchange.closed for exchange in script.exchanges]


# Each step.


def test_a_whole_reply_comes_joined_and_its_exchange_is_closed_before_the_flow_goes_on(drive):
    script = ScriptedTransport(Reply(status=201, headers=(("a", "b"),), body=(b"one ", b"two ", b"three")))

    def flow():
        reply = yield Send(REQUEST)
        return reply, closed(script)

    scope = Noted()
    _, (reply, closed_then) = drive(flow(), script, scope)
    assert reply == WireReply(status=201, headers=(("a", "b"),), body=b"one two three")
    assert closed_then == [True]
    assert script.requests == [REQUEST]
    assert scope.endings == [("answered", None)]


def test_a_streamed_reply_has_its_head_first_and_then_its_pieces_until_it_is_empty(drive):
    script = ScriptedTransport(Reply(body=(b"one", b"two")))

    def flow():
        reply = yield Send(REQUEST, True)
        pieces = [(yield Read()), (yield Read()), (yield Read()), (yield Read())]
        return reply, pieces, closed(script)

    scope = Noted()
    _, (reply, pieces, closed_then) = drive(flow(), script, scope)
    assert reply == WireReply(status=200, headers=Reply().headers)
    assert pieces == [b"one", b"two", b"", b""]
    assert closed_then == [False]
    assert closed(script) == [True]


@pytest.mark.parametrize(("status", "streamed"), [(199, False), (200, True), (299, True), (300, False), (429, False)])
def test_only_a_success_is_streamed(drive, status, streamed):
    script = ScriptedTransport(Reply(status=status, body=(b"a", b"b")))

    def flow():
        reply = yield Send(REQUEST, True)
        return reply, (yield Read())

    _, (reply, first) = drive(flow(), script, Noted())
    assert (reply.body, first) == ((b"", b"a") if streamed else (b"ab", b""))


def test_reading_without_a_reply_gives_nothing(drive):
    def flow():
        return (yield Read())

    assert drive(flow(), ScriptedTransport(), Noted()) == ([], b"")


def test_a_second_request_lets_go_of_the_first_reply(drive):
    script = ScriptedTransport(Reply(body=(b"first", b"rest")), Reply(body=b"second"))

    def flow():
        yield Send(REQUEST, True)
        yield Send(REQUEST, True)
        return closed(script), (yield Read())

    assert drive(flow(), script, Noted()) == ([], ([True, False], b"second"))
    assert closed(script) == [True, True]


def finished():
    """A flow whose answer is whole after the first piece."""
    yield Send(REQUEST, True)
    piece = yield Read()
    outcome = yield Finish()
    return piece, outcome


def test_finishing_reads_what_is_left_and_gives_nothing(drive):
    script = ScriptedTransport(Reply(body=(b"answer", b"rest", b"of it")))

    def flow():
        outcome = yield from finished()
        return outcome, (yield Read())

    assert drive(flow(), script, Noted()) == ([], ((b"answer", None), b""))
    assert closed(script) == [True]


@pytest.mark.parametrize("error", [APIConnectionError, APITimeoutError, DeadlineExceededError, ProtocolError])
def test_finishing_hears_nothing_of_what_the_transport_says(drive, error):
    script, scope = ScriptedTransport(Reply(body=(b"answer", b"rest", error("too late")))), Noted()
    assert drive(finished(), script, scope) == ([], (b"answer", None))
    assert closed(script) == [True]
    assert scope.endings == [("answered", None)]


def test_finishing_can_be_interrupted(drive):
    script, scope = ScriptedTransport(Reply(body=(b"answer", KeyboardInterrupt()))), Noted()
    with pytest.raises(KeyboardInterrupt):
        drive(finished(), script, scope)
    assert [ending for ending, _ in scope.endings] == ["cancelled"]


def test_finishing_without_a_reply_is_nothing_to_do(drive):
    assert drive(flow_of_one(Finish()), ScriptedTransport(), Noted()) == ([], None)


class Endless:
    """A peer that never ends its reply; it keeps how long each read might have taken."""

    def __init__(self):
        self.patience = []
        self.exchanges = [self]
        self.status, self.headers, self.closed = 200, (), False

    @property
    def aio(self):
        return AsyncEndless(self)

    def open(self, request, deadline):
        return self

    def read(self, deadline):
        self.patience.append(deadline.remaining())
        deadline.require("read", "yes")
        return b": still here"

    def close(self):
        self.closed = True


class AsyncEndless:
    def __init__(self, peer):
        self.peer = peer
        self.status, self.headers, self.close = 200, (), peer.close

    async def open(self, request, deadline):
        return self

    async def read(self, deadline):
        return self.peer.read(deadline)


@pytest.mark.parametrize("timeout", [600.0, 0.05])
def test_finishing_is_patient_for_a_moment_only_and_never_beyond_the_deadline(drive, timeout):
    peer, scope = Endless(), Noted(timeout)
    assert drive(finished(), peer, scope)[1] == (b": still here", None)
    assert max(peer.patience[1:]) <= min(_flow.PATIENCE, timeout)
    assert peer.closed
    assert scope.endings == [("answered", None)]


def test_a_step_that_no_driver_knows_is_said_to_the_flow(drive):
    class Jump(Step, frozen=True, gc=False):
        pass

    with pytest.raises(TypeError, match="Jump"):
        drive(flow_of_one(Jump()), ScriptedTransport(), Noted())


def test_a_sleep_gives_nothing_and_one_longer_than_the_deadline_is_refused_at_once(drive):
    def flow():
        outcome = yield Sleep(0.001)
        try:
            yield Sleep(10_000.0)  # a driver that slept would hold this test for hours
        except DeadlineExceededError as error:
            return outcome, error

    _, (outcome, error) = drive(flow(), ScriptedTransport(), Noted(timeout=500.0))
    assert outcome is None
    assert (error.sent, error.billed, error.phase) == ("no", "no", None)


def test_a_sleep_of_less_than_nothing_means_the_same_in_both_worlds():
    def flow():
        try:
            yield Sleep(-0.001)
        except ValueError as error:
            return error

    one, other = blocking(flow(), ScriptedTransport(), Noted()), under_asyncio(flow(), ScriptedTransport(), Noted())
    assert one == other


VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def test_a_call_gives_what_its_function_gives_and_sees_the_callers_context(drive):
    def flow():
        value = yield Call(lambda: 6 * 7)
        return value, (yield Call(VARIABLE.get))

    token = VARIABLE.set("set")
    try:
        assert drive(flow(), ScriptedTransport(), Noted()) == ([], (42, "set"))
    finally:
        VARIABLE.reset(token)


def test_a_call_holds_up_no_other_task_of_the_loop():
    go_on = threading.Event()

    def flow():
        return (yield Call(lambda: go_on.wait(PATIENCE)))

    async def main():
        call = asyncio.create_task(arun(flow(), ScriptedTransport().aio, Noted()))
        await asyncio.sleep(0.001)
        go_on.set()  # comes too late where the function holds the loop
        return await call

    assert asyncio.run(main())


def test_a_call_whose_function_raises_stop_iteration_fails_under_asyncio_too():
    def flow():
        yield Call(lambda: next(iter(())))

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        await asyncio.wait_for(arun(flow(), ScriptedTransport().aio, Noted()), 0.2)

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(flow(), ScriptedTransport(), Noted())
    with pytest.raises(RuntimeError):
        asyncio.run(main())


# Gates.


class DoorGate:
    """A gate with everything that it was asked."""

    def __init__(self, is_open=False):
        self._lock = threading.Lock()
        self._open = is_open
        self._waiting = []
        self.asked = threading.Event()

    def when_open(self, wake):
        with self._lock:
            if self._open:
                return None
            self._waiting.append(wake)
        self.asked.set()
        return lambda: self._waiting.remove(wake) if wake in self._waiting else None

    def open(self):
        with self._lock:
            self._open, waiting, self._waiting = True, self._waiting, []
        for wake in waiting:
            wake()

    @property
    def waiting(self):
        return len(self._waiting)


def waiting_for(gate):
    return (yield Wait(gate))


def test_an_open_gate_is_passed_at_once_even_when_the_deadline_is_near(drive):
    assert drive(waiting_for(DoorGate(is_open=True)), ScriptedTransport(), Noted(timeout=1e-9)) == ([], None)


def test_a_gate_opened_by_another_thread_lets_the_flow_go_on(drive):
    gate = DoorGate()

    def opener():
        assert gate.asked.wait(PATIENCE)
        gate.open()

    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(opener)
        assert drive(waiting_for(gate), ScriptedTransport(), Noted(timeout=PATIENCE)) == ([], None)
        opening.result()
    assert gate.waiting == 0


def test_a_gate_that_opens_while_it_is_asked_is_passed(drive):
    class Hasty(DoorGate):
        def when_open(self, wake):
            withdraw = super().when_open(wake)
            self.open()
            return withdraw

    assert drive(waiting_for(Hasty()), ScriptedTransport(), Noted(timeout=PATIENCE)) == ([], None)


def test_a_gate_that_never_opens_is_waited_for_until_the_deadline_and_left(drive):
    gate, scope = DoorGate(), Noted(timeout=0.01)
    with pytest.raises(DeadlineExceededError) as caught:
        drive(waiting_for(gate), ScriptedTransport(), scope)
    assert (caught.value.sent, caught.value.billed) == ("no", "no")
    assert scope.endings == [("failed", caught.value)]
    assert gate.waiting == 0


def test_a_gate_that_is_waited_for_so_long_and_no_longer_is_left_without_an_error(drive):
    def patient(gate):
        yield Wait(gate, 0.01)
        return "went on"

    gate, scope = DoorGate(), Noted(timeout=PATIENCE)
    assert drive(patient(gate), ScriptedTransport(), scope) == ([], "went on")
    assert gate.waiting == 0
    with pytest.raises(DeadlineExceededError):
        drive(patient(gate), ScriptedTransport(), Noted(timeout=0.001))


def test_a_cancelled_wait_leaves_its_gate():
    gate, scope = DoorGate(), Noted()

    async def main():
        task = asyncio.create_task(arun(waiting_for(gate), ScriptedTransport().aio, scope))
        await asyncio.sleep(0)
        assert gate.waiting == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert gate.waiting == 0
    assert [ending for ending, _ in scope.endings] == ["cancelled"]


def test_many_flows_pass_one_gate_together():
    gate = DoorGate()

    async def main():
        tasks = [
            asyncio.create_task(arun(waiting_for(gate), ScriptedTransport().aio, Noted(PATIENCE))) for _ in range(50)
        ]
        await asyncio.sleep(0)
        assert gate.waiting == 50
        await asyncio.to_thread(gate.open)
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [None] * 50


# What a step raises.

RAISED = [APIConnectionError("gone"), ValueError("ours"), KeyboardInterrupt(), asyncio.CancelledError(), SystemExit(3)]


def raising(error):
    def function(*_):
        raise error

    return function


def scripts_that_raise(error):
    """For each step that may raise: the script, and the steps up to it."""
    return {
        "send": (ScriptedTransport(error, Reply(body=b"after")), [Send(REQUEST)]),
        "send, reading": (ScriptedTransport(Reply(body=(b"x", error)), Reply(body=b"after")), [Send(REQUEST)]),
        "read": (ScriptedTransport(Reply(body=(error,)), Reply(body=b"after")), [Send(REQUEST, True), Read()]),
        "call": (ScriptedTransport(Reply(body=b"after")), [Call(raising(error))]),
        "wait": (ScriptedTransport(Reply(body=b"after")), [Wait(type("G", (), {"when_open": raising(error)})())]),
    }


@pytest.mark.parametrize("step", scripts_that_raise(ValueError()))
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_what_a_step_raises_reaches_the_flow_which_may_go_on(drive, error, step):
    script, steps = scripts_that_raise(error)[step]

    def flow():
        caught = None
        try:
            for each in steps:
                _ = yield each
        except BaseException as raised:  # noqa: BLE001  # that everything arrives is the point
            caught = raised
        reply = yield Send(REQUEST)
        return caught, reply.body

    scope = Noted()
    _, (caught, body) = drive(flow(), script, scope)
    assert type(caught) is type(error)
    assert body == b"after"
    assert [ending for ending, _ in scope.endings] == ["answered"]
    assert all(closed(script))


@pytest.mark.parametrize("step", scripts_that_raise(ValueError()))
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_what_the_flow_does_not_catch_reaches_the_caller_and_ends_the_call_once(drive, error, step):
    script, steps = scripts_that_raise(error)[step]
    came = []

    def flow():
        try:
            for each in steps:
                _ = yield each
        except BaseException as raised:
            came.append(raised)
            raise

    scope = Noted()
    with pytest.raises(type(error)):
        drive(flow(), script, scope)
    assert [type(raised) for raised in came] == [type(error)]
    ((ending, ended_by),) = scope.endings
    assert ending == ("failed" if isinstance(error, Exception) else "cancelled")
    assert type(ended_by) is type(error)
    assert all(closed(script))


def test_a_flow_may_answer_one_error_with_another(drive):
    def flow():
        try:
            yield Send(REQUEST)
        except APIConnectionError:
            raise InputError("translated") from None

    scope = Noted()
    with pytest.raises(InputError, match="translated"):
        drive(flow(), ScriptedTransport(APIConnectionError("x")), scope)
    ((ending, error),) = scope.endings
    assert (ending, type(error)) == ("failed", InputError)


# Both worlds, any flow.

REPLIES = st.builds(
    Reply,
    status=st.sampled_from([200, 200, 200, 404]),
    body=st.lists(st.binary(max_size=4) | st.just(APIConnectionError("cut")), max_size=3).map(tuple),
)
STEPS = st.one_of(
    st.just(("send", False)),
    st.just(("send", True)),
    st.just(("read", None)),
    st.just(("finish", None)),
    st.just(("sleep", 0.0)),
    st.just(("sleep", 10_000.0)),
    st.integers().map(lambda value: ("call", value)),
    st.just(("call fails", None)),
    st.just(("wait", None)),
    st.integers(1, 9).map(lambda value: ("output", value)),
    st.just(("fail", None)),
)


def flow_of(plan, told):
    """A flow that does as planned, tells what came of each step, and survives what its steps raise."""
    makers = {
        "send": lambda stream: Send(REQUEST, stream),
        "read": lambda _: Read(),
        "finish": lambda _: Finish(),
        "sleep": Sleep,
        "call": lambda value: Call(lambda: value),
        "call fails": lambda _: Call(raising(ValueError("call"))),
        "wait": lambda _: Wait(DoorGate(is_open=True)),
        "output": lambda value: value,
    }
    for name, argument in plan:
        if name == "fail":
            raise LookupError("the flow's own")
        try:
            told.append((yield makers[name](argument)))
        except Exception as error:  # noqa: BLE001  # all are told
            told.append((type(error), str(error)))
    return len(plan)


def all_that_happens(drive, plan, replies):
    script, scope, told = ScriptedTransport(*replies), Noted(timeout=500.0), []
    try:
        ended = drive(flow_of(plan, told), script, scope)
    except LookupError as error:
        ended = str(error)
    return ended, told, [kind for kind, _ in scope.endings], len(script.requests), closed(script)


@given(st.lists(STEPS, max_size=8), st.lists(REPLIES, max_size=3))
def test_any_flow_has_the_same_outcome_in_both_worlds(plan, replies):
    one = all_that_happens(blocking, plan, replies)
    other = all_that_happens(under_asyncio, plan, replies)
    assert one == other
    assert len(one[2]) == 1
    assert all(one[4])


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6))
def test_a_whole_body_is_the_same_however_it_was_cut(pieces):
    def flow():
        return (yield Send(REQUEST)).body

    assert run(flow(), ScriptedTransport(Reply(body=tuple(pieces))), Noted()) == b"".join(pieces)


# Outputs, and the flow's result.


def test_outputs_are_handed_through_in_order_between_steps(drive):
    def flow():
        yield "first"
        value = yield Call(lambda: "called")
        yield value
        return "result"

    assert drive(flow(), ScriptedTransport(), Noted()) == (["first", "called"], "result")


def test_an_output_is_answered_with_nothing(drive):
    def flow():
        return (yield "output")

    assert drive(flow(), ScriptedTransport(), Noted())[1] is None


def test_joined_flows_act_as_one(drive):
    """Middleware: the inner flow's steps, outputs, errors and result pass through the outer one."""

    def inner():
        yield "inner output"
        reply = yield Send(REQUEST)
        if reply.status != 200:
            raise InputError("refused")
        return reply.body

    def outer():
        for _ in range(2):
            try:
                return (yield from inner()) + b" wrapped"
            except InputError:
                yield "again"

    script = ScriptedTransport(Reply(status=500), Reply(body=b"yes"))
    assert drive(outer(), script, Noted()) == (["inner output", "again", "inner output"], b"yes wrapped")


def test_run_and_arun_give_the_result():
    def flow():
        return (yield Send(REQUEST)).body

    script = ScriptedTransport(Reply(body=b"1"), Reply(body=b"2"))
    assert run(flow(), script, Noted()) == b"1"
    assert asyncio.run(arun(flow(), script.aio, Noted())) == b"2"


def test_after_its_end_a_driver_gives_nothing_more(drive):
    scope = Noted()
    drive(flow_of([("output", 1)], []), ScriptedTransport(), scope)
    driver = Driver(flow_of([("fail", None)], []), ScriptedTransport(), Noted())
    with pytest.raises(LookupError):
        driver.advance()
    assert driver.advance() is None
    assert driver.ended


# The deadline.


def test_the_time_between_two_outputs_is_given_back_and_the_time_of_steps_is_not():
    def flow():
        yield "one"
        yield Sleep(0.01)
        yield "two"

    scope = Noted()
    driver = Driver(flow(), ScriptedTransport(), scope)
    before, began = scope.deadline.at, time.monotonic()
    driver.advance()
    assert scope.deadline.at == before
    left = time.monotonic()
    time.sleep(0.02)
    came_back = time.monotonic()
    driver.advance()
    given_back = scope.deadline.at - before
    assert given_back >= came_back - left
    assert given_back <= time.monotonic() - began - 0.01


def test_the_time_between_two_outputs_is_given_back_under_asyncio():
    async def main():
        scope = Noted()
        driver = AsyncDriver(flow_of([("output", 1), ("output", 2)], []), ScriptedTransport().aio, scope)
        before = scope.deadline.at
        await driver.advance()
        assert scope.deadline.at == before
        left = time.monotonic()
        await asyncio.sleep(0.02)
        came_back = time.monotonic()
        await driver.advance()
        assert scope.deadline.at - before >= came_back - left

    asyncio.run(main())


def test_a_deadline_that_has_passed_stops_the_next_step(drive):
    script = ScriptedTransport(Reply())
    with pytest.raises(DeadlineExceededError):
        drive(flow_of_one(Send(REQUEST)), script, Noted(timeout=-1.0))
    assert script.requests == []


def flow_of_one(step):
    return (yield step)


def test_an_endless_deadline_never_passes(drive):
    assert drive(flow_of([("sleep", 0.0), ("send", False)], []), ScriptedTransport(Reply()), Noted(math.inf))[1] == 2


# Every ending finishes the scope once.


def streaming(script_output="piece"):
    """A flow that shows pieces for ever."""
    yield Send(REQUEST, True)
    while True:
        yield Read()
        yield script_output


def started(world, flow, scope, script):
    driver = Driver(flow, script, scope) if world == "blocking" else AsyncDriver(flow, script.aio, scope)
    advance = driver.advance()
    if world == "asyncio":
        with contextlib.suppress(StopIteration):
            advance.send(None)  # nothing in this script ever waits, so the coroutine ends in one step
    return driver


@pytest.fixture(params=["blocking", "asyncio"])
def world(request):
    return request.param


def test_closing_between_two_outputs_abandons_the_call_once(world):
    script, scope, seen = ScriptedTransport(Reply(body=(b"a", b"b"))), Noted(), []

    def flow():
        try:
            yield from streaming()
        finally:
            seen.append(sys.exc_info()[0])

    driver = started(world, flow(), scope, script)
    assert scope.endings == []
    driver.close()
    assert seen == [GeneratorExit]
    assert scope.endings == [("abandoned", None)]
    assert closed(script) == [True]
    driver.close()
    assert scope.endings == [("abandoned", None)]
    assert driver.ended


def test_closing_before_the_first_step_sends_nothing_and_finishes_the_scope(world):
    script, scope = ScriptedTransport(Reply()), Noted()
    driver = (Driver if world == "blocking" else AsyncDriver)(streaming(), script, scope)
    driver.close()
    assert script.requests == []
    assert scope.endings == [("abandoned", None)]


def test_closing_after_the_end_changes_nothing(world):
    scope = Noted()
    driver = started(world, flow_of([], []), scope, ScriptedTransport())
    driver.close()
    assert scope.endings == [("answered", None)]


def test_an_error_of_the_flows_own_clean_up_is_raised_and_the_call_is_finished_all_the_same(world):
    script, scope = ScriptedTransport(Reply(body=(b"a", b"b"))), Noted()

    def flow():
        try:
            yield from streaming()
        finally:
            raise LookupError("in the clean-up")

    driver = started(world, flow(), scope, script)
    with pytest.raises(LookupError):
        driver.close()
    assert scope.endings == [("abandoned", None)]
    assert closed(script) == [True]


def test_a_flow_that_will_not_be_closed_is_an_error_and_finished_all_the_same(world):
    script, scope = ScriptedTransport(Reply(body=(b"a", b"b"))), Noted()

    def flow():
        with contextlib.suppress(GeneratorExit):
            yield from streaming()
        yield "one more"

    driver = started(world, flow(), scope, script)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        driver.close()
    assert scope.endings == [("abandoned", None)]
    assert closed(script) == [True]


class Unclosable:
    """A transport whose replies cannot be let go of."""

    class Exchange:
        status, headers = 200, ()

        def __init__(self):
            self.chunks = [b"answer"]

        def read(self, deadline):
            return self.chunks.pop() if self.chunks else b""

        def close(self):
            raise OSError("cannot close")

    def open(self, request, deadline):
        return self.Exchange()


@pytest.mark.parametrize("ends", ["returns", "fails", "is closed"])
def test_an_exchange_that_cannot_be_closed_costs_no_record(ends):
    def flow():
        yield Send(REQUEST, True)
        yield "output"
        if ends == "fails":
            raise LookupError("the flow's own")

    scope = Noted()
    driver = Driver(flow(), Unclosable(), scope)
    with contextlib.suppress(OSError, LookupError):
        driver.advance()
        if ends == "is closed":
            driver.close()
        driver.advance()
    assert len(scope.endings) == 1


def test_an_exchange_that_cannot_be_closed_costs_no_answer():
    def flow():
        return (yield Send(REQUEST)).body

    assert run(flow(), Unclosable(), Noted()) == b"answer"


# Cancellation, at every await.


class Waiting:
    """A script whose asyncio side gives the loop a turn before every outcome."""

    def __init__(self, script):
        self.script = script

    async def open(self, request, deadline):
        await asyncio.sleep(0)
        return WaitingExchange(await self.script.aio.open(request, deadline))


class WaitingExchange:
    def __init__(self, exchange):
        self.exchange = exchange
        self.status, self.headers = exchange.status, exchange.headers

    async def read(self, deadline):
        await asyncio.sleep(0)
        return await self.exchange.read(deadline)

    def close(self):
        self.exchange.close()


def long_flow():
    yield Sleep(0.0)
    yield Send(REQUEST)
    yield Send(REQUEST, True)
    yield "output"
    yield Read()
    yield Call(lambda: None)
    yield Read()
    yield "output"
    return "result"


@pytest.mark.parametrize("turns", range(1, 30))
def test_a_task_cancelled_at_any_await_ends_its_call_once_and_lets_go_of_everything(turns):
    script, scope = ScriptedTransport(Reply(body=b"whole"), Reply(body=(b"a", b"b"))), Noted()

    async def main():
        task = asyncio.create_task(arun(long_flow(), Waiting(script), scope))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = task.done()
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        return was_done, outcome

    was_done, outcome = asyncio.run(main())
    ((ending, error),) = scope.endings
    if isinstance(outcome, asyncio.CancelledError):
        assert not was_done
        assert (ending, type(error)) == ("cancelled", asyncio.CancelledError)
    else:
        assert (outcome, ending, error) == ("result", "answered", None)
    assert all(closed(script))


def test_a_flow_that_is_cancelled_is_told_so_before_it_ends():
    told = []

    def flow():
        try:
            yield Sleep(100.0)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async def main():
        task = asyncio.create_task(arun(flow(), ScriptedTransport().aio, Noted()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert told == ["cancelled"]


def test_asyncio_timeout_around_a_call_cancels_it():
    scope = Noted()

    async def main():
        async with asyncio.timeout(0.001):
            await arun(flow_of_one(Sleep(100.0)), ScriptedTransport().aio, scope)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert [ending for ending, _ in scope.endings] == ["cancelled"]


def test_a_coroutine_that_is_dropped_while_it_waits_is_abandoned():
    """Its caller went away, as with a stream that is dropped; nobody cancelled anything."""
    script, scope = ScriptedTransport(Reply(body=b"a")), Noted()
    coroutine = arun(flow_of_one(Send(REQUEST)), Waiting(script), scope)
    coroutine.send(None)
    coroutine.close()
    assert [ending for ending, _ in scope.endings] == ["abandoned"]


def test_a_coroutine_that_is_dropped_while_it_waits_finishes_its_call_once():
    script, scope = ScriptedTransport(Reply(body=(b"a", b"b"))), Noted()
    coroutine = arun(flow_of_one(Send(REQUEST)), Waiting(script), scope)
    for _ in range(2):
        coroutine.send(None)
    del coroutine
    gc.collect()
    assert len(scope.endings) == 1
    assert closed(script) == [True]


# Several threads.


class Held:
    """A transport that holds up one place until it is released: ``open`` or ``read``."""

    def __init__(self, place):
        self.place = place
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.exchanges = []
        self.requests = []

    def hold(self, place):
        if place == self.place:
            self.reached.set()
            assert self.go_on.wait(PATIENCE)

    def open(self, request, deadline):
        self.requests.append(request)
        self.hold("open")
        exchange = HeldExchange(self)
        self.exchanges.append(exchange)
        return exchange


class HeldExchange:
    status, headers = 200, ()

    def __init__(self, transport):
        self.transport = transport
        self.closed = False

    def read(self, deadline):
        self.transport.hold("read")
        if self.closed:
            raise APIConnectionError("closed under the reader", phase="read", sent="yes")
        return b"piece"

    def close(self):
        self.closed = True
        self.transport.go_on.set()  # as a socket that is shut wakes its reader


def test_closing_from_another_thread_ends_a_read_and_the_call_once():
    transport, scope = Held("read"), Noted()
    driver = Driver(streaming(), transport, scope)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(driver.advance)
        assert transport.reached.wait(PATIENCE)
        driver.close()
        with pytest.raises(APIConnectionError, match="closed under the reader"):
            reading.result(PATIENCE)
    assert scope.endings == [("abandoned", None)]
    assert [exchange.closed for exchange in transport.exchanges] == [True]
    assert driver.advance() is None


def opening():
    """A flow that gives an output as soon as it has sent."""
    yield Send(REQUEST, True)
    yield "opened"


@pytest.mark.parametrize("flow", [opening, streaming])
def test_closing_from_another_thread_while_the_request_is_sent_leaves_no_connection_behind(flow):
    transport, scope = Held("open"), Noted()
    driver = Driver(flow(), transport, scope)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(driver.advance)
        assert transport.reached.wait(PATIENCE)
        driver.close()
        transport.go_on.set()
        with contextlib.suppress(Exception):
            opening.result(PATIENCE)
    driver.close()
    assert scope.endings == [("abandoned", None)]
    assert [exchange.closed for exchange in transport.exchanges] == [True]


def test_a_call_that_was_closed_sends_nothing_more():
    reached, go_on = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert go_on.wait(PATIENCE)

    def flow():
        yield Call(hold)
        yield Send(REQUEST, True)
        yield "opened"

    script, scope = ScriptedTransport(Reply(body=b"a")), Noted()
    driver = Driver(flow(), script, scope)
    with ThreadPoolExecutor(1) as pool:
        advancing = pool.submit(driver.advance)
        assert reached.wait(PATIENCE)
        driver.close()
        go_on.set()
        with contextlib.suppress(Exception):
            advancing.result(PATIENCE)
    assert scope.endings == [("abandoned", None)]
    assert script.requests == []


def test_a_second_thread_is_refused_and_the_first_goes_on():
    transport, scope = Held("read"), Noted()
    driver = Driver(streaming(), transport, scope)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(driver.advance)
        assert transport.reached.wait(PATIENCE)
        with pytest.raises(InputError, match="one thread or task at a time"):
            driver.advance()
        transport.go_on.set()
        assert reading.result(PATIENCE) == "piece"
    assert scope.endings == []
    driver.close()
    assert scope.endings == [("abandoned", None)]


def test_a_second_task_is_refused_and_the_first_goes_on():
    script, scope = ScriptedTransport(Reply(body=(b"a", b"b"))), Noted()

    async def main():
        driver = AsyncDriver(streaming(), Waiting(script), scope)
        first = asyncio.create_task(driver.advance())
        await asyncio.sleep(0)
        with pytest.raises(InputError, match="one thread or task at a time"):
            await driver.advance()
        assert await first == "piece"
        driver.close()

    asyncio.run(main())
    assert scope.endings == [("abandoned", None)]


def test_a_flow_that_drives_itself_is_refused_in_words(drive):
    holder = []

    def flow():
        try:
            yield Call(holder[0].advance)
        except InputError as error:
            return str(error)

    driver = Driver(flow(), ScriptedTransport(), Noted())
    holder.append(driver)
    assert driver.advance() is None
    assert "being read already" in driver.result


def test_a_scope_that_many_threads_end_is_finished_once():
    scope, together = Noted(), threading.Barrier(16)

    def end(number):
        together.wait(PATIENCE)
        scope.end("failed", ValueError(number))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(end, range(16)))
    assert len(scope.endings) == 1


def test_a_call_that_is_closed_while_it_answers_is_finished_once():
    """Whichever comes first names the ending; the loser changes nothing."""
    for _ in range(50):
        script, scope, together = ScriptedTransport(Reply(body=b"a")), Noted(), threading.Barrier(2)
        driver = Driver(flow_of([("send", True), ("read", None)], []), script, scope)

        def close(driver=driver, together=together):
            together.wait(PATIENCE)
            driver.close()

        with ThreadPoolExecutor(1) as pool:
            closing = pool.submit(close)
            together.wait(PATIENCE)
            with contextlib.suppress(APIConnectionError):
                driver.advance()
            closing.result(PATIENCE)
        assert len(scope.endings) == 1
