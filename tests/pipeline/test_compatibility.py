"""Runs that commit a728a4f recorded: listed, shown, rendered, compared, pruned and gone on with."""

import json
import platform
import re
import subprocess
import sys

import pytest

from pipeline import Step, main
from tests.artifacts.before_packages.former_home import (
    copy_home,
    index_rows,
    page_facts,
    page_text,
)

RUN_PIPELINE = """
import sys
from pathlib import Path

from pipeline import Step, main

HERE = Path(__file__).parent
STEPS = [
    Step("prep", HERE / "prep.ipynb"),
    Step("train", HERE / "train.ipynb", external_state=lambda: {"tracking store": "1732700000"}),
    Step("check", HERE / "check.ipynb", retries=1),
]
sys.exit(main(STEPS, HERE, grouping_fact="data"))
"""
RUNS = ("done", "sweep", "failed", "retried", "reused")
FACTS = {
    "data": "Generated sample, 3 block groups, sha256 0348fd1903ed",
    "champion": "california-housing-sample version 2",
}
NOTICE = "A GENERATED SAMPLE, not the real data"
# what the pages and `prune` say in other words since
PRESENT_LABELS = {"the same step before": "previous report of this step"}
PRESENT_WORDS = {
    "stays:": "kept:",
    "would go:": "would be deleted:",
    "is up to date since": "is up to date since this run",
}
# the hash of code is one of the syntax tree, which each version of Python prints in its own way
same_python = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the states were written by Python 3.11"
)


class FormerProject:
    """A copy of a project with its runs."""

    def __init__(self, name, folder):
        self.former_home = copy_home(name, folder)
        self.folder = folder
        (folder / "run_pipeline.py").write_text(RUN_PIPELINE)
        for file in (folder / "var" / "steps").glob("*.json"):
            state = json.loads(file.read_text())
            if "packages" in state:
                state["packages"]["python"] = platform.python_version()
                file.write_text(json.dumps(state))
        self.steps = [
            Step("prep", folder / "prep.ipynb"),
            Step("train", folder / "train.ipynb", external_state=read_store_identity),
            Step("check", folder / "check.ipynb", retries=1),
        ]

    def expected_text(self, name):
        """Return what the version before printed, but for durations of what did not run or end."""
        text = self.former_home.expected_text(name)
        text = re.sub(r"(?m)^(\w+: not run), 0\.0 s$", r"\1", text)
        return text.replace("  ValueError: the seed", "  in cell 5: ValueError: the seed")

    def expected_json(self, name):
        return json.loads((self.former_home.expected / f"{name}.json").read_text())

    def command(self, *arguments):
        """Return the exit code of a command line."""
        return main(self.steps, self.folder, [*arguments], grouping_fact="data")

    def run(self, *arguments):
        """Run the pipeline in a process; return the exit code and the output."""
        completed = subprocess.run(
            [sys.executable, "run_pipeline.py", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return completed.returncode, completed.stdout

    def report(self, name):
        return (self.folder / "reports" / name).read_text()


def read_store_identity():
    return {"tracking store": "1732700000"}


@pytest.fixture
def project(tmp_path):
    return FormerProject("pipeline_home", tmp_path / "a project")


@pytest.fixture
def killed_project(tmp_path):
    """The project whose runner was killed while the second step ran."""
    return FormerProject("killed_home", tmp_path / "a project")


def present_facts(facts):
    return {PRESENT_LABELS.get(label, label): text for label, text in facts.items()}


def test_the_runs_are_listed_as_before(project, capsys):
    assert project.command("runs") == 0
    assert capsys.readouterr().out == project.expected_text("runs")


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_shown_as_before(project, capsys, name):
    assert project.command("show", project.expected_json("runs")[name]) == 0
    assert capsys.readouterr().out == project.expected_text(f"show_{name}")


@pytest.mark.parametrize("name", RUNS)
def test_the_pages_of_a_run_show_the_facts_of_before(project, capsys, name):
    run_id = project.expected_json("runs")[name]
    assert project.command("render", run_id) == 0
    pages = {
        page: facts
        for page, facts in project.expected_json("pages").items()
        if page.startswith(run_id)
    }
    # the report of the step before is named if its page is there
    for page in pages.values():
        page.pop("the same step before", None)
    assert len(pages) >= 4
    for page, former_facts in pages.items():
        facts = page_facts(project.report(page))
        assert facts | former_facts == facts, page
        assert facts["notice"] == former_facts["notice"]


def test_data_champion_and_notice_stand_on_the_page(project):
    run_id = project.expected_json("runs")["done"]
    assert project.command("render", run_id) == 0
    facts = page_facts(project.report(f"{run_id}/train.html"))
    assert facts | FACTS | {"notice": NOTICE} == facts
    source = project.report(f"{run_id}/train.html")
    assert '<a href="http://127.0.0.1:5000/#/experiments/1/runs/3f2a">3f2a</a>' in source
    assert "$61,645" in page_text(source)
    assert "It knows 3 rows." in page_text(project.report(f"{run_id}/model_card.html"))


def test_the_page_of_a_failed_step_shows_why(project):
    run_id = project.expected_json("runs")["failed"]
    assert project.command("render", run_id) == 0
    text = page_text(project.report(f"{run_id}/train.html"))
    assert "This step failed after 4 of 7 cells" in text
    assert "ValueError: the seed is unlucky" in text


def test_the_index_shows_the_runs_as_before(project):
    assert project.command("render") == 0
    assert index_rows(project.report("index.html")) == project.expected_json("index")


def test_two_runs_are_compared(project, capsys):
    runs = project.expected_json("runs")
    assert project.command("compare") == 0
    page = capsys.readouterr().out.strip()
    assert page.endswith(f"/reports/compare/{runs['retried']}..{runs['reused']}.html")
    text = page_text((project.folder / "reports" / page).read_text())
    assert "check.flag was flag" in text
    assert project.command("compare", runs["done"], runs["sweep"]) == 0
    text = page_text(project.report(f"compare/{runs['done']}..{runs['sweep']}.html"))
    assert "$61,545" in text
    assert "$61,345" in text
    assert NOTICE in text


def test_old_runs_are_pruned_except_those_the_next_run_depends_on(project, capsys):
    expected_text = project.expected_text("prune")
    for words, present_words in PRESENT_WORDS.items():
        expected_text = expected_text.replace(words, present_words)
    assert project.command("prune", "--keep", "1", "--dry-run") == 0
    assert capsys.readouterr().out == expected_text
    assert project.command("prune", "--keep", "1") == 0
    assert "1 runs deleted" in capsys.readouterr().out
    runs = project.expected_json("runs")
    remaining = {path.parent.name for path in project.folder.glob("var/runs/*/run.json")}
    assert remaining == {run_id for name, run_id in runs.items() if name != "failed"}


@same_python
def test_nothing_is_to_do_if_nothing_has_changed(project, capsys):
    assert project.command() == 0
    assert capsys.readouterr().out == project.expected_text("nothing_to_do")
    runs = project.expected_json("runs")
    reports = {"prep": runs["done"], "train": runs["retried"], "check": runs["reused"]}
    for step_name, run_id in reports.items():
        facts = page_facts(project.report(f"{run_id}/{step_name}.html"))
        assert facts | FACTS == facts


@same_python
def test_the_explanation_is_that_of_before(project, capsys):
    assert project.command("explain") == 0
    assert capsys.readouterr().out == project.expected_text("explain")
    assert project.command("explain", "-p", "seed=7") == 0
    assert capsys.readouterr().out == project.expected_text("explain_other_seed")


@same_python
@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("out/numbers.csv", "0,0", "0,1", "out/numbers.csv is altered"),
        ("toy.py", '"data"', '"date"', "toy.py was edited"),
        ("train.ipynb", "training", "fitting", "cell 4 (The train report) was edited"),
    ],
)
def test_a_change_since_is_noticed(project, capsys, file, old, new, reason):
    path = project.folder / file
    path.write_text(path.read_text().replace(old, new))
    assert project.command("explain") == 0
    assert reason in capsys.readouterr().out


