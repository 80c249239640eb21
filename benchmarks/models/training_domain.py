"""How many rows are marked as unlike the training data, and whether the intervals hold there.

.venv/bin/python -m benchmarks.models.training_domain [--seeds 42 0 1 2 3 4]

Three tables: ordinary test rows of random splits; rows whose numbers were shuffled or swapped; and
rows of held-out cells of the map, half a degree wide, with the intervals' coverage.
"""

import argparse

import numpy as np
import pandas as pd

from housing.accepted_ranges import LOWER_LIMITS, UPPER_LIMITS
from housing.data import loading, splitting
from housing.evaluation import calibration, learning_curves
from housing.inference import training_domain
from housing.inference.shapley import FEATURE_GROUPS
from housing.inference.training_domain import TrainingDomain
from housing.schema import FEATURE_NAMES, TARGET
from housing.training import folds, search

SWAPPED_PAIRS = [
    ("AveRooms", "AveBedrms"),
    ("Population", "AveOccup"),
    ("HouseAge", "AveRooms"),
    ("HouseAge", "AveOccup"),
    ("MedInc", "HouseAge"),
    ("MedInc", "AveBedrms"),
    ("MedInc", "AveRooms"),
    ("AveRooms", "AveOccup"),
    ("MedInc", "AveOccup"),
]


def main() -> None:
    """Print three Markdown tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 0, 1, 2, 3, 4])
    seeds = parser.parse_args().seeds
    frame = loading.load_dataset("california").frame
    splits = {seed: splitting.split_train_test(frame, 0.2, seed) for seed in seeds}
    print("| split | marked of the test rows | inside, of those marked | of the others |")
    print("|---|---|---|---|", flush=True)
    for seed, (train, test) in splits.items():
        print_coverage(str(seed), train, test)
    print("\n| rows of the first test part | marked |\n|---|---|")
    print_contradictions(*splits[seeds[0]], seeds[0])
    print("\n| held-out map cells | marked | inside, of those marked | of the others |")
    print("|---|---|---|---|", flush=True)
    for number, (train_index, held_out_index) in enumerate(folds.spatial_folds(frame, 5), 1):
        print_coverage(f"fold {number}", frame.iloc[train_index], frame.iloc[held_out_index])


def print_coverage(label: str, train: pd.DataFrame, held_out: pd.DataFrame) -> None:
    """Print a row: how many held-out rows are marked, and how many true values are inside."""
    domain = training_domain.from_json(training_domain.fit(train))
    is_marked = find_marked(domain, held_out[FEATURE_NAMES].to_numpy(float))
    best = search.tune_families(["blend"], train, "default")["blend"]
    curve = learning_curves.search_learning_curve(best, train)
    calibrator = calibration.calibrate_intervals(best, train, curve)
    _, low, high = calibration.predict_with_interval(best.model, calibrator, held_out)
    true_values = held_out[TARGET].to_numpy()
    is_inside = (low <= true_values) & (true_values <= high)
    shares = [is_marked.mean(), is_inside[is_marked].mean(), is_inside[~is_marked].mean()]
    print(f"| {label} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


def print_contradictions(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> None:
    """Print a row for each way to make test rows contradict themselves."""
    domain = training_domain.from_json(training_domain.fit(train))
    rows, generator = test[FEATURE_NAMES].to_numpy(float), np.random.default_rng(seed)
    permuted = rows.copy()
    for columns in FEATURE_GROUPS.values():
        permuted[:, columns] = rows[generator.permutation(len(rows))][:, columns]
    contradictions = {"each feature permuted by itself": permuted}
    for name, columns in FEATURE_GROUPS.items():
        permuted = rows.copy()
        permuted[:, columns] = rows[generator.permutation(len(rows))][:, columns]
        contradictions[f"{name} permuted"] = permuted
    for names in SWAPPED_PAIRS:
        columns = [FEATURE_NAMES.index(name) for name in names]
        swapped = rows.copy()
        swapped[:, columns] = rows[:, columns[::-1]]
        contradictions[f"{' and '.join(names)} swapped"] = swapped
    tenth_of_income = rows.copy()
    tenth_of_income[:, FEATURE_NAMES.index("MedInc")] /= 10
    contradictions["income in $100,000"] = tenth_of_income
    for label, changed in contradictions.items():
        is_accepted = ((changed >= LOWER_LIMITS) & (changed <= UPPER_LIMITS)).all(axis=1)
        print(f"| {label} | {find_marked(domain, changed[is_accepted]).mean():.1%} |", flush=True)


def find_marked(domain: TrainingDomain, rows: np.ndarray) -> np.ndarray:
    """Return (n,) booleans: whether each row gets a warning."""
    warnings = training_domain.out_of_domain_warnings(domain, rows)
    return np.array([not training_domain.is_interval_calibrated(texts) for texts in warnings])


if __name__ == "__main__":
    main()
