"""The bottom line of the monitoring: fine, look, or retrain; written to a file that others read.

Needs the standard library only, as the service reads the file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from housing import paths


class Verdict(StrEnum):
    """What to do, the worst last."""

    FINE = "fine"
    LOOK = "look"
    RETRAIN = "retrain"

    @property
    def severity(self) -> int:
        """0 for the best."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Alarm:
    """A change that was detected and is large enough to matter."""

    signal: str  # `quantities.Signal`
    quantity: str  # its title
    group: str  # "region: Bay Area"; empty for all rows
    sentence: str  # what has changed, by how much, and since when
    first_day: str  # ISO, on which it most probably began
    alarm_day: str  # ISO, on which the evidence was enough
    is_current: bool  # whether it still lasts, and nobody has accepted it
    effect_usd: float | None = None  # on the prediction, or on the error


@dataclass(frozen=True)
class MonitoringVerdict:
    """What a monitoring run found."""

    verdict: Verdict
    sentence: str  # the verdict and its reason
    model_name: str
    model_version: str  # the newest that answered
    since: str  # the first day, ISO
    until: str  # the last day, ISO
    created_at: str  # ISO, UTC
    alarms_per_year: float
    row_count: int  # predictions in the period
    labelled_count: int  # of which the true value is known
    alarms: tuple[Alarm, ...] = ()
    run: str = ""  # of the runner, for the link to the report
    mean_absolute_error_usd: float | None = None  # of labelled rows; None without any
    estimated_error_usd: float | None = None  # of all rows
    promised_error_usd: float | None = None  # mean absolute error of the held-out rows
    coverage: float | None = None  # share of true values inside of their interval

    def to_json(self) -> str:
        """Return the verdict as JSON that `from_json` reads."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def verdict_path() -> Path:
    """Return the file of the last verdict: HOUSING_VERDICT, by default in var/monitoring/."""
    return Path(os.environ.get("HOUSING_VERDICT") or paths.var() / "monitoring" / "verdict.json")


def from_json(text: str) -> MonitoringVerdict:
    """Return the verdict that `to_json` wrote. Raises ValueError if it is none."""
    try:
        fields: dict[str, Any] = json.loads(text)
        alarms = tuple(Alarm(**alarm) for alarm in fields.pop("alarms"))
        verdict = Verdict(fields.pop("verdict"))
        return MonitoringVerdict(verdict=verdict, alarms=alarms, **fields)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no verdict of the monitoring: {error}") from error


def read_verdict(file: Path) -> MonitoringVerdict | None:
    """Return the last verdict; None if there is none yet. Raises ValueError if it is damaged."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is damaged: {error}") from error
    try:
        return from_json(text)
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}") from error


def write_verdict(file: Path, verdict: MonitoringVerdict) -> None:
    """Write the file as a whole: a reader sees the old verdict or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_name(f"{file.name}.{os.getpid()}.part")
    partial_file.write_text(verdict.to_json(), encoding="utf-8")
    partial_file.replace(file)


def update_verdict(file: Path, verdict: MonitoringVerdict) -> bool:
    """Write the file unless it has the verdict on a later day; return whether it was written.

    So a report on the past leaves what the service shows as it is.
    """
    try:
        last_verdict = read_verdict(file)
    except ValueError:  # damaged: there is nothing to keep
        last_verdict = None
    is_past = last_verdict is not None and verdict.until < last_verdict.until
    if not is_past:
        write_verdict(file, verdict)
    return not is_past
