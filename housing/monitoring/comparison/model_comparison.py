"""Champion against challenger on the same labelled rows, at any time and however often one looks.

The difference of the two errors of a row is limited, and brought to the range from 0 to 1, in which
0.5 means that both are as good. If the challenger is no better, whatever came before, the mean is
at most 0.5, and betting that it is larger wins on average nothing: the wealth is an e-value, and
the interval holds the true mean at all times at once (`statistics.betting`). So the test may stop
as soon as it has seen enough, or go on.

Waudby-Smith and Ramdas (2024, arXiv 2010.09686); paired: arXiv 2406.16523.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.monitoring.comparison.paired_errors import (
    PairedErrors,
    champion_version_of,
    read_paired_errors,
)
from housing.monitoring.statistics.betting import log_wealth
from housing.monitoring.statistics.confidence_sequences import MeanInterval, mean_interval
from housing.prediction_log.shadow_answers import ModelKey, newest_challenger

# Of the difference of two absolute errors of a row; what exceeds it counts as that. Chosen before
# any row is seen: ten times the usual difference of two good models, as a bet can then be as large
# as it should.
DIFFERENCE_LIMIT_USD = 100_000.0
CONFIDENCE_LEVEL = 0.95
GRID_VALUES = np.linspace(0, 1, 1_001)
MAX_LOG_E_VALUE = 690.0  # exp of more is no number
EVIDENCE_POINTS = 100  # rows of the table of evidence


class Loss(StrEnum):
    """The error that is compared."""

    ABSOLUTE = "absolute error"
    SQUARED = "squared error"


class Decision(StrEnum):
    """What the labelled rows say of the challenger."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the same labelled rows. Gains are positive if the challenger is better."""

    model_name: str
    champion_version: str
    challenger_version: str
    loss: Loss
    confidence_level: float
    row_count: int
    failed_count: int  # rows for which the challenger failed; each counts as the largest loss
    gain: float  # mean of the limited differences: dollars, or dollars**2 of squared errors
    low: float  # the ends of its interval, which holds at all times at once
    high: float
    e_value: float  # evidence that the challenger is better
    e_value_worse: float  # evidence that it is worse
    champion_error_usd: float  # mean absolute error of the rows that both answered
    challenger_error_usd: float
    decision: Decision

    @property
    def threshold(self) -> float:
        """The e-value that decides; half of the error's probability is for either side."""
        return 2 / (1 - self.confidence_level)

    @property
    def is_better(self) -> bool:
        """Whether the challenger is better than the champion."""
        return self.decision == Decision.BETTER

    def describe(self) -> str:
        """Say in a sentence what is known."""
        models = (
            f"version {self.challenger_version} beside version {self.champion_version}, the "
            "champion"
        )
        if not self.row_count:
            return f"{models}: no row that both have answered has a true value yet"
        evidence = max(self.e_value, self.e_value_worse)
        unit = "$" if self.loss == Loss.ABSOLUTE else "$²"
        failures = f", {self.failed_count:,} of which it failed to answer" * (self.failed_count > 0)
        direction = "smaller" if self.gain >= 0 else "larger"
        verdict = {
            Decision.BETTER: "it is better",
            Decision.WORSE: "it is worse",
            Decision.UNDECIDED: "which of them is better is undecided",
        }[self.decision]
        return (
            f"{models}, on {self.row_count:,} rows with a true value{failures}: its mean "
            f"{self.loss} is {_format(abs(self.gain), unit)} {direction} "
            f"({self.confidence_level:.0%} interval of what it gains, valid at any time: "
            f"{_format(self.low, unit)} to {_format(self.high, unit)}; evidence {evidence:,.3g}"
            f", {self.threshold:,.0f} decides): {verdict}"
        )


class ComparisonReport(NamedTuple):
    """A comparison, and how it came about."""

    comparison: ModelComparison
    # rows, received_at (of the last of them), gain, low, high, e_value: after ever more rows
    evidence: pd.DataFrame


