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
    low and high (the ends of a 95 % interval of the shrunk mean), and held out (the mean of the
    held-out rows), in the unit of the quantity. Groups without a row are left out.
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
    moments = np.array(
        [sum_days(analysis.counts, keys[group]).moments[keys[group]] for group in groups]
    ).reshape(-1, 3)
    held_out = [analysis.held_out.moments.get(keys[group], np.full(3, np.nan)) for group in groups]
    rows, sums, squares = moments.T
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / rows
        within_variance = (squares.sum() - (sums**2 / rows).sum()) / max(rows.sum() - len(rows), 1)
    table = pd.DataFrame({"rows": rows.round().astype(int), "mean": means}, index=groups)
    if len(groups) and within_variance > 0:
        shrunk = shrink_means(rows, means, float(within_variance))
        margin = NORMAL_95 * shrunk.standard_errors
        table = table.assign(
            shrunk=shrunk.means, low=shrunk.means - margin, high=shrunk.means + margin
        )
    else:
        table = table.assign(shrunk=means, low=np.nan, high=np.nan)
    return table.assign(**{"held out": [total / count for count, total, _ in held_out]})
