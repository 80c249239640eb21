"""The alerts, judged by Prometheus' own tool."""

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
    done = subprocess.run([PROMTOOL, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_to_fire_and_not_to():
    found = {one["alert"]: set() for one in ALERTS}
    for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]:
        for one in test["alert_rule_test"]:
            found[one["alertname"]].add(bool(one["exp_alerts"]))
    assert all(one == {True, False} for one in found.values()), found


def test_each_alert_says_how_bad_it_is_its_value_and_what_to_type():
    for one in ALERTS:
        assert one["labels"]["severity"] in ("page", "ticket")
        assert "$value" in one["annotations"]["summary"], one["alert"]
        assert "`" in one["annotations"]["runbook"], one["alert"]
