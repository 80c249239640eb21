"""Read the verdict that the last monitoring run has left in a file, once for each change of it."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from flask import current_app
from pydantic import TypeAdapter, ValidationError

from housing.monitoring.verdict import Alarm, MonitoringVerdict

REPORT_FILE_NAME = "04_monitor.html"

logger = logging.getLogger(__name__)


class VerdictReading(NamedTuple):
    """What the file says."""

    verdict: MonitoringVerdict | None = None  # None if there is none, or it cannot be read
    created_at: datetime | None = None
    problem: str = ""  # why it cannot be read

    @property
    def current_alarms(self) -> list[Alarm]:
        """The alarms that still last."""
        return [alarm for alarm in self.verdict.alarms if alarm.is_current] if self.verdict else []


class VerdictFile:
    """The file of the verdict. A damaged one is a warning in the log, never an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._signature: tuple[int, int, int] | None = None  # modification time, inode, size
        self._reading = VerdictReading()

    def read(self) -> VerdictReading:
        """Return what the file says; it is read only if it has changed."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._signature, self._reading = None, VerdictReading()
            return self._reading
        except OSError as error:
            return self._remember(None, _describe_damage(error))
        signature = stat.st_mtime_ns, stat.st_ino, stat.st_size
        if signature != self._signature:
            self._remember(signature, _read(self.path))
        return self._reading

    def _remember(
        self, signature: tuple[int, int, int] | None, reading: VerdictReading
    ) -> VerdictReading:
        if reading.problem and reading.problem != self._reading.problem:
            logger.warning("%s: %s", self.path, reading.problem)
        self._signature, self._reading = signature, reading
        return reading


def _read(path: Path) -> VerdictReading:
    """Return the content of the file; fields of a later version are ignored."""
    try:
        verdict = _verdict_adapter().validate_json(path.read_bytes())
        json.dumps(asdict(verdict), allow_nan=False)
        created_at = datetime.fromisoformat(verdict.created_at)
    except (OSError, ValueError) as error:
        return _describe_damage(error)
    return VerdictReading(
        verdict, created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)
    )


def _describe_damage(error: OSError | ValueError) -> VerdictReading:
    reason = str(error)
    if isinstance(error, ValidationError):
        [first, *_] = error.errors()
        reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    elif isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
    return VerdictReading(problem=f"the verdict of the monitoring cannot be read: {reason}")


@cache
def _verdict_adapter() -> TypeAdapter[MonitoringVerdict]:
    return TypeAdapter(MonitoringVerdict)


def describe_verdict(reading: VerdictReading, reports_folder: Path) -> dict[str, Any]:
    """Return the verdict as JSON has it, with the path of its report; {} if there is none.

    What is not known is left out.
    """
    if reading.verdict is None:
        return {}
    content = asdict(reading.verdict)
    content["alarms"] = [_without_none(alarm) for alarm in content["alarms"]]
    return _without_none(content) | {"report": _find_report(reading.verdict.run, reports_folder)}


def _without_none(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not None}


def _find_report(run: str, reports_folder: Path) -> str:
    """Return the path below the service of a run's report; empty if it is not there."""
    if not run or run.startswith(".") or Path(run).name != run:
        return ""
    names = [REPORT_FILE_NAME, "index.html"]
    return next(
        (f"reports/{run}/{name}" for name in names if (reports_folder / run / name).is_file()), ""
    )


def verdict_file() -> VerdictFile:
    """Return the file of the current app."""
    return current_app.extensions["verdict_file"]
