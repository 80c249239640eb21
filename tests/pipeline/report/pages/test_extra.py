"""Pages that a step hands over, beside its report."""

import html
import json
import re
import shutil

import pytest

from pipeline import main

CARD = """# The card

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


def handing(page, name="model_card", **told):
    """A cell that hands the page over."""
    told["pages"] = {name: page}
    return f"import os; open(os.environ['PIPELINE_HANDOVER'], 'w').write({json.dumps(told)!r})"


CARDS = {"title": "Model card: houses <3>", "markdown": CARD}


def page(home, name="model_card", run="latest"):
    return html.unescape((home / "reports" / run / f"{name}.html").read_text())


def test_a_page_stands_beside_the_report_that_leads_to_it(home, make_step):
    steps = [
        make_step("one", handing(CARDS, notice="MADE UP", data="5 rows")),
        make_step("two", "1"),
    ]
    assert main(steps, home, []) == 0
    said = page(home)
    for part in (
        "<h1>Model card: houses <3></h1>", "MADE UP", "5 rows", 'href="../index.html"',
        'href="index.html"', 'href="one.html">the step one</a>', 'href="two.html"',
        '<a href="#how-good">How good</a>', '<h2 id="how-good">', "<em>first</em>",
        'aria-label="a table: How good"><table>', 'class="highlight"', "run_pipeline.py",
    ):  # fmt: skip
        assert part in said, part
    assert "go()" not in said
    assert "The card" not in said  # the title says it
    link = '<a href="model_card.html">houses <3></a>'
    assert link in page(home, "one").split("</header>")[0]
    assert f"model card: {link}" in page(home, "index")
    assert link not in page(home, "two")


def test_a_short_page_has_no_table_of_contents(home, make_step):
    short = {"title": "A note", "markdown": "## Only this\n\nand no more"}
    assert main([make_step("one", handing(short, "note"))], home, []) == 0
    assert "Only this" in page(home, "note")
    assert 'class="toc"' not in page(home, "note")
    assert '<a href="note.html">A note</a>' in page(home, "one")


def test_a_later_run_shows_the_page_of_the_run_that_made_it(home, make_step):
    steps = [make_step("one", handing(CARDS)), make_step("two", "1")]
    assert main(steps, home, []) == 0
    first = (home / "reports" / "latest").resolve().name
    assert main(steps, home, ["--force", "two"]) == 0
    assert (home / "reports" / "latest").resolve().name != first
    assert "For <em>first</em> guesses only" in page(home)
    assert f'href="../{first}/one.html">{first}</a>' in page(home)
    assert 'href="model_card.html"' in page(home, "one")


def test_a_page_is_written_again_alone_and_deleted_with_its_run(home, make_step, capsys):
    one = make_step("one", handing(CARDS))
    assert main([one], home, []) == 0
    first = (home / "reports" / "latest").resolve()
    (first / "model_card.html").unlink()
    assert main([], home, ["render", first.name, "--single-file"]) == 0
    said = page(home)
    assert "For <em>first</em> guesses only" in said
    assert "<style>" in said
    assert not re.search(r'(href="(?!#|data:)|src=)', said)
    assert main([], home, ["render", first.name]) == 0
    assert 'rel="stylesheet"' in page(home)
    assert main([], home, ["show", "latest"]) == 0
    assert str(first / "model_card.html") in capsys.readouterr().out
    assert main([one], home, ["--force"]) == 0
    assert main([], home, ["prune", "--keep", "1"]) == 0
    assert not first.exists()
    assert [one for one in home.rglob("model_card*") if first.name in one.parts] == []


@pytest.mark.parametrize(
    ("name", "told", "says"),
    [
        ("Model card", CARDS, "a page 'Model card', expected a name of a-z, 0-9 and _"),
        ("../up", CARDS, "a page '../up', expected a name of a-z, 0-9 and _"),
        ("", CARDS, "a page '', expected a name"),
        ("card", "# no title", "the page card, but not its title and its Markdown"),
        ("card", {"title": "A card"}, "the page card, but not its title and its Markdown"),
        ("card", {"title": " ", "markdown": "x"}, "the page card, but not its title"),
        ("card", {"title": "A card", "markdown": ["x"]}, "the page card, but not its title"),
        ("index", CARDS, "the page index, but this run has another of that name"),
        ("two", CARDS, "the page two, but this run has another of that name"),
    ],
)
def test_a_page_that_cannot_be_shown_is_refused(home, make_step, capsys, name, told, says):
    assert main([make_step("one", handing(told, name)), make_step("two", "1")], home, []) == 1
    assert f"its end could not be recorded: it handed over {says}" in capsys.readouterr().out
    assert (home / "reports" / "latest" / "index.html").exists()


def test_pages_that_are_no_table_of_them_are_refused(home, make_step, capsys):
    cell = "import os; open(os.environ['PIPELINE_HANDOVER'], 'w').write('{\"pages\": [1]}')"
    assert main([make_step("one", cell)], home, []) == 1
    assert "it handed over pages as no dict" in capsys.readouterr().out


def test_a_name_belongs_to_the_step_that_took_it_first(home, make_step, capsys):
    other = {"title": "Another", "markdown": "not this one"}
    assert main([make_step("one", handing(CARDS)), make_step("two", handing(other))], home, []) == 1
    assert "another of that name" in capsys.readouterr().out
    assert "not this one" not in page(home)
    apart = [make_step("one", handing(CARDS)), make_step("two", handing(other), needs=())]
    assert main(apart, home, ["--only", "two"]) == 0
    three = make_step("three", "1")
    assert main([*apart, three], home, []) == 0  # both are up to date, from different runs
    assert "guesses only" in page(home)
    assert "model_card" not in page(home, "two").split("</header>")[0]


def test_each_variant_of_a_sweep_has_a_page_of_its_own(home, make_step):
    cell = (
        "import json, os\ntold = {'pages': {'card': {'title': 'A card', 'markdown': f'n is {n}'}}}"
    )
    write = "open(os.environ['PIPELINE_HANDOVER'], 'w').write(json.dumps(told))"
    one = make_step("one", cell, write, parameters="n: int = 1")
    assert main([one], home, ["--sweep", "n=1,2"]) == 0
    for number in (1, 2):
        assert f"n is {number}</p>" in page(home, f"card-n={number}")
        assert f'href="card-n={number}.html"' in page(home, f"one-n={number}")
        assert f'href="card-n={number}.html"' in page(home, "index")


def test_a_page_tells_no_secret(home, make_step, monkeypatch):
    monkeypatch.setenv("TOKEN", "hush-0123456789")
    cell = "import json, os\ntold = {'pages': {'card': {'title': token, 'markdown': token}}}"
    write = "open(os.environ['PIPELINE_HANDOVER'], 'w').write(json.dumps(told));"
    one = make_step("one", cell, write, parameters="token: str = 'env:TOKEN'")
    assert main([one], home, []) == 0
    assert (home / "reports" / "latest" / "card.html").exists()
    told = [one for one in home.rglob("*") if one.is_file() and b"hush-01" in one.read_bytes()]
    assert told == []


def test_a_lost_hand_over_is_told_and_the_report_stays(home, make_step, capsys):
    assert main([make_step("one", handing(CARDS))], home, []) == 0
    [lost] = (home / "var" / "runs").glob("*/one.json")
    lost.unlink()
    shutil.rmtree(home / "reports")
    assert main([], home, ["render"]) == 2
    assert "some pages could not be written" in capsys.readouterr().err
    assert list((home / "reports").glob("*/one.html"))
