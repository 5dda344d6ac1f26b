"""The histograms of the convention, from the same records as the spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._record import CallRecord
from . import _semconv as names
from ._attributes import Attributes, plain

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

__all__ = ["Histograms"]

MOST_MODELS = 1_000
"""How many models have values of their own; who asks for more names shares ``other``."""


class Histograms:
    """Durations, tokens and times to the first chunk of calls."""

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram(
            names.DURATION,
            "s",
            "Duration of a call, with all its attempts",
            explicit_bucket_boundaries_advisory=names.SECONDS,
        )
        self._tokens = meter.create_histogram(
            names.TOKEN_USAGE,
            "{token}",
            "Tokens that a call used",
            explicit_bucket_boundaries_advisory=names.TOKENS,
        )
        self._first_chunk = meter.create_histogram(
            names.FIRST_CHUNK,
            "s",
            "Time from the beginning of a call to its first piece",
            explicit_bucket_boundaries_advisory=names.SECONDS,
        )
        self._models: set[tuple[str, str | None]] = set()

    def record(self, record: CallRecord, place: Attributes, context: Context) -> None:
        """Count one call; ``place`` says of whom it was asked, and where."""
        attributes = dict(place)
        key = (record.model, record.served_model)
        if key in self._models or len(self._models) < MOST_MODELS:
            self._models.add(key)
            attributes[names.REQUEST_MODEL] = plain(record.model)
            if record.served_model is not None:
                attributes[names.RESPONSE_MODEL] = plain(record.served_model)
        else:
            attributes[names.REQUEST_MODEL] = "other"
        if record.outcome != "answered":
            kind = record.error_kind if record.outcome == "failed" else None
            attributes[names.ERROR_TYPE] = kind or record.outcome
        self._duration.record(record.seconds, attributes, context)
        if record.stream and record.first_output_seconds is not None:
            self._first_chunk.record(record.first_output_seconds, attributes, context)
        if record.usage is not None and record.usage.source == "provider":
            for kind, count in (("input", record.usage.total_input), ("output", record.usage.total_output)):
                self._tokens.record(count, {**attributes, names.TOKEN_TYPE: kind}, context)
