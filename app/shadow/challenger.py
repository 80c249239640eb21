"""The challenger as its process holds it, and what it answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson

from app.model import loading, local_copy
from app.model.loading import Champion
from app.model.states import public_reason
from app.shadow.log_follower import LoggedRow
from app.shadow.status import ShadowState
from housing.inference import served_files
from housing.prediction_log.shadow_answers import ShadowAnswer
from housing.schema import FEATURE_NAMES

LOAD_RETRY_SECONDS = 30.0  # after which a challenger that could not be loaded is tried again
MAX_PROBLEM_CHARS = 300
COPY_STATES = (ShadowState.ANSWERING, ShadowState.UNREACHABLE)  # in which a copy answers


class ChallengerLoader:
    """Loads the challenger from its local copy whenever that changes."""

    def __init__(self, folder: Path) -> None:
        """folder: which `challenger_sync` writes."""
        self.folder = folder
        self.challenger: Champion | None = None
        self.state, self.reason = ShadowState.STARTING, ""
        self._pointer_content = b""
        self._retry_at = 0.0

    def reload_if_changed(self) -> bool:
        """Load the version that the pointer names, if that has changed; return whether it has."""
        pointer_file = self.folder / local_copy.POINTER_FILE_NAME
        try:
            content = pointer_file.read_bytes()
        except OSError:
            content = b""
        status = local_copy.read_status(self.folder)
        sync_state = next((state for state in ShadowState if state == status.state), self.state)
        if not content or sync_state not in COPY_STATES:
            was_loaded, self.challenger, self._pointer_content = self.challenger, None, b""
            is_copying = sync_state == ShadowState.ANSWERING
            self.state = ShadowState.STARTING if is_copying else sync_state
            self.reason = status.reason
            return was_loaded is not None
        is_retry = self.challenger is None and time.monotonic() >= self._retry_at
        if content == self._pointer_content and not is_retry:
            return False
        self._pointer_content, self.challenger = content, None
        self._load()
        return True

    def _load(self) -> None:
        folder_name = local_copy.read_served_folder(self.folder)
        try:
            if folder_name is None:
                raise ValueError(f"{local_copy.POINTER_FILE_NAME} names no folder")
            files = served_files.read_files(self.folder / folder_name)
            self.challenger = loading.load_champion(folder_name, files)
            self.state, self.reason = ShadowState.ANSWERING, ""
        except Exception as error:  # whatever a version holds that the gate has refused
            self.state, self.reason = ShadowState.UNLOADABLE, public_reason(error)
            self._retry_at = time.monotonic() + LOAD_RETRY_SECONDS


def answer_rows(challenger: Champion, rows: Sequence[LoggedRow]) -> list[ShadowAnswer]:
    """Return the challenger's answers, in the order of the rows.

    If it fails for all together, each row is tried by itself; a row for which it fails has no
    prediction, and the reason.
    """
    started_at = time.perf_counter()
    try:
        outputs: list[np.ndarray | str] = [*_predict(challenger, rows)]
    except Exception:  # whatever the challenger is made of
        outputs = [_predict_single(challenger, row) for row in rows]
    latency_us = (time.perf_counter() - started_at) * 1e6 / max(len(rows), 1)
    answered_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    model = challenger.model_info
    return [
        ShadowAnswer(
            row.id, model.name, model.version, *_as_columns(output), round(latency_us, 1),
            answered_at, _find_problem(output),
        )
        for row, output in zip(rows, outputs, strict=True)
    ]  # fmt: skip


def _predict(challenger: Champion, rows: Sequence[LoggedRow]) -> np.ndarray:
    """Return (n, 1) predictions in $100,000, or (n, 3) with low and high."""
    inputs = [orjson.loads(row.input) for row in rows]
    features = np.array([[values[name] for name in FEATURE_NAMES] for values in inputs], float)
    outputs = challenger.predict(features)
    if len(outputs) != len(rows):
        raise ValueError(f"it returned {len(outputs)} predictions for {len(rows)} rows")
    return outputs


def _predict_single(challenger: Champion, row: LoggedRow) -> np.ndarray | str:
    """Return the prediction of one row, or why there is none."""
    try:
        return _predict(challenger, [row])[0]
    except Exception as error:  # whatever the challenger is made of
        return f"{type(error).__name__}: {error}"[:MAX_PROBLEM_CHARS]


def _find_problem(output: np.ndarray | str) -> str | None:
    if isinstance(output, str):
        return output
    return None if np.isfinite(output).all() else f"it predicts {output[0]}, expected a number"


def _as_columns(output: np.ndarray | str) -> tuple[float | None, float | None, float | None]:
    """Return prediction, low and high; None for what there is not."""
    if isinstance(output, str) or not np.isfinite(output).all():
        return None, None, None
    values = output.tolist()
    return (values[0], values[1], values[2]) if len(values) == 3 else (values[0], None, None)
