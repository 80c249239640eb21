"""Simulated traffic with a known truth: rows of a population, asked day by day by five callers."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.monitoring.changes import ALL_CHANGES, CHANGED_COLUMNS, PlantedChange
from benchmarks.monitoring.deployment import Deployment
from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.monitoring.analysis.replay import count_traffic
from housing.monitoring.counts import DailyCounts
from housing.schema import FEATURE_NAMES

FIRST_DAY = date(2026, 1, 5)  # a Monday
CALLERS = [f"caller-{number}" for number in range(1, 6)]
VOLUMES = [50, 500, 5_000]  # rows a week
OK_STATUS, REFUSED_STATUS = 200, 422


class Plan(NamedTuple):
    """How much traffic there is, and what changes when."""

    rows_per_week: int
    n_weeks: int
    change: str = "clean"  # a key of ALL_CHANGES
    change_week: int = 0  # on its first day the change begins; counted from 0
    label_share: float = 1.0
    max_label_delay_days: int = (
        5  # the true values arrive up to so many days later, but not at once
    )
    seed: int = 0

    @property
    def change_day(self) -> int:
        """The day on which the change begins, counted from 0."""
        return self.change_week * 7

    @property
    def n_days(self) -> int:
        """The length of the traffic."""
        return self.n_weeks * 7


def simulate(deployment: Deployment, plan: Plan) -> pd.DataFrame:
    """Return the traffic, a row a row of a request, sorted by day.

    Columns: those of `deployment.Model.answer`, caller, day (from 0), label_day (missing if no true
    value ever arrives), status, problem (empty if answered).
    """
    generator = np.random.default_rng([plan.seed, plan.rows_per_week])
    normal = deployment.population.assign(status=OK_STATUS, problem="")
    change = ALL_CHANGES[plan.change]
    changed = _answer_changed(deployment, change)
    n_rows = plan.rows_per_week * plan.n_weeks
    weeks = np.repeat(np.arange(plan.n_weeks), plan.rows_per_week)
    day = np.sort(weeks * 7 + generator.integers(0, 7, n_rows))
    caller = generator.choice(CALLERS, n_rows)
    is_changed = (day >= plan.change_day) & (generator.random(n_rows) < change.row_share)
    if change.callers:
        is_changed &= np.isin(caller, change.callers)
    positions = np.where(
        is_changed,
        len(normal) + generator.integers(0, len(changed), n_rows),
        generator.integers(0, len(normal), n_rows),
    )
    rows = pd.concat([normal, changed], ignore_index=True).iloc[positions]
    longest_delay = plan.max_label_delay_days
    delay = generator.integers(min(1, longest_delay), longest_delay + 1, n_rows)
    has_label = generator.random(n_rows) < plan.label_share
    return rows.reset_index(drop=True).assign(
        caller=caller,
        day=day,
        label_day=np.where(has_label & (rows.status == OK_STATUS), day + delay, np.nan),
    )


def _answer_changed(deployment: Deployment, change: PlantedChange) -> pd.DataFrame:
    """Return the population's rows as they are after the change, answered or refused."""
    rows = change.apply(deployment.population[CHANGED_COLUMNS])
    values = rows[FEATURE_NAMES].to_numpy(float)
    is_outside = (values < LOWER_LIMITS) | (values > UPPER_LIMITS)
    is_refused = is_outside.any(axis=1)
    first_column = np.array(FEATURE_NAMES)[is_outside.argmax(axis=1)]
    problems = np.where(is_refused, [f"{name} is out of range" for name in first_column], "")
    parts = []
    if not is_refused.all():
        answered = deployment.model.answer(rows[~is_refused])
        parts.append(answered.assign(status=OK_STATUS, problem=""))
    if is_refused.any():
        refused = rows[is_refused].assign(prediction=np.nan, low=np.nan, high=np.nan, warned=False)
        parts.append(refused.assign(status=REFUSED_STATUS, problem=problems[is_refused]))
    return pd.concat(parts, ignore_index=True)


def count(deployment: Deployment, plan: Plan) -> DailyCounts:
    """Simulate traffic, and count it by day."""
    rows = simulate(deployment, plan)
    labelled = rows[rows.label_day < plan.n_days]
    return count_traffic(
        rows,
        labelled.assign(day=labelled.label_day.astype(int)),
        deployment.reference,
        FIRST_DAY,
        plan.n_days,
    )


def day_number(iso_day: str) -> int:
    """Return a day counted from 0."""
    return (date.fromisoformat(iso_day) - FIRST_DAY).days
