"""Pages that a step publishes, beside its report."""

import html
import json
import re
import shutil

import pytest

from pipeline import main

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


def publishing_cell(page, name="model_card", **results):
    """Return a cell that publishes the page."""
    results["pages"] = {name: page}
    return f"import os; open(os.environ['PIPELINE_RESULTS'], 'w').write({json.dumps(results)!r})"


def read_page(home, name="model_card", run="latest"):
    return html.unescape((home / "reports" / run / f"{name}.html").read_text())


def latest_report_dir(home):
    return (home / "reports" / "latest").resolve()


def test_a_page_stands_beside_the_report_that_links_to_it(home, make_step):
    steps = [
        make_step("one", publishing_cell(CARD, notice="MADE UP", facts={"data": "5 rows"})),
        make_step("two", "1"),
    ]
    assert main(steps, home, []) == 0
    page = read_page(home)
    for text in (
        "<h1>Model card: houses <3></h1>",
        "MADE UP",
        "5 rows",
        'href="../index.html"',
        'href="index.html"',
        'href="one.html">the step one</a>',
        'href="two.html"',
        '<a href="#how-good">How good</a>',
        '<h2 id="how-good">',
        "<em>first</em>",
        'aria-label="a table: How good"><table>',
        'class="highlight"',
        "run_pipeline.py",
    ):
        assert text in page, text
    assert "go()" not in page
    assert "The card" not in page  # the title replaces the heading
    link = '<a href="model_card.html">houses <3></a>'
    assert link in read_page(home, "one").split("</header>")[0]
    assert f"model card: {link}" in read_page(home, "index")
    assert link not in read_page(home, "two")


def test_a_short_page_has_no_table_of_contents(home, make_step):
    note = {"title": "A note", "markdown": "## Only this\n\nand no more"}
    assert main([make_step("one", publishing_cell(note, "note"))], home, []) == 0
    assert "Only this" in read_page(home, "note")
    assert 'class="toc"' not in read_page(home, "note")
    assert '<a href="note.html">A note</a>' in read_page(home, "one")


def test_a_later_run_shows_the_page_of_the_run_that_made_it(home, make_step):
    steps = [make_step("one", publishing_cell(CARD)), make_step("two", "1")]
    assert main(steps, home, []) == 0
    first_run_id = latest_report_dir(home).name
    assert main(steps, home, ["--force", "two"]) == 0
    assert latest_report_dir(home).name != first_run_id
    assert "For <em>first</em> guesses only" in read_page(home)
    assert f'href="../{first_run_id}/one.html">{first_run_id}</a>' in read_page(home)
    assert 'href="model_card.html"' in read_page(home, "one")


def test_a_page_is_rewritten_as_a_single_file_and_deleted_with_its_run(home, make_step, capsys):
    step = make_step("one", publishing_cell(CARD))
    assert main([step], home, []) == 0
    report_dir = latest_report_dir(home)
    (report_dir / "model_card.html").unlink()
    assert main([], home, ["render", report_dir.name, "--single-file"]) == 0
    page = read_page(home)
    assert "For <em>first</em> guesses only" in page
    assert "<style>" in page
    assert not re.search(r'(href="(?!#|data:)|src=)', page)
    assert main([], home, ["render", report_dir.name]) == 0
    assert 'rel="stylesheet"' in read_page(home)
    assert main([], home, ["show", "latest"]) == 0
    assert str(report_dir / "model_card.html") in capsys.readouterr().out
    assert main([step], home, ["--force"]) == 0
    assert main([], home, ["prune", "--keep", "1"]) == 0
    assert not report_dir.exists()
    assert [path for path in home.rglob("model_card*") if report_dir.name in path.parts] == []


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
def test_a_page_that_cannot_be_shown_is_rejected(home, make_step, capsys, name, page, message):
    steps = [make_step("one", publishing_cell(page, name)), make_step("two", "1")]
    assert main(steps, home, []) == 1
    printed = capsys.readouterr().out
    assert f"its result could not be recorded: it published {message}" in printed
    assert (home / "reports" / "latest" / "index.html").exists()


def test_pages_that_are_no_dict_are_rejected(home, make_step, capsys):
    cell = "import os; open(os.environ['PIPELINE_RESULTS'], 'w').write('{\"pages\": [1]}')"
    assert main([make_step("one", cell)], home, []) == 1
    assert "it published pages as list, expected dict" in capsys.readouterr().out


def test_a_name_belongs_to_the_step_that_used_it_first(home, make_step, capsys):
    other_page = {"title": "Another", "markdown": "not this one"}
    first_step = make_step("one", publishing_cell(CARD))
    assert main([first_step, make_step("two", publishing_cell(other_page))], home, []) == 1
    assert "another of that name" in capsys.readouterr().out
    assert "not this one" not in read_page(home)
    independent_steps = [
        make_step("one", publishing_cell(CARD)),
        make_step("two", publishing_cell(other_page), needs=()),
    ]
    assert main(independent_steps, home, ["--only", "two"]) == 0
    # both are up to date, from different runs
    assert main([*independent_steps, make_step("three", "1")], home, []) == 0
    assert "guesses only" in read_page(home)
    assert "model_card" not in read_page(home, "two").split("</header>")[0]


def test_each_variant_of_a_sweep_has_a_page_of_its_own(home, make_step):
    cells = [
        "import json, os\npage = {'title': 'A card', 'markdown': f'n is {n}'}",
        "open(os.environ['PIPELINE_RESULTS'], 'w').write(json.dumps({'pages': {'card': page}}))",
    ]
    assert (
        main([make_step("one", *cells, parameters="n: int = 1")], home, ["--sweep", "n=1,2"]) == 0
    )
    for number in (1, 2):
        assert f"n is {number}</p>" in read_page(home, f"card-n={number}")
        assert f'href="card-n={number}.html"' in read_page(home, f"one-n={number}")
        assert f'href="card-n={number}.html"' in read_page(home, "index")


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


def test_a_missing_results_file_is_reported_and_the_report_stays(home, make_step, capsys):
    assert main([make_step("one", publishing_cell(CARD))], home, []) == 0
    [results_path] = (home / "var" / "runs").glob("*/one.json")
    results_path.unlink()
    shutil.rmtree(home / "reports")
    assert main([], home, ["render"]) == 2
    assert "some pages could not be written" in capsys.readouterr().err
    assert list((home / "reports").glob("*/one.html"))
