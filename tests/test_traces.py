"""Spans and metrics of OpenTelemetry: of calls, streams, runs and tools, over real sockets, told to its own SDK."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from quoth import Image, ModelsAPI, Settings
from quoth.errors import (
    ConfigurationError,
    InputError,
    InputTypeError,
    RateLimitError,
)
from quoth.instrumentation.otel import CAPTURE_VARIABLE
from quoth.testing import FakeProvider, Fault
from servers import RawServer
from test_error_secrets import (
    KEY,
    answer,
    api_of,
    blocking,
    check_that_no_key_leaves,
    in_a_loop,
    in_a_run,
    reset,
    streamed,
    streamed_in_a_loop,
)
from test_run import add, asking, tells
from ways import STREAMS, WAYS

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import context as contexts, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

MODEL = "openai/gpt-6-luna"


class Told:
    """What the SDK was told."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("the program's own")
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    def only(self):
        (span,) = self.spans
        return span

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def points(self):
        data = self._reader.get_metrics_data()
        scopes = data.resource_metrics[0].scope_metrics if data else []
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def told(monkeypatch):
    monkeypatch.delenv(CAPTURE_VARIABLE, raising=False)
    return Told()


def traced(fake, told, *, retries=0, **options):
    api = fake.models(retries=retries)
    api.trace(tracer_provider=told.provider, **options)
    return api


@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_one_span_that_says_what_its_record_says(way, told):
    with FakeProvider("Hello") as fake:
        api = traced(fake, told)
        records = []
        api.on_call(records.append)
        answer = WAYS[way](api, "Hi", MODEL, temperature=0.5, max_tokens=20, tags={"feature": "search"})
    span, (record,) = told.only(), records
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-6-luna", SpanKind.CLIENT, StatusCode.UNSET)
    said = dict(span.attributes)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-6-luna"
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.request.max_tokens"] == 20
    assert said.get("gen_ai.request.stream") == (True if way in STREAMS else None)
    assert said["gen_ai.response.model"] == answer.model
    assert said["gen_ai.response.id"] == answer.id
    assert said["gen_ai.response.finish_reasons"] == ("stop",)
    assert said["gen_ai.usage.input_tokens"] == answer.usage.input_tokens
    assert said["gen_ai.usage.output_tokens"] == answer.usage.output_tokens
    assert said["quoth.cost.usd"] == pytest.approx(float(answer.cost.usd))
    assert said["quoth.call.id"] == record.id
    assert said["quoth.outcome"] == "answered"
    assert said["quoth.tag.feature"] == "search"
    assert said["server.address"] == "127.0.0.1"
    assert ("gen_ai.response.time_to_first_chunk" in said) == (way in STREAMS)
    assert span.end_time - span.start_time == pytest.approx(record.seconds * 1e9, abs=1e4)
    assert not {name for name in said if "messages" in name or "instructions" in name}
    assert "Hello" not in span.to_json()


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_call_is_a_span_with_the_kind_of_its_error(way, told):
    with FakeProvider(Fault(kind="rate_limit")) as fake:
        api = traced(fake, told, retries=0)
        with pytest.raises(RateLimitError):
            WAYS[way](api, "Hi", MODEL)
    span = told.only()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "rate_limit (HTTP 429)"
    assert span.attributes["error.type"] == "rate_limit"
    assert span.attributes["quoth.outcome"] == "failed"
    assert fake.key not in span.to_json()


@pytest.mark.parametrize("way", WAYS)
def test_retries_and_fallbacks_are_events_with_their_moments(way, told):
    script = [Fault(kind="overloaded"), Fault(kind="overloaded"), "Hello"]
    with FakeProvider(script) as fake:
        api = traced(fake, told, retries=1)
        WAYS[way](api, "Hi", MODEL, fallback=["anthropic/claude-sonnet-5-5"])
    span = told.only()
    assert [event.name for event in span.events] == ["quoth.retry", "quoth.fallback"]
    assert [event.attributes["error.type"] for event in span.events] == ["overloaded"] * 2
    assert span.start_time < span.events[0].timestamp < span.events[1].timestamp < span.end_time
    assert span.events[0].attributes["quoth.waited"] > 0
    assert span.attributes["gen_ai.provider.name"] == "anthropic"
    assert span.attributes["gen_ai.request.model"] == "claude-sonnet-5-5"


