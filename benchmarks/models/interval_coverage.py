"""Coverage and width of the 90 % intervals on random splits.

.venv/bin/python -m benchmarks.models.interval_coverage [--seeds 42 0 1 2 3 4]

Beside them: split-conformal intervals of one constant width, clipped at 0 and at the cap like ours.
"""

import argparse

import numpy as np
import pandas as pd

from housing.data import loading, splitting
from housing.evaluation import calibration, learning_curves, metrics, slices
from housing.schema import HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT
from housing.training import search

COVERAGE = 0.9


def main() -> None:
    """Print a Markdown table with a row per split."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 0, 1, 2, 3, 4])
    seeds = parser.parse_args().seeds
    print("| split | inside | by price band | mean width | constant: inside | by band | width |")
    print("|---|---|---|---|---|---|---|", flush=True)
    frame = loading.load_dataset("california").frame
    for seed in seeds:
        train, test = splitting.split_train_test(frame, 0.2, seed)
        best = search.tune_families(["blend"], train, "default")["blend"]
        learning_curve = learning_curves.search_learning_curve(best, train)
        calibrator = calibration.calibrate_intervals(best, train, learning_curve, COVERAGE)
        predictions, low, high = calibration.predict_with_interval(best.model, calibrator, test)
        train_errors = np.abs(best.out_of_fold_predictions - train[TARGET])
        half_width = np.quantile(train_errors, COVERAGE, method="weibull")
        constant_low = np.clip(predictions - half_width, 0, HOUSE_VALUE_CAP)
        constant_high = np.clip(predictions + half_width, 0, HOUSE_VALUE_CAP)
        cells = [*summarize(test, low, high), *summarize(test, constant_low, constant_high)]
        print(f"| {seed} | {' | '.join(cells)} |", flush=True)


def summarize(test: pd.DataFrame, low: np.ndarray, high: np.ndarray) -> tuple[str, str, str]:
    """Return the coverage, the lowest to the highest one of a price band, and the mean width."""
    table = metrics.interval_coverage(test[TARGET], low, high, slices.price_band(test))
    coverage = table["inside, %"]
    bands = f"{coverage.iloc[1:].min():.1f} to {coverage.iloc[1:].max():.1f} %"
    return f"{coverage['all']:.1f} %", bands, f"${np.mean(high - low) * USD_PER_UNIT:,.0f}"


if __name__ == "__main__":
    main()
