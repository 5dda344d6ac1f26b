"""Metrics: what the journal folds of all calls, in the form of Prometheus. Nothing here is loaded by a call.

``METRICS`` is the table of all of them; ``models.metrics()`` gives their text.
"""

from ._names import METRICS, Metric

__all__ = ["METRICS", "Metric"]
