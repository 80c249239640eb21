"""The file of the last verdict: what is written is read again, and damage is named."""

from dataclasses import replace

import pytest

from housing.monitoring.verdict import (
    Alarm,
    MonitoringVerdict,
    Verdict,
    read_verdict,
    update_verdict,
    write_verdict,
)

ALARM = Alarm("error", "error", "region: Bay Area", "It grew.", "2026-11-01", "2026-11-03", True)
MONITORING_VERDICT = MonitoringVerdict(
    Verdict.RETRAIN, "Retrain.", "california-housing", "3", "2026-10-01", "2026-11-30",
    "2026-11-30T06:00:00+00:00", 1.0, 5_000, 400, (ALARM,),
)  # fmt: skip


def test_a_written_verdict_is_read_again(tmp_path):
    file = tmp_path / "monitoring" / "verdict.json"
    write_verdict(file, replace(MONITORING_VERDICT, verdict=Verdict.FINE, alarms=()))
    write_verdict(file, MONITORING_VERDICT)
    assert read_verdict(file) == MONITORING_VERDICT
    assert [path.name for path in file.parent.iterdir()] == ["verdict.json"]


def test_without_a_file_there_is_no_verdict(tmp_path):
    assert read_verdict(tmp_path / "verdict.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"verdict": "good", "alarms": []}', "\udc80"])
def test_a_damaged_file_is_named(tmp_path, text):
    file = tmp_path / "verdict.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"verdict\.json is damaged"):
        read_verdict(file)


def test_retrain_is_worse_than_look():
    assert Verdict.RETRAIN.severity > Verdict.LOOK.severity > Verdict.FINE.severity == 0


def test_a_report_on_the_past_leaves_the_verdict_of_today(tmp_path):
    file = tmp_path / "verdict.json"
    past = replace(MONITORING_VERDICT, verdict=Verdict.FINE, alarms=(), until="2026-10-31")
    assert update_verdict(file, past)
    assert update_verdict(file, MONITORING_VERDICT)
    assert not update_verdict(file, past)
    assert read_verdict(file) == MONITORING_VERDICT


def test_a_new_report_takes_the_place_of_a_damaged_file_and_of_one_of_the_same_day(tmp_path):
    file = tmp_path / "verdict.json"
    file.write_text("{")
    assert update_verdict(file, MONITORING_VERDICT)
    changed_verdict = replace(MONITORING_VERDICT, labelled_count=401)
    assert update_verdict(file, changed_verdict)
    assert read_verdict(file) == changed_verdict
