"""The challenger's process is started if it is wanted, and again if it hangs."""

import os
import signal

import psutil
import pytest

from app.settings import load_settings
from app.shadow import supervisor
from app.shadow.status import read_status, status_path
from app.shadow.supervisor import ShadowSupervisor, start_shadow
from benchmarks.support.local_service import wait_until
from housing.paths import PROJECT_ROOT

START_SECONDS = 120.0


def test_no_process_is_started_unless_a_share_is_set(home):
    assert start_shadow(load_settings()) is None


def test_a_model_in_an_image_has_no_challenger(served_champion, caplog, home):
    settings = load_settings() | {"SHADOW_SHARE": 1.0, "SERVING": str(served_champion.folder)}
    assert start_shadow(settings) is None
    assert "HOUSING_SHADOW_SHARE has no effect" in caplog.text


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_started_again(home, log, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "HANG_SECONDS", 20.0)
    monkeypatch.chdir(PROJECT_ROOT)
    shadow_supervisor = ShadowSupervisor(load_settings())
    shadow_supervisor.start()
    try:
        wait_until(lambda: read_status(status_path(log)).starts == 1, START_SECONDS)
        [process] = [
            child
            for child in psutil.Process().children()
            if str(os.getpid()) in child.cmdline() and "app.shadow" in child.cmdline()
        ]
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: read_status(status_path(log)).starts == 2, START_SECONDS)
        assert "has shown no sign of life for 20 s" in caplog.text
        assert not process.is_running()
    finally:
        shadow_supervisor.stop()
    assert not any("app.shadow" in child.cmdline() for child in psutil.Process().children())
