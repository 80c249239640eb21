"""Let Evidently judge each week, with its defaults. Runs in an environment of its own.

python evidently_weeks.py FOLDER ...

A folder has reference.parquet, predictions.parquet and labelled.parquet (the features, prediction,
week, and the truth of labelled rows); evidently.json is written beside them. A week is flagged for
"column drift" if a column has drifted, for "dataset drift" if half of them have, and for
"performance" if a test that the regression preset derives from the reference has failed.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import evidently
import pandas as pd
from evidently import DataDefinition, Dataset, Regression, Report
from evidently.core.report import Snapshot
from evidently.presets import DataDriftPreset, RegressionPreset

NO_FEATURES = {"prediction", "truth", "week", "timestamp"}
MIN_ROWS = 2  # of which a report can be made


def main() -> None:
    """Write evidently.json into each folder."""
    warnings.simplefilter("ignore")
    for folder in map(Path, sys.argv[1:]):
        started_at = time.monotonic()
        weeks = judge_weeks(folder)
        record = {
            "tool": f"Evidently {evidently.__version__}",
            "seconds": time.monotonic() - started_at,
            "weeks": weeks,
        }
        (folder / "evidently.json").write_text(json.dumps(record))


def judge_weeks(folder: Path) -> list[dict[str, object]]:
    """Return for each week its number, the alerts, and of the first one the size of its pages."""
    reference = pd.read_parquet(folder / "reference.parquet")
    predictions = pd.read_parquet(folder / "predictions.parquet")
    labelled = pd.read_parquet(folder / "labelled.parquet")
    features = [name for name in reference.columns if name not in NO_FEATURES]
    drift_columns = [*features, "prediction"]
    drift = DataDefinition(numerical_columns=drift_columns)
    regression = DataDefinition(
        numerical_columns=features, regression=[Regression(target="truth", prediction="prediction")]
    )
    regression_columns = [*drift_columns, "truth"]
    weeks: list[dict[str, object]] = []
    last_week = json.loads((folder / "plan.json").read_text())["n_weeks"]
    for week in range(last_week):
        reports, alerts = [], []
        rows = predictions[predictions.week == week]
        if len(rows) >= MIN_ROWS:
            reports.append(run_report(DataDriftPreset(), drift, rows, reference, drift_columns))
            alerts += find_drift(reports[-1])
        rows = labelled[labelled.week == week]
        if len(rows) >= MIN_ROWS:
            reports.append(
                run_report(RegressionPreset(), regression, rows, reference, regression_columns)
            )
            alerts += ["performance"] if failed_tests(reports[-1]) else []
        size = 0 if weeks else sum(page_size(report, folder) for report in reports)
        weeks.append({"week": week, "alerts": alerts, "page_bytes": size})
    return weeks


def run_report(
    preset: DataDriftPreset | RegressionPreset,
    definition: DataDefinition,
    rows: pd.DataFrame,
    reference: pd.DataFrame,
    columns: list[str],
) -> Snapshot:
    """Return the report of a week, with the tests that its preset makes by default."""
    current = Dataset.from_pandas(rows[columns].reset_index(drop=True), definition)
    return Report([preset], include_tests=True).run(
        current, Dataset.from_pandas(reference[columns], definition)
    )


def find_drift(report: Snapshot) -> list[str]:
    """Return the alerts of a drift report."""
    failed = failed_tests(report)
    alerts = ["column drift"] if any("Value Drift" in name for name in failed) else []
    return alerts + (["dataset drift"] if any("Share" in name for name in failed) else [])


def failed_tests(report: Snapshot) -> list[str]:
    """Return the names of the tests that have failed."""
    tests = report.dict()["tests"]
    return [test["name"] for test in tests if test["status"].value == "FAIL"]


def page_size(report: Snapshot, folder: Path) -> int:
    """Return the bytes of a report's page."""
    page = folder / "evidently.html"
    report.save_html(str(page))
    size = page.stat().st_size
    page.unlink()
    return size


if __name__ == "__main__":
    main()
