"""A simulated quarter: prices rise, the monitoring says so, a retraining repairs it.

The real service, its log and the real notebooks; only the clock is simulated.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from benchmarks.support.local_service import wait_until
from benchmarks.support.simulated_days import SimulatedDays
from housing.data.synthetic import generate_sample
from housing.monitoring import verdict
from housing.monitoring.verdict import Verdict
from housing.paths import PROJECT_ROOT
from housing.registry import versions
from housing.schema import HOUSE_VALUE_CAP, TARGET
from tests.support.processes import running_service, wait_for_response

pytestmark = pytest.mark.slow
SAMPLE = ["-p", "source=sample", "-p", "sample_rows=6000", "-p", "budget=quick"]
N_WEEKS, CHANGED_WEEK = 13, 9
ROWS_PER_DAY = 60
PRICE_RISE = 1.15
MODEL_NAME = "california-housing-sample"
SWAP_TIMEOUT_SECONDS = 60


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a home with a champion, which is this process's home too."""
    monkeypatch.setenv("HOUSING_HOME", str(tmp_path))
    run_pipeline(0, *SAMPLE)
    return tmp_path


def run_pipeline(exit_code, *arguments):
    completed = subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *arguments],
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == exit_code, completed.stdout + completed.stderr
    return completed.stdout


def draw_block_groups(n_rows, seed):
    """Return fresh rows of the sample, none of which the pipeline has seen."""
    return generate_sample(n_rows, seed=1_000 + seed)


def mean_absolute_error(predictions, truths):
    return float(np.abs(predictions - truths).mean())


def monitor(first_day, last_day, exit_code=0, *arguments):
    run_pipeline(
        exit_code, "monitor", "-p", f"since={first_day}", "-p", f"until={last_day}", *arguments
    )
    return verdict.read_verdict(verdict.verdict_path())


def test_a_quarter_with_a_rise_of_prices(home):
    started_at = datetime.now(UTC)
    first_day = started_at.date() - timedelta(weeks=N_WEEKS + 1)
    changed_day = first_day + timedelta(weeks=CHANGED_WEEK)
    with running_service(home) as url:
        wait_for_response(f"{url}/ready")
        days = SimulatedDays(url, home / "var" / "logs.db", started_at.isoformat())
        send_quarter(days, first_day, changed_day)

        before = monitor(first_day, changed_day - timedelta(days=1))
        assert before.verdict == Verdict.FINE, before
        # in the week in which it starts
        after = monitor(first_day, changed_day + timedelta(days=6), 3, "--fail-on", "retrain")
        assert after.verdict == Verdict.RETRAIN
        alarm = after.alarms[0]
        assert (alarm.signal, alarm.group) == ("error", "")
        assert alarm.effect_usd < -10_000
        assert changed_day.isoformat() <= alarm.alarm_day
        begun = datetime.fromisoformat(alarm.first_day).date()
        assert abs((begun - changed_day).days) <= 2

        test_rows = draw_block_groups(1_000, seed=0)
        truths = np.minimum(test_rows[TARGET] * PRICE_RISE, HOUSE_VALUE_CAP).to_numpy()
        day = started_at.date()
        error_before = mean_absolute_error(days.predict(day, test_rows).prediction, truths)
        run_pipeline(0, "run", "-p", "labelled=yes", *SAMPLE)
        champion = versions.get_champion(MODEL_NAME)
        assert champion.version == "2"

        def is_swapped():
            [version] = days.predict(day, test_rows[:1]).model_version
            return version == champion.version

        wait_until(is_swapped, SWAP_TIMEOUT_SECONDS)
        error_after = mean_absolute_error(days.predict(day, test_rows).prediction, truths)
        assert error_after < 0.9 * error_before


def send_quarter(days, first_day, changed_day):
    """Send the requests of each day, and the true values of the day before."""
    earlier_ids, earlier_truths = pd.Series(dtype=str), np.empty(0)
    for number in range(N_WEEKS * 7):
        day = first_day + timedelta(days=number)
        rows = draw_block_groups(ROWS_PER_DAY, seed=1 + number)
        factor = PRICE_RISE if day >= changed_day else 1.0
        if len(earlier_ids):
            days.give_truths(day, earlier_ids, earlier_truths)
        earlier_ids = days.predict(day, rows).id
        earlier_truths = np.minimum(rows[TARGET] * factor, HOUSE_VALUE_CAP).to_numpy()
