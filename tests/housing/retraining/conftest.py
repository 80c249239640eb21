"""Labelled rows as the log has them, made of generated block groups."""

import json

import pandas as pd
import pytest

from housing.data.synthetic import generate_sample
from housing.prediction_log.labelled import LabelledRow
from housing.schema import FEATURE_NAMES, TARGET

MODEL_NAME = "california-housing-sample"


@pytest.fixture(scope="session")
def make_labelled_rows():
    """Return a function that makes labelled rows of a frame, an hour apart, one a request."""

    def make(frame, **columns):
        rows = []
        for number, row in enumerate(frame.to_dict("records")):
            asked_at = pd.Timestamp("2026-09-01", tz="UTC") + pd.Timedelta(hours=number)
            values = {
                "number": number + 1,
                "truth": row[TARGET],
                "received_at": "2026-12-01T00:00:00.000+00:00",
                "observed_at": None,
                "id": f"{number:032x}-0",
                "asked_at": asked_at.isoformat(timespec="milliseconds"),
                "input": json.dumps({name: row[name] for name in FEATURE_NAMES}),
                "prediction": 2.0,
                "model_name": MODEL_NAME,
                "model_version": "1",
                "low": None,
                "high": None,
                "warnings": None,
                "caller": None,
            }
            own = {name: value[number] for name, value in columns.items() if number in value}
            rows.append(LabelledRow(**values | own))
        return rows

    return make


@pytest.fixture(scope="session")
def new_block_groups():
    """600 block groups that the sample of seed 0 has not."""
    return generate_sample(600, seed=7)
