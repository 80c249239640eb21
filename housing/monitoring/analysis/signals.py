"""The analysis of a period: what each stream says, and which changes are alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from housing.monitoring.analysis.effects import Effect, compare, measure_effect
from housing.monitoring.analysis.joint_drift import JointDrift, score_days
from housing.monitoring.analysis.streams import StreamKey, build_streams
from housing.monitoring.counts import DailyCounts, RowCounts
from housing.monitoring.quantities import (
    QUANTITIES_BY_NAME,
    Aspect,
    HistogramKey,
    Quantity,
)
from housing.monitoring.reference.held_out import Reference
from housing.monitoring.statistics.change_detection import Change, Stream, detect_changes

JOINT_KEY = HistogramKey("joint")


@dataclass(frozen=True)
class StreamChange:
    """A change of a stream, with its size."""

    first_day: date  # on which it most probably began
    alarm_day: date  # on which the evidence was enough
    last_day: date | None  # before all was normal again; None: it lasts
    effect: Effect


@dataclass(frozen=True)
class WatchedStream:
    """What one stream says."""

    key: StreamKey
    stream: Stream
    log_evidence: np.ndarray  # (n_days,)
    changes: tuple[StreamChange, ...]

    @property
    def quantity(self) -> Quantity:
        """The quantity that is watched."""
        return QUANTITIES_BY_NAME[self.key.histogram.quantity]

    @property
    def row_count(self) -> float:
        """The rows of the period."""
        return float(self.stream.counts.sum())

    @property
    def group(self) -> str:
        """The rows that are watched, as "region: Bay Area"; empty for all."""
        histogram = self.key.histogram
        return f"{histogram.dimension}: {histogram.group}" if histogram.dimension else ""


@dataclass(frozen=True)
class Analysis:
    """What the traffic of a period says about the model."""

    counts: DailyCounts
    reference: Reference
    held_out: RowCounts  # the counts of the reference, with the classifier's scores
    alarms_per_year: float
    streams: tuple[WatchedStream, ...]
    joint_drift: JointDrift

    def find_stream(self, quantity: str, aspect: Aspect = Aspect.LOCATION) -> WatchedStream | None:
        """Return the stream of all rows; None if there are no rows."""
        key = StreamKey(HistogramKey(quantity), aspect)
        return next((stream for stream in self.streams if stream.key == key), None)

    def evidence(self, n_streams: int = 12) -> pd.DataFrame:
        """Return the streams with the most evidence: the days of it by day, and the threshold.

        One row a stream, with the columns signal, quantity, aspect, group, threshold, and one for
        each day; "threshold" and the days in days without a false alarm.
        """
        closeness = [
            float(np.max(stream.log_evidence) - stream.stream.log_threshold)
            for stream in self.streams
        ]
        strongest = np.argsort(closeness)[::-1][:n_streams]
        return pd.DataFrame(
            [self._evidence_row(self.streams[index]) for index in strongest.tolist()]
        )

    def _evidence_row(self, stream: WatchedStream) -> dict[str, object]:
        evidence = np.exp(np.minimum(stream.log_evidence, 700))  # the largest exponent of a float
        names = {
            "signal": str(stream.quantity.signal),
            "quantity": stream.quantity.title,
            "aspect": str(stream.key.aspect),
            "group": stream.group,
            "threshold": float(np.exp(stream.stream.log_threshold)),
        }
        return names | {
            day.isoformat(): value for day, value in zip(self.counts.days, evidence, strict=True)
        }


def analyze(counts: DailyCounts, reference: Reference, alarms_per_year: float = 1.0) -> Analysis:
    """Search all streams of a period for changes.

    As long as nothing changes, at most `alarms_per_year` alarms a year are raised on average over
    all streams together, however often this is called. Raises ValueError if it is not above 0.
    """
    joint_drift = score_days(counts.sample, reference.sample, counts.days)
    counts = replace(counts, histograms={**counts.histograms, JOINT_KEY: joint_drift.histogram})
    held_out = RowCounts(
        {**reference.counts.histograms, JOINT_KEY: joint_drift.reference_histogram},
        reference.counts.moments,
    )
    streams = build_streams(counts, held_out, alarms_per_year)
    detections = detect_changes(list(streams.values()))
    measure = partial(_measure_days, counts, held_out, reference.prediction_by_value)
    watched_streams = tuple(
        WatchedStream(
            key,
            stream,
            detection.log_evidence,
            tuple(
                _describe_change(change, counts.days, partial(measure, key))
                for change in detection.changes
            ),
        )
        for (key, stream), detection in zip(streams.items(), detections, strict=True)
    )
    return Analysis(counts, reference, held_out, alarms_per_year, watched_streams, joint_drift)


def _describe_change(
    change: Change, days: Sequence[date], measure: Callable[[slice], Effect]
) -> StreamChange:
    """Return a change with its size: from the first of its confirmations that it is large since.

    A change may begin small; its effect is not diluted by that time. One that has become small
    since its last confirmation is no large one.
    """
    end = None if change.last_day is None else change.last_day + 1
    confirmation = change.confirmations[-1]
    effect = measure(slice(confirmation.first_day, end))
    if effect.is_large:
        for earlier in change.confirmations[:-1]:
            earlier_effect = measure(slice(earlier.first_day, end))
            if earlier_effect.is_large:
                confirmation, effect = earlier, earlier_effect
                break
    return StreamChange(
        days[confirmation.first_day],
        days[confirmation.alarm_day],
        None if change.last_day is None else days[change.last_day],
        effect,
    )


def _measure_days(
    counts: DailyCounts,
    held_out: RowCounts,
    prediction_by_value: Mapping[str, np.ndarray],
    key: StreamKey,
    days: slice,
) -> Effect:
    quantity = QUANTITIES_BY_NAME[key.histogram.quantity]
    comparison = compare(quantity, key, sum_days(counts, key.histogram, days), held_out)
    return measure_effect(comparison, prediction_by_value)


def sum_days(counts: DailyCounts, key: HistogramKey, days: slice = slice(None)) -> RowCounts:
    """Return the rows of some days in one histogram."""
    moments = counts.moments.get(key)
    return RowCounts(
        {key: counts.histograms[key][days].sum(axis=0)},
        {} if moments is None else {key: moments[days].sum(axis=0)},
    )
