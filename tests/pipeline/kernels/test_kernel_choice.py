"""Another kernel in place of the one that a notebook names."""

import pytest

from pipeline import main
from pipeline.definition.steps import Step
from pipeline.kernels import kernel_choice
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.reasons import ReasonKind
from pipeline.staleness.source_code import cell_hashes


@pytest.fixture
def foreign_step(make_step):
    """A step whose notebook names a kernel that is not installed."""
    step = make_step("odd", "1")
    step.notebook.write_text(step.notebook.read_text().replace("python3", "other-env"))
    return step


def test_a_choice_for_a_step_wins_over_one_for_all(make_step, monkeypatch):
    monkeypatch.setattr(kernel_choice, "is_installed", lambda kernel: True)
    steps = kernel_choice.apply([make_step("a", "1"), make_step("b", "1")], ["b=ir", "env"])
    assert [step.kernel for step in steps] == ["env", "ir"]


def test_an_unknown_step_or_kernel_is_named(make_step):
    steps = [make_step("prep", "1")]
    with pytest.raises(ValueError, match="there is no step 'pre'; did you mean 'prep'"):
        kernel_choice.apply(steps, ["pre=python3"])
    with pytest.raises(ValueError, match="--kernel nope: the kernel 'nope' is not installed here"):
        kernel_choice.apply(steps, ["nope"])


def test_an_uninstalled_kernel_is_an_error_before_the_run(home, foreign_step, make_step, capsys):
    assert main([make_step("first", "1"), foreign_step], home, []) == 2
    message = capsys.readouterr().err
    assert "odd.ipynb: the kernel 'other-env' is not installed here, but python3" in message
    assert "--kernel odd=NAME" in message
    assert not (home / "var" / "runs").exists()


def test_each_name_that_jupyter_takes_for_an_installed_kernel_is_known(tmp_path, monkeypatch):
    kernel_folder = tmp_path / "kernels" / "ir"
    kernel_folder.mkdir(parents=True)
    (kernel_folder / "kernel.json").write_text("{}")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    names = ("python3", "python", "Python3", "ir", "IR", "r")
    assert [name for name in names if kernel_choice.is_installed(name)] == [*names[:-1]]


def test_another_kernel_is_a_reason_to_run_again(foreign_step):
    code = cell_hashes(foreign_step.notebook)
    assert code["the kernel's name"] == "other-env"
    chosen_code = cell_hashes(foreign_step.notebook, "python3")
    [reason] = Fingerprint(code=chosen_code).diff(Fingerprint(code=code))
    assert (reason.kind, reason.name) == (ReasonKind.CELL, "the kernel's name")


@pytest.mark.slow
def test_a_notebook_of_another_kernel_runs_in_the_one_of_the_command_line(
    home, foreign_step, capsys
):
    assert main([foreign_step], home, ["--kernel", "python3"]) == 0
    assert main([foreign_step], home, ["explain", "--kernel", "odd=python3"]) == 0
    assert "skip" in capsys.readouterr().out


def test_the_kernel_is_a_field_of_a_step(tmp_path):
    assert Step("one", tmp_path / "one.ipynb").kernel == ""
