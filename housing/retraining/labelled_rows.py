"""The labelled rows of the prediction log, checked as the data is: one row for each block group."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from housing.data.validation import find_row_faults
from housing.prediction_log import months, reader
from housing.prediction_log.labelled import LabelledRow, read_labelled_rows
from housing.schema import COLUMNS, FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET

# a true value above this, in $100,000, is in another unit: no block group of California is worth a
# hundred times what the census of 1990 could record
MAX_TRUTH = 500.0
OTHER_MODEL_REASON = "answered by a model of other data"
OTHER_UNIT_REASON = "a true value above $50 million, so in another unit"
REPETITION_REASON = "a newer true value of the same block group"


class LabelledRows(NamedTuple):
    """The labelled rows that can be used, the oldest first, and how many cannot."""

    frame: pd.DataFrame  # (n, 9) float64
    # with the same index, where each row comes from: prediction_id, model_name, model_version,
    # time (when the true value was observed, else when it was asked for), received_at, truth
    origins: pd.DataFrame
    left_out: Mapping[str, int]  # why -> rows
    capped_rows: int  # whose true value is above the cap, and counts as the cap


def read(model_name: str) -> LabelledRows:
    """Read the labelled rows that a registered model has answered, in any of its versions.

    A model's name says which data it is of, so that no row of a sample gets among real ones. Each
    row is checked as the data is (`validation`). Of several true values of the same block group,
    the newest counts. A true value above the cap counts as the cap, as in the data. Raises
    RuntimeError if the log cannot be read.
    """
    rows = list(read_labelled_rows(reader.log_path(), months.archive_paths()))
    return select(rows, model_name)


def select(rows: Sequence[LabelledRow], model_name: str) -> LabelledRows:
    """Return the rows of `read` among all labelled rows."""
    own_rows = [row for row in rows if row.model_name == model_name]
    own_rows.sort(key=lambda row: (_row_time(row), row.number))
    origins, left_out = _origins(own_rows), Counter({OTHER_MODEL_REASON: len(rows) - len(own_rows)})
    inputs = pd.DataFrame([json.loads(row.input) for row in own_rows], origins.index)
    is_plausible = origins.truth <= MAX_TRUTH
    left_out[OTHER_UNIT_REASON] = int((~is_plausible).sum())
    frame = inputs.reindex(columns=FEATURE_NAMES).assign(
        **{TARGET: origins.truth.clip(upper=HOUSE_VALUE_CAP)}
    )[is_plausible]
    is_newest = ~frame.duplicated(FEATURE_NAMES, keep="last")
    left_out[REPETITION_REASON] = int((~is_newest).sum())
    frame = _drop_faulty(frame[is_newest], left_out)[COLUMNS].astype(float)
    reasons = {reason: count for reason, count in left_out.items() if count}
    used_origins = origins.loc[frame.index]
    capped_rows = int((used_origins.truth > HOUSE_VALUE_CAP).sum())
    return LabelledRows(frame, used_origins, reasons, capped_rows)


def _row_time(row: LabelledRow) -> str:
    return row.observed_at or row.asked_at


def _origins(rows: Sequence[LabelledRow]) -> pd.DataFrame:
    columns = {
        "prediction_id": [row.id for row in rows],
        "model_name": [row.model_name for row in rows],
        "model_version": [row.model_version for row in rows],
        "time": list(map(_row_time, rows)),
        "received_at": [row.received_at for row in rows],
        "truth": [row.truth for row in rows],
    }
    return pd.DataFrame(columns).astype({"truth": float})


def _drop_faulty(frame: pd.DataFrame, left_out: Counter[str]) -> pd.DataFrame:
    """Return the rows without a fault; count each of the others for the first of its faults."""
    faulty_rows = pd.Index([], dtype=int)
    for fault in find_row_faults(frame):
        new_rows = fault.values.index.difference(faulty_rows)
        left_out[fault.reason] += len(new_rows)
        faulty_rows = faulty_rows.union(new_rows)
    return frame.drop(index=faulty_rows)
