"""Reading the daily counts of a period from the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.monitoring.counts import DailyCounts
from housing.monitoring.daily.day_counts import SAMPLE_COLUMNS, SAMPLE_ROWS_PER_DAY
from housing.monitoring.daily.day_scan import OK_STATUS
from housing.monitoring.quantities import Dimension, HistogramKey

DAYS = "day BETWEEN :since AND :until"
THIS_MODEL = "model_name = :name AND coalesce(model_version = :version, TRUE)"
COLUMN_TYPES = {
    "status": int, "rows": int, "sampled": int,
    "upper_ms": float, "latitude": float, "longitude": float,
}  # fmt: skip
REFUSED_OR_THIS_MODEL = f"(model_name = '' OR {THIS_MODEL})"  # a refused request names no model


class Selection(NamedTuple):
    """The days and the model that were asked for; version None: all versions."""

    since: date
    until: date  # the last day
    name: str
    version: str | None

    @property
    def days(self) -> tuple[date, ...]:
        """All days, in order."""
        return tuple(
            self.since + timedelta(days=number)
            for number in range((self.until - self.since).days + 1)
        )


def read_period(connection: sqlite3.Connection) -> tuple[date | None, date | None]:
    """Return the first day and the last one; None if there is none."""
    days = connection.execute("SELECT min(day), max(day) FROM counted_day").fetchone()
    first_day, last_day = (None if day is None else date.fromisoformat(day) for day in days)
    return first_day, last_day


def read_counts(connection: sqlite3.Connection, selection: Selection) -> DailyCounts:
    """Return the counts of some days; the histograms of all versions are added up."""
    histograms, moments = _read_histograms(connection, selection)
    requests = _read_table(
        connection,
        selection,
        "SELECT day, nullif(model_version, '') AS version, caller, status, "
        "sum(row_count) AS rows, sum(sampled_count) AS sampled "
        f"FROM request WHERE {DAYS} AND {REFUSED_OR_THIS_MODEL} "
        "GROUP BY day, model_version, caller, status",
    )
    return DailyCounts(
        days=selection.days,
        histograms=histograms | _refused_histograms(requests, selection.days),
        moments=moments,
        requests=requests,
        refusals=_read_table(
            connection,
            selection,
            f"SELECT day, caller, problem, row_count AS rows FROM refusal WHERE {DAYS}",
        ),
        latencies=_read_table(
            connection,
            selection,
            "SELECT day, upper_ms, sum(row_count) AS rows FROM latency "
            f"WHERE {DAYS} AND {REFUSED_OR_THIS_MODEL} GROUP BY day, upper_ms",
        ),
        cells=_read_table(
            connection,
            selection,
            "SELECT day, latitude, longitude, sum(row_count) AS rows FROM cell "
            f"WHERE {DAYS} AND {THIS_MODEL} GROUP BY day, latitude, longitude",
        ),
        sample=_read_sample(connection, selection),
    )


def _parameters(selection: Selection) -> dict[str, str | None]:
    return {
        "since": selection.since.isoformat(),
        "until": selection.until.isoformat(),
        "name": selection.name,
        "version": selection.version,
    }


def _read_table(connection: sqlite3.Connection, selection: Selection, query: str) -> pd.DataFrame:
    """Return the rows of a query; days are dates, and what is text or missing stays an object."""
    cursor = connection.execute(query, _parameters(selection))
    names = [name for name, *_ in cursor.description]
    frame = pd.DataFrame(cursor.fetchall(), columns=names, dtype=object)
    frame["day"] = [date.fromisoformat(day) for day in frame.day]
    return frame.astype({name: dtype for name, dtype in COLUMN_TYPES.items() if name in names})


def _read_histograms(
    connection: sqlite3.Connection, selection: Selection
) -> tuple[dict[HistogramKey, np.ndarray], dict[HistogramKey, np.ndarray]]:
    """Return the histograms, (n_days, n_values), and the moments, (n_days, 3)."""
    day_numbers = {day.isoformat(): number for number, day in enumerate(selection.days)}
    histograms: dict[HistogramKey, np.ndarray] = {}
    moments: dict[HistogramKey, np.ndarray] = {}
    rows = connection.execute(
        "SELECT day, quantity, dimension, group_name, counts, moments FROM histogram "
        f"WHERE {DAYS} AND {THIS_MODEL}",
        _parameters(selection),
    )
    for day, quantity, dimension, group, *blobs in rows:
        key = HistogramKey(quantity, Dimension(dimension), group)
        for arrays, blob in zip((histograms, moments), blobs, strict=True):
            if blob is not None:
                numbers = np.frombuffer(blob)
                array = arrays.setdefault(key, np.zeros((len(day_numbers), len(numbers))))
                array[day_numbers[day]] += numbers
    return histograms, moments


def _refused_histograms(
    requests: pd.DataFrame, days: Sequence[date]
) -> dict[HistogramKey, np.ndarray]:
    """Return the rows that were not refused and those that were, of all callers and of each."""
    refused = requests.status != OK_STATUS
    groups = {HistogramKey("refused"): requests.rows.notna()}
    for caller in sorted(set(requests.caller)):
        groups[HistogramKey("refused", Dimension.CALLER, caller)] = requests.caller == caller
    return {
        key: np.column_stack(
            [
                requests.rows[in_group & is_counted]
                .groupby(requests.day)
                .sum()
                .reindex(days, fill_value=0)
                for is_counted in (~refused, refused)
            ]
        ).astype(float)
        for key, in_group in groups.items()
        if in_group.any()
    }


def _read_sample(connection: sqlite3.Connection, selection: Selection) -> pd.DataFrame:
    """Return the rows that were kept; of each version of a day in proportion to its traffic."""
    rows = connection.execute(
        "SELECT day, model_version, numbers, (SELECT sum(row_count) FROM request WHERE "
        "request.day = sample.day AND request.model_name = sample.model_name "
        "AND request.model_version = sample.model_version) "
        f"FROM sample WHERE {DAYS} AND {THIS_MODEL} ORDER BY day, model_version",
        _parameters(selection),
    )
    frames = [pd.DataFrame(columns=["day", "version", *SAMPLE_COLUMNS])]
    for day, group in groupby(rows, itemgetter(0)):
        versions = list(group)
        total = sum(row_count for *_, row_count in versions)
        for _, version, blob, row_count in versions:
            numbers = np.frombuffer(blob).reshape(-1, len(SAMPLE_COLUMNS))
            n_rows = SAMPLE_ROWS_PER_DAY * row_count // total
            frame = pd.DataFrame(numbers[:n_rows], columns=SAMPLE_COLUMNS)
            frame.insert(0, "day", [date.fromisoformat(day)] * len(frame))
            frame.insert(1, "version", version)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)
