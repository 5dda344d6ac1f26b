"""Tracing: who watches calls and runs, and makes spans of them.

- A call's span begins with the call, and ends by its record: at the moments that the record tells, whenever it is told.
- A span is current while the call's own code runs (``within``), and while a tool does; never while a stream's consumer
  does. Who is current there is found by its identity, so a coroutine that garbage collection closes in some other
  context changes nothing.
- Whatever opentelemetry or an exporter raises is counted in ``dropped``, and the first reported as a RuntimeWarning.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from msgspec.structs import replace
from opentelemetry import context as contexts, trace
from opentelemetry.trace import SpanKind, StatusCode

from ..._version import __version__
from ...errors import QuothError
from ...types import ToolCall
from ...wire import Headers
from .._hooks import Hooks, warn_once
from .._record import CallRecord
from ..metrics._names import PROVIDERS
from . import _semconv as names
from ._attributes import Attributes, asked, attempt_events, ended, plain, server
from ._content import Content, as_plain, as_text, bounded_json, content_of
from ._metrics import Histograms

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.context import Context

__all__ = ["Tracing"]

SCOPE = "quoth"

SUPPRESSED = (
    getattr(contexts, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
    "suppress_instrumentation",
)
"""Keys of a context in which nothing is to be traced: opentelemetry's, and the older one of its instrumentations."""

GENAI = {
    "generate": ("inference", "InferenceData"),
    "embed": ("embedding", "EmbeddingData"),
}
"""By operation: how opentelemetry-util-genai calls the key under which an instrumentation says that it traces a call
already, and the class of what stands there."""

OURS = contexts.create_key("quoth.nested")
"""Under it stands what we have put under that key: a call of ours within another is a call of its own."""


class Tracing:
    """What ``models.trace()`` began. ``remove()`` ends it; ``dropped`` counts what could not be told."""

    def __init__(self, hooks: Hooks, options: Mapping[str, Any], dropped: Callable[[], object]) -> None:
        scope: Attributes = {"quoth.semconv": names.SEMCONV}
        self._tracer = trace.get_tracer(SCOPE, __version__, options.get("tracer_provider"), attributes=scope)
        meters, capture = options.get("meter_provider"), options.get("capture") or "NO_CONTENT"
        self._histograms = None
        if meters is not None:
            self._histograms = Histograms(meters.get_meter(SCOPE, __version__, attributes=scope))
        self.on_span = capture in ("SPAN_ONLY", "SPAN_AND_EVENT")
        self._emit: Callable[[CallRecord, Attributes, Context], None] | None = None
        if capture in ("EVENT_ONLY", "SPAN_AND_EVENT"):
            self._emit = _emitter(options.get("logger_provider"), scope)
        self._propagate: bool = options.get("propagate", False)
        self._runs: WeakValueDictionary[str, _RunSpan] = WeakValueDictionary()
        self._hooks = hooks
        self._dropped = dropped
        self.dropped = 0
        """How many spans, metrics or events were lost to something that opentelemetry or an exporter raised."""
        self.last_failure: str | None = None
        hooks.watcher = self

    def remove(self) -> None:
        """Trace nothing that begins from now on. May be called twice."""
        if self._hooks.watcher is self:
            self._hooks.watcher = None

    def __repr__(self) -> str:
        return f"<Tracing, {self.dropped} dropped>"

    # What the hooks ask.

    def origin(self) -> Context:
        return contexts.get_current()

    def begin(self, call: Any) -> _CallSpan | None:
        operation = names.OPERATIONS.get(call.call.operation)
        if operation is None:
            return None
        try:
            run = self._runs.get(call.call.parent)
            parent: Context = call.call.origin or contexts.get_current()
            if _is_suppressed(parent, call.call.operation):
                return None
            return _CallSpan(self, call, operation, parent, run)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with telemetry, the call goes on
            self.failed(error)
            return None

    def begin_run(self, run_id: str, origin: Any) -> _RunSpan | None:
        try:
            parent: Context = origin or contexts.get_current()
            if _is_suppressed(parent, "generate"):
                return None
            run = self._runs[run_id] = _RunSpan(self, run_id, parent)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with telemetry, the run goes on
            self.failed(error)
            return None
        return run

    # What the spans ask.

    def start(
        self, name: str, kind: SpanKind, parent: Context, attributes: Attributes, at: int | None = None
    ) -> trace.Span:
        return self._tracer.start_span(name, parent, kind, attributes, start_time=at)

    @property
    def captures(self) -> bool:
        """Whether anybody is shown what was said."""
        return self.on_span or self._emit is not None

    def measure(self, record: CallRecord, place: Attributes, context: Context) -> None:
        if self._histograms is not None:
            self._histograms.record(record, place, context)

    def show(self, record: CallRecord, content: Content, base: Attributes, span: trace.Span, context: Context) -> None:
        """Put content where it is to be shown."""
        if self.on_span:
            span.set_attributes({name: as_text(value) for name, value in content.items()})
        if self._emit is not None:
            self._emit(record, {**base, **{name: as_plain(value) for name, value in content.items()}}, context)

    def carried(self, context: Context) -> Headers:
        """The headers that tell a provider of a span."""
        if not self._propagate:
            return ()
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, context)
        return tuple(carrier.items())

    def failed(self, error: Exception) -> None:
        """Count what could not be told, and say so the first time."""
        self.dropped += 1
        self._dropped()
        self.last_failure = type(error).__name__
        if self.dropped == 1:
            warn_once(f"quoth: tracing raised {type(error).__name__}.")


