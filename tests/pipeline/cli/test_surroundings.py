"""Every command under odd surroundings: it simply works, or says in a sentence what to do."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from pipeline import Step, main
from tests.pipeline.conftest import PipelineProject, write_notebook
from tests.support.forked_commands import CLOSED, Command, run_commands

# a newline, markup, and a byte that is no UTF-8
FOLDER_NAME = os.fsdecode(b"it's 50% #1\n<b>\"\xff \xc3\xa4\xf0\x9f\x98\x80")
NOTEBOOK_NAME = "one two#%2e'"
WRITE_FILE = "open('Größe_😀 #1%.txt', 'w', encoding='utf-8').write('ä')"
ASCII_LOCALE = {
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
RUN, FORCE, ACCEPT, PRUNE = "run", "run --force", "accept one", "prune --keep 1"
EXPLAIN, LIST, RUNS, SHOW = "explain", "list", "runs", "show latest"
COMPARE, RENDER = "compare", "render"
# the last one deletes what the others read
COMMANDS = (EXPLAIN, LIST, "--help", RUNS, SHOW, RUN, ACCEPT, COMPARE, RENDER, PRUNE)


def change_mode(mode, *names):
    """Return a function that changes the mode of everything in folders, or of a file."""

    def change(folder):
        for name in names:
            subprocess.run(["chmod", "-R", mode, folder / name], check=True)

    return change


def damage(pattern, content):
    """Return a function that overwrites the newest file of a pattern."""

    def overwrite(folder):
        max(folder.glob(pattern)).write_bytes(content)

    return overwrite


def replace_by_file(name):
    """Return a function that puts a file in the place of a folder."""

    def replace(folder):
        shutil.rmtree(folder / name)
        (folder / name).touch()

    return replace


@dataclass
class Surroundings:
    """What is odd, and which commands say what about it."""

    prepare: object = None  # called with the folder of the project
    failing: tuple[str, ...] = ()  # the commands that fail; all others succeed
    message: str = ""  # of each command that fails
    exit_code: int = 2
    options: dict = field(default_factory=dict)  # of Command
    commands: tuple[str, ...] = COMMANDS


PERMISSION = "permission denied; change its owner or its mode, or use another home"
ALL_BUT_RUN = tuple(command for command in (*COMMANDS, FORCE) if command != RUN)
USER = {"privileged": False}
SURROUNDINGS = {
    "nothing may be written": Surroundings(
        change_mode("a-w", "var", "reports", ""),
        (FORCE, ACCEPT, COMPARE, RENDER, PRUNE),
        PERMISSION,
        options=USER,
        commands=ALL_BUT_RUN,
    ),
    "var may not be written": Surroundings(
        change_mode("a-w", "var"), (FORCE, ACCEPT, PRUNE), PERMISSION, 2, USER, ALL_BUT_RUN
    ),
    "var may not be read": Surroundings(
        change_mode("000", "var"),
        (EXPLAIN, RUNS, SHOW, RUN, ACCEPT, COMPARE, RENDER, PRUNE),
        "/var: permission denied",
        options=USER,
    ),
    "reports may not be written": Surroundings(
        change_mode("a-w", "reports"),
        (FORCE, COMPARE, RENDER, PRUNE),
        PERMISSION,
        options=USER,
        commands=ALL_BUT_RUN,
    ),
    "the notebook may not be read": Surroundings(
        change_mode("000", f"{NOTEBOOK_NAME}.ipynb"),
        (EXPLAIN, RUN, ACCEPT),
        f"the file {{folder}}/{NOTEBOOK_NAME}.ipynb: permission denied",
        options=USER,
        commands=(EXPLAIN, LIST, "--help", RUNS, SHOW, RUN, ACCEPT),
    ),
    "var is a file": Surroundings(
        replace_by_file("var"),
        (FORCE, ACCEPT, PRUNE),
        "/var: expected a folder, but it is a file",
        commands=(EXPLAIN, LIST, RUNS, FORCE, ACCEPT, PRUNE),
    ),
    "the newest record is empty": Surroundings(
        damage("var/runs/*/run.json", b""),
        (SHOW, COMPARE, RENDER, PRUNE),
        "/run.json is not the record of a run",
    ),
    "an executed notebook is damaged": Surroundings(
        damage("var/runs/*/*.ipynb", b"[]"),
        (COMPARE, RENDER),
        "is no executed notebook any more",
        commands=(EXPLAIN, SHOW, RUN, COMPARE, RENDER),
    ),
    "a state is damaged": Surroundings(
        damage("var/steps/*.json", b"\xff"),
        (ACCEPT,),
        "step one cannot be accepted",
        commands=(EXPLAIN, LIST, RUNS, SHOW, ACCEPT),
    ),
    "stdout is full": Surroundings(
        None,
        COMMANDS,
        "the output cannot be written: No space left on device",
        exit_code=1,
        options={"stdout": "/dev/full"},
        commands=(EXPLAIN, LIST, "--help", RUNS, SHOW, RUN, ACCEPT, RENDER, "run --quiet"),
    ),
    "stdout is closed": Surroundings(
        options={"stdout": CLOSED}, commands=(EXPLAIN, LIST, "--help", RUNS, SHOW, RUN, ACCEPT)
    ),
    "few files may be open": Surroundings(
        None,
        (FORCE,),
        "only 64 files here, and a kernel needs",
        options={"max_open_files": 64},
        commands=(EXPLAIN, LIST, SHOW, FORCE),
    ),
}


@pytest.fixture(scope="module")
def finished_project(tmp_path_factory):
    """A project that has run twice under all oddities at once which a run does not mind."""
    folder = tmp_path_factory.mktemp("odd") / FOLDER_NAME
    folder.mkdir()
    notebook = write_notebook(folder, NOTEBOOK_NAME, "print('Größe 😀')", WRITE_FILE)
    text = notebook.read_text().replace("\n", "\r\n")
    notebook.write_text(text, encoding="utf-8-sig")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    project = PipelineProject(folder, [Step("one", notebook)])
    temporary_folder = folder.parent / ("x" * 120)
    temporary_folder.mkdir()
    surroundings = {
        **ASCII_LOCALE,
        "TMPDIR": str(temporary_folder),
        "HOME": "/nonexistent",
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
    }
    previous_umask = os.umask(0o077)
    try:
        project.results = [project.run(*FORCE.split(), **surroundings) for _ in range(2)]
    finally:
        os.umask(previous_umask)
    return project


@pytest.mark.slow
def test_a_run_minds_no_odd_name_locale_home_or_owner(finished_project):
    for exit_code, output in finished_project.results:
        assert exit_code == 0, output
        assert "git config --global --add safe.directory '/" in output
    assert "Größe 😀" in finished_project.report_html(NOTEBOOK_NAME)
    for environment in ({}, ASCII_LOCALE):
        assert "nothing to do" in finished_project.run("run", **environment)[1]


@pytest.mark.slow
def test_no_command_fails_with_a_traceback(finished_project, tmp_path):
    commands = []
    for name, surroundings in SURROUNDINGS.items():
        folder = shutil.copytree(finished_project.folder, tmp_path / name, symlinks=True)
        if surroundings.prepare:
            surroundings.prepare(folder)
        make_command = partial(Command, folder=str(folder), **surroundings.options)
        commands += [make_command(command.split()) for command in surroundings.commands]
    results = iter(run_commands(commands))
    for name, surroundings in SURROUNDINGS.items():
        message = surroundings.message.format(folder=tmp_path / name)
        check_results(name, surroundings, message, results)


def check_results(name, surroundings, message, results):
    for command in surroundings.commands:
        result = next(results)
        is_failing = command in surroundings.failing
        assert "Traceback" not in result.stderr, (name, command, result)
        exit_code = surroundings.exit_code if is_failing else 0
        assert result.exit_code == exit_code, (name, command, result)
        if is_failing:
            assert message in result.stderr, (name, command, result)
            assert result.stderr.count("\n") <= 1, (name, command, result)


NO_MOUNT_EXIT_CODE = 77
MOUNTS = """
mount --bind {read_only} {read_only} && mount -o remount,ro,bind {read_only} || exit 77
mount -t tmpfs -o size=3M none /mnt && cp -a {full}/. /mnt || exit 77
cat /dev/zero >/mnt/filler 2>/dev/null
"""
MOUNTED_COMMANDS = (EXPLAIN, LIST, RUNS, SHOW, FORCE, ACCEPT, COMPARE, RENDER, PRUNE)


@pytest.mark.slow
def test_no_command_fails_with_a_traceback_on_a_read_only_or_full_disk(finished_project, tmp_path):
    for name in ("read_only", "full"):
        shutil.copytree(finished_project.folder, tmp_path / name, symlinks=True)
    setup = MOUNTS.format(read_only=tmp_path / "read_only", full=tmp_path / "full")
    folders = {"read-only": str(tmp_path / "read_only"), "full": "/mnt"}
    commands = [
        Command(command.split(), folder)
        for folder in folders.values()
        for command in MOUNTED_COMMANDS
    ]
    try:
        results = iter(run_commands(commands, setup))
    except subprocess.CalledProcessError as error:
        if error.returncode != NO_MOUNT_EXIT_CODE and "unshare" not in error.stderr:
            raise AssertionError(error.stderr) from error
        pytest.skip(reason=f"no file system can be mounted here: {error.stderr}")
    reading = MOUNTED_COMMANDS[:4]
    for name, folder in folders.items():
        for command in MOUNTED_COMMANDS:
            result = next(results)
            assert "Traceback" not in result.stderr, (name, command, result)
            exit_codes = (0,) if command in reading else (0, 2)
            assert result.exit_code in exit_codes, (name, command, result)
            if result.exit_code:
                assert f"cannot use the folder {folder}" in result.stderr
                assert name in result.stderr
                assert "another home" in result.stderr
            elif command == FORCE:
                raise AssertionError((name, result))


def test_a_deleted_current_folder_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    Path("../gone").rmdir()
    assert main([], tmp_path, ["list"]) == 2
    message = "the current folder has been deleted; change to another one first\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_closed_streams_are_no_failure(make_project, make_step, redirection):
    project = make_project(make_step("one", "1"))
    script = f"'{sys.executable}' run_pipeline.py show nothing {redirection}"
    completed = subprocess.run(
        ["sh", "-c", script], cwd=project.folder, capture_output=True, text=True
    )
    assert (completed.returncode, completed.stdout) == (2, "")
