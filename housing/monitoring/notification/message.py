"""The message about a monitoring run: why it is sent, the alarms, and the report."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from housing.monitoring.verdict import Alarm, MonitoringVerdict
from housing.text import count_text, omission_text

MAX_LISTED_ALARMS = 10
MAX_FAILURE_CHARS = 500
FAILED_VERDICT = "failed"  # in place of a verdict


@dataclass(frozen=True)
class Message:
    """What is sent."""

    subject: str
    text: str  # plain, several lines
    fields: dict[str, Any]  # the same for programs, as JSON


def alarm_key(alarm: Alarm) -> str:
    """Return what tells an alarm from others, whatever its sentence says of it today."""
    return " | ".join((alarm.signal, alarm.quantity, alarm.group))


def current_alarms(verdict: MonitoringVerdict) -> list[Alarm]:
    """Return the alarms that still last."""
    return [alarm for alarm in verdict.alarms if alarm.is_current]


def verdict_message(
    verdict: MonitoringVerdict, reasons: Sequence[str], new_keys: Collection[str], report: str
) -> Message:
    """Return the message about a verdict.

    reasons: why it is sent, as clauses. new_keys: of the alarms that were not there before. report:
    the address or the path of the report.
    """
    subject = f"Monitoring of {verdict.model_name}: {verdict.verdict}"
    alarms = sorted(current_alarms(verdict), key=lambda alarm: alarm_key(alarm) not in new_keys)
    lines = [
        f"Monitoring of {verdict.model_name}. {verdict.sentence}",
        f"Why this message: {'; '.join(reasons)}.",
        *_alarm_lines(alarms, new_keys),
        f"Version {verdict.model_version}, {verdict.since} to {verdict.until}: "
        f"{count_text(verdict.row_count, 'prediction')}, {verdict.labelled_count:,} of them with a "
        "true value.",
        f"Report: {report}",
    ]
    fields = asdict(verdict) | {"reasons": list(reasons), "report": report}
    return Message(subject, "\n".join(lines), fields)


def failure_message(failure: str, report: str) -> Message:
    """Return the message about a monitoring run that failed. failure: one sentence."""
    shortened = " ".join(failure.split())
    if len(shortened) > MAX_FAILURE_CHARS:
        shortened = shortened[: MAX_FAILURE_CHARS - 3] + "..."
    subject = "Monitoring failed"
    lines = [
        f"{subject}: {shortened}",
        "Until it runs again, nothing watches the model. The next message comes when it does.",
        f"Report: {report}",
    ]
    fields = {"verdict": FAILED_VERDICT, "sentence": shortened, "report": report}
    return Message(subject, "\n".join(lines), fields)


def _alarm_lines(alarms: Sequence[Alarm], new_keys: Collection[str]) -> list[str]:
    lines = [
        f"- {'new: ' if alarm_key(alarm) in new_keys else ''}{alarm.sentence}"
        for alarm in alarms[:MAX_LISTED_ALARMS]
    ]
    omission = omission_text(len(alarms), MAX_LISTED_ALARMS, "alarms")
    return [*lines, f"- {omission}"] if omission else lines
