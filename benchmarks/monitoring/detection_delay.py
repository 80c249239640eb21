"""Days until a planted change is seen, and which signal sees it first.

.venv/bin/python -m benchmarks.monitoring.detection_delay [--repetitions 5] [--weeks-before 8]
  [--weeks-after 26] [--volumes 50 500 5000] [--changes labels-10 ...] [--label-delay-days 5]

True values arrive 1 to 5 days after the prediction, drawn at random; these days count. Medians of
the repetitions: each is another traffic, every other one another split.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from statistics import median_low
from typing import NamedTuple

from benchmarks.monitoring import traffic
from benchmarks.monitoring.changes import CHANGES
from benchmarks.monitoring.deployment import deploy
from benchmarks.monitoring.traffic import VOLUMES, Plan
from benchmarks.monitoring.workers import run_tasks
from housing.monitoring.analysis.alarms import find_alarms
from housing.monitoring.analysis.signals import analyze

N_SPLITS = 2


class ChangedPeriod(NamedTuple):
    """Some weeks with a planted change that are to be analysed."""

    plan: Plan
    alarms_per_year: float


class FirstAlarm(NamedTuple):
    """When a change was seen."""

    days: float  # after it began; 0: on its first day; infinite if it was not seen
    signal: str


def main() -> None:
    """Print a Markdown table with a row per change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--weeks-before", type=int, default=8)
    parser.add_argument("--weeks-after", type=int, default=26)
    parser.add_argument("--volumes", type=int, nargs="+", default=VOLUMES, help="rows a week")
    parser.add_argument("--changes", nargs="+", default=list(CHANGES), choices=list(CHANGES))
    parser.add_argument("--label-delay-days", type=int, default=5, help="the longest; 0: none")
    parser.add_argument("--alarms-per-year", type=float, default=1.0, help="the budget")
    options = parser.parse_args()
    periods = [
        ChangedPeriod(_plan(options, change, volume, seed), options.alarms_per_year)
        for seed in range(options.repetitions)
        for change in options.changes
        for volume in options.volumes
    ]
    started_at = time.monotonic()
    first_alarms = dict(zip(periods, run_tasks(find_first_alarm, periods), strict=True))
    print(f"{options.repetitions} repetitions; budget: {options.alarms_per_year:g} false alarms a ")
    print(f"year; {time.monotonic() - started_at:.0f} s\n")
    columns = " | ".join(f"{volume:,} rows a week" for volume in options.volumes)
    print(f"| days until seen; seen in {options.weeks_after} weeks; first by | {columns} |")
    print("|---" * (len(options.volumes) + 1) + "|")
    for change in options.changes:
        cells = [
            describe(
                [
                    alarm
                    for (plan, _), alarm in first_alarms.items()
                    if (plan.change, plan.rows_per_week) == (change, volume)
                ]
            )
            for volume in options.volumes
        ]
        print(f"| {CHANGES[change].title} | {' | '.join(cells)} |", flush=True)


def _plan(options: argparse.Namespace, change: str, volume: int, seed: int) -> Plan:
    return Plan(
        volume,
        options.weeks_before + options.weeks_after,
        change,
        change_week=options.weeks_before,
        max_label_delay_days=options.label_delay_days,
        seed=seed,
    )


def find_first_alarm(period: ChangedPeriod) -> FirstAlarm:
    """Simulate a period, and return the first alarm after the change."""
    plan = period.plan
    deployment = deploy(plan.seed % N_SPLITS)
    analysis = analyze(
        traffic.count(deployment, plan), deployment.reference, period.alarms_per_year
    )
    alarm_days = (
        (traffic.day_number(alarm.alarm_day) - plan.change_day, alarm)
        for alarm in find_alarms(analysis)
    )
    later_alarms = [FirstAlarm(days, alarm.signal) for days, alarm in alarm_days if days >= 0]
    return min(later_alarms, key=lambda alarm: alarm.days, default=FirstAlarm(math.inf, "none"))


def describe(first_alarms: list[FirstAlarm]) -> str:
    """Return the median delay, the share of those seen, and the signal that is first most often."""
    delay = median_low(alarm.days for alarm in first_alarms)
    seen = [alarm for alarm in first_alarms if math.isfinite(alarm.days)]
    if not seen:
        return "not seen"
    signal = Counter(alarm.signal for alarm in seen).most_common(1)[0][0]
    days = f"{delay:.0f}" if math.isfinite(delay) else "more"
    return f"{days}; {len(seen)} of {len(first_alarms)}; {signal}"


if __name__ == "__main__":
    main()
