"""Traces and metrics of OpenTelemetry: what ``models.trace()`` turns on, with the extra ``otel``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, get_args

from ...errors import ConfigurationError, InputError, InputTypeError
from .._hooks import Hooks
from ._semconv import SEMCONV

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ._tracing import Tracing

__all__ = ["CAPTURE_VARIABLE", "SEMCONV", "Capture", "TraceOptions", "Tracing", "begin"]

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

Capture: TypeAlias = Literal["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"]
"""Where messages are shown, in the words of the variable that says so for all instrumentations."""


class TraceOptions(TypedDict, total=False):
    """What ``models.trace`` takes."""

    tracer_provider: TracerProvider | None
    """Makes the spans; None: the global one."""
    meter_provider: MeterProvider | None
    """Takes the metrics; None: no metrics."""
    logger_provider: LoggerProvider | None
    """Takes the events that carry content; None: the global one."""
    capture: Capture | None
    """Where messages are shown; None: as OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, else nowhere."""
    propagate: bool
    """Send the ``traceparent`` of the call's span to the provider."""


def begin(hooks: Hooks, options: Mapping[str, Any], dropped: Callable[[], object]) -> Tracing:
    """Trace from now on what these hooks are told of, in place of who did; ``dropped`` is told of what was lost.

    Raises ConfigurationError where opentelemetry is not installed, InputError for an option that cannot be used.
    """
    unknown = sorted(options.keys() - TraceOptions.__annotations__.keys())
    if unknown:
        known = ", ".join(TraceOptions.__annotations__)
        raise InputTypeError(f"models.trace has no option {unknown[0]!r}; it has {known}")
    capture = options.get("capture")
    if capture is not None and capture not in get_args(Capture):
        words = ", ".join(get_args(Capture))
        raise InputError(f"capture, or the variable {CAPTURE_VARIABLE}, is one of {words}, not {capture!r:.80}")
    try:
        from ._tracing import Tracing
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "opentelemetry":
            raise
        raise ConfigurationError(
            "traces need OpenTelemetry's API, version 1.35 or newer: pip install 'quoth[otel]'"
        ) from None
    return Tracing(hooks, options, dropped)


def __getattr__(name: str) -> Any:
    if name != "Tracing":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._tracing import Tracing

    return Tracing
