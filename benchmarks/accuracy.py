"""Test RMSE of each family with its default search, beside two plain models, on the original split.

.venv/bin/python benchmarks/accuracy.py
"""

import time

from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.tree import DecisionTreeRegressor

from housing import data, paths, search, split
from housing.models import FAMILIES
from housing.schema import NAMES, TARGET
from pipeline import parameters

NOTEBOOK = paths.CHECKOUT / "notebooks" / "02_train.ipynb"
BUDGET = {one.name: one.default for one in parameters.read(NOTEBOOK) if one.name != "families"}
PLAIN = {
    "linear regression, untuned": LinearRegression(),
    "decision tree of depth 5, untuned": DecisionTreeRegressor(max_depth=5, random_state=42),
}


def main() -> None:
    """Prints a Markdown table."""
    train, test = split.split(data.load("california").frame, test_size=0.2, seed=42)
    print("| model | test RMSE | seconds |\n|---|---|---|")
    for name, model in PLAIN.items():
        started = time.perf_counter()
        report(name, model.fit(train[NAMES], train[TARGET]), test, started)
    for name, family in FAMILIES.items():
        started = time.perf_counter()
        found = search.search(name, train, **BUDGET)
        report(f"{family.title}, tuned", found.model, test, started)


def report(name, model, test, started) -> None:
    """One row of the table."""
    rmse = root_mean_squared_error(test[TARGET], model.predict(test[NAMES]))
    print(f"| {name} | {rmse:.4f} | {time.perf_counter() - started:.1f} |", flush=True)


if __name__ == "__main__":
    main()
