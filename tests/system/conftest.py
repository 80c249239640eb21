"""Whole-system fixtures: real processes, real ports."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from housing.paths import CHECKOUT
from tests.system.containers import context, engine

__all__ = ["context", "engine"]  # fixtures
SMALL = ["-p", "source=sample", "-p", "sample_rows=2000", "-p", "budget=quick"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, seconds=180):
    """The answer's text, tried again until there is one."""
    end = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def process(*command, **options):
    """A process of its own group, ended with it."""
    started = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:  # a connection that is kept open, to MLflow's server
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextlib.contextmanager
def service(home, **environment):
    """The service as `make serve` starts it; gives its address."""
    port = str(free_port())
    told = {**os.environ, "HOUSING_HOME": str(home), "HOUSING_PORT": port, **environment}
    with process(sys.executable, "-m", "app", env=told, cwd=home):
        get(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"


def ask(address, body):
    """The parsed answer of POST /predict."""
    request = urllib.request.Request(
        f"{address}/predict", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=60).read())


@pytest.fixture(scope="session")
def piped(tmp_path_factory):
    """A home in which the pipeline ran on a small sample, started from another folder."""
    home = tmp_path_factory.mktemp("piped") / "a home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "run_pipeline.py"), *SMALL],
        env={**os.environ, "HOUSING_HOME": str(home)},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (home / "said").write_text(done.stdout)
    return home
