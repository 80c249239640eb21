"""The service's settings, environment variables HOUSING_<NAME>; the README's table lists them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app import cors, forwarding
from app.addresses import MAX_PORT
from app.codecs import json_body, tables
from app.metrics import shared_counters
from app.model import local_copy
from app.prediction_log import json_lines
from app.problem_details import shorten
from housing import paths

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"  # of what goes to stderr
MAX_WORKERS = shared_counters.MAX_WORKERS - 2  # two more run while workers are replaced
MAX_SECONDS = 86_400  # a day
MAX_BYTES, MAX_ROWS, MAX_PROXIES = 10**12, 10**9, 100  # nobody means more


class Setting(NamedTuple):
    """The default of one setting, its description in the README, and the values it may have."""

    default_factory: Callable[[], Any]
    description: str
    choices: tuple[str, ...] = ()  # of a text; none: any
    minimum: int = 1  # of a number
    maximum: int = MAX_SECONDS
    # of a text: raises ValueError that says what is expected
    check: Callable[[str], object] = str


def default_worker_count(cpu_limit_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of cores this process may use, which is the default number of workers.

    Half as many workers answered a quarter fewer rows of lists. cpu_limit_file: holds the
    processor time a container may use in a period, and the period, both in microseconds.
    """
    core_count = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_limit_file.read_text().split()
        core_count = min(core_count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # there is no limit, or it is "max"
        pass
    return min(core_count, MAX_WORKERS)


def default_serving_dir() -> str:
    """Return the folder the service loads its model from.

    The copy in the image if there is one and no tracking server is named to follow, else
    `var/serving`, which follows the registry.
    """
    baked, tracking_uri = os.environ.get("HOUSING_BAKED"), os.environ.get("MLFLOW_TRACKING_URI")
    if baked and not tracking_uri and local_copy.read_status(Path(baked)).is_baked:
        return baked
    return str(paths.var() / "serving")


REMOVED_SETTINGS = {"ACCESS_LOG": "HOUSING_LOG_FILE has a line for every request"}
SETTINGS = {
    "HOST": Setting(
        lambda: "127.0.0.1",
        "address to listen at; if other machines can reach it, it needs API keys or HOUSING_OPEN=1",
    ),
    "PORT": Setting(lambda: 8081, "port to listen at", maximum=MAX_PORT),
    "OPEN": Setting(lambda: False, "1: answer every client, without API keys"),
    "WORKERS": Setting(default_worker_count, "number of worker processes", maximum=MAX_WORKERS),
    "PATH_PREFIX": Setting(
        lambda: "",
        "path below which a proxy shows the service, such as /housing, whether the proxy strips it "
        "from requests or not",
        check=forwarding.normalize_prefix,
    ),
    "TRUSTED_PROXIES": Setting(
        lambda: 0,
        "number of proxies in front of the service whose X-Forwarded-For, -Proto, -Host and "
        "-Prefix are believed",
        minimum=0,
        maximum=MAX_PROXIES,
    ),
    "CORS_ORIGINS": Setting(
        lambda: "",
        "origins whose pages may send requests from a browser, such as https://maps.example, "
        "separated by commas; `*`: all",
        check=cors.parse_origins,
    ),
    "MODEL": Setting(
        lambda: "",
        "name of the registered model; empty: the one of the real data, else the sample's",
    ),
    "DATABASE": Setting(lambda: str(paths.var() / "logs.db"), "the prediction log, in SQLite"),
    "ARCHIVE": Setting(
        lambda: str(paths.var() / "archive"),
        "folder of the archived months of the log, whose predictions can get true values too",
    ),
    "LOG_FILE": Setting(
        lambda: str(paths.var() / "api.log"),
        "every request as a line of JSON, predictions with inputs and answers",
    ),
    "LOG_POLICY": Setting(
        lambda: "strict",
        "strict: answer only what could be logged; available: answer even if it could not be",
        ("strict", "available"),
    ),
    "LOG_SYNC": Setting(
        lambda: "NORMAL",
        "NORMAL: logged rows survive a crash; FULL: a power cut as well",
        ("NORMAL", "FULL"),
    ),
    "LOG_BYTES": Setting(
        lambda: json_lines.MAX_FILE_BYTES,
        "bytes of a JSON lines file before it is rotated",
        maximum=MAX_BYTES,
    ),
    "KEYS": Setting(
        lambda: str(paths.var() / "keys.json"), "the API keys, written by `python -m app.cli.keys`"
    ),
    "SERVING": Setting(default_serving_dir, "folder of the local copy of the champion"),
    "BAKED": Setting(
        lambda: "",
        "folder of a champion put into the image by `make image BAKED=1`: it is served and no "
        "registry is followed, unless MLFLOW_TRACKING_URI is set",
    ),
    "COUNTS": Setting(
        lambda: str(paths.var() / "counts"), "file of the counters that /metrics reports"
    ),
    "REPORTS": Setting(
        lambda: str(paths.home() / "reports"), "folder of the reports shown under /reports/"
    ),
    "VERDICT": Setting(
        lambda: str(paths.var() / "monitoring" / "verdict.json"),
        "file of the last monitoring run's verdict, which that run writes and the service shows",
    ),
    "MAX_CONTENT_LENGTH": Setting(
        lambda: 8_000_000,
        "largest request body, in bytes, as it is sent and when it is unpacked",
        maximum=MAX_BYTES,
    ),
    "MAX_ROWS": Setting(
        lambda: json_body.MAX_JSON_ROWS, "most rows of a JSON request", maximum=MAX_ROWS
    ),
    "MAX_TABLE_ROWS": Setting(
        lambda: tables.MAX_TABLE_ROWS, "most rows of a request that sends a table", maximum=MAX_ROWS
    ),
    "BODY_SECONDS": Setting(
        lambda: 10, "seconds for a client to send a request's body, and to read the response"
    ),
    "HEADER_SECONDS": Setting(
        lambda: 10, "seconds for a client to begin a request and send its headers"
    ),
    "IDLE_SECONDS": Setting(lambda: 75, "seconds a connection may stay idle between two requests"),
    "STOP_SECONDS": Setting(lambda: 20, "seconds for open requests to finish after a stop signal"),
    "SHADOW_SHARE": Setting(
        lambda: 0.0,
        "share of the requests, from 0 to 1, that the challenger answers too, silently and after "
        "the answer has left",
        minimum=0,
        maximum=1,
    ),
    "SHADOW_CORE_PERCENT": Setting(
        lambda: 25, "most of a core's time that the challenger takes, in percent", maximum=100
    ),
    "SHADOW_ROWS": Setting(
        lambda: 1_000_000,
        "the challenger's answers that are kept, the newest, in `shadow.db` beside the log",
        maximum=MAX_ROWS,
    ),
}


def load_settings() -> dict[str, Any]:
    """Return each setting by name, from the environment or its default.

    Raises ValueError for an invalid value: a service must not guess what was meant.
    """
    settings = {
        name: _read_variable(name, setting.default_factory()) for name, setting in SETTINGS.items()
    }
    validate_settings(settings)
    return settings


def validate_settings(settings: Mapping[str, Any]) -> None:
    """Raise ValueError that names the first value which a setting may not have."""
    for name, setting in SETTINGS.items():
        expected = _find_expectation(setting, settings[name])
        if expected:
            raise ValueError(f"HOUSING_{name} is {shorten(settings[name])}, expected {expected}")


def _find_expectation(setting: Setting, value: Any) -> str:
    """Return what is expected in place of the value; "" if the setting may have it."""
    if setting.choices:
        return "" if value in setting.choices else " or ".join(setting.choices)
    number_type = type(setting.default_factory())
    if number_type in (int, float):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_large_enough = is_number and (
            value > setting.minimum - 1 if number_type is int else value >= setting.minimum
        )
        is_valid = is_large_enough and value <= setting.maximum
        return "" if is_valid else _expected_number(setting)
    try:
        setting.check(value)
    except ValueError as error:
        return str(error)
    return ""


def _expected_number(setting: Setting) -> str:
    kind = "a whole number" if type(setting.default_factory()) is int else "a number"
    return f"{kind} from {setting.minimum:,} to {setting.maximum:,}"


def _read_variable(setting_name: str, default: Any) -> Any:
    """Return the setting's environment variable, converted to the type of its default."""
    text = os.environ.get(f"HOUSING_{setting_name}")
    if not text:  # an empty variable counts as not set
        return default
    if isinstance(default, bool):
        if text not in ("0", "1"):
            raise ValueError(f"HOUSING_{setting_name} is {shorten(text)}, expected 0 or 1")
        return text == "1"
    try:
        return type(default)(text)
    except ValueError:
        expected = _expected_number(SETTINGS[setting_name])
        raise ValueError(
            f"HOUSING_{setting_name} is {shorten(text)}, expected {expected}"
        ) from None


def removed_setting_messages() -> list[str]:
    """Return a message for each variable that is set and has no effect any more."""
    return [
        f"HOUSING_{name} has no effect any more: {reason}"
        for name, reason in REMOVED_SETTINGS.items()
        if os.environ.get(f"HOUSING_{name}")
    ]


def readme_row(setting_name: str) -> str:
    """Return the setting's line of the table in the README."""
    setting = SETTINGS[setting_name]
    if setting_name == "WORKERS":
        default = "the cores"
    else:
        value = setting.default_factory()
        text = f"{value:g}" if isinstance(value, float) else str(value)
        text = str(int(value)) if isinstance(value, bool) else text
        text = text.removeprefix(f"{paths.home()}{os.sep}")
        default = f"`{text}`" if text else ""
    return f"| `HOUSING_{setting_name}` | {setting.description} | {default} |\n"
