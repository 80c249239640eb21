"""Pages that a step publishes, beside its report."""

import json
import re
from pathlib import Path

import pytest

from pipeline import main
from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.execution import step_events
from pipeline.report.live import ReportWriter
from pipeline.runs.results import PublishedResults
from pipeline.runs.status import StepStatus
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.recording import OtherTasks
from pipeline.staleness.state_store import StateStore
from tests.pipeline.report.conftest import executed_cell, executed_notebook

CARD_MARKDOWN = """# The card

For *first* guesses only. <script>go()</script>

## How good

| where | rows | error, $ |
|---|---:|---:|
| the coast | 1,000 | 43,000 |

## How made

```sh
python run_pipeline.py -p n=1
```

## How not to use it
"""
CARD = {"title": "Model card: houses <3>", "markdown": CARD_MARKDOWN}


def notebook():
    return executed_notebook(executed_cell("1"))


@pytest.fixture
def run_with_card(record_run, publish_page):
    """A run of two steps, of which the first published a model card."""
    run = record_run("20261101-01", one=notebook(), two=notebook())
    publish_page(run, "one", "model_card", CARD)
    return run


def test_a_page_stands_beside_the_report_that_links_to_it(run_with_card, read_page):
    step = run_with_card.steps[0]
    step.notice, step.facts = "MADE UP", {"data": "5 rows"}
    page = read_page(run_with_card, "model_card")
    for text in (
        "<h1>Model card: houses <3></h1>",
        "MADE UP",
        "5 rows",
        'href="../index.html"',
        'href="index.html"',
        'href="one.html">the step one</a>',
        'href="two.html"',
        '<a href="#How-good">How good</a>',
        '<h2 id="How-good">',
        "<em>first</em>",
        'aria-label="a table"><table>',
        'class="highlight"',
        "run_pipeline.py",
    ):
        assert text in page, text
    assert "go()" not in page
    assert "The card" not in page  # the title replaces the heading
    link = '<a href="model_card.html">houses <3></a>'
    assert link in read_page(run_with_card, "one").split("</header>")[0]
    assert f"model card: {link}" in read_page(run_with_card, "index")
    assert link not in read_page(run_with_card, "two")


def test_headings_of_the_same_text_can_both_be_reached(record_run, publish_page, read_page):
    run = record_run("20261101-01", one=notebook())
    text = "## Errors\n\n## Errors\n\n## Errors-2\n"
    publish_page(run, "one", "note", {"title": "A note", "markdown": text})
    page = read_page(run, "note")
    anchors = re.findall(r'<a href="#(.*?)">', page.split("contents")[1])
    assert anchors == ["Errors", "Errors-2", "Errors-2-2"]
    assert [anchor for anchor in anchors if f'id="{anchor}"' not in page] == []


def test_a_short_page_has_no_table_of_contents(record_run, publish_page, read_page):
    run = record_run("20261101-01", one=notebook())
    note = {"title": "A note", "markdown": "## Only this\n\nand no more"}
    publish_page(run, "one", "note", note)
    assert "Only this" in read_page(run, "note")
    assert 'class="toc"' not in read_page(run, "note")
    assert '<a href="note.html">A note</a>' in read_page(run, "one")


def test_a_later_run_shows_the_page_of_the_run_that_made_it(run_with_card, record_run, read_page):
    later_run = record_run("20261101-02", one=notebook(), two=notebook())
    step = later_run.steps[0]
    step.status, step.reused, step.pages = (
        StepStatus.UP_TO_DATE,
        run_with_card.id,
        run_with_card.steps[0].pages,
    )
    page = read_page(later_run, "model_card")
    assert "For <em>first</em> guesses only" in page
    assert f'href="../{run_with_card.id}/one.html">{run_with_card.id}</a>' in page
    assert 'href="model_card.html"' in read_page(later_run, "one")


def test_a_page_is_rewritten_as_a_single_file(run_with_card, read_page):
    page = read_page(run_with_card, "model_card", single_file=True)
    assert "For <em>first</em> guesses only" in page
    assert "<style>" in page
    assert not re.search(r'(href="(?!#|data:)|src=)', page)
    assert 'rel="stylesheet"' in read_page(run_with_card, "model_card")


def test_a_missing_results_file_is_reported_and_no_report_links_to_the_page(project, run_with_card):
    [step, _] = run_with_card.steps
    project.workspace.task_files(run_with_card.id, step.file_stem).results.unlink()
    error = ReportWriter(project, run_with_card).rewrite_pages()
    assert "has no page model_card" in str(error)
    for name in ("one", "index"):
        page = (project.workspace.report_folder(run_with_card.id) / f"{name}.html").read_text()
        assert "houses &lt;3&gt;" in page
        assert "model_card.html" not in page


def test_each_variant_of_a_sweep_has_a_page_of_its_own(record_run, publish_page, read_page):
    names = ["one[n=1]", "one[n=2]"]
    run = record_run("20261101-01", **{name: notebook() for name in names})
    for number, name in enumerate(names, start=1):
        run.steps[number - 1].report = f"{name}.html"
        publish_page(run, name, "card", {"title": "A card", "markdown": f"n is {number}"})
    for number, name in enumerate(names, start=1):
        assert f"n is {number}</p>" in read_page(run, f"card-n={number}")
        assert f'href="card-n={number}.html"' in read_page(run, name)
        assert f'href="card-n={number}.html"' in read_page(run, "index")


