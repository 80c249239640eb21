"""The alerts, checked by promtool."""

import shutil
import subprocess

import pytest
import yaml

from housing.paths import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "app" / "prometheus"
PROMTOOL = shutil.which("promtool")
ALERTS = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed here: it comes with the "
                       "package prometheus"),
]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"],
     ["test", "rules", "alerts_test.yml"]],
)  # fmt: skip
def test_promtool_finds_nothing_wrong(arguments):
    completed = subprocess.run([PROMTOOL, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_each_alert_is_tested_to_fire_and_not_to():
    outcomes = {alert["alert"]: set() for alert in ALERTS}
    for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]:
        for rule_test in test["alert_rule_test"]:
            outcomes[rule_test["alertname"]].add(bool(rule_test["exp_alerts"]))
    assert all(fired == {True, False} for fired in outcomes.values()), outcomes


def test_each_alert_has_a_severity_its_value_and_a_command_to_type():
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert "$value" in alert["annotations"]["summary"], alert["alert"]
        assert "`" in alert["annotations"]["runbook"], alert["alert"]
