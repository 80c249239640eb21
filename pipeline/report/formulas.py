"""Find the formulas of a text, expand their macros, and convert them to MathML."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

from latex2mathml import converter

from pipeline.report import sanitize

MAX_EXPANDED_CHARS = 20_000  # of a formula with its macros expanded
MAX_EXPANSIONS = 500  # of macros in one formula; more are endless
# noncharacters of Unicode: no text holds them, and neither Markdown nor HTML gives them a meaning
MARK_START, MARK_END = "\ufdd0", "\ufdd1"
# in a URL it is percent-encoded
MARK_PATTERN = re.compile(
    f"(?:{MARK_START}|{quote(MARK_START)})(\\d+)(?:{MARK_END}|{quote(MARK_END)})"
)
ENVIRONMENT = r"\\begin\{(?P<environment>[a-zA-Z]+\*?)\}.*?\\end\{(?P=environment)\}"
# pandoc's rule tells formulas from prices: no space follows the $ that opens a formula; no space
# precedes and no digit follows the one that closes it, within the same paragraph
FORMULA = (
    r"(?<!\\)\$\$(?P<block>(?:\\.|[^\\])+?)\$\$"
    r"|\\\\?\[(?P<latex_block>.+?)\\\\?\]"
    r"|\\\\?\((?P<latex_inline>.+?)\\\\?\)"
    rf"|(?P<whole_environment>{ENVIRONMENT})"
    r"|(?<![\\$])\$(?=[^\s$])(?P<inline>(?:\\.|[^$\n\\]|\n(?!\s*\n))+?)(?<!\s)\$(?![\d$])"
)
FORMULA_PATTERN = re.compile(FORMULA, re.DOTALL)
CODE = (
    r"(?P<code>(?m:^)[ >]*(?P<fence>`{3,}(?=[^`\n]*(?:\n|\Z))|~{3,})"
    r".*?(?:\n[ >]*(?P=fence)[`~]*[ \t]*(?=\n|\Z)|\Z)"
    r"|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)*?(?<!`)(?P=ticks)(?!`))"
)
ESCAPED = r"(?P<escaped>\\(?:[$`]|\\(?![(\[])))"
MARKDOWN_PATTERN = re.compile(rf"{CODE}|{ESCAPED}|{FORMULA}", re.DOTALL)
# \( and \[ are brackets in Markdown, unless there is LaTeX in them
LATEX_HINT_PATTERN = re.compile(r"[\\^_=]|\A\s*[a-zA-Z]\s*\Z")
MACRO_PATTERN = re.compile(r"\\(?:[a-zA-Z]+|.)", re.DOTALL)
DEFINITION_PATTERN = re.compile(
    r"\\(?P<command>newcommand|renewcommand|providecommand|def|DeclareMathOperator)\b(?P<star>\*?)"
    r"\s*(?:\{\s*(?P<braced>\\(?:[a-zA-Z]+|.))\s*\}|(?P<plain>\\(?:[a-zA-Z]+|.)))\s*"
)


class Macro(NamedTuple):
    """A command that a notebook has defined."""

    body: str
    argument_count: int = 0
    default: str | None = None  # of its first argument, which is optional then


@dataclass
class Macros:
    """The macros that the formulas so far have defined, by name with the backslash."""

    by_name: dict[str, Macro] = field(default_factory=dict)

    def expand(self, latex: str) -> str:
        """Return the formula without macros; remember those that it defines.

        Raises ValueError for a macro that never ends.
        """
        position, expansions = 0, 0
        while match := MACRO_PATTERN.search(latex, position):
            definition = DEFINITION_PATTERN.match(latex, match.start())
            if definition:
                end = self._define(latex, definition)
                latex, position = latex[: match.start()] + latex[end:], match.start()
            elif match[0] in self.by_name:
                text, end = _apply(self.by_name[match[0]], latex, match.end())
                latex, position = latex[: match.start()] + text + latex[end:], match.start()
                expansions += 1
            else:
                position = match.end()
            if expansions > MAX_EXPANSIONS or len(latex) > MAX_EXPANDED_CHARS:
                raise ValueError(f"the macro {match[0]} has no end")
        return latex

    def _define(self, latex: str, definition: re.Match[str]) -> int:
        """Remember the macro that a definition begins to describe; return the definition's end."""
        name, position = definition["braced"] or definition["plain"], definition.end()
        count, default = 0, None
        if definition["command"] == "def":
            parameters = re.compile(r"(?:#\d)*").match(latex, position)
            count, position = len(parameters[0]) // 2 if parameters else 0, definition.end()
            position += 2 * count
        elif option := re.compile(r"\[(\d)\]\s*(?:\[([^\]]*)\]\s*)?").match(latex, position):
            count, default, position = int(option[1]), option[2], option.end()
        body, position = _read_argument(latex, position)
        if definition["command"] == "DeclareMathOperator":
            limits = "\\limits" if definition["star"] else ""
            body = f"\\operatorname{{{body}}}{limits}"
        if definition["command"] != "providecommand" or name not in self.by_name:
            self.by_name[name] = Macro(body, count, default)
        return position


