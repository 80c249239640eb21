"""The error, the coverage and the estimated error of each group of rows, small groups shrunk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from housing.monitoring.analysis.signals import Analysis, sum_days
from housing.monitoring.analysis.streams import DIMENSION_GROUPS
from housing.monitoring.quantities import MODEL_DIMENSIONS, Dimension, HistogramKey
from housing.monitoring.statistics.shrinkage import shrink_means

NORMAL_95 = 1.96  # standard errors on each side of a 95 % interval


def segment_errors(analysis: Analysis, quantity: str = "error") -> pd.DataFrame:
    """Return the mean of a quantity in each group, drawn towards the mean of its dimension.

    The index is (dimension, group); the columns are rows, mean (of the group's own rows), shrunk,
    low and high (the ends of a 95 % interval of the shrunk mean), held out (the shrunk mean of the
    held-out rows), in the unit of the quantity, and alarm: whether a change of the group that
    matters lasts. Groups without a row are left out.
    """
    tables = {
        str(dimension): _dimension_table(analysis, quantity, dimension)
        for dimension in MODEL_DIMENSIONS
    }
    return pd.concat(tables, names=["dimension", "group"])


def _dimension_table(analysis: Analysis, quantity: str, dimension: Dimension) -> pd.DataFrame:
    keys = {
        group: HistogramKey(quantity, dimension, group) for group in DIMENSION_GROUPS[dimension]
    }
    groups = [group for group, key in keys.items() if key in analysis.counts.moments]
    moments = [sum_days(analysis.counts, keys[group]).moments[keys[group]] for group in groups]
    held_out = [analysis.held_out.moments.get(keys[group], np.zeros(3)) for group in groups]
    alarms = {
        stream.key.histogram
        for stream in analysis.streams
        if any(change.last_day is None and change.effect.is_large for change in stream.changes)
    }
    table = _shrink(np.array(moments).reshape(-1, 3))
    table["held out"] = _shrink(np.array(held_out).reshape(-1, 3)).shrunk
    table["alarm"] = [keys[group] in alarms for group in groups]
    return table.set_axis(groups)


def _shrink(moments: np.ndarray) -> pd.DataFrame:
    """Return rows, mean, shrunk, low and high of each group. moments: (n_groups, 3)."""
    rows, sums, squares = moments.T
    means = np.divide(sums, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    between = np.nansum(means * sums)
    variance = (squares.sum() - between) / max(rows.sum() - np.sum(rows > 0), 1)
    table = pd.DataFrame({"rows": rows.round().astype(int), "mean": means, "shrunk": means})
    table["low"] = table["high"] = np.nan
    if variance > 0:
        shrunk = shrink_means(rows, means, float(variance))
        margin = NORMAL_95 * shrunk.standard_errors
        table = table.assign(
            shrunk=shrunk.means, low=shrunk.means - margin, high=shrunk.means + margin
        )
    return table
