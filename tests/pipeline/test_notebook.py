"""What a notebook says to the runner, with a runner and without one."""

import json
import subprocess
import sys

import pytest

from pipeline import notebook
from pipeline.notebook import Metric
from pipeline.runs.results import PublishedResults


def test_the_runner_reads_what_a_notebook_publishes(tmp_path, monkeypatch):
    monkeypatch.setenv("PIPELINE_RESULTS", str(tmp_path / "results.json"))
    rmse = Metric(43_000.0, "$43,000", better="lower", before=45_000.0)
    texts = notebook.publish(
        {"test RMSE": rmse, "best family": "trees"},
        notice="A SAMPLE",
        facts={"data": "A sample, 5 rows"},
        links={"run: trees": "https://example.org/run"},
        outputs={"trees": "run-1"},
        input_files=[tmp_path / "raw.csv"],
        output_files=[tmp_path / "store.db"],
        pages={"model_card": ("Model card", "# A card")},
    )
    assert texts == {"test RMSE": "$43,000", "best family": "trees"}
    results = PublishedResults.load(tmp_path / "results.json")
    assert results.headline == {"test RMSE": rmse, "best family": "trees"}
    assert (results.notice, results.facts) == ("A SAMPLE", {"data": "A sample, 5 rows"})
    assert results.links == {"run: trees": "https://example.org/run"}
    assert results.outputs == {"trees": "run-1"}
    assert results.input_files == [str(tmp_path / "raw.csv")]
    assert results.output_files == [str(tmp_path / "store.db")]
    assert results.pages["model_card"].markdown == "# A card"


def test_without_a_runner_nothing_is_published(tmp_path, monkeypatch):
    for name in ("RESULTS", "RUN_ID", "REPORT", "NOTEBOOK", "CODE", "COMMAND"):
        monkeypatch.delenv(f"PIPELINE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    assert notebook.publish({"rows": "5"}) == {"rows": "5"}
    assert notebook.run_id().startswith("by-hand-")
    assert notebook.report_path() == ""
    assert set(notebook.origin().values()) == {""}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_notebook_that_was_never_executed_has_published_nothing(tmp_path):
    assert PublishedResults.load(tmp_path / "results.json") == PublishedResults()


def test_values_that_are_no_texts_are_shown_as_texts_and_unknown_entries_are_dropped(tmp_path):
    """As a program that is no notebook of ours may write them."""
    headline = {"rows": 5, "RMSE": {"value": 2, "before": None, "unit": "$"}, "best": None}
    content = {"headline": headline, "facts": {"rows": 5}, "weather": "fine"}
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert PublishedResults.load(tmp_path / "results.json") == PublishedResults(
        headline={"rows": "5", "RMSE": Metric(2, "2"), "best": "None"}, facts={"rows": "5"}
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "it published list, expected dict"),
        ('{"headline": [1]}', "it published headline as list, expected dict"),
        ('{"input_files": null}', "it published input_files as NoneType, expected list"),
        ('{"headline": {"RMSE": {"text": "x"}}}', "it published RMSE as .*, expected a number"),
        ('{"headline": {"RMSE": {"value": 1, "before": "x"}}}', "it published RMSE as .*a number"),
        ('{"pages": {"card": []}}', "the page card, but not its title and its Markdown"),
        ('{"pages": {"card": {"title": "A"}}}', "the page card, but not its title and its Markdo"),
    ],
)
def test_malformed_results_are_named(tmp_path, content, message):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        PublishedResults.load(tmp_path / "results.json")


def test_importing_it_brings_no_other_package():
    """A notebook imports it first: nothing that is not the standard library's may slow it down."""
    code = (
        "import sys; before = set(sys.modules); import pipeline.notebook; "
        "print([name for name in set(sys.modules) - before if 'site-packages' in "
        "(getattr(sys.modules[name], '__file__', None) or '')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    imported = eval(result.stdout)
    assert [name for name in imported if not name.startswith("_")] == []
