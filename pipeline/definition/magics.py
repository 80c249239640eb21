"""IPython's magics and shell commands, read as the Python that can stand for them.

IPython's own reading takes half a second of imports, before anything is known to have changed.
"""

import ast
import contextlib
import re

MAGIC_LINE = re.compile(r"(?P<before>\s*(?:[\w\s.,*\[\]'\"]+=\s*)?)(?P<magic>[%!].*)")  # x = !ls
HELP_LINE = re.compile(r"(?P<before>\s*)(?P<magic>\?.*|[\w.*]+\?{1,2})\s*")  # ?print, print?
PYTHON_CELL_MAGICS = {
    "capture",
    "memit",
    "prun",
    "time",
    "timeit",
}  # %% of these: the rest is Python


def parse_cell(source: str) -> ast.Module:
    """A cell's syntax tree, each magic a text in it; SyntaxError if it is no Python even so.

    What follows a %%bash or its like may be anything: the whole cell is a text, before the tree of
    what looks like Python in it.
    """
    try:
        return ast.parse(source)
    except SyntaxError:
        first, _, rest = source.strip().partition("\n")
        if not first.startswith("%%"):
            return ast.parse(_replace_magics(source))
        if first[2:].partition(" ")[0] in PYTHON_CELL_MAGICS:
            return ast.parse(f"{_placeholder_call(first)}\n{_replace_magics(rest)}")
        whole = ast.parse(_placeholder_call(source))
        with contextlib.suppress(SyntaxError):
            whole.body += ast.parse(_replace_magics(rest)).body
        return whole


def _replace_magics(source: str) -> str:
    lines = source.replace("\\\n", "\x00").split("\n")  # a command may go on in the next line
    return "\n".join(_replace_line_magic(one) for one in lines).replace("\x00", "\\\n")


def _replace_line_magic(line: str) -> str:
    found = MAGIC_LINE.fullmatch(line) or HELP_LINE.fullmatch(line)
    return f"{found['before']}{_placeholder_call(found['magic'])}" if found else line


def _placeholder_call(magic: str) -> str:
    """A call that no notebook makes, so that a text which says the same differs."""
    return f"__magic__({magic!r})"
