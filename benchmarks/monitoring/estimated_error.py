"""The estimated absolute error beside the true one, on rows that nothing was fitted to.

.venv/bin/python -m benchmarks.monitoring.estimated_error [--splits 3]

The table is fitted to the held-out rows of a model (`deployment`); the estimates are those of the
rows from which traffic is drawn. "Constant" expects the mean error of the held-out rows everywhere.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from benchmarks.monitoring.deployment import Deployment, deploy
from housing.monitoring.quantities import Dimension, HistogramKey
from housing.monitoring.reference import row_counts
from housing.schema import USD_PER_UNIT

PRICE_RISE = 1.2
DIMENSIONS = (Dimension.ALL, Dimension.REGION, Dimension.PRICE, Dimension.DISTANCE)


def main() -> None:
    """Print a Markdown table with a row per group, and what the estimates explain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=3, help="random splits, one model each")
    deployments = [deploy(seed) for seed in range(parser.parse_args().splits)]
    tables = [compare(deployment) for deployment in deployments]
    groups = pd.concat(tables).groupby(level=["dimension", "group"], sort=False)
    print(f"Means of {len(tables)} splits, $.\n")
    print(groups.mean().round(0).astype(int).reset_index().to_markdown(index=False))
    for deployment in deployments:
        print(f"\n{describe(deployment)}")


def compare(deployment: Deployment) -> pd.DataFrame:
    """Return the mean absolute error of each group of fresh rows, and what was expected of it."""
    rows = deployment.population.assign(caller="")
    moments = row_counts.count_rows(rows, deployment.reference).moments
    constant = _mean(deployment.reference.counts.moments[HistogramKey("absolute_error")])
    table = [
        {
            "dimension": str(key.dimension) or "all rows",
            "group": key.group,
            "rows": moments[key][0],
            "error": (error := _mean(moments[key])),
            "estimate": (estimate := _mean(moments[key._replace(quantity="labelled_estimate")])),
            "estimate is off by": abs(estimate - error),
            "constant is off by": abs(constant - error),
        }
        for dimension in DIMENSIONS
        for key in moments
        if key.quantity == "absolute_error" and key.dimension == dimension
    ]
    return pd.DataFrame(table).set_index(["dimension", "group"])


def describe(deployment: Deployment) -> str:
    """Say how much of the single rows' errors is explained, and what rising prices do to it."""
    rows, reference = deployment.population, deployment.reference
    estimates = reference.error_table.estimate(
        row_counts.error_rows(rows, reference.distances_km(rows))
    )
    errors = np.abs(rows.prediction - rows.truth).to_numpy() * USD_PER_UNIT
    explained = 1 - np.mean((errors - estimates) ** 2) / np.var(errors)
    new_errors = np.abs(rows.prediction - PRICE_RISE * rows.truth) * USD_PER_UNIT
    mean_rank = reference.rank_scales["estimated_error"].ranks(estimates).mean()
    return (
        f"R2 {explained:.3f}; mean rank of the estimates {mean_rank:.3f} (0.5 if nothing has "
        f"changed). If prices rise by {PRICE_RISE - 1:.0%} the error is ${new_errors.mean():,.0f}, "
        f"and the estimate stays ${estimates.mean():,.0f}."
    )


def _mean(moments: np.ndarray) -> float:
    return float(moments[1] / moments[0])


if __name__ == "__main__":
    main()
