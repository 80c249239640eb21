"""The report on the model in use, on logs that the service could have left."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from housing import paths
from housing.data.synthetic import generate_sample
from housing.monitoring import verdict
from housing.monitoring.reference import reference_file
from housing.monitoring.verdict import Verdict
from housing.registry import versions
from housing.schema import FEATURE_NAMES, TARGET
from tests.support.commands import run_command
from tests.support.logged_predictions import timed_row, write_log

pytestmark = pytest.mark.slow
MODEL_NAME = "california-housing-sample"
MAX_PAGE_BYTES = 1_000_000


def log_rows(n_rows, n_days=40):
    """Log predictions of fresh rows of the sample by the champion, evenly over the last days."""
    frame = generate_sample(n_rows, seed=7)
    held_out = reference_file.load_held_out(versions.get_champion(MODEL_NAME))
    predictions = held_out.predict(frame[FEATURE_NAMES].to_numpy(float))
    now = datetime.now(UTC)
    rows = [
        timed_row(
            (now - timedelta(days=n_days * (1 - number / n_rows))).isoformat(
                timespec="milliseconds"
            ),
            number,
            model_name=MODEL_NAME,
            input=json.dumps(features),
            prediction=float(predictions.prediction[number]),
        )
        for number, features in enumerate(frame[FEATURE_NAMES].to_dict("records"))
    ]
    return write_log(paths.var() / "logs.db", rows), rows, frame[TARGET].to_numpy()


def label_rows(log, rows, truths):
    """Log a true value for each row, a second after it."""
    with closing(sqlite3.connect(log)) as database, database:
        database.executemany(
            "INSERT INTO feedback (prediction_id, truth, received_at) VALUES (?, ?, ?)",
            [(row["id"], truth, row["asked_at"]) for row, truth in zip(rows, truths, strict=True)],
        )


def read_report(home):
    path = home / "reports" / "latest-monitor" / "04_monitor.html"
    assert path.stat().st_size < MAX_PAGE_BYTES
    page = path.read_text()
    assert "A GENERATED SAMPLE" in page
    return re.sub(r"<[^>]+>", "", page)


def test_a_log_without_a_request_has_a_report_that_says_so(champion_home):
    assert run_command("monitor", ["--quiet", "--fail-on", "look"]) == 0
    assert "No traffic yet." in read_report(champion_home)
    last_verdict = verdict.read_verdict(verdict.verdict_path())
    assert (last_verdict.verdict, last_verdict.row_count) == (Verdict.FINE, 0)


def test_fifty_requests_without_true_values_do_not_cry_wolf(champion_home):
    log_rows(50)
    assert run_command("monitor", ["--quiet", "--fail-on", "look"]) == 0
    page = read_report(champion_home)
    assert "50 predictions, 0 true values" in page
    assert "without true values nobody can see whether prices have changed" in page


def test_prices_that_have_risen_ask_for_a_new_model(champion_home):
    log, rows, truths = log_rows(2_000)
    risen = np.arange(len(rows)) >= len(rows) // 2
    label_rows(log, rows, truths * np.where(risen, 1.5, 1))
    assert run_command("monitor", ["--quiet", "--fail-on", "retrain"]) == 3
    last_verdict = verdict.read_verdict(verdict.verdict_path())
    assert last_verdict.verdict is Verdict.RETRAIN
    assert last_verdict.labelled_count > 1_900
    assert "too low on average" in read_report(champion_home)
    # again: only what is new is read, and the verdict is the same
    assert run_command("monitor", ["--quiet"]) == 0
    assert verdict.read_verdict(verdict.verdict_path()).sentence == last_verdict.sentence
