"""The README's cron lines, started with the environment that cron gives its jobs."""

import re
import subprocess

import pytest

from housing.monitoring.verdict import Verdict, read_verdict
from housing.paths import PROJECT_ROOT
from tests.support.alert_receivers import WebhookReceiver, serving

pytestmark = pytest.mark.slow
CRON_LINE_PATTERN = re.compile(r"(\S+ ){5} *(?P<command>cd .*monitor.*)")
CRON_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LANG": "C"}


@pytest.fixture
def crontab():
    """The block of the README that is a crontab."""
    text = (PROJECT_ROOT / "README.md").read_text()
    [block] = re.findall(r"^```\n(HOUSING_ALERT_URL=.+?)^```$", text, re.DOTALL | re.MULTILINE)
    return block.splitlines()


def test_cron_s_line_ends_in_a_verdict_and_prints_nothing(crontab, champion_home, tmp_path):
    *settings, line = crontab
    environment = CRON_ENVIRONMENT | dict(setting.split("=", 1) for setting in settings)
    (tmp_path / "california-housing").symlink_to(PROJECT_ROOT)
    with serving(WebhookReceiver()) as webhook:
        environment |= {
            "HOME": str(tmp_path),
            "HOUSING_HOME": str(champion_home),
            "HOUSING_ALERT_URL": webhook.url,
        }
        completed = subprocess.run(
            [environment["SHELL"], "-c", CRON_LINE_PATTERN.fullmatch(line)["command"]],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
    verdict = read_verdict(champion_home / "var" / "monitoring" / "verdict.json")
    assert verdict.verdict == Verdict.FINE  # nobody asked for a prediction yet
    assert webhook.bodies == []
    assert (champion_home / "reports" / verdict.run / "04_monitor.html").is_file()
