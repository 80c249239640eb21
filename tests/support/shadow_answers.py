"""Answers of a challenger as its process writes them, for the tests of what reads them."""

import sqlite3
from contextlib import closing, contextmanager

from housing.prediction_log import feedback, shadow_answers
from housing.prediction_log.shadow_answers import ShadowAnswer

ANSWERED_AT = "2026-11-01T00:00:01.000+00:00"


def shadow_answer(prediction_id, prediction=2.0, version="2", **overrides):
    """Return an answer. prediction: None if the challenger failed."""
    problem = "ValueError: no" if prediction is None else None
    answer = ShadowAnswer(
        prediction_id, "california-housing", version, prediction, None, None, 90.5, ANSWERED_AT,
        problem,
    )  # fmt: skip
    return answer._replace(**overrides)


def write_answers(log, answers, max_rows=1_000_000):
    """Add answers to the file beside a log; return that file."""
    file = shadow_answers.shadow_path(log)
    with closing(shadow_answers.open_for_writing(file)) as connection:
        shadow_answers.write(connection, answers, max_rows)
    return file


def record_truths(log, true_values, received_at="2026-11-20T08:00:00.000+00:00"):
    """Record true values in a log, as the service does."""

    @contextmanager
    def open_exclusively():
        with closing(sqlite3.connect(log, isolation_level=None)) as connection:
            yield connection

    return feedback.record_true_values(open_exclusively, true_values, received_at)
