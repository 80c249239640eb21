"""Let NannyML judge each week, with its defaults. Runs in an environment of its own.

python nannyml_weeks.py FOLDER ...

A folder has reference.parquet, predictions.parquet and labelled.parquet (the features, prediction,
week, timestamp, and the truth of labelled rows); nannyml.json is written beside them. A week is
flagged for "univariate drift" if a column has an alert, for "multivariate drift", for "estimated
performance" (DLE) and for "performance".
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # before it is imported

import nannyml

NO_FEATURES = {"prediction", "truth", "week", "timestamp"}
METRICS = ["mae", "rmse"]
WEEKLY = {"timestamp_column_name": "timestamp", "chunk_period": "W"}
MIN_REFERENCE_WEEKS = 10  # its limits are three standard deviations of the reference's chunks
REFERENCE_START = pd.Timestamp("2020-01-06")


def main() -> None:
    """Write nannyml.json into each folder."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for folder in map(Path, sys.argv[1:]):
        started_at = time.monotonic()
        weeks = judge_weeks(folder)
        record = {
            "tool": f"NannyML {nannyml.__version__}",
            "seconds": time.monotonic() - started_at,
            "weeks": weeks,
        }
        (folder / "nannyml.json").write_text(json.dumps(record))


def judge_weeks(folder: Path) -> list[dict[str, object]]:
    """Return for each week its number, the alerts, and of the first one the size of a page."""
    plan = json.loads((folder / "plan.json").read_text())
    reference = spread_reference(
        pd.read_parquet(folder / "reference.parquet"), plan["rows_per_week"]
    )
    predictions = pd.read_parquet(folder / "predictions.parquet")
    labelled = pd.read_parquet(folder / "labelled.parquet")
    features = [name for name in predictions.columns if name not in NO_FEATURES]
    columns = [*features, "prediction"]
    names = {"y_pred": "prediction", "y_true": "truth", "metrics": METRICS}
    drift = nannyml.UnivariateDriftCalculator(column_names=columns, **WEEKLY)
    joint_drift = nannyml.DataReconstructionDriftCalculator(column_names=features, **WEEKLY)
    estimator = nannyml.DLE(feature_column_names=features, **names, **WEEKLY)
    performance = nannyml.PerformanceCalculator(problem_type="regression", **names, **WEEKLY)
    alerts: list[set[str]] = [set() for _ in range(plan["n_weeks"])]
    page_bytes = 0
    if len(predictions):
        result = drift.fit(reference).calculate(predictions)
        page_bytes = len(result.plot().to_html().encode())
        add_alerts(alerts, "univariate drift", result, predictions)
        result = joint_drift.fit(reference).calculate(predictions)
        add_alerts(alerts, "multivariate drift", result, predictions)
        result = estimator.fit(reference).estimate(predictions)
        add_alerts(alerts, "estimated performance", result, predictions)
    if len(labelled):
        result = performance.fit(reference).calculate(labelled)
        add_alerts(alerts, "performance", result, labelled)
    return [
        {"week": week, "alerts": sorted(names), "page_bytes": 0 if week else page_bytes}
        for week, names in enumerate(alerts)
    ]


def spread_reference(reference: pd.DataFrame, rows_per_week: int) -> pd.DataFrame:
    """Return the held-out rows as weeks of the same size as the traffic's.

    If that would be too few weeks for its limits, rows are drawn with replacement.
    """
    n_weeks = max(MIN_REFERENCE_WEEKS, len(reference) // rows_per_week)
    n_rows = n_weeks * rows_per_week
    rows = reference.sample(n_rows, replace=n_rows > len(reference), random_state=0)
    offsets = pd.to_timedelta([7 * n_weeks * (row + 0.5) / n_rows for row in range(n_rows)], "D")
    return rows.assign(timestamp=REFERENCE_START + offsets).reset_index(drop=True)


def add_alerts(alerts: list[set[str]], title: str, result: Any, rows: pd.DataFrame) -> None:
    """Add the title to the alerts of each week in which any column or metric has an alert."""
    chunks = result.filter(period="analysis").to_df()
    chunks.columns = ["/".join(map(str, column)) for column in chunks.columns]
    is_alert = chunks[[name for name in chunks if name.endswith("alert")]].any(axis=1)
    starts = chunks[[name for name in chunks if name.endswith("start_index")]].iloc[:, 0]
    for start in starts[is_alert]:
        alerts[int(rows.week.iloc[int(start)])].add(title)


if __name__ == "__main__":
    main()
