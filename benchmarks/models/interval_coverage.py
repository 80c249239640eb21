"""Do the 90 % intervals keep their promise, and how wide are they, on random splits.

.venv/bin/python -m benchmarks.models.interval_coverage [--seeds 42 0 1 2 3 4]

Beside them: split-conformal intervals of one constant width, cut at 0 and at the cap like ours.
"""

import argparse

import numpy as np
import pandas as pd

from housing.data import loading, splitting
from housing.evaluation import calibration, metrics, slices
from housing.schema import HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT
from housing.training import search

COVERAGE = 0.9


def main() -> None:
    """Prints a Markdown table: a row a split."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 0, 1, 2, 3, 4])
    seeds = parser.parse_args().seeds
    print("| split | inside | by price band | mean width | constant: inside | by band | width |")
    print("|---|---|---|---|---|---|---|", flush=True)
    frame = loading.load_dataset("california").frame
    for seed in seeds:
        train, test = splitting.split_train_test(frame, 0.2, seed)
        best = search.tune_families(["blend"], train, "default")["blend"]
        fitted = calibration.calibrate_intervals(
            best, train, metrics.search_learning_curve(best, train), COVERAGE
        )
        guess, low, high = calibration.predict_with_interval(best.model, fitted, test)
        off = np.abs(best.out_of_fold_predictions - train[TARGET])
        half = np.quantile(off, COVERAGE, method="weibull")
        constant = (
            np.clip(guess - half, 0, HOUSE_VALUE_CAP),
            np.clip(guess + half, 0, HOUSE_VALUE_CAP),
        )
        ours, theirs = said(test, low, high), said(test, *constant)
        print(f"| {seed} | {' | '.join(ours)} | {' | '.join(theirs)} |", flush=True)


def said(test: pd.DataFrame, low: np.ndarray, high: np.ndarray) -> tuple[str, str, str]:
    """Coverage of all, the least and the most of a price band, and the mean width."""
    table = metrics.interval_coverage(test[TARGET], low, high, slices.price_band(test))
    inside = table["inside, %"]
    bands = f"{inside.iloc[1:].min():.1f} to {inside.iloc[1:].max():.1f} %"
    return f"{inside['all']:.1f} %", bands, f"${np.mean(high - low) * USD_PER_UNIT:,.0f}"


if __name__ == "__main__":
    main()