def test_the_programs_span_is_the_parent_and_stays_the_current_one(told):
    with FakeProvider("Hello") as fake:
        api = traced(fake, told)
        with told.tracer.start_as_current_span("program") as program:
            api(MODEL, "Hi")
            assert trace.get_current_span() is program
    call = told.named("chat gpt-6-luna")[0]
    assert call.parent.span_id == program.get_span_context().span_id


def _step(told, stream, name):
    """Take a piece, and work on it in a span of the program's."""
    piece = next(stream, None)
    with told.tracer.start_as_current_span(name):
        pass
    return piece


def test_no_span_of_ours_is_current_between_the_pieces_of_interleaved_streams(told):
    with FakeProvider("A tale of two cities", piece=3) as fake:
        api = traced(fake, told)
        with told.tracer.start_as_current_span("first") as first:
            one = api.stream(MODEL, "1")
        with told.tracer.start_as_current_span("second") as second:
            other = api.stream(MODEL, "2")
        with told.tracer.start_as_current_span("program") as program:
            streams = [iter(one), iter(other)]
            while streams:
                streams = [stream for stream in streams if _step(told, stream, "work") is not None]
                assert trace.get_current_span() is program
    program_id = program.get_span_context().span_id
    assert {span.parent.span_id for span in told.named("work")} == {program_id}
    calls = told.named("chat gpt-6-luna")
    assert {span.parent.span_id for span in calls} == {each.get_span_context().span_id for each in (first, second)}
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_no_span_of_ours_is_current_between_the_pieces_of_async_streams(told):
    seen = []

    async def consume(api, name):
        with told.tracer.start_as_current_span(name) as mine:
            async for _ in api.aio.stream(MODEL, name):
                seen.append(trace.get_current_span() is mine)
                with told.tracer.start_as_current_span(f"work {name}"):
                    await asyncio.sleep(0)
        return mine.get_span_context().span_id

    async def main(api):
        return await asyncio.gather(*[consume(api, name) for name in ("a", "b", "c")])

    with FakeProvider("A tale of three cities", piece=3) as fake:
        ids = asyncio.run(main(traced(fake, told)))
    assert seen
    assert all(seen)
    for name, span_id in zip("abc", ids, strict=True):
        assert {span.parent.span_id for span in told.named(f"work {name}")} == {span_id}
    assert {span.parent.span_id for span in told.named("chat gpt-6-luna")} == set(ids)


@pytest.mark.parametrize("end", ["break", "close", "collect"])
def test_a_stream_that_is_left_ends_its_span_as_abandoned_and_changes_no_context(end, told):
    with FakeProvider(Fault(answer="A long tale of cities", piece=2, pace=0.2)) as fake:
        api = traced(fake, told)
        with told.tracer.start_as_current_span("program") as program:
            stream = api.stream(MODEL, "Hi")
            next(iter(stream))
            if end == "close":
                stream.close()
            del stream
            gc.collect()
            assert trace.get_current_span() is program
        api.usage()  # what garbage collection ended is told now
    (span,) = told.named("chat gpt-6-luna")
    assert span.attributes["quoth.outcome"] == "abandoned"
    assert span.status.status_code is StatusCode.UNSET


def test_an_async_stream_that_is_left_in_another_task_ends_its_span(told):
    async def main(api):
        stream = api.aio.stream(MODEL, "Hi")
        async for _ in stream:
            break
        await asyncio.create_task(_close(stream))

    async def _close(stream):
        await stream.aclose() if hasattr(stream, "aclose") else stream.close()

    with FakeProvider(Fault(answer="A long tale of cities", piece=2, pace=0.2)) as fake:
        asyncio.run(main(traced(fake, told)))
    assert told.only().attributes["quoth.outcome"] == "abandoned"


def test_a_cancelled_call_ends_its_span(told):
    async def main(api):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await api.aio(MODEL, "Hi")

    with FakeProvider(Fault(answer="Hello", delay=5)) as fake:
        asyncio.run(main(traced(fake, told)))
    span = told.only()
    assert span.attributes["quoth.outcome"] == "cancelled"
    assert "error.type" not in span.attributes


