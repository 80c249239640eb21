"""Every command where a folder cannot be used, a limit is low or the current folder is gone."""

import errno
import sys
from pathlib import Path

import pytest

from pipeline.cli.os_errors import explain_os_error

# command: whether it only reads
COMMANDS = {
    "explain": True,
    "list": True,
    "runs": True,
    "show latest": True,
    "run --force": False,
    "accept one": False,
    "compare": False,
    "render": False,
    "prune --keep 1": False,
}
SETUPS = {
    "read-only": "mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} || exit 77\n"
    "cd {folder}",
    "full": "mount -t tmpfs -o size=3M none /mnt && cp -a {folder}/. /mnt || exit 77\n"
    "cd /mnt; cat /dev/zero >filler 2>/dev/null",
}


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_used_is_named(number):
    error = OSError(number, "reason", "/home/of/pipeline.lock")
    assert "/home/of:" in explain_os_error(error)


def test_too_many_open_files_name_the_limit():
    assert "ulimit -n" in explain_os_error(OSError(errno.EMFILE, "reason"))


def test_other_errors_are_not_explained():
    assert explain_os_error(OSError(errno.ECONNREFUSED, "reason")) == ""
    assert explain_os_error(PermissionError(errno.EACCES, "a port")) == ""


@pytest.fixture
def finished_project(make_project, make_step):
    """A project of one step, which has run twice."""
    project = make_project(make_step("one", "1"))
    for _ in range(2):
        exit_code, output = project.run("run", "--force")
        assert exit_code == 0, output
    return project


def run_commands(run_in_mount_namespace, folder, setup):
    """Run all commands after the set-up; return command -> exit code, and what they say."""
    package_folder = Path(__file__).parents[3]
    lines = [f"export PYTHONPATH={package_folder}", setup.format(folder=folder)]
    for command in COMMANDS:
        lines.append(f"{sys.executable} run_pipeline.py {command} >/dev/null; echo $? {command}")
    completed = run_in_mount_namespace("\n".join(lines))
    results = (line.split(" ", 1) for line in completed.stdout.splitlines())
    return {command: int(exit_code) for exit_code, command in results}, completed.stderr


@pytest.mark.slow
@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_no_command_fails_with_a_traceback(run_in_mount_namespace, finished_project, setup):
    exit_codes, errors = run_commands(run_in_mount_namespace, finished_project.folder, setup)
    assert exit_codes.keys() == COMMANDS.keys(), errors
    assert "Traceback" not in errors
    for command, only_reads in COMMANDS.items():
        assert exit_codes[command] in ((0,) if only_reads else (0, 2)), (command, errors)
    assert 2 in exit_codes.values()
    assert "another home" in errors


def test_a_deleted_current_folder_is_one_sentence(run_in_mount_namespace, make_project, make_step):
    project = make_project(make_step("one", "1"))
    setup = "mkdir gone && cd gone && rmdir ../gone"
    package_folder = Path(__file__).parents[3]
    completed = run_in_mount_namespace(
        f"cd {project.folder} && {setup} && "
        f"PYTHONPATH={package_folder} {sys.executable} {project.folder}/run_pipeline.py list"
    )
    assert completed.returncode == 2
    assert completed.stderr == "the current folder has been deleted; change to another one first\n"
