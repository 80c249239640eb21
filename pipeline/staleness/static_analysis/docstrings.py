"""Tell the docstrings of our modules, which change no result, from their code."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# modules that show or use docstrings; those of other projects may be handed a function or a class
# of ours, as a command, a task, a tool or a prompt
READER_MODULES = {
    *("doctest", "pydoc", "unittest", "xmlrpc"),
    *("click", "cyclopts", "defopt", "docopt", "fire", "plac", "sphinx", "typer"),
    *("dspy", "fastapi", "fastmcp", "langchain", "langchain_core", "llama_index", "mcp", "openai"),
    *("dagster", "prefect", "pydantic", "smolagents"),
}
# in the dump of a syntax tree: help(f), f.__doc__, inspect.getdoc(f), %pdoc f, f?
READER_PATTERN = re.compile(
    r"__doc__|id='help'|'(?:getdoc|getcomments|getsource|getsourcelines|get_docstring)'"
    r"|id='__magic__'[^\n]{,40}?value=[\"'](?:\?|[\w.*]+\?|%(?:p\w+|load|lprun|help)\b)"
)
MARK = "docstring-5c3f0e-"  # takes the place of a docstring while its tree is dumped
MARK_PATTERN = re.compile(rf"'{MARK}(\d+)'")
MARKED_STATEMENT = re.compile(rf"Expr\(value=Constant\(value='{MARK}\d+'(?:, kind='u')?\)\)(?:, )?")


class TreeDump(NamedTuple):
    """The syntax tree of a module as text."""

    full: str
    without_docstrings: str


def dump_module(tree: ast.Module) -> TreeDump:
    """Return the text of a module's syntax tree, with docstrings and without; changes the tree."""
    docstrings = []
    for number, constant in enumerate(_iter_docstrings(tree)):
        docstrings.append(repr(constant.value))
        constant.value = f"{MARK}{number}"
    dump = ast.dump(tree)
    full = MARK_PATTERN.sub(lambda match: docstrings[int(match[1])], dump)
    return TreeDump(full, MARKED_STATEMENT.sub("", dump))


def are_read(dump: str, imported_modules: Iterable[str]) -> bool:
    """Return whether code may read docstrings, as far as its tree and its imports tell."""
    top_level_names = {name.partition(".")[0] for name in imported_modules}
    return bool(READER_MODULES & top_level_names or READER_PATTERN.search(dump))


def _iter_docstrings(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the docstrings of a module, and of its functions and classes that no library sees.

    A decorator and a base class may use the docstring of what they are applied to.
    """
    match node:
        case ast.ClassDef(decorator_list=[_, *_]) | ast.ClassDef(bases=[_, *_]):
            return
        case ast.ClassDef(keywords=[_, *_]):
            return
        case ast.FunctionDef(decorator_list=[_, *_]) | ast.AsyncFunctionDef(decorator_list=[_, *_]):
            return
        case ast.Module(body=[first, *_]) | ast.ClassDef(body=[first, *_]):
            yield from _docstring(first)
        case ast.FunctionDef(body=[first, *_]) | ast.AsyncFunctionDef(body=[first, *_]):
            yield from _docstring(first)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _iter_docstrings(child)


def _docstring(statement: ast.stmt) -> Iterator[ast.Constant]:
    match statement:
        case ast.Expr(value=ast.Constant(value=str()) as constant):
            yield constant