@same_python
def test_an_edited_step_can_be_accepted(project, capsys):
    path = project.folder / "train.ipynb"
    path.write_text(path.read_text().replace("training", "fitting"))
    assert project.command("accept", "train") == 0
    capsys.readouterr()
    assert project.command("explain") == 0
    assert capsys.readouterr().out == project.expected_text("explain")


@pytest.mark.slow
@same_python
def test_a_new_run_reuses_the_steps_of_before(project):
    exit_code, output = project.run("-p", "train.seed=7")
    assert exit_code == 0, output
    runs = project.expected_json("runs")
    assert f"prep       up to date since run {runs['done']}" in output
    assert "train      starts: parameter seed: 0 -> 7" in output
    facts = page_facts(project.report("latest/prep.html"))
    former_facts = present_facts(project.expected_json("pages")[f"{runs['reused']}/prep.html"])
    assert {label: facts[label] for label in former_facts if label != "notice"} == {
        label: text for label, text in former_facts.items() if label != "notice"
    }
    assert facts | FACTS == facts
    assert (project.folder / "reports" / "compare").exists()
    assert project.run()[0] == 0  # seed 0 again
    assert project.run()[1].startswith("nothing to do: prep, train, check up to date since run ")


@same_python
def test_an_interrupted_run_is_listed_and_explained_as_before(killed_project, capsys):
    assert killed_project.command("runs") == 0
    expected_text = killed_project.expected_text("runs")
    assert capsys.readouterr().out == expected_text.replace(" took   ", " took  ").replace(
        "1.3 s  prep", "-     prep"
    )
    assert killed_project.command("explain") == 0
    assert capsys.readouterr().out == killed_project.expected_text("explain")


@pytest.mark.slow
@same_python
def test_an_interrupted_run_is_completed_and_resumed(killed_project, capsys):
    [record] = killed_project.folder.glob("var/runs/*/run.json")
    run_id = record.parent.name
    exit_code, output = killed_project.run()
    assert exit_code == 0, output
    assert f"run {run_id} was killed; its finished steps are kept" in output
    assert f"prep       up to date since run {run_id}" in output
    assert f"train      starts: it did not finish in run {run_id} (running)" in output
    assert killed_project.command("show", run_id) == 0
    assert "train: killed, 3/6 cells" in capsys.readouterr().out
    text = page_text(killed_project.report(f"{run_id}/train.html"))
    assert "the runner was killed, or the machine lost power" in text


def test_the_record_of_an_unreadable_run_is_left_out(project, capsys):
    run_id = project.expected_json("runs")["sweep"]
    (project.folder / "var" / "runs" / run_id / "run.json").write_text("{")
    assert project.command("runs") == 0
    listed_runs = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert listed_runs == sorted(set(project.expected_json("runs").values()) - {run_id})[::-1]
