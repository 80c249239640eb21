import pytest

from pipeline.report import markdown
from pipeline.report.local_files import LocalFiles


@pytest.mark.parametrize(
    "prices",
    ["from $20,000 to $30,000", "it is $5, not $7", "**$1** or $2", r"\$3 and $4", "$1-$2"],
)
def test_prices_are_no_formulas(prices):
    page = markdown.markdown_to_html(prices)
    assert "<math" not in page
    assert page.count("$") == 2


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
def test_formulas_are_shown_without_a_script(formula):
    page = markdown.markdown_to_html(formula)
    assert page.count("<math") == 1
    assert "$" not in page


def test_code_in_markdown_keeps_its_dollar_signs():
    assert "<math" not in markdown.markdown_to_html("`$a$`\n\n```\n$b$\n```")


def test_html_in_markdown_is_sanitized_and_images_are_embedded(tmp_path):
    (tmp_path / "map.png").write_bytes(b"png")
    page = markdown.markdown_to_html(
        "![a map](map.png) ![far](https://x.org/y.png) <script>go()</script>", LocalFiles(tmp_path)
    )
    assert 'src="data:image/png;base64,cG5n"' in page
    assert "x.org" not in page
    assert "far" in page
    assert "script" not in page
    assert "data:" not in markdown.markdown_to_html(
        "![up](../secret.png)", LocalFiles(tmp_path / "below")
    )


def test_a_missing_attachment_is_named_and_breaks_nothing():
    assert "missing attachment" in markdown.markdown_to_html("![x](attachment:x.png)")


def test_terminal_colors_are_shown_and_tags_are_escaped():
    page = markdown.ansi_to_html("\x1b[31mred\x1b[0m <script>")
    assert '<span class="ansi-red-fg">red</span>' in page
    assert "&lt;script&gt;" in page


def test_a_huge_output_keeps_its_head_and_tail_and_counts_the_lines_left_out():
    page = markdown.ansi_to_html("".join(f"line {number}\n" for number in range(100_000)))
    assert len(page) < 70_000
    assert "line 0\n" in page
    assert "line 99999\n" in page
    assert "lines left out" in page


def test_the_line_that_failed_stands_out():
    page = markdown.highlight_code("a = 1\nb = 1 / 0", highlighted_line=2)
    assert page.count('class="hll"') == 1
    assert "0" in page.split('class="hll"')[1]
