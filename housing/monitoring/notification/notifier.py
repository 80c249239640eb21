"""Decide whether a monitoring run is worth a message, send it, and remember what was sent.

A message is sent when the verdict gets worse, for a new alarm, when all is fine again, when the
monitoring failed, and when it runs again after that: not every day for the same. What was sent last
is kept beside the verdict, and only what was sent counts, so that the next run makes up for a
message that did not get through.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from housing import paths
from housing.monitoring.notification.alert_url import VARIABLE, parse_alert_url
from housing.monitoring.notification.message import (
    Message,
    alarm_key,
    current_alarms,
    failure_message,
    verdict_message,
)
from housing.monitoring.verdict import (
    Alarm,
    MonitoringVerdict,
    Verdict,
    read_verdict,
    verdict_path,
)
from housing.text import count_text

REPORTS_URL_VARIABLE = "HOUSING_REPORTS_URL"
STATE_FILE_NAME = "notified.json"


class FinishedStep(Protocol):
    """What the runner tells of a step once its report is written."""

    @property
    def run_id(self) -> str:
        """The run of the runner."""

    @property
    def report(self) -> Path:
        """The page of its report."""

    @property
    def failure(self) -> str:
        """Why it failed, in one sentence; empty if it did not."""


@dataclass(frozen=True)
class NotifiedState:
    """What people know from the last message."""

    verdict: Verdict = Verdict.FINE
    alarm_keys: tuple[str, ...] = ()  # of the alarms that lasted
    has_failed: bool = False


def notify_finished_step(step: FinishedStep) -> None:
    """Send a message about a monitoring run to HOUSING_ALERT_URL, if it is worth one.

    Does nothing if that is not set, or if the run has left the verdict as it was: a report on the
    past. Raises ValueError if it is no address, DeliveryError if the message could not be sent.
    """
    url = os.environ.get(VARIABLE)
    if not url:
        return
    destination = parse_alert_url(url)
    state_file = verdict_path().with_name(STATE_FILE_NAME)
    state = read_state(state_file)
    verdict, failure = _read_outcome(step)
    if not failure and (verdict is None or verdict.run != step.run_id):
        return
    message, new_state = decide(state, verdict, failure, report_link(step.report))
    if message:
        from housing.monitoring.notification import delivery  # 40 ms, which each start would take

        delivery.deliver(message, destination)
    if new_state != state:
        paths.atomic_write(state_file, f"{json.dumps(asdict(new_state), indent=1)}\n".encode())


def _read_outcome(step: FinishedStep) -> tuple[MonitoringVerdict | None, str]:
    """Return the last verdict, or why the run failed."""
    if step.failure:
        return None, step.failure
    try:
        return read_verdict(verdict_path()), ""
    except (OSError, ValueError) as error:
        return None, str(error)


def decide(
    state: NotifiedState, verdict: MonitoringVerdict | None, failure: str, report: str
) -> tuple[Message | None, NotifiedState]:
    """Return the message to send, None if there is nothing new, and the state once it is sent.

    verdict: None if the run failed. report: the link of the message.
    """
    if verdict is None:
        message = None if state.has_failed else failure_message(failure, report)
        return message, NotifiedState(state.verdict, state.alarm_keys, has_failed=True)
    alarms = current_alarms(verdict)
    keys = tuple(dict.fromkeys(map(alarm_key, alarms)))
    new_keys = {alarm_key(alarm) for alarm in alarms if _is_news(alarm, state.alarm_keys)}
    reasons = _find_reasons(state, verdict.verdict, len(new_keys))
    message = verdict_message(verdict, reasons, new_keys, report) if reasons else None
    return message, NotifiedState(verdict.verdict, keys)


def _is_news(alarm: Alarm, known_keys: Sequence[str]) -> bool:
    """Return whether people do not know of an alarm: neither of it nor of the same for all rows.

    What has changed for all rows is seen in one group after the other, day by day.
    """
    return not {alarm_key(alarm), alarm_key(replace(alarm, group=""))} & {*known_keys}


def _find_reasons(state: NotifiedState, verdict: Verdict, new_alarm_count: int) -> list[str]:
    """Return why a verdict is worth a message, as clauses; none if it is not."""
    reasons = []
    if state.has_failed:
        reasons.append("the monitoring runs again")
    if verdict.severity > state.verdict.severity:
        reasons.append(f"the verdict is worse: it was {state.verdict}")
    if verdict == Verdict.FINE and state.verdict != Verdict.FINE:
        reasons.append(f"it is fine again: it was {state.verdict}")
    if new_alarm_count:
        reasons.append(f"there {'is' if new_alarm_count == 1 else 'are'} "
                       f"{count_text(new_alarm_count, 'new alarm')}")  # fmt: skip
    return reasons


def report_link(report: Path) -> str:
    """Return the address of a report below HOUSING_REPORTS_URL; its path if that is not set."""
    base_url = os.environ.get(REPORTS_URL_VARIABLE, "").rstrip("/")
    return f"{base_url}/{report.parent.name}/{report.name}" if base_url else str(report)


def read_state(file: Path) -> NotifiedState:
    """Return the state that was kept; that of nothing sent if there is none, or it is damaged."""
    try:
        content = json.loads(file.read_bytes())
        return NotifiedState(
            Verdict(content["verdict"]),
            tuple(map(str, content["alarm_keys"])),
            bool(content["has_failed"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return NotifiedState()
