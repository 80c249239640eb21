"""Find the names of modules and distributions that code asks for, in its syntax tree."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

# functions whose first argument names a module: importlib's, pkgutil's, pytest's, pandas'
MODULE_FUNCTIONS = {
    *("__import__", "import_module", "find_spec", "find_loader", "resolve_name", "run_module"),
    *("importorskip", "import_optional_dependency", "lazy_import", "try_import", "optional_import"),
}
# functions of importlib.metadata and pkg_resources whose first argument names a distribution
DISTRIBUTION_FUNCTIONS = {
    *("version", "distribution", "metadata", "requires", "files"),
    *("get_distribution", "require"),
}
MODULE_NAME = re.compile(r"\.*[A-Za-z_]\w*(\.\w+)*")
DISTRIBUTION_NAME = re.compile(r"[A-Za-z]([\w.-]*\w)?")


class ImportedNames(NamedTuple):
    """What a syntax tree asks for, in order; a name may stand there twice."""

    modules: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()


def find_names(tree: ast.AST, package: str) -> ImportedNames:
    """Return the names that a syntax tree asks for; `from a import b` gives a and a.b.

    Relative imports start from the package. Imports inside functions count; imports for type
    checkers only do not.
    """
    modules: list[str] = []
    distributions: list[str] = []
    for node in _iter_executed_nodes(tree):
        match node:
            case ast.Import(names=aliases):
                modules += [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = _absolute_name("." * level + (module or ""), package)
                modules.append(base)
                modules += [f"{base}.{alias.name}" for alias in aliases if alias.name != "*"]
            case ast.Call(
                func=ast.Name(id=function) | ast.Attribute(attr=function),
                args=[ast.Constant(value=str(name)), *_],
            ):
                if function in MODULE_FUNCTIONS and MODULE_NAME.fullmatch(name):
                    modules.append(_absolute_name(name, _package_argument(node) or package))
                elif function in DISTRIBUTION_FUNCTIONS and DISTRIBUTION_NAME.fullmatch(name):
                    distributions.append(name)
    return ImportedNames(tuple(modules), tuple(distributions))


def _iter_executed_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree in order, without what only type checkers see."""
    pending_nodes = [tree]
    while pending_nodes:
        node = pending_nodes.pop()
        yield node
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                pending_nodes += reversed(node.orelse)
            case _:
                pending_nodes += reversed([*ast.iter_child_nodes(node)])


def _absolute_name(name: str, package: str) -> str:
    """Return the full name of a module from one that may begin with dots."""
    base = name.lstrip(".")
    level = len(name) - len(base)
    if not level:
        return base
    package_names = package.split(".")
    parent_names = package_names[: len(package_names) - level + 1]
    return ".".join([*parent_names, base]).strip(".")


def _package_argument(call: ast.Call) -> str:
    """Return the package that import_module(NAME, PACKAGE) starts from; "" if it is no text."""
    keywords = [keyword.value for keyword in call.keywords if keyword.arg == "package"]
    for argument in (*call.args[1:2], *keywords):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return argument.value
    return ""