def load_comparison(
    log: Path,
    shadow_file: Path,
    archives: Sequence[Path] = (),
    challenger: ModelKey | None = None,
    champion_version: str | None = None,
    loss: Loss = Loss.ABSOLUTE,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> ComparisonReport | None:
    """Compare a challenger with a champion on all rows that both predicted and that have a truth.

    challenger: by default the model that answered last beside the champion; None is returned if
    there is none. champion_version: by default that of the newest of these rows. archives: as
    `months.archive_paths` returns them. Raises RuntimeError if a file cannot be read.
    """
    challenger = challenger or newest_challenger(shadow_file)
    if challenger is None:
        return None
    if champion_version is None:
        champion_version = champion_version_of(log, shadow_file, archives, challenger)
    errors = read_paired_errors(log, shadow_file, archives, challenger, champion_version)
    comparison = compare_errors(errors, challenger, champion_version, loss, confidence_level)
    return ComparisonReport(comparison, evidence_table(errors, loss, confidence_level))


def compare_errors(
    errors: PairedErrors,
    challenger: ModelKey,
    champion_version: str,
    loss: Loss = Loss.ABSOLUTE,
    confidence_level: float = CONFIDENCE_LEVEL,
) -> ModelComparison:
    """Compare the errors of two models on the same rows.

    Raises ValueError if confidence_level is not between 0 and 1.
    """
    counts = _histogram(scaled_gains(errors, loss))
    interval = _gain_interval(counts, loss, confidence_level)
    log_better = log_wealth(counts, GRID_VALUES, 0.5)
    log_worse = log_wealth(counts, 1 - GRID_VALUES, 0.5)
    log_threshold = np.log(2 / (1 - confidence_level))
    decision = Decision.UNDECIDED
    if max(log_better, log_worse) >= log_threshold:
        decision = Decision.BETTER if log_better > log_worse else Decision.WORSE
    failed = np.isnan(errors.challenger)
    return ModelComparison(
        challenger.name, champion_version, challenger.version, loss, confidence_level,
        len(failed), int(failed.sum()), *interval, _e_value(log_better), _e_value(log_worse),
        _mean(errors.champion[~failed]), _mean(errors.challenger[~failed]), decision,
    )  # fmt: skip


def scaled_gains(errors: PairedErrors, loss: Loss = Loss.ABSOLUTE) -> np.ndarray:
    """Return what the challenger gains in each row, (n,): 0 to 1, and 0.5 if both are as good."""
    power = 1 if loss == Loss.ABSOLUTE else 2
    gains = (errors.champion**power - errors.challenger**power) / DIFFERENCE_LIMIT_USD**power
    gains = np.where(np.isnan(errors.challenger), -1.0, gains)
    return (np.clip(gains, -1, 1) + 1) / 2


def evidence_table(
    errors: PairedErrors,
    loss: Loss = Loss.ABSOLUTE,
    confidence_level: float = CONFIDENCE_LEVEL,
    n_points: int = EVIDENCE_POINTS,
) -> pd.DataFrame:
    """Return what the comparison was after ever more rows: a table with n_points rows at most."""
    gains = scaled_gains(errors, loss)
    ends = np.unique(np.linspace(0, len(gains), n_points + 1).astype(int))[1:]
    counts, start, points = np.zeros(len(GRID_VALUES)), 0, []
    for end in ends.tolist():
        counts += _histogram(gains[start:end])
        interval = _gain_interval(counts, loss, confidence_level)
        e_value = _e_value(log_wealth(counts, GRID_VALUES, 0.5))
        points.append((end, errors.received_at[end - 1], *interval, e_value))
        start = end
    return pd.DataFrame(points, columns=["rows", "received_at", "gain", "low", "high", "e_value"])


def _histogram(gains: np.ndarray) -> np.ndarray:
    """Return the rows of each of GRID_VALUES; a row between two of them counts for both, in parts.

    So the mean is exact, and a bet wins no more than on the gains themselves, as the logarithm is
    concave.
    """
    positions = gains * (len(GRID_VALUES) - 1)
    lower = np.minimum(positions.astype(int), len(GRID_VALUES) - 2)
    upper_parts = positions - lower
    size = len(GRID_VALUES)
    return np.bincount(lower, 1 - upper_parts, size) + np.bincount(lower + 1, upper_parts, size)


def _gain_interval(counts: np.ndarray, loss: Loss, confidence_level: float) -> MeanInterval:
    """Return the mean gain and its interval, in dollars or dollars**2."""
    interval = mean_interval(counts, GRID_VALUES, confidence_level)
    scale = DIFFERENCE_LIMIT_USD if loss == Loss.ABSOLUTE else DIFFERENCE_LIMIT_USD**2
    return MeanInterval(*((2 * value - 1) * scale for value in interval))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _e_value(log_value: float) -> float:
    return float(np.exp(min(log_value, MAX_LOG_E_VALUE)))


def _format(value: float, unit: str) -> str:
    sign = "−" if round(value) < 0 else ""
    return f"{sign}{unit}{abs(value):,.0f}"