class _CallSpan:
    """The span of one call."""

    def __init__(self, tracing: Tracing, call: Any, operation: str, parent: Context, run: _RunSpan | None) -> None:
        asking = call.call
        self._tracing = tracing
        self._run = run
        self._provider = asking.provider.spec.telemetry_name
        self._operation = operation
        self._place: Attributes = {}
        model = plain(asking.provider.model)
        attributes: Attributes = {
            names.OPERATION: operation,
            names.PROVIDER: self._provider,
            names.REQUEST_MODEL: model,
            names.CALL_ID: call.id,
            **asked(asking.request, stream=call.stream, structured=asking.output is not None),
        }
        if asking.parent is not None:
            attributes[names.RUN_ID] = asking.parent
        if run is not None:
            parent = run.context
            run.asks(self._provider, model)
        self._request = asking.request if tracing.captures and operation == "chat" else None
        self._span = tracing.start(
            f"{operation} {model}", SpanKind.CLIENT, parent, attributes, _nanoseconds(call.started_at)
        )
        context = trace.set_span_in_context(self._span, parent)
        self._context = _with_nested(context, asking.operation)

    def within(self) -> _Within:
        return _Within(self._context)

    def sending(self, url: str) -> Headers:
        try:
            self._place = server(url)
            return self._tracing.carried(self._context)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with telemetry, the call goes on
            self._tracing.failed(error)
            return ()

    def tell(self, record: CallRecord, call: Any) -> None:
        end = _nanoseconds(record.started_at + record.seconds)
        if self._run is not None:
            self._run.last = end
        try:
            provider = call.target.provider.spec.telemetry_name
            self._place = {names.OPERATION: self._operation, names.PROVIDER: provider, **self._place}
            if self._span.is_recording():
                self._describe(record, call.answer)
            self._tracing.measure(record, self._place, self._context)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with telemetry, the call has been paid for
            self._tracing.failed(error)
        try:
            if self._request is not None:
                content, cut = content_of(self._request, call.answer)
                if cut:
                    self._span.set_attribute(names.CONTENT_CUT, value=True)
                base = {**self._place, names.REQUEST_MODEL: plain(record.model), **ended(record, call.answer)}
                self._tracing.show(record, content, base, self._span, self._context)
        except Exception as error:  # noqa: BLE001  # as for the record above: it has been paid for
            self._tracing.failed(error)
        try:
            self._span.end(end)
        except Exception as error:  # noqa: BLE001  # as for the record above: it has been paid for
            self._tracing.failed(error)

    def _describe(self, record: CallRecord, answer: Any) -> None:
        span = self._span
        span.set_attributes({**self._place, names.REQUEST_MODEL: plain(record.model), **ended(record, answer)})
        for name, seconds, attributes in attempt_events(record.attempts, PROVIDERS):
            span.add_event(name, attributes, _nanoseconds(record.started_at + seconds))
        if record.outcome == "failed":
            status = f" (HTTP {record.status})" if record.status is not None else ""
            span.set_status(StatusCode.ERROR, f"{record.error_kind}{status}")


class _RunSpan:
    """The span of one run; those of its calls and tools are its children."""

    def __init__(self, tracing: Tracing, run_id: str, parent: Context) -> None:
        self._tracing = tracing
        attributes: Attributes = {names.OPERATION: names.INVOKE_AGENT, names.RUN_ID: run_id}
        self._span = tracing.start(names.INVOKE_AGENT, SpanKind.INTERNAL, parent, attributes)
        self.context = trace.set_span_in_context(self._span, parent)
        self.last: int | None = None
        """When the latest of its calls ended, in nanoseconds."""
        self._ended = False

    def asks(self, provider: str, model: str) -> None:
        """Say whom its calls ask."""
        self._span.set_attributes({names.PROVIDER: provider, names.REQUEST_MODEL: model})

    def tell(self, error: BaseException | None, *, abandoned: bool, late: bool) -> None:
        if self._ended:
            return
        self._ended = True
        outcome = "abandoned" if abandoned else _outcome(error)
        try:
            self._span.set_attribute(names.OUTCOME, outcome)
            if outcome == "failed":
                _fail(self._span, error)
            self._span.end(self.last if late else None)
        except Exception as raised:  # noqa: BLE001  # whatever is wrong with telemetry, the run has been paid for
            self._tracing.failed(raised)

    def tool(self, tool: Any, call: ToolCall) -> Any:
        return replace(tool, call=partial(self._execute, tool, call))

    def _execute(self, tool: Any, call: ToolCall, arguments: Any) -> Any:
        span = _ToolSpan(self._tracing, tool, call, self.context)
        return span.run(tool.call, arguments)


