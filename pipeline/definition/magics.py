"""Parse notebook cells with IPython magics and shell commands as plain Python.

IPython's own parser takes half a second to import, which a run with nothing to do cannot afford.
"""

import ast
import contextlib
import io
import re
import tokenize

MAGIC_LINE = re.compile(r"(?P<prefix>\s*(?:[\w\s.,*\[\]'\"]+=\s*)?)(?P<magic>[%!].*)")  # x = !ls
HELP_LINE = re.compile(r"(?P<prefix>\s*)(?P<magic>\?.*|[\w.*]+\?{1,2})\s*")  # ?print, print?
PYTHON_CELL_MAGICS = {"capture", "memit", "prun", "time", "timeit"}  # %%NAME, followed by Python
PLACEHOLDER = "__magic__"  # the function whose calls take the place of magics
NO_CODE_TOKENS = (
    *(tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT),
    *(tokenize.INDENT, tokenize.DEDENT),
)


def parse_cell(source: str) -> ast.Module:
    """Return the syntax tree of a cell, with each magic as a call that holds its text.

    The lines after %%bash and other cell magics need not be Python: then the tree holds the text of
    the whole cell, followed by the tree of those lines if they can be parsed. Raises SyntaxError if
    the cell is not Python even without its magics.
    """
    try:
        return ast.parse(source)
    except SyntaxError:
        first_line, _, body = source.strip().partition("\n")
        if not first_line.startswith("%%"):
            return ast.parse(_replace_magics(source))
        if first_line[2:].partition(" ")[0] in PYTHON_CELL_MAGICS:
            return ast.parse(f"{_placeholder_call(first_line)}\n{_replace_magics(body)}")
        tree = ast.parse(_placeholder_call(source))
        with contextlib.suppress(SyntaxError):
            tree.body += ast.parse(_replace_magics(body)).body
        return tree


def ends_with_semicolon(source: str) -> bool:
    """Return whether IPython shows no value of a cell, as its last token is a semicolon."""
    if ";" not in source:
        return False
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(_replace_magics(source)).readline))
    except (tokenize.TokenError, SyntaxError):
        return source.rstrip().endswith(";")
    code = [token.string for token in tokens if token.type not in NO_CODE_TOKENS]
    return code[-1:] == [";"]


def _replace_magics(source: str) -> str:
    lines = source.replace("\\\n", "\x00").split("\n")  # a command may continue on the next line
    return "\n".join(_replace_line_magic(line) for line in lines).replace("\x00", "\\\n")


def _replace_line_magic(line: str) -> str:
    match = MAGIC_LINE.fullmatch(line) or HELP_LINE.fullmatch(line)
    return f"{match['prefix']}{_placeholder_call(match['magic'])}" if match else line


def _placeholder_call(magic: str) -> str:
    """Return a call that no notebook contains, so that a string with the same text differs."""
    return f"{PLACEHOLDER}({magic!r})"
