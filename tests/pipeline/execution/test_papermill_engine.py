"""papermill's command with our engine, without the runner: the record is true there too."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points

import pytest
from papermill.engines import Engine, papermill_engines

RUN_PAPERMILL = [sys.executable, "-m", "papermill", "--engine", "pipeline", "--no-progress-bar"]


@pytest.fixture
def run_papermill(make_notebook, tmp_path):
    """Run a notebook; return the exit code, and the executed notebook."""

    def run(*cells, options=(), stop_after_output=""):
        notebook = make_notebook("one", *cells, parameters="x = 1")
        executed = tmp_path / "out.ipynb"
        temporary_folder = tmp_path / ("x" * 120)  # too long a path for a socket in it
        temporary_folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [*RUN_PAPERMILL, notebook, executed, "-p", "x", "3", *options],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(temporary_folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # a shell that starts the tests in the background has it ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 60
        while stop_after_output and time.monotonic() < deadline:
            if executed.exists() and stop_after_output in executed.read_text():
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.05)
        process.communicate(timeout=60)
        return process.returncode, json.loads(executed.read_text())

    return run


def cell_states(notebook):
    """Return the statuses of the cells that papermill did not add itself."""
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in notebook["cells"]]
    return [state for state in states if state]


def test_papermill_and_jupyter_client_find_what_is_registered():
    assert issubclass(papermill_engines.get_engine("pipeline"), Engine)
    [provisioner] = entry_points(
        group="jupyter_client.kernel_provisioners", name="pipeline-provisioner"
    )
    assert provisioner.load().__name__ == "ForkProvisioner"


@pytest.mark.slow
def test_a_killed_kernel_is_recorded_with_all_that_it_printed(run_papermill):
    kill = "print('x is', x); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    exit_code, notebook = run_papermill(kill, "2")
    assert exit_code != 0
    assert cell_states(notebook) == ["completed"] * 3 + ["killed", "not run"]
    assert notebook["metadata"]["papermill"]["exception"] is True
    assert notebook["cells"][3]["outputs"][0]["text"] == "x is 3\n"


@pytest.mark.slow
def test_ctrl_c_is_recorded_with_the_place_where_the_cell_was(run_papermill):
    exit_code, notebook = run_papermill(
        "import time; print('u' + 'p', flush=True); time.sleep(60)", "2", stop_after_output="up"
    )
    assert exit_code != 0
    assert cell_states(notebook) == ["completed"] * 3 + ["killed", "not run"]
    assert notebook["cells"][3]["outputs"][-1]["ename"] == "KeyboardInterrupt"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "options", "states"),
    [
        ("print(x)", [], ["completed"] * 5),
        ("1 / 0", [], ["completed"] * 3 + ["failed", "not run"]),
        ("exit()", [], ["completed"] * 4 + ["not run"]),
        ("exit(1)", [], ["completed"] * 3 + ["failed", "not run"]),
        (
            "import time; time.sleep(60)",
            ["--execution-timeout", "1"],
            ["completed"] * 3 + ["timed out", "not run"],
        ),
    ],
)
def test_each_end_is_recorded(run_papermill, cell, options, states):
    exit_code, notebook = run_papermill(cell, "2", options=options)
    assert (exit_code == 0) is ("failed" not in states and "timed out" not in states)
    assert cell_states(notebook) == states
    assert os.path.basename(notebook["metadata"]["papermill"]["output_path"]) == "out.ipynb"  # noqa: PTH119
