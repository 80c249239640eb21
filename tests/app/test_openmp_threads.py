"""Each process of the service uses one OpenMP thread, whatever starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app import limit_openmp_threads
from housing.paths import PROJECT_ROOT
from tests.support.processes import free_port, managed_process, wait_for_response

# what a WSGI server such as gunicorn does: import the package, then call the factory
WSGI_SERVER_SCRIPT = "from app import create_app; create_app()"
BAKE_SCRIPT = "from app.cli import bake; bake.main(['baked'])"
# prints how many threads each OpenMP library of the process would use, by the library's file
PRINT_THREADS = """
import json, os.path, threadpoolctl
libraries = threadpoolctl.ThreadpoolController().select(user_api="openmp").info()
print(json.dumps({os.path.realpath(info["filepath"]): info["num_threads"] for info in libraries}))
"""


def variables_without_limit() -> dict[str, str]:
    """Return the variables of this process without the number of OpenMP threads."""
    return {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def openmp_threads(script: str, home: Path, **variables: str) -> set[int]:
    """Run a script; return how many threads its OpenMP libraries would use then."""
    completed = subprocess.run(
        [sys.executable, "-c", script + PRINT_THREADS],
        cwd=home,
        env=variables_without_limit() | {"PYTHONPATH": str(PROJECT_ROOT)} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(completed.stdout.splitlines()[-1]).values())


@pytest.mark.parametrize(("chosen", "expected"), [(None, "1"), ("3", "3")])
def test_one_thread_is_used_unless_the_operator_has_chosen(monkeypatch, chosen, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # restored after the test
    monkeypatch.delenv("OMP_NUM_THREADS")
    if chosen:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    limit_openmp_threads()
    assert os.environ["OMP_NUM_THREADS"] == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", [WSGI_SERVER_SCRIPT, BAKE_SCRIPT], ids=["create_app", "app.cli.bake"]
)
def test_openmp_is_loaded_with_one_thread(script, home):
    assert openmp_threads(script, home) == {1}


@pytest.mark.slow
def test_the_operator_may_choose_the_number_of_threads(home):
    assert openmp_threads(WSGI_SERVER_SCRIPT, home, OMP_NUM_THREADS="3") == {3}


@pytest.mark.slow
def test_a_worker_starts_with_one_openmp_thread(home):
    """Its variables are read as they were when it started, before it loaded any library."""
    port = str(free_port())
    variables = variables_without_limit() | {"HOUSING_PORT": port, "HOUSING_WORKERS": "1"}
    with managed_process(sys.executable, "-m", "app", env=variables, cwd=PROJECT_ROOT) as service:
        wait_for_response(f"http://127.0.0.1:{port}/health")
        workers = [
            child
            for child in psutil.Process(service.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert [worker.environ()["OMP_NUM_THREADS"] for worker in workers] == ["1"]
