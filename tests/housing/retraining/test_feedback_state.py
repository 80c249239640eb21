import sqlite3
from contextlib import closing

import pytest

from housing import paths
from housing.retraining import feedback_state
from tests.support.logged_predictions import prediction_row, write_log


def add_true_value(prediction_id, truth):
    with closing(sqlite3.connect(paths.var() / "logs.db")) as database, database:
        database.execute(
            "INSERT INTO feedback (prediction_id, truth, received_at) VALUES (?, ?, ?)",
            (prediction_id, truth, "2026-12-01T00:00:00.000+00:00"),
        )


def read_state(labelled):
    return feedback_state.read_feedback_state({"labelled": labelled, "seed": 42})


def test_a_new_true_value_is_news_and_a_new_prediction_is_not():
    assert read_state("yes") == {"true values": "none"}
    write_log(paths.var() / "logs.db", [prediction_row(1)])
    assert read_state("yes") == {"true values": "none"}
    add_true_value(prediction_row(1)["id"], 2.5)
    first_state = read_state("yes")
    write_log(paths.var() / "logs.db", [prediction_row(2)])
    assert read_state("yes") == first_state != {"true values": "none"}
    add_true_value(prediction_row(2)["id"], 2.5)
    assert read_state("yes") != first_state


def test_without_labelled_rows_the_log_is_not_read():
    (paths.var() / "logs.db").write_text("this is no database")
    assert read_state("no") == {}
    with pytest.raises(OSError, match=r"logs\.db: file is not a database"):
        read_state("yes")


def test_a_log_elsewhere_is_read_and_ignored_as_a_file(monkeypatch, tmp_path):
    assert feedback_state.log_file_patterns() == ("logs.db*", "logs-*.db*")
    monkeypatch.setenv("HOUSING_DATABASE", str(tmp_path / "other.sqlite"))
    assert feedback_state.log_file_patterns()[-1] == f"{tmp_path / 'other.sqlite'}*"
    write_log(tmp_path / "other.sqlite", [prediction_row(1)])
    assert read_state("yes") == {"true values": "none"}