def _apply(macro: Macro, latex: str, position: int) -> tuple[str, int]:
    """Return the macro's text with the arguments that follow it, and where they end."""
    arguments: list[str] = []
    if macro.default is not None:
        option = re.compile(r"\s*\[([^\]]*)\]").match(latex, position)
        arguments.append(option[1] if option else macro.default)
        position = option.end() if option else position
    while len(arguments) < macro.argument_count:
        argument, position = _read_argument(latex, position)
        arguments.append(argument)
    text = re.sub(
        r"#([1-9])",
        lambda match: arguments[int(match[1]) - 1] if int(match[1]) <= len(arguments) else "",
        macro.body,
    )
    is_word_next = text[-1:].isalpha() and latex[position : position + 1].isalpha()
    return (f"{text} " if is_word_next else text), position


def _read_argument(latex: str, position: int) -> tuple[str, int]:
    """Return the group, the command or the letter at the position, and where it ends."""
    while latex[position : position + 1].isspace():
        position += 1
    if latex[position : position + 1] != "{":
        command = MACRO_PATTERN.match(latex, position)
        end = command.end() if command else position + 1
        return latex[position:end], end
    depth, end = 0, position
    while end < len(latex):
        letter = latex[end]
        depth += (letter == "{") - (letter == "}")
        end += 2 if letter == "\\" else 1
        if depth == 0:
            return latex[position + 1 : end - 1], end
    raise ValueError(f"a brace is not closed in {latex[position : position + 40]!r}")


class Formula(NamedTuple):
    """A formula in a text."""

    source: str  # with its delimiters
    latex: str
    is_block: bool


def parse_formula(match: re.Match[str]) -> Formula:
    """Return the formula that FORMULA_PATTERN or MARKDOWN_PATTERN has matched."""
    latex = match["inline"] or match["latex_inline"]
    if latex:
        return Formula(match[0], latex, is_block=False)
    latex = match["block"] or match["latex_block"] or match["whole_environment"]
    return Formula(match[0], latex, is_block=True)


def mark_formulas(source: str) -> tuple[str, list[Formula]]:
    """Return the Markdown with a mark in place of each formula, and the formulas.

    So that Markdown leaves their letters alone: underscores, asterisks and vertical bars.
    """
    formulas: list[Formula] = []

    def mark(match: re.Match[str]) -> str:
        if match["code"] or match["escaped"]:
            return match[0]
        formula = parse_formula(match)
        is_escape = re.match(r"\\[(\[]", match[0])
        if is_escape and not LATEX_HINT_PATTERN.search(formula.latex):
            return match[0]
        line_start = match.string.rfind("\n", 0, match.start()) + 1
        if ">" in match.string[line_start : match.start()]:  # it goes on in a quotation
            latex = re.sub(r"\n[ \t]*(?:>[ \t]?)+", "\n", formula.latex)
            formula = formula._replace(latex=latex)
        formulas.append(formula)
        return f"{MARK_START}{len(formulas) - 1}{MARK_END}"

    source = source.replace(MARK_START, "\ufffd").replace(MARK_END, "\ufffd")
    return MARKDOWN_PATTERN.sub(mark, source), formulas


def replace_marks(text: str, formulas: list[Formula], render: Callable[[Formula], str]) -> str:
    """Return the text with what `render` makes of the formula in place of each mark."""
    return MARK_PATTERN.sub(lambda match: render(formulas[int(match[1])]), text)


def formula_html(formula: Formula, macros: Macros) -> str:
    """Return the MathML of a formula, which browsers render without a script.

    LaTeX that cannot be parsed is returned as code; a formula that only defines macros is empty.
    """
    try:
        latex = macros.expand(formula.latex).strip()
        if not latex:
            return ""
        latex = re.sub(r"\\label\{[^{}]*\}", "", latex)
        latex = latex.replace("\\operatorname*", "\\operatorname")
        latex = re.sub(r"\{eqnarray(\*?)\}", r"{align\1}", latex)
        mathml = converter.convert(latex, display="block" if formula.is_block else "inline")
    except Exception:  # latex2mathml's errors have no common base class
        return f'<code class="formula">{html.escape(formula.latex)}</code>'
    source = html.escape(" ".join(formula.latex.split()))
    # sanitized because the content of \text{} comes out unescaped
    return sanitize.sanitize(mathml.replace("<math ", f'<math alttext="{source}" ', 1))


def latex_text_html(source: str, macros: Macros) -> str:
    """Return the HTML of a text in LaTeX: its formulas as MathML, what is around them as text.

    A text without delimiters is a formula if it has a command or an index.
    """
    if not FORMULA_PATTERN.search(source):
        if not re.search(r"[\\^_]", source):
            return f"<p>{html.escape(source)}</p>"
        return f"<p>{formula_html(Formula(source, source.strip(), is_block=True), macros)}</p>"
    parts, end = [], 0
    for match in FORMULA_PATTERN.finditer(source):
        formula = parse_formula(match)
        is_display_style = formula.latex.strip().startswith("\\displaystyle")
        is_alone = source.strip() == match[0] and is_display_style  # as sympy writes it
        parts.append(_plain_text_html(source[end : match.start()]))
        parts.append(formula_html(formula._replace(is_block=formula.is_block or is_alone), macros))
        end = match.end()
    parts.append(_plain_text_html(source[end:]))
    return f"<p>{''.join(parts).strip()}</p>"


def _plain_text_html(text: str) -> str:
    return html.escape(re.sub(r"\\([$%&#_{}])", r"\1", text)).replace("\n\n", "<br><br>")
