"""Metrics as text: the format of Prometheus, version 0.0.4, and OpenMetrics 1.0.0.

Sources: prometheus.io/docs/instrumenting/exposition_formats, and the specification of OpenMetrics 1.0.0. A value is
escaped here and nowhere else. In OpenMetrics a counter's family has no ``_total``, a unit is stated where the name ends
in it, and the text ends in ``# EOF``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Literal, TypeAlias

from ._names import METRICS, Metric
from ._series import Labels, Numbers, Series

__all__ = ["CONTENT_TYPES", "Format", "render"]

Format: TypeAlias = Literal["text", "openmetrics"]

CONTENT_TYPES: dict[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}


def render(series: Series, format: Format = "text") -> str:
    """All metrics that have numbers, in the order of the table; label sets sorted."""
    lines: list[str] = []
    for metric in METRICS:
        known = series.get(metric.name)
        if known:
            lines += _head(metric, format)
            write = _histogram if metric.kind == "histogram" else _number
            for labels in sorted(known):
                lines += write(metric, _labels(metric, labels), known[labels])
    if format == "openmetrics":
        lines.append("# EOF")
    return "\n".join([*lines, ""])


def _head(metric: Metric, format: Format) -> Iterator[str]:
    name, words = metric.name, metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if format == "openmetrics":
        name = name.removesuffix("_total") if metric.kind == "counter" else name
        words = words.replace('"', r"\"")
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {metric.kind}"
    if format == "openmetrics" and name.endswith(f"_{metric.unit}"):
        yield f"# UNIT {name} {metric.unit}"


def _labels(metric: Metric, values: Labels) -> str:
    """Those that apply, as they stand between the braces."""
    return ",".join([
        f'{name}="{_escaped(value)}"' for name, value in zip(metric.labels, values, strict=True) if value
    ])  # fmt: skip


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(metric: Metric, labels: str, numbers: Numbers) -> Iterator[str]:
    number = numbers[0] / metric.scale if metric.scale != 1 else numbers[0]
    yield f"{metric.name}{{{labels}}} {number!r}" if labels else f"{metric.name} {number!r}"


def _histogram(metric: Metric, labels: str, numbers: Numbers) -> list[str]:
    name, comma = metric.name, "," if labels else ""
    counts = [*accumulate(numbers[:-1])]
    lines = [
        f'{name}_bucket{{{labels}{comma}le="{bound}"}} {count!r}'
        for bound, count in zip(_bounds(metric.buckets), counts, strict=True)
    ]
    braces = f"{{{labels}}}" if labels else ""
    return [*lines, f"{name}_sum{braces} {numbers[-1]!r}", f"{name}_count{braces} {counts[-1]!r}"]


def _bounds(buckets: Sequence[float]) -> list[str]:
    """The upper bounds of all buckets, as OpenMetrics wants them."""
    return [*[repr(float(bound)) for bound in buckets], "+Inf"]
