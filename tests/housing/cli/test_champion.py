"""The commands that show and change the champion, and what they print."""

import json
import re

import pytest

from housing.data import splitting
from housing.prediction_log.feedback import TrueValue
from housing.registry import gate_checks, versions
from housing.tracking import store
from tests.conftest import register_candidate
from tests.support.commands import run_command
from tests.support.logged_predictions import prediction_row, write_log
from tests.support.shadow_answers import record_truths, shadow_answer, write_answers

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


@pytest.fixture
def shadowed_home(two_version_home):
    """A home whose challenger, version 1, has answered 300 rows beside the champion, version 2.

    Returns a function that records their true values, by how much the challenger is off.
    """
    store.client().set_registered_model_alias(NAME, "challenger", "1")
    rows = [
        prediction_row(
            number, input=f'{{"HouseAge": {number}}}', model_name=NAME, model_version="2",
            prediction=2.5,
        )
        for number in range(300)
    ]  # fmt: skip
    log = write_log(two_version_home / "var" / "logs.db", rows)

    def record(challenger_error):
        answer = {"prediction": 2.0 + challenger_error, "version": "1", "model_name": NAME}
        write_answers(log, [shadow_answer(row["id"], **answer) for row in rows])
        record_truths(log, [TrueValue(row["id"], 2.0) for row in rows])

    return record


def test_a_challenger_that_is_better_on_live_rows_is_promoted_with_the_evidence(
    shadowed_home, capsys
):
    shadowed_home(challenger_error=0.2)
    run_command("champions")
    assert re.search(r"challenger: version 1 .*300 rows.*it is better", capsys.readouterr().out)
    assert run_command("promote", ["challenger", "--if-better", "--reason", "as every week"]) == 0
    assert versions.get_champion(NAME).version == "1"
    run_command("champions")
    assert re.search(r"why: as every week; version 1 .*it is better", capsys.readouterr().out)


@pytest.mark.parametrize("challenger_error", [0.5, 0.9])
def test_a_challenger_that_is_not_better_is_not_promoted(shadowed_home, capsys, challenger_error):
    shadowed_home(challenger_error)
    assert run_command("promote", ["1", "--if-better", "--reason", "as every week"]) == 1
    assert "nothing was changed" in capsys.readouterr().out
    assert versions.get_champion(NAME).version == "2"


def test_without_answers_beside_the_champion_nothing_is_promoted_if_better(
    two_version_home, capsys
):
    assert run_command("promote", ["1", "--if-better", "--reason", "as every week"]) == 1
    assert "version 1 has not answered beside the champion yet" in capsys.readouterr().out
    assert run_command("promote", ["challenger", "--reason", "as every week"]) == 2
    assert f"{NAME} has no challenger" in capsys.readouterr().err


def checks_json(*failed_names):
    names = [*failed_names, "test rows"]
    return json.dumps([{"check": name, "passed": name not in failed_names} for name in names])


def test_evidence_stands_in_for_the_gain_and_for_no_other_check():
    interval_check = f"{gate_checks.GAIN_INTERVAL_CHECK} 90% interval, $"
    gain_check = gate_checks.CHAMPION_GAIN_CHECK
    assert gate_checks.lacks_only_gain(checks_json(interval_check, gain_check))
    assert gate_checks.lacks_only_gain(checks_json())
    assert not gate_checks.lacks_only_gain(checks_json(gain_check, "test rows too"))
    for damaged in ("", "[]", "{}", "[1]", "no JSON"):
        assert not gate_checks.lacks_only_gain(damaged)


@pytest.mark.slow
def test_a_challenger_that_the_gate_refused_for_another_reason_is_not_promoted(
    shadowed_home, capsys
):
    shadowed_home(challenger_error=0.2)
    for name, value in (("verdict", "refused"), ("gate", checks_json("median latency"))):
        store.client().set_model_version_tag(NAME, "1", name, value)
    arguments = ["1", "--if-better", "--reason", "as every week"]
    assert run_command("promote", arguments) == 1
    assert "refused by the gate" in capsys.readouterr().err
    gain_json = checks_json(gate_checks.CHAMPION_GAIN_CHECK)
    store.client().set_model_version_tag(NAME, "1", "gate", gain_json)
    assert run_command("promote", arguments) == 0
