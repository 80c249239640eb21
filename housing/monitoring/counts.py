"""What is kept of the rows: a histogram of each quantity and group, and the moments behind it.

Held-out rows and each day of traffic are counted in the same way, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from housing.monitoring.quantities import HistogramKey


@dataclass(frozen=True)
class RowCounts:
    """The histograms and moments of some rows; groups without a row are absent."""

    histograms: Mapping[HistogramKey, np.ndarray]  # (n_values,), rows; parts of a row occur
    # (3,): rows, sum, and sum of squares, in the unit of the quantity. The squares of the errors
    # have the unit $**2.
    moments: Mapping[HistogramKey, np.ndarray]


@dataclass(frozen=True)
class DailyCounts:
    """What is known of each day of a period, of one model name and all its versions together."""

    days: tuple[date, ...]  # in order, without gaps; UTC
    histograms: Mapping[HistogramKey, np.ndarray]  # (n_days, n_values)
    moments: Mapping[HistogramKey, np.ndarray]  # (n_days, 3)
    # day, version (None if refused), caller ("" without a key), status, rows, and sampled: rows
    # that were counted
    requests: pd.DataFrame
    # day, caller, problem (short, without the values of the request), rows; rarer ones together
    refusals: pd.DataFrame
    # day, upper_ms (the upper end of a class), rows: a histogram of the latencies
    latencies: pd.DataFrame
    # day, latitude, longitude (the middle of a cell of a quarter degree), rows
    cells: pd.DataFrame
    # day, version, the features, prediction: at most SAMPLE_ROWS_PER_DAY a day, for what needs rows
    sample: pd.DataFrame
