"""The training part with labelled rows, and the newest of them held out as recent test rows.

No row of the test part, and nothing newer than the oldest recent test row, is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from housing.data.errors import DataError
from housing.data.labelled_part import LabelledPart, LabelledRecord, revalue
from housing.data.loading import Dataset
from housing.data.splitting import split_train_test
from housing.data.validation import validate
from housing.retraining import labelled_rows, value_index
from housing.retraining.labelled_rows import LabelledRows
from housing.schema import COLUMNS, COORDINATE_NAMES, FEATURE_NAMES
from housing.tracking.probe import MODEL_NAMES

MIN_RECENT_ROWS = 100  # as many as the gate asks for
MIN_TRAIN_ROWS = 100  # labelled ones; fewer change no model, and are no evidence of an index
TWIN_TOLERANCE = 1e-3  # relative, by which the numbers of the same block group may differ
TWIN_DECIMALS = 2  # of the coordinates, as the data has them
TEST_ROW_REASON = "a block group of the test part"


class RetrainingPart(NamedTuple):
    """The labelled rows of a split, and what decided on the prices of the older ones."""

    part: LabelledPart
    evidence: pd.DataFrame  # of `value_index.ValueIndex`


def prepare(
    labelled: Literal["no", "yes"],
    dataset: Dataset,
    test_size: float = 0.2,
    seed: int = 42,
    recent_size: float = 0.2,
) -> RetrainingPart | None:
    """Return the labelled rows of the prediction log for a split of the data; None for "no".

    test_size, seed: of the split. recent_size: share of the labelled rows, the newest, to hold out.
    Raises DataError if there are too few, RuntimeError if the log cannot be read.
    """
    if labelled == "no":
        return None
    rows = labelled_rows.read(MODEL_NAMES[dataset.source])
    return combine(dataset, rows, test_size, seed, recent_size)


def combine(
    dataset: Dataset, rows: LabelledRows, test_size: float, seed: int, recent_size: float
) -> RetrainingPart:
    """Return the training part with labelled rows, and the recent test part.

    A labelled row takes the place of an older training row of the same block group, as its value is
    newer, and also if it is a recent test row: then the older one would tell its value. A labelled
    row of a block group of the test part is not trained on. Raises DataError if too few rows are
    left.
    """
    train, test = split_train_test(validate(dataset.frame)[COLUMNS], test_size, seed)
    is_recent = find_recent(rows.origins, recent_size)
    is_trained = ~is_recent & ~find_twins(rows.frame, test)
    recent, new = rows.frame[is_recent], rows.frame[is_trained]
    _check_row_counts(len(new), len(recent), rows)
    is_replaced = find_twins(train, pd.concat([new, recent]))
    older = train[~is_replaced]
    index = value_index.estimate(older, new, seed)
    new = pd.concat([revalue(new[: index.start], index.earlier_factors), new[index.start :]])
    numbers = int(dataset.frame.index.max()) + 1 + np.arange(len(rows.frame))
    numbering = pd.Series(numbers, rows.frame.index)
    left_out = dict(rows.left_out)
    if n_test_rows := int((~is_recent & ~is_trained).sum()):
        left_out[TEST_ROW_REASON] = n_test_rows
    part = LabelledPart(
        pd.concat([revalue(older, index.factors), new.set_axis(numbering[new.index])]),
        recent.set_axis(numbering[recent.index]),
        _number_origins(rows.origins[is_recent | is_trained], is_recent, numbering),
        _record(rows, is_trained, is_recent, left_out, int(is_replaced.sum()), index.factors),
    )
    return RetrainingPart(part, index.evidence)


def find_recent(origins: pd.DataFrame, recent_size: float) -> pd.Series:
    """Return which labelled rows are recent test rows: (n,) booleans.

    These are the newest share of the rows, and at least MIN_RECENT_ROWS. Rows of one request, which
    counts with its newest row, or of the same time are all on one side.
    """
    times = pd.to_datetime(origins.time, utc=True, format="ISO8601")
    requests = origins.prediction_id.str.partition("-")[0]
    request_times = times.groupby(requests).transform("max")
    n_recent = max(MIN_RECENT_ROWS, math.ceil(recent_size * len(origins)))
    if n_recent >= len(origins):
        return pd.Series(True, origins.index)
    return request_times >= request_times.sort_values().iloc[-n_recent]


def find_twins(rows: pd.DataFrame, reference: pd.DataFrame) -> np.ndarray:
    """Return which rows are block groups of the reference: (n,) booleans.

    A client may round the numbers, or send them in single precision: those of a row at the same
    hundredth of a degree that differ by a thousandth at most are the same.
    """
    tables = [
        frame[COORDINATE_NAMES].round(TWIN_DECIMALS).assign(position=np.arange(len(frame)))
        for frame in (rows, reference)
    ]
    pairs = tables[0].merge(tables[1], on=COORDINATE_NAMES)
    values, reference_values = rows[FEATURE_NAMES].to_numpy(), reference[FEATURE_NAMES].to_numpy()
    is_equal = np.isclose(
        values[pairs.position_x], reference_values[pairs.position_y], rtol=TWIN_TOLERANCE
    ).all(axis=1)
    return np.isin(np.arange(len(rows)), pairs.position_x[is_equal])


def _check_row_counts(n_train: int, n_recent: int, rows: LabelledRows) -> None:
    if n_train >= MIN_TRAIN_ROWS and n_recent >= MIN_RECENT_ROWS:
        return
    reasons = "; ".join(f"{reason}: {count:,}" for reason, count in rows.left_out.items())
    raise DataError(
        f"the prediction log has {len(rows.frame):,} labelled rows that can be used, of which "
        f"{n_train:,} are left to train on and {n_recent:,} to test; expected at least "
        f"{MIN_TRAIN_ROWS} and {MIN_RECENT_ROWS}"
        + (f" (left out: {reasons})" if reasons else "")
        + ". Send more true values (POST /feedback, `run_pipeline.py feedback FILE`), or train "
        "without them: labelled=no"
    )


def _number_origins(
    origins: pd.DataFrame, is_recent: pd.Series, numbering: pd.Series
) -> pd.DataFrame:
    parts = np.where(is_recent[origins.index], "recent", "train")
    return origins.assign(origin="labelled", part=parts).set_axis(numbering[origins.index])


def _record(
    rows: LabelledRows,
    is_trained: pd.Series,
    is_recent: pd.Series,
    left_out: Mapping[str, int],
    replaced_rows: int,
    factors: Mapping[str, float],
) -> LabelledRecord:
    used = rows.origins[is_trained | is_recent]
    times, recent_times = rows.origins.time[is_trained], rows.origins.time[is_recent]
    version_counts = (used.model_name + " version " + used.model_version).value_counts()
    return LabelledRecord(
        train_rows=len(times),
        since=times.min(),
        until=times.max(),
        recent_rows=len(recent_times),
        recent_since=recent_times.min(),
        recent_until=recent_times.max(),
        versions={str(version): int(count) for version, count in version_counts.items()},
        left_out=left_out,
        replaced_rows=replaced_rows,
        capped_rows=rows.capped_rows,
        factors=factors,
    )
