"""Whole-system fixtures: real processes, real ports."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from housing.paths import PROJECT_ROOT
from tests.support.containers import build_context, podman_environment

__all__ = ["build_context", "podman_environment"]  # fixtures
SMALL_SAMPLE_ARGUMENTS = ["-p", "source=sample", "-p", "sample_rows=2000", "-p", "budget=quick"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_response(url, timeout_seconds=180):
    """The answer's text, tried again until there is one."""
    end = time.monotonic() + timeout_seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def managed_process(*command, **options):
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
def running_service(home, **environment):
    """The service as `make serve` starts it; gives its address."""
    port = str(free_port())
    told = {**os.environ, "HOUSING_HOME": str(home), "HOUSING_PORT": port, **environment}
    with managed_process(sys.executable, "-m", "app", env=told, cwd=home):
        wait_for_response(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"


def post_predict(base_url, body):
    """The parsed answer of POST /predict."""
    request = urllib.request.Request(
        f"{base_url}/predict", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=60).read())


@pytest.fixture(scope="session")
def pipeline_home(tmp_path_factory):
    """A home in which the pipeline ran on a small sample, started from another folder."""
    home = tmp_path_factory.mktemp("piped") / "a home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *SMALL_SAMPLE_ARGUMENTS],
        env={**os.environ, "HOUSING_HOME": str(home)},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (home / "said").write_text(done.stdout)
    return home


@pytest.fixture(scope="session")
def create_postgres_database():
    """A PostgreSQL of our own, run by a user who is not root; gives what makes a new database.

    Installed if it is missing and may be. Its folder is none of pytest's, which are closed to
    other users, and its path is short, as that of a Unix socket must be.
    """
    programs, port, root = _postgres_programs(), str(free_port()), os.getuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if root:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def run(program, *arguments):
        command = [*(["runuser", "-u", "postgres", "--"] if root else []), programs / program]
        subprocess.run([*command, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def new(name):
        run("createdb", "-h", folder, "-p", port, "-U", "me", name)
        return f"postgresql+psycopg://me:hush@/{name}?host={folder}&port={port}"

    try:
        run("initdb", "-D", data, "-U", "me", "--auth=trust", "--no-sync")
        options = f"-k {folder} -p {port} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        yield new
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs():
    def found():
        places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        on_path = shutil.which("initdb")
        return Path(on_path).resolve().parent if on_path else next(reversed(places), None)

    if found() is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
        wanted = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"]
        subprocess.run(
            wanted, capture_output=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        )
    if found() is None:
        pytest.skip(reason="PostgreSQL is not installed, and cannot be by this user here")
    return found()
