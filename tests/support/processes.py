"""Real processes on real ports: start them, wait for them, end them, ask them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SMALL_SAMPLE_ARGUMENTS = ["-p", "source=sample", "-p", "sample_rows=2000", "-p", "budget=quick"]


def free_port() -> int:
    """Return a port of this machine that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_response(url: str, timeout_seconds: float = 180) -> str:
    """Return the text of a page, asking again until there is an answer.

    Raises OSError once the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def managed_process(*command: str | Path, **options: Any) -> Iterator[subprocess.Popen]:
    """Run a command in a process group of its own, and end the group with the block.

    options: keyword arguments of `subprocess.Popen`.
    """
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # a connection that is kept open, to MLflow's server
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def running_service(home: Path, **environment: str) -> Iterator[str]:
    """Run the service as `make serve` starts it; yield its address."""
    port = environment.get("HOUSING_PORT") or str(free_port())
    variables = {**os.environ, "HOUSING_HOME": str(home), "HOUSING_PORT": port, **environment}
    with managed_process(sys.executable, "-m", "app", env=variables, cwd=home):
        wait_for_response(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"


def post_predict(base_url: str, body: Any) -> Any:
    """Return the parsed answer of POST /predict."""
    request = urllib.request.Request(
        f"{base_url}/predict", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=60).read())
