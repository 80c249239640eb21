"""Reading the rows that both champion and challenger predicted, and whose true value is known."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from housing.prediction_log.labelled import LabelledRow, read_labelled_rows
from housing.prediction_log.reader import open_log
from housing.prediction_log.shadow_answers import ModelKey, has_answers
from housing.schema import USD_PER_UNIT

LOOKUP_ROWS = 500  # looked up in one query
AFTER_ALL_TIMES = "~"  # in the order of ISO times


@dataclass(frozen=True)
class PairedErrors:
    """The absolute errors of two models on the same rows, in the order in which truths arrived."""

    champion: np.ndarray  # (n,), in dollars
    challenger: np.ndarray  # (n,), in dollars; NaN where the challenger failed
    received_at: Sequence[str]  # (n,), when the true value arrived: UTC, ISO 8601


def read_paired_errors(
    log: Path,
    shadow_file: Path,
    archives: Sequence[Path],
    challenger: ModelKey,
    champion_version: str,
) -> PairedErrors:
    """Read the errors of a champion's predictions and of the challenger's for the same rows.

    Block groups that were asked for again count once, with the true value that arrived first: a
    repetition says nothing new, and would count as evidence. archives: as `months.archive_paths`
    returns them. Raises RuntimeError if a file cannot be read.
    """
    rows: list[tuple[int, str, int, float, float]] = []
    if shadow_file.exists():
        with open_log(shadow_file) as connection:
            labelled_rows = (
                row
                for row in read_labelled_rows(log, archives, _first_day(connection, challenger))
                if (row.model_name, row.model_version) == (challenger.name, champion_version)
            )
            rows.extend(_pair(connection, challenger, labelled_rows))
    columns = ["number", "received_at", "input", "champion", "challenger"]
    table = pd.DataFrame(rows, columns=columns).sort_values("number", kind="stable")
    table = table.drop_duplicates("input")
    return PairedErrors(
        table["champion"].to_numpy(float) * USD_PER_UNIT,
        table["challenger"].to_numpy(float) * USD_PER_UNIT,
        table["received_at"].tolist(),
    )


def champion_version_of(
    log: Path, shadow_file: Path, archives: Sequence[Path], challenger: ModelKey
) -> str:
    """Return the version that made the newest labelled prediction beside the challenger.

    "" if there is no such row. Raises RuntimeError if a file cannot be read.
    """
    newest_number, version = -1, ""
    if not shadow_file.exists():
        return version
    with open_log(shadow_file) as connection:
        first_day = _first_day(connection, challenger)
    for row in read_labelled_rows(log, archives, first_day):
        is_other = row.model_name == challenger.name and row.model_version != challenger.version
        if is_other and row.number > newest_number:
            newest_number, version = row.number, row.model_version
    return version


def _first_day(connection: sqlite3.Connection, challenger: ModelKey) -> str:
    """Return a day before which no true value of the challenger's rows can have arrived."""
    if not has_answers(connection):
        return AFTER_ALL_TIMES
    [first_time] = connection.execute(
        "SELECT min(answered_at) FROM shadow WHERE model_name = ? AND model_version = ?", challenger
    ).fetchone()
    if first_time is None:
        return AFTER_ALL_TIMES
    # the challenger answers later than the champion, so the value may have arrived in between
    return (date.fromisoformat(first_time[:10]) - timedelta(days=1)).isoformat()


def _pair(
    connection: sqlite3.Connection, challenger: ModelKey, labelled_rows: Iterable[LabelledRow]
) -> Iterator[tuple[int, str, int, float, float]]:
    """Yield number, time, input and both absolute errors in $100,000 of each row of both models."""
    iterator = iter(labelled_rows)
    while chunk := list(islice(iterator, LOOKUP_ROWS)):
        placeholders = ", ".join("?" * len(chunk))
        predictions = dict(
            connection.execute(
                "SELECT prediction_id, prediction FROM shadow "
                f"WHERE prediction_id IN ({placeholders}) AND model_name = ? AND model_version = ?",
                (*(row.id for row in chunk), *challenger),
            ).fetchall()
        )
        for row in chunk:
            if row.id in predictions:
                answer = predictions[row.id]
                error = np.nan if answer is None else abs(answer - row.truth)
                # the text itself would take 200 bytes a row
                input_hash = hash(row.input)
                champion_error = abs(row.prediction - row.truth)
                yield row.number, row.received_at, input_hash, champion_error, error
