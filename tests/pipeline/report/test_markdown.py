import pytest

from pipeline.report import markdown


@pytest.mark.parametrize(
    "prices",
    ["from $20,000 to $30,000", "it is $5, not $7", "**$1** or $2", r"\$3 and $4", "$1-$2"],
)
def test_prices_are_no_formulas(prices):
    assert "<math" not in markdown.markdown_to_html(prices)
    assert markdown.markdown_to_html(prices).count("$") == 2


@pytest.mark.parametrize(
    "formula",
    [
        "$x^2$",
        "so $\\hat y_i$ is",
        "$$x$$",
        r"\\(x\\)",
        "\\begin{align}a&=b\\end{align}",
        "| $a_i$ |\n|-|",
    ],
)
def test_formulas_are_shown_without_any_script(formula):
    made = markdown.markdown_to_html(formula)
    assert made.count("<math") == 1
    assert "$" not in made


def test_code_in_markdown_keeps_its_dollars():
    assert "<math" not in markdown.markdown_to_html("`$a$`\n\n```\n$b$\n```")


def test_headings_can_be_pointed_at():
    assert '<h2 id="what-is-wrong-with-it">' in markdown.markdown_to_html(
        "## What is *wrong* with it?"
    )


def test_html_in_markdown_is_cleaned_and_images_come_with_the_page(tmp_path):
    (tmp_path / "map.png").write_bytes(b"png")
    made = markdown.markdown_to_html(
        "![a map](map.png) ![far](https://x.org/y.png) <script>go()</script>", tmp_path
    )
    assert 'src="data:image/png;base64,cG5n"' in made
    assert "x.org" not in made
    assert "far" in made
    assert "script" not in made
    assert "data:" not in markdown.markdown_to_html("![up](../secret.png)", tmp_path / "below")


def test_a_missing_attachment_breaks_nothing():
    assert "missing attachment" in markdown.markdown_to_html("![x](attachment:x.png)")


def test_terminal_colours_and_tags_are_shown_as_such():
    made = markdown.ansi_to_html("\x1b[31mred\x1b[0m <script>")
    assert '<span class="ansi-red-fg">red</span>' in made
    assert "&lt;script&gt;" in made


def test_a_huge_output_keeps_head_and_tail_and_says_what_is_left_out():
    made = markdown.ansi_to_html("".join(f"line {one}\n" for one in range(100_000)))
    assert len(made) < 70_000
    assert "line 0\n" in made
    assert "line 99999\n" in made
    assert "lines left out" in made


def test_the_line_that_failed_stands_out():
    made = markdown.highlight_code("a = 1\nb = 1 / 0", 2)
    assert made.count('class="hll"') == 1
    assert "0" in made.split('class="hll"')[1]
