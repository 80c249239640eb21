"""From the analysis of a period to its alarms and the verdict: fine, look, or retrain."""

from __future__ import annotations

from datetime import UTC, date, datetime

from housing.monitoring.analysis.signals import Analysis, StreamChange, WatchedStream, sum_days
from housing.monitoring.quantities import QUANTITIES, HistogramKey, Signal
from housing.monitoring.verdict import Alarm, MonitoringVerdict, Verdict
from housing.text import count_text

# of which an alarm says that the model is wrong, and not only that the traffic is different
RETRAIN_SIGNALS = {Signal.ERROR, Signal.COVERAGE}
VERDICT_WORDS = {Verdict.FINE: "Fine", Verdict.LOOK: "Look", Verdict.RETRAIN: "Retrain"}
MIN_LABELLED_ROWS = 30  # below which the figures of labelled rows are not published as metrics


def find_alarms(analysis: Analysis, accepted_until: date | None = None) -> tuple[Alarm, ...]:
    """Return the changes that are large enough to matter.

    Those that last come first, then by signal in the order of the report; all rows before groups.
    accepted_until: changes of the traffic that began by this day were looked at and accepted. Those
    of the error never are: a model that is wrong stays wrong.
    """
    alarms = [
        _describe_alarm(stream, change, _is_accepted(stream, change, accepted_until))
        for stream in sorted(analysis.streams, key=_report_position)
        for change in stream.changes
        if change.effect.is_large
    ]
    return tuple(sorted(alarms, key=lambda alarm: not alarm.is_current))


def _is_accepted(stream: WatchedStream, change: StreamChange, until: date | None) -> bool:
    is_traffic = stream.quantity.signal not in RETRAIN_SIGNALS
    return is_traffic and until is not None and change.first_day <= until


def _report_position(stream: WatchedStream) -> tuple[int, bool, int, str]:
    quantity = stream.quantity
    signal_position = list(Signal).index(quantity.signal)
    return signal_position, bool(stream.group), QUANTITIES.index(quantity), stream.group


def _describe_alarm(stream: WatchedStream, change: StreamChange, is_accepted: bool) -> Alarm:
    group = f"{stream.group}: " if stream.group else ""
    period = f"since {change.first_day}"
    if change.last_day is not None:
        period = f"from {change.first_day} to {change.last_day}"
    accepted = " (accepted)" if is_accepted else ""
    return Alarm(
        signal=stream.quantity.signal,
        quantity=stream.quantity.title,
        group=stream.group,
        sentence=f"{group}{change.effect.text}, {period}{accepted}",
        first_day=change.first_day.isoformat(),
        alarm_day=change.alarm_day.isoformat(),
        is_current=change.last_day is None and not is_accepted,
        effect_usd=change.effect.usd,
    )


def judge(alarms: tuple[Alarm, ...]) -> Verdict:
    """Return the verdict: retrain if the model is wrong now, look if anything else has changed."""
    signals = {alarm.signal for alarm in alarms if alarm.is_current}
    if signals & RETRAIN_SIGNALS:
        return Verdict.RETRAIN
    return Verdict.LOOK if signals else Verdict.FINE


def summarize(
    analysis: Analysis,
    model_name: str,
    model_version: str,
    run: str = "",
    accepted_until: date | None = None,
) -> MonitoringVerdict:
    """Return the verdict of an analysis, with the figures that are published.

    model_version: the newest that answered. run: of the runner, for the link to the report.
    accepted_until: as in `find_alarms`.
    """
    alarms = find_alarms(analysis, accepted_until)
    verdict = judge(alarms)
    days = analysis.counts.days
    labelled_count = _row_count(analysis, "error")
    is_enough = labelled_count >= MIN_LABELLED_ROWS
    return MonitoringVerdict(
        verdict=verdict,
        sentence=f"{VERDICT_WORDS[verdict]}: {_explain(analysis, alarms, labelled_count)}.",
        model_name=model_name,
        model_version=model_version,
        since=days[0].isoformat(),
        until=days[-1].isoformat(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        alarms_per_year=analysis.alarms_per_year,
        row_count=count_predictions(analysis),
        labelled_count=labelled_count,
        alarms=alarms,
        run=run,
        mean_absolute_error_usd=_mean(analysis, "absolute_error") if is_enough else None,
        estimated_error_usd=_mean(analysis, "estimated_error"),
        promised_error_usd=_promised_error(analysis),
        coverage=_coverage(analysis) if is_enough else None,
    )


def _explain(analysis: Analysis, alarms: tuple[Alarm, ...], labelled_count: int) -> str:
    current_alarms = [alarm for alarm in alarms if alarm.is_current]
    if current_alarms:
        others = len(current_alarms) - 1
        also = f" (and {count_text(others, 'other change')})" if others else ""
        return f"{current_alarms[0].sentence}{also}"
    row_count = count_predictions(analysis)
    if not row_count:
        return "nothing was predicted in this period"
    rows = f"no change that matters was seen in {count_text(row_count, 'prediction')}"
    if not labelled_count:
        return f"{rows}; without true values nobody can see whether prices have changed"
    return f"{rows} and {count_text(labelled_count, 'true value')}"


def count_predictions(analysis: Analysis) -> int:
    """Return the number of answered rows in the period."""
    requests = analysis.counts.requests
    return int(requests.rows[requests.status == 200].sum())


def _row_count(analysis: Analysis, quantity: str) -> int:
    key = HistogramKey(quantity)
    if key not in analysis.counts.moments:
        return 0
    return round(float(sum_days(analysis.counts, key).moments[key][0]))


def _mean(analysis: Analysis, quantity: str) -> float | None:
    key = HistogramKey(quantity)
    if not _row_count(analysis, quantity):
        return None
    rows, total, _ = sum_days(analysis.counts, key).moments[key]
    return float(total / rows)


def _promised_error(analysis: Analysis) -> float:
    """Return the mean absolute error of the held-out rows in dollars."""
    rows, total, _ = analysis.held_out.moments[HistogramKey("absolute_error")]
    return float(total / rows)


def _coverage(analysis: Analysis) -> float | None:
    missed = analysis.find_stream("missed")
    if missed is None:
        return None
    inside, outside = missed.stream.counts.sum(axis=0)
    return float(inside / (inside + outside))