@pytest.mark.parametrize(
    ("name", "page", "message"),
    [
        ("Model card", CARD, "a page 'Model card', expected a name of a-z, 0-9 and _"),
        ("../up", CARD, "a page '../up', expected a name of a-z, 0-9 and _"),
        ("", CARD, "a page '', expected a name"),
        ("card", "# no title", "the page card, but not its title and its Markdown"),
        ("card", {"title": "A card"}, "the page card, but not its title and its Markdown"),
        ("card", {"title": " ", "markdown": "x"}, "the page card, but not its title"),
        ("card", {"title": "A card", "markdown": ["x"]}, "the page card, but not its title"),
        ("index", CARD, "the page index, but this run has another of that name"),
        ("two", CARD, "the page two, but this run has another of that name"),
    ],
)
def test_a_page_that_cannot_be_shown_is_rejected(project, record_run, name, page, message):
    run = record_run("20261101-01", one=notebook(), two=notebook())
    files = project.workspace.task_files(run.id, "one")
    files.results.write_text(json.dumps({"pages": {name: page}}))
    task = Task(Step("one", Path("one.ipynb")), "one", {}, (), "one")
    no_tasks = OtherTasks((), frozenset())
    state_store = StateStore(project.workspace)
    step_events.save_step_state(
        run.steps[0], task, state_store, run, files, Fingerprint(), no_tasks
    )
    assert run.steps[0].failure.startswith(
        f"its result could not be recorded: it published {message}"
    )
    assert run.steps[0].pages == {}


def test_pages_that_are_no_dict_are_rejected(home):
    path = home / "one.json"
    path.write_text('{"pages": [1]}')
    with pytest.raises(ValueError, match="it published pages as list, expected dict"):
        PublishedResults.load(path)


def publishing_cell(page, name="model_card", **results):
    """Return a cell that publishes the page."""
    results["pages"] = {name: page}
    return f"import os; open(os.environ['PIPELINE_RESULTS'], 'w').write({json.dumps(results)!r})"


@pytest.mark.slow
def test_a_page_is_published_rendered_and_deleted_with_its_run(home, make_step, capsys):
    step = make_step("one", publishing_cell(CARD))
    assert main([step], home, []) == 0
    report_dir = (home / "reports" / "latest").resolve()
    assert main([], home, ["render", report_dir.name, "--single-file"]) == 0
    assert "For <em>first</em> guesses only" in (report_dir / "model_card.html").read_text()
    assert main([], home, ["show", "latest"]) == 0
    assert str(report_dir / "model_card.html") in capsys.readouterr().out
    assert main([step], home, ["--force"]) == 0
    assert main([], home, ["prune", "--keep", "1"]) == 0
    assert not report_dir.exists()
    assert [path for path in home.rglob("model_card*") if report_dir.name in path.parts] == []


@pytest.mark.slow
def test_a_name_belongs_to_the_step_that_used_it_first(home, make_step, capsys):
    def read_latest(name):
        return (home / "reports" / "latest" / f"{name}.html").read_text()

    other_page = {"title": "Another", "markdown": "not this one"}
    first_step = make_step("one", publishing_cell(CARD))
    assert main([first_step, make_step("two", publishing_cell(other_page))], home, []) == 1
    assert "another of that name" in capsys.readouterr().out
    assert "not this one" not in read_latest("model_card")
    independent_steps = [
        make_step("one", publishing_cell(CARD)),
        make_step("two", publishing_cell(other_page), needs=()),
    ]
    assert main(independent_steps, home, ["--only", "two"]) == 0
    # both are up to date, from different runs
    assert main([*independent_steps, make_step("three", "1")], home, []) == 0
    assert "guesses only" in read_latest("model_card")
    assert "model_card" not in read_latest("two").split("</header>")[0]


def test_the_pages_of_a_reused_step_give_way_to_those_of_others(project, run_with_card, record_run):
    run = record_run("20261101-02", one=notebook(), two=notebook())
    run_with_card.steps[1].pages = {"model_card": "Another", "note": "A note"}
    path = project.workspace.run_folder(run_with_card.id) / "run.json"
    path.write_text(json.dumps(run_with_card.to_dict()))
    for step in run.steps:
        step_events.copy_reused_record(step, path.parent, run)
    assert [step.pages for step in run.steps] == [{"model_card": CARD["title"]}, {"note": "A note"}]


@pytest.mark.slow
def test_a_page_contains_no_secret(home, make_step, monkeypatch):
    monkeypatch.setenv("TOKEN", "hush-0123456789")
    cells = [
        "import json, os\npage = {'title': token, 'markdown': token}",
        "open(os.environ['PIPELINE_RESULTS'], 'w').write(json.dumps({'pages': {'card': page}}));",
    ]
    step = make_step("one", *cells, parameters="token: str = 'env:TOKEN'")
    assert main([step], home, []) == 0
    assert (home / "reports" / "latest" / "card.html").exists()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [path for path in files if b"hush-01" in path.read_bytes()] == []
