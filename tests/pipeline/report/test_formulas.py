from pipeline.report.formulas import Formula, Macros, formula_html, latex_text_html
from pipeline.report.markdown import markdown_to_html


def to_mathml(latex, block=False, macros=None):
    """Return the HTML of a formula."""
    return formula_html(Formula(latex, latex, block), macros or Macros())


def test_latex_becomes_mathml_and_invalid_latex_stays_text():
    mathml = to_mathml(r"\frac{1}{n}\sum_i x_i^2", block=True)
    assert mathml.startswith("<math")
    assert "<mfrac>" in mathml
    assert 'display="block"' in mathml
    invalid = to_mathml(r"\frac{", block=False)
    assert invalid == r'<code class="formula">\frac{</code>'
    attack = r"\text{<script>alert(1)</script>}"
    assert "<script" not in to_mathml(attack, block=False)


def test_macros_take_arguments_and_endless_ones_stay_text():
    macros = Macros()
    assert to_mathml(r"\newcommand{\norm}[1]{\|#1\|}\def\half{\frac12}", macros=macros) == ""
    assert "<mi>x</mi>" in to_mathml(r"\norm{x}", macros=macros)
    assert "<mfrac>" in to_mathml(r"\half", macros=macros)
    to_mathml(
        r"\newcommand{\p}[2][i]{p_{#1}(#2)}\DeclareMathOperator{\argmin}{argmin}", macros=macros
    )
    assert "<mi>j</mi>" in to_mathml(r"\p[j]{y}", macros=macros)
    assert "<mi>i</mi>" in to_mathml(r"\p{y}", macros=macros)
    assert "argmin" in to_mathml(r"\argmin x", macros=macros)
    endless = to_mathml(r"\newcommand{\a}{\a\a}\a")
    assert endless.startswith("<code")


def test_markdown_leaves_formulas_alone():
    for source in (
        "$a_i*b_j$ and *$c*d$*",
        "| $|x|$ | b |\n|-|-|\n| $a|b$ | 2 |",
        "**$x_1$**, $y_1$",
    ):
        page = markdown_to_html(source)
        assert page.count("<math") == 2 - ("b |" in source and "a|b" not in source), source
        assert "$" not in page


def test_dollars_in_code_urls_and_attributes_are_no_formulas():
    page = markdown_to_html(
        "`$a$` [x](http://h.org/$b$c) <b title='$d$'>e</b>\n\n```\n$f$\n```\n\n```x``` $g$"
    )
    assert page.count("<math") == 1
    for text in ("<code>$a$</code>", "/$b$c", 'title="$d$"', "$f$"):
        assert text in page, text


def test_brackets_that_are_escaped_are_formulas_only_with_latex_in_them():
    assert "<math" not in markdown_to_html(r"\[a note\] \(see below\)")
    assert markdown_to_html(r"\(x\) \\(y\\) \[\frac12\]").count("<math") == 3
    assert markdown_to_html("> $$\n> x = 1\n> $$").count("&gt;") == 0


def test_a_text_in_latex_is_a_text_with_formulas():
    page = latex_text_html(r"If $x < 1$, it costs \$5 <b>", Macros())
    assert page.startswith("<p>If <math")
    assert "it costs $5 &lt;b&gt;" in page
    assert latex_text_html("two words", Macros()) == "<p>two words</p>"
