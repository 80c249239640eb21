"""The commands that show and change the champion, and what they print."""

import re

from housing.data import splitting
from housing.registry import versions
from tests.conftest import register_candidate
from tests.support.commands import run_command

NAME = "california-housing-sample"


def test_the_history_shows_which_version_was_champion_and_why(two_version_home, capsys):
    assert run_command("champions", []) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{NAME}: version 2 is champion\n")
    first_change = r"UTC  none -> version 1, promoted by \S+\n  why: all \d+ checks passed"
    assert re.search(first_change, output)
    assert "UTC  version 1 -> version 2, promoted by ann\n" in output
    assert f"  MLflow run: {versions.get_champion(NAME).run_id}\n" in output


def test_the_history_shows_challengers_on_request(two_version_home, capsys):
    register_candidate(splitting.read_split(), "tree")
    run_command("champions", [])
    assert "challenger" not in capsys.readouterr().out
    run_command("champions", ["--all"])
    assert "challenger: none -> version 3, refused by ann\n" in capsys.readouterr().out


def test_an_empty_registry_is_reported_in_a_sentence(home, capsys):
    assert run_command("champions", []) == 0
    assert "california-housing has no version yet" in capsys.readouterr().out
    assert not (home / "var" / "mlflow.db").exists()


def test_rollback_and_promotion_print_the_change(two_version_home, capsys):
    assert run_command("rollback", ["--reason", "too dear in Fresno"]) == 0
    output = capsys.readouterr().out
    assert "version 2 -> version 1, rolled back by ann\n  why: too dear in Fresno\n" in output
    assert run_command("promote", ["2", "--reason", "it was the map"]) == 0
    assert "version 1 -> version 2, promoted by hand by ann" in capsys.readouterr().out


def test_a_refusal_is_printed_on_stderr_with_exit_code_1(two_version_home, capsys):
    assert run_command("promote", ["2", "--reason", "again"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"version 2 is the champion of {NAME} already: nothing was changed\n"


def test_a_reason_must_be_given(two_version_home, capsys):
    assert run_command("rollback", []) == 2
    assert "--reason" in capsys.readouterr().err
