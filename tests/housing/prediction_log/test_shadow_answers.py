"""The challenger's answers: each is kept once, found by its prediction, and the oldest go first."""

import sqlite3
from contextlib import closing

import pytest

from housing.prediction_log import shadow_answers
from housing.prediction_log.shadow_answers import ModelKey
from tests.support.shadow_answers import shadow_answer, write_answers


@pytest.fixture
def log(home):
    return home / "var" / "logs.db"


def test_an_answer_is_found_by_the_id_of_the_prediction(log):
    answers = [shadow_answer("a", 2.5, low=1.5, high=3.5), shadow_answer("b", None)]
    file = write_answers(log, answers)
    assert file == log.with_name("shadow.db")
    assert shadow_answers.find(file, "a") == answers[:1]
    assert shadow_answers.find(file, "b") == answers[1:]
    assert shadow_answers.find(file, "c") == []


def test_each_challenger_answers_once(log):
    write_answers(log, [shadow_answer("a", 2.5)])
    file = write_answers(log, [shadow_answer("a", 9.9), shadow_answer("a", 3.0, version="3")])
    predictions = [(answer.model_version, answer.prediction) for answer in
                   shadow_answers.find(file, "a")]  # fmt: skip
    assert predictions == [("2", 2.5), ("3", 3.0)]
    assert shadow_answers.newest_challenger(file) == ModelKey("california-housing", "3")


def test_the_oldest_answers_make_room_for_new_ones(log):
    for number in range(30):
        file = write_answers(log, [shadow_answer(f"{number:02}")], max_rows=10)
    assert [number for number in range(30) if shadow_answers.find(file, f"{number:02}")] == [
        *range(20, 30)
    ]


def test_without_answers_none_is_found(log):
    file = shadow_answers.shadow_path(log)
    assert shadow_answers.find(file, "a") == []
    assert shadow_answers.newest_challenger(file) is None


def test_a_file_whose_table_is_not_there_yet_has_no_answers(log):
    file = shadow_answers.shadow_path(log)
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert shadow_answers.find(file, "a") == []
    assert shadow_answers.newest_challenger(file) is None


def test_a_write_that_fails_leaves_nothing(log):
    bad_answer = shadow_answer("b")._replace(answered_at=None)
    with pytest.raises(sqlite3.IntegrityError):
        write_answers(log, [shadow_answer("a"), bad_answer])
    assert shadow_answers.find(shadow_answers.shadow_path(log), "a") == []
