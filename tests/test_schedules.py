"""How the monitoring is started each day: with cron, with compose and with GitHub Actions."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from housing.paths import PROJECT_ROOT

SECONDS_PER_DAY, SECONDS_PER_HOUR = 86_400, 3_600
SERVICES = yaml.safe_load((PROJECT_ROOT / "compose.yaml").read_text())["services"]
MONITOR, APP = SERVICES["monitor"], SERVICES["app"]
WORKFLOW_TEXT = (PROJECT_ROOT / ".github" / "workflows" / "monitor.yml").read_text()


def mounts(service):
    """Return where each volume of a service is."""
    return {
        volume.split(":")[0]: volume.split(":")[1]
        for volume in service["volumes"]
        if not volume.startswith(".")
    }


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder on the PATH whose `sleep` and `python` note their arguments; sleep fails twice."""
    folder, notes = tmp_path / "bin", tmp_path / "notes"
    folder.mkdir()
    count_sleeps = f"[ $(grep -c ^sleep {notes}) -lt 3 ]"
    for name, last_command in (("sleep", count_sleeps), ("python", "exit 1")):
        script = f'#!/bin/sh\necho {name} "$@" >>{notes}\n{last_command}\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return notes


def test_compose_runs_the_monitoring_at_five_each_day_whatever_its_outcome(programs):
    [script] = MONITOR["command"]
    started_at = time.time()
    subprocess.run([*MONITOR["entrypoint"], script.replace("$$", "$")], timeout=60)
    ended_at = time.time()
    lines = programs.read_text().splitlines()
    assert lines[1::2] == ["python run_pipeline.py monitor --quiet"] * 2  # each fails
    for line in lines[::2]:
        seconds = int(line.removeprefix("sleep "))
        assert 0 < seconds <= SECONDS_PER_DAY
        early, late = ((time_ + seconds) % SECONDS_PER_DAY for time_ in (started_at, ended_at))
        assert early - 1 <= 5 * SECONDS_PER_HOUR <= late + 1


def test_compose_s_monitoring_reads_and_writes_where_the_service_does():
    environment = MONITOR["environment"]
    service_folder = mounts(MONITOR)["served"]
    assert mounts(APP)["served"] == "/srv/housing/var"
    assert environment["HOUSING_DATABASE"] == f"{service_folder}/logs.db"
    assert environment["HOUSING_ARCHIVE"] == f"{service_folder}/archive"
    assert environment["HOUSING_VERDICT"] == f"{service_folder}/monitoring/verdict.json"
    assert (
        not {"HOUSING_DATABASE", "HOUSING_ARCHIVE", "HOUSING_VERDICT"} & APP["environment"].keys()
    )
    assert mounts(MONITOR)["reports"] == mounts(APP)["reports"]
    folders = re.findall(r"^RUN install -d .*", (PROJECT_ROOT / "Dockerfile").read_text(), re.M)
    assert folders[0].split()[-1] == Path(service_folder).name  # its owner is the image's user


def test_compose_s_monitoring_has_the_store_and_the_split_of_the_pipeline():
    pipeline = SERVICES["pipeline"]
    for volume in ("pipeline", "processed", "reports"):
        assert mounts(MONITOR)[volume] == mounts(pipeline)[volume]
    for name in ("MLFLOW_TRACKING_URI", "HOUSING_MLFLOW_PAGES"):
        assert MONITOR["environment"][name] == pipeline["environment"][name]


def test_the_workflow_runs_each_day_where_the_log_is_and_only_if_it_is_switched_on():
    workflow = yaml.safe_load(WORKFLOW_TEXT)
    [cron] = [entry["cron"] for entry in workflow[True]["schedule"]]  # YAML 1.1 takes `on` so
    assert re.fullmatch(r"\d+ \d+ \* \* \*", cron)
    [job] = workflow["jobs"].values()
    assert job["if"] == "vars.HOUSING_HOME != ''"
    assert "self-hosted" in job["runs-on"]
    [environment] = [step["env"] for step in job["steps"] if "run" in step]
    assert environment["HOUSING_ALERT_URL"] == "${{ secrets.HOUSING_ALERT_URL }}"
    assert WORKFLOW_TEXT.count("secrets.") == 1
