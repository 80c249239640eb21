"""What retraining on labelled rows brings, where prices have changed and where they have not.

.venv/bin/python -m benchmarks.models.retraining [--rows 2500] [--family blend] [--seeds 0]

Block groups that neither champion nor test part has seen play the traffic of a quarter, with their
true values under each scenario. The champion is trained on the others. One table: the error of the
champion on the recent test rows, that of its settings on the older and labelled rows as they are,
and after `retraining.training_part` has brought the older values to today's prices; the errors on
the older test rows at today's prices; and the verdict of the gate, with what failed.
"""

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin

from housing import geography
from housing.data import loading, splitting
from housing.data.labelled_part import MANIFEST_ENTRY, LabelledPart, record_entry, revalue
from housing.data.loading import Dataset
from housing.export import onnx_export
from housing.models.families import FAMILIES
from housing.registry import gate
from housing.retraining import training_part
from housing.retraining.labelled_rows import LabelledRows
from housing.schema import FEATURE_NAMES, FEATURES, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT

QUARTER_SECONDS = 13 * 7 * 24 * 3600
SCENARIOS = (
    "no change",
    "prices +5 %",
    "prices +20 %",
    "prices +20 % from half of the quarter on",
    "prices rise to +20 % over the quarter",
    "Bay Area +20 %",
    "dear places +20 %, cheap ones none",
    "incomes +20 %, prices as before",
    "true values shuffled",
    "half of the true values shuffled",
)


class Traffic(NamedTuple):
    """The data without the block groups that are asked about, and those with their true values."""

    dataset: Dataset
    rows: LabelledRows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2_500, help="labelled rows")
    parser.add_argument("--family", choices=FAMILIES, default="blend")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    options = parser.parse_args()
    dataset = loading.load_dataset("california")
    print(
        "| scenario | seed | recent rows: champion | pooled | retrained | older rows at today's "
        "prices: champion | retrained | older values | gate |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for seed in options.seeds:
        champion = None
        for scenario in options.scenarios:
            traffic = simulate_traffic(dataset, options.rows, scenario, seed)
            if champion is None:
                train, _ = splitting.split_train_test(traffic.dataset.frame)
                champion = fit(options.family, train)
            print_row(scenario, seed, options.family, traffic, champion)


def fit(family: str, rows: pd.DataFrame) -> RegressorMixin:
    """Return a model of a family with its initial settings."""
    model = FAMILIES[family].build(FAMILIES[family].initial_params, 42)
    return model.fit(rows[FEATURE_NAMES], rows[TARGET])


def simulate_traffic(dataset: Dataset, n_rows: int, scenario: str, seed: int) -> Traffic:
    """Take block groups out of the data, and give each a time and the value it has then."""
    generator = np.random.default_rng(seed)
    chosen = generator.choice(dataset.frame.index, n_rows, replace=False)
    rows = dataset.frame.loc[chosen].reset_index(drop=True)
    elapsed_share = np.arange(n_rows) / n_rows
    rows = change_world(rows, scenario, elapsed_share, generator)
    times = pd.Timestamp("2026-09-01", tz="UTC") + pd.to_timedelta(
        elapsed_share * QUARTER_SECONDS, unit="s"
    )
    origins = pd.DataFrame(
        {
            "prediction_id": [f"{number:032x}-0" for number in range(n_rows)],
            "model_name": "california-housing",
            "model_version": "1",
            "time": times.map(pd.Timestamp.isoformat),
            "received_at": times.map(pd.Timestamp.isoformat),
            "truth": rows[TARGET],
        }
    )
    frame = dataset.frame.drop(index=chosen).reset_index(drop=True)
    return Traffic(dataset._replace(frame=frame), LabelledRows(rows, origins, {}, 0))


def change_world(
    rows: pd.DataFrame, scenario: str, elapsed_share: np.ndarray, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the rows as they are under a scenario. elapsed_share: (n,), of the quarter."""
    values, incomes = rows[TARGET].to_numpy(), rows.MedInc.to_numpy()
    n_rows, is_bay_area = len(rows), (geography.assign_regions(rows) == "Bay Area").to_numpy()
    factors = {
        "prices +5 %": np.full(n_rows, 1.05),
        "prices +20 %": np.full(n_rows, 1.2),
        "prices +20 % from half of the quarter on": np.where(elapsed_share < 0.5, 1, 1.2),
        "prices rise to +20 % over the quarter": 1 + 0.2 * elapsed_share,
        "Bay Area +20 %": np.where(is_bay_area, 1.2, 1),
        "dear places +20 %, cheap ones none": 1 + 0.2 * np.clip((incomes - 3) / 3, 0, 1),
    }
    values = np.minimum(values * factors.get(scenario, 1.0), HOUSE_VALUE_CAP)
    if "shuffled" in scenario:
        share = 0.5 if scenario.startswith("half") else 1.0
        shuffled = np.flatnonzero(generator.random(n_rows) < share)
        values[shuffled] = values[generator.permutation(shuffled)]
    if scenario.startswith("incomes"):
        incomes = np.minimum(incomes * 1.2, FEATURES["MedInc"].high)
    return rows.assign(MedInc=incomes, **{TARGET: values})


def print_row(
    scenario: str, seed: int, family: str, traffic: Traffic, champion: RegressorMixin
) -> None:
    """Retrain, judge, and print a row of the table."""
    part, _ = training_part.combine(traffic.dataset, traffic.rows, 0.2, 42, 0.2)
    train, test = splitting.split_train_test(traffic.dataset.frame)
    split = splitting.TrainTestSplit(
        part.train,
        revalue(test, part.record.factors),
        {MANIFEST_ENTRY: record_entry(part.record)},
        part.recent,
        test,
    )
    pooled = fit(family, pool(traffic, part, train))
    retrained = fit(family, part.train)
    columns = dict.fromkeys(FEATURE_NAMES, "double")
    graph = onnx_export.to_onnx(retrained)
    # a busy machine takes longer for an answer, which is not what is measured here
    limits = gate.DEFAULT_LIMITS._replace(max_latency_ms=100)
    checks = gate.run_checks(retrained, graph, split, champion, columns, limits)
    promoted, reason = gate.verdict(checks)
    errors = [
        rmse_text(champion, part.recent),
        rmse_text(pooled, part.recent),
        rmse_text(retrained, part.recent),
        rmse_text(champion, split.test),
        rmse_text(retrained, split.test),
    ]
    index = part.record.describe_factors().removeprefix("; older values ") or "as they are"
    verdict = "passes" if promoted else f"refused: {reason}"
    print(f"| {scenario} | {seed} | {' | '.join(errors)} | {index} | {verdict} |", flush=True)


def pool(traffic: Traffic, part: LabelledPart, train: pd.DataFrame) -> pd.DataFrame:
    """Return the older training rows and the labelled ones, all as they were recorded."""
    positions = part.train.index.to_numpy() - len(traffic.dataset.frame)
    return pd.concat([train, traffic.rows.frame.iloc[positions[positions >= 0]]])


def rmse_text(model: RegressorMixin, rows: pd.DataFrame) -> str:
    """Return the model's RMSE on some rows, in dollars."""
    errors = model.predict(rows[FEATURE_NAMES]) - rows[TARGET].to_numpy()
    return f"${np.sqrt(np.mean(errors**2)) * USD_PER_UNIT:,.0f}"


if __name__ == "__main__":
    main()
