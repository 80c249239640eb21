"""False alarms a year on clean traffic, beside the budget.

.venv/bin/python -m benchmarks.monitoring.false_alarms [--weeks 200] [--seeds 0 1 2 3 4 5]
  [--volumes 50 500 5000] [--alarms-per-year 1]

Each seed is another random split into training rows, held-out rows and those that traffic is drawn
from, and another traffic. Evidence: what crosses the threshold that the budget sets. Alarms: what
is large enough to matter, too. The intervals are exact for a Poisson distribution, at 95 %.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import NamedTuple

from scipy.stats import chi2

from benchmarks.monitoring import traffic
from benchmarks.monitoring.deployment import deploy
from benchmarks.monitoring.traffic import VOLUMES, Plan
from benchmarks.monitoring.workers import run_tasks
from housing.monitoring.analysis.alarms import find_alarms
from housing.monitoring.analysis.signals import analyze

WEEKS_PER_YEAR = 365.25 / 7


class CleanPeriod(NamedTuple):
    """Some clean weeks that are to be analysed."""

    rows_per_week: int
    n_weeks: int
    seed: int
    alarms_per_year: float


class FalseAlarms(NamedTuple):
    """What was detected in them."""

    by_evidence: Counter[str]  # by signal
    alarms: Counter[str]


def main() -> None:
    """Print a Markdown table with a row per volume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=200, help="of each seed and volume")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--volumes", type=int, nargs="+", default=VOLUMES, help="rows a week")
    parser.add_argument("--alarms-per-year", type=float, default=1.0, help="the budget")
    options = parser.parse_args()
    periods = [
        CleanPeriod(volume, options.weeks, seed, options.alarms_per_year)
        for seed in options.seeds
        for volume in options.volumes
    ]
    started_at = time.monotonic()
    outcomes = list(zip(periods, run_tasks(find_false_alarms, periods), strict=True))
    years = options.weeks * len(options.seeds) / WEEKS_PER_YEAR
    print(f"budget: {options.alarms_per_year:g} a year; {years:.1f} clean years of each volume, ")
    print(f"from {len(options.seeds)} splits; {time.monotonic() - started_at:.0f} s\n")
    print("| rows a week | evidence: a year (95 % interval) | alarms: a year | of signals |")
    print("|---|---|---|---|")
    for volume in options.volumes:
        volume_outcomes = [
            outcome for period, outcome in outcomes if period.rows_per_week == volume
        ]
        by_evidence, alarms = Counter[str](), Counter[str]()
        for outcome in volume_outcomes:
            by_evidence += outcome.by_evidence
            alarms += outcome.alarms
        rates = [describe_rate(counter.total(), years) for counter in (by_evidence, alarms)]
        signals = ", ".join(f"{signal} {count}" for signal, count in by_evidence.most_common())
        print(f"| {volume:,} | {' | '.join(rates)} | {signals or 'none'} |", flush=True)


def find_false_alarms(period: CleanPeriod) -> FalseAlarms:
    """Simulate a period, and count what is detected."""
    deployment = deploy(period.seed)
    plan = Plan(period.rows_per_week, period.n_weeks, seed=period.seed)
    counts = traffic.count(deployment, plan)
    analysis = analyze(counts, deployment.reference, period.alarms_per_year)
    by_evidence = Counter(
        str(stream.quantity.signal) for stream in analysis.streams for _ in stream.changes
    )
    return FalseAlarms(by_evidence, Counter(str(alarm.signal) for alarm in find_alarms(analysis)))


def describe_rate(count: int, years: float) -> str:
    """Return a rate a year with its interval (Garwood, 1936)."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(0.975, 2 * count + 2) / 2
    return f"{count / years:.2f} ({low / years:.2f} to {high / years:.2f})"


if __name__ == "__main__":
    main()
