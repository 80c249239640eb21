"""What the service shows of the last monitoring run: a route, metrics, and a line of the page."""

import json
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from app.verdict_file import VerdictFile
from benchmarks.support.local_service import sum_metric
from housing.monitoring.quantities import Signal
from housing.monitoring.verdict import verdict_path, write_verdict
from housing.paths import PROJECT_ROOT
from tests.support.monitoring_verdicts import FINE, LOOK, RETRAIN

REPORT = f"reports/{FINE.run}/04_monitor.html"


@pytest.fixture
def save(api):
    """Return a function that writes a verdict, or bytes, to the file of the service."""
    file = Path(api.settings["VERDICT"])

    def write(content):
        if isinstance(content, bytes):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        else:
            write_verdict(file, content)

    yield write
    file.unlink(missing_ok=True)


@pytest.fixture
def report(api):
    """The report of the run, with a file outside the reports."""
    file = Path(api.settings["REPORTS"]).parent / REPORT
    file.parent.mkdir(parents=True)
    file.write_text("the report")
    yield file
    shutil.rmtree(api.settings["REPORTS"])


def metric(api, name, **labels):
    return sum_metric(api.get("/metrics").data, f"housing_monitoring_{name}", **labels)


def test_the_verdict_is_shown_with_the_path_of_its_report(api, save, report):
    save(RETRAIN)
    answer = api.get("/monitoring").json
    assert (answer["verdict"], answer["sentence"]) == ("retrain", RETRAIN.sentence)
    assert [alarm["signal"] for alarm in answer["alarms"]] == ["error", "features"]
    assert answer["report"] == REPORT
    assert api.get(f"/{answer['report']}").text == "the report"


def test_a_report_that_is_not_here_has_no_link(api, save, report):
    report.rename(report.with_name("index.html"))
    save(FINE)
    assert api.get("/monitoring").json["report"] == f"reports/{FINE.run}/index.html"
    for run in ("", "20261130-050000-bbbb", "..", "../reports", f"{FINE.run}/"):
        save(replace(FINE, run=run))
        assert api.get("/monitoring").json["report"] == ""


def test_what_is_not_known_is_left_out(api, save):
    save(replace(FINE, mean_absolute_error_usd=None, coverage=None))
    assert not {"mean_absolute_error_usd", "coverage"} & api.get("/monitoring").json.keys()
    metrics = api.get("/metrics").text
    assert "housing_monitoring_estimated_error_usd 24500.0\n" in metrics
    assert "housing_monitoring_mean_absolute_error_usd" not in metrics


def test_before_the_first_run_the_answer_says_how_to_make_one(api):
    response = api.get("/monitoring")
    assert (response.status_code, response.json["status"]) == (404, 404)
    assert "`python run_pipeline.py monitor`" in response.json["detail"]
    assert metric(api, "unreadable") == 0
    assert "housing_monitoring_timestamp_seconds" not in api.get("/metrics").text
    assert 'id="monitoring"></div>' in api.get("/").text


def test_the_metrics_have_one_verdict_and_each_signal(api, save):
    save(replace(RETRAIN, alarms=(*RETRAIN.alarms, replace(RETRAIN.alarms[0], is_current=False))))
    verdicts = {name: metric(api, "verdict", verdict=name) for name in ("fine", "look", "retrain")}
    assert verdicts == {"fine": 0, "look": 0, "retrain": 1}
    alarms = {signal: metric(api, "alarms", signal=signal) for signal in Signal}
    assert {signal for signal, count in alarms.items() if count} == {"error", "features"}
    assert alarms["error"] == 1  # the other one is over
    created_at = datetime.fromisoformat(RETRAIN.created_at)
    assert metric(api, "timestamp_seconds") == created_at.timestamp()
    assert metric(api, "labelled_rows") == 400
    assert metric(api, "mean_absolute_error_usd") == 25_000
    assert metric(api, "promised_error_usd") == 24_000
    assert metric(api, "coverage_ratio") == 0.9


def test_a_new_verdict_is_seen_at_the_next_scrape(api, save):
    for verdict in (FINE, LOOK, FINE):
        save(verdict)
        assert metric(api, "verdict", verdict="look") == (verdict is LOOK)


DAMAGED = {
    "cut": FINE.to_json().encode()[:200],
    "of another kind": b"[]",
    "binary": b"\xff\xfe",
    "of an unknown verdict": FINE.to_json().replace('"fine"', '"fined"').encode(),
    "without a time": FINE.to_json().replace(FINE.created_at, "today").encode(),
    "with infinite errors": FINE.to_json().replace("24500.0", "Infinity").encode(),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_verdict_is_a_metric_and_a_warning_and_no_error(api, save, block_group, content):
    save(content)
    assert api.get("/").status_code == 200
    assert metric(api, "unreadable") == 1
    assert "housing_monitoring_verdict" not in api.get("/metrics").text
    response = api.get("/monitoring")
    assert response.status_code == 404
    assert "the verdict of the monitoring cannot be read: " in response.json["detail"]
    assert api.messages().count("the verdict of the monitoring cannot be read: ") >= 1
    assert api.post("/predict", json=block_group).status_code == 200
    save(FINE)
    assert (metric(api, "unreadable"), metric(api, "verdict", verdict="fine")) == (0, 1)


def test_a_damaged_verdict_is_reported_once_and_read_once(tmp_path, caplog):
    file = VerdictFile(tmp_path / "verdict.json")
    file.path.write_text("{")
    assert all(file.read().problem for _ in range(3))
    assert len(caplog.records) == 1
    write_verdict(file.path, FINE)
    reading = file.read()
    assert file.read() is reading
    file.path.unlink()
    assert file.read().verdict is None


def test_a_file_that_cannot_be_looked_at_is_a_problem_alone(tmp_path, caplog):
    (tmp_path / "file").touch()
    file = VerdictFile(tmp_path / "file" / "verdict.json")
    assert all("Not a directory" in file.read().problem for _ in range(3))
    assert len(caplog.records) == 1


def test_fields_of_a_later_version_are_ignored(tmp_path):
    file = VerdictFile(tmp_path / "verdict.json")
    file.path.write_text(json.dumps(json.loads(FINE.to_json()) | {"mood": "good"}))
    assert file.read().verdict == FINE


def test_the_run_writes_the_file_that_the_service_s_setting_names(home, tmp_path, monkeypatch):
    assert verdict_path() == home / "var" / "monitoring" / "verdict.json"
    monkeypatch.setenv("HOUSING_VERDICT", str(tmp_path / "verdict.json"))
    assert verdict_path() == tmp_path / "verdict.json"


def test_the_page_says_what_the_monitoring_found_and_links_its_report(api, save, report):
    save(RETRAIN)
    page = api.get("/").text
    assert RETRAIN.sentence.replace("'", "&#39;") in page
    assert f'<a href="/{REPORT}">' in page
    assert 'class="monitoring retrain"' in page
    assert '<time datetime="2026-11-30T05:00:00+00:00">30 November 2026</time>' in page


def test_the_report_has_the_name_of_its_notebook():
    assert (PROJECT_ROOT / "notebooks" / Path(REPORT).with_suffix(".ipynb").name).exists()
