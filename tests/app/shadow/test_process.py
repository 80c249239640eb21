"""The challenger's batches: what it writes, what it costs if it fails, and what it reports."""

import json
import sqlite3

import numpy as np
import pytest

from app.model import loading
from app.shadow import log_follower, metrics
from app.shadow.process import ShadowProcess, describe
from app.shadow.status import ShadowState, read_status, status_path
from benchmarks.support.local_service import sum_metric
from housing.prediction_log import shadow_answers
from housing.schema import FEATURES
from tests.support.served_champion import MODEL_NAME, serve_version, version_files

EXAMPLE_ROW = np.array([[feature.example for feature in FEATURES.values()]])


def answers_of(shadow, ids):
    return [answer for row_id in ids for answer in shadow_answers.find(shadow.file, row_id)]


def run_all(shadow):
    """Take steps until no row is left."""
    while not shadow.step():
        pass


def test_each_logged_row_is_answered_as_the_model_predicts_it(shadow, served_champion, log_rows):
    ids = log_rows(2 * log_follower.MAX_BATCH_ROWS + 3)
    run_all(shadow)
    answers = answers_of(shadow, ids)
    assert [answer.prediction_id for answer in answers] == ids
    files = version_files(served_champion.folder)
    expected = loading.load_champion("champion", files).predict(EXAMPLE_ROW)[0].tolist()
    for answer in answers:
        assert [answer.prediction, answer.low, answer.high] == expected
        assert (answer.model_name, answer.model_version) == (MODEL_NAME, "2")
    assert (shadow.status.rows, shadow.status.dropped_rows) == (len(ids), 0)


def test_rows_that_the_version_answered_as_champion_are_not_answered_again(shadow, log_rows):
    ids = log_rows(3, model_version="2")
    run_all(shadow)
    assert answers_of(shadow, ids) == []


def fail_for_old_houses(self, rows):
    if (rows[:, 1] > 50).any():
        raise ZeroDivisionError("too old")
    return np.ones((len(rows), 1))


def test_a_challenger_that_raises_fails_for_those_rows_alone(shadow, log_rows, monkeypatch, caplog):
    monkeypatch.setattr(loading.Champion, "predict", fail_for_old_houses)
    row = {name: feature.example for name, feature in FEATURES.items()}
    old_ids = log_rows(2, input=json.dumps(row | {"HouseAge": 52}))
    ids = log_rows(2, input=json.dumps(row | {"HouseAge": 12}))
    run_all(shadow)
    assert [answer.prediction for answer in answers_of(shadow, old_ids + ids)] == [
        None, None, 1.0, 1.0
    ]  # fmt: skip
    assert answers_of(shadow, old_ids)[0].problem == "ZeroDivisionError: too old"
    assert (shadow.status.rows, shadow.status.failed_rows) == (2, 2)
    log_rows(2, input=json.dumps(row | {"HouseAge": 52}))
    run_all(shadow)
    assert caplog.text.count("too old") == 1


@pytest.mark.parametrize("outputs", [np.full((1, 3), np.nan), np.full((1, 1), np.inf)])
def test_a_prediction_that_is_no_number_is_a_failure(shadow, log_rows, monkeypatch, outputs):
    monkeypatch.setattr(loading.Champion, "predict", lambda self, rows: outputs)
    ids = log_rows(1)
    run_all(shadow)
    [answer] = answers_of(shadow, ids)
    assert (answer.prediction, answer.low) == (None, None)
    assert "expected a number" in answer.problem


def test_too_few_predictions_are_a_failure(shadow, log_rows, monkeypatch):
    monkeypatch.setattr(loading.Champion, "predict", lambda self, rows: np.ones((2, 1)))
    ids = log_rows(3)
    run_all(shadow)
    assert {answer.problem for answer in answers_of(shadow, ids)} == {
        "ValueError: it returned 2 predictions for 1 rows"
    }


def test_a_new_challenger_answers_as_soon_as_its_copy_is_there(
    shadow, challenger_copy, served_champion, log_rows
):
    serve_version(challenger_copy, "3", version_files(served_champion.folder))
    ids = log_rows(2)
    run_all(shadow)
    assert {answer.model_version for answer in answers_of(shadow, ids)} == {"3"}


def test_a_challenger_that_cannot_be_loaded_is_reported_and_the_rows_wait_for_none(
    shadow_settings, challenger_copy, served_champion, log_rows
):
    files = version_files(served_champion.folder) | {"model.onnx": b"no graph"}
    serve_version(challenger_copy, "2", files)
    shadow = ShadowProcess(shadow_settings)
    shadow.step()
    log_rows(3)
    shadow.step()
    status = read_status(status_path(shadow.file))
    assert (status.state, status.model_version) == (ShadowState.UNLOADABLE, "")
    assert "holds no graph" in status.reason
    assert "holds no graph" in describe(status)
    assert (status.rows, status.dropped_rows) == (0, 0)


@pytest.mark.parametrize(
    "state", [ShadowState.NO_CHALLENGER, ShadowState.IS_CHAMPION, ShadowState.REFUSED]
)
def test_without_a_challenger_it_waits_and_says_why(shadow, challenger_copy, log_rows, state):
    (challenger_copy / "current.json").unlink()
    (challenger_copy / "registry.json").write_text(json.dumps({"state": state, "reason": "gone"}))
    ids = log_rows(3)
    shadow.step()
    status = read_status(status_path(shadow.file))
    assert (status.state, status.reason) == (state, "gone")
    assert answers_of(shadow, ids) == []


def test_counts_go_on_after_a_restart(shadow, shadow_settings, log_rows):
    log_rows(3)
    run_all(shadow)
    shadow.report_status()
    restarted = ShadowProcess(shadow_settings)
    assert (restarted.status.rows, restarted.status.starts) == (3, shadow.status.starts + 1)


def test_answers_that_cannot_be_written_are_dropped_and_the_next_are_written(
    shadow, log_rows, monkeypatch, caplog
):
    def fail(*_arguments):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(shadow_answers, "write", fail)
        log_rows(3)
        run_all(shadow)
    assert shadow.status.dropped_rows == 3
    assert "cannot be written: disk I/O error" in caplog.text
    ids = log_rows(2)
    run_all(shadow)
    assert len(answers_of(shadow, ids)) == 2


def test_a_damaged_file_of_answers_is_set_aside(shadow, log_rows):
    log_rows(1)
    run_all(shadow)
    shadow.close()
    shadow.file.write_bytes(b"no database " * 1_000)
    log_rows(1)
    run_all(shadow)
    ids = log_rows(1)
    run_all(shadow)
    assert len(answers_of(shadow, ids)) == 1
    assert shadow.file.with_suffix(".damaged").exists()


def test_prometheus_gets_the_counts_and_the_challenger_s_version(shadow, shadow_settings, log_rows):
    log_rows(3)
    run_all(shadow)
    shadow.report_status()
    page = metrics.exposition(shadow_settings)
    assert sum_metric(page, "housing_shadow_rows_total") == 3
    labels = {"model": MODEL_NAME, "version": "2", "state": "answering"}
    assert sum_metric(page, "housing_shadow_info", **labels) == 1
    assert metrics.exposition(shadow_settings | {"SHADOW_SHARE": 0.0}) == b""


@pytest.mark.parametrize("content", ["", "[]", '{"rows": "many", "state": 7, "starts": true}'])
def test_a_damaged_status_counts_as_none(tmp_path, content):
    (tmp_path / "shadow.json").write_text(content)
    status = read_status(tmp_path / "shadow.json")
    assert (status.rows, status.state, status.starts) == (0, ShadowState.STARTING, 0)
