"""What tracing costs a call: CPU of one blocking call over a scripted transport, by who listens.

    python bench/traces.py [calls]

The cases take turns, in rounds; the figures are medians, in microseconds a call. ``API alone`` is opentelemetry-api
without an SDK, whose spans record nothing; ``SDK`` keeps them in a batch processor that exports to nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

from scripted import Forgetful

from quoth import ModelsAPI, Settings, Usage

ROUNDS = 9


def nobody() -> dict[str, Any] | None:
    return None


def api_alone() -> dict[str, Any]:
    from opentelemetry.trace import NoOpTracerProvider

    return {"tracer_provider": NoOpTracerProvider()}


def sdk() -> dict[str, Any]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002  # the form of an exporter
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return {"tracer_provider": provider}


def sdk_and_metrics() -> dict[str, Any]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    return {**sdk(), "meter_provider": MeterProvider([InMemoryMetricReader()])}


CASES: dict[str, Callable[[], dict[str, Any] | None]] = {
    "off": nobody,
    "API alone": api_alone,
    "SDK": sdk,
    "SDK, metrics too": sdk_and_metrics,
}


def binding_of(options: dict[str, Any] | None) -> Any:
    api = ModelsAPI(Settings(transport=Forgetful(Usage(input=1000, output=500)), api_keys={"openai": "none"}))
    if options is not None:
        api.trace(**options)
    return api.bind("gpt-6-luna")


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    bindings = {name: binding_of(make()) for name, make in CASES.items()}
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, binding in bindings.items():
            begun = process_time()
            for _ in range(calls):
                binding("Hello")
            taken[name].append((process_time() - begun) / calls * 1e6)
    off = median(taken["off"])
    print(f"Python {sys.version.split()[0]}, {ROUNDS} rounds of {calls} calls, CPU us a call")
    for name, figures in taken.items():
        print(f"{name:<20}{median(figures):>8.1f}{median(figures) - off:>+8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
