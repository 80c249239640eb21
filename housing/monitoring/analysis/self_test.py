"""How the monitoring's rules do at the traffic at hand: how often they cry wolf, and what they see.

The held-out rows are asked again, as many a day by each API key as the log has, and as many true
values arrive; first as they are, then with planted changes. What comes is judged by the rules that
judge the real traffic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from statistics import median_low
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.monitoring.analysis.alarms import find_alarms
from housing.monitoring.analysis.replay import count_traffic
from housing.monitoring.analysis.signals import analyze
from housing.monitoring.counts import DailyCounts
from housing.monitoring.daily.day_scan import OK_STATUS
from housing.monitoring.quantities import HistogramKey
from housing.monitoring.reference.held_out import Reference
from housing.monitoring.statistics.alarm_budget import DAYS_PER_YEAR
from housing.schema import FEATURE_NAMES, TARGET

# predictions, and true values, of one replay: of more traffic, a part is replayed
MAX_CLEAN_ROWS = 100_000
MAX_CHANGED_ROWS = 20_000
CLEAN_DAYS = 364  # of one replay
PLANTED_CHANGES = {
    "true values +10 %": (TARGET, 1.10),
    "MedInc +15 %": ("MedInc", 1.15),
    "AveRooms +30 %": ("AveRooms", 1.30),
}

# rows with the features -> the same with prediction, low, high ($100,000) and warned
AnswerRows = Callable[[pd.DataFrame], pd.DataFrame]


class DailyVolume(NamedTuple):
    """How many rows there are each day."""

    by_caller: pd.DataFrame  # (n_days, n_callers) answered rows; the columns are API keys
    labelled: np.ndarray  # (n_days,) true values


class Replays(NamedTuple):
    """What was seen of a planted change; or of none."""

    title: str
    n_replays: int
    n_days: int  # of each
    delays: list[int]  # days until the first alarm, of the replays with one


@dataclass(frozen=True)
class SelfTest:
    """Both error rates of the rules, at the volume of the traffic at hand."""

    alarms_per_year: float  # the budget
    row_share: float  # of the predictions that were replayed
    labelled_share: float  # of the true values
    clean_days: int  # replayed without a change
    false_alarms: int
    replays: tuple[Replays, ...]  # of each planted change

    def false_alarm_rate(self) -> tuple[float, float, float]:
        """Return the false alarms a year, and the 95 % interval of their mean (Garwood, 1936)."""
        years, count = self.clean_days / DAYS_PER_YEAR, self.false_alarms
        low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
        high = chi2.ppf(0.975, 2 * count + 2) / 2
        return count / years, float(low) / years, float(high) / years

    def table(self) -> pd.DataFrame:
        """Return a row for each planted change: the share seen within the period, and the delay.

        The delay is the median over all replays, in days; NaN if most did not see the change.
        """
        rows = [
            {
                "change": replays.title,
                "replays": replays.n_replays,
                "days of each": replays.n_days,
                "seen, %": 100 * len(replays.delays) / replays.n_replays,
                "days until seen": _median_delay(replays),
            }
            for replays in self.replays
        ]
        return pd.DataFrame(rows).set_index("change")


def run_self_test(
    counts: DailyCounts,
    reference: Reference,
    held_out_rows: pd.DataFrame,
    answer: AnswerRows,
    alarms_per_year: float = 1.0,
    n_clean_replays: int = 2,
    n_changed_replays: int = 3,
) -> SelfTest:
    """Replay held-out rows at the volume of some days, clean and changed, and judge what comes.

    counts: of the traffic at hand. held_out_rows: features and true value; answer: adds what the
    service does (both from `reference_file.load_held_out`). n_clean_replays: of a year each.
    n_changed_replays: of each planted change, as long as the period. Raises ValueError without
    traffic.
    """
    volume = measure_volume(counts)
    replay = _Replay(reference, held_out_rows, answer, alarms_per_year, np.random.default_rng(0))
    clean_volume = _resize(volume, CLEAN_DAYS, MAX_CLEAN_ROWS)
    changed_volume = _resize(volume, len(volume.labelled), MAX_CHANGED_ROWS)
    rows = replay.answer_changed(lambda rows: rows)
    false_alarms = sum(
        len(replay.find_alarm_days(rows, clean_volume)) for _ in range(n_clean_replays)
    )
    replays = []
    for title, (column, factor) in PLANTED_CHANGES.items():
        rows = replay.answer_changed(_scaling(column, factor))
        alarm_days = [
            replay.find_alarm_days(rows, changed_volume) for _ in range(n_changed_replays)
        ]
        delays = [min(days) for days in alarm_days if days]
        replays.append(Replays(title, n_changed_replays, len(volume.labelled), delays))
    return SelfTest(
        alarms_per_year,
        _share(changed_volume.by_caller.to_numpy(), volume.by_caller.to_numpy()),
        _share(changed_volume.labelled, volume.labelled),
        n_clean_replays * CLEAN_DAYS,
        false_alarms,
        tuple(replays),
    )


def measure_volume(counts: DailyCounts) -> DailyVolume:
    """Return how many rows were counted each day. Raises ValueError if there are none."""
    requests = counts.requests[counts.requests.status == OK_STATUS]
    by_caller = requests.pivot_table(
        index="day", columns="caller", values="sampled", aggfunc="sum", fill_value=0
    )
    if not by_caller.to_numpy().sum():
        raise ValueError("there is no traffic to replay: no row was counted in this period")
    errors = counts.histograms.get(HistogramKey("absolute_error"))
    labelled = np.zeros(len(counts.days)) if errors is None else errors.sum(axis=1)
    return DailyVolume(
        by_caller.reindex(list(counts.days), fill_value=0).astype(int), labelled.round().astype(int)
    )


def _resize(volume: DailyVolume, n_days: int, max_rows: int) -> DailyVolume:
    """Return a volume over so many days, by repeating its own; thinned, if it is too large."""
    days = np.arange(n_days) % len(volume.labelled)
    by_caller = volume.by_caller.iloc[days].reset_index(drop=True)
    thinned = _thin(by_caller.to_numpy(), max_rows)
    labelled = _thin(volume.labelled[days, None], max_rows)[:, 0]
    return DailyVolume(pd.DataFrame(thinned, columns=by_caller.columns), labelled)


def _thin(row_counts: np.ndarray, max_rows: int) -> np.ndarray:
    """Return at most so many rows in all, divided as before. row_counts: (n_days, n)."""
    share = min(1.0, max_rows / max(1, row_counts.sum()))
    so_far = np.floor(np.cumsum(row_counts, axis=0) * share).astype(int)
    return np.diff(so_far, axis=0, prepend=0)


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else 1.0


def _scaling(column: str, factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda rows: rows.assign(**{column: rows[column] * factor})


class _Replay(NamedTuple):
    """Asks held-out rows again."""

    reference: Reference
    held_out_rows: pd.DataFrame
    answer: AnswerRows
    alarms_per_year: float
    generator: np.random.Generator

    def answer_changed(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        """Return the held-out rows with a change, as they are answered; without refused ones."""
        rows = change(self.held_out_rows)
        features = rows[FEATURE_NAMES].to_numpy(float)
        is_accepted = ((features >= LOWER_LIMITS) & (features <= UPPER_LIMITS)).all(axis=1)
        answered = self.answer(rows[is_accepted].reset_index(drop=True))
        return answered.rename(columns={TARGET: "truth"}).assign(status=OK_STATUS, problem="")

    def find_alarm_days(self, rows: pd.DataFrame, volume: DailyVolume) -> list[int]:
        """Draw traffic from some rows, and return the days of the alarms, counted from 0."""
        n_days, callers = len(volume.labelled), list(volume.by_caller.columns)
        row_counts = volume.by_caller.to_numpy().ravel()
        requests = self._draw(rows, row_counts.sum()).assign(
            day=np.repeat(np.repeat(np.arange(n_days), len(callers)), row_counts),
            caller=np.repeat(callers * n_days, row_counts),
        )
        labelled = self._draw(rows, volume.labelled.sum()).assign(
            day=np.repeat(np.arange(n_days), volume.labelled), caller=""
        )
        first_day = date(2026, 1, 1)
        counts = count_traffic(requests, labelled, self.reference, first_day, n_days)
        analysis = analyze(counts, self.reference, self.alarms_per_year)
        return [
            (date.fromisoformat(alarm.alarm_day) - first_day).days
            for alarm in find_alarms(analysis)
        ]

    def _draw(self, rows: pd.DataFrame, n_rows: int) -> pd.DataFrame:
        positions = self.generator.integers(0, len(rows), n_rows)
        return rows.iloc[positions].reset_index(drop=True)


def _median_delay(replays: Replays) -> float:
    """Return the median delay in days; NaN if it is longer than the period."""
    unseen = [math.nan] * (replays.n_replays - len(replays.delays))
    return float(median_low([*sorted(replays.delays), *unseen]))
