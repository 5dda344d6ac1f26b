"""The bridge to prometheus_client: our metrics in an application's registry, beside its own, read when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import ConfigurationError
from ._names import METRICS
from ._series import Labels, Numbers, Series

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

__all__ = ["MetricsCollector", "Registry"]


class Registry(Protocol):
    """As ``prometheus_client.CollectorRegistry``."""

    def register(self, collector: Any) -> None: ...
    def unregister(self, collector: Any) -> None: ...


class MetricsCollector:
    """What ``models.register_metrics`` puts into a registry; ``remove()`` takes it out again."""

    def __init__(self, read: Callable[[], Series], registry: Registry | None = None) -> None:
        try:
            import prometheus_client
        except ImportError:
            raise ConfigurationError(
                "register_metrics needs prometheus_client: pip install 'quoth[prometheus]'; models.metrics() and "
                "models.serve_metrics(port) do without"
            ) from None
        self._read = read
        self._family: type[Family] = prometheus_client.Metric
        self._registry: Registry = registry if registry is not None else prometheus_client.REGISTRY
        self._registry.register(self)

    def remove(self) -> None:
        """Take our metrics out of the registry."""
        self._registry.unregister(self)

    def describe(self) -> Iterator[Family]:
        """The families, without a sample."""
        for metric in METRICS:
            yield self._family(metric.name.removesuffix("_total"), metric.help, metric.kind)

    def collect(self) -> Iterator[Family]:
        """The families with their samples of now."""
        series = self._read()
        for metric, family in zip(METRICS, self.describe(), strict=True):
            for labels, numbers in sorted(series.get(metric.name, {}).items()):
                named = _named(metric.labels, labels)
                if metric.kind == "histogram":
                    _add_histogram(family, metric.name, named, metric.buckets, numbers)
                else:
                    family.add_sample(metric.name, named, numbers[0] / metric.scale)
            if family.samples:
                yield family


def _named(names: Any, values: Labels) -> dict[str, str]:
    return {name: value for name, value in zip(names, values, strict=True) if value}


def _add_histogram(
    family: Family, name: str, labels: dict[str, str], buckets: tuple[float, ...], numbers: Numbers
) -> None:
    counts = [*accumulate(numbers[:-1])]
    for bound, count in zip([*[repr(float(bound)) for bound in buckets], "+Inf"], counts, strict=True):
        family.add_sample(f"{name}_bucket", {**labels, "le": bound}, count)
    family.add_sample(f"{name}_sum", labels, numbers[-1])
    family.add_sample(f"{name}_count", labels, counts[-1])
