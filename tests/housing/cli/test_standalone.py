"""Commands that run as `python -m ...`: their errors are one line, and an exit code."""

import subprocess
import sys

import pytest

from app.cli import bake, keys
from housing.cli import standalone
from housing.paths import PROJECT_ROOT
from housing.prediction_log.lock import FileLock


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ValueError("a wrong value"), 2),
        (LookupError("no such file"), 2),
        (RuntimeError("no answer"), 1),
        (TimeoutError("the lock is held"), 1),
    ],
)
def test_an_error_of_a_user_is_one_line_and_an_exit_code(capsys, error, exit_code):
    assert standalone.run_command(lambda: fail(error)) == exit_code
    assert capsys.readouterr() == ("", f"{error}\n")


def test_the_exit_code_is_that_of_the_command(capsys):
    assert standalone.run_command(lambda: 7) == 7
    assert standalone.run_command(lambda: fail(KeyboardInterrupt())) == 130
    assert standalone.run_command(lambda: fail(LookupError("none")), wrong_value_code=1) == 1
    capsys.readouterr()


def test_an_error_of_the_code_keeps_its_traceback():
    with pytest.raises(TypeError):
        standalone.run_command(lambda: fail(TypeError()))


def test_a_lock_on_the_keys_that_is_not_released_is_reported(home, capsys, monkeypatch):
    monkeypatch.setattr(keys, "LOCK_TIMEOUT_SECONDS", 0)
    with FileLock(home / "var" / "keys.lock", 0):
        assert keys.main(["list"]) == 1
    assert capsys.readouterr() == ("", "another process holds keys.lock\n")


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (bake.main, [], "the following arguments are required: FOLDER"),
        (bake.main, ["folder", "--modle"], "unrecognized arguments: --modle"),
        (keys.main, [], "the following arguments are required: COMMAND"),
        (keys.main, ["revoek", "ann"], "invalid choice: 'revoek' (choose from"),
        (keys.main, ["add", "ann", "--per-min", "3"], "unrecognized arguments: --per-min 3"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(home, capsys, command, arguments, message):
    with pytest.raises(SystemExit) as error:
        command(arguments)
    output = capsys.readouterr()
    assert error.value.code == 2
    assert message in output.err
    assert (output.out, output.err.count("\n")) == ("", 1)


def test_without_a_champion_nothing_is_baked_and_exit_code_1_says_so(home, capsys, tmp_path):
    assert bake.main([str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--from", "none.db"], 2, "--from is 'none.db', expected a log"),
        (["--folow"], 2, "unrecognized arguments: --folow"),
        ([], 0, "nothing is logged yet"),
    ],
)
def test_in_the_image_the_log_is_read_without_the_runner(home, arguments, exit_code, message):
    command = [sys.executable, "-m", "housing.cli.logs", *arguments]
    completed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert (completed.returncode, completed.stdout) == (exit_code, "")
    assert message in completed.stderr
    assert completed.stderr.count("\n") == 1


def test_in_the_image_there_is_no_rich(home):
    """The service's lock has none: the commands that run there import neither it nor the runner."""
    code = "import sys; sys.modules['rich'] = sys.modules['pipeline'] = None; "
    code += "import runpy; runpy.run_module('housing.cli.logs', run_name='__main__')"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True
    )
    assert (completed.returncode, "nothing is logged yet" in completed.stderr) == (0, True)
