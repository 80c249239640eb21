"""The sentences of the report, in Markdown: what the traffic was, and what each signal says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from housing.data import data_versions
from housing.monitoring.analysis.alarms import count_predictions
from housing.monitoring.analysis.signals import Analysis, WatchedStream
from housing.monitoring.quantities import RANK_VALUES, HistogramKey, Signal
from housing.monitoring.report.series import OK_STATUS
from housing.monitoring.report.tables import RECENT_DAYS
from housing.monitoring.verdict import Alarm, MonitoringVerdict
from housing.registry.artifacts import ModelVersion
from housing.text import count_text

MAX_SENTENCES = 3  # of the alarms of a signal
MAX_PAIRS = 3  # of features


def describe_traffic(analysis: Analysis, version: ModelVersion, notes: Sequence[str] = ()) -> str:
    """Return what the report is about: model, period, and how many rows there are."""
    counts = analysis.counts
    period = f"`{version.name}`, {counts.days[0]} to {counts.days[-1]}"
    is_refused = counts.requests.status != OK_STATUS
    texts = [
        count_text(count_predictions(analysis), "prediction"),
        count_text(count_labelled(analysis), "true value"),
        count_text(int(counts.requests.rows[is_refused].sum()), "refused row"),
    ]
    lead = "" if len(counts.requests) else "**No traffic yet.** "
    held_out = f"They are compared with the {analysis.reference.row_count:,} held-out rows of"
    sentences = [
        f"{lead}{period}: {', '.join(texts)}. {held_out} version {version.version}.",
        *(f"*{escape(note)}.*" for note in notes),
    ]
    return "\n\n".join(sentences)


def describe_data(version: ModelVersion) -> str:
    """Return which data a version was trained on, as the reports of the training name it."""
    source = version.tags.get("data_source", "")
    return data_versions.SOURCE_LABELS.get(source, source)


def data_notice(version: ModelVersion) -> str:
    """Return the notice of a model of a generated sample; else empty."""
    is_sample = version.tags.get("data_source") == "sample"
    return version.tags.get("data_description", "") if is_sample else ""


def count_labelled(analysis: Analysis) -> int:
    """Return the number of predictions whose true value is known."""
    moments = analysis.counts.moments.get(HistogramKey("error"))
    return 0 if moments is None else round(float(moments[:, 0].sum()))


def describe_signal(analysis: Analysis, verdict: MonitoringVerdict, *signals: Signal) -> str:
    """Return the bottom line of one signal, or of several that belong together."""
    alarms = [alarm for alarm in verdict.alarms if alarm.signal in signals]
    current = [alarm for alarm in alarms if alarm.is_current]
    streams = [stream for stream in analysis.streams if stream.quantity.signal in signals]
    if current:
        return f"**{count_text(len(current), 'alarm').capitalize()}.** {_list_alarms(current)}"
    if not any(stream.row_count for stream in streams):
        return "**Nothing to judge by yet.**"
    past = f" Over again, or accepted: {_list_alarms(alarms)}" if alarms else ""
    return f"**No alarm.**{_count_small_changes(streams)}{past}"


def _list_alarms(alarms: Sequence[Alarm]) -> str:
    """Return the first alarms as a list of Markdown."""
    lines = [f"- {escape(alarm.sentence)}" for alarm in alarms[:MAX_SENTENCES]]
    hidden = len(alarms) - MAX_SENTENCES
    lines += [f"- and {count_text(hidden, 'other')}"] if hidden > 0 else []
    return "\n\n" + "\n".join(lines)


def _count_small_changes(streams: Sequence[WatchedStream]) -> str:
    count = sum(not change.effect.is_large for stream in streams for change in stream.changes)
    return f" {count_text(count, 'change')} too small to matter." if count else ""


def describe_joint_drift(analysis: Analysis) -> str:
    """Return how well a classifier tells the requests of the last 28 days from held-out rows."""
    stream = analysis.find_stream("joint")
    recent = stream.stream.counts[-RECENT_DAYS:].sum(axis=0) if stream else np.zeros(1)
    if not recent.any():
        return "**Nothing to judge by yet.**"
    area = recent @ RANK_VALUES / recent.sum()
    pairs = ", ".join(analysis.joint_drift.pairs.index[:MAX_PAIRS])
    new_pairs = f" New together, most first: {pairs}." if pairs else ""
    return f"Area under the ROC curve in the last {RECENT_DAYS} days: **{area:.2f}**.{new_pairs}"


def escape(text: str) -> str:
    """Return a text with dollar signs that no renderer takes for the start of a formula."""
    return text.replace("$", "\\$")
