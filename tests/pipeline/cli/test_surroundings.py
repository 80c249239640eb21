"""Commands under odd surroundings: closed streams, a long TMPDIR, damaged records."""

import subprocess
import sys

import pytest


@pytest.fixture
def run_in_shell(make_project, make_step):
    """Run a command of a project with one step in a shell; return the completed process."""
    project = make_project(make_step("one", "1"))

    def run(command, **environment):
        script = f"{sys.executable} run_pipeline.py {command}"
        variables = "".join(f"{name}={value} " for name, value in environment.items())
        return subprocess.run(
            ["sh", "-c", variables + script],
            cwd=project.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(run_in_shell, redirection):
    completed = run_in_shell(f"list {redirection}")
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
    assert run_in_shell(f"show nothing {redirection}").returncode == 2


def test_a_long_tmpdir_and_a_damaged_record_do_not_stop_a_run(run_in_shell, tmp_path):
    temporary_folder = tmp_path / ("x" * 120)
    temporary_folder.mkdir()
    completed = run_in_shell("run", TMPDIR=temporary_folder)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    [record] = (tmp_path / "var" / "runs").glob("*/run.json")
    record.write_text("")
    for command in ("run --quiet", "run --json", "runs"):
        completed = run_in_shell(command)
        assert completed.returncode == 0, completed.stderr
        assert "Traceback" not in completed.stderr
    for command in ("show latest", "compare", "render", "prune --keep 1"):
        completed = run_in_shell(command)
        assert completed.returncode == 2
        assert f"{record} is not the record of a run" in completed.stderr
