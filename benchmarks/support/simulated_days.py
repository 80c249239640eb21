"""Days of traffic that the real service answers now, dated in its log as if they had passed.

Requests and true values go through the API; afterwards their times in the log are moved. So the
weeks of a story take seconds, and all but the clock is real.
"""

import json
import sqlite3
import urllib.request
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from housing.prediction_log.archive import log_lock
from housing.schema import FEATURE_NAMES

NOON = "T12:00:00.000000+00:00"
TIMEOUT_SECONDS = 60
PREDICTION_STATEMENT = "UPDATE prediction SET asked_at = ? WHERE asked_at > ?"
FEEDBACK_STATEMENT = "UPDATE feedback SET received_at = ? WHERE received_at > ?"


class SimulatedDays:
    """A client of the service that dates what it sends."""

    def __init__(self, base_url: str, log: Path, started_at: str) -> None:
        """log: of the service. started_at: what is newer in it is dated, UTC, ISO 8601."""
        self.base_url, self.log, self.started_at = base_url, log, started_at

    def predict(self, day: date, rows: pd.DataFrame) -> pd.DataFrame:
        """Send the rows of a day; return id, prediction ($100,000), model_version."""
        predictions = self._post("/predict", rows[FEATURE_NAMES].to_dict("records"))["predictions"]
        self._date(PREDICTION_STATEMENT, day)
        return pd.DataFrame(predictions)[["id", "prediction", "model_version"]]

    def give_truths(self, day: date, ids: pd.Series, truths: np.ndarray) -> None:
        """Send the true values ($100,000) of earlier predictions on a day."""
        self._post(
            "/feedback",
            [
                {"id": prediction_id, "truth": truth}
                for prediction_id, truth in zip(ids, truths.tolist(), strict=True)
            ],
        )
        self._date(FEEDBACK_STATEMENT, day)

    def _post(self, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.base_url}{path}", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)

    def _date(self, statement: str, day: date) -> None:
        with log_lock(self.log), closing(sqlite3.connect(self.log, 5)) as connection, connection:
            connection.execute(statement, (f"{day.isoformat()}{NOON}", self.started_at))
