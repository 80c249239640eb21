"""What can be set, by environment: HOUSING_ and the name. The README's table is made from this."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.codecs import json_body, tables
from app.model import registry_sync
from app.prediction_log import json_lines
from housing import paths


class Setting(NamedTuple):
    """One of them."""

    default_factory: Callable[[], Any]  # the default
    description: str


def default_worker_count(cpu_limit_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """One for each core that we may use: half of them answered a quarter fewer rows of lists.

    limit: where a container's share of processor time stands, in microseconds of a period.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        share, period = cpu_limit_file.read_text().split()
        return min(cores, math.ceil(int(share) / int(period)))
    except (OSError, ValueError):  # no such limit, or "max"
        return cores


def default_serving_dir() -> str:
    """The copy that came with the image, if there is one and no tracking server is named to follow;
    else ours, which follows the registry."""
    baked = os.environ.get("HOUSING_BAKED")
    if baked and not os.environ.get("MLFLOW_TRACKING_URI") and registry_sync.is_baked(Path(baked)):
        return baked
    return str(paths.var() / "serving")


ALLOWED_VALUES = {"LOG_POLICY": ("strict", "available"), "LOG_SYNC": ("NORMAL", "FULL")}
SETTINGS_ALLOWED_EMPTY = ("ACCESS_LOG",)  # else a variable that is set to nothing is not set
SETTINGS = {
    "HOST": Setting(lambda: "127.0.0.1", "the address; any other needs API keys, or OPEN=1"),
    "PORT": Setting(lambda: 8081, "the port"),
    "OPEN": Setting(lambda: False, "1: answers whoever reaches it, without keys"),
    "WORKERS": Setting(default_worker_count, "processes that answer"),
    "MODEL": Setting(lambda: "", "the registered model; empty: the real one, else the sample's"),
    "DATABASE": Setting(lambda: str(paths.var() / "logs.db"), "the log"),
    "LOG_FILE": Setting(lambda: str(paths.var() / "api.log"), "the log again, as JSON lines"),
    "LOG_POLICY": Setting(lambda: "strict", "available: answers even if they cannot be logged"),
    "LOG_SYNC": Setting(lambda: "NORMAL", "FULL: a row outlives a power cut, not only a crash"),
    "LOG_BYTES": Setting(lambda: json_lines.MAX_FILE_BYTES, "of a file of JSON lines; then it is rotated"),
    "ACCESS_LOG": Setting(lambda: str(paths.var() / "access.log"),
                          "every request, as JSON lines; empty: none"),
    "KEYS": Setting(lambda: str(paths.var() / "keys.json"), "API keys, by `python -m app.cli.keys`"),
    "SERVING": Setting(default_serving_dir, "the local copy of the champion"),
    "BAKED": Setting(lambda: "", "a copy that `make image BAKED=1` made: it serves, and follows no "
                     "registry, unless MLFLOW_TRACKING_URI is set"),
    "COUNTS": Setting(lambda: str(paths.var() / "counts"), "what /metrics counts"),
    "REPORTS": Setting(lambda: str(paths.home() / "reports"), "what /reports/ shows"),
    "MAX_CONTENT_LENGTH": Setting(lambda: 8_000_000, "bytes of a body"),
    "MAX_ROWS": Setting(lambda: json_body.MAX_JSON_ROWS, "rows of a request as JSON"),
    "MAX_TABLE_ROWS": Setting(lambda: tables.MAX_TABLE_ROWS, "rows of a request as a table"),
    "BODY_SECONDS": Setting(lambda: 10, "in which a body must come, and an answer be taken"),
    "HEADER_SECONDS": Setting(lambda: 10, "in which a request must begin and its headers come"),
    "IDLE_SECONDS": Setting(lambda: 75, "that a connection may wait for its next request"),
    "STOP_SECONDS": Setting(lambda: 20, "for requests under way when it is told to stop"),
}  # fmt: skip


def load_settings() -> dict[str, Any]:
    """Each setting, from the environment or by default. Raises ValueError for one that means
    nothing: a service must not guess."""
    found = {
        name: _read_variable(name, setting.default_factory()) for name, setting in SETTINGS.items()
    }
    validate_settings(found)
    return found


def validate_settings(settings: Mapping[str, Any]) -> None:
    """Raises ValueError for a value that means nothing."""
    for name, choices in ALLOWED_VALUES.items():
        if settings[name] not in choices:
            raise ValueError(
                f"HOUSING_{name} is {settings[name]!r}, expected {' or '.join(choices)}"
            )
    for name, setting in SETTINGS.items():
        if type(setting.default_factory()) is int and settings[name] <= 0:
            raise ValueError(f"HOUSING_{name} is {settings[name]!r}, expected a number above 0")


def _read_variable(setting_name: str, default: Any) -> Any:
    given = os.environ.get(f"HOUSING_{setting_name}")
    if given is None or (given == "" and setting_name not in SETTINGS_ALLOWED_EMPTY):
        return default
    if isinstance(default, bool):
        if given not in ("0", "1"):
            raise ValueError(f"HOUSING_{setting_name} is {given!r}, expected 0 or 1")
        return given == "1"
    try:
        return type(default)(given)
    except ValueError:
        raise ValueError(f"HOUSING_{setting_name} is {given!r}, expected a whole number") from None


def readme_row(setting_name: str) -> str:
    """The setting's line in the README's table."""
    value, home = SETTINGS[setting_name].default_factory(), f"{paths.home()}{os.sep}"
    shown = {"WORKERS": "the cores", "OPEN": "0", "MODEL": ""}.get(setting_name, value)
    shown = str(shown).removeprefix(home)
    default = f"`{shown}`" if shown and setting_name != "WORKERS" else shown
    return f"| `HOUSING_{setting_name}` | {SETTINGS[setting_name].description} | {default} |\n"