def test_an_error_of_the_consumer_is_none_of_the_call(told):
    with FakeProvider(Fault(answer="A long tale of cities", piece=2, pace=0.2)) as fake:
        api = traced(fake, told)
        with pytest.raises(ZeroDivisionError), api.stream(MODEL, "Hi") as stream:
            _ = [1 // 0 for _ in stream]
    assert told.only().attributes["quoth.outcome"] == "abandoned"


@pytest.mark.parametrize("way", ["blocking", "asyncio", "stream"])
def test_a_run_is_a_span_with_its_calls_and_tools_below_it(way, told):
    inside = []

    def weather(city: str) -> str:
        """Tell the weather."""
        inside.append(trace.get_current_span().get_span_context().span_id)
        with told.tracer.start_as_current_span("look up"):
            return f"Rain in {city}"

    with FakeProvider(tells(("weather", '{"city": "Rome"}'))) as fake:
        api = traced(fake, told)
        match way:
            case "blocking":
                run = api.run(MODEL, "Weather?", tools=[weather])
            case "asyncio":
                run = asyncio.run(api.aio.run(MODEL, "Weather?", tools=[weather]))
            case "stream":
                stream = api.chat(MODEL, tools=[weather]).stream("Weather?")
                stream.read()
                run = stream.run
    (agent,) = told.named("invoke_agent")
    calls, (tool,) = told.named("chat gpt-6-luna"), told.named("execute_tool weather")
    assert len(calls) == len(run.responses) == 2
    assert {span.parent.span_id for span in (*calls, tool)} == {agent.context.span_id}
    assert inside == [tool.context.span_id]
    assert told.named("look up")[0].parent.span_id == tool.context.span_id
    assert agent.attributes["quoth.outcome"] == tool.attributes["quoth.outcome"] == "answered"
    assert {span.attributes["quoth.run.id"] for span in (agent, *calls)} == {agent.attributes["quoth.run.id"]}
    assert tool.attributes["gen_ai.tool.name"] == "weather"
    assert agent.end_time >= max(span.end_time for span in calls)


def test_a_tool_that_raises_fails_its_span_and_not_the_run(told):
    def broken(a: int) -> int:
        """Break."""
        raise RuntimeError(a)

    with FakeProvider(tells(("broken", '{"a": 1}'))) as fake:
        traced(fake, told).run(MODEL, "Go.", tools=[broken])
    (tool,) = told.named("execute_tool broken")
    assert (tool.status.status_code, tool.attributes["error.type"]) == (StatusCode.ERROR, "RuntimeError")
    assert told.named("invoke_agent")[0].attributes["quoth.outcome"] == "answered"


def test_embeddings_are_spans_too(told):
    with FakeProvider() as fake:
        traced(fake, told).embed("openai/text-embedding-3-small", ["a", "b"])
    span = told.only()
    assert (span.name, span.attributes["gen_ai.operation.name"]) == ("embeddings text-embedding-3-small", "embeddings")
    assert span.attributes["gen_ai.usage.input_tokens"] > 0


# Content.


@pytest.mark.parametrize("given", ["option", "variable"])
def test_content_is_shown_where_it_was_asked_for(given, told, monkeypatch):
    options = {"capture": "SPAN_ONLY"} if given == "option" else {}
    if given == "variable":
        monkeypatch.setenv(CAPTURE_VARIABLE, "span_only")
    with FakeProvider("It is patience.") as fake:
        traced(fake, told, **options)(MODEL, "What is the secret of tea?", system="Be brief.")
    said = told.only().attributes
    assert json.loads(said["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is the secret of tea?"}]}
    ]
    assert json.loads(said["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]
    assert json.loads(said["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "It is patience."}], "finish_reason": "stop"}
    ]


def test_content_goes_to_an_event_where_that_was_asked_for(told):
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter, logs = InMemoryLogRecordExporter(), LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    with FakeProvider("It is patience.") as fake:
        traced(fake, told, capture="EVENT_ONLY", logger_provider=logs)(MODEL, "What is the secret of tea?")
    (event,) = exporter.get_finished_logs()
    record = event.log_record
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert record.trace_id == told.only().context.trace_id
    assert record.attributes["gen_ai.output.messages"][0]["parts"][0]["content"] == "It is patience."
    assert "gen_ai.output.messages" not in told.only().attributes


def test_content_is_bounded_and_says_where_it_was_cut(told):
    with FakeProvider("Yes.") as fake:
        traced(fake, told, capture="SPAN_ONLY")(MODEL, "x" * 500_000)
    said = told.only().attributes
    assert len(said["gen_ai.input.messages"]) < 70_000
    assert "[cut, of 500000 characters]" in said["gen_ai.input.messages"]
    assert said["quoth.content.cut"] is True


@pytest.mark.parametrize("way", ["blocking", "asyncio"])
@pytest.mark.parametrize("capture", ["SPAN_ONLY", "SPAN_AND_EVENT"])
def test_what_a_tool_gives_is_shown_as_json_whatever_it_is(way, capture, told):
    picture = b"\x89PNG\r\n\x1a\n" + b"pixels" * 10
    given = {}

    def draw(name: str) -> object:
        """Draw."""
        return given[name]

    circle: list = []
    circle.append(circle)
    given.update(image=Image(data=picture, media_type="image/png"), pairs={"a": "\ud800 half"}, circle=circle)
    with FakeProvider([asking(*[("draw", json.dumps({"name": name})) for name in given]), "Drawn."]) as fake:
        api = traced(fake, told, capture=capture)
        if way == "blocking":
            api.run(MODEL, "Draw.", tools=[draw])
        else:
            asyncio.run(api.aio.run(MODEL, "Draw.", tools=[draw]))
    results = [span.attributes["gen_ai.tool.call.result"] for span in told.named("execute_tool draw")]
    assert len(results) == len(given)
    assert not [text for text in results if "pixels" in text]
    assert "[left out: 68 bytes]" in "".join(results)
    assert [text.encode() for text in results]


def test_an_event_holds_nothing_that_no_exporter_can_encode(told):
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter, logs = InMemoryLogRecordExporter(), LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    with FakeProvider("Yes.") as fake:
        traced(fake, told, capture="EVENT_ONLY", logger_provider=logs)(MODEL, "half \ud800 of a pair")
    (event,) = exporter.get_finished_logs()
    said = event.log_record.attributes["gen_ai.input.messages"][0]["parts"][0]["content"]
    assert said.encode()
    assert said.startswith("half ")


def test_no_word_of_the_conversation_is_anywhere_without_being_asked_for(told):
    with FakeProvider(tells(("add", '{"a": 17}'))) as fake:
        traced(fake, told, meter_provider=told.meters).run(MODEL, "The secret is seventeen.", tools=[add])
    everything = "".join(span.to_json() for span in told.spans) + repr(told.points())
    assert "secret" not in everything
    assert '"a"' not in everything
    assert fake.key not in everything


# Metrics.


@pytest.mark.parametrize("way", WAYS)
def test_the_histograms_count_what_the_spans_say(way, told):
    with FakeProvider(["Hello", Fault(kind="rate_limit")]) as fake:
        api = traced(fake, told, retries=0, meter_provider=told.meters)
        answer = WAYS[way](api, "Hi", MODEL)
        with pytest.raises(RateLimitError):
            WAYS[way](api, "Hi", MODEL)
    points = told.points()
    durations = {point.attributes.get("error.type"): point for point in points["gen_ai.client.operation.duration"]}
    assert {kind: point.count for kind, point in durations.items()} == {None: 1, "rate_limit": 1}
    good = told.spans[0]
    assert durations[None].sum == pytest.approx((good.end_time - good.start_time) / 1e9, abs=1e-4)
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]}
    assert tokens == {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens}
    assert ("gen_ai.client.operation.time_to_first_chunk" in points) == (way in STREAMS)


# Nested and suppressed.


def test_the_events_of_attempts_have_the_conventions_names_of_providers(told):
    with FakeProvider([Fault(kind="overloaded"), "Hello"]) as fake:
        traced(fake, told, retries=1)("google/gemini-3.8-flash", "Hi")
    span = told.only()
    assert span.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert [event.attributes["gen_ai.provider.name"] for event in span.events] == ["gcp.gemini"]


def test_where_tracing_is_suppressed_there_is_no_span(told):
    with FakeProvider("Hello") as fake:
        api = traced(fake, told)
        token = contexts.attach(contexts.set_value("suppress_instrumentation", value=True))
        try:
            api(MODEL, "Hi")
        finally:
            contexts.detach(token)
        assert told.spans == ()
        api(MODEL, "Hi")
    assert len(told.spans) == 1


def test_a_call_within_a_call_of_another_instrumentation_is_not_counted_twice(told):
    genai = pytest.importorskip("opentelemetry.util.genai._inference_invocation", reason="util-genai is not installed")
    with FakeProvider("Hello") as fake:
        api = traced(fake, told)
        key = "opentelemetry.genai.client.inference.context"
        token = contexts.attach(contexts.set_value(key, genai.InferenceData()))
        try:
            api(MODEL, "Hi")
        finally:
            contexts.detach(token)
        assert told.spans == ()
        inside = []
        api.use(_watching(inside, key))
        api(MODEL, "Hi")
    assert len(told.spans) == 1
    assert inside == [True], "an instrumented SDK that is called within finds the call traced already"


def _watching(inside, key):
    def middleware(request, ask):
        inside.append(contexts.get_value(key) is not None)
        return (yield from ask(request))

    return middleware


# Propagation.


def test_the_trace_goes_to_the_provider_only_where_that_was_asked_for(told):
    for propagate in (False, True):
        with FakeProvider("Hello") as fake:
            traced(fake, told, propagate=propagate)(MODEL, "Hi")
            (request,) = fake.requests
        sent = dict(request.headers).get("traceparent")
        span = told.spans[-1]
        ours = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
        assert (sent or "").startswith(ours) if propagate else sent is None


def test_the_callers_own_traceparent_stands(told):
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with FakeProvider("Hello") as fake:
        traced(fake, told, propagate=True)(MODEL, "Hi", headers={"traceparent": own})
        (request,) = fake.requests
    assert [value for name, value in request.headers if name == "traceparent"] == [own]


# What breaks, and what is not there.


class Broken(TracerProvider):
    """Gives tracers that raise."""

    def get_tracer(self, *args, **kwargs):
        return self

    def start_span(self, *args, **kwargs):
        raise RuntimeError("no span today")


@pytest.mark.parametrize("way", WAYS)
def test_a_tracer_that_raises_costs_no_call_and_is_counted(way):
    with FakeProvider("Hello") as fake:
        api = fake.models()
        tracing = api.trace(tracer_provider=Broken())
        with pytest.warns(RuntimeWarning, match="tracing raised RuntimeError"):
            assert WAYS[way](api, "Hi", MODEL).text == "Hello"
        assert WAYS[way](api, "Hi", MODEL).text == "Hello"
    assert (tracing.dropped, tracing.last_failure) == (2, "RuntimeError")
    assert 'quoth_telemetry_dropped_total{sink="otel",reason="failed"} 2' in api.metrics()


def test_after_remove_nothing_is_traced(told):
    with FakeProvider("Hello") as fake:
        api = fake.models()
        tracing = api.trace(tracer_provider=told.provider)
        tracing.remove()
        tracing.remove()
        api(MODEL, "Hi")
    assert told.spans == ()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"capture": "ALL"}, InputError, "NO_CONTENT, SPAN_ONLY"),
        ({"tracer": 1}, InputTypeError, "no option 'tracer'"),
    ],
)
def test_an_option_of_no_use_is_told(options, error, words):
    with pytest.raises(error, match=words):
        ModelsAPI(Settings()).trace(**options)


