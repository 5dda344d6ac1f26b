"""Series: the numbers of all metrics by their label values, in bounded memory; added up over calls and processes.

The numbers of one label set are a list: of a counter and a gauge one, of a histogram the counts of its buckets and the
sum of what was measured. So two are joined by adding them up, whatever they are. Cost stays in whole femto-dollars.

A metric keeps 2,000 label sets. The last 200 places are for those whose model is ``other``; where even these are taken,
what comes is counted under ``other`` in all labels. Each such moment counts in ``quoth_label_overflow_total``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ._names import METRICS, MOST_SERIES, OTHER

__all__ = ["OVERFLOW", "Labels", "Numbers", "Series", "Store", "label"]

Labels: TypeAlias = tuple[str, ...]
"""The values of a metric's labels, in their order; empty where one does not apply."""
Numbers: TypeAlias = list[int | float]
Series: TypeAlias = dict[str, dict[Labels, Numbers]]
"""By the name of the metric."""

LONGEST_LABEL = 128
FOR_OTHER = 200
"""Places of each metric that are kept for label sets without a model's name."""

OVERFLOW = "quoth_label_overflow_total"
_MODELS = ("model", "gen_ai_request_model")

_SIZES = {metric.name: len(metric.buckets) + 2 if metric.kind == "histogram" else 1 for metric in METRICS}
_MODEL_AT = {
    metric.name: next((index for index, name in enumerate(metric.labels) if name in _MODELS), None)
    for metric in METRICS
}


def label(text: str | None) -> str:
    """A text as a label: its printable characters, 128 at most; empty for None, ``other`` where none is left."""
    if text is None:
        return ""
    kept = [character for character in text[: 2 * LONGEST_LABEL] if character.isprintable()]
    return "".join(kept)[:LONGEST_LABEL] or OTHER


class Store:
    """Holds series. Whoever uses it sees to it that nobody else does meanwhile."""

    __slots__ = ("series",)

    def __init__(self) -> None:
        self.series: Series = {}

    def at(self, name: str, labels: Labels) -> tuple[Numbers, bool]:
        """The numbers of a label set, and whether these are its own: else they are shared, and the moment counted."""
        known = self.series.get(name)
        if known is None:
            known = self.series[name] = {}
        found = known.get(labels)
        if found is not None:
            return found, True
        place, own = self._place(name, labels, known), True
        if place != labels:
            own = False
            self.at(OVERFLOW, (name,))[0][0] += 1
        return known.setdefault(place, [0] * _SIZES[name]), own

    @staticmethod
    def _place(name: str, labels: Labels, known: Mapping[Labels, Numbers]) -> Labels:
        model = _MODEL_AT[name]
        if model is None or labels[model] == OTHER:
            return labels if len(known) < MOST_SERIES - 1 else (OTHER,) * len(labels)
        if len(known) < MOST_SERIES - FOR_OTHER:
            return labels
        other = (*labels[:model], OTHER, *labels[model + 1 :])
        return other if other in known or len(known) < MOST_SERIES - 1 else (OTHER,) * len(labels)

    def join(self, more: Series) -> None:
        """Add what another store holds."""
        for name, known in more.items():
            if name not in _SIZES:
                continue
            for labels, numbers in known.items():
                own = self.at(name, labels)[0]
                for index, number in enumerate(numbers):
                    own[index] += number

    def copy(self) -> Series:
        """What it holds now."""
        return {name: {labels: [*numbers] for labels, numbers in known.items()} for name, known in self.series.items()}
