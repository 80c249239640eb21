"""The process in which the challenger answers: it reads the log, predicts, and writes, in turn."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.model.local_copy import ModelInfo
from app.shadow import challenger_sync
from app.shadow.challenger import ChallengerLoader, answer_rows
from app.shadow.log_follower import LogFollower, LoggedRow
from app.shadow.status import ShadowState, ShadowStatus, read_status, status_path, write_status
from housing.prediction_log import shadow_answers
from housing.prediction_log.shadow_answers import ShadowAnswer

POLL_INTERVAL_SECONDS = 0.25  # between two looks at a log without new rows
IDLE_INTERVAL_SECONDS = 1.0  # between two looks for a challenger
STATUS_INTERVAL_SECONDS = 1.0
DAMAGED_FILE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

logger = logging.getLogger(__name__)


class ShadowProcess:
    """Answers one batch after the other. A failure costs the rows of its batch, nothing else."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        log = Path(settings["DATABASE"])
        self.file, self._status_file = shadow_answers.shadow_path(log), status_path(log)
        self.max_rows: int = settings["SHADOW_ROWS"]
        # seconds to pause for each second of work
        self._pause_ratio = 100 / settings["SHADOW_CORE_PERCENT"] - 1
        self.follower = LogFollower(log, settings["SHADOW_SHARE"])
        self.loader = ChallengerLoader(challenger_sync.challenger_folder(settings))
        self.status = read_status(self._status_file)
        self.status.starts += 1
        self._connection: sqlite3.Connection | None = None
        self._problem = ""  # of the log or of the answers, as it was last reported
        self._reported_state = ("", "")  # and the version of the challenger

    def run_forever(self) -> None:
        """Answer batches, each followed by a pause in proportion to the time that it took.

        On a busy machine a batch takes longer, so the pause grows too.
        """
        while True:
            started_at = time.perf_counter()
            interval = self.step()
            busy_seconds = time.perf_counter() - started_at
            time.sleep(max(interval, busy_seconds * self._pause_ratio))

    def step(self) -> float:
        """Answer the next batch, if there is one; return the seconds to wait at least."""
        # also the sign of life: what hangs below is ended by the supervisor
        self._write_status_if_due()
        if self.loader.reload_if_changed():
            self.report_status()
        challenger = self.loader.challenger
        if challenger is None:
            self.follower.skip_all()
            return IDLE_INTERVAL_SECONDS
        try:
            batch = self.follower.read()
        except RuntimeError as error:
            self._report(f"the prediction log cannot be read: {error}")
            return IDLE_INTERVAL_SECONDS
        self.status.dropped_rows += batch.dropped_rows
        rows = [row for row in batch.rows if not _is_answered_by(row, challenger.model_info)]
        if rows:
            self._write(answer_rows(challenger, rows))
        newest = batch.rows[-1:] if batch.has_more else []
        self.status.behind_seconds = sum((row.age_seconds(time.time()) for row in newest), 0.0)
        return 0.0 if batch.has_more else POLL_INTERVAL_SECONDS

    def report_status(self) -> None:
        """Write the status for the workers; log it if the challenger or its state has changed."""
        loader, status = self.loader, self.status
        model = loader.challenger.model_info if loader.challenger else None
        status.state, status.reason = loader.state, loader.reason
        status.model_name = model.name if model else ""
        status.model_version = model.version if model else ""
        status.written_at = time.time()
        write_status(self._status_file, status)
        if (status.state, status.model_version) != self._reported_state:
            self._reported_state = status.state, status.model_version
            if status.state != ShadowState.STARTING:
                logger.warning("%s", describe(status))

    def close(self) -> None:
        """Close the file of the answers."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _write(self, answers: Sequence[ShadowAnswer]) -> None:
        try:
            if self._connection is None:
                self._connection = shadow_answers.open_for_writing(self.file)
            shadow_answers.write(self._connection, answers, self.max_rows)
        except (sqlite3.Error, OSError) as error:
            self._report(f"the challenger's answers cannot be written: {error}")
            self.status.dropped_rows += len(answers)
            self._discard_connection(error)
            return
        problems = [answer.problem for answer in answers if answer.problem]
        self.status.failed_rows += len(problems)
        self.status.rows += len(answers) - len(problems)
        self._report(f"the challenger failed: {problems[0]}" if problems else "")

    def _discard_connection(self, error: Exception) -> None:
        """Close the file; a damaged one is set aside, so that the next batch starts anew."""
        self.close()
        if getattr(error, "sqlite_errorcode", None) in DAMAGED_FILE_CODES:
            with suppress(OSError):
                self.file.replace(self.file.with_suffix(".damaged"))
                for suffix in ("-wal", "-shm"):
                    Path(f"{self.file}{suffix}").unlink(missing_ok=True)

    def _report(self, problem: str) -> None:
        """Log a problem once, until there is another."""
        if problem and problem != self._problem:
            logger.warning("%s", problem)
        self._problem = problem or self._problem

    def _write_status_if_due(self) -> None:
        if time.time() - self.status.written_at >= STATUS_INTERVAL_SECONDS:
            self.report_status()


def _is_answered_by(row: LoggedRow, model: ModelInfo) -> bool:
    """Return whether the model made the logged prediction itself, as champion."""
    return (row.model_name, row.model_version) == (model.name, model.version)


def describe(status: ShadowStatus) -> str:
    """Say whether a challenger answers, or why none does."""
    if status.model_version:
        return f"the challenger {status.model_name} version {status.model_version} answers too"
    reason = f" ({status.reason})" if status.reason else ""
    return f"no challenger answers: {status.state.replace('_', ' ')}{reason}"