def test_a_variable_of_no_use_is_told_by_its_name(monkeypatch):
    monkeypatch.setenv(CAPTURE_VARIABLE, "everything")
    with pytest.raises(InputError, match=CAPTURE_VARIABLE):
        ModelsAPI(Settings()).trace()


def test_without_opentelemetry_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "quoth.instrumentation.otel._tracing", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'quoth\[otel\]'"):
        ModelsAPI(Settings()).trace()


def test_who_does_not_trace_loads_nothing_of_it():
    program = (
        "import sys\nfrom quoth import ModelsAPI, Settings\nfrom quoth.testing import FakeProvider\n"
        "with FakeProvider('Hello') as fake: fake.models()('openai/gpt-6-luna', 'Hi')\n"
        "print([name for name in sys.modules if 'opentelemetry' in name or name.endswith(('.otel', '_watched'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("ask", [blocking, streamed, in_a_loop, streamed_in_a_loop, in_a_run])
def test_no_key_leaves_with_an_error_of_a_call_that_is_traced(ask, told):
    for failure in (answer(500), reset):
        with RawServer(failure) as server:
            api = api_of(server, api_keys={"mine": KEY}, retries=0)
            api.trace(tracer_provider=told.provider, propagate=True)
            check_that_no_key_leaves(server, api, ask)


def test_calls_of_many_threads_keep_their_parents(told):
    with FakeProvider("Hello") as fake:
        api = traced(fake, told)
        parents = {}

        def work(name):
            with told.tracer.start_as_current_span(name) as mine:
                parents[name] = mine.get_span_context().span_id
                api(MODEL, name, tags={"who": name})

        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    calls = told.named("chat gpt-6-luna")
    assert {span.attributes["quoth.tag.who"]: span.parent.span_id for span in calls} == parents