class _ToolSpan:
    """The span of one tool that is executed. It is current meanwhile: for what the tool does is done in it."""

    def __init__(self, tracing: Tracing, tool: Any, call: ToolCall, parent: Context) -> None:
        self._tracing = tracing
        self._span: trace.Span = trace.INVALID_SPAN
        attributes: Attributes = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL_NAME: tool.name,
            names.TOOL_TYPE: "function",
            names.TOOL_CALL_ID: plain(call.id),
        }
        if tool.description:
            attributes[names.TOOL_DESCRIPTION] = plain(tool.description)
        try:
            if tracing.on_span:
                attributes[names.TOOL_ARGUMENTS] = bounded_json(call.arguments)
            self._span = tracing.start(f"{names.EXECUTE_TOOL} {tool.name}", SpanKind.INTERNAL, parent, attributes)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with telemetry, the tool is executed
            tracing.failed(error)
        self._context = trace.set_span_in_context(self._span)

    def run(self, function: Callable[[Any], Any], arguments: Any) -> Any:
        try:
            with _Within(self._context):
                value = function(arguments)
        except BaseException as error:
            self._end(error)
            raise
        if hasattr(value, "__await__"):
            return self._await(value)
        self._end(None, value)
        return value

    async def _await(self, awaitable: Awaitable[Any]) -> Any:
        try:
            with _Within(self._context):
                value = await awaitable
        except BaseException as error:
            self._end(error)
            raise
        self._end(None, value)
        return value

    def _end(self, error: BaseException | None, value: Any = None) -> None:
        try:
            self._span.set_attribute(names.OUTCOME, _outcome(error))
            if error is not None:
                _fail(self._span, error)
            elif self._tracing.on_span:
                self._span.set_attribute(names.TOOL_RESULT, bounded_json(value))
        except Exception as raised:  # noqa: BLE001  # whatever is wrong with telemetry, the tool was executed
            self._tracing.failed(raised)
        try:
            self._span.end()
        except Exception as raised:  # noqa: BLE001  # as above: the tool was executed
            self._tracing.failed(raised)


class _Within:
    """Makes a context current for as long as code of ours, or a tool, runs."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._token: Any = None

    def __enter__(self) -> None:
        self._token = contexts.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if contexts.get_current() is self._context:  # else garbage collection closes it somewhere else
            contexts.detach(self._token)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "answered"
    return "failed" if isinstance(error, Exception) else "cancelled"


def _fail(span: trace.Span, error: BaseException | None) -> None:
    kind = error.kind if isinstance(error, QuothError) else type(error).__name__
    span.set_attribute(names.ERROR_TYPE, kind)
    span.set_status(StatusCode.ERROR, kind)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


# Instrumentations around ours, and within.


def _genai(operation: str) -> tuple[str, Any]:
    """The key under which opentelemetry-util-genai says that a call is traced already; its class, if that is loaded."""
    word, name = GENAI[operation]
    module = sys.modules.get(f"opentelemetry.util.genai._{word}_invocation")
    return f"opentelemetry.genai.client.{word}.context", getattr(module, name, None)


def _is_suppressed(context: Context, operation: str) -> bool:
    if any(contexts.get_value(key, context) for key in SUPPRESSED):
        return True
    outer = contexts.get_value(_genai(operation)[0], context)
    return outer is not None and outer is not contexts.get_value(OURS, context)


def _with_nested(context: Context, operation: str) -> Context:
    """The context in which an instrumented SDK, of middleware or a transport, counts nothing once more."""
    key, data = _genai(operation)
    if data is None:
        return context
    nested = data()
    return contexts.set_value(OURS, nested, contexts.set_value(key, nested, context))


def _emitter(provider: Any, scope: Attributes) -> Callable[[CallRecord, Attributes, Context], None]:
    from opentelemetry._logs import LogRecord, get_logger

    logger = get_logger(SCOPE, __version__, provider, attributes=scope)

    def emit(record: CallRecord, attributes: Attributes, context: Context) -> None:
        at = _nanoseconds(record.started_at + record.seconds)
        logger.emit(LogRecord(timestamp=at, context=context, attributes=attributes, event_name=names.DETAILS))

    return emit
